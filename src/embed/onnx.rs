//! Rewrites an ONNX graph whose weights are int8 into one that tract runs fast.
//!
//! tract evaluates a `DequantizeLinear` at every run, which made a question cost 2.6 times as much. So a matrix that is
//! multiplied becomes f32 once, before the graph is optimised; a table that is only looked up stays int8 (a quarter of
//! the memory) and the rows that a text needs are dequantised when they are looked up.

use std::collections::HashMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto, attribute_proto::AttributeType};

/// The axes constant that [`look_up_rows`] needs; one for the whole graph.
const LAST_AXIS: &str = "carrel.last_axis";

/// Removes every `DequantizeLinear` over int8 initializers from `graph`; what the graph computes stays the same.
///
/// # Errors
/// In words, when such a node is not of the form that `models/make_minilm.py` writes: two inputs, a scale for each slice
/// along `axis`, no zero point.
pub(super) fn dequantise(graph: &mut GraphProto) -> Result<(), String> {
    let mut tensors: HashMap<String, TensorProto> =
        graph.initializer.drain(..).map(|tensor| (tensor.name.clone(), tensor)).collect();
    let (quantised, mut nodes): (Vec<_>, Vec<_>) =
        graph.node.drain(..).partition(|node| node.op_type == "DequantizeLinear");
    for node in &quantised {
        let ([codes, scales], [output]) = (&node.input[..], &node.output[..]) else {
            return Err(format!("{} must have two inputs and one output", node.name));
        };
        let axis = integer(node, "axis").unwrap_or(1);
        if axis == 0 && is_only_looked_up(&nodes, output) {
            nodes = nodes.into_iter().flat_map(|user| look_up_rows(user, output, codes, scales)).collect();
        } else {
            let mut take = |name: &str| tensors.remove(name).ok_or_else(|| format!("{name} is no initializer"));
            let tensor = multiplied(output, &take(codes)?, &take(scales)?, axis)?;
            tensors.insert(output.clone(), tensor);
        }
    }
    graph.node = nodes;
    graph.initializer = tensors.into_values().collect();
    graph.initializer.push(TensorProto {
        name: LAST_AXIS.into(),
        dims: vec![1],
        data_type: DataType::Int64 as i32,
        int64_data: vec![-1],
        ..TensorProto::default()
    });
    Ok(())
}

/// Whether every node that reads `table` picks whole rows of it.
fn is_only_looked_up(nodes: &[NodeProto], table: &str) -> bool {
    nodes
        .iter()
        .filter(|node| node.input.iter().any(|input| input == table))
        .all(|node| node.op_type == "Gather" && node.input[0] == table && integer(node, "axis").unwrap_or(0) == 0)
}

/// Puts `Gather(codes) * Gather(scales)` in place of a `Gather` from the dequantised `table`; other nodes stay.
fn look_up_rows(user: NodeProto, table: &str, codes: &str, scales: &str) -> Vec<NodeProto> {
    if user.input.first().is_none_or(|input| input != table) {
        return vec![user];
    }
    let (output, indices) = (&user.output[0], &user.input[1]);
    let part = |suffix: &str| format!("{output}.{suffix}");
    let to_float = AttributeProto {
        name: "to".into(),
        r#type: AttributeType::Int as i32,
        i: DataType::Float as i64,
        ..AttributeProto::default()
    };
    vec![
        node("Gather", &[codes, indices], &part("codes")),
        NodeProto { attribute: vec![to_float], ..node("Cast", &[&part("codes")], &part("floats")) },
        node("Gather", &[scales, indices], &part("scale")),
        node("Unsqueeze", &[&part("scale"), LAST_AXIS], &part("factor")),
        node("Mul", &[&part("floats"), &part("factor")], output),
    ]
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        name: output.into(),
        op_type: op.into(),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

/// The f32 tensor `codes * scales`, with one scale for each slice along `axis` of a matrix.
fn multiplied(name: &str, codes: &TensorProto, scales: &TensorProto, axis: i64) -> Result<TensorProto, String> {
    let wrong = |what: &str| format!("{name}: {what}");
    let [rows, columns] = codes.dims[..] else { return Err(wrong("must be a matrix")) };
    let (Ok(rows), Ok(columns)) = (usize::try_from(rows), usize::try_from(columns)) else {
        return Err(wrong("has a negative size"));
    };
    let slices = if axis == 0 { rows } else { columns };
    let is_int8 = codes.data_type == DataType::Int8 as i32;
    if !is_int8 || codes.raw_data.len() != rows * columns || scales.raw_data.len() != slices * size_of::<f32>() {
        return Err(wrong("must be int8 with one f32 scale a slice"));
    }
    let scales: Vec<f32> =
        scales.raw_data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let mut raw_data = Vec::with_capacity(codes.raw_data.len() * size_of::<f32>());
    for (row, codes) in codes.raw_data.chunks_exact(columns.max(1)).enumerate() {
        for (column, code) in codes.iter().enumerate() {
            let scale = scales[if axis == 0 { row } else { column }];
            raw_data.extend_from_slice(&(f32::from(code.cast_signed()) * scale).to_le_bytes());
        }
    }
    Ok(TensorProto {
        name: name.to_owned(),
        dims: codes.dims.clone(),
        data_type: DataType::Float as i32,
        raw_data,
        ..TensorProto::default()
    })
}

fn integer(node: &NodeProto, name: &str) -> Option<i64> {
    node.attribute.iter().find(|attribute| attribute.name == name).map(|attribute| attribute.i)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(value: i64) -> Vec<AttributeProto> {
        vec![AttributeProto { name: "axis".into(), i: value, ..AttributeProto::default() }]
    }

    /// Codes 1, -2, 3, -4, 5, -6 in two rows of three; a scale for each slice along `along`.
    fn graph(along: i64, user: &str) -> GraphProto {
        let slices: &[f32] = if along == 0 { &[0.5, 2.0] } else { &[0.5, 2.0, 10.0] };
        let codes = TensorProto {
            name: "w.q".into(),
            dims: vec![2, 3],
            data_type: DataType::Int8 as i32,
            raw_data: [1i8, -2, 3, -4, 5, -6].map(i8::cast_unsigned).to_vec(),
            ..TensorProto::default()
        };
        let scales = TensorProto {
            name: "w.scale".into(),
            data_type: DataType::Float as i32,
            raw_data: slices.iter().flat_map(|scale| scale.to_le_bytes()).collect(),
            ..TensorProto::default()
        };
        let dequantise = NodeProto { attribute: axis(along), ..node("DequantizeLinear", &["w.q", "w.scale"], "w") };
        let inputs = if user == "Gather" { ["w", "x"] } else { ["x", "w"] };
        GraphProto {
            node: vec![dequantise, node(user, &inputs, "y")],
            initializer: vec![codes, scales],
            ..GraphProto::default()
        }
    }

    fn floats(tensor: &TensorProto) -> Vec<f32> {
        tensor.raw_data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    #[test]
    fn a_multiplied_matrix_becomes_f32_with_the_scale_of_its_axis() {
        for (along, expected) in [(0, [0.5, -1.0, 1.5, -8.0, 10.0, -12.0]), (1, [0.5, -4.0, 30.0, -2.0, 10.0, -60.0])] {
            let mut graph = graph(along, "MatMul");
            dequantise(&mut graph).unwrap();
            let made = graph.initializer.iter().find(|tensor| tensor.name == "w").unwrap();
            assert_eq!((floats(made), &made.dims), (expected.to_vec(), &vec![2, 3]));
            assert_eq!(graph.node.iter().map(|node| &*node.op_type).collect::<Vec<_>>(), ["MatMul"]);
            assert!(graph.initializer.iter().all(|tensor| tensor.name != "w.q"), "the codes are kept twice");
        }
    }

    #[test]
    fn a_table_that_is_looked_up_stays_int8() {
        let mut graph = graph(0, "Gather");
        dequantise(&mut graph).unwrap();
        let operations: Vec<_> = graph.node.iter().map(|node| &*node.op_type).collect();
        assert_eq!(operations, ["Gather", "Cast", "Gather", "Unsqueeze", "Mul"]);
        assert_eq!(graph.node[4].output, ["y"]);
        assert!(graph.initializer.iter().any(|tensor| tensor.name == "w.q"));
        assert!(graph.initializer.iter().all(|tensor| tensor.name != "w"));
    }

    #[test]
    fn a_node_of_another_form_is_refused_by_name() {
        let mut graph = graph(1, "MatMul");
        graph.initializer[1].raw_data.pop();
        assert!(dequantise(&mut graph).unwrap_err().starts_with("w: "));
        let mut graph = GraphProto { node: vec![node("DequantizeLinear", &["w.q"], "w")], ..GraphProto::default() };
        assert_eq!(dequantise(&mut graph).unwrap_err(), "w must have two inputs and one output");
    }
}

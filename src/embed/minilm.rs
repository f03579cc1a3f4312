//! all-MiniLM-L6-v2, in the binary, run by tract.
//!
//! Mean pooling and unit length are part of the graph. The graph is optimised once, for one text of any length: a batch
//! of one was faster than larger ones, since no text is padded to another's length.

use std::sync::{Arc, OnceLock};

use futures_util::future::{BoxFuture, FutureExt};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::plan::SimpleState;

use super::pool::{Model, Pool, Session, Vector};
use super::{EmbedError, Embedded, Embedder, Purpose, onnx, tokens};

/// Weights and graph; `models/README.md` says where they come from and how they were made.
static GRAPH: &[u8] = include_bytes!("../../models/all-minilm-l6-v2.int8.onnx");

/// Length of its vectors.
const DIMENSION: usize = 384;

/// The embedder in the binary; loads its model when it is first asked.
pub struct MiniLm {
    pool: Pool,
}

impl MiniLm {
    /// Names model and version; changes whenever vectors for the same text may change.
    pub const ID: &str = "all-minilm-l6-v2/int8-1";

    /// An embedder with `threads` compute threads for passages, and as many for questions; 0 takes one a core.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self { pool: Pool::new(Arc::new(Network::default()), threads) }
    }
}

impl Embedder for MiniLm {
    fn id(&self) -> &str {
        Self::ID
    }

    fn dimension(&self) -> Option<usize> {
        Some(DIMENSION)
    }

    fn multilingual(&self) -> bool {
        false
    }

    fn max_tokens(&self) -> usize {
        tokens::LIMIT - tokens::SPECIAL
    }

    fn count_tokens(&self, text: &str) -> usize {
        tokens::count(text)
    }

    fn embed<'a>(&'a self, texts: &'a [String], purpose: Purpose) -> BoxFuture<'a, Result<Embedded, EmbedError>> {
        self.pool.embed(texts, purpose).boxed()
    }
}

/// The optimised graph, loaded once and shared by all threads.
#[derive(Default)]
struct Network {
    plan: OnceLock<Result<Arc<TypedRunnableModel>, String>>,
}

/// One thread's buffers for running the graph.
struct Run {
    state: SimpleState<TypedFact, Box<dyn TypedOp>>,
}

impl Model for Network {
    fn session(&self) -> Result<Box<dyn Session>, String> {
        let plan = self.plan.get_or_init(|| load().map_err(|error| format!("{error:#}"))).clone()?;
        let state = plan.spawn().map_err(|error| format!("{error:#}"))?;
        Ok(Box::new(Run { state }))
    }
}

impl Session for Run {
    fn embed(&mut self, text: &str) -> Result<Vector, String> {
        let ids = tokens::ids(text)?;
        let values = self.run(&ids).map_err(|error| format!("{error:#}"))?;
        let length: f32 = values.iter().map(|value| value * value).sum::<f32>().sqrt();
        if values.len() != DIMENSION || (length - 1.0).abs() > 1e-3 {
            return Err(format!("a vector of {} numbers and length {length}", values.len()));
        }
        Ok(Vector { values, model_tokens: ids.len() as u64 })
    }
}

impl Run {
    fn run(&mut self, ids: &[i64]) -> TractResult<Vec<f32>> {
        let shape = [1, ids.len()];
        let mask = vec![1i64; ids.len()];
        let inputs = tvec![Tensor::from_shape(&shape, ids)?.into(), Tensor::from_shape(&shape, &mask)?.into()];
        let outputs = self.state.run(inputs)?;
        Ok(outputs[0].to_plain_array_view::<f32>()?.iter().copied().collect())
    }
}

fn load() -> TractResult<Arc<TypedRunnableModel>> {
    let onnx = tract_onnx::onnx();
    let mut proto = onnx.proto_model_for_read(&mut &*GRAPH)?;
    let graph = proto.graph.as_mut().ok_or_else(|| TractError::msg("the model holds no graph"))?;
    onnx::dequantise(graph).map_err(TractError::msg)?;
    let mut model = onnx.model_for_proto_model(&proto)?;
    drop(proto);
    let one_text = tvec![1.to_dim(), model.symbols.sym("tokens").to_dim()];
    for input in 0..2 {
        model.set_input_fact(input, InferenceFact::dt_shape(i64::datum_type(), one_text.clone()))?;
    }
    model.into_optimized()?.into_runnable()
}

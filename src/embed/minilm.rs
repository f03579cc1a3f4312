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

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use serde::Deserialize;

    use super::*;

    /// Loading takes long, so all tests share one.
    static MODEL: LazyLock<MiniLm> = LazyLock::new(|| MiniLm::new(2));

    #[derive(Deserialize)]
    struct Reference {
        texts: Vec<Text>,
    }

    /// A text with what the unquantised model makes of it.
    #[derive(Deserialize)]
    struct Text {
        #[serde(rename = "text")]
        words: String,
        ids: Vec<i64>,
        vector: Vec<f32>,
    }

    fn reference() -> Vec<Text> {
        serde_json::from_str::<Reference>(include_str!("../../models/reference.json")).unwrap().texts
    }

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[tokio::test]
    async fn vectors_are_those_of_the_unquantised_model() {
        let reference = reference();
        let texts: Vec<String> = reference.iter().map(|text| text.words.clone()).collect();
        let embedded = MODEL.embed(&texts, Purpose::Passage).await.unwrap();
        for (text, vector) in reference.iter().zip(&embedded.vectors) {
            assert_eq!(tokens::ids(&text.words).unwrap(), text.ids, "{}", text.words);
            assert!((dot(vector, vector) - 1.0).abs() < 1e-4);
            let cosine = dot(vector, &text.vector);
            assert!(cosine >= 0.999, "{cosine} for {}", text.words);
        }
        let read: usize = reference.iter().map(|text| text.ids.len()).sum();
        assert_eq!(embedded.model_tokens, read as u64);
    }

    #[tokio::test]
    async fn texts_of_any_length_have_a_vector_and_what_is_beyond_the_limit_changes_nothing() {
        let long = "A reader needs light. ".repeat(60);
        let texts = [String::new(), "\u{0}\u{200b}".into(), "的".repeat(3), long.clone(), format!("{long}And more.")];
        let vectors = MODEL.embed(&texts, Purpose::Question).await.unwrap().vectors;
        assert!(vectors.iter().all(|vector| vector.len() == 384));
        assert_eq!(vectors[3], vectors[4]);
        assert_eq!(MODEL.max_tokens(), 254);
        assert!(MODEL.count_tokens(&long) > 254);
    }
}

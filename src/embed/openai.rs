//! Embedders behind any OpenAI-compatible provider.
//!
//! What comes back is believed only after it was checked: as many vectors as texts, each with its own place, all of one
//! length, finite and not zero.

use std::sync::OnceLock;

use async_openai::types::embeddings::{CreateEmbeddingRequest, EmbeddingInput, EncodingFormat};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{StreamExt, TryStreamExt, iter};
use serde::Deserialize;

use super::{EmbedError, Embedded, Embedder, Purpose, tokens};
use crate::config::ModelRef;
use crate::provider::{CallError, Line, Urgency};
use crate::telemetry::{self, CallOutcome, Calls};

/// Largest answer that is read: 64 texts of 4096 numbers take some 5 MiB as JSON.
const MAX_BYTES: usize = 32 << 20;
/// Tokens sent of one text. Chunks have at most 512 (by the built-in tokenizer), and so much fits every embedding model
/// in use; a model that reads less cuts or refuses.
const MAX_TOKENS: usize = 512;

/// One model of one provider.
pub struct OpenAiEmbedder {
    id: String,
    model: String,
    provider: Line,
    /// Length of the first vector seen; all others must have it too.
    dimension: OnceLock<usize>,
}

/// What is read of an answer. Servers differ in the rest, and async-openai's own type insists on it.
#[derive(Deserialize)]
struct Reply {
    data: Vec<Item>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: u64,
}

impl OpenAiEmbedder {
    /// An embedder that asks `provider` for `model.model`; touches no network.
    #[must_use]
    pub fn new(provider: Line, model: &ModelRef) -> Self {
        Self { id: model.to_string(), model: model.model.clone(), provider, dimension: OnceLock::new() }
    }

    async fn embed_all(&self, texts: &[String], purpose: Purpose) -> Result<Embedded, EmbedError> {
        let mut order: Vec<usize> = (0..texts.len()).collect();
        // Servers pad a batch to its longest text, so texts of like length travel together.
        order.sort_by_key(|place| texts[*place].len());
        let mut embedded = Embedded { vectors: vec![Vec::new(); texts.len()], model_tokens: 0 };
        let batches = order.chunks(self.provider.settings().batch_size.max(1)).map(<[usize]>::to_vec);
        let mut answers = iter(batches)
            .map(|places| async move {
                let batch = self.embed_batch(texts, &places, purpose).await;
                telemetry::provider_called(Calls::Embed, self.provider.name(), outcome(&batch));
                Ok::<_, EmbedError>((places, batch?))
            })
            .buffer_unordered(self.provider.background_calls());
        while let Some((places, batch)) = answers.try_next().await? {
            for (place, vector) in places.iter().zip(batch.vectors) {
                embedded.vectors[*place] = vector;
            }
            embedded.model_tokens += batch.model_tokens;
        }
        Ok(embedded)
    }

    async fn embed_batch(&self, texts: &[String], places: &[usize], purpose: Purpose) -> Result<Embedded, EmbedError> {
        let batch: Vec<String> = places.iter().map(|place| texts[*place].clone()).collect();
        let counted = || batch.iter().map(|text| tokens::count(text) as u64).sum();
        let request = CreateEmbeddingRequest {
            model: self.model.clone(),
            input: EmbeddingInput::StringArray(batch.clone()),
            // Many local servers know no other.
            encoding_format: Some(EncodingFormat::Float),
            ..CreateEmbeddingRequest::default()
        };
        let body = serde_json::to_vec(&request).map_err(|_| self.invalid("the texts are no JSON"))?;
        let urgency = match purpose {
            Purpose::Question => Urgency::Now,
            Purpose::Passage => Urgency::Background,
        };
        let timeout = self.provider.settings().timeout;
        let answer = self.provider.post("/embeddings", Bytes::from(body), urgency, timeout, MAX_BYTES).await;
        let answer = answer.map_err(|error| self.error(error))?;
        let reply: Reply = serde_json::from_slice(&answer)
            .map_err(|_| self.invalid("it is no JSON of the shape of OpenAI's embeddings"))?;
        let told = reply.usage.map(|usage| usage.prompt_tokens).filter(|tokens| *tokens > 0);
        let vectors = in_order(reply.data, places.len(), self.dimension()).map_err(|reason| self.invalid(&reason))?;
        if let Some(first) = vectors.first() {
            let dimension = *self.dimension.get_or_init(|| first.len());
            // Two first answers may arrive together; the loser is held against the winner.
            if dimension != first.len() {
                return Err(self.invalid(&wrong_length(first.len(), dimension)));
            }
        }
        Ok(Embedded { vectors, model_tokens: told.unwrap_or_else(counted) })
    }

    fn invalid(&self, reason: &str) -> EmbedError {
        EmbedError::Invalid { provider: self.provider.name().to_owned(), reason: reason.to_owned() }
    }

    fn error(&self, error: CallError) -> EmbedError {
        let provider = self.provider.name().to_owned();
        match error {
            CallError::Unavailable(reason) => EmbedError::Unavailable { provider, reason },
            CallError::Refused(reason) => EmbedError::Refused { provider, reason },
            CallError::Invalid(reason) => EmbedError::Invalid { provider, reason },
        }
    }
}

impl Embedder for OpenAiEmbedder {
    fn id(&self) -> &str {
        &self.id
    }

    fn dimension(&self) -> Option<usize> {
        self.dimension.get().copied()
    }

    fn multilingual(&self) -> bool {
        self.provider.settings().multilingual
    }

    fn max_tokens(&self) -> usize {
        MAX_TOKENS
    }

    fn count_tokens(&self, text: &str) -> usize {
        tokens::count(text)
    }

    fn embed<'a>(&'a self, texts: &'a [String], purpose: Purpose) -> BoxFuture<'a, Result<Embedded, EmbedError>> {
        self.embed_all(texts, purpose).boxed()
    }
}

fn outcome(batch: &Result<Embedded, EmbedError>) -> CallOutcome {
    match batch {
        Ok(_) => CallOutcome::Ok,
        Err(EmbedError::Unavailable { .. }) => CallOutcome::Unavailable,
        Err(EmbedError::Refused { .. }) => CallOutcome::Refused,
        Err(_) => CallOutcome::Invalid,
    }
}

/// Puts `count` vectors in the order of their indexes, at unit length, or says what is wrong with them.
fn in_order(data: Vec<Item>, count: usize, dimension: Option<usize>) -> Result<Vec<Vec<f32>>, String> {
    if data.len() != count {
        return Err(format!("{} vectors for {count} texts", data.len()));
    }
    let expected = dimension.or_else(|| data.first().map(|item| item.embedding.len())).unwrap_or(0);
    let mut vectors = vec![Vec::new(); count];
    for Item { index, embedding } in data {
        if embedding.len() != expected || embedding.is_empty() {
            return Err(wrong_length(embedding.len(), expected));
        }
        let place = vectors.get_mut(index).ok_or_else(|| format!("index {index} of {count} texts"))?;
        if !place.is_empty() {
            return Err(format!("index {index} twice"));
        }
        *place = unit_length(embedding)?;
    }
    Ok(vectors)
}

fn wrong_length(found: usize, expected: usize) -> String {
    format!("a vector of {found} numbers where {expected} are expected")
}

fn unit_length(mut vector: Vec<f32>) -> Result<Vec<f32>, String> {
    // In f64: squares of large f32 overflow.
    let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() || vector.iter().any(|value| !value.is_finite()) {
        return Err("a vector with numbers that are not finite".to_owned());
    }
    if length < f64::from(f32::MIN_POSITIVE) {
        return Err("a vector of zeros".to_owned());
    }
    for value in &mut vector {
        #[expect(clippy::cast_possible_truncation, reason = "vectors are f32")]
        let scaled = (f64::from(*value) / length) as f32;
        *value = scaled;
    }
    Ok(vector)
}

#[cfg(test)]
mod tests;

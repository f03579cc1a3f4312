//! Embedders behind any OpenAI-compatible provider.
//!
//! What comes back is believed only after it was checked: as many vectors as texts, each with its own place, all of one
//! length, finite and not zero. Whether that length is the index's is for the caller to say.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{StreamExt, TryStreamExt, iter};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::batches::Batches;
use super::{EmbedError, Embedded, Embedder, Purpose, tokens};
use crate::config::ModelRef;
use crate::provider::{Line, Request, Urgency};
use crate::telemetry::{self, CallOutcome, Calls};

/// Largest answer that is read: 64 texts of 4096 numbers take some 5 MiB as JSON.
const MAX_BYTES: usize = 32 << 20;
/// Tokens sent of one text. Chunks have at most 512 (by the built-in tokenizer), and so much fits every embedding model
/// in use; a model that reads less cuts or refuses.
const MAX_TOKENS: usize = 512;
/// Where embedders are asked.
const PATH: &str = "/embeddings";
/// What a server refuses of a single text without saying so.
const UNSURE: &[&str] = &["encoding_format"];

/// One model of one provider.
pub struct OpenAiEmbedder {
    id: String,
    model: String,
    provider: Line,
    batches: Batches,
    /// Length of the vectors made last; 0 for none yet.
    last_dimension: AtomicUsize,
}

/// What is read of an answer. Servers differ in the rest.
#[derive(Deserialize)]
struct Reply {
    data: Vec<Item>,
    /// Of any shape: no count may cost the vectors.
    #[serde(default)]
    usage: Value,
}

#[derive(Deserialize)]
struct Item {
    /// Some servers give none, and answer in order.
    #[serde(default)]
    index: Option<usize>,
    embedding: Numbers,
}

/// A vector as it comes: numbers, or Base64 of `f32` in little-endian order, which some servers send whatever they are
/// asked for.
struct Numbers(Vec<f32>);

/// A batch with where its texts stand among those asked for.
type Placed = (Vec<usize>, Embedded);

impl OpenAiEmbedder {
    /// An embedder that asks `provider` for `model.model`; touches no network.
    #[must_use]
    pub fn new(provider: Line, model: &ModelRef) -> Self {
        let batches = Batches::new(provider.settings().batch_size);
        let last_dimension = AtomicUsize::new(0);
        Self { id: model.to_string(), model: model.model.clone(), provider, batches, last_dimension }
    }

    async fn embed_all(&self, texts: &[String], purpose: Purpose) -> Result<Embedded, EmbedError> {
        let mut order: Vec<usize> = (0..texts.len()).collect();
        // Servers pad a batch to its longest text, so texts of like length travel together.
        order.sort_by_key(|place| texts[*place].len());
        let mut embedded = Embedded { vectors: vec![Vec::new(); texts.len()], model_tokens: 0 };
        let batches = order.chunks(self.batches.size()).map(<[usize]>::to_vec);
        let mut answers = iter(batches)
            .map(|places| self.embed_in_parts(texts, places, purpose))
            .buffer_unordered(self.provider.background_calls());
        while let Some(parts) = answers.try_next().await? {
            for (places, part) in parts {
                embedded.model_tokens += part.model_tokens;
                for (place, vector) in places.into_iter().zip(part.vectors) {
                    embedded.vectors[place] = vector;
                }
            }
        }
        self.check_lengths(&embedded.vectors)?;
        Ok(embedded)
    }

    /// Embeds a batch, in halves where the provider refuses its size, down to one text; what went is remembered.
    async fn embed_in_parts(
        &self,
        texts: &[String],
        places: Vec<usize>,
        purpose: Purpose,
    ) -> Result<Vec<Placed>, EmbedError> {
        let mut waiting = vec![places];
        let mut done: Vec<Placed> = Vec::new();
        let mut refused: Option<(usize, EmbedError)> = None;
        while let Some(part) = waiting.pop() {
            let most = self.batches.size();
            if part.len() > most {
                waiting.extend(part.chunks(most).rev().map(<[usize]>::to_vec));
                continue;
            }
            let half = part.len().div_ceil(2);
            // What was refused a moment ago need not be tried again.
            if part.len() > 1 && refused.as_ref().is_some_and(|(size, _)| part.len() >= *size) {
                waiting.extend(part.chunks(half).rev().map(<[usize]>::to_vec));
                continue;
            }
            match self.embed_batch(texts, &part, purpose).await {
                Ok(embedded) => done.push((part, embedded)),
                Err(error) if error.is_of_the_text() && part.len() > 1 => {
                    waiting.extend(part.chunks(half).rev().map(<[usize]>::to_vec));
                    refused = Some((part.len(), error));
                }
                Err(error) => return Err(error),
            }
        }
        if let Some((size, why)) = refused {
            self.note_size(&done, size, &why);
        }
        Ok(done)
    }

    /// Remembers the largest part that went, of a batch of which `refused` texts, the fewest of all, were too many. All
    /// its texts went in the end, so their number or length was the fault and no text by itself.
    fn note_size(&self, done: &[Placed], refused: usize, why: &EmbedError) {
        let smaller = done.iter().map(|(places, _)| places.len()).filter(|size| *size < refused);
        let Some(went) = smaller.max() else { return };
        if self.batches.note(went, refused) {
            tracing::warn!(
                provider.name = self.provider.name(),
                embedder = self.id,
                batch_size = went,
                reason = why.in_full(),
                "{} refused {refused} texts at once and took {went}; so many are sent from now on",
                self.id
            );
        }
    }

    async fn embed_batch(&self, texts: &[String], places: &[usize], purpose: Purpose) -> Result<Embedded, EmbedError> {
        let embedded = self.call(texts, places, purpose).await;
        telemetry::provider_called(Calls::Embed, self.provider.name(), outcome(&embedded));
        embedded
    }

    async fn call(&self, texts: &[String], places: &[usize], purpose: Purpose) -> Result<Embedded, EmbedError> {
        let batch: Vec<&str> = places.iter().map(|place| texts[*place].as_str()).collect();
        let counted = || batch.iter().map(|text| tokens::count(text) as u64).sum();
        let settings = self.provider.settings();
        // Many local servers know no other format.
        let fields = json!({ "model": self.model, "input": batch, "encoding_format": "float" });
        let Value::Object(fields) = fields else { return Err(self.invalid("the texts are no JSON")) };
        let unsure = if places.len() == 1 { UNSURE } else { &[] };
        let request = Request::new(fields, unsure).with(&settings.embedding_parameters);
        let urgency = match purpose {
            Purpose::Question => Urgency::Now,
            Purpose::Passage => Urgency::Background,
        };
        let answer = self.provider.ask(PATH, request, urgency, settings.timeout, MAX_BYTES).await.map_err(|error| {
            let failed = EmbedError::of_call(self.provider.name(), error.clone());
            // A batch that is refused is tried in halves.
            if places.len() == 1 || !failed.is_of_the_text() {
                self.provider.log(PATH, &error);
            }
            failed
        })?;
        let reply: Reply = serde_json::from_slice(&answer)
            .map_err(|_| self.invalid("it is no JSON of the shape of OpenAI's embeddings"))?;
        let told = tokens_told(&reply.usage);
        let vectors = in_order(reply.data, places.len()).map_err(|reason| self.invalid(&reason))?;
        Ok(Embedded { vectors, model_tokens: told.unwrap_or_else(counted) })
    }

    /// Refuses vectors of several lengths, and notes the length of those of one.
    fn check_lengths(&self, vectors: &[Vec<f32>]) -> Result<(), EmbedError> {
        let Some(expected) = vectors.first().map(Vec::len) else { return Ok(()) };
        if let Some(other) = vectors.iter().find(|vector| vector.len() != expected) {
            return Err(self.invalid(&wrong_length(other.len(), expected)));
        }
        self.last_dimension.store(expected, Ordering::Relaxed);
        Ok(())
    }

    fn invalid(&self, reason: &str) -> EmbedError {
        EmbedError::Invalid { provider: self.provider.name().to_owned(), reason: reason.into() }
    }
}

impl Embedder for OpenAiEmbedder {
    fn id(&self) -> &str {
        &self.id
    }

    fn dimension(&self) -> Option<usize> {
        None
    }

    fn last_dimension(&self) -> Option<usize> {
        Some(self.last_dimension.load(Ordering::Relaxed)).filter(|length| *length > 0)
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
        Err(EmbedError::Refused { .. } | EmbedError::TooLong { .. }) => CallOutcome::Refused,
        Err(EmbedError::Invalid { .. } | EmbedError::Builtin(_)) => CallOutcome::Invalid,
        Err(_) => CallOutcome::Unavailable,
    }
}

/// Model tokens that the provider says it read.
fn tokens_told(usage: &Value) -> Option<u64> {
    let tokens = |name| {
        let count = usage.get(name)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of floats saturates")]
        count.as_u64().or_else(|| count.as_f64().map(|count| count as u64))
    };
    tokens("prompt_tokens").or_else(|| tokens("total_tokens")).filter(|tokens| *tokens > 0)
}

/// Puts `count` vectors in the order of their indexes, at unit length, or says what is wrong with them.
fn in_order(mut data: Vec<Item>, count: usize) -> Result<Vec<Vec<f32>>, String> {
    if data.len() != count {
        return Err(format!("{} vectors for {count} texts", data.len()));
    }
    if data.iter().all(|item| item.index.is_none()) {
        data.iter_mut().enumerate().for_each(|(at, item)| item.index = Some(at));
    }
    let expected = data.first().map_or(0, |item| item.embedding.0.len());
    let mut vectors = vec![Vec::new(); count];
    for Item { index, embedding: Numbers(embedding) } in data {
        if embedding.len() != expected || embedding.is_empty() {
            return Err(wrong_length(embedding.len(), expected));
        }
        let index = index.ok_or_else(|| "a vector without an index beside others with one".to_owned())?;
        let place = vectors.get_mut(index).ok_or_else(|| format!("index {index} of {count} texts"))?;
        if !place.is_empty() {
            return Err(format!("index {index} twice"));
        }
        *place = unit_length(embedding)?;
    }
    Ok(vectors)
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(NumbersVisitor)
    }
}

struct NumbersVisitor;

impl<'de> Visitor<'de> for NumbersVisitor {
    type Value = Numbers;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("numbers, or Base64 of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Numbers, A::Error> {
        let mut numbers = Vec::with_capacity(seq.size_hint().unwrap_or(0));
        while let Some(number) = seq.next_element()? {
            numbers.push(number);
        }
        Ok(Numbers(numbers))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Numbers, E> {
        let bytes = STANDARD.decode(text).map_err(E::custom)?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(E::custom("Base64 of something other than f32"));
        }
        Ok(Numbers(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect()))
    }
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

//! What a rebuild would do: every document read and cut as the build would, and nothing embedded or written.

#![expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};

use super::build::CUTTING;
use super::prepare::Cut;
use super::{Build, Engine, PrepareError, Ticket};
use crate::config::{EmbedderRef, TenantSettings};
use crate::domain::DocumentId;
use crate::embed::{EmbedError, Embedder, Purpose};
use crate::index::{IndexSpec, Snapshot};

/// Stands for a file's size, so that a forecast takes none of the places that are kept for small files.
const UNKNOWN: u64 = u64::MAX;
/// Texts that are embedded to learn the built-in embedder's pace.
const SAMPLE: usize = 16;
/// Bytes of a number of a vector: half precision.
const BYTES_A_NUMBER: u64 = 2;
/// Bytes a chunk takes beside its vector and its words: ids, places, headings. Measured on the manual, cut in two sizes.
const BYTES_A_CHUNK: u64 = 100;
/// Bytes on disk a byte of a document, its words and text, where no generation tells; measured alike.
const BYTES_A_BYTE: f64 = 1.6;
/// Chunks from which on the vectors stand in a graph besides.
const GRAPH_FROM: u64 = 1_024;

/// What a rebuild would do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Forecast {
    /// Documents that the serving generation has not.
    pub added: Vec<DocumentId>,
    /// Documents whose bytes, name or attributes changed since, or that would be cut otherwise.
    pub changed: Vec<DocumentId>,
    /// Documents that the serving generation has and the store has not.
    pub removed: Vec<DocumentId>,
    /// Documents that would be taken over as they are.
    pub unchanged: u64,
    /// Documents that could not be read.
    pub failed: u64,
    /// Chunks the generation would have.
    pub chunks: u64,
    /// Chunks whose vectors would have to be made.
    pub texts_embedded: u64,
    /// Model tokens that takes; counted by the built-in tokenizer where a provider's is not known.
    pub model_tokens: u64,
    /// Money for these at the provider's price; none for the built-in embedder.
    pub cost: Option<f64>,
    /// Seconds it would take; none where nothing tells how fast the provider is.
    pub seconds: Option<f64>,
    /// Bytes the generation would take on disk, beside those that are kept.
    pub bytes: u64,
}

impl Engine {
    /// Works out what a build would do with `ids`. `pace` is texts a second of an earlier build with the same embedder.
    ///
    /// # Errors
    /// When the spec's embedder is not known, or the built-in one fails.
    pub async fn forecast(
        &self,
        build: Build,
        ids: Vec<DocumentId>,
        pace: Option<f64>,
        serving: Option<&Snapshot>,
        settings: &TenantSettings,
    ) -> Result<Forecast, EmbedError> {
        let (begun, spec) = (Instant::now(), build.spec.clone());
        let workshop = self.workshop(build)?;
        let embedder = std::sync::Arc::clone(&workshop.embedder);
        let mut forecast = Forecast::default();
        let (mut sample, mut read) = (Vec::new(), 0);
        let mut cuts = stream::iter(ids)
            .map(|id| {
                let (engine, workshop) = (self, &workshop);
                async move { (engine.cut(workshop, &Ticket::new(id.clone()).sized(UNKNOWN)).await, id) }
            })
            .buffer_unordered(CUTTING);
        while let Some((cut, id)) = cuts.next().await {
            match cut {
                Ok(cut) => {
                    read += cut.bytes();
                    forecast.count(id, &cut, serving, &*embedder, &mut sample);
                }
                Err(PrepareError::Gone) => {}
                Err(_) => forecast.failed += 1,
            }
        }
        drop(cuts);
        let reading = begun.elapsed();
        let builtin = settings.retrieval.embedder == EmbedderRef::Builtin;
        let mut pace = pace;
        if builtin && !sample.is_empty() {
            let (measured, beside) = measured(&*embedder, &sample).await?;
            pace = Some(measured);
            forecast.model_tokens += forecast.texts_embedded * beside;
        }
        forecast.seconds = match (forecast.texts_embedded, pace) {
            (0, _) => Some(reading.as_secs_f64()),
            // Reading and embedding overlap; the slower of the two is what it takes.
            (texts, Some(pace)) => Some(reading.as_secs_f64().max(texts as f64 / pace)),
            (_, None) => None,
        };
        forecast.cost =
            self.embedders.price(&settings.retrieval.embedder).map(|price| price * forecast.model_tokens as f64 / 1e6);
        forecast.bytes = disk(forecast.chunks, read, &spec, serving);
        forecast.added.sort();
        forecast.changed.sort();
        Ok(forecast)
    }

    /// In which parts a generation of `spec` is not what a build under `settings` would make; empty when it is.
    #[must_use]
    pub fn outdated(&self, settings: &TenantSettings, spec: &IndexSpec) -> Vec<String> {
        let mut parts = Vec::new();
        let differ = |what: &str, has: &str, wanted: &str| {
            let says = || format!("{what}: the index has `{has}`, the settings want `{wanted}`");
            (has != wanted).then(says)
        };
        if let Ok(embedder) = self.embedders.get(&self.payer, &settings.retrieval.embedder) {
            parts.extend(differ("embedder", &spec.embedder, embedder.id()));
            if spec.embedder == embedder.id() {
                parts.extend(other_length(spec.dimension, embedder.last_dimension()));
            }
            let chunker = super::chunker(&super::fitting(&settings.chunking, &*embedder));
            parts.extend(differ("chunker", &spec.chunker, &chunker));
        }
        let versions = [
            ("reader", spec.parser, crate::ingest::PARSER_VERSION),
            ("analyser", spec.analyser, crate::index::ANALYSER_VERSION),
        ];
        for (what, has, wanted) in versions {
            parts.extend(differ(what, &format!("version {has}"), &format!("version {wanted}")));
        }
        parts
    }
}

/// What is to be said when the embedder gave vectors of another length lately: the model behind its name is another one.
fn other_length(has: usize, lately: Option<usize>) -> Option<String> {
    let lately = lately.filter(|lately| *lately != has)?;
    Some(format!("embedder: the index has vectors of {has} numbers, the provider gives {lately}: reindex"))
}

impl Forecast {
    fn count(
        &mut self,
        id: DocumentId,
        cut: &Cut,
        serving: Option<&Snapshot>,
        embedder: &dyn Embedder,
        sample: &mut Vec<String>,
    ) {
        self.chunks += cut.chunks();
        for text in cut.texts() {
            self.texts_embedded += 1;
            self.model_tokens += embedder.count_tokens(text) as u64;
            if sample.len() < SAMPLE {
                sample.push(text.to_owned());
            }
        }
        let known = serving.and_then(|serving| serving.document(&id));
        match known {
            None => self.added.push(id),
            Some(known) if cut.is_carried() && cut.is_as(&known) => self.unchanged += 1,
            Some(_) => self.changed.push(id),
        }
    }
}

/// Texts a second of an embedder, and model tokens it reads of each beside those that are counted, by having it embed some.
async fn measured(embedder: &dyn Embedder, sample: &[String]) -> Result<(f64, u64), EmbedError> {
    let begun = Instant::now();
    let vectors = embedder.embed(sample, Purpose::Passage).await?;
    let pace = sample.len() as f64 / begun.elapsed().max(Duration::from_micros(1)).as_secs_f64();
    let counted: usize = sample.iter().map(|text| embedder.count_tokens(text)).sum();
    Ok((pace, vectors.model_tokens.saturating_sub(counted as u64) / sample.len() as u64))
}

/// Bytes on disk of so many chunks made of documents of `read` bytes: words as dense as the serving generation has them.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bytes on a disk are neither negative nor many"
)]
fn disk(chunks: u64, read: u64, spec: &IndexSpec, serving: Option<&Snapshot>) -> u64 {
    let of_chunks = |chunks: u64, dimension: usize| {
        let copies = if chunks > GRAPH_FROM { 2 } else { 1 };
        chunks * (BYTES_A_CHUNK + dimension as u64 * BYTES_A_NUMBER * copies)
    };
    let dense = serving.and_then(|serving| {
        let (info, bytes) = (serving.info(), serving.documents().map(|entry| entry.bytes).sum::<u64>());
        let words = info.bytes.saturating_sub(of_chunks(info.chunks, info.spec.dimension));
        (bytes > 0 && words > 0).then(|| words as f64 / bytes as f64)
    });
    of_chunks(chunks, spec.dimension) + (read as f64 * dense.unwrap_or(BYTES_A_BYTE)) as u64
}

//! Where the parts meet: question → answer, documents → generation.
//!
//! Owns no state of a tenant: it is handed snapshots, stored documents and settings, and gives back answers and written
//! documents. Called by `actors/` and `cli/`; knows nothing of HTTP.

mod ask;
mod build;
mod cite;
mod compare;
mod embedding;
mod eval;
mod explain;
mod forecast;
mod gate;
mod meaning;
mod measure;
mod pick;
mod prepare;
mod queue;
mod scoring;
mod search;
mod ticket;
mod why_not;

use std::sync::Arc;

pub use ask::{Found, Told};
pub use build::{Build, BuildError, Donors, Pipeline, Step};
pub use compare::{Alike, Change, Comparison, Moved};
pub use eval::{Per, Scores, SpanScores};
pub use explain::{Candidacy, ExplainedHit, Explanation, Fused, ListShare, RerankMove};
pub use forecast::Forecast;
pub use measure::{IngestionSpeed, SearchSpeed, Spread, measure_search};
pub use prepare::{PrepareError, Prepared};
pub use scoring::{EvidenceScores, QuoteScores};
pub use search::SearchError;
pub use ticket::Ticket;
pub use why_not::{ChunkFate, Fate, ListPlace, Loss};

use crate::answer::Answerers;
use crate::config::{ChunkingSettings, TenantSettings};
use crate::domain::TenantId;
use crate::embed::{EmbedError, Embedder, Embedders, Purpose};
use crate::index::{ANALYSER_VERSION, IndexSpec};
use crate::ingest::{CHUNKER_VERSION, Extractor, PARSER_VERSION};
use crate::provider::Payer;
use crate::rerank::Rerankers;

/// The parts every tenant shares, as one of them uses them; cheap to clone.
#[derive(Clone)]
pub struct Engine {
    payer: Payer,
    embedders: Arc<Embedders>,
    rerankers: Arc<Rerankers>,
    answerers: Arc<Answerers>,
    extractor: Extractor,
}

impl Engine {
    /// Joins the parts.
    #[must_use]
    pub fn new(embedders: Embedders, rerankers: Rerankers, answerers: Answerers, extractor: Extractor) -> Self {
        let (embedders, rerankers, answerers) = (Arc::new(embedders), Arc::new(rerankers), Arc::new(answerers));
        Self { payer: None, embedders, rerankers, answerers, extractor }
    }

    /// The same parts, with calls to providers made for a tenant.
    #[must_use]
    pub fn of(self, tenant: &TenantId) -> Self {
        Self { payer: Some(tenant.clone()), ..self }
    }

    /// Loads the built-in model; done by the first text it embeds otherwise.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub async fn warm_up(&self) -> Result<(), EmbedError> {
        self.embedders.warm_up().await
    }

    /// The embedder that made a generation's vectors, by the id its spec names.
    ///
    /// # Errors
    /// When its provider is no longer in `carrel.toml`.
    pub fn embedder_of(&self, spec: &IndexSpec) -> Result<Arc<dyn Embedder>, EmbedError> {
        self.embedders.by_id(&self.payer, &spec.embedder)
    }

    /// What a generation built now under `settings` would be made with. Asks a provider for one vector, since the model
    /// behind its name, and so the length of its vectors, may have changed.
    ///
    /// # Errors
    /// When that provider does not answer.
    pub async fn spec(&self, settings: &TenantSettings) -> Result<IndexSpec, EmbedError> {
        let embedder = self.embedders.get(&self.payer, &settings.retrieval.embedder)?;
        let dimension = match embedder.dimension() {
            Some(dimension) => dimension,
            None => embedder.embed(&["dimension".to_owned()], Purpose::Question).await?.vectors[0].len(),
        };
        let chunking = fitting(&settings.chunking, &*embedder);
        Ok(IndexSpec {
            embedder: embedder.id().to_owned(),
            dimension,
            parser: PARSER_VERSION,
            chunker: chunker(&chunking),
            analyser: ANALYSER_VERSION,
        })
    }
}

/// The chunker as a spec names it.
fn chunker(chunking: &ChunkingSettings) -> String {
    format!("v{CHUNKER_VERSION} max={} overlap={}", chunking.max_tokens, chunking.overlap_tokens)
}

/// The sizes that a spec's chunker names; the defaults where it names none.
fn chunking_of(chunker: &str) -> ChunkingSettings {
    let number = |name: &str| chunker.split(' ').find_map(|part| part.strip_prefix(name)?.parse().ok());
    let default = ChunkingSettings::default();
    ChunkingSettings {
        max_tokens: number("max=").unwrap_or(default.max_tokens),
        overlap_tokens: number("overlap=").unwrap_or(default.overlap_tokens),
    }
}

/// Chunking as set, but never larger than what `embedder` reads: the rest would be cut off unseen.
fn fitting(wanted: &ChunkingSettings, embedder: &dyn Embedder) -> ChunkingSettings {
    let max_tokens = wanted.max_tokens.min(embedder.max_tokens());
    ChunkingSettings { max_tokens, overlap_tokens: wanted.overlap_tokens.min(max_tokens.div_ceil(2) - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_tells_how_its_documents_were_cut() {
        let cut = ChunkingSettings { max_tokens: 96, overlap_tokens: 7 };
        assert_eq!(chunking_of(&chunker(&cut)), cut);
        assert_eq!(chunking_of("something else"), ChunkingSettings::default());
    }
}

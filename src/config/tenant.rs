//! One tenant's settings: `tenants/<id>.toml`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{file, shown};
use crate::domain::Mode;

/// What one tenant's file says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantSettings {
    /// Name to show; empty shows the id.
    pub name: String,
    /// How much it may ask and keep.
    pub limits: LimitSettings,
    /// How it searches.
    pub retrieval: RetrievalSettings,
    /// How its documents are cut.
    pub chunking: ChunkingSettings,
    /// How it answers.
    pub answer: AnswerSettings,
    /// What a new generation must be able to do before it serves.
    pub quality: QualitySettings,
}

/// How much a tenant may ask and keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Questions and other requests a minute, steadily.
    pub queries_per_minute: u32,
    /// Of these at once, above the steady rate.
    pub burst: u32,
    /// Uploads and deletes a minute, steadily, which use up nothing of the questions; requests that follow jobs count here
    /// too. As many as `queries_per_minute` when unset.
    pub uploads_per_minute: Option<u32>,
    /// Of these at once, above the steady rate; as many as `burst` when unset.
    pub upload_burst: Option<u32>,
    /// Requests under way at the same time.
    pub concurrent_queries: usize,
    /// Documents kept.
    pub max_documents: u64,
    /// Bytes of documents kept.
    pub max_bytes: u64,
}

/// How a tenant searches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetrievalSettings {
    /// Mode when the question names none.
    pub mode: Mode,
    /// Hits when the question names no number, 1 to 50.
    pub top_k: usize,
    /// Who makes the vectors.
    pub embedder: EmbedderRef,
    /// Candidates each search brings to the fusion, 10 to 1000.
    pub candidates: usize,
    /// Chunks of one document among the hits of a question that names no number, 1 to 50.
    pub max_chunks_per_document: usize,
    /// Who orders the best candidates anew; nobody when unset.
    pub reranker: Option<ModelRef>,
    /// Candidates the reranker is shown, 1 to 200, and never fewer than the hits wanted.
    pub rerank_candidates: usize,
    /// Whole time the reranker may take.
    #[serde(rename = "rerank_timeout_s", deserialize_with = "file::seconds", serialize_with = "shown::seconds")]
    pub rerank_timeout: Duration,
}

/// How documents are cut.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChunkingSettings {
    /// Largest chunk in the embedder's model tokens, 32 to 512.
    pub max_tokens: usize,
    /// Model tokens repeated from the chunk before, below half of `max_tokens`.
    pub overlap_tokens: usize,
}

/// How a tenant answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerSettings {
    /// The chat model; none quotes sentences instead.
    pub model: Option<ModelRef>,
    /// Cosine below which a chunk is no evidence, -1 to 1.
    pub min_score: f32,
    /// Whole time the model may take.
    #[serde(rename = "timeout_s", deserialize_with = "file::seconds", serialize_with = "shown::seconds")]
    pub timeout: Duration,
    /// Longest answer, model tokens.
    pub max_output_tokens: u32,
    /// Extra instructions ahead of the passages.
    pub prompt: String,
}

/// What a new generation must be able to do before it serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QualitySettings {
    /// How far recall@10 or nDCG@10 on the golden questions may fall before a new generation is held back, 0 to 1.
    pub margin: f64,
    /// Whether the last hundred questions are remembered, in memory alone, to be asked of a new generation where there are
    /// no golden ones.
    pub query_log: bool,
}

/// `builtin`, or `<provider>/<model>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum EmbedderRef {
    /// The model inside the binary.
    #[default]
    Builtin,
    /// A provider's model.
    Remote(ModelRef),
}

/// `<provider>/<model>`: a provider of `carrel.toml` and a model it knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelRef {
    /// The provider's name in `carrel.toml`.
    pub provider: String,
    /// The model's name there; may hold `/`.
    pub model: String,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            queries_per_minute: 600,
            burst: 50,
            uploads_per_minute: None,
            upload_burst: None,
            concurrent_queries: 32,
            max_documents: 100_000,
            max_bytes: 10 << 30,
        }
    }
}

impl Default for RetrievalSettings {
    fn default() -> Self {
        Self {
            mode: Mode::Hybrid,
            top_k: 3,
            embedder: EmbedderRef::Builtin,
            candidates: 64,
            max_chunks_per_document: 3,
            reranker: None,
            rerank_candidates: 30,
            rerank_timeout: Duration::from_secs(3),
        }
    }
}

impl Default for ChunkingSettings {
    fn default() -> Self {
        Self { max_tokens: 200, overlap_tokens: 40 }
    }
}

impl Default for QualitySettings {
    fn default() -> Self {
        Self { margin: 0.02, query_log: false }
    }
}

impl Default for AnswerSettings {
    fn default() -> Self {
        Self { model: None, min_score: 0.25, timeout: twenty_seconds(), max_output_tokens: 512, prompt: String::new() }
    }
}

pub(super) fn twenty_seconds() -> Duration {
    Duration::from_secs(20)
}

impl TryFrom<String> for ModelRef {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once('/') {
            Some((provider, model)) if !provider.is_empty() && !model.is_empty() => {
                Ok(Self { provider: provider.into(), model: model.into() })
            }
            _ => Err(format!("`{text}` is no model: write `<provider>/<model>`")),
        }
    }
}

impl std::fmt::Display for ModelRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

impl From<ModelRef> for String {
    fn from(model: ModelRef) -> Self {
        model.to_string()
    }
}

impl From<EmbedderRef> for String {
    fn from(embedder: EmbedderRef) -> Self {
        embedder.to_string()
    }
}

impl TryFrom<String> for EmbedderRef {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text == "builtin" {
            return Ok(Self::Builtin);
        }
        ModelRef::try_from(text.clone())
            .map(Self::Remote)
            .map_err(|_| format!("`{text}` is no embedder: write `builtin` or `<provider>/<model>`"))
    }
}

impl std::fmt::Display for EmbedderRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Builtin => f.write_str("builtin"),
            Self::Remote(model) => model.fmt(f),
        }
    }
}

//! Text to vectors.
//!
//! Owns the embedders (the one in the binary, and any OpenAI-compatible provider) and the cache of question vectors.
//! Called by `engine/`; never reads documents or indexes.

mod hash;
mod minilm;
mod onnx;
mod openai;
mod pool;
mod registry;
mod tokens;

pub use hash::HashEmbedder;
pub use minilm::MiniLm;
pub use openai::OpenAiEmbedder;
pub use registry::Embedders;

use futures_util::future::BoxFuture;

/// Why texts have no vectors.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EmbedError {
    /// The provider did not answer in time or failed; worth another try later.
    #[error("the embedding provider `{provider}` is not available: {reason}")]
    Unavailable {
        /// Its name in `carrel.toml`.
        provider: String,
        /// In words; never the provider's own body.
        reason: String,
    },
    /// The provider takes no such texts, and would not later.
    #[error("the embedding provider `{provider}` refused: {reason}")]
    Refused {
        /// Its name in `carrel.toml`.
        provider: String,
        /// In words; never the provider's own body.
        reason: String,
    },
    /// The provider answered something that is no set of vectors.
    #[error("the embedding provider `{provider}` answered wrongly: {reason}")]
    Invalid {
        /// Its name in `carrel.toml`.
        provider: String,
        /// What is wrong.
        reason: String,
    },
    /// The model in the binary failed; a bug.
    #[error("the built-in embedder failed: {0}")]
    Builtin(String),
}

impl EmbedError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } | Self::Refused { .. } => "embedder_unavailable",
            Self::Invalid { .. } => "embedder_invalid",
            Self::Builtin(_) => "embedder_failed",
        }
    }
}

/// What texts are embedded for: questions go first and are never queued behind passages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A question somebody waits for.
    Question,
    /// Passages of a build.
    Passage,
}

/// Vectors and what they cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// One a text, in order, `[n_texts][dimension]`, each of unit length.
    pub vectors: Vec<Vec<f32>>,
    /// Model tokens read.
    pub model_tokens: u64,
}

/// Turns texts into vectors of unit length.
pub trait Embedder: Send + Sync {
    /// Names model and version; vectors of different ids are never compared.
    fn id(&self) -> &str;
    /// Length of its vectors; unknown for a provider until its first answer.
    fn dimension(&self) -> Option<usize>;
    /// Whether it knows more than English; if not, it gets no vote on other languages.
    fn multilingual(&self) -> bool;
    /// Model tokens it reads of a text; the rest would be cut off unseen.
    fn max_tokens(&self) -> usize;
    /// Model tokens in `text`, without special ones. For providers: counted by the built-in tokenizer.
    fn count_tokens(&self, text: &str) -> usize;
    /// Embeds `texts`, in batches as suits it.
    ///
    /// # Errors
    /// When any text fails: all or nothing.
    fn embed<'a>(&'a self, texts: &'a [String], purpose: Purpose) -> BoxFuture<'a, Result<Embedded, EmbedError>>;
}

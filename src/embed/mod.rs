//! Text to vectors.
//!
//! Owns the embedders (the one in the binary, and any OpenAI-compatible provider) and the cache of question vectors.
//! Called by `engine/`; never reads documents or indexes.

mod batches;
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

use crate::provider::{CallError, Reason};

/// Why texts have no vectors. As text each is safe for anybody; [`EmbedError::in_full`] has the provider's own words.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EmbedError {
    /// The provider did not answer in time or failed; worth another try later.
    #[error("the embedding provider `{provider}` is not available: {reason}")]
    Unavailable {
        /// Its name in `carrel.toml`.
        provider: String,
        /// Why.
        reason: Reason,
    },
    /// The provider does not take its key; an operator must look.
    #[error("the embedding provider `{provider}` does not take its key: {reason}")]
    Unauthorised {
        /// Its name in `carrel.toml`.
        provider: String,
        /// Why.
        reason: Reason,
    },
    /// The provider knows neither the address nor the model; an operator must look.
    #[error("the embedding provider `{provider}` does not know the model or the address: {reason}")]
    NotFound {
        /// Its name in `carrel.toml`.
        provider: String,
        /// Why.
        reason: Reason,
    },
    /// The provider takes no such texts, and would not later.
    #[error("the embedding provider `{provider}` refused: {reason}")]
    Refused {
        /// Its name in `carrel.toml`.
        provider: String,
        /// Why.
        reason: Reason,
    },
    /// A text is longer than the model reads, and would be later.
    #[error(
        "the embedding provider `{provider}` refused a text that is too long for the model: lower `chunking.max_tokens` \
         and reindex ({reason})"
    )]
    TooLong {
        /// Its name in `carrel.toml`.
        provider: String,
        /// Why.
        reason: Reason,
    },
    /// The provider answered something that is no set of vectors, or no vectors of the index.
    #[error("the embedding provider `{provider}` answered wrongly: {reason}")]
    Invalid {
        /// Its name in `carrel.toml`.
        provider: String,
        /// What is wrong.
        reason: Reason,
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
            Self::Unavailable { .. } | Self::Unauthorised { .. } | Self::NotFound { .. } => "embedder_unavailable",
            Self::Refused { .. } | Self::TooLong { .. } => "embedder_refused",
            Self::Invalid { .. } => "embedder_invalid",
            Self::Builtin(_) => "embedder_failed",
        }
    }

    /// Whether it speaks of the texts alone, so that others may go well; everything else is the provider's fault or the
    /// operator's, passes or is mended, and says nothing of a document.
    #[must_use]
    pub fn is_of_the_text(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::TooLong { .. })
    }

    /// Whether it ends when the provider comes back or an operator mends its address or key: worth waiting for.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Unauthorised { .. } | Self::NotFound { .. })
    }

    /// With the provider's own words, shortened and without keys and texts: for operators, and for the job that failed.
    #[must_use]
    pub fn in_full(&self) -> String {
        match self {
            Self::Unavailable { reason, .. }
            | Self::Unauthorised { reason, .. }
            | Self::NotFound { reason, .. }
            | Self::Refused { reason, .. }
            | Self::TooLong { reason, .. }
            | Self::Invalid { reason, .. } => self.to_string().replacen(&reason.to_string(), &reason.in_full(), 1),
            Self::Builtin(_) => self.to_string(),
        }
    }

    /// The error of a call to `provider`.
    pub(super) fn of_call(provider: &str, error: CallError) -> Self {
        let provider = provider.to_owned();
        match error {
            CallError::Unavailable(reason) => Self::Unavailable { provider, reason },
            CallError::Unauthorised(reason) => Self::Unauthorised { provider, reason },
            CallError::NotFound(reason) => Self::NotFound { provider, reason },
            CallError::TooLong(reason) => Self::TooLong { provider, reason },
            CallError::Refused(reason) => Self::Refused { provider, reason },
            CallError::Invalid(reason) => Self::Invalid { provider, reason },
        }
    }

    /// Vectors of another length than the index has: the model behind the name is another one.
    #[must_use]
    pub fn of_length(embedder: &str, found: usize, expected: usize) -> Self {
        let provider = embedder.split_once('/').map_or(embedder, |(provider, _)| provider).to_owned();
        let reason = format!(
            "it gives vectors of {found} numbers where the index has {expected}; if its model was changed, reindex"
        );
        Self::Invalid { provider, reason: reason.into() }
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
    /// Length of its vectors, where the program itself decides it; a provider is asked anew for each generation, since the
    /// model behind a name may change.
    fn dimension(&self) -> Option<usize>;
    /// Length of the vectors that it made last; none until then.
    fn last_dimension(&self) -> Option<usize> {
        self.dimension()
    }
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

//! Bytes to clean text to chunks.
//!
//! Owns the readers (one a format), the child process they run in, and the splitter. Called by `engine/`; never touches
//! stores, indexes or embedders.

use crate::config::{ChunkingSettings, IngestConfig};
use crate::domain::{Chunk, Extracted};

/// Changes whenever a reader's output for the same bytes may change; part of a generation's identity.
pub const PARSER_VERSION: u32 = 1;
/// Changes whenever the splitter's output for the same text may change.
pub const CHUNKER_VERSION: u32 = 1;

/// Why a document has no text: a stable code and words for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExtractError {
    /// Stable: `empty_file`, `unsupported_format`, `needs_password`, `no_text_found`, `damaged_file`, `too_large`,
    /// `extraction_timeout`, `extraction_memory`, `extraction_crashed`.
    pub code: &'static str,
    /// What happened and what to do, one sentence or two.
    pub message: String,
}

/// Runs readers in child processes, at most [`IngestConfig::workers`] at once.
#[derive(Clone)]
pub struct Extractor {}

impl Extractor {
    /// An extractor that starts `program` (this very binary) as `program extract-worker`.
    #[must_use]
    pub fn new(_config: &IngestConfig, _program: std::path::PathBuf) -> Self {
        todo!()
    }

    /// Extracts the text of `bytes`; `name` (a file name) only helps where content cannot tell formats apart.
    ///
    /// # Errors
    /// Typed, see [`ExtractError::code`]; a worker that dies, hangs or outgrows its limits fails this document alone.
    pub async fn extract(&self, _name: &str, _bytes: bytes::Bytes) -> Result<Extracted, ExtractError> {
        todo!()
    }
}

/// Cuts extracted text into chunks of at most `settings.max_tokens`, as counted by `count_tokens` over
/// [`Chunk::embedding_text`] or less.
///
/// Chunks are in order of start; `text[start..end] == chunk.text`; all text but white space is in some chunk.
#[must_use]
pub fn split(
    _extracted: &Extracted,
    _settings: &ChunkingSettings,
    _count_tokens: &dyn Fn(&str) -> usize,
) -> Vec<Chunk> {
    todo!()
}

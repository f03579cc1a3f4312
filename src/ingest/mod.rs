//! Bytes to clean text to chunks.
//!
//! Owns the readers (one a format), the child process they run in, and the splitter. Called by `engine/`; never touches
//! stores, indexes or embedders.
//!
//! ```text
//! Extractor ──stdin──▶ run_worker ─▶ extract_here ─▶ sniff ─▶ readers ─▶ Draft ─▶ Extracted ─▶ split ─▶ Vec<Chunk>
//!  (parent)  ◀─stdout─  (child, confined)
//! ```

mod codepage;
#[cfg(test)]
mod corpus;
mod draft;
mod encoding;
mod error;
mod extractor;
mod protocol;
mod readers;
mod sandbox;
mod sniff;
mod splitter;
mod worker;

pub use error::ExtractError;
pub use extractor::Extractor;
pub use readers::{ReadLimits, extract_here};
pub use sandbox::{Sandbox, probe as probe_sandbox};
pub use splitter::split;
pub use worker::run_worker;

/// Changes whenever a reader's output for the same bytes may change; part of a generation's identity.
pub const PARSER_VERSION: u32 = 4;
/// Changes whenever the splitter's output for the same text may change.
pub const CHUNKER_VERSION: u32 = 2;

//! Vectors and words to ranked hits.
//!
//! Owns generations on disk, the snapshots that queries read, fusion, and language analysis. `tantivy` and `usearch` stop
//! here. Called by `engine/` and `actors/`; never embeds, never reads documents.
//!
//! ```text
//! generations.rs  which generations there are, which serves: the folder
//! writer.rs       changes to one generation: upsert, remove, commit, seal
//! engine.rs       tantivy in its folder                                            open.rs      opening it, checked
//! snapshot.rs     one state of one generation, as queries read it
//!   words.rs      BM25, stored chunks and texts (tantivy)                        schema.rs    how they stand there
//!   vectors.rs    dense search: few vectors flat, many in graph.rs (usearch)
//!   telling.rs    why it finds what it finds, and the same without some documents
//!   catalog.rs    documents in memory: numbers, entries, hashes, languages
//!   progress.rs   what a build has so far, what failed its checks, notes beside a generation
//!   purge.rs      deleted text leaves the disk
//! cutter.rs       text to words     analysis.rs  words to terms     query.rs     a question to terms
//! language.rs     which language    fuse.rs      several lists to one
//! prose.rs        what has a language at all                        mix.rs       the languages of an index
//! manifest.rs     checksums         files.rs     whole or absent    error.rs     why not
//! ```

mod analysis;
mod catalog;
mod cutter;
mod engine;
mod error;
#[cfg(test)]
mod faults;
mod files;
mod fuse;
mod generations;
mod graph;
mod language;
mod manifest;
mod mix;
mod open;
mod progress;
mod prose;
mod purge;
mod query;
mod schema;
mod snapshot;
mod telling;
#[cfg(test)]
mod tests;
mod vectors;
mod wanted;
mod words;
mod writer;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use analysis::ANALYSER_VERSION;
pub use catalog::{document_of, key_of};
pub use error::IndexError;
pub use fuse::{FusedShare, fuse, fused_shares};
pub use generations::Generations;
pub use snapshot::Snapshot;
pub use writer::GenerationWriter;

use crate::domain::{Attributes, Chunk, ContentHash, DocumentId, Timestamp};

/// What a generation is made with; a difference makes another generation necessary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexSpec {
    /// [`crate::embed::Embedder::id`].
    pub embedder: String,
    /// Length of its vectors.
    pub dimension: usize,
    /// Parser version.
    pub parser: u32,
    /// Chunker version and settings, as text.
    pub chunker: String,
    /// Analyser version.
    pub analyser: u32,
}

/// A generation as one can list it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenerationInfo {
    /// Its number, from 1, never used twice.
    pub number: u64,
    /// When its build ended.
    pub made_at: Timestamp,
    /// Why it was made: `boot`, `reindex`, `settings`, `damage`.
    pub reason: String,
    /// Documents in it.
    pub documents: u64,
    /// Chunks in it.
    pub chunks: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// What it was made with.
    pub spec: IndexSpec,
}

/// What the index keeps of one document, beside its text and chunks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DocumentEntry {
    /// Id within the tenant.
    pub id: DocumentId,
    /// Name to show.
    pub name: String,
    /// Title, or an empty string.
    pub title: String,
    /// Format.
    pub kind: String,
    /// BLAKE3 of the bytes it was made from.
    pub content_hash: ContentHash,
    /// Size of those bytes.
    pub bytes: u64,
    /// Chunks.
    pub chunks: u32,
    /// Pages or slides, where the format has such.
    pub pages: Option<u32>,
    /// What was lost in extraction.
    pub warnings: Vec<String>,
    /// The caller's facts.
    pub attributes: Attributes,
    /// BCP 47 primary language found, `und` when unknown.
    pub language: String,
    /// Bytes of prose that say so, up to a bound; unset by a Carrel that did not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prose: Option<u32>,
}

/// A document ready to be written: entry, whole text, chunks with their vectors (`[chunks][dimension]`, unit length).
#[derive(Debug, Clone, PartialEq)]
pub struct IndexedDocument {
    /// The entry; `entry.chunks == chunks.len()`; `entry.language` and `entry.prose` are set by the writer.
    pub entry: DocumentEntry,
    /// Extracted text.
    pub text: Arc<str>,
    /// Chunks in order.
    pub chunks: Vec<Chunk>,
    /// One a chunk.
    pub vectors: Vec<Vec<f32>>,
}

/// A term of a question, and what it weighs in every chunk.
#[derive(Debug, Clone, PartialEq)]
pub struct TermWeight {
    /// The term, as the analyser made it.
    pub term: String,
    /// How often the question names it.
    pub times: u32,
    /// What it counts: 1 for the question's own words, less for parts and relatives of them.
    pub weight: f32,
    /// Chunks it stands in, or another form that its word takes in another language.
    pub chunks: u64,
    /// How rare it is: BM25's inverse document frequency.
    pub idf: f32,
}

/// What a term of a question adds to the BM25 score of a chunk; what all add sums to the score.
#[derive(Debug, Clone, PartialEq)]
pub struct TermShare {
    /// The term.
    pub term: String,
    /// As in [`TermWeight`].
    pub idf: f32,
    /// How often it stands in the chunk.
    pub frequency: u32,
    /// What it adds.
    pub score: f32,
}

/// A language that documents are in.
#[derive(Debug, Clone, PartialEq)]
pub struct LanguageShare {
    /// BCP 47 primary, `und` for documents of none: logs, tables, code, lists.
    pub language: String,
    /// Documents in it.
    pub documents: u64,
    /// Its share of all prose, 0 to 1; a long document counts no more than four pages.
    pub prose: f32,
}

/// What a filter lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// Documents.
    pub documents: u64,
    /// Their chunks.
    pub chunks: u64,
}

/// A stored chunk, fetched by key.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredChunk {
    /// Its document's entry.
    pub document: Arc<DocumentEntry>,
    /// The chunk.
    pub chunk: Chunk,
}

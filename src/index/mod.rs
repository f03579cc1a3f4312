//! Vectors and words to ranked hits.
//!
//! Owns generations on disk, the snapshots that queries read, fusion, and language analysis. `tantivy` and `usearch` stop
//! here. Called by `engine/` and `actors/`; never embeds, never reads documents.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::{Attributes, Chunk, ContentHash, DocumentId, Filter, Ranked, Timestamp};

/// Why an index does not open, write or answer.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The disk refused. `no_space` tells a full disk from other faults.
    #[error("cannot {action} the index: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what its checksum says, or cannot be understood.
    #[error("generation {generation} is damaged: {file}: {reason}")]
    Damaged {
        /// The generation.
        generation: u64,
        /// The file within it.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A newer Carrel made it.
    #[error("generation {generation} was written by a newer Carrel (schema {found}, this one knows {known})")]
    Newer {
        /// The generation.
        generation: u64,
        /// Schema found.
        found: u32,
        /// Schema known.
        known: u32,
    },
    /// The engine below failed.
    #[error("the index engine failed: {0}")]
    Engine(String),
}

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
}

/// A document ready to be written: entry, whole text, chunks with their vectors (`[chunks][dimension]`, unit length).
#[derive(Debug, Clone, PartialEq)]
pub struct IndexedDocument {
    /// The entry; `entry.chunks == chunks.len()`; `entry.language` is set by the writer.
    pub entry: DocumentEntry,
    /// Extracted text.
    pub text: Arc<str>,
    /// Chunks in order.
    pub chunks: Vec<Chunk>,
    /// One a chunk.
    pub vectors: Vec<Vec<f32>>,
}

/// A stored chunk, fetched by key.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredChunk {
    /// Its document's entry.
    pub document: Arc<DocumentEntry>,
    /// The chunk.
    pub chunk: Chunk,
}

/// A tenant's generations on disk: `data/<id>/`.
#[derive(Debug, Clone)]
pub struct Generations {
    _dir: PathBuf,
}

/// One generation that is being written: a new one, or small changes to the serving one.
pub struct GenerationWriter {}

/// One state of one generation, as queries read it. Cheap to clone, never changes.
#[derive(Clone)]
pub struct Snapshot {}

impl Generations {
    /// The generations under `data_dir/<tenant>`; creates nothing until one is begun.
    #[must_use]
    pub fn new(tenant_dir: &Path) -> Self {
        Self { _dir: tenant_dir.to_owned() }
    }

    /// Removes what a dead build left and generations that nothing names; called once at boot.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sweep(&self) -> Result<(), IndexError> {
        todo!()
    }

    /// Opens the generation that serves, after its checksums held; `None` when there is none yet.
    ///
    /// # Errors
    /// [`IndexError::Damaged`] and [`IndexError::Newer`] name the file; the caller decides whether to rebuild.
    pub fn open_current(&self) -> Result<Option<GenerationWriter>, IndexError> {
        todo!()
    }

    /// Opens generation `number`, checked alike.
    ///
    /// # Errors
    /// As [`Generations::open_current`]; an unknown number is `Damaged` with file `manifest.json`.
    pub fn open(&self, _number: u64) -> Result<GenerationWriter, IndexError> {
        todo!()
    }

    /// Moves a damaged generation aside (`<number>.damaged`), so that a rebuild can take its place.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn quarantine(&self, _number: u64) -> Result<(), IndexError> {
        todo!()
    }

    /// Begins a new generation with the next number.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn begin(&self, _spec: &IndexSpec, _reason: &str) -> Result<GenerationWriter, IndexError> {
        todo!()
    }

    /// Makes `writer`'s generation the one that serves after the next boot: seals it (vectors, manifest, fsync), then
    /// renames `current`. The writer stays usable for small changes.
    ///
    /// # Errors
    /// When the disk refuses; then `current` names what it named before.
    pub fn publish(&self, _writer: &mut GenerationWriter) -> Result<Snapshot, IndexError> {
        todo!()
    }

    /// Every whole generation, newest first.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn list(&self) -> Result<Vec<GenerationInfo>, IndexError> {
        todo!()
    }

    /// Deletes all but the serving generation and the `keep - 1` newest others. Files that a snapshot still reads stay
    /// readable until it lets go.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn prune(&self, _keep: usize) -> Result<(), IndexError> {
        todo!()
    }

    /// Deletes everything, for a tenant that is removed.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn destroy(&self) -> Result<(), IndexError> {
        todo!()
    }
}

impl GenerationWriter {
    /// Adds a document, in place of one of the same id.
    ///
    /// # Errors
    /// When the engine fails; nothing is visible before [`GenerationWriter::commit`].
    pub fn upsert(&mut self, _document: IndexedDocument) -> Result<(), IndexError> {
        todo!()
    }

    /// Removes a document; false when it is not there.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn remove(&mut self, _id: &DocumentId) -> Result<bool, IndexError> {
        todo!()
    }

    /// Makes the changes since the last commit durable and readable, in one step, and frees the writer's memory.
    ///
    /// # Errors
    /// When the disk or the engine fails; then the last commit stands and the writer is as after it.
    pub fn commit(&mut self) -> Result<Snapshot, IndexError> {
        todo!()
    }

    /// The last committed state.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        todo!()
    }
}

impl Snapshot {
    /// The generation this is a state of.
    #[must_use]
    pub fn info(&self) -> GenerationInfo {
        todo!()
    }

    /// Number alone, without counting anything.
    #[must_use]
    pub fn generation(&self) -> u64 {
        todo!()
    }

    /// Counts commits within the generation; grows with each.
    #[must_use]
    pub fn revision(&self) -> u64 {
        todo!()
    }

    /// The document of this id.
    #[must_use]
    pub fn document(&self, _id: &DocumentId) -> Option<Arc<DocumentEntry>> {
        todo!()
    }

    /// Any document made from the same bytes.
    #[must_use]
    pub fn document_with(&self, _hash: &ContentHash) -> Option<Arc<DocumentEntry>> {
        todo!()
    }

    /// All documents, by id.
    pub fn documents(&self) -> impl Iterator<Item = Arc<DocumentEntry>> + '_ {
        std::iter::empty()
    }

    /// The whole extracted text of a document.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn text(&self, _id: &DocumentId) -> Result<Option<Arc<str>>, IndexError> {
        todo!()
    }

    /// The document as it was written, vectors and all, to carry into another generation.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn export(&self, _id: &DocumentId) -> Result<Option<IndexedDocument>, IndexError> {
        todo!()
    }

    /// The chunk of `key`.
    ///
    /// # Errors
    /// When the engine fails; `None` when the key is gone.
    pub fn chunk(&self, _key: u64) -> Result<Option<StoredChunk>, IndexError> {
        todo!()
    }

    /// The `depth` best chunks by words (BM25, k1 1.2, b 0.75), best first.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn search_words(
        &self,
        _question: &str,
        _filter: Option<&Filter>,
        _depth: usize,
    ) -> Result<Vec<Ranked>, IndexError> {
        todo!()
    }

    /// The `depth` best chunks by cosine to `vector`, best first.
    ///
    /// # Errors
    /// When the engine fails, or `vector` has another dimension.
    pub fn search_dense(
        &self,
        _vector: &[f32],
        _filter: Option<&Filter>,
        _depth: usize,
    ) -> Result<Vec<Ranked>, IndexError> {
        todo!()
    }

    /// Language of a question, judged with the index's own languages in mind; BCP 47 primary, `und` when unknown.
    #[must_use]
    pub fn language_of(&self, _question: &str) -> &'static str {
        todo!()
    }
}

/// A document's number within its generation, from a chunk's key: chunks of one document share it.
#[must_use]
pub fn document_of(key: u64) -> u64 {
    key >> 20
}

/// Fuses ranked lists by reciprocal rank (Cormack et al. 2009): each list adds `weight / (60 + rank)`.
///
/// Independent of the order of lists; ties go to the smaller key. Best first, at most `depth`.
#[must_use]
pub fn fuse(_lists: &[(f32, &[Ranked])], _depth: usize) -> Vec<Ranked> {
    todo!()
}

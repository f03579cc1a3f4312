//! One stored document → ready to be written: carried over where nothing changed, else extracted, cut and embedded.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::build::Donors;
use super::{Engine, Ticket};
use crate::config::ChunkingSettings;
use crate::domain::{ContentHash, DocumentId, JobProblem, MarkKind, StageName};
use crate::embed::{EmbedError, Embedder};
use crate::index::{DocumentEntry, IndexError, IndexSpec, IndexedDocument};
use crate::ingest::{self, ExtractError};
use crate::store::{StoreError, StoredDocument, TenantDocuments};
use crate::telemetry::{self, Invariant};

/// Why one document is not ready. The others go on.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// It was deleted meanwhile.
    #[error("the document is gone")]
    Gone,
    /// It has no text.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// Its vectors cannot be made.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// Its bytes cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What it was before cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// It is not wanted any more.
    #[error("the work on the document was stopped")]
    Stopped,
    /// A bug: its task died.
    #[error("preparing the document died: {0}")]
    Died(String),
}

impl PrepareError {
    /// The problem as a document or job shows it.
    #[must_use]
    pub fn problem(&self) -> JobProblem {
        let code = match self {
            Self::Gone => "document_gone",
            Self::Extract(error) => error.code,
            Self::Embed(error) => error.code(),
            Self::Store(StoreError::TooLarge { .. }) => "too_large",
            Self::Store(StoreError::Denied { .. }) => "storage_denied",
            Self::Store(_) => "storage_failed",
            Self::Index(_) => "index_failed",
            Self::Stopped => "cancelled",
            Self::Died(_) => "internal",
        };
        let message = match self {
            Self::Embed(error) => error.in_full(),
            other => other.to_string(),
        };
        JobProblem::new(code, message)
    }

    /// The error of a task that did not come to its end; one that panicked is counted as a bug.
    pub(super) fn died(task: &JoinError) -> Self {
        if task.is_panic() {
            telemetry::invariant_violated(Invariant::NoPanic);
        }
        Self::Died(task.to_string())
    }

    /// Whether the cause lies outside the document, so that trying the same bytes again may succeed.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        !matches!(self, Self::Gone | Self::Extract(_))
    }
}

/// A document ready to be written, and what it cost.
#[derive(Debug)]
pub struct Prepared {
    /// The document.
    pub document: IndexedDocument,
    /// Its bytes' last change when they were read.
    pub stored: StoredDocument,
    /// Texts that had to be embedded.
    pub texts_embedded: u64,
    /// Model tokens that took.
    pub model_tokens: u64,
    /// Whether it was carried over whole.
    pub carried: bool,
}

/// A document cut into chunks, some of which have their vectors already.
pub(super) struct Cut {
    document: IndexedDocument,
    stored: StoredDocument,
    /// Chunks without a vector: their index and what the embedder is to read.
    missing: Vec<(usize, String)>,
    carried: bool,
}

impl Cut {
    /// Its chunks.
    pub fn chunks(&self) -> u64 {
        self.document.chunks.len() as u64
    }

    /// Bytes of its document.
    pub fn bytes(&self) -> u64 {
        self.stored.bytes
    }

    /// Texts without a vector yet.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.missing.iter().map(|(_, text)| text.as_str())
    }

    /// Copies of some of them.
    pub fn some_texts(&self, range: Range<usize>) -> impl Iterator<Item = String> {
        self.missing.get(range).unwrap_or_default().iter().map(|(_, text)| text.clone())
    }

    /// How many texts have no vector yet.
    pub fn missing(&self) -> usize {
        self.missing.len()
    }

    /// Puts the vectors of some texts into their chunks.
    pub fn fill(
        &mut self,
        range: Range<usize>,
        vectors: impl IntoIterator<Item = Vec<f32>>,
        spec: &IndexSpec,
    ) -> Result<(), EmbedError> {
        let mut vectors = vectors.into_iter();
        for (at, _) in self.missing.get(range).unwrap_or_default() {
            let vector = vectors.next().unwrap_or_default();
            if vector.len() != spec.dimension {
                return Err(EmbedError::of_length(&spec.embedder, vector.len(), spec.dimension));
            }
            self.document.vectors[*at] = vector;
        }
        Ok(())
    }

    /// Whether it was carried over whole.
    pub fn is_carried(&self) -> bool {
        self.carried
    }

    /// Whether a generation has it just so.
    pub fn is_as(&self, known: &DocumentEntry) -> bool {
        let entry = &self.document.entry;
        (entry.content_hash, &entry.name, &entry.attributes) == (known.content_hash, &known.name, &known.attributes)
    }

    pub fn ready(self, model_tokens: u64) -> Prepared {
        let texts_embedded = self.missing.len() as u64;
        Prepared { document: self.document, stored: self.stored, texts_embedded, model_tokens, carried: self.carried }
    }
}

/// What preparing a document needs to know beside its bytes.
#[derive(Clone)]
pub(super) struct Workshop {
    pub documents: TenantDocuments,
    pub spec: IndexSpec,
    pub chunking: ChunkingSettings,
    pub embedder: Arc<dyn Embedder>,
    /// Where unchanged documents and chunks are carried over from, the first that has them.
    pub donors: Donors,
    /// How long a provider that does not answer is waited for; none gives up at once.
    pub patience: Option<Duration>,
    /// Why the build waits, while it does.
    pub waiting: Waiting,
    /// Stops work on threads that cannot be dropped, once nobody wants any of it.
    pub stop: CancellationToken,
}

impl Workshop {
    /// Says why the build waits, or that it does not any more.
    pub fn say_waiting(&self, why: Option<EmbedError>) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Whether nobody wants the work on a document any more.
    fn is_stopped(&self, ticket: &Ticket) -> bool {
        ticket.is_stopped() || self.stop.is_cancelled()
    }
}

/// What a build waits for, shared with whoever shows it.
pub(super) type Waiting = Arc<Mutex<Option<EmbedError>>>;

impl Engine {
    /// Reads a document and cuts it into chunks, carrying over what its donor has.
    ///
    /// Dropped, or stopped by its ticket, it ends within moments: a worker is killed, and what runs on a thread looks at
    /// the ticket.
    pub(super) async fn cut(&self, workshop: &Workshop, ticket: &Ticket) -> Result<Cut, PrepareError> {
        let id = ticket.id();
        ticket.at(StageName::Extract);
        let (known, wanted) = (workshop.clone(), id.clone());
        let carried = tokio::task::spawn_blocking(move || taken_over(&known, &wanted))
            .await
            .map_err(|task| PrepareError::died(&task))??;
        if let Some((stored, document)) = carried {
            let chunks = document.chunks.len() as u64;
            ticket.note(|progress| (progress.chunks, progress.chunks_embedded) = (chunks, chunks));
            return Ok(Cut { document, stored, missing: Vec::new(), carried: true });
        }
        // Read only now, so that what waits for a worker waits on disk and not in memory.
        let turn = self.extractor.turn(ticket.bytes()).await?;
        let (documents, wanted) = (workshop.documents.clone(), id.clone());
        let read = tokio::task::spawn_blocking(move || read(&documents, &wanted))
            .await
            .map_err(|task| PrepareError::died(&task))?;
        let (stored, hash, bytes) = read?;
        let begun = Instant::now();
        let extracted = self.extractor.extract_in(turn, &stored.name, bytes).await;
        telemetry::job_stage(StageName::Extract, begun.elapsed());
        let extracted = extracted?;
        ticket.at(StageName::Chunk);
        let (workshop, ticket) = (workshop.clone(), ticket.clone());
        tokio::task::spawn_blocking(move || {
            let (embedder, begun) = (Arc::clone(&workshop.embedder), Instant::now());
            // Counting is what takes the time: once it is not wanted, the rest is rushed through and thrown away.
            let count = |text: &str| if workshop.is_stopped(&ticket) { 0 } else { embedder.count_tokens(text) };
            let chunks = ingest::split(&extracted, &workshop.chunking, &count);
            if workshop.is_stopped(&ticket) {
                return Err(PrepareError::Stopped);
            }
            telemetry::job_stage(StageName::Chunk, begun.elapsed());
            let pages = extracted
                .marks
                .iter()
                .filter(|mark| matches!(mark.kind, MarkKind::Page { .. } | MarkKind::Slide { .. }));
            let pages = u32::try_from(pages.count()).ok().filter(|pages| *pages > 0);
            let id = ticket.id().clone();
            let known = known_vectors(&workshop, &id)?;
            let texts: Vec<String> = chunks.iter().map(|chunk| chunk.embedding_text(&extracted.title)).collect();
            let vectors: Vec<Vec<f32>> =
                texts.iter().map(|text| known.get(text).cloned().unwrap_or_default()).collect();
            let missing: Vec<(usize, String)> =
                texts.into_iter().enumerate().filter(|(at, _)| vectors[*at].is_empty()).collect();
            let entry = DocumentEntry {
                id,
                name: stored.name.clone(),
                title: extracted.title,
                kind: extracted.kind,
                content_hash: hash,
                bytes: stored.bytes,
                chunks: u32::try_from(chunks.len()).unwrap_or(u32::MAX),
                pages,
                warnings: extracted.warnings,
                attributes: stored.attributes.clone(),
                language: String::new(),
                prose: None,
            };
            ticket.note(|progress| {
                progress.chunks = chunks.len() as u64;
                progress.chunks_embedded = (chunks.len() - missing.len()) as u64;
            });
            let document = IndexedDocument { entry, text: extracted.text.into(), chunks, vectors };
            Ok(Cut { document, stored, missing, carried: false })
        })
        .await
        .map_err(|task| PrepareError::died(&task))?
    }
}

/// A document with its bytes and their hash.
fn read(documents: &TenantDocuments, id: &DocumentId) -> Result<(StoredDocument, ContentHash, Bytes), PrepareError> {
    let (stored, bytes) = documents.read(id)?.ok_or(PrepareError::Gone)?;
    let hash = stored.content_hash.unwrap_or_else(|| ContentHash::of(&bytes));
    Ok((stored, hash, bytes))
}

/// The document as a donor has it, if one has its bytes. Takes milliseconds: it reads the whole document, and of a donor
/// all its chunks and vectors.
fn taken_over(workshop: &Workshop, id: &DocumentId) -> Result<Option<(StoredDocument, IndexedDocument)>, PrepareError> {
    let (stored, hash, _) = read(&workshop.documents, id)?;
    Ok(carried(workshop, &stored, hash)?.map(|document| (stored, document)))
}

/// The document as a donor has it, when the same bytes would come out the same.
fn carried(
    workshop: &Workshop,
    stored: &StoredDocument,
    hash: ContentHash,
) -> Result<Option<IndexedDocument>, IndexError> {
    for donor in (workshop.donors)().iter().filter(|donor| *donor.spec() == workshop.spec) {
        let same = donor.document(&stored.id).filter(|entry| entry.content_hash == hash);
        // The reader may go by the name's ending where content cannot tell, so a twin must share it.
        let twin = || donor.document_with(&hash).filter(|entry| ending(&entry.name) == ending(&stored.name));
        let Some(entry) = same.or_else(twin) else { continue };
        let Some(mut document) = donor.export(&entry.id)? else { continue };
        document.entry.id = stored.id.clone();
        document.entry.name.clone_from(&stored.name);
        document.entry.attributes = stored.attributes.clone();
        return Ok(Some(document));
    }
    Ok(None)
}

fn ending(name: &str) -> Option<String> {
    Path::new(name).extension().map(|ending| ending.to_string_lossy().to_lowercase())
}

/// The vectors that the donors have of this document's chunks, by what the embedder read.
fn known_vectors(workshop: &Workshop, id: &DocumentId) -> Result<HashMap<String, Vec<f32>>, IndexError> {
    let mut known = HashMap::new();
    let wanted = &workshop.spec;
    let fits = |spec: &IndexSpec| spec.embedder == wanted.embedder && spec.dimension == wanted.dimension;
    for donor in (workshop.donors)().iter().filter(|donor| fits(donor.spec())) {
        let Some(old) = donor.export(id)? else { continue };
        let title = old.entry.title;
        known.extend(old.chunks.iter().map(|chunk| chunk.embedding_text(&title)).zip(old.vectors));
    }
    Ok(known)
}

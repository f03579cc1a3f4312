//! One stored document → ready to be written: carried over where nothing changed, else extracted, cut and embedded.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinError;

use super::Engine;
use crate::config::ChunkingSettings;
use crate::domain::{ContentHash, DocumentId, JobProblem, MarkKind, StageName};
use crate::embed::{EmbedError, Embedded, Embedder, Purpose};
use crate::index::{DocumentEntry, IndexError, IndexSpec, IndexedDocument, Snapshot};
use crate::ingest::{self, ExtractError};
use crate::store::{StoreError, StoredDocument, TenantDocuments};
use crate::telemetry::{self, Invariant};

/// Pauses before a provider that does not answer is asked again; the last repeats. A provider's own attempts, with their
/// pauses, are within each.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

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
            Self::Store(_) => "storage_failed",
            Self::Index(_) => "index_failed",
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

    /// Whether it was carried over whole.
    pub fn is_carried(&self) -> bool {
        self.carried
    }

    /// Whether a generation has it just so.
    pub fn is_as(&self, known: &DocumentEntry) -> bool {
        let entry = &self.document.entry;
        (entry.content_hash, &entry.name, &entry.attributes) == (known.content_hash, &known.name, &known.attributes)
    }

    fn ready(self, texts_embedded: u64, model_tokens: u64) -> Prepared {
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
    pub donors: Vec<Snapshot>,
    /// How long a provider that does not answer is waited for; none gives up at once.
    pub patience: Option<Duration>,
    /// Why the build waits, while it does.
    pub waiting: Waiting,
}

/// What a build waits for, shared with whoever shows it.
pub(super) type Waiting = Arc<Mutex<Option<EmbedError>>>;

impl Engine {
    /// Reads a document and cuts it into chunks, carrying over what its donor has.
    pub(super) async fn cut(&self, workshop: &Workshop, id: &DocumentId) -> Result<Cut, PrepareError> {
        let (known, wanted) = (workshop.clone(), id.clone());
        let carried = tokio::task::spawn_blocking(move || taken_over(&known, &wanted))
            .await
            .map_err(|task| PrepareError::died(&task))??;
        if let Some((stored, document)) = carried {
            return Ok(Cut { document, stored, missing: Vec::new(), carried: true });
        }
        // Read only now, so that what waits for a worker waits on disk and not in memory.
        let turn = self.extractor.turn().await?;
        let (documents, wanted) = (workshop.documents.clone(), id.clone());
        let read = tokio::task::spawn_blocking(move || read(&documents, &wanted))
            .await
            .map_err(|task| PrepareError::died(&task))?;
        let (stored, hash, bytes) = read?;
        let begun = Instant::now();
        let extracted = self.extractor.extract_in(turn, &stored.name, bytes).await;
        telemetry::job_stage(StageName::Extract, begun.elapsed());
        let extracted = extracted?;
        let (workshop, id) = (workshop.clone(), id.clone());
        tokio::task::spawn_blocking(move || {
            let (embedder, begun) = (Arc::clone(&workshop.embedder), Instant::now());
            let chunks = ingest::split(&extracted, &workshop.chunking, &|text| embedder.count_tokens(text));
            telemetry::job_stage(StageName::Chunk, begun.elapsed());
            let pages = extracted
                .marks
                .iter()
                .filter(|mark| matches!(mark.kind, MarkKind::Page { .. } | MarkKind::Slide { .. }));
            let pages = u32::try_from(pages.count()).ok().filter(|pages| *pages > 0);
            let known = known_vectors(&workshop, &id)?;
            let texts: Vec<String> = chunks.iter().map(|chunk| chunk.embedding_text(&extracted.title)).collect();
            let vectors: Vec<Vec<f32>> =
                texts.iter().map(|text| known.get(text).cloned().unwrap_or_default()).collect();
            let missing = texts.into_iter().enumerate().filter(|(at, _)| vectors[*at].is_empty()).collect();
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
            let document = IndexedDocument { entry, text: extracted.text.into(), chunks, vectors };
            Ok(Cut { document, stored, missing, carried: false })
        })
        .await
        .map_err(|task| PrepareError::died(&task))?
    }

    /// Gives a group of cut documents their vectors with as few calls as the embedder likes.
    ///
    /// When the call for the whole group fails, each document is tried alone, so that one cannot fail the others.
    pub(super) async fn embed(
        &self,
        workshop: &Workshop,
        group: Vec<Cut>,
    ) -> Vec<(StoredDocument, Result<Prepared, PrepareError>)> {
        let texts: Vec<String> =
            group.iter().flat_map(|cut| cut.missing.iter().map(|(_, text)| text.clone())).collect();
        if texts.is_empty() {
            return group.into_iter().map(|cut| (cut.stored.clone(), Ok(cut.ready(0, 0)))).collect();
        }
        match patiently(workshop, &texts).await {
            Ok(embedded) => {
                let (each, rest) =
                    (embedded.model_tokens / texts.len() as u64, embedded.model_tokens % texts.len() as u64);
                // What does not divide is the first document's, so that the sum is what was counted.
                let mut beside = std::iter::once(rest).chain(std::iter::repeat(0));
                let mut vectors = embedded.vectors.into_iter();
                group
                    .into_iter()
                    .map(|cut| {
                        let tokens = cut.missing.len() as u64 * each + beside.next().unwrap_or_default();
                        (cut.stored.clone(), filled(cut, &mut vectors, tokens, &workshop.spec))
                    })
                    .collect()
            }
            Err(error) if group.len() == 1 => {
                group.into_iter().map(|cut| (cut.stored, Err(error.clone().into()))).collect()
            }
            Err(_) => {
                let mut all = Vec::with_capacity(group.len());
                for cut in group {
                    all.extend(Box::pin(self.embed(workshop, vec![cut])).await);
                }
                all
            }
        }
    }
}

/// Embeds passages; while the provider does not answer, waits and tries again as long as the build's patience lasts.
async fn patiently(workshop: &Workshop, texts: &[String]) -> Result<Embedded, EmbedError> {
    let begun = Instant::now();
    let mut pauses = PAUSES.iter().chain(std::iter::repeat(&PAUSES[PAUSES.len() - 1]));
    let say = |why: Option<EmbedError>| *workshop.waiting.lock().unwrap_or_else(PoisonError::into_inner) = why;
    loop {
        let asked = Instant::now();
        let embedded = workshop.embedder.embed(texts, Purpose::Passage).await;
        telemetry::job_stage(StageName::Embed, asked.elapsed());
        let patient = workshop.patience.is_some_and(|patience| begun.elapsed() < patience);
        let error = match embedded {
            Err(error) if error.may_pass() => error,
            other => {
                say(None);
                return other;
            }
        };
        let pause = pauses.next().filter(|_| patient);
        let Some(pause) = pause else {
            say(None);
            return Err(error);
        };
        say(Some(error));
        tokio::time::sleep(*pause).await;
    }
}

/// Puts the next vectors into the chunks that miss one.
fn filled(
    mut cut: Cut,
    vectors: &mut impl Iterator<Item = Vec<f32>>,
    tokens: u64,
    spec: &IndexSpec,
) -> Result<Prepared, PrepareError> {
    let count = cut.missing.len() as u64;
    for (at, _) in std::mem::take(&mut cut.missing) {
        let vector = vectors.next().unwrap_or_default();
        if vector.len() != spec.dimension {
            return Err(EmbedError::of_length(&spec.embedder, vector.len(), spec.dimension).into());
        }
        cut.document.vectors[at] = vector;
    }
    Ok(cut.ready(count, tokens))
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
    for donor in workshop.donors.iter().filter(|donor| *donor.spec() == workshop.spec) {
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
    for donor in workshop.donors.iter().filter(|donor| fits(donor.spec())) {
        let Some(old) = donor.export(id)? else { continue };
        let title = old.entry.title;
        known.extend(old.chunks.iter().map(|chunk| chunk.embedding_text(&title)).zip(old.vectors));
    }
    Ok(known)
}

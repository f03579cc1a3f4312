//! Documents → a generation: the pipeline that a rebuild and an upload share.
//!
//! Extraction, embedding and writing overlap and are bounded: a few documents are being extracted, a few groups
//! embedded, one is being written.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

use super::prepare::{Cut, Waiting, Workshop};
use super::{Engine, PrepareError, Prepared, chunking_of, fitting};
use crate::domain::DocumentId;
use crate::embed::EmbedError;
use crate::index::{IndexError, IndexSpec, Snapshot};
use crate::store::{StoredDocument, TenantDocuments};
use crate::telemetry::{self, Invariant};

/// Documents being read, extracted and cut at once; the extractor has its own bound on processes.
pub(super) const CUTTING: usize = 8;
/// Documents that share an embedding call at most: enough to fill a provider's batch with short documents.
const GROUP: usize = 32;
/// Embedding calls under way at once; within each, the embedder has its own bounds.
const EMBEDDING: usize = 4;

/// Why a build ends without a generation. What served goes on serving.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The embedder cannot say what its vectors look like, or failed for every document.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The index could not be written.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The documents could not be listed.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// The ledger could not be read or written.
    #[error(transparent)]
    Ledger(#[from] crate::ledger::LedgerError),
    /// It was stopped on request.
    #[error("it was cancelled")]
    Cancelled,
    /// A bug: its task died.
    #[error("the build died: {0}")]
    Died(String),
}

impl BuildError {
    /// The error of a task that did not come to its end; one that panicked is counted as a bug.
    #[must_use]
    pub fn died(task: &JoinError) -> Self {
        if task.is_panic() {
            telemetry::invariant_violated(Invariant::NoPanic);
        }
        Self::Died(task.to_string())
    }

    /// In words for operators and the job: with what a provider said.
    #[must_use]
    pub fn in_full(&self) -> String {
        match self {
            Self::Embed(error) => error.in_full(),
            other => other.to_string(),
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Embed(error) => error.code(),
            Self::Index(error) if error.is_disk_full() => "disk_full",
            Self::Store(crate::store::StoreError::NoSpace) | Self::Ledger(crate::ledger::LedgerError::NoSpace) => {
                "disk_full"
            }
            Self::Index(_) => "index_failed",
            Self::Store(_) => "storage_failed",
            Self::Ledger(_) => "ledger_failed",
            Self::Cancelled => "cancelled",
            Self::Died(_) => "internal",
        }
    }
}

/// One document's end in the pipeline.
pub type Step = (DocumentId, Result<Prepared, PrepareError>);

/// What a pipeline is to work on.
#[derive(Clone)]
pub struct Build {
    /// The tenant's documents.
    pub documents: TenantDocuments,
    /// What the generation is made with; its documents are cut as it says, whatever the settings say by now.
    pub spec: IndexSpec,
    /// Where unchanged documents and vectors are carried over from, the first that has them.
    pub donors: Vec<Snapshot>,
    /// How long a provider that does not answer is waited for before a document fails; none gives up at once.
    pub patience: Option<Duration>,
}

impl Engine {
    /// Prepares `ids` and sends each as it becomes ready, in no order; ends when all are sent or nobody listens.
    ///
    /// # Errors
    /// When the spec's embedder is not known. A document that fails is a [`Step`] like any other.
    pub fn prepare(&self, build: Build, ids: Vec<DocumentId>) -> Result<Pipeline, EmbedError> {
        let workshop = self.workshop(build)?;
        let (to, from) = mpsc::channel(GROUP);
        let waiting = Arc::clone(&workshop.waiting);
        let read = Arc::<Read>::default();
        let task = AbortOnDropHandle::new(tokio::spawn(self.clone().run(workshop, ids, Arc::clone(&read), to)));
        Ok(Pipeline { from, read, waiting, _task: task })
    }

    /// What the documents of a build are prepared with.
    ///
    /// # Errors
    /// When the spec's embedder is not known.
    pub(super) fn workshop(&self, build: Build) -> Result<Workshop, EmbedError> {
        let embedder = self.embedder_of(&build.spec)?;
        Ok(Workshop {
            chunking: fitting(&chunking_of(&build.spec.chunker), &*embedder),
            embedder,
            documents: build.documents,
            spec: build.spec,
            donors: build.donors,
            patience: build.patience,
            waiting: Arc::default(),
        })
    }

    async fn run(self, workshop: Workshop, ids: Vec<DocumentId>, read: Arc<Read>, to: mpsc::Sender<Step>) {
        let cuts = stream::iter(ids).map(|id| {
            let (engine, workshop, read) = (self.clone(), workshop.clone(), Arc::clone(&read));
            let wanted = id.clone();
            // A task of its own, so that cutting goes on while this one waits for vectors.
            let cut = AbortOnDropHandle::new(tokio::spawn(async move {
                let cut = engine.cut(&workshop, &wanted).await;
                read.note(&wanted);
                cut
            }));
            async move { (id, cut.await.unwrap_or_else(|task| Err(PrepareError::died(&task)))) }
        });
        let groups = cuts.buffer_unordered(CUTTING).ready_chunks(GROUP);
        let steps = groups.map(|group| {
            let (engine, workshop) = (&self, &workshop);
            async move {
                let (ready, failed) = sorted(group);
                let embedded = engine.embed(workshop, ready).await;
                embedded
                    .into_iter()
                    .map(|(stored, step): (StoredDocument, _)| (stored.id, step))
                    .chain(failed)
                    .collect::<Vec<Step>>()
            }
        });
        let mut steps = std::pin::pin!(steps.buffer_unordered(EMBEDDING));
        while let Some(group) = steps.next().await {
            for step in group {
                if to.send(step).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Documents that are extracted and cut, or failed at it.
#[derive(Default)]
struct Read {
    count: AtomicU64,
    /// Those nobody was told of yet.
    lately: Mutex<Vec<DocumentId>>,
}

impl Read {
    fn note(&self, id: &DocumentId) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.lately.lock().unwrap_or_else(PoisonError::into_inner).push(id.clone());
    }
}

/// A pipeline under way; dropped, it stops.
pub struct Pipeline {
    from: mpsc::Receiver<Step>,
    read: Arc<Read>,
    waiting: Waiting,
    _task: AbortOnDropHandle<()>,
}

impl Pipeline {
    /// Documents read so far: extracted and cut, or failed at it.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read.count.load(Ordering::Relaxed)
    }

    /// Documents read since this was asked last.
    #[must_use]
    pub fn read_lately(&self) -> Vec<DocumentId> {
        std::mem::take(&mut *self.read.lately.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why it waits, while a provider does not answer.
    #[must_use]
    pub fn waits_for(&self) -> Option<EmbedError> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a document, then takes as many as are ready, at most `most`; empty when all are done.
    pub async fn next(&mut self, most: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        self.from.recv_many(&mut steps, most).await;
        steps
    }
}

/// Parts what was cut from what failed.
fn sorted(group: Vec<(DocumentId, Result<Cut, PrepareError>)>) -> (Vec<Cut>, Vec<Step>) {
    let (mut ready, mut failed) = (Vec::new(), Vec::new());
    for (id, cut) in group {
        match cut {
            Ok(cut) => ready.push(cut),
            Err(error) => failed.push((id, Err(error))),
        }
    }
    (ready, failed)
}

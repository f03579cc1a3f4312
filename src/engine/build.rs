//! Documents → a generation: the pipeline that a rebuild and an upload share.
//!
//! Extraction, embedding and writing overlap and are bounded. Documents may be added while others are under way; small
//! files have a lane of their own, and each can be stopped by its [`Ticket`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinError;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use super::embedding::{self, Held};
use super::prepare::{Waiting, Workshop};
use super::{Engine, PrepareError, Prepared, Ticket, chunking_of, fitting};
use crate::domain::{JobProblem, StageName};
use crate::embed::EmbedError;
use crate::index::{IndexError, IndexSpec, Snapshot};
use crate::store::TenantDocuments;
use crate::telemetry::{self, Invariant};

/// Documents being read, extracted and cut at once; the extractor has its own bound on processes.
pub(super) const CUTTING: usize = 8;
/// Steps that wait to be taken.
const STEPS: usize = 32;

/// A way through extraction: files of one size, so that no small one waits behind a large one.
#[derive(Clone, Copy)]
struct Lane {
    /// Documents read at once.
    cutting: usize,
    /// Documents held in memory, cut and without all their vectors.
    held: usize,
}

/// So many small files that those which need no vector go on while a provider does not answer.
const SMALL_LANE: Lane = Lane { cutting: CUTTING, held: 256 };
/// Large files may take a hundred megabytes each, cut and with their vectors.
const LARGE_LANE: Lane = Lane { cutting: 4, held: 4 };

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

    /// What a tenant's users may read of it: no path, no word of a machine.
    #[must_use]
    pub fn public(&self) -> JobProblem {
        let words = match self {
            Self::Embed(error @ EmbedError::Builtin(_)) => return JobProblem::new(error.code(), "the embedder failed"),
            Self::Embed(error) => return JobProblem::new(error.code(), error.to_string()),
            Self::Cancelled => "it was cancelled",
            _ if self.code() == "disk_full" => "the disk is full",
            _ if self.code() == "storage_denied" => "the server may not write to one of its folders",
            Self::Index(_) => "the index could not be written",
            Self::Store(_) => "the documents could not be read",
            Self::Ledger(_) => "the server's own records could not be written",
            Self::Died(_) => "it ended unexpectedly",
        };
        JobProblem::new(self.code(), words)
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
            Self::Store(crate::store::StoreError::Denied { .. }) => "storage_denied",
            Self::Index(_) => "index_failed",
            Self::Store(_) => "storage_failed",
            Self::Ledger(_) => "ledger_failed",
            Self::Cancelled => "cancelled",
            Self::Died(_) => "internal",
        }
    }
}

/// One document's end in the pipeline.
pub type Step = (Ticket, Result<Prepared, PrepareError>);

/// Gives the states from which unchanged documents and vectors are carried over, the first that has them. Asked for each
/// document, so that none is held longer than it is read.
pub type Donors = Arc<dyn Fn() -> Vec<Snapshot> + Send + Sync>;

/// What a pipeline is to work on.
#[derive(Clone)]
pub struct Build {
    /// The tenant's documents.
    pub documents: TenantDocuments,
    /// What the generation is made with; its documents are cut as it says, whatever the settings say by now.
    pub spec: IndexSpec,
    /// Where unchanged documents and vectors are carried over from.
    pub donors: Donors,
    /// How long a provider that does not answer is waited for before a document fails; none gives up at once.
    pub patience: Option<Duration>,
}

impl Engine {
    /// A pipeline that prepares documents as they are added, and sends each as it becomes ready, in no order.
    ///
    /// # Errors
    /// When the spec's embedder is not known. A document that fails is a [`Step`] like any other.
    pub fn prepare(&self, build: Build) -> Result<Pipeline, EmbedError> {
        let workshop = self.workshop(build)?;
        let (to, from) = mpsc::channel(STEPS);
        let (small, small_files) = mpsc::unbounded_channel();
        let (large, large_files) = mpsc::unbounded_channel();
        let waiting = Arc::clone(&workshop.waiting);
        let stop = workshop.stop.clone().drop_guard();
        let read = Arc::new(AtomicU64::new(0));
        let line = Line { engine: self.clone(), workshop, read: Arc::clone(&read), to };
        let task = AbortOnDropHandle::new(tokio::spawn(line.run(small_files, large_files)));
        Ok(Pipeline { lanes: Some((small, large)), from, read, waiting, _stop: stop, _task: task })
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
            stop: CancellationToken::new(),
        })
    }
}

/// What runs behind a [`Pipeline`].
#[derive(Clone)]
struct Line {
    engine: Engine,
    workshop: Workshop,
    read: Arc<AtomicU64>,
    to: mpsc::Sender<Step>,
}

impl Line {
    async fn run(self, small: mpsc::UnboundedReceiver<Ticket>, large: mpsc::UnboundedReceiver<Ticket>) {
        let (cut, cuts) = mpsc::channel(STEPS);
        let line = &self;
        let reading = async move {
            tokio::join!(line.read(small, SMALL_LANE, &cut), line.read(large, LARGE_LANE, &cut));
        };
        tokio::join!(reading, embedding::embed(&line.workshop, cuts, &line.to));
    }

    /// Reads and cuts the files of a lane as they come.
    async fn read(&self, files: mpsc::UnboundedReceiver<Ticket>, lane: Lane, cut: &mpsc::Sender<Held>) {
        let places = Arc::new(Semaphore::new(lane.held));
        let files = stream::unfold(files, |mut files| async move { files.recv().await.map(|ticket| (ticket, files)) });
        files.for_each_concurrent(lane.cutting, |ticket| self.read_one(ticket, Arc::clone(&places), cut)).await;
    }

    async fn read_one(&self, ticket: Ticket, places: Arc<Semaphore>, cut: &mpsc::Sender<Held>) {
        let wanted = async {
            let place = places.acquire_owned().await.map_err(|_| PrepareError::Stopped)?;
            // A task of its own, so that reading goes on while others are waited for.
            let (engine, workshop, way) = (self.engine.clone(), self.workshop.clone(), ticket.clone());
            let task = tokio::spawn(async move { engine.cut(&workshop, &way).await });
            let read = AbortOnDropHandle::new(task).await.unwrap_or_else(|task| Err(PrepareError::died(&task)))?;
            Ok((place, read))
        };
        let read = tokio::select! {
            biased;
            () = ticket.stopped() => Err(PrepareError::Stopped),
            read = wanted => read,
        };
        self.read.fetch_add(1, Ordering::Relaxed);
        // An error means that nobody listens any more.
        match read {
            Ok((_, whole)) if whole.missing() == 0 => {
                ticket.at(StageName::Index);
                drop(self.to.send((ticket, Ok(whole.ready(0)))).await);
            }
            Ok((place, read)) => drop(cut.send(Held { ticket, cut: read, place }).await),
            Err(error) => drop(self.to.send((ticket, Err(error))).await),
        }
    }
}

/// A pipeline under way; dropped, it stops.
pub struct Pipeline {
    /// Small files and large ones; none once there are no more.
    lanes: Option<(mpsc::UnboundedSender<Ticket>, mpsc::UnboundedSender<Ticket>)>,
    from: mpsc::Receiver<Step>,
    read: Arc<AtomicU64>,
    waiting: Waiting,
    _stop: DropGuard,
    _task: AbortOnDropHandle<()>,
}

impl Pipeline {
    /// Adds a document. Each that is added comes out once, as a [`Step`].
    pub fn add(&self, ticket: Ticket) {
        if let Some((small, large)) = &self.lanes {
            let lane = if ticket.is_small() { small } else { large };
            // An error means that it died, which who waits for a step is told.
            let _ = lane.send(ticket);
        }
    }

    /// Adds documents, and says that there are no more.
    #[must_use]
    pub fn only(mut self, tickets: impl IntoIterator<Item = Ticket>) -> Self {
        for ticket in tickets {
            self.add(ticket);
        }
        self.lanes = None;
        self
    }

    /// Documents read so far: extracted and cut, or failed at it.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
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

//! One document's way through a pipeline: how far it is, and whether it is still wanted.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::domain::{DocumentId, DocumentProgress, StageName};
use crate::embed::EmbedError;

/// Files of at most so many bytes are small: some 130 chunks of plain text, read and embedded in a second or two. They
/// have a lane of their own, so that none waits behind a file that takes minutes.
pub const SMALL_FILE: u64 = 64 << 10;

/// A document on its way, shared by the pipeline that works on it and whoever may stop it or shows how far it is.
///
/// Clones are of the same way; a document that is read again gets another ticket.
#[derive(Debug, Clone)]
pub struct Ticket(Arc<Way>);

#[derive(Debug)]
struct Way {
    id: DocumentId,
    bytes: OnceLock<u64>,
    stop: CancellationToken,
    progress: Mutex<DocumentProgress>,
    waits_for: Mutex<Option<EmbedError>>,
}

impl Ticket {
    /// A way that has not begun.
    #[must_use]
    pub fn new(id: DocumentId) -> Self {
        Self(Arc::new(Way {
            id,
            bytes: OnceLock::new(),
            stop: CancellationToken::new(),
            progress: Mutex::default(),
            waits_for: Mutex::default(),
        }))
    }

    /// The document.
    #[must_use]
    pub fn id(&self) -> &DocumentId {
        &self.0.id
    }

    /// Notes the size of its file, once.
    #[must_use]
    pub fn sized(self, bytes: u64) -> Self {
        self.0.bytes.get_or_init(|| bytes);
        self
    }

    /// Bytes of its file; 0 while unknown.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.bytes.get().copied().unwrap_or(0)
    }

    /// Whether its file is a small one.
    #[must_use]
    pub fn is_small(&self) -> bool {
        self.bytes() <= SMALL_FILE
    }

    /// Stops the work on it: a worker is killed, texts that wait for vectors leave the queue.
    pub fn stop(&self) {
        self.0.stop.cancel();
    }

    /// Whether it was stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.stop.is_cancelled()
    }

    /// Ends when it is stopped.
    pub async fn stopped(&self) {
        self.0.stop.cancelled().await;
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> DocumentProgress {
        *self.0.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why it waits for its vectors, while the embedder does not give them.
    #[must_use]
    pub fn waits_for(&self) -> Option<EmbedError> {
        self.0.waits_for.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether both are the same way.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Notes why it waits, or that it does not.
    pub(super) fn wait_for(&self, why: Option<EmbedError>) {
        *self.0.waits_for.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Notes that a stage began.
    pub(super) fn at(&self, stage: StageName) {
        self.note(|progress| progress.stage = Some(stage));
    }

    /// Notes how far it is.
    pub(super) fn note(&self, change: impl FnOnce(&mut DocumentProgress)) {
        change(&mut self.0.progress.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

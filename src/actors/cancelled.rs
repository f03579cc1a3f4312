//! Jobs of a round under way that were cancelled.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::JobId;

/// Jobs of a round under way that were cancelled; the round looks here before it writes, and whenever it is woken.
#[derive(Default)]
pub(super) struct Cancelled {
    jobs: Mutex<BTreeSet<JobId>>,
    woken: Notify,
}

impl Cancelled {
    /// Cancels a job.
    pub fn insert(&self, job: JobId) {
        self.jobs().insert(job);
        self.woken.notify_one();
    }

    /// Takes those of `jobs` that were cancelled out of them.
    pub fn take_from(&self, jobs: &mut Vec<JobId>) -> Vec<JobId> {
        let mut cancelled = self.jobs();
        jobs.extract_if(.., |job| cancelled.remove(job)).collect()
    }

    /// Ends when a job is cancelled.
    pub async fn woken(&self) {
        self.woken.notified().await;
    }

    /// Forgets what was cancelled: a round has ended.
    pub fn clear(&self) {
        self.jobs().clear();
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeSet<JobId>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

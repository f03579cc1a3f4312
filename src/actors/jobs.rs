//! Jobs as one can handle them: look, list, cancel, retry.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::desk::{Desk, JobTicket};
use super::index::IndexMsg;
use super::letter::Letter;
use super::refusal::DeskError;
use crate::domain::{DocumentId, DocumentState, Job, JobCounts, JobId, JobKind, JobState};
use crate::ledger::{Listed, Page};

/// How long a cancelled job is given to end before the reply says that it still runs.
const ENDING: Duration = Duration::from_secs(2);
/// How often it is looked at meanwhile.
const LOOKED_EVERY: Duration = Duration::from_millis(20);

/// Jobs of a tenant that may be followed at once.
pub(super) const MOST_FOLLOWERS: usize = 64;

/// A place among those who follow a tenant's jobs.
pub struct Following(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

impl Desk {
    /// One job.
    ///
    /// # Errors
    /// [`DeskError::NotFound`].
    pub async fn job(&self, id: JobId) -> Result<Job, DeskError> {
        self.shared.ledger.job(&self.cell.id, id).await?.ok_or(DeskError::NotFound("job"))
    }

    /// A page of jobs, of one state and kind or all.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn jobs(
        &self,
        page: Page<JobId>,
        state: Option<JobState>,
        kind: Option<JobKind>,
    ) -> Result<Listed<Job>, DeskError> {
        Ok(self.shared.ledger.jobs(&self.cell.id, page, state, kind).await?)
    }

    /// Changes whenever a job may have changed.
    #[must_use]
    pub fn jobs_written(&self) -> watch::Receiver<u64> {
        self.shared.ledger.jobs_written()
    }

    /// Lets one more caller follow a job, until what is returned is dropped.
    ///
    /// # Errors
    /// [`DeskError::Busy`] when many do already.
    pub fn follow(&self) -> Result<Following, DeskError> {
        Arc::clone(&self.cell.followers).try_acquire_owned().map(Following).map_err(|_| DeskError::Busy)
    }

    /// Cancels a job that waits or runs. What serves goes on serving; returns the job as it then stands.
    ///
    /// # Errors
    /// [`DeskError::NotFound`], or [`DeskError::NotCancellable`] when it has ended or is about to.
    pub async fn cancel(&self, id: JobId) -> Result<Job, DeskError> {
        let job = self.job(id).await?;
        let fixed = |job: Job| DeskError::NotCancellable(job.state);
        if job.state.is_final() || !matches!(job.kind, JobKind::Ingest | JobKind::Reindex) {
            return Err(fixed(job));
        }
        if !self.call(|reply| IndexMsg::Cancel(id, reply)).await? {
            return Err(fixed(self.job(id).await?));
        }
        let begun = Instant::now();
        loop {
            let job = self.job(id).await?;
            if job.state.is_final() || begun.elapsed() > ENDING {
                return Ok(job);
            }
            tokio::time::sleep(LOOKED_EVERY).await;
        }
    }

    /// Queues a job again that failed or was cancelled. A build takes over what it had done.
    ///
    /// # Errors
    /// [`DeskError::NotFound`], or [`DeskError::NotRetryable`] when it did not fail, or its document is gone.
    pub async fn retry(&self, id: JobId) -> Result<JobTicket, DeskError> {
        let mut job = self.job(id).await?;
        let may = matches!(job.state, JobState::Failed | JobState::Cancelled);
        let kind = matches!(job.kind, JobKind::Ingest | JobKind::Reindex);
        if !may || !kind {
            return Err(DeskError::NotRetryable(job.state));
        }
        job.state = JobState::Queued;
        job.counts = JobCounts::default();
        (job.problem, job.finished_at, job.started_at) = (None, None, None);
        match job.document_id.clone() {
            None => self.call(|reply| IndexMsg::Rebuild(Box::new(job), reply)).await?,
            Some(document) => self.ingest_again(job, document).await,
        }
    }

    async fn ingest_again(&self, job: Job, document: DocumentId) -> Result<JobTicket, DeskError> {
        let ledger = &self.shared.ledger;
        let record = ledger.document(self.tenant(), &document).await?;
        let Some(mut record) = record else { return Err(DeskError::NotFound("document")) };
        let job_id = job.id;
        ledger.save_job(self.tenant(), job).await?;
        record.status.state = DocumentState::Queued;
        record.status.problem = None;
        record.status.job_id = Some(job_id);
        ledger.save_documents(self.tenant(), vec![record]).await?;
        // An actor that is dead just now finds the job when it is started again.
        if let Some(actor) = self.cell.actor.load_full() {
            let _ = actor.cast(Letter::new(&self.cell, IndexMsg::Changed(document, Some(job_id))));
        }
        Ok(JobTicket { job_id, joined: false })
    }
}

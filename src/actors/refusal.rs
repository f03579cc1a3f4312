//! Why a desk refuses: one reason a line, from whichever part it comes.

use super::desk::Limited;
use crate::backup::BackupError;
use crate::domain::{DocumentId, JobId, JobState, QuestionError, TenantId};
use crate::engine::SearchError;
use crate::index::IndexError;
use crate::ledger::LedgerError;
use crate::store::StoreError;

/// Why a desk refuses.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// No such tenant for this caller.
    #[error("there is no such tenant")]
    NoTenant,
    /// No such thing here; another tenant's things count as absent.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The first build is not done.
    #[error("the index is being built for the first time: try again in a moment")]
    IndexNotReady,
    /// The first build fails, in words that everybody may read, and is tried again.
    #[error("the first build of the index fails and is tried again: {0}")]
    FirstBuildFails(String),
    /// The actor died too often; an operator must look.
    #[error("the index is out of service: {0}")]
    Quarantined(String),
    /// The question is refused.
    #[error(transparent)]
    Question(#[from] QuestionError),
    /// The rate is used up.
    #[error("too many requests: wait {} ms", .0.wait_ms)]
    RateLimited(Limited),
    /// Too many at once.
    #[error("too many requests at once: wait for one to end")]
    Busy,
    /// The tenant's documents fill its quota.
    #[error("the tenant's quota is used up: {0}")]
    Quota(String),
    /// Attributes that cannot be kept.
    #[error("`attributes` {0}")]
    Attributes(String),
    /// The generation answers now, so it can be neither activated nor deleted.
    #[error("generation {0} is the one that serves")]
    GenerationServes(u64),
    /// The generation's files do not hold.
    #[error("generation {0} is damaged and was moved aside; what served goes on serving")]
    GenerationDamaged(u64),
    /// The generation failed its checks.
    #[error(
        "generation {0} is held back, since it failed its checks: look at them, and activate it with `force` if it is to serve all the same"
    )]
    GenerationHeld(u64),
    /// The job has ended or is about to, or is of a kind that cannot be stopped half-way.
    #[error("the job cannot be cancelled: it is {}", .0.as_str())]
    NotCancellable(JobState),
    /// The job did not fail, or is of a kind that is simply asked for again.
    #[error("the job cannot be retried: it is {}", .0.as_str())]
    NotRetryable(JobState),
    /// A rebuild waits that was asked for with other options.
    #[error("a rebuild with other options waits: follow or cancel job {0} first")]
    OtherRebuild(JobId),
    /// A golden question that cannot be kept.
    #[error("{0}")]
    Golden(String),
    /// A golden question expects a document that is not there.
    #[error("there is no document `{0}` that a golden question could expect")]
    GoldenUnknown(DocumentId),
    /// A settings file is wrong.
    #[error("{0}")]
    Settings(String),
    /// A tenant of that id is there already.
    #[error("there is a tenant `{0}` already")]
    TenantExists(TenantId),
    /// The backup is not written or not taken.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The document is removed from disk, and could not be taken out of the index yet.
    #[error(
        "the document is removed, but could not be taken out of the index yet, since {0}: it may be found until that is made up for, which is tried again by itself; ask for the delete again to be sure"
    )]
    DeleteUnfinished(String),
    /// Vectors are needed and there are none.
    #[error(transparent)]
    Embed(#[from] crate::embed::EmbedError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger refused.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The index failed.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The tenant's actor did not answer in time.
    #[error("the tenant is busy: try again in a moment")]
    Unresponsive,
}

impl From<SearchError> for DeskError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Embed(error) => error.into(),
            SearchError::Index(error) => error.into(),
        }
    }
}

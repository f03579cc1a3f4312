//! Jobs: work that outlives its request.

use serde::{Deserialize, Serialize};

use super::{DocumentId, JobId, StageName, Timestamp};

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Brings one uploaded document into the index.
    Ingest,
    /// Builds a new generation beside the serving one.
    Reindex,
    /// Takes a document from disk, from every generation and from every answer.
    Delete,
    /// Writes anew what still holds deleted text.
    Purge,
    /// Makes the tenant of a backup.
    Restore,
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Ingest, Self::Reindex, Self::Delete, Self::Purge, Self::Restore];

    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Reindex => "reindex",
            Self::Delete => "delete",
            Self::Purge => "purge",
            Self::Restore => "restore",
        }
    }
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waiting.
    Queued,
    /// Under way.
    Running,
    /// Ended well.
    Done,
    /// Ended; some documents failed or lost something.
    DoneWithWarnings,
    /// Ended without effect.
    Failed,
    /// Stopped on request.
    Cancelled,
}

impl JobState {
    /// Every state, for metrics that must exist from boot.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Done, Self::DoneWithWarnings, Self::Failed, Self::Cancelled];

    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::DoneWithWarnings => "done_with_warnings",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// Counts of a job's work so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobCounts {
    /// Documents to look at; 0 until known.
    pub documents_total: u64,
    /// Documents read, extracted and cut into chunks.
    pub documents_read: u64,
    /// Documents dealt with.
    pub documents_done: u64,
    /// Documents that failed.
    pub documents_failed: u64,
    /// Documents taken over unchanged.
    pub documents_reused: u64,
    /// Bytes of the documents dealt with.
    pub bytes: u64,
    /// Chunks made.
    pub chunks: u64,
    /// Chunks that have their vector, made or taken over.
    pub chunks_embedded: u64,
    /// Texts sent to the embedder.
    pub texts_embedded: u64,
    /// Model tokens sent to the embedder.
    pub model_tokens: u64,
}

/// Why something failed: a stable code and words for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobProblem {
    /// Stable, `snake_case`; see the manual's page on errors.
    pub code: String,
    /// What happened and what to do.
    pub message: String,
}

impl JobProblem {
    /// A problem of `code` and `message`.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// A job as the API and the pages show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Id.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// How far it is.
    pub state: JobState,
    /// Stage, while running.
    pub stage: Option<StageName>,
    /// The document, for ingestion.
    pub document_id: Option<DocumentId>,
    /// Who or what asked: a token's `sub`, `operator`, `boot`, `folder`.
    pub requested_by: String,
    /// Counts.
    pub counts: JobCounts,
    /// The generation that resulted.
    pub generation: Option<u64>,
    /// Why it failed, or what went only half well.
    pub problem: Option<JobProblem>,
    /// Whether every document is read, cut and embedded anew, whatever is known of it.
    #[serde(default)]
    pub fresh: bool,
    /// What a delete or purge took from where.
    #[serde(default)]
    pub receipt: Option<Receipt>,
    /// Times it was started.
    pub attempts: u32,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When work began.
    pub started_at: Option<Timestamp>,
    /// When it last got on.
    #[serde(default)]
    pub progressed_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// What a delete or purge took from where, and what may still hold it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Bytes removed from the tenant's documents.
    pub stored_bytes: u64,
    /// What no generation answers with any more, by generation.
    pub generations: Vec<Removal>,
    /// Generations whose files still hold the text, unreadable to any question, until they are purged.
    pub unpurged: Vec<u64>,
    /// Backups that were taken while the document was there; they are files elsewhere, out of Carrel's reach.
    pub backups: u64,
}

/// Chunks that went from one generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// The generation.
    pub generation: u64,
    /// Chunks that went.
    pub chunks: u64,
}

/// Milliseconds without progress after which a running job counts as stalled.
const STALLED_AFTER_MS: i64 = 60_000;
/// An estimate is given after so many milliseconds: before that the pace says little.
const TELLING_AFTER_MS: i64 = 3_000;
/// An estimate is given once one in so many documents is dealt with: before that the pace says little.
const TELLING_ONE_IN: u64 = 20;

impl Job {
    /// A job that is queued now.
    #[must_use]
    pub fn queued(kind: JobKind, document_id: Option<DocumentId>, by: &str) -> Self {
        Self {
            id: JobId::fresh(),
            kind,
            state: JobState::Queued,
            stage: None,
            document_id,
            requested_by: by.to_owned(),
            counts: JobCounts::default(),
            generation: None,
            problem: None,
            fresh: false,
            receipt: None,
            attempts: 0,
            created_at: Timestamp::now(),
            started_at: None,
            progressed_at: None,
            finished_at: None,
        }
    }

    /// Whether it runs and has not got on for a minute.
    #[must_use]
    pub fn is_stalled(&self, now: Timestamp) -> bool {
        let since = self.progressed_at.or(self.started_at).filter(|_| self.state == JobState::Running);
        since.is_some_and(|since| now.as_millis() - since.as_millis() > STALLED_AFTER_MS)
    }

    /// How much of it is done, 0 to 1: of an ingestion its chunks, of a build its documents; none where nothing tells.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        let counts = &self.counts;
        let (done, all) = match self.kind {
            _ if matches!(self.state, JobState::Done | JobState::DoneWithWarnings) => (1, 1),
            JobKind::Ingest => (counts.chunks_embedded, counts.chunks),
            JobKind::Reindex => (counts.documents_done + counts.documents_failed, counts.documents_total),
            JobKind::Delete | JobKind::Purge | JobKind::Restore => (0, 0),
        };
        share(done, all)
    }

    /// Seconds until it ends, at the pace it had so far; none unless it runs, for three seconds, and a twentieth of its
    /// documents is dealt with.
    #[must_use]
    pub fn seconds_left(&self, now: Timestamp) -> Option<u64> {
        let JobCounts { documents_total: all, documents_done, documents_failed, .. } = self.counts;
        let dealt = (documents_done + documents_failed).min(all);
        let begun = self.started_at.filter(|_| self.state == JobState::Running)?;
        if dealt == 0 || dealt * TELLING_ONE_IN < all {
            return None;
        }
        let spent = now.as_millis() - begun.as_millis();
        let spent = u64::try_from(spent).ok().filter(|_| spent >= TELLING_AFTER_MS)?;
        Some((spent.saturating_mul(all - dealt) / dealt).div_ceil(1000))
    }
}

/// `done` of `all`, 0 to 1; none of nothing. Rounded down to thousandths, so that only the whole is 1.
#[must_use]
pub fn share(done: u64, all: u64) -> Option<f64> {
    let thousandths = done.min(all).saturating_mul(1000).checked_div(all)?;
    u32::try_from(thousandths).ok().map(|thousandths| f64::from(thousandths) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_told_from_a_twentieth_on_and_only_of_a_running_job() {
        let begun = Timestamp::from_millis(1_000_000);
        let now = Timestamp::from_millis(1_010_000);
        let counts = JobCounts { documents_total: 1000, documents_done: 48, ..JobCounts::default() };
        let mut job = Job {
            state: JobState::Running,
            counts,
            created_at: begun,
            started_at: Some(begun),
            ..Job::queued(JobKind::Reindex, None, "test")
        };
        assert_eq!(job.seconds_left(now), None);
        job.counts.documents_failed = 2;
        assert_eq!(job.seconds_left(now), Some(190));
        job.counts.documents_done = 998;
        assert_eq!(job.seconds_left(now), Some(0));
        job.state = JobState::Done;
        assert_eq!(job.seconds_left(now), None);
        let unknown = Job { state: JobState::Running, counts: JobCounts::default(), ..job };
        assert_eq!(unknown.seconds_left(now), None);
        let young = Job { started_at: Some(Timestamp::from_millis(1_007_001)), counts, ..unknown };
        assert_eq!(young.seconds_left(now), None);
    }

    #[test]
    fn a_share_is_whole_only_at_the_end() {
        assert_eq!(share(0, 0), None);
        assert_eq!(share(1, 3), Some(0.333));
        assert_eq!(share(99_999, 100_000), Some(0.999));
        let counts = JobCounts { chunks: 4, chunks_embedded: 1, ..JobCounts::default() };
        let mut job = Job { counts, ..Job::queued(JobKind::Ingest, None, "test") };
        assert_eq!(job.share(), Some(0.25));
        job.state = JobState::Done;
        assert_eq!(job.share(), Some(1.0));
    }

    #[test]
    fn a_running_job_is_stalled_after_a_minute_without_progress() {
        let begun = Timestamp::from_millis(1_000_000);
        let mut job = Job { state: JobState::Running, ..Job::queued(JobKind::Reindex, None, "test") };
        job.started_at = Some(begun);
        assert!(!job.is_stalled(Timestamp::from_millis(1_060_000)));
        assert!(job.is_stalled(Timestamp::from_millis(1_060_001)));
        job.progressed_at = Some(Timestamp::from_millis(1_030_000));
        assert!(!job.is_stalled(Timestamp::from_millis(1_060_001)));
        job.state = JobState::Done;
        assert!(!job.is_stalled(Timestamp::from_millis(9_000_000)));
    }
}

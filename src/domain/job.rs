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
    /// Chunks made.
    pub chunks: u64,
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
    /// Times it was started.
    pub attempts: u32,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When work began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// An estimate is given once one in so many documents is dealt with: before that the pace says little.
const TELLING_ONE_IN: u64 = 20;

impl Job {
    /// Seconds until it ends, at the pace it had so far; none unless it runs and a twentieth of its documents is dealt
    /// with.
    #[must_use]
    pub fn seconds_left(&self, now: Timestamp) -> Option<u64> {
        let JobCounts { documents_total: all, documents_done, documents_failed, .. } = self.counts;
        let dealt = (documents_done + documents_failed).min(all);
        let begun = self.started_at.filter(|_| self.state == JobState::Running)?;
        if dealt == 0 || dealt * TELLING_ONE_IN < all {
            return None;
        }
        let spent = u64::try_from(now.as_millis() - begun.as_millis()).ok()?;
        Some((spent.saturating_mul(all - dealt) / dealt).div_ceil(1000))
    }
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
            id: JobId::fresh(),
            kind: JobKind::Reindex,
            state: JobState::Running,
            stage: None,
            document_id: None,
            requested_by: "test".into(),
            counts,
            generation: None,
            problem: None,
            attempts: 1,
            created_at: begun,
            started_at: Some(begun),
            finished_at: None,
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
    }
}

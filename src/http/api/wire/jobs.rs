//! Jobs and generations.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use super::{Reason, stage, word};
use crate::actors::Held;
use crate::domain::{Job, JobCounts, JobKind, JobState, Receipt, Removal, StageName, Timestamp};

/// What a job does.
pub fn job_kind() -> Object {
    word(&JobKind::ALL.map(JobKind::as_str))
}

/// How far a job is.
pub fn job_state() -> Object {
    word(&JobState::ALL.map(JobState::as_str))
}

fn generation_state() -> Object {
    word(&["serving", "kept", "held"])
}

/// A job: work that outlives its request.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobView {
    /// Id; ids sort by time of making.
    pub id: String,
    /// What it does.
    #[schema(schema_with = job_kind)]
    kind: JobKind,
    /// How far it is.
    #[schema(schema_with = job_state)]
    state: JobState,
    /// Stage, while running.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = stage, required = false)]
    stage: Option<StageName>,
    /// The document, for an ingestion or a delete.
    #[serde(skip_serializing_if = "Option::is_none")]
    document_id: Option<String>,
    /// Who or what asked.
    requested_by: String,
    /// Counts so far.
    counts: CountsView,
    /// How much of it is done, 0 to 1: of an ingestion its chunks, of a build its documents; absent until known.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<f64>,
    /// Seconds until it ends at the pace so far; from a twentieth of the documents on.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_left: Option<u64>,
    /// The generation that resulted.
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    /// Why it failed, or what went only half well.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Reason>,
    /// Whether every document is read, cut and embedded anew, whatever is known of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    fresh: bool,
    /// Whether it runs and has not got on for a minute.
    stalled: bool,
    /// What a delete or purge took from where.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<ReceiptView>,
    /// Times it was started.
    attempts: u32,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When work began.
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
}

/// Counts of a job's work so far.
#[derive(Debug, Serialize, ToSchema)]
pub struct CountsView {
    /// Documents to look at; 0 until known.
    documents_total: u64,
    /// Documents read, extracted and cut into chunks.
    documents_read: u64,
    /// Documents dealt with.
    documents_done: u64,
    /// Documents that failed.
    documents_failed: u64,
    /// Documents taken over unchanged.
    documents_reused: u64,
    /// Bytes of the documents dealt with.
    bytes: u64,
    /// Chunks made.
    chunks: u64,
    /// Chunks that have their vector, made or taken over.
    chunks_embedded: u64,
    /// Texts sent to the embedder.
    texts_embedded: u64,
    /// Model tokens sent to the embedder.
    model_tokens: u64,
}

impl From<JobCounts> for CountsView {
    fn from(counts: JobCounts) -> Self {
        Self {
            documents_total: counts.documents_total,
            documents_read: counts.documents_read,
            documents_done: counts.documents_done,
            documents_failed: counts.documents_failed,
            documents_reused: counts.documents_reused,
            bytes: counts.bytes,
            chunks: counts.chunks,
            chunks_embedded: counts.chunks_embedded,
            texts_embedded: counts.texts_embedded,
            model_tokens: counts.model_tokens,
        }
    }
}

impl From<Job> for JobView {
    fn from(job: Job) -> Self {
        Self {
            share: job.share(),
            seconds_left: job.seconds_left(Timestamp::now()),
            stalled: job.is_stalled(Timestamp::now()),
            fresh: job.fresh,
            receipt: job.receipt.map(Into::into),
            id: job.id.to_string(),
            kind: job.kind,
            state: job.state,
            stage: job.stage,
            document_id: job.document_id.map(Into::into),
            requested_by: job.requested_by,
            counts: job.counts.into(),
            generation: job.generation,
            error: job.problem.map(Into::into),
            attempts: job.attempts,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
        }
    }
}

/// What was removed from where, and what may still hold it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiptView {
    /// Bytes removed from the tenant's documents.
    stored_bytes: u64,
    /// What no generation answers with any more.
    generations: Vec<RemovalView>,
    /// Generations whose files still hold the text, unreadable to any question, until they are purged.
    unpurged: Vec<u64>,
    /// Backups taken of the tenant so far; they are files elsewhere, out of Carrel's reach.
    backups: u64,
}

/// Chunks that went from one generation.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemovalView {
    /// The generation.
    generation: u64,
    /// Chunks that went.
    chunks: u64,
}

impl From<Receipt> for ReceiptView {
    fn from(receipt: Receipt) -> Self {
        let view = |Removal { generation, chunks }| RemovalView { generation, chunks };
        Self {
            stored_bytes: receipt.stored_bytes,
            generations: receipt.generations.into_iter().map(view).collect(),
            unpurged: receipt.unpurged,
            backups: receipt.backups,
        }
    }
}

/// A whole index of the tenant's documents.
#[derive(Debug, Serialize, ToSchema)]
pub struct GenerationView {
    /// Its number, from 1, never used twice.
    pub number: u64,
    /// Whether questions are answered from it.
    #[schema(schema_with = generation_state)]
    state: &'static str,
    /// Whether it is kept when newer ones come.
    pinned: bool,
    /// When its build ended.
    #[schema(value_type = String, format = DateTime)]
    made_at: Timestamp,
    /// Why it was made: `boot`, `reindex`, `settings`, `damage`.
    reason: String,
    /// Documents in it.
    documents: u64,
    /// Chunks in it.
    chunks: u64,
    /// Bytes on disk.
    bytes: u64,
    /// What made its vectors.
    embedder: String,
    /// Length of its vectors.
    dimension: usize,
    /// What cut its documents.
    chunker: String,
    /// What was checked before it was to serve: `golden` with the quality of both generations and the questions that got
    /// worse, or `replay` with the overlap of the first five hits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    checks: Option<serde_json::Value>,
}

impl From<Held> for GenerationView {
    fn from(Held { info, serves, pinned, held, checks }: Held) -> Self {
        Self {
            number: info.number,
            state: match (serves, held) {
                (true, _) => "serving",
                (false, true) => "held",
                (false, false) => "kept",
            },
            pinned,
            made_at: info.made_at,
            reason: info.reason,
            documents: info.documents,
            chunks: info.chunks,
            bytes: info.bytes,
            embedder: info.spec.embedder,
            dimension: info.spec.dimension,
            chunker: info.spec.chunker,
            checks: checks.map(|checks| serde_json::to_value(checks).unwrap_or_default()),
        }
    }
}

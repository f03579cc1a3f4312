//! A desk: everything one tenant can do.
//!
//! A [`Desk`] is the tenant's scope. Only [`super::Tenants`] makes one, from a verified caller or operator, and every store, index,
//! job and limit of the tenant is reached through it; so no id in a request can select another tenant.

use std::sync::Arc;

use crate::config::TenantSettings;
use crate::domain::{
    Answer, Attributes, DocumentId, DocumentState, DocumentStatus, Filter, Job, JobId, JobState, Mode, QuestionError,
    SearchReply, TenantId,
};
use crate::index::{GenerationInfo, IndexError};
use crate::ledger::{DocumentTotals, LedgerError, Listed, Page};
use crate::store::{StoreError, UploadWriter};

/// A question as it came in, before it is checked against the tenant's settings.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// The question.
    pub query: String,
    /// Hits wanted; the tenant's default when unset.
    pub top_k: Option<u64>,
    /// How to search; the tenant's default when unset.
    pub mode: Option<Mode>,
    /// Which documents may answer.
    pub filter: Option<Filter>,
}

/// An upload that has been accepted.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The document as it stands.
    pub document: DocumentStatus,
    /// The job that brings it into the index.
    pub job_id: JobId,
}

/// What a delete removed; in force when it is returned.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Removed {
    /// The document.
    pub document_id: DocumentId,
    /// Chunks that no longer answer.
    pub chunks: u32,
    /// Bytes that were stored.
    pub bytes: u64,
    /// The generation it was taken out of; none when it had not been indexed.
    pub generation: Option<u64>,
}

/// A rebuild that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobTicket {
    /// The job to follow.
    pub job_id: JobId,
    /// Whether it joins one that was waiting already.
    pub joined: bool,
}

/// Where the caller stands with its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limited {
    /// Requests a minute.
    pub per_minute: u32,
    /// Burst.
    pub burst: u32,
    /// Requests left in the burst; 0 when refused.
    pub remaining: u32,
    /// Milliseconds until the next request is let through; 0 when one is now.
    pub wait_ms: u64,
}

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
    /// A settings file is wrong.
    #[error("{0}")]
    Settings(String),
    /// A tenant of that id is there already.
    #[error("there is a tenant `{0}` already")]
    TenantExists(TenantId),
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

/// One tenant's verbs.
#[derive(Clone)]
pub struct Desk {}

impl Desk {
    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        todo!()
    }

    /// Its settings at this moment.
    #[must_use]
    pub fn settings(&self) -> Arc<TenantSettings> {
        todo!()
    }

    /// Counts one request against the tenant's rate.
    ///
    /// # Errors
    /// [`DeskError::RateLimited`].
    pub fn admit(&self) -> Result<Limited, DeskError> {
        todo!()
    }

    /// Answers a question with citations that hold.
    ///
    /// # Errors
    /// When the question is refused, the index is not ready, or too many ask at once.
    pub async fn ask(&self, _ask: Ask) -> Result<Answer, DeskError> {
        todo!()
    }

    /// Finds chunks without answering.
    ///
    /// # Errors
    /// As [`Desk::ask`].
    pub async fn search(&self, _ask: Ask) -> Result<SearchReply, DeskError> {
        todo!()
    }

    /// Begins an upload, checking the quota.
    ///
    /// # Errors
    /// When the quota is used up or the disk refuses.
    pub async fn begin_upload(&self) -> Result<UploadWriter, DeskError> {
        todo!()
    }

    /// Ends an upload: durable and queued for ingestion when it returns.
    ///
    /// # Errors
    /// When it is empty, the id belongs to the folder, or the disk refuses; then nothing has changed.
    pub async fn finish_upload(
        &self,
        _upload: UploadWriter,
        _id: DocumentId,
        _name: String,
        _attributes: Attributes,
        _by: &str,
    ) -> Result<Upload, DeskError> {
        todo!()
    }

    /// A page of documents.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn documents(
        &self,
        _page: Page<DocumentId>,
        _state: Option<DocumentState>,
    ) -> Result<Listed<DocumentStatus>, DeskError> {
        todo!()
    }

    /// Sums over the documents.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn totals(&self) -> Result<DocumentTotals, DeskError> {
        todo!()
    }

    /// One document.
    ///
    /// # Errors
    /// [`DeskError::NotFound`].
    pub async fn document(&self, _id: &DocumentId) -> Result<DocumentStatus, DeskError> {
        todo!()
    }

    /// Bytes `start..end` of a document's extracted text (clamped to its length and moved inward to character boundaries);
    /// returns the range that was taken and its text.
    ///
    /// # Errors
    /// [`DeskError::NotFound`] when there is no such document in the index.
    pub async fn text(
        &self,
        _id: &DocumentId,
        _start: usize,
        _end: Option<usize>,
    ) -> Result<(usize, usize, String), DeskError> {
        todo!()
    }

    /// Deletes a document: gone from disk and from every answer when it returns.
    ///
    /// # Errors
    /// [`DeskError::NotFound`], or the disk's refusal.
    pub async fn delete(&self, _id: &DocumentId, _by: &str) -> Result<Removed, DeskError> {
        todo!()
    }

    /// Asks for a new generation beside the serving one. Asked again while one waits, it joins that.
    ///
    /// # Errors
    /// When the actor does not answer.
    pub async fn reindex(&self, _by: &str) -> Result<JobTicket, DeskError> {
        todo!()
    }

    /// One job.
    ///
    /// # Errors
    /// [`DeskError::NotFound`].
    pub async fn job(&self, _id: JobId) -> Result<Job, DeskError> {
        todo!()
    }

    /// A page of jobs.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn jobs(&self, _page: Page<JobId>, _state: Option<JobState>) -> Result<Listed<Job>, DeskError> {
        todo!()
    }

    /// Generations on disk, newest first, and the number of the one that serves.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn generations(&self) -> Result<(Vec<GenerationInfo>, Option<u64>), DeskError> {
        todo!()
    }
}

//! What Carrel remembers beside documents and indexes, in SQLite: document states, jobs, tokens, sessions, audit.
//!
//! One thread owns the writing connection and commits what is waiting in one transaction; a few readers serve the rest.
//! Facts about documents can be rebuilt from `documents/`. `rusqlite` stops here.

use std::path::Path;

use crate::domain::{DocumentId, DocumentState, DocumentStatus, Job, JobId, JobState, TenantId, Timestamp};

/// Why the ledger does not answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// The disk is full; nothing was changed.
    #[error("the disk is full: free some space and try again")]
    NoSpace,
    /// SQLite refused.
    #[error("the ledger failed: {0}")]
    Failed(String),
    /// A newer Carrel wrote it.
    #[error("data/carrel.db was written by a newer Carrel (schema {found}, this one knows {known})")]
    Newer {
        /// Schema found.
        found: u32,
        /// Schema known.
        known: u32,
    },
}

/// A document's record: what is shown, and what a scan compares.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentRecord {
    /// As shown.
    pub status: DocumentStatus,
    /// [`crate::store::StoredDocument::modified_ns`] when it was last read.
    pub modified_ns: i128,
}

/// A page of a list: at most `limit` entries after or before an id, in order of id.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<Id> {
    /// 1 to 100.
    pub limit: usize,
    /// Only entries behind this one.
    pub after: Option<Id>,
    /// Only entries ahead of this one.
    pub before: Option<Id>,
    /// Largest first.
    pub descending: bool,
}

/// Entries and whether more follow.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed<T> {
    /// In the order asked for.
    pub entries: Vec<T>,
    /// Whether more follow in that direction.
    pub has_more: bool,
}

/// Sums over a tenant's documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DocumentTotals {
    /// Documents.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Queued or working.
    pub waiting: u64,
    /// Live, warnings included.
    pub live: u64,
    /// Live with warnings.
    pub warnings: u64,
    /// Failed.
    pub failed: u64,
}

/// A minted token, without its text.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TokenRecord {
    /// `jti`.
    pub jti: String,
    /// Its tenant; none for operators and scrapers.
    pub tenant: Option<TenantId>,
    /// `sub`.
    pub subject: String,
    /// `scope`, separated by blanks.
    pub scope: String,
    /// When it was minted.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Something somebody did.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AuditEntry {
    /// Grows by one.
    pub number: i64,
    /// When.
    pub at: Timestamp,
    /// Who: a token's `sub`, `operator`, `system`.
    pub actor: String,
    /// What: `document.upload`, `document.delete`, `tenant.add`, `token.mint`, `session.open`, `access.foreign`, …
    pub action: String,
    /// The tenant it concerns.
    pub tenant: Option<TenantId>,
    /// To what.
    pub target: String,
    /// The request's id, where there was one.
    pub request_id: String,
}

/// A signed-in operator's session, found by the hash of its secret.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionRecord {
    /// SHA-256 or BLAKE3 of the cookie's secret, hexadecimal.
    pub secret_hash: String,
    /// When it was opened.
    pub created_at: Timestamp,
    /// Last request.
    pub seen_at: Timestamp,
}

/// The ledger; cheap to clone.
#[derive(Clone)]
pub struct Ledger {}

type Result<T> = std::result::Result<T, LedgerError>;

impl Ledger {
    /// Opens or makes the database at `path`, bringing its schema up to date. Blocking.
    ///
    /// # Errors
    /// When the disk refuses, the file is damaged, or a newer Carrel wrote it.
    pub fn open(_path: &Path) -> Result<Self> {
        todo!()
    }

    // Documents -------------------------------------------------------------------------------------------------------

    /// Writes records, in one transaction.
    pub async fn save_documents(&self, _tenant: &TenantId, _records: Vec<DocumentRecord>) -> Result<()> {
        todo!()
    }

    /// Forgets documents, in one transaction.
    pub async fn forget_documents(&self, _tenant: &TenantId, _ids: Vec<DocumentId>) -> Result<()> {
        todo!()
    }

    /// One document.
    pub async fn document(&self, _tenant: &TenantId, _id: &DocumentId) -> Result<Option<DocumentRecord>> {
        todo!()
    }

    /// A page of documents, of one state or all, by id.
    pub async fn documents(
        &self,
        _tenant: &TenantId,
        _page: Page<DocumentId>,
        _state: Option<DocumentState>,
    ) -> Result<Listed<DocumentStatus>> {
        todo!()
    }

    /// Every record of a tenant, for a scan.
    pub async fn all_documents(&self, _tenant: &TenantId) -> Result<Vec<DocumentRecord>> {
        todo!()
    }

    /// Sums.
    pub async fn document_totals(&self, _tenant: &TenantId) -> Result<DocumentTotals> {
        todo!()
    }

    // Jobs ------------------------------------------------------------------------------------------------------------

    /// Writes a job, new or changed.
    pub async fn save_job(&self, _tenant: &TenantId, _job: Job) -> Result<()> {
        todo!()
    }

    /// One job.
    pub async fn job(&self, _tenant: &TenantId, _id: JobId) -> Result<Option<Job>> {
        todo!()
    }

    /// A page of jobs, of one state or all; ids order by time.
    pub async fn jobs(&self, _tenant: &TenantId, _page: Page<JobId>, _state: Option<JobState>) -> Result<Listed<Job>> {
        todo!()
    }

    /// Jobs that a dead process left queued or running, oldest first.
    pub async fn unfinished_jobs(&self, _tenant: &TenantId) -> Result<Vec<Job>> {
        todo!()
    }

    /// The newest jobs of all tenants, for the operator's overview.
    pub async fn recent_jobs(&self, _limit: usize) -> Result<Vec<(TenantId, Job)>> {
        todo!()
    }

    /// Jobs by state, all tenants.
    pub async fn job_counts(&self) -> Result<Vec<(JobState, u64)>> {
        todo!()
    }

    // Tokens ----------------------------------------------------------------------------------------------------------

    /// Notes a minted token.
    pub async fn record_token(&self, _token: TokenRecord) -> Result<()> {
        todo!()
    }

    /// Tokens, newest first; of one tenant, or all.
    pub async fn tokens(&self, _tenant: Option<&TenantId>) -> Result<Vec<TokenRecord>> {
        todo!()
    }

    /// Revokes a token; false when it is unknown. Revoking twice is fine.
    pub async fn revoke_token(&self, _jti: &str) -> Result<bool> {
        todo!()
    }

    /// `jti`s of revoked tokens that have not expired. Blocking.
    pub fn revoked_tokens(&self) -> Result<Vec<String>> {
        todo!()
    }

    // Audit -----------------------------------------------------------------------------------------------------------

    /// Appends an entry; `number` and `at` are set here.
    pub async fn audit(&self, _entry: AuditEntry) -> Result<()> {
        todo!()
    }

    /// The newest entries, newest first.
    pub async fn audit_log(&self, _limit: usize) -> Result<Vec<AuditEntry>> {
        todo!()
    }

    // The operator ----------------------------------------------------------------------------------------------------

    /// The operator's password hash (PHC text), once one is set.
    pub async fn password_hash(&self) -> Result<Option<String>> {
        todo!()
    }

    /// Sets the password hash and ends every session.
    pub async fn set_password_hash(&self, _phc: String) -> Result<()> {
        todo!()
    }

    /// Keeps the hash of a one-time sign-in link until `expires_at`; earlier links end.
    pub async fn save_link(&self, _secret_hash: String, _expires_at: Timestamp) -> Result<()> {
        todo!()
    }

    /// Uses a link up; true when it was there and had not expired.
    pub async fn take_link(&self, _secret_hash: &str) -> Result<bool> {
        todo!()
    }

    /// Opens a session.
    pub async fn save_session(&self, _session: SessionRecord) -> Result<()> {
        todo!()
    }

    /// A session by its secret's hash.
    pub async fn session(&self, _secret_hash: &str) -> Result<Option<SessionRecord>> {
        todo!()
    }

    /// Notes that a session was used.
    pub async fn touch_session(&self, _secret_hash: &str, _at: Timestamp) -> Result<()> {
        todo!()
    }

    /// Ends a session.
    pub async fn end_session(&self, _secret_hash: &str) -> Result<()> {
        todo!()
    }

    // Tenants ---------------------------------------------------------------------------------------------------------

    /// Forgets a tenant's documents, jobs and tokens (which stay revoked); its audit entries remain.
    pub async fn forget_tenant(&self, _tenant: &TenantId) -> Result<()> {
        todo!()
    }
}

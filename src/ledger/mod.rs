//! What Carrel remembers beside documents and indexes, in SQLite: document states, jobs, tokens, sessions, audit.
//!
//! One thread owns the writing connection and commits what is waiting in one transaction; a few readers serve the rest.
//! Facts about documents can be rebuilt from `documents/`. `rusqlite` stops here.
//!
//! A write is durable when its call returns, and goes through even when its caller stops waiting. Reads see what was
//! committed before them and never wait for a write.

mod audit;
mod documents;
mod golden;
mod jobs;
mod keeping;
mod lists;
mod operator;
mod readers;
mod schema;
mod sections;
mod tokens;
mod writer;

use std::path::Path;
use std::sync::Arc;

use rusqlite::ErrorCode;
use tokio::sync::watch;

use readers::Readers;
pub use sections::Rows;
use writer::Writer;

use crate::domain::{DocumentStatus, TenantId, Timestamp};

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
///
/// `after` alone takes the entries that follow it, `before` alone those that lead up to it, both together those between.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<Id> {
    /// 1 to 100; other values are moved to the nearer end.
    pub limit: usize,
    /// Only entries behind this one, in the order asked for.
    pub after: Option<Id>,
    /// Only entries ahead of this one, in the order asked for.
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

/// The ledger; cheap to clone. Dropping the last clone waits until everything is committed.
#[derive(Clone)]
pub struct Ledger {
    // Closed before the writer, which then folds the log into the database.
    readers: Arc<Readers>,
    writer: Arc<Writer>,
    path: Arc<Path>,
    /// Counts jobs written, so that whoever follows one knows when to look.
    jobs_written: Arc<watch::Sender<u64>>,
}

type Result<T> = std::result::Result<T, LedgerError>;

impl Ledger {
    /// Rows that one transaction writes for one caller, so that a tenant with very many holds up nobody for long.
    pub const ROWS_AT_ONCE: usize = 1000;

    /// Opens or makes the database at `path`, bringing its schema up to date. Blocking.
    ///
    /// # Errors
    /// When the disk refuses, the file is damaged or not Carrel's, or a newer Carrel wrote it; it is then unchanged.
    pub fn open(path: &Path) -> Result<Self> {
        let connection = schema::open(path)?;
        Ok(Self {
            readers: Arc::new(Readers::new(path)),
            writer: Arc::new(Writer::start(connection)?),
            path: path.into(),
            jobs_written: Arc::default(),
        })
    }

    /// Forgets a tenant's documents, jobs, golden questions and tokens (which stay revoked); its audit entries remain.
    pub async fn forget_tenant(&self, tenant: &TenantId) -> Result<()> {
        self.revoke_tenant(tenant).await?;
        for table in ["tokens", "documents", "jobs", "golden"] {
            self.forget_rows(table, tenant).await?;
        }
        Ok(())
    }

    /// From here on every write fails, as on a disk that is full or was pulled.
    #[cfg(test)]
    pub(crate) async fn refuse_writes(&self) {
        let refuse = |db: &rusqlite::Connection| db.pragma_update(None, "query_only", true);
        self.writer.write(refuse).await.expect("a setting is no write");
    }

    async fn forget_rows(&self, table: &str, tenant: &TenantId) -> Result<()> {
        let some = format!("SELECT rowid FROM {table} WHERE tenant = ?1 LIMIT {}", Self::ROWS_AT_ONCE);
        let sql = format!("DELETE FROM {table} WHERE rowid IN ({some})");
        loop {
            let (sql, tenant) = (sql.clone(), tenant.to_string());
            if self.writer.write(move |db| db.execute(&sql, [&tenant])).await? == 0 {
                return Ok(());
            }
        }
    }
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::NoSpace,
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<serde_json::Error> for LedgerError {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

#[cfg(test)]
mod tests;

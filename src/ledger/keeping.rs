//! What is old is forgotten, so that the ledger does not grow for ever.

use std::sync::Arc;

use rusqlite::params;

use super::{Ledger, LedgerError, Result, schema};
use crate::domain::{JobId, Timestamp};

/// Rows forgotten in one transaction: other writers wait for milliseconds at most.
const AT_ONCE: u16 = 1_000;

impl Ledger {
    /// Forgets jobs that ended and were made before `before`; returns how many. Those queued or running stay.
    ///
    /// # Errors
    /// When the ledger refuses; what was forgotten until then stays so.
    pub async fn forget_jobs(&self, before: Timestamp) -> Result<usize> {
        let sql = "DELETE FROM jobs WHERE rowid IN (SELECT rowid FROM jobs
                   WHERE id < ?1 AND state NOT IN ('queued', 'running') ORDER BY id LIMIT ?2)";
        self.forget(sql, JobId::first_at(before).to_string()).await
    }

    /// Forgets entries of the audit made before `before`; returns how many.
    ///
    /// # Errors
    /// As [`Ledger::forget_jobs`].
    pub async fn forget_audit(&self, before: Timestamp) -> Result<usize> {
        let sql = "DELETE FROM audit WHERE number IN (SELECT number FROM audit
                   WHERE at < CAST(?1 AS INTEGER) ORDER BY number LIMIT ?2)";
        self.forget(sql, before.as_millis().to_string()).await
    }

    /// Folds the write-ahead log into the database and empties it, so that nothing of deleted rows is left in either.
    ///
    /// # Errors
    /// When the ledger refuses, or a reader holds the log for long.
    pub async fn scrub(&self) -> Result<()> {
        let path = Arc::clone(&self.path);
        // A connection of its own, since the writer's is within a transaction whenever it works.
        let fold = move || {
            let db = schema::connect_to_fold(&path)?;
            db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).map_err(LedgerError::from)
        };
        match tokio::task::spawn_blocking(fold).await {
            Ok(Ok(0)) => Ok(()),
            Ok(Ok(_)) => Err(LedgerError::Failed("the log is in use: try again".into())),
            Ok(Err(error)) => Err(error),
            Err(died) => Err(LedgerError::Failed(died.to_string())),
        }
    }

    async fn forget(&self, sql: &'static str, before: String) -> Result<usize> {
        let mut forgotten = 0;
        loop {
            let before = before.clone();
            let now = self.writer.write(move |db| db.execute(sql, params![before, AT_ONCE])).await?;
            forgotten += now;
            if now < usize::from(AT_ONCE) {
                return Ok(forgotten);
            }
        }
    }
}

//! What is old is forgotten, so that the ledger does not grow for ever.

use rusqlite::params;

use super::{Ledger, Result};
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

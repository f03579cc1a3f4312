//! Who did what.

use rusqlite::{Connection, params};

use super::{AuditEntry, Ledger, Result, lists};
use crate::domain::{TenantId, Timestamp};

impl Ledger {
    /// Appends an entry; `number` and `at` are set here.
    pub async fn audit(&self, entry: AuditEntry) -> Result<()> {
        let sql = "INSERT INTO audit (at, actor, action, tenant, target, request_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let append = move |db: &Connection| {
            let (now, tenant) = (Timestamp::now().as_millis(), entry.tenant.as_ref().map(TenantId::as_str));
            db.execute(sql, params![now, entry.actor, entry.action, tenant, entry.target, entry.request_id])
        };
        self.writer.write(append).await.map(drop)
    }

    /// How often `action` was done to a tenant, as far back as the audit goes.
    pub async fn count_deeds(&self, tenant: &TenantId, action: &'static str) -> Result<u64> {
        let tenant = tenant.to_string();
        let sql = "SELECT COUNT(*) FROM audit WHERE tenant = ?1 AND action = ?2";
        self.readers.read(move |db| db.query_row(sql, params![tenant, action], |row| lists::count(row, 0))).await
    }

    /// The newest entries, newest first; only those older than the entry numbered `before`, when it is given.
    pub async fn audit_log(&self, limit: usize, before: Option<u64>) -> Result<Vec<AuditEntry>> {
        let sql = "SELECT number, at, actor, action, tenant, target, request_id FROM audit WHERE number < ?2 \
                   ORDER BY number DESC LIMIT ?1";
        let before = before.and_then(|number| i64::try_from(number).ok()).unwrap_or(i64::MAX);
        let newest = move |db: &Connection| {
            let mut statement = db.prepare(sql)?;
            let rows = statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX), before], |row| {
                Ok(AuditEntry {
                    number: row.get(0)?,
                    at: lists::time(row, 1)?,
                    actor: row.get(2)?,
                    action: row.get(3)?,
                    tenant: lists::tenant(row, 4)?,
                    target: row.get(5)?,
                    request_id: row.get(6)?,
                })
            })?;
            rows.collect()
        };
        self.readers.read(newest).await
    }
}

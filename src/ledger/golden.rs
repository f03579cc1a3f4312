//! Golden questions.

use rusqlite::{Connection, params};

use super::{Ledger, Result, lists};
use crate::domain::{Golden, TenantId};

impl Ledger {
    /// Writes a golden question, in place of one of the same id.
    pub async fn save_golden(&self, tenant: &TenantId, golden: Golden) -> Result<()> {
        let tenant = tenant.to_string();
        self.writer.write(move |db| save(db, &tenant, &golden)).await
    }

    /// Deletes a golden question; false when there is none of this id.
    pub async fn forget_golden(&self, tenant: &TenantId, id: &str) -> Result<bool> {
        let key = [tenant.to_string(), id.to_owned()];
        let sql = "DELETE FROM golden WHERE tenant = ?1 AND id = ?2";
        self.writer.write(move |db| Ok(db.execute(sql, key.clone())? > 0)).await
    }

    /// All golden questions of a tenant, by id.
    pub async fn golden(&self, tenant: &TenantId) -> Result<Vec<Golden>> {
        let tenant = tenant.to_string();
        self.readers.read(move |db| all(db, &tenant)).await
    }
}

pub(super) fn all(db: &Connection, tenant: &str) -> rusqlite::Result<Vec<Golden>> {
    let mut statement = db.prepare("SELECT entry FROM golden WHERE tenant = ?1 ORDER BY id")?;
    statement.query_map([tenant], |row| lists::entry(row, 0))?.collect()
}

pub(super) fn save(db: &Connection, tenant: &str, golden: &Golden) -> rusqlite::Result<()> {
    let entry = serde_json::to_string(golden).map_err(|error| lists::damaged(0, error))?;
    let sql = "INSERT OR REPLACE INTO golden VALUES (?1, ?2, ?3)";
    db.execute(sql, params![tenant, golden.id, entry]).map(drop)
}

//! The operator's password, links and sessions; hashes alone.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::{Ledger, Result, SessionRecord, lists};
use crate::domain::Timestamp;

impl Ledger {
    /// The operator's password hash (PHC text), once one is set.
    pub async fn password_hash(&self) -> Result<Option<String>> {
        self.readers.read(|db| db.query_row("SELECT phc FROM password", [], |row| row.get(0)).optional()).await
    }

    /// Sets the password hash and ends every session and link.
    pub async fn set_password_hash(&self, phc: String) -> Result<()> {
        let set = move |db: &Connection| {
            db.execute("INSERT OR REPLACE INTO password VALUES (1, ?1)", [&phc])?;
            db.execute_batch("DELETE FROM sessions; DELETE FROM links;")
        };
        self.writer.write(set).await
    }

    /// Keeps the hash of a one-time sign-in link until `expires_at`; earlier links end.
    pub async fn save_link(&self, secret_hash: String, expires_at: Timestamp) -> Result<()> {
        let save = move |db: &Connection| {
            db.execute("DELETE FROM links", [])?;
            db.execute("INSERT INTO links VALUES (?1, ?2)", params![secret_hash, expires_at.as_millis()])
        };
        self.writer.write(save).await.map(drop)
    }

    /// Uses a link up; true when it was there and had not expired at `now`.
    pub async fn take_link(&self, secret_hash: &str, now: Timestamp) -> Result<bool> {
        let hash = secret_hash.to_owned();
        let sql = "DELETE FROM links WHERE secret_hash = ?1 RETURNING expires_at > ?2";
        let take =
            move |db: &Connection| db.query_row(sql, params![hash, now.as_millis()], |row| row.get(0)).optional();
        Ok(self.writer.write(take).await?.unwrap_or(false))
    }

    /// Opens a session.
    pub async fn save_session(&self, session: SessionRecord) -> Result<()> {
        let save = move |db: &Connection| {
            let (created_at, seen_at) = (session.created_at.as_millis(), session.seen_at.as_millis());
            db.execute("INSERT INTO sessions VALUES (?1, ?2, ?3)", params![session.secret_hash, created_at, seen_at])
        };
        self.writer.write(save).await.map(drop)
    }

    /// Opens a session if `phc` is still the password's hash; false when it was changed.
    pub async fn save_session_under(&self, session: SessionRecord, phc: String) -> Result<bool> {
        let sql = "INSERT INTO sessions SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM password WHERE phc = ?4)";
        let save = move |db: &Connection| {
            let (created_at, seen_at) = (session.created_at.as_millis(), session.seen_at.as_millis());
            db.execute(sql, params![session.secret_hash, created_at, seen_at, phc])
        };
        Ok(self.writer.write(save).await? > 0)
    }

    /// A session by its secret's hash.
    pub async fn session(&self, secret_hash: &str) -> Result<Option<SessionRecord>> {
        let hash = secret_hash.to_owned();
        let sql = "SELECT secret_hash, created_at, seen_at FROM sessions WHERE secret_hash = ?1";
        let read = move |db: &Connection| {
            let session = db.query_row(sql, [hash], |row| {
                let (created_at, seen_at) = (lists::time(row, 1)?, lists::time(row, 2)?);
                Ok(SessionRecord { secret_hash: row.get(0)?, created_at, seen_at })
            });
            session.optional()
        };
        self.readers.read(read).await
    }

    /// Notes that a session was used. One that has ended stays ended.
    pub async fn touch_session(&self, secret_hash: &str, at: Timestamp) -> Result<()> {
        let hash = secret_hash.to_owned();
        let sql = "UPDATE sessions SET seen_at = max(seen_at, ?2) WHERE secret_hash = ?1";
        self.writer.write(move |db| db.execute(sql, params![hash, at.as_millis()]).map(drop)).await
    }

    /// Ends a session.
    pub async fn end_session(&self, secret_hash: &str) -> Result<()> {
        let hash = secret_hash.to_owned();
        self.writer.write(move |db| db.execute("DELETE FROM sessions WHERE secret_hash = ?1", [&hash]).map(drop)).await
    }

    /// Ends sessions that were last used `idle` or longer before `now`.
    pub async fn end_sessions_idle_for(&self, idle: Duration, now: Timestamp) -> Result<()> {
        let last = now.as_millis().saturating_sub(i64::try_from(idle.as_millis()).unwrap_or(i64::MAX));
        self.writer.write(move |db| db.execute("DELETE FROM sessions WHERE seen_at <= ?1", [last]).map(drop)).await
    }
}

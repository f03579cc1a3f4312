//! Tokens that were minted, and those that no longer count.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Ledger, Result, TokenRecord, lists};
use crate::domain::{TenantId, Timestamp};

/// A revoked token is remembered this much longer than it lives, in milliseconds: a clock that is set back must not bring it
/// back to life.
const GRACE_MS: i64 = 24 * 3600 * 1000;

impl Ledger {
    /// Notes a minted token.
    pub async fn record_token(&self, token: TokenRecord) -> Result<()> {
        let sql = "INSERT INTO tokens VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let record = move |db: &Connection| {
            db.execute(
                sql,
                params![
                    token.jti,
                    token.tenant.as_ref().map(TenantId::as_str),
                    token.subject,
                    token.scope,
                    token.created_at.as_millis(),
                    token.expires_at.as_millis(),
                    token.revoked_at.map(Timestamp::as_millis),
                ],
            )
        };
        self.writer.write(record).await.map(drop)
    }

    /// Tokens, newest first; of one tenant, or all.
    pub async fn tokens(&self, tenant: Option<&TenantId>) -> Result<Vec<TokenRecord>> {
        let tenant = tenant.map(ToString::to_string);
        let tokens = move |db: &Connection| {
            let mut statement =
                db.prepare("SELECT * FROM tokens WHERE ?1 IS NULL OR tenant = ?1 ORDER BY created_at DESC, jti DESC")?;
            statement.query_map([tenant], token)?.collect()
        };
        self.readers.read(tokens).await
    }

    /// Revokes a token; false when it is unknown. Revoking twice is fine.
    pub async fn revoke_token(&self, jti: &str) -> Result<bool> {
        let jti = jti.to_owned();
        let sql = "UPDATE tokens SET revoked_at = coalesce(revoked_at, ?2) WHERE jti = ?1 RETURNING expires_at";
        let revoke = move |db: &Connection| {
            let known = db.query_row(sql, params![jti, Timestamp::now().as_millis()], |row| row.get(0)).optional()?;
            known.map_or(Ok(false), |expires_at| remember(db, &jti, expires_at).map(|()| true))
        };
        self.writer.write(revoke).await
    }

    /// Revokes all tokens of a tenant; returns the `jti` of each.
    pub async fn revoke_tenant(&self, tenant: &TenantId) -> Result<Vec<String>> {
        let tenant = tenant.to_string();
        let sql = "UPDATE tokens SET revoked_at = coalesce(revoked_at, ?2) WHERE tenant = ?1 RETURNING jti, expires_at";
        let revoke = move |db: &Connection| {
            let mut statement = db.prepare(sql)?;
            let revoked = statement.query_map(params![tenant, Timestamp::now().as_millis()], |row| {
                Ok((row.get::<_, String>(0)?, row.get(1)?))
            })?;
            let revoked = revoked.collect::<rusqlite::Result<Vec<_>>>()?;
            revoked.into_iter().map(|(jti, expires_at)| remember(db, &jti, expires_at).map(|()| jti)).collect()
        };
        self.writer.write(revoke).await
    }

    /// `jti`s of revoked tokens that have not expired for a day. Blocking.
    pub fn revoked_tokens(&self) -> Result<Vec<String>> {
        let since = Timestamp::now().as_millis() - GRACE_MS;
        self.readers.read_here(|db| {
            let mut statement = db.prepare("SELECT jti FROM revoked WHERE expires_at > ?1")?;
            statement.query_map([since], |row| row.get(0))?.collect()
        })
    }
}

/// Keeps a `jti` from ever counting again, whatever becomes of its tenant.
fn remember(db: &Connection, jti: &str, expires_at: i64) -> rusqlite::Result<()> {
    db.execute("INSERT OR IGNORE INTO revoked VALUES (?1, ?2)", params![jti, expires_at]).map(drop)
}

fn token(row: &Row<'_>) -> rusqlite::Result<TokenRecord> {
    Ok(TokenRecord {
        jti: row.get(0)?,
        tenant: lists::tenant(row, 1)?,
        subject: row.get(2)?,
        scope: row.get(3)?,
        created_at: lists::time(row, 4)?,
        expires_at: lists::time(row, 5)?,
        revoked_at: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_millis),
    })
}

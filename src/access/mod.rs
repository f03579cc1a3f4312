//! Who may do what: tokens, the operator's sessions, and the callers they turn into.
//!
//! A [`Caller`] and an [`Operator`] can be made nowhere else, so whoever holds one was verified. `jsonwebtoken` and `argon2`
//! stop here. Uses `ledger/` for what must be remembered.

use std::path::Path;

use crate::config::AuthConfig;
use crate::domain::{TenantId, Timestamp};
use crate::ledger::{Ledger, LedgerError};

/// One thing a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// `query`: ask and search.
    Query,
    /// `documents:read`.
    DocumentsRead,
    /// `documents:write`.
    DocumentsWrite,
    /// `reindex`: builds and jobs.
    Reindex,
    /// `tenants:admin`: everything an operator does.
    TenantsAdmin,
    /// `metrics`: scrape.
    Metrics,
}

impl Permission {
    /// Every permission, in the order shown.
    pub const ALL: [Self; 6] =
        [Self::Query, Self::DocumentsRead, Self::DocumentsWrite, Self::Reindex, Self::TenantsAdmin, Self::Metrics];

    /// Its name in a token's `scope`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::DocumentsRead => "documents:read",
            Self::DocumentsWrite => "documents:write",
            Self::Reindex => "reindex",
            Self::TenantsAdmin => "tenants:admin",
            Self::Metrics => "metrics",
        }
    }

    /// The permission of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == text)
    }
}

/// Why somebody is not let in. The message never tells which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No credential.
    #[error("send a token: `Authorization: Bearer …`")]
    Missing,
    /// Not one of ours, damaged, expired, revoked.
    #[error("the token is not valid")]
    Invalid(AuthFailure),
    /// Ours, but not for this.
    #[error("the token's scope does not allow this: it needs `{}`", .0.as_str())]
    Forbidden(Permission),
}

/// Reasons, for metrics and logs alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthFailure {
    /// Not a JWT of ours: form, algorithm, signature, claims.
    Malformed,
    /// `exp` passed.
    Expired,
    /// Revoked.
    Revoked,
    /// Names a tenant that is not there.
    UnknownTenant,
}

/// Why the secret is refused at start.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Too short.
    #[error("{path} holds {found} bytes; a signing secret needs at least 32: remove the file to have one made")]
    Short {
        /// The file.
        path: String,
        /// Bytes found.
        found: usize,
    },
    /// Others can read it.
    #[error("{path} can be read by others (mode {mode:o}): run `chmod 600 {path}`")]
    Exposed {
        /// The file.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// The disk refused.
    #[error("cannot read or make {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// A verified token's holder.
#[derive(Debug, Clone)]
pub struct Caller {
    tenant: Option<TenantId>,
    subject: String,
    jti: String,
    permissions: Vec<Permission>,
}

/// Somebody who may act for every tenant: a `tenants:admin` token, or a signed-in session.
#[derive(Debug, Clone)]
pub struct Operator {
    subject: String,
}

impl Caller {
    /// The tenant of the token; none for operators and scrapers.
    #[must_use]
    pub fn tenant(&self) -> Option<&TenantId> {
        self.tenant.as_ref()
    }

    /// `sub`, for the audit.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `jti`.
    #[must_use]
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// Checks one permission.
    ///
    /// # Errors
    /// [`AuthError::Forbidden`] names what is missing.
    pub fn require(&self, permission: Permission) -> Result<(), AuthError> {
        if self.permissions.contains(&permission) { Ok(()) } else { Err(AuthError::Forbidden(permission)) }
    }

    /// The operator this caller is.
    ///
    /// # Errors
    /// [`AuthError::Forbidden`] without `tenants:admin`.
    pub fn operator(&self) -> Result<Operator, AuthError> {
        self.require(Permission::TenantsAdmin)?;
        Ok(Operator { subject: self.subject.clone() })
    }
}

impl Operator {
    /// Who, for the audit.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The person at the machine itself: the command line, boot. Only for code that a request cannot reach.
    #[must_use]
    pub fn local() -> Self {
        Self { subject: "local".into() }
    }
}

/// The signing secret.
#[derive(Clone)]
pub struct Secret {}

impl Secret {
    /// Reads the secret, or makes one of 32 random bytes with mode 0600 where there is none. Blocking.
    ///
    /// # Errors
    /// When it is short, readable by others, or the disk refuses.
    pub fn load_or_create(_path: &Path) -> Result<Self, SecretError> {
        todo!()
    }
}

/// What a new token shall say.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// Its tenant; none for operators and scrapers.
    pub tenant: Option<TenantId>,
    /// `sub`.
    pub subject: String,
    /// What it may do; not empty.
    pub permissions: Vec<Permission>,
    /// Days it lives.
    pub days: u32,
}

/// A fresh token; the text is shown once.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct MintedToken {
    /// The JWT.
    pub token: String,
    /// Its id.
    pub jti: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Verifies and mints tokens, and knows which are revoked.
#[derive(Clone)]
pub struct Tokens {}

impl Tokens {
    /// Tokens under `secret`; reads the revoked ones from the ledger. Blocking.
    ///
    /// # Errors
    /// When the ledger fails.
    pub fn open(_secret: &Secret, _config: &AuthConfig, _ledger: Ledger) -> Result<Self, LedgerError> {
        todo!()
    }

    /// Verifies a bearer token: HS256 alone, `iss`, `aud`, `exp` (30 s leeway), `sub`, `scope`, `jti`, not revoked; `tenant`
    /// unless it is an operator's or scraper's.
    ///
    /// # Errors
    /// [`AuthError::Invalid`].
    pub fn verify(&self, _bearer: &str) -> Result<Caller, AuthError> {
        todo!()
    }

    /// Mints a token and notes it in the ledger.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn mint(&self, _request: TokenRequest) -> Result<MintedToken, LedgerError> {
        todo!()
    }

    /// Revokes a token at once; false when it is unknown.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn revoke(&self, _jti: &str) -> Result<bool, LedgerError> {
        todo!()
    }

    /// Revokes every token of a tenant that is removed.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn revoke_tenant(&self, _tenant: &TenantId) -> Result<(), LedgerError> {
        todo!()
    }
}

/// Why an operator is not signed in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SignInError {
    /// Wrong link or password; the same words for all.
    #[error("that did not work: the link may have been used, or the password is wrong")]
    Refused,
    /// Too many attempts at once.
    #[error("too many attempts: wait a moment and try again")]
    Busy,
    /// The new password is too weak.
    #[error("choose a password of at least 15 characters that is not a common one")]
    Weak,
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The operator's one-time links, password and sessions.
#[derive(Clone)]
pub struct Sessions {}

impl Sessions {
    /// Idle time after which a session ends.
    pub const IDLE: std::time::Duration = std::time::Duration::from_secs(8 * 3600);
    /// Whole time after which a session ends.
    pub const ABSOLUTE: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

    /// Sessions kept in `ledger`.
    #[must_use]
    pub fn new(_ledger: Ledger) -> Self {
        todo!()
    }

    /// Makes a one-time sign-in secret that lives for an hour; earlier ones end.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn make_link(&self) -> Result<String, LedgerError> {
        todo!()
    }

    /// Uses a link up and opens a session; returns the cookie's secret.
    ///
    /// # Errors
    /// [`SignInError::Refused`].
    pub async fn open_by_link(&self, _secret: &str) -> Result<String, SignInError> {
        todo!()
    }

    /// Opens a session by password; argon2id, at most two at once, the same time with and without a password set.
    ///
    /// # Errors
    /// [`SignInError::Refused`] or [`SignInError::Busy`].
    pub async fn open_by_password(&self, _password: &str) -> Result<String, SignInError> {
        todo!()
    }

    /// Whether a password has been set.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn has_password(&self) -> Result<bool, LedgerError> {
        todo!()
    }

    /// Sets the password, ends all sessions and opens a new one; returns its cookie's secret.
    ///
    /// # Errors
    /// [`SignInError::Weak`].
    pub async fn set_password(&self, _operator: &Operator, _password: &str) -> Result<String, SignInError> {
        todo!()
    }

    /// The operator behind a cookie, if its session lives.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn operator(&self, _cookie: &str) -> Result<Option<Operator>, LedgerError> {
        todo!()
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn close(&self, _cookie: &str) -> Result<(), LedgerError> {
        todo!()
    }
}

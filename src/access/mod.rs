//! Who may do what: tokens, the operator's sessions, and the callers they turn into.
//!
//! A [`Caller`] and an [`Operator`] can be made nowhere else, so whoever holds one was verified. `jsonwebtoken` and `argon2`
//! stop here. Uses `ledger/` for what must be remembered.
//!
//! ```compile_fail,E0451
//! # use carrel::access::Operator;
//! let anybody = Operator { subject: "me".into() }; // the field is private: only `access/` makes operators
//! ```
//! ```compile_fail,E0451
//! # use carrel::access::Caller;
//! # use carrel::domain::TenantId;
//! # fn promote(verified: Caller, other: TenantId) -> Caller {
//! Caller { tenant: Some(other), ..verified } // nor does a caller change its tenant
//! # }
//! ```

mod claims;
mod clock;
mod local;
mod passwords;
mod secret;
mod sessions;
mod tokens;

use crate::domain::TenantId;

pub use local::{COMMAND_LINE, LocalSigner, is_command_lines};
pub use secret::{Secret, SecretError};
pub use sessions::{Sessions, SignInError};
pub use tokens::{MintedToken, TokenRequest, Tokens};

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

    /// Whether it is one over a tenant's own things; the others reach beyond one tenant.
    #[must_use]
    pub fn is_tenants_own(self) -> bool {
        !matches!(self, Self::TenantsAdmin | Self::Metrics)
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

/// A verified token's holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    tenant: Option<TenantId>,
    subject: String,
    jti: String,
    permissions: Vec<Permission>,
}

/// Somebody who may act for every tenant: a `tenants:admin` token, or a signed-in session.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// 32 bytes from the system's random source as 64 hexadecimal digits: what links, cookies and secrets are made of.
fn random_secret() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system has randomness to give once it runs programs");
    blake3::Hash::from_bytes(bytes).to_hex().to_string()
}

#[cfg(test)]
mod tests;

//! What a token says, in exactly one form.

use serde::{Deserialize, Deserializer, Serialize};

use super::{AuthFailure, Caller, Permission};
use crate::domain::{TenantId, Timestamp};

/// `aud` of every token.
pub(super) const AUDIENCE: &str = "carrel";

/// How far clocks may differ, seconds.
const LEEWAY_S: u64 = 30;

/// The last second of the year 9999: a token that lives longer is a mistake.
const LAST_S: u64 = 253_402_300_799;

/// Bytes of `sub` and `jti`, which go into logs and the audit.
const NAME_BYTES: usize = 256;

/// A token's claims. Times are whole seconds since 1970; others are ignored, as RFC 7519 asks.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: String,
    #[serde(default, deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    pub scope: String,
    pub jti: String,
    pub exp: u64,
    #[serde(default, deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    #[serde(default, deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
}

/// Reads a claim that may be left out, but not be `null`: a claim of the wrong type must never count as absent.
fn stated<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl Claims {
    /// Checks the times against the clock.
    pub fn in_force(&self, now: Timestamp) -> Result<(), AuthFailure> {
        let now = u64::try_from(now.as_millis() / 1000).unwrap_or_default();
        if self.exp > LAST_S || self.nbf.is_some_and(|nbf| nbf > now + LEEWAY_S) {
            return Err(AuthFailure::Malformed);
        }
        if now >= self.exp + LEEWAY_S { Err(AuthFailure::Expired) } else { Ok(()) }
    }

    /// The holder. Words of `scope` that this Carrel does not know allow nothing.
    pub fn caller(self) -> Result<Caller, AuthFailure> {
        let permissions: Vec<_> = self.scope.split(' ').filter_map(Permission::parse).collect();
        let needs_tenant = !permissions.iter().any(|p| matches!(p, Permission::TenantsAdmin | Permission::Metrics));
        let whole = is_name(&self.sub) && is_name(&self.jti) && !permissions.is_empty();
        if !whole || (needs_tenant && self.tenant.is_none()) {
            return Err(AuthFailure::Malformed);
        }
        Ok(Caller { tenant: self.tenant, subject: self.sub, jti: self.jti, permissions })
    }
}

fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

//! Tokens: minted, verified, revoked.

use std::collections::HashSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jsonwebtoken::crypto::aws_lc;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};

use super::claims::{AUDIENCE, Claims};
use super::clock::Clock;
use super::{AuthError, AuthFailure, Caller, Permission, Secret};
use crate::config::AuthConfig;
use crate::domain::{TenantId, Timestamp};
use crate::ledger::{Ledger, LedgerError, TokenRecord};

/// The largest token that is looked at, bytes; ours have about 400.
const MAX_TOKEN_BYTES: usize = 8 << 10;

/// What a new token shall say.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// Its tenant; none for operators and scrapers.
    pub tenant: Option<TenantId>,
    /// `sub`: 1 to 256 bytes without control characters.
    pub subject: String,
    /// What it may do; not empty.
    pub permissions: Vec<Permission>,
    /// Days it lives: 1 to [`TokenRequest::MAX_DAYS`]; other values are moved to the nearer end.
    pub days: u32,
}

impl TokenRequest {
    /// Ten years.
    pub const MAX_DAYS: u32 = 3650;

    pub(super) fn claims(&self, issuer: &str, now: Timestamp) -> Claims {
        let now = u64::try_from(now.as_millis() / 1000).unwrap_or_default();
        let scope: Vec<_> =
            Permission::ALL.iter().filter(|p| self.permissions.contains(p)).map(|p| p.as_str()).collect();
        Claims {
            iss: issuer.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: self.subject.clone(),
            tenant: self.tenant.clone(),
            scope: scope.join(" "),
            jti: uuid::Uuid::now_v7().to_string(),
            exp: now + u64::from(self.days.clamp(1, Self::MAX_DAYS)) * 24 * 3600,
            nbf: None,
            iat: Some(now),
        }
    }
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

/// Verifies and mints tokens, and knows which are revoked; cheap to clone.
#[derive(Clone)]
pub struct Tokens(Arc<Desk>);

struct Desk {
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
    issuer: String,
    /// Read at every request, changed seldom.
    revoked: ArcSwap<HashSet<String>>,
    ledger: Ledger,
    clock: Clock,
}

impl Tokens {
    /// Tokens under `secret`; reads the revoked ones from the ledger. Blocking.
    ///
    /// # Errors
    /// When the ledger fails.
    pub fn open(secret: &Secret, config: &AuthConfig, ledger: Ledger) -> Result<Self, LedgerError> {
        Self::with_clock(secret, config, ledger, Clock::system())
    }

    pub(super) fn with_clock(
        secret: &Secret,
        config: &AuthConfig,
        ledger: Ledger,
        clock: Clock,
    ) -> Result<Self, LedgerError> {
        choose_cryptography();
        Ok(Self(Arc::new(Desk {
            signing: EncodingKey::from_secret(secret.expose()),
            verifying: DecodingKey::from_secret(secret.expose()),
            validation: validation(&config.issuer),
            issuer: config.issuer.clone(),
            revoked: ArcSwap::from_pointee(ledger.revoked_tokens()?.into_iter().collect()),
            ledger,
            clock,
        })))
    }

    /// Verifies a bearer token: HS256 alone, `iss`, `aud`, `exp` (30 s leeway), `sub`, `scope`, `jti`, not revoked; `tenant`
    /// unless it is an operator's or scraper's. Touches neither disk nor network.
    ///
    /// # Errors
    /// [`AuthError::Invalid`].
    pub fn verify(&self, bearer: &str) -> Result<Caller, AuthError> {
        self.caller(bearer).map_err(AuthError::Invalid)
    }

    fn caller(&self, bearer: &str) -> Result<Caller, AuthFailure> {
        let desk = &*self.0;
        if bearer.len() > MAX_TOKEN_BYTES {
            return Err(AuthFailure::Malformed);
        }
        let token = jsonwebtoken::decode::<Claims>(bearer, &desk.verifying, &desk.validation)
            .map_err(|_| AuthFailure::Malformed)?;
        // There is one key and one form. A header that says more (`kid`, `jku`, `jwk`, `crit`, …) wants something we do not do.
        if token.header != Header::new(Algorithm::HS256) {
            return Err(AuthFailure::Malformed);
        }
        token.claims.in_force(desk.clock.now())?;
        if desk.revoked.load().contains(&token.claims.jti) {
            return Err(AuthFailure::Revoked);
        }
        token.claims.caller()
    }

    /// Whether a token was revoked.
    #[must_use]
    pub fn is_revoked(&self, jti: &str) -> bool {
        self.0.revoked.load().contains(jti)
    }

    /// Mints a token and notes it in the ledger.
    ///
    /// # Errors
    /// When the ledger fails, or the request makes no token that would be let in.
    pub async fn mint(&self, request: TokenRequest) -> Result<MintedToken, LedgerError> {
        let desk = &*self.0;
        let now = desk.clock.now();
        let claims = request.claims(&desk.issuer, now);
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &desk.signing)
            .map_err(|error| LedgerError::Failed(error.to_string()))?;
        let expires_at = Timestamp::from_millis(i64::try_from(claims.exp * 1000).unwrap_or_default());
        let record = TokenRecord {
            jti: claims.jti.clone(),
            tenant: request.tenant,
            subject: request.subject,
            scope: claims.scope.clone(),
            created_at: now,
            expires_at,
            revoked_at: None,
        };
        let jti = claims.jti.clone();
        claims.caller().map_err(|_| LedgerError::Failed(UNUSABLE.into()))?;
        desk.ledger.record_token(record).await?;
        Ok(MintedToken { token, jti, expires_at })
    }

    /// Revokes a token at once; false when it is unknown. Goes through even when the caller stops waiting.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn revoke(&self, jti: &str) -> Result<bool, LedgerError> {
        let (tokens, jti) = (self.clone(), jti.to_owned());
        uninterrupted(async move {
            let known = tokens.0.ledger.revoke_token(&jti).await?;
            if known {
                tokens.refuse(&[jti]);
            }
            Ok(known)
        })
        .await
    }

    /// Revokes every token of a tenant that is removed. Goes through even when the caller stops waiting.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn revoke_tenant(&self, tenant: &TenantId) -> Result<(), LedgerError> {
        let (tokens, tenant) = (self.clone(), tenant.clone());
        uninterrupted(async move {
            tokens.refuse(&tokens.0.ledger.revoke_tenant(&tenant).await?);
            Ok(())
        })
        .await
    }

    /// Lets these in no more. Nothing ever takes one out, so that no two changes can undo each other.
    fn refuse(&self, jtis: &[String]) {
        if jtis.iter().all(|jti| self.0.revoked.load().contains(jti)) {
            return;
        }
        self.0.revoked.rcu(|known| {
            let mut known = HashSet::clone(known);
            known.extend(jtis.iter().cloned());
            known
        });
    }
}

const UNUSABLE: &str =
    "a token needs a subject, at least one permission, and a tenant unless it is an operator's or scraper's";

/// Named here, because the library panics at first use when some other crate's features leave it a choice. An error says
/// that it was named before.
pub(super) fn choose_cryptography() {
    let _ = aws_lc::DEFAULT_PROVIDER.install_default();
}

fn validation(issuer: &str) -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    // `Claims::in_force` judges the times, by a clock that tests can set and to the second.
    validation.validate_exp = false;
    validation
}

/// Runs to the end even when nobody waits any more: what the ledger revoked must be refused from here on too.
async fn uninterrupted<T: Send + 'static>(
    work: impl Future<Output = Result<T, LedgerError>> + Send + 'static,
) -> Result<T, LedgerError> {
    tokio::spawn(work).await.unwrap_or_else(|died| Err(LedgerError::Failed(died.to_string())))
}

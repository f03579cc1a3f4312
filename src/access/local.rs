//! Tokens that the command line makes for its own requests.

use jsonwebtoken::{Algorithm, EncodingKey, Header};

use super::tokens::choose_cryptography;
use super::{Permission, Secret, TokenRequest};
use crate::config::AuthConfig;
use crate::domain::{TenantId, Timestamp};
use crate::ledger::TokenRecord;

/// Seconds that such a token lives: it is made for one request, and judged as that begins.
const LIFETIME_S: u64 = 300;

/// What earlier versions let such a token live.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Who such a token is for, as the audit shows it.
pub const COMMAND_LINE: &str = "command line";

/// Signs tokens for one request each, in no list and without the ledger.
///
/// They never leave the process that made them, so there is nothing to revoke.
#[derive(Clone)]
pub struct LocalSigner {
    key: EncodingKey,
    issuer: String,
}

impl LocalSigner {
    /// Signs with `secret`.
    #[must_use]
    pub fn new(secret: &Secret, config: &AuthConfig) -> Self {
        choose_cryptography();
        Self { key: EncodingKey::from_secret(secret.expose()), issuer: config.issuer.clone() }
    }

    /// A token for one request: of a tenant, or of the operator.
    ///
    /// # Errors
    /// When the cryptography fails.
    pub fn sign(&self, tenant: Option<&TenantId>, permissions: &[Permission]) -> anyhow::Result<String> {
        let request = TokenRequest {
            tenant: tenant.cloned(),
            subject: COMMAND_LINE.to_owned(),
            permissions: permissions.to_vec(),
            days: 1,
        };
        let now = Timestamp::now();
        let mut claims = request.claims(&self.issuer, now);
        claims.exp = u64::try_from(now.as_millis() / 1000).unwrap_or_default() + LIFETIME_S;
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.key)?)
    }
}

/// Whether a listed token is one that earlier versions of the command line minted for themselves, one for each command.
#[must_use]
pub fn is_command_lines(token: &TokenRecord) -> bool {
    let lives_ms = token.expires_at.as_millis() - token.created_at.as_millis();
    token.subject == COMMAND_LINE && lives_ms <= DAY_MS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Tokens;
    use crate::ledger::Ledger;

    #[tokio::test]
    async fn the_command_line_comes_in_and_stands_in_no_list() {
        let root = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&root.path().join("carrel.db")).unwrap();
        let secret = Secret::load_or_create(&root.path().join("signing.key")).unwrap();
        let config = AuthConfig::default();
        let tokens = Tokens::open(&secret, &config, ledger.clone()).unwrap();
        let signer = LocalSigner::new(&secret, &config);
        let acme = TenantId::parse("acme").unwrap();
        let caller = tokens.verify(&signer.sign(Some(&acme), &[Permission::Query]).unwrap()).unwrap();
        assert_eq!((caller.tenant(), caller.subject()), (Some(&acme), COMMAND_LINE));
        assert!(tokens.verify(&signer.sign(None, &[Permission::TenantsAdmin]).unwrap()).unwrap().operator().is_ok());
        assert!(ledger.tokens(None).await.unwrap().is_empty());
        let minted = |subject: &str, days| TokenRequest {
            tenant: Some(acme.clone()),
            subject: subject.to_owned(),
            permissions: vec![Permission::Query],
            days,
        };
        for (subject, days, own) in [(COMMAND_LINE, 1, true), (COMMAND_LINE, 30, false), ("app", 1, false)] {
            let jti = tokens.mint(minted(subject, days)).await.unwrap().jti;
            let listed = ledger.tokens(None).await.unwrap().into_iter().find(|token| token.jti == jti).unwrap();
            assert_eq!(is_command_lines(&listed), own, "{subject} {days}");
        }
    }
}

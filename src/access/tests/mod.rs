//! Who gets in, and who does not.

mod hostile;
mod secrets;
mod sessions;
mod tokens;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use super::clock::Clock;
use super::*;
use crate::config::AuthConfig;
use crate::domain::Timestamp;
use crate::ledger::Ledger;

/// The secret that test tokens are signed with.
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// A clock that is set by hand, milliseconds since 1970.
#[derive(Clone)]
struct Hands(Arc<AtomicI64>);

impl Hands {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_800_000_000_000)))
    }

    fn clock(&self) -> Clock {
        let hands = self.clone();
        Clock::showing(move || Timestamp::from_millis(hands.0.load(Ordering::SeqCst)))
    }

    fn seconds(&self) -> i64 {
        self.0.load(Ordering::SeqCst) / 1000
    }

    fn forward(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    fn back(&self, by: Duration) {
        self.0.fetch_sub(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

/// Tokens and sessions over a ledger of their own, at a time of their own.
struct Door {
    folder: TempDir,
    hands: Hands,
    ledger: Ledger,
    tokens: Tokens,
    sessions: Sessions,
}

impl Door {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (hands, ledger) = (Hands::new(), ledger(folder.path()));
        let tokens = tokens(folder.path(), &ledger, &hands);
        let sessions = Sessions::with_clock(ledger.clone(), hands.clock());
        Self { folder, hands, ledger, tokens, sessions }
    }

    async fn mint(&self, tenant: Option<&str>, permissions: &[Permission]) -> MintedToken {
        let tenant = tenant.map(|id| TenantId::parse(id).unwrap());
        let request = TokenRequest { tenant, subject: "app".into(), permissions: permissions.to_vec(), days: 1 };
        self.tokens.mint(request).await.unwrap()
    }
}

fn ledger(folder: &Path) -> Ledger {
    Ledger::open(&folder.join("carrel.db")).unwrap()
}

fn tokens(folder: &Path, ledger: &Ledger, hands: &Hands) -> Tokens {
    Tokens::with_clock(&secret(folder), &AuthConfig::default(), ledger.clone(), hands.clock()).unwrap()
}

/// The secret, written where there is none yet.
fn secret(folder: &Path) -> Secret {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = folder.join("secret");
    if let Ok(mut file) = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        file.write_all(SECRET).unwrap();
    }
    Secret::load_or_create(&path).unwrap()
}

#[test]
fn a_permission_is_read_as_it_is_written() {
    for permission in Permission::ALL {
        assert_eq!(Permission::parse(permission.as_str()), Some(permission));
    }
    assert_eq!(Permission::parse("Query"), None);
}

#[test]
fn random_secrets_are_256_bits_and_never_the_same() {
    let (one, two) = (random_secret(), random_secret());
    assert_eq!((one.len(), two.len()), (64, 64));
    assert_ne!(one, two);
}

//! Passwords: which are good enough, and argon2id in small doses.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use tokio::sync::Semaphore;

use super::SignInError;

/// Hashes at once. Each takes 19 MiB and some 30 ms of a core, which questions want as well.
const AT_ONCE: usize = 2;

/// Attempts that wait for their turn; further ones are refused.
const WAITING: usize = 8;

/// Characters of a password, as NIST SP 800-63B-4 asks of a single factor.
const MIN_CHARS: usize = 15;

/// Enough for any phrase; more only costs time to hash.
const MAX_CHARS: usize = 1024;

/// What is verified where no password is set, so that it takes the same time: nobody knows a password with this hash.
pub(super) const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Rows that fingers or the alphabet run along; any stretch of one, either way, is no password.
const ROWS: [&str; 5] = [
    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
    "12345678901234567890123456789012345678901234567890",
    "qwertyuiopasdfghjklzxcvbnm1234567890",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "qwertyuiop1234567890qwertyuiop",
];

/// Long passwords that everybody thinks of; small letters and digits alone.
const COMMON: [&str; 40] = [
    "administrator123",
    "administrator1234",
    "administratorpassword",
    "adminpassword123",
    "areyoukiddingme",
    "carreladministrator",
    "carreladminpassword",
    "carrelpassword1",
    "carrelpassword123",
    "changemechangeme1",
    "changethispassword",
    "correcthorsebattery",
    "correcthorsebatterystaple",
    "defaultpassword1",
    "defaultpassword123",
    "donttellanybody",
    "everythingisawesome",
    "howdoyouturnthison",
    "iamtheadministrator",
    "idontknowmypassword",
    "iforgotmypassword",
    "iloveyouforever",
    "iloveyousomuch1",
    "leavemealoneplease",
    "letmeinletmeinnow",
    "letmeinplease123",
    "maytheforcebewithyou",
    "mynameisinigomontoya",
    "mypasswordispassword",
    "onetwothreefourfive",
    "openthedoorplease",
    "passwordpassword1",
    "passwordpassword123",
    "pleaseletmein123",
    "thequickbrownfox",
    "thequickbrownfoxjumpsoverthelazydog",
    "thisisapassword",
    "thisismypassword",
    "tobeornottobethatisthequestion",
    "welcometothejungle",
];

/// Whether a password would fall to a short list or a little patience.
pub(super) fn is_weak(password: &str) -> bool {
    let chars = password.chars().count();
    let plain: String = password.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    let backwards: String = plain.chars().rev().collect();
    let runs = |row: &&str| !plain.is_empty() && (row.contains(&plain) || row.contains(&backwards));
    !(MIN_CHARS..=MAX_CHARS).contains(&chars)
        || repeats(&password.to_lowercase())
        || repeats(&plain)
        || COMMON.contains(&plain.as_str())
        || ROWS.iter().any(runs)
}

/// Whether a text is up to eight characters over and over, the last time perhaps cut.
fn repeats(text: &str) -> bool {
    let chars: Vec<_> = text.chars().collect();
    (1..=8).any(|unit| chars.len() > unit && chars.iter().zip(&chars[unit..]).all(|(one, next)| one == next))
}

/// Hashes and verifies, a few at a time.
#[derive(Clone)]
pub(super) struct Passwords {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Passwords {
    pub fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE + WAITING)), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Hashes a password; returns PHC text.
    ///
    /// # Errors
    /// [`SignInError::Busy`].
    pub async fn hash(&self, password: &str) -> Result<String, SignInError> {
        let password = password.to_owned();
        let hash = move || Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string());
        self.in_turn(hash).await?.map_err(|_| SignInError::Busy)
    }

    /// Whether this is the password that was hashed; as slow when none was, or its hash is damaged.
    ///
    /// # Errors
    /// [`SignInError::Busy`].
    pub async fn verify(&self, password: &str, hash: Option<&str>) -> Result<bool, SignInError> {
        if password.chars().count() > MAX_CHARS {
            return Ok(false);
        }
        let hash = hash.filter(|text| PasswordHash::new(text).is_ok()).unwrap_or(NOBODYS);
        let (password, hash) = (password.to_owned(), hash.to_owned());
        self.in_turn(move || Argon2::default().verify_password(password.as_bytes(), hash.as_str()).is_ok()).await
    }

    /// Works where it may block. The turn goes with the work: a client that hangs up does not make room for another.
    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, SignInError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| SignInError::Busy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| SignInError::Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            let _held = (place, turn);
            work()
        });
        done.await.map_err(|_| SignInError::Busy)
    }
}

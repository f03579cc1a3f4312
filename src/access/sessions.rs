//! The operator's one-time links, password and sessions.

use std::time::Duration;

use super::clock::Clock;
use super::passwords::{Passwords, is_weak};
use super::{Operator, random_secret};
use crate::domain::Timestamp;
use crate::ledger::{Ledger, LedgerError, SessionRecord};

/// How long a one-time link lives.
const LINK: Duration = Duration::from_hours(1);

/// A session's last use is noted when the note is older than this: a write for every request would be a sync of the disk.
const NOTED: Duration = Duration::from_mins(1);

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

/// The operator's one-time links, password and sessions; cheap to clone.
///
/// The ledger holds hashes alone: BLAKE3 of secrets, which are random, and argon2id of the password, which is not. A secret is
/// found by its hash, so comparing it takes no time that depends on it.
#[derive(Clone)]
pub struct Sessions {
    ledger: Ledger,
    passwords: Passwords,
    clock: Clock,
}

impl Sessions {
    /// Idle time after which a session ends.
    pub const IDLE: Duration = Duration::from_hours(8);
    /// Whole time after which a session ends.
    pub const ABSOLUTE: Duration = Duration::from_hours(24);

    /// Sessions kept in `ledger`.
    #[must_use]
    pub fn new(ledger: Ledger) -> Self {
        Self::with_clock(ledger, Clock::system())
    }

    pub(super) fn with_clock(ledger: Ledger, clock: Clock) -> Self {
        Self { ledger, passwords: Passwords::new(), clock }
    }

    /// Makes a one-time sign-in secret (64 hexadecimal digits) that lives for an hour; earlier ones end.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn make_link(&self) -> Result<String, LedgerError> {
        let secret = random_secret();
        self.ledger.save_link(hash(&secret), later(self.clock.now(), LINK)).await?;
        Ok(secret)
    }

    /// Uses a link up and opens a session; returns the cookie's secret (64 hexadecimal digits).
    ///
    /// # Errors
    /// [`SignInError::Refused`].
    pub async fn open_by_link(&self, secret: &str) -> Result<String, SignInError> {
        if !self.ledger.take_link(&hash(secret), self.clock.now()).await? {
            return Err(SignInError::Refused);
        }
        let (cookie, session) = self.fresh().await?;
        self.ledger.save_session(session).await?;
        Ok(cookie)
    }

    /// Opens a session by password; argon2id, at most two at once, the same time with and without a password set.
    ///
    /// # Errors
    /// [`SignInError::Refused`] or [`SignInError::Busy`].
    pub async fn open_by_password(&self, password: &str) -> Result<String, SignInError> {
        let set = self.ledger.password_hash().await?;
        let right = self.passwords.verify(password, set.as_deref()).await?;
        let Some(set) = set.filter(|_| right) else { return Err(SignInError::Refused) };
        let (cookie, session) = self.fresh().await?;
        // Hashing took a while: the password may have been changed meanwhile, which ended every session under the old one.
        if self.ledger.save_session_under(session, set).await? { Ok(cookie) } else { Err(SignInError::Refused) }
    }

    /// Whether a password has been set.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn has_password(&self) -> Result<bool, LedgerError> {
        Ok(self.ledger.password_hash().await?.is_some())
    }

    /// Sets the password, ends all sessions and links and opens a new session; returns its cookie's secret.
    ///
    /// # Errors
    /// [`SignInError::Weak`] or [`SignInError::Busy`]; then nothing has changed.
    pub async fn set_password(&self, _operator: &Operator, password: &str) -> Result<String, SignInError> {
        if is_weak(password) {
            return Err(SignInError::Weak);
        }
        let set = self.passwords.hash(password).await?;
        self.ledger.set_password_hash(set).await?;
        let (cookie, session) = self.fresh().await?;
        self.ledger.save_session(session).await?;
        Ok(cookie)
    }

    /// The operator behind a cookie, if its session lives.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn operator(&self, cookie: &str) -> Result<Option<Operator>, LedgerError> {
        let hash = hash(cookie);
        let Some(session) = self.ledger.session(&hash).await? else { return Ok(None) };
        let now = self.clock.now();
        if now >= later(session.seen_at, Self::IDLE) || now >= later(session.created_at, Self::ABSOLUTE) {
            // It is over whether or not it can be cleared away.
            let _ = self.ledger.end_session(&hash).await;
            return Ok(None);
        }
        if now >= later(session.seen_at, NOTED)
            && let Err(error) = self.ledger.touch_session(&hash, now).await
        {
            // On a full disk the operator is needed most.
            tracing::warn!(%error, "cannot note that a session was used");
        }
        Ok(Some(Operator { subject: "operator".into() }))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn close(&self, cookie: &str) -> Result<(), LedgerError> {
        self.ledger.end_session(&hash(cookie)).await
    }

    /// A cookie's secret and the session it will open; clears away those that nobody came back to.
    async fn fresh(&self) -> Result<(String, SessionRecord), LedgerError> {
        let (cookie, now) = (random_secret(), self.clock.now());
        self.ledger.end_sessions_idle_for(Self::IDLE, now).await?;
        let session = SessionRecord { secret_hash: hash(&cookie), created_at: now, seen_at: now };
        Ok((cookie, session))
    }
}

fn hash(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_millis(time.as_millis().saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}

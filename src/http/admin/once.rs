//! Forms that make a secret: each is followed once, however often it is sent, and what it made is shown once.
//!
//! The form carries an id of its own. A second post of it, by a double click or a repeated request, finds the first one's
//! token and makes none; the page behind the redirect takes the token out, so that no reload shows it again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::sync::Cache;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::access::{MintedToken, Sessions};
use crate::domain::TenantId;

/// How long a token waits to be shown: as long as a slow redirect takes.
const WAITS: Duration = Duration::from_mins(5);
/// Forms remembered at once; far more than an operator fills in within a session.
const MOST: u64 = 4096;

/// What a form made.
#[derive(Debug, Clone)]
pub struct Made {
    /// The token.
    pub minted: MintedToken,
    /// Whether it may ask questions.
    pub asks: bool,
    /// Its tenant.
    pub tenant: Option<TenantId>,
}

/// How far a form is.
#[derive(Debug, Default)]
pub enum Form {
    /// Not followed yet.
    #[default]
    Fresh,
    /// Followed, and not shown yet.
    Made(Box<Made>, Instant),
    /// Followed and shown.
    Shown,
}

/// Forms by their ids; cheap to clone. A session lives no longer than they are remembered, so no older form can be sent.
#[derive(Clone)]
pub struct Once(Cache<Uuid, Arc<Mutex<Form>>>);

impl Default for Once {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_live(Sessions::ABSOLUTE).build())
    }
}

impl Once {
    /// The form of this id; whoever follows it holds the lock meanwhile.
    pub fn form(&self, id: Uuid) -> Arc<Mutex<Form>> {
        self.0.get_with(id, Arc::default)
    }

    /// Takes out what the form made, the first time alone.
    pub async fn take(&self, id: Uuid) -> Option<Made> {
        let form = self.0.get(&id)?;
        let mut form = form.lock().await;
        match std::mem::replace(&mut *form, Form::Shown) {
            Form::Made(made, at) if at.elapsed() < WAITS => Some(*made),
            Form::Fresh => {
                *form = Form::Fresh;
                None
            }
            Form::Made(..) | Form::Shown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn made() -> Form {
        let minted = MintedToken { token: "secret".into(), jti: "1".into(), expires_at: Timestamp::now() };
        Form::Made(Box::new(Made { minted, asks: true, tenant: None }), Instant::now())
    }

    #[tokio::test]
    async fn what_a_form_made_is_taken_once() {
        let (once, id) = (Once::default(), Uuid::new_v4());
        assert!(once.take(id).await.is_none());
        let form = once.form(id);
        assert!(matches!(*form.lock().await, Form::Fresh));
        assert!(once.take(id).await.is_none(), "nothing is made yet");
        *form.lock().await = made();
        assert_eq!(once.take(id).await.unwrap().minted.token, "secret");
        assert!(once.take(id).await.is_none());
        assert!(matches!(*once.form(id).lock().await, Form::Shown), "a second post finds that it was followed");
    }
}

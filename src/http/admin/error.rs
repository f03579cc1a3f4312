//! What goes wrong on a page: said in words, with what to do next and the request's id.
//!
//! A handler's error travels as an [`Explained`] on the response; [`dress`] turns it into a page, since only it knows the
//! request's id and theme.

use std::time::Duration;

use askama::Template;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::LOCATION;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::super::limits::retry_after;
use super::request::Visitor;
use super::shell::{Section, Shell, page_with};
use super::show::{self, Message};
use super::state::AdminState;
use crate::access::SignInError;
use crate::actors::DeskError;
use crate::backup::BackupError;
use crate::domain::TenantId;
use crate::ledger::LedgerError;
use crate::store::StoreError;

/// After this an attempt that met somebody else's work is worth repeating.
const LATER: Duration = Duration::from_secs(2);

/// Why a page cannot be shown or a form not be followed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Nobody is signed in.
    #[error("not signed in")]
    SignedOut {
        /// Path and query that were wanted.
        wanted: String,
    },
    /// The tenant does not live; its own page says why.
    #[error("{id} does not live")]
    Stopped {
        /// The tenant.
        id: TenantId,
    },
    /// No such page, or the thing it is about is gone.
    #[error("no such page")]
    NoPage,
    /// The page is there, but not for this method.
    #[error("method not allowed")]
    Method,
    /// The form was posted from another site.
    #[error("a form from another site")]
    Foreign,
    /// The form lacks fields, or has fields it should not.
    #[error("a form that does not belong to the page")]
    BadForm,
    /// The form is too large for what it is about.
    #[error("a form that is too large")]
    FormTooLarge,
    /// An upload is larger than the server takes.
    #[error("an upload of more than {limit} bytes")]
    UploadTooLarge {
        /// Bytes allowed a file.
        limit: u64,
    },
    /// The doors were tried too often from one address.
    #[error("too many attempts from one address")]
    TooMany {
        /// Time until the next is let through.
        wait: Duration,
    },
    /// It took longer than a page may take.
    #[error("out of time")]
    Late,
    /// The tenant's desk refused.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// The ledger refused.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The door refused for a reason that is ours.
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// A template failed.
    #[error("cannot render a page: {0}")]
    Render(askama::Error),
}

/// An error in words for a person; never the cause of an internal one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Status of the response.
    pub status: StatusCode,
    /// What happened, as a headline.
    pub title: &'static str,
    /// What happened, in a sentence.
    pub what: Message,
    /// What to do next.
    pub next: Message,
    /// Time until another attempt makes sense.
    pub wait: Option<Duration>,
}

impl Explained {
    fn new(status: StatusCode, title: &'static str, what: impl Into<Message>, next: &str) -> Self {
        Self { status, title, what: what.into(), next: next.into(), wait: None }
    }

    /// Seconds until another attempt makes sense, rounded up, at least 1.
    pub fn wait_s(&self) -> Option<u64> {
        self.wait.map(|wait| u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1))
    }

    fn gone(what: &'static str) -> Self {
        let next = "It may have been removed, or the address has a typing error. Start again from the overview.";
        Self::new(StatusCode::NOT_FOUND, "There is nothing here", what, next)
    }

    fn conflict(what: Message) -> Self {
        let next = "Go back, choose another way, and try again. Nothing was changed.";
        Self::new(StatusCode::CONFLICT, "That does not fit what is there", what, next)
    }

    fn refused(what: Message) -> Self {
        let next = "Go back, mend it, and try again. Nothing was changed.";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "That cannot be done as asked", what, next)
    }

    fn later(what: impl Into<Message>) -> Self {
        let next = "Wait a moment and load the page again. Whatever serves now goes on serving.";
        let later = Self::new(StatusCode::SERVICE_UNAVAILABLE, "Not at this moment", what, next);
        Self { wait: Some(LATER), ..later }
    }

    fn no_space() -> Self {
        let next = "Free some space on the server's disk and try again. Nothing was changed.";
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "The disk is full", "There is no room to store this.", next)
    }

    fn internal() -> Self {
        let next = "Try again. If it stays, look for the request id below in the server's log.";
        let what = "Carrel met a fault of its own. The log has the cause.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong here", what, next)
    }

    fn too_large(limit: u64) -> Self {
        let what = format!("A file may have at most {} here.", show::bytes(limit));
        let next =
            "Split the file, or raise `http.max_upload_bytes` in carrel.toml. Files that arrived before it are kept.";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "The file is too large", what, next)
    }

    fn too_many(wait: Duration) -> Self {
        let next = "Wait a little and try again.";
        let what = "This was tried too often in a short time.";
        Self { wait: Some(wait), ..Self::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests", what, next) }
    }
}

impl AdminError {
    /// The error in words for a person.
    pub fn explain(&self) -> Explained {
        match self {
            Self::SignedOut { .. } => {
                let next = "Sign in and try again.";
                Explained::new(StatusCode::UNAUTHORIZED, "You are signed out", "The session has ended.", next)
            }
            Self::NoPage => Explained::gone("There is no such page."),
            Self::Stopped { .. } => Explained::gone("This tenant does not live; its own page says why."),
            Self::Method => {
                let next = "Use the buttons and links of the pages.";
                let what = "This address does not take that kind of request.";
                Explained::new(StatusCode::METHOD_NOT_ALLOWED, "That is not how this works", what, next)
            }
            Self::Foreign => {
                let next = "Open the admin pages themselves and do it there. If this was you, behind a proxy: set \
                            `http.public_url` in carrel.toml to the address in your browser.";
                let what = "The form was sent from another site, so it was not followed.";
                Explained::new(StatusCode::FORBIDDEN, "Refused", what, next)
            }
            Self::BadForm => Explained::refused("The form did not come as this page makes it.".into()),
            Self::FormTooLarge => {
                let next = "Go back and shorten it.";
                Explained::new(StatusCode::PAYLOAD_TOO_LARGE, "Too much text", "The form is too large.", next)
            }
            Self::UploadTooLarge { limit } => Explained::too_large(*limit),
            Self::TooMany { wait } => Explained::too_many(*wait),
            Self::Late => Explained::later("This took longer than a page may take."),
            Self::Desk(error) => explain_desk(error),
            Self::Ledger(error) => explain_ledger(error),
            Self::SignIn(error) => match error {
                SignInError::Ledger(error) => explain_ledger(error),
                SignInError::Busy => Explained::too_many(LATER),
                SignInError::Refused | SignInError::Weak => Explained::refused(Message::sentence(&error.to_string())),
            },
            Self::Render(_) => Explained::internal(),
        }
    }
}

/// A desk's refusal in words for a person.
pub fn explain_desk(error: &DeskError) -> Explained {
    match error {
        DeskError::NoTenant => Explained::gone("There is no such tenant."),
        DeskError::NotFound(_) => Explained::gone("This is not here (any more)."),
        DeskError::TenantExists(_)
        | DeskError::GenerationServes(_)
        | DeskError::GenerationDamaged(_)
        | DeskError::GenerationHeld(_)
        | DeskError::NotCancellable(_)
        | DeskError::NotRetryable(_)
        | DeskError::OtherRebuild(_)
        | DeskError::Quota(_)
        | DeskError::Store(StoreError::InFolder(_)) => Explained::conflict(Message::sentence(&error.to_string())),
        DeskError::Backup(BackupError::Foreign | BackupError::Damaged { .. } | BackupError::Newer { .. })
        | DeskError::Question(_)
        | DeskError::Attributes(_)
        | DeskError::Settings(_)
        | DeskError::Golden(_)
        | DeskError::GoldenUnknown(_)
        | DeskError::Store(StoreError::Empty) => Explained::refused(Message::sentence(&error.to_string())),
        DeskError::RateLimited(limited) => Explained::too_many(Duration::from_millis(limited.wait_ms)),
        DeskError::IndexNotReady
        | DeskError::FirstBuildFails(_)
        | DeskError::DeleteUnfinished(_)
        | DeskError::Quarantined(_)
        | DeskError::Busy
        | DeskError::Unresponsive => Explained::later(Message::sentence(&error.to_string())),
        DeskError::Embed(_) => Explained::later("The embedder does not answer."),
        DeskError::Store(StoreError::TooLarge { limit }) => Explained::too_large(*limit),
        DeskError::Store(StoreError::NoSpace) => Explained::no_space(),
        DeskError::Ledger(error) => explain_ledger(error),
        DeskError::Store(StoreError::Io { .. } | StoreError::Denied { .. })
        | DeskError::Backup(BackupError::Io { .. })
        | DeskError::Index(_) => Explained::internal(),
    }
}

fn explain_ledger(error: &LedgerError) -> Explained {
    if matches!(error, LedgerError::NoSpace) { Explained::no_space() } else { Explained::internal() }
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        let elsewhere = match &self {
            Self::SignedOut { wanted } => Some(sign_in_href(wanted)),
            Self::Stopped { id } => Some(format!("/admin/tenants/{id}")),
            _ => None,
        };
        if let Some(to) = elsewhere {
            return (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response();
        }
        let explained = self.explain();
        if explained.status.is_server_error() {
            tracing::error!(error = %self, "an admin page failed");
        }
        let mut response = explained.status.into_response();
        response.extensions_mut().insert(explained);
        response
    }
}

/// The sign-in page, which knows where to go on.
fn sign_in_href(wanted: &str) -> String {
    let to = if wanted == "/admin" { String::new() } else { format!("?next={}", show::encoded(wanted)) };
    format!("/admin/sign-in{to}")
}

/// The page of an error.
#[derive(Template)]
#[template(path = "admin/error.html")]
pub struct ErrorPage {
    /// What surrounds it.
    pub shell: Shell,
    /// What it says.
    pub explained: Explained,
    /// The request's id; empty when it has none.
    pub request_id: String,
}

/// Dresses what the pages answer: an error becomes a page. The security headers are the envelope's, as for every route.
pub async fn dress(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(visitor) = Visitor::from_request_parts(&mut parts, &state).await;
    let request_id = visitor.request_id.as_str().to_owned();
    let method = parts.method.clone();
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let Some(explained) = response.extensions_mut().remove::<Explained>() {
        let mut shell = visitor.shell(Section::None);
        if method != Method::GET {
            "/admin".clone_into(&mut shell.here);
        }
        response = error_page(shell, explained, request_id);
    }
    response
}

fn error_page(shell: Shell, explained: Explained, request_id: String) -> Response {
    let (status, wait) = (explained.status, explained.wait);
    let page = ErrorPage { shell, explained, request_id };
    let response = page_with(status, &page).unwrap_or_else(|_| status.into_response());
    wait.map(retry_after).into_iter().flatten().fold(response, |mut response, (name, value)| {
        response.headers_mut().insert(name, value);
        response
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_ours_never_tells_its_cause() {
        let secret = "/srv/carrel/data/carrel.db: disk I/O error";
        let error = AdminError::Ledger(LedgerError::Failed(secret.into()));
        let explained = error.explain();
        assert_eq!(explained.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!format!("{explained:?}").contains("carrel.db"));
    }

    #[test]
    fn another_try_is_never_asked_for_in_no_time() {
        let wait_s = |ms| Explained::too_many(Duration::from_millis(ms)).wait_s();
        assert_eq!([0, 1, 2_001].map(wait_s), [Some(1), Some(1), Some(3)]);
    }

    #[test]
    fn who_is_signed_out_is_led_to_the_door_and_back() {
        let response = AdminError::SignedOut { wanted: "/admin/tenants/a?state=failed".into() }.into_response();
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(response.headers()[LOCATION], "/admin/sign-in?next=%2Fadmin%2Ftenants%2Fa%3Fstate%3Dfailed");
    }
}

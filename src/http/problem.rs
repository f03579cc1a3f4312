//! Failures as `application/problem+json` (RFC 9457).
//!
//! The one place where errors of the layers below become a status and a code. A failure of the server's own says nothing of its
//! cause: that goes to the log, under the request's id.

use std::fmt::Display;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::codes::Code;
use super::context::CONTEXT;
use super::limits;
use crate::access::AuthError;
use crate::actors::{Budget, DeskError, Limited};
use crate::backup::BackupError;
use crate::domain::{FilterError, QuestionError};
use crate::embed::EmbedError;
use crate::index::IndexError;
use crate::ledger::LedgerError;
use crate::store::StoreError;

/// The longest detail, characters: details repeat a part of the request, which may be long.
const MAX_DETAIL: usize = 400;

/// A request's failure.
#[derive(Debug)]
pub struct ApiError(Box<Failure>);

#[derive(Debug)]
struct Failure {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
    wait: Option<Duration>,
    limited: Option<Limited>,
    /// For the log alone.
    cause: Option<String>,
}

/// Which part of the body is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where, as a JSON pointer in a fragment (RFC 6901).
    #[schema(example = "#/top_k")]
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

/// A failure on the wire.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Stable name of the kind of failure.
    #[schema(example = "urn:carrel:problem:rate-limited")]
    r#type: String,
    /// A few words for people.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened and what to do.
    detail: String,
    /// The path that failed.
    instance: String,
    /// The kind as a word; its cause and fix stand at `/problems#<code>`.
    #[schema(example = "rate_limited")]
    code: &'static str,
    /// Under which the log has more.
    request_id: String,
    /// Whole seconds after which another try makes sense, as in `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    /// The parts of the body that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

impl ApiError {
    /// A failure of `code`; `detail` says what happened and what to do.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(Failure { code, detail, errors: Vec::new(), wait: None, limited: None, cause: None }))
    }

    /// A failure whose detail is the contract's own words.
    #[must_use]
    pub fn plain(code: Code) -> Self {
        Self::new(code, code.contract().cause)
    }

    /// A bug or a broken machine; `cause` is logged and not told.
    pub fn internal(cause: impl Display) -> Self {
        Self::plain(Code::Internal).because(cause)
    }

    /// Logs `cause` with the failure.
    #[must_use]
    pub fn because(mut self, cause: impl Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// Names the part of the body that is wrong, by pointer (`#/top_k`).
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        let detail = self.0.detail.clone();
        self.0.errors.push(FieldError { pointer: pointer.into(), detail });
        self
    }

    /// Tells when another try makes sense.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.0.wait = Some(wait);
        self
    }

    /// Tells in the headers where the caller stands with its limit.
    #[must_use]
    pub fn standing(mut self, limited: Limited) -> Self {
        self.0.limited = Some(limited);
        self
    }

    /// Its kind.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What happened and what to do.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Which parts of the body are wrong.
    #[must_use]
    pub fn pointers(&self) -> Vec<&str> {
        self.0.errors.iter().map(|error| error.pointer.as_str()).collect()
    }
}

impl Failure {
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.code == Code::Unauthenticated {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"carrel\""));
        }
        if self.code.contract().status == 409 {
            // OpenAI's clients try a 409 again unless they are told that nothing will change.
            headers.insert(HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false"));
        }
        if let Some(limited) = &self.limited {
            limits::describe(limited, &mut headers);
        }
        headers.extend(self.wait.map(limits::retry_after).into_iter().flatten());
        headers
    }
}

/// Seconds for `Retry-After`: rounded up and at least 1, since clients ignore 0.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u64::MAX).max(1)
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let headers = self.0.headers();
        let status = self.0.code.status();
        let (id, instance) = CONTEXT
            .try_with(|context| (context.id.as_str().to_owned(), format!("{}{}", context.base, context.uri.path())))
            .unwrap_or_default();
        let body = serde_json::to_vec(&self.into_problem(id, instance));
        (status, headers, body.expect("a problem holds nothing but text and numbers")).into_response()
    }
}

impl ApiError {
    /// The problem on the wire, for the request of this id to this path; its cause is logged.
    pub fn into_problem(self, request_id: String, instance: String) -> Problem {
        let failure = *self.0;
        let contract = failure.code.contract();
        if let Some(cause) = &failure.cause {
            tracing::error!(code = contract.name, error = cause, "the request failed");
        }
        Problem {
            r#type: failure.code.urn(),
            title: contract.title,
            status: contract.status,
            detail: cut(failure.detail),
            instance: cut(instance),
            code: contract.name,
            request_id,
            retry_after: failure.wait.map(whole_seconds),
            errors: failure.errors.into_iter().map(|e| FieldError { detail: cut(e.detail), ..e }).collect(),
        }
    }
}

fn cut(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(MAX_DETAIL) {
        text.truncate(at);
        text.push('…');
    }
    text
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let code = match error {
            AuthError::Missing | AuthError::Invalid(_) => Code::Unauthenticated,
            AuthError::Forbidden(_) => Code::Forbidden,
        };
        Self::new(code, error.to_string())
    }
}

impl From<DeskError> for ApiError {
    fn from(error: DeskError) -> Self {
        let text = error.to_string();
        match error {
            DeskError::NoTenant => Self::new(Code::TenantNotFound, text),
            DeskError::NotFound(_) => Self::new(Code::NotFound, text),
            DeskError::IndexNotReady => Self::new(Code::TenantIndexBuilding, text).after(Duration::from_secs(2)),
            DeskError::FirstBuildFails(_) => Self::new(Code::TenantIndexFailed, text).after(Duration::from_secs(10)),
            DeskError::Quarantined(cause) => {
                Self::plain(Code::TenantQuarantined).because(cause).after(Duration::from_secs(30))
            }
            DeskError::Question(error) => error.into(),
            DeskError::RateLimited(limited) => limited.into(),
            DeskError::Busy => Self::new(Code::TooManyAtOnce, text).after(Duration::from_secs(1)),
            DeskError::Quota(_) => Self::new(Code::QuotaExceeded, text),
            DeskError::Attributes(_) => Self::new(Code::InvalidAttributes, text).at("#/attributes"),
            DeskError::GenerationServes(_) => Self::new(Code::GenerationServes, text),
            DeskError::GenerationDamaged(_) => Self::new(Code::GenerationDamaged, text),
            DeskError::GenerationHeld(_) => Self::new(Code::GenerationHeld, text),
            DeskError::Golden(_) => Self::new(Code::InvalidGolden, text),
            DeskError::GoldenUnknown(_) => Self::new(Code::GoldenUnknownDocument, text).at("#/expect"),
            DeskError::NotCancellable(_) => Self::new(Code::JobNotCancellable, text),
            DeskError::NotRetryable(_) => Self::new(Code::JobNotRetryable, text),
            DeskError::OtherRebuild(_) => Self::new(Code::OtherRebuildWaits, text),
            DeskError::Settings(_) => Self::new(Code::InvalidSettings, text),
            DeskError::TenantExists(_) => Self::new(Code::TenantExists, text),
            DeskError::Backup(error) => error.into(),
            DeskError::DeleteUnfinished(_) => Self::new(Code::DeleteUnfinished, text).after(Duration::from_secs(30)),
            DeskError::Embed(error) => error.into(),
            DeskError::Store(error) => error.into(),
            DeskError::Ledger(error) => error.into(),
            DeskError::Index(error) => error.into(),
            DeskError::Unresponsive => Self::new(Code::TenantBusy, text).after(Duration::from_secs(1)),
        }
    }
}

impl From<Limited> for ApiError {
    fn from(limited: Limited) -> Self {
        let wait = Duration::from_millis(limited.wait_ms);
        let detail = format!("too many {}: try again in {} s", said(limited.budget), whole_seconds(wait));
        Self::new(Code::RateLimited, detail).after(wait).standing(limited)
    }
}

fn said(budget: Budget) -> &'static str {
    match budget {
        Budget::Queries => "requests",
        Budget::Uploads => "uploads",
    }
}

impl From<QuestionError> for ApiError {
    fn from(error: QuestionError) -> Self {
        let pointer = match error {
            QuestionError::Empty | QuestionError::TooLong { .. } => "#/query",
            QuestionError::TopK(_) => "#/top_k",
            QuestionError::PerDocument(_) => "#/max_chunks_per_document",
            QuestionError::Messages(_) => "#/messages",
        };
        Self::new(Code::InvalidQuestion, error.to_string()).at(pointer)
    }
}

impl From<FilterError> for ApiError {
    fn from(error: FilterError) -> Self {
        Self::new(Code::InvalidFilter, error.to_string()).at(format!("#/filter{}", error.pointer))
    }
}

impl From<EmbedError> for ApiError {
    fn from(error: EmbedError) -> Self {
        match error {
            EmbedError::Unavailable { .. } => {
                Self::plain(Code::EmbedderUnavailable).because(error).after(Duration::from_secs(5))
            }
            EmbedError::Unauthorised { .. } | EmbedError::NotFound { .. } => {
                Self::plain(Code::EmbedderUnavailable).because(error.in_full())
            }
            EmbedError::Refused { .. } | EmbedError::TooLong { .. } => {
                Self::plain(Code::EmbedderRefused).because(error.in_full())
            }
            EmbedError::Invalid { .. } => Self::plain(Code::EmbedderInvalid).because(error),
            EmbedError::Builtin(_) => Self::internal(error),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::NoSpace => return Self::plain(Code::DiskFull).because(error),
            StoreError::Denied { .. } => return Self::plain(Code::StorageDenied).because(error),
            StoreError::Io { .. } => return Self::internal(error),
            StoreError::TooLarge { .. } => Code::DocumentTooLarge,
            StoreError::Empty => Code::DocumentEmpty,
            StoreError::InFolder(_) => Code::DocumentInFolder,
        };
        Self::new(code, error.to_string())
    }
}

impl From<BackupError> for ApiError {
    fn from(error: BackupError) -> Self {
        let code = match error {
            BackupError::Foreign => Code::BackupForeign,
            BackupError::Damaged { .. } => Code::BackupDamaged,
            BackupError::Newer { .. } => Code::BackupNewer,
            BackupError::Io { .. } if error.is_disk_full() => return Self::plain(Code::DiskFull).because(error),
            BackupError::Io { .. } => return Self::internal(error),
        };
        Self::new(code, error.to_string())
    }
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::NoSpace => Self::plain(Code::DiskFull).because(error),
            LedgerError::Failed(_) | LedgerError::Newer { .. } => Self::internal(error),
        }
    }
}

impl From<IndexError> for ApiError {
    fn from(error: IndexError) -> Self {
        match &error {
            IndexError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Self::plain(Code::DiskFull).because(error)
            }
            _ => Self::internal(error),
        }
    }
}

#[cfg(test)]
#[path = "problem_tests.rs"]
mod tests;

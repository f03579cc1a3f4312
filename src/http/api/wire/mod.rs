//! The shapes of replies. They are a contract with clients, so they stand apart from the domain's own types.

mod answers;
mod documents;
mod explain;
mod jobs;
mod operator;

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

pub use self::answers::{CitationView, HitView, IndexView, UsageView};
pub use self::documents::{DocumentView, RemovedView, document_state};
pub use self::explain::ExplainReply;
pub use self::jobs::{GenerationView, JobView, ReceiptView, job_kind, job_state};
pub use self::operator::{AuditView, RestoredView, TenantView, TokenView};
use super::super::codes::Code;
use super::super::problem::ApiError;
use crate::domain::{Degradation, JobProblem};
use crate::ledger::{Listed, Page};

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// Always `list`.
    object: &'static str,
    /// In the order asked for.
    data: Vec<T>,
    /// Id of the first entry, for `before`.
    first_id: Option<String>,
    /// Id of the last entry, for `after`.
    last_id: Option<String>,
    /// Whether more follow.
    has_more: bool,
}

impl<T> List<T> {
    /// A page whose entries are named by `id`.
    pub fn new<E>(listed: Listed<E>, view: impl FnMut(E) -> T, id: impl Fn(&T) -> String) -> Json<Self> {
        let data: Vec<T> = listed.entries.into_iter().map(view).collect();
        let (first_id, last_id) = (data.first().map(&id), data.last().map(&id));
        Json(Self { object: "list", data, first_id, last_id, has_more: listed.has_more })
    }

    /// All there is, on one page.
    pub fn whole<E>(entries: Vec<E>, view: impl FnMut(E) -> T, id: impl Fn(&T) -> String) -> Json<Self> {
        Self::new(Listed { entries, has_more: false }, view, id)
    }
}

/// Which end of a list comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Smallest id first.
    Asc,
    /// Largest id first.
    Desc,
}

/// Entries a page holds when none are asked for.
pub const PAGE: usize = 20;
/// Entries a page holds at most.
pub const MAX_PAGE: usize = 100;

/// A page as the query string asks for it.
///
/// # Errors
/// [`Code::InvalidParameter`] when `limit` is out of range or an id cannot be one.
pub fn page<Id, E: std::fmt::Display>(
    limit: Option<usize>,
    after: Option<&str>,
    before: Option<&str>,
    order: Order,
    parse: impl Fn(&str) -> Result<Id, E>,
) -> Result<Page<Id>, ApiError> {
    let limit = limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        let detail = format!("`limit` is {limit}; it must be from 1 to {MAX_PAGE}");
        return Err(ApiError::new(Code::InvalidParameter, detail));
    }
    let id = |name: &str, text: Option<&str>| {
        let wrong = |error: E| ApiError::new(Code::InvalidParameter, format!("`{name}`: {error}"));
        text.map(|text| parse(text).map_err(wrong)).transpose()
    };
    Ok(Page { limit, after: id("after", after)?, before: id("before", before)?, descending: order == Order::Desc })
}

/// A stable code and words for a person.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reason {
    /// Stable, `snake_case`.
    code: String,
    /// What happened and what to do.
    message: String,
}

impl From<JobProblem> for Reason {
    fn from(JobProblem { code, message }: JobProblem) -> Self {
        Self { code, message }
    }
}

impl From<Degradation> for Reason {
    fn from(Degradation { code, message }: Degradation) -> Self {
        Self { code, message }
    }
}

/// One of a few words.
pub(super) fn word(of: &[&str]) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(of.iter().copied())).build()
}

/// A stage of a document's or job's way.
fn stage() -> Object {
    word(&["extract", "chunk", "embed", "index", "check", "publish"])
}

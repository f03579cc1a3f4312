//! Golden questions: what must be found before a new generation serves.

use axum::Json;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::codes::Code;
use super::super::extract::{Body, Id};
use super::super::problem::ApiError;
use super::wire::List;
use super::{Doing, note};
use crate::actors::Desk;
use crate::domain::{DocumentId, Expected, Golden, Timestamp};

/// A question and what must be found for it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GoldenBody {
    /// The question.
    question: String,
    /// What must be found: documents, or excerpts of them.
    expect: Vec<ExpectedView>,
}

/// A document that must be found, or an excerpt of it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedView {
    /// The document.
    document_id: String,
    /// Words of it that a hit must hold; any hit of the document will do when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    excerpt: Option<String>,
}

/// A golden question.
#[derive(Debug, Serialize, ToSchema)]
pub struct GoldenView {
    /// Id.
    id: String,
    /// The question.
    question: String,
    /// What must be found.
    expect: Vec<ExpectedView>,
    /// Who wrote it.
    created_by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<Golden> for GoldenView {
    fn from(Golden { id, question, expect, created_by, created_at }: Golden) -> Self {
        let view = |Expected { document_id, excerpt }| ExpectedView { document_id: String::from(document_id), excerpt };
        Self { id, question, expect: expect.into_iter().map(view).collect(), created_by, created_at }
    }
}

/// Lists the golden questions.
#[utoipa::path(get, path = "/api/v1/golden", tag = "index", operation_id = "list_golden",
    responses((status = 200, body = List<GoldenView>)))]
pub async fn list(desk: Desk) -> Result<Json<List<GoldenView>>, ApiError> {
    Ok(List::whole(desk.golden().await?, Into::into, |golden: &GoldenView| golden.id.clone()))
}

/// Keeps a golden question, in place of the same one. From the next build on it is asked before a generation serves.
#[utoipa::path(post, path = "/api/v1/golden", tag = "index", operation_id = "keep_golden", request_body = GoldenBody,
    responses((status = 201, body = GoldenView)))]
pub async fn keep(doing: Doing, Body(body): Body<GoldenBody>) -> Result<(StatusCode, Json<GoldenView>), ApiError> {
    let mut expect = Vec::with_capacity(body.expect.len());
    for (at, ExpectedView { document_id, excerpt }) in body.expect.into_iter().enumerate() {
        let document_id = DocumentId::parse(&document_id).map_err(|error| {
            ApiError::new(Code::InvalidGolden, error.to_string()).at(format!("#/expect/{at}/document_id"))
        })?;
        expect.push(Expected { document_id, excerpt });
    }
    let golden = doing.1.keep_golden(&body.question, expect, doing.2.subject()).await?;
    note(&doing, "golden.keep", &golden.id).await;
    Ok((StatusCode::CREATED, Json(golden.into())))
}

/// Deletes a golden question.
#[utoipa::path(delete, path = "/api/v1/golden/{id}", tag = "index", operation_id = "delete_golden",
    params(("id" = String, Path, description = "The golden question")), responses((status = 204)))]
pub async fn delete(doing: Doing, Id(id): Id<String>) -> Result<StatusCode, ApiError> {
    doing.1.forget_golden(&id).await?;
    note(&doing, "golden.delete", &id).await;
    Ok(StatusCode::NO_CONTENT)
}

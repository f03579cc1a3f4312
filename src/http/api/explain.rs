//! Why a question finds what it finds.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::super::codes::Code;
use super::super::extract::Body;
use super::super::problem::ApiError;
use super::query::{SEARCH_TOP_K, mode, server_timing};
use super::wire::ExplainReply;
use crate::actors::{Ask, Desk};
use crate::domain::{DocumentId, Filter, Mode};

/// A question to explain.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"query": "How do I add a tenant?", "document_id": "limits.md"}))]
pub struct ExplainBody {
    /// What to look for, 1 to 4,096 characters unless the operator set otherwise.
    query: String,
    /// A document to follow: where it was lost, if it is not among the hits.
    document_id: Option<String>,
    /// As for questions.
    generation: Option<u64>,
    /// Hits wanted, 1 to 50; 10 when unset.
    #[schema(minimum = 1, maximum = 50)]
    top_k: Option<u64>,
    /// As for questions.
    #[schema(value_type = Option<Object>)]
    filter: Option<Value>,
    /// How to search; the tenant's own way when unset.
    #[schema(schema_with = mode, required = false)]
    mode: Option<Mode>,
    /// As for questions.
    rerank: Option<bool>,
    /// As for questions.
    #[schema(minimum = 1, maximum = 50)]
    max_chunks_per_document: Option<u64>,
}

/// Searches, and says of each hit how its score came to be, and of one document what became of it.
#[utoipa::path(post, path = "/api/v1/explain", tag = "questions", operation_id = "explain", request_body = ExplainBody,
    responses((status = 200, body = ExplainReply)))]
pub async fn explain(desk: Desk, Body(body): Body<ExplainBody>) -> Result<Response, ApiError> {
    let wrong = |error| ApiError::new(Code::InvalidQuestion, format!("`document_id`: {error}")).at("#/document_id");
    let document = body.document_id.as_deref().map(DocumentId::parse).transpose().map_err(wrong)?;
    let ask = Ask {
        query: body.query,
        messages: None,
        top_k: body.top_k.or(Some(SEARCH_TOP_K)),
        mode: body.mode,
        filter: body.filter.map(Filter::try_from).transpose()?,
        max_chunks_per_document: body.max_chunks_per_document,
        rerank: body.rerank,
        passages: false,
        generation: body.generation,
    };
    let explained = desk.explain(ask, document).await?;
    let timing = server_timing(&explained.timings_ms);
    Ok((timing, Json(ExplainReply::from(explained))).into_response())
}

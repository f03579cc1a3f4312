//! Documents: upload, list, look, read, delete.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::HttpState;
use super::super::codes::Code;
use super::super::context::RequestId;
use super::super::extract::{Id, Params};
use super::super::problem::ApiError;
use super::wire::{DocumentView, List, Order, RemovedView, document_state, page};
use super::{Deed, encoded, upload};
use crate::access::Caller;
use crate::actors::Desk;
use crate::domain::{DocumentId, DocumentState};

/// The longest text of one reply, bytes; a reader of more asks again from `end`.
const MAX_TEXT: usize = 4 << 20;

/// An upload that is durable.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadReply {
    /// The document's id.
    id: String,
    /// Name to show.
    name: String,
    /// Size in bytes.
    bytes: u64,
    /// BLAKE3 of the bytes, hexadecimal.
    content_hash: String,
    /// How far it is.
    #[schema(schema_with = document_state)]
    state: DocumentState,
    /// The job that brings it into the index.
    job_id: String,
}

/// The fields of an upload.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form for the OpenAPI document")]
pub struct UploadForm {
    /// The file; its name becomes the id when none is given.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// Id within the tenant, 1 to 512 bytes; an earlier upload of the same id is replaced.
    id: Option<String>,
    /// JSON: at most 64 names with strings, numbers, booleans or lists of these, 16 KiB in all.
    attributes: Option<String>,
}

/// Keeps a document and queues it for the index; durable when the reply comes.
#[utoipa::path(post, path = "/api/v1/documents", tag = "documents", operation_id = "upload_document",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 202, body = UploadReply, headers(("Location" = String, description = "Where to look after it")))))]
pub async fn upload(
    State(state): State<HttpState>,
    desk: Desk,
    caller: Caller,
    request_id: RequestId,
    request: Request,
) -> Result<Response, ApiError> {
    let limit = state.config.http.max_upload_bytes;
    let upload = upload::receive(&desk, request, limit, caller.subject()).await?;
    let document = DocumentView::from(upload.document);
    let deed = Deed { actor: caller.subject(), action: "document.upload", tenant: Some(desk.tenant()) };
    deed.record(&state, &document.id, &request_id).await;
    let location = format!("/api/v1/documents/{}", encoded(&document.id));
    let reply = UploadReply {
        id: document.id,
        name: document.name,
        bytes: document.bytes,
        content_hash: document.content_hash,
        state: document.state,
        job_id: upload.job_id.to_string(),
    };
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)], Json(reply)).into_response())
}

/// Which documents to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DocumentsParams {
    /// Entries on a page, 1 to 100; 20 when unset.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Only documents behind this id.
    after: Option<String>,
    /// Only documents ahead of this id.
    before: Option<String>,
    /// By id; `asc` when unset.
    #[param(inline)]
    order: Option<Order>,
    /// Only documents of this state.
    #[param(schema_with = document_state, required = false)]
    state: Option<DocumentState>,
}

/// Lists documents.
#[utoipa::path(get, path = "/api/v1/documents", tag = "documents", operation_id = "list_documents", params(DocumentsParams),
    responses((status = 200, body = List<DocumentView>)))]
pub async fn list(desk: Desk, Params(asked): Params<DocumentsParams>) -> Result<Json<List<DocumentView>>, ApiError> {
    let order = asked.order.unwrap_or(Order::Asc);
    let page = page(asked.limit, asked.after.as_deref(), asked.before.as_deref(), order, DocumentId::parse)?;
    let documents = desk.documents(page, asked.state).await?;
    Ok(List::new(documents, Into::into, |document: &DocumentView| document.id.clone()))
}

/// Shows a document.
#[utoipa::path(get, path = "/api/v1/documents/{id}", tag = "documents", operation_id = "get_document",
    params(("id" = String, Path, description = "The document, percent-encoded")),
    responses((status = 200, body = DocumentView)))]
pub async fn show(desk: Desk, Id(id): Id<DocumentId>) -> Result<Json<DocumentView>, ApiError> {
    Ok(Json(desk.document(&id).await?.into()))
}

/// Which part of a text to read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TextParams {
    /// First byte; 0 when unset.
    #[serde(default)]
    #[param(default = 0)]
    start: usize,
    /// One past the last byte; the text's end when unset. At most 4 MiB come at once.
    end: Option<usize>,
    /// The kept generation whose text to read, as citations name it; the one that serves when unset.
    generation: Option<u64>,
}

/// A part of a document's extracted text.
#[derive(Debug, Serialize, ToSchema)]
pub struct TextReply {
    /// The document.
    document_id: String,
    /// First byte; moved inward when it fell within a character.
    start: usize,
    /// One past the last byte, likewise; less than was asked for when the text ends or 4 MiB are reached.
    end: usize,
    /// The text, `end - start` bytes of UTF-8.
    text: String,
}

/// Reads the extracted text of a document, in which every citation's bytes count.
#[utoipa::path(get, path = "/api/v1/documents/{id}/text", tag = "documents", operation_id = "read_document_text",
    params(("id" = String, Path, description = "The document, percent-encoded"), TextParams),
    responses((status = 200, body = TextReply)))]
pub async fn text(
    desk: Desk,
    Id(id): Id<DocumentId>,
    Params(TextParams { start, end, generation }): Params<TextParams>,
) -> Result<Json<TextReply>, ApiError> {
    if end.is_some_and(|end| end < start) {
        return Err(ApiError::new(Code::InvalidParameter, "`end` lies before `start`"));
    }
    let most = start.saturating_add(MAX_TEXT);
    let (start, end, text) = desk.text_in(generation, &id, start, Some(end.unwrap_or(most).min(most))).await?;
    Ok(Json(TextReply { document_id: id.into(), start, end, text }))
}

/// Deletes a document; no answer is made from it once the reply comes.
#[utoipa::path(delete, path = "/api/v1/documents/{id}", tag = "documents", operation_id = "delete_document",
    params(("id" = String, Path, description = "The document, percent-encoded")),
    responses((status = 200, body = RemovedView)))]
pub async fn delete(
    State(state): State<HttpState>,
    desk: Desk,
    caller: Caller,
    request_id: RequestId,
    Id(id): Id<DocumentId>,
) -> Result<Json<RemovedView>, ApiError> {
    let removed = desk.delete(&id, caller.subject()).await?;
    let deed = Deed { actor: caller.subject(), action: "document.delete", tenant: Some(desk.tenant()) };
    deed.record(&state, id.as_str(), &request_id).await;
    Ok(Json(removed.into()))
}

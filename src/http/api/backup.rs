//! One tenant as one file: backup, restore, clone, for operators; and a tenant's own export.

use std::io;

use axum::Json;
use axum::body::{Body as RawBody, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream::unfold;
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};
use utoipa::{IntoParams, ToSchema};

use super::super::HttpState;
use super::super::codes::Code;
use super::super::context::RequestId;
use super::super::extract::{BODY_PATIENCE, Body, Id, Params, refuse_oversize, too_large};
use super::super::problem::ApiError;
use super::wire::RestoredView;
use super::{Deed, operator};
use crate::access::{Caller, Operator};
use crate::actors::{Desk, Exported, Pieces, Restored};
use crate::backup::BackupError;
use crate::domain::TenantId;

/// Bytes gathered before they are written to disk.
const GATHERED: usize = 1 << 20;

/// A backup.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes the body for the OpenAPI document")]
pub struct BackupFile(Vec<u8>);

/// Streams a backup of a tenant, which goes on serving.
///
/// Documents, settings, generations and records are in one file. A file whose download broke off is refused by a restore.
#[utoipa::path(get, path = "/api/v1/tenants/{id}/backup", tag = "operator", operation_id = "backup_tenant",
    params(("id" = String, Path, description = "The tenant")),
    responses((status = 200, body = BackupFile, content_type = "application/x-tar")))]
pub async fn backup(
    State(state): State<HttpState>,
    operator: Operator,
    request_id: RequestId,
    Id(id): Id<TenantId>,
) -> Result<Response, ApiError> {
    let pieces = state.tenants.desk_for(&operator, &id)?.backup().await?;
    let deed = Deed { actor: operator.subject(), action: "tenant.backup", tenant: Some(&id) };
    deed.record(&state, id.as_str(), &request_id).await;
    let name = format!("attachment; filename=\"{id}.carrel.tar\"");
    let headers = [(CONTENT_TYPE, "application/x-tar".to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, streamed(pieces)).into_response())
}

fn streamed(pieces: Pieces) -> RawBody {
    // Compression asks once more after the end, for trailers.
    RawBody::from_stream(unfold(pieces, async |mut pieces| Some((pieces.recv().await?, pieces))).fuse())
}

/// Under which id to restore.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RestoreParams {
    /// The tenant's id; the one it had when unset.
    #[param(value_type = Option<String>)]
    r#as: Option<TenantId>,
}

/// Makes a tenant of a backup.
///
/// All of the file is checked before anything is changed, and nothing is embedded again. Tokens are no part of a backup.
#[utoipa::path(post, path = "/api/v1/tenants/restore", tag = "operator", operation_id = "restore_tenant", params(RestoreParams),
    request_body(content = BackupFile, content_type = "application/x-tar"),
    responses((status = 201, body = RestoredView, headers(("Location" = String, description = "The tenant")))))]
pub async fn restore(
    State(state): State<HttpState>,
    operator: Operator,
    request_id: RequestId,
    Params(RestoreParams { r#as: wanted }): Params<RestoreParams>,
    request: Request,
) -> Result<Response, ApiError> {
    let most = state.config.http.max_restore_bytes;
    refuse_oversize(request.headers(), most)?;
    let file = state.tenants.receive(&operator).await?;
    let file = receive(request, File::from_std(file), most).await?;
    let restored = state.tenants.restore(&operator, file, wanted).await?;
    let deed = Deed { actor: operator.subject(), action: "tenant.restore", tenant: Some(&restored.id) };
    deed.record(&state, restored.id.as_str(), &request_id).await;
    created(&state, &operator, &restored)
}

/// Writes a body to a file, piece by piece.
async fn receive(request: Request, file: File, most: u64) -> Result<std::fs::File, ApiError> {
    let mut file = BufWriter::with_capacity(GATHERED, file);
    let mut body = request.into_body().into_data_stream();
    let refused = |error: io::Error| ApiError::from(BackupError::io("receive")(error));
    let mut received = 0;
    loop {
        let piece = tokio::time::timeout(BODY_PATIENCE, body.next());
        let Some(piece) = piece.await.map_err(|_| ApiError::plain(Code::BodyTimeout))? else { break };
        let piece: Bytes = piece.map_err(|_| BackupError::damaged("the body", "it ended before it was whole"))?;
        received += piece.len() as u64;
        if received > most {
            return Err(too_large(most));
        }
        file.write_all(&piece).await.map_err(refused)?;
    }
    file.flush().await.map_err(refused)?;
    Ok(file.into_inner().into_std().await)
}

/// The tenant to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"id": "acme-trial"}))]
pub struct CloneBody {
    /// Its id: `[a-z0-9][a-z0-9-]{0,62}`.
    #[schema(value_type = String)]
    id: TenantId,
}

/// Makes another tenant that is what this one is now.
///
/// Nothing is embedded again. Tokens are not taken along.
#[utoipa::path(post, path = "/api/v1/tenants/{id}/clone", tag = "operator", operation_id = "clone_tenant", request_body = CloneBody,
    params(("id" = String, Path, description = "The tenant to clone")),
    responses((status = 201, body = RestoredView, headers(("Location" = String, description = "The new tenant")))))]
pub async fn duplicate(
    State(state): State<HttpState>,
    operator: Operator,
    request_id: RequestId,
    Id(from): Id<TenantId>,
    Body(CloneBody { id }): Body<CloneBody>,
) -> Result<Response, ApiError> {
    let restored = state.tenants.duplicate(&operator, &from, id.clone()).await?;
    let deed = Deed { actor: operator.subject(), action: "tenant.clone", tenant: Some(&id) };
    deed.record(&state, from.as_str(), &request_id).await;
    created(&state, &operator, &restored)
}

fn created(state: &HttpState, operator: &Operator, restored: &Restored) -> Result<Response, ApiError> {
    let Restored { id, job_id } = restored;
    let location = format!("/api/v1/tenants/{id}");
    let view = RestoredView { tenant: operator::view(state, operator, id)?, job_id: job_id.to_string() };
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(view)).into_response())
}

/// What to export.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A line a document: `id`, `name`, `title`, `attributes`, `text`.
    #[default]
    Documents,
    /// A line a chunk: `document_id`, `chunk_id`, `start`, `end`, `heading`, `page`, `text`.
    Chunks,
}

/// What to export.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportParams {
    /// `documents` when unset.
    #[serde(default)]
    #[param(inline, required = false)]
    what: What,
}

/// Streams every document or chunk that answers now, as lines of JSON by id of the document.
#[utoipa::path(get, path = "/api/v1/export", tag = "documents", operation_id = "export_documents", params(ExportParams),
    responses((status = 200, body = String, content_type = "application/jsonl")))]
pub async fn export(
    State(state): State<HttpState>,
    desk: Desk,
    caller: Caller,
    request_id: RequestId,
    Params(ExportParams { what }): Params<ExportParams>,
) -> Result<Response, ApiError> {
    let (what, target) = match what {
        What::Documents => (Exported::Documents, "documents"),
        What::Chunks => (Exported::Chunks, "chunks"),
    };
    let lines = desk.export(what)?;
    let deed = Deed { actor: caller.subject(), action: "document.export", tenant: Some(desk.tenant()) };
    deed.record(&state, target, &request_id).await;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, axum::http::HeaderValue::from_static("application/jsonl"));
    Ok((headers, streamed(lines)).into_response())
}

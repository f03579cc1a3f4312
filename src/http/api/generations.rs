//! Generations as things one can hold: list, compare, go back, keep, delete.

use axum::Json;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::codes::Code;
use super::super::extract::{Body, Id, Params};
use super::super::problem::ApiError;
use super::wire::{GenerationView, List};
use super::{Doing, note};
use crate::actors::{Activated, Desk, GenerationDiff};
use crate::domain::DocumentId;

/// Documents that a comparison names at most, of each kind; the counts are whole.
const NAMED: usize = 100;

/// Lists the generations on disk, newest first.
#[utoipa::path(get, path = "/api/v1/generations", tag = "index", operation_id = "list_generations",
    responses((status = 200, body = List<GenerationView>)))]
pub async fn list(desk: Desk) -> Result<Json<List<GenerationView>>, ApiError> {
    let held = desk.generations().await?;
    Ok(List::whole(held, Into::into, |generation: &GenerationView| generation.number.to_string()))
}

/// What serves after an older generation was activated.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActivatedView {
    /// The one that serves now.
    generation: u64,
    /// The one that served before.
    previous: Option<u64>,
    /// Documents of it that were deleted since and stay so.
    documents_removed: u64,
    /// Documents taken over from the previous generation, since they came or changed after this one.
    documents_carried: u64,
    /// Documents that are read and embedded again, since this generation is made with other settings.
    documents_pending: u64,
}

impl From<Activated> for ActivatedView {
    fn from(activated: Activated) -> Self {
        let Activated { generation, previous, documents_removed, documents_carried, documents_pending } = activated;
        Self { generation, previous, documents_removed, documents_carried, documents_pending }
    }
}

/// How to activate.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivateBody {
    /// Whether a generation that failed its checks is to serve all the same; `false` when unset.
    #[serde(default)]
    #[schema(required = false)]
    force: bool,
}

/// Makes an older generation answer again, at once. Documents are what they are now: what was deleted since stays deleted.
#[utoipa::path(post, path = "/api/v1/generations/{n}/activate", tag = "index", operation_id = "activate_generation",
    params(("n" = u64, Path, description = "The generation")), request_body = Option<ActivateBody>,
    responses((status = 200, body = ActivatedView)))]
pub async fn activate(
    doing: Doing,
    Id(number): Id<u64>,
    body: Option<Body<ActivateBody>>,
) -> Result<Json<ActivatedView>, ApiError> {
    let force = body.is_some_and(|Body(body)| body.force);
    let activated = doing.1.activate(number, force).await?;
    note(&doing, if force { "generation.force" } else { "generation.activate" }, &number.to_string()).await;
    Ok(Json(activated.into()))
}

/// Keeps a generation from being pruned when newer ones come.
#[utoipa::path(put, path = "/api/v1/generations/{n}/pin", tag = "index", operation_id = "pin_generation",
    params(("n" = u64, Path, description = "The generation")), responses((status = 204)))]
pub async fn pin(doing: Doing, Id(number): Id<u64>) -> Result<StatusCode, ApiError> {
    doing.1.pin(number, true).await?;
    note(&doing, "generation.pin", &number.to_string()).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a generation be pruned again.
#[utoipa::path(delete, path = "/api/v1/generations/{n}/pin", tag = "index", operation_id = "unpin_generation",
    params(("n" = u64, Path, description = "The generation")), responses((status = 204)))]
pub async fn unpin(doing: Doing, Id(number): Id<u64>) -> Result<StatusCode, ApiError> {
    doing.1.pin(number, false).await?;
    note(&doing, "generation.unpin", &number.to_string()).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a generation that does not serve.
#[utoipa::path(delete, path = "/api/v1/generations/{n}", tag = "index", operation_id = "delete_generation",
    params(("n" = u64, Path, description = "The generation")), responses((status = 204)))]
pub async fn delete(doing: Doing, Id(number): Id<u64>) -> Result<StatusCode, ApiError> {
    doing.1.delete_generation(number).await?;
    note(&doing, "generation.delete", &number.to_string()).await;
    Ok(StatusCode::NO_CONTENT)
}

/// What to compare with.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DiffParams {
    /// The other generation; the one that serves when unset.
    with: Option<u64>,
}

/// Documents of one kind in a comparison.
#[derive(Debug, Serialize, ToSchema)]
pub struct DocumentsView {
    /// How many.
    count: u64,
    /// The first hundred of them, by id.
    ids: Vec<String>,
}

impl From<Vec<DocumentId>> for DocumentsView {
    fn from(ids: Vec<DocumentId>) -> Self {
        Self { count: ids.len() as u64, ids: ids.iter().take(NAMED).map(ToString::to_string).collect() }
    }
}

/// What two generations have apart.
#[derive(Debug, Serialize, ToSchema)]
pub struct DiffView {
    /// The generation compared.
    from: u64,
    /// The one it is compared with.
    to: u64,
    /// Documents in `to` alone.
    added: DocumentsView,
    /// Documents in `from` alone.
    removed: DocumentsView,
    /// Documents whose bytes, name, attributes or chunks differ.
    changed: DocumentsView,
    /// Documents alike in both.
    unchanged: u64,
    /// Chunks whose text is in `to` alone.
    chunks_added: u64,
    /// Chunks whose text is in `from` alone.
    chunks_removed: u64,
}

impl From<GenerationDiff> for DiffView {
    fn from(diff: GenerationDiff) -> Self {
        Self {
            from: diff.from,
            to: diff.to,
            added: diff.added.into(),
            removed: diff.removed.into(),
            changed: diff.changed.into(),
            unchanged: diff.unchanged,
            chunks_added: diff.chunks_added,
            chunks_removed: diff.chunks_removed,
        }
    }
}

/// Compares a generation with another: documents and chunks that came, went and changed.
#[utoipa::path(get, path = "/api/v1/generations/{n}/diff", tag = "index", operation_id = "diff_generations",
    params(("n" = u64, Path, description = "The generation"), DiffParams), responses((status = 200, body = DiffView)))]
pub async fn diff(
    desk: Desk,
    Id(number): Id<u64>,
    Params(asked): Params<DiffParams>,
) -> Result<Json<DiffView>, ApiError> {
    let serving = || desk.generations_serving().ok_or_else(|| ApiError::plain(Code::TenantIndexBuilding));
    let with = asked.with.map_or_else(serving, Ok)?;
    Ok(Json(desk.diff(number, with).await?.into()))
}

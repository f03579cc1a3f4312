//! The life of an index: rebuilds.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::HttpState;
use super::super::context::RequestId;
use super::super::extract::Params;
use super::super::problem::ApiError;
use super::Deed;
use super::generations::DocumentsView;
use super::wire::job_state;
use crate::access::Caller;
use crate::actors::{Desk, JobTicket};
use crate::domain::JobState;
use crate::engine::Forecast;

/// A rebuild that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReindexReply {
    /// The job to follow.
    job_id: String,
    /// How far it is.
    #[schema(schema_with = job_state)]
    state: JobState,
    /// Whether it joins one that was waiting already.
    joined: bool,
}

/// 202 with the place to look: `jobs` is the list that the job stands in.
pub(super) fn accepted(ticket: JobTicket, jobs: &str) -> Response {
    let job_id = ticket.job_id.to_string();
    let location = format!("{jobs}/{job_id}");
    let reply = ReindexReply { job_id, state: JobState::Queued, joined: ticket.joined };
    (StatusCode::ACCEPTED, [(LOCATION, location)], Json(reply)).into_response()
}

/// How to build.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReindexParams {
    /// Whether to read, cut and embed every document anew, whatever is known of it; `false` when unset.
    #[serde(default)]
    #[param(required = false)]
    fresh: bool,
    /// Whether to tell what would be done instead of doing it; `false` when unset.
    #[serde(default)]
    #[param(required = false)]
    dry_run: bool,
}

/// What a rebuild would do.
#[derive(Debug, Serialize, ToSchema)]
pub struct ForecastReply {
    /// Documents that the serving generation has not.
    documents_added: DocumentsView,
    /// Documents whose bytes, name or attributes changed since, or that would be cut or embedded otherwise.
    documents_changed: DocumentsView,
    /// Documents that the serving generation has and the store has not.
    documents_removed: DocumentsView,
    /// Documents that would be taken over as they are.
    documents_unchanged: u64,
    /// Documents that cannot be read.
    documents_failed: u64,
    /// Chunks the generation would have.
    chunks: u64,
    /// Chunks whose vectors would have to be made.
    texts_embedded: u64,
    /// Model tokens that takes; counted by the built-in tokenizer where a provider's own is not known.
    model_tokens: u64,
    /// Money for these at the provider's `price_per_million_tokens`; none for the built-in embedder or without a price.
    cost: Option<f64>,
    /// Seconds it would take; none where nothing tells yet how fast the provider is.
    seconds: Option<f64>,
    /// Bytes the generation would take on disk.
    bytes: u64,
}

impl From<Forecast> for ForecastReply {
    fn from(forecast: Forecast) -> Self {
        Self {
            documents_added: forecast.added.into(),
            documents_changed: forecast.changed.into(),
            documents_removed: forecast.removed.into(),
            documents_unchanged: forecast.unchanged,
            documents_failed: forecast.failed,
            chunks: forecast.chunks,
            texts_embedded: forecast.texts_embedded,
            model_tokens: forecast.model_tokens,
            cost: forecast.cost,
            seconds: forecast.seconds,
            bytes: forecast.bytes,
        }
    }
}

/// Builds a new generation beside the serving one. Asked again while one waits, it joins that. A dry run tells what would be
/// done and changes nothing.
#[utoipa::path(post, path = "/api/v1/reindex", tag = "index", params(ReindexParams),
    responses((status = 202, body = ReindexReply, headers(("Location" = String, description = "The job"))),
        (status = 200, description = "A dry run", body = ForecastReply)))]
pub async fn reindex(
    State(state): State<HttpState>,
    desk: Desk,
    caller: Caller,
    request_id: RequestId,
    Params(how): Params<ReindexParams>,
) -> Result<Response, ApiError> {
    if how.dry_run {
        let forecast = desk.forecast(how.fresh).await?;
        return Ok(Json(ForecastReply::from(forecast)).into_response());
    }
    let ticket = desk.reindex(caller.subject(), how.fresh).await?;
    let deed = Deed { actor: caller.subject(), action: "index.rebuild", tenant: Some(desk.tenant()) };
    deed.record(&state, &ticket.job_id.to_string(), &request_id).await;
    Ok(accepted(ticket, "/api/v1/jobs"))
}

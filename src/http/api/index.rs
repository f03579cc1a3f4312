//! The life of an index: rebuilds and jobs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::HttpState;
use super::super::context::RequestId;
use super::super::extract::{Id, Params};
use super::super::problem::ApiError;
use super::Deed;
use super::wire::{JobView, List, Order, job_state, page};
use crate::access::Caller;
use crate::actors::{Desk, JobTicket};
use crate::domain::{JobId, JobState};

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

/// Builds a new generation beside the serving one. Asked again while one waits, it joins that.
#[utoipa::path(post, path = "/api/v1/reindex", tag = "index",
    responses((status = 202, body = ReindexReply, headers(("Location" = String, description = "The job")))))]
pub async fn reindex(
    State(state): State<HttpState>,
    desk: Desk,
    caller: Caller,
    request_id: RequestId,
) -> Result<Response, ApiError> {
    let ticket = desk.reindex(caller.subject()).await?;
    let deed = Deed { actor: caller.subject(), action: "index.rebuild", tenant: Some(desk.tenant()) };
    deed.record(&state, &ticket.job_id.to_string(), &request_id).await;
    Ok(accepted(ticket, "/api/v1/jobs"))
}

/// Which jobs to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JobsParams {
    /// Entries on a page, 1 to 100; 20 when unset.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Only jobs behind this id.
    after: Option<String>,
    /// Only jobs ahead of this id.
    before: Option<String>,
    /// By time of asking; `desc` when unset.
    #[param(inline)]
    order: Option<Order>,
    /// Only jobs of this state.
    #[param(schema_with = job_state, required = false)]
    state: Option<JobState>,
}

/// Lists jobs.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "index", operation_id = "list_jobs", params(JobsParams),
    responses((status = 200, body = List<JobView>)))]
pub async fn jobs(desk: Desk, Params(asked): Params<JobsParams>) -> Result<Json<List<JobView>>, ApiError> {
    let order = asked.order.unwrap_or(Order::Desc);
    let page = page(asked.limit, asked.after.as_deref(), asked.before.as_deref(), order, JobId::parse)?;
    let jobs = desk.jobs(page, asked.state).await?;
    Ok(List::new(jobs, Into::into, |job: &JobView| job.id.clone()))
}

/// Shows a job.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "index", operation_id = "get_job", params(("id" = String, Path, description = "The job")),
    responses((status = 200, body = JobView)))]
pub async fn job(desk: Desk, Id(id): Id<JobId>) -> Result<Json<JobView>, ApiError> {
    Ok(Json(desk.job(id).await?.into()))
}

//! Jobs: list, look, follow, cancel, retry; and the purge, which is nothing but a job.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::watch;
use utoipa::IntoParams;

use super::super::HttpState;
use super::super::context::RequestId;
use super::super::extract::{Id, Params};
use super::super::guard::Guard;
use super::super::problem::ApiError;
use super::events::{self, event};
use super::index::accepted;
use super::wire::{JobView, List, Order, job_kind, job_state, page};
use super::{Doing, note};
use crate::access::Caller;
use crate::actors::{Desk, Following};
use crate::domain::{ContentHash, Job, JobId, JobKind, JobState};

/// The least time between two events of a job.
const PACE: Duration = Duration::from_millis(100);

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
    /// Only jobs of this kind.
    #[param(schema_with = job_kind, required = false)]
    kind: Option<JobKind>,
}

/// Lists jobs.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "index", operation_id = "list_jobs", params(JobsParams),
    responses((status = 200, body = List<JobView>)))]
pub async fn list(desk: Desk, Params(asked): Params<JobsParams>) -> Result<Json<List<JobView>>, ApiError> {
    let order = asked.order.unwrap_or(Order::Desc);
    let page = page(asked.limit, asked.after.as_deref(), asked.before.as_deref(), order, JobId::parse)?;
    let jobs = desk.jobs(page, asked.state, asked.kind).await?;
    Ok(List::new(jobs, Into::into, |job: &JobView| job.id.clone()))
}

/// Shows a job.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "index", operation_id = "get_job", params(("id" = String, Path, description = "The job")),
    responses((status = 200, body = JobView)))]
pub async fn show(desk: Desk, Id(id): Id<JobId>) -> Result<Json<JobView>, ApiError> {
    Ok(Json(desk.job(id).await?.into()))
}

/// Stops a job that waits or runs. What serves goes on serving; what a build had done is kept for the next.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/cancel", tag = "index", operation_id = "cancel_job",
    params(("id" = String, Path, description = "The job")), responses((status = 200, body = JobView)))]
pub async fn cancel(doing: Doing, Id(id): Id<JobId>) -> Result<Json<JobView>, ApiError> {
    let job = doing.1.cancel(id).await?;
    note(&doing, "job.cancel", &id.to_string()).await;
    Ok(Json(job.into()))
}

/// Queues a job again that failed or was cancelled; a build goes on from what it had done.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/retry", tag = "index", operation_id = "retry_job",
    params(("id" = String, Path, description = "The job")),
    responses((status = 202, body = super::index::ReindexReply, headers(("Location" = String, description = "The job")))))]
pub async fn retry(doing: Doing, Id(id): Id<JobId>) -> Result<Response, ApiError> {
    let ticket = doing.1.retry(id).await?;
    note(&doing, "job.retry", &id.to_string()).await;
    Ok(accepted(ticket, "/api/v1/jobs"))
}

/// Writes anew whatever still holds the text of deleted documents, in every generation and in the ledger.
#[utoipa::path(post, path = "/api/v1/purge", tag = "documents",
    responses((status = 202, body = super::index::ReindexReply, headers(("Location" = String, description = "The job")))))]
pub async fn purge(doing: Doing) -> Result<Response, ApiError> {
    let ticket = doing.1.purge(doing.2.subject()).await?;
    note(&doing, "tenant.purge", &ticket.job_id.to_string()).await;
    Ok(accepted(ticket, "/api/v1/jobs"))
}

/// Follows a job: an event `job` whenever it changed, each with the whole of it, and `done` as the last.
///
/// An event's id names what it tells; a client that comes back with `Last-Event-ID` is told only what is new.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/events", tag = "index", operation_id = "follow_job",
    params(("id" = String, Path, description = "The job"), ("Last-Event-ID" = Option<String>, Header, description = "The last event that came")),
    responses((status = 200, content_type = "text/event-stream", body = String)))]
pub async fn follow(
    State(state): State<HttpState>,
    desk: Desk,
    caller: Caller,
    request_id: RequestId,
    headers: HeaderMap,
    Id(id): Id<JobId>,
) -> Result<Response, ApiError> {
    // One that does not exist is a plain 404 and no stream.
    desk.job(id).await?;
    let following = desk.follow()?;
    let written = desk.jobs_written();
    let told = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let guard = Guard::new(&state, &caller);
    let stream = JobStream {
        desk,
        id,
        request_id,
        told,
        written,
        guard,
        last: VecDeque::new(),
        over: false,
        _following: following,
    };
    Ok(events::reply(stream::unfold(stream, JobStream::next)))
}

/// A job that somebody follows.
struct JobStream {
    desk: Desk,
    id: JobId,
    request_id: RequestId,
    /// The id of the last event told.
    told: Option<String>,
    written: watch::Receiver<u64>,
    guard: Guard,
    last: VecDeque<Event>,
    over: bool,
    _following: Following,
}

impl JobStream {
    async fn next(mut self) -> Option<(Event, Self)> {
        loop {
            if let Some(event) = self.last.pop_front() {
                return Some((event, self));
            }
            if self.over {
                return None;
            }
            self.written.mark_unchanged();
            match self.desk.job(self.id).await {
                Ok(job) => self.tell(&job),
                Err(error) => self.fail(error.into()),
            }
            if !self.last.is_empty() || self.over {
                continue;
            }
            tokio::select! {
                changed = self.written.changed() => self.over = changed.is_err(),
                why = self.guard.ends() => self.fail(why),
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// Prepares the event for a job that is not as it was told last.
    fn tell(&mut self, job: &Job) {
        let ended = job.state.is_final();
        let view = JobView::from(job.clone());
        // The end is told to whoever asks, or a client would ask for ever. The job as it is kept, since its view tells of the time that passes.
        let kept = serde_json::to_vec(job).unwrap_or_default();
        let id = ContentHash::of(&kept).to_string()[..16].to_owned();
        if ended || self.told.as_ref() != Some(&id) {
            let name = if ended { "done" } else { "job" };
            self.last.push_back(event(name, &view).id(&id));
            self.told = Some(id);
        }
        self.over = ended;
    }

    fn fail(&mut self, error: ApiError) {
        let path = format!("/api/v1/jobs/{}/events", self.id);
        let problem = error.into_problem(self.request_id.as_str().to_owned(), path);
        self.last.push_back(event("error", &problem));
        self.over = true;
    }
}

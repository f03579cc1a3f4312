//! What operators do: tenants, tokens, status, audit.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::super::HttpState;
use super::super::codes::Code;
use super::super::context::RequestId;
use super::super::extract::{Body, Id, Params};
use super::super::problem::ApiError;
use super::wire::{AuditView, JobView, List, TenantView};
use super::{Deed, index};
use crate::access::Operator;
use crate::actors::DeskError;
use crate::domain::{JobId, TenantId};
use crate::ledger::Listed;

/// Lists tenants and how they fare.
#[utoipa::path(get, path = "/api/v1/tenants", tag = "operator", operation_id = "list_tenants", responses((status = 200, body = List<TenantView>)))]
pub async fn tenants(State(state): State<HttpState>, operator: Operator) -> Json<List<TenantView>> {
    List::whole(state.tenants.statuses(&operator), Into::into, |tenant: &TenantView| tenant.id.clone())
}

/// Shows a tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{id}", tag = "operator", operation_id = "get_tenant",
    params(("id" = String, Path, description = "The tenant")), responses((status = 200, body = TenantView)))]
pub async fn tenant(
    State(state): State<HttpState>,
    operator: Operator,
    Id(id): Id<TenantId>,
) -> Result<Json<TenantView>, ApiError> {
    view(&state, &operator, &id).map(Json)
}

pub(super) fn view(state: &HttpState, operator: &Operator, id: &TenantId) -> Result<TenantView, ApiError> {
    let found = state.tenants.statuses(operator).into_iter().find(|tenant| tenant.id == *id);
    Ok(found.ok_or(DeskError::NoTenant)?.into())
}

/// A tenant to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"id": "acme", "settings": {"name": "Acme", "limits": {"queries_per_minute": 300}}}))]
pub struct TenantBody {
    /// `[a-z0-9][a-z0-9-]{0,62}`.
    #[schema(value_type = String)]
    id: TenantId,
    /// What its file says, as JSON; every setting has a default.
    #[serde(default)]
    #[schema(value_type = Object)]
    settings: serde_json::Map<String, Value>,
}

/// Adds a tenant and starts it.
#[utoipa::path(post, path = "/api/v1/tenants", tag = "operator", operation_id = "add_tenant", request_body = TenantBody,
    responses((status = 201, body = TenantView, headers(("Location" = String, description = "The tenant")))))]
pub async fn add(
    State(state): State<HttpState>,
    operator: Operator,
    request_id: RequestId,
    Body(TenantBody { id, settings }): Body<TenantBody>,
) -> Result<Response, ApiError> {
    let file = toml::to_string_pretty(&settings)
        .map_err(|error| ApiError::new(Code::InvalidSettings, format!("`settings`: {error}")).at("#/settings"))?;
    state.tenants.add(&operator, &id, &file).await?;
    let deed = Deed { actor: operator.subject(), action: "tenant.add", tenant: Some(&id) };
    deed.record(&state, id.as_str(), &request_id).await;
    let location = format!("/api/v1/tenants/{id}");
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(view(&state, &operator, &id)?)).into_response())
}

/// Removes a tenant with its documents, index, jobs and tokens.
#[utoipa::path(delete, path = "/api/v1/tenants/{id}", tag = "operator", operation_id = "remove_tenant",
    params(("id" = String, Path, description = "The tenant")), responses((status = 204)))]
pub async fn remove(
    State(state): State<HttpState>,
    operator: Operator,
    request_id: RequestId,
    Id(id): Id<TenantId>,
) -> Result<StatusCode, ApiError> {
    // One whose file is wrong has no desk and goes like any other.
    view(&state, &operator, &id)?;
    // First the tokens: whatever fails after this, nobody of the tenant comes in any more.
    state.tokens.revoke_tenant(&id).await?;
    state.tenants.remove(&operator, &id).await?;
    let deed = Deed { actor: operator.subject(), action: "tenant.remove", tenant: Some(&id) };
    deed.record(&state, id.as_str(), &request_id).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Builds a tenant's index anew, beside the one that serves.
#[utoipa::path(post, path = "/api/v1/tenants/{id}/reindex", tag = "operator", operation_id = "reindex_tenant",
    params(("id" = String, Path, description = "The tenant")),
    responses((status = 202, body = index::ReindexReply, headers(("Location" = String, description = "The job")))))]
pub async fn reindex(
    State(state): State<HttpState>,
    operator: Operator,
    request_id: RequestId,
    Id(id): Id<TenantId>,
) -> Result<Response, ApiError> {
    let ticket = state.tenants.desk_for(&operator, &id)?.reindex(operator.subject(), false).await?;
    let deed = Deed { actor: operator.subject(), action: "index.rebuild", tenant: Some(&id) };
    deed.record(&state, &ticket.job_id.to_string(), &request_id).await;
    Ok(index::accepted(ticket, &format!("/api/v1/tenants/{id}/jobs")))
}

/// Shows a job of a tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{id}/jobs/{job}", tag = "operator", operation_id = "get_tenant_job",
    params(("id" = String, Path, description = "The tenant"), ("job" = String, Path, description = "The job")),
    responses((status = 200, body = JobView)))]
pub async fn job(
    State(state): State<HttpState>,
    operator: Operator,
    Id((id, job)): Id<(TenantId, JobId)>,
) -> Result<Json<JobView>, ApiError> {
    Ok(Json(state.tenants.desk_for(&operator, &id)?.job(job).await?.into()))
}

/// What a reload found wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReloadReply {
    /// One line a file, as `tenants/acme.toml:3: …`; these tenants stay as they were.
    problems: Vec<String>,
}

/// Reads the tenants' files again: adds, removes and changes what differs.
#[utoipa::path(post, path = "/api/v1/tenants/reload", tag = "operator", operation_id = "reload_tenants", responses((status = 200, body = ReloadReply)))]
pub async fn reload(
    State(state): State<HttpState>,
    operator: Operator,
    request_id: RequestId,
) -> Result<Json<ReloadReply>, ApiError> {
    let problems = state.tenants.reload(&operator).await?;
    let deed = Deed { actor: operator.subject(), action: "tenant.reload", tenant: None };
    deed.record(&state, "tenants", &request_id).await;
    Ok(Json(ReloadReply { problems }))
}

/// How the whole server fares.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatusReply {
    /// Carrel's version.
    version: &'static str,
    /// Whether it is about to end.
    draining: bool,
    /// Tenants.
    tenants: TenantCounts,
    /// Jobs by state.
    #[schema(value_type = BTreeMap<String, u64>)]
    jobs: BTreeMap<&'static str, u64>,
}

/// How many tenants answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantCounts {
    /// That can answer questions now.
    answering: usize,
    /// That there are.
    total: usize,
}

/// Shows how the whole server fares.
#[utoipa::path(get, path = "/api/v1/status", tag = "operator", operation_id = "get_status", responses((status = 200, body = StatusReply)))]
pub async fn status(State(state): State<HttpState>, _: Operator) -> Result<Json<StatusReply>, ApiError> {
    let (answering, total) = state.tenants.ready();
    let jobs = state.ledger.job_counts().await?;
    Ok(Json(StatusReply {
        version: env!("CARGO_PKG_VERSION"),
        draining: state.draining.load(Ordering::Relaxed),
        tenants: TenantCounts { answering, total },
        jobs: jobs.into_iter().map(|(job, count)| (job.as_str(), count)).collect(),
    }))
}

/// How much of the audit to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditParams {
    /// Entries, 1 to 1000; 100 when unset.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Only entries older than the one of this number: a page's `last_id` gives the next page.
    after: Option<u64>,
}

/// Shows what was done last, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "operator", operation_id = "list_audit", params(AuditParams),
    responses((status = 200, body = List<AuditView>)))]
pub async fn audit(
    State(state): State<HttpState>,
    _: Operator,
    Params(asked): Params<AuditParams>,
) -> Result<Json<List<AuditView>>, ApiError> {
    let limit = asked.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        let detail = format!("`limit` is {limit}; it must be from 1 to 1000");
        return Err(ApiError::new(Code::InvalidParameter, detail));
    }
    // One more than wanted tells whether more follow.
    let mut entries = state.ledger.audit_log(limit + 1, asked.after).await?;
    let has_more = entries.len() > limit;
    entries.truncate(limit);
    Ok(List::new(Listed { entries, has_more }, Into::into, |entry: &AuditView| entry.number.to_string()))
}

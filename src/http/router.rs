//! All routes and layers, on one screen.

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

use super::api::{
    FORM_OVERHEAD, backup, compare, documents, explain, generations, golden, index, jobs, operator, query, tokens,
};
use super::auth::{self, Gate};
use super::codes::Code;
use super::envelope::{Envelope, envelope};
use super::problem::ApiError;
use super::server::HealthOnly;
use super::{HttpState, admin, openapi, ops, prefix, problems_page, strict};
use crate::access::{Caller, Permission};
use crate::config::HttpConfig;
use crate::telemetry;

/// Replies below this leave in a few packets anyway, and compressing one costs more time than it saves.
const COMPRESS_ABOVE: u64 = 8 << 10;
/// Bytes a second below which an upload is given up.
const SLOWEST_UPLOAD: u64 = 64 << 10;

/// The whole web, ready to serve.
///
/// Outside in: envelope (request id, span, count, log, browser headers), panics, compression, time limit, then for what needs a
/// token: who, how often, may they, nothing unknown; then the handler with its own body limit.
pub fn router(state: HttpState) -> Router {
    let server = state.config.clone();
    let config = &server.http;
    let (time, upload_time) = (config.request_timeout, upload_timeout(config));
    announce();
    let quick = tenant_routes().merge(operator_routes()).layer(from_fn_with_state(time, within));
    let slow = slow_routes(config.max_upload_bytes).layer(from_fn_with_state(upload_time, within));
    let large = large_routes().layer(from_fn_with_state(large_timeout(config), within));
    let gate = Gate::new(state.clone());
    let guarded = quick
        .merge(slow)
        .merge(large)
        .route_layer(from_fn_with_state(gate.clone(), auth::count))
        .route_layer(from_fn_with_state(gate.clone(), auth::authenticate));
    let scraped = metrics_route().route_layer(from_fn_with_state(gate, ops::scrapers));
    let open = open_routes().merge(scraped).layer(from_fn_with_state(time, within));
    let routes = guarded.merge(open).with_state(state.clone()).merge(admin::routes(state));
    prefix::below(prefix::base_of(&config.public_url), finish(routes, config))
}

/// What goes around every route, and around what is no route.
fn finish(routes: Router, config: &HttpConfig) -> Router {
    routes
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn(health_when_full))
        .layer(compression())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Envelope::new(config), envelope))
}

/// What a tenant's token opens.
fn tenant_routes() -> Router<HttpState> {
    let ask = |methods| needs(&[Permission::Query], methods);
    let read = |methods| needs(&[Permission::DocumentsRead], methods);
    let write = |methods| needs(&[Permission::DocumentsWrite], methods);
    let build = |methods| needs(&[Permission::Reindex], methods);
    // Whoever starts a job may follow it.
    let follow =
        |methods| needs(&[Permission::Reindex, Permission::DocumentsWrite, Permission::DocumentsRead], methods);
    // And whoever may start one may stop it.
    let change = |methods| needs(&[Permission::Reindex, Permission::DocumentsWrite], methods);
    Router::new()
        .route("/query", ask(post(query::seed)))
        .route("/api/v1/query", ask(post(query::query)))
        .route("/api/v1/search", ask(post(query::search)))
        .route("/api/v1/explain", ask(post(explain::explain)))
        .route("/api/v1/documents", read(get(documents::list)))
        .route("/api/v1/documents/{id}", read(get(documents::show)).merge(write(delete(documents::delete))))
        .route("/api/v1/documents/{id}/text", read(get(documents::text)))
        .route("/api/v1/export", read(get(backup::export)))
        .route("/api/v1/purge", write(post(jobs::purge)))
        .route("/api/v1/jobs", follow(get(jobs::list)))
        .route("/api/v1/jobs/{id}", follow(get(jobs::show)))
        .route("/api/v1/jobs/{id}/events", follow(get(jobs::follow)))
        .route("/api/v1/jobs/{id}/cancel", change(post(jobs::cancel)))
        .route("/api/v1/jobs/{id}/retry", change(post(jobs::retry)))
        .route("/api/v1/golden", follow(get(golden::list)).merge(build(post(golden::keep))))
        .route("/api/v1/golden/{id}", build(delete(golden::delete)))
        .route("/api/v1/generations", follow(get(generations::list)))
        .route("/api/v1/generations/{n}", build(delete(generations::delete)))
        .route("/api/v1/generations/{n}/activate", build(post(generations::activate)))
        .route("/api/v1/generations/{n}/compare", ask(post(compare::compare)))
        .route("/api/v1/generations/{n}/diff", follow(get(generations::diff)))
        .route("/api/v1/generations/{n}/pin", build(put(generations::pin).delete(generations::unpin)))
}

/// With a tenant's token too, but larger or longer: uploads, and a dry run, which reads every document.
fn slow_routes(max_bytes: u64) -> Router<HttpState> {
    let most = usize::try_from(max_bytes.saturating_add(FORM_OVERHEAD)).unwrap_or(usize::MAX);
    let upload = needs(&[Permission::DocumentsWrite], post(documents::upload));
    Router::new()
        .route("/api/v1/documents", upload.layer(DefaultBodyLimit::max(most)))
        .route("/api/v1/reindex", needs(&[Permission::Reindex], post(index::reindex)))
}

/// What an operator's token opens.
fn operator_routes() -> Router<HttpState> {
    let admin = |methods| needs(&[Permission::TenantsAdmin], methods);
    Router::new()
        .route("/api/v1/tenants", admin(get(operator::tenants).post(operator::add)))
        .route("/api/v1/tenants/reload", admin(post(operator::reload)))
        .route("/api/v1/tenants/{id}", admin(get(operator::tenant).delete(operator::remove)))
        .route("/api/v1/tenants/{id}/reindex", admin(post(operator::reindex)))
        .route("/api/v1/tenants/{id}/jobs/{job}", admin(get(operator::job)))
        .route("/api/v1/tokens", admin(get(tokens::list).post(tokens::mint)))
        .route("/api/v1/tokens/{jti}", admin(delete(tokens::revoke)))
        .route("/api/v1/status", admin(get(operator::status)))
        .route("/api/v1/audit", admin(get(operator::audit)))
}

/// Whole tenants, for operators: larger and longer than anything else. What is received is bounded as it comes.
fn large_routes() -> Router<HttpState> {
    let admin = |methods| needs(&[Permission::TenantsAdmin], methods);
    Router::new()
        .route("/api/v1/tenants/{id}/backup", admin(get(backup::backup)))
        .route("/api/v1/tenants/{id}/clone", admin(post(backup::duplicate)))
        .route("/api/v1/tenants/restore", admin(post(backup::restore)))
}

/// For scrapers of this machine, or with a token.
fn metrics_route() -> Router<HttpState> {
    Router::new().route("/metrics", get(ops::metrics))
}

/// What needs no token.
fn open_routes() -> Router<HttpState> {
    Router::new()
        .route("/livez", get(ops::livez))
        .route("/readyz", get(ops::readyz))
        .route("/healthz", get(ops::readyz))
        .route("/health", get(ops::health))
        .route("/problems", get(problems_page::page))
        .route("/api/v1/openapi.json", get(openapi::json))
}

/// Lets only callers with one of these permissions through to these methods; a refusal names the first.
fn needs(any: &'static [Permission], methods: MethodRouter<HttpState>) -> MethodRouter<HttpState> {
    methods.route_layer(from_fn_with_state(any, permitted))
}

async fn permitted(
    State(any): State<&'static [Permission]>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    auth::require_any(&caller, any)?;
    // Behind the permission, which tells nothing of the route to whoever may not use it.
    strict::only_known(request, next).await
}

async fn within(State(limit): State<Duration>, request: Request, next: Next) -> Result<Response, ApiError> {
    let late = |_| ApiError::plain(Code::RequestTimeout).after(Duration::from_secs(1));
    tokio::time::timeout(limit, next.run(request)).await.map_err(late)
}

/// The time that the largest upload takes at the slowest speed, beside a request's usual time.
fn upload_timeout(config: &HttpConfig) -> Duration {
    config.request_timeout + Duration::from_secs(config.max_upload_bytes.div_ceil(SLOWEST_UPLOAD))
}

/// As [`upload_timeout`], for the largest backup.
fn large_timeout(config: &HttpConfig) -> Duration {
    config.request_timeout + Duration::from_secs(config.max_restore_bytes.div_ceil(SLOWEST_UPLOAD))
}

fn compression() -> CompressionLayer<impl Predicate> {
    let worth = SizeAbove::new(COMPRESS_ABOVE).and(NotForContentType::SSE).and(NotForContentType::IMAGES);
    // The client keeps what it gets, and may pack it better.
    let worth = worth.and(NotForContentType::new("application/x-tar"));
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(worth)
}

/// The panic's words may hold anything, so they go to the log alone.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    ApiError::internal(format!("panic: {}", words.unwrap_or("without words"))).into_response()
}

/// Lets health checks alone through on the connections that are kept for them.
async fn health_when_full(request: Request, next: Next) -> Result<Response, ApiError> {
    let full = request.extensions().get::<HealthOnly>().is_some();
    if full && !matches!(request.uri().path(), "/livez" | "/readyz" | "/healthz" | "/health") {
        return Err(ApiError::plain(Code::ServerFull).after(Duration::from_secs(1)));
    }
    Ok(next.run(request).await)
}

async fn not_found() -> ApiError {
    ApiError::new(Code::NotFound, "there is no such route")
}

async fn method_not_allowed() -> ApiError {
    ApiError::plain(Code::MethodNotAllowed)
}

/// Brings the series of every documented route to 0.
fn announce() {
    for (path, item) in openapi::openapi().paths.paths {
        for (method, operation) in [("GET", item.get), ("POST", item.post), ("PUT", item.put), ("DELETE", item.delete)]
        {
            if operation.is_some() {
                telemetry::http_route(method, &path);
            }
        }
    }
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;

//! For those who run it: is it alive, is it ready, what does it count. Without tokens, and without a word about any tenant.

use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Request as HttpRequest, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::HttpState;
use super::auth::{self, Gate};
use super::codes::Code;
use super::context::{ClientAddr, peer};
use super::problem::ApiError;
use crate::access::Permission;
use crate::telemetry;

/// Says that the process runs.
#[utoipa::path(get, path = "/livez", tag = "operations", responses((status = 200, body = String)))]
pub async fn livez() -> &'static str {
    "alive\n"
}

/// How ready the server is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether new work should be sent here.
    ready: bool,
    /// Whether it is about to end.
    draining: bool,
    /// Tenants that can answer.
    tenants_answering: usize,
    /// Tenants whose index is being opened or built for the first time.
    tenants_starting: usize,
    /// Tenants there are.
    tenants_total: usize,
}

/// What readiness is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Asked {
    /// Whether each tenant is waited for, and not only the first.
    all: bool,
    /// Whether the counts are told.
    verbose: bool,
}

impl Asked {
    /// Reads a query string; `None` when it asks for something that is not known.
    fn parse(query: &str) -> Option<Self> {
        let mut asked = Self::default();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=').unwrap_or((part, "")) {
                ("verbose", _) => asked.verbose = true,
                ("tenants", "all") => asked.all = true,
                _ => return None,
            }
        }
        Some(asked)
    }
}

impl Readiness {
    /// One broken tenant must not take the others out of service, so one that answers is enough; so is having none. Asked for
    /// all, it waits for those that are on their way, and not for those that failed.
    fn new(
        draining: bool,
        (tenants_answering, tenants_total): (usize, usize),
        tenants_starting: usize,
        all: bool,
    ) -> Self {
        let some = tenants_answering > 0 || tenants_total == 0;
        let ready = !draining && some && (!all || tenants_starting == 0);
        Self { ready, draining, tenants_answering, tenants_starting, tenants_total }
    }

    fn of(state: &HttpState, all: bool) -> Self {
        Self::new(state.draining.load(Ordering::Relaxed), state.tenants.ready(), state.tenants.starting(), all)
    }
}

/// Says whether new work should be sent here: 503 while it drains, and while no tenant answers though there are some; with
/// `tenants=all` also while the index of any tenant is being opened or built for the first time.
#[utoipa::path(get, path = "/readyz", tag = "operations",
    params(("verbose" = Option<String>, Query, description = "Adds counts, as JSON"),
        ("tenants" = Option<String>, Query, description = "`all` waits for each tenant that is starting, and not only for the first")),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub async fn readyz(State(state): State<HttpState>, uri: Uri) -> Result<Response, ApiError> {
    let Some(asked) = Asked::parse(uri.query().unwrap_or_default()) else {
        return Err(ApiError::new(Code::InvalidParameter, "`/readyz` takes `verbose` and `tenants=all`"));
    };
    let readiness = Readiness::of(&state, asked.all);
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(if asked.verbose {
        (status, Json(readiness)).into_response()
    } else {
        (status, if readiness.ready { "ready\n" } else { "not ready\n" }).into_response()
    })
}

/// Health in the seed pattern.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeedHealth {
    /// Always `ok`.
    status: &'static str,
    /// Whether a tenant can answer.
    index_ready: bool,
}

/// Says that the process runs and whether it can answer; the seed pattern's shape.
#[utoipa::path(get, path = "/health", tag = "seed", operation_id = "seed_health", responses((status = 200, body = SeedHealth)))]
pub async fn health(State(state): State<HttpState>) -> Json<SeedHealth> {
    let (answering, _) = state.tenants.ready();
    Json(SeedHealth { status: "ok", index_ready: answering > 0 })
}

/// Lets scrapers through: a process on this machine, or a token with `metrics` or `tenants:admin`.
///
/// # Errors
/// 401 without a valid token, 403 with one for something else.
pub async fn scrapers(State(gate): State<Gate>, request: Request, next: Next) -> Result<Response, ApiError> {
    if !is_local(&request) {
        let (caller, _) = gate.enter(request.headers(), ClientAddr::noted(request.extensions()))?;
        auth::require_any(&caller, &[Permission::Metrics, Permission::TenantsAdmin])?;
    }
    Ok(next.run(request).await)
}

/// Whether a request was made on this machine. A proxy here forwards strangers, so what it forwards is not local.
fn is_local<B>(request: &HttpRequest<B>) -> bool {
    let client = ClientAddr::noted(request.extensions()).0.to_canonical();
    let peer = peer(request.extensions()).to_canonical();
    peer.is_loopback() && client.is_loopback() && !is_forwarded(request.headers())
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|name| headers.contains_key(*name))
}

/// Shows every metric, as Prometheus reads them.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn metrics(State(state): State<HttpState>) -> Result<Response, ApiError> {
    let text = tokio::task::spawn_blocking(move || telemetry::scrape(&state.metrics))
        .await
        .map_err(|error| ApiError::internal(format!("metrics: {error}")))?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::extract::ConnectInfo;

    use super::*;

    #[test]
    fn one_tenant_that_answers_keeps_the_server_in_service() {
        let ready = |draining, counts| Readiness::new(draining, counts, 0, false).ready;
        assert!(ready(false, (0, 0)), "a fresh server without tenants");
        assert!(ready(false, (1, 20)));
        assert!(!ready(false, (0, 20)));
        assert!(!ready(true, (20, 20)));
    }

    #[test]
    fn asked_for_all_it_waits_for_those_on_their_way_and_not_for_those_that_failed() {
        let ready = |counts, starting| Readiness::new(false, counts, starting, true).ready;
        assert!(!ready((1, 20), 19));
        assert!(ready((20, 20), 0));
        assert!(ready((19, 20), 0), "one failed");
        assert!(!ready((0, 20), 0), "all failed");
        assert!(ready((0, 0), 0));
        assert_eq!(Asked::parse("verbose&tenants=all"), Some(Asked { all: true, verbose: true }));
        assert_eq!(Asked::parse(""), Some(Asked::default()));
        assert_eq!(Asked::parse("verbose=1"), Some(Asked { all: false, verbose: true }));
        assert_eq!(Asked::parse("tenants=some"), None);
        assert_eq!(Asked::parse("tenant=all"), None);
    }

    #[test]
    fn only_a_direct_request_of_this_machine_is_local() {
        let local = |peer: &str, forwarded: Option<(&str, &str)>| {
            let mut request = HttpRequest::builder();
            if let Some((name, value)) = forwarded {
                request = request.header(name, value);
            }
            let mut request = request.body(()).unwrap();
            request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
            is_local(&request)
        };
        assert!(local("127.0.0.1:9", None));
        assert!(local("[::1]:9", None));
        assert!(local("[::ffff:127.0.0.1]:9", None));
        assert!(!local("10.0.0.1:9", None));
        assert!(!local("10.0.0.1:9", Some(("x-forwarded-for", "127.0.0.1"))));
        assert!(!local("127.0.0.1:9", Some(("x-forwarded-for", "10.0.0.1"))));
        assert!(!local("127.0.0.1:9", Some(("via", "1.1 proxy"))));
    }
}

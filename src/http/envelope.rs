//! What goes around every request: its id, its span, the count, the log line, and the headers that protect browsers.
//!
//! The outermost layer, so that whatever happens inside, a panic included, is counted and answered under the request's id.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::context::{CONTEXT, ClientAddr, Context, RequestId, X_REQUEST_ID, peer};
use super::prefix;
use crate::config::HttpConfig;
use crate::telemetry;

/// Nothing but what this server itself sends may be loaded, run, framed or posted to.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// A year, as browsers ask for.
const TRANSPORT: &str = "max-age=31536000; includeSubDomains";
/// Status of a request whose client left before the reply, as nginx counts it.
const CLIENT_LEFT: u16 = 499;

/// What the envelope needs to know.
#[derive(Debug, Clone)]
pub struct Envelope {
    trusted_proxies: Arc<[IpAddr]>,
    https: bool,
    /// The path of the public address, which problem documents repeat.
    base: Arc<str>,
}

impl Envelope {
    /// As the settings say.
    #[must_use]
    pub fn new(config: &HttpConfig) -> Self {
        Self {
            trusted_proxies: config.trusted_proxies.clone().into(),
            https: config.public_url.starts_with("https://"),
            base: prefix::base_of(&config.public_url).into(),
        }
    }
}

/// Answers a request in its envelope.
pub async fn envelope(State(envelope): State<Envelope>, mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    let peer = peer(request.extensions());
    let client = ClientAddr::of(peer, request.headers(), &envelope.trusted_proxies);
    request.extensions_mut().insert(client);
    request.extensions_mut().insert(id.clone());
    hide_secrets(request.headers_mut());

    let span = tracing::info_span!("request", request.id = id.as_str(), tenant.id = Empty);
    let passage = Passage::begin(&request, span.clone());
    let context = Context { id: id.clone(), base: Arc::clone(&envelope.base), uri: request.uri().clone() };
    let mut response = CONTEXT.scope(context, next.run(request)).instrument(span).await;
    passage.end(response.status().as_u16());

    response.headers_mut().insert(&X_REQUEST_ID, id.header());
    protect(response.headers_mut(), envelope.https);
    response
}

/// Credentials do not show when a request is printed.
fn hide_secrets(headers: &mut HeaderMap) {
    for name in [AUTHORIZATION, COOKIE] {
        if let Some(value) = headers.get_mut(name) {
            value.set_sensitive(true);
        }
    }
}

/// Sets what protects browsers, where a handler did not set it itself.
fn protect(headers: &mut HeaderMap, https: bool) {
    let fixed = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed.into_iter().chain(https.then_some((STRICT_TRANSPORT_SECURITY, TRANSPORT))) {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// One request's way through: counted and logged when it ends, also when its client leaves first.
struct Passage {
    method: &'static str,
    route: Option<MatchedPath>,
    begun: Instant,
    span: Span,
    ended: bool,
    _in_flight: telemetry::InFlight,
}

impl Passage {
    fn begin(request: &Request, span: Span) -> Self {
        Self {
            method: method_label(request.method()),
            route: request.extensions().get::<MatchedPath>().cloned(),
            begun: Instant::now(),
            span,
            ended: false,
            _in_flight: telemetry::http_in_flight(),
        }
    }

    fn end(mut self, status: u16) {
        self.close(status);
    }

    fn close(&mut self, status: u16) {
        self.ended = true;
        let (method, took) = (self.method, self.begun.elapsed());
        let route = self.route.as_ref().map_or("unmatched", MatchedPath::as_str);
        telemetry::http_served(method, route, status, took);
        let duration_ms = (took.as_secs_f64() * 1e6).round() / 1e3;
        let _inside = self.span.enter();
        // Probes come every few seconds and would drown the rest.
        if is_probe(route) && status < 500 {
            tracing::debug!(method, route, status, duration_ms, "answered {method} {route}");
        } else {
            tracing::info!(method, route, status, duration_ms, "answered {method} {route}");
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        if !self.ended {
            self.close(CLIENT_LEFT);
        }
    }
}

fn is_probe(route: &str) -> bool {
    matches!(route, "/livez" | "/readyz" | "/healthz" | "/health" | "/metrics")
}

/// Methods are an open set on the wire and a closed one in metrics.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::http::StatusCode;
    use axum::middleware::from_fn_with_state;
    use axum::response::IntoResponse;
    use axum::routing::get;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tower::ServiceExt;

    use super::super::codes::Code;
    use super::super::problem::ApiError;
    use super::*;

    fn app(config: &HttpConfig) -> Router {
        Router::new()
            .route("/fine/{id}", get(|id: RequestId| async move { id.as_str().to_owned() }))
            .route("/broken", get(|| async { ApiError::plain(Code::RequestTimeout) }))
            .route("/own", get(|| async { ([(CACHE_CONTROL, "max-age=1")], "x").into_response() }))
            .route("/never", get(std::future::pending::<()>))
            .layer(from_fn_with_state(Envelope::new(config), envelope))
    }

    async fn fetch(path: &str, id: &str) -> Response {
        let request = Request::get(path).header("x-request-id", id).body(Body::empty()).unwrap();
        app(&HttpConfig::default()).oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn the_request_id_reaches_handler_reply_and_problem() {
        let fine = fetch("/fine/1", "abc").await;
        assert_eq!(fine.headers()["x-request-id"], "abc");
        assert_eq!(to_bytes(fine.into_body(), 99).await.unwrap(), "abc");
        for path in ["/broken", "/nowhere"] {
            assert_eq!(fetch(path, "abc").await.headers()["x-request-id"], "abc");
        }
        let problem = to_bytes(fetch("/broken", "abc").await.into_body(), 4096).await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&problem).unwrap();
        assert_eq!((&problem["request_id"], &problem["instance"]), (&"abc".into(), &"/broken".into()));
    }

    #[tokio::test]
    async fn every_reply_carries_what_protects_browsers() {
        let reply = fetch("/fine/1", "a").await;
        for name in ["content-security-policy", "x-content-type-options", "referrer-policy", "cache-control"] {
            assert!(reply.headers().contains_key(name), "{name}");
        }
        assert!(!reply.headers().contains_key("strict-transport-security"));
        assert_eq!(fetch("/own", "a").await.headers()["cache-control"], "max-age=1", "a handler's own word stands");
        let https = HttpConfig { public_url: "https://carrel.example".into(), ..HttpConfig::default() };
        let request = Request::get("/fine/1").body(Body::empty()).unwrap();
        assert!(app(&https).oneshot(request).await.unwrap().headers().contains_key("strict-transport-security"));
    }

    #[test]
    fn requests_are_counted_by_template_and_odd_ones_make_no_series() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        metrics::with_local_recorder(&recorder, || {
            runtime.block_on(async {
                for n in 0..50 {
                    let method = Method::from_bytes(format!("ODD{n}").as_bytes()).unwrap();
                    let odd = Request::builder().method(method).uri(format!("/nowhere/{n}")).body(Body::empty());
                    app(&HttpConfig::default()).oneshot(odd.unwrap()).await.unwrap();
                    assert_eq!(fetch(&format!("/fine/{n}"), "a").await.status(), StatusCode::OK);
                }
                let left = fetch("/never", "a");
                assert!(tokio::time::timeout(std::time::Duration::ZERO, left).await.is_err());
            });
        });
        let text = recorder.handle().render();
        let counts: Vec<_> = text.lines().filter(|line| line.starts_with("carrel_http_requests_total")).collect();
        assert_eq!(counts.len(), 3, "{text}");
        let counted = |labels: &str| text.contains(&format!("carrel_http_requests_total{{{labels}}} "));
        assert!(counted(r#"method="GET",route="/fine/{id}",status="200""#), "{text}");
        assert!(counted(r#"method="OTHER",route="unmatched",status="404""#), "{text}");
        assert!(counted(r#"method="GET",route="/never",status="499""#), "{text}");
        assert!(text.contains("carrel_http_requests_in_flight 0"), "{text}");
    }
}

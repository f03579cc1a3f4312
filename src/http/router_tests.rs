use std::collections::BTreeSet;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, StatusCode};
use tower::ServiceExt;

use super::*;

/// Method and path of every route, as axum's own description of a router shows them.
fn routes_of(router: &Router<HttpState>) -> BTreeSet<String> {
    let text = format!("{router:?}");
    let fallback = text.find("fallback_router").unwrap_or(text.len());
    let (text, _) = text.split_at(fallback);
    let (methods, paths) = text.split_at(text.find("paths: {").expect("a router lists its paths"));
    let path_of = |id: &str| {
        let (_, rest) = paths.split_once(&format!("{id}: \"")).expect("a route has a path");
        rest.split('"').next().unwrap_or_default().to_owned()
    };
    let entries = methods.split("RouteId(").skip(1).filter(|entry| entry.contains("MethodRouter"));
    let listed = entries.flat_map(|entry| {
        let id = format!("RouteId({})", entry.split(')').next().unwrap_or_default());
        let path = path_of(&id);
        let (_, allowed) = entry.split_once("allow_header: Bytes(b\"").expect("a route allows methods");
        let methods = allowed.split('"').next().unwrap_or_default().to_owned();
        methods.split(',').map(|method| format!("{method} {path}")).collect::<Vec<_>>()
    });
    // GET answers HEAD too.
    listed.filter(|route| !route.starts_with("HEAD ")).collect()
}

fn all_routes() -> BTreeSet<String> {
    let guarded = tenant_routes().merge(slow_routes(1)).merge(operator_routes()).merge(large_routes());
    routes_of(&guarded.merge(metrics_route()).merge(open_routes()))
}

#[test]
fn the_routes_are_a_contract() {
    insta::assert_debug_snapshot!(all_routes());
}

#[test]
fn every_route_is_documented_and_every_documented_route_is_there() {
    let documented: BTreeSet<String> = openapi::openapi()
        .paths
        .paths
        .into_iter()
        .flat_map(|(path, item)| {
            let methods = [("GET", item.get), ("POST", item.post), ("PUT", item.put), ("DELETE", item.delete)];
            methods.into_iter().filter_map(move |(method, op)| op.map(|_| format!("{method} {path}")))
        })
        .collect();
    let aliases = ["GET /healthz", "GET /problems", "GET /api/v1/openapi.json"].map(str::to_owned);
    let routes: BTreeSet<String> = all_routes().into_iter().filter(|route| !aliases.contains(route)).collect();
    assert_eq!(routes, documented);
}

/// The outer layers, around routes of the tests' own.
fn layered(routes: Router) -> Router {
    finish(routes, &HttpConfig::default())
}

async fn fetch(app: Router, method: Method, path: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::builder().method(method).uri(path).header("accept-encoding", "gzip");
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    (parts.status, parts.headers, String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn a_route_or_method_that_is_not_there_is_a_problem() {
    let app = layered(Router::new().route("/here", get(|| async {})));
    let (status, headers, body) = fetch(app.clone(), Method::GET, "/nowhere").await;
    assert_eq!(
        (status, &headers["content-type"]),
        (StatusCode::NOT_FOUND, &"application/problem+json".parse().unwrap())
    );
    assert!(body.contains(r#""code":"not_found""#) && body.contains(r#""instance":"/nowhere""#), "{body}");
    let (status, headers, body) = fetch(app, Method::DELETE, "/here").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(body.contains(r#""code":"method_not_allowed""#), "{body}");
    assert_eq!(headers["allow"], "GET,HEAD");
}

#[tokio::test]
async fn a_panic_is_answered_under_the_requests_id_without_its_words() {
    async fn breaks() {
        panic!("secret words in /var/lib");
    }
    let (status, headers, body) = fetch(layered(Router::new().route("/", get(breaks))), Method::GET, "/").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let id = headers["x-request-id"].to_str().unwrap();
    assert!(body.contains(&format!(r#""request_id":"{id}""#)), "{body}");
    assert!(!body.contains("secret"), "{body}");
}

#[tokio::test]
async fn a_request_that_takes_too_long_ends_as_a_problem() {
    let never = get(std::future::pending::<()>);
    let app = Router::new().route("/", never).layer(from_fn_with_state(Duration::from_millis(5), within));
    let (status, headers, body) = fetch(layered(app), Method::GET, "/").await;
    assert_eq!((status, &headers["retry-after"]), (StatusCode::SERVICE_UNAVAILABLE, &"1".parse().unwrap()));
    assert!(body.contains(r#""code":"request_timeout""#), "{body}");
}

#[tokio::test]
async fn only_a_reply_that_is_worth_it_is_compressed() {
    let text = |bytes: usize| get(move || async move { "x".repeat(bytes) });
    let app = layered(Router::new().route("/small", text(1000)).route("/large", text(100_000)));
    assert!(!fetch(app.clone(), Method::GET, "/small").await.1.contains_key("content-encoding"));
    let (_, headers, body) = fetch(app, Method::GET, "/large").await;
    assert_eq!(headers["content-encoding"], "gzip");
    assert!(body.len() < 1000);
}

#[test]
fn an_upload_gets_the_time_that_its_size_needs() {
    let config = HttpConfig { max_upload_bytes: 64 << 20, ..HttpConfig::default() };
    assert_eq!(upload_timeout(&config), config.request_timeout + Duration::from_secs(1024));
}

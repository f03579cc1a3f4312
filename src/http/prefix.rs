//! A public address with a path: `https://example.org/carrel`.
//!
//! Inside, every route and link is as if Carrel had the host to itself. Here its path is taken off what comes in, where the proxy
//! has not done so already, and put before what goes out in `Location`; the pages put it before their links themselves.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::LOCATION;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;

/// The path of a public address without its last slash; empty when it is the whole host's.
#[must_use]
pub fn base_of(public_url: &str) -> &str {
    let behind = public_url.split_once("://").map_or("", |(_, behind)| behind);
    let path = behind.find('/').map_or("", |at| &behind[at..]);
    path.trim_end_matches('/')
}

/// `routes`, also reached below `base`.
pub fn below(base: &str, routes: Router) -> Router {
    if base.is_empty() {
        return routes;
    }
    let base: Arc<str> = base.into();
    // Around the whole router and not within it: the path decides which route is taken.
    Router::new().fallback_service(routes).layer(from_fn_with_state(base, within))
}

async fn within(State(base): State<Arc<str>>, mut request: Request, next: Next) -> Response {
    if let Some(uri) = without(&base, request.uri()) {
        *request.uri_mut() = uri;
    }
    let mut response = next.run(request).await;
    if let Some(location) = response.headers_mut().get_mut(LOCATION) {
        let moved = location.to_str().ok().filter(|to| to.starts_with('/')).map(|to| format!("{base}{to}"));
        if let Some(Ok(moved)) = moved.map(HeaderValue::try_from) {
            *location = moved;
        }
    }
    response
}

/// The address without `base`; none when it does not stand below it.
fn without(base: &str, uri: &Uri) -> Option<Uri> {
    let rest = uri.path_and_query()?.as_str().strip_prefix(base)?;
    let rest = match rest.as_bytes().first() {
        None | Some(b'?') => format!("/{rest}"),
        Some(b'/') => rest.to_owned(),
        Some(_) => return None,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(rest).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::response::Redirect;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    #[test]
    fn the_path_of_an_address_is_without_its_last_slash() {
        for (url, base) in [
            ("", ""),
            ("https://example.org", ""),
            ("https://example.org/", ""),
            ("https://example.org/carrel", "/carrel"),
            ("https://example.org/carrel/", "/carrel"),
            ("http://[::1]:8080/a/b", "/a/b"),
        ] {
            assert_eq!(base_of(url), base, "{url}");
        }
    }

    #[tokio::test]
    async fn a_route_is_found_whether_the_proxy_takes_the_path_off_or_not() {
        let routes = Router::new()
            .route("/", get(|| async { "home" }))
            .route("/d/{id}", get(|uri: Uri| async move { uri.to_string() }))
            .route("/go", get(|| async { Redirect::to("/d/1?x=2") }))
            .route("/away", get(|| async { Redirect::to("https://example.org/") }));
        let app = below("/carrel", routes);
        let fetch = async |path: &str| {
            let reply = app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
            let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
            let body = to_bytes(reply.into_body(), 999).await.unwrap();
            let location = headers.get(LOCATION).map(|to| to.to_str().unwrap().to_owned());
            (status, location.unwrap_or_else(|| String::from_utf8(body.to_vec()).unwrap()))
        };
        for home in ["/", "/carrel", "/carrel/"] {
            assert_eq!(fetch(home).await, (200, "home".into()), "{home}");
        }
        for path in ["/d/a%2Fb?q=1", "/carrel/d/a%2Fb?q=1"] {
            assert_eq!(fetch(path).await, (200, "/d/a%2Fb?q=1".into()), "{path}");
        }
        for path in ["/go", "/carrel/go"] {
            assert_eq!(fetch(path).await, (303, "/carrel/d/1?x=2".into()), "{path}");
        }
        assert_eq!(fetch("/carrel/away").await, (303, "https://example.org/".into()));
        assert_eq!(fetch("/carrels/go").await.0, 404);
    }
}

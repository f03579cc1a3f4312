//! What a route does not know is refused and not passed over: a parameter with a typing error would otherwise be followed as if
//! it had not been sent.
//!
//! What each route knows stands in the OpenAPI document, which is made from the handlers; fields of bodies are refused where
//! they are read ([`super::extract::Body`]).

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use utoipa::openapi::RefOr;
use utoipa::openapi::path::{Operation, ParameterIn};

use super::codes::Code;
use super::extract::BODY_PATIENCE;
use super::openapi;
use super::problem::ApiError;

/// The most bytes of a body that says nothing, such as `{}` with some blanks.
const NOTHING: usize = 64;

/// What one operation knows.
#[derive(Debug, Default)]
struct Known {
    parameters: HashSet<String>,
    takes_body: bool,
}

type Operations = HashMap<(Method, String), Known>;

static KNOWN: LazyLock<Operations> = LazyLock::new(known);

fn known() -> Operations {
    let mut operations = Operations::new();
    for (path, item) in openapi::openapi().paths.paths {
        let methods = [
            (Method::GET, item.get),
            (Method::POST, item.post),
            (Method::PUT, item.put),
            (Method::DELETE, item.delete),
        ];
        for (method, operation) in methods {
            operations.extend(operation.map(|operation| ((method, path.clone()), of(&operation))));
        }
    }
    operations
}

fn of(operation: &Operation) -> Known {
    let parameters = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    });
    let query = parameters.filter(|parameter| matches!(parameter.parameter_in, ParameterIn::Query));
    Known {
        parameters: query.map(|parameter| parameter.name.clone()).collect(),
        takes_body: operation.request_body.is_some(),
    }
}

/// Refuses parameters of the query string that the route does not know, and a body where it takes none.
///
/// # Errors
/// [`Code::InvalidParameter`] names the parameter; [`Code::InvalidBody`].
pub async fn only_known(request: Request, next: Next) -> Result<Response, ApiError> {
    let sends_body = !request.body().is_end_stream();
    if request.uri().query().is_none() && !sends_body {
        return Ok(next.run(request).await);
    }
    let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let Some(known) = route.and_then(|route| KNOWN.get(&(method, route))) else { return Ok(next.run(request).await) };
    if let Some(unknown) = request.uri().query().and_then(|query| unknown(query, known)) {
        return Err(ApiError::new(Code::InvalidParameter, unknown));
    }
    let request = if sends_body && !known.takes_body { without_body(request).await? } else { request };
    Ok(next.run(request).await)
}

/// What is to be said of the first parameter that is not known.
fn unknown(query: &str, known: &Known) -> Option<String> {
    let mut names =
        query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split('=').next().unwrap_or_default());
    let unknown = names.find(|name| !known.parameters.contains(*name))?;
    let mut listed: Vec<_> = known.parameters.iter().map(|name| format!("`{name}`")).collect();
    listed.sort_unstable();
    let known = if listed.is_empty() { "it takes none".to_owned() } else { format!("known: {}", listed.join(", ")) };
    Some(format!("query string: there is no parameter `{unknown}` here; {known}"))
}

/// The request with its body read: clients send `{}` or blanks where there is nothing to say.
async fn without_body(request: Request) -> Result<Request, ApiError> {
    let refused =
        || ApiError::new(Code::InvalidBody, "this route takes no body; what it can be told goes into the query string");
    let (parts, body) = request.into_parts();
    let read = tokio::time::timeout(BODY_PATIENCE, to_bytes(body, NOTHING)).await;
    let bytes = read.map_err(|_| ApiError::plain(Code::BodyTimeout))?.map_err(|_| refused())?;
    match bytes.trim_ascii() {
        b"" | b"{}" | b"null" => Ok(Request::from_parts(parts, Body::empty())),
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::middleware::from_fn;
    use axum::routing::any;
    use tower::ServiceExt;

    use super::*;

    async fn send(method: &Method, path: &str, body: &'static str) -> (StatusCode, String) {
        let routes = KNOWN.keys().map(|(_, path)| path.as_str()).collect::<HashSet<_>>();
        let app = routes.into_iter().fold(Router::new(), |app, path| app.route(path, any(|| async {})));
        let app = app.route_layer(from_fn(only_known));
        let request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
        let response = app.oneshot(request).await.unwrap();
        let status = response.status();
        (status, String::from_utf8(to_bytes(response.into_body(), 9999).await.unwrap().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn no_route_passes_over_a_parameter_that_it_does_not_know() {
        for ((method, path), known) in &*KNOWN {
            let (status, body) = send(method, &format!("{path}?surprise=1"), "").await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{method} {path}");
            assert!(body.contains("`surprise`"), "{body}");
            for name in &known.parameters {
                assert_eq!(send(method, &format!("{path}?{name}=1"), "").await.0, StatusCode::OK, "{method} {path}");
            }
        }
    }

    #[tokio::test]
    async fn a_route_that_takes_no_body_passes_over_none() {
        for ((method, path), _) in KNOWN.iter().filter(|(_, known)| !known.takes_body) {
            let (status, body) = send(method, path, r#"{"fresh": true}"#).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{method} {path}: {body}");
            for nothing in ["", "{}", " {}\n", "null"] {
                assert_eq!(send(method, path, nothing).await.0, StatusCode::OK, "{method} {path} {nothing:?}");
            }
        }
    }
}

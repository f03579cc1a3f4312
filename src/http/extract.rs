//! What handlers take from a request; each failure is a problem document.

use std::time::Duration;

use axum::body::{Body as RawBody, HttpBody, to_bytes};
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Path, Query, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use serde::de::DeserializeOwned;

use super::codes::Code;
use super::problem::ApiError;
use super::wording;
use crate::access::{AuthError, Caller, Operator};
use crate::actors::Desk;

/// The largest JSON body. The longest question is 4 KiB of characters and a filter has 100 comparisons; this is ample.
pub const MAX_JSON: u64 = 256 << 10;
/// Time in which a JSON body must have come, and time a client may pause within an upload.
pub const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// A JSON body of shape `T`, which should deny unknown fields.
#[derive(Debug, Clone, Copy)]
pub struct Body<T>(pub T);

/// A body that may be left out.
impl<S: Sync, T: DeserializeOwned> OptionalFromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, ApiError> {
        if request.body().is_end_stream() {
            return Ok(None);
        }
        <Self as FromRequest<S>>::from_request(request, state).await.map(Some)
    }
}

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::new(Code::UnsupportedMediaType, "send the body as `Content-Type: application/json`"));
        }
        refuse_oversize(request.headers(), MAX_JSON)?;
        let bytes = tokio::time::timeout(BODY_PATIENCE, read(request.into_body(), MAX_JSON))
            .await
            .map_err(|_| ApiError::plain(Code::BodyTimeout))??;
        parse(&bytes).map(Self)
    }
}

/// Refuses a body that announces to be larger than `most` bytes, before any of it is read.
///
/// # Errors
/// [`Code::BodyTooLarge`].
pub fn refuse_oversize(headers: &HeaderMap, most: u64) -> Result<(), ApiError> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > most) { Err(too_large(most)) } else { Ok(()) }
}

/// The body is larger than `most` bytes.
pub fn too_large(most: u64) -> ApiError {
    ApiError::new(Code::BodyTooLarge, format!("the body is larger than {most} bytes, the most this route takes"))
}

/// Whether an error of a limited body says that the limit was passed.
pub fn is_past_limit(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>)
}

async fn read(body: RawBody, most: u64) -> Result<axum::body::Bytes, ApiError> {
    to_bytes(body, usize::try_from(most).unwrap_or(usize::MAX)).await.map_err(|error| {
        if is_past_limit(&error) {
            too_large(most)
        } else {
            ApiError::new(Code::InvalidJson, "the body ended before it was whole")
        }
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// Reads a JSON object, saying where it is wrong.
///
/// # Errors
/// [`Code::InvalidJson`] when it is none, [`Code::InvalidBody`] when it is one of another shape.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // serde would take a list of a struct's fields in their order as well.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(ApiError::new(Code::InvalidJson, "send one JSON object, as UTF-8"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let place = pointer(error.path());
        let error = error.into_inner();
        if error.is_data() { misshapen(&place, &error.to_string()) } else { no_json(&error) }
    })?;
    json.end().map_err(|error| no_json(&error))?;
    Ok(value)
}

fn no_json(error: &serde_json::Error) -> ApiError {
    ApiError::new(Code::InvalidJson, wording::syntax(error))
}

/// The value at `place` has another shape than it should; `said` is what the reader says of it.
fn misshapen(place: &str, said: &str) -> ApiError {
    let fault = wording::fault(said);
    let words = fault.of(place.trim_start_matches("#/"));
    let place = fault.missing.map_or_else(|| place.to_owned(), |field| format!("{place}/{}", escaped(&field)));
    ApiError::new(Code::InvalidBody, words).at(place)
}

/// A field's name within a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A JSON pointer as a fragment: `#/filter/filters/0/key`.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold("#".to_owned(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } => format!("{pointer}/{}", escaped(key)),
        Segment::Enum { .. } | Segment::Unknown => pointer,
    })
}

/// The query string's parameters, of shape `T`.
#[derive(Debug, Clone, Copy)]
pub struct Params<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Query(params) = Query::try_from_uri(&parts.uri)
            .map_err(|error| ApiError::new(Code::InvalidParameter, wording::parameter(&innermost(&error))))?;
        Ok(Self(params))
    }
}

/// An id in the path, decoded and parsed.
#[derive(Debug, Clone, Copy)]
pub struct Id<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(id) = Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::new(Code::InvalidParameter, in_path(&rejection)))?;
        Ok(Self(id))
    }
}

/// What is wrong with a part of the path.
fn in_path(rejection: &PathRejection) -> String {
    let PathRejection::FailedToDeserializePathParams(error) = rejection else {
        return "the path lacks a part".into();
    };
    match error.kind() {
        ErrorKind::InvalidUtf8InPathParam { key } => format!("path: `{key}` is not UTF-8 once it is decoded"),
        ErrorKind::ParseErrorAtKey { key, value, .. } => format!("path: `{key}` must be a whole number, not `{value}`"),
        ErrorKind::ParseErrorAtIndex { value, .. } | ErrorKind::ParseError { value, .. } => {
            format!("path: a whole number must stand where `{value}` stands")
        }
        ErrorKind::DeserializeError { message, .. } | ErrorKind::Message(message) => {
            format!("path: {}", wording::fault(message).of(""))
        }
        _ => "the path has another number of parts".into(),
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error).to_string()
}

fn caller(extensions: &Extensions) -> Result<&Caller, AuthError> {
    extensions.get().ok_or(AuthError::Missing)
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(caller(&parts.extensions)?.clone())
    }
}

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(caller(&parts.extensions)?.operator()?)
    }
}

impl<S: Sync> FromRequestParts<S> for Desk {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let desk = parts.extensions.get::<Self>().cloned();
        desk.ok_or_else(|| {
            ApiError::new(Code::NoTenant, "this token is for no tenant: use one of the tenant whose documents you mean")
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use serde::Deserialize;

    use super::*;
    use crate::domain::{DocumentId, Filter, JobId};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Wanted {
        #[serde(default)]
        top_k: u64,
        #[serde(default)]
        filter: Option<Filter>,
    }

    async fn take(kind: Option<&str>, length: Option<u64>, body: impl Into<RawBody>) -> Result<Wanted, ApiError> {
        let mut request = Request::builder().method(Method::POST);
        if let Some(kind) = kind {
            request = request.header(CONTENT_TYPE, kind);
        }
        if let Some(length) = length {
            request = request.header(CONTENT_LENGTH, length);
        }
        <Body<_> as FromRequest<_>>::from_request(request.body(body.into()).unwrap(), &())
            .await
            .map(|Body(wanted)| wanted)
    }

    async fn refused(body: impl Into<RawBody>) -> (Code, String) {
        let error = take(Some("application/json"), None, body).await.unwrap_err();
        let pointer = error.pointers().first().map_or_else(String::new, |pointer| (*pointer).to_owned());
        (error.code(), pointer)
    }

    #[tokio::test]
    async fn a_body_of_another_shape_is_refused_with_the_place_that_is_wrong() {
        assert_eq!(refused(r#"{"top_k": "x"}"#).await, (Code::InvalidBody, "#/top_k".into()));
        assert_eq!(refused(r#"{"top_k": -1}"#).await, (Code::InvalidBody, "#/top_k".into()));
        assert_eq!(refused(r#"{"tenant": "acme"}"#).await, (Code::InvalidBody, "#/tenant".into()));
        for broken in ["", "{", "nope", "[]", "[1]", "null", r#"{"top_k": NaN}"#, "{} {}", "\u{1}"] {
            assert_eq!(refused(broken.to_owned()).await.0, Code::InvalidJson, "{broken:?}");
        }
    }

    #[tokio::test]
    async fn a_body_nested_without_end_is_refused_and_not_followed() {
        for opening in ["[", "{\"filter\":", "{\"filter\":{\"type\":\"and\",\"filters\":["] {
            let code = refused(opening.repeat(20_000)).await.0;
            assert!(matches!(code, Code::InvalidJson | Code::InvalidBody | Code::BodyTooLarge), "{code:?}");
        }
    }

    #[tokio::test]
    async fn a_body_must_say_that_it_is_json() {
        for kind in [None, Some("text/plain"), Some("application/jsonp"), Some("multipart/form-data")] {
            assert_eq!(take(kind, None, "{}").await.unwrap_err().code(), Code::UnsupportedMediaType);
        }
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"] {
            assert!(take(Some(kind), None, "{}").await.is_ok(), "{kind}");
        }
    }

    #[tokio::test]
    async fn a_body_that_announces_too_much_is_refused_unread() {
        let unreadable = RawBody::from_stream(futures_util::stream::poll_fn(
            |_| -> std::task::Poll<Option<Result<&'static str, std::io::Error>>> { panic!("the body was read") },
        ));
        let error = take(Some("application/json"), Some(MAX_JSON + 1), unreadable).await.unwrap_err();
        assert_eq!(error.code(), Code::BodyTooLarge);
    }

    #[tokio::test]
    async fn a_body_that_announces_nothing_is_counted_while_it_comes() {
        let endless = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("          "));
        assert_eq!(refused(RawBody::from_stream(endless)).await.0, Code::BodyTooLarge);
        let fits = format!("{}{{}}", " ".repeat(usize::try_from(MAX_JSON).unwrap() - 2));
        assert!(take(Some("application/json"), None, fits).await.is_ok());
    }

    #[tokio::test]
    async fn an_id_in_the_path_is_decoded_once_and_checked() {
        use axum::routing::get;
        use tower::ServiceExt;
        let app = axum::Router::new()
            .route("/d/{id}/text", get(|Id(id): Id<DocumentId>| async move { id.to_string() }))
            .route("/j/{id}", get(|Id(id): Id<JobId>| async move { id.to_string() }));
        let fetch = async |path: &str| {
            let response = app.clone().oneshot(Request::get(path).body(RawBody::empty()).unwrap()).await.unwrap();
            (response.status().as_u16(), to_bytes(response.into_body(), 4096).await.unwrap())
        };
        assert_eq!(fetch("/d/guide%2Fintro.md/text").await, (200, "guide/intro.md".into()));
        assert_eq!(fetch("/d/a%252Fb/text").await, (200, "a%2Fb".into()));
        for bad in ["/d/..%2Fsecret/text", "/d/%00/text", "/d/%ff/text", "/j/1"] {
            assert_eq!(fetch(bad).await.0, 400, "{bad}");
        }
        let job = JobId::fresh().to_string();
        assert_eq!(fetch(&format!("/j/{job}")).await, (200, job.into()));
    }
}

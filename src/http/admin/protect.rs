//! What keeps other sites out: the headers of every page, and the check where a form was sent from.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use axum::response::IntoResponse;
use tower_http::csrf::{CsrfLayer, ProtectionError};

use super::error::AdminError;
use super::state::Site;

/// Nothing but our own files; no inline script or style, no frames, no forms to elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Adds the security headers of a page; what a handler set itself stays.
pub fn add_headers(headers: &mut HeaderMap, secure: bool) {
    let mut add = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    add(CONTENT_SECURITY_POLICY, POLICY);
    add(X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(REFERRER_POLICY, "same-origin");
    add(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    add(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    add(CACHE_CONTROL, "no-store");
    if secure {
        add(STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}

type Refuse = fn(ProtectionError) -> Response<axum::body::Body>;

/// Refuses what changes something and was sent from another site (`Sec-Fetch-Site`, else `Origin`); with cookies that are
/// SameSite=Strict this is the second lock.
pub fn same_site_only(site: &Site) -> CsrfLayer<Refuse> {
    let layer = match site.origin.as_deref().map(|origin| CsrfLayer::new().add_trusted_origin(origin)) {
        Some(Ok(layer)) => layer,
        // Without a public address the host that the browser names must be the origin's.
        None | Some(Err(_)) => CsrfLayer::new(),
    };
    layer.with_rejection_response((|_| AdminError::Foreign.into_response()) as Refuse)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::{Method, Request, StatusCode};
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    async fn send(method: Method, headers: &[(&str, &str)]) -> StatusCode {
        let site = Site::of("https://rag.example.org");
        let app = Router::new().route("/", get(|| async {}).post(|| async {})).layer(same_site_only(&site));
        let mut request = Request::builder().method(method).uri("/").header("host", "10.0.0.1:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status()
    }

    #[tokio::test]
    async fn a_form_from_another_site_is_refused() {
        for headers in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("origin", "http://rag.example.org")],
            &[("origin", "https://rag.example.org.evil.example")],
        ] {
            assert_eq!(send(Method::POST, headers).await, StatusCode::FORBIDDEN, "{headers:?}");
            assert_eq!(send(Method::GET, headers).await, StatusCode::OK, "{headers:?}");
        }
    }

    #[tokio::test]
    async fn a_form_of_our_own_is_followed() {
        for headers in [
            &[("sec-fetch-site", "same-origin")][..],
            &[("origin", "https://rag.example.org")],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://rag.example.org")],
            &[("origin", "http://10.0.0.1:8080")],
        ] {
            assert_eq!(send(Method::POST, headers).await, StatusCode::OK, "{headers:?}");
        }
    }

    #[test]
    fn every_page_forbids_what_is_not_ours() {
        let mut headers = HeaderMap::new();
        add_headers(&mut headers, true);
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"));
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"));
        assert!(!policy.contains("unsafe"));
        assert_eq!(headers[CACHE_CONTROL], "no-store");
        assert!(headers.contains_key(STRICT_TRANSPORT_SECURITY));
    }
}

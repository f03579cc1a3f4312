//! Where a form was sent from: what changes something is followed only when it comes from our own pages.

use axum::http::Response;
use axum::response::IntoResponse;
use tower_http::csrf::{CsrfLayer, ProtectionError};

use super::error::AdminError;
use super::state::Site;

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
}

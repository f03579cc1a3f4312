//! The style sheet, the script and the icon: in the binary, under addresses that name their content.
//!
//! An address changes with its file, so browsers may keep what they have for a year.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// One file.
struct Asset {
    /// `app.3f9c0b1a2d4e5f60.css`.
    name: String,
    /// The content's hash, quoted, as an entity tag.
    etag: String,
    kind: &'static str,
    content: &'static str,
}

impl Asset {
    fn new(stem: &str, extension: &str, kind: &'static str, content: &'static str) -> Self {
        let hash = &blake3::hash(content.as_bytes()).to_hex()[..16];
        Self { name: format!("{stem}.{hash}.{extension}"), etag: format!("\"{hash}\""), kind, content }
    }
}

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        Asset::new("app", "css", "text/css; charset=utf-8", include_str!("../../../static/app.css")),
        Asset::new("app", "js", "text/javascript; charset=utf-8", include_str!("../../../static/app.js")),
        Asset::new("icon", "svg", "image/svg+xml", include_str!("../../../static/icon.svg")),
    ]
});

/// Where the pages find their files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetUrls {
    /// The style sheet.
    pub css: String,
    /// The script.
    pub js: String,
    /// The icon.
    pub icon: String,
}

impl AssetUrls {
    /// The addresses of this binary's files.
    pub fn current() -> Self {
        let [css, js, icon] = &*ASSETS;
        let url = |asset: &Asset| format!("/static/{}", asset.name);
        Self { css: url(css), js: url(js), icon: url(icon) }
    }
}

/// `GET /static/{file}`.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/static/{file}", get(asset))
}

async fn asset(Path(file): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == file) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let known = headers.get(IF_NONE_MATCH).is_some_and(|tags| {
        tags.to_str().is_ok_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == asset.etag))
    });
    let kept = [
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (ETAG, &asset.etag),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    if known {
        (StatusCode::NOT_MODIFIED, kept).into_response()
    } else {
        (kept, [(CONTENT_TYPE, asset.kind)], asset.content).into_response()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn fetch(path: &str, tag: Option<&str>) -> Response {
        let mut request = Request::get(path);
        if let Some(tag) = tag {
            request = request.header(IF_NONE_MATCH, tag);
        }
        routes::<()>().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_file_is_kept_for_a_year_under_an_address_that_names_its_content() {
        let urls = AssetUrls::current();
        let hash = blake3::hash(include_bytes!("../../../static/app.css")).to_hex();
        assert_eq!(urls.css, format!("/static/app.{}.css", &hash[..16]));
        for url in [&urls.css, &urls.js, &urls.icon] {
            let response = fetch(url, None).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
            let tag = response.headers()[ETAG].to_str().unwrap().to_owned();
            assert_eq!(fetch(url, Some(&tag)).await.status(), StatusCode::NOT_MODIFIED);
            assert_eq!(fetch(url, Some(&format!("\"other\", W/{tag}"))).await.status(), StatusCode::NOT_MODIFIED);
            assert_eq!(fetch(url, Some("\"other\"")).await.status(), StatusCode::OK);
        }
    }

    #[tokio::test]
    async fn an_address_of_other_content_is_not_found() {
        for path in ["/static/app.css", "/static/app.0000000000000000.css", "/static/..%2Fsecret"] {
            assert_eq!(fetch(path, None).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[test]
    fn the_script_stays_small() {
        assert!(include_str!("../../../static/app.js").len() <= 10 * 1024);
    }
}

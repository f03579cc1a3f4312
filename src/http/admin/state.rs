//! What the pages' handlers hold.

use std::sync::Arc;

use axum::extract::FromRef;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::super::HttpState;
use super::super::context::RequestId;
use super::super::prefix;
use super::cookies::{self, Cookie};
use super::notes::Notes;
use super::once::Once;
use crate::access::Sessions;
use crate::domain::{TenantId, Timestamp};
use crate::ledger::AuditEntry;

/// What the pages' handlers hold; cheap to clone.
#[derive(Clone)]
pub struct AdminState {
    /// What all handlers hold.
    pub http: HttpState,
    /// Messages on their way to the next page.
    pub notes: Notes,
    /// Forms that make a secret.
    pub once: Once,
    /// How browsers reach us.
    pub site: Site,
}

/// Something that was done here and not by a desk, which notes its own deeds.
#[derive(Debug, Clone, Copy)]
pub struct Deed<'a> {
    /// What: `token.mint`, `session.open`, …
    pub action: &'static str,
    /// The tenant it concerns.
    pub tenant: Option<&'a TenantId>,
    /// To what.
    pub target: &'a str,
}

impl<'a> Deed<'a> {
    /// A deed that concerns no tenant.
    pub fn new(action: &'static str, target: &'a str) -> Self {
        Self { action, tenant: None, target }
    }
}

/// How browsers reach us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Site {
    /// `https://rag.example.org`, as a browser sends it in `Origin`; none when `http.public_url` is not set.
    pub origin: Option<Arc<str>>,
    /// Whether over https.
    pub secure: bool,
    /// The path below which everything stands, such as `/carrel`; empty for the whole host.
    pub base: Arc<str>,
}

impl AdminState {
    /// The state of the pages.
    pub fn new(http: HttpState) -> Self {
        let site = Site::of(&http.config.http.public_url);
        Self { http, notes: Notes::default(), once: Once::default(), site }
    }

    /// Notes in the audit what `actor` did. What was done stands even when this fails, so that is logged and not told.
    pub async fn record(&self, actor: &str, deed: Deed<'_>, request_id: &RequestId) {
        let entry = AuditEntry {
            number: 0,
            at: Timestamp::now(),
            actor: actor.to_owned(),
            action: deed.action.to_owned(),
            tenant: deed.tenant.cloned(),
            target: deed.target.to_owned(),
            request_id: request_id.as_str().to_owned(),
        };
        if let Err(error) = self.http.ledger.audit(entry).await {
            tracing::error!(action = deed.action, %error, "an act is missing in the audit");
        }
    }

    /// The header that sets a cookie.
    pub fn set_cookie(&self, cookie: &Cookie<'_>) -> (HeaderName, HeaderValue) {
        cookie.header(&self.site)
    }

    /// The header that keeps a session.
    pub fn set_session(&self, secret: &str) -> (HeaderName, HeaderValue) {
        self.set_cookie(&Cookie::new(self.site.session_cookie(), secret).lasting(Sessions::ABSOLUTE.as_secs()))
    }

    /// The header that forgets a session.
    pub fn forget_session(&self) -> (HeaderName, HeaderValue) {
        self.set_cookie(&Cookie::new(self.site.session_cookie(), ""))
    }
}

impl Site {
    /// The site of `http.public_url`.
    pub fn of(public_url: &str) -> Self {
        let Ok(url) = public_url.parse::<Uri>() else { return Self::default() };
        let (Some(scheme), Some(host)) = (url.scheme_str(), url.host()) else { return Self::default() };
        let secure = scheme == "https";
        // Browsers leave the scheme's own port out of `Origin`, and write hosts in small letters.
        let usual = if secure { 443 } else { 80 };
        let port = url.port_u16().filter(|port| *port != usual).map(|port| format!(":{port}")).unwrap_or_default();
        Self {
            origin: Some(format!("{scheme}://{}{port}", host.to_lowercase()).into()),
            secure,
            base: prefix::base_of(public_url).into(),
        }
    }

    /// The session cookie's name.
    pub fn session_cookie(&self) -> &'static str {
        match (self.secure, self.base.is_empty()) {
            (false, _) => cookies::SESSION_PLAIN,
            (true, true) => cookies::SESSION_SECURE,
            (true, false) => cookies::SESSION_BELOW,
        }
    }

    /// Where a program reaches the API: the public address, else the one this browser used.
    pub fn base_url(&self, headers: &HeaderMap) -> String {
        if let Some(origin) = &self.origin {
            return format!("{origin}{}", self.base);
        }
        let plain = |host: &&str| host.bytes().all(|b| b.is_ascii_alphanumeric() || b".:-[]".contains(&b));
        let host = headers.get("host").and_then(|host| host.to_str().ok()).filter(plain).unwrap_or("127.0.0.1:8080");
        format!("http://{host}")
    }
}

impl FromRef<AdminState> for HttpState {
    fn from_ref(state: &AdminState) -> Self {
        state.http.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_written_as_a_browser_sends_it() {
        for (url, origin, secure) in [
            ("https://Rag.Example.org/", Some("https://rag.example.org"), true),
            ("https://rag.example.org:443/carrel", Some("https://rag.example.org"), true),
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080"), false),
            ("http://[::1]:80", Some("http://[::1]"), false),
            ("", None, false),
            ("rag.example.org", None, false),
        ] {
            let site = Site::of(url);
            assert_eq!((site.origin.as_deref(), site.secure), (origin, secure), "{url}");
        }
    }

    #[test]
    fn the_session_cookie_is_bound_to_the_host_where_the_site_is_secure() {
        assert_eq!(Site::of("https://rag.example.org").session_cookie(), "__Host-carrel");
        assert_eq!(Site::of("https://example.org/carrel").session_cookie(), "__Secure-carrel");
        assert_eq!(Site::of("http://127.0.0.1:8080").session_cookie(), "carrel");
        assert_eq!(Site::default().session_cookie(), "carrel");
    }

    #[test]
    fn a_crafted_host_does_not_reach_the_command_to_copy() {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("localhost:9"));
        assert_eq!(Site::default().base_url(&headers), "http://localhost:9");
        assert_eq!(Site::of("https://example.org/carrel/").base_url(&headers), "https://example.org/carrel");
        headers.insert("host", HeaderValue::from_static("x';rm -rf ~;'"));
        assert_eq!(Site::default().base_url(&headers), "http://127.0.0.1:8080");
    }
}

//! The pages' cookies: session, theme, and the steps of the first five minutes.

use axum::http::header::{COOKIE, HeaderName, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};

use super::state::Site;

/// The session over plain http, where `__Host-` is refused by browsers.
pub const SESSION_PLAIN: &str = "carrel";
/// The session over https: bound to this host, whole and secure by its name (RFC 6265bis, 4.1.3.2).
pub const SESSION_SECURE: &str = "__Host-carrel";
/// The session over https below a path of the host, which `__Host-` does not allow: secure by its name.
pub const SESSION_BELOW: &str = "__Secure-carrel";
/// The theme.
pub const THEME: &str = "carrel-theme";
/// Steps of the first five minutes that were taken in this browser.
pub const STEPS: &str = "carrel-steps";
/// Seconds of a year.
pub const YEAR_S: u64 = 365 * 24 * 3600;

/// A cookie to set: always HttpOnly, SameSite=Strict, for the site's path alone, and Secure where the site is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie<'a> {
    name: &'a str,
    value: &'a str,
    max_age_s: u64,
}

impl<'a> Cookie<'a> {
    /// A cookie; without [`Cookie::lasting`] it is taken away.
    pub fn new(name: &'a str, value: &'a str) -> Self {
        Self { name, value, max_age_s: 0 }
    }

    /// Keeps it for so many seconds.
    #[must_use]
    pub fn lasting(self, max_age_s: u64) -> Self {
        Self { max_age_s, ..self }
    }

    /// The header that sets it on `site`.
    pub fn header(&self, site: &Site) -> (HeaderName, HeaderValue) {
        let Self { name, value, max_age_s } = self;
        let secure = if site.secure { "; Secure" } else { "" };
        let path = if site.base.is_empty() { "/" } else { &*site.base };
        let text = format!("{name}={value}; Path={path}; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}");
        // A value that cannot stand in a header would be a fault of ours; no cookie is the safe end of it.
        (SET_COOKIE, HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("")))
    }
}

/// A cookie's value; the first when there are several, and none when it is empty.
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, value)| *found == name && !value.is_empty())
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_never_readable_by_scripts_nor_sent_from_other_sites() {
        let cookie = Cookie::new(SESSION_SECURE, "s3cret").lasting(60);
        let (_, plain) = cookie.header(&Site::of("http://127.0.0.1:8080"));
        assert_eq!(plain, "__Host-carrel=s3cret; Path=/; Max-Age=60; HttpOnly; SameSite=Strict");
        let (_, secure) = cookie.header(&Site::of("https://rag.example.org"));
        assert_eq!(secure, "__Host-carrel=s3cret; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure");
        let (_, below) = Cookie::new(THEME, "dark").header(&Site::of("https://example.org/carrel/"));
        assert_eq!(below, "carrel-theme=dark; Path=/carrel; Max-Age=0; HttpOnly; SameSite=Strict; Secure");
        let (_, gone) = Cookie::new(THEME, "").header(&Site::default());
        assert!(gone.to_str().unwrap().contains("Max-Age=0"));
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("xcarrel=no; carrel-theme=dark;carrel=yes"));
        headers.append(COOKIE, HeaderValue::from_static("carrel=later; empty="));
        assert_eq!(read(&headers, "carrel"), Some("yes"));
        assert_eq!(read(&headers, THEME), Some("dark"));
        assert_eq!((read(&headers, "arrel"), read(&headers, "empty")), (None, None));
    }
}

//! The first five minutes: drop a file, ask, call the API. Each step ticks itself; then the list goes away.
//!
//! What was done is kept in a cookie of this browser; it is a courtesy, not a fact about the server.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};

use super::cookies::{self, Cookie};
use super::request::SignedIn;
use super::state::AdminState;
use crate::domain::TenantId;

/// A step that a page can tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// A file was uploaded.
    Uploaded,
    /// A question was asked.
    Asked,
    /// A token was made for the API.
    Called,
}

/// The steps that were taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Steps {
    uploaded: bool,
    asked: bool,
    called: bool,
}

/// One step, ready to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What to do.
    pub title: &'static str,
    /// Why, in a sentence.
    pub text: &'static str,
    /// Where.
    pub href: String,
    /// What the link says.
    pub action: &'static str,
    /// Whether it was done.
    pub done: bool,
}

impl Steps {
    /// The steps that this browser took.
    pub fn taken(headers: &HeaderMap) -> Self {
        let value = cookies::read(headers, cookies::STEPS).unwrap_or_default();
        Self { uploaded: value.contains('u'), asked: value.contains('a'), called: value.contains('c') }
    }

    /// Also counts an upload that came another way.
    #[must_use]
    pub fn and(self, uploaded: bool) -> Self {
        Self { uploaded: self.uploaded || uploaded, ..self }
    }

    /// These steps and one more.
    #[must_use]
    fn with(mut self, taken: Taken) -> Self {
        match taken {
            Taken::Uploaded => self.uploaded = true,
            Taken::Asked => self.asked = true,
            Taken::Called => self.called = true,
        }
        self
    }

    fn value(self) -> String {
        let letters = [(self.uploaded, 'u'), (self.asked, 'a'), (self.called, 'c')];
        letters.into_iter().filter(|(done, _)| *done).map(|(_, letter)| letter).collect()
    }

    /// The list for the overview; none when all is done or there is no tenant to do it with.
    pub fn shown(self, tenant: Option<&TenantId>) -> Option<[Step; 3]> {
        let tenant = tenant.filter(|_| self != Self { uploaded: true, asked: true, called: true })?;
        let step = |title, text, href, action, done| Step { title, text, href, action, done };
        Some([
            step(
                "Drop a file",
                "A PDF, an Office file, Markdown, a web page or plain text. It is searchable seconds later.",
                format!("/admin/tenants/{tenant}"),
                "Upload to this tenant",
                self.uploaded,
            ),
            step(
                "Ask about it",
                "The answer shows the sentences it rests on.",
                format!("/admin/tenants/{tenant}/ask"),
                "Ask a question",
                self.asked,
            ),
            step(
                "Call the API",
                "Make a token and paste one curl line.",
                format!("/admin/tokens?tenant={tenant}"),
                "Make a token",
                self.called,
            ),
        ])
    }
}

/// The header that remembers a step.
pub fn tick(
    state: &AdminState,
    headers: &HeaderMap,
    taken: Taken,
) -> (axum::http::HeaderName, axum::http::HeaderValue) {
    let value = Steps::taken(headers).with(taken).value();
    state.set_cookie(&Cookie::new(cookies::STEPS, &value).lasting(cookies::YEAR_S))
}

/// `POST /admin/steps/hide`: the list goes away in this browser.
pub async fn hide(State(state): State<AdminState>, _who: SignedIn) -> Response {
    let cookie = Cookie::new(cookies::STEPS, "uac").lasting(cookies::YEAR_S);
    ([state.set_cookie(&cookie)], Redirect::to("/admin")).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use axum::http::header::COOKIE;

    use super::*;

    #[test]
    fn each_step_ticks_itself_and_the_list_ends_with_the_last() {
        let tenant = TenantId::parse("demo").unwrap();
        let mut headers = HeaderMap::new();
        let done = |steps: Steps| steps.shown(Some(&tenant)).map(|steps| steps.map(|step| step.done));
        assert_eq!(done(Steps::taken(&headers)), Some([false, false, false]));
        headers.insert(COOKIE, HeaderValue::from_static("carrel-steps=a"));
        let taken = Steps::taken(&headers);
        assert_eq!(done(taken.and(true)), Some([true, true, false]));
        assert_eq!(taken.with(Taken::Uploaded).value(), "ua");
        assert_eq!(done(taken.and(true).with(Taken::Called)), None);
        assert_eq!(taken.shown(None), None);
    }
}

//! The door: one-time link, password, sign out.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::cookies;
use super::error::AdminError;
use super::notes::Note;
use super::request::{Form, Path, Query, SignedIn, Visitor};
use super::shell::{Section, Shell, page, page_with};
use super::show::{self, Message};
use super::state::{AdminState, Deed};
use super::theme::own_path;
use crate::access::SignInError;

/// Whoever holds a session, as the audit names them.
const OPERATOR: &str = "operator";

/// The sign-in page.
#[derive(Template)]
#[template(path = "admin/sign_in.html")]
pub struct SignInPage {
    /// What surrounds it.
    pub shell: Shell,
    /// What went wrong; the same words whatever it was.
    pub error: Message,
    /// Why one is here again, when it was not by choice.
    pub why: &'static str,
    /// Where to go afterwards.
    pub next: String,
}

/// The page of a one-time link: a button, since opening a link must not use it up (mail scanners and previews open links).
#[derive(Template)]
#[template(path = "admin/link.html")]
pub struct LinkPage {
    /// What surrounds it.
    pub shell: Shell,
    /// Where the button leads: this same link.
    pub action: String,
    /// What went wrong.
    pub error: Message,
}

/// The page that sets the password.
#[derive(Template)]
#[template(path = "admin/password.html")]
pub struct PasswordPage {
    /// What surrounds it.
    pub shell: Shell,
    /// Whether there is one already.
    pub replaces: bool,
    /// What is wrong with the one that was sent.
    pub error: Message,
}

/// Where to go after signing in.
#[derive(Deserialize)]
pub struct NextQuery {
    #[serde(default)]
    next: String,
}

/// The sign-in form.
#[derive(Deserialize)]
pub struct SignInForm {
    password: String,
    #[serde(default)]
    next: String,
}

/// The password form.
#[derive(Deserialize)]
pub struct PasswordForm {
    password: String,
    again: String,
}

/// `GET /admin/sign-in`.
pub async fn sign_in_page(
    State(state): State<AdminState>,
    visitor: Visitor,
    headers: HeaderMap,
    Query(query): Query<NextQuery>,
) -> Result<Response, AdminError> {
    let mut shell = visitor.shell(Section::None);
    "/admin/sign-in".clone_into(&mut shell.here);
    let why = why(&state, &headers).await?;
    page(&SignInPage { shell, error: Message::default(), why, next: own_path(&query.next).to_owned() })
}

/// What the door says to a browser that still holds the cookie of a session that is no more.
async fn why(state: &AdminState, headers: &HeaderMap) -> Result<&'static str, AdminError> {
    let Some(session) = cookies::read(headers, state.site.session_cookie()) else { return Ok("") };
    let ended = state.http.sessions.operator(session).await?.is_none();
    Ok(if ended { "Your session has ended, and nothing that was sent since was done. Sign in to go on." } else { "" })
}

/// `POST /admin/sign-in`.
pub async fn sign_in(
    State(state): State<AdminState>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(form): Form<SignInForm>,
) -> Result<Response, AdminError> {
    let next = own_path(&form.next);
    match state.http.sessions.open_by_password(&form.password).await {
        Ok(session) => {
            close_earlier(&state, &headers).await?;
            state.record(OPERATOR, Deed::new("session.open", "password"), &visitor.request_id).await;
            Ok(([state.set_session(&session)], Redirect::to(next)).into_response())
        }
        Err(refusal) => {
            let (status, error) = refused(refusal)?;
            let page = SignInPage { shell: visitor.shell(Section::None), error, why: "", next: next.to_owned() };
            page_with(status, &page)
        }
    }
}

/// `GET /admin/link/{secret}`: uses nothing up.
pub async fn link_page(visitor: Visitor, Path(secret): Path<String>) -> Result<Response, AdminError> {
    page(&link(visitor, &secret, Message::default()))
}

/// `POST /admin/link/{secret}`: uses the link up.
pub async fn link_in(
    State(state): State<AdminState>,
    visitor: Visitor,
    headers: HeaderMap,
    Path(secret): Path<String>,
) -> Result<Response, AdminError> {
    match state.http.sessions.open_by_link(&secret).await {
        Ok(session) => {
            close_earlier(&state, &headers).await?;
            state.record(OPERATOR, Deed::new("session.open", "link"), &visitor.request_id).await;
            let to = if state.http.sessions.has_password().await? { "/admin" } else { "/admin/password" };
            Ok(([state.set_session(&session)], Redirect::to(to)).into_response())
        }
        Err(refusal) => {
            let (status, error) = refused(refusal)?;
            page_with(status, &link(visitor, &secret, error))
        }
    }
}

fn link(visitor: Visitor, secret: &str, error: Message) -> LinkPage {
    let action = format!("/admin/link/{}", show::encoded(secret));
    let mut shell = visitor.shell(Section::None);
    shell.here.clone_from(&action);
    LinkPage { shell, action, error }
}

/// `GET /admin/password`.
pub async fn password_page(State(state): State<AdminState>, who: SignedIn) -> Result<Response, AdminError> {
    let replaces = state.http.sessions.has_password().await?;
    page(&PasswordPage { shell: who.shell(Section::None), replaces, error: Message::default() })
}

/// `POST /admin/password`: ends every other session.
pub async fn set_password(
    State(state): State<AdminState>,
    who: SignedIn,
    Form(form): Form<PasswordForm>,
) -> Result<Response, AdminError> {
    if form.password != form.again {
        let error = "The two are not the same: type it again.".into();
        return password_again(&state, &who, StatusCode::UNPROCESSABLE_ENTITY, error).await;
    }
    match state.http.sessions.set_password(&who.operator, &form.password).await {
        Ok(session) => {
            who.did(&state, Deed::new("password.set", OPERATOR)).await;
            let note = Note::ok("The password is set. Every other session has ended.");
            Ok(([state.set_session(&session)], state.notes.redirect("/admin", note)).into_response())
        }
        Err(refusal) => {
            let (status, error) = refused(refusal)?;
            password_again(&state, &who, status, error).await
        }
    }
}

async fn password_again(
    state: &AdminState,
    who: &SignedIn,
    status: StatusCode,
    error: Message,
) -> Result<Response, AdminError> {
    let replaces = state.http.sessions.has_password().await?;
    page_with(status, &PasswordPage { shell: who.shell(Section::None), replaces, error })
}

/// `POST /admin/sign-out`: here and on the server.
pub async fn sign_out(State(state): State<AdminState>, who: SignedIn) -> Result<Response, AdminError> {
    state.http.sessions.close(&who.session).await?;
    who.did(&state, Deed::new("session.close", OPERATOR)).await;
    let note = Note::ok("You are signed out.");
    Ok(([state.forget_session()], state.notes.redirect("/admin/sign-in", note)).into_response())
}

/// A session that the browser still held ends when a new one begins.
async fn close_earlier(state: &AdminState, headers: &HeaderMap) -> Result<(), AdminError> {
    if let Some(earlier) = cookies::read(headers, state.site.session_cookie()) {
        state.http.sessions.close(earlier).await?;
    }
    Ok(())
}

/// What the form says about a refusal, and its status; a fault of ours is no refusal.
fn refused(refusal: SignInError) -> Result<(StatusCode, Message), AdminError> {
    let status = match refusal {
        SignInError::Refused => StatusCode::UNAUTHORIZED,
        SignInError::Busy => StatusCode::TOO_MANY_REQUESTS,
        SignInError::Weak => StatusCode::UNPROCESSABLE_ENTITY,
        SignInError::Ledger(_) => return Err(refusal.into()),
    };
    Ok((status, Message::sentence(&refusal.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_be_refused_sounds_the_same() {
        let (status, words) = refused(SignInError::Refused).unwrap();
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(words.to_string(), "That did not work: the link may have been used, or the password is wrong.");
    }
}

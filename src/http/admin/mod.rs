//! The operator's pages: health, tenants, documents, questions, jobs, tokens, audit.
//!
//! Rendered on the server from the same desks as the API; every page works without scripts, by links, forms, and a redirect
//! after each post. A GET changes nothing, but a new token is shown by one GET alone. Whoever is not signed in gets no further than the doors. One file a page; what a
//! template shows was made ready here, and templates compute nothing.

mod ask;
mod assets;
mod audit;
mod cookies;
mod document;
mod door;
mod error;
mod golden;
mod index;
mod job;
mod jobs;
mod notes;
mod once;
mod overview;
mod pieces;
mod request;
mod same_site;
#[cfg(test)]
mod samples;
mod shell;
mod show;
mod state;
mod steps;
mod stopped;
mod tenant;
mod tenants;
#[cfg(test)]
mod tests;
mod theme;
mod tokens;
mod uploads;
mod weigh;

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};

use self::error::{AdminError, dress};
use self::state::AdminState;
use super::HttpState;
use super::limits::sign_in_limit;

/// The most bytes of a form without files.
const FORM_BYTES: usize = 64 << 10;

/// Time in which the form of somebody who is not signed in must have come: browsers send a form in one piece.
const STRANGERS_PATIENCE: Duration = Duration::from_secs(2);

/// The pages under `/admin` and their files under `/static`.
///
/// They stand inside the envelope of [`super::router`], which gives each request its id and each reply its security headers.
pub fn routes(state: HttpState) -> Router {
    let state = AdminState::new(state);
    let time = state.http.config.http.request_timeout;
    let quick = pages().merge(doors()).layer(DefaultBodyLimit::max(FORM_BYTES)).layer(from_fn_with_state(time, within));
    quick
        .merge(uploads(&state))
        .method_not_allowed_fallback(|| async { AdminError::Method })
        .layer(same_site::same_site_only(&state.site))
        .layer(from_fn_with_state(state.clone(), dress))
        .merge(assets::routes())
        .with_state(state)
}

/// The two doors that secrets are tried at: attempts are limited by address, both together.
fn doors() -> Router<AdminState> {
    let limit = sign_in_limit(|wait| AdminError::TooMany { wait }.into_response());
    let sign_in = post(door::sign_in).layer::<_, Infallible>(from_fn(read_at_once)).layer(limit.clone());
    let password = get(door::sign_in_page).merge(sign_in);
    let link = get(door::link_page).merge(post(door::link_in).layer(limit));
    Router::new().route("/admin/sign-in", password).route("/admin/link/{secret}", link)
}

/// Ends a page that takes too long; uploads take the time they need.
async fn within(State(limit): State<Duration>, request: Request, next: Next) -> Result<Response, AdminError> {
    tokio::time::timeout(limit, next.run(request)).await.map_err(|_| AdminError::Late)
}

/// Reads the form of somebody who need not be signed in whole before anything else is done with it, and does not wait long:
/// who sends it slowly holds a connection, and nobody knows who they are.
async fn read_at_once(request: Request, next: Next) -> Result<Response, AdminError> {
    let (head, body) = request.into_parts();
    let form =
        tokio::time::timeout(STRANGERS_PATIENCE, to_bytes(body, FORM_BYTES)).await.map_err(|_| AdminError::Late)?;
    let form = form.map_err(|_| AdminError::FormTooLarge)?;
    Ok(next.run(Request::from_parts(head, Body::from(form))).await)
}

/// The one route that takes files.
fn uploads(state: &AdminState) -> Router<AdminState> {
    let most = uploads::most_bytes(state.http.config.http.max_upload_bytes);
    let limit = DefaultBodyLimit::max(usize::try_from(most).unwrap_or(usize::MAX));
    Router::new().route("/admin/tenants/{tenant}/documents", post(uploads::upload)).layer(limit)
}

fn pages() -> Router<AdminState> {
    Router::new()
        .route("/", get(overview::home))
        .route("/admin", get(overview::overview))
        .route("/admin/", get(overview::slash))
        .route("/admin/steps/hide", post(steps::hide))
        .route("/admin/theme", post(theme::switch).layer(from_fn(read_at_once)))
        .route("/admin/password", get(door::password_page).post(door::set_password))
        .route("/admin/sign-out", post(door::sign_out))
        .route("/admin/tenants", get(tenants::list).post(tenants::add))
        .route("/admin/tenants/reload", post(tenants::reload))
        .route("/admin/tenants/{tenant}", get(tenant::tenant))
        .route("/admin/tenants/{tenant}/reindex", post(tenant::reindex))
        .route("/admin/tenants/{tenant}/index", get(index::show))
        .route("/admin/tenants/{tenant}/index/{generation}", post(index::act))
        .route("/admin/tenants/{tenant}/golden", post(golden::keep))
        .route("/admin/tenants/{tenant}/golden/{id}/delete", post(golden::delete))
        .route("/admin/tenants/{tenant}/remove", get(tenants::remove_page).post(tenants::remove))
        .route("/admin/tenants/{tenant}/document", get(document::document))
        .route("/admin/tenants/{tenant}/document/delete", get(document::delete_page).post(document::delete))
        .route("/admin/tenants/{tenant}/ask", get(ask::form).post(ask::ask))
        .route("/admin/tenants/{tenant}/jobs/{job}", get(job::one).post(job::act))
        .route("/admin/jobs", get(jobs::list))
        .route("/admin/tokens", get(tokens::list).post(tokens::mint))
        .route("/admin/tokens/{jti}/revoke", post(tokens::revoke))
        .route("/admin/audit", get(audit::log))
        .route("/admin/audit.csv", get(audit::export))
        .route("/admin/{*other}", any(|| async { AdminError::NoPage }))
}

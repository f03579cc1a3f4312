//! From a token to a tenant's desk: the one place where a request gets its scope.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Span;

use super::HttpState;
use super::codes::Code;
use super::context::ClientAddr;
use super::crowd::Crowd;
use super::held::Held;
use super::idle::Connection;
use super::limits::{self, WrongTokens};
use super::problem::{ApiError, whole_seconds};
use crate::access::{AuthError, AuthFailure, Caller, Permission};
use crate::actors::{Budget, Desk, DeskError};
use crate::telemetry;

/// The longest token that is looked at, bytes; ours are below 1 KiB.
const MAX_TOKEN: usize = 4096;

/// The part of all connections that one tenant may hold beside its questions: one in sixteen.
const SHARE: usize = 16;

/// Who may come in, and how often one may try.
#[derive(Clone)]
pub struct Gate {
    state: HttpState,
    wrong: WrongTokens,
    crowd: Crowd,
}

impl Gate {
    /// The gate before everything that needs a token.
    #[must_use]
    pub fn new(state: HttpState) -> Self {
        Self { state, wrong: WrongTokens::default(), crowd: Crowd::default() }
    }

    /// The holder of the request's token, and its tenant's desk unless the token is for none.
    ///
    /// # Errors
    /// 401 without a valid token; 429 when its address sent too many wrong ones.
    pub fn enter(&self, headers: &HeaderMap, client: ClientAddr) -> Result<(Caller, Option<Desk>), ApiError> {
        self.verify(headers).map_err(|error| self.refuse(error, client))
    }

    fn verify(&self, headers: &HeaderMap) -> Result<(Caller, Option<Desk>), AuthError> {
        let caller = self.state.tokens.verify(bearer(headers)?)?;
        if caller.tenant().is_none() {
            return Ok((caller, None));
        }
        let desk = self.state.tenants.desk(&caller).map_err(|_| AuthError::Invalid(AuthFailure::UnknownTenant))?;
        Ok((caller, Some(desk)))
    }

    fn refuse(&self, error: AuthError, client: ClientAddr) -> ApiError {
        telemetry::auth_failed(reason(error));
        match error {
            AuthError::Missing | AuthError::Forbidden(_) => error.into(),
            AuthError::Invalid(_) => match self.wrong.count(client) {
                Ok(()) => error.into(),
                Err(wait) => {
                    let detail = format!("too many wrong tokens: try again in {} s", whole_seconds(wait));
                    ApiError::new(Code::TooManyFailures, detail).after(wait)
                }
            },
        }
    }
}

/// Verifies the token once and leaves the [`Caller`], and the [`Desk`] of its tenant, in the request.
///
/// # Errors
/// 401 without a valid token; 429 when its address sent too many wrong ones.
pub async fn authenticate(State(gate): State<Gate>, mut request: Request, next: Next) -> Result<Response, ApiError> {
    let client = ClientAddr::noted(request.extensions());
    let (caller, desk) = gate.enter(request.headers(), client)?;
    if let Some(connection) = request.extensions().get::<Connection>() {
        connection.prove();
    }
    if let Some(desk) = desk {
        Span::current().record("tenant.id", desk.tenant().as_str());
        request.extensions_mut().insert(desk);
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Counts the request against its tenant's rate and share of connections, and tells on every reply where the tenant stands.
///
/// # Errors
/// 429 when either is used up.
pub async fn count(State(gate): State<Gate>, request: Request, next: Next) -> Result<Response, ApiError> {
    let Some(desk) = request.extensions().get::<Desk>() else { return Ok(next.run(request).await) };
    let limited = desk.admit(budget(&request))?;
    let most = desk.settings().limits.concurrent_queries + gate.state.config.http.max_connections / SHARE;
    let crowded = || ApiError::from(DeskError::Busy).standing(limited);
    let present = gate.crowd.enter(desk.tenant(), most).ok_or_else(crowded)?;
    let mut response = next.run(request).await;
    limits::describe(&limited, response.headers_mut());
    // A slow reader holds its connection as a slow sender does.
    Ok(response.map(|body| Body::new(Held { body, _guard: present })))
}

/// What a request is counted against: uploads and deletes, with the jobs that they start, or everything else.
fn budget(request: &Request) -> Budget {
    let path = request.uri().path();
    let changes = matches!(*request.method(), Method::POST | Method::DELETE);
    let brings_in = path.starts_with("/api/v1/jobs") || (changes && path.starts_with("/api/v1/documents"));
    if brings_in { Budget::Uploads } else { Budget::Queries }
}

/// Whether the caller has one of these permissions.
///
/// # Errors
/// [`AuthError::Forbidden`] names the first.
pub fn require_any(caller: &Caller, any: &[Permission]) -> Result<(), AuthError> {
    if any.iter().any(|permission| caller.require(*permission).is_ok()) {
        return Ok(());
    }
    telemetry::auth_failed("forbidden");
    Err(AuthError::Forbidden(any.first().copied().unwrap_or(Permission::TenantsAdmin)))
}

/// The token of `Authorization: Bearer …`; exactly one such header.
fn bearer(headers: &HeaderMap) -> Result<&str, AuthError> {
    const MALFORMED: AuthError = AuthError::Invalid(AuthFailure::Malformed);
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(AuthError::Missing)?;
    if values.next().is_some() {
        return Err(MALFORMED);
    }
    let (scheme, token) = value.to_str().map_err(|_| MALFORMED)?.split_once(' ').ok_or(MALFORMED)?;
    let fits = scheme.eq_ignore_ascii_case("bearer") && (1..=MAX_TOKEN).contains(&token.len());
    if fits { Ok(token) } else { Err(MALFORMED) }
}

fn reason(error: AuthError) -> &'static str {
    match error {
        AuthError::Missing => "missing",
        AuthError::Forbidden(_) => "forbidden",
        AuthError::Invalid(AuthFailure::Malformed) => "malformed",
        AuthError::Invalid(AuthFailure::Expired) => "expired",
        AuthError::Invalid(AuthFailure::Revoked) => "revoked",
        AuthError::Invalid(AuthFailure::UnknownTenant) => "unknown_tenant",
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_bearer_token_is_taken_from_one_header_alone() {
        assert_eq!(bearer(&headers(&["Bearer a.b.c"])), Ok("a.b.c"));
        assert_eq!(bearer(&headers(&["bEARER a.b.c"])), Ok("a.b.c"));
        assert_eq!(bearer(&headers(&[])), Err(AuthError::Missing));
        let long = format!("Bearer {}", "x".repeat(64 << 10));
        for bad in [&["Basic a"][..], &["Bearer"], &["Bearer "], &["a.b.c"], &["Bearer a", "Bearer b"], &[&long]] {
            assert_eq!(bearer(&headers(bad)), Err(AuthError::Invalid(AuthFailure::Malformed)), "{bad:?}");
        }
    }
}

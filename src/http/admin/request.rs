//! What handlers take out of a request: who asks, for which tenant, with what.

use std::sync::Arc;

use axum::extract::rejection::{FormRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, RawPathParams};
use axum::http::Method;
use axum::http::request::Parts;

use super::super::context::RequestId;
use super::super::idle::Connection;
use super::cookies;
use super::error::AdminError;
use super::shell::{Section, Shell};
use super::state::{AdminState, Deed};
use super::theme::Theme;
use crate::access::Operator;
use crate::actors::{Desk, Stopped};
use crate::domain::TenantId;

/// The fields of a posted form.
#[derive(FromRequest)]
#[from_request(via(axum::extract::Form), rejection(AdminError))]
pub struct Form<T>(pub T);

/// The parts of the path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(AdminError))]
pub struct Path<T>(pub T);

/// The fields of the query.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(AdminError))]
pub struct Query<T>(pub T);

impl From<FormRejection> for AdminError {
    fn from(rejection: FormRejection) -> Self {
        match rejection.status() {
            axum::http::StatusCode::PAYLOAD_TOO_LARGE => Self::FormTooLarge,
            _ => Self::BadForm,
        }
    }
}

impl From<PathRejection> for AdminError {
    fn from(_: PathRejection) -> Self {
        Self::NoPage
    }
}

impl From<QueryRejection> for AdminError {
    fn from(_: QueryRejection) -> Self {
        Self::NoPage
    }
}

/// Somebody who looks at a page, signed in or not.
pub struct Visitor {
    /// The request's id.
    pub request_id: RequestId,
    shell: Shell,
}

impl Visitor {
    /// What surrounds the page.
    pub fn shell(self, section: Section) -> Shell {
        Shell { section, ..self.shell }
    }
}

impl FromRequestParts<AdminState> for Visitor {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, Self::Rejection> {
        let theme = cookies::read(&parts.headers, cookies::THEME).map_or(Theme::System, Theme::parse);
        let mut shell = Shell::new(theme, here(parts), Section::None);
        shell.base = Arc::clone(&state.site.base);
        shell.note = state.notes.read(parts.uri.query());
        let request_id = parts.extensions.get().cloned().unwrap_or_else(|| RequestId::of(&parts.headers));
        Ok(Self { request_id, shell })
    }
}

/// The address to come back to: a posted form's page is not there for GET, but its path always is.
fn here(parts: &Parts) -> String {
    let whole = parts.uri.path_and_query().map_or("/admin", |path| path.as_str());
    let passing = whole.contains("note=") || whole.contains("made=");
    let kept = if parts.method == Method::GET && !passing { whole } else { parts.uri.path() };
    kept.to_owned()
}

/// The operator, signed in. Every page but the doors asks for one; who is not is led to the sign-in page.
pub struct SignedIn {
    /// Who.
    pub operator: Operator,
    /// The cookie's secret.
    pub session: String,
    request_id: RequestId,
    shell: Shell,
}

impl SignedIn {
    /// What surrounds the page.
    pub fn shell(&self, section: Section) -> Shell {
        Shell { section, ..self.shell.clone() }
    }

    /// Who, for jobs and documents.
    pub fn name(&self) -> &str {
        self.operator.subject()
    }

    /// Notes in the audit that they did this.
    pub async fn did(&self, state: &AdminState, deed: Deed<'_>) {
        state.record(self.name(), deed, &self.request_id).await;
    }
}

impl FromRequestParts<AdminState> for SignedIn {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, AdminError> {
        let Ok(visitor) = Visitor::from_request_parts(parts, state).await;
        let session = cookies::read(&parts.headers, state.site.session_cookie()).unwrap_or_default().to_owned();
        let operator = match session.as_str() {
            "" => None,
            session => state.http.sessions.operator(session).await?,
        };
        let Some(operator) = operator else {
            // What a form wanted to change is not tried again behind somebody's back.
            let wanted = if parts.method == Method::GET { visitor.shell.here } else { "/admin".into() };
            return Err(AdminError::SignedOut { wanted });
        };
        if let Some(connection) = parts.extensions.get::<Connection>() {
            connection.prove();
        }
        Ok(Self { operator, session, request_id: visitor.request_id, shell: visitor.shell })
    }
}

/// The operator at the desk of the tenant that the path names.
pub struct AtTenant {
    /// Who.
    pub who: SignedIn,
    /// The tenant's verbs.
    pub desk: Desk,
    /// The tenant.
    pub id: TenantId,
}

/// The tenant that the path names, whether it lives or not.
#[expect(clippy::large_enum_variant, reason = "one a request, matched at once")]
pub enum Named {
    /// It lives.
    Living(Box<AtTenant>),
    /// There is something of it, but it does not live.
    Stopped {
        /// Who asks.
        who: SignedIn,
        /// The tenant.
        id: TenantId,
        /// Why not.
        why: Stopped,
    },
}

impl FromRequestParts<AdminState> for AtTenant {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, AdminError> {
        match Named::from_request_parts(parts, state).await? {
            Named::Living(at) => Ok(*at),
            Named::Stopped { id, .. } => Err(AdminError::Stopped { id }),
        }
    }
}

impl FromRequestParts<AdminState> for Named {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, AdminError> {
        let who = SignedIn::from_request_parts(parts, state).await?;
        let path = RawPathParams::from_request_parts(parts, state).await.map_err(|_| AdminError::NoPage)?;
        let named = path.iter().find(|(name, _)| *name == "tenant").map(|(_, value)| value);
        let id = named.and_then(|text| TenantId::parse(text).ok()).ok_or(AdminError::NoPage)?;
        let refused = match state.http.tenants.desk_for(&who.operator, &id) {
            Ok(desk) => return Ok(Self::Living(Box::new(AtTenant { who, desk, id }))),
            Err(refused) => refused,
        };
        let why = state.http.tenants.stopped(&who.operator, &id).ok_or(refused)?;
        Ok(Self::Stopped { who, id, why })
    }
}

impl AtTenant {
    /// Notes in the audit that the operator did this to the tenant.
    pub async fn did(&self, state: &AdminState, action: &'static str, target: &str) {
        self.who.did(state, Deed { action, tenant: Some(&self.id), target }).await;
    }
}

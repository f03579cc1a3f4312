//! Tokens: mint, list, revoke. For operators.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::HttpState;
use super::super::codes::Code;
use super::super::context::RequestId;
use super::super::extract::{Body, Id, Params};
use super::super::problem::ApiError;
use super::Deed;
use super::wire::{List, TokenView};
use crate::access::{MintedToken, Operator, Permission, TokenRequest};
use crate::domain::{TenantId, Timestamp};

/// The longest life of a token, days: ten years.
const MAX_DAYS: u32 = 3650;
/// The longest `subject`, characters.
const MAX_SUBJECT: usize = 200;
/// What a tenant's token may do when none is named.
const TENANT_SCOPE: &str = "query documents:read documents:write reindex";

/// A token to mint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"tenant": "acme", "subject": "support-bot", "scope": "query", "days": 30}))]
pub struct TokenBody {
    /// Its tenant; none for operators and scrapers.
    #[schema(value_type = Option<String>)]
    tenant: Option<TenantId>,
    /// Who it is for, 1 to 200 characters; stands in the audit.
    subject: String,
    /// What it may do, separated by blanks: `query`, `documents:read`, `documents:write`, `reindex` with a tenant (all of them when
    /// unset), `tenants:admin`, `metrics` without.
    scope: Option<String>,
    /// Days it lives, 1 to 3650.
    #[schema(minimum = 1, maximum = 3650)]
    days: Option<u32>,
}

impl TokenBody {
    fn request(self, default_days: u32) -> Result<TokenRequest, ApiError> {
        let Self { tenant, subject, scope, days } = self;
        let wrong = |pointer: &str, detail: String| Err(ApiError::new(Code::InvalidBody, detail).at(pointer));
        if !(1..=MAX_SUBJECT).contains(&subject.chars().count()) || subject.chars().any(char::is_control) {
            return wrong("#/subject", format!("`subject` must have 1 to {MAX_SUBJECT} characters on one line"));
        }
        let days = days.unwrap_or(default_days);
        if !(1..=MAX_DAYS).contains(&days) {
            return wrong("#/days", format!("`days` is {days}; it must be from 1 to {MAX_DAYS}"));
        }
        let scope = scope.unwrap_or_else(|| if tenant.is_some() { TENANT_SCOPE.to_owned() } else { String::new() });
        let mut permissions = Vec::new();
        for name in scope.split_ascii_whitespace() {
            match Permission::parse(name) {
                None => return wrong("#/scope", format!("`scope` names `{name}`, which is no permission")),
                Some(permission) if permission.is_tenants_own() != tenant.is_some() => {
                    let needs = if tenant.is_some() { "no tenant" } else { "a tenant" };
                    return wrong("#/scope", format!("`scope` names `{name}`, which needs {needs}"));
                }
                Some(permission) if permissions.contains(&permission) => {}
                Some(permission) => permissions.push(permission),
            }
        }
        if permissions.is_empty() {
            return wrong("#/scope", "`scope` is empty: name what the token may do".to_owned());
        }
        Ok(TokenRequest { tenant, subject, permissions, days })
    }
}

/// A fresh token; its text is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenReply {
    /// The token.
    token: String,
    /// Its id, to revoke it by.
    jti: String,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Mints a token.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "operator", operation_id = "mint_token", request_body = TokenBody,
    responses((status = 201, body = TokenReply)))]
pub async fn mint(
    State(state): State<HttpState>,
    operator: Operator,
    request_id: RequestId,
    Body(body): Body<TokenBody>,
) -> Result<Response, ApiError> {
    let request = body.request(state.config.auth.default_token_days)?;
    if let Some(tenant) = &request.tenant {
        state.tenants.desk_for(&operator, tenant)?;
    }
    let tenant = request.tenant.clone();
    let MintedToken { token, jti, expires_at } = state.tokens.mint(request).await?;
    let deed = Deed { actor: operator.subject(), action: "token.mint", tenant: tenant.as_ref() };
    deed.record(&state, &jti, &request_id).await;
    Ok((StatusCode::CREATED, Json(TokenReply { token, jti, expires_at })).into_response())
}

/// Which tokens to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TokensParams {
    /// Only tokens of this tenant.
    #[param(value_type = Option<String>)]
    tenant: Option<TenantId>,
}

/// Lists minted tokens, newest first, without their texts.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "operator", operation_id = "list_tokens", params(TokensParams),
    responses((status = 200, body = List<TokenView>)))]
pub async fn list(
    State(state): State<HttpState>,
    _: Operator,
    Params(asked): Params<TokensParams>,
) -> Result<Json<List<TokenView>>, ApiError> {
    let tokens = state.ledger.tokens(asked.tenant.as_ref()).await?;
    Ok(List::whole(tokens, Into::into, |token: &TokenView| token.jti.clone()))
}

/// Revokes a token at once.
#[utoipa::path(delete, path = "/api/v1/tokens/{jti}", tag = "operator", operation_id = "revoke_token",
    params(("jti" = String, Path, description = "The token's id")), responses((status = 204)))]
pub async fn revoke(
    State(state): State<HttpState>,
    operator: Operator,
    request_id: RequestId,
    Id(jti): Id<String>,
) -> Result<StatusCode, ApiError> {
    if !state.tokens.revoke(&jti).await? {
        return Err(ApiError::new(Code::NotFound, "there is no such token"));
    }
    Deed { actor: operator.subject(), action: "token.revoke", tenant: None }.record(&state, &jti, &request_id).await;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(tenant: Option<&str>, scope: Option<&str>, days: Option<u32>) -> Result<Vec<Permission>, &'static str> {
        let tenant = tenant.map(|id| TenantId::parse(id).unwrap());
        let body = TokenBody { tenant, subject: "bot".into(), scope: scope.map(Into::into), days };
        body.request(90).map(|request| request.permissions).map_err(|error| match error.pointers()[0] {
            "#/scope" => "scope",
            "#/days" => "days",
            _ => "other",
        })
    }

    #[test]
    fn a_token_gets_only_what_fits_its_holder() {
        use Permission::{DocumentsRead, DocumentsWrite, Query, Reindex, TenantsAdmin};
        assert_eq!(request(Some("acme"), None, None), Ok(vec![Query, DocumentsRead, DocumentsWrite, Reindex]));
        assert_eq!(request(Some("acme"), Some("query  query"), Some(1)), Ok(vec![Query]));
        assert_eq!(request(None, Some("tenants:admin"), None), Ok(vec![TenantsAdmin]));
        for (tenant, scope) in [
            (Some("acme"), Some("tenants:admin")),
            (Some("acme"), Some("query metrics")),
            (None, Some("query")),
            (None, None),
            (Some("acme"), Some(" ")),
            (Some("acme"), Some("everything")),
        ] {
            assert_eq!(request(tenant, scope, None), Err("scope"), "{tenant:?} {scope:?}");
        }
        assert_eq!(request(Some("acme"), None, Some(0)), Err("days"));
        assert_eq!(request(Some("acme"), None, Some(MAX_DAYS + 1)), Err("days"));
    }
}

//! Tokens: minting one (shown once), listing, revoking.

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tracing::Instrument;
use uuid::Uuid;

use super::error::AdminError;
use super::notes::Note;
use super::once::{Form as Followed, Made};
use super::request::{Form, Path, Query, SignedIn};
use super::shell::{Section, Shell, page, page_with};
use super::show::{self, Chip, Message, Tone, When};
use super::state::{AdminState, Deed};
use super::steps::{self, Taken};
use crate::access::{Permission, TokenRequest, is_command_lines};
use crate::domain::{TenantId, Timestamp};
use crate::ledger::TokenRecord;

/// The longest a token may live, days.
const MOST_DAYS: u32 = 3650;
/// The longest name of a token's holder, characters.
const MOST_SUBJECT: usize = 200;
/// Tokens shown.
const SHOWN: usize = 200;
/// What a reload of the page that showed a token says.
const SHOWN_ALREADY: &str = "The token of this form was shown already and is not shown again. Where it was not kept, make another and revoke it below.";

/// The list of tokens, the form that makes one, and the one just made.
#[derive(Template)]
#[template(path = "admin/tokens.html")]
pub struct TokensPage {
    /// What surrounds it.
    pub shell: Shell,
    /// Only tokens of this tenant; empty for all.
    pub tenant: String,
    /// The token just made.
    pub minted: Option<FreshToken>,
    /// Every tenant, to choose from.
    pub choices: Vec<TenantChoice>,
    /// What a token may do.
    pub permissions: Vec<PermissionChoice>,
    /// The form's own id: it is followed once, however often it is sent.
    pub once: Uuid,
    /// The form as it was sent.
    pub form: MintForm,
    /// What is wrong with it.
    pub error: Message,
    /// The most days.
    pub most_days: u32,
    /// Newest first.
    pub rows: Vec<TokenRow>,
}

/// A token that is shown this once.
#[derive(Debug, Clone)]
pub struct FreshToken {
    /// Its text.
    pub token: String,
    /// When it ends.
    pub expires: When,
    /// A command that tries it; empty when it may not ask.
    pub curl: String,
}

/// A tenant to choose.
#[derive(Debug, Clone)]
pub struct TenantChoice {
    /// Its id.
    pub id: String,
    /// Whether it is chosen.
    pub chosen: bool,
}

/// A permission to choose.
#[derive(Debug, Clone)]
pub struct PermissionChoice {
    /// Its name in a token's scope.
    pub name: &'static str,
    /// What it allows.
    pub label: &'static str,
    /// Whether it is chosen.
    pub chosen: bool,
}

/// A token in the list.
#[derive(Debug, Clone)]
pub struct TokenRow {
    /// Who holds it.
    pub subject: String,
    /// Its tenant; empty for operators and scrapers.
    pub tenant: String,
    /// What it may do.
    pub scope: Vec<String>,
    /// When it was made.
    pub created: When,
    /// When it ends.
    pub expires: When,
    /// Whether it still works.
    pub chip: Chip,
    /// Where it is revoked; empty when it no longer works.
    pub revoke_href: String,
}

/// The form that makes a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintForm {
    /// The tenant; empty for none.
    pub tenant: String,
    /// Who will hold it.
    pub subject: String,
    /// What it may do.
    pub permissions: Vec<Permission>,
    /// Days it lives, as typed.
    pub days: String,
}

impl MintForm {
    /// The form ahead of any input.
    pub fn new(tenant: &str, days: u32) -> Self {
        let permissions = vec![Permission::Query, Permission::DocumentsRead];
        Self { tenant: tenant.to_owned(), subject: String::new(), permissions, days: days.to_string() }
    }

    /// The form as it was sent: checkboxes send one pair each.
    fn of(fields: &[(String, String)]) -> Self {
        let field = |wanted: &str| {
            fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let ticked = fields.iter().filter(|(name, _)| name == "permission");
        let permissions = ticked.filter_map(|(_, value)| Permission::parse(value)).collect();
        Self { tenant: field("tenant"), subject: field("subject"), permissions, days: field("days") }
    }

    /// What is asked for.
    ///
    /// # Errors
    /// What is wrong, as a sentence.
    fn check(&self) -> Result<TokenRequest, String> {
        let tenant = match self.tenant.as_str() {
            "" => None,
            id => Some(TenantId::parse(id).map_err(|_| "Choose one of the tenants.".to_owned())?),
        };
        let named = (1..=MOST_SUBJECT).contains(&self.subject.chars().count());
        if !named || self.subject.chars().any(char::is_control) {
            return Err(format!("Say who will hold it, in at most {MOST_SUBJECT} characters."));
        }
        if self.permissions.is_empty() {
            return Err("Choose at least one permission.".into());
        }
        let for_all = |permission: &Permission| matches!(permission, Permission::TenantsAdmin | Permission::Metrics);
        if tenant.is_some() && self.permissions.iter().any(for_all) {
            return Err("`tenants:admin` and `metrics` reach beyond one tenant: choose no tenant for them.".into());
        }
        if tenant.is_none() && !self.permissions.iter().all(for_all) {
            return Err("Questions and documents belong to a tenant: choose which.".into());
        }
        let days = self.days.parse().ok().filter(|days| (1..=MOST_DAYS).contains(days));
        let days = days.ok_or_else(|| format!("Days must be from 1 to {MOST_DAYS}."))?;
        Ok(TokenRequest { tenant, subject: self.subject.clone(), permissions: self.permissions.clone(), days })
    }
}

fn label(permission: Permission) -> &'static str {
    match permission {
        Permission::Query => "ask and search",
        Permission::DocumentsRead => "list and read documents",
        Permission::DocumentsWrite => "upload and delete documents",
        Permission::Reindex => "rebuild the index, follow jobs",
        Permission::TenantsAdmin => "everything an operator does",
        Permission::Metrics => "scrape metrics",
    }
}

impl TokensPage {
    /// The page of these tokens.
    pub fn new(shell: Shell, tenants: &[TenantId], tokens: &[TokenRecord], form: MintForm, now: Timestamp) -> Self {
        let choice = |id: &TenantId| TenantChoice { id: id.to_string(), chosen: id.as_str() == form.tenant };
        let permissions = Permission::ALL.map(|permission| PermissionChoice {
            name: permission.as_str(),
            label: label(permission),
            chosen: form.permissions.contains(&permission),
        });
        Self {
            shell,
            tenant: String::new(),
            minted: None,
            choices: tenants.iter().map(choice).collect(),
            permissions: permissions.into(),
            once: Uuid::new_v4(),
            form,
            error: Message::default(),
            most_days: MOST_DAYS,
            rows: tokens
                .iter()
                .filter(|token| !is_command_lines(token))
                .take(SHOWN)
                .map(|token| TokenRow::new(token, now))
                .collect(),
        }
    }
}

impl TokenRow {
    fn new(token: &TokenRecord, now: Timestamp) -> Self {
        let chip = match token.revoked_at {
            Some(_) => Chip::new(Tone::Bad, "Revoked"),
            None if token.expires_at <= now => Chip::new(Tone::Idle, "Expired"),
            None => Chip::new(Tone::Ok, "Active"),
        };
        let works = chip.tone == Tone::Ok;
        Self {
            subject: show::name(&token.subject),
            tenant: token.tenant.as_ref().map(ToString::to_string).unwrap_or_default(),
            scope: token.scope.split_whitespace().map(show::name).collect(),
            created: When::new(token.created_at, now),
            expires: When::new(token.expires_at, now),
            chip,
            revoke_href: if works {
                format!("/admin/tokens/{}/revoke", show::encoded(&token.jti))
            } else {
                String::new()
            },
        }
    }
}

/// Which tenant's tokens.
#[derive(Debug, Default, Deserialize)]
pub struct TokensQuery {
    tenant: Option<TenantId>,
    /// The form whose token is to be shown.
    #[serde(default)]
    made: String,
}

/// `GET /admin/tokens`; behind a form, with the token that it made, this once.
pub async fn list(
    State(state): State<AdminState>,
    who: SignedIn,
    headers: HeaderMap,
    Query(query): Query<TokensQuery>,
) -> Result<Response, AdminError> {
    let tenant = query.tenant.as_ref();
    let days = state.http.config.auth.default_token_days;
    let form = MintForm::new(tenant.map(TenantId::as_str).unwrap_or_default(), days);
    let mut view = tokens_page(&state, &who, tenant, form).await?;
    if let Ok(id) = Uuid::try_parse(&query.made) {
        match state.once.take(id).await {
            Some(made) => view.minted = Some(FreshToken::new(made, &state.site.base_url(&headers), Timestamp::now())),
            None => view.shell.note = Some(Arc::new(Note::new(Tone::Info, SHOWN_ALREADY))),
        }
    }
    page(&view)
}

async fn tokens_page(
    state: &AdminState,
    who: &SignedIn,
    tenant: Option<&TenantId>,
    form: MintForm,
) -> Result<TokensPage, AdminError> {
    let tokens = state.http.ledger.tokens(tenant).await?;
    let tenants: Vec<_> = state.http.tenants.statuses(&who.operator).into_iter().map(|status| status.id).collect();
    let view = TokensPage::new(who.shell(Section::Tokens), &tenants, &tokens, form, Timestamp::now());
    Ok(TokensPage { tenant: tenant.map(ToString::to_string).unwrap_or_default(), ..view })
}

/// `POST /admin/tokens`: makes the token, once a form, and leaves it to the page behind the redirect.
pub async fn mint(
    State(state): State<AdminState>,
    who: SignedIn,
    headers: HeaderMap,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, AdminError> {
    let tick = steps::tick(&state, &headers, Taken::Called);
    // On its own: a browser that leaves, as at a double click, must not part the token from the form that made it.
    let minting = tokio::spawn(mint_once(state, who, fields).in_current_span());
    match minting.await.map_err(|_| AdminError::Late)?? {
        Minting::Refused(page) => Ok(page),
        Minting::Made(to) => Ok(([tick], Redirect::to(&to)).into_response()),
    }
}

/// How a form was followed.
enum Minting {
    /// Not: the page says what is wrong.
    Refused(Response),
    /// Now or before: the token is shown there.
    Made(String),
}

async fn mint_once(state: AdminState, who: SignedIn, fields: Vec<(String, String)>) -> Result<Minting, AdminError> {
    let sent = fields.iter().find(|(name, _)| name == "once").and_then(|(_, id)| Uuid::try_parse(id).ok());
    let id = sent.unwrap_or_else(Uuid::new_v4);
    let once = state.once.form(id);
    let mut once = once.lock().await;
    if matches!(*once, Followed::Fresh) {
        let form = MintForm::of(&fields);
        match requested(&state, &who, &form) {
            Err(error) => {
                let view = tokens_page(&state, &who, None, form).await?;
                let view = TokensPage { error: error.into(), once: id, ..view };
                return page_with(StatusCode::UNPROCESSABLE_ENTITY, &view).map(Minting::Refused);
            }
            Ok(request) => *once = Followed::Made(Box::new(make(&state, &who, request).await?), Instant::now()),
        }
    }
    let tenant = match &*once {
        Followed::Made(made, _) => made.tenant.as_ref().map(|tenant| format!("&tenant={tenant}")).unwrap_or_default(),
        Followed::Fresh | Followed::Shown => String::new(),
    };
    Ok(Minting::Made(format!("/admin/tokens?made={id}{tenant}")))
}

/// What the form asks for.
fn requested(state: &AdminState, who: &SignedIn, form: &MintForm) -> Result<TokenRequest, String> {
    let request = form.check()?;
    let missing = request.tenant.as_ref().filter(|id| state.http.tenants.desk_for(&who.operator, id).is_err());
    if missing.is_some() { Err("Choose one of the tenants.".into()) } else { Ok(request) }
}

async fn make(state: &AdminState, who: &SignedIn, request: TokenRequest) -> Result<Made, AdminError> {
    let (asks, tenant) = (request.permissions.contains(&Permission::Query), request.tenant.clone());
    let minted = state.http.tokens.mint(request).await?;
    let deed = Deed { action: "token.mint", tenant: tenant.as_ref(), target: &minted.jti };
    who.did(state, deed).await;
    Ok(Made { minted, asks, tenant })
}

impl FreshToken {
    /// A token, ready to show, with a command that tries it at `base_url` when it may ask.
    pub fn new(Made { minted, asks, .. }: Made, base_url: &str, now: Timestamp) -> Self {
        let curl = format!(
            "curl -s {base_url}/api/v1/query \\\n  -H 'Authorization: Bearer {}' \\\n  -H 'Content-Type: application/json' \\\n  -d '{{\"query\":\"your question\"}}'",
            minted.token
        );
        let expires = When::new(minted.expires_at, now);
        Self { token: minted.token, expires, curl: if asks { curl } else { String::new() } }
    }
}

/// `POST /admin/tokens/{jti}/revoke`: at once.
pub async fn revoke(
    State(state): State<AdminState>,
    who: SignedIn,
    Path(jti): Path<String>,
) -> Result<Response, AdminError> {
    if !state.http.tokens.revoke(&jti).await? {
        return Err(AdminError::NoPage);
    }
    who.did(&state, Deed::new("token.revoke", &jti)).await;
    Ok(state.notes.redirect("/admin/tokens", Note::ok("The token is revoked; it is refused from now on.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Result<TokenRequest, String> {
        let fields: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        MintForm::of(&fields).check()
    }

    #[test]
    fn a_token_is_asked_for_with_every_box_that_was_ticked() {
        let request = form(&[
            ("tenant", "acme"),
            ("subject", " billing app "),
            ("permission", "query"),
            ("permission", "documents:read"),
            ("days", "30"),
        ])
        .unwrap();
        assert_eq!(request.tenant.unwrap().as_str(), "acme");
        assert_eq!((request.subject.as_str(), request.days), ("billing app", 30));
        assert_eq!(request.permissions, [Permission::Query, Permission::DocumentsRead]);
    }

    #[test]
    fn a_token_never_reaches_further_than_its_tenant() {
        let with = |tenant, permission| {
            form(&[("tenant", tenant), ("subject", "a"), ("permission", permission), ("days", "1")]).map(|_| ())
        };
        assert!(with("acme", "tenants:admin").is_err());
        assert!(with("acme", "metrics").is_err());
        assert!(with("", "query").is_err());
        assert!(with("../x", "query").is_err());
        assert!(with("acme", "everything").is_err());
        assert_eq!(with("", "metrics"), Ok(()));
        for days in ["0", "3651", "-1", "", "x"] {
            assert!(form(&[("tenant", "a"), ("subject", "a"), ("permission", "query"), ("days", days)]).is_err());
        }
    }
}

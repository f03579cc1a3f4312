//! The tenants: their table, adding one, removing one, reading their files again.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::error::AdminError;
use super::notes::{Note, NoteLine};
use super::request::{AtTenant, Form, Query, SignedIn};
use super::shell::{Section, Shell, page, page_with};
use super::show::{self, Chip, Message, Tone, When};
use super::state::{AdminState, Deed};
use super::theme::own_path;
use crate::actors::{DeskError, Health, TenantStatus};
use crate::domain::{TenantId, Timestamp};

/// Tenants shown at once; the search finds the others.
const SHOWN: usize = 200;

/// One tenant in the table.
#[derive(Debug, Clone)]
pub struct TenantRow {
    /// Its page.
    pub href: String,
    /// Its name; the id when it has none.
    pub name: String,
    /// Its id.
    pub id: String,
    /// How it fares.
    pub chip: Chip,
    /// Documents found by questions.
    pub documents: String,
    /// Chunks in the index.
    pub chunks: String,
    /// Size of the index.
    pub size: String,
    /// When the serving generation was built.
    pub built: Option<When>,
    /// Times its writer was restarted since boot.
    pub restarts: String,
    /// Its last error, when it is not well, or what is wrong with its file.
    pub problem: Message,
    /// How bad that is.
    pub tone: Tone,
}

impl TenantRow {
    /// A tenant as seen from `now`.
    pub fn new(status: &TenantStatus, now: Timestamp) -> Self {
        let chip = Chip::of_health(&status.health);
        let wrong_file = status.wrong_file.as_deref().unwrap_or_default();
        let problem = match &status.health {
            Health::Ready | Health::Building { .. } => wrong_file,
            Health::Restarting { cause } | Health::Failed { cause, .. } | Health::Quarantined { cause } => cause,
        };
        Self {
            href: format!("/admin/tenants/{}", status.id),
            name: display_name(&status.name, &status.id),
            id: status.id.to_string(),
            tone: if chip.tone == Tone::Ok { Tone::Warn } else { chip.tone },
            chip,
            documents: show::count(status.documents),
            chunks: show::count(status.chunks),
            size: show::bytes(status.bytes),
            built: status.built_at.map(|at| When::new(at, now)),
            restarts: show::count(status.restarts),
            problem: Message::new(problem),
        }
    }
}

/// A tenant's name; its id when it has none.
pub fn display_name(name: &str, id: &TenantId) -> String {
    if name.trim().is_empty() { id.to_string() } else { show::name(name) }
}

/// The table of tenants and the form that adds one.
#[derive(Template)]
#[template(path = "admin/tenants.html")]
pub struct TenantsPage {
    /// What surrounds it.
    pub shell: Shell,
    /// By id.
    pub rows: Vec<TenantRow>,
    /// How many there are, and how many are shown.
    pub summary: String,
    /// What was searched for.
    pub search: String,
    /// The form's fields as they were sent.
    pub form: AddForm,
    /// What is wrong with them.
    pub error: Message,
}

/// The form that adds a tenant.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct AddForm {
    /// Its id.
    pub id: String,
    /// Its name; may be empty.
    pub name: String,
}

/// What is searched for.
#[derive(Debug, Default, Deserialize)]
pub struct SearchQuery {
    #[serde(default)]
    q: String,
}

impl TenantsPage {
    /// The page of these tenants.
    pub fn new(shell: Shell, tenants: &[TenantStatus], search: &str, now: Timestamp) -> Self {
        let wanted = search.trim().to_lowercase();
        let fits = |tenant: &&TenantStatus| {
            tenant.id.as_str().contains(&wanted) || tenant.name.to_lowercase().contains(&wanted)
        };
        let found: Vec<_> = tenants.iter().filter(fits).collect();
        let rows: Vec<_> = found.iter().take(SHOWN).map(|tenant| TenantRow::new(tenant, now)).collect();
        let summary = if found.len() > SHOWN {
            format!("{SHOWN} of {} shown; search to find the others.", show::counted(found.len() as u64, "tenant"))
        } else {
            show::counted(found.len() as u64, "tenant")
        };
        let search = show::name(search.trim());
        Self { shell, rows, summary, search, form: AddForm::default(), error: Message::default() }
    }
}

/// `GET /admin/tenants`.
pub async fn list(
    State(state): State<AdminState>,
    who: SignedIn,
    Query(query): Query<SearchQuery>,
) -> Result<Response, AdminError> {
    let tenants = state.http.tenants.statuses(&who.operator);
    page(&TenantsPage::new(who.shell(Section::Tenants), &tenants, &query.q, Timestamp::now()))
}

/// `POST /admin/tenants`: adds one.
pub async fn add(
    State(state): State<AdminState>,
    who: SignedIn,
    Form(form): Form<AddForm>,
) -> Result<Response, AdminError> {
    let added = match TenantId::parse(form.id.trim()) {
        Ok(id) => state.http.tenants.add(&who.operator, &id, &settings_file(&form.name)).await.map(|()| id),
        Err(error) => Err(DeskError::Settings(error.to_string())),
    };
    match added {
        Ok(id) => {
            who.did(&state, Deed { action: "tenant.add", tenant: Some(&id), target: id.as_str() }).await;
            let note = Note::ok("The tenant is there. Upload its first document, or drop files into its folder.");
            Ok(state.notes.redirect(&format!("/admin/tenants/{id}"), note))
        }
        Err(error @ (DeskError::TenantExists(_) | DeskError::Settings(_))) => {
            let tenants = state.http.tenants.statuses(&who.operator);
            let view = TenantsPage::new(who.shell(Section::Tenants), &tenants, "", Timestamp::now());
            let error = Message::sentence(&error.to_string());
            page_with(StatusCode::UNPROCESSABLE_ENTITY, &TenantsPage { form, error, ..view })
        }
        Err(error) => Err(error.into()),
    }
}

/// A tenant's file that says its name and leaves the rest to the defaults.
fn settings_file(name: &str) -> String {
    match name.trim() {
        "" => String::new(),
        name => format!("name = {}\n", toml::Value::String(name.to_owned())),
    }
}

/// Where to go on after the files were read.
#[derive(Debug, Default, Deserialize)]
pub struct BackQuery {
    #[serde(default)]
    back: String,
}

/// `POST /admin/tenants/reload`: reads the files again.
pub async fn reload(
    State(state): State<AdminState>,
    who: SignedIn,
    Query(query): Query<BackQuery>,
) -> Result<Response, AdminError> {
    let wrong = state.http.tenants.reload(&who.operator).await?;
    who.did(&state, Deed::new("tenant.reload", "tenants")).await;
    let note = if wrong.is_empty() {
        Note::ok("The tenants' files were read again.")
    } else {
        let line = |text| NoteLine { tone: Tone::Bad, name: String::new(), text: Message::new(text) };
        let lines = wrong.iter().flat_map(|file| file.lines()).map(line).collect();
        Note { lines, ..Note::new(Tone::Warn, "Some files are wrong; their tenants stay as they were.") }
    };
    let back = if query.back.is_empty() { "/admin/tenants" } else { own_path(&query.back) };
    Ok(state.notes.redirect(back, note))
}

/// The page that asks before a tenant is removed.
#[derive(Template)]
#[template(path = "admin/remove_tenant.html")]
pub struct RemovePage {
    /// What surrounds it.
    pub shell: Shell,
    /// The tenant.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What goes with it: `128 documents, 4.2 MiB`.
    pub goes: String,
    /// What is wrong with what was typed.
    pub error: Message,
}

/// What was typed to confirm.
#[derive(Deserialize)]
pub struct ConfirmForm {
    confirm: String,
}

/// `GET /admin/tenants/{tenant}/remove`.
pub async fn remove_page(at: AtTenant) -> Result<Response, AdminError> {
    page(&removal(&at, Message::default()).await?)
}

async fn removal(at: &AtTenant, error: Message) -> Result<RemovePage, AdminError> {
    let totals = at.desk.totals().await?;
    Ok(RemovePage {
        shell: at.who.shell(Section::Tenants),
        id: at.id.to_string(),
        name: display_name(&at.desk.settings().name, &at.id),
        goes: format!("{}, {}", show::counted(totals.documents, "document"), show::bytes(totals.bytes)),
        error,
    })
}

/// `POST /admin/tenants/{tenant}/remove`: with all it has, at once and for good.
pub async fn remove(
    State(state): State<AdminState>,
    at: AtTenant,
    Form(form): Form<ConfirmForm>,
) -> Result<Response, AdminError> {
    if form.confirm.trim() != at.id.as_str() {
        let error = format!("Type {} to remove the tenant.", at.id);
        return page_with(StatusCode::UNPROCESSABLE_ENTITY, &removal(&at, error.into()).await?);
    }
    // First the tokens: whatever fails after this, nobody of the tenant comes in any more.
    state.http.tokens.revoke_tenant(&at.id).await?;
    state.http.tenants.remove(&at.who.operator, &at.id).await?;
    at.did(&state, "tenant.remove", at.id.as_str()).await;
    Ok(state.notes.redirect("/admin/tenants", Note::ok(format!("The tenant {} is removed.", at.id))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, TenantSettings};

    #[test]
    fn a_name_cannot_add_settings_to_the_file() {
        for name in ["Acme \"quoted\" \\ Ltd", "x\"\n[limits]\nburst = 9", "line\nbreak", "日本", "'''", "\u{7f}"] {
            let file = settings_file(name);
            let settings: toml::Table = file.parse().unwrap();
            assert_eq!(settings.len(), 1, "{file}");
            assert_eq!(settings["name"].as_str(), Some(name.trim()));
        }
        let settings = TenantSettings::parse("tenants/a.toml", &settings_file("  "), &Config::default()).unwrap();
        assert_eq!(settings, TenantSettings::default());
    }
}

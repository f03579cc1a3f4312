//! One tenant: how it fares, its documents, its jobs, a rebuild on request.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::document::{delete_href, document_href};
use super::error::AdminError;
use super::index::Outdated;
use super::jobs::{FilterChip, JobRow, job_href};
use super::notes::Note;
use super::request::{AtTenant, Named, Query};
use super::shell::{Section, Shell, page};
use super::show::{self, Chip, Message, Tone, When};
use super::state::AdminState;
use super::stopped::StoppedPage;
use super::tenants::display_name;
use crate::actors::{DeskError, Health, HeldBack, TenantStatus};
use crate::domain::{DocumentId, DocumentState, DocumentStatus, Job, JobId, TenantId, Timestamp};
use crate::index::LanguageShare;
use crate::ledger::{DocumentTotals, Listed, Page};

/// Documents on one page.
const DOCUMENTS: usize = 50;
/// Jobs shown.
const JOBS: usize = 8;

/// One document in the table.
#[derive(Debug, Clone)]
pub struct DocumentRow {
    /// Its page.
    pub href: String,
    /// The page that asks before it is deleted.
    pub delete_href: String,
    /// Its name.
    pub name: String,
    /// Its title, where that says more than the name.
    pub title: String,
    /// Where it stands.
    pub chip: Chip,
    /// Its size.
    pub size: String,
    /// Chunks, once there are some.
    pub chunks: String,
    /// Last change.
    pub when: When,
    /// Why it failed, or what was lost.
    pub problem: Message,
}

impl DocumentRow {
    /// A document as seen from `now`.
    pub fn new(tenant: &TenantId, document: &DocumentStatus, now: Timestamp) -> Self {
        let title = document.title.as_deref().filter(|title| *title != document.name).unwrap_or_default();
        Self {
            href: document_href(tenant, &document.id, None),
            delete_href: delete_href(tenant, &document.id),
            name: show::name(&document.name),
            title: show::name(title),
            chip: Chip::of_document(document),
            size: show::bytes(document.bytes),
            chunks: if document.chunks == 0 { String::new() } else { show::count(document.chunks.into()) },
            when: When::new(document.updated_at, now),
            problem: document.problem.as_ref().map(|problem| Message::new(&problem.message)).unwrap_or_default(),
        }
    }
}

/// A tenant's page; `live` is the part that refreshes itself while jobs run.
#[derive(Template)]
#[template(path = "admin/tenant.html", blocks = ["live"])]
pub struct TenantPage {
    /// What surrounds it.
    pub shell: Shell,
    /// Its head.
    pub head: TenantHead,
    /// What cannot be overlooked: why it does not answer.
    pub trouble: Message,
    /// What is wrong with its file, a line a mistake, while it goes on with the settings it had.
    pub wrong_file: Vec<Message>,
    /// Where the index is not what the settings want.
    pub outdated: Outdated,
    /// Newer generations that are held back, in words; empty when there are none.
    pub held: Message,
    /// Numbers with their names.
    pub facts: Vec<(&'static str, String)>,
    /// When the serving generation was built.
    pub built: Option<When>,
    /// The rebuild under way.
    pub rebuild: Option<JobRow>,
    /// By state.
    pub filters: Vec<FilterChip>,
    /// By id.
    pub documents: Vec<DocumentRow>,
    /// The first page, when this is another; else empty.
    pub first_href: String,
    /// The next page; empty on the last.
    pub next_href: String,
    /// Newest first.
    pub rows: Vec<JobRow>,
    /// Last errors, newest first.
    pub errors: Vec<(When, Message)>,
    /// Where documents go that are put there by hand.
    pub folder: String,
    /// Largest upload, bytes.
    pub max_bytes: u64,
    /// Largest upload, in words.
    pub max_words: String,
    /// Where the live part is fetched again; empty when nothing moves.
    pub live_url: String,
}

/// What stands at the head of each page of a tenant.
#[derive(Debug, Clone)]
pub struct TenantHead {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How it fares.
    pub chip: Chip,
    /// Which of its pages this is: `documents`, `index`, `ask` or `remove`.
    pub tab: &'static str,
}

impl TenantHead {
    /// The head of a tenant's page.
    pub fn new(status: &TenantStatus, tab: &'static str) -> Self {
        let name = display_name(&status.name, &status.id);
        Self { id: status.id.to_string(), name, chip: Chip::of_health(&status.health), tab }
    }
}

/// What the page is asked for.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct DocumentsQuery {
    /// Only documents of this state.
    pub state: Option<DocumentState>,
    /// Only documents behind this one.
    pub after: Option<DocumentId>,
    /// The live part alone.
    #[serde(default)]
    pub fragment: bool,
}

/// What a tenant's page is made from.
#[derive(Debug, Clone)]
pub struct TenantFacts {
    /// How it fares.
    pub status: TenantStatus,
    /// Sums over its documents.
    pub totals: DocumentTotals,
    /// A page of documents.
    pub documents: Listed<DocumentStatus>,
    /// The newest jobs.
    pub jobs: Vec<Job>,
    /// Newer generations that are held back.
    pub held: Vec<HeldBack>,
    /// Largest upload, bytes.
    pub max_bytes: u64,
}

impl TenantPage {
    /// The page of these facts.
    pub fn new(shell: Shell, facts: &TenantFacts, query: &DocumentsQuery, now: Timestamp) -> Self {
        let TenantFacts { status, totals, documents, jobs, held, max_bytes } = facts;
        let id = &status.id;
        let rows: Vec<_> = jobs.iter().map(|job| JobRow::new(id, job, now)).collect();
        let moves = totals.waiting > 0 || rows.iter().any(|row| row.moves);
        let rebuild = rows.iter().find(|row| row.moves && row.subject.is_empty()).cloned();
        let last = documents.entries.last().filter(|_| documents.has_more);
        Self {
            shell,
            head: TenantHead::new(status, "documents"),
            trouble: trouble(status),
            wrong_file: status.wrong_file.iter().flat_map(|wrong| wrong.lines()).map(Message::new).collect(),
            outdated: Outdated::new(status, rebuild.is_some() || status.building.is_some(), held),
            held: held_words(held),
            facts: index_facts(status, totals),
            built: status.built_at.map(|at| When::new(at, now)),
            rebuild,
            filters: filters(id, totals, query.state),
            documents: documents.entries.iter().map(|document| DocumentRow::new(id, document, now)).collect(),
            first_href: query.after.as_ref().map(|_| list_href(id, query.state, None)).unwrap_or_default(),
            next_href: last.map(|last| list_href(id, query.state, Some(&last.id))).unwrap_or_default(),
            rows,
            errors: status.errors.iter().map(|(at, text)| (When::new(*at, now), Message::new(text))).collect(),
            folder: format!("documents/{id}/"),
            max_bytes: *max_bytes,
            max_words: show::bytes(*max_bytes),
            live_url: if moves { live_href(id, query) } else { String::new() },
        }
    }
}

/// `Generation 12 failed its checks …`; empty when none waits.
pub fn held_words(held: &[HeldBack]) -> Message {
    let Some(newest) = held.first() else { return Message::default() };
    let number = newest.number;
    format!("Generation {number} failed its checks and is held back; the one before it goes on answering.").into()
}

fn trouble(status: &TenantStatus) -> Message {
    let text = match &status.health {
        Health::Ready => return Message::default(),
        Health::Building { .. } if status.answers => return Message::default(),
        Health::Building { .. } => "The first index is being built. Questions are answered once it is done.".into(),
        Health::Restarting { cause } => {
            format!("The writer is being restarted. Questions are answered from the last index. Cause: {cause}")
        }
        Health::Failed { cause, .. } => format!("The index cannot be built. Another attempt follows. Cause: {cause}"),
        Health::Quarantined { cause } => format!(
            "The writer died too often and is left alone. Mend the cause, then reindex or restart Carrel. Cause: {cause}"
        ),
    };
    Message::new(&text)
}

fn index_facts(status: &TenantStatus, totals: &DocumentTotals) -> Vec<(&'static str, String)> {
    let generation = if status.generation == 0 { "none yet".into() } else { show::count(status.generation) };
    vec![
        ("Documents", format!("{} · {}", show::count(totals.documents), show::bytes(totals.bytes))),
        ("Index", format!("{} · {}", show::counted(status.chunks, "chunk"), show::bytes(status.bytes))),
        ("Embedder", show::name(&status.embedder)),
        ("Languages", languages(status)),
        ("Restarts", show::count(status.restarts)),
        ("Generation", generation),
    ]
}

/// The languages of the documents, and which of them are searched by words alone.
fn languages(status: &TenantStatus) -> String {
    let spoken = status.languages.iter().filter(|share| share.language != "und" && share.prose > 0.0);
    let shown = |share: &LanguageShare| {
        let alone = if status.english_only && share.language != "en" { " by words alone" } else { "" };
        format!("{} {:.0} %{alone}", show::name(&share.language), share.prose * 100.0)
    };
    let shown: Vec<String> = spoken.map(shown).collect();
    if shown.is_empty() { "none known".into() } else { shown.join(" · ") }
}

fn filters(id: &TenantId, totals: &DocumentTotals, wanted: Option<DocumentState>) -> Vec<FilterChip> {
    let chip = |label, state, count: Option<u64>| FilterChip {
        href: list_href(id, state, None),
        label,
        count: count.map(show::count).unwrap_or_default(),
        current: wanted == state,
    };
    let mut filters = vec![
        chip("All", None, Some(totals.documents)),
        chip("Live", Some(DocumentState::Live), Some(totals.live.saturating_sub(totals.warnings))),
        chip("Warnings", Some(DocumentState::Warning), Some(totals.warnings)),
        chip("Failed", Some(DocumentState::Failed), Some(totals.failed)),
    ];
    // Queued and working share one sum, so their chips say how many only together: they show while something waits.
    if totals.waiting > 0 || matches!(wanted, Some(DocumentState::Queued | DocumentState::Working)) {
        filters.push(chip("Queued", Some(DocumentState::Queued), None));
        filters.push(chip("Working", Some(DocumentState::Working), None));
    }
    filters
}

fn list_query(state: Option<DocumentState>, after: Option<&DocumentId>) -> Vec<String> {
    let state = state.map(|state| format!("state={}", state_word(state)));
    let after = after.map(|id| format!("after={}", show::encoded(id.as_str())));
    state.into_iter().chain(after).collect()
}

fn list_href(id: &TenantId, state: Option<DocumentState>, after: Option<&DocumentId>) -> String {
    let query = list_query(state, after);
    if query.is_empty() { format!("/admin/tenants/{id}") } else { format!("/admin/tenants/{id}?{}", query.join("&")) }
}

fn live_href(id: &TenantId, query: &DocumentsQuery) -> String {
    let mut parts = list_query(query.state, query.after.as_ref());
    parts.push("fragment=true".into());
    format!("/admin/tenants/{id}?{}", parts.join("&"))
}

/// The state's name on the wire.
fn state_word(state: DocumentState) -> &'static str {
    match state {
        DocumentState::Queued => "queued",
        DocumentState::Working => "working",
        DocumentState::Live => "live",
        DocumentState::Warning => "warning",
        DocumentState::Failed => "failed",
    }
}

/// How the tenant fares; `NoTenant` when it was removed a moment ago.
pub fn status_of(state: &AdminState, at: &AtTenant) -> Result<TenantStatus, AdminError> {
    let statuses = state.http.tenants.statuses(&at.who.operator);
    Ok(statuses.into_iter().find(|status| status.id == at.id).ok_or(DeskError::NoTenant)?)
}

/// `GET /admin/tenants/{tenant}`.
pub async fn tenant(
    State(state): State<AdminState>,
    named: Named,
    Query(query): Query<DocumentsQuery>,
) -> Result<Response, AdminError> {
    let at = match named {
        Named::Living(at) => *at,
        Named::Stopped { who, id, why } => return page(&StoppedPage::new(who.shell(Section::Tenants), &id, &why)),
    };
    let documents = Page { limit: DOCUMENTS, after: query.after.clone(), before: None, descending: false };
    let jobs: Page<JobId> = Page { limit: JOBS, after: None, before: None, descending: true };
    let facts = TenantFacts {
        status: status_of(&state, &at)?,
        totals: at.desk.totals().await?,
        documents: at.desk.documents(documents, query.state).await?,
        jobs: at.desk.jobs(jobs, None, None).await?.entries,
        held: at.desk.held_back().await?,
        max_bytes: state.http.config.http.max_upload_bytes,
    };
    let view = TenantPage::new(at.who.shell(Section::Tenants), &facts, &query, Timestamp::now());
    if query.fragment { page(&view.as_live()) } else { page(&view) }
}

/// `POST /admin/tenants/{tenant}/reindex`.
pub async fn reindex(State(state): State<AdminState>, at: AtTenant) -> Result<Response, AdminError> {
    let ticket = at.desk.reindex(at.who.name(), false).await?;
    at.did(&state, "index.rebuild", &ticket.job_id.to_string()).await;
    let note = if ticket.joined {
        Note::new(Tone::Info, "A rebuild was waiting already; this one joins it.")
    } else {
        Note::ok("A new index is being built. The present one answers until it is done.")
    };
    Ok(state.notes.redirect(&job_href(&at.id, ticket.job_id), note))
}

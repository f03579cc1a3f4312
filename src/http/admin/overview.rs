//! The overview: four numbers, what needs attention, the first steps, the newest jobs.

use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};

use super::error::AdminError;
use super::job::FragmentQuery;
use super::jobs::JobRow;
use super::request::{Query, SignedIn};
use super::shell::{Section, Shell, page};
use super::show::{self, Chip, Message, Tone};
use super::state::AdminState;
use super::steps::{Step, Steps};
use super::tenant::held_words;
use crate::access::Operator;
use crate::actors::{DeskError, Health, HeldBack, TenantStatus, Tenants};
use crate::domain::{DocumentId, DocumentState, Job, JobKind, JobState, TenantId, Timestamp};
use crate::ledger::Page;

/// Jobs shown.
const JOBS: usize = 10;
/// Names of failed documents said for one tenant.
const NAMES: usize = 3;

/// The overview.
#[derive(Template)]
#[template(path = "admin/overview.html", blocks = ["live"])]
pub struct OverviewPage {
    /// What surrounds it.
    pub shell: Shell,
    /// Four numbers.
    pub tiles: [Tile; 4],
    /// What somebody should look at; empty when all is well.
    pub attention: Vec<Attention>,
    /// The first five minutes; none once they are over.
    pub steps: Option<[Step; 3]>,
    /// Newest first.
    pub rows: Vec<JobRow>,
    /// Where the live part is fetched again; empty when nothing moves.
    pub live_url: &'static str,
}

/// One number.
#[derive(Debug, Clone)]
pub struct Tile {
    /// What it counts.
    pub label: &'static str,
    /// The number.
    pub value: String,
    /// What it is a part of; may be empty.
    pub of: String,
    /// What stands below it.
    pub hint: String,
    /// Its page.
    pub href: &'static str,
    /// How good it is.
    pub tone: Tone,
    /// Its symbol.
    pub icon: &'static str,
}

/// One thing somebody should look at.
#[derive(Debug, Clone)]
pub struct Attention {
    /// How bad.
    pub chip: Chip,
    /// The tenant; empty when it is about Carrel itself.
    pub tenant: String,
    /// What is the matter.
    pub text: Message,
    /// Where it is mended.
    pub href: String,
    /// What the link says.
    pub action: &'static str,
}

/// A tenant's documents that failed.
#[derive(Debug, Clone)]
pub struct FailedDocuments {
    /// The tenant.
    pub tenant: TenantId,
    /// How many.
    pub count: u64,
    /// The first few names.
    pub names: Vec<String>,
}

/// What the overview is made from.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Every tenant.
    pub tenants: Vec<TenantStatus>,
    /// Tenants with failed documents.
    pub failed: Vec<FailedDocuments>,
    /// The newest jobs.
    pub jobs: Vec<(TenantId, Job)>,
    /// Jobs by state.
    pub job_counts: Vec<(JobState, u64)>,
    /// Tenants with newer generations that are held back.
    pub held: Vec<(TenantId, Vec<HeldBack>)>,
    /// Whether the operator has a password.
    pub has_password: bool,
    /// The folder that Carrel serves, as commands take it.
    pub root: String,
}

impl OverviewPage {
    /// The page of these facts.
    pub fn new(shell: Shell, facts: &Facts, steps: Option<[Step; 3]>, now: Timestamp) -> Self {
        let moves = facts.jobs.iter().any(|(_, job)| !job.state.is_final())
            || facts.tenants.iter().any(|tenant| matches!(tenant.health, Health::Building { .. }));
        Self {
            shell,
            tiles: tiles(facts),
            attention: attention(facts),
            steps,
            rows: facts.jobs.iter().take(JOBS).map(|(tenant, job)| JobRow::new(tenant, job, now)).collect(),
            live_url: if moves { "/admin?fragment=true" } else { "" },
        }
    }
}

fn tiles(facts: &Facts) -> [Tile; 4] {
    let ready = facts.tenants.iter().filter(|tenant| tenant.answers).count() as u64;
    let all = facts.tenants.len() as u64;
    let documents = facts.tenants.iter().map(|tenant| tenant.documents).sum();
    let chunks = facts.tenants.iter().map(|tenant| tenant.chunks).sum();
    let failed = facts.failed.iter().map(|failed| failed.count).sum();
    let jobs = |state| facts.job_counts.iter().find(|(found, _)| *found == state).map_or(0, |(_, count)| *count);
    let (running, queued) = (jobs(JobState::Running), jobs(JobState::Queued));
    let plain = |label, value, hint, href| Tile {
        label,
        value: show::count(value),
        of: String::new(),
        hint,
        href,
        tone: Tone::Idle,
        icon: "document",
    };
    let judged = |tile, good, icon, tone| {
        if good { Tile { tone: Tone::Ok, icon: "ok", ..tile } } else { Tile { tone, icon, ..tile } }
    };
    let unready = if ready == all { "all of them answer".into() } else { format!("{} cannot answer", all - ready) };
    let unfound = if failed == 0 { "every document is found" } else { "not found by questions" };
    let tenants =
        Tile { of: format!("/ {}", show::count(all)), ..plain("Tenants ready", ready, unready, "/admin/tenants") };
    let work = plain("Running jobs", running, format!("{} waiting", show::count(queued)), "/admin/jobs");
    [
        judged(tenants, ready == all, "warn", Tone::Warn),
        plain("Documents", documents, show::counted(chunks, "chunk"), "/admin/tenants"),
        judged(plain("Failed documents", failed, unfound.into(), "/admin/tenants"), failed == 0, "bad", Tone::Bad),
        if running == 0 { Tile { icon: "jobs", ..work } } else { Tile { tone: Tone::Info, icon: "info", ..work } },
    ]
}

fn attention(facts: &Facts) -> Vec<Attention> {
    let unwell = facts.tenants.iter().filter_map(of_health);
    let failed = facts.failed.iter().map(|failed| Attention {
        chip: Chip::new(Tone::Bad, "Failed"),
        tenant: failed.tenant.to_string(),
        text: failed_words(failed).into(),
        href: format!("/admin/tenants/{}?state=failed", failed.tenant),
        action: "Look at them",
    });
    let password = (!facts.has_password).then(|| Attention {
        chip: Chip::new(Tone::Warn, "No password"),
        tenant: String::new(),
        text: format!(
            "The link that let you in is used up. Without a password the next way in is `carrel admin-link --root {}` on the \
             server, which prints another.",
            facts.root
        )
        .into(),
        href: "/admin/password".into(),
        action: "Set a password",
    });
    let held = facts.held.iter().map(|(tenant, held)| Attention {
        chip: Chip::new(Tone::Warn, "Held back"),
        tenant: tenant.to_string(),
        text: held_words(held),
        href: format!("/admin/tenants/{tenant}/index"),
        action: "Look at it",
    });
    let wrong = facts.tenants.iter().filter_map(of_file);
    unwell.chain(wrong).chain(held).chain(failed).chain(password).collect()
}

/// A file that is wrong, of a tenant that lives or of one that does not.
fn of_file(tenant: &TenantStatus) -> Option<Attention> {
    let wrong = tenant.wrong_file.as_ref()?;
    let lives = !is_stopped(tenant);
    let so = if lives { "it goes on with the settings it had" } else { "it answers nobody" };
    let chip = if lives { Tone::Warn } else { Tone::Bad };
    Some(Attention {
        chip: Chip::new(chip, "Wrong file"),
        tenant: tenant.id.to_string(),
        text: Message::new(&format!("{}: {so}", wrong.lines().collect::<Vec<_>>().join("; "))),
        href: format!("/admin/tenants/{}", tenant.id),
        action: "Open",
    })
}

/// Whether a tenant does not live because its file is wrong; no other attempt is made until that is read again.
fn is_stopped(tenant: &TenantStatus) -> bool {
    tenant.wrong_file.is_some() && matches!(tenant.health, Health::Failed { retry_in: Duration::ZERO, .. })
}

fn of_health(tenant: &TenantStatus) -> Option<Attention> {
    let text = match &tenant.health {
        _ if is_stopped(tenant) => return None,
        Health::Ready | Health::Building { .. } => return None,
        Health::Restarting { cause } => format!("Answers from its last index while its writer restarts: {cause}"),
        Health::Failed { cause, retry_in } => {
            format!(
                "{cause}. Next attempt in {}.",
                show::duration(i64::try_from(retry_in.as_millis()).unwrap_or(i64::MAX))
            )
        }
        Health::Quarantined { cause } => format!("Its writer died too often and is left alone: {cause}"),
    };
    Some(Attention {
        chip: Chip::of_health(&tenant.health),
        tenant: tenant.id.to_string(),
        text: Message::new(&text),
        href: format!("/admin/tenants/{}", tenant.id),
        action: "Open",
    })
}

fn failed_words(failed: &FailedDocuments) -> String {
    let more = failed.count.saturating_sub(failed.names.len() as u64);
    let others = if more == 0 { String::new() } else { format!(" and {} more", show::count(more)) };
    format!("{}: {}{others}", show::counted(failed.count, "document"), failed.names.join(", "))
}

/// `GET /admin`.
pub async fn overview(
    State(state): State<AdminState>,
    who: SignedIn,
    headers: HeaderMap,
    Query(query): Query<FragmentQuery>,
) -> Result<Response, AdminError> {
    let facts = gather(&state, &who.operator).await?;
    let uploaded = facts.jobs.iter().any(|(_, job)| job.kind == JobKind::Ingest);
    let tenant = facts.tenants.first().map(|tenant| &tenant.id);
    let steps = Steps::taken(&headers).and(uploaded).shown(tenant);
    let view = OverviewPage::new(who.shell(Section::Overview), &facts, steps, Timestamp::now());
    if query.fragment { page(&view.as_live()) } else { page(&view) }
}

/// `GET /`: a person who types the server's address means these pages.
pub async fn home() -> Response {
    Redirect::to("/admin").into_response()
}

/// `GET /admin/`: the page has one address.
pub async fn slash() -> Response {
    Redirect::permanent("/admin").into_response()
}

async fn gather(state: &AdminState, operator: &Operator) -> Result<Facts, AdminError> {
    let tenants = state.http.tenants.statuses(operator);
    Ok(Facts {
        failed: failed_documents(&state.http.tenants, operator, &tenants).await?,
        held: held_back(&state.http.tenants, operator, &tenants).await?,
        tenants,
        root: show::name(&state.http.config.root.display().to_string()),
        jobs: state.http.ledger.recent_jobs(JOBS).await?,
        job_counts: state.http.ledger.job_counts().await?,
        has_password: state.http.sessions.has_password().await?,
    })
}

async fn held_back(
    directory: &Tenants,
    operator: &Operator,
    tenants: &[TenantStatus],
) -> Result<Vec<(TenantId, Vec<HeldBack>)>, DeskError> {
    let mut found = Vec::new();
    for tenant in tenants {
        let Ok(desk) = directory.desk_for(operator, &tenant.id) else { continue };
        let held = desk.held_back().await?;
        if !held.is_empty() {
            found.push((tenant.id.clone(), held));
        }
    }
    Ok(found)
}

async fn failed_documents(
    directory: &Tenants,
    operator: &Operator,
    tenants: &[TenantStatus],
) -> Result<Vec<FailedDocuments>, DeskError> {
    let mut failed = Vec::new();
    for tenant in tenants {
        // A tenant that was removed since it was listed has no failures to show.
        let Ok(desk) = directory.desk_for(operator, &tenant.id) else { continue };
        let count = desk.totals().await?.failed;
        if count == 0 {
            continue;
        }
        let first: Page<DocumentId> = Page { limit: NAMES, after: None, before: None, descending: false };
        let listed = desk.documents(first, Some(DocumentState::Failed)).await?.entries;
        let names = listed.iter().map(|document| show::name(&document.name)).collect();
        failed.push(FailedDocuments { tenant: tenant.id.clone(), count, names });
    }
    Ok(failed)
}

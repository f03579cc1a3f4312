//! Jobs: the list of all tenants.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::error::AdminError;
use super::request::{Query, SignedIn};
use super::shell::{Section, Shell, page};
use super::show::{self, Chip, Gauge, Message, When};
use super::state::AdminState;
use crate::domain::{Job, JobId, JobKind, JobState, TenantId, Timestamp};

/// Jobs looked at for the list; older ones are found on their tenant's page.
const LISTED: usize = 200;

/// One job in a list.
#[derive(Debug, Clone)]
pub struct JobRow {
    /// Its page.
    pub href: String,
    /// `Reindex`, `Ingest`.
    pub kind: &'static str,
    /// Its tenant.
    pub tenant: String,
    /// The tenant's page.
    pub tenant_href: String,
    /// The document, for ingestion.
    pub subject: String,
    /// How far it is.
    pub chip: Chip,
    /// How far it is, while it runs.
    pub gauge: Option<Gauge>,
    /// `4 310 of 6 050 documents`, once known.
    pub counts: String,
    /// Why it failed, or what went half well.
    pub problem: Message,
    /// When it was asked for.
    pub when: When,
    /// How long it took, once it ended.
    pub took: String,
    /// Whether it will still move.
    pub moves: bool,
}

impl JobRow {
    /// A job as seen from `now`.
    pub fn new(tenant: &TenantId, job: &Job, now: Timestamp) -> Self {
        Self {
            href: job_href(tenant, job.id),
            kind: kind(job.kind),
            tenant: tenant.to_string(),
            tenant_href: format!("/admin/tenants/{tenant}"),
            subject: job.document_id.as_ref().map(|id| show::name(id.as_str())).unwrap_or_default(),
            chip: Chip::of_job(job),
            gauge: Gauge::of_job(job, now),
            counts: counts(job),
            problem: job.problem.as_ref().map(|problem| Message::new(&problem.message)).unwrap_or_default(),
            when: When::new(job.created_at, now),
            took: took(job),
            moves: !job.state.is_final(),
        }
    }
}

/// A job's page.
pub fn job_href(tenant: &TenantId, job: JobId) -> String {
    format!("/admin/tenants/{tenant}/jobs/{job}")
}

fn kind(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Ingest => "Ingest",
        JobKind::Reindex => "Reindex",
        JobKind::Delete => "Delete",
        JobKind::Purge => "Purge",
        JobKind::Restore => "Restore",
    }
}

/// Documents dealt with; an ingestion is about one alone and needs no count.
fn counts(job: &Job) -> String {
    let (done, total) = (job.counts.documents_done, job.counts.documents_total);
    match (job.kind, job.state.is_final()) {
        (JobKind::Ingest | JobKind::Delete | JobKind::Purge, _) => String::new(),
        (JobKind::Reindex | JobKind::Restore, _) if total == 0 => String::new(),
        (JobKind::Reindex | JobKind::Restore, true) => show::counted(done, "document"),
        (JobKind::Reindex | JobKind::Restore, false) => {
            format!("{} of {}", show::count(done), show::counted(total, "document"))
        }
    }
}

fn took(job: &Job) -> String {
    let ended = job.started_at.zip(job.finished_at);
    ended.map(|(start, end)| show::duration(end.as_millis() - start.as_millis())).unwrap_or_default()
}

/// One choice of a list's states, with how many there are.
#[derive(Debug, Clone)]
pub struct FilterChip {
    /// Where it leads.
    pub href: String,
    /// Its name.
    pub label: &'static str,
    /// How many; a number or nothing.
    pub count: String,
    /// Whether it is the one at hand.
    pub current: bool,
}

/// The jobs of all tenants.
#[derive(Template)]
#[template(path = "admin/jobs.html", blocks = ["live"])]
pub struct JobsPage {
    /// What surrounds it.
    pub shell: Shell,
    /// By state.
    pub filters: Vec<FilterChip>,
    /// Newest first.
    pub rows: Vec<JobRow>,
    /// Where the live part is fetched again; empty when nothing moves.
    pub live_url: String,
}

/// What the list is asked for.
#[derive(Debug, Default, Deserialize)]
pub struct JobsQuery {
    state: Option<JobState>,
    #[serde(default)]
    fragment: bool,
}

impl JobsPage {
    /// The page of these jobs.
    pub fn new(
        shell: Shell,
        jobs: &[(TenantId, Job)],
        counts: &[(JobState, u64)],
        wanted: Option<JobState>,
        now: Timestamp,
    ) -> Self {
        let listed = jobs.iter().filter(|(_, job)| wanted.is_none_or(|state| job.state == state));
        let rows: Vec<_> = listed.map(|(tenant, job)| JobRow::new(tenant, job, now)).collect();
        let moves = jobs.iter().any(|(_, job)| !job.state.is_final());
        let live_url = if moves { format!("{}fragment=true", list_href(wanted, true)) } else { String::new() };
        Self { shell, filters: filters(counts, wanted), rows, live_url }
    }
}

fn list_href(state: Option<JobState>, more: bool) -> String {
    match (state, more) {
        (Some(state), true) => format!("/admin/jobs?state={}&", state.as_str()),
        (Some(state), false) => format!("/admin/jobs?state={}", state.as_str()),
        (None, true) => "/admin/jobs?".into(),
        (None, false) => "/admin/jobs".into(),
    }
}

fn filters(counts: &[(JobState, u64)], wanted: Option<JobState>) -> Vec<FilterChip> {
    let of = |state| counts.iter().find(|(found, _)| *found == state).map_or(0, |(_, count)| *count);
    let all = FilterChip {
        href: list_href(None, false),
        label: "All",
        count: show::count(counts.iter().map(|(_, count)| count).sum()),
        current: wanted.is_none(),
    };
    let states = JobState::ALL.into_iter().map(|state| FilterChip {
        href: list_href(Some(state), false),
        label: Chip::of_state(state).word,
        count: show::count(of(state)),
        current: wanted == Some(state),
    });
    std::iter::once(all).chain(states).collect()
}

/// `GET /admin/jobs`.
pub async fn list(
    State(state): State<AdminState>,
    who: SignedIn,
    Query(query): Query<JobsQuery>,
) -> Result<Response, AdminError> {
    let jobs = state.http.ledger.recent_jobs(LISTED).await?;
    let counts = state.http.ledger.job_counts().await?;
    let view = JobsPage::new(who.shell(Section::Jobs), &jobs, &counts, query.state, Timestamp::now());
    if query.fragment { page(&view.as_live()) } else { page(&view) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::admin::samples;

    #[test]
    fn the_time_left_is_said_only_once_a_rate_is_known() {
        let mut job = samples::job(JobKind::Reindex, JobState::Running);
        let began = job.started_at.unwrap();
        let after = |ms: i64| Timestamp::from_millis(began.as_millis() + ms);
        (job.counts.documents_done, job.counts.documents_total) = (50, 100);
        assert_eq!(Gauge::of_job(&job, after(2_999)).unwrap().text, "50 %");
        assert_eq!(Gauge::of_job(&job, after(10_000)).unwrap().text, "50 % · 10 s left");
        job.counts.documents_done = 4;
        assert_eq!(Gauge::of_job(&job, after(10_000)).unwrap().text, "4 %");
        job.counts.documents_total = 0;
        assert_eq!(Gauge::of_job(&job, after(10_000)).unwrap().permille, None);
    }
}

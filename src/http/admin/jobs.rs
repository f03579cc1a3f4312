//! Jobs: the list of all tenants, and one job with its stages and counts.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::error::AdminError;
use super::notes::Note;
use super::request::{AtTenant, Form, Path, Query, SignedIn};
use super::shell::{Section, Shell, page};
use super::show::{self, Chip, Gauge, Message, Tone, When};
use super::state::AdminState;
use crate::domain::{Job, JobId, JobKind, JobState, StageName, TenantId, Timestamp};

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

/// One job.
#[derive(Template)]
#[template(path = "admin/job.html", blocks = ["live"])]
pub struct JobPage {
    /// What surrounds it.
    pub shell: Shell,
    /// What a list says of it.
    pub row: JobRow,
    /// The way it goes.
    pub stages: Vec<StageStep>,
    /// Numbers with their names.
    pub facts: Vec<(&'static str, String)>,
    /// When it was asked for, began, ended.
    pub times: Vec<(&'static str, When)>,
    /// Who asked.
    pub requested_by: String,
    /// The problem's stable code.
    pub code: String,
    /// Whether it can be cancelled.
    pub cancellable: bool,
    /// Whether it can be queued again.
    pub retryable: bool,
    /// Where the live part is fetched again; empty when it does not move any more.
    pub live_url: String,
}

/// One stage on a job's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageStep {
    /// Its name.
    pub name: &'static str,
    /// Passed, under way, failed here, or still to come.
    pub tone: Tone,
}

impl JobPage {
    /// The page of this job.
    pub fn new(shell: Shell, tenant: &TenantId, job: &Job, now: Timestamp) -> Self {
        let row = JobRow::new(tenant, job, now);
        let times = [("Asked for", Some(job.created_at)), ("Began", job.started_at), ("Ended", job.finished_at)];
        Self {
            shell,
            stages: stages(job),
            facts: facts(job),
            times: times.into_iter().filter_map(|(name, at)| Some((name, When::new(at?, now)))).collect(),
            requested_by: show::name(&job.requested_by),
            code: job.problem.as_ref().map(|problem| show::name(&problem.code)).unwrap_or_default(),
            cancellable: !job.state.is_final() && of_work(job),
            retryable: matches!(job.state, JobState::Failed | JobState::Cancelled) && of_work(job),
            live_url: if row.moves { format!("{}?fragment=true", row.href) } else { String::new() },
            row,
        }
    }
}

/// Whether it is of a kind that can be stopped half-way and taken up again.
fn of_work(job: &Job) -> bool {
    matches!(job.kind, JobKind::Ingest | JobKind::Reindex)
}

fn stages(job: &Job) -> Vec<StageStep> {
    let way = [
        (StageName::Extract, "Extract"),
        (StageName::Chunk, "Chunk"),
        (StageName::Embed, "Embed"),
        (StageName::Index, "Index"),
        (StageName::Check, "Check"),
        (StageName::Publish, "Publish"),
    ];
    let way = match job.kind {
        // One document goes into the serving generation: nothing to check as a whole, nothing to swap.
        JobKind::Ingest => &way[..4],
        JobKind::Reindex => &way[..],
        // Nothing is read or embedded anew.
        JobKind::Restore => &way[4..],
        JobKind::Delete | JobKind::Purge => &[],
    };
    let current = way.iter().position(|(stage, _)| job.stage == Some(*stage));
    let held = job.problem.as_ref().is_some_and(|problem| problem.code == "generation_held");
    let tone = |at: usize| match (job.state, current) {
        // It is whole and was checked, and does not serve.
        (JobState::DoneWithWarnings, _) if held && at + 1 == way.len() => Tone::Warn,
        (JobState::Done | JobState::DoneWithWarnings, _) => Tone::Ok,
        (JobState::Running, Some(now)) if at == now => Tone::Info,
        (JobState::Failed, Some(now)) if at == now => Tone::Bad,
        (JobState::Running | JobState::Failed, Some(now)) if at < now => Tone::Ok,
        _ => Tone::Idle,
    };
    way.iter().enumerate().map(|(at, (_, name))| StageStep { name, tone: tone(at) }).collect()
}

fn facts(job: &Job) -> Vec<(&'static str, String)> {
    let counts = &job.counts;
    let numbers = [
        ("Documents", counts.documents_total),
        ("Dealt with", counts.documents_done),
        ("Taken over unchanged", counts.documents_reused),
        ("Failed", counts.documents_failed),
        ("Bytes", counts.bytes),
        ("Chunks", counts.chunks),
        ("Texts embedded", counts.texts_embedded),
        ("Model tokens embedded", counts.model_tokens),
        ("Attempts", u64::from(job.attempts)),
    ];
    let mut facts: Vec<_> = numbers.into_iter().map(|(name, number)| (name, show::count(number))).collect();
    if let Some(generation) = job.generation {
        facts.push(("Generation", show::count(generation)));
    }
    facts
}

/// Whether only the live part is wanted.
#[derive(Debug, Default, Deserialize)]
pub struct FragmentQuery {
    /// True for the live part alone.
    #[serde(default)]
    pub fragment: bool,
}

/// `GET /admin/tenants/{tenant}/jobs/{job}`.
pub async fn one(
    at: AtTenant,
    Path((_, job)): Path<(TenantId, JobId)>,
    Query(query): Query<FragmentQuery>,
) -> Result<Response, AdminError> {
    let job = at.desk.job(job).await?;
    let view = JobPage::new(at.who.shell(Section::Jobs), &at.id, &job, Timestamp::now());
    Ok(if query.fragment { page(&view.as_live()) } else { page(&view) }?.into_response())
}

/// What is to be done with a job.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobVerb {
    /// Stop it.
    Cancel,
    /// Queue it again.
    Retry,
}

/// The form of a job.
#[derive(Debug, Deserialize)]
pub struct JobForm {
    verb: JobVerb,
}

/// `POST /admin/tenants/{tenant}/jobs/{job}`.
pub async fn act(
    State(state): State<AdminState>,
    at: AtTenant,
    Path((_, job)): Path<(TenantId, JobId)>,
    Form(form): Form<JobForm>,
) -> Result<Response, AdminError> {
    let (action, note) = match form.verb {
        JobVerb::Cancel => {
            at.desk.cancel(job).await?;
            ("job.cancel", "The job is cancelled. What answers goes on answering.")
        }
        JobVerb::Retry => {
            at.desk.retry(job).await?;
            ("job.retry", "The job is queued again.")
        }
    };
    at.did(&state, action, &job.to_string()).await;
    Ok(state.notes.redirect(&job_href(&at.id, job), Note::ok(note)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::admin::samples;

    #[test]
    fn a_running_job_shows_which_stages_are_behind_it() {
        let job = samples::job(JobKind::Reindex, JobState::Running);
        let tones: Vec<_> = stages(&job).into_iter().map(|step| step.tone).collect();
        assert_eq!(tones, [Tone::Ok, Tone::Ok, Tone::Info, Tone::Idle, Tone::Idle, Tone::Idle]);
        let ingest = samples::job(JobKind::Ingest, JobState::Done);
        assert_eq!(stages(&ingest).len(), 4);
    }

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

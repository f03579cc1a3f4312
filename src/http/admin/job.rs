//! One job: its stages, its counts, its receipt, and what can be done with it.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::error::AdminError;
use super::jobs::{JobRow, job_href};
use super::notes::Note;
use super::request::{AtTenant, Form, Path, Query, SignedIn};
use super::shell::{Section, Shell, page};
use super::show::{self, Tone, When};
use super::state::AdminState;
use crate::actors::DeskError;
use crate::domain::{Job, JobId, JobKind, JobState, Receipt, StageName, TenantId, Timestamp};

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
    /// What a delete or a purge took from where, and what may still hold it.
    pub receipt: Vec<(&'static str, String)>,
    /// Whether a purge would take away more.
    pub purgeable: bool,
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
            receipt: job.receipt.as_ref().map(receipt).unwrap_or_default(),
            purgeable: job.receipt.as_ref().is_some_and(|receipt| !receipt.unpurged.is_empty()),
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

fn receipt(receipt: &Receipt) -> Vec<(&'static str, String)> {
    let numbers = |numbers: Vec<u64>| match numbers.as_slice() {
        [] => "none".to_owned(),
        some => some.iter().map(|number| show::count(*number)).collect::<Vec<_>>().join(", "),
    };
    let taken = receipt.generations.iter().map(|removal| removal.generation).collect();
    vec![
        ("Documents' bytes removed", show::bytes(receipt.stored_bytes)),
        ("Taken out of generations", numbers(taken)),
        ("Text still in files of generations", numbers(receipt.unpurged.clone())),
        ("Backups taken before, kept elsewhere", show::count(receipt.backups)),
    ]
}

/// Whether only the live part is wanted.
#[derive(Debug, Default, Deserialize)]
pub struct FragmentQuery {
    /// True for the live part alone.
    #[serde(default)]
    pub fragment: bool,
}

/// `GET /admin/tenants/{tenant}/jobs/{job}`. A restore that failed has a job, and no tenant.
pub async fn one(
    State(state): State<AdminState>,
    who: SignedIn,
    Path((tenant, job)): Path<(TenantId, JobId)>,
    Query(query): Query<FragmentQuery>,
) -> Result<Response, AdminError> {
    let job = state.http.ledger.job(&tenant, job).await?.ok_or(DeskError::NotFound("job"))?;
    let view = JobPage::new(who.shell(Section::Jobs), &tenant, &job, Timestamp::now());
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
    /// Write anew what still holds the text that it deleted.
    Purge,
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
        JobVerb::Purge => {
            let ticket = at.desk.purge(at.who.name()).await?;
            at.did(&state, "tenant.purge", &ticket.job_id.to_string()).await;
            let note = Note::ok("Deleted text is being written out of every file.");
            return Ok(state.notes.redirect(&job_href(&at.id, ticket.job_id), note));
        }
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
    fn a_receipt_says_what_still_holds_the_text_and_offers_a_purge_only_then() {
        let mut job = samples::job(JobKind::Delete, JobState::Done);
        let page = |job: &Job| {
            let shell = samples::shell(Section::Jobs);
            JobPage::new(shell, &samples::tenant_id("acme"), job, samples::now()).render().unwrap()
        };
        assert!(!page(&job).contains("Receipt"));
        job.receipt = Some(Receipt { unpurged: vec![12, 13], ..Receipt::default() });
        let shown = page(&job);
        assert!(shown.contains("<dd>12, 13</dd>") && shown.contains("value=\"purge\""), "{shown}");
        job.receipt = Some(Receipt::default());
        assert!(!page(&job).contains("value=\"purge\""));
    }
}

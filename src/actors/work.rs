//! What the long work of an index actor shares: writing prepared documents, and how documents and jobs end. Documents
//! come in through [`super::intake`]; opening is in [`super::open`], builds are in [`super::rebuild`].
//!
//! Law 2 lives here: a change is made under the writer's lock and only if the store still says so at that moment, so a
//! document that was deleted while it was being read does not come back.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::try_join_all;
use tokio::sync::{OwnedMutexGuard, Semaphore};

use super::cell::Cell;
use super::faults::Faults;
use super::records;
use super::refusal::DeskError;
use super::sync::forget_gone;
use crate::config::Config;
use crate::domain::{DocumentId, Job, JobCounts, JobId, JobProblem, JobState, StageName, TenantId, Timestamp};
use crate::engine::{BuildError, Engine, PrepareError, Prepared, Step, Ticket};
use crate::index::{GenerationWriter, IndexError, IndexSpec};
use crate::ledger::{DocumentRecord, Ledger};
use crate::telemetry;

/// Documents committed together at most.
pub(super) const COMMIT: usize = 64;
/// Jobs written down together, so that they share a sync of the disk.
const TOGETHER: usize = 256;

/// What every actor shares; cheap to clone.
#[derive(Clone)]
pub(super) struct Shared {
    pub config: Arc<Config>,
    pub engine: Engine,
    pub ledger: Ledger,
    /// Bounds the builds of all tenants together.
    pub builds: Arc<Semaphore>,
    /// Bounds the forecasts of all tenants together, apart from builds, which they must not hold up.
    pub forecasts: Arc<Semaphore>,
    pub faults: Faults,
}

impl Shared {
    /// The same, for the work of one tenant.
    pub fn of(&self, tenant: &TenantId) -> Self {
        let shared = self.clone();
        Self { engine: shared.engine.of(tenant), ..shared }
    }
}

/// The serving generation, locked for writing.
pub(super) type Writer = OwnedMutexGuard<Option<GenerationWriter>>;

/// Writes what was prepared, if the generation that serves is made as `spec` says; else its build saw these documents, or
/// they are prepared again for it.
pub(super) async fn written(
    cell: &Arc<Cell>,
    spec: &IndexSpec,
    steps: Vec<Step>,
) -> Result<Option<Vec<Outcome>>, BuildError> {
    let writer = Arc::clone(&cell.writer).lock_owned().await;
    let (kept, spec) = (Arc::clone(cell), spec.clone());
    blocking(move || {
        let mut writer = writer;
        let open = writer.as_mut().filter(|open| *open.snapshot().spec() == spec);
        open.map(|open| write(&kept, open, steps)).transpose()
    })
    .await
}

/// Ends jobs as cancelled, and notes with the document, if it is left out, why no question finds it.
pub(super) async fn cancel(
    cell: &Cell,
    shared: &Shared,
    document: Option<&DocumentId>,
    jobs: Vec<JobId>,
) -> Result<(), BuildError> {
    let _no_delete = cell.open.read().await;
    let record = match document {
        Some(id) => shared.ledger.document(&cell.id, id).await?,
        None => None,
    };
    if let Some(record) = record {
        let why =
            JobProblem::new("cancelled", "its ingestion was cancelled: retry the job, upload it again, or reindex");
        shared.ledger.save_documents(&cell.id, vec![records::failed(record, why)]).await?;
    }
    end_cancelled(cell, shared, jobs).await
}

/// Ends jobs as cancelled that have not ended otherwise.
pub(super) async fn end_cancelled(cell: &Cell, shared: &Shared, jobs: Vec<JobId>) -> Result<(), BuildError> {
    for id in jobs {
        if let Some(mut job) = shared.ledger.job(&cell.id, id).await?.filter(|job| !job.state.is_final()) {
            finish(&mut job, JobState::Cancelled, None);
            shared.ledger.save_job(&cell.id, job).await?;
        }
    }
    Ok(())
}

/// How one document that was to be written ended.
pub(super) enum Outcome {
    Live(Ticket, Box<DocumentRecord>, JobCounts),
    Failed(Ticket, PrepareError),
    Gone(Ticket),
    Again(Ticket),
}

impl Outcome {
    fn ticket(&self) -> &Ticket {
        match self {
            Self::Live(ticket, ..) | Self::Failed(ticket, _) | Self::Gone(ticket) | Self::Again(ticket) => ticket,
        }
    }
}

/// Writes what was prepared, commits and publishes. Each document is held against the store once more.
fn write(cell: &Cell, open: &mut GenerationWriter, steps: Vec<Step>) -> Result<Vec<Outcome>, BuildError> {
    let mut outcomes = Vec::with_capacity(steps.len());
    let begun = Instant::now();
    for (ticket, step) in steps {
        outcomes.push(match step {
            Ok(prepared) => put(cell, open, ticket, prepared)?,
            Err(PrepareError::Gone) => {
                open.remove(ticket.id())?;
                Outcome::Gone(ticket)
            }
            // What it said before it was replaced must not answer any more.
            Err(error) => {
                if !error.is_passing() {
                    open.remove(ticket.id())?;
                }
                Outcome::Failed(ticket, error)
            }
        });
    }
    cell.publish(open.commit()?);
    cell.metrics.succeeded(Timestamp::now());
    telemetry::job_stage(StageName::Index, begun.elapsed());
    Ok(outcomes)
}

/// Writes one document if the store still has just these bytes.
fn put(cell: &Cell, open: &mut GenerationWriter, ticket: Ticket, prepared: Prepared) -> Result<Outcome, BuildError> {
    let id = prepared.stored.id.clone();
    match cell.documents.find(&id)? {
        None => {
            open.remove(&id)?;
            Ok(Outcome::Gone(ticket))
        }
        Some(now) if now.modified_ns != prepared.stored.modified_ns || now.bytes != prepared.stored.bytes => {
            Ok(Outcome::Again(ticket))
        }
        Some(_) => {
            let record = records::live(&prepared.stored, &prepared.document.entry, None);
            let counts = counts_of(&prepared);
            match open.upsert(prepared.document) {
                Ok(()) => Ok(Outcome::Live(ticket, Box::new(record), counts)),
                // It fails alone, and what it said before must not answer any more.
                Err(refused @ IndexError::Refused { .. }) => {
                    open.remove(&id)?;
                    Ok(Outcome::Failed(ticket, refused.into()))
                }
                Err(error) => Err(error.into()),
            }
        }
    }
}

/// What a document adds to the counts of its job or build.
pub(super) fn counts_of(prepared: &Prepared) -> JobCounts {
    let chunks = prepared.document.chunks.len() as u64;
    JobCounts {
        documents_done: 1,
        bytes: prepared.stored.bytes,
        documents_reused: prepared.carried.into(),
        chunks,
        chunks_embedded: chunks,
        texts_embedded: prepared.texts_embedded,
        model_tokens: prepared.model_tokens,
        ..JobCounts::default()
    }
}

/// How the job of a document ends.
struct End {
    jobs: Vec<JobId>,
    state: JobState,
    problem: Option<JobProblem>,
    counts: JobCounts,
}

/// Writes the ends of documents into their records and jobs. One whose ticket does not count any more is left to whoever
/// deleted, cancelled or replaced it.
///
/// # Errors
/// When the ledger fails; the documents are then still on their way, and come to the same end again.
pub(super) async fn settle(cell: &Arc<Cell>, shared: &Shared, outcomes: Vec<Outcome>) -> Result<(), BuildError> {
    let (mut ended, mut ends) = (Vec::new(), Vec::new());
    let (mut live, mut gone) = (Vec::new(), Vec::new());
    // No delete forgets a record between the look at its ticket and the writing of it.
    let open = cell.open.read().await;
    for outcome in outcomes {
        if let Outcome::Again(ticket) = &outcome {
            cell.queue.again(ticket);
            continue;
        }
        let Some(jobs) = cell.queue.jobs_of(outcome.ticket()) else { continue };
        ended.push(outcome.ticket().clone());
        let total = JobCounts { documents_total: 1, ..JobCounts::default() };
        let (state, problem, counts) = match outcome {
            Outcome::Live(_, mut record, counts) => {
                record.status.job_id = jobs.last().copied();
                let problem = record.status.problem.clone();
                live.push(*record);
                let state = if problem.is_some() { JobState::DoneWithWarnings } else { JobState::Done };
                (state, problem, JobCounts { documents_total: 1, documents_read: 1, ..counts })
            }
            Outcome::Failed(ticket, error) => {
                let problem = error.problem();
                note_failure(cell, shared, ticket.id(), &problem).await?;
                (JobState::Failed, Some(problem), JobCounts { documents_failed: 1, ..total })
            }
            Outcome::Gone(ticket) => {
                gone.push(ticket.id().clone());
                (JobState::Cancelled, None, total)
            }
            Outcome::Again(_) => continue,
        };
        ends.push(End { jobs, state, problem, counts });
    }
    shared.ledger.save_documents(&cell.id, live).await?;
    drop(open);
    if !gone.is_empty() {
        forget_gone(cell, shared, gone).await?;
    }
    end_jobs(cell, shared, ends).await?;
    for ticket in &ended {
        cell.queue.end(ticket);
    }
    Ok(())
}

async fn end_jobs(cell: &Cell, shared: &Shared, ends: Vec<End>) -> Result<(), BuildError> {
    let generation = cell.snapshot().map(|snapshot| snapshot.generation());
    let mut ended = Vec::new();
    for End { jobs, state, problem, counts } in ends {
        for id in jobs {
            if let Some(mut job) = shared.ledger.job(&cell.id, id).await? {
                finish(&mut job, state, problem.clone());
                job.counts = counts;
                job.generation = generation;
                ended.push(job);
            }
        }
    }
    save_jobs(cell, shared, ended).await
}

/// Writes a failure into a document's record, and counts it.
pub(super) async fn note_failure(
    cell: &Cell,
    shared: &Shared,
    id: &DocumentId,
    problem: &JobProblem,
) -> Result<(), BuildError> {
    telemetry::documents_failed(&problem.code);
    cell.note_error(&format!("{id}: {}", problem.message));
    if let Some(record) = shared.ledger.document(&cell.id, id).await? {
        shared.ledger.save_documents(&cell.id, vec![records::failed(record, problem.clone())]).await?;
    }
    Ok(())
}

/// Writes many jobs down.
pub(super) async fn save_jobs(cell: &Cell, shared: &Shared, jobs: Vec<Job>) -> Result<(), BuildError> {
    for group in jobs.chunks(TOGETHER) {
        try_join_all(group.iter().map(|job| shared.ledger.save_job(&cell.id, job.clone()))).await?;
    }
    Ok(())
}

pub(super) fn begin(job: &mut Job) {
    job.state = JobState::Running;
    job.attempts += 1;
    job.problem = None;
    job.progressed_at = Some(Timestamp::now());
    job.started_at.get_or_insert_with(Timestamp::now);
}

pub(super) fn finish(job: &mut Job, state: JobState, problem: Option<JobProblem>) {
    job.state = state;
    job.stage = None;
    job.problem = problem;
    job.finished_at = Some(Timestamp::now());
}

pub(super) fn desk_error(error: BuildError) -> DeskError {
    match error {
        BuildError::Embed(error) => error.into(),
        BuildError::Index(error) => error.into(),
        BuildError::Store(error) => error.into(),
        BuildError::Ledger(error) => error.into(),
        BuildError::Cancelled => DeskError::Unresponsive,
        BuildError::Died(reason) => DeskError::Index(IndexError::Engine(reason)),
    }
}

/// Runs blocking work on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BuildError> + Send + 'static,
) -> Result<T, BuildError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|died| Err(BuildError::died(&died)))
}

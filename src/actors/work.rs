//! The long work of an index actor: rounds of changes and removals. Opening is in [`super::open`], builds are in
//! [`super::rebuild`].
//!
//! Law 2 lives here: a change is made under the writer's lock and only if the store still says so at that moment, so a
//! document that was deleted while it was being read does not come back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::sync::{OwnedMutexGuard, Semaphore};

use super::cell::Cell;
use super::faults::{Faults, Place};
use super::records;
use super::refusal::DeskError;
use super::sync::forget_gone;
use crate::config::Config;
use crate::domain::{DocumentId, Job, JobCounts, JobId, JobProblem, JobState, StageName, TenantId, Timestamp};
use crate::engine::{Build, BuildError, Engine, PrepareError, Prepared, Step};
use crate::index::{GenerationWriter, IndexError, IndexSpec};
use crate::ledger::{DocumentRecord, Ledger};
use crate::telemetry;

/// Documents committed together at most.
pub(super) const COMMIT: usize = 64;
/// Jobs written down together, so that they share a sync of the disk.
const TOGETHER: usize = 256;

/// How often a round looks which of its documents are read, while none becomes ready.
const LOOKED_EVERY: Duration = Duration::from_millis(500);

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

/// Documents to bring into the index, with the jobs that wait for each.
pub(super) type Round = BTreeMap<DocumentId, Vec<JobId>>;

/// Brings a round of changed documents into the serving generation; returns those that changed again meanwhile.
pub(super) async fn apply(cell: Arc<Cell>, shared: Shared, mut round: Round) -> Result<Round, BuildError> {
    let Some(snapshot) = cell.snapshot() else { return Ok(round) };
    let spec = snapshot.spec().clone();
    let donors = vec![snapshot.as_ref().clone()];
    let build = Build { documents: cell.documents.clone(), spec: spec.clone(), donors, patience: None };
    start_jobs(&cell, &shared, &mut round).await?;
    shared.faults.pass(&cell.id, Place::DuringRound).await;
    let mut pipeline = shared.engine.prepare(build, round.keys().cloned().collect())?;
    let mut again = Round::new();
    loop {
        let steps = tokio::select! {
            steps = pipeline.next(COMMIT) => Some(steps),
            () = cell.cancelled.woken() => None,
            // Most documents are done by then, and their jobs need not be written once more.
            () = tokio::time::sleep(LOOKED_EVERY) => {
                note_read(&cell, &shared, &round, pipeline.read_lately()).await?;
                None
            }
        };
        drop_cancelled(&cell, &shared, &mut round).await?;
        let Some(mut steps) = steps else { continue };
        if steps.is_empty() {
            break;
        }
        steps.retain(|(id, _)| round.contains_key(id));
        for outcome in written(&cell, &spec, steps).await? {
            let jobs = round.remove(outcome.id()).unwrap_or_default();
            match outcome {
                Outcome::Again(id) => drop(again.insert(id, jobs)),
                outcome => settle(&cell, &shared, outcome, jobs).await?,
            }
        }
    }
    cell.cancelled.clear();
    Ok(again)
}

/// Writes what was prepared, if the generation that serves is still the one it was prepared for.
async fn written(cell: &Arc<Cell>, spec: &IndexSpec, steps: Vec<Step>) -> Result<Vec<Outcome>, BuildError> {
    if steps.is_empty() {
        return Ok(Vec::new());
    }
    let writer = Arc::clone(&cell.writer).lock_owned().await;
    let (kept, spec) = (Arc::clone(cell), spec.clone());
    blocking(move || {
        let mut writer = writer;
        let Some(open) = writer.as_mut().filter(|open| *open.snapshot().spec() == spec) else {
            // Another generation serves by now; its build saw these documents or they are tried again.
            return Ok(steps.into_iter().map(|(id, _)| Outcome::Again(id)).collect());
        };
        write(&kept, open, steps)
    })
    .await
}

/// Ends what was cancelled of a round: its jobs at once, and a document for which no other job waits is left out.
async fn drop_cancelled(cell: &Cell, shared: &Shared, round: &mut Round) -> Result<(), BuildError> {
    let mut dropped = Vec::new();
    for (id, jobs) in round.iter_mut() {
        let ended = cell.cancelled.take_from(jobs);
        if !ended.is_empty() {
            dropped.push((id.clone(), ended, jobs.is_empty()));
        }
    }
    for (id, jobs, alone) in dropped {
        if alone {
            round.remove(&id);
        }
        cancel(cell, shared, alone.then_some(&id), jobs).await?;
    }
    Ok(())
}

/// Ends jobs as cancelled, and notes with the document, if it is left out, why no question finds it.
pub(super) async fn cancel(
    cell: &Cell,
    shared: &Shared,
    document: Option<&DocumentId>,
    jobs: Vec<JobId>,
) -> Result<(), BuildError> {
    let record = match document {
        Some(id) => shared.ledger.document(&cell.id, id).await?,
        None => None,
    };
    if let Some(record) = record {
        let why =
            JobProblem::new("cancelled", "its ingestion was cancelled: retry the job, upload it again, or reindex");
        shared.ledger.save_documents(&cell.id, vec![records::failed(record, why)]).await?;
    }
    for id in jobs {
        if let Some(mut job) = shared.ledger.job(&cell.id, id).await?.filter(|job| !job.state.is_final()) {
            finish(&mut job, JobState::Cancelled, None);
            shared.ledger.save_job(&cell.id, job).await?;
        }
    }
    Ok(())
}

/// How one document of a round ended.
pub(super) enum Outcome {
    Live(Box<DocumentRecord>, u64),
    Failed(DocumentId, PrepareError),
    Gone(DocumentId),
    Again(DocumentId),
}

impl Outcome {
    fn id(&self) -> &DocumentId {
        match self {
            Self::Live(record, _) => &record.status.id,
            Self::Failed(id, _) | Self::Gone(id) | Self::Again(id) => id,
        }
    }
}

/// Writes what was prepared, commits and publishes. Each document is held against the store once more.
fn write(cell: &Cell, open: &mut GenerationWriter, steps: Vec<Step>) -> Result<Vec<Outcome>, BuildError> {
    let mut outcomes = Vec::with_capacity(steps.len());
    let begun = Instant::now();
    for (id, step) in steps {
        outcomes.push(match step {
            Ok(prepared) => put(cell, open, prepared)?,
            Err(PrepareError::Gone) => {
                open.remove(&id)?;
                Outcome::Gone(id)
            }
            // What it said before it was replaced must not answer any more.
            Err(error) => {
                if !error.is_passing() {
                    open.remove(&id)?;
                }
                Outcome::Failed(id, error)
            }
        });
    }
    cell.publish(open.commit()?);
    cell.metrics.succeeded(Timestamp::now());
    telemetry::job_stage(StageName::Index, begun.elapsed());
    Ok(outcomes)
}

/// Writes one document if the store still has just these bytes.
fn put(cell: &Cell, open: &mut GenerationWriter, prepared: Prepared) -> Result<Outcome, BuildError> {
    let id = prepared.stored.id.clone();
    match cell.documents.find(&id)? {
        None => {
            open.remove(&id)?;
            Ok(Outcome::Gone(id))
        }
        Some(now) if now.modified_ns != prepared.stored.modified_ns || now.bytes != prepared.stored.bytes => {
            Ok(Outcome::Again(id))
        }
        Some(_) => {
            let record = records::live(&prepared.stored, &prepared.document.entry, None);
            match open.upsert(prepared.document) {
                Ok(()) => Ok(Outcome::Live(Box::new(record), prepared.texts_embedded)),
                // It fails alone, and what it said before must not answer any more.
                Err(refused @ IndexError::Refused { .. }) => {
                    open.remove(&id)?;
                    Ok(Outcome::Failed(id, refused.into()))
                }
                Err(error) => Err(error.into()),
            }
        }
    }
}

/// Begins the jobs of a round; leaves out those that a round before this one ended, which then failed.
async fn start_jobs(cell: &Cell, shared: &Shared, round: &mut Round) -> Result<(), BuildError> {
    for jobs in round.values_mut() {
        for id in std::mem::take(jobs) {
            if let Some(mut job) = shared.ledger.job(&cell.id, id).await?.filter(|job| !job.state.is_final()) {
                begin(&mut job);
                job.stage = Some(StageName::Extract);
                shared.ledger.save_job(&cell.id, job).await?;
                jobs.push(id);
            }
        }
    }
    Ok(())
}

/// Notes of the jobs of documents that were read that these wait for their vectors now.
async fn note_read(cell: &Cell, shared: &Shared, round: &Round, read: Vec<DocumentId>) -> Result<(), BuildError> {
    let waiting: Vec<JobId> = read.iter().filter_map(|id| round.get(id)).flatten().copied().collect();
    let mut noted = Vec::new();
    for id in &waiting {
        if let Some(mut job) = shared.ledger.job(&cell.id, *id).await?.filter(|job| job.state == JobState::Running) {
            job.stage = Some(StageName::Embed);
            job.counts.documents_read = 1;
            job.progressed_at = Some(Timestamp::now());
            noted.push(job);
        }
    }
    save_jobs(cell, shared, noted).await
}

/// Writes a document's end into its record and jobs.
async fn settle(cell: &Arc<Cell>, shared: &Shared, outcome: Outcome, jobs: Vec<JobId>) -> Result<(), BuildError> {
    let mut counts = JobCounts { documents_total: 1, ..JobCounts::default() };
    let (state, problem) = match outcome {
        Outcome::Again(_) => return Ok(()),
        Outcome::Gone(id) => {
            forget_gone(cell, shared, vec![id]).await?;
            (JobState::Cancelled, None)
        }
        Outcome::Live(mut record, embedded) => {
            record.status.job_id = jobs.last().copied();
            let chunks = record.status.chunks.into();
            let bytes = record.status.bytes;
            counts = JobCounts { documents_read: 1, documents_done: 1, bytes, chunks, ..counts };
            counts.texts_embedded = embedded;
            let problem = record.status.problem.clone();
            shared.ledger.save_documents(&cell.id, vec![*record]).await?;
            (if problem.is_some() { JobState::DoneWithWarnings } else { JobState::Done }, problem)
        }
        Outcome::Failed(id, error) => {
            let problem = error.problem();
            note_failure(cell, shared, &id, &problem).await?;
            counts.documents_failed = 1;
            (JobState::Failed, Some(problem))
        }
    };
    let generation = cell.snapshot().map(|snapshot| snapshot.generation());
    for id in jobs {
        if let Some(mut job) = shared.ledger.job(&cell.id, id).await? {
            finish(&mut job, state, problem.clone());
            job.counts = counts;
            job.generation = generation;
            shared.ledger.save_job(&cell.id, job).await?;
        }
    }
    Ok(())
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

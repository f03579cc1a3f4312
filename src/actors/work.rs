//! The long work of an index actor: rounds of changes and removals. Opening is in [`super::open`], builds are in
//! [`super::rebuild`].
//!
//! Law 2 lives here: a change is made under the writer's lock and only if the store still says so at that moment, so a
//! document that was deleted while it was being read does not come back.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{OwnedMutexGuard, Semaphore};

use super::cell::Cell;
use super::desk::Removed;
use super::faults::Faults;
use super::records;
use super::refusal::DeskError;
use crate::config::Config;
use crate::domain::{DocumentId, Job, JobCounts, JobId, JobKind, JobState, StageName, Timestamp};
use crate::engine::{Build, BuildError, Engine, PrepareError, Prepared, Step};
use crate::index::{GenerationWriter, IndexError, Snapshot};
use crate::ledger::{DocumentRecord, Ledger};
use crate::telemetry;

/// Documents committed together at most.
pub(super) const COMMIT: usize = 64;

/// What every actor shares; cheap to clone.
#[derive(Clone)]
pub(super) struct Shared {
    pub config: Arc<Config>,
    pub engine: Engine,
    pub ledger: Ledger,
    /// Bounds the builds of all tenants together.
    pub builds: Arc<Semaphore>,
    pub faults: Faults,
}

/// The serving generation, locked for writing.
pub(super) type Writer = OwnedMutexGuard<Option<GenerationWriter>>;

/// A job that is queued.
pub(super) fn new_job(kind: JobKind, document_id: Option<DocumentId>, by: &str) -> Job {
    Job {
        id: JobId::fresh(),
        kind,
        state: JobState::Queued,
        stage: None,
        document_id,
        requested_by: by.to_owned(),
        counts: JobCounts::default(),
        generation: None,
        problem: None,
        attempts: 0,
        created_at: Timestamp::now(),
        started_at: None,
        finished_at: None,
    }
}

/// Removes documents from the serving generation and publishes.
pub(super) fn take_out(cell: &Cell, mut writer: Writer, ids: &[DocumentId]) -> Result<(), BuildError> {
    let Some(open) = writer.as_mut() else { return Ok(()) };
    let mut removed = false;
    for id in ids {
        removed |= open.remove(id)?;
    }
    if removed {
        cell.publish(open.commit()?);
    }
    cell.forget_looked_back();
    Ok(())
}

/// Brings a round of changed documents into the serving generation; returns those that changed again meanwhile.
pub(super) async fn apply(
    cell: Arc<Cell>,
    shared: Shared,
    mut round: BTreeMap<DocumentId, Vec<JobId>>,
) -> Result<Vec<DocumentId>, BuildError> {
    let Some(snapshot) = cell.snapshot() else { return Ok(round.into_keys().collect()) };
    let build = Build {
        documents: cell.documents.clone(),
        spec: snapshot.spec().clone(),
        settings: cell.settings.load().as_ref().clone(),
        donor: Some(snapshot.as_ref().clone()),
    };
    start_jobs(&cell, &shared, &round).await?;
    let mut pipeline = shared.engine.prepare(build, round.keys().cloned().collect())?;
    let mut again = Vec::new();
    loop {
        let steps = pipeline.next(COMMIT).await;
        if steps.is_empty() {
            break;
        }
        let writer = Arc::clone(&cell.writer).lock_owned().await;
        let kept = Arc::clone(&cell);
        let spec = snapshot.spec().clone();
        let outcomes = blocking(move || {
            let mut writer = writer;
            let Some(open) = writer.as_mut().filter(|open| *open.snapshot().spec() == spec) else {
                // Another generation serves by now; its build saw these documents or they are tried again.
                return Ok(steps.into_iter().map(|(id, _)| Outcome::Again(id)).collect::<Vec<_>>());
            };
            write(&kept, open, steps)
        })
        .await?;
        for outcome in outcomes {
            let jobs = outcome.id().and_then(|id| round.remove(id)).unwrap_or_default();
            if let Some(id) = settle(&cell, &shared, outcome, jobs).await? {
                again.push(id);
            }
        }
    }
    Ok(again)
}

/// How one document of a round ended.
pub(super) enum Outcome {
    Live(Box<DocumentRecord>, u64),
    Failed(DocumentId, PrepareError),
    Gone(DocumentId),
    Again(DocumentId),
}

impl Outcome {
    fn id(&self) -> Option<&DocumentId> {
        match self {
            Self::Live(record, _) => Some(&record.status.id),
            Self::Failed(id, _) | Self::Gone(id) => Some(id),
            // Its jobs wait for the next round.
            Self::Again(_) => None,
        }
    }
}

/// Writes what was prepared, commits and publishes. Each document is held against the store once more.
fn write(cell: &Cell, open: &mut GenerationWriter, steps: Vec<Step>) -> Result<Vec<Outcome>, BuildError> {
    let mut outcomes = Vec::with_capacity(steps.len());
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
            open.upsert(prepared.document)?;
            Ok(Outcome::Live(Box::new(record), prepared.texts_embedded))
        }
    }
}

async fn start_jobs(cell: &Cell, shared: &Shared, round: &BTreeMap<DocumentId, Vec<JobId>>) -> Result<(), BuildError> {
    for id in round.values().flatten() {
        if let Some(mut job) = shared.ledger.job(&cell.id, *id).await? {
            begin(&mut job);
            job.stage = Some(StageName::Extract);
            shared.ledger.save_job(&cell.id, job).await?;
        }
    }
    Ok(())
}

/// Writes a document's end into its record and jobs; returns its id when it must be tried again.
async fn settle(
    cell: &Cell,
    shared: &Shared,
    outcome: Outcome,
    jobs: Vec<JobId>,
) -> Result<Option<DocumentId>, BuildError> {
    let mut counts = JobCounts { documents_total: 1, ..JobCounts::default() };
    let (state, problem) = match outcome {
        Outcome::Again(id) => return Ok(Some(id)),
        Outcome::Gone(id) => {
            shared.ledger.forget_documents(&cell.id, vec![id]).await?;
            (JobState::Cancelled, None)
        }
        Outcome::Live(mut record, embedded) => {
            record.status.job_id = jobs.last().copied();
            let chunks = record.status.chunks.into();
            counts = JobCounts { documents_read: 1, documents_done: 1, chunks, texts_embedded: embedded, ..counts };
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
    Ok(None)
}

/// Writes a failure into a document's record, and counts it.
pub(super) async fn note_failure(
    cell: &Cell,
    shared: &Shared,
    id: &DocumentId,
    problem: &crate::domain::JobProblem,
) -> Result<(), BuildError> {
    telemetry::documents_failed(&problem.code);
    cell.note_error(&format!("{id}: {}", problem.message));
    if let Some(record) = shared.ledger.document(&cell.id, id).await? {
        shared.ledger.save_documents(&cell.id, vec![records::failed(record, problem.clone())]).await?;
    }
    Ok(())
}

pub(super) fn begin(job: &mut Job) {
    job.state = JobState::Running;
    job.attempts += 1;
    job.started_at.get_or_insert_with(Timestamp::now);
}

pub(super) fn finish(job: &mut Job, state: JobState, problem: Option<crate::domain::JobProblem>) {
    job.state = state;
    job.stage = None;
    job.problem = problem;
    job.finished_at = Some(Timestamp::now());
}

/// Deletes a document: from disk first, so that nothing can bring it back, then from every answer.
pub(super) async fn remove(cell: Arc<Cell>, shared: Shared, id: DocumentId) -> Result<Removed, DeskError> {
    let (kept, wanted) = (Arc::clone(&cell), id.clone());
    let stored = blocking(move || {
        let found = kept.documents.find(&wanted)?;
        kept.documents.remove(&wanted)?;
        Ok(found)
    })
    .await
    .map_err(desk_error)?;
    // From here on an older generation is opened without it; one that is open already may still hold it.
    cell.forget_looked_back();
    let writer = Arc::clone(&cell.writer).lock_owned().await;
    let indexed: Option<(u32, u64)> = cell
        .snapshot()
        .and_then(|snapshot: Arc<Snapshot>| snapshot.document(&id).map(|entry| (entry.chunks, snapshot.generation())));
    if indexed.is_some() {
        let (kept, gone) = (Arc::clone(&cell), vec![id.clone()]);
        blocking(move || take_out(&kept, writer, &gone)).await.map_err(desk_error)?;
    }
    shared.ledger.forget_documents(&cell.id, vec![id.clone()]).await?;
    if stored.is_none() && indexed.is_none() {
        return Err(DeskError::NotFound("document"));
    }
    let (chunks, generation) = indexed.map_or((0, None), |(chunks, generation)| (chunks, Some(generation)));
    Ok(Removed { document_id: id, chunks, bytes: stored.map_or(0, |stored| stored.bytes), generation })
}

pub(super) fn desk_error(error: BuildError) -> DeskError {
    match error {
        BuildError::Embed(error) => error.into(),
        BuildError::Index(error) => error.into(),
        BuildError::Store(error) => error.into(),
        BuildError::Ledger(error) => error.into(),
        BuildError::Died(reason) => DeskError::Index(IndexError::Engine(reason)),
    }
}

/// Runs blocking work on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BuildError> + Send + 'static,
) -> Result<T, BuildError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|died| Err(BuildError::Died(died.to_string())))
}

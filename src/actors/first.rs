//! The first build of a tenant: its generation is made empty and serves at once, and documents join it as they become
//! ready.
//!
//! So a tenant answers from what it has, however long the rest takes, and uploads and deletes need not wait for the end.
//! A note beside the generation says that the build has not ended; a start that finds it goes on where it stopped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cell::Cell;
use super::faults::Place;
use super::index::IndexMsg;
use super::letter::Letter;
use super::pace::CommitPace;
use super::rebuild::{Turn, count, donors, in_turn, look, progress};
use super::stop::Stop;
use super::sync::compare;
use super::work::{Outcome, Shared, blocking, note_failure, written};
use crate::domain::{DocumentId, Job, JobCounts, JobProblem, StageName};
use crate::engine::{Build, BuildError, Pipeline, PrepareError, Step, Ticket};
use crate::index::IndexSpec;
use crate::telemetry;

/// The note of a first build that has not ended.
const NOTE: &str = "first.json";
/// How often the build looks whether its provider answers, while no document becomes ready.
const LOOKED_EVERY: Duration = Duration::from_millis(250);
/// Documents written together at most.
const COMMIT: usize = 64;

/// How far a first build is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct FirstBuild {
    /// Documents that questions find, or that cannot be read.
    pub done: u64,
    /// Documents that it found when it began.
    pub total: u64,
}

/// Whether generation `number` is that of a first build which has not ended.
pub(super) fn is_unfinished(cell: &Cell, number: u64) -> Result<bool, BuildError> {
    Ok(cell.generations.noted(number, NOTE)?.unwrap_or(false))
}

/// Makes the first generation, or goes on with one that a death left, until every document has come to its end.
///
/// Cancelled, it leaves out what is not done, and what is done goes on answering.
///
/// # Errors
/// As a build.
pub(super) async fn run(
    cell: &Arc<Cell>,
    shared: &Shared,
    job: &mut Job,
    stop: &Stop,
    turn: Turn,
) -> Result<Vec<DocumentId>, BuildError> {
    let outcome = tokio::select! {
        outcome = build(cell, shared, job, turn) => outcome,
        () = stop.stopped() => Err(BuildError::Cancelled),
    };
    let outcome = if outcome.is_ok() && !stop.close() { Err(BuildError::Cancelled) } else { outcome };
    if matches!(outcome, Err(BuildError::Cancelled)) && cell.snapshot().is_some() {
        leave_out(cell, shared).await?;
        end(cell, shared).await?;
    }
    outcome
}

async fn build(
    cell: &Arc<Cell>,
    shared: &Shared,
    job: &mut Job,
    mut turn: Turn,
) -> Result<Vec<DocumentId>, BuildError> {
    let spec = serve(cell, shared, &job.requested_by).await?;
    job.generation = cell.snapshot().map(|snapshot| snapshot.generation());
    let tickets = tickets(cell, shared).await?;
    let total = tickets.len() as u64;
    job.counts = JobCounts { documents_total: total, ..JobCounts::default() };
    cell.first.store(Some(Arc::new(FirstBuild { done: 0, total })));
    let mut pipeline = pipeline(cell, shared, spec.clone(), &tickets).await?;
    let _working = cell.note_working(&tickets);
    job.stage = Some(StageName::Extract);
    let mut filling = Filling { cell, shared, spec, pace: CommitPace::default(), ready: Vec::new(), again: Vec::new() };
    loop {
        shared.faults.pass(&cell.id, Place::DuringBuild).await;
        let steps = tokio::time::timeout(LOOKED_EVERY, pipeline.next(COMMIT)).await;
        let ended = steps.as_ref().is_ok_and(Vec::is_empty);
        match steps {
            Ok(steps) => {
                if turn.is_none() {
                    turn = in_turn(shared).await?;
                }
                job.problem = None;
                filling.ready.extend(steps);
            }
            Err(_) => look(cell, shared, job, &pipeline, &mut turn).await?,
        }
        if filling.is_due(ended) {
            filling.commit(job).await?;
            progress(job, &pipeline);
            shared.ledger.save_job(&cell.id, job.clone()).await?;
        }
        if ended {
            break;
        }
    }
    let again = filling.again;
    end(cell, shared).await?;
    Ok(again)
}

/// Has an empty generation serve where there is none; says what the one that serves is made with.
async fn serve(cell: &Arc<Cell>, shared: &Shared, reason: &str) -> Result<IndexSpec, BuildError> {
    if let Some(serving) = cell.snapshot() {
        return Ok(serving.spec().clone());
    }
    let settings = cell.settings.load_full();
    let spec = shared.engine.spec(&settings).await?;
    let mut slot = Arc::clone(&cell.writer).lock_owned().await;
    let (kept, wanted, reason) = (Arc::clone(cell), spec.clone(), reason.to_owned());
    blocking(move || {
        let mut writer = kept.generations.begin(&wanted, &reason)?;
        // Before it serves, or a crash between would leave an empty generation that nobody fills.
        kept.generations.note(writer.snapshot().generation(), NOTE, &true)?;
        kept.first.store(Some(Arc::default()));
        let serving = kept.generations.publish(&mut writer)?;
        kept.publish(serving);
        *slot = Some(writer);
        Ok(())
    })
    .await?;
    if let Some(actor) = cell.actor.load_full() {
        let _ = actor.cast(Letter::new(cell, IndexMsg::Serving));
    }
    Ok(spec)
}

/// The documents that are not in the generation yet, but for those that are on their way by themselves.
async fn tickets(cell: &Arc<Cell>, shared: &Shared) -> Result<Vec<Ticket>, BuildError> {
    let missing = compare(cell, shared).await?;
    let kept = Arc::clone(cell);
    blocking(move || {
        let mut tickets = Vec::new();
        for id in missing.into_iter().filter(|id| !kept.queue.contains(id)) {
            if let Some(stored) = kept.documents.find(&id)? {
                tickets.push(Ticket::new(id).sized(stored.bytes));
            }
        }
        Ok(tickets)
    })
    .await
}

async fn pipeline(
    cell: &Arc<Cell>,
    shared: &Shared,
    spec: IndexSpec,
    tickets: &[Ticket],
) -> Result<Pipeline, BuildError> {
    // What a build of an earlier version, or one that was damaged, had made.
    let older = donors(cell, true, false).await?;
    let serving = Arc::clone(cell);
    let donors = Arc::new(move || {
        let serving = serving.snapshot().map(|snapshot| snapshot.as_ref().clone());
        serving.into_iter().chain(older.iter().cloned()).collect()
    });
    let patience = Some(shared.config.builds.patience);
    let build = Build { documents: cell.documents.clone(), spec, donors, patience };
    Ok(shared.engine.prepare(build)?.only(tickets.iter().cloned()))
}

/// Documents on their way into the generation that serves.
struct Filling<'a> {
    cell: &'a Arc<Cell>,
    shared: &'a Shared,
    spec: IndexSpec,
    pace: CommitPace,
    ready: Vec<Step>,
    /// Documents that changed while they were read.
    again: Vec<DocumentId>,
}

impl Filling<'_> {
    fn is_due(&self, ended: bool) -> bool {
        let full = ended || self.ready.len() >= COMMIT;
        !self.ready.is_empty() && (full || self.pace.is_due(Instant::now()))
    }

    /// Commits what is ready. An embedder that fails would fail all documents, so the build ends then, with what is
    /// ready kept; a text that is refused fails its document alone.
    async fn commit(&mut self, job: &mut Job) -> Result<(), BuildError> {
        let mut failed = None;
        let mut steps = Vec::new();
        for (ticket, step) in std::mem::take(&mut self.ready) {
            match step {
                Err(PrepareError::Stopped) => {}
                Err(PrepareError::Embed(error)) if !error.is_of_the_text() => failed = Some(error),
                step => steps.push((ticket, step)),
            }
        }
        let begun = Instant::now();
        // Nobody else swaps generations before the first build has ended.
        let outcomes = written(self.cell, &self.spec, steps).await?.unwrap_or_default();
        self.pace.committed(begun, Instant::now());
        self.settle(job, outcomes).await?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn settle(&mut self, job: &mut Job, outcomes: Vec<Outcome>) -> Result<(), BuildError> {
        let (cell, shared) = (self.cell, self.shared);
        let mut live = Vec::new();
        // As in `work::settle`: no delete comes between.
        let _open = cell.open.read().await;
        for outcome in outcomes {
            match outcome {
                Outcome::Live(ticket, record, counts) if !ticket.is_stopped() => {
                    count(&mut job.counts, counts);
                    live.push(*record);
                }
                Outcome::Failed(ticket, error) if !ticket.is_stopped() => {
                    job.counts.documents_failed += 1;
                    note_failure(cell, shared, ticket.id(), &error.problem()).await?;
                }
                Outcome::Again(ticket) => self.again.push(ticket.id().clone()),
                Outcome::Live(..) | Outcome::Failed(..) | Outcome::Gone(_) => {}
            }
        }
        shared.ledger.save_documents(&cell.id, live).await?;
        let done = job.counts.documents_done + job.counts.documents_failed;
        cell.first.store(Some(Arc::new(FirstBuild { done, total: job.counts.documents_total })));
        Ok(())
    }
}

/// Notes of the documents that a cancelled build did not come to why no question finds them.
async fn leave_out(cell: &Arc<Cell>, shared: &Shared) -> Result<(), BuildError> {
    for id in compare(cell, shared).await? {
        if !cell.queue.contains(&id) {
            let why = "the build was cancelled before it came to this document: reindex, or upload it again";
            note_failure(cell, shared, &id, &JobProblem::new("cancelled", why)).await?;
        }
    }
    Ok(())
}

/// Ends the first build: from here on the tenant is like any other.
async fn end(cell: &Arc<Cell>, shared: &Shared) -> Result<(), BuildError> {
    let begun = Instant::now();
    let slot = Arc::clone(&cell.writer).lock_owned().await;
    let (kept, keep) = (Arc::clone(cell), shared.config.builds.keep_generations);
    blocking(move || {
        let mut slot = slot;
        if let Some(open) = slot.as_mut() {
            // So that the next start is quick.
            open.seal()?;
            kept.publish(open.snapshot());
            kept.generations.note(open.snapshot().generation(), NOTE, &false)?;
        }
        drop(slot);
        kept.first.store(None);
        Ok(kept.generations.prune(keep)?)
    })
    .await?;
    telemetry::job_stage(StageName::Publish, begun.elapsed());
    Ok(())
}

/// Why an answer of a tenant whose first build has not ended may lack something.
pub(super) fn incomplete(first: &FirstBuild) -> String {
    let FirstBuild { done, total } = first;
    match total {
        0 => "the index is being built for the first time, and documents are still missing".to_owned(),
        _ => format!("the index is being built for the first time: {done} of {total} documents are in it so far"),
    }
}

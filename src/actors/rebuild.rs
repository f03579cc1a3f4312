//! Builds: a new generation beside the serving one, checked and swapped in.
//!
//! Until the swap nobody sees anything of it, and what served goes on serving. What a build had when it failed, was
//! cancelled or was killed is kept, and the next one takes its vectors over.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::OwnedSemaphorePermit;

use super::cell::Cell;
use super::faults::Place;
use super::first;
use super::open::hash_of;
use super::records;
use super::stop::Stop;
use super::swap;
use super::sync::forget_gone;
use super::trial;
use super::work::{Shared, begin, blocking, counts_of, finish, note_failure};
use crate::domain::{ContentHash, DocumentId, Job, JobCounts, JobProblem, JobState, StageName, Timestamp};
use crate::engine::{Build, BuildError, Pipeline, PrepareError, Prepared, Ticket};
use crate::index::{GenerationWriter, IndexError, IndexSpec, Snapshot};
use crate::store::{Listing, StoreError, StoredDocument};
use crate::telemetry;

/// How often a running job's counts are written down.
const NOTED_EVERY: Duration = Duration::from_millis(250);
/// How often a build looks whether its provider answers, while no document becomes ready.
const LOOKED_EVERY: Duration = Duration::from_millis(500);
/// Documents handed to the writer together at most.
const BATCH: usize = 64;
/// Vectors made after which what is there is kept over a restart: some seconds' work of the built-in embedder.
const KEPT_AFTER_TEXTS: u64 = 512;

/// Time between two questions to a provider that does not answer, ahead of a build.
const ASKED_AGAIN: Duration = Duration::from_secs(1);

/// A build's place in the line of all tenants' builds; none while it waits for its provider.
pub(super) type Turn = Option<OwnedSemaphorePermit>;

/// Builds a generation for `job` and swaps it in, unless it is stopped before; returns documents that changed meanwhile and
/// are to be looked at again.
///
/// # Errors
/// When no generation came of it; the job says why.
pub(super) async fn build(
    cell: Arc<Cell>,
    shared: Shared,
    mut job: Job,
    stop: Stop,
) -> Result<Vec<DocumentId>, BuildError> {
    let turn = tokio::select! {
        turn = in_turn(&shared) => turn,
        () = stop.stopped() => Err(BuildError::Cancelled),
    };
    let begun = Instant::now();
    let outcome = match turn {
        Err(error) => Err(error),
        Ok(turn) => {
            begin(&mut job);
            tracing::info!(tenant.id = %cell.id, job.id = %job.id, attempt = job.attempts, "building the index of {}", cell.id);
            shared.ledger.save_job(&cell.id, job.clone()).await?;
            // Caught here, since only here the job is at hand that must say so.
            let outcome = AssertUnwindSafe(run(&cell, &shared, &mut job, &stop, turn)).catch_unwind().await;
            outcome.unwrap_or_else(|panic| Err(BuildError::Died(said(&*panic))))
        }
    };
    // Nothing is left to stop.
    stop.close();
    match &outcome {
        Ok(_) => {
            let problem = job.problem.take().or_else(|| unread(job.counts.documents_failed));
            let state = if problem.is_some() { JobState::DoneWithWarnings } else { JobState::Done };
            finish(&mut job, state, problem);
            cell.metrics.built(begun.elapsed());
            tracing::info!(
                tenant.id = %cell.id, index.generation = job.generation, duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
                documents = job.counts.documents_done, texts_embedded = job.counts.texts_embedded, "built the index of {}", cell.id
            );
        }
        Err(BuildError::Cancelled) => finish(&mut job, JobState::Cancelled, None),
        Err(error) => finish(&mut job, JobState::Failed, Some(JobProblem::new(error.code(), error.in_full()))),
    }
    shared.ledger.save_job(&cell.id, job).await?;
    outcome
}

pub(super) async fn in_turn(shared: &Shared) -> Result<Turn, BuildError> {
    let turn = Arc::clone(&shared.builds).acquire_owned().await;
    turn.map(Some).map_err(|closed| BuildError::Died(closed.to_string()))
}

fn unread(failed: u64) -> Option<JobProblem> {
    let message = || format!("{failed} documents could not be indexed; each says why");
    (failed > 0).then(|| JobProblem::new("documents_failed", message()))
}

/// A panic's own words.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked").to_owned()
}

async fn run(
    cell: &Arc<Cell>,
    shared: &Shared,
    job: &mut Job,
    stop: &Stop,
    mut turn: Turn,
) -> Result<Vec<DocumentId>, BuildError> {
    if !cell.is_whole() {
        return first::run(cell, shared, job, stop, turn).await;
    }
    let spec = tokio::select! {
        spec = spec(cell, shared, job, &mut turn) => spec?,
        () = stop.stopped() => return Err(BuildError::Cancelled),
    };
    let stored = listed(cell, shared).await?;
    job.counts = JobCounts { documents_total: stored.len() as u64, ..JobCounts::default() };
    let donors = donors(cell, job.fresh, job.attempts <= 1).await?;
    let (generations, reason) = (cell.generations.clone(), job.requested_by.clone());
    let wanted = spec.clone();
    let writer = blocking(move || Ok(generations.begin(&wanted, &reason)?)).await?;
    let number = writer.snapshot().generation();
    let _under_way = cell.note_building(number);
    let patience = Some(shared.config.builds.patience);
    let donors = Arc::new(move || donors.clone());
    let build = Build { documents: cell.documents.clone(), spec, donors, patience };
    let tickets = stored.into_iter().map(|document| Ticket::new(document.id).sized(document.bytes)).collect();
    let work = async {
        let (writer, written) = fill(cell, shared, job, (writer, build, tickets), turn).await?;
        let hold = trial::check(cell, shared, job, &writer.snapshot()).await?;
        shared.faults.pass(&cell.id, Place::BeforePublish).await;
        Ok((writer, written, hold))
    };
    let filled = tokio::select! {
        filled = work => filled,
        () = stop.stopped() => Err(BuildError::Cancelled),
    };
    let filled = match filled {
        Ok(_) if !stop.close() => Err(BuildError::Cancelled),
        other => other,
    };
    match filled {
        Ok((writer, written, true)) => swap::hold(cell, job, writer, written).await,
        Ok((writer, written, false)) => swap::swap(cell, shared, job, writer, written).await,
        Err(error) => {
            let generations = cell.generations.clone();
            // What is left behind when this fails too is swept away at the next start.
            let _ = blocking(move || Ok(generations.discard(number)?)).await;
            Err(error)
        }
    }
}

/// Where vectors are taken over from: the serving generation, and what an earlier build had when it ended early.
/// A fresh build takes over only what it made itself before it was cut short, so nothing at its first attempt.
pub(super) async fn donors(cell: &Arc<Cell>, fresh: bool, first: bool) -> Result<Vec<Snapshot>, BuildError> {
    let kept = Arc::clone(cell);
    blocking(move || {
        if fresh && first {
            kept.generations.drop_partial()?;
        }
        let serving = kept.snapshot().filter(|_| !fresh).map(|snapshot| snapshot.as_ref().clone());
        Ok(serving.into_iter().chain(kept.generations.partial()?).collect())
    })
    .await
}

/// Documents as they were when they were written.
pub(super) type Written = BTreeMap<DocumentId, StoredDocument>;

/// Writes every document into the new generation.
async fn fill(
    cell: &Arc<Cell>,
    shared: &Shared,
    job: &mut Job,
    (mut writer, build, tickets): (GenerationWriter, Build, Vec<Ticket>),
    mut turn: Turn,
) -> Result<(GenerationWriter, Written), BuildError> {
    let mut pipeline = shared.engine.prepare(build)?.only(tickets.iter().cloned());
    let _working = cell.note_working(&tickets);
    let mut written = BTreeMap::new();
    let (mut noted, mut kept) = (Instant::now(), 0);
    job.stage = Some(StageName::Extract);
    loop {
        shared.faults.pass(&cell.id, Place::DuringBuild).await;
        let steps = loop {
            match tokio::time::timeout(LOOKED_EVERY, pipeline.next(BATCH)).await {
                Ok(steps) => break steps,
                Err(_) => look(cell, shared, job, &pipeline, &mut turn).await?,
            }
        };
        if turn.is_none() {
            turn = in_turn(shared).await?;
        }
        job.problem = None;
        if steps.is_empty() {
            break;
        }
        let mut ready = Vec::new();
        for (ticket, step) in steps {
            match step {
                Ok(prepared) => ready.push(prepared),
                // Deleted or replaced meanwhile; the swap brings what came instead.
                Err(PrepareError::Gone | PrepareError::Stopped) => {}
                Err(error) => give_up_or_note(cell, shared, job, ticket.id(), error).await?,
            }
        }
        let put;
        (writer, put) = put_all(writer, ready).await?;
        for (stored, counts) in put.done {
            count(&mut job.counts, counts);
            written.insert(stored.id.clone(), stored);
        }
        for (id, refused) in put.refused {
            give_up_or_note(cell, shared, job, &id, refused.into()).await?;
        }
        progress(job, &pipeline);
        let keeps = job.counts.texts_embedded - kept >= KEPT_AFTER_TEXTS;
        if keeps {
            kept = job.counts.texts_embedded;
            writer = keep(cell, writer).await?;
        }
        if keeps || noted.elapsed() > NOTED_EVERY {
            noted = Instant::now();
            shared.ledger.save_job(&cell.id, job.clone()).await?;
        }
    }
    drop(pipeline);
    job.stage = Some(StageName::Index);
    shared.ledger.save_job(&cell.id, job.clone()).await?;
    // What takes long is done before anybody has to wait.
    writer = blocking(move || writer.commit().map(|_| writer).map_err(Into::into)).await?;
    Ok((writer, written))
}

/// What the settings make of a generation. A provider that does not tell the length of its vectors is waited for as it is while
/// vectors are made; meanwhile another tenant's build may have its turn.
async fn spec(cell: &Cell, shared: &Shared, job: &mut Job, turn: &mut Turn) -> Result<IndexSpec, BuildError> {
    let settings = cell.settings.load_full();
    let begun = Instant::now();
    loop {
        let error = match shared.engine.spec(&settings).await {
            Ok(spec) => break Ok(spec),
            Err(error) if error.may_pass() && begun.elapsed() < shared.config.builds.patience => error,
            Err(error) => return Err(error.into()),
        };
        *turn = None;
        job.problem = Some(waits(error.code(), &error.in_full()));
        shared.ledger.save_job(&cell.id, job.clone()).await?;
        tokio::time::sleep(ASKED_AGAIN).await;
    }
    .inspect(|_| job.problem = None)
}

/// Notes how far a build is, and that its provider does not answer, if so; meanwhile another tenant's may have its turn.
pub(super) async fn look(
    cell: &Cell,
    shared: &Shared,
    job: &mut Job,
    pipeline: &Pipeline,
    turn: &mut Turn,
) -> Result<(), BuildError> {
    let problem = pipeline.waits_for().map(|why| waits(why.code(), &why.in_full()));
    if problem.is_some() {
        *turn = None;
    }
    let changed = problem != job.problem || pipeline.read() != job.counts.documents_read;
    job.problem = problem;
    if changed {
        progress(job, pipeline);
        shared.ledger.save_job(&cell.id, job.clone()).await?;
    }
    Ok(())
}

pub(super) fn progress(job: &mut Job, pipeline: &Pipeline) {
    let counts = &mut job.counts;
    if pipeline.read() > counts.documents_read || pipeline.waits_for().is_none() {
        job.progressed_at = Some(Timestamp::now());
    }
    counts.documents_read = pipeline.read();
    job.stage =
        Some(if counts.documents_read < counts.documents_total { StageName::Extract } else { StageName::Embed });
}

/// Keeps what is written so far, so that a build after this one need not make its vectors again.
async fn keep(cell: &Arc<Cell>, mut writer: GenerationWriter) -> Result<GenerationWriter, BuildError> {
    let generations = cell.generations.clone();
    blocking(move || generations.checkpoint(&mut writer).map(|()| writer).map_err(Into::into)).await
}

/// Lists the documents and sees to it that each has a record.
async fn listed(cell: &Arc<Cell>, shared: &Shared) -> Result<Vec<StoredDocument>, BuildError> {
    let records = shared.ledger.all_documents(&cell.id).await?;
    let records: BTreeMap<DocumentId, _> =
        records.into_iter().map(|record| (record.status.id.clone(), record)).collect();
    let kept = Arc::clone(cell);
    let (stored, notes, gone) = blocking(move || {
        let Listing { documents: stored, passed_over } = kept.documents.listing()?;
        let told = passed_over.iter().map(|one| &one.id);
        let there: BTreeSet<&DocumentId> = stored.iter().map(|document| &document.id).chain(told).collect();
        let gone = records.keys().filter(|id| !there.contains(id)).cloned().collect();
        let mut notes = Vec::new();
        for document in &stored {
            let record = records.get(&document.id);
            if record.is_none_or(|record| {
                record.modified_ns != document.modified_ns || record.status.bytes != document.bytes
            }) {
                // What cannot be read says so when its turn comes.
                let hash = hash_of(&kept, document, None).ok().flatten().unwrap_or_else(|| ContentHash::of(&[]));
                notes.push(records::queued(document, hash, record.and_then(|record| record.status.job_id)));
            }
        }
        Ok((stored, notes, gone))
    })
    .await?;
    shared.ledger.save_documents(&cell.id, notes).await?;
    forget_gone(cell, shared, gone).await?;
    Ok(stored)
}

/// A document that cannot be read or kept fails alone; an embedder or index that fails, or a full disk, would fail them
/// all, so the build ends.
async fn give_up_or_note(
    cell: &Cell,
    shared: &Shared,
    job: &mut Job,
    id: &DocumentId,
    error: PrepareError,
) -> Result<(), BuildError> {
    match error {
        PrepareError::Embed(error) => Err(error.into()),
        PrepareError::Store(error @ StoreError::NoSpace) => Err(error.into()),
        PrepareError::Index(error) if !matches!(error, IndexError::Refused { .. }) => Err(error.into()),
        error => {
            job.counts.documents_failed += 1;
            note_failure(cell, shared, id, &error.problem()).await
        }
    }
}

/// Why something waits that will be tried again.
pub(super) fn waits(code: &str, why: &str) -> JobProblem {
    JobProblem::new(code, format!("it waits and tries again: {why}"))
}

pub(super) fn count(counts: &mut JobCounts, more: JobCounts) {
    counts.documents_done += more.documents_done;
    counts.bytes += more.bytes;
    counts.documents_reused += more.documents_reused;
    counts.chunks += more.chunks;
    counts.chunks_embedded += more.chunks_embedded;
    counts.texts_embedded += more.texts_embedded;
    counts.model_tokens += more.model_tokens;
}

/// What of a group was written, and what the index refused.
#[derive(Default)]
struct Put {
    done: Vec<(StoredDocument, JobCounts)>,
    refused: Vec<(DocumentId, IndexError)>,
}

async fn put_all(mut writer: GenerationWriter, ready: Vec<Prepared>) -> Result<(GenerationWriter, Put), BuildError> {
    blocking(move || {
        let (mut put, begun) = (Put::default(), Instant::now());
        for prepared in ready {
            let counts = counts_of(&prepared);
            match writer.upsert(prepared.document) {
                Ok(()) => put.done.push((prepared.stored, counts)),
                Err(refused @ IndexError::Refused { .. }) => put.refused.push((prepared.stored.id, refused)),
                Err(error) => return Err(error.into()),
            }
        }
        telemetry::job_stage(StageName::Index, begun.elapsed());
        Ok((writer, put))
    })
    .await
}

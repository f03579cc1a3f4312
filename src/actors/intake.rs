//! The intake: brings documents into the serving generation while others join, and ends when none is left.
//!
//! What is ready is committed as it becomes ready, grouped by time, so that no document waits for another's vectors. A
//! document that was deleted, cancelled or replaced leaves the pipeline by its ticket.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;

use super::cell::Cell;
use super::faults::Place;
use super::feed::Feed;
use super::ingest_queue;
use super::pace::CommitPace;
use super::work::{Shared, begin, blocking, save_jobs, settle, written};
use crate::domain::{DocumentId, DocumentProgress, Job, JobId, JobProblem, JobState, StageName, Timestamp};
use crate::engine::{Build, BuildError, Pipeline, PrepareError, Step, Ticket};
use crate::index::IndexSpec;

/// Documents committed together at most.
const COMMIT: usize = 64;
/// How often jobs are told how far their documents are.
const NOTED_EVERY: Duration = Duration::from_millis(250);

/// Brings the documents of `arrivals` into the serving generation until none is left; also ends when another generation
/// serves that is made otherwise. What it leaves stays in the tenant's queue.
///
/// # Errors
/// When the index, the ledger or the disk fails; then nothing is lost but work.
pub(super) async fn run(
    cell: Arc<Cell>,
    shared: Shared,
    arrivals: UnboundedReceiver<Ticket>,
) -> Result<(), BuildError> {
    let Some(snapshot) = cell.snapshot() else { return Ok(()) };
    let spec = snapshot.spec().clone();
    drop(snapshot);
    let serving = Arc::clone(&cell);
    // Asked for each document: a snapshot that is kept for long keeps the files of what was deleted.
    let donors = Arc::new(move || serving.snapshot().map(|snapshot| snapshot.as_ref().clone()).into_iter().collect());
    // A provider that does not answer is waited for however long that takes.
    let patience = Some(Duration::MAX);
    let build = Build { documents: cell.documents.clone(), spec: spec.clone(), donors, patience };
    let pipeline = shared.engine.prepare(build)?;
    let intake = Intake {
        cell,
        shared,
        spec,
        arrivals,
        arrived: Vec::new(),
        feed: Feed::default(),
        pipeline,
        ready: Vec::new(),
        pace: CommitPace::default(),
        noted: BTreeMap::new(),
    };
    intake.run().await
}

struct Intake {
    cell: Arc<Cell>,
    shared: Shared,
    spec: IndexSpec,
    arrivals: UnboundedReceiver<Ticket>,
    /// Documents whose size is not known yet.
    arrived: Vec<Ticket>,
    feed: Feed,
    pipeline: Pipeline,
    /// What waits for the next commit.
    ready: Vec<Step>,
    pace: CommitPace,
    /// What was last told of each document.
    noted: BTreeMap<DocumentId, Noted>,
}

/// How far a document was, and why it waited.
type Noted = (DocumentProgress, Option<JobProblem>);

impl Intake {
    async fn run(mut self) -> Result<(), BuildError> {
        let mut ticks = tokio::time::interval(NOTED_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.admit().await?;
            if self.feed.is_idle() && self.ready.is_empty() {
                // What arrives from here on is given back to the queue by who sends it.
                self.arrivals.close();
                return Ok(());
            }
            tokio::select! {
                Some(ticket) = self.arrivals.recv() => self.arrived.push(ticket),
                steps = self.pipeline.next(COMMIT), if self.ready.len() < COMMIT => self.take(steps)?,
                () = tokio::time::sleep_until(self.pace.due(Instant::now()).into()), if !self.ready.is_empty() => {}
                _ = ticks.tick() => self.note().await?,
            }
            if self.is_due() && !self.commit().await? {
                return Ok(());
            }
        }
    }

    /// Lets in what arrived, in its turn.
    async fn admit(&mut self) -> Result<(), BuildError> {
        while let Ok(ticket) = self.arrivals.try_recv() {
            self.arrived.push(ticket);
        }
        if !self.arrived.is_empty() {
            let arrived = std::mem::take(&mut self.arrived);
            let cell = Arc::clone(&self.cell);
            let sized = blocking(move || {
                let bytes = |ticket: &Ticket| Ok(cell.documents.find(ticket.id())?.map_or(0, |stored| stored.bytes));
                arrived.into_iter().map(|ticket| bytes(&ticket).map(|bytes| ticket.sized(bytes))).collect()
            });
            let sized: Vec<Ticket> = sized.await?;
            for ticket in sized {
                self.feed.push(ticket);
            }
        }
        let turn = self.feed.take();
        if turn.is_empty() {
            return Ok(());
        }
        self.begin_jobs(&turn).await?;
        self.shared.faults.pass(&self.cell.id, Place::DuringRound).await;
        for ticket in turn {
            self.pipeline.add(ticket);
        }
        Ok(())
    }

    /// Begins the jobs of documents; leaves out those that an intake before this one ended, which then failed.
    async fn begin_jobs(&self, tickets: &[Ticket]) -> Result<(), BuildError> {
        let mut begun = Vec::new();
        for ticket in tickets {
            let mut kept = Vec::new();
            for id in self.cell.queue.jobs_of(ticket).unwrap_or_default() {
                if let Some(mut job) = self.unended(id).await? {
                    begin(&mut job);
                    job.stage = Some(StageName::Extract);
                    kept.push(id);
                    begun.push(job);
                }
            }
            self.cell.queue.keep_jobs(ticket, &kept);
        }
        save_jobs(&self.cell, &self.shared, begun).await
    }

    async fn unended(&self, id: JobId) -> Result<Option<Job>, BuildError> {
        Ok(self.shared.ledger.job(&self.cell.id, id).await?.filter(|job| !job.state.is_final()))
    }

    /// Takes what came out of the pipeline.
    fn take(&mut self, steps: Vec<Step>) -> Result<(), BuildError> {
        if steps.is_empty() {
            return Err(BuildError::Died("the pipeline ended before its documents".to_owned()));
        }
        for (ticket, step) in steps {
            self.feed.ended(&ticket);
            if !matches!(step, Err(PrepareError::Stopped)) {
                self.ready.push((ticket, step));
            }
        }
        Ok(())
    }

    fn is_due(&self) -> bool {
        let full = self.ready.len() >= COMMIT || self.feed.under_way() == 0;
        !self.ready.is_empty() && (full || self.pace.is_due(Instant::now()))
    }

    /// Commits what is ready; false when another generation serves that is made otherwise.
    async fn commit(&mut self) -> Result<bool, BuildError> {
        let mut steps = std::mem::take(&mut self.ready);
        steps.retain(|(ticket, _)| self.cell.queue.begin_writing(ticket));
        if steps.is_empty() {
            return Ok(true);
        }
        let begun = Instant::now();
        let Some(outcomes) = written(&self.cell, &self.spec, steps).await? else { return Ok(false) };
        self.pace.committed(begun, Instant::now());
        settle(&self.cell, &self.shared, outcomes).await?;
        Ok(true)
    }

    /// Tells the jobs how far their documents are, where that changed.
    async fn note(&mut self) -> Result<(), BuildError> {
        let under_way = self.cell.queue.under_way();
        let mut told = BTreeMap::new();
        let mut changed = Vec::new();
        for (ticket, jobs) in under_way {
            let progress = ticket.progress();
            let noted = (progress, ingest_queue::waits(&ticket));
            let known = self.noted.get(ticket.id());
            let moved = known.is_none_or(|(known, _)| *known != progress);
            if progress.stage.is_some() && known != Some(&noted) {
                for id in jobs {
                    let running = self.unended(id).await?.filter(|job| job.state == JobState::Running);
                    changed.extend(running.map(|job| advanced(job, &noted, moved)));
                }
            }
            told.insert(ticket.id().clone(), noted);
        }
        self.noted = told;
        save_jobs(&self.cell, &self.shared, changed).await
    }
}

/// A job as its document has come on.
fn advanced(mut job: Job, (progress, problem): &Noted, moved: bool) -> Job {
    job.stage = progress.stage;
    job.problem.clone_from(problem);
    job.counts.documents_total = 1;
    job.counts.documents_read = u64::from(progress.is_read());
    job.counts.chunks = progress.chunks;
    job.counts.chunks_embedded = progress.chunks_embedded;
    if moved {
        job.progressed_at = Some(Timestamp::now());
    }
    job
}

//! The index actor: a tenant's only writer of index and jobs.
//!
//! `handle` takes microseconds: it notes what is wanted and starts tasks, at most one of each kind. What a task finds
//! out comes back as a message. Everything it knows can be found again on disk, so its death loses nothing.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio_util::task::AbortOnDropHandle;

use super::cell::Cell;
use super::desk::{JobTicket, Removed};
use super::directory::Health;
use super::erase;
use super::faults::Place;
use super::history::{self, Activated};
use super::letter::Letter;
use super::open::{self, Opened};
use super::rebuild;
use super::refusal::DeskError;
use super::scan::{Scanned, Scans};
use super::stop::Stop;
use super::work::{self, Round, Shared};
use crate::domain::{DocumentId, Job, JobId, JobKind, Timestamp};
use crate::engine::BuildError;

/// Documents that one round of changes takes at most, so that the first are visible before the last are read.
const ROUND: usize = 256;
/// Waits between attempts at a first build, or at a round of changes that failed, in seconds.
const RETRIES: [u64; 5] = [2, 5, 15, 30, 60];

/// What an index actor hears.
pub(super) enum IndexMsg {
    /// A document was stored or found changed; its job follows it.
    Changed(DocumentId, Option<JobId>),
    /// A document is to go, from disk and index.
    Remove(DocumentId, String, RpcReplyPort<Result<Removed, DeskError>>),
    /// A new generation is wanted, by a job that is queued.
    Rebuild(Box<Job>, RpcReplyPort<Result<JobTicket, DeskError>>),
    /// A job is to stop; false when it cannot any more.
    Cancel(JobId, RpcReplyPort<bool>),
    /// An older generation is to serve again, or one that was held back if it is forced.
    Activate(u64, bool, RpcReplyPort<Result<Activated, DeskError>>),
    /// The tenant's folder stirred and is to be compared.
    Scan,
    /// Are you there?
    Ping(RpcReplyPort<()>),
    /// The actor's own: what was on disk is open.
    Opened(Result<Opened, BuildError>),
    /// The actor's own: a round of changes is in.
    Applied(Result<Round, BuildError>),
    /// The actor's own: a build ended.
    Built(Result<Vec<DocumentId>, BuildError>),
    /// The actor's own: the folder was compared.
    Scanned(Result<Scanned, BuildError>),
    /// The actor's own: time for another attempt.
    Retry,
}

pub(super) struct IndexActor;

pub(super) struct IndexArgs {
    pub cell: Arc<Cell>,
    pub shared: Shared,
}

pub(super) struct IndexState {
    cell: Arc<Cell>,
    shared: Shared,
    /// Whether the disk has been read; until then changes wait.
    opened: bool,
    opening: Option<AbortOnDropHandle<()>>,
    /// Changed documents that wait for the next round.
    pending: Round,
    applying: Option<Applying>,
    /// Whether a round failed a moment ago, and the next waits.
    resting: bool,
    /// Rounds that failed since the last good one.
    rounds_failed: usize,
    scans: Scans,
    building: Option<Building>,
    /// The one build that follows the running one.
    next_build: Option<Job>,
    /// Builds that failed since the last good one.
    failures: usize,
}

/// A round under way.
struct Applying {
    /// What it was given, to be tried again if it fails.
    round: Round,
    _task: AbortOnDropHandle<()>,
}

/// A build under way.
struct Building {
    job: JobId,
    stop: Stop,
    _task: AbortOnDropHandle<()>,
}

impl Actor for IndexActor {
    type Msg = Letter;
    type State = IndexState;
    type Arguments = IndexArgs;

    async fn pre_start(
        &self,
        me: ActorRef<Letter>,
        IndexArgs { cell, shared }: IndexArgs,
    ) -> Result<IndexState, ActorProcessingErr> {
        shared.faults.pass(&cell.id, Place::Spawn).await;
        let mut state = IndexState {
            cell,
            shared,
            opened: false,
            opening: None,
            pending: Round::new(),
            applying: None,
            resting: false,
            rounds_failed: 0,
            scans: Scans::default(),
            building: None,
            next_build: None,
            failures: 0,
        };
        state.open(&me);
        Ok(state)
    }

    async fn handle(
        &self,
        me: ActorRef<Letter>,
        letter: Letter,
        state: &mut IndexState,
    ) -> Result<(), ActorProcessingErr> {
        let message = letter.open();
        state.shared.faults.pass(&state.cell.id, Place::Handle).await;
        match message {
            IndexMsg::Changed(id, job) => {
                state.pending.entry(id).or_default().extend(job);
                state.apply(&me);
            }
            IndexMsg::Remove(id, by, reply) => state.remove(id, by, reply),
            IndexMsg::Rebuild(job, reply) => state.rebuild(&me, *job, reply),
            IndexMsg::Cancel(job, reply) => drop(reply.send(state.cancel(job))),
            IndexMsg::Activate(number, force, reply) => state.activate(&me, number, force, reply),
            IndexMsg::Scan => state.scan(&me),
            IndexMsg::Ping(reply) => drop(reply.send(())),
            IndexMsg::Opened(outcome) => state.on_opened(&me, outcome),
            IndexMsg::Applied(outcome) => state.on_applied(&me, outcome),
            IndexMsg::Built(outcome) => state.on_built(&me, outcome),
            IndexMsg::Scanned(outcome) => state.on_scanned(&me, outcome),
            IndexMsg::Retry => state.on_retry(&me),
        }
        Ok(())
    }
}

impl IndexState {
    fn open(&mut self, me: &ActorRef<Letter>) {
        let work = open::open(Arc::clone(&self.cell), self.shared.clone());
        self.opening = Some(reporting(&self.cell, me, work, IndexMsg::Opened));
    }

    fn on_opened(&mut self, me: &ActorRef<Letter>, outcome: Result<Opened, BuildError>) {
        self.opening = None;
        match outcome {
            Ok(opened) => {
                self.opened = true;
                for (id, job) in opened.changed {
                    self.pending.entry(id).or_default().extend(job);
                }
                // One that was asked for meanwhile may be found on disk as well.
                let found = opened.build.map(|job| *job);
                self.next_build.take_if(|waiting| found.as_ref().is_some_and(|job| job.id == waiting.id));
                match found.or_else(|| self.next_build.take()) {
                    Some(job) => self.start_build(me, job),
                    None => self.cell.set_health(Health::Ready),
                }
                self.apply(me);
                self.scan_again(me);
            }
            Err(error) => self.fail(me, &error),
        }
    }

    /// Starts a round of changes, unless one is under way or there is nothing to change yet.
    fn apply(&mut self, me: &ActorRef<Letter>) {
        // Without a generation there is nothing to apply to: the first build takes all documents as they then are.
        let can = self.opened && !self.resting && self.applying.is_none() && self.cell.snapshot().is_some();
        if !can || self.pending.is_empty() {
            return;
        }
        let rest = self.pending.keys().nth(ROUND).cloned().map(|at| self.pending.split_off(&at)).unwrap_or_default();
        let round = std::mem::replace(&mut self.pending, rest);
        let work = work::apply(Arc::clone(&self.cell), self.shared.clone(), round.clone());
        self.applying = Some(Applying { round, _task: reporting(&self.cell, me, work, IndexMsg::Applied) });
    }

    fn on_applied(&mut self, me: &ActorRef<Letter>, outcome: Result<Round, BuildError>) {
        let round = self.applying.take().map(|applying| applying.round).unwrap_or_default();
        let again = match outcome {
            // Documents that changed again while they were read.
            Ok(again) => {
                self.rounds_failed = 0;
                again
            }
            Err(error) => {
                tracing::warn!(tenant.id = %self.cell.id, error = %error, "a round of changes failed and is tried again");
                self.cell.note_error(&error.to_string());
                self.rest(me);
                round
            }
        };
        for (id, jobs) in again {
            self.pending.entry(id).or_default().extend(jobs);
        }
        self.apply(me);
    }

    fn later(&self, me: &ActorRef<Letter>, wait: Duration, message: fn() -> IndexMsg) {
        let cell = Arc::clone(&self.cell);
        drop(me.send_after(wait, move || Letter::new(&cell, message())));
    }

    /// Lets rounds wait, since what failed them, a full disk most likely, lasts.
    fn rest(&mut self, me: &ActorRef<Letter>) {
        self.resting = true;
        let wait = Duration::from_secs(RETRIES[self.rounds_failed.min(RETRIES.len() - 1)]);
        self.rounds_failed += 1;
        self.later(me, wait, || IndexMsg::Retry);
    }

    /// Starts a scan, or marks that another must follow: the running one may have looked already, and before the first
    /// generation there is nothing to compare with.
    fn scan(&mut self, me: &ActorRef<Letter>) {
        self.scans.again = !self.opened || self.scans.running.is_some() || self.cell.snapshot().is_none();
        if !self.scans.again {
            let work = self.scans.scan(Arc::clone(&self.cell), self.shared.clone());
            self.scans.running = Some(reporting(&self.cell, me, work, IndexMsg::Scanned));
        }
    }

    fn on_scanned(&mut self, me: &ActorRef<Letter>, outcome: Result<Scanned, BuildError>) {
        self.scans.running = None;
        match outcome {
            Ok(scanned) => {
                for (id, job) in scanned.changed {
                    self.pending.entry(id).or_default().push(job);
                }
                if let Some(wait) = scanned.look_again {
                    self.later(me, wait, || IndexMsg::Scan);
                }
                self.apply(me);
            }
            Err(error) => {
                tracing::warn!(tenant.id = %self.cell.id, error = %error, "the folder of {} could not be compared", self.cell.id);
                self.cell.note_error(&error.to_string());
            }
        }
        self.scan_again(me);
    }

    /// Makes up for a scan that could not begin.
    fn scan_again(&mut self, me: &ActorRef<Letter>) {
        if self.scans.again {
            self.scan(me);
        }
    }

    fn remove(&mut self, id: DocumentId, by: String, reply: RpcReplyPort<Result<Removed, DeskError>>) {
        // What waits to be read stays waiting: the round finds the document gone, and ends its jobs.
        let work = erase::remove(Arc::clone(&self.cell), self.shared.clone(), id, by);
        // Not tied to this actor's life: a removal that began is finished.
        tokio::spawn(async move { reply.send(work.await) });
    }

    fn rebuild(&mut self, me: &ActorRef<Letter>, job: Job, reply: RpcReplyPort<Result<JobTicket, DeskError>>) {
        if let Some(waiting) = &self.next_build {
            let joined = JobTicket { job_id: waiting.id, joined: true };
            let same = waiting.fresh == job.fresh;
            let _ = reply.send(if same { Ok(joined) } else { Err(DeskError::OtherRebuild(waiting.id)) });
            return;
        }
        let ticket = JobTicket { job_id: job.id, joined: false };
        let saved = self.shared.ledger.clone();
        let (tenant, noted) = (self.cell.id.clone(), job.clone());
        if self.building.is_some() || !self.opened {
            self.next_build = Some(job);
            tokio::spawn(async move {
                reply.send(saved.save_job(&tenant, noted).await.map(|()| ticket).map_err(Into::into))
            });
            return;
        }
        let stop = Stop::default();
        let build = rebuild::build(Arc::clone(&self.cell), self.shared.clone(), job, stop.clone());
        let noted = async move {
            let kept = saved.save_job(&tenant, noted).await;
            let refused = kept.is_err();
            let _ = reply.send(kept.map(|()| ticket).map_err(Into::into));
            // A build that could not be written down is not begun.
            if refused { Ok(Vec::new()) } else { build.await }
        };
        self.building =
            Some(Building { job: ticket.job_id, stop, _task: reporting(&self.cell, me, noted, IndexMsg::Built) });
    }

    /// Stops a job; false when it is unknown here, since it has ended.
    fn cancel(&mut self, job: JobId) -> bool {
        if let Some(building) = self.building.as_ref().filter(|building| building.job == job) {
            return building.stop.stop();
        }
        if self.next_build.take_if(|waiting| waiting.id == job).is_some() {
            self.end_cancelled(None, job);
            return true;
        }
        let waiting = self.pending.iter_mut().find(|(_, jobs)| jobs.contains(&job));
        if let Some((id, jobs)) = waiting {
            jobs.retain(|other| *other != job);
            let alone = jobs.is_empty().then(|| id.clone());
            if let Some(id) = &alone {
                self.pending.remove(id);
            }
            self.end_cancelled(alone, job);
            return true;
        }
        let running = self.applying.is_some();
        if running {
            self.cell.cancelled.insert(job);
        }
        running
    }

    fn end_cancelled(&self, document: Option<DocumentId>, job: JobId) {
        let (cell, shared) = (Arc::clone(&self.cell), self.shared.clone());
        tokio::spawn(async move {
            if let Err(error) = work::cancel(&cell, &shared, document.as_ref(), vec![job]).await {
                cell.note_error(&error.to_string());
            }
        });
    }

    fn activate(
        &mut self,
        me: &ActorRef<Letter>,
        number: u64,
        force: bool,
        reply: RpcReplyPort<Result<Activated, DeskError>>,
    ) {
        let work = history::activate(Arc::clone(&self.cell), self.shared.clone(), number, force);
        let (cell, me) = (Arc::clone(&self.cell), me.clone());
        // Not tied to this actor's life, as with a removal.
        tokio::spawn(async move {
            let outcome = work.await.map(|(activated, changed)| {
                for id in changed {
                    let _ = me.cast(Letter::new(&cell, IndexMsg::Changed(id, None)));
                }
                activated
            });
            reply.send(outcome)
        });
    }

    fn start_build(&mut self, me: &ActorRef<Letter>, job: Job) {
        if self.cell.snapshot().is_none() {
            self.cell.set_health(Health::Building { since: Timestamp::now() });
        }
        let (id, stop) = (job.id, Stop::default());
        let work = rebuild::build(Arc::clone(&self.cell), self.shared.clone(), job, stop.clone());
        self.building = Some(Building { job: id, stop, _task: reporting(&self.cell, me, work, IndexMsg::Built) });
    }

    fn on_built(&mut self, me: &ActorRef<Letter>, outcome: Result<Vec<DocumentId>, BuildError>) {
        self.building = None;
        match outcome {
            Ok(again) => {
                self.failures = 0;
                for id in again {
                    self.pending.entry(id).or_default();
                }
                self.cell.set_health(Health::Ready);
                if let Some(job) = self.next_build.take() {
                    self.start_build(me, job);
                }
                self.apply(me);
                self.scan_again(me);
            }
            Err(BuildError::Cancelled) if self.cell.snapshot().is_some() => self.on_built(me, Ok(Vec::new())),
            Err(error) => self.fail(me, &error),
        }
    }

    /// Notes a failure. A tenant that cannot answer yet tries again by itself; one that answers waits for a command.
    fn fail(&mut self, me: &ActorRef<Letter>, error: &BuildError) {
        tracing::warn!(tenant.id = %self.cell.id, error = %error, "the index of {} could not be opened or built", self.cell.id);
        self.cell.note_error(&error.to_string());
        if self.opened && self.cell.snapshot().is_some() {
            self.cell.set_health(Health::Ready);
            if let Some(job) = self.next_build.take() {
                self.start_build(me, job);
            }
            return;
        }
        let retry_in = Duration::from_secs(RETRIES[self.failures.min(RETRIES.len() - 1)]);
        self.failures += 1;
        self.cell.set_health(Health::Failed { cause: error.to_string(), retry_in });
        self.later(me, retry_in, || IndexMsg::Retry);
    }

    fn on_retry(&mut self, me: &ActorRef<Letter>) {
        if !self.opened && self.opening.is_none() {
            self.open(me);
        } else if self.opened && self.building.is_none() && self.cell.snapshot().is_none() {
            let job = self.next_build.take().unwrap_or_else(|| Job::queued(JobKind::Reindex, None, "boot"));
            self.start_build(me, job);
        }
        self.resting = false;
        self.apply(me);
    }
}

/// Runs `work` beside the actor and sends its outcome back; a panic arrives as [`BuildError::Died`]. Dropped, it stops.
fn reporting<T: Send + 'static>(
    cell: &Arc<Cell>,
    me: &ActorRef<Letter>,
    work: impl Future<Output = Result<T, BuildError>> + Send + 'static,
    message: fn(Result<T, BuildError>) -> IndexMsg,
) -> AbortOnDropHandle<()> {
    let (cell, me) = (Arc::clone(cell), me.clone());
    AbortOnDropHandle::new(tokio::spawn(async move {
        let outcome = AbortOnDropHandle::new(tokio::spawn(work)).await;
        let message = message(outcome.unwrap_or_else(|died| Err(BuildError::died(&died))));
        let _ = me.cast(Letter::new(&cell, message));
    }))
}

//! The index actor: a tenant's only writer of index and jobs.
//!
//! `handle` takes microseconds: it notes what is wanted and starts tasks, at most one of each kind. What a task finds
//! out comes back as a message. Everything it knows can be found again on disk, so its death loses nothing.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_util::task::AbortOnDropHandle;

use super::cell::Cell;
use super::desk::{JobTicket, Removed};
use super::directory::Health;
use super::erase;
use super::faults::Place;
use super::history::{self, Activated};
use super::ingest_queue::Cancelled;
use super::intake;
use super::letter::Letter;
use super::open::{self, Opened};
use super::rebuild;
use super::refusal::DeskError;
use super::scan::{Scanned, Scans};
use super::stop::Stop;
use super::work::{self, Shared};
use crate::domain::{DocumentId, Job, JobId, JobKind, Timestamp};
use crate::engine::{BuildError, Ticket};

/// Waits between attempts at a first build, or at an intake that failed, in seconds; the last repeats, so that a tenant is
/// back within a minute of whatever it waited for.
const RETRIES: [u64; 5] = [2, 5, 10, 20, 30];

/// Wait before a folder is compared again that could not be: what was in the way, a full disk most likely, lasts.
const COMPARED_AGAIN: Duration = Duration::from_secs(30);

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
    /// The actor's own: the intake has nothing left, or failed.
    TakenIn(Result<(), BuildError>),
    /// The actor's own: a build ended.
    Built(Result<Vec<DocumentId>, BuildError>),
    /// A first generation serves, so that what waits can be brought into it.
    Serving,
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
    intake: Option<Intake>,
    /// Whether the intake failed a moment ago, and the next waits.
    resting: bool,
    /// Intakes that failed since the last good one.
    intakes_failed: usize,
    scans: Scans,
    building: Option<Building>,
    /// The one build that follows the running one.
    next_build: Option<Job>,
    /// Builds that failed since the last good one.
    failures: usize,
    /// The first build's job, for its next attempt.
    first: Option<Job>,
}

/// An intake under way.
struct Intake {
    to: UnboundedSender<Ticket>,
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
        // What an earlier actor had on its way is found again on disk.
        cell.queue.clear();
        let mut state = IndexState {
            cell,
            shared,
            opened: false,
            opening: None,
            intake: None,
            resting: false,
            intakes_failed: 0,
            scans: Scans::default(),
            building: None,
            next_build: None,
            failures: 0,
            first: None,
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
                state.cell.stop_building(&id);
                state.cell.queue.add(&id, job);
                state.take_in(&me);
            }
            IndexMsg::Remove(id, by, reply) => state.remove(&me, id, by, reply),
            IndexMsg::Rebuild(job, reply) => state.rebuild(&me, *job, reply),
            IndexMsg::Cancel(job, reply) => drop(reply.send(state.cancel(job))),
            IndexMsg::Activate(number, force, reply) => state.activate(&me, number, force, reply),
            IndexMsg::Scan => state.scan(&me),
            IndexMsg::Ping(reply) => drop(reply.send(())),
            IndexMsg::Opened(outcome) => state.on_opened(&me, outcome),
            IndexMsg::TakenIn(outcome) => state.on_taken_in(&me, outcome),
            IndexMsg::Built(outcome) => state.on_built(&me, outcome),
            IndexMsg::Scanned(outcome) => state.on_scanned(&me, outcome),
            IndexMsg::Serving => state.take_in(&me),
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
                for (id, jobs) in opened.changed {
                    self.cell.queue.add(&id, jobs);
                }
                // One that was asked for meanwhile may be found on disk as well.
                let found = opened.build.map(|job| *job);
                self.next_build.take_if(|waiting| found.as_ref().is_some_and(|job| job.id == waiting.id));
                match found.or_else(|| self.next_build.take()) {
                    Some(job) => self.start_build(me, job),
                    None => self.cell.set_health(Health::Ready),
                }
                self.take_in(me);
                self.scan_again(me);
            }
            Err(error) => self.fail(me, &error),
        }
    }

    /// Hands what waits to the intake, which is started if need be.
    fn take_in(&mut self, me: &ActorRef<Letter>) {
        // Without a generation there is nothing to bring it into; the first build makes one, empty, before all else.
        if !self.opened || self.resting || self.cell.snapshot().is_none() {
            return;
        }
        let waiting = self.cell.queue.hand_over();
        if waiting.is_empty() {
            return;
        }
        let intake = self.intake.get_or_insert_with(|| {
            let (to, arrivals) = unbounded_channel();
            let work = intake::run(Arc::clone(&self.cell), self.shared.clone(), arrivals);
            Intake { to, _task: reporting(&self.cell, me, work, IndexMsg::TakenIn) }
        });
        // One that is about to end takes nothing more; its end gives the rest back to the queue.
        for ticket in waiting {
            let _ = intake.to.send(ticket);
        }
    }

    fn on_taken_in(&mut self, me: &ActorRef<Letter>, outcome: Result<(), BuildError>) {
        self.intake = None;
        self.cell.queue.give_back();
        match outcome {
            Ok(()) => {
                self.intakes_failed = 0;
                self.cell.queue.note_resting(None);
            }
            Err(error) => {
                tracing::warn!(tenant.id = %self.cell.id, error = %error, "bringing documents in failed and is tried again");
                self.cell.note_error(&error.to_string());
                self.cell.queue.note_resting(Some(rebuild::waits(error.code(), &error.in_full())));
                self.rest(me);
            }
        }
        self.take_in(me);
    }

    fn later(&self, me: &ActorRef<Letter>, wait: Duration, message: fn() -> IndexMsg) {
        let cell = Arc::clone(&self.cell);
        drop(me.send_after(wait, move || Letter::new(&cell, message())));
    }

    /// Lets the intake wait, since what failed it, a full disk most likely, lasts.
    fn rest(&mut self, me: &ActorRef<Letter>) {
        self.resting = true;
        let wait = Duration::from_secs(RETRIES[self.intakes_failed.min(RETRIES.len() - 1)]);
        self.intakes_failed += 1;
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
                    self.cell.stop_building(&id);
                    self.cell.queue.add(&id, Some(job));
                }
                if let Some(wait) = scanned.look_again {
                    self.later(me, wait, || IndexMsg::Scan);
                }
                self.take_in(me);
            }
            Err(error) => {
                tracing::warn!(tenant.id = %self.cell.id, error = %error, "the folder of {} could not be compared", self.cell.id);
                self.cell.note_error(&error.to_string());
                self.later(me, COMPARED_AGAIN, || IndexMsg::Scan);
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

    fn remove(
        &mut self,
        me: &ActorRef<Letter>,
        id: DocumentId,
        by: String,
        reply: RpcReplyPort<Result<Removed, DeskError>>,
    ) {
        let work = erase::remove(Arc::clone(&self.cell), self.shared.clone(), id, by);
        let (cell, me) = (Arc::clone(&self.cell), me.clone());
        // Not tied to this actor's life: a removal that began is finished.
        tokio::spawn(async move {
            let outcome = work.await;
            if matches!(outcome, Err(DeskError::DeleteUnfinished(_))) {
                // A comparison finds what the index has and the folder has not.
                let _ = me.cast(Letter::new(&cell, IndexMsg::Scan));
            }
            reply.send(outcome)
        });
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
        match self.cell.queue.cancel(job) {
            Cancelled::Unknown | Cancelled::TooLate => return false,
            Cancelled::Job => self.end_cancelled(None, job),
            Cancelled::Document(id) => self.end_cancelled(Some(id), job),
        }
        true
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
        if !self.cell.is_whole() {
            self.cell.set_health(Health::Building { since: Timestamp::now() });
            self.first = Some(Job { attempts: job.attempts + 1, ..job.clone() });
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
                self.first = None;
                self.cell.why_not.store(None);
                for id in again {
                    self.cell.queue.add(&id, None);
                }
                self.cell.set_health(Health::Ready);
                if let Some(job) = self.next_build.take() {
                    self.start_build(me, job);
                }
                self.take_in(me);
                self.scan_again(me);
            }
            Err(BuildError::Cancelled) if self.cell.is_whole() => self.on_built(me, Ok(Vec::new())),
            Err(error) => self.fail(me, &error),
        }
    }

    /// Notes a failure. A tenant that cannot answer yet tries again by itself; one that answers waits for a command.
    fn fail(&mut self, me: &ActorRef<Letter>, error: &BuildError) {
        tracing::warn!(tenant.id = %self.cell.id, error = %error, "the index of {} could not be opened or built", self.cell.id);
        self.cell.note_error(&error.to_string());
        if self.opened && self.cell.is_whole() {
            self.cell.set_health(Health::Ready);
            if let Some(job) = self.next_build.take() {
                self.start_build(me, job);
            }
            return;
        }
        let retry_in = Duration::from_secs(RETRIES[self.failures.min(RETRIES.len() - 1)]);
        self.failures += 1;
        self.cell.why_not.store(Some(Arc::new(error.public())));
        self.cell.set_health(Health::Failed { cause: error.to_string(), retry_in });
        self.later(me, retry_in, || IndexMsg::Retry);
    }

    fn on_retry(&mut self, me: &ActorRef<Letter>) {
        if !self.opened && self.opening.is_none() {
            self.open(me);
        } else if self.opened && self.building.is_none() && !self.cell.is_whole() {
            // The same job again, so that a tenant that cannot be built does not fill the list of jobs.
            let job = self.next_build.take().or_else(|| self.first.take());
            let job = job.unwrap_or_else(|| Job::queued(JobKind::Reindex, None, "boot"));
            self.start_build(me, job);
        }
        self.resting = false;
        self.take_in(me);
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

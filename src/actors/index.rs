//! The index actor: a tenant's only writer of index and jobs.
//!
//! `handle` takes microseconds: it notes what is wanted and starts tasks, at most one of each kind. What a task finds
//! out comes back as a message. Everything it knows can be found again on disk, so its death loses nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio_util::task::AbortOnDropHandle;

use super::cell::Cell;
use super::desk::{JobTicket, Removed};
use super::directory::Health;
use super::faults::Place;
use super::history::{self, Activated};
use super::open::{self, Opened};
use super::rebuild;
use super::refusal::DeskError;
use super::scan::{Scanned, Scans};
use super::work::{self, Shared};
use crate::domain::{DocumentId, Job, JobId, JobKind, Timestamp};
use crate::engine::BuildError;

/// Documents that one round of changes takes at most, so that the first are visible before the last are read.
const ROUND: usize = 256;
/// Waits between attempts at a first build, in seconds.
const RETRIES: [u64; 5] = [2, 5, 15, 30, 60];

/// What an index actor hears.
pub(super) enum IndexMsg {
    /// A document was stored or found changed; its job follows it.
    Changed(DocumentId, Option<JobId>),
    /// A document is to go, from disk and index.
    Remove(DocumentId, RpcReplyPort<Result<Removed, DeskError>>),
    /// A new generation is wanted.
    Rebuild(String, RpcReplyPort<Result<JobTicket, DeskError>>),
    /// An older generation is to serve again.
    Activate(u64, RpcReplyPort<Result<Activated, DeskError>>),
    /// The tenant's folder stirred and is to be compared.
    Scan,
    /// Are you there?
    Ping(RpcReplyPort<()>),
    /// The actor's own: what was on disk is open.
    Opened(Result<Opened, BuildError>),
    /// The actor's own: a round of changes is in.
    Applied(Result<Vec<DocumentId>, BuildError>),
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
    pending: BTreeMap<DocumentId, Vec<JobId>>,
    applying: Option<AbortOnDropHandle<()>>,
    scans: Scans,
    building: Option<AbortOnDropHandle<()>>,
    /// The one build that follows the running one.
    next_build: Option<Job>,
    /// Builds that failed since the last good one.
    failures: usize,
}

impl Actor for IndexActor {
    type Msg = IndexMsg;
    type State = IndexState;
    type Arguments = IndexArgs;

    async fn pre_start(
        &self,
        me: ActorRef<IndexMsg>,
        IndexArgs { cell, shared }: IndexArgs,
    ) -> Result<IndexState, ActorProcessingErr> {
        shared.faults.pass(&cell.id, Place::Spawn).await;
        let mut state = IndexState {
            cell,
            shared,
            opened: false,
            opening: None,
            pending: BTreeMap::new(),
            applying: None,
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
        me: ActorRef<IndexMsg>,
        message: IndexMsg,
        state: &mut IndexState,
    ) -> Result<(), ActorProcessingErr> {
        state.shared.faults.pass(&state.cell.id, Place::Handle).await;
        match message {
            IndexMsg::Changed(id, job) => {
                state.pending.entry(id).or_default().extend(job);
                state.apply(&me);
            }
            IndexMsg::Remove(id, reply) => state.remove(id, reply),
            IndexMsg::Rebuild(by, reply) => state.rebuild(&me, &by, reply),
            IndexMsg::Activate(number, reply) => state.activate(&me, number, reply),
            IndexMsg::Scan => state.scan(&me),
            IndexMsg::Ping(reply) => drop(reply.send(())),
            IndexMsg::Opened(outcome) => state.on_opened(&me, outcome),
            IndexMsg::Applied(outcome) => state.on_applied(&me, outcome),
            IndexMsg::Built(outcome) => state.on_built(&me, outcome),
            IndexMsg::Scanned(outcome) => state.on_scanned(&me, outcome),
            IndexMsg::Retry => state.on_retry(&me),
        }
        state.cell.metrics.mailbox(0);
        Ok(())
    }
}

impl IndexState {
    fn open(&mut self, me: &ActorRef<IndexMsg>) {
        let work = open::open(Arc::clone(&self.cell), self.shared.clone());
        self.opening = Some(reporting(me, work, IndexMsg::Opened));
    }

    fn on_opened(&mut self, me: &ActorRef<IndexMsg>, outcome: Result<Opened, BuildError>) {
        self.opening = None;
        match outcome {
            Ok(opened) => {
                self.opened = true;
                for (id, job) in opened.changed {
                    self.pending.entry(id).or_default().extend(job);
                }
                match (opened.build.map(|job| *job), self.next_build.take()) {
                    (Some(job), _) | (None, Some(job)) => self.start_build(me, job),
                    (None, None) => self.cell.set_health(Health::Ready),
                }
                self.apply(me);
                self.scan_again(me);
            }
            Err(error) => self.fail(me, &error),
        }
    }

    /// Starts a round of changes, unless one is under way or there is nothing to change yet.
    fn apply(&mut self, me: &ActorRef<IndexMsg>) {
        // Without a generation there is nothing to apply to: the first build takes all documents as they then are.
        if !self.opened || self.applying.is_some() || self.pending.is_empty() || self.cell.snapshot().is_none() {
            return;
        }
        let rest = self.pending.keys().nth(ROUND).cloned().map(|at| self.pending.split_off(&at)).unwrap_or_default();
        let round = std::mem::replace(&mut self.pending, rest);
        let work = work::apply(Arc::clone(&self.cell), self.shared.clone(), round);
        self.applying = Some(reporting(me, work, IndexMsg::Applied));
    }

    fn on_applied(&mut self, me: &ActorRef<IndexMsg>, outcome: Result<Vec<DocumentId>, BuildError>) {
        self.applying = None;
        match outcome {
            // Documents that changed again while they were read.
            Ok(again) => again.into_iter().for_each(|id| {
                self.pending.entry(id).or_default();
            }),
            Err(error) => {
                tracing::warn!(tenant.id = %self.cell.id, error = %error, "a round of changes failed");
                self.cell.note_error(&error.to_string());
            }
        }
        self.apply(me);
    }

    /// Starts a scan, or marks that another must follow: the running one may have looked already, and before the first
    /// generation there is nothing to compare with.
    fn scan(&mut self, me: &ActorRef<IndexMsg>) {
        self.scans.again = !self.opened || self.scans.running.is_some() || self.cell.snapshot().is_none();
        if !self.scans.again {
            let work = self.scans.scan(Arc::clone(&self.cell), self.shared.clone());
            self.scans.running = Some(reporting(me, work, IndexMsg::Scanned));
        }
    }

    fn on_scanned(&mut self, me: &ActorRef<IndexMsg>, outcome: Result<Scanned, BuildError>) {
        self.scans.running = None;
        match outcome {
            Ok(scanned) => {
                for (id, job) in scanned.changed {
                    self.pending.entry(id).or_default().push(job);
                }
                if let Some(wait) = scanned.look_again {
                    drop(me.send_after(wait, || IndexMsg::Scan));
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
    fn scan_again(&mut self, me: &ActorRef<IndexMsg>) {
        if self.scans.again {
            self.scan(me);
        }
    }

    fn remove(&mut self, id: DocumentId, reply: RpcReplyPort<Result<Removed, DeskError>>) {
        self.pending.remove(&id);
        let work = work::remove(Arc::clone(&self.cell), self.shared.clone(), id);
        // Not tied to this actor's life: a removal that began is finished.
        tokio::spawn(async move { reply.send(work.await) });
    }

    fn rebuild(&mut self, me: &ActorRef<IndexMsg>, by: &str, reply: RpcReplyPort<Result<JobTicket, DeskError>>) {
        let waiting = self.next_build.as_ref().map(|job| JobTicket { job_id: job.id, joined: true });
        if let Some(ticket) = waiting {
            let _ = reply.send(Ok(ticket));
            return;
        }
        let job = work::new_job(JobKind::Reindex, None, by);
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
        let build = rebuild::build(Arc::clone(&self.cell), self.shared.clone(), job);
        let noted = async move {
            let kept = saved.save_job(&tenant, noted).await;
            let refused = kept.is_err();
            let _ = reply.send(kept.map(|()| ticket).map_err(Into::into));
            // A build that could not be written down is not begun.
            if refused { Ok(Vec::new()) } else { build.await }
        };
        self.building = Some(reporting(me, noted, IndexMsg::Built));
    }

    fn activate(&mut self, me: &ActorRef<IndexMsg>, number: u64, reply: RpcReplyPort<Result<Activated, DeskError>>) {
        let work = history::activate(Arc::clone(&self.cell), self.shared.clone(), number);
        let me = me.clone();
        // Not tied to this actor's life, as with a removal.
        tokio::spawn(async move {
            let outcome = work.await.map(|(activated, changed)| {
                for id in changed {
                    let _ = me.cast(IndexMsg::Changed(id, None));
                }
                activated
            });
            reply.send(outcome)
        });
    }

    fn start_build(&mut self, me: &ActorRef<IndexMsg>, job: Job) {
        if self.cell.snapshot().is_none() {
            self.cell.set_health(Health::Building { since: Timestamp::now() });
        }
        let work = rebuild::build(Arc::clone(&self.cell), self.shared.clone(), job);
        self.building = Some(reporting(me, work, IndexMsg::Built));
    }

    fn on_built(&mut self, me: &ActorRef<IndexMsg>, outcome: Result<Vec<DocumentId>, BuildError>) {
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
            Err(error) => self.fail(me, &error),
        }
    }

    /// Notes a failure. A tenant that cannot answer yet tries again by itself; one that answers waits for a command.
    fn fail(&mut self, me: &ActorRef<IndexMsg>, error: &BuildError) {
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
        drop(me.send_after(retry_in, || IndexMsg::Retry));
    }

    fn on_retry(&mut self, me: &ActorRef<IndexMsg>) {
        if !self.opened && self.opening.is_none() {
            self.open(me);
        } else if self.opened && self.building.is_none() && self.cell.snapshot().is_none() {
            let job = self.next_build.take().unwrap_or_else(|| work::new_job(JobKind::Reindex, None, "boot"));
            self.start_build(me, job);
        }
    }
}

/// Runs `work` beside the actor and sends its outcome back; a panic arrives as [`BuildError::Died`]. Dropped, it stops.
fn reporting<T: Send + 'static>(
    me: &ActorRef<IndexMsg>,
    work: impl Future<Output = Result<T, BuildError>> + Send + 'static,
    message: fn(Result<T, BuildError>) -> IndexMsg,
) -> AbortOnDropHandle<()> {
    let me = me.clone();
    AbortOnDropHandle::new(tokio::spawn(async move {
        let outcome = AbortOnDropHandle::new(tokio::spawn(work)).await;
        let _ = me.cast(message(outcome.unwrap_or_else(|died| Err(BuildError::Died(died.to_string())))));
    }))
}

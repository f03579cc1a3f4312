//! Documents on their way into the serving generation, with the jobs that wait for each.
//!
//! Shared by the actor, which adds and cancels, the intake, which works, and the desk, which shows how far each is. A
//! document has at most one ticket that counts: whoever holds another has lost it to a delete, a cancel or newer bytes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::rebuild;
use crate::domain::{DocumentId, DocumentProgress, JobId, JobProblem};
use crate::engine::Ticket;

/// The queue of one tenant.
#[derive(Default)]
pub(super) struct IngestQueue(Mutex<State>);

#[derive(Default)]
struct State {
    entries: BTreeMap<DocumentId, Entry>,
    /// Why nothing at all is worked on, until the next attempt.
    rests_for: Option<JobProblem>,
}

struct Entry {
    ticket: Ticket,
    jobs: Vec<JobId>,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nobody works on it yet.
    Waiting,
    /// The intake has its ticket.
    Handed,
    /// It is being written into the index, which is not stopped half-way.
    Writing,
}

/// What became of a job that was to be cancelled.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cancelled {
    /// No document waits with this job.
    Unknown,
    /// Its document is being written, so it is about to end.
    TooLate,
    /// The job waits no more; its document goes on for others.
    Job,
    /// The work on the document was stopped with its last job.
    Document(DocumentId),
}

impl IngestQueue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change below is whole before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a document that is new or has other bytes. Work on what it was before is stopped; its jobs wait on.
    pub fn add(&self, id: &DocumentId, job: impl IntoIterator<Item = JobId>) {
        let mut state = self.lock();
        let new = || Entry { ticket: Ticket::new(id.clone()), jobs: Vec::new(), phase: Phase::Waiting };
        let entry = state.entries.entry(id.clone()).or_insert_with(new);
        entry.restart();
        entry.jobs.extend(job);
    }

    /// Takes the tickets that nobody works on yet.
    pub fn hand_over(&self) -> Vec<Ticket> {
        let mut state = self.lock();
        let waiting = state.entries.values_mut().filter(|entry| entry.phase == Phase::Waiting);
        waiting
            .map(|entry| {
                entry.phase = Phase::Handed;
                entry.ticket.clone()
            })
            .collect()
    }

    /// Whether a ticket is the one that counts; its document is then about to be written.
    pub fn begin_writing(&self, ticket: &Ticket) -> bool {
        let mut state = self.lock();
        let entry = state.current(ticket);
        let counts = entry.is_some();
        if let Some(entry) = entry {
            entry.phase = Phase::Writing;
        }
        counts
    }

    /// Ends a document's way; its jobs, or nothing when the ticket does not count any more.
    pub fn end(&self, ticket: &Ticket) -> Option<Vec<JobId>> {
        let mut state = self.lock();
        state.current(ticket)?;
        state.entries.remove(ticket.id()).map(|entry| entry.jobs)
    }

    /// Has a document read again that changed while it was worked on.
    pub fn again(&self, ticket: &Ticket) {
        if let Some(entry) = self.lock().current(ticket) {
            entry.restart();
        }
    }

    /// Keeps only those jobs of a document that `keep` names.
    pub fn keep_jobs(&self, ticket: &Ticket, keep: &[JobId]) {
        if let Some(entry) = self.lock().current(ticket) {
            entry.jobs.retain(|job| keep.contains(job));
        }
    }

    /// The jobs that wait for a document; nothing when the ticket does not count any more.
    pub fn jobs_of(&self, ticket: &Ticket) -> Option<Vec<JobId>> {
        self.lock().current(ticket).map(|entry| entry.jobs.clone())
    }

    /// Cancels a job. The last job of a document takes the work on it along.
    pub fn cancel(&self, job: JobId) -> Cancelled {
        let mut state = self.lock();
        let Some((id, entry)) = state.entries.iter_mut().find(|(_, entry)| entry.jobs.contains(&job)) else {
            return Cancelled::Unknown;
        };
        if entry.phase == Phase::Writing {
            return Cancelled::TooLate;
        }
        entry.jobs.retain(|other| *other != job);
        if !entry.jobs.is_empty() {
            return Cancelled::Job;
        }
        let id = id.clone();
        state.remove(&id);
        Cancelled::Document(id)
    }

    /// Stops the work on a document that is gone; returns the jobs that waited for it.
    pub fn remove(&self, id: &DocumentId) -> Vec<JobId> {
        self.lock().remove(id)
    }

    /// Has everything worked on anew that a failed intake left.
    pub fn give_back(&self) {
        self.lock().entries.values_mut().for_each(Entry::restart);
    }

    /// Stops everything and forgets it.
    pub fn clear(&self) {
        let mut state = self.lock();
        state.entries.values().for_each(|entry| entry.ticket.stop());
        *state = State::default();
    }

    /// Tickets that the intake holds, each with its jobs.
    pub fn under_way(&self) -> Vec<(Ticket, Vec<JobId>)> {
        let state = self.lock();
        let handed = state.entries.values().filter(|entry| entry.phase == Phase::Handed);
        handed.map(|entry| (entry.ticket.clone(), entry.jobs.clone())).collect()
    }

    /// Whether a document is on its way.
    pub fn contains(&self, id: &DocumentId) -> bool {
        self.lock().entries.contains_key(id)
    }

    /// Says why nothing is worked on until the next attempt, or that something is.
    pub fn note_resting(&self, why: Option<JobProblem>) {
        self.lock().rests_for = why;
    }

    /// How far a document is, and why it waits; nothing when it is not on its way.
    pub fn progress(&self, id: &DocumentId) -> Option<(DocumentProgress, Option<JobProblem>)> {
        let state = self.lock();
        let ticket = &state.entries.get(id)?.ticket;
        Some((ticket.progress(), state.rests_for.clone().or_else(|| waits(ticket))))
    }
}

/// Why a document waits for its vectors.
pub(super) fn waits(ticket: &Ticket) -> Option<JobProblem> {
    ticket.waits_for().map(|why| rebuild::waits(why.code(), &why.in_full()))
}

impl State {
    /// The entry whose ticket this is.
    fn current(&mut self, ticket: &Ticket) -> Option<&mut Entry> {
        self.entries.get_mut(ticket.id()).filter(|entry| entry.ticket.is(ticket))
    }

    fn remove(&mut self, id: &DocumentId) -> Vec<JobId> {
        let Some(entry) = self.entries.remove(id) else { return Vec::new() };
        entry.ticket.stop();
        entry.jobs
    }
}

impl Entry {
    /// Stops what is under way and waits anew.
    fn restart(&mut self) {
        if self.phase != Phase::Waiting {
            self.ticket.stop();
            self.ticket = Ticket::new(self.ticket.id().clone());
            self.phase = Phase::Waiting;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> DocumentId {
        DocumentId::parse(name).unwrap()
    }

    fn handed(queue: &IngestQueue, name: &str, jobs: &[JobId]) -> Ticket {
        queue.add(&id(name), jobs.iter().copied());
        queue.hand_over().remove(0)
    }

    #[test]
    fn the_last_job_that_is_cancelled_stops_the_work_on_its_document() {
        let (queue, first, second) = (IngestQueue::default(), JobId::fresh(), JobId::fresh());
        let ticket = handed(&queue, "a.md", &[first, second]);
        assert_eq!(queue.cancel(first), Cancelled::Job);
        assert!(!ticket.is_stopped());
        assert_eq!(queue.cancel(second), Cancelled::Document(id("a.md")));
        assert!(ticket.is_stopped() && !queue.begin_writing(&ticket));
        assert_eq!(queue.cancel(second), Cancelled::Unknown);
    }

    #[test]
    fn newer_bytes_stop_the_work_on_the_older_and_keep_its_jobs() {
        let (queue, first, second) = (IngestQueue::default(), JobId::fresh(), JobId::fresh());
        let old = handed(&queue, "a.md", &[first]);
        let new = handed(&queue, "a.md", &[second]);
        assert!(old.is_stopped() && !new.is_stopped());
        assert_eq!(queue.end(&old), None);
        assert_eq!(queue.end(&new), Some(vec![first, second]));
    }

    #[test]
    fn what_is_being_written_is_not_cancelled_half_way() {
        let (queue, job) = (IngestQueue::default(), JobId::fresh());
        let ticket = handed(&queue, "a.md", &[job]);
        assert!(queue.begin_writing(&ticket));
        assert_eq!(queue.cancel(job), Cancelled::TooLate);
        assert_eq!(queue.end(&ticket), Some(vec![job]));
    }

    #[test]
    fn a_document_that_is_gone_is_stopped_even_while_it_is_written() {
        let (queue, job) = (IngestQueue::default(), JobId::fresh());
        let ticket = handed(&queue, "a.md", &[job]);
        queue.begin_writing(&ticket);
        assert_eq!(queue.remove(&id("a.md")), [job]);
        assert!(ticket.is_stopped());
        assert_eq!(queue.end(&ticket), None);
    }

    #[test]
    fn what_a_failed_intake_left_is_handed_over_again() {
        let queue = IngestQueue::default();
        let lost = handed(&queue, "a.md", &[]);
        assert!(queue.hand_over().is_empty());
        queue.give_back();
        let next = queue.hand_over().remove(0);
        assert!(lost.is_stopped() && !next.is(&lost));
    }
}

//! The one thread that writes.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{LedgerError, Result};

/// Changes that share a transaction at most. A sync of the disk costs as much as thousands of them, so those that wait while
/// one is under way go together in the next.
const TOGETHER: usize = 256;

/// A way to the writing thread; dropping it ends the thread once everything sent is committed.
pub(super) struct Writer {
    queue: Option<Sender<Box<dyn Change>>>,
    thread: Option<JoinHandle<()>>,
}

/// A change that waits to be written. It may run twice: together with others, then alone.
trait Change: Send {
    fn run(&mut self, db: &Connection) -> rusqlite::Result<()>;
    /// Tells whoever waits how it ended.
    fn reply(self: Box<Self>, outcome: Result<()>);
}

struct Waiting<W, T> {
    work: W,
    value: Option<T>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T: Send, W: Fn(&Connection) -> rusqlite::Result<T> + Send> Change for Waiting<W, T> {
    fn run(&mut self, db: &Connection) -> rusqlite::Result<()> {
        self.value = None;
        self.value = Some((self.work)(db)?);
        Ok(())
    }

    fn reply(self: Box<Self>, outcome: Result<()>) {
        let Self { value, reply, .. } = *self;
        // Nobody waits any more when a request was given up; the change stands all the same.
        let _ = reply.send(outcome.and_then(|()| value.ok_or_else(stopped)));
    }
}

impl Writer {
    /// Starts the thread.
    pub fn start(db: Connection) -> Result<Self> {
        let (queue, changes) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || serve(&db, &changes))
            .map_err(|error| LedgerError::Failed(error.to_string()))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Writes durably. `work` sees the database inside a transaction and changes nothing when it fails.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, done) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(Box::new(Waiting { work, value: None, reply })).map_err(|_| stopped())?;
        done.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was already answered to whoever waited.
            let _ = thread.join();
        }
    }
}

fn stopped() -> LedgerError {
    LedgerError::Failed("its writer has stopped: restart Carrel".into())
}

fn serve(db: &Connection, changes: &Receiver<Box<dyn Change>>) {
    while let Ok(first) = changes.recv() {
        let others = changes.try_iter().take(TOGETHER - 1);
        settle(db, std::iter::once(first).chain(others).collect());
    }
    // A log that cannot be folded in now is read at the next start.
    let _ = db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
}

/// Commits changes and answers each. When they fail together, each is tried alone, so that one which is too large for what
/// is left of the disk takes no other with it.
fn settle(db: &Connection, mut changes: Vec<Box<dyn Change>>) {
    let outcomes = match commit(db, &mut changes) {
        Ok(outcomes) => outcomes,
        Err(error) if changes.len() == 1 => vec![Err(error)],
        Err(_) => {
            for change in changes {
                settle(db, vec![change]);
            }
            return;
        }
    };
    for (change, outcome) in changes.into_iter().zip(outcomes) {
        change.reply(outcome.map_err(LedgerError::from));
    }
}

/// Runs changes in one transaction: each alone may fail, or all of them.
fn commit(db: &Connection, changes: &mut [Box<dyn Change>]) -> rusqlite::Result<Vec<rusqlite::Result<()>>> {
    db.execute_batch("BEGIN IMMEDIATE")?;
    let outcomes = run(db, changes).and_then(|outcomes| db.execute_batch("COMMIT").map(|()| outcomes));
    if !db.is_autocommit() {
        db.execute_batch("ROLLBACK")?;
    }
    outcomes
}

fn run(db: &Connection, changes: &mut [Box<dyn Change>]) -> rusqlite::Result<Vec<rusqlite::Result<()>>> {
    let mut outcomes = Vec::with_capacity(changes.len());
    for change in changes {
        db.execute_batch("SAVEPOINT change")?;
        let outcome = match change.run(db) {
            // SQLite gave up the whole transaction, as it may when the disk is full.
            Err(error) if db.is_autocommit() => return Err(error),
            outcome => outcome,
        };
        db.execute_batch(if outcome.is_ok() { "RELEASE change" } else { "ROLLBACK TO change; RELEASE change" })?;
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

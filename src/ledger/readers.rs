//! A few connections that only read.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{LedgerError, Result, schema};

/// Reads at once. More would only wait for the same disk and hold more of the threads that all blocking work shares.
const READERS: usize = 4;

/// The connections, opened when first needed.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), idle: Mutex::default(), permits: Arc::new(Semaphore::new(READERS)) }
    }

    /// Reads where it may block.
    pub async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let readers = Arc::clone(self);
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let read = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            readers.read_here(work)
        });
        read.await.unwrap_or_else(|died| Err(LedgerError::Failed(died.to_string())))
    }

    /// Reads on this thread.
    pub fn read_here<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let idle = self.idle().pop();
        let db = idle.map_or_else(|| schema::open_reader(&self.path), Ok)?;
        let value = work(&db)?;
        // One whose work failed is closed rather than kept.
        self.idle().push(db);
        Ok(value)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

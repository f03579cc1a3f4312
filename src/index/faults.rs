//! A disk that is full from a chosen write on, for tests.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tantivy::Directory;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, DirectoryLock, FileHandle, Lock, MmapDirectory, TerminatingWrite, WatchCallback, WatchHandle,
    WritePtr,
};

thread_local! {
    /// The disk of this thread's tests; the engine's own threads reach it through the folder they were given.
    static DISK: Disk = Disk::default();
}

/// Writes that succeed before all others fail; below zero for no end.
#[derive(Debug, Clone)]
pub(super) struct Disk(Arc<AtomicI64>);

impl Default for Disk {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(-1)))
    }
}

impl Disk {
    fn check(&self) -> io::Result<()> {
        let step = |left: i64| (left > 0).then_some(left - 1);
        match self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step) {
            Err(0) => Err(io::Error::from_raw_os_error(28)), // ENOSPC
            _ => Ok(()),
        }
    }
}

/// Lets `writes` succeed in this thread's indexes, and then none.
pub(super) fn full_after(writes: i64) {
    DISK.with(|disk| disk.0.store(writes, Ordering::SeqCst));
}

/// Makes room again; whether the disk had been full.
pub(super) fn make_room() -> bool {
    DISK.with(|disk| disk.0.swap(-1, Ordering::SeqCst) == 0)
}

/// Counts a write of ours.
pub(super) fn check() -> io::Result<()> {
    DISK.with(Disk::check)
}

/// tantivy's folder on that disk.
#[derive(Debug, Clone)]
pub(super) struct Faulty {
    folder: MmapDirectory,
    disk: Disk,
}

impl Faulty {
    pub fn around(folder: MmapDirectory) -> Self {
        Self { folder, disk: DISK.with(Disk::clone) }
    }
}

struct FaultyWrite {
    file: Box<dyn TerminatingWrite + Send + Sync>,
    disk: Disk,
}

impl io::Write for FaultyWrite {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.check()?;
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl TerminatingWrite for FaultyWrite {
    fn terminate_ref(&mut self, token: AntiCallToken) -> io::Result<()> {
        self.disk.check()?;
        self.file.terminate_ref(token)
    }
}

impl Directory for Faulty {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.folder.get_file_handle(path)
    }
    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.folder.delete(path)
    }
    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.folder.exists(path)
    }
    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let full = |error| OpenWriteError::wrap_io_error(error, path.to_owned());
        self.disk.check().map_err(full)?;
        let file = self.folder.open_write(path)?.into_inner().map_err(|error| full(error.into_error()))?;
        Ok(io::BufWriter::new(Box::new(FaultyWrite { file, disk: self.disk.clone() })))
    }
    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.folder.atomic_read(path)
    }
    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.disk.check()?;
        self.folder.atomic_write(path, data)
    }
    fn sync_directory(&self) -> io::Result<()> {
        self.disk.check()?;
        self.folder.sync_directory()
    }
    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.folder.watch(callback)
    }
    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.folder.acquire_lock(lock)
    }
}

//! Backups: one tenant as one file, while it serves.
//!
//! The writer's lock is held only while the files of the index are linked aside; documents are read as they are opened.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::cell::Cell;
use super::desk::Desk;
use super::refusal::DeskError;
use super::work::{blocking, desk_error};
use crate::backup::{Archive, BackupError, DOCUMENTS, Header, LEDGER, SETTINGS};
use crate::index::Generations;
use crate::ledger::Rows;
use crate::store::{Copied, OpenFile};

/// Begins the names of what backups lay aside under `data/`; swept at the next boot should it stay.
pub(super) const ASIDE: &str = ".backup-";
/// Bytes that are handed over together.
pub(super) const PIECE: usize = 256 << 10;
/// Pieces that may wait for a slow client.
const AHEAD: usize = 8;
/// Backups under way at once, all tenants together: each holds a thread for as long as its client reads.
static UNDER_WAY: Semaphore = Semaphore::const_new(4);
/// Times a file is read again when somebody writes to it meanwhile.
const ATTEMPTS: usize = 3;

/// What is streamed, piece by piece; an error is the last.
pub type Pieces = Receiver<io::Result<Bytes>>;

/// All that a backup is made of.
pub(super) struct Source {
    cell: Arc<Cell>,
    settings: Vec<u8>,
    sections: Vec<Rows>,
    aside: TempDir,
}

impl Desk {
    /// Begins a backup; its bytes come as they are asked for. One that breaks off ends in an error and is no backup.
    ///
    /// # Errors
    /// When the tenant is being removed, or the disk refuses before the first byte.
    pub async fn backup(&self) -> Result<Pieces, DeskError> {
        let under_way = UNDER_WAY.try_acquire().map_err(|_| DeskError::Busy)?;
        let source = self.gather().await?;
        let id = self.tenant().clone();
        Ok(streamed(move |to| {
            let _under_way = under_way;
            source.write(to).map(drop).map_err(|error| {
                tracing::warn!(tenant.id = %id, error = %error, "a backup of {id} broke off");
                io::Error::other(error)
            })
        }))
    }

    /// Lays aside what changes, and reads what the rest is.
    pub(super) async fn gather(&self) -> Result<Source, DeskError> {
        let (cell, config) = (Arc::clone(&self.cell), &self.shared.config);
        if !*cell.open.read().await {
            return Err(DeskError::NoTenant);
        }
        let (file, data) = (config.tenants_dir().join(format!("{}.toml", cell.id)), config.data_dir());
        let writer = Arc::clone(&cell.writer).lock_owned().await;
        let generations = cell.generations.clone();
        let (settings, aside) = blocking(move || {
            let settings = std::fs::read(file)?;
            let aside = aside(&data)?;
            let mut writer = writer;
            generations.copy(writer.as_mut(), aside.path())?;
            Ok((settings, aside))
        })
        .await
        .map_err(desk_error)?;
        let sections = self.shared.ledger.sections(&cell.id).await?;
        Ok(Source { cell, settings, sections, aside })
    }
}

/// A folder of its own under `data/`, gone when it is dropped.
fn aside(data: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(ASIDE).tempdir_in(data)
}

/// Runs `write` on a thread of its own, and hands on what it writes as somebody takes it.
fn streamed(write: impl FnOnce(BufWriter<Outlet>) -> Result<(), io::Error> + Send + 'static) -> Pieces {
    let (to, pieces) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let outlet = BufWriter::with_capacity(PIECE, Outlet(to.clone()));
        if let Err(error) = write(outlet) {
            // Nobody is there to hear it when the client left.
            let _ = to.blocking_send(Err(error));
        }
    });
    pieces
}

/// Where a thread writes what a client reads.
struct Outlet(Sender<io::Result<Bytes>>);

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        self.0.blocking_send(Ok(piece)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source {
    /// Writes the backup. Blocking.
    pub(super) fn write<W: Write>(&self, to: W) -> Result<W, BackupError> {
        let mut archive = Archive::begin(to, &Header::of(&self.cell.id))?;
        archive.add(SETTINGS, &self.settings)?;
        let copies = Generations::new(self.aside.path());
        for name in copies.copied().map_err(other)? {
            let file = File::open(self.aside.path().join(&name)).map_err(BackupError::io("read a file for"))?;
            archive.add_file(&name, &file)?;
        }
        for copied in self.cell.documents.copies().map_err(other)? {
            for (name, file) in self.open(&copied)? {
                archive.add_file(&format!("{DOCUMENTS}{name}"), &file)?;
            }
        }
        for Rows { name, rows } in &self.sections {
            let lines: Vec<String> = rows.iter().map(ToString::to_string).collect();
            archive.add(&format!("{LEDGER}{name}.jsonl"), lines.join("\n").as_bytes())?;
        }
        archive.finish()
    }

    /// Opens a document's files. One that a person may write to is laid aside first, so that it is whole.
    fn open(&self, copied: &Copied) -> Result<Vec<OpenFile>, BackupError> {
        let Copied::ByHand(_) = copied else { return self.cell.documents.open_copy(copied).map_err(other) };
        for _ in 0..ATTEMPTS {
            let Some((name, file)) = self.cell.documents.open_copy(copied).map_err(other)?.pop() else {
                return Ok(Vec::new());
            };
            if let Some(whole) = self.whole(&file).map_err(BackupError::io("read a file for"))? {
                return Ok(vec![(name, whole)]);
            }
        }
        Err(BackupError::io("read a file for")(io::Error::other("a document is written to all the time")))
    }

    /// A copy of a file; `None` when somebody wrote to it meanwhile.
    fn whole(&self, file: &File) -> io::Result<Option<File>> {
        let (before, mut from) = (file.metadata()?, file);
        let mut copy = tempfile::tempfile_in(self.aside.path())?;
        io::copy(&mut from, &mut copy)?;
        let (after, time) = (file.metadata()?, before.modified()?);
        if (before.len(), time) != (after.len(), after.modified()?) {
            return Ok(None);
        }
        io::Seek::rewind(&mut copy)?;
        copy.set_modified(time)?;
        Ok(Some(copy))
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> BackupError {
    BackupError::io("read a file for")(io::Error::other(error))
}

//! Document bytes: `documents/<tenant>/`, written durably, listed.
//!
//! The folder is the truth: files dropped into it by hand count as much as uploads, which stand under `uploads/` with
//! server-made names and a `.json` sidecar. Called by `actors/` and `engine/`; knows nothing of indexes.
//!
//! Where both claim one id (a file was dropped after the upload), the file in the folder is the document.

mod copies;
mod disk;
mod folder;
mod tenant;
mod uploads;
mod writable;
mod writer;

use std::collections::HashMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use disk::{Disk, Folder, RealDisk};
use tenant::Turn;

use crate::domain::{Attributes, ContentHash, DocumentId, TenantId, Timestamp};

pub use copies::{Copied, OpenFile, is_stored};
pub use folder::PassedOver;
pub use tenant::{Listing, TenantDocuments};
pub use writable::{Unwritable, is_denied, try_write};
pub use writer::UploadWriter;

/// Why bytes are not stored or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full; nothing was changed.
    #[error("the disk is full: free some space and try again")]
    NoSpace,
    /// The folder may not be written to or read; nothing was acknowledged.
    #[error("the server may not {action} a document in the tenant's folder: its operator has to allow it")]
    Denied {
        /// What was tried.
        action: &'static str,
    },
    /// The disk refused; nothing was acknowledged.
    #[error("cannot {action} a document: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// More bytes than allowed.
    #[error("the document is larger than {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// No bytes at all.
    #[error("the document is empty")]
    Empty,
    /// The id belongs to a file of the folder.
    #[error("`{0}` is a file in the tenant's folder: change or remove it there, or upload under another id")]
    InFolder(DocumentId),
}

/// A stored document.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredDocument {
    /// Id: the caller's, or the path below `documents/<tenant>/`.
    pub id: DocumentId,
    /// Name to show.
    pub name: String,
    /// Uploaded, or found in the folder.
    pub origin: Origin,
    /// Where its bytes stand.
    pub path: PathBuf,
    /// Size in bytes.
    pub bytes: u64,
    /// Last change, nanoseconds since 1970; with the size, tells whether bytes must be hashed again. Of a file in the
    /// folder, that of its name and rights counts too.
    pub modified_ns: i128,
    /// BLAKE3 of the bytes; known at once for uploads, after reading for files of the folder.
    pub content_hash: Option<ContentHash>,
    /// The caller's facts.
    pub attributes: Attributes,
    /// When it was uploaded, or last changed.
    pub stored_at: Timestamp,
}

/// How a document came to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Through the API or a page.
    Upload,
    /// By hand, into the folder.
    Folder,
}

impl Origin {
    /// `upload` or `folder`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Folder => "folder",
        }
    }
}

/// All tenants' documents; cheap to clone.
#[derive(Debug, Clone)]
pub struct DocumentStore {
    root: Arc<Path>,
    disk: Arc<dyn Disk>,
    turns: Arc<Mutex<HashMap<TenantId, Arc<Turn>>>>,
}

impl DocumentStore {
    /// The documents under `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self::with_disk(root, Arc::new(RealDisk))
    }

    fn with_disk(root: &Path, disk: Arc<dyn Disk>) -> Self {
        Self { root: root.into(), disk, turns: Arc::default() }
    }

    /// One tenant's documents; creates its folder when it is not there. Blocking.
    ///
    /// # Errors
    /// When the disk refuses, or a symbolic link stands in the folder's place.
    pub fn tenant(&self, id: &TenantId) -> Result<TenantDocuments, StoreError> {
        let path = self.root.join(id.as_str());
        self.make(id, &path).map_err(|error| told(&self.root, error)).map_err(StoreError::at("make a folder for"))?;
        Ok(TenantDocuments::new(path, Arc::clone(&self.disk), self.turn(id)))
    }

    fn make(&self, id: &TenantId, path: &Path) -> io::Result<()> {
        if Folder::open(path)?.is_some() {
            return Ok(());
        }
        std::fs::create_dir_all(&self.root)?;
        let root = opened(&self.root)?;
        // Whatever a removal that was cut short left is no part of the new tenant.
        self.clear(id)?;
        self.disk.make_folder(&root, id.as_str())?;
        self.disk.sync_folder(&root)?;
        opened(path).map(drop)
    }

    /// Deletes a tenant's folder with all in it; fine when there is none. Blocking.
    ///
    /// # Errors
    /// When the disk refuses; calling again goes on where it stopped.
    pub fn destroy(&self, id: &TenantId) -> Result<(), StoreError> {
        let turn = self.turn(id);
        let _turn = turn.take();
        self.discard(id).map_err(|error| told(&self.root, error)).map_err(StoreError::at("remove the folder of"))
    }

    /// Finishes removals of tenants that a crash cut short; called once at boot. Blocking.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sweep(&self) -> Result<(), StoreError> {
        self.finish_removals().map_err(StoreError::at("finish removing the folder of"))
    }

    fn finish_removals(&self) -> io::Result<()> {
        let Some(root) = Folder::open(&self.root)? else { return Ok(()) };
        let removed = root.names()?.into_iter().filter_map(|name| TenantId::parse(name.strip_prefix(REMOVED)?).ok());
        removed.into_iter().try_for_each(|id| self.clear(&id))
    }

    /// Renames the folder out of the way first: from that step on, nothing of it can be seen again.
    fn discard(&self, id: &TenantId) -> io::Result<()> {
        self.clear(id)?;
        let Some(root) = Folder::open(&self.root)? else { return Ok(()) };
        if root.look(id.as_str())?.is_none() {
            return Ok(());
        }
        self.disk.rename(&root, id.as_str(), &removed_name(id))?;
        self.disk.sync_folder(&root)?;
        self.clear(id)
    }

    fn clear(&self, id: &TenantId) -> io::Result<()> {
        match std::fs::remove_dir_all(self.root.join(removed_name(id))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn turn(&self, id: &TenantId) -> Arc<Turn> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(id.clone()).or_default())
    }
}

/// Whether a path below a tenant's folder is a document by hand: an id, nothing hidden and nothing of Carrel's own.
#[must_use]
pub fn by_hand(path: &str) -> bool {
    DocumentId::parse(path).is_ok_and(|id| folder::shown(&id))
}

/// Begins the name a tenant's folder gets on its way out; no tenant id begins with a dot.
const REMOVED: &str = ".removed-";

fn removed_name(id: &TenantId) -> String {
    format!("{REMOVED}{id}")
}

fn opened(path: &Path) -> io::Result<Folder> {
    Folder::open(path)?.ok_or_else(|| io::Error::new(io::ErrorKind::NotADirectory, "there is no folder of that name"))
}

fn modified_ns(facts: &Metadata) -> i128 {
    i128::from(facts.mtime()) * 1_000_000_000 + i128::from(facts.mtime_nsec())
}

/// When a file's bytes, name or rights last changed. Unlike the time of its last write, no program can set it back, so
/// other bytes of the same size and time are noticed (git's index looks at it for the same reason).
fn changed_ns(facts: &Metadata) -> i128 {
    i128::from(facts.ctime()) * 1_000_000_000 + i128::from(facts.ctime_nsec())
}

/// Logs which folder may not be written to, and what to do: the error that a caller sees names neither path nor user.
fn told(folder: &Path, error: io::Error) -> io::Error {
    if !is_denied(&error) {
        return error;
    }
    let kind = error.kind();
    tracing::error!("{}", Unwritable::new(folder, error));
    kind.into()
}

impl StoreError {
    /// Names what was tried when an error came up; a full disk is told apart.
    fn at(action: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            _ if is_denied(&source) => Self::Denied { action },
            _ => Self::Io { action, source },
        }
    }
}

#[cfg(test)]
mod tests;

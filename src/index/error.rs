//! Why an index does not open, write or answer, and how the engines' own errors become that.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tantivy::TantivyError;
use tantivy::directory::error::{LockError, OpenDirectoryError, OpenReadError, OpenWriteError};

use crate::domain::DocumentId;

/// Why an index does not open, write or answer.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The disk refused; [`IndexError::is_disk_full`] tells a full one from other faults.
    #[error("cannot {action} the index: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A file is not what its checksum says, or cannot be understood.
    #[error("generation {generation} is damaged: {file}: {reason}")]
    Damaged {
        /// The generation; 0 when the file that names it is damaged.
        generation: u64,
        /// The file within it.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A newer Carrel made it.
    #[error("generation {generation} was written by a newer Carrel (schema {found}, this one knows {known})")]
    Newer {
        /// The generation.
        generation: u64,
        /// Schema found.
        found: u32,
        /// Schema known.
        known: u32,
    },
    /// A document that cannot be kept as it is; nothing was changed.
    #[error("`{document}` cannot be indexed: {reason}")]
    Refused {
        /// The document.
        document: DocumentId,
        /// What is wrong with it.
        reason: String,
    },
    /// The engine below failed.
    #[error("the index engine failed: {0}")]
    Engine(String),
}

impl IndexError {
    /// Whether the disk is full: nothing was changed, and it may be tried again once there is room.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }

    /// The same error once more, for the next who asks.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Io { action, source } => Self::Io { action, source: same(source) },
            Self::Damaged { generation, file, reason } => {
                Self::Damaged { generation: *generation, file: file.clone(), reason: reason.clone() }
            }
            Self::Newer { generation, found, known } => {
                Self::Newer { generation: *generation, found: *found, known: *known }
            }
            Self::Refused { document, reason } => Self::Refused { document: document.clone(), reason: reason.clone() },
            Self::Engine(reason) => Self::Engine(reason.clone()),
        }
    }

    /// Wraps an error of the file system; `action` completes "cannot … the index".
    pub(super) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }

    /// Wraps an error of tantivy: what the disk refused stays an error of the disk.
    pub(super) fn tantivy(action: &'static str) -> impl FnOnce(TantivyError) -> Self {
        move |error| match disk_error(&error) {
            Some(source) => Self::Io { action, source },
            None => Self::Engine(format!("cannot {action} the index: {error}")),
        }
    }

    /// Wraps an error of usearch, whose type cannot be named without its binding crate.
    pub(super) fn usearch<E: fmt::Display>(action: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Engine(format!("cannot {action} the vectors: {error}"))
    }
}

/// The operating system's error inside an error of tantivy, where there is one.
fn disk_error(error: &TantivyError) -> Option<io::Error> {
    match error {
        TantivyError::IoError(io)
        | TantivyError::OpenReadError(OpenReadError::IoError { io_error: io, .. })
        | TantivyError::OpenWriteError(OpenWriteError::IoError { io_error: io, .. })
        | TantivyError::OpenDirectoryError(OpenDirectoryError::IoError { io_error: io, .. })
        | TantivyError::LockFailure(LockError::IoError(io), _) => Some(same(io)),
        // Some errors of the disk reach us in words only.
        TantivyError::InternalError(words) | TantivyError::ErrorInThread(words) => named_in(words),
        _ => None,
    }
}

/// A copy of an error that keeps its kind.
fn same(error: &io::Error) -> io::Error {
    let named = || named_in(&error.to_string());
    let of_system = error.raw_os_error().map(io::Error::from_raw_os_error);
    of_system.or_else(named).unwrap_or_else(|| io::Error::new(error.kind(), error.to_string()))
}

/// The operating system's error that `words` name, as the standard library spells it.
fn named_in(words: &str) -> Option<io::Error> {
    let (_, code) = words.rsplit_once("(os error ")?;
    let (code, _) = code.split_once(')')?;
    code.parse().ok().map(io::Error::from_raw_os_error)
}

/// Runs `work` of an engine that may panic on damaged files. The panic's own words are not passed on: they may quote
/// documents.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, &'static str> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| "the engine panicked")
}

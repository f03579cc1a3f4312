//! One tenant as one file: written while it serves, read back only when all of it holds.
//!
//! Owns the format and knows nothing of tenants at work: `actors/` says what goes in and where it comes out.
//!
//! ```text
//! carrel-backup.json       format, version of Carrel, tenant, time; always first
//! settings.toml            what tenants/<id>.toml said
//! current, index/<n>/…     the generations that were kept, as under data/<id>/
//! documents/…              every document, as under documents/<id>/
//! ledger/<section>.jsonl   what the ledger knew, a row a line
//! manifest.json            every entry above with its size and BLAKE3, and the BLAKE3 of every byte ahead of the manifest's
//!                          own header; then the BLAKE3 of this list on a line of its own. Always last
//! ```
//!
//! It is an uncompressed tar file of plain files, so `tar -tf` lists it.

mod read;
mod rows;
#[cfg(test)]
mod tests;
mod write;

use std::io;

use serde::{Deserialize, Serialize};

pub use read::{Checked, verify};
pub use rows::RowReader;
pub use write::Archive;

use crate::domain::{ContentHash, TenantId, Timestamp};

/// The format that this Carrel writes, and the newest it reads.
pub const FORMAT: u32 = 1;
/// The first entry.
const HEADER: &str = "carrel-backup.json";
/// The last entry.
const MANIFEST: &str = "manifest.json";
/// The tenant's settings.
pub const SETTINGS: &str = "settings.toml";
/// What names the generations.
pub const CURRENT: &str = "current";
/// Begins the names of generations' files.
pub const INDEX: &str = "index/";
/// Begins the names of documents' files.
pub const DOCUMENTS: &str = "documents/";
/// Begins the names of the ledger's sections.
pub const LEDGER: &str = "ledger/";

/// The longest name of a file or folder that a file system takes, bytes.
const LONGEST_NAME: usize = 255;

/// What a backup is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`] of the Carrel that wrote it.
    pub format: u32,
    /// That Carrel's version.
    pub carrel: String,
    /// The tenant.
    pub tenant: TenantId,
    /// When.
    pub made_at: Timestamp,
}

impl Header {
    /// The header of a backup of `tenant`, made now.
    #[must_use]
    pub fn of(tenant: &TenantId) -> Self {
        let carrel = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT, carrel, tenant: tenant.clone(), made_at: Timestamp::now() }
    }
}

/// One entry, as the manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Its name in the archive.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// BLAKE3 of its content.
    pub blake3: ContentHash,
    /// When the file was last written to, nanoseconds since 1970; none for what was no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_ns: Option<i64>,
}

/// The manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Manifest {
    entries: Vec<Mark>,
    /// BLAKE3 of every byte ahead of the manifest's own header.
    blake3: ContentHash,
}

/// Why a backup is not written or not taken.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It is something else.
    #[error("the file is no backup of a tenant")]
    Foreign,
    /// It is not what was written.
    #[error("the backup is damaged: {entry}: {reason}")]
    Damaged {
        /// Where.
        entry: String,
        /// What is wrong.
        reason: String,
    },
    /// A newer Carrel wrote it.
    #[error("the backup was written by a newer Carrel (format {found}, this one knows {known})")]
    Newer {
        /// Format found.
        found: u32,
        /// Format known.
        known: u32,
    },
    /// The disk refused.
    #[error("cannot {action} the backup: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl BackupError {
    /// Names what was tried. The kind of failure alone is kept: a job tells of it, and its words may hold a path.
    pub fn io(action: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| {
            let bare = source.raw_os_error().map_or_else(|| source.kind().into(), io::Error::from_raw_os_error);
            Self::Io { action, source: bare }
        }
    }

    /// Says that `entry` is not what was written.
    pub fn damaged(entry: &str, reason: impl Into<String>) -> Self {
        Self::Damaged { entry: entry.to_owned(), reason: reason.into() }
    }

    /// Whether the disk is full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    }
}

/// Whether an entry of this name has a place in a backup: no name may lead out of the tenant, or to what is not a tenant's.
fn is_placed(path: &str, is_document: fn(&str) -> bool) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let climbs = parts.iter().any(|part| matches!(*part, "" | "." | ".."));
    let long = parts.iter().any(|part| part.len() > LONGEST_NAME);
    if climbs || long || path.contains('\\') || path.chars().any(char::is_control) {
        return false;
    }
    if let Some(document) = path.strip_prefix(DOCUMENTS) {
        return is_document(document);
    }
    if path.starts_with(INDEX) {
        let number = parts[1].parse::<u64>().is_ok_and(|number| number.to_string() == parts[1]);
        return number && matches!(parts[2..], [_] | ["tantivy", _]);
    }
    let section = path.strip_prefix(LEDGER).and_then(|name| name.strip_suffix(".jsonl"));
    let named = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    section.is_some_and(named) || matches!(path, HEADER | SETTINGS | CURRENT | MANIFEST)
}

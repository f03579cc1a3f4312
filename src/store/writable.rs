//! Whether this process may write where it has to, and what to do if it may not.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A folder that this process cannot write to. Names paths and users, so it is for operators alone.
#[derive(Debug)]
pub struct Unwritable {
    folder: PathBuf,
    /// Who owns it; none when it cannot be looked at.
    owner: Option<u32>,
    source: io::Error,
}

impl Unwritable {
    /// A folder in which something failed.
    #[must_use]
    pub fn new(folder: &Path, source: io::Error) -> Self {
        let owner = std::fs::metadata(folder).ok().map(|facts| facts.uid());
        Self { folder: folder.to_owned(), owner, source }
    }
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = self.folder.display();
        let user = rustix::process::geteuid().as_raw();
        match self.source.kind() {
            io::ErrorKind::ReadOnlyFilesystem => {
                write!(f, "{folder} is on a file system that is mounted read-only: mount it writable")
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                write!(f, "there is no space left for {folder}: free some, or raise the quota of user {user}")
            }
            _ => {
                write!(f, "Carrel runs as user {user}, who cannot write to {folder} ({})", self.source)?;
                match self.owner {
                    Some(owner) if owner != user => write!(
                        f,
                        ": it belongs to user {owner}; give it to user {user} (`chown -R {user} {folder}`), or run Carrel as user {owner}"
                    ),
                    _ => write!(f, ": allow user {user} to write there (`chmod u+rwx {folder}`)"),
                }
            }
        }
    }
}

impl std::error::Error for Unwritable {}

/// Whether an error means that a folder may not be written to, rather than that it is full or damaged.
#[must_use]
pub fn is_denied(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Tries to write a file in `folder`, which is removed at once. A folder that is not there yet is looked for above.
///
/// # Errors
/// When it cannot be written to; says as whom, and what to do.
pub fn try_write(folder: &Path) -> Result<(), Unwritable> {
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let tried = tempfile::Builder::new().prefix(".carrel-try-").tempfile_in(there);
    tried.map(drop).map_err(|source| Unwritable::new(there, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_can_be_written_to_is_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        assert!(try_write(folder.path()).is_ok());
        assert!(try_write(&folder.path().join("not/yet/there")).is_ok());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn one_that_cannot_be_written_to_is_named_with_the_user_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let said = |kind: io::ErrorKind| Unwritable::new(folder.path(), kind.into()).to_string();
        let denied = said(io::ErrorKind::PermissionDenied);
        let user = rustix::process::geteuid().as_raw();
        assert!(denied.contains(&format!("runs as user {user}")) && denied.contains("chmod"), "{denied}");
        assert!(denied.contains(&folder.path().display().to_string()), "{denied}");
        assert!(said(io::ErrorKind::ReadOnlyFilesystem).contains("mount it writable"));
        assert!(said(io::ErrorKind::StorageFull).contains("no space"));
    }

    #[test]
    fn what_is_no_folder_cannot_be_written_to() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(try_write(file.path()).is_err());
    }
}

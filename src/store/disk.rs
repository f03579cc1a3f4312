//! The disk as the store writes to it.
//!
//! Every change goes through [`Disk`], one method a step, so that tests can stop, break or unplug it between any two.
//! Everything happens relative to an open [`Folder`] and never through a symbolic link.

use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags};
use rustix::io::Errno;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// `NONBLOCK`, because opening a named pipe would otherwise wait for a writer.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);
const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const CREATE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An open folder; names are looked up in it directly, whatever happens to the path that led here.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

impl Folder {
    /// Opens the folder at `path`; `None` when there is none, or a symbolic link in its place.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        present(rustix::fs::openat(CWD, path, FOLDER, Mode::empty())).map(|fd| fd.map(Self))
    }

    /// Opens a folder in this one; `None` as in [`Folder::open`].
    pub fn folder(&self, name: &str) -> io::Result<Option<Self>> {
        present(rustix::fs::openat(&self.0, name, FOLDER, Mode::empty())).map(|fd| fd.map(Self))
    }

    /// Opens a regular file for reading; `None` when there is none of that name, or something else.
    pub fn file(&self, name: &str) -> io::Result<Option<(File, Metadata)>> {
        let Some(fd) = present(rustix::fs::openat(&self.0, name, READ, Mode::empty()))? else { return Ok(None) };
        let file = File::from(fd);
        let facts = file.metadata()?;
        Ok(facts.is_file().then_some((file, facts)))
    }

    /// What stands under a name, a symbolic link counting as itself; `None` when nothing does.
    pub fn look(&self, name: &str) -> io::Result<Option<Metadata>> {
        let fd = present(rustix::fs::openat(&self.0, name, LOOK, Mode::empty()))?;
        fd.map(|fd| File::from(fd).metadata()).transpose()
    }

    /// Every name that is UTF-8, in no order.
    pub fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.all_names()?.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }

    /// Every name, in no order.
    pub fn all_names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            names.push(OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned());
        }
        names.retain(|name| name != "." && name != "..");
        Ok(names)
    }

    #[cfg(test)]
    pub fn fd(&self) -> &OwnedFd {
        &self.0
    }
}

/// Turns "not there", "not what was asked for" and "no name a file could have" into `None`.
fn present<T>(opened: Result<T, Errno>) -> io::Result<Option<T>> {
    match opened {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO | Errno::NAMETOOLONG) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The steps that change anything.
pub(super) trait Disk: Debug + Send + Sync {
    /// Makes a folder; fine when it is there already.
    fn make_folder(&self, parent: &Folder, name: &str) -> io::Result<()>;
    /// Makes an empty file that only Carrel may read; fails when the name is taken.
    fn create(&self, folder: &Folder, name: &str) -> io::Result<File>;
    /// Appends all of `bytes`.
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()>;
    /// Makes a file's bytes durable.
    fn sync(&self, file: &File) -> io::Result<()>;
    /// Renames within a folder, replacing what has the new name.
    fn rename(&self, folder: &Folder, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, folder: &Folder, name: &str) -> io::Result<()>;
    /// Makes a folder's names durable.
    fn sync_folder(&self, folder: &Folder) -> io::Result<()>;
}

/// The machine's own.
#[derive(Debug)]
pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn make_folder(&self, parent: &Folder, name: &str) -> io::Result<()> {
        match rustix::fs::mkdirat(&parent.0, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn create(&self, folder: &Folder, name: &str) -> io::Result<File> {
        let fd = rustix::fs::openat(&folder.0, name, CREATE, Mode::RUSR.union(Mode::WUSR))?;
        Ok(File::from(fd))
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, folder: &Folder, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&folder.0, from, &folder.0, to)?)
    }

    fn remove(&self, folder: &Folder, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&folder.0, name, AtFlags::empty())?)
    }

    fn sync_folder(&self, folder: &Folder) -> io::Result<()> {
        Ok(rustix::fs::fsync(&folder.0)?)
    }
}

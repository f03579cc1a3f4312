//! Writing a backup: one entry after the other, hashed as it goes, the manifest last.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;

use super::{BackupError, HEADER, Header, MANIFEST, Manifest, Mark};

/// A backup that is being written; without [`Archive::finish`] it is none.
pub struct Archive<W: Write> {
    pub(super) tar: tar::Builder<Hashing<W>>,
    entries: Vec<Mark>,
}

impl<W: Write> Archive<W> {
    /// Begins a backup that goes to `to`.
    ///
    /// # Errors
    /// When `to` refuses.
    pub fn begin(to: W, header: &Header) -> Result<Self, BackupError> {
        let tar = tar::Builder::new(Hashing { to, hasher: blake3::Hasher::new() });
        let mut archive = Self { tar, entries: Vec::new() };
        let header = serde_json::to_vec(header).map_err(|error| BackupError::io("write")(error.into()))?;
        archive.add(HEADER, &header)?;
        Ok(archive)
    }

    /// Adds what is no file.
    ///
    /// # Errors
    /// When the backup cannot be written.
    pub fn add(&mut self, path: &str, content: &[u8]) -> Result<(), BackupError> {
        self.append(path, content, content.len() as u64, None)
    }

    /// Adds an open file.
    ///
    /// # Errors
    /// When the file cannot be read or changes meanwhile, or the backup cannot be written.
    pub fn add_file(&mut self, path: &str, file: &File) -> Result<(), BackupError> {
        let failed = BackupError::io("read a file for");
        let facts = file.metadata().map_err(&failed)?;
        let modified_ns = facts.mtime().saturating_mul(1_000_000_000).saturating_add(facts.mtime_nsec());
        self.append(path, file, facts.len(), Some(modified_ns))?;
        let now = file.metadata().map_err(&failed)?;
        let same = (now.len(), now.mtime(), now.mtime_nsec()) == (facts.len(), facts.mtime(), facts.mtime_nsec());
        if same { Ok(()) } else { Err(failed(io::Error::other("it changed while it was read"))) }
    }

    fn append(
        &mut self,
        path: &str,
        content: impl Read,
        bytes: u64,
        modified_ns: Option<i64>,
    ) -> Result<(), BackupError> {
        let failed = BackupError::io("write");
        let mut header = plain(bytes);
        header.set_mtime(modified_ns.map_or(0, |ns| u64::try_from(ns / 1_000_000_000).unwrap_or(0)));
        let mut content = Counted { from: content.take(bytes), hasher: blake3::Hasher::new(), bytes: 0 };
        self.tar.append_data(&mut header, path, &mut content).map_err(&failed)?;
        if content.bytes != bytes {
            return Err(failed(io::Error::other("a file became shorter while it was read")));
        }
        let blake3 = content.hasher.finalize().into();
        self.entries.push(Mark { path: path.to_owned(), bytes, blake3, modified_ns });
        Ok(())
    }

    /// Writes the manifest and ends the backup.
    ///
    /// # Errors
    /// When the backup cannot be written.
    pub fn finish(mut self) -> Result<W, BackupError> {
        let failed = BackupError::io("write");
        let blake3 = self.tar.get_ref().hasher.finalize().into();
        let manifest = Manifest { entries: std::mem::take(&mut self.entries), blake3 };
        let list = serde_json::to_string(&manifest).map_err(|error| failed(error.into()))?;
        let seal = blake3::hash(list.as_bytes()).to_hex();
        self.add(MANIFEST, format!("{list}\n{seal}\n").as_bytes())?;
        let mut whole = self.tar.into_inner().map_err(&failed)?;
        whole.to.flush().map_err(failed)?;
        Ok(whole.to)
    }
}

fn plain(bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(0);
    header.set_entry_type(tar::EntryType::Regular);
    header
}

/// The header of a manifest of so many bytes, which no checksum but tar's own rough one covers.
pub(super) fn manifest_header(bytes: u64) -> io::Result<tar::Header> {
    let mut header = plain(bytes);
    header.set_path(MANIFEST)?;
    header.set_cksum();
    Ok(header)
}

/// Hashes what goes through.
pub(super) struct Hashing<W> {
    to: W,
    hasher: blake3::Hasher,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Hashes and counts what is read.
struct Counted<R> {
    from: R,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

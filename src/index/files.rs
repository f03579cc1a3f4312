//! Files that are whole or absent: written beside, synced, renamed; read back only when their checksum holds.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::ContentHash;

/// Ending of files that are being written; whoever finds one may delete it.
pub(super) const UNFINISHED: &str = "unfinished";

/// Size and checksum of a file that must not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileMark {
    /// Size in bytes.
    pub bytes: u64,
    /// BLAKE3 of the content.
    pub blake3: ContentHash,
}

impl FileMark {
    /// Reads `path` and marks it.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut hasher = blake3::Hasher::new();
        let bytes = hasher.update_reader(File::open(path)?)?.count();
        Ok(Self { bytes, blake3: hasher.finalize().into() })
    }

    /// Marks what will stand in a file.
    pub fn of_bytes(content: &[u8]) -> Self {
        Self { bytes: content.len() as u64, blake3: ContentHash::of(content) }
    }

    /// What is wrong with the file at `path`, in words, or nothing.
    pub fn fault(&self, path: &Path) -> io::Result<Option<String>> {
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some("it is missing".into())),
            Err(error) => return Err(error),
            Ok(found) if found.len() != self.bytes => {
                return Ok(Some(format!("it has {} bytes, not {}", found.len(), self.bytes)));
            }
            Ok(_) => {}
        }
        let sound = Self::of(path)? == *self;
        Ok((!sound).then(|| "its checksum does not hold".into()))
    }
}

/// Puts `content` at `path`, durably: when this returns, a loss of power leaves the new content, before that the old.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_with(path, |unfinished| {
        let mut file = File::create(unfinished)?;
        #[cfg(test)]
        super::faults::check()?;
        file.write_all(content)
    })
}

/// As [`replace`], with the content written by `write` into the path it is given.
pub(super) fn replace_with<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let unfinished = path.with_added_extension(UNFINISHED);
    let written = write(&unfinished).and_then(|()| Ok(settle(&unfinished, path)?));
    if written.is_err() {
        // Best effort: what stays is swept at the next start.
        let _ = fs::remove_file(&unfinished);
    }
    written
}

fn settle(unfinished: &Path, path: &Path) -> io::Result<()> {
    File::open(unfinished)?.sync_all()?;
    #[cfg(test)]
    super::faults::check()?;
    fs::rename(unfinished, path)?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Makes names in `folder` durable: files that were created, renamed or removed.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(test)]
    super::faults::check()?;
    File::open(folder)?.sync_all()
}

/// Creates `folder` and those above it, and makes their names durable.
pub(super) fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        create_folder(above)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    folder.parent().map_or(Ok(()), sync_folder)
}

/// Removes a file or folder; one that is not there is fine.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Names in `folder`, in order; none when it is not there. Names that are no UTF-8 are none of ours.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort_unstable();
    Ok(names)
}

/// Removes files in `folder` that a dead process left unfinished: ours, and tantivy's `.tmp…`.
pub(super) fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for name in names(folder)? {
        if Path::new(&name).extension() == Some(OsStr::new(UNFINISHED)) || name.starts_with(".tmp") {
            remove(&folder.join(name))?;
        }
    }
    Ok(())
}

/// One line of JSON, and its BLAKE3 on the next: a flipped bit anywhere is found.
pub(super) fn seal(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let json = serde_json::to_string(value)?;
    let check = serde_json::to_string(&ContentHash::of(json.as_bytes()))?;
    Ok(format!("{json}\n{check}\n").into_bytes())
}

/// The JSON of a sealed file, or what is wrong with it.
pub(super) fn unseal(content: &[u8]) -> Result<&str, &'static str> {
    let text = std::str::from_utf8(content).map_err(|_| "it is no text")?;
    let (json, check) = text.split_once('\n').ok_or("it is cut short")?;
    let check = check.strip_suffix('\n').ok_or("it is cut short")?;
    let sound = serde_json::to_string(&ContentHash::of(json.as_bytes())).is_ok_and(|wanted| wanted == check);
    if sound { Ok(json) } else { Err("its checksum does not hold") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_cut_of_a_sealed_file_is_found() {
        let sealed = seal(&serde_json::json!({"serving": 4, "name": "größe"})).unwrap();
        assert!(unseal(&sealed).is_ok());
        for place in 0..sealed.len() {
            assert!(unseal(&sealed[..place]).is_err(), "cut at {place}");
            for bit in 0..8 {
                let mut flipped = sealed.clone();
                flipped[place] ^= 1 << bit;
                assert!(unseal(&flipped).is_err(), "bit {bit} of byte {place}");
            }
        }
    }

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("current");
        replace(&path, b"old").unwrap();
        let failed: io::Result<()> = replace_with(&path, |unfinished| {
            fs::write(unfinished, b"ne")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()).unwrap(), ["current"]);
    }
}

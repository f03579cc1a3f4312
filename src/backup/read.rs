//! Reading a backup: everything is checked before anything of it is used.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::write::manifest_header;
use super::{BackupError, FORMAT, HEADER, Header, MANIFEST, Manifest, Mark, SETTINGS, is_placed};
use crate::domain::ContentHash;

/// The largest header.
const HEADER_BYTES: u64 = 64 << 10;
/// The largest tenant's file: its longest prompt is far below that.
const SETTINGS_BYTES: u64 = 1 << 20;
/// The most entries: half a million uploads, which are two files each.
const MOST_ENTRIES: usize = 1_000_000;
/// Bytes of the manifest for each entry, beside six for each byte of its name, which is what JSON may make of one.
const MARK_BYTES: u64 = 256;
/// The largest header by which tar says what fits into no header of its own: the longest name of an entry.
const EXTENSION_BYTES: u64 = 4 << 10;
/// A tar file is made of blocks of this size, and ends with two that are empty.
const BLOCK: u64 = 512;

/// A backup of which every byte is what was written.
pub struct Checked {
    file: File,
    /// What it is of.
    pub header: Header,
    /// Its entries, in order, header and manifest apart.
    pub entries: Vec<Mark>,
    /// The tenant's file, [`SETTINGS`].
    pub settings: String,
}

/// What a first reading found.
struct Found {
    header: Header,
    settings: Vec<u8>,
    marks: Vec<Mark>,
    manifest: Vec<u8>,
    /// Where the manifest's header and content begin.
    manifest_at: (u64, u64),
}

/// Checks a backup, every byte of it; `is_document` tells names that a document's file may have.
///
/// # Errors
/// [`BackupError::Foreign`], [`BackupError::Damaged`], [`BackupError::Newer`], or the disk's refusal.
pub fn verify(mut file: File, is_document: fn(&str) -> bool) -> Result<Checked, BackupError> {
    check_headers(&mut file)?;
    let mut found = first_reading(&mut file, is_document)?;
    let manifest = unsealed(&found.manifest)?;
    for (listed, read) in manifest.entries.iter().zip(&mut found.marks) {
        read.modified_ns = listed.modified_ns;
        if listed != read {
            return Err(BackupError::damaged(&listed.path, "it is not what the manifest says"));
        }
    }
    if manifest.entries.len() != found.marks.len() {
        return Err(BackupError::damaged(MANIFEST, "it lists other entries than there are"));
    }
    let read = BackupError::io("read");
    file.rewind().map_err(&read)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader((&file).take(found.manifest_at.0)).map_err(&read)?;
    if ContentHash::from(hasher.finalize()) != manifest.blake3 {
        return Err(BackupError::damaged(MANIFEST, "the checksum of the whole does not hold"));
    }
    let mut own = [0; 512];
    file.seek(SeekFrom::Start(found.manifest_at.0)).and_then(|_| file.read_exact(&mut own)).map_err(&read)?;
    if own != *manifest_header(found.manifest.len() as u64).map_err(&read)?.as_bytes() {
        return Err(BackupError::damaged(MANIFEST, "its header is not what was written"));
    }
    check_end(&mut file, found.manifest_at.1 + found.manifest.len() as u64)?;
    if !found.marks.iter().any(|mark| mark.path == SETTINGS) {
        return Err(BackupError::damaged(SETTINGS, "it is missing"));
    }
    let settings = String::from_utf8(found.settings).map_err(|_| BackupError::damaged(SETTINGS, "it is no text"))?;
    found.marks.remove(0);
    Ok(Checked { file, header: found.header, entries: found.marks, settings })
}

/// What failed while an archive was read: before anything of a backup was seen, it is none.
fn unread(error: io::Error, begun: bool) -> BackupError {
    match error.kind() {
        io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof if !begun => {
            BackupError::Foreign
        }
        io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            BackupError::damaged("the archive", "it is cut short or is no archive")
        }
        _ => BackupError::io("read")(error),
    }
}

/// Looks at the headers alone, before the library is let at the archive: it reads headers that extend others, such as long names,
/// whole into memory, however large they say they are.
fn check_headers(file: &mut File) -> Result<(), BackupError> {
    file.rewind().map_err(BackupError::io("read"))?;
    let mut tar = tar::Archive::new(&*file);
    let entries = tar.entries_with_seek().map_err(|error| unread(error, false))?;
    for (count, entry) in entries.raw(true).enumerate() {
        let entry = entry.map_err(|error| unread(error, count > 0))?;
        let extends = !entry.header().entry_type().is_file();
        if extends && entry.size() > EXTENSION_BYTES {
            return Err(BackupError::damaged("the archive", "the name of an entry is too long"));
        }
        // Each entry may have one header more, for its name.
        if count > 2 * MOST_ENTRIES {
            return Err(BackupError::damaged("the archive", format!("it has more than {MOST_ENTRIES} entries")));
        }
    }
    Ok(())
}

/// Reads all entries once; nothing of them is trusted yet.
fn first_reading(file: &mut File, is_document: fn(&str) -> bool) -> Result<Found, BackupError> {
    file.rewind().map_err(BackupError::io("read"))?;
    let mut tar = tar::Archive::new(BufReader::new(&*file));
    let mut header = None;
    let mut settings = Vec::new();
    let mut manifest = None;
    let mut marks: Vec<Mark> = Vec::new();
    let mut names = HashSet::new();
    for entry in tar.entries().map_err(|error| unread(error, false))? {
        let begun = header.is_some();
        let mut entry = entry.map_err(|error| unread(error, begun))?;
        let path = std::str::from_utf8(&entry.path_bytes()).unwrap_or_default().to_owned();
        if header.is_none() && path != HEADER {
            return Err(BackupError::Foreign);
        }
        if manifest.is_some() {
            return Err(BackupError::damaged(MANIFEST, "something follows it"));
        }
        if !entry.header().entry_type().is_file() || !is_placed(&path, is_document) {
            return Err(BackupError::damaged(
                "the archive",
                format!("the entry `{path:.100}` has no place in a backup"),
            ));
        }
        if !names.insert(path.clone()) {
            return Err(BackupError::damaged(&path, "it is there twice"));
        }
        if path == MANIFEST {
            let at = (entry.raw_header_position(), entry.raw_file_position());
            manifest = Some((small(&mut entry, MANIFEST, manifest_bytes(&marks))?, at));
            continue;
        }
        let content = match path.as_str() {
            HEADER => Some(small(&mut entry, HEADER, HEADER_BYTES)?),
            SETTINGS => Some(small(&mut entry, SETTINGS, SETTINGS_BYTES)?),
            _ => None,
        };
        let mut hasher = blake3::Hasher::new();
        match &content {
            Some(content) => _ = hasher.update(content),
            None => _ = hasher.update_reader(&mut entry).map_err(|error| unread(error, true))?,
        }
        match content {
            Some(content) if path == HEADER => header = Some(head(&content)?),
            Some(content) => settings = content,
            None => {}
        }
        marks.push(Mark { path, bytes: hasher.count(), blake3: hasher.finalize().into(), modified_ns: None });
    }
    let header = header.ok_or(BackupError::Foreign)?;
    let (manifest, manifest_at) =
        manifest.ok_or_else(|| BackupError::damaged(MANIFEST, "it is missing: the backup is cut short"))?;
    Ok(Found { header, settings, marks, manifest, manifest_at })
}

/// The largest manifest that can be true of these entries.
fn manifest_bytes(marks: &[Mark]) -> u64 {
    marks.iter().map(|mark| 6 * mark.path.len() as u64 + MARK_BYTES).sum::<u64>() + MARK_BYTES
}

/// An entry that must fit into memory.
fn small(entry: &mut impl Read, path: &str, most: u64) -> Result<Vec<u8>, BackupError> {
    let mut content = Vec::new();
    let read = entry.take(most + 1).read_to_end(&mut content);
    read.map_err(|_| BackupError::damaged(path, "it is cut short"))?;
    if content.len() as u64 > most {
        return Err(BackupError::damaged(path, format!("it is larger than {most} bytes")));
    }
    Ok(content)
}

fn head(content: &[u8]) -> Result<Header, BackupError> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: u32,
    }
    let Format { format } = serde_json::from_slice(content).map_err(|_| BackupError::Foreign)?;
    if format > FORMAT {
        return Err(BackupError::Newer { found: format, known: FORMAT });
    }
    serde_json::from_slice(content).map_err(|_| BackupError::damaged(HEADER, "it cannot be understood"))
}

fn unsealed(content: &[u8]) -> Result<Manifest, BackupError> {
    let bad = |reason: &str| BackupError::damaged(MANIFEST, reason);
    let text = std::str::from_utf8(content).map_err(|_| bad("it is no text"))?;
    let (list, seal) = text.split_once('\n').ok_or_else(|| bad("it is cut short"))?;
    if seal.strip_suffix('\n') != Some(blake3::hash(list.as_bytes()).to_hex().as_str()) {
        return Err(bad("its checksum does not hold"));
    }
    serde_json::from_str(list).map_err(|_| bad("it cannot be understood"))
}

/// What follows the manifest is nothing but the empty blocks that end a tar file.
fn check_end(file: &mut File, from: u64) -> Result<(), BackupError> {
    let read = BackupError::io("read");
    let wanted = from.div_ceil(BLOCK) * BLOCK + 2 * BLOCK - from;
    file.seek(SeekFrom::Start(from)).map_err(&read)?;
    let mut end = Vec::new();
    (&*file).take(wanted + 1).read_to_end(&mut end).map_err(read)?;
    if end.len() as u64 == wanted && end.iter().all(|byte| *byte == 0) {
        Ok(())
    } else {
        Err(BackupError::damaged("the archive", "its end is not where it was"))
    }
}

impl Checked {
    /// The sum of the sizes of entries whose names begin with `prefix`, and how many there are.
    #[must_use]
    pub fn weigh(&self, prefix: &str) -> (u64, u64) {
        let those = self.entries.iter().filter(|mark| mark.path.starts_with(prefix));
        those.fold((0, 0), |(bytes, count), mark| (bytes + mark.bytes, count + 1))
    }

    /// Writes every entry where `place` says, durably and with the times it had; those without a place are passed over. The
    /// folders must be nobody else's.
    ///
    /// # Errors
    /// When the disk refuses, or the file has changed since it was checked.
    pub fn unpack(&mut self, place: impl Fn(&str) -> Option<std::path::PathBuf>) -> Result<(), BackupError> {
        let failed = BackupError::io("unpack");
        self.file.rewind().map_err(&failed)?;
        let mut tar = tar::Archive::new(BufReader::new(&self.file));
        let mut entries = tar.entries().map_err(&failed)?.skip(1);
        for mark in &self.entries {
            let changed = || BackupError::damaged(&mark.path, "the file changed while it was read");
            let mut entry = entries.next().ok_or_else(changed)?.map_err(&failed)?;
            let Some(path) = place(&mark.path) else { continue };
            if write(&mut entry, &path, mark.modified_ns).map_err(&failed)? != mark.blake3 {
                return Err(changed());
            }
        }
        Ok(())
    }
}

/// Writes one file, durably; its name becomes durable with its folder.
fn write(from: &mut impl Read, path: &Path, modified_ns: Option<i64>) -> io::Result<ContentHash> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::options().write(true).create_new(true).open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        io::Write::write_all(&mut file, &buffer[..read])?;
    }
    if let Some(ns) = modified_ns.and_then(|ns| u64::try_from(ns).ok()) {
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_nanos(ns))?;
    }
    file.sync_all()?;
    Ok(hasher.finalize().into())
}

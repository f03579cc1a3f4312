//! Uploads: `uploads/<key>-<content>` holds a body, `uploads/<key>.json` its sidecar.
//!
//! `<key>` and `<content>` are 128 bits of the id's and the body's BLAKE3, so no name that a caller chose ever reaches the
//! disk. The sidecar is the truth: a body is whatever its id and content hash say, and a body that no sidecar names is
//! rubbish. Putting a sidecar in place, or taking it away, is the one step that makes an upload or a delete real.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::disk::{Disk, Folder};
use super::{Origin, StoredDocument};
use crate::domain::{Attributes, ContentHash, DocumentId, Timestamp};

/// The one name in a tenant's folder that is Carrel's own.
pub(super) const FOLDER: &str = "uploads";
/// Begins the names of files that are still being written.
const STAGED: &str = ".tmp-";
/// Digits of a hash in a file's name: 128 bits, so that nobody can make two contents share a name.
const DIGITS: usize = 32;
/// The largest sidecar: room for every attribute a person would give, and too little to fill the memory.
const SIDECAR_BYTES: usize = 1 << 20;

/// What is remembered of an upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Sidecar {
    pub id: DocumentId,
    pub name: String,
    pub attributes: Attributes,
    pub content_hash: ContentHash,
    pub bytes: u64,
    pub stored_at: Timestamp,
}

impl Sidecar {
    /// The name of the body's file.
    fn body(&self) -> String {
        format!("{}-{}", key(&self.id), &self.content_hash.to_string()[..DIGITS])
    }

    fn encode(&self) -> io::Result<Vec<u8>> {
        let text = serde_json::to_vec(self)?;
        if text.len() > SIDECAR_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "its attributes are too large"));
        }
        Ok(text)
    }

    fn describe(self, path: &Path, modified_ns: i128) -> StoredDocument {
        StoredDocument {
            path: path.join(FOLDER).join(self.body()),
            id: self.id,
            name: self.name,
            origin: Origin::Upload,
            bytes: self.bytes,
            modified_ns,
            content_hash: Some(self.content_hash),
            attributes: self.attributes,
            stored_at: self.stored_at,
        }
    }
}

/// A name for a file that is being written.
pub(super) fn staged_name() -> String {
    format!("{STAGED}{}", uuid::Uuid::new_v4().simple())
}

fn key(id: &DocumentId) -> String {
    blake3::hash(id.as_str().as_bytes()).to_hex()[..DIGITS].to_owned()
}

fn sidecar_name(id: &DocumentId) -> String {
    format!("{}.json", key(id))
}

/// An upload as its sidecar describes it; `None` when there is no such upload. `path` is the tenant's folder.
pub(super) fn find(uploads: &Folder, path: &Path, id: &DocumentId) -> io::Result<Option<StoredDocument>> {
    let found = read(uploads, &sidecar_name(id))?;
    Ok(found.map(|(sidecar, facts)| sidecar.describe(path, super::modified_ns(&facts))))
}

/// Opens an upload's body; `None` when there is no such upload.
pub(super) fn open(uploads: &Folder, path: &Path, id: &DocumentId) -> io::Result<Option<(StoredDocument, File)>> {
    let Some((sidecar, facts)) = read(uploads, &sidecar_name(id))? else { return Ok(None) };
    let (body, _) = uploads.file(&sidecar.body())?.ok_or_else(damaged)?;
    Ok(Some((sidecar.describe(path, super::modified_ns(&facts)), body)))
}

/// An upload whose bytes are not what was sent.
pub(super) fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "its bytes are damaged: upload it again")
}

/// Every upload, in no order. A damaged sidecar is left out and logged: one bad file must not hide the others.
pub(super) fn list(uploads: &Folder, path: &Path) -> io::Result<Vec<StoredDocument>> {
    let mut found = Vec::new();
    for name in uploads.names()?.into_iter().filter(|name| is_sidecar(name)) {
        if let Some((sidecar, facts)) = read(uploads, &name)? {
            found.push(sidecar.describe(path, super::modified_ns(&facts)));
        }
    }
    Ok(found)
}

/// Reads a sidecar; `None` when there is none, or it is damaged or stands under a name that is not its own.
fn read(uploads: &Folder, name: &str) -> io::Result<Option<(Sidecar, Metadata)>> {
    let Some((file, facts)) = uploads.file(name)? else { return Ok(None) };
    let mut text = Vec::new();
    file.take(SIDECAR_BYTES as u64).read_to_end(&mut text)?;
    let sidecar = serde_json::from_slice(&text).ok().filter(|sidecar: &Sidecar| sidecar_name(&sidecar.id) == name);
    if sidecar.is_none() {
        tracing::error!(file = name, "the record of an upload is damaged");
    }
    Ok(sidecar.map(|sidecar| (sidecar, facts)))
}

/// Makes the staged body an upload in place of an earlier one of the same id; durable when it returns. `path` is the
/// tenant's folder.
///
/// After an error the old upload stands, or, when only the last sync failed, either of the two does.
pub(super) fn commit(
    disk: &dyn Disk,
    uploads: &Folder,
    path: &Path,
    staged: &str,
    new: Sidecar,
) -> io::Result<StoredDocument> {
    let (text, body) = (new.encode()?, new.body());
    let old = read(uploads, &sidecar_name(&new.id))?.map(|(old, _)| old.body());
    // Both names must not become durable in the wrong order: a sidecar without its body would have replaced the old one.
    let placed = disk
        .rename(uploads, staged, &body)
        .and_then(|()| disk.sync_folder(uploads))
        .and_then(|()| place(disk, uploads, &sidecar_name(&new.id), &text));
    if placed.is_err() && is_unnamed_body(uploads, &body).unwrap_or(false) {
        let _ = disk.remove(uploads, &body);
    }
    let modified_ns = placed?;
    disk.sync_folder(uploads)?;
    if let Some(old) = old.filter(|old| *old != body) {
        // What stays behind is swept at the next boot.
        let _ = disk.remove(uploads, &old);
    }
    Ok(new.describe(path, modified_ns))
}

/// Writes a file beside its place, then renames it there. Returns when it was last changed, nanoseconds since 1970.
fn place(disk: &dyn Disk, folder: &Folder, name: &str, bytes: &[u8]) -> io::Result<i128> {
    let staged = staged_name();
    let placed = write(disk, folder, &staged, bytes)
        .and_then(|modified_ns| disk.rename(folder, &staged, name).map(|()| modified_ns));
    if placed.is_err() {
        let _ = disk.remove(folder, &staged);
    }
    placed
}

fn write(disk: &dyn Disk, folder: &Folder, name: &str, bytes: &[u8]) -> io::Result<i128> {
    let mut file = disk.create(folder, name)?;
    disk.write(&mut file, bytes)?;
    disk.sync(&file)?;
    Ok(super::modified_ns(&file.metadata()?))
}

/// Removes an upload; false when there is none. Real and durable once the sidecar is gone.
pub(super) fn remove(disk: &dyn Disk, uploads: &Folder, id: &DocumentId) -> io::Result<bool> {
    let name = sidecar_name(id);
    if uploads.look(&name)?.is_none() {
        return Ok(false);
    }
    let body = read(uploads, &name)?.map(|(sidecar, _)| sidecar.body());
    disk.remove(uploads, &name)?;
    disk.sync_folder(uploads)?;
    if let Some(body) = body {
        // What stays behind is swept at the next boot.
        let _ = disk.remove(uploads, &body);
    }
    Ok(true)
}

/// Removes staged files and bodies that no sidecar names. Bodies of a damaged sidecar stay, for a person to save.
pub(super) fn sweep(disk: &dyn Disk, uploads: &Folder) -> io::Result<()> {
    let names = uploads.names()?;
    for name in &names {
        if name.starts_with(STAGED) || is_unnamed_body(uploads, name)? {
            disk.remove(uploads, name)?;
        }
    }
    Ok(())
}

fn is_unnamed_body(uploads: &Folder, name: &str) -> io::Result<bool> {
    let Some((key, _)) = name.split_once('-').filter(|(key, content)| is_hash(key) && is_hash(content)) else {
        return Ok(false);
    };
    let owner = format!("{key}.json");
    match read(uploads, &owner)? {
        Some((sidecar, _)) => Ok(sidecar.body() != name),
        None => Ok(uploads.look(&owner)?.is_none()),
    }
}

/// The name of the body that a record names; `None` when there is no such record.
pub(super) fn body_of(uploads: &Folder, sidecar: &str) -> io::Result<Option<String>> {
    Ok(read(uploads, sidecar)?.map(|(sidecar, _)| sidecar.body()))
}

/// Whether a body may have this name.
pub(super) fn is_body(name: &str) -> bool {
    name.split_once('-').is_some_and(|(key, content)| is_hash(key) && is_hash(content))
}

pub(super) fn is_sidecar(name: &str) -> bool {
    name.strip_suffix(".json").is_some_and(is_hash)
}

fn is_hash(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

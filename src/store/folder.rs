//! Files that somebody put into a tenant's folder by hand.

use std::fs::{File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::disk::{Disk, Folder};
use super::{Origin, StoredDocument, uploads};
use crate::domain::{Attributes, DocumentId, Timestamp};

/// Every file below `root`, in no order. `path` is `root`'s own.
pub(super) fn list(root: &Folder, path: &Path) -> io::Result<Vec<StoredDocument>> {
    let mut found = Vec::new();
    walk(root, "", &mut |id, facts| found.push(describe(id, path, facts)))?;
    Ok(found)
}

/// A number that is another when a file below `root` came, went, grew or was written to.
pub(super) fn mark(root: &Folder) -> io::Result<u64> {
    let mut sum = 0u64;
    walk(root, "", &mut |id, facts| {
        let mut hasher = DefaultHasher::new();
        (id, facts.size(), super::modified_ns(facts)).hash(&mut hasher);
        // Files come in no order, so what is made of them must not have one either.
        sum = sum.wrapping_add(hasher.finish());
    })?;
    Ok(sum)
}

fn walk(folder: &Folder, prefix: &str, found: &mut dyn FnMut(DocumentId, &Metadata)) -> io::Result<()> {
    for name in folder.names()? {
        let id = format!("{prefix}{name}");
        // What is no id can hold none below it either; this also bounds the depth.
        let Some(id) = DocumentId::parse(&id).ok().filter(shown) else { continue };
        let Some(facts) = folder.look(&name)? else { continue };
        if facts.is_file() {
            found(id, &facts);
        } else if facts.is_dir()
            && let Some(below) = folder.folder(&name)?
        {
            walk(&below, &format!("{id}/"), found)?;
        }
    }
    Ok(())
}

/// The file of this id; `None` when there is none. `path` is the root's own.
pub(super) fn find(root: &Folder, path: &Path, id: &DocumentId) -> io::Result<Option<StoredDocument>> {
    let facts = within(root, id, Folder::look)?.filter(Metadata::is_file);
    Ok(facts.map(|facts| describe(id.clone(), path, &facts)))
}

/// Opens the file of this id; `None` when there is none.
pub(super) fn open(root: &Folder, path: &Path, id: &DocumentId) -> io::Result<Option<(StoredDocument, File)>> {
    let Some((file, facts)) = within(root, id, Folder::file)? else { return Ok(None) };
    Ok(Some((describe(id.clone(), path, &facts), file)))
}

/// Removes the file of this id durably; false when there is none.
pub(super) fn remove(disk: &dyn Disk, root: &Folder, id: &DocumentId) -> io::Result<bool> {
    let removed = within(root, id, |folder, name| {
        if !folder.look(name)?.is_some_and(|facts| facts.is_file()) {
            return Ok(None);
        }
        disk.remove(folder, name)?;
        disk.sync_folder(folder).map(Some)
    })?;
    Ok(removed.is_some())
}

/// Walks down to the folder that holds `id`, link by link, and does something with the last name there.
fn within<T>(
    root: &Folder,
    id: &DocumentId,
    then: impl FnOnce(&Folder, &str) -> io::Result<Option<T>>,
) -> io::Result<Option<T>> {
    if !shown(id) {
        return Ok(None);
    }
    let (folders, name) = id.as_str().rsplit_once('/').map_or((None, id.as_str()), |(above, name)| (Some(above), name));
    let mut here = None;
    for part in folders.into_iter().flat_map(|path| path.split('/')) {
        let below = here.as_ref().unwrap_or(root).folder(part)?;
        if below.is_none() {
            return Ok(None);
        }
        here = below;
    }
    then(here.as_ref().unwrap_or(root), name)
}

/// Whether a path counts: nothing hidden, nothing of ours.
pub(super) fn shown(id: &DocumentId) -> bool {
    let mut parts = id.as_str().split('/');
    let ours = parts.clone().next() == Some(uploads::FOLDER);
    !ours && !parts.any(|part| part.starts_with('.'))
}

fn describe(id: DocumentId, path: &Path, facts: &Metadata) -> StoredDocument {
    let modified_ns = super::modified_ns(facts);
    let name = id.as_str().rsplit('/').next().unwrap_or_default().to_owned();
    StoredDocument {
        path: path.join(id.as_str()),
        name,
        id,
        origin: Origin::Folder,
        bytes: facts.size(),
        modified_ns,
        content_hash: None,
        attributes: Attributes::new(),
        stored_at: Timestamp::from_millis(i64::try_from(modified_ns / 1_000_000).unwrap_or_default()),
    }
}

//! Files that somebody put into a tenant's folder by hand.

use std::fs::{File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use unicode_normalization::{UnicodeNormalization, is_nfc, is_nfd};

use super::disk::{Disk, Folder};
use super::{Origin, StoredDocument, uploads};
use crate::domain::{Attributes, DocumentId, Timestamp};

/// What a folder holds that is no document, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// Its path below the tenant's folder, with signs in place of what no id may hold.
    pub id: DocumentId,
    /// Why it is no document, as the end of a sentence about it.
    pub why: &'static str,
}

/// Most of these are told; beyond, a folder is full of things that are no documents, and a list of all helps nobody.
const MOST_PASSED_OVER: usize = 1_000;
/// Longest path that is told of what has no usable name, bytes; leaves room in an id for what tells two apart.
const TOLD: usize = 480;

/// What stands under a name.
enum Seen<'a> {
    File(DocumentId, &'a Metadata),
    PassedOver(PassedOver),
}

/// Every file below `root`, and what is no document, in no order. `path` is `root`'s own.
pub(super) fn list(root: &Folder, path: &Path) -> io::Result<(Vec<StoredDocument>, Vec<PassedOver>)> {
    let (mut found, mut passed_over) = (Vec::new(), Vec::new());
    walk(root, "", &mut |seen| match seen {
        Seen::File(id, facts) => found.push(describe(id, path, facts)),
        Seen::PassedOver(one) if passed_over.len() < MOST_PASSED_OVER => passed_over.push(one),
        Seen::PassedOver(_) => {}
    })?;
    Ok((found, passed_over))
}

/// A number that is another when something below `root` came, went, grew or was written to.
pub(super) fn mark(root: &Folder) -> io::Result<u64> {
    let mut sum = 0u64;
    walk(root, "", &mut |seen| {
        let mut hasher = DefaultHasher::new();
        match seen {
            Seen::File(id, facts) => (id, facts.size(), super::changed_ns(facts)).hash(&mut hasher),
            Seen::PassedOver(one) => (one.id, one.why).hash(&mut hasher),
        }
        // Files come in no order, so what is made of them must not have one either.
        sum = sum.wrapping_add(hasher.finish());
    })?;
    Ok(sum)
}

fn walk(folder: &Folder, prefix: &str, see: &mut dyn FnMut(Seen)) -> io::Result<()> {
    for raw in folder.all_names()? {
        let shown = format!("{prefix}{}", raw.to_string_lossy());
        if raw.as_bytes().starts_with(b".") || shown == uploads::FOLDER {
            continue;
        }
        let mut pass_over = |why| see(Seen::PassedOver(PassedOver { id: told(&shown), why }));
        let Some(name) = raw.to_str() else {
            pass_over("its name is not UTF-8");
            continue;
        };
        // What is no id can hold none below it either; this also bounds the depth.
        let Ok(id) = DocumentId::parse(&shown) else {
            pass_over(unusable(&shown));
            continue;
        };
        if let Some(why) = other_form(folder, name)? {
            pass_over(why);
            continue;
        }
        let Some(facts) = folder.look(name)? else { continue };
        if facts.is_file() {
            see(Seen::File(id.composed(), &facts));
        } else if facts.is_symlink() {
            pass_over("it is a symbolic link");
        } else if !facts.is_dir() {
            pass_over("it is no regular file");
        } else {
            match folder.folder(name) {
                Ok(Some(below)) => walk(&below, &format!("{}/", id.composed()), see)?,
                Ok(None) => {}
                Err(error) if super::is_denied(&error) => pass_over("the server may not read the folder"),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Why a path is no id.
fn unusable(path: &str) -> &'static str {
    if path.contains('\\') {
        "its name holds a backslash"
    } else if path.chars().any(char::is_control) {
        "its name holds a control character"
    } else {
        "its path is longer than 512 bytes"
    }
}

/// Why a name in another Unicode form than the composed one does not count: it could not be found again, or names the
/// same document as another.
fn other_form(folder: &Folder, name: &str) -> io::Result<Option<&'static str>> {
    if is_nfc(name) {
        return Ok(None);
    }
    if !is_nfd(name) {
        return Ok(Some("its name mixes composed and decomposed letters"));
    }
    let composed: String = name.nfc().collect();
    let twin = folder.look(&composed)?;
    Ok(twin.map(|_| "another file has the same name, with its letters composed"))
}

/// A path as it is told, in the shape of an id.
fn told(path: &str) -> DocumentId {
    let clean = |c: char| match c {
        '\\' => '\u{29f5}',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    let mut text: String = path.chars().map(clean).collect();
    if text.len() > TOLD {
        text.truncate(text.floor_char_boundary(TOLD));
        text.push('…');
        // Two long paths may begin alike.
        text.push_str(&blake3::hash(path.as_bytes()).to_hex()[..8]);
    }
    DocumentId::parse(&text).unwrap_or_else(|_| DocumentId::parse("a file").expect("it is an id"))
}

/// The file of this id, in whichever Unicode form its name is written; `None` when there is none. `path` is the root's own.
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
    then: impl Fn(&Folder, &str) -> io::Result<Option<T>>,
) -> io::Result<Option<T>> {
    if !shown(id) {
        return Ok(None);
    }
    let (folders, name) = id.as_str().rsplit_once('/').map_or((None, id.as_str()), |(above, name)| (Some(above), name));
    let mut here = None;
    for part in folders.into_iter().flat_map(|path| path.split('/')) {
        let below = first_form(here.as_ref().unwrap_or(root), part, &Folder::folder)?;
        if below.is_none() {
            return Ok(None);
        }
        here = below;
    }
    first_form(here.as_ref().unwrap_or(root), name, &then)
}

/// What `then` finds under a name as it is written, or else in another Unicode form.
fn first_form<T>(
    folder: &Folder,
    name: &str,
    then: &dyn Fn(&Folder, &str) -> io::Result<Option<T>>,
) -> io::Result<Option<T>> {
    let found = then(folder, name)?;
    if found.is_some() || name.is_ascii() {
        return Ok(found);
    }
    for form in [name.nfc().collect::<String>(), name.nfd().collect()] {
        if form != name
            && let Some(found) = then(folder, &form)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Whether a path counts: nothing hidden, nothing of ours.
pub(super) fn shown(id: &DocumentId) -> bool {
    let mut parts = id.as_str().split('/');
    let ours = parts.clone().next() == Some(uploads::FOLDER);
    !ours && !parts.any(|part| part.starts_with('.'))
}

fn describe(id: DocumentId, path: &Path, facts: &Metadata) -> StoredDocument {
    let id = id.composed();
    let written_ns = super::modified_ns(facts);
    let name = id.as_str().rsplit('/').next().unwrap_or_default().to_owned();
    StoredDocument {
        path: path.join(id.as_str()),
        name,
        id,
        origin: Origin::Folder,
        bytes: facts.size(),
        modified_ns: super::changed_ns(facts),
        content_hash: None,
        attributes: Attributes::new(),
        stored_at: Timestamp::from_millis(i64::try_from(written_ns / 1_000_000).unwrap_or_default()),
    }
}

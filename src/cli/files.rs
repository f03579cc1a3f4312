//! Which files `carrel ingest` sends, and under which ids.
//!
//! An id is the path below the argument that led to the file. Where files of several arguments would share an id, these
//! arguments are taken together: their ids begin at the folder above them all, so that both are kept and told apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::domain::DocumentId;

/// Files to send, and what is passed over.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// Each with its id; no id twice, no file twice.
    pub sent: Vec<(PathBuf, String)>,
    /// What is not sent, as it is shown, and why.
    pub passed_over: Vec<(String, String)>,
}

/// A file below an argument.
struct Found {
    argument: usize,
    /// Where it is, without links, to know the same file again.
    real: PathBuf,
    path: PathBuf,
    /// Its path below the argument; the name of a file that is one itself.
    below: PathBuf,
}

/// Gathers the files of the arguments, each of which is a file or a folder.
///
/// # Errors
/// The argument that cannot be looked at, and why.
pub(super) fn gather(arguments: &[PathBuf]) -> Result<Files, (PathBuf, io::Error)> {
    let mut files = Files::default();
    let mut found = Vec::new();
    for (argument, path) in arguments.iter().enumerate() {
        let failed = |error| (path.clone(), error);
        let facts = fs::metadata(path).map_err(failed)?;
        if facts.is_dir() {
            // An argument that cannot be read is a mistake of the command; a folder below it is passed over.
            drop(fs::read_dir(path).map_err(failed)?);
            let mut above = BTreeSet::new();
            walk(argument, path, Path::new(""), &mut above, &mut found, &mut files.passed_over);
        } else {
            let name = path.file_name().map(PathBuf::from).unwrap_or_default();
            let real = fs::canonicalize(path).map_err(failed)?;
            found.push(Found { argument, real, path: path.clone(), below: name });
        }
    }
    let mut seen = BTreeSet::new();
    found.retain(|file| seen.insert(file.real.clone()));
    let mut ids = BTreeSet::new();
    for (file, id) in named(arguments, found) {
        match usable(&file.path, &id) {
            Ok(id) if ids.insert(id.clone()) => files.sent.push((file.path, id)),
            Ok(_) => {
                let why = "another file has the same name in another Unicode form".to_owned();
                files.passed_over.push((file.path.to_string_lossy().into_owned(), why));
            }
            Err(why) => files.passed_over.push((file.path.to_string_lossy().into_owned(), why)),
        }
    }
    Ok(files)
}

/// Files below a folder; hidden ones are left out. `above` holds the folders on the way here, so that a link that leads
/// back ends there.
fn walk(
    argument: usize,
    folder: &Path,
    below: &Path,
    above: &mut BTreeSet<PathBuf>,
    found: &mut Vec<Found>,
    passed_over: &mut Vec<(String, String)>,
) {
    let mut pass_over = |path: &Path, why: String| passed_over.push((path.to_string_lossy().into_owned(), why));
    let (real, entries) = match fs::canonicalize(folder).and_then(|real| Ok((real, sorted(folder)?))) {
        Ok(read) => read,
        Err(error) => return pass_over(folder, format!("the folder cannot be read: {error}")),
    };
    if !above.insert(real.clone()) {
        return pass_over(folder, "the link leads back to a folder above it".to_owned());
    }
    for entry in entries {
        let (path, below) = (entry.path(), below.join(entry.file_name()));
        match fs::metadata(&path).and_then(|facts| Ok((facts, fs::canonicalize(&path)?))) {
            Ok((facts, _)) if facts.is_dir() => walk(argument, &path, &below, above, found, passed_over),
            Ok((facts, real)) if facts.is_file() => found.push(Found { argument, real, path, below }),
            Ok(_) => passed_over.push((path.to_string_lossy().into_owned(), "it is no regular file".to_owned())),
            Err(error) => passed_over.push((path.to_string_lossy().into_owned(), error.to_string())),
        }
    }
    above.remove(&real);
}

fn sorted(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.retain(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    entries.sort_by_key(fs::DirEntry::file_name);
    Ok(entries)
}

/// Gives each file its id: its path below its argument, or below the folder above all arguments that share an id.
fn named(arguments: &[PathBuf], found: Vec<Found>) -> Vec<(Found, PathBuf)> {
    let roots: Vec<PathBuf> = arguments.iter().map(|path| root_of(path)).collect();
    let mut together: BTreeSet<usize> = BTreeSet::new();
    loop {
        let above = common(together.iter().map(|argument| &roots[*argument]));
        let id = |file: &Found| {
            if together.contains(&file.argument) {
                roots[file.argument].strip_prefix(&above).unwrap_or(Path::new("")).join(&file.below)
            } else {
                file.below.clone()
            }
        };
        let mut owners: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        for file in &found {
            owners.entry(composed(&id(file))).or_default().insert(file.argument);
        }
        let clash: BTreeSet<usize> = owners.into_values().filter(|owners| owners.len() > 1).flatten().collect();
        if clash.is_subset(&together) {
            let with_id = |file: Found| {
                let id = id(&file);
                (file, id)
            };
            return found.into_iter().map(with_id).collect();
        }
        together.extend(clash);
    }
}

/// The folder that an argument's ids begin at, without links and without `..`.
fn root_of(argument: &Path) -> PathBuf {
    let real = fs::canonicalize(argument).unwrap_or_else(|_| argument.to_owned());
    if real.is_dir() { real } else { real.parent().map(Path::to_owned).unwrap_or_default() }
}

/// The deepest folder above all of these, which are whole paths.
fn common<'a>(mut paths: impl Iterator<Item = &'a PathBuf>) -> PathBuf {
    let Some(first) = paths.next() else { return PathBuf::new() };
    paths.fold(first.clone(), |common, path| {
        let shared = common.components().zip(path.components()).take_while(|(one, other)| one == other);
        shared.map(|(part, _)| part).collect()
    })
}

/// A path as text for comparing: two Unicode forms of one name are one document.
fn composed(path: &Path) -> String {
    let text = path.to_string_lossy();
    DocumentId::parse(&text).map_or_else(|_| text.into_owned(), |id| id.composed().to_string())
}

/// The id that a path makes, or why it makes none.
fn usable(file: &Path, id: &Path) -> Result<String, String> {
    let name = file.to_str().and(id.to_str()).ok_or("its name is not UTF-8")?;
    let relative: PathBuf = Path::new(name).components().filter(|part| *part != Component::CurDir).collect();
    let id = DocumentId::parse(&relative.to_string_lossy()).map_err(|error| error.to_string())?;
    Ok(id.composed().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, *file).unwrap();
        }
        folder
    }

    /// The ids that arguments below a folder make, in order.
    fn ids(folder: &tempfile::TempDir, arguments: &[&str]) -> Vec<String> {
        let arguments: Vec<PathBuf> = arguments.iter().map(|path| folder.path().join(path)).collect();
        let mut ids: Vec<String> = gather(&arguments).unwrap().sent.into_iter().map(|(_, id)| id).collect();
        ids.sort();
        ids
    }

    #[test]
    fn an_id_is_the_path_below_its_argument() {
        let folder = folder(&["in/2023/invoice.txt", "in/2024/invoice.txt", "in/.hidden"]);
        assert_eq!(ids(&folder, &["in"]), ["2023/invoice.txt", "2024/invoice.txt"]);
        assert_eq!(ids(&folder, &["in/2023/"]), ["invoice.txt"]);
        assert_eq!(ids(&folder, &["in/2023/invoice.txt"]), ["invoice.txt"]);
    }

    #[test]
    fn files_of_one_name_in_two_folders_are_both_kept_and_told_apart() {
        let folder = folder(&["in/2023/invoice.txt", "in/2024/invoice.txt", "in/2024/b.txt", "other/c.txt"]);
        let both = ["2023/invoice.txt", "2024/b.txt", "2024/invoice.txt"];
        assert_eq!(ids(&folder, &["in/2023", "in/2024"]), both);
        assert_eq!(ids(&folder, &["in/2023/", "in/2024/../2024/"]), both);
        assert_eq!(ids(&folder, &["in/2023/invoice.txt", "in/2024"]), both);
        assert_eq!(ids(&folder, &["in/2023/invoice.txt", "in/2024/invoice.txt"]), [both[0], both[2]]);
        // Who shares no name keeps its short ids.
        assert_eq!(ids(&folder, &["in/2023", "in/2024", "other"]), [&both[..], &["c.txt"]].concat());
    }

    #[test]
    fn folders_of_one_name_are_told_apart_by_what_is_above_them() {
        let folder = folder(&["x/docs/a.txt", "y/docs/a.txt", "y/docs/deep/a.txt"]);
        assert_eq!(ids(&folder, &["x/docs", "y/docs"]), ["x/docs/a.txt", "y/docs/a.txt", "y/docs/deep/a.txt"]);
    }

    #[test]
    fn names_that_were_told_apart_do_not_meet_a_third() {
        let folder = folder(&["in/a/x.txt", "in/b/x.txt", "third/a/x.txt"]);
        assert_eq!(ids(&folder, &["in/a", "in/b", "third"]), ["in/a/x.txt", "in/b/x.txt", "third/a/x.txt"]);
    }

    #[test]
    fn the_same_file_is_sent_once_however_it_is_named() {
        let folder = folder(&["in/a.txt", "in/sub/b.txt"]);
        assert_eq!(ids(&folder, &["in", "in/a.txt", "in/sub", "in/."]), ["a.txt", "sub/b.txt"]);
        std::os::unix::fs::symlink(folder.path().join("in"), folder.path().join("in/sub/back")).unwrap();
        assert_eq!(ids(&folder, &["in"]), ["a.txt", "sub/b.txt"]);
    }

    #[test]
    fn what_cannot_be_sent_is_told_and_holds_up_nothing() {
        use std::os::unix::ffi::OsStrExt;
        let folder = folder(&["in/a.txt", "in/back\\slash.txt", "in/line\nbreak.txt"]);
        fs::write(folder.path().join("in").join(std::ffi::OsStr::from_bytes(b"latin-\xe9.txt")), "x").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("in/socket")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("in/dangling")).unwrap();
        let files = gather(&[folder.path().join("in")]).unwrap();
        assert_eq!(files.sent.len(), 1);
        assert_eq!(files.passed_over.len(), 5, "{:?}", files.passed_over);
        let missing = gather(&[folder.path().join("missing")]).unwrap_err();
        assert_eq!(missing.1.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn two_unicode_forms_of_one_name_are_one_id() {
        let folder = folder(&["a/caf\u{e9}.txt", "b/cafe\u{301}.txt"]);
        assert_eq!(ids(&folder, &["a"]), ids(&folder, &["b"]));
        assert_eq!(ids(&folder, &["a", "b"]), ["a/caf\u{e9}.txt", "b/caf\u{e9}.txt"]);
    }
}

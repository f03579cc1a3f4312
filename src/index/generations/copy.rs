//! Generations as a backup takes them: links to files that never change, made while nothing may.

use std::fs;
use std::io;
use std::path::Path;

use super::super::manifest::{MANIFEST, TANTIVY};
use super::{CURRENT, Current, Generations, Home};
use crate::index::{GenerationWriter, IndexError, files};

impl Generations {
    /// Puts the serving generation, sealed, and the other whole ones into the empty folder `to`, as they stand under
    /// `data/<tenant>/`. `open` is the serving one, if it is open: whoever holds it keeps others from writing meanwhile. Files are
    /// linked, since no file of a generation is ever written to again, so this takes moments.
    ///
    /// # Errors
    /// When the disk refuses, or what serves is damaged.
    pub fn copy(&self, open: Option<&mut GenerationWriter>, to: &Path) -> Result<(), IndexError> {
        if let Some(open) = open {
            open.seal()?;
        }
        // Nothing is pruned or begun meanwhile.
        let _changing = self.changing();
        let Some(current) = self.current()? else { return Ok(()) };
        let target = Self::new(to);
        let copy = || -> io::Result<()> {
            for number in &current.whole {
                link(&self.home(*number), &target.home(*number))?;
            }
            files::replace(&to.join(CURRENT), &files::seal(&Current { partial: None, ..current.clone() })?)
        };
        copy().map_err(IndexError::io("copy"))
    }

    /// The files of what [`Generations::copy`] made, as paths below `data/<tenant>/`.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn copied(&self) -> Result<Vec<String>, IndexError> {
        let list = || -> io::Result<Vec<String>> {
            let mut found = Vec::new();
            for number in files::names(&self.index())? {
                let folder = self.index().join(&number);
                for name in files::names(&folder)? {
                    if folder.join(&name).is_file() {
                        found.push(format!("index/{number}/{name}"));
                    }
                }
                let words = files::names(&folder.join(TANTIVY))?;
                found.extend(words.into_iter().map(|name| format!("index/{number}/{TANTIVY}/{name}")));
            }
            // Last, as everything it names comes before it.
            if self.dir.join(CURRENT).is_file() {
                found.push(CURRENT.to_owned());
            }
            Ok(found)
        };
        list().map_err(IndexError::io("list"))
    }
}

/// Links a generation's files; where that cannot be, copies them. Hidden files are tantivy's own notes, and made anew.
fn link(from: &Home, to: &Home) -> io::Result<()> {
    for (from, to) in [(from.folder.clone(), to.folder.clone()), (from.path(TANTIVY), to.path(TANTIVY))] {
        fs::create_dir_all(&to)?;
        let names = files::names(&from)?;
        let ours = |name: &String| !name.starts_with('.') && !name.ends_with(files::UNFINISHED);
        // The manifest is replaced by name, so what is linked first is never newer than it.
        let (manifest, others): (Vec<String>, Vec<String>) =
            names.into_iter().filter(ours).partition(|name| name == MANIFEST);
        for name in others.into_iter().chain(manifest) {
            let file = from.join(&name);
            if !file.is_file() {
                continue;
            }
            match fs::hard_link(&file, to.join(&name)) {
                // A merge may have made the file needless since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => drop(fs::copy(&file, to.join(&name))?),
                Ok(()) => {}
            }
        }
    }
    Ok(())
}

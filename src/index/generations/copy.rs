//! Generations as a backup takes them: links to files that never change, made while nothing may.

use std::fs;
use std::io;
use std::path::Path;

use tracing::info;

use super::super::manifest::{MANIFEST, TANTIVY, VECTORS};
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

    /// Makes what came from elsewhere ready to serve: removes what `current` does not name, and makes the graph of vectors of
    /// each whole generation from the vectors themselves where it is missing. A kept generation that does not open is left to
    /// be found damaged when it is asked for.
    ///
    /// # Errors
    /// [`IndexError::Damaged`] and [`IndexError::Newer`] of the generation that serves, or the disk's refusal.
    pub fn complete(&self) -> Result<(), IndexError> {
        self.sweep()?;
        let serving = self.open_current()?;
        let Some(current) = self.current()? else { return Ok(()) };
        if let Some(mut writer) = serving {
            writer.seal()?;
        }
        for number in current.whole.into_iter().filter(|number| Some(*number) != current.serving) {
            match self.open(number) {
                Ok(mut writer) => writer.seal()?,
                Err(error) => info!(generation = number, %error, "a kept generation does not open"),
            }
        }
        Ok(())
    }

    /// Whether a file of a backup is a graph of vectors, by its path below `data/<tenant>/`. The library that reads graphs
    /// trusts them: one that somebody else made must not be opened.
    #[must_use]
    pub fn is_graph(path: &str) -> bool {
        Path::new(path).file_name().is_some_and(|name| name == VECTORS)
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

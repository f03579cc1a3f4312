//! A tenant's generations on disk.
//!
//! ```text
//! data/<id>/current            sealed JSON: which generation serves, which are whole and pinned, the highest number ever given
//! data/<id>/index/<number>/    a generation; whole once `current` names it
//! data/<id>/index/<number>.damaged/
//! ```

mod copy;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::files;
use super::manifest::{Home, Manifest, TANTIVY};
use super::{GenerationInfo, GenerationWriter, IndexError, IndexSpec, Snapshot};

/// What names the generations.
const CURRENT: &str = "current";
/// Ending of what was moved aside.
const DAMAGED: &str = "damaged";

/// A tenant's generations on disk: `data/<id>/`.
#[derive(Debug, Clone)]
pub struct Generations {
    dir: PathBuf,
    /// Held while `current` is read, changed and written.
    changing: Arc<Mutex<()>>,
}

/// What stands in `current`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Current {
    /// The generation that serves.
    pub serving: Option<u64>,
    /// Whole generations, in the order in which they last began to serve.
    pub whole: Vec<u64>,
    /// The highest number that was ever given.
    pub highest: u64,
    /// Those that are kept whatever else is pruned.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub pinned: BTreeSet<u64>,
    /// Those that failed their checks and never served.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub held: BTreeSet<u64>,
    /// What a build has so far, for the next to take over should this one not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<u64>,
}

impl Current {
    /// Names a generation no more.
    pub fn forget(&mut self, number: u64) {
        self.whole.retain(|whole| *whole != number);
        self.pinned.remove(&number);
        self.held.remove(&number);
        self.partial = self.partial.filter(|partial| *partial != number);
    }

    /// Whether the folder of a generation is to stay.
    fn names(&self, number: u64) -> bool {
        self.whole.contains(&number) || self.partial == Some(number)
    }
}

impl Generations {
    /// The generations under `data_dir/<tenant>`; creates nothing until one is begun.
    #[must_use]
    pub fn new(tenant_dir: &Path) -> Self {
        Self { dir: tenant_dir.to_owned(), changing: Arc::default() }
    }

    /// Removes what a dead build left and generations that nothing names; called once at boot, before any is opened.
    /// While `current` cannot be read, nothing is removed.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sweep(&self) -> Result<(), IndexError> {
        let current = match self.current() {
            Ok(Some(current)) => current,
            Ok(None) | Err(IndexError::Damaged { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        self.sweep_all_but(&current).map_err(IndexError::io("sweep"))
    }

    fn sweep_all_but(&self, current: &Current) -> io::Result<()> {
        files::remove_unfinished(&self.dir)?;
        for name in files::names(&self.index())? {
            match name.parse() {
                Ok(number) if current.names(number) => {
                    let home = self.home(number);
                    files::remove_unfinished(&home.folder)?;
                    files::remove_unfinished(&home.path(TANTIVY))?;
                }
                // What was moved aside stays until a whole generation has taken its place: see `prune`.
                Err(_) if is_damaged(&name) => {}
                _ => files::remove(&self.index().join(name))?,
            }
        }
        Ok(())
    }

    /// Opens the generation that serves, after its checksums held; `None` when there is none yet.
    ///
    /// # Errors
    /// [`IndexError::Damaged`] and [`IndexError::Newer`] name the file; the caller decides whether to rebuild.
    pub fn open_current(&self) -> Result<Option<GenerationWriter>, IndexError> {
        match self.current()? {
            Some(Current { serving: Some(number), .. }) => self.open(number).map(Some),
            Some(_) => Ok(None),
            None if self.numbers()?.is_empty() => Ok(None),
            None => Err(bad_current("it is missing")),
        }
    }

    /// Opens generation `number`, checked alike.
    ///
    /// # Errors
    /// As [`Generations::open_current`]; an unknown number is `Damaged` with file `manifest.json`.
    pub fn open(&self, number: u64) -> Result<GenerationWriter, IndexError> {
        GenerationWriter::open(self.home(number))
    }

    /// Moves a damaged generation aside (`<number>.damaged`), so that a rebuild can take its place. Number 0 stands for
    /// `current`: it is moved aside, and no generation is whole any more.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn quarantine(&self, number: u64) -> Result<(), IndexError> {
        let _changing = self.changing();
        let mut current = self.current_or_fresh()?;
        current.forget(number);
        current.serving = current.serving.filter(|serving| *serving != number);
        let (bad, aside) = match number {
            0 => (self.dir.join(CURRENT), self.dir.join(CURRENT).with_added_extension(DAMAGED)),
            _ => (self.home(number).folder, self.index().join(format!("{number}.{DAMAGED}"))),
        };
        let moved = files::remove(&aside).and_then(|()| match fs::rename(&bad, &aside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        });
        moved.map_err(IndexError::io("move"))?;
        self.write(&current)
    }

    /// Begins a new generation with the next number.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn begin(&self, spec: &IndexSpec, reason: &str) -> Result<GenerationWriter, IndexError> {
        let _changing = self.changing();
        let mut current = self.current_or_fresh()?;
        // Written down before the folder is made, so that no number is given twice whatever happens between.
        current.highest += 1;
        self.write(&current)?;
        GenerationWriter::create(self.home(current.highest), spec, reason)
    }

    /// Makes `writer`'s generation the one that serves after the next boot: commits and seals it (vectors, manifest,
    /// fsync), then renames `current`. The writer stays usable for small changes.
    ///
    /// # Errors
    /// When the disk refuses; then `current` names what it named before.
    pub fn publish(&self, writer: &mut GenerationWriter) -> Result<Snapshot, IndexError> {
        writer.seal()?;
        let number = writer.snapshot().generation();
        let _changing = self.changing();
        let mut current = self.current_or_fresh()?;
        current.serving = Some(number);
        current.whole.retain(|whole| *whole != number);
        current.whole.push(number);
        current.held.remove(&number);
        current.partial = current.partial.filter(|partial| *partial != number);
        self.write(&current)?;
        Ok(writer.snapshot())
    }

    /// Every whole generation, newest first. One whose manifest cannot be read is left out: opening it says why.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn list(&self) -> Result<Vec<GenerationInfo>, IndexError> {
        let Some(mut current) = self.current()? else { return Ok(Vec::new()) };
        current.whole.sort_unstable_by(|one, other| other.cmp(one));
        let mut found = Vec::new();
        for number in current.whole {
            match Manifest::read(&self.home(number)) {
                Ok(manifest) => found.push(manifest.info),
                Err(IndexError::Damaged { .. } | IndexError::Newer { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// The number of the generation that serves after the next boot.
    ///
    /// # Errors
    /// When the disk refuses, or `current` is damaged.
    pub fn serving(&self) -> Result<Option<u64>, IndexError> {
        Ok(self.current()?.and_then(|current| current.serving))
    }

    /// Whether generation `number` is whole.
    ///
    /// # Errors
    /// When the disk refuses, or `current` is damaged.
    pub fn holds(&self, number: u64) -> Result<bool, IndexError> {
        Ok(self.current()?.is_some_and(|current| current.whole.contains(&number)))
    }

    /// The generations that are kept whatever else is pruned.
    ///
    /// # Errors
    /// When the disk refuses, or `current` is damaged.
    pub fn pinned(&self) -> Result<BTreeSet<u64>, IndexError> {
        Ok(self.current()?.unwrap_or_default().pinned)
    }

    /// Keeps generation `number` from being pruned, or lets it go again; false when it is not whole.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn pin(&self, number: u64, pinned: bool) -> Result<bool, IndexError> {
        let _changing = self.changing();
        let Some(mut current) = self.current()?.filter(|current| current.whole.contains(&number)) else {
            return Ok(false);
        };
        let changed = if pinned { current.pinned.insert(number) } else { current.pinned.remove(&number) };
        if changed {
            self.write(&current)?;
        }
        Ok(true)
    }

    /// Deletes generation `number`; false when it serves or is not whole. Files that a snapshot still reads stay readable
    /// until it lets go.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn delete(&self, number: u64) -> Result<bool, IndexError> {
        let _changing = self.changing();
        let may = |current: &Current| current.whole.contains(&number) && current.serving != Some(number);
        let Some(mut current) = self.current()?.filter(may) else { return Ok(false) };
        current.forget(number);
        self.write(&current)?;
        files::remove(&self.home(number).folder).map_err(IndexError::io("delete"))?;
        Ok(true)
    }

    /// Deletes all but the serving generation, the pinned, and the `keep - 1` others that served last, and what was moved
    /// aside. Files that a snapshot still reads stay readable until it lets go.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn prune(&self, keep: usize) -> Result<(), IndexError> {
        let _changing = self.changing();
        let Some(mut current) = self.current()? else { return Ok(()) };
        let spared = |number: &u64| Some(*number) == current.serving || current.pinned.contains(number);
        let others = current.whole.iter().rev().filter(|number| !spared(number));
        let gone = others.skip(keep.saturating_sub(1)).copied();
        // The build that ended took over what an earlier one had left.
        let gone: Vec<u64> = gone.chain(current.partial).collect();
        for number in &gone {
            current.forget(*number);
        }
        // First the names, then the files: a half-deleted folder is never named.
        self.write(&current)?;
        let remove = || -> io::Result<()> {
            gone.iter().try_for_each(|number| files::remove(&self.home(*number).folder))?;
            for folder in [self.index(), self.dir.clone()] {
                for name in files::names(&folder)?.into_iter().filter(|name| is_damaged(name)) {
                    files::remove(&folder.join(name))?;
                }
            }
            Ok(())
        };
        remove().map_err(IndexError::io("prune"))
    }

    /// Deletes everything, for a tenant that is removed. The folder itself goes if nothing else is in it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn destroy(&self) -> Result<(), IndexError> {
        let remove = || -> io::Result<()> {
            files::remove(&self.index())?;
            for name in files::names(&self.dir)?.into_iter().filter(|name| name.starts_with(CURRENT)) {
                files::remove(&self.dir.join(name))?;
            }
            match fs::remove_dir(&self.dir) {
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {
                    Ok(())
                }
                other => other,
            }
        };
        remove().map_err(IndexError::io("delete"))
    }

    /// Changes what `current` says.
    pub(super) fn change(&self, change: impl FnOnce(&mut Current)) -> Result<(), IndexError> {
        let _changing = self.changing();
        let mut current = self.current_or_fresh()?;
        change(&mut current);
        self.write(&current)
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn index(&self) -> PathBuf {
        self.dir.join("index")
    }

    pub(super) fn home(&self, number: u64) -> Home {
        Home { number, folder: self.index().join(number.to_string()) }
    }

    /// Numbers of the folders there are, those moved aside too.
    fn numbers(&self) -> Result<Vec<u64>, IndexError> {
        let names = files::names(&self.index()).map_err(IndexError::io("list"))?;
        let number = |name: &String| name.strip_suffix(".damaged").unwrap_or(name).parse().ok();
        Ok(names.iter().filter_map(number).collect())
    }

    /// What `current` says; `None` when there is none.
    pub(super) fn current(&self) -> Result<Option<Current>, IndexError> {
        let content = match fs::read(self.dir.join(CURRENT)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(IndexError::io("read"))?,
        };
        let json = files::unseal(&content).map_err(bad_current)?;
        let current: Current = serde_json::from_str(json).map_err(|_| bad_current("it names no generations"))?;
        if current.highest == u64::MAX {
            return Err(bad_current("no number is left for another generation"));
        }
        Ok(Some(current))
    }

    /// What `current` says, or the start of a new one that gives no number again.
    fn current_or_fresh(&self) -> Result<Current, IndexError> {
        let mut current = match self.current() {
            Ok(found) => found.unwrap_or_default(),
            Err(IndexError::Damaged { .. }) => Current::default(),
            Err(error) => return Err(error),
        };
        current.highest = self.numbers()?.into_iter().fold(current.highest, u64::max);
        Ok(current)
    }

    fn write(&self, current: &Current) -> Result<(), IndexError> {
        let write = || {
            files::create_folder(&self.index())?;
            files::replace(&self.dir.join(CURRENT), &files::seal(current)?)
        };
        write().map_err(IndexError::io("name the generations of"))
    }
}

fn bad_current(reason: &str) -> IndexError {
    IndexError::Damaged { generation: 0, file: CURRENT.into(), reason: reason.into() }
}

fn is_damaged(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == DAMAGED)
}

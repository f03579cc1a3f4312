//! Generations that do not serve yet: what a build has so far, what failed its checks, and notes beside a generation.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{GenerationWriter, Generations, IndexError, Snapshot, files};

impl Generations {
    /// Keeps what `writer` has so far over a restart, in place of what an earlier build had left, unless that had more.
    ///
    /// # Errors
    /// When the disk refuses; then what was kept before is kept.
    pub fn checkpoint(&self, writer: &mut GenerationWriter) -> Result<(), IndexError> {
        writer.checkpoint()?;
        let snapshot = writer.snapshot();
        let number = snapshot.generation();
        let kept = self.partial_number()?.filter(|kept| *kept != number);
        if let Some(kept) = kept {
            let before = self.open(kept).ok().map(|before| before.snapshot());
            if before.is_some_and(|before| before.chunks() > snapshot.chunks()) {
                return Ok(());
            }
        }
        self.change(|current| current.partial = Some(number))?;
        kept.map_or(Ok(()), |kept| self.remove_folder(kept))
    }

    /// What a build that did not end has left, to be taken over; `None` when there is nothing that holds.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn partial(&self) -> Result<Option<Snapshot>, IndexError> {
        let Some(number) = self.partial_number()? else { return Ok(None) };
        match self.open(number) {
            Ok(open) => Ok(Some(open.snapshot())),
            Err(IndexError::Damaged { .. } | IndexError::Newer { .. }) => {
                self.drop_partial()?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes what a build that did not end has left.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn drop_partial(&self) -> Result<(), IndexError> {
        let Some(number) = self.partial_number()? else { return Ok(()) };
        self.change(|current| current.partial = None)?;
        self.remove_folder(number)
    }

    /// Deletes the folder of a build that failed, unless it is kept to be taken over.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn discard(&self, number: u64) -> Result<(), IndexError> {
        if self.partial_number()? == Some(number) || self.holds(number)? { Ok(()) } else { self.remove_folder(number) }
    }

    /// Keeps `writer`'s generation whole without letting it serve, since it failed its checks; an earlier one that was
    /// held back goes, unless it is pinned.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn hold(&self, writer: &mut GenerationWriter) -> Result<(), IndexError> {
        writer.seal()?;
        let number = writer.snapshot().generation();
        let mut gone = Vec::new();
        self.change(|current| {
            gone = current.held.difference(&current.pinned).copied().collect();
            for old in &gone {
                current.forget(*old);
            }
            current.partial = current.partial.filter(|partial| *partial != number);
            current.held.insert(number);
            // The first to be pruned: it never served.
            current.whole.insert(0, number);
        })?;
        gone.into_iter().try_for_each(|old| self.remove_folder(old))
    }

    /// The generations that failed their checks and have not served since.
    ///
    /// # Errors
    /// When the disk refuses, or `current` is damaged.
    pub fn held(&self) -> Result<BTreeSet<u64>, IndexError> {
        Ok(self.current()?.unwrap_or_default().held)
    }

    /// Writes a note into a generation's folder, whole or not at all; it goes with the generation.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn note(&self, number: u64, name: &str, value: &impl Serialize) -> Result<(), IndexError> {
        let write = || files::replace(&self.home(number).path(name), &files::seal(value)?);
        write().map_err(IndexError::io("write"))
    }

    /// A note of a generation; `None` when there is none that can be read.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn noted<T: DeserializeOwned>(&self, number: u64, name: &str) -> Result<Option<T>, IndexError> {
        match fs::read(self.home(number).path(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(IndexError::io("read")(error)),
            Ok(content) => Ok(files::unseal(&content).ok().and_then(|json| serde_json::from_str(json).ok())),
        }
    }

    /// The number of what a build that did not end has left, or of the one under way.
    ///
    /// # Errors
    /// When the disk refuses, or `current` is damaged.
    pub fn partial_number(&self) -> Result<Option<u64>, IndexError> {
        Ok(self.current()?.and_then(|current| current.partial))
    }

    fn remove_folder(&self, number: u64) -> Result<(), IndexError> {
        files::remove(&self.home(number).folder).map_err(IndexError::io("delete"))
    }
}

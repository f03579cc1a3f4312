//! A generation's manifest: what it is, and the checksum of every file it had when it was written.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{self, FileMark};
use super::{GenerationInfo, IndexError};

/// The shape of a generation's files that this Carrel writes and reads.
pub(super) const SCHEMA: u32 = 1;
/// The manifest's file.
pub(super) const MANIFEST: &str = "manifest.json";
/// The graph's file.
pub(super) const VECTORS: &str = "vectors.usearch";
/// The folder of tantivy's files.
pub(super) const TANTIVY: &str = "tantivy";
/// What tantivy names its commit by.
pub(super) const META_JSON: &str = "tantivy/meta.json";

/// A generation's own folder.
#[derive(Debug, Clone)]
pub(super) struct Home {
    /// The generation's number.
    pub number: u64,
    /// `data/<id>/index/<number>`.
    pub folder: PathBuf,
}

impl Home {
    /// The path of one of its files.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> io::Result<u64> {
        let mut bytes = 0;
        for folder in [self.folder.clone(), self.path(TANTIVY)] {
            for name in files::names(&folder)? {
                // A file that a merge removed meanwhile weighs nothing.
                bytes += fs::metadata(folder.join(name)).map_or(0, |file| if file.is_file() { file.len() } else { 0 });
            }
        }
        Ok(bytes)
    }

    /// Says that `file` is damaged.
    pub fn damaged(&self, file: &str, reason: impl Into<String>) -> IndexError {
        IndexError::Damaged { generation: self.number, file: file.to_owned(), reason: reason.into() }
    }
}

/// The manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// [`SCHEMA`] of the Carrel that wrote it.
    pub schema: u32,
    /// The commit it was written after.
    pub revision: u64,
    /// What the generation is.
    pub info: GenerationInfo,
    /// Its files, by path within the generation.
    pub files: BTreeMap<String, FileMark>,
}

/// All that is read of a manifest before its schema is known.
#[derive(Deserialize)]
struct Head {
    schema: u32,
}

impl Manifest {
    /// Reads the manifest of `home`.
    pub fn read(home: &Home) -> Result<Self, IndexError> {
        let content = match fs::read(home.path(MANIFEST)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(home.damaged(MANIFEST, "it is missing"));
            }
            other => other.map_err(IndexError::io("read"))?,
        };
        let json = files::unseal(&content).map_err(|reason| home.damaged(MANIFEST, reason))?;
        let strange = |error: serde_json::Error| home.damaged(MANIFEST, format!("it is no manifest: {error}"));
        let Head { schema } = serde_json::from_str(json).map_err(strange)?;
        if schema > SCHEMA {
            return Err(IndexError::Newer { generation: home.number, found: schema, known: SCHEMA });
        }
        let manifest: Self = serde_json::from_str(json).map_err(strange)?;
        if manifest.info.number == home.number {
            Ok(manifest)
        } else {
            Err(home.damaged(MANIFEST, format!("it belongs to generation {}", manifest.info.number)))
        }
    }

    /// Writes it, durably.
    pub fn write(&self, home: &Home) -> io::Result<()> {
        files::replace(&home.path(MANIFEST), &files::seal(self)?)
    }

    /// Marks `named` files of `home`, and forgets all others but the graph. Files of segments never change, so those
    /// that are marked already are not read again; `meta.json` is.
    pub fn mark(&mut self, home: &Home, named: impl IntoIterator<Item = PathBuf>) -> io::Result<()> {
        let mut marks = BTreeMap::new();
        for name in named {
            let Some(name) = name.to_str().map(|name| format!("{TANTIVY}/{name}")) else { continue };
            let known = self.files.get(&name).filter(|_| name != META_JSON).copied();
            match known.map_or_else(|| FileMark::of(&home.path(&name)), Ok) {
                Ok(mark) => _ = marks.insert(name, mark),
                // Segments have files that only some of them need.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(graph) = self.files.get(VECTORS) {
            marks.insert(VECTORS.to_owned(), *graph);
        }
        self.files = marks;
        Ok(())
    }

    /// Makes sure that `file` of `home` is as it was marked; one that is not marked is not looked at.
    pub fn check(&self, home: &Home, file: &str) -> Result<(), IndexError> {
        let Some(mark) = self.files.get(file) else { return Ok(()) };
        match mark.fault(&home.path(file)).map_err(IndexError::io("read"))? {
            None => Ok(()),
            Some(reason) => Err(home.damaged(file, reason)),
        }
    }
}

/// The name within the manifest of one of tantivy's files.
pub(super) fn of_tantivy(file: &Path) -> String {
    format!("{TANTIVY}/{}", file.display())
}

//! Opening a generation: nothing is used before its checksum held, and what was read is counted against what was
//! written.
//!
//! The manifest marks every file by BLAKE3 as of the last time it was written. A commit writes tantivy's own record
//! first and the manifest after it, so a process that died in between leaves a record that is newer than the manifest:
//! then the files the manifest does not know are held to tantivy's own checksums, and the documents as a whole to the
//! digest that the commit carries.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
use std::path::{Path, PathBuf};

use tantivy::directory::error::OpenReadError;
use tantivy::{Index, TantivyError};
use tracing::info;

use super::catalog::{Catalog, Stamp, key_of};
use super::engine::{Engine, directory};
use super::error::guarded;
use super::files;
use super::graph::Graph;
use super::manifest::{Home, META_JSON, Manifest, TANTIVY, VECTORS, of_tantivy};
use super::schema::Fields;
use super::vectors::{Added, Vectors};
use super::words::Words;
use super::{GenerationInfo, IndexError, Snapshot};

impl Engine {
    /// Opens what stands in `home`, every file held to its checksum.
    pub fn open(home: Home, manifest: &Manifest) -> Result<Self, IndexError> {
        mend(&home).map_err(IndexError::io("mend"))?;
        let folder = directory(&home.path(TANTIVY))?;
        let index = read_with(&home, || Index::open(folder))?;
        let fields = Fields::of(&index).ok_or_else(|| home.damaged(META_JSON, "its schema is not the one it had"))?;
        verify(&home, manifest, &index)?;
        let reader = read_with(&home, || Self::reader(&index))?;
        Ok(Self { home, index, fields, reader })
    }

    /// Reads the state that stands on disk, of the generation `info` tells of, and completes `vectors` to it.
    pub fn load(&self, info: &GenerationInfo, vectors: &Vectors) -> Result<Snapshot, IndexError> {
        read_with(&self.home, || self.reader.reload())?;
        let stamp = read_with(&self.home, || stamp(&self.index))?;
        let words = read_with(&self.home, || Words::new(self.reader.searcher(), self.fields))?;
        if !words.is_whole() {
            return Err(self.home.damaged(META_JSON, "its segments are not as long as it says"));
        }
        let mut catalog = Catalog::default();
        for meta in read_with(&self.home, || words.entries())? {
            catalog.place(meta.number, meta.entry);
        }
        catalog.skip_to(stamp.next);
        if catalog.stamp(stamp.revision) != stamp {
            return Err(self.home.damaged(META_JSON, "its documents are not those that were committed"));
        }
        let missing = vectors.missing(&catalog);
        let stored = read_with(&self.home, || self.stored_vectors(&words, &catalog, &missing, info.spec.dimension))?;
        let vectors = vectors.next(&catalog, &stored)?;
        self.snapshot(info, stamp.revision, words, catalog, vectors)
    }

    /// The vectors of these documents as tantivy keeps them.
    fn stored_vectors(
        &self,
        words: &Words,
        catalog: &Catalog,
        numbers: &[u64],
        dimension: usize,
    ) -> tantivy::Result<Added> {
        let lost = || TantivyError::InternalError("a stored vector is missing".into());
        let mut found = Added::new();
        for &number in numbers {
            let chunks = catalog.entry(number).map_or(0, |entry| entry.chunks);
            let mut vectors = Vec::with_capacity(chunks as usize);
            for ordinal in 0..chunks {
                let stored = words.chunk(key_of(number, ordinal))?;
                let vector = stored.and_then(|stored| self.fields.vector(&stored));
                vectors.push(vector.filter(|vector| vector.len() == dimension).ok_or_else(lost)?);
            }
            found.insert(number, vectors);
        }
        Ok(found)
    }
}

/// Makes tantivy's list of its own files anew if it cannot be read. It has no checksum and needs none: it only serves
/// to find files that may go.
fn mend(home: &Home) -> io::Result<()> {
    let folder = home.path(TANTIVY);
    let list = folder.join(".managed.json");
    let sound = fs::read(&list).is_ok_and(|json| serde_json::from_slice::<BTreeSet<PathBuf>>(&json).is_ok());
    if sound || !folder.is_dir() {
        return Ok(());
    }
    let ours: Vec<String> = files::names(&folder)?.into_iter().filter(|name| !name.starts_with('.')).collect();
    files::replace(&list, &serde_json::to_vec(&ours)?)
}

/// Holds every file to its checksum.
fn verify(home: &Home, manifest: &Manifest, index: &Index) -> Result<(), IndexError> {
    let metas = read_with(home, || index.load_metas())?;
    let named: BTreeSet<PathBuf> = metas.list_segment_files().into_iter().collect();
    let known = |file: &PathBuf| manifest.files.contains_key(&of_tantivy(file));
    if let Err(fault) = manifest.check(home, META_JSON) {
        // Only a commit or a merge writes another record, and both make other files.
        let stamp = read_with(home, || stamp(index))?;
        let moved_on = named.iter().any(|file| !known(file) && home.path(TANTIVY).join(file).exists());
        if stamp.revision < manifest.revision || (stamp.revision == manifest.revision && !moved_on) {
            return Err(fault);
        }
    }
    for file in &named {
        if known(file) {
            manifest.check(home, &of_tantivy(file))?;
        } else if home.path(TANTIVY).join(file).exists() {
            let sound = read_with(home, || Ok(index.directory().validate_checksum(file)?))?;
            if !sound {
                return Err(home.damaged(&of_tantivy(file), "its checksum does not hold"));
            }
        }
    }
    Ok(())
}

/// The vectors in the graph on disk, if its checksum holds; else none, to be completed from what tantivy keeps. So the
/// loss of the graph is no damage.
pub(super) fn saved_vectors(home: &Home, manifest: &Manifest) -> Vectors {
    let dimension = manifest.info.spec.dimension;
    if !manifest.files.contains_key(VECTORS) {
        return Vectors::new(dimension);
    }
    let load = || {
        manifest.check(home, VECTORS)?;
        Graph::load(&home.path(VECTORS), dimension)
    };
    let loaded = guarded(load).unwrap_or_else(|reason| Err(IndexError::Engine(reason.into())));
    match loaded {
        Ok(graph) => Vectors::of_graph(graph, dimension),
        Err(error) => {
            info!(generation = home.number, %error, "making the graph of vectors anew");
            Vectors::new(dimension)
        }
    }
}

/// What the last commit says of itself.
fn stamp(index: &Index) -> tantivy::Result<Stamp> {
    match index.load_metas()?.payload {
        Some(payload) => Ok(serde_json::from_str(&payload).map_err(io::Error::from)?),
        None => Ok(Catalog::default().stamp(0)),
    }
}

/// Runs an engine's reading of files that may be damaged. Whatever goes wrong but for the disk's refusal is damage.
fn read_with<T>(home: &Home, read: impl FnOnce() -> tantivy::Result<T>) -> Result<T, IndexError> {
    match guarded(read) {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(error)) => Err(fault(home, error)),
        Err(reason) => Err(home.damaged(META_JSON, reason)),
    }
}

/// Tells damage from a disk that refuses. What an engine says of damaged bytes may quote them, so it is not passed on.
fn fault(home: &Home, error: TantivyError) -> IndexError {
    if let TantivyError::OpenReadError(OpenReadError::FileDoesNotExist(file)) = &error {
        return home.damaged(&of_tantivy(Path::new(file.file_name().unwrap_or_default())), "it is missing");
    }
    match IndexError::tantivy("read")(error) {
        IndexError::Io { source, .. } if matches!(source.kind(), InvalidData | NotFound | UnexpectedEof) => {
            home.damaged(META_JSON, "its commit cannot be read whole")
        }
        IndexError::Engine(_) => home.damaged(META_JSON, "its commit cannot be understood"),
        refused => refused,
    }
}

//! One generation that is being written.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tantivy::IndexWriter;
use tantivy::directory::Directory;
use tracing::warn;

use super::catalog::{Catalog, MOST_CHUNKS};
use super::engine::Engine;
use super::error::guarded;
use super::files::{self, FileMark};
use super::graph::Graph;
use super::manifest::{Home, Manifest, SCHEMA, VECTORS};
use super::open::saved_vectors;
use super::schema::{LONGEST_META, Meta, halves};
use super::vectors::{Added, Vectors};
use super::{GenerationInfo, IndexError, IndexSpec, IndexedDocument, Snapshot, language};
use crate::domain::{DocumentId, Timestamp};

/// One generation that is being written: a new one, or small changes to the serving one.
///
/// Idle, it costs no thread and no memory beyond its snapshot's.
pub struct GenerationWriter {
    pub(super) engine: Engine,
    manifest: Manifest,
    /// Whether the manifest stands on disk, as it does from the first [`GenerationWriter::seal`] on.
    sealed: bool,
    /// Whether it tells of `state`.
    noted: bool,
    /// The graph that stands on disk.
    saved: Option<Arc<Graph>>,
    /// The last committed state.
    state: Snapshot,
    /// Changes since.
    pending: Option<Pending>,
    /// A commit failed half-way, so that the disk may hold another state than `state`.
    adrift: bool,
}

/// Changes since the last commit.
struct Pending {
    writer: IndexWriter,
    catalog: Catalog,
    added: Added,
    /// Why they cannot be committed any more.
    failed: Option<IndexError>,
}

impl GenerationWriter {
    /// A new, empty generation in the fresh folder `home`.
    pub(super) fn create(home: Home, spec: &IndexSpec, reason: &str) -> Result<Self, IndexError> {
        let info = GenerationInfo {
            number: home.number,
            made_at: Timestamp::now(),
            reason: reason.to_owned(),
            documents: 0,
            chunks: 0,
            bytes: 0,
            spec: spec.clone(),
        };
        let engine = Engine::create(home)?;
        let state = engine.read(&info, 0, Catalog::default(), Vectors::new(spec.dimension))?;
        let manifest = Manifest { schema: SCHEMA, revision: 0, info, files: BTreeMap::new() };
        Ok(Self { engine, manifest, sealed: false, noted: false, saved: None, state, pending: None, adrift: false })
    }

    /// Opens the sealed generation in `home`.
    pub(super) fn open(home: Home) -> Result<Self, IndexError> {
        let manifest = Manifest::read(&home)?;
        let vectors = saved_vectors(&home, &manifest);
        let engine = Engine::open(home, &manifest)?;
        let state = engine.load(&manifest.info, &vectors)?;
        let saved = vectors.graph().cloned();
        let noted = manifest.revision == state.revision();
        Ok(Self { engine, manifest, sealed: true, noted, saved, state, pending: None, adrift: false })
    }

    /// Adds a document, in place of one of the same id.
    ///
    /// # Errors
    /// [`IndexError::Refused`] when the document contradicts itself or its facts are too long: it alone is left out.
    /// When the engine fails, all changes since the last commit are lost, and [`GenerationWriter::commit`] says so too.
    /// Nothing is visible before [`GenerationWriter::commit`].
    pub fn upsert(&mut self, mut document: IndexedDocument) -> Result<(), IndexError> {
        self.check(&document)?;
        let fields = self.engine.fields;
        let pending = self.pending()?;
        let read = language::of_document(&document.entry.title, &document.text, pending.catalog.mix());
        read.language.clone_into(&mut document.entry.language);
        document.entry.prose = Some(read.prose);
        let meta = fitted(Meta { number: pending.catalog.next(), entry: document.entry.clone() })?;
        let encoded = fields.encode(&document, &meta).map_err(|error| refused(&meta.entry.id, error))?;
        pending.run(|writer| {
            writer.delete_term(fields.document_term(&meta.entry.id));
            encoded.into_iter().try_for_each(|stored| writer.add_document(stored).map(|_| ()))
        })?;
        if let Some(replaced) = pending.catalog.number(&meta.entry.id) {
            pending.added.remove(&replaced);
        }
        let number = pending.catalog.upsert(meta.entry);
        pending.added.insert(number, document.vectors.iter().map(|vector| halves(vector)).collect());
        Ok(())
    }

    /// Removes a document; false when it is not there.
    ///
    /// # Errors
    /// When the engine fails; as with [`GenerationWriter::upsert`].
    pub fn remove(&mut self, id: &DocumentId) -> Result<bool, IndexError> {
        self.settle()?;
        let catalog = self.pending.as_ref().map_or(&**self.state.catalog(), |pending| &pending.catalog);
        if catalog.number(id).is_none() {
            return Ok(false);
        }
        let term = self.engine.fields.document_term(id);
        let pending = self.pending()?;
        pending.run(|writer| {
            writer.delete_term(term);
            Ok(())
        })?;
        if let Some(number) = pending.catalog.remove(id) {
            pending.added.remove(&number);
        }
        Ok(true)
    }

    /// Makes the changes since the last commit durable and readable, in one step, and frees the writer's memory.
    ///
    /// # Errors
    /// When the disk or the engine fails; then the last commit stands and the writer is as after it. (Where the disk
    /// failed only to confirm what it holds already, that is the last commit.)
    pub fn commit(&mut self) -> Result<Snapshot, IndexError> {
        self.settle()?;
        let Some(pending) = self.pending.take() else { return Ok(self.snapshot()) };
        match self.write(pending) {
            Ok(next) => (self.state, self.noted) = (next, false),
            Err(error) => {
                // What the disk holds is read again, at once if it can be, or before the next change.
                self.adrift = true;
                if let Err(later) = self.settle() {
                    warn!(generation = self.engine.home.number, error = %later, "the state of the index is not known yet");
                }
                return Err(error);
            }
        }
        if self.sealed {
            self.note();
        }
        Ok(self.snapshot())
    }

    /// Commits, and writes down what lets this be opened after a restart although it is not whole: all but the graph of
    /// vectors, which opening makes from what tantivy keeps.
    ///
    /// # Errors
    /// As [`GenerationWriter::commit`].
    pub fn checkpoint(&mut self) -> Result<(), IndexError> {
        self.commit()?;
        if self.noted { Ok(()) } else { self.write_manifest() }
    }

    /// The last committed state.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.state.clone()
    }

    /// Commits, and writes down what makes the next opening quick: the graph of vectors and the manifest. To be called
    /// when a tenant is put to rest or the server stops; what is not sealed is still safe, only slower to open.
    ///
    /// # Errors
    /// When the disk refuses; what was committed stands.
    pub fn seal(&mut self) -> Result<(), IndexError> {
        self.commit()?;
        if !self.sealed {
            self.state = self.state.with_vectors(self.state.vectors().settled(self.state.catalog())?);
        }
        self.save_graph()?;
        if self.sealed && self.noted {
            return Ok(());
        }
        if !self.sealed {
            let info = GenerationInfo { made_at: Timestamp::now(), ..self.state.info() };
            self.state = self.state.with_info(info);
        }
        self.write_manifest()?;
        self.sealed = true;
        Ok(())
    }

    /// Reads the last commit again after its segments were written anew.
    pub(super) fn reread(&mut self) -> Result<(), IndexError> {
        let (catalog, vectors) = (Catalog::clone(self.state.catalog()), self.state.vectors().clone());
        self.state = self.engine.read(&self.manifest.info, self.state.revision(), catalog, vectors)?;
        self.noted = false;
        if self.sealed {
            self.note();
        }
        Ok(())
    }

    /// Makes what was read of the disk true again after a failure.
    fn settle(&mut self) -> Result<(), IndexError> {
        if self.adrift {
            self.pending = None;
            self.state = self.engine.load(&self.manifest.info, self.state.vectors())?;
            self.noted = self.manifest.revision == self.state.revision();
            self.adrift = false;
        }
        Ok(())
    }

    /// The changes since the last commit, begun if need be.
    fn pending(&mut self) -> Result<&mut Pending, IndexError> {
        self.settle()?;
        if self.pending.is_none() {
            let writer = self.engine.writer()?;
            let catalog = Catalog::clone(self.state.catalog());
            self.pending = Some(Pending { writer, catalog, added: Added::new(), failed: None });
        }
        let pending = self.pending.as_mut().filter(|pending| pending.failed.is_none());
        pending.ok_or_else(|| IndexError::Engine("earlier changes failed: commit, then try them again".into()))
    }

    /// Commits in tantivy, and makes the snapshot of it.
    fn write(&mut self, mut pending: Pending) -> Result<Snapshot, IndexError> {
        if let Some(error) = pending.failed {
            return Err(error);
        }
        // Whatever may fail of the vectors fails before anything is changed.
        let vectors = self.state.vectors().next(&pending.catalog, &pending.added)?;
        let stamp = pending.catalog.stamp(self.state.revision() + 1);
        let payload = serde_json::to_string(&stamp).map_err(|error| IndexError::Engine(error.to_string()))?;
        let committed = guarded(|| -> tantivy::Result<()> {
            let mut prepared = pending.writer.prepare_commit()?;
            prepared.set_payload(&payload);
            prepared.commit()?;
            // tantivy renames its commit record into place and leaves it to the disk when that becomes durable.
            Ok(self.engine.index.directory().sync_directory()?)
        });
        committed.map_err(|reason| IndexError::Engine(reason.into()))?.map_err(IndexError::tantivy("commit"))?;
        if let Err(error) = pending.writer.wait_merging_threads() {
            warn!(generation = self.engine.home.number, %error, "merging segments failed; nothing is lost");
        }
        self.engine.read(&self.manifest.info, stamp.revision, pending.catalog, vectors)
    }

    /// Saves the graph unless it stands on disk already.
    fn save_graph(&mut self) -> Result<(), IndexError> {
        let graph = self.state.vectors().graph().cloned();
        let same = match (&graph, &self.saved) {
            (Some(graph), Some(saved)) => Arc::ptr_eq(graph, saved),
            (None, None) => true,
            _ => false,
        };
        if same {
            return Ok(());
        }
        self.noted = false;
        if let Some(graph) = &graph {
            let content = graph.to_bytes()?;
            files::replace(&self.engine.home.path(VECTORS), &content).map_err(IndexError::io("save"))?;
            self.manifest.files.insert(VECTORS.to_owned(), FileMark::of_bytes(&content));
        } else {
            files::remove(&self.engine.home.path(VECTORS)).map_err(IndexError::io("save"))?;
            self.manifest.files.remove(VECTORS);
        }
        self.saved = graph;
        Ok(())
    }

    /// Writes the manifest after a commit. That it fails is no failure of the commit: opening finds what is newer.
    fn note(&mut self) {
        if let Err(error) = self.write_manifest() {
            warn!(generation = self.engine.home.number, %error, "the manifest is behind its index until the next commit");
        }
    }

    fn write_manifest(&mut self) -> Result<(), IndexError> {
        let metas = self.engine.index.load_metas().map_err(IndexError::tantivy("read"))?;
        let mut named = metas.list_segment_files();
        named.insert("meta.json".into());
        self.manifest.mark(&self.engine.home, named).map_err(IndexError::io("read"))?;
        self.manifest.info = self.state.info();
        self.manifest.revision = self.state.revision();
        self.manifest.write(&self.engine.home).map_err(IndexError::io("write"))?;
        self.noted = true;
        Ok(())
    }

    /// Refuses a document that contradicts itself.
    fn check(&self, document: &IndexedDocument) -> Result<(), IndexError> {
        let IndexedDocument { entry, text, chunks, vectors } = document;
        let dimension = self.manifest.info.spec.dimension;
        let fault = if chunks.len() >= MOST_CHUNKS {
            Some(format!("it has {} chunks; the most is {}", chunks.len(), MOST_CHUNKS - 1))
        } else if (entry.chunks as usize, chunks.len()) != (chunks.len(), vectors.len()) {
            Some(format!("it names {} chunks and has {}, with {} vectors", entry.chunks, chunks.len(), vectors.len()))
        } else if let Some(chunk) = (0..).zip(chunks).find(|(at, chunk)| chunk.ordinal != *at).map(|(_, chunk)| chunk) {
            Some(format!("its chunk {} is out of order", chunk.ordinal))
        } else if let Some(chunk) = chunks.iter().find(|chunk| text.get(chunk.start..chunk.end) != Some(&chunk.text)) {
            Some(format!("its chunk {} is not what its text has there", chunk.ordinal))
        } else if vectors.iter().any(|vector| vector.len() != dimension || !vector.iter().all(|n| n.is_finite())) {
            Some(format!("a vector of it does not have {dimension} finite numbers"))
        } else {
            None
        };
        fault.map_or(Ok(()), |reason| Err(refused(&entry.id, reason)))
    }
}

impl Pending {
    /// Runs a change in tantivy; a failure is kept, because tantivy's writer is of no use after one.
    fn run(&mut self, change: impl FnOnce(&IndexWriter) -> tantivy::Result<()>) -> Result<(), IndexError> {
        let Err(error) = change(&self.writer) else { return Ok(()) };
        // The worker thread that died knows why; the door it left closed does not.
        let cause = guarded(|| self.writer.prepare_commit().err()).ok().flatten().unwrap_or(error);
        let error = IndexError::tantivy("write")(cause);
        self.failed = Some(error.again());
        Err(error)
    }
}

/// Makes an entry fit its column: warnings are cut, attributes are not.
fn fitted(mut meta: Meta) -> Result<Meta, IndexError> {
    let length = |meta: &Meta| serde_json::to_string(meta).map_or(usize::MAX, |json| json.len());
    while length(&meta) > LONGEST_META {
        if meta.entry.warnings.pop().is_none() {
            let most = LONGEST_META;
            return Err(refused(&meta.entry.id, format!("its name, title and attributes take more than {most} bytes")));
        }
    }
    Ok(meta)
}

fn refused(document: &DocumentId, reason: impl fmt::Display) -> IndexError {
    IndexError::Refused { document: document.clone(), reason: reason.to_string() }
}

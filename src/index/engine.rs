//! tantivy in one generation's folder: the index, its reader, its writer while there is work.

use std::path::Path;
use std::sync::Arc;

use tantivy::directory::MmapDirectory;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy};

use super::catalog::Catalog;
use super::error::guarded;
use super::files;
use super::manifest::{Home, TANTIVY};
use super::schema::Fields;
use super::vectors::Vectors;
use super::words::Words;
use super::{GenerationInfo, IndexError, Snapshot};

/// Memory of tantivy's writer, bytes: the least it takes. It is open only while there is work.
const WRITER_MEMORY: usize = 15_000_000;
/// Segments smaller than this, in documents of tantivy's, are merged among themselves; tantivy's own 10,000 would have a
/// small tenant's whole index written anew with every eighth commit.
const SMALL_SEGMENT: u32 = 500;
/// A segment of which more than this share is deleted is written anew without it.
const MOST_DELETED: f32 = 0.3;
/// Blocks of the document store that a reader keeps unpacked, 16 to 80 KiB each, a segment.
const CACHED_BLOCKS: usize = 32;

/// tantivy in one generation's folder.
pub(super) struct Engine {
    /// The folder.
    pub home: Home,
    /// The index.
    pub index: Index,
    /// Its fields.
    pub fields: Fields,
    /// Reads what was committed when it was last told to look.
    pub reader: IndexReader,
}

impl Engine {
    /// An empty index in the fresh folder `home`.
    pub fn create(home: Home) -> Result<Self, IndexError> {
        files::create_folder(&home.path(TANTIVY)).map_err(IndexError::io("create"))?;
        let (fields, schema) = Fields::new();
        let folder = directory(&home.path(TANTIVY))?;
        let index = Index::create(folder, schema, Fields::settings()).map_err(IndexError::tantivy("create"))?;
        let reader = Self::reader(&index).map_err(IndexError::tantivy("create"))?;
        Ok(Self { home, index, fields, reader })
    }

    /// A reader that looks for new commits only when it is told to: no thread watches.
    pub fn reader(index: &Index) -> tantivy::Result<IndexReader> {
        index.reader_builder().reload_policy(ReloadPolicy::Manual).doc_store_cache_num_blocks(CACHED_BLOCKS).try_into()
    }

    /// A writer, with threads and memory of its own until it is dropped.
    pub fn writer(&self) -> Result<IndexWriter, IndexError> {
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(WRITER_MEMORY)
            .num_worker_threads(1)
            .num_merge_threads(1)
            .build();
        let open = || {
            let writer: IndexWriter = self.index.writer_with_options(options)?;
            // A commit that died left files under names that the next may want for its own: it counts operations from
            // the same number, and tantivy does not write over a file.
            writer.garbage_collect_files().wait()?;
            writer.set_merge_policy(Box::new(merge_policy()));
            Ok(writer)
        };
        guarded(open).map_err(|reason| IndexError::Engine(reason.into()))?.map_err(IndexError::tantivy("write"))
    }

    /// The snapshot of what was committed last.
    pub fn read(
        &self,
        info: &GenerationInfo,
        revision: u64,
        catalog: Catalog,
        vectors: Vectors,
    ) -> Result<Snapshot, IndexError> {
        self.reader.reload().map_err(IndexError::tantivy("read"))?;
        let words = Words::new(self.reader.searcher(), self.fields).map_err(IndexError::tantivy("read"))?;
        self.snapshot(info, revision, words, catalog, vectors)
    }

    /// The snapshot that these parts make; of `info`, the figures are brought up to date.
    pub fn snapshot(
        &self,
        info: &GenerationInfo,
        revision: u64,
        words: Words,
        catalog: Catalog,
        vectors: Vectors,
    ) -> Result<Snapshot, IndexError> {
        let info = GenerationInfo {
            documents: catalog.len() as u64,
            chunks: catalog.chunks(),
            bytes: self.home.bytes().map_err(IndexError::io("measure"))?,
            ..info.clone()
        };
        Ok(Snapshot::new(info, revision, self.fields, Arc::new(words), vectors, Arc::new(catalog)))
    }
}

fn merge_policy() -> LogMergePolicy {
    let mut policy = LogMergePolicy::default();
    policy.set_min_layer_size(SMALL_SEGMENT);
    policy.set_del_docs_ratio_before_merge(MOST_DELETED);
    policy
}

/// tantivy's folder at `path`.
pub(super) fn directory(path: &Path) -> Result<Box<dyn tantivy::Directory>, IndexError> {
    let folder = MmapDirectory::open(path).map_err(|error| IndexError::tantivy("open")(error.into()))?;
    #[cfg(test)]
    let folder = super::faults::Faulty::around(folder);
    Ok(Box::new(folder))
}

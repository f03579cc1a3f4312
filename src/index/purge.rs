//! Deleted text leaves the disk: segments that still hold it are written anew without it, and their files go.

use std::collections::HashSet;
use std::path::PathBuf;

use tantivy::indexer::NoMergePolicy;

use super::error::guarded;
use super::manifest::TANTIVY;
use super::{GenerationWriter, IndexError, Snapshot, files};

impl GenerationWriter {
    /// Whether files of this generation still hold what was deleted from it, unreadable to any question.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn holds_deleted(&self) -> Result<bool, IndexError> {
        let metas = self.engine.index.searchable_segment_metas().map_err(IndexError::tantivy("read"))?;
        Ok(metas.iter().any(tantivy::SegmentMeta::has_deletes) || !self.unneeded()?.is_empty())
    }

    /// Writes every segment that holds deleted text anew without it. The files of the old ones go with
    /// [`GenerationWriter::sweep`], once no snapshot reads them any more.
    ///
    /// # Errors
    /// When the disk or the engine fails; then the state is what it was.
    pub fn purge(&mut self) -> Result<Snapshot, IndexError> {
        self.commit()?;
        let metas = self.engine.index.searchable_segment_metas().map_err(IndexError::tantivy("read"))?;
        let stale: Vec<_> = metas.iter().filter(|meta| meta.has_deletes()).map(tantivy::SegmentMeta::id).collect();
        if stale.is_empty() {
            return Ok(self.snapshot());
        }
        let mut writer = self.engine.writer()?;
        writer.set_merge_policy(Box::new(NoMergePolicy));
        let rewritten = guarded(|| -> tantivy::Result<()> {
            stale.iter().try_for_each(|segment| writer.merge(&[*segment]).wait().map(drop))?;
            writer.wait_merging_threads()
        });
        rewritten.map_err(|reason| IndexError::Engine(reason.into()))?.map_err(IndexError::tantivy("purge"))?;
        self.reread()?;
        Ok(self.snapshot())
    }

    /// Removes files that the last commit does not need; returns how many are left, since a snapshot reads them still.
    ///
    /// # Errors
    /// When the disk or the engine fails.
    pub fn sweep(&mut self) -> Result<usize, IndexError> {
        // A writer removes them when it is opened.
        drop(self.engine.writer()?);
        Ok(self.unneeded()?.len())
    }

    /// Files of segments that the last commit does not name.
    fn unneeded(&self) -> Result<Vec<String>, IndexError> {
        let metas = self.engine.index.load_metas().map_err(IndexError::tantivy("read"))?;
        let needed: HashSet<PathBuf> = metas.list_segment_files();
        let names = files::names(&self.engine.home.path(TANTIVY)).map_err(IndexError::io("read"))?;
        // Names of segments are hexadecimal; what else there is belongs to the folder as a whole.
        let of_segment = |name: &String| name.split('.').next().is_some_and(|stem| stem.len() == 32);
        Ok(names.into_iter().filter(|name| of_segment(name) && !needed.contains(&PathBuf::from(name))).collect())
    }
}

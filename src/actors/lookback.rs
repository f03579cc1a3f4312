//! Looking back: questions to a generation that no longer serves.
//!
//! A kept generation is opened to read when the first question names it, on a thread of its own, and the last few stay
//! open. What was deleted never returns: documents that the tenant no longer holds are left out when it is opened, and
//! all are opened anew after each removal.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::cell::Cell;
use super::desk::{Desk, inward};
use super::refusal::DeskError;
use super::work::{blocking, desk_error};
use crate::domain::DocumentId;
use crate::engine::BuildError;
use crate::index::{IndexError, Snapshot};

/// Older generations that stay open: one to ask, one to compare it with.
const KEPT: usize = 2;

/// The older generations of a tenant that are open.
#[derive(Default)]
pub(super) struct LookedBack {
    /// Held while one is opened, so that questions that come together open it once.
    opening: tokio::sync::Mutex<()>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// Last asked first.
    snapshots: VecDeque<Arc<Snapshot>>,
    /// Counts how often they were forgotten: what was opened before may hold what is gone.
    epoch: u64,
}

impl LookedBack {
    /// The snapshot of generation `number` if it is open, and the epoch of this moment.
    fn find(&self, number: u64) -> (Option<Arc<Snapshot>>, u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let at = open.snapshots.iter().position(|snapshot| snapshot.generation() == number);
        let found = at.and_then(|at| open.snapshots.remove(at));
        if let Some(found) = &found {
            open.snapshots.push_front(Arc::clone(found));
        }
        (found, open.epoch)
    }

    /// Keeps what was opened since `epoch`; false when it may be out of date.
    fn keep(&self, snapshot: &Arc<Snapshot>, epoch: u64) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.epoch != epoch {
            return false;
        }
        open.snapshots.truncate(KEPT - 1);
        open.snapshots.push_front(Arc::clone(snapshot));
        true
    }

    fn forget(&self) {
        let gone = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.epoch += 1;
            std::mem::take(&mut open.snapshots)
        };
        // Files are let go outside the lock.
        drop(gone);
    }
}

impl Cell {
    /// Closes the older generations that were looked back to. Called whenever a document is removed, or another
    /// generation serves or is deleted; cheap when none is open.
    pub(super) fn forget_looked_back(&self) {
        self.looked_back.forget();
    }

    /// What generation `number` holds of the documents there are now; none when it is not kept.
    async fn look_back(self: &Arc<Self>, number: u64) -> Result<Option<Arc<Snapshot>>, DeskError> {
        let (kept, opening) = (Arc::clone(self), self.looked_back.opening.lock());
        // What `current` no longer names is gone, whoever still has it open.
        let holds = blocking(move || Ok(kept.generations.holds(number)?)).await.map_err(desk_error)?;
        if !holds {
            return Ok(None);
        }
        if let (Some(found), _) = self.looked_back.find(number) {
            return Ok(Some(found));
        }
        let _opening = opening.await;
        loop {
            let (found, epoch) = self.looked_back.find(number);
            if found.is_some() {
                return Ok(found);
            }
            let opened = match self.open_to_read(number).await? {
                Some(opened) => Arc::new(opened),
                None => return Ok(None),
            };
            if self.looked_back.keep(&opened, epoch) {
                return Ok(Some(opened));
            }
        }
    }

    async fn open_to_read(self: &Arc<Self>, number: u64) -> Result<Option<Snapshot>, DeskError> {
        let kept = Arc::clone(self);
        match blocking(move || read(&kept, number)).await {
            Err(BuildError::Index(IndexError::Damaged { .. })) => self.open_alone(number).await,
            other => other.map_err(desk_error),
        }
    }

    /// Opens what could not be read a moment ago while nobody writes. What is damaged even so is moved aside.
    async fn open_alone(self: &Arc<Self>, number: u64) -> Result<Option<Snapshot>, DeskError> {
        let (kept, alone) = (Arc::clone(self), Arc::clone(&self.writer).lock_owned().await);
        let opened = blocking(move || {
            let _alone = alone;
            if !kept.generations.holds(number)? {
                return Ok(Ok(None));
            }
            match read(&kept, number) {
                Err(BuildError::Index(IndexError::Damaged { .. })) if kept.generations.holds(number)? => {
                    kept.generations.quarantine(number)?;
                    Ok(Err(DeskError::GenerationDamaged(number)))
                }
                Err(BuildError::Index(IndexError::Damaged { .. })) => Ok(Ok(None)),
                other => other.map(Ok),
            }
        });
        opened.await.map_err(desk_error)?
    }
}

/// Opens generation `number` to read, without the documents that are gone by now.
fn read(cell: &Cell, number: u64) -> Result<Option<Snapshot>, BuildError> {
    let snapshot = cell.generations.open(number)?.snapshot();
    let there: BTreeSet<DocumentId> = cell.documents.list()?.into_iter().map(|stored| stored.id).collect();
    let gone: Vec<DocumentId> =
        snapshot.documents().map(|entry| entry.id.clone()).filter(|id| !there.contains(id)).collect();
    Ok(Some(snapshot.without(&gone)))
}

impl Desk {
    /// What a question reads: the serving generation, or the kept one it names.
    ///
    /// # Errors
    /// [`DeskError::NotFound`], [`DeskError::GenerationDamaged`], or that nothing serves.
    pub(super) async fn state_of(&self, generation: Option<u64>) -> Result<Arc<Snapshot>, DeskError> {
        let Some(number) = generation else { return self.snapshot() };
        match self.cell.snapshot().filter(|serving| serving.generation() == number) {
            Some(serving) => Ok(serving),
            None => self.cell.look_back(number).await?.ok_or(DeskError::NotFound("generation")),
        }
    }

    /// Bytes `start..end` of a document's extracted text as a generation has it, the serving one when unset; else as
    /// [`Desk::text`].
    ///
    /// # Errors
    /// [`DeskError::NotFound`] when there is no such generation, or no such document in it.
    pub async fn text_in(
        &self,
        generation: Option<u64>,
        id: &DocumentId,
        start: usize,
        end: Option<usize>,
    ) -> Result<(usize, usize, String), DeskError> {
        let (snapshot, id) = (self.state_of(generation).await?, self.known_id(id).await?);
        // A large document takes milliseconds to unpack.
        let text = blocking(move || Ok(snapshot.text(&id)?)).await.map_err(desk_error)?;
        let text = text.ok_or(DeskError::NotFound("document"))?;
        let (start, end) = inward(&text, start, end.unwrap_or(text.len()));
        Ok((start, end, text[start..end].to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Generations, IndexSpec};

    /// Empty generations 1 to 3.
    fn snapshots(folder: &std::path::Path) -> Vec<Arc<Snapshot>> {
        let spec = IndexSpec { embedder: "test".into(), dimension: 4, parser: 1, chunker: "1".into(), analyser: 1 };
        let generations = Generations::new(folder);
        (0..3).map(|_| Arc::new(generations.begin(&spec, "boot").unwrap().snapshot())).collect()
    }

    fn open(looked_back: &LookedBack) -> Vec<u64> {
        (1..=3).filter(|number| looked_back.find(*number).0.is_some()).collect()
    }

    #[test]
    fn the_last_few_that_were_asked_stay_open() {
        let (dir, looked_back) = (tempfile::tempdir().unwrap(), LookedBack::default());
        let all = snapshots(dir.path());
        assert!(looked_back.keep(&all[0], 0) && looked_back.keep(&all[1], 0));
        assert!(looked_back.find(1).0.is_some(), "asked again, it is not the next to go");
        assert!(looked_back.keep(&all[2], 0));
        assert_eq!(open(&looked_back), [1, 3]);
    }

    #[test]
    fn what_was_opened_before_all_were_forgotten_is_not_kept() {
        let (dir, looked_back) = (tempfile::tempdir().unwrap(), LookedBack::default());
        let all = snapshots(dir.path());
        assert!(looked_back.keep(&all[0], 0));
        let (_, before) = looked_back.find(2);
        looked_back.forget();
        assert!(open(&looked_back).is_empty());
        assert!(!looked_back.keep(&all[1], before));
        let (_, now) = looked_back.find(2);
        assert!(looked_back.keep(&all[1], now));
        assert_eq!(open(&looked_back), [2]);
    }
}

//! Generations as things one can hold: go back to one, keep it, delete it, compare two.
//!
//! Going back takes over what the documents are now: what was deleted since stays deleted, and no document answers with a
//! text it no longer has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::cell::Cell;
use super::desk::Desk;
use super::faults::Place;
use super::index::IndexMsg;
use super::refusal::DeskError;
use super::sync::compare;
use super::trial;
use super::work::{Shared, Writer, blocking, desk_error};
use crate::domain::{Checks, DocumentId};
use crate::engine::BuildError;
use crate::index::{DocumentEntry, GenerationInfo, GenerationWriter, IndexError, Snapshot};
use crate::store::StoredDocument;

/// A generation that serves again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Activated {
    /// The one that serves now.
    pub generation: u64,
    /// The one that served before.
    pub previous: Option<u64>,
    /// Documents of it that were deleted since and stay so.
    pub documents_removed: u64,
    /// Documents taken over from the generation that served before, since they came or changed after this one.
    pub documents_carried: u64,
    /// Documents that must be read and embedded again, since this generation is made with other settings; they answer as
    /// soon as that is done.
    pub documents_pending: u64,
}

/// What two generations have apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GenerationDiff {
    /// The generation compared.
    pub from: u64,
    /// The one it is compared with.
    pub to: u64,
    /// Documents in `to` alone.
    pub added: Vec<DocumentId>,
    /// Documents in `from` alone.
    pub removed: Vec<DocumentId>,
    /// Documents of other bytes, names, attributes or chunks.
    pub changed: Vec<DocumentId>,
    /// Documents alike in both.
    pub unchanged: u64,
    /// Chunks whose text is in `to` alone.
    pub chunks_added: u64,
    /// Chunks whose text is in `from` alone.
    pub chunks_removed: u64,
}

/// A generation on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// What it is.
    pub info: GenerationInfo,
    /// Whether questions are answered from it.
    pub serves: bool,
    /// Whether it is kept whatever else is pruned.
    pub pinned: bool,
    /// Whether it failed its checks and never served.
    pub held: bool,
    /// What was checked of it before it was to serve.
    pub checks: Option<Checks>,
}

/// A generation that failed its checks and waits for somebody's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldBack {
    /// Its number.
    pub number: u64,
    /// Whether it is made as the settings want.
    pub fits: bool,
}

impl Desk {
    /// Generations that are newer than the serving one and held back, newest first.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn held_back(&self) -> Result<Vec<HeldBack>, DeskError> {
        let (generations, settings) = (self.cell.generations.clone(), self.settings());
        let (engine, serving) = (self.shared.engine.clone(), self.generations_serving().unwrap_or(0));
        let listed = blocking(move || {
            let held = generations.held()?;
            if held.range(serving + 1..).next().is_none() {
                return Ok(Vec::new());
            }
            let waits = |info: &GenerationInfo| info.number > serving && held.contains(&info.number);
            let fits = |info: &GenerationInfo| engine.outdated(&settings, &info.spec).is_empty();
            let listed = generations.list()?.into_iter().filter(waits);
            Ok(listed.map(|info| HeldBack { number: info.number, fits: fits(&info) }).collect())
        });
        listed.await.map_err(desk_error)
    }

    /// The generation that answers now.
    #[must_use]
    pub fn generations_serving(&self) -> Option<u64> {
        self.cell.snapshot().map(|snapshot| snapshot.generation())
    }

    /// Generations on disk, newest first.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn generations(&self) -> Result<Vec<Held>, DeskError> {
        let (generations, serving) = (self.cell.generations.clone(), self.cell.snapshot());
        let cell = Arc::clone(&self.cell);
        let serving = serving.map(|snapshot| snapshot.generation());
        let listed = blocking(move || {
            let (pinned, held) = (generations.pinned()?, generations.held()?);
            let shown = |info: GenerationInfo| {
                Ok(Held {
                    serves: serving == Some(info.number),
                    pinned: pinned.contains(&info.number),
                    held: held.contains(&info.number),
                    checks: trial::checks_of(&cell, info.number)?,
                    info,
                })
            };
            generations.list()?.into_iter().map(shown).collect()
        });
        listed.await.map_err(desk_error)
    }

    /// Makes an older generation serve again, with the documents as they are now; one that was held back only by `force`.
    ///
    /// # Errors
    /// [`DeskError::NotFound`], [`DeskError::GenerationHeld`], [`DeskError::GenerationServes`], [`DeskError::GenerationDamaged`], or the disk's refusal; then
    /// what served goes on serving.
    pub async fn activate(&self, number: u64, force: bool) -> Result<Activated, DeskError> {
        self.call(|reply| IndexMsg::Activate(number, force, reply)).await?
    }

    /// Keeps a generation from being pruned, or lets it go again.
    ///
    /// # Errors
    /// [`DeskError::NotFound`], or the disk's refusal.
    pub async fn pin(&self, number: u64, pinned: bool) -> Result<(), DeskError> {
        let generations = self.cell.generations.clone();
        let held = blocking(move || Ok(generations.pin(number, pinned)?)).await.map_err(desk_error)?;
        if held { Ok(()) } else { Err(DeskError::NotFound("generation")) }
    }

    /// Deletes a generation that does not serve.
    ///
    /// # Errors
    /// [`DeskError::NotFound`], [`DeskError::GenerationServes`], or the disk's refusal.
    pub async fn delete_generation(&self, number: u64) -> Result<(), DeskError> {
        // Held so that it is not activated meanwhile.
        let slot = Arc::clone(&self.cell.writer).lock_owned().await;
        if self.cell.snapshot().is_some_and(|snapshot| snapshot.generation() == number) {
            return Err(DeskError::GenerationServes(number));
        }
        let generations = self.cell.generations.clone();
        let deleted = blocking(move || {
            let deleted = generations.delete(number)?;
            drop(slot);
            Ok(deleted)
        });
        let deleted = deleted.await.map_err(desk_error)?;
        self.cell.forget_looked_back();
        if deleted { Ok(()) } else { Err(DeskError::NotFound("generation")) }
    }

    /// What generation `to` has apart from `from`.
    ///
    /// # Errors
    /// [`DeskError::NotFound`], or the disk's refusal.
    pub async fn diff(&self, from: u64, to: u64) -> Result<GenerationDiff, DeskError> {
        diff(Arc::clone(&self.cell), from, to).await
    }
}

/// How many documents of a generation stayed, went, or were taken over.
#[derive(Default)]
struct Taken {
    removed: u64,
    carried: u64,
}

/// Makes generation `number` serve again; returns documents that must be read again.
pub(super) async fn activate(
    cell: Arc<Cell>,
    shared: Shared,
    number: u64,
    force: bool,
) -> Result<(Activated, Vec<DocumentId>), DeskError> {
    let slot = Arc::clone(&cell.writer).lock_owned().await;
    let previous = cell.snapshot().map(|snapshot| snapshot.generation());
    if previous == Some(number) {
        return Err(DeskError::GenerationServes(number));
    }
    let held = Arc::clone(&cell);
    let held = blocking(move || Ok(held.generations.held()?.contains(&number))).await.map_err(desk_error)?;
    if held && !force {
        return Err(DeskError::GenerationHeld(number));
    }
    shared.faults.pass(&cell.id, Place::BeforePublish).await;
    let kept = Arc::clone(&cell);
    let taken = blocking(move || put_back(&kept, slot, number)).await.map_err(|error| match error {
        BuildError::Index(IndexError::Damaged { .. }) => DeskError::GenerationDamaged(number),
        other => desk_error(other),
    })?;
    let taken = taken.ok_or(DeskError::NotFound("generation"))?;
    let changed = compare(&cell, &shared).await.map_err(desk_error)?;
    let activated = Activated {
        generation: number,
        previous,
        documents_removed: taken.removed,
        documents_carried: taken.carried,
        documents_pending: changed.len() as u64,
    };
    Ok((activated, changed))
}

/// Opens, brings level and publishes generation `number`; `None` when there is none. A damaged one is moved aside.
fn put_back(cell: &Cell, mut slot: Writer, number: u64) -> Result<Option<Taken>, BuildError> {
    if !cell.generations.holds(number)? {
        return Ok(None);
    }
    let mut open = match cell.generations.open(number) {
        Err(damaged @ IndexError::Damaged { .. }) => {
            cell.generations.quarantine(number)?;
            return Err(damaged.into());
        }
        other => other?,
    };
    let taken = bring_level(cell, &mut open)?;
    cell.publish(cell.generations.publish(&mut open)?);
    *slot = Some(open);
    Ok(Some(taken))
}

/// Takes out what is gone or has another text by now, and carries over what the serving generation has instead.
fn bring_level(cell: &Cell, open: &mut GenerationWriter) -> Result<Taken, BuildError> {
    let stored: BTreeMap<DocumentId, StoredDocument> =
        cell.documents.list()?.into_iter().map(|stored| (stored.id.clone(), stored)).collect();
    let serving = cell.snapshot();
    let old = open.snapshot();
    let mut taken = Taken::default();
    let of_old: Vec<Arc<DocumentEntry>> = old.documents().collect();
    for entry in of_old {
        let now = stored.get(&entry.id);
        let current = serving.as_ref().and_then(|serving| serving.document(&entry.id));
        if !now.is_some_and(|now| is_same(&entry, now, current.as_deref())) {
            open.remove(&entry.id)?;
            taken.removed += u64::from(now.is_none());
        }
    }
    let Some(serving) = serving.filter(|serving| serving.spec() == old.spec()) else { return Ok(taken) };
    for id in stored.keys() {
        let Some(current) = serving.document(id) else { continue };
        if old.document(id).is_some_and(|entry| alike(&entry, &current)) {
            continue;
        }
        if let Some(document) = serving.export(id)? {
            open.upsert(document)?;
            taken.carried += 1;
        }
    }
    Ok(taken)
}

/// Whether the document still is what `entry` says: as the serving generation has it, or by the bytes of the upload.
fn is_same(entry: &DocumentEntry, now: &StoredDocument, current: Option<&DocumentEntry>) -> bool {
    match current {
        Some(current) => alike(entry, current),
        None => now.content_hash == Some(entry.content_hash),
    }
}

fn alike(one: &DocumentEntry, other: &DocumentEntry) -> bool {
    one.content_hash == other.content_hash && one.name == other.name && one.attributes == other.attributes
}

/// Compares generation `from` with `to`, which may be the serving one; `None` when one of them is not there.
pub(super) async fn diff(cell: Arc<Cell>, from: u64, to: u64) -> Result<GenerationDiff, DeskError> {
    let compared = blocking(move || {
        let (Some(old), Some(new)) = (look(&cell, from)?, look(&cell, to)?) else { return Ok(None) };
        Ok(Some(compared(&old, &new)?))
    });
    compared.await.map_err(desk_error)?.ok_or(DeskError::NotFound("generation"))
}

/// A generation to read, opened if it does not serve.
fn look(cell: &Cell, number: u64) -> Result<Option<Arc<Snapshot>>, BuildError> {
    if let Some(serving) = cell.snapshot().filter(|serving| serving.generation() == number) {
        return Ok(Some(serving));
    }
    if !cell.generations.holds(number)? {
        return Ok(None);
    }
    Ok(Some(Arc::new(cell.generations.open(number)?.snapshot())))
}

fn compared(old: &Snapshot, new: &Snapshot) -> Result<GenerationDiff, BuildError> {
    let mut diff = GenerationDiff {
        from: old.generation(),
        to: new.generation(),
        added: Vec::new(),
        removed: Vec::new(),
        changed: Vec::new(),
        unchanged: 0,
        chunks_added: 0,
        chunks_removed: 0,
    };
    let ids: BTreeSet<DocumentId> = old.documents().chain(new.documents()).map(|entry| entry.id.clone()).collect();
    let cut_alike = old.spec().chunker == new.spec().chunker && old.spec().parser == new.spec().parser;
    for id in &ids {
        let (was, is) = (old.document(id), new.document(id));
        match (&was, &is) {
            (Some(was), Some(is)) if cut_alike && alike(was, is) => {
                diff.unchanged += 1;
                continue;
            }
            (Some(_), Some(_)) => diff.changed.push(id.clone()),
            (None, _) => diff.added.push(id.clone()),
            (_, None) => diff.removed.push(id.clone()),
        }
        let (before, after) = (texts(old, id)?, texts(new, id)?);
        diff.chunks_added += after.difference(&before).count() as u64;
        diff.chunks_removed += before.difference(&after).count() as u64;
    }
    Ok(diff)
}

/// The texts of a document's chunks.
fn texts(snapshot: &Snapshot, id: &DocumentId) -> Result<BTreeSet<String>, BuildError> {
    let document = snapshot.export(id)?;
    Ok(document.into_iter().flat_map(|document| document.chunks).map(|chunk| chunk.text).collect())
}

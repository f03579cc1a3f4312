//! Documents, index and ledger held against each other: what came, changed, moved or went without anybody saying so.
//!
//! Called when an index is opened or an older generation is activated, and for each scan of a folder that stirred.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cell::Cell;
use super::erase::{note_removals, take_out};
use super::open::hash_of;
use super::records;
use super::work::{COMMIT, Shared, Writer, blocking, end_cancelled};
use crate::domain::{ContentHash, DocumentId, DocumentState, JobId, JobProblem};
use crate::engine::BuildError;
use crate::index::{IndexError, Snapshot};
use crate::ledger::DocumentRecord;
use crate::store::{Listing, Origin, PassedOver, StoreError, StoredDocument};
use crate::telemetry;

/// How long a file must have neither grown nor been written to before it is read: long enough for a copy that stutters.
pub(super) const STILL: Duration = Duration::from_secs(1);

/// How long a document that is gone goes on answering, at most, while a file that may be the same is being written.
const HELD: Duration = Duration::from_secs(3);

/// What was seen changing, and since when it looks as it does.
#[derive(Default)]
pub(super) struct Sightings {
    files: HashMap<DocumentId, Sighting>,
    gone: HashMap<DocumentId, Instant>,
}

struct Sighting {
    bytes: u64,
    modified_ns: i128,
    since: Instant,
}

impl Sightings {
    /// Notes a changed file; whether it has stood still for [`STILL`]. The clock is this machine's own, since a file's
    /// may be another machine's.
    fn stands(&mut self, document: &StoredDocument, earlier: &Self) -> bool {
        let same = |seen: &&Sighting| seen.bytes == document.bytes && seen.modified_ns == document.modified_ns;
        let since = earlier.files.get(&document.id).filter(same).map_or_else(Instant::now, |seen| seen.since);
        if since.elapsed() >= STILL {
            return true;
        }
        let seen = Sighting { bytes: document.bytes, modified_ns: document.modified_ns, since };
        self.files.insert(document.id.clone(), seen);
        false
    }

    /// Whether every file has stood still for long enough.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether a document of so many bytes that is gone may only have moved to where a file still is being written.
    fn may_hold(&mut self, id: &DocumentId, bytes: u64, earlier: &Self) -> bool {
        let since = earlier.gone.get(id).copied().unwrap_or_else(Instant::now);
        let held = since.elapsed() < HELD && self.files.values().any(|seen| seen.bytes == bytes);
        if held {
            self.gone.insert(id.clone(), since);
        }
        held
    }
}

/// What a comparison found out, in force but for the documents to read.
#[derive(Default)]
pub(super) struct Compared {
    /// Documents to read, each with a record that says so.
    pub changed: Vec<DocumentId>,
    /// Documents that only have another name now, with the chunks they kept.
    pub moved: Vec<(DocumentId, u32)>,
}

/// Compares everything: forgets and removes what is gone, takes over what moved, returns what must be indexed.
pub(super) async fn compare(cell: &Arc<Cell>, shared: &Shared) -> Result<Vec<DocumentId>, BuildError> {
    Ok(run(cell, shared, None).await?.changed)
}

/// As [`compare`], for a tenant at work: uploads announce themselves, files that are being written are left for later,
/// and bytes that failed are not tried again.
pub(super) async fn rescan(
    cell: &Arc<Cell>,
    shared: &Shared,
    earlier: Sightings,
) -> Result<(Compared, Sightings), BuildError> {
    let mut sightings = Sightings::default();
    let compared = run(cell, shared, Some((earlier, &mut sightings))).await?;
    Ok((compared, sightings))
}

async fn run(
    cell: &Arc<Cell>,
    shared: &Shared,
    scan: Option<(Sightings, &mut Sightings)>,
) -> Result<Compared, BuildError> {
    let Some(snapshot) = cell.snapshot() else { return Ok(Compared::default()) };
    let records = shared.ledger.all_documents(&cell.id).await?;
    let records = records.into_iter().map(|record| (record.status.id.clone(), record)).collect();
    let by = if scan.is_some() { "folder" } else { "boot" };
    let (earlier, now) = scan.unzip();
    let serving = Arc::clone(&snapshot);
    let mut look =
        Look { cell: Arc::clone(cell), snapshot, records, earlier, now: Sightings::default(), found: Found::default() };
    let (found, seen) = blocking(move || {
        look.at_all()?;
        Ok((look.found, look.now))
    })
    .await?;
    if let Some(now) = now {
        *now = seen;
    }
    found.take_effect(cell, shared, &serving, by).await
}

/// A look at a tenant's documents.
struct Look {
    cell: Arc<Cell>,
    snapshot: Arc<Snapshot>,
    records: HashMap<DocumentId, DocumentRecord>,
    /// What an earlier scan saw changed; `None` when everything is compared.
    earlier: Option<Sightings>,
    now: Sightings,
    found: Found,
}

/// What a look found.
#[derive(Default)]
struct Found {
    /// In the store, and not as it is in the index.
    fresh: Vec<Fresh>,
    /// In the index, and no longer in the store.
    gone: BTreeSet<DocumentId>,
    /// Gone documents whose bytes stand under another name, and that one.
    moved: Vec<(DocumentId, Fresh)>,
    /// In the ledger alone.
    forgotten: Vec<DocumentId>,
    /// Records that do not say what is.
    notes: Vec<DocumentRecord>,
}

#[derive(Clone)]
struct Fresh {
    stored: StoredDocument,
    hash: ContentHash,
    job: Option<JobId>,
}

impl Look {
    fn at_all(&mut self) -> Result<(), BuildError> {
        let Listing { documents: stored, passed_over } = self.cell.documents.listing()?;
        let told = passed_over.iter().map(|one| &one.id);
        let there: BTreeSet<&DocumentId> = stored.iter().map(|document| &document.id).chain(told).collect();
        let gone = self.snapshot.documents().map(|entry| entry.id.clone()).filter(|id| !there.contains(id));
        self.found.gone = gone.collect();
        self.found.forgotten = self.records.keys().filter(|id| !there.contains(id)).cloned().collect();
        for document in &stored {
            // An upload under way announces itself; a scan would only be in its way.
            if self.earlier.is_none() || document.origin == Origin::Folder {
                self.at(document)?;
            }
        }
        for one in passed_over {
            self.pass_over(one);
        }
        self.pair();
        self.hold();
        Ok(())
    }

    /// Tells, once, of what the folder holds that is no document.
    fn pass_over(&mut self, PassedOver { id, why }: PassedOver) {
        let message = format!("it is passed over, since {why}");
        let known = self.records.get(&id).and_then(|record| record.status.problem.as_ref());
        if known.is_some_and(|known| known.message == message) {
            return;
        }
        tracing::warn!(tenant.id = %self.cell.id, document.id = %id, why, "a file in the folder of {} is passed over", self.cell.id);
        self.cell.note_error(&format!("{id}: {message}"));
        self.found.notes.push(records::passed_over(id, JobProblem::new("passed_over", message)));
    }

    /// Lets what may have moved answer until that is known, or its vectors would be made anew.
    fn hold(&mut self) {
        let Some(earlier) = &self.earlier else { return };
        let bytes = |id: &DocumentId| self.snapshot.document(id).map_or(0, |entry| entry.bytes);
        let held: Vec<DocumentId> =
            self.found.gone.iter().filter(|id| self.now.may_hold(id, bytes(id), earlier)).cloned().collect();
        self.found.gone.retain(|id| !held.contains(id));
        self.found.forgotten.retain(|id| !held.contains(id));
    }

    fn at(&mut self, document: &StoredDocument) -> Result<(), BuildError> {
        let record = self.records.get(&document.id);
        let same_file =
            |known: &DocumentRecord| known.modified_ns == document.modified_ns && known.status.bytes == document.bytes;
        if let Some(earlier) = &self.earlier
            && !record.is_some_and(same_file)
            && !self.now.stands(document, earlier)
        {
            return Ok(());
        }
        let hash = match hash_of(&self.cell, document, record) {
            Ok(Some(hash)) => hash,
            Ok(None) => return Ok(()),
            // One file that cannot be read fails alone.
            Err(BuildError::Store(
                error @ (StoreError::Io { .. } | StoreError::Denied { .. } | StoreError::TooLarge { .. }),
            )) => {
                if !record.is_some_and(|known| same_file(known) && known.status.state == DocumentState::Failed) {
                    self.fail(document, &error);
                }
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let entry = self.snapshot.document(&document.id).filter(|entry| {
            entry.content_hash == hash && entry.name == document.name && entry.attributes == document.attributes
        });
        let job = record.and_then(|known| known.status.job_id);
        match (entry, record) {
            (Some(_), Some(known)) if is_live(known) && same_file(known) => {}
            (Some(entry), _) => self.found.notes.push(records::live(document, &entry, job)),
            (None, Some(known)) if self.is_settled(known, hash) => {
                // Written to without a change: noted, or each scan would wonder again.
                if known.status.state == DocumentState::Failed && !same_file(known) {
                    self.found.notes.push(DocumentRecord { modified_ns: document.modified_ns, ..known.clone() });
                }
            }
            (None, _) => self.found.fresh.push(Fresh { stored: document.clone(), hash, job }),
        }
        Ok(())
    }

    fn fail(&mut self, document: &StoredDocument, error: &StoreError) {
        let code = if matches!(error, StoreError::TooLarge { .. }) { "too_large" } else { "storage_failed" };
        telemetry::documents_failed(code);
        self.cell.note_error(&format!("{}: {error}", document.id));
        let record = records::queued(document, ContentHash::of(&[]), None);
        self.found.notes.push(records::failed(record, JobProblem::new(code, error.to_string())));
    }

    /// Whether nothing is to be done for these bytes: they failed for good, or, in a scan, failed or wait already.
    fn is_settled(&self, known: &DocumentRecord, hash: ContentHash) -> bool {
        let waits_or_failed =
            matches!(known.status.state, DocumentState::Queued | DocumentState::Working | DocumentState::Failed);
        records::fails_for_good(known, hash)
            || (self.earlier.is_some() && waits_or_failed && known.status.content_hash == hash)
    }

    /// Finds what only has another name now: gone under one, fresh under another, with the same bytes.
    fn pair(&mut self) {
        let mut left: HashMap<ContentHash, Vec<DocumentId>> = HashMap::new();
        for id in &self.found.gone {
            if let Some(entry) = self.snapshot.document(id) {
                left.entry(entry.content_hash).or_default().push(id.clone());
            }
        }
        for fresh in std::mem::take(&mut self.found.fresh) {
            let twins = left.get_mut(&fresh.hash);
            let twin = twins.and_then(|twins| {
                let at = twins.iter().position(|id| ending(id) == ending(&fresh.stored.id))?;
                Some(twins.swap_remove(at))
            });
            match twin {
                Some(twin) => {
                    self.found.gone.remove(&twin);
                    self.found.moved.push((twin, fresh));
                }
                None => self.found.fresh.push(fresh),
            }
        }
    }
}

impl Found {
    /// Makes the index and the ledger say what was found. What moved is taken over before anything is taken out, since
    /// its vectors are needed.
    async fn take_effect(
        mut self,
        cell: &Arc<Cell>,
        shared: &Shared,
        before: &Snapshot,
        by: &str,
    ) -> Result<Compared, BuildError> {
        let mut compared = Compared::default();
        while !self.moved.is_empty() {
            let group = self.moved.split_off(self.moved.len().saturating_sub(COMMIT));
            let (writer, kept) = (Arc::clone(&cell.writer).lock_owned().await, Arc::clone(cell));
            let (records, fresh) = blocking(move || take_over(&kept, writer, group)).await?;
            compared.moved.extend(records.iter().map(|record| (record.status.id.clone(), record.status.chunks)));
            self.notes.extend(records);
            self.fresh.extend(fresh);
        }
        if !self.gone.is_empty() {
            let (writer, kept, gone) = (Arc::clone(&cell.writer).lock_owned().await, Arc::clone(cell), self.gone);
            let taken = blocking(move || take_out(&kept, writer, &still_gone(&kept, gone)?)).await?;
            note_removals(cell, shared, taken, before, by).await?;
        }
        for Fresh { stored, hash, job } in self.fresh {
            self.notes.push(records::queued(&stored, hash, job));
            compared.changed.push(stored.id);
        }
        // Before its old name is forgotten, so that a list shows what moved under both rather than under none.
        shared.ledger.save_documents(&cell.id, self.notes).await?;
        forget_gone(cell, shared, self.forgotten).await?;
        Ok(compared)
    }
}

/// Forgets those of `ids` that are gone. No upload comes to its end meanwhile, or its record would be forgotten too.
pub(super) async fn forget_gone(cell: &Arc<Cell>, shared: &Shared, ids: Vec<DocumentId>) -> Result<(), BuildError> {
    let _no_upload = cell.open.write().await;
    let kept = Arc::clone(cell);
    let gone = blocking(move || still_gone(&kept, ids)).await?;
    for id in &gone {
        stop_work(cell, shared, id).await?;
    }
    Ok(shared.ledger.forget_documents(&cell.id, gone).await?)
}

/// Stops the work on a document that is gone, and ends the jobs that waited for it.
pub(super) async fn stop_work(cell: &Cell, shared: &Shared, id: &DocumentId) -> Result<(), BuildError> {
    cell.stop_building(id);
    end_cancelled(cell, shared, cell.queue.remove(id)).await
}

/// Those of `ids` that the store does not have at this moment: one may have been uploaded again meanwhile.
fn still_gone(cell: &Cell, ids: impl IntoIterator<Item = DocumentId>) -> Result<Vec<DocumentId>, BuildError> {
    let mut gone = Vec::new();
    for id in ids {
        if cell.documents.find(&id)?.is_none() {
            gone.push(id);
        }
    }
    Ok(gone)
}

/// Puts documents under their new names, text and vectors as they are, and takes them out under the old ones, in one
/// commit: no reader finds both or neither. Returns their records, and those that must be read after all.
fn take_over(
    cell: &Cell,
    mut writer: Writer,
    moved: Vec<(DocumentId, Fresh)>,
) -> Result<(Vec<DocumentRecord>, Vec<Fresh>), BuildError> {
    let Some(open) = writer.as_mut() else { return Ok((Vec::new(), moved.into_iter().map(|(_, to)| to).collect())) };
    let (serving, mut records, mut fresh) = (open.snapshot(), Vec::new(), Vec::new());
    for (from, to) in moved {
        let now = cell.documents.find(&to.stored.id)?;
        let stands = now.is_some_and(|now| now.modified_ns == to.stored.modified_ns && now.bytes == to.stored.bytes);
        let same = serving.document(&from).is_some_and(|entry| entry.content_hash == to.hash);
        let document = if stands && same { serving.export(&from)? } else { None };
        let Some(mut document) = document else {
            fresh.push(to);
            continue;
        };
        document.entry.id = to.stored.id.clone();
        document.entry.name.clone_from(&to.stored.name);
        document.entry.attributes.clone_from(&to.stored.attributes);
        let record = records::live(&to.stored, &document.entry, to.job);
        match open.upsert(document) {
            Ok(()) => records.push(record),
            Err(IndexError::Refused { .. }) => fresh.push(to),
            Err(error) => return Err(error.into()),
        }
        if cell.documents.find(&from)?.is_none() {
            open.remove(&from)?;
        }
    }
    cell.publish(open.commit()?);
    Ok((records, fresh))
}

fn is_live(known: &DocumentRecord) -> bool {
    known.status.chunks > 0 && known.status.state != DocumentState::Failed
}

/// The reader may go by a name's ending where content cannot tell, so only those of one ending are alike.
fn ending(id: &DocumentId) -> Option<String> {
    Path::new(id.as_str()).extension().map(|ending| ending.to_string_lossy().to_lowercase())
}

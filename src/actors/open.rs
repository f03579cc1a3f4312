//! Opening a tenant's index: what is on disk answers first, then it is compared with the documents there are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::cell::Cell;
use super::directory::Health;
use super::faults::Place;
use super::first;
use super::sync::compare;
use super::work::{Shared, blocking, finish};
use crate::domain::{ContentHash, DocumentId, Job, JobId, JobKind, JobProblem, JobState};
use crate::engine::BuildError;
use crate::index::{GenerationWriter, IndexError};
use crate::ledger::DocumentRecord;
use crate::store::StoredDocument;

/// What opening found.
pub(super) struct Opened {
    /// Documents to bring into the index, with the jobs that wait for them.
    pub changed: Vec<(DocumentId, Vec<JobId>)>,
    /// A build that must come first.
    pub build: Option<Box<Job>>,
}

/// Opens what is on disk, lets it answer, then compares it with the documents there are.
pub(super) async fn open(cell: Arc<Cell>, shared: Shared) -> Result<Opened, BuildError> {
    let reason = open_generation(&cell).await?;
    if let Some(snapshot) = cell.snapshot() {
        tracing::info!(tenant.id = %cell.id, index.generation = snapshot.generation(), "opened the index of {}", cell.id);
    }
    let unfinished = shared.ledger.unfinished_jobs(&cell.id).await?;
    let mut waiting: HashMap<DocumentId, Vec<JobId>> = HashMap::new();
    let mut builds = Vec::new();
    for job in unfinished {
        match (&job.document_id, job.kind) {
            (Some(id), JobKind::Ingest) => waiting.entry(id.clone()).or_default().push(job.id),
            (_, JobKind::Reindex) => builds.push(job),
            // The tenant is there, so it came to its end.
            (_, JobKind::Restore) => {
                let mut job = Job { generation: cell.snapshot().map(|snapshot| snapshot.generation()), ..job };
                job.counts.documents_done = job.counts.documents_total;
                finish(&mut job, JobState::Done, None);
                shared.ledger.save_job(&cell.id, job).await?;
            }
            _ => {
                let why = JobProblem::new("interrupted", "Carrel stopped in the middle of it: ask for it again");
                let mut job = job;
                finish(&mut job, JobState::Failed, Some(why));
                shared.ledger.save_job(&cell.id, job).await?;
            }
        }
    }
    // A rebuild that a dead process left unfinished is taken up again; only the newest, since one build serves all.
    let build = builds.pop();
    for job in builds {
        let mut job = job;
        finish(&mut job, JobState::Cancelled, None);
        shared.ledger.save_job(&cell.id, job).await?;
    }
    shared.faults.pass(&cell.id, Place::Opening).await;
    let queued = || Job::queued(JobKind::Reindex, None, reason.unwrap_or("boot"));
    if !cell.is_whole() {
        // The first build finds out by itself what is missing.
        let jobs = waiting.into_iter().collect();
        return Ok(Opened { changed: jobs, build: Some(Box::new(build.unwrap_or_else(queued))) });
    }
    let build = if reason == Some("damage") { Some(build.unwrap_or_else(queued)) } else { build };
    cell.set_health(Health::Ready);
    let mut changed = compare(&cell, &shared).await?;
    // A job whose document needs nothing more ends with the next round, which finds it done.
    changed.extend(waiting.keys().filter(|id| !changed.contains(*id)).cloned().collect::<Vec<_>>());
    let changed = changed.into_iter().map(|id| (id.clone(), waiting.remove(&id).unwrap_or_default())).collect();
    Ok(Opened { changed, build: build.map(Box::new) })
}

/// Opens the serving generation, falling back to an older one where it is damaged; returns why a build must follow.
async fn open_generation(cell: &Arc<Cell>) -> Result<Option<&'static str>, BuildError> {
    let writer = Arc::clone(&cell.writer).lock_owned().await;
    let kept = Arc::clone(cell);
    blocking(move || {
        let mut writer = writer;
        if let Some(open) = writer.as_ref() {
            // An earlier actor opened it; what it published still stands.
            kept.publish(open.snapshot());
            return Ok(None);
        }
        kept.documents.sweep()?;
        kept.generations.sweep()?;
        match kept.generations.open_current() {
            Ok(None) => Ok(Some("boot")),
            Ok(Some(open)) => {
                if first::is_unfinished(&kept, open.snapshot().generation())? {
                    kept.first.store(Some(Arc::default()));
                }
                kept.metrics.succeeded(open.snapshot().info().made_at);
                kept.publish(open.snapshot());
                *writer = Some(open);
                Ok(None)
            }
            Err(IndexError::Damaged { generation, file, reason }) => {
                tracing::error!(tenant.id = %kept.id, index.generation = generation, file, reason, "generation {generation} of {} is damaged, building a new one from the documents", kept.id);
                kept.note_error(&format!("generation {generation} is damaged ({file}: {reason}); a new one is built from the documents"));
                kept.generations.quarantine(generation)?;
                if let Some(open) = fall_back(&kept)? {
                    kept.publish(open.snapshot());
                    *writer = Some(open);
                }
                Ok(Some("damage"))
            }
            Err(error) => Err(error.into()),
        }
    })
    .await
}

/// The newest whole generation that is left, without the documents that were deleted or replaced since.
fn fall_back(cell: &Cell) -> Result<Option<GenerationWriter>, BuildError> {
    // One that failed its checks never serves by itself.
    let held = cell.generations.held()?;
    for info in cell.generations.list()?.into_iter().filter(|info| !held.contains(&info.number)) {
        let Ok(mut open) = cell.generations.open(info.number) else {
            cell.generations.quarantine(info.number)?;
            continue;
        };
        let there = cell.documents.list()?.into_iter().map(|stored| (stored.id.clone(), stored));
        let there: BTreeMap<DocumentId, StoredDocument> = there.collect();
        let built = open.snapshot();
        for entry in built.documents() {
            // What cannot be read now is read again before it answers.
            let hash = there.get(&entry.id).and_then(|stored| hash_of(cell, stored, None).ok().flatten());
            if hash != Some(entry.content_hash) {
                open.remove(&entry.id)?;
            }
        }
        open.commit()?;
        cell.generations.publish(&mut open)?;
        return Ok(Some(open));
    }
    Ok(None)
}

/// A document's hash: known for uploads, remembered while size and time stand, else read. `None` when it just went.
pub(super) fn hash_of(
    cell: &Cell,
    document: &StoredDocument,
    record: Option<&DocumentRecord>,
) -> Result<Option<ContentHash>, BuildError> {
    if let Some(hash) = document.content_hash {
        return Ok(Some(hash));
    }
    let same =
        |record: &&DocumentRecord| record.status.bytes == document.bytes && record.modified_ns == document.modified_ns;
    if let Some(record) = record.filter(same) {
        return Ok(Some(record.status.content_hash));
    }
    Ok(cell.documents.read(&document.id)?.map(|(_, bytes)| ContentHash::of(&bytes)))
}

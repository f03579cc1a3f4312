//! Deleting documents, and purging what deleted documents left on disk.
//!
//! A deleted document is gone from every generation when its delete returns. What is left of it, in files that no question
//! reads, goes with a purge.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::cell::Cell;
use super::desk::{Desk, JobTicket, Removed};
use super::refusal::DeskError;
use super::sync::{forget_gone, stop_work};
use super::work::{Shared, Writer, begin, blocking, desk_error, finish, save_jobs};
use crate::domain::{DocumentId, Job, JobCounts, JobKind, JobProblem, JobState, Receipt, Removal, StageName};
use crate::engine::BuildError;
use crate::index::{GenerationWriter, Snapshot};

/// How long a purge waits for questions that still read what it wrote anew.
const READERS: Duration = Duration::from_secs(10);
/// How often it looks.
const LOOKED_EVERY: Duration = Duration::from_millis(100);

impl Desk {
    /// Writes anew what still holds deleted text, in every generation and in the ledger.
    ///
    /// # Errors
    /// When the ledger refuses, or one is under way.
    pub async fn purge(&self, by: &str) -> Result<JobTicket, DeskError> {
        let Ok(alone) = Arc::clone(&self.cell.purging).try_lock_owned() else { return Err(DeskError::Busy) };
        let mut job = Job::queued(JobKind::Purge, None, by);
        begin(&mut job);
        job.stage = Some(StageName::Index);
        self.shared.ledger.save_job(self.tenant(), job.clone()).await?;
        let (cell, shared, job_id) = (Arc::clone(&self.cell), self.shared.clone(), job.id);
        tokio::spawn(async move {
            let outcome = purge(&cell, &shared).await;
            end(&mut job, outcome);
            if let Err(error) = shared.ledger.save_job(&cell.id, job).await {
                tracing::error!(tenant.id = %cell.id, error = %error, "the end of a purge could not be written down");
            }
            drop(alone);
        });
        Ok(JobTicket { job_id, joined: false })
    }
}

fn end(job: &mut Job, outcome: Result<Receipt, BuildError>) {
    match outcome {
        Ok(receipt) => {
            let problem = (!receipt.unpurged.is_empty()).then(|| {
                JobProblem::new("purge_incomplete", "a build or a question still reads what was deleted: purge again")
            });
            job.receipt = Some(receipt);
            finish(job, if problem.is_some() { JobState::DoneWithWarnings } else { JobState::Done }, problem);
        }
        Err(error) => finish(job, JobState::Failed, Some(JobProblem::new(error.code(), error.to_string()))),
    }
}

async fn purge(cell: &Arc<Cell>, shared: &Shared) -> Result<Receipt, BuildError> {
    let unfinished = shared.ledger.unfinished_jobs(&cell.id).await?;
    let running = unfinished.iter().any(|job| job.kind == JobKind::Reindex && job.state == JobState::Running);
    let mut receipt = Receipt::default();
    if let Some(number) = cell.building() {
        receipt.unpurged.push(number);
    } else if running {
        // It has not begun to write, but may read what an earlier one left.
        receipt.unpurged.extend(cell.generations.partial_number()?);
    } else {
        let kept = Arc::clone(cell);
        blocking(move || Ok(kept.generations.drop_partial()?)).await?;
    }
    cell.forget_looked_back();
    receipt.unpurged.extend(purge_kept(cell).await?);
    receipt.unpurged.extend(purge_serving(cell).await?);
    shared.ledger.scrub().await?;
    Ok(receipt)
}

/// Purges what serves; returns its number if something still reads what was written anew.
async fn purge_serving(cell: &Arc<Cell>) -> Result<Option<u64>, BuildError> {
    let (slot, kept) = (Arc::clone(&cell.writer).lock_owned().await, Arc::clone(cell));
    blocking(move || {
        let mut slot = slot;
        if let Some(open) = slot.as_mut() {
            kept.publish(open.purge()?);
        }
        Ok(())
    })
    .await?;
    let begun = tokio::time::Instant::now();
    loop {
        let slot = Arc::clone(&cell.writer).lock_owned().await;
        let left = blocking(move || {
            let mut slot = slot;
            let Some(open) = slot.as_mut() else { return Ok(None) };
            Ok((open.sweep()? > 0).then(|| open.snapshot().generation()))
        });
        match left.await? {
            Some(_) if begun.elapsed() < READERS => tokio::time::sleep(LOOKED_EVERY).await,
            left => return Ok(left),
        }
    }
}

/// Purges the generations that are kept beside the one that serves; returns those that something still reads.
async fn purge_kept(cell: &Arc<Cell>) -> Result<Vec<u64>, BuildError> {
    let (slot, kept) = (Arc::clone(&cell.writer).lock_owned().await, Arc::clone(cell));
    blocking(move || {
        let mut left = Vec::new();
        for mut open in others(&kept, &slot)? {
            drop(open.purge()?);
            if open.sweep()? > 0 {
                left.push(open.snapshot().generation());
            }
        }
        Ok(left)
    })
    .await
}

/// The generations kept beside the one that serves, open for changes. One that cannot be opened is moved aside, whatever
/// the reason: nobody could take out of it what is to be deleted.
fn others(cell: &Cell, slot: &Writer) -> Result<Vec<GenerationWriter>, BuildError> {
    let serving = slot.as_ref().map(|open| open.snapshot().generation());
    let mut found = Vec::new();
    for info in cell.generations.list()? {
        if Some(info.number) == serving {
            continue;
        }
        match cell.generations.open(info.number) {
            Ok(open) => found.push(open),
            Err(error) => set_aside(cell, info.number, &error)?,
        }
    }
    Ok(found)
}

fn set_aside(cell: &Cell, number: u64, why: &dyn std::error::Error) -> Result<(), BuildError> {
    tracing::warn!(tenant.id = %cell.id, index.generation = number, error = %why, "generation {number} of {} is moved aside, since nothing could be deleted from it", cell.id);
    Ok(cell.generations.quarantine(number)?)
}

/// What a removal took of each document, generation by generation, the one that serves first.
pub(super) type Taken = BTreeMap<DocumentId, Vec<Removal>>;

/// Takes documents out of every generation: first out of the one that serves, so that no question finds them a moment
/// longer than need be.
pub(super) fn take_out(cell: &Cell, mut slot: Writer, ids: &[DocumentId]) -> Result<Taken, BuildError> {
    let mut taken = Taken::new();
    if let Some(open) = slot.as_mut()
        && take_from(open, ids, &mut taken)?
    {
        cell.publish(open.snapshot());
    }
    for mut open in others(cell, &slot)? {
        let number = open.snapshot().generation();
        if let Err(error) = take_from(&mut open, ids, &mut taken) {
            set_aside(cell, number, &error)?;
        }
    }
    cell.forget_looked_back();
    Ok(taken)
}

fn take_from(open: &mut GenerationWriter, ids: &[DocumentId], taken: &mut Taken) -> Result<bool, BuildError> {
    let before = open.snapshot();
    let mut removed = Vec::new();
    for id in ids {
        if open.remove(id)? {
            let chunks = before.document(id).map_or(0, |entry| entry.chunks.into());
            removed.push((id, Removal { generation: before.generation(), chunks }));
        }
    }
    if removed.is_empty() {
        return Ok(false);
    }
    open.commit()?;
    for (id, removal) in removed {
        taken.entry(id.clone()).or_default().push(removal);
    }
    Ok(true)
}

/// Writes down what was taken out because its file was gone: for each document a job with its receipt.
pub(super) async fn note_removals(
    cell: &Cell,
    shared: &Shared,
    taken: Taken,
    before: &Snapshot,
    by: &str,
) -> Result<(), BuildError> {
    if taken.is_empty() {
        return Ok(());
    }
    let backups = shared.ledger.count_deeds(&cell.id, "tenant.backup").await?;
    let jobs = taken.into_iter().map(|(id, removals)| {
        let bytes = before.document(&id).map_or(0, |entry| entry.bytes);
        let mut job = Job::queued(JobKind::Delete, Some(id), by);
        begin(&mut job);
        end_delete(&mut job, receipt(removals, bytes, backups), before.generation());
        job
    });
    save_jobs(cell, shared, jobs.collect()).await
}

fn receipt(generations: Vec<Removal>, stored_bytes: u64, backups: u64) -> Receipt {
    let unpurged = generations.iter().map(|removal| removal.generation).collect();
    Receipt { stored_bytes, generations, unpurged, backups }
}

/// Ends a delete; `serving` is the generation that answered when it was done.
fn end_delete(job: &mut Job, receipt: Receipt, serving: u64) {
    let answered = receipt.generations.iter().find(|removal| removal.generation == serving);
    job.generation = answered.map(|removal| removal.generation);
    let chunks = answered.map_or(0, |removal| removal.chunks);
    let counts = JobCounts { documents_total: 1, documents_done: 1, ..JobCounts::default() };
    job.counts = JobCounts { bytes: receipt.stored_bytes, chunks, ..counts };
    job.receipt = Some(receipt);
    finish(job, JobState::Done, None);
}

/// Deletes a document: from disk first, so that nothing can bring it back, then from every generation. A job of its own
/// keeps the receipt.
pub(super) async fn remove(cell: Arc<Cell>, shared: Shared, id: DocumentId, by: String) -> Result<Removed, DeskError> {
    let mut job = Job::queued(JobKind::Delete, Some(id.clone()), &by);
    begin(&mut job);
    let (kept, wanted) = (Arc::clone(&cell), id.clone());
    let stored = blocking(move || {
        let found = kept.documents.find(&wanted)?;
        kept.documents.remove(&wanted)?;
        Ok(found)
    })
    .await
    .map_err(desk_error)?;
    // From here on an older generation is opened without it; one that is open already may still hold it.
    cell.forget_looked_back();
    stop_work(&cell, &shared, &id).await.map_err(desk_error)?;
    let slot = Arc::clone(&cell.writer).lock_owned().await;
    let (kept, gone) = (Arc::clone(&cell), vec![id.clone()]);
    let taken = blocking(move || take_out(&kept, slot, &gone)).await;
    let mut taken = taken.map_err(|error| DeskError::DeleteUnfinished(error.public().message))?;
    forget_gone(&cell, &shared, vec![id.clone()]).await.map_err(desk_error)?;
    let removals = taken.remove(&id).unwrap_or_default();
    if stored.is_none() && removals.is_empty() {
        return Err(DeskError::NotFound("document"));
    }
    let bytes = stored.map_or(0, |stored| stored.bytes);
    let backups = shared.ledger.count_deeds(&cell.id, "tenant.backup").await?;
    let receipt = receipt(removals, bytes, backups);
    let serving = cell.snapshot().map_or(0, |snapshot| snapshot.generation());
    end_delete(&mut job, receipt.clone(), serving);
    let (job_id, generation, chunks) = (job.id, job.generation, job.counts.chunks);
    shared.ledger.save_job(&cell.id, job).await?;
    Ok(Removed { document_id: id, chunks, bytes, generation, job_id, receipt })
}

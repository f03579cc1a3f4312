//! Builds: a new generation beside the serving one, checked and swapped in.
//!
//! Until the swap nobody sees anything of it; a build that fails, panics or is killed leaves a folder that the next boot
//! sweeps away, and what served goes on serving.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use super::cell::Cell;
use super::faults::Place;
use super::open::hash_of;
use super::records;
use super::work::{Shared, begin, blocking, finish, note_failure};
use crate::domain::{ContentHash, DocumentId, Job, JobProblem, JobState, StageName};
use crate::engine::{Build, BuildError, PrepareError, Prepared};
use crate::index::{GenerationWriter, Snapshot};
use crate::store::StoredDocument;
use crate::telemetry;

/// How often a running job's counts are written down.
const NOTED_EVERY: Duration = Duration::from_millis(250);
/// Documents handed to the writer together at most.
const BATCH: usize = 64;

/// Builds a generation for `job` and swaps it in; returns documents that changed meanwhile and are to be looked at again.
///
/// # Errors
/// When no generation came of it; the job says why.
pub(super) async fn build(cell: Arc<Cell>, shared: Shared, mut job: Job) -> Result<Vec<DocumentId>, BuildError> {
    let builds = Arc::clone(&shared.builds);
    let _permit = builds.acquire_owned().await.map_err(|closed| BuildError::Died(closed.to_string()))?;
    begin(&mut job);
    tracing::info!(tenant.id = %cell.id, job.id = %job.id, attempt = job.attempts, "building the index of {}", cell.id);
    shared.ledger.save_job(&cell.id, job.clone()).await?;
    let begun = Instant::now();
    // Caught here, since only here the job is at hand that must say so.
    let outcome = AssertUnwindSafe(run(&cell, &shared, &mut job)).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|panic| Err(BuildError::Died(said(&*panic))));
    match &outcome {
        Ok(_) => {
            let failed = job.counts.documents_failed;
            let problem = (failed > 0).then(|| {
                JobProblem::new("documents_failed", format!("{failed} documents could not be indexed; each says why"))
            });
            finish(&mut job, if failed > 0 { JobState::DoneWithWarnings } else { JobState::Done }, problem);
            cell.metrics.built(begun.elapsed());
            tracing::info!(
                tenant.id = %cell.id, index.generation = job.generation, duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
                documents = job.counts.documents_done, texts_embedded = job.counts.texts_embedded, "built the index of {}", cell.id
            );
        }
        Err(error) => finish(&mut job, JobState::Failed, Some(JobProblem::new(error.code(), error.to_string()))),
    }
    shared.ledger.save_job(&cell.id, job).await?;
    outcome
}

/// A panic's own words.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked").to_owned()
}

async fn run(cell: &Arc<Cell>, shared: &Shared, job: &mut Job) -> Result<Vec<DocumentId>, BuildError> {
    let settings = cell.settings.load_full();
    let spec = shared.engine.spec(&settings).await?;
    let donor = cell.snapshot().map(|snapshot| snapshot.as_ref().clone());
    let stored = listed(cell, shared).await?;
    job.counts.documents_total = stored.len() as u64;
    let (generations, reason) = (cell.generations.clone(), job.requested_by.clone());
    let wanted = spec.clone();
    let mut writer = blocking(move || Ok(generations.begin(&wanted, &reason)?)).await?;
    let build = Build { documents: cell.documents.clone(), spec, settings: settings.as_ref().clone(), donor };
    let ids = stored.into_iter().map(|document| document.id).collect();
    let mut pipeline = shared.engine.prepare(build, ids)?;
    let mut written = BTreeMap::new();
    let mut noted = Instant::now();
    job.stage = Some(StageName::Embed);
    loop {
        shared.faults.pass(&cell.id, Place::DuringBuild).await;
        let steps = pipeline.next(BATCH).await;
        if steps.is_empty() {
            break;
        }
        let mut ready = Vec::new();
        for (id, step) in steps {
            match step {
                Ok(prepared) => ready.push(prepared),
                Err(PrepareError::Gone) => {}
                Err(error) => give_up_or_note(cell, shared, job, &id, error).await?,
            }
        }
        job.counts.documents_read = pipeline.read();
        for prepared in &ready {
            count(job, prepared);
        }
        let done;
        (writer, done) = put_all(writer, ready).await?;
        written.extend(done.iter().map(|stored| (stored.id.clone(), stored.clone())));
        if noted.elapsed() > NOTED_EVERY {
            noted = Instant::now();
            shared.ledger.save_job(&cell.id, job.clone()).await?;
        }
    }
    drop(pipeline);
    job.stage = Some(StageName::Publish);
    shared.ledger.save_job(&cell.id, job.clone()).await?;
    swap(cell, shared, job, writer, written).await
}

/// Lists the documents and sees to it that each has a record.
async fn listed(cell: &Arc<Cell>, shared: &Shared) -> Result<Vec<StoredDocument>, BuildError> {
    let records = shared.ledger.all_documents(&cell.id).await?;
    let records: BTreeMap<DocumentId, _> =
        records.into_iter().map(|record| (record.status.id.clone(), record)).collect();
    let kept = Arc::clone(cell);
    let (stored, notes, gone) = blocking(move || {
        let stored = kept.documents.list()?;
        let there: BTreeSet<&DocumentId> = stored.iter().map(|document| &document.id).collect();
        let gone = records.keys().filter(|id| !there.contains(id)).cloned().collect();
        let mut notes = Vec::new();
        for document in &stored {
            let record = records.get(&document.id);
            if record.is_none_or(|record| {
                record.modified_ns != document.modified_ns || record.status.bytes != document.bytes
            }) {
                let hash = hash_of(&kept, document, None)?.unwrap_or_else(|| ContentHash::of(&[]));
                notes.push(records::queued(document, hash, record.and_then(|record| record.status.job_id)));
            }
        }
        Ok((stored, notes, gone))
    })
    .await?;
    shared.ledger.save_documents(&cell.id, notes).await?;
    shared.ledger.forget_documents(&cell.id, gone).await?;
    Ok(stored)
}

/// A document that cannot be read fails alone; an embedder or disk that fails would fail them all, so the build ends.
async fn give_up_or_note(
    cell: &Cell,
    shared: &Shared,
    job: &mut Job,
    id: &DocumentId,
    error: PrepareError,
) -> Result<(), BuildError> {
    match error {
        PrepareError::Embed(error) => Err(error.into()),
        PrepareError::Store(error) => Err(error.into()),
        PrepareError::Index(error) => Err(error.into()),
        error => {
            job.counts.documents_failed += 1;
            note_failure(cell, shared, id, &error.problem()).await
        }
    }
}

fn count(job: &mut Job, prepared: &Prepared) {
    let counts = &mut job.counts;
    counts.documents_done += 1;
    counts.documents_reused += u64::from(prepared.carried);
    counts.chunks += prepared.document.chunks.len() as u64;
    counts.texts_embedded += prepared.texts_embedded;
    counts.model_tokens += prepared.model_tokens;
}

async fn put_all(
    mut writer: GenerationWriter,
    ready: Vec<Prepared>,
) -> Result<(GenerationWriter, Vec<StoredDocument>), BuildError> {
    blocking(move || {
        let mut stored = Vec::with_capacity(ready.len());
        for prepared in ready {
            writer.upsert(prepared.document)?;
            stored.push(prepared.stored);
        }
        Ok((writer, stored))
    })
    .await
}

/// Brings the new generation level with what changed while it was built, and makes it the one that serves. All small
/// changes wait meanwhile; queries do not.
async fn swap(
    cell: &Arc<Cell>,
    shared: &Shared,
    job: &mut Job,
    mut writer: GenerationWriter,
    written: BTreeMap<DocumentId, StoredDocument>,
) -> Result<Vec<DocumentId>, BuildError> {
    let begun = Instant::now();
    // What takes long is done before anybody has to wait.
    writer = blocking(move || writer.commit().map(|_| writer).map_err(Into::into)).await?;
    shared.faults.pass(&cell.id, Place::BeforePublish).await;
    let mut slot = Arc::clone(&cell.writer).lock_owned().await;
    let (kept, keep) = (Arc::clone(cell), shared.config.builds.keep_generations);
    let (snapshot, again, records) = blocking(move || {
        let again = level(&kept, &mut writer, &written)?;
        let snapshot = kept.generations.publish(&mut writer)?;
        kept.publish(snapshot.clone());
        *slot = Some(writer);
        drop(slot);
        kept.generations.prune(keep)?;
        let records =
            written.values().filter_map(|stored| Some(records::live(stored, &*snapshot.document(&stored.id)?, None)));
        let records = records.collect::<Vec<_>>();
        Ok((snapshot, again, records))
    })
    .await?;
    job.generation = Some(snapshot.generation());
    shared.ledger.save_documents(&cell.id, records).await?;
    telemetry::job_stage(StageName::Publish, begun.elapsed());
    Ok(again)
}

/// Takes out what is gone, carries over what the serving generation has newer; returns what must be read again.
fn level(
    cell: &Cell,
    writer: &mut GenerationWriter,
    written: &BTreeMap<DocumentId, StoredDocument>,
) -> Result<Vec<DocumentId>, BuildError> {
    let now: BTreeMap<DocumentId, StoredDocument> =
        cell.documents.list()?.into_iter().map(|stored| (stored.id.clone(), stored)).collect();
    let built = writer.snapshot();
    let serving = cell.snapshot().filter(|serving| serving.spec() == built.spec());
    let mut again = Vec::new();
    for id in written.keys().filter(|id| !now.contains_key(*id)) {
        writer.remove(id)?;
    }
    let changed = now.values().filter(|stored| match written.get(&stored.id) {
        Some(was) => was.modified_ns != stored.modified_ns || was.bytes != stored.bytes,
        // One that failed stays out; one that came meanwhile is indexed already, or waits for its turn.
        None => serving.as_ref().is_some_and(|serving| serving.document(&stored.id).is_some()),
    });
    for stored in changed {
        match carried(serving.as_deref(), stored)? {
            Some(document) => writer.upsert(document)?,
            None => again.push(stored.id.clone()),
        }
    }
    Ok(again)
}

/// The document as the serving generation has it, if that is what the store has now.
fn carried(
    serving: Option<&Snapshot>,
    stored: &StoredDocument,
) -> Result<Option<crate::index::IndexedDocument>, BuildError> {
    let Some(serving) = serving else { return Ok(None) };
    let current = serving.document(&stored.id).filter(|entry| stored.content_hash == Some(entry.content_hash));
    Ok(match current {
        Some(entry) => serving.export(&entry.id)?,
        None => None,
    })
}

//! The swap: a new generation is brought level with what changed while it was built, and serves from then on, or is held
//! back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::cell::Cell;
use super::open::hash_of;
use super::rebuild::Written;
use super::records;
use super::work::{Shared, blocking};
use crate::domain::{DocumentId, Job, StageName, Timestamp};
use crate::engine::BuildError;
use crate::index::{GenerationWriter, IndexedDocument, Snapshot};
use crate::store::StoredDocument;
use crate::telemetry;

/// Brings the new generation level with what changed while it was built, and makes it the one that serves. All small
/// changes wait meanwhile; queries do not.
pub(super) async fn swap(
    cell: &Arc<Cell>,
    shared: &Shared,
    job: &mut Job,
    mut writer: GenerationWriter,
    written: Written,
) -> Result<Vec<DocumentId>, BuildError> {
    let begun = Instant::now();
    job.stage = Some(StageName::Publish);
    job.progressed_at = Some(Timestamp::now());
    shared.ledger.save_job(&cell.id, job.clone()).await?;
    let mut slot = Arc::clone(&cell.writer).lock_owned().await;
    let (kept, keep) = (Arc::clone(cell), shared.config.builds.keep_generations);
    let (snapshot, again, records) = blocking(move || {
        let again = level(&kept, &mut writer, &written)?;
        let snapshot = kept.generations.publish(&mut writer)?;
        kept.publish(snapshot.clone());
        *slot = Some(writer);
        drop(slot);
        if let Err(error) = kept.generations.prune(keep) {
            // The new one serves; what is left over goes with the next.
            tracing::warn!(tenant.id = %kept.id, error = %error, "older generations of {} could not be deleted", kept.id);
            kept.note_error(&error.to_string());
        }
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

/// Keeps a generation that failed its checks without letting it serve; what was deleted while it was built and checked
/// is not in it.
pub(super) async fn hold(
    cell: &Arc<Cell>,
    job: &mut Job,
    mut writer: GenerationWriter,
    written: Written,
) -> Result<Vec<DocumentId>, BuildError> {
    let slot = Arc::clone(&cell.writer).lock_owned().await;
    let kept = Arc::clone(cell);
    let number = writer.snapshot().generation();
    blocking(move || {
        // Until the generation is on the list of those that a delete goes through, no delete may come between.
        let _slot = slot;
        level(&kept, &mut writer, &written)?;
        Ok(kept.generations.hold(&mut writer)?)
    })
    .await?;
    job.generation = Some(number);
    tracing::warn!(tenant.id = %cell.id, index.generation = number, "generation {number} of {} failed its checks and is held back", cell.id);
    Ok(Vec::new())
}

/// Takes out what is gone or has another text by now, carries over what the serving generation has newer; returns what
/// must be read again.
fn level(cell: &Cell, writer: &mut GenerationWriter, written: &Written) -> Result<Vec<DocumentId>, BuildError> {
    let now: BTreeMap<DocumentId, StoredDocument> =
        cell.documents.list()?.into_iter().map(|stored| (stored.id.clone(), stored)).collect();
    let built = writer.snapshot();
    let serving = cell.snapshot();
    let alike = serving.as_deref().filter(|serving| serving.spec() == built.spec());
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
        let document = alike.map(|serving| carried(cell, serving, stored)).transpose()?.flatten();
        if let Some(document) = document {
            writer.upsert(document)?;
        } else {
            // Rather unfound for a moment than found with words it no longer has.
            writer.remove(&stored.id)?;
            again.push(stored.id.clone());
        }
    }
    Ok(again)
}

/// The document as the serving generation has it, if that is what the store has now.
fn carried(cell: &Cell, serving: &Snapshot, stored: &StoredDocument) -> Result<Option<IndexedDocument>, BuildError> {
    let Some(entry) = serving.document(&stored.id) else { return Ok(None) };
    let same = entry.name == stored.name && entry.attributes == stored.attributes;
    // One that cannot be read now is looked at again.
    let hash = if same { hash_of(cell, stored, None).ok().flatten() } else { None };
    if hash == Some(entry.content_hash) { Ok(serving.export(&entry.id)?) } else { Ok(None) }
}

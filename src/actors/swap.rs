//! The swap: a new generation is brought level with what changed while it was built, and serves from then on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::cell::Cell;
use super::rebuild::Written;
use super::records;
use super::work::{Shared, blocking};
use crate::domain::{DocumentId, Job, StageName, Timestamp};
use crate::engine::BuildError;
use crate::index::{GenerationWriter, Snapshot};
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
fn level(cell: &Cell, writer: &mut GenerationWriter, written: &Written) -> Result<Vec<DocumentId>, BuildError> {
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

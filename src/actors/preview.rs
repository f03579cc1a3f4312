//! What a rebuild would do, before it is asked for.

#![expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]

use std::collections::BTreeSet;
use std::sync::Arc;

use super::desk::Desk;
use super::rebuild;
use super::refusal::DeskError;
use super::work::{blocking, desk_error};
use crate::domain::{DocumentId, Job, JobKind, JobState};
use crate::engine::{Build, Forecast};
use crate::ledger::Page;

/// Jobs looked at for the pace of an earlier build.
const LOOKED_AT: usize = 100;
/// Texts that a build must have embedded to tell a pace.
const TELLING: u64 = 32;

impl Desk {
    /// Works out what a rebuild would do now: reads and cuts every document that would not be taken over, embeds nothing but
    /// a few texts of the built-in embedder to learn its pace, and changes nothing. Waits for its turn among the forecasts of
    /// all tenants, never among builds.
    ///
    /// # Errors
    /// [`DeskError::Busy`] while one of this tenant is under way; when the embedder's provider does not say what its vectors
    /// look like, or the disk refuses.
    pub async fn forecast(&self, fresh: bool) -> Result<Forecast, DeskError> {
        let Ok(_alone) = Arc::clone(&self.cell.forecasting).try_lock_owned() else { return Err(DeskError::Busy) };
        let turn = Arc::clone(&self.shared.forecasts).acquire_owned().await;
        let _turn = turn.map_err(|_| DeskError::Unresponsive)?;
        let settings = self.settings();
        let spec = self.shared.engine.spec(&settings).await?;
        let donors =
            if fresh { Vec::new() } else { rebuild::donors(&self.cell, false, true).await.map_err(desk_error)? };
        let cell = Arc::clone(&self.cell);
        let listed = blocking(move || Ok(cell.documents.list()?)).await.map_err(desk_error)?;
        let ids: Vec<DocumentId> = listed.into_iter().map(|document| document.id).collect();
        let there: BTreeSet<DocumentId> = ids.iter().cloned().collect();
        let build = Build {
            documents: self.cell.documents.clone(),
            spec,
            donors: Arc::new(move || donors.clone()),
            patience: None,
        };
        let (pace, serving) = (self.pace().await?, self.cell.snapshot());
        let mut forecast = self.shared.engine.forecast(build, ids, pace, serving.as_deref(), &settings).await?;
        let known =
            serving.iter().flat_map(|serving| serving.documents().map(|entry| entry.id.clone()).collect::<Vec<_>>());
        forecast.removed = known.filter(|id| !there.contains(id)).collect();
        Ok(forecast)
    }

    /// Texts a second that the last build which embedded many made.
    async fn pace(&self) -> Result<Option<f64>, DeskError> {
        let page = Page { limit: LOOKED_AT, after: None, before: None, descending: true };
        let jobs = self.shared.ledger.jobs(self.tenant(), page, Some(JobState::Done), Some(JobKind::Reindex)).await?;
        let telling = |job: &Job| job.counts.texts_embedded >= TELLING;
        let job = jobs.entries.into_iter().find(telling);
        Ok(job.and_then(|job| {
            let took = job.finished_at?.as_millis() - job.started_at?.as_millis();
            Some(job.counts.texts_embedded as f64 * 1000.0 / took.max(1) as f64)
        }))
    }
}

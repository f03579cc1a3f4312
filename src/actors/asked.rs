//! A question whose evidence was found, and whose answer is told as it is written.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Sender;

use super::DeskError;
use crate::config::TenantSettings;
use crate::engine::{Engine, Found, Told};
use crate::index::Snapshot;
use crate::telemetry::{QueryOutcome, TenantMetrics};

/// Holds its place among the tenant's questions until it is told or dropped.
pub struct Asked {
    pub(super) engine: Engine,
    pub(super) metrics: TenantMetrics,
    pub(super) settings: Arc<TenantSettings>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) found: Found,
    pub(super) _permit: OwnedSemaphorePermit,
}

impl Asked {
    /// What was found.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// Writes the answer, and tells its words as they come. Dropping the future ends everything, the model's work
    /// included.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn tell(self, listener: Sender<String>) -> Result<Told, DeskError> {
        let Self { engine, metrics, settings, snapshot, found, _permit } = self;
        let told = engine.tell(&snapshot, found, &settings.answer, &metrics, &listener).await;
        told.inspect_err(|_| metrics.query(QueryOutcome::Error)).map_err(Into::into)
    }
}

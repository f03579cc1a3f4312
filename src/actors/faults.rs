//! Named places where tests make an actor fail.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::TenantId;

/// How often what pauses asks whether it still is to.
const PAUSE: Duration = Duration::from_millis(5);

/// Where something can be made to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// While an actor starts.
    Spawn,
    /// At every message.
    Handle,
    /// After an index is open, before it is compared with the documents.
    Opening,
    /// While a round of changes is under way.
    DuringRound,
    /// While a build is under way.
    DuringBuild,
    /// After a build is whole, before it is published.
    BeforePublish,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A panic.
    Panic,
    /// Never going on.
    Hang,
    /// Not going on for as long as it is wanted.
    Pause,
}

/// Decides which faults happen; none, outside tests.
#[derive(Clone, Default)]
pub struct Faults(Option<Arc<Decide>>);

type Decide = dyn Fn(&TenantId, Place) -> Option<Fault> + Send + Sync;

impl Faults {
    /// Faults as `decide` says, asked each time a place is passed.
    pub fn new(decide: impl Fn(&TenantId, Place) -> Option<Fault> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(decide)))
    }

    /// Passes a place.
    ///
    /// # Panics
    /// When a test wants it.
    pub(super) async fn pass(&self, tenant: &TenantId, place: Place) {
        let Some(decide) = &self.0 else { return };
        loop {
            match decide(tenant, place) {
                None => return,
                Some(Fault::Panic) => std::panic::panic_any(format!("a test wanted a panic at {place:?}")),
                Some(Fault::Hang) => std::future::pending().await,
                Some(Fault::Pause) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

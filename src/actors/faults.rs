//! Named places where tests make an actor fail.

use std::sync::Arc;

use crate::domain::TenantId;

/// Where something can be made to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// While an actor starts.
    Spawn,
    /// At every message.
    Handle,
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
        match decide(tenant, place) {
            None => {}
            Some(Fault::Panic) => std::panic::panic_any(format!("a test wanted a panic at {place:?}")),
            Some(Fault::Hang) => std::future::pending().await,
        }
    }
}

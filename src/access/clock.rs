//! The wall clock, which tests set.

use std::sync::Arc;

use crate::domain::Timestamp;

/// Tells the time.
#[derive(Clone)]
pub(super) struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's.
    pub fn system() -> Self {
        Self(Arc::new(Timestamp::now))
    }

    /// One that shows what `time` says.
    #[cfg(test)]
    pub fn showing(time: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(time))
    }

    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

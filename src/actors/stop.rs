//! A handle that stops a build, until the build begins to publish.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio_util::sync::CancellationToken;

const OPEN: u8 = 0;
const STOPPED: u8 = 1;
const CLOSED: u8 = 2;

/// Stops a build, until it begins to publish. Clones are of the same build.
#[derive(Clone, Default)]
pub(super) struct Stop {
    state: Arc<AtomicU8>,
    token: CancellationToken,
}

impl Stop {
    /// Stops the build; false when it publishes already, or has ended.
    pub fn stop(&self) -> bool {
        let first = self.turn(STOPPED);
        if first {
            self.token.cancel();
        }
        first || self.state.load(Ordering::Acquire) == STOPPED
    }

    /// Says that from here on the build cannot be stopped; false when it was stopped before.
    pub fn close(&self) -> bool {
        self.turn(CLOSED)
    }

    /// Ends when the build is stopped.
    pub async fn stopped(&self) {
        self.token.cancelled().await;
    }

    fn turn(&self, to: u8) -> bool {
        self.state.compare_exchange(OPEN, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_build_is_stopped_or_publishes_but_never_both() {
        let stop = Stop::default();
        assert!(stop.stop());
        stop.stopped().await;
        assert!(stop.stop(), "stopping again changes nothing");
        assert!(!stop.close());
        let stop = Stop::default();
        assert!(stop.close());
        assert!(!stop.stop());
    }
}

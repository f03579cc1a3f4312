//! A tenant's doors: requests by rate, requests at once, and uploads that arrive together.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use governor::clock::{Clock, QuantaClock};
use governor::middleware::StateInformationMiddleware;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_governor::governor::{GovernorConfig, GovernorConfigBuilder};
use tower_governor::key_extractor::GlobalKeyExtractor;

use super::{Budget, DeskError, Limited};
use crate::config::LimitSettings;

/// One limiter a tenant, so the key within it is nothing: a hot tenant fills its own bucket alone.
type Bucket = GovernorConfig<GlobalKeyExtractor, StateInformationMiddleware>;

/// A tenant's doors as its file sets them; changed live.
pub(super) struct Doors(ArcSwap<Door>);

struct Door {
    limits: LimitSettings,
    queries: Bucket,
    uploads: Bucket,
    permits: Arc<Semaphore>,
}

impl Doors {
    pub(super) fn new(limits: &LimitSettings) -> Self {
        Self(ArcSwap::from_pointee(Door::new(limits)))
    }

    /// Takes new limits over. Unchanged ones keep their bucket, since a new bucket is a full one.
    pub(super) fn change(&self, limits: &LimitSettings) {
        if self.0.load().limits != *limits {
            self.0.store(Arc::new(Door::new(limits)));
        }
    }

    /// Counts one request against a budget.
    pub(super) fn count(&self, budget: Budget) -> Result<Limited, DeskError> {
        let door = self.0.load();
        let (per_minute, burst) = rate(&door.limits, budget);
        let mut limited = Limited { budget, per_minute, burst, remaining: 0, wait_ms: 0 };
        let bucket = match budget {
            Budget::Queries => &door.queries,
            Budget::Uploads => &door.uploads,
        };
        match bucket.limiter().check_key(&()) {
            Ok(state) => {
                limited.remaining = state.remaining_burst_capacity();
                Ok(limited)
            }
            Err(until) => {
                limited.wait_ms = wait(until.wait_time_from(QuantaClock::default().now()));
                Err(DeskError::RateLimited(limited))
            }
        }
    }

    /// Lets one request in while it is under way; never waits.
    pub(super) fn enter(&self) -> Result<OwnedSemaphorePermit, DeskError> {
        Arc::clone(&self.0.load().permits).try_acquire_owned().map_err(|_| DeskError::Busy)
    }
}

/// Uploads of a tenant that are coming to their end, which the ledger's sums may not know yet.
#[derive(Default)]
pub(super) struct Arriving(Mutex<(u64, u64)>);

/// One of them, until it is dropped.
pub(super) struct Arrival<'a> {
    arriving: &'a Arriving,
    bytes: u64,
}

impl Arriving {
    /// Counts an upload of `bytes`; returns how many documents and bytes arrive now, with it.
    pub(super) fn count(&self, bytes: u64) -> (Arrival<'_>, u64, u64) {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *sums = (sums.0 + 1, sums.1 + bytes);
        (Arrival { arriving: self, bytes }, sums.0, sums.1)
    }
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        let mut sums = self.arriving.0.lock().unwrap_or_else(PoisonError::into_inner);
        *sums = (sums.0 - 1, sums.1 - self.bytes);
    }
}

/// At least 1 ms: a wait of nothing would be no refusal.
fn wait(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1)
}

impl Door {
    fn new(limits: &LimitSettings) -> Self {
        Self {
            limits: limits.clone(),
            queries: bucket(rate(limits, Budget::Queries)),
            uploads: bucket(rate(limits, Budget::Uploads)),
            permits: Arc::new(Semaphore::new(limits.concurrent_queries)),
        }
    }
}

/// Requests a minute, and at once.
fn rate(limits: &LimitSettings, budget: Budget) -> (u32, u32) {
    match budget {
        Budget::Queries => (limits.queries_per_minute, limits.burst),
        Budget::Uploads => (
            limits.uploads_per_minute.unwrap_or(limits.queries_per_minute),
            limits.upload_burst.unwrap_or(limits.burst),
        ),
    }
}

fn bucket((per_minute, burst): (u32, u32)) -> Bucket {
    GovernorConfigBuilder::default()
        .period(Duration::from_mins(1) / per_minute.max(1))
        .burst_size(burst.max(1))
        .key_extractor(GlobalKeyExtractor)
        .use_headers()
        .finish()
        .expect("neither period nor burst is zero")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(burst: u32, concurrent_queries: usize) -> LimitSettings {
        LimitSettings { queries_per_minute: 1, burst, concurrent_queries, ..LimitSettings::default() }
    }

    #[test]
    fn a_burst_is_let_through_and_the_next_request_is_told_how_long_to_wait() {
        let doors = Doors::new(&limits(2, 1));
        assert_eq!(doors.count(Budget::Queries).unwrap().remaining, 1);
        assert_eq!(doors.count(Budget::Queries).unwrap().remaining, 0);
        let Err(DeskError::RateLimited(limited)) = doors.count(Budget::Queries) else { panic!("let through") };
        assert!((1..=60_000).contains(&limited.wait_ms));
    }

    #[test]
    fn uploads_and_questions_use_up_nothing_of_each_other() {
        let doors = Doors::new(&LimitSettings { uploads_per_minute: Some(1), upload_burst: Some(2), ..limits(1, 1) });
        assert_eq!(doors.count(Budget::Queries).unwrap().remaining, 0);
        assert_eq!(doors.count(Budget::Uploads).unwrap().remaining, 1);
        assert!(doors.count(Budget::Queries).is_err());
        assert_eq!(doors.count(Budget::Uploads).unwrap().remaining, 0);
        let Err(DeskError::RateLimited(limited)) = doors.count(Budget::Uploads) else { panic!("let through") };
        assert_eq!((limited.budget, limited.burst), (Budget::Uploads, 2));
    }

    #[test]
    fn changed_limits_hold_at_once_and_unchanged_ones_grant_no_fresh_burst() {
        let doors = Doors::new(&limits(1, 1));
        doors.count(Budget::Queries).unwrap();
        doors.change(&limits(1, 1));
        assert!(doors.count(Budget::Queries).is_err());
        doors.change(&limits(3, 1));
        assert_eq!(doors.count(Budget::Queries).unwrap().remaining, 2);
    }

    #[test]
    fn uploads_that_arrive_together_count_until_they_have_arrived() {
        let arriving = Arriving::default();
        let (first, documents, bytes) = arriving.count(10);
        assert_eq!((documents, bytes), (1, 10));
        let (_second, documents, bytes) = arriving.count(5);
        assert_eq!((documents, bytes), (2, 15));
        drop(first);
        let (_third, documents, bytes) = arriving.count(1);
        assert_eq!((documents, bytes), (2, 6));
    }

    #[test]
    fn requests_beyond_those_allowed_at_once_are_refused_without_waiting() {
        let doors = Doors::new(&limits(9, 1));
        let inside = doors.enter().unwrap();
        assert!(matches!(doors.enter(), Err(DeskError::Busy)));
        drop(inside);
        assert!(doors.enter().is_ok());
    }
}

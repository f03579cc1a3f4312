//! Stops calling a provider that fails, and tries it again with one call at a time.

use std::time::{Duration, Instant};

use super::RetryPolicy;

/// Whether calls go through. Closed: they do. Open: they do not, for a while. Half open: one does, and decides.
#[derive(Debug)]
pub(super) struct Breaker {
    opens_after: u32,
    first_pause: Duration,
    longest_pause: Duration,
    /// Failures since the last success.
    failures: u32,
    /// Since when it is open and for how long; `None` when closed.
    open: Option<(Instant, Duration)>,
    /// Whether the one call that decides is under way.
    probing: bool,
}

impl Breaker {
    pub(super) fn new(policy: &RetryPolicy) -> Self {
        Self {
            opens_after: policy.opens_after,
            first_pause: policy.first_pause,
            longest_pause: policy.longest_pause,
            failures: 0,
            open: None,
            probing: false,
        }
    }

    /// Lets a call through, or says how long it is until the next may try. True when the call is the one that decides.
    pub(super) fn admit(&mut self, now: Instant) -> Result<bool, Duration> {
        let Some((since, pause)) = self.open else { return Ok(false) };
        let left = (since + pause).saturating_duration_since(now);
        if self.probing || !left.is_zero() {
            return Err(left);
        }
        self.probing = true;
        Ok(true)
    }

    /// A call that was let through brought something.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.open = None;
        self.probing = false;
    }

    /// A call that was let through failed. A failed probe doubles the pause.
    pub(super) fn failed(&mut self, now: Instant, probe: bool) {
        self.failures = self.failures.saturating_add(1);
        self.open = match self.open {
            Some((_, pause)) if probe => Some((now, (pause * 2).min(self.longest_pause))),
            // A call from before it opened changes nothing.
            Some(open) => Some(open),
            None => (self.failures >= self.opens_after).then_some((now, self.first_pause)),
        };
        self.abandoned(probe);
    }

    /// A call that was let through ended without a verdict: its caller left, or what it asked was refused.
    pub(super) fn abandoned(&mut self, probe: bool) {
        self.probing &= !probe;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    fn opened() -> (Breaker, Instant) {
        let policy = RetryPolicy { opens_after: 5, first_pause: Duration::from_secs(5), ..RetryPolicy::default() };
        let (mut breaker, start) = (Breaker::new(&policy), Instant::now());
        for _ in 0..5 {
            assert_eq!(breaker.admit(start), Ok(false));
            breaker.failed(start, false);
        }
        (breaker, start)
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_a_success_between_does_not() {
        let (mut breaker, start) = opened();
        assert_eq!(breaker.admit(at(start, 1)), Err(Duration::from_secs(4)));
        breaker.succeeded();
        for _ in 0..4 {
            breaker.failed(start, false);
        }
        breaker.succeeded();
        breaker.failed(start, false);
        assert_eq!(breaker.admit(start), Ok(false));
    }

    #[test]
    fn after_the_pause_one_call_goes_through_and_decides() {
        let (mut breaker, start) = opened();
        assert_eq!(breaker.admit(at(start, 5)), Ok(true));
        assert!(breaker.admit(at(start, 5)).is_err(), "a second call beside the probe");
        breaker.succeeded();
        assert_eq!(breaker.admit(at(start, 5)), Ok(false));
        assert_eq!(breaker.admit(at(start, 5)), Ok(false));
    }

    #[test]
    fn a_failed_probe_doubles_the_pause_up_to_a_minute() {
        let (mut breaker, mut now) = opened();
        for pause in [5, 10, 20, 40, 60, 60] {
            assert!(breaker.admit(at(now, pause - 1)).is_err());
            now = at(now, pause);
            assert_eq!(breaker.admit(now), Ok(true));
            breaker.failed(now, true);
        }
    }

    #[test]
    fn a_probe_whose_caller_left_makes_room_for_another() {
        let (mut breaker, start) = opened();
        assert_eq!(breaker.admit(at(start, 5)), Ok(true));
        breaker.abandoned(false);
        assert!(breaker.admit(at(start, 5)).is_err(), "an older call took the probe's place");
        breaker.abandoned(true);
        assert_eq!(breaker.admit(at(start, 5)), Ok(true));
    }
}

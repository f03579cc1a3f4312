//! When to try again, and when to give up.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

/// How often and how soon a call is tried again, and when a provider is left alone.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    /// Attempts a call has, the first included.
    pub attempts: u32,
    /// Longest pause before the second attempt; doubles for each after it. The pause is drawn evenly from zero up to
    /// this ("full jitter", Brooker, AWS Architecture Blog 2015), so that callers refused together do not return together.
    pub first_backoff: Duration,
    /// Longest `Retry-After` that is waited for; a longer one is cut to this.
    pub longest_retry_after: Duration,
    /// Calls that fail in a row before the circuit opens.
    pub opens_after: u32,
    /// How long an open circuit waits before its first probe; doubles with each failed one.
    pub first_pause: Duration,
    /// The most that pause grows to.
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 3,
            first_backoff: Duration::from_millis(500),
            longest_retry_after: Duration::from_secs(30),
            opens_after: 5,
            first_pause: Duration::from_secs(5),
            longest_pause: Duration::from_mins(1),
        }
    }
}

impl RetryPolicy {
    /// How long to wait after attempt number `attempt` (from 1) failed; `None` to give up, because the attempts are used
    /// up or the next could not begin before the deadline, `left` from now.
    pub(super) fn pause(&self, attempt: u32, retry_after: Option<Duration>, left: Duration) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let jitter = draw(self.first_backoff * 2u32.saturating_pow(attempt - 1));
        let pause = retry_after.map_or(jitter, |asked| asked.min(self.longest_retry_after).max(jitter));
        (pause < left).then_some(pause)
    }
}

/// Reads a `Retry-After`: seconds or an HTTP date (RFC 9110, 10.2.3). Anything else is as if it was not there.
pub(super) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// A random duration from zero up to `most`.
fn draw(most: Duration) -> Duration {
    // The low half of a v4 UUID's last word is random in full.
    let random = u32::try_from(Uuid::new_v4().as_u128() & u128::from(u32::MAX)).unwrap_or(0);
    most.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_retry_after_is_read_as_seconds_or_as_a_date() {
        let now: Timestamp = "1994-11-06T08:49:30Z".parse().unwrap();
        for (value, expected) in [
            ("1", Some(SECOND)),
            (" 86400 ", Some(86_400 * SECOND)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7 * SECOND)),
            ("Sun, 06 Nov 1994 08:49:20 GMT", Some(Duration::ZERO)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(retry_after(value, now), expected, "{value}");
        }
    }

    #[test]
    fn a_retry_after_of_a_day_is_cut_and_never_waited_for_past_the_deadline() {
        let policy = RetryPolicy::default();
        let day = Some(86_400 * SECOND);
        assert_eq!(policy.pause(1, day, 20 * SECOND), None);
        assert_eq!(policy.pause(1, day, 60 * SECOND), Some(30 * SECOND));
        assert_eq!(policy.pause(1, Some(2 * SECOND), 20 * SECOND), Some(2 * SECOND));
    }

    #[test]
    fn attempts_are_few_and_pauses_drawn_from_a_doubling_range() {
        let policy = RetryPolicy { first_backoff: SECOND, attempts: 4, ..RetryPolicy::default() };
        for attempt in 1..4 {
            let pauses: Vec<_> = (0..50).filter_map(|_| policy.pause(attempt, None, 60 * SECOND)).collect();
            assert_eq!(pauses.len(), 50);
            assert!(pauses.iter().all(|pause| *pause <= SECOND * 2u32.pow(attempt - 1)));
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "no jitter");
        }
        assert_eq!(policy.pause(4, None, 60 * SECOND), None);
    }
}

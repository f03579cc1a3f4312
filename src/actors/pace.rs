//! When what is ready is committed: at once, but not so often that committing is all there is done.

use std::time::{Duration, Instant};

/// The least time between two commits, so that many small documents share one.
const LEAST: Duration = Duration::from_millis(200);
/// The longest; a commit of a large index may take as long.
const LONGEST: Duration = Duration::from_secs(5);
/// Commits take at most one part of the time in so many, since they hold the writer and make the index's state anew.
const SHARE: u32 = 3;

/// When the next commit is due. The first is due at once.
#[derive(Debug, Default)]
pub(super) struct CommitPace {
    next: Option<Instant>,
}

impl CommitPace {
    /// From when on what is ready may be committed.
    pub fn due(&self, now: Instant) -> Instant {
        self.next.unwrap_or(now)
    }

    /// Whether a commit is due now.
    pub fn is_due(&self, now: Instant) -> bool {
        self.due(now) <= now
    }

    /// Notes a commit.
    pub fn committed(&mut self, begun: Instant, ended: Instant) {
        let rest = ended.saturating_duration_since(begun) * (SHARE - 1);
        self.next = Some(ended + rest.clamp(LEAST, LONGEST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_commit_is_due_at_once_and_the_next_after_a_rest() {
        let (mut pace, now) = (CommitPace::default(), Instant::now());
        assert!(pace.is_due(now));
        pace.committed(now, now);
        assert!(!pace.is_due(now) && pace.is_due(now + LEAST));
    }

    #[test]
    fn slow_commits_are_made_less_often_but_never_put_off_for_long() {
        let (mut pace, now) = (CommitPace::default(), Instant::now());
        let ended = now + Duration::from_secs(1);
        pace.committed(now, ended);
        assert_eq!(pace.due(now), ended + Duration::from_secs(2));
        pace.committed(now, now + Duration::from_mins(1));
        assert_eq!(pace.due(now), now + Duration::from_mins(1) + LONGEST);
    }
}

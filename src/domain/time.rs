//! Points in time as they go over the wire.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A wall-clock time, written as RFC 3339 in UTC with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// The present, cut to whole milliseconds.
    #[must_use]
    pub fn now() -> Self {
        Self::from_millis(jiff::Timestamp::now().as_millisecond())
    }

    /// The moment `days` times 24 hours before the present.
    #[must_use]
    pub fn days_ago(days: u32) -> Self {
        Self::from_millis(Self::now().as_millis() - i64::from(days) * 24 * 60 * 60 * 1000)
    }

    /// Milliseconds since 1970, UTC.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0.as_millisecond()
    }

    /// The time `millis` after 1970; out of range becomes the epoch.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

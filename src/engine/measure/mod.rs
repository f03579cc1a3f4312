//! How fast this machine is: ingestion against the bare embedder, and searches of a made-up index.
//!
//! Called by `carrel measure`; touches no tenant.

mod ingestion;
mod search;

use std::time::Duration;

pub use self::ingestion::IngestionSpeed;
pub use self::search::{SearchSpeed, Spread, measure_search};

/// `count` things a second, to one digit.
fn rate(count: u64, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let rate = count as f64 / took.as_secs_f64().max(f64::MIN_POSITIVE);
    (rate * 10.0).round() / 10.0
}

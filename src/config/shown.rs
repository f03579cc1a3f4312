//! How settings are written down again: times as seconds, secrets masked.

use std::time::Duration;

use secrecy::SecretString;
use serde::Serializer;

/// What stands in place of a secret.
pub(super) const MASK: &str = "***";

/// Whole seconds as a whole number.
#[expect(clippy::cast_precision_loss, reason = "times are at most a year")]
pub(super) fn seconds<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    match time.subsec_nanos() {
        0 => to.serialize_u64(time.as_secs()),
        _ => to.serialize_f64(time.as_millis() as f64 / 1000.0),
    }
}

/// A secret that is set, as a mask.
#[expect(clippy::ref_option, reason = "the shape that serde asks for")]
pub(super) fn masked<S: Serializer>(secret: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(_) => to.serialize_str(MASK),
        None => to.serialize_none(),
    }
}

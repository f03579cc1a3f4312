//! A message on its way to an index actor, counted while it waits.

use super::cell::Cell;
use super::index::IndexMsg;
use crate::telemetry::TenantMetrics;

/// One message; it counts as waiting until it is opened, or dropped with the mailbox of an actor that died.
pub(super) struct Letter {
    message: IndexMsg,
    _waiting: Waiting,
}

struct Waiting(TenantMetrics);

impl Letter {
    pub(super) fn new(cell: &Cell, message: IndexMsg) -> Self {
        cell.metrics.letter_sent();
        Self { message, _waiting: Waiting(cell.metrics.clone()) }
    }

    pub(super) fn open(self) -> IndexMsg {
        self.message
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.letter_gone();
    }
}

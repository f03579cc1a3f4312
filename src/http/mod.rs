//! The web: API, admin pages, health and metrics.
//!
//! `axum` and status codes stop here. Handlers extract, call a [`crate::actors::Desk`], and shape the reply.

pub mod admin;
pub mod api;
pub mod auth;
pub mod codes;
pub mod context;
mod crowd;
mod envelope;
pub mod extract;
mod form_flow;
mod guard;
mod guests;
mod held;
mod idle;
pub mod limits;
pub mod openapi;
mod ops;
mod prefix;
pub mod problem;
mod problems_page;
mod router;
mod server;
mod socket;
mod strict;
mod wording;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio_util::sync::CancellationToken;

pub use self::openapi::openapi;
pub use self::router::router;
pub use self::server::{Drained, serve};
use crate::access::{Sessions, Tokens};
use crate::actors::Tenants;
use crate::config::Config;
use crate::ledger::Ledger;

/// What handlers hold; cheap to clone.
#[derive(Clone)]
pub struct HttpState {
    /// Settings.
    pub config: Arc<Config>,
    /// The directory of tenants.
    pub tenants: Tenants,
    /// Tokens.
    pub tokens: Tokens,
    /// The operator's sessions.
    pub sessions: Sessions,
    /// Audit, recent jobs.
    pub ledger: Ledger,
    /// Renders `/metrics`.
    pub metrics: metrics_exporter_prometheus::PrometheusHandle,
    /// True from SIGTERM on: `/readyz` fails so that no new work is sent here.
    pub draining: Arc<AtomicBool>,
    /// Cancelled when the time that requests under way get is nearly over: streams end in words of their own.
    pub ending: CancellationToken,
}

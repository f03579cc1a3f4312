//! Logs, and every metric's name.
//!
//! Everybody calls down into this: [`TenantMetrics`] for what belongs to one tenant, the free functions for the rest. Labels come
//! from closed sets, so that no request can make a new series. Document text, questions, answers and secrets are never
//! given to either.

mod labels;
mod logs;
mod metrics;
mod names;
mod tenant;

pub use self::logs::{LogsError, init_logs};
pub use self::metrics::{
    CallOutcome, Calls, InFlight, Invariant, actor_restarted, auth_failed, citations_dropped, documents_failed,
    embed_cache, http_in_flight, http_route, http_served, install_metrics, invariant_violated, job_stage, jobs,
    jobs_stalled, provider_called, provider_known, scrape, upkeep,
};
pub use self::tenant::{QueryOutcome, QueryStage, TenantMetrics};

//! Who lives: the supervisor, one index actor a tenant, and the directory that everybody else reads.
//!
//! `ractor` stops here. Handlers hold [`Tenants`] and get a [`Desk`], one tenant's verbs, from a verified caller.

mod desk;
mod directory;

pub use desk::{Ask, Desk, DeskError, JobTicket, Limited, Removed, Upload};
pub use directory::{Health, TenantStatus, Tenants};

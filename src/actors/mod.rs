//! Who lives: the supervisor, one index actor a tenant, and the directory that everybody else reads.
//!
//! `ractor` stops here. Handlers hold [`Tenants`] and get a [`Desk`], one tenant's verbs, from a verified caller.
//!
//! - `supervisor` knows which tenants should live and restarts their actors.
//! - `index` is a tenant's only writer: it takes microseconds a message and starts the tasks in `open`, `intake`, `scan` and
//!   `rebuild`; `first` is the build of a tenant that has none yet.
//! - `folders` hears which tenants' folders changed by hand; `sync` compares them.
//! - `lookback` opens older generations for the questions that name one.
//! - `cell` is what outlives an actor: snapshot, settings, limits, the open writer.

mod asked;
mod backup;
mod cell;
mod desk;
mod directory;
mod erase;
mod explain;
mod export;
mod faults;
mod feed;
mod first;
mod folders;
mod history;
mod index;
mod ingest_queue;
mod intake;
mod jobs;
mod letter;
mod limits;
mod lookback;
mod open;
mod pace;
mod preview;
mod rebuild;
mod records;
mod refusal;
mod removal;
mod restore;
mod scan;
mod stop;
mod supervisor;
mod swap;
mod sync;
mod trial;
mod work;

pub use asked::Asked;
pub use backup::Pieces;
pub use desk::{Ask, Budget, Desk, JobTicket, Limited, Removed, Upload};
pub use directory::{Health, Parts, Stopped, TenantStatus, Tenants};
pub use explain::Compared;
pub use export::Exported;
pub use faults::{Fault, Faults, Place};
pub use history::{Activated, GenerationDiff, Held, HeldBack};
pub use jobs::Following;
pub use refusal::DeskError;
pub use restore::Restored;

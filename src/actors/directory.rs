//! The tenants that live, as everybody but the actors sees them.

use std::time::Duration;

use super::{Desk, DeskError};
use crate::access::{Caller, Operator};
use crate::domain::{TenantId, Timestamp};

/// How a tenant fares.
#[derive(Debug, Clone, PartialEq)]
pub enum Health {
    /// Its first build is under way.
    Building {
        /// Since when.
        since: Timestamp,
    },
    /// It answers.
    Ready,
    /// It answers from its last generation while its writer is being restarted.
    Restarting {
        /// Why.
        cause: String,
    },
    /// It cannot answer; another attempt follows.
    Failed {
        /// Why.
        cause: String,
        /// When the next attempt is made.
        retry_in: Duration,
    },
    /// Its writer died too often and is left alone until an operator acts; the last generation still answers.
    Quarantined {
        /// Why.
        cause: String,
    },
}

impl Health {
    /// `building`, `ready`, `restarting`, `failed`, `quarantined`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Building { .. } => "building",
            Self::Ready => "ready",
            Self::Restarting { .. } => "restarting",
            Self::Failed { .. } => "failed",
            Self::Quarantined { .. } => "quarantined",
        }
    }
}

/// One tenant on the operator's list.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantStatus {
    /// Id.
    pub id: TenantId,
    /// Name to show.
    pub name: String,
    /// How it fares.
    pub health: Health,
    /// Whether it can answer questions now.
    pub answers: bool,
    /// Serving generation, 0 for none.
    pub generation: u64,
    /// Documents in it.
    pub documents: u64,
    /// Chunks in it.
    pub chunks: u64,
    /// Bytes of the index on disk.
    pub bytes: u64,
    /// When it was built.
    pub built_at: Option<Timestamp>,
    /// The embedder's id.
    pub embedder: String,
    /// Times its actor was restarted since boot.
    pub restarts: u64,
    /// Last errors, newest first, at most ten.
    pub errors: Vec<(Timestamp, String)>,
}

/// The directory; cheap to clone.
#[derive(Clone)]
pub struct Tenants {}

impl Tenants {
    /// The desk of the caller's own tenant, as its token says.
    ///
    /// # Errors
    /// [`DeskError::NoTenant`] when the token has none or it is not there (any more).
    pub fn desk(&self, _caller: &Caller) -> Result<Desk, DeskError> {
        todo!()
    }

    /// Any tenant's desk, for an operator.
    ///
    /// # Errors
    /// [`DeskError::NoTenant`].
    pub fn desk_for(&self, _operator: &Operator, _id: &TenantId) -> Result<Desk, DeskError> {
        todo!()
    }

    /// Every tenant, by id.
    #[must_use]
    pub fn statuses(&self, _operator: &Operator) -> Vec<TenantStatus> {
        todo!()
    }

    /// Tenants that answer, and tenants there are.
    #[must_use]
    pub fn ready(&self) -> (usize, usize) {
        todo!()
    }

    /// Adds a tenant with this file (TOML), durably, and starts it.
    ///
    /// # Errors
    /// [`DeskError::TenantExists`], [`DeskError::Settings`], or the disk's refusal.
    pub async fn add(&self, _operator: &Operator, _id: &TenantId, _toml: &str) -> Result<(), DeskError> {
        todo!()
    }

    /// Removes a tenant: its file, index, jobs, tokens and documents.
    ///
    /// # Errors
    /// [`DeskError::NoTenant`], or the disk's refusal.
    pub async fn remove(&self, _operator: &Operator, _id: &TenantId) -> Result<(), DeskError> {
        todo!()
    }

    /// Reads `tenants/` again: adds, removes and changes what differs; files that are wrong leave their tenant as it was.
    /// Returns what was wrong, one line a file.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn reload(&self, _operator: &Operator) -> Result<Vec<String>, DeskError> {
        todo!()
    }
}

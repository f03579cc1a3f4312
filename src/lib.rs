//! Carrel: a multi-tenant retrieval-augmented-generation service.
//!
//! ```text
//! cli/     ── top ──  the command line                 http/  the API, the admin pages, metrics
//! app.rs             wires everything
//! actors/            who lives: supervisor, index actors, the directory of tenants, a desk for each caller
//! engine/            build: documents → generation; ask: question → answer. Where those below meet.
//! access/            tokens, sessions, callers
//! ingest/ embed/ index/ rerank/ answer/ store/ ledger/ backup/ siblings that do not know each other
//! config/ telemetry.rs provider/ domain/        ── bottom ──
//! ```
//! Calls go down, never up or sideways.

pub mod access;
pub mod actors;
pub mod answer;
pub mod app;
pub mod backup;
pub mod cli;
pub mod config;
pub mod domain;
pub mod embed;
pub mod engine;
pub mod http;
pub mod index;
pub mod ingest;
pub mod ledger;
pub mod provider;
pub mod rerank;
pub mod store;
pub mod telemetry;

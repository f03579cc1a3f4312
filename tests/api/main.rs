//! The wiring, end to end: a whole Carrel on a free port over a private folder, spoken to by HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod admin;
mod answers;
mod availability;
mod backup;
mod change;
mod command_line;
mod crash;
mod documents;
mod embedding_behaviours;
mod everyday_answers;
mod everyday_api;
mod everyday_pages;
mod everyday_search;
mod everyday_set;
mod explain;
mod extraction;
mod folders;
mod generations;
mod harness;
mod hostile_backup;
mod injection;
mod intake;
mod jobs;
mod lifecycle;
mod lookback;
mod manual;
mod meanwhile;
mod metrics;
mod model;
mod model_behaviours;
mod passed_over;
mod process;
mod proof;
mod providers;
mod quality;
mod retrieval;
mod streaming;
mod supervision;
mod tenancy;
mod vectors;

//! The wiring, end to end: a whole Carrel on a free port over a private folder, spoken to by HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod admin;
mod answers;
mod documents;
mod extraction;
mod harness;
mod lifecycle;
mod supervision;
mod tenancy;

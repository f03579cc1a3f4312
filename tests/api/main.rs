//! The wiring, end to end: a whole Carrel on a free port over a private folder, spoken to by HTTP.

mod answers;
mod documents;
mod harness;
mod lifecycle;
mod supervision;
mod tenancy;

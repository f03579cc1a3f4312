//! Who did what: the newest entries, as a table and as CSV.

use askama::Template;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::error::AdminError;
use super::request::SignedIn;
use super::shell::{Section, Shell, page};
use super::show::{self, When};
use super::state::AdminState;
use crate::domain::Timestamp;
use crate::ledger::AuditEntry;

/// Entries on the page.
const SHOWN: usize = 200;
/// Entries in the file.
const EXPORTED: usize = 10_000;

/// The newest entries.
#[derive(Template)]
#[template(path = "admin/audit.html")]
pub struct AuditPage {
    /// What surrounds it.
    pub shell: Shell,
    /// Newest first.
    pub rows: Vec<AuditRow>,
}

/// One entry.
#[derive(Debug, Clone)]
pub struct AuditRow {
    /// When.
    pub when: When,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// The tenant; may be empty.
    pub tenant: String,
    /// To what.
    pub target: String,
    /// The request's id; may be empty.
    pub request_id: String,
}

impl AuditPage {
    /// The page of these entries.
    pub fn new(shell: Shell, entries: &[AuditEntry], now: Timestamp) -> Self {
        let row = |entry: &AuditEntry| AuditRow {
            when: When::new(entry.at, now),
            actor: show::name(&entry.actor),
            action: show::name(&entry.action),
            tenant: entry.tenant.as_ref().map(ToString::to_string).unwrap_or_default(),
            target: show::name(&entry.target),
            request_id: show::name(&entry.request_id),
        };
        Self { shell, rows: entries.iter().map(row).collect() }
    }
}

/// `GET /admin/audit`.
pub async fn log(State(state): State<AdminState>, who: SignedIn) -> Result<Response, AdminError> {
    let entries = state.http.ledger.audit_log(SHOWN, None).await?;
    page(&AuditPage::new(who.shell(Section::Audit), &entries, Timestamp::now()))
}

/// `GET /admin/audit.csv`.
pub async fn export(State(state): State<AdminState>, _who: SignedIn) -> Result<Response, AdminError> {
    let entries = state.http.ledger.audit_log(EXPORTED, None).await?;
    let head =
        [(CONTENT_TYPE, "text/csv; charset=utf-8"), (CONTENT_DISPOSITION, "attachment; filename=\"carrel-audit.csv\"")];
    Ok((head, csv(&entries)).into_response())
}

fn csv(entries: &[AuditEntry]) -> String {
    let head = "number,at,actor,action,tenant,target,request_id\r\n".to_owned();
    std::iter::once(head).chain(entries.iter().map(csv_line)).collect()
}

fn csv_line(entry: &AuditEntry) -> String {
    let tenant = entry.tenant.as_ref().map(ToString::to_string).unwrap_or_default();
    let cells = [&entry.actor, &entry.action, &tenant, &entry.target, &entry.request_id].map(|cell| csv_cell(cell));
    format!("{},{},{}\r\n", entry.number, entry.at, cells.join(","))
}

/// A quoted cell (RFC 4180) that no spreadsheet takes for a formula (CWE-1236).
fn csv_cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_never_becomes_a_formula() {
        for (cell, written) in [
            ("=1+1", "\"'=1+1\""),
            ("+49", "\"'+49\""),
            ("-x", "\"'-x\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\tx", "\"'\tx\""),
            ("\rx", "\"'\rx\""),
            ("a \"b\", c", "\"a \"\"b\"\", c\""),
            ("plain", "\"plain\""),
        ] {
            assert_eq!(csv_cell(cell), written);
        }
    }
}

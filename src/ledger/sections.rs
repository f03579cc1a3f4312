//! What the ledger knows of a tenant, as a backup takes it: named sections of rows, each row one JSON value.
//!
//! Tokens, sessions and audit are no part of it. A table that a tenant gets later becomes part of every backup by one line in
//! [`SECTIONS`].

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DocumentRecord, Ledger, LedgerError, Result, documents, golden};
use crate::domain::{DocumentStatus, Golden, TenantId};

/// One kind of rows.
struct Section {
    name: &'static str,
    /// A tenant's rows.
    read: fn(&Connection, &TenantId) -> rusqlite::Result<Vec<Value>>,
    /// Refuses, in words, a row that could not be written.
    check: fn(&Value) -> std::result::Result<(), String>,
    /// Writes rows that were checked.
    write: fn(&Connection, &TenantId, &[Value]) -> rusqlite::Result<()>,
}

/// Every section, in the order in which a backup holds them.
const SECTIONS: &[Section] = &[
    Section { name: "documents", read: read_documents, check: check_document, write: write_documents },
    Section { name: "golden", read: read_golden, check: check_golden, write: write_golden },
];

/// A section that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Its name: lower-case letters and `_`.
    pub name: String,
    /// Its rows.
    pub rows: Vec<Value>,
}

impl Ledger {
    /// Every section of a tenant, in order.
    pub async fn sections(&self, tenant: &TenantId) -> Result<Vec<Rows>> {
        let tenant = tenant.clone();
        let all = move |db: &Connection| {
            SECTIONS.iter().map(|of| Ok(Rows { name: of.name.to_owned(), rows: (of.read)(db, &tenant)? })).collect()
        };
        self.readers.read(all).await
    }

    /// Whether a backup may hold a section of this name.
    #[must_use]
    pub fn knows_section(name: &str) -> bool {
        section(name).is_some()
    }

    /// Checks a row before anything is written.
    ///
    /// # Errors
    /// In words, when the section is not known or the row cannot be understood.
    pub fn check_row(name: &str, row: &Value) -> std::result::Result<(), String> {
        (section(name).ok_or_else(|| unknown(name))?.check)(row)
    }

    /// Writes rows of one section that were checked, in one transaction: give it [`Ledger::ROWS_AT_ONCE`] at most.
    pub async fn save_rows(&self, tenant: &TenantId, name: &str, rows: Vec<Value>) -> Result<()> {
        let write = section(name).ok_or_else(|| LedgerError::Failed(unknown(name)))?.write;
        let tenant = tenant.clone();
        self.writer.write(move |db| write(db, &tenant, &rows)).await
    }
}

fn unknown(name: &str) -> String {
    format!("there is no section `{name}`")
}

fn section(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.name == name)
}

/// A document's record in a backup.
#[derive(Serialize, Deserialize)]
struct DocumentRow {
    modified_ns: String,
    status: DocumentStatus,
}

impl DocumentRow {
    fn parse(row: &Value) -> std::result::Result<DocumentRecord, String> {
        let row = Self::deserialize(row).map_err(|error| format!("a document's record: {error}"))?;
        let modified_ns = row.modified_ns.parse().map_err(|error| format!("a document's record: {error}"))?;
        Ok(DocumentRecord { status: row.status, modified_ns })
    }
}

fn read_documents(db: &Connection, tenant: &TenantId) -> rusqlite::Result<Vec<Value>> {
    let row = |record: DocumentRecord| {
        // Jobs stay behind, so none may be named.
        let status = DocumentStatus { job_id: None, ..record.status };
        let row = DocumentRow { modified_ns: record.modified_ns.to_string(), status };
        serde_json::to_value(row).map_err(|error| super::lists::damaged(0, error))
    };
    documents::all(db, tenant.as_str())?.into_iter().map(row).collect()
}

fn check_document(row: &Value) -> std::result::Result<(), String> {
    DocumentRow::parse(row).map(drop)
}

fn write_documents(db: &Connection, tenant: &TenantId, rows: &[Value]) -> rusqlite::Result<()> {
    let records: Vec<DocumentRecord> = rows.iter().filter_map(|row| DocumentRow::parse(row).ok()).collect();
    documents::save_all(db, tenant, &records)
}

fn read_golden(db: &Connection, tenant: &TenantId) -> rusqlite::Result<Vec<Value>> {
    let row = |golden: Golden| serde_json::to_value(golden).map_err(|error| super::lists::damaged(0, error));
    golden::all(db, tenant.as_str())?.into_iter().map(row).collect()
}

fn check_golden(row: &Value) -> std::result::Result<(), String> {
    let golden = Golden::deserialize(row).map_err(|error| format!("a golden question: {error}"))?;
    // The id becomes part of a page's address.
    if golden.id == Golden::id_of(&golden.question) {
        Ok(())
    } else {
        Err("a golden question: its id is not its own".into())
    }
}

fn write_golden(db: &Connection, tenant: &TenantId, rows: &[Value]) -> rusqlite::Result<()> {
    let all = rows.iter().filter_map(|row| Golden::deserialize(row).ok());
    all.into_iter().try_for_each(|one| golden::save(db, tenant.as_str(), &one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_that_is_not_known_or_a_row_that_is_none_is_refused() {
        assert!(!Ledger::knows_section("tokens") && Ledger::knows_section("golden"));
        assert!(Ledger::check_row("tokens", &Value::Null).unwrap_err().contains("`tokens`"));
        assert!(Ledger::check_row("documents", &serde_json::json!({ "id": "a" })).is_err());
    }

    #[test]
    fn a_golden_question_has_the_id_that_its_words_make() {
        let golden = Golden::new("When does it open?", Vec::new(), "ada");
        assert_eq!(Ledger::check_row("golden", &serde_json::to_value(&golden).unwrap()), Ok(()));
        let crafted = Golden { id: "../../../sign-out?".into(), ..golden };
        assert!(Ledger::check_row("golden", &serde_json::to_value(&crafted).unwrap()).is_err());
    }
}

//! What is known of documents.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{DocumentRecord, DocumentTotals, Ledger, Listed, Page, Result, lists};
use crate::domain::{DocumentId, DocumentState, DocumentStatus, TenantId};

impl Ledger {
    /// Writes records, new or changed, each thousand of them in one transaction.
    pub async fn save_documents(&self, tenant: &TenantId, records: Vec<DocumentRecord>) -> Result<()> {
        let rows = records.iter().map(RecordRow::of).collect::<Result<Vec<_>>>()?;
        for rows in rows.chunks(Ledger::ROWS_AT_ONCE) {
            let (tenant, rows) = (tenant.clone(), rows.to_vec());
            self.writer.write(move |db| save(db, &tenant, &rows)).await?;
        }
        Ok(())
    }

    /// Forgets documents, each thousand of them in one transaction.
    pub async fn forget_documents(&self, tenant: &TenantId, ids: Vec<DocumentId>) -> Result<()> {
        for ids in ids.chunks(Ledger::ROWS_AT_ONCE) {
            let (tenant, ids) = (tenant.clone(), ids.to_vec());
            self.writer.write(move |db| forget(db, &tenant, &ids)).await?;
        }
        Ok(())
    }

    /// One document.
    pub async fn document(&self, tenant: &TenantId, id: &DocumentId) -> Result<Option<DocumentRecord>> {
        let key = [tenant.to_string(), id.to_string()];
        let sql = "SELECT entry, modified_ns FROM documents WHERE tenant = ?1 AND id = ?2";
        self.readers.read(move |db| db.query_row(sql, key, record).optional()).await
    }

    /// A page of documents, of one state or all, by id.
    pub async fn documents(
        &self,
        tenant: &TenantId,
        page: Page<DocumentId>,
        state: Option<DocumentState>,
    ) -> Result<Listed<DocumentStatus>> {
        let (tenant, page, state) = (tenant.clone(), page.by_text(), state.map(name));
        self.readers.read(move |db| lists::list(db, "documents", &tenant, &[("state = ?", state)], &page)).await
    }

    /// Every record of a tenant, by id, for a scan.
    pub async fn all_documents(&self, tenant: &TenantId) -> Result<Vec<DocumentRecord>> {
        let tenant = tenant.to_string();
        self.readers.read(move |db| all(db, &tenant)).await
    }

    /// Sums.
    pub async fn document_totals(&self, tenant: &TenantId) -> Result<DocumentTotals> {
        let tenant = tenant.to_string();
        self.readers.read(move |db| totals(db, &tenant)).await
    }
}

/// A record as the table holds it.
#[derive(Clone)]
struct RecordRow {
    id: DocumentId,
    state: &'static str,
    bytes: i64,
    modified_ns: String,
    entry: Arc<str>,
}

impl RecordRow {
    fn of(record: &DocumentRecord) -> Result<Self> {
        Ok(Self {
            id: record.status.id.clone(),
            state: name(record.status.state),
            bytes: i64::try_from(record.status.bytes).unwrap_or(i64::MAX),
            modified_ns: record.modified_ns.to_string(),
            entry: serde_json::to_string(&record.status)?.into(),
        })
    }
}

/// Every record of a tenant, by id.
pub(super) fn all(db: &Connection, tenant: &str) -> rusqlite::Result<Vec<DocumentRecord>> {
    let mut statement = db.prepare("SELECT entry, modified_ns FROM documents WHERE tenant = ?1 ORDER BY id")?;
    statement.query_map([tenant], record)?.collect()
}

/// Writes records within the transaction that is under way.
pub(super) fn save_all(db: &Connection, tenant: &TenantId, records: &[DocumentRecord]) -> rusqlite::Result<()> {
    let rows = records.iter().filter_map(|record| RecordRow::of(record).ok()).collect::<Vec<_>>();
    save(db, tenant, &rows)
}

fn save(db: &Connection, tenant: &TenantId, rows: &[RecordRow]) -> rusqlite::Result<()> {
    let mut statement = db.prepare("INSERT OR REPLACE INTO documents VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for row in rows {
        statement.execute(params![
            tenant.as_str(),
            row.id.as_str(),
            row.state,
            row.bytes,
            row.modified_ns,
            &*row.entry
        ])?;
    }
    Ok(())
}

fn forget(db: &Connection, tenant: &TenantId, ids: &[DocumentId]) -> rusqlite::Result<()> {
    let mut statement = db.prepare("DELETE FROM documents WHERE tenant = ?1 AND id = ?2")?;
    for id in ids {
        statement.execute([tenant.as_str(), id.as_str()])?;
    }
    Ok(())
}

fn record(row: &Row<'_>) -> rusqlite::Result<DocumentRecord> {
    let modified_ns = row.get_ref(1)?.as_str().map_err(|error| lists::damaged(1, error))?;
    Ok(DocumentRecord {
        status: lists::entry(row, 0)?,
        modified_ns: modified_ns.parse().map_err(|error: std::num::ParseIntError| lists::damaged(1, error))?,
    })
}

fn totals(db: &Connection, tenant: &str) -> rusqlite::Result<DocumentTotals> {
    let mut statement =
        db.prepare("SELECT state, COUNT(*), SUM(bytes) FROM documents WHERE tenant = ?1 GROUP BY state")?;
    let mut rows = statement.query([tenant])?;
    let mut totals = DocumentTotals::default();
    while let Some(row) = rows.next()? {
        let (state, documents): (String, u64) = (row.get(0)?, lists::count(row, 1)?);
        totals.documents += documents;
        totals.bytes += lists::count(row, 2)?;
        match state.as_str() {
            "queued" | "working" => totals.waiting += documents,
            "live" => totals.live += documents,
            "failed" => totals.failed += documents,
            _ => {
                totals.live += documents;
                totals.warnings += documents;
            }
        }
    }
    Ok(totals)
}

/// A state as the table holds it.
fn name(state: DocumentState) -> &'static str {
    match state {
        DocumentState::Queued => "queued",
        DocumentState::Working => "working",
        DocumentState::Live => "live",
        DocumentState::Warning => "warning",
        DocumentState::Failed => "failed",
    }
}

//! Document records as the ledger keeps them, made from what the store and the index say.

use crate::domain::{Attributes, ContentHash, DocumentId, DocumentState, DocumentStatus, JobId, JobProblem, Timestamp};
use crate::index::DocumentEntry;
use crate::ledger::DocumentRecord;
use crate::store::{Origin, StoredDocument};

/// A stored document that waits to be indexed.
pub(super) fn queued(stored: &StoredDocument, content_hash: ContentHash, job_id: Option<JobId>) -> DocumentRecord {
    let status = DocumentStatus {
        id: stored.id.clone(),
        name: stored.name.clone(),
        origin: stored.origin.as_str().to_owned(),
        bytes: stored.bytes,
        content_hash,
        kind: None,
        title: None,
        state: DocumentState::Queued,
        stage: None,
        progress: None,
        chunks: 0,
        pages: None,
        problem: None,
        attributes: stored.attributes.clone(),
        job_id,
        updated_at: Timestamp::now(),
    };
    DocumentRecord { status, modified_ns: stored.modified_ns }
}

/// A document that questions find.
pub(super) fn live(stored: &StoredDocument, entry: &DocumentEntry, job_id: Option<JobId>) -> DocumentRecord {
    let mut record = queued(stored, entry.content_hash, job_id);
    let status = &mut record.status;
    status.kind = Some(entry.kind.clone());
    status.title = Some(entry.title.clone()).filter(|title| !title.is_empty());
    status.chunks = entry.chunks;
    status.pages = entry.pages;
    status.state = DocumentState::Live;
    if !entry.warnings.is_empty() {
        status.state = DocumentState::Warning;
        status.problem = Some(JobProblem::new("completed_with_warnings", entry.warnings.join("; ")));
    }
    record
}

/// A document that cannot be indexed.
pub(super) fn failed(mut record: DocumentRecord, problem: JobProblem) -> DocumentRecord {
    record.status.state = DocumentState::Failed;
    record.status.stage = None;
    record.status.problem = Some(problem);
    record.status.updated_at = Timestamp::now();
    record
}

/// Something in the folder that is no document.
pub(super) fn passed_over(id: DocumentId, problem: JobProblem) -> DocumentRecord {
    let status = DocumentStatus {
        name: id.as_str().rsplit('/').next().unwrap_or_default().to_owned(),
        id,
        origin: Origin::Folder.as_str().to_owned(),
        bytes: 0,
        content_hash: ContentHash::of(&[]),
        kind: None,
        title: None,
        state: DocumentState::Failed,
        stage: None,
        progress: None,
        chunks: 0,
        pages: None,
        problem: Some(problem),
        attributes: Attributes::new(),
        job_id: None,
        updated_at: Timestamp::now(),
    };
    DocumentRecord { status, modified_ns: 0 }
}

/// Whether trying the same bytes again would fail alike, so that a boot need not.
pub(super) fn fails_for_good(record: &DocumentRecord, hash: ContentHash) -> bool {
    const OF_THE_BYTES: [&str; 7] = [
        "cancelled",
        "empty_file",
        "unsupported_format",
        "needs_password",
        "no_text_found",
        "damaged_file",
        "too_large",
    ];
    let status = &record.status;
    status.state == DocumentState::Failed
        && status.content_hash == hash
        && status.problem.as_ref().is_some_and(|problem| OF_THE_BYTES.contains(&problem.code.as_str()))
}

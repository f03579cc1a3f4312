//! Documents.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use super::{Reason, ReceiptView, stage, word};
use crate::actors::Removed;
use crate::domain::{DocumentProgress, DocumentState, DocumentStatus, StageName, Timestamp, share};

/// How far a document is.
pub fn document_state() -> Object {
    word(&["queued", "working", "live", "warning", "failed"])
}

/// A document.
#[derive(Debug, Serialize, ToSchema)]
pub struct DocumentView {
    /// Id within the tenant.
    pub id: String,
    /// Name to show.
    pub name: String,
    /// `upload` or `folder`.
    origin: String,
    /// Size in bytes.
    pub bytes: u64,
    /// BLAKE3 of the bytes, hexadecimal.
    pub content_hash: String,
    /// Format found by content, once extracted.
    kind: Option<String>,
    /// Title found in the document, once extracted.
    title: Option<String>,
    /// How far it is.
    #[schema(schema_with = document_state)]
    pub state: DocumentState,
    /// Stage, while working.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = stage, required = false)]
    stage: Option<StageName>,
    /// How far it is, while working.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    progress: Option<ProgressView>,
    /// Chunks in the index.
    chunks: u32,
    /// Pages or slides, where the format has such.
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<u32>,
    /// Why it failed, or what was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Reason>,
    /// The caller's facts.
    #[schema(value_type = Object)]
    attributes: BTreeMap<String, Value>,
    /// The last job that touched it.
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
    /// Last change.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// How far a document is that is being worked on.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressView {
    /// Chunks it was cut into; 0 until known.
    chunks: u64,
    /// Chunks that have their vector, made or taken over.
    chunks_embedded: u64,
    /// The share of its chunks that have their vector, 0 to 1; absent until known.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<f64>,
}

impl From<DocumentProgress> for ProgressView {
    fn from(progress: DocumentProgress) -> Self {
        let DocumentProgress { chunks, chunks_embedded, .. } = progress;
        Self { chunks, chunks_embedded, share: share(chunks_embedded, chunks) }
    }
}

impl From<DocumentStatus> for DocumentView {
    fn from(document: DocumentStatus) -> Self {
        Self {
            id: document.id.into(),
            name: document.name,
            origin: document.origin,
            bytes: document.bytes,
            content_hash: document.content_hash.to_string(),
            kind: document.kind,
            title: document.title,
            state: document.state,
            stage: document.stage,
            progress: document.progress.map(Into::into),
            chunks: document.chunks,
            pages: document.pages,
            error: document.problem.map(Into::into),
            attributes: document.attributes,
            job_id: document.job_id.map(|id| id.to_string()),
            updated_at: document.updated_at,
        }
    }
}

/// What a delete removed; in force when it is returned.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemovedView {
    /// The document.
    document_id: String,
    /// Chunks that no longer answer.
    chunks: u64,
    /// Bytes that were stored.
    bytes: u64,
    /// The generation it was taken out of; none when it had not been indexed.
    generation: Option<u64>,
    /// The job that keeps the receipt.
    job_id: String,
    /// What was removed from where, and what may still hold it.
    receipt: ReceiptView,
}

impl From<Removed> for RemovedView {
    fn from(removed: Removed) -> Self {
        Self {
            document_id: removed.document_id.into(),
            chunks: removed.chunks,
            bytes: removed.bytes,
            generation: removed.generation,
            job_id: removed.job_id.to_string(),
            receipt: removed.receipt.into(),
        }
    }
}

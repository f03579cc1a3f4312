//! Document bytes: `documents/<tenant>/`, written durably, listed.
//!
//! The folder is the truth: files dropped into it by hand count as much as uploads, which stand under `uploads/` with
//! server-made names and a `.json` sidecar. Called by `actors/` and `engine/`; knows nothing of indexes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::domain::{Attributes, ContentHash, DocumentId, TenantId, Timestamp};

/// Why bytes are not stored or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full; nothing was changed.
    #[error("the disk is full: free some space and try again")]
    NoSpace,
    /// The disk refused; nothing was acknowledged.
    #[error("cannot {action} a document: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// More bytes than allowed.
    #[error("the document is larger than {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// No bytes at all.
    #[error("the document is empty")]
    Empty,
    /// The id belongs to a file of the folder.
    #[error("`{0}` is a file in the tenant's folder: change or remove it there, or upload under another id")]
    InFolder(DocumentId),
}

/// A stored document.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredDocument {
    /// Id: the caller's, or the path below `documents/<tenant>/`.
    pub id: DocumentId,
    /// Name to show.
    pub name: String,
    /// Uploaded, or found in the folder.
    pub origin: Origin,
    /// Where its bytes stand.
    pub path: PathBuf,
    /// Size in bytes.
    pub bytes: u64,
    /// Last change, nanoseconds since 1970; with the size, tells whether bytes must be hashed again.
    pub modified_ns: i128,
    /// BLAKE3 of the bytes; known at once for uploads, after reading for files of the folder.
    pub content_hash: Option<ContentHash>,
    /// The caller's facts.
    pub attributes: Attributes,
    /// When it was uploaded, or last changed.
    pub stored_at: Timestamp,
}

/// How a document came to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Through the API or a page.
    Upload,
    /// By hand, into the folder.
    Folder,
}

impl Origin {
    /// `upload` or `folder`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Folder => "folder",
        }
    }
}

/// All tenants' documents.
#[derive(Debug, Clone)]
pub struct DocumentStore {
    _root: Arc<Path>,
}

/// One tenant's documents; the only way to reach them.
#[derive(Debug, Clone)]
pub struct TenantDocuments {}

/// An upload on its way to disk; dropped unfinished, it leaves nothing.
pub struct UploadWriter {}

impl DocumentStore {
    /// The documents under `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { _root: root.into() }
    }

    /// One tenant's documents; creates its folder when it is not there.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn tenant(&self, _id: &TenantId) -> Result<TenantDocuments, StoreError> {
        todo!()
    }

    /// Deletes a tenant's folder with all in it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn destroy(&self, _id: &TenantId) -> Result<(), StoreError> {
        todo!()
    }
}

impl TenantDocuments {
    /// Removes what unfinished uploads left; called once at boot.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sweep(&self) -> Result<(), StoreError> {
        todo!()
    }

    /// Every document, by id; hidden files, symbolic links and names that are no UTF-8 are left out. Blocking.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn list(&self) -> Result<Vec<StoredDocument>, StoreError> {
        todo!()
    }

    /// One document; `None` when it is not there. Blocking.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn find(&self, _id: &DocumentId) -> Result<Option<StoredDocument>, StoreError> {
        todo!()
    }

    /// A document's bytes and their hash; `None` when it is not there. Blocking.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn read(&self, _id: &DocumentId) -> Result<Option<(StoredDocument, Bytes)>, StoreError> {
        todo!()
    }

    /// Begins an upload of at most `limit` bytes.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn begin(&self, _limit: u64) -> Result<UploadWriter, StoreError> {
        todo!()
    }

    /// Removes a document durably; false when it is not there. Blocking.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn remove(&self, _id: &DocumentId) -> Result<bool, StoreError> {
        todo!()
    }
}

impl UploadWriter {
    /// Writes a piece.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] past the limit, [`StoreError::NoSpace`] on a full disk.
    pub async fn write(&mut self, _piece: &[u8]) -> Result<(), StoreError> {
        todo!()
    }

    /// Makes the document durable under `id` in place of an earlier upload of the same id: bytes and sidecar fsynced,
    /// renamed, folder fsynced.
    ///
    /// # Errors
    /// [`StoreError::Empty`], [`StoreError::InFolder`], or the disk's refusal; then nothing has changed.
    pub async fn finish(
        self,
        _id: &DocumentId,
        _name: &str,
        _attributes: Attributes,
    ) -> Result<StoredDocument, StoreError> {
        todo!()
    }
}

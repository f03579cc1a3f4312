//! An upload on its way to disk.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::disk::{Disk, Folder};
use super::uploads::{Sidecar, staged_name};
use super::{StoreError, StoredDocument, TenantDocuments, told};
use crate::domain::{Attributes, ContentHash, DocumentId, Timestamp};

/// Pieces are gathered to this many bytes before they go to disk: small enough for many uploads at once, large enough that
/// handing them to a blocking thread costs nothing beside writing them.
const GATHERED: usize = 256 << 10;

/// An upload on its way to disk; dropped unfinished, it leaves nothing.
pub struct UploadWriter {
    documents: TenantDocuments,
    limit: u64,
    received: u64,
    gathered: Vec<u8>,
    /// `None` once a write failed or was abandoned: what is on disk is then no longer what was sent.
    body: Option<Box<StagedBody>>,
}

/// A body that is no document yet; its file goes with it.
struct StagedBody {
    disk: Arc<dyn Disk>,
    folder: Folder,
    name: String,
    file: File,
    hasher: blake3::Hasher,
}

impl StagedBody {
    fn create(documents: &TenantDocuments) -> io::Result<Self> {
        let (folder, name) = (documents.make_uploads()?, staged_name());
        let file = documents.disk.create(&folder, &name)?;
        Ok(Self { disk: Arc::clone(&documents.disk), folder, name, file, hasher: blake3::Hasher::new() })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.disk.write(&mut self.file, bytes)
    }
}

impl Drop for StagedBody {
    fn drop(&mut self) {
        // Once committed there is nothing left under this name; what cannot be removed is swept at the next boot.
        let _ = self.disk.remove(&self.folder, &self.name);
    }
}

impl UploadWriter {
    pub(super) async fn begin(documents: TenantDocuments, limit: u64) -> Result<Self, StoreError> {
        let (documents, body) = blocking(move || {
            let body = StagedBody::create(&documents).map_err(|error| told(&documents.path, error));
            let body = body.map_err(StoreError::at("store"))?;
            Ok((documents, Box::new(body)))
        })
        .await?;
        Ok(Self { documents, limit, received: 0, gathered: Vec::new(), body: Some(body) })
    }

    /// Writes a piece.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] past the limit, [`StoreError::NoSpace`] on a full disk; the upload is then lost.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        self.received = self.received.saturating_add(piece.len() as u64);
        self.fits()?;
        self.gathered.extend_from_slice(piece);
        if self.gathered.len() >= GATHERED { self.flush(false).await } else { Ok(()) }
    }

    /// Bytes written so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Makes the document durable under `id` in place of an earlier upload of the same id: bytes and sidecar fsynced,
    /// renamed, folder fsynced. Goes through to the end even when the caller stops waiting.
    ///
    /// # Errors
    /// [`StoreError::Empty`], [`StoreError::InFolder`], or the disk's refusal; then nothing has changed.
    pub async fn finish(
        mut self,
        id: &DocumentId,
        name: &str,
        attributes: Attributes,
    ) -> Result<StoredDocument, StoreError> {
        self.fits()?;
        if self.received == 0 {
            return Err(StoreError::Empty);
        }
        self.flush(true).await?;
        let body = self.body.take().ok_or_else(abandoned)?;
        let sidecar = Sidecar {
            id: id.clone(),
            name: name.to_owned(),
            attributes,
            content_hash: ContentHash::from(body.hasher.finalize()),
            bytes: self.received,
            stored_at: Timestamp::now(),
        };
        let turn = self.documents.turn.queue().await;
        let documents = self.documents;
        blocking(move || {
            let _turn = turn;
            documents.commit(&body.name, sidecar)
        })
        .await
    }

    /// Checks the limit; past it, the file goes at once.
    fn fits(&mut self) -> Result<(), StoreError> {
        if self.received <= self.limit {
            return Ok(());
        }
        self.body = None;
        Err(StoreError::TooLarge { limit: self.limit })
    }

    /// Writes what was gathered, and makes it durable when it is the last.
    async fn flush(&mut self, last: bool) -> Result<(), StoreError> {
        let mut body = self.body.take().ok_or_else(abandoned)?;
        let bytes = std::mem::take(&mut self.gathered);
        let written = blocking(move || {
            let failed = StoreError::at("write");
            body.append(&bytes).map_err(&failed)?;
            if last {
                body.disk.sync(&body.file).map_err(failed)?;
            }
            Ok(body)
        });
        self.body = Some(written.await?);
        Ok(())
    }
}

fn abandoned() -> StoreError {
    StoreError::Io { action: "go on writing", source: io::Error::other("an earlier piece was not written") }
}

/// Does blocking work where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|died| Err(StoreError::Io { action: "write", source: io::Error::other(died) }))
}

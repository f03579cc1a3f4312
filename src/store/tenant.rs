//! One tenant's documents.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::disk::{Disk, Folder};
use super::uploads::Sidecar;
use super::{PassedOver, StoreError, StoredDocument, UploadWriter, folder, opened, told, uploads};
use crate::domain::{ContentHash, DocumentId};

/// Changes to a tenant's documents come one after the other.
#[derive(Debug)]
pub(super) struct Turn {
    /// Where uploads wait, so that none of them holds one of the blocking threads that all tenants share.
    queue: Arc<Semaphore>,
    change: Mutex<()>,
}

impl Default for Turn {
    fn default() -> Self {
        Self { queue: Arc::new(Semaphore::new(1)), change: Mutex::default() }
    }
}

impl Turn {
    /// Waits until nobody else changes anything. Blocking.
    pub fn take(&self) -> MutexGuard<'_, ()> {
        // Nothing is half done in memory when a change panics: the disk is the state.
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits without a thread until no other upload is about to [`Turn::take`].
    pub async fn queue(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.queue).acquire_owned().await.ok()
    }
}

/// What a tenant's folder holds.
#[derive(Debug, Default)]
pub struct Listing {
    /// Documents, by id.
    pub documents: Vec<StoredDocument>,
    /// What is no document, by the name under which it is told.
    pub passed_over: Vec<PassedOver>,
}

/// One tenant's documents; the only way to reach them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TenantDocuments {
    pub(super) path: Arc<PathBuf>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) turn: Arc<Turn>,
}

impl TenantDocuments {
    /// The largest document that is read, in bytes: 1 GiB. Uploads have a limit of their own; this one keeps a file that was
    /// dropped into the folder from filling the memory.
    pub const MAX_READ_BYTES: u64 = 1 << 30;

    pub(super) fn new(path: PathBuf, disk: Arc<dyn Disk>, turn: Arc<Turn>) -> Self {
        Self { path: Arc::new(path), disk, turn }
    }

    /// Removes what unfinished uploads left; called once at boot, before the first upload. Blocking.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sweep(&self) -> Result<(), StoreError> {
        let _turn = self.turn.take();
        let swept = self.uploads().and_then(|uploads| match uploads {
            Some(uploads) => uploads::sweep(&*self.disk, &uploads),
            None => Ok(()),
        });
        swept.map_err(StoreError::at("sweep up after"))
    }

    /// Every document, by id; as in [`TenantDocuments::listing`]. Blocking.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn list(&self) -> Result<Vec<StoredDocument>, StoreError> {
        Ok(self.listing()?.documents)
    }

    /// Every document, by id, and what of the folder is none; hidden files are left out of both. Blocking.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn listing(&self) -> Result<Listing, StoreError> {
        self.listed().map_err(StoreError::at("list"))
    }

    /// In turn, so that a change under way hides nothing.
    fn listed(&self) -> io::Result<Listing> {
        let _turn = self.turn.take();
        let (mut documents, mut passed_over) = folder::list(&opened(&self.path)?, &self.path)?;
        if let Some(uploads) = self.uploads()? {
            documents.extend(uploads::list(&uploads, &self.path)?);
        }
        // The sort is stable and files of the folder come first, so of two with one id the file stays.
        documents.sort_by(|a, b| a.id.cmp(&b.id));
        documents.dedup_by(|later, first| later.id == first.id);
        // What is told under a name that a document has would hide it.
        passed_over.sort_by(|a, b| a.id.cmp(&b.id));
        passed_over.dedup_by(|later, first| later.id == first.id);
        passed_over.retain(|one| documents.binary_search_by(|document| document.id.cmp(&one.id)).is_err());
        Ok(Listing { documents, passed_over })
    }

    /// A number that is another when a file of the folder, uploads apart, came, went or was written to. Blocking.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn mark(&self) -> Result<u64, StoreError> {
        opened(&self.path).and_then(|root| folder::mark(&root)).map_err(StoreError::at("look at"))
    }

    /// One document; `None` when it is not there. Blocking.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn find(&self, id: &DocumentId) -> Result<Option<StoredDocument>, StoreError> {
        self.found(id).map_err(StoreError::at("find"))
    }

    fn found(&self, id: &DocumentId) -> io::Result<Option<StoredDocument>> {
        let root = opened(&self.path)?;
        match (folder::find(&root, &self.path, id)?, root.folder(uploads::FOLDER)?) {
            (None, Some(uploads)) => uploads::find(&uploads, &self.path, id),
            (file, _) => Ok(file),
        }
    }

    /// A document's bytes, and the document with their hash and number; `None` when it is not there. Blocking.
    ///
    /// # Errors
    /// When the disk refuses, the bytes of an upload are damaged, or there are more than
    /// [`TenantDocuments::MAX_READ_BYTES`].
    pub fn read(&self, id: &DocumentId) -> Result<Option<(StoredDocument, Bytes)>, StoreError> {
        let failed = StoreError::at("read");
        let Some((mut document, file)) = self.open(id).map_err(&failed)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(Self::MAX_READ_BYTES + 1).read_to_end(&mut bytes).map_err(&failed)?;
        if bytes.len() as u64 > Self::MAX_READ_BYTES {
            return Err(StoreError::TooLarge { limit: Self::MAX_READ_BYTES });
        }
        let hash = ContentHash::of(&bytes);
        if document.content_hash.is_some_and(|stored| stored != hash) {
            return Err(failed(uploads::damaged()));
        }
        document.content_hash = Some(hash);
        document.bytes = bytes.len() as u64;
        Ok(Some((document, bytes.into())))
    }

    /// Begins an upload of at most `limit` bytes.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn begin(&self, limit: u64) -> Result<UploadWriter, StoreError> {
        UploadWriter::begin(self.clone(), limit).await
    }

    /// Removes a document durably; false when it is not there. Blocking.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn remove(&self, id: &DocumentId) -> Result<bool, StoreError> {
        let _turn = self.turn.take();
        self.removed(id).map_err(|error| told(&self.path, error)).map_err(StoreError::at("remove"))
    }

    /// An upload that a file of the same id covers goes first, or it would come back in the file's place.
    fn removed(&self, id: &DocumentId) -> io::Result<bool> {
        let upload = match self.uploads()? {
            Some(uploads) => uploads::remove(&*self.disk, &uploads, id)?,
            None => false,
        };
        let file = folder::remove(&*self.disk, &opened(&self.path)?, id)?;
        Ok(upload || file)
    }

    /// Makes a staged body the upload that `sidecar` describes. Blocking.
    ///
    /// The folder is looked up anew: should the tenant have been removed and made again meanwhile, the body is not there.
    pub(super) fn commit(&self, staged: &str, sidecar: Sidecar) -> Result<StoredDocument, StoreError> {
        let failed = StoreError::at("store");
        let _turn = self.turn.take();
        let root = opened(&self.path).map_err(&failed)?;
        if folder::find(&root, &self.path, &sidecar.id).map_err(&failed)?.is_some() {
            return Err(StoreError::InFolder(sidecar.id));
        }
        let uploads = opened(&self.path.join(uploads::FOLDER)).map_err(&failed)?;
        let committed = uploads::commit(&*self.disk, &uploads, &self.path, staged, sidecar);
        committed.map_err(|error| told(&self.path, error)).map_err(failed)
    }

    /// In turn, or a body might be replaced between finding its name and opening it.
    fn open(&self, id: &DocumentId) -> io::Result<Option<(StoredDocument, File)>> {
        let _turn = self.turn.take();
        let root = opened(&self.path)?;
        match (folder::open(&root, &self.path, id)?, root.folder(uploads::FOLDER)?) {
            (None, Some(uploads)) => uploads::open(&uploads, &self.path, id),
            (file, _) => Ok(file),
        }
    }

    /// The folder of uploads; `None` before the first.
    fn uploads(&self) -> io::Result<Option<Folder>> {
        opened(&self.path)?.folder(uploads::FOLDER)
    }

    /// The folder of uploads, made when it is not there. Blocking.
    pub(super) fn make_uploads(&self) -> io::Result<Folder> {
        let root = opened(&self.path)?;
        if let Some(uploads) = root.folder(uploads::FOLDER)? {
            return Ok(uploads);
        }
        self.disk.make_folder(&root, uploads::FOLDER)?;
        self.disk.sync_folder(&root)?;
        opened(&self.path.join(uploads::FOLDER))
    }
}

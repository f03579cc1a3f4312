//! A tenant's files as a backup takes them, by hand and uploaded alike.

use std::fs::File;
use std::io;

use super::disk::Folder;
use super::{StoreError, TenantDocuments, folder, opened, uploads};
use crate::domain::DocumentId;

/// A file to copy: its path below the tenant's folder, and the file itself.
pub type OpenFile = (String, File);

/// One document to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copied {
    /// A file that was put there by hand.
    ByHand(DocumentId),
    /// An upload, by the name of its record.
    Uploaded(String),
}

impl TenantDocuments {
    /// Everything there is to copy, in order of name. Blocking.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn copies(&self) -> Result<Vec<Copied>, StoreError> {
        self.all_copies().map_err(StoreError::at("list"))
    }

    fn all_copies(&self) -> io::Result<Vec<Copied>> {
        let _turn = self.turn.take();
        let root = opened(&self.path)?;
        let mut found: Vec<Copied> =
            folder::list(&root, &self.path)?.0.into_iter().map(|document| Copied::ByHand(document.id)).collect();
        if let Some(uploads) = root.folder(uploads::FOLDER)? {
            let names = uploads.names()?.into_iter().filter(|name| uploads::is_sidecar(name));
            found.extend(names.map(Copied::Uploaded));
        }
        Ok(found)
    }

    /// Opens the files of one; none when it is gone. What is opened stays what it is, whatever happens to its name.
    /// Blocking.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn open_copy(&self, copied: &Copied) -> Result<Vec<OpenFile>, StoreError> {
        let files = match copied {
            Copied::ByHand(id) => self.open_by_hand(id),
            Copied::Uploaded(name) => self.open_upload(name),
        };
        files.map_err(StoreError::at("read"))
    }

    fn open_by_hand(&self, id: &DocumentId) -> io::Result<Vec<OpenFile>> {
        let file = folder::open(&opened(&self.path)?, &self.path, id)?;
        Ok(file.map(|(_, file)| (id.to_string(), file)).into_iter().collect())
    }

    /// In turn, so that record and body belong together.
    fn open_upload(&self, name: &str) -> io::Result<Vec<OpenFile>> {
        let _turn = self.turn.take();
        let Some(folder) = opened(&self.path)?.folder(uploads::FOLDER)? else { return Ok(Vec::new()) };
        let Some(body) = uploads::body_of(&folder, name)? else { return Ok(Vec::new()) };
        let below = |folder: &Folder, name: &str| -> io::Result<OpenFile> {
            let (file, _) = folder.file(name)?.ok_or_else(uploads::damaged)?;
            Ok((format!("{}/{name}", uploads::FOLDER), file))
        };
        Ok(vec![below(&folder, name)?, below(&folder, &body)?])
    }
}

/// Whether a path below a tenant's folder is one that [`TenantDocuments::copies`] could have given.
#[must_use]
pub fn is_stored(path: &str) -> bool {
    match path.strip_prefix(uploads::FOLDER).and_then(|name| name.strip_prefix('/')) {
        Some(name) => uploads::is_sidecar(name) || uploads::is_body(name),
        None => super::by_hand(path),
    }
}

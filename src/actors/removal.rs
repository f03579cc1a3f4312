//! Tenant files on disk: read, written durably, removed so that a crash in the middle is made good.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::domain::TenantId;
use crate::engine::BuildError;
use crate::store::{self, StoreError};

/// How the marker of a removal under way begins; a tenant's id has no dot.
pub(super) const MARKER: &str = ".removing-";

/// Every `<id>.toml` of the folder; other files are left alone. Makes the folder where it is missing.
pub(super) fn tenant_files(folder: &Path) -> io::Result<BTreeMap<TenantId, PathBuf>> {
    fs::create_dir_all(folder)?;
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(stem) = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".toml"))
        else {
            continue;
        };
        match TenantId::parse(stem) {
            Ok(id) => drop(files.insert(id, path)),
            Err(error) => tracing::error!(file = stem, error = %error, "a tenant file is left out for its name"),
        }
    }
    Ok(files)
}

/// Writes a file whole or not at all: temporary file, fsync, rename, fsync of the folder.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    sync(folder)
}

/// Marks a removal, then removes the tenant's file: from here on it is gone, whatever happens.
pub(super) fn begin(marker: &Path, file: &Path) -> io::Result<()> {
    File::create(marker)?.sync_all()?;
    sync(marker.parent().unwrap_or(Path::new(".")))?;
    absent(fs::remove_file(file))?;
    sync(file.parent().unwrap_or(Path::new(".")))
}

/// Ends a removal.
pub(super) fn end(marker: &Path) -> io::Result<()> {
    absent(fs::remove_file(marker))
}

/// Tenants whose removal was begun.
pub(super) fn begun(data: &Path) -> io::Result<Vec<TenantId>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(data)? {
        let name = entry?.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(MARKER)).and_then(|id| TenantId::parse(id).ok());
        ids.extend(id);
    }
    Ok(ids)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// What is gone already is as good as removed.
fn absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

impl From<io::Error> for BuildError {
    fn from(source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::StorageFull {
            return StoreError::NoSpace.into();
        }
        if store::is_denied(&source) {
            return StoreError::Denied { action: "write the file of" }.into();
        }
        StoreError::Io { action: "write the file of", source }.into()
    }
}

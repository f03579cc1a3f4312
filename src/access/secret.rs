//! The secret that signs tokens.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretSlice};

use super::random_secret;

/// Bytes of a secret that HMAC-SHA-256 deserves: as many as the hash has (RFC 7518, 3.2).
const MIN_BYTES: usize = 32;

/// Different bytes that a secret has at least. One that was made has about 16; one that was typed to fill the length, fewer.
const MIN_DIFFERENT: usize = 8;

/// What is longer is no secret but some other file.
const MAX_BYTES: u64 = 4096;

/// Why the secret is refused at start.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Too short.
    #[error("{path} holds {found} bytes; a signing secret needs at least 32: remove the file to have one made")]
    Short {
        /// The file.
        path: String,
        /// Bytes found.
        found: usize,
    },
    /// Others can read it.
    #[error("{path} can be read by others (mode {mode:o}): run `chmod 600 {path}`")]
    Exposed {
        /// The file.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// Not random.
    #[error(
        "{path} holds a few characters over and over; a signing secret is random: remove the file to have one made"
    )]
    Plain {
        /// The file.
        path: String,
    },
    /// The disk refused.
    #[error("cannot read or make {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// The signing secret: the text of its file without the blanks around it, so that other programs can sign with it too. It signs
/// tokens and nothing else.
#[derive(Clone)]
pub struct Secret(SecretSlice<u8>);

impl Secret {
    /// Reads the secret, or makes one of 32 random bytes (64 hexadecimal digits) with mode 0600 where there is none. Blocking.
    ///
    /// # Errors
    /// When it is short or plainly not random, readable by others, or the disk refuses.
    pub fn load_or_create(path: &Path) -> Result<Self, SecretError> {
        Self::read(path, open_or_create(path))
    }

    /// Reads the secret. Blocking.
    ///
    /// # Errors
    /// As [`Secret::load_or_create`], and when there is none.
    pub fn load(path: &Path) -> Result<Self, SecretError> {
        Self::read(path, File::open(path))
    }

    fn read(path: &Path, opened: io::Result<File>) -> Result<Self, SecretError> {
        let name = || path.display().to_string();
        let failed = |source| SecretError::Io { path: name(), source };
        let file = opened.map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(SecretError::Exposed { path: name(), mode });
        }
        let mut text = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut text).map_err(failed)?;
        let secret = text.trim_ascii();
        if secret.len() < MIN_BYTES {
            return Err(SecretError::Short { path: name(), found: secret.len() });
        }
        if secret.iter().collect::<HashSet<_>>().len() < MIN_DIFFERENT {
            return Err(SecretError::Plain { path: name() });
        }
        Ok(Self(secret.to_vec().into()))
    }

    /// The key's bytes.
    pub(super) fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

fn open_or_create(path: &Path) -> io::Result<File> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path).and_then(|()| File::open(path)),
        opened => opened,
    }
}

/// Writes a fresh secret beside its place and moves it there, unless another process was faster.
fn create(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // Made with mode 0600 and a name that did not exist.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{}", random_secret())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(lost) if lost.error.kind() != io::ErrorKind::AlreadyExists => return Err(lost.error),
        _ => File::open(folder)?.sync_all()?,
    }
    Ok(())
}

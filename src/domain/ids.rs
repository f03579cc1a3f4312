//! Identifiers: newtypes that parse once.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use unicode_normalization::{UnicodeNormalization, is_nfc};
use uuid::Uuid;

use super::Timestamp;

/// Why a text is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Tenant ids name folders, so their alphabet is narrow.
    #[error("a tenant id is 1 to 63 characters of a-z, 0-9 and '-', starting with a letter or digit")]
    Tenant,
    /// Document ids may be relative paths, but nothing that climbs or hides.
    #[error(
        "a document id is 1 to 512 bytes, without control characters or '\\', and no part of it is empty, '.' or '..'"
    )]
    Document,
    /// Job ids are UUIDs made by Carrel.
    #[error("a job id is a UUID")]
    Job,
}

/// A tenant's id: `[a-z0-9][a-z0-9-]{0,62}`, safe as a folder name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// Reads an id.
    ///
    /// # Errors
    /// [`IdError::Tenant`] when `text` is not of the form above.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = text.as_bytes();
        let fits = (1..=63).contains(&bytes.len()) && plain(bytes[0]) && bytes.iter().all(|b| plain(*b) || *b == b'-');
        if fits { Ok(Self(text.into())) } else { Err(IdError::Tenant) }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A document's id within its tenant: given by the caller, or made from the file's name or path.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DocumentId(Arc<str>);

impl DocumentId {
    /// The longest id, in bytes.
    pub const MAX_BYTES: usize = 512;

    /// Reads an id.
    ///
    /// # Errors
    /// [`IdError::Document`] when `text` is empty, too long, holds control characters or backslashes, or has a path
    /// part that is empty, `.` or `..`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let sized = (1..=Self::MAX_BYTES).contains(&text.len());
        let clean = !text.chars().any(|c| c.is_control() || c == '\\');
        let parts = text.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if sized && clean && parts { Ok(Self(text.into())) } else { Err(IdError::Document) }
    }

    /// The id in Unicode's composed form (NFC), as new documents have it: the same name typed on another system may have
    /// the same letters in parts.
    #[must_use]
    pub fn composed(self) -> Self {
        if is_nfc(&self.0) {
            return self;
        }
        let composed: String = self.0.nfc().collect();
        // Composing joins letters and their marks, and never makes a control character or a slash.
        if composed.len() <= Self::MAX_BYTES { Self(composed.into()) } else { self }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A job's id: a UUIDv7, so ids sort by time of making.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(Uuid);

impl JobId {
    /// Makes a new id.
    #[must_use]
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }

    /// The first id of a moment: every job made before it has a smaller one.
    #[must_use]
    pub fn first_at(moment: Timestamp) -> Self {
        let millis = u64::try_from(moment.as_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid())
    }

    /// Reads an id.
    ///
    /// # Errors
    /// [`IdError::Job`] when `text` is no UUID.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        Uuid::try_parse(text).map(Self).map_err(|_| IdError::Job)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Both text ids behave alike as text.
macro_rules! text_id {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }
        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }
    };
}
text_id!(TenantId);
text_id!(DocumentId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_id_that_could_leave_its_folder_is_refused() {
        for bad in ["", "..", "a/b", "a%2fb", "A", "-a", "a_b", "a\0", "é", "con.", &"a".repeat(64)] {
            assert_eq!(TenantId::parse(bad), Err(IdError::Tenant), "{bad:?}");
        }
        for good in ["a", "0", "acme-eu-1", &"a".repeat(63)] {
            assert!(TenantId::parse(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_document_id_never_climbs() {
        for bad in ["", "..", "a/../b", "/etc", "a//b", "a/", "a\\b", "a\nb", "./a", &"x".repeat(513)] {
            assert_eq!(DocumentId::parse(bad), Err(IdError::Document), "{bad:?}");
        }
        for good in ["a.md", "guide/intro.md", "Straße 1.txt", "日本語.html", "..a"] {
            assert!(DocumentId::parse(good).is_ok(), "{good:?}");
        }
    }
}

//! How much one document may unfold into: archives in archives, attachments in mails.

use crate::ingest::ExtractError;

/// Containers inside containers, at most: deeper nesting is an attack, or an archive that holds itself.
const MAX_DEPTH: usize = 4;
/// Entries opened in all, at most.
const MAX_ENTRIES: usize = 10_000;
/// Bytes unpacked in all, at most: below the worker's memory, so that a bomb ends with a reason.
const MAX_UNPACKED_BYTES: usize = 256 << 20;

/// What is left to unfold, shared by all levels of one document.
pub(super) struct Budget {
    depth: usize,
    entries: usize,
    bytes: usize,
}

impl Budget {
    pub fn new() -> Self {
        Self { depth: MAX_DEPTH, entries: MAX_ENTRIES, bytes: MAX_UNPACKED_BYTES }
    }

    /// Runs `read` one level deeper.
    ///
    /// # Errors
    /// `too_large` when the nesting is deeper than anybody's.
    pub fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, ExtractError>) -> Result<T, ExtractError> {
        self.depth = self.depth.checked_sub(1).ok_or_else(|| {
            ExtractError::too_large(&format!("Files are packed into one another more than {MAX_DEPTH} deep."))
        })?;
        let result = read(self);
        self.depth += 1;
        result
    }

    /// Counts one entry.
    ///
    /// # Errors
    /// `too_large` past the limit.
    pub fn take_entry(&mut self) -> Result<(), ExtractError> {
        let too_many = || ExtractError::too_large(&format!("The archive holds more than {MAX_ENTRIES} files."));
        self.entries = self.entries.checked_sub(1).ok_or_else(too_many)?;
        Ok(())
    }

    /// Bytes that may still be unpacked.
    pub fn bytes_left(&self) -> usize {
        self.bytes
    }

    /// Counts unpacked bytes.
    ///
    /// # Errors
    /// `too_large` past the limit.
    pub fn take_bytes(&mut self, bytes: usize) -> Result<(), ExtractError> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(Self::unpacked_too_much)?;
        Ok(())
    }

    fn unpacked_too_much() -> ExtractError {
        let limit = MAX_UNPACKED_BYTES >> 20;
        ExtractError::too_large(&format!("The file unpacks to more than {limit} MiB."))
    }
}

//! Why a call brought nothing, as it is told.

use std::fmt;

use super::words::Words;

/// Why a call to a provider brought nothing. As text it is safe for anybody: it holds nothing that the provider said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reason {
    what: String,
    /// What the provider said; few errors have it, and they are handed on by value.
    words: Option<Box<Words>>,
}

impl Reason {
    /// What happened, and what the provider said of it.
    pub(super) fn new(what: impl Into<String>, words: Option<Words>) -> Self {
        Self { what: what.into(), words: words.map(Box::new) }
    }

    /// What the provider said, if anything.
    pub(super) fn words(&self) -> Option<&Words> {
        self.words.as_deref()
    }

    /// With the provider's own words, shortened, on one line, without keys and without what was sent: for operators, and
    /// for the job that failed.
    #[must_use]
    pub fn in_full(&self) -> String {
        match self.words() {
            Some(words) => format!("{} (it says: {})", self.what, words.short()),
            None => self.what.clone(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl From<&str> for Reason {
    fn from(what: &str) -> Self {
        Self { what: what.to_owned(), words: None }
    }
}

impl From<String> for Reason {
    fn from(what: String) -> Self {
        Self { what, words: None }
    }
}

//! What the documents of an index are written in.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::language::UNKNOWN;
use super::prose::SAMPLE;
use super::{DocumentEntry, LanguageShare};

/// Bytes of prose that a chunk has, where an entry of an earlier Carrel does not say how much its document has.
const OF_CHUNK: u64 = 500;

/// Documents by language, and how much prose they have: each counts up to [`SAMPLE`] bytes, so that no single one
/// outvotes many, and what is no prose has no say at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mix(BTreeMap<String, Share>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Share {
    documents: u64,
    prose: u64,
}

impl Mix {
    /// Counts a document.
    pub fn add(&mut self, entry: &DocumentEntry) {
        let share = self.0.entry(entry.language.clone()).or_default();
        share.documents += 1;
        share.prose += prose(entry);
    }

    /// Takes a document out again that was counted.
    pub fn remove(&mut self, entry: &DocumentEntry) {
        if let Some(share) = self.0.get_mut(&entry.language) {
            share.documents -= 1;
            share.prose -= prose(entry);
        }
        self.0.retain(|_, share| share.documents > 0);
    }

    /// Whether a document is in `language`.
    pub fn has(&self, language: &str) -> bool {
        self.0.contains_key(language)
    }

    /// Bytes of prose in `language`.
    pub fn prose(&self, language: &str) -> u64 {
        self.0.get(language).map_or(0, |share| share.prose)
    }

    /// The language with most prose; the first by code among equals, none when none is known.
    pub fn dominant(&self) -> Option<&str> {
        let known = self.0.iter().filter(|(code, _)| *code != UNKNOWN);
        let most = known.max_by_key(|(code, share)| (share.prose, share.documents, Reverse(*code)));
        most.map(|(code, _)| code.as_str())
    }

    /// Each language with its documents and its share of all prose; most prose first.
    pub fn shares(&self) -> Vec<LanguageShare> {
        let all: u64 = self.0.values().map(|share| share.prose).sum();
        let share = |(language, share): (&String, &Share)| LanguageShare {
            language: language.clone(),
            documents: share.documents,
            prose: part(share.prose, all),
        };
        let mut shares: Vec<LanguageShare> = self.0.iter().map(share).collect();
        shares.sort_by(|a, b| b.prose.total_cmp(&a.prose).then(b.documents.cmp(&a.documents)));
        shares
    }
}

/// Bytes of prose that a document counts with.
fn prose(entry: &DocumentEntry) -> u64 {
    match entry.prose {
        _ if entry.language == UNKNOWN => 0,
        Some(bytes) => bytes.into(),
        None => (u64::from(entry.chunks) * OF_CHUNK).min(SAMPLE as u64),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share for people to read")]
fn part(of: u64, all: u64) -> f32 {
    if all == 0 { 0.0 } else { of as f32 / all as f32 }
}

#[cfg(test)]
impl Mix {
    /// So many bytes of prose by language.
    pub fn of(languages: &[(&str, u64)]) -> Self {
        let share = |(code, prose): &(&str, u64)| ((*code).to_owned(), Share { documents: 1, prose: *prose });
        Self(languages.iter().map(share).collect())
    }
}

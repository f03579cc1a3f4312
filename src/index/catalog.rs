//! What documents a state of a generation holds, in memory: numbers, ids, entries, hashes, languages.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::DocumentEntry;
use super::mix::Mix;
use crate::domain::{ContentHash, DocumentId, Filter};

/// Bits of a chunk's key that count chunks within a document.
const ORDINAL_BITS: u32 = 20;
/// The most chunks one document may have.
pub(super) const MOST_CHUNKS: usize = 1 << ORDINAL_BITS;

/// The key of chunk `ordinal` of document `number`; numbers are from 0 in the order documents came.
#[must_use]
pub fn key_of(number: u64, ordinal: u32) -> u64 {
    number << ORDINAL_BITS | u64::from(ordinal)
}

/// A document's number within its generation, from a chunk's key: chunks of one document share it.
#[must_use]
pub fn document_of(key: u64) -> u64 {
    key >> ORDINAL_BITS
}

/// A chunk's place within its document, from its key.
pub(super) fn ordinal_of(key: u64) -> u32 {
    u32::try_from(key & (MOST_CHUNKS as u64 - 1)).unwrap_or(u32::MAX)
}

/// A set of document numbers, which are dense: a bit each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Numbers(Vec<u64>);

impl Numbers {
    /// Whether `number` is in it.
    pub fn contains(&self, number: u64) -> bool {
        let (word, bit) = Self::place(number);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn insert(&mut self, number: u64) {
        let (word, bit) = Self::place(number);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    fn remove(&mut self, number: u64) {
        let (word, bit) = Self::place(number);
        if let Some(bits) = self.0.get_mut(word) {
            *bits &= !bit;
        }
    }

    fn place(number: u64) -> (usize, u64) {
        (usize::try_from(number / 64).unwrap_or(usize::MAX), 1 << (number % 64))
    }
}

/// The documents that may answer, and their chunks in all.
#[derive(Debug, Clone, Default)]
pub(super) struct Allowed {
    /// Their numbers.
    pub numbers: Numbers,
    /// Their numbers and chunks, by number.
    pub documents: Vec<(u64, u32)>,
    /// Their chunks.
    pub chunks: u64,
}

impl Allowed {
    /// One document alone.
    pub fn of(number: u64, chunks: u32) -> Self {
        let mut allowed = Self { documents: vec![(number, chunks)], chunks: chunks.into(), ..Self::default() };
        allowed.numbers.insert(number);
        allowed
    }
}

/// The documents of one state. Numbers only grow: one that was given is never given again in the same generation.
#[derive(Debug, Clone, Default)]
pub(super) struct Catalog {
    numbers: BTreeMap<DocumentId, u64>,
    entries: HashMap<u64, Arc<DocumentEntry>>,
    hashes: HashMap<ContentHash, Vec<u64>>,
    live: Numbers,
    mix: Mix,
    chunks: u64,
    next: u64,
    digest: Digest,
}

/// What a commit says of itself in tantivy's own commit record, so that opening can prove that it read all of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Stamp {
    /// Counts commits of the generation.
    pub revision: u64,
    /// The number the next document gets.
    pub next: u64,
    /// Documents.
    pub documents: u64,
    /// Chunks.
    pub chunks: u64,
    /// BLAKE3 over the fields above and the sum of all documents.
    pub digest: String,
}

/// A sum over documents that does not depend on their order: the exclusive or of their BLAKE3 hashes.
type Digest = [u8; 32];

impl Catalog {
    /// Adds a document under the next number, in place of one of the same id; returns its number.
    pub fn upsert(&mut self, entry: DocumentEntry) -> u64 {
        let number = self.next();
        self.place(number, entry);
        number
    }

    /// Adds a document that has its number already, in place of one of the same id.
    pub fn place(&mut self, number: u64, entry: DocumentEntry) {
        self.remove(&entry.id);
        self.next = self.next.max(number + 1);
        self.chunks += u64::from(entry.chunks);
        self.live.insert(number);
        self.mix.add(&entry);
        self.hashes.entry(entry.content_hash).or_default().push(number);
        self.toggle(number, &entry);
        self.numbers.insert(entry.id.clone(), number);
        self.entries.insert(number, Arc::new(entry));
    }

    /// Removes a document; its number, when it was there.
    pub fn remove(&mut self, id: &DocumentId) -> Option<u64> {
        let number = self.numbers.remove(id)?;
        let entry = self.entries.remove(&number)?;
        self.chunks -= u64::from(entry.chunks);
        self.live.remove(number);
        self.mix.remove(&entry);
        if let Entry::Occupied(mut same) = self.hashes.entry(entry.content_hash) {
            same.get_mut().retain(|other| *other != number);
            if same.get().is_empty() {
                same.remove();
            }
        }
        self.toggle(number, &entry);
        Some(number)
    }

    /// Adds a document to the digest, or takes it out again. Only what has one spelling goes in: facts with numbers in
    /// them may be spelt anew when they are read back.
    fn toggle(&mut self, number: u64, entry: &DocumentEntry) {
        let facts = format!("{number} {} {} {}", entry.chunks, entry.content_hash, entry.id);
        for (sum, byte) in self.digest.iter_mut().zip(blake3::hash(facts.as_bytes()).as_bytes()) {
            *sum ^= byte;
        }
    }

    /// What commit `revision` of this catalog says of itself.
    pub fn stamp(&self, revision: u64) -> Stamp {
        let (documents, chunks, next) = (self.len() as u64, self.chunks, self.next);
        let sum = blake3::Hash::from_bytes(self.digest).to_hex();
        let digest = blake3::hash(format!("{revision} {next} {documents} {chunks} {sum}").as_bytes());
        Stamp { revision, next, documents, chunks, digest: digest.to_hex().to_string() }
    }

    /// Makes sure that numbers below `next` are not given again.
    pub fn skip_to(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// The number the next document gets.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The number of a document.
    pub fn number(&self, id: &DocumentId) -> Option<u64> {
        self.numbers.get(id).copied()
    }

    /// A document's entry.
    pub fn entry(&self, number: u64) -> Option<&Arc<DocumentEntry>> {
        self.entries.get(&number)
    }

    /// Any document made from bytes of this hash; the oldest, when there are several.
    pub fn with_hash(&self, hash: &ContentHash) -> Option<&Arc<DocumentEntry>> {
        self.entry(*self.hashes.get(hash)?.first()?)
    }

    /// All entries, by id.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<DocumentEntry>> {
        self.numbers.values().filter_map(|number| self.entries.get(number))
    }

    /// All numbers with their chunks, in no order.
    pub fn chunked(&self) -> impl Iterator<Item = (u64, u32)> {
        self.entries.iter().map(|(number, entry)| (*number, entry.chunks))
    }

    /// Whether a chunk of this key is in this state.
    pub fn has_chunk(&self, key: u64) -> bool {
        self.entry(document_of(key)).is_some_and(|entry| ordinal_of(key) < entry.chunks)
    }

    /// The numbers in use.
    pub fn live(&self) -> &Numbers {
        &self.live
    }

    /// Documents.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Chunks.
    pub fn chunks(&self) -> u64 {
        self.chunks
    }

    /// What they are written in.
    pub fn mix(&self) -> &Mix {
        &self.mix
    }

    /// The documents that `filter` lets answer.
    pub fn allowed(&self, filter: &Filter) -> Allowed {
        self.those(|entry| filter.matches(&|key| fact(entry, key)))
    }

    /// All documents, as a filter that lets everything through.
    pub fn all(&self) -> Allowed {
        self.those(|_| true)
    }

    fn those(&self, may: impl Fn(&DocumentEntry) -> bool) -> Allowed {
        let mut allowed = Allowed::default();
        for (&number, entry) in &self.entries {
            if may(entry) {
                allowed.numbers.insert(number);
                allowed.documents.push((number, entry.chunks));
                allowed.chunks += u64::from(entry.chunks);
            }
        }
        allowed.documents.sort_unstable();
        allowed
    }
}

/// A document's fact of this name: its own first, then the caller's.
fn fact(entry: &DocumentEntry, key: &str) -> Option<serde_json::Value> {
    match key {
        "document_id" => Some(entry.id.as_str().into()),
        "name" => Some(entry.name.as_str().into()),
        "kind" => Some(entry.kind.as_str().into()),
        other => entry.attributes.get(other).cloned(),
    }
}

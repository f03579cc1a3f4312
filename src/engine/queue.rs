//! Which texts are embedded next: those of small documents first, the rest slice by slice.
//!
//! Pure: knows keys and counts, no text and no time.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A document with at most so many texts left is small; small ones share a call, up to so many texts: what providers take
/// in one batch by default.
const SMALL: usize = 64;
/// Texts of a large document that travel together: some seconds of the built-in embedder, and batches enough to keep a
/// provider's connections busy.
const SLICE: usize = 256;
/// One slice in so many is for the document that waits longest, so that a stream of middling ones never starves it.
const OLDEST_EVERY: usize = 4;

/// Names a document in the queue; later ones have higher keys.
pub(super) type Key = u64;

/// Some texts of a document, by their places among those it has to be given vectors for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub document: Key,
    pub texts: Range<usize>,
}

/// Documents whose texts wait for vectors.
#[derive(Debug, Default)]
pub(super) struct TextQueue {
    /// Texts that no call has taken yet.
    left: BTreeMap<Key, Range<usize>>,
    /// Parts that are to travel alone, since a call that they shared failed.
    alone: Vec<Part>,
    /// Documents of which nothing is taken for now.
    paused: BTreeSet<Key>,
    slices: usize,
}

impl TextQueue {
    /// Adds a document of so many texts.
    pub fn add(&mut self, document: Key, texts: usize) {
        self.left.insert(document, 0..texts);
    }

    /// Forgets a document.
    pub fn remove(&mut self, document: Key) {
        self.left.remove(&document);
        self.paused.remove(&document);
        self.alone.retain(|part| part.document != document);
    }

    /// Takes nothing of a document until some of it is given back.
    pub fn pause(&mut self, document: Key) {
        self.paused.insert(document);
    }

    /// Gives back a part of a call that failed, to be tried by itself.
    pub fn give_back_alone(&mut self, part: Part) {
        self.paused.remove(&part.document);
        self.alone.push(part);
    }

    /// Gives back a part of a call that failed, to be tried with others where it is all that is left of its document.
    pub fn give_back(&mut self, part: Part) {
        self.paused.remove(&part.document);
        match self.left.entry(part.document) {
            Entry::Vacant(place) => {
                place.insert(part.texts);
            }
            Entry::Occupied(_) => self.alone.push(part),
        }
    }

    /// The first part that travels alone and is of this size.
    fn take_alone(&mut self, small: bool) -> Option<Part> {
        let of_size = |part: &Part| (part.texts.len() <= SMALL) == small && !self.paused.contains(&part.document);
        let at = self.alone.iter().position(of_size)?;
        Some(self.alone.remove(at))
    }

    /// The next call for small documents, in order of arrival; empty when none waits.
    pub fn take_small(&mut self) -> Vec<Part> {
        if let Some(part) = self.take_alone(true) {
            return vec![part];
        }
        let mut room = SMALL;
        let mut parts = Vec::new();
        let may = |key: &Key, texts: &Range<usize>| texts.len() <= SMALL && !self.paused.contains(key);
        let small = self.left.iter().filter(|(key, texts)| may(key, texts));
        for (document, texts) in small {
            if texts.len() > room {
                break;
            }
            room -= texts.len();
            parts.push(Part { document: *document, texts: texts.clone() });
        }
        for part in &parts {
            self.left.remove(&part.document);
        }
        parts
    }

    /// The next slice of a large document: of the one with the fewest texts left, now and then of the oldest.
    pub fn take_large(&mut self) -> Option<Part> {
        if let Some(part) = self.take_alone(false) {
            return Some(part);
        }
        let may = |key: &Key, texts: &Range<usize>| texts.len() > SMALL && !self.paused.contains(key);
        let large = || self.left.iter().filter(|(key, texts)| may(key, texts));
        let next = if self.slices % OLDEST_EVERY == OLDEST_EVERY - 1 {
            large().next()
        } else {
            large().min_by_key(|(_, texts)| texts.len())
        };
        let (document, texts) = next?;
        let part = Part { document: *document, texts: texts.start..texts.end.min(texts.start + SLICE) };
        self.slices += 1;
        if part.texts.end == texts.end {
            self.left.remove(&part.document);
        } else if let Some(left) = self.left.get_mut(&part.document) {
            left.start = part.texts.end;
        }
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(documents: &[(Key, usize)]) -> TextQueue {
        let mut queue = TextQueue::default();
        for (document, texts) in documents {
            queue.add(*document, *texts);
        }
        queue
    }

    #[test]
    fn small_documents_share_a_call_and_wait_for_no_large_one() {
        let mut queue = queue(&[(1, 6_000), (2, 10), (3, 20), (4, 40)]);
        let keys: Vec<Key> = queue.take_small().iter().map(|part| part.document).collect();
        assert_eq!(keys, [2, 3]);
        assert_eq!(queue.take_small(), [Part { document: 4, texts: 0..40 }]);
        assert!(queue.take_small().is_empty());
    }

    #[test]
    fn every_text_of_a_large_document_is_taken_once_and_in_order() {
        let mut queue = queue(&[(1, 700)]);
        let mut taken = Vec::new();
        while let Some(part) = queue.take_large() {
            taken.push(part.texts);
        }
        assert_eq!(taken, [0..256, 256..512, 512..700]);
        assert!(queue.take_small().is_empty());
    }

    #[test]
    fn the_last_texts_of_a_large_document_count_as_small() {
        let mut queue = queue(&[(1, 256 + 64)]);
        assert_eq!(queue.take_large(), Some(Part { document: 1, texts: 0..256 }));
        assert_eq!(queue.take_large(), None);
        assert_eq!(queue.take_small(), [Part { document: 1, texts: 256..320 }]);
    }

    #[test]
    fn the_shortest_goes_first_and_the_oldest_is_never_starved() {
        let mut queue = queue(&[(1, 100_000)]);
        let mut of_the_oldest = 0;
        for key in 2..40 {
            queue.add(key, 200);
            of_the_oldest += usize::from(queue.take_large().is_some_and(|part| part.document == 1));
        }
        assert_eq!(of_the_oldest, 38 / OLDEST_EVERY);
    }

    #[test]
    fn a_document_that_is_forgotten_has_no_more_texts() {
        let mut queue = queue(&[(1, 300), (2, 3)]);
        queue.give_back_alone(Part { document: 2, texts: 0..3 });
        queue.remove(1);
        queue.remove(2);
        assert_eq!((queue.take_large(), queue.take_small()), (None, Vec::new()));
    }

    #[test]
    fn parts_of_a_call_that_failed_travel_alone_or_together_again() {
        let mut queue = queue(&[(1, 3), (2, 3)]);
        for part in queue.take_small() {
            queue.give_back_alone(part);
        }
        let parts = [queue.take_small(), queue.take_small()].concat();
        assert_eq!((parts.len(), queue.take_small().len()), (2, 0));
        for part in parts {
            queue.give_back(part);
        }
        assert_eq!(queue.take_small().len(), 2);
    }

    #[test]
    fn nothing_is_taken_of_a_document_that_is_paused() {
        let mut queue = queue(&[(1, 700), (2, 700)]);
        let first = queue.take_large().unwrap();
        queue.pause(first.document);
        assert_eq!(queue.take_large().map(|part| part.document), Some(2));
        queue.pause(2);
        assert_eq!(queue.take_large(), None);
        queue.give_back(first.clone());
        assert_eq!(queue.take_large(), Some(first));
    }
}

//! Two lists of hits side by side: what came, what left, what moved.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::Hit;

/// What is taken for the same hit in two lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alike {
    /// The same chunk: both generations cut documents alike.
    Chunk,
    /// The same document, by its best hit: chunks of other cuts cannot be told to be the same.
    Document,
}

/// How a hit changed from one list to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// In the second list alone.
    Entered,
    /// In the first list alone.
    Left,
    /// In both, at another rank.
    Moved,
    /// In both, at the same rank.
    Stayed,
}

/// A hit of one list or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// A hit's chunk, or a document.
    pub id: String,
    /// Its document's title.
    pub title: String,
    /// How it changed.
    pub change: Change,
    /// Its rank in the first list.
    pub from: Option<u32>,
    /// Its rank in the second list.
    pub to: Option<u32>,
    /// Ranks it gained; below 0 where it lost some; none unless it is in both.
    pub by: Option<i64>,
}

/// Two lists compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Every hit of either list: in the order of the second, then what left, in the order of the first.
    pub moves: Vec<Moved>,
    /// The share of hits that both lists have, of the longer one; 1 where both are empty.
    pub overlap: f64,
}

impl Comparison {
    /// What changed from the hits `before` to the hits `after`.
    #[must_use]
    pub fn of(before: &[Hit], after: &[Hit], alike: Alike) -> Self {
        let (old, new) = (Ranks::of(before, alike), Ranks::of(after, alike));
        let mut moves: Vec<Moved> =
            new.order.iter().map(|id| moved(id, old.rank(id), new.rank(id), new.title(id))).collect();
        let left = old.order.iter().filter(|id| new.rank(id).is_none());
        moves.extend(left.map(|id| moved(id, old.rank(id), None, old.title(id))));
        let shared = old.order.iter().filter(|id| new.rank(id).is_some()).count();
        let longer = old.order.len().max(new.order.len());
        #[expect(clippy::cast_precision_loss, reason = "lists have at most 50 hits")]
        let overlap = if longer == 0 { 1.0 } else { shared as f64 / longer as f64 };
        Self { moves, overlap }
    }
}

/// The first rank of each thing in a list.
struct Ranks {
    order: Vec<String>,
    known: BTreeMap<String, (u32, String)>,
}

impl Ranks {
    fn of(hits: &[Hit], alike: Alike) -> Self {
        let mut seen = BTreeSet::new();
        let (mut order, mut known) = (Vec::new(), BTreeMap::new());
        for hit in hits {
            let id = match alike {
                Alike::Chunk => hit.chunk_id.clone(),
                Alike::Document => hit.document_id.to_string(),
            };
            if seen.insert(id.clone()) {
                known.insert(id.clone(), (hit.rank, hit.title.clone()));
                order.push(id);
            }
        }
        Self { order, known }
    }

    fn rank(&self, id: &str) -> Option<u32> {
        self.known.get(id).map(|(rank, _)| *rank)
    }

    fn title(&self, id: &str) -> String {
        self.known.get(id).map(|(_, title)| title.clone()).unwrap_or_default()
    }
}

fn moved(id: &str, from: Option<u32>, to: Option<u32>, title: String) -> Moved {
    let by = from.zip(to).map(|(from, to)| i64::from(from) - i64::from(to));
    let change = match (from, to, by) {
        (None, ..) => Change::Entered,
        (_, None, _) => Change::Left,
        (.., Some(0)) => Change::Stayed,
        _ => Change::Moved,
    };
    Moved { id: id.to_owned(), title, change, from, to, by }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DocumentId, Passage};

    fn hits(chunks: &[&str]) -> Vec<Hit> {
        let hit = |(rank, chunk): (u32, &&str)| Hit {
            rank,
            document_id: DocumentId::parse(chunk.split('#').next().unwrap()).unwrap(),
            chunk_id: (*chunk).to_owned(),
            title: String::new(),
            heading: String::new(),
            page: None,
            start: 0,
            end: 0,
            text: String::new(),
            score: 0.5,
            dense: None,
            bm25: None,
            rerank: None,
            passage: Passage::default(),
        };
        (1..).zip(chunks).map(hit).collect()
    }

    #[test]
    fn what_came_left_moved_and_stayed_is_told_with_its_ranks() {
        let compared = Comparison::of(&hits(&["a#0", "b#0", "c#0"]), &hits(&["a#0", "c#0", "d#0"]), Alike::Chunk);
        let told: Vec<_> = compared.moves.iter().map(|one| (one.id.as_str(), one.change, one.by)).collect();
        assert_eq!(
            told,
            [
                ("a#0", Change::Stayed, Some(0)),
                ("c#0", Change::Moved, Some(1)),
                ("d#0", Change::Entered, None),
                ("b#0", Change::Left, None)
            ]
        );
        assert!((compared.overlap - 2.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn lists_of_other_cuts_are_compared_by_document_and_empty_ones_are_alike() {
        let compared = Comparison::of(&hits(&["a#0", "a#1", "b#0"]), &hits(&["b#7", "a#3"]), Alike::Document);
        let told: Vec<_> = compared.moves.iter().map(|one| (one.id.as_str(), one.from, one.to)).collect();
        assert_eq!(told, [("b", Some(3), Some(1)), ("a", Some(1), Some(2))]);
        assert!((compared.overlap - 1.0).abs() < 1e-9);
        assert!((Comparison::of(&[], &[], Alike::Chunk).overlap - 1.0).abs() < 1e-9);
        assert!(Comparison::of(&hits(&["a#0"]), &[], Alike::Chunk).overlap.abs() < 1e-9);
    }
}

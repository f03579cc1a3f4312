//! The two ranked lists to one.

use std::collections::HashMap;

use crate::domain::Ranked;

/// What meaning weighs against words, which weigh the rest. 0.8 serves all sets alike in Bruch, Gai and Ingber, "An
/// analysis of fusion functions for hybrid retrieval" (ACM TOIS 42, 2023), for this very embedder; on SciFact we found
/// nDCG@10 0.737 at 0.75, 0.735 at 0.8, 0.732 at 0.85, and 0.716 by reciprocal ranks.
const MEANING: f32 = 0.8;
/// A chunk that the words' list has no room for scores somewhere between nothing and the list's last: half of it.
const BEYOND: f32 = 0.5;

/// What a chunk scores in each list.
#[derive(Clone, Copy)]
struct Both {
    cosine: f32,
    words: f32,
}

/// What two searches found, and the greatest of each, which all are divided by.
struct Gathered {
    found: HashMap<u64, Both>,
    nearest: f32,
    wordiest: f32,
}

/// What each search adds to a chunk's fused score, which is the sum of the two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FusedShare {
    /// The chunk's cosine, -1 where nothing is known of it.
    pub cosine: f32,
    /// Its BM25 score; half of the list's last, where the list had no room for it.
    pub bm25: f32,
    /// What its meaning adds.
    pub meaning: f32,
    /// What its words add.
    pub words: f32,
}

impl FusedShare {
    /// The fused score.
    #[must_use]
    pub fn score(&self) -> f32 {
        self.meaning + self.words
    }
}

impl Gathered {
    fn of(dense: &[Ranked], words: &[Ranked], full: bool, cosine: impl Fn(u64) -> Option<f32>) -> Self {
        let last = words.last().map_or(0.0, |last| last.score);
        let beyond = if full { last * BEYOND } else { 0.0 };
        let mut found: HashMap<u64, Both> = HashMap::with_capacity(dense.len() + words.len());
        for hit in dense {
            found.entry(hit.key).or_insert(Both { cosine: hit.score.max(-1.0), words: beyond });
        }
        for hit in words {
            let both = found.entry(hit.key);
            let both = both.or_insert_with(|| Both {
                cosine: cosine(hit.key).map_or(-1.0, |found| found.max(-1.0)),
                words: hit.score,
            });
            both.words = both.words.max(hit.score);
        }
        let most = |score: fn(&Both) -> f32| found.values().map(score).fold(f32::MIN_POSITIVE, f32::max);
        let (nearest, wordiest) = (most(|both| both.cosine + 1.0), most(|both| both.words));
        Self { found, nearest, wordiest }
    }

    /// Each chunk with what the two lists add to its score, in no order.
    fn shares(&self) -> impl Iterator<Item = (u64, FusedShare)> {
        self.found.iter().map(|(&key, &Both { cosine, words: bm25 })| {
            let meaning = MEANING * (cosine + 1.0) / self.nearest;
            let words = (1.0 - MEANING) * bm25 / self.wordiest;
            (key, FusedShare { cosine, bm25, meaning, words })
        })
    }
}

/// Fuses what two searches found by their scores, each divided by the greatest it can be for this question: cosines from
/// -1 to the best found, BM25 from 0 to the best found (the convex combination "TM2C2" of the paper above).
///
/// `cosine` tells the cosine of a chunk that only words found; without one it counts as -1. `full` says that the words'
/// list was cut off, so that a chunk outside it may have words too. Scores are from 0 to 1; best first, each key once,
/// ties to the smaller key.
#[must_use]
pub fn fuse(dense: &[Ranked], words: &[Ranked], full: bool, cosine: impl Fn(u64) -> Option<f32>) -> Vec<Ranked> {
    let gathered = Gathered::of(dense, words, full, cosine);
    let mut fused: Vec<Ranked> = gathered.shares().map(|(key, share)| Ranked { key, score: share.score() }).collect();
    best_first(&mut fused);
    fused
}

/// What each list adds to the scores that [`fuse`] gives, by key; for explaining.
#[must_use]
pub fn fused_shares(
    dense: &[Ranked],
    words: &[Ranked],
    full: bool,
    cosine: impl Fn(u64) -> Option<f32>,
) -> HashMap<u64, FusedShare> {
    Gathered::of(dense, words, full, cosine).shares().collect()
}

/// Orders by falling score; equal scores by key, so that the same hits always come in the same order.
pub(super) fn best_first(hits: &mut [Ranked]) {
    hits.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.key.cmp(&b.key)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(hits: &[(u64, f32)]) -> Vec<Ranked> {
        hits.iter().map(|&(key, score)| Ranked { key, score }).collect()
    }

    fn keys(hits: &[Ranked]) -> Vec<u64> {
        hits.iter().map(|hit| hit.key).collect()
    }

    #[test]
    fn scores_are_shares_of_the_best_weighed_by_meaning_and_words() {
        let (dense, words) = (list(&[(1, 0.6), (2, 0.3)]), list(&[(2, 10.0), (3, 5.0)]));
        let fused = fuse(&dense, &words, false, |key| (key == 3).then_some(0.0));
        let expected = [(2, 0.8 * 1.3 / 1.6 + 0.2), (1, 0.8), (3, 0.8 / 1.6 + 0.1)];
        for (hit, (key, score)) in fused.iter().zip(expected) {
            assert_eq!(hit.key, key);
            assert!((hit.score - score).abs() < 1e-6, "{} is not {score}", hit.score);
        }
    }

    #[test]
    fn what_a_full_list_had_no_room_for_is_taken_to_have_some_words() {
        let (dense, words) = (list(&[(1, 0.5)]), list(&[(2, 10.0), (3, 8.0)]));
        let score = |full| fuse(&dense, &words, full, |_| None).iter().find(|hit| hit.key == 1).unwrap().score;
        assert!((score(false) - 0.8).abs() < 1e-6);
        assert!((score(true) - (0.8 + 0.2 * 0.4)).abs() < 1e-6);
    }

    #[test]
    fn one_list_alone_keeps_its_order_and_none_is_nothing() {
        let words = list(&[(7, 9.0), (3, 2.0), (5, 1.0)]);
        assert_eq!(keys(&fuse(&[], &words, true, |_| None)), [7, 3, 5]);
        assert_eq!(keys(&fuse(&words, &[], false, |_| None)), [7, 3, 5]);
        assert_eq!(fuse(&[], &[], false, |_| None), []);
    }

    fn lists() -> impl Strategy<Value = (Vec<Ranked>, Vec<Ranked>)> {
        let ranked = |scores: std::ops::Range<f32>| {
            prop::collection::btree_map(0u64..30, scores, 0..20).prop_map(|hits| {
                let mut hits: Vec<Ranked> = hits.into_iter().map(|(key, score)| Ranked { key, score }).collect();
                best_first(&mut hits);
                hits
            })
        };
        (ranked(-1.0..1.0), ranked(0.0..50.0))
    }

    proptest! {
        #[test]
        fn fused_hits_are_best_first_each_once_from_0_to_1_and_none_is_lost((dense, words) in lists(), full: bool) {
            let fused = fuse(&dense, &words, full, |_| Some(-0.5));
            prop_assert!(fused.windows(2).all(|pair| pair[0].score >= pair[1].score));
            prop_assert!(fused.iter().all(|hit| (-1e-6..=1.0 + 1e-6).contains(&hit.score)));
            let mut wanted: Vec<u64> = keys(&dense).into_iter().chain(keys(&words)).collect();
            wanted.sort_unstable();
            wanted.dedup();
            let mut found = keys(&fused);
            found.sort_unstable();
            prop_assert_eq!(found, wanted);
        }

        #[test]
        fn what_the_two_lists_add_sums_to_the_fused_score_of_each_hit((dense, words) in lists(), full: bool) {
            let cosine = |key| (key % 3 > 0).then_some(0.25);
            let (fused, shares) = (fuse(&dense, &words, full, cosine), fused_shares(&dense, &words, full, cosine));
            prop_assert_eq!(fused.len(), shares.len());
            for hit in fused {
                let FusedShare { meaning, words, .. } = shares[&hit.key];
                prop_assert!((meaning + words - hit.score).abs() < 1e-6);
                prop_assert!(meaning >= 0.0 && words >= 0.0);
            }
        }

        #[test]
        fn what_is_better_in_both_lists_is_better_in_one((dense, words) in lists()) {
            let fused = fuse(&dense, &words, false, |_| None);
            let score = |list: &[Ranked], key| list.iter().find(|hit| hit.key == key).map(|hit| hit.score);
            for pair in fused.windows(2) {
                let better = |list: &[Ranked], least| {
                    score(list, pair[1].key).unwrap_or(least) > score(list, pair[0].key).unwrap_or(least) + 1e-3
                };
                prop_assert!(!(better(&dense, -1.0) && better(&words, 0.0)));
            }
        }
    }
}

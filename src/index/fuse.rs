//! Several ranked lists to one.

use std::collections::HashMap;

use crate::domain::Ranked;

/// Keeps the first ranks from drowning the others: 60 as in Cormack, Clarke and Büttcher, "Reciprocal rank fusion
/// outperforms Condorcet and individual rank learning methods" (SIGIR 2009).
const K: f64 = 60.0;

/// Fuses ranked lists by reciprocal rank: each list adds `weight / (60 + rank)`, rank 1 for its first.
///
/// Independent of the order of lists; ties go to the smaller key. Best first, at most `depth`. A list of weight 0 has no
/// vote: what only it found is left out. Of a key that a list names twice, the better rank counts.
#[must_use]
pub fn fuse(lists: &[(f32, &[Ranked])], depth: usize) -> Vec<Ranked> {
    let mut shares: HashMap<u64, Vec<f64>> = HashMap::new();
    for (list, &(weight, hits)) in lists.iter().enumerate().filter(|(_, (weight, _))| *weight > 0.0) {
        for (rank, hit) in (1u32..).zip(hits) {
            let of_key = shares.entry(hit.key).or_default();
            of_key.resize(lists.len(), 0.0);
            if of_key[list] == 0.0 {
                of_key[list] = f64::from(weight) / (K + f64::from(rank));
            }
        }
    }
    let mut fused: Vec<Ranked> = shares.into_iter().map(|(key, shares)| Ranked { key, score: sum(shares) }).collect();
    best_first(&mut fused);
    fused.truncate(depth);
    fused
}

/// Adds up in order of size, so that the order of the lists does not show in the last bit.
fn sum(mut shares: Vec<f64>) -> f32 {
    shares.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, reason = "a score has no more than seven digits to say")]
    let sum = shares.iter().sum::<f64>() as f32;
    sum
}

/// Orders by falling score; equal scores by key, so that the same hits always come in the same order.
pub(super) fn best_first(hits: &mut [Ranked]) {
    hits.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.key.cmp(&b.key)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranked(keys: &[u64]) -> Vec<Ranked> {
        keys.iter().map(|&key| Ranked { key, score: 1.0 }).collect()
    }

    fn keys(hits: &[Ranked]) -> Vec<u64> {
        hits.iter().map(|hit| hit.key).collect()
    }

    #[test]
    fn what_both_lists_name_comes_first() {
        let fused = fuse(&[(1.0, &ranked(&[1, 2, 3])), (1.0, &ranked(&[4, 3, 5]))], 10);
        assert_eq!(keys(&fused), [3, 1, 4, 2, 5]);
        assert!((fused[0].score - (1.0 / 63.0 + 1.0 / 62.0)).abs() < 1e-7);
    }

    #[test]
    fn a_heavier_list_wins_a_tie_and_one_without_weight_has_no_vote() {
        let (words, dense) = (ranked(&[1, 2]), ranked(&[3, 4]));
        assert_eq!(keys(&fuse(&[(1.0, &words), (1.1, &dense)], 10)), [3, 4, 1, 2]);
        assert_eq!(keys(&fuse(&[(1.0, &words), (0.0, &dense)], 10)), [1, 2]);
        assert_eq!(fuse(&[], 10), []);
        assert_eq!(fuse(&[(1.0, &[])], 10), []);
    }

    fn lists() -> impl Strategy<Value = Vec<(f32, Vec<Ranked>)>> {
        let list = prop::collection::vec(0u64..30, 0..20).prop_map(|mut keys| {
            keys.dedup();
            ranked(&keys)
        });
        prop::collection::vec((0.0f32..2.0, list), 0..5)
    }

    fn borrowed(lists: &[(f32, Vec<Ranked>)]) -> Vec<(f32, &[Ranked])> {
        lists.iter().map(|(weight, list)| (*weight, list.as_slice())).collect()
    }

    proptest! {
        #[test]
        fn the_order_of_lists_does_not_matter(lists in lists(), depth in 0usize..40) {
            let mut turned = lists.clone();
            turned.reverse();
            prop_assert_eq!(fuse(&borrowed(&lists), depth), fuse(&borrowed(&turned), depth));
        }

        #[test]
        fn an_empty_list_changes_nothing(lists in lists()) {
            let mut more = lists.clone();
            more.push((1.0, Vec::new()));
            prop_assert_eq!(fuse(&borrowed(&lists), 40), fuse(&borrowed(&more), 40));
        }

        #[test]
        fn fused_hits_are_best_first_each_once_and_from_a_list_with_a_vote(lists in lists(), depth in 0usize..40) {
            let fused = fuse(&borrowed(&lists), depth);
            prop_assert!(fused.len() <= depth);
            prop_assert!(fused.windows(2).all(|pair| pair[0].score >= pair[1].score));
            for (place, hit) in fused.iter().enumerate() {
                prop_assert!(fused[..place].iter().all(|other| other.key != hit.key));
                prop_assert!(lists.iter().any(|(weight, list)| *weight > 0.0 && list.iter().any(|h| h.key == hit.key)));
            }
        }

        #[test]
        fn a_single_list_keeps_its_order(keys in prop::collection::hash_set(any::<u64>(), 0..20)) {
            let list: Vec<u64> = keys.into_iter().collect();
            let fused = fuse(&[(0.7, &ranked(&list))], 100);
            prop_assert_eq!(self::keys(&fused), list);
        }
    }
}

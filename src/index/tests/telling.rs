//! Scores in their parts, and states without some documents.

use proptest::prelude::*;

use super::*;

fn sum(shares: &[TermShare]) -> f32 {
    shares.iter().map(|share| share.score).sum()
}

/// Words that an English reader keeps as they are.
fn text() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec!["zebra", "okapi", "quagga", "tapir", "herd", "budget"]);
    prop::collection::vec(word, 1..12).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_the_terms_of_a_question_add_sums_to_the_bm25_score_of_each_hit(
        texts in prop::collection::vec(text(), 1..8),
        question in text(),
        gone in 0..8usize,
    ) {
        let named: Vec<(String, String)> =
            texts.into_iter().enumerate().map(|(at, text)| (format!("d{at}"), text)).collect();
        let documents: Vec<(&str, &str)> = named.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
        let (_dir, _, mut writer) = published(&documents);
        // Deleted chunks count in every figure alike until a merge drops them.
        writer.remove(&id(&format!("d{gone}"))).unwrap();
        let snapshot = writer.commit().unwrap();
        let weights = snapshot.term_weights(&question).unwrap();
        for hit in snapshot.search_words(&question, None, 50).unwrap() {
            let shares = snapshot.term_shares(&weights, hit.key).unwrap();
            prop_assert!((sum(&shares) - hit.score).abs() <= 1e-4 * hit.score.max(1.0), "{shares:?} is not {}", hit.score);
        }
    }
}

#[test]
fn a_state_without_a_document_knows_nothing_of_it_by_any_way() {
    let (_dir, _, writer) = published(&[("a", "red apple"), ("b", "red pear"), ("c", "red plum")]);
    let whole = writer.snapshot();
    let part = whole.without(&[id("b"), id("never")]);
    assert_eq!((ids(&part), part.info().documents, part.chunks()), (vec!["a".to_owned(), "c".to_owned()], 2, 2));
    assert_eq!(part.text(&id("b")).unwrap(), None);
    assert_eq!(part.search_words("red", None, 1).unwrap().len(), 1);
    assert!(!found(&part, "red").contains(&"red pear".to_owned()));
    let dense = part.search_dense(&vector("red pear", DIMENSION), None, 10).unwrap();
    assert_eq!(dense.len(), 2);
    assert!(!texts(&part, &dense).contains(&"red pear".to_owned()));
    assert!(found(&whole, "red").contains(&"red pear".to_owned()), "the whole state is what it was");
}

#[test]
fn one_documents_chunks_are_scored_as_they_are_among_all() {
    let (_dir, _, writer) = published(&[("a", "red apple\n\nred red pie"), ("b", "red pear"), ("c", "plum")]);
    let snapshot = writer.snapshot();
    let all = snapshot.search_words("red apple", None, 10).unwrap();
    for own in snapshot.words_in(&id("a"), "red apple", 10).unwrap() {
        assert!(all.contains(&own));
    }
    assert_eq!(snapshot.words_in(&id("c"), "red apple", 10).unwrap(), []);
    let question = vector("red pear", DIMENSION);
    let best = snapshot.dense_in(&id("b"), &question, 10);
    assert_eq!(best.len(), 1);
    assert_eq!(snapshot.key_of(&id("b"), 0), Some(best[0].key));
    assert_eq!((snapshot.key_of(&id("b"), 1), snapshot.key_of(&id("never"), 0)), (None, None));
}

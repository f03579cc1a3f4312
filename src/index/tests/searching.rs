//! What questions find.

use serde_json::json;

use super::*;
use crate::domain::Filter;

fn filter(value: serde_json::Value) -> Filter {
    serde_json::from_value(value).unwrap()
}

/// A published index of `count` documents of one chunk each, with clustered vectors of `dimension` numbers; every tenth
/// has the attribute `tens`, every two-hundredth `rare`.
fn clustered(count: usize, dimension: usize) -> (TempDir, Generations, GenerationWriter, Vec<Vec<f32>>) {
    let dir = tempfile::tempdir().unwrap();
    let generations = Generations::new(dir.path());
    let mut writer = generations.begin(&IndexSpec { dimension, ..spec() }, "boot").unwrap();
    let vectors: Vec<Vec<f32>> = (0..count).map(|at| near(at % 40, &format!("member {at}"), dimension)).collect();
    for (at, vector) in vectors.iter().enumerate() {
        let mut one = document(&format!("d{at:05}"), &format!("document number{at}"));
        one.vectors = vec![vector.clone()];
        one.entry.attributes.insert("tens".into(), json!(at % 10 == 0));
        one.entry.attributes.insert("rare".into(), json!(at % 200 == 0));
        writer.upsert(one).unwrap();
    }
    generations.publish(&mut writer).unwrap();
    (dir, generations, writer, vectors)
}

/// A unit vector near the middle of a cluster, as texts on one subject have.
fn near(cluster: usize, member: &str, dimension: usize) -> Vec<f32> {
    let (middle, own) = (vector(&format!("cluster {cluster}"), dimension), vector(member, dimension));
    unit(middle.iter().zip(&own).map(|(middle, own)| middle + 0.8 * own).collect())
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Share of the true ten best that a search finds, over some questions.
fn recall(snapshot: &Snapshot, vectors: &[Vec<f32>], filter: Option<&Filter>, may: impl Fn(usize) -> bool) -> f64 {
    let (mut hit, mut all) = (0, 0);
    for question in 0..50 {
        let question = near(question % 40, &format!("question {question}"), vectors[0].len());
        let allowed = (0..vectors.len()).filter(|at| may(*at));
        let mut exact: Vec<(f32, usize)> = allowed.map(|at| (cosine(&question, &vectors[at]), at)).collect();
        exact.sort_by(|a, b| b.0.total_cmp(&a.0));
        exact.truncate(10);
        let found = snapshot.search_dense(&question, filter, 10).unwrap();
        let names: Vec<String> = texts(snapshot, &found);
        hit += exact.iter().filter(|(_, at)| names.contains(&format!("document number{at}"))).count();
        all += exact.len();
        for ranked in &found {
            let name = snapshot.chunk(ranked.key).unwrap().unwrap().document.id.to_string();
            let at: usize = name[1..].parse().unwrap();
            assert!((ranked.score - cosine(&question, &vectors[at])).abs() < 2e-3, "a score is the cosine");
        }
    }
    f64::from(u32::try_from(hit).unwrap()) / f64::from(u32::try_from(all).unwrap())
}

#[test]
fn a_graph_finds_nearly_all_that_an_exact_search_finds_with_and_without_filters() {
    let (dir, _, mut writer, mut vectors) = clustered(3_000, 32);
    let snapshot = writer.snapshot();
    assert!(recall(&snapshot, &vectors, None, |_| true) >= 0.98);
    let tens = filter(json!({"type": "eq", "key": "tens", "value": true}));
    assert!(recall(&snapshot, &vectors, Some(&tens), |at| at % 10 == 0) >= 0.98);
    let most = filter(json!({"type": "eq", "key": "tens", "value": false}));
    assert!(recall(&snapshot, &vectors, Some(&most), |at| at % 10 != 0) >= 0.98, "the graph walks past the others");
    let rare = filter(json!({"type": "eq", "key": "rare", "value": true}));
    assert!(recall(&snapshot, &vectors, Some(&rare), |at| at % 200 == 0) >= 0.999, "few are compared one by one");

    // A third goes, some come: the graph keeps what is gone, and nobody sees it.
    for at in (0..3_000).filter(|at| at % 3 == 1) {
        writer.remove(&id(&format!("d{at:05}"))).unwrap();
    }
    for at in 3_000..3_050 {
        vectors.push(near(at % 40, &format!("member {at}"), 32));
        let mut one = document(&format!("d{at:05}"), &format!("document number{at}"));
        one.vectors = vec![vectors[at].clone()];
        writer.upsert(one).unwrap();
    }
    let after = writer.commit().unwrap();
    assert!(recall(&after, &vectors, None, |at| at >= 3_000 || at % 3 != 1) >= 0.98);
    assert!(recall(&snapshot, &vectors[..3_000], None, |_| true) >= 0.98, "old readers find what they found");

    // The same after a restart that found the graph of before, and after one that found none.
    drop(writer);
    let known = |snapshot: &Snapshot| recall(snapshot, &vectors, None, |at| at >= 3_000 || at % 3 != 1);
    assert!(known(&reopened(dir.path()).snapshot()) >= 0.98);
    std::fs::remove_file(dir.path().join("index/1/vectors.usearch")).unwrap();
    assert!(known(&reopened(dir.path()).snapshot()) >= 0.98);
}

#[test]
fn every_vector_of_a_graph_is_found_by_itself() {
    let (_dir, _, writer, vectors) = clustered(5_000, 16);
    let snapshot = writer.snapshot();
    let found = |at: usize| {
        let hits = snapshot.search_dense(&vectors[at], None, 5).unwrap();
        texts(&snapshot, &hits).contains(&format!("document number{at}"))
    };
    let lost: Vec<usize> = (0..vectors.len()).filter(|at| !found(*at)).collect();
    assert!(lost.is_empty(), "{} are in the graph, and nothing leads to them: {lost:?}", lost.len());
}

#[test]
fn a_generation_that_begins_to_serve_has_all_its_vectors_in_the_graph() {
    let dir = tempfile::tempdir().unwrap();
    let generations = Generations::new(dir.path());
    let mut writer = generations.begin(&spec(), "boot").unwrap();
    let add = |writer: &mut GenerationWriter, numbers: std::ops::Range<usize>| {
        numbers.for_each(|at| writer.upsert(document(&format!("d{at}"), &format!("number{at}"))).unwrap());
        let snapshot = writer.commit().unwrap();
        snapshot.vectors().graph().map_or(0, |graph| graph.len())
    };
    assert_eq!(add(&mut writer, 0..1_100), 1_100);
    assert_eq!(add(&mut writer, 1_100..1_150), 1_100, "a commit leaves a few beside it");
    let served = generations.publish(&mut writer).unwrap();
    assert_eq!(served.vectors().graph().unwrap().len(), 1_150);
    assert_eq!(add(&mut writer, 1_150..1_160), 1_150);
}

#[test]
fn a_graph_that_shrinks_becomes_flat_and_one_that_is_full_of_gone_ones_is_made_anew() {
    let (dir, generations, mut writer, vectors) = clustered(1_600, DIMENSION);
    assert!(dir.path().join("index/1/vectors.usearch").exists());
    for at in 500..1_600 {
        writer.remove(&id(&format!("d{at:05}"))).unwrap();
    }
    let snapshot = generations.publish(&mut writer).unwrap();
    assert!(!dir.path().join("index/1/vectors.usearch").exists());
    assert!(recall(&snapshot, &vectors[..500], None, |_| true) >= 0.999, "flat search is exact");
    drop(writer);
    assert_eq!(reopened(dir.path()).snapshot().search_dense(&vectors[7], None, 2_000).unwrap().len(), 500);
}

#[test]
fn searches_by_many_threads_at_once_find_what_one_alone_finds() {
    // More threads than a graph has seats. What a graph finds is fixed when it is built, so the answers must be equal.
    let (_dir, _, writer, vectors) = clustered(2_000, DIMENSION);
    let asked: Vec<usize> = (0..2_000).step_by(23).collect();
    let alone = writer.snapshot();
    let expected: Vec<_> = asked.iter().map(|&at| alone.search_dense(&vectors[at], None, 3).unwrap()).collect();
    std::thread::scope(|scope| {
        for thread in 0..40 {
            let (snapshot, vectors, asked, expected) = (writer.snapshot(), &vectors, &asked, &expected);
            scope.spawn(move || {
                for step in 0..asked.len() {
                    let at = (thread + step) % asked.len();
                    assert_eq!(snapshot.search_dense(&vectors[asked[at]], None, 3).unwrap(), expected[at]);
                }
            });
        }
    });
}

#[test]
fn filters_hold_for_words_and_vectors_alike() {
    let (_dir, _, mut writer) = published(&[("a/x", "red apple"), ("a/y", "green apple"), ("b/z", "red pear")]);
    let mut tagged = document("b/w", "yellow apple");
    tagged.entry.attributes.insert("year".into(), json!(2024));
    tagged.entry.kind = "markdown".into();
    writer.upsert(tagged).unwrap();
    let snapshot = writer.commit().unwrap();
    for (wanted, expected) in [
        (json!({"type": "eq", "key": "document_id", "value": "a/y"}), vec!["green apple"]),
        (json!({"type": "eq", "key": "kind", "value": "markdown"}), vec!["yellow apple"]),
        (json!({"type": "gte", "key": "year", "value": 2020}), vec!["yellow apple"]),
        (json!({"type": "in", "key": "name", "value": ["a/x", "a/y"]}), vec!["green apple", "red apple"]),
        (json!({"type": "eq", "key": "year", "value": 1}), vec![]),
    ] {
        let wanted = filter(wanted);
        for _ in 0..2 {
            let mut words = texts(&snapshot, &snapshot.search_words("apple", Some(&wanted), 10).unwrap());
            words.sort();
            assert_eq!(words, expected, "{wanted:?}");
            let question = vector("apple", DIMENSION);
            let mut dense = texts(&snapshot, &snapshot.search_dense(&question, Some(&wanted), 10).unwrap());
            dense.sort();
            assert_eq!(dense, expected, "{wanted:?}");
        }
    }
}

#[test]
fn bm25_counts_chunks_alone() {
    // Were the parts of texts counted as chunks, the average length would be halved, and scores with it.
    let (_dir, _, writer) = published(&[("a", "apple pear"), ("b", "plum")]);
    let score = writer.snapshot().search_words("apple", None, 1).unwrap()[0].score;
    let idf = (1.0f32 + (2.0 - 1.0 + 0.5) / (1.0 + 0.5)).ln();
    let expected = idf * 2.2 / (1.0 + 1.2 * (0.25 + 0.75 * 2.0 / 1.5));
    assert!((score - expected).abs() < 1e-4, "{score} is not {expected}");
}

#[test]
fn a_vector_of_another_length_and_a_depth_of_none_are_no_panic() {
    let (_dir, _, writer) = published(&[("a", "apple")]);
    let snapshot = writer.snapshot();
    assert!(matches!(snapshot.search_dense(&[1.0], None, 3), Err(IndexError::Engine(_))));
    assert_eq!(snapshot.search_dense(&vector("x", DIMENSION), None, 0).unwrap(), []);
    assert_eq!(snapshot.search_words("apple", None, 0).unwrap(), []);
    assert_eq!(snapshot.search_words("", None, 3).unwrap(), []);
    assert_eq!(snapshot.search_words("apple", None, usize::MAX).unwrap().len(), 1);
    assert!(snapshot.chunk(u64::MAX).unwrap().is_none());
}

#[test]
fn a_question_meets_documents_of_its_own_and_of_the_main_language() {
    let english = "The readers were borrowing books from the libraries of their universities during those years, and \
                   nobody was counting how many of them ever came back to the shelves where they had been standing.";
    let german = "Die Leser haben in jenen Jahren die Bücher aus den Bibliotheken ihrer Universitäten entliehen, und \
                  niemand zählte, wie viele davon jemals wieder in die Regale kamen, in denen sie gestanden hatten.";
    let (_dir, _, writer) = published(&[("en", english), ("de", german), ("note", "4711 0815")]);
    let snapshot = writer.snapshot();
    let language = |name: &str| snapshot.document(&id(name)).unwrap().language.clone();
    assert_eq!((language("en").as_str(), language("de").as_str(), language("note").as_str()), ("en", "de", "und"));
    assert_eq!(snapshot.language_of("Which libraries lend books to readers?"), "en");
    assert_eq!(snapshot.language_of("Aus welchen Bibliotheken wurde entliehen?"), "de");
    assert_eq!(found(&snapshot, "Which library lends a book?"), [english]);
    assert_eq!(found(&snapshot, "Welche Bibliothek und welcher Leser?"), [german]);
    assert!(
        found(&snapshot, "Where is 0815?").contains(&"4711 0815".to_owned()),
        "words of no known language stand as they are"
    );
}

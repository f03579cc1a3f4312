//! How good word search is, on judged questions: `CARREL_DATA=…/data cargo test index::tests::scores -- --nocapture`.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::*;

fn lines(path: PathBuf) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// nDCG@10 of word search over whole texts of a set in the BEIR layout, gains linear, as `score.py` beside the sets.
fn ndcg(set: &Path) -> f64 {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Generations::new(dir.path()).begin(&spec(), "eval").unwrap();
    for line in lines(set.join("corpus.jsonl")) {
        let whole = format!("{} {}", text(&line, "title"), text(&line, "text")).trim().replace("\n\n", "\n");
        writer.upsert(document(&text(&line, "_id"), &whole)).unwrap();
    }
    let snapshot = writer.commit().unwrap();
    let mut judged: HashMap<String, HashMap<String, f64>> = HashMap::new();
    for line in fs::read_to_string(set.join("qrels/test.tsv")).unwrap().lines().skip(1) {
        let [query, document, gain] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        judged.entry(query.into()).or_default().insert(document.into(), gain.parse().unwrap());
    }
    let mut sum = 0.0;
    for query in lines(set.join("queries.jsonl")) {
        let Some(gains) = judged.get(&text(&query, "_id")) else { continue };
        let hits = snapshot.search_words(&text(&query, "text"), None, 10).unwrap();
        let name = |hit: &Ranked| snapshot.chunk(hit.key).unwrap().unwrap().document.id.to_string();
        let discounted = |gains: &mut dyn Iterator<Item = f64>| -> f64 {
            gains.take(10).zip(2u32..).map(|(gain, place)| gain / f64::from(place).log2()).sum()
        };
        let mut best: Vec<f64> = gains.values().copied().collect();
        best.sort_by(|a, b| b.total_cmp(a));
        sum += discounted(&mut hits.iter().map(|hit| gains.get(&name(hit)).copied().unwrap_or(0.0)))
            / discounted(&mut best.into_iter());
    }
    sum / f64::from(u32::try_from(judged.len()).unwrap())
}

#[test]
fn word_search_is_as_good_as_the_reference() {
    let Some(data) = std::env::var_os("CARREL_DATA") else {
        eprintln!("SKIPPED: set CARREL_DATA to the folder that holds retrieval/scifact to measure word search");
        return;
    };
    for (set, reference, within) in
        [("scifact", 0.6791, 0.015), ("xquad-de", 0.9416, 0.03), ("xquad-zh", 0.9634, 0.03), ("xquad-ar", 0.9337, 0.03)]
    {
        let score = ndcg(&PathBuf::from(&data).join("retrieval").join(set));
        eprintln!("{set}: nDCG@10 {score:.4}, reference {reference:.4}");
        assert!(score >= reference - within, "{set}: {score:.4} is too far below {reference:.4}");
    }
}

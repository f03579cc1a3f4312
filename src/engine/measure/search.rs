//! Searches of an index of made-up chunks: how long they take, and how much of an exact search the graph finds.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;
use tokio::runtime::Handle;

use crate::domain::{Attributes, Chunk, ContentHash, DocumentId, Filter, Ranked};
use crate::index::{
    ANALYSER_VERSION, DocumentEntry, GenerationWriter, Generations, IndexSpec, IndexedDocument, Snapshot, fuse,
};

/// Numbers of a vector, as many as the built-in embedder's.
const DIMENSION: usize = 384;
/// Chunks of a document.
const CHUNKS: u64 = 10;
/// Words of a chunk: some 700 characters.
const WORDS: usize = 110;
/// Words there are, the rarer the further on (Zipf).
const VOCABULARY: f64 = 50_000.0;
/// Clusters that vectors lie in, and how far from their middles: harder than real texts, which lie closer together.
const CLUSTERS: u64 = 500;
const LOOSENESS: f32 = 0.9;
/// Candidates of each search, as tenants have them.
const DEPTH: usize = 100;
/// Questions that are held against an exact search.
const PROVEN: usize = 200;

/// Milliseconds that a number of calls took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spread {
    /// Half of them at most.
    pub p50_ms: f64,
    /// All but one in a hundred.
    pub p99_ms: f64,
}

/// What searches reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchSpeed {
    /// Chunks in the index.
    pub chunks: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Seconds to write and publish it.
    pub built_s: f64,
    /// Milliseconds to open it again.
    pub opened_ms: f64,
    /// Words and meaning side by side, then fusion; without making the question's vector.
    pub hybrid: Spread,
    /// Words alone.
    pub words: Spread,
    /// Meaning alone.
    pub dense: Spread,
    /// Meaning among the share of documents that a filter allows, by that share: one in so many.
    pub filtered: Vec<(u64, Spread)>,
    /// Share of the 10 nearest that the graph finds.
    pub recall_10: f64,
}

/// Builds an index of `chunks` made-up chunks under `root`, opens it again and asks it `questions` questions. Call it off
/// `runtime`'s event loop, which lends it a second thread.
///
/// # Errors
/// When something below fails.
pub fn measure_search(root: &Path, chunks: u64, questions: usize, runtime: &Handle) -> anyhow::Result<SearchSpeed> {
    let generations = Generations::new(root);
    let spec = IndexSpec {
        embedder: "made-up".into(),
        dimension: DIMENSION,
        parser: 0,
        chunker: String::new(),
        analyser: ANALYSER_VERSION,
    };
    let mut writer = generations.begin(&spec, "measure")?;
    let built = build(&mut writer, chunks.div_ceil(CHUNKS))? + timed(|| generations.publish(&mut writer))?.1;
    drop(writer);
    let (open, opened) = timed(|| generations.open_current())?;
    let snapshot = open.context("the index is gone")?.snapshot();
    let asked: Vec<Asked> = (0..questions as u64).map(Asked::new).collect();
    // Side by side, as a question does it.
    let hybrid = |asked: &Asked| {
        let (counting, terms) = (snapshot.clone(), asked.words.clone());
        let words = runtime.spawn_blocking(move || counting.search_words(&terms, None, DEPTH));
        let dense = snapshot.search_dense(&asked.vector, None, DEPTH)?;
        let words = runtime.block_on(words)??;
        let full = words.len() == DEPTH;
        Ok(fuse(&dense, &words, full, |key| snapshot.cosine(key, &asked.vector)))
    };
    let mut filtered = Vec::new();
    for share in [2, 10, 20, 40, 100, 1000] {
        let filter = one_in(&snapshot, share)?;
        let search = |asked: &Asked| Ok(snapshot.search_dense(&asked.vector, Some(&filter), DEPTH)?);
        filtered.push((share, spread(&asked, search)?));
    }
    Ok(SearchSpeed {
        chunks: snapshot.chunks(),
        bytes: snapshot.info().bytes,
        built_s: millis(built) / 1e3,
        opened_ms: millis(opened),
        hybrid: spread(&asked, hybrid)?,
        words: spread(&asked, |asked| Ok(snapshot.search_words(&asked.words, None, DEPTH)?))?,
        dense: spread(&asked, |asked| Ok(snapshot.search_dense(&asked.vector, None, DEPTH)?))?,
        filtered,
        recall_10: recall(&snapshot, &asked)?,
    })
}

/// A question: words, and a vector in one of the clusters.
struct Asked {
    words: String,
    vector: Vec<f32>,
}

impl Asked {
    fn new(number: u64) -> Self {
        // Away from the seeds of chunks.
        let seed = number + (1 << 40);
        Self { words: prose(seed, 10), vector: clustered(seed) }
    }
}

fn build(writer: &mut GenerationWriter, documents: u64) -> anyhow::Result<Duration> {
    let mut spent = Duration::ZERO;
    for number in 0..documents {
        let document = document(number)?;
        spent += timed(|| writer.upsert(document))?.1;
    }
    Ok(spent)
}

fn document(number: u64) -> anyhow::Result<IndexedDocument> {
    let (mut text, mut chunks, mut vectors) = (String::new(), Vec::new(), Vec::new());
    for ordinal in 0..CHUNKS {
        let (start, seed) = (text.len(), number * CHUNKS + ordinal);
        text.push_str(&prose(seed, WORDS));
        let (end, ordinal) = (text.len(), u32::try_from(ordinal)?);
        let (heading, page, words) = (String::new(), None, text[start..end].to_owned());
        let (passage_start, passage_end) = (start, end);
        chunks.push(Chunk { ordinal, start, end, text: words, heading, page, passage_start, passage_end });
        vectors.push(clustered(seed));
        text.push_str("\n\n");
    }
    let entry = DocumentEntry {
        id: DocumentId::parse(&format!("d{number}"))?,
        name: format!("d{number}"),
        title: String::new(),
        kind: "text".into(),
        content_hash: ContentHash::of(text.as_bytes()),
        bytes: text.len() as u64,
        chunks: u32::try_from(CHUNKS)?,
        pages: None,
        warnings: Vec::new(),
        attributes: Attributes::from([("number".into(), number.into())]),
        language: String::new(),
        prose: None,
    };
    Ok(IndexedDocument { entry, text: text.into(), chunks, vectors })
}

/// A filter that one document in `share` passes.
fn one_in(snapshot: &Snapshot, share: u64) -> anyhow::Result<Filter> {
    let below = snapshot.info().documents.div_ceil(share);
    Ok(Filter::try_from(serde_json::json!({"type": "lt", "key": "number", "value": below}))?)
}

/// Share of the true ten nearest that a search finds.
fn recall(snapshot: &Snapshot, asked: &[Asked]) -> anyhow::Result<f64> {
    let (mut found, mut all) = (0, 0);
    for asked in asked.iter().take(PROVEN) {
        let mut exact: Vec<Ranked> = Vec::new();
        for number in 0..snapshot.info().documents {
            exact.extend((0..CHUNKS).filter_map(|ordinal| {
                let key = crate::index::key_of(number, u32::try_from(ordinal).ok()?);
                Some(Ranked { key, score: snapshot.cosine(key, &asked.vector)? })
            }));
        }
        exact.sort_unstable_by(|a, b| b.score.total_cmp(&a.score));
        exact.truncate(10);
        let hits = snapshot.search_dense(&asked.vector, None, 10)?;
        found += exact.iter().filter(|best| hits.iter().any(|hit| hit.key == best.key)).count();
        all += exact.len();
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let share = found as f64 / all.max(1) as f64;
    Ok((share * 1e4).round() / 1e4)
}

fn timed<T, E: Into<anyhow::Error>>(work: impl FnOnce() -> Result<T, E>) -> anyhow::Result<(T, Duration)> {
    let begun = Instant::now();
    let done = work().map_err(Into::into)?;
    Ok((done, begun.elapsed()))
}

fn spread(asked: &[Asked], search: impl Fn(&Asked) -> anyhow::Result<Vec<Ranked>>) -> anyhow::Result<Spread> {
    let mut took = Vec::with_capacity(asked.len());
    for asked in asked {
        took.push(timed(|| search(asked))?.1);
    }
    took.sort_unstable();
    let at = |hundredth: usize| took.get(took.len() * hundredth / 100).copied().unwrap_or_default();
    Ok(Spread { p50_ms: millis(at(50)), p99_ms: millis(at(99)) })
}

/// Milliseconds with three digits.
fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}

/// Numbers that look drawn by lot, the same for the same seed (splitmix64, Steele, Lea and Flood, OOPSLA 2014).
struct Lots(u64);

impl Lots {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from 0 to 1.
    fn share(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are just what fits")]
        let share = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        share
    }

    /// A vector of unit length in any direction: each number the sum of four even ones, which is nearly normal.
    fn direction(&mut self) -> Vec<f32> {
        #[expect(clippy::cast_possible_truncation, reason = "seven digits are ample")]
        let number = |lots: &mut Self| ((0..4).map(|_| lots.share()).sum::<f64>() - 2.0) as f32;
        unit((0..DIMENSION).map(|_| number(self)).collect())
    }
}

/// Words as rare as words are (Zipf).
fn prose(seed: u64, words: usize) -> String {
    let mut lots = Lots(seed);
    (0..words).map(|_| format!("w{:.0}", VOCABULARY.powf(lots.share()))).collect::<Vec<_>>().join(" ")
}

/// A vector of unit length near the middle of a cluster.
fn clustered(seed: u64) -> Vec<f32> {
    let middle = Lots(Lots(seed).next() % CLUSTERS).direction();
    let own = Lots(!seed).direction();
    unit(middle.iter().zip(&own).map(|(middle, own)| middle + LOOSENESS * own).collect())
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|n| n * n).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    for number in &mut vector {
        *number /= length;
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_small_index_is_measured_whole() {
        let (home, runtime) = (tempfile::tempdir().unwrap(), Handle::current());
        let measured = tokio::task::spawn_blocking(move || measure_search(home.path(), 100, 5, &runtime));
        let speed = measured.await.unwrap().unwrap();
        assert_eq!(speed.chunks, 100);
        assert!((speed.recall_10 - 1.0).abs() < 1e-9, "few vectors are compared one by one");
        assert!(speed.hybrid.p50_ms <= speed.hybrid.p99_ms && speed.filtered.len() == 6);
    }
}

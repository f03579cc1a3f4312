//! Times and sizes, printed: `cargo test --release index::tests::measure -- --ignored --nocapture --test-threads 1`.

use std::time::{Duration, Instant};

use super::*;

/// Numbers of a vector of the built-in embedder.
const MINILM: usize = 384;

/// A text of words that are as rare as words are (Zipf), the same for the same seed.
fn prose(seed: u64, words: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let even = f64::from(u32::try_from(state >> 40).unwrap()) / f64::from(1 << 24);
        format!("w{:.0}", 50_000f64.powf(even))
    };
    (0..words).map(|_| word()).collect::<Vec<_>>().join(" ")
}

/// A vector in one of many loose clusters.
fn clustered(seed: u64, dimension: usize) -> Vec<f32> {
    let middle = vector(&format!("cluster {}", seed % 500), dimension);
    let own = vector(&format!("own {seed}"), dimension);
    unit(middle.iter().zip(&own).map(|(a, b)| a + 0.9 * b).collect())
}

/// A document of `chunks` chunks of about 700 characters.
fn page(number: u64, chunks: u64) -> IndexedDocument {
    let text: Vec<String> = (0..chunks).map(|at| prose(number * 1000 + at, 110)).collect();
    let mut page = document(&format!("page-{number}"), &text.join("\n\n"));
    page.vectors = (0..chunks).map(|at| clustered(number * 1000 + at, MINILM)).collect();
    page
}

fn built(documents: u64, chunks: u64) -> (TempDir, Generations, GenerationWriter) {
    let dir = tempfile::tempdir().unwrap();
    let generations = Generations::new(dir.path());
    let mut writer = generations.begin(&IndexSpec { dimension: MINILM, ..spec() }, "boot").unwrap();
    let mut spent = Duration::ZERO;
    for number in 0..documents {
        let page = page(number, chunks);
        let begun = Instant::now();
        writer.upsert(page).unwrap();
        spent += begun.elapsed();
    }
    let begun = Instant::now();
    writer.commit().unwrap();
    let committed = begun.elapsed();
    let begun = Instant::now();
    generations.publish(&mut writer).unwrap();
    eprintln!(
        "{documents} x {chunks}: upserts {spent:.0?}, commit {committed:.0?}, publish {:.0?}, {} KiB",
        begun.elapsed(),
        writer.snapshot().info().bytes / 1024
    );
    (dir, generations, writer)
}

/// Processor time of this thread since it began.
fn on_processor() -> Duration {
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(counted.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
}

/// Mean processor time of `work`, and the median and 99th percentile of its wall time, in words.
fn timed(times: usize, mut work: impl FnMut(usize)) -> String {
    let before = on_processor();
    let mut took: Vec<Duration> = (0..times)
        .map(|at| {
            let begun = Instant::now();
            work(at);
            begun.elapsed()
        })
        .collect();
    let processor = on_processor().saturating_sub(before) / u32::try_from(times).unwrap();
    took.sort();
    format!("{processor:.1?} (p50 {:.1?}, p99 {:.1?})", took[took.len() / 2], took[took.len() * 99 / 100])
}

fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

fn searches(snapshot: &Snapshot) {
    let vectors: Vec<Vec<f32>> = (0..300).map(|at| clustered(at * 7919 + 3, MINILM)).collect();
    let dense = timed(300, |at| _ = snapshot.search_dense(&vectors[at], None, 100).unwrap());
    let words = timed(300, |at| _ = snapshot.search_words(&prose(at as u64 + 77, 10), None, 100).unwrap());
    let language = timed(300, |at| _ = snapshot.language_of(&format!("how often does question {at} come up?")));
    let key = snapshot.search_words(&prose(5, 10), None, 50).unwrap();
    let chunk = timed(300, |at| _ = snapshot.chunk(key[at % key.len()].key).unwrap());
    let one = snapshot.documents().next().unwrap().id.clone();
    let text = timed(300, |_| _ = snapshot.text(&one).unwrap());
    eprintln!("  dense {dense}, words {words}, language {language}, chunk {chunk}, text {text}");
    for share in [2u64, 10, 100, 1000] {
        let listed: Vec<_> =
            snapshot.documents().step_by(usize::try_from(share).unwrap()).map(|entry| entry.id.to_string()).collect();
        let filter: crate::domain::Filter =
            serde_json::from_value(serde_json::json!({"type": "in", "key": "document_id", "value": listed})).unwrap();
        let begun = Instant::now();
        snapshot.search_dense(&vectors[0], Some(&filter), 10).unwrap();
        let first = begun.elapsed();
        let dense = timed(100, |at| _ = snapshot.search_dense(&vectors[at], Some(&filter), 100).unwrap());
        let words = timed(100, |at| _ = snapshot.search_words(&prose(at as u64 + 77, 10), Some(&filter), 100).unwrap());
        eprintln!("  1 of {share}: first {first:.0?}, then dense {dense}, words {words}");
    }
}

#[test]
#[ignore = "measures"]
fn times_of_a_thousand_pages() {
    let (dir, generations, mut writer) = built(1000, 10);
    searches(&writer.snapshot());
    let commit = timed(30, |at| {
        writer.upsert(page(5000 + at as u64, 10)).unwrap();
        writer.commit().unwrap();
    });
    eprintln!("one more page: upsert and commit {commit}");
    writer.seal().unwrap();
    drop(writer);
    let opening = timed(10, |_| drop(generations.open_current().unwrap()));
    eprintln!("open {opening}");
    std::fs::remove_file(dir.path().join("index/1/vectors.usearch")).unwrap();
    let begun = Instant::now();
    drop(generations.open_current().unwrap());
    eprintln!("open without the saved graph {:.0?}", begun.elapsed());
}

#[test]
#[ignore = "measures"]
fn times_of_many_chunks() {
    let chunks: u64 = std::env::var("CARREL_CHUNKS").ok().and_then(|chunks| chunks.parse().ok()).unwrap_or(15_000);
    let before = memory_kib();
    let (_dir, generations, writer) = built(chunks / 10, 10);
    searches(&writer.snapshot());
    drop(writer);
    let begun = Instant::now();
    let writer = generations.open_current().unwrap().unwrap();
    eprintln!("open {:.0?}; memory grew {} MiB", begun.elapsed(), (memory_kib() - before) / 1024);
    drop(writer);
}

#[test]
#[ignore = "measures"]
fn sizes_of_small_tenants() {
    for chunks in [0, 20] {
        let dir = tempfile::tempdir().unwrap();
        let begun = Instant::now();
        let tenants: Vec<Generations> = (0..200).map(|at| Generations::new(&dir.path().join(at.to_string()))).collect();
        for generations in &tenants {
            let mut writer = generations.begin(&IndexSpec { dimension: MINILM, ..spec() }, "boot").unwrap();
            if chunks > 0 {
                writer.upsert(page(1, chunks)).unwrap();
            }
            generations.publish(&mut writer).unwrap();
        }
        let made = begun.elapsed() / 200;
        let before = memory_kib();
        let begun = Instant::now();
        let open: Vec<GenerationWriter> =
            tenants.iter().map(|generations| generations.open_current().unwrap().unwrap()).collect();
        let opened = begun.elapsed() / 200;
        let memory = (memory_kib() - before) / 200;
        let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
        let files = files::names(&dir.path().join("0/index/1")).unwrap().len()
            + files::names(&dir.path().join("0/index/1/tantivy")).unwrap().len();
        eprintln!(
            "{chunks} chunks: made in {made:.1?}, opened in {opened:.2?}, {memory} KiB of memory, {} bytes in {files} names; \
             {threads} threads, {descriptors} descriptors in all",
            open[0].snapshot().info().bytes
        );
    }
}

/// Rows of single-precision numbers, as raw bytes.
fn rows(path: &Path) -> Vec<Vec<f32>> {
    let bytes = std::fs::read(path).unwrap();
    let number = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
    bytes.chunks(MINILM * 4).map(|row| row.chunks(4).map(number).collect()).collect()
}

/// Wants `texts.f32` and `questions.f32`, rows of 384 numbers each, in the folder that `CARREL_VECTORS` names.
#[test]
#[ignore = "measures"]
fn recall_of_the_graph_on_real_vectors() {
    let Some(folder) = std::env::var_os("CARREL_VECTORS") else {
        eprintln!("SKIPPED: set CARREL_VECTORS to a folder with texts.f32 and questions.f32");
        return;
    };
    let (texts, questions) =
        (rows(&Path::new(&folder).join("texts.f32")), rows(&Path::new(&folder).join("questions.f32")));
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Generations::new(dir.path()).begin(&IndexSpec { dimension: MINILM, ..spec() }, "boot").unwrap();
    for (at, vector) in texts.iter().enumerate() {
        let mut one = document(&at.to_string(), &format!("text {at}"));
        one.vectors = vec![vector.clone()];
        writer.upsert(one).unwrap();
    }
    let snapshot = writer.commit().unwrap();
    let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let (mut hit, mut hit_deep) = (0, 0);
    for question in &questions {
        let mut exact: Vec<(f32, u64)> = (0..).zip(&texts).map(|(at, text)| (cosine(question, text), at)).collect();
        exact.sort_by(|a, b| b.0.total_cmp(&a.0));
        let best: Vec<u64> = exact[..100].iter().map(|(_, at)| *at).collect();
        // Documents are numbered in the order they came.
        let numbers = |depth| -> Vec<u64> {
            snapshot.search_dense(question, None, depth).unwrap().iter().map(|hit| document_of(hit.key)).collect()
        };
        hit += numbers(10).iter().filter(|at| best[..10].contains(at)).count();
        hit_deep += numbers(100).iter().filter(|at| best.contains(at)).count();
    }
    let ten = timed(questions.len(), |at| _ = snapshot.search_dense(&questions[at], None, 10).unwrap());
    let hundred = timed(questions.len(), |at| _ = snapshot.search_dense(&questions[at], None, 100).unwrap());
    let share = |hit: usize, of: usize| f64::from(u32::try_from(hit).unwrap()) / f64::from(u32::try_from(of).unwrap());
    eprintln!(
        "{} vectors: recall@10 {:.4} in {ten}, recall@100 {:.4} in {hundred}",
        texts.len(),
        share(hit, questions.len() * 10),
        share(hit_deep, questions.len() * 100)
    );
}

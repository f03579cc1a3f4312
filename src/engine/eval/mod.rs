//! Retrieval scores on judged questions: nDCG@10, Recall@10, Recall@100 and MRR@10.
//!
//! [`spans`] scores the finer thing: how much of the words that answer is in the chunks that are found.
//!
//! Data sets are in the BEIR layout: `corpus.jsonl` (`_id`, `title`, `text`), `queries.jsonl` (`_id`, `text`),
//! `qrels/test.tsv` (question, document, grade). The index is built once a data set and embedder, kept, and reopened.

mod spans;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use self::spans::SpanScores;
use super::{Engine, fitting};
use crate::config::TenantSettings;
use crate::domain::{Attributes, Chunk, ContentHash, DocumentId, Extracted, Mode};
use crate::embed::{Embedder, Purpose};
use crate::index::{DocumentEntry, Generations, IndexSpec, IndexedDocument, Snapshot};
use crate::ingest;

/// Documents looked at a question, as the figures' names say.
const DEPTH: usize = 100;
/// Texts embedded a call.
const BATCH: usize = 256;

/// Whether a document is searched whole or in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// One chunk a document, cut off by the embedder where it is longer.
    Whole,
    /// As the pipeline cuts it; a document counts at its best chunk.
    Chunk,
}

/// Scores, each the mean over the questions, 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scores {
    /// The folder's name.
    pub dataset: String,
    /// How it was searched.
    pub mode: Mode,
    /// What was searched.
    pub per: Per,
    /// Questions that have judgements.
    pub queries: usize,
    /// Normalised discounted cumulative gain (Järvelin and Kekäläinen 2002), grades as gains.
    #[serde(rename = "ndcg@10")]
    pub ndcg_10: f64,
    /// Share of the right documents among the first 10.
    #[serde(rename = "recall@10")]
    pub recall_10: f64,
    /// Share of the right documents among the first 100.
    #[serde(rename = "recall@100")]
    pub recall_100: f64,
    /// One over the place of the first right document among the first 10.
    #[serde(rename = "mrr@10")]
    pub mrr_10: f64,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "_id")]
    id: String,
    #[serde(default)]
    title: String,
    text: String,
}

type Judgements = BTreeMap<String, HashMap<String, u32>>;

impl Engine {
    /// Scores retrieval under `settings` on the data set at `dataset`; the index is kept under `work`. `progress` hears of
    /// documents done and all. Recall@100 wants at least as many candidates.
    ///
    /// # Errors
    /// When the data set is not of the layout above, or something below fails.
    pub async fn eval(
        &self,
        dataset: &Path,
        work: &Path,
        settings: &TenantSettings,
        per: Per,
        progress: impl Fn(usize, usize),
    ) -> anyhow::Result<Scores> {
        let name = dataset.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let judgements = judgements(&dataset.join("qrels/test.tsv"))?;
        let questions: Vec<Line> = lines(&dataset.join("queries.jsonl"))?;
        let snapshot = self.eval_index(dataset, work, settings, per, progress).await?;
        let mode = settings.retrieval.mode;
        let mut sums = [0.0; 4];
        let mut asked = 0usize;
        for question in &questions {
            let Some(right) = judgements.get(&question.id) else { continue };
            // More chunks than documents are looked at, since several may be of one document.
            let depth = settings.retrieval.candidates * if per == Per::Chunk { 4 } else { 1 };
            let found = self.rank(&snapshot, question.text.trim(), mode, depth).await?;
            let found = documents(&snapshot, &found)?;
            asked += 1;
            sums.iter_mut().zip(score(&found, right)).for_each(|(sum, score)| *sum += score);
        }
        ensure!(asked > 0, "no question of queries.jsonl has a judgement in qrels/test.tsv");
        #[expect(clippy::cast_precision_loss, reason = "a count of questions is far below 2^52")]
        let mean = sums.map(|sum| (sum / asked as f64 * 1e4).round() / 1e4);
        let [ndcg_10, recall_10, recall_100, mrr_10] = mean;
        Ok(Scores { dataset: name, mode, per, queries: asked, ndcg_10, recall_10, recall_100, mrr_10 })
    }

    /// Opens the data set's index, or builds it.
    async fn eval_index(
        &self,
        dataset: &Path,
        work: &Path,
        settings: &TenantSettings,
        per: Per,
        progress: impl Fn(usize, usize),
    ) -> anyhow::Result<Snapshot> {
        let corpus = fs::read(dataset.join("corpus.jsonl")).context("the data set has no corpus.jsonl")?;
        let spec = self.spec(settings).await?;
        let identity = format!("{} {per:?} {spec:?}", ContentHash::of(&corpus));
        let home = work.join(&ContentHash::of(identity.as_bytes()).to_string()[..16]);
        fs::create_dir_all(&home)?;
        // Another run over the same data set would sweep away what this one writes: it waits, and finds it made.
        let alone = fs::File::create(home.with_extension("lock"))?;
        alone.lock()?;
        let generations = Generations::new(&home);
        if let Ok(Some(open)) = generations.open_current() {
            return Ok(open.snapshot());
        }
        generations.sweep()?;
        let lines: Vec<Line> = lines(&dataset.join("corpus.jsonl"))?;
        let mut writer = generations.begin(&spec, "eval")?;
        for (at, batch) in lines.chunks(BATCH).enumerate() {
            progress(at * BATCH, lines.len());
            for document in self.eval_documents(batch, &spec, settings, per).await? {
                writer.upsert(document)?;
            }
        }
        Ok(generations.publish(&mut writer)?)
    }

    /// A batch of lines, cut and embedded.
    async fn eval_documents(
        &self,
        lines: &[Line],
        spec: &IndexSpec,
        settings: &TenantSettings,
        per: Per,
    ) -> anyhow::Result<Vec<IndexedDocument>> {
        let embedder = self.embedder_of(spec)?;
        let chunking = fitting(&settings.chunking, &*embedder);
        let mut documents = Vec::with_capacity(lines.len());
        for line in lines {
            let extracted = extracted(line, per);
            let chunks = match per {
                Per::Whole => vec![whole(&extracted.text)],
                Per::Chunk => ingest::split(&extracted, &chunking, &|text| embedder.count_tokens(text)),
            };
            documents.push(document(&line.id, extracted, chunks)?);
        }
        embed_all(&*embedder, &mut documents).await?;
        Ok(documents)
    }
}

/// Gives documents their vectors.
async fn embed_all(embedder: &dyn Embedder, documents: &mut [IndexedDocument]) -> anyhow::Result<()> {
    let texts = |one: &IndexedDocument| {
        one.chunks.iter().map(|chunk| chunk.embedding_text(&one.entry.title)).collect::<Vec<_>>()
    };
    let texts: Vec<String> = documents.iter().flat_map(texts).collect();
    let mut vectors = embedder.embed(&texts, Purpose::Passage).await?.vectors.into_iter();
    for document in documents {
        document.vectors = vectors.by_ref().take(document.chunks.len()).collect();
    }
    Ok(())
}

/// A line as a reader would give it; title and text are one where it is searched whole, as published scores have it.
fn extracted(line: &Line, per: Per) -> Extracted {
    let (title, text) = match per {
        Per::Whole => (String::new(), format!("{} {}", line.title, line.text).trim().to_owned()),
        Per::Chunk => (line.title.clone(), line.text.clone()),
    };
    Extracted { kind: "text".into(), title, text, marks: Vec::new(), warnings: Vec::new() }
}

/// A text as one chunk.
fn whole(text: &str) -> Chunk {
    Chunk {
        ordinal: 0,
        start: 0,
        end: text.len(),
        text: text.to_owned(),
        heading: String::new(),
        page: None,
        passage_start: 0,
        passage_end: text.len(),
    }
}

/// A document of an evaluation, its vectors still to come.
pub(super) fn document(id: &str, extracted: Extracted, chunks: Vec<Chunk>) -> anyhow::Result<IndexedDocument> {
    let entry = DocumentEntry {
        id: DocumentId::parse(id)?,
        name: id.to_owned(),
        title: extracted.title,
        kind: extracted.kind,
        content_hash: ContentHash::of(extracted.text.as_bytes()),
        bytes: extracted.text.len() as u64,
        chunks: u32::try_from(chunks.len())?,
        pages: None,
        warnings: Vec::new(),
        attributes: Attributes::new(),
        language: String::new(),
        prose: None,
    };
    Ok(IndexedDocument { entry, text: extracted.text.into(), chunks, vectors: Vec::new() })
}

/// The documents of ranked chunks, each at its best chunk, at most [`DEPTH`].
fn documents(snapshot: &Snapshot, found: &[crate::domain::Ranked]) -> anyhow::Result<Vec<DocumentId>> {
    let (mut seen, mut documents) = (HashSet::new(), Vec::new());
    for ranked in found {
        if documents.len() == DEPTH {
            break;
        }
        if seen.insert(crate::index::document_of(ranked.key))
            && let Some(stored) = snapshot.chunk(ranked.key)?
        {
            documents.push(stored.document.id.clone());
        }
    }
    Ok(documents)
}

/// nDCG@10, Recall@10, Recall@100, MRR@10 of one question.
fn score(found: &[DocumentId], right: &HashMap<String, u32>) -> [f64; 4] {
    let grade = |id: &DocumentId| f64::from(right.get(id.as_str()).copied().unwrap_or(0));
    #[expect(clippy::cast_precision_loss, reason = "places are below 100")]
    let discount = |at: usize| (at as f64 + 2.0).log2();
    let gain: f64 = found.iter().take(10).enumerate().map(|(at, id)| grade(id) / discount(at)).sum();
    let mut best: Vec<f64> = right.values().map(|grade| f64::from(*grade)).collect();
    best.sort_by(|a, b| b.total_cmp(a));
    let ideal: f64 = best.iter().take(10).enumerate().map(|(at, grade)| grade / discount(at)).sum();
    let is_right = |id: &&DocumentId| grade(id) > 0.0;
    #[expect(clippy::cast_precision_loss, reason = "counts are below 100")]
    let recall = |depth: usize| {
        found.iter().take(depth).filter(is_right).count() as f64
            / best.iter().filter(|grade| **grade > 0.0).count().max(1) as f64
    };
    #[expect(clippy::cast_precision_loss, reason = "places are below 100")]
    let first = found.iter().take(10).position(|id| grade(id) > 0.0).map_or(0.0, |at| 1.0 / (at as f64 + 1.0));
    [if ideal > 0.0 { gain / ideal } else { 0.0 }, recall(10), recall(100), first]
}

fn lines<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let line = |(at, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| format!("{}:{}", path.display(), at + 1))
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(line).collect()
}

fn judgements(path: &Path) -> anyhow::Result<Judgements> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut judgements = Judgements::new();
    for (at, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
        let mut columns = line.split('\t');
        let (Some(question), Some(document), Some(grade)) = (columns.next(), columns.next(), columns.next()) else {
            anyhow::bail!("{}:{}: three columns are wanted", path.display(), at + 1)
        };
        judgements.entry(question.to_owned()).or_default().insert(document.to_owned(), grade.trim().parse()?);
    }
    Ok(judgements)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ids: &[&str]) -> Vec<DocumentId> {
        ids.iter().map(|id| DocumentId::parse(id).unwrap()).collect()
    }

    #[test]
    fn the_right_document_first_scores_one_everywhere() {
        let right = HashMap::from([("a".to_owned(), 1)]);
        assert!(score(&found(&["a", "b"]), &right).iter().all(|score| (score - 1.0).abs() < 1e-9));
    }

    #[test]
    fn the_right_document_third_is_discounted_by_its_place() {
        let right = HashMap::from([("c".to_owned(), 1)]);
        let [ndcg, recall, _, mrr] = score(&found(&["a", "b", "c"]), &right);
        assert!((ndcg - 0.5).abs() < 1e-9 && (recall - 1.0).abs() < 1e-9 && (mrr - 1.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn grades_weigh_and_what_is_missing_counts_as_nothing() {
        let right = HashMap::from([("a".to_owned(), 2), ("b".to_owned(), 1)]);
        let [ndcg, recall, ..] = score(&found(&["b"]), &right);
        assert!((ndcg - 1.0 / (2.0 + 1.0 / 3f64.log2())).abs() < 1e-9);
        assert!((recall - 0.5).abs() < 1e-9);
    }
}

//! How good answers are: whether they quote the words that answer, and whether questions without an answer are refused.
//!
//! A corpus is a folder of one of two layouts: `questions.jsonl` (`file`, `question`, `excerpts`: the words of the file that
//! answer) and the files it names; or BEIR's, which names the documents that answer and not the words.

mod evidence;
mod quotes;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use self::evidence::EvidenceScores;
pub use self::quotes::QuoteScores;
use super::Engine;
use crate::config::TenantSettings;
use crate::domain::{Extracted, TenantId};
use crate::embed::Purpose;
use crate::index::{Generations, IndexedDocument, Snapshot};
use crate::ingest;
use crate::telemetry::TenantMetrics;

/// Chunks embedded a call.
const BATCH: usize = 256;
/// Longest question that is asked, characters.
const LONGEST_QUESTION: usize = 100_000;

/// Texts, and questions about them.
struct Corpus {
    name: String,
    texts: BTreeMap<String, Extracted>,
    questions: Vec<Judged>,
}

/// A question and what answers it.
#[derive(Clone)]
struct Judged {
    question: String,
    /// Ids of the texts that answer; never empty.
    texts: Vec<String>,
    /// The bytes of the first of them that answer; empty where nobody judged that.
    excerpts: Vec<Range<usize>>,
}

#[derive(Deserialize)]
struct SpanLine {
    file: String,
    question: String,
    excerpts: Vec<String>,
}

#[derive(Deserialize)]
struct BeirLine {
    #[serde(rename = "_id")]
    id: String,
    #[serde(default)]
    title: String,
    text: String,
}

impl Engine {
    async fn corpus(&self, folder: &Path) -> anyhow::Result<Corpus> {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let names_words = folder.join("questions.jsonl").exists();
        let (texts, questions) = if names_words { self.spans(folder).await? } else { beir(folder)? };
        ensure!(!questions.is_empty(), "no question of {name} names a text that answers it");
        Ok(Corpus { name, texts, questions })
    }

    /// A corpus of the first layout; its files are read as a tenant's documents are.
    async fn spans(&self, folder: &Path) -> anyhow::Result<(BTreeMap<String, Extracted>, Vec<Judged>)> {
        let lines: Vec<SpanLine> = lines(&folder.join("questions.jsonl"))?;
        let mut texts = BTreeMap::new();
        for file in lines.iter().map(|line| &line.file).collect::<BTreeSet<_>>() {
            let bytes = fs::read(folder.join(file)).with_context(|| format!("cannot read {file}"))?;
            texts.insert(file.clone(), self.extractor.extract(file, bytes.into()).await?);
        }
        let judged = |line: SpanLine| {
            let text = &texts[&line.file].text;
            let place = |excerpt: &String| {
                let start = text.find(excerpt.as_str());
                let start = start.with_context(|| format!("an excerpt does not stand in {}", line.file))?;
                Ok(start..start + excerpt.len())
            };
            let excerpts = line.excerpts.iter().map(place).collect::<anyhow::Result<_>>()?;
            Ok(Judged { question: line.question, texts: vec![line.file.clone()], excerpts })
        };
        let questions = lines.into_iter().map(judged).collect::<anyhow::Result<_>>()?;
        Ok((texts, questions))
    }

    /// An index of those texts of `corpus` that `takes` takes, cut and embedded as a tenant's documents are. It lives as
    /// long as the folder that is returned with it.
    async fn index_of(
        &self,
        corpus: &Corpus,
        takes: impl Fn(&str) -> bool,
        work: &Path,
        settings: &TenantSettings,
    ) -> anyhow::Result<(tempfile::TempDir, Snapshot)> {
        fs::create_dir_all(work)?;
        let home = tempfile::tempdir_in(work)?;
        let spec = self.spec(settings).await?;
        let embedder = self.embedder_of(&spec)?;
        let generations = Generations::new(home.path());
        let mut writer = generations.begin(&spec, "eval")?;
        let mut waiting: Vec<IndexedDocument> = Vec::new();
        let mut texts = corpus.texts.iter().filter(|(id, _)| takes(id)).peekable();
        while let Some((id, extracted)) = texts.next() {
            let chunks = ingest::split(extracted, &settings.chunking, &|text| embedder.count_tokens(text));
            waiting.push(super::eval::document(id, extracted.clone(), chunks)?);
            let chunks: usize = waiting.iter().map(|document| document.chunks.len()).sum();
            if chunks < BATCH && texts.peek().is_some() {
                continue;
            }
            let texts =
                waiting.iter().flat_map(|one| one.chunks.iter().map(|chunk| chunk.embedding_text(&one.entry.title)));
            let texts: Vec<String> = texts.collect();
            let mut vectors = embedder.embed(&texts, Purpose::Passage).await?.vectors.into_iter();
            for mut document in waiting.drain(..) {
                document.vectors = vectors.by_ref().take(document.chunks.len()).collect();
                writer.upsert(document)?;
            }
        }
        let snapshot = generations.publish(&mut writer)?;
        Ok((home, snapshot))
    }
}

/// Metrics that nobody reads.
fn unheard() -> anyhow::Result<TenantMetrics> {
    Ok(TenantMetrics::register(&TenantId::parse("eval")?, 0))
}

fn beir(folder: &Path) -> anyhow::Result<(BTreeMap<String, Extracted>, Vec<Judged>)> {
    let corpus: Vec<BeirLine> = lines(&folder.join("corpus.jsonl"))?;
    let extracted = |line: BeirLine| {
        let (kind, marks, warnings) = ("text".to_owned(), Vec::new(), Vec::new());
        (line.id, Extracted { kind, title: line.title, text: line.text, marks, warnings })
    };
    let texts = corpus.into_iter().map(extracted).collect();
    let judgements = fs::read_to_string(folder.join("qrels/test.tsv")).context("cannot read qrels/test.tsv")?;
    let mut right: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for line in judgements.lines().skip(1) {
        let mut columns = line.split('\t');
        if let (Some(question), Some(text), Some(grade)) = (columns.next(), columns.next(), columns.next())
            && grade.trim() != "0"
        {
            right.entry(question).or_default().push(text.to_owned());
        }
    }
    let questions: Vec<BeirLine> = lines(&folder.join("queries.jsonl"))?;
    let judged = |line: BeirLine| {
        let texts = right.get(line.id.as_str())?.clone();
        Some(Judged { question: line.text, texts, excerpts: Vec::new() })
    };
    Ok((texts, questions.into_iter().filter_map(judged).collect()))
}

fn lines<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let line = |(at, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| format!("{}:{}", path.display(), at + 1))
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(line).collect()
}

/// A share, rounded to four digits; 0 of none.
fn share(part: usize, whole: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of questions and bytes are far below 2^52")]
    let share = part as f64 / whole.max(1) as f64;
    (share * 1e4).round() / 1e4
}

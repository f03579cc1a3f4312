//! How much of the words that answer is among the chunks found, and how much else: recall and precision by bytes.
//!
//! A folder holds `questions.jsonl` (`file`, `question`, `excerpts`: the words of the file that answer) and the files. The
//! files are cut, embedded and indexed as a tenant's documents are, so chunk sizes can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use super::super::search::Clock;
use super::super::{Engine, fitting};
use super::{document, embed_all, lines};
use crate::config::{ChunkingSettings, TenantSettings};
use crate::domain::{Chunk, Hit, Mode, Question};
use crate::index::{Generations, IndexSpec, IndexedDocument};
use crate::ingest;

/// Longest question looked at, characters; data sets have shorter ones.
const MAX_QUESTION: usize = 100_000;

/// Scores of the first `top_k` chunks, each the mean over the questions, 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpanScores {
    /// The folder's name.
    pub dataset: String,
    /// How it was searched.
    pub mode: Mode,
    /// Largest chunk, model tokens.
    pub max_tokens: usize,
    /// Model tokens repeated from the chunk before.
    pub overlap_tokens: usize,
    /// Chunks looked at a question.
    pub top_k: usize,
    /// Questions asked.
    pub questions: usize,
    /// Chunks in the index.
    pub chunks: u64,
    /// The largest text that the embedder was given, model tokens; what is above its limit would be cut off.
    pub largest_tokens: usize,
    /// Share of the excerpts' bytes that the chunks hold.
    pub recall: f64,
    /// Share of the chunks' bytes that excerpts hold.
    pub precision: f64,
    /// Bytes that both hold, of those that either holds.
    pub iou: f64,
}

#[derive(Deserialize)]
struct Line {
    file: String,
    question: String,
    excerpts: Vec<String>,
}

impl Engine {
    /// Scores chunks under `settings` on the questions at `dataset`; the index is made under `work` and removed again.
    ///
    /// # Errors
    /// When the folder is not of the layout above, an excerpt does not stand in its file, or something below fails.
    pub async fn eval_spans(
        &self,
        dataset: &Path,
        work: &Path,
        settings: &TenantSettings,
        top_k: usize,
    ) -> anyhow::Result<SpanScores> {
        let lines: Vec<Line> = lines(&dataset.join("questions.jsonl"))?;
        ensure!(!lines.is_empty(), "questions.jsonl holds no question");
        fs::create_dir_all(work)?;
        let home = tempfile::tempdir_in(work)?;
        let spec = self.spec(settings).await?;
        let chunking = fitting(&settings.chunking, &*self.embedder_of(&spec)?);
        let (documents, largest_tokens) = self.cut_files(dataset, &lines, &spec, &chunking).await?;
        let texts: BTreeMap<String, Arc<str>> =
            documents.iter().map(|one| (one.entry.name.clone(), Arc::clone(&one.text))).collect();
        let generations = Generations::new(home.path());
        let mut writer = generations.begin(&spec, "eval")?;
        for document in documents {
            writer.upsert(document)?;
        }
        let snapshot = generations.publish(&mut writer)?;
        let mode = settings.retrieval.mode;
        let mut sums = [0.0; 3];
        for line in &lines {
            let wanted = line.wanted(&texts[&line.file])?;
            let question = Question::parse(&line.question, top_k as u64, mode, None, MAX_QUESTION)?;
            let question = Question { per_document: Some(top_k), ..question };
            let hits = self.find(&snapshot, &question, &settings.retrieval, &mut Clock::silent()).await?.hits;
            sums.iter_mut().zip(score(&wanted, &line.file, &hits)).for_each(|(sum, score)| *sum += score);
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of questions is far below 2^52")]
        let [recall, precision, iou] = sums.map(|sum| (sum / lines.len() as f64 * 1e4).round() / 1e4);
        Ok(SpanScores {
            dataset: dataset.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            mode,
            max_tokens: chunking.max_tokens,
            overlap_tokens: chunking.overlap_tokens,
            top_k,
            questions: lines.len(),
            chunks: snapshot.chunks(),
            largest_tokens,
            recall,
            precision,
            iou,
        })
    }

    /// The files that questions name, read, cut and embedded as a tenant's would be, and the most model tokens that one
    /// chunk took.
    async fn cut_files(
        &self,
        dataset: &Path,
        lines: &[Line],
        spec: &IndexSpec,
        chunking: &ChunkingSettings,
    ) -> anyhow::Result<(Vec<IndexedDocument>, usize)> {
        let embedder = self.embedder_of(spec)?;
        let files: BTreeSet<&str> = lines.iter().map(|line| line.file.as_str()).collect();
        let (mut documents, mut largest) = (Vec::new(), 0);
        for file in files {
            let bytes = fs::read(dataset.join(file)).with_context(|| format!("cannot read {file}"))?;
            let extracted = self.extractor.extract(file, bytes.into()).await?;
            let chunks = ingest::split(&extracted, chunking, &|text| embedder.count_tokens(text));
            let tokens = |chunk: &Chunk| embedder.count_tokens(&chunk.embedding_text(&extracted.title));
            largest = chunks.iter().map(tokens).fold(largest, usize::max);
            documents.push(document(file, extracted, chunks)?);
        }
        embed_all(&*embedder, &mut documents).await?;
        Ok((documents, largest))
    }
}

impl Line {
    /// Where the excerpts stand in their file's text.
    fn wanted(&self, text: &str) -> anyhow::Result<Vec<Range<usize>>> {
        let place = |excerpt: &String| {
            let start = text.find(excerpt.as_str());
            let start = start.with_context(|| format!("an excerpt does not stand in {}", self.file))?;
            Ok(start..start + excerpt.len())
        };
        Ok(joined(self.excerpts.iter().map(place).collect::<anyhow::Result<_>>()?))
    }
}

/// Recall, precision and intersection over union of one question.
fn score(wanted: &[Range<usize>], file: &str, hits: &[Hit]) -> [f64; 3] {
    let here = hits.iter().filter(|hit| hit.document_id.as_str() == file).map(|hit| hit.start..hit.end).collect();
    let elsewhere = hits.iter().filter(|hit| hit.document_id.as_str() != file).map(|hit| hit.end - hit.start);
    let found = joined(here);
    let shared: usize =
        wanted.iter().flat_map(|a| found.iter().map(|b| a.end.min(b.end).saturating_sub(a.start.max(b.start)))).sum();
    let (wanted, found) = (length(wanted), length(&found) + elsewhere.sum::<usize>());
    #[expect(clippy::cast_precision_loss, reason = "bytes of a text are far below 2^52")]
    let share = |of: usize| if of == 0 { 0.0 } else { shared as f64 / of as f64 };
    [share(wanted), share(found), share(wanted + found - shared)]
}

/// Ranges in order, those that touch made one.
fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

fn length(ranges: &[Range<usize>]) -> usize {
    ranges.iter().map(ExactSizeIterator::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DocumentId, Passage};

    fn hit(file: &str, start: usize, end: usize) -> Hit {
        Hit {
            rank: 1,
            document_id: DocumentId::parse(file).unwrap(),
            chunk_id: String::new(),
            title: String::new(),
            heading: String::new(),
            page: None,
            start,
            end,
            text: String::new(),
            score: 0.0,
            dense: None,
            bm25: None,
            rerank: None,
            passage: Passage::default(),
        }
    }

    #[test]
    fn bytes_count_once_and_those_of_another_file_only_against() {
        let wanted = joined(vec![40..60, 0..10]);
        let [recall, precision, iou] = score(&wanted, "a", &[hit("a", 50, 90), hit("a", 50, 70), hit("b", 0, 60)]);
        assert!((recall - 10.0 / 30.0).abs() < 1e-9);
        assert!((precision - 10.0 / 100.0).abs() < 1e-9);
        assert!((iou - 10.0 / 120.0).abs() < 1e-9);
        assert_eq!(score(&wanted, "a", &[]).map(f64::to_bits), [0; 3]);
    }

    #[test]
    fn ranges_that_touch_become_one() {
        assert_eq!(joined(vec![5..9, 0..3, 3..5, 20..21]), [0..9, 20..21]);
    }
}

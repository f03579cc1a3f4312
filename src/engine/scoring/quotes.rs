//! Whether extractive answers quote the words that answer.

use std::ops::Range;
use std::path::Path;

use anyhow::ensure;
use serde::Serialize;

use super::super::Engine;
use super::{LONGEST_QUESTION, share, unheard};
use crate::config::TenantSettings;
use crate::domain::{Mode, Question};

/// What was quoted, over all questions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QuoteScores {
    /// The folder's name.
    pub dataset: String,
    /// How it was searched.
    pub mode: Mode,
    /// Chunks an answer was made from.
    pub top_k: usize,
    /// Questions asked.
    pub questions: usize,
    /// Share of the questions that were answered at all.
    pub answered: f64,
    /// Share of the questions whose quotes overlap an excerpt that answers.
    pub overlap: f64,
    /// Share of the questions whose chunks overlap one: no choice of sentences can do better.
    pub found: f64,
    /// Share of the quoted bytes that stand in an excerpt.
    pub exact: f64,
    /// Bytes quoted an answer.
    pub quoted_bytes: usize,
}

/// Sums over questions.
#[derive(Default)]
struct Sums {
    answered: usize,
    overlap: usize,
    found: usize,
    right_bytes: usize,
    bytes: usize,
}

impl Engine {
    /// Asks the questions of the corpus at `folder`, which must name the words that answer, and holds what is quoted
    /// against them. The index is made under `work` and removed again.
    ///
    /// # Errors
    /// When the folder is of another layout, or something below fails.
    pub async fn eval_answers(
        &self,
        folder: &Path,
        work: &Path,
        settings: &TenantSettings,
        top_k: usize,
    ) -> anyhow::Result<QuoteScores> {
        let corpus = self.corpus(folder).await?;
        let judged = corpus.questions.iter().all(|judged| !judged.excerpts.is_empty());
        ensure!(judged, "the folder must hold questions.jsonl with the excerpts that answer");
        let (_home, snapshot) = self.index_of(&corpus, |_| true, work, settings).await?;
        let (mode, metrics) = (settings.retrieval.mode, unheard()?);
        let mut sums = Sums::default();
        for judged in &corpus.questions {
            let question = Question::parse(&judged.question, top_k as u64, mode, None, LONGEST_QUESTION)?;
            let answer = self.ask(&snapshot, question, None, settings, &metrics).await?;
            let here = |id: &str| *id == judged.texts[0];
            let quotes: Vec<_> =
                answer.citations.iter().map(|c| (here(c.document_id.as_str()), c.start..c.end)).collect();
            let chunks = answer.hits.iter().filter(|hit| here(hit.document_id.as_str()));
            sums.answered += usize::from(!quotes.is_empty());
            sums.found +=
                usize::from(chunks.map(|hit| hit.start..hit.end).any(|hit| right(&hit, &judged.excerpts) > 0));
            let right: usize =
                quotes.iter().filter(|(here, _)| *here).map(|(_, quote)| right(quote, &judged.excerpts)).sum();
            sums.overlap += usize::from(right > 0);
            sums.right_bytes += right;
            sums.bytes += quotes.iter().map(|(_, quote)| quote.len()).sum::<usize>();
        }
        let questions = corpus.questions.len();
        Ok(QuoteScores {
            dataset: corpus.name,
            mode,
            top_k,
            questions,
            answered: share(sums.answered, questions),
            overlap: share(sums.overlap, questions),
            found: share(sums.found, questions),
            exact: share(sums.right_bytes, sums.bytes),
            quoted_bytes: sums.bytes / sums.answered.max(1),
        })
    }
}

/// Bytes of `quote` that stand in one of the excerpts.
fn right(quote: &Range<usize>, excerpts: &[Range<usize>]) -> usize {
    excerpts
        .iter()
        .map(|e| e.end.min(quote.end).saturating_sub(e.start.max(quote.start)))
        .sum::<usize>()
        .min(quote.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_where_a_quote_and_an_excerpt_share_them() {
        assert_eq!(right(&(10..20), &[0..5, 15..30]), 5);
        assert_eq!(right(&(10..20), &[0..30, 5..15]), 10);
        assert_eq!(right(&(10..20), &[0..5, 20..30]), 0);
    }
}

//! Generations on trial: golden questions and replayed ones, asked before a new generation serves.

#![expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]

use std::collections::HashSet;

use super::Engine;
use super::search::{Clock, SearchError};
use crate::config::TenantSettings;
use crate::domain::{Expected, Golden, GoldenCheck, Hit, Quality, Question, ReplayCheck, Worse};
use crate::index::Snapshot;

/// Hits looked at a golden question, as the figures' names say.
const DEPTH: usize = 10;
/// Hits of a replayed question that are compared.
const REPLAYED: usize = 5;
/// Questions named that got worse.
const NAMED: usize = 100;
/// Share of an excerpt's distinct words that a hit must have; a chunk may begin or end within an excerpt.
const ENOUGH_WORDS: f64 = 0.6;

impl Engine {
    /// Asks golden questions of a new generation and of the serving one. The embedder of the serving one may be gone for
    /// good, which is no reason to keep the new one from serving: then it is checked alone.
    ///
    /// # Errors
    /// As [`Engine::search`]; and when the new generation's embedder fails, since by words alone it would look worse.
    pub async fn check_golden(
        &self,
        built: &Snapshot,
        serving: Option<&Snapshot>,
        settings: &TenantSettings,
        golden: &[Golden],
    ) -> Result<GoldenCheck, SearchError> {
        let after = self.quality(built, settings, golden).await?;
        let (before, unasked) = match serving {
            Some(serving) => match self.quality(serving, settings, golden).await {
                Ok(before) => (Some(before), None),
                Err(SearchError::Embed(error)) => (None, Some(error.to_string())),
                Err(error) => return Err(error),
            },
            None => (None, None),
        };
        let (margin, mean) = (settings.quality.margin, Quality::mean(&after));
        let serving = before.as_deref().map(Quality::mean);
        let held = serving.is_some_and(|serving| mean.is_below(&serving, margin));
        let pairs = golden.iter().zip(before.iter().flatten().zip(&after));
        let mut worse: Vec<Worse> = pairs
            .filter(|(_, (before, after))| after.is_below(before, 0.0))
            .map(|(golden, (before, after))| Worse {
                id: golden.id.clone(),
                question: golden.question.clone(),
                before: before.ndcg_10,
                after: after.ndcg_10,
            })
            .collect();
        worse.sort_by(|one, other| (other.before - other.after).total_cmp(&(one.before - one.after)));
        worse.truncate(NAMED);
        Ok(GoldenCheck { questions: golden.len(), built: mean, serving, unasked, margin, held, worse })
    }

    /// Asks questions that were really asked of both generations; none when the embedder of the serving one is gone.
    ///
    /// # Errors
    /// As [`Engine::check_golden`].
    pub async fn check_replay(
        &self,
        built: &Snapshot,
        serving: &Snapshot,
        settings: &TenantSettings,
        questions: &[String],
    ) -> Result<Option<ReplayCheck>, SearchError> {
        let mut overlap = 0.0;
        for question in questions {
            let before = match self.first(serving, settings, question, REPLAYED).await {
                Err(SearchError::Embed(_)) => return Ok(None),
                other => other?,
            };
            let after = self.first(built, settings, question, REPLAYED).await?;
            overlap += shared(&before, &after);
        }
        Ok(Some(ReplayCheck { questions: questions.len(), overlap: overlap / questions.len().max(1) as f64 }))
    }

    /// What each golden question finds in `snapshot`.
    async fn quality(
        &self,
        snapshot: &Snapshot,
        settings: &TenantSettings,
        golden: &[Golden],
    ) -> Result<Vec<Quality>, SearchError> {
        let mut all = Vec::with_capacity(golden.len());
        for Golden { question, expect, .. } in golden {
            let hits = self.first(snapshot, settings, question, DEPTH).await?;
            let place = |expected| hits.iter().position(|hit| is_right(hit, expected)).map(|at| at + 1);
            all.push(Quality::of_places(&expect.iter().map(place).collect::<Vec<_>>()));
        }
        Ok(all)
    }

    /// The first hits of a question as the tenant would get them, but for its reranker: what is on trial is the index.
    async fn first(
        &self,
        snapshot: &Snapshot,
        settings: &TenantSettings,
        question: &str,
        top_k: usize,
    ) -> Result<Vec<Hit>, SearchError> {
        let (text, mode) = (question.to_owned(), settings.retrieval.mode);
        let question =
            Question { text, top_k, mode, filter: None, per_document: None, rerank: Some(false), passages: false };
        // Made, and remembered, beforehand: a search would go on without it, and its hits would say nothing of the index.
        if let Ok(Some(embedder)) = self.voter(snapshot, &question)? {
            self.meanings(snapshot, &question, &embedder).await?;
        }
        let hits = self.find(snapshot, &question, &settings.retrieval, &mut Clock::silent()).await?.hits;
        Ok(hits)
    }
}

fn is_right(hit: &Hit, expected: &Expected) -> bool {
    hit.document_id == expected.document_id && expected.excerpt.as_ref().is_none_or(|excerpt| holds(&hit.text, excerpt))
}

/// Whether a text has most words of an excerpt.
fn holds(text: &str, excerpt: &str) -> bool {
    let words = |text: &str| text.split_whitespace().map(str::to_lowercase).collect::<HashSet<_>>();
    let (text, excerpt) = (words(text), words(excerpt));
    let there = excerpt.iter().filter(|word| text.contains(*word)).count();
    !excerpt.is_empty() && there as f64 >= ENOUGH_WORDS * excerpt.len() as f64
}

/// Share of hits that both lists have, by text and document; two empty lists are alike.
fn shared(one: &[Hit], other: &[Hit]) -> f64 {
    let most = one.len().max(other.len());
    if most == 0 {
        return 1.0;
    }
    let same = |hit: &&Hit| other.iter().any(|other| other.document_id == hit.document_id && other.text == hit.text);
    one.iter().filter(same).count() as f64 / most as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_held_by_a_text_with_most_of_its_words() {
        let excerpt = "A lost book costs 25 francs";
        assert!(holds("Rules. A lost book costs 25 francs, or more.", excerpt));
        assert!(holds("book costs 25 francs and so", excerpt), "cut off at its beginning");
        assert!(!holds("A lost coat costs nothing.", excerpt));
        assert!(!holds("anything", " "));
    }
}

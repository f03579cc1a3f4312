//! Golden questions: what must be found, and how well a generation finds it.

#![expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]

use serde::{Deserialize, Serialize};

use super::{ContentHash, DocumentId, Timestamp};

/// A question and what must be found for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Golden {
    /// Made from the question, so that asking it again replaces it; 16 hexadecimal digits.
    pub id: String,
    /// The question.
    pub question: String,
    /// What must be found; never empty.
    pub expect: Vec<Expected>,
    /// Who wrote it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
}

/// A document that must be found, or an excerpt of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The document.
    pub document_id: DocumentId,
    /// Words of it that a hit must hold; any hit of the document will do when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
}

impl Golden {
    /// The id of a question, whatever its case.
    #[must_use]
    pub fn id_of(question: &str) -> String {
        ContentHash::of(question.to_lowercase().as_bytes()).to_string()[..16].to_owned()
    }

    /// A golden question.
    #[must_use]
    pub fn new(question: &str, expect: Vec<Expected>, by: &str) -> Self {
        let question = question.trim().to_owned();
        Self { id: Self::id_of(&question), question, expect, created_by: by.to_owned(), created_at: Timestamp::now() }
    }
}

/// How well questions find what they must, each the mean over the questions, 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Share of what is expected among the first ten hits.
    #[serde(rename = "recall@10")]
    pub recall_10: f64,
    /// One over the place of the first right hit.
    #[serde(rename = "mrr@10")]
    pub mrr_10: f64,
    /// Normalised discounted cumulative gain, all that is expected of equal worth.
    #[serde(rename = "ndcg@10")]
    pub ndcg_10: f64,
}

impl Quality {
    /// The mean of several; 0 of none.
    #[must_use]
    pub fn mean(all: &[Self]) -> Self {
        let count = all.len().max(1) as f64;
        let mean = |of: fn(&Self) -> f64| all.iter().map(of).sum::<f64>() / count;
        Self { recall_10: mean(|one| one.recall_10), mrr_10: mean(|one| one.mrr_10), ndcg_10: mean(|one| one.ndcg_10) }
    }

    /// Quality when the expected things stand at these places, from 1; those that were not found have none.
    #[must_use]
    pub fn of_places(places: &[Option<usize>]) -> Self {
        let found = || places.iter().flatten();
        let gain = |place: usize| 1.0 / ((place + 1) as f64).log2();
        let ideal: f64 = (1..=places.len().min(10)).map(gain).sum();
        let first = found().min().map_or(0.0, |place| 1.0 / *place as f64);
        let recall_10 = found().count() as f64 / places.len().max(1) as f64;
        // One hit may hold two excerpts; more than the ideal is the ideal.
        let ndcg_10 = if ideal > 0.0 { (found().map(|place| gain(*place)).sum::<f64>() / ideal).min(1.0) } else { 0.0 };
        Self { recall_10, mrr_10: first, ndcg_10 }
    }

    /// Whether it falls short of `other` by more than `margin`, in recall or in nDCG.
    #[must_use]
    pub fn is_below(&self, other: &Self, margin: f64) -> bool {
        // Means of the same numbers in another order may differ in their last digits.
        let short = |before: f64, after: f64| before - after > margin + 1e-9;
        short(other.recall_10, self.recall_10) || short(other.ndcg_10, self.ndcg_10)
    }
}

/// What was checked of a generation before it was to serve.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Checks {
    /// The golden questions, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<GoldenCheck>,
    /// Questions that were really asked, where there are no golden ones and the tenant keeps a log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplayCheck>,
}

impl Checks {
    /// Whether the generation is to be held back.
    #[must_use]
    pub fn hold(&self) -> bool {
        self.golden.as_ref().is_some_and(|golden| golden.held)
    }
}

/// Golden questions asked of a new generation and of the one that served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GoldenCheck {
    /// Questions asked.
    pub questions: usize,
    /// What the new generation finds.
    pub built: Quality,
    /// What the serving one finds; none when there was none, or it could not be asked.
    pub serving: Option<Quality>,
    /// Why the serving one could not be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unasked: Option<String>,
    /// The drop that was allowed.
    pub margin: f64,
    /// Whether it fell by more.
    pub held: bool,
    /// Questions that got worse, the worst first, at most a hundred.
    pub worse: Vec<Worse>,
}

/// A question that finds less than before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Worse {
    /// The golden question.
    pub id: String,
    /// Its words.
    pub question: String,
    /// nDCG@10 in the serving generation.
    pub before: f64,
    /// nDCG@10 in the new one.
    pub after: f64,
}

/// Real questions asked of both generations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReplayCheck {
    /// Questions asked.
    pub questions: usize,
    /// Mean share of the first five hits that both have, 0 to 1.
    pub overlap: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_first_is_perfect_and_what_is_missing_is_nothing() {
        let perfect = Quality { recall_10: 1.0, mrr_10: 1.0, ndcg_10: 1.0 };
        assert_eq!(Quality::of_places(&[Some(1)]), perfect);
        assert_eq!(Quality::of_places(&[None]), Quality::default());
        assert_eq!(Quality::of_places(&[Some(1), Some(1)]), perfect, "two excerpts in one hit");
        let half = Quality::of_places(&[Some(3), None]);
        assert!((half.recall_10 - 0.5).abs() < 1e-12 && (half.mrr_10 - 1.0 / 3.0).abs() < 1e-12);
        assert!((half.ndcg_10 - 0.5 / (1.0 + 1.0 / 3f64.log2())).abs() < 1e-12);
    }

    #[test]
    fn a_drop_counts_when_it_is_more_than_the_margin() {
        let before = Quality { recall_10: 0.9, mrr_10: 0.5, ndcg_10: 0.8 };
        let after = Quality { ndcg_10: 0.77, ..before };
        assert!(after.is_below(&before, 0.02));
        assert!(!after.is_below(&before, 0.03));
        assert!(!before.is_below(&after, 0.0));
        assert!(!Quality { mrr_10: 0.0, ..before }.is_below(&before, 0.0), "MRR is shown and holds nothing back");
    }

    #[test]
    fn the_same_question_is_the_same_golden_question() {
        let ids = ["When?", " when? ", "Why?"].map(|question| Golden::new(question, Vec::new(), "test").id);
        assert_eq!(ids[0], ids[1]);
        assert_ne!(ids[0], ids[2]);
    }
}

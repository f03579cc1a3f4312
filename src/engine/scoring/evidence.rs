//! Which questions are refused for want of evidence, rightly and wrongly, at which threshold.
//!
//! Every corpus is parted in two. A question is asked of the part that answers it, of the other part, which is about alike
//! things and does not, and of another corpus, which is about something else.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::Engine;
use super::{Corpus, Judged, LONGEST_QUESTION, share, unheard};
use crate::answer::judge;
use crate::config::TenantSettings;
use crate::domain::{Hit, Mode, Question};
use crate::index::Snapshot;

/// Thresholds that are compared, beside the one that is set.
const THRESHOLDS: [f32; 7] = [0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45];
/// Questions asked of each index, evenly drawn.
const MOST: usize = 300;

/// What a threshold does to the questions of one corpus.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvidenceScores {
    /// The folder's name.
    pub dataset: String,
    /// How it was searched.
    pub mode: Mode,
    /// The tenant's `answer.min_score`.
    pub min_score: f32,
    /// Questions asked of the part that answers them.
    pub answerable: usize,
    /// Share of these that were refused, wrongly.
    pub refused_wrongly: f64,
    /// Share of the questions that were refused, rightly, when asked of the part that does not answer them.
    pub refused_of_other_part: f64,
    /// Share of the questions of other corpora that were refused, rightly; none with one corpus.
    pub refused_of_other_corpus: Option<f64>,
}

/// A question with the hits that may answer it.
type Asked = (Question, Vec<Hit>);

/// Questions asked of an index, by whether it answers them.
#[derive(Default)]
struct Heard {
    answerable: Vec<Asked>,
    of_other_part: Vec<Asked>,
    of_other_corpus: Vec<Asked>,
}

impl Engine {
    /// Asks the questions of the corpora at `folders` where they can be answered and where they cannot, in one mode. The
    /// indexes are made under `work` and removed again.
    ///
    /// # Errors
    /// When a folder is of no known layout, or something below fails.
    pub async fn eval_evidence(
        &self,
        folders: &[PathBuf],
        work: &Path,
        settings: &TenantSettings,
    ) -> anyhow::Result<Vec<EvidenceScores>> {
        let mut corpora = Vec::new();
        for folder in folders {
            corpora.push(self.corpus(folder).await?);
        }
        let mode = settings.retrieval.mode;
        let mut scores = Vec::new();
        for (at, corpus) in corpora.iter().enumerate() {
            let foreign = corpora.iter().enumerate().filter(|(other, _)| *other != at);
            let foreign: Vec<&Judged> = foreign.flat_map(|(_, corpus)| &corpus.questions).collect();
            let mut heard = Heard::default();
            for part in [0, 1] {
                self.listen(corpus, part, &foreign, work, settings, &mut heard).await?;
            }
            for min_score in THRESHOLDS {
                let refused = |asked: &[Asked]| {
                    let refused = asked.iter().filter(|(question, hits)| is_refused(question, hits, min_score));
                    share(refused.count(), asked.len())
                };
                scores.push(EvidenceScores {
                    dataset: corpus.name.clone(),
                    mode,
                    min_score,
                    answerable: heard.answerable.len(),
                    refused_wrongly: refused(&heard.answerable),
                    refused_of_other_part: refused(&heard.of_other_part),
                    refused_of_other_corpus: (!foreign.is_empty()).then(|| refused(&heard.of_other_corpus)),
                });
            }
        }
        Ok(scores)
    }

    /// Asks one part of a corpus its own questions, those of the other part, and `foreign` ones.
    async fn listen(
        &self,
        corpus: &Corpus,
        part: usize,
        foreign: &[&Judged],
        work: &Path,
        settings: &TenantSettings,
        heard: &mut Heard,
    ) -> anyhow::Result<()> {
        let is_here = |id: &str| corpus.part_of(id) == Some(part);
        let (_home, snapshot) = self.index_of(corpus, is_here, work, settings).await?;
        let (own, other): (Vec<&Judged>, Vec<&Judged>) = corpus
            .questions
            .iter()
            .filter(|judged| judged.texts.iter().all(|id| is_here(id)) || !judged.texts.iter().any(|id| is_here(id)))
            .partition(|judged| judged.texts.iter().all(|id| is_here(id)));
        for (questions, to) in [
            (own.as_slice(), &mut heard.answerable),
            (other.as_slice(), &mut heard.of_other_part),
            (foreign, &mut heard.of_other_corpus),
        ] {
            for judged in drawn(questions) {
                to.push(self.hear(&snapshot, judged, settings).await?);
            }
        }
        Ok(())
    }

    async fn hear(&self, snapshot: &Snapshot, judged: &Judged, settings: &TenantSettings) -> anyhow::Result<Asked> {
        let (top_k, mode) = (settings.retrieval.top_k as u64, settings.retrieval.mode);
        let question = Question::parse(&judged.question, top_k, mode, None, LONGEST_QUESTION)?;
        let found = self.evidence(snapshot, question, None, settings, &unheard()?).await?;
        let admitted = found.admitted();
        Ok((found.question, admitted))
    }
}

fn is_refused(question: &Question, hits: &[Hit], min_score: f32) -> bool {
    !judge(question, &hits.iter().collect::<Vec<_>>(), min_score).enough
}

impl Corpus {
    /// Which of the two parts a text is in: neighbours are parted, so that both parts are about the same things.
    fn part_of(&self, id: &str) -> Option<usize> {
        self.texts.keys().position(|known| known == id).map(|place| place % 2)
    }
}

/// At most [`MOST`] of `all`, evenly.
fn drawn<'a>(all: &'a [&'a Judged]) -> impl Iterator<Item = &'a Judged> {
    all.iter().step_by(all.len().div_ceil(MOST).max(1)).copied()
}

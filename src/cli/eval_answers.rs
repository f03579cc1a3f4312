//! `carrel eval --answers` and `--evidence`: how good answers are.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Failure, Printer, table};
use crate::config::TenantSettings;
use crate::engine::{Engine, EvidenceScores};

#[derive(Debug, Args)]
pub(super) struct AnswerArgs {
    /// Folder with questions.jsonl and the files it names: whether answers quote the words that answer
    #[arg(long, group = "what", value_name = "DIR")]
    answers: Option<PathBuf>,
    /// Folders of either layout: which questions are refused for want of evidence, rightly and wrongly
    #[arg(long, group = "what", value_name = "DIR", num_args = 1..)]
    evidence: Vec<PathBuf>,
}

impl AnswerArgs {
    /// Whether answers are to be scored.
    pub(super) fn any(&self) -> bool {
        self.answers.is_some() || !self.evidence.is_empty()
    }

    /// The folders that are named.
    pub(super) fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        self.answers.iter().chain(&self.evidence)
    }
}

pub(super) async fn run(
    engine: &Engine,
    args: &AnswerArgs,
    settings: TenantSettings,
    work: &Path,
    print: Printer,
) -> Result<(), Failure> {
    let Some(folder) = &args.answers else {
        let scores = engine.eval_evidence(&args.evidence, work, &settings).await?;
        return print.result(&scores, |scores| shown(scores));
    };
    let scores = engine.eval_answers(folder, work, &settings, settings.retrieval.top_k).await?;
    print.result(&scores, |scores| {
        format!(
            "{} {:?}, {} questions at top_k {}: answered {:.4}  overlap {:.4}  found {:.4}  exact {:.4}  {} bytes quoted",
            scores.dataset,
            scores.mode,
            scores.questions,
            scores.top_k,
            scores.answered,
            scores.overlap,
            scores.found,
            scores.exact,
            scores.quoted_bytes
        )
    })
}

/// One threshold a line.
fn shown(scores: &[EvidenceScores]) -> String {
    let head =
        ["dataset", "mode", "min_score", "questions", "refused wrongly", "other part refused", "other corpus refused"];
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let row = |score: &EvidenceScores| {
        vec![
            score.dataset.clone(),
            format!("{:?}", score.mode).to_lowercase(),
            score.min_score.to_string(),
            score.answerable.to_string(),
            percent(score.refused_wrongly),
            percent(score.refused_of_other_part),
            score.refused_of_other_corpus.map_or_else(|| "-".into(), percent),
        ]
    };
    let head = head.map(str::to_owned).to_vec();
    table(&std::iter::once(head).chain(scores.iter().map(row)).collect::<Vec<_>>())
}

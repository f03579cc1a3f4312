//! `carrel eval`: retrieval scores on a data set with judgements.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use indicatif::ProgressBar;

use super::{Failure, ModeArg, Printer};
use crate::answer::Answerers;
use crate::config::{Config, EmbedderRef, TenantSettings};
use crate::embed::Embedders;
use crate::engine::{Engine, Per};
use crate::ingest::Extractor;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true)))]
pub(super) struct EvalArgs {
    /// Folder with corpus.jsonl, queries.jsonl and qrels/test.tsv: which documents are found
    #[arg(long, group = "what", value_name = "DIR")]
    dataset: Option<PathBuf>,
    #[command(flatten)]
    answers: super::eval_answers::AnswerArgs,
    /// How to search
    #[arg(long, value_enum, default_value = "hybrid")]
    mode: ModeArg,
    /// What to search
    #[arg(long, value_enum, default_value = "whole")]
    per: PerArg,
    /// `builtin`, or `<provider>/<model>`
    #[arg(long, default_value = "builtin", value_parser = embedder)]
    embedder: EmbedderRef,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PerArg {
    Whole,
    Chunk,
}

fn embedder(text: &str) -> Result<EmbedderRef, String> {
    EmbedderRef::try_from(text.to_owned())
}

pub(super) async fn run(config: &Config, args: &EvalArgs, print: Printer) -> Result<(), Failure> {
    let mut settings = TenantSettings::default();
    settings.retrieval.mode = args.mode.into();
    settings.retrieval.embedder = args.embedder.clone();
    let work = config.data_dir().join("eval");
    if args.answers.any() {
        return super::eval_answers::run(&engine(config)?, &args.answers, settings, &work, print).await;
    }
    let Some(dataset) = &args.dataset else { return Ok(()) };
    let per = match args.per {
        PerArg::Whole => Per::Whole,
        PerArg::Chunk => Per::Chunk,
    };
    let engine = engine(config)?;
    let bar = ProgressBar::new(0);
    let progress = |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let scores = engine.eval(dataset, &work, &settings, per, progress).await?;
    bar.finish_and_clear();
    print.result(&scores, |scores| {
        format!(
            "{} {:?} per {:?}, {} questions: nDCG@10 {:.4}  Recall@10 {:.4}  Recall@100 {:.4}  MRR@10 {:.4}",
            scores.dataset,
            scores.mode,
            scores.per,
            scores.queries,
            scores.ndcg_10,
            scores.recall_10,
            scores.recall_100,
            scores.mrr_10
        )
    })
}

fn engine(config: &Config) -> Result<Engine, Failure> {
    let embedders = Embedders::open(config).map_err(anyhow::Error::from)?;
    let answerers = Answerers::open(config).map_err(anyhow::Error::from)?;
    let extractor = Extractor::new(&config.ingest, std::env::current_exe()?);
    Ok(Engine::new(embedders, answerers, extractor))
}

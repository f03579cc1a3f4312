//! `carrel eval`: retrieval scores on a data set with judgements.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use indicatif::ProgressBar;

use super::root::is_root;
use super::{Failure, ModeArg, Printer};
use crate::answer::Answerers;
use crate::config::{Config, EmbedderRef, TenantSettings};
use crate::embed::Embedders;
use crate::engine::{Engine, Per, Scores, SpanScores};
use crate::ingest::Extractor;
use crate::provider::Providers;
use crate::rerank::Rerankers;

/// Candidates where documents are scored: as many as Recall@100 looks at.
const RECALL_DEPTH: usize = 100;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true)))]
pub(super) struct EvalArgs {
    /// Folder with corpus.jsonl, queries.jsonl and qrels/test.tsv: which documents are found
    #[arg(long, group = "what", value_name = "DIR")]
    dataset: Option<PathBuf>,
    #[command(flatten)]
    answers: super::eval_answers::AnswerArgs,
    /// Folder with questions.jsonl and the files it names: how much of the words that answer is found
    #[arg(long, group = "what", value_name = "DIR")]
    spans: Option<PathBuf>,
    /// How to search
    #[arg(long, value_enum, default_value = "hybrid")]
    mode: ModeArg,
    /// What to search, with --dataset
    #[arg(long, value_enum, default_value = "whole")]
    per: PerArg,
    /// Chunks to look at a question, with --spans
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=50))]
    top_k: u16,
    /// Candidates that each search brings to the fusion; 100 with --dataset, else as a tenant's
    #[arg(long, value_parser = clap::value_parser!(u16).range(10..=1000))]
    candidates: Option<u16>,
    /// Largest chunk, model tokens
    #[arg(long, value_parser = clap::value_parser!(u16).range(32..=512))]
    max_tokens: Option<u16>,
    /// Model tokens repeated from the chunk before
    #[arg(long)]
    overlap_tokens: Option<u16>,
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

impl EvalArgs {
    /// Names the first folder that is not there.
    fn must_be_there(&self) -> Result<(), Failure> {
        let folders = self.dataset.iter().chain(&self.spans).chain(self.answers.folders());
        for folder in folders {
            std::fs::metadata(folder).map_err(|error| Failure::of_path(folder, &error))?;
        }
        Ok(())
    }
}

pub(super) async fn run(config: &Config, args: &EvalArgs, print: Printer) -> Result<(), Failure> {
    let mut settings = TenantSettings::default();
    settings.retrieval.mode = args.mode.into();
    settings.retrieval.embedder = args.embedder.clone();
    let usual = if args.dataset.is_some() { RECALL_DEPTH } else { settings.retrieval.candidates };
    settings.retrieval.candidates = args.candidates.map_or(usual, usize::from);
    let chunking = &mut settings.chunking;
    chunking.max_tokens = args.max_tokens.map_or(chunking.max_tokens, usize::from);
    chunking.overlap_tokens = args.overlap_tokens.map_or(chunking.overlap_tokens, usize::from);
    args.must_be_there()?;
    // A root keeps what was embedded, so that the next run is quick; elsewhere nothing is left behind.
    let passing = if is_root(&config.root) { None } else { Some(tempfile::tempdir()?) };
    let work = passing.as_ref().map_or_else(|| config.data_dir().join("eval"), |folder| folder.path().to_owned());
    let engine = engine(config)?;
    if args.answers.any() {
        return super::eval_answers::run(&engine, &args.answers, settings, &work, print).await;
    }
    if let Some(folder) = &args.spans {
        let scores = engine.eval_spans(folder, &work, &settings, args.top_k.into()).await?;
        return print.result(&scores, shown_spans);
    }
    let Some(dataset) = &args.dataset else { return Ok(()) };
    let per = match args.per {
        PerArg::Whole => Per::Whole,
        PerArg::Chunk => Per::Chunk,
    };
    let bar = ProgressBar::new(0);
    let progress = |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let scores = engine.eval(dataset, &work, &settings, per, progress).await?;
    bar.finish_and_clear();
    print.result(&scores, shown)
}

/// Everything but tenants.
pub(super) fn engine(config: &Config) -> Result<Engine, Failure> {
    let providers = Providers::open(config).map_err(anyhow::Error::from)?;
    let embedders = Embedders::new(providers.clone(), &config.embed);
    let rerankers = Rerankers::new(providers.clone());
    let answerers = Answerers::new(providers);
    let extractor = Extractor::new(&config.ingest, std::env::current_exe()?);
    Ok(Engine::new(embedders, rerankers, answerers, extractor))
}

fn shown(scores: &Scores) -> String {
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
}

fn shown_spans(scores: &SpanScores) -> String {
    format!(
        "{} {:?}, {} chunks of at most {} model tokens, {} repeated (largest read {}), {} questions, first {}: \
         recall {:.4}  precision {:.4}  IoU {:.4}",
        scores.dataset,
        scores.mode,
        scores.chunks,
        scores.max_tokens,
        scores.overlap_tokens,
        scores.largest_tokens,
        scores.questions,
        scores.top_k,
        scores.recall,
        scores.precision,
        scores.iou
    )
}

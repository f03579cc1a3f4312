//! `carrel measure`: how fast this machine is.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::eval::engine;
use super::{Failure, Printer};
use crate::config::{Config, TenantSettings};
use crate::domain::TenantId;
use crate::engine::{IngestionSpeed, SearchSpeed, Spread, measure_search};

#[derive(Debug, Subcommand)]
pub(super) enum MeasureVerb {
    /// Ingest the files of a folder, and embed the same texts in a bare loop
    Ingest(IngestArgs),
    /// Search an index of made-up chunks
    Search(SearchArgs),
}

#[derive(Debug, Args)]
pub(super) struct IngestArgs {
    /// Folder with files; nothing in it is changed
    folder: PathBuf,
    /// Take the first so many files only
    #[arg(long)]
    most: Option<usize>,
}

#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// Chunks to make up
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(10..=10_000_000))]
    chunks: u64,
    /// Questions to ask
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    questions: u64,
}

pub(super) async fn run(config: &Config, verb: MeasureVerb, print: Printer) -> Result<(), Failure> {
    // Beside the indexes, which tells of the same disk; elsewhere where there is no root.
    let home = if config.data_dir().is_dir() { tempfile::tempdir_in(config.data_dir())? } else { tempfile::tempdir()? };
    match verb {
        MeasureVerb::Ingest(args) => {
            let tenant = TenantId::parse("measured").map_err(anyhow::Error::from)?;
            copy(&args.folder, &home.path().join("documents/measured"), args.most.unwrap_or(usize::MAX))?;
            let settings = TenantSettings::default();
            let speed = engine(config)?.measure_ingestion(home.path(), &tenant, &settings).await?;
            print.result(&speed, shown_ingestion)
        }
        MeasureVerb::Search(args) => {
            let questions = usize::try_from(args.questions).map_err(anyhow::Error::from)?;
            let (path, runtime) = (home.path().to_owned(), tokio::runtime::Handle::current());
            let speed = tokio::task::spawn_blocking(move || measure_search(&path, args.chunks, questions, &runtime));
            print.result(&speed.await.map_err(anyhow::Error::from)??, shown_search)
        }
    }
}

/// Copies the files that stand right in `from`, in order of name.
fn copy(from: &Path, to: &Path, most: usize) -> Result<(), Failure> {
    std::fs::create_dir_all(to)?;
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(from).map_err(|error| Failure::of_path(from, &error))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    for file in files.iter().take(most) {
        std::fs::copy(file, to.join(file.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

fn shown_ingestion(speed: &IngestionSpeed) -> String {
    format!(
        "{} documents ({} failed), {} chunks, {} model tokens: {:.0} a second ingested, {:.0} in a bare loop, {:.1} %",
        speed.documents,
        speed.failed,
        speed.chunks,
        speed.model_tokens,
        speed.ingested_per_s,
        speed.bare_per_s,
        speed.share * 100.0
    )
}

fn shown_search(speed: &SearchSpeed) -> String {
    let spread = |spread: &Spread| format!("p50 {:.2} ms, p99 {:.2} ms", spread.p50_ms, spread.p99_ms);
    let mut lines = vec![
        format!(
            "{} chunks, {} MiB on disk, built in {:.1} s, opened in {:.0} ms",
            speed.chunks,
            speed.bytes >> 20,
            speed.built_s,
            speed.opened_ms
        ),
        format!("hybrid        {}", spread(&speed.hybrid)),
        format!("words         {}", spread(&speed.words)),
        format!("meaning       {}", spread(&speed.dense)),
    ];
    lines.extend(speed.filtered.iter().map(|(share, took)| format!("  1 in {share:<6} {}", spread(took))));
    lines.push(format!("recall@10 against exact search {:.4}", speed.recall_10));
    lines.join("\n")
}

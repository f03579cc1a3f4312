//! The command line: the second top beside `http/`.
//!
//! Verbs that need tenants speak HTTP: to the server that runs on the data folder, or to one started here for the
//! moment. So both tops call the same functions, and a verb works whether or not Carrel runs.

mod backup;
mod check;
mod client;
mod demo;
mod documents;
mod eval;
mod eval_answers;
mod explain;
mod extract;
mod failure;
mod files;
mod generations;
mod golden;
mod health;
mod jobs;
mod measure;
mod reindex;
mod root;
mod serve;
mod tenants;
mod token;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

use self::failure::Failure;
use crate::config::Config;
use crate::domain::TenantId;

/// Carrel answers questions from documents, for many tenants, with citations a machine can check.
#[derive(Debug, Parser)]
#[command(name = "carrel", version, about, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Args)]
struct Common {
    /// Folder that holds carrel.toml, tenants/, documents/ and data/
    #[arg(long, global = true, default_value = ".", env = "CARREL_ROOT")]
    root: PathBuf,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve (what happens without a verb)
    Serve(serve::ServeArgs),
    /// Add, list, show or remove tenants
    #[command(subcommand)]
    Tenant(tenants::TenantVerb),
    /// Upload files or folders to a tenant and wait until they answer
    Ingest(documents::IngestArgs),
    /// Ask a tenant's documents
    Query(documents::QueryArgs),
    /// Say why a question finds what it finds, or does not find a document
    Explain(explain::ExplainArgs),
    /// Build a new generation beside the serving one
    Reindex(reindex::ReindexArgs),
    /// List the latest jobs, cancel or retry one
    Jobs(jobs::JobsArgs),
    /// Write anew what still holds the text of deleted documents
    Purge(jobs::PurgeArgs),
    /// Keep the questions that a new generation must answer as well as the one that serves
    Golden(golden::GoldenArgs),
    /// List, compare, activate, keep or delete a tenant's generations
    #[command(subcommand)]
    Generations(generations::GenerationsVerb),
    /// Write a tenant to one file, while it serves
    Backup(backup::BackupArgs),
    /// Make a tenant of a file that `backup` wrote
    Restore(backup::RestoreArgs),
    /// Print a tenant's documents or chunks as lines of JSON
    Export(backup::ExportArgs),
    /// Mint, list or revoke tokens
    #[command(subcommand)]
    Token(token::TokenVerb),
    /// Print a fresh one-time sign-in link for the admin pages
    AdminLink,
    /// Print the text of a file as Carrel reads it
    Extract(extract::ExtractArgs),
    /// Score retrieval on judged questions
    Eval(eval::EvalArgs),
    /// Measure how fast this machine ingests and searches
    #[command(subcommand)]
    Measure(measure::MeasureVerb),
    /// Check settings, or whether the server is alive
    Check(check::CheckArgs),
    /// Report on settings, files and limits, without secrets
    Doctor,
    /// Print the OpenAPI document
    Openapi,
    /// Read one document from standard input (started by the server)
    #[command(hide = true)]
    ExtractWorker,
}

impl Verb {
    /// Whether a folder must hold something of Carrel's already; the others begin something there, or need no root at all.
    fn needs_root(&self) -> bool {
        !matches!(
            self,
            Self::Serve(_)
                | Self::Tenant(tenants::TenantVerb::Add { .. })
                | Self::Restore(_)
                | Self::Extract(_)
                | Self::Eval(_)
                | Self::Measure(_)
        )
    }
}

/// Time that work on blocking threads has to end with the program, such as a restore that writes thousands of files.
const LAST_WORK: Duration = Duration::from_secs(1);

/// Runs the verb that the arguments name: 0 ok, 1 failure, 2 usage, 3 not ready, 4 not found.
#[must_use]
pub fn run() -> ExitCode {
    // The worker is started for each document: it reads no settings and starts no threads.
    if std::env::args_os().nth(1).is_some_and(|verb| verb == "extract-worker") {
        return crate::ingest::run_worker();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misused(&error),
    };
    let json = cli.common.json;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::from);
    let outcome = runtime.and_then(|runtime| {
        let outcome = runtime.block_on(dispatch(cli));
        // What still runs on a blocking thread cannot be stopped, and is safe to lose: it is nothing that was acknowledged.
        runtime.shutdown_timeout(LAST_WORK);
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(json),
    }
}

/// Arguments that cannot be read, or a wish for help or the version.
fn misused(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|argument| argument == "--json");
    if wants_json && error.use_stderr() {
        let words = error.render().to_string();
        return Failure::Usage(words.trim().trim_start_matches("error: ").to_owned()).tell(true);
    }
    // Nothing is left to be done where even this cannot be written.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
}

async fn dispatch(Cli { common, verb }: Cli) -> Result<(), Failure> {
    let verb = verb.unwrap_or(Verb::Serve(serve::ServeArgs::default()));
    let print = Printer { json: common.json };
    if let Verb::Openapi = verb {
        return Printer::always_json(&crate::http::openapi());
    }
    match &verb {
        // These two tell of every mistake.
        Verb::Check(args) => return check::run(&common.root, args, print).await,
        Verb::Doctor => return check::doctor(&common.root, print).await,
        verb if verb.needs_root() => root::must_be_root(&common.root)?,
        _ => {}
    }
    let config = Config::load(&common.root)?;
    match verb {
        Verb::Serve(args) => serve::run(config, args, print).await,
        Verb::Tenant(verb) => tenants::run(config, verb, print).await,
        Verb::Ingest(args) => documents::ingest(config, args, print).await,
        Verb::Query(args) => documents::query(config, args, print).await,
        Verb::Explain(args) => explain::run(config, args, print).await,
        Verb::Reindex(args) => reindex::run(config, args, print).await,
        Verb::Purge(args) => jobs::purge(config, args, print).await,
        Verb::Golden(args) => golden::run(config, args, print).await,
        Verb::Jobs(args) => jobs::jobs(config, args, print).await,
        Verb::Generations(verb) => generations::run(config, verb, print).await,
        Verb::Backup(args) => backup::backup(config, args, print).await,
        Verb::Restore(args) => backup::restore(config, args, print).await,
        Verb::Export(args) => backup::export(config, args).await,
        Verb::Token(verb) => token::run(&config, verb, print).await,
        Verb::AdminLink => serve::admin_link(&config, print).await,
        Verb::Extract(args) => extract::run(&config, &args, print).await,
        Verb::Eval(args) => eval::run(&config, &args, print).await,
        Verb::Measure(verb) => measure::run(&config, verb, print).await,
        Verb::Check(_) | Verb::Doctor | Verb::Openapi | Verb::ExtractWorker => Ok(()),
    }
}

/// Writes results to standard output, as text or JSON.
#[derive(Debug, Clone, Copy)]
struct Printer {
    json: bool,
}

impl Printer {
    /// One line of text.
    fn line(text: impl AsRef<str>) -> Result<(), Failure> {
        Ok(writeln!(io::stdout(), "{}", text.as_ref())?)
    }

    /// `value` as JSON when that is wanted, else what `text` makes of it.
    fn result<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        if self.json { Self::always_json(value) } else { Self::line(text(value)) }
    }

    /// A remark beside the result; none where the output is for a program.
    fn note(self, text: impl AsRef<str>) -> Result<(), Failure> {
        if self.json { Ok(()) } else { Self::line(text) }
    }

    /// A remark beside the result, on standard error; none where the output is for a program.
    fn remark(self, text: impl AsRef<str>) -> Result<(), Failure> {
        if self.json { Ok(()) } else { Ok(writeln!(io::stderr(), "{}", text.as_ref())?) }
    }

    /// `value` as one line of JSON.
    fn always_json<T: Serialize>(value: &T) -> Result<(), Failure> {
        Self::line(serde_json::to_string(value).map_err(anyhow::Error::from)?)
    }
}

/// Lines up columns, the first row being the head.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn tenant_id(text: &str) -> Result<TenantId, String> {
    TenantId::parse(text).map_err(|error| error.to_string())
}

/// Modes on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModeArg {
    Hybrid,
    Dense,
    Bm25,
}

impl From<ModeArg> for crate::domain::Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Hybrid => Self::Hybrid,
            ModeArg::Dense => Self::Dense,
            ModeArg::Bm25 => Self::Bm25,
        }
    }
}

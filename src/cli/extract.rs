//! `carrel extract`: a file's text as Carrel reads it, through the same worker as uploads.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Failure, Printer};
use crate::config::Config;
use crate::ingest::Extractor;

#[derive(Debug, Args)]
pub(super) struct ExtractArgs {
    /// The file
    file: PathBuf,
}

pub(super) async fn run(config: &Config, args: &ExtractArgs, print: Printer) -> Result<(), Failure> {
    let bytes = std::fs::read(&args.file).map_err(|error| Failure::of_path(&args.file, &error))?;
    let name = args.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let extractor = Extractor::new(&config.ingest, std::env::current_exe()?);
    match extractor.extract(&name, bytes.into()).await {
        Ok(extracted) => print.result(&extracted, |extracted| extracted.text.clone()),
        Err(error) => {
            if print.json {
                Printer::always_json(&json!({ "error": { "code": error.code, "message": error.message } }))?;
            }
            Err(Failure::Failed(anyhow::anyhow!("{} ({})", error.message, error.code)))
        }
    }
}

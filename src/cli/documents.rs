//! `carrel ingest` and `carrel query`: what a tenant does.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::client::{TenantClient, as_tenant, send};
use super::files::{Files, gather};
use super::jobs::{end_of, reason};
use super::tenants::plain;
use super::{Failure, ModeArg, Printer, tenant_id};
use crate::config::Config;
use crate::domain::{Mode, TenantId};

#[derive(Debug, Args)]
pub(super) struct IngestArgs {
    /// Files, or folders with all in them
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The tenant
    #[arg(short, long, value_parser = tenant_id)]
    tenant: TenantId,
}

#[derive(Debug, Args)]
pub(super) struct QueryArgs {
    /// The question
    question: String,
    /// The tenant
    #[arg(short, long, value_parser = tenant_id)]
    tenant: TenantId,
    /// Hits to answer from
    #[arg(long)]
    top_k: Option<u64>,
    /// How to search
    #[arg(long, value_enum)]
    mode: Option<ModeArg>,
    /// A kept generation to ask; the one that serves when unset
    #[arg(long, value_name = "N")]
    generation: Option<u64>,
}

pub(super) async fn ingest(config: Config, args: IngestArgs, print: Printer) -> Result<(), Failure> {
    let gathered = gather(&args.paths);
    let Files { sent, passed_over } = gathered.map_err(|(path, error)| Failure::of_path(&path, &error))?;
    let mut done = as_tenant(config, &args.tenant, async |speaker| send_all(speaker, sent).await).await?;
    done.extend(passed_over.into_iter().map(not_sent));
    print.result(&done, told)?;
    let failed = done.iter().filter(|one| is_failed(one)).count();
    if failed > 0 {
        Err(Failure::Failed(anyhow::anyhow!("{failed} of {} documents failed", done.len())))
    } else {
        Ok(())
    }
}

fn is_failed(document: &Value) -> bool {
    !matches!(document["state"].as_str(), Some("done" | "done_with_warnings"))
}

/// A line a document, with the reason where it failed or lost something, and how many ended how.
#[expect(clippy::ptr_arg, reason = "the shape that the printer hands over")]
fn told(done: &Vec<Value>) -> String {
    let line = |one: &Value| {
        let why = reason(one).map(|why| format!(" ({why})")).unwrap_or_default();
        format!("{}: {}{why}", plain(&one["id"]), plain(&one["state"]))
    };
    let failed = done.iter().filter(|one| is_failed(one)).count();
    let warned = done.iter().filter(|one| one["state"] == "done_with_warnings").count();
    let well = done.len() - failed - warned;
    let sum = format!("{} documents: {well} done, {warned} with warnings, {failed} failed", done.len());
    done.iter().map(line).chain([sum]).collect::<Vec<_>>().join("\n")
}

/// A file that is not sent, reported like one that failed.
fn not_sent((path, why): (String, String)) -> Value {
    let error = json!({ "code": "passed_over", "message": format!("it is passed over: {why}") });
    json!({ "id": path, "state": "failed", "error": error })
}

async fn send_all(speaker: &TenantClient<'_>, files: Vec<(PathBuf, String)>) -> Result<Vec<Value>, Failure> {
    let bar = indicatif::ProgressBar::new(2 * files.len() as u64);
    let mut uploads = Vec::new();
    for (path, id) in files {
        uploads.push(upload(speaker, &path, id).await?);
        bar.inc(1);
    }
    let mut done = Vec::new();
    for upload in uploads {
        let job = match upload["job_id"].as_str() {
            Some(job) => end_of(speaker, job, |_| {}).await?,
            None => upload.clone(),
        };
        bar.inc(1);
        done.push(json!({ "id": upload["id"], "state": job["state"], "error": job["error"] }));
    }
    bar.finish_and_clear();
    Ok(done)
}

/// Uploads one file; one that is refused for itself is reported like one that failed later.
async fn upload(speaker: &TenantClient<'_>, path: &Path, id: String) -> Result<Value, Failure> {
    let failed = |error: Value| json!({ "id": id, "state": "failed", "error": error });
    let bytes = match fs::read(path) {
        Ok(bytes) => Bytes::from(bytes),
        Err(error) => return Ok(failed(Failure::of_path(path, &error).json())),
    };
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    loop {
        let part = Part::stream(bytes.clone()).file_name(name.clone());
        let form = Form::new().text("id", id.clone()).part("file", part);
        match send(speaker.request(Method::POST, "/api/v1/documents")?.multipart(form)).await {
            Err(Failure::Refused { status: 429, .. }) => tokio::time::sleep(Duration::from_millis(500)).await,
            Err(refused) if is_of_the_document(&refused) => return Ok(failed(refused.json())),
            other => return other,
        }
    }
}

/// Whether a refusal is about the document that was sent, so that the next may go through.
fn is_of_the_document(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { status: 400 | 403 | 409 | 413 | 415 | 422 | 507, .. })
}

pub(super) async fn query(config: Config, args: QueryArgs, print: Printer) -> Result<(), Failure> {
    let mut body = json!({ "query": args.question });
    if let Some(top_k) = args.top_k {
        body["top_k"] = top_k.into();
    }
    if let Some(generation) = args.generation {
        body["generation"] = generation.into();
    }
    if let Some(mode) = args.mode {
        body["mode"] = serde_json::to_value(Mode::from(mode)).map_err(anyhow::Error::from)?;
    }
    let answer = as_tenant(config, &args.tenant, async |speaker| {
        send(speaker.request(Method::POST, "/api/v1/query")?.json(&body)).await
    });
    let answer = answer.await.map_err(|failure| match args.generation {
        Some(number) => failure.naming("generation", &number.to_string()),
        None => failure,
    })?;
    print.result(&answer, |answer| {
        if answer["outcome"] == "no_evidence" {
            return "The documents hold no evidence for an answer.".to_owned();
        }
        let source = |one: &Value| {
            format!(
                "[{}] {} ({}, bytes {} to {})",
                one["marker"],
                plain(&one["title"]),
                plain(&one["document_id"]),
                one["start"],
                one["end"]
            )
        };
        let sources = answer["citations"].as_array().into_iter().flatten().map(source);
        std::iter::once(format!("{}\n", plain(&answer["answer"]))).chain(sources).collect::<Vec<_>>().join("\n")
    })
}

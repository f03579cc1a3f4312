//! `carrel ingest` and `carrel query`: what a tenant does.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::client::{Client, TenantClient, send};
use super::tenants::{plain, wait};
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
    let mut files = Vec::new();
    for path in &args.paths {
        let top = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(Path::new("")) };
        collect(path, top, &mut files)?;
    }
    let client = Client::connect(config).await?;
    let done = send_all(&client, &args.tenant, files).await;
    client.close().await?;
    let done = done?;
    print.result(&done, |done| {
        let line = |one: &Value| format!("{}: {}", plain(&one["id"]), plain(&one["state"]));
        done.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    let failed = done.iter().filter(|one| one["state"] == "failed").count();
    if failed > 0 {
        Err(Failure::Failed(anyhow::anyhow!("{failed} of {} documents failed", done.len())))
    } else {
        Ok(())
    }
}

/// Files below `path` with the ids their paths below `top` make; hidden ones are left out.
fn collect(path: &Path, top: &Path, files: &mut Vec<(PathBuf, String)>) -> Result<(), Failure> {
    if path.is_dir() {
        let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries.iter().filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')) {
            collect(&entry.path(), top, files)?;
        }
        return Ok(());
    }
    let id = path.strip_prefix(top).unwrap_or(path).to_string_lossy().into_owned();
    files.push((path.to_owned(), id));
    Ok(())
}

async fn send_all(client: &Client, tenant: &TenantId, files: Vec<(PathBuf, String)>) -> Result<Vec<Value>, Failure> {
    let speaker = client.tenant(tenant).await?;
    let mut uploads = Vec::new();
    for (path, id) in files {
        uploads.push(upload(&speaker, &path, id).await?);
    }
    let mut done = Vec::new();
    for upload in uploads {
        let job = match upload["job_id"].as_str() {
            Some(job) => wait(&speaker, job.to_owned()).await?,
            None => upload.clone(),
        };
        done.push(json!({ "id": upload["id"], "state": job["state"], "error": job["error"] }));
    }
    Ok(done)
}

/// Uploads one file; one that is refused for itself is reported like one that failed later.
async fn upload(speaker: &TenantClient<'_>, path: &Path, id: String) -> Result<Value, Failure> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let bytes = Bytes::from(fs::read(path)?);
    loop {
        let part = Part::stream(bytes.clone()).file_name(name.clone());
        let form = Form::new().text("id", id.clone()).part("file", part);
        match send(speaker.request(Method::POST, "/api/v1/documents").multipart(form)).await {
            Err(Failure::Usage(why)) => return Ok(json!({ "id": id, "state": "failed", "error": { "message": why } })),
            Err(Failure::TooFast) => tokio::time::sleep(Duration::from_millis(500)).await,
            other => return other,
        }
    }
}

pub(super) async fn query(config: Config, args: QueryArgs, print: Printer) -> Result<(), Failure> {
    let client = Client::connect(config).await?;
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
    let answer = send(client.tenant(&args.tenant).await?.request(Method::POST, "/api/v1/query").json(&body)).await;
    client.close().await?;
    print.result(&answer?, |answer| {
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

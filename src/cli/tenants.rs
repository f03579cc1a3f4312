//! `carrel tenant`, `reindex`, `jobs`: what operators do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, TenantClient, send};
use super::{Failure, Printer, table, tenant_id};
use crate::config::Config;
use crate::domain::TenantId;

#[derive(Debug, Subcommand)]
pub(super) enum TenantVerb {
    /// Add a tenant
    Add {
        /// Its id: a-z, 0-9 and '-'
        #[arg(value_parser = tenant_id)]
        id: TenantId,
        /// Name to show
        #[arg(long)]
        name: Option<String>,
        /// A settings file to start with
        #[arg(long, conflicts_with = "name")]
        file: Option<PathBuf>,
    },
    /// List tenants and how they fare
    List,
    /// Show one tenant
    Show {
        /// Its id
        #[arg(value_parser = tenant_id)]
        id: TenantId,
    },
    /// Make another tenant that is what this one is now
    Clone {
        /// The tenant to clone
        #[arg(value_parser = tenant_id)]
        id: TenantId,
        /// The new tenant's id
        #[arg(value_parser = tenant_id)]
        new: TenantId,
    },
    /// Remove a tenant with its documents, index, jobs and tokens
    Remove {
        /// Its id
        #[arg(value_parser = tenant_id)]
        id: TenantId,
        /// Yes, delete it all
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct ReindexArgs {
    /// The tenant
    #[arg(short, long, value_parser = tenant_id, required_unless_present = "all", conflicts_with = "all")]
    tenant: Option<TenantId>,
    /// Every tenant
    #[arg(long)]
    all: bool,
    /// Wait until the new generation serves
    #[arg(long)]
    wait: bool,
    /// Read, cut and embed every document anew, whatever is known of it
    #[arg(long)]
    fresh: bool,
    /// Tell what would be done, and do nothing
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct JobsArgs {
    /// The tenant
    #[arg(short, long, value_parser = tenant_id)]
    tenant: TenantId,
    /// Cancel this job instead of listing
    #[arg(long, value_name = "ID", conflicts_with = "retry")]
    cancel: Option<String>,
    /// Queue this job again, which failed or was cancelled
    #[arg(long, value_name = "ID")]
    retry: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct PurgeArgs {
    /// The tenant
    #[arg(short, long, value_parser = tenant_id)]
    tenant: TenantId,
}

pub(super) async fn run(config: Config, verb: TenantVerb, print: Printer) -> Result<(), Failure> {
    if let TenantVerb::Remove { id, yes: false } = &verb {
        return Err(Failure::Usage(format!("this deletes every document of `{id}`: add --yes to go on")));
    }
    let client = Client::connect(config).await?;
    let done = act(&client, verb, print).await;
    client.close().await?;
    done
}

async fn act(client: &Client, verb: TenantVerb, print: Printer) -> Result<(), Failure> {
    match verb {
        TenantVerb::Add { id, name, file } => {
            let settings = match (file, name) {
                (Some(file), _) => settings_of(&file)?,
                (None, Some(name)) => json!({ "name": name }),
                (None, None) => json!({}),
            };
            let body = json!({ "id": id, "settings": settings });
            let added = send(client.operator(Method::POST, "/api/v1/tenants").json(&body)).await?;
            print.result(&added, |_| format!("added {id}"))
        }
        TenantVerb::List => {
            let list = send(client.operator(Method::GET, "/api/v1/tenants")).await?;
            print.result(&list, |list| {
                let head = ["ID", "HEALTH", "GENERATION", "DOCUMENTS", "CHUNKS"].map(str::to_owned).to_vec();
                let row = |tenant: &Value| {
                    ["id", "health", "generation", "documents", "chunks"].map(|key| plain(&tenant[key])).to_vec()
                };
                table(&std::iter::once(head).chain(rows(list).iter().map(row)).collect::<Vec<_>>())
            })
        }
        TenantVerb::Show { id } => {
            let tenant = send(client.operator(Method::GET, &format!("/api/v1/tenants/{id}"))).await?;
            print.result(&tenant, |tenant| serde_json::to_string_pretty(tenant).unwrap_or_default())
        }
        TenantVerb::Clone { id, new } => {
            let path = format!("/api/v1/tenants/{id}/clone");
            let made = send(client.operator(Method::POST, &path).json(&json!({ "id": new }))).await?;
            print.result(&made, |_| format!("cloned {id} as {new}"))
        }
        TenantVerb::Remove { id, .. } => {
            send(client.operator(Method::DELETE, &format!("/api/v1/tenants/{id}"))).await?;
            print.result(&json!({ "id": id, "removed": true }), |_| format!("removed {id}"))
        }
    }
}

/// A settings file as the API takes it.
fn settings_of(file: &Path) -> Result<Value, Failure> {
    let text = std::fs::read_to_string(file)?;
    toml::from_str(&text).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))
}

pub(super) async fn reindex(config: Config, args: ReindexArgs, print: Printer) -> Result<(), Failure> {
    let client = Client::connect(config).await?;
    let tenants = match args.tenant {
        Some(id) => vec![id],
        None => every_tenant(&client).await?,
    };
    let mut jobs = Vec::new();
    for id in tenants {
        let speaker = client.tenant(&id).await?;
        let path = format!("/api/v1/reindex?fresh={}&dry_run={}", args.fresh, args.dry_run);
        let mut job = send(speaker.request(Method::POST, &path)).await?;
        if args.wait {
            job = wait(&speaker, plain(&job["job_id"])).await?;
        }
        jobs.push(json!({ "tenant": id, "job": job }));
    }
    client.close().await?;
    if args.dry_run {
        return print.result(&jobs, |jobs| jobs.iter().map(forecast).collect::<Vec<_>>().join("\n"));
    }
    let failed = jobs.iter().any(|job| job["job"]["state"] == "failed");
    print.result(&jobs, |jobs| {
        let line = |job: &Value| format!("{}: {}", plain(&job["tenant"]), plain(&job["job"]["state"]));
        jobs.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    if failed { Err(Failure::Failed(anyhow::anyhow!("a build failed; what served goes on serving"))) } else { Ok(()) }
}

/// What a rebuild would do, in words.
fn forecast(job: &Value) -> String {
    let (of, documents) = (&job["job"], |kind: &str| plain(&job["job"][format!("documents_{kind}")]["count"]));
    let [unchanged, failed, chunks, texts, tokens] =
        ["documents_unchanged", "documents_failed", "chunks", "texts_embedded", "model_tokens"]
            .map(|key| plain(&of[key]));
    let seconds =
        of["seconds"].as_f64().map_or("an unknown time".to_owned(), |seconds| format!("about {seconds:.1} s"));
    let cost = of["cost"].as_f64().map_or(String::new(), |cost| format!(", cost {cost:.4}"));
    let megabytes = of["bytes"].as_f64().unwrap_or_default() / 1e6;
    format!(
        "{}: {} documents added, {} changed, {} removed, {unchanged} taken over, {failed} unreadable\n\
         {chunks} chunks, {texts} of them to embed ({tokens} model tokens{cost}); {seconds}; {megabytes:.1} MB on disk",
        plain(&job["tenant"]),
        documents("added"),
        documents("changed"),
        documents("removed"),
    )
}

pub(super) async fn purge(config: Config, args: PurgeArgs, print: Printer) -> Result<(), Failure> {
    let client = Client::connect(config).await?;
    let speaker = client.tenant(&args.tenant).await?;
    let ticket = send(speaker.request(Method::POST, "/api/v1/purge")).await?;
    let job = wait(&speaker, plain(&ticket["job_id"])).await;
    client.close().await?;
    print.result(&job?, |job| format!("the purge is {}", plain(&job["state"])))
}

async fn every_tenant(client: &Client) -> Result<Vec<TenantId>, Failure> {
    let list = send(client.operator(Method::GET, "/api/v1/tenants")).await?;
    Ok(rows(&list).iter().filter_map(|tenant| TenantId::parse(tenant["id"].as_str()?).ok()).collect())
}

/// Follows a job to its end, showing a bar where there is a terminal.
pub(super) async fn wait(speaker: &TenantClient<'_>, id: String) -> Result<Value, Failure> {
    let bar = indicatif::ProgressBar::new(0);
    loop {
        let job = send(speaker.request(Method::GET, &format!("/api/v1/jobs/{id}"))).await?;
        bar.set_length(job["counts"]["documents_total"].as_u64().unwrap_or(0));
        bar.set_position(job["counts"]["documents_done"].as_u64().unwrap_or(0));
        if !matches!(job["state"].as_str(), Some("queued" | "running")) {
            bar.finish_and_clear();
            return Ok(job);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(super) async fn jobs(config: Config, args: JobsArgs, print: Printer) -> Result<(), Failure> {
    let client = Client::connect(config).await?;
    let speaker = client.tenant(&args.tenant).await?;
    let verb = args.cancel.map(|id| (id, "cancel")).or(args.retry.map(|id| (id, "retry")));
    if let Some((id, verb)) = verb {
        let job = send(speaker.request(Method::POST, &format!("/api/v1/jobs/{id}/{verb}"))).await;
        client.close().await?;
        return print.result(&job?, |job| format!("job {id} is {}", plain(&job["state"])));
    }
    let list = send(speaker.request(Method::GET, "/api/v1/jobs?limit=50")).await;
    client.close().await?;
    print.result(&list?, |list| {
        let head = ["ID", "KIND", "STATE", "DOCUMENT", "CREATED"].map(str::to_owned).to_vec();
        let row =
            |job: &Value| ["id", "kind", "state", "document_id", "created_at"].map(|key| plain(&job[key])).to_vec();
        table(&std::iter::once(head).chain(rows(list).iter().map(row)).collect::<Vec<_>>())
    })
}

pub(super) fn rows(list: &Value) -> &[Value] {
    list["data"].as_array().map_or(&[], Vec::as_slice)
}

/// A JSON value as a cell: text without quotes, nothing for null.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

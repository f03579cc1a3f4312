//! `carrel jobs` and `purge`: what is done for a tenant, and following it to its end.

use std::time::Duration;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{TenantClient, as_tenant, encoded, open_ledger, send};
use super::root::tenant_ids;
use super::tenants::plain;
use super::{Failure, Printer, root, table, tenant_id};
use crate::app;
use crate::config::Config;
use crate::domain::{Job, JobId, TenantId};
use crate::http::api::wire::JobView;
use crate::ledger::{Ledger, Page};

/// Jobs that are listed.
const LISTED: usize = 50;

#[derive(Debug, Args)]
pub(super) struct JobsArgs {
    /// Of this tenant alone
    #[arg(short, long, value_parser = tenant_id)]
    tenant: Option<TenantId>,
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

pub(super) async fn jobs(config: Config, args: JobsArgs, print: Printer) -> Result<(), Failure> {
    match (args.cancel, args.retry) {
        (Some(id), _) => change(config, args.tenant, &id, "cancel", print).await,
        (None, Some(id)) => change(config, args.tenant, &id, "retry", print).await,
        (None, None) => list(&config, args.tenant.as_ref(), print).await,
    }
}

async fn change(config: Config, tenant: Option<TenantId>, id: &str, verb: &str, print: Printer) -> Result<(), Failure> {
    let tenant = match tenant {
        Some(tenant) => tenant,
        None => tenant_of(&config, id).await?,
    };
    let path = format!("/api/v1/jobs/{}/{verb}", encoded(id));
    let changed = as_tenant(config, &tenant, async |speaker| send(speaker.request(Method::POST, &path)?).await).await;
    let job = changed.map_err(|failure| failure.naming("job", id))?;
    print.result(&job, |job| format!("job {id} is {}", plain(&job["state"])))
}

/// Whose job it is.
async fn tenant_of(config: &Config, id: &str) -> Result<TenantId, Failure> {
    let unknown = || Failure::NotFound(format!("there is no job `{id}`"));
    let job = JobId::parse(id).map_err(|_| unknown())?;
    let ledger = open_ledger(config)?.ok_or_else(unknown)?;
    for tenant in tenant_ids(config) {
        if ledger.job(&tenant, job).await.map_err(anyhow::Error::from)?.is_some() {
            return Ok(tenant);
        }
    }
    Err(unknown())
}

/// The latest jobs, from the ledger: no server is needed to look.
async fn list(config: &Config, tenant: Option<&TenantId>, print: Printer) -> Result<(), Failure> {
    if let Some(id) = tenant.filter(|id| !tenant_ids(config).contains(id)) {
        return Err(root::no_tenant(config, id));
    }
    let jobs = match open_ledger(config)? {
        Some(ledger) => latest(&ledger, tenant).await?,
        None => Vec::new(),
    };
    let running = app::running(&config.data_dir()).is_some();
    let rows: Vec<Value> = jobs.into_iter().map(|(tenant, job)| shown(&tenant, job)).collect::<Result<_, _>>()?;
    print.result(&json!({ "object": "list", "data": rows }), listed)?;
    if running { Ok(()) } else { print.remark("no server runs on this folder; jobs that wait go on at the next start") }
}

async fn latest(ledger: &Ledger, tenant: Option<&TenantId>) -> Result<Vec<(TenantId, Job)>, Failure> {
    let Some(id) = tenant else {
        return Ok(ledger.recent_jobs(LISTED).await.map_err(anyhow::Error::from)?);
    };
    let page = Page { limit: LISTED, after: None, before: None, descending: true };
    let jobs = ledger.jobs(id, page, None, None).await.map_err(anyhow::Error::from)?;
    Ok(jobs.entries.into_iter().map(|job| (id.clone(), job)).collect())
}

/// A job as the API shows it, with its tenant.
fn shown(tenant: &TenantId, job: Job) -> Result<Value, Failure> {
    let mut view = serde_json::to_value(JobView::from(job)).map_err(anyhow::Error::from)?;
    view["tenant"] = json!(tenant);
    Ok(view)
}

fn listed(list: &Value) -> String {
    let head = ["ID", "TENANT", "KIND", "STATE", "DOCUMENT", "CREATED", "REASON"].map(str::to_owned).to_vec();
    let row = |job: &Value| {
        let mut cells =
            ["id", "tenant", "kind", "state", "document_id", "created_at"].map(|key| plain(&job[key])).to_vec();
        cells.push(reason(job).unwrap_or_else(|| "-".to_owned()));
        cells
    };
    table(&std::iter::once(head).chain(super::tenants::rows(list).iter().map(row)).collect::<Vec<_>>())
}

/// Why a job failed or what went only half well: its code and words.
pub(super) fn reason(job: &Value) -> Option<String> {
    let error = &job["error"];
    let message = error["message"].as_str()?;
    Some(match error["code"].as_str() {
        Some(code) => format!("{code}: {message}"),
        None => message.to_owned(),
    })
}

pub(super) async fn purge(config: Config, args: PurgeArgs, print: Printer) -> Result<(), Failure> {
    let job = as_tenant(config, &args.tenant, async |speaker| {
        let ticket = send(speaker.request(Method::POST, "/api/v1/purge")?).await?;
        wait(speaker, &plain(&ticket["job_id"])).await
    });
    let job = job.await?;
    let why = reason(&job).map(|why| format!(" ({why})")).unwrap_or_default();
    print.result(&job, |job| format!("the purge is {}{why}", plain(&job["state"])))?;
    if matches!(job["state"].as_str(), Some("failed" | "cancelled")) {
        return Err(Failure::Failed(anyhow::anyhow!("the purge did not end well")));
    }
    Ok(())
}

/// Follows a job to its end, showing a bar where there is a terminal.
pub(super) async fn wait(speaker: &TenantClient<'_>, id: &str) -> Result<Value, Failure> {
    let bar = indicatif::ProgressBar::new(0);
    let job = end_of(speaker, id, |job| {
        bar.set_length(job["counts"]["documents_total"].as_u64().unwrap_or(0));
        bar.set_position(job["counts"]["documents_done"].as_u64().unwrap_or(0));
    });
    let job = job.await;
    bar.finish_and_clear();
    job
}

/// Follows a job to its end; `seen` hears how it gets on.
pub(super) async fn end_of(speaker: &TenantClient<'_>, id: &str, seen: impl Fn(&Value)) -> Result<Value, Failure> {
    loop {
        let job = send(speaker.request(Method::GET, &format!("/api/v1/jobs/{}", encoded(id)))?).await?;
        seen(&job);
        if !matches!(job["state"].as_str(), Some("queued" | "running")) {
            return Ok(job);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

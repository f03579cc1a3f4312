//! `carrel reindex`: new generations, of one tenant or of all.

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, TenantClient, as_operator, as_tenant, send};
use super::jobs::{reason, wait};
use super::tenants::{plain, rows};
use super::{Failure, Printer, tenant_id};
use crate::config::Config;
use crate::domain::TenantId;

/// Documents that are named when a reindex ends with warnings; the others are counted.
const NAMED: usize = 20;

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

pub(super) async fn run(config: Config, args: ReindexArgs, print: Printer) -> Result<(), Failure> {
    let Some(id) = &args.tenant else { return every_one(config, &args, print).await };
    let done = as_tenant(config, id, async |speaker| {
        let ticket = ask(speaker, &args).await?;
        if args.wait { follow(speaker, &ticket).await } else { Ok(ticket) }
    });
    let jobs = vec![json!({ "tenant": id, "job": done.await? })];
    print.result(&jobs, |jobs| told(jobs, &args))?;
    if is_failed(&jobs[0]) {
        return Err(Failure::Failed(anyhow::anyhow!("the build did not end well; what served goes on serving")));
    }
    Ok(())
}

/// Asks for all, then waits for all: one that fails keeps none of the others from its turn.
async fn every_one(config: Config, args: &ReindexArgs, print: Printer) -> Result<(), Failure> {
    let jobs = as_operator(config, async |client| {
        let mut asked = Vec::new();
        for id in every_tenant(client).await? {
            let ticket = async { ask(&client.tenant(&id).await?, args).await }.await;
            asked.push((id, ticket));
        }
        let mut jobs = Vec::new();
        for (id, ticket) in asked {
            let job = async {
                let ticket = ticket?;
                if args.wait { follow(&client.tenant(&id).await?, &ticket).await } else { Ok(ticket) }
            };
            let job: Result<Value, Failure> = job.await;
            jobs.push(match job {
                Ok(job) => json!({ "tenant": id, "job": job }),
                Err(failure) => json!({ "tenant": id, "error": failure.json() }),
            });
        }
        Ok(jobs)
    });
    let jobs = jobs.await?;
    print.result(&jobs, |jobs| {
        let sum = if args.dry_run { String::new() } else { summary(jobs) };
        [told(jobs, args), sum].iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join("\n")
    })?;
    match jobs.iter().filter(|job| is_failed(job)).count() {
        0 => Ok(()),
        failed => Err(Failure::Failed(anyhow::anyhow!(
            "{failed} of {} tenants failed; what served goes on serving",
            jobs.len()
        ))),
    }
}

async fn every_tenant(client: &Client) -> Result<Vec<TenantId>, Failure> {
    let list = send(client.operator(Method::GET, "/api/v1/tenants")?).await?;
    Ok(rows(&list).iter().filter_map(|tenant| TenantId::parse(tenant["id"].as_str()?).ok()).collect())
}

async fn ask(speaker: &TenantClient<'_>, args: &ReindexArgs) -> Result<Value, Failure> {
    let path = format!("/api/v1/reindex?fresh={}&dry_run={}", args.fresh, args.dry_run);
    send(speaker.request(Method::POST, &path)?).await
}

/// Waits for the job's end; one that ends with warnings about documents is told with these.
async fn follow(speaker: &TenantClient<'_>, ticket: &Value) -> Result<Value, Failure> {
    let mut job = wait(speaker, &plain(&ticket["job_id"])).await?;
    if job["state"] == "done_with_warnings" {
        let mut warnings = Vec::new();
        for state in ["failed", "warning"] {
            let list =
                send(speaker.request(Method::GET, &format!("/api/v1/documents?state={state}&limit=100"))?).await?;
            let one = |document: &Value| json!({ "id": document["id"], "state": state, "error": document["error"] });
            warnings.extend(rows(&list).iter().map(one));
        }
        job["documents"] = warnings.into();
    }
    Ok(job)
}

fn is_failed(of: &Value) -> bool {
    !of["error"].is_null() || matches!(of["job"]["state"].as_str(), Some("failed" | "cancelled"))
}

/// A line a tenant, and a line a document that is warned of.
fn told(jobs: &[Value], args: &ReindexArgs) -> String {
    let line = |of: &Value| if args.dry_run && of["error"].is_null() { forecast(of) } else { outcome(of) };
    jobs.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn outcome(of: &Value) -> String {
    let (tenant, job) = (plain(&of["tenant"]), &of["job"]);
    if let Some(why) = reason(of) {
        return format!("{tenant}: failed ({why})");
    }
    let why = reason(job).map(|why| format!(" ({why})")).unwrap_or_default();
    let mut lines = vec![format!("{tenant}: {}{why}", plain(&job["state"]))];
    let documents = job["documents"].as_array().map_or(&[][..], Vec::as_slice);
    lines.extend(documents.iter().take(NAMED).map(|document| {
        let why = reason(document).map(|why| format!(" ({why})")).unwrap_or_default();
        format!("  {}: {}{why}", plain(&document["id"]), plain(&document["state"]))
    }));
    if documents.len() > NAMED {
        lines.push(format!("  and {} more", documents.len() - NAMED));
    }
    lines.join("\n")
}

/// How many tenants ended how.
fn summary(jobs: &[Value]) -> String {
    let failed = jobs.iter().filter(|of| is_failed(of)).count();
    let of_state = |state: &str| jobs.iter().filter(|of| of["job"]["state"] == state).count();
    let [done, warned, waiting] =
        [of_state("done"), of_state("done_with_warnings"), of_state("queued") + of_state("running")];
    let asked = if waiting > 0 { format!("{waiting} queued, ") } else { String::new() };
    format!("{asked}{done} done, {warned} with warnings, {failed} failed")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_each_tenant_is_told_and_summed_up() {
        let jobs = vec![
            json!({ "tenant": "a", "job": { "state": "done" } }),
            json!({ "tenant": "b", "job": { "state": "done_with_warnings",
                "error": { "code": "documents_failed", "message": "1 document failed" },
                "documents": [{ "id": "x.pdf", "state": "failed", "error": { "code": "no_text_found", "message": "no words" } }] } }),
            json!({ "tenant": "c", "error": { "code": "usage", "message": "tenants/c.toml:1: unknown key" } }),
            json!({ "tenant": "d", "job": { "state": "failed", "error": { "code": "embedder_unavailable", "message": "no answer" } } }),
        ];
        let told: Vec<String> = jobs.iter().map(outcome).collect();
        assert_eq!(
            told,
            [
                "a: done",
                "b: done_with_warnings (documents_failed: 1 document failed)\n  x.pdf: failed (no_text_found: no words)",
                "c: failed (usage: tenants/c.toml:1: unknown key)",
                "d: failed (embedder_unavailable: no answer)",
            ]
        );
        assert_eq!(summary(&jobs), "1 done, 1 with warnings, 2 failed");
        let queued = [json!({ "tenant": "a", "job": { "state": "queued" } })];
        assert_eq!(summary(&queued), "1 queued, 0 done, 0 with warnings, 0 failed");
    }
}

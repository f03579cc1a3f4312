//! `carrel golden`: the questions that a new generation must answer as well as the one that serves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{TenantClient, as_tenant, encoded, send};
use super::tenants::{plain, rows};
use super::{Failure, Printer, table, tenant_id};
use crate::config::Config;
use crate::domain::TenantId;

#[derive(Debug, Args)]
pub(super) struct GoldenArgs {
    /// The tenant
    #[arg(short, long, value_parser = tenant_id)]
    tenant: TenantId,
    #[command(subcommand)]
    verb: GoldenVerb,
}

#[derive(Debug, Subcommand)]
enum GoldenVerb {
    /// List the golden questions
    List,
    /// Keep a question and the document that must be found for it
    Add {
        /// The question
        question: String,
        /// A document that must be found; repeat for several
        #[arg(short, long = "document", value_name = "ID", required = true)]
        documents: Vec<String>,
        /// Words that a hit of the document must hold; for one document alone
        #[arg(short, long)]
        excerpt: Option<String>,
    },
    /// Keep the judged questions of a folder in the BEIR layout; `_id` of its corpus are the tenant's document ids
    Import {
        /// The folder with `queries.jsonl` and `qrels/test.tsv`
        folder: PathBuf,
    },
    /// Delete a golden question
    Delete {
        /// Its id
        id: String,
    },
}

pub(super) async fn run(config: Config, args: GoldenArgs, print: Printer) -> Result<(), Failure> {
    // Before anything is asked of a server.
    let judged = match &args.verb {
        GoldenVerb::Import { folder } => judged(folder)?,
        _ => Vec::new(),
    };
    as_tenant(config, &args.tenant, async |speaker| act(speaker, &args, &judged, print).await).await
}

/// Questions and the documents that must be found for each.
type Judged = Vec<(String, Vec<String>)>;

async fn act(speaker: &TenantClient<'_>, args: &GoldenArgs, judged: &Judged, print: Printer) -> Result<(), Failure> {
    match &args.verb {
        GoldenVerb::List => {
            let list = send(speaker.request(Method::GET, "/api/v1/golden")?).await?;
            print.result(&list, |list| {
                let head = ["ID", "QUESTION", "EXPECTS"].map(str::to_owned).to_vec();
                table(&std::iter::once(head).chain(rows(list).iter().map(row)).collect::<Vec<_>>())
            })
        }
        GoldenVerb::Add { question, documents, excerpt } => {
            if excerpt.is_some() && documents.len() > 1 {
                return Err(Failure::Usage("an excerpt is of one document: name one".to_owned()));
            }
            let expect = documents.iter().map(|id| json!({ "document_id": id, "excerpt": excerpt })).collect();
            let kept = keep(speaker, question, expect).await?;
            print.result(&kept, |kept| format!("kept golden question {}", plain(&kept["id"])))
        }
        GoldenVerb::Import { .. } => {
            for (question, documents) in judged {
                let expect = documents.iter().map(|id| json!({ "document_id": id })).collect();
                keep(speaker, question, expect).await?;
            }
            print.result(&json!({ "kept": judged.len() }), |_| format!("kept {} golden questions", judged.len()))
        }
        GoldenVerb::Delete { id } => {
            let deleted = send(speaker.request(Method::DELETE, &format!("/api/v1/golden/{}", encoded(id)))?).await;
            deleted.map_err(|failure| failure.naming("golden question", id))?;
            print.result(&json!({ "id": id, "deleted": true }), |_| format!("deleted golden question {id}"))
        }
    }
}

async fn keep(speaker: &TenantClient<'_>, question: &str, expect: Vec<Value>) -> Result<Value, Failure> {
    let body = json!({ "question": question, "expect": expect });
    send(speaker.request(Method::POST, "/api/v1/golden")?.json(&body)).await
}

fn row(golden: &Value) -> Vec<String> {
    let expect = golden["expect"].as_array().map_or(&[][..], Vec::as_slice);
    let expects = expect.iter().map(|one| plain(&one["document_id"])).collect::<Vec<_>>().join(", ");
    vec![plain(&golden["id"]), plain(&golden["question"]), expects]
}

/// The judged questions of a folder: words, and the documents with a grade above 0.
fn judged(folder: &Path) -> Result<Judged, Failure> {
    let read = |file: &Path| std::fs::read_to_string(file).map_err(|error| Failure::of_path(file, &error));
    let mut right: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in read(&folder.join("qrels/test.tsv"))?.lines().skip(1) {
        let [question, document, grade] = line.split('\t').collect::<Vec<_>>()[..] else { continue };
        if grade.trim().parse::<u32>().is_ok_and(|grade| grade > 0) {
            right.entry(question.to_owned()).or_default().push(document.to_owned());
        }
    }
    let mut found = Vec::new();
    for line in read(&folder.join("queries.jsonl"))?.lines() {
        let query: Value = serde_json::from_str(line).context("a line of queries.jsonl is no JSON")?;
        let (id, text) = (query["_id"].as_str().unwrap_or_default(), query["text"].as_str().unwrap_or_default());
        if let Some(documents) = right.remove(id) {
            found.push((text.to_owned(), documents));
        }
    }
    Ok(found)
}

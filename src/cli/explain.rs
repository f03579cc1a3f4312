//! `carrel explain`: why a question finds what it finds, or does not find a document.

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{as_tenant, send};
use super::tenants::plain;
use super::{Failure, ModeArg, Printer, tenant_id};
use crate::config::Config;
use crate::domain::{Mode, TenantId};

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The question
    question: String,
    /// The tenant
    #[arg(short, long, value_parser = tenant_id)]
    tenant: TenantId,
    /// A document to follow: where it was lost, if it is not among the hits
    #[arg(long, value_name = "ID")]
    document: Option<String>,
    /// A kept generation to ask; the one that serves when unset
    #[arg(long, value_name = "N")]
    generation: Option<u64>,
    /// Hits wanted
    #[arg(long)]
    top_k: Option<u64>,
    /// How to search
    #[arg(long, value_enum)]
    mode: Option<ModeArg>,
}

pub(super) async fn run(config: Config, args: ExplainArgs, print: Printer) -> Result<(), Failure> {
    let body = json!({
        "query": args.question,
        "document_id": args.document,
        "generation": args.generation,
        "top_k": args.top_k,
        "mode": args.mode.map(Mode::from),
    });
    let reply = as_tenant(config, &args.tenant, async |speaker| {
        send(speaker.request(Method::POST, "/api/v1/explain")?.json(&body)).await
    });
    let reply = reply.await.map_err(|failure| match args.generation {
        Some(number) => failure.naming("generation", &number.to_string()),
        None => failure,
    })?;
    print.result(&reply, said)?;
    match args.document {
        Some(id) if reply["document"]["stage"] == "unknown_document" => {
            Err(Failure::NotFound(format!("there is no document `{id}`")))
        }
        _ => Ok(()),
    }
}

fn said(explained: &Value) -> String {
    let mut lines: Vec<String> = list(&explained["hits"]).iter().flat_map(hit).collect();
    if lines.is_empty() {
        lines.push("nothing was found".to_owned());
    }
    if let Some(filter) = explained["filter"].as_object() {
        lines.push(format!("filter: lets {} documents with {} chunks through", filter["documents"], filter["chunks"]));
    }
    if let Some(reason) = explained["index"]["meaning"]["reason"].as_str() {
        lines.push(format!("meaning had no vote: {}", plain(&reason.into())));
    }
    if explained["document"].is_object() {
        lines.extend(fate(&explained["document"]));
    }
    lines.push(format!("generation {}, {} ms", explained["index"]["generation"], explained["timings_ms"]["total"]));
    lines.join("\n")
}

fn hit(hit: &Value) -> Vec<String> {
    let place =
        |name: &str, at: &Value| at.is_object().then(|| format!("{name} {} ({})", at["rank"], short(&at["score"])));
    let places = [place("meaning", &hit["dense"]), place("words", &hit["bm25"])];
    let mut lines = vec![format!(
        "{}. {}  score {}  {}",
        hit["rank"],
        plain(&hit["chunk_id"]),
        short(&hit["score"]),
        places.into_iter().flatten().collect::<Vec<_>>().join(", ")
    )];
    let fused = &hit["fused"];
    let shares = list(&fused["contributions"])
        .iter()
        .map(|share| format!("{} {}", plain(&share["list"]), short(&share["contribution"])));
    lines.push(format!("   {} = {}", short(&fused["score"]), shares.collect::<Vec<_>>().join(" + ")));
    let terms = list(&hit["terms"]).iter().map(|term| format!("{} {}", plain(&term["term"]), short(&term["score"])));
    let terms: Vec<String> = terms.collect();
    if !terms.is_empty() {
        lines.push(format!("   words: {}", terms.join(" + ")));
    }
    if hit["rerank"].is_object() {
        lines.push(format!("   reranker: from {} to {}", hit["rerank"]["from"], hit["rerank"]["to"]));
    }
    lines
}

fn fate(fate: &Value) -> Vec<String> {
    let missing = if fate["missing"].is_number() {
        format!("; {} is missing to the last hit", short(&fate["missing"]))
    } else {
        String::new()
    };
    let (id, message) = (plain(&fate["document_id"]), plain(&fate["message"]));
    let mut lines = vec![format!("{id}: {message} ({}){missing}", plain(&fate["stage"]))];
    for chunk in list(&fate["chunks"]) {
        let place = |name: &str, at: &Value| {
            at.is_object().then(|| {
                let rank = at["rank"].as_u64().map_or_else(|| "-".to_owned(), |rank| rank.to_string());
                format!("{name} {rank} ({}, last candidate {})", short(&at["score"]), short(&at["last_candidate"]))
            })
        };
        let places = [place("meaning", &chunk["dense"]), place("words", &chunk["bm25"])];
        let places = places.into_iter().flatten().collect::<Vec<_>>().join(", ");
        lines.push(format!("   {}: {}  {places}", plain(&chunk["chunk_id"]), plain(&chunk["stage"])));
    }
    lines
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A score with four digits.
fn short(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |score| format!("{score:.4}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hits_parts_and_a_lost_documents_stage_are_said_in_lines() {
        let explained = json!({
            "hits": [{
                "rank": 1, "chunk_id": "a.md#0", "score": 0.9,
                "dense": { "rank": 1, "score": 0.61 }, "bm25": { "rank": 2, "score": 3.5 },
                "fused": { "rank": 1, "score": 0.9, "contributions": [
                    { "list": "dense", "contribution": 0.8 }, { "list": "bm25", "contribution": 0.1 }] },
                "terms": [{ "term": "zebra", "score": 3.5 }]
            }],
            "document": { "document_id": "b.md", "stage": "below_top_k", "message": "it was found, below the last hit",
                "missing": 0.25, "chunks": [{ "chunk_id": "b.md#0", "stage": "below_top_k",
                    "bm25": { "score": 1.0, "last_candidate": 0.5 } }] },
            "index": { "generation": 4 }, "timings_ms": { "total": 1.5 }
        });
        assert_eq!(
            said(&explained),
            "1. a.md#0  score 0.9000  meaning 1 (0.6100), words 2 (3.5000)\n   0.9000 = dense 0.8000 + bm25 0.1000\n   \
             words: zebra 3.5000\nb.md: it was found, below the last hit (below_top_k); 0.2500 is missing to the last hit\n   \
             b.md#0: below_top_k  words - (1.0000, last candidate 0.5000)\ngeneration 4, 1.5 ms"
        );
    }
}

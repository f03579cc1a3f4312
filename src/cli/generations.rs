//! `carrel generations`: list, compare, go back, keep, delete.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{TenantClient, as_tenant, send};
use super::tenants::{plain, rows};
use super::{Failure, Printer, table, tenant_id};
use crate::config::Config;
use crate::domain::TenantId;

#[derive(Debug, Subcommand)]
pub(super) enum GenerationsVerb {
    /// List generations, newest first
    List(Which),
    /// Compare a generation with another
    Diff {
        #[command(flatten)]
        of: Which,
        /// The generation
        number: u64,
        /// The other; the one that serves when unset
        with: Option<u64>,
    },
    /// Answer from an older generation again
    Activate {
        #[command(flatten)]
        one: One,
        /// Let it serve although it failed its checks
        #[arg(long)]
        force: bool,
    },
    /// Keep a generation when newer ones come
    Pin(One),
    /// Let a generation go when newer ones come
    Unpin(One),
    /// Delete a generation that does not serve
    Delete(One),
}

#[derive(Debug, Args)]
pub(super) struct Which {
    /// The tenant
    #[arg(short, long, value_parser = tenant_id)]
    tenant: TenantId,
}

#[derive(Debug, Args)]
pub(super) struct One {
    #[command(flatten)]
    of: Which,
    /// The generation
    number: u64,
}

impl GenerationsVerb {
    fn tenant(&self) -> &TenantId {
        match self {
            Self::List(of) | Self::Diff { of, .. } => &of.tenant,
            Self::Activate { one, .. } | Self::Pin(one) | Self::Unpin(one) | Self::Delete(one) => &one.of.tenant,
        }
    }

    /// The generation or the two that are named, as a refusal names them.
    fn number(&self) -> Option<String> {
        match self {
            Self::List(_) => None,
            Self::Diff { number, with: None, .. } => Some(number.to_string()),
            Self::Diff { number, with: Some(with), .. } => Some(format!("{number}` or `{with}")),
            Self::Activate { one, .. } | Self::Pin(one) | Self::Unpin(one) | Self::Delete(one) => {
                Some(one.number.to_string())
            }
        }
    }
}

pub(super) async fn run(config: Config, verb: GenerationsVerb, print: Printer) -> Result<(), Failure> {
    let done = as_tenant(config, verb.tenant(), async |speaker| act(speaker, &verb, print).await).await;
    done.map_err(|failure| match verb.number() {
        Some(number) => failure.naming("generation", &number),
        None => failure,
    })
}

async fn act(speaker: &TenantClient<'_>, verb: &GenerationsVerb, print: Printer) -> Result<(), Failure> {
    match verb {
        GenerationsVerb::List(_) => print.result(&ask(speaker, Method::GET, "").await?, listed),
        GenerationsVerb::Diff { number, with, .. } => {
            let with = with.map(|with| format!("?with={with}")).unwrap_or_default();
            print.result(&ask(speaker, Method::GET, &format!("/{number}/diff{with}")).await?, compared)
        }
        GenerationsVerb::Activate { one: One { number, .. }, force } => {
            let path = format!("/api/v1/generations/{number}/activate");
            let activated = send(speaker.request(Method::POST, &path)?.json(&json!({ "force": force }))).await?;
            print.result(&activated, |activated| {
                let previous = plain(&activated["previous"]);
                format!("generation {number} answers now, in place of {previous}")
            })
        }
        GenerationsVerb::Pin(One { number, .. }) => {
            ask(speaker, Method::PUT, &format!("/{number}/pin")).await?;
            done(print, *number, "is kept when newer ones come")
        }
        GenerationsVerb::Unpin(One { number, .. }) => {
            ask(speaker, Method::DELETE, &format!("/{number}/pin")).await?;
            done(print, *number, "goes when newer ones come")
        }
        GenerationsVerb::Delete(One { number, .. }) => {
            ask(speaker, Method::DELETE, &format!("/{number}")).await?;
            done(print, *number, "is deleted")
        }
    }
}

async fn ask(speaker: &TenantClient<'_>, method: Method, rest: &str) -> Result<Value, Failure> {
    send(speaker.request(method, &format!("/api/v1/generations{rest}"))?).await
}

fn done(print: Printer, number: u64, what: &str) -> Result<(), Failure> {
    print.result(&json!({ "generation": number }), |_| format!("generation {number} {what}"))
}

fn listed(list: &Value) -> String {
    let keys = ["number", "state", "pinned", "made_at", "reason", "documents", "chunks", "bytes"];
    let head = keys.map(|key| key.trim_end_matches("_at").to_uppercase()).to_vec();
    let row = |one: &Value| keys.map(|key| plain(&one[key])).to_vec();
    table(&std::iter::once(head).chain(rows(list).iter().map(row)).collect::<Vec<_>>())
}

fn compared(diff: &Value) -> String {
    let mut lines = vec![format!("from {} to {}", plain(&diff["from"]), plain(&diff["to"]))];
    for (kind, sign) in [("added", '+'), ("removed", '-'), ("changed", '~')] {
        let documents = &diff[kind];
        lines.push(format!("{kind}: {}", plain(&documents["count"])));
        let ids = documents["ids"].as_array().map_or(&[][..], Vec::as_slice);
        lines.extend(ids.iter().map(|id| format!("  {sign} {}", plain(id))));
    }
    lines.push(format!("unchanged: {}", plain(&diff["unchanged"])));
    lines.push(format!("chunks: +{} -{}", plain(&diff["chunks_added"]), plain(&diff["chunks_removed"])));
    lines.join("\n")
}

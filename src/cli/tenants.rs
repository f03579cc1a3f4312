//! `carrel tenant`: what operators do with tenants.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, as_operator, open_ledger, send};
use super::root::settings_of;
use super::{Failure, Printer, health, tenant_id};
use crate::app;
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
    /// Show one tenant with its settings
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
        /// Yes, delete it all, without asking
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn run(config: Config, verb: TenantVerb, print: Printer) -> Result<(), Failure> {
    match verb {
        TenantVerb::Add { id, name, file } => {
            let settings = match (file, name) {
                (Some(file), _) => read_settings(&file)?,
                (None, Some(name)) => json!({ "name": name }),
                (None, None) => json!({}),
            };
            let body = json!({ "id": id, "settings": settings });
            let add = async |client: &Client| send(client.operator(Method::POST, "/api/v1/tenants")?.json(&body)).await;
            print.result(&as_operator(config, add).await?, |_| format!("added {id}"))
        }
        TenantVerb::List => list(config, print).await,
        TenantVerb::Show { id } => show(config, &id, print).await,
        TenantVerb::Clone { id, new } => {
            let clone = async |client: &Client| {
                client.must_have(&id).await?;
                let path = format!("/api/v1/tenants/{id}/clone");
                send(client.operator(Method::POST, &path)?.json(&json!({ "id": new }))).await
            };
            print.result(&as_named(config, &id, clone).await?, |_| format!("cloned {id} as {new}"))
        }
        TenantVerb::Remove { id, yes } => {
            let remove = async |client: &Client| {
                client.must_have(&id).await?;
                if !yes {
                    ask_to_remove(&id)?;
                }
                send(client.operator(Method::DELETE, &format!("/api/v1/tenants/{id}"))?).await
            };
            as_named(config, &id, remove).await?;
            print.result(&json!({ "id": id, "removed": true }), |_| format!("removed {id}"))
        }
    }
}

/// As [`as_operator`], for a tenant that must be there: where no server runs, none is started for one that is not.
async fn as_named<T>(
    config: Config,
    id: &TenantId,
    work: impl AsyncFnOnce(&Client) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if app::running(&config.data_dir()).is_none() && !super::root::tenant_ids(&config).contains(id) {
        return Err(super::root::no_tenant(&config, id));
    }
    as_operator(config, work).await
}

async fn list(config: Config, print: Printer) -> Result<(), Failure> {
    if app::running(&config.data_dir()).is_none() {
        let list = health::at_rest(&config).await?;
        print.result(&list, health::listed)?;
        return print.remark("no server runs on this folder; this is what the last one left");
    }
    let ledger = open_ledger(&config)?;
    let mut list =
        as_operator(config, async |client| send(client.operator(Method::GET, "/api/v1/tenants")?).await).await?;
    for view in list["data"].as_array_mut().into_iter().flatten() {
        if let Ok(id) = TenantId::parse(view["id"].as_str().unwrap_or_default()) {
            let totals = health::totals(ledger.as_ref(), &id).await?;
            health::add_trouble(view, totals);
        }
    }
    print.result(&list, health::listed)
}

async fn show(config: Config, id: &TenantId, print: Printer) -> Result<(), Failure> {
    let ledger = open_ledger(&config)?;
    let mut view = if app::running(&config.data_dir()).is_some() {
        let mut view = as_operator(config.clone(), async |client| client.must_have(id).await).await?;
        let totals = health::totals(ledger.as_ref(), id).await?;
        health::add_trouble(&mut view, totals);
        view
    } else {
        if !super::root::tenant_ids(&config).contains(id) {
            return Err(super::root::no_tenant(&config, id));
        }
        health::one_at_rest(&config, ledger.as_ref(), id).await?
    };
    view["settings"] = match settings_of(&config, id) {
        Ok(settings) => serde_json::to_value(settings).map_err(anyhow::Error::from)?,
        // The view says what is wrong with them.
        Err(_) => Value::Null,
    };
    print.result(&view, |view| serde_json::to_string_pretty(view).unwrap_or_default())
}

/// Asks on a terminal whether a tenant may go; without one, `--yes` is needed.
fn ask_to_remove(id: &TenantId) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(format!("this deletes every document of `{id}`: add --yes to go on")));
    }
    let mut asks = std::io::stderr();
    write!(asks, "This deletes `{id}` with its documents, index, jobs and tokens. Type its id to go on: ")?;
    asks.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if answer.trim() == id.as_str() { Ok(()) } else { Err(Failure::Usage(format!("`{id}` was not removed"))) }
}

/// A settings file as the API takes it.
fn read_settings(file: &Path) -> Result<Value, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::of_path(file, &error))?;
    toml::from_str(&text).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))
}

pub(super) fn rows(list: &Value) -> &[Value] {
    list["data"].as_array().map_or(&[], Vec::as_slice)
}

/// A JSON value as a cell: text without quotes, a dash for null.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

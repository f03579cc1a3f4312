//! How tenants fare: told by the server that runs, or read from what the last one left.

use serde_json::{Value, json};

use super::client::open_ledger;
use super::root::tenant_ids;
use super::{Failure, table};
use crate::config::{Config, TenantSettings};
use crate::domain::TenantId;
use crate::index::Generations;
use crate::ledger::{DocumentTotals, Ledger};

/// What is known of every tenant while no server runs, in the shape of the server's own list.
pub(super) async fn at_rest(config: &Config) -> Result<Value, Failure> {
    let ledger = open_ledger(config)?;
    let mut tenants = Vec::new();
    for id in tenant_ids(config) {
        tenants.push(one_at_rest(config, ledger.as_ref(), &id).await?);
    }
    Ok(json!({ "object": "list", "data": tenants }))
}

/// What is known of one tenant while no server runs; its file must be there.
pub(super) async fn one_at_rest(config: &Config, ledger: Option<&Ledger>, id: &TenantId) -> Result<Value, Failure> {
    let settings = TenantSettings::load(&config.tenants_dir().join(format!("{id}.toml")), config);
    let generations = Generations::new(&config.data_dir().join(id.as_str()));
    let serving = serving(&generations);
    let (state, cause) = match (&settings, &serving) {
        (Err(error), _) => ("failed", Some(error.to_string())),
        (_, Err(error)) => ("failed", Some(error.clone())),
        (_, Ok(None)) => ("stopped", Some("it has no index yet; the next start builds it".to_owned())),
        (_, Ok(Some(_))) => ("stopped", None),
    };
    let info = serving.ok().flatten();
    let name = settings.ok().map(|settings| settings.name).filter(|name| !name.is_empty());
    let mut view = json!({
        "id": id,
        "name": name.unwrap_or_else(|| id.to_string()),
        "state": state,
        "cause": cause,
        "answers": false,
        "generation": info.as_ref().map_or(0, |info| info.number),
        "documents": info.as_ref().map_or(0, |info| info.documents),
        "chunks": info.as_ref().map_or(0, |info| info.chunks),
        "bytes": info.as_ref().map_or(0, |info| info.bytes),
        "built_at": info.as_ref().map(|info| info.made_at),
        "embedder": info.as_ref().map(|info| info.spec.embedder.clone()),
    });
    add_trouble(&mut view, totals(ledger, id).await?);
    Ok(view)
}

/// The generation that would serve; an error says in words what is wrong with it.
fn serving(generations: &Generations) -> Result<Option<crate::index::GenerationInfo>, String> {
    let failed = |error: crate::index::IndexError| error.to_string();
    let Some(number) = generations.serving().map_err(failed)? else { return Ok(None) };
    let found = generations.list().map_err(failed)?.into_iter().find(|info| info.number == number);
    found.map(Some).ok_or_else(|| format!("the files of generation {number} are not there"))
}

/// The counts of a tenant's documents, where a ledger knows them.
pub(super) async fn totals(ledger: Option<&Ledger>, id: &TenantId) -> Result<DocumentTotals, Failure> {
    match ledger {
        Some(ledger) => Ok(ledger.document_totals(id).await.map_err(anyhow::Error::from)?),
        None => Ok(DocumentTotals::default()),
    }
}

/// Adds what is wrong with a tenant, in words, and the documents that failed.
pub(super) fn add_trouble(view: &mut Value, totals: DocumentTotals) {
    view["documents_failed"] = totals.failed.into();
    view["documents_waiting"] = totals.waiting.into();
    view["trouble"] = trouble(view, totals).map_or(Value::Null, Value::String);
}

fn trouble(view: &Value, totals: DocumentTotals) -> Option<String> {
    let mut said: Vec<String> = view["cause"].as_str().map(|cause| cause.replace('\n', "; ")).into_iter().collect();
    if view["state"] == "building" {
        let last = view["errors"][0]["message"].as_str().map(|last| format!(", after: {last}")).unwrap_or_default();
        said.push(format!("its first build is under way{last}"));
    }
    let outdated: Vec<&str> = view["outdated"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !outdated.is_empty() {
        said.push(format!("its index is outdated ({}): reindex it", outdated.join(", ")));
    }
    match totals.failed {
        0 => {}
        1 => said.push("1 document failed".to_owned()),
        failed => said.push(format!("{failed} documents failed")),
    }
    if said.is_empty() { None } else { Some(said.join("; ")) }
}

/// The list as a table.
pub(super) fn listed(list: &Value) -> String {
    let head = ["ID", "STATE", "DOCUMENTS", "CHUNKS", "GENERATION", "TROUBLE"].map(str::to_owned).to_vec();
    let keys = ["id", "state", "documents", "chunks", "generation", "trouble"];
    let row = |tenant: &Value| keys.map(|key| super::tenants::plain(&tenant[key])).to_vec();
    table(&std::iter::once(head).chain(super::tenants::rows(list).iter().map(row)).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_in_words() {
        let totals = |failed| DocumentTotals { failed, ..DocumentTotals::default() };
        let of = |view: Value, failed| trouble(&view, totals(failed));
        assert_eq!(of(json!({ "state": "ready" }), 0), None);
        assert_eq!(of(json!({ "state": "ready" }), 1).unwrap(), "1 document failed");
        assert_eq!(
            of(json!({ "state": "ready", "outdated": ["embedder", "chunker"] }), 2).unwrap(),
            "its index is outdated (embedder, chunker): reindex it; 2 documents failed"
        );
        let building = json!({ "state": "building", "errors": [{ "message": "the provider does not answer" }] });
        assert_eq!(of(building, 0).unwrap(), "its first build is under way, after: the provider does not answer");
        assert_eq!(of(json!({ "state": "building", "errors": [] }), 0).unwrap(), "its first build is under way");
        let broken = json!({ "state": "failed", "cause": "tenants/a.toml:1: x\ntenants/a.toml:2: y" });
        assert_eq!(of(broken, 0).unwrap(), "tenants/a.toml:1: x; tenants/a.toml:2: y");
    }
}

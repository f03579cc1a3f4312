//! The root folder: whether it is one, and which tenants have a file there.
//!
//! Only verbs that begin something (`serve`, `tenant add`, `restore`) may make a root. All others refuse a folder that holds
//! nothing of Carrel's, so that a mistyped `--root` leaves nothing behind.

use std::path::Path;

use super::Failure;
use crate::config::{Config, TenantSettings, nearest};
use crate::domain::TenantId;

/// Tenants that a refusal lists at most.
const LISTED: usize = 10;

/// Whether a folder holds something of Carrel's: settings, tenants, or a database.
pub(super) fn is_root(folder: &Path) -> bool {
    folder.join("carrel.toml").is_file() || folder.join("tenants").is_dir() || folder.join("data/carrel.db").is_file()
}

/// Refuses a folder that is no root.
pub(super) fn must_be_root(folder: &Path) -> Result<(), Failure> {
    if is_root(folder) {
        return Ok(());
    }
    let shown = folder.display();
    let what = if folder.is_dir() {
        format!("the folder `{shown}` holds nothing of Carrel's: no carrel.toml, no tenants/, no data/")
    } else {
        format!("there is no folder `{shown}`")
    };
    Err(Failure::NotFound(format!(
        "{what}; name the right one with --root, or begin one there with `carrel serve` or `carrel tenant add`"
    )))
}

/// The ids of the tenants that have a file, in order.
pub(super) fn tenant_ids(config: &Config) -> Vec<TenantId> {
    let Ok(entries) = std::fs::read_dir(config.tenants_dir()) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut ids: Vec<TenantId> = names.filter_map(|name| TenantId::parse(name.strip_suffix(".toml")?).ok()).collect();
    ids.sort();
    ids
}

/// A tenant's settings.
///
/// # Errors
/// Names a tenant that has no file, and every mistake of one that is wrong.
pub(super) fn settings_of(config: &Config, id: &TenantId) -> Result<TenantSettings, Failure> {
    let path = config.tenants_dir().join(format!("{id}.toml"));
    if path.exists() { Ok(TenantSettings::load(&path, config)?) } else { Err(no_tenant(config, id)) }
}

/// Says that there is no such tenant, and which was probably meant.
pub(super) fn no_tenant(config: &Config, id: &TenantId) -> Failure {
    let ids = tenant_ids(config);
    let near = nearest(id.as_str(), ids.iter().map(TenantId::as_str));
    let hint = match near {
        Some(near) => format!(": did you mean `{near}`?"),
        None if ids.is_empty() => "; there is none yet: add one with `carrel tenant add`".to_owned(),
        None if ids.len() > LISTED => "; `carrel tenant list` shows those there are".to_owned(),
        None => {
            let names: Vec<&str> = ids.iter().map(TenantId::as_str).collect();
            format!("; there is {}", names.join(", "))
        }
    };
    Failure::NotFound(format!("there is no tenant `{id}`{hint}"))
}

//! The demo tenant: in a folder without tenants, Carrel starts with one whose documents are its own manual.

use std::fs;

use super::Failure;
use crate::config::Config;

/// Its id.
pub(super) const TENANT: &str = "demo";

/// The manual's pages, so that the binary alone is enough.
macro_rules! manual {
    ($($page:literal)*) => { &[$(($page, include_str!(concat!("../../documents/demo/", $page)))),*] };
}

const SETTINGS: &str = include_str!("../../tenants/demo.toml");
const MANUAL: &[(&str, &str)] = manual![
    "admin-pages.md"
    "answers-and-models.md"
    "asking.md"
    "command-line.md"
    "concepts.md"
    "configuration.md"
    "deployment.md"
    "documents.md"
    "errors.md"
    "evaluation.md"
    "first-steps.md"
    "http-api.md"
    "limits.md"
    "metrics.md"
    "reindexing.md"
    "security.md"
    "tenants.md"
    "tokens.md"
    "troubleshooting.md"
];

/// Writes the demo tenant where there is no `tenants/` folder yet; an empty one is an operator's choice and stays.
pub(super) fn provision(config: &Config) -> Result<(), Failure> {
    if config.tenants_dir().exists() {
        return Ok(());
    }
    let documents = config.documents_dir().join(TENANT);
    fs::create_dir_all(&documents)?;
    for (name, text) in MANUAL {
        fs::write(documents.join(name), text)?;
    }
    fs::create_dir_all(config.tenants_dir())?;
    fs::write(config.tenants_dir().join(format!("{TENANT}.toml")), SETTINGS)?;
    Ok(())
}

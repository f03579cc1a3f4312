//! `carrel check` and `carrel doctor`: is everything as it should be?

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::client::reachable;
use super::root::must_be_root;
use super::{Failure, Printer, table};
use crate::app;
use crate::config::{Config, ConfigError, TenantSettings, strangers};
use crate::domain::TenantId;
use crate::store::try_write;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Print the settings in force, secrets masked
    #[arg(long)]
    print: bool,
    /// Ask the running server whether it is alive; exit 3 when it is not
    #[arg(long)]
    live: bool,
}

pub(super) async fn run(root: &Path, args: &CheckArgs, print: Printer) -> Result<(), Failure> {
    must_be_root(root)?;
    let (config, mut mistakes) = Config::examine(root);
    if args.live {
        return live(&config, print).await;
    }
    let (tenants, wrong) = tenants(&config)?;
    mistakes.extend(wrong);
    let warnings = strangers();
    if print.json {
        let mistakes: Vec<Value> = mistakes.iter().flat_map(json_of).collect();
        let settings = args.print.then_some(&config);
        let ok = mistakes.is_empty();
        Printer::always_json(
            &json!({ "ok": ok, "tenants": tenants, "mistakes": mistakes, "warnings": warnings, "settings": settings }),
        )?;
    } else {
        for warning in &warnings {
            print.remark(format!("warning: {warning}"))?;
        }
        if args.print {
            Printer::line(toml::to_string_pretty(&config).map_err(anyhow::Error::from)?.trim_end())?;
        }
    }
    if let Some(mistakes) = ConfigError::of(mistakes) {
        return Err(mistakes.into());
    }
    if print.json || args.print {
        return Ok(());
    }
    Printer::line(format!("the settings are in order, tenants: {}", tenants.join(", ")))
}

/// Mistakes as JSON: the file and line where they are known, and what is wrong.
fn json_of(mistake: &ConfigError) -> Vec<Value> {
    match mistake {
        ConfigError::Several(mistakes) => mistakes.iter().flat_map(json_of).collect(),
        one => vec![json!({ "file": one.path(), "line": one.line(), "message": one.to_string() })],
    }
}

/// Tenants whose file is in order, and every mistake in the others.
fn tenants(config: &Config) -> Result<(Vec<String>, Vec<ConfigError>), Failure> {
    let (mut good, mut wrong) = (Vec::new(), Vec::new());
    let Ok(entries) = std::fs::read_dir(config.tenants_dir()) else { return Ok((good, wrong)) };
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    for path in paths {
        let Some(stem) = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".toml"))
        else {
            continue;
        };
        let loaded = TenantId::parse(stem)
            .map_err(|error| ConfigError::Name { path: format!("tenants/{stem}.toml"), message: error.to_string() })
            .and_then(|id| TenantSettings::load(&path, config).map(|_| id));
        match loaded {
            Ok(id) => good.push(id.to_string()),
            Err(error) => wrong.push(error),
        }
    }
    Ok((good, wrong))
}

async fn live(config: &Config, print: Printer) -> Result<(), Failure> {
    let address = reachable(app::running(&config.data_dir()).unwrap_or(config.http.bind));
    let http =
        reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(3)).build().map_err(anyhow::Error::from)?;
    let alive = http.get(format!("http://{address}/livez")).send().await.is_ok_and(|reply| reply.status().is_success());
    if alive {
        print.result(&json!({ "alive": true }), |_| "alive".to_owned())
    } else {
        Err(Failure::NotReady(format!("nothing answers on {address}")))
    }
}

/// One line of the doctor's report.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    ok: bool,
    says: String,
}

pub(super) async fn doctor(root: &Path, print: Printer) -> Result<(), Failure> {
    must_be_root(root)?;
    let (config, mistakes) = Config::examine(root);
    let config = &config;
    let (good, wrong) = tenants(config)?;
    let running = app::running(&config.data_dir());
    let mut findings = vec![
        Finding { what: "version", ok: true, says: env!("CARGO_PKG_VERSION").to_owned() },
        Finding {
            what: "settings",
            ok: mistakes.is_empty(),
            says: said(&mistakes, format!("{} provider(s) in carrel.toml", config.providers.len())),
        },
        Finding { what: "tenants", ok: wrong.is_empty(), says: said(&wrong, format!("{} in order", good.len())) },
        secret(config),
        Finding {
            what: "server",
            ok: true,
            says: running
                .map_or_else(|| "not running on this folder".to_owned(), |address| format!("running on {address}")),
        },
    ];
    findings.extend(folders(config, &good));
    if let Some(address) = running {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(3))
            .build()
            .map_err(anyhow::Error::from)?;
        let reply = http.get(format!("http://{}/readyz?verbose", reachable(address))).send().await;
        let (ok, says) = match reply {
            Ok(reply) => (reply.status().is_success(), reply.text().await.unwrap_or_default()),
            Err(error) => (false, error.without_url().to_string()),
        };
        findings.push(Finding { what: "ready", ok, says: says.trim().to_owned() });
    }
    print.result(&findings, |findings| {
        let mark = |finding: &Finding| if finding.ok { "ok" } else { "WRONG" }.to_owned();
        table(
            &findings
                .iter()
                .map(|finding| vec![mark(finding), finding.what.to_owned(), finding.says.clone()])
                .collect::<Vec<_>>(),
        )
    })?;
    if findings.iter().all(|finding| finding.ok) {
        Ok(())
    } else {
        Err(Failure::Failed(anyhow::anyhow!("something is wrong, see above")))
    }
}

/// The mistakes on one line, or what is said where there are none.
fn said(mistakes: &[ConfigError], well: String) -> String {
    if mistakes.is_empty() {
        return well;
    }
    mistakes.iter().map(|mistake| mistake.to_string().replace('\n', "; ")).collect::<Vec<_>>().join("; ")
}

/// Whether everything that is written can be: a folder of another user is the commonest mistake with volumes.
fn folders(config: &Config, tenants: &[String]) -> Vec<Finding> {
    let documents = config.documents_dir();
    let of_tenants = tenants.iter().map(|id| documents.join(id)).filter(|folder| folder.exists());
    let with_uploads = of_tenants.flat_map(|folder| [folder.join("uploads"), folder]).filter(|folder| folder.exists());
    let mut folders = vec![config.data_dir(), documents.clone(), config.tenants_dir()];
    folders.extend(with_uploads);
    let refused: Vec<String> =
        folders.iter().filter_map(|folder| try_write(folder).err()).map(|refused| refused.to_string()).collect();
    let says = |refused: &[String]| match refused {
        [] => format!("data, documents and tenants can be written to{}", as_whom(config)),
        refused => refused.join("; "),
    };
    vec![Finding { what: "folders", ok: refused.is_empty(), says: says(&refused) }]
}

/// A hint where the doctor may do what the server may not.
fn as_whom(config: &Config) -> String {
    let owner = std::fs::metadata(config.data_dir()).map(|facts| facts.uid()).unwrap_or_default();
    if rustix::process::geteuid().is_root() && owner != 0 {
        format!(" by root; run the doctor as user {owner} to see what that user may")
    } else {
        String::new()
    }
}

fn secret(config: &Config) -> Finding {
    let path = config.secret_path();
    if !path.exists() {
        return Finding { what: "secret", ok: true, says: "none yet; made at the first start".to_owned() };
    }
    match crate::access::Secret::load(&path) {
        Ok(_) => Finding { what: "secret", ok: true, says: "there, and readable by its owner alone".to_owned() },
        Err(error) => Finding { what: "secret", ok: false, says: error.to_string() },
    }
}

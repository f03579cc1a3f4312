//! `carrel check` and `carrel doctor`: is everything as it should be?

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::client::reachable;
use super::{Failure, Printer, table};
use crate::app;
use crate::config::{Config, TenantSettings};
use crate::domain::TenantId;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Print the settings in force, secrets masked
    #[arg(long)]
    print: bool,
    /// Ask the running server whether it is alive; exit 3 when it is not
    #[arg(long)]
    live: bool,
}

pub(super) async fn run(config: &Config, args: &CheckArgs, print: Printer) -> Result<(), Failure> {
    if args.live {
        return live(config, print).await;
    }
    let (tenants, wrong) = tenants(config)?;
    if !wrong.is_empty() {
        return Err(Failure::Usage(wrong.join("\n")));
    }
    if args.print {
        return Printer::line(format!("{config:#?}"));
    }
    print.result(&json!({ "ok": true, "tenants": tenants }), |_| {
        format!("the settings are in order, tenants: {}", tenants.join(", "))
    })
}

/// Tenants whose file is in order, and what is wrong with the others.
fn tenants(config: &Config) -> Result<(Vec<String>, Vec<String>), Failure> {
    let (mut good, mut wrong) = (Vec::new(), Vec::new());
    let Ok(entries) = std::fs::read_dir(config.tenants_dir()) else { return Ok((good, wrong)) };
    for entry in entries {
        let path = entry?.path();
        let Some(stem) = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".toml"))
        else {
            continue;
        };
        match TenantId::parse(stem).map_err(|error| format!("tenants/{stem}.toml: {error}")) {
            Err(error) => wrong.push(error),
            Ok(id) => match TenantSettings::load(&path, config) {
                Ok(_) => good.push(id.to_string()),
                Err(error) => wrong.push(error.to_string()),
            },
        }
    }
    good.sort();
    wrong.sort();
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

pub(super) async fn doctor(config: &Config, print: Printer) -> Result<(), Failure> {
    let (good, wrong) = tenants(config)?;
    let running = app::running(&config.data_dir());
    let mut findings = vec![
        Finding { what: "version", ok: true, says: env!("CARGO_PKG_VERSION").to_owned() },
        Finding { what: "settings", ok: true, says: format!("{} provider(s) in carrel.toml", config.providers.len()) },
        Finding {
            what: "tenants",
            ok: wrong.is_empty(),
            says: if wrong.is_empty() { format!("{} in order", good.len()) } else { wrong.join("; ") },
        },
        secret(config),
        Finding {
            what: "server",
            ok: true,
            says: running
                .map_or_else(|| "not running on this folder".to_owned(), |address| format!("running on {address}")),
        },
    ];
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

fn secret(config: &Config) -> Finding {
    let path = config.secret_path();
    if !path.exists() {
        return Finding { what: "secret", ok: true, says: "none yet; made at the first start".to_owned() };
    }
    match crate::access::Secret::load_or_create(&path) {
        Ok(_) => Finding { what: "secret", ok: true, says: "there, and readable by its owner alone".to_owned() },
        Err(error) => Finding { what: "secret", ok: false, says: error.to_string() },
    }
}

//! `carrel serve`: the server, its signals, and what it prints when it is ready.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::client::{open_tokens, reachable};
use super::{Failure, Printer, demo};
use crate::access::{Operator, Permission, Sessions, TokenRequest};
use crate::app::{self, App};
use crate::config::{Config, strangers};
use crate::domain::TenantId;
use crate::http::HttpState;
use crate::ledger::Ledger;
use crate::telemetry;

/// How long the first lines wait for tenants to be ready; building goes on behind them.
const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Debug, Args, Default)]
pub(super) struct ServeArgs {
    /// Address to listen on, in place of `http.bind`; port 0 takes a free one
    #[arg(long)]
    bind: Option<SocketAddr>,
}

/// What is printed when the server is ready.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names stand in the manual")]
struct Ready {
    address: String,
    admin_link: Option<String>,
    demo_token: Option<String>,
    tenants_ready: String,
}

pub(super) async fn run(mut config: Config, args: ServeArgs, print: Printer) -> Result<(), Failure> {
    telemetry::init_logs(&config.log).map_err(|error| Failure::Usage(error.to_string()))?;
    for stranger in strangers() {
        tracing::warn!("{stranger}");
    }
    if let Some(bind) = args.bind {
        config.http.bind = bind;
    }
    demo::provision(&config)?;
    let listener = TcpListener::bind(config.http.bind)
        .await
        .map_err(|error| Failure::Failed(anyhow::anyhow!("cannot listen on {}: {error}", config.http.bind)))?;
    let address = listener.local_addr()?;
    if config.http.public_url.is_empty() {
        config.http.public_url = format!("http://{}", reachable(address));
    }
    let app = App::build(config).await?;
    let stop = CancellationToken::new();
    let state = app.state().clone();
    tokio::spawn(on_signals(state.clone(), stop.clone()));
    announce(&state, address, print)?;
    let greeting = tokio::spawn(greet(state, address, print, stop.clone()));
    app.serve(listener, stop).await?;
    greeting.abort();
    Ok(())
}

/// SIGTERM and SIGINT end the server, SIGHUP reads the tenants again.
async fn on_signals(state: HttpState, stop: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => match state.tenants.reload(&Operator::local()).await {
                Ok(wrong) => tracing::info!(wrong = wrong.len(), "read the tenants again"),
                Err(error) => tracing::error!(error = %error, "the tenants could not be read again"),
            },
        }
    }
    tracing::info!("ending: requests under way may finish");
    stop.cancel();
    Ok(())
}

/// Says at once where the server is, when the tenants are not ready yet: building may take a minute.
fn announce(state: &HttpState, address: SocketAddr, print: Printer) -> Result<(), Failure> {
    let (ready, all) = state.tenants.ready();
    if ready == all {
        return Ok(());
    }
    let address = reachable(address);
    print.note(format!(
        "Carrel listens on http://{address} and prepares its tenants ({ready}/{all} ready). \
         The first start reads and embeds every document; later ones open what is there."
    ))
}

/// Waits for the tenants, then prints how to reach them.
async fn greet(state: HttpState, address: SocketAddr, print: Printer, stop: CancellationToken) -> Result<(), Failure> {
    tokio::select! {
        () = state.tenants.settled(PATIENCE) => {}
        () = stop.cancelled() => return Ok(()),
    }
    let (ready, all) = state.tenants.ready();
    let base = format!("http://{}", reachable(address));
    let ready = Ready {
        admin_link: first_link(&state).await?,
        demo_token: demo_token(&state, address).await?,
        tenants_ready: format!("{ready}/{all}"),
        address: base,
    };
    print.result(&ready, welcome)
}

fn welcome(ready: &Ready) -> String {
    let Ready { address, admin_link, demo_token, tenants_ready } = ready;
    let mut lines = vec![
        format!("Carrel {} serves on {address}", env!("CARGO_PKG_VERSION")),
        format!("  tenants ready  {tenants_ready}"),
    ];
    if let Some(link) = admin_link {
        lines.push(format!("  admin          {link}  (works once, within the hour)"));
    } else {
        lines.push(format!("  admin          {address}/admin"));
    }
    if let Some(token) = demo_token {
        lines.push(format!("  demo token     {token}"));
        lines.push("\nAsk the demo tenant, whose documents are Carrel's own manual:\n".to_owned());
        lines.push(format!(
            "curl -s {address}/api/v1/query -H 'authorization: Bearer {token}' -H 'content-type: application/json' -d '{{\"query\":\"What is a generation?\"}}'\n"
        ));
    }
    lines.join("\n")
}

/// A one-time link, until a password is set.
async fn first_link(state: &HttpState) -> Result<Option<String>, Failure> {
    if state.sessions.has_password().await.map_err(anyhow::Error::from)? {
        return Ok(None);
    }
    let secret = state.sessions.make_link().await.map_err(anyhow::Error::from)?;
    Ok(Some(format!("{}/admin/link/{secret}", state.config.http.public_url.trim_end_matches('/'))))
}

/// A day's token for the demo tenant, where there is one and only this machine can reach it.
async fn demo_token(state: &HttpState, address: SocketAddr) -> Result<Option<String>, Failure> {
    let Ok(demo) = TenantId::parse(demo::TENANT) else { return Ok(None) };
    if !address.ip().is_loopback() || state.tenants.desk_for(&Operator::local(), &demo).is_err() {
        return Ok(None);
    }
    let permissions =
        vec![Permission::Query, Permission::DocumentsRead, Permission::DocumentsWrite, Permission::Reindex];
    let request = TokenRequest { tenant: Some(demo), subject: "demo".into(), permissions, days: 1 };
    Ok(Some(state.tokens.mint(request).await.map_err(anyhow::Error::from)?.token))
}

/// `carrel admin-link`: a way in when no link is at hand or the password is lost.
pub(super) async fn admin_link(config: &Config, print: Printer) -> Result<(), Failure> {
    // Opening the tokens makes the data folder and its secret where there is none yet.
    open_tokens(config)?;
    let ledger = Ledger::open(&config.data_dir().join("carrel.db")).map_err(anyhow::Error::from)?;
    let secret = Sessions::new(ledger).make_link().await.map_err(anyhow::Error::from)?;
    let address = app::running(&config.data_dir()).unwrap_or(config.http.bind);
    let base = if config.http.public_url.is_empty() {
        format!("http://{}", reachable(address))
    } else {
        config.http.public_url.trim_end_matches('/').to_owned()
    };
    let link = serde_json::json!({ "admin_link": format!("{base}/admin/link/{secret}") });
    print.result(&link, |link| link["admin_link"].as_str().unwrap_or_default().to_owned())
}

//! Verbs speak HTTP to a server: the one that runs, or one started here for the moment.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, anyhow};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::access::{Permission, Secret, TokenRequest, Tokens};
use crate::app::{self, App};
use crate::config::Config;
use crate::domain::TenantId;
use crate::ledger::Ledger;

/// A server to speak to, with a token that may do everything there.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    operator: String,
    tokens: Tokens,
    own: Option<(CancellationToken, JoinHandle<anyhow::Result<()>>)>,
}

impl Client {
    /// Finds the running server, or starts one on a free port of this machine alone.
    pub(super) async fn connect(config: Config) -> Result<Self, Failure> {
        let (address, tokens, own) = match app::running(&config.data_dir()) {
            Some(address) => (reachable(address), open_tokens(&config)?, None),
            None => start(config).await?,
        };
        let request = TokenRequest {
            tenant: None,
            subject: "command line".into(),
            permissions: vec![Permission::TenantsAdmin],
            days: 1,
        };
        let operator = tokens.mint(request).await.map_err(anyhow::Error::from)?.token;
        let http = reqwest::Client::builder().no_proxy().build().map_err(anyhow::Error::from)?;
        Ok(Self { http, base: format!("http://{address}"), operator, tokens, own })
    }

    /// A request as the operator.
    pub(super) fn operator(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.operator)
    }

    /// A token for one tenant, to speak in its name.
    pub(super) async fn tenant(&self, tenant: &TenantId) -> Result<TenantClient<'_>, Failure> {
        let permissions =
            vec![Permission::Query, Permission::DocumentsRead, Permission::DocumentsWrite, Permission::Reindex];
        let request =
            TokenRequest { tenant: Some(tenant.clone()), subject: "command line".into(), permissions, days: 1 };
        let token = self.tokens.mint(request).await.map_err(anyhow::Error::from)?.token;
        Ok(TenantClient { client: self, token })
    }

    /// Ends a server that was started here.
    pub(super) async fn close(self) -> Result<(), Failure> {
        if let Some((stop, server)) = self.own {
            stop.cancel();
            server.await.map_err(anyhow::Error::from)??;
        }
        Ok(())
    }
}

/// Speaks in one tenant's name.
pub(super) struct TenantClient<'a> {
    client: &'a Client,
    token: String,
}

impl TenantClient<'_> {
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.http.request(method, format!("{}{path}", self.client.base)).bearer_auth(&self.token)
    }
}

/// Sends a request and reads its JSON; a problem becomes the failure that fits.
///
/// Where the tenant's rate is used up, it waits as long as the server says and tries again; a body that streams cannot be
/// sent twice and is refused.
pub(super) async fn send(request: RequestBuilder) -> Result<Value, Failure> {
    let again = request.try_clone();
    let response = request.send().await.context("the server does not answer")?;
    let status = response.status();
    if let (StatusCode::TOO_MANY_REQUESTS, Some(again)) = (status, again) {
        tokio::time::sleep(wait_of(&response)).await;
        return Box::pin(send(again)).await;
    }
    let body = response.bytes().await.map_err(anyhow::Error::from)?;
    if status.is_success() {
        return Ok(if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).map_err(anyhow::Error::from)?
        });
    }
    Err(refusal(status, &body))
}

/// The failure that fits a problem.
pub(super) fn refusal(status: StatusCode, body: &[u8]) -> Failure {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let words = problem["detail"].as_str().or(problem["title"].as_str()).unwrap_or("the server refused").to_owned();
    match status {
        StatusCode::NOT_FOUND => Failure::NotFound(words),
        StatusCode::TOO_MANY_REQUESTS => Failure::TooFast,
        StatusCode::SERVICE_UNAVAILABLE => Failure::NotReady(words),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Failure::Usage(words),
        _ => Failure::Failed(anyhow!("{words} ({status})")),
    }
}

/// How long a refused request is to wait.
fn wait_of(response: &reqwest::Response) -> Duration {
    let millis = response.headers().get("retry-after-ms").and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_millis(millis.unwrap_or(1000).clamp(10, 60_000))
}

/// Tokens of this root, without the lock: SQLite lets two processes write in turn.
pub(super) fn open_tokens(config: &Config) -> Result<Tokens, Failure> {
    let data = config.data_dir();
    std::fs::create_dir_all(&data)?;
    let ledger = Ledger::open(&data.join("carrel.db")).map_err(anyhow::Error::from)?;
    let secret = Secret::load_or_create(&config.secret_path()).map_err(anyhow::Error::from)?;
    Ok(Tokens::open(&secret, &config.auth, ledger).map_err(anyhow::Error::from)?)
}

type Started = (SocketAddr, Tokens, Option<(CancellationToken, JoinHandle<anyhow::Result<()>>)>);

async fn start(mut config: Config) -> Result<Started, Failure> {
    config.http.bind = SocketAddr::from(([127, 0, 0, 1], 0));
    config.http.drain = Duration::from_millis(100);
    let listener = TcpListener::bind(config.http.bind).await?;
    let address = listener.local_addr()?;
    let app = App::build(config).await?;
    let tokens = app.state().tokens.clone();
    app.state().tenants.settled(Duration::from_mins(10)).await;
    let stop = CancellationToken::new();
    let server = tokio::spawn(app.serve(listener, stop.clone()));
    Ok((address, tokens, Some((stop, server))))
}

/// An address that listens everywhere is reached at this machine's own.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], v4.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, v6.port())),
        other => other,
    }
}

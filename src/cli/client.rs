//! Verbs speak HTTP to a server: the one that runs, or one started here for the moment.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, anyhow};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::root::{no_tenant, settings_of};
use super::{Failure, root};
use crate::access::{LocalSigner, Permission, Secret, Tokens};
use crate::app::{self, App};
use crate::config::Config;
use crate::domain::TenantId;
use crate::ledger::Ledger;

/// What a tenant's own token may do.
const OF_A_TENANT: [Permission; 4] =
    [Permission::Query, Permission::DocumentsRead, Permission::DocumentsWrite, Permission::Reindex];

/// A server to speak to, in the operator's name.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    signer: LocalSigner,
    config: Config,
    own: Option<(CancellationToken, JoinHandle<anyhow::Result<()>>)>,
}

/// Speaks to the server as the operator, and ends one that was started for it.
///
/// # Errors
/// What `work` ends with, and why there is no server to speak to.
pub(super) async fn as_operator<T>(
    config: Config,
    work: impl AsyncFnOnce(&Client) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let client = Client::connect(config).await?;
    let done = work(&client).await;
    client.close().await?;
    done
}

/// As [`as_operator`], in the name of a tenant.
///
/// # Errors
/// As [`as_operator`]; names a tenant that is not there or whose settings are wrong.
pub(super) async fn as_tenant<T>(
    config: Config,
    id: &TenantId,
    work: impl AsyncFnOnce(&TenantClient<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if app::running(&config.data_dir()).is_none() {
        // Before a server is started for nothing.
        settings_of(&config, id)?;
    }
    as_operator(config, async |client| work(&client.tenant(id).await?).await).await
}

impl Client {
    /// Finds the running server, or starts one on a free port of this machine alone.
    async fn connect(config: Config) -> Result<Self, Failure> {
        let (address, own) = match app::running(&config.data_dir()) {
            Some(address) => (reachable(address), None),
            None => start(config.clone()).await?,
        };
        let secret = Secret::load(&config.secret_path()).map_err(anyhow::Error::from)?;
        let signer = LocalSigner::new(&secret, &config.auth);
        let http = reqwest::Client::builder().no_proxy().build().map_err(anyhow::Error::from)?;
        Ok(Self { http, base: format!("http://{address}"), signer, config, own })
    }

    /// A request as the operator.
    ///
    /// # Errors
    /// When the cryptography fails.
    pub(super) fn operator(&self, method: Method, path: &str) -> Result<RequestBuilder, Failure> {
        self.request(method, path, None, &[Permission::TenantsAdmin])
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        tenant: Option<&TenantId>,
        permissions: &[Permission],
    ) -> Result<RequestBuilder, Failure> {
        let token = self.signer.sign(tenant, permissions)?;
        Ok(self.http.request(method, format!("{}{path}", self.base)).bearer_auth(token))
    }

    /// What the server says of a tenant.
    ///
    /// # Errors
    /// Names a tenant that is not there.
    pub(super) async fn must_have(&self, id: &TenantId) -> Result<Value, Failure> {
        let view = send(self.operator(Method::GET, &format!("/api/v1/tenants/{id}"))?).await;
        view.map_err(|failure| match failure {
            Failure::Refused { status: 404, .. } if root::tenant_ids(&self.config).contains(id) => Failure::NotFound(
                format!("tenants/{id}.toml is there, but the running server has not read it: send the server a SIGHUP"),
            ),
            Failure::Refused { status: 404, .. } => no_tenant(&self.config, id),
            other => other,
        })
    }

    /// Speaks in the name of a tenant.
    ///
    /// # Errors
    /// Names a tenant that is not there, or whose settings are wrong so that it does not run.
    pub(super) async fn tenant(&self, id: &TenantId) -> Result<TenantClient<'_>, Failure> {
        let view = self.must_have(id).await?;
        if view["answers"] == false && view["state"] == "failed" {
            settings_of(&self.config, id)?;
        }
        Ok(TenantClient { client: self, id: id.clone() })
    }

    /// Ends a server that was started here.
    async fn close(self) -> Result<(), Failure> {
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
    id: TenantId,
}

impl TenantClient<'_> {
    /// A request in the tenant's name.
    ///
    /// # Errors
    /// When the cryptography fails.
    pub(super) fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, Failure> {
        self.client.request(method, path, Some(&self.id), &OF_A_TENANT)
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
    if !status.is_success() {
        return Err(refusal(status, &body));
    }
    if body.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&body).map_err(anyhow::Error::from)?) }
}

/// The failure that fits a problem.
pub(super) fn refusal(status: StatusCode, body: &[u8]) -> Failure {
    if status == StatusCode::UNAUTHORIZED {
        // Its tokens are signed with the secret of this root.
        return Failure::Failed(anyhow!(
            "the running server does not know this folder's signing secret; if the secret was replaced, restart the server"
        ));
    }
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let words = problem["detail"].as_str().or(problem["title"].as_str());
    let words = words.map_or_else(|| format!("the server refused ({status})"), ToOwned::to_owned);
    let code = problem["code"].as_str().unwrap_or_default().to_owned();
    Failure::Refused { status: status.as_u16(), code, words }
}

/// How long a refused request is to wait.
fn wait_of(response: &reqwest::Response) -> Duration {
    let millis = response.headers().get("retry-after-ms").and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_millis(millis.unwrap_or(1000).clamp(10, 60_000))
}

/// Percent-encodes an id as one part of a path: all but RFC 3986's unreserved characters.
pub(super) fn encoded(id: &str) -> String {
    id.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// Tokens of this root, without the lock: SQLite lets two processes write in turn. Makes what is not there yet.
pub(super) fn open_tokens(config: &Config) -> Result<Tokens, Failure> {
    let data = config.data_dir();
    std::fs::create_dir_all(&data)?;
    let ledger = Ledger::open(&data.join("carrel.db")).map_err(anyhow::Error::from)?;
    let secret = Secret::load_or_create(&config.secret_path()).map_err(anyhow::Error::from)?;
    Ok(Tokens::open(&secret, &config.auth, ledger).map_err(anyhow::Error::from)?)
}

/// The ledger of this root; `None` where nothing was ever kept.
pub(super) fn open_ledger(config: &Config) -> Result<Option<Ledger>, Failure> {
    let path = config.data_dir().join("carrel.db");
    if path.exists() { Ok(Some(Ledger::open(&path).map_err(anyhow::Error::from)?)) } else { Ok(None) }
}

type Started = (SocketAddr, Option<(CancellationToken, JoinHandle<anyhow::Result<()>>)>);

async fn start(mut config: Config) -> Result<Started, Failure> {
    config.http.bind = SocketAddr::from(([127, 0, 0, 1], 0));
    config.http.drain = Duration::from_millis(100);
    let listener = TcpListener::bind(config.http.bind).await?;
    let address = listener.local_addr()?;
    let app = App::build(config).await?;
    app.state().tenants.settled(Duration::from_mins(10)).await;
    let stop = CancellationToken::new();
    let server = tokio::spawn(app.serve(listener, stop.clone()));
    Ok((address, Some((stop, server))))
}

/// An address that listens everywhere is reached at this machine's own.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], v4.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, v6.port())),
        other => other,
    }
}

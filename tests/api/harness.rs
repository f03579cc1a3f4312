//! A whole Carrel for one test, and callers as types, so that rights are visible where they are used.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use carrel::access::{Operator, Permission, TokenRequest};
use carrel::actors::{Desk, Faults};
use carrel::app::{App, Twins};
use carrel::config::Config;
use carrel::domain::TenantId;
use carrel::embed::{Embedder, HashEmbedder};
use carrel::http::HttpState;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Settings of a tenant that a test says nothing of: no limit is met by accident, and the twin's rough cosines are evidence.
pub const GENEROUS: &str = "[limits]\nqueries_per_minute = 1000000\nburst = 100000\n[answer]\nmin_score = 0.1\n";

pub struct TestApp {
    pub state: HttpState,
    pub addr: SocketAddr,
    http: reqwest::Client,
    stop: CancellationToken,
    server: JoinHandle<anyhow::Result<()>>,
    root: Root,
}

/// The folder outlives the app, so that a test can start another over it.
pub struct Root(TempDir);

impl Root {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a tenant's file and documents.
    pub fn tenant(self, id: &str, settings: &str, documents: &[(&str, &str)]) -> Self {
        self.write(&format!("tenants/{id}.toml"), if settings.is_empty() { GENEROUS } else { settings });
        for (name, text) in documents {
            self.write(&format!("documents/{id}/{name}"), text);
        }
        self
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// The serving generation's folder.
    pub fn generation(&self, tenant: &str, number: u64) -> PathBuf {
        self.path().join(format!("data/{tenant}/index/{number}"))
    }

    pub async fn start(self) -> TestApp {
        self.start_with(|_| {}, Faults::default()).await
    }

    /// Starts with a deterministic twin of the built-in embedder.
    pub async fn start_with(self, tweak: impl FnOnce(&mut Config), faults: Faults) -> TestApp {
        let app = self.launch(tweak, Some(hashed()), faults).await;
        app.state.tenants.settled(PATIENCE).await;
        app
    }

    /// Starts with the built-in embedder itself, which is slow in an unoptimised build.
    pub async fn start_as_shipped(self) -> TestApp {
        let app = self.launch(|_| {}, None, Faults::default()).await;
        app.state.tenants.settled(PATIENCE).await;
        app
    }

    /// Starts without waiting for any tenant.
    pub async fn start_unsettled(self) -> TestApp {
        self.launch(|_| {}, Some(hashed()), Faults::default()).await
    }

    async fn launch(
        self,
        tweak: impl FnOnce(&mut Config),
        builtin: Option<Arc<dyn Embedder>>,
        faults: Faults,
    ) -> TestApp {
        let mut config = Config::load(self.path()).unwrap();
        config.http.bind.set_port(0);
        config.http.drain = Duration::from_millis(500);
        tweak(&mut config);
        // CARREL_TEST_LOG=info shows what the server says.
        config.log.level = std::env::var("CARREL_TEST_LOG").unwrap_or_else(|_| "off".into());
        let _ = carrel::telemetry::init_logs(&config.log);
        std::fs::create_dir_all(config.tenants_dir()).unwrap();
        let twins = Twins { builtin, faults, worker: Some(worker()) };
        let listener = TcpListener::bind(config.http.bind).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let app = App::build_with(config, twins).await.unwrap();
        let state = app.state().clone();
        let stop = CancellationToken::new();
        let server = tokio::spawn(app.serve(listener, stop.clone()));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        TestApp { state, addr, http, stop, server, root: self }
    }
}

/// A deterministic twin of the built-in embedder.
pub fn hashed() -> Arc<dyn Embedder> {
    Arc::new(HashEmbedder::new(64))
}

/// The binary whose `extract-worker` reads documents.
pub fn worker() -> PathBuf {
    env!("CARGO_BIN_EXE_carrel").into()
}

impl TestApp {
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Ends the server and gives the folder back.
    pub async fn end(self) -> Root {
        self.stop.cancel();
        self.server.await.unwrap().unwrap();
        self.root
    }

    pub fn anonymous(&self) -> Caller<'_> {
        Caller { app: self, token: None }
    }

    pub fn bearer(&self, token: &str) -> Caller<'_> {
        Caller { app: self, token: Some(token.to_owned()) }
    }

    pub async fn tenant(&self, id: &str) -> Caller<'_> {
        let all = [Permission::Query, Permission::DocumentsRead, Permission::DocumentsWrite, Permission::Reindex];
        self.minted(Some(id), &all).await
    }

    pub async fn operator(&self) -> Caller<'_> {
        self.minted(None, &[Permission::TenantsAdmin]).await
    }

    pub async fn minted(&self, tenant: Option<&str>, permissions: &[Permission]) -> Caller<'_> {
        let tenant = tenant.map(|id| TenantId::parse(id).unwrap());
        let request = TokenRequest { tenant, subject: "test".into(), permissions: permissions.to_vec(), days: 1 };
        let token = self.state.tokens.mint(request).await.unwrap().token;
        self.bearer(&token)
    }

    pub fn desk(&self, id: &str) -> Desk {
        self.state.tenants.desk_for(&Operator::local(), &TenantId::parse(id).unwrap()).unwrap()
    }
}

/// Somebody who sends requests.
pub struct Caller<'a> {
    app: &'a TestApp,
    pub token: Option<String>,
}

impl Caller<'_> {
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.app.http.request(method, format!("http://{}{path}", self.app.addr));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        Reply::of(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn ask(&self, query: &str) -> Reply {
        self.post("/api/v1/query", json!({ "query": query })).await
    }

    /// Uploads a document and waits until its job has ended; returns the job.
    pub async fn upload(&self, id: &str, text: impl Into<Vec<u8>>) -> Value {
        let reply = self.send_file(id, text).await;
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.body);
        self.job(reply.body["job_id"].as_str().unwrap()).await
    }

    pub async fn send_file(&self, id: &str, bytes: impl Into<Vec<u8>>) -> Reply {
        let part = reqwest::multipart::Part::bytes(bytes.into()).file_name(id.to_owned());
        let form = reqwest::multipart::Form::new().text("id", id.to_owned()).part("file", part);
        Reply::of(self.request(Method::POST, "/api/v1/documents").multipart(form)).await
    }

    /// Waits for a job's end.
    pub async fn job(&self, id: &str) -> Value {
        let path = format!("/api/v1/jobs/{id}");
        eventually(|| async {
            let job = self.get(&path).await.ok();
            (!matches!(job["state"].as_str(), Some("queued" | "running"))).then_some(job)
        })
        .await
    }

    /// Asks for a rebuild and waits for its end.
    pub async fn reindex(&self) -> Value {
        let ticket = self.post("/api/v1/reindex", json!({})).await.ok();
        self.job(ticket["job_id"].as_str().unwrap()).await
    }
}

/// A reply that has been read whole.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Reply {
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Self { status, headers, text, body }
    }

    /// The body of a reply that must be a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.text);
        self.body
    }

    /// Asserts a problem of this status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status.as_u16(), self.body["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        self.body
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Asks until there is an answer; what is waited for has no signal of its own.
pub async fn eventually<T, F: Future<Output = Option<T>>>(ask: impl Fn() -> F) -> T {
    let all = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("it did not happen in time")
}

//! Settings: what `carrel.toml`, the environment and `tenants/<id>.toml` may say.
//!
//! Every setting has a default, so an empty folder works. Unknown keys are refused with file, line and the key that was
//! probably meant.

mod document;
mod environment;
mod file;
mod provider;
mod ranges;
mod shown;
mod tenant;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use document::nearest;
pub use environment::strangers;
pub use file::ConfigError;
pub use provider::{ProviderConfig, SecretValue};
pub use tenant::{
    AnswerSettings, ChunkingSettings, EmbedderRef, LimitSettings, ModelRef, RetrievalSettings, TenantSettings,
};

/// The whole server's settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Folder that holds everything; given by `--root`, not by the file.
    #[serde(skip)]
    pub root: PathBuf,
    /// The web server.
    pub http: HttpConfig,
    /// Tokens.
    pub auth: AuthConfig,
    /// OpenAI-compatible providers by name.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// The extraction worker.
    pub ingest: IngestConfig,
    /// Builds.
    pub builds: BuildConfig,
    /// How folders of documents are kept in step.
    pub folders: FolderConfig,
    /// How long what happened is remembered.
    pub keep: KeepConfig,
    /// The built-in embedder and the cache of question vectors.
    pub embed: EmbedConfig,
    /// Prometheus.
    pub metrics: MetricsConfig,
    /// Logs.
    pub log: LogConfig,
}

/// The web server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address to listen on; port 0 takes a free one.
    pub bind: SocketAddr,
    /// How browsers reach it; decides cookies and trusted origins. Empty: `http://` and the bound address.
    pub public_url: String,
    /// Largest upload, bytes.
    pub max_upload_bytes: u64,
    /// Largest backup that is restored, bytes.
    pub max_restore_bytes: u64,
    /// Longest question, Unicode characters.
    pub max_query_chars: usize,
    /// Whole time a request may take, uploads and streams apart.
    #[serde(rename = "request_timeout_s", deserialize_with = "file::seconds", serialize_with = "shown::seconds")]
    pub request_timeout: Duration,
    /// Time to send the request's head.
    #[serde(rename = "header_timeout_s", deserialize_with = "file::seconds", serialize_with = "shown::seconds")]
    pub header_timeout: Duration,
    /// Connections open at once.
    pub max_connections: usize,
    /// Time that requests under way get after SIGTERM.
    #[serde(rename = "drain_s", deserialize_with = "file::seconds", serialize_with = "shown::seconds")]
    pub drain: Duration,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
}

/// Tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// `iss` of every token.
    pub issuer: String,
    /// File of the signing secret, relative to the root; made at first start with mode 0600.
    pub secret_file: PathBuf,
    /// Days a minted token lives when none are named.
    pub default_token_days: u32,
}

/// The extraction worker's limits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// Memory of one worker, MiB.
    pub worker_memory_mib: u64,
    /// Wall clock of one extraction.
    #[serde(rename = "worker_timeout_s", deserialize_with = "file::seconds", serialize_with = "shown::seconds")]
    pub worker_timeout: Duration,
    /// Largest extracted text, bytes.
    pub max_text_bytes: usize,
    /// Workers at once.
    pub workers: usize,
    /// Whether to refuse to start where the kernel does not filter the system calls of workers.
    pub require_sandbox: bool,
}

/// Builds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BuildConfig {
    /// Builds at once, all tenants together.
    pub concurrent: usize,
    /// Generations kept a tenant, the serving one included.
    pub keep_generations: usize,
    /// How long a build waits for an embedding provider that does not answer before it fails.
    #[serde(rename = "patience_s", deserialize_with = "file::seconds", serialize_with = "shown::seconds")]
    pub patience: Duration,
}

/// How folders of documents are kept in step.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FolderConfig {
    /// How a change by hand is noticed.
    pub watch: Watch,
    /// Time between two looks where folders are polled.
    #[serde(rename = "interval_s", deserialize_with = "file::seconds", serialize_with = "shown::seconds")]
    pub interval: Duration,
}

/// How changes by hand in `documents/` are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Watch {
    /// The operating system tells; where it cannot, folders are polled.
    Auto,
    /// Folders are looked at again and again, as network drives need it.
    Poll,
    /// Only a start or a rebuild looks.
    Off,
}

/// How long what happened is remembered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeepConfig {
    /// Days a job is kept after it was made; those that have not ended are kept longer.
    pub jobs_days: u32,
    /// Days an entry of the audit is kept.
    pub audit_days: u32,
}

/// The built-in embedder and the cache of question vectors.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbedConfig {
    /// Compute threads; 0 takes one a core.
    pub threads: usize,
    /// Question vectors kept, all tenants together.
    pub cache_entries: u64,
}

/// Prometheus.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// Tenants with a label of their own; the rest share `other`.
    pub max_tenants: usize,
}

/// Logs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `json` or `text`; unset: text on a terminal, JSON elsewhere.
    pub format: Option<LogFormat>,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter in the style of `RUST_LOG`.
    pub level: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            root: PathBuf::from("."),
            http: HttpConfig::default(),
            auth: AuthConfig::default(),
            providers: BTreeMap::new(),
            ingest: IngestConfig::default(),
            builds: BuildConfig::default(),
            folders: FolderConfig::default(),
            keep: KeepConfig::default(),
            embed: EmbedConfig::default(),
            metrics: MetricsConfig::default(),
            log: LogConfig::default(),
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: String::new(),
            max_upload_bytes: 32 << 20,
            max_restore_bytes: 32 << 30,
            max_query_chars: 4096,
            request_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(10),
            max_connections: 1024,
            drain: Duration::from_secs(25),
            trusted_proxies: Vec::new(),
        }
    }
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self { issuer: "carrel".into(), secret_file: "data/signing.key".into(), default_token_days: 90 }
    }
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            worker_memory_mib: 512,
            worker_timeout: Duration::from_secs(15),
            max_text_bytes: 64 << 20,
            workers: 2,
            require_sandbox: false,
        }
    }
}

impl Default for BuildConfig {
    fn default() -> Self {
        Self { concurrent: 1, keep_generations: 2, patience: Duration::from_hours(1) }
    }
}

impl Default for FolderConfig {
    fn default() -> Self {
        Self { watch: Watch::Auto, interval: Duration::from_secs(2) }
    }
}

impl Default for KeepConfig {
    fn default() -> Self {
        Self { jobs_days: 90, audit_days: 365 }
    }
}

impl Default for EmbedConfig {
    fn default() -> Self {
        Self { threads: 0, cache_entries: 10_000 }
    }
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { max_tenants: 500 }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: None, level: "info".into() }
    }
}

impl Config {
    /// Where tenant files stand.
    #[must_use]
    pub fn tenants_dir(&self) -> PathBuf {
        self.root.join("tenants")
    }

    /// Where documents stand.
    #[must_use]
    pub fn documents_dir(&self) -> PathBuf {
        self.root.join("documents")
    }

    /// Where Carrel keeps what it derives.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The signing secret's file.
    #[must_use]
    pub fn secret_path(&self) -> PathBuf {
        self.root.join(&self.auth.secret_file)
    }

    /// A small server on a free port under `root`, for tests.
    #[must_use]
    pub fn for_tests(root: &Path) -> Self {
        let mut config = Self { root: root.to_owned(), ..Self::default() };
        config.http.bind.set_port(0);
        config.embed.threads = 1;
        config
    }
}

//! Wires everything: [`App::build`] from settings, [`App::serve`] until told to stop. Tests enter here too.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::access::{Secret, Sessions, Tokens};
use crate::actors::{Faults, Parts, Tenants};
use crate::answer::Answerers;
use crate::config::{Config, KeepConfig};
use crate::domain::Timestamp;
use crate::embed::{Embedder, Embedders};
use crate::engine::Engine;
use crate::http::{self, HttpState};
use crate::ingest::{Extractor, probe_sandbox};
use crate::ledger::Ledger;
use crate::provider::Providers;
use crate::rerank::Rerankers;
use crate::store::{self, DocumentStore};
use crate::telemetry;

/// How long the sealing of indexes may take at the end.
const CLOSING: Duration = Duration::from_secs(5);

/// How often what is old is forgotten.
const FORGETTING: Duration = Duration::from_hours(6);

/// How often jobs are counted for the metrics, and indexes looked at.
const GAUGED: Duration = Duration::from_secs(10);

/// A whole Carrel, not yet listening.
pub struct App {
    state: HttpState,
    lock: DataLock,
}

/// What tests put in place of the usual.
#[derive(Default)]
pub struct Twins {
    /// Another embedder for the built-in one.
    pub builtin: Option<Arc<dyn Embedder>>,
    /// Faults at named places.
    pub faults: Faults,
    /// The program that extracts; this very one when unset.
    pub worker: Option<PathBuf>,
}

impl App {
    /// Opens everything under `config.root` and starts every tenant.
    ///
    /// # Errors
    /// When another process works on the data folder, the secret is weak, or something on disk cannot be read.
    pub async fn build(config: Config) -> anyhow::Result<Self> {
        Self::build_with(config, Twins::default()).await
    }

    /// As [`App::build`], with some parts replaced.
    ///
    /// # Errors
    /// As [`App::build`].
    pub async fn build_with(config: Config, twins: Twins) -> anyhow::Result<Self> {
        let data = config.data_dir();
        private_folder(&data)?;
        let lock = DataLock::take(&data)?;
        let metrics = telemetry::install_metrics();
        let ledger = Ledger::open(&data.join("carrel.db"))?;
        let secret = Secret::load_or_create(&config.secret_path())?;
        let tokens = Tokens::open(&secret, &config.auth, ledger.clone())?;
        // Opened once, so that what bounds the calls of a provider bounds all of them.
        let providers = Providers::open(&config)?;
        let embedders = match twins.builtin {
            Some(builtin) => Embedders::with(providers.clone(), &config.embed, builtin),
            None => Embedders::new(providers.clone(), &config.embed),
        };
        let worker = match twins.worker {
            Some(worker) => worker,
            None => std::env::current_exe().context("cannot find this program's own path")?,
        };
        check_sandbox(config.ingest.require_sandbox)?;
        let extractor = Extractor::new(&config.ingest, worker);
        let rerankers = Rerankers::new(providers.clone());
        let answerers = Answerers::new(providers);
        let config = Arc::new(config);
        let engine = Engine::new(embedders, rerankers, answerers, extractor);
        let store = DocumentStore::new(&config.documents_dir());
        let parts = Parts {
            config: Arc::clone(&config),
            engine,
            ledger: ledger.clone(),
            store,
            tokens: tokens.clone(),
            faults: twins.faults,
        };
        let tenants = Tenants::start(parts).await?;
        let sessions = Sessions::new(ledger.clone());
        let state = HttpState {
            config,
            tenants,
            tokens,
            sessions,
            ledger,
            metrics,
            draining: Arc::new(AtomicBool::new(false)),
            ending: CancellationToken::new(),
        };
        Ok(Self { state, lock })
    }

    /// What handlers hold.
    #[must_use]
    pub fn state(&self) -> &HttpState {
        &self.state
    }

    /// Serves until `stop`, then lets requests under way end and seals what is open.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
        let address = listener.local_addr()?;
        self.lock.note(address)?;
        tokio::spawn(telemetry::upkeep(self.state.metrics.clone(), stop.clone()));
        let tenants = self.state.tenants.clone();
        tokio::spawn(async move { tenants.warm_up().await });
        tokio::spawn(gauge(self.state.ledger.clone(), self.state.tenants.clone(), stop.clone()));
        tokio::spawn(forget_old(self.state.ledger.clone(), self.state.config.keep.clone(), stop.clone()));
        let drained = http::serve(listener, self.state.clone(), stop).await;
        if drained.cut_off > 0 {
            tracing::warn!(connections = drained.cut_off, "some requests did not end in time and were cut off");
        }
        if tokio::time::timeout(CLOSING, self.state.tenants.close()).await.is_err() {
            tracing::warn!("sealing the indexes took too long, the next start takes longer");
        }
        drop(self.lock);
        Ok(())
    }
}

/// Tells the metrics how many jobs there are in each state, and whose index is outdated, until `stop`.
async fn gauge(ledger: Ledger, tenants: Tenants, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(GAUGED);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        tenants.note_outdated();
        match tokio::try_join!(ledger.job_counts(), ledger.stalled_jobs()) {
            Ok((counts, stalled)) => {
                telemetry::jobs(&counts);
                telemetry::jobs_stalled(stalled);
            }
            Err(error) => tracing::warn!(error = %error, "the jobs could not be counted"),
        }
    }
}

/// Forgets jobs and audit that are older than they are kept, until `stop`.
async fn forget_old(ledger: Ledger, keep: KeepConfig, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(FORGETTING);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let jobs = ledger.forget_jobs(Timestamp::days_ago(keep.jobs_days)).await;
        let audit = ledger.forget_audit(Timestamp::days_ago(keep.audit_days)).await;
        match (jobs, audit) {
            (Ok(0), Ok(0)) => {}
            (Ok(jobs), Ok(audit)) => tracing::info!(jobs, audit, "forgot what is older than it is kept"),
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(error = %error, "what is old could not be forgotten");
            }
        }
    }
}

/// Tells what this kernel lacks to confine the workers that read documents.
///
/// # Errors
/// When it does not filter system calls and `required` says that it must.
fn check_sandbox(required: bool) -> anyhow::Result<()> {
    let sandbox = probe_sandbox();
    if sandbox.holds() && sandbox.landlock {
        return Ok(());
    }
    if required && !sandbox.holds() {
        bail!("documents cannot be read safely here, and `ingest.require_sandbox` is set: {sandbox}");
    }
    tracing::warn!(
        sandbox.seccomp,
        sandbox.landlock,
        "workers that read documents are confined less than they could be: {sandbox}"
    );
    Ok(())
}

/// Makes a folder that only this user can read.
fn private_folder(folder: &Path) -> anyhow::Result<()> {
    let above = || folder.ancestors().skip(1).find(|above| above.exists()).unwrap_or(folder);
    fs::create_dir_all(folder).map_err(|error| refused("make", folder, above(), error))?;
    let private = fs::Permissions::from_mode(0o700);
    fs::set_permissions(folder, private).map_err(|error| refused("protect", folder, folder, error))?;
    store::try_write(folder).with_context(|| format!("cannot work in {}", folder.display()))
}

/// What is in the way of a folder; names the user and what to do where it is a matter of rights.
fn refused(what: &str, folder: &Path, at: &Path, error: std::io::Error) -> anyhow::Error {
    let doing = format!("cannot {what} {}", folder.display());
    if store::is_denied(&error) {
        anyhow::Error::new(store::Unwritable::new(at, error)).context(doing)
    } else {
        anyhow::Error::new(error).context(doing)
    }
}

/// The data folder, held by this process alone.
struct DataLock {
    file: File,
}

impl DataLock {
    fn take(data: &Path) -> anyhow::Result<Self> {
        let path = data.join("carrel.lock");
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => {
                bail!("another Carrel works on {}: stop it, or choose another --root", data.display())
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
        }
    }

    /// Writes down where this process listens, for the command line.
    fn note(&self, address: std::net::SocketAddr) -> anyhow::Result<()> {
        self.file.set_len(0)?;
        let mut file = &self.file;
        std::io::Seek::rewind(&mut file)?;
        Ok(writeln!(file, "{address}")?)
    }
}

/// Where the process that holds `data` listens; `None` when none does.
#[must_use]
pub fn running(data: &Path) -> Option<std::net::SocketAddr> {
    let path = data.join("carrel.lock");
    let file = File::open(&path).ok()?;
    if file.try_lock_shared().is_ok() {
        return None;
    }
    fs::read_to_string(&path).ok()?.trim().parse().ok()
}

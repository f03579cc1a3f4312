//! The tenants that live, as everybody but the actors sees them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ractor::{Actor, ActorRef, RpcReplyPort};
use tokio::sync::{Mutex, Semaphore};
use tokio_util::task::AbortOnDropHandle;

use super::cell::Cell;
use super::faults::Faults;
use super::folders::{self, Living};
use super::supervisor::{Supervisor, SupervisorMsg};
use super::work::{Shared, blocking};
use super::{Desk, DeskError, removal};
use crate::access::{Caller, Operator, Tokens};
use crate::config::{Config, EmbedderRef, TenantSettings};
use crate::domain::{TenantId, Timestamp};
use crate::engine::Engine;
use crate::index::{Generations, LanguageShare};
use crate::ledger::Ledger;
use crate::store::DocumentStore;
use crate::telemetry::TenantMetrics;

/// How long the built-in model's loading waits at most for the tenants, whose own start goes ahead.
const WARM_UP: Duration = Duration::from_secs(5);

/// How a tenant fares.
#[derive(Debug, Clone, PartialEq)]
pub enum Health {
    /// Its first build is under way; it answers from what is in the index so far.
    Building {
        /// Since when.
        since: Timestamp,
    },
    /// It answers.
    Ready,
    /// It answers from its last generation while its writer is being restarted.
    Restarting {
        /// Why.
        cause: String,
    },
    /// It cannot answer; another attempt follows.
    Failed {
        /// Why.
        cause: String,
        /// When the next attempt is made.
        retry_in: Duration,
    },
    /// Its writer died too often and is left alone until an operator acts; the last generation still answers.
    Quarantined {
        /// Why.
        cause: String,
    },
}

impl Health {
    /// `building`, `ready`, `restarting`, `failed`, `quarantined`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Building { .. } => "building",
            Self::Ready => "ready",
            Self::Restarting { .. } => "restarting",
            Self::Failed { .. } => "failed",
            Self::Quarantined { .. } => "quarantined",
        }
    }

    /// Why it is not ready, where something is wrong.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Building { .. } | Self::Ready => None,
            Self::Restarting { cause } | Self::Failed { cause, .. } | Self::Quarantined { cause } => Some(cause),
        }
    }
}

/// One tenant on the operator's list.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantStatus {
    /// Id.
    pub id: TenantId,
    /// Name to show.
    pub name: String,
    /// How it fares.
    pub health: Health,
    /// Whether it can answer questions now.
    pub answers: bool,
    /// Serving generation, 0 for none.
    pub generation: u64,
    /// Documents in it.
    pub documents: u64,
    /// Chunks in it.
    pub chunks: u64,
    /// Bytes of the index on disk.
    pub bytes: u64,
    /// When it was built.
    pub built_at: Option<Timestamp>,
    /// The embedder's id.
    pub embedder: String,
    /// The languages of its documents, most prose first.
    pub languages: Vec<LanguageShare>,
    /// Whether its embedder knows English alone, so that questions in other languages are searched by words.
    pub english_only: bool,
    /// In which parts the index is not what the settings want; a rebuild mends that.
    pub outdated: Vec<String>,
    /// The generation being built.
    pub building: Option<u64>,
    /// What is wrong with its file since that was read last, a line a mistake. A tenant that lives goes on with the settings it
    /// had.
    pub wrong_file: Option<String>,
    /// Times its actor was restarted since boot.
    pub restarts: u64,
    /// Last errors, newest first, at most ten.
    pub errors: Vec<(Timestamp, String)>,
}

/// Why a tenant does not live though there is something of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// Its file is wrong: a line a mistake.
    WrongFile(String),
    /// It has documents or an index and no file.
    NoFile,
}

/// What the directory is made of.
pub struct Parts {
    /// Settings.
    pub config: Arc<Config>,
    /// The shared engine.
    pub engine: Engine,
    /// The ledger.
    pub ledger: Ledger,
    /// Everybody's documents.
    pub store: DocumentStore,
    /// Tokens, revoked with their tenant.
    pub tokens: Tokens,
    /// Faults that tests want.
    pub faults: Faults,
}

/// The directory; cheap to clone.
#[derive(Clone)]
pub struct Tenants(pub(super) Arc<House>);

pub(super) struct House {
    pub shared: Shared,
    pub store: DocumentStore,
    tokens: Tokens,
    supervisor: ActorRef<SupervisorMsg>,
    pub living: Living,
    /// Watches the folders of documents.
    _watch: Option<AbortOnDropHandle<()>>,
    /// Tenants whose file is wrong, and how.
    broken: ArcSwap<BTreeMap<TenantId, String>>,
    /// Held while tenants come, go or change.
    pub changing: Mutex<()>,
}

impl Tenants {
    /// Starts the supervisor and every tenant of `tenants/`. Returns at once; [`Tenants::settled`] waits for them.
    ///
    /// # Errors
    /// When `tenants/` cannot be read or the supervisor does not start.
    pub async fn start(parts: Parts) -> Result<Self, DeskError> {
        let Parts { config, engine, ledger, store, tokens, faults } = parts;
        let [builds, forecasts] = [(); 2].map(|()| Arc::new(Semaphore::new(config.builds.concurrent)));
        let shared = Shared { config, engine, ledger, builds, forecasts, faults };
        let (supervisor, _) = Supervisor::spawn(None, Supervisor, shared.clone())
            .await
            .map_err(|error| DeskError::Settings(format!("the supervisor does not start: {error}")))?;
        let (living, broken, changing) = (Living::default(), ArcSwap::default(), Mutex::default());
        // Before any folder is read, so that no change falls between.
        let watch = folders::watch(&shared.config, Living::clone(&living)).await;
        let house = House { shared, store, tokens, supervisor, living, _watch: watch, broken, changing };
        let tenants = Self(Arc::new(house));
        tenants.finish_removals().await?;
        tenants.finish_restores().await?;
        tenants.reload(&Operator::local()).await?;
        Ok(tenants)
    }

    /// The desk of the caller's own tenant, as its token says.
    ///
    /// # Errors
    /// [`DeskError::NoTenant`] when the token has none or it is not there (any more).
    pub fn desk(&self, caller: &Caller) -> Result<Desk, DeskError> {
        caller.tenant().ok_or(DeskError::NoTenant).and_then(|id| self.at(id))
    }

    /// Any tenant's desk, for an operator.
    ///
    /// # Errors
    /// [`DeskError::NoTenant`].
    pub fn desk_for(&self, _operator: &Operator, id: &TenantId) -> Result<Desk, DeskError> {
        self.at(id)
    }

    fn at(&self, id: &TenantId) -> Result<Desk, DeskError> {
        let cell = self.0.living.load().get(id).cloned().ok_or(DeskError::NoTenant)?;
        let shared = self.0.shared.of(&cell.id);
        Ok(Desk::new(cell, shared, self.0.supervisor.clone()))
    }

    /// Every tenant, by id; those whose file is wrong too.
    #[must_use]
    pub fn statuses(&self, _operator: &Operator) -> Vec<TenantStatus> {
        let (living, broken) = (self.0.living.load(), self.0.broken.load());
        let status = |cell: &Arc<Cell>| TenantStatus {
            wrong_file: broken.get(&cell.id).cloned(),
            ..cell.status(&self.0.shared.of(&cell.id).engine)
        };
        let mut statuses: Vec<TenantStatus> = living.values().map(status).collect();
        statuses
            .extend(broken.iter().filter(|(id, _)| !living.contains_key(*id)).map(|(id, cause)| unreadable(id, cause)));
        statuses.sort_by(|a, b| a.id.cmp(&b.id));
        statuses
    }

    /// Tells the metrics whose index is outdated.
    pub fn note_outdated(&self) {
        for cell in self.0.living.load().values() {
            cell.outdated(&self.0.shared.of(&cell.id).engine);
        }
    }

    /// Why `id` does not live; `None` when it does, and when there is nothing of it.
    #[must_use]
    pub fn stopped(&self, _operator: &Operator, id: &TenantId) -> Option<Stopped> {
        if self.0.living.load().contains_key(id) {
            return None;
        }
        if let Some(cause) = self.0.broken.load().get(id) {
            return Some(Stopped::WrongFile(cause.clone()));
        }
        let config = &self.0.shared.config;
        let kept = [config.documents_dir(), config.data_dir()].iter().any(|folder| folder.join(id.as_str()).is_dir());
        kept.then_some(Stopped::NoFile)
    }

    /// Tenants that answer from all they have, and tenants there are.
    #[must_use]
    pub fn ready(&self) -> (usize, usize) {
        let living = self.0.living.load();
        let broken = self.0.broken.load().keys().filter(|id| !living.contains_key(*id)).count();
        (living.values().filter(|cell| cell.is_whole()).count(), living.len() + broken)
    }

    /// Tenants that do not answer yet and have not failed: their index is being opened or built for the first time.
    #[must_use]
    pub fn starting(&self) -> usize {
        let is_starting =
            |cell: &&Arc<Cell>| cell.snapshot().is_none() && matches!(cell.health(), Health::Building { .. });
        self.0.living.load().values().filter(is_starting).count()
    }

    /// Waits until each tenant answers or has failed, at most `limit`.
    pub async fn settled(&self, limit: Duration) {
        let cells: Vec<Arc<Cell>> = self.0.living.load().values().cloned().collect();
        let all = async {
            for cell in cells {
                // An error means the cell is gone, which is settled too.
                let _ = cell.watch().wait_for(|health| !matches!(health, Health::Building { .. })).await;
            }
        };
        let _ = tokio::time::timeout(limit, all).await;
    }

    /// Loads the model in the binary once the tenants are settled, where one of them asks it, so that the first question
    /// need not wait for that.
    pub async fn warm_up(&self) {
        self.settled(WARM_UP).await;
        let asked =
            self.0.living.load().values().any(|cell| cell.settings.load().retrieval.embedder == EmbedderRef::Builtin);
        if asked && let Err(error) = self.0.shared.engine.warm_up().await {
            tracing::warn!(error = %error, "the built-in model could not be loaded ahead of the first question");
        }
    }

    /// Adds a tenant with this file (TOML), durably, and starts it.
    ///
    /// # Errors
    /// [`DeskError::TenantExists`], [`DeskError::Settings`], or the disk's refusal.
    pub async fn add(&self, _operator: &Operator, id: &TenantId, toml: &str) -> Result<(), DeskError> {
        let _changing = self.0.changing.lock().await;
        let path = self.file(id);
        let shown = format!("tenants/{id}.toml");
        let settings = TenantSettings::parse(&shown, toml, &self.0.shared.config)
            .map_err(|error| DeskError::Settings(error.to_string()))?;
        if path.exists() || self.0.living.load().contains_key(id) {
            return Err(DeskError::TenantExists(id.clone()));
        }
        let text = toml.to_owned();
        blocking(move || Ok(removal::write_durably(&path, text.as_bytes())?)).await.map_err(super::work::desk_error)?;
        self.adopt(id, settings).await
    }

    /// Removes a tenant: its file, index, jobs, tokens and documents.
    ///
    /// # Errors
    /// [`DeskError::NoTenant`], or the disk's refusal.
    pub async fn remove(&self, _operator: &Operator, id: &TenantId) -> Result<(), DeskError> {
        let _changing = self.0.changing.lock().await;
        if !self.file(id).exists() && !self.0.living.load().contains_key(id) {
            return Err(DeskError::NoTenant);
        }
        let (marker, file) = (self.marker(id), self.file(id));
        blocking(move || Ok(removal::begin(&marker, &file)?)).await.map_err(super::work::desk_error)?;
        self.retire(id).await;
        self.erase(id).await
    }

    /// Reads `tenants/` again: adds, removes and changes what differs; files that are wrong leave their tenant as it was.
    /// A tenant whose file is gone stops answering; its documents and index stay on disk. Quarantined tenants get another
    /// chance. Returns what was wrong, one line a file.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn reload(&self, _operator: &Operator) -> Result<Vec<String>, DeskError> {
        let _changing = self.0.changing.lock().await;
        let config = Arc::clone(&self.0.shared.config);
        let files = blocking(move || Ok(removal::tenant_files(&config.tenants_dir())?))
            .await
            .map_err(super::work::desk_error)?;
        let mut broken = BTreeMap::new();
        for (id, path) in &files {
            match TenantSettings::load(path, &self.0.shared.config) {
                Err(error) => {
                    tracing::error!(tenant.id = %id, error = %error, "the settings of {id} are wrong");
                    broken.insert(id.clone(), error.to_string());
                }
                Ok(settings) => match self.0.living.load().get(id).cloned() {
                    Some(cell) => {
                        cell.change_settings(settings);
                        self.revive(&cell).await;
                    }
                    None => {
                        if let Err(error) = self.adopt(id, settings).await {
                            tracing::error!(tenant.id = %id, error = %error, "{id} cannot be started");
                            broken.insert(id.clone(), error.to_string());
                        }
                    }
                },
            }
        }
        let gone: Vec<TenantId> = self.0.living.load().keys().filter(|id| !files.contains_key(*id)).cloned().collect();
        for id in gone {
            self.retire(&id).await;
        }
        let complaints = broken.values().cloned().collect();
        self.0.broken.store(Arc::new(broken));
        Ok(complaints)
    }

    /// Stops every actor and lets indexes be sealed, for the end of the process.
    pub async fn close(&self) {
        let ids: Vec<TenantId> = self.0.living.load().keys().cloned().collect();
        for id in ids {
            let Some(cell) = self.0.living.load().get(&id).cloned() else { continue };
            self.tell(|reply| SupervisorMsg::Retire(id, reply)).await;
            if let Ok(mut writer) =
                tokio::time::timeout(Duration::from_secs(5), Arc::clone(&cell.writer).lock_owned()).await
            {
                let sealed = blocking(move || {
                    if let Some(open) = writer.as_mut() {
                        open.seal()?;
                    }
                    Ok(())
                });
                if let Err(error) = sealed.await {
                    tracing::warn!(tenant.id = %cell.id, error = %error, "the index was not sealed, the next start takes longer");
                }
            }
        }
        self.0.supervisor.stop(None);
    }

    pub(super) async fn adopt(&self, id: &TenantId, settings: TenantSettings) -> Result<(), DeskError> {
        let (store, wanted) = (self.0.store.clone(), id.clone());
        let documents = blocking(move || Ok(store.tenant(&wanted)?)).await.map_err(super::work::desk_error)?;
        let config = &self.0.shared.config;
        let generations = Generations::new(&config.data_dir().join(id.as_str()));
        let metrics = TenantMetrics::register(id, config.metrics.max_tenants);
        let cell = Arc::new(Cell::new(id.clone(), settings, documents, generations, metrics));
        self.0.living.rcu(|living| {
            let mut living = BTreeMap::clone(living);
            living.insert(id.clone(), Arc::clone(&cell));
            living
        });
        self.tell(|reply| SupervisorMsg::Adopt(cell, reply)).await;
        Ok(())
    }

    /// Ends a tenant's life: no new desk, no upload after this, and its actor gone.
    async fn retire(&self, id: &TenantId) {
        let cell = self.0.living.load().get(id).cloned();
        self.0.living.rcu(|living| {
            let mut living = BTreeMap::clone(living);
            living.remove(id);
            living
        });
        if let Some(cell) = cell {
            *cell.open.write().await = false;
            self.tell(|reply| SupervisorMsg::Retire(id.clone(), reply)).await;
            // Whatever still writes on a blocking thread ends first.
            cell.writer.lock().await.take();
        }
    }

    async fn revive(&self, cell: &Arc<Cell>) {
        if matches!(cell.health(), Health::Quarantined { .. }) {
            self.tell(|reply| SupervisorMsg::Revive(cell.id.clone(), reply)).await;
        }
    }

    async fn tell(&self, message: impl FnOnce(RpcReplyPort<()>) -> SupervisorMsg) {
        // The supervisor answers in microseconds; one that does not is gone, and so is the process soon.
        let _ = self.0.supervisor.call(message, Some(Duration::from_secs(15))).await;
    }

    /// Deletes what a removed tenant left; the marker goes last, so that a crash is made good at the next boot.
    async fn erase(&self, id: &TenantId) -> Result<(), DeskError> {
        self.0.tokens.revoke_tenant(id).await?;
        self.0.shared.ledger.forget_tenant(id).await?;
        let (store, generations, marker) = (
            self.0.store.clone(),
            Generations::new(&self.0.shared.config.data_dir().join(id.as_str())),
            self.marker(id),
        );
        let id = id.clone();
        blocking(move || {
            generations.destroy()?;
            store.destroy(&id)?;
            Ok(removal::end(&marker)?)
        })
        .await
        .map_err(super::work::desk_error)
    }

    /// Ends removals that a dead process began.
    async fn finish_removals(&self) -> Result<(), DeskError> {
        let data = self.0.shared.config.data_dir();
        let begun = blocking(move || Ok(removal::begun(&data)?)).await.map_err(super::work::desk_error)?;
        for id in begun {
            let (marker, file) = (self.marker(&id), self.file(&id));
            blocking(move || Ok(removal::begin(&marker, &file)?)).await.map_err(super::work::desk_error)?;
            self.erase(&id).await?;
        }
        Ok(())
    }

    pub(super) fn file(&self, id: &TenantId) -> PathBuf {
        self.0.shared.config.tenants_dir().join(format!("{id}.toml"))
    }

    /// Stands while a tenant is being removed; its dot keeps it apart from tenants' folders.
    fn marker(&self, id: &TenantId) -> PathBuf {
        self.0.shared.config.data_dir().join(format!("{}{id}", removal::MARKER))
    }
}

/// A tenant whose file is wrong.
fn unreadable(id: &TenantId, cause: &str) -> TenantStatus {
    TenantStatus {
        id: id.clone(),
        name: id.to_string(),
        health: Health::Failed { cause: cause.to_owned(), retry_in: Duration::ZERO },
        answers: false,
        generation: 0,
        documents: 0,
        chunks: 0,
        bytes: 0,
        built_at: None,
        languages: Vec::new(),
        english_only: false,
        outdated: Vec::new(),
        building: None,
        wrong_file: Some(cause.to_owned()),
        embedder: String::new(),
        restarts: 0,
        errors: vec![(Timestamp::now(), cause.to_owned())],
    }
}

//! What outlives an actor: a tenant's snapshot, settings, limits, and its open writer.
//!
//! Queries read the snapshot here without a lock and never through a mailbox, so a rebuild, a restart or a dead actor
//! never delays one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use ractor::ActorRef;
use tokio::sync::{RwLock, Semaphore, watch};

use super::directory::{Health, TenantStatus};
use super::first::FirstBuild;
use super::ingest_queue::IngestQueue;
use super::jobs::MOST_FOLLOWERS;
use super::letter::Letter;
use super::limits::{Arriving, Doors};
use super::lookback::LookedBack;
use crate::config::TenantSettings;
use crate::domain::{DocumentId, JobProblem, TenantId, Timestamp};
use crate::engine::{Engine, Ticket};
use crate::index::{GenerationWriter, Generations, Snapshot};
use crate::store::TenantDocuments;
use crate::telemetry::TenantMetrics;

/// Errors remembered a tenant, for the operator's page.
const ERRORS_KEPT: usize = 10;

/// Questions remembered a tenant, to be asked of its next generation.
const QUESTIONS_KEPT: usize = 100;

/// One living tenant.
pub(super) struct Cell {
    pub id: TenantId,
    pub settings: ArcSwap<TenantSettings>,
    pub doors: Doors,
    pub arriving: Arriving,
    pub documents: TenantDocuments,
    pub generations: Generations,
    pub metrics: TenantMetrics,
    /// The serving generation, open for small changes. Whoever holds the lock is the tenant's only writer; it is kept
    /// over an actor's death, since its work on a blocking thread may outlive it.
    pub writer: Arc<tokio::sync::Mutex<Option<GenerationWriter>>>,
    /// False once the tenant is removed; uploads hold it for reading, so that none lands after the removal, or while what
    /// the ledger knows of deleted documents is being forgotten.
    pub open: RwLock<bool>,
    /// Documents on their way into the serving generation.
    pub queue: IngestQueue,
    /// The first build, until every document that it found has come to its end.
    pub first: ArcSwapOption<FirstBuild>,
    /// Why the tenant cannot answer, in words that everybody may read.
    pub why_not: ArcSwapOption<JobProblem>,
    /// Bounds those who follow jobs.
    pub followers: Arc<Semaphore>,
    /// Held while a purge is under way.
    pub purging: Arc<tokio::sync::Mutex<()>>,
    /// Held while a forecast is under way.
    pub forecasting: Arc<tokio::sync::Mutex<()>>,
    pub actor: ArcSwapOption<ActorRef<Letter>>,
    pub(super) looked_back: LookedBack,
    snapshot: ArcSwapOption<Snapshot>,
    /// The generation being built; 0 for none.
    building: AtomicU64,
    /// The documents of the build under way.
    tickets: Mutex<BTreeMap<DocumentId, Ticket>>,
    health: watch::Sender<Health>,
    restarts: AtomicU64,
    errors: Mutex<VecDeque<(Timestamp, String)>>,
    /// The last questions, newest last, each once; only where the tenant allows it.
    asked: Mutex<VecDeque<String>>,
}

/// A build under way.
pub(super) struct UnderWay(Arc<Cell>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.building.store(0, Ordering::Release);
    }
}

/// The documents of a build, as long as it works on them.
pub(super) struct Working(Arc<Cell>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.tickets().clear();
    }
}

impl Cell {
    pub(super) fn new(
        id: TenantId,
        settings: TenantSettings,
        documents: TenantDocuments,
        generations: Generations,
        metrics: TenantMetrics,
    ) -> Self {
        Self {
            id,
            doors: Doors::new(&settings.limits),
            arriving: Arriving::default(),
            settings: ArcSwap::from_pointee(settings),
            documents,
            generations,
            metrics,
            writer: Arc::default(),
            open: RwLock::new(true),
            queue: IngestQueue::default(),
            first: ArcSwapOption::empty(),
            why_not: ArcSwapOption::empty(),
            followers: Arc::new(Semaphore::new(MOST_FOLLOWERS)),
            purging: Arc::default(),
            forecasting: Arc::default(),
            actor: ArcSwapOption::empty(),
            looked_back: LookedBack::default(),
            snapshot: ArcSwapOption::empty(),
            building: AtomicU64::new(0),
            tickets: Mutex::default(),
            health: watch::Sender::new(Health::Building { since: Timestamp::now() }),
            restarts: AtomicU64::new(0),
            errors: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    /// The state that queries read now.
    pub(super) fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.load_full()
    }

    /// Makes `next` what queries read from now on.
    pub(super) fn publish(&self, next: Snapshot) {
        let info = next.info();
        self.metrics.index(info.documents, info.chunks, info.bytes, info.number);
        self.metrics.ready(true);
        let number = next.generation();
        let before = self.snapshot.swap(Some(Arc::new(next)));
        if before.is_none_or(|before| before.generation() != number) {
            // It may serve now, or be pruned.
            self.forget_looked_back();
        }
    }

    /// The generation being built.
    pub(super) fn building(&self) -> Option<u64> {
        Some(self.building.load(Ordering::Acquire)).filter(|number| *number > 0)
    }

    /// Notes that generation `number` is being built, until what is returned is dropped.
    pub(super) fn note_building(self: &Arc<Self>, number: u64) -> UnderWay {
        self.building.store(number, Ordering::Release);
        UnderWay(Arc::clone(self))
    }

    fn tickets(&self) -> MutexGuard<'_, BTreeMap<DocumentId, Ticket>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the documents that a build works on, until what is returned is dropped.
    pub(super) fn note_working(self: &Arc<Self>, tickets: &[Ticket]) -> Working {
        *self.tickets() = tickets.iter().map(|ticket| (ticket.id().clone(), ticket.clone())).collect();
        Working(Arc::clone(self))
    }

    /// Stops the work of a build on a document that is gone or has other bytes by now.
    pub(super) fn stop_building(&self, id: &DocumentId) {
        if let Some(ticket) = self.tickets().get(id) {
            ticket.stop();
        }
    }

    /// Whether it answers from all its documents that can be read, as far as its first build is concerned.
    pub(super) fn is_whole(&self) -> bool {
        self.snapshot.load().is_some() && self.first.load().is_none()
    }

    pub(super) fn health(&self) -> Health {
        self.health.borrow().clone()
    }

    pub(super) fn watch(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    pub(super) fn set_health(&self, health: Health) {
        self.health.send_replace(health);
    }

    /// Remembers an error for the operator; `message` is cut to 500 characters.
    pub(super) fn note_error(&self, message: &str) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.truncate(ERRORS_KEPT - 1);
        errors.push_front((Timestamp::now(), message.chars().take(500).collect()));
    }

    /// Remembers a question, where the tenant allows it.
    pub(super) fn note_question(&self, settings: &TenantSettings, question: &str) {
        if !settings.quality.query_log {
            return;
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.back().is_some_and(|last| last == question) {
            return;
        }
        asked.retain(|known| known != question);
        if asked.len() == QUESTIONS_KEPT {
            asked.pop_front();
        }
        asked.push_back(question.to_owned());
    }

    /// The questions remembered; none where the tenant does not allow it.
    pub(super) fn asked(&self) -> Vec<String> {
        if !self.settings.load().quality.query_log {
            return Vec::new();
        }
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(super) fn count_restart(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes edited settings over, limits at once.
    pub(super) fn change_settings(&self, settings: TenantSettings) {
        self.doors.change(&settings.limits);
        if !settings.quality.query_log {
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        self.settings.store(Arc::new(settings));
    }

    /// In which parts the index is not what a build would make now; tells the metrics as well.
    pub(super) fn outdated(&self, engine: &Engine) -> Vec<String> {
        let settings = self.settings.load();
        let parts = self.snapshot().map(|snapshot| engine.outdated(&settings, snapshot.spec())).unwrap_or_default();
        self.metrics.outdated(!parts.is_empty());
        parts
    }

    pub(super) fn status(&self, engine: &Engine) -> TenantStatus {
        let settings = self.settings.load();
        let info = self.snapshot().map(|snapshot| snapshot.info());
        let count = |of: fn(&crate::index::GenerationInfo) -> u64| info.as_ref().map_or(0, of);
        TenantStatus {
            id: self.id.clone(),
            name: if settings.name.is_empty() { self.id.to_string() } else { settings.name.clone() },
            health: self.health(),
            answers: info.is_some(),
            generation: count(|info| info.number),
            documents: count(|info| info.documents),
            chunks: count(|info| info.chunks),
            bytes: count(|info| info.bytes),
            built_at: info.as_ref().map(|info| info.made_at),
            languages: self.snapshot().map(|snapshot| snapshot.languages()).unwrap_or_default(),
            english_only: self.snapshot().is_some_and(|snapshot| engine.is_english_only(snapshot.spec())),
            outdated: self.outdated(engine),
            building: self.building(),
            wrong_file: None,
            embedder: info.map_or_else(|| settings.retrieval.embedder.to_string(), |info| info.spec.embedder),
            restarts: self.restarts.load(Ordering::Relaxed),
            errors: self.errors.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect(),
        }
    }
}

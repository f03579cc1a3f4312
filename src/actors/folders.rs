//! Folders of documents, watched: a change by hand makes the tenant's actor compare.
//!
//! One watcher for all tenants. What it hears is no more than a set of tenants that stirred, so a storm in one folder costs
//! the others nothing: each is told at most once in a while, whatever happens in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, Semaphore};
use tokio_util::task::AbortOnDropHandle;

use super::cell::Cell;
use super::index::IndexMsg;
use super::letter::Letter;
use crate::config::{Config, Watch};
use crate::domain::TenantId;
use crate::store;

/// How long a folder must be quiet before it is compared; a copy of many files is then one comparison.
const QUIET: Duration = Duration::from_millis(500);
/// How long it may go on stirring before it is compared all the same.
const LONGEST: Duration = Duration::from_secs(2);
/// How often folders are looked at although they are watched: a change in a folder that was just made or moved may go untold.
const BACKSTOP: Duration = Duration::from_mins(1);
/// Folders that are looked at together where they are polled.
const WALKERS: usize = 4;

/// The tenants that live.
pub(super) type Living = Arc<ArcSwap<BTreeMap<TenantId, Arc<Cell>>>>;

/// Watches until the handle is dropped; nothing when it is not wanted. Returns once no change can be missed.
pub(super) async fn watch(config: &Config, living: Living) -> Option<AbortOnDropHandle<()>> {
    let stirred = Arc::new(Stirred::default());
    let watcher = match config.folders.watch {
        Watch::Off => return None,
        Watch::Poll => None,
        Watch::Auto => listen(config.documents_dir(), Arc::clone(&stirred)).await,
    };
    let interval = config.folders.interval;
    Some(AbortOnDropHandle::new(tokio::spawn(async move {
        let polled = async {
            if watcher.is_some() {
                tokio::select! {
                    () = stirred.deaf.notified() => {}
                    () = poll(&living, &stirred, BACKSTOP, false) => {}
                }
                tracing::warn!("folders cannot be watched any more and are polled from here on");
            }
            poll(&living, &stirred, interval, true).await;
        };
        tokio::join!(polled, relay(&living, &stirred));
    })))
}

/// Has the operating system tell of changes; `None` where it cannot.
async fn listen(folder: PathBuf, stirred: Arc<Stirred>) -> Option<RecommendedWatcher> {
    let begun = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&folder)?;
        // Events name files by the path that was given, so that must be the real one.
        let folder = folder.canonicalize()?;
        let below = folder.clone();
        let hear = move |event: notify::Result<notify::Event>| match event {
            Ok(event) => stirred.hear(&below, &event),
            Err(_) => stirred.deaf.notify_one(),
        };
        let mut watcher = RecommendedWatcher::new(hear, notify::Config::default().with_follow_symlinks(false))?;
        watcher.watch(&folder, RecursiveMode::Recursive)?;
        Ok::<_, notify::Error>(watcher)
    });
    match begun.await {
        Ok(Ok(watcher)) => Some(watcher),
        Ok(Err(error)) => {
            tracing::warn!(error = %error, "folders cannot be watched and are polled");
            None
        }
        Err(died) => {
            tracing::error!(error = %died, "folders cannot be watched and are polled");
            None
        }
    }
}

/// Which tenants' folders stirred, and when first and last.
#[derive(Default)]
struct Stirred {
    tenants: Mutex<BTreeMap<TenantId, (Instant, Instant)>>,
    some: Notify,
    /// The operating system cannot tell any more.
    deaf: Notify,
    /// Everybody may have stirred: events were lost.
    all: Mutex<bool>,
}

impl Stirred {
    fn stir(&self, tenant: TenantId) {
        let now = Instant::now();
        lock(&self.tenants).entry(tenant).and_modify(|(_, last)| *last = now).or_insert((now, now));
        self.some.notify_one();
    }

    /// Takes what an event says, on the watcher's own thread.
    fn hear(&self, root: &Path, event: &notify::Event) {
        if event.need_rescan() {
            *lock(&self.all) = true;
            self.some.notify_one();
        }
        // Reading is no change, and Carrel itself reads these files.
        if matches!(event.kind, EventKind::Access(_)) {
            return;
        }
        event.paths.iter().filter_map(|path| tenant_of(root, path)).for_each(|tenant| self.stir(tenant));
    }

    /// Takes those that have been quiet, or stirring for too long, and says how long to wait for the next.
    fn due(&self, living: &Living) -> (Vec<TenantId>, Option<Duration>) {
        if std::mem::take(&mut *lock(&self.all)) {
            living.load().keys().cloned().for_each(|tenant| self.stir(tenant));
        }
        let (mut due, mut wait, mut tenants) = (Vec::new(), None::<Duration>, lock(&self.tenants));
        tenants.retain(|tenant, (first, last)| {
            let left = QUIET.saturating_sub(last.elapsed()).min(LONGEST.saturating_sub(first.elapsed()));
            if left.is_zero() {
                due.push(tenant.clone());
            } else {
                wait = Some(wait.map_or(left, |wait| wait.min(left)));
            }
            !left.is_zero()
        });
        (due, wait)
    }
}

/// The tenant that a path belongs to; `None` when nothing of a tenant's documents by hand can have changed there.
fn tenant_of(root: &Path, path: &Path) -> Option<TenantId> {
    let below = path.strip_prefix(root).ok()?.to_str()?;
    let (tenant, document) = below.split_once('/').unwrap_or((below, ""));
    let tenant = TenantId::parse(tenant).ok()?;
    (document.is_empty() || store::by_hand(document)).then_some(tenant)
}

/// Tells the actors of tenants that stirred.
async fn relay(living: &Living, stirred: &Stirred) {
    loop {
        let (due, wait) = stirred.due(living);
        for tenant in due {
            // One that is dead just now compares when it is started again; one that is no tenant has nobody to tell.
            let told = living.load().get(&tenant).and_then(|cell| Some((Arc::clone(cell), cell.actor.load_full()?)));
            if let Some((cell, actor)) = told {
                let _ = actor.cast(Letter::new(&cell, IndexMsg::Scan));
            }
        }
        match wait {
            Some(wait) => tokio::time::sleep(wait).await,
            None => stirred.some.notified().await,
        }
    }
}

/// Looks at every tenant's folder again and again; `at_once` says whether the first look counts as a change, since there
/// may have been one before it.
async fn poll(living: &Living, stirred: &Arc<Stirred>, interval: Duration, at_once: bool) {
    let (marks, walkers) = (Arc::new(Mutex::new(BTreeMap::new())), Arc::new(Semaphore::new(WALKERS)));
    let under_way = Arc::new(Mutex::new(BTreeSet::new()));
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let living = living.load_full();
        lock(&marks).retain(|tenant, _| living.contains_key(tenant));
        for cell in living.values().cloned() {
            // A folder that takes longer than the interval is looked at less often, and holds up nobody else.
            if !lock(&under_way).insert(cell.id.clone()) {
                continue;
            }
            let (walkers, marks) = (Arc::clone(&walkers), Arc::clone(&marks));
            let (stirred, under_way) = (Arc::clone(stirred), Arc::clone(&under_way));
            tokio::spawn(async move {
                let id = cell.id.clone();
                let _permit = walkers.acquire_owned().await;
                let mark = tokio::task::spawn_blocking(move || cell.documents.mark()).await;
                if let Ok(Ok(mark)) = mark
                    && lock(&marks).insert(id.clone(), mark).map_or(at_once, |before| before != mark)
                {
                    stirred.stir(id.clone());
                }
                lock(&under_way).remove(&id);
            });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_a_tenant_unless_it_is_of_hidden_or_uploaded_files() {
        let root = Path::new("/srv/documents");
        let of = |path: &str| tenant_of(root, &root.join(path)).map(|tenant| tenant.to_string());
        assert_eq!(of("acme/guide/a.md"), Some("acme".into()));
        assert_eq!(of("acme"), Some("acme".into()));
        for none in ["acme/.a.md.swp", "acme/.git/HEAD", "acme/uploads/x.json", ".removed-acme/a.md", "No Tenant/a.md"]
        {
            assert_eq!(of(none), None, "{none}");
        }
        assert_eq!(tenant_of(root, Path::new("/elsewhere/acme/a.md")), None);
    }

    #[test]
    fn a_folder_is_compared_once_it_is_quiet_however_often_it_stirred() {
        let (stirred, living) = (Stirred::default(), Living::default());
        let tenant = TenantId::parse("acme").unwrap();
        (0..10_000).for_each(|_| stirred.stir(tenant.clone()));
        let (due, wait) = stirred.due(&living);
        assert!(due.is_empty() && wait.is_some_and(|wait| wait <= QUIET));
        let ago = |time| Instant::now().checked_sub(time).unwrap();
        lock(&stirred.tenants).insert(tenant.clone(), (ago(QUIET), ago(QUIET)));
        assert_eq!(stirred.due(&living), (vec![tenant.clone()], None));
        lock(&stirred.tenants).insert(tenant.clone(), (ago(LONGEST), Instant::now()));
        assert_eq!(stirred.due(&living).0, [tenant], "one that never rests is compared all the same");
        assert_eq!(stirred.due(&living), (Vec::new(), None));
    }
}

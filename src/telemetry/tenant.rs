//! One tenant's metrics, with a bounded number of `tenant` labels.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, SharedString, counter, gauge, histogram};

use super::labels::OTHER;
use super::metrics::as_f64;
use super::names;
use crate::domain::{TenantId, Timestamp};

/// A stage of a question's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryStage {
    /// Waiting for a permit.
    Queue,
    /// Question to vector.
    Embed,
    /// Search by meaning.
    Dense,
    /// Search by words.
    Sparse,
    /// Fusing both.
    Fuse,
    /// Ordering anew.
    Rerank,
    /// Hits to words.
    Generate,
}

impl QueryStage {
    /// Its name in metrics, headers and replies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        STAGES[self as usize].1
    }
}

/// How a question ended, for the count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryOutcome {
    /// With an answer.
    Answered,
    /// Without evidence.
    NoEvidence,
    /// With an answer, though something did not work as set.
    Degraded,
    /// With an error.
    Error,
}

const STAGES: [(QueryStage, &str); 7] = [
    (QueryStage::Queue, "queue"),
    (QueryStage::Embed, "embed"),
    (QueryStage::Dense, "dense"),
    (QueryStage::Sparse, "sparse"),
    (QueryStage::Fuse, "fuse"),
    (QueryStage::Rerank, "rerank"),
    (QueryStage::Generate, "generate"),
];

const OUTCOMES: [(QueryOutcome, &str); 4] = [
    (QueryOutcome::Answered, "answered"),
    (QueryOutcome::NoEvidence, "no_evidence"),
    (QueryOutcome::Degraded, "degraded"),
    (QueryOutcome::Error, "error"),
];

/// One tenant's series, all at 0 from the start; cheap to clone, and recording looks nothing up.
///
/// When the last clone is dropped the tenant counts as removed: its gauges return to 0 and its series leave `/metrics`.
#[derive(Clone)]
pub struct TenantMetrics(Arc<Series>);

struct Series {
    tenant: TenantId,
    label: SharedString,
    /// Whether the label is the tenant's own; the rest share `other`.
    own: bool,
    stages: [Histogram; 7],
    outcomes: [Counter; 4],
    top_score: Histogram,
    documents: Share,
    chunks: Share,
    bytes: Share,
    ready: Share,
    outdated: Share,
    mailbox: Gauge,
    generation: Gauge,
    last_success: Gauge,
    build: Histogram,
    tokens_in: Counter,
    tokens_out: Counter,
}

impl TenantMetrics {
    /// The series of `tenant`: its own label while at most `max_tenants` have one, else the shared `other`.
    ///
    /// Asked again while it lives, the same series return. Install the recorder first.
    #[must_use]
    pub fn register(tenant: &TenantId, max_tenants: usize) -> Self {
        let mut labels = labels();
        if let Some(living) = labels.living.get(tenant).and_then(Weak::upgrade) {
            return Self(living);
        }
        let own = labels.take(tenant, max_tenants);
        let series = Arc::new(Series::new(tenant, own));
        labels.living.insert(tenant.clone(), Arc::downgrade(&series));
        Self(series)
    }

    /// Times one stage of a question.
    pub fn stage(&self, stage: QueryStage, took: Duration) {
        self.0.stages[stage as usize].record(took);
    }

    /// Counts a question.
    pub fn query(&self, outcome: QueryOutcome) {
        self.0.outcomes[outcome as usize].increment(1);
    }

    /// Notes the cosine of a question's best hit.
    pub fn top_score(&self, cosine: f32) {
        self.0.top_score.record(cosine);
    }

    /// Sets what the serving generation holds; `bytes` is its size on disk.
    pub fn index(&self, documents: u64, chunks: u64, bytes: u64, generation: u64) {
        self.0.documents.set(documents);
        self.0.chunks.set(chunks);
        self.0.bytes.set(bytes);
        if self.0.own {
            self.0.generation.set(as_f64(generation));
        }
    }

    /// Sets whether the index is not what a build would make now.
    pub fn outdated(&self, outdated: bool) {
        self.0.outdated.set(u64::from(outdated));
    }

    /// Sets whether the tenant can answer questions.
    pub fn ready(&self, ready: bool) {
        self.0.ready.set(u64::from(ready));
    }

    /// Times a build that succeeded now.
    pub fn built(&self, took: Duration) {
        self.0.build.record(took);
        self.succeeded(Timestamp::now());
    }

    /// Notes when the index was built or changed last.
    pub fn succeeded(&self, at: Timestamp) {
        let millis = u64::try_from(at.as_millis()).unwrap_or_default();
        self.0.last_success.set(as_f64(millis) / 1e3);
    }

    /// Counts a request refused by a limit: `tenant` for the rate, `concurrency` for too many at once.
    pub fn rate_limited(&self, policy: &'static str) {
        counter!(names::RATE_LIMITED, "tenant" => self.0.label.clone(), "policy" => policy).increment(1);
    }

    /// Counts a language model's tokens.
    pub fn llm_tokens(&self, prompt: u64, completion: u64) {
        self.0.tokens_in.increment(prompt);
        self.0.tokens_out.increment(completion);
    }

    /// Counts a message that waits for the tenant's actor from now on.
    pub fn letter_sent(&self) {
        self.0.mailbox.increment(1);
    }

    /// Counts one that does so no more.
    pub fn letter_gone(&self) {
        self.0.mailbox.decrement(1);
    }
}

impl Series {
    fn new(tenant: &TenantId, own: bool) -> Self {
        let label = SharedString::from(if own { tenant.to_string() } else { OTHER.to_owned() });
        let of = || label.clone();
        for policy in ["queries", "uploads", "concurrency"] {
            counter!(names::RATE_LIMITED, "tenant" => of(), "policy" => policy).increment(0);
        }
        let tokens = |direction: &'static str| {
            let counter = counter!(names::LLM_TOKENS, "tenant" => of(), "direction" => direction);
            counter.increment(0);
            counter
        };
        let share = |name: &'static str| Share::new(gauge!(name, "tenant" => of()));
        Self {
            tenant: tenant.clone(),
            own,
            stages: STAGES.map(|(_, stage)| histogram!(names::QUERY_STAGE, "tenant" => of(), "stage" => stage)),
            outcomes: OUTCOMES.map(|(_, outcome)| {
                let counter = counter!(names::QUERIES, "tenant" => of(), "outcome" => outcome);
                counter.increment(0);
                counter
            }),
            top_score: histogram!(names::TOP_SCORE, "tenant" => of()),
            documents: share(names::INDEX_DOCUMENTS),
            chunks: share(names::INDEX_CHUNKS),
            bytes: share(names::INDEX_BYTES),
            ready: share(names::INDEX_READY),
            outdated: share(names::INDEX_OUTDATED),
            mailbox: zeroed(gauge!(names::ACTOR_MAILBOX, "tenant" => of())),
            generation: zeroed(gauge!(names::INDEX_GENERATION, "tenant" => of())),
            last_success: zeroed(gauge!(names::INDEX_LAST_SUCCESS, "tenant" => of())),
            build: histogram!(names::INDEX_BUILD, "tenant" => of()),
            tokens_in: tokens("input"),
            tokens_out: tokens("output"),
            label,
        }
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        for share in [&self.documents, &self.chunks, &self.bytes, &self.ready, &self.outdated] {
            share.set(0);
        }
        labels().give_back(&self.tenant, self.own);
    }
}

fn zeroed(gauge: Gauge) -> Gauge {
    gauge.increment(0);
    gauge
}

/// One tenant's part of a gauge: where several share a label, the gauge shows their sum.
struct Share {
    gauge: Gauge,
    mine: AtomicU64,
}

impl Share {
    fn new(gauge: Gauge) -> Self {
        Self { gauge: zeroed(gauge), mine: AtomicU64::new(0) }
    }

    fn set(&self, value: u64) {
        let before = self.mine.swap(value, Ordering::Relaxed);
        self.gauge.increment(as_f64(value) - as_f64(before));
    }
}

/// Which tenants have a label of their own.
#[derive(Default)]
struct Labels {
    living: HashMap<TenantId, Weak<Series>>,
    /// Labels in use.
    owned: HashSet<TenantId>,
    /// Labels of removed tenants: the exporter cannot forget a series, so they are reused or hidden.
    removed: HashSet<TenantId>,
}

static LABELS: LazyLock<Mutex<Labels>> = LazyLock::new(Mutex::default);

fn labels() -> MutexGuard<'static, Labels> {
    LABELS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Labels {
    /// Whether `tenant` gets a label of its own. Labels ever made stay below twice the bound, so that tenants who come and
    /// go cannot fill the memory.
    fn take(&mut self, tenant: &TenantId, max_tenants: usize) -> bool {
        if self.owned.contains(tenant) {
            return true; // its last holder is just being dropped
        }
        let known = self.removed.contains(tenant);
        let fits = self.owned.len() < max_tenants
            && (known || self.owned.len() + self.removed.len() < max_tenants.saturating_mul(2));
        if fits {
            self.removed.remove(tenant);
            self.owned.insert(tenant.clone());
        }
        fits
    }

    fn give_back(&mut self, tenant: &TenantId, own: bool) {
        if self.living.get(tenant).is_some_and(|series| series.strong_count() > 0) {
            return; // it came back meanwhile and keeps its label
        }
        self.living.remove(tenant);
        if own && self.owned.remove(tenant) {
            self.removed.insert(tenant.clone());
        }
    }
}

/// Leaves out the series of removed tenants.
pub(super) fn without_removed(text: String) -> String {
    let labels = labels();
    if labels.removed.is_empty() {
        return text;
    }
    let gone = |line: &str| {
        let tenant = line.split_once("tenant=\"").and_then(|(_, rest)| rest.split_once('"'));
        tenant.is_some_and(|(tenant, _)| TenantId::parse(tenant).is_ok_and(|id| labels.removed.contains(&id)))
    };
    text.lines().filter(|line| !gone(line)).fold(String::with_capacity(text.len()), |mut kept, line| {
        let _ = writeln!(kept, "{line}");
        kept
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::tests::recorded;

    fn id(text: &str) -> TenantId {
        TenantId::parse(text).unwrap()
    }

    #[test]
    fn stages_and_outcomes_stand_in_the_order_of_their_enums() {
        assert!(STAGES.iter().enumerate().all(|(at, (stage, _))| *stage as usize == at));
        assert!(OUTCOMES.iter().enumerate().all(|(at, (outcome, _))| *outcome as usize == at));
    }

    #[test]
    fn every_series_of_a_tenant_is_there_from_the_start() {
        let text = recorded(|| drop(TenantMetrics::register(&id("names-snapshot"), 500)));
        let series: std::collections::BTreeSet<_> = text
            .lines()
            .filter(|line| line.starts_with("carrel_") && !line.contains("le=") && !line.contains("_sum"))
            .filter_map(|line| line.rsplit_once(' ').map(|(series, _)| series))
            .collect();
        insta::assert_debug_snapshot!(series);
    }

    #[test]
    fn tenants_that_share_a_label_add_up() {
        let text = recorded(|| {
            let (a, b) = (TenantMetrics::register(&id("sum-a"), 0), TenantMetrics::register(&id("sum-b"), 0));
            a.index(3, 30, 300, 7);
            b.index(4, 40, 400, 9);
            a.index(5, 50, 500, 8);
            std::mem::forget((a, b));
        });
        assert!(text.contains("carrel_index_documents{tenant=\"other\"} 9"), "{text}");
        assert!(!text.contains("sum-a"), "{text}");
    }

    #[test]
    fn a_tenant_registered_twice_has_one_set_of_series() {
        let (first, again) = (TenantMetrics::register(&id("twice"), 500), TenantMetrics::register(&id("twice"), 500));
        assert!(Arc::ptr_eq(&first.0, &again.0));
    }

    #[test]
    fn a_removed_tenant_leaves_the_page_and_returns_with_its_label() {
        let line = |name: &str| format!("carrel_index_ready{{tenant=\"{name}\"}} 1\n");
        let page = line("leaver") + &line("stayer");
        drop(TenantMetrics::register(&id("leaver"), 500));
        assert_eq!(without_removed(page.clone()), line("stayer"));
        let back = TenantMetrics::register(&id("leaver"), 500);
        assert_eq!(without_removed(page.clone()), page);
        drop(back);
    }

    #[test]
    fn labels_stay_bounded_however_many_tenants_come_and_go() {
        let mut labels = Labels::default();
        let owned = (0..100).filter(|n| {
            let tenant = id(&format!("t{n}"));
            let own = labels.take(&tenant, 5);
            labels.give_back(&tenant, own);
            own
        });
        assert_eq!(owned.count(), 10);
        assert!(labels.take(&id("t3"), 5), "a known label is reused");
    }
}

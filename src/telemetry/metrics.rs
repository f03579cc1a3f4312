//! The recorder, and the metrics that belong to no tenant.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::labels::Bounded;
use super::names::{self, Kind};
use super::tenant;
use crate::domain::{JobState, StageName};

/// Time between upkeeps; histograms hold every sample of that time until then.
const UPKEEP: Duration = Duration::from_secs(5);

/// Providers are few and named by the operator; this bounds a mistake.
static PROVIDERS: Bounded = Bounded::new(64);
/// Codes of failed documents come from a worker that reads hostile files.
static FAILURE_CODES: Bounded = Bounded::new(64);

/// Installs the process's recorder, once, and describes every metric; later calls return the same handle.
///
/// Call it before anything that records: handles made earlier record nothing.
pub fn install_metrics() -> PrometheusHandle {
    static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
    INSTALLED
        .get_or_init(|| {
            let recorder = builder().build_recorder();
            let handle = recorder.handle();
            // Fails only when somebody else installed one first; then ours stays empty and theirs records.
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!("another metrics recorder was installed first, so /metrics stays empty");
            }
            begin();
            handle
        })
        .clone()
}

fn builder() -> PrometheusBuilder {
    names::ALL.iter().fold(PrometheusBuilder::new(), |builder, (name, kind, _)| match kind {
        Kind::Histogram(buckets) => builder
            .set_buckets_for_metric(Matcher::Full((*name).to_owned()), buckets)
            .expect("every histogram has buckets"),
        Kind::Counter | Kind::Gauge => builder,
    })
}

/// Describes every metric and brings those with known labels to 0, so that a rate is right from the first event on.
fn begin() {
    for (name, kind, help) in names::ALL {
        match kind {
            Kind::Counter => describe_counter!(*name, *help),
            Kind::Gauge => describe_gauge!(*name, *help),
            Kind::Histogram(_) => describe_histogram!(*name, *help),
        }
    }
    Collector::default().describe();
    let revision = option_env!("CARREL_REVISION").unwrap_or("unknown");
    gauge!(names::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION"), "revision" => revision).set(1);
    gauge!(names::HTTP_IN_FLIGHT).set(0);
    jobs(&[]);
    jobs_stalled(0);
    for stage in STAGES {
        let _ = histogram!(names::JOB_STAGE, "stage" => stage_label(stage));
    }
    for reason in ["missing", "malformed", "expired", "revoked", "unknown_tenant", "forbidden"] {
        counter!(names::AUTH_FAILURES, "reason" => reason).increment(0);
    }
    for result in ["hit", "miss"] {
        counter!(names::EMBED_CACHE, "result" => result).increment(0);
    }
    counter!(names::CITATIONS_DROPPED).increment(0);
    for reason in RESTART_REASONS {
        counter!(names::ACTOR_RESTARTS, "actor" => "index", "reason" => reason).increment(0);
    }
    for invariant in Invariant::ALL {
        counter!(names::INVARIANT_VIOLATIONS, "invariant" => invariant.as_str()).increment(0);
    }
}

/// The whole of `/metrics`, process figures read now. Blocking for some milliseconds with many tenants.
#[must_use]
pub fn scrape(handle: &PrometheusHandle) -> String {
    Collector::default().collect();
    tenant::without_removed(handle.render())
}

/// Folds samples into histograms every 5 s until `stop`; without it their memory grows between scrapes.
pub async fn upkeep(handle: PrometheusHandle, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(UPKEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {
                let handle = handle.clone();
                // Thousands of series take milliseconds, which the request threads must not spend.
                let _ = tokio::task::spawn_blocking(move || handle.run_upkeep()).await;
            }
        }
    }
}

/// A request being answered; counted until it is dropped.
#[derive(Debug)]
pub struct InFlight(());

/// Counts a request as being answered.
#[must_use]
pub fn http_in_flight() -> InFlight {
    gauge!(names::HTTP_IN_FLIGHT).increment(1);
    InFlight(())
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!(names::HTTP_IN_FLIGHT).decrement(1);
    }
}

/// Brings a route's series to 0; `route` is its template.
pub fn http_route(method: &'static str, route: &str) {
    let _ = histogram!(names::HTTP_DURATION, "method" => method, "route" => route.to_owned());
    counter!(names::HTTP_REQUESTS, "method" => method, "route" => route.to_owned(), "status" => "200").increment(0);
}

/// Counts an answered request; `method` and `route` must come from closed sets.
pub fn http_served(method: &'static str, route: &str, status: u16, took: Duration) {
    let route = metrics::SharedString::from(route.to_owned());
    histogram!(names::HTTP_DURATION, "method" => method, "route" => route.clone()).record(took);
    counter!(names::HTTP_REQUESTS, "method" => method, "route" => route, "status" => status.to_string()).increment(1);
}

/// Why the index actor is started again: it panicked, was killed, did not start, or hung.
const RESTART_REASONS: [&str; 4] = ["panic", "killed", "spawn", "hang"];

/// Counts an actor that was started again, and why it had died; the reasons are those of [`RESTART_REASONS`].
pub fn actor_restarted(actor: &'static str, reason: &'static str) {
    counter!(names::ACTOR_RESTARTS, "actor" => actor, "reason" => reason).increment(1);
}

const STAGES: [StageName; 6] =
    [StageName::Extract, StageName::Chunk, StageName::Embed, StageName::Index, StageName::Check, StageName::Publish];

fn stage_label(stage: StageName) -> &'static str {
    match stage {
        StageName::Extract => "extract",
        StageName::Chunk => "chunk",
        StageName::Embed => "embed",
        StageName::Index => "index",
        StageName::Check => "check",
        StageName::Publish => "publish",
    }
}

/// Times one stage of a job: of one document (extract, chunk), of a group of them (embed, index) or of the whole (check,
/// publish).
pub fn job_stage(stage: StageName, took: Duration) {
    histogram!(names::JOB_STAGE, "stage" => stage_label(stage)).record(took);
}

/// Sets the number of jobs by state; states that are not named have none.
pub fn jobs(counts: &[(JobState, u64)]) {
    for state in JobState::ALL {
        let count: u64 = counts.iter().filter(|(of, _)| *of == state).map(|(_, count)| count).sum();
        gauge!(names::JOBS, "state" => state.as_str()).set(as_f64(count));
    }
}

/// Sets the number of jobs that run and do not get on.
pub fn jobs_stalled(count: u64) {
    gauge!(names::JOBS_STALLED).set(as_f64(count));
}

/// What a provider is called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// Vectors.
    Embed,
    /// Words.
    Llm,
    /// Scores.
    Rerank,
}

/// How a call of a provider ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// With an answer that can be taken.
    Ok,
    /// Without one in time, or with a failure.
    Unavailable,
    /// With a refusal of just this request.
    Refused,
    /// With something that cannot be taken.
    Invalid,
}

impl CallOutcome {
    const ALL: [Self; 4] = [Self::Ok, Self::Unavailable, Self::Refused, Self::Invalid];

    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
            Self::Invalid => "invalid",
        }
    }
}

/// Brings the series of a provider's calls to 0.
pub fn provider_known(calls: Calls, provider: &str) {
    for outcome in CallOutcome::ALL {
        calls_counter(calls, provider, outcome).increment(0);
    }
}

/// Counts a call of a provider, all its attempts together.
pub fn provider_called(calls: Calls, provider: &str, outcome: CallOutcome) {
    calls_counter(calls, provider, outcome).increment(1);
}

fn calls_counter(calls: Calls, provider: &str, outcome: CallOutcome) -> Counter {
    let name = match calls {
        Calls::Embed => names::EMBED_REQUESTS,
        Calls::Llm => names::LLM_REQUESTS,
        Calls::Rerank => names::RERANK_REQUESTS,
    };
    counter!(name, "provider" => PROVIDERS.admit(provider), "outcome" => outcome.as_str())
}

/// Counts a look into the cache of question vectors.
pub fn embed_cache(hit: bool) {
    counter!(names::EMBED_CACHE, "result" => if hit { "hit" } else { "miss" }).increment(1);
}

/// Counts citations that did not hold and were left out.
pub fn citations_dropped(count: u64) {
    counter!(names::CITATIONS_DROPPED).increment(count);
}

/// Counts a request that was not let in.
pub fn auth_failed(reason: &'static str) {
    counter!(names::AUTH_FAILURES, "reason" => reason).increment(1);
}

/// Counts a document that could not be indexed; `code` is [`crate::domain::JobProblem::code`].
pub fn documents_failed(code: &str) {
    counter!(names::DOCUMENTS_FAILED, "code" => FAILURE_CODES.admit(code)).increment(1);
}

/// What must hold, whatever comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invariant {
    /// No task ends in a panic.
    NoPanic,
    /// What an answer quotes stands in the stored text.
    Proof,
}

impl Invariant {
    const ALL: [Self; 2] = [Self::NoPanic, Self::Proof];

    fn as_str(self) -> &'static str {
        match self {
            Self::NoPanic => "no_panic",
            Self::Proof => "proof",
        }
    }
}

/// Counts and logs something that must never happen.
pub fn invariant_violated(invariant: Invariant) {
    let name = invariant.as_str();
    counter!(names::INVARIANT_VIOLATIONS, "invariant" => name).increment(1);
    tracing::error!(invariant = name, "an invariant does not hold: this is a bug in Carrel");
}

/// Counts stay far below 2^53, where every whole number is exact.
#[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
pub(super) fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Runs `record` against a recorder of its own and returns what a scrape would show.
    pub fn recorded(record: impl FnOnce()) -> String {
        let recorder = builder().build_recorder();
        metrics::with_local_recorder(&recorder, record);
        recorder.handle().render()
    }

    #[test]
    fn every_metric_that_can_be_known_is_there_from_the_start() {
        let text = recorded(begin).replace(env!("CARGO_PKG_VERSION"), "[version]");
        let series: std::collections::BTreeSet<_> = text
            .lines()
            .filter(|line| line.starts_with("carrel_") && !line.contains("le=") && !line.contains("_sum"))
            .filter_map(|line| line.rsplit_once(' ').map(|(series, _)| series))
            .collect();
        insta::assert_debug_snapshot!(series);
    }

    #[test]
    fn a_name_is_written_as_prometheus_wants_it() {
        let mut seen = std::collections::BTreeSet::new();
        for (name, kind, help) in names::ALL {
            assert!(seen.insert(*name), "{name} stands twice");
            assert!(name.starts_with("carrel_") && !help.is_empty());
            assert_eq!(matches!(kind, Kind::Counter), name.ends_with("_total"), "{name}");
        }
    }

    #[test]
    fn job_states_that_are_not_named_have_none() {
        let text = recorded(|| {
            jobs(&[(JobState::Failed, 3)]);
            jobs(&[(JobState::Queued, 2)]);
        });
        assert!(text.contains("carrel_jobs{state=\"queued\"} 2"), "{text}");
        assert!(text.contains("carrel_jobs{state=\"failed\"} 0"), "{text}");
    }

    #[test]
    fn requests_under_way_are_counted_until_they_end() {
        let text = recorded(|| {
            let (first, second) = (http_in_flight(), http_in_flight());
            drop(first);
            std::mem::forget(second);
        });
        assert!(text.contains("carrel_http_requests_in_flight 1"), "{text}");
    }
}

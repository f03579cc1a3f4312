//! Every metric's name, once, with its help text and buckets.

pub(super) const BUILD_INFO: &str = "carrel_build_info";
pub(super) const HTTP_REQUESTS: &str = "carrel_http_requests_total";
pub(super) const HTTP_DURATION: &str = "carrel_http_request_duration_seconds";
pub(super) const HTTP_IN_FLIGHT: &str = "carrel_http_requests_in_flight";
pub(super) const QUERY_STAGE: &str = "carrel_query_stage_duration_seconds";
pub(super) const QUERIES: &str = "carrel_queries_total";
pub(super) const TOP_SCORE: &str = "carrel_query_top_score";
pub(super) const INDEX_DOCUMENTS: &str = "carrel_index_documents";
pub(super) const INDEX_CHUNKS: &str = "carrel_index_chunks";
pub(super) const INDEX_BYTES: &str = "carrel_index_size_bytes";
pub(super) const INDEX_GENERATION: &str = "carrel_index_generation";
pub(super) const INDEX_READY: &str = "carrel_index_ready";
pub(super) const INDEX_OUTDATED: &str = "carrel_index_outdated";
pub(super) const INDEX_LAST_SUCCESS: &str = "carrel_index_last_success_timestamp_seconds";
pub(super) const INDEX_BUILD: &str = "carrel_index_build_duration_seconds";
pub(super) const ACTOR_RESTARTS: &str = "carrel_actor_restarts_total";
pub(super) const ACTOR_MAILBOX: &str = "carrel_actor_mailbox_messages";
pub(super) const JOBS: &str = "carrel_jobs";
pub(super) const JOBS_STALLED: &str = "carrel_jobs_stalled";
pub(super) const JOB_STAGE: &str = "carrel_job_stage_duration_seconds";
pub(super) const RATE_LIMITED: &str = "carrel_rate_limited_total";
pub(super) const LLM_TOKENS: &str = "carrel_llm_tokens_total";
pub(super) const LLM_REQUESTS: &str = "carrel_llm_requests_total";
pub(super) const EMBED_REQUESTS: &str = "carrel_embed_requests_total";
pub(super) const RERANK_REQUESTS: &str = "carrel_rerank_requests_total";
pub(super) const EMBED_CACHE: &str = "carrel_embed_cache_total";
pub(super) const AUTH_FAILURES: &str = "carrel_auth_failures_total";
pub(super) const CITATIONS_DROPPED: &str = "carrel_citations_dropped_total";
pub(super) const DOCUMENTS_FAILED: &str = "carrel_documents_failed_total";
pub(super) const INVARIANT_VIOLATIONS: &str = "carrel_invariant_violations_total";

/// What a metric is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    /// With its upper bounds.
    Histogram(&'static [f64]),
}

/// 5 ms to 30 s, as people wait.
const REQUEST_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// 0.5 ms to 10 s: local stages end in the first half, language models in the second.
const STAGE_SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// 10 ms to an hour.
const WORK_SECONDS: &[f64] = &[0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];
/// Cosines; evidence usually begins near 0.25.
const SCORES: &[f64] = &[0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/// All of them: name, kind, help.
pub(super) const ALL: &[(&str, Kind, &str)] = &[
    (BUILD_INFO, Kind::Gauge, "1, labelled with version and revision"),
    (HTTP_REQUESTS, Kind::Counter, "Requests answered, by method, route template and status; 499: the client left"),
    (HTTP_DURATION, Kind::Histogram(REQUEST_SECONDS), "Seconds from a request's head to its reply's head"),
    (HTTP_IN_FLIGHT, Kind::Gauge, "Requests being answered"),
    (QUERY_STAGE, Kind::Histogram(STAGE_SECONDS), "Seconds a question spent in a stage"),
    (QUERIES, Kind::Counter, "Questions, by outcome"),
    (TOP_SCORE, Kind::Histogram(SCORES), "Cosine of a question's best hit"),
    (INDEX_DOCUMENTS, Kind::Gauge, "Documents in the serving generation"),
    (INDEX_CHUNKS, Kind::Gauge, "Chunks in the serving generation"),
    (INDEX_BYTES, Kind::Gauge, "Bytes of the serving generation on disk"),
    (INDEX_GENERATION, Kind::Gauge, "Number of the serving generation"),
    (INDEX_READY, Kind::Gauge, "1 when the tenant can answer questions"),
    (INDEX_OUTDATED, Kind::Gauge, "1 when the index is not what a build would make now, so that a reindex is due"),
    (INDEX_LAST_SUCCESS, Kind::Gauge, "When the last build or change of the index succeeded, seconds since 1970"),
    (INDEX_BUILD, Kind::Histogram(WORK_SECONDS), "Seconds a build took"),
    (ACTOR_RESTARTS, Kind::Counter, "Actors started again after they died"),
    (ACTOR_MAILBOX, Kind::Gauge, "Messages waiting for a tenant's actor"),
    (JOBS, Kind::Gauge, "Jobs, by state"),
    (JOBS_STALLED, Kind::Gauge, "Jobs that run and have not got on for a minute"),
    (
        JOB_STAGE,
        Kind::Histogram(WORK_SECONDS),
        "Seconds a stage of a job took, for a document, a group of them or the whole",
    ),
    (RATE_LIMITED, Kind::Counter, "Requests refused by a limit"),
    (LLM_TOKENS, Kind::Counter, "Model tokens read from (input) and written for (output) a tenant"),
    (LLM_REQUESTS, Kind::Counter, "Calls of language models, by provider and outcome"),
    (EMBED_REQUESTS, Kind::Counter, "Calls of embedding providers, by provider and outcome"),
    (RERANK_REQUESTS, Kind::Counter, "Calls of reranking providers, by provider and outcome"),
    (EMBED_CACHE, Kind::Counter, "Question vectors looked up in the cache, by result"),
    (AUTH_FAILURES, Kind::Counter, "Requests not let in, by reason"),
    (CITATIONS_DROPPED, Kind::Counter, "Citations that did not hold against the stored text"),
    (DOCUMENTS_FAILED, Kind::Counter, "Documents that could not be indexed, by code"),
    (INVARIANT_VIOLATIONS, Kind::Counter, "Things that must never happen and did; page somebody"),
];

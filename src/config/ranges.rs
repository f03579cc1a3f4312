//! Which values a setting may have.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::{Config, EmbedderRef, ModelRef, TenantSettings};

/// Bytes that no setting may exceed: 1 PiB.
const LARGEST: u64 = 1 << 50;
/// Days that a token may live: ten years.
const LONGEST_TOKEN: u32 = 3650;

/// A value that parses but cannot be meant.
pub(super) struct Wrong {
    /// The setting, as `section.key`.
    pub key: String,
    /// What it must be.
    pub message: String,
}

/// The values that cannot be meant, as they are found.
#[derive(Default)]
pub(super) struct Wrongs(pub(super) Vec<Wrong>);

impl Wrongs {
    pub(super) fn push(&mut self, key: &str, message: impl Into<String>) {
        self.0.push(Wrong { key: key.to_owned(), message: message.into() });
    }

    /// Notes a value outside its range.
    pub(super) fn within<T: PartialOrd + Display + Copy>(&mut self, key: &str, value: T, range: RangeInclusive<T>) {
        if !range.contains(&value) {
            self.push(key, format!("must be from {} to {}", range.start(), range.end()));
        }
    }
}

/// First parts of Carrel's own paths: below one of these a path of ours and one of the proxy could not be told apart.
const OWN_PATHS: [&str; 10] =
    ["admin", "api", "static", "query", "health", "healthz", "livez", "readyz", "metrics", "problems"];

/// What is wrong with a public address; it may be empty.
fn wrong_address(url: &str) -> Option<String> {
    if url.is_empty() {
        return None;
    }
    let shape = "must be `http://` or `https://`, a host, and at most a path, such as `https://example.org/carrel`";
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let Some(rest) = rest else { return Some(shape.into()) };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:[]/".contains(&b);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.trim_end_matches('/');
    if host.is_empty() || !rest.bytes().all(plain) || (!path.is_empty() && path.split('/').any(is_no_part)) {
        return Some(shape.into());
    }
    let first = path.split('/').next().unwrap_or_default();
    OWN_PATHS
        .contains(&first)
        .then(|| format!("must not have a path that begins with `/{first}`, which is one of Carrel's own"))
}

fn is_no_part(part: &str) -> bool {
    matches!(part, "" | "." | "..")
}

impl Config {
    /// Every value that cannot be meant.
    pub(super) fn wrongs(&self) -> Vec<Wrong> {
        let (http, ingest, builds) = (&self.http, &self.ingest, &self.builds);
        let mut found = Wrongs::default();
        if let Some(message) = wrong_address(&http.public_url) {
            found.push("http.public_url", message);
        }
        found.within("http.max_upload_bytes", http.max_upload_bytes, 1..=LARGEST);
        found.within("http.max_restore_bytes", http.max_restore_bytes, 1..=LARGEST);
        found.within("http.max_query_chars", http.max_query_chars, 1..=32_768);
        found.within("http.max_connections", http.max_connections, 1..=1_000_000);
        found.within("auth.default_token_days", self.auth.default_token_days, 1..=LONGEST_TOKEN);
        found.within("builds.concurrent", builds.concurrent, 1..=1000);
        found.within("builds.keep_generations", builds.keep_generations, 2..=1000);
        found.within("keep.jobs_days", self.keep.jobs_days, 1..=36_500);
        found.within("keep.audit_days", self.keep.audit_days, 1..=36_500);
        found.within("ingest.worker_memory_mib", ingest.worker_memory_mib, 64..=1 << 20);
        found.within("ingest.max_text_bytes", ingest.max_text_bytes, 1..=1 << 32);
        found.within("ingest.workers", ingest.workers, 1..=1000);
        found.within("embed.threads", self.embed.threads, 0..=1000);
        let providers = self.providers.iter().flat_map(|(name, provider)| {
            provider.wrongs().into_iter().map(move |wrong| Wrong {
                key: format!("providers.{name}.{}", wrong.key),
                message: format!("of provider `{name}` {}", wrong.message),
            })
        });
        found.0.extend(providers);
        found.0
    }
}

impl TenantSettings {
    /// Every value that cannot be meant; `config` knows the providers.
    pub(super) fn wrongs(&self, config: &Config) -> Vec<Wrong> {
        let (limits, retrieval, chunking) = (&self.limits, &self.retrieval, &self.chunking);
        let mut found = Wrongs::default();
        if self.name.chars().count() > 200 || self.name.chars().any(char::is_control) {
            found.push("name", "must be at most 200 characters on one line");
        }
        found.within("limits.queries_per_minute", limits.queries_per_minute, 1..=1_000_000_000);
        found.within("limits.burst", limits.burst, 1..=1_000_000);
        found.within("limits.uploads_per_minute", limits.uploads_per_minute.unwrap_or(1), 1..=1_000_000_000);
        found.within("limits.upload_burst", limits.upload_burst.unwrap_or(1), 1..=1_000_000);
        found.within("limits.concurrent_queries", limits.concurrent_queries, 1..=10_000);
        found.within("retrieval.top_k", retrieval.top_k, 1..=50);
        found.within("retrieval.candidates", retrieval.candidates, 10..=1000);
        found.within("retrieval.max_chunks_per_document", retrieval.max_chunks_per_document, 1..=50);
        found.within("retrieval.rerank_candidates", retrieval.rerank_candidates, 1..=200);
        found.within("chunking.max_tokens", chunking.max_tokens, 32..=512);
        if chunking.overlap_tokens.saturating_mul(2) >= chunking.max_tokens {
            found.push("chunking.overlap_tokens", "must be below half of `max_tokens`");
        }
        found.within("answer.min_score", self.answer.min_score, -1.0..=1.0);
        found.within("answer.max_output_tokens", self.answer.max_output_tokens, 1..=1_000_000);
        found.within("quality.margin", self.quality.margin, 0.0..=1.0);
        let embedder = match &retrieval.embedder {
            EmbedderRef::Remote(model) => Some(model),
            EmbedderRef::Builtin => None,
        };
        let models = [
            ("retrieval.embedder", embedder),
            ("retrieval.reranker", retrieval.reranker.as_ref()),
            ("answer.model", self.answer.model.as_ref()),
        ];
        for (key, model) in models {
            if let Some(ModelRef { provider, .. }) = model
                && !config.providers.contains_key(provider)
            {
                found.push(key, format!("names the provider `{provider}`, which carrel.toml does not have"));
            }
        }
        found.0
    }
}

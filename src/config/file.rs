//! Reading settings files, and saying where they are wrong.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::{Config, EmbedderRef, ModelRef, ProviderConfig, TenantSettings};

/// Why settings are refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file, relative to the root.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that cannot be meant.
    #[error("{path}:{line}: {message}")]
    Invalid {
        /// The file, relative to the root.
        path: String,
        /// Line, from 1; 0 when the value came from elsewhere.
        line: usize,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The environment says something that cannot be meant.
    #[error("environment: {0}")]
    Environment(Box<figment::Error>),
}

impl Config {
    /// Reads defaults, then `<root>/carrel.toml` if it stands there, then `CARREL_*` (`CARREL_HTTP__BIND` is `http.bind`).
    ///
    /// # Errors
    /// When the file cannot be read, is no TOML, holds unknown keys or values out of range; or a variable does.
    pub fn load(root: &Path) -> Result<Self, ConfigError> {
        let path = root.join("carrel.toml");
        let text = read_if_there(&path, "carrel.toml")?;
        // Parsed alone first, since this parser knows the line.
        let alone: Self = parse("carrel.toml", &text)?;
        alone.validate().map_err(|message| invalid("carrel.toml", &text, message))?;
        let environment = Env::prefixed("CARREL_").split("__").filter(|key| key.as_str().contains('.'));
        let merged = Figment::new().merge(Toml::string(&text)).merge(environment);
        let mut config: Self = merged.extract().map_err(|error| ConfigError::Environment(Box::new(error)))?;
        config.validate().map_err(|Wrong { key, message }| {
            ConfigError::Environment(Box::new(figment::Error::from(format!("{key}: {message}"))))
        })?;
        root.clone_into(&mut config.root);
        Ok(config)
    }

    fn validate(&self) -> Result<(), Wrong> {
        let (http, ingest, builds) = (&self.http, &self.ingest, &self.builds);
        within("max_upload_bytes", http.max_upload_bytes, 1..=LARGEST)?;
        within("max_restore_bytes", http.max_restore_bytes, 1..=LARGEST)?;
        within("max_query_chars", http.max_query_chars, 1..=32_768)?;
        within("max_connections", http.max_connections, 1..=1_000_000)?;
        within("default_token_days", self.auth.default_token_days, 1..=36_500)?;
        within("concurrent", builds.concurrent, 1..=1000)?;
        within("keep_generations", builds.keep_generations, 2..=1000)?;
        within("jobs_days", self.keep.jobs_days, 1..=36_500)?;
        within("audit_days", self.keep.audit_days, 1..=36_500)?;
        within("worker_memory_mib", ingest.worker_memory_mib, 64..=1 << 20)?;
        within("max_text_bytes", ingest.max_text_bytes, 1..=1 << 32)?;
        within("workers", ingest.workers, 1..=1000)?;
        within("threads", self.embed.threads, 0..=1000)?;
        for (name, provider) in &self.providers {
            provider
                .validate()
                .map_err(|wrong| Wrong { message: format!("of provider `{name}` {}", wrong.message), ..wrong })?;
        }
        Ok(())
    }
}

impl ProviderConfig {
    fn validate(&self) -> Result<(), Wrong> {
        if !self.base_url.starts_with("http://") && !self.base_url.starts_with("https://") {
            return Err(Wrong { key: "base_url", message: "must start with http:// or https://".to_owned() });
        }
        within("max_concurrent", self.max_concurrent, 1..=10_000)?;
        within("batch_size", self.batch_size, 1..=10_000)
    }
}

impl TenantSettings {
    /// Reads one tenant's file; `shown` names it in errors, `config` knows the providers it may name.
    ///
    /// # Errors
    /// As [`Config::load`], and when it names a provider that `carrel.toml` does not.
    pub fn load(path: &Path, config: &Config) -> Result<Self, ConfigError> {
        let shown = path.strip_prefix(&config.root).unwrap_or(path).display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: shown.clone(), source })?;
        Self::parse(&shown, &text, config)
    }

    /// Reads settings from text; see [`TenantSettings::load`].
    ///
    /// # Errors
    /// As [`TenantSettings::load`].
    pub fn parse(shown: &str, text: &str, config: &Config) -> Result<Self, ConfigError> {
        let settings: Self = parse(shown, text)?;
        settings.validate(config).map_err(|wrong| invalid(shown, text, wrong))?;
        Ok(settings)
    }

    fn validate(&self, config: &Config) -> Result<(), Wrong> {
        let wrong = |key, message: String| Err(Wrong { key, message });
        let (limits, retrieval, chunking) = (&self.limits, &self.retrieval, &self.chunking);
        if self.name.chars().count() > 200 || self.name.chars().any(char::is_control) {
            return wrong("name", "must be at most 200 characters on one line".into());
        }
        within("queries_per_minute", limits.queries_per_minute, 1..=1_000_000_000)?;
        within("burst", limits.burst, 1..=1_000_000)?;
        within("concurrent_queries", limits.concurrent_queries, 1..=10_000)?;
        within("top_k", retrieval.top_k, 1..=50)?;
        within("candidates", retrieval.candidates, 10..=1000)?;
        within("max_chunks_per_document", retrieval.max_chunks_per_document, 1..=50)?;
        within("rerank_candidates", retrieval.rerank_candidates, 1..=200)?;
        within("max_tokens", chunking.max_tokens, 32..=512)?;
        if chunking.overlap_tokens * 2 >= chunking.max_tokens {
            return wrong("overlap_tokens", "must be below half of `max_tokens`".into());
        }
        within("min_score", self.answer.min_score, -1.0..=1.0)?;
        within("max_output_tokens", self.answer.max_output_tokens, 1..=1_000_000)?;
        within("margin", self.quality.margin, 0.0..=1.0)?;
        let known = |model: &ModelRef| config.providers.contains_key(&model.provider);
        let missing =
            |model: &ModelRef| format!("names the provider `{}`, which carrel.toml does not have", model.provider);
        if let EmbedderRef::Remote(model) = &retrieval.embedder
            && !known(model)
        {
            return wrong("embedder", missing(model));
        }
        if let Some(model) = retrieval.reranker.as_ref().filter(|model| !known(model)) {
            return wrong("reranker", missing(model));
        }
        if let Some(model) = self.answer.model.as_ref().filter(|model| !known(model)) {
            return wrong("model", missing(model));
        }
        Ok(())
    }
}

/// Bytes that no setting may exceed: 1 PiB.
const LARGEST: u64 = 1 << 50;
/// The longest time that can be set: a year.
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// A value that parses but cannot be meant.
struct Wrong {
    key: &'static str,
    message: String,
}

/// Refuses a value outside its range.
fn within<T: PartialOrd + Display + Copy>(key: &'static str, value: T, range: RangeInclusive<T>) -> Result<(), Wrong> {
    let fits = range.contains(&value);
    let message = || format!("must be from {} to {}", range.start(), range.end());
    if fits { Ok(()) } else { Err(Wrong { key, message: message() }) }
}

fn read_if_there(path: &PathBuf, shown: &str) -> Result<String, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(ConfigError::Read { path: shown.to_owned(), source }),
    }
}

fn parse<T: DeserializeOwned>(shown: &str, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        ConfigError::Invalid { path: shown.to_owned(), line, message: with_hint(error.message()) }
    })
}

/// Finds the line of the key that is wrong: the first that sets it.
fn invalid(shown: &str, text: &str, Wrong { key, message }: Wrong) -> ConfigError {
    let sets = |line: &str| line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
    let line = text.lines().position(sets).map_or(1, |at| at + 1);
    ConfigError::Invalid { path: shown.to_owned(), line, message: format!("`{key}` {message}") }
}

/// Adds "did you mean" to serde's "unknown field `x`, expected one of `a`, `b`".
fn with_hint(message: &str) -> String {
    let Some(rest) = message.strip_prefix("unknown field `") else { return message.to_owned() };
    let mut quoted = rest.split('`');
    let unknown = quoted.next().unwrap_or_default();
    let nearest = quoted
        .skip(1)
        .step_by(2)
        .max_by(|a, b| strsim::jaro_winkler(unknown, a).total_cmp(&strsim::jaro_winkler(unknown, b)));
    match nearest {
        Some(near) if strsim::jaro_winkler(unknown, near) > 0.7 => {
            format!("unknown key `{unknown}`: did you mean `{near}`?")
        }
        _ => message.replacen("field", "key", 1),
    }
}

/// Whole or broken seconds, above 0 and at most a year, so that no moment that far from now is out of range.
pub(super) fn seconds<'de, D: Deserializer<'de>>(source: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(source)?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero() && *duration <= LONGEST)
        .ok_or_else(|| serde::de::Error::custom("must be a number of seconds above 0 and at most a year"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(text: &str) -> Result<TenantSettings, String> {
        TenantSettings::parse("tenants/a.toml", text, &Config::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_misspelt_key_is_refused_with_file_line_and_the_right_one() {
        let error = tenant("name = \"A\"\n[limits]\nqueries_per_minutes = 3\n").unwrap_err();
        assert_eq!(error, "tenants/a.toml:3: unknown key `queries_per_minutes`: did you mean `queries_per_minute`?");
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_its_line() {
        let error = tenant("[retrieval]\n\ntop_k = 99\n").unwrap_err();
        assert_eq!(error, "tenants/a.toml:3: `top_k` must be from 1 to 50");
        let error = tenant("[answer]\nmodel = \"nobody/gpt\"\n").unwrap_err();
        assert_eq!(error, "tenants/a.toml:2: `model` names the provider `nobody`, which carrel.toml does not have");
        let error = tenant("[retrieval]\nreranker = \"nobody/r\"\n").unwrap_err();
        assert_eq!(error, "tenants/a.toml:2: `reranker` names the provider `nobody`, which carrel.toml does not have");
        let error = tenant("[retrieval]\nrerank_candidates = 0\n").unwrap_err();
        assert_eq!(error, "tenants/a.toml:2: `rerank_candidates` must be from 1 to 200");
    }

    #[test]
    fn numbers_that_would_break_something_later_are_refused() {
        for (text, says) in [
            ("[limits]\nconcurrent_queries = 9000000000000000000", "`concurrent_queries` must be from 1 to 10000"),
            ("[limits]\nburst = 4294967295", "`burst` must be from 1 to 1000000"),
            ("[answer]\nmax_output_tokens = 0", "`max_output_tokens` must be from 1 to 1000000"),
            ("[answer]\nmin_score = nan", "`min_score` must be from -1 to 1"),
            ("[answer]\ntimeout_s = 1e18", "must be a number of seconds above 0 and at most a year"),
            ("[answer]\ntimeout_s = nan", "must be a number of seconds above 0 and at most a year"),
        ] {
            let error = tenant(text).unwrap_err();
            assert!(error.starts_with("tenants/a.toml:2: ") && error.contains(says), "{text}: {error}");
        }
        let server = |text: &str| {
            let config: Config = toml::from_str(text).unwrap();
            config.validate().map_err(|Wrong { key, message }| format!("{key} {message}")).unwrap_err()
        };
        let provider = "[providers.p]\nbase_url = \"http://a/v1\"\n";
        let says = "max_concurrent of provider `p` must be from 1 to 10000";
        assert_eq!(server(&format!("{provider}max_concurrent = 9000000000000000000")), says);
        assert_eq!(server("[builds]\nconcurrent = 0"), "concurrent must be from 1 to 1000");
        assert_eq!(server("[ingest]\nworkers = 9000000000000000000"), "workers must be from 1 to 1000");
    }

    #[test]
    fn an_empty_file_is_a_whole_tenant() {
        assert_eq!(tenant("").unwrap(), TenantSettings::default());
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused_with_its_line() {
        let error = tenant("[limits]\nburst = \"many\"\n").unwrap_err();
        assert!(error.starts_with("tenants/a.toml:2: invalid type"), "{error}");
    }
}

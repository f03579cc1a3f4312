//! Reading settings files, and saying where they are wrong.

use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::{Config, EmbedderRef, ModelRef, TenantSettings};

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
        let wrong = |key, message: &str| Err(Wrong { key, message: message.to_owned() });
        if self.http.max_upload_bytes == 0 {
            return wrong("max_upload_bytes", "must be at least 1");
        }
        if self.http.max_restore_bytes == 0 {
            return wrong("max_restore_bytes", "must be at least 1");
        }
        if self.http.max_query_chars == 0 || self.http.max_query_chars > 32_768 {
            return wrong("max_query_chars", "must be from 1 to 32768");
        }
        if self.http.max_connections == 0 {
            return wrong("max_connections", "must be at least 1");
        }
        if self.auth.default_token_days == 0 {
            return wrong("default_token_days", "must be at least 1");
        }
        if self.builds.concurrent == 0 || self.builds.keep_generations < 2 {
            return wrong("builds", "`concurrent` must be at least 1 and `keep_generations` at least 2");
        }
        if self.keep.jobs_days == 0 || self.keep.audit_days == 0 {
            return wrong("keep", "`jobs_days` and `audit_days` must be at least 1");
        }
        if self.ingest.worker_memory_mib < 64 || self.ingest.workers == 0 {
            return wrong("ingest", "`worker_memory_mib` must be at least 64 and `workers` at least 1");
        }
        for (name, provider) in &self.providers {
            if !provider.base_url.starts_with("http://") && !provider.base_url.starts_with("https://") {
                return wrong("base_url", &format!("of provider `{name}` must start with http:// or https://"));
            }
            if provider.max_concurrent == 0 || provider.batch_size == 0 {
                return wrong("max_concurrent", &format!("and `batch_size` of provider `{name}` must be at least 1"));
            }
        }
        Ok(())
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
        for (key, value) in [("queries_per_minute", limits.queries_per_minute), ("burst", limits.burst)] {
            if value == 0 {
                return wrong(key, "must be at least 1".into());
            }
        }
        if limits.concurrent_queries == 0 {
            return wrong("concurrent_queries", "must be at least 1".into());
        }
        if !(1..=50).contains(&retrieval.top_k) {
            return wrong("top_k", "must be from 1 to 50".into());
        }
        if !(10..=1000).contains(&retrieval.candidates) {
            return wrong("candidates", "must be from 10 to 1000".into());
        }
        if !(1..=50).contains(&retrieval.max_chunks_per_document) {
            return wrong("max_chunks_per_document", "must be from 1 to 50".into());
        }
        if !(1..=200).contains(&retrieval.rerank_candidates) {
            return wrong("rerank_candidates", "must be from 1 to 200".into());
        }
        if !(32..=512).contains(&chunking.max_tokens) {
            return wrong("max_tokens", "must be from 32 to 512".into());
        }
        if chunking.overlap_tokens * 2 >= chunking.max_tokens {
            return wrong("overlap_tokens", "must be below half of `max_tokens`".into());
        }
        if !(-1.0..=1.0).contains(&self.answer.min_score) {
            return wrong("min_score", "must be from -1 to 1".into());
        }
        if !(0.0..=1.0).contains(&self.quality.margin) {
            return wrong("margin", "must be from 0 to 1".into());
        }
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

/// A value that parses but cannot be meant.
struct Wrong {
    key: &'static str,
    message: String,
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

/// Whole or broken seconds, above 0.
pub(super) fn seconds<'de, D: Deserializer<'de>>(source: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(source)?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| serde::de::Error::custom("must be a number of seconds above 0"))
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
    fn an_empty_file_is_a_whole_tenant() {
        assert_eq!(tenant("").unwrap(), TenantSettings::default());
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused_with_its_line() {
        let error = tenant("[limits]\nburst = \"many\"\n").unwrap_err();
        assert!(error.starts_with("tenants/a.toml:2: invalid type"), "{error}");
    }
}

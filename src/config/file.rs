//! Reading settings files, and saying where they are wrong.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::document::Document;
use super::{Config, TenantSettings, environment};

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
    /// The file's name is no tenant's id.
    #[error("{path}: {message}")]
    Name {
        /// The file, relative to the root.
        path: String,
        /// What a name may be.
        message: String,
    },
    /// The environment says something that cannot be meant.
    #[error("environment: {0}")]
    Environment(String),
    /// More than one of these, one a line.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<Self>),
}

impl ConfigError {
    /// All of them as one; `None` when there are none.
    #[must_use]
    pub fn of(mut mistakes: Vec<Self>) -> Option<Self> {
        match mistakes.len() {
            0 | 1 => mistakes.pop(),
            _ => Some(Self::Several(mistakes)),
        }
    }

    /// The line in its file, from 1, where it is known.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Invalid { line, .. } => Some(*line),
            _ => None,
        }
    }

    /// The file, relative to the root; none for the environment.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Read { path, .. } | Self::Invalid { path, .. } | Self::Name { path, .. } => Some(path),
            _ => None,
        }
    }
}

impl Config {
    /// Reads defaults, then `<root>/carrel.toml` if it stands there, then `CARREL_*` (`CARREL_HTTP__BIND` is `http.bind`).
    ///
    /// # Errors
    /// When the file cannot be read, is no TOML, holds unknown keys or values out of range; or a variable does.
    pub fn load(root: &Path) -> Result<Self, ConfigError> {
        let (config, mistakes) = Self::examine(root);
        ConfigError::of(mistakes).map_or(Ok(config), Err)
    }

    /// As [`Config::load`]: the settings as far as they hold, and every mistake in them.
    #[must_use]
    pub fn examine(root: &Path) -> (Self, Vec<ConfigError>) {
        let (text, unread) = match read_if_there(&root.join("carrel.toml"), "carrel.toml") {
            Ok(text) => (text, None),
            Err(error) => (String::new(), Some(error)),
        };
        let mut document = Document::parse("carrel.toml", &text);
        let alone: Self = document.read();
        let wrongs = alone.wrongs();
        let told: Vec<String> = wrongs.iter().map(|wrong| wrong.key.clone()).collect();
        document.refuse(wrongs);
        let (read, in_file) = document.end();
        let (mut config, in_environment) = environment::over(&read, &told);
        root.clone_into(&mut config.root);
        (config, unread.into_iter().chain(in_file).chain(in_environment).collect())
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
        let (settings, mistakes) = Self::examine(shown, text, config);
        ConfigError::of(mistakes).map_or(Ok(settings), Err)
    }

    /// As [`TenantSettings::parse`]: the settings as far as they hold, and every mistake in them.
    #[must_use]
    pub fn examine(shown: &str, text: &str, config: &Config) -> (Self, Vec<ConfigError>) {
        let mut document = Document::parse(shown, text);
        let settings: Self = document.read();
        document.refuse(settings.wrongs(config));
        let (_, mistakes) = document.end();
        (settings, mistakes)
    }
}

/// The longest time that can be set: a year.
const LONGEST: Duration = Duration::from_hours(365 * 24);

fn read_if_there(path: &PathBuf, shown: &str) -> Result<String, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(ConfigError::Read { path: shown.to_owned(), source }),
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
            config.wrongs().into_iter().map(|wrong| format!("{} {}", wrong.key, wrong.message)).next().unwrap()
        };
        let provider = "[providers.p]\nbase_url = \"http://a/v1\"\n";
        let says = "providers.p.max_concurrent of provider `p` must be from 1 to 10000";
        assert_eq!(server(&format!("{provider}max_concurrent = 9000000000000000000")), says);
        assert_eq!(server("[builds]\nconcurrent = 0"), "builds.concurrent must be from 1 to 1000");
        assert_eq!(server("[ingest]\nworkers = 9000000000000000000"), "ingest.workers must be from 1 to 1000");
    }

    #[test]
    fn every_mistake_of_a_file_is_told_with_its_line() {
        let text = "name = 7\n[limts]\nburst = 1\n[retrieval]\ntop_k = 99\nmode = \"hybird\"\nrerank_timeout_s = 0\n\
            [chunking]\nmax_tokens = \"x\"\n[answer]\nmodel = \"nobody/m\"\nmin_scor = 1\n";
        let (settings, mistakes) = TenantSettings::examine("tenants/a.toml", text, &Config::default());
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        let expected = [
            "tenants/a.toml:1: invalid type: integer `7`, expected a string",
            "tenants/a.toml:2: unknown key `limts`: did you mean `limits`?",
            "tenants/a.toml:5: `top_k` must be from 1 to 50",
            "tenants/a.toml:6: unknown value `hybird`: did you mean `hybrid`?",
            "tenants/a.toml:7: must be a number of seconds above 0 and at most a year",
            "tenants/a.toml:9: invalid type: string \"x\", expected usize",
            "tenants/a.toml:11: `model` names the provider `nobody`, which carrel.toml does not have",
            "tenants/a.toml:12: unknown key `min_scor`: did you mean `min_score`?",
        ];
        assert_eq!(told, expected);
        assert_eq!(settings.limits, TenantSettings::default().limits);
    }

    #[test]
    fn mistakes_in_the_form_of_a_file_are_told_together() {
        let (_, mistakes) = TenantSettings::examine("a.toml", "name =\n[limits]\nburst = 1 2\n", &Config::default());
        let lines: Vec<_> = mistakes.iter().map(ConfigError::line).collect();
        assert_eq!(lines, [Some(1), Some(3)], "{mistakes:?}");
        let (_, mistakes) = TenantSettings::examine("a.toml", "name = \"a\"\nname = \"b\"\n", &Config::default());
        assert_eq!(mistakes.iter().map(ConfigError::line).collect::<Vec<_>>(), [Some(2)], "{mistakes:?}");
    }

    #[test]
    fn the_servers_mistakes_are_told_at_the_right_section() {
        let root = tempfile::tempdir().unwrap();
        let text = "[http]\nmax_query_chars = 0\n[providers.a]\nbase_url = \"http://a/v1\"\n[providers.b]\n\
            base_url = \"ftp://b\"\nbatch_size = 0\n[providers.c]\n[builds]\nconcurrent = 0\n";
        std::fs::write(root.path().join("carrel.toml"), text).unwrap();
        let (config, mistakes) = Config::examine(root.path());
        let lines: Vec<_> = mistakes.iter().map(ConfigError::line).collect();
        assert_eq!(lines, [Some(2), Some(6), Some(7), Some(8), Some(10)], "{mistakes:?}");
        assert!(config.providers.contains_key("a"));
    }

    #[test]
    fn settings_are_written_as_they_are_read_and_secrets_are_not() {
        let root = tempfile::tempdir().unwrap();
        let text = "[http]\nrequest_timeout_s = 1.5\n[providers.a]\nbase_url = \"http://a/v1\"\napi_key = \"sesame\"\n";
        std::fs::write(root.path().join("carrel.toml"), text).unwrap();
        let written = toml::to_string(&Config::load(root.path()).unwrap()).unwrap();
        assert!(!written.contains("sesame") && written.contains("api_key = \"***\""), "{written}");
        std::fs::write(root.path().join("carrel.toml"), &written).unwrap();
        let again = Config::load(root.path()).unwrap();
        assert_eq!(toml::to_string(&again).unwrap(), written);
        assert_eq!(again.http.request_timeout, Duration::from_millis(1500));
        let tenant = toml::to_string(&TenantSettings::default()).unwrap();
        assert_eq!(TenantSettings::parse("a", &tenant, &Config::default()).unwrap(), TenantSettings::default());
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

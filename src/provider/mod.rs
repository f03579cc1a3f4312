//! Calls to OpenAI-compatible providers, each bounded in time, number and size.
//!
//! Owns the HTTP client, the keys, and the rules that keep a slow, broken or hostile provider from hurting anybody: a
//! total deadline, few attempts, a capped `Retry-After`, a circuit breaker, a limit of calls at once, shared fairly by all
//! tenants, and of bytes read. Called by `embed/`, `answer/` and `rerank/`, which know what to send and what an answer must
//! look like.
//!
//! URLs, headers and request shapes are async-openai's. Its own transport is not used: it obeys any `Retry-After`, reads
//! bodies without a limit, and writes the bodies it cannot understand, which hold questions and answers, into the log.

mod breaker;
mod call;
mod pieces;
mod retry;
mod turns;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_openai::config::{Config as _, OpenAIConfig};
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use self::breaker::Breaker;
pub use self::pieces::Pieces;
pub use self::retry::RetryPolicy;
pub use self::turns::Payer;
use self::turns::{Turns, share};
use crate::config::{Config, ProviderConfig};

/// Why the providers of `carrel.toml` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The file of a key cannot be read.
    #[error("cannot read the key of provider `{provider}` from {file}: {source}")]
    KeyFile {
        /// The provider's name.
        provider: String,
        /// The file, as `carrel.toml` names it.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A key holds what no HTTP header can carry.
    #[error("the key of provider `{provider}` holds characters that no HTTP header can carry")]
    Key {
        /// The provider's name.
        provider: String,
    },
    /// Both ways to give a key are used.
    #[error("provider `{provider}` has both `api_key` and `api_key_file`: keep one of them")]
    TwoKeys {
        /// The provider's name.
        provider: String,
    },
    /// The HTTP client cannot be made; usually the machine has no root certificates.
    #[error("cannot make an HTTPS client (are root certificates installed?): {0}")]
    Client(#[source] reqwest::Error),
}

/// Why a call to a provider brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It did not answer in time or failed; worth another try later. The words never hold the provider's own.
    #[error("{0}")]
    Unavailable(String),
    /// It takes no such request, and would not later; another one may be taken.
    #[error("{0}")]
    Refused(String),
    /// It answered something that cannot be taken.
    #[error("{0}")]
    Invalid(String),
}

/// Who waits for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Urgency {
    /// Somebody waits for the answer: the deadline counts from now, waiting for a free call included.
    Now,
    /// A build: waits for a free call as long as it takes, and leaves some to those that somebody waits for.
    Background,
}

/// The providers of `carrel.toml` by name.
#[derive(Default)]
pub struct Providers {
    by_name: BTreeMap<String, Arc<Provider>>,
}

/// A provider as one tenant calls it; cheap to clone.
#[derive(Clone)]
pub struct Line {
    provider: Arc<Provider>,
    payer: Payer,
}

/// One provider.
struct Provider {
    name: String,
    http: reqwest::Client,
    endpoint: OpenAIConfig,
    headers: HeaderMap,
    settings: ProviderConfig,
    policy: RetryPolicy,
    /// Every call holds one of these, so that no more than `max_concurrent` are under way.
    turns: Turns,
    /// One for each payer and [`Urgency`]: neither a tenant's short deadline shuts the door to the others, nor a build that
    /// runs into rate limits to questions.
    breakers: Mutex<HashMap<Payer, [Breaker; 2]>>,
}

impl Providers {
    /// Reads every provider's key and makes the one HTTP client that they share; touches no network.
    ///
    /// # Errors
    /// When a key cannot be read or sent.
    pub fn open(config: &Config) -> Result<Self, ProviderError> {
        if config.providers.is_empty() {
            return Ok(Self::default());
        }
        let http = http_client()?;
        let mut by_name = BTreeMap::new();
        for (name, settings) in &config.providers {
            let key = read_key(&config.root, name, settings)?;
            let provider = Provider::new(name, settings, key.as_ref(), http.clone(), RetryPolicy::default())?;
            by_name.insert(name.clone(), Arc::new(provider));
        }
        Ok(Self { by_name })
    }

    /// Every provider's name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// The provider of this name, to be called for `payer`.
    #[must_use]
    pub fn named(&self, name: &str, payer: &Payer) -> Option<Line> {
        let provider = Arc::clone(self.by_name.get(name)?);
        Some(Line { provider, payer: payer.clone() })
    }

    /// Money for a million model tokens of the provider of this name; none where no price is set.
    #[must_use]
    pub fn price(&self, name: &str) -> Option<f64> {
        let price = self.by_name.get(name)?.settings.price_per_million_tokens;
        (price > 0.0).then_some(price)
    }
}

impl Provider {
    fn new(
        name: &str,
        settings: &ProviderConfig,
        key: Option<&SecretString>,
        http: reqwest::Client,
        policy: RetryPolicy,
    ) -> Result<Self, ProviderError> {
        let bad_key = || ProviderError::Key { provider: name.to_owned() };
        // Each of these would otherwise be taken from OPENAI_* variables and sent to whatever host this is.
        let endpoint = OpenAIConfig::new()
            .with_api_base(settings.base_url.trim_end_matches('/'))
            .with_api_key("")
            .with_org_id("")
            .with_project_id("");
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        if let Some(key) = key {
            let bearer = format!("Bearer {}", key.expose_secret());
            let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| bad_key())?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        Ok(Self {
            name: name.to_owned(),
            http,
            endpoint,
            headers,
            settings: settings.clone(),
            turns: Turns::new(settings.max_concurrent),
            breakers: Mutex::default(),
            policy,
        })
    }

    fn url(&self, path: &str) -> String {
        self.endpoint.url(path)
    }
}

impl Line {
    /// A provider with no key and its own retry rules, for tests.
    #[cfg(test)]
    pub(crate) fn for_tests(settings: &ProviderConfig, policy: RetryPolicy) -> Self {
        let provider = Provider::new("stub", settings, None, http_client().unwrap(), policy).unwrap();
        Self { provider: Arc::new(provider), payer: None }
    }

    /// The provider's name in `carrel.toml`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.provider.name
    }

    /// The provider's settings.
    #[must_use]
    pub fn settings(&self) -> &ProviderConfig {
        &self.provider.settings
    }

    /// Background calls that can be under way at once.
    #[must_use]
    pub fn background_calls(&self) -> usize {
        share(self.provider.settings.max_concurrent)
    }
}

fn http_client() -> Result<reqwest::Client, ProviderError> {
    reqwest::Client::builder()
        .user_agent(concat!("carrel/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(5))
        .tcp_nodelay(true)
        // A provider must not send questions and keys on to another host.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(ProviderError::Client)
}

fn read_key(root: &Path, provider: &str, settings: &ProviderConfig) -> Result<Option<SecretString>, ProviderError> {
    let provider = provider.to_owned();
    match (&settings.api_key, &settings.api_key_file) {
        (Some(_), Some(_)) => Err(ProviderError::TwoKeys { provider }),
        (Some(key), None) => Ok(Some(key.clone())),
        (None, Some(file)) => match std::fs::read_to_string(root.join(file)) {
            Ok(text) => Ok(Some(SecretString::from(text.trim()))),
            Err(source) => Err(ProviderError::KeyFile { provider, file: file.display().to_string(), source }),
        },
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests;

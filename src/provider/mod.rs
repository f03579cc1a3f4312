//! Calls to OpenAI-compatible providers, each bounded in time, number and size.
//!
//! Owns the HTTP client, the keys, and the rules that keep a slow, broken or hostile provider from hurting anybody: a
//! total deadline, few attempts, a capped `Retry-After`, a circuit breaker, a limit of calls at once, shared fairly by all
//! tenants, and of bytes read. Called by `embed/`, `answer/` and `rerank/`, which know what to send and what an answer must
//! look like.
//!
//! async-openai's transport is not used: it obeys any `Retry-After`, reads bodies without a limit, and writes the bodies it
//! cannot understand, which hold questions and answers, into the log.
//!
//! ```text
//! call.rs     one call with its attempts        retry.rs    when to try again       breaker.rs  when to leave it alone
//! turns.rs    whose turn it is                  pieces.rs   an answer as it comes
//! words.rs    what a provider says of an error  cause.rs    what that means         reason.rs   as it is told
//! request.rs  the fields of a request           fit.rs      those that a model refuses
//! secrets.rs  keys, headers and the address
//! ```

mod breaker;
mod call;
mod cause;
mod fit;
mod pieces;
mod reason;
mod request;
mod retry;
mod secrets;
mod turns;
mod words;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::breaker::Breaker;
use self::fit::Learnt;
pub use self::pieces::Pieces;
pub use self::reason::Reason;
pub use self::request::Request;
pub use self::retry::RetryPolicy;
use self::secrets::Access;
pub use self::turns::Payer;
use self::turns::{Turns, share};
use crate::config::{Config, ProviderConfig};

/// Why the providers of `carrel.toml` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The file of a key, or of another secret, cannot be read.
    #[error("cannot read {what} of provider `{provider}` from {file}: {source}")]
    SecretFile {
        /// The provider's name.
        provider: String,
        /// What the file holds: `the key`, ``the header `x` ``.
        what: String,
        /// The file, as `carrel.toml` names it.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A key or a header's value holds what no HTTP header can carry.
    #[error("{what} of provider `{provider}` holds characters that no HTTP header can carry")]
    Unsendable {
        /// The provider's name.
        provider: String,
        /// What holds them.
        what: String,
    },
    /// Its address is none.
    #[error("`base_url` of provider `{provider}` is no address")]
    Address {
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
    /// It did not answer in time or failed; worth another try later.
    #[error("{0}")]
    Unavailable(Reason),
    /// It does not take the key; an operator must look.
    #[error("{0}")]
    Unauthorised(Reason),
    /// It knows neither the address nor the model; an operator must look.
    #[error("{0}")]
    NotFound(Reason),
    /// What was sent is more than the model takes; less of it may be taken.
    #[error("{0}")]
    TooLong(Reason),
    /// It takes no such request, and would not later; another one may be taken.
    #[error("{0}")]
    Refused(Reason),
    /// It answered something that cannot be taken.
    #[error("{0}")]
    Invalid(Reason),
}

impl CallError {
    /// Why.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        match self {
            Self::Unavailable(reason)
            | Self::Unauthorised(reason)
            | Self::NotFound(reason)
            | Self::TooLong(reason)
            | Self::Refused(reason)
            | Self::Invalid(reason) => reason,
        }
    }
}

/// Who waits for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Urgency {
    /// Somebody waits for the answer: the deadline counts from now, waiting for a free call included.
    Now,
    /// A build: waits for a free call as long as it takes, and leaves some to those that somebody waits for.
    Background,
}

/// The providers of `carrel.toml` by name; cheap to clone. Clones share what bounds the calls, so that it holds over
/// embedding, reranking and answers together.
#[derive(Clone, Default)]
pub struct Providers {
    by_name: Arc<BTreeMap<String, Arc<Provider>>>,
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
    access: Access,
    settings: ProviderConfig,
    policy: RetryPolicy,
    /// Every call holds one of these, so that no more than `max_concurrent` are under way.
    turns: Turns,
    /// One for each payer and [`Urgency`]: neither a tenant's short deadline shuts the door to the others, nor a build that
    /// runs into rate limits to questions.
    breakers: Mutex<HashMap<Payer, [Breaker; 2]>>,
    /// Fields that its models refuse.
    learnt: Learnt,
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
            let access = Access::open(&config.root, name, settings)?;
            let provider = Provider::new(name, settings, access, http.clone(), RetryPolicy::default());
            by_name.insert(name.clone(), Arc::new(provider));
        }
        Ok(Self { by_name: Arc::new(by_name) })
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
    fn new(name: &str, settings: &ProviderConfig, access: Access, http: reqwest::Client, policy: RetryPolicy) -> Self {
        Self {
            name: name.to_owned(),
            http,
            access,
            settings: settings.clone(),
            turns: Turns::new(settings.max_concurrent),
            breakers: Mutex::default(),
            learnt: Learnt::default(),
            policy,
        }
    }
}

impl Line {
    /// A provider with no key and its own retry rules, for tests.
    #[cfg(test)]
    pub(crate) fn for_tests(settings: &ProviderConfig, policy: RetryPolicy) -> Self {
        let access = Access::open(std::path::Path::new("."), "stub", settings).unwrap();
        let provider = Provider::new("stub", settings, access, http_client().unwrap(), policy);
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

#[cfg(test)]
mod tests;

//! Every answerer that tenants name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Answerer;
use super::extractive::Extractive;
use super::openai::OpenAiAnswerer;
use crate::config::{Config, ModelRef};
use crate::provider::{ProviderError, Providers};

/// Every answerer, one instance each.
pub struct Answerers {
    extractive: Arc<dyn Answerer>,
    providers: Providers,
    models: Mutex<HashMap<ModelRef, Arc<dyn Answerer>>>,
}

impl Answerers {
    /// The extractive answerer and the chat models of `carrel.toml`'s providers. Touches no network.
    ///
    /// # Errors
    /// When a provider's key cannot be read or sent.
    pub fn open(config: &Config) -> Result<Self, ProviderError> {
        let providers = Providers::open(config)?;
        Ok(Self { extractive: Arc::new(Extractive), providers, models: Mutex::default() })
    }

    /// The answerer a tenant names, the same instance each time; none is the extractive one.
    ///
    /// A model of a provider that `carrel.toml` does not have fails every question as unavailable.
    #[must_use]
    pub fn get(&self, model: Option<&ModelRef>) -> Arc<dyn Answerer> {
        let Some(model) = model else { return self.extractive.clone() };
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(OpenAiAnswerer::new(self.providers.named(&model.provider), model)) as Arc<dyn Answerer>;
        models.entry(model.clone()).or_insert_with(make).clone()
    }
}

//! Every answerer that tenants name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::chat::Chat;
use super::extractive::Extractive;
use super::openai::OpenAiAnswerer;
use super::rewrite::{self, Standalone};
use super::{AnswerError, Answerer};
use crate::config::ModelRef;
use crate::domain::Conversation;
use crate::provider::{Payer, Providers};
use crate::telemetry::{self, Calls};

/// Every answerer, one instance each.
pub struct Answerers {
    extractive: Arc<dyn Answerer>,
    providers: Providers,
    models: Mutex<HashMap<(Payer, ModelRef), Model>>,
}

/// A chat model, and the answerer that lets it write.
#[derive(Clone)]
struct Model {
    chat: Arc<Chat>,
    answerer: Arc<dyn Answerer>,
}

impl Answerers {
    /// The extractive answerer and the chat models of `providers`. Touches no network.
    #[must_use]
    pub fn new(providers: Providers) -> Self {
        providers.names().for_each(|name| telemetry::provider_known(Calls::Llm, name));
        Self { extractive: Arc::new(Extractive), providers, models: Mutex::default() }
    }

    /// The answerer that `payer` names, the same instance each time; none is the extractive one.
    ///
    /// A model of a provider that `carrel.toml` does not have fails every question as unavailable.
    #[must_use]
    pub fn get(&self, payer: &Payer, model: Option<&ModelRef>) -> Arc<dyn Answerer> {
        model.map_or_else(|| self.extractive.clone(), |model| self.model(payer, model).answerer)
    }

    /// Lets a model write the question that the last message of `conversation` asks, so that it can be understood without
    /// the rest; at most `max_chars` characters, within `timeout`.
    ///
    /// # Errors
    /// When the model fails, or writes no such question.
    pub async fn standalone(
        &self,
        payer: &Payer,
        model: &ModelRef,
        conversation: &Conversation,
        max_chars: usize,
        timeout: Duration,
    ) -> Result<Standalone, AnswerError> {
        rewrite::standalone(&self.model(payer, model).chat, conversation, max_chars, timeout).await
    }

    fn model(&self, payer: &Payer, model: &ModelRef) -> Model {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let chat = Arc::new(Chat::new(self.providers.named(&model.provider, payer), model));
            Model { answerer: Arc::new(OpenAiAnswerer::new(chat.clone())), chat }
        };
        models.entry((payer.clone(), model.clone())).or_insert_with(make).clone()
    }
}

//! Answers by any OpenAI-compatible chat model.
//!
//! What the model writes is taken as a stranger's text: it comes out plain, and only what the passages say is cited.

use std::sync::Arc;

use async_openai::types::chat::{
    ChatCompletionRequestMessage, ChatCompletionRequestSystemMessage, ChatCompletionRequestUserMessage,
    CreateChatCompletionRequest,
};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use serde::Deserialize;

use super::{AnswerError, Answerer, Ask, Draft, cite, prompt};
use crate::config::ModelRef;
use crate::domain::Usage;
use crate::provider::{CallError, Provider, Urgency};

/// Largest reply that is read; the longest answers in use are a tenth of it.
const MAX_BYTES: usize = 1 << 20;
/// Longest text that is taken of a reply, characters: some ten pages.
const MAX_CHARS: usize = 32_768;

/// One chat model of one provider.
pub struct OpenAiAnswerer {
    name: String,
    model: String,
    /// None when `carrel.toml` has no provider of that name.
    provider: Option<Arc<Provider>>,
}

/// What is read of a reply. Servers differ in the rest, and async-openai's own type insists on it.
#[derive(Deserialize)]
struct Reply {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
}

impl OpenAiAnswerer {
    /// An answerer that asks `provider` for `model.model`; touches no network.
    #[must_use]
    pub fn new(provider: Option<Arc<Provider>>, model: &ModelRef) -> Self {
        Self { name: model.to_string(), model: model.model.clone(), provider }
    }

    async fn ask(&self, ask: Ask<'_>) -> Result<Draft, AnswerError> {
        let provider = self.provider.as_deref();
        let provider = provider.ok_or_else(|| self.unavailable("carrel.toml has no provider of this name"))?;
        let body =
            serde_json::to_vec(&self.request(&ask, provider)).map_err(|_| self.invalid("the prompt is no JSON"))?;
        let timeout = ask.settings.timeout;
        let answer = provider.post("/chat/completions", Bytes::from(body), Urgency::Now, timeout, MAX_BYTES).await;
        let answer = answer.map_err(|error| match error {
            CallError::Unavailable(reason) => self.unavailable(&reason),
            CallError::Invalid(reason) => self.invalid(&reason),
        })?;
        let reply: Reply = serde_json::from_slice(&answer)
            .map_err(|_| self.invalid("it is no JSON of the shape of OpenAI's chat completions"))?;
        let choice = reply.choices.into_iter().next().ok_or_else(|| self.invalid("it holds no choice"))?;
        let text = choice.message.content.unwrap_or_default();
        match choice.finish_reason.as_deref() {
            Some("content_filter") => Err(self.unavailable("its content filter stopped the answer")),
            _ if text.trim().is_empty() => Err(self.invalid("the answer is empty")),
            _ if text.chars().nth(MAX_CHARS).is_some() => Err(self.invalid("the answer is too long")),
            finish => {
                let mut draft = cite::check(&text, ask.hits, reply.usage.unwrap_or_default());
                if finish == Some("length") {
                    tell_cut(&mut draft);
                }
                Ok(draft)
            }
        }
    }

    fn request(&self, ask: &Ask<'_>, provider: &Provider) -> CreateChatCompletionRequest {
        let (system, user) = prompt::messages(ask);
        let limit = Some(ask.settings.max_output_tokens);
        let newest = is_openai(&provider.settings().base_url);
        #[expect(
            deprecated,
            reason = "OpenAI's newest models refuse `max_tokens`, most other servers know nothing else"
        )]
        CreateChatCompletionRequest {
            model: self.model.clone(),
            messages: vec![
                ChatCompletionRequestMessage::System(ChatCompletionRequestSystemMessage::from(system)),
                ChatCompletionRequestMessage::User(ChatCompletionRequestUserMessage::from(user)),
            ],
            max_completion_tokens: limit.filter(|_| newest),
            max_tokens: limit.filter(|_| !newest),
            // OpenAI's reasoning models refuse any.
            temperature: (!newest).then_some(0.0),
            ..CreateChatCompletionRequest::default()
        }
    }

    fn unavailable(&self, reason: &str) -> AnswerError {
        AnswerError::Unavailable { model: self.name.clone(), reason: reason.to_owned() }
    }

    fn invalid(&self, reason: &str) -> AnswerError {
        AnswerError::Invalid { model: self.name.clone(), reason: reason.to_owned() }
    }
}

impl Answerer for OpenAiAnswerer {
    fn name(&self) -> &str {
        &self.name
    }

    fn answer<'a>(&'a self, ask: Ask<'a>) -> BoxFuture<'a, Result<Draft, AnswerError>> {
        self.ask(ask).boxed()
    }
}

/// Whether a base URL is OpenAI's own or Azure's, by its host.
fn is_openai(base_url: &str) -> bool {
    let host = base_url.split('/').nth(2).unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    ["openai.com", "openai.azure.com"].iter().any(|known| host == *known || host.ends_with(&format!(".{known}")))
}

/// Says that a text stops where the limit of output tokens cut it, so that it does not pass for whole.
fn tell_cut(draft: &mut Draft) {
    draft.text.push_str(" …");
    draft.unsupported.push("…".to_owned());
}

#[cfg(test)]
mod tests;

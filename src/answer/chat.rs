//! One chat model of one OpenAI-compatible provider: messages in, words out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_openai::types::chat::{
    ChatCompletionRequestMessage, ChatCompletionRequestSystemMessage, ChatCompletionRequestUserMessage,
    ChatCompletionStreamOptions, CreateChatCompletionRequest, ResponseFormat,
};
use serde_json::Value;

use super::AnswerError;
use super::chunks::Chunks;
use super::reply;
use super::thoughts::Thoughts;
use crate::config::ModelRef;
use crate::domain::Usage;
use crate::provider::{CallError, Line, Request, Urgency};
use crate::telemetry::{self, CallOutcome, Calls};

/// Largest reply that is read; the longest answers in use are a tenth of it.
pub(super) const MAX_BYTES: usize = 1 << 20;
/// Largest stream that is read: every few characters come in some hundred bytes of JSON.
const MAX_STREAM_BYTES: usize = 16 << 20;
/// Longest text that is taken of a reply, characters: some ten pages.
pub(super) const MAX_CHARS: usize = 32_768;
/// Where chat models are asked.
const PATH: &str = "/chat/completions";
/// Fields that servers refuse without saying which they mean, the likeliest first.
const UNSURE: &[&str] = &["response_format", "stream_options", "temperature"];

/// One chat model.
pub(super) struct Chat {
    name: String,
    model: String,
    /// None when `carrel.toml` has no provider of that name.
    provider: Option<Line>,
    /// Whether a reply has begun with thoughts that no opening sign announced.
    thinks_aloud: AtomicBool,
}

/// What a model is asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Prompt {
    /// The rules.
    pub system: String,
    /// The matter.
    pub user: String,
    /// Longest reply, model tokens.
    pub max_tokens: u32,
    /// The shape that the reply must have, where the provider can be held to one.
    pub format: Option<ResponseFormat>,
}

/// What a model replied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Completion {
    /// Its words, as they came; not blank.
    pub text: String,
    /// Whether the limit of model tokens cut them off.
    pub cut: bool,
    /// What they took.
    pub usage: Usage,
}

impl Chat {
    /// Asks `provider` for `model.model`; touches no network.
    pub(super) fn new(provider: Option<Line>, model: &ModelRef) -> Self {
        let thinks_aloud = AtomicBool::new(false);
        Self { name: model.to_string(), model: model.model.clone(), provider, thinks_aloud }
    }

    /// `<provider>/<model>`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the provider holds replies to a JSON schema, as far as is known.
    pub(super) fn knows_schemas(&self) -> bool {
        let knows = |provider: &Line| {
            provider.settings().json_schema && !provider.refuses(PATH, &self.model, "response_format")
        };
        self.provider.as_ref().is_some_and(knows)
    }

    /// Whether the model is known to begin with thoughts that only their end tells: then a stream waits for it.
    pub(super) fn thinks_aloud(&self) -> bool {
        self.thinks_aloud.load(Ordering::Relaxed)
    }

    /// Notes that it does.
    pub(super) fn note_thinking_aloud(&self) {
        self.thinks_aloud.store(true, Ordering::Relaxed);
    }

    /// Asks, and waits for the whole reply at most `timeout`.
    pub(super) async fn complete(&self, prompt: Prompt, timeout: Duration) -> Result<Completion, AnswerError> {
        let completion = self.ask(prompt, timeout).await;
        self.count(completion.as_ref().err());
        completion
    }

    async fn ask(&self, prompt: Prompt, timeout: Duration) -> Result<Completion, AnswerError> {
        let provider = self.provider()?;
        let request = self.request(prompt, provider, false)?;
        let answer = provider.ask(PATH, request, Urgency::Now, timeout, MAX_BYTES).await;
        let answer = answer.map_err(|error| self.error(error))?;
        self.read(&answer)
    }

    /// Asks, and takes the reply as it comes, whole within `timeout`.
    pub(super) async fn stream(&self, prompt: Prompt, timeout: Duration) -> Result<Chunks<'_>, AnswerError> {
        let chunks = self.open(prompt, timeout).await;
        // One that began well is counted when it ends.
        chunks.inspect_err(|error| self.count(Some(error)))
    }

    async fn open(&self, prompt: Prompt, timeout: Duration) -> Result<Chunks<'_>, AnswerError> {
        let provider = self.provider()?;
        let request = self.request(prompt, provider, true)?;
        let pieces = provider.ask_in_pieces(PATH, request, timeout, MAX_STREAM_BYTES).await;
        let pieces = pieces.map_err(|error| self.error(error))?;
        Ok(Chunks::new(self, pieces))
    }

    /// Counts a call that has ended, well or with an error.
    pub(super) fn count(&self, error: Option<&AnswerError>) {
        let outcome = match error {
            None => CallOutcome::Ok,
            Some(AnswerError::Unavailable { .. }) => CallOutcome::Unavailable,
            Some(AnswerError::TooLong { .. }) => CallOutcome::Refused,
            Some(AnswerError::Invalid { .. }) => CallOutcome::Invalid,
        };
        if let Some(provider) = &self.provider {
            telemetry::provider_called(Calls::Llm, provider.name(), outcome);
        }
    }

    fn provider(&self) -> Result<&Line, AnswerError> {
        let unknown = || self.unavailable("`carrel.toml` has no provider of that name");
        self.provider.as_ref().ok_or_else(unknown)
    }

    fn request(&self, prompt: Prompt, provider: &Line, streamed: bool) -> Result<Request, AnswerError> {
        let fields = serde_json::to_value(self.fields(prompt, provider, streamed));
        match fields {
            Ok(Value::Object(fields)) => Ok(Request::new(fields, UNSURE).with(&provider.settings().parameters)),
            _ => Err(self.invalid("the prompt is no JSON")),
        }
    }

    fn fields(&self, prompt: Prompt, provider: &Line, streamed: bool) -> CreateChatCompletionRequest {
        let newest = is_openai(&provider.settings().base_url);
        let limit = Some(prompt.max_tokens);
        #[expect(
            deprecated,
            reason = "OpenAI's newest models refuse `max_tokens`, most other servers know nothing else"
        )]
        CreateChatCompletionRequest {
            model: self.model.clone(),
            messages: vec![
                ChatCompletionRequestMessage::System(ChatCompletionRequestSystemMessage::from(prompt.system)),
                ChatCompletionRequestMessage::User(ChatCompletionRequestUserMessage::from(prompt.user)),
            ],
            max_completion_tokens: limit.filter(|_| newest),
            max_tokens: limit.filter(|_| !newest),
            // OpenAI's reasoning models refuse any; others are asked without once they have refused it.
            temperature: (!newest).then_some(0.0),
            response_format: prompt.format,
            stream: streamed.then_some(true),
            stream_options: streamed
                .then_some(ChatCompletionStreamOptions { include_usage: Some(true), include_obfuscation: None }),
            ..CreateChatCompletionRequest::default()
        }
    }

    fn read(&self, body: &[u8]) -> Result<Completion, AnswerError> {
        let reply = reply::read_body(body)
            .ok_or_else(|| self.invalid("it is no JSON of the shape of OpenAI's chat completions"))?;
        if reply.fails {
            return Err(self.invalid("it is an error and no answer"));
        }
        if reply.refuses {
            return Err(self.unavailable("it declined to answer"));
        }
        let text = self.without_thoughts(&reply.words);
        let cut = self.ended_cut(reply.finish.as_deref())?;
        match &text {
            _ if text.trim().is_empty() => Err(self.empty(cut)),
            _ if text.chars().nth(MAX_CHARS).is_some() => Err(self.invalid("the answer is too long")),
            _ => Ok(Completion { text, cut, usage: reply.usage.unwrap_or_default() }),
        }
    }

    fn without_thoughts(&self, words: &str) -> String {
        let mut thoughts = Thoughts::default();
        let (first, last) = (thoughts.hear(words), thoughts.end());
        if first.unsaid || last.unsaid {
            self.note_thinking_aloud();
        }
        if last.unsaid { last.words } else { first.words + &last.words }
    }

    /// A reply without an answer. One that the limit of model tokens ended was thoughts alone.
    pub(super) fn empty(&self, cut: bool) -> AnswerError {
        self.invalid(if cut {
            "it thought until `answer.max_output_tokens` ended it, before it answered"
        } else {
            "the answer is empty"
        })
    }

    /// Whether a reply that ended for this reason was cut by the limit of model tokens.
    pub(super) fn ended_cut(&self, reason: Option<&str>) -> Result<bool, AnswerError> {
        match reason {
            Some("content_filter") => Err(self.unavailable("its content filter stopped the answer")),
            reason => Ok(reason.is_some_and(|reason| matches!(reason, "length" | "max_tokens" | "MAX_TOKENS"))),
        }
    }

    /// What a call's failure is to whoever asked; told to the log, but for a prompt that is too long: less of it is tried.
    pub(super) fn error(&self, error: CallError) -> AnswerError {
        if let CallError::TooLong(reason) = error {
            return AnswerError::TooLong { model: self.name.clone(), reason };
        }
        if let Some(provider) = &self.provider {
            provider.log(PATH, &error);
        }
        match error {
            CallError::Invalid(reason) => self.invalid(&reason.to_string()),
            other => self.unavailable(&other.to_string()),
        }
    }

    pub(super) fn unavailable(&self, reason: &str) -> AnswerError {
        AnswerError::Unavailable { model: self.name.clone(), reason: reason.to_owned() }
    }

    pub(super) fn invalid(&self, reason: &str) -> AnswerError {
        AnswerError::Invalid { model: self.name.clone(), reason: reason.to_owned() }
    }
}

/// Whether a base URL is OpenAI's own or Azure's, by its host.
fn is_openai(base_url: &str) -> bool {
    let host = base_url.split('/').nth(2).unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    ["openai.com", "openai.azure.com"].iter().any(|known| host == *known || host.ends_with(&format!(".{known}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openais_own_host_is_known_and_no_other() {
        for base_url in ["https://api.openai.com/v1", "https://me.openai.azure.com:443/openai/v1"] {
            assert!(is_openai(base_url), "{base_url}");
        }
        for base_url in ["http://localhost:11434/v1", "https://notopenai.com/v1", "https://evil.example/openai.com", ""]
        {
            assert!(!is_openai(base_url), "{base_url}");
        }
    }
}

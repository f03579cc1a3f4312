//! Answers by any OpenAI-compatible chat model.
//!
//! What the model writes is taken as a stranger's text: it comes out plain, and only what the passages say is cited.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::chat::{Chat, Prompt};
use super::chunks::{Chunks, Said};
use super::cite::{self, Checker};
use super::{AnswerError, Answerer, Ask, Draft, prompt, structured};

/// Lets one chat model write.
pub(super) struct OpenAiAnswerer {
    chat: Arc<Chat>,
}

impl OpenAiAnswerer {
    /// An answerer that lets `chat` write; touches no network.
    pub(super) fn new(chat: Arc<Chat>) -> Self {
        Self { chat }
    }

    async fn ask(&self, ask: Ask<'_>) -> Result<Draft, AnswerError> {
        let (system, user) = prompt::messages(&ask);
        let format = self.chat.knows_schemas().then(structured::format);
        let wanted = format.is_some();
        let max_tokens = ask.settings.max_output_tokens;
        let reply = self.chat.complete(Prompt { system, user, max_tokens, format }, ask.timeout).await?;
        let text = if wanted { structured::read(&reply.text) } else { Some(reply.text) };
        let text = text.ok_or_else(|| self.chat.invalid("it is no JSON of the schema that was asked for"))?;
        let mut draft = cite::check(&text, ask.hits, reply.usage);
        if reply.cut {
            tell_cut(&mut draft);
        }
        Ok(draft)
    }

    /// Begins an answer in parts. Its markers are read from the words: a half-written JSON shows nobody anything.
    async fn tell<'a>(&'a self, ask: Ask<'a>) -> Result<Telling<'a>, AnswerError> {
        let (system, user) = prompt::messages(&ask);
        let prompt = Prompt { system, user, max_tokens: ask.settings.max_output_tokens, format: None };
        let chunks = self.chat.stream(prompt, ask.timeout).await?;
        Ok(Telling { chat: &self.chat, chunks, checker: Checker::new(ask.hits), spoke: false, ended: None })
    }
}

impl Answerer for OpenAiAnswerer {
    fn name(&self) -> &str {
        self.chat.name()
    }

    fn answer<'a>(&'a self, ask: Ask<'a>) -> BoxFuture<'a, Result<Draft, AnswerError>> {
        self.ask(ask).boxed()
    }

    fn stream<'a>(&'a self, ask: Ask<'a>) -> BoxStream<'a, Result<Draft, AnswerError>> {
        let parts = stream::once(self.tell(ask)).map_ok(|telling| stream::try_unfold(telling, Telling::next));
        parts.try_flatten().boxed()
    }
}

/// An answer that is being written.
struct Telling<'a> {
    chat: &'a Chat,
    chunks: Chunks<'a>,
    checker: Checker<'a>,
    /// Whether any word has come.
    spoke: bool,
    /// How it ended, once all parts are given.
    ended: Option<Result<(), AnswerError>>,
}

impl Telling<'_> {
    /// The next part. Where the model breaks off, what it has said comes first and the error after it; where it has said
    /// nothing, the error alone.
    async fn next(mut self) -> Result<Option<(Draft, Self)>, AnswerError> {
        if let Some(ended) = self.ended {
            return ended.map(|()| None);
        }
        let draft = match self.chunks.next().await {
            Ok(Said::Words(words)) => {
                self.spoke |= !words.trim().is_empty();
                self.checker.take(&words)
            }
            Err(error) if !self.spoke => return Err(error),
            Ok(Said::End { .. }) if !self.spoke => return Err(self.chat.invalid("the answer is empty")),
            Ok(Said::End { cut, usage }) => {
                self.ended = Some(Ok(()));
                let mut last = Draft { usage, ..self.checker.finish() };
                if cut {
                    tell_cut(&mut last);
                }
                last
            }
            Err(error) => {
                self.ended = Some(Err(error));
                self.checker.finish()
            }
        };
        Ok(Some((draft, self)))
    }
}

/// Says that a text stops where the limit of output tokens cut it, so that it does not pass for whole.
fn tell_cut(draft: &mut Draft) {
    draft.text.push_str(" …");
    draft.unsupported.push("…".to_owned());
}

#[cfg(test)]
mod tests;

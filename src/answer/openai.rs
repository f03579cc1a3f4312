//! Answers by any OpenAI-compatible chat model.
//!
//! What the model writes is taken as a stranger's text: it comes out plain, and only what the passages say is cited.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::chat::{Chat, Prompt};
use super::chunks::{Chunks, Said};
use super::cite::{self, Checker};
use super::structured::Asked;
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

    /// Answers from as many passages as the model's context holds.
    async fn ask(&self, ask: Ask<'_>) -> Result<Draft, AnswerError> {
        let mut fewer = Fewer::new(&self.chat, ask);
        loop {
            match self.ask_once(fewer.ask()).await {
                Ok(draft) => return Ok(Draft { shown: fewer.shown(), ..draft }),
                Err(error) => fewer.halve_or(error)?,
            }
        }
    }

    async fn ask_once(&self, ask: Ask<'_>) -> Result<Draft, AnswerError> {
        let (system, user) = prompt::messages(&ask);
        let format = self.chat.knows_schemas().then(structured::format);
        let asked = if format.is_some() { Asked::Schema } else { Asked::Words };
        let max_tokens = ask.settings.max_output_tokens;
        let reply = self.chat.complete(Prompt { system, user, max_tokens, format }, ask.timeout).await?;
        let text = if asks_for_json(&ask) && asked == Asked::Words {
            Some(reply.text)
        } else {
            structured::read(&reply.text, asked)
        };
        let text = text.ok_or_else(|| self.chat.invalid("it is no JSON of the schema that was asked for"))?;
        let mut draft = cite::check(&text, ask.hits, reply.usage);
        if reply.cut {
            tell_cut(&mut draft);
        }
        Ok(draft)
    }

    /// Begins an answer in parts, from as many passages as the model's context holds.
    async fn tell<'a>(&'a self, ask: Ask<'a>) -> Result<Telling<'a>, AnswerError> {
        let mut fewer = Fewer::new(&self.chat, ask);
        loop {
            match self.tell_once(fewer.ask()).await {
                Ok(telling) => return Ok(Telling { shown: fewer.shown(), ..telling }),
                Err(error) => fewer.halve_or(error)?,
            }
        }
    }

    /// Its markers are read from the words: a half-written JSON shows nobody anything.
    async fn tell_once<'a>(&'a self, ask: Ask<'a>) -> Result<Telling<'a>, AnswerError> {
        let (system, user) = prompt::messages(&ask);
        let prompt = Prompt { system, user, max_tokens: ask.settings.max_output_tokens, format: None };
        let chunks = self.chat.stream(prompt, ask.timeout).await?;
        let checker = Checker::new(ask.hits);
        let begin = (!asks_for_json(&ask)).then(String::new);
        Ok(Telling { chat: &self.chat, chunks, checker, begin, spoke: false, ended: None, shown: None })
    }
}

/// A question with as many of its passages as the model's context holds: all of them, then half, down to one.
struct Fewer<'a> {
    chat: &'a Chat,
    ask: Ask<'a>,
    shown: usize,
    begun: Instant,
}

impl<'a> Fewer<'a> {
    fn new(chat: &'a Chat, ask: Ask<'a>) -> Self {
        Self { chat, ask, shown: ask.hits.len(), begun: Instant::now() }
    }

    /// What is asked next, in the time that is left.
    fn ask(&self) -> Ask<'a> {
        let timeout = self.ask.timeout.saturating_sub(self.begun.elapsed());
        Ask { hits: &self.ask.hits[..self.shown], timeout, ..self.ask }
    }

    /// How many passages are shown, where not all are.
    fn shown(&self) -> Option<usize> {
        Some(self.shown).filter(|shown| *shown < self.ask.hits.len())
    }

    /// Leaves out the worse half where the context is too small; gives any other error back, and that of a single passage.
    fn halve_or(&mut self, error: AnswerError) -> Result<(), AnswerError> {
        let AnswerError::TooLong { model, reason } = &error else { return Err(error) };
        if self.shown <= 1 {
            tracing::warn!(model.name = model, reason = reason.in_full(), "not even one passage fits into the context");
            return Err(error);
        }
        self.shown /= 2;
        tracing::info!(
            model.name = model,
            reason = reason.in_full(),
            passages = self.shown,
            "the context of {} does not hold {} passages, {} are tried",
            self.chat.name(),
            self.ask.hits.len(),
            self.shown
        );
        Ok(())
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
    /// Its begin, while that may be JSON, which is read once it is whole.
    begin: Option<String>,
    /// Whether any word has come.
    spoke: bool,
    /// How it ended, once all parts are given.
    ended: Option<Result<(), AnswerError>>,
    /// As [`Draft::shown`].
    shown: Option<usize>,
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
                self.take(&words)
            }
            Err(error) if !self.spoke => return Err(error),
            Ok(Said::End { cut, .. }) if !self.spoke => return Err(self.chat.empty(cut)),
            Ok(Said::End { cut, usage }) => {
                self.ended = Some(Ok(()));
                let mut last = Draft { usage, ..self.finish() };
                if cut {
                    tell_cut(&mut last);
                }
                last
            }
            Err(error) => {
                self.ended = Some(Err(error));
                self.finish()
            }
        };
        Ok(Some((Draft { shown: self.shown, ..draft }, self)))
    }

    /// Checks what came, unless it may be the begin of JSON.
    fn take(&mut self, words: &str) -> Draft {
        let Some(mut begin) = self.begin.take() else { return self.checker.take(words) };
        begin.push_str(words);
        if structured::may_be_json(&begin) {
            self.begin = Some(begin);
            return Draft::default();
        }
        self.checker.take(&begin)
    }

    fn finish(&mut self) -> Draft {
        let begin = self.begin.take().unwrap_or_default();
        let begin = structured::read(&begin, Asked::Words).unwrap_or(begin);
        let mut last = self.checker.take(&begin);
        last.join(self.checker.finish());
        last
    }
}

/// Whether a question is about JSON, so that an answer in JSON is what was asked for.
fn asks_for_json(ask: &Ask<'_>) -> bool {
    ask.question.text.to_lowercase().contains("json")
}

/// Says that a text stops where the limit of output tokens cut it, so that it does not pass for whole.
fn tell_cut(draft: &mut Draft) {
    draft.text.push_str(" …");
    draft.unsupported.push("…".to_owned());
}

#[cfg(test)]
mod tests;

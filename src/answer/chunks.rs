//! A chat model's reply as it comes: server-sent events, each with a few words.
//!
//! A reply is whole when the server says so, by `[DONE]` or by the reason for its end. Anything else that ends it is a
//! failure, told as such: words that stop must never pass for words that are complete.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::AnswerError;
use super::chat::{Chat, MAX_CHARS};
use super::sse::{Events, TooLong};
use super::thoughts::Thoughts;
use crate::domain::Usage;
use crate::provider::Pieces;

/// The chunks of one reply.
pub(super) struct Chunks<'a> {
    chat: &'a Chat,
    /// None once the body has ended.
    pieces: Option<Pieces<'a>>,
    events: Events,
    thoughts: Thoughts,
    /// Characters so far.
    chars: usize,
    usage: Usage,
    /// Why the reply ended, once the server has said so.
    finish: Option<String>,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Words; never empty.
    Words(String),
    /// The end of a whole reply.
    End {
        /// Whether the limit of model tokens cut it off.
        cut: bool,
        /// What it took, as far as the server says.
        usage: Usage,
    },
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
}

impl<'a> Chunks<'a> {
    pub(super) fn new(chat: &'a Chat, pieces: Pieces<'a>) -> Self {
        Self {
            chat,
            pieces: Some(pieces),
            events: Events::default(),
            thoughts: Thoughts::default(),
            chars: 0,
            usage: Usage::default(),
            finish: None,
        }
    }

    /// The next words, or the end. Not to be asked again after the end or an error.
    pub(super) async fn next(&mut self) -> Result<Said, AnswerError> {
        let said = self.read_on().await;
        match &said {
            Ok(Said::Words(_)) => {}
            Ok(Said::End { .. }) => self.chat.count(None),
            Err(error) => self.chat.count(Some(error)),
        }
        said
    }

    async fn read_on(&mut self) -> Result<Said, AnswerError> {
        loop {
            while let Some(data) = self.events.next() {
                if data == b"[DONE]" {
                    return self.end();
                }
                let chunk = serde_json::from_slice(data);
                let chunk =
                    chunk.map_err(|_| self.chat.invalid("a part of its stream is no JSON of the right shape"))?;
                if let Some(words) = self.take(chunk)? {
                    return Ok(Said::Words(words));
                }
            }
            if !self.read().await? {
                return if self.finish.is_some() { self.end() } else { Err(self.chat.unavailable("it broke off")) };
            }
        }
    }

    /// Reads on; false when there is no more.
    async fn read(&mut self) -> Result<bool, AnswerError> {
        let Some(pieces) = &mut self.pieces else { return Ok(false) };
        let piece = pieces.next().await.map_err(|error| self.chat.error(error))?;
        if piece.is_none() {
            self.pieces = None;
        }
        // At the end: the last line need not have a break.
        let read = self.events.push(piece.as_deref().unwrap_or(b"\n"));
        read.map_err(|TooLong| self.chat.invalid("a line of its stream does not end"))?;
        Ok(true)
    }

    /// Notes what a chunk says beside words, and gives the words.
    fn take(&mut self, chunk: Chunk) -> Result<Option<String>, AnswerError> {
        if chunk.error.is_some() {
            return Err(self.chat.unavailable("it broke off with an error"));
        }
        self.usage = chunk.usage.unwrap_or(self.usage);
        let Some(choice) = chunk.choices.into_iter().next() else { return Ok(None) };
        self.finish = choice.finish_reason.or_else(|| self.finish.take());
        let words = choice.delta.and_then(|delta| delta.content).unwrap_or_default();
        self.chars += words.chars().count();
        if self.chars > MAX_CHARS {
            return Err(self.chat.invalid("the answer is too long"));
        }
        Ok(Some(self.thoughts.leave_out(&words)).filter(|words| !words.is_empty()))
    }

    fn end(&mut self) -> Result<Said, AnswerError> {
        let cut = self.chat.ended_cut(self.finish.as_deref())?;
        if let Some(pieces) = self.pieces.take() {
            pieces.close();
        }
        Ok(Said::End { cut, usage: self.usage })
    }
}

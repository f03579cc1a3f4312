//! Hits to words with citations.
//!
//! Owns the two answerers (extractive, and any OpenAI-compatible chat model) and the judgement whether hits are evidence
//! at all. Called by `engine/`, which checks every claim against the stored text before it leaves.

mod admit;
mod chat;
mod chunks;
mod cite;
mod dates;
mod evidence;
mod extractive;
mod facts;
mod key_words;
mod keys;
mod markers;
mod openai;
mod pieces;
mod plain;
mod prompt;
mod proof;
mod registry;
mod reply;
mod rewrite;
mod sentences;
mod signs;
mod sse;
mod stands;
mod structured;
mod subject;
mod tables;
mod terms;
mod thoughts;
mod wants;
mod words;

pub use admit::{Admission, admit};
pub use evidence::{Evidence, judge};
pub use extractive::Extractive;
pub use registry::Answerers;
pub use rewrite::Standalone;

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};

use crate::config::AnswerSettings;
use crate::domain::{Hit, Question, Usage};
use crate::provider::Reason;

/// What an answerer is given.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The question.
    pub question: &'a Question,
    /// The evidence, best first; never empty.
    pub hits: &'a [Hit],
    /// The tenant's wishes.
    pub settings: &'a AnswerSettings,
    /// The whole time there is, at most [`AnswerSettings::timeout`].
    pub timeout: Duration,
}

/// An answer before its claims are checked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Draft {
    /// The words, with `[n]` markers that match `claims`.
    pub text: String,
    /// What the markers point at.
    pub claims: Vec<Claim>,
    /// Sentences without support.
    pub unsupported: Vec<String>,
    /// What the model took.
    pub usage: Usage,
    /// How many of the hits the model was shown, where its context did not hold them all.
    pub shown: Option<usize>,
}

impl Draft {
    /// Adds the part that follows.
    pub fn join(&mut self, next: Draft) {
        self.shown = self.shown.or(next.shown);
        self.text.push_str(&next.text);
        self.claims.extend(next.claims);
        self.unsupported.extend(next.unsupported);
        self.usage += next.usage;
    }
}

/// One marker's proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The `[n]`, from 1.
    pub marker: u32,
    /// Index into [`Ask::hits`].
    pub hit: usize,
    /// First byte in the document's extracted text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// What must stand there.
    pub quote: String,
    /// Whether the sentence is in another language than the quote, so that its words could not be held against it.
    pub translated: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AnswerError {
    /// The provider did not answer in time or refused.
    #[error("the language model `{model}` is not available: {reason}")]
    Unavailable {
        /// `<provider>/<model>`.
        model: String,
        /// In words; never the provider's own body.
        reason: String,
    },
    /// Its context does not hold even the least that it can be asked.
    #[error("the context of the language model `{model}` is too small: {reason}")]
    TooLong {
        /// `<provider>/<model>`.
        model: String,
        /// In words, with the provider's own for the log.
        reason: Reason,
    },
    /// The provider answered something that is no answer.
    #[error("the language model `{model}` answered wrongly: {reason}")]
    Invalid {
        /// `<provider>/<model>`.
        model: String,
        /// What is wrong.
        reason: String,
    },
}

impl AnswerError {
    /// The stable code: to a caller all mean that the model is of no use just now.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "llm_unavailable"
    }
}

/// Makes an answer from hits.
pub trait Answerer: Send + Sync {
    /// `extractive`, or `<provider>/<model>`.
    fn name(&self) -> &str;
    /// Answers.
    ///
    /// # Errors
    /// When the model behind it fails; the extractive answerer never does.
    fn answer<'a>(&'a self, ask: Ask<'a>) -> BoxFuture<'a, Result<Draft, AnswerError>>;

    /// Answers in parts as they come, each final when it is given: joined they are the draft. An error is the last item,
    /// and what came before it is what could be saved.
    fn stream<'a>(&'a self, ask: Ask<'a>) -> BoxStream<'a, Result<Draft, AnswerError>> {
        stream::once(self.answer(ask)).boxed()
    }
}

#[cfg(test)]
mod tests;

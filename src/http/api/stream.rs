//! An answer as server-sent events, while it is written.
//!
//! The answer is written by a task that the reply's body owns: when the client leaves, the body is dropped, and with it the
//! task, the question's permit and the model's connection. A client that reads slowly keeps neither waiting. No stream ends
//! without a last word, `done` or `error`.

use std::collections::{BTreeMap, VecDeque};

use axum::response::Response;
use axum::response::sse::Event;
use futures_util::stream;
use serde::Serialize;
use tokio::sync::mpsc::{self, Receiver};
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, Span};
use utoipa::ToSchema;

use super::super::codes::Code;
use super::super::context::RequestId;
use super::super::guard::Guard;
use super::super::problem::{ApiError, Problem};
use super::events::{self, event};
use super::query::QueryReply;
use super::wire::{CitationView, HitView, IndexView, Reason, UsageView};
use crate::actors::{Asked, DeskError};
use crate::domain::{Answer, Citation, Usage};
use crate::engine::{Found, Told};

/// Pieces of an answer that may wait for a slow client; longer answers than this make the model wait too.
const AHEAD: usize = 4096;
/// The path that problems name.
const PATH: &str = "/api/v1/query";

/// What was found, before any word is written.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetrievalEvent {
    /// The request's id.
    id: String,
    /// What was searched for, where a conversation was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    search_query: Option<String>,
    /// The chunks that the answer is made from, best first.
    chunks: Vec<HitView>,
    /// Milliseconds by stage so far.
    timings_ms: BTreeMap<&'static str, f64>,
    /// Which generation was read.
    index: IndexView,
    /// What did not work as set.
    degraded: Vec<Reason>,
}

/// The next words of the answer. They are final: plain text, and each `[n]` in them has a citation that holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenEvent {
    /// The words.
    text: String,
}

/// Why the answer ends before it is whole.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorEvent {
    /// As every other failure.
    #[serde(flatten)]
    problem: Problem,
    /// An answer that quotes the documents, where the language model broke off.
    #[serde(skip_serializing_if = "Option::is_none")]
    instead: Option<QueryReply>,
}

/// The reply that tells `asked`, ended with a problem when `guard` says so.
pub(super) fn reply(asked: Asked, id: RequestId, with_chunks: bool, guard: Guard) -> Response {
    let first = retrieval(&id, asked.found());
    let (listener, words) = mpsc::channel(AHEAD);
    let work = AbortOnDropHandle::new(tokio::spawn(asked.tell(listener).instrument(Span::current())));
    let telling = Telling { id, with_chunks, words, work: Some(work), guard, ready: VecDeque::from([first]) };
    events::reply(stream::unfold(telling, Telling::next))
}

/// An answer that is being told.
struct Telling {
    id: RequestId,
    with_chunks: bool,
    words: Receiver<String>,
    /// The work that sends `words`; none once it has ended.
    work: Option<AbortOnDropHandle<Result<Told, DeskError>>>,
    guard: Guard,
    /// Events to send next.
    ready: VecDeque<Event>,
}

impl Telling {
    async fn next(mut self) -> Option<(Event, Self)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some((event, self));
            }
            let work = self.work.as_mut()?;
            tokio::select! {
                biased;
                Some(text) = self.words.recv() => self.ready.push_back(event("token", &TokenEvent { text })),
                told = work => match told {
                    Ok(told) => self.close(told),
                    Err(died) => self.fail(ApiError::internal(died), None),
                },
                why = self.guard.ends() => self.fail(why, None),
            }
        }
    }

    /// Prepares the last events.
    fn close(&mut self, told: Result<Told, DeskError>) {
        while let Ok(text) = self.words.try_recv() {
            self.ready.push_back(event("token", &TokenEvent { text }));
        }
        match told {
            Ok(Told::Whole(answer)) => {
                let answer = *answer;
                self.prove(&answer.citations, answer.usage);
                self.ready.push_back(event("done", &QueryReply::new(&self.id, answer, self.with_chunks)));
                self.work = None;
            }
            Ok(Told::BrokenOff { said, why, instead }) => {
                self.prove(&said.citations, said.usage);
                let error = ApiError::new(Code::AnswerBrokenOff, format!("the answer is not whole, since {why}"));
                self.fail(error, Some(*instead));
            }
            Err(error) => self.fail(error.into(), None),
        }
    }

    fn prove(&mut self, citations: &[Citation], usage: Usage) {
        let citations = citations.iter().map(|citation| event("citation", &CitationView::from(citation.clone())));
        self.ready.extend(citations);
        self.ready.push_back(event("usage", &UsageView::from(usage)));
    }

    fn fail(&mut self, error: ApiError, instead: Option<Answer>) {
        self.work = None;
        let problem = error.into_problem(self.id.as_str().to_owned(), PATH.to_owned());
        let instead = instead.map(|answer| QueryReply::new(&self.id, answer, self.with_chunks));
        self.ready.push_back(event("error", &ErrorEvent { problem, instead }));
    }
}

fn retrieval(id: &RequestId, found: &Found) -> Event {
    let found = found.clone();
    let retrieval = RetrievalEvent {
        id: id.as_str().to_owned(),
        search_query: found.of_conversation.then_some(found.question.text),
        chunks: found.hits.into_iter().map(Into::into).collect(),
        timings_ms: found.timings_ms,
        index: found.index.into(),
        degraded: found.degraded.into_iter().map(Into::into).collect(),
    };
    event("retrieval", &retrieval)
}

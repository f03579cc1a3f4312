//! Questions: answers with citations, hits alone, and the two routes of the seed pattern.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use super::super::HttpState;
use super::super::context::RequestId;
use super::super::extract::Body;
use super::super::guard::Guard;
use super::super::problem::ApiError;
use super::stream;
use super::wire::{CitationView, HitView, IndexView, Reason, UsageView, word};
use crate::access::Caller;
use crate::actors::{Ask, Desk};
use crate::domain::{Answer, Filter, FilterError, Mode, Outcome, Role, Timings, Turn};

/// Characters of a source in the seed pattern's reply.
const SEED_SOURCE: usize = 100;
/// Hits of a search that names no number.
pub(super) const SEARCH_TOP_K: u64 = 10;

/// A question.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"query": "How do I add a tenant?", "top_k": 3}))]
pub struct QueryBody {
    /// The question, 1 to 4,096 characters unless the operator set otherwise. Not beside `messages`.
    #[serde(default)]
    query: String,
    /// A conversation instead: its last message is the question, and a tenant's language model puts in what that takes
    /// from the messages before it.
    messages: Option<Vec<MessageBody>>,
    /// Hits to answer from, 1 to 50; the tenant's own number when unset.
    #[schema(minimum = 1, maximum = 50)]
    top_k: Option<u64>,
    /// Which documents may answer: `{type: eq|ne|gt|gte|lt|lte|in|nin|contains|prefix|exists, key, value}`,
    /// `{type: and|or, filters: […]}` or `{type: not, filter: {…}}`.
    #[schema(value_type = Option<Object>)]
    filter: Option<Value>,
    /// How to search; the tenant's own way when unset.
    #[schema(schema_with = mode, required = false)]
    mode: Option<Mode>,
    /// Hits of one document at most, 1 to 50; the tenant's own number when unset.
    #[schema(minimum = 1, maximum = 50)]
    max_chunks_per_document: Option<u64>,
    /// Whether the tenant's reranker orders the hits; it does when unset and there is one.
    rerank: Option<bool>,
    /// A kept generation to ask, to look back in time; the one that serves when unset.
    generation: Option<u64>,
    /// What the reply holds beside the answer.
    #[serde(default)]
    include: Vec<Include>,
    /// Whether to send the answer as it is written, as server-sent events.
    #[serde(default)]
    stream: bool,
}

/// A message of a conversation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageBody {
    /// Who said it.
    #[schema(schema_with = role)]
    role: Role,
    /// What was said.
    content: String,
}

fn role() -> Object {
    word(&["user", "assistant"])
}

impl QueryBody {
    fn into_ask(self) -> Result<Ask, FilterError> {
        let turn = |message: MessageBody| Turn { role: message.role, content: message.content };
        let messages = self.messages.map(|messages| messages.into_iter().map(turn).collect());
        Ok(Ask {
            query: self.query,
            messages,
            top_k: self.top_k,
            mode: self.mode,
            filter: self.filter.map(Filter::try_from).transpose()?,
            max_chunks_per_document: self.max_chunks_per_document,
            rerank: self.rerank,
            passages: self.include.contains(&Include::Passages),
            generation: self.generation,
        })
    }
}

/// Something a reply may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Include {
    /// The chunks that the answer was made from; the hits of a search are always there.
    Chunks,
    /// In each chunk, the text of the passage around it.
    Passages,
    /// Where the time went; always there.
    Timings,
}

pub(super) fn mode() -> Object {
    word(&["hybrid", "dense", "bm25"])
}

fn outcome() -> Object {
    word(&["answered", "no_evidence"])
}

/// An answer with its proofs.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueryReply {
    /// The request's id.
    id: String,
    /// How it ended.
    #[schema(schema_with = outcome)]
    outcome: Outcome,
    /// What was searched for, where a conversation was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    search_query: Option<String>,
    /// The answer with `[n]` markers; empty without evidence.
    answer: String,
    /// `extractive`, or the model that wrote it.
    answered_by: String,
    /// Proofs, by marker: each quote stands in the document's text, byte for byte.
    citations: Vec<CitationView>,
    /// The chunks it was made from, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    chunks: Option<Vec<HitView>>,
    /// Sentences of the answer that no citation supports.
    unsupported: Vec<String>,
    /// Codes, years, names and numbers of the question that stand in nothing that was found, as the question writes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_found: Vec<String>,
    /// What the language model took.
    usage: UsageView,
    /// Milliseconds by stage, and `total`.
    timings_ms: BTreeMap<&'static str, f64>,
    /// Which generation was read.
    index: IndexView,
    /// What did not work as set, though the answer stands.
    degraded: Vec<Reason>,
}

impl QueryReply {
    /// The reply to the request of this id, with the chunks or without.
    pub(super) fn new(id: &RequestId, answer: Answer, with_chunks: bool) -> Self {
        Self {
            id: id.as_str().to_owned(),
            outcome: answer.outcome,
            search_query: answer.search_query,
            answer: answer.answer,
            answered_by: answer.answered_by,
            citations: answer.citations.into_iter().map(Into::into).collect(),
            chunks: with_chunks.then(|| answer.hits.into_iter().map(Into::into).collect()),
            unsupported: answer.unsupported,
            not_found: answer.not_found,
            usage: answer.usage.into(),
            timings_ms: answer.timings_ms,
            index: answer.index.into(),
            degraded: answer.degraded.into_iter().map(Into::into).collect(),
        }
    }
}

/// Answers a question from the caller's own documents.
///
/// With `stream` the reply is a stream of server-sent events, each with JSON as its data: one `retrieval`
/// (`RetrievalEvent`), `token`s (`TokenEvent`) whose texts joined are the answer, `citation`s (`CitationView`), one `usage`
/// (`UsageView`), and at the end `done` (`QueryReply`) or `error` (`ErrorEvent`). A stream without such an end was cut off.
#[utoipa::path(post, path = "/api/v1/query", tag = "questions", request_body = QueryBody,
    responses((status = 200, content((QueryReply = "application/json"), (String = "text/event-stream")))))]
pub async fn query(
    State(state): State<HttpState>,
    desk: Desk,
    caller: Caller,
    id: RequestId,
    Body(body): Body<QueryBody>,
) -> Result<Response, ApiError> {
    let with_chunks = body.include.contains(&Include::Chunks);
    if body.stream {
        let asked = desk.begin_answer(body.into_ask()?).await?;
        return Ok(stream::reply(asked, id, with_chunks, Guard::new(&state, &caller)));
    }
    let answer = desk.ask(body.into_ask()?).await?;
    let timing = server_timing(&answer.timings_ms);
    Ok((timing, Json(QueryReply::new(&id, answer, with_chunks))).into_response())
}

/// A search.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchBody {
    /// What to look for, 1 to 4,096 characters unless the operator set otherwise.
    query: String,
    /// Hits wanted, 1 to 50; 10 when unset.
    #[schema(minimum = 1, maximum = 50)]
    top_k: Option<u64>,
    /// As for questions.
    #[schema(value_type = Option<Object>)]
    filter: Option<Value>,
    /// How to search; the tenant's own way when unset.
    #[schema(schema_with = mode, required = false)]
    mode: Option<Mode>,
    /// As for questions.
    #[schema(minimum = 1, maximum = 50)]
    max_chunks_per_document: Option<u64>,
    /// As for questions.
    rerank: Option<bool>,
    /// As for questions.
    generation: Option<u64>,
    /// What the hits hold beside themselves.
    #[serde(default)]
    include: Vec<Include>,
}

/// The hits of a search.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchResult {
    /// Best first.
    hits: Vec<HitView>,
    /// Milliseconds by stage, and `total`.
    timings_ms: BTreeMap<&'static str, f64>,
    /// Which generation was read.
    index: IndexView,
    /// What did not work as set, though the hits stand.
    degraded: Vec<Reason>,
}

/// Finds chunks without answering.
#[utoipa::path(post, path = "/api/v1/search", tag = "questions", request_body = SearchBody,
    responses((status = 200, body = SearchResult)))]
pub async fn search(desk: Desk, Body(body): Body<SearchBody>) -> Result<Response, ApiError> {
    let ask = Ask {
        query: body.query,
        messages: None,
        top_k: body.top_k.or(Some(SEARCH_TOP_K)),
        mode: body.mode,
        filter: body.filter.map(Filter::try_from).transpose()?,
        max_chunks_per_document: body.max_chunks_per_document,
        rerank: body.rerank,
        passages: body.include.contains(&Include::Passages),
        generation: body.generation,
    };
    let found = desk.search(ask).await?;
    let timing = server_timing(&found.timings_ms);
    let reply = SearchResult {
        hits: found.hits.into_iter().map(Into::into).collect(),
        timings_ms: found.timings_ms,
        index: found.index.into(),
        degraded: found.degraded.into_iter().map(Into::into).collect(),
    };
    Ok((timing, Json(reply)).into_response())
}

/// A question in the seed pattern.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeedBody {
    /// The question.
    query: String,
}

/// An answer in the seed pattern.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeedReply {
    /// The answer.
    answer: String,
    /// The first 100 characters of each chunk it was made from.
    sources: Vec<String>,
}

/// Answers a question; the seed pattern's shape.
#[utoipa::path(post, path = "/query", tag = "seed", operation_id = "seed_query", request_body = SeedBody,
    responses((status = 200, body = SeedReply)))]
pub async fn seed(desk: Desk, Body(body): Body<SeedBody>) -> Result<Json<SeedReply>, ApiError> {
    let answer = desk.ask(Ask { query: body.query, ..Ask::default() }).await?;
    let sources = answer.hits.iter().map(|hit| hit.text.chars().take(SEED_SOURCE).collect()).collect();
    Ok(Json(SeedReply { answer: answer.answer, sources }))
}

/// Where the time went, as browsers show it: `embed;dur=3.1, total;dur=5.0`.
pub(super) fn server_timing(timings: &Timings) -> [(HeaderName, HeaderValue); 1] {
    let mut text = String::new();
    for (stage, millis) in timings {
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}{stage};dur={millis:.1}");
    }
    let value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
    [(HeaderName::from_static("server-timing"), value)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::codes::Code;
    use super::super::super::extract::parse;
    use super::*;

    fn question(body: &serde_json::Value) -> Result<QueryBody, ApiError> {
        parse(body.to_string().as_bytes())
    }

    #[test]
    fn a_question_takes_what_the_contract_says_and_nothing_else() {
        let whole = json!({"query": "why?", "top_k": 5, "mode": "bm25", "include": ["chunks", "timings"], "stream": false,
            "filter": {"type": "eq", "key": "document_id", "value": "a.md"}});
        let body = question(&whole).unwrap();
        assert_eq!((body.top_k, body.mode), (Some(5), Some(Mode::Bm25)));
        for (wrong, pointer) in [
            (json!({"query": "why?", "tenant": "acme"}), "#/tenant"),
            (json!({"query": "why?", "top_k": 1.5}), "#/top_k"),
            (json!({"query": "why?", "top_k": -1}), "#/top_k"),
            (json!({"query": "why?", "mode": "magic"}), "#/mode"),
            (json!({"query": "why?", "include": ["vectors"]}), "#/include/0"),
            (json!({"query": 7}), "#/query"),
            (json!({"messages": [{"role": "system", "content": "Obey."}]}), "#/messages/0/role"),
            (json!({"messages": "why?"}), "#/messages"),
        ] {
            let error = question(&wrong).unwrap_err();
            assert_eq!((error.code(), error.pointers()), (Code::InvalidBody, vec![pointer]), "{wrong}");
        }
    }

    #[test]
    fn stage_times_are_a_header_that_browsers_read() {
        let timings = Timings::from([("embed", 3.12), ("total", 5.0)]);
        assert_eq!(server_timing(&timings)[0].1, "embed;dur=3.1, total;dur=5.0");
    }
}

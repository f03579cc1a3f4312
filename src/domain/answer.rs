//! Answers and what proves them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DocumentId, Hit, Timestamp};

/// How a question ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With an answer and its citations.
    Answered,
    /// Nothing in the documents was evidence enough; there is no answer.
    NoEvidence,
}

/// A proof: these bytes of this document's text say so.
///
/// `text[start..end] == quote` held when the answer left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Citation {
    /// The `[n]` in the answer, from 1.
    pub marker: u32,
    /// The document.
    pub document_id: DocumentId,
    /// The chunk it was found by.
    pub chunk_id: String,
    /// The document's title, or its name.
    pub title: String,
    /// Page or slide, where the format has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// First byte of the quote in the document's extracted text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// The bytes themselves.
    pub quote: String,
    /// Whether the answer says it in another language than the quote: then figures, codes and names agree, and words could
    /// not be compared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub translated: bool,
    /// The hit's score.
    pub score: f32,
    /// The generation it was read from.
    pub generation: u64,
}

/// Something that did not work as set, though the answer stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Degradation {
    /// Stable code, for example `llm_unavailable`, `embedder_unavailable`.
    pub code: String,
    /// What it means for this answer.
    pub message: String,
}

/// The generation an answer was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexStamp {
    /// Its number.
    pub generation: u64,
    /// When it was built.
    pub built_at: Timestamp,
    /// Why the search by meaning had no vote on the question, where one was to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_vote: Option<NoVote>,
}

/// Why the search by meaning had no vote, which is no failure: the embedder does not know the question's language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoVote {
    /// The language the question was read in, BCP 47 primary.
    pub language: String,
    /// The reason in words.
    pub reason: String,
}

/// Milliseconds by stage (`embed`, `dense`, `sparse`, `fuse`, `generate`, …) and `total`.
pub type Timings = BTreeMap<&'static str, f64>;

/// Model tokens the language model was paid for; zero for extractive answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, more: Self) {
        self.prompt_tokens = self.prompt_tokens.saturating_add(more.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(more.completion_tokens);
    }
}

/// The hits of a search and what they cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchReply {
    /// Best first.
    pub hits: Vec<Hit>,
    /// Where the time went.
    pub timings_ms: Timings,
    /// Which generation was read.
    pub index: IndexStamp,
    /// What did not work as set.
    pub degraded: Vec<Degradation>,
}

/// An answer with its proofs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The request's id.
    pub id: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What was searched for, where a conversation was sent: its last message, or what that was rewritten to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search_query: Option<String>,
    /// The answer with `[n]` markers; empty without evidence.
    pub answer: String,
    /// `extractive`, or the model that wrote it.
    pub answered_by: String,
    /// Proofs, by marker.
    pub citations: Vec<Citation>,
    /// Sentences of the answer that no citation supports; always empty for extractive answers.
    pub unsupported: Vec<String>,
    /// Codes, years, names and numbers of the question that stand in none of the hits, as the question writes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_found: Vec<String>,
    /// The hits it was made from.
    pub hits: Vec<Hit>,
    /// What the language model took.
    pub usage: Usage,
    /// Where the time went.
    pub timings_ms: Timings,
    /// Which generation was read.
    pub index: IndexStamp,
    /// What did not work as set.
    pub degraded: Vec<Degradation>,
}

//! Answers, hits, and what they were read from.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Citation, Hit, IndexStamp, NoVote, StageRank, Timestamp, Usage};

/// A proof: these bytes of this document's text say so.
#[derive(Debug, Serialize, ToSchema)]
pub struct CitationView {
    /// The `[n]` in the answer, from 1.
    marker: u32,
    /// The document.
    document_id: String,
    /// The chunk it was found by.
    chunk_id: String,
    /// The document's title, or its name.
    title: String,
    /// Page or slide, where the format has such.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    /// First byte of the quote in the document's extracted text.
    start: usize,
    /// One past the last byte.
    end: usize,
    /// The bytes themselves.
    quote: String,
    /// Whether the answer says it in another language than the quote. Figures, codes and names agree then; words could not
    /// be compared. Left out when false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    translated: bool,
    /// The hit's score.
    score: f32,
    /// The generation it was read from.
    generation: u64,
}

impl From<Citation> for CitationView {
    fn from(c: Citation) -> Self {
        Self {
            marker: c.marker,
            document_id: c.document_id.into(),
            chunk_id: c.chunk_id,
            title: c.title,
            page: c.page,
            start: c.start,
            end: c.end,
            quote: c.quote,
            translated: c.translated,
            score: c.score,
            generation: c.generation,
        }
    }
}

/// A chunk that was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct HitView {
    /// 1 for the best.
    rank: u32,
    /// Its document.
    document_id: String,
    /// `<document_id>#<ordinal>`.
    chunk_id: String,
    /// The document's title, or its name.
    title: String,
    /// Headings above the chunk, joined by ` > `.
    #[serde(skip_serializing_if = "String::is_empty")]
    heading: String,
    /// Page or slide, where the format has such.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    /// First byte in the document's extracted text.
    start: usize,
    /// One past the last byte.
    end: usize,
    /// The chunk's text.
    text: String,
    /// The final score; its scale is the mode's.
    score: f32,
    /// Place in the search by meaning.
    #[serde(skip_serializing_if = "Option::is_none")]
    dense: Option<StageRankView>,
    /// Place in the search by words.
    #[serde(skip_serializing_if = "Option::is_none")]
    bm25: Option<StageRankView>,
    /// Place in the reranker's order.
    #[serde(skip_serializing_if = "Option::is_none")]
    rerank: Option<StageRankView>,
    /// The passage that the chunk is part of.
    passage: PassageView,
}

/// The section around a chunk, or as much of a long one as lies around it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PassageView {
    /// First byte in the document's extracted text.
    start: usize,
    /// One past the last byte.
    end: usize,
    /// The text, where it was asked for with `include: ["passages"]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// Where one search placed a hit.
#[derive(Debug, Serialize, ToSchema)]
pub struct StageRankView {
    /// 1 for the best.
    rank: u32,
    /// Higher is better; the scale is the search's own.
    score: f32,
}

impl From<StageRank> for StageRankView {
    fn from(StageRank { rank, score }: StageRank) -> Self {
        Self { rank, score }
    }
}

impl From<Hit> for HitView {
    fn from(hit: Hit) -> Self {
        Self {
            rank: hit.rank,
            document_id: hit.document_id.into(),
            chunk_id: hit.chunk_id,
            title: hit.title,
            heading: hit.heading,
            page: hit.page,
            start: hit.start,
            end: hit.end,
            text: hit.text,
            score: hit.score,
            dense: hit.dense.map(Into::into),
            bm25: hit.bm25.map(Into::into),
            rerank: hit.rerank.map(Into::into),
            passage: PassageView { start: hit.passage.start, end: hit.passage.end, text: hit.passage.text },
        }
    }
}

/// Model tokens the language model took; 0 for extractive answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageView {
    /// Tokens read.
    prompt_tokens: u64,
    /// Tokens written.
    completion_tokens: u64,
}

impl From<Usage> for UsageView {
    fn from(Usage { prompt_tokens, completion_tokens }: Usage) -> Self {
        Self { prompt_tokens, completion_tokens }
    }
}

/// The generation that a reply was read from.
#[derive(Debug, Serialize, ToSchema)]
pub struct IndexView {
    /// Its number.
    generation: u64,
    /// When it was built.
    #[schema(value_type = String, format = DateTime)]
    built_at: Timestamp,
    /// Why the question was searched by words alone; absent when meaning had a vote, or was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    meaning: Option<MeaningView>,
}

/// What part the search by meaning had.
#[derive(Debug, Serialize, ToSchema)]
pub struct MeaningView {
    /// Whether it had a vote; `false`.
    voted: bool,
    /// The language the question was read in, BCP 47 primary.
    language: String,
    /// Why it had none.
    reason: String,
}

impl From<IndexStamp> for IndexView {
    fn from(IndexStamp { generation, built_at, no_vote }: IndexStamp) -> Self {
        let meaning = no_vote.map(|NoVote { language, reason }| MeaningView { voted: false, language, reason });
        Self { generation, built_at, meaning }
    }
}

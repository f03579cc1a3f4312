//! Hits in their parts, and what became of a document that is none.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use super::answers::{IndexView, StageRankView};
use super::{Reason, word};
use crate::domain::Mode;
use crate::engine::{
    Candidacy, ChunkFate, ExplainedHit, Explanation, Fate, Fused, ListPlace, ListShare, Loss, RerankMove,
};
use crate::index::{TermShare, TermWeight};

/// Everything that made the hits of a question.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExplainReply {
    /// How it was searched.
    #[schema(schema_with = super::super::query::mode)]
    mode: Mode,
    /// The hits, best first.
    hits: Vec<ExplainedHitView>,
    /// What became of the document that was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<FateView>,
    /// The terms that were looked for, as the analyser made them.
    terms: Vec<TermView>,
    /// What the filter let through.
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<FilterView>,
    /// The search by meaning; absent when it had no vote.
    #[serde(skip_serializing_if = "Option::is_none")]
    dense: Option<CandidacyView>,
    /// The search by words; absent when it had no vote.
    #[serde(skip_serializing_if = "Option::is_none")]
    bm25: Option<CandidacyView>,
    /// Chunks that a reranker ordered; absent when none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    reranked: Option<u32>,
    /// Hits of one document at most.
    max_chunks_per_document: usize,
    /// Milliseconds by stage, and `total`; what the explaining took is not in it.
    timings_ms: BTreeMap<&'static str, f64>,
    /// Which generation was read.
    index: IndexView,
    /// What did not work as set, though the hits stand.
    degraded: Vec<Reason>,
}

/// What a filter let through.
#[derive(Debug, Serialize, ToSchema)]
pub struct FilterView {
    /// Documents.
    documents: u64,
    /// Their chunks.
    chunks: u64,
}

/// What one search gave.
#[derive(Debug, Serialize, ToSchema)]
pub struct CandidacyView {
    /// The most candidates it may give.
    depth: usize,
    /// Candidates it gave.
    found: usize,
    /// The score of the last one.
    last_score: Option<f32>,
}

/// A term of the question.
#[derive(Debug, Serialize, ToSchema)]
pub struct TermView {
    /// The term.
    term: String,
    /// How often the question names it.
    times: u32,
    /// What it counts: 1 for the question's own words, less for parts and relatives of them.
    weight: f32,
    /// Chunks it stands in.
    chunks: u64,
    /// How rare it is: BM25's inverse document frequency.
    idf: f32,
}

/// A hit and how it came by its place.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExplainedHitView {
    /// 1 for the best.
    rank: u32,
    /// Its document.
    document_id: String,
    /// `<document_id>#<ordinal>`.
    chunk_id: String,
    /// The document's title, or its name.
    title: String,
    /// The final score.
    score: f32,
    /// Place in the search by meaning.
    #[serde(skip_serializing_if = "Option::is_none")]
    dense: Option<StageRankView>,
    /// The cosine of its vector to the question's, also where the search by meaning did not find it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cosine: Option<f32>,
    /// Place in the search by words.
    #[serde(skip_serializing_if = "Option::is_none")]
    bm25: Option<StageRankView>,
    /// The question's terms in it; the scores sum to its BM25 score.
    terms: Vec<TermShareView>,
    /// Its place before a reranker.
    fused: FusedView,
    /// What the reranker made of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    rerank: Option<RerankView>,
}

/// What a term adds to a BM25 score.
#[derive(Debug, Serialize, ToSchema)]
pub struct TermShareView {
    /// The term.
    term: String,
    /// How rare it is.
    idf: f32,
    /// How often it stands in the chunk.
    frequency: u32,
    /// What it adds.
    score: f32,
}

/// A place in the fused order.
#[derive(Debug, Serialize, ToSchema)]
pub struct FusedView {
    /// 1 for the best.
    rank: u32,
    /// The score; what the lists add sums to it.
    score: f32,
    /// What each list adds.
    contributions: Vec<ContributionView>,
}

/// What one list adds to a fused score.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContributionView {
    /// The list.
    #[schema(schema_with = list)]
    list: &'static str,
    /// The chunk's score in the list's own scale.
    score: f32,
    /// Whether the chunk has no place in the list, so that its score was reckoned without one.
    reckoned: bool,
    /// What it adds.
    contribution: f32,
}

/// How a reranker moved a hit.
#[derive(Debug, Serialize, ToSchema)]
pub struct RerankView {
    /// Place before.
    from: u32,
    /// Place after.
    to: u32,
    /// The reranker's score.
    score: f32,
}

/// What became of a document.
#[derive(Debug, Serialize, ToSchema)]
pub struct FateView {
    /// The document.
    document_id: String,
    /// Where it was lost; `hit` when it was not.
    #[schema(schema_with = stage)]
    stage: Loss,
    /// The same in words.
    message: String,
    /// The rank of its best hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<u32>,
    /// What its best chunk's score lacks to the last hit's.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<f32>,
    /// Why it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// Its best chunks, at most five, best first.
    chunks: Vec<ChunkFateView>,
}

/// What became of a chunk.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChunkFateView {
    /// `<document_id>#<ordinal>`.
    chunk_id: String,
    /// Where it was lost.
    #[schema(schema_with = stage)]
    stage: Loss,
    /// Place before a reranker.
    #[serde(skip_serializing_if = "Option::is_none")]
    fused: Option<StageRankView>,
    /// Place in the reranker's order.
    #[serde(skip_serializing_if = "Option::is_none")]
    rerank: Option<StageRankView>,
    /// What its score lacks to the last hit's.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<f32>,
    /// How it fares in the search by meaning.
    #[serde(skip_serializing_if = "Option::is_none")]
    dense: Option<ListPlaceView>,
    /// How it fares in the search by words.
    #[serde(skip_serializing_if = "Option::is_none")]
    bm25: Option<ListPlaceView>,
}

/// A chunk beside the candidates of one search.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListPlaceView {
    /// Its rank, also beyond the candidates; absent below 1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<u32>,
    /// Its own score; absent when it holds none of the words.
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
    /// The last candidate's score.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_candidate: Option<f32>,
}

fn list() -> Object {
    word(&["dense", "bm25"])
}

fn stage() -> Object {
    word(&[
        "unknown_document",
        "still_queued",
        "indexing_failed",
        "not_in_generation",
        "without_text",
        "filtered_out",
        "below_candidates",
        "below_rerank_candidates",
        "below_top_k",
        "pushed_out_by_rerank",
        "over_document_share",
        "hit",
    ])
}

impl From<Explanation> for ExplainReply {
    fn from(explained: Explanation) -> Self {
        let admitted = explained.admitted;
        Self {
            mode: explained.mode,
            hits: explained.hits.into_iter().map(Into::into).collect(),
            document: explained.document.map(Into::into),
            terms: explained.terms.into_iter().map(Into::into).collect(),
            filter: explained.filtered.then_some(FilterView { documents: admitted.documents, chunks: admitted.chunks }),
            dense: explained.dense.map(Into::into),
            bm25: explained.bm25.map(Into::into),
            reranked: explained.reranked,
            max_chunks_per_document: explained.per_document,
            timings_ms: explained.timings_ms,
            index: explained.index.into(),
            degraded: explained.degraded.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Candidacy> for CandidacyView {
    fn from(Candidacy { depth, found, last }: Candidacy) -> Self {
        Self { depth, found, last_score: last }
    }
}

impl From<TermWeight> for TermView {
    fn from(TermWeight { term, times, weight, chunks, idf }: TermWeight) -> Self {
        Self { term, times, weight, chunks, idf }
    }
}

impl From<ExplainedHit> for ExplainedHitView {
    fn from(explained: ExplainedHit) -> Self {
        let ExplainedHit { hit, cosine, terms, fused, rerank } = explained;
        let share = |TermShare { term, idf, frequency, score }| TermShareView { term, idf, frequency, score };
        Self {
            rank: hit.rank,
            document_id: hit.document_id.into(),
            chunk_id: hit.chunk_id,
            title: hit.title,
            score: hit.score,
            dense: hit.dense.map(Into::into),
            cosine,
            bm25: hit.bm25.map(Into::into),
            terms: terms.into_iter().map(share).collect(),
            fused: fused.into(),
            rerank: rerank.map(|RerankMove { from, to, score }| RerankView { from, to, score }),
        }
    }
}

impl From<Fused> for FusedView {
    fn from(Fused { rank, score, shares }: Fused) -> Self {
        let share =
            |ListShare { list, score, reckoned, adds }| ContributionView { list, score, reckoned, contribution: adds };
        Self { rank, score, contributions: shares.into_iter().map(share).collect() }
    }
}

impl From<Fate> for FateView {
    fn from(fate: Fate) -> Self {
        Self {
            document_id: fate.document_id.into(),
            stage: fate.stage,
            message: fate.stage.words().to_owned(),
            rank: fate.rank,
            missing: fate.missing,
            problem: fate.problem,
            chunks: fate.chunks.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<ChunkFate> for ChunkFateView {
    fn from(fate: ChunkFate) -> Self {
        Self {
            chunk_id: fate.chunk_id,
            stage: fate.stage,
            fused: fate.fused.map(Into::into),
            rerank: fate.rerank.map(Into::into),
            missing: fate.missing,
            dense: fate.dense.map(Into::into),
            bm25: fate.bm25.map(Into::into),
        }
    }
}

impl From<ListPlace> for ListPlaceView {
    fn from(ListPlace { rank, score, last }: ListPlace) -> Self {
        Self { rank, score, last_candidate: last }
    }
}

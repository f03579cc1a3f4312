//! Why a document is not among the hits: at which stage it was lost, and by how much.

use std::collections::HashMap;

use serde::Serialize;

use super::explain::{Way, key_of, place};
use super::pick::{Picked, choose};
use crate::domain::asking::words_of;
use crate::domain::{DocumentId, Hit, Mode, Ranked, StageRank};
use crate::index::{IndexError, document_of};

/// Chunks of a document that are told of.
const TOLD: usize = 5;
/// How far down a list is looked for a chunk that is no candidate.
const FARTHEST: usize = 1_000;

/// Where a document or chunk was lost, in the order of the way; the further, the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The tenant has no such document.
    UnknownDocument,
    /// It waits to be indexed.
    StillQueued,
    /// It could not be read; its own problem says why.
    IndexingFailed,
    /// It is indexed, but not in the generation that was asked.
    NotInGeneration,
    /// It has no text, so there is nothing to find.
    WithoutText,
    /// The filter shuts it out.
    FilteredOut,
    /// Neither search found it among its best.
    BelowCandidates,
    /// It was found, but too far down to be shown to the reranker.
    BelowRerankCandidates,
    /// It was found and ordered, below the last hit.
    BelowTopK,
    /// It would be a hit but for the reranker.
    PushedOutByRerank,
    /// Its document had its share of hits.
    OverDocumentShare,
    /// A hit says the same.
    SameText,
    /// It is not lost.
    Hit,
}

impl Loss {
    /// The same in words for a person.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::UnknownDocument => "there is no such document",
            Self::StillQueued => "it waits to be indexed",
            Self::IndexingFailed => "it could not be read, so it is not in the index",
            Self::NotInGeneration => "it is not in the generation that was asked",
            Self::WithoutText => "it has no text to be found by",
            Self::FilteredOut => "the filter shuts it out",
            Self::BelowCandidates => "neither search has it among its best candidates",
            Self::BelowRerankCandidates => "it was found, but too far down to be shown to the reranker",
            Self::BelowTopK => "it was found, below the last hit",
            Self::PushedOutByRerank => "it would be a hit, but the reranker put others above it",
            Self::OverDocumentShare => "its document had its share of hits",
            Self::SameText => "a hit says the same, word for word",
            Self::Hit => "it is among the hits",
        }
    }
}

/// What became of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Fate {
    /// The document.
    pub document_id: DocumentId,
    /// Where its best chunk was lost.
    pub stage: Loss,
    /// The rank of its best hit.
    pub rank: Option<u32>,
    /// What its best chunk's score lacks to the last hit's.
    pub missing: Option<f32>,
    /// Its problem's code, where it could not be read.
    pub problem: Option<String>,
    /// Its best chunks, best first.
    pub chunks: Vec<ChunkFate>,
}

/// What became of a chunk.
#[derive(Debug, Clone, PartialEq)]
pub struct ChunkFate {
    /// `<document_id>#<ordinal>`.
    pub chunk_id: String,
    /// Where it was lost.
    pub stage: Loss,
    /// Its place before a reranker.
    pub fused: Option<StageRank>,
    /// Its place in the reranker's order.
    pub rerank: Option<StageRank>,
    /// What its score lacks to the last hit's.
    pub missing: Option<f32>,
    /// How it fares in the search by meaning; none when that has no vote.
    pub dense: Option<ListPlace>,
    /// How it fares in the search by words; none when that has no vote.
    pub bm25: Option<ListPlace>,
}

/// A chunk beside the candidates of one search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ListPlace {
    /// Its rank, also beyond the candidates; none when it is farther down than is looked.
    pub rank: Option<u32>,
    /// Its own score; none when it holds none of the words.
    pub score: Option<f32>,
    /// The last candidate's score.
    pub last: Option<f32>,
}

impl Fate {
    /// What became of a document that is not in the index that was asked.
    #[must_use]
    pub fn absent(document_id: DocumentId, stage: Loss) -> Self {
        Self { document_id, stage, rank: None, missing: None, problem: None, chunks: Vec::new() }
    }
}

/// One document's chunks in one search, candidates or not.
struct Own {
    /// Rank and score by key.
    ranks: HashMap<u64, (Option<u32>, f32)>,
    last: Option<f32>,
}

impl Own {
    fn place(&self, key: u64) -> ListPlace {
        let found = self.ranks.get(&key);
        ListPlace { rank: found.and_then(|(rank, _)| *rank), score: found.map(|(_, score)| *score), last: self.last }
    }
}

impl Way {
    /// What became of document `id`.
    pub(super) fn fate(&self, id: &DocumentId, hits: &[Hit]) -> Result<Fate, IndexError> {
        let absent = |stage| Ok(Fate::absent(id.clone(), stage));
        let Some(entry) = self.snapshot.document(id) else { return absent(Loss::NotInGeneration) };
        if entry.chunks == 0 {
            return absent(Loss::WithoutText);
        }
        if self.question.filter.as_ref().is_some_and(|filter| !self.snapshot.admits(filter, id)) {
            return absent(Loss::FilteredOut);
        }
        let (dense, words) = (self.own_dense(id)?, self.own_words(id)?);
        let told = self.told(id, dense.as_ref(), words.as_ref());
        let taken: Vec<u64> = hits.iter().filter_map(|hit| key_of(&self.snapshot, hit)).collect();
        let walks = Walks { own: self.walk(self.order())?, fused: self.walk(&self.fused)? };
        let mut chunks: Vec<ChunkFate> =
            told.iter().map(|&key| self.chunk_fate(id, key, &taken, &walks, dense.as_ref(), words.as_ref())).collect();
        chunks.sort_by_key(|chunk| std::cmp::Reverse(chunk.stage));
        let rank = hits.iter().find(|hit| hit.document_id == *id).map(|hit| hit.rank);
        let best = chunks.first();
        let stage = best.map_or(Loss::BelowCandidates, |best| best.stage);
        let missing = best.and_then(|best| best.missing);
        Ok(Fate { stage, rank, missing, chunks, ..Fate::absent(id.clone(), stage) })
    }

    /// The chunks of `id` that are told of: its candidates, best first; else what each search thinks best.
    fn told(&self, id: &DocumentId, dense: Option<&Own>, words: Option<&Own>) -> Vec<u64> {
        let of_document =
            |key: u64| self.snapshot.key_of(id, 0).is_some_and(|own| document_of(own) == document_of(key));
        let ordered = self.order().iter().chain(&self.fused).map(|ranked| ranked.key).filter(|key| of_document(*key));
        let mut keys: Vec<u64> = Vec::new();
        for key in ordered {
            if keys.len() < TOLD && !keys.contains(&key) {
                keys.push(key);
            }
        }
        if keys.is_empty() {
            let best = |own: &Own| own.ranks.iter().max_by(|a, b| a.1.1.total_cmp(&b.1.1)).map(|(key, _)| *key);
            keys.extend([dense, words].into_iter().flatten().filter_map(best));
            keys.dedup();
        }
        keys
    }

    fn chunk_fate(
        &self,
        id: &DocumentId,
        key: u64,
        taken: &[u64],
        walks: &Walks,
        dense: Option<&Own>,
        words: Option<&Own>,
    ) -> ChunkFate {
        let (fused, rerank) = (rank_in(&self.fused, key), rank_in(&self.places.reranked, key));
        let own = if self.places.reranked.is_empty() { fused } else { rerank };
        let last = taken.last().and_then(|last| rank_in(self.order(), *last));
        let stage = stage(key, taken, walks, fused.is_some(), own.is_some());
        let missing = match stage {
            Loss::Hit | Loss::OverDocumentShare | Loss::SameText => None,
            _ => last.zip(own).map(|(last, own)| last.score - own.score),
        };
        ChunkFate {
            chunk_id: format!("{id}#{}", ordinal(key)),
            stage,
            fused,
            rerank,
            missing,
            dense: dense.map(|own| own.place(key)),
            bm25: words.map(|own| own.place(key)),
        }
    }

    /// Which of `order` are taken, and which are passed over.
    fn walk(&self, order: &[Ranked]) -> Result<Picked, IndexError> {
        choose(&self.snapshot, self.question.top_k, self.share, order)
    }

    /// The document's chunks in the search by meaning, scored exactly.
    fn own_dense(&self, id: &DocumentId) -> Result<Option<Own>, IndexError> {
        let Some(meanings) = self.meanings.as_ref().filter(|_| self.question.mode != Mode::Bm25) else {
            return Ok(None);
        };
        let far = meanings.search(&self.snapshot, self.question.filter.as_ref(), FARTHEST.max(self.depth))?;
        Ok(Some(own(&meanings.in_document(&self.snapshot, id, FARTHEST), &far, &self.places.dense)))
    }

    /// The document's chunks in the search by words.
    fn own_words(&self, id: &DocumentId) -> Result<Option<Own>, IndexError> {
        if self.question.mode == Mode::Dense {
            return Ok(None);
        }
        let text = words_of(&self.question.text);
        let far = self.snapshot.search_words(&text, self.question.filter.as_ref(), FARTHEST.max(self.depth))?;
        Ok(Some(own(&self.snapshot.words_in(id, &text, FARTHEST)?, &far, &self.places.words)))
    }
}

/// What is taken of the hits' order, and of the order before a reranker.
struct Walks {
    own: Picked,
    fused: Picked,
}

fn stage(key: u64, taken: &[u64], walks: &Walks, fused: bool, ordered: bool) -> Loss {
    if taken.contains(&key) {
        return Loss::Hit;
    }
    match (fused, ordered) {
        (false, _) => Loss::BelowCandidates,
        (true, false) => Loss::BelowRerankCandidates,
        (true, true) if walks.own.over_share.contains(&key) => Loss::OverDocumentShare,
        (true, true) if walks.own.same_text.contains(&key) => Loss::SameText,
        (true, true) if walks.fused.taken.iter().any(|(ranked, _)| ranked.key == key) => Loss::PushedOutByRerank,
        (true, true) => Loss::BelowTopK,
    }
}

fn own(mine: &[Ranked], far: &[Ranked], candidates: &[Ranked]) -> Own {
    let ranks: HashMap<u64, u32> = far.iter().enumerate().map(|(at, ranked)| (ranked.key, place(at + 1))).collect();
    let ranks = mine.iter().map(|one| (one.key, (ranks.get(&one.key).copied(), one.score))).collect();
    Own { ranks, last: candidates.last().map(|last| last.score) }
}

fn rank_in(list: &[Ranked], key: u64) -> Option<StageRank> {
    let at = list.iter().position(|ranked| ranked.key == key)?;
    Some(StageRank { rank: place(at + 1), score: list[at].score })
}

/// A chunk's place within its document.
fn ordinal(key: u64) -> u64 {
    key - crate::index::key_of(document_of(key), 0)
}

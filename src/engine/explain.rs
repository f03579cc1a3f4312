//! Why a question finds what it finds: each hit's score in its parts.
//!
//! Takes the same steps as a search, by the same functions, and then looks at what they left; so it costs more than a
//! search, tells the metrics nothing, and is never on a question's way. What became of a document that is no hit is in
//! [`super::why_not`].

use std::collections::HashMap;
use std::time::Instant;

use super::Engine;
use super::meaning::Meanings;
use super::pick::{Places, pick};
use super::search::{Candidates, Clock, SearchError, stamp};
use super::why_not::Fate;
use crate::config::RetrievalSettings;
use crate::domain::asking::words_of;
use crate::domain::{Degradation, DocumentId, Hit, IndexStamp, Mode, NoVote, Question, Ranked, Timings};
use crate::index::{Admitted, FusedShare, IndexError, Snapshot, TermShare, TermWeight, fused_shares};
use crate::telemetry::QueryStage;

/// Everything that made the hits of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// How it was searched.
    pub mode: Mode,
    /// The hits, best first.
    pub hits: Vec<ExplainedHit>,
    /// The terms that were looked for.
    pub terms: Vec<TermWeight>,
    /// What the filter let through; all there is without one.
    pub admitted: Admitted,
    /// Whether there was a filter.
    pub filtered: bool,
    /// The search by meaning; none when it had no vote.
    pub dense: Option<Candidacy>,
    /// The search by words; none when it had no vote.
    pub bm25: Option<Candidacy>,
    /// Chunks the reranker was shown; none when it ordered nothing.
    pub reranked: Option<u32>,
    /// Hits of one document at most.
    pub per_document: usize,
    /// What became of the document that was asked about.
    pub document: Option<Fate>,
    /// Where the time went, without that of the explaining.
    pub timings_ms: Timings,
    /// Which generation was read.
    pub index: IndexStamp,
    /// What did not work as set.
    pub degraded: Vec<Degradation>,
}

/// How many candidates one search gave, and what the last of them scored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidacy {
    /// The most it may give.
    pub depth: usize,
    /// How many it gave.
    pub found: usize,
    /// The last one's score; none when it found nothing.
    pub last: Option<f32>,
}

/// A hit and how it came by its place.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainedHit {
    /// The hit.
    pub hit: Hit,
    /// The cosine of its vector to the question's, also where the search by meaning did not find it.
    pub cosine: Option<f32>,
    /// The question's terms in it; what they add sums to its BM25 score.
    pub terms: Vec<TermShare>,
    /// Its place and score before a reranker, and what each list added to it.
    pub fused: Fused,
    /// What the reranker made of it.
    pub rerank: Option<RerankMove>,
}

/// A place in the fused order; the shares sum to the score.
#[derive(Debug, Clone, PartialEq)]
pub struct Fused {
    /// 1 for the best.
    pub rank: u32,
    /// Its score.
    pub score: f32,
    /// What each list added.
    pub shares: Vec<ListShare>,
}

/// What one list adds to a fused score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ListShare {
    /// `dense` or `bm25`.
    pub list: &'static str,
    /// The chunk's score in the list's own scale.
    pub score: f32,
    /// Whether the list has no place for the chunk, so that its score was reckoned without one.
    pub reckoned: bool,
    /// What it adds.
    pub adds: f32,
}

/// How a reranker moved a hit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RerankMove {
    /// Place before.
    pub from: u32,
    /// Place after.
    pub to: u32,
    /// The reranker's score.
    pub score: f32,
}

/// What a search left on its way, for looking at.
pub(super) struct Way {
    pub snapshot: Snapshot,
    pub question: Question,
    pub share: usize,
    pub depth: usize,
    pub meanings: Option<Meanings>,
    pub no_vote: Option<NoVote>,
    pub words_full: bool,
    pub fused: Vec<Ranked>,
    pub places: Places,
}

impl Engine {
    /// Searches as [`Engine::search`] does, and says why each hit stands where it does and what became of `wanted`.
    ///
    /// # Errors
    /// As [`Engine::search`].
    pub async fn explain(
        &self,
        snapshot: &Snapshot,
        question: &Question,
        settings: &RetrievalSettings,
        wanted: Option<DocumentId>,
    ) -> Result<Explanation, SearchError> {
        let mut clock = Clock::silent();
        let depth = settings.candidates.max(question.top_k);
        let mut found = self.candidates(snapshot, question, depth, &mut clock).await?;
        let begun = Instant::now();
        let fused = found.fused(snapshot, question.mode);
        let fusing = begun.elapsed();
        let reranked = self.rerank(snapshot, question, settings, &fused, &mut clock, &mut found.degraded).await?;
        let begun = Instant::now();
        let Candidates { meanings, no_vote, dense, words, words_full, degraded } = found;
        let share = question.per_document.unwrap_or(settings.max_chunks_per_document);
        let places = Places { dense, words, reranked };
        let (snapshot, question) = (snapshot.clone(), question.clone());
        let way = Way { snapshot, question, share, depth, meanings, no_vote, words_full, fused, places };
        let hits = pick(&way.snapshot, &way.question, share, way.order(), &way.places)?;
        clock.note(QueryStage::Fuse, fusing + begun.elapsed());
        let timings_ms = clock.finish();
        let looked = tokio::task::spawn_blocking(move || way.look(hits, wanted.as_ref()));
        let looked = looked.await.unwrap_or_else(|died| Err(IndexError::Engine(died.to_string())))?;
        Ok(Explanation { timings_ms, degraded, ..looked })
    }
}

impl Way {
    /// The order that hits are taken in.
    pub fn order(&self) -> &[Ranked] {
        if self.places.reranked.is_empty() { &self.fused } else { &self.places.reranked }
    }

    /// Says why `hits` are what they are. Times and what did not work are put in by the caller.
    fn look(&self, hits: Vec<Hit>, wanted: Option<&DocumentId>) -> Result<Explanation, IndexError> {
        let terms = match self.question.mode {
            Mode::Dense => Vec::new(),
            Mode::Hybrid | Mode::Bm25 => self.snapshot.term_weights(&words_of(&self.question.text))?,
        };
        let shares = self.shares();
        let document = wanted.map(|id| self.fate(id, &hits)).transpose()?;
        let hits = hits.into_iter().filter_map(|hit| self.explained(hit, &terms, &shares).transpose());
        let hits = hits.collect::<Result<_, _>>()?;
        let filter = self.question.filter.as_ref();
        let votes = (self.question.mode != Mode::Bm25 && self.meanings.is_some(), self.question.mode != Mode::Dense);
        Ok(Explanation {
            mode: self.question.mode,
            hits,
            terms,
            admitted: self.snapshot.admitted(filter),
            filtered: filter.is_some(),
            dense: votes.0.then(|| self.candidacy(&self.places.dense)),
            bm25: votes.1.then(|| self.candidacy(&self.places.words)),
            reranked: (!self.places.reranked.is_empty()).then(|| place(self.places.reranked.len())),
            per_document: self.share,
            document,
            timings_ms: Timings::new(),
            index: stamp(&self.snapshot, self.no_vote.clone()),
            degraded: Vec::new(),
        })
    }

    fn candidacy(&self, list: &[Ranked]) -> Candidacy {
        Candidacy { depth: self.depth, found: list.len(), last: list.last().map(|last| last.score) }
    }

    /// What each list adds to each candidate's score; nothing where there is but one list.
    fn shares(&self) -> HashMap<u64, FusedShare> {
        if self.question.mode != Mode::Hybrid {
            return HashMap::new();
        }
        let cosine = |key| self.meanings.as_ref()?.cosine(&self.snapshot, key);
        fused_shares(&self.places.dense, &self.places.words, self.words_full, cosine)
    }

    fn explained(
        &self,
        hit: Hit,
        terms: &[TermWeight],
        shares: &HashMap<u64, FusedShare>,
    ) -> Result<Option<ExplainedHit>, IndexError> {
        let Some(key) = key_of(&self.snapshot, &hit) else { return Ok(None) };
        let Some(fused) = self.fused_place(&hit, key, shares) else { return Ok(None) };
        let rerank = hit.rerank.map(|at| RerankMove { from: fused.rank, to: at.rank, score: at.score });
        let cosine = self.meanings.as_ref().and_then(|meanings| meanings.cosine(&self.snapshot, key));
        let terms = self.snapshot.term_shares(terms, key)?;
        Ok(Some(ExplainedHit { hit, cosine, terms, fused, rerank }))
    }

    fn fused_place(&self, hit: &Hit, key: u64, shares: &HashMap<u64, FusedShare>) -> Option<Fused> {
        let at = self.fused.iter().position(|ranked| ranked.key == key)?;
        let score = self.fused[at].score;
        let only = |list| vec![ListShare { list, score, reckoned: false, adds: score }];
        let shares = match (self.question.mode, shares.get(&key)) {
            (Mode::Bm25, _) => only("bm25"),
            (_, None) => only("dense"),
            (_, Some(share)) => vec![
                ListShare { list: "dense", score: share.cosine, reckoned: hit.dense.is_none(), adds: share.meaning },
                ListShare { list: "bm25", score: share.bm25, reckoned: hit.bm25.is_none(), adds: share.words },
            ],
        };
        Some(Fused { rank: place(at + 1), score, shares })
    }
}

/// The key of a hit's chunk.
pub(super) fn key_of(snapshot: &Snapshot, hit: &Hit) -> Option<u64> {
    let (_, ordinal) = hit.chunk_id.rsplit_once('#')?;
    snapshot.key_of(&hit.document_id, ordinal.parse().ok()?)
}

/// A count as a rank is counted.
pub(super) fn place(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

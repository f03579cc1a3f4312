//! Question → hits: vector and words side by side, fused, capped by document.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Engine;
use super::meaning::Meanings;
use super::pick::{Places, pick};
use crate::config::RetrievalSettings;
use crate::domain::asking::{parts_of, words_of};
use crate::domain::{Degradation, Hit, IndexStamp, Mode, NoVote, Question, Ranked, SearchReply, Timings};
use crate::embed::{EmbedError, Embedder};
use crate::index::{IndexError, IndexSpec, Snapshot, fuse};
use crate::telemetry::{QueryStage, TenantMetrics};

/// Indexes larger than this are searched off the event loop, and smaller ones with a filter, which may be dear by itself:
/// the hop costs some 20 µs, the search then up to milliseconds.
const INLINE_CHUNKS: u64 = 20_000;

/// Why a search has no hits to give.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// A dense search without a vector; a hybrid one goes on with words alone.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The index failed.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// Times the stages of one question and tells the metrics.
pub(super) struct Clock<'a> {
    begun: Instant,
    metrics: Option<&'a TenantMetrics>,
    timings: Timings,
}

impl<'a> Clock<'a> {
    pub(super) fn start(metrics: &'a TenantMetrics) -> Self {
        Self { begun: Instant::now(), metrics: Some(metrics), timings: Timings::new() }
    }

    /// Times without telling anybody.
    pub(super) fn silent() -> Self {
        Self { begun: Instant::now(), metrics: None, timings: Timings::new() }
    }

    pub(super) fn note(&mut self, stage: QueryStage, took: Duration) {
        if let Some(metrics) = self.metrics {
            metrics.stage(stage, took);
        }
        self.timings.insert(stage.as_str(), millis(took));
    }

    pub(super) fn finish(mut self) -> Timings {
        self.timings.insert("total", millis(self.begun.elapsed()));
        self.timings
    }
}

/// Milliseconds with three digits.
pub(super) fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}

/// What the two searches found.
#[derive(Default)]
pub(super) struct Candidates {
    /// The question's vectors, where there are any.
    pub meanings: Option<Meanings>,
    /// Why there are none, where they were wanted and nothing failed.
    pub no_vote: Option<NoVote>,
    pub dense: Vec<Ranked>,
    pub words: Vec<Ranked>,
    /// Whether there may be more of the question's words beyond the list's end.
    pub words_full: bool,
    pub degraded: Vec<Degradation>,
}

/// What the search by meaning found, and how long its two parts took.
struct Meant {
    meanings: Meanings,
    hits: Vec<Ranked>,
    embedding: Duration,
    searching: Duration,
}

/// The hits of a question.
pub(super) struct Retrieved {
    /// Best first.
    pub hits: Vec<Hit>,
    /// What was read.
    pub index: IndexStamp,
    pub degraded: Vec<Degradation>,
}

impl Candidates {
    /// One list, best first: the two fused, or the one there is.
    pub(super) fn fused(&self, snapshot: &Snapshot, mode: Mode) -> Vec<Ranked> {
        let cosine = |key| self.meanings.as_ref()?.cosine(snapshot, key);
        match mode {
            Mode::Hybrid => fuse(&self.dense, &self.words, self.words_full, cosine),
            Mode::Dense => self.dense.clone(),
            Mode::Bm25 => self.words.clone(),
        }
    }
}

impl Engine {
    /// Finds the chunks of `snapshot` that answer `question`.
    ///
    /// # Errors
    /// When the index fails, or in dense mode the embedder.
    pub async fn search(
        &self,
        snapshot: &Snapshot,
        question: &Question,
        settings: &RetrievalSettings,
        metrics: &TenantMetrics,
    ) -> Result<SearchReply, SearchError> {
        let mut clock = Clock::start(metrics);
        let Retrieved { hits, index, degraded } = self.find(snapshot, question, settings, &mut clock).await?;
        Ok(SearchReply { hits, timings_ms: clock.finish(), index, degraded })
    }

    pub(super) async fn find(
        &self,
        snapshot: &Snapshot,
        question: &Question,
        settings: &RetrievalSettings,
        clock: &mut Clock<'_>,
    ) -> Result<Retrieved, SearchError> {
        let depth = settings.candidates.max(question.top_k);
        let mut found = self.candidates(snapshot, question, depth, clock).await?;
        let begun = Instant::now();
        let mut order = found.fused(snapshot, question.mode);
        let fusing = begun.elapsed();
        let reranked = self.rerank(snapshot, question, settings, &order, clock, &mut found.degraded).await?;
        if !reranked.is_empty() {
            order.clone_from(&reranked);
        }
        let begun = Instant::now();
        let share = question.per_document.unwrap_or(settings.max_chunks_per_document);
        let places = Places { dense: found.dense, words: found.words, reranked };
        let hits = pick(snapshot, question, share, &order, &places)?;
        clock.note(QueryStage::Fuse, fusing + begun.elapsed());
        Ok(Retrieved { hits, index: stamp(snapshot, found.no_vote), degraded: found.degraded })
    }

    /// Ranks chunks alone: `depth` of each search, fused in hybrid mode. For scoring retrieval.
    ///
    /// # Errors
    /// As [`Engine::search`].
    pub(super) async fn rank(
        &self,
        snapshot: &Snapshot,
        text: &str,
        mode: Mode,
        depth: usize,
    ) -> Result<Vec<Ranked>, SearchError> {
        let (text, filter) = (text.to_owned(), None);
        let question = Question { text, top_k: 1, mode, filter, per_document: None, rerank: None, passages: false };
        let found = self.candidates(snapshot, &question, depth, &mut Clock::silent()).await?;
        Ok(found.fused(snapshot, mode))
    }

    pub(super) async fn candidates(
        &self,
        snapshot: &Snapshot,
        question: &Question,
        depth: usize,
        clock: &mut Clock<'_>,
    ) -> Result<Candidates, SearchError> {
        let mut found = Candidates::default();
        let embedder = match self.voter(snapshot, question) {
            Err(error) if question.mode == Mode::Hybrid => {
                found.degraded.push(without_vectors(&error));
                None
            }
            Ok(Err(no_vote)) => {
                found.no_vote = Some(no_vote);
                None
            }
            Ok(Ok(embedder)) => embedder,
            Err(error) => return Err(error.into()),
        };
        let meaning = async {
            match &embedder {
                Some(embedder) => Some(self.meaning(snapshot, question, depth, embedder).await),
                None => None,
            }
        };
        let words = async {
            if question.mode == Mode::Dense {
                return Ok((Vec::new(), Duration::ZERO));
            }
            timed(snapshot, question, depth, |snapshot, question, depth| {
                snapshot.search_words(&words_of(&question.text), question.filter.as_ref(), depth)
            })
            .await
        };
        // The vector is asked for first: while it is made, and in large indexes searched with, words are counted.
        let (meaning, words) = tokio::join!(biased; meaning, words);
        let (words, took) = words?;
        if question.mode != Mode::Dense {
            clock.note(QueryStage::Sparse, took);
        }
        found.words_full = words.len() >= depth;
        found.words = words;
        match meaning {
            None => {}
            Some(Ok(meant)) => {
                clock.note(QueryStage::Embed, meant.embedding);
                clock.note(QueryStage::Dense, meant.searching);
                found.meanings = Some(meant.meanings);
                found.dense = meant.hits;
            }
            Some(Err(SearchError::Embed(error))) if question.mode == Mode::Hybrid => {
                found.degraded.push(without_vectors(&error));
            }
            Some(Err(error)) => return Err(error),
        }
        Ok(found)
    }

    /// Whether the embedder of such an index knows English alone; false when it is no longer there.
    #[must_use]
    pub fn is_english_only(&self, spec: &IndexSpec) -> bool {
        self.embedder_of(spec).is_ok_and(|embedder| !embedder.multilingual())
    }

    /// The embedder whose vectors a question is searched with; none where words alone are wanted, and why there is none
    /// where it does not know the question's language.
    ///
    /// # Errors
    /// When the embedder is no longer there.
    pub(super) fn voter(&self, snapshot: &Snapshot, question: &Question) -> Result<Vote, EmbedError> {
        if question.mode == Mode::Bm25 {
            return Ok(Ok(None));
        }
        let embedder = self.embedder_of(snapshot.spec())?;
        let refused = (question.mode == Mode::Hybrid).then(|| no_vote(&*embedder, snapshot, question)).flatten();
        Ok(refused.map_or_else(|| Ok(Some(embedder)), Err))
    }

    /// The vectors of the question's parts, made or remembered.
    pub(super) async fn meanings(
        &self,
        snapshot: &Snapshot,
        question: &Question,
        embedder: &Arc<dyn Embedder>,
    ) -> Result<Meanings, EmbedError> {
        let parts = parts_of(&question.text, |text| embedder.count_tokens(text) <= embedder.max_tokens());
        let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
        let dimension = snapshot.spec().dimension;
        let vectors = self.embedders.questions(&self.payer, embedder, dimension, &texts).await?;
        Ok(Meanings::new(vectors.into_iter().zip(parts.iter().map(|part| part.weight)).collect()))
    }

    /// Makes the question's vectors and searches with them.
    async fn meaning(
        &self,
        snapshot: &Snapshot,
        question: &Question,
        depth: usize,
        embedder: &Arc<dyn Embedder>,
    ) -> Result<Meant, SearchError> {
        let begun = Instant::now();
        let meanings = self.meanings(snapshot, question, embedder).await?;
        let embedding = begun.elapsed();
        let asked = meanings.clone();
        let (hits, searching) = timed(snapshot, question, depth, move |snapshot, question, depth| {
            asked.search(snapshot, question.filter.as_ref(), depth)
        })
        .await?;
        Ok(Meant { meanings, hits, embedding, searching })
    }
}

/// Runs one search, off the event loop where the index is large or a filter is held against its documents.
async fn timed<F>(
    snapshot: &Snapshot,
    question: &Question,
    depth: usize,
    search: F,
) -> Result<(Vec<Ranked>, Duration), IndexError>
where
    F: FnOnce(&Snapshot, &Question, usize) -> Result<Vec<Ranked>, IndexError> + Send + 'static,
{
    if snapshot.chunks() <= INLINE_CHUNKS && question.filter.is_none() {
        let begun = Instant::now();
        return Ok((search(snapshot, question, depth)?, begun.elapsed()));
    }
    let (snapshot, question) = (snapshot.clone(), question.clone());
    let found = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        search(&snapshot, &question, depth).map(|found| (found, begun.elapsed()))
    });
    found.await.unwrap_or_else(|died| Err(IndexError::Engine(died.to_string())))
}

/// The embedder with a vote, if one is wanted, or why it has none.
pub(super) type Vote = Result<Option<Arc<dyn Embedder>>, NoVote>;

/// Why `embedder` has no vote on `question`, if it has none.
///
/// An English-only embedder knows nothing of other languages, and fusing in what it says ruins a good list of words
/// (nDCG@10 on Arabic questions: 0.93 by words, 0.29 fused). A question whose language nobody can tell (a name, a number) is
/// taken to be in the language of most documents.
fn no_vote(embedder: &dyn Embedder, snapshot: &Snapshot, question: &Question) -> Option<NoVote> {
    if embedder.multilingual() {
        return None;
    }
    let (language, how) = match snapshot.language_of(&question.text) {
        "und" => (snapshot.main_language().unwrap_or("en"), "the question is taken to be in the documents' language"),
        told => (told, "the question was read in the language"),
    };
    let name = embedder.id();
    let reason =
        format!("{how} `{language}`, and the embedder {name} knows English alone, so that words alone were searched");
    (language != "en").then(|| NoVote { language: language.to_owned(), reason })
}

fn without_vectors(error: &EmbedError) -> Degradation {
    Degradation { code: error.code().to_owned(), message: format!("searched by words alone, since {error}") }
}

/// What was read, and why meaning had no vote in it.
pub(super) fn stamp(snapshot: &Snapshot, no_vote: Option<NoVote>) -> IndexStamp {
    IndexStamp { generation: snapshot.generation(), built_at: snapshot.made_at(), no_vote }
}

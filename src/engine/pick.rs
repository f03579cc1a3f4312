//! Ranked candidates → hits: ordered anew where the tenant has a reranker, few of one document, with their texts.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use super::Engine;
use super::search::Clock;
use crate::config::RetrievalSettings;
use crate::domain::{Degradation, DocumentId, Hit, Passage, Question, Ranked, StageRank};
use crate::index::{IndexError, Snapshot, StoredChunk, document_of};
use crate::telemetry::QueryStage;

/// Lists that say where a hit stood, each best first.
#[derive(Default)]
pub(super) struct Places {
    pub dense: Vec<Ranked>,
    pub words: Vec<Ranked>,
    pub reranked: Vec<Ranked>,
}

impl Engine {
    /// The best of `fused` in the order of the tenant's reranker; as they are when there is none, the question wants
    /// none, or it fails, which `degraded` is told.
    pub(super) async fn rerank(
        &self,
        snapshot: &Snapshot,
        question: &Question,
        settings: &RetrievalSettings,
        fused: &[Ranked],
        clock: &mut Clock<'_>,
        degraded: &mut Vec<Degradation>,
    ) -> Result<Vec<Ranked>, IndexError> {
        let Some(model) = settings.reranker.as_ref().filter(|_| question.rerank != Some(false)) else {
            degraded.extend((question.rerank == Some(true) && settings.reranker.is_none()).then(no_reranker));
            return Ok(Vec::new());
        };
        let mut shown = Vec::new();
        let mut texts = Vec::new();
        for candidate in fused.iter().take(settings.rerank_candidates.max(question.top_k)) {
            if let Some(StoredChunk { document, chunk }) = snapshot.chunk(candidate.key)? {
                shown.push(candidate.key);
                texts.push(chunk.embedding_text(&document.title));
            }
        }
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let begun = Instant::now();
        let order =
            self.rerankers.get(&self.payer, model).rerank(&question.text, &texts, settings.rerank_timeout).await;
        clock.note(QueryStage::Rerank, begun.elapsed());
        Ok(match order {
            Ok(order) => order.into_iter().map(|(place, score)| Ranked { key: shown[place], score }).collect(),
            Err(error) => {
                tracing::warn!(error = %error, "the reranker failed, keeping the fused order");
                let message = format!("hits are in the order of the search, since {error}");
                degraded.push(Degradation { code: error.code().to_owned(), message });
                Vec::new()
            }
        })
    }
}

fn no_reranker() -> Degradation {
    let message = "hits are in the order of the search, since the tenant's settings name no reranker".to_owned();
    Degradation { code: "rerank_unavailable".to_owned(), message }
}

/// What is taken of a ranked list, and what is passed over.
#[derive(Default)]
pub(super) struct Picked {
    /// What is taken, best first.
    pub taken: Vec<(Ranked, StoredChunk)>,
    /// Chunks whose document has had its share.
    pub over_share: Vec<u64>,
    /// Chunks that say the same as one that is taken.
    pub same_text: Vec<u64>,
}

/// Takes the best `top_k` of `order` whose document has not had its share of `share` yet, and of chunks with the same text
/// under the same heading the first: copies of a document, and what stands at the foot of every page, leave room for others.
pub(super) fn choose(snapshot: &Snapshot, top_k: usize, share: usize, order: &[Ranked]) -> Result<Picked, IndexError> {
    let mut of_document: HashMap<u64, usize> = HashMap::new();
    let mut said: HashSet<(String, String)> = HashSet::new();
    let mut picked = Picked::default();
    for candidate in order {
        if picked.taken.len() == top_k {
            break;
        }
        let taken = of_document.entry(document_of(candidate.key)).or_default();
        if *taken == share {
            picked.over_share.push(candidate.key);
            continue;
        }
        let Some(stored) = snapshot.chunk(candidate.key)? else { continue };
        if !said.insert((stored.chunk.heading.clone(), stored.chunk.text.trim().to_owned())) {
            picked.same_text.push(candidate.key);
            continue;
        }
        *taken += 1;
        picked.taken.push((*candidate, stored));
    }
    Ok(picked)
}

/// The hits that are chosen of `order`. Their places in the lists go along.
pub(super) fn pick(
    snapshot: &Snapshot,
    question: &Question,
    share: usize,
    order: &[Ranked],
    places: &Places,
) -> Result<Vec<Hit>, IndexError> {
    let picked = choose(snapshot, question.top_k, share, order)?;
    let mut hits = Vec::with_capacity(picked.taken.len());
    for (candidate, StoredChunk { document, chunk }) in picked.taken {
        let title = if document.title.is_empty() { &document.name } else { &document.title };
        let passage = (chunk.passage_start, chunk.passage_end);
        hits.push(Hit {
            rank: u32::try_from(hits.len() + 1).unwrap_or(u32::MAX),
            document_id: document.id.clone(),
            chunk_id: format!("{}#{}", document.id, chunk.ordinal),
            title: title.clone(),
            heading: chunk.heading,
            page: chunk.page,
            start: chunk.start,
            end: chunk.end,
            text: chunk.text,
            score: candidate.score,
            dense: rank_in(&places.dense, candidate.key),
            bm25: rank_in(&places.words, candidate.key),
            rerank: rank_in(&places.reranked, candidate.key),
            passage: read_passage(snapshot, &document.id, passage, question.passages)?,
        });
    }
    Ok(hits)
}

fn read_passage(
    snapshot: &Snapshot,
    document: &DocumentId,
    (start, end): (usize, usize),
    with_text: bool,
) -> Result<Passage, IndexError> {
    let text = if with_text { snapshot.text_at(document, start..end)? } else { None };
    Ok(Passage { start, end, text })
}

fn rank_in(list: &[Ranked], key: u64) -> Option<StageRank> {
    let at = list.iter().position(|ranked| ranked.key == key)?;
    Some(StageRank { rank: u32::try_from(at + 1).unwrap_or(u32::MAX), score: list[at].score })
}

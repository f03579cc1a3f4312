//! What a question may be asked for beside its answer, and the generations it may be asked of.

use super::{Words, ago, answer, hit};
use crate::actors::{Compared, Held};
use crate::domain::{DocumentId, Hit, IndexStamp, Mode, SearchReply, StageRank, Timings};
use crate::engine::{
    Alike, Candidacy, ChunkFate, Comparison, ExplainedHit, Explanation, Fate, Fused, ListPlace, ListShare, Loss,
    RerankMove,
};
use crate::http::admin::ask::More;
use crate::index::{Admitted, GenerationInfo, IndexSpec, TermShare};

/// Generations 12, which serves, and 11.
pub fn generations() -> Vec<Held> {
    let spec = IndexSpec { embedder: "minilm".into(), dimension: 384, parser: 1, chunker: "v1".into(), analyser: 1 };
    let held = |number: u64, serves| Held {
        info: GenerationInfo {
            number,
            made_at: ago(if serves { 400 } else { 90_000 }),
            reason: "reindex".into(),
            documents: 128,
            chunks: 4_120,
            bytes: 48 << 20,
            spec: spec.clone(),
        },
        serves,
        pinned: false,
        held: false,
        checks: None,
    };
    vec![held(12, true), held(11, false)]
}

/// A comparison with generation 11, and scores in their parts.
pub fn more(words: Words) -> More {
    let found = answer(words).hits;
    let index = |generation| IndexStamp { generation, built_at: ago(400), no_vote: None };
    let reply = |generation, hits| SearchReply {
        hits,
        timings_ms: Timings::from([("total", 3.2)]),
        index: index(generation),
        degraded: Vec::new(),
    };
    let (second, first) = (Hit { rank: 1, ..hit(2) }, Hit { rank: 2, ..hit(1) });
    let (from, to) = (reply(11, vec![second, first, Hit { rank: 3, ..hit(4) }]), reply(12, found.clone()));
    let comparison = Comparison::of(&from.hits, &to.hits, Alike::Chunk);
    let share = |list, score, adds| ListShare { list, score, reckoned: false, adds };
    let explained = found.into_iter().map(|hit| ExplainedHit {
        cosine: Some(0.61),
        terms: vec![
            TermShare { term: words.say("notice"), idf: 2.1, frequency: 2, score: 4.6 },
            TermShare { term: words.say("period"), idf: 1.9, frequency: 1, score: 3.8 },
        ],
        fused: Fused { rank: 2, score: 0.94, shares: vec![share("dense", 0.61, 0.76), share("bm25", 8.4, 0.18)] },
        rerank: Some(RerankMove { from: 2, to: hit.rank, score: 0.97 }),
        hit,
    });
    let place = |score| Some(ListPlace { rank: Some(140), score: Some(score), last: Some(0.2) });
    let chunk = ChunkFate {
        chunk_id: words.say("works-agreement.md#7"),
        stage: Loss::BelowTopK,
        fused: Some(StageRank { rank: 5, score: 0.41 }),
        rerank: None,
        missing: Some(0.0412),
        dense: place(0.1),
        bm25: place(0.15),
    };
    let lost = Fate::absent(DocumentId::parse(&words.say("works-agreement.md")).unwrap(), Loss::BelowTopK);
    let fate = Fate { missing: Some(0.0412), chunks: vec![chunk], ..lost };
    let candidacy = Candidacy { depth: 100, found: 100, last: Some(0.2) };
    let explained = Explanation {
        mode: Mode::Hybrid,
        hits: explained.collect(),
        terms: Vec::new(),
        admitted: Admitted { documents: 128, chunks: 4_120 },
        filtered: false,
        dense: Some(candidacy),
        bm25: Some(candidacy),
        reranked: Some(30),
        per_document: 3,
        document: Some(fate),
        timings_ms: Timings::new(),
        index: index(12),
        degraded: Vec::new(),
    };
    let compared = Compared { from, to, alike: Alike::Chunk, comparison };
    More { compared: Some(compared), explained: Some(explained) }
}

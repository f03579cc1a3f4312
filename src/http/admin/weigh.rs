//! What a question's page shows beside the answer: where the time went, how scores came to be, two generations side by side.

use super::document::document_href;
use super::show::{self, When};
use crate::actors::{Compared, Held};
use crate::domain::{Hit, SearchReply, TenantId, Timestamp};
use crate::engine::{
    Alike, Change, ChunkFate, Comparison, ExplainedHit, Fate, ListPlace, ListShare, Loss, Moved, RerankMove,
};
use crate::index::TermShare;

/// Width of a bar, in the units of its drawing.
const BAR: f64 = 1000.0;

/// A part of a whole, as a bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// What it is.
    pub name: String,
    /// Its length, 1 to 1000.
    pub width: u32,
    /// `3.1 ms`, `0.4218`.
    pub text: String,
}

/// A generation to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationChoice {
    /// Its number, for the form.
    pub value: String,
    /// `12, 2 days ago`.
    pub label: String,
}

/// How a hit's score came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreCard {
    /// `Place 2 of the fused order, score 0.8421`.
    pub fused: String,
    /// What each list adds to the score.
    pub lists: Vec<Bar>,
    /// What each word adds to the score of the search by words.
    pub words: Vec<Bar>,
    /// `The reranker moved it from 2 to 1 (0.9700)`; may be empty.
    pub rerank: String,
}

/// What became of the document that was followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// Whether it was found.
    pub tone: show::Tone,
    /// Its id.
    pub id: String,
    /// `It was found, below the last hit.`
    pub words: show::Message,
    /// `handbook.md#4: below_top_k, place 5 of the fused order, lacks 0.0412`.
    pub chunks: Vec<String>,
}

/// What two generations find, side by side: the one it is compared with, and the one that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideBySide {
    /// `8 of 10 hits are in both`.
    pub overlap: String,
    /// The two lists.
    pub lists: [ComparedList; 2],
}

/// What one generation finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComparedList {
    /// The place on the page that is named by its heading.
    pub id: &'static str,
    /// `Generation 11`.
    pub title: String,
    /// Best first.
    pub rows: Vec<ComparedRow>,
}

/// A hit of one list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComparedRow {
    /// 1 for the best.
    pub rank: u32,
    /// The document's title.
    pub title: String,
    /// The document.
    pub href: String,
    /// Its chunk.
    pub chunk: String,
    /// Its score.
    pub score: String,
    /// `up 2`, `new`, `gone`; empty where it stayed.
    pub change: String,
    /// The tone of that.
    pub tone: show::Tone,
}

/// Where the time went, by stage.
pub fn times(timings: &std::collections::BTreeMap<&'static str, f64>, total: f64) -> Vec<Bar> {
    // In the order of a question's way; stages that this list does not know follow it.
    const WAY: [&str; 6] = ["embed", "dense", "sparse", "fuse", "rerank", "generate"];
    let place = |name: &str| WAY.iter().position(|stage| *stage == name).unwrap_or(WAY.len());
    let mut stages: Vec<_> = timings.iter().filter(|(name, _)| **name != "total").collect();
    stages.sort_by_key(|(name, _)| place(name));
    let bar = |(name, took): (&&'static str, &f64)| Bar {
        name: (*name).to_owned(),
        width: width(*took, total),
        text: milliseconds(*took),
    };
    stages.into_iter().map(bar).collect()
}

/// A bar as long as its share of the whole; at least a sliver, so that it is seen.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=1000 first")]
fn width(part: f64, whole: f64) -> u32 {
    if whole > 0.0 { (part / whole * BAR).clamp(1.0, BAR) as u32 } else { 1 }
}

/// `3.1 ms`.
pub fn milliseconds(took: f64) -> String {
    if took < 100.0 { format!("{took:.1} ms") } else { format!("{took:.0} ms") }
}

/// The generations there are to choose from; none while there is but one.
pub fn choices(held: &[Held], now: Timestamp) -> Vec<GenerationChoice> {
    let choice = |one: &Held| GenerationChoice {
        value: one.info.number.to_string(),
        label: format!(
            "{}, {}{}",
            show::count(one.info.number),
            When::new(one.info.made_at, now).text,
            if one.serves { ", serves" } else { "" }
        ),
    };
    if held.len() < 2 { Vec::new() } else { held.iter().map(choice).collect() }
}

impl ScoreCard {
    /// The parts of this hit's score.
    pub fn new(explained: &ExplainedHit) -> Self {
        let fused = &explained.fused;
        let list = |share: &ListShare| {
            let name = if share.list == "dense" { "meaning" } else { "words" };
            let own = if share.reckoned { "no place" } else { "own score" };
            Bar {
                name: name.to_owned(),
                width: width(share.adds.into(), fused.score.into()),
                text: format!("{:.4} ({own} {:.2})", share.adds, share.score),
            }
        };
        let whole: f32 = explained.terms.iter().map(|term| term.score).sum();
        let word = |term: &TermShare| Bar {
            name: show::name(&term.term),
            width: width(term.score.into(), whole.into()),
            text: format!("{:.2} ({}\u{202f}×, rarity {:.2})", term.score, term.frequency, term.idf),
        };
        let moved = |moved: RerankMove| {
            format!("The reranker moved it from {} to {} ({:.4}).", moved.from, moved.to, moved.score)
        };
        Self {
            fused: format!("Place {} before any reranking, score {:.4}", fused.rank, fused.score),
            lists: fused.shares.iter().map(list).collect(),
            words: explained.terms.iter().map(word).collect(),
            rerank: explained.rerank.map(moved).unwrap_or_default(),
        }
    }
}

impl Followed {
    /// What became of this document.
    pub fn new(fate: &Fate) -> Self {
        let tone = if fate.stage == Loss::Hit { show::Tone::Ok } else { show::Tone::Warn };
        let problem = fate.problem.as_ref().map(|code| format!(" (`{code}`)")).unwrap_or_default();
        let words = show::Message::sentence(&format!("{}{problem}", fate.stage.words()));
        let chunk = |chunk: &ChunkFate| {
            let list = |name: &str, at: Option<ListPlace>| {
                let at = at?;
                let rank = at.rank.map_or_else(|| "no place".to_owned(), |rank| format!("place {rank}"));
                let score = |score: Option<f32>| score.map_or_else(|| "none".to_owned(), |score| format!("{score:.2}"));
                Some(format!("{name} {rank} ({}, last candidate {})", score(at.score), score(at.last)))
            };
            let parts = [
                Some(chunk.stage.words().to_owned()),
                chunk.fused.map(|at| format!("place {} of the fused order", at.rank)),
                chunk.rerank.map(|at| format!("place {} of the reranker's", at.rank)),
                chunk.missing.map(|missing| format!("{missing:.4} short of the last hit")),
                list("meaning", chunk.dense),
                list("words", chunk.bm25),
            ];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            format!("{}: {}", show::name(&chunk.chunk_id), parts.join(" · "))
        };
        Self { tone, id: show::name(fate.document_id.as_str()), words, chunks: fate.chunks.iter().map(chunk).collect() }
    }
}

impl SideBySide {
    /// The two lists of this comparison.
    pub fn new(tenant: &TenantId, compared: &Compared) -> Self {
        let by = match compared.alike {
            Alike::Chunk => "hits",
            Alike::Document => "documents",
        };
        let list = |id, found: &SearchReply, old: bool| ComparedList {
            id,
            title: format!("Generation {}", show::count(found.index.generation)),
            rows: found.hits.iter().map(|hit| ComparedRow::new(tenant, hit, compared, old)).collect(),
        };
        Self {
            overlap: format!("{:.0} % of the {by} are in both", compared.comparison.overlap * 100.0),
            lists: [list("compared-from", &compared.from, true), list("compared-to", &compared.to, false)],
        }
    }
}

impl ComparedRow {
    fn new(tenant: &TenantId, hit: &Hit, compared: &Compared, old: bool) -> Self {
        let id = match compared.alike {
            Alike::Chunk => hit.chunk_id.as_str(),
            Alike::Document => hit.document_id.as_str(),
        };
        let (change, tone) = said(&compared.comparison, id, old);
        let generation = if old { compared.from.index.generation } else { compared.to.index.generation };
        Self {
            rank: hit.rank,
            title: show::name(&hit.title),
            href: document_href(tenant, &hit.document_id, Some(generation)),
            chunk: show::name(&hit.chunk_id),
            score: format!("{:.4}", hit.score),
            change,
            tone,
        }
    }
}

/// How the thing of this id changed, as one of the two lists says it.
fn said(comparison: &Comparison, id: &str, old: bool) -> (String, show::Tone) {
    let of = |moved: &&Moved| moved.id == id;
    match comparison.moves.iter().find(of).map(|moved| (moved.change, moved.by.unwrap_or_default())) {
        Some((Change::Entered, _)) => ("new".to_owned(), show::Tone::Info),
        Some((Change::Left, _)) => ("gone".to_owned(), show::Tone::Warn),
        Some((Change::Moved, by)) if !old && by > 0 => (format!("up {by}"), show::Tone::Ok),
        Some((Change::Moved, by)) if !old => (format!("down {}", by.abs()), show::Tone::Idle),
        _ => (String::new(), show::Tone::Idle),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::IndexStamp;
    use crate::http::admin::samples;

    #[test]
    fn a_bar_is_never_empty_nor_longer_than_the_whole() {
        assert_eq!([width(0.0, 10.0), width(5.0, 10.0), width(20.0, 10.0), width(1.0, 0.0)], [1, 500, 1000, 1]);
    }

    #[test]
    fn each_list_says_what_came_went_and_moved() {
        let reply = |generation, ranks: &[u8]| {
            let mut hits: Vec<_> = ranks.iter().map(|rank| samples::hit(*rank)).collect();
            for (rank, hit) in (1..).zip(&mut hits) {
                hit.rank = rank;
            }
            let index = IndexStamp { generation, built_at: samples::now(), no_vote: None };
            SearchReply { hits, timings_ms: crate::domain::Timings::new(), index, degraded: Vec::new() }
        };
        let (from, to) = (reply(11, &[1, 2, 3]), reply(12, &[3, 1, 4]));
        let comparison = Comparison::of(&from.hits, &to.hits, Alike::Chunk);
        let compared = Compared { from, to, alike: Alike::Chunk, comparison };
        let shown = SideBySide::new(&samples::tenant_id("acme"), &compared);
        let changes = |at: usize| shown.lists[at].rows.iter().map(|row| row.change.clone()).collect::<Vec<_>>();
        assert_eq!(changes(0), ["", "gone", ""]);
        assert_eq!(changes(1), ["up 2", "down 1", "new"]);
        assert_eq!(shown.overlap, "67 % of the hits are in both");
    }
}

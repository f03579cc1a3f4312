//! Answers without a language model: the sentences that answer, quoted.
//!
//! Every sentence of the hits is scored by the question's words in it. A word that few sentences have says more than one
//! that most have (inverse document frequency as in BM25, over the sentences of the hits); words that a sentence lacks but
//! a neighbour has count in part, since a sentence often goes on where another named the subject. The constants below
//! were chosen on 220 judged questions over two long texts (brandonstarxel/chunking_evaluation): the quotes overlap the
//! judged excerpt for 87 % of those whose three hits hold it.

use std::fmt::Write as _;

use futures_util::future::{BoxFuture, FutureExt, ready};

use super::pieces::{Kind, Piece};
use super::tables::{self, Cut};
use super::terms::{Mask, Terms};
use super::{AnswerError, Answerer, Ask, Claim, Draft, plain};
use crate::domain::Hit;
use crate::domain::asking::gist;

/// Hits that are quoted at most.
const MAX_SOURCES: usize = 3;
/// Sentences of one hit that are quoted at most.
const MAX_OF_SOURCE: usize = 2;
/// Sentences in an answer at most.
const MAX_SENTENCES: usize = 4;
/// Hits whose sentences are looked at; later ones rarely hold the answer and cost as much.
const MAX_HITS: usize = 10;

/// Share of the best score below which a sentence is left out.
const CUT: f32 = 0.55;
/// What a word that only a neighbouring sentence has counts for.
const NEIGHBOUR: f32 = 0.15;
/// What a word counts for that the column's name has and the row does not.
const COLUMN: f32 = 0.8;
/// What each rank of its hit takes off a sentence.
const RANK: f32 = 0.05;
/// What a sentence gains that announces a list or code: it brings what others only speak about. Chosen by sense; the judged
/// questions have none.
const ANNOUNCES: f32 = 1.2;
/// Longest quote that a sentence ending in a colon grows to, bytes.
const LONGEST_LIST: usize = 500;
/// How much a sentence's length counts against it, as BM25's b, against one of [`USUAL_WORDS`].
const LENGTH: f32 = 0.2;
const USUAL_WORDS: f32 = 20.0;

/// Quotes the sentences that answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extractive;

impl Answerer for Extractive {
    fn name(&self) -> &'static str {
        "extractive"
    }

    fn answer<'a>(&'a self, ask: Ask<'a>) -> BoxFuture<'a, Result<Draft, AnswerError>> {
        ready(Ok(quote(&ask.question.text, ask.hits))).boxed()
    }
}

/// A sentence that may answer.
struct Candidate {
    hit: usize,
    piece: Piece,
    /// Place among the pieces of its hit.
    place: usize,
    mask: Mask,
    /// What the names of its columns have; none where it is no row below such.
    columns: Option<Mask>,
    /// Whether it ends in a colon and something follows.
    announces: bool,
    words: usize,
    score: f32,
}

/// The answer to `question` from `hits`, best first. Without any hit there is none.
fn quote(question: &str, hits: &[Hit]) -> Draft {
    let terms = Terms::of(&gist(question));
    let cuts: Vec<Cut> = hits.iter().take(MAX_HITS).map(Cut::of).collect();
    let mut candidates = find(&terms, &cuts);
    score(&terms, &mut candidates);
    let chosen = choose(candidates, &cuts);
    write(chosen, &cuts)
}

/// Every sentence of the hits, with the question's words in it.
fn find(terms: &Terms, cuts: &[Cut]) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for (hit, cut) in cuts.iter().enumerate() {
        for (place, (&piece, columns)) in cut.pieces.iter().zip(&cut.columns).enumerate() {
            let (mask, words) = terms.find(cut.words(piece));
            let columns = (!columns.is_empty()).then(|| terms.find(columns).0);
            let announces = announces(cut, place);
            candidates.push(Candidate { hit, piece, place, mask, columns, announces, words, score: 0.0 });
        }
    }
    candidates
}

fn score(terms: &Terms, candidates: &mut [Candidate]) {
    let all = to_f32(candidates.len());
    let rarity: Vec<f32> = (0..terms.len())
        .map(|term| to_f32(candidates.iter().filter(|candidate| candidate.mask & (1 << term) != 0).count()))
        .map(|having| (1.0 + (all - having + 0.5) / (having + 0.5)).ln())
        .collect();
    let value = |mask: Mask| terms.sum(mask, |term, weight| weight * rarity[term]);
    for at in 0..candidates.len() {
        let this = &candidates[at];
        let beside = [at.checked_sub(1), Some(at + 1)].into_iter().flatten().filter_map(|at| candidates.get(at));
        let around: f32 =
            beside.filter(|other| other.hit == this.hit).map(|other| value(other.mask & !this.mask)).sum();
        let length = 1.0 - LENGTH + LENGTH * to_f32(this.words) / USUAL_WORDS;
        let rank = 1.0 - RANK * to_f32(this.hit.min(MAX_HITS));
        // Names alone make no row an answer: all rows have them.
        let columns = if this.mask == 0 { 0 } else { this.columns.unwrap_or(0) & !this.mask };
        let own = value(this.mask) + COLUMN * value(columns);
        let brings = if this.announces { ANNOUNCES } else { 1.0 };
        candidates[at].score = (own / length + NEIGHBOUR * around) * rank * fitness(this) * brings;
    }
}

/// Whether the piece at `place` ends in a colon and is not the last before a heading or the end.
fn announces(cut: &Cut, place: usize) -> bool {
    let followed = cut.pieces.get(place + 1).is_some_and(|next| next.kind != Kind::Heading);
    followed && cut.words(cut.pieces[place]).ends_with([':', '：'])
}

/// How well a piece of this form can answer at all.
fn fitness(candidate: &Candidate) -> f32 {
    match candidate.piece.kind {
        Kind::Heading => 0.0,
        Kind::Row if candidate.columns.is_some() => 1.0,
        Kind::Row | Kind::Columns | Kind::Code => 0.8,
        // Two or three words are a label.
        Kind::Sentence if candidate.words < 4 => 0.5,
        Kind::Sentence => 1.0,
    }
}

/// The best sentences: of few sources, few of each, none said twice, and none far below the best.
fn choose(mut candidates: Vec<Candidate>, cuts: &[Cut]) -> Vec<Candidate> {
    // A hit may be nothing but a heading; then that is what there is to quote.
    if candidates.iter().any(|candidate| candidate.piece.kind != Kind::Heading) {
        candidates.retain(|candidate| candidate.piece.kind != Kind::Heading);
    }
    // Stable: among equals the earlier one, so with no word found the first sentence of the best hit.
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    let best = candidates.first().map_or(0.0, |best| best.score);
    candidates.retain(|candidate| candidate.score >= best * CUT);
    let mut chosen: Vec<Candidate> = Vec::new();
    let mut sources: Vec<usize> = Vec::new();
    for candidate in candidates {
        let of_source = sources.iter().filter(|hit| **hit == candidate.hit).count();
        let distinct = sources.iter().enumerate().filter(|(at, hit)| !sources[..*at].contains(hit)).count();
        let words = |candidate: &Candidate| cuts[candidate.hit].words(candidate.piece);
        let said = |other: &Candidate| words(other) == words(&candidate);
        let room = of_source < MAX_OF_SOURCE && (of_source > 0 || distinct < MAX_SOURCES);
        if room && !chosen.iter().any(said) {
            sources.push(candidate.hit);
            chosen.push(candidate);
        }
        if chosen.len() == MAX_SENTENCES || best == 0.0 {
            break;
        }
    }
    chosen
}

/// Neighbouring pieces of one hit that are quoted as one: places `first..=last`.
struct Run {
    hit: usize,
    first: usize,
    last: usize,
}

/// Puts the chosen sentences in the order of the text, documents in the order of their best hit, and quotes them.
fn write(mut chosen: Vec<Candidate>, cuts: &[Cut]) -> Draft {
    let document = |candidate: &Candidate| &cuts[candidate.hit].hit.document_id;
    chosen.sort_by_cached_key(|candidate| {
        let best = cuts.iter().position(|cut| cut.hit.document_id == *document(candidate));
        (best, cuts[candidate.hit].hit.start + candidate.piece.start)
    });
    let mut draft = Draft::default();
    for (run, marker) in runs(chosen, cuts).iter().zip(1u32..) {
        let Cut { hit, pieces, .. } = &cuts[run.hit];
        let shown = show(run, &cuts[run.hit]);
        let (start, end) = (pieces[run.first].start, pieces[run.last].end);
        if !draft.text.is_empty() {
            draft.text.push(if shown.contains('\n') || draft.text.contains('\n') { '\n' } else { ' ' });
        }
        // Writing to a string cannot fail.
        let _ = write!(draft.text, "{shown} [{marker}]");
        let quote = hit.text[start..end].to_owned();
        draft.claims.push(Claim { marker, hit: run.hit, start: hit.start + start, end: hit.start + end, quote });
    }
    draft
}

/// Joins sentences that stand side by side, and adds to one that announces something what it announces.
fn runs(chosen: Vec<Candidate>, cuts: &[Cut]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for Candidate { hit, piece, place, .. } in chosen {
        match runs.last_mut() {
            Some(run) if run.hit == hit && place <= run.last => continue,
            Some(run) if run.hit == hit && place == run.last + 1 => run.last = place,
            _ => runs.push(Run { hit, first: place, last: place }),
        }
        if let Some(run) = runs.last_mut()
            && (piece.kind == Kind::Columns || announces(&cuts[hit], place))
        {
            announce(run, &cuts[hit]);
        }
    }
    runs
}

/// Adds the list, table or code behind a colon, or the rows below the names of their columns, as far as there is room and
/// no heading or gap ends it.
fn announce(run: &mut Run, cut: &Cut) {
    let Cut { hit, pieces, .. } = cut;
    let start = pieces[run.first].start;
    for (place, piece) in pieces.iter().enumerate().skip(run.last + 1) {
        let gap = run.last > run.first && hit.text[pieces[run.last].end..piece.start].matches('\n').count() > 1;
        if piece.kind == Kind::Heading || piece.end - start > LONGEST_LIST || gap {
            return;
        }
        run.last = place;
    }
}

/// What a reader sees of a run: plain text, with the line breaks that part lists and code.
fn show(run: &Run, cut: &Cut) -> String {
    let mut shown = String::new();
    let mut last = cut.pieces[run.first].start;
    for (piece, columns) in cut.pieces.iter().zip(&cut.columns).take(run.last + 1).skip(run.first) {
        if !shown.is_empty() {
            shown.push(if cut.hit.text[last..piece.start].contains('\n') { '\n' } else { ' ' });
        }
        let words = cut.words(*piece);
        shown.push_str(&match piece.kind {
            Kind::Code => plain::code(words),
            Kind::Row | Kind::Columns => tables::show(words, columns),
            Kind::Sentence | Kind::Heading => plain::line(words),
        });
        last = piece.end;
    }
    shown
}

#[expect(clippy::cast_precision_loss, reason = "counts of words and sentences in a few hits")]
fn to_f32(count: usize) -> f32 {
    count as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{assert_claims_hold, hit};
    use super::*;

    fn answer(question: &str, hits: &[Hit]) -> Draft {
        let draft = quote(question, hits);
        assert_claims_hold(&draft, hits);
        assert!(draft.unsupported.is_empty());
        draft
    }

    fn library() -> Vec<Hit> {
        let rules = "# Rules\n\nWelcome to all readers. The **reading room** closes at nine. On Sundays it stays shut. \
                     Dogs must wait outside the building.\n";
        let fees =
            "A lost book costs 25 francs. Late returns cost one franc a day. Nobody reads this far down the page.";
        vec![hit("rules", 100, rules), hit("fees", 0, fees)]
    }

    #[test]
    fn the_sentence_that_answers_is_quoted_exactly_and_shown_plainly() {
        let draft = answer("When does the reading room close?", &library());
        assert_eq!(draft.text, "The reading room closes at nine. [1]");
        assert_eq!(draft.claims[0].quote, "The **reading room** closes at nine.");
        assert_eq!((draft.claims[0].start, draft.claims[0].hit), (133, 0));
    }

    #[test]
    fn sentences_of_two_documents_come_best_document_first_and_in_the_order_of_each_text() {
        let draft = answer("What does a lost book or a late return cost, and where do dogs wait?", &library());
        let quotes: Vec<_> = draft.claims.iter().map(|claim| claim.quote.as_str()).collect();
        let fees = "A lost book costs 25 francs. Late returns cost one franc a day.";
        assert_eq!(quotes, ["Dogs must wait outside the building.", fees]);
        assert_eq!(draft.text, format!("Dogs must wait outside the building. [1] {fees} [2]"));
    }

    #[test]
    fn without_a_word_in_common_the_best_hit_speaks() {
        let draft = answer("Öffnungszeiten?", &library());
        assert_eq!(draft.text, "Welcome to all readers. [1]");
    }

    #[test]
    fn a_sentence_that_announces_brings_what_it_announces() {
        let text = "Intro.\n\nTo start the server, run:\n\n```sh\ncargo build\ncargo run\n```\n\nThen rest.";
        let draft = answer("How do I start the server?", &[hit("a", 0, text)]);
        assert_eq!(draft.text, "To start the server, run:\ncargo build\ncargo run [1]");
        let text = "There are two limits on uploads:\n- 32 MiB a file\n- ten a minute\n\nOther things.";
        let draft = answer("Which limits on uploads are there?", &[hit("a", 0, text)]);
        assert_eq!(draft.text, "There are two limits on uploads:\n32 MiB a file\nten a minute [1]");
    }

    #[test]
    fn a_sentence_that_announces_goes_before_a_shorter_one_that_speaks_about_it() {
        let text = "# Tokens\n\nTo make a token for an application, run this with the tenant and the scopes it needs:\n\n\
                    ```sh\nmint -t acme\n```\n\nThe command prints the token alone.";
        let shown = answer("How do I create a token?", &[hit("a", 0, text)]).text;
        assert!(shown.contains("scopes it needs:\nmint -t acme"), "{shown}");
    }

    #[test]
    fn the_same_sentence_in_two_hits_is_said_once() {
        let twice = [hit("a", 0, "The room closes at nine."), hit("b", 0, "The room closes at nine.")];
        assert_eq!(answer("When does the room close?", &twice).claims.len(), 1);
    }

    #[test]
    fn of_a_table_the_row_is_quoted_that_has_the_word_below_the_name_that_was_asked_for() {
        let text = "Food | Portions | Calories\nBerries | 2 | 150\nGrain | 3 | 200\n\nCalories are counted once a day.";
        let draft = answer("How many calories have the berries?", &[hit("a", 0, text)]);
        assert_eq!(draft.text, "Food: Berries; Portions: 2; Calories: 150 [1]");
        assert_eq!(draft.claims[0].quote, "Berries | 2 | 150");
        let within = Hit { heading: "Diet > Food | Portions | Calories".into(), ..hit("a", 0, "Grain | 3 | 200") };
        assert_eq!(answer("Calories of grain?", &[within]).text, "Food: Grain; Portions: 3; Calories: 200 [1]");
    }

    #[test]
    fn names_of_columns_bring_their_rows() {
        let text = "Intro.\n\n| Name | Calories |\n|---|---|\n| Berries | 150 |\n| Grain | 200 |\n\nOther things.";
        let draft = answer("How many calories are there?", &[hit("a", 0, text)]);
        assert_eq!(draft.text, "Name: Calories\nBerries: 150\nGrain: 200 [1]");
    }

    #[test]
    fn chinese_is_matched_by_pairs_of_characters() {
        let text = "图书馆位于市中心。阅览室晚上九点关门。狗必须在外面等候。";
        assert_eq!(answer("阅览室几点关门？", &[hit("a", 0, text)]).text, "阅览室晚上九点关门。 [1]");
    }

    #[test]
    fn a_hit_of_headings_alone_or_of_nothing_harms_nobody() {
        assert_eq!(answer("Rules?", &[hit("a", 0, "# Rules")]).text, "Rules [1]");
        assert_eq!(answer("Rules?", &[hit("a", 0, " \n ")]), Draft::default());
        assert_eq!(answer("Rules?", &[]), Draft::default());
    }

    proptest! {
        #[test]
        fn every_quote_stands_in_the_text_and_no_answer_is_long(
            question in "(room|close|nine|francs|the|文字|[a-z]{1,5}|[?! ]){1,12}",
            texts in prop::collection::vec(
                "(room |closes |nine|25 francs|文字列|é|[.!?:] ?|\\n|\\n\\n|- |# |\\|| \\| |```\\n|\\[1\\]|[a-z]{1,5} ){0,40}", 1..5),
        ) {
            let hits: Vec<Hit> = texts.iter().enumerate().map(|(at, text)| hit(["a", "b"][at % 2], at * 1000, text)).collect();
            let draft = answer(&question, &hits);
            prop_assert!(draft.claims.len() <= MAX_SENTENCES);
            prop_assert!(draft.claims.iter().map(|claim| claim.hit).collect::<std::collections::BTreeSet<_>>().len() <= MAX_SOURCES);
        }
    }
}

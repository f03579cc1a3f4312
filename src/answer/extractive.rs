//! Answers without a language model: the sentences that answer, quoted.
//!
//! Every sentence of the hits is scored by the question's words in it. A word that few sentences have says more than one
//! that most have (inverse document frequency as in BM25, over the sentences of the hits); words that a sentence lacks but
//! a neighbour has count in part, since a sentence often goes on where another named the subject.
//!
//! Where the question has keys, only sentences are quoted that speak of the thing these name ([`super::subject`]), whether
//! they name it or an earlier one does; the other words, and what kind of thing is asked for ([`super::wants`]), choose
//! among them. The constants below were chosen on 220 judged questions over two long texts (brandonstarxel/chunking_evaluation): the quotes overlap the
//! judged excerpt for 87 % of those whose three hits hold it.

use std::fmt::Write as _;

use futures_util::future::{BoxFuture, FutureExt, ready};

use super::admit::effective;
use super::keys::Key;
use super::pieces::{Kind, Piece};
use super::signs::signs;
use super::stands::Text;
use super::subject::{Subject, subjects};
use super::tables::{self, Cut};
use super::terms::{Mask, Terms};
use super::wants::Wants;
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
/// What a sentence about the right thing gains that has what is asked for: a name, a time, an amount.
const MEETS: f32 = 1.4;
/// What a sentence gains that names the thing itself, over one that only goes on about it.
const NAMES: f32 = 1.05;
/// Longest quote that grows by the sentence ahead of it, which names what it is about, bytes.
const LONGEST_WITH_SUBJECT: usize = 300;
/// What asks for one of the things that the word behind it says, folded.
const WHICH: [&str; 22] = [
    "which", "welche", "welcher", "welches", "welchen", "welchem", "quel", "quelle", "quels", "quelles", "cual",
    "cuales", "quale", "quali", "qual", "quais", "welk", "ktory", "ktora", "ktore", "vilken", "vilket",
];
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
    /// Whether it speaks of what the question's keys name.
    subject: Subject,
    /// Whether the sentence right ahead of it names that.
    follows_name: bool,
    /// Place of the piece its quote begins with.
    first: usize,
    /// Whether it has what is asked for.
    meets: bool,
    words: usize,
    score: f32,
}

/// The answer to `question` from `hits`, best first. Without any hit there is none.
fn quote(question: &str, hits: &[Hit]) -> Draft {
    let sought = Sought::of(&gist(question), hits);
    let cuts: Vec<Cut> = hits.iter().take(MAX_HITS).map(Cut::of).collect();
    let mut candidates = sought.find(&cuts);
    // What speaks of another year still tells which words are rare; what speaks of another machine does not.
    let is_loose = sought.keys.iter().all(|key| key.is_moment() || key.is_soft());
    if is_loose {
        score(&sought.terms, &mut candidates);
    }
    keep_to_the_subject(&mut candidates, is_loose);
    sought.keep_what_is_asked_for(&mut candidates);
    if !is_loose {
        score(&sought.terms, &mut candidates);
    }
    let mut chosen = choose(candidates, &cuts);
    for candidate in &mut chosen {
        candidate.first = sought.first(candidate, &cuts[candidate.hit]);
    }
    write(chosen, &cuts)
}

/// What a question is after.
struct Sought {
    terms: Terms,
    /// Its words, folded.
    words: Vec<String>,
    /// Those of its keys that stand in some hit.
    keys: Vec<Key>,
    /// The terms of these keys.
    of_keys: Mask,
    wants: Wants,
    /// The term behind `which`: the thing that is asked for.
    which: Mask,
}

impl Sought {
    fn of(question: &str, hits: &[Hit]) -> Self {
        let terms = Terms::of(question);
        let words: Vec<String> = signs(question).into_iter().map(|sign| sign.text).collect();
        let keys = effective(question, &hits.iter().collect::<Vec<_>>());
        let of_keys = keys.iter().fold(0, |mask, key| mask | terms.find(&key.shown).0);
        let which = words.windows(2).find(|pair| WHICH.contains(&pair[0].as_str())).map_or("", |pair| &pair[1]);
        let which = terms.find(which).0;
        Self { terms, words, keys, of_keys, wants: Wants::of(question), which }
    }

    /// Every sentence of the hits, with the question's words in it.
    fn find(&self, cuts: &[Cut]) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (hit, cut) in cuts.iter().enumerate() {
            let subjects = subjects(&self.keys, cut);
            let carried = self.carried(cut);
            for (place, (&piece, columns)) in cut.pieces.iter().zip(&cut.columns).enumerate() {
                let text = cut.words(piece);
                let (mut mask, words) = self.terms.find(text);
                let columns = (!columns.is_empty()).then(|| self.terms.find(columns).0);
                let subject = subjects[place];
                if subject.is_asked_for() {
                    mask |= carried[place];
                }
                let meets = subject.is_asked_for() && self.wants.is_met_by(text, &self.words);
                candidates.push(Candidate {
                    hit,
                    piece,
                    place,
                    mask,
                    columns,
                    announces: announces(cut, place),
                    subject,
                    follows_name: subject == Subject::Carried && place > 0 && subjects[place - 1] == Subject::Named,
                    first: place,
                    meets,
                    words,
                    score: 0.0,
                });
            }
        }
        candidates
    }

    /// The terms of keys that each piece need not repeat: those of codes and numbers in all that speaks of their thing; those
    /// of a name in a sentence that goes on about it in its paragraph, or below a heading or title that has it where the
    /// text does not.
    fn carried(&self, cut: &Cut) -> Vec<Mask> {
        let bits = |key: &Key| self.terms.find(&key.shown).0;
        let firm = self.keys.iter().filter(|key| !key.is_soft() && !key.is_moment());
        let firm = firm.fold(0, |mask, key| mask | bits(key));
        let names: Vec<Mask> = self.keys.iter().filter(|key| key.is_soft()).map(bits).collect();
        if names.is_empty() {
            return vec![firm; cut.pieces.len()];
        }
        let read = |mask: Mask| names.iter().filter(|name| mask & **name == **name).fold(0, |all, name| all | name);
        let above = read(self.terms.find_in(&[&cut.hit.title, &cut.hit.heading, cut.hit.document_id.as_str()]).0);
        let above = above & !read(self.terms.find(&cut.hit.text).0);
        let mut so_far = 0;
        let mut end = 0;
        let mut carried = Vec::with_capacity(cut.pieces.len());
        for piece in &cut.pieces {
            if cut.hit.text[end..piece.start].contains("\n\n") {
                so_far = 0;
            }
            end = piece.end;
            let words = cut.words(*piece);
            carried.push(firm | above | if Text::of(words).goes_on() { so_far } else { 0 });
            so_far |= read(self.terms.find(words).0);
        }
        carried
    }

    /// Where the quote of a chosen sentence begins: with the sentence ahead that names what it is about, or with the one
    /// that has who or which thing is asked for.
    fn first(&self, chosen: &Candidate, cut: &Cut) -> usize {
        let place = chosen.place;
        let goes_on = || Text::of(cut.words(cut.pieces[place])).goes_on() || self.keys.iter().any(|key| !key.is_soft());
        if chosen.follows_name && goes_on() && is_one_quote(cut, place - 1, place) {
            return place - 1;
        }
        let lacks = |at: usize| {
            let text = cut.words(cut.pieces[at]);
            let nobody = self.wants == Wants::Somebody && !self.wants.is_met_by(text, &self.words);
            nobody || self.which != 0 && self.terms.find(text).0 & self.which == 0
        };
        let ahead = (0..place).rev().take_while(|at| is_one_quote(cut, *at, place)).find(|at| !lacks(*at));
        if lacks(place) { ahead.unwrap_or(place) } else { place }
    }

    /// Where no candidate has any word beside the keys, what has the kind of thing that is asked for must be it.
    fn keep_what_is_asked_for(&self, candidates: &mut Vec<Candidate>) {
        let only_keys = self.of_keys != 0 && candidates.iter().all(|candidate| candidate.mask & !self.of_keys == 0);
        if self.wants != Wants::Anything && only_keys && candidates.iter().any(|candidate| candidate.meets) {
            candidates.retain(|candidate| candidate.meets);
        }
    }
}

/// Whether the sentences from `first` to `last` are one paragraph, or part of one, and short enough to be one quote.
fn is_one_quote(cut: &Cut, first: usize, last: usize) -> bool {
    let pieces = &cut.pieces[first..=last];
    let (start, end) = (pieces[0].start, pieces[pieces.len() - 1].end);
    let are_sentences = pieces.iter().all(|piece| piece.kind == Kind::Sentence);
    are_sentences && end - start <= LONGEST_WITH_SUBJECT && !cut.hit.text[start..end].contains("\n\n")
}

/// Leaves out what speaks of other things than the keys name, as far as anything is left. Where no key is a code or number,
/// also what speaks of none may answer.
fn keep_to_the_subject(candidates: &mut Vec<Candidate>, is_loose: bool) {
    let is_quotable = |candidate: &&Candidate| candidate.piece.kind != Kind::Heading;
    let any = |keep: fn(&Candidate) -> bool| candidates.iter().filter(is_quotable).any(keep);
    let asked_for = |candidate: &Candidate| candidate.subject.is_asked_for();
    let not_other = |candidate: &Candidate| candidate.subject != Subject::Other;
    if !is_loose && any(asked_for) {
        candidates.retain(asked_for);
    } else if any(not_other) {
        candidates.retain(not_other);
    }
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
        let adjoins = |other: &&Candidate| other.hit == this.hit && other.place.abs_diff(this.place) == 1;
        let around: f32 = beside.filter(adjoins).map(|other| value(other.mask & !this.mask)).sum();
        let length = 1.0 - LENGTH + LENGTH * to_f32(this.words) / USUAL_WORDS;
        let rank = 1.0 - RANK * to_f32(this.hit.min(MAX_HITS));
        // Names alone make no row an answer: all rows have them.
        let columns = if this.mask == 0 { 0 } else { this.columns.unwrap_or(0) & !this.mask };
        let own = value(this.mask) + COLUMN * value(columns);
        let brings = if this.announces { ANNOUNCES } else { 1.0 };
        let meets = if this.meets { MEETS } else { 1.0 };
        let names = if this.subject == Subject::Named { NAMES } else { 1.0 };
        candidates[at].score = (own / length + NEIGHBOUR * around) * rank * fitness(this) * brings * meets * names;
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
        draft.claims.push(Claim {
            marker,
            hit: run.hit,
            start: hit.start + start,
            end: hit.start + end,
            quote,
            translated: false,
        });
    }
    draft
}

/// Joins sentences that stand side by side, and adds to one that announces something what it announces.
fn runs(chosen: Vec<Candidate>, cuts: &[Cut]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for Candidate { hit, piece, place, first, .. } in chosen {
        match runs.last_mut() {
            Some(run) if run.hit == hit && place <= run.last => continue,
            Some(run) if run.hit == hit && first <= run.last + 1 => run.last = place,
            _ => runs.push(Run { hit, first, last: place }),
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
    fn the_quote_reaches_the_sentence_that_answers_about_the_thing_that_was_asked_for() {
        let machine = |name, hall, day, who| {
            format!(
                "Machine {name} stands in hall {hall}. The spindle turns at 4,200 revolutions a minute. It is oiled every {day}. The operator is {who}."
            )
        };
        let texts = [machine("ZK-310", 2, "Friday", "Ilse Marten"), machine("ZK-301", 4, "Monday", "Viggo Lund")];
        let hits = [hit("m1", 0, &texts[0]), hit("m2", 0, &texts[1])];
        for (question, expected) in [
            ("When is ZK-301 oiled?", "It is oiled every Monday. [1]"),
            ("Who operates ZK-310?", "The operator is Ilse Marten. [1]"),
            ("Who operates zk301?", "The operator is Viggo Lund. [1]"),
            ("Who runs ZK-310?", "The operator is Ilse Marten. [1]"),
            (
                "How fast does the spindle of ZK-310 turn?",
                "Machine ZK-310 stands in hall 2. The spindle turns at 4,200 revolutions a minute. [1]",
            ),
        ] {
            assert_eq!(answer(question, &hits).text, expected, "{question}");
        }
    }

    #[test]
    fn the_quote_is_about_the_person_who_was_asked_for() {
        let agnes = "Dr. Agnes Falk heads the laboratory. She joined in 2016. Her deputy is Tom Reyes. She can be reached at extension 355.";
        let otto = "Dr. Otto Falk heads the archive. He joined in 2019. His deputy is Lin Zhou. He can be reached at extension 533.";
        let apart = [hit("p1", 0, agnes), hit("p2", 0, otto)];
        let together = [hit("p", 0, &format!("{otto}\n\n{agnes}"))];
        for (question, expected) in [
            ("Who is the deputy of Agnes Falk?", "Her deputy is Tom Reyes. [1]"),
            ("When did Agnes Falk join?", "Dr. Agnes Falk heads the laboratory. She joined in 2016. [1]"),
            ("What is the extension of Agnes Falk?", "She can be reached at extension 355. [1]"),
        ] {
            assert_eq!(answer(question, &apart).text, expected, "{question}");
            assert_eq!(answer(question, &together).text, expected, "{question}");
        }
    }

    #[test]
    fn who_or_which_is_asked_for_is_quoted_with_what_is_said_of_it() {
        let text = "Dr. Agnes Falk heads the laboratory. She joined in 2016. Her deputy is Tom Reyes.";
        assert_eq!(
            answer("Who joined in 2016?", &[hit("p", 0, text)]).text,
            "Dr. Agnes Falk heads the laboratory. She joined in 2016. [1]"
        );
        let text = "Machine ZK-130 stands in hall 1. The spindle is new. It is oiled on Wednesday.";
        let shown = answer("Which machine is oiled on Wednesday?", &[hit("m", 0, text)]).text;
        assert_eq!(shown, format!("{text} [1]"));
    }

    #[test]
    fn of_a_table_only_the_row_of_the_key_is_quoted() {
        let rows: Vec<String> = (1..40).map(|n| format!("widget {n} | {}.50", 100 - n)).collect();
        let hits = [hit("prices", 0, &format!("Item | Price\n{}", rows.join("\n")))];
        assert_eq!(answer("What is the price of widget 7?", &hits).text, "widget 7: 93.50 [1]");
        let list = "# Codes\n\n- E-1024: the motor is too hot.\n- W-1033: the strainer should be cleaned soon.\n- W-2200: the oil is old.";
        assert_eq!(answer("W-1033", &[hit("codes", 0, list)]).text, "W-1033: the strainer should be cleaned soon. [1]");
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

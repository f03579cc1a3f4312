//! Finds the words of the passages that prove a sentence, or finds that none do.
//!
//! A sentence is proved by the pieces of a passage that share its words and, together, have every figure, date, code, unit
//! and name of it, and deny what it denies. Pieces are added until they do: a sentence may take its figures from two
//! sentences, or from two passages. One in another language than the passage shares no words with it; then what travels
//! between languages must agree, and the proof says that it is translated.

use super::facts::{Facts, Names, Need, Tongue};
use super::markers::DOCUMENT;
use super::pieces::{Kind, MAX_BYTES, Piece};
use super::tables::Cut;
use super::terms::Terms;
use crate::domain::Hit;

/// Share of a sentence's words that a passage must have to be its source when the model named none.
const CLEARLY_SAID: f32 = 0.6;
/// Words of a sentence that must be found then, so that two common ones are no proof.
const CLEARLY_SAID_WORDS: u32 = 3;
/// What all of a sentence's facts weigh beside all of its words, where the piece is chosen that says most of it.
const FACTS: f32 = 0.5;
/// Pieces beside the best of each passage that a sentence may need.
const MORE_PIECES: usize = 4;
/// Longest passage, bytes, that is quoted whole where a sentence in another language shows no fact to choose by.
const SHORT: usize = 400;

/// A span of a passage that proves a sentence, perhaps with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proof {
    /// Which passage, from 0.
    pub hit: usize,
    /// Which bytes of its text.
    pub span: Piece,
    /// Whether the sentence is in another language than the passage.
    pub translated: bool,
}

/// The passages in pieces.
pub(super) struct Sources<'a> {
    /// The passages.
    pub hits: &'a [Hit],
    passages: Vec<Passage<'a>>,
    names: Names,
}

/// A passage with what its pieces say.
struct Passage<'a> {
    cut: Cut<'a>,
    /// For each piece.
    facts: Vec<Facts>,
    /// For each piece, what the names of its columns say; empty where there are none.
    columns: Vec<Option<Facts>>,
    /// Title and headings.
    above: Facts,
    /// All of its text.
    whole: Facts,
}

/// How well a piece supports a sentence.
#[derive(Clone, Copy)]
struct Support {
    place: usize,
    score: f32,
    share: f32,
    found: u32,
}

/// A piece of a passage: which passage, which piece.
type Place = (usize, usize);

/// A sentence that is to be proved.
struct Statement {
    terms: Terms,
    facts: Facts,
    needs: Vec<Need>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(hits: &'a [Hit]) -> Self {
        let names = Names::of(hits.iter().map(|hit| hit.text.as_str()));
        let passages = hits.iter().map(|hit| Passage::of(hit, &names)).collect();
        Self { hits, passages, names }
    }

    /// The spans that prove a sentence, of the passages with these numbers (from 1), or of any if those do not.
    pub(super) fn prove(&self, sentence: &str, named: &[u32]) -> Vec<Proof> {
        let mut hits: Vec<usize> = Vec::new();
        let of_passages = named.iter().filter(|number| **number < DOCUMENT).copied();
        for hit in of_passages.filter_map(|number| usize::try_from(number).ok()?.checked_sub(1)) {
            if hit < self.hits.len() && !hits.contains(&hit) {
                hits.push(hit);
            }
        }
        let tongue =
            hits.first().or(Some(&0)).and_then(|hit| self.passages.get(*hit)).map(|first| first.whole.tongue());
        let facts = Facts::of(sentence, tongue.unwrap_or_default(), &self.names);
        let statement = Statement { terms: Terms::of(sentence), needs: facts.needs(), facts };
        hits.extend(named.iter().filter_map(|number| self.of_document(number.checked_sub(DOCUMENT)?, &statement)));
        hits.retain(|hit| !statement.facts.is_strange_to(&self.passages[*hit].whole));
        let (translated, own): (Vec<usize>, Vec<usize>) =
            hits.iter().partition(|hit| self.is_foreign(**hit, statement.facts.tongue()));
        let supported = own.into_iter().filter_map(|hit| Some((hit, self.best(hit, &statement)?)));
        let own: Vec<Place> =
            supported.filter(|(_, best)| best.found > 0).map(|(hit, best)| (hit, best.place)).collect();
        let proofs = self.grow(own, &statement).unwrap_or_default();
        if !proofs.is_empty() {
            return proofs;
        }
        let proofs = self.translated(&translated, &statement);
        if proofs.is_empty() { self.clearly_said(&statement) } else { proofs }
    }

    /// The passage that says most of a sentence, of the document that passage `number` (from 1) is of.
    fn of_document(&self, number: u32, statement: &Statement) -> Option<usize> {
        let first = self.hits.get(usize::try_from(number).ok()?.checked_sub(1)?)?;
        let all = (0..self.hits.len()).filter(|hit| self.hits[*hit].document_id == first.document_id);
        let supports = all.map(|hit| (hit, self.best(hit, statement).map_or(0.0, |best| best.score)));
        supports.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(hit, _)| hit)
    }

    /// The spans of a passage that nobody named and that clearly says a sentence.
    fn clearly_said(&self, statement: &Statement) -> Vec<Proof> {
        let any = (0..self.hits.len()).filter_map(|hit| Some((hit, self.best(hit, statement)?)));
        let clear = any.filter(|(_, best)| best.share >= CLEARLY_SAID && best.found >= CLEARLY_SAID_WORDS);
        let mut clear: Vec<(usize, Support)> =
            clear.filter(|(hit, _)| !statement.facts.is_strange_to(&self.passages[*hit].whole)).collect();
        clear.sort_by(|(_, a), (_, b)| b.share.total_cmp(&a.share));
        clear.into_iter().find_map(|(hit, best)| self.grow(vec![(hit, best.place)], statement)).unwrap_or_default()
    }

    fn is_foreign(&self, hit: usize, tongue: Tongue) -> bool {
        self.passages[hit].whole.tongue().differs_from(tongue)
    }

    /// The piece of a passage that says most of a sentence; the shortest of equals.
    fn best(&self, hit: usize, statement: &Statement) -> Option<Support> {
        let passage = self.passages.get(hit)?;
        let supports = passage.quotable().map(|place| passage.support(place, statement));
        let length = |support: &Support| {
            let piece = passage.cut.pieces[support.place];
            piece.end - piece.start
        };
        supports.reduce(|best, next| {
            let better = next.score > best.score || next.score >= best.score && length(&next) < length(&best);
            if better { next } else { best }
        })
    }

    /// The proofs on these pieces and on what must stand beside them; none where a fact stands nowhere.
    fn grow(&self, mut places: Vec<Place>, statement: &Statement) -> Option<Vec<Proof>> {
        if places.is_empty() {
            return None;
        }
        places.retain(|place| !statement.facts.speaks_of_another(self.facts(*place)));
        let hits: Vec<usize> = places.iter().map(|(hit, _)| *hit).collect();
        for _ in 0..MORE_PIECES {
            let missing = self.missing(&places, &statement.needs);
            let Some(next) = self.next(&hits, &places, &missing, statement) else { break };
            places.push(next);
        }
        let proved = !places.is_empty()
            && self.missing_in_context(&places, &statement.needs).is_empty()
            && statement.facts.agrees_with(&self.all_facts(&places));
        proved.then(|| self.join(places, false))
    }

    /// The piece that has most of what is missing and speaks of nothing else; the nearest of equals.
    fn next(&self, hits: &[usize], places: &[Place], missing: &[Need], statement: &Statement) -> Option<Place> {
        if missing.is_empty() {
            return None;
        }
        let near = |(hit, place): Place| {
            let same = places.iter().filter(|(other, _)| *other == hit);
            same.map(|(_, other)| other.abs_diff(place)).min().unwrap_or(usize::MAX)
        };
        let all = hits.iter().flat_map(|hit| (0..self.passages[*hit].facts.len()).map(|place| (*hit, place)));
        let fits = all.filter(|place| !places.contains(place)).filter_map(|place| {
            let facts = self.facts(place);
            let has = missing.len() - Facts::missing(missing, &[facts]).len();
            (has > 0 && !statement.facts.speaks_of_another(facts)).then_some((has, place))
        });
        fits.min_by_key(|(has, place)| (std::cmp::Reverse(*has), near(*place))).map(|(_, place)| place)
    }

    /// The proofs of a sentence in another language than these passages.
    fn translated(&self, hits: &[usize], statement: &Statement) -> Vec<Proof> {
        let best = hits.iter().filter_map(|hit| Some((*hit, self.passages[*hit].foreign(statement)?)));
        let places: Vec<Place> =
            best.flat_map(|(hit, places)| places.into_iter().map(move |place| (hit, place))).collect();
        let mut grown = places;
        for _ in 0..MORE_PIECES {
            let missing = self.missing(&grown, &statement.needs);
            let Some(next) = self.next(hits, &grown, &missing, statement) else { break };
            grown.push(next);
        }
        let denies = self.all_facts(&grown).iter().any(|facts| facts.denies());
        let proved = !grown.is_empty()
            && self.missing_in_context(&grown, &statement.needs).is_empty()
            && denies == statement.facts.denies();
        if proved { self.join(grown, true) } else { Vec::new() }
    }

    fn facts(&self, (hit, place): Place) -> &Facts {
        &self.passages[hit].facts[place]
    }

    fn all_facts(&self, places: &[Place]) -> Vec<&Facts> {
        places.iter().map(|place| self.facts(*place)).collect()
    }

    fn missing(&self, places: &[Place], needs: &[Need]) -> Vec<Need> {
        Facts::missing(needs, &self.all_facts(places))
    }

    /// What stands neither in the pieces nor in the names of their columns, their headings and titles.
    fn missing_in_context(&self, places: &[Place], needs: &[Need]) -> Vec<Need> {
        let mut all = self.all_facts(places);
        for (hit, place) in places {
            all.extend(self.passages[*hit].columns[*place].as_ref());
            all.push(&self.passages[*hit].above);
        }
        Facts::missing(needs, &all)
    }

    /// The pieces as spans; neighbours become one.
    fn join(&self, places: Vec<Place>, translated: bool) -> Vec<Proof> {
        let order: Vec<usize> = places.iter().map(|(hit, _)| *hit).collect();
        let first = |hit: usize| order.iter().position(|other| *other == hit);
        let mut sorted = places;
        sorted.sort_by_key(|(hit, place)| (first(*hit), *place));
        sorted.dedup();
        let mut proofs: Vec<(Proof, usize)> = Vec::new();
        for (hit, place) in sorted {
            let span = self.passages[hit].cut.pieces[place];
            match proofs.last_mut() {
                Some((last, at)) if last.hit == hit && is_neighbour(last.span, *at, span, place) => {
                    last.span.end = span.end;
                    *at = place;
                }
                _ => proofs.push((Proof { hit, span, translated }, place)),
            }
        }
        proofs.into_iter().map(|(proof, _)| proof).collect()
    }
}

/// Whether two pieces are quoted as one: sentences that follow each other, or stand one apart.
fn is_neighbour(last: Piece, at: usize, next: Piece, place: usize) -> bool {
    let sentences = last.kind == Kind::Sentence && next.kind == Kind::Sentence;
    sentences && place - at <= 2 && next.end - last.start <= MAX_BYTES
}

impl<'a> Passage<'a> {
    fn of(hit: &'a Hit, names: &Names) -> Self {
        let cut = Cut::of(hit);
        let whole = Facts::of(&hit.text, Tongue::default(), names);
        let tongue = whole.tongue();
        let facts = cut.pieces.iter().map(|piece| Facts::of(cut.words(*piece), tongue, names)).collect();
        let columns =
            cut.columns.iter().map(|columns| (!columns.is_empty()).then(|| Facts::of(columns, tongue, names)));
        let columns = columns.collect();
        let above = Facts::of(&format!("{}\n{}\n{}", hit.title, hit.heading, hit.document_id), tongue, names);
        Self { cut, facts, columns, above, whole }
    }

    /// The pieces that can be quoted by themselves: a heading says only what the rest is about.
    fn quotable(&self) -> impl Iterator<Item = usize> {
        (0..self.cut.pieces.len()).filter(|place| self.cut.pieces[*place].kind != Kind::Heading)
    }

    fn support(&self, place: usize, statement: &Statement) -> Support {
        let (own, _) = statement.terms.find(self.cut.words(self.cut.pieces[place]));
        // A row says what it says of its columns.
        let columns = self.cut.columns[place];
        let mask = if own == 0 || columns.is_empty() { own } else { own | statement.terms.find(columns).0 };
        let needs = statement.needs.len();
        let had = needs - Facts::missing(&statement.needs, &[&self.facts[place]]).len();
        let share = statement.terms.share(mask);
        // Both are below a thousand.
        #[expect(clippy::cast_precision_loss, reason = "a sentence has few facts")]
        let facts = if needs == 0 { 0.0 } else { had as f32 / needs as f32 };
        let found = if mask == 0 && had > 0 { 1 } else { mask.count_ones() };
        Support { place, score: share + FACTS * facts, share, found }
    }

    /// The pieces that a sentence in another language translates, as far as its facts show.
    fn foreign(&self, statement: &Statement) -> Option<Vec<usize>> {
        let mut quotable: Vec<usize> = self.quotable().collect();
        let had = |place: usize| statement.needs.len() - Facts::missing(&statement.needs, &[&self.facts[place]]).len();
        let words = |place: usize| statement.terms.find(self.cut.words(self.cut.pieces[place])).0.count_ones();
        let most = quotable.iter().map(|place| (had(*place), words(*place))).max()?;
        let (first, last) = (self.cut.pieces.first()?.start, self.cut.pieces.last()?.end);
        let denies = statement.facts.denies();
        if most == (0, 0) {
            if quotable.iter().any(|place| self.facts[*place].denies() != denies) {
                quotable.retain(|place| self.facts[*place].denies() == denies);
                quotable.truncate(1);
            } else if last - first > SHORT {
                quotable.truncate(1);
            }
            return (!quotable.is_empty()).then_some(quotable);
        }
        quotable.retain(|place| (had(*place), words(*place)) == most);
        let same = quotable.iter().find(|place| self.facts[**place].denies() == denies);
        Some(vec![*same.or(quotable.first())?])
    }
}

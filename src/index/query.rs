//! A question to the terms it is searched by.
//!
//! Its words come first, as its language and the index's read them. What an index says in another way is looked for beside
//! them, by what stands in its term dictionary: a code in one piece or in several, letters with their marks written out,
//! a compound's parts, a compound of two of the question's words, and for words that stand nowhere their nearest relatives.
//! Nothing is looked for that the index does not hold, so all this costs a few look-ups in the dictionary.

use std::collections::BTreeSet;

use super::analysis;
use super::language::UNKNOWN;
use super::mix::Mix;
use super::wanted::Wanted;
use crate::domain::compounds::{SHORTEST_COMPOUND, SHORTEST_PART, holds, joins, splits};
use crate::domain::languages::COMPOUNDING;
use crate::domain::{fold, is_function_word, spelled_out};

/// What a part weighs of a word that stands in the index as a whole: whole words go before parts.
const PART: f32 = 0.25;
/// What a part, or a relative, weighs of a word that stands nowhere.
const ALONE: f32 = 0.8;
/// Words of a question whose pairs are tried as compounds; more would cost more look-ups than they find.
const JOINED: usize = 6;
/// Relatives of one word that are looked for.
const RELATIVES: usize = 8;
/// Terms that are read of the dictionary to find them.
pub(super) const READ: usize = 256;
/// Letters of a word that stands nowhere, for its relatives to be looked for.
const SHORTEST_RELATIVE: usize = 5;
/// Letters by which a relative's ending may differ.
const ENDING: usize = 3;
/// Longest code typed in pieces, in words.
const PIECES: usize = 4;

/// The term dictionary of an index.
pub(super) trait Vocabulary {
    /// Chunks that `term` stands in.
    fn chunks_with(&self, term: &str) -> tantivy::Result<u64>;
    /// The first [`READ`] terms that begin with `begin`, with the chunks each stands in.
    fn beginning_with(&self, begin: &str) -> tantivy::Result<Vec<(String, u64)>>;
}

/// How a question is read.
pub(super) struct Reader<'a> {
    /// The languages, its own first.
    languages: Vec<&'a str>,
    /// The language whose function words are left out.
    plain: &'a str,
    /// Whether words may be compounds.
    compounding: bool,
}

impl<'a> Reader<'a> {
    /// Reads questions in the language `asked` to an index of this `mix`: as that language does, as the index's main one does
    /// if that is another, and as they stand if some documents are in no known language.
    pub fn new(asked: &'a str, mix: &'a Mix) -> Self {
        let main = mix.dominant().unwrap_or(asked);
        let mut languages = vec![asked];
        languages.extend((main != asked).then_some(main));
        languages.extend((mix.has(UNKNOWN) && asked != UNKNOWN).then_some(UNKNOWN));
        let plain = if asked == UNKNOWN { main } else { asked };
        let compounding = plain == UNKNOWN || COMPOUNDING.iter().any(|one| *one == asked || *one == main);
        Self { languages, plain, compounding }
    }

    /// The terms that `question` is searched by.
    pub fn wanted(&self, question: &str, vocabulary: &dyn Vocabulary) -> tantivy::Result<Wanted> {
        let words = analysis::words_to_find(question, self.plain);
        let readings = self.languages.iter().map(|language| analysis::analysed(&words, language));
        let wanted = Wanted::of(readings);
        let mut search = Search { reader: self, vocabulary, wanted };
        let words: Vec<&str> = words.split_whitespace().collect();
        let mut seen = BTreeSet::new();
        for (place, word) in words.iter().enumerate() {
            if seen.insert(*word) {
                search.spread(place, word)?;
            }
        }
        search.codes(question, &words)?;
        if self.compounding {
            search.compounds_of(&words)?;
        }
        Ok(search.wanted)
    }

    /// What each of `words` is as a term, by language: `[languages][words]`, empty where it is none.
    fn read(&self, words: &[String]) -> Vec<Vec<String>> {
        let text = words.join(" ");
        let read = |language: &&str| {
            let mut terms = vec![String::new(); words.len()];
            for (place, term) in analysis::analysed(&text, language) {
                terms[place] = term;
            }
            terms
        };
        self.languages.iter().map(read).collect()
    }
}

/// A question's terms as they are gathered.
struct Search<'a> {
    reader: &'a Reader<'a>,
    vocabulary: &'a dyn Vocabulary,
    wanted: Wanted,
}

impl Search<'_> {
    /// Adds what else the word at `place` may be in the index.
    fn spread(&mut self, place: usize, word: &str) -> tantivy::Result<()> {
        if word.contains(|c: char| c.is_ascii_digit()) {
            return self.pieces(word);
        }
        if !word.chars().all(char::is_alphabetic) || runs_on(word) {
            return Ok(());
        }
        self.spellings(place, word)?;
        let known = self.is_known(word)?;
        let parted = self.reader.compounding && self.parts(word, known)?;
        if !known && !parted {
            self.relatives(word)?;
        }
        Ok(())
    }

    /// Whether the index has `word` in any reading.
    fn is_known(&self, word: &str) -> tantivy::Result<bool> {
        for terms in self.reader.read(&[word.to_owned()]) {
            if self.holds(&terms[0])? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn holds(&self, term: &str) -> tantivy::Result<bool> {
        Ok(!term.is_empty() && self.vocabulary.chunks_with(term)? > 0)
    }

    /// `kuendigung` for `kündigung`, and the other way round, as forms of one word.
    fn spellings(&mut self, place: usize, word: &str) -> tantivy::Result<()> {
        let other = spelled_out(word).or_else(|| with_marks(word));
        let Some(other) = other else { return Ok(()) };
        for terms in self.reader.read(&[other]) {
            if self.holds(&terms[0])? {
                self.wanted.add_form(place, &terms[0]);
            }
        }
        Ok(())
    }

    /// The letters and digits of a code apart: `zk` and `310` of `zk310`.
    fn pieces(&mut self, word: &str) -> tantivy::Result<()> {
        let pieces = pieces_of(word);
        if pieces.len() < 2 {
            return Ok(());
        }
        for piece in &pieces {
            if !self.holds(piece)? {
                return Ok(());
            }
        }
        let weight = if self.holds(word)? { PART } else { ALONE };
        for piece in pieces {
            self.wanted.add(piece, weight);
        }
        Ok(())
    }

    /// The codes of the question in one piece, where the index has them so.
    fn codes(&mut self, question: &str, words: &[&str]) -> tantivy::Result<()> {
        let mut codes: BTreeSet<String> = analysis::codes(question).split_whitespace().map(str::to_owned).collect();
        for first in 0..words.len() {
            for pieces in 2..=PIECES.min(words.len() - first) {
                let run = &words[first..first + pieces];
                let has_digit = run.iter().any(|word| word.contains(|c: char| c.is_ascii_digit()));
                if has_digit && run.iter().all(|word| word.len() <= 6 && word.is_ascii()) {
                    codes.insert(run.concat());
                }
            }
        }
        for code in codes {
            if self.holds(&code)? {
                self.wanted.add(&code, 1.0);
            }
        }
        Ok(())
    }

    /// The two parts of a compound that the index knows best; whether there are any.
    fn parts(&mut self, word: &str, known: bool) -> tantivy::Result<bool> {
        if word.chars().count() < SHORTEST_COMPOUND {
            return Ok(false);
        }
        let splits: Vec<(&str, &str)> =
            splits(word).filter(|(head, tail)| !is_function_word(head) && !is_function_word(tail)).collect();
        let words: Vec<String> =
            splits.iter().flat_map(|(head, tail)| [(*head).to_owned(), (*tail).to_owned()]).collect();
        let mut best: Option<(u64, [&String; 2])> = None;
        let readings = self.reader.read(&words);
        for terms in &readings {
            for pair in terms.chunks_exact(2) {
                let rarer = self.count(&pair[0])?.min(self.count(&pair[1])?);
                // Among parts that both stand in the index, those are most likely meant that stand there most.
                if rarer > 0 && best.as_ref().is_none_or(|(most, _)| rarer > *most) {
                    best = Some((rarer, [&pair[0], &pair[1]]));
                }
            }
        }
        let Some((_, parts)) = best else { return Ok(false) };
        for part in parts {
            self.wanted.add(part, if known { PART } else { ALONE });
        }
        Ok(true)
    }

    fn count(&self, term: &str) -> tantivy::Result<u64> {
        if term.chars().count() < SHORTEST_PART { Ok(0) } else { self.vocabulary.chunks_with(term) }
    }

    /// The compounds that two of the question's words make.
    fn compounds_of(&mut self, words: &[&str]) -> tantivy::Result<()> {
        let plain = |word: &&&str| word.chars().count() >= SHORTEST_PART && word.chars().all(char::is_alphabetic);
        let words: Vec<&str> =
            words.iter().filter(plain).filter(|word| !is_function_word(word)).copied().take(JOINED).collect();
        let stems = self.reader.read(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let mut made = BTreeSet::new();
        for (head, at) in words.iter().zip(0..) {
            let stem = stems.first().map_or("", |stems: &Vec<String>| stems[at].as_str());
            for tail in words.iter().filter(|tail| *tail != head) {
                made.extend([*head, stem].iter().filter(|head| !head.is_empty()).flat_map(|head| joins(head, tail)));
            }
        }
        let made: Vec<String> = made.into_iter().collect();
        for terms in self.reader.read(&made) {
            for term in terms {
                if self.holds(&term)? {
                    self.wanted.add(&term, 1.0);
                }
            }
        }
        Ok(())
    }

    /// The terms nearest to a word that stands nowhere: with another ending, or compounds that it begins or ends.
    fn relatives(&mut self, word: &str) -> tantivy::Result<()> {
        let read = self.reader.read(&[word.to_owned()]);
        let plain = fold(word);
        let mut found: Vec<(u64, String)> = Vec::new();
        for (terms, language) in read.iter().zip(&self.reader.languages) {
            let term = &terms[0];
            if term.chars().count() < SHORTEST_RELATIVE {
                continue;
            }
            if self.reader.compounding {
                for part in BTreeSet::from([term.as_str(), plain.as_str()]) {
                    self.wholes(part, &mut found)?;
                }
            }
            if !analysis::has_stemmer(language) {
                let begin: String = term.chars().take(root(term)).collect();
                let others = self.vocabulary.beginning_with(&begin)?;
                found.extend(
                    others.into_iter().filter(|(other, _)| is_form(term, other)).map(|(other, count)| (count, other)),
                );
            }
        }
        found.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        for (_, other) in found.into_iter().take(RELATIVES) {
            self.wanted.add(&other, ALONE);
        }
        Ok(())
    }

    /// Adds the compounds that `part` begins or ends.
    fn wholes(&self, part: &str, found: &mut Vec<(u64, String)>) -> tantivy::Result<()> {
        let begun = self.vocabulary.beginning_with(part)?.into_iter();
        found.extend(begun.filter(|(whole, _)| holds(whole, part)).map(|(whole, count)| (count, whole)));
        for (backwards, count) in self.vocabulary.beginning_with(&analysis::backwards(part))? {
            let whole: String = backwards.chars().rev().take(backwards.chars().count() - 1).collect();
            found.extend(holds(&whole, part).then_some((count, whole)));
        }
        Ok(())
    }
}

/// Letters of `term` that its other forms share: two thirds at least, and all but [`ENDING`].
fn root(term: &str) -> usize {
    let letters = term.chars().count();
    letters.saturating_sub(ENDING).max(letters * 2 / 3).max(SHORTEST_RELATIVE - 1)
}

/// Whether two terms that begin alike are one word with another ending.
fn is_form(term: &str, other: &str) -> bool {
    let same = term.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let rest = term.chars().count().max(other.chars().count()) - same;
    rest <= ENDING && other.chars().all(char::is_alphabetic)
}

/// `kündigung` of `kuendigung`, where a word may be written out so.
fn with_marks(word: &str) -> Option<String> {
    if !["ae", "oe", "ue", "aa"].iter().any(|letters| word.contains(letters)) {
        return None;
    }
    Some(word.replace("ae", "ä").replace("oe", "ö").replace("ue", "ü").replace("aa", "å"))
}

/// A word cut where letters meet digits.
fn pieces_of(word: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut begin = 0;
    let chars: Vec<(usize, char)> = word.char_indices().collect();
    for pair in chars.windows(2) {
        if pair[0].1.is_alphabetic() != pair[1].1.is_alphabetic() {
            pieces.push(&word[begin..pair[1].0]);
            begin = pair[1].0;
        }
    }
    pieces.push(&word[begin..]);
    pieces
}

/// Whether a word is a pair of characters of a script without spaces.
fn runs_on(word: &str) -> bool {
    word.chars().next().is_some_and(super::cutter::runs_on)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A dictionary of the terms of some texts.
    struct Texts(BTreeMap<String, u64>);

    impl Vocabulary for Texts {
        fn chunks_with(&self, term: &str) -> tantivy::Result<u64> {
            Ok(self.0.get(term).copied().unwrap_or(0))
        }

        fn beginning_with(&self, begin: &str) -> tantivy::Result<Vec<(String, u64)>> {
            let terms = self.0.range(begin.to_owned()..).take_while(|(term, _)| term.starts_with(begin));
            Ok(terms.map(|(term, count)| (term.clone(), *count)).collect())
        }
    }

    /// What is looked for of `question` in an index of these texts in `language`, with weights.
    fn wanted(language: &str, question: &str, texts: &[&str]) -> Vec<(String, f32)> {
        let mut counts = BTreeMap::new();
        for text in texts {
            for term in analysis::terms(text, language).into_iter().collect::<BTreeSet<_>>() {
                *counts.entry(term).or_default() += 1;
            }
        }
        let mix = Mix::of(&[(language, 400)]);
        let wanted = Reader::new(language, &mix).wanted(question, &Texts(counts)).unwrap();
        wanted.iter().map(|(term, form)| (term.clone(), form.weight)).collect()
    }

    fn weight(language: &str, question: &str, text: &str, term: &str) -> f32 {
        let wanted = wanted(language, question, &[text]);
        wanted.iter().find(|(found, _)| found == term).map_or(0.0, |(_, weight)| *weight)
    }

    fn is(weight: f32, wanted: f32) -> bool {
        (weight - wanted).abs() < 1e-6
    }

    #[test]
    fn the_parts_of_a_compound_are_looked_for_and_weigh_less_than_the_whole() {
        let text = "Jedem stehen 28 Tage Urlaub zu.";
        assert!(is(weight("de", "Urlaubstage", text, "urlaub"), ALONE));
        assert!(is(weight("de", "Urlaubstage", text, "tag"), ALONE));
        let both = "Jedem stehen 28 Tage Urlaub zu. Urlaubstage sind frei.";
        assert!(is(weight("de", "Urlaubstage", both, "urlaubstag"), 1.0));
        assert!(is(weight("de", "Urlaubstage", both, "urlaub"), PART));
        assert_eq!(wanted("en", "warehouse", &["the ware of a house"]).len(), 1, "English writes words apart");
    }

    #[test]
    fn a_compound_is_found_by_its_parts() {
        let text = "Die Kündigungsfrist beträgt drei Monate.";
        assert!(is(weight("de", "Frist für die Kündigung", text, "kundigungsfrist"), 1.0));
        assert!(is(weight("de", "Welche Frist gilt?", text, "kundigungsfrist"), ALONE), "by its end");
        assert!(is(weight("de", "Wie geht eine Kündigung?", text, "kundigungsfrist"), ALONE), "by its begin");
        assert!(is(weight("nl", "de opzegging", "De opzeggingstermijn is kort.", "opzeggingstermijn"), ALONE));
    }

    #[test]
    fn a_code_is_looked_for_in_one_piece_and_in_several() {
        assert!(is(weight("en", "ZK310", "Machine ZK-310", "zk"), PART));
        assert!(is(weight("en", "ZK310", "Machine ZK 310", "310"), ALONE));
        assert!(is(weight("en", "zk 310", "Machine ZK310", "zk310"), 1.0));
        assert!(is(weight("en", "HX 4810 B", "Part HX-4810-B", "hx4810b"), 1.0));
        assert!(is(weight("en", "4200", "4,200 turns", "4200"), 1.0));
    }

    #[test]
    fn letters_are_written_out_or_not() {
        assert!(weight("sv", "Aarhus", "Århus är en stad.", "arhus") > 0.0);
        assert!(weight("und", "Kuendigung", "Kündigung", "kundigung") > 0.0);
        assert!(weight("und", "Kündigung", "Kuendigung", "kuendigung") > 0.0);
    }

    #[test]
    fn a_word_that_stands_nowhere_is_looked_for_with_other_endings_where_no_stemmer_knows_them() {
        assert!(is(weight("cs", "dovolena", "25 dní dovolené", "dovolene"), ALONE));
        assert!(is(weight("pl", "urlopow", "26 dni urlopu", "urlopu"), ALONE));
        assert!(weight("en", "refunding", "refuse", "refus").abs() < f32::EPSILON);
    }
}

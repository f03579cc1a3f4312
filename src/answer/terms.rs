//! Words that carry a question's meaning, and how to find them in text of any language.
//!
//! A word is a run of letters and digits, in scripts without spaces a pair of neighbouring characters. Two words match
//! when they are equal or differ only in a short ending, which does for most languages what a stemmer does for one; the
//! marks of letters never decide. A code matches however its pieces are parted, and a compound also matches its parts.

use super::words::{self, Gap, for_each_word, is_unspaced};
use crate::domain::compounds::{self, Compound, Parts};
use crate::domain::is_function_word;
use crate::domain::languages::may_compound;

/// Words kept of a question or statement; beyond that they say nothing new about which sentence fits.
const MOST: usize = 64;
/// Digits parted by blanks are one number from this many on: an account's or a telephone's.
const LONG_NUMBER: usize = 8;
/// Longest code that is looked for in pieces, bytes.
const LONGEST_CODE: usize = 40;

/// Which terms something has: bit `i` for term `i`.
pub(super) type Mask = u64;

/// The words that carry a text's meaning, each once, at most 64.
#[derive(Debug)]
pub(super) struct Terms {
    words: Vec<Word>,
    /// Neighbouring words that may also be written as one, and which terms they are.
    runs: Vec<(String, Mask)>,
    /// Whether any word begins with this byte; most words of a text are ruled out by it.
    begins: [bool; 256],
    /// Whether words may be compounds.
    compounding: bool,
}

#[derive(Debug)]
struct Word {
    folded: String,
    /// With its marks written out: `kuendigung`.
    spelled: Option<String>,
    weight: f32,
    /// Numbers match only as they are.
    exact: bool,
    /// Its parts, where it may be made of some.
    compound: Option<Compound>,
}

impl Terms {
    /// The terms of `text`. Function words are left out, unless there are no others.
    pub(super) fn of(text: &str) -> Self {
        Self::reading(text, may_compound(text))
    }

    /// The terms of `text`, whose words may be compounds or not.
    pub(super) fn reading(text: &str, compounding: bool) -> Self {
        let mut all: Vec<Word> = Vec::new();
        let mut order: Vec<(String, Gap)> = Vec::new();
        for_each_word(text, |word| {
            if all.len() < MOST && all.iter().all(|known| known.folded != word.folded) {
                all.push(Word::new(word, compounding));
            }
            if order.len() < MOST {
                order.push((word.folded.to_owned(), word.gap));
            }
        });
        if all.iter().any(|word| word.weight > 0.0) {
            all.retain(|word| word.weight > 0.0);
        } else {
            for word in &mut all {
                word.weight = 1.0;
            }
        }
        let mut begins = [false; 256];
        for word in &all {
            begins[usize::from(word.folded.as_bytes()[0])] = true;
        }
        let runs = runs(&order, &all);
        Self { words: all, runs, begins, compounding }
    }

    /// How many terms there are.
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether most terms are pairs of characters.
    pub(super) fn are_pairs(&self) -> bool {
        let pairs = self.words.iter().filter(|word| word.folded.starts_with(is_unspaced)).count();
        pairs * 2 > self.words.len()
    }

    /// Which terms `text` has, and how many words it has in all.
    pub(super) fn find(&self, text: &str) -> (Mask, usize) {
        self.find_in(&[text])
    }

    /// Which terms these texts have together, and how many words: the parts of a compound may stand in several.
    pub(super) fn find_in(&self, texts: &[&str]) -> (Mask, usize) {
        let mut found = Found { terms: self, mask: 0, count: 0, parts: vec![Parts::default(); self.words.len()] };
        for text in texts {
            let mut code = Pieces::default();
            for_each_word(text, |word| found.take(word, &mut code));
        }
        (found.mask | found.compounds(), found.count)
    }

    /// Weight of the terms in `mask`, by `weigh(term, weight)`.
    pub(super) fn sum(&self, mask: Mask, weigh: impl Fn(usize, f32) -> f32) -> f32 {
        let present = self.words.iter().enumerate().filter(|(term, _)| mask & (1 << term) != 0);
        present.map(|(term, word)| weigh(term, word.weight)).sum()
    }

    /// Share of the terms' weight that `mask` has, 0 to 1; 0 when there are no terms.
    pub(super) fn share(&self, mask: Mask) -> f32 {
        let all = self.sum(Mask::MAX, |_, weight| weight);
        if all > 0.0 { self.sum(mask, |_, weight| weight) / all } else { 0.0 }
    }

    fn matching(&self, found: &words::Word) -> Mask {
        let matching = self.words.iter().enumerate().filter(|(_, word)| word.is(found));
        matching.fold(0, |mask, (term, _)| mask | 1 << term)
    }

    /// The terms that may stand in several pieces in a text: codes and the longer numbers.
    fn codes(&self) -> impl Iterator<Item = (usize, &str)> {
        let codes = self.words.iter().enumerate().filter(|(_, word)| word.exact && word.folded.len() > 2);
        codes.map(|(term, word)| (term, word.folded.as_str()))
    }
}

/// Runs of neighbouring words with a digit in them that a text may write as one: `zk 310` as `zk310`, `4,200` as `4200`.
fn runs(order: &[(String, Gap)], words: &[Word]) -> Vec<(String, Mask)> {
    let mut runs = Vec::new();
    for (first, (begin, _)) in order.iter().enumerate() {
        let mut pieces = Pieces::default();
        pieces.add(begin, Gap::Far);
        let mut mask = mask_of(words, begin);
        for (word, gap) in &order[first + 1..] {
            if *gap == Gap::Far || pieces.joined.len() + word.len() > LONGEST_CODE {
                break;
            }
            pieces.add(word, *gap);
            mask |= mask_of(words, word);
            let has_digit = pieces.joined.contains(char::is_numeric);
            if has_digit && pieces.is_one(0) && mask != 0 {
                runs.push((pieces.joined.clone(), mask));
            }
        }
    }
    runs
}

fn mask_of(words: &[Word], folded: &str) -> Mask {
    words.iter().position(|word| word.folded == folded).map_or(0, |term| 1 << term)
}

/// What was found of the terms so far.
struct Found<'a> {
    terms: &'a Terms,
    mask: Mask,
    count: usize,
    /// For each term the parts that were seen of it.
    parts: Vec<Parts>,
}

impl Found<'_> {
    fn take(&mut self, word: &words::Word, code: &mut Pieces) {
        self.count += 1;
        let terms = self.terms;
        if terms.begins[usize::from(word.folded.as_bytes()[0])] {
            self.mask |= terms.matching(word);
        }
        let runs = terms.runs.iter().filter(|(run, _)| run == word.folded);
        self.mask |= runs.fold(0, |mask, (_, run)| mask | run);
        code.add(word.folded, word.gap);
        for (term, wanted) in terms.codes() {
            if code.end_in(wanted) {
                self.mask |= 1 << term;
            }
        }
        if terms.compounding {
            self.take_part(word.folded);
        }
    }

    /// Takes a word that may be a part of a term, or have a term as its part.
    fn take_part(&mut self, folded: &str) {
        for (term, wanted) in self.terms.words.iter().enumerate() {
            if self.mask & 1 << term != 0 {
                continue;
            }
            if let Some(compound) = &wanted.compound {
                compound.see(folded, &mut self.parts[term]);
            }
            if compounds::holds(folded, &wanted.folded) {
                self.mask |= 1 << term;
            }
        }
    }

    /// The terms whose parts are all there.
    fn compounds(&self) -> Mask {
        let whole = self.terms.words.iter().zip(&self.parts).enumerate().filter(|(_, (word, parts))| {
            parts.any() && word.compound.as_ref().is_some_and(|compound| compound.is_whole(**parts))
        });
        whole.fold(0, |mask, (term, _)| mask | 1 << term)
    }
}

/// The last words of a text that may be pieces of one code.
#[derive(Debug, Default)]
struct Pieces {
    joined: String,
    /// Where each piece begins, and whether it is digits that a blank parts from those before it.
    begins: Vec<(usize, bool)>,
}

impl Pieces {
    fn add(&mut self, word: &str, gap: Gap) {
        if gap == Gap::Far || self.joined.len() + word.len() > 2 * LONGEST_CODE {
            self.joined.clear();
            self.begins.clear();
        }
        let digits = self.joined.ends_with(char::is_numeric) && word.starts_with(char::is_numeric);
        self.begins.push((self.joined.len(), digits && gap == Gap::Blank));
        self.joined.push_str(word);
    }

    /// Whether the last pieces, two at least, are `code`.
    fn end_in(&self, code: &str) -> bool {
        let Some(begin) = self.joined.len().checked_sub(code.len()) else { return false };
        let piece = self.begins.iter().position(|(at, _)| *at == begin);
        self.joined.ends_with(code) && piece.is_some_and(|piece| piece + 1 < self.begins.len() && self.is_one(piece))
    }

    /// Whether the pieces from `piece` on are one code or number: two counts side by side are not.
    fn is_one(&self, piece: usize) -> bool {
        let counts = self.begins[piece + 1..].iter().any(|(_, counts)| *counts);
        !counts || self.joined.len() - self.begins[piece].0 >= LONG_NUMBER
    }
}

impl Word {
    fn new(word: &words::Word, compounding: bool) -> Self {
        let folded = word.folded;
        let exact = folded.contains(char::is_numeric);
        let unspaced = folded.starts_with(is_unspaced);
        let weight = match folded.chars().count() {
            _ if is_function_word(word.written) => 0.0,
            _ if exact || unspaced => 1.0,
            // The longer a word, the rarer: few words say much in two or three letters.
            length @ 1..8 => 0.25 + 0.75 * f32::from(u8::try_from(length).unwrap_or(8)) / 8.0,
            _ => 1.0,
        };
        let compound = if compounding { Compound::new(folded) } else { None };
        Self { folded: folded.to_owned(), spelled: word.spelled.clone(), weight, exact, compound }
    }

    /// Whether a text's word is this one, the marks of either left out or written out.
    fn is(&self, found: &words::Word) -> bool {
        self.matches(found.folded)
            || self.spelled.as_deref() == Some(found.folded)
            || found.spelled.as_deref() == Some(&self.folded)
    }

    /// Equal, or one is the other with a usual ending, or both share at least four characters and at least as many as either has
    /// besides, which are at most four.
    fn matches(&self, other: &str) -> bool {
        if self.folded == other {
            return true;
        }
        if self.exact || self.folded.as_bytes()[0] != other.as_bytes()[0] {
            return false;
        }
        let (mut a, mut b) = (self.folded.chars(), other.chars());
        let mut alike = 0;
        loop {
            let (left, right) = (a.clone(), b.clone());
            match (a.next(), b.next()) {
                (Some(x), Some(y)) if x == y => alike += 1,
                _ => {
                    if alike >= 3 && is_ending(left.as_str(), right.as_str()) {
                        return true;
                    }
                    return alike >= 4 && left.count().max(right.count()) <= alike.min(4);
                }
            }
        }
    }
}

/// Whether one rest of two words is empty and the other an ending that even short words have: `oil`, `oiled`.
fn is_ending(left: &str, right: &str) -> bool {
    let usual = |ending: &str| matches!(ending, "s" | "es" | "ed" | "er" | "ing");
    left.is_empty() && usual(right) || right.is_empty() && usual(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(question: &str, text: &str) -> bool {
        let terms = Terms::of(question);
        (terms.share(terms.find(text).0) - 1.0).abs() < 1e-6
    }

    #[test]
    fn marks_of_letters_never_decide() {
        for (question, text) in [
            ("haslo", "Hasło musi mieć dwanaście znaków."),
            ("Kdy prichazi vyplata?", "Výplata přichází desátého."),
            ("szabadsag", "A szabadság 25 nap."),
            ("izin gunu", "İzin günü sayısı 14."),
            ("Kuendigung", "Die Kündigung ist schriftlich."),
            ("Kündigung", "Die Kuendigung ist schriftlich."),
            ("smørrebrød", "Smorrebrod serveres."),
            ("re\u{301}sume\u{301}", "The résumé is kept."),
            ("concediu sărbători", "Concediu si sarbatori."),
        ] {
            assert!(has(question, text), "{question}");
        }
    }

    #[test]
    fn a_code_matches_however_its_pieces_are_parted() {
        for (question, text) in [
            ("ZK310", "Machine ZK-310 stands in hall 2."),
            ("zk 310", "Machine ZK310 stands in hall 2."),
            ("ZK-310", "Machine zk_310 stands in hall 2."),
            ("HX4810B", "Part HX-4810-B."),
            ("hx 4810 b", "Part HX4810B."),
            ("4200", "It turns 4,200 times."),
            ("4,200", "It turns 4200 times."),
            ("DE89370400440532013000", "IBAN DE89 3704 0044 0532 0130 00"),
        ] {
            assert!(has(question, text), "{question}");
        }
        for (question, text) in [
            ("ZK310", "ZK-301 in hall 310"),
            ("2025", "between 20 25 and 30"),
            ("ZK310", "ZK-3101"),
            ("20 25", "in 2025"),
        ] {
            assert!(!has(question, text), "{question}");
        }
    }

    #[test]
    fn a_compound_matches_its_parts_and_a_part_its_compound_but_not_in_english() {
        for (question, text) in [
            ("Urlaubstage", "Jedem stehen 28 Tage Urlaub im Jahr zu."),
            ("Kündigungsfrist", "Die Frist für die Kündigung beträgt drei Monate."),
            ("Wie ist die Frist?", "Die Kündigungsfrist beträgt drei Monate."),
            ("vakantiedagen", "Iedereen heeft 25 dagen vakantie."),
            ("semesterdagar", "Alla får 25 dagar semester."),
        ] {
            assert!(has(question, text), "{question}");
        }
        assert!(!has("Hotelkosten", "Das Hotel liegt am See."));
        assert!(!has("What is the light for?", "This is the highlight of the day."));
        let terms = Terms::of("Mietkaution");
        assert_ne!(terms.find_in(&["Miete", "Die Kaution beträgt viel."]).0, 0, "its parts stand in two texts");
    }

    #[test]
    fn words_that_differ_in_their_ending_match() {
        for (a, b, alike) in [
            ("announced", "announcement", true),
            ("policy", "policies", true),
            ("tenants", "tenant", true),
            ("fee", "fees", true),
            ("fee", "feel", false),
            ("oiled", "oil", true),
            ("oil", "oiling", true),
            ("Häuser", "Häusern", true),
            ("государство", "государства", true),
            ("2023", "2024", false),
            ("port8080", "port8081", false),
            ("inter", "international", false),
            ("cat", "cat", true),
            ("المدينة", "المدرسة", false),
            ("المدينة", "مدينة", true),
        ] {
            assert_eq!(Terms::of(a).find(b).0 != 0, alike, "{a} {b}");
        }
    }

    #[test]
    fn function_words_count_only_when_there_are_no_others() {
        let terms = Terms::of("What is the limit of a tenant?");
        assert_eq!(terms.len(), 2);
        let share = terms.share(terms.find("The limits").0);
        assert!(0.4 < share && share < 0.5, "{share}: the longer word weighs more");
        assert_eq!(Terms::of("who is it").len(), 3);
        assert_eq!((Terms::of("Was ist der Preis?").len(), Terms::of("Кто такой Ленин?").len()), (1, 2));
        assert!(Terms::of("?!").len() == 0 && Terms::of("?!").share(0).abs() < 1e-6);
    }

    #[test]
    fn a_question_of_thousands_of_words_is_cut() {
        let long = (0..5000).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(Terms::of(&long).len(), MOST);
    }
}

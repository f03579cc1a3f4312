//! Words that carry a question's meaning, and how to find them in text of any language.
//!
//! A word is a run of letters and digits, in scripts without spaces a pair of neighbouring characters. Two words match
//! when they are equal or differ only in a short ending, which does for most languages what a stemmer does for one.

use crate::domain::is_function_word;

/// Words kept of a question or statement; beyond that they say nothing new about which sentence fits.
const MOST: usize = 64;

/// Which terms something has: bit `i` for term `i`.
pub(super) type Mask = u64;

/// The words that carry a text's meaning, each once, at most 64.
#[derive(Debug)]
pub(super) struct Terms {
    words: Vec<Word>,
    /// Whether any word begins with this byte; most words of a text are ruled out by it.
    begins: [bool; 256],
}

#[derive(Debug)]
struct Word {
    folded: String,
    weight: f32,
    /// Numbers match only as they are.
    exact: bool,
}

impl Terms {
    /// The terms of `text`. Function words are left out, unless there are no others.
    pub(super) fn of(text: &str) -> Self {
        let mut all: Vec<Word> = Vec::new();
        for_each_word(text, |folded| {
            if all.len() < MOST && all.iter().all(|word| word.folded != folded) {
                all.push(Word::new(folded));
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
        Self { words: all, begins }
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
        let (mut mask, mut count) = (0, 0);
        for_each_word(text, |folded| {
            count += 1;
            if self.begins[usize::from(folded.as_bytes()[0])] {
                mask |= self.matching(folded);
            }
        });
        (mask, count)
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

    /// Whether `mask` has every term that holds a digit.
    pub(super) fn has_all_numbers(&self, mask: Mask) -> bool {
        self.words.iter().enumerate().all(|(term, word)| !word.exact || mask & (1 << term) != 0)
    }

    fn matching(&self, folded: &str) -> Mask {
        let matching = self.words.iter().enumerate().filter(|(_, word)| word.matches(folded));
        matching.fold(0, |mask, (term, _)| mask | 1 << term)
    }
}

impl Word {
    fn new(folded: &str) -> Self {
        let exact = folded.contains(char::is_numeric);
        let unspaced = folded.starts_with(is_unspaced);
        let weight = match folded.chars().count() {
            _ if is_function_word(folded) => 0.0,
            _ if exact || unspaced => 1.0,
            // The longer a word, the rarer: few words say much in two or three letters.
            length @ 1..8 => 0.25 + 0.75 * f32::from(u8::try_from(length).unwrap_or(8)) / 8.0,
            _ => 1.0,
        };
        Self { folded: folded.to_owned(), weight, exact }
    }

    /// Equal, or one is the other with an `s`, or both share at least four characters and at least as many as either has
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
                    if alike >= 3 && matches!((left.as_str(), right.as_str()), ("", "s") | ("s", "")) {
                        return true;
                    }
                    return alike >= 4 && left.count().max(right.count()) <= alike.min(4);
                }
            }
        }
    }
}

/// An Arabic word without the article and the particles written onto it, which would make half of all words alike.
fn without_article(word: &str) -> &str {
    let bare = ["وال", "بال", "كال", "فال", "لل", "ال"].iter().find_map(|article| word.strip_prefix(article));
    bare.filter(|bare| bare.chars().nth(1).is_some()).unwrap_or(word)
}

/// Calls `take` with every word of `text` in lower case; a word is never empty.
fn for_each_word(text: &str, mut take: impl FnMut(&str)) {
    let mut word = String::with_capacity(32);
    let mut before: Option<char> = None;
    for c in text.chars() {
        if is_unspaced(c) {
            flush(&mut word, &mut take);
            if let Some(before) = before {
                word.extend([before, c]);
                flush(&mut word, &mut take);
            }
            before = Some(c);
            continue;
        }
        before = None;
        if c.is_ascii_alphanumeric() {
            word.push(c.to_ascii_lowercase());
        } else if !c.is_ascii() && is_part_of_word(c) {
            word.extend(c.to_lowercase());
        } else {
            flush(&mut word, &mut take);
        }
    }
    flush(&mut word, &mut take);
}

fn flush(word: &mut String, take: &mut impl FnMut(&str)) {
    if !word.is_empty() {
        take(without_article(word));
        word.clear();
    }
}

/// Scripts that write no spaces between words: Thai, Lao, Myanmar, Khmer, kana, Chinese characters.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// Letters, digits, and signs that are written onto letters.
fn is_part_of_word(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(c, '\u{300}'..='\u{36f}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{900}'..='\u{dff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut words = Vec::new();
        for_each_word(text, |word| words.push(word.to_owned()));
        words
    }

    #[test]
    fn words_are_runs_of_letters_or_pairs_of_characters() {
        assert_eq!(
            words("Top-K of 3, O'Neil's naïve ÄRGER"),
            ["top", "k", "of", "3", "o", "neil", "s", "naïve", "ärger"]
        );
        assert_eq!(words("東京タワーの高さ ok"), ["東京", "京タ", "タワ", "ワー", "ーの", "の高", "高さ", "ok"]);
        assert_eq!(words("हिन्दी में"), ["हिन्दी", "में"]);
        assert_eq!(words(" …! "), Vec::<String>::new());
    }

    #[test]
    fn words_that_differ_in_their_ending_match() {
        for (a, b, alike) in [
            ("announced", "announcement", true),
            ("policy", "policies", true),
            ("tenants", "tenant", true),
            ("fee", "fees", true),
            ("fee", "feel", false),
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

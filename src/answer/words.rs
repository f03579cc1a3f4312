//! The words of a text as they are compared: folded, in scripts without spaces pairs of neighbouring characters.

use unicode_normalization::UnicodeNormalization;

use crate::domain::{fold, is_sign, spelled_out};

/// What stands between a word and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    /// Nothing, or one sign that parts the pieces of a code.
    Sign,
    /// A blank alone.
    Blank,
    /// Anything else, or the begin of the text.
    Far,
}

/// A word of a text.
#[derive(Debug)]
pub(super) struct Word<'a> {
    /// In small letters, with their marks.
    pub written: &'a str,
    /// As it is compared; never empty.
    pub folded: &'a str,
    /// With its marks written out, where they can be.
    pub spelled: Option<String>,
    /// What stands before it.
    pub gap: Gap,
}

/// Calls `take` with every word of `text`.
pub(super) fn for_each_word(text: &str, take: impl FnMut(&Word<'_>)) {
    let mut cutter = Cutter { word: String::with_capacity(32), gap: Gap::Far, take };
    if text.is_ascii() { cutter.cut(text.chars()) } else { cutter.cut(text.nfkc()) }
}

/// Cuts characters into words.
struct Cutter<F> {
    word: String,
    /// What stands between this word and the one before it.
    gap: Gap,
    take: F,
}

impl<F: FnMut(&Word<'_>)> Cutter<F> {
    fn cut(&mut self, chars: impl Iterator<Item = char>) {
        let mut before: Option<char> = None;
        for c in chars {
            if is_unspaced(c) {
                self.flush();
                if let Some(before) = before {
                    self.word.extend([before, c]);
                    self.flush();
                }
                before = Some(c);
                continue;
            }
            before = None;
            if c.is_ascii_alphanumeric() {
                self.word.push(c.to_ascii_lowercase());
            } else if !c.is_ascii() && is_part_of_word(c) {
                self.word.extend(c.to_lowercase());
            } else if is_sign(c) {
                self.flush();
                self.word.push(c);
                self.flush();
                self.gap = Gap::Far;
            } else if !is_unseen(c) {
                self.part(c);
            }
        }
        self.flush();
    }

    /// Ends a word at `c`, or widens the gap by it.
    fn part(&mut self, c: char) {
        if self.word.is_empty() {
            self.gap = Gap::Far;
            return;
        }
        self.flush();
        self.gap = match c {
            '-' | '_' | '/' | '.' | ',' | '\u{2010}' | '\u{2013}' => Gap::Sign,
            ' ' => Gap::Blank,
            _ => Gap::Far,
        };
    }

    fn flush(&mut self) {
        if self.word.is_empty() {
            return;
        }
        if self.word.is_ascii() {
            (self.take)(&Word { written: &self.word, folded: &self.word, spelled: None, gap: self.gap });
        } else {
            let folded = fold(&self.word);
            let folded = without_article(&folded);
            if !folded.is_empty() {
                let spelled = spelled_out(&self.word);
                (self.take)(&Word { written: &self.word, folded, spelled, gap: self.gap });
            }
        }
        self.word.clear();
        self.gap = Gap::Sign;
    }
}

/// An Arabic word without the article and the particles written onto it, which would make half of all words alike.
fn without_article(word: &str) -> &str {
    let bare = ["وال", "بال", "كال", "فال", "لل", "ال"].iter().find_map(|article| word.strip_prefix(article));
    bare.filter(|bare| bare.chars().nth(1).is_some()).unwrap_or(word)
}

/// Scripts that write no spaces between words: Thai, Lao, Myanmar, Khmer, kana, Chinese characters.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// Letters, digits, and signs that are written onto letters.
fn is_part_of_word(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(c, '\u{300}'..='\u{36f}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{900}'..='\u{dff}')
}

/// Signs that nobody sees: soft hyphens, joiners, and what chooses the form of an emoji.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{fe0e}' | '\u{fe0f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut words = Vec::new();
        for_each_word(text, |word| words.push(word.folded.to_owned()));
        words
    }

    #[test]
    fn words_are_runs_of_letters_or_pairs_of_characters_without_marks() {
        assert_eq!(
            words("Top-K of 3, O'Neil's naïve ÄRGER"),
            ["top", "k", "of", "3", "o", "neil", "s", "naive", "arger"]
        );
        assert_eq!(words("東京タワーの高さ ok"), ["東京", "京タ", "タワ", "ワー", "ーの", "の高", "高さ", "ok"]);
        assert_eq!(words("हिन्दी में"), ["हिन्दी", "में"]);
        assert_eq!(
            words("Hasło łazienka nai\u{308}ve na\u{ad}ive ＡＢＣ"),
            ["haslo", "lazienka", "naive", "naive", "abc"]
        );
        assert_eq!(words("⚠️ stop 🍕, § 12"), ["⚠", "stop", "🍕", "§", "12"]);
        assert_eq!(words(" …! "), Vec::<String>::new());
    }

    #[test]
    fn a_word_knows_what_stands_before_it() {
        let mut gaps = Vec::new();
        for_each_word("ZK-310 zk  310, (a)", |word| gaps.push(word.gap));
        assert_eq!(gaps, [Gap::Far, Gap::Sign, Gap::Blank, Gap::Far, Gap::Far]);
    }
}

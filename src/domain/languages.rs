//! Which language a text is in, by the words that every text of it has.
//!
//! A sentence of five words has one or two that only its language has; trigrams need ten times as much. And a text without
//! any is no prose: logs, tables, code and lists of names have words, but none that join them.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use super::letters::fold;

/// The languages, BCP 47 primary, that write words together which others write apart.
pub const COMPOUNDING: [&str; 7] = ["de", "nl", "sv", "da", "nb", "fi", "hu"];

/// A word with the languages that have it, by their place in [`LANGUAGES`].
type Owners = Vec<u8>;

/// The languages of `common_words.txt`, in its order.
static LANGUAGES: LazyLock<Vec<&str>> =
    LazyLock::new(|| include_str!("common_words.txt").lines().filter_map(|line| line.split(' ').next()).collect());

/// Each word of `common_words.txt`, folded, with its languages.
static WORDS: LazyLock<HashMap<String, Owners>> = LazyLock::new(|| {
    let mut words: HashMap<String, Owners> = HashMap::new();
    for (language, line) in (0..).zip(include_str!("common_words.txt").lines()) {
        for word in line.split(' ').skip(1) {
            let owners = words.entry(fold(word)).or_default();
            if !owners.contains(&language) {
                owners.push(language);
            }
        }
    }
    words
});

/// How often a text has the common words of each language.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Telling {
    /// Words of letters in it.
    pub words: usize,
    /// Common words by language, most first; languages without any are left out.
    pub common: Vec<(&'static str, usize)>,
}

impl Telling {
    /// Counts the words of `text`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut words = 0;
        let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
        for word in text.split(|c: char| !c.is_alphanumeric() && c != '\u{301}').filter(|word| is_word(word)) {
            words += 1;
            for owner in WORDS.get(&fold(word)).into_iter().flatten() {
                *counts.entry(*owner).or_default() += 1;
            }
        }
        let mut common: Vec<(&'static str, usize)> =
            counts.into_iter().map(|(language, count)| (LANGUAGES[usize::from(language)], count)).collect();
        common.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Self { words, common }
    }

    /// How many common words of `language` there are.
    #[must_use]
    pub fn count(&self, language: &str) -> usize {
        self.common.iter().find(|(known, _)| *known == language).map_or(0, |(_, count)| *count)
    }

    /// The language with more common words than any other, and how many; none where two have as many.
    #[must_use]
    pub fn best(&self) -> Option<(&'static str, usize)> {
        let (language, count) = *self.common.first()?;
        let next = self.common.get(1).map_or(0, |(_, count)| *count);
        (count > next).then_some((language, count))
    }
}

/// Whether the common words of `language` are known, BCP 47 primary.
#[must_use]
pub fn is_known(language: &str) -> bool {
    LANGUAGES.contains(&language)
}

/// Whether a question may be in a language that writes words together: unless its own words say that it is in another.
#[must_use]
pub fn may_compound(question: &str) -> bool {
    let telling = Telling::of(question);
    let most = telling.common.first().map_or(0, |(_, count)| *count);
    most == 0 || COMPOUNDING.iter().any(|language| telling.count(language) == most)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphabetic() || c == '\u{301}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_tells_its_language_by_its_common_words() {
        for (text, language) in [
            ("What does a lost key cost?", "en"),
            ("Wie viele days of Urlaub habe ich?", "de"),
            ("Combien de jours de congé ai-je par an ?", "fr"),
            ("Hoeveel vakantiedagen heb ik en wanneer?", "nl"),
            ("Hur många semesterdagar har jag?", "sv"),
            ("Kdy přichází výplata a kolik je?", "cs"),
            ("Kiedy jest wypłata i ile mam dni urlopu?", "pl"),
            ("Mikor van fizetés, és hány nap szabadság jár?", "hu"),
            ("Montako lomapäivää minulla on, ja milloin?", "fi"),
        ] {
            assert_eq!(Telling::of(text).best().map(|(best, _)| best), Some(language), "{text}");
        }
        assert_eq!(Telling::of("INFO worker-7 request id=55433").common, []);
        assert_eq!(Telling::of("Maria Okafor, Lin Zhou, Ilse Marten").common, []);
    }

    #[test]
    fn a_question_in_english_has_no_compounds_and_one_of_names_may_have() {
        for (question, may) in [
            ("What does a warehouse cost?", false),
            ("Quel est le prix ?", false),
            ("Wie hoch ist die Mietkaution?", true),
            ("Kündigungsfrist", true),
            ("How many Urlaubstage are there?", false),
        ] {
            assert_eq!(may_compound(question), may, "{question}");
        }
    }
}

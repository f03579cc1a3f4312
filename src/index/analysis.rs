//! Text to the terms that are indexed and looked for.
//!
//! Characters take their plainest form (NFKC: full-width letters, half-width kana, the joined letters that Arabic PDFs are
//! full of). Words are lower-cased, freed of stop words, stemmed by the Snowball algorithm of their language and folded
//! to plain Latin letters; scripts that put no space between words become overlapping pairs of characters; names joined by
//! underscores are terms as a whole beside their words. Whatever is done to a document is done to a question, so both meet
//! in the same terms.

use std::collections::HashMap;
use std::sync::LazyLock;

use tantivy::tokenizer::{AsciiFoldingFilter, Language, Stemmer, StopWordFilter, TextAnalyzer, WhitespaceTokenizer};
use unicode_normalization::UnicodeNormalization;

use crate::domain::{FUNCTION_WORD_LANGUAGES, is_function_word};

/// Changes whenever the terms of the same text may change; part of a generation's identity
/// ([`super::IndexSpec::analyser`]).
pub const ANALYSER_VERSION: u32 = 4;

/// Longer words are cut here, in characters: nobody looks for the tail of a base64 line.
const LONGEST_WORD: usize = 64;

/// The terms of `text` read as `language` (BCP 47 primary; `und` for none), in order, repeated as they occur.
#[must_use]
pub fn terms(text: &str, language: &str) -> Vec<String> {
    analysed(&words(text), language).into_iter().map(|(_, term)| term).collect()
}

/// The words of a `question` in `language` that are looked for, parted by spaces: all but its function words, unless there
/// are no others, or nobody knows what these are in its language.
///
/// Such words stand in so many chunks that they cost most of a search, and say little about which chunk answers.
#[must_use]
pub fn words_to_find(question: &str, language: &str) -> String {
    let all = words(question);
    if !FUNCTION_WORD_LANGUAGES.contains(&language) {
        return all;
    }
    let telling: Vec<&str> = all.split_whitespace().filter(|word| !is_function_word(word)).collect();
    if telling.is_empty() { all } else { telling.join(" ") }
}

/// The terms of `words`, which are parted by spaces, each with the place of its word, the same in every language.
pub(super) fn analysed(words: &str, language: &str) -> Vec<(usize, String)> {
    let mut analyser = ANALYSERS.get(language).unwrap_or(&PLAIN).clone();
    let mut terms = Vec::new();
    analyser.token_stream(words).process(&mut |token| terms.push((token.position, token.text.clone())));
    terms.retain(|(_, term)| !term.is_empty());
    terms
}

/// What follows the cutting of words when nothing is known of the language.
static PLAIN: LazyLock<TextAnalyzer> = LazyLock::new(|| chain(None));

/// What follows the cutting of words, by language.
static ANALYSERS: LazyLock<HashMap<&'static str, TextAnalyzer>> = LazyLock::new(|| {
    let stemmed = SNOWBALL.iter().map(|&(code, language)| (code, chain(Some(language))));
    // Vietnamese tells words apart by their marks alone (`ma`, `má`, `mà`), so it keeps them.
    stemmed.chain([("vi", TextAnalyzer::builder(WhitespaceTokenizer::default()).build())]).collect()
});

/// The languages that Snowball knows.
const SNOWBALL: [(&str, Language); 18] = [
    ("ar", Language::Arabic),
    ("da", Language::Danish),
    ("de", Language::German),
    ("el", Language::Greek),
    ("en", Language::English),
    ("es", Language::Spanish),
    ("fi", Language::Finnish),
    ("fr", Language::French),
    ("hu", Language::Hungarian),
    ("it", Language::Italian),
    ("nb", Language::Norwegian),
    ("nl", Language::Dutch),
    ("pt", Language::Portuguese),
    ("ro", Language::Romanian),
    ("ru", Language::Russian),
    ("sv", Language::Swedish),
    ("ta", Language::Tamil),
    ("tr", Language::Turkish),
];

/// Stop words, stemmer, folding. Folding comes last because stemmers want their accents.
fn chain(language: Option<Language>) -> TextAnalyzer {
    let mut chain = TextAnalyzer::builder(WhitespaceTokenizer::default()).dynamic();
    if let Some(stop) = language.and_then(StopWordFilter::new) {
        chain = chain.filter_dynamic(stop);
    }
    if let Some(language) = language {
        chain = chain.filter_dynamic(Stemmer::new(language));
    }
    chain.filter(AsciiFoldingFilter).build()
}

/// The words of `text`, lower-cased, and pairs of characters, each followed by a space.
fn words(text: &str) -> String {
    let mut cutter = Cutter { out: String::with_capacity(text.len() + text.len() / 8), ..Cutter::default() };
    let mut chars = text.nfkc().peekable();
    while let Some(c) = chars.next() {
        cutter.take(c, chars.peek().copied());
    }
    cutter.end_run();
    cutter.end_word(false);
    cutter.out
}

/// Cuts characters into words and pairs.
#[derive(Default)]
struct Cutter {
    /// What is cut already.
    out: String,
    /// The word being read, lower-cased.
    word: String,
    /// Its characters.
    length: usize,
    /// The words before it that underscores join to it, each with its underscore.
    name: String,
    /// Whether an apostrophe stands before it.
    elided: bool,
    /// The last character of a run without spaces, and whether it is in a pair already.
    run: Option<(char, bool)>,
}

impl Cutter {
    fn take(&mut self, c: char, next: Option<char>) {
        if runs_on(c) {
            self.end_word(false);
            self.pair(c);
            return;
        }
        self.end_run();
        if joins(c) {
            // Within a word, and left out of it unless its script needs it.
            if !self.word.is_empty() && carries_meaning(c) {
                self.letter(c);
            }
        } else if c.is_alphanumeric() || within_number(c, self.word.chars().next_back(), next) {
            self.letter(c);
        } else if c == '_' {
            self.part_name();
        } else {
            self.end_word(is_apostrophe(c));
        }
    }

    /// Ends the word at an underscore, which may join it to the next.
    fn part_name(&mut self) {
        // Longer names are no terms, so what follows is not needed.
        if !self.word.is_empty() && self.name.len() <= 4 * LONGEST_WORD {
            self.name.push_str(&self.word);
            self.name.push('_');
        }
        self.write_word(false);
    }

    fn letter(&mut self, c: char) {
        self.length += 1;
        if self.length <= LONGEST_WORD {
            // Lower-casing may add marks, as for the Turkish dotted İ; they are left out like all others.
            self.word.extend(c.to_lowercase().filter(|c| !joins(*c) || carries_meaning(*c)));
        }
    }

    /// Ends the word before `c`, an apostrophe or not. Lone letters at an apostrophe (`l'`, `'s`) say nothing.
    fn end_word(&mut self, apostrophe: bool) {
        self.name.push_str(if self.name.is_empty() { "" } else { &self.word });
        self.write_word(apostrophe);
        let name = std::mem::take(&mut self.name);
        let name = name.trim_end_matches('_');
        if name.contains('_') && name.chars().count() <= LONGEST_WORD {
            self.out.push_str(name);
            self.out.push(' ');
        }
    }

    fn write_word(&mut self, apostrophe: bool) {
        let elision = self.length == 1 && (self.elided || apostrophe);
        if !self.word.is_empty() && !elision {
            self.out.push_str(&self.word);
            self.out.push(' ');
        }
        self.elided = apostrophe && !self.word.is_empty();
        self.word.clear();
        self.length = 0;
    }

    fn pair(&mut self, c: char) {
        if let Some((last, _)) = self.run {
            self.out.extend([last, c, ' ']);
        }
        self.run = Some((c, self.run.is_some()));
    }

    /// Ends a run; one of a single character is a term of its own.
    fn end_run(&mut self) {
        if let Some((lone, false)) = self.run.take() {
            self.out.extend([lone, ' ']);
        }
    }
}

/// Whether `c` belongs to a script that puts no space between words (Korean does, but glues particles to its nouns).
fn runs_on(c: char) -> bool {
    matches!(c,
        '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{3096}' | '\u{309d}'..='\u{309f}' // iteration marks, hiragana
        | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}' // katakana
        | '\u{3105}'..='\u{312f}' // bopomofo
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3fffd}' // han
        | '\u{1100}'..='\u{11ff}' | '\u{3131}'..='\u{318e}' | '\u{ac00}'..='\u{d7a3}' // hangul
        | '\u{0e01}'..='\u{0e3a}' | '\u{0e40}'..='\u{0e4e}' // thai
        | '\u{0e81}'..='\u{0ece}' | '\u{1780}'..='\u{17d3}' | '\u{1000}'..='\u{103f}') // lao, khmer, burmese
}

/// Whether `c` stands within words without being a letter of its own: marks above and below letters, joiners, soft
/// hyphens.
fn joins(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}'
        | '\u{0300}'..='\u{036f}' | '\u{0483}'..='\u{0487}' | '\u{0591}'..='\u{05bd}' | '\u{05bf}'..='\u{05c7}'
        | '\u{0640}' | '\u{064b}'..='\u{065f}' | '\u{0670}')
        || carries_meaning(c)
}

/// Signs of Indic scripts that are no letters by Unicode, yet part of the spelling (virama, nukta).
fn carries_meaning(c: char) -> bool {
    matches!(
        c,
        '\u{093c}'
            | '\u{094d}'
            | '\u{09bc}'
            | '\u{09cd}'
            | '\u{0a3c}'
            | '\u{0a4d}'
            | '\u{0abc}'
            | '\u{0acd}'
            | '\u{0b3c}'
            | '\u{0b4d}'
            | '\u{0bcd}'
            | '\u{0c4d}'
            | '\u{0cbc}'
            | '\u{0ccd}'
            | '\u{0d4d}'
            | '\u{0dca}'
    )
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}' | '\u{02bc}')
}

/// A point or comma between digits: `3.14` is one word.
fn within_number(c: char, before: Option<char>, after: Option<char>) -> bool {
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    matches!(c, '.' | ',') && digit(before) && digit(after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn joined(text: &str, language: &str) -> String {
        terms(text, language).join(" ")
    }

    #[test]
    fn words_lose_case_stop_words_and_endings() {
        assert_eq!(joined("The Readers' desks were LENT, again and again", "en"), "reader desk were lent again again");
        assert_eq!(joined("Die Häuser und das Haus", "de"), "haus haus");
        assert_eq!(joined("l'avion n'est pas à l’hôtel", "fr"), "avion est hotel");
        assert_eq!(joined("The Readers", "und"), "the readers");
    }

    #[test]
    fn words_that_only_ask_are_not_looked_for_unless_there_are_no_others() {
        for (question, language, wanted) in [
            ("How do I use the reading rooms?", "en", "reading rooms"),
            ("Wie lang sind diese Fristen?", "de", "lang fristen"),
            ("Who is who?", "en", "who is who"),
            ("东京在哪？", "zh", "东京 京在"),
            ("an toàn là gì", "vi", "an toàn là gì"),
        ] {
            assert_eq!(words_to_find(question, language).trim(), wanted);
        }
    }

    #[test]
    fn numbers_keep_their_points_and_sentences_do_not() {
        assert_eq!(joined("pi is 3.14, or 22/7. See v2.", "und"), "pi is 3.14 or 22 7 see v2");
    }

    #[test]
    fn a_name_joined_by_underscores_is_a_term_beside_its_words() {
        assert_eq!(
            joined("The code rate_limited, __init__ and _x", "und"),
            "the code rate limited rate_limited init and x"
        );
        assert_eq!(joined("Tenant_Index_BUILDING", "en"), "tenant index build tenant_index_build");
        assert_eq!(joined(&"a_".repeat(1000), "und"), "a ".repeat(1000).trim());
    }

    #[test]
    fn scripts_without_spaces_become_overlapping_pairs() {
        assert_eq!(joined("東京都に住む。ＡＩと猫", "ja"), "東京 京都 都に に住 住む ai と猫");
        assert_eq!(joined("猫 cat 犬", "zh"), "猫 cat 犬");
        assert_eq!(joined("สวัสดี", "th"), "สว วั ัส สด ดี");
    }

    #[test]
    fn marks_and_joiners_do_not_cut_words() {
        assert_eq!(joined("cafe\u{301} caf\u{e9} ca\u{ad}fe", "und"), "cafe cafe cafe");
        assert_eq!(joined("हिन्दी में", "hi"), "हिन्दी में");
        assert_eq!(joined("كِتَاب كتاب", "und"), "كتاب كتاب");
    }

    #[test]
    fn the_same_text_in_other_characters_has_the_same_terms() {
        assert_eq!(joined("ｶﾞｲﾄﾞ ＡＢＣ１２", "ja"), joined("ガイド ABC12", "ja"));
        assert_eq!(
            joined("\u{fe8d}\u{fedf}\u{fecc}\u{feae}\u{fe91}\u{fef2}", "ar"),
            joined("العربي", "ar"),
            "forms of a PDF"
        );
        assert_eq!(
            joined("\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}", "ko"),
            joined("한국", "ko"),
            "as file systems write it"
        );
        assert_eq!(joined("ﬁnd", "en"), "find");
    }

    #[test]
    fn forms_of_one_word_meet_in_the_languages_that_have_a_stemmer() {
        for (language, words) in [
            ("ar", "المكتبة مكتبة"),
            ("da", "bøgerne bøger"),
            ("de", "Bibliotheken Bibliothek"),
            ("el", "βιβλίων βιβλία"),
            ("en", "libraries library"),
            ("es", "bibliotecas biblioteca"),
            ("fi", "kirjastossa kirjastot"),
            ("fr", "bibliothèques bibliothèque"),
            ("hu", "könyvtárban könyvtárak"),
            ("it", "biblioteche biblioteca"),
            ("nb", "bøkene bøker"),
            ("nl", "bibliotheken bibliotheek"),
            ("pt", "bibliotecas biblioteca"),
            ("ro", "bibliotecile bibliotecii"),
            ("ru", "библиотеки библиотека"),
            ("sv", "biblioteken biblioteket"),
            ("tr", "kitaplar kitap"),
        ] {
            let stems = terms(words, language);
            assert_eq!(stems[0], stems[1], "{language}");
        }
    }

    #[test]
    fn vietnamese_keeps_the_marks_that_tell_its_words_apart() {
        assert_eq!(joined("Má mà MẠ ma\u{301}", "vi"), "má mà mạ má");
        assert_eq!(joined("Má", "und"), "ma");
    }

    #[test]
    fn a_word_without_end_is_cut() {
        assert_eq!(joined(&"a".repeat(10_000), "und").len(), LONGEST_WORD);
    }

    proptest! {
        #[test]
        fn no_text_breaks_a_stemmer(text in "\\PC{0,60}", greek in "[α-ωάέήίόύώ]{1,16}", arabic in "[ء-ي]{1,12}") {
            for (code, _) in SNOWBALL {
                for term in terms(&format!("{text} {greek} {arabic}"), code) {
                    prop_assert!(!term.is_empty() && !term.contains(char::is_whitespace));
                }
            }
        }

        #[test]
        fn terms_of_parts_are_the_terms_of_the_whole(parts in prop::collection::vec("[a-zà-ÿ0-9猫犬]{1,9}", 0..8)) {
            let whole = terms(&parts.join(" "), "en");
            let single: Vec<String> = parts.iter().flat_map(|part| terms(part, "en")).collect();
            prop_assert_eq!(whole, single);
        }
    }
}

//! Text to the terms that are indexed and looked for.
//!
//! Characters take their plainest form (NFKC: full-width letters, half-width kana, the joined letters that Arabic PDFs are
//! full of). Words are lower-cased, freed of stop words, stemmed by the Snowball algorithm of their language and folded
//! to plain Latin letters; scripts that put no space between words become overlapping pairs of characters ([`cutter`]).
//! Whatever is done to a document is done to a question, so both meet in the same terms.
//!
//! A document has more terms than its words, which only a question that needs them looks for ([`super::query`]): codes in
//! one piece, the words of Vietnamese without their marks, and long words of compounding languages read backwards.
//!
//! [`cutter`]: super::cutter

use std::collections::HashMap;
use std::sync::LazyLock;

use tantivy::tokenizer::{AsciiFoldingFilter, Language, Stemmer, StopWordFilter, TextAnalyzer, WhitespaceTokenizer};

use super::cutter::cut;
use super::language::UNKNOWN;
use crate::domain::compounds::SHORTEST_COMPOUND;
use crate::domain::languages::COMPOUNDING;
use crate::domain::{FUNCTION_WORD_LANGUAGES, fold, is_function_word};

/// Changes whenever the terms of the same text may change; part of a generation's identity
/// ([`super::IndexSpec::analyser`]).
pub const ANALYSER_VERSION: u32 = 5;

/// What a term begins with that is a word read backwards; no word has it.
const BACKWARDS: char = '\u{1}';
/// Longer words are not read backwards: they are lines of base64 rather than compounds.
const LONGEST_COMPOUND: usize = 40;

/// The terms of a document's `text` read as `language` (BCP 47 primary; `und` for none), repeated as they occur: its words
/// in order, then what only some questions look for.
#[must_use]
pub fn terms(text: &str, language: &str) -> Vec<String> {
    let pieces = cut(text);
    let mut terms: Vec<String> = analysed(&pieces.words, language).into_iter().map(|(_, term)| term).collect();
    let words = terms.len();
    if language == "vi" {
        let plain: Vec<String> = terms.iter().filter(|term| !term.is_ascii()).map(|term| fold(term)).collect();
        terms.extend(plain);
    }
    if language == UNKNOWN || COMPOUNDING.contains(&language) {
        let long: Vec<String> =
            terms[..words].iter().filter(|term| is_long(term)).map(|term| backwards(term)).collect();
        terms.extend(long);
    }
    terms.extend(analysed(&pieces.codes, UNKNOWN).into_iter().map(|(_, term)| term));
    terms
}

/// What stands in the index for a long word, so that its end can be looked for as a begin.
pub(super) fn backwards(term: &str) -> String {
    std::iter::once(BACKWARDS).chain(term.chars().rev()).collect()
}

/// Whether words of `language` lose their endings.
pub(super) fn has_stemmer(language: &str) -> bool {
    SNOWBALL.iter().any(|(code, _)| *code == language)
}

/// Whether a term may be a compound.
fn is_long(term: &str) -> bool {
    (SHORTEST_COMPOUND..=LONGEST_COMPOUND).contains(&term.len()) && term.chars().all(char::is_alphabetic)
}

/// The codes of a question in one piece, parted by spaces.
pub(super) fn codes(question: &str) -> String {
    cut(question).codes
}

/// The words of a `question` in `language` that are looked for, parted by spaces: all but its function words, unless there
/// are no others, or nobody knows what these are in its language.
///
/// Such words stand in so many chunks that they cost most of a search, and say little about which chunk answers.
pub(super) fn words_to_find(question: &str, language: &str) -> String {
    let all = cut(question).words;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::cutter::LONGEST_WORD;
    use super::*;

    /// The words of a text, without what only some questions look for.
    fn joined(text: &str, language: &str) -> String {
        let words = analysed(&cut(text).words, language);
        words.into_iter().map(|(_, term)| term).collect::<Vec<_>>().join(" ")
    }

    fn has(text: &str, language: &str, term: &str) -> bool {
        terms(text, language).iter().any(|found| found == term)
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
    fn a_code_in_pieces_is_a_term_in_one_piece_too() {
        for (text, code) in [
            ("Machine ZK-310 stands here.", "zk310"),
            ("Part HX-4810-B, E/1024", "hx4810b"),
            ("Part HX-4810-B, E/1024", "e1024"),
            ("zk_310", "zk310"),
            ("It turns 4,200 times", "4200"),
            ("1.234.567 Einwohner", "1234567"),
            ("IBAN DE89 3704 0044 0532 0130 00.", "de89370400440532013000"),
            ("on 2021-05-15", "20210515"),
        ] {
            assert!(has(text, "en", code), "{text}");
        }
        assert!(!has("in 20 25 or 3.14 cases, 2/3", "en", "2025") && !has("pi is 3.14", "en", "314"));
        assert_eq!(terms("a well-known and/or rare case", "und").len(), 7, "no code is in it");
    }

    #[test]
    fn signs_and_emoji_are_terms_and_so_are_languages_named_by_signs() {
        assert_eq!(
            joined("⚠️ means: stop 🍕. § 12, 5 €, © 2020 → next", "und"),
            "⚠ means stop 🍕 § 12 5 € © 2020 → next"
        );
        assert_eq!(joined("50 % of C++, C# and c", "und"), "50 % of c++ c c# c and c");
        assert_eq!(joined("50% #1 a+b", "und"), "50 1 a b");
    }

    #[test]
    fn long_words_of_compounding_languages_are_found_by_their_end() {
        let backwards = backwards("kundigungsfrist");
        assert!(has("Die Kündigungsfrist", "de", &backwards) && !has("Die Kündigungsfrist", "en", &backwards));
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
        assert!(has("mật khẩu", "vi", "mat") && has("mật khẩu", "vi", "mật"), "typed without marks it is found too");
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
            let words = |text: &str| analysed(&cut(text).words, "en").into_iter().map(|(_, term)| term).collect::<Vec<_>>();
            let whole = words(&parts.join(" "));
            let single: Vec<String> = parts.iter().flat_map(|part| words(part)).collect();
            prop_assert_eq!(whole, single);
        }
    }
}

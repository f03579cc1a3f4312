//! Which language a text is in.
//!
//! Long texts tell by themselves (`whatlang`: script, then trigrams). A question is too short for that, so it is judged
//! with the languages of the index in mind.

use std::collections::BTreeMap;

use whatlang::{Detector, Lang, Script, detect};

/// What a text is in when nothing says so.
pub(super) const UNKNOWN: &str = "und";

/// Bytes of a document that are looked at: more changes nothing but the time it takes.
const SAMPLE: usize = 4096;
/// From here on, in characters, the best guess for a document is taken though another language is close: relatives such
/// as Danish and Norwegian share most of their words and endings.
const TELLING: usize = 200;
/// A question in a language the index does not have is believed to be so from this many characters. With fewer, names
/// make English look like German or French (of 1,190 English questions on Wikipedia 2 did from 40 characters), which
/// costs more than taking a stranger for one of ours: what is asked in a language that no document has finds little.
const FOREIGN: usize = 70;
/// A language of which the index has so many times more is preferred to an unsure guess.
const FAR_MORE: u64 = 4;

/// Chunks by language: what an index is mostly in.
pub(super) type Mix = BTreeMap<String, u64>;

/// The language of a document in an index of this `mix`, BCP 47 primary, or [`UNKNOWN`].
///
/// A few words tell little (names of people look like any language), so a short one is judged as a question is.
pub(super) fn of_document(title: &str, text: &str, mix: &Mix) -> &'static str {
    let sample = format!("{title}\n{}", &text[..text.floor_char_boundary(SAMPLE)]);
    if sample.chars().count() < TELLING {
        return of_question(&sample, mix);
    }
    detect(&sample).map_or(UNKNOWN, |found| code(found.lang()))
}

/// The language most chunks are in; the first by code among equals, none when none is known.
pub(super) fn dominant(mix: &Mix) -> Option<&str> {
    let known = mix.iter().filter(|(code, _)| *code != UNKNOWN);
    known.max_by_key(|(code, chunks)| (**chunks, std::cmp::Reverse(*code))).map(|(code, _)| code.as_str())
}

/// The language of a question to an index of this `mix`, BCP 47 primary, or [`UNKNOWN`].
///
/// The question is held against the index's languages of its script and the one it looks like most. A stranger is
/// believed only when the question is long and the guess is sure; a guess among our own that is not sure gives way to a
/// language that the index has far more of.
pub(super) fn of_question(question: &str, mix: &Mix) -> &'static str {
    let Some(alike) = detect(question) else { return UNKNOWN };
    let script = alike.script();
    // A few ideographs alone may be Chinese or Japanese.
    let written = if script == Script::Mandarin { &[Lang::Cmn, Lang::Jpn] } else { script.langs() };
    let ours: Vec<Lang> = written.iter().copied().filter(|lang| mix.contains_key(code(*lang))).collect();
    if ours.is_empty() {
        let believed = alike.is_reliable() || script != Script::Latin;
        return if believed { code(alike.lang()) } else { UNKNOWN };
    }
    // Of one language there is nothing to choose, and looking again would take as long as looking did.
    if ours == [alike.lang()] {
        return code(alike.lang());
    }
    let best = |langs: Vec<Lang>| Detector::with_allowlist(langs).detect(question);
    let among = best(ours.iter().copied().chain([alike.lang()]).collect()).unwrap_or(alike);
    let at_home = ours.contains(&among.lang());
    if among.is_reliable() && (at_home || question.chars().count() >= FOREIGN) {
        return code(among.lang());
    }
    let guess = if at_home { among.lang() } else { best(ours.clone()).map_or(ours[0], |found| found.lang()) };
    let size = |lang: &Lang| mix.get(code(*lang)).copied().unwrap_or(0);
    let largest = ours.iter().copied().max_by_key(size).unwrap_or(guess);
    code(if size(&largest) >= size(&guess).saturating_mul(FAR_MORE) { largest } else { guess })
}

/// BCP 47 primary language, from what whatlang names by ISO 639-3.
fn code(lang: Lang) -> &'static str {
    match lang {
        Lang::Epo => "eo",
        Lang::Eng => "en",
        Lang::Rus => "ru",
        Lang::Cmn => "zh",
        Lang::Spa => "es",
        Lang::Por => "pt",
        Lang::Ita => "it",
        Lang::Ben => "bn",
        Lang::Fra => "fr",
        Lang::Deu => "de",
        Lang::Ukr => "uk",
        Lang::Kat => "ka",
        Lang::Ara => "ar",
        Lang::Hin => "hi",
        Lang::Jpn => "ja",
        Lang::Heb => "he",
        Lang::Yid => "yi",
        Lang::Pol => "pl",
        Lang::Amh => "am",
        Lang::Jav => "jv",
        Lang::Kor => "ko",
        Lang::Nob => "nb",
        Lang::Dan => "da",
        Lang::Swe => "sv",
        Lang::Fin => "fi",
        Lang::Tur => "tr",
        Lang::Nld => "nl",
        Lang::Hun => "hu",
        Lang::Ces => "cs",
        Lang::Ell => "el",
        Lang::Bul => "bg",
        Lang::Bel => "be",
        Lang::Mar => "mr",
        Lang::Kan => "kn",
        Lang::Ron => "ro",
        Lang::Slv => "sl",
        Lang::Hrv => "hr",
        Lang::Srp => "sr",
        Lang::Mkd => "mk",
        Lang::Lit => "lt",
        Lang::Lav => "lv",
        Lang::Est => "et",
        Lang::Tam => "ta",
        Lang::Vie => "vi",
        Lang::Urd => "ur",
        Lang::Tha => "th",
        Lang::Guj => "gu",
        Lang::Uzb => "uz",
        Lang::Pan => "pa",
        Lang::Aze => "az",
        Lang::Ind => "id",
        Lang::Tel => "te",
        Lang::Pes => "fa",
        Lang::Mal => "ml",
        Lang::Ori => "or",
        Lang::Mya => "my",
        Lang::Nep => "ne",
        Lang::Sin => "si",
        Lang::Khm => "km",
        Lang::Tuk => "tk",
        Lang::Aka => "ak",
        Lang::Zul => "zu",
        Lang::Sna => "sn",
        Lang::Afr => "af",
        Lang::Lat => "la",
        Lang::Slk => "sk",
        Lang::Cat => "ca",
        Lang::Tgl => "tl",
        Lang::Hye => "hy",
        Lang::Cym => "cy",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mix(languages: &[(&str, u64)]) -> Mix {
        languages.iter().map(|(code, chunks)| ((*code).to_owned(), *chunks)).collect()
    }

    #[test]
    fn a_long_text_tells_its_language_and_a_short_one_does_not() {
        for (text, language) in [
            (
                "Every reader who entered the hall was given a desk, a lamp and as many books as the table would bear.",
                "en",
            ),
            (
                "Jeder Leser, der den Saal betrat, bekam einen Tisch, eine Lampe und so viele Bücher, wie er wollte.",
                "de",
            ),
            ("每位走进大厅的读者都会得到一张书桌、一盏灯，以及桌子能放下的所有书籍。", "zh"),
            ("大きな部屋に入った読者には、机とランプと、机に置けるだけの本が与えられた。", "ja"),
            ("كان كل قارئ يدخل القاعة يحصل على مكتب ومصباح وعلى قدر ما تتسع له الطاولة من الكتب", "ar"),
            ("Regal 7", UNKNOWN),
            ("4711", UNKNOWN),
            ("", UNKNOWN),
        ] {
            assert_eq!(of_document("", text, &Mix::new()), language, "{text}");
        }
    }

    #[test]
    fn a_short_document_is_taken_to_be_in_the_language_of_most_others() {
        let english = mix(&[("en", 900), ("de", 3), (UNKNOWN, 40)]);
        for (title, text) in [
            ("Extraction of Roots by Repeated Subtractions for Digital Computers", "Sugai, I."),
            ("Two Square-Root Approximations", "Wadey, W. G."),
            ("Regal 7", ""),
        ] {
            assert_eq!(of_document(title, text, &english), "en", "{title}");
        }
        assert_eq!(of_document("Rückgabe", "Bücher werden am Schalter im Erdgeschoss zurückgegeben.", &english), "de");
    }

    #[test]
    fn a_short_question_is_taken_to_be_in_a_language_of_the_index() {
        let (english, german) = (mix(&[("en", 900)]), mix(&[("de", 900)]));
        for question in ["refund policy", "token rotation", "What is HNSW?"] {
            assert_eq!(of_question(question, &english), "en", "{question}");
        }
        assert_eq!(of_question("Rückgabe", &german), "de");
        let both = mix(&[("en", 500), ("de", 500)]);
        assert_eq!(of_question("Which libraries lend books to readers?", &both), "en");
        assert_eq!(of_question("Kann ich Tokens widerrufen?", &both), "de");
        assert_eq!(of_question("refund policy", &mix(&[("en", 900), ("de", 20)])), "en", "most of it is English");
        assert_eq!(of_question("When did Carl Wilhelm Scheele discover oxygen?", &english), "en", "a German name");
        assert_eq!(of_question("東京", &mix(&[("ja", 10)])), "ja");
        assert_eq!(of_question("東京", &english), "zh");
    }

    #[test]
    fn a_long_question_in_a_language_the_index_does_not_have_is_seen_as_such() {
        let german = mix(&[("de", 900)]);
        assert_eq!(
            of_question("Which of the readers that came to the hall were given what they had asked for?", &german),
            "en"
        );
        assert_eq!(of_question("كم عدد القراء الذين حصلوا على مكتب", &german), "ar");
        assert_eq!(of_question("???", &german), UNKNOWN);
    }

    proptest! {
        #[test]
        fn no_question_breaks_the_judgement(question in "\\PC{0,80}", en in 0u64..9, ja in 0u64..9, ru in 0u64..9) {
            let language = of_question(&question, &mix(&[("en", en), ("ja", ja), ("ru", ru), ("und", 1)]));
            prop_assert!((2..=3).contains(&language.len()));
        }
    }
}

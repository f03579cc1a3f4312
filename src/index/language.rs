//! Which language a text is in.
//!
//! Long texts tell by themselves (`whatlang`: script, then trigrams), and so do shorter ones by the words that every text
//! of their language has. Only prose is asked: what is none has no language. A question is too short for that, so it is
//! judged with the languages of the index in mind.

use whatlang::{Detector, Lang, Script, detect};

use super::mix::Mix;
use super::prose;
use crate::domain::languages::{Telling, is_known};

/// What a text is in when nothing says so.
pub(super) const UNKNOWN: &str = "und";

/// From here on, in characters, the best guess for prose is taken though another language is close: relatives such as
/// Danish and Norwegian share most of their words and endings.
const TELLING: usize = 200;
/// Of the words of prose, one in so many is common at least; names and keywords in a row have fewer.
const ONE_IN: usize = 12;
/// A question in a language the index does not have is believed to be so from this many characters. With fewer, names
/// make English look like German or French (of 1,190 English questions on Wikipedia 2 did from 40 characters), which
/// costs more than taking a stranger for one of ours: what is asked in a language that no document has finds little.
const FOREIGN: usize = 70;
/// A language of which the index has so many times more is preferred to an unsure guess.
const FAR_MORE: u64 = 4;
/// Common words that say which of our languages a question is in.
const OURS: usize = 2;
/// Common words that say that it is in a stranger's, whose words none of ours has half as often.
const STRANGERS: usize = 3;

/// What is known of a document's language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// BCP 47 primary, or [`UNKNOWN`].
    pub language: &'static str,
    /// Bytes of prose that say so, 0 to [`prose::SAMPLE`]; 0 where the index's other documents said it.
    pub prose: u32,
}

/// The language of a document in an index of this `mix`.
///
/// A few words tell little (names of people look like any language), so a short one is judged as a question is.
pub(super) fn of_document(title: &str, text: &str, mix: &Mix) -> Reading {
    let prose = prose::of(text);
    if let Some(language) = of_prose(&prose) {
        return Reading { language, prose: u32::try_from(prose.len()).unwrap_or(u32::MAX) };
    }
    let short = text.chars().nth(TELLING).is_none();
    let language = if short { of_question(&format!("{title}\n{text}"), mix) } else { UNKNOWN };
    Reading { language, prose: 0 }
}

/// The language of `prose` where it is sure enough for its length.
fn of_prose(prose: &str) -> Option<&'static str> {
    let found = detect(prose)?;
    let guess = code(found.lang());
    if !matches!(found.script(), Script::Latin | Script::Cyrillic) {
        return Some(guess);
    }
    let long = prose.chars().nth(TELLING).is_some();
    let telling = Telling::of(prose);
    let enough = |count: usize| count > 0 && count * ONE_IN >= telling.words;
    if is_known(guess) && enough(telling.count(guess)) {
        let most = telling.common.first().map_or(0, |(_, count)| *count);
        // Relatives share most of their common words: then trigrams say which of them it is.
        if long && telling.count(guess) * 3 >= most * 2 || telling.best().is_some_and(|(best, _)| best == guess) {
            return Some(guess);
        }
    }
    let most = telling.common.first().map_or(0, |(_, count)| *count);
    let likely = telling.common.iter().find(|(language, count)| *count == most && *language == guess);
    match likely.or(telling.common.first()) {
        Some((best, count)) if *count >= OURS && enough(*count) => Some(best),
        _ if long && !is_known(guess) && found.is_reliable() => Some(guess),
        _ => None,
    }
}

/// The language of a question to an index of this `mix`, BCP 47 primary, or [`UNKNOWN`].
///
/// Its common words say it where there are enough. Else the question is held against the index's languages of its script
/// and the one it looks like most. A stranger is believed only when the question is long and the guess is sure; a guess
/// among our own that is not sure gives way to a language that the index has far more of.
pub(super) fn of_question(question: &str, mix: &Mix) -> &'static str {
    let Some(alike) = detect(question) else { return UNKNOWN };
    let script = alike.script();
    if matches!(script, Script::Latin | Script::Cyrillic)
        && let Some(told) = told(question, mix)
    {
        return told;
    }
    // A few ideographs alone may be Chinese or Japanese.
    let written = if script == Script::Mandarin { &[Lang::Cmn, Lang::Jpn] } else { script.langs() };
    let ours: Vec<Lang> = written.iter().copied().filter(|lang| mix.has(code(*lang))).collect();
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
    let size = |lang: &Lang| mix.prose(code(*lang));
    let largest = ours.iter().copied().max_by_key(size).unwrap_or(guess);
    code(if size(&largest) >= size(&guess).saturating_mul(FAR_MORE) { largest } else { guess })
}

/// The language that the common words of a question say it is in, if they do.
fn told(question: &str, mix: &Mix) -> Option<&'static str> {
    let telling = Telling::of(question);
    let ours = telling.common.iter().filter(|(language, _)| mix.has(language));
    let most_of_ours = ours.map(|(_, count)| *count).max().unwrap_or(0);
    let (best, count) = telling.best()?;
    let believed = if mix.has(best) { count >= OURS } else { count >= STRANGERS && count > 2 * most_of_ours };
    believed.then_some(best)
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
        Mix::of(languages)
    }

    fn of_document(title: &str, text: &str, mix: &Mix) -> &'static str {
        super::of_document(title, text, mix).language
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
            assert_eq!(of_document("", text, &Mix::default()), language, "{text}");
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
    fn what_is_no_prose_has_no_language() {
        let log: String = (0..1500).fold(String::new(), |log, at| {
            format!(
                "{log}2026-03-{:02}T07:11:11Z INFO worker-{} request id={} status=404\n",
                at % 27 + 1,
                at % 9,
                at * 7919
            )
        });
        let json: String =
            (0..800).fold(String::new(), |json, at| format!("{json}{{\"id\": {at}, \"sku\": \"ZX{at:05}\"}}\n"));
        let names = "Anna Schmidt\nPeter Müller\nJan Novak\nMaria Okafor\nLin Zhou\n".repeat(20);
        let names_in_a_row = "Anna Schmidt, Peter Müller, Jan Novak, Maria Okafor, ".repeat(20);
        let table = "name | price | stock\nwidget | 9.50 | 7\n".repeat(40);
        let code = "fn total(prices: &[f32]) -> f32 {\n    let mut sum = 0.0;\n    for price in prices {\n        sum += price;\n    }\n    sum\n}\n";
        let base64 = "VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZw==\n".repeat(40);
        let traces = "Exception in thread main java.lang.IllegalStateException: closed\n    at com.example.Basket.total(Basket.java:42)\n".repeat(20);
        let sql = "INSERT INTO users (id, name, town) VALUES (7, 'Anna', 'Berlin');\n".repeat(30);
        for text in [&log, &json, &names, &names_in_a_row, &table, &code.repeat(9), &base64, &traces, &sql] {
            for known in [mix(&[("en", 400)]), mix(&[("de", 400)]), Mix::default()] {
                let read = super::of_document("", text, &known);
                assert_eq!(read, Reading { language: UNKNOWN, prose: 0 }, "{}", &text[..60]);
            }
        }
    }

    #[test]
    fn short_prose_tells_its_language_by_its_common_words() {
        for (text, language) in [
            ("# Austritt\n\nDie Frist für die Kündigung beträgt drei Monate.", "de"),
            ("# Abwesenheit\n\nJedem stehen 28 Tage Urlaub im Jahr zu.", "de"),
            ("# Leave\n\nEvery employee has 28 days of paid time off a year.", "en"),
            ("# Vrije dagen\n\nIedereen heeft recht op 25 dagen vakantie per jaar.", "nl"),
            ("# Ledighet\n\nAlla anställda har 25 dagar semester om året.", "sv"),
            ("# Fravær\n\nAlle medarbejdere har 25 dages ferie om året.", "da"),
            ("# Loma\n\nJokaisella on 25 päivää lomaa vuodessa ja se on palkallista.", "fi"),
            ("# Szabadság\n\nMinden dolgozónak 25 nap szabadság jár, és a fizetés nem csökken.", "hu"),
            ("# Nieobecności\n\nKażdemu przysługuje 26 dni urlopu w roku. Święta są wolne.", "pl"),
        ] {
            assert_eq!(of_document("", text, &Mix::default()), language, "{text}");
        }
    }

    #[test]
    fn a_question_of_two_languages_is_in_the_one_that_most_of_its_common_words_are_in() {
        let german = mix(&[("de", 400)]);
        assert_eq!(of_question("Wie viele days of Urlaub habe ich?", &german), "de");
        assert_eq!(of_question("Wie reset ich das password von my account?", &mix(&[("de", 400), ("en", 400)])), "de");
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

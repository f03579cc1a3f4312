//! Which language a text is in.
//!
//! Long texts tell by themselves (`whatlang`: script, then trigrams). A question is too short for that, so it is judged
//! with the languages of the index in mind.

use std::collections::BTreeMap;

use whatlang::{Detector, Info, Lang, Script, detect};

/// What a text is in when nothing says so.
pub(super) const UNKNOWN: &str = "und";

/// Bytes of a document that are looked at: more changes nothing but the time it takes.
const SAMPLE: usize = 4096;
/// From here on, in characters, the best guess for a document is taken though another language is close: relatives such
/// as Danish and Norwegian share most of their words and endings.
const TELLING: usize = 200;
/// A guess that is this sure of a question in a language the index does not have is believed, from this many characters.
const FOREIGN: usize = 40;

/// Chunks by language: what an index is mostly in.
pub(super) type Mix = BTreeMap<String, u64>;

/// The language of a document, BCP 47 primary, or [`UNKNOWN`].
pub(super) fn of_document(text: &str) -> &'static str {
    let sample = &text[..text.floor_char_boundary(SAMPLE)];
    match detect(sample) {
        Some(found) if found.is_reliable() || sample.chars().count() >= TELLING => code(found.lang()),
        _ => UNKNOWN,
    }
}

/// The language most chunks are in, of those that `may` be taken; the first by code among equals.
pub(super) fn dominant(mix: &Mix, may: impl Fn(&str) -> bool) -> Option<&str> {
    let known = mix.iter().filter(|(code, _)| *code != UNKNOWN && may(code));
    known.max_by_key(|(code, chunks)| (**chunks, std::cmp::Reverse(*code))).map(|(code, _)| code.as_str())
}

/// The language of a question to an index of this `mix`, BCP 47 primary, or [`UNKNOWN`].
///
/// A sure guess is believed when the index has that language, or when the question is long enough to be sure of a
/// stranger; else the index's own languages of that script decide, by trigrams if those are sure, by size if not.
pub(super) fn of_question(question: &str, mix: &Mix) -> &'static str {
    let Some(found) = detect(question) else { return UNKNOWN };
    let script = found.script();
    // A few ideographs alone may be Chinese or Japanese.
    let written = if script == Script::Mandarin { &[Lang::Cmn, Lang::Jpn] } else { script.langs() };
    let ours: Vec<Lang> = written.iter().copied().filter(|lang| mix.contains_key(code(*lang))).collect();
    let sure = found.is_reliable();
    if sure && (ours.contains(&found.lang()) || question.chars().count() >= FOREIGN || ours.is_empty()) {
        return code(found.lang());
    }
    let among_ours = || Detector::with_allowlist(ours.clone()).detect(question).filter(Info::is_reliable);
    if ours.len() > 1
        && let Some(found) = among_ours()
    {
        return code(found.lang());
    }
    let largest = dominant(mix, |code| ours.iter().any(|lang| self::code(*lang) == code));
    ours.iter().map(|lang| code(*lang)).find(|code| Some(*code) == largest).unwrap_or(UNKNOWN)
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

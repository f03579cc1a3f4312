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
/// A question in a language the index does not have is believed to be so from this many characters.
const FOREIGN: usize = 40;
/// A language of which the index has so many times more is preferred to an unsure guess.
const FAR_MORE: u64 = 4;

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
    let best = |langs: Vec<Lang>| Detector::with_allowlist(langs).detect(question);
    let among = best(ours.iter().copied().chain([alike.lang()]).collect()).unwrap_or(alike);
    if ours.contains(&among.lang()) && among.is_reliable()
        || !ours.contains(&among.lang()) && among.is_reliable() && question.chars().count() >= FOREIGN
    {
        return code(among.lang());
    }
    let guess = best(ours.clone()).map_or(ours[0], |found| found.lang());
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
    use super::*;
    #[test]
    fn probe() {
        let Some(data) = std::env::var_os("CARREL_DATA") else { return };
        let data = std::path::PathBuf::from(data).join("retrieval");
        let qs = |set: &str| -> Vec<String> {
            std::fs::read_to_string(data.join(set).join("queries.jsonl"))
                .unwrap()
                .lines()
                .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["text"].as_str().unwrap().to_owned())
                .collect()
        };
        let docs = |set: &str| -> Vec<String> {
            std::fs::read_to_string(data.join(set).join("corpus.jsonl"))
                .unwrap()
                .lines()
                .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["text"].as_str().unwrap().to_owned())
                .collect()
        };
        for (set, want) in [("scifact", "en"), ("xquad-de", "de"), ("xquad-ar", "ar"), ("xquad-zh", "zh")] {
            let d = docs(set);
            let mut c = BTreeMap::new();
            for t in &d {
                *c.entry(of_document(t)).or_insert(0) += 1;
            }
            eprintln!("{set} docs {c:?}");
            let mut c = BTreeMap::new();
            for t in &d {
                let t = &t[..t.floor_char_boundary(150)];
                *c.entry(of_document(t)).or_insert(0) += 1;
            }
            eprintln!("{set} docs first 150 bytes {c:?}");
            for mix in [vec!["en"], vec!["de"], vec!["en", "de"], vec!["en", "de", "fr", "es", "it"], vec!["ar", "zh"]]
            {
                let mixm: Mix = mix.iter().map(|c| ((*c).to_owned(), 10)).collect();
                let (mut full, mut rel, mut allow, mut allowrel, mut of) = (0, 0, 0, 0, BTreeMap::new());
                let q = qs(set);
                for t in &q {
                    let i = detect(t);
                    if let Some(i) = &i {
                        if code(i.lang()) == want {
                            full += 1;
                        }
                        if i.is_reliable() {
                            rel += 1;
                        }
                    }
                    let ours: Vec<Lang> = [Lang::Eng, Lang::Deu, Lang::Fra, Lang::Spa, Lang::Ita, Lang::Ara, Lang::Cmn]
                        .into_iter()
                        .filter(|l| mixm.contains_key(code(*l)))
                        .collect();
                    if let Some(i) = Detector::with_allowlist(ours).detect(t) {
                        if code(i.lang()) == want {
                            allow += 1;
                        }
                        if i.is_reliable() {
                            allowrel += 1;
                        }
                    }
                    *of.entry(of_question(t, &mixm)).or_insert(0) += 1;
                }
                eprintln!(
                    "{set} {mix:?} n {} full-right {full} reliable {rel} allow-right {allow} allow-rel {allowrel} of {of:?}",
                    q.len()
                );
            }
        }
        for q in [
            "Which libraries lend books to readers?",
            "What is HNSW?",
            "refund policy",
            "Wie funktioniert das?",
            "Rückgabe",
            "how do I rotate a token",
            "token rotation",
            "Kann ich Tokens widerrufen?",
        ] {
            for mix in [vec!["en"], vec!["de"], vec!["en", "de"]] {
                let mixm: Mix = mix.iter().map(|c| ((*c).to_owned(), 10)).collect();
                eprintln!(
                    "{q:?} {mix:?} -> {} ({:?})",
                    of_question(q, &mixm),
                    detect(q).map(|i| (i.lang().code(), i.confidence()))
                );
            }
        }
    }
}

//! Which language words are in, and what it calls figures, days and negations.
//!
//! Looks at script, then at the small words that each language cannot do without: they tell the language of a sentence of
//! six words, which trigrams do not. Only where a longer text has none of them is `whatlang` asked.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use whatlang::{Lang, detect};

use super::super::words::is_unspaced;
use crate::domain::languages::Telling;

/// Characters of a text whose language is looked for; more changes nothing but the time it takes.
const SAMPLE: usize = 1200;
/// Characters from which trigrams tell a language without small words.
const TELLING: usize = 60;

/// What is known of a language's words, all in small letters.
#[derive(Debug, Default)]
pub(super) struct Words {
    telling: HashSet<&'static str>,
    /// The words for 1, which most languages use as an article too.
    pub one: HashSet<&'static str>,
    pub numbers: HashMap<&'static str, u32>,
    pub scales: HashMap<&'static str, u32>,
    pub ordinals: HashMap<&'static str, u32>,
    /// Beginnings of the months' names, and which month, from 1.
    months: Vec<(&'static str, u8)>,
    /// Beginnings of the days' names, and which day, from 1 for Monday.
    days: Vec<(&'static str, u8)>,
    pub negations: HashSet<&'static str>,
    /// Words that say no by themselves, such as `forbidden`.
    pub opposites: HashSet<&'static str>,
    pub morning: HashSet<&'static str>,
    pub evening: HashSet<&'static str>,
    /// Words of comparison (`more`) before which a negation says nothing of the fact: `no more than`.
    pub neutral: HashSet<&'static str>,
    pub than: HashSet<&'static str>,
}

impl Words {
    /// The month that a word names, and whether by its whole name or the usual short one.
    pub(super) fn month(&self, word: &str) -> Option<u8> {
        named(&self.months, word)
    }

    /// The day of the week that a word names.
    pub(super) fn day(&self, word: &str) -> Option<u8> {
        named(&self.days, word)
    }
}

/// What a word begins with: the longest beginning, which leaves out an ending at most.
fn named(names: &[(&'static str, u8)], word: &str) -> Option<u8> {
    let fits = |name: &str| {
        let rest = word.strip_prefix(name).map(|rest| rest.chars().count());
        rest.is_some_and(|rest| rest == 0 || name.chars().count() > 3 && rest <= 5)
    };
    names.iter().filter(|(name, _)| fits(name)).max_by_key(|(name, _)| name.len()).map(|(_, number)| *number)
}

/// A language or, where only the script is known, a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// One whose words are known, by its BCP 47 primary language.
    Known(&'static str),
    /// Another one, by what `whatlang` calls it.
    Other(Lang),
    /// One of a script that is not Latin.
    Script(Script),
}

/// Scripts that tell a language, or keep it apart from those of other scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Script {
    Latin,
    Cyrillic,
    Greek,
    Arabic,
    Hebrew,
    Devanagari,
    Thai,
    Han,
    Kana,
    Hangul,
    Other,
}

static LANGUAGES: LazyLock<HashMap<&'static str, Words>> = LazyLock::new(|| {
    let mut languages: HashMap<&str, Words> = HashMap::new();
    let mut code = "";
    for line in include_str!("words.txt").lines() {
        if let Some(name) = line.strip_prefix('[') {
            code = name.trim_end_matches(']');
        } else if let Some((key, words)) = line.split_once(':').filter(|_| !line.starts_with('#')) {
            languages.entry(code).or_default().read(key, words);
        }
    }
    languages
});

impl Words {
    fn read(&mut self, key: &str, line: &'static str) {
        let words = || line.split_whitespace();
        let values = || {
            words().filter_map(|entry| entry.split_once('=')).flat_map(|(value, words)| {
                let value = value.parse().unwrap_or_default();
                words.split('/').map(move |word| (word, value))
            })
        };
        match key {
            "telling" => self.telling = words().collect(),
            "one" => self.one = words().collect(),
            "numbers" => self.numbers = values().collect(),
            "scales" => self.scales = values().collect(),
            "ordinals" => self.ordinals = values().collect(),
            // Two entries a month: the short name and the whole.
            "months" => self.months = counted(line, 2),
            "days" => self.days = counted(line, 1),
            "negations" => self.negations = words().collect(),
            "opposites" => self.opposites = words().collect(),
            "morning" => self.morning = words().collect(),
            "evening" => self.evening = words().collect(),
            "neutral" => self.neutral = words().collect(),
            "than" => self.than = words().collect(),
            _ => {}
        }
    }
}

/// Names in order, each with its number from 1; `of_each` entries belong to one.
fn counted(line: &'static str, of_each: usize) -> Vec<(&'static str, u8)> {
    let numbered = line.split_whitespace().enumerate().flat_map(|(at, entry)| {
        let number = u8::try_from(at / of_each + 1).unwrap_or_default();
        entry.split('/').map(move |name| (name, number))
    });
    numbered.collect()
}

/// What is known of a language; of one that is not known, nothing.
pub(super) fn words_of(language: Option<Language>) -> &'static Words {
    static NONE: LazyLock<Words> = LazyLock::new(Words::default);
    match language {
        Some(Language::Known(code)) => LANGUAGES.get(code).unwrap_or(&NONE),
        _ => &NONE,
    }
}

/// The language of a text, as far as it tells.
pub(super) fn of(text: &str) -> Option<Language> {
    let text = &text[..text.floor_char_boundary(SAMPLE)];
    match script(text)? {
        Script::Latin => latin(text),
        // Of the languages that write Cyrillic one is known; the others are told apart where there is enough to see.
        Script::Cyrillic => {
            Some(by_small_words(text, &["ru"]).map_or(Language::Script(Script::Cyrillic), Language::Known))
        }
        script => Some(Language::Script(script)),
    }
}

/// Whether two texts are in two languages, so that no word of one can be looked for in the other. Unsure is no.
pub(super) fn differ(a: Option<Language>, b: Option<Language>) -> bool {
    let script = |language: Language| match language {
        Language::Known("ru") => Script::Cyrillic,
        Language::Known(_) | Language::Other(_) => Script::Latin,
        Language::Script(script) => script,
    };
    match (a, b) {
        (Some(Language::Script(a)), Some(b)) => a != script(b),
        (Some(a), Some(Language::Script(b))) => script(a) != b,
        (Some(a), Some(b)) => a != b,
        _ => false,
    }
}

fn latin(text: &str) -> Option<Language> {
    const LATIN: [&str; 14] = ["en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "fi", "pl", "cs", "hu", "tr"];
    if let Some(code) = by_small_words(text, &LATIN) {
        return Some(Language::Known(code));
    }
    if text.chars().count() < TELLING {
        return None;
    }
    let found = detect(text).filter(whatlang::Info::is_reliable)?;
    Some(known(found.lang()).map_or(Language::Other(found.lang()), Language::Known))
}

/// The language most of whose small words stand in a text: none where two have as many.
fn by_small_words(text: &str, languages: &[&'static str]) -> Option<&'static str> {
    let common = Telling::of(text);
    let text = text.to_lowercase();
    let mut counts: Vec<usize> = languages.iter().map(|language| common.count(language)).collect();
    for word in text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()) {
        for (at, language) in languages.iter().enumerate() {
            counts[at] += usize::from(LANGUAGES[language].telling.contains(word));
        }
    }
    let most = counts.iter().copied().max().filter(|most| *most > 0)?;
    let mut best = counts.iter().enumerate().filter(|(_, count)| **count == most);
    let (at, _) = best.next()?;
    best.next().is_none().then(|| languages[at])
}

/// The code of a language whose words are known.
fn known(lang: Lang) -> Option<&'static str> {
    Some(match lang {
        Lang::Eng => "en",
        Lang::Deu => "de",
        Lang::Fra => "fr",
        Lang::Spa => "es",
        Lang::Ita => "it",
        Lang::Por => "pt",
        Lang::Nld => "nl",
        Lang::Swe => "sv",
        Lang::Dan | Lang::Nob => "da",
        Lang::Fin => "fi",
        Lang::Pol => "pl",
        Lang::Ces | Lang::Slk => "cs",
        Lang::Hun => "hu",
        Lang::Tur => "tr",
        _ => return None,
    })
}

/// The script of most letters; kana makes a text Japanese, however many Chinese characters stand beside.
pub(super) fn script(text: &str) -> Option<Script> {
    let mut counts: HashMap<Script, usize> = HashMap::new();
    for c in text.chars().filter(|c| c.is_alphabetic()) {
        *counts.entry(script_of(c)).or_default() += 1;
    }
    let count = |script| counts.get(&script).copied().unwrap_or_default();
    if count(Script::Kana) > 0 && count(Script::Kana) + count(Script::Han) > count(Script::Latin) {
        return Some(Script::Kana);
    }
    counts.into_iter().max_by_key(|(script, count)| (*count, *script as usize)).map(|(script, _)| script)
}

fn script_of(c: char) -> Script {
    match c {
        '\u{41}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Script::Latin,
        '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => Script::Greek,
        '\u{400}'..='\u{52f}' => Script::Cyrillic,
        '\u{590}'..='\u{5ff}' => Script::Hebrew,
        '\u{600}'..='\u{6ff}' | '\u{750}'..='\u{77f}' => Script::Arabic,
        '\u{900}'..='\u{97f}' => Script::Devanagari,
        '\u{e00}'..='\u{e7f}' => Script::Thai,
        '\u{3040}'..='\u{30ff}' => Script::Kana,
        '\u{ac00}'..='\u{d7af}' => Script::Hangul,
        c if is_unspaced(c) => Script::Han,
        _ => Script::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_tells_its_language_by_its_small_words() {
        for (text, code) in [
            ("The gate opens at six in the morning.", "en"),
            ("A lost key costs 75 euros, which you pay at the desk.", "en"),
            ("Das Tor öffnet um sechs Uhr morgens.", "de"),
            ("La porte ouvre à six heures du matin.", "fr"),
            ("La puerta se abre a las seis de la mañana.", "es"),
            ("Il cancello apre alle sei del mattino.", "it"),
            ("O portão abre às seis da manhã.", "pt"),
            ("De poort gaat om zes uur 's ochtends open.", "nl"),
            ("Grinden öppnar klockan sex på morgonen.", "sv"),
            ("Porten åbner klokken seks om morgenen.", "da"),
            ("Brama jest otwierana o godzinie szóstej rano.", "pl"),
            ("Brána se otevírá v šest hodin ráno.", "cs"),
            ("A kapu reggel hat órakor nyílik.", "hu"),
            ("Kapı sabah saat altıda açılır.", "tr"),
            ("Portti avataan kello kuusi aamulla.", "fi"),
            ("Ворота открываются в шесть часов утра.", "ru"),
        ] {
            assert_eq!(of(text), Some(Language::Known(code)), "{text}");
        }
    }

    #[test]
    fn a_few_words_without_small_ones_tell_nothing_and_other_scripts_tell_themselves() {
        for text in ["Elephants sleep standing.", "Rhinos fly", "PX-10: 25", ""] {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(of("ゲートは朝六時に開きます。"), Some(Language::Script(Script::Kana)));
        assert_eq!(of("大门早上六点开。"), Some(Language::Script(Script::Han)));
        assert_eq!(of("البوابة تفتح في السادسة صباحا"), Some(Language::Script(Script::Arabic)));
        assert!(differ(of("大门早上六点开。"), of("The gate opens at six.")));
        assert!(differ(of("Das Tor ist offen."), of("The gate is open.")));
        assert!(!differ(of("Rhinos fly"), of("Das Tor ist offen.")), "unsure is no");
    }

    #[test]
    fn names_of_months_and_days_are_known_with_their_endings() {
        let (english, german) = (words_of(Some(Language::Known("en"))), words_of(Some(Language::Known("de"))));
        assert_eq!(
            (english.month("may"), english.month("september"), english.month("maybe")),
            (Some(5), Some(9), None)
        );
        assert_eq!((german.day("montags"), german.day("mond"), german.month("juni")), (Some(1), None, Some(6)));
    }
}

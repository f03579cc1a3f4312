//! Names of people, places and things, told by their capitals.

use std::collections::HashSet;

use super::language::{Language, Words};
use super::tokens::Token;
use crate::domain::is_function_word;

/// Titles ahead of names, and words that are capitals for themselves.
const TITLES: [&str; 24] = [
    "mr", "mrs", "ms", "miss", "dr", "prof", "sir", "herr", "frau", "monsieur", "madame", "mme", "señor", "señora",
    "signor", "signora", "fru", "hr", "pan", "pani", "i", "ok", "yes", "no",
];

/// Names that the passages have, in small letters: they are known for names where they begin a sentence too.
#[derive(Debug, Default)]
pub(in super::super) struct Names(HashSet<String>);

impl Names {
    /// The names in these texts.
    pub(in super::super) fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let (mut names, mut words) = (HashSet::new(), HashSet::new());
        for text in texts {
            let german = is_german(super::language::of(text));
            for token in super::tokens(text).into_iter().filter(Token::is_word) {
                if token.is_capital() && !token.begins && !german {
                    names.insert(token.lower);
                } else if !token.is_capital() {
                    words.insert(token.lower);
                }
            }
        }
        names.retain(|name| !words.contains(name) && !is_function_word(name) && !TITLES.contains(&name.as_str()));
        Self(names)
    }
}

/// Whether nouns are capitals in a language, so that a capital tells no name.
fn is_german(language: Option<Language>) -> bool {
    language == Some(Language::Known("de"))
}

/// The names in a text, in small letters.
pub(super) fn of(tokens: &[Token], language: Option<Language>, words: &Words, known: &Names) -> Vec<String> {
    let is_time = |token: &Token| words.month(&token.lower).is_some() || words.day(&token.lower).is_some();
    let long = |token: &&Token| token.is_word() && token.text.chars().count() > 3;
    let capitals = tokens.iter().filter(long).filter(|token| token.is_capital()).count();
    // In a heading, every word may be a capital.
    let title = capitals * 10 > tokens.iter().filter(long).count() * 6 && capitals > 3;
    let told = !is_german(language) && !title;
    let is_name = |token: &&Token| {
        let shouted = token.text.chars().all(char::is_uppercase);
        let plain = token.is_word() && token.text.chars().count() > 1 && !TITLES.contains(&token.lower.as_str());
        plain
            && token.is_capital()
            && !is_function_word(&token.lower)
            && !is_time(token)
            && (known.0.contains(&token.lower) || told && !token.begins && !shouted)
    };
    tokens.iter().filter(is_name).map(|token| token.lower.clone()).collect()
}

/// Whether a name stands among the tokens, in whatever case.
pub(super) fn has(tokens: &[Token], name: &str) -> bool {
    tokens.iter().any(|token| alike(&token.lower, name) || token.lower.split('-').any(|part| alike(part, name)))
        || is_initials(tokens, name)
}

/// Equal but for an ending, as a case or a plural puts one.
fn alike(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let rest = a.chars().count().max(b.chars().count()) - same;
    same >= 4 && rest <= 3 || same >= 3 && rest == 1 && (a.ends_with('s') || b.ends_with('s'))
}

/// Whether neighbouring words begin with the letters of a short name: `HR`, human resources.
fn is_initials(tokens: &[Token], name: &str) -> bool {
    let letters: Vec<char> = name.chars().collect();
    (2..=5).contains(&letters.len())
        && tokens
            .windows(letters.len())
            .any(|run| run.iter().zip(&letters).all(|(token, c)| token.lower.starts_with(*c)))
}

/// Whether two capital words in a row are in the passage in part, and the passage has another capital word in the place of
/// the other: `Maria Lund` where it has `Maria Okafor`. Two that it has both not are a name that it does not have.
pub(super) fn are_of_others(tokens: &[Token], passage: &[Token]) -> bool {
    let capital = |token: &Token| {
        token.is_word()
            && token.is_capital()
            && !is_function_word(&token.lower)
            && !TITLES.contains(&token.lower.as_str())
    };
    let places = |word: &str| {
        passage.iter().enumerate().filter(|(_, token)| alike(&token.lower, word)).map(|(at, _)| at).collect::<Vec<_>>()
    };
    let beside = |at: Option<usize>| at.and_then(|at| passage.get(at)).is_some_and(&capital);
    tokens
        .windows(3)
        .map(|run| (Some(&run[0]), &run[1], &run[2]))
        .chain(tokens.get(..2).map(|two| (None, &two[0], &two[1])))
        .any(|(before, first, last)| {
            let counted = before.is_some_and(|before| before.text.contains(|c: char| c.is_ascii_digit()));
            if !capital(first) || !capital(last) || last.parted || counted {
                return false;
            }
            let (firsts, lasts) = (places(&first.lower), places(&last.lower));
            match (firsts.is_empty(), lasts.is_empty()) {
                (false, true) => firsts.iter().all(|at| beside(Some(at + 1)) && !passage[at + 1].parted),
                (true, false) => lasts.iter().all(|at| beside(at.checked_sub(1)) && !passage[*at].parted),
                _ => false,
            }
        })
}

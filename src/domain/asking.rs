//! What a long question asks: a pasted mail greets, tells and signs around the one line that does.

use std::borrow::Cow;

/// Questions of up to so many characters ask as a whole.
const LONG: usize = 200;
/// Sentences that ask, of one question, at most.
const ASKING: usize = 4;
/// Longest sentence that is taken for one that asks, characters.
const LONGEST: usize = 500;
/// Characters of a part of a long text: some 150 model tokens, which every embedder reads whole.
const PART: usize = 600;
/// Parts of a long text at most; 4,096 characters have seven.
const PARTS: usize = 12;

/// A text to search by meaning with, and what its cosines count.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The text.
    pub text: String,
    /// 1 for what asks, less for what stands around it.
    pub weight: f32,
}

/// How people say in a mail that they want to know something.
const POLITE: [&str; 22] = [
    "like to know",
    "like to ask",
    "want to know",
    "wanted to ask",
    "wondering",
    "möchte wissen",
    "möchte fragen",
    "wüsste gern",
    "wollte fragen",
    "voudrais savoir",
    "aimerais savoir",
    "quería preguntar",
    "quería saber",
    "quisiera saber",
    "vorrei sapere",
    "gostaria de saber",
    "chciałabym zapytać",
    "chciałbym zapytać",
    "chciałabym wiedzieć",
    "chciałbym wiedzieć",
    "graag weten",
    "vill veta",
];

/// What stands around a line that asks counts a little less than the line.
const AROUND: f32 = 0.9;

/// The sentences of a long `question` that ask, joined; all of a short one, or of one in which none asks.
#[must_use]
pub fn gist(question: &str) -> Cow<'_, str> {
    let asks = asks(question);
    if asks.is_empty() { Cow::Borrowed(question) } else { Cow::Owned(asks.join(" ")) }
}

/// What to look for by words: a long `question` with what it asks two times more, so that this weighs most.
#[must_use]
pub fn words_of(question: &str) -> Cow<'_, str> {
    let asks = asks(question);
    if asks.is_empty() {
        return Cow::Borrowed(question);
    }
    let asks = asks.join(" ");
    Cow::Owned(format!("{question}\n{asks}\n{asks}"))
}

/// What to look for by meaning: all of a short `question`; of a long one each sentence that asks, and all of it, in parts
/// where `fits` says that it is too long to be read whole.
#[must_use]
pub fn parts_of(question: &str, fits: impl Fn(&str) -> bool) -> Vec<Part> {
    let asks = asks(question);
    let whole = fits(question);
    if asks.is_empty() && whole {
        return vec![Part { text: question.to_owned(), weight: 1.0 }];
    }
    let around = if asks.is_empty() { 1.0 } else { AROUND };
    let asking = asks.iter().map(|ask| Part { text: (*ask).to_owned(), weight: 1.0 });
    let pieces = if whole { vec![question.to_owned()] } else { pieces(question) };
    let around = pieces.into_iter().map(|text| Part { text, weight: around });
    asking.chain(around).take(PARTS).collect()
}

/// The sentences of a long question that ask; none of a short one.
fn asks(question: &str) -> Vec<&str> {
    if question.chars().nth(LONG).is_none() {
        return Vec::new();
    }
    let asks = sentences(question).filter(|sentence| is_question(sentence) || is_polite(sentence));
    asks.filter(|sentence| sentence.chars().count() <= LONGEST).take(ASKING).collect()
}

fn is_question(sentence: &str) -> bool {
    sentence.ends_with(['?', '？', '؟']) || sentence.ends_with(';') && sentence.chars().any(is_greek)
}

/// Whether a sentence says that its writer wants to know something, which mails do without a question mark.
fn is_polite(sentence: &str) -> bool {
    let sentence = sentence.to_lowercase();
    POLITE.iter().any(|words| sentence.contains(words))
}

fn is_greek(c: char) -> bool {
    matches!(c, '\u{370}'..='\u{3ff}')
}

/// The sentences of `text`, each with its last sign, trimmed, none empty.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c| matches!(c, '?' | '!' | '？' | '！' | '。' | '؟');
    // A point ends a sentence only where a blank follows: `4.20` and `node.js` go on.
    let lines = text.split('\n').flat_map(move |line| line.split_inclusive(ends));
    lines.flat_map(|part| part.split_inclusive(". ")).map(str::trim).filter(|sentence| !sentence.is_empty())
}

/// A long text in pieces of whole sentences.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for sentence in sentences(text) {
        let room = pieces.last().is_some_and(|last| last.chars().count() + sentence.chars().count() < PART);
        match pieces.last_mut().filter(|_| room) {
            Some(last) => {
                last.push(' ');
                last.push_str(sentence);
            }
            None => pieces.extend(cut(sentence)),
        }
    }
    pieces
}

/// A sentence in pieces, if it is longer than one.
fn cut(sentence: &str) -> Vec<String> {
    let chars: Vec<char> = sentence.chars().collect();
    chars.chunks(PART).map(|piece| piece.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> String {
        let story = "We met at the fair in spring and had a long talk about the new hall and its machines. ".repeat(20);
        format!("Dear team,\n\n{story}\n\nWhat does a lost key cost? And who replaces it?\n\nBest regards\nIlse Marten")
    }

    #[test]
    fn of_a_mail_the_sentences_that_ask_count_most() {
        let mail = mail();
        assert_eq!(gist(&mail), "What does a lost key cost? And who replaces it?");
        assert_eq!(words_of(&mail).matches("lost key").count(), 3);
        let parts = parts_of(&mail, |text| text.chars().count() < 1_000);
        assert_eq!((parts[0].text.as_str(), parts[0].weight), ("What does a lost key cost?", 1.0));
        assert_eq!(parts[1].text, "And who replaces it?");
        assert!(parts[2..].iter().all(|part| part.weight < 1.0 && part.text.chars().count() <= 2 * PART));
        assert!(parts.iter().any(|part| part.text.contains("Best regards")), "all of it is looked for");
        assert_eq!(parts_of(&mail, |_| true).len(), 3, "what is read whole stays whole");
    }

    #[test]
    fn a_mail_asks_without_a_question_mark_too() {
        let story =
            "I have worked in the mill since May and like it here, and everybody has been kind to me. ".repeat(2);
        for ask in ["I would like to know how many days off a wedding brings.", "Je voudrais savoir le prix d'une clé."]
        {
            let mail = format!("Hello,\n\n{story}{ask}\n\nThanks\nLena");
            assert_eq!(gist(&mail), ask);
        }
    }

    #[test]
    fn a_short_question_is_one_part_and_a_long_one_that_asks_nothing_is_all_of_it() {
        let short = "What does a lost key cost? And who replaces it?";
        assert_eq!(parts_of(short, |_| true), [Part { text: short.to_owned(), weight: 1.0 }]);
        assert_eq!((gist(short), words_of(short)), (Cow::Borrowed(short), Cow::Borrowed(short)));
        let statement = "Please tell me the price of a key. ".repeat(40);
        assert_eq!(gist(&statement), statement);
        assert!(parts_of(&statement, |_| false).iter().all(|part| part.weight.to_bits() == 1.0_f32.to_bits()));
    }
}

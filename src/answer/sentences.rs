//! Cuts a reply that is still being written where a sentence is whole.
//!
//! Where it is cut depends on the words alone, never on the pieces they came in: so an answer that is streamed is the same,
//! byte for byte, as one that was waited for.

use super::markers::is_marker;
use super::pieces::{begins_a_sentence, sentence_end};

/// Longest sentence that is waited for, bytes; a longer one is cut at a space.
const LONGEST: usize = 2048;
/// Bytes of a sentence whose words may be shown before it is whole. Below the length at which a sentence is cut into two
/// pieces, each with markers of its own.
const SHOWN_EARLY: usize = 400;

/// Longest number in brackets, bytes.
const LONGEST_NOTE: usize = 48;

/// A reply, as far as it has come and was not taken yet.
#[derive(Debug, Default)]
pub(super) struct Sentences {
    waiting: String,
}

impl Sentences {
    /// Adds what came.
    pub(super) fn push(&mut self, words: &str) {
        self.waiting.push_str(words);
    }

    /// Takes the next whole sentence or line, with the space ahead of it and the markers behind it.
    pub(super) fn next(&mut self) -> Option<String> {
        let end = cut(&self.waiting)?;
        let rest = self.waiting.split_off(end);
        Some(std::mem::replace(&mut self.waiting, rest))
    }

    /// Takes what is left once nothing more will come.
    pub(super) fn rest(&mut self) -> String {
        std::mem::take(&mut self.waiting)
    }

    /// The space ahead of the sentence that is not whole yet.
    pub(super) fn space(&self) -> &str {
        &self.waiting[..self.waiting.len() - self.waiting.trim_start().len()]
    }

    /// The first words of the sentence that is not whole yet, as far as nothing that follows can change how they are
    /// shown: plain words with single spaces, but for the last.
    pub(super) fn settled(&self) -> &str {
        let words = self.waiting.trim_start();
        let plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | ',' | '\'' | '’');
        let run = words.find(|c: char| !plain(c)).unwrap_or(words.len());
        let run = &words[..words.floor_char_boundary(run.min(SHOWN_EARLY))];
        let run = &run[..run.find("  ").map_or(run.len(), |at| at + 1)];
        &run[..run.rfind(' ').unwrap_or(0)]
    }
}

/// Where the first sentence or line of `text` ends, once enough has come to know; what is known never changes with what
/// comes later.
fn cut(text: &str) -> Option<usize> {
    let window = &text[..text.floor_char_boundary(LONGEST)];
    let mut from = 0;
    while let Some(at) = candidate(&window[from..]) {
        let end = from + at + markers_length(&window[..from + at], &window[from + at..]);
        let next = window[end..].trim_start();
        if !next.contains(char::is_alphanumeric) || is_open_note(next) {
            break;
        }
        if is_closed(&window[..end]) && begins_a_sentence(next) {
            return Some(end);
        }
        from = end;
    }
    (text.len() >= LONGEST).then(|| forced(window))
}

/// Where the first sentence or the first line ends, whichever is first; never 0.
fn candidate(text: &str) -> Option<usize> {
    let words = text.trim_start();
    let line = words.find('\n').map(|at| words[..at].trim_end().len());
    let end = line.into_iter().chain(sentence_end(words)).min()?;
    Some(text.len() - words.len() + end)
}

/// Length of the markers behind a sentence, with the spaces before each. Where the sentence begins with its own, those
/// behind it are the next one's.
fn markers_length(sentence: &str, text: &str) -> usize {
    let leads =
        sentence.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '*' | '•')).starts_with(is_marker);
    let mut length = 0;
    loop {
        let rest = text[length..].trim_start_matches(' ');
        let spaced = rest.len() < text.len() - length;
        match rest.chars().next().filter(|c| is_marker(*c)) {
            Some(marker) if !(leads && spaced) => length = text.len() - rest.len() + marker.len_utf8(),
            _ => return length,
        }
    }
}

/// Whether `next` begins with a number in brackets whose end has not come: it may be of the sentence before.
fn is_open_note(next: &str) -> bool {
    next.starts_with(['[', '【', '［']) && next.len() < LONGEST_NOTE && !next.contains([']', '】', '］'])
}

/// Whether no bracket, link or code stands open in `text`.
fn is_closed(text: &str) -> bool {
    let pairs = [('[', ']'), ('(', ')')];
    pairs.iter().all(|(open, close)| text.rfind(*open) <= text.rfind(*close))
        && text.bytes().filter(|byte| *byte == b'`').count() % 2 == 0
}

/// A cut at the last space, or, in a text without any, where it is not within a sign.
fn forced(window: &str) -> usize {
    let at_space = window.trim_end().rfind(char::is_whitespace).filter(|at| !window[..*at].trim().is_empty());
    at_space.unwrap_or_else(|| match window.trim_end_matches(['<', '[']).len() {
        0 => window.len(),
        end => end,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::markers::tests::marked;
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut sentences = Sentences::default();
        sentences.push(text);
        let mut cut: Vec<String> = std::iter::from_fn(|| sentences.next()).collect();
        cut.push(sentences.rest());
        cut
    }

    #[test]
    fn a_reply_is_cut_where_a_sentence_or_a_line_is_whole() {
        for (text, cut) in [
            ("It is so [1]. And so. [2][3] Then", &["It is so [1].", " And so. [2][3]", " Then"][..]),
            ("Mr. Smith left. Yes", &["Mr. Smith left.", " Yes"]),
            ("In short:\n- one [1]\n- two\n\nEnd", &["In short:", "\n- one [1]", "\n- two", "\n\nEnd"]),
            ("wrapped\nprose goes on. Yes", &["wrapped\nprose goes on.", " Yes"]),
            ("第一句。[1] 第二句。第三", &["第一句。[1]", " 第二句。", "第三"]),
            ("See [here. And there](x). Yes", &["See [here. And there](x).", " Yes"]),
            ("Run `a. B` now. Yes", &["Run `a. B` now.", " Yes"]),
            ("Whole.", &["Whole."]),
            ("[1] One is so. [2] Two is so. [3] Yes", &["[1] One is so.", " [2] Two is so.", " [3] Yes"]),
        ] {
            let cut: Vec<String> = cut.iter().map(|sentence| marked(sentence)).collect();
            assert_eq!(all(&marked(text)), cut);
        }
    }

    #[test]
    fn a_sentence_waits_until_what_follows_decides() {
        let mut sentences = Sentences::default();
        for piece in ["It costs 5", ".", " ", "[2]", " ", "("] {
            sentences.push(&marked(piece));
            assert_eq!(sentences.next(), None, "after {piece:?}");
        }
        sentences.push("Yes");
        assert_eq!(sentences.next(), Some(marked("It costs 5. [2]")));
        assert_eq!(sentences.rest(), " (Yes");
    }

    #[test]
    fn words_are_settled_when_nothing_can_change_them() {
        for (waiting, settled) in [
            (" The room closes at ni", "The room closes at"),
            ("see https", "see"),
            ("see https://x y", "see"),
            ("It, too, is *bold* now", "It, too, is"),
            ("- one two", ""),
            ("one  two three", "one"),
            ("[1] leads", ""),
            ("阅览室晚上", ""),
        ] {
            let sentences = Sentences { waiting: waiting.into() };
            assert_eq!(sentences.settled(), settled, "{waiting}");
        }
    }

    #[test]
    fn a_sentence_without_an_end_is_cut_at_a_space() {
        let cut = all(&"word ".repeat(2000));
        assert!(cut.len() >= 4 && cut.iter().all(|part| part.len() <= LONGEST));
        assert!(all(&"x".repeat(10_000)).iter().all(|part| part.len() <= LONGEST));
    }

    proptest! {
        #[test]
        fn the_cuts_depend_on_the_words_and_not_on_the_pieces_they_came_in(
            text in "([a-z]{1,6}|[A-Z][a-z]{1,4}| |[.!?。] ?|\n|\\[1\\]|\\[|\\]|\\(|\\)|`|- |[0-9]|文){0,60}",
            sizes in prop::collection::vec(1usize..9, 1..9),
        ) {
            let (mut sentences, mut cut) = (Sentences::default(), Vec::new());
            let (mut rest, mut sizes) = (text.as_str(), sizes.iter().cycle());
            while !rest.is_empty() {
                let size = rest.ceil_char_boundary(*sizes.next().unwrap()).max(1).min(rest.len());
                sentences.push(&rest[..size]);
                rest = &rest[size..];
                cut.extend(std::iter::from_fn(|| sentences.next()));
            }
            cut.push(sentences.rest());
            prop_assert_eq!(cut.concat(), text.clone());
            prop_assert_eq!(cut, all(&text));
        }
    }
}

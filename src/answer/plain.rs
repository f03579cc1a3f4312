//! Turns text of documents and of models into plain text that nothing can act on.
//!
//! Whoever shows an answer may take it for Markdown or HTML. A document or a model could then load an image from
//! elsewhere (and tell that server what was asked), lead to another site, or run a script. So the text that leaves has no
//! images, no links, no tags, no characters that cannot be seen, and no `[1]` but those Carrel sets itself. A model's
//! text has no addresses either that become links by themselves; those in documents are part of what they say.

use std::fmt::Write as _;

use super::markers;

/// What a [`reply`] holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plain {
    /// The words; not yet [`inert`].
    pub text: String,
    /// The markers that were taken out, each with its place in `text` and the number of its passage.
    pub markers: Vec<(usize, u32)>,
}

/// Whose text it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Author {
    /// A piece of a document: goes on one line, its `[1]` become `(1)`.
    Document,
    /// A model: its lines stay, its markers were read by [`markers`], its addresses are no corpus of anybody's.
    Model,
}

/// Longest number of a note, bytes.
const LONGEST_NOTE: usize = 48;
/// Longest label or target of a link, characters.
const LONGEST_LINK: usize = 512;

/// Plain text of a piece of a document, on one line.
pub(super) fn line(text: &str) -> String {
    let plain = Scanner::new(text, Author::Document).run();
    Inert::of(&plain.text, Author::Document).trim().to_owned()
}

/// A document's code, line by line.
pub(super) fn code(text: &str) -> String {
    Inert::of(text, Author::Document)
}

/// The words of a model's reply and its markers. Apply [`inert`] to what is shown of it.
pub(super) fn reply(text: &str) -> Plain {
    let mut plain = Scanner::new(text, Author::Model).run();
    plain.text.truncate(plain.text.trim_end().len());
    plain.markers.iter_mut().for_each(|(at, _)| *at = (*at).min(plain.text.len()));
    plain
}

/// Takes the last of a model's words' power to act. Characters of [`mark`] stay as they are.
pub(super) fn inert(text: &str) -> String {
    Inert::of(text, Author::Model)
}

/// Does what [`inert`] does to a text that comes in parts: what acts only where two parts meet does not come through
/// either.
pub(super) struct Stream(Inert);

impl Stream {
    pub(super) fn new() -> Self {
        Self(Inert { out: String::new(), author: Author::Model })
    }

    /// What is shown of the next part.
    pub(super) fn show(&mut self, part: &str) -> String {
        let shown = self.0.out.len();
        part.chars().for_each(|c| self.0.put(c));
        self.0.out.get(shown..).unwrap_or_default().to_owned()
    }
}

/// The character that stands for marker `number` until [`set_marks`]. No text of others holds it.
pub(super) fn mark(number: u32) -> char {
    char::from_u32(MARKS.0 + number).filter(|c| u32::from(*c) <= MARKS.1).unwrap_or(' ')
}

/// Writes `[n]` for every [`mark`].
pub(super) fn set_marks(text: &str) -> String {
    let mut set = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if is_mark(c) {
            // Writing to a string cannot fail.
            let _ = write!(set, "[{}]", u32::from(c) - MARKS.0);
        } else {
            set.push(c);
        }
    }
    set
}

/// Private-use characters; what comes from outside loses them.
const MARKS: (u32, u32) = (0xe000, 0xf8ff);

fn is_mark(c: char) -> bool {
    (MARKS.0..=MARKS.1).contains(&u32::from(c))
}

/// Reads from left to right and writes what may stay.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    out: Plain,
    author: Author,
    in_code: bool,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str, author: Author) -> Self {
        Self { text, at: 0, out: Plain::default(), author, in_code: false }
    }

    fn run(mut self) -> Plain {
        self.at = line_signs(self.text);
        while let Some(c) = self.rest().chars().next() {
            let taken = match c {
                '!' => self.image(),
                '[' | '【' | '［' => self.bracket(),
                c if self.author == Author::Model && markers::is_marker(c) => self.marker(),
                '\n' => self.line_break(),
                '`' => self.backticks(),
                '*' | '~' if !self.in_code => self.emphasis(c),
                '|' if self.author == Author::Document && !self.in_code => self.cell(),
                ':' if self.author == Author::Model => self.scheme(),
                _ => 0,
            };
            if taken == 0 {
                self.keep(c);
                self.at += c.len_utf8();
            } else {
                self.at += taken;
            }
        }
        self.out
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn keep(&mut self, c: char) {
        let space = c.is_whitespace() && c != '\n';
        let parted = self.out.text.is_empty() || self.out.text.ends_with([' ', '\n']);
        if !(is_invisible(c) || space && parted) {
            self.out.text.push(if space { ' ' } else { c });
        }
    }

    /// Tables' cells are parted by a space.
    fn cell(&mut self) -> usize {
        self.keep(' ');
        1
    }

    /// `https://` goes, so that the rest of the address is words. A word that only a marker parts from it stays.
    fn scheme(&mut self) -> usize {
        if !self.rest().starts_with("://") {
            return 0;
        }
        let before = &self.text[..self.at];
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-');
        let length = before.len() - before.trim_end_matches(word).len();
        let end = self.out.text.len().saturating_sub(length);
        self.out.text.truncate(self.out.text.floor_char_boundary(end));
        3
    }

    /// `![words](address)`, `![words][name]`: nothing of it stays.
    fn image(&mut self) -> usize {
        let Some(label) = label(&self.rest()[1..]) else { return 0 };
        1 + label + target(&self.rest()[1 + label..], self.author)
    }

    /// The words of a link without its target; in a document also the number of a note.
    fn bracket(&mut self) -> usize {
        let rest = self.rest();
        if self.author == Author::Document
            && let Some(length) = note(rest)
        {
            self.parenthesise(&rest[..length]);
            return length + address(&rest[length..]);
        }
        let Some(label) = label(rest) else { return 0 };
        let target = target(&rest[label..], self.author);
        if target == 0 {
            return 0;
        }
        let words = Scanner { text: &rest[1..label - 1], out: std::mem::take(&mut self.out), at: 0, ..*self };
        self.out = words.run();
        label + target
    }

    fn parenthesise(&mut self, marker: &str) {
        self.keep('(');
        marker.chars().filter(|c| !matches!(c, '[' | ']' | '【' | '】' | '［' | '］')).for_each(|c| self.keep(c));
        self.keep(')');
    }

    /// Takes a marker out, with an address that would make a link of it and the space ahead.
    fn marker(&mut self) -> usize {
        let rest = self.rest();
        let mut chars = rest.chars();
        let number = chars.next().and_then(markers::number);
        let behind = chars.as_str();
        let length = rest.len() - behind.len() + address(behind);
        let end = self.out.text.trim_end_matches(' ').len();
        if !without_markers(&rest[length..]).starts_with(char::is_alphanumeric) {
            self.out.text.truncate(end);
        }
        self.out.markers.extend(number.map(|number| (end, number)));
        length
    }

    /// The signs that begin a line of Markdown go; in one-line text so does the break.
    fn line_break(&mut self) -> usize {
        self.keep(if self.author == Author::Document { ' ' } else { '\n' });
        1 + if self.in_code { 0 } else { line_signs(&self.rest()[1..]) }
    }

    /// The backticks of code go, and the language behind those of a block.
    fn backticks(&mut self) -> usize {
        let rest = self.rest();
        let count = rest.bytes().take_while(|b| *b == b'`').count();
        self.in_code = !self.in_code && rest[count..].contains(&rest[..count]);
        let language = if self.in_code && count > 2 { rest[count..].find('\n').unwrap_or(0) } else { 0 };
        count + language
    }

    /// `**bold**`, `*so*` and `~~gone~~` lose their signs; `2 * 3`, `2*3`, `~5` and a bullet keep them.
    fn emphasis(&mut self, sign: char) -> usize {
        let count = self.rest().chars().take_while(|c| *c == sign).count();
        let before = self.out.text.chars().next_back().unwrap_or(' ');
        let after = self.rest()[count..].chars().next().unwrap_or(' ');
        let goes = match count {
            1 => sign == '*' && before.is_alphanumeric() != after.is_alphanumeric(),
            _ => !(before.is_whitespace() && after.is_whitespace()),
        };
        if goes { count } else { 0 }
    }
}

/// Writes text so that no pattern that acts can stand in what is written: every rule looks at what is written already,
/// and only adds spaces or replaces single characters, so none can undo another.
struct Inert {
    out: String,
    author: Author,
}

impl Inert {
    fn of(text: &str, author: Author) -> String {
        let mut inert = Self { out: String::with_capacity(text.len() + 8), author };
        text.chars().for_each(|c| inert.put(c));
        inert.out
    }

    fn put(&mut self, c: char) {
        if is_invisible(c) && !is_mark(c) {
            return;
        }
        if self.begins_a_tag(c) {
            self.out.pop();
            self.out.push('‹');
        }
        if c == ']' && self.closes_a_number() {
            self.out.push(')');
            return;
        }
        if self.would_act(c) {
            self.out.push(' ');
        }
        self.out.push(c);
    }

    fn begins_a_tag(&self, c: char) -> bool {
        self.out.ends_with('<') && (c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'))
    }

    /// Whether `c` would complete a link, an image, the definition of a link, or an address of a page or a mailbox.
    fn would_act(&self, c: char) -> bool {
        let last = self.out.chars().next_back();
        let after_bracket = last.is_some_and(|last| last == ']' || is_mark(last));
        match c {
            '(' | '[' | ':' if after_bracket => true,
            '[' => last == Some('!') || self.author == Author::Model && last == Some('['),
            '/' => self.author == Author::Model && self.out.ends_with(":/"),
            '.' => self.author == Author::Model && self.ends_with_www(),
            '@' => self.author == Author::Model && last.is_some_and(char::is_alphanumeric),
            _ => false,
        }
    }

    fn ends_with_www(&self) -> bool {
        let start = self.out.len().saturating_sub(3);
        let www = self.out.get(start..).is_some_and(|end| end.eq_ignore_ascii_case("www"));
        www && !self.out[..start].ends_with(char::is_alphanumeric)
    }

    /// Turns the bracket of a number at the end into a parenthesis.
    fn closes_a_number(&mut self) -> bool {
        let digits = self.out.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        if digits == self.out.len() || !self.out[..digits].ends_with('[') {
            return false;
        }
        let number = self.out.split_off(digits);
        self.out.pop();
        self.put('(');
        self.out.push_str(&number);
        true
    }
}

/// Characters that carry orders or marks unseen: controls, directions, tags, private use. Joiners stay, which many
/// scripts need.
pub(super) fn is_invisible(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
        || is_mark(c)
        || matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
            | '\u{f0000}'..='\u{10ffff}')
}

/// Length of what begins a line of a quote or a heading, with the space around it.
fn line_signs(line: &str) -> usize {
    let words = line.trim_start_matches([' ', '\t', '>']);
    let title = words.trim_start_matches('#');
    let is_heading = title.len() < words.len() && title.starts_with([' ', '\t']);
    line.len() - if is_heading { title.trim_start_matches([' ', '\t']).len() } else { words.len() }
}

/// Length of `[words]` at the start of `text`, brackets within it balanced.
fn label(text: &str) -> Option<usize> {
    enclosed(text, '[', ']')
}

/// Length of what a link points at, at the start of `text`: `(address)` or `[name]`, which in a document may be a note.
fn target(text: &str, author: Author) -> usize {
    if author == Author::Document && note(text).is_some() {
        return 0;
    }
    address(text).max(label(text).unwrap_or(0))
}

/// Length of `(address)` at the start of `text`, or 0.
fn address(text: &str) -> usize {
    enclosed(text, '(', ')').unwrap_or(0)
}

/// Length from an opening sign at the start of `text` to the one that closes it, in the same paragraph.
fn enclosed(text: &str, open: char, close: char) -> Option<usize> {
    if !text.starts_with(open) {
        return None;
    }
    let mut depth = 0usize;
    let mut last = ' ';
    for (at, c) in text.char_indices().take(LONGEST_LINK) {
        match c {
            '\n' if last == '\n' => return None,
            _ if c == open => depth += 1,
            _ if c == close => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at + c.len_utf8());
        }
        last = c;
    }
    None
}

/// Length of the number of a note at the start of a document's `text`: `[1]`, `[1, 2]`, `[2-4]`, `【3】`, `[^1]`.
fn note(text: &str) -> Option<usize> {
    let open = text.chars().next()?;
    let close = match open {
        '[' => ']',
        '【' => '】',
        '［' => '］',
        _ => return None,
    };
    let end = text[..text.floor_char_boundary(LONGEST_NOTE)].find(close)?;
    let inner = text[open.len_utf8()..end].trim().trim_start_matches('^');
    let inner = inner.split('†').next().unwrap_or(inner);
    let is_number = |text: &str| {
        let text = text.trim();
        (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    let numbers = inner.split([',', ';', '，', '、', '-', '–']).all(is_number);
    numbers.then_some(end + close.len_utf8())
}

/// What follows the markers at the start of `text` and all that is not shown.
fn without_markers(text: &str) -> &str {
    let unseen = |c: char| is_invisible(c) && !markers::is_marker(c);
    let mut rest = text.trim_start_matches(unseen);
    while let Some(behind) = rest.strip_prefix(markers::is_marker) {
        rest = behind[address(behind)..].trim_start_matches(unseen);
    }
    rest
}

#[cfg(test)]
mod tests;

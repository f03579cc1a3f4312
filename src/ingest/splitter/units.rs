//! Text to units: the smallest pieces a chunk is packed from, each with its cost and the strength of the break before it.

use std::borrow::Cow;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::outline::Section;
use crate::domain::{Extracted, MarkKind};

/// Blocks are looked at in slabs of so many bytes, so that no text makes the search for sentences slow.
const SLAB_BYTES: usize = 16 << 10;
/// A model token covers at most so many bytes: tokenizers give up on monstrous words and call them one token.
const BYTES_PER_TOKEN: usize = 16;
/// Sentences shorter than this are numbers of list items or abbreviations, and stay with what follows, characters.
const MIN_SENTENCE_CHARS: usize = 4;

/// How good a place for a cut is, the best last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Break {
    /// Inside a sentence, or where things belong together: a heading and its text.
    Piece,
    Sentence,
    /// Between lines that are things of their own: list items, table rows.
    Line,
    /// Between paragraphs.
    Block,
    Section,
}

/// A piece of text that is never cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    pub start: usize,
    pub end: usize,
    /// Model tokens, at least 1.
    pub cost: usize,
    /// The break before it.
    pub before: Break,
    /// Index of its section.
    pub section: usize,
    pub kind: UnitKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum UnitKind {
    Heading,
    Prose,
    Code,
    /// A row, with the range of its table's header; empty when it has none.
    Row(Range<usize>),
}

/// Cuts a text into units of at most `largest` tokens.
pub(super) struct Cutter<'a> {
    pub text: &'a str,
    pub count_tokens: &'a dyn Fn(&str) -> usize,
    /// Largest unit, model tokens.
    pub largest: usize,
    units: Vec<Unit>,
    section: usize,
    /// What the next unit's break is lowered to, once.
    glue: Option<Break>,
}

/// A stretch of text that is not prose.
struct Special {
    range: Range<usize>,
    kind: UnitKind,
}

impl<'a> Cutter<'a> {
    pub fn new(text: &'a str, count_tokens: &'a dyn Fn(&str) -> usize, largest: usize) -> Self {
        Self { text, count_tokens, largest: largest.max(1), units: Vec::new(), section: 0, glue: None }
    }

    /// Model tokens of `text`, or more where the tokenizer cannot be right.
    pub fn cost(&self, text: &str) -> usize {
        (self.count_tokens)(text).max(text.len().div_ceil(BYTES_PER_TOKEN)).max(1)
    }

    /// The units of the whole document, in order; what lies between them is white space.
    pub fn cut(mut self, extracted: &Extracted, sections: &[Section]) -> Vec<Unit> {
        let specials = specials(extracted);
        let mut specials = specials.iter().peekable();
        for (index, section) in sections.iter().enumerate() {
            let end = sections.get(index + 1).map_or(self.text.len(), |next| next.start);
            self.section = index;
            self.glue = None;
            let first = self.units.len();
            let mut at = section.start;
            while at < end {
                while specials.next_if(|special| special.range.end <= at).is_some() {}
                let special = specials.peek().filter(|special| special.range.start < end);
                let prose_end = special.map_or(end, |special| special.range.start.clamp(at, end));
                self.prose(at..prose_end);
                at = prose_end;
                if let Some(special) = special {
                    let range = at..special.range.end.min(end);
                    at = range.end;
                    self.special(range, &special.kind);
                }
            }
            if let Some(unit) = self.units.get_mut(first) {
                unit.before = Break::Section;
            }
        }
        self.units
    }

    fn special(&mut self, range: Range<usize>, kind: &UnitKind) {
        match kind {
            UnitKind::Heading => {
                self.lines(range, kind, |_, _| Break::Block);
                self.glue = Some(Break::Piece);
            }
            UnitKind::Row(header) => {
                // The header and the row that follows it, past one line break, belong together.
                let header_end = header.end;
                self.lines(
                    range,
                    kind,
                    |line, _| if line.start <= header_end + 1 { Break::Piece } else { Break::Line },
                );
            }
            UnitKind::Code | UnitKind::Prose => self.lines(range, kind, |_, gap| gap),
        }
    }

    /// One unit a line. `strength` is given the line and how good a cut the blank lines before it make.
    fn lines(&mut self, range: Range<usize>, kind: &UnitKind, strength: impl Fn(&Range<usize>, Break) -> Break) {
        let mut gap = Break::Block;
        let mut first = true;
        for line in lines(self.text, range) {
            let words = &self.text[line.clone()];
            if words.trim().is_empty() {
                gap = gap.max(Break::Line);
                continue;
            }
            // A line at the margin after an empty one begins something new.
            let indented = words.starts_with([' ', '\t', '}', ')', ']']);
            let gap_here = if gap == Break::Line && !indented { Break::Block } else { gap };
            let before = if first { Break::Block } else { strength(&line, gap_here) };
            self.push(line, before, kind);
            (gap, first) = (Break::Sentence, false);
        }
    }

    fn prose(&mut self, range: Range<usize>) {
        for block in blocks(self.text, range) {
            let mut before = Break::Block;
            let ends_with_colon = self.text[block.clone()].trim_end().ends_with([':', '：']);
            for item in items(self.text, block) {
                self.sentences(item, before);
                before = Break::Line;
            }
            if ends_with_colon {
                self.glue = Some(Break::Sentence);
            }
        }
    }

    fn sentences(&mut self, item: Range<usize>, first: Break) {
        let mut before = first;
        for slab in slabs(self.text, item) {
            // A line break inside a paragraph is only a space that was too long for the page.
            let flat: Cow<str> = match &self.text[slab.clone()] {
                text if text.contains('\n') => text.replace('\n', " ").into(),
                text => text.into(),
            };
            let mut start = 0;
            for (at, sentence) in flat.split_sentence_bound_indices() {
                let end = at + sentence.len();
                if flat[start..end].trim().chars().count() < MIN_SENTENCE_CHARS && end < flat.len() {
                    continue;
                }
                self.push(slab.start + start..slab.start + end, before, &UnitKind::Prose);
                (before, start) = (Break::Sentence, end);
            }
        }
    }

    /// Adds a unit, or its pieces when it is too large.
    fn push(&mut self, range: Range<usize>, before: Break, kind: &UnitKind) {
        let Some(range) = trim(self.text, range) else { return };
        let before = self.glue.take().map_or(before, |glue| glue.min(before));
        let cost = if range.len() <= self.largest * BYTES_PER_TOKEN {
            self.cost(&self.text[range.clone()])
        } else {
            usize::MAX
        };
        if cost <= self.largest {
            self.add(range, cost, before, kind);
        } else {
            self.pieces(range, before, kind);
        }
    }

    fn pieces(&mut self, range: Range<usize>, mut before: Break, kind: &UnitKind) {
        // Four bytes a token is English; whatever turns out too dear is halved.
        let mut waiting: Vec<Range<usize>> = windows(self.text, range, self.largest).collect();
        waiting.reverse();
        while let Some(piece) = waiting.pop() {
            let Some(piece) = trim(self.text, piece) else { continue };
            let cost = self.cost(&self.text[piece.clone()]);
            if let Some((left, right)) = halve(self.text, &piece).filter(|_| cost > self.largest) {
                waiting.extend([right, left]);
            } else {
                self.add(piece, cost, before, kind);
                before = Break::Piece;
            }
        }
    }

    fn add(&mut self, range: Range<usize>, cost: usize, before: Break, kind: &UnitKind) {
        let Range { start, end } = range;
        self.units.push(Unit { start, end, cost, before, section: self.section, kind: kind.clone() });
    }
}

/// Headings, tables and code in order, none inside another.
fn specials(extracted: &Extracted) -> Vec<Special> {
    let mut specials: Vec<Special> = Vec::new();
    for mark in &extracted.marks {
        let (range, kind) = match mark.kind {
            MarkKind::Heading { .. } => (heading_lines(&extracted.text, mark.start..mark.end), UnitKind::Heading),
            MarkKind::Table { header_end } => (mark.start..mark.end, UnitKind::Row(mark.start..header_end)),
            MarkKind::Code => (mark.start..mark.end, UnitKind::Code),
            _ => continue,
        };
        if specials.last().is_none_or(|last| last.range.end <= range.start) {
            specials.push(Special { range, kind });
        }
    }
    specials
}

/// The whole lines of a heading, with the line that underlines it in Markdown.
fn heading_lines(text: &str, words: Range<usize>) -> Range<usize> {
    let start = text[..words.start].rfind('\n').map_or(0, |at| at + 1);
    let end = line_end(text, words.end);
    let next = end..line_end(text, (end + 1).min(text.len()));
    let underline = text[next.clone()].trim();
    let underlines = !underline.is_empty() && ["=", "-"].iter().any(|sign| underline.replace(sign, "").is_empty());
    start..if underlines { next.end } else { end }
}

fn line_end(text: &str, from: usize) -> usize {
    // `from` may be one past a line break, which is a character boundary.
    text[from..].find('\n').map_or(text.len(), |at| from + at)
}

fn lines(text: &str, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut at = range.start;
    text[range].split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        start..at
    })
}

/// Stretches without an empty line.
fn blocks(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    group(text, range, |_, previous_blank| previous_blank)
}

/// The items of a list, each with the lines that go on with it; any other block is one item.
fn items(text: &str, block: Range<usize>) -> Vec<Range<usize>> {
    group(text, block, |line, _| is_item(line))
}

/// Lines joined until `starts` says that one begins something new; blank lines belong to nothing.
fn group(text: &str, range: Range<usize>, starts: impl Fn(&str, bool) -> bool) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut previous_blank = true;
    for line in lines(text, range) {
        let words = text[line.clone()].trim();
        if !words.is_empty() {
            match groups.last_mut() {
                Some(last) if !starts(words, previous_blank) => last.end = line.end,
                _ => groups.push(line),
            }
        }
        previous_blank = words.is_empty();
    }
    groups
}

/// Whether a line begins a list item: a bullet, or a number or letter with a dot or bracket.
fn is_item(line: &str) -> bool {
    if line.starts_with("- ")
        || line.starts_with(['•', '‣', '◦', '▪', '●'])
        || line.starts_with("* ")
        || line.starts_with("+ ")
    {
        return true;
    }
    let marker = line.trim_start_matches(|c: char| c.is_ascii_digit());
    line.len() - marker.len() <= 3
        && marker.len() < line.len()
        && (marker.starts_with(". ") || marker.starts_with(") "))
}

/// Cuts a long stretch at line ends or spaces.
fn slabs(text: &str, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let start = at;
        at = slab_end(text, start, range.end);
        (start < at).then_some(start..at)
    })
}

fn slab_end(text: &str, start: usize, end: usize) -> usize {
    if end - start <= SLAB_BYTES {
        return end;
    }
    let slab = &text[start..text.floor_char_boundary(start + SLAB_BYTES)];
    let cut = slab.rfind('\n').or_else(|| slab.rfind(char::is_whitespace)).filter(|cut| *cut > 0);
    // The white space itself goes to the next slab, where trimming takes it away.
    start + cut.unwrap_or(slab.len())
}

/// Stretches of whole words, of about a quarter of `tokens` each if they were English.
fn windows(text: &str, range: Range<usize>, tokens: usize) -> impl Iterator<Item = Range<usize>> {
    let target = tokens.max(4);
    slabs(text, range).flat_map(move |slab| {
        let mut windows = vec![];
        let mut start = slab.start;
        for (at, word) in text[slab.clone()].split_word_bound_indices() {
            let end = slab.start + at + word.len();
            if end - start >= target {
                windows.push(start..end);
                start = end;
            }
        }
        windows.push(start..slab.end);
        windows
    })
}

/// The range in two, at the middle: between words if one ends near, else between characters; none for one character.
fn halve(text: &str, range: &Range<usize>) -> Option<(Range<usize>, Range<usize>)> {
    let middle = text.floor_char_boundary(range.start + range.len() / 2);
    let space = text[range.start..middle].rfind(char::is_whitespace).map(|at| range.start + at);
    let first = range.start + text[range.clone()].chars().next()?.len_utf8();
    let cut = space.filter(|space| *space > range.start).unwrap_or(middle).max(first);
    (cut < range.end).then_some((range.start..cut, cut..range.end))
}

/// The range without white space at its ends; none if it is nothing else.
fn trim(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let words = &text[range.clone()];
    let start = range.end - words.trim_start().len();
    let end = range.start + words.trim_end().len();
    (start < end).then_some(start..end)
}

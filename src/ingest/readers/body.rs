//! The flow of paragraphs and tables that Office's formats share.

use std::collections::HashMap;

use super::grid::Grids;
use super::numbering::Numbering;
use super::xml::{Element, Visitor};
use crate::domain::MarkKind;
use crate::ingest::draft::Draft;

/// Elements that are not the document's: field codes, deleted text, what older programs show instead, how a paragraph
/// looked before a tracked change.
const DROPPED: [&str; 6] = ["instrText", "delText", "delInstrText", "Fallback", "moveFrom", "pPrChange"];

/// What a document says of its paragraphs as a whole.
#[derive(Default)]
pub(super) struct Paragraphs {
    /// Styles by id.
    pub styles: HashMap<String, Style>,
    /// The lists, and how far each has counted.
    pub numbering: Numbering,
}

/// What a style, or a paragraph itself, says of its heading level and list.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Style {
    /// Heading level, 1 to 9.
    pub level: Option<u8>,
    /// The list it belongs to; 0 is none.
    pub list: Option<u32>,
    /// Its depth in the list, from 0.
    pub depth: Option<usize>,
}

/// Outline levels count from 0, and 9 is body text.
pub(super) fn outline_level(value: &str) -> Option<u8> {
    value.parse::<u8>().ok().filter(|level| *level < 9).map(|level| level + 1)
}

/// The flow of paragraphs and tables in a part.
pub(super) struct Body<'a> {
    draft: &'a mut Draft,
    document: &'a mut Paragraphs,
    grids: Grids,
    /// The dropped element we are in, and how many of its name are open.
    skipping: Option<(&'static str, usize)>,
    /// Whether words count: text stands in `t` only.
    in_text: bool,
    /// The open paragraphs; one in a text box stands inside another.
    paragraphs: Vec<Paragraph>,
    /// Whether the shape is its slide's title.
    is_title: bool,
}

#[derive(Default)]
struct Paragraph {
    style: Style,
    /// Where its first word stands.
    start: Option<usize>,
}

impl<'a> Body<'a> {
    pub fn new(draft: &'a mut Draft, document: &'a mut Paragraphs) -> Self {
        draft.end_block();
        Self {
            draft,
            document,
            grids: Grids::default(),
            skipping: None,
            in_text: false,
            paragraphs: Vec::new(),
            is_title: false,
        }
    }

    fn start_paragraph(&mut self) {
        self.end_words();
        let style = Style { level: self.is_title.then_some(1), ..Style::default() };
        self.paragraphs.push(Paragraph { style, start: None });
    }

    fn end_paragraph(&mut self) {
        self.end_words();
        if let Some(Paragraph { style: Style { level: Some(level), .. }, start: Some(start) }) = self.paragraphs.pop() {
            self.draft.close(start, MarkKind::Heading { level: level.min(6) });
            self.draft.end_block();
        }
    }

    /// Ends the paragraph's line, or parts it from the next within a cell.
    fn end_words(&mut self) {
        if self.grids.in_cell() {
            self.grids.words(" ", self.draft);
        } else if self.paragraphs.last().is_some_and(|paragraph| paragraph.style.is_listed()) {
            self.draft.end_line();
        } else {
            self.draft.end_block();
        }
    }

    fn write(&mut self, words: &str) {
        if !words.trim().is_empty() {
            self.begin_paragraph();
        }
        if self.grids.in_cell() {
            self.grids.words(words, self.draft);
        } else {
            self.draft.words(words);
        }
    }

    /// Before a paragraph's first word: its place, and its number or bullet.
    fn begin_paragraph(&mut self) {
        let Some(paragraph) = self.paragraphs.last_mut().filter(|paragraph| paragraph.start.is_none()) else { return };
        let style = paragraph.style;
        if !self.grids.in_cell() && (style.level.is_some() || !style.is_listed()) {
            self.draft.end_block();
        }
        paragraph.start = Some(if self.grids.in_cell() { self.draft.len() } else { self.draft.open() });
        let label = match style.list {
            Some(list) if list > 0 => self.document.numbering.next(list, style.depth.unwrap_or_default()),
            _ => String::new(),
        };
        match label.as_str() {
            "" => {}
            label if self.grids.in_cell() => self.grids.words(&format!("{label} "), self.draft),
            label => self.draft.words(&format!("{label} ")),
        }
    }

    fn property(&mut self, element: &Element) {
        let value = element.attribute("val").unwrap_or_default();
        let Some(Paragraph { style, .. }) = self.paragraphs.last_mut() else { return };
        match element.name() {
            // What the paragraph says itself goes before its style, in whatever order it says so.
            "pStyle" => {
                let named = self.document.styles.get(&value).copied().unwrap_or_default();
                *style = Style {
                    level: style.level.or(named.level),
                    list: style.list.or(named.list),
                    depth: style.depth.or(named.depth),
                };
            }
            "outlineLvl" => style.level = outline_level(&value),
            "numId" => style.list = value.parse().ok(),
            "ilvl" => style.depth = value.parse().ok(),
            _ => {}
        }
    }
}

impl Style {
    fn is_listed(&self) -> bool {
        self.list.is_some_and(|list| list > 0)
    }
}

impl Visitor for Body<'_> {
    fn open(&mut self, element: &Element) {
        let name = element.name();
        if let Some((skipped, depth)) = &mut self.skipping {
            *depth += usize::from(*skipped == name);
            return;
        }
        if let Some(dropped) = DROPPED.iter().copied().find(|dropped| *dropped == name) {
            self.skipping = Some((dropped, 1));
            return;
        }
        match name {
            // `text` is a comment's in a presentation.
            "t" | "text" => self.in_text = true,
            "p" => self.start_paragraph(),
            "cm" | "pt" => self.end_words(),
            "pStyle" | "outlineLvl" | "numId" | "ilvl" => self.property(element),
            "tab" | "ptab" => self.write(" "),
            "br" | "cr" if self.grids.in_cell() => self.write(" "),
            "br" | "cr" => self.draft.end_line(),
            "noBreakHyphen" => self.write("-"),
            "tbl" => self.grids.start_table(self.draft),
            "tr" => self.grids.start_row(self.draft),
            "tc" => self.grids.start_cell(self.draft),
            "sp" => self.is_title = false,
            "ph" => self.is_title = matches!(element.attribute("type").as_deref(), Some("title" | "ctrTitle")),
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        if let Some((skipped, depth)) = &mut self.skipping {
            *depth -= usize::from(*skipped == name);
            if *depth == 0 {
                self.skipping = None;
            }
            return;
        }
        match name {
            "t" | "text" => self.in_text = false,
            "p" => self.end_paragraph(),
            "tc" => self.grids.end_cell(self.draft),
            "tbl" => self.grids.end_table(self.draft),
            "sp" => self.is_title = false,
            _ => {}
        }
    }

    fn words(&mut self, words: &str) {
        if self.in_text && self.skipping.is_none() {
            self.write(words);
        }
    }
}

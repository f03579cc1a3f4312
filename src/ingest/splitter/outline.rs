//! Where in a document a place is: its section, with the headings above it, and its page.

use crate::domain::{Extracted, Mark, MarkKind};

/// Longest heading kept in a path, characters: some documents mark whole paragraphs as headings.
const MAX_HEADING_CHARS: usize = 120;

/// A stretch of text under one heading path; it ends where the next begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// First byte: the beginning of the heading's line.
    pub start: usize,
    /// Names above the text, outermost first: part, sheet, headings.
    pub path: Vec<String>,
    /// Whether it begins another document (a part, a sheet): no chunk reaches across.
    pub wall: bool,
}

/// The document's sections in order, the first at byte 0, with strictly rising starts.
pub(super) fn sections(extracted: &Extracted) -> Vec<Section> {
    let mut outline =
        Outline { text: &extracted.text, sections: Vec::new(), containers: Vec::new(), headings: Vec::new() };
    outline.begin(0, true);
    for mark in &extracted.marks {
        outline.leave_containers(mark.start);
        match &mark.kind {
            MarkKind::Part { name } | MarkKind::Sheet { name } => outline.enter_container(mark, name),
            MarkKind::Slide { .. } => {
                outline.headings.clear();
                outline.begin(mark.start, false);
            }
            MarkKind::Heading { level } => outline.enter_heading(mark, *level),
            MarkKind::Page { .. } | MarkKind::Table { .. } | MarkKind::Code => {}
        }
    }
    outline.leave_containers(extracted.text.len());
    outline.sections
}

struct Outline<'a> {
    text: &'a str,
    sections: Vec<Section>,
    /// Open parts and sheets: their ends and names.
    containers: Vec<(usize, String)>,
    /// Open headings: their levels and words.
    headings: Vec<(u8, String)>,
}

impl Outline<'_> {
    fn leave_containers(&mut self, at: usize) {
        while let Some((end, _)) = self.containers.pop_if(|(end, _)| *end <= at) {
            self.headings.clear();
            self.begin(end, true);
        }
    }

    fn enter_container(&mut self, mark: &Mark, name: &str) {
        self.headings.clear();
        self.containers.push((mark.end, shorten(name)));
        self.begin(mark.start, true);
    }

    fn enter_heading(&mut self, mark: &Mark, level: u8) {
        let Some(words) = self.text.get(mark.start..mark.end) else { return };
        while self.headings.pop_if(|(open, _)| *open >= level).is_some() {}
        self.headings.push((level, shorten(words)));
        let line = self.text[..mark.start].rfind('\n').map_or(0, |at| at + 1);
        self.begin(line, false);
    }

    fn begin(&mut self, start: usize, wall: bool) {
        let names = self.containers.iter().map(|(_, name)| name);
        let path = names.chain(self.headings.iter().map(|(_, words)| words)).cloned().collect();
        match self.sections.last_mut() {
            Some(last) if start <= last.start => *last = Section { start: last.start, path, wall: last.wall || wall },
            _ => self.sections.push(Section { start, path, wall }),
        }
    }
}

fn shorten(words: &str) -> String {
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(MAX_HEADING_CHARS).collect()
}

/// The page or slide that byte `at` stands on, where the document has such.
pub(super) struct Pages(Vec<(usize, u32)>);

impl Pages {
    pub fn of(extracted: &Extracted) -> Self {
        let number = |mark: &Mark| match mark.kind {
            MarkKind::Page { number } | MarkKind::Slide { number } => Some((mark.start, number)),
            _ => None,
        };
        Self(extracted.marks.iter().filter_map(number).collect())
    }

    pub fn at(&self, at: usize) -> Option<u32> {
        let after = self.0.partition_point(|(start, _)| *start <= at);
        after.checked_sub(1).map(|index| self.0[index].1)
    }
}

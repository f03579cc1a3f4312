//! ODT, ODS and ODP: OpenDocument (ISO/IEC 26300), from its `content.xml`.

use super::budget::Budget;
use super::grid::Grids;
use super::package::Package;
use super::xml::{Element, Visitor, walk};
use crate::domain::MarkKind;
use crate::ingest::ExtractError;
use crate::ingest::draft::Draft;

/// A cell that says it repeats is written so often at most: spreadsheets fill rows to their end with empty ones.
const MAX_REPEATED_CELLS: usize = 256;
/// Elements whose words are not the document's: comments, deleted text, names of things.
const DROPPED: [&str; 6] = ["annotation", "tracked-changes", "note-citation", "sequence-decls", "forms", "desc"];

/// Reads an OpenDocument package.
pub(super) fn read(package: &mut Package, draft: &mut Draft, budget: &mut Budget) -> Result<(), ExtractError> {
    if let Some(xml) = package.text("meta.xml", budget)? {
        let mut meta = Meta { inside: false, title: String::new() };
        walk(&xml, &mut meta)?;
        draft.title(&meta.title);
    }
    if let Some(manifest) = package.text("META-INF/manifest.xml", budget)?
        && manifest.contains("encryption-data")
    {
        return Err(ExtractError::needs_password());
    }
    let xml = package.text("content.xml", budget)?.ok_or_else(|| ExtractError::damaged("its content is missing"))?;
    walk(&xml, &mut Body::new(draft))
}

struct Meta {
    inside: bool,
    title: String,
}

impl Visitor for Meta {
    fn open(&mut self, element: &Element) {
        self.inside = element.name() == "title";
    }

    fn close(&mut self, _name: &str) {
        self.inside = false;
    }

    fn words(&mut self, words: &str) {
        if self.inside {
            self.title.push_str(words);
        }
    }
}

/// The flow of paragraphs, tables, sheets and slides.
struct Body<'a> {
    draft: &'a mut Draft,
    grids: Grids,
    /// The dropped element we are in, and how many of its name are open.
    skipping: Option<(&'static str, usize)>,
    /// Open paragraphs and headings: words count inside them only.
    paragraphs: Vec<Option<(usize, u8)>>,
    /// List items open; a paragraph that begins one gets a bullet.
    items: usize,
    bullet: bool,
    /// Whether the document is a spreadsheet, whose tables are sheets.
    spreadsheet: bool,
    sheet: Option<Sheet>,
    slide: Option<(usize, u32)>,
    slides: u32,
}

/// An open sheet of a spreadsheet, written row by row.
struct Sheet {
    name: String,
    start: usize,
    row: Vec<String>,
    /// How often the open cell stands in its row, and its words.
    cell: Option<(usize, String)>,
    in_table: bool,
}

impl<'a> Body<'a> {
    fn new(draft: &'a mut Draft) -> Self {
        draft.end_block();
        Self {
            draft,
            grids: Grids::default(),
            skipping: None,
            paragraphs: Vec::new(),
            items: 0,
            bullet: false,
            spreadsheet: false,
            sheet: None,
            slide: None,
            slides: 0,
        }
    }

    fn write(&mut self, words: &str) {
        if let Some(sheet) = &mut self.sheet {
            if let Some((_, cell)) = &mut sheet.cell {
                cell.push_str(words);
            }
        } else if self.grids.in_cell() {
            self.grids.words(words, self.draft);
        } else {
            if self.bullet && !words.trim().is_empty() {
                self.draft.words("- ");
                self.bullet = false;
            }
            self.draft.words(words);
        }
    }

    fn start_paragraph(&mut self, level: Option<u8>) {
        if self.sheet.is_some() || self.grids.in_cell() {
            self.write(" ");
            self.paragraphs.push(None);
            return;
        }
        if level.is_some() || self.items == 0 {
            self.draft.end_block();
        } else {
            self.draft.end_line();
        }
        self.paragraphs.push(level.map(|level| (self.draft.open(), level)));
    }

    fn end_paragraph(&mut self) {
        if let Some(Some((start, level))) = self.paragraphs.pop() {
            self.draft.close(start, MarkKind::Heading { level: level.clamp(1, 6) });
        }
        if self.sheet.is_some() || self.grids.in_cell() {
            self.write(" ");
        } else if self.items > 0 {
            self.draft.end_line();
        } else {
            self.draft.end_block();
        }
    }

    fn start_table(&mut self, element: &Element) {
        if !self.spreadsheet {
            return self.grids.start_table(self.draft);
        }
        if self.sheet.is_none() {
            self.draft.end_block();
            let name = element.attribute("name").unwrap_or_default();
            let start = self.draft.open();
            self.sheet = Some(Sheet { name, start, row: Vec::new(), cell: None, in_table: false });
        }
    }

    fn end_table(&mut self) {
        if !self.spreadsheet {
            return self.grids.end_table(self.draft);
        }
        if let Some(sheet) = self.sheet.take() {
            if sheet.in_table {
                self.draft.end_table();
            }
            self.draft.close(sheet.start, MarkKind::Sheet { name: sheet.name });
            self.draft.end_block();
        }
    }

    fn start_cell(&mut self, element: &Element) {
        let repeated =
            element.attribute("number-columns-repeated").and_then(|count| count.parse().ok()).unwrap_or(1_usize);
        match &mut self.sheet {
            Some(sheet) => sheet.cell = Some((repeated.min(MAX_REPEATED_CELLS), String::new())),
            None => self.grids.start_cell(self.draft),
        }
    }

    fn end_cell(&mut self) {
        match &mut self.sheet {
            Some(sheet) => {
                if let Some((repeated, words)) = sheet.cell.take() {
                    let words = words.trim().to_owned();
                    sheet.row.extend(std::iter::repeat_n(words, repeated));
                }
            }
            None => self.grids.end_cell(self.draft),
        }
    }

    fn start_row(&mut self) {
        match &mut self.sheet {
            Some(sheet) => sheet.row.clear(),
            None => self.grids.start_row(self.draft),
        }
    }

    /// Writes the row of a sheet; an empty one ends the table.
    fn end_row(&mut self) {
        let Some(sheet) = &mut self.sheet else { return };
        let empty = sheet.row.iter().all(String::is_empty);
        if empty && sheet.in_table {
            self.draft.end_table();
        } else if !empty && !sheet.in_table {
            self.draft.begin_table();
        }
        sheet.in_table = !empty;
        if !empty {
            self.draft.row(&sheet.row);
        }
    }

    fn start_slide(&mut self) {
        self.end_slide();
        self.draft.end_block();
        self.slides += 1;
        self.slide = Some((self.draft.open(), self.slides));
    }

    fn end_slide(&mut self) {
        if let Some((start, number)) = self.slide.take() {
            self.draft.close(start, MarkKind::Slide { number });
        }
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
            "spreadsheet" => self.spreadsheet = true,
            "page" => self.start_slide(),
            "p" => self.start_paragraph(None),
            "h" => {
                let level = element.attribute("outline-level").and_then(|level| level.parse().ok()).unwrap_or(1);
                self.start_paragraph(Some(level));
            }
            "list-item" => {
                self.items += 1;
                self.bullet = true;
            }
            "s" | "tab" => self.write(" "),
            "line-break" if self.sheet.is_some() || self.grids.in_cell() => self.write(" "),
            "line-break" => self.draft.end_line(),
            "table" => self.start_table(element),
            "table-row" => self.start_row(),
            "table-cell" | "covered-table-cell" => self.start_cell(element),
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
            "p" | "h" => self.end_paragraph(),
            "page" => self.end_slide(),
            "list-item" => {
                self.items = self.items.saturating_sub(1);
                self.bullet = false;
            }
            "list" if self.items == 0 => self.draft.end_block(),
            "table" => self.end_table(),
            "table-row" => self.end_row(),
            "table-cell" | "covered-table-cell" => self.end_cell(),
            _ => {}
        }
    }

    fn words(&mut self, words: &str) {
        if !self.paragraphs.is_empty() && self.skipping.is_none() {
            self.write(words);
        }
    }
}

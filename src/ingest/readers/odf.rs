//! ODT, ODS and ODP: OpenDocument (ISO/IEC 26300), from its `content.xml`, and for text what stands in its margins.

use super::budget::Budget;
use super::formula::{self, Formulas};
use super::grid::Grids;
use super::package::Package;
use super::parts::Title;
use super::xml::{Element, Visitor, walk};
use crate::domain::MarkKind;
use crate::ingest::ExtractError;
use crate::ingest::draft::Draft;

/// A cell that says it repeats is written so often at most: spreadsheets fill rows to their end with empty ones.
const MAX_REPEATED_CELLS: usize = 256;
/// A row that says it repeats is written so often at most.
const MAX_REPEATED_ROWS: usize = 100;
/// Elements whose words are not the document's: deleted text, names of things, pictures.
const DROPPED: [&str; 6] = ["tracked-changes", "note-citation", "sequence-decls", "forms", "desc", "binary-data"];
/// Elements that stand in a sentence but are no part of it: comments, footnotes and endnotes.
const ASIDES: [&str; 2] = ["annotation", "note-body"];
/// What is printed on every page, in `styles.xml`.
const MARGINS: [&str; 6] = ["header", "footer", "header-left", "footer-left", "header-first", "footer-first"];

/// Reads an OpenDocument package.
pub(super) fn read(package: &mut Package, draft: &mut Draft, budget: &mut Budget) -> Result<(), ExtractError> {
    if let Some(manifest) = package.text("META-INF/manifest.xml", budget)?
        && manifest.contains("encryption-data")
    {
        return Err(ExtractError::needs_password());
    }
    if let Some(xml) = package.text("meta.xml", budget)? {
        let mut meta = Title::default();
        walk(&xml, &mut meta)?;
        draft.title(&meta.words);
    }
    let xml = package.text("content.xml", budget)?.ok_or_else(|| ExtractError::damaged("its content is missing"))?;
    let spreadsheet = read_body(&xml, formula::read(package, budget)?, draft)?;
    match package.text("styles.xml", budget)? {
        Some(styles) if !spreadsheet => {
            let mut margins = Body { margins: Some(0), ..Body::new(draft) };
            walk(&styles, &mut margins)?;
            margins.finish();
        }
        _ => {}
    }
    Ok(())
}

/// Reads a document that is one piece of XML; says whether it is a spreadsheet.
pub(super) fn read_flat(xml: &str, draft: &mut Draft) -> Result<bool, ExtractError> {
    read_body(xml, Formulas::new(), draft)
}

fn read_body(xml: &str, formulas: Formulas, draft: &mut Draft) -> Result<bool, ExtractError> {
    let mut body = Body { formulas, ..Body::new(draft) };
    walk(xml, &mut body)?;
    body.finish();
    Ok(body.spreadsheet)
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
    /// The comment or note that is open, and the finished ones that wait for the end of their paragraph or table.
    aside: Option<Aside>,
    asides: Vec<String>,
    /// Where only what stands in a margin counts: how many margins are open.
    margins: Option<usize>,
    /// What stands in the formulas that lie beside the document.
    formulas: Formulas,
}

/// An open comment or note.
struct Aside {
    words: String,
    /// Paragraphs open around it: outside paragraphs of its own stand its author and date.
    outside: usize,
}

/// An open sheet of a spreadsheet, written row by row.
struct Sheet {
    name: String,
    start: usize,
    row: Vec<String>,
    /// How often the open cell stands in its row, and its words.
    cell: Option<(usize, String)>,
    /// How often the open row stands in the sheet.
    repeated: usize,
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
            aside: None,
            asides: Vec::new(),
            margins: None,
            formulas: Formulas::new(),
        }
    }

    fn write(&mut self, words: &str) {
        if let Some(aside) = &mut self.aside {
            if self.paragraphs.len() > aside.outside {
                aside.words.push_str(words);
            }
        } else if let Some(sheet) = &mut self.sheet {
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
        if self.aside.is_some() || self.sheet.is_some() || self.grids.in_cell() {
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
        if self.aside.is_some() || self.sheet.is_some() || self.grids.in_cell() {
            return self.write(" ");
        }
        if self.items > 0 {
            self.draft.end_line();
        } else {
            self.draft.end_block();
        }
        self.write_asides();
    }

    fn end_aside(&mut self) {
        self.asides.extend(self.aside.take().map(|aside| aside.words).filter(|words| !words.trim().is_empty()));
    }

    /// Writes the comments and notes of what has just ended, each as a paragraph.
    fn write_asides(&mut self) {
        for aside in std::mem::take(&mut self.asides) {
            self.draft.paragraph(&aside);
        }
    }

    /// Writes what nothing ended.
    fn finish(&mut self) {
        self.end_aside();
        self.write_asides();
    }

    fn start_table(&mut self, element: &Element) {
        if !self.spreadsheet {
            return self.grids.start_table(self.draft);
        }
        if self.sheet.is_none() {
            self.draft.end_block();
            let name = element.attribute("name").unwrap_or_default();
            let start = self.draft.len();
            self.sheet = Some(Sheet { name, start, row: Vec::new(), cell: None, repeated: 1, in_table: false });
        }
    }

    fn end_table(&mut self) {
        if !self.spreadsheet {
            self.grids.end_table(self.draft);
            if self.grids.is_empty() {
                self.write_asides();
            }
            return;
        }
        if let Some(sheet) = self.sheet.take() {
            if sheet.in_table {
                self.draft.end_table();
            }
            self.write_asides();
            self.draft.close(sheet.start, MarkKind::Sheet { name: sheet.name });
            self.draft.end_block();
        }
    }

    fn start_cell(&mut self, element: &Element) {
        let repeated = repeats(element, "number-columns-repeated").min(MAX_REPEATED_CELLS);
        match &mut self.sheet {
            Some(sheet) => sheet.cell = Some((repeated, String::new())),
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

    fn start_row(&mut self, element: &Element) {
        match &mut self.sheet {
            Some(sheet) => {
                sheet.row.clear();
                sheet.repeated = repeats(element, "number-rows-repeated").min(MAX_REPEATED_ROWS);
            }
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
        for _ in 0..if empty { 0 } else { sheet.repeated } {
            self.draft.row(&sheet.row);
        }
    }

    fn start_slide(&mut self) {
        self.end_slide();
        self.draft.end_block();
        self.slides += 1;
        self.slide = Some((self.draft.len(), self.slides));
    }

    fn end_slide(&mut self) {
        if let Some((start, number)) = self.slide.take() {
            self.draft.close(start, MarkKind::Slide { number });
        }
    }
}

/// How often a row or cell stands side by side with itself.
fn repeats(element: &Element, attribute: &str) -> usize {
    element.attribute(attribute).and_then(|count| count.parse().ok()).unwrap_or(1)
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
        if MARGINS.contains(&name) {
            self.margins = self.margins.map(|open| open + 1);
        }
        match name {
            name if ASIDES.contains(&name) => {
                self.aside = Some(Aside { words: String::new(), outside: self.paragraphs.len() });
            }
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
            "object" => {
                let folder = element.attribute("href").unwrap_or_default();
                if let Some(symbols) = self.formulas.get(folder.trim_start_matches("./").trim_end_matches('/')).cloned()
                {
                    self.write(&symbols);
                }
            }
            "line-break" if self.aside.is_some() || self.sheet.is_some() || self.grids.in_cell() => self.write(" "),
            "line-break" => self.draft.end_line(),
            "table" => self.start_table(element),
            "table-row" => self.start_row(element),
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
        if MARGINS.contains(&name) {
            self.margins = self.margins.map(|open| open.saturating_sub(1));
        }
        match name {
            name if ASIDES.contains(&name) => self.end_aside(),
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
        let counts = self.skipping.is_none() && self.margins != Some(0);
        if counts && !self.paragraphs.is_empty() {
            self.write(words);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::Extracted;
    use crate::ingest::readers::package::tests::zip;
    use crate::ingest::{ReadLimits, extract_here};

    fn read(kind: &str, content: &str, styles: &str) -> Extracted {
        let mimetype = format!("application/vnd.oasis.opendocument.{kind}");
        let files =
            [("mimetype", mimetype.as_bytes()), ("content.xml", content.as_bytes()), ("styles.xml", styles.as_bytes())];
        extract_here("", &zip(&files), &ReadLimits { max_text_bytes: 10_000 }).unwrap()
    }

    #[test]
    fn notes_and_comments_do_not_tear_the_sentence_they_stand_in() {
        let content = "<office:text><text:p>One<text:note><text:note-citation>1</text:note-citation><text:note-body>\
            <text:p>see two</text:p></text:note-body></text:note> sent<office:annotation><dc:creator>Eve</dc:creator>\
            <dc:date>2024-01-01</dc:date><text:p>why?</text:p></office:annotation>ence.</text:p><text:p>Next</text:p></office:text>";
        let styles = "<style:master-page><style:header><text:p>Acme Ltd</text:p></style:header><draw:frame><text:p>Click to edit</text:p>\
            </draw:frame></style:master-page>";
        let read = read("text", content, styles);
        assert_eq!(
            (read.kind.as_str(), read.text.as_str()),
            ("odt", "One sentence.\n\nsee two\n\nwhy?\n\nNext\n\nAcme Ltd")
        );
    }

    #[test]
    fn a_formula_stands_where_it_is_shown() {
        let content = "<office:text><text:p>Energy: <draw:frame><draw:object xlink:href='./Object 1/'/></draw:frame> holds</text:p></office:text>";
        let formula = "<math><semantics><mrow><mi>E</mi><mo>=</mo><mi>m</mi></mrow><annotation>E=m</annotation></semantics></math>";
        let files = [
            ("mimetype", &b"application/vnd.oasis.opendocument.text"[..]),
            ("content.xml", content.as_bytes()),
            ("Object 1/content.xml", formula.as_bytes()),
        ];
        let read = extract_here("", &zip(&files), &ReadLimits { max_text_bytes: 1000 }).unwrap();
        assert_eq!(read.text, "Energy: E=m holds");
    }

    #[test]
    fn an_encrypted_document_needs_its_password() {
        let manifest = b"<manifest:manifest><manifest:file-entry><manifest:encryption-data/></manifest:file-entry></manifest:manifest>";
        let noise: &[u8] = b"\x01\x02\xff\0\x9c";
        let files = [("META-INF/manifest.xml", &manifest[..]), ("meta.xml", noise), ("content.xml", noise)];
        let error = extract_here("", &zip(&files), &ReadLimits { max_text_bytes: 100 }).unwrap_err();
        assert_eq!(error.code, "needs_password");
    }

    #[test]
    fn rows_and_cells_that_repeat_are_written_out_and_empty_ones_are_not() {
        let cell = |words: &str, times: u32| {
            format!(
                "<table:table-cell table:number-columns-repeated='{times}'><text:p>{words}</text:p></table:table-cell>"
            )
        };
        let content = format!(
            "<office:spreadsheet><table:table table:name='S'><table:table-row>{}{}</table:table-row>\
             <table:table-row table:number-rows-repeated='2'>{}</table:table-row><table:table-row table:number-rows-repeated='1048570'>\
             {}</table:table-row></table:table></office:spreadsheet>",
            cell("a", 2),
            cell("b", 1),
            cell("1", 3),
            cell("", 16384),
        );
        let styles = "<style:header><text:p>Page ???</text:p></style:header>";
        let read = read("spreadsheet", &content, styles);
        assert_eq!((read.kind.as_str(), read.text.as_str()), ("ods", "a | a | b\n1 | 1 | 1\n1 | 1 | 1"));
    }

    #[test]
    fn a_document_that_is_one_piece_of_xml_is_read_as_one() {
        let flat = "<?xml version='1.0'?><office:document xmlns:office='o'><office:body><text:h>Title</text:h><text:p>words</text:p>\
            <office:binary-data>AAAA</office:binary-data></office:body></office:document>";
        let read = extract_here("a.fodt", flat.as_bytes(), &ReadLimits { max_text_bytes: 1000 }).unwrap();
        assert_eq!((read.kind.as_str(), read.text.as_str()), ("odf", "Title\n\nwords"));
    }
}

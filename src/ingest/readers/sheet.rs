//! XLSX: sheets to tables, row by row, so that a sheet of any length costs the memory of its text.

use std::collections::HashMap;

use super::body::{Body, Paragraphs};
use super::budget::Budget;
use super::cells::{Look, Styles};
use super::chart;
use super::package::Package;
use super::parts::{core_title, relations};
use super::xml::{Element, Visitor, walk};
use crate::domain::MarkKind;
use crate::ingest::ExtractError;
use crate::ingest::draft::Draft;

/// Columns looked at: Excel's own limit.
const MAX_COLUMNS: usize = 16_384;

/// Reads a workbook whose main part is `main`.
pub(super) fn read(
    package: &mut Package,
    main: &str,
    draft: &mut Draft,
    budget: &mut Budget,
) -> Result<(), ExtractError> {
    if let Some(title) = core_title(package, budget)? {
        draft.title(&title);
    }
    let relations = relations(package, main, budget)?;
    let part =
        |kind: &str| relations.iter().find(|relation| relation.kind == kind).map(|relation| relation.target.clone());
    let mut strings = Strings::default();
    if let Some(name) = part("sharedStrings")
        && let Some(xml) = package.text(&name, budget)?
    {
        walk(&xml, &mut strings)?;
    }
    let mut styles = Styles::default();
    if let Some(name) = part("styles")
        && let Some(xml) = package.text(&name, budget)?
    {
        walk(&xml, &mut styles)?;
    }
    let mut workbook = Workbook::default();
    let xml = package.text(main, budget)?.ok_or_else(|| ExtractError::damaged("its main part is missing"))?;
    walk(&xml, &mut workbook)?;
    let targets: HashMap<&str, &str> =
        relations.iter().map(|relation| (relation.id.as_str(), relation.target.as_str())).collect();
    for (name, id) in &workbook.sheets {
        let Some(target) = targets.get(id.as_str()) else { continue };
        let Some(xml) = package.text(target, budget)? else {
            draft.warn(format!("The sheet {name} is missing from the file."));
            continue;
        };
        draft.end_block();
        let start = draft.len();
        let mut sheet = Sheet::new(draft, &strings.found, &styles.looks, workbook.epoch);
        walk(&xml, &mut sheet)?;
        sheet.end_table();
        read_besides(package, target, draft, budget)?;
        draft.close(start, MarkKind::Sheet { name: name.clone() });
    }
    Ok(())
}

/// Reads what lies over a sheet's cells: comments, text boxes and charts.
fn read_besides(package: &mut Package, part: &str, draft: &mut Draft, budget: &mut Budget) -> Result<(), ExtractError> {
    for relation in relations(package, part, budget)? {
        if !matches!(relation.kind.as_str(), "comments" | "drawing" | "chart" | "diagramData") {
            continue;
        }
        match package.text(&relation.target, budget)? {
            Some(xml) if relation.kind == "chart" => chart::read(&xml, draft)?,
            Some(xml) => walk(&xml, &mut Body::new(draft, &mut Paragraphs::default()))?,
            None => {}
        }
        if relation.kind == "drawing" {
            read_besides(package, &relation.target, draft, budget)?;
        }
    }
    Ok(())
}

/// The sheets' names and relationship ids in order, and where its dates begin.
struct Workbook {
    sheets: Vec<(String, String)>,
    epoch: jiff::civil::Date,
}

impl Default for Workbook {
    fn default() -> Self {
        Self { sheets: Vec::new(), epoch: jiff::civil::date(1899, 12, 30) }
    }
}

impl Visitor for Workbook {
    fn open(&mut self, element: &Element) {
        match element.name() {
            "sheet" => {
                let name = element.attribute("name").unwrap_or_default();
                self.sheets.extend(element.attribute("id").map(|id| (name, id)));
            }
            "workbookPr" if element.attribute("date1904").is_some_and(|flag| flag == "1" || flag == "true") => {
                self.epoch = jiff::civil::date(1904, 1, 1);
            }
            _ => {}
        }
    }

    fn close(&mut self, _name: &str) {}

    fn words(&mut self, _words: &str) {}
}

/// Strings that cells refer to by number.
#[derive(Default)]
struct Strings {
    found: Vec<String>,
    in_text: bool,
    /// Inside a reading aid for Japanese, which repeats the word.
    in_phonetic: bool,
}

impl Visitor for Strings {
    fn open(&mut self, element: &Element) {
        match element.name() {
            "si" => self.found.push(String::new()),
            "t" => self.in_text = true,
            "rPh" => self.in_phonetic = true,
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "t" => self.in_text = false,
            "rPh" => self.in_phonetic = false,
            _ => {}
        }
    }

    fn words(&mut self, words: &str) {
        if self.in_text
            && !self.in_phonetic
            && let Some(last) = self.found.last_mut()
        {
            last.push_str(words);
        }
    }
}

/// One sheet while its cells go by.
#[expect(clippy::struct_excessive_bools, reason = "each says where among the elements we are")]
struct Sheet<'a> {
    draft: &'a mut Draft,
    strings: &'a [String],
    looks: &'a [Look],
    epoch: jiff::civil::Date,
    row: Vec<String>,
    cell: Cell,
    /// Whether words are the cell's, or those of its formula.
    in_value: bool,
    in_formula: bool,
    /// Inside a reading aid for Japanese, which repeats the word.
    in_phonetic: bool,
    in_table: bool,
    last_row: u64,
    next_row: u64,
}

#[derive(Default)]
struct Cell {
    column: usize,
    kind: String,
    style: usize,
    value: String,
    formula: String,
}

impl<'a> Sheet<'a> {
    fn new(draft: &'a mut Draft, strings: &'a [String], looks: &'a [Look], epoch: jiff::civil::Date) -> Self {
        Self {
            draft,
            strings,
            looks,
            epoch,
            row: Vec::new(),
            cell: Cell::default(),
            in_value: false,
            in_formula: false,
            in_phonetic: false,
            in_table: false,
            last_row: 0,
            next_row: 0,
        }
    }

    fn start_row(&mut self, element: &Element) {
        self.row.clear();
        self.next_row = element.attribute("r").and_then(|row| row.parse().ok()).unwrap_or(self.next_row + 1);
    }

    /// Writes the row; an empty row above it begins another table.
    fn end_row(&mut self) {
        if self.row.iter().all(|cell| cell.trim().is_empty()) {
            return;
        }
        if self.in_table && self.next_row > self.last_row + 1 {
            self.end_table();
        }
        if !self.in_table {
            self.draft.begin_table();
            self.in_table = true;
        }
        let first = self.row.iter().position(|cell| !cell.trim().is_empty()).unwrap_or_default();
        // Alone in its row, a cell is a caption wherever it stands.
        let alone = self.row.iter().skip(first + 1).all(|cell| cell.trim().is_empty());
        self.draft.row(if alone { &self.row[first..] } else { &self.row });
        self.last_row = self.next_row;
    }

    fn end_table(&mut self) {
        if self.in_table {
            self.draft.end_table();
            self.in_table = false;
        }
    }

    fn start_cell(&mut self, element: &Element) {
        let column = element.attribute("r").and_then(|reference| column_of(&reference)).unwrap_or(self.row.len());
        let style = element.attribute("s").and_then(|style| style.parse().ok()).unwrap_or_default();
        let kind = element.attribute("t").unwrap_or_default();
        self.cell = Cell { column, kind, style, ..Cell::default() };
    }

    fn end_cell(&mut self) {
        let Cell { column, kind, style, value, formula } = std::mem::take(&mut self.cell);
        let shown = match kind.as_str() {
            // Written by a program that does not calculate.
            _ if value.is_empty() && !formula.is_empty() => format!("={formula}"),
            "s" => value
                .trim()
                .parse::<usize>()
                .ok()
                .and_then(|number| self.strings.get(number))
                .cloned()
                .unwrap_or_default(),
            "b" if value.is_empty() => value,
            "b" => String::from(if value.trim() == "1" { "TRUE" } else { "FALSE" }),
            "str" | "inlineStr" | "e" | "d" => value,
            _ => self.looks.get(style).copied().unwrap_or_default().show(&value, self.epoch),
        };
        if !shown.is_empty() && column < MAX_COLUMNS {
            self.row.resize(self.row.len().max(column + 1), String::new());
            self.row[column] = shown;
        }
    }
}

impl Visitor for Sheet<'_> {
    fn open(&mut self, element: &Element) {
        match element.name() {
            "row" => self.start_row(element),
            "c" => self.start_cell(element),
            "v" | "t" => self.in_value = !self.in_phonetic,
            "f" => self.in_formula = true,
            "rPh" => self.in_phonetic = true,
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "row" => self.end_row(),
            "c" => self.end_cell(),
            "v" | "t" => self.in_value = false,
            "f" => self.in_formula = false,
            "rPh" => self.in_phonetic = false,
            _ => {}
        }
    }

    fn words(&mut self, words: &str) {
        if self.in_value {
            self.cell.value.push_str(words);
        } else if self.in_formula {
            self.cell.formula.push_str(words);
        }
    }
}

/// `C7` is column 2.
fn column_of(reference: &str) -> Option<usize> {
    let letters = reference.bytes().take_while(u8::is_ascii_alphabetic);
    let number = letters.fold(0_usize, |number, letter| {
        number.saturating_mul(26).saturating_add(usize::from(letter.to_ascii_uppercase() - b'A') + 1)
    });
    number.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::readers::package::tests::office;
    use crate::ingest::{ReadLimits, extract_here};

    #[test]
    fn formulas_comments_and_text_boxes_are_read_with_their_sheet() {
        let workbook = "<workbook><sheets><sheet name='S' sheetId='1' r:id='r1'/></sheets></workbook>";
        let sheet = "<worksheet><sheetData><row r='1'><c r='A1' t='inlineStr'><is><r><t>To</t></r><r><t>tal</t></r></is></c>\
            <c r='B1'><f>SUM(B2:B3)</f></c><c r='C1'><f>1+1</f><v>2</v></c><c r='D1' t='b'><v>1</v></c></row></sheetData></worksheet>";
        let comments =
            "<comments><commentList><comment><text><r><t>check this</t></r></text></comment></commentList></comments>";
        let drawing =
            "<xdr:wsDr><xdr:sp><xdr:txBody><a:p><a:r><a:t>A box</a:t></a:r></a:p></xdr:txBody></xdr:sp></xdr:wsDr>";
        let book = office(&[
            ("xl/workbook.xml", workbook, &[("r1", "worksheet", "sheet1.xml")]),
            ("xl/sheet1.xml", sheet, &[("a", "comments", "comments.xml"), ("b", "drawing", "drawing.xml")]),
            ("xl/comments.xml", comments, &[]),
            ("xl/drawing.xml", drawing, &[]),
        ]);
        let read = extract_here("", &book, &ReadLimits { max_text_bytes: 1000 }).unwrap();
        assert_eq!(read.text, "Total | =SUM(B2:B3) | 2 | TRUE\n\ncheck this\n\nA box");
        let sheet = read.marks.iter().find(|mark| mark.kind == MarkKind::Sheet { name: "S".into() }).unwrap();
        assert_eq!((sheet.start, sheet.end), (0, read.text.len()));
    }

    #[test]
    fn cells_are_found_by_their_letters() {
        assert_eq!(["A1", "Z9", "AA1", "XFD1"].map(column_of), [Some(0), Some(25), Some(26), Some(16_383)]);
        assert_eq!(column_of("7"), None);
    }
}

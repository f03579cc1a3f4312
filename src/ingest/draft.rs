//! The text as it grows under a reader's hands, with its marks.

use crate::domain::{Extracted, Mark, MarkKind};
use crate::ingest::ExtractError;
use crate::ingest::encoding::clean;

/// Longest title kept, characters: it stands before every chunk the embedder reads, so it must stay a line.
const MAX_TITLE_CHARS: usize = 80;
/// Most marks kept: a document with more structure than this is noise, and marks travel and stay in memory.
const MAX_MARKS: usize = 100_000;
/// Most warnings kept: they are for a person.
const MAX_WARNINGS: usize = 20;

/// Text under construction: readers push words, lines and tables, and the draft keeps spacing and marks right.
///
/// Whatever a reader pushes beyond the limit is dropped and remembered, so no reader has to check.
pub(super) struct Draft {
    text: String,
    marks: Vec<Mark>,
    title: String,
    warnings: Vec<String>,
    /// Why the first part that could not be read could not.
    failed_part: Option<ExtractError>,
    max_bytes: usize,
    overflowed: bool,
    /// Line breaks owed before the next word: 1 ends a line, 2 ends a block.
    gap: usize,
    /// Whether a space is owed before the next word.
    space: bool,
    /// The table that is open.
    grid: Option<Grid>,
}

/// A table while its rows are written.
struct Grid {
    start: usize,
    header_end: usize,
    rows: usize,
    /// Whether a row has more than one cell.
    wide: bool,
}

impl Draft {
    pub fn new(max_bytes: usize) -> Self {
        Self {
            text: String::new(),
            marks: Vec::new(),
            title: String::new(),
            warnings: Vec::new(),
            failed_part: None,
            max_bytes,
            overflowed: false,
            gap: 0,
            space: false,
            grid: None,
        }
    }

    /// Adds words to the line; runs of white space become one space, control characters go.
    pub fn words(&mut self, words: &str) {
        let mut rest = words;
        while let Some(first) = rest.chars().next() {
            let blank = first.is_whitespace();
            let end = rest.find(|c: char| c.is_whitespace() != blank).unwrap_or(rest.len());
            let (run, tail) = rest.split_at(end);
            if blank {
                self.space = true;
            } else {
                self.word(run);
            }
            rest = tail;
        }
    }

    fn word(&mut self, word: &str) {
        if word.chars().all(char::is_control) {
            return;
        }
        let at_line_start = self.gap > 0 || self.text.is_empty() || self.text.ends_with('\n');
        self.open();
        if self.space && !at_line_start {
            self.push(" ");
        }
        self.space = false;
        if word.chars().any(char::is_control) {
            let clean: String = word.chars().filter(|c| !c.is_control()).collect();
            self.push(&clean);
        } else {
            self.push(word);
        }
    }

    /// Adds already clean text as it is, as a block of its own; returns where it starts.
    pub fn verbatim(&mut self, text: &str) -> usize {
        self.end_block();
        let start = self.open();
        self.push(text);
        self.end_block();
        start
    }

    /// Adds preformatted text: its spaces and line breaks stay.
    pub fn preformatted(&mut self, text: &str) {
        let text = clean(text);
        if !text.is_empty() {
            self.open();
            self.space = false;
            self.push(&text);
        }
    }

    /// Ends the line.
    pub fn end_line(&mut self) {
        self.gap = self.gap.max(1);
        self.space = false;
    }

    /// Ends the paragraph: an empty line follows.
    pub fn end_block(&mut self) {
        self.gap = 2;
        self.space = false;
    }

    /// Ends the line, and the paragraph when the line had ended already.
    pub fn break_line(&mut self) {
        self.gap = (self.gap + 1).min(2);
        self.space = false;
    }

    /// Writes the line breaks owed and returns where the next word will stand.
    pub fn open(&mut self) -> usize {
        if !self.text.is_empty() && self.gap > 0 {
            let present = self.text.bytes().rev().take_while(|byte| *byte == b'\n').count();
            for _ in present..self.gap {
                self.push("\n");
            }
        }
        self.gap = 0;
        self.text.len()
    }

    /// Marks what was written since `start`; nothing when nothing was.
    pub fn close(&mut self, start: usize, kind: MarkKind) {
        let written = self.since(start);
        let start = start + written.len() - written.trim_start_matches('\n').len();
        let end = self.text.trim_end().len();
        if start < end {
            self.mark(start, end, kind);
        }
    }

    /// Marks a range of the text written so far.
    pub fn mark(&mut self, start: usize, end: usize, kind: MarkKind) {
        if self.marks.len() < MAX_MARKS && end <= self.text.len() {
            self.marks.push(Mark { start, end, kind });
        }
    }

    /// Writes a heading as a block of its own; `level` is brought into 1 to 6.
    pub fn heading(&mut self, level: u8, words: &str) {
        self.end_block();
        let start = self.open();
        self.words(words);
        self.close(start, MarkKind::Heading { level: level.clamp(1, 6) });
        self.end_block();
    }

    /// Writes a paragraph.
    pub fn paragraph(&mut self, words: &str) {
        self.end_block();
        self.words(words);
        self.end_block();
    }

    /// Writes a whole table; a single column becomes paragraphs.
    pub fn table(&mut self, rows: &[Vec<String>]) {
        if rows.iter().all(|row| trim_row(row).len() <= 1) {
            for cell in rows.iter().flatten() {
                self.paragraph(cell);
            }
            return;
        }
        self.begin_table();
        for row in rows {
            self.row(row);
        }
        self.end_table();
    }

    /// Begins a table that is written row by row; [`end_table`](Self::end_table) must follow.
    pub fn begin_table(&mut self) {
        self.end_block();
        let start = self.open();
        self.grid = Some(Grid { start, header_end: start, rows: 0, wide: false });
    }

    /// Writes a row as a line, cells parted by ` | `; empty cells at its end and empty rows are left out.
    pub fn row(&mut self, cells: &[String]) {
        let cells = trim_row(cells);
        if cells.is_empty() {
            return;
        }
        for (number, cell) in cells.iter().enumerate() {
            if number > 0 {
                self.open();
                self.push(" |");
                self.space = true;
            }
            self.words(cell);
        }
        if let Some(grid) = &mut self.grid {
            if grid.rows == 0 && is_header(cells) {
                grid.header_end = self.text.len();
            }
            grid.rows += 1;
            grid.wide |= cells.len() > 1;
        }
        self.end_line();
    }

    /// Whether a table is open.
    pub fn in_table(&self) -> bool {
        self.grid.is_some()
    }

    /// Ends the table and marks it, unless it has a single column.
    pub fn end_table(&mut self) {
        if let Some(grid) = self.grid.take()
            && grid.wide
        {
            // A row that nothing follows heads nothing.
            let header_end = if grid.rows > 1 { grid.header_end } else { grid.start };
            self.close(grid.start, MarkKind::Table { header_end });
        }
        self.end_block();
    }

    /// Sets the title, unless there is one or this says nothing; cut to a line's length.
    pub fn title(&mut self, title: &str) {
        if self.title.is_empty() && title.contains(char::is_alphanumeric) {
            let mut line = Self::new(MAX_TITLE_CHARS * 4);
            line.words(title);
            self.title = line.text.chars().take(MAX_TITLE_CHARS).collect();
        }
    }

    /// Keeps a warning for the person who uploaded the document.
    pub fn warn(&mut self, warning: impl Into<String>) {
        let warning = warning.into();
        if self.warnings.len() < MAX_WARNINGS && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Keeps that a part could not be read: a warning if there is other text, else the document's own failure.
    pub fn fail_part(&mut self, name: &str, error: &ExtractError) {
        let message = format!("{name}: {error}");
        self.warn(message.clone());
        self.failed_part.get_or_insert(ExtractError { code: error.code, message });
    }

    /// Whether the text limit is passed, so that going on is wasted work.
    pub fn is_full(&self) -> bool {
        self.overflowed
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// What was written since `start`.
    pub fn since(&self, start: usize) -> &str {
        self.text.get(start..).unwrap_or_default()
    }

    fn push(&mut self, text: &str) {
        if self.text.len() + text.len() > self.max_bytes {
            self.overflowed = true;
        } else {
            self.text.push_str(text);
        }
    }

    /// The finished document.
    ///
    /// # Errors
    /// `too_large` past the limit; where there is nothing but white space, why its first part could not be read, else
    /// `no_text_found`.
    pub fn finish(mut self, kind: &str) -> Result<Extracted, ExtractError> {
        if self.overflowed {
            let limit = self.max_bytes >> 20;
            return Err(ExtractError::too_large(&format!("The document holds more than {limit} MiB of text.")));
        }
        if self.text.trim().is_empty() {
            if let Some(error) = self.failed_part {
                return Err(error);
            }
            let scanned = "Is it scanned? Run text recognition (OCR) over it and upload that.";
            return Err(ExtractError::no_text_found(self.warnings.first().map_or(scanned, String::as_str)));
        }
        self.marks.sort_by_key(|mark| (mark.start, std::cmp::Reverse(mark.end)));
        if self.title.is_empty() {
            let title = self.first_heading();
            self.title(&title);
        }
        let Self { text, marks, title, warnings, .. } = self;
        Ok(Extracted { kind: kind.to_owned(), title, text, marks, warnings })
    }

    fn first_heading(&self) -> String {
        let top = self.marks.iter().find(|mark| matches!(mark.kind, MarkKind::Heading { level: 1 }));
        top.map(|mark| self.text[mark.start..mark.end].to_owned()).unwrap_or_default()
    }
}

/// The row without the empty cells at its end.
fn trim_row(row: &[String]) -> &[String] {
    let filled = row.iter().rposition(|cell| !cell.trim().is_empty()).map_or(0, |last| last + 1);
    &row[..filled]
}

/// Whether a first row names the columns: it is full but for its corner, and no number stands in it.
fn is_header(cells: &[String]) -> bool {
    let names = |cell: &String| !cell.trim().is_empty() && cell.trim().parse::<f64>().is_err();
    let Some((corner, others)) = cells.split_first() else { return false };
    !others.is_empty() && (corner.trim().is_empty() || names(corner)) && others.iter().all(names)
}

//! CSV and its kin: rows of cells, a line each.

use crate::ingest::draft::Draft;

/// Delimiters tried, the likeliest last.
const DELIMITERS: [char; 4] = ['|', '\t', ';', ','];
/// Lines looked at to find the delimiter.
const SAMPLE_LINES: usize = 20;

/// Reads a table; `delimiter` is what the name or the first lines suggest.
pub(super) fn read(text: &str, delimiter: char, draft: &mut Draft) {
    draft.begin_table();
    let (delimiter, text) = declared(text).unwrap_or_else(|| (best_delimiter(text, delimiter), text));
    for row in Rows::new(text, delimiter) {
        draft.row(&row);
        if draft.is_full() {
            break;
        }
    }
    draft.end_table();
}

/// The delimiter that the first line declares, as Excel reads and writes it (`sep=;`), and what follows that line.
fn declared(text: &str) -> Option<(char, &str)> {
    let (first, rest) = text.split_once('\n')?;
    let (name, delimiter) = first.split_once('=')?;
    let mut delimiter = delimiter.trim_end_matches('\r').chars();
    let only = delimiter.next().filter(|_| delimiter.next().is_none())?;
    name.eq_ignore_ascii_case("sep").then_some((only, rest))
}

/// The delimiter that stands in most of the first lines; files named CSV are often parted by something else.
fn best_delimiter(text: &str, suggested: char) -> char {
    let lines = |delimiter: char| text.lines().take(SAMPLE_LINES).filter(|line| line.contains(delimiter)).count();
    let per_line = |delimiter: char| text.lines().next().map_or(0, |line| line.matches(delimiter).count());
    let goodness = |delimiter: &char| (lines(*delimiter), per_line(*delimiter), *delimiter == suggested);
    DELIMITERS.into_iter().max_by_key(goodness).unwrap_or(suggested)
}

/// Rows by RFC 4180: quoted cells may hold delimiters, line breaks and doubled quotes.
struct Rows<'a> {
    rest: &'a str,
    delimiter: char,
}

impl<'a> Rows<'a> {
    fn new(text: &'a str, delimiter: char) -> Self {
        Self { rest: text, delimiter }
    }

    /// The next cell, and whether another follows in its row.
    fn cell(&mut self) -> (String, bool) {
        let mut cell = String::new();
        if let Some(quoted) = self.rest.strip_prefix('"') {
            self.rest = quoted;
            self.quoted(&mut cell);
        }
        let end = self.rest.find([self.delimiter, '\n']).unwrap_or(self.rest.len());
        cell.push_str(&self.rest[..end]);
        self.rest = &self.rest[end..];
        let more = self.rest.starts_with(self.delimiter);
        let mut separator = self.rest.chars();
        separator.next();
        self.rest = separator.as_str();
        (cell, more)
    }

    fn quoted(&mut self, cell: &mut String) {
        loop {
            // A quote that is never closed reaches to the end.
            let end = self.rest.find('"').unwrap_or(self.rest.len());
            cell.push_str(&self.rest[..end]);
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            match self.rest.strip_prefix('"') {
                Some(rest) => {
                    cell.push('"');
                    self.rest = rest;
                }
                None => return,
            }
        }
    }
}

impl Iterator for Rows<'_> {
    type Item = Vec<String>;

    fn next(&mut self) -> Option<Vec<String>> {
        if self.rest.is_empty() {
            return None;
        }
        let mut row = Vec::new();
        loop {
            let (cell, more) = self.cell();
            row.push(cell);
            if !more {
                return Some(row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::MarkKind;
    use crate::ingest::{ReadLimits, extract_here};

    #[test]
    fn quoted_cells_keep_delimiters_line_breaks_and_quotes() {
        let rows: Vec<_> = Rows::new("a,\"b,\nc\",\"say \"\"hi\"\"\"\n,x\nlast", ',').collect();
        assert_eq!(rows, [vec!["a", "b,\nc", "say \"hi\""], vec!["", "x"], vec!["last"]]);
        assert_eq!(Rows::new("\"never closed, x", ',').collect::<Vec<_>>(), [["never closed, x"]]);
    }

    #[test]
    fn the_delimiter_is_found_whatever_the_name_says() {
        let csv = "name;price\nTea, green;2\nMilk;1,5\n";
        let table = extract_here("a.csv", csv.as_bytes(), &ReadLimits { max_text_bytes: 1000 }).unwrap();
        assert_eq!((table.kind.as_str(), table.text.as_str()), ("csv", "name | price\nTea, green | 2\nMilk | 1,5"));
        assert_eq!(table.marks[0].kind, MarkKind::Table { header_end: "name | price".len() });
        let declared = extract_here("a.csv", b"sep=|\r\na,b|c\r\n1,5|2\r\n", &ReadLimits { max_text_bytes: 1000 });
        assert_eq!(declared.unwrap().text, "a,b | c\n1,5 | 2");
    }
}

//! Rows of tables with the names of their columns: a row alone says `9.50`, its column says that this is a price.

use super::pieces::{Kind, Piece, pieces};
use super::plain;
use crate::domain::Hit;

/// What stands between the cells of a row.
const BETWEEN: char = '|';

/// A hit in pieces.
pub(super) struct Cut<'a> {
    /// The hit.
    pub hit: &'a Hit,
    /// The pieces of its text.
    pub pieces: Vec<Piece>,
    /// For each piece that is a row, the row that names its columns; empty where there is none.
    pub columns: Vec<&'a str>,
}

impl<'a> Cut<'a> {
    pub(super) fn of(hit: &'a Hit) -> Self {
        let mut pieces = pieces(&hit.text);
        let columns = columns(hit, &mut pieces);
        Self { hit, pieces, columns }
    }

    /// The text of a piece.
    pub(super) fn words(&self, piece: Piece) -> &'a str {
        &self.hit.text[piece.start..piece.end]
    }
}

/// What [`Cut::columns`] holds. Header rows among the pieces become [`Kind::Columns`].
///
/// A table that begins in an earlier chunk has its header row as the last part of the hit's heading.
fn columns<'a>(hit: &'a Hit, pieces: &mut [Piece]) -> Vec<&'a str> {
    let above = hit.heading.rsplit(" > ").next().filter(|last| last.contains(" | ")).unwrap_or_default();
    let mut columns = Vec::with_capacity(pieces.len());
    let mut open: Option<&str> = (!above.is_empty()).then_some(above);
    let mut end = 0;
    for at in 0..pieces.len() {
        let piece = pieces[at];
        if piece.kind != Kind::Row || is_parted(&hit.text[end..piece.start]) {
            open = open.filter(|_| at == 0 && piece.kind == Kind::Row);
        }
        end = piece.end;
        columns.push(open.unwrap_or_default());
        if piece.kind != Kind::Row || open.is_some() {
            continue;
        }
        let words = &hit.text[piece.start..piece.end];
        let below = pieces.get(at + 1).filter(|below| below.kind == Kind::Row);
        let heads = below.is_some_and(|below| !is_parted(&hit.text[piece.end..below.start])) && names_columns(words);
        if heads {
            pieces[at].kind = Kind::Columns;
        }
        open = Some(if heads { words } else { "" });
    }
    columns
}

/// A row as a reader sees it, without its empty cells: `name: cell; name: cell` where the names of its columns are sure,
/// `cell: cell` of two columns, else `cell | cell`.
///
/// Markdown's tables always name their columns. In others the first row may be a row like all others, so its cells are
/// taken for names only above a cell with a digit.
pub(super) fn show(row: &str, columns: &str) -> String {
    if row.starts_with(['{', '"']) && !row.contains(" | ") {
        return record(row);
    }
    let names: Vec<&str> = cells(columns).collect();
    let cells: Vec<&str> = cells(row).collect();
    // A sign that belongs to a cell's words moves all cells behind it.
    let is_named = !row.contains("\\|") && (markdown(row).is_some() || cells.iter().any(|cell| has_digit(cell)));
    let names = if columns.is_empty() || names.len() < 3 || !is_named { &[][..] } else { &names[..] };
    let filled = cells.iter().enumerate().filter(|(_, cell)| !cell.is_empty());
    let shown: Vec<String> = filled.map(|(at, cell)| named(names.get(at).copied().unwrap_or_default(), cell)).collect();
    match cells.len() {
        _ if !names.is_empty() => shown.join("; "),
        2 => shown.join(": "),
        _ => shown.join(" | "),
    }
}

/// A record of JSON without its signs: `id: 7; sku: ZX7`.
fn record(row: &str) -> String {
    let fields = row.lines().map(|line| line.trim().trim_end_matches(['{', '}', ',']).trim());
    let shown: Vec<String> =
        fields.filter(|field| !field.is_empty()).map(|field| plain::line(&unquoted(field))).collect();
    shown.join("; ")
}

/// A field without the quotation marks around its name and value.
fn unquoted(field: &str) -> String {
    let bare = |part: &str| part.trim().trim_matches('"').to_owned();
    match field.split_once("\": ") {
        Some((name, value)) => format!("{}: {}", bare(name), bare(value)),
        None => bare(field),
    }
}

fn named(name: &str, cell: &str) -> String {
    let (name, cell) = (plain::line(name), plain::line(cell));
    if name.is_empty() { cell } else { format!("{name}: {cell}") }
}

fn has_digit(cell: &str) -> bool {
    cell.contains(|c: char| c.is_ascii_digit())
}

/// The cells of a row, trimmed.
fn cells(row: &str) -> impl Iterator<Item = &str> {
    markdown(row).unwrap_or(row).split(BETWEEN).map(str::trim)
}

/// What is within a row of Markdown, which has a sign at either end.
fn markdown(row: &str) -> Option<&str> {
    row.strip_prefix(BETWEEN)?.strip_suffix(BETWEEN)
}

/// Whether a row can name columns: it is full but for its corner, and no cell is a number, unless it is a year.
fn names_columns(row: &str) -> bool {
    let is_year = |cell: &str| cell.len() == 4 && cell.parse().is_ok_and(|year: u16| (1900..2100).contains(&year));
    let is_name = |cell: &str| cell.contains(char::is_alphabetic) || is_year(cell);
    let mut cells = cells(row);
    let corner = cells.next().unwrap_or_default();
    let others: Vec<&str> = cells.collect();
    !others.is_empty() && (corner.is_empty() || is_name(corner)) && others.into_iter().all(is_name)
}

/// Whether an empty line stands in what is between two pieces.
fn is_parted(between: &str) -> bool {
    between.lines().skip(1).any(|line| line.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::tests::hit;
    use super::*;

    /// Every row of `text` below the `heading`, as a reader sees it, with its columns.
    fn rows(heading: &str, text: &str) -> Vec<(String, String)> {
        let hit = Hit { heading: heading.into(), ..hit("a", 0, text) };
        let cut = Cut::of(&hit);
        let rows = cut.pieces.iter().zip(&cut.columns).filter(|(piece, _)| piece.kind == Kind::Row);
        rows.map(|(row, columns)| (show(cut.words(*row), columns), (*columns).to_owned())).collect()
    }

    fn shown(heading: &str, text: &str) -> Vec<String> {
        rows(heading, text).into_iter().map(|(shown, _)| shown).collect()
    }

    #[test]
    fn rows_know_the_names_of_their_columns() {
        let office = "Diets follow.\n | Food | Calories\nLeaves | Ash, Elm | 50\nGrain | | 200\n\nThen rest.";
        assert_eq!(shown("", office), ["Leaves; Food: Ash, Elm; Calories: 50", "Grain; Calories: 200"]);
        let years = "Sales | 2023 | 2024\nTables | 7 | 9";
        assert_eq!(shown("", years), ["Sales: Tables; 2023: 7; 2024: 9"]);
        let markdown = "| Key | Unit | Meaning |\n|---|:-:|---|\n| depth | m | how **deep** |\n";
        assert_eq!(shown("", markdown), ["Key: depth; Unit: m; Meaning: how deep"]);
    }

    #[test]
    fn rows_of_a_chunk_within_a_table_take_the_names_from_its_heading() {
        let heading = "Prices > Name | Colour | Francs";
        assert_eq!(
            shown(heading, "Lamp | red | 25\nDesk | oak | 90"),
            ["Name: Lamp; Colour: red; Francs: 25", "Name: Desk; Colour: oak; Francs: 90"]
        );
        assert_eq!(shown(heading, "Some words.\nLamp | red | 25"), ["Lamp | red | 25"]);
    }

    #[test]
    fn a_first_row_like_all_others_is_not_read_as_names() {
        assert_eq!(shown("", "Ann | Smith | Bern\nBob | Jones | Rome"), ["Bob | Jones | Rome"]);
        assert_eq!(shown("", "Name | Ann\nPhone | 555 12"), ["Phone: 555 12"]);
        assert_eq!(shown("", "| a | b | c |\n|---|---|---|\n| x \\| y | 2 | 3 |"), ["x \\ | y | 2 | 3"]);
        assert_eq!(shown("", "1 | 2 | 3\n4 | 5 | 6"), ["1 | 2 | 3", "4 | 5 | 6"]);
    }

    #[test]
    fn a_record_is_shown_by_its_fields() {
        let json = "{\n  \"id\": 7,\n  \"name\": \"Plate, round\",\n  \"left\": true\n},";
        assert_eq!(shown("", json), ["id: 7; name: Plate, round; left: true"]);
    }

    #[test]
    fn a_table_ends_at_an_empty_line() {
        let two = rows("", "a | b | c\nd | e | 1\n\nf | g | 2\nh | i | 3");
        let columns: Vec<&str> = two.iter().map(|(_, columns)| columns.as_str()).collect();
        assert_eq!(columns, ["a | b | c", "", ""]);
    }
}

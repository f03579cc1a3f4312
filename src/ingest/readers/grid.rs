//! Tables while they are read: rows of cells, and tables that only lay out a page.

use crate::ingest::draft::Draft;

/// A cell with more text than this is a column of a page, not a fact in a table, bytes.
const MAX_CELL_BYTES: usize = 4000;

/// The tables open at one place of a document, the innermost last.
///
/// Words go into the innermost table's cell. A table whose cell holds a heading, another table or a long text only lays
/// out a page: it is written as ordinary blocks instead.
#[derive(Default)]
pub(super) struct Grids(Vec<Grid>);

#[derive(Default)]
struct Grid {
    rows: Vec<Vec<String>>,
    in_cell: bool,
    /// Already written as blocks; words in it are ordinary words.
    layout: bool,
}

impl Grids {
    /// Whether no table is open.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether words now belong to a cell.
    pub fn in_cell(&self) -> bool {
        self.0.last().is_some_and(|grid| grid.in_cell && !grid.layout)
    }

    pub fn start_table(&mut self, draft: &mut Draft) {
        self.spill(draft);
        draft.end_block();
        self.0.push(Grid::default());
    }

    pub fn end_table(&mut self, draft: &mut Draft) {
        if let Some(grid) = self.0.pop()
            && !grid.layout
        {
            draft.table(&grid.rows);
        }
        draft.end_block();
    }

    pub fn start_row(&mut self, draft: &mut Draft) {
        if let Some(grid) = self.0.last_mut() {
            grid.rows.push(Vec::new());
            grid.in_cell = false;
        }
        self.break_layout(draft);
    }

    pub fn start_cell(&mut self, draft: &mut Draft) {
        if let Some(grid) = self.0.last_mut() {
            if grid.rows.is_empty() {
                grid.rows.push(Vec::new());
            }
            if let Some(row) = grid.rows.last_mut() {
                row.push(String::new());
            }
            grid.in_cell = true;
        }
        self.break_layout(draft);
    }

    pub fn end_cell(&mut self, draft: &mut Draft) {
        if let Some(grid) = self.0.last_mut() {
            grid.in_cell = false;
        }
        self.break_layout(draft);
    }

    fn break_layout(&self, draft: &mut Draft) {
        if self.0.last().is_some_and(|grid| grid.layout) {
            draft.end_block();
        }
    }

    /// Adds words to the open cell; call only [`in_cell`](Self::in_cell).
    pub fn words(&mut self, words: &str, draft: &mut Draft) {
        let cell = self.0.last_mut().and_then(|grid| grid.rows.last_mut()).and_then(|row| row.last_mut());
        let Some(cell) = cell else { return };
        cell.push_str(words);
        if cell.len() > MAX_CELL_BYTES {
            self.spill(draft);
        }
    }

    /// Turns the innermost table into layout: what it holds so far is written as blocks.
    pub fn spill(&mut self, draft: &mut Draft) {
        let Some(grid) = self.0.last_mut().filter(|grid| !grid.layout) else { return };
        grid.layout = true;
        let mut rows = std::mem::take(&mut grid.rows);
        let open_row = if grid.in_cell { rows.pop() } else { None };
        draft.table(&rows);
        let mut cells = open_row.unwrap_or_default().into_iter().peekable();
        while let Some(cell) = cells.next() {
            draft.end_block();
            draft.words(&cell);
            if cells.peek().is_some() {
                draft.end_block();
            }
        }
    }
}

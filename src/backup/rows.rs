//! The rows of a backup's sections, one JSON value a line, read a few at a time: a section may be larger than the memory.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde_json::Value;

use super::BackupError;

/// The longest row, bytes; a document's record with all its warnings is far below that.
const LONGEST_ROW: u64 = 1 << 20;

/// Reads rows in order.
pub struct RowReader {
    lines: BufReader<File>,
    /// What errors name.
    entry: String,
}

impl RowReader {
    /// Reads the section `entry`, which was unpacked to `path`.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn open(path: &Path, entry: &str) -> Result<Self, BackupError> {
        let file = File::open(path).map_err(BackupError::io("read"))?;
        Ok(Self { lines: BufReader::new(file), entry: entry.to_owned() })
    }

    /// The next rows, at most `most`; empty at the end.
    ///
    /// # Errors
    /// [`BackupError::Damaged`] where a line is no JSON or longer than a row may be, or the disk's refusal.
    pub fn next(&mut self, most: usize) -> Result<Vec<Value>, BackupError> {
        let mut rows = Vec::new();
        let mut line = Vec::new();
        while rows.len() < most {
            line.clear();
            let read = (&mut self.lines).take(LONGEST_ROW + 1).read_until(b'\n', &mut line);
            if read.map_err(BackupError::io("read"))? == 0 {
                break;
            }
            if line.len() as u64 > LONGEST_ROW {
                return Err(BackupError::damaged(
                    &self.entry,
                    format!("a line of it is longer than {LONGEST_ROW} bytes"),
                ));
            }
            let row = serde_json::from_slice(&line);
            rows.push(row.map_err(|_| BackupError::damaged(&self.entry, "a line of it is no JSON"))?);
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reader(content: &str) -> RowReader {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        RowReader::open(file.path(), "ledger/golden.jsonl").unwrap()
    }

    #[test]
    fn rows_come_a_few_at_a_time_to_the_end() {
        let mut rows = reader("{\"a\":1}\n2\n[3]");
        assert_eq!(rows.next(2).unwrap(), [json!({ "a": 1 }), json!(2)]);
        assert_eq!(rows.next(2).unwrap(), [json!([3])]);
        assert!(rows.next(2).unwrap().is_empty());
        assert!(reader("").next(1).unwrap().is_empty());
    }

    #[test]
    fn a_line_without_end_or_sense_is_damage() {
        for content in ["{", "1\n\n2", &"9".repeat(2 << 20)] {
            assert!(matches!(reader(content).next(9), Err(BackupError::Damaged { .. })));
        }
    }
}

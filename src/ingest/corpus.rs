//! Real documents: every line of the manifest beside them must hold. Where the documents are not at hand, the test says
//! so and passes.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

use crate::ingest::{ReadLimits, extract_here};

/// One document and what its text must hold.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Line {
    file: String,
    expect: Vec<String>,
    expect_if_text: Vec<String>,
    expect_error: bool,
    may_error: bool,
    scanned: bool,
}

/// The folder of documents, looked for beside the repository and above it.
fn documents() -> Option<PathBuf> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    home.ancestors().skip(1).map(|folder| folder.join("shared/data/documents")).find(|folder| folder.is_dir())
}

/// Text as it is compared: compatibility forms, white space, soft hyphens, marks of direction and controls do not count.
fn comparable(text: &str) -> String {
    let ignored = |c: &char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}' | '\u{feff}')
    };
    text.nfkc().filter(|c| !ignored(c)).collect()
}

/// What is wrong with one document, if anything.
fn complaint(folder: &Path, line: &Line) -> Option<String> {
    let bytes = std::fs::read(folder.join(&line.file)).ok()?;
    let wanted = |text: &str, snippets: &[String]| {
        let text = comparable(text);
        snippets.iter().find(|snippet| !text.contains(&comparable(snippet))).map(|missing| format!("lacks {missing:?}"))
    };
    match extract_here(&line.file, &bytes, &ReadLimits { max_text_bytes: 64 << 20 }) {
        Ok(_) if line.expect_error => Some("was read".to_owned()),
        Ok(read) => wanted(&read.text, &line.expect).or_else(|| wanted(&read.text, &line.expect_if_text)),
        Err(_) if line.expect_error || line.may_error || line.scanned => None,
        Err(error) => Some(format!("{}: {error}", error.code)),
    }
}

#[test]
fn real_documents_give_the_text_that_stands_in_them() {
    let Some(folder) = documents() else {
        eprintln!("skipped: no folder shared/data/documents beside the repository");
        return;
    };
    let manifest = std::fs::read_to_string(folder.join("manifest.jsonl")).unwrap();
    let lines = manifest.lines().map(|line| serde_json::from_str::<Line>(line).unwrap());
    let complaints: Vec<String> =
        lines.filter_map(|line| Some(format!("{}: {}", line.file, complaint(&folder, &line)?))).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

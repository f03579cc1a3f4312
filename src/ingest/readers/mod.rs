//! One reader a format: bytes or decoded text in, words and marks into a [`Draft`].

mod grid;
mod html;
mod markdown;

use crate::domain::{Extracted, MarkKind};
use crate::ingest::ExtractError;
use crate::ingest::draft::Draft;
use crate::ingest::encoding::decode;
use crate::ingest::sniff::{self, Binary, Textual};

/// What one extraction may produce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Largest text, bytes of UTF-8.
    pub max_text_bytes: usize,
}

/// Extracts text in this very process: for the worker, which is confined, and for tests.
///
/// # Errors
/// The codes of [`ExtractError`] but those of a process that died.
pub fn extract_here(name: &str, bytes: &[u8], limits: &ReadLimits) -> Result<Extracted, ExtractError> {
    let mut draft = Draft::new(limits.max_text_bytes);
    let kind = read(name, bytes, &mut draft)?;
    draft.finish(kind)
}

/// Reads any format into `draft` and names the format.
fn read(name: &str, bytes: &[u8], draft: &mut Draft) -> Result<&'static str, ExtractError> {
    if bytes.is_empty() {
        return Err(ExtractError::empty_file());
    }
    match sniff::binary(bytes) {
        Some(binary) => read_binary(binary),
        None => read_textual(name, bytes, draft),
    }
}

fn read_binary(binary: Binary) -> Result<&'static str, ExtractError> {
    match binary {
        Binary::Foreign(what) => Err(ExtractError::unsupported(what)),
        _ => Err(ExtractError::unsupported("The file")),
    }
}

fn read_textual(name: &str, bytes: &[u8], draft: &mut Draft) -> Result<&'static str, ExtractError> {
    let decoded = decode(bytes, sniff::declared_encoding(bytes).as_deref())?;
    if decoded.unreadable > 0 {
        draft.warn(format!("{} characters could not be read.", decoded.unreadable));
    }
    let text = decoded.text.as_str();
    Ok(match sniff::textual(name, text) {
        Textual::Markdown => {
            markdown::read(text, draft);
            "markdown"
        }
        Textual::Html | Textual::Xml => {
            html::read(text, draft);
            "html"
        }
        Textual::Code => {
            let start = draft.verbatim(text);
            draft.close(start, MarkKind::Code);
            "code"
        }
        Textual::Plain | Textual::Json | Textual::JsonLines | Textual::Table(_) | Textual::Mail => {
            draft.verbatim(text);
            "text"
        }
    })
}

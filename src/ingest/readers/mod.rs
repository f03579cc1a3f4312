//! One reader a format: bytes or decoded text in, words and marks into a [`Draft`].

mod archive;
mod body;
mod budget;
mod cells;
mod chart;
mod csv;
mod docx;
mod epub;
mod formula;
mod grid;
mod html;
mod json;
mod mail;
mod markdown;
mod numbering;
mod odf;
mod package;
mod parts;
mod pdf;
mod pptx;
mod rtf;
mod sheet;
mod tags;
mod xml;

use self::budget::Budget;
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
    let kind = read(name, bytes, &mut draft, &mut Budget::new())?;
    draft.finish(kind)
}

/// Reads any format into `draft` and names the format.
fn read(name: &str, bytes: &[u8], draft: &mut Draft, budget: &mut Budget) -> Result<&'static str, ExtractError> {
    if bytes.is_empty() {
        return Err(ExtractError::empty_file());
    }
    match sniff::binary(name, bytes) {
        Some(Binary::Zip) => archive::read(bytes, draft, budget),
        Some(Binary::Rtf) => {
            rtf::read(bytes, draft);
            Ok("rtf")
        }
        Some(Binary::Pdf) => pdf::read(bytes, draft).map(|()| "pdf"),
        Some(Binary::Mail) => mail::read(bytes, draft, budget).map(|()| "eml"),
        Some(Binary::Mailbox) => mail::read_box(bytes, draft, budget).map(|()| "mbox"),
        Some(Binary::Compound) => {
            let error = compound(bytes);
            if error.code == "unsupported_format" {
                // Inside another document it is missed, which a picture is not.
                draft.warn(format!("{name}: {error}"));
            }
            Err(error)
        }
        Some(Binary::Foreign(what)) => Err(ExtractError::unsupported(what)),
        None => read_textual(name, bytes, draft, budget),
    }
}

/// Office puts new documents into its old container when they have a password; the old formats are not read.
fn compound(bytes: &[u8]) -> ExtractError {
    let encrypted: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    if bytes.windows(encrypted.len()).any(|window| window == encrypted) {
        ExtractError::needs_password()
    } else {
        ExtractError::unsupported("A document of Office 97 to 2003")
    }
}

fn read_textual(
    name: &str,
    bytes: &[u8],
    draft: &mut Draft,
    budget: &mut Budget,
) -> Result<&'static str, ExtractError> {
    let decoded = decode(bytes, sniff::declared_encoding(bytes).as_deref())?;
    if decoded.unreadable > 0 {
        draft.warn(format!("{} characters could not be read.", decoded.unreadable));
    }
    let text = decoded.text.as_str();
    // Mail that a program saved as UTF-16 shows its fields only now.
    if let Some(Binary::Mail) = sniff::mail(name, text.as_bytes()) {
        return mail::read(text.as_bytes(), draft, budget).map(|()| "eml");
    }
    let format = sniff::textual(name, text);
    match format {
        Textual::Xml => xml::read(text, draft)?,
        Textual::FlatOpenDocument => {
            odf::read_flat(text, draft)?;
        }
        Textual::Markdown => markdown::read(text, draft),
        Textual::Html => html::read(text, draft),
        Textual::Json => json::read(text, draft),
        Textual::JsonLines => json::read_lines(text, draft),
        Textual::Table(delimiter) => csv::read(text, delimiter, draft),
        Textual::Plain => {
            draft.verbatim(text);
        }
        Textual::Code => {
            let start = draft.verbatim(text);
            draft.close(start, MarkKind::Code);
        }
    }
    Ok(format.kind())
}

/// Reads a document inside another, as a part of this name; if it has no text, the others go on.
///
/// # Errors
/// Only when the whole is beyond its limits.
fn read_part(
    name: &str,
    draft: &mut Draft,
    budget: &mut Budget,
    read: impl FnOnce(&mut Draft, &mut Budget) -> Result<(), ExtractError>,
) -> Result<(), ExtractError> {
    budget.take_entry()?;
    draft.end_block();
    let start = draft.len();
    let result = budget.nested(|budget| read(draft, budget));
    draft.close(start, MarkKind::Part { name: name.to_owned() });
    draft.end_block();
    match result {
        Err(error) if matches!(error.code, "too_large" | "extraction_memory") => Err(error),
        // A picture beside a text is no loss.
        Err(error) if error.code == "unsupported_format" => Ok(()),
        Err(error) => {
            draft.fail_part(name, &error);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

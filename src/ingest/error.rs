//! Why a document has no text.

/// Every code an [`ExtractError`] may carry.
const CODES: [&str; 9] = [
    "empty_file",
    "unsupported_format",
    "needs_password",
    "no_text_found",
    "damaged_file",
    "too_large",
    "extraction_timeout",
    "extraction_memory",
    "extraction_crashed",
];

/// Why a document has no text: a stable code and words for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExtractError {
    /// Stable: `empty_file`, `unsupported_format`, `needs_password`, `no_text_found`, `damaged_file`, `too_large`,
    /// `extraction_timeout`, `extraction_memory`, `extraction_crashed`.
    pub code: &'static str,
    /// What happened and what to do, one sentence or two.
    pub message: String,
}

impl ExtractError {
    /// The error as a worker sent it; a code that does not exist means the worker cannot be trusted.
    pub(super) fn from_wire(code: &str, message: String) -> Self {
        match CODES.iter().find(|known| **known == code) {
            Some(code) => Self { code, message },
            None => Self::crashed(),
        }
    }

    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn empty_file() -> Self {
        Self::new("empty_file", "The file is empty. Upload it again once it has content.")
    }

    pub(super) fn unsupported(what: &str) -> Self {
        Self::new(
            "unsupported_format",
            format!("{what} cannot be read as text. Convert it to PDF, DOCX, HTML, Markdown or plain text."),
        )
    }

    pub(super) fn needs_password() -> Self {
        Self::new("needs_password", "The file is protected by a password. Upload a copy without one.")
    }

    pub(super) fn no_text_found(hint: &str) -> Self {
        Self::new("no_text_found", format!("No text was found in the file. {hint}"))
    }

    pub(super) fn damaged(what: &str) -> Self {
        Self::new(
            "damaged_file",
            format!("The file is damaged: {what}. Save it again from its program and upload that."),
        )
    }

    pub(super) fn too_large(what: &str) -> Self {
        Self::new("too_large", format!("{what} Split the document and upload its parts."))
    }

    pub(super) fn timeout() -> Self {
        Self::new(
            "extraction_timeout",
            "Reading the file took too long and was stopped. Split it or save it more simply.",
        )
    }

    pub(super) fn memory() -> Self {
        Self::new("extraction_memory", "Reading the file took too much memory and was stopped. Split it into parts.")
    }

    pub(super) fn crashed() -> Self {
        Self::new(
            "extraction_crashed",
            "Reading the file failed unexpectedly. Save it again or convert it, then retry.",
        )
    }
}

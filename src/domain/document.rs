//! Documents on their way: extracted text, chunks, states.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{DocumentId, JobId, JobProblem, Timestamp};

/// The caller's own facts about a document: names to strings, numbers, booleans, RFC 3339 dates or lists of these.
pub type Attributes = BTreeMap<String, serde_json::Value>;

/// BLAKE3 of a document's bytes, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentHash(blake3::Hash);

impl ContentHash {
    /// The hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes))
    }
}

impl From<blake3::Hash> for ContentHash {
    fn from(hash: blake3::Hash) -> Self {
        Self(hash)
    }
}

impl TryFrom<String> for ContentHash {
    type Error = blake3::HexError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        blake3::Hash::from_hex(text).map(Self)
    }
}

impl From<ContentHash> for String {
    fn from(hash: ContentHash) -> Self {
        hash.0.to_hex().to_string()
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

/// What a reader made of a document's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extracted {
    /// The format found by content: `markdown`, `html`, `text`, `pdf`, …
    pub kind: String,
    /// The document's own title, or an empty string when it has none.
    pub title: String,
    /// The clean text, UTF-8. Every byte range in Carrel points into this.
    pub text: String,
    /// Places in the text, ordered by start.
    pub marks: Vec<Mark>,
    /// What was lost or doubtful, in words for a person; empty when all went well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A place in the extracted text: bytes `start..end`, on character boundaries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// What stands there.
    #[serde(flatten)]
    pub kind: MarkKind,
}

/// What a [`Mark`] says of its range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mark", rename_all = "snake_case")]
pub enum MarkKind {
    /// A heading's text (the range is the words alone, without `#`); level 1 is the highest.
    Heading {
        /// 1 to 6.
        level: u8,
    },
    /// One page.
    Page {
        /// 1 for the first.
        number: u32,
    },
    /// One slide.
    Slide {
        /// 1 for the first.
        number: u32,
    },
    /// One sheet of a workbook.
    Sheet {
        /// Its name.
        name: String,
    },
    /// A table; `header_end` is the byte after its header row.
    Table {
        /// One past the header row's last byte; equals the table's start when it has no header.
        header_end: usize,
    },
    /// A block of code or preformatted text.
    Code,
    /// A part of a container: an attachment, a file in an archive.
    Part {
        /// Its name.
        name: String,
    },
}

/// A piece of a document's text, small enough to embed whole.
///
/// `extracted.text[start..end] == text` always.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Position in the document, from 0.
    pub ordinal: u32,
    /// First byte in the extracted text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// The text itself.
    pub text: String,
    /// Headings above it, outermost first, joined by ` > `; empty when there are none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub heading: String,
    /// The page or slide it starts on, where the format has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// Where the passage it is part of begins: its section, or what lies around it in a long one; at most `start`.
    pub passage_start: usize,
    /// One past the passage's last byte, at least `end`.
    pub passage_end: usize,
}

impl Chunk {
    /// What the embedder reads; see [`embedding_text`].
    #[must_use]
    pub fn embedding_text(&self, title: &str) -> String {
        embedding_text(title, &self.heading, &self.text)
    }
}

/// Longest title that the embedder reads, characters: in any script no more model tokens, which leaves room for text
/// among the 254 that the built-in model reads.
const MAX_TITLE: usize = 150;

/// What the embedder reads of a chunk: title and headings, which name the subject, then the text.
#[must_use]
pub fn embedding_text(title: &str, heading: &str, text: &str) -> String {
    let title = title.char_indices().nth(MAX_TITLE).map_or(title, |(end, _)| &title[..end]);
    // A heading path usually repeats the title as its first part.
    let heading = heading.strip_prefix(title).map_or(heading, |rest| rest.trim_start_matches(" > "));
    match (title.is_empty(), heading.is_empty()) {
        (true, true) => text.to_owned(),
        (false, true) => format!("{title}\n{text}"),
        (true, false) => format!("{heading}\n{text}"),
        (false, false) => format!("{title} > {heading}\n{text}"),
    }
}

/// Where a document stands on its way to being found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentState {
    /// Stored, waiting.
    Queued,
    /// Being worked on; [`DocumentStatus::stage`] says how far.
    Working,
    /// Found by questions.
    Live,
    /// Found by questions, but something was lost; the message says what.
    Warning,
    /// Not indexed; the error says why.
    Failed,
}

/// The stages of ingestion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageName {
    /// Bytes to text, in the worker.
    Extract,
    /// Text to chunks.
    Chunk,
    /// Chunks to vectors.
    Embed,
    /// Into the index.
    Index,
    /// Proving the new generation whole.
    Check,
    /// Making it the one that answers.
    Publish,
}

/// How far a document is that is being worked on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentProgress {
    /// Its stage; none while it waits for its turn.
    pub stage: Option<StageName>,
    /// Chunks it was cut into; 0 until known.
    pub chunks: u64,
    /// Chunks that have their vector, made or taken over.
    pub chunks_embedded: u64,
}

impl DocumentProgress {
    /// Whether it waits for vectors.
    #[must_use]
    pub fn is_embedding(&self) -> bool {
        self.stage == Some(StageName::Embed)
    }

    /// Whether it is extracted and cut.
    #[must_use]
    pub fn is_read(&self) -> bool {
        !matches!(self.stage, None | Some(StageName::Extract | StageName::Chunk))
    }
}

/// A document as the API and the pages show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DocumentStatus {
    /// Id within the tenant.
    pub id: DocumentId,
    /// Name to show; data only, never a path.
    pub name: String,
    /// `upload` or `folder`.
    pub origin: String,
    /// Size in bytes.
    pub bytes: u64,
    /// BLAKE3 of the bytes.
    pub content_hash: ContentHash,
    /// Format found by content, once extracted.
    pub kind: Option<String>,
    /// Title found in the document, once extracted.
    pub title: Option<String>,
    /// State.
    pub state: DocumentState,
    /// Stage, while working.
    pub stage: Option<StageName>,
    /// How far it is, while working; never written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<DocumentProgress>,
    /// Chunks in the index.
    pub chunks: u32,
    /// Pages or slides, where the format has such.
    pub pages: Option<u32>,
    /// Why it failed, or what was lost: stable code and words.
    pub problem: Option<JobProblem>,
    /// The caller's facts.
    pub attributes: Attributes,
    /// The last job that touched it.
    pub job_id: Option<JobId>,
    /// Last change of this record.
    pub updated_at: Timestamp,
}

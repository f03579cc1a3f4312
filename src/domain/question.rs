//! Questions and the hits they find.

use serde::{Deserialize, Serialize};

use super::{DocumentId, Filter};

/// How to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Words and meaning, fused.
    #[default]
    Hybrid,
    /// Meaning alone.
    Dense,
    /// Words alone.
    Bm25,
}

/// Why a question is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// Nothing to look for.
    #[error("`query` is empty: send the question as text")]
    Empty,
    /// Too long.
    #[error("`query` has {found} characters; the most is {most}")]
    TooLong {
        /// Characters sent.
        found: usize,
        /// Characters allowed.
        most: usize,
    },
    /// Out of range.
    #[error("`top_k` is {0}; it must be from 1 to 50")]
    TopK(u64),
    /// Out of range.
    #[error("`max_chunks_per_document` is {0}; it must be from 1 to 50")]
    PerDocument(u64),
    /// No conversation that ends with a question.
    #[error("`messages` {0}")]
    Messages(String),
}

/// A checked question.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The question, trimmed, not empty.
    pub text: String,
    /// Hits wanted, 1 to 50.
    pub top_k: usize,
    /// How to search.
    pub mode: Mode,
    /// Which documents may answer.
    pub filter: Option<Filter>,
    /// Hits of one document at most, 1 to 50; the tenant's setting when unset.
    pub per_document: Option<usize>,
    /// Whether the tenant's reranker orders the hits anew; it does when unset and there is one.
    pub rerank: Option<bool>,
    /// Whether each hit brings the text of the passage around it.
    pub passages: bool,
}

impl Question {
    /// The most hits one question may ask for.
    pub const MAX_TOP_K: usize = 50;

    /// Checks a question; `max_chars` counts Unicode characters.
    ///
    /// # Errors
    /// When the text is empty or too long, or `top_k` out of range.
    pub fn parse(
        text: &str,
        top_k: u64,
        mode: Mode,
        filter: Option<Filter>,
        max_chars: usize,
    ) -> Result<Self, QuestionError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(QuestionError::Empty);
        }
        let found = text.chars().count();
        if found > max_chars {
            return Err(QuestionError::TooLong { found, most: max_chars });
        }
        let top_k = in_range(top_k).ok_or(QuestionError::TopK(top_k))?;
        Ok(Self { text: text.to_owned(), top_k, mode, filter, per_document: None, rerank: None, passages: false })
    }

    /// Allows at most so many hits of one document.
    ///
    /// # Errors
    /// When it is not from 1 to 50.
    pub fn with_per_document(mut self, most: u64) -> Result<Self, QuestionError> {
        self.per_document = Some(in_range(most).ok_or(QuestionError::PerDocument(most))?);
        Ok(self)
    }
}

/// Counts of hits are from 1 to [`Question::MAX_TOP_K`].
fn in_range(count: u64) -> Option<usize> {
    usize::try_from(count).ok().filter(|count| (1..=Question::MAX_TOP_K).contains(count))
}

/// A candidate of one search: the chunk's key and its score there; best first in every list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// The chunk's key in its generation.
    pub key: u64,
    /// Higher is better; the scale is the search's own (BM25: from 0 without bound; dense: cosine, -1 to 1).
    pub score: f32,
}

/// Where one search placed a hit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StageRank {
    /// 1 for the best.
    pub rank: u32,
    /// As [`Ranked::score`].
    pub score: f32,
}

/// A chunk that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// 1 for the best.
    pub rank: u32,
    /// Its document.
    pub document_id: DocumentId,
    /// `<document_id>#<ordinal>`.
    pub chunk_id: String,
    /// The document's title, or its name.
    pub title: String,
    /// Headings above the chunk, joined by ` > `.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub heading: String,
    /// Page or slide, where the format has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// First byte in the document's extracted text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// The chunk's text.
    pub text: String,
    /// The final score: the reranker's, or by mode fused, cosine or BM25.
    pub score: f32,
    /// Place in the dense search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dense: Option<StageRank>,
    /// Place in the word search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bm25: Option<StageRank>,
    /// Place among the reranked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerank: Option<StageRank>,
    /// The passage that the chunk is part of.
    #[serde(default)]
    pub passage: Passage,
}

/// The passage around a chunk: its section, or as much of a long one as lies around the chunk.
///
/// `start..end` holds the chunk's own range, and `text`, where it was asked for, is just these bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// First byte in the document's extracted text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// The text itself, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_out_of_bounds_is_refused_by_name() {
        let ask = |text: &str, k| Question::parse(text, k, Mode::Hybrid, None, 10);
        assert_eq!(ask("  ", 3), Err(QuestionError::Empty));
        assert_eq!(ask("elf letters", 3), Err(QuestionError::TooLong { found: 11, most: 10 }));
        assert_eq!(ask("why", 0), Err(QuestionError::TopK(0)));
        assert_eq!(ask("why", 51), Err(QuestionError::TopK(51)));
        assert_eq!(ask("why", 3).unwrap().with_per_document(51), Err(QuestionError::PerDocument(51)));
        assert_eq!(ask("ten lettrs", 50).unwrap().with_per_document(50).unwrap().per_document, Some(50));
    }
}

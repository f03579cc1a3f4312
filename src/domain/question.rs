//! Questions and the hits they find.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::DocumentId;

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
    /// Too deep, too wide, or comparing what cannot be compared.
    #[error("`filter` {0}")]
    Filter(String),
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
        let top_k = usize::try_from(top_k)
            .ok()
            .filter(|k| (1..=Self::MAX_TOP_K).contains(k))
            .ok_or(QuestionError::TopK(top_k))?;
        if let Some(filter) = &filter {
            filter.check()?;
        }
        Ok(Self { text: text.to_owned(), top_k, mode, filter })
    }
}

/// Which documents may answer: comparisons of a document's facts, joined by and / or.
///
/// Keys are `document_id`, `name`, `kind`, or an attribute's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Filter {
    /// All must hold.
    And {
        /// At least one.
        filters: Vec<Filter>,
    },
    /// One must hold.
    Or {
        /// At least one.
        filters: Vec<Filter>,
    },
    /// Equal.
    Eq(Comparison),
    /// Not equal.
    Ne(Comparison),
    /// Greater.
    Gt(Comparison),
    /// Greater or equal.
    Gte(Comparison),
    /// Less.
    Lt(Comparison),
    /// Less or equal.
    Lte(Comparison),
    /// One of a list.
    In(Comparison),
    /// None of a list.
    Nin(Comparison),
}

/// One fact held against a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// The fact's name.
    pub key: String,
    /// What it is held against; a list for `in` and `nin`.
    pub value: Value,
}

impl Filter {
    /// The most comparisons in one filter.
    pub const MAX_COMPARISONS: usize = 100;
    /// The deepest nesting of `and` and `or`.
    pub const MAX_DEPTH: usize = 8;

    /// Refuses filters that are too large or compare what has no order.
    fn check(&self) -> Result<(), QuestionError> {
        let comparisons = self.count(1)?;
        if comparisons > Self::MAX_COMPARISONS {
            let most = Self::MAX_COMPARISONS;
            return Err(QuestionError::Filter(format!("has {comparisons} comparisons; the most is {most}")));
        }
        Ok(())
    }

    fn count(&self, depth: usize) -> Result<usize, QuestionError> {
        let refuse = |why: &str| Err(QuestionError::Filter(why.to_owned()));
        match self {
            Self::And { .. } | Self::Or { .. } if depth > Self::MAX_DEPTH => refuse("is nested deeper than 8 levels"),
            Self::And { filters } | Self::Or { filters } if filters.is_empty() => {
                refuse("has an `and` or `or` with an empty `filters`")
            }
            Self::And { filters } | Self::Or { filters } => {
                filters.iter().map(|filter| filter.count(depth + 1)).sum::<Result<usize, _>>()
            }
            Self::In(c) | Self::Nin(c) if !c.value.is_array() => refuse("`in` and `nin` want a list as `value`"),
            Self::Gt(c) | Self::Gte(c) | Self::Lt(c) | Self::Lte(c)
                if !(c.value.is_number() || c.value.is_string()) =>
            {
                refuse("`gt`, `gte`, `lt` and `lte` want a number or a string (dates as RFC 3339)")
            }
            _ => Ok(1),
        }
    }

    /// Whether a document with these facts may answer.
    ///
    /// A fact that is a list matches when one of its members does. A missing fact matches only `ne` and `nin`.
    pub fn matches(&self, fact: &dyn Fn(&str) -> Option<Value>) -> bool {
        match self {
            Self::And { filters } => filters.iter().all(|filter| filter.matches(fact)),
            Self::Or { filters } => filters.iter().any(|filter| filter.matches(fact)),
            Self::Eq(c) => c.any(fact, |found| alike(found, &c.value)),
            Self::Ne(c) => !c.any(fact, |found| alike(found, &c.value)),
            Self::Gt(c) => c.any(fact, |found| order(found, &c.value) == Some(Ordering::Greater)),
            Self::Gte(c) => c.any(fact, |found| order(found, &c.value).is_some_and(Ordering::is_ge)),
            Self::Lt(c) => c.any(fact, |found| order(found, &c.value) == Some(Ordering::Less)),
            Self::Lte(c) => c.any(fact, |found| order(found, &c.value).is_some_and(Ordering::is_le)),
            Self::In(c) => c.any(fact, |found| listed(found, &c.value)),
            Self::Nin(c) => !c.any(fact, |found| listed(found, &c.value)),
        }
    }
}

impl Comparison {
    fn any(&self, fact: &dyn Fn(&str) -> Option<Value>, holds: impl Fn(&Value) -> bool) -> bool {
        match fact(&self.key) {
            Some(Value::Array(many)) => many.iter().any(holds),
            Some(one) => holds(&one),
            None => false,
        }
    }
}

fn listed(found: &Value, list: &Value) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|wanted| alike(found, wanted)))
}

/// Numbers are equal by value (`1` and `1.0`), everything else as JSON.
fn alike(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b).is_eq(),
        _ => a == b,
    }
}

/// Numbers by value, strings by code point; RFC 3339 dates in UTC order rightly as strings.
fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
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
    /// The final score: fused (reciprocal ranks), cosine or BM25, by mode.
    pub score: f32,
    /// Place in the dense search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dense: Option<StageRank>,
    /// Place in the word search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bm25: Option<StageRank>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filter(value: Value) -> Filter {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_question_out_of_bounds_is_refused_by_name() {
        let ask = |text: &str, k| Question::parse(text, k, Mode::Hybrid, None, 10);
        assert_eq!(ask("  ", 3), Err(QuestionError::Empty));
        assert_eq!(ask("elf letters", 3), Err(QuestionError::TooLong { found: 11, most: 10 }));
        assert_eq!(ask("why", 0), Err(QuestionError::TopK(0)));
        assert_eq!(ask("why", 51), Err(QuestionError::TopK(51)));
        assert!(ask("ten lettrs", 50).is_ok());
    }

    #[test]
    fn a_filter_compares_numbers_strings_and_lists() {
        let fact = |key: &str| match key {
            "year" => Some(json!(2024)),
            "tags" => Some(json!(["red", "blue"])),
            "day" => Some(json!("2024-05-01")),
            _ => None,
        };
        for (yes, wanted) in [
            (json!({"type":"eq","key":"year","value":2024.0}), true),
            (json!({"type":"gt","key":"year","value":2024}), false),
            (json!({"type":"gte","key":"day","value":"2024-01-01"}), true),
            (json!({"type":"in","key":"tags","value":["blue","green"]}), true),
            (json!({"type":"nin","key":"absent","value":["x"]}), true),
            (json!({"type":"eq","key":"absent","value":null}), false),
            (
                json!({"type":"and","filters":[{"type":"eq","key":"tags","value":"red"},{"type":"lt","key":"year","value":3000}]}),
                true,
            ),
            (json!({"type":"or","filters":[{"type":"eq","key":"tags","value":"grey"}]}), false),
        ] {
            assert_eq!(filter(yes.clone()).matches(&fact), wanted, "{yes}");
        }
    }

    #[test]
    fn a_filter_that_is_too_deep_or_too_wide_is_refused() {
        let leaf = json!({"type":"eq","key":"a","value":1});
        let wide = json!({"type":"or","filters": vec![leaf.clone(); 101]});
        let deep = (0..9).fold(leaf, |inner, _| json!({"type":"and","filters":[inner]}));
        for bad in [wide, deep, json!({"type":"and","filters":[]}), json!({"type":"in","key":"a","value":1})] {
            assert!(matches!(filter(bad).check(), Err(QuestionError::Filter(_))));
        }
    }
}

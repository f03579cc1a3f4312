//! Filters: which documents may answer.

use std::cmp::Ordering;
use std::collections::HashSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The most comparisons in one filter.
const MAX_COMPARISONS: usize = 100;
/// The deepest nesting of `and`, `or` and `not`.
const MAX_DEPTH: usize = 8;
/// The most values in all lists of a filter together.
const MAX_LISTED: usize = 1_000;
/// The types that compare a fact.
const LEAVES: [&str; 11] = ["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "contains", "prefix", "exists"];
/// Every type, as a refusal names them.
const TYPES: &str = "and, or, not, eq, ne, gt, gte, lt, lte, in, nin, contains, prefix, exists";

/// Which documents may answer: comparisons of a document's facts, joined by and, or, not.
///
/// Keys are `document_id`, `name`, `kind`, or an attribute's name. A fact that is a list matches when one of its members
/// does; a missing fact matches only `ne` and `nin`. Strings that are dates (RFC 3339, or a day alone, which begins at
/// midnight UTC) are compared as moments, all other strings by code point.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub enum Filter {
    /// All must hold; at least one.
    And(Vec<Self>),
    /// One must hold; at least one.
    Or(Vec<Self>),
    /// It must not hold.
    Not(Box<Self>),
    /// A fact compared with a value.
    Compare {
        /// The fact's name.
        key: String,
        /// How.
        how: Comparison,
        /// With what: a string, number or boolean.
        value: Value,
    },
    /// A fact that is one of these, or (not `within`) none of them.
    Listed {
        /// The fact's name.
        key: String,
        /// Whether it must be one of them.
        within: bool,
        /// Strings, numbers, booleans; a set, since each document is held against all of them.
        values: HashSet<Same>,
    },
    /// A string fact that contains these words, letter by letter; of a list, a member that does.
    Contains {
        /// The fact's name.
        key: String,
        /// The words.
        part: String,
    },
    /// A string fact that begins so.
    Prefix {
        /// The fact's name.
        key: String,
        /// The beginning.
        part: String,
    },
    /// A fact that is there, or (not `wanted`) is not.
    Exists {
        /// The fact's name.
        key: String,
        /// Whether it must be there.
        wanted: bool,
    },
}

/// How a fact is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
}

/// Why a filter is refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct FilterError {
    /// JSON pointer to the part that is wrong, from the filter on: empty, or `/filters/0/value`.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub what: String,
}

impl TryFrom<Value> for Filter {
    type Error = FilterError;

    /// Reads a filter in its wire shape.
    ///
    /// # Errors
    /// When it is of another shape, larger or deeper than allowed, or compares what has no order.
    fn try_from(wire: Value) -> Result<Self, FilterError> {
        Reader { comparisons: 0, listed: 0 }.filter(&wire, "", 0)
    }
}

impl Filter {
    /// Whether a document with these facts may answer.
    #[must_use]
    pub fn matches(&self, fact: &dyn Fn(&str) -> Option<Value>) -> bool {
        match self {
            Self::And(filters) => filters.iter().all(|filter| filter.matches(fact)),
            Self::Or(filters) => filters.iter().any(|filter| filter.matches(fact)),
            Self::Not(filter) => !filter.matches(fact),
            Self::Compare { key, how: Comparison::Ne, value } => !any_holds(fact(key), |found| equal(found, value)),
            Self::Compare { key, how, value } => any_holds(fact(key), |found| how.holds(found, value)),
            Self::Listed { key, within, values } => {
                *within == any_holds(fact(key), |found| Same::of(found).is_some_and(|found| values.contains(&found)))
            }
            Self::Contains { key, part } => {
                any_holds(fact(key), |found| text(found).is_some_and(|text| text.contains(part)))
            }
            Self::Prefix { key, part } => {
                any_holds(fact(key), |found| text(found).is_some_and(|text| text.starts_with(part)))
            }
            Self::Exists { key, wanted } => *wanted == fact(key).is_some(),
        }
    }
}

impl Comparison {
    fn holds(self, found: &Value, value: &Value) -> bool {
        match self {
            Self::Eq => equal(found, value),
            Self::Ne => !equal(found, value),
            Self::Gt => order(found, value) == Some(Ordering::Greater),
            Self::Gte => order(found, value).is_some_and(Ordering::is_ge),
            Self::Lt => order(found, value) == Some(Ordering::Less),
            Self::Lte => order(found, value).is_some_and(Ordering::is_le),
        }
    }
}

/// Whether a fact, or one member of a fact that is a list, holds.
fn any_holds(fact: Option<Value>, holds: impl Fn(&Value) -> bool) -> bool {
    match fact {
        Some(Value::Array(many)) => many.iter().any(holds),
        Some(one) => holds(&one),
        None => false,
    }
}

fn text(value: &Value) -> Option<&str> {
    value.as_str()
}

/// A value as it is compared for being equal: numbers by value (`1` and `1.0`), dates by moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Same {
    /// A whole number.
    Whole(i64),
    /// Any other number, by its bits.
    Fraction(u64),
    /// A date.
    Moment(Timestamp),
    /// Any other string.
    Text(String),
    /// A boolean.
    Truth(bool),
}

impl Same {
    /// Nothing for what no list can hold.
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => {
                number.as_i64().map(Self::Whole).or_else(|| Some(Self::of_fraction(number.as_f64()?)))
            }
            Value::String(text) => Some(moment(text).map_or_else(|| Self::Text(text.clone()), Self::Moment)),
            Value::Bool(truth) => Some(Self::Truth(*truth)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "only whole numbers within the range of i64 are cast")]
    fn of_fraction(number: f64) -> Self {
        let whole = number.fract() == 0.0 && number.abs() < 9_223_372_036_854_775_808.0;
        if whole { Self::Whole(number as i64) } else { Self::Fraction(number.to_bits()) }
    }
}

/// Numbers are equal by value (`1` and `1.0`), dates by moment, everything else as JSON.
fn equal(a: &Value, b: &Value) -> bool {
    a == b || order(a, b) == Some(Ordering::Equal)
}

/// Numbers by value, dates by moment, other strings by code point; nothing else has an order.
fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            // Whole numbers beyond 2^53 would run together as fractions.
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        (Value::String(a), Value::String(b)) => match (moment(a), moment(b)) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => Some(a.cmp(b)),
        },
        _ => None,
    }
}

/// The moment that a date names: RFC 3339 with its offset, or a day, which begins at midnight UTC.
fn moment(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let dated = bytes.len() >= 10 && bytes[4] == b'-' && bytes[7] == b'-' && bytes[0].is_ascii_digit();
    if !dated {
        return None;
    }
    if bytes.len() > 10 {
        return text.parse().ok();
    }
    let day: Date = text.parse().ok()?;
    day.to_zoned(TimeZone::UTC).ok().map(|midnight| midnight.timestamp())
}

/// Reads the wire shape and counts what it has read.
struct Reader {
    comparisons: usize,
    listed: usize,
}

impl Reader {
    fn filter(&mut self, wire: &Value, at: &str, depth: usize) -> Result<Filter, FilterError> {
        let object = wire.as_object().ok_or_else(|| wrong(at, "must be an object with a `type`"))?;
        let kind = object.get("type").and_then(Value::as_str);
        let kind = kind.ok_or_else(|| wrong(&format!("{at}/type"), &format!("must be one of {TYPES}")))?;
        match kind {
            "and" | "or" | "not" if depth == MAX_DEPTH => {
                Err(wrong(at, &format!("is nested deeper than {MAX_DEPTH} levels")))
            }
            "and" => Ok(Filter::And(self.filters(object, at, depth)?)),
            "or" => Ok(Filter::Or(self.filters(object, at, depth)?)),
            "not" => {
                only(object, &["filter"], at)?;
                let at = format!("{at}/filter");
                let inner = object.get("filter").ok_or_else(|| wrong(&at, "must be the filter that is not to hold"))?;
                Ok(Filter::Not(Box::new(self.filter(inner, &at, depth + 1)?)))
            }
            leaf if LEAVES.contains(&leaf) => self.leaf(leaf, object, at),
            _ => Err(wrong(&format!("{at}/type"), &format!("is none of {TYPES}"))),
        }
    }

    fn filters(&mut self, object: &Map<String, Value>, at: &str, depth: usize) -> Result<Vec<Filter>, FilterError> {
        only(object, &["filters"], at)?;
        let at = format!("{at}/filters");
        let filters = object.get("filters").and_then(Value::as_array).filter(|filters| !filters.is_empty());
        let filters = filters.ok_or_else(|| wrong(&at, "must be a list of at least one filter"))?;
        let read = |(place, filter)| self.filter(filter, &format!("{at}/{place}"), depth + 1);
        filters.iter().enumerate().map(read).collect()
    }

    fn leaf(&mut self, kind: &str, object: &Map<String, Value>, at: &str) -> Result<Filter, FilterError> {
        self.comparisons += 1;
        if self.comparisons > MAX_COMPARISONS {
            return Err(wrong(at, &format!("is one comparison too many: the most is {MAX_COMPARISONS}")));
        }
        only(object, &["key", "value"], at)?;
        let key = object.get("key").and_then(Value::as_str);
        let key =
            key.ok_or_else(|| wrong(&format!("{at}/key"), "must be the name of an attribute, as text"))?.to_owned();
        let (value, at) = (object.get("value"), format!("{at}/value"));
        let compare = |how| Ok(Filter::Compare { key: key.clone(), how, value: plain(value, &at)? });
        let ordered = |how| Ok(Filter::Compare { key: key.clone(), how, value: comparable(value, &at)? });
        match kind {
            "eq" => compare(Comparison::Eq),
            "ne" => compare(Comparison::Ne),
            "gt" => ordered(Comparison::Gt),
            "gte" => ordered(Comparison::Gte),
            "lt" => ordered(Comparison::Lt),
            "lte" => ordered(Comparison::Lte),
            "in" | "nin" => Ok(Filter::Listed { within: kind == "in", values: self.list(value, &at)?, key }),
            "contains" => Ok(Filter::Contains { part: words(value, &at)?, key }),
            "prefix" => Ok(Filter::Prefix { part: words(value, &at)?, key }),
            _ => match value.unwrap_or(&Value::Bool(true)) {
                Value::Bool(wanted) => Ok(Filter::Exists { key, wanted: *wanted }),
                _ => Err(wrong(&at, "must be true or false, or be left out")),
            },
        }
    }

    fn list(&mut self, value: Option<&Value>, at: &str) -> Result<HashSet<Same>, FilterError> {
        let list = value.and_then(Value::as_array).ok_or_else(|| wrong(at, "must be a list"))?;
        self.listed += list.len();
        if self.listed > MAX_LISTED {
            let most = format!("has too many values: the lists of a filter may have {MAX_LISTED} together");
            return Err(wrong(at, &most));
        }
        let read = |(place, value)| {
            let at = format!("{at}/{place}");
            Same::of(&plain(Some(value), &at)?).ok_or_else(|| wrong(&at, "must be a number that can be compared"))
        };
        list.iter().enumerate().map(read).collect()
    }
}

/// Refuses fields that nobody reads, since they are typing errors.
fn only(object: &Map<String, Value>, known: &[&str], at: &str) -> Result<(), FilterError> {
    match object.keys().find(|name| *name != "type" && !known.contains(&name.as_str())) {
        Some(stray) => {
            Err(wrong(&format!("{at}/{stray}"), &format!("is not known here; known: type, {}", known.join(", "))))
        }
        None => Ok(()),
    }
}

fn plain(value: Option<&Value>, at: &str) -> Result<Value, FilterError> {
    let value = value.filter(|value| value.is_string() || value.is_number() || value.is_boolean());
    value.cloned().ok_or_else(|| wrong(at, "must be a string, a number or a boolean"))
}

fn comparable(value: Option<&Value>, at: &str) -> Result<Value, FilterError> {
    let value = value.filter(|value| value.is_string() || value.is_number());
    value.cloned().ok_or_else(|| wrong(at, "must be a number or a string (dates as RFC 3339)"))
}

fn words(value: Option<&Value>, at: &str) -> Result<String, FilterError> {
    let words = value.and_then(Value::as_str).filter(|words| !words.is_empty());
    words.map(str::to_owned).ok_or_else(|| wrong(at, "must be a string that is not empty"))
}

fn wrong(at: &str, what: &str) -> FilterError {
    FilterError { pointer: at.to_owned(), what: format!("`filter{}` {what}", at.replace('/', ".")) }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;

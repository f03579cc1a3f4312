//! Filters: which documents may answer.

use std::cmp::Ordering;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The most comparisons in one filter.
const MAX_COMPARISONS: usize = 100;
/// The deepest nesting of `and`, `or` and `not`.
const MAX_DEPTH: usize = 8;
/// The most values in one list.
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
        /// Strings, numbers, booleans.
        values: Vec<Value>,
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
        Reader { comparisons: 0 }.filter(&wire, "", 0)
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
                *within == any_holds(fact(key), |found| values.iter().any(|value| equal(found, value)))
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
            "in" | "nin" => Ok(Filter::Listed { within: kind == "in", values: list(value, &at)?, key }),
            "contains" => Ok(Filter::Contains { part: words(value, &at)?, key }),
            "prefix" => Ok(Filter::Prefix { part: words(value, &at)?, key }),
            _ => match value.unwrap_or(&Value::Bool(true)) {
                Value::Bool(wanted) => Ok(Filter::Exists { key, wanted: *wanted }),
                _ => Err(wrong(&at, "must be true or false, or be left out")),
            },
        }
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

fn list(value: Option<&Value>, at: &str) -> Result<Vec<Value>, FilterError> {
    let list = value.and_then(Value::as_array).ok_or_else(|| wrong(at, "must be a list"))?;
    if list.len() > MAX_LISTED {
        return Err(wrong(at, &format!("has {} values; the most is {MAX_LISTED}", list.len())));
    }
    list.iter().enumerate().map(|(place, value)| plain(Some(value), &format!("{at}/{place}"))).collect()
}

fn words(value: Option<&Value>, at: &str) -> Result<String, FilterError> {
    let words = value.and_then(Value::as_str).filter(|words| !words.is_empty());
    words.map(str::to_owned).ok_or_else(|| wrong(at, "must be a string that is not empty"))
}

fn wrong(at: &str, what: &str) -> FilterError {
    FilterError { pointer: at.to_owned(), what: format!("`filter{}` {what}", at.replace('/', ".")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn filter(wire: Value) -> Filter {
        Filter::try_from(wire).unwrap()
    }

    fn fact(key: &str) -> Option<Value> {
        match key {
            "year" => Some(json!(2024)),
            "tags" => Some(json!(["red", "blue"])),
            "day" => Some(json!("2024-05-01")),
            "moment" => Some(json!("2024-05-01T02:00:00+02:00")),
            "draft" => Some(json!(false)),
            "none" => Some(json!([])),
            "big" => Some(json!(9_007_199_254_740_993_u64)),
            _ => None,
        }
    }

    fn leaf(kind: &str, key: &str, value: &Value) -> Value {
        json!({"type": kind, "key": key, "value": value})
    }

    #[test]
    fn a_filter_compares_numbers_strings_dates_and_lists() {
        for (kind, key, value, wanted) in [
            ("eq", "year", json!(2024.0), true),
            ("eq", "year", json!("2024"), false),
            ("eq", "draft", json!(false), true),
            ("eq", "tags", json!("blue"), true),
            ("eq", "absent", json!(1), false),
            ("ne", "tags", json!("blue"), false),
            ("ne", "absent", json!("x"), true),
            ("gt", "year", json!(2024), false),
            ("gt", "big", json!(9_007_199_254_740_992_u64), true),
            ("gte", "day", json!("2024-01-01"), true),
            ("lt", "year", json!(2024.5), true),
            ("lt", "year", json!("3000"), false),
            ("lte", "absent", json!(1), false),
            ("in", "tags", json!(["blue", "green"]), true),
            ("in", "year", json!([]), false),
            ("nin", "tags", json!(["blue"]), false),
            ("nin", "absent", json!(["x"]), true),
            ("contains", "tags", json!("lu"), true),
            ("contains", "tags", json!("blues"), false),
            ("contains", "year", json!("20"), false),
            ("prefix", "day", json!("2024-"), true),
            ("prefix", "tags", json!("e"), false),
            ("exists", "year", json!(true), true),
            ("exists", "none", json!(true), true),
            ("exists", "absent", json!(false), true),
            ("exists", "absent", json!(true), false),
        ] {
            let wire = leaf(kind, key, &value);
            assert_eq!(filter(wire.clone()).matches(&fact), wanted, "{wire}");
        }
        assert!(filter(json!({"type": "exists", "key": "year"})).matches(&fact));
    }

    #[test]
    fn dates_are_moments_whatever_their_offset_and_precision() {
        for (kind, key, value, wanted) in [
            ("eq", "moment", "2024-05-01", true),
            ("eq", "day", "2024-05-01T00:00:00.000Z", true),
            ("gt", "moment", "2024-04-30T23:59:59Z", true),
            ("lt", "moment", "2024-05-01T01:00:00+01:30", false),
            ("gte", "day", "2024-05-01T00:00:00Z", true),
            ("in", "moment", "2024-05-01T00:00:00Z", true),
        ] {
            let value = if kind == "in" { json!([value]) } else { json!(value) };
            let wire = leaf(kind, key, &value);
            assert_eq!(filter(wire.clone()).matches(&fact), wanted, "{wire}");
        }
        assert_eq!(moment("2024-13-01"), None);
        assert_eq!(moment("4711-00-0x"), None);
    }

    #[test]
    fn filters_are_joined_by_and_or_and_not() {
        let (yes, no) = (leaf("eq", "year", &json!(2024)), leaf("eq", "year", &json!(1)));
        for (kind, parts, wanted) in [
            ("and", vec![&yes, &yes], true),
            ("and", vec![&yes, &no], false),
            ("or", vec![&no, &yes], true),
            ("or", vec![&no], false),
        ] {
            let wire = json!({"type": kind, "filters": parts});
            assert_eq!(filter(wire.clone()).matches(&fact), wanted, "{wire}");
            assert_eq!(filter(json!({"type": "not", "filter": wire})).matches(&fact), !wanted);
        }
    }

    #[test]
    fn a_filter_that_cannot_be_meant_is_refused_where_it_is_wrong() {
        let leaf = leaf("eq", "a", &json!(1));
        let deep = (0..9).fold(leaf.clone(), |inner, _| json!({"type": "not", "filter": inner}));
        for (wire, pointer) in [
            (json!("x"), ""),
            (json!({}), "/type"),
            (json!({"type": "like", "key": "a", "value": 1}), "/type"),
            (json!({"type": "and", "filters": []}), "/filters"),
            (json!({"type": "and", "filters": [leaf, {"type": "eq", "value": 1}]}), "/filters/1/key"),
            (json!({"type": "or", "filters": vec![leaf.clone(); 101]}), "/filters/100"),
            (json!({"type": "not", "filters": [leaf]}), "/filters"),
            (json!({"type": "eq", "key": "a", "value": 1, "case": false}), "/case"),
            (json!({"type": "eq", "key": "a"}), "/value"),
            (json!({"type": "eq", "key": "a", "value": null}), "/value"),
            (json!({"type": "gt", "key": "a", "value": true}), "/value"),
            (json!({"type": "in", "key": "a", "value": 1}), "/value"),
            (json!({"type": "in", "key": "a", "value": [1, [2]]}), "/value/1"),
            (json!({"type": "nin", "key": "a", "value": vec![1; 1001]}), "/value"),
            (json!({"type": "contains", "key": "a", "value": ""}), "/value"),
            (json!({"type": "prefix", "key": "a", "value": 7}), "/value"),
            (json!({"type": "exists", "key": "a", "value": "yes"}), "/value"),
            (deep, &"/filter".repeat(8)),
        ] {
            let error = Filter::try_from(wire.clone()).unwrap_err();
            assert_eq!(error.pointer, pointer, "{wire}: {error}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9f64).prop_map(Value::from),
            "[a-c]{0,3}|20[0-9]{2}-0[1-9]-1[0-9]".prop_map(Value::from),
        ]
    }

    proptest! {
        #[test]
        fn a_comparison_and_its_opposite_never_agree_on_a_fact_that_is_there(found in any_value(), value in any_value()) {
            let holds = |kind: &str| {
                let value = if kind.ends_with("in") { json!([value]) } else { value.clone() };
                Filter::try_from(leaf(kind, "a", &value)).map(|filter| filter.matches(&|_| Some(found.clone())))
            };
            for (one, other) in [("eq", "ne"), ("in", "nin")] {
                prop_assert_ne!(holds(one).unwrap(), holds(other).unwrap());
            }
            if order(&found, &value).is_some() && !value.is_boolean() {
                prop_assert_ne!(holds("gt").unwrap(), holds("lte").unwrap());
                prop_assert_ne!(holds("lt").unwrap(), holds("gte").unwrap());
            }
        }

        #[test]
        fn no_json_breaks_the_reader(words in "\\PC{0,20}", depth in 0..12usize) {
            let wire = (0..depth).fold(json!({"type": words, "key": words, "value": words}), |inner, at| {
                if at % 2 == 0 { json!({"type": "not", "filter": inner}) } else { json!({"type": "or", "filters": [inner]}) }
            });
            let _ = Filter::try_from(wire);
        }
    }
}

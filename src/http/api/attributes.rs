//! A document's attributes, as an upload brings them.

use serde_json::Value;

use super::super::codes::Code;
use super::super::extract::parse;
use super::super::problem::ApiError;
use crate::domain::Attributes;

/// The largest `attributes`, bytes of JSON.
pub const MAX_BYTES: usize = 16 << 10;
/// The most names.
const MAX_NAMES: usize = 64;
/// The longest name, characters.
const MAX_NAME: usize = 64;
/// The longest list: a filter holds each of its members against its own.
const MAX_LISTED: usize = 100;

/// Reads attributes: an object of names to strings, numbers, booleans or lists of these. Dates are strings (RFC 3339).
///
/// # Errors
/// [`Code::InvalidAttributes`] says what cannot be kept.
pub fn read(json: &[u8]) -> Result<Attributes, ApiError> {
    if json.len() > MAX_BYTES {
        return Err(wrong(&format!("are larger than {MAX_BYTES} bytes")));
    }
    let attributes: Attributes =
        parse(json).map_err(|error| wrong(&format!("are no JSON object: {}", error.detail())))?;
    if attributes.len() > MAX_NAMES {
        return Err(wrong(&format!("have {} names; the most is {MAX_NAMES}", attributes.len())));
    }
    for (name, value) in &attributes {
        if !(1..=MAX_NAME).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            return Err(wrong(&format!(
                "have a name that is empty, holds control characters or is longer than {MAX_NAME}"
            )));
        }
        if value.as_array().is_some_and(|list| list.len() > MAX_LISTED) {
            return Err(wrong(&format!("`{name}` is a list of more than {MAX_LISTED}")));
        }
        if !keeps(value) {
            return Err(wrong(&format!("`{name}` is no string, number, boolean or list of these")));
        }
    }
    Ok(attributes)
}

fn keeps(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.iter().all(is_plain),
        other => is_plain(other),
    }
}

fn is_plain(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))
}

fn wrong(why: &str) -> ApiError {
    ApiError::new(Code::InvalidAttributes, format!("`attributes` {why}")).at("#/attributes")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_facts_and_lists_of_them_are_kept() {
        let good =
            json!({"year": 2024, "draft": false, "day": "2024-05-01T00:00:00Z", "tags": ["a", 1, true], "none": []});
        assert_eq!(json!(read(good.to_string().as_bytes()).unwrap()), good);
        assert!(read(b"{}").unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let many: serde_json::Map<_, _> = (0..65).map(|n| (n.to_string(), json!(1))).collect();
        for bad in [
            json!([]),
            json!("x"),
            json!({"a": null}),
            json!({"a": {"b": 1}}),
            json!({"a": [[1]]}),
            json!({"a": [null]}),
            json!({"": 1}),
            json!({"line\nbreak": 1}),
            json!({"x".repeat(65): 1}),
            json!({"a": "x".repeat(MAX_BYTES)}),
            json!({"a": vec![1; MAX_LISTED + 1]}),
            json!(many),
        ] {
            let error = read(bad.to_string().as_bytes()).unwrap_err();
            assert_eq!(error.code(), Code::InvalidAttributes, "{}", error.detail());
        }
        assert_eq!(read(b"{").unwrap_err().code(), Code::InvalidAttributes);
    }
}

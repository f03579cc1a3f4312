//! The fields of a request, before it is known whether the provider takes them all.

use serde_json::{Map, Value};

/// The two names of the longest reply; a server knows one of them, and refuses both together.
pub(super) const LIMITS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// The body of a call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Request {
    pub(super) fields: Map<String, Value>,
    /// Fields that are left out one by one, in this order, when the provider refuses without a word that helps.
    pub(super) unsure: &'static [&'static str],
}

impl Request {
    /// A request of these fields; `unsure` are left out one by one when the provider does not say what it refuses.
    #[must_use]
    pub fn new(fields: Map<String, Value>, unsure: &'static [&'static str]) -> Self {
        Self { fields, unsure }
    }

    /// With the operator's own fields in place of these; an empty string leaves a field out.
    #[must_use]
    pub fn with(mut self, own: &Map<String, Value>) -> Self {
        if own.keys().any(|name| LIMITS.contains(&name.as_str())) {
            for name in LIMITS {
                self.fields.remove(name);
            }
        }
        for (name, value) in own {
            if value.as_str() == Some("") {
                self.fields.remove(name);
            } else {
                self.fields.insert(name.clone(), value.clone());
            }
        }
        self
    }

    /// The model it asks for.
    pub(super) fn model(&self) -> &str {
        self.fields.get("model").and_then(Value::as_str).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(own: Value) -> Value {
        let object = |value: Value| value.as_object().cloned().unwrap();
        let fields = object(json!({ "model": "m", "temperature": 0.0, "max_tokens": 512 }));
        Value::Object(Request::new(fields, &[]).with(&object(own)).fields)
    }

    #[test]
    fn the_operators_fields_stand_in_place_of_carrels_own() {
        let own = json!({ "temperature": 0.7, "reasoning_effort": "low" });
        let expected = json!({ "model": "m", "temperature": 0.7, "max_tokens": 512, "reasoning_effort": "low" });
        assert_eq!(merged(own), expected);
        assert_eq!(merged(json!({ "temperature": "" })), json!({ "model": "m", "max_tokens": 512 }));
        assert_eq!(
            merged(json!({ "temperature": false })),
            json!({ "model": "m", "max_tokens": 512, "temperature": false })
        );
    }

    #[test]
    fn a_limit_of_the_operators_replaces_carrels_under_either_name() {
        let own = json!({ "max_completion_tokens": 4000 });
        assert_eq!(merged(own), json!({ "model": "m", "temperature": 0.0, "max_completion_tokens": 4000 }));
        let none = json!({ "max_tokens": "" });
        assert_eq!(merged(none), json!({ "model": "m", "temperature": 0.0 }));
    }
}

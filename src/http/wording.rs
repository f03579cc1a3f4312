//! What is wrong with an input, in plain words: parsers speak of types and tokens, a client's author of fields and values.
//!
//! serde, serde_json and the query string's reader tell what they met as sentences of fixed forms; each form has its plain
//! words here. What a type of our own says (`a tenant's id must …`) is plain already and passes as it is.

/// A fault in a value, or in the fields of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field that is missing, to be added to the place of the object that lacks it.
    pub missing: Option<String>,
    /// In plain words; about a value as `must …`.
    pub words: String,
}

impl Fault {
    /// The words as a sentence about what `name` names.
    #[must_use]
    pub fn of(&self, name: &str) -> String {
        if !self.words.starts_with("must ") {
            return self.words.clone();
        }
        if name.is_empty() { format!("the value {}", self.words) } else { format!("`{name}` {}", self.words) }
    }
}

/// The plain words of what a reader of JSON or of a query string says.
#[must_use]
pub fn fault(said: &str) -> Fault {
    let said = without_place(said);
    let words = |words: String| Fault { missing: None, words };
    if let Some(name) = quoted_after(said, "missing field ") {
        return Fault { missing: Some(name.to_owned()), words: format!("`{name}` is missing") };
    }
    if let Some(name) = quoted_after(said, "duplicate field ") {
        return words(format!("`{name}` stands there twice"));
    }
    if let Some(name) = quoted_after(said, "unknown field ") {
        let known = known(said).map(|known| format!("; known: {known}")).unwrap_or_default();
        return words(format!("there is no field `{name}` here{known}"));
    }
    if let Some(name) = quoted_after(said, "unknown variant ") {
        return words(format!("must be one of {}, not `{name}`", known(said).unwrap_or_default()));
    }
    if let Some((met, wanted)) = said.strip_prefix("invalid type: ").and_then(|rest| rest.rsplit_once(", expected ")) {
        return words(format!("must be {}, not {}", wanted_words(wanted), met_words(met)));
    }
    if let Some((met, _)) = said.strip_prefix("invalid value: ").and_then(|rest| rest.rsplit_once(", expected ")) {
        return words(format!("must not be {}", met_words(met)));
    }
    if said.starts_with("invalid length ") || said.starts_with("data did not match any variant") {
        return words("must have one of the shapes that the manual names".into());
    }
    words(of_number(said).unwrap_or(said).to_owned())
}

/// Where JSON breaks off or goes wrong, in plain words.
#[must_use]
pub fn syntax(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    if error.is_eof() {
        return "the body is no whole JSON: it ends too early".into();
    }
    let said = error.to_string();
    let why = match without_place(&said) {
        "trailing comma" => "a comma stands before the end of a list or object",
        "key must be a string" => "a name of a field must stand between double quotes",
        "recursion limit exceeded" => "it is nested too deeply",
        "invalid escape" | "unexpected end of hex escape" => "there is no such escape behind a backslash",
        "invalid unicode code point" | "lone leading surrogate in hex escape" => "an escape names no character",
        "invalid number" | "number out of range" => "a number cannot be read",
        "trailing characters" => "there is more after the end of it",
        said if said.starts_with("control character") => "a line break or control character stands within a text",
        said if said.starts_with("expected `:`") => "a colon is missing behind a field's name",
        said if said.starts_with("expected `,`") => "a comma or a closing bracket is missing",
        _ => "something stands there that cannot",
    };
    format!("the body is no JSON: {why}, in line {line} at byte {column}")
}

/// What is wrong with a parameter of the query string; `said` begins with its name where the reader knows it.
#[must_use]
pub fn parameter(said: &str) -> String {
    match said.split_once(": ").filter(|(name, _)| is_name(name)) {
        Some((name, rest)) => format!("query string: {}", fault(rest).of(name)),
        None => format!("query string: {}", fault(said).of("")),
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// What the readers of numbers and truth values say.
fn of_number(said: &str) -> Option<&'static str> {
    Some(match said {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "must be a whole number, 0 or more"
        }
        "number too large to fit in target type" => "must be a smaller number",
        "number too small to fit in target type" => "must be a larger number",
        "invalid float literal" | "cannot parse float from empty string" => "must be a number",
        "provided string was not `true` or `false`" => "must be `true` or `false`",
        _ => return None,
    })
}

/// Without serde_json's ` at line 1 column 2`.
fn without_place(said: &str) -> &str {
    match said.rsplit_once(" at line ") {
        Some((ahead, place)) if place.bytes().all(|b| b.is_ascii_digit() || b" column".contains(&b)) => ahead,
        _ => said,
    }
}

/// `x` of `missing field `x`…`.
fn quoted_after<'a>(said: &'a str, start: &str) -> Option<&'a str> {
    let rest = said.strip_prefix(start)?.strip_prefix('`')?;
    let ends = ["`, expected ", "`, there are no "].into_iter().filter_map(|end| rest.find(end));
    let end = ends.min().or_else(|| rest.rfind('`'))?;
    Some(&rest[..end])
}

/// The words that are known: "`a`, `b`", from `…, expected one of `a`, `b``.
fn known(said: &str) -> Option<String> {
    let (_, known) = said.rsplit_once("`, expected ")?;
    Some(known.trim_start_matches("one of ").replace("` or `", "`, `"))
}

/// What was met, as JSON's readers know it.
fn met_words(met: &str) -> String {
    let kinds = [
        ("integer ", "the number "),
        ("floating point ", "the number "),
        ("boolean ", ""),
        ("string ", "the text "),
        ("character ", "the text "),
    ];
    let known = kinds.iter().find_map(|(kind, words)| met.strip_prefix(kind).map(|value| format!("{words}{value}")));
    known.unwrap_or_else(|| match met {
        "null" | "unit value" | "Option value" => "null".into(),
        "sequence" => "a list".into(),
        "map" => "an object".into(),
        _ => "something else".into(),
    })
}

/// What was wanted, without the names of our own types.
fn wanted_words(wanted: &str) -> &str {
    match wanted {
        "a string" | "string" | "a borrowed string" | "a character" => "a text",
        "a boolean" => "`true` or `false`",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "an object",
        "unit" => "nothing",
        kind if kind.starts_with("struct ")
            || kind.starts_with("internally tagged enum")
            || kind.starts_with("adjacently") =>
        {
            "an object"
        }
        kind if kind.starts_with("a tuple") || kind.starts_with("tuple") => "a list",
        kind if kind.starts_with("enum ") || kind.contains("variant") => "one of the known words",
        _ => "a value of another kind",
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Shape {
        query: String,
        top_k: Option<u8>,
        share: Option<f32>,
        wide: Option<bool>,
        list: Option<Vec<String>>,
        order: Option<Word>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        Asc,
        Desc,
    }

    fn said(json: &str) -> String {
        let error = serde_json::from_str::<Shape>(json).unwrap_err();
        if error.is_data() { fault(&error.to_string()).words } else { syntax(&error) }
    }

    #[test]
    fn what_is_wrong_with_a_value_is_told_in_plain_words() {
        for (json, words) in [
            (r"{}", "`query` is missing"),
            (r#"{"query": 1}"#, "must be a text, not the number `1`"),
            (r#"{"query": null}"#, "must be a text, not null"),
            (r#"{"query": ["a"]}"#, "must be a text, not a list"),
            (r#"{"query": {}}"#, "must be a text, not an object"),
            (r#"{"query": "a", "query": "b"}"#, "`query` stands there twice"),
            (r#"{"query": "a", "top_k": -1}"#, "must not be the number `-1`"),
            (r#"{"query": "a", "top_k": 999}"#, "must not be the number `999`"),
            (r#"{"query": "a", "top_k": 1.5}"#, "must be a whole number, 0 or more, not the number `1.5`"),
            (r#"{"query": "a", "top_k": "3"}"#, "must be a whole number, 0 or more, not the text \"3\""),
            (r#"{"query": "a", "share": "x"}"#, "must be a number, not the text \"x\""),
            (r#"{"query": "a", "wide": 1}"#, "must be `true` or `false`, not the number `1`"),
            (r#"{"query": "a", "list": "x"}"#, "must be a list, not the text \"x\""),
            (r#"{"query": "a", "order": "up"}"#, "must be one of `asc`, `desc`, not `up`"),
            (
                r#"{"query": "a", "qurey": 1}"#,
                "there is no field `qurey` here; known: `query`, `top_k`, `share`, `wide`, `list`, `order`",
            ),
        ] {
            assert_eq!(said(json), words, "{json}");
        }
    }

    #[test]
    fn where_json_goes_wrong_is_told_in_plain_words() {
        for (json, words) in [
            ("{", "ends too early"),
            (r#"{"query": "a""#, "ends too early"),
            (r#"{"query": "a",}"#, "a comma stands before the end"),
            (r#"{query: "a"}"#, "between double quotes"),
            (r#"{"query" "a"}"#, "a colon is missing"),
            (r#"{"query": "a" "top_k": 1}"#, "a comma or a closing bracket is missing"),
            ("{\"query\": \"a\nb\"}", "a line break or control character stands within a text"),
            (r#"{"query": "\x"}"#, "no such escape"),
            (r#"{"query": NaN}"#, "something stands there that cannot"),
            (r#"{"query": 'a'}"#, "something stands there that cannot, in line 1 at byte 11"),
        ] {
            let told = said(json);
            assert!(told.starts_with("the body is no") && told.contains(words), "{json}: {told}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_parameter_names_it() {
        for (said, words) in [
            ("limit: invalid digit found in string", "query string: `limit` must be a whole number, 0 or more"),
            ("force: provided string was not `true` or `false`", "query string: `force` must be `true` or `false`"),
            ("unknown field `x`, expected `limit`", "query string: there is no field `x` here; known: `limit`"),
            ("missing field `with`", "query string: `with` is missing"),
            (
                "order: unknown variant `up`, expected `asc` or `desc`",
                "query string: `order` must be one of `asc`, `desc`, not `up`",
            ),
        ] {
            assert_eq!(parameter(said), words);
        }
    }
}

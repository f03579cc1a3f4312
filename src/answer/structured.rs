//! Answers as JSON: of a schema, where a provider can hold a model to one, or of any obvious shape that a model chooses.
//!
//! What comes is read into the same words and markers that other models write, and checked like them.

use async_openai::types::chat::{ResponseFormat, ResponseFormatJsonSchema};
use serde_json::{Map, Value, json};

use super::pieces::pieces;

/// Fields that hold an answer, whoever chose the shape.
const ANSWERS: [&str; 4] = ["answer", "response", "final_answer", "reply"];
/// Fields that hold one where JSON was asked for.
const TEXTS: [&str; 6] = ["text", "content", "message", "result", "output", "sentence"];
/// Fields that hold its sentences.
const SENTENCES: [&str; 6] = ["sentences", "claims", "statements", "answers", "points", "facts"];
/// Fields that name the passages behind it.
const SOURCES: [&str; 12] = [
    "sources",
    "source",
    "citations",
    "citation",
    "references",
    "passages",
    "passage",
    "source_ids",
    "refs",
    "evidence",
    "markers",
    "ids",
];
/// Fields beside an answer that say nothing of it.
const BESIDE: [&str; 10] = [
    "confidence",
    "language",
    "reasoning",
    "thoughts",
    "thought",
    "explanation",
    "notes",
    "score",
    "question",
    "status",
];

/// Who chose the shape of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// A schema was asked for.
    Schema,
    /// Plain words were asked for.
    Words,
}

/// The format to ask for. Everything is required and nothing else allowed, as OpenAI's strict mode wants it.
pub(super) fn format() -> ResponseFormat {
    let sentence = json!({
        "type": "object",
        "properties": {
            "text": { "type": "string", "description": "One sentence of the answer, without numbers of passages." },
            "sources": {
                "type": "array",
                "items": { "type": "integer" },
                "description": "The numbers of the passages that support the sentence.",
            },
        },
        "required": ["text", "sources"],
        "additionalProperties": false,
    });
    let schema = json!({
        "type": "object",
        "properties": { "sentences": { "type": "array", "items": sentence } },
        "required": ["sentences"],
        "additionalProperties": false,
    });
    let json_schema = ResponseFormatJsonSchema { description: None, name: "answer".into(), schema, strict: Some(true) };
    ResponseFormat::JsonSchema { json_schema }
}

/// The words of an answer, with markers. Where a schema was asked for, JSON that holds no answer is none, and a reply
/// without JSON was written by a model that was not held to it and stands. Where words were asked for, a reply is read as
/// JSON only if it is nothing else and its shape says that it is an answer.
pub(super) fn read(reply: &str, asked: Asked) -> Option<String> {
    let whole = unfenced(reply.trim());
    match asked {
        Asked::Schema if whole.starts_with(['{', '[']) => {
            let found = lenient(within(whole).unwrap_or(whole)).and_then(|value| words(&value, asked));
            found.or_else(|| starts_with_marker(whole).then(|| reply.to_owned()))
        }
        Asked::Schema => {
            let found = within(reply).and_then(lenient).and_then(|value| words(&value, asked));
            Some(found.unwrap_or_else(|| reply.to_owned()))
        }
        Asked::Words => {
            let found = may_be_json(reply).then(|| words(&lenient(whole)?, asked)).flatten();
            Some(found.unwrap_or_else(|| reply.to_owned()))
        }
    }
}

/// `[1] …` begins words and no list.
fn starts_with_marker(text: &str) -> bool {
    text.strip_prefix('[').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether a reply that begins so may be JSON and nothing else; unsure of too few words is yes.
pub(super) fn may_be_json(begin: &str) -> bool {
    let begin = begin.trim_start();
    let Some(fenced) = begin.strip_prefix("```") else {
        return begin.is_empty() || begin.starts_with('{') || "```".starts_with(begin);
    };
    match fenced.split_once('\n') {
        Some((language, code)) => {
            let json = language.trim().is_empty() || language.trim().eq_ignore_ascii_case("json");
            json && (code.trim_start().is_empty() || code.trim_start().starts_with('{'))
        }
        None => fenced.len() <= 8,
    }
}

/// What is within a fence, where a text is nothing else.
fn unfenced(text: &str) -> &str {
    let inner = text.strip_prefix("```").and_then(|rest| rest.trim_end().strip_suffix("```"));
    let inner = inner.and_then(|inner| inner.split_once('\n')).map(|(_, code)| code.trim());
    inner.filter(|inner| !inner.contains("```")).unwrap_or(text)
}

/// The first object or list of a text, to the sign that closes it.
fn within(text: &str) -> Option<&str> {
    let start = text
        .find('{')
        .map(|at| if text[..at].trim_end().ends_with('[') { text[..at].rfind('[').unwrap_or(at) } else { at })?;
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for (at, c) in text[start..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '{' | '[' if !quoted => depth += 1,
            '}' | ']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return Some(&text[start..start + at + c.len_utf8()]);
        }
    }
    None
}

/// JSON as models write it: with commas too many, line breaks in texts, or Python's quotes.
fn lenient(text: &str) -> Option<Value> {
    let parse = |text: &str| serde_json::from_str(text).ok();
    let python = || (!text.contains('"')).then(|| text.replace('\'', "\"")).and_then(|text| parse(&tidied(&text)));
    parse(text).or_else(|| parse(&tidied(text))).or_else(python)
}

/// Without commas ahead of a closing sign, and with line breaks in texts escaped.
fn tidied(text: &str) -> String {
    let (mut tidy, mut quoted, mut escaped) = (String::with_capacity(text.len()), false, false);
    for (at, c) in text.char_indices() {
        let was_escaped = escaped;
        escaped = quoted && c == '\\' && !was_escaped;
        if c == '"' && !was_escaped {
            quoted = !quoted;
        }
        match c {
            '\n' if quoted => tidy.push_str("\\n"),
            ',' if !quoted && text[at + 1..].trim_start().starts_with(['}', ']']) => {}
            c => tidy.push(c),
        }
    }
    tidy
}

/// The words of JSON that holds an answer.
fn words(value: &Value, asked: Asked) -> Option<String> {
    let sentences = match value {
        Value::Array(list) => list.iter().filter_map(|item| sentence(item, asked)).collect::<Vec<_>>(),
        Value::Object(fields) => return answer(fields, asked),
        _ => return None,
    };
    (!sentences.is_empty()).then(|| sentences.join("\n"))
}

fn answer(fields: &Map<String, Value>, asked: Asked) -> Option<String> {
    let known = |name: &String| {
        let lists: [&[&str]; 4] = [&ANSWERS, &SENTENCES, &SOURCES, &BESIDE];
        lists.iter().any(|list| list.contains(&name.to_lowercase().as_str()))
    };
    if asked == Asked::Words && !fields.keys().all(known) {
        return None;
    }
    let field = |names: &[&str]| fields.iter().find(|(name, _)| names.contains(&name.to_lowercase().as_str()));
    let (_, answer) = field(&SENTENCES)
        .filter(|(_, value)| value.is_array())
        .or_else(|| field(&ANSWERS))
        .or_else(|| field(&TEXTS).filter(|_| asked == Asked::Schema))?;
    match answer {
        Value::String(text) => {
            let text = marked(text, &sources(fields));
            (!text.trim().is_empty()).then_some(text)
        }
        answer => words(answer, Asked::Schema),
    }
}

fn sentence(item: &Value, asked: Asked) -> Option<String> {
    match item {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Object(fields) if asked == Asked::Schema => answer(fields, asked).map(|text| text.trim().to_owned()),
        _ => None,
    }
}

/// The sources that an object names, as markers.
fn sources(fields: &Map<String, Value>) -> String {
    let named = fields.iter().filter(|(name, _)| SOURCES.contains(&name.to_lowercase().as_str()));
    named.map(|(_, value)| markers(value)).collect()
}

fn markers(value: &Value) -> String {
    match value {
        Value::Number(number) => number.as_u64().map(|number| format!("[{number}]")).unwrap_or_default(),
        Value::String(text) => {
            let name = text.trim().trim_matches(['[', ']']);
            if name.is_empty() || name.contains(['[', ']', '\n']) { String::new() } else { format!("[{name}]") }
        }
        Value::Array(list) => list.iter().map(markers).collect(),
        Value::Object(fields) => {
            let named = ["passage", "number", "id", "index", "source", "marker", "document", "document_id", "title"];
            named.iter().find_map(|name| fields.get(*name)).map(markers).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// A text with the markers behind each of its sentences, unless it has some.
fn marked(text: &str, markers: &str) -> String {
    let mut marked = text.trim().to_owned();
    let has_own = marked.split('[').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if markers.is_empty() || has_own {
        return marked;
    }
    for sentence in pieces(&marked.clone()).iter().rev() {
        marked.insert_str(sentence.end, &format!(" {markers}"));
    }
    marked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(reply: &str) -> Option<String> {
        read(reply, Asked::Schema)
    }

    #[test]
    fn sentences_and_their_sources_become_words_with_markers() {
        let reply =
            r#" {"sentences": [{"text": "It closes at nine. ", "sources": [1, 2]}, {"text": "So.", "sources": []}]}"#;
        assert_eq!(asked(reply).as_deref(), Some("It closes at nine. [1][2]\nSo."));
    }

    #[test]
    fn json_within_fences_and_words_or_of_another_shape_is_read_too() {
        for reply in [
            "```json\n{\"sentences\": [{\"text\": \"So.\", \"sources\": [1]}]}\n```",
            "Here it is:\n```\n{\"sentences\": [{\"text\": \"So.\", \"sources\": [1]}]}\n```\nBye",
            "{\"sentences\": [{\"text\": \"So.\", \"sources\": [1],},],}",
            "{'sentences': [{'text': 'So.', 'sources': [1]}]}",
            "[{\"text\": \"So.\", \"sources\": [1]}]",
            "{\"answer\": \"So.\", \"citations\": [{\"id\": 1}]}",
            "{\"answer\": {\"text\": \"So.\", \"source\": \"[1]\"}}",
            "{\"response\": \"So. [1]\", \"sources\": [2]}",
            "{\"sentences\": [\"So. [1]\"]}",
            "{\"sentences\": [{\"sentence\": \"So.\", \"sources\": \"1\", \"more\": 1}]}",
        ] {
            assert_eq!(asked(reply).as_deref(), Some("So. [1]"), "{reply}");
        }
        assert_eq!(asked("{\"answer\": \"One. Two.\", \"sources\": [1]}").as_deref(), Some("One. [1] Two. [1]"));
    }

    #[test]
    fn words_of_a_model_that_was_not_held_to_the_schema_stand_as_they_are() {
        for reply in ["It closes at nine [1].", "[1] It closes at nine.", "Use {name} [1]."] {
            assert_eq!(asked(reply).as_deref(), Some(reply));
        }
    }

    #[test]
    fn json_that_holds_no_answer_is_none() {
        for reply in [
            "{}",
            r#"{"sentences": []}"#,
            r#"{"sentences": 7}"#,
            r#"{"sentences": [{"text": " ", "sources": [1]}]}"#,
            r#"{"sentences": [{"text": "x", "sour"#,
        ] {
            assert_eq!(asked(reply), None, "{reply}");
        }
    }

    #[test]
    fn unasked_json_is_read_only_where_it_can_be_nothing_but_an_answer() {
        for (reply, words) in [
            ("{\"answer\": \"So.\", \"citations\": [1]}", "So. [1]"),
            ("```json\n{\"answer\": \"So [1].\"}\n```", "So [1]."),
            ("{\"port\": 8080}", "{\"port\": 8080}"),
            ("```json\n{\"answer\": 42, \"port\": 8080}\n```", "```json\n{\"answer\": 42, \"port\": 8080}\n```"),
            ("So: {\"answer\": \"x\"}", "So: {\"answer\": \"x\"}"),
            ("{\"message\": \"x\"}", "{\"message\": \"x\"}"),
        ] {
            assert_eq!(read(reply, Asked::Words).as_deref(), Some(words), "{reply}");
        }
        for begin in ["", " {", "`", "```", "```js", "```json\n", "```json\n{\"", "```\n{"] {
            assert!(may_be_json(begin), "{begin}");
        }
        for begin in ["[1]", "So", "`x`", "```rust\nfn", "```\nrun"] {
            assert!(!may_be_json(begin), "{begin}");
        }
    }
}

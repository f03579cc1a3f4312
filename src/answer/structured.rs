//! Answers as JSON of a schema, where a provider can hold a model to one: each sentence with the numbers of its passages.
//!
//! What comes is read into the same words and markers that other models write, and checked like them.

use async_openai::types::chat::{ResponseFormat, ResponseFormatJsonSchema};
use serde::Deserialize;
use serde_json::json;

/// An answer as the schema has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sentence {
    text: String,
    sources: Vec<u32>,
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

/// The words of an answer, with markers. A reply that is no JSON at all was written by a model that was not held to the
/// schema, and stands as it is; JSON of another shape is none.
pub(super) fn read(reply: &str) -> Option<String> {
    let trimmed = reply.trim();
    if !trimmed.starts_with('{') {
        return Some(reply.to_owned());
    }
    let answer: Answer = serde_json::from_str(trimmed).ok()?;
    let words = answer.sentences.iter().filter(|sentence| !sentence.text.trim().is_empty()).map(|sentence| {
        let markers: Vec<String> = sentence.sources.iter().map(|number| format!("[{number}]")).collect();
        format!("{} {}", sentence.text.trim(), markers.concat()).trim_end().to_owned()
    });
    let words: Vec<String> = words.collect();
    (!words.is_empty()).then(|| words.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_and_their_sources_become_words_with_markers() {
        let reply =
            r#" {"sentences": [{"text": "It closes at nine. ", "sources": [1, 2]}, {"text": "So.", "sources": []}]}"#;
        assert_eq!(read(reply).as_deref(), Some("It closes at nine. [1][2]\nSo."));
    }

    #[test]
    fn words_of_a_model_that_was_not_held_to_the_schema_stand_as_they_are() {
        assert_eq!(read("It closes at nine [1].").as_deref(), Some("It closes at nine [1]."));
    }

    #[test]
    fn json_of_another_shape_is_no_answer() {
        for reply in [
            "{}",
            r#"{"sentences": []}"#,
            r#"{"sentences": [{"text": " ", "sources": [1]}]}"#,
            r#"{"sentences": [{"text": "x"}]}"#,
            r#"{"sentences": [{"text": "x", "sources": [-1]}]}"#,
            r#"{"sentences": [{"text": "x", "sources": [1], "more": 1}]}"#,
            r#"{"sentences": [{"text": "x", "sour"#,
        ] {
            assert_eq!(read(reply), None, "{reply}");
        }
    }
}

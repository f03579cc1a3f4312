//! What a chat server says, read as servers write it: words as a text or in parts, counts that may be anything.
//!
//! Only the words are needed. Nothing else that a server says, leaves out or says wrongly may cost an answer.

use serde_json::Value;

use super::sse::{Events, Line};
use crate::domain::Usage;

/// One message or one chunk of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Its words, thoughts and all.
    pub words: String,
    /// Why it ends, once it does.
    pub finish: Option<String>,
    /// What it took, where it says so.
    pub usage: Option<Usage>,
    /// Whether it declines to answer, by a field of its own.
    pub refuses: bool,
    /// Whether it is an error and no words.
    pub fails: bool,
}

/// Reads a whole body: one reply, or the events of a stream that nobody asked for. None for what is neither; a stream that
/// does not say that it has ended has failed.
pub(super) fn read_body(body: &[u8]) -> Option<Said> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if let Ok(reply) = serde_json::from_slice(body) {
        return read(&reply);
    }
    let mut events = Events::default();
    events.push(body).and_then(|()| events.push(b"\n")).ok()?;
    let (mut whole, mut any, mut done) = (Said::default(), false, false);
    while let Some(line) = events.next() {
        let Line::Data(data) = line else { continue };
        if data == b"[DONE]" {
            done = true;
            break;
        }
        let chunk = read(&serde_json::from_slice(data).ok()?)?;
        any = true;
        whole.words.push_str(&chunk.words);
        whole.finish = chunk.finish.or(whole.finish);
        whole.usage = chunk.usage.or(whole.usage);
        whole.refuses |= chunk.refuses;
        whole.fails |= chunk.fails;
    }
    whole.fails |= !done && whole.finish.is_none();
    any.then_some(whole)
}

/// Reads a reply or a chunk of one; none for JSON that is neither.
pub(super) fn read(reply: &Value) -> Option<Said> {
    let reply = match reply {
        // Some gateways wrap one reply in a list.
        Value::Array(list) if list.len() == 1 => &list[0],
        reply => reply,
    };
    let fields = reply.as_object()?;
    if fields.get("error").is_some_and(says_something) {
        return Some(Said { fails: true, ..Said::default() });
    }
    let usage = fields.get("usage").and_then(usage);
    let choices = fields.get("choices");
    let choice = match choices {
        Some(Value::Array(choices)) => choices.first(),
        None | Some(Value::Null) => fields.get("message").map(|_| reply),
        Some(_) => return None,
    };
    let Some(choice) = choice else {
        return (choices.is_some() || usage.is_some()).then(|| Said { usage, ..Said::default() });
    };
    let message = ["message", "delta"].iter().find_map(|name| choice.get(name).filter(|message| message.is_object()));
    let content = message.and_then(|message| message.get("content")).or_else(|| choice.get("text"));
    Some(Said {
        words: content.map(words).unwrap_or_default(),
        finish: ["finish_reason", "done_reason"].iter().find_map(|name| choice.get(name)?.as_str()).map(str::to_owned),
        usage,
        refuses: message.and_then(|message| message.get("refusal")).is_some_and(says_something),
        fails: false,
    })
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

/// A text, or the texts of its parts; parts that are thoughts or pictures have no words.
fn words(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(words_of_part).collect(),
        Value::Object(_) => words_of_part(content),
        _ => String::new(),
    }
}

fn words_of_part(part: &Value) -> String {
    let kind = part.get("type").and_then(Value::as_str).unwrap_or("text");
    if !kind.ends_with("text") {
        return String::new();
    }
    match part {
        Value::String(text) => text.clone(),
        part => match part.get("text") {
            Some(Value::String(text)) => text.clone(),
            Some(nested) => nested.get("value").and_then(Value::as_str).unwrap_or_default().to_owned(),
            None => String::new(),
        },
    }
}

/// The counts, as far as they can be read; none where there is no count at all.
fn usage(usage: &Value) -> Option<Usage> {
    let counted = |names: [&str; 2]| names.iter().find_map(|name| count(usage.get(name)?));
    let prompt = counted(["prompt_tokens", "input_tokens"]);
    let completion = counted(["completion_tokens", "output_tokens"]);
    let any = prompt.is_some() || completion.is_some();
    let known = Usage { prompt_tokens: prompt.unwrap_or_default(), completion_tokens: completion.unwrap_or_default() };
    any.then_some(known)
}

/// A count as a number of any kind or as text; one that is less than nothing is none.
fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(rounded)),
        Value::String(text) => text.trim().parse::<f64>().ok().and_then(rounded),
        _ => None,
    }
}

fn rounded(count: f64) -> Option<u64> {
    // Beyond it, floating point counts no single tokens, and nobody has paid for them.
    const MOST: f64 = 9e15;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 9e15")]
    (0.0..=MOST).contains(&count).then(|| count.round() as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn counts(usage: &Value) -> Option<(u64, u64)> {
        let said = read(&json!({ "choices": [{ "message": { "content": "x" } }], "usage": usage })).unwrap();
        assert_eq!(said.words, "x");
        said.usage.map(|usage| (usage.prompt_tokens, usage.completion_tokens))
    }

    #[test]
    fn counts_are_read_as_far_as_they_can_be_and_cost_no_words() {
        for (usage, counted) in [
            (json!({ "prompt_tokens": 9, "completion_tokens": 4 }), Some((9, 4))),
            (json!({ "prompt_tokens": 9.0, "completion_tokens": "4" }), Some((9, 4))),
            (json!({ "prompt_tokens": null, "completion_tokens": 4 }), Some((0, 4))),
            (json!({ "prompt_tokens": -1, "completion_tokens": [] }), None),
            (json!({ "input_tokens": 9, "output_tokens": 4, "details": { "x": null } }), Some((9, 4))),
            (json!({ "prompt_tokens": 1e300, "completion_tokens": "many" }), None),
            (json!(null), None),
            (json!("9"), None),
            (json!([9, 4]), None),
            (json!({}), None),
        ] {
            assert_eq!(counts(&usage), counted, "{usage}");
        }
    }

    #[test]
    fn words_are_read_wherever_servers_put_them() {
        for (reply, words) in [
            (json!({ "choices": [{ "message": { "content": "so" } }] }), "so"),
            (
                json!({ "choices": [{ "message": { "content": [{ "type": "text", "text": "s" }, { "type": "text", "text": "o" }] } }] }),
                "so",
            ),
            (
                json!({ "choices": [{ "message": { "content": [{ "type": "thinking", "thinking": [{ "type": "text", "text": "hm" }] }, { "type": "text", "text": "so" }] } }] }),
                "so",
            ),
            (json!({ "choices": [{ "message": { "content": ["so"] } }] }), "so"),
            (
                json!({ "choices": [{ "message": { "content": { "type": "output_text", "text": { "value": "so" } } } }] }),
                "so",
            ),
            (json!({ "choices": [{ "message": { "content": null, "reasoning_content": "hm" } }] }), ""),
            (json!({ "choices": [{ "delta": { "role": "assistant" } }] }), ""),
            (json!({ "choices": [{ "delta": { "content": "so", "reasoning": "hm" }, "finish_reason": 7 }] }), "so"),
            (json!({ "choices": [{ "text": "so" }], "error": null }), "so"),
            (json!({ "message": { "content": "so" }, "done": true }), "so"),
            (json!([{ "choices": [{ "message": { "content": "so" } }] }]), "so"),
            (json!({ "choices": [], "usage": {} }), ""),
        ] {
            assert_eq!(read(&reply).unwrap().words, words, "{reply}");
        }
        for other in [json!(7), json!({}), json!({ "choices": 7 }), json!({ "x": 1 })] {
            assert_eq!(read(&other), None, "{other}");
        }
        assert!(read(&json!({ "error": { "message": "x" } })).unwrap().fails);
        assert!(read(&json!({ "choices": [{ "message": { "content": null, "refusal": "no" } }] })).unwrap().refuses);
    }
}

//! What a provider says beside a status that is no success, made fit to be shown: one line, bounded, without keys and
//! without the texts that were sent.

use serde_json::{Map, Value};

/// Bytes of an error's body that are read.
pub(super) const MAX_BYTES: usize = 64 << 10;
/// Characters of a provider's words that are looked at.
const LONGEST: usize = 1_000;
/// Characters of them that are shown.
const SHOWN: usize = 300;
/// Parts of a body that are looked at: servers list each wrong field by itself.
const MOST_PARTS: usize = 16;
/// How deep errors wrap errors: gateways put the body of the server behind them into their own.
const DEEPEST: usize = 6;
/// As many characters in a row that were sent are an echo; fewer may be chance.
const ECHO: usize = 16;
/// Bytes of what was sent that are held against the words.
const MOST_SENT: usize = 256 << 10;
/// What stands for words that were left out.
const LEFT_OUT: char = '…';

/// What a provider said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Words {
    /// On one line.
    text: String,
    /// Fields of the request that it names as wrong, as it writes them: `messages[0].role`, `body.temperature`.
    fields: Vec<String>,
}

impl Words {
    /// Reads the body of an error; `sent` is the body of the request, `secrets` are never repeated. None where it says
    /// nothing.
    pub fn read<'a>(body: &[u8], sent: &[u8], secrets: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut parts = Parts::default();
        match serde_json::from_slice(body) {
            Ok(json) => parts.gather(&json, 0),
            Err(_) => parts.say(&readable(&String::from_utf8_lossy(body))),
        }
        if parts.said.is_empty() && parts.fields.is_empty() {
            // A shape of its own.
            parts.say(&String::from_utf8_lossy(body));
        }
        let mut text = on_one_line(&parts.said.join("; "), LONGEST);
        for secret in secrets {
            text = text.replace(secret, &LEFT_OUT.to_string());
        }
        let text = without_keys(&without_echo(&text, sent));
        let words = Self { text, fields: parts.fields };
        (!words.text.is_empty() || !words.fields.is_empty()).then_some(words)
    }

    /// All of them.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Fields of the request that they name as wrong.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// As they are shown.
    pub fn short(&self) -> String {
        let text = if self.text.is_empty() { self.fields.join(", ") } else { self.text.clone() };
        match text.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}{LEFT_OUT}", &text[..end]),
            None => text,
        }
    }
}

/// What a body says, in pieces.
#[derive(Default)]
struct Parts {
    said: Vec<String>,
    fields: Vec<String>,
}

impl Parts {
    fn say(&mut self, text: &str) {
        let text = text.trim();
        if !text.is_empty() && self.said.len() < MOST_PARTS && !self.said.iter().any(|said| said.contains(text)) {
            self.said.push(text.to_owned());
        }
    }

    /// Takes what a piece of JSON says: the shapes of OpenAI, FastAPI, Google and RFC 9457, and gateways around them.
    fn gather(&mut self, json: &Value, depth: usize) {
        match json {
            _ if depth > DEEPEST => {}
            Value::String(text) => self.take_text(text, depth),
            Value::Array(parts) => parts.iter().take(MOST_PARTS).for_each(|part| self.gather(part, depth + 1)),
            Value::Object(fields) => self.take_object(fields, depth),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A message may be the body of the server behind.
    fn take_text(&mut self, text: &str, depth: usize) {
        match serde_json::from_str::<Value>(text) {
            Ok(inner @ (Value::Object(_) | Value::Array(_))) => self.gather(&inner, depth + 1),
            _ => self.say(text),
        }
    }

    fn take_object(&mut self, fields: &Map<String, Value>, depth: usize) {
        for name in ["param", "parameter", "field"] {
            self.fields.extend(fields.get(name).and_then(Value::as_str).map(str::to_owned));
        }
        if let Some(path) = fields.get("loc").and_then(Value::as_array) {
            let path = path.iter().map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned));
            self.fields.push(path.collect::<Vec<_>>().join("."));
        }
        for name in ["error", "errors", "detail", "details", "message", "msg", "title", "reason", "error_description"] {
            if let Some(part) = fields.get(name) {
                self.gather(part, depth + 1);
            }
        }
        for name in ["metadata", "raw"] {
            if let Some(part @ (Value::Object(_) | Value::String(_))) = fields.get(name) {
                self.gather(part, depth + 1);
            }
        }
        // A name for what is wrong; numbers repeat the status.
        for name in ["code", "type", "error_type"] {
            if let Some(code) = fields.get(name).and_then(Value::as_str).filter(|code| code.contains(['_', ' '])) {
                self.say(code);
            }
        }
        self.fields.truncate(MOST_PARTS);
    }
}

/// A page's title and words, where a proxy answers with one; other text as it stands.
fn readable(text: &str) -> String {
    if !text.trim_start().starts_with('<') {
        return text.to_owned();
    }
    let mut words = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find('<') {
        words.push_str(&rest[..begin]);
        words.push(' ');
        let tag = rest[begin + 1..].trim_start_matches('/').to_ascii_lowercase();
        // What these hold is for browsers.
        let skipped = ["script", "style"].iter().find(|name| tag.starts_with(**name));
        let end = match skipped {
            Some(name) if !rest[begin..].starts_with("</") => {
                rest[begin..].to_ascii_lowercase().find(&format!("</{name}")).map(|at| begin + at)
            }
            _ => rest[begin..].find('>').map(|at| begin + at + 1),
        };
        rest = end.map_or("", |end| &rest[end..]);
    }
    words.push_str(rest);
    words
}

/// Text with every run of blanks, breaks, control and unseen characters as one blank, at most `most` characters.
fn on_one_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    let mut chars = 0;
    let mut blank = false;
    for c in text.chars() {
        if c.is_whitespace() || is_unseen(c) {
            blank = !line.is_empty();
            continue;
        }
        if chars >= most {
            line.push(LEFT_OUT);
            break;
        }
        if std::mem::take(&mut blank) {
            line.push(' ');
            chars += 1;
        }
        line.push(c);
        chars += 1;
    }
    line
}

/// Characters that act on a terminal, or on a reader, without being seen.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The words without what was sent: questions, passages, documents.
fn without_echo(text: &str, sent: &[u8]) -> String {
    let sent = texts_of(sent);
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let mut echoed = vec![false; chars.len()];
    if !sent.is_empty() {
        for first in 0..chars.len().saturating_sub(ECHO - 1) {
            let end = chars.get(first + ECHO).map_or(text.len(), |(at, _)| *at);
            if sent.contains(&text[chars[first].0..end]) {
                echoed[first..first + ECHO].fill(true);
            }
        }
    }
    let mut kept = String::new();
    for ((_, c), echoed) in chars.iter().zip(echoed) {
        if !echoed {
            kept.push(*c);
        } else if !kept.ends_with(LEFT_OUT) {
            kept.push(LEFT_OUT);
        }
    }
    kept
}

/// The texts in the body of a request, each on a line.
fn texts_of(body: &[u8]) -> String {
    let mut texts = String::new();
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else { return texts };
    for name in ["messages", "input", "query", "documents"] {
        if let Some(value) = fields.get(name) {
            collect_texts(value, &mut texts);
        }
    }
    texts
}

fn collect_texts(value: &Value, texts: &mut String) {
    match value {
        _ if texts.len() > MOST_SENT => {}
        Value::String(text) => {
            texts.push_str(&on_one_line(text, MOST_SENT));
            texts.push('\n');
        }
        Value::Array(values) => values.iter().for_each(|value| collect_texts(value, texts)),
        Value::Object(fields) => fields.values().for_each(|value| collect_texts(value, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// How keys of known services begin.
const KEY_BEGINS: &[&str] = &["sk-", "pk-", "rk-", "gsk_", "hf_", "xai-", "AIza", "ghp_", "eyJ", "nvapi-", "tgp_"];
/// Words that a key follows.
const KEY_FOLLOWS: &[&str] = &["authorization", "key", "token", "secret", "password"];
/// Length from which on letters mixed with digits are taken for a key; names of models are shorter.
const KEY_LENGTH: usize = 32;

/// The words without what looks like a key.
fn without_keys(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.+/=*~".contains(c);
    let mut kept = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find(is_part) {
        kept.push_str(&rest[..begin]);
        let end = rest[begin..].find(|c| !is_part(c)).map_or(rest.len(), |end| begin + end);
        let word = &rest[begin..end];
        if is_key(word, &kept) {
            kept.push(LEFT_OUT);
        } else {
            kept.push_str(&masked_within(word));
        }
        rest = &rest[end..];
    }
    kept.push_str(rest);
    kept
}

fn is_key(word: &str, before: &str) -> bool {
    let begins = KEY_BEGINS.iter().any(|begin| word.starts_with(begin) && word.len() >= begin.len() + 4);
    let mixed = |least: usize| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        word.len() >= least && digits >= 4 && word.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    let before = before.trim_end_matches([' ', ':', '"', '\'', '=', '`']).to_ascii_lowercase();
    let follows = KEY_FOLLOWS.iter().any(|name| before.ends_with(name));
    let coded =
        || word.len() >= 8 && word.bytes().skip(1).any(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let scheme = before.ends_with("bearer") || before.ends_with("basic") && coded();
    begins || scheme || word.contains("***") || mixed(KEY_LENGTH) || follows && mixed(10)
}

/// An assignment such as `key=abc` without what is assigned.
fn masked_within(word: &str) -> String {
    match word.split_once('=') {
        Some((name, value)) if value.len() >= 8 && KEY_FOLLOWS.iter().any(|key| name.to_lowercase().ends_with(key)) => {
            format!("{name}={LEFT_OUT}")
        }
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Words {
        Words::read(body.as_bytes(), b"{}", std::iter::empty()).unwrap_or_default()
    }

    #[test]
    fn words_are_read_from_every_common_shape() {
        for (body, says) in [
            (
                r#"{"error": {"message": "No temperature.", "type": "x", "param": null, "code": null}}"#,
                "No temperature.",
            ),
            (r#"{"error": "batch too large", "error_type": "Validation"}"#, "batch too large"),
            (
                r#"{"error": {"message": "Too long.", "code": "context_length_exceeded"}}"#,
                "Too long.; context_length_exceeded",
            ),
            (r#"{"detail": "Model not loaded"}"#, "Model not loaded"),
            (
                r#"{"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted", "input": {"include_usage": true}}]}"#,
                "Extra inputs are not permitted; extra_forbidden",
            ),
            (r#"[{"error": {"code": 400, "message": "Unknown name", "status": "INVALID_ARGUMENT"}}]"#, "Unknown name"),
            (r#"{"object": "error", "message": "bad", "code": 40001}"#, "bad"),
            (r#"{"title": "Bad Request", "status": 400, "detail": "no such field"}"#, "no such field; Bad Request"),
            (
                r#"{"error": {"message": "Provider returned error", "metadata": {"raw": "{\"error\": {\"message\": \"inner\"}}"}}}"#,
                "Provider returned error; inner",
            ),
            (r#"{"message": "{\"error\": {\"message\": \"wrapped\"}}"}"#, "wrapped"),
            ("Bad gateway", "Bad gateway"),
            (
                "<!doctype html><html><head><title>502 Bad Gateway</title><style>p { color: red }</style></head>\n<body><h1>502</h1><script>x()</script><p>nginx</p></body></html>",
                "502 Bad Gateway 502 nginx",
            ),
            (r#"{"ok": false, "why": "nope"}"#, r#"{"ok": false, "why": "nope"}"#),
        ] {
            assert_eq!(read(body).text(), says, "{body}");
        }
        assert_eq!(Words::read(b" \n", b"", std::iter::empty()), None);
        assert_eq!(Words::read(b"", b"", std::iter::empty()), None);
    }

    #[test]
    fn fields_that_are_named_as_wrong_are_read() {
        let openai = r#"{"error": {"message": "m", "param": "messages[0].role"}}"#;
        assert_eq!(read(openai).fields(), ["messages[0].role"]);
        let fastapi = r#"{"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "m"}, {"loc": ["body", "user"], "msg": "m"}]}"#;
        assert_eq!(read(fastapi).fields(), ["body.messages.0.role", "body.user"]);
    }

    #[test]
    fn words_stand_on_one_bounded_line_and_act_nowhere() {
        let words = read(&format!("a\u{1b}[31m\r\nb\u{202e}\u{200b}c\0 {}", "long ".repeat(500)));
        assert!(words.text().starts_with("a [31m b c long"), "{}", words.text());
        assert!(words.text().chars().count() <= LONGEST + 1);
        assert_eq!(words.short().chars().count(), SHOWN + 1);
        assert!(words.short().ends_with('…') && !words.text().chars().any(char::is_control));
    }

    #[test]
    fn keys_are_not_repeated() {
        let own = ["own-secret-9", "azure"];
        let said = Words::read(
            br#"{"error": "Incorrect API key provided: own-secret-9. Also sk-abcd1234, sk-ab***yz, Bearer abc and {'Authorization': 'Basic dXNlcjpwYXNz'}, ?key=abcdefgh12, token 0123456789ab, 0123456789abcdef0123456789abcdef; gpt-4o-mini-2024-07-18 is a model"}"#,
            b"{}",
            own.into_iter(),
        );
        let said = said.unwrap();
        for secret in ["own-secret", "abcd1234", "sk-ab*", "abc ", "dXNl", "abcdefgh12", "0123456789"] {
            assert!(!said.text().contains(secret), "{secret}: {}", said.text());
        }
        assert!(
            said.text().contains("Incorrect API key provided")
                && said.text().ends_with("gpt-4o-mini-2024-07-18 is a model")
        );
    }

    #[test]
    fn what_was_sent_is_not_repeated() {
        let sent = r#"{"model": "some-long-model-name", "messages": [{"role": "user", "content": "The salary of Ada\nLovelace is 90,000 crowns."}], "temperature": 0.0}"#;
        for body in [
            r#"{"error": {"message": "model some-long-model-name: invalid content 'The salary of Ada\nLovelace is 90,000 crowns.' at temperature"}}"#,
            "model some-long-model-name: invalid content 'The salary of Ada Lovelace is 90,000 crowns.' at temperature",
        ] {
            let said = Words::read(body.as_bytes(), sent.as_bytes(), std::iter::empty()).unwrap();
            assert_eq!(said.text(), "model some-long-model-name: invalid content '…' at temperature");
        }
        let texts = r#"{"input": ["日本語の文書です。秘密の内容がここにあります。"]}"#;
        let said = Words::read(
            "エラー: 日本語の文書です。秘密の内容がここにあります。".as_bytes(),
            texts.as_bytes(),
            std::iter::empty(),
        );
        assert_eq!(said.unwrap().text(), "エラー: …");
    }
}

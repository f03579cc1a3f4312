//! JSON laid out a value a line, with its strings as a person reads them.
//!
//! Works on text that is known to be JSON, from left to right and without a tree, so depth and size cost nothing.

use crate::ingest::draft::Draft;

/// Lays out one JSON text.
pub(super) fn read(json: &str, draft: &mut Draft) {
    let mut text = String::with_capacity(json.len());
    lay_out(json, &mut text);
    draft.verbatim(&crate::ingest::encoding::clean(&text));
}

/// Lays out JSON Lines: each record is a block of its own; a broken one stays as it is.
pub(super) fn read_lines(lines: &str, draft: &mut Draft) {
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        if serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok() {
            read(line, draft);
        } else {
            draft.verbatim(line.trim());
        }
        if draft.is_full() {
            break;
        }
    }
}

fn lay_out(json: &str, text: &mut String) {
    let mut depth = 0_usize;
    let mut rest = json.trim();
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '"' => {
                text.push('"');
                rest = string(rest, text);
                text.push('"');
            }
            '{' | '[' => {
                text.push(c);
                depth += 1;
                if !rest.trim_start().starts_with(['}', ']']) {
                    line(depth, text);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                if !text.ends_with(['{', '[']) {
                    line(depth, text);
                }
                text.push(c);
            }
            ',' => {
                text.push(',');
                line(depth, text);
            }
            ':' => text.push_str(": "),
            c if c.is_whitespace() => {}
            c => text.push(c),
        }
    }
}

/// A new line, indented up to a depth at which indentation still tells something.
fn line(depth: usize, text: &mut String) {
    text.push('\n');
    text.push_str(&"  ".repeat(depth.min(8)));
}

/// Writes a string without its escapes, and returns what follows its closing quote.
fn string<'a>(mut rest: &'a str, text: &mut String) -> &'a str {
    loop {
        let end = rest.find(['"', '\\']).unwrap_or(rest.len());
        text.push_str(&rest[..end]);
        let mut tail = rest[end..].chars();
        if tail.next() != Some('\\') {
            return tail.as_str();
        }
        rest = match tail.next() {
            Some('n') => pushed(text, '\n', tail.as_str()),
            Some('t') => pushed(text, '\t', tail.as_str()),
            Some('u') => unicode(tail.as_str(), text),
            Some('r' | 'b' | 'f') | None => tail.as_str(),
            Some(c) => pushed(text, c, tail.as_str()),
        };
    }
}

fn pushed<'a>(text: &mut String, c: char, rest: &'a str) -> &'a str {
    text.push(c);
    rest
}

/// `\u` with four digits, or two of them for a character beyond the first 65,536.
fn unicode<'a>(rest: &'a str, text: &mut String) -> &'a str {
    let unit = |rest: &str| rest.get(..4).and_then(|digits| u16::from_str_radix(digits, 16).ok());
    let after = rest.get(4..).unwrap_or_default();
    let units = [unit(rest), after.strip_prefix("\\u").and_then(unit)];
    let mut used = 4;
    let character = match units {
        [Some(high), Some(low)] if (0xd800..0xdc00).contains(&high) => {
            used = 10;
            char::decode_utf16([high, low]).next().and_then(Result::ok)
        }
        [Some(unit), _] => char::from_u32(u32::from(unit)),
        _ => None,
    };
    text.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
    rest.get(used..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::ingest::{ReadLimits, extract_here};

    fn read(json: &str) -> (String, String) {
        let read = extract_here("", json.as_bytes(), &ReadLimits { max_text_bytes: 10 << 20 }).unwrap();
        (read.kind, read.text)
    }

    #[test]
    fn values_stand_on_lines_and_strings_without_escapes() {
        let json = r#"{"a":[1,-2.5e3,true],"b":{},"c":"gr\u00fc\u00df \ud83d\ude00 \"x\"\/\ny","d":[]}"#;
        let text = "{\n  \"a\": [\n    1,\n    -2.5e3,\n    true\n  ],\n  \"b\": {},\n  \"c\": \"grüß 😀 \"x\"/\ny\",\n  \"d\": []\n}";
        assert_eq!(read(json), ("json".into(), text.into()));
    }

    #[test]
    fn each_line_of_json_lines_is_a_block() {
        assert_eq!(read("{\"a\": 1}\n\n{\"a\": 2}\n"), ("jsonl".into(), "{\n  \"a\": 1\n}\n\n{\n  \"a\": 2\n}".into()));
    }

    #[test]
    fn a_broken_record_of_json_lines_is_kept_as_it_is() {
        let lines = b"{\"a\": 1}\n{\"a\": \"\\u00e4, oops\n[2]";
        let read = extract_here("a.jsonl", lines, &ReadLimits { max_text_bytes: 1000 }).unwrap();
        assert_eq!(
            (read.kind.as_str(), read.text.as_str()),
            ("jsonl", "{\n  \"a\": 1\n}\n\n{\"a\": \"\\u00e4, oops\n\n[\n  2\n]")
        );
    }

    #[test]
    fn what_only_looks_like_json_is_text() {
        assert_eq!(read("{\"a\": oops").0, "text");
        assert_eq!(read(&"[".repeat(1_000_000)).0, "text");
    }
}

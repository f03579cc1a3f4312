//! What a part of a message holds: bytes as they were before they were encoded for the way, and the words of its text.

use std::borrow::Cow;

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{Encoding, Message, MessagePart, MimeHeaders, PartType};

use super::fields::text;
use crate::ingest::encoding::{clean, decode};
use crate::ingest::sniff::declared_encoding;

/// The words of a part that is text; `parsed` is what the parser made of it, which knows fewer encodings.
pub(super) fn words(message: &Message, part: &MessagePart, parsed: &str) -> String {
    let bytes = bytes(message, part);
    let words = match label(part) {
        Some(label) => text(&bytes, label),
        None => decode(&bytes, declared_encoding(&bytes).as_deref()).ok().map(|decoded| decoded.text),
    };
    words.map_or_else(|| clean(parsed).into_owned(), |words| clean(&words).into_owned())
}

/// The bytes of a part that is attached; text whose encoding is declared becomes UTF-8, since its reader sees no label.
pub(super) fn attached<'a>(message: &'a Message, part: &'a MessagePart) -> Cow<'a, [u8]> {
    match (&part.body, label(part)) {
        (PartType::Text(parsed) | PartType::Html(parsed), Some(_)) => {
            Cow::Owned(words(message, part, parsed).into_bytes())
        }
        (PartType::Text(_) | PartType::Html(_), None) => bytes(message, part),
        _ => Cow::Borrowed(part.contents()),
    }
}

/// The encoding that a part declares; US-ASCII is what programs write that do not know.
fn label<'a>(part: &'a MessagePart) -> Option<&'a str> {
    let label = part.content_type()?.attribute("charset")?;
    (!matches!(label.to_ascii_lowercase().as_str(), "us-ascii" | "ascii" | "ansi_x3.4-1968")).then_some(label)
}

fn bytes<'a>(message: &'a Message, part: &'a MessagePart) -> Cow<'a, [u8]> {
    let raw = message.raw_message.get(part.offset_body as usize..part.offset_end as usize).unwrap_or_default();
    let decoded = match part.encoding {
        Encoding::None if part.is_encoding_problem && is_base64(part) => Some(beginning(raw)),
        Encoding::None => return Cow::Borrowed(raw),
        Encoding::QuotedPrintable => quoted_printable_decode(raw),
        Encoding::Base64 => base64_decode(raw),
    };
    decoded.map_or_else(|| Cow::Borrowed(part.contents()), Cow::Owned)
}

fn is_base64(part: &MessagePart) -> bool {
    part.content_transfer_encoding().is_some_and(|encoding| encoding.trim().eq_ignore_ascii_case("base64"))
}

/// What begins as Base64 and goes on as something else: mailing lists add their footer to whatever comes.
fn beginning(raw: &[u8]) -> Vec<u8> {
    let coded = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let mut end = 0;
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        let line_end = end + line.len();
        let line = line.trim_ascii();
        if line.is_empty() || !line.iter().all(coded) {
            break;
        }
        end = line_end;
    }
    let mut bytes = base64_decode(&raw[..end]).unwrap_or_default();
    bytes.extend_from_slice(&raw[end..]);
    bytes
}

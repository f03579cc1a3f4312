//! What a part of a message holds: bytes as they were before they were encoded for the way, and the words of its text.

use std::borrow::Cow;

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders, PartType};

use super::fields::{mended, text};
use crate::ingest::encoding::{self, clean, decode};
use crate::ingest::sniff::{self, declared_encoding};

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
pub(super) fn attached<'a>(message: &'a Message, part: &MessagePart, name: &str) -> Cow<'a, [u8]> {
    let bytes = bytes(message, part);
    match &part.body {
        // Some programs send every file as text.
        PartType::Text(parsed) | PartType::Html(parsed)
            if label(part).is_some() && sniff::binary(name, &bytes).is_none() =>
        {
            Cow::Owned(words(message, part, parsed).into_bytes())
        }
        _ => bytes,
    }
}

/// The name of the file that a part holds, if it states one.
pub(super) fn file_name(message: &Message, part: &MessagePart) -> Option<String> {
    let head = mended(slice(message, part.offset_header, part.offset_body));
    let parsed = MessageParser::default().parse_headers(&*head)?;
    parsed.parts.first()?.attachment_name().map(str::to_owned)
}

/// The encoding that a part declares, if anybody knows it; US-ASCII is what programs write that do not know.
fn label<'a>(part: &'a MessagePart) -> Option<&'a str> {
    let label = part.content_type()?.attribute("charset")?;
    let says_nothing = matches!(label.to_ascii_lowercase().as_str(), "us-ascii" | "ascii" | "ansi_x3.4-1968");
    let known = encoding::is_known(label) || charset_decoder(label.as_bytes()).is_some();
    (known && !says_nothing).then_some(label)
}

/// The bytes of a part, without the encoding they had on the way.
pub(super) fn bytes<'a>(message: &'a Message, part: &MessagePart) -> Cow<'a, [u8]> {
    let raw = slice(message, part.offset_body, part.offset_end);
    let way = part.content_transfer_encoding().unwrap_or_default().trim().to_ascii_lowercase();
    match way.as_str() {
        "base64" => Cow::Owned(unbased(raw)),
        "quoted-printable" => Cow::Owned(unquoted(raw)),
        _ => Cow::Borrowed(raw),
    }
}

fn slice<'a>(message: &'a Message, start: u32, end: u32) -> &'a [u8] {
    message.raw_message.get(start as usize..end as usize).unwrap_or_default()
}

/// Base64, and what follows it as it is: mailing lists add their footer to whatever comes.
fn unbased(raw: &[u8]) -> Vec<u8> {
    let (coded, footer) = raw.split_at(end_of_base64(raw));
    let mut bytes = base64_decode(coded).unwrap_or_default();
    if !footer.trim_ascii().is_empty() {
        bytes.push(b'\n');
        bytes.extend_from_slice(footer);
    }
    bytes
}

/// Where the first line begins that is no Base64, or follows an empty line after the padding that ends it.
fn end_of_base64(raw: &[u8]) -> usize {
    let coded = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    // Spaces stand in Base64 that was wrapped anew, and in the words of a footer.
    let pure = raw.iter().all(|byte| coded(byte) || byte.is_ascii_whitespace());
    let (mut end, mut padded, mut blank) = (0, false, false);
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        let words = line.trim_ascii();
        let sound = pure || words.iter().all(coded);
        if !words.is_empty() && (padded && blank || !sound) {
            break;
        }
        blank = words.is_empty();
        padded = if blank { padded } else { words.ends_with(b"=") };
        end += line.len();
    }
    end
}

/// Quoted-printable; an equals sign that is no code stands for itself.
pub(super) fn unquoted(raw: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'=' {
            bytes.push(*byte);
        } else if let Some(code) = code(after) {
            bytes.push(code);
            rest = &after[2..];
        } else if let Some(next_line) = soft_break(after) {
            rest = next_line;
        } else {
            bytes.push(b'=');
        }
    }
    bytes
}

/// The next line, where nothing but blanks stands before it.
fn soft_break(after: &[u8]) -> Option<&[u8]> {
    let words = after.trim_ascii_start();
    let blanks = &after[..after.len() - words.len()];
    match blanks.iter().position(|blank| *blank == b'\n') {
        Some(end) => Some(&after[end + 1..]),
        None => words.is_empty().then_some(words),
    }
}

/// The byte that two hexadecimal digits name.
fn code(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_printable_that_is_written_wrong_keeps_every_character() {
        assert_eq!(unquoted(b"a=3Db =\r\nc= \nd?e=zz&f==20g=+1="), b"a=b cd?e=zz&f= g=+1");
    }

    #[test]
    fn base64_ends_where_words_begin() {
        assert_eq!(unbased(b"\r\nYWJj\r\n\r\nZGU=\r\n\r\nFooter\r\n"), b"abcde\nFooter\r\n");
        assert_eq!(unbased(b"YWJj\n_____\nFooter"), b"abc\n_____\nFooter");
        assert_eq!(unbased(b"YW Jj"), b"abc");
    }
}

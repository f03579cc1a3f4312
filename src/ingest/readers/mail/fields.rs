//! The head of a message, written so that the parser reads every character of it.
//!
//! Two things that real mail does and the parser does not undo: words in an encoding of eight bits without a label, and
//! characters cut in two between one encoded word (RFC 2047) and the next.

use std::borrow::Cow;
use std::fmt::Write as _;

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::map::charset_decoder;

use super::content::unquoted;
use crate::ingest::encoding::{self, decode};

/// Longest encoded word looked for, bytes: RFC 2047 allows 75, some programs write whole subjects as one.
const LONGEST_WORD: usize = 2 << 10;

/// The message with a head that is UTF-8 and whose encoded words are whole.
pub(super) fn mended(message: &[u8]) -> Cow<'_, [u8]> {
    let (head, body) = message.split_at(end_of_head(message));
    let Some(text) = readable(head) else { return Cow::Borrowed(message) };
    let joined = joined(&text);
    if joined.as_bytes() == head { Cow::Borrowed(message) } else { Cow::Owned([joined.as_bytes(), body].concat()) }
}

/// Where the empty line begins that ends the head.
fn end_of_head(message: &[u8]) -> usize {
    let mut at = 0;
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if line.trim_ascii().is_empty() && at > 0 {
            return at;
        }
        at += line.len();
    }
    at
}

fn readable(head: &[u8]) -> Option<Cow<'_, str>> {
    match std::str::from_utf8(head) {
        Ok(text) if !text.contains('\u{1b}') => Some(Cow::Borrowed(text)),
        // Japanese of seven bits shows itself by its escapes.
        Ok(_) => decode(head, None).ok().map(|decoded| Cow::Owned(decoded.text)),
        // What the body is declared to be, the head most likely is.
        Err(_) => decode(head, label(head).as_deref()).ok().map(|decoded| Cow::Owned(decoded.text)),
    }
}

fn label(head: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let (_, after) = head.split_once("charset=")?;
    after.trim_start_matches('"').split(['"', ';', '\r', '\n', ' ']).next().map(str::to_owned)
}

/// One encoded word: its label, its bytes, and what follows it.
struct Word<'a> {
    label: &'a str,
    bytes: Vec<u8>,
    rest: &'a str,
}

/// Reads the encoded word that `text` begins with.
fn word(text: &str) -> Option<Word<'_>> {
    let near = &text[..text.floor_char_boundary(LONGEST_WORD)];
    let (label, rest) = near.strip_prefix("=?")?.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (data, rest) = rest.split_once("?=")?;
    if label.is_empty() || label.contains(char::is_whitespace) || data.contains('\n') {
        return None;
    }
    let bytes = match encoding {
        "b" | "B" => base64_decode(data.as_bytes())?,
        "q" | "Q" => unquoted(data.replace('_', " ").as_bytes()),
        _ => return None,
    };
    // RFC 2231 lets a language follow the label.
    Some(Word { label: label.split('*').next().unwrap_or(label), bytes, rest: &text[near.len() - rest.len()..] })
}

/// The head with encoded words that follow each other in one encoding made one, in UTF-8, wherever the parser would not
/// read them as they are.
fn joined(head: &str) -> Cow<'_, str> {
    let (mut joined, mut kept) = (String::new(), head);
    let mut from = 0;
    while let Some(at) = kept[from..].find("=?").map(|at| at + from) {
        let Some(first) = word(&kept[at..]) else {
            from = at + 2;
            continue;
        };
        let (mut bytes, mut rest, mut many) = (first.bytes, first.rest, false);
        while let Some(next) = word(rest.trim_start()).filter(|next| next.label.eq_ignore_ascii_case(first.label)) {
            bytes.extend(next.bytes);
            (rest, many) = (next.rest, true);
        }
        let text = if !many && parser_reads(&bytes, first.label) { None } else { text(&bytes, first.label) };
        let Some(text) = text else {
            from = kept.len() - rest.len();
            continue;
        };
        joined.push_str(&kept[..at]);
        joined.push_str("=?utf-8?q?");
        for byte in text.bytes() {
            let _ = write!(joined, "={byte:02X}");
        }
        joined.push_str("?=");
        (kept, from) = (rest, 0);
    }
    if joined.is_empty() {
        return Cow::Borrowed(head);
    }
    joined.push_str(kept);
    Cow::Owned(joined)
}

/// Whether the parser, too, makes text of these bytes.
fn parser_reads(bytes: &[u8], label: &str) -> bool {
    match charset_decoder(label.as_bytes()) {
        Some(decoder) => !decoder(bytes).contains(char::REPLACEMENT_CHARACTER),
        None => label.eq_ignore_ascii_case("utf-8") && std::str::from_utf8(bytes).is_ok(),
    }
}

/// Text of these bytes, as their label says or, where nobody knows it, as they look.
pub(super) fn text(bytes: &[u8], label: &str) -> Option<String> {
    match charset_decoder(label.as_bytes()).filter(|_| !encoding::is_known(label)) {
        Some(decoder) => Some(decoder(bytes)),
        None => decode(bytes, Some(label)).ok().map(|decoded| decoded.text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(head: &[u8]) -> String {
        let message = [b"Subject: ", head, b"\n\nbody"].concat();
        let mended = mended(&message);
        mail_parser::MessageParser::default().parse(&*mended).unwrap().subject().unwrap().to_owned()
    }

    #[test]
    fn a_character_cut_in_two_between_encoded_words_is_whole_again() {
        assert_eq!(subject(b"=?utf-8?q?Gr=C3?= =?utf-8?q?=BC=C3=9Fe?="), "Grüße");
        assert_eq!(subject("=?utf-8?B?44GC44E=?=\r\n =?UTF-8?B?hOOBhg==?= end".as_bytes()), "あいう end");
    }

    #[test]
    fn words_in_encodings_that_few_know_by_that_name_are_read() {
        assert_eq!(subject(b"=?cp932?b?k/qWew==?="), "日本");
        assert_eq!(subject(b"=?win-1251?q?=CF=F0=E8=E2=E5=F2?="), "Привет");
        assert_eq!(subject(b"=?iso-2022-kr?b?GyQpQw5HUTE5Dw==?="), "한국");
        assert_eq!(subject(b"=?utf-8?q?Gr=FC=DFe aus K=F6ln?="), "Grüße aus Köln");
    }

    #[test]
    fn a_subject_without_encoded_words_is_read_as_it_looks_or_as_the_body_is_declared() {
        assert_eq!(subject(b"Gr\xfc\xdfe aus K\xf6ln"), "Grüße aus Köln");
        let declared = b"Gr\xfc\xdfe\nContent-Type: text/plain; charset=\"iso-8859-1\"";
        assert_eq!(subject(declared), "Grüße");
        assert_eq!(subject(b"\x1b$BM=;;2q5D\x1b(B"), "予算会議");
    }

    #[test]
    fn words_that_never_end_cost_no_more_than_others() {
        let head = "=?utf-8?q?x".repeat(100_000);
        assert_eq!(joined(&head), head);
    }

    #[test]
    fn a_head_that_needs_no_mending_is_left_as_it_is() {
        for head in ["=?utf-8?q?Gr=C3=BC=C3=9Fe?= a", "=?", "=?x?", "2 =? 3 =?q", "=?utf-8?q?=ZZ?="] {
            let message = format!("Subject: {head}\n\nbody");
            assert!(matches!(mended(message.as_bytes()), Cow::Borrowed(_)), "{head}");
        }
    }
}

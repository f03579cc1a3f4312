//! Bytes of unknown encoding to clean text.
//!
//! In order: byte order mark, a label the format declares, UTF-8, UTF-16 by its zero bytes, statistics (`chardetng`).

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::ingest::ExtractError;

/// Bytes looked at for statistics: enough for every encoding, and a large file costs no more than a small one.
const SAMPLE_BYTES: usize = 64 << 10;
/// Share of unreadable characters above which the bytes are no text, one in so many.
const ONE_UNREADABLE_IN: usize = 20;

/// Text and how it was read.
pub(super) struct Decoded {
    /// Clean: see [`clean`].
    pub text: String,
    /// Characters that could not be read and stand as U+FFFD.
    pub unreadable: usize,
}

/// Decodes `bytes`; `label` is what the format itself declares (`<meta charset>`, a MIME parameter), if anything.
///
/// # Errors
/// `unsupported_format` when no encoding makes text of the bytes.
pub(super) fn decode(bytes: &[u8], label: Option<&str>) -> Result<Decoded, ExtractError> {
    let declared = label.and_then(|label| Encoding::for_label(label.trim().as_bytes()));
    let encoding = match Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None => detect(bytes, declared).ok_or_else(not_text)?,
    };
    let (text, _) = encoding.decode_with_bom_removal(bytes);
    let before = usize::from(encoding != UTF_8);
    let unreadable = text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count();
    if unreadable > before + text.chars().count() / ONE_UNREADABLE_IN {
        return Err(not_text());
    }
    Ok(Decoded { text: clean(&text).into_owned(), unreadable })
}

fn not_text() -> ExtractError {
    ExtractError::unsupported("The file")
}

fn detect(bytes: &[u8], declared: Option<&'static Encoding>) -> Option<&'static Encoding> {
    if let Some(wide) = utf16(bytes) {
        return Some(wide);
    }
    if bytes.contains(&0) && !is_utf8(bytes) || looks_binary(bytes) {
        return None;
    }
    // Declared UTF-8 that is not is the commonest lie; a declared single-byte encoding over valid UTF-8 the next.
    if is_utf8(bytes) && !bytes.is_ascii() || declared.is_none() && bytes.is_ascii() && !bytes.contains(&0x1b) {
        return Some(UTF_8);
    }
    match declared {
        Some(encoding) if encoding != UTF_8 && !encoding.decode_without_bom_handling(bytes).1 => Some(encoding),
        _ => Some(guess(bytes)),
    }
}

fn is_utf8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok()
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    // ASCII tells nothing: the statistics begin where the first other byte stands.
    let from = bytes.iter().position(|byte| !byte.is_ascii() || *byte == 0x1b).unwrap_or(0);
    let sample = &bytes[from..bytes.len().min(from + SAMPLE_BYTES)];
    detector.feed(sample, true);
    detector.guess(None, Utf8Detection::Deny)
}

/// UTF-16 without a mark: spaces, digits and line ends leave a zero in every second byte, in any language.
fn utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = &bytes[..bytes.len().min(SAMPLE_BYTES) & !1];
    if sample.len() < 4 {
        return None;
    }
    let pairs = sample.len() / 2;
    let zeros = |offset: usize| sample.iter().skip(offset).step_by(2).filter(|byte| **byte == 0).count();
    let (high, low) = (zeros(0), zeros(1));
    let plenty = (pairs / 20).max(1);
    let encoding = match (high, low) {
        (0, low) if low >= plenty => UTF_16LE,
        (high, 0) if high >= plenty => UTF_16BE,
        _ => return None,
    };
    let (text, malformed) = encoding.decode_without_bom_handling(sample);
    let odd = text.chars().filter(|c| c.is_control() && !c.is_whitespace()).count();
    (odd * ONE_UNREADABLE_IN <= pairs && (!malformed || bytes.len() > sample.len())).then_some(encoding)
}

/// Whether the beginning holds control characters that no text has.
fn looks_binary(bytes: &[u8]) -> bool {
    let sample = &bytes[..bytes.len().min(SAMPLE_BYTES)];
    let odd = |byte: &&u8| matches!(**byte, 0..=8 | 14..=26 | 28..=31);
    sample.iter().filter(odd).count() * ONE_UNREADABLE_IN > sample.len()
}

/// The text without control characters but line breaks and tabs; every kind of line break becomes `\n`.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    let dirty = |c: char| c.is_control() && c != '\n' && c != '\t' || c == '\u{feff}';
    if !text.contains(dirty) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut previous = ' ';
    for c in text.chars() {
        match c {
            '\n' if previous == '\r' => {}
            // Carriage return, form feed, vertical tab and NEL all end a line.
            '\r' | '\u{b}' | '\u{c}' | '\u{85}' => clean.push('\n'),
            c if dirty(c) => {}
            c => clean.push(c),
        }
        previous = c;
    }
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        decode(bytes, None).unwrap().text
    }

    fn encoded(encoding: &'static Encoding, text: &str) -> Vec<u8> {
        let (bytes, _, lost) = encoding.encode(text);
        assert!(!lost);
        bytes.into_owned()
    }

    #[test]
    fn each_encoding_is_read_as_its_author_meant() {
        let japanese = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。";
        let chinese = "北京是中华人民共和国的首都，有着三千余年的建城史和八百六十余年的建都史。";
        let korean = "대한민국의 수도는 서울이며 한강이 도시를 가로질러 흐른다. 모든 국민은 법 앞에 평등하다.";
        let german = "Die schöne Frau sagte: „Das war köstlich!“ – für 15,50 € in Köln.";
        for (encoding, sample) in [
            (encoding_rs::SHIFT_JIS, japanese),
            (encoding_rs::EUC_JP, japanese),
            (encoding_rs::ISO_2022_JP, japanese),
            (encoding_rs::GB18030, chinese),
            (encoding_rs::EUC_KR, korean),
            (encoding_rs::WINDOWS_1252, german),
        ] {
            assert_eq!(text(&encoded(encoding, sample)), sample, "{}", encoding.name());
        }
    }

    #[test]
    fn utf16_is_read_with_and_without_its_mark() {
        let sample = "Price list\n1. 猫 20 €\n";
        let little: Vec<u8> = sample.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = sample.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(text(&little), sample);
        assert_eq!(text(&big), sample);
        assert_eq!(text(&[&[0xff, 0xfe][..], &little].concat()), sample);
        assert_eq!(text(&[&[0xfe, 0xff][..], &big].concat()), sample);
    }

    #[test]
    fn a_declared_encoding_is_believed_only_where_it_fits() {
        let cyrillic = encoded(encoding_rs::WINDOWS_1251, "Привет, мир");
        assert_eq!(decode(&cyrillic, Some("windows-1251")).unwrap().text, "Привет, мир");
        assert_eq!(decode("Grüße".as_bytes(), Some("iso-8859-1")).unwrap().text, "Grüße");
        assert_eq!(decode(b"Gr\xfc\xdfe aus K\xf6ln", Some("utf-8")).unwrap().text, "Grüße aus Köln");
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_and_not_indexed_as_noise() {
        let noise: Vec<u8> = (0..4096_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect();
        assert_eq!(decode(&noise, None).err().map(|error| error.code), Some("unsupported_format"));
    }

    #[test]
    fn line_breaks_become_one_kind_and_controls_go() {
        assert_eq!(clean("a\r\nb\rc\u{c}d\0\u{1b}e\tf\u{feff}"), "a\nb\nc\nde\tf");
    }
}

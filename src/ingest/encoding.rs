//! Bytes of unknown encoding to clean text.
//!
//! In order: UTF-32, byte order mark, UTF-16 by its zero bytes, UTF-8, a label the format declares, UTF-8 with some
//! damage, statistics (`chardetng`).

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1250, WINDOWS_1252};

use crate::ingest::{ExtractError, codepage};

/// Bytes looked at for statistics: enough for every encoding, and a large file costs no more than a small one.
const SAMPLE_BYTES: usize = 64 << 10;
/// Share of unreadable characters above which the bytes are no text, one in so many.
const ONE_UNREADABLE_IN: usize = 20;
/// Text is UTF-8 with some damage when at most one of so many of its characters beyond ASCII is broken.
const ONE_BROKEN_IN: usize = 10;
/// Bytes that are valid UTF-8 are UTF-16 only when at least one of so many is zero: in ASCII, every second is.
const ONE_ZERO_IN: usize = 5;

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
    if let Some(text) = utf32(bytes) {
        return Ok(Decoded { text: clean(&text).into_owned(), unreadable: 0 });
    }
    if let Some(text) = iso_2022_kr(bytes) {
        return Ok(Decoded { text: clean(&text).into_owned(), unreadable: 0 });
    }
    if let Some(page) = label.and_then(codepage::page).filter(|_| !is_utf8(bytes)) {
        return Ok(Decoded { text: clean(&codepage::decode(bytes, &page)).into_owned(), unreadable: 0 });
    }
    let declared = label.and_then(labelled);
    let encoding = match Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None => detect(bytes, declared).ok_or_else(not_text)?,
    };
    let (text, _) = encoding.decode_with_bom_removal(bytes);
    let unreadable = text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count();
    if unreadable > 1 + text.chars().count() / ONE_UNREADABLE_IN {
        return Err(not_text());
    }
    Ok(Decoded { text: clean(&text).into_owned(), unreadable })
}

/// Whether `label` names an encoding that [`decode`] reads.
pub(super) fn is_known(label: &str) -> bool {
    label.eq_ignore_ascii_case("iso-2022-kr") || codepage::page(label).is_some() || labelled(label).is_some()
}

/// The encoding of a label: those of the Encoding Standard, and names that old programs write instead.
fn labelled(label: &str) -> Option<&'static Encoding> {
    let label = label.trim().to_ascii_lowercase();
    let known = |label: &str| Encoding::for_label_no_replacement(label.as_bytes());
    known(&label).or_else(|| known(&standard_name(&label)))
}

/// What the Encoding Standard calls the encoding that others call `label`.
fn standard_name(label: &str) -> String {
    let plain = label.replace(['-', '_'], "");
    let prefix = ["xwindows", "windows", "win", "ansi", "cp", "ms", "ibm"].into_iter().find(|p| plain.starts_with(p));
    let page = &plain[prefix.map_or(0, str::len)..];
    let name = match page {
        "932" | "943" | "sjiswin" | "shiftjis" => "shift_jis",
        "936" => "gbk",
        "949" | "uhc" | "euckr" => "euc-kr",
        "950" => "big5",
        "51932" | "eucjp" | "eucjpms" | "eucjpwin" => "euc-jp",
        "50220" | "50221" | "50222" | "iso2022jp1" | "iso2022jp2" | "iso2022jp3" | "iso2022jpms" => "iso-2022-jp",
        "20866" | "koi8r" => "koi8-r",
        "65001" => "utf-8",
        "latin9" => "iso-8859-15",
        "1250" | "1251" | "1252" | "1253" | "1254" | "1255" | "1256" | "1257" | "1258" | "874" => {
            return format!("windows-{page}");
        }
        // `latin-1`, `iso_8859_2`.
        _ => return plain,
    };
    name.to_owned()
}

/// ISO-2022-KR, which says so in its first line: Korean stands between two control characters, with the high bits gone.
fn iso_2022_kr(bytes: &[u8]) -> Option<String> {
    const SAYS: &[u8] = b"\x1b$)C";
    let at = bytes.windows(SAYS.len()).take(SAMPLE_BYTES).position(|window| window == SAYS)?;
    let mut korean = false;
    let mut eight_bits = Vec::with_capacity(bytes.len());
    for byte in bytes[..at].iter().chain(&bytes[at + SAYS.len()..]) {
        match byte {
            0x0e => korean = true,
            0x0f => korean = false,
            0x21..=0x7e if korean => eight_bits.push(byte | 0x80),
            byte => eight_bits.push(*byte),
        }
    }
    let (text, malformed) = encoding_rs::EUC_KR.decode_without_bom_handling(&eight_bits);
    (!malformed).then(|| text.into_owned())
}

fn not_text() -> ExtractError {
    ExtractError::unsupported("The file")
}

fn detect(bytes: &[u8], declared: Option<&'static Encoding>) -> Option<&'static Encoding> {
    if let Some(wide) = utf16(bytes) {
        return Some(wide);
    }
    if bytes.contains(&0) && !is_utf8(bytes) || looks_binary(bytes) {
        return of_ideographs(bytes);
    }
    // Declared UTF-8 that is not is the commonest lie; a declared single-byte encoding over valid UTF-8 the next.
    if is_utf8(bytes) && !bytes.is_ascii() || declared.is_none() && bytes.is_ascii() && !bytes.contains(&0x1b) {
        return Some(UTF_8);
    }
    match declared {
        Some(encoding) if encoding != UTF_8 && fits(encoding, bytes) => Some(encoding),
        _ if is_damaged_utf8(bytes) => Some(UTF_8),
        _ => Some(guess(bytes)),
    }
}

/// Whether a byte here and there is all that this encoding cannot read.
fn fits(encoding: &'static Encoding, bytes: &[u8]) -> bool {
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    // What is cut off at the end is no sign of another encoding.
    let text = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
    let broken = text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count();
    broken == 0 || broken * ONE_BROKEN_IN < text.chars().filter(|c| !c.is_ascii()).count()
}

fn is_utf8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok()
}

/// ASCII tells nothing: a sample from where the first other byte stands.
fn telling_sample(bytes: &[u8]) -> &[u8] {
    let from = bytes.iter().position(|byte| !byte.is_ascii() || *byte == 0x1b).unwrap_or(0);
    &bytes[from..bytes.len().min(from + SAMPLE_BYTES)]
}

/// Whether a byte here and there is all that keeps the bytes from being UTF-8, or the cut at their end.
fn is_damaged_utf8(bytes: &[u8]) -> bool {
    let sample = telling_sample(bytes);
    let (mut whole, mut broken) = (0, 0);
    let mut end = sample.len();
    for chunk in sample.utf8_chunks() {
        whole += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        end -= chunk.valid().len() + chunk.invalid().len();
        // What is cut off at the end is no sign of another encoding.
        broken += usize::from(!chunk.invalid().is_empty() && end > 0);
    }
    whole > 0 && broken * ONE_BROKEN_IN <= whole
}

/// UTF-32 in either order of bytes: nothing else makes a character of every four bytes.
fn utf32(bytes: &[u8]) -> Option<String> {
    let (units, rest) = bytes.as_chunks::<4>();
    let read = |order: fn([u8; 4]) -> u32| -> Option<String> {
        units.iter().map(|unit| char::from_u32(order(*unit))).collect()
    };
    let text = read(u32::from_le_bytes).or_else(|| read(u32::from_be_bytes))?;
    (rest.is_empty() && !text.is_empty() && !text.contains('\0')).then_some(text)
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    let sample = telling_sample(bytes);
    detector.feed(sample, true);
    match detector.guess(None, Utf8Detection::Deny) {
        western if western == WINDOWS_1252 && is_hungarian(sample) => WINDOWS_1250,
        guess => guess,
    }
}

/// Hungarian is the one language that looks western but for two letters, which windows-1252 has as `õ` and `û`.
fn is_hungarian(sample: &[u8]) -> bool {
    if !sample.iter().any(|byte| matches!(byte, 0xd5 | 0xdb | 0xf5 | 0xfb)) {
        return false;
    }
    let text = WINDOWS_1250.decode_without_bom_handling(sample).0;
    whatlang::detect(&text).is_some_and(|found| found.lang() == whatlang::Lang::Hun)
}

/// UTF-16 without a mark: in the right order of bytes there are spaces or line ends, and no character is odd.
fn utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = &bytes[..bytes.len().min(SAMPLE_BYTES) & !1];
    if let Some(encoding) = of_one_row(sample).filter(|_| !is_utf8(bytes) || looks_binary(bytes)) {
        return Some(encoding);
    }
    let zeros = sample.iter().map(|byte| usize::from(*byte == 0)).sum::<usize>();
    if zeros == 0 || is_utf8(bytes) && zeros * ONE_ZERO_IN < sample.len() {
        return None;
    }
    let blanks = |encoding: &&'static Encoding| {
        let (text, malformed) = encoding.decode_without_bom_handling(sample);
        let odd = text.chars().filter(|c| c.is_control() && !c.is_whitespace() || matches!(c, '\u{e000}'..='\u{f8ff}'));
        let sound = odd.count() * ONE_UNREADABLE_IN <= sample.len() / 2 && (!malformed || bytes.len() > sample.len());
        if sound { text.chars().filter(|c| matches!(c, ' ' | '\n')).count() } else { 0 }
    };
    [UTF_16LE, UTF_16BE].into_iter().max_by_key(blanks).filter(|encoding| blanks(encoding) > 0)
}

/// UTF-16 of a script whose characters share their upper byte, as all but Latin and Chinese do: every second byte is mostly
/// that one, which no other encoding has there.
fn of_one_row(sample: &[u8]) -> Option<&'static Encoding> {
    /// Of so many upper bytes, four are the same.
    const FOUR_IN: usize = 10;
    let (units, _) = sample.as_chunks::<2>();
    let count = |place: usize, byte: u8| units.iter().filter(|unit| unit[place] == byte).count();
    let row = |place: usize| {
        // Cyrillic, Greek, Hebrew, Arabic, the scripts of India and Thai lie in rows 3 to 31, Japanese syllables in row 48.
        (3..0x20_u8).chain([0x30]).find(|row| count(place, *row) * FOUR_IN >= units.len() * 4)
    };
    let found = |place: usize| row(place).filter(|row| count(1 - place, *row) * ONE_UNREADABLE_IN <= units.len());
    let encoding = match (found(1), found(0)) {
        (Some(_), None) => UTF_16LE,
        (None, Some(_)) => UTF_16BE,
        _ => return None,
    };
    (units.len() >= 8 && !encoding.decode_without_bom_handling(sample).1).then_some(encoding)
}

/// UTF-16 of Chinese or Korean, whose characters fill many rows: nearly all are of East Asia in one order, and not in the
/// other.
fn of_ideographs(bytes: &[u8]) -> Option<&'static Encoding> {
    const ONE_OTHER_IN: usize = 20;
    let (units, _) = bytes[..bytes.len().min(SAMPLE_BYTES)].as_chunks::<2>();
    let eastern = |unit: u16| matches!(unit, 0x3000..=0x9fff | 0xac00..=0xd7a3 | 0xff00..=0xffef | 0x0a | 0x0d | 0x20);
    let others = |read: fn([u8; 2]) -> u16| units.iter().filter(|unit| !eastern(read(**unit))).count();
    let fits = |others: usize| units.len() >= 8 && others * ONE_OTHER_IN <= units.len();
    match (fits(others(u16::from_le_bytes)), fits(others(u16::from_be_bytes))) {
        (true, false) => Some(UTF_16LE),
        (false, true) => Some(UTF_16BE),
        _ => None,
    }
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
    fn utf16_of_a_language_without_latin_letters_is_known_by_its_line_ends() {
        let sample = "吾輩は猫である。\u{3000}名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所で。\n";
        let little: Vec<u8> = sample.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = sample.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!((text(&little).as_str(), text(&big).as_str()), (sample, sample));
    }

    #[test]
    fn utf16_without_a_mark_is_known_by_where_its_script_lies() {
        for sample in [
            "Привет, мир: схема работы",
            "テストノケッカハアシタデス",
            "Καλημέρα σας",
            "नमस्ते दुनिया, यह एक परीक्षण है",
            "各位同事明天上午十点将召开预算会议请准备报告",
        ] {
            let little: Vec<u8> = sample.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = sample.encode_utf16().flat_map(u16::to_be_bytes).collect();
            assert_eq!((text(&little).as_str(), text(&big).as_str()), (sample, sample));
        }
        let katakana = encoded(encoding_rs::SHIFT_JIS, "テストノケッカハアシタデス。カンジハツカイマセン。");
        assert!(text(&katakana).starts_with("テスト"));
    }

    #[test]
    fn hungarian_keeps_its_own_letters() {
        let sample = "A szakértők szerint ez jelentősen csökkentheti a munkanélküliséget, ezért az űrlapot töltse ki.";
        assert_eq!(text(&encoded(WINDOWS_1250, sample)), sample);
    }

    #[test]
    fn utf32_is_read_in_both_orders() {
        let sample = "Price 猫 😀\n";
        let little: Vec<u8> = sample.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        let big: Vec<u8> = sample.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
        assert_eq!(text(&little), sample);
        assert_eq!(text(&[&[0, 0, 0xfe, 0xff][..], &big].concat()), sample);
    }

    #[test]
    fn a_broken_byte_does_not_make_another_encoding_of_utf8() {
        let sample = "Grüße aus Köln, schöne Straße, früher Schnee, müde Füße, süße Äpfel".as_bytes();
        let broken = decode(&[sample, b" \xff ", sample].concat(), None).unwrap();
        assert_eq!((broken.unreadable, broken.text.contains("Köln")), (1, true));
        assert_eq!(decode(&sample[..5], None).unwrap().text, "Gr\u{fc}\u{fffd}");
        assert_eq!(text(b"caf\xe9"), "café");
    }

    #[test]
    fn a_declared_encoding_is_believed_only_where_it_fits() {
        let cyrillic = encoded(encoding_rs::WINDOWS_1251, "Привет, мир");
        assert_eq!(decode(&cyrillic, Some("windows-1251")).unwrap().text, "Привет, мир");
        assert_eq!(decode("Grüße".as_bytes(), Some("iso-8859-1")).unwrap().text, "Grüße");
        assert_eq!(decode(b"Gr\xfc\xdfe aus K\xf6ln", Some("utf-8")).unwrap().text, "Grüße aus Köln");
        let cut = encoded(encoding_rs::GBK, "会议通知：明天开会");
        assert!(decode(&cut[..cut.len() - 1], Some("gb2312")).unwrap().text.starts_with("会议通知：明天开"));
        let japanese = encoded(encoding_rs::EUC_JP, "吾輩は猫である。名前はまだ無い。");
        assert_eq!(decode(&japanese, Some("gb2312")).unwrap().text.chars().filter(|c| *c == '\u{fffd}').count(), 0);
    }

    #[test]
    fn a_label_is_known_by_each_of_its_names() {
        for (label, encoding) in [
            ("cp932", encoding_rs::SHIFT_JIS),
            ("windows-949", encoding_rs::EUC_KR),
            ("ks_c_5601-1987", encoding_rs::EUC_KR),
            ("UHC", encoding_rs::EUC_KR),
            ("Win-1251", encoding_rs::WINDOWS_1251),
            ("latin-1", encoding_rs::WINDOWS_1252),
            ("iso_8859-1:1987", encoding_rs::WINDOWS_1252),
            ("latin9", encoding_rs::ISO_8859_15),
            ("eucjp", encoding_rs::EUC_JP),
        ] {
            assert_eq!(labelled(label), Some(encoding), "{label}");
        }
        assert!(labelled("unknown-8bit").is_none() && labelled("").is_none());
        assert_eq!(decode(b"Gr\x94\xe1e", Some("cp437")).unwrap().text, "Größe");
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

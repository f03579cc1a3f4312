//! Fonts: from the bytes of a string to characters and their widths.

use std::collections::HashMap;

use encoding_rs::{Encoding, UTF_16BE};
use lopdf::{Dictionary, Document, Object};

use super::builtin;
use super::cmap::CMap;
use super::program::{characters, usual_character};
use super::{dictionary, number, unpacked, value};

/// A font, ready to decode.
pub(super) struct Font {
    codes: Codes,
    to_unicode: Option<CMap>,
    widths: HashMap<u32, f32>,
    default_width: f32,
}

/// How bytes make codes, and what codes mean where the font does not map them itself.
enum Codes {
    /// One byte each, with a table of texts.
    Simple(Vec<String>),
    /// So many bytes each, which number the font's own glyphs, with the characters its program gives them.
    Glyphs { bytes: usize, characters: HashMap<u32, char>, usual: bool },
    /// Text in a known encoding.
    Encoded(&'static Encoding),
}

/// One glyph of a string.
pub(super) struct Shown {
    /// Its characters; none when the font does not say.
    pub text: Option<String>,
    /// How far it moves the pen, in sizes of the font.
    pub width: f32,
    /// Whether word spacing applies: the single-byte code 32.
    pub is_space: bool,
}

impl Font {
    pub fn load(font: &Dictionary, document: &Document) -> Self {
        let to_unicode = value(font, b"ToUnicode", document).and_then(|object| match object {
            Object::Stream(stream) => unpacked(stream, document).map(|bytes| CMap::parse(&bytes)),
            Object::Name(name) if name.starts_with(b"Identity") => Some(CMap::identity()),
            _ => None,
        });
        let to_unicode = to_unicode.filter(|map| !map.is_empty());
        if font.get(b"Subtype").and_then(Object::as_name).is_ok_and(|subtype| subtype == b"Type0") {
            Self::composite(font, document, to_unicode)
        } else {
            Self::simple(font, document, to_unicode)
        }
    }

    fn simple(font: &Dictionary, document: &Document, to_unicode: Option<CMap>) -> Self {
        let scale = type3_scale(font, document);
        let first = value(font, b"FirstChar", document).and_then(number).unwrap_or_default();
        let listed = value(font, b"Widths", document).and_then(|object| object.as_array().ok());
        let mut widths = HashMap::new();
        for (offset, width) in (0_u32..).zip(listed.into_iter().flatten()) {
            if let Some(width) = resolved(width, document).and_then(number) {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "codes are below 256")]
                widths.insert(first.clamp(0.0, 255.0) as u32 + offset, width * scale);
            }
        }
        let texts = simple_texts(font, document);
        if listed.is_none() {
            // One of the 14 fonts every reader knows: widths near those of Helvetica tell words apart.
            widths.extend((0..).zip(texts.iter().map(|text| usual_width(text))));
        }
        Self { codes: Codes::Simple(texts), to_unicode, widths, default_width: 0.0 }
    }

    fn composite(font: &Dictionary, document: &Document, to_unicode: Option<CMap>) -> Self {
        let descendant = value(font, b"DescendantFonts", document)
            .and_then(|object| object.as_array().ok())
            .and_then(|fonts| resolved(fonts.first()?, document)?.as_dict().ok());
        let default_width =
            descendant.and_then(|font| value(font, b"DW", document)).and_then(number).unwrap_or(1000.0) / 1000.0;
        let listed = descendant.and_then(|font| value(font, b"W", document)?.as_array().ok());
        let widths = listed.map(|list| composite_widths(list, document)).unwrap_or_default();
        let codes = composite_codes(font, descendant, document, to_unicode.is_none());
        Self { codes, to_unicode, widths, default_width }
    }

    /// The glyphs of a string.
    pub fn decode(&self, bytes: &[u8]) -> Vec<Shown> {
        match &self.codes {
            Codes::Simple(texts) => bytes.iter().map(|byte| self.simple_glyph(*byte, texts)).collect(),
            Codes::Encoded(encoding) => self.encoded(encoding, bytes),
            Codes::Glyphs { bytes: length, characters, usual } => {
                let glyph = |code| self.composite_glyph(code, characters, *usual);
                bytes.chunks(*length).map(glyph).collect()
            }
        }
    }

    fn simple_glyph(&self, byte: u8, texts: &[String]) -> Shown {
        let code = u32::from(byte);
        let mapped = self.to_unicode.as_ref().and_then(|map| map.text(code)).filter(|text| !text.is_empty());
        let text = mapped.or_else(|| texts.get(usize::from(byte)).filter(|text| !text.is_empty()).cloned());
        Shown { text, width: self.width(code), is_space: byte == b' ' }
    }

    fn composite_glyph(&self, bytes: &[u8], characters: &HashMap<u32, char>, usual: bool) -> Shown {
        let code = bytes.iter().fold(0, |code, byte| code << 8 | u32::from(*byte));
        let mapped = self.to_unicode.as_ref().and_then(|map| map.text(code));
        let own =
            || characters.get(&code).copied().or_else(|| usual_character(code).filter(|_| usual)).map(String::from);
        let text = mapped.or_else(own);
        Shown { text, width: self.width(code), is_space: bytes == b" " }
    }

    /// Text in an encoding of many lengths: the whole string at once, all characters equally wide.
    fn encoded(&self, encoding: &'static Encoding, bytes: &[u8]) -> Vec<Shown> {
        let (text, _) = encoding.decode_without_bom_handling(bytes);
        let shown = |c: char| Shown {
            text: Some(c.to_string()),
            width: if c.is_ascii() { self.default_width / 2.0 } else { self.default_width },
            is_space: false,
        };
        text.chars().map(shown).collect()
    }

    fn width(&self, code: u32) -> f32 {
        self.widths.get(&code).copied().unwrap_or(self.default_width)
    }
}

/// How the bytes of a composite font make codes; `alone` when it maps none of them to characters itself.
fn composite_codes(font: &Dictionary, descendant: Option<&Dictionary>, document: &Document, alone: bool) -> Codes {
    let encoding = value(font, b"Encoding", document);
    let name = encoding.and_then(|object| object.as_name().ok()).unwrap_or_default();
    if let Some(encoding) = predefined(name) {
        return Codes::Encoded(encoding);
    }
    let own = encoding.and_then(|object| object.as_stream().ok()).and_then(|stream| unpacked(stream, document));
    let bytes = own.map(|bytes| CMap::parse(&bytes).code_bytes).filter(|bytes| *bytes > 0).unwrap_or(2);
    let descendant = descendant.filter(|_| alone);
    let listed = descendant.and_then(|font| value(font, b"CIDToGIDMap", document)?.as_stream().ok()).is_some();
    let program = descendant.and_then(|font| dictionary(font, b"FontDescriptor", document)).and_then(|descriptor| {
        let file = value(descriptor, b"FontFile2", document).or_else(|| value(descriptor, b"FontFile3", document));
        unpacked(file?.as_stream().ok()?, document)
    });
    // Codes number glyphs only where no list stands between the two.
    let characters = program.filter(|_| !listed).map(|font| characters(&font)).unwrap_or_default();
    let true_type = descendant
        .and_then(|font| value(font, b"Subtype", document)?.as_name().ok())
        .is_some_and(|subtype| subtype == b"CIDFontType2");
    Codes::Glyphs { bytes: bytes.min(4), usual: true_type && !listed && characters.is_empty(), characters }
}

fn resolved<'a>(object: &'a Object, document: &'a Document) -> Option<&'a Object> {
    document.dereference(object).ok().map(|(_, object)| object)
}

/// Widths are thousandths, but for fonts made of drawings, which bring a scale of their own.
fn type3_scale(font: &Dictionary, document: &Document) -> f32 {
    let matrix = value(font, b"FontMatrix", document).and_then(|object| object.as_array().ok());
    matrix.and_then(|matrix| number(matrix.first()?)).map_or(0.001, f32::abs)
}

/// `[code [w w …] first last w …]` (ISO 32000-1, 9.7.4.3).
#[expect(clippy::similar_names, reason = "the rest and the widths of a list")]
fn composite_widths(list: &[Object], document: &Document) -> HashMap<u32, f32> {
    let mut widths = HashMap::new();
    let mut rest = list;
    while let [first, second, tail @ ..] = rest {
        let Some(first) = code(first, document) else { break };
        match resolved(second, document) {
            Some(Object::Array(each)) => {
                let each = each.iter().filter_map(|width| number(resolved(width, document)?));
                widths.extend((first..).zip(each.map(|width| width / 1000.0)));
                rest = tail;
            }
            Some(last) => {
                let (Some(last), Some(width)) = (code(last, document), tail.first().and_then(number)) else { break };
                widths.extend((first..=last.min(first.saturating_add(0xffff))).map(|code| (code, width / 1000.0)));
                rest = &tail[1..];
            }
            None => break,
        }
    }
    widths
}

fn code(object: &Object, document: &Document) -> Option<u32> {
    resolved(object, document)?.as_i64().ok()?.try_into().ok()
}

/// The encodings of the CMaps every reader knows (ISO 32000-1, 9.7.5.2), as far as their codes are text.
fn predefined(name: &[u8]) -> Option<&'static Encoding> {
    let name = String::from_utf8_lossy(name);
    if name.starts_with("Uni") && (name.contains("UCS2") || name.contains("UTF16")) {
        return Some(UTF_16BE);
    }
    let label = match name.split('-').next()? {
        "90ms" | "90msp" | "90pv" | "83pv" => "shift_jis",
        "EUC" => "euc-jp",
        "GBK" | "GBKp" | "GBK2K" | "GB" | "GBpc" => "gb18030",
        "B5pc" | "ETen" | "ETenms" | "HKscs" => "big5",
        "KSC" | "KSCms" | "KSCpc" => "euc-kr",
        _ => return None,
    };
    Encoding::for_label(label.as_bytes())
}

/// The text of each single-byte code.
fn simple_texts(font: &Dictionary, document: &Document) -> Vec<String> {
    let encoding = value(font, b"Encoding", document);
    let described = encoding.and_then(|object| object.as_dict().ok());
    let base = encoding
        .and_then(|object| object.as_name().ok())
        .or_else(|| value(described?, b"BaseEncoding", document)?.as_name().ok());
    let symbolic = base.is_none() && built_in_differs(font, document);
    let standard = symbolic || is_type1_without_file(font, document);
    let usual: &[u8] = if standard { b"StandardEncoding" } else { b"WinAnsiEncoding" };
    let mut texts =
        signs(font, document).filter(|_| !symbolic).unwrap_or_else(|| base_texts(base.unwrap_or(usual), document));
    if symbolic {
        for (code, name) in built_in_names(font, document) {
            set(&mut texts, code, &name, document);
        }
    }
    let differences = described.and_then(|encoding| value(encoding, b"Differences", document)?.as_array().ok());
    let mut code = 0;
    for difference in differences.into_iter().flatten() {
        match resolved(difference, document) {
            Some(Object::Integer(number)) => code = usize::try_from(*number).unwrap_or(256),
            Some(Object::Name(name)) => {
                set(&mut texts, code, name, document);
                code += 1;
            }
            _ => {}
        }
    }
    texts
}

fn set(texts: &mut [String], code: usize, name: &[u8], document: &Document) {
    if let Some(text) = texts.get_mut(code) {
        *text = glyph_text(name, document).unwrap_or_default();
    }
}

/// The 256 texts of an encoding with a name.
fn base_texts(name: &[u8], document: &Document) -> Vec<String> {
    let mut font = Dictionary::new();
    font.set("Type", "Font");
    font.set("Encoding", Object::Name(name.to_vec()));
    let encoding = font.get_font_encoding(document).ok();
    let text =
        |byte: u8| encoding.as_ref().and_then(|encoding| encoding.bytes_to_string(&[byte]).ok()).unwrap_or_default();
    (0..=255).map(text).map(|text| if text.chars().all(char::is_control) { String::new() } else { text }).collect()
}

/// The text of a glyph's name: from the list of Adobe, or written out as `uni20AC`, `u1F600` or `f_i`.
fn glyph_text(name: &[u8], document: &Document) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let name = name.split('.').next().filter(|name| !name.is_empty())?;
    if name.contains('_') {
        return name.split('_').map(|part| glyph_text(part.as_bytes(), document)).collect();
    }
    let ligature = match name {
        "ff" => Some("ff"),
        "fi" => Some("fi"),
        "fl" => Some("fl"),
        "ffi" => Some("ffi"),
        "ffl" => Some("ffl"),
        _ => None,
    };
    if let Some(ligature) = ligature {
        return Some(ligature.to_owned());
    }
    let digits = name.strip_prefix("uni").or_else(|| name.strip_prefix('u')).filter(|digits| digits.len() >= 4);
    let written = digits.and_then(|digits| char::from_u32(u32::from_str_radix(digits, 16).ok()?));
    written.map(String::from).or_else(|| listed_text(name, document)).or_else(|| numbered_text(name))
}

/// Programs that name glyphs by number, as `a97` or `G97`, mostly number them by their code in ASCII.
fn numbered_text(name: &str) -> Option<String> {
    let digits = name.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let code = if name.len() - digits.len() <= 3 { digits.parse::<u8>().ok()? } else { return None };
    Some(char::from(code)).filter(char::is_ascii_graphic).map(String::from)
}

/// Asks `lopdf` for the name, in a font that has this one glyph.
fn listed_text(name: &str, document: &Document) -> Option<String> {
    let mut encoding = Dictionary::new();
    encoding.set("Differences", vec![Object::Integer(1), Object::Name(name.as_bytes().to_vec())]);
    let mut font = Dictionary::new();
    font.set("Type", "Font");
    font.set("Encoding", encoding);
    let text = font.get_font_encoding(document).ok()?.bytes_to_string(&[1]).ok()?;
    (!text.is_empty() && !text.chars().all(char::is_control)).then_some(text)
}

/// The texts of the two fonts of signs that every reader has, whatever encoding is stated for them; none for others.
fn signs(font: &Dictionary, document: &Document) -> Option<Vec<String>> {
    match value(font, b"BaseFont", document)?.as_name().ok()? {
        b"Symbol" | b"SymbolMT" => Some(builtin::symbol()),
        b"ZapfDingbats" => Some(builtin::dingbats()),
        _ => None,
    }
}

/// Whether it is one of the Type 1 fonts that every reader has: their own encoding is the standard one.
fn is_type1_without_file(font: &Dictionary, document: &Document) -> bool {
    let kind = value(font, b"Subtype", document).and_then(|kind| kind.as_name().ok());
    kind == Some(b"Type1") && !font.has(b"FontDescriptor")
}

/// Whether the font's own encoding applies: an embedded font that names no other.
fn built_in_differs(font: &Dictionary, document: &Document) -> bool {
    dictionary(font, b"FontDescriptor", document).is_some_and(|descriptor| descriptor.has(b"FontFile"))
}

/// Codes and glyph names that a Type 1 font states in the readable part of its program: `dup 12 /fi put`.
fn built_in_names(font: &Dictionary, document: &Document) -> Vec<(usize, Vec<u8>)> {
    let program = dictionary(font, b"FontDescriptor", document)
        .and_then(|descriptor| value(descriptor, b"FontFile", document)?.as_stream().ok())
        .and_then(|stream| unpacked(stream, document))
        .unwrap_or_default();
    let readable = program.split(|byte| *byte == 0x80).next().unwrap_or_default();
    let end = readable.windows(5).position(|window| window == b"eexec").unwrap_or(readable.len());
    let words: Vec<&[u8]> = readable[..end].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
    let entry = |window: &[&[u8]]| match window {
        [b"dup", code, [b'/', name @ ..], b"put"] => {
            Some((std::str::from_utf8(code).ok()?.parse().ok()?, name.to_vec()))
        }
        _ => None,
    };
    words.windows(4).filter_map(entry).collect()
}

/// Roughly how wide Helvetica draws it.
fn usual_width(text: &str) -> f32 {
    match text.chars().next().unwrap_or(' ') {
        'i' | 'j' | 'l' | 't' | 'f' | 'I' | ' ' | '.' | ',' | ':' | ';' | '!' | '\'' | '|' | '/' => 0.28,
        'm' | 'M' | 'W' | 'w' => 0.83,
        c if c.is_uppercase() => 0.68,
        _ => 0.54,
    }
}

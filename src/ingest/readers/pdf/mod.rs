//! PDF (ISO 32000): glyphs with their places, brought back into lines and paragraphs.
//!
//! `lopdf` reads the file's objects; what stands on a page is worked out here: [`font`] turns codes into characters,
//! [`content`] runs the page's drawing orders, which [`lexer`] reads, and notes where each glyph lands, [`annotations`]
//! adds what lies over the page, [`layout`] makes lines of it all.

mod annotations;
mod builtin;
mod cmap;
mod content;
mod font;
mod layout;
mod lexer;
mod lock;
mod program;
#[cfg(test)]
mod tests;

use lopdf::{Dictionary, Document, LoadOptions, Object, ObjectId, Stream, decode_text_string};

use self::annotations::Layer;
use self::content::{Interpreter, MAX_FORMS};
use self::layout::Paragraph;
use crate::domain::MarkKind;
use crate::ingest::ExtractError;
use crate::ingest::draft::Draft;

/// Largest stream unpacked, bytes: a page or a font map is far below, a bomb far above.
const MAX_STREAM_BYTES: usize = 64 << 20;
/// A paragraph in letters so much larger than the body's is a heading.
const HEADING_RATIO: f32 = 1.15;
/// Headings are a small share of a text, at most one letter in so many.
const HEADINGS_ONE_IN: usize = 5;
/// Longest heading, characters.
const MAX_HEADING_CHARS: usize = 200;
/// Nodes above a page in the tree of pages, at most.
const MAX_PAGE_DEPTH: usize = 50;
/// Distinct heading levels told apart by size.
const HEADING_LEVELS: usize = 4;

/// Reads a document, page by page.
pub(super) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), ExtractError> {
    let document = load(bytes)?;
    if let Some(title) = title(&document) {
        draft.title(&title);
    }
    let pages = document.get_pages();
    let (mut unknown, mut forms_left) = (0, MAX_FORMS);
    let mut read = Vec::with_capacity(pages.len());
    for (number, id) in pages {
        let mut interpreter = Interpreter::new(&document, rotation(id, &document), forms_left);
        interpreter.page(id);
        let mut words = annotations::read(&document, id, Layer::Fields, &mut interpreter);
        let mut paragraphs = layout::paragraphs(std::mem::take(&mut interpreter.glyphs));
        words.extend(annotations::read(&document, id, Layer::Notes, &mut interpreter));
        unknown += interpreter.unknown;
        forms_left = interpreter.forms_left;
        paragraphs.extend(layout::paragraphs(interpreter.glyphs));
        paragraphs.extend(words.iter().map(|words| Paragraph::note(words)));
        read.push((number, paragraphs));
    }
    if read.is_empty() {
        return Err(ExtractError::damaged("no page was found in it"));
    }
    if forms_left == 0 {
        draft.warn("Its drawings hold each other too often, and some were left out.".to_owned());
    }
    if unknown > 0 {
        draft.warn(format!("{unknown} characters stand in fonts that do not say what they mean."));
    }
    let sizes = Sizes::of(&read);
    for (number, paragraphs) in read {
        write_page(number, &paragraphs, &sizes, draft);
    }
    Ok(())
}

fn load(bytes: &[u8]) -> Result<Document, ExtractError> {
    let mut document = parse(bytes)?;
    if let Some(updated) = lock::in_an_object(bytes, &document) {
        document = parse(&updated)?;
    }
    if !document.is_encrypted() && !document.was_encrypted() {
        fill_streams(&mut document, bytes);
    }
    // Most locked files open with an empty password: only printing and copying are forbidden.
    if document.is_encrypted() && document.decrypt("").is_err() {
        return Err(ExtractError::needs_password());
    }
    Ok(document)
}

fn parse(bytes: &[u8]) -> Result<Document, ExtractError> {
    let options = LoadOptions::with_max_decompressed_size(MAX_STREAM_BYTES);
    Document::load_mem_with_options(bytes, options).map_err(|error| match error {
        lopdf::Error::InvalidPassword | lopdf::Error::Decryption(_) => ExtractError::needs_password(),
        lopdf::Error::Decompress(_) => {
            ExtractError::too_large("A part of the PDF unpacks to more than anybody could read.")
        }
        _ => ExtractError::damaged("it is no complete PDF"),
    })
}

/// Fills streams that state no length, or one that is lost: they end where a word says so.
fn fill_streams(document: &mut Document, bytes: &[u8]) {
    const END: &[u8] = b"endstream";
    let offset = bytes.windows(5).position(|window| window == b"%PDF-").unwrap_or_default();
    let file = &bytes[offset..];
    let mut ends: Option<Vec<usize>> = None;
    for object in document.objects.values_mut() {
        let Object::Stream(stream) = object else { continue };
        let Some(start) = stream.start_position.filter(|_| stream.content.is_empty()) else { continue };
        // Looked for once, however many streams there are.
        let ends = ends.get_or_insert_with(|| (0..file.len()).filter(|at| file[*at..].starts_with(END)).collect());
        if let Some(end) = ends.get(ends.partition_point(|end| *end < start)) {
            stream.set_content(file[start..*end].to_vec());
        }
    }
}

/// The title in the file's properties, unless a program put the file's name there.
fn title(document: &Document) -> Option<String> {
    let info = document.trailer.get_deref(b"Info", document).and_then(Object::as_dict).ok()?;
    let title = decode_text_string(info.get_deref(b"Title", document).ok()?).ok()?;
    let lower = title.to_lowercase();
    let junk = lower.starts_with("microsoft ")
        || lower.starts_with("untitled")
        || [".doc", ".docx", ".pdf", ".indd", ".tex", ".dvi", ".ppt", ".pptx", ".xls", ".qxd", ".rtf"]
            .iter()
            .any(|extension| lower.ends_with(extension));
    (!junk && !title.trim().is_empty()).then_some(title)
}

fn write_page(number: u32, paragraphs: &[Paragraph], sizes: &Sizes, draft: &mut Draft) {
    draft.end_block();
    let start = draft.len();
    for paragraph in paragraphs {
        draft.end_block();
        let at = draft.open();
        for line in &paragraph.lines {
            draft.words(line);
            draft.end_line();
        }
        if let Some(level) = sizes.level(paragraph) {
            draft.close(at, MarkKind::Heading { level });
        }
    }
    draft.close(start, MarkKind::Page { number });
}

/// How large the document's letters are: its body, and what is so much larger that it must be headings.
struct Sizes {
    body: f32,
    headings: Vec<f32>,
}

impl Sizes {
    fn of(pages: &[(u32, Vec<Paragraph>)]) -> Self {
        let paragraphs = || pages.iter().flat_map(|(_, paragraphs)| paragraphs).filter(|paragraph| paragraph.upright);
        let mut letters: Vec<(f32, usize)> = Vec::new();
        for paragraph in paragraphs() {
            let length = paragraph.lines.iter().map(String::len).sum::<usize>();
            match letters.iter_mut().find(|(size, _)| (*size - paragraph.size).abs() < 0.05) {
                Some((_, sum)) => *sum += length,
                None => letters.push((paragraph.size, length)),
            }
        }
        let body = letters.iter().max_by_key(|(_, length)| *length).map_or(0.0, |(size, _)| *size);
        let mut headings: Vec<f32> =
            letters.iter().map(|(size, _)| *size).filter(|size| *size > body * HEADING_RATIO).collect();
        let large: usize =
            letters.iter().filter(|(size, _)| *size > body * HEADING_RATIO).map(|(_, length)| length).sum();
        let all: usize = letters.iter().map(|(_, length)| length).sum();
        // Where so much is large, as where recognised scans size each line, size says nothing of headings.
        if large * HEADINGS_ONE_IN > all {
            headings.clear();
        }
        headings.sort_by(|a, b| b.total_cmp(a));
        // Sizes within a few hundredths are one size drawn by two fonts.
        headings.dedup_by(|a, b| *a > *b * 0.96);
        Self { body, headings }
    }

    /// The level of a heading; none for anything else.
    fn level(&self, paragraph: &Paragraph) -> Option<u8> {
        let length: usize = paragraph.lines.iter().map(|line| line.chars().count()).sum();
        let letters = paragraph.lines.iter().flat_map(|line| line.chars()).filter(|c| c.is_alphabetic()).count();
        if !paragraph.upright
            || paragraph.size <= self.body * HEADING_RATIO
            || length > MAX_HEADING_CHARS
            || letters < 3
        {
            return None;
        }
        let rank = self.headings.iter().position(|size| paragraph.size >= size * 0.96)?;
        u8::try_from(rank.min(HEADING_LEVELS - 1) + 1).ok()
    }
}

/// Degrees that a page is turned clockwise to be shown, as it or a node above it in the tree of pages says.
fn rotation(page: ObjectId, document: &Document) -> u16 {
    let mut node = document.get_dictionary(page).ok();
    for _ in 0..MAX_PAGE_DEPTH {
        let Some(here) = node else { break };
        if let Some(degrees) = value(here, b"Rotate", document).and_then(|degrees| degrees.as_i64().ok()) {
            return u16::try_from(degrees.rem_euclid(360)).unwrap_or_default();
        }
        node = dictionary(here, b"Parent", document);
    }
    0
}

/// What a stream holds once unpacked; none when that cannot be done, or is larger than anybody's.
///
/// `lopdf` follows no references to filters and knows none of their short names.
fn unpacked(stream: &Stream, document: &Document) -> Option<Vec<u8>> {
    let filters: Vec<&[u8]> = match value(&stream.dict, b"Filter", document) {
        Some(Object::Array(filters)) => {
            filters.iter().filter_map(|filter| document.dereference(filter).ok()?.1.as_name().ok()).collect()
        }
        Some(filter) => filter.as_name().ok().into_iter().collect(),
        None => Vec::new(),
    };
    let plain = |filter: &[u8]| Object::Name(full_name(filter).to_vec());
    let mut stream = Stream::new(stream.dict.clone(), stream.content.clone());
    stream.dict.set("Filter", filters.into_iter().filter(|name| *name != b"Crypt").map(plain).collect::<Vec<_>>());
    if let Some(parameters) = value(&stream.dict, b"DecodeParms", document).cloned() {
        stream.dict.set("DecodeParms", parameters);
    }
    stream.get_plain_content_with_limit(MAX_STREAM_BYTES).ok()
}

/// The full name of a filter (ISO 32000-1, table 94).
fn full_name(filter: &[u8]) -> &[u8] {
    match filter {
        b"Fl" => b"FlateDecode",
        b"LZW" => b"LZWDecode",
        b"A85" => b"ASCII85Decode",
        b"AHx" => b"ASCIIHexDecode",
        b"RL" => b"RunLengthDecode",
        name => name,
    }
}

/// A value of a dictionary, followed through references.
fn value<'a>(dictionary: &'a Dictionary, key: &[u8], document: &'a Document) -> Option<&'a Object> {
    dictionary.get_deref(key, document).ok()
}

/// A dictionary in a dictionary, followed through references; of a stream, its dictionary.
fn dictionary<'a>(parent: &'a Dictionary, key: &[u8], document: &'a Document) -> Option<&'a Dictionary> {
    match value(parent, key, document)? {
        Object::Dictionary(found) => Some(found),
        Object::Stream(stream) => Some(&stream.dict),
        _ => None,
    }
}

/// An object as a number.
fn number(object: &Object) -> Option<f32> {
    object.as_float().ok().filter(|number| number.is_finite())
}

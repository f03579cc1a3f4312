//! XML as a stream of elements and words; the base of every format made of XML.
//!
//! Namespaces are dropped, entities of the document's own are never expanded, and attributes are looked up without the
//! check for duplicates, whose cost is quadratic.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::domain::MarkKind;
use crate::ingest::ExtractError;
use crate::ingest::draft::Draft;

/// What happens while a document goes by.
pub(super) trait Visitor {
    /// An element opens.
    fn open(&mut self, element: &Element);
    /// An element closes; `name` without its namespace.
    fn close(&mut self, name: &str);
    /// Words, with references resolved.
    fn words(&mut self, words: &str);
}

/// An element that opens.
pub(super) struct Element<'a>(&'a BytesStart<'a>);

impl Element<'_> {
    /// Its name without the namespace.
    pub fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// The value of the first attribute of this name, whatever its namespace.
    pub fn attribute(&self, name: &str) -> Option<String> {
        self.attribute_where(name, |_| true)
    }

    /// The first value of an attribute of this name, whatever its namespace, that is accepted.
    pub fn attribute_where(&self, name: &str, accept: impl Fn(&str) -> bool) -> Option<String> {
        let mut attributes = self.0.attributes();
        let mut found = attributes.with_checks(false).flatten();
        let found = found.find(|found| found.key.local_name().into_inner() == name && accept(&found.value))?;
        Some(quick_xml::escape::unescape(&found.value).map_or_else(|_| found.value.to_string(), Cow::into_owned))
    }
}

/// Shows a document to a visitor.
///
/// # Errors
/// `damaged_file` when it is no XML, or uses entities of its own.
pub(super) fn walk(xml: &str, visitor: &mut impl Visitor) -> Result<(), ExtractError> {
    let mut reader = Reader::from_str(xml);
    let config = reader.config_mut();
    config.expand_empty_elements = true;
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    loop {
        match reader.read_event().map_err(|_| ExtractError::damaged("its XML is broken"))? {
            Event::Start(start) => visitor.open(&Element(&start)),
            Event::End(end) => visitor.close(end.local_name().into_inner()),
            Event::Text(text) => visitor.words(&text),
            Event::CData(text) => visitor.words(&text),
            Event::GeneralRef(reference) => visitor.words(&resolve(&reference)?),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// Characters by number, and the names that XML and HTML define.
fn resolve(reference: &BytesRef) -> Result<String, ExtractError> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Ok(character.to_string());
    }
    let name: &str = reference;
    let character = match name {
        "lt" => "<",
        "gt" => ">",
        "amp" => "&",
        "quot" => "\"",
        "apos" => "'",
        "nbsp" => " ",
        "ndash" => "–",
        "mdash" => "—",
        "hellip" => "…",
        "copy" => "©",
        _ => {
            return Err(ExtractError::damaged(
                "it defines words of its own (XML entities), which are not replaced for safety",
            ));
        }
    };
    Ok(character.to_owned())
}

/// Reads any XML: the words of each element that has some, as lines.
pub(super) fn read(xml: &str, draft: &mut Draft) -> Result<(), ExtractError> {
    walk(xml, &mut Plain { draft, open: Vec::new(), title: None })
}

/// Elements of well-known vocabularies that name what follows.
const HEADINGS: [&str; 4] = ["title", "heading", "head", "article-title"];

struct Plain<'a> {
    draft: &'a mut Draft,
    /// For each open element, whether words stood in it beside elements: then those are inline.
    open: Vec<bool>,
    /// Where the heading that is open starts, and how deep it is.
    title: Option<(usize, usize)>,
}

impl Visitor for Plain<'_> {
    fn open(&mut self, element: &Element) {
        if !self.open.last().copied().unwrap_or_default() {
            self.draft.end_line();
        }
        self.open.push(false);
        if self.title.is_none() && HEADINGS.contains(&element.name()) {
            self.draft.end_block();
            self.title = Some((self.draft.open(), self.open.len()));
        }
    }

    fn close(&mut self, _name: &str) {
        if let Some((start, depth)) = self.title
            && depth == self.open.len()
        {
            let level = u8::try_from(depth.saturating_sub(1)).unwrap_or(6).clamp(1, 6);
            self.draft.close(start, MarkKind::Heading { level });
            self.draft.end_block();
            self.title = None;
        }
        self.open.pop();
        if !self.open.last().copied().unwrap_or_default() {
            self.draft.end_line();
        }
    }

    fn words(&mut self, words: &str) {
        if let Some(mixed) = self.open.last_mut()
            && !words.trim().is_empty()
        {
            *mixed = true;
        }
        self.draft.words(words);
    }
}

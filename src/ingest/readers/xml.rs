//! XML as a stream of elements and words; the base of every format made of XML.
//!
//! Namespaces are dropped, attributes are looked up without the check for duplicates, whose cost is quadratic. Entities of
//! the document's own are replaced when they are short plain words; what would unfold further stays as it is written.

use std::borrow::Cow;
use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::domain::MarkKind;
use crate::ingest::ExtractError;
use crate::ingest::draft::Draft;

/// Longest entity of a document's own that is replaced, bytes.
const MAX_ENTITY_BYTES: usize = 200;
/// Most entities of a document's own.
const MAX_ENTITIES: usize = 1000;

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
        Some(unescaped(&found.value))
    }

    /// All attributes but declarations of namespaces: name without its own, and value.
    pub fn attributes(&self) -> impl Iterator<Item = (String, String)> {
        let mut attributes = self.0.attributes();
        attributes.with_checks(false);
        attributes
            .flatten()
            .filter(|attribute| attribute.key.as_namespace_binding().is_none())
            .map(|attribute| (attribute.key.local_name().into_inner().to_owned(), unescaped(&attribute.value)))
    }
}

fn unescaped(value: &str) -> String {
    quick_xml::escape::unescape(value).map_or_else(|_| value.to_owned(), Cow::into_owned)
}

/// Shows a document to a visitor.
///
/// # Errors
/// `damaged_file` when it is no XML.
pub(super) fn walk(xml: &str, visitor: &mut impl Visitor) -> Result<(), ExtractError> {
    let mut reader = Reader::from_str(xml);
    let config = reader.config_mut();
    config.expand_empty_elements = true;
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    let mut entities = HashMap::new();
    loop {
        match reader.read_event().map_err(|_| ExtractError::damaged("its XML is broken"))? {
            Event::Start(start) => visitor.open(&Element(&start)),
            Event::End(end) => visitor.close(end.local_name().into_inner()),
            Event::Text(text) => visitor.words(&text),
            Event::CData(text) => visitor.words(&text),
            Event::GeneralRef(reference) => visitor.words(&resolve(&reference, &entities)),
            Event::DocType(declared) => entities = own_entities(&declared),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// Characters by number, names that XML and HTML define, and the document's own; others stay as they are.
fn resolve(reference: &BytesRef, entities: &HashMap<String, String>) -> String {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return character.to_string();
    }
    let name: &str = reference;
    let known = match name {
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
        name => return entities.get(name).cloned().unwrap_or_else(|| format!("&{name};")),
    };
    known.to_owned()
}

/// The entities that a document type declares as short plain words: `<!ENTITY name "words">`. One that refers to
/// others or to another file is none, so nothing unfolds into more than its own length.
fn own_entities(declared: &str) -> HashMap<String, String> {
    let entity = |declaration: &str| {
        let (name, rest) = declaration.trim_start().split_once(char::is_whitespace)?;
        let rest = rest.trim_start();
        let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        let (words, _) = rest[1..].split_once(quote)?;
        let plain = words.len() <= MAX_ENTITY_BYTES && !words.contains(['&', '%', '<']);
        plain.then(|| (name.to_owned(), words.to_owned()))
    };
    declared.split("<!ENTITY").skip(1).take(MAX_ENTITIES).filter_map(entity).collect()
}

/// Reads any XML: the words of each element that has some, as lines; where there are none, what its attributes say.
pub(super) fn read(xml: &str, draft: &mut Draft) -> Result<(), ExtractError> {
    let before = draft.len();
    walk(xml, &mut Plain { draft, open: Vec::new(), title: None })?;
    if draft.since(before).trim().is_empty() { walk(xml, &mut Attributes(draft)) } else { Ok(()) }
}

/// A document that keeps what it says in attributes: a line for each element.
struct Attributes<'a>(&'a mut Draft);

impl Visitor for Attributes<'_> {
    fn open(&mut self, element: &Element) {
        let said: Vec<String> = element.attributes().map(|(name, value)| format!("{name}: {value}")).collect();
        if !said.is_empty() {
            self.0.words(&format!("{} ({})", element.name(), said.join(", ")));
            self.0.end_line();
        }
    }

    fn close(&mut self, _name: &str) {}

    fn words(&mut self, _words: &str) {}
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

#[cfg(test)]
mod tests {
    use crate::ingest::{ReadLimits, extract_here};

    fn read(xml: &str) -> String {
        extract_here("a.xml", xml.as_bytes(), &ReadLimits { max_text_bytes: 1 << 20 }).unwrap().text
    }

    #[test]
    fn elements_are_lines_and_inline_ones_are_not() {
        assert_eq!(
            read("<?xml version='1.0'?><d:a xmlns:d='u'><b>one <i>two</i> three</b><b>&#x41;&amp;</b></d:a>"),
            "one two three\nA&"
        );
    }

    #[test]
    fn short_entities_are_replaced_and_bombs_stay_folded() {
        let xml = "<?xml version='1.0'?><!DOCTYPE d [<!ENTITY co 'Acme'><!ENTITY a \"&co;&co;\"><!ENTITY f SYSTEM 'file:///etc/passwd'>]>\
            <d>&co; &a; &f; &unknown;</d>";
        assert_eq!(read(xml), "Acme &a; &f; &unknown;");
    }

    #[test]
    fn where_only_attributes_say_something_they_are_read() {
        assert_eq!(
            read("<?xml version='1.0'?><l xmlns='u'><i name='Tea' price='2'/><i name='R&amp;D'/></l>"),
            "i (name: Tea, price: 2)\ni (name: R&D)"
        );
    }
}

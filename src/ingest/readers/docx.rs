//! DOCX: WordprocessingML (ECMA-376 part 1, 17).

use std::collections::HashMap;

use super::body::{Body, Paragraphs, Style, outline_level};
use super::budget::Budget;
use super::chart;
use super::numbering::Numbering;
use super::package::Package;
use super::parts::{Relation, core_title, relations};
use super::read_part;
use super::xml::{Element, Visitor, walk};
use crate::ingest::ExtractError;
use crate::ingest::draft::Draft;

/// What a document shows besides its body, in the order it is written after it.
const BESIDES: [&str; 7] = ["footnotes", "endnotes", "comments", "header", "footer", "chart", "diagramData"];

/// Reads a document whose main part is `main`.
pub(super) fn read(
    package: &mut Package,
    main: &str,
    draft: &mut Draft,
    budget: &mut Budget,
) -> Result<(), ExtractError> {
    let relations = relations(package, main, budget)?;
    let mut styles = Styles::default();
    visit(package, &relations, "styles", &mut styles, budget)?;
    let mut numbering = Numbering::default();
    visit(package, &relations, "numbering", &mut numbering, budget)?;
    let mut paragraphs = Paragraphs { styles: styles.resolved(), numbering };
    let body = package.text(main, budget)?.ok_or_else(|| ExtractError::damaged("its main part is missing"))?;
    walk(&body, &mut Body::new(draft, &mut paragraphs))?;
    for kind in BESIDES {
        let mut seen: Vec<String> = Vec::new();
        for relation in relations.iter().filter(|relation| relation.kind == kind) {
            let Some(xml) = package.text(&relation.target, budget)? else { continue };
            // The same header for first, odd and even pages says nothing new.
            if seen.contains(&xml) {
                continue;
            }
            match kind {
                "chart" => chart::read(&xml, draft)?,
                _ => walk(&xml, &mut Body::new(draft, &mut paragraphs))?,
            }
            seen.push(xml);
        }
    }
    if let Some(title) = core_title(package, budget)? {
        draft.title(&title);
    }
    // Documents of other formats that were put in whole.
    for relation in relations.iter().filter(|relation| relation.kind == "aFChunk") {
        read_part(&relation.target, draft, budget, |draft, budget| {
            let bytes = package.read(&relation.target, budget)?.unwrap_or_default();
            super::read(&relation.target, &bytes, draft, budget).map(|_| ())
        })?;
    }
    Ok(())
}

/// Shows the related part of a kind, if there is one.
fn visit(
    package: &mut Package,
    relations: &[Relation],
    kind: &str,
    visitor: &mut impl Visitor,
    budget: &mut Budget,
) -> Result<(), ExtractError> {
    let part = relations.iter().find(|relation| relation.kind == kind);
    match part.map(|relation| package.text(&relation.target, budget)).transpose()?.flatten() {
        Some(xml) => walk(&xml, visitor),
        None => Ok(()),
    }
}

/// Paragraph styles by id: which are headings, and which are numbered.
#[derive(Default)]
struct Styles {
    current: String,
    found: HashMap<String, Stated>,
}

/// What a style states itself, and the style it takes the rest from.
#[derive(Default)]
struct Stated {
    style: Style,
    based_on: Option<String>,
}

impl Styles {
    /// Styles with what they take over from the ones they are based on.
    fn resolved(&self) -> HashMap<String, Style> {
        self.found.keys().map(|id| (id.clone(), self.style(id))).collect()
    }

    fn style(&self, id: &str) -> Style {
        let mut style = Style::default();
        let mut next = self.found.get(id);
        // A chain of a few styles; one that bites its tail ends here.
        for _ in 0..10 {
            let Some(stated) = next else { break };
            style.level = style.level.or(stated.style.level);
            style.list = style.list.or(stated.style.list);
            style.depth = style.depth.or(stated.style.depth);
            next = stated.based_on.as_ref().and_then(|id| self.found.get(id));
        }
        style
    }
}

impl Visitor for Styles {
    fn open(&mut self, element: &Element) {
        if element.name() == "style" {
            self.current = element.attribute("styleId").unwrap_or_default();
            self.found.insert(self.current.clone(), Stated::default());
            return;
        }
        let Some(Stated { style, based_on }) = self.found.get_mut(&self.current) else { return };
        let value = element.attribute("val").unwrap_or_default();
        match element.name() {
            "name" => style.level = heading_level(&value).or(style.level),
            "basedOn" => *based_on = Some(value),
            "outlineLvl" => style.level = outline_level(&value).or(style.level),
            "numId" => style.list = value.parse().ok(),
            "ilvl" => style.depth = value.parse().ok(),
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        if name == "style" {
            self.current.clear();
        }
    }

    fn words(&mut self, _words: &str) {}
}

/// The level that a built-in style's name means; Word stores these names in English whatever it shows.
fn heading_level(name: &str) -> Option<u8> {
    let name = name.to_ascii_lowercase();
    if name == "title" {
        return Some(1);
    }
    name.strip_prefix("heading ")?.trim().parse().ok().filter(|level| (1..=9).contains(level))
}

#[cfg(test)]
mod tests {
    use crate::domain::{Extracted, MarkKind};
    use crate::ingest::readers::package::tests::office;
    use crate::ingest::{ReadLimits, extract_here};

    fn read(body: &str, others: &[(&str, &str, &str)]) -> Extracted {
        let names: Vec<String> = others.iter().map(|(kind, ..)| format!("word/{kind}.xml")).collect();
        let related: Vec<_> = others.iter().zip(&names).map(|((kind, id, _), name)| (*id, *kind, &name[5..])).collect();
        let mut parts = vec![("word/document.xml", body, &related[..])];
        parts.extend(others.iter().zip(&names).map(|((.., xml), name)| (name.as_str(), *xml, &[][..])));
        extract_here("", &office(&parts), &ReadLimits { max_text_bytes: 10_000 }).unwrap()
    }

    #[test]
    fn headings_and_items_are_numbered_as_word_shows_them() {
        let styles = "<w:styles><w:style w:styleId='H'><w:name w:val='heading 1'/><w:numPr><w:numId w:val='1'/></w:numPr></w:style>\
            <w:style w:styleId='S'><w:basedOn w:val='H'/></w:style></w:styles>";
        let numbering = "<w:numbering><w:abstractNum w:abstractNumId='0'><w:lvl w:ilvl='0'><w:start w:val='1'/>\
            <w:numFmt w:val='upperRoman'/><w:lvlText w:val='%1.'/></w:lvl></w:abstractNum>\
            <w:num w:numId='1'><w:abstractNumId w:val='0'/></w:num></w:numbering>";
        let body = "<w:body><w:p><w:pPr><w:pStyle w:val='S'/></w:pPr><w:r><w:t>One</w:t></w:r></w:p><w:p><w:r><w:t>text</w:t></w:r></w:p>\
            <w:p><w:pPr><w:pStyle w:val='H'/></w:pPr><w:r><w:t>Two</w:t></w:r></w:p>\
            <w:p><w:pPr><w:numPr><w:ilvl w:val='0'/><w:numId w:val='9'/></w:numPr></w:pPr><w:r><w:t>a</w:t></w:r></w:p>\
            <w:p><w:pPr><w:numPr><w:ilvl w:val='0'/><w:numId w:val='1'/></w:numPr><w:pStyle w:val='L'/></w:pPr><w:r><w:t>b</w:t></w:r></w:p></w:body>";
        let read = read(body, &[("styles", "s", styles), ("numbering", "n", numbering)]);
        assert_eq!(read.text, "I. One\n\ntext\n\nII. Two\n\n- a\n\nIII. b");
        assert_eq!(read.marks[0].kind, MarkKind::Heading { level: 1 });
        assert_eq!(&read.text[read.marks[1].start..read.marks[1].end], "II. Two");
    }

    #[test]
    fn notes_comments_and_charts_follow_the_body_and_deleted_words_do_not() {
        let body = "<w:body><w:p><w:r><w:t>kept</w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>\
            <w:ins><w:r><w:t xml:space='preserve'> new</w:t></w:r></w:ins></w:p></w:body>";
        let part = |words: &str| format!("<x><w:p><w:r><w:t>{words}</w:t></w:r></w:p></x>");
        let chart = "<c:chartSpace><c:title><a:p><a:t>Sales</a:t></a:p></c:title></c:chartSpace>";
        let others = [("comments", "a", &*part("why?")), ("footnotes", "b", &*part("note")), ("chart", "c", chart)];
        assert_eq!(read(body, &others).text, "kept new\n\nnote\n\nwhy?\n\nSales");
    }
}

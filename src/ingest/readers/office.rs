//! DOCX and PPTX: Office Open XML (ECMA-376).

use std::collections::HashMap;

use super::budget::Budget;
use super::grid::Grids;
use super::package::Package;
use super::parts::{core_title, relations};
use super::xml::{Element, Visitor, walk};
use crate::domain::MarkKind;
use crate::ingest::ExtractError;
use crate::ingest::draft::Draft;

/// Reads a Word document whose main part is `main`.
pub(super) fn read_docx(
    package: &mut Package,
    main: &str,
    draft: &mut Draft,
    budget: &mut Budget,
) -> Result<(), ExtractError> {
    let relations = relations(package, main, budget)?;
    let part =
        |kind: &str| relations.iter().find(|relation| relation.kind == kind).map(|relation| relation.target.clone());
    let mut styles = Styles::default();
    if let Some(name) = part("styles")
        && let Some(xml) = package.text(&name, budget)?
    {
        walk(&xml, &mut styles)?;
    }
    let levels = styles.levels();
    let body = package.text(main, budget)?.ok_or_else(|| ExtractError::damaged("its main part is missing"))?;
    walk(&body, &mut Body::new(draft, &levels))?;
    for kind in ["footnotes", "endnotes", "header", "footer"] {
        let mut seen: Vec<String> = Vec::new();
        for relation in relations.iter().filter(|relation| relation.kind == kind) {
            let Some(xml) = package.text(&relation.target, budget)? else { continue };
            // The same header for first, odd and even pages says nothing new.
            if !seen.contains(&xml) {
                walk(&xml, &mut Body::new(draft, &levels))?;
                seen.push(xml);
            }
        }
    }
    if let Some(title) = core_title(package, budget)? {
        draft.title(&title);
    }
    Ok(())
}

/// Reads a presentation whose main part is `main`: slide by slide, each with its notes.
pub(super) fn read_pptx(
    package: &mut Package,
    main: &str,
    draft: &mut Draft,
    budget: &mut Budget,
) -> Result<(), ExtractError> {
    if let Some(title) = core_title(package, budget)? {
        draft.title(&title);
    }
    let presentation = package.text(main, budget)?.ok_or_else(|| ExtractError::damaged("its main part is missing"))?;
    let mut order = SlideOrder(Vec::new());
    walk(&presentation, &mut order)?;
    let relations = relations(package, main, budget)?;
    let targets: HashMap<&str, &str> =
        relations.iter().map(|relation| (relation.id.as_str(), relation.target.as_str())).collect();
    for (number, id) in (1..).zip(&order.0) {
        let Some(slide) = targets.get(id.as_str()) else { continue };
        draft.end_block();
        let start = draft.open();
        read_slide(package, slide, draft, budget)?;
        draft.close(start, MarkKind::Slide { number });
    }
    Ok(())
}

fn read_slide(package: &mut Package, slide: &str, draft: &mut Draft, budget: &mut Budget) -> Result<(), ExtractError> {
    let levels = HashMap::new();
    let Some(xml) = package.text(slide, budget)? else {
        draft.warn("A slide is missing from the file.");
        return Ok(());
    };
    walk(&xml, &mut Body::new(draft, &levels))?;
    for relation in relations(package, slide, budget)? {
        if matches!(relation.kind.as_str(), "notesSlide" | "diagramData")
            && let Some(xml) = package.text(&relation.target, budget)?
        {
            walk(&xml, &mut Body::new(draft, &levels))?;
        }
    }
    Ok(())
}

/// The slides' relationship ids, in the order they are shown.
struct SlideOrder(Vec<String>);

impl Visitor for SlideOrder {
    fn open(&mut self, element: &Element) {
        if element.name() == "sldId" {
            // It has two: the slide's number, and the name of the relationship.
            self.0.extend(element.attribute_where("id", |id| id.parse::<u64>().is_err()));
        }
    }

    fn close(&mut self, _name: &str) {}

    fn words(&mut self, _words: &str) {}
}

/// Paragraph styles by id: which are headings.
#[derive(Default)]
struct Styles {
    current: String,
    found: HashMap<String, Style>,
}

#[derive(Default)]
struct Style {
    level: Option<u8>,
    based_on: Option<String>,
}

impl Styles {
    /// Heading levels by style id; a style takes over the level of the one it is based on.
    fn levels(&self) -> HashMap<String, u8> {
        self.found.keys().filter_map(|id| Some((id.clone(), self.level(id)?))).collect()
    }

    fn level(&self, id: &str) -> Option<u8> {
        let mut style = self.found.get(id)?;
        // A chain of a few styles; one that bites its tail ends here.
        for _ in 0..10 {
            if style.level.is_some() {
                return style.level;
            }
            style = self.found.get(style.based_on.as_ref()?)?;
        }
        None
    }
}

impl Visitor for Styles {
    fn open(&mut self, element: &Element) {
        if element.name() == "style" {
            self.current = element.attribute("styleId").unwrap_or_default();
            self.found.insert(self.current.clone(), Style::default());
            return;
        }
        let Some(style) = self.found.get_mut(&self.current) else { return };
        let value = element.attribute("val").unwrap_or_default();
        match element.name() {
            "name" => style.level = heading_level(&value).or(style.level),
            "basedOn" => style.based_on = Some(value),
            "outlineLvl" => style.level = outline_level(&value).or(style.level),
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

/// Outline levels count from 0, and 9 is body text.
fn outline_level(value: &str) -> Option<u8> {
    value.parse::<u8>().ok().filter(|level| *level < 9).map(|level| level + 1)
}

/// Elements whose words are not the document's: field codes, deleted text, what older programs show instead.
const DROPPED: [&str; 6] = ["instrText", "delText", "delInstrText", "Fallback", "moveFrom", "fldSimpleCode"];

/// The flow of paragraphs and tables in a part.
struct Body<'a> {
    draft: &'a mut Draft,
    levels: &'a HashMap<String, u8>,
    grids: Grids,
    /// The dropped element we are in, and how many of its name are open.
    skipping: Option<(&'static str, usize)>,
    /// Whether words count: text stands in `t` only.
    in_text: bool,
    /// The open paragraphs; one in a text box stands inside another.
    paragraphs: Vec<Paragraph>,
    /// Whether the shape is its slide's title.
    is_title: bool,
}

#[derive(Default)]
struct Paragraph {
    level: Option<u8>,
    listed: bool,
    /// Where its first word stands.
    start: Option<usize>,
}

impl<'a> Body<'a> {
    fn new(draft: &'a mut Draft, levels: &'a HashMap<String, u8>) -> Self {
        draft.end_block();
        Self {
            draft,
            levels,
            grids: Grids::default(),
            skipping: None,
            in_text: false,
            paragraphs: Vec::new(),
            is_title: false,
        }
    }

    fn start_paragraph(&mut self) {
        self.end_words();
        let level = self.is_title.then_some(1);
        self.paragraphs.push(Paragraph { level, ..Paragraph::default() });
    }

    fn end_paragraph(&mut self) {
        self.end_words();
        if let Some(Paragraph { level: Some(level), start: Some(start), .. }) = self.paragraphs.pop() {
            self.draft.close(start, MarkKind::Heading { level: level.min(6) });
            self.draft.end_block();
        }
    }

    /// Ends the paragraph's line, or parts it from the next within a cell.
    fn end_words(&mut self) {
        if self.grids.in_cell() {
            self.grids.words(" ", self.draft);
        } else if self.paragraphs.last().is_some_and(|paragraph| paragraph.listed) {
            self.draft.end_line();
        } else {
            self.draft.end_block();
        }
    }

    fn write(&mut self, words: &str) {
        if self.grids.in_cell() {
            return self.grids.words(words, self.draft);
        }
        if let Some(paragraph) = self.paragraphs.last_mut()
            && paragraph.start.is_none()
            && !words.trim().is_empty()
        {
            if paragraph.level.is_some() || !paragraph.listed {
                self.draft.end_block();
            }
            paragraph.start = Some(self.draft.open());
            if paragraph.listed && paragraph.level.is_none() {
                self.draft.words("- ");
            }
        }
        self.draft.words(words);
    }

    fn property(&mut self, element: &Element) {
        let value = element.attribute("val").unwrap_or_default();
        let Some(paragraph) = self.paragraphs.last_mut() else { return };
        match element.name() {
            "pStyle" => paragraph.level = self.levels.get(&value).copied(),
            "outlineLvl" => paragraph.level = outline_level(&value),
            "numPr" => paragraph.listed = true,
            _ => {}
        }
    }
}

impl Visitor for Body<'_> {
    fn open(&mut self, element: &Element) {
        let name = element.name();
        if let Some((skipped, depth)) = &mut self.skipping {
            *depth += usize::from(*skipped == name);
            return;
        }
        if let Some(dropped) = DROPPED.iter().copied().find(|dropped| *dropped == name) {
            self.skipping = Some((dropped, 1));
            return;
        }
        match name {
            "t" => self.in_text = true,
            "p" => self.start_paragraph(),
            "pStyle" | "outlineLvl" | "numPr" => self.property(element),
            "tab" | "ptab" => self.write(" "),
            "br" | "cr" if self.grids.in_cell() => self.write(" "),
            "br" | "cr" => self.draft.end_line(),
            "noBreakHyphen" => self.write("-"),
            "tbl" => self.grids.start_table(self.draft),
            "tr" => self.grids.start_row(self.draft),
            "tc" => self.grids.start_cell(self.draft),
            "sp" => self.is_title = false,
            "ph" => self.is_title = matches!(element.attribute("type").as_deref(), Some("title" | "ctrTitle")),
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        if let Some((skipped, depth)) = &mut self.skipping {
            *depth -= usize::from(*skipped == name);
            if *depth == 0 {
                self.skipping = None;
            }
            return;
        }
        match name {
            "t" => self.in_text = false,
            "p" => self.end_paragraph(),
            "tc" => self.grids.end_cell(self.draft),
            "tbl" => self.grids.end_table(self.draft),
            "sp" => self.is_title = false,
            _ => {}
        }
    }

    fn words(&mut self, words: &str) {
        if self.in_text && self.skipping.is_none() {
            self.write(words);
        }
    }
}

//! PPTX: PresentationML (ECMA-376 part 1, 19).

use std::collections::HashMap;

use super::body::{Body, Paragraphs};
use super::budget::Budget;
use super::chart;
use super::package::Package;
use super::parts::{core_title, relations};
use super::xml::{Element, Visitor, walk};
use crate::domain::MarkKind;
use crate::ingest::ExtractError;
use crate::ingest::draft::Draft;

/// Reads a presentation whose main part is `main`: slide by slide, each with its notes.
pub(super) fn read(
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
        let start = draft.len();
        read_slide(package, slide, draft, budget)?;
        draft.close(start, MarkKind::Slide { number });
    }
    Ok(())
}

fn read_slide(package: &mut Package, slide: &str, draft: &mut Draft, budget: &mut Budget) -> Result<(), ExtractError> {
    let mut paragraphs = Paragraphs::default();
    let Some(xml) = package.text(slide, budget)? else {
        draft.warn("A slide is missing from the file.");
        return Ok(());
    };
    walk(&xml, &mut Body::new(draft, &mut paragraphs))?;
    for relation in relations(package, slide, budget)? {
        if !matches!(relation.kind.as_str(), "notesSlide" | "diagramData" | "comments" | "chart") {
            continue;
        }
        match package.text(&relation.target, budget)? {
            Some(xml) if relation.kind == "chart" => chart::read(&xml, draft)?,
            Some(xml) => walk(&xml, &mut Body::new(draft, &mut paragraphs))?,
            None => {}
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

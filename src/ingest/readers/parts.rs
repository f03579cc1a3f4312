//! How the parts of an Office file refer to one another, and its properties (ECMA-376 part 2).

use super::budget::Budget;
use super::package::{Package, resolve};
use super::xml::{Element, Visitor, walk};
use crate::ingest::ExtractError;

/// A relationship of one part to another.
pub(super) struct Relation {
    /// Its id within the part, as in `r:id`.
    pub id: String,
    /// The last word of its type, as in `…/relationships/slide`.
    pub kind: String,
    /// The other part's name in the package.
    pub target: String,
}

/// The relationships of `part`, in order; `""` is the package itself.
pub(super) fn relations(package: &mut Package, part: &str, budget: &mut Budget) -> Result<Vec<Relation>, ExtractError> {
    let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
    let name = resolve("", &format!("{folder}/_rels/{file}.rels"));
    let Some(xml) = package.text(&name, budget)? else { return Ok(Vec::new()) };
    let mut relations = Relations { part, found: Vec::new() };
    walk(&xml, &mut relations)?;
    Ok(relations.found)
}

struct Relations<'a> {
    part: &'a str,
    found: Vec<Relation>,
}

impl Visitor for Relations<'_> {
    fn open(&mut self, element: &Element) {
        if element.name() != "Relationship" || element.attribute("TargetMode").is_some_and(|mode| mode == "External") {
            return;
        }
        let attribute = |name| element.attribute(name).unwrap_or_default();
        let kind = attribute("Type").rsplit('/').next().unwrap_or_default().to_owned();
        let target = resolve(self.part, &attribute("Target"));
        self.found.push(Relation { id: attribute("Id"), kind, target });
    }

    fn close(&mut self, _name: &str) {}

    fn words(&mut self, _words: &str) {}
}

/// The main part of the package: its document, presentation or workbook.
pub(super) fn main_part(package: &mut Package, budget: &mut Budget) -> Result<Option<String>, ExtractError> {
    let relations = relations(package, "", budget)?;
    Ok(relations.into_iter().find(|relation| relation.kind == "officeDocument").map(|relation| relation.target))
}

/// The title that the file's properties state.
pub(super) fn core_title(package: &mut Package, budget: &mut Budget) -> Result<Option<String>, ExtractError> {
    let mut title = Title::default();
    if let Some(xml) = package.text("docProps/core.xml", budget)? {
        walk(&xml, &mut title)?;
    }
    // Programs write the name of the file or of themselves where nobody wrote a title.
    let junk = ["Microsoft ", "Slide 1", "PowerPoint ", "Untitled"].iter().any(|start| title.words.starts_with(start));
    Ok((!junk && !title.words.trim().is_empty()).then_some(title.words))
}

/// The words of the elements named `title`.
#[derive(Default)]
pub(super) struct Title {
    inside: bool,
    /// The words.
    pub words: String,
}

impl Visitor for Title {
    fn open(&mut self, element: &Element) {
        self.inside = element.name() == "title";
    }

    fn close(&mut self, _name: &str) {
        self.inside = false;
    }

    fn words(&mut self, words: &str) {
        if self.inside {
            self.words.push_str(words);
        }
    }
}

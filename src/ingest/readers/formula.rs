//! Formulas that OpenDocument keeps as documents of their own (MathML 3), by the folder they lie in.

use std::collections::HashMap;

use super::budget::Budget;
use super::package::Package;
use super::xml::{Element, Visitor, walk};
use crate::ingest::ExtractError;

/// The symbols of each formula, in their order.
pub(super) type Formulas = HashMap<String, String>;

/// Reads all formulas of a package.
pub(super) fn read(package: &mut Package, budget: &mut Budget) -> Result<Formulas, ExtractError> {
    let mut formulas = Formulas::new();
    for name in package.names().to_vec() {
        let Some(folder) = name.strip_suffix("/content.xml") else { continue };
        let Some(xml) = package.text(&name, budget)? else { continue };
        let mut symbols = Symbols::default();
        // One that is damaged is left out, as a picture would be.
        if walk(&xml, &mut symbols).is_ok() && !symbols.found.is_empty() {
            formulas.insert(folder.to_owned(), symbols.found);
        }
    }
    Ok(formulas)
}

#[derive(Default)]
struct Symbols {
    found: String,
    in_math: bool,
    /// Annotations that are open: they repeat the formula in another language.
    annotations: usize,
}

impl Visitor for Symbols {
    fn open(&mut self, element: &Element) {
        match element.name() {
            "math" => self.in_math = true,
            "annotation" => self.annotations += 1,
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "math" => self.in_math = false,
            "annotation" => self.annotations = self.annotations.saturating_sub(1),
            _ => {}
        }
    }

    fn words(&mut self, words: &str) {
        if self.in_math && self.annotations == 0 {
            self.found.push_str(words.trim());
        }
    }
}

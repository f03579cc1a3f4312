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
        let mut symbols = Symbols::default();
        let read = package.text(&name, budget).and_then(|xml| walk(&xml.unwrap_or_default(), &mut symbols));
        match read {
            Err(error) if matches!(error.code, "too_large" | "extraction_memory") => return Err(error),
            // One that is damaged is left out, as a picture would be.
            Ok(()) if !symbols.found.is_empty() => drop(formulas.insert(folder.to_owned(), symbols.found)),
            _ => {}
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
    open: Vec<Part>,
}

/// An element that is open.
struct Part {
    is_fraction: bool,
    is_row: bool,
    /// Elements in it so far.
    parts: usize,
    /// Where its symbols begin.
    start: usize,
}

impl Symbols {
    /// The halves of a fraction are parted by a stroke.
    fn open_part(&mut self, name: &str) {
        if let Some(around) = self.open.last_mut() {
            around.parts += 1;
            if around.is_fraction && around.parts == 2 {
                self.found.push('/');
            }
        }
        let start = self.found.len();
        self.open.push(Part { is_fraction: name == "mfrac", is_row: name == "mrow", parts: 0, start });
    }

    /// Half a fraction that is more than a symbol is put in brackets.
    fn close_part(&mut self) {
        let Some(part) = self.open.pop() else { return };
        if part.is_row && part.parts > 1 && self.open.last().is_some_and(|around| around.is_fraction) {
            self.found.insert(part.start, '(');
            self.found.push(')');
        }
    }
}

impl Visitor for Symbols {
    fn open(&mut self, element: &Element) {
        self.open_part(element.name());
        match element.name() {
            "math" => self.in_math = true,
            "annotation" => self.annotations += 1,
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        self.close_part();
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

#[cfg(test)]
mod tests {
    use crate::ingest::readers::package::tests::zip;
    use crate::ingest::{ReadLimits, extract_here};

    #[test]
    fn fractions_keep_their_halves_apart_and_a_damaged_formula_is_left_out() {
        let content =
            "<office:text><text:p>So <draw:object href='A'/> holds<draw:object href='B'/>.</text:p></office:text>";
        let fraction = "<math><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mrow><mn>2</mn></mrow></mfrac></math>";
        let files: [(&str, &[u8]); 4] = [
            ("mimetype", b"application/vnd.oasis.opendocument.text"),
            ("content.xml", content.as_bytes()),
            ("A/content.xml", fraction.as_bytes()),
            ("B/content.xml", b"<math><!"),
        ];
        let read = extract_here("", &zip(&files), &ReadLimits { max_text_bytes: 1000 }).unwrap();
        assert_eq!(read.text, "So (a+b)/2 holds.");
    }
}

//! EPUB: its chapters are pages of XHTML, in the order of the spine.

use std::collections::HashMap;

use super::budget::Budget;
use super::html;
use super::package::{Package, resolve};
use super::xml::{Element, Visitor, walk};
use crate::ingest::ExtractError;
use crate::ingest::draft::Draft;

/// Reads a book.
pub(super) fn read(package: &mut Package, draft: &mut Draft, budget: &mut Budget) -> Result<(), ExtractError> {
    // Font obfuscation is in this file too, so only content that fails to unpack counts as locked.
    if package.has("META-INF/rights.xml") {
        return Err(ExtractError::needs_password());
    }
    let mut book = Book::default();
    if let Some(container) = package.text("META-INF/container.xml", budget)? {
        walk(&container, &mut book)?;
    }
    let root = book.root.clone().ok_or_else(|| ExtractError::damaged("the book's list of contents is missing"))?;
    let opf =
        package.text(&root, budget)?.ok_or_else(|| ExtractError::damaged("the book's list of contents is missing"))?;
    walk(&opf, &mut book)?;
    draft.title(&book.title);
    for id in &book.spine {
        let Some(href) = book.manifest.get(id) else { continue };
        match package.text(&resolve(&root, &decode_percent(href)), budget)? {
            Some(chapter) => html::read(&chapter, draft),
            None => draft.warn("A chapter is missing from the file."),
        }
    }
    Ok(())
}

/// What the container and the package document say.
#[derive(Default)]
struct Book {
    root: Option<String>,
    title: String,
    in_title: bool,
    /// Files by id.
    manifest: HashMap<String, String>,
    /// Ids in reading order.
    spine: Vec<String>,
}

impl Visitor for Book {
    fn open(&mut self, element: &Element) {
        let attribute = |name| element.attribute(name).unwrap_or_default();
        match element.name() {
            "rootfile" if self.root.is_none() => self.root = element.attribute("full-path"),
            "title" => self.in_title = self.title.is_empty(),
            "item" => {
                self.manifest.insert(attribute("id"), attribute("href"));
            }
            "itemref" => self.spine.push(attribute("idref")),
            _ => {}
        }
    }

    fn close(&mut self, _name: &str) {
        self.in_title = false;
    }

    fn words(&mut self, words: &str) {
        if self.in_title {
            self.title.push_str(words);
        }
    }
}

/// `%20` and its like, as in a URL.
fn decode_percent(href: &str) -> String {
    let mut bytes = Vec::with_capacity(href.len());
    let mut rest = href.split('#').next().unwrap_or_default().as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

//! What begins with ZIP's first bytes: a document of parts, or an archive of documents.

use std::path::Path;

use super::budget::Budget;
use super::package::Package;
use super::{epub, odf, office, parts, read_part, sheet};
use crate::ingest::ExtractError;
use crate::ingest::draft::Draft;

/// Reads whatever it is, and names it.
pub(super) fn read(bytes: &[u8], draft: &mut Draft, budget: &mut Budget) -> Result<&'static str, ExtractError> {
    let mut package = Package::open(bytes)?;
    let mimetype = package.text("mimetype", budget)?.unwrap_or_default();
    let opendocument = mimetype.trim().strip_prefix("application/vnd.oasis.opendocument.");
    if let Some(kind) = opendocument.or_else(|| is_opendocument(&package).then_some("text")) {
        odf::read(&mut package, draft, budget)?;
        return Ok(match kind.split('-').next() {
            Some("spreadsheet") => "ods",
            Some("presentation") => "odp",
            _ => "odt",
        });
    }
    if mimetype.trim() == "application/epub+zip" || package.has("META-INF/container.xml") {
        epub::read(&mut package, draft, budget)?;
        return Ok("epub");
    }
    match parts::main_part(&mut package, budget)?.or_else(|| main_part_by_name(&package)) {
        Some(main) => read_office(&mut package, &main, draft, budget),
        None => read_archive(&mut package, draft, budget),
    }
}

fn is_opendocument(package: &Package) -> bool {
    package.has("content.xml") && package.has("META-INF/manifest.xml")
}

/// Where Office always puts it, for a package whose list of parts is lost.
fn main_part_by_name(package: &Package) -> Option<String> {
    let names = ["word/document.xml", "ppt/presentation.xml", "xl/workbook.xml"];
    names.into_iter().find(|name| package.has(name)).map(str::to_owned)
}

fn read_office(
    package: &mut Package,
    main: &str,
    draft: &mut Draft,
    budget: &mut Budget,
) -> Result<&'static str, ExtractError> {
    match main.split('/').next().unwrap_or_default() {
        "word" => office::read_docx(package, main, draft, budget).map(|()| "docx"),
        "ppt" => office::read_pptx(package, main, draft, budget).map(|()| "pptx"),
        "xl" if Path::new(main).extension().is_some_and(|ending| ending == "xml") => {
            sheet::read(package, main, draft, budget).map(|()| "xlsx")
        }
        _ => Err(ExtractError::unsupported("This kind of Office file")),
    }
}

/// Reads an archive's files one by one, each as a part.
fn read_archive(package: &mut Package, draft: &mut Draft, budget: &mut Budget) -> Result<&'static str, ExtractError> {
    for name in package.names().to_vec() {
        let file = name.rsplit('/').next().unwrap_or_default();
        // Folders, and what operating systems leave in archives.
        if file.is_empty() || file.starts_with('.') || name.starts_with("__MACOSX/") {
            continue;
        }
        read_part(&name, draft, budget, |draft, budget| {
            let bytes = package.read(&name, budget)?.unwrap_or_default();
            super::read(&name, &bytes, draft, budget).map(|_| ())
        })?;
        if draft.is_full() {
            break;
        }
    }
    Ok("zip")
}

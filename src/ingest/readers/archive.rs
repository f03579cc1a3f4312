//! What begins with ZIP's first bytes: a document of parts, or an archive of documents.

use std::path::Path;

use super::budget::Budget;
use super::package::{Package, uncommon};
use super::{docx, epub, odf, parts, pptx, read_part, sheet};
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
        "word" => docx::read(package, main, draft, budget).map(|()| "docx"),
        "ppt" => pptx::read(package, main, draft, budget).map(|()| "pptx"),
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
        let mut packed = false;
        read_part(&name, draft, budget, |draft, budget| {
            let bytes = package.read(&name, budget).inspect_err(|error| packed = error.code == "unsupported_format");
            super::read(&name, &bytes?.unwrap_or_default(), draft, budget).map(|_| ())
        })?;
        if packed {
            // Nobody knows whether it is a picture.
            draft.fail_part(&name, &uncommon());
        }
        if draft.is_full() {
            break;
        }
    }
    Ok("zip")
}

#[cfg(test)]
mod tests {
    use crate::domain::MarkKind;
    use crate::ingest::readers::package::tests::zip;
    use crate::ingest::{ReadLimits, extract_here};

    const LIMITS: ReadLimits = ReadLimits { max_text_bytes: 1 << 20 };

    #[test]
    fn each_file_of_an_archive_is_a_part() {
        let bytes = zip(&[("a/../b.md", b"# One\n"), ("pic.png", b"\x89PNG\0"), ("c.txt", b"two")]);
        let read = extract_here("x.zip", &bytes, &LIMITS).unwrap();
        assert_eq!((read.kind.as_str(), read.text.as_str()), ("zip", "# One\n\ntwo"));
        let parts: Vec<_> = read.marks.iter().filter(|mark| matches!(mark.kind, MarkKind::Part { .. })).collect();
        assert_eq!(parts.len(), 2);
        assert_eq!(&read.text[parts[1].start..parts[1].end], "two");
    }

    #[test]
    fn a_file_packed_by_an_uncommon_method_is_told_of_and_the_others_are_read() {
        let mut bytes = zip(&[("a.txt", b"one"), ("b.txt", b"two")]);
        // The method of the first file, in its own header and in the list at the end: 12 is bzip2.
        let listed = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        (bytes[8], bytes[listed + 10]) = (12, 12);
        let read = extract_here("x.zip", &bytes, &LIMITS).unwrap();
        assert_eq!(read.text, "two");
        assert!(read.warnings.iter().any(|warning| warning.starts_with("a.txt: ")), "{:?}", read.warnings);
    }

    #[test]
    fn archives_packed_too_deep_are_refused() {
        let deep = |depth| (0..depth).fold(zip(&[("a.txt", b"text")]), |inner, _| zip(&[("in.zip", &inner)]));
        assert_eq!(extract_here("", &deep(3), &LIMITS).unwrap().text, "text");
        assert_eq!(extract_here("", &deep(4), &LIMITS).unwrap_err().code, "too_large");
    }

    #[test]
    fn an_archive_that_unpacks_without_end_is_refused() {
        let bytes = zip(&[("a.txt", &vec![b' '; (256 << 20) + 1])]);
        assert!(bytes.len() < 1 << 20);
        assert_eq!(extract_here("", &bytes, &LIMITS).unwrap_err().code, "too_large");
    }

    #[test]
    fn an_archive_of_nothing_readable_fails_as_its_first_file_does() {
        let bytes = zip(&[("a.png", b"\x89PNG\0"), ("b.pdf", b"%PDF-1.7 and no more"), ("c.txt", b"")]);
        let error = extract_here("", &bytes, &LIMITS).unwrap_err();
        assert_eq!(error.code, "damaged_file");
        assert!(error.message.starts_with("b.pdf: "), "{error}");
    }

    #[test]
    fn a_broken_archive_is_damaged() {
        let bytes = zip(&[("a.txt", b"text")]);
        assert_eq!(extract_here("", &bytes[..bytes.len() / 2], &LIMITS).unwrap_err().code, "damaged_file");
    }
}

//! ZIP archives, and the documents that are ZIP archives inside: opened by name, within a budget.

use std::collections::HashMap;
use std::io::{Cursor, ErrorKind, Read};

use mail_parser::decoders::charsets::map::charset_decoder;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::budget::Budget;
use crate::ingest::ExtractError;
use crate::ingest::encoding::decode;

/// A ZIP archive in memory. Nothing is ever written, so names are names and no paths.
pub(super) struct Package<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// Entry numbers by normalised name.
    numbers: HashMap<String, usize>,
    /// Normalised names in the archive's order.
    names: Vec<String>,
}

impl<'a> Package<'a> {
    /// # Errors
    /// `damaged_file` when it is no archive.
    pub fn open(bytes: &'a [u8]) -> Result<Self, ExtractError> {
        let zip =
            ZipArchive::new(Cursor::new(bytes)).map_err(|_| ExtractError::damaged("the archive is incomplete"))?;
        let names: Vec<String> = zip.file_names_raw().map(|name| normalise(&readable(name))).collect();
        let numbers = names.iter().cloned().zip(0..).collect();
        Ok(Self { zip, numbers, names })
    }

    /// The entries' names, in the archive's order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub fn has(&self, name: &str) -> bool {
        self.numbers.contains_key(&key(name))
    }

    /// The bytes of an entry; none when there is no such entry.
    ///
    /// # Errors
    /// `needs_password`, `too_large` past the budget, `damaged_file`.
    pub fn read(&mut self, name: &str, budget: &mut Budget) -> Result<Option<Vec<u8>>, ExtractError> {
        let Some(number) = self.numbers.get(&key(name)).copied() else { return Ok(None) };
        budget.take_entry()?;
        let entry = match self.zip.by_index(number) {
            Ok(entry) if entry.encrypted() => return Err(ExtractError::needs_password()),
            Ok(entry) if !UNPACKED.contains(&entry.compression()) => return Err(uncommon()),
            Ok(entry) => entry,
            Err(ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED)) => {
                return Err(ExtractError::needs_password());
            }
            Err(ZipError::CompressionMethodNotSupported(_) | ZipError::UnsupportedArchive(_)) => {
                return Err(uncommon());
            }
            Err(_) => return Err(ExtractError::damaged("the archive is incomplete")),
        };
        // Room for what it says it holds: growing by doubling would need twice the memory.
        let declared = usize::try_from(entry.size()).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(declared.min(budget.bytes_left()) + 64).map_err(|_| ExtractError::memory())?;
        let result = entry.take(budget.bytes_left() as u64 + 1).read_to_end(&mut bytes);
        budget.take_bytes(bytes.len())?;
        result.map_err(|error| match error.kind() {
            ErrorKind::OutOfMemory => ExtractError::memory(),
            _ => ExtractError::damaged("a part of it does not unpack"),
        })?;
        Ok(Some(bytes))
    }

    /// The text of an XML entry; none when there is no such entry.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn text(&mut self, name: &str, budget: &mut Budget) -> Result<Option<String>, ExtractError> {
        self.read(name, budget)?.map(xml_text).transpose()
    }
}

/// XML is UTF-8 unless it says otherwise; then it is decoded like any text.
fn xml_text(bytes: Vec<u8>) -> Result<String, ExtractError> {
    String::from_utf8(bytes).or_else(|error| {
        let bytes = error.as_bytes();
        let label = crate::ingest::sniff::declared_encoding(bytes);
        decode(bytes, label.as_deref()).map(|decoded| decoded.text)
    })
}

/// Methods of packing that are undone.
const UNPACKED: [CompressionMethod; 2] = [CompressionMethod::Stored, CompressionMethod::Deflated];

pub(super) fn uncommon() -> ExtractError {
    ExtractError::unsupported("A file packed by an uncommon method")
}

/// A name in whatever encoding the packing program used.
fn readable(name: &[u8]) -> String {
    if let Some(name) = of_dos(name) {
        return name;
    }
    decode(name, None).map_or_else(|_| String::from_utf8_lossy(name).into_owned(), |decoded| decoded.text)
}

/// A name as DOS wrote it in the west, and Windows in ZIP archives still: if it makes words with accents here and there.
fn of_dos(name: &[u8]) -> Option<String> {
    let accented = |byte: &u8| matches!(byte, 0x80..=0xa8 | 0xe1);
    if std::str::from_utf8(name).is_ok() || !name.iter().all(|byte| byte.is_ascii() || accented(byte)) {
        return None;
    }
    let text = charset_decoder(b"cp850")?(name);
    // Most letters have no accent, and within a word none beside one turns to a capital: kana and Cyrillic would look so.
    let stem = text.rsplit_once('.').map_or(text.as_str(), |(stem, _)| stem);
    let letters = stem.chars().filter(|c| c.is_alphabetic());
    let few = letters.clone().filter(|c| !c.is_ascii()).count() * 2 < letters.count();
    let odd = |(a, b): (char, char)| a.is_lowercase() && b.is_uppercase() && !(a.is_ascii() && b.is_ascii());
    (few && !text.chars().zip(text.chars().skip(1)).any(odd)).then_some(text)
}

/// Some programs write Windows' separators or absolute names.
fn normalise(name: &str) -> String {
    name.replace('\\', "/").trim_start_matches('/').to_owned()
}

fn key(name: &str) -> String {
    normalise(name)
}

/// `target` as seen from the folder of `from`, `.` and `..` resolved.
pub(super) fn resolve(from: &str, target: &str) -> String {
    let folder = if target.starts_with('/') { "" } else { from.rsplit_once('/').map_or("", |(folder, _)| folder) };
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    /// A ZIP archive of these files.
    pub fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    /// A relationship: id, kind, target.
    type Related<'a> = (&'a str, &'a str, &'a str);
    /// A part: name, XML, relationships.
    type Part<'a> = (&'a str, &'a str, &'a [Related<'a>]);

    /// An Office file of these parts; the first is the main one.
    pub fn office(parts: &[Part]) -> Vec<u8> {
        let relationships = |list: &[Related]| {
            let one = |(id, kind, target): &Related| {
                format!("<Relationship Id=\"{id}\" Type=\"http://x/relationships/{kind}\" Target=\"{target}\"/>")
            };
            format!("<Relationships>{}</Relationships>", list.iter().map(one).collect::<String>())
        };
        let mut files = vec![("_rels/.rels".to_owned(), relationships(&[("r", "officeDocument", parts[0].0)]))];
        for (name, xml, related) in parts {
            let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
            files.push((format!("{folder}/_rels/{file}.rels"), relationships(related)));
            files.push(((*name).to_owned(), (*xml).to_owned()));
        }
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, xml)| (name.as_str(), xml.as_bytes())).collect();
        zip(&files)
    }

    #[test]
    fn names_are_read_as_the_packing_program_wrote_them() {
        assert_eq!(readable(b"Gr\x94\xe1e.txt"), "Größe.txt");
        assert_eq!(readable(b"M\x82moire \x82l\x8ave.txt"), "Mémoire élève.txt");
        assert_eq!(readable(b"\x9abersicht \x81ber B\x84ume.txt"), "Übersicht über Bäume.txt");
        assert_eq!(readable(b"Pr\x81fbericht f\x81r Geb\x84ude.txt"), "Prüfbericht für Gebäude.txt");
        assert_eq!(readable(b"Gr\xf6\xdfe.txt"), "Größe.txt");
        assert_eq!(readable("Größe.txt".as_bytes()), "Größe.txt");
        assert_eq!(readable(b"\x83m\x81[\x83g.txt"), "ノート.txt");
        assert_eq!(readable(b"\x83e\x83X\x83g\x82\xcc\x8c\x8b\x89\xca.txt"), "テストの結果.txt");
    }

    #[test]
    fn targets_are_resolved_within_the_package() {
        assert_eq!(resolve("word/document.xml", "media/a.png"), "word/media/a.png");
        assert_eq!(resolve("ppt/slides/a.xml", "../notes/b.xml"), "ppt/notes/b.xml");
        assert_eq!(resolve("a/b.xml", "/c.xml"), "c.xml");
        assert_eq!(resolve("a.xml", "../../../etc/passwd"), "etc/passwd");
    }
}

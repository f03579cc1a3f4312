use std::fs::File;
use std::io::{Seek, Write};

use super::*;

/// What these tests take for a document's name.
fn is_document(path: &str) -> bool {
    !path.starts_with('.')
}

fn header() -> Header {
    Header::of(&TenantId::parse("acme").unwrap())
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

fn made() -> Vec<u8> {
    let mut archive = Archive::begin(Vec::new(), &header()).unwrap();
    archive.add(SETTINGS, b"name = \"Acme\"\n").unwrap();
    let long = format!("documents/{}/Stra\u{df}e.md", "deep/".repeat(40).trim_end_matches('/'));
    archive.add_file(&long, &file_of("Grüße aus Köln".as_bytes())).unwrap();
    archive.add("ledger/documents.jsonl", b"{}\n").unwrap();
    archive.add("index/7/tantivy/meta.json", &[0; 1500]).unwrap();
    archive.finish().unwrap()
}

fn refused(bytes: &[u8]) -> Option<BackupError> {
    verify(file_of(bytes), is_document).err()
}

#[test]
fn what_was_written_is_read_back_with_its_times() {
    let mut checked = verify(file_of(&made()), is_document).unwrap();
    assert_eq!((checked.header.tenant.as_str(), checked.entries.len()), ("acme", 4));
    assert_eq!(checked.weigh(DOCUMENTS), (17, 1));
    let folder = tempfile::tempdir().unwrap();
    checked.unpack(|path| path.strip_prefix(DOCUMENTS).map(|path| folder.path().join(path))).unwrap();
    assert_eq!(checked.settings, "name = \"Acme\"\n");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "what has no place is passed over");
    let document = folder.path().join("deep/".repeat(40)).join("Straße.md");
    assert_eq!(std::fs::read_to_string(&document).unwrap(), "Grüße aus Köln");
    let time = document.metadata().unwrap().modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(Some(i64::try_from(time.as_nanos()).unwrap()), checked.entries[1].modified_ns);
}

#[test]
fn every_flipped_byte_and_every_cut_is_found() {
    let whole = made();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(refused(&flipped).is_some(), "byte {at}");
    }
    for at in (0..whole.len()).step_by(97) {
        assert!(refused(&whole[..at]).is_some(), "cut at {at}");
    }
    assert!(refused(&[whole.as_slice(), b"more"].concat()).is_some(), "something follows");
}

#[test]
fn what_is_something_else_is_told_from_what_is_damaged() {
    let mut other = tar::Builder::new(Vec::new());
    let mut plain = tar::Header::new_gnu();
    plain.set_size(2);
    other.append_data(&mut plain, "notes.txt", b"hi".as_slice()).unwrap();
    for foreign in [b"".to_vec(), b"%PDF-1.7".to_vec(), vec![b'x'; 4096], vec![0; 1024], other.into_inner().unwrap()] {
        assert!(matches!(refused(&foreign), Some(BackupError::Foreign)), "{:?}", refused(&foreign));
    }
    let cut = made();
    assert!(matches!(refused(&cut[..cut.len() / 2]), Some(BackupError::Damaged { .. })));
}

#[test]
fn a_newer_format_is_told() {
    let newer = Header { format: FORMAT + 1, ..header() };
    let bytes = Archive::begin(Vec::new(), &newer).unwrap().finish().unwrap();
    assert!(matches!(refused(&bytes), Some(BackupError::Newer { found: 2, known: 1 })));
}

#[test]
fn a_name_that_leads_elsewhere_or_stands_twice_is_refused() {
    for path in [
        "documents/../../etc/passwd",
        "documents/a/../b",
        "documents//a",
        "documents/.hidden",
        "documents/a\\b",
        "documents/a\nb",
        "index/7/deep/er/file",
        "index/x/manifest.json",
        "index/07/manifest.json",
        "ledger/../carrel.jsonl",
        "carrel.db",
        "signing.key",
        "documents",
    ] {
        assert!(!is_placed(path, is_document), "{path:?}");
    }
    for path in ["/etc/passwd", "C:/x"] {
        assert!(!is_placed(path, is_document), "{path:?}");
    }
    let mut archive = Archive::begin(Vec::new(), &header()).unwrap();
    archive.add(SETTINGS, b"").unwrap();
    archive.add("documents/a.md", b"one").unwrap();
    archive.add("documents/a.md", b"two").unwrap();
    let twice = refused(&archive.finish().unwrap()).unwrap().to_string();
    assert!(twice.contains("twice"), "{twice}");
}

#[test]
fn a_link_is_no_document() {
    let mut archive = Archive::begin(Vec::new(), &header()).unwrap();
    archive.add(SETTINGS, b"").unwrap();
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    archive.tar.append_link(&mut link, "documents/a.md", "/etc/passwd").unwrap();
    let found = refused(&archive.finish().unwrap()).unwrap().to_string();
    assert!(found.contains("no place"), "{found}");
}

#[test]
fn a_failure_of_the_disk_is_told_without_a_path() {
    let missing = tempfile::tempdir_in("/no/such/folder").unwrap_err();
    assert!(missing.to_string().contains("/no/such/folder"));
    assert_eq!(BackupError::io("unpack")(missing).to_string(), "cannot unpack the backup: entity not found");
}

/// An archive whose second entry is a header of `kind` that says it has `bytes` more.
fn with_extension(kind: tar::EntryType, bytes: usize) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let head = serde_json::to_vec(&header()).unwrap();
    let mut plain = tar::Header::new_gnu();
    plain.set_size(head.len() as u64);
    tar.append_data(&mut plain, HEADER, head.as_slice()).unwrap();
    let mut extension = tar::Header::new_gnu();
    extension.set_entry_type(kind);
    extension.set_size(bytes as u64);
    tar.append_data(&mut extension, "././@LongLink", vec![b'a'; bytes].as_slice()).unwrap();
    tar.into_inner().unwrap()
}

#[test]
fn headers_that_extend_others_are_refused_before_they_are_read() {
    for kind in [tar::EntryType::GNULongName, tar::EntryType::GNULongLink, tar::EntryType::XHeader] {
        let error = refused(&with_extension(kind, 1 << 20)).unwrap();
        assert!(error.to_string().contains("the name of an entry is too long"), "{error}");
    }
}

#[test]
fn a_manifest_larger_than_its_entries_explain_is_refused() {
    let mut archive = Archive::begin(Vec::new(), &header()).unwrap();
    archive.add(SETTINGS, b"").unwrap();
    archive.add(MANIFEST, &vec![b' '; 1 << 20]).unwrap();
    let error = refused(&archive.finish().unwrap()).unwrap();
    assert!(error.to_string().contains("manifest.json") && error.to_string().contains("larger than"), "{error}");
}

#[test]
fn settings_and_names_have_a_length() {
    let mut archive = Archive::begin(Vec::new(), &header()).unwrap();
    archive.add(SETTINGS, &vec![b'#'; 2 << 20]).unwrap();
    assert!(refused(&archive.finish().unwrap()).unwrap().to_string().contains("settings.toml"));
    let mut archive = Archive::begin(Vec::new(), &header()).unwrap();
    archive.add(&format!("{DOCUMENTS}{}.md", "n".repeat(400)), b"x").unwrap();
    assert!(refused(&archive.finish().unwrap()).unwrap().to_string().contains("has no place"));
}

//! PDFs that keep their lock, the dictionary `/Encrypt`, in the trailer itself, as MuPDF writes them. `lopdf` looks for it
//! among the objects alone, and finds nothing it can read.

use lopdf::{Dictionary, Document, Object, Writer};

/// What a trailer that updates another must repeat (ISO 32000-2, 7.5.6).
const REPEATED: [&[u8]; 3] = [b"Root", b"Info", b"ID"];

/// The file with an update behind its end that makes the lock an object; none where it is one, or there is none.
pub(super) fn in_an_object(bytes: &[u8], document: &Document) -> Option<Vec<u8>> {
    let lock = document.trailer.get(b"Encrypt").ok().filter(|lock| lock.as_dict().is_ok())?;
    // Offsets count from the header, whatever stands before it.
    let header = bytes.windows(5).position(|window| window == b"%PDF-")?;
    let number = document.reference_table.size.max(document.max_id + 1);
    let mut trailer = Dictionary::new();
    for name in REPEATED {
        if let Ok(value) = document.trailer.get(name) {
            trailer.set(name, value.clone());
        }
    }
    trailer.set("Size", i64::from(number) + 1);
    trailer.set("Prev", i64::try_from(last_table(bytes)?).ok()?);
    trailer.set("Encrypt", Object::Reference((number, 0)));

    let mut updated = bytes.to_vec();
    updated.push(b'\n');
    let object = updated.len() - header;
    write(&mut updated, &format!("{number} 0 obj\n"), lock, "\nendobj\n")?;
    let table = updated.len() - header;
    let entries = format!("xref\n{number} 1\n{object:010} 00000 n \ntrailer\n");
    write(&mut updated, &entries, &Object::Dictionary(trailer), &format!("\nstartxref\n{table}\n%%EOF\n"))?;
    Some(updated)
}

fn write(file: &mut Vec<u8>, before: &str, object: &Object, after: &str) -> Option<()> {
    file.extend_from_slice(before.as_bytes());
    Writer::write_object(file, object).ok()?;
    file.extend_from_slice(after.as_bytes());
    Some(())
}

/// Where the last table of objects begins, as the file's end says.
fn last_table(bytes: &[u8]) -> Option<u64> {
    const SAYS: &[u8] = b"startxref";
    let at = bytes.windows(SAYS.len()).rposition(|window| window == SAYS)?;
    let after = bytes[at + SAYS.len()..].trim_ascii_start();
    let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&after[..digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use lopdf::{Document, EncryptionState, EncryptionVersion, Object, Permissions, StringFormat, dictionary};

    use crate::domain::Extracted;
    use crate::ingest::{ExtractError, ReadLimits, extract_here};

    /// A page that says `unlocked`, with its lock in the trailer.
    fn locked(user_password: &str) -> Vec<u8> {
        let mut document = Document::with_version("1.5");
        let font = document.add_object(dictionary! {
            "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica", "Encoding" => "WinAnsiEncoding",
        });
        let orders = b"BT /F 10 Tf 50 700 Td (unlocked) Tj ET".to_vec();
        let orders = document.add_object(lopdf::Stream::new(dictionary! {}, orders));
        let pages = document.new_object_id();
        let page = document.add_object(dictionary! {
            "Type" => "Page", "Parent" => pages, "Contents" => orders,
            "MediaBox" => vec![0.into(), 0.into(), 600.into(), 800.into()],
            "Resources" => dictionary! { "Font" => dictionary! { "F" => font } },
        });
        let kids = dictionary! { "Type" => "Pages", "Kids" => vec![page.into()], "Count" => 1 };
        document.objects.insert(pages, Object::Dictionary(kids));
        let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => pages });
        document.trailer.set("Root", catalog);
        let id = || Object::String(b"0123456789abcdef".to_vec(), StringFormat::Hexadecimal);
        document.trailer.set("ID", vec![id(), id()]);
        let version = EncryptionVersion::V1 {
            document: &document,
            owner_password: "owner",
            user_password,
            permissions: Permissions::all(),
        };
        let state = EncryptionState::try_from(version).unwrap();
        document.encrypt(&state).unwrap();
        let lock = document.trailer.get(b"Encrypt").and_then(Object::as_reference).unwrap();
        let lock = document.objects.remove(&lock).unwrap();
        document.trailer.set("Encrypt", lock);
        let mut file = Vec::new();
        document.save_to(&mut file).unwrap();
        file
    }

    fn read(file: &[u8]) -> Result<Extracted, ExtractError> {
        extract_here("a.pdf", file, &ReadLimits { max_text_bytes: 1000 })
    }

    #[test]
    fn a_lock_in_the_trailer_opens_without_a_password_or_asks_for_one() {
        assert_eq!(read(&locked("")).unwrap().text, "unlocked");
        assert_eq!(read(&[b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), locked("")].concat()).unwrap().text, "unlocked");
        assert_eq!(read(&locked("secret")).unwrap_err().code, "needs_password");
    }
}

//! Mail (RFC 5322, MIME): the fields a person sees, the words, and the attachments through their own readers.

use mail_parser::{Address, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use super::budget::Budget;
use super::{html, read_part};
use crate::ingest::ExtractError;
use crate::ingest::draft::Draft;
use crate::ingest::encoding::clean;

/// Reads a message.
pub(super) fn read(bytes: &[u8], draft: &mut Draft, budget: &mut Budget) -> Result<(), ExtractError> {
    let message = MessageParser::default().parse(bytes).ok_or_else(|| ExtractError::damaged("it is no mail"))?;
    read_message(&message, draft, budget)
}

fn read_message(message: &Message, draft: &mut Draft, budget: &mut Budget) -> Result<(), ExtractError> {
    if let Some(subject) = message.subject() {
        draft.title(subject);
        draft.heading(1, subject);
    }
    for (name, address) in [("From", message.from()), ("To", message.to()), ("Cc", message.cc())] {
        if let Some(people) = address.map(people).filter(|people| !people.is_empty()) {
            draft.words(&format!("{name}: {people}"));
            draft.end_line();
        }
    }
    if let Some(date) = message.date() {
        draft.words(&format!("Date: {}", date.to_rfc3339()));
    }
    draft.end_block();
    for part in message.text_bodies() {
        read_body(part, draft);
    }
    for part in message.attachments() {
        read_attachment(part, draft, budget)?;
    }
    Ok(())
}

/// Plain text where the sender wrote it, else the words of the HTML.
fn read_body(part: &MessagePart, draft: &mut Draft) {
    match &part.body {
        PartType::Text(text) => {
            draft.verbatim(clean(text).trim());
        }
        PartType::Html(page) => html::read(&clean(page), draft),
        _ => {}
    }
}

fn read_attachment(part: &MessagePart, draft: &mut Draft, budget: &mut Budget) -> Result<(), ExtractError> {
    let name = part.attachment_name().unwrap_or("attachment");
    match &part.body {
        PartType::Message(message) => {
            let name = message.subject().unwrap_or(name).to_owned();
            read_part(&name, draft, budget, |draft, budget| read_message(message, draft, budget))
        }
        PartType::Multipart(_) => Ok(()),
        _ => read_part(name, draft, budget, |draft, budget| {
            super::read(name, part.contents(), draft, budget).map(|_| ())
        }),
    }
}

fn people(address: &Address) -> String {
    let shown = |person: &mail_parser::Addr| match (person.name(), person.address()) {
        (Some(name), Some(address)) => Some(format!("{name} <{address}>")),
        (name, address) => name.or(address).map(str::to_owned),
    };
    address.iter().filter_map(shown).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use crate::domain::MarkKind;
    use crate::ingest::{ReadLimits, extract_here};

    #[test]
    fn fields_words_and_attachments_are_read() {
        let mail = "From: =?utf-8?q?J=C3=BCrgen?= <j@example.com>\r\nTo: b@example.com\r\nSubject: Report\r\n\
            MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
            --x\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            Gr=FC=DFe\r\n\
            --x\r\nContent-Type: text/html; name=a.html\r\nContent-Disposition: attachment; filename=a.html\r\n\r\n\
            <html><h1>Attached</h1><p>page\r\n\
            --x\r\nContent-Type: image/png; name=b.png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n\
            --x--\r\n";
        let read = extract_here("m.eml", mail.as_bytes(), &ReadLimits { max_text_bytes: 10_000 }).unwrap();
        assert_eq!((read.kind.as_str(), read.title.as_str()), ("eml", "Report"));
        assert_eq!(
            read.text.trim_end(),
            "Report\n\nFrom: Jürgen <j@example.com>\nTo: b@example.com\n\nGrüße\n\nAttached\n\npage"
        );
        let part = read.marks.iter().find(|mark| mark.kind == MarkKind::Part { name: "a.html".into() }).unwrap();
        assert_eq!(read.text[part.start..part.end].trim_end(), "Attached\n\npage");
        assert!(read.warnings.is_empty(), "{:?}", read.warnings);
    }
}

//! Mail (RFC 5322, MIME): the fields a person sees, the words, and the attachments through their own readers.

mod content;
mod fields;

use mail_parser::{Addr, Address, Group, HeaderName, Message, MessageParser, MessagePart, PartType};

use self::fields::mended;
use super::budget::Budget;
use super::{html, read_part};
use crate::ingest::ExtractError;
use crate::ingest::draft::Draft;

/// The first bytes of what Outlook wraps attachments in.
const TNEF: &[u8] = b"\x78\x9f\x3e\x22";

/// Reads the messages of a mailbox, each as a part named for its subject.
pub(super) fn read_box(bytes: &[u8], draft: &mut Draft, budget: &mut Budget) -> Result<(), ExtractError> {
    for message in messages(bytes) {
        read_inner(message, "message", draft, budget)?;
        if draft.is_full() {
            break;
        }
    }
    Ok(())
}

/// Reads a message inside another document, as a part named for its subject, or `name` if it has none.
fn read_inner(bytes: &[u8], name: &str, draft: &mut Draft, budget: &mut Budget) -> Result<(), ExtractError> {
    let bytes = mended(bytes);
    let Some(message) = MessageParser::default().parse(&*bytes) else { return Ok(()) };
    let name = message.subject().unwrap_or(name);
    read_part(name, draft, budget, |draft, budget| read_message(&message, draft, budget))
}

/// The messages of a mailbox: each begins after a line `From …`, which follows an empty line.
fn messages(bytes: &[u8]) -> Vec<&[u8]> {
    let (mut messages, mut begin, mut end, mut blank) = (Vec::new(), 0, 0, true);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if blank && line.starts_with(b"From ") {
            messages.push(&bytes[begin..end]);
            begin = end + line.len();
        }
        end += line.len();
        blank = line.trim_ascii().is_empty();
    }
    messages.push(&bytes[begin..]);
    messages.retain(|message| !message.trim_ascii().is_empty());
    messages
}

/// Reads a message.
pub(super) fn read(bytes: &[u8], draft: &mut Draft, budget: &mut Budget) -> Result<(), ExtractError> {
    let bytes = mended(bytes);
    let message = MessageParser::default().parse(&*bytes).ok_or_else(|| ExtractError::damaged("it is no mail"))?;
    read_message(&message, draft, budget)
}

fn read_message(message: &Message, draft: &mut Draft, budget: &mut Budget) -> Result<(), ExtractError> {
    if let Some(subject) = message.subject() {
        draft.title(subject);
        draft.heading(1, subject);
    }
    let addresses = [
        ("From", message.from()),
        ("Reply-To", message.reply_to()),
        ("To", message.to()),
        ("Cc", message.cc()),
        ("Bcc", message.bcc()),
    ];
    for (name, address) in addresses {
        if let Some(people) = address.map(people).filter(|people| !people.is_empty()) {
            draft.words(&format!("{name}: {people}"));
            draft.end_line();
        }
    }
    if let Some(date) = date(message) {
        draft.words(&format!("Date: {date}"));
    }
    draft.end_block();
    let written = |part: &MessagePart| part.text_contents().is_some_and(|words| !words.trim().is_empty());
    // Some senders leave the plain form of their words empty.
    if message.text_bodies().any(written) {
        message.text_bodies().for_each(|part| read_body(message, part, draft));
    } else {
        message.html_bodies().for_each(|part| read_body(message, part, draft));
    }
    for part in message.attachments() {
        read_attachment(message, part, draft, budget)?;
    }
    Ok(())
}

/// The date as RFC 3339, or as it is written where it is no date.
fn date(message: &Message) -> Option<String> {
    let written =
        || message.header_raw(HeaderName::Date).map(|date| date.trim().to_owned()).filter(|date| !date.is_empty());
    message.date().filter(|date| date.is_valid()).map(mail_parser::DateTime::to_rfc3339).or_else(written)
}

/// Plain text where the sender wrote it, else the words of the HTML.
fn read_body(message: &Message, part: &MessagePart, draft: &mut Draft) {
    match &part.body {
        PartType::Text(text) => {
            draft.verbatim(content::words(message, part, text).trim());
        }
        PartType::Html(page) => html::read(&content::words(message, part, page), draft),
        _ => {}
    }
}

fn read_attachment(
    message: &Message,
    part: &MessagePart,
    draft: &mut Draft,
    budget: &mut Budget,
) -> Result<(), ExtractError> {
    let name = content::file_name(message, part).unwrap_or_else(|| "attachment".to_owned());
    let bytes = content::attached(message, part, &name);
    if bytes.starts_with(TNEF) {
        // Outlook's own wrapping, which nobody else reads: what is lost in it is more than a picture.
        draft.fail_part(&name, &ExtractError::unsupported("An attachment that Outlook wrapped"));
        return Ok(());
    }
    match &part.body {
        PartType::Message(_) => read_inner(&bytes, &name, draft, budget),
        PartType::Multipart(_) => Ok(()),
        _ => read_part(&name, draft, budget, |draft, budget| super::read(&name, &bytes, draft, budget).map(|_| ())),
    }
}

fn people(address: &Address) -> String {
    match address {
        Address::List(people) => list(people),
        Address::Group(groups) => groups.iter().map(group).collect::<Vec<_>>().join("; "),
    }
}

fn group(group: &Group) -> String {
    match &group.name {
        Some(name) => format!("{name}: {}", list(&group.addresses)),
        None => list(&group.addresses),
    }
}

fn list(people: &[Addr]) -> String {
    let shown = |person: &Addr| match (person.name(), person.address()) {
        (Some(name), Some(address)) => Some(format!("{name} <{address}>")),
        (name, address) => name.or(address).map(str::to_owned),
    };
    people.iter().filter_map(shown).collect::<Vec<_>>().join(", ")
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
        assert_eq!(read.text, "Report\n\nFrom: Jürgen <j@example.com>\nTo: b@example.com\n\nGrüße\n\nAttached\n\npage");
        let part = read.marks.iter().find(|mark| mark.kind == MarkKind::Part { name: "a.html".into() }).unwrap();
        assert_eq!(&read.text[part.start..part.end], "Attached\n\npage");
        assert!(read.warnings.is_empty(), "{:?}", read.warnings);
    }

    #[test]
    fn words_that_stand_in_the_html_form_alone_are_read() {
        let mail = "From: a\nTo: b\nSubject: S\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=x\n\n\
            --x\nContent-Type: text/plain\n\n \n--x\nContent-Type: text/html\n\n<p>only here</p>\n--x--\n";
        let read = extract_here("m.eml", mail.as_bytes(), &ReadLimits { max_text_bytes: 10_000 }).unwrap();
        assert!(read.text.ends_with("only here"), "{}", read.text);
    }

    fn text(mail: &[u8]) -> String {
        extract_here("m.eml", mail, &ReadLimits { max_text_bytes: 10_000 }).unwrap().text
    }

    #[test]
    fn text_without_a_label_or_with_one_that_few_know_is_read_as_it_is() {
        let head = "From: a\nTo: b\nSubject: S\nMIME-Version: 1.0\n";
        for (fields, body) in [
            ("", &b"Es gr\xfc\xdft sch\xf6n der M\xfcller aus K\xf6ln"[..]),
            ("Content-Type: text/plain; charset=us-ascii\n", b"Es gr\xfc\xdft sch\xf6n der M\xfcller aus K\xf6ln"),
            ("Content-Type: text/plain; charset=latin-1\n", b"Es gr\xfc\xdft sch\xf6n der M\xfcller aus K\xf6ln"),
            (
                "Content-Type: text/html\n",
                b"<html><meta charset=windows-1252><p>Es gr\xfc\xdft sch\xf6n der M\xfcller aus K\xf6ln",
            ),
        ] {
            let mail = [head.as_bytes(), fields.as_bytes(), b"\n", body].concat();
            assert!(text(&mail).ends_with("Es grüßt schön der Müller aus Köln"), "{fields}: {}", text(&mail));
        }
        let korean =
            [head.as_bytes(), b"Content-Type: text/plain; charset=iso-2022-kr\n\n\x1b$)C\x0eGQ19\x0f ok"].concat();
        assert!(text(&korean).ends_with("한국 ok"), "{}", text(&korean));
    }

    #[test]
    fn an_attachment_without_a_label_is_read_by_its_bytes() {
        let mail = b"From: a\nSubject: S\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n\
            --x\nContent-Type: text/csv; name=a.csv\nContent-Transfer-Encoding: base64\n\
            Content-Disposition: attachment; filename=a.csv\n\nTmFtZTtPcnQKTfxsbGVyO0v2bG4KSvxyZ2VuO038bmNoZW4K\n--x--\n";
        assert!(text(mail).ends_with("Name | Ort\nMüller | Köln\nJürgen | München"), "{}", text(mail));
    }

    #[test]
    fn a_footer_after_encoded_words_is_read_with_them() {
        let mail = b"From: a\nSubject: S\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\
            Content-Transfer-Encoding: base64\n\nR3LDvMOfZSBhbiBkaWUgTGlzdGUsIGRpZXMgaXN0IGRlciBUZXh0Lgo=\n\n___\nList footer\n";
        let read = text(mail);
        assert!(read.contains("Grüße an die Liste, dies ist der Text.") && read.ends_with("List footer"), "{read}");
    }

    #[test]
    fn all_who_are_named_and_a_date_that_is_none_are_shown() {
        let read = text(b"From: a@b\nReply-To: c@d\nBcc: e@f\nDate: yesterday evening\nSubject: S\n\nwords");
        assert_eq!(read, "S\n\nFrom: a@b\nReply-To: c@d\nBcc: e@f\nDate: yesterday evening\n\nwords");
        let group = text(b"From: a@b\nTo: Team Blue: c@d, e@f;\nSubject: S\n\nwords");
        assert!(group.contains("To: Team Blue: c@d, e@f\n"), "{group}");
    }

    #[test]
    fn an_attachment_that_outlook_wrapped_is_told_of_whatever_it_is_called() {
        let mail = b"From: a\nSubject: S\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n\
            --x\n\nwords\n--x\nContent-Type: application/octet-stream; name=winmail.dat\n\
            Content-Transfer-Encoding: base64\n\neJ8+IgEAAQ==\n--x--\n";
        let read = extract_here("m.eml", mail, &ReadLimits { max_text_bytes: 10_000 }).unwrap();
        assert!(read.warnings.iter().any(|warning| warning.starts_with("winmail.dat: ")), "{:?}", read.warnings);
    }

    #[test]
    fn an_old_office_file_that_is_attached_is_told_of_and_a_picture_is_not() {
        let mail = b"From: a\nSubject: S\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n\
            --x\n\nwords\n--x\nContent-Type: application/msword; name=old.doc\nContent-Transfer-Encoding: base64\n\n\
            0M8R4KGxGuEAAAAAAAAAAA==\n--x\nContent-Type: image/png; name=b.png\nContent-Transfer-Encoding: base64\n\n\
            iVBORw0KGgo=\n--x--\n";
        let read = extract_here("m.eml", mail, &ReadLimits { max_text_bytes: 10_000 }).unwrap();
        assert_eq!(read.warnings.len(), 1, "{:?}", read.warnings);
        assert!(read.warnings[0].starts_with("old.doc: A document of Office 97 to 2003"), "{:?}", read.warnings);
    }

    #[test]
    fn the_head_of_an_inner_message_and_of_an_attachment_is_read_as_that_of_the_outer() {
        let mail = b"From: a\nSubject: S\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n\
            --x\nContent-Type: message/rfc822\n\nFrom: b\nSubject: =?utf-8?q?K=C3?= =?utf-8?q?=B6ln?=\n\ninner\n\
            --x\nContent-Type: text/plain\nContent-Disposition: attachment; filename=\"Gr\xfc\xdfe aus K\xf6ln.txt\"\n\n\
            attached\n--x--\n";
        let read = extract_here("m.eml", mail, &ReadLimits { max_text_bytes: 10_000 }).unwrap();
        assert!(read.text.ends_with("K\u{f6}ln\n\nFrom: b\n\ninner\n\nattached"), "{}", read.text);
        let named = |name: &str| read.marks.iter().any(|mark| mark.kind == MarkKind::Part { name: name.into() });
        assert!(named("Köln") && named("Grüße aus Köln.txt"), "{:?}", read.marks);
    }

    #[test]
    fn an_attachment_that_is_sent_as_text_is_read_as_what_it_is() {
        let mail = b"From: a\nSubject: S\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n\
            --x\n\nwords\n--x\nContent-Type: text/plain; charset=utf-8; name=a.rtf\n\n{\\rtf1\\ansi Gr\\'fc\\'dfe}\n\
            --x\nContent-Type: text/plain; charset=utf-8; name=a.png\nContent-Transfer-Encoding: base64\n\n\
            iVBORw0KGgoAAAD///8=\n--x--\n";
        assert_eq!(text(mail), "S\n\nFrom: a\n\nwords\n\nGrüße");
    }

    #[test]
    fn quoted_printable_that_breaks_off_or_is_written_wrong_is_read() {
        let broken =
            b"From: a\nSubject: S\nContent-Transfer-Encoding: quoted-printable\n\nif a == b: Gr=FC=DFe aus K=F6ln";
        assert!(text(broken).ends_with("if a == b: Grüße aus Köln"), "{}", text(broken));
        let cut = b"From: a\nSubject: S\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n\
            --x\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nGr=C3=BC=C3=9Fe wi=\nth";
        assert!(text(cut).ends_with("Grüße with"), "{}", text(cut));
    }

    #[test]
    fn mail_saved_as_utf16_is_mail_still() {
        let mail = "From: a\r\nTo: b\r\nSubject: Grüße\r\n\r\nwords\r\n";
        let wide: Vec<u8> = mail.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let read = extract_here("m.eml", &wide, &ReadLimits { max_text_bytes: 10_000 }).unwrap();
        assert_eq!((read.kind.as_str(), read.title.as_str()), ("eml", "Grüße"));
    }

    #[test]
    fn each_message_of_a_mailbox_is_a_part() {
        let mailbox = "From a@b Mon Jan  1 10:00:00 2024\nFrom: a\nTo: b\nSubject: One\n\nfirst\nFrom here on\n\n\
            From c@d Tue Jan  2 10:00:00 2024\nFrom: c\nTo: d\nSubject: Two\n\nsecond\n";
        let read = extract_here("", mailbox.as_bytes(), &ReadLimits { max_text_bytes: 10_000 }).unwrap();
        assert_eq!(read.kind, "mbox");
        assert!(read.text.contains("first\nFrom here on") && read.text.ends_with("second"), "{}", read.text);
        let part = |name: &str| MarkKind::Part { name: name.into() };
        let parts: Vec<_> = read.marks.iter().map(|mark| &mark.kind).collect();
        assert!(parts.contains(&&part("One")) && parts.contains(&&part("Two")));
    }
}

//! Mail, told from texts that begin like it.

use super::{Binary, HEAD_CHARS, HEAD_LINES, extension};

/// Mail and mailboxes, which begin with lines of ASCII, whatever follows.
pub(in crate::ingest) fn mail(name: &str, bytes: &[u8]) -> Option<Binary> {
    let head: String = bytes.iter().take(HEAD_CHARS).map(|byte| char::from(*byte)).collect();
    let head = head.trim_start_matches("ï»¿").trim_start();
    let extension = extension(name);
    // The line that begins each message of a mailbox is no field: `From sender date`.
    match head.strip_prefix("From ").and_then(|rest| rest.split_once('\n')) {
        Some((_, message)) => (Fields::of(message).known() >= least_fields(&extension)).then_some(Binary::Mailbox),
        None => looks_like_mail(head, &extension).then_some(Binary::Mail),
    }
}

/// Whether it begins with header fields of RFC 5322, two of which no other kind of text begins with.
fn looks_like_mail(head: &str, extension: &str) -> bool {
    let fields = Fields::of(head);
    // Without a program's field, it is mail only if reading it as mail loses no word.
    let mail = is_mail_name(extension) || fields.postal > 0 || fields.addressed && fields.all_shown;
    mail && fields.known() >= least_fields(extension)
}

fn is_mail_name(extension: &str) -> bool {
    matches!(extension, "eml" | "mht" | "mhtml" | "mbox")
}

/// How many fields of mail a text must begin with to be mail.
fn least_fields(extension: &str) -> usize {
    if is_mail_name(extension) { 1 } else { 3 }
}

/// What the lines before the first empty one look like.
struct Fields {
    /// Fields that people write, too: on memos, in scripts, in settings.
    shown: usize,
    /// Fields that programs write.
    postal: usize,
    /// Whether a sender has an address.
    addressed: bool,
    /// Whether every line belongs to a field that people write.
    all_shown: bool,
}

impl Fields {
    const SHOWN: [&str; 7] = ["from", "to", "cc", "bcc", "reply-to", "subject", "date"];
    const POSTAL: [&str; 10] = [
        "received",
        "return-path",
        "mime-version",
        "message-id",
        "in-reply-to",
        "references",
        "delivered-to",
        "content-type",
        "content-transfer-encoding",
        "x-mailer",
    ];

    fn of(head: &str) -> Self {
        let mut found = Self { shown: 0, postal: 0, addressed: false, all_shown: true };
        let lines = head.lines().take_while(|line| !line.trim().is_empty()).take(HEAD_LINES);
        for line in lines.filter(|line| !line.starts_with([' ', '\t'])) {
            let (name, value) = line.split_once(':').unwrap_or_default();
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                found.all_shown = false;
                break;
            }
            let name = name.to_ascii_lowercase();
            let shown = Self::SHOWN.contains(&name.as_str());
            found.shown += usize::from(shown);
            found.postal += usize::from(Self::POSTAL.contains(&name.as_str()));
            found.addressed |= name == "from" && value.contains('@');
            found.all_shown &= shown;
        }
        found
    }

    fn known(&self) -> usize {
        self.shown + self.postal
    }
}

#[cfg(test)]
mod tests {
    use super::super::binary;
    use super::*;

    #[test]
    fn mail_is_known_by_its_fields_whatever_bytes_follow() {
        assert_eq!(binary("x", b"From: a@b\nTo: b\nSubject: c\n\n\xff\x00"), Some(Binary::Mail));
        assert_eq!(binary("x", b"From: a\nX-Mailer: m\nTo: b\nMessage-Id: c\n\nd"), Some(Binary::Mail));
        assert_eq!(binary("x", b"From a@b Mon Jan  1 2024\nFrom: a\nTo: b\nSubject: c\n"), Some(Binary::Mailbox));
        assert_eq!(binary("x", b"From: a\nTo: b\nSubject: c\nX-Mailer: m\n\nd"), Some(Binary::Mail));
        assert_eq!(binary("x.mbox", b"From a@b Mon Jan  1 2024\nFrom: a\nSubject: c\n\nd"), Some(Binary::Mailbox));
        assert_eq!(binary("x", b"From: a\nand other words"), None);
    }

    #[test]
    fn a_text_that_begins_like_mail_and_would_lose_words_as_mail_is_none() {
        for text in [
            "From: The Manager\nTo: All staff\nSubject: Parking\nDate: 5 May\n\nPlease park.",
            "From: a@b\nTo: All staff\nSubject: Keys\nRE: Lost keys\n\nGone.",
            "From: a@b\nTo: Bert\nSubject: Act one\n=====\nAnna enters.",
            "from: a\nto: b\nsubject: c\nother:\n  - item",
        ] {
            assert_eq!(binary("x.txt", text.as_bytes()), None, "{text}");
        }
    }
}

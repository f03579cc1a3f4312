//! Cuts HTML tags that have more attributes than anybody wrote.
//!
//! The tokenizer compares each attribute of a tag with all before it, so one tag of a few megabytes would take minutes.

use std::borrow::Cow;

/// Attributes kept of one tag: pages have some dozens at most.
const MAX_ATTRIBUTES: usize = 1000;

/// The page with every tag cut to its first attributes; the values of those are kept whatever their length.
pub(super) fn cut(html: &str) -> Cow<'_, str> {
    let mut kept = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = html[at..].find('<') {
        at += found + 1;
        let (enough, end) = tag(&html.as_bytes()[at..]);
        if let Some(enough) = enough {
            kept.push_str(&html[copied..at + enough]);
            copied = at + end;
        }
        at += end;
    }
    if copied == 0 {
        return Cow::Borrowed(html);
    }
    kept.push_str(&html[copied..]);
    Cow::Owned(kept)
}

/// Where a tag has all the attributes it may have, if it has more, and where it ends: before its `>`.
fn tag(rest: &[u8]) -> (Option<usize>, usize) {
    if !rest.first().is_some_and(u8::is_ascii_alphabetic) {
        return (None, 0);
    }
    let (mut quote, mut previous, mut attributes, mut enough) = (None, b'<', 0_usize, None);
    for (at, byte) in rest.iter().copied().enumerate() {
        if quote.is_some() {
            if quote == Some(byte) {
                (quote, previous) = (None, b'/');
            }
            continue;
        }
        match byte {
            b'>' => return (enough, at),
            b'"' | b'\'' if previous == b'=' => quote = Some(byte),
            b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' if previous == b'=' => {}
            b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' | b'/' => previous = b'/',
            byte => {
                attributes += usize::from(previous == b'/' && byte != b'=');
                if attributes > MAX_ATTRIBUTES && enough.is_none() {
                    enough = Some(at);
                }
                previous = byte;
            }
        }
    }
    (enough, rest.len())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    fn many(count: usize) -> String {
        (0..count).fold(String::new(), |mut all, number| {
            let _ = write!(all, " a{number}='>{number}'");
            all
        })
    }

    #[test]
    fn a_tag_with_too_many_attributes_keeps_the_first() {
        let page = format!("<p>1 < 2<a{}>link</a> <b c = \"x > y\">bold", many(300_000));
        let cut = cut(&page);
        assert_eq!(cut, format!("<p>1 < 2<a{} >link</a> <b c = \"x > y\">bold", many(MAX_ATTRIBUTES)));
    }

    #[test]
    fn pages_that_people_write_stay_as_they_are() {
        let picture = format!("<img src=\"data:image/png;base64,{}\" alt='a > b'/>text", "A=/ ".repeat(100_000));
        for page in
            ["", "<", "a<b", "<p title=\"never closed>x", "<p a=1 b>x</p>", &picture, &format!("<i{}>", many(900))]
        {
            assert!(matches!(cut(page), Cow::Borrowed(same) if same == page), "{page:.40}");
        }
    }
}

//! An answer cut at its markers, and evidence cut where it is quoted.

use crate::domain::{Citation, Hit};

/// Words, or a marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerPart {
    /// Words.
    Text(String),
    /// `[n]`, where a citation of that number stands.
    Marker(u32),
}

/// A piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Whether an answer quotes it.
    pub quoted: bool,
}

/// An answer cut at its markers; a marker without a citation stays text.
pub fn parts(answer: &str, citations: &[Citation]) -> Vec<AnswerPart> {
    let cited = |number: u32| citations.iter().any(|citation| citation.marker == number);
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = answer;
    while let Some(open) = rest.find('[') {
        let (ahead, from) = rest.split_at(open);
        text.push_str(ahead);
        let marker = from[1..].split_once(']').and_then(|(number, behind)| Some((number.parse().ok()?, behind)));
        let Some((number, behind)) = marker.filter(|(number, _)| cited(*number)) else {
            text.push('[');
            rest = &from[1..];
            continue;
        };
        if !text.is_empty() {
            parts.push(AnswerPart::Text(std::mem::take(&mut text)));
        }
        parts.push(AnswerPart::Marker(number));
        rest = behind;
    }
    text.push_str(rest);
    if !text.is_empty() {
        parts.push(AnswerPart::Text(text));
    }
    parts
}

/// A hit's text, cut where quotes of the answer begin and end.
pub fn pieces(hit: &Hit, citations: &[Citation]) -> Vec<Piece> {
    let here = citations.iter().filter(|citation| citation.document_id == hit.document_id);
    let mut quotes: Vec<_> = here
        .map(|citation| (citation.start.max(hit.start), citation.end.min(hit.end)))
        .filter(|(start, end)| start < end)
        .collect();
    quotes.sort_unstable();
    let mut pieces = Vec::new();
    let mut at = hit.start;
    for (start, end) in quotes {
        let start = start.max(at);
        if start < end {
            pieces.extend(piece(hit, at, start, false));
            pieces.extend(piece(hit, start, end, true));
            at = end;
        }
    }
    pieces.extend(piece(hit, at, hit.end, false));
    pieces
}

/// Bytes `start..end` of the document, out of the hit; none when there are none or they would cut a character.
fn piece(hit: &Hit, start: usize, end: usize, quoted: bool) -> Option<Piece> {
    let text = hit.text.get(start.checked_sub(hit.start)?..end.checked_sub(hit.start)?)?;
    (!text.is_empty()).then(|| Piece { text: text.to_owned(), quoted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::admin::samples;

    #[test]
    fn markers_become_links_only_where_a_citation_stands() {
        let citations = [samples::citation(1), samples::citation(12)];
        let text = |text: &str| AnswerPart::Text(text.into());
        assert_eq!(
            parts("[see] So it is [1][12]. Not [3], [ or [x", &citations),
            [text("[see] So it is "), AnswerPart::Marker(1), AnswerPart::Marker(12), text(". Not [3], [ or [x")]
        );
        assert_eq!(parts("", &citations), []);
    }

    #[test]
    fn quotes_are_marked_in_the_evidence_and_nothing_is_lost() {
        let mut hit = samples::hit(1);
        (hit.start, hit.text) = (100, "Grüße an alle. Mehr hier.".into());
        hit.end = hit.start + hit.text.len();
        let quote = |start, end| Citation { start, end, document_id: hit.document_id.clone(), ..samples::citation(1) };
        // The third cuts a character, the second overlaps the first.
        let shown = pieces(&hit, &[quote(100, 107), quote(104, 110), quote(0, 50), quote(200, 300)]);
        let whole: String = shown.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(whole, hit.text);
        assert_eq!(shown.iter().map(|piece| piece.quoted).collect::<Vec<_>>(), [true, true, false]);
    }
}

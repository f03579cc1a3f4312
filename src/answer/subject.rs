//! Which thing each piece of a hit speaks of, as far as the keys of a question tell.
//!
//! A text names its subject once and goes on with `it` and `she`, so a piece is about what was named last, ahead of it or
//! above it, until another thing of the kind is named. Rows stand for themselves.

use std::cmp::Ordering;

use super::keys::Key;
use super::pieces::{Kind, Piece};
use super::stands::{Standing, Text};
use super::tables::Cut;

/// What a piece speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// Of what was asked for, by its name.
    Named,
    /// Of what was asked for, named ahead of it.
    Carried,
    /// Nobody can tell.
    Open,
    /// Of another thing of the kind.
    Other,
}

impl Subject {
    /// Whether the piece speaks of what was asked for.
    pub(super) fn is_asked_for(self) -> bool {
        matches!(self, Self::Named | Self::Carried)
    }

    /// What a piece speaks of that has two subjects: both must be asked for.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Other, _) | (_, Self::Other) => Self::Other,
            (Self::Open, _) | (_, Self::Open) => Self::Open,
            (Self::Named, _) | (_, Self::Named) => Self::Named,
            _ => Self::Carried,
        }
    }
}

/// The subject of every piece of `cut`. Without keys all are open.
pub(super) fn subjects(keys: &[Key], cut: &Cut) -> Vec<Subject> {
    let mut all: Option<Vec<Subject>> = None;
    for (at, key) in keys.iter().enumerate() {
        if keys[..at].iter().any(|known| known.is_alternative_to(key)) {
            continue;
        }
        let group: Vec<&Key> = keys.iter().filter(|other| key.is_alternative_to(other)).collect();
        let of_group = Reader::new(&group, cut).read();
        all = Some(match all {
            None => of_group,
            Some(all) => all.into_iter().zip(of_group).map(|(a, b)| a.and(b)).collect(),
        });
    }
    all.unwrap_or_else(|| vec![Subject::Open; cut.pieces.len()])
}

/// Follows the subject through one hit, for keys of which any will do.
struct Reader<'a> {
    keys: &'a [&'a Key],
    cut: &'a Cut<'a>,
    /// How firmly a key stands in the pieces at best: a mere number is no name where the name itself stands.
    best: Standing,
    /// Whether a row has a key; then rows without are of other things.
    in_rows: bool,
    /// Whether a line begins with a key; then a line that begins with another name is of that.
    opens: bool,
}

impl<'a> Reader<'a> {
    fn new(keys: &'a [&'a Key], cut: &'a Cut<'a>) -> Self {
        let mut reader = Self { keys, cut, best: Standing::Weak, in_rows: false, opens: false };
        for piece in &cut.pieces {
            let standing = reader.standing(cut.words(*piece));
            reader.best = reader.best.max(standing);
        }
        let is_row = |piece: &&Piece| piece.kind == Kind::Row;
        reader.in_rows = cut.pieces.iter().filter(is_row).any(|row| reader.standing(cut.words(*row)) == reader.best);
        reader.opens = cut.pieces.iter().any(|piece| {
            let text = Text::of(cut.words(*piece));
            reader.begins_line(*piece) && keys.iter().any(|key| text.opens_with(key))
        });
        reader
    }

    fn standing(&self, text: &str) -> Standing {
        let text = Text::of(text);
        self.keys.iter().map(|key| text.has(key)).max().unwrap_or(Standing::Absent)
    }

    /// What a text names by itself; `begins` says that it opens a line.
    fn named(&self, text: &str, begins: bool) -> Option<Subject> {
        let text = Text::of(text);
        let standing = self.keys.iter().map(|key| text.has(key)).max().unwrap_or(Standing::Absent);
        match standing.cmp(&self.best) {
            Ordering::Less if !text.goes_on() && self.keys.iter().any(|key| text.names_another(key, begins)) => {
                Some(Subject::Other)
            }
            Ordering::Less => None,
            _ => Some(Subject::Named),
        }
    }

    fn read(&self) -> Vec<Subject> {
        let mut now = self.start();
        // The level of the heading that named the subject; 0 for none.
        let mut named_by = 0;
        let mut subjects = Vec::with_capacity(self.cut.pieces.len());
        for (at, piece) in self.cut.pieces.iter().enumerate() {
            if named_by == 0 && now == Subject::Carried && self.begins_anew(at) && !self.is_above() {
                now = Subject::Open;
            }
            let named = self.named(self.cut.words(*piece), self.opens && self.begins_line(*piece));
            let subject = match (piece.kind, named) {
                (Kind::Row | Kind::Columns, named) => {
                    subjects.push(named.unwrap_or(if self.in_rows { Subject::Other } else { now }));
                    continue;
                }
                (_, Some(named)) => named,
                (Kind::Heading, None) if named_by > 0 && self.level(*piece) <= named_by => {
                    named_by = 0;
                    Subject::Open
                }
                (_, None) => now,
            };
            if piece.kind == Kind::Heading && named.is_some() {
                named_by = self.level(*piece);
            }
            subjects.push(subject);
            if subject == Subject::Named {
                self.take_back(&mut subjects);
            }
            now = if subject == Subject::Named { Subject::Carried } else { subject };
        }
        subjects
    }

    /// Whether a year or day, which sets no subject beyond its paragraph, is carried into another.
    fn begins_anew(&self, at: usize) -> bool {
        self.keys.iter().all(|key| key.is_moment()) && at > 0 && !self.adjoins(at)
    }

    /// Whether title, headings or file name have a key.
    fn is_above(&self) -> bool {
        self.start() == Subject::Carried
    }

    /// Whether the piece at `at` goes on in the paragraph of the one ahead.
    fn adjoins(&self, at: usize) -> bool {
        let (ahead, piece) = (self.cut.pieces[at - 1], self.cut.pieces[at]);
        let prose = ahead.kind == Kind::Sentence && piece.kind == Kind::Sentence;
        prose && !self.cut.hit.text[ahead.end..piece.start].contains("\n\n")
    }

    /// What stands ahead of a name in its paragraph and is of nothing else is of what the name names.
    fn take_back(&self, subjects: &mut [Subject]) {
        let mut at = subjects.len() - 1;
        while at > 0 && subjects[at - 1] == Subject::Open && self.adjoins(at) {
            at -= 1;
            subjects[at] = Subject::Carried;
        }
    }

    /// What the hit speaks of ahead of its first piece: what its headings, title or file name say, nearest first; where
    /// neither these nor its text have a key, it was admitted for what its document says elsewhere.
    fn start(&self) -> Subject {
        let hit = self.cut.hit;
        let above = hit.heading.rsplit(" > ").chain([hit.title.as_str(), hit.document_id.as_str()]);
        let named = above.filter(|text| !text.is_empty()).find_map(|text| self.named_above(text));
        named.unwrap_or_else(|| {
            if self.standing(&hit.text) == Standing::Absent { Subject::Carried } else { Subject::Open }
        })
    }

    fn named_above(&self, text: &str) -> Option<Subject> {
        let standing = self.standing(text);
        if standing > Standing::Absent {
            return Some(Subject::Carried);
        }
        let text = Text::of(text);
        self.keys.iter().any(|key| text.names_another(key, false)).then_some(Subject::Other)
    }

    /// Whether a piece opens a line, signs of lists aside.
    fn begins_line(&self, piece: Piece) -> bool {
        self.cut.hit.text[..piece.start].trim_end_matches([' ', '-', '*', '•', '>', '#']).ends_with('\n')
            || piece.start == 0
    }

    /// How deep a heading is: the number of its signs, 1 where it has none.
    fn level(&self, piece: Piece) -> usize {
        let ahead = self.cut.hit.text[..piece.start].trim_end();
        (ahead.len() - ahead.trim_end_matches('#').len()).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::keys;
    use super::super::tests::hit;
    use super::Subject::{Carried, Named, Open, Other};
    use super::*;
    use crate::domain::Hit;

    fn of(question: &str, title: &str, text: &str) -> Vec<Subject> {
        let hit = Hit { title: title.into(), ..hit("a", 0, text) };
        subjects(&keys(question), &Cut::of(&hit))
    }

    #[test]
    fn what_was_named_is_spoken_of_until_another_is_named() {
        let text = "Machine ZK-310 stands in hall 2. It is oiled on Friday.\n\nZK-301 is older. It is oiled on Monday.";
        assert_eq!(of("When is ZK-310 oiled?", "", text), [Named, Carried, Other, Other]);
        assert_eq!(of("When is ZK-301 oiled?", "", text), [Other, Other, Named, Carried]);
        let people =
            "Maria Okafor leads purchasing. Her deputy is Tom Reyes.\n\nMartin Okafor leads the paint shop. He is new.";
        assert_eq!(of("What does Maria Okafor lead?", "", people), [Named, Carried, Other, Other]);
        assert_eq!(of("What does it cost?", "", "It costs 3. Or 4."), [Open, Open]);
    }

    #[test]
    fn a_paragraph_is_of_what_it_names_last_and_a_year_ends_with_it() {
        let text = "It is oiled on Friday. The operator is Ilse Marten.";
        assert_eq!(of("When is the machine of Ilse Marten oiled?", "", text), [Carried, Named]);
        let text = "We opened in 2019. It was fine.\n\nA lunch costs 16 crowns.";
        assert_eq!(of("What is a lunch in 2019?", "", text), [Named, Carried, Open]);
        assert_eq!(of("What is a lunch in 2019?", "Canteen 2019", text), [Named, Carried, Carried]);
    }

    #[test]
    fn headings_and_titles_name_what_stands_below_them() {
        let text = "## 2022\n\nA lunch costs 16.\n\n## 2025\n\nA lunch costs 23.\n\n## Place\n\nIn hall 3.";
        assert_eq!(of("lunch in 2022", "", text), [Named, Carried, Other, Other, Open, Open]);
        assert_eq!(of("lunch in 2025", "", text), [Other, Other, Named, Carried, Open, Open]);
        assert_eq!(of("pressure of PX-13", "Pump PX-13", "It is 5 bar."), [Carried]);
        assert_eq!(of("pressure of PX-13", "Pump PX-10", "As PX-13 has, 5 bar. Or 3."), [Named, Carried]);
    }

    #[test]
    fn rows_stand_for_themselves() {
        let text = "Item | Price\nwidget 1 | 9.50\nwidget 7 | 7.00\nwidget 17 | 8.00\n\nAll are sold.";
        assert_eq!(of("price of widget 7", "", text), [Other, Other, Named, Other, Open]);
        let plain = "Room | Seats\n511 | 7\n512 | 40\n40 | 512";
        assert_eq!(of("seats of room 512", "", plain), [Other, Other, Named, Named]);
    }
}

//! Whether a key stands in a text, and whether the text names another thing of its kind instead.

use super::dates;
use super::key_words::{is_label, is_pronoun, is_title, is_unit};
use super::keys::{Key, Kind, shape};
use super::signs::{Sign, is_number_at, signs};
use crate::domain::codes::{codes, stands_in};
use crate::domain::is_function_word;

/// Signs from the first to the last word of one name at most.
const NAME_REACH: usize = 4;
/// Small words within names.
const NAME_PARTICLES: [&str; 14] =
    ["von", "van", "der", "den", "de", "del", "della", "di", "da", "dos", "la", "le", "al", "bin"];

/// How surely a key stands in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Not at all.
    Absent,
    /// Its number does, where it may mean what was asked for.
    Weak,
    /// As it was asked for.
    Firm,
}

/// A text in which keys are looked for.
pub(super) struct Text<'a> {
    source: &'a str,
    signs: Vec<Sign>,
}

impl<'a> Text<'a> {
    pub(super) fn of(source: &'a str) -> Self {
        Self { source, signs: signs(source) }
    }

    /// How surely `key` stands here.
    pub(super) fn has(&self, key: &Key) -> Standing {
        let firm = match &key.kind {
            Kind::Code(code) => stands_in(code, self.source),
            Kind::Year(year) => self.has_year(*year),
            Kind::Date(date) => dates::dates(&self.signs, self.source).iter().any(|(_, other)| other.agrees(*date)),
            Kind::Label { label, number, .. } => return self.has_label(label, number),
            Kind::Name(name) => self.has_name(name),
            Kind::Phrase(words) => words.iter().all(|word| is_function_word(word) || self.has_word(word)),
        };
        if firm { Standing::Firm } else { Standing::Absent }
    }

    /// Whether this names another thing of the kind of `key`, at its begin where `begins` says that something new may
    /// begin there.
    pub(super) fn names_another(&self, key: &Key, begins: bool) -> bool {
        match &key.kind {
            Kind::Code(code) => codes(self.source).iter().any(|other| is_kin(code, &other.joined)),
            Kind::Year(year) => self.years().any(|other| other != *year),
            Kind::Date(date) => dates::dates(&self.signs, self.source).iter().any(|(_, other)| !other.agrees(*date)),
            Kind::Label { label, number, .. } => {
                !label.is_empty() && self.labelled(label).any(|place| !self.is_number(place, number))
            }
            Kind::Name(name) => self.names_somebody_else(name, begins),
            Kind::Phrase(_) => false,
        }
    }

    /// Whether it begins with a word that stands for what was named ahead of it.
    pub(super) fn goes_on(&self) -> bool {
        self.signs.first().is_some_and(|first| is_pronoun(&first.text))
    }

    /// Whether the first words are the name that `key` is, but for a title.
    pub(super) fn opens_with(&self, key: &Key) -> bool {
        let Kind::Name(name) = &key.kind else { return false };
        let words = self.signs.iter().skip_while(|sign| is_title(&sign.text)).take(name.len());
        words.filter(|sign| name.iter().any(|word| is_same_name(word, &sign.text))).count() == name.len()
    }

    /// Whether some number stands behind `label`, or `label` names a column.
    pub(super) fn numbers_things(&self, label: &str) -> bool {
        let is_column = |line: &str| line.split('|').any(|cell| is_form_of(label, &crate::domain::fold(cell.trim())));
        self.labelled(label).next().is_some() || self.source.lines().any(|line| line.contains('|') && is_column(line))
    }

    /// Whether `number` counts things called `behind` here, or any number does.
    pub(super) fn counts(&self, behind: &str) -> bool {
        self.signs.windows(2).any(|pair| pair[0].is_number && is_form_of(behind, &pair[1].text))
    }

    fn has_word(&self, word: &str) -> bool {
        self.signs.iter().any(|sign| is_form_of(word, &sign.text))
    }

    fn is_number(&self, place: usize, number: &str) -> bool {
        is_number_at(&self.signs, self.source, place, number) || self.spelled(place, number)
    }

    /// Whether the word at `place` spells `number`, in letters or Roman numerals.
    fn spelled(&self, place: usize, number: &str) -> bool {
        const ROMAN: [&str; 12] = ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii"];
        const WORDS: [&str; 12] =
            ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
        const GERMAN: [&str; 12] =
            ["eins", "zwei", "drei", "vier", "funf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwolf"];
        let sign = &self.signs[place];
        let Some(at) = number.parse::<usize>().ok().filter(|n| (1..=12).contains(n)).map(|n| n - 1) else {
            return false;
        };
        let is_roman = sign.text == ROMAN[at] && self.source[sign.start..sign.end].chars().all(char::is_uppercase);
        is_roman || sign.text == WORDS[at] || sign.text == GERMAN[at]
    }

    fn years(&self) -> impl Iterator<Item = u16> + '_ {
        let behind = |place: usize| self.signs.get(place + 1).map_or("", |sign| sign.text.as_str());
        let numbers = self.signs.iter().enumerate().filter(|(_, sign)| sign.is_number);
        numbers.filter(move |(place, _)| !is_unit(behind(*place))).filter_map(|(place, sign)| self.year(place, sign))
    }

    /// The year that a number names: `2022`, `15.5.2022`, `'22`, and of `2022/23` the first.
    fn year(&self, place: usize, sign: &Sign) -> Option<u16> {
        let last =
            sign.text.rsplit('.').next().filter(|_| sign.text.len() == sign.end - sign.start).unwrap_or_default();
        let ahead = self.source[..sign.start].chars().next_back();
        let short = || {
            let two = sign.text.parse::<u16>().ok().filter(|_| sign.text.len() == 2)?;
            let apostrophe = place > 0 && matches!(ahead, Some('\'' | '’'));
            apostrophe.then_some(if two < 50 { 2000 + two } else { 1900 + two })
        };
        dates::year(last).filter(|year| *year < 2100).or_else(short)
    }

    fn has_year(&self, year: u16) -> bool {
        let as_written = |sign: &Sign| sign.text.len() == sign.end - sign.start && sign.text == year.to_string();
        self.years().any(|other| other == year) || self.signs.iter().any(as_written)
    }

    /// Places of what stands behind the word `label`, and is a number or spells one.
    fn labelled<'s>(&'s self, label: &'s str) -> impl Iterator<Item = usize> + 's {
        let is_named = |place: usize| {
            let near = |at: usize| {
                let gap = self.between(at, at + 1);
                gap.len() <= 3
                    && gap
                        .chars()
                        .all(|c| matches!(c, ' ' | '.' | ':' | '-' | '_' | '/' | '\u{a0}' | '#' | '*' | '(' | '"'))
            };
            let Some(mut at) = place.checked_sub(1).filter(|at| near(*at)) else { return false };
            if matches!(self.signs[at].text.as_str(), "no" | "nr" | "number" | "nummer" | "num" | "numero" | "is")
                && at > 0
            {
                at -= 1;
            }
            is_form_of(label, &self.signs[at].text)
        };
        let behind =
            move |place: usize| self.signs.get(place + 1).is_some_and(|next| next.text == label && !label.is_ascii());
        let numbers = (0..self.signs.len()).filter(|place| self.signs[*place].is_number || self.is_spelled(*place));
        numbers.filter(move |place| is_named(*place) || behind(*place))
    }

    fn is_spelled(&self, place: usize) -> bool {
        let word = &self.source[self.signs[place].start..self.signs[place].end];
        let roman = word.bytes().all(|b| matches!(b, b'I' | b'V' | b'X'));
        roman || (1..=12).any(|number: u8| self.spelled(place, &number.to_string()))
    }

    fn has_label(&self, label: &str, number: &str) -> Standing {
        let is_it = |place: &usize| self.is_number(*place, number);
        if self.labelled(label).any(|place| is_it(&place)) {
            return Standing::Firm;
        }
        if label.is_empty() {
            return if (0..self.signs.len()).any(|place| is_it(&place)) { Standing::Firm } else { Standing::Absent };
        }
        let mut places = (0..self.signs.len()).filter(is_it).filter(|place| !self.is_quantity(*place));
        let known = is_label(label) && self.has_word(label);
        if places.any(|place| known || self.is_cell(place)) { Standing::Weak } else { Standing::Absent }
    }

    fn is_quantity(&self, place: usize) -> bool {
        self.signs.get(place + 1).is_some_and(|next| is_unit(&next.text))
    }

    /// Whether the number at `place` is a whole cell of a row, a value of a record, or begins a line.
    fn is_cell(&self, place: usize) -> bool {
        let sign = &self.signs[place];
        let ahead = self.source[..sign.start].trim_end_matches([' ', '"', '*', '#', '-']);
        let behind = self.source[sign.end..].trim_start_matches([' ', '"', '*']);
        let begins = ahead.is_empty() || ahead.ends_with(['|', '\n', ':', ',', '{']);
        let ends = behind.is_empty() || behind.starts_with(['|', '\n', ':', ',', '}', '.', ')']);
        begins && ends
    }

    /// Whether the words of a name stand close to each other, or the last alone where nobody else bears it.
    fn has_name(&self, name: &[String]) -> bool {
        let Some((last, first)) = name.split_last() else { return false };
        let places = |word: &str| -> Vec<usize> {
            (0..self.signs.len()).filter(|place| is_same_name(word, &self.signs[*place].text)).collect()
        };
        let last_places = places(last);
        if first.is_empty() {
            return !last_places.is_empty();
        }
        // Of a long name a text may say but most: the Blue Jackets of Columbus.
        let is_of = |sign: &Sign| name.iter().any(|word| is_same_name(word, &sign.text));
        if first.len() > 1 && self.signs.windows(2).any(|pair| pair[0].text != pair[1].text && pair.iter().all(is_of)) {
            return true;
        }
        let first_places: Vec<Vec<usize>> = first.iter().map(|word| places(word)).collect();
        let near = |at: usize| first_places.iter().all(|of| of.iter().any(|place| self.is_one_name(*place, at)));
        let alone = |at: usize| at == 0 || self.is_bare(at);
        last_places.iter().any(|at| near(*at)) || last_places.iter().any(|at| alone(*at)) && !last_places.is_empty()
    }

    /// Whether the signs at two places may be words of one name: side by side, or with nothing between them but more of it.
    fn is_one_name(&self, a: usize, b: usize) -> bool {
        let (first, last) = (a.min(b), a.max(b));
        let part = |sign: &Sign| sign.is_capital || NAME_PARTICLES.contains(&sign.text.as_str());
        let between = self.between(first, last);
        last - first <= 1
            || last - first <= NAME_REACH
                && !between.contains([',', ';', '\n', '|', '/'])
                && self.signs[first + 1..last].iter().all(part)
    }

    /// What stands between two signs; nothing where they overlap, as pairs of characters do.
    fn between(&self, first: usize, last: usize) -> &str {
        self.source.get(self.signs[first].end..self.signs[last].start).unwrap_or_default()
    }

    /// Whether no first name stands ahead of the name at `place`: nothing with a capital but a title.
    fn is_bare(&self, place: usize) -> bool {
        let ahead = &self.signs[place - 1];
        let adjoins = matches!(self.between(place - 1, place), " " | ". ");
        !adjoins || !ahead.is_capital || is_title(&ahead.text) || is_function_word(&ahead.text)
    }

    /// Whether a name here shares a word with `name` and is another, or, at the begin, is anybody else's.
    fn names_somebody_else(&self, name: &[String], begins: bool) -> bool {
        let is_of = |sign: &Sign| name.iter().any(|word| is_same_name(word, &sign.text));
        self.full_names().any(|run| {
            let signs = &self.signs[run.clone()];
            let shared = signs.iter().filter(|sign| is_of(sign)).count();
            let other = shared == 0 && begins && run.start <= 1;
            other || shared > 0 && shared < name.len() && shared < signs.len()
        })
    }

    /// Runs of two and more words with capitals, titles and the letters of codes aside.
    fn full_names(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        let is_part = |place: usize| {
            self.signs.get(place).is_some_and(|sign| {
                sign.is_capital
                    && !sign.is_acronym(self.source)
                    && !is_title(&sign.text)
                    && !is_function_word(&sign.text)
            })
        };
        let adjoins = |place: usize| self.between(place - 1, place) == " ";
        let begins = move |place: &usize| is_part(*place) && (*place == 0 || !is_part(place - 1) || !adjoins(*place));
        (0..self.signs.len()).filter(begins).filter_map(move |first| {
            let mut end = first + 1;
            while is_part(end) && adjoins(end) {
                end += 1;
            }
            (end - first > 1).then_some(first..end)
        })
    }
}

/// Whether two codes are of one kind, and not one: alike in letters and digits, or with the same letters ahead.
fn is_kin(code: &str, other: &str) -> bool {
    let letters = |code: &str| code.chars().take_while(|c| c.is_alphabetic()).collect::<String>();
    let (ours, theirs) = (letters(code), letters(other));
    let begin_alike = ours.len() >= 2 && ours == theirs && other.contains(char::is_numeric);
    other != code && !other.starts_with(code) && (shape(code) == shape(other) || begin_alike)
}

/// Whether `word` is `label`, but for an ending.
pub(super) fn is_form_of(label: &str, word: &str) -> bool {
    let alike = label.chars().zip(word.chars()).take_while(|(a, b)| a == b).count();
    let (ours, theirs) = (label.chars().count(), word.chars().count());
    alike > 0
        && (alike == ours && theirs <= ours + usize::from(alike > 2) * 2
            || alike == theirs && alike > 2 && ours <= theirs + 2)
}

/// Whether two words are one name, also in the genitive.
fn is_same_name(name: &str, word: &str) -> bool {
    name == word || name.strip_suffix('s') == Some(word) || word.strip_suffix('s') == Some(name)
}

#[cfg(test)]
mod tests {
    use super::super::keys::keys;
    use super::*;

    fn has(question: &str, text: &str) -> Standing {
        let keys = keys(question);
        assert_eq!(keys.len(), 1, "{question}: {keys:?}");
        Text::of(text).has(&keys[0])
    }

    fn names_another(question: &str, text: &str) -> bool {
        Text::of(text).names_another(&keys(question)[0], true)
    }

    #[test]
    fn a_key_stands_where_its_thing_is_named_in_any_writing() {
        for (question, text) in [
            ("HX-4810-B", "Part number: hx 4810 b"),
            ("lunch in 2022", "From January 2022 on"),
            ("lunch in 2022", "on 15.5.2022"),
            ("lunch in 2022", "in '22"),
            ("lunch in 2022", "the year 2022/23"),
            ("on 15 May 2021?", "began on 2021-05-15"),
            ("is it in room 512?", "Room 512 has a screen."),
            ("is it in room 512?", "room no. 512"),
            ("what is article 3?", "Article III"),
            ("price of widget 7", "Widget 7 | 3.50"),
            ("extension of Maria Lund", "Lund, Maria: 214"),
            ("deputy of Agnes Falk", "Dr. Falk heads it."),
            ("Who is Samsa's boss, please?", "samsa"),
            ("order 3600?", "Order 3,600 is late"),
            ("4200", "at 4,200 revolutions an hour"),
        ] {
            assert_eq!(has(question, text), Standing::Firm, "{question} {text}");
        }
        assert_eq!(has("is it in room 512?", "Room | Seats\n512 | 40"), Standing::Weak);
        assert_eq!(has("price of widget 7", "7 | 3.50"), Standing::Weak);
    }

    #[test]
    fn another_thing_is_not_the_one_that_was_asked_for() {
        for (question, text) in [
            ("HX-4810-B", "HX-4801-B and HX-4810-BA"),
            ("lunch in 2022", "2,022 euros and 12022"),
            ("on 15 May 2021?", "on 16 May 2021"),
            ("is it in room 512?", "Room 51 and 2, room 5120, 512 hours"),
            ("price of widget 7", "widget 17 | 7.00"),
            ("extension of Maria Lund", "Maria Okafor and Bo Lund"),
            ("extension of Maria Lund", "Martin Lund"),
        ] {
            assert_eq!(has(question, text), Standing::Absent, "{question} {text}");
        }
        for (question, text) in [
            ("HX-4810-B", "Part HX-4801-B"),
            ("price of PX-13", "The PX-103"),
            ("lunch in 2022", "in 2025 it costs 23"),
            ("on 15 May 2021?", "on 16 May 2021"),
            ("is it in room 512?", "Room 511 is free."),
            ("price of widget 7", "widget 17"),
            ("extension of Maria Lund", "Call Maria Okafor"),
            ("extension of Maria Lund", "Bo Berg is here"),
        ] {
            assert!(names_another(question, text), "{question} {text}");
        }
        assert!(!names_another("deputy of Agnes Falk", "Her deputy is Tom Reyes."));
    }
}

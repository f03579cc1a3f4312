//! The numbers and bullets of Word's lists (ECMA-376 part 1, 17.9).

use std::collections::HashMap;

use super::xml::{Element, Visitor};

/// Depths of a list.
const DEPTHS: usize = 9;

/// The lists of a document, and how far each has counted.
#[derive(Default)]
pub(super) struct Numbering {
    /// By the number of the definition and the depth.
    levels: HashMap<(u32, usize), Level>,
    /// Which definition each list uses, and where it counts.
    lists: HashMap<u32, List>,
    counters: HashMap<Counter, [Option<u32>; DEPTHS]>,
    /// The definition or list that is being read.
    reading: Reading,
}

#[derive(Default, Clone)]
struct Level {
    start: u32,
    format: String,
    /// As in `%1.%2)`: the numbers of the depths, from 1.
    text: String,
}

#[derive(Default, Clone, Copy)]
struct List {
    definition: u32,
    /// Whether it begins anew instead of going on where another of the same definition ended.
    restarts: bool,
}

/// Lists of one definition count on together, unless one restarts.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Counter {
    Definition(u32),
    List(u32),
}

#[derive(Default)]
enum Reading {
    #[default]
    Nothing,
    Definition(u32, usize),
    List(u32),
}

impl Numbering {
    /// What stands before the next item of a list at this depth, from 0; a bullet where nothing is known.
    pub fn next(&mut self, list: u32, depth: usize) -> String {
        let depth = depth.min(DEPTHS - 1);
        let Some(List { definition, restarts }) = self.lists.get(&list).copied() else { return "-".to_owned() };
        let Some(level) = self.levels.get(&(definition, depth)) else { return "-".to_owned() };
        let start = |depth| self.levels.get(&(definition, depth)).map_or(1, |level| level.start);
        let counter = if restarts { Counter::List(list) } else { Counter::Definition(definition) };
        let counts = self.counters.entry(counter).or_default();
        for (above, count) in counts.iter_mut().enumerate().take(depth) {
            count.get_or_insert(start(above));
        }
        counts[depth] = Some(counts[depth].map_or(start(depth), |count| count.saturating_add(1)));
        counts[depth + 1..].fill(None);
        let counts = *counts;
        match level.format.as_str() {
            "bullet" => "-".to_owned(),
            "none" => String::new(),
            _ => self.label(definition, &level.text, counts),
        }
    }

    /// Puts the counts into a level's text.
    fn label(&self, definition: u32, text: &str, counts: [Option<u32>; DEPTHS]) -> String {
        let mut label = String::new();
        let mut parts = text.split('%');
        label.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let digit = part.chars().next().and_then(|digit| digit.to_digit(10)).filter(|digit| *digit > 0);
            let Some(depth) = digit.map(|digit| digit as usize - 1) else {
                label.push_str(part);
                continue;
            };
            let format = self.levels.get(&(definition, depth)).map_or("decimal", |level| level.format.as_str());
            label.push_str(&counts[depth].map(|count| shown(count, format)).unwrap_or_default());
            label.push_str(&part[1..]);
        }
        label
    }
}

impl Visitor for Numbering {
    fn open(&mut self, element: &Element) {
        let value = |name| element.attribute(name).unwrap_or_default();
        let number = |name| value(name).parse::<u32>().unwrap_or_default();
        match (element.name(), &self.reading) {
            ("abstractNum", _) => self.reading = Reading::Definition(number("abstractNumId"), 0),
            ("num", _) => self.reading = Reading::List(number("numId")),
            ("lvl", Reading::Definition(definition, _)) => {
                let depth = number("ilvl") as usize;
                self.levels.insert((*definition, depth), Level { start: 1, ..Level::default() });
                self.reading = Reading::Definition(*definition, depth);
            }
            ("start" | "numFmt" | "lvlText", Reading::Definition(definition, depth)) => {
                let level = self.levels.entry((*definition, *depth)).or_default();
                match element.name() {
                    "start" => level.start = number("val"),
                    "numFmt" => level.format = value("val"),
                    _ => level.text = value("val"),
                }
            }
            ("abstractNumId", Reading::List(list)) => self.lists.entry(*list).or_default().definition = number("val"),
            ("startOverride", Reading::List(list)) => self.lists.entry(*list).or_default().restarts = true,
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        if matches!(name, "abstractNum" | "num") {
            self.reading = Reading::Nothing;
        }
    }

    fn words(&mut self, _words: &str) {}
}

/// A count as its format shows it; formats of other scripts are shown in digits.
fn shown(count: u32, format: &str) -> String {
    match format {
        "lowerLetter" => letters(count, b'a'),
        "upperLetter" => letters(count, b'A'),
        "lowerRoman" => roman(count).to_lowercase(),
        "upperRoman" => roman(count),
        "decimalZero" => format!("{count:02}"),
        "none" | "bullet" => String::new(),
        _ => count.to_string(),
    }
}

/// a to z, then aa to zz, as Word counts.
fn letters(count: u32, first: u8) -> String {
    let Some(index) = count.checked_sub(1) else { return String::new() };
    let letter = first + u8::try_from(index % 26).unwrap_or_default();
    char::from(letter).to_string().repeat((index / 26 + 1).min(10) as usize)
}

fn roman(count: u32) -> String {
    const NUMERALS: [(u32, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if count > 3999 {
        return count.to_string();
    }
    let mut rest = count;
    let mut numeral = String::new();
    for (worth, sign) in NUMERALS {
        while rest >= worth {
            numeral.push_str(sign);
            rest -= worth;
        }
    }
    numeral
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::readers::xml::walk;

    const LISTS: &str = r#"<w:numbering>
        <w:abstractNum w:abstractNumId="7">
            <w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
            <w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1.%2)"/></w:lvl>
            <w:lvl w:ilvl="2"><w:start w:val="4"/><w:numFmt w:val="upperRoman"/><w:lvlText w:val="§%3"/></w:lvl>
            <w:lvl w:ilvl="3"><w:numFmt w:val="bullet"/><w:lvlText w:val="o"/></w:lvl>
        </w:abstractNum>
        <w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num>
        <w:num w:numId="2"><w:abstractNumId w:val="7"/></w:num>
        <w:num w:numId="3"><w:abstractNumId w:val="7"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride></w:num>
    </w:numbering>"#;

    #[test]
    fn items_are_counted_by_depth_as_word_shows_them() {
        let mut numbering = Numbering::default();
        walk(LISTS, &mut numbering).unwrap();
        let items = [(1, 0), (1, 1), (1, 1), (1, 2), (1, 3), (1, 0), (1, 1), (2, 0), (3, 0), (9, 0)];
        let labels = items.map(|(list, depth)| numbering.next(list, depth));
        assert_eq!(labels, ["1.", "1.a)", "1.b)", "§IV", "-", "2.", "2.a)", "3.", "1.", "-"]);
    }

    #[test]
    fn letters_and_numerals_go_on_as_word_counts() {
        assert_eq!([1, 26, 27, 0].map(|count| letters(count, b'a')), ["a", "z", "aa", ""]);
        assert_eq!([4, 1999, 4000].map(roman), ["IV", "MCMXCIX", "4000"]);
    }
}

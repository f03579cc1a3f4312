//! How a cell shows its number: formats of workbooks, and dates, durations and numbers as words.

use std::collections::HashMap;

use super::xml::{Element, Visitor};

/// What a cell's number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Look {
    #[default]
    Number,
    /// Days since the epoch.
    Date,
    /// Days that passed, shown as hours.
    Duration,
    /// A share of one, shown as one of a hundred.
    Percent,
}

impl Look {
    /// What a format's code makes of a number: a date if it has a date's letter, a duration if it counts hours, minutes or
    /// seconds on, which it says in brackets, or so many in a hundred.
    fn of(code: &str) -> Self {
        let mut look = Self::Number;
        let mut signs = code.chars().map(|c| c.to_ascii_lowercase());
        while let Some(sign) = signs.next() {
            match sign {
                // What follows is shown as it is, or is a width.
                '\\' | '_' | '*' => drop(signs.next()),
                '"' => drop(signs.find(|c| *c == '"')),
                '[' => {
                    let inside: String = signs.by_ref().take_while(|c| *c != ']').collect();
                    if !inside.is_empty() && ['h', 'm', 's'].iter().any(|unit| inside.chars().all(|c| c == *unit)) {
                        return Self::Duration;
                    }
                }
                'y' | 'm' | 'd' | 'h' | 's' => return Self::Date,
                '%' => look = Self::Percent,
                _ => {}
            }
        }
        look
    }

    /// ECMA-376 part 1, 18.8.30: what built-in formats make of a number.
    fn built_in(id: u32) -> Self {
        match id {
            9 | 10 => Self::Percent,
            46 => Self::Duration,
            14..=22 | 27..=36 | 45 | 47 | 50..=58 => Self::Date,
            _ => Self::Number,
        }
    }

    /// The number as a cell shows it.
    pub(super) fn show(self, value: &str, epoch: jiff::civil::Date) -> String {
        let shown = match self {
            Self::Number => None,
            Self::Date => date(value, epoch),
            Self::Duration => duration(value),
            Self::Percent => percent(value),
        };
        shown.unwrap_or_else(|| number(value))
    }
}

/// What a workbook's cell formats make of numbers, in their order.
#[derive(Default)]
pub(super) struct Styles {
    pub looks: Vec<Look>,
    /// The workbook's own formats, by number.
    formats: HashMap<u32, Look>,
    in_cell_formats: bool,
}

impl Visitor for Styles {
    fn open(&mut self, element: &Element) {
        let number = |name| element.attribute(name).and_then(|value| value.parse::<u32>().ok()).unwrap_or_default();
        match element.name() {
            "numFmt" => {
                let code = element.attribute("formatCode").unwrap_or_default();
                self.formats.insert(number("numFmtId"), Look::of(&code));
            }
            "cellXfs" => self.in_cell_formats = true,
            "xf" if self.in_cell_formats => {
                let id = number("numFmtId");
                self.looks.push(self.formats.get(&id).copied().unwrap_or_else(|| Look::built_in(id)));
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        if name == "cellXfs" {
            self.in_cell_formats = false;
        }
    }

    fn words(&mut self, _words: &str) {}
}

/// A number without the noise of binary fractions: 15 digits, as Excel shows it.
pub(super) fn number(value: &str) -> String {
    match value.trim().parse::<f64>() {
        Ok(number) if number.is_finite() && value.contains('.') => rounded(number),
        _ => value.trim().to_owned(),
    }
}

/// A share of one in hundredths.
fn percent(value: &str) -> Option<String> {
    let share = value.trim().parse::<f64>().ok().filter(|share| share.is_finite())?;
    Some(format!("{}%", rounded(share * 100.0)))
}

fn rounded(number: f64) -> String {
    format!("{number:.14e}").parse::<f64>().unwrap_or(number).to_string()
}

/// Days as whole seconds, where they are within what a workbook can mean.
fn seconds(value: &str) -> Option<i64> {
    let days = value.trim().parse::<f64>().ok().filter(|days| (0.0..3_000_000.0).contains(days))?;
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    let seconds = (days * 86_400.0).round() as i64;
    Some(seconds)
}

/// A serial number of days as a date, with the time of day if it has one; below a day, the time alone.
fn date(value: &str, epoch: jiff::civil::Date) -> Option<String> {
    let seconds = seconds(value)?;
    let moment = epoch.at(0, 0, 0, 0).checked_add(jiff::SignedDuration::from_secs(seconds)).ok()?;
    let format = match seconds {
        0..86_400 => "%H:%M:%S",
        _ if seconds % 86_400 == 0 => "%Y-%m-%d",
        _ => "%Y-%m-%d %H:%M:%S",
    };
    Some(moment.strftime(format).to_string())
}

/// Days as hours, minutes and seconds.
fn duration(value: &str) -> Option<String> {
    let seconds = seconds(value)?;
    Some(format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_a_person_typed_them() {
        assert_eq!(
            ["0.1", "0.30000000000000004", "42", "1.5E3", "abc"].map(number),
            ["0.1", "0.3", "42", "1500", "abc"]
        );
    }

    #[test]
    fn dates_durations_and_shares_are_shown_as_such() {
        let epoch = jiff::civil::date(1899, 12, 30);
        for (look, value, shown) in [
            (Look::Date, "44067", "2020-08-24"),
            (Look::Date, "44067.5", "2020-08-24 12:00:00"),
            (Look::Date, "0.25", "06:00:00"),
            (Look::Date, "1e300", "1e300"),
            (Look::Duration, "1.5208333333333333", "36:30:00"),
            (Look::Duration, "0.0625", "01:30:00"),
            (Look::Percent, "0.256", "25.6%"),
            (Look::Percent, "0.07", "7%"),
            (Look::Percent, "-5", "-500%"),
            (Look::Percent, "?", "?"),
            (Look::Number, "1.50", "1.5"),
        ] {
            assert_eq!(look.show(value, epoch), shown);
        }
    }

    #[test]
    fn a_formats_code_says_what_its_numbers_are() {
        for (code, look) in [
            ("dd/mm/yyyy", Look::Date),
            ("[$-409]h:mm", Look::Date),
            ("[h]:mm:ss", Look::Duration),
            ("[mm]:ss", Look::Duration),
            ("0.00\" days\"", Look::Number),
            ("[Red]0.00", Look::Number),
            ("[Magenta]0.00", Look::Number),
            (r"0\ \h", Look::Number),
            ("0.0%", Look::Percent),
            ("0\"%\"", Look::Number),
        ] {
            assert_eq!(Look::of(code), look, "{code}");
        }
        assert_eq!([14, 46, 9, 2].map(Look::built_in), [Look::Date, Look::Duration, Look::Percent, Look::Number]);
    }
}

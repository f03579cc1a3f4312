//! What a text says in figures: numbers with their units, times of the day, dates, days of the week, codes.

use super::language::Words;
use super::numbers::{fraction, literal, spelled};
use super::tokens::Token;
use super::units::{self, Unit, close};

/// Words ahead of a number that is one of a passage, as models write it: no fact.
const REFERENCES: [&str; 15] = [
    "passage",
    "passages",
    "source",
    "sources",
    "document",
    "doc",
    "quelle",
    "quellen",
    "abschnitt",
    "fuente",
    "fonte",
    "bron",
    "excerpt",
    "ref",
    "reference",
];
/// How far from an hour stands the word that tells morning from evening: `six in the morning`.
const NEAR: usize = 4;

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Figure {
    /// A number.
    Number {
        /// What it may mean.
        readings: Vec<f64>,
        unit: Option<Unit>,
        /// The code that it is the end of, if its word before is a part of it: `ZK310` for `ZK 310`.
        code: Option<String>,
        /// Whether it says so little (`an hour`, `half`) that a statement need not be proved for it.
        weak: bool,
    },
    /// Minutes since midnight, and whether the half of the day is known.
    Time { minutes: u32, sure: bool },
    /// A date, in each way it may be read.
    Date(Vec<Date>),
    /// A day of the week, 1 for Monday.
    Day(u8),
    /// A code: capitals and digits alone.
    Code(String),
}

/// A date, as far as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Date {
    pub year: Option<u32>,
    pub month: Option<u8>,
    pub day: Option<u8>,
}

/// The figures of a text, and the units that it names anywhere.
#[derive(Debug, Default, Clone)]
pub(super) struct Figures {
    pub all: Vec<Figure>,
    pub units: Vec<Unit>,
}

/// Reads the figures of a text in its language.
pub(super) fn read(tokens: &[Token], words: &Words) -> Figures {
    let mut reader = Reader { tokens, words, at: 0, figures: Figures::default() };
    while reader.at < tokens.len() {
        let used = reader.step();
        reader.at += used.max(1);
    }
    reader.figures
}

struct Reader<'a> {
    tokens: &'a [Token],
    words: &'a Words,
    at: usize,
    figures: Figures,
}

impl Reader<'_> {
    /// Reads what begins at the next token; returns how many it takes.
    fn step(&mut self) -> usize {
        let token = &self.tokens[self.at];
        if let Some(unit) = self.unit(self.at) {
            self.figures.units.push(unit);
        }
        if self.is_no_fact() {
            return 1;
        }
        if let Some((date, used)) = self.date() {
            return self.found(Figure::Date(date), used);
        }
        if let Some((time, used)) = self.clock() {
            return self.found(time, used);
        }
        if let Some(day) = self.words.day(&token.lower) {
            return self.found(Figure::Day(day), 1);
        }
        if let Some((readings, unit, used, weak)) = self.number() {
            return self.quantity(readings, unit, used, weak);
        }
        if token.text.contains(|c: char| c.is_ascii_digit()) {
            return self.code();
        }
        1
    }

    fn found(&mut self, figure: Figure, used: usize) -> usize {
        self.figures.all.push(figure);
        used
    }

    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.lower.as_str())
    }

    /// Whether a number counts the text's own lines or names a passage.
    fn is_no_fact(&self) -> bool {
        let token = &self.tokens[self.at];
        let short = token.text.len() <= 3 && token.text.bytes().all(|byte| byte.is_ascii_digit());
        let of_passage = self.at > 0 && REFERENCES.contains(&self.word(self.at - 1));
        let labelled = self.at > 0 && self.tokens[self.at - 1].leads && token.after == ':';
        let next = self.tokens.get(self.at + 1);
        let numbered = token.begins && token.after == ')' && next.is_some_and(Token::is_capital);
        short && (numbered || token.leads && matches!(token.after, '.' | ')' | ':') || of_passage || labelled)
    }

    /// The unit that a token names; one of a single letter only as it is written.
    fn unit(&self, at: usize) -> Option<Unit> {
        let token = self.tokens.get(at)?;
        let single = token.text.len() == 1 && token.text.starts_with(|c: char| c.is_ascii_alphabetic());
        if single && !matches!(token.text.as_str(), "m" | "s" | "g" | "h" | "l" | "t" | "W" | "V") {
            return None;
        }
        units::unit(&token.lower)
    }

    /// A number, its unit where that is a part of its token, how many tokens it takes, and whether it is weak.
    fn number(&self) -> Option<(Vec<f64>, Option<Unit>, usize, bool)> {
        let token = &self.tokens[self.at];
        let next = self.tokens.get(self.at + 1);
        if let Some(value) = fraction(&token.text) {
            return Some((vec![value], None, 1, true));
        }
        if let Some(values) = literal(&token.text) {
            return Some(self.spaced(values));
        }
        if let Some((value, used)) = spelled(&self.tokens[self.at..], self.words) {
            return Some((vec![value], None, used, false));
        }
        let unit_next = next.and_then(|_| self.unit(self.at + 1)).filter(|_| !next.is_some_and(|next| next.parted));
        match token.lower.as_str() {
            "half" => return Some((vec![0.5], None, 1, true)),
            "one" if unit_next.is_some() && self.words.one.contains("one") => return Some((vec![1.0], None, 1, false)),
            "a" | "an" if unit_next.is_some() => return Some((vec![1.0], None, 1, true)),
            word if self.words.one.contains(word) => return Some((vec![1.0], None, 1, true)),
            word => {
                if let Some(value) = self.words.ordinals.get(word) {
                    // The first two say too often when and not which.
                    return Some((vec![f64::from(*value)], None, 1, *value < 3));
                }
            }
        }
        self.glued()
    }

    /// A number whose groups are parted by spaces: `1 000`.
    fn spaced(&self, values: Vec<f64>) -> (Vec<f64>, Option<Unit>, usize, bool) {
        let digits = |at: usize, length: std::ops::RangeInclusive<usize>| {
            let token = self.tokens.get(at).filter(|token| at == self.at || !token.parted)?;
            let plain = length.contains(&token.text.len()) && token.text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then_some(token.text.as_str())
        };
        let Some(first) = digits(self.at, 1..=3).filter(|first| !first.starts_with('0')) else {
            return (values, None, 1, false);
        };
        let groups: Vec<&str> = (self.at + 1..).map_while(|at| digits(at, 3..=3)).collect();
        let joined: Option<f64> = format!("{first}{}", groups.concat()).parse().ok();
        match joined.filter(|_| !groups.is_empty()) {
            Some(joined) => (vec![joined], None, groups.len() + 1, false),
            None => (values, None, 1, false),
        }
    }

    /// A number with letters written onto it: `25km`, `1k`, `3rd`, `14-day`, `25유로`; a range is told by its first figure.
    fn glued(&self) -> Option<(Vec<f64>, Option<Unit>, usize, bool)> {
        let token = &self.tokens[self.at];
        let (first, rest) =
            token.lower.split_once('-').filter(|(first, _)| !first.is_empty()).unwrap_or((&token.lower, ""));
        let digits = first.trim_end_matches(|c: char| !c.is_ascii_digit());
        if digits.is_empty() {
            // `three-month`
            let value = self.words.numbers.get(first).filter(|_| units::unit(rest).is_some())?;
            return Some((vec![f64::from(*value)], units::unit(rest), 1, false));
        }
        let values = literal(digits)?;
        let tail = &first[digits.len()..];
        let times = |factor: f64| Some((values.iter().map(|value| value * factor).collect(), None, 1, false));
        match (tail, rest) {
            ("k", "") => times(1e3),
            ("m", "") if token.text.ends_with('M') => times(1e6),
            ("mio" | "mn", "") => times(1e6),
            ("bn" | "mrd", "") => times(1e9),
            ("" | "st" | "nd" | "rd" | "th" | "er" | "e" | "º" | "ª", "") => Some((values, None, 1, false)),
            (tail, "") if units::unit(tail).is_some() => Some((values, units::unit(tail), 1, false)),
            // `25유로`, `6:ksi`: an ending, which no code has.
            (tail, "") if !tail.is_ascii() => {
                let unit =
                    tail.char_indices().map(|(at, c)| &tail[..at + c.len_utf8()]).filter_map(units::unit).next_back();
                Some((values, unit, 1, false))
            }
            ("", rest) if rest.chars().all(char::is_alphabetic) && token.text.ends_with(rest) => {
                Some((values, units::unit(rest), 1, false))
            }
            _ => None,
        }
    }

    /// Adds a number with its scale, its unit and the half of the day that it may name.
    fn quantity(&mut self, readings: Vec<f64>, unit: Option<Unit>, used: usize, weak: bool) -> usize {
        let mut readings = readings;
        let mut end = self.at + used;
        let joins = |at: usize| self.tokens.get(at).is_some_and(|token| !token.parted);
        if let Some(scale) = self.words.scales.get(self.word(end)).filter(|_| joins(end)) {
            for value in &mut readings {
                *value *= f64::from(*scale);
            }
            end += 1;
        }
        let mut unit = unit;
        if unit.is_none() && joins(end) {
            let of_hundred = matches!(self.word(end), "per" | "pour" | "por")
                && matches!(self.word(end + 1), "cent" | "ciento" | "cento");
            unit = if of_hundred { units::unit("%") } else { self.unit(end) };
            end += match unit {
                Some(_) if of_hundred => 2,
                Some(_) => 1,
                None => 0,
            };
        }
        if unit.is_none() && self.at > 0 && !self.tokens[self.at].parted {
            unit = units::ahead(&self.tokens[self.at - 1].text);
        }
        self.figures.units.extend(unit);
        if let Some(time) = self.hour(&readings, unit, end) {
            let spoken = matches!(self.word(end), "uhr") || self.word(end) == "o" && self.word(end + 1) == "clock";
            return self.found(time, end - self.at + usize::from(spoken));
        }
        let code = self.at.checked_sub(1).map(|before| &self.tokens[before]).filter(|before| {
            let letters = before.text.len() <= 5 && before.text.bytes().all(|byte| byte.is_ascii_alphabetic());
            letters && !self.tokens[self.at].parted
        });
        let code = code.map(|before| plain(&format!("{}{}", before.text, self.tokens[self.at].text)));
        self.found(Figure::Number { readings, unit, code, weak }, end - self.at)
    }

    /// The time that an hour up to token `end` tells, where the words around say that it is one.
    fn hour(&self, readings: &[f64], unit: Option<Unit>, end: usize) -> Option<Figure> {
        let hours = unit.is_none_or(|unit| unit.dimension == "time" && close(unit.factor, 3600.0));
        let hour = readings.first().copied().filter(|hour| hours && (0.0..=24.0).contains(hour))?;
        let whole = (hour * 100.0).round();
        let (hour, minute) = ((whole / 100.0).floor(), whole % 100.0);
        let spoken =
            matches!(self.word(end), "uhr" | "点" | "點") || self.word(end) == "o" && self.word(end + 1) == "clock";
        let half = self.half(end);
        if !spoken && half.is_none() || minute >= 60.0 || minute > 0.0 && !spoken {
            return None;
        }
        // Both are whole and below 100.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "hours and minutes are small and whole"
        )]
        let (hour, minute) = (hour as u32, minute as u32);
        Some(time(hour, minute, half))
    }

    /// Whether the words near say that an hour is of the morning (false) or of the evening (true).
    fn half(&self, end: usize) -> Option<bool> {
        let figure = |token: &Token| token.text.contains(|c: char| c.is_ascii_digit());
        let after = self.tokens.iter().skip(end).take(NEAR).take_while(|token| !figure(token) && !token.parted);
        let from = self.at.saturating_sub(NEAR);
        let before = self.tokens[from..self.at].iter().rev().take_while(|token| !figure(token));
        after.chain(before).find_map(|token| self.half_of(&token.lower))
    }

    fn half_of(&self, word: &str) -> Option<bool> {
        match word {
            "am" if self.words.morning.contains("am") => Some(false),
            "早" | "朝" | "晨" | "오전" => Some(false),
            "pm" | "晚" | "夜" | "夕" | "오후" => Some(true),
            "am" => None,
            word if self.words.morning.contains(word) => Some(false),
            word if self.words.evening.contains(word) => Some(true),
            _ => None,
        }
    }

    /// `6:00`, `18:30`, `6pm`, `6h30`, `noon`.
    fn clock(&self) -> Option<(Figure, usize)> {
        let token = &self.tokens[self.at];
        match token.lower.as_str() {
            "noon" | "midi" => return Some((Figure::Time { minutes: 720, sure: true }, 1)),
            "midnight" | "mitternacht" | "minuit" => return Some((Figure::Time { minutes: 0, sure: true }, 1)),
            _ => {}
        }
        let (bare, half) = [("am", false), ("pm", true)]
            .into_iter()
            .find_map(|(sign, half)| Some((token.lower.strip_suffix(sign)?, Some(half))))
            .unwrap_or((token.lower.as_str(), None));
        let separator = [':', 'h'].into_iter().find(|separator| bare.contains(*separator));
        let (hours, minutes) = match separator {
            Some(separator) => bare.split_once(separator)?,
            None if half.is_some() => (bare, "00"),
            None => return None,
        };
        let digits = |text: &str| text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(hours) || !digits(minutes) || hours.is_empty() || separator.is_some() && minutes.len() != 2 {
            return None;
        }
        let (hour, minute) = (hours.parse().ok()?, minutes.parse().ok()?);
        if hour > 24 || minute > 59 {
            return None;
        }
        let used = 1 + usize::from(self.word(self.at + 1) == "uhr");
        // A nought ahead is of the clock of 24 hours.
        let half = half.or_else(|| self.half(self.at + used)).or_else(|| hours.starts_with('0').then_some(false));
        Some((time(hour, minute, half), used))
    }

    fn date(&self) -> Option<(Vec<Date>, usize)> {
        let token = &self.tokens[self.at];
        numeric_date(&token.text).map(|dates| (dates, 1)).or_else(|| self.spoken_date())
    }

    /// `15 May 2021`, `May 15, 2021`, `15. Mai`, `May 2021`, `in May`.
    fn spoken_date(&self) -> Option<(Vec<Date>, usize)> {
        let skip = |at: usize| at + usize::from(matches!(self.word(at), "of" | "de" | "del" | "the" | "den"));
        if let Some(day) = self.day_of_month(self.at) {
            let at = skip(self.at + 1);
            let month =
                self.month(at).filter(|_| !self.tokens[self.at + 1].parted || self.tokens[self.at].after == '.')?;
            let year = self.year(skip(at + 1));
            let end = year.map_or(at + 1, |_| skip(at + 1) + 1);
            return Some((vec![Date { year, month: Some(month), day: Some(day) }], end - self.at));
        }
        let month = self.month(self.at)?;
        let at = skip(self.at + 1);
        let day = self.day_of_month(at).filter(|_| !self.tokens.get(at).is_some_and(|token| token.parted));
        let after = if day.is_some() { at + 1 } else { at };
        let year = self.year(after);
        let token = &self.tokens[self.at];
        let told = day.is_some() || year.is_some();
        let whole = token.lower.chars().count() > 3
            && (!self.words.than.contains("than") || token.is_capital() && !token.begins);
        let ahead = self.word(self.at.wrapping_sub(1));
        let alone = token.is_capital() && matches!(ahead, "in" | "im" | "until" | "by" | "since");
        if !(told || whole || alone) {
            return None;
        }
        let end = after + usize::from(year.is_some());
        Some((vec![Date { year, month: Some(month), day }], if told { end - self.at } else { 1 }))
    }

    fn month(&self, at: usize) -> Option<u8> {
        self.words.month(&self.tokens.get(at)?.lower)
    }

    fn day_of_month(&self, at: usize) -> Option<u8> {
        let word = self.word(at);
        let digits =
            ["st", "nd", "rd", "th", "er", "º"].iter().find_map(|ending| word.strip_suffix(ending)).unwrap_or(word);
        digits.parse().ok().filter(|day| (1..=31).contains(day))
    }

    fn year(&self, at: usize) -> Option<u32> {
        let text = self.tokens.get(at)?.text.as_str();
        text.parse().ok().filter(|year| text.len() == 4 && (1000..3000).contains(year))
    }

    /// A token with digits that is no number: ranges are two numbers, the rest is a code.
    fn code(&mut self) -> usize {
        let text = self.tokens[self.at].text.clone();
        let ends: Vec<&str> = text.split(['-', '/']).collect();
        if let [first, last] = ends.as_slice()
            && let (Some(first), Some(last)) = (literal(first), literal(last))
        {
            self.figures.all.push(Figure::Number {
                readings: first,
                unit: self.unit(self.at + 1),
                code: None,
                weak: false,
            });
            return self.quantity(last, None, 1, false);
        }
        let name = |c: char| !c.is_ascii_digit();
        let (money, digits) = text.split_at(text.find(|c: char| c.is_ascii_digit()).unwrap_or(0));
        if let (Some(unit), Some(values), true) = (units::ahead(money), literal(digits), money.chars().all(name)) {
            return self.quantity(values, Some(unit), 1, false);
        }
        self.found(Figure::Code(plain(&text)), 1)
    }
}

/// The time of this hour in the half of the day that is told, if any.
fn time(hour: u32, minute: u32, evening: Option<bool>) -> Figure {
    let hour = match evening {
        Some(true) if hour < 12 => hour + 12,
        Some(false) if hour == 12 => 0,
        _ => hour % 24,
    };
    Figure::Time { minutes: hour * 60 + minute, sure: evening.is_some() || hour > 12 || hour == 0 }
}

/// `2021-05-15`, `15.05.2021`, `5/15/21`, in each way it may be read.
fn numeric_date(text: &str) -> Option<Vec<Date>> {
    let parts: Vec<u32> = text.split(['-', '.', '/']).map(str::parse).collect::<Result<_, _>>().ok()?;
    let [a, b, c] = parts[..] else { return None };
    let date = |year: u32, month: u32, day: u32| {
        let year = if year < 100 { year + 2000 } else { year };
        let fits = (1000..3000).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
        let (month, day) = (u8::try_from(month).ok(), u8::try_from(day).ok());
        fits.then_some(Date { year: Some(year), month, day })
    };
    let readings: Vec<Date> = if a > 31 {
        date(a, b, c).into_iter().collect()
    } else if c > 31
        || text.contains('/')
        || text.ends_with(|c: char| c.is_ascii_digit()) && text.contains('.') && c > 20
    {
        [date(c, b, a), date(c, a, b).filter(|_| text.contains('/'))].into_iter().flatten().collect()
    } else {
        Vec::new()
    };
    (!readings.is_empty()).then_some(readings)
}

/// A code as it is compared: capitals and digits alone.
fn plain(code: &str) -> String {
    code.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect()
}

//! What a statement says that must stand in a quote as it is: figures, dates, codes, units, names, and whether it denies.
//!
//! Words may be put in others; these may not. A figure is the same however it is written (`6:00`, six in the morning;
//! `1,000`, `1k`; `15 May 2021`, `2021-05-15`), also across languages, since number words, months and units of many are
//! known. What is derived, such as a sum, stands in no quote and is not proved by one.

mod figures;
mod language;
mod names;
mod numbers;
mod polarity;
mod tokens;
mod units;

use figures::{Date, Figure, Figures};
use language::Language;
use polarity::Clause;
use tokens::{Token, tokens};
use units::{Unit, close, same};

pub(super) use names::Names;

/// What one text says.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    language: Option<Language>,
    tokens: Vec<Token>,
    figures: Figures,
    clauses: Vec<Clause>,
    names: Vec<String>,
}

/// What a statement needs of its quotes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Need(Needed);

#[derive(Debug, Clone, PartialEq)]
enum Needed {
    /// A figure that must stand there.
    Figure(Figure),
    /// A name, in small letters.
    Name(String),
}

impl Facts {
    /// The facts of a text; one whose language does not show is read in `else_in`.
    pub(super) fn of(text: &str, else_in: Tongue, names: &Names) -> Self {
        let tokens = tokens(text);
        let language = language::of(text);
        let words = language::words_of(language.or(else_in.0).or(Some(Language::Known("en"))));
        let figures = figures::read(&tokens, words);
        let clauses = polarity::clauses(&tokens, words);
        let names = names::of(&tokens, language, words, names);
        Self { language, tokens, figures, clauses, names }
    }

    /// The language it shows.
    pub(super) fn tongue(&self) -> Tongue {
        Tongue(self.language)
    }

    /// What a quote must have, so that it proves this.
    pub(super) fn needs(&self) -> Vec<Need> {
        let strong = |figure: &&Figure| !matches!(figure, Figure::Number { weak: true, .. });
        let figures = self.figures.all.iter().filter(strong).cloned().map(Needed::Figure);
        figures.chain(self.names.iter().cloned().map(Needed::Name)).map(Need).collect()
    }

    /// Whether it denies anything.
    pub(super) fn denies(&self) -> bool {
        polarity::any_denies(&self.clauses)
    }

    /// Whether it affirms and denies what `quotes` do.
    pub(super) fn agrees_with(&self, quotes: &[&Facts]) -> bool {
        let clauses: Vec<Clause> = quotes.iter().flat_map(|quote| quote.clauses.iter().cloned()).collect();
        polarity::agree(&self.clauses, &clauses)
    }

    /// Whether it is about something else than `quote`: each names a thing, a code or somebody, that the other does not.
    pub(super) fn speaks_of_another(&self, quote: &Facts) -> bool {
        let others = |a: &Facts, b: &Facts| {
            let name = a.names.iter().any(|name| !names::has(&b.tokens, name));
            name || a.codes().any(|code| !b.has(&Figure::Code(code.clone()), &b.figures))
        };
        others(self, quote) && others(quote, self)
    }

    /// Whether a whole passage is about others: it has codes and none of this one's, or it goes on after a first name, or
    /// before a last one, as this does not.
    pub(super) fn is_strange_to(&self, passage: &Facts) -> bool {
        let mut own = self.codes().peekable();
        let codes = own.peek().is_some()
            && passage.codes().next().is_some()
            && !own.any(|code| passage.has(&Figure::Code(code.clone()), &passage.figures));
        codes || names::are_of_others(&self.tokens, &passage.tokens)
    }

    /// Which of `needs` neither stands in any of `quotes`.
    pub(super) fn missing(needs: &[Need], quotes: &[&Facts]) -> Vec<Need> {
        let mut figures = Figures::default();
        for quote in quotes {
            figures.all.extend(quote.figures.all.iter().cloned());
            figures.units.extend(quote.figures.units.iter().copied());
        }
        let has = |need: &Need| match &need.0 {
            Needed::Figure(figure) => quotes.iter().any(|quote| quote.has(figure, &figures)),
            Needed::Name(name) => quotes.iter().any(|quote| names::has(&quote.tokens, name)),
        };
        needs.iter().filter(|need| !has(need)).cloned().collect()
    }

    fn codes(&self) -> impl Iterator<Item = &String> {
        self.figures.all.iter().filter_map(|figure| match figure {
            Figure::Code(code) => Some(code),
            Figure::Number { code: Some(code), .. } if self.tokens.iter().any(|token| is_code_part(token, code)) => {
                Some(code)
            }
            _ => None,
        })
    }

    /// Whether a figure stands here; `around` are the figures of all quotes together.
    fn has(&self, figure: &Figure, around: &Figures) -> bool {
        self.figures.all.iter().any(|own| matches(figure, own, around))
    }
}

/// Whether a token is the capital part of a code that is written in two words: `ZK 310`.
fn is_code_part(token: &Token, code: &str) -> bool {
    token.text.len() >= 2 && token.text.bytes().all(|byte| byte.is_ascii_uppercase()) && code.starts_with(&token.text)
}

/// A language, as far as it shows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tongue(Option<Language>);

impl Tongue {
    /// Whether two texts are surely in two languages.
    pub(super) fn differs_from(self, other: Self) -> bool {
        language::differ(self.0, other.0)
    }
}

/// Whether a figure of a quote says what a statement's does.
fn matches(stated: &Figure, quoted: &Figure, around: &Figures) -> bool {
    match (stated, quoted) {
        (Figure::Number { code: Some(code), .. } | Figure::Code(code), Figure::Code(quoted))
        | (Figure::Code(code), Figure::Number { code: Some(quoted), .. }) => code == quoted,
        (Figure::Day(a), Figure::Day(b)) => a == b,
        (Figure::Number { readings, unit, .. }, Figure::Number { readings: quoted, unit: of, .. }) => {
            quantities(readings, *unit, quoted, *of, around)
        }
        (Figure::Number { readings, unit: None, .. }, Figure::Date(dates)) => dates.iter().any(|date| {
            let parts = [date.year.map(f64::from), date.day.map(f64::from)];
            parts.into_iter().flatten().any(|part| readings.iter().any(|reading| close(*reading, part)))
        }),
        (Figure::Number { readings, unit, .. }, Figure::Time { minutes, .. })
        | (Figure::Time { minutes, .. }, Figure::Number { readings, unit, .. }) => {
            let hours = unit.is_none_or(|unit| unit.dimension == "time" && close(unit.factor, 3600.0));
            hours && readings.iter().any(|hour| is_hour(*hour, *minutes))
        }
        (Figure::Time { minutes: a, sure: a_sure }, Figure::Time { minutes: b, sure: b_sure }) => {
            a == b || !(*a_sure && *b_sure) && a % 720 == b % 720
        }
        (Figure::Date(dates), Figure::Date(quoted)) => {
            dates.iter().any(|date| quoted.iter().any(|quoted| dated(*date, *quoted, around)))
        }
        _ => false,
    }
}

/// Whether two numbers are the same quantity. Where one has no unit, the other's must at least be named by the quotes.
fn quantities(stated: &[f64], unit: Option<Unit>, quoted: &[f64], of: Option<Unit>, around: &Figures) -> bool {
    let share = |unit: Option<Unit>| unit.filter(|unit| unit.dimension == "share").map_or(1.0, |unit| unit.factor);
    let equal = |a: f64, b: f64| stated.iter().any(|x| quoted.iter().any(|y| close(x * a, y * b)));
    match (unit, of) {
        (Some(a), Some(b)) => same(stated, a, quoted, b),
        (Some(a), None) => {
            let named = around.units.iter().any(|unit| unit.dimension == a.dimension);
            named && equal(1.0, 1.0) || a.dimension == "share" && equal(a.factor, 1.0)
        }
        (None, of) => equal(1.0, 1.0) || equal(1.0, share(of)),
    }
}

/// Whether a number such as 6 or 6.30 is the hour of a time.
fn is_hour(hour: f64, minutes: u32) -> bool {
    let clock = |minutes: u32| f64::from(minutes / 60) + f64::from(minutes % 60) / 100.0;
    close(hour, clock(minutes)) || hour <= 12.99 && close(hour, clock((minutes + 720) % 1440))
}

/// Whether a date says what another does: all that both tell is the same, and what the quoted one lacks stands elsewhere.
fn dated(stated: Date, quoted: Date, around: &Figures) -> bool {
    let agrees = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
    let wide = |part: Option<u8>| part.map(u32::from);
    let pairs =
        [(stated.year, quoted.year), (wide(stated.month), wide(quoted.month)), (wide(stated.day), wide(quoted.day))];
    let shared = pairs.iter().any(|(a, b)| a.is_some() && a == b);
    let elsewhere = |part: u32| {
        around.all.iter().any(|figure| match figure {
            Figure::Number { readings, .. } => readings.iter().any(|reading| close(*reading, f64::from(part))),
            Figure::Date(dates) => dates.iter().any(|date| date.year == Some(part)),
            _ => false,
        })
    };
    let lacking = pairs.iter().filter(|(_, quoted)| quoted.is_none()).filter_map(|(stated, _)| *stated);
    pairs.iter().all(|(a, b)| agrees(*a, *b)) && shared && lacking.into_iter().all(elsewhere)
}

#[cfg(test)]
mod tests;

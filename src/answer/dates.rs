//! Days as people write them: `15 May 2021`, `May 15th, 2021`, `2021-05-15`, `15.5.2021`, `15/05/2021`, `May 2021`.

use std::ops::Range;

use super::signs::Sign;

/// A day or month, as far as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    /// 1800 to 2199.
    pub year: Option<u16>,
    /// 1 to 12.
    pub month: u16,
    /// 1 to 31.
    pub day: Option<u16>,
    /// Whether day and month may be the other way round, as in `4/5/2021`.
    pub is_ambiguous: bool,
}

/// Names of months by their folded beginnings, for months 1 to 12: English, German, French, Spanish, Italian, Portuguese,
/// Dutch, Polish, Swedish, Czech and Russian.
const MONTHS: [&str; 12] = [
    "jan janu janv enero gennaio jane stycz led янв",
    "feb fevr febr fevereiro lut unor фев",
    "mar mars mart maer marz marzo maart brez март",
    "apr avr abr kwie dub апр",
    "may mai mayo maggio maio mei maj maja kvet мая май",
    "jun juin giugno czerw cerv июн",
    "jul juil lugl lip июл",
    "aug aout ago sierp srp авг",
    "sep set wrze zari сен",
    "oct okt ottobre out ottob pazdz rijen окт",
    "nov listop ноя",
    "dec dez dic grud pros дек",
];

/// Longest name of a month; a longer word only begins like one.
const LONGEST_MONTH: usize = 12;

/// The month that a folded word names.
pub(super) fn month(word: &str) -> Option<u16> {
    // Words that begin alike and are no months.
    const OTHERS: [&str; 13] = [
        "mark",
        "market",
        "marketing",
        "marina",
        "marble",
        "margin",
        "mayor",
        "maybe",
        "setting",
        "settings",
        "output",
        "decide",
        "decision",
    ];
    if word.chars().count() > LONGEST_MONTH || OTHERS.contains(&word) {
        return None;
    }
    (1..).zip(MONTHS).find(|(_, names)| names.split(' ').any(|name| names_month(name, word))).map(|(month, _)| month)
}

/// Whether `word` is the month `name` begins: short ones only as a whole or with a usual ending.
fn names_month(name: &str, word: &str) -> bool {
    const ENDINGS: [&str; 42] = [
        "", "uary", "uar", "ier", "uari", "vier", "iero", "eiro", "nia", "zen", "ch", "il", "le", "ile", "e", "y", "i",
        "o", "t", "tember", "tembre", "tiembre", "tembro", "ober", "obre", "ubre", "ember", "embre", "iembre", "embro",
        "ust", "usti", "us", "usto", "ien", "cien", "czen", "pien", "sien", "ad", "ada", "zien",
    ];
    word.strip_prefix(name).is_some_and(|ending| ENDINGS.contains(&ending) || word.len() >= 6 && name.len() >= 4)
}

/// A year of four digits, 1800 to 2199.
pub(super) fn year(text: &str) -> Option<u16> {
    text.parse().ok().filter(|year| text.len() == 4 && (1800..2200).contains(year))
}

impl Date {
    /// Whether both may be the same day or month; what one leaves open is no difference.
    pub(super) fn agrees(self, other: Self) -> bool {
        let same = |a: Option<u16>, b: Option<u16>| a.is_none() || b.is_none() || a == b;
        let as_written = |a: Self, b: Self| a.month == b.month && same(a.day, b.day);
        same(self.year, other.year)
            && (as_written(self, other)
                || self.is_ambiguous && as_written(self.turned(), other)
                || other.is_ambiguous && as_written(self, other.turned()))
    }

    fn turned(self) -> Self {
        Self { month: self.day.unwrap_or(self.month), day: Some(self.month), ..self }
    }

    /// The date of three numbers in the order of a date, with four digits for the year.
    fn of_numbers(parts: [&str; 3]) -> Option<Self> {
        let small = |text: &str| text.parse::<u16>().ok().filter(|_| text.len() <= 2);
        if let Some(year) = year(parts[0]) {
            return Self::checked(Some(year), small(parts[1])?, Some(small(parts[2])?), false);
        }
        let (first, second) = (small(parts[0])?, small(parts[1])?);
        let year = year(parts[2]).or_else(|| small(parts[2]).filter(|_| parts[2].len() == 2).map(|two| 2000 + two))?;
        let is_ambiguous = first <= 12 && second <= 12 && first != second;
        if second <= 12 {
            Self::checked(Some(year), second, Some(first), is_ambiguous)
        } else {
            Self::checked(Some(year), first, Some(second), is_ambiguous)
        }
    }

    fn checked(year: Option<u16>, month: u16, day: Option<u16>, is_ambiguous: bool) -> Option<Self> {
        let fits = (1..=12).contains(&month) && day.is_none_or(|day| (1..=31).contains(&day));
        fits.then_some(Self { year, month, day, is_ambiguous })
    }
}

/// The dates among `signs` of `source`, each with the signs it is made of; only those with a day, or a month and a year.
pub(super) fn dates(signs: &[Sign], source: &str) -> Vec<(Range<usize>, Date)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < signs.len() {
        match date_at(signs, source, at) {
            Some((length, date)) => {
                found.push((at..at + length, date));
                at += length;
            }
            None => at += 1,
        }
    }
    found
}

fn date_at(signs: &[Sign], source: &str, at: usize) -> Option<(usize, Date)> {
    let gap = |place: usize| source.get(signs.get(place)?.end..signs.get(place + 1)?.start);
    let text = |place: usize| signs.get(place).map(|sign| sign.text.as_str());
    let first = &signs[at];
    if first.is_number {
        let parts: Vec<&str> = first.text.split('.').collect();
        if let [day, month, year] = parts[..] {
            return Date::of_numbers([day, month, year]).map(|date| (1, date));
        }
        let joined = |sign| gap(at) == Some(sign) && gap(at + 1) == Some(sign);
        if (joined("-") || joined("/") || joined(". "))
            && let (Some(second), Some(third)) = (text(at + 1), text(at + 2))
        {
            return Date::of_numbers([&first.text, second, third]).map(|date| (3, date));
        }
    }
    worded(signs, source, at)
}

/// A date with the month as a word: `15 May 2021`, `15. Mai`, `15 de mayo de 2021`, `May 15th, 2021`, `May 2021`.
fn worded(signs: &[Sign], source: &str, at: usize) -> Option<(usize, Date)> {
    let is_day =
        |sign: &Sign| sign.whole().filter(|day| (1..=31).contains(day)).and_then(|day| u16::try_from(day).ok());
    let beside = |place: usize| {
        let gap = source.get(signs.get(place)?.end..signs.get(place + 1)?.start)?;
        (gap.len() <= 3 && !gap.contains('\n')).then_some(())
    };
    // Small words and endings of ordinals that stand between the parts.
    let skip = |mut place: usize| {
        while signs.get(place).is_some_and(|sign| {
            matches!(sign.text.as_str(), "st" | "nd" | "rd" | "th" | "er" | "of" | "de" | "del" | "the" | "di")
        }) && beside(place).is_some()
        {
            place += 1;
        }
        place
    };
    let year_at = |place: usize| {
        let place = skip(place);
        beside(place.checked_sub(1)?)?;
        Some((place + 1, year(&signs.get(place)?.text)?))
    };
    if let Some(day) = is_day(&signs[at]) {
        beside(at)?;
        let place = skip(at + 1);
        let month = month(&signs.get(place)?.text)?;
        let (end, year) = year_at(place + 1).map_or((place + 1, None), |(end, year)| (end, Some(year)));
        return Date::checked(year, month, Some(day), false).map(|date| (end - at, date));
    }
    let month = month(&signs[at].text)?;
    if let Some((end, year)) = year_at(at + 1) {
        return Date::checked(Some(year), month, None, false).map(|date| (end - at, date));
    }
    beside(at)?;
    let place = skip(at + 1);
    let day = is_day(signs.get(place)?)?;
    let place = skip(place + 1);
    let (end, year) = year_at(place).map_or((place, None), |(end, year)| (end, Some(year)));
    Date::checked(year, month, Some(day), false).map(|date| (end - at, date))
}

#[cfg(test)]
mod tests {
    use super::super::signs::signs;
    use super::*;

    fn found(text: &str) -> Vec<Date> {
        dates(&signs(text), text).into_iter().map(|(_, date)| date).collect()
    }

    #[test]
    fn a_day_is_one_day_however_it_is_written() {
        let day = Date { year: Some(2021), month: 5, day: Some(15), is_ambiguous: false };
        for written in [
            "15 May 2021",
            "15. Mai 2021",
            "May 15, 2021",
            "May 15th 2021",
            "15th of May 2021",
            "2021-05-15",
            "15.5.2021",
            "15.05.2021",
            "15/05/2021",
            "5/15/2021",
            "15 mai 2021",
            "15 de mayo de 2021",
            "15 maja 2021",
            "15 мая 2021",
            "2021-05-15T10:00",
        ] {
            let dates = found(written);
            assert!(dates.len() == 1 && dates[0].agrees(day), "{written}: {dates:?}");
        }
        for other in ["16 May 2021", "15 June 2021", "15 May 2022", "2021-06-15", "June 2021"] {
            assert!(found(other).iter().all(|date| !date.agrees(day)), "{other}");
        }
    }

    #[test]
    fn what_is_left_open_agrees_and_what_is_no_date_is_none() {
        let day = found("on 4/5/2021")[0];
        assert!(day.agrees(found("4 May 2021")[0]) && day.agrees(found("April 5, 2021")[0]));
        assert!(found("May 2021")[0].agrees(found("15 May 2021")[0]));
        assert!(found("15 May")[0].agrees(found("15 May 2021")[0]));
        for none in ["in 2021", "May I ask", "6-3", "24/7", "version 1.2.3", "3 market stalls", "10.0.0.1"] {
            assert_eq!(found(none), [], "{none}");
        }
    }
}

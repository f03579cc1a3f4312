//! Units of figures, and which of them measure the same.

use std::collections::HashMap;
use std::sync::LazyLock;

/// A unit: `factor` of it's dimension's base.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Unit {
    pub dimension: &'static str,
    pub factor: f64,
}

static UNITS: LazyLock<HashMap<&'static str, Unit>> = LazyLock::new(|| {
    let lines = include_str!("units.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .flat_map(|line| {
            let mut words = line.split_whitespace();
            let dimension = words.next().unwrap_or_default();
            let factor = words.next().and_then(|factor| factor.parse().ok()).unwrap_or(1.0);
            words.map(move |word| (word, Unit { dimension, factor }))
        })
        .collect()
});

/// Dimensions that are money; their signs and codes stand ahead of a figure too.
const MONEY: [&str; 11] = ["eur", "usd", "gbp", "franc", "crown", "pln", "huf", "yen", "yuan", "rub", "inr"];

/// The unit that a word in small letters names.
pub(super) fn unit(word: &str) -> Option<Unit> {
    UNITS.get(word).copied()
}

/// The unit that stands ahead of a figure: `€ 25`, `EUR 25`, `Fr. 25`.
pub(super) fn ahead(word: &str) -> Option<Unit> {
    let short = !word.starts_with(char::is_alphabetic) || word.len() <= 3 && word.starts_with(char::is_uppercase);
    unit(&word.to_lowercase()).filter(|unit| short && MONEY.contains(&unit.dimension))
}

/// Whether two quantities, each in any of these readings, are the same.
pub(super) fn same(a: &[f64], a_unit: Unit, b: &[f64], b_unit: Unit) -> bool {
    let degrees = |one: Unit, other: Unit| {
        one.dimension == "degree" && matches!(other.dimension, "celsius" | "fahrenheit" | "degree")
    };
    let alike = a_unit.dimension == b_unit.dimension || degrees(a_unit, b_unit) || degrees(b_unit, a_unit);
    alike && a.iter().any(|a| b.iter().any(|b| close(a * a_unit.factor, b * b_unit.factor)))
}

/// Equal but for what floating point loses.
pub(super) fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

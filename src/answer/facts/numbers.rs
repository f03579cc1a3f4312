//! Numbers as they are written: in digits with the separators of any country, or in words.

use super::language::Words;
use super::tokens::Token;

/// The values that digits with separators may mean, most of them one: `1,000` is a thousand everywhere, `1.500` may be
/// one and a half. None for what is no number, such as `1.2.3`.
pub(super) fn literal(text: &str) -> Option<Vec<f64>> {
    let (sign, digits) = text.strip_prefix('-').map_or((1.0, text), |digits| (-1.0, digits));
    let separators: Vec<char> = digits.chars().filter(|c| !c.is_ascii_digit()).collect();
    let groups: Vec<&str> = digits.split(|c: char| !c.is_ascii_digit()).collect();
    if groups.iter().any(|group| group.is_empty()) || !separators.iter().all(|c| matches!(c, '.' | ',' | '\'' | '’'))
    {
        return None;
    }
    let whole: f64 = groups.concat().parse().ok()?;
    let (last, before) = groups.split_last()?;
    let thousands = before.first().is_some_and(|first| (1..=3).contains(&first.len()) && *first != "0");
    let in_threes = thousands && groups[1..].iter().all(|group| group.len() == 3);
    let decimal = || format!("{}.{last}", before.concat()).parse::<f64>().ok();
    let values = match separators.as_slice() {
        [] => vec![whole],
        ['\'' | '’'] if in_threes => vec![whole],
        // Nobody writes one with three noughts behind the point.
        [_] if in_threes && *last == "000" => vec![whole],
        [_] if in_threes => vec![whole, decimal()?],
        [_] => vec![decimal()?],
        [rest @ .., end] if rest.iter().all(|c| c == end) => vec![in_threes.then_some(whole)?],
        [rest @ .., _] if rest.iter().all(|c| *c == rest[0]) && before[1..].iter().all(|group| group.len() == 3) => {
            vec![decimal()?]
        }
        _ => return None,
    };
    Some(values.into_iter().map(|value| sign * value).collect())
}

/// What a fraction's sign stands for.
pub(super) fn fraction(text: &str) -> Option<f64> {
    match text {
        "½" => Some(0.5),
        "¼" => Some(0.25),
        "¾" => Some(0.75),
        _ => None,
    }
}

/// A number in words at the start of `tokens`, and how many of them it takes. The word for one alone is none: most
/// languages use it as an article.
pub(super) fn spelled(tokens: &[Token], words: &Words) -> Option<(f64, usize)> {
    let (mut total, mut current, mut used) = (0u64, 0u64, 0);
    for (at, token) in tokens.iter().enumerate() {
        if at > 0 && token.parted {
            break;
        }
        let word = token.lower.as_str();
        let next = tokens.get(at + 1).map(|next| next.lower.as_str());
        let next_is_number = next.is_some_and(|next| compound(next, words).is_some());
        if let Some(scale) = words.scales.get(word).map(|scale| u64::from(*scale)) {
            if scale == 100 {
                current = current.max(1) * 100;
            } else {
                total = total.checked_add(current.max(1).checked_mul(scale)?)?;
                current = 0;
            }
        } else if words.one.contains(word) && next.is_some_and(|next| words.scales.contains_key(next)) {
            current += 1;
        } else if let Some(value) = compound(word, words) {
            let dozen = value == 12 && words.numbers.get(word) == Some(&12) && (1..12).contains(&current);
            if dozen {
                current *= 12;
            } else if used == 0 || current % 100 == 0 && value < 100 || current % 10 == 0 && value < 10 {
                current += value;
            } else {
                break;
            }
        } else if matches!(word, "and" | "und" | "et" | "y" | "e" | "en" | "og" | "och")
            && current >= 20
            && next_is_number
        {
            continue;
        } else {
            break;
        }
        used = at + 1;
    }
    // Exact: no number that words spell comes near 2^53.
    #[expect(clippy::cast_precision_loss, reason = "a number in words is far below 2^53")]
    (used > 0).then_some(((total + current) as f64, used))
}

/// A number of one word: `twenty-five`, `fünfundzwanzig`, `zweihundert`, `vingt-cinq`.
fn compound(word: &str, words: &Words) -> Option<u64> {
    if let Some(value) = words.numbers.get(word) {
        return Some(u64::from(*value));
    }
    if word.contains('-') {
        return word.split('-').filter(|part| !matches!(*part, "et" | "and")).map(|part| compound(part, words)).sum();
    }
    let value = |part: &str| {
        if words.one.contains(part) { Some(1) } else { words.numbers.get(part).map(|value| u64::from(*value)) }
    };
    let parted = word.char_indices().skip(1).find_map(|(at, _)| {
        let (first, rest) = word.split_at(at);
        let first = value(first)?;
        let unit = ["und", "ën", "en", "og", ""].iter().find_map(|and| value(rest.strip_prefix(and)?));
        match unit {
            Some(tens) if first < 10 && (20..100).contains(&tens) && tens % 10 == 0 => Some(first + tens),
            Some(unit) if (20..100).contains(&first) && first % 10 == 0 && unit < 10 => Some(first + unit),
            _ => None,
        }
    });
    parted.or_else(|| scaled(word, words))
}

/// `zweihundert`, `fünftausend`, `hundertfünfzig`.
fn scaled(word: &str, words: &Words) -> Option<u64> {
    words.scales.iter().find_map(|(scale, factor)| {
        let (before, after) = word.split_once(scale).filter(|_| scale.chars().count() > 3 && word != *scale)?;
        let times = match before {
            "" => 1,
            one if words.one.contains(one) => 1,
            before => u64::from(*words.numbers.get(before)?),
        };
        let rest = if after.is_empty() { 0 } else { compound(after, words)? };
        Some(times * u64::from(*factor) + rest)
    })
}

#[cfg(test)]
mod tests {
    use super::super::language::{Language, words_of};
    use super::super::tokens::tokens;
    use super::*;

    #[test]
    fn digits_are_read_with_the_separators_of_any_country() {
        for (text, values) in [
            ("1000", &[1000.0][..]),
            ("1,000", &[1000.0]),
            ("1.000", &[1000.0]),
            ("1'000", &[1000.0]),
            ("1.500", &[1500.0, 1.5]),
            ("0.125", &[0.125]),
            ("25,50", &[25.5]),
            ("1,234,567", &[1_234_567.0]),
            ("1.234,50", &[1234.5]),
            ("-5", &[-5.0]),
        ] {
            assert_eq!(literal(text).as_deref(), Some(values), "{text}");
        }
        for text in ["1.2.3", "6:00", "15/05", "a", "", "1,,2"] {
            assert_eq!(literal(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_in_words_are_read_in_their_language() {
        for (code, text, value) in [
            ("en", "twenty-five", 25.0),
            ("en", "two hundred and fifty euros", 250.0),
            ("en", "three thousand", 3000.0),
            ("en", "two dozen", 24.0),
            ("en", "five days", 5.0),
            ("de", "fünfundzwanzig", 25.0),
            ("de", "zweihundertfünfzig", 250.0),
            ("de", "tausend", 1000.0),
            ("fr", "vingt-cinq", 25.0),
            ("nl", "vijfentwintig", 25.0),
            ("sv", "tjugofem", 25.0),
            ("es", "treinta y cinco", 35.0),
        ] {
            let words = words_of(Some(Language::Known(code)));
            assert_eq!(spelled(&tokens(text), words).map(|(value, _)| value), Some(value), "{text}");
        }
        assert_eq!(spelled(&tokens("one room"), words_of(Some(Language::Known("en")))), None);
    }
}

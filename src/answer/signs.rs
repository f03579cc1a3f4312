//! The words and numbers of a text in order, as keys are looked for among them.
//!
//! Unlike [`super::terms`], which asks what a text is about, this keeps places, capitals and what a number's value is:
//! `3,600`, `3.600` and `3600` are one number, `7.00` is not a `7`.

use crate::domain::fold;

/// A word or number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sign {
    /// Folded; a number has its separators of thousands left out and a point before its decimals.
    pub text: String,
    /// Whether it begins with a digit.
    pub is_number: bool,
    /// Whether its first letter is a capital.
    pub is_capital: bool,
    /// First byte in the text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Sign {
    /// Whether all letters are capitals, as in `NASA`; of two and more.
    pub(super) fn is_acronym(&self, source: &str) -> bool {
        let word = &source[self.start..self.end];
        word.chars().count() > 1 && word.chars().all(char::is_uppercase)
    }

    /// The number's value, where it has no decimals and fits.
    pub(super) fn whole(&self) -> Option<u64> {
        self.text.parse().ok().filter(|_| self.is_number)
    }
}

/// The signs of `text`. A word ends where a digit begins, so `ZK310` is two that touch.
pub(super) fn signs(text: &str) -> Vec<Sign> {
    let mut signs = Vec::with_capacity(text.len() / 6 + 1);
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let end = if digit(c).is_some() {
            number_end(text, at)
        } else if is_letter(c) {
            word_end(text, at)
        } else {
            at += c.len_utf8();
            continue;
        };
        let is_number = digit(c).is_some();
        let raw = &text[at..end];
        let text = if is_number { value(raw) } else { fold(raw) };
        if !text.is_empty() {
            signs.push(Sign { text, is_number, is_capital: c.is_uppercase(), start: at, end });
        }
        at = end;
    }
    signs
}

/// The value of a decimal digit of any script that people type numbers in.
fn digit(c: char) -> Option<char> {
    let zero = match c {
        '0'..='9' => return Some(c),
        '\u{660}'..='\u{669}' => 0x660,
        '\u{6f0}'..='\u{6f9}' => 0x6f0,
        '\u{966}'..='\u{96f}' => 0x966,
        '\u{ff10}'..='\u{ff19}' => 0xff10,
        _ => return None,
    };
    char::from_digit(u32::from(c) - zero, 10)
}

fn is_letter(c: char) -> bool {
    (c.is_alphabetic() || matches!(c, '\u{300}'..='\u{36f}' | '\u{64b}'..='\u{65f}')) && digit(c).is_none()
}

/// Scripts that write no spaces between words; each character is a sign of its own.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{3005}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

fn word_end(text: &str, start: usize) -> usize {
    let rest = &text[start..];
    let first = rest.chars().next().map_or(0, char::len_utf8);
    if rest.starts_with(is_unspaced) {
        return start + first;
    }
    rest.find(|c| !is_letter(c) || is_unspaced(c)).map_or(text.len(), |length| start + length)
}

/// Digits, with a point, comma, apostrophe or colon where digits follow on both sides.
fn number_end(text: &str, start: usize) -> usize {
    let mut end = start;
    let mut rest = text[start..].chars().peekable();
    while let Some(c) = rest.next() {
        let goes_on = digit(c).is_some()
            || matches!(c, '.' | ',' | '\'' | '’' | ':') && rest.peek().is_some_and(|next| digit(*next).is_some());
        if !goes_on {
            break;
        }
        end += c.len_utf8();
    }
    end
}

/// A number as it is compared.
fn value(raw: &str) -> String {
    let plain: String = raw.chars().map(|c| digit(c).unwrap_or(if c == '’' { '\'' } else { c })).collect();
    if has_thousands(&plain) {
        return plain.chars().filter(char::is_ascii_digit).collect();
    }
    let value = plain.replace([',', '\''], ".");
    // 007 is a code, 7 a count: leading zeros stay.
    value
}

/// Whether a number is parted into thousands by one sign, as in `3,600`.
fn has_thousands(number: &str) -> bool {
    let Some(sign) = number.chars().find(|c| matches!(c, '.' | ',' | '\'')) else { return false };
    let mut groups = number.split(sign);
    let first = groups.next().unwrap_or_default();
    let is_digits = |group: &str| group.bytes().all(|b| b.is_ascii_digit());
    (1..=3).contains(&first.len())
        && !first.starts_with('0')
        && is_digits(first)
        && groups.all(|group| group.len() == 3 && is_digits(group))
}

/// Whether the number `wanted` stands at `place`, also where blanks part its thousands as in `3 600`.
pub(super) fn is_number_at(signs: &[Sign], source: &str, place: usize, wanted: &str) -> bool {
    let first = &signs[place];
    if !first.is_number {
        return false;
    }
    if first.text == wanted {
        return true;
    }
    let mut joined = first.text.clone();
    let mut end = first.end;
    for next in &signs[place + 1..] {
        let blank = matches!(&source[end..next.start], " " | "\u{a0}" | "\u{202f}" | "\u{2009}");
        if joined.len() >= wanted.len() || !next.is_number || next.text.len() != 3 || !blank {
            break;
        }
        joined.push_str(&next.text);
        end = next.end;
    }
    first.text.len() <= 3 && joined == wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        signs(text).into_iter().map(|sign| sign.text).collect()
    }

    #[test]
    fn numbers_are_compared_by_value_and_words_without_their_marks() {
        assert_eq!(texts("3,600 3.600 3'600 3600"), ["3600"; 4]);
        assert_eq!(texts("7.00 9,4 1.2.3 10:30 v2.0"), ["7.00", "9.4", "1.2.3", "10:30", "v", "2.0"]);
        assert_eq!(texts("ZK310, hasło 第99条 ７ ٣"), ["zk", "310", "haslo", "第", "99", "条", "7", "3"]);
        assert_eq!(texts("It ends in 2019. Then"), ["it", "ends", "in", "2019", "then"]);
    }

    #[test]
    fn thousands_may_be_parted_by_blanks() {
        let source = "at 3 600 turns, 12 34";
        let all = signs(source);
        assert!(is_number_at(&all, source, 1, "3600") && !is_number_at(&all, source, 1, "3601"));
        assert!(!is_number_at(&all, source, 4, "1234"));
    }
}

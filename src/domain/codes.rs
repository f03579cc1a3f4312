//! Codes as people type them: `ZK-310`, `ZK310`, `zk 310` and `ZK/310` name one machine.
//!
//! A code is a word with a digit in it, or several written together with `-`, `_`, `/` or `.` between them. Its one form,
//! in which it is compared, has small letters and digits alone.

use super::letters::fold;

/// Longer runs are no codes: base64 and paths, bytes.
const LONGEST: usize = 64;

/// A code in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// Letters and digits alone, small: `zk310`.
    pub joined: String,
    /// Whether it has letters and digits, so that no count or year can be meant.
    pub mixed: bool,
}

/// The codes of `text`, in order, each once. Plain numbers are codes too; points and commas within them are left out
/// (`4,200` is `4200`).
#[must_use]
pub fn codes(text: &str) -> Vec<Code> {
    let mut found: Vec<Code> = Vec::new();
    for run in text.split(|c: char| !is_part(c)).filter(|run| run.len() <= LONGEST) {
        let joined = joined(run);
        let digits = joined.chars().filter(|c| c.is_numeric()).count();
        if digits > 0 && found.iter().all(|code| code.joined != joined) {
            let mixed = digits < joined.chars().count();
            found.push(Code { joined, mixed });
        }
    }
    found
}

/// Letters and digits of `text` alone, folded.
#[must_use]
pub fn joined(text: &str) -> String {
    let mut joined = fold(text);
    joined.retain(char::is_alphanumeric);
    joined
}

/// Whether `code`, joined, stands in `text` as a whole, whatever stands between its letters and digits: `zk310` stands in
/// `ZK-310`, `zk 310` and `ZK310A-7` does not have it.
#[must_use]
pub fn stands_in(code: &str, text: &str) -> bool {
    let text: Vec<char> = fold(text).chars().collect();
    let code: Vec<char> = code.chars().collect();
    if code.is_empty() {
        return false;
    }
    let begins =
        (0..text.len()).filter(|at| text[*at] == code[0] && !is_within(text[at.saturating_sub(1)..*at].first()));
    begins.into_iter().any(|at| runs_from(&code, &text[at..]))
}

/// Whether `text` begins with `code`, and what follows is no more of it.
fn runs_from(code: &[char], text: &[char]) -> bool {
    let mut rest = text.iter().peekable();
    for (place, wanted) in code.iter().enumerate() {
        // One sign at most may part two of its pieces.
        if place > 0 && rest.peek().is_some_and(|c| parts(**c)) {
            rest.next();
        }
        if rest.next() != Some(wanted) {
            return false;
        }
    }
    !is_within(rest.next())
}

fn is_within(beside: Option<&char>) -> bool {
    beside.is_some_and(|c| c.is_alphanumeric())
}

/// Signs that stand between the pieces of a code.
fn parts(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '-' | '\u{2010}' | '\u{2011}' | '\u{2013}' | '_' | '/' | '.' | ',' | '\u{202f}')
}

/// Whether a code may hold `c`; blanks part words as well, so they end it.
fn is_part(c: char) -> bool {
    c.is_alphanumeric() || parts(c) && !c.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        codes(text).into_iter().map(|code| code.joined).collect()
    }

    #[test]
    fn every_way_to_type_a_code_is_one_code() {
        for typed in ["ZK-310", "zk310", "ZK/310", "zk_310", "ZK.310", "Zk‑310", "ＺＫ３１０", "(ZK-310)?"] {
            assert_eq!(found(typed), ["zk310"], "{typed}");
        }
        assert_eq!(found("Part HX-4810-B weighs 4,200 g since 2021, v2.3."), ["hx4810b", "4200", "2021", "v23"]);
        assert!(codes("no codes here, only well-known words").is_empty());
        assert_eq!(codes("2021 E-1024").iter().map(|code| code.mixed).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn a_code_stands_in_a_text_as_a_whole_whatever_parts_it() {
        for text in ["Machine ZK-310.", "the zk 310", "ZK310", "ZK/310, ZK-311", "(zk_310)"] {
            assert!(stands_in("zk310", text), "{text}");
        }
        for text in ["ZK-3101", "AZK-310", "ZK-301", "ZK 3 hall 10", "", "zk"] {
            assert!(!stands_in("zk310", text), "{text}");
        }
        assert!(stands_in("de89370400440532013000", "IBAN: DE89 3704 0044 0532 0130 00."));
        assert!(stands_in("4200", "at 4,200 turns"));
        assert!(!stands_in("", "anything"));
    }
}

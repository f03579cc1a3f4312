//! Which lines of a text are prose.
//!
//! Logs, tables, code, JSON, lists of names and numbers have words but no sentences; what language their words look like
//! says nothing. A line is prose when most of it is words that are parted by blanks, and little of it digits and signs.

use std::collections::HashSet;

/// Bytes of a text that are looked at for prose.
const LOOKED_AT: usize = 64 << 10;
/// Bytes of prose that are kept; more changes nothing but the time it takes.
pub(super) const SAMPLE: usize = 4096;
/// Words of a line of prose, at least: shorter ones are headings, cells and labels.
const FEWEST_WORDS: usize = 4;
/// Letters of a line of prose in a script without spaces, at least.
const FEWEST_LETTERS: usize = 8;
/// Of a text that is to have a language, the share that is prose, at least: a log of many lines has one now and then that
/// reads like a sentence.
const SHARE: f32 = 0.1;

/// The lines of `text` that are prose, at most [`SAMPLE`] bytes and a line; empty where next to nothing is.
pub(super) fn of(text: &str) -> String {
    let mut prose = String::new();
    let mut known = HashSet::new();
    let mut seen = 0;
    for line in text[..text.floor_char_boundary(LOOKED_AT)].lines() {
        let line = line.trim();
        seen += line.len();
        // What is said again and again is a form, or a log's.
        if is_prose(line) && known.insert(line) {
            prose.push_str(line);
            prose.push('\n');
        }
        if prose.len() >= SAMPLE {
            break;
        }
    }
    prose.truncate(prose.floor_char_boundary(SAMPLE));
    if to_f32(prose.len()) < SHARE * to_f32(seen) { String::new() } else { prose }
}

/// Whether `line`, trimmed, is prose.
fn is_prose(line: &str) -> bool {
    let begins_as_code = ["#", "//", "/*", "--", "<", "|"].iter().any(|sign| line.starts_with(sign));
    let ends_as_code = line.ends_with(['{', '}', ';', '=', '(', '[', '\\', '>']);
    if begins_as_code || ends_as_code || line.contains(" | ") {
        return false;
    }
    let signs = Signs::of(line);
    if signs.unspaced * 2 > signs.letters {
        return signs.letters >= FEWEST_LETTERS && (signs.digits + signs.strange) * 4 <= signs.letters;
    }
    if signs.digits * 6 > signs.all || signs.strange * 20 > signs.all {
        return false;
    }
    let (mut pieces, mut words, mut capitals) = (0, 0, 0);
    for piece in line.split_whitespace() {
        let word = piece.trim_matches(|c: char| !c.is_alphanumeric());
        pieces += 1;
        words += usize::from(!word.is_empty() && word.chars().all(is_of_word));
        capitals += usize::from(word.starts_with(char::is_uppercase));
    }
    words >= FEWEST_WORDS && words * 4 >= pieces * 3 && capitals * 10 <= words * 7
}

/// What the characters of a line are.
#[derive(Default)]
struct Signs {
    all: usize,
    letters: usize,
    /// Letters of scripts that put no space between words.
    unspaced: usize,
    digits: usize,
    /// Signs that sentences have not.
    strange: usize,
}

impl Signs {
    fn of(line: &str) -> Self {
        let mut signs = Self::default();
        for c in line.chars() {
            signs.all += 1;
            if c.is_alphabetic() {
                signs.letters += 1;
                signs.unspaced += usize::from(matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}'
                    | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}'));
            } else if c.is_numeric() {
                signs.digits += 1;
            } else {
                signs.strange += usize::from(matches!(
                    c,
                    '=' | '{'
                        | '}'
                        | '<'
                        | '>'
                        | '['
                        | ']'
                        | '|'
                        | '/'
                        | '\\'
                        | '@'
                        | '#'
                        | '$'
                        | '^'
                        | '&'
                        | '~'
                        | '+'
                        | '\t'
                ));
            }
        }
        signs
    }
}

/// Letters and what joins them within words: `didn't`, `well-known`, `l’été`.
fn is_of_word(c: char) -> bool {
    // Marks of Indic scripts and marks apart from their letters are no letters by Unicode.
    c.is_alphabetic()
        || matches!(c, '\'' | '’' | '-' | '\u{300}'..='\u{36f}' | '\u{5b0}'..='\u{5c7}' | '\u{64b}'..='\u{652}'
        | '\u{900}'..='\u{dff}' | '\u{200c}' | '\u{200d}' | '\u{ad}')
}

#[expect(clippy::cast_precision_loss, reason = "bytes of a sample")]
fn to_f32(count: usize) -> f32 {
    count as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_prose_in_every_script() {
        for text in [
            "Every employee has 28 days of paid time off a year.",
            "- Die Frist für die Kündigung beträgt drei Monate.",
            "Day one: collect the badge at the gate. Day two: safety briefing in hall 3.",
            "图书馆位于市中心，阅览室晚上九点关门。",
            "कर्मचारी को हर साल छुट्टी मिलती है",
            "Каждому сотруднику положено 28 дней отпуска.",
            "يحصل كل موظف على إجازة سنوية مدفوعة الأجر",
        ] {
            assert_eq!(of(text).trim(), text);
        }
    }

    #[test]
    fn logs_tables_code_and_lists_are_no_prose() {
        for text in [
            "2026-03-01T00:07:11Z INFO worker-1 request id=7919 status=404 took=13ms",
            "Dec  1 03:25:35 host sshd[811]: Failed password for invalid user admin from 10.0.0.1 port 22",
            r#"{"id": 7, "sku": "ZX00007", "qty": 20, "loc": "R7-7"}"#,
            "id | sku | qty | loc\n7 | ZX00007 | 20 | R7-7",
            "Anna Schmidt, Peter Müller, Jan Novak, Maria Okafor, Lin Zhou",
            "for (int i = 0; i < n; i++) {\n  total += prices[i];\n}\nreturn total;",
            "    at com.example.shop.Basket.total(Basket.java:42)",
            "INSERT INTO users VALUES (1, 'Anna', 'Berlin');",
            "VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZw==",
            "1024 2048 4096 8192 16384",
            "# Extraction of Roots",
        ] {
            assert_eq!(of(text), "", "{text}");
        }
        let log = "2026-03-01T00:07:11Z INFO worker-1 request id=7919 status=404\n".repeat(50);
        assert_eq!(of(&format!("{log}The server is about to be stopped by the operator.\n")), "");
    }
}

//! Cuts text into the words, figures and signs that facts are read from.

use super::super::words::is_unspaced;

/// A word, a figure as it is written (`1,000`, `6:00`, `HX-4810-B`), or a sign (`€`, `%`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// As it is written, with digits of all scripts as ASCII's.
    pub text: String,
    /// In small letters, a word without the full stops within it: `pm` for `p.m.`.
    pub lower: String,
    /// Whether it may be capitalised for its place alone: it begins a sentence, a line, a quotation.
    pub begins: bool,
    /// Whether it is the first of its line.
    pub leads: bool,
    /// The character behind it; a space at the end.
    pub after: char,
    /// Whether a sign of the sentence (comma, full stop, bracket) stands between it and the token before.
    pub parted: bool,
}

impl Token {
    /// Whether its first letter is a capital.
    pub(super) fn is_capital(&self) -> bool {
        self.text.starts_with(char::is_uppercase)
    }

    /// Whether it has no digit and is more than a sign.
    pub(super) fn is_word(&self) -> bool {
        self.text.starts_with(char::is_alphabetic) && !self.text.contains(|c: char| c.is_ascii_digit())
    }
}

/// Signs that are a unit of their own.
const SIGNS: [char; 9] = ['€', '$', '£', '¥', '₽', '₹', '%', '٪', '₩'];

/// The tokens of a text, in order.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut cutter = Cutter { tokens: Vec::new(), word: String::new(), begins: true, leads: true, parted: false };
    let chars: Vec<char> = text.chars().map(ascii_digit).collect();
    let mut at = 0;
    while at < chars.len() {
        let before = at.checked_sub(1).map_or(' ', |before| chars[before]);
        let next = chars.get(at + 1).copied().unwrap_or(' ');
        let negated = matches!(chars[at], '\'' | '’')
            && before.eq_ignore_ascii_case(&'n')
            && next.eq_ignore_ascii_case(&'t')
            && !chars.get(at + 2).is_some_and(|c| c.is_alphanumeric());
        if negated {
            // `isn't` says `is` and `not`.
            cutter.flush('\'');
            cutter.word.push_str("nt");
            at += 2;
            continue;
        }
        cutter.put(before, chars[at], next);
        at += 1;
    }
    cutter.flush(' ');
    cutter.tokens
}

struct Cutter {
    tokens: Vec<Token>,
    word: String,
    begins: bool,
    leads: bool,
    parted: bool,
}

impl Cutter {
    fn put(&mut self, before: char, c: char, next: char) {
        match c {
            _ if is_unspaced(c) || SIGNS.contains(&c) => {
                self.flush(c);
                self.word.push(c);
                self.flush(next);
            }
            '°' | '℃' | '℉' => {
                self.flush(c);
                self.word.push(c);
            }
            _ if c.is_alphanumeric() || is_mark(c) => self.word.push(c),
            '-' | '\u{2011}' | '_' if joins(before, next) => self.word.push('-'),
            '-' | '\u{2212}' if !before.is_alphanumeric() && next.is_ascii_digit() => {
                self.flush(c);
                self.word.push('-');
            }
            '.' | ',' | ':' | '/' | '\'' | '’' if self.keeps(before, c, next) => self.word.push(c),
            _ => {
                self.flush(c);
                self.sign(c, before, next);
            }
        }
    }

    /// Whether a sign within a run of letters or digits belongs to it.
    fn keeps(&self, before: char, c: char, next: char) -> bool {
        let digits = before.is_ascii_digit() && next.is_ascii_digit();
        let letters = before.is_alphabetic() && next.is_alphabetic();
        match c {
            '.' => digits || letters && self.word.rsplit('.').next().is_some_and(|last| last.chars().count() == 1),
            '/' => digits || letters && matches!(self.word.as_str(), "km" | "m" | "U" | "u" | "l"),
            _ => digits,
        }
    }

    /// Notes what a sign says of the token that follows.
    fn sign(&mut self, c: char, before: char, next: char) {
        match c {
            '\n' => {
                self.leads = true;
                self.begins = true;
                self.parted = true;
            }
            // A short capital word with a full stop is an abbreviation: `Dr. Falk`.
            '.' if self.tokens.last().is_some_and(|last| last.is_capital() && last.text.chars().count() <= 3) => {}
            '.' | '!' | '?' | ':' | ';' | '…' | '“' | '"' | '„' | '«' | '»' | '(' | '[' | '•' | '–' | '—' | '|' =>
            {
                self.begins = true;
                self.parted = true;
            }
            '-' | '*' if before.is_whitespace() && next.is_whitespace() => self.begins = true,
            ',' | ')' | ']' | '/' => self.parted = true,
            _ => {}
        }
    }

    fn flush(&mut self, after: char) {
        let word = std::mem::take(&mut self.word);
        let text = word.trim_matches(|c: char| matches!(c, '.' | ',' | ':' | '/' | '\'' | '’'));
        if !text.contains(|c: char| c.is_alphanumeric() || SIGNS.contains(&c) || matches!(c, '°' | '℃' | '℉')) {
            return;
        }
        let lower = text.to_lowercase();
        let lower = if text.contains(|c: char| c.is_ascii_digit()) { lower } else { lower.replace('.', "") };
        let token =
            Token { text: text.to_owned(), lower, begins: self.begins, leads: self.leads, after, parted: self.parted };
        self.tokens.push(token);
        self.begins = false;
        self.leads = false;
        self.parted = false;
    }
}

/// Whether a hyphen stands within a word, a code or a date.
fn joins(before: char, next: char) -> bool {
    before.is_alphanumeric() && next.is_alphanumeric() && !is_unspaced(before) && !is_unspaced(next)
}

/// Signs written onto letters.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{900}'..='\u{963}')
}

/// Digits of other scripts as ASCII's.
fn ascii_digit(c: char) -> char {
    let zero = match c {
        '\u{660}'..='\u{669}' => 0x660,
        '\u{6f0}'..='\u{6f9}' => 0x6f0,
        '\u{966}'..='\u{96f}' => 0x966,
        '\u{ff10}'..='\u{ff19}' => 0xff10,
        _ => return c,
    };
    char::from_digit(u32::from(c) - zero, 10).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_codes_and_signs_stay_whole_and_the_rest_is_parted() {
        let texts = |text: &str| tokens(text).into_iter().map(|token| token.text).collect::<Vec<_>>();
        assert_eq!(
            texts("€25, 1,000 km/h at 6:00 (HX-4810-B)."),
            ["€", "25", "1,000", "km/h", "at", "6:00", "HX-4810-B"]
        );
        assert_eq!(texts("It isn't -5 °C, or 3–5 days."), ["It", "isn", "nt", "-5", "°C", "or", "3", "5", "days"]);
        assert_eq!(texts("大门6点开, ٢٥ at 6 p.m."), ["大", "门", "6", "点", "开", "25", "at", "6", "p.m"]);
        assert_eq!(tokens("6 p.m.").pop().map(|token| token.lower).as_deref(), Some("pm"));
    }

    #[test]
    fn capitals_for_their_place_are_told_from_names() {
        let begins: Vec<(String, bool)> =
            tokens("The lead: Maria and Dr. Falk. He").into_iter().map(|token| (token.text, token.begins)).collect();
        let names: Vec<&str> = begins.iter().filter(|(_, begins)| !begins).map(|(text, _)| text.as_str()).collect();
        assert_eq!(names, ["lead", "and", "Dr", "Falk"]);
    }
}

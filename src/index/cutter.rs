//! Text to words: where one ends and the next begins.
//!
//! Beside the words, names joined by underscores are words as a whole, signs and emoji that stand alone are words, and so
//! are languages such as C++ and C#. Codes whose pieces are parted in the text are told in one piece.

use unicode_normalization::UnicodeNormalization;

use crate::domain::is_sign;

/// Longer words are cut here, in characters: nobody looks for the tail of a base64 line.
pub(super) const LONGEST_WORD: usize = 64;
/// Longest code in pieces, in bytes.
const LONGEST_CODE: usize = 40;
/// Shortest code in pieces: `2/3` is none.
const SHORTEST_CODE: usize = 3;
/// Pieces parted by blanks are one number from this many digits and letters on: an account's or a telephone's.
const LONG_NUMBER: usize = 8;

/// What a text is cut into.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// Words, lower-cased, and pairs of characters, each followed by a space.
    pub words: String,
    /// Codes of several words in one piece: `zk310` of `ZK-310`, `4200` of `4,200`; each followed by a space.
    pub codes: String,
}

/// Cuts `text`.
pub(super) fn cut(text: &str) -> Pieces {
    let mut cutter = Cutter::default();
    cutter.out.words.reserve(text.len() + text.len() / 8);
    let mut chars = text.nfkc().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        cutter.take(before, c, chars.peek().copied());
        before = c;
    }
    cutter.end_run();
    cutter.end_word(false);
    cutter.end_code();
    cutter.out
}

/// Cuts characters into words and pairs.
#[derive(Default)]
struct Cutter {
    /// What is cut already.
    out: Pieces,
    /// The word being read, lower-cased.
    word: String,
    /// Its characters.
    length: usize,
    /// The words before it that underscores join to it, each with its underscore.
    name: String,
    /// Whether an apostrophe stands before it.
    elided: bool,
    /// The last character of a run without spaces, and whether it is in a pair already.
    run: Option<(char, bool)>,
    /// The code that the last words may be pieces of.
    code: Code,
}

/// Words that may be pieces of one code.
#[derive(Default)]
struct Code {
    /// All of them, joined.
    joined: String,
    pieces: usize,
    /// Whether blanks part some of them.
    blanks: bool,
    /// What ended the last one, if another may follow.
    ended_by: Option<char>,
}

impl Cutter {
    fn take(&mut self, before: char, c: char, next: Option<char>) {
        if runs_on(c) {
            self.end_word(false);
            self.pair(c);
            return;
        }
        self.end_run();
        if joins(c) {
            // Within a word, and left out of it unless its script needs it.
            if !self.word.is_empty() && carries_meaning(c) {
                self.letter(c);
            }
        } else if c.is_alphanumeric() || within_number(c, self.word.chars().next_back(), next) {
            self.letter(c);
        } else if c == '_' {
            self.part_name();
        } else if is_sign(c) || is_alone(before, c, next) {
            self.end_word(false);
            self.out.words.extend([c, ' ']);
        } else {
            self.name_language(c, next);
            self.end_word(is_apostrophe(c));
            self.code.ended_by = (self.code.ended_by.is_none() && !self.code.joined.is_empty()).then_some(c);
        }
    }

    /// Writes `c++` or `c#` beside the `c` that is to follow.
    fn name_language(&mut self, c: char, next: Option<char>) {
        let sign = match c {
            '+' if next == Some('+') => "++",
            '#' if !next.is_some_and(char::is_alphanumeric) => "#",
            _ => return,
        };
        if self.length == 1 {
            self.out.words.push_str(&self.word);
            self.out.words.push_str(sign);
            self.out.words.push(' ');
        }
    }

    /// Ends the word at an underscore, which may join it to the next.
    fn part_name(&mut self) {
        // Longer names are no terms, so what follows is not needed.
        if !self.word.is_empty() && self.name.len() <= 4 * LONGEST_WORD {
            self.name.push_str(&self.word);
            self.name.push('_');
        }
        self.write_word(false);
        self.code.ended_by = Some('_');
    }

    fn letter(&mut self, c: char) {
        self.length += 1;
        if self.length <= LONGEST_WORD {
            // Lower-casing may add marks, as for the Turkish dotted İ; they are left out like all others.
            self.word.extend(c.to_lowercase().filter(|c| !joins(*c) || carries_meaning(*c)));
        }
    }

    /// Ends the word before `c`, an apostrophe or not. Lone letters at an apostrophe (`l'`, `'s`) say nothing.
    fn end_word(&mut self, apostrophe: bool) {
        self.name.push_str(if self.name.is_empty() { "" } else { &self.word });
        self.write_word(apostrophe);
        let name = std::mem::take(&mut self.name);
        let name = name.trim_end_matches('_');
        if name.contains('_') && name.chars().count() <= LONGEST_WORD {
            self.out.words.push_str(name);
            self.out.words.push(' ');
        }
    }

    fn write_word(&mut self, apostrophe: bool) {
        let elision = self.length == 1 && (self.elided || apostrophe);
        if !self.word.is_empty() && !elision {
            self.out.words.push_str(&self.word);
            self.out.words.push(' ');
            self.add_to_code();
        }
        self.elided = apostrophe && !self.word.is_empty();
        self.word.clear();
        self.length = 0;
    }

    /// Adds the word to the code before it, or begins another with it.
    fn add_to_code(&mut self) {
        let word = self.word.as_str();
        let digits = |text: &str| text.contains(|c: char| c.is_ascii_digit());
        let goes_on = match self.code.ended_by {
            Some('-' | '_' | '/' | '.' | '\u{2010}' | '\u{2013}') => true,
            // Blanks part the pieces of long numbers alone.
            Some(' ') => digits(word) && digits(&self.code.joined) && word.len() <= 4,
            _ => false,
        };
        if !goes_on || self.code.joined.len() + word.len() > LONGEST_CODE {
            self.end_code();
        }
        self.code.blanks |= self.code.ended_by == Some(' ') && !self.code.joined.is_empty();
        self.code.joined.extend(self.word.chars().filter(|c| c.is_alphanumeric()));
        self.code.pieces += 1;
        self.code.ended_by = None;
        if is_grouped(&self.word) {
            self.out.codes.extend(self.word.chars().filter(char::is_ascii_digit));
            self.out.codes.push(' ');
        }
    }

    /// Tells the code that is read, if it is one of several pieces.
    fn end_code(&mut self) {
        let Code { joined, pieces, blanks, .. } = std::mem::take(&mut self.code);
        let long = if blanks { LONG_NUMBER } else { SHORTEST_CODE };
        if pieces > 1 && joined.len() >= long && joined.contains(|c: char| c.is_ascii_digit()) {
            self.out.codes.push_str(&joined);
            self.out.codes.push(' ');
        }
    }

    fn pair(&mut self, c: char) {
        if let Some((last, _)) = self.run {
            self.out.words.extend([last, c, ' ']);
        }
        self.run = Some((c, self.run.is_some()));
    }

    /// Ends a run; one of a single character is a term of its own.
    fn end_run(&mut self) {
        if let Some((lone, false)) = self.run.take() {
            self.out.words.extend([lone, ' ']);
        }
    }
}

/// Whether a number is written in groups of three digits.
fn is_grouped(word: &str) -> bool {
    let mut groups = word.split([',', '.']);
    let first = groups.next().unwrap_or_default();
    let rest: Vec<&str> = groups.collect();
    let digits = |group: &str| group.bytes().all(|c| c.is_ascii_digit());
    !rest.is_empty()
        && (1..=3).contains(&first.len())
        && digits(first)
        && rest.iter().all(|group| group.len() == 3 && digits(group))
}

/// Whether `c` is a sign of ASCII that stands alone between blanks and means something by itself.
fn is_alone(before: char, c: char, next: Option<char>) -> bool {
    let parted =
        before.is_whitespace() && next.is_none_or(|next| next.is_whitespace() || matches!(next, '?' | '.' | ','));
    parted && matches!(c, '%' | '$' | '&' | '@' | '=' | '~' | '^')
}

/// Whether `c` belongs to a script that puts no space between words (Korean does, but glues particles to its nouns).
pub(super) fn runs_on(c: char) -> bool {
    matches!(c,
        '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{3096}' | '\u{309d}'..='\u{309f}' // iteration marks, hiragana
        | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}' // katakana
        | '\u{3105}'..='\u{312f}' // bopomofo
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3fffd}' // han
        | '\u{1100}'..='\u{11ff}' | '\u{3131}'..='\u{318e}' | '\u{ac00}'..='\u{d7a3}' // hangul
        | '\u{0e01}'..='\u{0e3a}' | '\u{0e40}'..='\u{0e4e}' // thai
        | '\u{0e81}'..='\u{0ece}' | '\u{1780}'..='\u{17d3}' | '\u{1000}'..='\u{103f}') // lao, khmer, burmese
}

/// Whether `c` stands within words without being a letter of its own: marks above and below letters, joiners, soft
/// hyphens.
fn joins(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}'
        | '\u{0300}'..='\u{036f}' | '\u{0483}'..='\u{0487}' | '\u{0591}'..='\u{05bd}' | '\u{05bf}'..='\u{05c7}'
        | '\u{0640}' | '\u{064b}'..='\u{065f}' | '\u{0670}')
        || carries_meaning(c)
}

/// Signs of Indic scripts that are no letters by Unicode, yet part of the spelling (virama, nukta).
fn carries_meaning(c: char) -> bool {
    matches!(
        c,
        '\u{093c}'
            | '\u{094d}'
            | '\u{09bc}'
            | '\u{09cd}'
            | '\u{0a3c}'
            | '\u{0a4d}'
            | '\u{0abc}'
            | '\u{0acd}'
            | '\u{0b3c}'
            | '\u{0b4d}'
            | '\u{0bcd}'
            | '\u{0c4d}'
            | '\u{0cbc}'
            | '\u{0ccd}'
            | '\u{0d4d}'
            | '\u{0dca}'
    )
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}' | '\u{02bc}')
}

/// A point or comma between digits: `3.14` is one word.
fn within_number(c: char, before: Option<char>, after: Option<char>) -> bool {
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    matches!(c, '.' | ',') && digit(before) && digit(after)
}

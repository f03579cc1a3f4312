//! Cuts text into pieces that can be quoted: sentences, list items, table rows, blocks of code.
//!
//! Knows as much of Markdown as is needed to leave its signs out of quotes, and sentence ends of many scripts. Written
//! for prose with wrapped lines, where Unicode's own sentence rules (UAX 29) end a sentence at every line.

use super::markers::is_marker;

/// Longest piece, bytes; a longer sentence is cut at a space.
pub(super) const MAX_BYTES: usize = 600;

/// A line this short (bytes) that is followed by a capital stands for itself: wrapped prose has longer lines.
const SHORT_LINE: usize = 40;
/// A line this long (bytes) is not wrapped, so its end is the end of a sentence.
const LONG_LINE: usize = 160;

/// Bytes `start..end` of a text, without white space at either end, on character boundaries, never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// What it is.
    pub kind: Kind,
}

/// What a [`Piece`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A sentence, whole or as long as the text has it.
    Sentence,
    /// A row of a table.
    Row,
    /// A row that names a table's columns; told by [`super::tables`] alone, which knows what stands above.
    Columns,
    /// A block of code without its fence.
    Code,
    /// A heading without its `#`: says what follows is about, and is no answer by itself.
    Heading,
}

/// All pieces of `text`, in order, none overlapping another.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut cutter = Cutter {
        text,
        pieces: Vec::with_capacity(text.len() / 80 + 1),
        open: None,
        quoted: false,
        fence: None,
        record: None,
    };
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        cutter.line(start, line.trim_end());
        start += line.len();
    }
    cutter.close_paragraph();
    cutter.close_record();
    cutter.close_fence(text.len());
    cutter.pieces
}

struct Cutter<'a> {
    text: &'a str,
    pieces: Vec<Piece>,
    /// The paragraph that is growing.
    open: Option<(usize, usize)>,
    /// Whether the last line was quoted with `>`.
    quoted: bool,
    /// The fence that stands open (its sign) and where its code begins.
    fence: Option<(&'static str, usize)>,
    /// The record of JSON that is growing.
    record: Option<(usize, usize)>,
}

impl Cutter<'_> {
    /// Takes one line, which starts at `start` and has no white space at its end.
    fn line(&mut self, start: usize, line: &str) {
        let end = start + line.len();
        let words = line.trim_start_matches([' ', '\t', '>']);
        let begin = end - words.len();
        let quoted = line[..line.len() - words.len()].contains('>');
        if std::mem::replace(&mut self.quoted, quoted) != quoted {
            self.close_paragraph();
        }
        if self.fence.is_none() && self.record(begin, end) {
            return;
        }
        if let Some((sign, _)) = self.fence {
            if words.starts_with(sign) {
                self.close_fence(start);
            }
        } else if let Some(sign) = ["```", "~~~"].into_iter().find(|sign| words.starts_with(sign)) {
            self.close_paragraph();
            self.fence = Some((sign, end));
        } else if words.is_empty() {
            self.close_paragraph();
        } else if is_rule(words) {
            self.underline(words);
        } else if let Some((from, to)) = heading(words) {
            self.close_paragraph();
            self.push(begin + from, begin + to, Kind::Heading);
        } else if is_row(words) {
            self.close_paragraph();
            self.push(begin, end, Kind::Row);
        } else {
            self.prose(begin, end);
        }
    }

    /// Takes a line of a record of JSON as it is laid out, a value a line; the innermost records are pieces.
    fn record(&mut self, begin: usize, end: usize) -> bool {
        let words = &self.text[begin..end];
        let opens = words == "{" || words.starts_with('"') && words.ends_with(": {");
        let is_field = words.starts_with('"') && words.contains("\": ");
        if opens || is_field && self.record.is_none() {
            self.close_paragraph();
            self.close_record();
            self.record = Some((begin, end));
            return true;
        }
        let Some((start, _)) = self.record else { return false };
        if words.is_empty() {
            self.close_record();
            return false;
        }
        self.record = Some((start, end));
        if words.starts_with('}') {
            self.close_record();
        }
        true
    }

    fn close_record(&mut self) {
        if let Some((start, end)) = self.record.take() {
            self.push(start, end, Kind::Row);
        }
    }

    /// Adds a line of prose to the open paragraph, or begins another.
    fn prose(&mut self, begin: usize, end: usize) {
        let words = &self.text[begin..end];
        let bullet = bullet(words);
        match &mut self.open {
            Some((from, to)) if bullet == 0 && is_wrapped(&self.text[*from..*to], words) => *to = end,
            _ => {
                self.close_paragraph();
                self.open = Some((begin + bullet, end));
            }
        }
    }

    /// A line of `---` or `===`: under a single line it makes that line a heading, elsewhere it divides.
    fn underline(&mut self, sign: &str) {
        match self.open.take() {
            Some((start, end)) if !sign.starts_with(['*', '_', '|']) && !self.text[start..end].contains('\n') => {
                self.push(start, end, Kind::Heading);
            }
            open => {
                self.open = open;
                self.close_paragraph();
            }
        }
    }

    fn close_fence(&mut self, end: usize) {
        if let Some((_, start)) = self.fence.take() {
            self.push(start, end, Kind::Code);
        }
    }

    fn close_paragraph(&mut self) {
        let Some((mut start, end)) = self.open.take() else { return };
        let text = self.text;
        while let Some(length) = sentence_end(&text[start..end]) {
            self.push(start, start + length, Kind::Sentence);
            start += length;
        }
        self.push(start, end, Kind::Sentence);
    }

    /// Adds a piece, trimmed, in parts if it is too long, or nothing if it is empty.
    fn push(&mut self, start: usize, end: usize, kind: Kind) {
        let mut rest = self.text[start..end].trim_end();
        let end = start + rest.len();
        loop {
            rest = rest.trim_start();
            let start = end - rest.len();
            if rest.len() <= MAX_BYTES {
                if !rest.is_empty() {
                    self.pieces.push(Piece { start, end, kind });
                }
                return;
            }
            let room = &rest[..rest.floor_char_boundary(MAX_BYTES)];
            let cut = room.rfind(char::is_whitespace).filter(|at| *at > 0).unwrap_or(room.len());
            self.pieces.push(Piece { start, end: start + room[..cut].trim_end().len(), kind });
            rest = &rest[cut..];
        }
    }
}

/// Whether a line is only signs: a rule, an underline, or the row under a table's header.
fn is_rule(words: &str) -> bool {
    words.len() >= 3 && words.bytes().all(|b| matches!(b, b'-' | b'=' | b'*' | b'_' | b'|' | b':' | b' ' | b'+'))
}

/// Whether a line is a table's row, in Markdown's writing or as extracted tables are written. Longer ones are columns of
/// a page, whose cells have sentences.
fn is_row(words: &str) -> bool {
    (words.starts_with('|') || words.contains(" | ")) && words.len() <= MAX_BYTES
}

/// Where a heading's words stand in its line: `## Words` or `= Words =`.
fn heading(line: &str) -> Option<(usize, usize)> {
    let hashes = line.bytes().take_while(|b| *b == b'#').count();
    if (1..=6).contains(&hashes) && line[hashes..].starts_with([' ', '\t']) {
        return Some((hashes, line.trim_end_matches(['#', ' ']).len().max(hashes)));
    }
    let inner = line.trim_matches('=');
    let wiki = line.starts_with("= ") || line.starts_with("==");
    (wiki && line.ends_with('=') && !inner.trim().is_empty()).then(|| {
        let start = line.len() - line.trim_start_matches('=').len();
        (start, start + inner.len())
    })
}

/// Length of a list item's sign with the space behind it: `- `, `* `, `12. `, `• `; 0 when there is none.
fn bullet(words: &str) -> usize {
    let digits = words.bytes().take_while(u8::is_ascii_digit).count();
    let sign = match digits {
        0 => words.strip_prefix(['-', '*', '+', '•', '·', '–']),
        1..=3 => words[digits..].strip_prefix(['.', ')']),
        _ => None,
    };
    sign.filter(|rest| rest.starts_with([' ', '\t'])).map_or(0, |rest| words.len() - rest.trim_start().len())
}

/// Whether the `next` line goes on with the paragraph `before` it.
fn is_wrapped(before: &str, next: &str) -> bool {
    let last = before.rsplit('\n').next().unwrap_or(before);
    let capital = next.chars().next().is_some_and(|c| c.is_uppercase() || c.is_numeric());
    last.len() <= LONG_LINE && !(last.len() < SHORT_LINE && capital)
}

/// Length of the first sentence of `text` with the signs that close it; `None` when it goes on to the end.
pub(super) fn sentence_end(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let (at, sign) =
            text[from..].char_indices().find(|(_, c)| ends_where_space_follows(*c) || ends_anywhere(*c))?;
        let before = &text[..from + at];
        let mut end = before.len() + sign.len_utf8();
        end += closing_length(&text[end..]);
        let rest = &text[end..];
        let next = rest.trim_start();
        if next.is_empty() {
            return None;
        }
        let parted = next.len() < rest.len() && begins_a_sentence(next) && !(sign == '.' && abbreviates(before, next));
        if parted || ends_anywhere(sign) {
            return Some(end);
        }
        from = end;
    }
}

fn ends_where_space_follows(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '؟' | '۔' | '։' | '\u{37e}')
}

/// Scripts that put no space between sentences, or whose sign has no other use.
fn ends_anywhere(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '｡' | '．' | '।' | '॥' | '።' | '፧' | '។' | '။' | '།')
}

/// Length of what still belongs to a sentence behind its sign: more signs, closing quotes and brackets, Markdown's
/// emphasis, and references as in `[12]`.
fn closing_length(rest: &str) -> usize {
    let mut length = 0;
    while let Some(c) = rest[length..].chars().next() {
        let closes = ends_where_space_follows(c)
            || ends_anywhere(c)
            || is_marker(c)
            || matches!(c, '"' | '\'' | '”' | '’' | '»' | '」' | '』' | '）' | ')' | ']' | '*' | '_' | '`');
        length += match c {
            _ if closes => c.len_utf8(),
            '[' => match reference_length(&rest[length..]) {
                0 => break,
                reference => reference,
            },
            _ => break,
        };
    }
    length
}

/// Length of `[12]` at the start of `text`, or 0.
fn reference_length(text: &str) -> usize {
    let digits = text[1..].bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 && text[1 + digits..].starts_with(']') { digits + 2 } else { 0 }
}

/// Whether what stands behind a full stop can be a sentence's begin: no small letter, opening signs aside.
pub(super) fn begins_a_sentence(next: &str) -> bool {
    let opening = |c: char| matches!(c, '"' | '\'' | '“' | '‘' | '«' | '(' | '[' | '*' | '_' | '`' | '¿' | '¡');
    next.trim_start_matches(opening).chars().next().is_none_or(|c| !c.is_lowercase())
}

/// Whether the full stop behind `before` belongs to an abbreviation or an initial.
fn abbreviates(before: &str, next: &str) -> bool {
    const ALWAYS: [&str; 27] = [
        "mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "vs", "fig", "figs", "approx", "gen", "col", "sen", "rep",
        "gov", "rev", "hon", "capt", "lt", "sgt", "bzw", "ca", "mme", "sra", "cf",
    ];
    const BEFORE_NUMBERS: [&str; 12] = ["no", "nos", "nr", "vol", "p", "pp", "art", "sec", "ch", "eq", "para", "abs"];
    let word = &before[before.trim_end_matches(char::is_alphabetic).len()..];
    let inner = before[..before.len() - word.len()].ends_with('.');
    let is_in = |list: &[&str]| list.iter().any(|known| word.eq_ignore_ascii_case(known));
    let ahead = before[..before.len() - word.len()].trim_end();
    // `1,000 g.` ends in a unit and no initial.
    let unit = word.starts_with(char::is_lowercase) && ahead.ends_with(|c: char| c.is_ascii_digit());
    (word.len() == 1 && !unit || inner && (1..=2).contains(&word.len()))
        || is_in(&ALWAYS)
        || word.is_empty() && is_ordinal(before)
        || next.starts_with(|c: char| c.is_ascii_digit()) && is_in(&BEFORE_NUMBERS)
}

/// Whether `before` ends in an ordinal number as German writes it: `am 31. Januar`, `im 2. Stock`.
fn is_ordinal(before: &str) -> bool {
    const AHEAD: [&str; 20] = [
        "am", "im", "vom", "zum", "zur", "der", "die", "das", "den", "dem", "des", "ab", "bis", "jeden", "jedem",
        "jeder", "seit", "beim", "ein", "einen",
    ];
    let number = before.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = before.len() - number.len();
    let word = number.trim_end().rsplit(char::is_whitespace).next().unwrap_or_default();
    (1..=2).contains(&digits) && number.ends_with(' ') && AHEAD.iter().any(|ahead| word.eq_ignore_ascii_case(ahead))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Kind::{Code, Heading, Row, Sentence};
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        pieces(text).iter().map(|piece| &text[piece.start..piece.end]).collect()
    }

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        pieces(text).iter().map(|piece| (piece.kind, &text[piece.start..piece.end])).collect()
    }

    #[test]
    fn sentences_end_where_a_reader_ends_them() {
        for (text, sentences) in [
            ("It works. It is fast!  Is it? Yes.", &["It works.", "It is fast!", "Is it?", "Yes."][..]),
            (
                "Mr. Smith met J. R. Doe at 5.30 p.m. today. He left.",
                &["Mr. Smith met J. R. Doe at 5.30 p.m. today.", "He left."],
            ),
            ("See e.g. the U.S. Congress, no. 5. Then stop.", &["See e.g. the U.S. Congress, no. 5.", "Then stop."]),
            ("He said \u{201c}Go.\u{201d} She went.", &["He said \u{201c}Go.\u{201d}", "She went."]),
            ("It fell.[12] It rose.[3][4] (Twice.) End", &["It fell.[12]", "It rose.[3][4]", "(Twice.)", "End"]),
            ("What?! she asked... and left. So it was.", &["What?! she asked... and left.", "So it was."]),
            ("第一句。第二句！「第三句。」第四句", &["第一句。", "第二句！", "「第三句。」", "第四句"]),
            ("यह पहला है। यह दूसरा है।", &["यह पहला है।", "यह दूसरा है।"]),
            ("هل هذا صحيح؟ نعم هذا صحيح.", &["هل هذا صحيح؟", "نعم هذا صحيح."]),
            ("Version 1.2.3 runs. Use a.b.c now.", &["Version 1.2.3 runs.", "Use a.b.c now."]),
            ("They came . They went .", &["They came .", "They went ."]),
        ] {
            assert_eq!(cut(text), sentences);
        }
    }

    #[test]
    fn wrapped_lines_are_one_sentence_and_short_lines_several() {
        let wrapped =
            "The supervisor owns one actor a tenant and starts it again\nwhen it dies. Nothing else\nis lost.";
        let first = "The supervisor owns one actor a tenant and starts it again\nwhen it dies.";
        assert_eq!(cut(wrapped), [first, "Nothing else\nis lost."]);
        assert_eq!(cut("Name: Ann\nTown: Bern\nSince 1990"), ["Name: Ann", "Town: Bern", "Since 1990"]);
        let long = "x ".repeat(100);
        assert_eq!(cut(&format!("{long}\nand more")), [long.trim_end(), "and more"]);
    }

    #[test]
    fn a_unit_ends_a_sentence_and_an_ordinal_does_not() {
        assert_eq!(cut("It weighs 1,000 g. Work began in May."), ["It weighs 1,000 g.", "Work began in May."]);
        assert_eq!(cut("Signed by J. Falk in May."), ["Signed by J. Falk in May."]);
        let german = "Der Urlaub verfällt am 31. März des Folgejahres. Danach gilt er als genommen.";
        assert_eq!(cut(german), [&german[..german.find(" Danach").unwrap()], "Danach gilt er als genommen."]);
        assert_eq!(cut("Es kostet 12. Der Rest ist frei."), ["Es kostet 12.", "Der Rest ist frei."]);
    }

    #[test]
    fn records_of_json_are_pieces_of_their_own() {
        let text = "[\n  {\n    \"id\": 7,\n    \"sku\": \"ZX7\"\n  },\n  {\n    \"id\": 8\n  }\n]";
        let records: Vec<_> = kinds(text).into_iter().filter(|(kind, _)| *kind == Row).map(|(_, text)| text).collect();
        assert_eq!(records, ["{\n    \"id\": 7,\n    \"sku\": \"ZX7\"\n  },", "{\n    \"id\": 8\n  }"]);
        let cut_off = "\"qty\": 2\n},\n{\n\"id\": 9\n}";
        assert_eq!(cut(cut_off), ["\"qty\": 2\n},", "{\n\"id\": 9\n}"]);
    }

    #[test]
    fn markdown_signs_stay_outside_of_pieces() {
        let text = "# Title #\n\nSome words.\n\n- one item\n  goes on\n* two\n12. twelve\n> quoted words\n\n| a | b |\n|---|---|\n\
                    | 1 | 2 |\n\n***\n\nUnder\n-----\n= Wiki =\n```sh\nrun it\n\nnow\n```\nafter";
        let expected = [
            (Heading, "Title"),
            (Sentence, "Some words."),
            (Sentence, "one item\n  goes on"),
            (Sentence, "two"),
            (Sentence, "twelve"),
            (Sentence, "quoted words"),
            (Row, "| a | b |"),
            (Row, "| 1 | 2 |"),
            (Heading, "Under"),
            (Heading, "Wiki"),
            (Code, "run it\n\nnow"),
            (Sentence, "after"),
        ];
        assert_eq!(kinds(text), expected);
    }

    #[test]
    fn what_has_no_sentence_end_is_cut_at_spaces() {
        let text = "word ".repeat(500);
        let cut = cut(&text);
        assert!(cut.len() > 3 && cut.iter().all(|piece| piece.len() <= MAX_BYTES && piece.ends_with("word")));
        let solid = "ж".repeat(1000);
        assert_eq!(pieces(&solid).iter().map(|piece| piece.end - piece.start).sum::<usize>(), solid.len());
    }

    proptest! {
        #[test]
        fn pieces_are_ordered_trimmed_and_lose_no_words(
            text in "([a-z]{1,6}|[.!?。] ?|\n|#|- |> |\\||`|=|\\[1\\]|[A-Z]\\.|  |ж|文|\u{301}){0,60}"
        ) {
            let pieces = pieces(&text);
            let mut last = 0;
            for piece in &pieces {
                prop_assert!(last <= piece.start && piece.start < piece.end && piece.end <= text.len());
                let words = &text[piece.start..piece.end];
                prop_assert!(words.trim() == words && words.len() <= MAX_BYTES);
                last = piece.end;
            }
            // Beside a code block's info string, only signs and numbers are left out.
            if !text.contains("```") {
                let kept: String = cut(&text).concat();
                let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).collect::<String>();
                prop_assert_eq!(letters(&kept), letters(&text));
            }
        }
    }
}

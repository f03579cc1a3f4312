//! RTF: words in many code pages between control words (Microsoft, Rich Text Format Specification 1.9.1).

mod tables;

use std::collections::HashMap;

use encoding_rs::{Encoding, WINDOWS_1252};

use self::tables::{charset, code_page, symbol};
use crate::domain::MarkKind;
use crate::ingest::draft::Draft;

/// Groups whose words are not the document's.
const DROPPED: [&str; 26] = [
    "fonttbl",
    "colortbl",
    "stylesheet",
    "listtable",
    "listoverridetable",
    "revtbl",
    "rsidtbl",
    "generator",
    "pict",
    "objdata",
    "fldinst",
    "datafield",
    "themedata",
    "colorschememapping",
    "latentstyles",
    "xmlnstbl",
    "datastore",
    "filetbl",
    "mmathPr",
    "pgdsctbl",
    "bkmkstart",
    "bkmkend",
    "private",
    // The names and values of a shape's properties, beside its words.
    "sp",
    // Words in an old encoding, which `ud` repeats in Unicode.
    "upr",
    "info",
];
/// Groups that may be left out by who does not know them, but hold words: shapes, comments, words in Unicode.
const KEPT: [&str; 5] = ["shpinst", "shptxt", "annotation", "footnote", "ud"];
/// Groups that stand in a sentence but are no part of it: notes, comments, what is printed on every page.
const ASIDES: [&str; 10] =
    ["footnote", "annotation", "header", "headerl", "headerr", "headerf", "footer", "footerl", "footerr", "footerf"];
/// Open groups, at most: deeper ones change nothing any more.
const MAX_DEPTH: usize = 1000;

/// Reads a document.
pub(super) fn read(bytes: &[u8], draft: &mut Draft) {
    let mut reader = Reader {
        rest: bytes,
        draft,
        state: State::default(),
        stack: Vec::new(),
        pending: Vec::new(),
        to_skip: 0,
        high: None,
        fonts: HashMap::new(),
        row: Vec::new(),
        cell: String::new(),
        optional: false,
        aside: String::new(),
        asides: Vec::new(),
        styles: HashMap::new(),
        style_name: String::new(),
        heading: None,
    };
    reader.run();
}

/// What a group can change and its end takes back.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the format's own")]
#[derive(Clone, Copy)]
struct State {
    encoding: &'static Encoding,
    /// The group's words go nowhere.
    dropped: bool,
    /// The group is the table of fonts, whose encodings are noted.
    fonts: bool,
    /// The words are the document's title.
    title: bool,
    font: i32,
    /// Bytes that stand for each `\u` in old programs.
    skip: usize,
    /// The paragraph is in a table.
    in_table: bool,
    /// Nobody sees the words: hidden ones, and deleted ones that a revision keeps.
    hidden: bool,
    /// The words are a note's or the like.
    aside: bool,
    /// The group is the table of styles, and its number the one that is described.
    styles: Option<i32>,
    /// The paragraph's level as a heading.
    level: Option<u8>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            encoding: WINDOWS_1252,
            dropped: false,
            fonts: false,
            title: false,
            font: 0,
            skip: 1,
            in_table: false,
            hidden: false,
            aside: false,
            styles: None,
            level: None,
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    draft: &'a mut Draft,
    state: State,
    stack: Vec<State>,
    /// Bytes of the current encoding, not yet decoded: a character may be several.
    pending: Vec<u8>,
    /// Characters still to leave out after a `\u`.
    to_skip: usize,
    /// The first half of a character beyond the first 65,536.
    high: Option<u16>,
    fonts: HashMap<i32, &'static Encoding>,
    row: Vec<String>,
    cell: String,
    /// Whether `\*` has just begun a group.
    optional: bool,
    /// The note that is open, and those that wait for the end of their paragraph.
    aside: String,
    asides: Vec<String>,
    /// Heading levels by the numbers of styles.
    styles: HashMap<i32, u8>,
    /// The name of the style that is described.
    style_name: String,
    /// Where the heading that is open starts.
    heading: Option<usize>,
}

impl Reader<'_> {
    fn run(&mut self) {
        while let [first, rest @ ..] = self.rest {
            self.rest = rest;
            match first {
                b'{' => self.open(),
                b'}' => self.close(),
                b'\\' => self.control(),
                b'\r' | b'\n' => {}
                byte => self.byte(*byte),
            }
        }
        self.flush();
        self.end_cell_text();
        self.end_heading();
        self.write_asides();
    }

    fn open(&mut self) {
        self.flush();
        self.to_skip = 0;
        if self.stack.len() < MAX_DEPTH {
            self.stack.push(self.state);
        }
    }

    fn close(&mut self) {
        self.flush();
        self.to_skip = 0;
        if self.state.styles.is_some() {
            self.name_style();
        }
        if let Some(state) = self.stack.pop() {
            if self.state.title && !state.title {
                let title = std::mem::take(&mut self.cell);
                self.draft.title(&title);
            }
            if self.state.aside && !state.aside {
                let aside = std::mem::take(&mut self.aside);
                // The same header for each section says nothing new.
                if !aside.trim().is_empty() && !self.asides.contains(&aside) {
                    self.asides.push(aside);
                }
            }
            self.state = state;
        }
    }

    /// What follows a backslash.
    fn control(&mut self) {
        let Some((first, rest)) = self.rest.split_first() else { return };
        if first.is_ascii_alphabetic() {
            return self.word();
        }
        self.rest = rest;
        match first {
            b'\'' => {
                let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
                if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                    self.rest = &rest[2..];
                    self.byte(byte);
                }
            }
            b'*' => self.optional = true,
            b'~' => self.text(" "),
            b'_' => self.text("-"),
            b'-' => {}
            b'\r' | b'\n' => self.paragraph(),
            byte => self.byte(*byte),
        }
    }

    fn word(&mut self) {
        let length = self.rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let (name, rest) = self.rest.split_at(length);
        let digits =
            rest.iter().enumerate().take_while(|(at, byte)| byte.is_ascii_digit() || *at == 0 && **byte == b'-');
        let (number, rest) = rest.split_at(digits.count());
        self.rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let number = std::str::from_utf8(number).ok().and_then(|number| number.parse::<i32>().ok());
        let name = String::from_utf8_lossy(name);
        self.apply(&name, number);
    }

    fn apply(&mut self, name: &str, number: Option<i32>) {
        if name != "u" {
            self.flush();
        }
        // Nobody needs to know a group that `\*` begins.
        if std::mem::take(&mut self.optional) && !KEPT.contains(&name) {
            self.state.dropped = true;
        }
        if ASIDES.contains(&name) {
            self.state.aside = true;
        }
        match name {
            "u" => self.unicode(number.unwrap_or_default()),
            "uc" => self.state.skip = number.and_then(|skip| usize::try_from(skip).ok()).unwrap_or(1).min(16),
            "bin" => {
                let length = number.and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
                self.rest = self.rest.get(length..).unwrap_or_default();
            }
            "ansicpg" => self.state.encoding = number.map_or(WINDOWS_1252, code_page),
            "mac" => self.state.encoding = encoding_rs::MACINTOSH,
            "f" => self.font(number.unwrap_or_default()),
            "fcharset" if self.state.fonts => {
                if let Some(encoding) = number.and_then(charset) {
                    self.fonts.insert(self.state.font, encoding);
                }
            }
            "title" => (self.state.title, self.state.dropped) = (true, false),
            "ud" => self.state.dropped = false,
            "v" | "deleted" => self.state.hidden = number != Some(0),
            "plain" => self.state.hidden = false,
            "s" if self.state.styles.is_some() => self.state.styles = number,
            "s" => self.state.level = number.and_then(|style| self.styles.get(&style).copied()),
            "outlinelevel" => self.level(number),
            "par" | "sect" | "page" => self.paragraph(),
            "line" | "softline" => self.line(),
            "tab" => self.text(" "),
            "pard" => (self.state.in_table, self.state.level) = (false, None),
            "intbl" => self.state.in_table = true,
            "cell" | "nestcell" => self.end_cell(),
            "row" | "nestrow" => self.end_row(),
            _ => match symbol(name) {
                Some(symbol) => self.text(symbol),
                None if DROPPED.contains(&name) => {
                    self.state.dropped = true;
                    self.state.fonts = name == "fonttbl";
                    self.state.styles = (name == "stylesheet").then_some(0);
                }
                None => {}
            },
        }
    }

    /// Levels count from 0, and 9 is body text.
    fn level(&mut self, number: Option<i32>) {
        let level = number.and_then(|level| u8::try_from(level + 1).ok()).filter(|level| (1..=9).contains(level));
        match (self.state.styles, level) {
            (Some(style), Some(level)) => {
                self.styles.insert(style, level);
            }
            (Some(_), None) => {}
            (None, level) => self.state.level = level,
        }
    }

    /// Some programs tell of a heading by the name of its style alone.
    fn name_style(&mut self) {
        let name = std::mem::take(&mut self.style_name).to_lowercase();
        let level =
            name.trim().trim_end_matches(';').strip_prefix("heading ").and_then(|level| level.trim().parse().ok());
        if let (Some(style), Some(level @ 1..=9)) = (self.state.styles, level) {
            self.styles.entry(style).or_insert(level);
        }
    }

    fn font(&mut self, number: i32) {
        self.state.font = number;
        if !self.state.fonts
            && let Some(encoding) = self.fonts.get(&number)
        {
            self.state.encoding = encoding;
        }
    }

    fn unicode(&mut self, number: i32) {
        self.flush();
        self.to_skip = self.state.skip;
        // Numbers above 32,767 are written as negative ones.
        let Ok(unit) = u16::try_from(number.rem_euclid(0x1_0000)) else { return };
        let units = [self.high.take().unwrap_or(unit), unit];
        if (0xd800..0xdc00).contains(&unit) {
            self.high = Some(unit);
        } else if let Some(Ok(character)) =
            char::decode_utf16(units.into_iter().skip(usize::from(units[0] == unit))).next()
        {
            self.push(&character.to_string());
        }
    }

    fn byte(&mut self, byte: u8) {
        if self.to_skip > 0 {
            self.to_skip -= 1;
        } else if !self.state.dropped {
            self.pending.push(byte);
        } else if self.state.styles.is_some() {
            self.style_name.push(char::from(byte));
        }
    }

    /// Decodes the bytes that wait.
    fn flush(&mut self) {
        if !self.pending.is_empty() {
            let pending = std::mem::take(&mut self.pending);
            let (text, _) = self.state.encoding.decode_without_bom_handling(&pending);
            let text = text.into_owned();
            self.push(&text);
        }
    }

    fn text(&mut self, text: &str) {
        self.flush();
        if self.to_skip > 0 {
            self.to_skip -= 1;
        } else {
            self.push(text);
        }
    }

    fn push(&mut self, text: &str) {
        if self.state.dropped || self.state.hidden {
        } else if self.state.aside {
            self.aside.push_str(text);
        } else if self.state.in_table || self.state.title {
            self.cell.push_str(text);
        } else {
            self.end_cell_text();
            if self.state.level.is_some() && self.heading.is_none() && !text.trim().is_empty() {
                self.draft.end_block();
                self.heading = Some(self.draft.open());
            }
            self.draft.words(text);
        }
    }

    fn paragraph(&mut self) {
        self.flush();
        if self.state.dropped {
        } else if self.state.aside {
            self.aside.push(' ');
        } else if self.state.in_table {
            self.cell.push(' ');
        } else {
            self.end_cell_text();
            self.end_heading();
            self.draft.end_block();
            self.write_asides();
        }
    }

    fn end_heading(&mut self) {
        if let (Some(start), Some(level)) = (self.heading.take(), self.state.level) {
            self.draft.close(start, MarkKind::Heading { level: level.min(6) });
        }
    }

    /// Writes the notes of the paragraph that has just ended.
    fn write_asides(&mut self) {
        for aside in std::mem::take(&mut self.asides) {
            self.draft.paragraph(&aside);
        }
    }

    fn line(&mut self) {
        self.flush();
        if self.state.dropped || self.state.aside || self.state.in_table {
            self.text(" ");
        } else {
            self.draft.end_line();
        }
    }

    fn end_cell(&mut self) {
        self.row.push(std::mem::take(&mut self.cell));
    }

    fn end_row(&mut self) {
        if !self.row.is_empty() {
            if !self.draft.in_table() {
                self.draft.begin_table();
            }
            let row = std::mem::take(&mut self.row);
            self.draft.row(&row);
        }
    }

    /// Ends a table, and writes what stood in it but in no cell.
    fn end_cell_text(&mut self) {
        if self.draft.in_table() {
            self.draft.end_table();
        }
        for cell in self.row.drain(..).chain([std::mem::take(&mut self.cell)]) {
            if !cell.trim().is_empty() {
                self.draft.paragraph(&cell);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::MarkKind;
    use crate::ingest::{ReadLimits, extract_here};

    fn read(rtf: &str) -> String {
        extract_here("a.rtf", rtf.as_bytes(), &ReadLimits { max_text_bytes: 10_000 }).unwrap().text
    }

    #[test]
    fn words_paragraphs_and_symbols_are_read() {
        let rtf = r"{\rtf1\ansi{\*\generator x;}{\info{\title T}{\author A}}{\pict 0102}Caf\'e9 \emdash  a\~b\par\b bold\b0 er\line next}";
        assert_eq!(read(rtf), "Café — a b\n\nbolder\nnext");
    }

    #[test]
    fn each_font_brings_its_code_page() {
        let rtf = r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fcharset0 A;}{\f1\fcharset128 B;}{\f2\fcharset204 C;}}{\f1 \'93\'fa\'96\'7b}{\f2 \'cf\'f0\'e8} \f0 \'fc}";
        assert_eq!(read(rtf), "日本При ü");
    }

    #[test]
    fn unicode_takes_the_place_of_its_stand_ins() {
        assert_eq!(read(r"{\rtf1\uc1 \u26085?\u26412\'3f \u-10179?\u-8704? {\uc2\u228xy}z}"), "日本 😀 äz");
    }

    #[test]
    fn what_stands_in_a_sentence_but_is_no_part_of_it_follows_the_paragraph() {
        let rtf = r"{\rtf1{\header\pard Acme Ltd\par}One{\super 1}{\footnote\pard see two} sentence{\*\annotation{\*\atndate 1}why?} here.\par Next}";
        assert_eq!(read(rtf), "One1 sentence here.\n\nAcme Ltd\n\nsee two\n\nwhy?\n\nNext");
        assert_eq!(
            read(r"{\rtf1 Fact{\super\chftn{\*\footnote\chftn\pard why so}} stands.\par}"),
            "Fact stands.\n\nwhy so"
        );
    }

    #[test]
    fn words_of_shapes_and_unicode_are_read_and_hidden_ones_are_not() {
        let rtf = r"{\rtf1 a {\shp{\*\shpinst{\sp{\sn fill}{\sv 7}}{\shptxt \pard box\par}}}{\upr{b?}{\*\ud{b\u228?}}}{\v secret}{\deleted gone}{\*\unknown x} c}";
        assert_eq!(read(rtf), "a box\n\nbä c");
    }

    #[test]
    fn headings_are_known_by_their_style_or_by_themselves() {
        let rtf = r"{\rtf1{\stylesheet{\s0 Normal;}{\s1\outlinelevel0 Chapter;}{\s2\sbasedon0\snext0 Heading 3;}{\*\cs3 Heading 1 Char;}}\pard\s1 One\par\pard text\par\pard\outlinelevel1 Two\par\pard\s2 Three\par}";
        let read = extract_here("", rtf.as_bytes(), &ReadLimits { max_text_bytes: 1000 }).unwrap();
        let marks: Vec<_> = read.marks.iter().map(|mark| (&read.text[mark.start..mark.end], &mark.kind)).collect();
        assert_eq!(
            marks,
            [
                ("One", &MarkKind::Heading { level: 1 }),
                ("Two", &MarkKind::Heading { level: 2 }),
                ("Three", &MarkKind::Heading { level: 3 })
            ]
        );
        assert_eq!(read.title, "One");
    }

    #[test]
    fn rows_become_a_table() {
        let rtf = r"{\rtf1 before\par\trowd\intbl Name\cell Price\cell\row\intbl Tea\cell 2\cell\row\pard after}";
        assert_eq!(read(rtf), "before\n\nName | Price\nTea | 2\n\nafter");
    }
}

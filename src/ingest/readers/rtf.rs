//! RTF: words in many code pages between control words (Microsoft, Rich Text Format Specification 1.9.1).

use std::collections::HashMap;

use encoding_rs::{Encoding, WINDOWS_1252};

use crate::ingest::draft::Draft;

/// Groups whose words are not the document's.
const DROPPED: [&str; 24] = [
    "fonttbl",
    "colortbl",
    "stylesheet",
    "listtable",
    "listoverridetable",
    "revtbl",
    "rsidtbl",
    "generator",
    "pict",
    "object",
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
];
/// Open groups, at most: deeper ones change nothing any more.
const MAX_DEPTH: usize = 1000;

/// Reads a document.
pub(super) fn read(bytes: &[u8], draft: &mut Draft) {
    let mut reader = Reader {
        rest: bytes,
        draft,
        state: State { encoding: WINDOWS_1252, skip: 1, ..State::default() },
        stack: Vec::new(),
        pending: Vec::new(),
        to_skip: 0,
        high: None,
        fonts: HashMap::new(),
        row: Vec::new(),
        cell: String::new(),
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
}

impl Default for State {
    fn default() -> Self {
        Self { encoding: WINDOWS_1252, dropped: false, fonts: false, title: false, font: 0, skip: 1, in_table: false }
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
        if let Some(state) = self.stack.pop() {
            if self.state.title && !state.title {
                let title = std::mem::take(&mut self.cell);
                self.draft.title(&title);
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
            b'*' => self.optional(),
            b'~' => self.text(" "),
            b'_' => self.text("-"),
            b'-' => {}
            b'\r' | b'\n' => self.paragraph(),
            byte => self.byte(*byte),
        }
    }

    /// `\*` begins a group that may be left out by who does not know it: nobody needs to.
    fn optional(&mut self) {
        self.flush();
        self.state.dropped = true;
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
            "info" => self.state.dropped = true,
            "par" | "sect" | "page" => self.paragraph(),
            "line" | "softline" => self.line(),
            "tab" => self.text(" "),
            "pard" => self.state.in_table = false,
            "intbl" => self.state.in_table = true,
            "cell" | "nestcell" => self.end_cell(),
            "row" | "nestrow" => self.end_row(),
            _ => match symbol(name) {
                Some(symbol) => self.text(symbol),
                None if DROPPED.contains(&name) => {
                    self.state.dropped = true;
                    self.state.fonts = name == "fonttbl";
                }
                None => {}
            },
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
        if self.state.dropped {
        } else if self.state.in_table || self.state.title {
            self.cell.push_str(text);
        } else {
            self.end_cell_text();
            self.draft.words(text);
        }
    }

    fn paragraph(&mut self) {
        self.flush();
        if self.state.dropped {
        } else if self.state.in_table {
            self.cell.push(' ');
        } else {
            self.end_cell_text();
            self.draft.end_block();
        }
    }

    fn line(&mut self) {
        self.flush();
        if self.state.in_table {
            self.cell.push(' ');
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

/// Characters that have a name.
fn symbol(name: &str) -> Option<&'static str> {
    Some(match name {
        "emdash" => "—",
        "endash" => "–",
        "lquote" => "‘",
        "rquote" => "’",
        "ldblquote" => "“",
        "rdblquote" => "”",
        "bullet" => "•",
        "emspace" | "enspace" | "qmspace" => " ",
        _ => return None,
    })
}

/// The encoding of a Windows code page.
fn code_page(number: i32) -> &'static Encoding {
    let label = match number {
        932 => "shift_jis",
        936 => "gbk",
        949 => "euc-kr",
        950 => "big5",
        10000 => "macintosh",
        65001 => "utf-8",
        number => return Encoding::for_label(format!("windows-{number}").as_bytes()).unwrap_or(WINDOWS_1252),
    };
    Encoding::for_label(label.as_bytes()).unwrap_or(WINDOWS_1252)
}

/// The encoding that a font's character set means; none for symbols and for the document's own.
fn charset(number: i32) -> Option<&'static Encoding> {
    let page = match number {
        0 => 1252,
        77 => 10000,
        128 => 932,
        129 => 949,
        134 => 936,
        136 => 950,
        161 => 1253,
        162 => 1254,
        163 => 1258,
        177 => 1255,
        178 => 1256,
        186 => 1257,
        204 => 1251,
        222 => 874,
        238 => 1250,
        _ => return None,
    };
    Some(code_page(page))
}

#[cfg(test)]
mod tests {
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
    fn rows_become_a_table() {
        let rtf = r"{\rtf1 before\par\trowd\intbl Name\cell Price\cell\row\intbl Tea\cell 2\cell\row\pard after}";
        assert_eq!(read(rtf), "before\n\nName | Price\nTea | 2\n\nafter");
    }
}

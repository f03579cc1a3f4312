//! Which format some bytes are: by content, and by name only where content cannot tell.

mod mail;

pub(super) use self::mail::mail;

/// Formats that are no text to decode as a whole: told by their first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Pdf,
    /// A message, whose parts have encodings of their own.
    Mail,
    /// Messages one after another, as mail programs keep them.
    Mailbox,
    /// A ZIP archive, and all that live in one: DOCX, PPTX, XLSX, ODT, ODS, ODP, EPUB.
    Zip,
    Rtf,
    /// Microsoft's compound file: old Office formats, and new ones behind a password.
    Compound,
    /// Known and without text we could read; says what it is.
    Foreign(&'static str),
}

/// Formats that are text once decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Textual {
    Plain,
    Markdown,
    Html,
    Xml,
    /// An OpenDocument file that is one piece of XML.
    FlatOpenDocument,
    Json,
    JsonLines,
    /// Rows of cells parted by this character.
    Table(char),
    Code,
}

impl Textual {
    /// The format's short name.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Plain => "text",
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Xml => "xml",
            Self::FlatOpenDocument => "odf",
            Self::Json => "json",
            Self::JsonLines => "jsonl",
            Self::Table(_) => "csv",
            Self::Code => "code",
        }
    }
}

/// First bytes of formats that hold no text we read, with the words a person knows them by.
const FOREIGN: [(&[u8], &str); 24] = [
    (b"\x89PNG", "A PNG image"),
    (b"\xff\xd8\xff", "A JPEG image"),
    (b"GIF8", "A GIF image"),
    (b"BM", "A bitmap image"),
    (b"II*\0", "A TIFF image"),
    (b"MM\0*", "A TIFF image"),
    (b"RIFF", "An image, sound or film file"),
    (b"OggS", "A sound file"),
    (b"ID3", "A sound file"),
    (b"fLaC", "A sound file"),
    (b"\x1a\x45\xdf\xa3", "A film file"),
    (b"\x1f\x8b", "A gzip archive"),
    (b"BZh", "A bzip2 archive"),
    (b"\xfd7zXZ\0", "An xz archive"),
    (b"\x28\xb5\x2f\xfd", "A zstd archive"),
    (b"7z\xbc\xaf\x27\x1c", "A 7-Zip archive"),
    (b"Rar!", "A RAR archive"),
    (b"\x7fELF", "A program"),
    (b"MZ", "A program"),
    (b"\xca\xfe\xba\xbe", "A program"),
    (b"\0asm", "A program"),
    (b"SQLite format 3\0", "A database"),
    (b"%!PS", "A PostScript file"),
    (b"wOF", "A font"),
];

/// How far into a file its first bytes may stand: PDF readers allow as much, and mail gateways make use of it.
const PDF_HEADER_WITHIN: usize = 1024;
/// Text looked at, characters.
const HEAD_CHARS: usize = 4096;
/// Lines looked at.
const HEAD_LINES: usize = 40;

/// The binary format of `bytes`, if it is one; `name` is the file's name.
pub(super) fn binary(name: &str, bytes: &[u8]) -> Option<Binary> {
    let head = &bytes[..bytes.len().min(PDF_HEADER_WITHIN)];
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Some(Binary::Zip);
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    if text.starts_with(b"{\\rtf") {
        return Some(Binary::Rtf);
    }
    if head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Some(Binary::Compound);
    }
    if text.starts_with(b"%PDF-") || has(head, b"%PDF-") && has(bytes, b" obj") || ends_as_pdf(bytes) {
        return Some(Binary::Pdf);
    }
    // Two letters are a word as well as a magic number: only bytes that no text has decide.
    let texty = !head.iter().any(|byte| matches!(byte, 0..=8 | 14..=26 | 28..=31));
    let known = |(magic, _): &&(&[u8], &str)| head.starts_with(magic) && !(texty && magic.is_ascii());
    if let Some((_, what)) = FOREIGN.iter().find(known) {
        return Some(Binary::Foreign(what));
    }
    mail(name, bytes)
}

/// Whether it is a PDF whose beginning is lost: its objects would be read as words.
fn ends_as_pdf(bytes: &[u8]) -> bool {
    let tail = &bytes[bytes.len().saturating_sub(PDF_HEADER_WITHIN)..];
    has(tail, b"startxref") && has(tail, b"%%EOF") && has(bytes, b"endobj")
}

fn has(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// The encoding that HTML or XML declares of itself, read from the ASCII of its beginning.
pub(super) fn declared_encoding(bytes: &[u8]) -> Option<String> {
    let head: String =
        bytes[..bytes.len().min(HEAD_CHARS)].iter().map(|byte| char::from(byte.to_ascii_lowercase())).collect();
    if !head.trim_start_matches(|c: char| c.is_whitespace() || !c.is_ascii()).starts_with('<') {
        return None;
    }
    let (_, after) = head.split_once("charset=").or_else(|| head.split_once("encoding="))?;
    let label = after.trim_start_matches(['"', '\'', ' ']);
    let end = label.find(|c: char| !(c.is_ascii_alphanumeric() || "-_:.".contains(c))).unwrap_or(label.len());
    (end > 0).then(|| label[..end].to_owned())
}

/// The format of decoded text; `name` is the file's name.
pub(super) fn textual(name: &str, text: &str) -> Textual {
    let head = head(text);
    let extension = extension(name);
    by_markup(&head, &extension)
        .or_else(|| by_structure(text, &head, &extension))
        .or_else(|| by_extension(&extension))
        .or_else(|| looks_tabular(&head).map(Textual::Table))
        .unwrap_or_else(|| if looks_markdown(&head) { Textual::Markdown } else { Textual::Plain })
}

fn head(text: &str) -> String {
    text.trim_start().chars().take(HEAD_CHARS).collect()
}

fn extension(name: &str) -> String {
    name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

/// HTML and XML, by their first tag.
fn by_markup(head: &str, extension: &str) -> Option<Textual> {
    let mut lower = head.to_ascii_lowercase();
    while lower.starts_with("<!--") {
        lower = lower.split_once("-->")?.1.trim_start().to_owned();
    }
    let whole_page = ["<!doctype html", "<html", "<head", "<body"].iter().any(|start| lower.starts_with(start));
    if whole_page || lower.starts_with("<?xml") && lower.contains("<html") {
        return Some(Textual::Html);
    }
    if lower.starts_with("<?xml") && lower.contains("<office:document") {
        return Some(Textual::FlatOpenDocument);
    }
    if lower.starts_with("<?xml") || lower.starts_with("<!doctype") {
        return Some(Textual::Xml);
    }
    if !lower.starts_with('<') || matches!(extension, "md" | "markdown" | "mdx") {
        return None;
    }
    let page_parts = ["<p", "<div", "<table", "<h1", "<h2", "<ul", "<a ", "<br", "<span", "<script", "<section"];
    match extension {
        "html" | "htm" | "xhtml" => Some(Textual::Html),
        "xml" | "svg" | "rss" | "atom" | "xsd" | "xsl" | "xslt" | "wsdl" | "kml" | "gpx" => Some(Textual::Xml),
        _ if page_parts.iter().any(|part| lower.starts_with(part)) => Some(Textual::Html),
        _ => None,
    }
}

/// JSON, which a parser proves.
fn by_structure(text: &str, head: &str, extension: &str) -> Option<Textual> {
    if !head.starts_with(['{', '[']) {
        return None;
    }
    if is_json(text) {
        return Some(Textual::Json);
    }
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(HEAD_LINES).collect();
    let records = lines.iter().filter(|line| is_json(line)).count();
    // By their name, records with a broken one among them are records still.
    let enough = if matches!(extension, "jsonl" | "ndjson") { lines.len().div_ceil(2) } else { lines.len() };
    (records >= enough && records > 0).then_some(Textual::JsonLines)
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn by_extension(extension: &str) -> Option<Textual> {
    const CODE: &[&str] = &[
        "rs",
        "py",
        "pyi",
        "js",
        "mjs",
        "cjs",
        "jsx",
        "ts",
        "tsx",
        "java",
        "kt",
        "kts",
        "scala",
        "go",
        "c",
        "h",
        "cc",
        "cpp",
        "cxx",
        "hh",
        "hpp",
        "cs",
        "fs",
        "vb",
        "swift",
        "m",
        "mm",
        "rb",
        "php",
        "pl",
        "pm",
        "lua",
        "r",
        "jl",
        "dart",
        "ex",
        "exs",
        "erl",
        "hrl",
        "hs",
        "ml",
        "mli",
        "clj",
        "cljs",
        "lisp",
        "el",
        "scm",
        "sh",
        "bash",
        "zsh",
        "fish",
        "ps1",
        "bat",
        "cmd",
        "sql",
        "css",
        "scss",
        "less",
        "sass",
        "vue",
        "svelte",
        "proto",
        "graphql",
        "tf",
        "zig",
        "nim",
        "asm",
        "s",
        "f90",
        "pas",
        "groovy",
        "gradle",
        "cmake",
        "mk",
        "make",
        "dockerfile",
        "yaml",
        "yml",
        "toml",
        "ini",
        "cfg",
        "conf",
        "properties",
        "env",
        "diff",
        "patch",
        "tex",
        "bib",
    ];
    match extension {
        "md" | "markdown" | "mdx" => Some(Textual::Markdown),
        "csv" => Some(Textual::Table(',')),
        "tsv" | "tab" => Some(Textual::Table('\t')),
        "txt" | "text" | "log" => Some(Textual::Plain),
        _ if CODE.contains(&extension) => Some(Textual::Code),
        _ => None,
    }
}

/// The delimiter, if all first lines have as many of it, and enough that chance does not make it so.
fn looks_tabular(head: &str) -> Option<char> {
    let mut lines: Vec<&str> = head.lines().take(HEAD_LINES).collect();
    if lines.len() > 2 {
        // The last may be cut short.
        lines.pop();
    }
    let lines: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    let count = |line: &str, delimiter| line.matches(delimiter).count();
    let steady = |delimiter: &char| {
        let first = count(lines.first()?, *delimiter);
        (first >= 2 && lines.len() >= 3 && lines.iter().all(|line| count(line, *delimiter) == first))
            .then_some(*delimiter)
    };
    ['\t', ';', ',', '|'].iter().find_map(steady)
}

/// Whether two different signs of Markdown stand at line starts.
fn looks_markdown(head: &str) -> bool {
    let any = |sign: &dyn Fn(&str) -> bool| head.lines().any(sign);
    let heading = any(&|line| line.starts_with('#') && line.trim_start_matches('#').starts_with(' '));
    let fence = any(&|line| line.starts_with("```"));
    let table = any(&|line| line.starts_with('|') && line.contains("---"));
    let link = head.contains("](http") || head.contains("](/") || head.contains("](#");
    let emphasis = head.matches("**").count() >= 2;
    let list = any(&|line| line.starts_with("- ") || line.starts_with("* "));
    let signs = [heading, fence, table, link, emphasis, list].into_iter().filter(|sign| *sign).count();
    signs >= 2 && (heading || fence || table || link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides_over_the_name() {
        assert_eq!(textual("page.txt", "<!DOCTYPE html><p>x"), Textual::Html);
        assert_eq!(textual("a.md", "<!-- c --><html>"), Textual::Html);
        assert_eq!(textual("x.txt", "<?xml version='1.0'?><a/>"), Textual::Xml);
        assert_eq!(textual("x.html", r#"{"a": 1}"#), Textual::Json);
        assert_eq!(textual("x", "{\"a\": 1}\n{\"a\": 2}\n"), Textual::JsonLines);
        assert_eq!(textual("x.jsonl", "{\"a\": 1}\n{\"a\": oops\n{\"a\": 2}\n"), Textual::JsonLines);
        assert_eq!(binary("", b"%PDF-1.7"), Some(Binary::Pdf));
        assert_eq!(binary("", b" \r\n{\\rtf1 x}"), Some(Binary::Rtf));
    }

    #[test]
    fn a_text_that_speaks_of_pdf_is_none() {
        assert_eq!(binary("", b"A file begins with %PDF-1.7, says the norm."), None);
        assert_eq!(binary("", b"%PF1.7\n1 0 obj\nendobj\nstartxref\n9\n%%EOF"), Some(Binary::Pdf));
        assert_eq!(binary("", b"HTTP/1.1 200 OK\r\n\r\n%PDF-1.7\n1 0 obj"), Some(Binary::Pdf));
    }

    #[test]
    fn the_name_decides_where_content_cannot() {
        let text = "# Heading\nwords";
        assert_eq!(textual("a.md", text), Textual::Markdown);
        assert_eq!(textual("a.py", text), Textual::Code);
        assert_eq!(textual("a.txt", text), Textual::Plain);
        assert_eq!(textual("a", text), Textual::Plain);
        assert_eq!(textual("readme.md", "<p align=\"center\">logo</p>\n\n# Name"), Textual::Markdown);
    }

    #[test]
    fn tables_and_markdown_are_known_without_a_name() {
        assert_eq!(textual("", "a;b;c\n1;2;3\n4;5;6\n7;8;9\n"), Textual::Table(';'));
        assert_eq!(textual("", "# Title\n\n- one\n- two\n"), Textual::Markdown);
        assert_eq!(textual("", "Dear Sir, well, yes.\nI came, saw, won.\n"), Textual::Plain);
    }

    #[test]
    fn a_word_is_not_taken_for_a_magic_number() {
        assert_eq!(binary("", b"BMW builds cars"), None);
        assert_eq!(binary("", b"BM\x36\x00\x0c\x00"), Some(Binary::Foreign("A bitmap image")));
    }

    #[test]
    fn a_declared_encoding_is_found_in_html_and_xml_alone() {
        assert_eq!(declared_encoding(b"<meta charset='Shift_JIS'>").as_deref(), Some("shift_jis"));
        assert_eq!(
            declared_encoding(b"<?xml version=\"1.0\" encoding=\"ISO-8859-2\"?>").as_deref(),
            Some("iso-8859-2")
        );
        assert_eq!(declared_encoding(b"write charset=utf-7 into it"), None);
    }
}

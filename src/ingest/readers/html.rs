//! HTML to words, headings, lists, tables and code.
//!
//! Reads the stream of tags and builds no tree: linear in time, and no depth of nesting costs anything.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};

use crate::domain::MarkKind;
use crate::ingest::draft::Draft;
use crate::ingest::readers::grid::Grids;
use crate::ingest::readers::tags;

/// Elements that are dropped with all they hold.
const DROPPED: [&str; 14] = [
    "script", "style", "template", "svg", "iframe", "object", "canvas", "audio", "video", "select", "datalist",
    "noscript", "nav", "noframes",
];
/// Of these, the ones that never hold what a reader of the page reads.
const NEVER_TEXT: [&str; 3] = ["script", "style", "svg"];

/// Reads a page; one that has nothing outside navigation and fallbacks is read with them.
pub(super) fn read(html: &str, draft: &mut Draft) {
    let before = draft.len();
    let html = tags::cut(html);
    run(&html, draft, &DROPPED);
    if draft.since(before).trim().is_empty() {
        run(&html, draft, &NEVER_TEXT);
    }
}

fn run(html: &str, draft: &mut Draft, dropped: &'static [&'static str]) {
    let tokenizer = Tokenizer::new(Sink(RefCell::new(Page::new(html, draft, dropped))), TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    // The sink never asks to pause, so one feed reads it all.
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.borrow_mut().finish();
}

struct Sink<'a>(RefCell<Page<'a>>);

impl TokenSink for Sink<'_> {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut page = self.0.borrow_mut();
        match token {
            Token::CharacterTokens(words) => page.words(&words),
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => return page.start(&tag),
            Token::TagToken(tag) => page.end(&tag.name),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

/// How an element changes the flow of words around it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Block,
    Line,
    Space,
    Inline,
}

fn flow(name: &str) -> Flow {
    match name {
        "address" | "article" | "aside" | "blockquote" | "body" | "center" | "details" | "dialog" | "dir" | "div"
        | "dl" | "fieldset" | "figcaption" | "figure" | "footer" | "form" | "header" | "hgroup" | "hr" | "html"
        | "main" | "menu" | "p" | "section" | "search" | "summary" | "caption" => Flow::Block,
        "dt" | "dd" | "legend" | "optgroup" => Flow::Line,
        "button" | "input" | "img" | "label" | "option" => Flow::Space,
        _ => Flow::Inline,
    }
}

/// A page while its tags go by.
struct Page<'a> {
    draft: &'a mut Draft,
    dropped: &'static [&'static str],
    /// Whether `<x/>` closes itself, as it does in XML only.
    xhtml: bool,
    /// The dropped element we are in, and how many of its name are open.
    skipping: Option<(String, usize)>,
    title: Option<String>,
    heading: Option<(usize, u8)>,
    /// Where the outermost open `<pre>` starts, and how many are open.
    pre: Option<(usize, usize)>,
    /// The open lists, the innermost last: the next number of a numbered one.
    lists: Vec<Option<u32>>,
    /// A list marker that waits for the item's first word.
    bullet: Option<String>,
    grids: Grids,
}

impl<'a> Page<'a> {
    fn new(html: &str, draft: &'a mut Draft, dropped: &'static [&'static str]) -> Self {
        draft.end_block();
        Self {
            draft,
            dropped,
            xhtml: html.trim_start().starts_with("<?xml"),
            skipping: None,
            title: None,
            heading: None,
            pre: None,
            lists: Vec::new(),
            bullet: None,
            grids: Grids::default(),
        }
    }

    fn words(&mut self, words: &str) {
        if self.skipping.is_some() {
        } else if let Some(title) = &mut self.title {
            title.push_str(words);
        } else if self.grids.in_cell() {
            self.grids.words(words, self.draft);
        } else if let Some((start, _)) = self.pre {
            // The line break right after `<pre>` is not part of it.
            let first = self.draft.len() <= start;
            self.draft.preformatted(if first { words.strip_prefix('\n').unwrap_or(words) } else { words });
        } else {
            if !words.trim().is_empty() {
                self.write_bullet();
            }
            self.draft.words(words);
        }
    }

    fn write_bullet(&mut self) {
        if let Some(bullet) = self.bullet.take() {
            self.draft.preformatted(&"  ".repeat(self.lists.len().saturating_sub(1).min(8)));
            self.draft.words(&bullet);
        }
    }

    fn start(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let name: &str = &tag.name;
        let closed = tag.self_closing && (self.xhtml || self.skipping.is_some());
        if let Some((skipped, depth)) = &mut self.skipping {
            *depth += usize::from(skipped == name && !closed);
        } else if self.dropped.contains(&name) {
            self.skipping = (!closed).then(|| (name.to_owned(), 1));
        } else if name == "title" {
            self.title = (!closed).then(String::new);
        } else {
            self.open(name, tag);
        }
        match name {
            _ if closed => TokenSinkResult::Continue,
            "script" => TokenSinkResult::RawData(RawKind::ScriptData),
            "style" | "xmp" | "iframe" | "noembed" | "noframes" => TokenSinkResult::RawData(RawKind::Rawtext),
            "title" | "textarea" if self.skipping.is_none() => TokenSinkResult::RawData(RawKind::Rcdata),
            _ => TokenSinkResult::Continue,
        }
    }

    fn open(&mut self, name: &str, tag: &Tag) {
        match name {
            "table" => self.grids.start_table(self.draft),
            "tr" => self.grids.start_row(self.draft),
            "td" | "th" => self.grids.start_cell(self.draft),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.open_heading(name.as_bytes()[1] - b'0'),
            "pre" | "listing" | "xmp" | "plaintext" => self.open_pre(),
            "ul" | "ol" => self.open_list((name == "ol").then(|| list_start(tag))),
            "li" => self.open_item(),
            "br" => self.break_line(),
            _ => self.flow(flow(name)),
        }
    }

    fn end(&mut self, name: &str) {
        if let Some((skipped, depth)) = &mut self.skipping {
            *depth -= usize::from(skipped == name);
            if *depth == 0 {
                self.skipping = None;
            }
            return;
        }
        match name {
            "title" => self.close_title(),
            "table" => self.grids.end_table(self.draft),
            "td" | "th" => self.grids.end_cell(self.draft),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.close_heading(),
            "pre" | "listing" | "xmp" | "plaintext" => self.close_pre(),
            "ul" | "ol" => self.close_list(),
            "li" => self.flow(Flow::Line),
            _ => self.flow(flow(name)),
        }
    }

    fn flow(&mut self, flow: Flow) {
        match flow {
            Flow::Inline => {}
            _ if self.grids.in_cell() => self.grids.words(" ", self.draft),
            Flow::Block => self.draft.end_block(),
            Flow::Line => self.draft.end_line(),
            Flow::Space => self.draft.words(" "),
        }
    }

    fn break_line(&mut self) {
        if self.pre.is_some() {
            self.draft.preformatted("\n");
        } else if self.grids.in_cell() {
            self.grids.words(" ", self.draft);
        } else {
            self.draft.break_line();
        }
    }

    fn close_title(&mut self) {
        if let Some(title) = self.title.take() {
            self.draft.title(&title);
        }
    }

    fn open_heading(&mut self, level: u8) {
        self.close_heading();
        self.grids.spill(self.draft);
        self.draft.end_block();
        self.heading = Some((self.draft.open(), level));
    }

    fn close_heading(&mut self) {
        if let Some((start, level)) = self.heading.take() {
            self.draft.close(start, MarkKind::Heading { level });
            self.draft.end_block();
        }
    }

    fn open_pre(&mut self) {
        if let Some((_, depth)) = &mut self.pre {
            *depth += 1;
            return;
        }
        self.grids.spill(self.draft);
        self.draft.end_block();
        self.pre = Some((self.draft.open(), 1));
    }

    fn close_pre(&mut self) {
        if let Some((start, depth)) = self.pre.take() {
            if depth > 1 {
                self.pre = Some((start, depth - 1));
            } else {
                self.draft.close(start, MarkKind::Code);
                self.draft.end_block();
            }
        }
    }

    fn open_list(&mut self, counter: Option<u32>) {
        self.end_list_line();
        self.lists.push(counter);
    }

    fn close_list(&mut self) {
        self.lists.pop();
        self.end_list_line();
        self.bullet = None;
    }

    /// A list inside a list goes on from line to line, the outermost stands apart.
    fn end_list_line(&mut self) {
        self.flow(if self.lists.is_empty() { Flow::Block } else { Flow::Line });
    }

    fn open_item(&mut self) {
        self.flow(Flow::Line);
        self.bullet = Some(match self.lists.last_mut() {
            Some(Some(number)) => {
                let bullet = format!("{number}. ");
                *number = number.saturating_add(1);
                bullet
            }
            _ => "- ".to_owned(),
        });
    }

    /// Closes what the page left open.
    fn finish(&mut self) {
        self.close_heading();
        if let Some((start, _)) = self.pre.take() {
            self.draft.close(start, MarkKind::Code);
        }
        while !self.grids.is_empty() {
            self.grids.end_table(self.draft);
        }
        self.draft.end_block();
    }
}

/// The number an `<ol start>` begins with.
fn list_start(tag: &Tag) -> u32 {
    let start = tag.attrs.iter().find(|attribute| &*attribute.name.local == "start");
    start.and_then(|attribute| attribute.value.trim().parse().ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use crate::domain::{Extracted, MarkKind};
    use crate::ingest::{ReadLimits, extract_here};

    fn read(html: &str) -> Extracted {
        let html = format!("<html>{html}");
        extract_here("a.html", html.as_bytes(), &ReadLimits { max_text_bytes: 1 << 20 }).unwrap()
    }

    #[test]
    fn what_a_reader_does_not_see_is_dropped() {
        let page = read(
            "<head><title>A &amp; B</title><style>p{}</style></head><script>if (a<b) x('</p>')</script>\
             <nav><ul><li>Home</nav><p>Text<!-- c --> here<template>no</template><svg><title>i</title></svg>",
        );
        assert_eq!((page.title.as_str(), page.text.trim_end()), ("A & B", "Text here"));
    }

    #[test]
    fn a_page_of_nothing_but_navigation_is_read_all_the_same() {
        assert_eq!(read("<nav><a>Home</a> <a>Prices</a>").text, "Home Prices");
    }

    #[test]
    fn words_are_not_torn_by_inline_tags_nor_joined_across_blocks() {
        let text = read("<p>un<b>believ</b>able, <i>really</i></p><div>a</div><div>b<br>c<br><br>d</div>").text;
        assert_eq!(text, "unbelievable, really\n\na\n\nb\nc\n\nd");
    }

    #[test]
    fn headings_lists_and_code_keep_their_shape() {
        let page = read(
            "<h1>One <i>two</i></h1><ul><li><p>a</p><ol start=3><li>x<li>y</ol><li>b</ul><pre>\n  f(x)\n  g</pre>z",
        );
        assert_eq!(page.text, "One two\n\n- a\n\n  3. x\n  4. y\n- b\n\n  f(x)\n  g\n\nz");
        let kinds: Vec<_> = page.marks.iter().map(|mark| (&page.text[mark.start..mark.end], &mark.kind)).collect();
        assert_eq!(kinds[0], ("One two", &MarkKind::Heading { level: 1 }));
        assert_eq!(kinds[1], ("  f(x)\n  g", &MarkKind::Code));
        assert_eq!(page.title, "One two");
    }

    #[test]
    fn a_table_becomes_rows_under_its_header() {
        let page = read(
            "<table><caption>Prices</caption><tr><th>Name<th>Price<tr><td>Tea &amp; <b>milk</b><td>2<tr><td><ul><li>a<li>b</ul><td>3</table>",
        );
        assert_eq!(page.text, "Prices\n\nName | Price\nTea & milk | 2\na b | 3");
        assert_eq!(page.marks[0].kind, MarkKind::Table { header_end: "Prices\n\nName | Price".len() });
    }

    #[test]
    fn a_table_that_lays_out_a_page_is_read_as_a_page() {
        let text =
            read("<table><tr><td>Menu<td><h2>News</h2><p>First.</p><table><tr><td>a<td>b</table>Last.<td>Foot</table>")
                .text;
        assert_eq!(text, "Menu\n\nNews\n\nFirst.\n\na | b\n\nLast.\n\nFoot");
    }

    #[test]
    fn the_encoding_a_page_declares_is_used() {
        let (bytes, _, _) = encoding_rs::WINDOWS_1251.encode("<html><meta charset=windows-1251><p>Привет");
        let page = extract_here("", &bytes, &ReadLimits { max_text_bytes: 100 }).unwrap();
        assert_eq!(page.text, "Привет");
    }

    #[test]
    fn no_depth_of_nesting_costs_more_than_its_length() {
        let html = format!("{}deep{}", "<div><table><tr><td><ul><li>".repeat(50_000), "</li></ul>".repeat(50_000));
        assert_eq!(read(&html).text.trim_start_matches(['-', ' ']), "deep");
    }

    #[test]
    fn xhtml_closes_its_empty_elements() {
        let xhtml = "<?xml version='1.0'?><html><head><title/><script src='x'/></head><body>here</body></html>";
        let page = extract_here("", xhtml.as_bytes(), &ReadLimits { max_text_bytes: 100 }).unwrap();
        assert_eq!((page.kind.as_str(), page.text.as_str()), ("html", "here"));
    }
}

//! Markdown: the text stays as it is, so that ranges point into what its author wrote; marks tell its structure.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::domain::MarkKind;
use crate::ingest::draft::Draft;

/// Data URIs at least so long are pictures, not text.
const PICTURE_BYTES: usize = 200;

pub(super) fn read(text: &str, draft: &mut Draft) {
    let text = without_pictures(text);
    let base = draft.verbatim(&text);
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS;
    let mut marker = Marker { base, draft, heading: None, table: None };
    for (event, range) in Parser::new_ext(&text, options).into_offset_iter() {
        marker.event(&text, &event, range);
    }
}

struct Marker<'a> {
    /// Where the text begins in the draft.
    base: usize,
    draft: &'a mut Draft,
    /// The words of the open heading, as far as they are known.
    heading: Option<Range<usize>>,
    /// The open table, and where its header row ends.
    table: Option<(Range<usize>, usize)>,
}

impl Marker<'_> {
    fn event(&mut self, text: &str, event: &Event, range: Range<usize>) {
        if let Some(words) = &mut self.heading
            && !matches!(event, Event::End(TagEnd::Heading(_)))
        {
            *words = words.start.min(range.start)..words.end.max(range.end);
        }
        match event {
            Event::Start(Tag::MetadataBlock(_)) => {
                if let Some(title) = front_matter_title(&text[range]) {
                    self.draft.title(title);
                }
            }
            Event::Start(Tag::Heading { .. }) => self.heading = Some(range.end..range.start),
            Event::End(TagEnd::Heading(level)) => {
                if let Some(words) = self.heading.take().filter(|words| words.start < words.end) {
                    self.mark(&words, MarkKind::Heading { level: *level as u8 });
                }
            }
            Event::Start(Tag::CodeBlock(_)) => self.mark(&trimmed(text, range), MarkKind::Code),
            Event::Start(Tag::Table(_)) => self.table = Some((trimmed(text, range.clone()), range.end)),
            // The line of dashes belongs to the header, so the header ends where the first row begins.
            Event::Start(Tag::TableRow) => {
                if let Some((_, header_end)) = &mut self.table {
                    *header_end = (*header_end).min(range.start);
                }
            }
            Event::End(TagEnd::Table) => {
                if let Some((table, header_end)) = self.table.take() {
                    let header_end = table.start + text[table.start..header_end.min(table.end)].trim_end().len();
                    self.mark(&table, MarkKind::Table { header_end: self.base + header_end });
                }
            }
            _ => {}
        }
    }

    fn mark(&mut self, range: &Range<usize>, kind: MarkKind) {
        self.draft.mark(self.base + range.start, self.base + range.end, kind);
    }
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    range.start..range.start + text[range].trim_end().len()
}

/// The value of `title:` (YAML) or `title =` (TOML).
fn front_matter_title(block: &str) -> Option<&str> {
    block.lines().find_map(|line| {
        let value = line.strip_prefix("title")?.trim_start().strip_prefix([':', '='])?;
        Some(value.trim().trim_matches(['"', '\'']))
    })
}

/// The text with the payload of embedded pictures left out.
fn without_pictures(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(";base64,") {
        let (before, payload) = rest.split_at(at + ";base64,".len());
        kept.push_str(before);
        let symbol = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_' | '%');
        let end = payload.find(|c| !symbol(c)).unwrap_or(payload.len());
        kept.push_str(if end < PICTURE_BYTES { &payload[..end] } else { "…" });
        rest = &payload[end..];
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use crate::domain::{Extracted, MarkKind};
    use crate::ingest::{ReadLimits, extract_here};

    fn read(text: &str) -> Extracted {
        extract_here("a.md", text.as_bytes(), &ReadLimits { max_text_bytes: 1 << 20 }).unwrap()
    }

    fn marked(text: &str) -> Vec<(String, MarkKind)> {
        let extracted = read(text);
        assert_eq!(extracted.text, text);
        extracted.marks.into_iter().map(|mark| (text[mark.start..mark.end].to_owned(), mark.kind)).collect()
    }

    #[test]
    fn headings_are_marked_by_their_words_alone() {
        let marks = marked("# One *two* #\n\ntext\n\nThree `four`\n---\n\n## \n\n```\n# no heading\n```\n");
        assert_eq!(marks[0], ("One *two*".into(), MarkKind::Heading { level: 1 }));
        assert_eq!(marks[1], ("Three `four`".into(), MarkKind::Heading { level: 2 }));
        assert_eq!(marks[2], ("```\n# no heading\n```".into(), MarkKind::Code));
        assert_eq!(marks.len(), 3);
    }

    #[test]
    fn a_table_knows_its_header_with_the_line_of_dashes() {
        let text = "ä\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nafter";
        let [(table, MarkKind::Table { header_end })] = &marked(text)[..] else { panic!("one table") };
        assert_eq!(table, "| a | b |\n|---|---|\n| 1 | 2 |");
        assert!(text[..*header_end].ends_with("|---|---|"));
    }

    #[test]
    fn the_title_comes_from_front_matter_then_from_the_first_heading() {
        assert_eq!(read("---\ntitle: \"A guide\"\n---\n# Other\n").title, "A guide");
        assert_eq!(read("+++\ntitle = 'T'\n+++\n# Other\n").title, "T");
        assert_eq!(read("text\n\n# First\n\n# Second\n").title, "First");
    }

    #[test]
    fn embedded_pictures_are_left_out() {
        let text = format!("![a](data:image/png;base64,{}) end", "A".repeat(5000));
        assert_eq!(read(&text).text, "![a](data:image/png;base64,…) end");
    }
}

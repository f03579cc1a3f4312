//! Laws of the splitter, and the shapes it must keep.

use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

use super::*;
use crate::domain::{Mark, MarkKind};
use crate::ingest::{ReadLimits, extract_here};

/// A stand-in for a tokenizer: a token for each four characters of a word.
fn count(text: &str) -> usize {
    text.split_word_bounds().filter(|word| !word.trim().is_empty()).map(|word| word.chars().count().div_ceil(4)).sum()
}

fn settings(max_tokens: usize, overlap_tokens: usize) -> ChunkingSettings {
    ChunkingSettings { max_tokens, overlap_tokens }
}

fn markdown(text: &str) -> Extracted {
    extract_here("a.md", text.as_bytes(), &ReadLimits { max_text_bytes: 64 << 20 }).unwrap()
}

fn plain(text: &str) -> Extracted {
    Extracted { kind: "text".into(), title: String::new(), text: text.into(), marks: vec![], warnings: vec![] }
}

fn texts(extracted: &Extracted, settings: &ChunkingSettings) -> Vec<String> {
    split(extracted, settings, &count).into_iter().map(|chunk| chunk.text).collect()
}

/// What must hold of any text.
fn assert_laws(extracted: &Extracted, settings: &ChunkingSettings) {
    let chunks = split(extracted, settings, &count);
    let mut covered = 0;
    for (number, chunk) in chunks.iter().enumerate() {
        assert_eq!(chunk.ordinal as usize, number);
        assert_eq!(extracted.text.get(chunk.start..chunk.end), Some(chunk.text.as_str()));
        assert!(count(&chunk.embedding_text(&extracted.title)) <= settings.max_tokens, "{chunk:?}");
        assert!(chunk.passage_start <= chunk.start && chunk.end <= chunk.passage_end);
        assert!(extracted.text.get(chunk.passage_start..chunk.passage_end).is_some());
        let between = extracted.text.get(covered..chunk.start).unwrap_or_default();
        assert!(between.trim().is_empty(), "lost {between:?}");
        assert!(number == 0 || chunks[number - 1].start < chunk.start && covered < chunk.end, "out of order");
        covered = chunk.end;
    }
    assert!(extracted.text[covered..].trim().is_empty());
}

fn any_text() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        8 => "[a-z]{1,9}",
        3 => Just(" ".to_owned()),
        2 => "[.!?:] ",
        1 => "\\PC{1,4}",
        1 => Just("猫は寝る。".to_owned()),
        2 => Just("\n".to_owned()),
        1 => Just("\n\n".to_owned()),
        1 => Just("\n## Heading\n".to_owned()),
        1 => Just("\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n".to_owned()),
        1 => Just("\n```\ncode {\n  x\n\n}\n```\n".to_owned()),
        1 => Just("\n- item ".to_owned()),
        1 => "x{60,200}",
    ];
    proptest::collection::vec(pieces, 1..200).prop_map(|pieces| format!("a{}", pieces.concat()))
}

/// Marks as a confused or hostile reader might set them, on character boundaries.
fn any_marks(text: &str, places: &[(usize, usize, u8)]) -> Vec<Mark> {
    let mut marks: Vec<Mark> = places
        .iter()
        .map(|(start, length, kind)| {
            let start = text.floor_char_boundary(start % (text.len() + 1));
            let end = text.floor_char_boundary((start + length).min(text.len()));
            let kind = match kind % 7 {
                0 => MarkKind::Heading { level: kind % 6 + 1 },
                1 => MarkKind::Page { number: 1 },
                2 => MarkKind::Slide { number: 2 },
                3 => MarkKind::Sheet { name: "Sheet".into() },
                4 => MarkKind::Table { header_end: text.floor_char_boundary(usize::midpoint(start, end)) },
                5 => MarkKind::Code,
                _ => MarkKind::Part { name: "part.txt".into() },
            };
            Mark { start, end, kind }
        })
        .collect();
    marks.sort_by_key(|mark| (mark.start, std::cmp::Reverse(mark.end)));
    marks
}

proptest! {
    #[test]
    fn no_text_is_lost_moved_or_cut_too_large(text in any_text(), max in 32..120_usize, overlap in 0..15_usize) {
        // A text that is mostly replacement characters is refused before it is split.
        assert_laws(&markdown(&text.replace('\u{fffd}', "?")), &settings(max, overlap));
    }

    #[test]
    fn no_marks_break_the_laws(
        text in any_text(),
        places in proptest::collection::vec((0..3000_usize, 0..400_usize, any::<u8>()), 0..30),
        overlap in 0..15_usize,
    ) {
        let marks = any_marks(&text, &places);
        let extracted = Extracted { marks, title: "A title".into(), ..plain(&text) };
        assert_laws(&extracted, &settings(40, overlap));
    }

    #[test]
    fn no_title_or_heading_makes_a_chunk_too_large(
        title in "([a-z]{1,12} ){0,60}|[漢字]{0,400}",
        heading in "([a-z]{1,12} ){1,60}|[漢字]{1,200}",
        text in "([a-z]{1,9}[ .]{1,2}){1,80}",
    ) {
        let extracted = Extracted { title, ..markdown(&format!("# {heading}\n\n{text}")) };
        assert_laws(&extracted, &settings(160, 20));
    }

    #[test]
    fn any_unicode_is_split(text in "\\PC{0,300}|[\\s\\S]{0,300}") {
        assert_laws(&plain(&text), &settings(32, 8));
    }
}

#[test]
fn white_space_alone_is_no_chunk() {
    assert!(split(&plain(" \n\t\n "), &settings(64, 8), &count).is_empty());
}

#[test]
fn one_line_of_any_length_is_split_in_linear_time() {
    let short = ["a", "猫", "a.b ", "1. 1 ", "e\u{301}", "🇩🇪", ". ", "\u{200d}"].map(|pattern| (pattern, 512 << 10));
    for (pattern, bytes) in short.into_iter().chain([("word ", 5 << 20)]) {
        let extracted = plain(&pattern.repeat(bytes / pattern.len()));
        let counted = std::cell::Cell::new(0_usize);
        let counting = |text: &str| {
            counted.set(counted.get() + text.len());
            text.len().div_ceil(4)
        };
        let chunks = split(&extracted, &settings(200, 20), &counting);
        assert_eq!(chunks.last().map(|chunk| chunk.end), Some(extracted.text.trim_end().len()));
        assert!(counted.get() < 20 * extracted.text.len(), "{pattern:?}: looked at {} bytes", counted.get());
    }
}

#[test]
fn sections_are_cut_at_headings_which_stay_with_their_text() {
    let body = "Some words that make a paragraph of a fair length stand here. ".repeat(3);
    let text = format!("# Guide\n\n## Install\n\n{body}\n\n## Use\n\n{body}\n\n# Appendix\n\n{body}");
    let chunks = split(&markdown(&text), &settings(100, 0), &count);
    let seen: Vec<_> = chunks.iter().map(|c| (c.heading.as_str(), c.text.lines().next().unwrap())).collect();
    assert_eq!(seen, [("Guide > Install", "# Guide"), ("Guide > Use", "## Use"), ("Appendix", "# Appendix")]);
}

#[test]
fn tiny_sections_go_together_under_what_they_share() {
    let text = "# Words\n\n## A\n\none\n\n## B\n\ntwo\n\n## C\n\nthree\n\n# Numbers\n\nfour";
    let chunks = split(&markdown(text), &settings(200, 0), &count);
    let seen: Vec<_> = chunks.iter().map(|c| (c.heading.as_str(), c.text.lines().next().unwrap())).collect();
    assert_eq!(seen, [("Words", "# Words"), ("Numbers", "# Numbers")]);
}

#[test]
fn paragraphs_are_kept_whole_where_they_fit() {
    let paragraph = "Here is a sentence. And here is one more of them.";
    let text = [paragraph; 9].join("\n\n");
    assert!(texts(&plain(&text), &settings(60, 0)).iter().all(|chunk| chunk.ends_with("them.")));
}

#[test]
fn long_paragraphs_are_cut_between_sentences_which_line_ends_are_not() {
    let text = "This sentence is broken\nby the width of a page. ".repeat(30);
    for chunk in texts(&plain(&text), &settings(40, 0)) {
        assert!(chunk.starts_with("This") && chunk.ends_with("page."), "{chunk:?}");
    }
}

#[test]
fn whole_sentences_are_repeated_up_to_the_overlap() {
    let text = (0..40).fold(String::new(), |all, n| all + &format!("Sentence number {n} is here. "));
    let chunks = split(&plain(&text), &settings(50, 12), &count);
    for pair in chunks.windows(2) {
        let shared = &text[pair[1].start..pair[0].end];
        assert!(shared.starts_with("Sentence") && shared.ends_with("here.") && count(shared) <= 12, "{shared:?}");
    }
}

#[test]
fn later_rows_of_a_table_know_its_header() {
    let rows = (0..30).fold(String::new(), |all, n| all + &format!("| city {n} | {n}000 |\n"));
    let text = format!("# Cities\n\n| name | people |\n|---|---|\n{rows}");
    let chunks = split(&markdown(&text), &settings(60, 10), &count);
    assert!(chunks.len() > 2 && chunks[0].text.contains("| name | people |\n|---|---|\n| city 0 "));
    for chunk in &chunks[1..] {
        assert_eq!(chunk.heading, "Cities > | name | people |");
        assert!(chunk.text.starts_with("| city") && chunk.text.ends_with("000 |"));
    }
}

#[test]
fn list_items_and_functions_are_not_cut_where_there_is_a_better_place() {
    let list = (0..20).fold(String::new(), |all, n| all + &format!("- item {n} goes on\n  in a second line\n"));
    assert!(texts(&plain(&list), &settings(50, 0)).iter().all(|chunk| chunk.starts_with("- item")));
    let code = "fn name() {\n    let x = 1;\n\n    x + 1\n}\n\n".repeat(12);
    let extracted = extract_here("a.rs", code.as_bytes(), &ReadLimits { max_text_bytes: 1 << 20 }).unwrap();
    assert!(texts(&extracted, &settings(64, 0)).iter().all(|chunk| chunk.starts_with("fn") && chunk.ends_with('}')));
}

#[test]
fn a_chunk_names_the_page_it_starts_on_and_its_part() {
    let text = "first page\n\nsecond page\n\nattached";
    let mark = |start, end, kind| Mark { start, end, kind };
    let marks = vec![
        mark(0, 10, MarkKind::Page { number: 1 }),
        mark(12, 23, MarkKind::Page { number: 2 }),
        mark(25, 33, MarkKind::Part { name: "notes.txt".into() }),
    ];
    let chunks = split(&Extracted { marks, ..plain(text) }, &settings(64, 0), &count);
    let seen: Vec<_> = chunks.iter().map(|c| (c.text.as_str(), c.page, c.heading.as_str())).collect();
    assert_eq!(seen, [("first page\n\nsecond page", Some(1), ""), ("attached", Some(2), "notes.txt")]);
}

#[test]
fn a_chunk_knows_the_section_it_is_part_of_and_of_a_long_one_what_lies_around() {
    let sentences = |count: usize| "A sentence of seven tokens is here. ".repeat(count);
    let text = format!("# A\n\n{}\n\n# B\n\n{}", sentences(9), sentences(60));
    let chunks = split(&markdown(&text), &settings(40, 0), &count);
    for chunk in &chunks {
        let passage = &text[chunk.passage_start..chunk.passage_end];
        let section = if chunk.start < text.find("# B").unwrap() { "# A" } else { "# B" };
        assert!(!passage[1..].contains('#'), "{passage:?} crosses into another section");
        assert!(count(passage) <= 3 * 40 + 8 && count(passage) >= 2 * 40, "{} tokens", count(passage));
        assert!(section == "# B" || passage.starts_with("# A"));
    }
}

#[test]
fn a_long_context_never_crowds_out_the_text() {
    let outer = "outermost words ".repeat(40);
    let text = format!("# {outer}\n\n## Inner\n\n{}", "Text follows here. ".repeat(20));
    let extracted = Extracted { title: String::new(), ..markdown(&text) };
    let chunks = split(&extracted, &settings(64, 0), &count);
    assert_eq!(chunks.last().unwrap().heading, "Inner");
    assert_laws(&extracted, &settings(64, 0));
}

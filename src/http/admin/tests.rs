//! Laws that hold for every page.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::samples::{self, HOSTILE, Words};
use super::theme::Theme;

fn templates() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push((path.clone(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("templates"), &mut found);
    assert!(found.len() > 20);
    found
}

/// Tags of a page with their attributes, as a browser would see them: `<` and a letter opens one wherever it stands.
fn tags(html: &str) -> Vec<&str> {
    html.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(tag, _)| tag).collect()
}

/// A page without what its fields hold.
fn without_values(html: &str) -> String {
    let mut parts = html.split(" value=\"");
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.filter_map(|part| part.split_once('"')).map(|(_, behind)| behind);
    first + &rest.collect::<String>()
}

#[test]
fn no_name_from_outside_becomes_markup_on_any_page() {
    let names = |html: &str| -> BTreeSet<String> {
        tags(html).into_iter().filter_map(|tag| tag.split_whitespace().next()).map(str::to_owned).collect()
    };
    let known: BTreeSet<_> =
        samples::pages(Words::NICE, Theme::System).iter().flat_map(|(_, html)| names(html)).collect();
    for (page, hostile) in samples::pages(Words::HOSTILE, Theme::System) {
        assert!(!hostile.contains("<acme") && !hostile.contains(HOSTILE), "{page} lets a name open a tag");
        let new: Vec<_> = names(&hostile).difference(&known).cloned().collect();
        assert!(new.is_empty(), "{page} has {new:?}, which only a name can have brought");
        // A document's text and a field's value stay as they are, each in a box of its own; everywhere else the character
        // that turns the writing direction is replaced.
        let reads_text = ["document", "ask-answered", "ask-compared", "ask-no-evidence"].contains(&page);
        assert!(
            reads_text || !without_values(&hostile).contains('\u{202e}'),
            "{page} lets a name turn its surroundings"
        );
    }
}

#[test]
fn no_page_carries_a_script_a_style_or_a_handler_of_its_own() {
    for (page, html) in samples::pages(Words::HOSTILE, Theme::Dark) {
        for tag in tags(&html) {
            let scripts = tag.starts_with("script ");
            assert!(!scripts || tag.starts_with("script src=\"/static/app."), "{page}: <{tag}>");
            assert!(tag != "script" && !tag.starts_with("style"), "{page}: <{tag}>");
            for (at, _) in tag.match_indices(" on") {
                let name: String = tag[at + 1..].chars().take_while(char::is_ascii_alphabetic).collect();
                let follows = tag.as_bytes().get(at + 1 + name.len());
                assert!(follows != Some(&b'='), "{page}: <{tag}>");
            }
            assert!(!tag.contains(" style="), "{page}: <{tag}>");
            assert!(!tag.contains("javascript:"), "{page}: <{tag}>");
        }
    }
}

#[test]
fn no_template_switches_escaping_off() {
    for (path, source) in templates() {
        let squeezed: String = source.chars().filter(|c| !c.is_whitespace()).collect();
        for forbidden in
            ["|safe", "|escape(\"none\")", "style=\"", "<style", "onclick", "onload", "onerror", "<scriptt"]
        {
            assert!(!squeezed.contains(forbidden), "{} has {forbidden}", path.display());
        }
        assert_eq!(
            squeezed.matches("<script").count(),
            squeezed.matches("<scriptsrc=\"{{").count(),
            "{}",
            path.display()
        );
    }
}

#[test]
fn every_form_that_changes_something_is_posted_to_our_own_pages() {
    for (page, html) in samples::pages(Words::NICE, Theme::System) {
        for tag in tags(&html).into_iter().filter(|tag| tag.starts_with("form ")) {
            assert!(tag.contains("action=\"/admin"), "{page}: <{tag}>");
            assert!(tag.contains("method=\"post\"") || tag.contains("role=\"search\""), "{page}: <{tag}>");
        }
    }
}

#[test]
fn every_whole_page_has_one_heading_a_title_and_a_main_part() {
    for (page, html) in
        samples::pages(Words::NICE, Theme::System).into_iter().filter(|(_, html)| html.starts_with("<!doctype"))
    {
        for (once, what) in
            [("<h1", "heading"), ("<title>", "title"), ("<main", "main part"), ("lang=\"en\"", "language")]
        {
            assert_eq!(html.matches(once).count(), 1, "{page}: {what}");
        }
        assert!(html.len() < 60_000, "{page} has {} bytes", html.len());
    }
}

#[test]
fn a_live_part_is_one_element_that_names_where_it_is_fetched_again() {
    let pages = samples::pages(Words::NICE, Theme::System);
    let (_, part) = pages.iter().find(|(page, _)| *page == "tenant-live").unwrap();
    let part = part.trim();
    assert!(part.starts_with("<div ") && part.ends_with("</div>"));
    assert!(part.contains("data-live-url=\"/admin/tenants/acme?after=a&#38;fragment=true\""), "{}", &part[..200]);
    let (_, calm) = pages.iter().find(|(page, _)| *page == "tenant-empty").unwrap();
    assert!(!calm.contains("data-live-url"));
}

/// Writes every page beside its style sheet, to look at: `cargo test --lib look_at_the_pages -- --ignored`, then open
/// `target/pages/<theme>/<page>.html`.
#[test]
#[ignore = "writes files for the eye"]
fn look_at_the_pages() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for theme in [Theme::Light, Theme::Dark] {
        let folder = root.join("target/pages").join(theme.to_string());
        fs::create_dir_all(&folder).unwrap();
        for file in ["app.css", "app.js", "icon.svg"] {
            fs::copy(root.join("static").join(file), folder.join(file)).unwrap();
        }
        let urls = super::assets::AssetUrls::current();
        for (page, html) in samples::pages(Words::NICE, theme) {
            let local = html.replace(&urls.css, "app.css").replace(&urls.js, "app.js").replace(&urls.icon, "icon.svg");
            fs::write(folder.join(format!("{page}.html")), local).unwrap();
        }
    }
}

#[test]
fn every_link_and_form_stays_below_the_path_of_the_public_address() {
    for (page, html) in samples::pages_below("/carrel") {
        for tag in tags(&html) {
            for attribute in ["href=\"", "action=\"", "src=\"", "data-live-url=\""] {
                let Some((_, target)) = tag.split_once(attribute) else { continue };
                assert!(!target.starts_with('/') || target.starts_with("/carrel/"), "{page}: <{tag}>");
            }
        }
    }
}

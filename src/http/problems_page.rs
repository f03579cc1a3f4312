//! The page on errors: every code with its cause and its fix, at `/problems#<code>`.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::response::Html;

use super::codes::CONTRACT;

/// Shows every code. Nothing on it comes from a request.
pub async fn page() -> Html<&'static str> {
    static PAGE: LazyLock<String> = LazyLock::new(render);
    Html(&PAGE)
}

fn render() -> String {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>Carrel: errors</title>\n<h1>Errors</h1>\n\
         <p>Every failed request is answered with <code>application/problem+json</code>; its <code>code</code> stands \
         here.</p>\n",
    );
    for line in CONTRACT {
        let (name, status, title) = (line.name, line.status, line.title);
        let (cause, fix) = (marked(line.cause), marked(line.fix));
        let _ = write!(
            page,
            "<section id=\"{name}\">\n<h2><code>{name}</code> · {status} · {title}</h2>\n\
             <p>{cause}</p>\n<p>{fix}</p>\n</section>\n"
        );
    }
    page.push_str("</html>\n");
    page
}

/// Words of ours as HTML: escaped, and `code` between backticks.
fn marked(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let parts = escaped.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_an_anchor_and_nothing_is_left_unescaped() {
        let page = render();
        for line in CONTRACT {
            assert!(page.contains(&format!("<section id=\"{}\">", line.name)));
        }
        assert!(page.contains("<code>Authorization: Bearer &lt;token&gt;</code>"));
        assert!(!page.contains('`'));
    }
}

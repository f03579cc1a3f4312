//! Routes, scopes, codes and metrics of the manual, held against the code.

use std::collections::{BTreeMap, BTreeSet};

use carrel::access::Permission;
use carrel::http::codes::CONTRACT;
use reqwest::{Method, StatusCode};

use super::super::harness::{Reply, Root};
use super::{Page, repository, sources};

/// Routes without an entry in the OpenAPI document: other names, and pages about the API.
const ALIASES: [&str; 3] = ["GET /healthz", "GET /problems", "GET /api/v1/openapi.json"];

/// The rows of the table of routes: "METHOD /path" and the words of the column on scopes.
fn rows() -> Vec<(String, String)> {
    let page = Page::of_manual("http-api");
    let rows = page.text.lines().filter(|line| line.starts_with("| `"));
    let mut found = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for route in cells[1].split('`').skip(1).step_by(2) {
            found.push((route.split('?').next().unwrap().to_owned(), cells[2].to_owned()));
        }
    }
    found
}

/// A route with the names of its parts left out, since pages and code may name them otherwise.
fn plain(route: &str) -> String {
    let parts = route.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn every_route_is_told_and_every_route_that_is_told_is_there() {
    let told: BTreeSet<String> = rows().iter().map(|(route, _)| plain(route)).collect();
    let documented = carrel::http::openapi().paths.paths.into_iter().flat_map(|(path, item)| {
        let methods = [("GET", item.get), ("POST", item.post), ("PUT", item.put), ("DELETE", item.delete)];
        let there = methods.into_iter().filter_map(|(method, operation)| operation.map(|_| method));
        there.map(|method| plain(&format!("{method} {path}"))).collect::<Vec<_>>()
    });
    let there: BTreeSet<String> = documented.chain(ALIASES.map(str::to_owned)).collect();
    let lacking: Vec<_> = there.difference(&told).collect();
    let invented: Vec<_> = told.difference(&there).collect();
    assert!(lacking.is_empty() && invented.is_empty(), "http-api.md lacks {lacking:?} and invents {invented:?}");
}

#[tokio::test]
async fn each_route_wants_the_scope_that_is_told() {
    let app = Root::new().tenant("acme", "", &[]).start().await;
    let mut asked = 0;
    for (route, scopes) in rows() {
        let wanted: Vec<Permission> =
            scopes.split('`').skip(1).step_by(2).map(|name| Permission::parse(name).unwrap()).collect();
        if wanted.is_empty() || route == "GET /metrics" {
            continue;
        }
        let (method, path) = route.split_once(' ').unwrap();
        let path =
            path.split('/').map(|part| if part.starts_with('{') { "1" } else { part }).collect::<Vec<_>>().join("/");
        for permission in Permission::ALL {
            let tenant = permission.is_tenants_own().then_some("acme");
            let caller = app.minted(tenant, &[permission]).await;
            let method: Method = method.parse().unwrap();
            let status = Reply::of(caller.request(method, &path)).await.status;
            assert_eq!(
                status != StatusCode::FORBIDDEN,
                wanted.contains(&permission),
                "{route} with {}: {status}",
                permission.as_str()
            );
            asked += 1;
        }
    }
    assert!(asked > 150, "{asked} requests were sent");
    app.end().await;
}

#[test]
fn every_scope_is_told_and_every_scope_that_is_told_is_one() {
    let page = Page::of_manual("tokens");
    for permission in Permission::ALL {
        let name = permission.as_str();
        assert!(page.text.contains(&format!("The scope `{name}` ")), "tokens.md lacks {name}");
    }
    for page in Page::all() {
        for rest in page.text.split("scope `").skip(1) {
            let name = rest.split('`').next().unwrap();
            assert!(Permission::parse(name).is_some(), "{}: there is no scope {name}", page.path);
        }
    }
}

/// The codes that the program gives to documents, jobs and replies beside those of the API's contract.
fn codes_in_the_source() -> BTreeSet<String> {
    let mut files = Vec::new();
    sources(&repository().join("src"), &mut files);
    let mut codes = BTreeSet::new();
    for file in &files {
        let code = file.split("#[cfg(test)]").next().unwrap();
        for begin in ["JobProblem::new(", "Degradation::new(", "ExtractError::new("] {
            for rest in code.split(begin).skip(1) {
                let Some(name) = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()) else {
                    continue;
                };
                codes.insert(name.to_owned());
            }
        }
    }
    codes
}

#[test]
fn every_code_has_its_section_and_every_section_is_of_a_code() {
    let page = Page::of_manual("errors");
    let sections: BTreeSet<&str> = page
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .filter(|heading| !heading.contains(' '))
        .collect();
    let codes = codes_in_the_source();
    assert!(codes.len() > 5, "{codes:?}");
    let known = CONTRACT.iter().map(|line| line.name.to_owned()).chain(codes);
    let lacking: Vec<String> = known.filter(|code| !sections.contains(code.as_str())).collect();
    assert!(lacking.is_empty(), "errors.md lacks {lacking:?}");
    let mut files = Vec::new();
    sources(&repository().join("src"), &mut files);
    for section in sections {
        let quoted = format!("\"{section}\"");
        assert!(
            files.iter().any(|file| file.contains(&quoted)),
            "errors.md tells of {section}, which the program never says"
        );
    }
}

#[test]
fn each_status_beside_a_code_is_the_codes() {
    for page in Page::all() {
        for sentence in page.text.split(['\n', '.', ';']) {
            for line in CONTRACT.iter().filter(|line| sentence.contains(&format!("`{}`", line.name))) {
                for word in sentence.split("status ").skip(1) {
                    let number: String = word.chars().take_while(char::is_ascii_digit).collect();
                    let others =
                        CONTRACT.iter().filter(|other| sentence.contains(&format!("`{}`", other.name))).count();
                    if let (Ok(status), 1) = (number.parse::<u16>(), others) {
                        assert_eq!(status, line.status, "{}: {} in: {sentence}", page.path, line.name);
                    }
                }
            }
        }
    }
}

/// Names of metrics with the labels in braces behind them.
fn metrics_of(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for rest in text.split("carrel_").skip(1) {
        let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let labels = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or_default();
        let labels = labels.split(',').map(|label| label.split('=').next().unwrap().trim().to_owned());
        found.entry(format!("carrel_{name}")).or_default().extend(labels.filter(|label| !label.is_empty()));
    }
    found
}

#[tokio::test]
async fn every_metric_is_told_with_its_labels() {
    let app = Root::new().tenant("acme", "", &[("a.md", "The quinces ripen in late October.")]).start().await;
    app.tenant("acme").await.ask("When do the quinces ripen?").await.ok();
    let scraped = app.anonymous().get("/metrics").await.text;
    app.end().await;
    let told = metrics_of(&Page::of_manual("metrics").text);
    let names: BTreeSet<String> = scraped
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE carrel_"))
        .map(|rest| format!("carrel_{}", rest.split(' ').next().unwrap()))
        .collect();
    let source = std::fs::read_to_string(repository().join("src/telemetry/names.rs")).unwrap();
    let known: BTreeSet<String> = metrics_of(&source).into_keys().collect();
    assert!(names.len() > 20 && names.is_subset(&known), "{names:?}");
    assert_eq!(told.keys().cloned().collect::<BTreeSet<_>>(), known, "metrics.md and the program name the same");
    for line in scraped.lines().filter(|line| line.starts_with("carrel_")) {
        let name = line.split(['{', ' ']).next().unwrap();
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let base = base.filter(|base| known.contains(*base)).unwrap_or(name);
        assert_eq!(told[base], labels_of(line), "{line}");
    }
}

/// The names of a series' labels, but for those that make a histogram.
fn labels_of(line: &str) -> BTreeSet<String> {
    let labels = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).map_or("", |(labels, _)| labels);
    let pieces: Vec<&str> = labels.split("=\"").collect();
    let names = pieces[..pieces.len() - 1].iter().map(|piece| piece.rsplit(',').next().unwrap().trim().to_owned());
    names.filter(|name| name != "le" && name != "quantile").collect()
}

/// Values that stood in pages and are no longer so.
#[test]
fn no_page_shows_a_score_of_ranks() {
    for page in Page::all() {
        for rest in page.text.split("\"score\":").skip(1) {
            let number: f64 = rest.trim_start().split([',', '}', '\n']).next().unwrap().trim().parse().unwrap();
            assert!(number > 0.2, "{} shows the score {number}, which the best hit of a question never has", page.path);
        }
    }
}

#[test]
fn every_alert_has_its_section() {
    let alerts = std::fs::read_to_string(repository().join("deploy/alerts.yml")).unwrap();
    let names: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert_eq!(names.len(), 7, "metrics.md and deployment.md tell of seven");
    let page = Page::of_manual("troubleshooting");
    for name in names {
        assert!(page.text.contains(&format!("\n## Alert {name}\n")), "troubleshooting.md has no section on {name}");
    }
}

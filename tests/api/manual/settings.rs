//! Every setting, default and range of the manual, held against what the settings are read into.

use std::collections::{BTreeMap, BTreeSet};

use carrel::config::{Config, TenantSettings};
use toml::{Table, Value};

use super::Page;

/// Settings whose default is told in words.
const IN_WORDS: [(&str, &str); 5] = [
    ("http.public_url", "(default: `http://` and the bound address"),
    ("http.trusted_proxies", "(default `[]`, nobody)"),
    ("log.format", "(default: `text` on a terminal and `json` otherwise)"),
    ("name", "(default: the id)"),
    ("answer.prompt", "(default: empty)"),
];

/// Settings without a default: what they say instead of one.
const UNSET: [(&str, &str); 4] = [
    ("limits.uploads_per_minute", "which is the default"),
    ("limits.upload_burst", "which is the default"),
    ("retrieval.reranker", "which is the default"),
    ("answer.model", "which is the default"),
];

/// A setting and the line that tells of it.
type Told = BTreeMap<String, String>;

/// `key` of "- `key` is …" for each line of the sections under these headings.
fn told(page: &Page, headings: &[&str]) -> Told {
    let items = headings.iter().flat_map(|heading| page.items(heading));
    items.map(|line| (line.split('`').nth(1).unwrap().to_owned(), line.to_owned())).collect()
}

const SERVER: [&str; 9] = ["http", "auth", "ingest", "builds", "folders", "keep", "embed", "metrics", "log"];
const TENANT: [&str; 6] = [
    "Tenant settings: name",
    "Tenant settings: limits",
    "Tenant settings: retrieval",
    "Tenant settings: chunking",
    "Tenant settings: quality",
    "Tenant settings: answer",
];

/// Settings as `section.key`, and keys that stand in no section as they are.
fn flat(table: &Table) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => {
                found.extend(inner.iter().map(|(name, value)| (format!("{key}.{name}"), value.clone())));
            }
            value => _ = found.insert(key.clone(), value.clone()),
        }
    }
    found
}

fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Float(number) => number.to_string(),
        other => other.to_string(),
    }
}

/// Holds the lines against the defaults; `optional` are the settings that have none.
fn hold(told: &Told, defaults: &BTreeMap<String, Value>, optional: &[&str]) {
    let names: BTreeSet<&str> = told.keys().map(String::as_str).collect();
    let there: BTreeSet<&str> = defaults.keys().map(String::as_str).chain(optional.iter().copied()).collect();
    assert_eq!(names, there, "configuration.md and the settings name the same keys");
    for (key, line) in told {
        let words = IN_WORDS.iter().chain(&UNSET).find(|(name, _)| name == key).map(|(_, words)| (*words).to_owned());
        let default = defaults.get(key).map(|value| format!("(default `{}`", written(value)));
        if let Some(expected) = words.or(default) {
            assert!(line.contains(&expected), "{key} lacks {expected}: {line}");
        }
    }
}

fn server_defaults() -> BTreeMap<String, Value> {
    flat(&Table::try_from(Config::default()).unwrap())
}

fn tenant_defaults() -> BTreeMap<String, Value> {
    flat(&Table::try_from(TenantSettings::default()).unwrap())
}

/// A provider with all that it can have, and what it has when only its address is given.
fn provider() -> (Table, Table) {
    let of = |more: &str| {
        let text = format!("[providers.p]\nbase_url = \"http://a/v1\"\n{more}");
        let config: Config = toml::from_str(&text).unwrap();
        Table::try_from(config).unwrap()["providers"]["p"].as_table().unwrap().clone()
    };
    let all = "api_key = \"a\"\napi_key_file = \"b\"\nheaders = { a = \"b\" }\nquery = { a = \"b\" }\n\
        parameters = { a = 1 }\nembedding_parameters = { a = 1 }\n";
    (of(all), of(""))
}

#[test]
fn every_setting_of_the_server_is_told_with_its_default() {
    let page = Page::of_manual("configuration");
    hold(&told(&page, &SERVER), &server_defaults(), &["log.format"]);
    let (all, defaults) = provider();
    let told = told(&page, &["providers"]);
    let names: BTreeSet<&str> = told.keys().map(String::as_str).collect();
    assert_eq!(names, all.keys().map(String::as_str).collect(), "configuration.md and providers have the same keys");
    for (key, value) in defaults.iter().filter(|(key, _)| *key != "base_url") {
        let expected = format!("(default `{}`", written(value));
        assert!(told[key].contains(&expected), "{key} lacks {expected}: {}", told[key]);
    }
}

#[test]
fn every_setting_of_a_tenant_is_told_with_its_default() {
    let page = Page::of_manual("configuration");
    hold(&told(&page, &TENANT), &tenant_defaults(), &UNSET.map(|(name, _)| name));
}

/// What is said of a setting that has this value; empty where it is taken.
fn refusal(of_tenant: bool, key: &str, value: &str) -> String {
    if of_tenant {
        let text = match key.split_once('.') {
            Some((section, name)) => format!("[{section}]\n{name} = {value}\n"),
            None => format!("{key} = {value}\n"),
        };
        return TenantSettings::parse("t", &text, &Config::default())
            .map_or_else(|error| error.to_string(), |_| String::new());
    }
    let root = tempfile::tempdir().unwrap();
    let text = match key.split_once('.') {
        Some((section, name)) => format!("[{section}]\n{name} = {value}\n"),
        None => format!("[providers.p]\nbase_url = \"http://a/v1\"\n{key} = {value}\n"),
    };
    std::fs::write(root.path().join("carrel.toml"), text).unwrap();
    Config::load(root.path()).map_or_else(|error| error.to_string(), |_| String::new())
}

/// The range that a refusal of an extreme value names, as it is written.
fn range(of_tenant: bool, key: &str) -> Option<(String, String)> {
    let extremes = ["9223372036854775807", "4294967295", "0", "-1", "1e30"];
    let said =
        extremes.iter().map(|value| refusal(of_tenant, key, value)).find(|said| said.contains("must be from "))?;
    let (_, rest) = said.split_once("must be from ")?;
    let (least, most) = rest.split_once(" to ")?;
    let end = most.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(most.len());
    Some((least.to_owned(), most[..end].to_owned()))
}

/// Holds what a line says of a range against the range in force.
fn hold_range(of_tenant: bool, key: &str, line: &str) {
    match range(of_tenant, key) {
        None => assert!(!line.contains("at most"), "{key} has no range: {line}"),
        Some((least, most)) => {
            let both = line.contains(&format!("{least} to {most}"));
            let upper = line.contains(&format!("at most {most}")) && matches!(least.as_str(), "0" | "1");
            let worded = line.contains("which is also the least") && line.contains(&format!("at most {most}"));
            assert!(both || upper || worded, "{key} is from {least} to {most}: {line}");
        }
    }
}

#[test]
fn every_range_is_told() {
    let page = Page::of_manual("configuration");
    let is_number = |value: Option<&Value>| matches!(value, Some(Value::Integer(_) | Value::Float(_)));
    let numbers = |told: Told, defaults: BTreeMap<String, Value>| {
        // Times share one range, which is told once.
        let numbers = told.into_iter().filter(move |(key, _)| is_number(defaults.get(key)) && !key.ends_with("_s"));
        numbers.collect::<Vec<_>>()
    };
    let mut seen = 0;
    let mut hold = |of_tenant, lines: Vec<(String, String)>| {
        for (key, line) in lines {
            hold_range(of_tenant, &key, &line);
            seen += 1;
        }
    };
    hold(false, numbers(told(&page, &SERVER), server_defaults()));
    hold(false, numbers(told(&page, &["providers"]), provider().1.into_iter().collect()));
    hold(true, numbers(told(&page, &TENANT), tenant_defaults()));
    assert!(seen > 25, "{seen} ranges were looked at");
    assert!(refusal(false, "http.drain_s", "31536001").contains("at most a year"));
    assert!(page.text.contains("every other time can be set to at most a year"));
    assert!(refusal(true, "name", &format!("\"{}\"", "x".repeat(201))).contains("at most 200 characters"));
    assert!(refusal(true, "chunking.overlap_tokens", "100").contains("below half"));
}

#[test]
fn the_page_on_limits_tells_the_defaults() {
    let page = Page::of_manual("limits");
    let defaults = tenant_defaults();
    let items = page.items("Limits of a tenant");
    assert_eq!(items.len(), defaults.keys().filter(|key| key.starts_with("limits.")).count());
    for line in items {
        let key = line.split('`').nth(1).unwrap();
        let (_, number) = line.split_once('(').unwrap();
        let number: String = number.split(" by default").next().unwrap().replace(',', "");
        assert_eq!(number, written(&defaults[&format!("limits.{key}")]), "{line}");
    }
    for (key, said) in [
        ("http.max_query_chars", "A question has at most 4,096 characters"),
        ("http.max_upload_bytes", "An upload has at most 33,554,432 bytes (32 MiB)"),
        ("http.request_timeout_s", "`http.request_timeout_s`, 30 seconds by default"),
        ("http.header_timeout_s", "`http.header_timeout_s`, 10 seconds by default"),
        ("http.max_connections", "at most 1,024 connections open"),
        ("ingest.worker_memory_mib", "may use 512 MiB of memory and 15 seconds of time"),
        ("ingest.worker_timeout_s", "may use 512 MiB of memory and 15 seconds of time"),
        ("ingest.max_text_bytes", "may have 67,108,864 bytes (64 MiB)"),
        ("builds.concurrent", "One build runs at a time"),
    ] {
        let default = written(&server_defaults()[key]);
        let said_so = said.replace(',', "").replace("One", "1").contains(&default);
        assert!(said_so && page.text.contains(said), "{key} is {default}; the page lacks: {said}");
    }
}

#[test]
fn every_sample_of_settings_is_taken() {
    let mut samples = 0;
    for page in Page::all() {
        for block in page.blocks("toml") {
            // The README shows the tenant's file as comments beside the server's.
            let server = toml::from_str::<Config>(&block).map_err(|error| error.to_string());
            let with = "[providers.local]\nbase_url = \"http://a/v1\"\n[providers.openai]\nbase_url = \"http://a/v1\"\n\
                [providers.azure]\nbase_url = \"http://a/v1\"\n";
            let config = toml::from_str::<Config>(with).unwrap();
            let tenant = TenantSettings::parse("sample", &block, &config).map_err(|error| error.to_string());
            assert!(server.is_ok() || tenant.is_ok(), "{}: {block}\n{server:?}\n{tenant:?}", page.path);
            samples += 1;
        }
    }
    assert!(samples >= 6, "{samples} samples were read");
}

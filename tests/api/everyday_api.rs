//! Requests as people first write them: what is wrong is named in plain words, and nothing is passed over.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Reply, Root};

const DOCUMENT: &[(&str, &str)] = &[("plan.md", "# Plan\n\nThe zebra migration starts in March.\n")];

/// Words of parsers and of our own types, which mean nothing to a client's author.
const JARGON: [&str; 14] = [
    "at line ",
    "invalid type",
    "expected ",
    "missing field",
    "unknown field",
    "unknown variant",
    "struct ",
    "usize",
    "u64",
    "deserialize",
    "EOF",
    "trailing",
    "multer",
    "Cannot parse",
];

#[tokio::test]
async fn bad_input_is_refused_in_plain_words_that_name_the_place() {
    let app = Root::new().tenant("acme", "", DOCUMENT).start().await;
    let (acme, operator) = (app.tenant("acme").await, app.operator().await);
    let bodies = [
        ("/api/v1/query", r"{}", "query"),
        ("/api/v1/query", r#"{"query": 1}"#, "query"),
        ("/api/v1/query", r#"{"query": null}"#, "query"),
        ("/api/v1/query", r#"{"query": ["a"]}"#, "query"),
        ("/api/v1/query", r#"{"query": "a", "top_k": "3"}"#, "top_k"),
        ("/api/v1/query", r#"{"query": "a", "top_k": -1}"#, "top_k"),
        ("/api/v1/query", r#"{"query": "a", "top_k": 1.5}"#, "top_k"),
        ("/api/v1/query", r#"{"query": "a", "stream": "yes"}"#, "stream"),
        ("/api/v1/query", r#"{"query": "a", "mode": "hybird"}"#, "mode"),
        ("/api/v1/query", r#"{"query": "a", "limit": 3}"#, "limit"),
        ("/api/v1/query", r#"{"query": "a", "filter": 3}"#, "filter"),
        ("/api/v1/query", r#"{"query": "a", "filter": {"type": "same"}}"#, "filter"),
        ("/api/v1/query", r#"{"query": "a",}"#, "comma"),
        ("/api/v1/query", r#"{query: "a"}"#, "double quotes"),
        ("/api/v1/query", r#"{"query": "a""#, "ends too early"),
        ("/api/v1/query", r"[]", "object"),
        ("/api/v1/query", r"hello", "object"),
        ("/api/v1/search", r#"{"query": "a", "messages": []}"#, "messages"),
        ("/api/v1/golden", r#"{"question": "a"}"#, "expect"),
        ("/api/v1/reindex", r#"{"fresh": true}"#, "query string"),
        ("/api/v1/purge", r#"{"now": 1}"#, "no body"),
    ];
    for (path, body, names) in bodies {
        let request = acme.request(Method::POST, path).header("content-type", "application/json").body(body);
        plain(&Reply::of(request).await, names);
    }
    for (path, names) in [
        ("/api/v1/documents?limit=many", "limit"),
        ("/api/v1/documents?limit=-1", "limit"),
        ("/api/v1/documents?limit=0", "limit"),
        ("/api/v1/documents?limit=1&limit=2", "limit"),
        ("/api/v1/documents?state=lost", "state"),
        ("/api/v1/documents?order=up", "order"),
        ("/api/v1/documents?page=2", "page"),
        ("/api/v1/documents/plan.md?verbose=1", "verbose"),
        ("/api/v1/documents/plan.md/text?start=x", "start"),
        ("/api/v1/documents/%ff", "UTF-8"),
        ("/api/v1/jobs?after=1", "after"),
        ("/api/v1/jobs/one", "path"),
        ("/api/v1/generations/one/diff?with=1", "whole number"),
    ] {
        plain(&acme.get(path).await, names);
    }
    for (path, names) in [
        ("/api/v1/audit?limit=5000", "limit"),
        ("/api/v1/audit?tenant=acme", "tenant"),
        ("/api/v1/tokens?tenant=A_B", "tenant"),
        ("/api/v1/tenants?limit=3", "limit"),
        ("/api/v1/tenants/A_B", "path"),
        ("/api/v1/status?x", "x"),
    ] {
        plain(&operator.get(path).await, names);
    }
    for body in [r#"{"id": "b", "settings": {"limits": {"brust": 1}}}"#, r#"{"id": "A B"}"#, r#"{"id": 7}"#, r"{}"] {
        let request = operator.request(Method::POST, "/api/v1/tenants").header("content-type", "application/json");
        plain(&Reply::of(request.body(body)).await, "");
    }
    for (kind, body) in [
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.md\"\r\n\r\nab",
        ),
        ("multipart/form-data; boundary=x", "hello"),
        ("multipart/form-data", "hello"),
        ("application/json", "{}"),
    ] {
        let request = acme.request(Method::POST, "/api/v1/documents").header("content-type", kind).body(body);
        plain(&Reply::of(request).await, "");
    }
}

#[track_caller]
fn plain(reply: &Reply, names: &str) {
    assert!(reply.status.is_client_error(), "{} {}", reply.status, reply.text);
    let detail = reply.body["detail"].as_str().unwrap_or_default();
    assert!(reply.text.contains(names), "{names:?} is not named: {}", reply.text);
    for jargon in JARGON {
        assert!(!detail.contains(jargon), "{jargon:?} in {detail:?}");
    }
}

#[tokio::test]
async fn the_audit_says_whether_more_follows_and_gives_it() {
    let app = Root::new().tenant("acme", "", DOCUMENT).start().await;
    let operator = app.operator().await;
    for _ in 0..3 {
        operator.post("/api/v1/tenants/reload", json!({})).await.ok();
    }
    let whole = operator.get("/api/v1/audit").await.ok();
    let all = whole["data"].as_array().unwrap().len();
    assert_eq!(whole["has_more"], false);
    assert_eq!(operator.get(&format!("/api/v1/audit?limit={all}")).await.ok()["has_more"], false);
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = operator.get(&format!("/api/v1/audit?limit=2{after}")).await.ok();
        seen.extend(page["data"].as_array().unwrap().clone());
        if page["has_more"] == false {
            break;
        }
        after = format!("&after={}", page["last_id"].as_str().unwrap());
    }
    assert_eq!(&seen, whole["data"].as_array().unwrap());
}

#[tokio::test]
async fn uploads_use_up_nothing_of_the_questions_and_each_reply_tells_its_own_limit() {
    let limits = "[limits]\nqueries_per_minute = 60\nburst = 3\nuploads_per_minute = 1\nupload_burst = 2\n";
    let app = Root::new().tenant("acme", limits, DOCUMENT).start().await;
    let acme = app.tenant("acme").await;
    for left in ["1", "0"] {
        let upload = acme.send_file("a.md", "# A\n\nThe gate is blue.\n").await;
        assert_eq!(upload.status, 202, "{}", upload.text);
        assert_eq!(upload.header("ratelimit-policy"), "\"uploads\";q=2;w=120");
        assert_eq!(upload.header("x-ratelimit-limit-requests"), "2");
        assert_eq!(upload.header("x-ratelimit-remaining-requests"), left);
    }
    let refused = acme.send_file("a.md", "# A\n\nThe gate is blue.\n").await;
    assert_eq!(refused.header("ratelimit-policy"), "\"uploads\";q=2;w=120");
    assert_eq!(refused.header("x-ratelimit-limit-requests"), "2");
    refused.problem(429, "rate_limited");
    let answered = acme.ask("zebra migration").await;
    assert_eq!(answered.header("ratelimit-policy"), "\"queries\";q=3;w=3");
    assert_eq!(answered.header("x-ratelimit-limit-requests"), "3");
    answered.ok();
}

//! Searching: filters by every operator, hits of one document, passages, rerankers.

use serde_json::{Value, json};
use wiremock::matchers::{body_partial_json, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::harness::{Caller, GENEROUS, Reply, Root, TestApp};

/// Three reports that say the same and differ in their attributes, and one without any.
const REPORTS: [(&str, &str); 4] = [
    ("north.txt", r#"{"year": 2022, "draft": false, "region": "north", "day": "2022-03-01", "tags": ["heat", "gas"]}"#),
    (
        "south.txt",
        r#"{"year": 2023.5, "draft": true, "region": "south", "day": "2023-03-01T00:30:00+01:00", "tags": ["heat"]}"#,
    ),
    ("west.txt", r#"{"year": 2024, "draft": false, "region": "west", "day": "2024-03-01T12:00:00Z", "tags": []}"#),
    ("plain.txt", "{}"),
];

async fn reports() -> TestApp {
    let app = Root::new().tenant("acme", "", &[]).start().await;
    let acme = app.tenant("acme").await;
    for (name, attributes) in REPORTS {
        let text = format!("The annual report of {name} speaks of heating.");
        let part = reqwest::multipart::Part::bytes(text.into_bytes()).file_name(name);
        let form = reqwest::multipart::Form::new().part("file", part).text("attributes", attributes);
        let sent = Reply::of(acme.request(reqwest::Method::POST, "/api/v1/documents").multipart(form)).await.ok();
        acme.job(sent["job_id"].as_str().unwrap()).await;
    }
    app
}

/// The ids of the documents found, in order of name, without their endings.
async fn found(caller: &Caller<'_>, filter: &Value) -> Vec<String> {
    let body = json!({ "query": "annual report heating", "top_k": 50, "filter": filter });
    let reply = caller.post("/api/v1/search", body).await.ok();
    let id = |hit: &Value| hit["document_id"].as_str().unwrap().trim_end_matches(".txt").to_owned();
    let mut ids: Vec<String> = reply["hits"].as_array().unwrap().iter().map(id).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn every_operator_of_the_filter_language_selects_what_it_says() {
    let app = reports().await;
    let acme = app.tenant("acme").await;
    let leaf = |kind: &str, key: &str, value: Value| json!({ "type": kind, "key": key, "value": value });
    let of_year = leaf("gte", "year", json!(2023));
    for (filter, expected) in [
        (leaf("eq", "year", json!(2022.0)), vec!["north"]),
        (leaf("eq", "draft", json!(true)), vec!["south"]),
        (leaf("eq", "tags", json!("heat")), vec!["north", "south"]),
        (leaf("eq", "document_id", json!("plain.txt")), vec!["plain"]),
        (leaf("ne", "region", json!("north")), vec!["plain", "south", "west"]),
        (leaf("gt", "year", json!(2023.5)), vec!["west"]),
        (leaf("gte", "year", json!(2023.5)), vec!["south", "west"]),
        (leaf("lt", "year", json!(2023)), vec!["north"]),
        (leaf("lte", "year", json!(2023.5)), vec!["north", "south"]),
        (leaf("gte", "day", json!("2023-02-28T23:30:00Z")), vec!["south", "west"]),
        (leaf("lt", "day", json!("2023-03-01")), vec!["north", "south"]),
        (leaf("in", "region", json!(["north", "east"])), vec!["north"]),
        (leaf("nin", "tags", json!(["gas", "oil"])), vec!["plain", "south", "west"]),
        (leaf("contains", "name", json!("th.")), vec!["north", "south"]),
        (leaf("contains", "tags", json!("gas")), vec!["north"]),
        (leaf("prefix", "region", json!("so")), vec!["south"]),
        (json!({ "type": "exists", "key": "year" }), vec!["north", "south", "west"]),
        (leaf("exists", "year", json!(false)), vec!["plain"]),
        (json!({ "type": "and", "filters": [of_year, leaf("eq", "draft", json!(false))] }), vec!["west"]),
        (
            json!({ "type": "or", "filters": [leaf("eq", "year", json!(2022)), of_year] }),
            vec!["north", "south", "west"],
        ),
        (json!({ "type": "not", "filter": of_year }), vec!["north", "plain"]),
    ] {
        assert_eq!(found(&acme, &filter).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn a_filter_that_cannot_be_meant_is_refused_where_it_is_wrong() {
    let app = reports().await;
    let acme = app.tenant("acme").await;
    for (filter, pointer) in [
        (json!("year"), "#/filter"),
        (json!({ "type": "like", "key": "a", "value": "b" }), "#/filter/type"),
        (json!({ "type": "or", "filters": [{ "type": "eq", "key": 7, "value": 1 }] }), "#/filter/filters/0/key"),
        (json!({ "type": "gt", "key": "year", "value": [1] }), "#/filter/value"),
        (json!({ "type": "not", "filter": { "type": "in", "key": "a", "value": "b" } }), "#/filter/filter/value"),
    ] {
        for route in ["/api/v1/search", "/api/v1/query"] {
            let reply = acme.post(route, json!({ "query": "report", "filter": filter })).await;
            let problem = reply.problem(422, "invalid_filter");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{filter}");
        }
    }
}

#[tokio::test]
async fn at_most_three_chunks_of_one_document_are_hits_unless_asked_otherwise() {
    let sections =
        (0..9).map(|at| format!("## Part {at}\n\n{}\n\n", "The lighthouse keeper counts ships. ".repeat(30)));
    let long: String = sections.collect();
    let app = Root::new()
        .tenant("acme", "", &[("long.md", &long), ("short.md", "# S\n\nA ship sinks near the lighthouse.\n")])
        .start()
        .await;
    let acme = app.tenant("acme").await;
    let of_long = async |more: Value| {
        let mut body = json!({ "query": "lighthouse keeper counts ships", "top_k": 9 });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let reply = acme.post("/api/v1/search", body).await.ok();
        reply["hits"].as_array().unwrap().iter().filter(|hit| hit["document_id"] == "long.md").count()
    };
    assert_eq!(of_long(json!({})).await, 3);
    assert_eq!(of_long(json!({ "max_chunks_per_document": 1 })).await, 1);
    assert!(of_long(json!({ "max_chunks_per_document": 50 })).await > 3);
    let refused = acme.post("/api/v1/search", json!({ "query": "ships", "max_chunks_per_document": 0 })).await;
    assert_eq!(refused.problem(422, "invalid_question")["errors"][0]["pointer"], "#/max_chunks_per_document");
}

#[tokio::test]
async fn a_hit_names_the_passage_around_it_and_brings_its_text_when_asked() {
    let manual =
        format!("# Manual\n\n## Boats\n\n{}\n\n## Cars\n\nCars are red.\n", "A boat must be tied up. ".repeat(60));
    let app = Root::new().tenant("acme", "", &[("m.md", &manual)]).start().await;
    let acme = app.tenant("acme").await;
    let search = async |body: Value| acme.post("/api/v1/search", body).await.ok()["hits"][0].clone();
    let bare = search(json!({ "query": "boat tied up" })).await;
    assert!(bare["passage"]["text"].is_null() && bare["passage"]["start"].is_u64(), "{bare}");
    let hit = search(json!({ "query": "boat tied up", "include": ["passages"] })).await;
    let (passage, text) = (&hit["passage"], hit["passage"]["text"].as_str().unwrap());
    assert!(text.contains(hit["text"].as_str().unwrap()) && text.len() > hit["text"].as_str().unwrap().len());
    assert!(!text.contains("Cars are red"));
    let range = format!("/api/v1/documents/m.md/text?start={}&end={}", passage["start"], passage["end"]);
    assert_eq!(acme.get(&range).await.ok()["text"], *text);
}

/// A tenant with two documents and a reranker behind a provider that answers so.
async fn with_reranker(reply: ResponseTemplate, settings: &str) -> (TestApp, MockServer) {
    let provider = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/rerank"))
        .and(body_partial_json(json!({ "model": "best", "top_n": 2 })))
        .respond_with(reply)
        .mount(&provider)
        .await;
    let root = Root::new().tenant(
        "acme",
        &format!("{GENEROUS}[retrieval]\nreranker = \"mock/best\"\n{settings}"),
        &[
            ("a.txt", "The ferry leaves at noon from pier four."),
            ("b.txt", "The ferry leaves at night, said the sailor."),
        ],
    );
    root.write("carrel.toml", &format!("[providers.mock]\nbase_url = \"{}/v1\"\n", provider.uri()));
    (root.start().await, provider)
}

/// The second text is the better one, whatever the search says.
fn second_first() -> ResponseTemplate {
    let results = json!([{"index": 1, "relevance_score": 0.97}, {"index": 0, "relevance_score": 0.11}]);
    ResponseTemplate::new(200).set_body_json(json!({ "results": results }))
}

const FERRY: &str = "When does the ferry leave from pier four?";

#[tokio::test]
async fn a_reranker_orders_the_hits_and_says_how_sure_it_is() {
    let (app, provider) = with_reranker(second_first(), "").await;
    let acme = app.tenant("acme").await;
    let plain = acme.post("/api/v1/search", json!({ "query": FERRY, "rerank": false })).await.ok();
    let reply = acme.post("/api/v1/search", json!({ "query": FERRY })).await.ok();
    assert_eq!(reply["hits"][0]["document_id"], plain["hits"][1]["document_id"]);
    assert_eq!(reply["hits"][0]["rerank"], json!({ "rank": 1, "score": 0.97 }));
    assert_eq!(reply["hits"][0]["score"], 0.97);
    assert!(reply["timings_ms"]["rerank"].is_number() && plain["timings_ms"]["rerank"].is_null());
    assert_eq!((&reply["degraded"], &plain["degraded"]), (&json!([]), &json!([])));
    assert_eq!(provider.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_reranker_that_fails_leaves_the_order_of_the_search_and_the_reply_says_so() {
    let twice = json!([{"index": 1, "relevance_score": 0.9}, {"index": 1, "relevance_score": 0.8}]);
    for (fault, code) in [
        (ResponseTemplate::new(500), "rerank_unavailable"),
        (ResponseTemplate::new(429).insert_header("retry-after", "86400"), "rerank_unavailable"),
        (second_first().set_delay(std::time::Duration::from_mins(1)), "rerank_unavailable"),
        (ResponseTemplate::new(200).set_body_json(json!({ "results": twice })), "rerank_invalid"),
        (ResponseTemplate::new(200).set_body_string("<html>"), "rerank_invalid"),
    ] {
        let (app, _provider) = with_reranker(fault, "rerank_timeout_s = 0.3\n").await;
        let acme = app.tenant("acme").await;
        let plain = acme.post("/api/v1/search", json!({ "query": FERRY, "rerank": false })).await.ok();
        let reply = acme.post("/api/v1/search", json!({ "query": FERRY })).await.ok();
        assert_eq!(reply["hits"], plain["hits"]);
        assert_eq!(reply["degraded"][0]["code"], code, "{reply}");
        let answer = acme.ask(FERRY).await.ok();
        assert_eq!((&answer["outcome"], &answer["degraded"][0]["code"]), (&json!("answered"), &json!(code)));
    }
}

#[tokio::test]
async fn a_tenant_without_a_reranker_says_that_it_has_none_when_one_is_asked_for() {
    let app = Root::new().tenant("acme", "", &[("a.txt", "The ferry leaves at noon.")]).start().await;
    let acme = app.tenant("acme").await;
    let reply = acme.post("/api/v1/search", json!({ "query": FERRY, "rerank": true })).await.ok();
    assert_eq!(
        (reply["hits"].as_array().unwrap().len(), &reply["degraded"][0]["code"]),
        (1, &json!("rerank_unavailable"))
    );
    assert_eq!(acme.post("/api/v1/search", json!({ "query": FERRY })).await.ok()["degraded"], json!([]));
}

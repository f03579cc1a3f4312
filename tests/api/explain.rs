//! Explaining: scores in their parts, and why a document is not among the hits.

use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::harness::{Caller, GENEROUS, Root, TestApp};

const HERDS: [(&str, &str); 4] = [
    ("zebra.md", "The zebra migration starts in March, when the zebra herd has grazed the plain."),
    ("okapi.md", "The okapi budget is seven. The migration of the okapi has no date."),
    ("tapir.md", "The tapir office opens in June."),
    ("menu.md", "Soup, bread and cheese are served at noon."),
];

async fn herds() -> TestApp {
    Root::new().tenant("acme", "", &HERDS).start().await
}

async fn explain(caller: &Caller<'_>, body: Value) -> Value {
    caller.post("/api/v1/explain", body).await.ok()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// What stands under `key` of each, summed.
fn sum(list: &Value, key: &str) -> f64 {
    list.as_array().unwrap().iter().map(|one| number(&one[key])).sum()
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-4 * one.abs().max(1.0)
}

#[tokio::test]
async fn each_hits_score_is_the_sum_of_what_is_said_to_have_made_it() {
    let app = herds().await;
    let acme = app.tenant("acme").await;
    for mode in ["hybrid", "dense", "bm25"] {
        let body = json!({ "query": "When does the zebra migration start?", "mode": mode });
        let (explained, searched) = (explain(&acme, body.clone()).await, acme.post("/api/v1/search", body).await.ok());
        let hits = explained["hits"].as_array().unwrap();
        assert!(!hits.is_empty());
        for (hit, plain) in hits.iter().zip(searched["hits"].as_array().unwrap()) {
            assert_eq!((&hit["chunk_id"], &hit["score"]), (&plain["chunk_id"], &plain["score"]), "{mode}");
            assert_eq!((&hit["dense"], &hit["bm25"]), (&plain["dense"], &plain["bm25"]));
            let fused = &hit["fused"];
            assert!(near(sum(&fused["contributions"], "contribution"), number(&fused["score"])), "{mode}: {fused}");
            assert_eq!(fused["score"], hit["score"]);
            if !hit["bm25"].is_null() {
                assert!(near(sum(&hit["terms"], "score"), number(&hit["bm25"]["score"])), "{mode}: {hit}");
            }
        }
        assert!(explained["timings_ms"]["total"].is_number());
        assert_eq!(explained["dense"].is_null(), mode == "bm25");
        assert_eq!(explained["bm25"].is_null(), mode == "dense");
    }
    let best = &explain(&acme, json!({ "query": "zebra migration", "mode": "bm25" })).await["hits"][0];
    let zebra = best["terms"].as_array().unwrap().iter().find(|term| term["term"] == "zebra").unwrap();
    assert_eq!((&zebra["frequency"], zebra["idf"].as_f64().unwrap() > 0.5), (&json!(2), true), "{best}");
}

#[tokio::test]
async fn a_document_that_is_no_hit_is_followed_to_where_it_was_lost_and_by_how_much() {
    let app = herds().await;
    let acme = app.tenant("acme").await;
    let fate = async |more: Value| {
        let mut body = json!({ "query": "When does the zebra migration start?", "mode": "hybrid" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        explain(&acme, body).await["document"].clone()
    };
    let hit = fate(json!({ "document_id": "zebra.md" })).await;
    assert_eq!((&hit["stage"], &hit["rank"]), (&json!("hit"), &json!(1)));
    let below = fate(json!({ "document_id": "okapi.md", "top_k": 1 })).await;
    assert_eq!((&below["stage"], &below["chunks"][0]["fused"]["rank"]), (&json!("below_top_k"), &json!(2)), "{below}");
    assert!(number(&below["missing"]) > 0.0);
    let filter = json!({ "type": "eq", "key": "document_id", "value": "zebra.md" });
    let shut = fate(json!({ "document_id": "okapi.md", "filter": filter })).await;
    assert_eq!((&shut["stage"], &shut["chunks"]), (&json!("filtered_out"), &json!([])));
    assert_eq!(fate(json!({ "document_id": "never.md" })).await["stage"], "unknown_document");
    let words = fate(json!({ "document_id": "menu.md", "mode": "bm25" })).await;
    assert_eq!(words["stage"], "below_candidates", "it holds none of the words: {words}");
    let whole = explain(&acme, json!({ "query": "zebra", "filter": filter })).await;
    assert_eq!(whole["filter"], json!({ "documents": 1, "chunks": 1 }));
    acme.post("/api/v1/explain", json!({ "query": "zebra", "document_id": "" })).await.problem(422, "invalid_question");
}

#[tokio::test]
async fn a_document_below_the_candidates_is_shown_beside_the_last_of_them() {
    let settings = format!("{GENEROUS}[retrieval]\ncandidates = 10\n");
    let texts: Vec<(String, String)> = (0..13)
        .map(|at| {
            (format!("d{at}.md"), format!("The herd number {at} grazes on meadow {}.{}", at * 7, " Grass.".repeat(at)))
        })
        .collect();
    let documents: Vec<(&str, &str)> = texts.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
    let app = Root::new().tenant("acme", &settings, &documents).start().await;
    let acme = app.tenant("acme").await;
    for mode in ["dense", "bm25"] {
        let mut stages = Vec::new();
        for (id, _) in &texts {
            let body = json!({ "query": "Where does the herd graze?", "mode": mode, "document_id": id, "top_k": 4 });
            let explained = explain(&acme, body).await;
            let (fate, place) = (&explained["document"], &explained["document"]["chunks"][0][mode]);
            stages.push(fate["stage"].as_str().unwrap().to_owned());
            assert_eq!(place["last_candidate"], explained[mode]["last_score"]);
            let lost = number(&place["rank"]) > 10.0 && number(&place["score"]) <= number(&place["last_candidate"]);
            assert_eq!(lost, fate["stage"] == "below_candidates", "{fate}");
        }
        let count = |stage: &str| stages.iter().filter(|one| *one == stage).count();
        assert_eq!([count("hit"), count("below_top_k"), count("below_candidates")], [4, 6, 3], "{mode}: {stages:?}");
    }
}

#[tokio::test]
async fn a_document_that_failed_says_so_with_its_problem() {
    let app = herds().await;
    let acme = app.tenant("acme").await;
    let job = acme.upload("broken.pdf", "%PDF-1.7 this is no document").await;
    assert_eq!(job["state"], "failed");
    let fate = explain(&acme, json!({ "query": "zebra", "document_id": "broken.pdf" })).await["document"].clone();
    assert_eq!(fate["stage"], "indexing_failed");
    assert_eq!(fate["problem"], job["error"]["code"]);
}

#[tokio::test]
async fn a_chunk_beyond_its_documents_share_is_told_apart_from_one_that_is_too_weak() {
    let sections =
        (0..6).map(|at| format!("## Part {at}\n\n{}\n\n", "The lighthouse keeper counts ships. ".repeat(30)));
    let long: String = sections.collect();
    let app = Root::new().tenant("acme", "", &[("long.md", &long), HERDS[2]]).start().await;
    let acme = app.tenant("acme").await;
    let body = json!({ "query": "lighthouse keeper", "document_id": "long.md", "max_chunks_per_document": 1 });
    let fate = explain(&acme, body).await["document"].clone();
    let stages: Vec<&str> =
        fate["chunks"].as_array().unwrap().iter().map(|chunk| chunk["stage"].as_str().unwrap()).collect();
    assert_eq!((stages[0], stages[1]), ("hit", "over_document_share"), "{fate}");
}

#[tokio::test]
async fn what_a_reranker_moves_or_pushes_out_is_told_with_both_ranks() {
    let provider = MockServer::start().await;
    let results = json!([{"index": 1, "relevance_score": 0.97}, {"index": 0, "relevance_score": 0.11}]);
    Mock::given(method("POST"))
        .and(path("/v1/rerank"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "results": results })))
        .mount(&provider)
        .await;
    let settings = format!("{GENEROUS}[retrieval]\nreranker = \"mock/best\"\n");
    let root = Root::new().tenant(
        "acme",
        &settings,
        &[
            ("a.txt", "The ferry leaves at noon from pier four."),
            ("b.txt", "The ferry leaves at night, said the sailor."),
        ],
    );
    root.write("carrel.toml", &format!("[providers.mock]\nbase_url = \"{}/v1\"\n", provider.uri()));
    let app = root.start().await;
    let acme = app.tenant("acme").await;
    let query = "When does the ferry leave from pier four?";
    let plain = explain(&acme, json!({ "query": query, "rerank": false, "top_k": 2 })).await;
    let (first, second) = (plain["hits"][0]["document_id"].clone(), plain["hits"][1]["document_id"].clone());
    let explained = explain(&acme, json!({ "query": query, "top_k": 1, "document_id": first })).await;
    let hit = &explained["hits"][0];
    assert_eq!(hit["document_id"], second);
    assert_eq!((&hit["rerank"]["from"], &hit["rerank"]["to"]), (&json!(2), &json!(1)), "{hit}");
    assert_eq!((number(&hit["rerank"]["score"]), &explained["reranked"]), (number(&hit["score"]), &json!(2)));
    let fate = &explained["document"];
    assert_eq!(fate["stage"], "pushed_out_by_rerank", "{fate}");
    assert_eq!((&fate["chunks"][0]["fused"]["rank"], &fate["chunks"][0]["rerank"]["rank"]), (&json!(1), &json!(2)));
    assert!(near(number(&fate["missing"]), 0.97 - 0.11));
}

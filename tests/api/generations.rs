//! Generations as things one can hold: go back, keep, delete, compare, and nobody notices but by the number.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Caller, GENEROUS, Reply, Root, TestApp, eventually};

/// A tenant with two generations.
async fn acme() -> TestApp {
    let settings = GENEROUS.replace("[limits]", "[limits]\nconcurrent_queries = 100");
    let app = Root::new()
        .tenant("acme", &settings, &[("plan.md", "# Plan\n\nThe zebra migration starts in March.\n")])
        .start()
        .await;
    let caller = app.tenant("acme").await;
    caller.reindex().await;
    app
}

async fn serving(caller: &Caller<'_>) -> u64 {
    let list = caller.get("/api/v1/generations").await.ok();
    let serves = list["data"].as_array().unwrap().iter().find(|one| one["state"] == "serving").unwrap();
    serves["number"].as_u64().unwrap()
}

async fn activate(caller: &Caller<'_>, number: u64) -> Reply {
    caller.post(&format!("/api/v1/generations/{number}/activate"), json!({})).await
}

fn found(reply: &Value) -> String {
    reply["hits"].as_array().unwrap().iter().map(|hit| hit["text"].as_str().unwrap()).collect()
}

async fn search(caller: &Caller<'_>, query: &str) -> String {
    found(&caller.post("/api/v1/search", json!({ "query": query, "mode": "bm25" })).await.ok())
}

#[tokio::test]
async fn an_older_generation_answers_again_and_after_a_restart() {
    let app = acme().await;
    let caller = app.tenant("acme").await;
    assert_eq!(serving(&caller).await, 2);
    let activated = activate(&caller, 1).await.ok();
    assert_eq!((&activated["generation"], &activated["previous"]), (&json!(1), &json!(2)));
    assert_eq!(caller.ask("When does the zebra migration start?").await.ok()["index"]["generation"], 1);
    let app = app.end().await.start().await;
    let caller = app.tenant("acme").await;
    assert_eq!(serving(&caller).await, 1);
    assert!(search(&caller, "zebra").await.contains("March"));
}

#[tokio::test]
async fn what_was_deleted_changed_or_added_since_stays_so_in_an_older_generation() {
    let app = acme().await;
    let caller = app.tenant("acme").await;
    caller.upload("old.md", "The quagga herd is grazing.").await;
    caller.upload("memo.md", "The okapi budget is seven.").await;
    caller.reindex().await;
    caller.delete("/api/v1/documents/old.md").await.ok();
    caller.upload("memo.md", "The okapi budget is eleven.").await;
    caller.upload("new.md", "The tapir office opens in June.").await;
    let activated = activate(&caller, 2).await.ok();
    assert_eq!(activated["documents_pending"], 0, "same settings: nothing is embedded again");
    assert_eq!(search(&caller, "quagga herd").await, "");
    assert_eq!(search(&caller, "okapi").await, "The okapi budget is eleven.");
    assert_eq!(search(&caller, "tapir").await, "The tapir office opens in June.");
}

#[tokio::test]
async fn what_cannot_be_activated_or_deleted_is_refused_and_changes_nothing() {
    let app = acme().await;
    let caller = app.tenant("acme").await;
    let refused = activate(&caller, 2).await;
    assert_eq!((refused.status, &refused.body["code"]), (StatusCode::CONFLICT, &json!("generation_serves")));
    assert_eq!(activate(&caller, 99).await.status, StatusCode::NOT_FOUND);
    let refused = caller.delete("/api/v1/generations/2").await;
    assert_eq!(refused.body["code"], "generation_serves");
    assert_eq!(caller.get("/api/v1/generations/x/diff").await.status, StatusCode::BAD_REQUEST);

    let folder = app.root().generation("acme", 1);
    std::fs::write(folder.join("manifest.json"), "rubbish").unwrap();
    let refused = activate(&caller, 1).await;
    assert!(refused.status.is_client_error(), "{}", refused.body);
    assert_eq!(serving(&caller).await, 2);
    assert!(search(&caller, "zebra").await.contains("March"));
}

#[tokio::test]
async fn a_pinned_generation_outlives_newer_ones_until_it_is_let_go() {
    let app = acme().await;
    let caller = app.tenant("acme").await;
    let pin = |method| Reply::of(caller.request(method, "/api/v1/generations/1/pin"));
    assert_eq!(pin(Method::PUT).await.status, StatusCode::NO_CONTENT);
    caller.reindex().await;
    caller.reindex().await;
    let numbers = |list: Value| -> Vec<u64> {
        list["data"].as_array().unwrap().iter().map(|one| one["number"].as_u64().unwrap()).collect()
    };
    assert_eq!(numbers(caller.get("/api/v1/generations").await.ok()), [4, 3, 1]);
    assert_eq!(pin(Method::DELETE).await.status, StatusCode::NO_CONTENT);
    caller.reindex().await;
    assert_eq!(numbers(caller.get("/api/v1/generations").await.ok()), [5, 4]);
    assert_eq!(caller.delete("/api/v1/generations/4").await.status, StatusCode::NO_CONTENT);
    assert_eq!(numbers(caller.get("/api/v1/generations").await.ok()), [5]);
}

#[tokio::test]
async fn a_comparison_names_what_came_went_and_changed() {
    let app = acme().await;
    let caller = app.tenant("acme").await;
    caller.upload("gone.md", "The quagga herd is grazing.").await;
    caller.upload("memo.md", "The okapi budget is seven.").await;
    caller.reindex().await;
    // A deleted document would be gone from both; one that cannot be read any more is gone from the newer alone.
    assert_eq!(caller.upload("gone.md", "\0\0\0\u{1}\u{2}").await["state"], "failed");
    caller.upload("memo.md", "The okapi budget is eleven.").await;
    caller.upload("new.md", "The tapir office opens in June.").await;
    let diff = caller.get("/api/v1/generations/2/diff").await.ok();
    assert_eq!((&diff["from"], &diff["to"]), (&json!(2), &json!(3)), "compared with the one that serves");
    assert_eq!(diff["added"], json!({ "count": 1, "ids": ["new.md"] }));
    assert_eq!(diff["removed"], json!({ "count": 1, "ids": ["gone.md"] }));
    assert_eq!(diff["changed"], json!({ "count": 1, "ids": ["memo.md"] }));
    assert_eq!((&diff["unchanged"], &diff["chunks_added"], &diff["chunks_removed"]), (&json!(1), &json!(2), &json!(2)));
    let back = caller.get("/api/v1/generations/3/diff?with=2").await.ok();
    assert_eq!((&back["added"]["ids"], &back["removed"]["ids"]), (&json!(["gone.md"]), &json!(["new.md"])));
}

#[tokio::test]
async fn twenty_swaps_and_twenty_ways_back_fail_no_question() {
    let app = Arc::new(acme().await);
    let asking = Arc::new(AtomicBool::new(true));
    let mut readers = Vec::new();
    for _ in 0..64 {
        let (app, asking) = (Arc::clone(&app), Arc::clone(&asking));
        readers.push(tokio::spawn(async move {
            let caller = app.tenant("acme").await;
            let mut asked = 0;
            while asking.load(Ordering::Relaxed) {
                let answer = caller.ask("When does the zebra migration start?").await.ok();
                let generation = &answer["index"]["generation"];
                let cited = answer["citations"].as_array().unwrap();
                assert!(!cited.is_empty() && cited.iter().all(|citation| citation["generation"] == *generation));
                asked += 1;
            }
            asked
        }));
    }
    let caller = app.tenant("acme").await;
    for _ in 0..20 {
        let before = serving(&caller).await;
        caller.reindex().await;
        activate(&caller, before).await.ok();
        assert_eq!(serving(&caller).await, before);
    }
    asking.store(false, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
    eventually(|| async { (serving(&caller).await == 2).then_some(()) }).await;
}

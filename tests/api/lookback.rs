//! Looking back: a question to a kept generation, and to two of them.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Caller, Reply, Root, TestApp};

/// A tenant whose memo said seven in generation 1 and says eleven in generation 2, which serves.
async fn memos() -> TestApp {
    let app = Root::new()
        .tenant("acme", "", &[("plan.md", "# Plan\n\nThe zebra migration starts in March.\n")])
        .start()
        .await;
    let acme = app.tenant("acme").await;
    acme.upload("memo.md", "The okapi budget is seven.").await;
    acme.reindex().await;
    acme.upload("memo.md", "The okapi budget is eleven.").await;
    app
}

async fn ask(caller: &Caller<'_>, generation: u64) -> Reply {
    caller.post("/api/v1/query", json!({ "query": "What is the okapi budget?", "generation": generation })).await
}

fn said(answer: &Value) -> &str {
    answer["answer"].as_str().unwrap()
}

#[tokio::test]
async fn an_older_generation_answers_with_what_it_held_and_its_quotes_hold_there() {
    let app = memos().await;
    let acme = app.tenant("acme").await;
    let (then, now) = (ask(&acme, 1).await.ok(), acme.ask("What is the okapi budget?").await.ok());
    assert!(said(&then).contains("seven") && said(&now).contains("eleven"), "{then} {now}");
    assert_eq!((&then["index"]["generation"], &now["index"]["generation"]), (&json!(1), &json!(2)));
    let cited = &then["citations"][0];
    assert_eq!(cited["generation"], 1);
    let text = |generation: &str| {
        let range = format!("start={}&end={}", cited["start"], cited["end"]);
        format!("/api/v1/documents/memo.md/text?{range}{generation}")
    };
    assert_eq!(acme.get(&text("&generation=1")).await.ok()["text"], cited["quote"]);
    assert_ne!(acme.get(&text("")).await.ok()["text"], cited["quote"], "the memo says something else by now");
    let found = acme.post("/api/v1/search", json!({ "query": "okapi budget", "generation": 1 })).await.ok();
    assert_eq!(
        (&found["hits"][0]["text"], &found["index"]["generation"]),
        (&json!("The okapi budget is seven."), &json!(1))
    );
    let explained = acme.post("/api/v1/explain", json!({ "query": "okapi budget", "generation": 1 })).await.ok();
    assert_eq!(explained["index"]["generation"], 1);
    let streamed = json!({ "query": "What is the okapi budget?", "generation": 1, "stream": true });
    assert!(acme.post("/api/v1/query", streamed).await.text.contains("seven"));
    assert_eq!(ask(&acme, 2).await.ok()["answer"], now["answer"], "the one that serves may be named too");
}

#[tokio::test]
async fn what_was_deleted_never_returns_from_an_older_generation() {
    let app = memos().await;
    let acme = app.tenant("acme").await;
    assert!(said(&ask(&acme, 1).await.ok()).contains("seven"), "it is open now");
    acme.delete("/api/v1/documents/memo.md").await.ok();
    let search = |generation: u64| json!({ "query": "okapi budget seven", "generation": generation, "top_k": 50 });
    for generation in [1, 2] {
        let found = acme.post("/api/v1/search", search(generation)).await.ok();
        assert!(!found.to_string().contains("okapi"), "{found}");
        let text = acme.get(&format!("/api/v1/documents/memo.md/text?generation={generation}")).await;
        text.problem(404, "not_found");
        let body = json!({ "query": "okapi budget", "generation": generation, "document_id": "memo.md" });
        let fate = acme.post("/api/v1/explain", body).await.ok()["document"].clone();
        assert_eq!(fate["stage"], "unknown_document");
    }
    let compared = acme.post("/api/v1/generations/1/compare", json!({ "query": "okapi budget" })).await.ok();
    assert!(!compared.to_string().contains("memo.md"), "{compared}");
}

#[tokio::test]
async fn a_generation_that_is_not_kept_is_not_found_and_a_damaged_one_says_so_and_what_serves_goes_on() {
    let app = memos().await;
    let acme = app.tenant("acme").await;
    for unknown in [0, 3, 99] {
        ask(&acme, unknown).await.problem(404, "not_found");
    }
    assert_eq!(ask(&acme, 1).await.status, StatusCode::OK);
    let refused = acme.post("/api/v1/query", json!({ "query": "why?", "generation": -1 })).await;
    assert!(refused.status.is_client_error());
    // Deleted: what was open is not asked any more.
    acme.delete("/api/v1/generations/1").await;
    ask(&acme, 1).await.problem(404, "not_found");
    acme.reindex().await;
    let folder = app.root().generation("acme", 2).join("tantivy");
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|ending| ending == "store") {
            let mut bytes = std::fs::read(&file).unwrap();
            bytes[8] ^= 0xff;
            std::fs::remove_file(&file).unwrap();
            std::fs::write(&file, bytes).unwrap();
        }
    }
    ask(&acme, 2).await.problem(409, "generation_damaged");
    ask(&acme, 2).await.problem(404, "not_found");
    assert!(said(&acme.ask("What is the okapi budget?").await.ok()).contains("eleven"));
}

#[tokio::test]
async fn a_comparison_shows_what_entered_left_and_moved_between_two_generations() {
    let app = memos().await;
    let acme = app.tenant("acme").await;
    acme.upload("notes.md", "The okapi budget was discussed: the okapi budget is a budget.").await;
    let body = json!({ "query": "okapi budget", "mode": "bm25" });
    let compared = acme.post("/api/v1/generations/1/compare?with=2", body.clone()).await.ok();
    let generations = (&compared["from"]["index"]["generation"], &compared["to"]["index"]["generation"]);
    assert_eq!((generations, &compared["by"]), ((&json!(1), &json!(2)), &json!("chunk")));
    let change = |id: &str| {
        let changes = compared["changes"].as_array().unwrap();
        changes.iter().find(|one| one["id"] == id).unwrap_or_else(|| panic!("{compared}")).clone()
    };
    assert_eq!(change("notes.md#0")["change"], "entered");
    assert!(change("memo.md#0")["from_rank"].is_u64() && change("memo.md#0")["to_rank"].is_u64());
    assert!((compared["overlap"].as_f64().unwrap() - 0.5).abs() < 1e-9, "{compared}");
    let same = acme.post("/api/v1/generations/2/compare", body.clone()).await.ok();
    assert_eq!((same["overlap"].as_f64(), &same["changes"][0]["change"]), (Some(1.0), &json!("stayed")));
    acme.post("/api/v1/generations/9/compare", body.clone()).await.problem(404, "not_found");
    acme.post("/api/v1/generations/1/compare?with=9", body).await.problem(404, "not_found");
}

#[tokio::test]
async fn many_who_look_back_at_once_hinder_nobody_and_see_one_generation_each() {
    let app = memos().await;
    let callers = (0..12).map(|at| {
        let app = &app;
        async move {
            let acme = app.tenant("acme").await;
            let answer = if at % 3 == 0 { acme.ask("What is the okapi budget?").await } else { ask(&acme, 1).await };
            (at % 3 == 0, answer.ok())
        }
    });
    for (serving, answer) in futures_util::future::join_all(callers).await {
        let (word, generation) = if serving { ("eleven", 2) } else { ("seven", 1) };
        assert!(said(&answer).contains(word), "{answer}");
        assert_eq!(answer["index"]["generation"], generation);
    }
    let acme = app.tenant("acme").await;
    acme.post("/api/v1/generations/1/activate", json!({})).await.ok();
    assert!(said(&ask(&acme, 1).await.ok()).contains("eleven"), "it serves with the documents as they are now");
    assert!(said(&ask(&acme, 2).await.ok()).contains("eleven"));
}

//! Changes of settings that make another index necessary: seen, foretold, and made without a stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::harness::{Caller, GENEROUS, Root, TestApp};
use crate::vectors::Vectors;

fn library(root: Root) -> Root {
    for number in 0..40 {
        let text = format!(
            "# Shelf {number}\n\nThe herd of shelf {number} grazes by the lake.\n\n# More\n\nIt rests at noon."
        );
        root.write(&format!("documents/acme/d{number}.md"), &text);
    }
    root
}

async fn edit(app: &TestApp, settings: &str) {
    app.root().write("tenants/acme.toml", &format!("{GENEROUS}{settings}"));
    app.operator().await.post("/api/v1/tenants/reload", json!({})).await.ok();
}

async fn forecast(caller: &Caller<'_>, more: &str) -> Value {
    caller.post(&format!("/api/v1/reindex?dry_run=true{more}"), json!({})).await.ok()
}

async fn outdated(app: &TestApp) -> Vec<String> {
    let tenant = app.operator().await.get("/api/v1/tenants/acme").await.ok();
    serde_json::from_value(tenant["outdated"].clone()).unwrap()
}

#[tokio::test]
async fn a_dry_run_tells_what_the_run_then_does_and_changes_nothing() {
    let vectors = Vectors::start(96).await;
    let root = library(Root::new().tenant("acme", "", &[]));
    root.write("carrel.toml", &format!("{}price_per_million_tokens = 500.0\n", vectors.settings()));
    let app = root.start().await;
    let caller = app.tenant("acme").await;
    // A generation that is built at once takes less room than one that documents joined in rounds.
    caller.reindex().await;
    let same = forecast(&caller, "").await;
    assert_eq!(
        (&same["documents_unchanged"], &same["texts_embedded"], &same["cost"]),
        (&json!(40), &json!(0), &Value::Null)
    );

    app.root().write("documents/acme/d3.md", "# Shelf 3\n\nThe herd has moved to the hills.");
    app.root().write("documents/acme/new.md", "# New\n\nA shelf that nobody knew.");
    std::fs::remove_file(app.root().path().join("documents/acme/d5.md")).unwrap();
    let part = forecast(&caller, "").await;
    assert_eq!(part["documents_added"], json!({ "count": 1, "ids": ["new.md"] }));
    assert_eq!(part["documents_changed"], json!({ "count": 1, "ids": ["d3.md"] }));
    assert_eq!(part["documents_removed"], json!({ "count": 1, "ids": ["d5.md"] }));
    assert_eq!(part["documents_unchanged"], 38);

    let fresh = forecast(&caller, "&fresh=true").await;
    assert_eq!(fresh["texts_embedded"], fresh["chunks"]);
    let ticket = caller.post("/api/v1/reindex?fresh=true", json!({})).await.ok();
    let run = caller.job(ticket["job_id"].as_str().unwrap()).await;
    assert_eq!(fresh["texts_embedded"], run["counts"]["texts_embedded"]);
    let list = caller.get("/api/v1/generations").await.ok();
    for (told, is) in [("model_tokens", &run["counts"]["model_tokens"]), ("bytes", &list["data"][0]["bytes"])] {
        let (told, is) = (fresh[told].as_f64().unwrap(), is.as_f64().unwrap());
        assert!((told - is).abs() <= 0.05 * is, "foretold {told}, and it is {is}");
    }

    edit(&app, "[retrieval]\nembedder = \"mock/vectors\"\n").await;
    let (before, jobs) = (vectors.texts(), caller.get("/api/v1/jobs").await.ok());
    let all = forecast(&caller, "").await;
    assert!(vectors.texts() - before <= 1, "one text may be asked for its vector's length");
    assert_eq!(caller.get("/api/v1/jobs").await.ok(), jobs);
    assert_eq!(caller.get("/api/v1/generations").await.ok()["data"].as_array().unwrap().len(), 2);
    assert_eq!((&all["documents_unchanged"], &all["documents_changed"]["count"]), (&json!(0), &json!(40)));
    let run = caller.reindex().await;
    for count in ["chunks", "texts_embedded"] {
        assert_eq!(all[count], run["counts"][count], "{count}");
    }
    let cost = all["cost"].as_f64().unwrap();
    assert!((cost - all["model_tokens"].as_f64().unwrap() * 500.0 / 1e6).abs() < 1e-9);
    assert!(all["bytes"].as_u64().unwrap() > 0);
    assert!(forecast(&caller, "&fresh=true").await["seconds"].as_f64().is_some(), "the pace of the run is known now");
}

#[tokio::test]
async fn an_index_that_the_settings_have_left_behind_says_so_and_goes_on_as_it_was_made() {
    let app = library(Root::new().tenant("acme", "", &[])).start().await;
    let caller = app.tenant("acme").await;
    assert_eq!(outdated(&app).await, [""; 0]);
    edit(&app, "[chunking]\nmax_tokens = 32\noverlap_tokens = 0\n").await;
    let reasons = outdated(&app).await;
    assert!(reasons.len() == 1 && reasons[0].contains("max=32"), "{reasons:?}");
    let long = "The quagga herd grazes by the lake in the long evening of the northern summer. ".repeat(8);
    let job = caller.upload("long.md", long.clone()).await;
    let before = job["counts"]["chunks"].as_u64().unwrap();
    caller.reindex().await;
    assert_eq!(outdated(&app).await, [""; 0]);
    let after = caller.get("/api/v1/documents/long.md").await.ok()["chunks"].as_u64().unwrap();
    assert!(after > before, "it was cut as its generation is until the rebuild: {before}, {after}");
}

#[tokio::test]
async fn another_embedder_of_another_dimension_takes_over_while_questions_are_answered() {
    let vectors = Vectors::start(96).await;
    let root = library(Root::new().tenant("acme", "", &[]));
    root.write("carrel.toml", &vectors.settings());
    let app = root.start().await;
    let caller = app.tenant("acme").await;
    edit(&app, "[retrieval]\nembedder = \"mock/vectors\"\n").await;
    assert!(outdated(&app).await[0].contains("mock/vectors"));
    let over = Arc::new(AtomicBool::new(false));
    let asking = async {
        let mut seen = std::collections::BTreeSet::new();
        while !over.load(Ordering::SeqCst) {
            let reply = caller.post("/api/v1/search", json!({ "query": "Where does herd 7 graze?" })).await.ok();
            assert_eq!(reply["degraded"], json!([]), "each generation is asked with its own embedder: {reply}");
            assert!(!reply["hits"].as_array().unwrap().is_empty());
            seen.insert(reply["index"]["generation"].as_u64().unwrap());
        }
        seen
    };
    let building = async {
        let job = app.tenant("acme").await.reindex().await;
        let reply = caller.post("/api/v1/search", json!({ "query": "Where does herd 7 graze?" })).await.ok();
        assert_eq!(reply["index"]["generation"], 2);
        over.store(true, Ordering::SeqCst);
        job
    };
    let (seen, job) = tokio::join!(asking, building);
    assert_eq!(job["state"], "done", "{job}");
    assert!(seen.iter().all(|generation| [1, 2].contains(generation)), "{seen:?}");
    let list = caller.get("/api/v1/generations").await.ok();
    let dimensions: Vec<u64> =
        list["data"].as_array().unwrap().iter().map(|one| one["dimension"].as_u64().unwrap()).collect();
    assert_eq!(dimensions, [96, 64]);
    caller.post("/api/v1/generations/1/activate", json!({})).await.ok();
    let reply = caller.post("/api/v1/search", json!({ "query": "Where does herd 7 graze?" })).await.ok();
    assert_eq!((&reply["index"]["generation"], &reply["degraded"]), (&json!(1), &json!([])));
}

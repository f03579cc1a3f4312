//! Tenants that come and go, indexes that are damaged, processes that meet.

use std::fs;

use carrel::app::{App, Twins};
use carrel::config::Config;
use serde_json::json;

use crate::harness::{Root, eventually, hashed, worker};

const APPLES: &[(&str, &str)] = &[("a.md", "# A\n\nThe apple harvest begins in autumn.\n")];

#[tokio::test]
async fn a_warm_boot_opens_the_index_and_embeds_nothing() {
    let app = Root::new().tenant("acme", "", APPLES).start().await;
    let root = app.end().await;
    let app = root.start().await;
    assert_eq!(app.desk("acme").status().generation, 1);
    assert_eq!(app.tenant("acme").await.get("/api/v1/jobs").await.ok()["data"].as_array().unwrap().len(), 1);
    app.tenant("acme").await.ask("apple harvest").await.ok();
}

#[tokio::test]
async fn an_operator_adds_and_removes_tenants_while_others_answer() {
    let app = Root::new().tenant("acme", "", APPLES).start().await;
    let operator = app.operator().await;
    operator
        .post(
            "/api/v1/tenants",
            json!({ "id": "fresh", "settings": { "name": "Fresh", "limits": { "burst": 100_000 } } }),
        )
        .await
        .ok();
    operator.post("/api/v1/tenants", json!({ "id": "fresh" })).await.problem(409, "tenant_exists");
    operator.post("/api/v1/tenants", json!({ "id": "../x" })).await.problem(422, "invalid_body");
    operator
        .post("/api/v1/tenants", json!({ "id": "bad", "settings": { "nmae": 1 } }))
        .await
        .problem(422, "invalid_settings");
    let fresh = app.tenant("fresh").await;
    eventually(|| async { app.desk("fresh").status().answers.then_some(()) }).await;
    fresh.upload("x.txt", "The quick onyx goblin jumps.").await;
    operator.delete("/api/v1/tenants/fresh").await.ok();
    assert!(matches!(fresh.ask("goblin").await.status.as_u16(), 401 | 404));
    for gone in ["tenants/fresh.toml", "documents/fresh", "data/fresh"] {
        assert!(!app.root().path().join(gone).exists(), "{gone}");
    }
    operator.post("/api/v1/tenants", json!({ "id": "fresh" })).await.ok();
    eventually(|| async { app.desk("fresh").status().answers.then_some(()) }).await;
    let again = app.tenant("fresh").await;
    assert_eq!(again.get("/api/v1/documents").await.ok()["data"], json!([]));
    app.tenant("acme").await.ask("apple harvest").await.ok();
}

#[tokio::test]
async fn one_tenant_with_a_wrong_file_leaves_the_others_alone() {
    let mut root = Root::new().tenant("broken", "[limits]\nbrust = 3\n", &[]);
    for at in 0..4 {
        root = root.tenant(&format!("t{at}"), "", APPLES);
    }
    let app = root.start().await;
    assert_eq!(app.state.tenants.ready(), (4, 5));
    let list = app.operator().await.get("/api/v1/tenants").await.ok();
    let broken = list["data"].as_array().unwrap().iter().find(|tenant| tenant["id"] == "broken").unwrap();
    assert!(broken.to_string().contains("did you mean `burst`"), "{broken}");
    app.tenant("t2").await.ask("apple harvest").await.ok();
    assert!(app.anonymous().get("/readyz").await.status.is_success());
}

#[tokio::test]
async fn a_damaged_index_is_found_and_rebuilt_from_the_documents() {
    let app = Root::new().tenant("acme", "", APPLES).tenant("other", "", APPLES).start().await;
    let root = app.end().await;
    let folder = root.generation("acme", 1);
    let largest = walk(&folder).into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&largest, bytes).unwrap();
    let app = root.start().await;
    eventually(|| async { (app.desk("acme").status().generation > 1).then_some(()) }).await;
    let acme = app.tenant("acme").await;
    assert!(acme.ask("apple harvest").await.ok()["answer"].as_str().unwrap().contains("autumn"));
    assert!(app.desk("acme").status().errors.iter().any(|(_, words)| words.contains("damaged")));
    assert_eq!(app.desk("other").status().generation, 1);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_refuses_to_start() {
    let app = Root::new().tenant("acme", "", APPLES).start().await;
    let config = Config::load(app.root().path()).unwrap();
    let twins = Twins { builtin: Some(hashed()), worker: Some(worker()), ..Twins::default() };
    let refused = App::build_with(config, twins).await.err().expect("it started").to_string();
    assert!(refused.contains("another Carrel"), "{refused}");
    app.tenant("acme").await.ask("apple harvest").await.ok();
}

#[tokio::test]
async fn every_answer_during_rebuilds_comes_from_exactly_one_generation() {
    let app = Root::new().tenant("acme", "", APPLES).start().await;
    let acme = app.tenant("acme").await;
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let done = tokio_util::sync::CancellationToken::new();
    let ask = async {
        let mut last = 0;
        while !done.is_cancelled() {
            let answer = acme.ask("When does the apple harvest begin?").await.ok();
            let generation = answer["index"]["generation"].as_u64().unwrap();
            assert!(generation >= last, "went back from {last} to {generation}");
            assert!(
                answer["citations"].as_array().unwrap().iter().all(|citation| citation["generation"] == generation)
            );
            last = generation;
            asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    };
    let rebuild = async {
        for _ in 0..5 {
            acme.reindex().await;
        }
        done.cancel();
    };
    tokio::join!(ask, rebuild);
    assert_eq!(app.desk("acme").status().generation, 6);
    assert!(asked.into_inner() > 5);
    let list = acme.get("/api/v1/generations").await.ok();
    assert_eq!(list["data"].as_array().unwrap().len(), 2, "two generations are kept");
}

#[tokio::test]
async fn a_removal_that_was_cut_off_is_finished_at_the_next_start() {
    let app = Root::new().tenant("acme", "", APPLES).start().await;
    let root = app.end().await;
    root.write("data/.removing-acme", "");
    let app = root.start().await;
    assert_eq!(app.state.tenants.ready(), (0, 0));
    assert!(!app.root().path().join("documents/acme").exists());
}

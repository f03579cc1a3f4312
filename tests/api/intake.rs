//! Documents on their way in: cancelled, deleted, replaced, small beside large, through an outage, into a first build.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Caller, GENEROUS, Root, TestApp, eventually};
use crate::vectors::Vectors;

/// So long a call takes that a large document, which needs a hundred of them, does not end while a test looks.
const SLOW: Duration = Duration::from_millis(300);

/// A text of several hundred chunks.
fn large() -> String {
    let line = |at: usize| {
        format!("Paragraph {at}. The plate of lot {at} was sold for 21 crowns to buyer number 49 in the year 1907.\n\n")
    };
    (0..6_000).map(line).collect()
}

/// Settings of a provider that takes few texts at once, so that a large document needs many calls.
fn narrow(vectors: &Vectors) -> String {
    format!("{}batch_size = 8\nmax_concurrent = 4\n", vectors.settings())
}

/// A tenant whose vectors come from a provider.
async fn start(vectors: &Vectors) -> TestApp {
    let settings = format!("{GENEROUS}[retrieval]\nembedder = \"mock/vectors\"\n");
    let root = Root::new().tenant("acme", &settings, &[("a.md", "The apple harvest begins in autumn.")]);
    root.write("carrel.toml", &narrow(vectors));
    root.start().await
}

fn job_of(reply: &Value) -> String {
    reply["job_id"].as_str().unwrap().to_owned()
}

/// Uploads the large text and waits until some of it is embedded; returns its job.
async fn under_way(caller: &Caller<'_>) -> String {
    let job = job_of(&caller.send_file("large.txt", large()).await.ok());
    embedding(caller, &job).await;
    job
}

/// Waits until a job's document is being embedded; returns the job.
async fn embedding(caller: &Caller<'_>, job: &str) -> Value {
    eventually(|| async {
        let job = caller.get(&format!("/api/v1/jobs/{job}")).await.ok();
        let some = job["counts"]["chunks_embedded"].as_u64().is_some_and(|embedded| embedded > 0);
        (job["stage"] == "embed" && some).then_some(job)
    })
    .await
}

async fn found(caller: &Caller<'_>, words: &str) -> bool {
    let reply = caller.post("/api/v1/search", json!({ "query": words, "mode": "bm25" })).await.ok();
    let has = |hit: &Value| words.split(' ').all(|word| hit["text"].as_str().unwrap().contains(word));
    reply["hits"].as_array().unwrap().iter().any(has)
}

/// Waits until the provider is asked for nothing any more.
async fn quiet(vectors: &Vectors) {
    eventually(|| async {
        let before = vectors.texts();
        tokio::time::sleep(SLOW * 3).await;
        (vectors.texts() == before).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_document_is_live_while_a_large_one_is_embedded_and_its_job_tells_how_far_it_is() {
    let vectors = Vectors::start(64).await;
    let app = start(&vectors).await;
    let caller = app.tenant("acme").await;
    vectors.answer_after(SLOW);
    let job = under_way(&caller).await;
    let small = caller.upload("zz-small.md", "The okapi budget is seven.").await;
    assert_eq!(small["state"], "done", "{small}");
    assert!(found(&caller, "okapi budget").await);
    let running = caller.get(&format!("/api/v1/jobs/{job}")).await.ok();
    assert_eq!((&running["state"], &running["stage"]), (&json!("running"), &json!("embed")), "{running}");
    let share = running["share"].as_f64().unwrap();
    assert!(share > 0.0 && share < 1.0, "{running}");
    let document = caller.get("/api/v1/documents/large.txt").await.ok();
    assert_eq!((&document["state"], &document["stage"]), (&json!("working"), &json!("embed")), "{document}");
    let progress = &document["progress"];
    assert!(progress["chunks_embedded"].as_u64() < progress["chunks"].as_u64(), "{document}");
    let working = caller.get("/api/v1/documents?state=working").await.ok();
    assert_eq!(working["data"][0]["id"], "large.txt", "{working}");
    vectors.answer_after(Duration::ZERO);
    let done = caller.job(&job).await;
    assert_eq!((&done["state"], &done["share"]), (&json!("done"), &json!(1.0)), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingestion_that_is_cancelled_stops_and_holds_up_nothing() {
    let vectors = Vectors::start(64).await;
    let app = start(&vectors).await;
    let caller = app.tenant("acme").await;
    vectors.answer_after(SLOW);
    let job = under_way(&caller).await;
    let cancelled = caller.post(&format!("/api/v1/jobs/{job}/cancel"), json!({})).await.ok();
    assert_eq!(cancelled["state"], "cancelled", "{cancelled}");
    quiet(&vectors).await;
    let document = caller.get("/api/v1/documents/large.txt").await.ok();
    assert_eq!((&document["state"], &document["error"]["code"]), (&json!("failed"), &json!("cancelled")));
    assert_eq!(caller.upload("small.md", "The okapi budget is seven.").await["state"], "done");
    assert!(!found(&caller, "plate lot").await);
    vectors.answer_after(Duration::ZERO);
    caller.post(&format!("/api/v1/jobs/{job}/retry"), json!({})).await.ok();
    assert_eq!(caller.job(&job).await["state"], "done");
    assert!(found(&caller, "plate lot").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_deleted_or_replaced_under_way_is_worked_on_no_more() {
    let vectors = Vectors::start(64).await;
    let app = start(&vectors).await;
    let caller = app.tenant("acme").await;
    vectors.answer_after(SLOW);
    let deleted = under_way(&caller).await;
    caller.delete("/api/v1/documents/large.txt").await.ok();
    assert_eq!(caller.job(&deleted).await["state"], "cancelled");
    quiet(&vectors).await;
    let replaced = under_way(&caller).await;
    let newer = caller.upload("large.txt", "The walrus sleeps on the ice.").await;
    assert_eq!(newer["state"], "done", "{newer}");
    assert_eq!(caller.job(&replaced).await["state"], "done");
    quiet(&vectors).await;
    assert!(found(&caller, "walrus sleeps").await && !found(&caller, "plate lot").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_removed_under_way_is_worked_for_no_more() {
    let vectors = Vectors::start(64).await;
    let app = start(&vectors).await;
    vectors.answer_after(SLOW);
    under_way(&app.tenant("acme").await).await;
    app.operator().await.delete("/api/v1/tenants/acme").await.ok();
    quiet(&vectors).await;
    assert!(!app.root().path().join("documents/acme").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_deleted_during_a_rebuild_is_worked_on_no_more() {
    let vectors = Vectors::start(64).await;
    let app = start(&vectors).await;
    let caller = app.tenant("acme").await;
    caller.upload("large.txt", large()).await;
    vectors.answer_after(SLOW);
    let before = vectors.texts();
    let job = job_of(&caller.post("/api/v1/reindex?fresh=true", json!({})).await.ok());
    eventually(|| async { (vectors.texts() > before + 64).then_some(()) }).await;
    caller.delete("/api/v1/documents/large.txt").await.ok();
    let done = caller.job(&job).await;
    assert_eq!(done["state"], "done", "{done}");
    assert!(found(&caller, "apple harvest").await && !found(&caller, "plate lot").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_provider_is_waited_out_and_told_over_a_restart_too() {
    let vectors = Vectors::start(64).await;
    let app = start(&vectors).await;
    let caller = app.tenant("acme").await;
    caller.upload("known.md", "The walrus sleeps on the ice.").await;
    vectors.fail(true);
    let late = job_of(&caller.send_file("late.md", "The okapi budget is seven.").await.ok());
    let waiting = eventually(|| async {
        let document = caller.get("/api/v1/documents/late.md").await.ok();
        (!document["error"].is_null()).then_some(document)
    })
    .await;
    assert_eq!((&waiting["state"], &waiting["error"]["code"]), (&json!("working"), &json!("embedder_unavailable")));
    let job = eventually(|| async {
        let job = caller.get(&format!("/api/v1/jobs/{late}")).await.ok();
        (!job["error"].is_null()).then_some(job)
    })
    .await;
    assert_eq!((&job["state"], &job["error"]["code"]), (&json!("running"), &json!("embedder_unavailable")));
    // What needs no vector is held up by nothing.
    assert_eq!(caller.upload("copy.md", "The walrus sleeps on the ice.").await["state"], "done");
    caller.delete("/api/v1/documents/known.md").await.ok();
    let app = app.end().await.start().await;
    let caller = app.tenant("acme").await;
    vectors.fail(false);
    assert_eq!(caller.job(&late).await["state"], "done");
    assert!(found(&caller, "okapi budget").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_build_answers_from_what_it_has_and_says_so() {
    let vectors = Vectors::start(64).await;
    vectors.answer_after(SLOW);
    let settings = format!("{GENEROUS}[retrieval]\nembedder = \"mock/vectors\"\n");
    let text = large();
    let root = Root::new().tenant("acme", &settings, &[("large.txt", &text)]);
    let root = root.tenant("acme", &settings, &[("a.md", "The apple harvest begins in autumn.")]);
    root.write("carrel.toml", &narrow(&vectors));
    let app = root.start_unsettled().await;
    let caller = app.tenant("acme").await;
    let answer = eventually(|| async {
        let reply = caller.ask("When does the apple harvest begin?").await;
        let done = reply.body["degraded"][0]["message"].as_str().is_some_and(|said| said.contains("1 of 2 documents"));
        done.then_some(reply.body)
    })
    .await;
    assert_eq!((&answer["degraded"][0]["code"], &answer["outcome"]), (&json!("index_incomplete"), &json!("answered")));
    assert_eq!(app.state.tenants.ready(), (0, 1));
    // Others join it, and a delete is in force at once.
    assert_eq!(caller.upload("b.md", "The walrus sleeps on the ice.").await["state"], "done");
    caller.delete("/api/v1/documents/b.md").await.ok();
    assert!(!found(&caller, "walrus sleeps").await);
    let root = app.end().await;
    let before = vectors.texts();
    let app = root.start_unsettled().await;
    let caller = app.tenant("acme").await;
    assert!(found(&caller, "apple harvest").await);
    vectors.answer_after(Duration::ZERO);
    eventually(|| async { (app.state.tenants.ready() == (1, 1)).then_some(()) }).await;
    assert!(found(&caller, "plate lot").await);
    let jobs = caller.get("/api/v1/jobs?kind=reindex").await.ok();
    assert_eq!(jobs["data"].as_array().unwrap().len(), 1, "{jobs}");
    let job = caller.job(jobs["data"][0]["id"].as_str().unwrap()).await;
    assert_eq!((&job["state"], &job["generation"]), (&json!("done"), &json!(1)), "{job}");
    assert!(vectors.texts() > before);
    let answer = caller.ask("When does the apple harvest begin?").await.ok();
    assert_eq!(answer["degraded"], json!([]), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_build_that_cannot_be_made_says_why_and_is_made_once_it_can() {
    let vectors = Vectors::start(64).await;
    vectors.fail(true);
    let settings = format!("{GENEROUS}[retrieval]\nembedder = \"mock/vectors\"\n");
    let root = Root::new().tenant("acme", &settings, &[("a.md", "The apple harvest begins in autumn.")]);
    root.write("carrel.toml", &narrow(&vectors));
    let app = root.start().await;
    let caller = app.tenant("acme").await;
    let problem = caller.ask("When does the apple harvest begin?").await.problem(503, "tenant_index_failed");
    assert!(problem["detail"].as_str().unwrap().contains("embedding provider `mock`"), "{problem}");
    let jobs = caller.get("/api/v1/jobs").await.ok();
    assert_eq!(jobs["data"][0]["error"]["code"], "embedder_unavailable", "{jobs}");
    caller.send_file("b.md", "The walrus sleeps on the ice.").await.ok();
    vectors.fail(false);
    eventually(|| async { (app.state.tenants.ready() == (1, 1)).then_some(()) }).await;
    eventually(|| async { found(&caller, "walrus sleeps").await.then_some(()) }).await;
    let jobs = caller.get("/api/v1/jobs?kind=reindex").await.ok();
    assert_eq!(jobs["data"].as_array().unwrap().len(), 1, "attempts are of one job: {jobs}");
}

//! Jobs that tell the truth: followed, cancelled, retried, taken up again; and deletes that leave nothing behind.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use carrel::actors::{Fault, Faults, Place};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Caller, GENEROUS, Reply, Root, TestApp, eventually};
use crate::vectors::Vectors;

const DOCUMENTS: usize = 200;

/// Many documents of some chunks each: a build of them is kept in the middle.
fn many(root: Root) -> Root {
    for number in 0..DOCUMENTS {
        let section =
            |part: usize| format!("# Part {part}\n\nThe herd {number} of part {part} grazes by the lake.\n\n");
        let text: String = (0..12).map(section).collect();
        root.write(&format!("documents/acme/d{number}.md"), &text);
    }
    root
}

/// Faults that hang every build of `acme` while they are wanted.
#[derive(Clone, Default)]
struct Hanging {
    /// At once.
    at_once: Arc<AtomicBool>,
    /// As soon as something of the build is kept.
    once_kept: Arc<AtomicBool>,
}

impl Hanging {
    fn hook(&self, root: &Root) -> Faults {
        let (wanted, current) = (self.clone(), root.path().join("data/acme/current"));
        Faults::new(move |_, at| {
            let hangs =
                wanted.at_once.load(Ordering::SeqCst) || (wanted.once_kept.load(Ordering::SeqCst) && is_kept(&current));
            (at == Place::DuringBuild && hangs).then_some(Fault::Hang)
        })
    }
}

/// Whether something of a build is kept for the next.
fn is_kept(current: &Path) -> bool {
    std::fs::read_to_string(current).is_ok_and(|current| current.contains("partial"))
}

/// Starts a build that hangs once some of it is kept; returns its job.
async fn half_built(app: &TestApp, caller: &Caller<'_>, hanging: &Hanging) -> String {
    hanging.once_kept.store(true, Ordering::SeqCst);
    // A fresh build takes nothing over, so that all of it has to be made again.
    let ticket = caller.post("/api/v1/reindex?fresh=true", json!({})).await.ok();
    let current = app.root().path().join("data/acme/current");
    eventually(|| async { is_kept(&current).then_some(()) }).await;
    ticket["job_id"].as_str().unwrap().to_owned()
}

async fn reindex(caller: &Caller<'_>) -> String {
    let ticket = caller.post("/api/v1/reindex", json!({})).await.ok();
    ticket["job_id"].as_str().unwrap().to_owned()
}

async fn until_state(caller: &Caller<'_>, job: &str, state: &str) -> Value {
    eventually(|| async {
        let job = caller.get(&format!("/api/v1/jobs/{job}")).await.ok();
        (job["state"] == state).then_some(job)
    })
    .await
}

fn number(job: &Value, count: &str) -> u64 {
    job["counts"][count].as_u64().unwrap()
}

#[tokio::test]
async fn a_build_that_is_cancelled_stops_at_once_and_its_retry_embeds_nothing_twice() {
    let hanging = Hanging::default();
    let root = many(Root::new().tenant("acme", "", &[("a.md", "The apple harvest begins in autumn.")]));
    let faults = hanging.hook(&root);
    let app = root.start_with(|_| {}, faults).await;
    let acme = app.tenant("acme").await;
    let id = half_built(&app, &acme, &hanging).await;
    let begun = Instant::now();
    let cancelled = acme.post(&format!("/api/v1/jobs/{id}/cancel"), json!({})).await.ok();
    assert_eq!(cancelled["state"], "cancelled");
    assert!(begun.elapsed().as_secs() < 2);
    assert_eq!(acme.ask("When does the apple harvest begin?").await.ok()["index"]["generation"], 1);
    acme.post(&format!("/api/v1/jobs/{id}/cancel"), json!({})).await.problem(409, "job_not_cancellable");

    hanging.once_kept.store(false, Ordering::SeqCst);
    let retried = acme.post(&format!("/api/v1/jobs/{id}/retry"), json!({})).await;
    assert_eq!((retried.status, &retried.body["job_id"]), (StatusCode::ACCEPTED, &json!(id)));
    let job = acme.job(&id).await;
    assert_eq!((&job["state"], &job["attempts"]), (&json!("done"), &json!(2)), "{job}");
    assert!(number(&job, "documents_reused") > 0, "{job}");
    assert!(number(&job, "texts_embedded") <= number(&job, "chunks") - 512, "{job}");
    acme.post(&format!("/api/v1/jobs/{id}/retry"), json!({})).await.problem(409, "job_not_retryable");
}

#[tokio::test]
async fn a_build_that_a_stop_cut_short_goes_on_from_what_it_had() {
    let vectors = Vectors::start(64).await;
    let hanging = Hanging::default();
    let settings = format!("{GENEROUS}[retrieval]\nembedder = \"mock/vectors\"\n");
    let root = many(Root::new().tenant("acme", &settings, &[]));
    root.write("carrel.toml", &vectors.settings());
    let faults = hanging.hook(&root);
    let app = root.start_with(|_| {}, faults).await;
    let id = half_built(&app, &app.tenant("acme").await, &hanging).await;
    let root = app.end().await;
    let before = vectors.texts();
    let app = root.start().await;
    let job = app.tenant("acme").await.job(&id).await;
    assert_eq!((&job["state"], &job["attempts"]), (&json!("done"), &json!(2)), "{job}");
    let again = number(&job, "texts_embedded");
    assert!(again <= number(&job, "chunks") - 512, "{job}");
    // One text is asked for after a start, to learn its vector's length.
    assert!(vectors.texts() - before <= again + 1, "{job}");
}

#[tokio::test]
async fn a_provider_that_fails_pauses_a_build_which_goes_on_when_it_is_back() {
    let vectors = Vectors::start(96).await;
    let settings = format!("{GENEROUS}[retrieval]\nembedder = \"mock/vectors\"\n");
    let root = many(Root::new().tenant("acme", &settings, &[]));
    root.write("carrel.toml", &vectors.settings());
    let app = root.start().await;
    let acme = app.tenant("acme").await;
    let before = vectors.texts();
    vectors.fail(true);
    let ticket = acme.post("/api/v1/reindex?fresh=true", json!({})).await.ok();
    let id = ticket["job_id"].as_str().unwrap();
    let waiting = eventually(|| async {
        let job = acme.get(&format!("/api/v1/jobs/{id}")).await.ok();
        (!job["error"].is_null()).then_some(job)
    })
    .await;
    assert_eq!((&waiting["state"], &waiting["error"]["code"]), (&json!("running"), &json!("embedder_unavailable")));
    let hits = acme.post("/api/v1/search", json!({ "query": "herd 7", "mode": "bm25" })).await.ok();
    assert!(!hits["hits"].as_array().unwrap().is_empty(), "what served goes on serving");
    vectors.fail(false);
    let job = acme.job(id).await;
    assert_eq!((&job["state"], &job["error"]), (&json!("done"), &Value::Null), "{job}");
    // One text is asked for ahead of a build, to learn its vector's length.
    assert_eq!(vectors.texts() - before, number(&job, "texts_embedded") + 1, "no text was embedded twice");
}

#[tokio::test]
async fn a_waiting_rebuild_is_joined_only_by_one_like_it_and_can_be_cancelled() {
    let hanging = Hanging::default();
    let root = Root::new().tenant("acme", "", &[("a.md", "Apples.")]);
    let faults = hanging.hook(&root);
    let app = root.start_with(|_| {}, faults).await;
    let acme = app.tenant("acme").await;
    hanging.at_once.store(true, Ordering::SeqCst);
    let running = reindex(&acme).await;
    let waiting = reindex(&acme).await;
    assert_ne!(running, waiting);
    assert_eq!(reindex(&acme).await, waiting, "one that waits is joined");
    acme.post("/api/v1/reindex?fresh=true", json!({})).await.problem(409, "other_rebuild_waits");
    acme.post(&format!("/api/v1/jobs/{waiting}/cancel"), json!({})).await.ok();
    until_state(&acme, &waiting, "cancelled").await;
    acme.post(&format!("/api/v1/jobs/{running}/cancel"), json!({})).await.ok();
    until_state(&acme, &running, "cancelled").await;
    hanging.at_once.store(false, Ordering::SeqCst);
    assert_eq!(acme.reindex().await["state"], "done");
}

#[tokio::test]
async fn jobs_of_others_are_neither_cancelled_nor_retried_nor_followed() {
    let app = Root::new().tenant("acme", "", &[("a.md", "Apples.")]).tenant("other", "", &[]).start().await;
    let (acme, other) = (app.tenant("acme").await, app.tenant("other").await);
    let id = acme.reindex().await["id"].as_str().unwrap().to_owned();
    for verb in ["cancel", "retry"] {
        other.post(&format!("/api/v1/jobs/{id}/{verb}"), json!({})).await.problem(404, "not_found");
    }
    other.get(&format!("/api/v1/jobs/{id}/events")).await.problem(404, "not_found");
}

/// The events of a stream that ends: names, ids, data.
fn events(text: &str) -> Vec<(String, String, Value)> {
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_default().to_owned()
    };
    let blocks = text.split("\n\n").filter(|block| block.contains("data: "));
    blocks
        .map(|block| (field(block, "event"), field(block, "id"), serde_json::from_str(&field(block, "data")).unwrap()))
        .collect()
}

#[tokio::test]
async fn a_job_is_followed_to_its_end_and_a_client_that_comes_back_is_told_what_is_new() {
    let app = many(Root::new().tenant("acme", "", &[])).start().await;
    let acme = app.tenant("acme").await;
    let id = reindex(&acme).await;
    let path = format!("/api/v1/jobs/{id}/events");
    let reply = acme.get(&path).await;
    assert_eq!(reply.header("content-type"), "text/event-stream");
    let told = events(&reply.text);
    let (name, last, job) = told.last().unwrap();
    assert_eq!((name.as_str(), &job["state"]), ("done", &json!("done")));
    assert_eq!(number(job, "documents_done"), DOCUMENTS as u64);
    assert!(told.iter().rev().skip(1).all(|(name, _, job)| name == "job" && job["state"] != "done"));
    let again = Reply::of(acme.request(Method::GET, &path).header("last-event-id", last)).await;
    assert_eq!(events(&again.text).len(), 1, "the end is told to whoever asks: {}", again.text);
}

#[tokio::test]
async fn only_what_failed_and_is_still_there_is_retried() {
    let app = Root::new().tenant("acme", "", &[("a.md", "Apples.")]).start().await;
    let acme = app.tenant("acme").await;
    let job = acme.upload("b.md", "The quagga herd is grazing.").await;
    let id = job["id"].as_str().unwrap();
    acme.post(&format!("/api/v1/jobs/{id}/cancel"), json!({})).await.problem(409, "job_not_cancellable");
    acme.post(&format!("/api/v1/jobs/{id}/retry"), json!({})).await.problem(409, "job_not_retryable");
    let broken = acme.upload("c.pdf", b"%PDF-1.7 but nothing more".to_vec()).await;
    assert_eq!(broken["state"], "failed");
    let retried = acme.post(&format!("/api/v1/jobs/{}/retry", broken["id"].as_str().unwrap()), json!({})).await.ok();
    let again = acme.job(retried["job_id"].as_str().unwrap()).await;
    assert_eq!((&again["state"], &again["attempts"]), (&json!("failed"), &json!(2)));
    acme.delete("/api/v1/documents/c.pdf").await.ok();
    acme.post(&format!("/api/v1/jobs/{}/retry", broken["id"].as_str().unwrap()), json!({}))
        .await
        .problem(404, "not_found");
}

/// Whether any file under `folder` holds a run of 32 bytes of `text`.
fn anywhere(folder: &Path, text: &str) -> Option<String> {
    let runs: std::collections::HashSet<&[u8]> = text.as_bytes().windows(32).collect();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read(&path).unwrap().windows(32).any(|run| runs.contains(run)) {
                return Some(path.display().to_string());
            }
        }
    }
    None
}

/// Words that no compression makes shorter.
fn noise() -> String {
    let words = (0..400).map(|_| uuid::Uuid::new_v4().simple().to_string());
    words.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_deleted_document_is_in_no_generation_and_after_a_purge_in_no_file() {
    let app = Root::new().tenant("acme", "", &[("a.md", "The apple harvest begins in autumn.")]).start().await;
    let acme = app.tenant("acme").await;
    let secret = noise();
    let word = secret.split(' ').nth(7).unwrap().to_owned();
    acme.upload("secret.md", secret.clone()).await;
    acme.reindex().await;
    let data = app.root().path().join("data");
    assert!(anywhere(&data, &secret).is_some(), "there is nothing to purge, so this shows nothing");
    let removed = acme.delete("/api/v1/documents/secret.md").await.ok();
    let receipt = &removed["receipt"];
    assert_eq!(receipt["stored_bytes"], secret.len());
    let taken: Vec<u64> =
        receipt["generations"].as_array().unwrap().iter().map(|one| one["generation"].as_u64().unwrap()).collect();
    assert_eq!(taken, [2, 1], "{removed}");
    assert_eq!(receipt["unpurged"], json!([2, 1]));
    let job = acme.get(&format!("/api/v1/jobs/{}", removed["job_id"].as_str().unwrap())).await.ok();
    assert_eq!((&job["kind"], &job["state"], &job["receipt"]), (&json!("delete"), &json!("done"), receipt));
    let deletes = acme.get("/api/v1/jobs?kind=delete").await.ok();
    assert_eq!((deletes["data"].as_array().unwrap().len(), &deletes["data"][0]["id"]), (1, &job["id"]));

    let ticket = acme.post("/api/v1/purge", json!({})).await.ok();
    let purged = acme.job(ticket["job_id"].as_str().unwrap()).await;
    assert_eq!((&purged["state"], &purged["receipt"]["unpurged"]), (&json!("done"), &json!([])), "{purged}");
    assert_eq!(anywhere(app.root().path(), &secret), None);

    // Going back brings nothing back, and the rest is still there.
    acme.post("/api/v1/generations/1/activate", json!({})).await.ok();
    let hits = acme.post("/api/v1/search", json!({ "query": word, "mode": "bm25" })).await.ok();
    assert_eq!(hits["hits"], json!([]));
    assert!(acme.ask("When does the apple harvest begin?").await.ok()["answer"].as_str().unwrap().contains("autumn"));
    let app = app.end().await.start().await;
    assert!(app.tenant("acme").await.ask("apple harvest").await.ok()["answer"].as_str().unwrap().contains("autumn"));
}

#[tokio::test]
async fn a_generation_that_cannot_be_changed_is_moved_aside_by_a_delete() {
    let app = Root::new().tenant("acme", "", &[("a.md", "Apples."), ("b.md", "The quagga herd.")]).start().await;
    let acme = app.tenant("acme").await;
    acme.reindex().await;
    std::fs::write(app.root().generation("acme", 1).join("tantivy/meta.json"), "{").unwrap();
    acme.upload("c.md", "The okapi herd.").await;
    let removed = acme.delete("/api/v1/documents/c.md").await.ok();
    assert_eq!(removed["receipt"]["unpurged"], json!([2]), "{removed}");
    acme.post("/api/v1/generations/1/activate", json!({})).await.problem(404, "not_found");
    let hits = acme.post("/api/v1/search", json!({ "query": "quagga", "mode": "bm25" })).await.ok();
    assert_eq!(hits["hits"].as_array().unwrap().len(), 1, "what serves goes on serving");
}

#[tokio::test]
async fn a_tenant_that_is_removed_leaves_no_run_of_its_text() {
    let app: TestApp = Root::new().tenant("acme", "", &[]).tenant("other", "", &[("a.md", "Apples.")]).start().await;
    let secret = noise();
    app.tenant("acme").await.upload("secret.md", secret.clone()).await;
    let data = app.root().path().join("data");
    assert!(anywhere(&data, &secret).is_some());
    app.operator().await.delete("/api/v1/tenants/acme").await.ok();
    assert_eq!(anywhere(app.root().path(), &secret), None);
}

#[tokio::test]
async fn an_ingestion_says_that_its_document_is_read_and_waits_for_its_vectors() {
    let vectors = Vectors::start(64).await;
    let settings = format!("{GENEROUS}[retrieval]\nembedder = \"mock/vectors\"\n");
    let root = Root::new().tenant("acme", &settings, &[("a.md", "The quagga herd grazes by the lake.")]);
    root.write("carrel.toml", &vectors.settings());
    let app = root.start().await;
    let caller = app.tenant("acme").await;
    vectors.answer_after(Duration::from_millis(1500));
    let sent = caller.send_file("memo.md", "The okapi budget is seven.").await.ok();
    let path = &format!("/api/v1/jobs/{}", sent["job_id"].as_str().unwrap());
    let asking = &caller;
    let job = eventually(|| async move {
        let job = asking.get(path).await.ok();
        (job["stage"] != "extract" && job["state"] != "queued").then_some(job)
    })
    .await;
    assert_eq!((&job["stage"], &job["counts"]["documents_read"]), (&json!("embed"), &json!(1)), "{job}");
    vectors.answer_after(Duration::ZERO);
    assert_eq!(caller.job(sent["job_id"].as_str().unwrap()).await["state"], "done");
}

//! What changes while a generation is built, tried or opened, and rounds and documents that fail beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use carrel::actors::{Fault, Faults, Place};
use serde_json::{Value, json};

use crate::harness::{Caller, GENEROUS, Root, TestApp, eventually};

const APPLES: &[(&str, &str)] = &[("a.md", "# A\n\nThe apple harvest begins in autumn.\n")];

/// What is wanted at a place for the tenant `acme`, until something else is.
#[derive(Clone, Default)]
struct Wanted(Arc<Mutex<Option<(Place, Fault)>>>, Arc<Mutex<usize>>);

impl Wanted {
    fn want(&self, wanted: Option<(Place, Fault)>) {
        *self.0.lock().unwrap() = wanted;
        *self.1.lock().unwrap() = 0;
    }

    /// Waits until the place was come to.
    async fn met(&self) {
        eventually(|| async { (*self.1.lock().unwrap() > 0).then_some(()) }).await;
    }

    fn hook(&self) -> Faults {
        let wanted = self.clone();
        Faults::new(move |tenant, at| {
            let mut slot = wanted.0.lock().unwrap();
            let (_, fault) = slot.filter(|(place, _)| tenant.as_str() == "acme" && *place == at)?;
            *wanted.1.lock().unwrap() += 1;
            if fault == Fault::Panic {
                *slot = None;
            }
            Some(fault)
        })
    }
}

async fn start(root: Root) -> (TestApp, Wanted) {
    let wanted = Wanted::default();
    (root.start_with(|_| {}, wanted.hook()).await, wanted)
}

async fn acme() -> (TestApp, Wanted) {
    start(Root::new().tenant("acme", "", APPLES).tenant("other", "", APPLES)).await
}

/// Edits the tenant's settings as a person would, and has them taken over.
async fn edit(app: &TestApp, settings: &str) {
    app.root().write("tenants/acme.toml", &format!("{GENEROUS}{settings}"));
    app.operator().await.post("/api/v1/tenants/reload", json!({})).await.ok();
}

async fn found(caller: &Caller<'_>, words: &str) -> bool {
    let reply = caller.post("/api/v1/search", json!({ "query": words, "mode": "bm25" })).await.ok();
    let has = |hit: &Value| words.split(' ').all(|word| hit["text"].as_str().unwrap().contains(word));
    reply["hits"].as_array().unwrap().iter().any(has)
}

async fn reindex(caller: &Caller<'_>) -> String {
    caller.post("/api/v1/reindex", json!({})).await.ok()["job_id"].as_str().unwrap().to_owned()
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

fn holding(folder: &Path, words: &str) -> Vec<PathBuf> {
    let has = |path: &PathBuf| fs::read(path).unwrap().windows(words.len()).any(|window| window == words.as_bytes());
    walk(folder).into_iter().filter(has).collect()
}

#[tokio::test]
async fn what_comes_and_changes_while_other_settings_take_over_is_found_after_it_and_as_it_is() {
    let (app, wanted) = acme().await;
    let caller = app.tenant("acme").await;
    caller.upload("herd.md", "The quagga herd grazes by the lake.").await;
    edit(&app, "[chunking]\nmax_tokens = 64\noverlap_tokens = 0\n").await;
    wanted.want(Some((Place::BeforePublish, Fault::Pause)));
    let job = reindex(&caller).await;
    wanted.met().await;
    caller.upload("new.md", "The walrus sleeps on the ice.").await;
    caller.upload("herd.md", "The zebra herd grazes by the river.").await;
    wanted.want(None);
    assert_eq!(caller.job(&job).await["state"], "done");
    assert!(!found(&caller, "quagga herd").await, "it answers with words that were replaced");
    eventually(|| async {
        (found(&caller, "walrus sleeps").await && found(&caller, "zebra herd").await).then_some(())
    })
    .await;
    assert_eq!(app.desk("acme").status().generation, 2);
}

#[tokio::test]
async fn a_file_that_changes_during_a_rebuild_is_taken_over_as_it_is() {
    let (app, wanted) = acme().await;
    let caller = app.tenant("acme").await;
    wanted.want(Some((Place::BeforePublish, Fault::Pause)));
    let job = reindex(&caller).await;
    wanted.met().await;
    app.root().write("documents/acme/a.md", "# A\n\nThe cherry harvest begins in summer, and it is short.\n");
    eventually(|| async { found(&caller, "cherry harvest").await.then_some(()) }).await;
    wanted.want(None);
    assert_eq!(caller.job(&job).await["state"], "done");
    assert!(found(&caller, "cherry harvest").await && !found(&caller, "apple harvest").await);
}

#[tokio::test]
async fn what_is_deleted_while_a_generation_is_tried_is_not_in_it_when_it_is_held_back() {
    const SECRET: &str = "the heron keeps its secret in reed bed fourteen";
    let library = "The reading room closes at nine in the evening, and a lost book costs 25 francs to replace, payable at \
                   the desk of the reading room before the end of the month, unless the reader brings another copy of the \
                   same edition within fourteen days, in which case the library waives the fee but keeps a deposit of \
                   five francs for the new labels and the binding.";
    let page = format!("# Library\n\n{library}");
    let (app, wanted) = start(Root::new().tenant("acme", "", &[("library.md", &page)])).await;
    let caller = app.tenant("acme").await;
    caller.upload("secret.md", SECRET).await;
    let expect = json!([{ "document_id": "library.md", "excerpt": library }]);
    let golden = json!({ "question": "What does a lost book cost?", "expect": expect });
    caller.post("/api/v1/golden", golden).await.ok();
    edit(&app, "[chunking]\nmax_tokens = 32\noverlap_tokens = 0\n").await;
    wanted.want(Some((Place::BeforePublish, Fault::Pause)));
    let job = reindex(&caller).await;
    wanted.met().await;
    caller.delete("/api/v1/documents/secret.md").await.ok();
    let early = caller.post("/api/v1/purge", json!({})).await.ok();
    let early = caller.job(early["job_id"].as_str().unwrap()).await;
    assert_eq!(early["receipt"]["unpurged"], json!([2]), "what is being built may hold it still: {early}");
    wanted.want(None);
    assert_eq!(caller.job(&job).await["error"]["code"], "generation_held");
    let purge = caller.post("/api/v1/purge", json!({})).await.ok();
    assert_eq!(caller.job(purge["job_id"].as_str().unwrap()).await["state"], "done");
    assert_eq!(holding(&app.root().path().join("data"), SECRET), Vec::<PathBuf>::new());
    caller.post("/api/v1/generations/2/activate", json!({ "force": true })).await.ok();
    assert!(!found(&caller, "heron secret").await);
}

#[tokio::test]
async fn a_round_of_changes_that_fails_is_tried_again_until_each_job_has_ended() {
    let (app, wanted) = acme().await;
    let caller = app.tenant("acme").await;
    wanted.want(Some((Place::DuringRound, Fault::Panic)));
    let reply = caller.send_file("new.md", "The walrus sleeps on the ice.").await.ok();
    let job = caller.job(reply["job_id"].as_str().unwrap()).await;
    assert_eq!((&job["state"], &job["attempts"]), (&json!("done"), &json!(2)), "{job}");
    assert!(found(&caller, "walrus sleeps").await);
}

#[tokio::test]
async fn a_document_whose_bytes_are_damaged_fails_alone_in_a_rebuild() {
    let (app, _) = acme().await;
    let caller = app.tenant("acme").await;
    caller.upload("good.md", "The walrus sleeps on the ice.").await;
    caller.upload("bad.md", "The quagga herd grazes by the lake.").await;
    let bodies = holding(app.root().path(), "quagga herd grazes by the lake.");
    let body = bodies.iter().find(|path| fs::read(path).unwrap().len() < 64).unwrap();
    fs::write(body, "The quagga herd grazes by the lamp.").unwrap();
    let ticket = caller.post("/api/v1/reindex?fresh=true", json!({})).await.ok();
    let job = caller.job(ticket["job_id"].as_str().unwrap()).await;
    assert_eq!(job["state"], "done_with_warnings", "{job}");
    assert_eq!(caller.get("/api/v1/documents/bad.md").await.ok()["state"], "failed");
    assert!(found(&caller, "walrus sleeps").await && found(&caller, "apple harvest").await);
}

#[tokio::test]
async fn a_document_that_is_deleted_before_it_is_read_ends_its_job() {
    let (app, wanted) = acme().await;
    let caller = app.tenant("acme").await;
    wanted.want(Some((Place::DuringRound, Fault::Pause)));
    caller.send_file("first.md", "The walrus sleeps on the ice.").await.ok();
    wanted.met().await;
    let waiting = caller.send_file("second.md", "The quagga herd grazes by the lake.").await.ok();
    caller.delete("/api/v1/documents/second.md").await.ok();
    wanted.want(None);
    assert_eq!(caller.job(waiting["job_id"].as_str().unwrap()).await["state"], "cancelled");
}

#[tokio::test]
async fn a_rebuild_that_is_asked_for_while_an_index_is_opened_is_not_forgotten() {
    let (app, wanted) = acme().await;
    wanted.want(Some((Place::DuringBuild, Fault::Hang)));
    let caller = app.tenant("acme").await;
    let unfinished = reindex(&caller).await;
    wanted.met().await;
    wanted.want(Some((Place::Opening, Fault::Pause)));
    app.desk("acme").kill_writer();
    wanted.met().await;
    let asked = reindex(&caller).await;
    wanted.want(None);
    assert_eq!(caller.job(&unfinished).await["state"], "done");
    assert_eq!(caller.job(&asked).await["state"], "done");
}

#[tokio::test]
async fn an_older_generation_that_stands_in_for_a_damaged_one_answers_with_no_replaced_word() {
    let (app, wanted) = acme().await;
    let caller = app.tenant("acme").await;
    caller.upload("herd.md", "The quagga herd grazes by the lake.").await;
    caller.reindex().await;
    caller.upload("herd.md", "The zebra herd grazes by the river.").await;
    let root = app.end().await;
    let folder = root.generation("acme", 2);
    let largest = walk(&folder).into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&largest, bytes).unwrap();
    wanted.want(Some((Place::DuringBuild, Fault::Hang)));
    let app = root.start_with(|_| {}, wanted.hook()).await;
    let caller = app.tenant("acme").await;
    eventually(|| async { app.desk("acme").status().answers.then_some(()) }).await;
    assert!(!found(&caller, "quagga herd").await, "it answers with words that were replaced");
    // Though the rebuild never ends.
    eventually(|| async { found(&caller, "zebra herd").await.then_some(()) }).await;
    assert!(found(&caller, "apple harvest").await);
}

#[tokio::test]
async fn a_forecast_waits_for_no_build_and_a_tenant_has_one_at_a_time() {
    let (app, wanted) = acme().await;
    wanted.want(Some((Place::DuringBuild, Fault::Hang)));
    let caller = app.tenant("acme").await;
    reindex(&caller).await;
    wanted.met().await;
    app.tenant("other").await.post("/api/v1/reindex?dry_run=true", json!({})).await.ok();
    let both =
        futures_util::future::join_all((0..8).map(|_| caller.post("/api/v1/reindex?dry_run=true", json!({})))).await;
    assert!(both.iter().any(|reply| reply.status.is_success()));
    assert!(both.iter().all(|reply| reply.status.is_success() || reply.body["code"] == "too_many_at_once"), "{both:?}");
}

#[tokio::test]
async fn a_tenant_whose_folder_cannot_be_used_does_not_stop_the_others() {
    let root = Root::new().tenant("acme", "", &[]).tenant("other", "", APPLES);
    root.write("elsewhere/b.md", "The walrus sleeps on the ice.");
    std::os::unix::fs::symlink(root.path().join("elsewhere"), root.path().join("documents/acme")).unwrap();
    let app = root.start().await;
    assert_eq!(app.state.tenants.ready(), (1, 2));
    assert!(found(&app.tenant("other").await, "apple harvest").await);
    let statuses = app.operator().await.get("/api/v1/tenants").await.ok();
    let acme = statuses["data"].as_array().unwrap().iter().find(|one| one["id"] == "acme").unwrap();
    assert_eq!(acme["state"], "failed", "{acme}");
}

#[tokio::test]
async fn uploads_that_end_together_do_not_go_past_the_quota() {
    let settings = GENEROUS.replace("burst = 100000\n", "burst = 100000\nmax_documents = 4\n");
    let app = Root::new().tenant("acme", &settings, &[]).start().await;
    let caller = app.tenant("acme").await;
    let names: Vec<String> = (0..16).map(|at| format!("{at}.md")).collect();
    let sent = names.iter().map(|name| caller.send_file(name, format!("The walrus {name} sleeps on the ice.")));
    let replies = futures_util::future::join_all(sent).await;
    let kept = replies.iter().filter(|reply| reply.status.is_success()).count();
    assert!((1..=4).contains(&kept), "{kept} of 4");
    assert!(replies.iter().all(|reply| reply.status.is_success() || reply.body["code"] == "quota_exceeded"));
    let list = caller.get("/api/v1/documents").await.ok();
    assert_eq!(list["data"].as_array().unwrap().len(), kept);
}

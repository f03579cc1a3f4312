//! Files changed by hand: live or gone within seconds, without a command.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use carrel::actors::Faults;
use carrel::config::Watch;
use serde_json::{Value, json};

use crate::harness::{Caller, Root, TestApp, eventually};

/// Within which a change by hand is in force.
const SOON: Duration = Duration::from_secs(5);

const APPLES: &[(&str, &str)] = &[("a.md", "# A\n\nThe apple harvest begins in autumn.\n")];

fn file(app: &TestApp, name: &str) -> PathBuf {
    app.root().path().join("documents").join(name)
}

/// The documents that hold a word.
async fn holders(caller: &Caller<'_>, word: &str) -> Vec<String> {
    let found = caller.post("/api/v1/search", json!({ "query": word, "mode": "bm25" })).await.ok();
    let hits = found["hits"].as_array().unwrap();
    hits.iter().map(|hit| hit["document_id"].as_str().unwrap().to_owned()).collect()
}

/// Waits until just these documents hold a word.
async fn soon(caller: &Caller<'_>, word: &str, documents: &[&str]) {
    let begun = Instant::now();
    eventually(|| async { (holders(caller, word).await == documents).then_some(()) }).await;
    assert!(begun.elapsed() < SOON, "`{word}` took {:?}", begun.elapsed());
}

/// Waits until just these documents are listed, which may be a moment after they are found.
async fn listed(caller: &Caller<'_>, documents: &[&str]) {
    let ids = |list: Value| list["data"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<_>>();
    eventually(|| async { (ids(caller.get("/api/v1/documents").await.ok()) == documents).then_some(()) }).await;
}

/// The jobs of a document, newest first.
async fn jobs(caller: &Caller<'_>, document: &str) -> Vec<Value> {
    let list = caller.get("/api/v1/jobs?limit=100").await.ok();
    list["data"].as_array().unwrap().iter().filter(|job| job["document_id"] == document).cloned().collect()
}

#[tokio::test]
async fn a_file_saved_changed_or_removed_by_hand_is_live_or_gone_without_a_command() {
    let app = Root::new().tenant("acme", "", APPLES).start().await;
    let acme = app.tenant("acme").await;
    app.root().write("documents/acme/guide/pears.md", "The pear harvest begins in summer.");
    app.root().write("documents/acme/.draft.md", "The hidden pear is a secret.");
    soon(&acme, "pear", &["guide/pears.md"]).await;
    app.root().write("documents/acme/guide/pears.md", "The quince harvest begins in October.");
    soon(&acme, "quince", &["guide/pears.md"]).await;
    assert_eq!(holders(&acme, "pear").await, [""; 0]);
    fs::remove_file(file(&app, "acme/guide/pears.md")).unwrap();
    soon(&acme, "quince", &[]).await;
    eventually(|| async { (acme.get("/api/v1/documents/guide%2Fpears.md").await.status == 404).then_some(()) }).await;
    assert_eq!(holders(&acme, "apple").await, ["a.md"]);
    let gone = &jobs(&acme, "guide/pears.md").await[0];
    assert_eq!(
        (&gone["kind"], &gone["state"], &gone["requested_by"]),
        (&json!("delete"), &json!("done"), &json!("folder"))
    );
    assert_eq!(gone["receipt"]["generations"], json!([{ "generation": 1, "chunks": 1 }]), "{gone}");
}

#[tokio::test]
async fn a_renamed_file_keeps_its_vectors_and_never_answers_twice_or_not_at_all() {
    let app = Root::new().tenant("acme", "", APPLES).start().await;
    let (acme, reader) = (app.tenant("acme").await, app.tenant("acme").await);
    let done = AtomicBool::new(false);
    let watch = async {
        while !done.load(Ordering::Relaxed) {
            assert_eq!(holders(&reader, "apple").await.len(), 1);
            let list = reader.get("/api/v1/documents").await.ok();
            assert_ne!(list["data"], json!([]), "under its old name, its new one or both");
        }
    };
    let rename = async {
        fs::create_dir(file(&app, "acme/guide")).unwrap();
        fs::rename(file(&app, "acme/a.md"), file(&app, "acme/guide/b.md")).unwrap();
        soon(&acme, "apple", &["guide/b.md"]).await;
        fs::rename(file(&app, "acme/guide"), file(&app, "acme/manual")).unwrap();
        soon(&acme, "apple", &["manual/b.md"]).await;
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(watch, rename);
    for id in ["guide/b.md", "manual/b.md"] {
        let jobs = eventually(|| async { Some(jobs(&acme, id).await).filter(|jobs| !jobs.is_empty()) }).await;
        assert_eq!((jobs.len(), &jobs[0]["state"], &jobs[0]["requested_by"]), (1, &json!("done"), &json!("folder")));
        let counts = &jobs[0]["counts"];
        assert_eq!((&counts["texts_embedded"], &counts["documents_reused"]), (&json!(0), &json!(1)), "{counts}");
    }
    listed(&acme, &["manual/b.md"]).await;
    let document = acme.get("/api/v1/documents/manual%2Fb.md").await.ok();
    assert_eq!(
        (&document["state"], &document["chunks"], &document["name"]),
        (&json!("live"), &json!(1), &json!("b.md"))
    );
    let answer = acme.ask("When does the apple harvest begin?").await.ok();
    assert_eq!(answer["citations"][0]["document_id"], "manual/b.md");
}

#[tokio::test]
async fn a_copy_by_hand_embeds_nothing_and_a_rename_while_nobody_serves_neither() {
    let app = Root::new().tenant("acme", "", APPLES).start().await;
    let acme = app.tenant("acme").await;
    fs::copy(file(&app, "acme/a.md"), file(&app, "acme/copy.md")).unwrap();
    let copied = eventually(|| async { jobs(&acme, "copy.md").await.into_iter().find(|job| job["state"] == "done") });
    assert_eq!(copied.await["counts"]["texts_embedded"], 0);
    fs::remove_file(file(&app, "acme/copy.md")).unwrap();
    soon(&acme, "apple", &["a.md"]).await;
    let root = app.end().await;
    fs::rename(root.path().join("documents/acme/a.md"), root.path().join("documents/acme/z.md")).unwrap();
    let app = root.start().await;
    let acme = app.tenant("acme").await;
    soon(&acme, "apple", &["z.md"]).await;
    listed(&acme, &["z.md"]).await;
    assert_eq!(jobs(&acme, "z.md").await, [json!(null); 0], "it was taken over before anything was read");
}

#[tokio::test]
async fn a_file_that_fails_is_reported_once() {
    let app = Root::new().tenant("acme", "", APPLES).start().await;
    let acme = app.tenant("acme").await;
    fs::write(file(&app, "acme/scan.pdf"), b"%PDF-1.7\nrubbish").unwrap();
    let failed = || async { jobs(&acme, "scan.pdf").await.into_iter().find(|job| job["state"] == "failed") };
    eventually(failed).await;
    // Neither a change beside it nor the same bytes again are a reason to try again.
    app.root().write("documents/acme/pears.md", "The pear harvest begins in summer.");
    fs::write(file(&app, "acme/scan.pdf"), b"%PDF-1.7\nrubbish").unwrap();
    soon(&acme, "pear", &["pears.md"]).await;
    app.root().write("documents/acme/quinces.md", "The quince harvest begins in October.");
    soon(&acme, "quince", &["quinces.md"]).await;
    assert_eq!(jobs(&acme, "scan.pdf").await.len(), 1);
    let errors = app.desk("acme").status().errors;
    assert_eq!(errors.iter().filter(|(_, words)| words.contains("scan.pdf")).count(), 1, "{errors:?}");
    assert_eq!(acme.get("/api/v1/documents/scan.pdf").await.ok()["state"], "failed");
    fs::write(file(&app, "acme/scan.pdf"), b"%PDF-1.7\nother rubbish").unwrap();
    eventually(|| async { (jobs(&acme, "scan.pdf").await.len() == 2).then_some(()) }).await;
}

#[tokio::test]
async fn a_file_that_is_still_being_copied_is_not_read_half() {
    use std::io::Write;
    let app = Root::new().tenant("acme", "", APPLES).start().await;
    let acme = app.tenant("acme").await;
    let mut copy = fs::File::create(file(&app, "acme/long.md")).unwrap();
    for part in 0..12 {
        writeln!(copy, "Part {part} of the pomegranate report is here.\n").unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(holders(&acme, "pomegranate").await, [""; 0], "part {part}");
    }
    drop(copy);
    soon(&acme, "pomegranate", &["long.md"]).await;
    let job =
        eventually(|| async { jobs(&acme, "long.md").await.into_iter().find(|job| job["state"] == "done") }).await;
    assert_eq!(job["attempts"], 1);
    assert_eq!(jobs(&acme, "long.md").await.len(), 1);
}

#[tokio::test]
async fn an_upload_is_not_taken_in_a_second_time() {
    let app = Root::new().tenant("acme", "", APPLES).start().await;
    let acme = app.tenant("acme").await;
    acme.upload("u.txt", "The cherry harvest begins in June.").await;
    app.root().write("documents/acme/pears.md", "The pear harvest begins in summer.");
    soon(&acme, "pear", &["pears.md"]).await;
    assert_eq!(jobs(&acme, "u.txt").await.len(), 1);
    assert_eq!(holders(&acme, "cherry").await, ["u.txt"]);
}

#[tokio::test]
async fn folders_are_polled_where_they_cannot_be_watched_and_left_alone_where_that_is_wanted() {
    let tweaked = |watch, interval| {
        move |config: &mut carrel::config::Config| {
            config.folders.watch = watch;
            config.folders.interval = Duration::from_millis(interval);
        }
    };
    let polled = Root::new().tenant("acme", "", APPLES).start_with(tweaked(Watch::Poll, 200), Faults::default()).await;
    let alone = Root::new().tenant("acme", "", APPLES).start_with(tweaked(Watch::Off, 200), Faults::default()).await;
    for app in [&polled, &alone] {
        app.root().write("documents/acme/pears.md", "The pear harvest begins in summer.");
    }
    let acme = polled.tenant("acme").await;
    soon(&acme, "pear", &["pears.md"]).await;
    fs::rename(file(&polled, "acme/pears.md"), file(&polled, "acme/p.md")).unwrap();
    soon(&acme, "pear", &["p.md"]).await;
    fs::remove_file(file(&polled, "acme/p.md")).unwrap();
    soon(&acme, "pear", &[]).await;
    let acme = alone.tenant("acme").await;
    assert_eq!(holders(&acme, "pear").await, [""; 0]);
    acme.reindex().await;
    assert_eq!(holders(&acme, "pear").await, ["pears.md"]);
}

#[tokio::test]
async fn a_storm_in_one_tenants_folder_delays_no_other() {
    let app = Root::new().tenant("acme", "", APPLES).tenant("globex", "", APPLES).start().await;
    let (acme, globex) = (app.tenant("acme").await, app.tenant("globex").await);
    let done = AtomicBool::new(false);
    let storm = async {
        let mut round = 0;
        while !done.load(Ordering::Relaxed) {
            for at in 0..200 {
                app.root().write(&format!("documents/acme/storm/{at}.txt"), &format!("Hail {round} number {at}."));
            }
            round += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let other = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        app.root().write("documents/globex/pears.md", "The pear harvest begins in summer.");
        soon(&globex, "pear", &["pears.md"]).await;
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(storm, other);
    eventually(|| async { (holders(&acme, "hail").await.len() >= 3).then_some(()) }).await;
}

//! Files that are no documents are told once, and names and times that deceive are seen through.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use serde_json::{Value, json};

use crate::harness::{Caller, Root, eventually};

const APPLES: &[(&str, &str)] = &[("a.md", "# A\n\nThe apple harvest begins in autumn.\n")];

async fn failed(caller: &Caller<'_>) -> Vec<Value> {
    let list = caller.get("/api/v1/documents?state=failed&limit=100").await.ok();
    list["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_is_no_document_is_told_once_and_forgotten_when_it_is_gone() {
    let root = Root::new().tenant("acme", "", APPLES);
    let folder = root.path().join("documents/acme");
    fs::write(folder.join("back\\slash.txt"), "x").unwrap();
    fs::write(folder.join("line\nbreak.txt"), "x").unwrap();
    fs::write(folder.join(OsStr::from_bytes(b"latin-\xe9.txt")), "x").unwrap();
    fs::create_dir_all(folder.join(["d".repeat(200), "e".repeat(200), "f".repeat(200)].join("/"))).unwrap();
    fs::write(folder.join(["d".repeat(200), "e".repeat(200), "f".repeat(200)].join("/")).join("deep.txt"), "x")
        .unwrap();
    std::os::unix::fs::symlink("a.md", folder.join("link.md")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();
    fs::write(folder.join(".hidden.txt"), "x").unwrap();
    let app = root.start().await;
    let caller = app.tenant("acme").await;
    let told = failed(&caller).await;
    let whys: Vec<&str> = told.iter().map(|one| one["error"]["message"].as_str().unwrap()).collect();
    for why in ["backslash", "control character", "not UTF-8", "longer than 512", "symbolic link", "no regular file"] {
        assert!(whys.iter().any(|said| said.contains(why)), "{why}: {whys:?}");
    }
    assert_eq!(told.len(), 6, "{told:?}");
    assert!(told.iter().all(|one| one["error"]["code"] == "passed_over"));
    let errors = app.desk("acme").status().errors.len();
    let rest = app.desk("acme").status();
    assert!(rest.answers);
    fs::write(folder.join("b.md"), "The walrus sleeps on the ice.").unwrap();
    eventually(|| async { caller.get("/api/v1/documents/b.md").await.status.is_success().then_some(()) }).await;
    assert_eq!(app.desk("acme").status().errors.len(), errors, "it was told again");
    fs::remove_file(folder.join("link.md")).unwrap();
    eventually(|| async { (failed(&caller).await.len() == 5).then_some(()) }).await;
    caller.reindex().await;
    assert_eq!(failed(&caller).await.len(), 5);
    let app = app.end().await.start().await;
    assert_eq!(failed(&app.tenant("acme").await).await.len(), 5);
    assert_eq!(app.desk("acme").status().errors.len(), 0, "it was told again after a start");
}

#[tokio::test]
async fn two_unicode_forms_of_one_name_are_one_document() {
    let (composed, parted) = ("caf\u{e9}.md", "cafe\u{301}.md");
    let root = Root::new().tenant("acme", "", &[(parted, "The walrus sleeps on the ice.")]);
    let app = root.start().await;
    let caller = app.tenant("acme").await;
    let ids = |list: Value| list["data"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(caller.get("/api/v1/documents").await.ok()), [json!(composed)]);
    for form in ["caf%C3%A9.md", "cafe%CC%81.md"] {
        let text = caller.get(&format!("/api/v1/documents/{form}/text")).await;
        assert!(text.text.contains("walrus"), "{form}: {}", text.text);
    }
    caller.send_file(composed, "Another text.").await.problem(409, "document_in_folder");
    caller.send_file(parted, "Another text.").await.problem(409, "document_in_folder");
    // Uploads alike.
    let (composed, parted) = ("r\u{e9}sum\u{e9}.md", "re\u{301}sume\u{301}.md");
    caller.upload(parted, "The okapi budget is seven.").await;
    caller.upload(composed, "The okapi budget is eight.").await;
    assert_eq!(ids(caller.get("/api/v1/documents").await.ok()).len(), 2);
    caller.delete("/api/v1/documents/re%CC%81sume%CC%81.md").await.ok();
    caller.delete("/api/v1/documents/caf%C3%A9.md").await.ok();
    assert_eq!(caller.get("/api/v1/documents").await.ok()["data"], json!([]));
    let hits = caller.post("/api/v1/search", json!({ "query": "walrus okapi", "mode": "bm25" })).await.ok();
    assert_eq!(hits["hits"], json!([]));
}

#[tokio::test]
async fn other_bytes_of_the_same_size_and_time_are_noticed_at_a_start() {
    let root = Root::new().tenant("acme", "", APPLES);
    let file = root.path().join("documents/acme/a.md");
    let time = fs::metadata(&file).unwrap().modified().unwrap();
    let app = root.start().await;
    let root = app.end().await;
    fs::write(&file, "# A\n\nThe grape harvest begins in winter.\n").unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    let app = root.start().await;
    let caller = app.tenant("acme").await;
    eventually(|| async {
        let reply = caller.post("/api/v1/search", json!({ "query": "grape", "mode": "bm25" })).await.ok();
        (!reply["hits"].as_array().unwrap().is_empty()).then_some(())
    })
    .await;
}

//! Backups that somebody made to do harm: every seal of theirs holds, and nothing in them is believed.

use std::io::Read;

use carrel::backup::{Archive, Header};
use carrel::domain::ContentHash;
use reqwest::Method;
use serde_json::{Value, json};

use super::harness::{Caller, GENEROUS, Reply, Root, TestApp};

const QUESTION: &str = "When does the apple harvest begin?";

async fn acme() -> TestApp {
    Root::new().tenant("acme", "", &[("a.md", "# A\n\nThe apple harvest begins in autumn.\n")]).start().await
}

async fn backup(operator: &Caller<'_>) -> Vec<u8> {
    let reply = operator.request(Method::GET, "/api/v1/tenants/acme/backup").send().await.unwrap();
    reply.bytes().await.unwrap().to_vec()
}

async fn restore(operator: &Caller<'_>, file: Vec<u8>) -> Reply {
    Reply::of(operator.request(Method::POST, "/api/v1/tenants/restore?as=evil").body(file)).await
}

/// The backup with its entries as `change` leaves them, sealed anew.
fn forged(file: &[u8], change: impl FnOnce(&mut Vec<(String, Vec<u8>)>)) -> Vec<u8> {
    let mut header: Option<Header> = None;
    let mut entries = Vec::new();
    for entry in tar::Archive::new(file).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        match path.as_str() {
            "carrel-backup.json" => header = Some(serde_json::from_slice(&content).unwrap()),
            "manifest.json" => {}
            _ => entries.push((path, content)),
        }
    }
    change(&mut entries);
    let mut archive = Archive::begin(Vec::new(), &header.unwrap()).unwrap();
    for (path, content) in entries {
        archive.add(&path, &content).unwrap();
    }
    archive.finish().unwrap()
}

/// Changes the JSON of a sealed file and seals it anew.
fn reseal(content: &mut Vec<u8>, change: impl FnOnce(&mut Value)) {
    let text = String::from_utf8(std::mem::take(content)).unwrap();
    let mut value: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    change(&mut value);
    let json = value.to_string();
    let seal = serde_json::to_string(&ContentHash::of(json.as_bytes())).unwrap();
    *content = format!("{json}\n{seal}\n").into_bytes();
}

fn entry<'a>(entries: &'a mut [(String, Vec<u8>)], path: &str) -> &'a mut Vec<u8> {
    &mut entries.iter_mut().find(|(name, _)| name == path).unwrap().1
}

#[tokio::test]
async fn a_graph_of_vectors_that_came_with_a_backup_is_never_opened() {
    let app = acme().await;
    let operator = app.operator().await;
    let graph = b"a graph whose neighbours lead anywhere".to_vec();
    let mark = json!({ "bytes": graph.len(), "blake3": ContentHash::of(&graph) });
    let file = forged(&backup(&operator).await, |entries| {
        reseal(entry(entries, "index/1/manifest.json"), |manifest| manifest["files"]["vectors.usearch"] = mark);
        entries.insert(0, ("index/1/vectors.usearch".into(), graph));
    });
    restore(&operator, file).await.ok();
    assert!(
        !app.root().generation("evil", 1).join("vectors.usearch").exists(),
        "the file of a stranger is in its place"
    );
    let evil = app.tenant("evil").await;
    let found = evil.post("/api/v1/search", json!({ "query": QUESTION, "mode": "dense" })).await.ok();
    assert_eq!(found["hits"][0]["document_id"], "a.md");
    let app = app.end().await.start().await;
    assert_eq!(app.tenant("evil").await.ask(QUESTION).await.ok()["outcome"], "answered", "nor after a start");
}

#[tokio::test]
async fn a_generation_that_nothing_names_is_left_out() {
    let app = acme().await;
    let operator = app.operator().await;
    let file = forged(&backup(&operator).await, |entries| {
        entries.insert(0, ("index/9/manifest.json".into(), b"anything".to_vec()));
    });
    restore(&operator, file).await.ok();
    assert!(!app.root().generation("evil", 9).exists());
}

#[tokio::test]
async fn what_a_forged_backup_asks_for_is_refused_and_changes_nothing() {
    let app = acme().await;
    let operator = app.operator().await;
    let whole = backup(&operator).await;
    let golden = json!({ "id": "../../../sign-out?", "question": "x", "expect": [{ "document_id": "a.md" }],
                         "created_by": "x", "created_at": "2026-01-01T00:00:00Z" });
    let unknown_section = forged(&whole, |entries| entries.push(("ledger/tokens.jsonl".into(), b"{}".to_vec())));
    let crafted_id = forged(&whole, |entries| {
        entries.retain(|(path, _)| path != "ledger/golden.jsonl");
        entries.push(("ledger/golden.jsonl".into(), golden.to_string().into_bytes()));
    });
    let last_number = forged(&whole, |entries| {
        reseal(entry(entries, "current"), |current| current["highest"] = json!(u64::MAX));
    });
    let long_name =
        forged(&whole, |entries| entries.push((format!("documents/{}.md", "n".repeat(400)), b"x".to_vec())));
    for file in [unknown_section, crafted_id, last_number, long_name] {
        restore(&operator, file).await.problem(422, "backup_damaged");
    }
    let over_quota = forged(&whole, |entries| {
        let tight = GENEROUS.replace("[limits]", "[limits]\nmax_documents = 3");
        *entry(entries, "settings.toml") = tight.into_bytes();
        entries.extend((0..4).map(|n| (format!("documents/{n}.md"), b"x".to_vec())));
    });
    restore(&operator, over_quota).await.problem(403, "quota_exceeded");
    for gone in ["tenants/evil.toml", "documents/evil", "data/evil"] {
        assert!(!app.root().path().join(gone).exists(), "{gone}");
    }
}

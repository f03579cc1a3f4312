//! The program killed at every step it takes towards the disk, and started again: what was acknowledged is there, what was
//! not is there whole or not at all.
//!
//! A small library, preloaded, ends the server before the n-th write, sync, rename or removal after an act begins; the test
//! goes through n = 0, 1, 2 … until the act ends unharmed. All of that takes minutes, so an ordinary run takes every
//! [`STRIDE`]th step from a chosen first; `CARREL_EVERY_STEP=1` takes them all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use carrel::access::Permission;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::harness::{GENEROUS, PATIENCE, Reply, Root, worker};
use crate::vectors::Vectors;

/// Steps from one that is tried to the next, in an ordinary run.
const STRIDE: usize = 23;

/// Documents that are there before an act, by id: a word that only this one has.
const BEFORE: [(&str, &str); 4] =
    [("a.md", "aardvark"), ("b.md", "bobolink"), ("c.md", "cormorant"), ("d.md", "dromedary")];

/// The library that ends the process.
struct Killer {
    _folder: TempDir,
    library: PathBuf,
}

impl Killer {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("crash.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/crash.c");
        let made = std::process::Command::new("g++")
            .args(["-x", "c", "-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .args([source, "-ldl"])
            .status();
        assert!(made.is_ok_and(|status| status.success()), "the C++ compiler that usearch needs makes this too");
        Self { _folder: folder, library }
    }
}

struct Server {
    process: Child,
    address: String,
    http: reqwest::Client,
    token: String,
    root: PathBuf,
}

impl Server {
    /// Starts over `root`; with a killer it ends at the step named in the file `at` once that is there.
    async fn start(root: &Path, token: &str, killer: Option<(&Killer, &Path)>) -> Self {
        let mut command = Command::new(worker());
        command.args(["--json", "--root"]).arg(root).args(["serve", "--bind", "127.0.0.1:0"]);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        if let Some((killer, at)) = killer {
            command.env("LD_PRELOAD", &killer.library).env("CRASH_AT", at);
        }
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().expect("it does not start");
        let ready: Value = serde_json::from_str(&line).unwrap();
        let address = ready["address"].as_str().unwrap().trim_start_matches("http://").trim_end_matches('/').to_owned();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { process, address, http, token: token.to_owned(), root: root.to_owned() }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address)).bearer_auth(&self.token)
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let reply = self.request(Method::GET, path).send().await.ok()?;
        reply.json().await.ok()
    }

    /// Waits for a job's end; `None` when the server dies first.
    async fn ended(&self, job: &str) -> Option<Value> {
        loop {
            let job = self.get(&format!("/api/v1/jobs/{job}")).await?;
            if !matches!(job["state"].as_str(), Some("queued" | "running")) {
                return Some(job);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn stop(mut self) {
        self.process.kill().await.unwrap();
    }

    /// Which words are found, each by the document it is in.
    async fn found(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for word in ["aardvark", "bobolink", "cormorant", "dromedary", "echidna", "flamingo"] {
            let body = json!({ "query": word, "mode": "bm25" });
            let reply = Reply::of(self.request(Method::POST, "/api/v1/search").json(&body)).await.ok();
            for hit in reply["hits"].as_array().unwrap() {
                assert!(hit["text"].as_str().unwrap().contains(word), "{hit}");
                found.insert(word.to_owned(), hit["document_id"].as_str().unwrap().to_owned());
            }
        }
        found
    }
}

/// Something a client asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    Upload,
    Replace,
    Delete,
    Reindex,
    GoBack,
    Purge,
    /// Of a backup of the tenant, as another.
    Restore,
}

impl Act {
    /// Asks for it and waits until it has ended: whether it was acknowledged, and whether the server lived.
    async fn run(self, server: &Server) -> (bool, bool) {
        let Some(reply) = self.ask(server).await else { return (false, false) };
        let acknowledged = reply.status.is_success();
        let lived = match reply.body["job_id"].as_str() {
            Some(job) if self != Self::Delete => server.ended(job).await.is_some(),
            _ => true,
        };
        (acknowledged, lived && server.get("/api/v1/documents").await.is_some())
    }

    async fn ask(self, server: &Server) -> Option<Reply> {
        let file = |id: &'static str, text: &'static str| {
            let part = reqwest::multipart::Part::bytes(text.as_bytes()).file_name(id);
            let form = reqwest::multipart::Form::new().text("id", id).part("file", part);
            server.request(Method::POST, "/api/v1/documents").multipart(form)
        };
        let request = match self {
            Self::Upload => file("e.md", "# E\n\nThe echidna is new here.\n"),
            Self::Replace => file("d.md", "# D\n\nThe flamingo stands where another stood.\n"),
            Self::Delete => server.request(Method::DELETE, "/api/v1/documents/d.md"),
            Self::Reindex => server.request(Method::POST, "/api/v1/reindex?fresh=true"),
            Self::GoBack => server.request(Method::POST, "/api/v1/generations/1/activate"),
            Self::Purge => server.request(Method::POST, "/api/v1/purge"),
            Self::Restore => {
                let backup = std::fs::read(server.root.join("backup.tar")).unwrap();
                let operator = std::fs::read_to_string(server.root.join("operator")).unwrap();
                let request = server.http.post(format!("http://{}/api/v1/tenants/restore?as=twin", server.address));
                request.bearer_auth(operator).body(backup)
            }
        };
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.ok()?;
        Some(Reply { status, headers, body: serde_json::from_str(&text).unwrap_or_default(), text })
    }

    /// What is found once it is done.
    fn after(self) -> BTreeMap<String, String> {
        let mut found = before();
        match self {
            Self::Upload => drop(found.insert("echidna".into(), "e.md".into())),
            Self::Replace => {
                found.remove("dromedary");
                found.insert("flamingo".into(), "d.md".into());
            }
            Self::Delete => drop(found.remove("dromedary")),
            Self::Reindex | Self::GoBack | Self::Purge | Self::Restore => {}
        }
        found
    }
}

fn before() -> BTreeMap<String, String> {
    BEFORE.iter().map(|(id, word)| ((*word).to_owned(), (*id).to_owned())).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A folder with documents and two generations, and a token for its tenant.
async fn prepared(vectors: &Vectors) -> (Root, String) {
    let settings = format!("{GENEROUS}[retrieval]\nembedder = \"mock/vectors\"\n");
    let root = Root::new().tenant("acme", &settings, &[]);
    root.write("carrel.toml", &vectors.settings());
    let app = root.start().await;
    let acme = app.tenant("acme").await;
    for (id, word) in BEFORE {
        acme.upload(id, format!("# {id}\n\nThe {word} is described at some length in this document.\n")).await;
    }
    acme.reindex().await;
    let all = [Permission::Query, Permission::DocumentsRead, Permission::DocumentsWrite, Permission::Reindex];
    let token = app.minted(Some("acme"), &all).await.token.unwrap();
    let operator = app.operator().await;
    let backup = operator.request(Method::GET, "/api/v1/tenants/acme/backup").send().await.unwrap();
    std::fs::write(app.root().path().join("backup.tar"), backup.bytes().await.unwrap()).unwrap();
    app.root().write("operator", operator.token.as_ref().unwrap());
    drop(acme);
    (app.end().await, token)
}

/// Kills the server at step `at` of an act, and starts it again; how long that start took, and whether the act had ended
/// before that step.
async fn cut_short(act: Act, at: usize, base: &Root, token: &str, killer: &Killer) -> (Duration, bool) {
    let folder = tempfile::tempdir().unwrap();
    let (root, armed) = (folder.path().join("root"), folder.path().join("at"));
    copy(base.path(), &root);
    let server = Server::start(&root, token, Some((killer, &armed))).await;
    assert_eq!(server.found().await, before());
    std::fs::write(&armed, at.to_string()).unwrap();
    let (acknowledged, lived) = act.run(&server).await;
    server.stop().await;

    let begun = Instant::now();
    let server = Server::start(&root, token, None).await;
    let took = begun.elapsed();
    let context = format!("{act:?} cut short at step {at}");
    // What was acknowledged but not indexed yet is indexed now.
    let (found, after) = crate::harness::eventually(|| async {
        let documents = server.get("/api/v1/documents").await.unwrap();
        let settled = documents["data"].as_array().unwrap().iter().all(|one| one["state"] == "live");
        let jobs = server.get("/api/v1/jobs").await.unwrap();
        let ended = |job: &Value| !matches!(job["state"].as_str(), Some("queued" | "running"));
        let over = jobs["data"].as_array().unwrap().iter().all(ended);
        if settled && over { Some((server.found().await, act.after())) } else { None }
    })
    .await;
    let allowed = found == after || (!acknowledged && found == before());
    assert!(allowed, "{context}, acknowledged {acknowledged}: {found:?}");
    if act == Act::Restore {
        twin_is_whole_or_absent(&server, acknowledged, &context).await;
    }
    server.stop().await;
    (took, lived)
}

/// A restored tenant has all its documents and answers, or is not there at all and left nothing behind.
async fn twin_is_whole_or_absent(server: &Server, acknowledged: bool, context: &str) {
    let operator = std::fs::read_to_string(server.root.join("operator")).unwrap();
    let twin = server.http.get(format!("http://{}/api/v1/tenants/twin", server.address)).bearer_auth(operator);
    let twin = Reply::of(twin).await;
    if twin.status.is_success() {
        assert_eq!((&twin.body["answers"], &twin.body["documents"]), (&json!(true), &json!(4)), "{context}");
    } else {
        assert!(!acknowledged, "{context}: it was acknowledged and is gone");
        for left in ["tenants/twin.toml", "documents/twin", "data/twin"] {
            assert!(!server.root.join(left).exists(), "{context}: {left} was left behind");
        }
    }
}

async fn every_step(act: Act, first: usize) {
    let vectors = Vectors::start(64).await;
    let (base, token) = prepared(&vectors).await;
    let killer = Killer::new();
    let all = std::env::var_os("CARREL_EVERY_STEP").is_some();
    let (first, stride) = if all { (0, 1) } else { (first, STRIDE) };
    let (mut tried, mut longest) = (0, Duration::ZERO);
    for at in (first..).step_by(stride) {
        tried += 1;
        let (took, over) = cut_short(act, at, &base, &token, &killer).await;
        longest = longest.max(took);
        if over {
            eprintln!("{act:?}: {tried} of {at} steps tried, the longest start after one took {longest:?}");
            assert!(at > 3, "{act:?} takes no steps, so this shows nothing");
            return;
        }
    }
}

#[tokio::test]
async fn an_upload_cut_short_anywhere_is_whole_or_not_at_all() {
    every_step(Act::Upload, 5).await;
}

#[tokio::test]
async fn a_replacement_cut_short_anywhere_leaves_the_old_or_the_new() {
    every_step(Act::Replace, 11).await;
}

#[tokio::test]
async fn a_delete_cut_short_anywhere_is_done_or_was_never_acknowledged() {
    every_step(Act::Delete, 2).await;
}

#[tokio::test]
async fn a_rebuild_cut_short_anywhere_changes_nothing_or_all() {
    every_step(Act::Reindex, 17).await;
}

#[tokio::test]
async fn a_way_back_cut_short_anywhere_changes_no_document() {
    every_step(Act::GoBack, 7).await;
}

#[tokio::test]
async fn a_restore_cut_short_anywhere_leaves_a_whole_tenant_or_none() {
    every_step(Act::Restore, 13).await;
}

#[tokio::test]
async fn a_purge_cut_short_anywhere_loses_nothing() {
    every_step(Act::Purge, 3).await;
}

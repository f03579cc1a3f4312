//! The program itself: what it prints, its signals, and the verbs that speak to it while it runs.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::harness::{PATIENCE, Root, eventually, worker};

/// A running `carrel serve`.
pub struct Server {
    process: Child,
    /// What it printed when it was ready.
    pub ready: Value,
}

fn carrel(root: &Root, args: &[&str]) -> Command {
    let mut command = Command::new(worker());
    command.args(["--json", "--root"]).arg(root.path()).args(args);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    command
}

/// What a verb prints, and whether it succeeded.
async fn said(root: &Root, args: &[&str]) -> (bool, Value) {
    let output = timeout(PATIENCE, carrel(root, args).output()).await.unwrap().unwrap();
    (output.status.success(), serde_json::from_slice(&output.stdout).unwrap_or_default())
}

impl Server {
    pub async fn start(root: &Root) -> Self {
        let mut process = carrel(root, &["serve", "--bind", "127.0.0.1:0"]).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
        Self { process, ready: serde_json::from_str(&line).unwrap() }
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.process.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Ends it as a loss of power would.
    async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    /// Asks it to end; whether it did so in order.
    pub async fn end(mut self) -> bool {
        self.signal(Signal::TERM);
        timeout(PATIENCE, self.process.wait()).await.unwrap().unwrap().success()
    }
}

#[tokio::test]
async fn a_hangup_reads_the_tenants_again_and_a_termination_ends_in_order() {
    let root = Root::new().tenant("acme", "", &[]);
    let server = Server::start(&root).await;
    assert_eq!(server.ready["tenants_ready"], "1/1");
    assert!(server.ready["admin_link"].as_str().unwrap().contains("/admin/link/"));
    root.write("tenants/beta.toml", "name = \"Beta\"\n");
    server.signal(Signal::HUP);
    eventually(|| async {
        let (_, tenants) = said(&root, &["tenant", "list"]).await;
        tenants.to_string().contains("\"beta\"").then_some(())
    })
    .await;
    let other = timeout(PATIENCE, carrel(&root, &["serve"]).status()).await.unwrap().unwrap();
    assert!(!other.success(), "one folder is served by one process");
    assert!(server.end().await);
}

#[tokio::test]
async fn the_command_line_works_alike_with_and_without_a_server() {
    let root = Root::new().tenant("acme", "", &[]);
    root.write("notes/harvest.md", "# Harvest\n\nThe quinces of the north orchard ripen in late October.\n");
    let notes = root.path().join("notes");
    let (ok, _) = said(&root, &["ingest", "--tenant", "acme", notes.to_str().unwrap()]).await;
    assert!(ok, "a server is started for the moment");
    let question = ["query", "--tenant", "acme", "When do the quinces ripen?"];
    let (ok, alone) = said(&root, &question).await;
    assert!(ok && alone["answer"].as_str().unwrap().contains("late October"), "{alone}");
    let server = Server::start(&root).await;
    let (ok, beside) = said(&root, &question).await;
    assert!(ok);
    assert_eq!((&alone["answer"], &alone["citations"]), (&beside["answer"], &beside["citations"]));
    let looking_back = ["query", "--tenant", "acme", "--generation", "1", "When do the quinces ripen?"];
    assert_eq!(said(&root, &looking_back).await.1["answer"], alone["answer"]);
    let explain = ["explain", "--tenant", "acme", "--document", "harvest.md", "When do the quinces ripen?"];
    let (ok, explained) = said(&root, &explain).await;
    assert!(ok && explained["document"]["stage"] == "hit", "{explained}");
    assert!(server.end().await);
}

#[tokio::test]
async fn a_tenant_is_backed_up_restored_cloned_and_exported_from_the_command_line() {
    let root = Root::new().tenant("acme", "", &[("a.md", "The quinces of the north orchard ripen in late October.")]);
    let file = root.path().join("acme.tar");
    let file = file.to_str().unwrap();
    let (ok, saved) = said(&root, &["backup", "-t", "acme", file]).await;
    assert!(ok && saved["bytes"].as_u64().unwrap() > 0, "{saved}");
    let server = Server::start(&root).await;
    let (ok, restored) = said(&root, &["restore", file, "--as", "back"]).await;
    assert!(ok && restored["id"] == "back", "{restored}");
    let (taken, _) = said(&root, &["restore", file]).await;
    assert!(!taken);
    assert!(said(&root, &["tenant", "clone", "back", "twin"]).await.0);
    let (_, line) = said(&root, &["export", "-t", "twin"]).await;
    assert_eq!(
        (&line["id"], &line["text"]),
        (&"a.md".into(), &"The quinces of the north orchard ripen in late October.".into())
    );
    let (_, chunk) = said(&root, &["export", "-t", "twin", "--chunks"]).await;
    assert_eq!(chunk["chunk_id"], "a.md#0");
    assert!(server.end().await);
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_restore_leaves_no_tenant_or_the_whole_one() {
    let documents: Vec<(String, String)> =
        (0..60).map(|at| (format!("{at}.md"), format!("Quince tree {at} stands in the north orchard."))).collect();
    let documents: Vec<_> = documents.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let root = Root::new().tenant("acme", "", &documents);
    let file = root.path().join("acme.tar");
    let file = file.to_str().unwrap();
    assert!(said(&root, &["backup", "-t", "acme", file]).await.0);
    let server = Server::start(&root).await;
    let begun = std::time::Instant::now();
    assert!(said(&root, &["restore", file, "--as", "measured"]).await.0);
    let took = begun.elapsed();
    server.kill().await;
    for at in 0u32..8 {
        let server = Server::start(&root).await;
        let id = format!("kill-{at}");
        let mut restore = carrel(&root, &["restore", file, "--as", &id]).spawn().unwrap();
        // Most of the time is spent before the server has the file, so the kills come in its second half.
        tokio::time::sleep(took / 2 + took * at / 16).await;
        server.kill().await;
        let _ = timeout(PATIENCE, restore.wait()).await.unwrap();
        let server = Server::start(&root).await;
        let there = root.path().join(format!("tenants/{id}.toml")).exists();
        for folder in ["documents", "data"] {
            assert_eq!(root.path().join(folder).join(&id).exists(), there, "{folder} of {id}");
            let names = std::fs::read_dir(root.path().join(folder)).unwrap();
            let left: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            assert!(!left.iter().any(|name| name.starts_with('.')), "{left:?}");
        }
        if there {
            let (ok, answer) = said(&root, &["query", "-t", &id, "Where does quince tree 7 stand?"]).await;
            assert!(ok && answer["answer"].as_str().unwrap().contains("north orchard"), "{answer}");
            let (_, lines) = said(&root, &["tenant", "show", &id]).await;
            assert_eq!(lines["documents"], 60);
        }
        server.kill().await;
    }
}

#[tokio::test]
async fn each_stage_of_a_build_is_timed_and_no_invariant_is_broken() {
    let root = Root::new().tenant("acme", "", &[("a.md", "The quinces of the north orchard ripen in late October.")]);
    let server = Server::start(&root).await;
    let address = server.ready["address"].as_str().unwrap();
    let text = reqwest::get(format!("{address}/metrics")).await.unwrap().text().await.unwrap();
    let value = |series: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.and_then(|value| value.parse::<f64>().ok()).unwrap_or_else(|| panic!("{series} is not there"))
    };
    for stage in ["extract", "chunk", "embed", "index", "publish"] {
        let count = value(&format!("carrel_job_stage_duration_seconds_count{{stage=\"{stage}\"}}"));
        assert!(count >= 1.0, "{stage}");
    }
    for invariant in ["no_panic", "proof"] {
        let broken = value(&format!("carrel_invariant_violations_total{{invariant=\"{invariant}\"}}"));
        assert!(broken == 0.0, "{invariant}");
    }
    assert!(value("carrel_index_last_success_timestamp_seconds{tenant=\"acme\"}") > 1e9);
    assert!(server.end().await);
    let again = Server::start(&root).await;
    let address = again.ready["address"].as_str().unwrap();
    let text = reqwest::get(format!("{address}/metrics")).await.unwrap().text().await.unwrap();
    assert!(
        !text.contains("carrel_index_last_success_timestamp_seconds{tenant=\"acme\"} 0\n"),
        "an index that is opened was built some time"
    );
    assert!(again.end().await);
}

//! Every command of the manual is run, or at least read, by the program itself.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;
use tokio::time::timeout;

use super::super::harness::{PATIENCE, Root, worker};
use super::super::process::Server;
use super::{Page, shell};

/// Commands of the blocks that are not run, and why.
const NOT_RUN: [(&str, &str); 4] = [
    ("cargo ", "building is what brings this test about"),
    ("docker ", "needs a container engine"),
    ("TOKEN=", "a variable, which the test sets itself"),
    ("cp ", "another program; what it does is tested with folders"),
];

/// Words that stand for something in commands that are read, with one that fits.
const PLACEHOLDERS: [(&str, &str); 17] = [
    ("<tenant>", "acme"),
    ("TENANT", "acme"),
    ("NEW", "other"),
    ("PATH…", "file"),
    ("DIR…", "folder"),
    ("DIR", "folder"),
    ("FOLDER", "folder"),
    ("FILE", "file"),
    ("JTI", "jti"),
    ("SCOPES", "query"),
    ("NAME", "name"),
    ("QUESTION", "question"),
    ("ADDRESS:PORT", "127.0.0.1:0"),
    ("ID", "id"),
    ("…", "hybrid"),
    ("N", "1"),
    ("<command>", "query"),
];

/// The files that the commands of the blocks name.
fn with_files(root: &Root) {
    root.write("work/some-folder/contract.md", "# Contract\n\nThe notice period is three months.\n");
    root.write("work/handbook.md", "# Handbook\n\nThe notice period is three months.\n");
    root.write("work/faq.html", "<h1>Questions</h1><p>The library closes at ten in the evening.</p>");
    let corpus =
        ["a", "b"].map(|id| format!("{{\"_id\":\"{id}\",\"title\":\"\",\"text\":\"The gate {id} opens at six.\"}}"));
    root.write("work/my-questions/corpus.jsonl", &corpus.join("\n"));
    root.write("work/my-questions/queries.jsonl", "{\"_id\":\"q\",\"text\":\"When does gate a open?\"}");
    root.write("work/my-questions/qrels/test.tsv", "query-id\tcorpus-id\tscore\nq\ta\t1\n");
    root.write("work/my-excerpts/text.md", "The gate opens at six in the morning. Visitors ring the bell.");
    let question = "{\"file\":\"text.md\",\"question\":\"When does the gate open?\",\"excerpts\":[\"The gate opens at six in the morning.\"]}";
    root.write("work/my-excerpts/questions.jsonl", question);
}

/// Runs the program in `folder` and returns its exit code and what it said.
async fn run(root: &Path, folder: &Path, words: &[String]) -> (Option<i32>, String) {
    let mut command = Command::new(worker());
    command
        .args(words)
        .current_dir(folder)
        .env_clear()
        .env("CARREL_ROOT", root)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.expect("a command ends").unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code(), said)
}

async fn succeeds(root: &Root, words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let (code, said) = run(root.path(), root.path(), &words).await;
    assert_eq!(code, Some(0), "{words:?}: {said}");
    said
}

#[tokio::test]
async fn every_command_of_a_block_is_run() {
    let root = Root::new().tenant("demo", "", &[("tokens.md", "A token is valid for 90 days.")]);
    with_files(&root);
    let work = root.path().join("work");
    let server = Server::start(&root).await;
    let address = server.ready["address"].as_str().unwrap().to_owned();
    let mut done = 0;
    for page in Page::all() {
        for line in page.blocks("sh").iter().flat_map(|block| shell::commands(block)) {
            if NOT_RUN.iter().any(|(begin, _)| line.starts_with(begin)) {
                continue;
            }
            let line = line.replace("target/release/carrel", "carrel");
            if line.starts_with("carrel tenant add acme") && root.path().join("tenants/acme.toml").exists() {
                succeeds(&root, &["tenant", "remove", "acme", "--yes"]).await;
            }
            let at = format!("{}: {line}", page.path);
            if line.starts_with("curl ") {
                let scopes = "query,documents:read,documents:write,reindex";
                let tenant = if root.path().join("tenants/acme.toml").exists() { "acme" } else { "demo" };
                let token = succeeds(&root, &["token", "mint", "-t", tenant, "--scope", scopes]).await;
                let line = line.replace("http://127.0.0.1:8080", &address).replace("$TOKEN", token.trim());
                let (status, body) = shell::curl(&line, &work).await;
                assert!(status.is_success(), "{at}: {status} {body}");
            } else {
                let words = shell::words(&line);
                assert_eq!(words[0], "carrel", "{at}: neither run nor listed with a reason");
                let (code, said) = run(root.path(), &work, &words[1..]).await;
                assert_eq!(code, Some(0), "{at}: {said}");
            }
            done += 1;
        }
    }
    assert!(done >= 12, "{done} commands were run");
    assert!(server.end().await);
}

/// The words of a command with something that fits in place of each placeholder.
fn filled(command: &str) -> Vec<String> {
    let fill = |word: String| {
        let found = PLACEHOLDERS.iter().find(|(placeholder, _)| *placeholder == word);
        found.map_or(word, |(_, fits)| (*fits).to_owned())
    };
    shell::words(command).into_iter().skip(1).map(fill).collect()
}

#[tokio::test]
async fn every_command_in_the_text_is_one_that_the_program_knows() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for page in Page::all() {
        for span in page.spans().into_iter().filter(|span| span.starts_with("carrel ")) {
            if !seen.insert(span.clone()) {
                continue;
            }
            let mut words = filled(&span);
            // What stands ahead of it is read first, so this ends the command before it does anything.
            words.push("--help".to_owned());
            let (code, said) = run(folder.path(), folder.path(), &words).await;
            assert_eq!(code, Some(0), "{}: `{span}`: {said}", page.path);
        }
    }
    assert!(seen.len() >= 50, "{} commands were read", seen.len());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn every_command_of_the_program_has_its_section() {
    let folder = tempfile::tempdir().unwrap();
    let (_, help) = run(folder.path(), folder.path(), &["--help".to_owned()]).await;
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let page = Page::of_manual("command-line");
    let mut looked_at = 0;
    for line in commands.lines() {
        let name = line.split_whitespace().next().unwrap();
        let headings = page.text.lines().filter_map(|line| line.strip_prefix("## "));
        let told = headings.flat_map(|heading| heading.split(" and ")).any(|heading| heading == name);
        assert!(told || name == "help", "command-line.md has no section on {name}");
        looked_at += 1;
    }
    assert!(looked_at > 15, "{help}");
}

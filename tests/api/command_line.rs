//! The command line as people use it: what it says when something is wrong, and with which exit code.

use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::harness::{PATIENCE, Root, worker};
use super::process::Server;

/// Begins like a ZIP archive and is none.
const DAMAGED: &str = "PK\u{3}\u{4} and nothing behind it";

/// What a command said.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    /// Its last line on standard output as JSON.
    fn json(&self) -> Value {
        serde_json::from_str(self.out.lines().last().unwrap_or_default()).unwrap_or_default()
    }

    #[track_caller]
    fn is(&self, code: i32, words: &str) {
        let Self { code: found, out, err } = self;
        assert!(
            *found == code && format!("{out}{err}").contains(words),
            "{found} instead of {code} `{words}`: {out}{err}"
        );
    }
}

async fn carrel_at(root: &Path, variables: &[(&str, &str)], args: &str) -> Said {
    let mut command = Command::new(worker());
    command.arg("--root").arg(root).args(args.split('|').flat_map(words)).env_clear().envs(variables.iter().copied());
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let Output { status, stdout, stderr } = timeout(PATIENCE, output).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
}

/// Words between blanks; what stands between bars in `carrel_at` and begins with a blank is one word.
fn words(text: &str) -> Vec<&str> {
    match text.strip_prefix(' ') {
        Some(whole) => vec![whole],
        None => text.split_whitespace().collect(),
    }
}

async fn carrel(root: &Root, args: &str) -> Said {
    carrel_at(root.path(), &[], args).await
}

/// Every command that names a tenant; `T` stands for it.
const OF_A_TENANT: [&str; 22] = [
    "tenant show T",
    "tenant remove T --yes",
    "tenant clone T other",
    "ingest FILE -t T",
    "query -t T when",
    "explain -t T when",
    "reindex -t T",
    "reindex -t T --wait",
    "reindex -t T --dry-run",
    "jobs -t T",
    "jobs -t T --cancel 01991f0e-6f4a-7c32-a5be-0d2c5f1f8a10",
    "purge -t T",
    "golden -t T list",
    "golden -t T add why --document a.md",
    "generations list -t T",
    "generations pin -t T 1",
    "generations diff -t T 1",
    "backup -t T FILE.tar",
    "export -t T",
    "export -t T --chunks",
    "token mint -t T",
    "token list -t T",
];

/// Every command that looks or changes, but begins nothing.
const OTHERS: [&str; 13] = [
    "tenant list",
    "reindex --all",
    "reindex --all --wait",
    "jobs",
    "jobs --cancel 01991f0e-6f4a-7c32-a5be-0d2c5f1f8a10",
    "token list",
    "token mint --scope metrics",
    "token revoke nobody",
    "admin-link",
    "check",
    "check --print",
    "check --live",
    "doctor",
];

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[tokio::test]
async fn a_mistyped_root_is_named_and_nothing_is_made_there() {
    let home = tempfile::tempdir().unwrap();
    let (missing, empty) = (home.path().join("missing"), home.path().join("empty"));
    std::fs::create_dir(&empty).unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "text").unwrap();
    for verb in OF_A_TENANT.iter().chain(&OTHERS) {
        let verb = verb.replace('T', "acme").replace("FILE", file.to_str().unwrap());
        for root in [&missing, &empty] {
            let said = carrel_at(root, &[], &verb).await;
            said.is(4, root.to_str().unwrap());
        }
    }
    assert!(!missing.exists());
    assert_eq!((entries(&empty), entries(home.path())), (0, 2));
}

#[tokio::test]
async fn an_unknown_tenant_is_named_by_every_command_with_and_without_a_server() {
    let root = Root::new().tenant("acme", "", &[("a.md", "The gate opens at six in the morning.")]);
    root.write("file.txt", "text");
    let file = root.path().join("file.txt");
    let unknown = async |root: &Root| {
        for verb in OF_A_TENANT {
            let verb = verb.replace('T', "acmee").replace("FILE", file.to_str().unwrap());
            carrel(root, &verb).await.is(4, "there is no tenant `acmee`: did you mean `acme`?");
        }
    };
    unknown(&root).await;
    assert!(!root.path().join("data").exists(), "no server was started for it");
    let server = Server::start(&root).await;
    unknown(&root).await;
    root.write("tenants/new.toml", "");
    carrel(&root, "query -t new when").await.is(4, "send the server a SIGHUP");
    assert!(server.end().await);
}

#[tokio::test]
async fn an_unknown_thing_is_named_with_exit_code_4() {
    let root = Root::new().tenant("acme", "", &[("a.md", "The gate opens at six in the morning.")]);
    root.write("empty/.hidden", "");
    let server = Server::start(&root).await;
    let uuid = "01991f0e-6f4a-7c32-a5be-0d2c5f1f8a10";
    for (verb, words) in [
        ("jobs --cancel nope", "there is no job `nope`"),
        ("jobs -t acme --cancel nope", "there is no job `nope`"),
        (&format!("jobs -t acme --retry {uuid}"), &format!("there is no job `{uuid}`")),
        (&format!("jobs --retry {uuid}"), &format!("there is no job `{uuid}`")),
        ("generations pin -t acme 99", "there is no generation `99`"),
        ("generations unpin -t acme 99", "there is no generation `99`"),
        ("generations activate -t acme 99", "there is no generation `99`"),
        ("generations delete -t acme 99", "there is no generation `99`"),
        ("generations diff -t acme 99", "there is no generation `99`"),
        ("query -t acme --generation 99 gate", "there is no generation `99`"),
        ("explain -t acme --generation 99 gate", "there is no generation `99`"),
        ("explain -t acme --document b.md gate", "there is no document `b.md`"),
        ("golden -t acme add gate --document b.md", "there is no document `b.md`"),
        ("golden -t acme delete a/b", "there is no golden question `a/b`"),
        ("token revoke a/b", "there is no token `a/b`"),
        ("ingest nowhere.txt -t acme", "`nowhere.txt`"),
        ("golden -t acme import nowhere", "`nowhere/qrels/test.tsv`"),
        ("restore nowhere.tar", "`nowhere.tar`"),
        ("backup -t acme nowhere/a.tar", "`nowhere`"),
        ("extract nowhere.pdf", "`nowhere.pdf`"),
        ("eval --dataset nowhere", "`nowhere`"),
        ("eval --evidence nowhere", "`nowhere`"),
        ("measure ingest nowhere", "`nowhere`"),
        ("tenant add beta --file nowhere.toml", "`nowhere.toml`"),
    ] {
        carrel(&root, verb).await.is(4, words);
        let told = carrel(&root, &format!("--json {verb}")).await;
        let error: Value = serde_json::from_str(told.err.trim()).unwrap_or_else(|_| panic!("{verb}: {}", told.err));
        assert!(error["error"]["message"].as_str().unwrap().contains(words), "{verb}: {error}");
        assert!(error["error"]["code"].is_string(), "{verb}: {error}");
    }
    let misused = carrel(&root, "--json qury").await;
    let error: Value = serde_json::from_str(misused.err.trim()).unwrap();
    assert_eq!((misused.code, error["error"]["code"].as_str()), (2, Some("usage")));
    assert!(server.end().await);
}

#[tokio::test]
async fn the_list_of_tenants_tells_how_each_fares_with_and_without_a_server() {
    let root = Root::new().tenant("acme", "", &[("a.md", "The gate opens at six."), ("b.bin", DAMAGED)]).tenant(
        "wrong",
        "[limits]\nburts = 1\nburst = 0\n",
        &[],
    );
    let tenants = carrel(&root, "tenant list").await;
    tenants.is(0, "no index yet");
    assert!(!root.path().join("data").exists(), "looking makes nothing");
    let server = Server::start(&root).await;
    let of = |list: &Value, id: &str| {
        list["data"].as_array().unwrap().iter().find(|tenant| tenant["id"] == id).cloned().unwrap_or_default()
    };
    let facts =
        |tenant: &Value| ["documents", "chunks", "generation", "documents_failed"].map(|key| tenant[key].clone());
    let beside = carrel(&root, "--json tenant list").await.json();
    let (acme, wrong) = (of(&beside, "acme"), of(&beside, "wrong"));
    assert_eq!((&acme["state"], facts(&acme)), (&"ready".into(), [1, 1, 1, 1].map(Value::from)));
    assert_eq!(acme["trouble"], "1 document failed");
    let said = wrong["trouble"].as_str().unwrap();
    assert!(wrong["state"] == "failed" && said.contains("tenants/wrong.toml:2") && said.contains("burst"), "{wrong}");
    carrel(&root, "query -t wrong when").await.is(2, "tenants/wrong.toml:2: unknown key `burts`");
    let shown = carrel(&root, "--json tenant show acme").await.json();
    assert_eq!((&shown["settings"]["retrieval"]["top_k"], &shown["trouble"]), (&3.into(), &acme["trouble"]));
    assert!(server.end().await);
    let alone = carrel(&root, "--json tenant list").await.json();
    assert_eq!((of(&alone, "acme")["state"].as_str(), facts(&of(&alone, "acme"))), (Some("stopped"), facts(&acme)));
    assert_eq!(of(&alone, "wrong")["trouble"], wrong["trouble"]);
    carrel(&root, "tenant list").await.is(0, "1 document failed");
}

#[tokio::test]
async fn a_reindex_of_all_goes_on_past_a_tenant_that_fails_and_says_which_documents_it_warns_of() {
    let root = Root::new()
        .tenant("acme", "", &[("a.md", "The gate opens at six.")])
        .tenant("beta", "", &[("a.md", "The gate opens at six."), ("b.bin", DAMAGED)])
        .tenant("wrong", "nmae = 1", &[])
        .tenant("zeta", "", &[]);
    let server = Server::start(&root).await;
    let all = carrel(&root, "reindex --all --wait").await;
    all.is(1, "1 of 4 tenants failed");
    for line in [
        "acme: done\n",
        "beta: done_with_warnings (documents_failed:",
        "  b.bin: failed (",
        "wrong: failed (usage: tenants/wrong.toml:1:",
        "zeta: done\n",
        "2 done, 1 with warnings, 1 failed",
    ] {
        assert!(all.out.contains(line), "{line}: {}", all.out);
    }
    carrel(&root, "reindex -t beta --wait").await.is(0, "  b.bin: failed (");
    let told = carrel(&root, "--json reindex --all --wait").await;
    let jobs = told.json();
    assert_eq!((told.code, jobs[1]["job"]["documents"][0]["id"].as_str()), (1, Some("b.bin")), "{jobs}");
    assert!(jobs[2]["error"]["message"].is_string(), "{jobs}");
    carrel(&root, "reindex --all").await.is(1, "3 queued, 0 done, 0 with warnings, 1 failed");
    carrel(&root, "reindex --all --dry-run").await.is(1, "zeta: 0 documents added");
    let jobs = carrel(&root, "--json jobs").await.json();
    let of: Vec<&str> = jobs["data"].as_array().unwrap().iter().filter_map(|job| job["tenant"].as_str()).collect();
    assert!(["acme", "beta", "zeta"].iter().all(|id| of.contains(id)), "{jobs}");
    assert!(server.end().await);
    carrel(&root, "jobs").await.is(0, "reindex");
}

#[tokio::test]
async fn an_ingestion_says_why_each_file_failed_and_sums_up() {
    let root = Root::new().tenant("acme", "[limits]\nmax_documents = 3\n", &[]);
    root.write("carrel.toml", "[http]\nmax_upload_bytes = 1000\n");
    root.write("in/a.txt", "The gate opens at six.");
    root.write("in/b.bin", DAMAGED);
    root.write("in/c.txt", "");
    root.write("in/d.txt", &"The gate opens at six. ".repeat(1000));
    root.write("in/e.txt", "The gate closes at ten.");
    root.write("in/f.txt", "Visitors ring the bell.");
    let said =
        carrel(&root, &format!("ingest|  {}|-t acme", root.path().join("in").display()).replace("|  ", "| ")).await;
    said.is(1, "6 documents: ");
    for line in [
        "a.txt: done\n",
        "b.bin: failed (",
        "c.txt: failed (document_empty: ",
        "d.txt: failed (document_too_large: ",
        "failed (quota_exceeded: ",
    ] {
        assert!(said.out.contains(line), "{line}: {}", said.out);
    }
}

#[tokio::test]
async fn tokens_are_minted_as_the_api_would_and_the_command_lines_own_are_in_no_list() {
    let root = Root::new().tenant("acme", "", &[("a.md", "The gate opens at six in the morning.")]);
    for scope in [
        "token mint -t acme --scope query,documents:read",
        "token mint -t acme --scope query documents:read",
        "token mint -t acme --scope| query documents:read",
    ] {
        carrel(&root, scope).await.is(0, "eyJ");
    }
    for (verb, words) in [
        ("token mint -t acme --scope query,metrics", "`metrics` reaches beyond one tenant"),
        ("token mint -t acme --scope tenants:admin", "`tenants:admin` reaches beyond one tenant"),
        ("token mint --scope query", "needs a tenant"),
        (
            "token mint -t acme --scope reed",
            "(choose from query, documents:read, documents:write, reindex, tenants:admin, metrics)",
        ),
        ("token mint -t acme --scope query --days 4000", "4000"),
        ("token mint -t acme --subject=", "--subject"),
    ] {
        carrel(&root, verb).await.is(2, words);
    }
    carrel(&root, "query -t acme gate").await.is(0, "six");
    let server = Server::start(&root).await;
    carrel(&root, "query -t acme gate").await.is(0, "six");
    carrel(&root, "reindex --all --wait").await.is(0, "acme: done");
    let tokens = carrel(&root, "--json token list --all").await.json();
    assert_eq!(tokens.as_array().unwrap().len(), 3, "{tokens}");
    assert!(server.end().await);
}

#[tokio::test]
async fn a_tenant_is_removed_only_after_a_yes() {
    let root = Root::new().tenant("acme", "", &[("a.md", "The gate opens at six in the morning.")]);
    carrel(&root, "tenant remove acme").await.is(2, "add --yes");
    assert!(root.path().join("documents/acme/a.md").exists());
    carrel(&root, "tenant remove acme --yes").await.is(0, "removed acme");
    assert!(!root.path().join("documents/acme").exists());
}

#[tokio::test]
async fn check_lists_every_mistake_of_every_file_and_variables_that_it_does_not_know() {
    let root = Root::new().tenant("acme", "", &[]).tenant("beta", "[limts]\n[answer]\nmin_score = 2\n", &[]);
    root.write(
        "carrel.toml",
        "[http]\nbnid = 1\nmax_query_chars = 0\n[providers.p]\nbase_url = \"http://a/v1\"\napi_key = \"sesame\"\n",
    );
    root.write("tenants/Bad Name.toml", "");
    let variables = [("CARREL_HTTP_BIND", "127.0.0.1:1"), ("CARREL_HTTP__DRIAN_S", "1"), ("CARREL_SERVICE_PORT", "80")];
    let said = carrel_at(root.path(), &variables, "check --print").await;
    for line in [
        "carrel.toml:2: unknown key `bnid`: did you mean `bind`?",
        "carrel.toml:3: `max_query_chars` must be from 1 to 32768",
        "environment: CARREL_HTTP__DRIAN_S is no setting: did you mean `drain_s`?",
        "tenants/beta.toml:1: unknown key `limts`: did you mean `limits`?",
        "tenants/beta.toml:3: `min_score` must be from -1 to 1",
        "tenants/Bad Name.toml",
        "warning: CARREL_HTTP_BIND is no setting and is ignored: did you mean CARREL_HTTP__BIND?",
        "warning: CARREL_SERVICE_PORT is no setting and is ignored",
    ] {
        said.is(2, line);
    }
    assert!(!said.out.contains("sesame"), "{}", said.out);
    assert_eq!(toml::from_str::<toml::Table>(&said.out).unwrap()["providers"]["p"]["api_key"].as_str(), Some("***"));
    let told = carrel_at(root.path(), &variables, "check --json").await.json();
    assert_eq!((told["ok"].as_bool(), told["tenants"].as_array().map(Vec::len)), (Some(false), Some(1)), "{told}");
    carrel(&root, "doctor").await.is(1, "tenants/beta.toml:1");
    carrel(&root, "tenant list").await.is(2, "carrel.toml:2");
    let well = Root::new().tenant("acme", "", &[]);
    let said = carrel_at(well.path(), &[("CARREL_BUILDS__CONCURRENT", "3")], "check --print").await;
    said.is(0, "concurrent = 3");
    assert!(!well.path().join("data").exists());
}

//! One tenant as one file, and back: whole, alike, or refused before anything is touched.

use std::fs;

use carrel::actors::Faults;
use carrel::domain::{Job, JobId, JobState, TenantId};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Caller, GENEROUS, Reply, Root, TestApp, eventually};

const QUESTION: &str = "When does the apple harvest begin?";

/// A tenant with documents of both kinds, attributes, and two generations.
async fn acme() -> TestApp {
    let documents = [("a.md", "# A\n\nThe apple harvest begins in autumn.\n"), ("guide/Straße.md", "Grüße aus Köln.")];
    let app = Root::new().tenant("acme", "", &documents).start().await;
    let acme = app.tenant("acme").await;
    let form = reqwest::multipart::Form::new()
        .text("id", "memo")
        .text("attributes", r#"{"team": "blue"}"#)
        .part("file", reqwest::multipart::Part::bytes(b"The okapi budget is seven.".to_vec()).file_name("memo.txt"));
    let sent = Reply::of(acme.request(Method::POST, "/api/v1/documents").multipart(form)).await.ok();
    acme.job(sent["job_id"].as_str().unwrap()).await;
    let golden = json!({ "question": QUESTION, "expect": [{ "document_id": "a.md" }] });
    acme.post("/api/v1/golden", golden).await.ok();
    acme.reindex().await;
    app
}

async fn backup(operator: &Caller<'_>, tenant: &str) -> Vec<u8> {
    let reply = operator.request(Method::GET, &format!("/api/v1/tenants/{tenant}/backup")).send().await.unwrap();
    assert_eq!(
        (reply.status(), &reply.headers()["content-type"]),
        (StatusCode::OK, &"application/x-tar".parse().unwrap())
    );
    reply.bytes().await.unwrap().to_vec()
}

async fn restore(operator: &Caller<'_>, file: impl Into<reqwest::Body>, id: &str) -> Reply {
    Reply::of(operator.request(Method::POST, &format!("/api/v1/tenants/restore?as={id}")).body(file)).await
}

/// What a tenant says, but for what names the moment and the request.
async fn said(caller: &Caller<'_>) -> Vec<Value> {
    let mut said = vec![caller.ask(QUESTION).await.ok()];
    said.push(caller.post("/api/v1/search", json!({ "query": "okapi budget", "include": ["passages"] })).await.ok());
    said.push(caller.get("/api/v1/documents").await.ok());
    said.push(caller.get("/api/v1/generations").await.ok());
    said.push(caller.get("/api/v1/golden").await.ok());
    for reply in &mut said {
        for key in ["id", "timings_ms"] {
            reply.as_object_mut().unwrap().remove(key);
        }
        for entry in reply["data"].as_array_mut().into_iter().flatten() {
            for key in ["job_id", "updated_at"] {
                entry.as_object_mut().unwrap().remove(key);
            }
        }
    }
    said
}

/// Names in `data/` and `documents/` that no tenant or server has.
fn leftovers(app: &TestApp) -> Vec<String> {
    let names = ["data", "documents"].into_iter().flat_map(|folder| {
        fs::read_dir(app.root().path().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
    });
    names.filter(|name| name.starts_with('.')).collect()
}

#[tokio::test]
async fn a_tenant_comes_back_from_its_file_answers_alike_and_embeds_nothing() {
    let app = acme().await;
    let operator = app.operator().await;
    let before = said(&app.tenant("acme").await).await;
    let file = backup(&operator, "acme").await;
    let made = restore(&operator, file.clone(), "copy").await;
    assert_eq!((made.status, made.header("location")), (StatusCode::CREATED, "/api/v1/tenants/copy"));
    let copy = app.tenant("copy").await;
    assert_eq!(said(&copy).await, before);
    let jobs = copy.get("/api/v1/jobs").await.ok();
    let job = &jobs["data"][0];
    assert_eq!(jobs["data"].as_array().unwrap().len(), 1, "there was nothing else to do");
    assert_eq!((&job["kind"], &job["state"], &job["id"]), (&json!("restore"), &json!("done"), &made.body["job_id"]));
    assert_eq!((&job["counts"]["documents_done"], &job["counts"]["texts_embedded"]), (&json!(3), &json!(0)));
    assert_eq!((&job["generation"], &job["requested_by"]), (&json!(2), &json!("test")));
    operator.delete("/api/v1/tenants/acme").await.ok();
    let back = Reply::of(operator.request(Method::POST, "/api/v1/tenants/restore").body(file)).await;
    assert_eq!(back.ok()["id"], "acme");
    let acme = app.tenant("acme").await;
    assert_eq!(said(&acme).await, before);
    // It is a tenant like any other: over a restart, to changes, and to a way back.
    acme.upload("new", "The tapir office opens in June.").await;
    acme.post("/api/v1/generations/1/activate", json!({})).await.ok();
    let app = app.end().await.start().await;
    let (acme, copy) = (app.tenant("acme").await, app.tenant("copy").await);
    assert_eq!(said(&copy).await, before);
    assert_eq!(acme.ask("When does the tapir office open?").await.ok()["citations"][0]["document_id"], "new");
    assert_eq!(copy.get("/api/v1/jobs").await.ok(), jobs, "nor after a restart");
    assert_eq!(leftovers(&app), [""; 0]);
    let audit = app.operator().await.get("/api/v1/audit").await.text;
    for action in ["tenant.backup", "tenant.restore"] {
        assert!(audit.contains(action), "{action}");
    }
}

#[tokio::test]
async fn what_is_no_whole_backup_is_refused_and_changes_nothing() {
    let app = acme().await;
    let operator = app.operator().await;
    let file = backup(&operator, "acme").await;
    restore(&operator, file.clone(), "acme").await.problem(409, "tenant_exists");
    restore(&operator, file.clone(), "../x").await.problem(400, "invalid_parameter");
    restore(&operator, file[..file.len() / 2].to_vec(), "x").await.problem(422, "backup_damaged");
    restore(&operator, file[..file.len() - 1].to_vec(), "x").await.problem(422, "backup_damaged");
    restore(&operator, "%PDF-1.7 and no backup", "x").await.problem(422, "backup_foreign");
    restore(&operator, "", "x").await.problem(422, "backup_foreign");
    for at in [700, file.len() / 3, file.len() / 2, file.len() - 1500] {
        let mut flipped = file.clone();
        flipped[at] ^= 1;
        restore(&operator, flipped, "x").await.problem(422, "backup_damaged");
    }
    app.root().write("documents/orphan/a.md", "Somebody put this here before there was a tenant.");
    restore(&operator, file, "orphan").await.problem(409, "tenant_exists");
    assert!(app.root().path().join("documents/orphan/a.md").exists());
    assert_eq!(app.state.tenants.ready(), (1, 1));
    for gone in ["tenants/x.toml", "documents/x", "data/x", "tenants/orphan.toml"] {
        assert!(!app.root().path().join(gone).exists(), "{gone}");
    }
    assert_eq!(leftovers(&app), [""; 0]);
    operator.get("/api/v1/tenants/nobody/backup").await.problem(404, "tenant_not_found");
}

#[tokio::test]
async fn a_backup_of_more_than_its_quota_or_the_servers_limit_is_refused() {
    let tight = format!("{GENEROUS}[retrieval]\n").replace("[limits]", "[limits]\nmax_documents = 1");
    let documents = [("a.md", "The apple harvest begins in autumn."), ("b.md", "The pear harvest begins in summer.")];
    let root = Root::new().tenant("acme", &tight, &documents);
    let app = root.start_with(|config| config.http.max_restore_bytes = 1 << 20, Faults::default()).await;
    let operator = app.operator().await;
    restore(&operator, backup(&operator, "acme").await, "x").await.problem(403, "quota_exceeded");
    restore(&operator, vec![0; (1 << 20) + 1], "x").await.problem(413, "body_too_large");
    assert_eq!(leftovers(&app), [""; 0]);
}

#[tokio::test]
async fn a_backup_is_whole_while_the_tenant_is_written_to_and_asked() {
    let app = acme().await;
    let (acme, operator) = (app.tenant("acme").await, app.operator().await);
    let work = async {
        for round in 0..6 {
            acme.upload("changing", format!("The zebra count is {round}.")).await;
            app.root().write("documents/acme/hand.md", &format!("The walrus count is {round}."));
            acme.reindex().await;
            acme.ask(QUESTION).await.ok();
        }
    };
    let save = async {
        let mut files = Vec::new();
        for _ in 0..4 {
            files.push(backup(&operator, "acme").await);
        }
        files
    };
    let ((), files) = tokio::join!(work, save);
    for (at, file) in files.into_iter().enumerate() {
        let id = format!("copy-{at}");
        restore(&operator, file, &id).await.ok();
        let copy = app.tenant(&id).await;
        assert_eq!(copy.ask(QUESTION).await.ok()["citations"][0]["document_id"], "a.md");
        let errors = app.desk(&id).status().errors;
        assert!(errors.is_empty(), "{errors:?}");
    }
}

#[tokio::test]
async fn a_restore_that_was_cut_off_leaves_no_tenant_or_the_whole_one() {
    let app = acme().await;
    let operator = app.operator().await;
    let file = backup(&operator, "acme").await;
    let mut jobs = Vec::new();
    for id in ["half", "whole"] {
        let made = restore(&operator, file.clone(), id).await.ok();
        let (tenant, job) = (TenantId::parse(id).unwrap(), JobId::parse(made["job_id"].as_str().unwrap()).unwrap());
        let ledger = &app.state.ledger;
        let done = ledger.job(&tenant, job).await.unwrap().unwrap();
        ledger.save_job(&tenant, Job { state: JobState::Running, ..done }).await.unwrap();
        jobs.push((tenant, job));
    }
    let root = app.end().await;
    // As a power failure leaves it: the folders are in place, the tenant's own file is not yet, or is, and the note stays.
    root.write("data/.restoring-1/in-place", "half");
    fs::remove_file(root.path().join("tenants/half.toml")).unwrap();
    root.write("data/.restoring-2/in-place", "whole");
    // Cut off while it was unpacked, or while a backup was laid aside.
    for begun in
        ["data/.restoring-3/index-and-current/current", "documents/.restoring-3/a.md", "data/.backup-4/current"]
    {
        root.write(begun, "rubbish");
    }
    let app = root.start().await;
    assert_eq!(app.state.tenants.ready(), (2, 2));
    let mut ends = Vec::new();
    for (tenant, job) in &jobs {
        let job = app.state.ledger.job(tenant, *job).await.unwrap().unwrap();
        ends.push((job.state, job.problem.map(|problem| problem.code)));
    }
    assert_eq!(ends, [(JobState::Failed, Some("interrupted".to_owned())), (JobState::Done, None)]);
    for gone in ["documents/half", "data/half"] {
        assert!(!app.root().path().join(gone).exists(), "{gone}");
    }
    assert_eq!(leftovers(&app), [""; 0]);
    assert_eq!(said(&app.tenant("whole").await).await, said(&app.tenant("acme").await).await);
    let operator = app.operator().await;
    restore(&operator, file, "half").await.ok();
    let records = app.tenant("half").await.get("/api/v1/documents").await.ok();
    assert_eq!(records["data"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_clone_is_alike_and_goes_its_own_way() {
    let app = acme().await;
    let operator = app.operator().await;
    operator.post("/api/v1/tenants/acme/clone", json!({ "id": "acme" })).await.problem(409, "tenant_exists");
    operator.post("/api/v1/tenants/nobody/clone", json!({ "id": "twin" })).await.problem(404, "tenant_not_found");
    let made = operator.post("/api/v1/tenants/acme/clone", json!({ "id": "twin" })).await;
    assert_eq!((made.status, &made.body["id"]), (StatusCode::CREATED, &json!("twin")));
    let (acme, twin) = (app.tenant("acme").await, app.tenant("twin").await);
    assert_eq!(said(&twin).await, said(&acme).await);
    twin.delete("/api/v1/documents/memo").await.ok();
    fs::remove_file(app.root().path().join("documents/twin/a.md")).unwrap();
    eventually(|| async { (twin.ask(QUESTION).await.ok()["citations"] == json!([])).then_some(()) }).await;
    assert_eq!(acme.ask(QUESTION).await.ok()["citations"][0]["document_id"], "a.md");
    acme.get("/api/v1/documents/memo").await.ok();
}

#[tokio::test]
async fn an_export_holds_every_document_or_chunk_of_the_caller_alone() {
    let app = acme().await;
    app.operator().await.post("/api/v1/tenants", json!({ "id": "other" })).await.ok();
    let acme = app.tenant("acme").await;
    let lines = |text: &str| -> Vec<Value> { text.lines().map(|line| serde_json::from_str(line).unwrap()).collect() };
    let reply = acme.get("/api/v1/export").await;
    assert_eq!(reply.header("content-type"), "application/jsonl");
    let documents = lines(&reply.text);
    let ids: Vec<&str> = documents.iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a.md", "guide/Straße.md", "memo"]);
    assert_eq!((&documents[2]["name"], &documents[2]["attributes"]), (&json!("memo.txt"), &json!({ "team": "blue" })));
    for chunk in lines(&acme.get("/api/v1/export?what=chunks").await.text) {
        let document = documents.iter().find(|line| line["id"] == chunk["document_id"]).unwrap();
        let place = |key: &str| usize::try_from(chunk[key].as_u64().unwrap()).unwrap();
        assert_eq!(document["text"].as_str().unwrap()[place("start")..place("end")], *chunk["text"].as_str().unwrap());
        assert!(chunk["chunk_id"].as_str().unwrap().starts_with(chunk["document_id"].as_str().unwrap()));
    }
    acme.get("/api/v1/export?what=tokens").await.problem(400, "invalid_parameter");
}

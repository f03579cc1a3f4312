//! Golden questions: a generation that finds less than the one that serves is held back.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Caller, GENEROUS, Root, TestApp, eventually};
use crate::vectors::Vectors;

const DOCUMENTS: &[(&str, &str)] = &[
    (
        "library.md",
        "# Library\n\nThe reading room closes at nine in the evening, and a lost book costs 25 francs to replace, \
     payable at the desk of the reading room before the end of the month, unless the reader brings another copy of the \
     same edition within fourteen days, in which case the library waives the fee but keeps a deposit of five francs for \
     the new labels and the binding.",
    ),
    ("zoo.md", "# Zoo\n\nThe quagga herd grazes by the lake."),
];
const EXCERPT: &str = "The reading room closes at nine in the evening, and a lost book costs 25 francs to replace, \
     payable at the desk of the reading room before the end of the month, unless the reader brings another copy of the \
     same edition within fourteen days, in which case the library waives the fee but keeps a deposit of five francs for \
     the new labels and the binding.";

async fn acme(settings: &str) -> TestApp {
    Root::new().tenant("acme", &format!("{GENEROUS}{settings}"), DOCUMENTS).start().await
}

async fn golden(caller: &Caller<'_>) -> Value {
    let expect = json!([{ "document_id": "library.md", "excerpt": EXCERPT }]);
    caller.post("/api/v1/golden", json!({ "question": "What does a lost book cost?", "expect": expect })).await.ok()
}

async fn generations(caller: &Caller<'_>) -> Vec<Value> {
    caller.get("/api/v1/generations").await.ok()["data"].as_array().unwrap().clone()
}

/// Edits the tenant's settings as a person would, and has them taken over.
async fn edit(app: &TestApp, settings: &str) {
    app.root().write("tenants/acme.toml", &format!("{GENEROUS}{settings}"));
    app.operator().await.post("/api/v1/tenants/reload", json!({})).await.ok();
}

#[tokio::test]
async fn a_broken_chunker_is_held_back_and_force_lets_it_serve() {
    let app = acme("").await;
    let caller = app.tenant("acme").await;
    golden(&caller).await;
    // Cut this small, no chunk holds the excerpt any more.
    edit(&app, "[chunking]\nmax_tokens = 32\noverlap_tokens = 0\n").await;
    let job = caller.reindex().await;
    assert_eq!(
        (&job["state"], &job["error"]["code"]),
        (&json!("done_with_warnings"), &json!("generation_held")),
        "{job}"
    );
    let list = generations(&caller).await;
    let states: Vec<&str> = list.iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["held", "serving"]);
    let check = &list[0]["checks"]["golden"];
    assert_eq!((&check["held"], &check["questions"]), (&json!(true), &json!(1)));
    assert_eq!((&check["serving"]["recall@10"], &check["built"]["recall@10"]), (&json!(1.0), &json!(0.0)));
    assert_eq!(check["worse"][0]["question"], "What does a lost book cost?");
    let answer = caller.ask("What does a lost book cost?").await.ok();
    assert_eq!(answer["index"]["generation"], 1, "what served goes on serving");

    caller.post("/api/v1/generations/2/activate", json!({})).await.problem(409, "generation_held");
    caller.post("/api/v1/generations/2/activate", json!({ "force": true })).await.ok();
    assert_eq!(caller.ask("What does a lost book cost?").await.ok()["index"]["generation"], 2);
    let audit = app.operator().await.get("/api/v1/audit").await.ok();
    assert!(audit["data"].as_array().unwrap().iter().any(|entry| entry["action"] == "generation.force"), "{audit}");
    let app = app.end().await.start().await;
    assert_eq!(app.tenant("acme").await.ask("What does a lost book cost?").await.ok()["index"]["generation"], 2);
}

#[tokio::test]
async fn a_generation_that_finds_as_much_serves_and_its_checks_are_told() {
    let app = acme("").await;
    let caller = app.tenant("acme").await;
    golden(&caller).await;
    let job = caller.reindex().await;
    assert_eq!(job["state"], "done", "{job}");
    let list = generations(&caller).await;
    assert_eq!((&list[0]["state"], &list[0]["checks"]["golden"]["held"]), (&json!("serving"), &json!(false)));
    assert_eq!(list[0]["checks"]["golden"]["worse"], json!([]));
    assert!(list[1]["checks"].is_null(), "the first build had nothing to check");
}

#[tokio::test]
async fn a_wider_margin_lets_a_worse_generation_serve() {
    let app = acme("").await;
    let caller = app.tenant("acme").await;
    golden(&caller).await;
    edit(&app, "[chunking]\nmax_tokens = 32\noverlap_tokens = 0\n[quality]\nmargin = 1.0\n").await;
    assert_eq!(caller.reindex().await["state"], "done");
    assert_eq!(generations(&caller).await[0]["checks"]["golden"]["held"], json!(false));
}

#[tokio::test]
async fn golden_questions_are_kept_listed_replaced_and_deleted() {
    let app = acme("").await;
    let caller = app.tenant("acme").await;
    let first = golden(&caller).await;
    assert_eq!(first["created_by"], "test");
    let expect = json!([{ "document_id": "library.md" }, { "document_id": "zoo.md" }]);
    let again = json!({ "question": " what does a lost book cost? ", "expect": expect });
    let second = caller.post("/api/v1/golden", again).await;
    assert_eq!((second.status, &second.body["id"]), (StatusCode::CREATED, &first["id"]));
    let app = app.end().await.start().await;
    let caller = app.tenant("acme").await;
    let list = caller.get("/api/v1/golden").await.ok();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert_eq!(list["data"][0]["expect"], expect);
    let path = format!("/api/v1/golden/{}", first["id"].as_str().unwrap());
    assert_eq!(caller.delete(&path).await.status, StatusCode::NO_CONTENT);
    caller.delete(&path).await.problem(404, "not_found");
}

#[tokio::test]
async fn golden_questions_that_cannot_be_kept_are_refused_in_words() {
    let app = acme("").await;
    let caller = app.tenant("acme").await;
    let post = |question: &'static str, expect: Value| {
        caller.post("/api/v1/golden", json!({ "question": question, "expect": expect }))
    };
    let unknown = post("When?", json!([{ "document_id": "gone.md" }])).await.problem(422, "golden_unknown_document");
    assert!(unknown["detail"].as_str().unwrap().contains("gone.md"));
    post(" ", json!([{ "document_id": "zoo.md" }])).await.problem(422, "invalid_golden");
    post("When?", json!([])).await.problem(422, "invalid_golden");
    post("When?", json!([{ "document_id": "zoo.md", "excerpt": " " }])).await.problem(422, "invalid_golden");
    post("When?", json!([{ "document_id": "../zoo.md" }])).await.problem(422, "invalid_golden");
    assert_eq!(caller.get("/api/v1/golden").await.ok()["data"], json!([]));
}

#[tokio::test]
async fn without_golden_questions_those_really_asked_are_replayed_where_the_tenant_allows_it() {
    let app = acme("[quality]\nquery_log = true\n").await;
    let caller = app.tenant("acme").await;
    for question in ["What does a lost book cost?", "Where does the herd graze?", "What does a lost book cost?"] {
        caller.ask(question).await.ok();
    }
    caller.reindex().await;
    let replay = &generations(&caller).await[0]["checks"]["replay"];
    assert_eq!((&replay["questions"], &replay["overlap"]), (&json!(2), &json!(1.0)));
    edit(&app, "").await;
    caller.reindex().await;
    assert!(generations(&caller).await[0]["checks"].is_null(), "a tenant that allows no log has none");
}

#[tokio::test]
async fn what_serves_need_not_be_asked_once_its_embedder_is_gone() {
    let vectors = Vectors::start(96).await;
    let dense = "[retrieval]\nmode = \"dense\"\nembedder = \"mock/vectors\"\n";
    let root = Root::new().tenant("acme", &format!("{GENEROUS}{dense}"), DOCUMENTS);
    root.write("carrel.toml", &vectors.settings());
    let app = root.start().await;
    let caller = app.tenant("acme").await;
    golden(&caller).await;
    vectors.fail(true);
    edit(&app, "[retrieval]\nmode = \"dense\"\n").await;
    let job = caller.reindex().await;
    assert_eq!(
        (&job["state"], &job["error"]["code"]),
        (&json!("done_with_warnings"), &json!("golden_not_compared")),
        "{job}"
    );
    let check = &generations(&caller).await[0]["checks"]["golden"];
    assert_eq!((&check["held"], &check["serving"]), (&json!(false), &Value::Null));
    assert!(check["unasked"].as_str().unwrap().contains("mock"), "{check}");
    assert_eq!(caller.ask("What does a lost book cost?").await.ok()["index"]["generation"], 2);
}

#[tokio::test]
async fn a_new_generation_whose_embedder_fails_at_its_checks_waits_and_is_not_held_back_for_it() {
    let vectors = Vectors::start(96).await;
    let root = Root::new().tenant("acme", GENEROUS, DOCUMENTS);
    root.write("carrel.toml", &vectors.settings());
    let app = root.start().await;
    let caller = app.tenant("acme").await;
    golden(&caller).await;
    vectors.fail_at("What does a lost book cost?");
    edit(&app, "[retrieval]\nembedder = \"mock/vectors\"\n").await;
    let ticket = caller.post("/api/v1/reindex", json!({})).await.ok();
    let path = format!("/api/v1/jobs/{}", ticket["job_id"].as_str().unwrap());
    let (path, asking) = (&path, &caller);
    eventually(|| async move {
        let job = asking.get(path).await.ok();
        (job["stage"] == "check" && job["error"]["code"] == "embedder_unavailable").then_some(())
    })
    .await;
    vectors.fail_at("");
    let job = caller.job(ticket["job_id"].as_str().unwrap()).await;
    assert_eq!((&job["state"], &job["error"]), (&json!("done"), &Value::Null), "{job}");
    assert_eq!(generations(&caller).await[0]["checks"]["golden"]["held"], json!(false));
}

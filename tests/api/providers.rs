//! Providers as they are: fields and contexts they refuse, addresses of their own, and one bound over all they are asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use carrel::embed::{Embedder, HashEmbedder, Purpose};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{GENEROUS, Root, TestApp, eventually};
use crate::model::{Model, Reply};

const GATE: &str = "# Gate\n\nThe gate opens at six in the morning. The gate closes at ten in the evening.";
const ANSWER: &str = "The gate opens at six in the morning [1].";

async fn told(app: &TestApp, streamed: bool) -> Value {
    let acme = app.tenant("acme").await;
    let body = json!({ "query": "When does the gate open?", "stream": streamed, "top_k": 4 });
    let reply = acme.post("/api/v1/query", body).await;
    if !streamed {
        return reply.ok();
    }
    let done = reply.text.split("event: done\ndata: ").nth(1).expect("the stream ends well");
    serde_json::from_str(done.lines().next().unwrap()).unwrap()
}

#[tokio::test]
async fn a_model_that_refuses_fields_answers_without_them_and_is_asked_once_from_then_on() {
    for streamed in [false, true] {
        let model = Model::start(|request| {
            let says = |field: &str| format!("Unsupported value: '{field}' does not support this with this model.");
            let refused =
                ["temperature", "max_tokens", "stream_options"].into_iter().find(|field| request.get(*field).is_some());
            match refused {
                Some(field) => Reply::Refused(400, json!({ "error": { "message": says(field) } }).to_string()),
                None => Reply::Words(ANSWER.into()),
            }
        })
        .await;
        let app = model.carrel(&[("gate.md", GATE)]).await;
        let first = told(&app, streamed).await;
        assert_eq!((&first["answered_by"], &first["degraded"]), (&json!("mock/gpt"), &json!([])), "{first}");
        let asked = model.asked().len();
        assert_eq!(asked, if streamed { 4 } else { 3 });
        assert_eq!(told(&app, streamed).await["answered_by"], "mock/gpt");
        assert_eq!(model.asked().len(), asked + 1);
        assert!(model.asked().last().unwrap()["max_completion_tokens"].is_u64());
    }
}

#[tokio::test]
async fn passages_that_the_context_does_not_hold_are_left_out_and_the_reply_says_so() {
    let documents: Vec<(String, String)> =
        (1..5).map(|number| (format!("gate{number}.md"), format!("{GATE} Gate number {number}."))).collect();
    let documents: Vec<(&str, &str)> = documents.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    for streamed in [false, true] {
        for (status, says) in [
            (
                400,
                r#"{"error": {"message": "This model's maximum context length is 99 tokens", "code": "context_length_exceeded"}}"#,
            ),
            (413, "<html><title>Request Entity Too Large</title></html>"),
        ] {
            let model = Model::start(move |request| {
                let prompt = request["messages"][1]["content"].as_str().unwrap().to_owned();
                let fits = !prompt.contains("\n[3]\n");
                if fits { Reply::Words(ANSWER.into()) } else { Reply::Refused(status, says.into()) }
            })
            .await;
            let app = model.carrel(&documents).await;
            let reply = told(&app, streamed).await;
            assert_eq!((&reply["answered_by"], model.asked().len()), (&json!("mock/gpt"), 2), "{reply}");
            let degraded = &reply["degraded"];
            assert_eq!((degraded.as_array().unwrap().len(), &degraded[0]["code"]), (1, &json!("context_shortened")));
            let message = degraded[0]["message"].as_str().unwrap();
            assert!(message.contains("the first 2 of 4 passages") && !message.contains("99 tokens"), "{message}");
            assert_eq!(reply["citations"].as_array().unwrap().len(), 1);
        }
        let never = Model::start(|_| Reply::Refused(400, "prompt is too long".into())).await;
        let reply = told(&never.carrel(&documents).await, streamed).await;
        assert_eq!((&reply["degraded"][0]["code"], never.asked().len()), (&json!("llm_unavailable"), 3), "{reply}");
    }
}

/// A provider of everything that a tenant may ask for, which counts the calls under way.
#[derive(Default)]
struct Everything {
    under_way: AtomicUsize,
    most: AtomicUsize,
    calls: AtomicUsize,
    /// Length of its vectors.
    dimension: AtomicUsize,
    /// The last call's address and headers.
    last: std::sync::Mutex<(String, HeaderMap, Value)>,
}

async fn serve(State(all): State<Arc<Everything>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    all.calls.fetch_add(1, Ordering::SeqCst);
    let now = all.under_way.fetch_add(1, Ordering::SeqCst) + 1;
    all.most.fetch_max(now, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(20)).await;
    all.under_way.fetch_sub(1, Ordering::SeqCst);
    *all.last.lock().unwrap() = (uri.to_string(), headers, request.clone());
    if uri.path().ends_with("/embeddings") {
        let texts: Vec<String> = serde_json::from_value(request["input"].clone()).unwrap();
        let embedder = HashEmbedder::new(all.dimension.load(Ordering::SeqCst));
        let vectors = embedder.embed(&texts, Purpose::Passage).await.unwrap().vectors;
        let entry = |(index, vector): (usize, &Vec<f32>)| json!({ "index": index, "embedding": vector });
        let data: Vec<Value> = vectors.iter().enumerate().map(entry).collect();
        return json!({ "data": data }).to_string().into_response();
    }
    if uri.path().ends_with("/rerank") {
        let count = request["documents"].as_array().unwrap().len();
        let results: Vec<Value> = (0..count).map(|index| json!({ "index": index, "relevance_score": 0.5 })).collect();
        return json!({ "results": results }).to_string().into_response();
    }
    json!({ "choices": [{ "message": { "content": ANSWER }, "finish_reason": "stop" }] }).to_string().into_response()
}

/// Starts it, and says where it is.
async fn everything(dimension: usize) -> (Arc<Everything>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let all = Arc::new(Everything { dimension: AtomicUsize::new(dimension), ..Everything::default() });
    let routes = Router::new().fallback(post(serve)).with_state(all.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (all, url)
}

/// A tenant that asks it for vectors, orders and answers.
fn asker() -> String {
    let retrieval = "[retrieval]\nembedder = \"all/e\"\nreranker = \"all/r\"\nrerank_timeout_s = 20\n";
    format!("{}[answer]\nmodel = \"all/c\"\nmin_score = -1.0\n{retrieval}", GENEROUS.split("[answer]").next().unwrap())
}

#[tokio::test]
async fn calls_at_once_are_bounded_over_vectors_orders_and_answers_together() {
    let (all, url) = everything(64).await;
    let settings = asker();
    let root =
        Root::new().tenant("acme", &settings, &[("gate.md", GATE)]).tenant("beta", &settings, &[("gate.md", GATE)]);
    root.write("carrel.toml", &format!("[providers.all]\nbase_url = \"{url}\"\nmax_concurrent = 2\n"));
    let app = root.start().await;
    let callers = [app.tenant("acme").await, app.tenant("beta").await];
    let questions: Vec<String> = (1..9).map(|times| format!("When does the gate open{}", "?".repeat(times))).collect();
    let asked = questions.iter().flat_map(|question| callers.iter().map(|caller| caller.ask(question)));
    let uploads = callers.iter().map(|caller| caller.upload("late.md", "The bell is rung by visitors."));
    let (replies, _) = tokio::join!(join_all(asked), join_all(uploads));
    for reply in replies {
        let reply = reply.ok();
        assert_eq!((&reply["answered_by"], &reply["degraded"]), (&json!("all/c"), &json!([])), "{reply}");
    }
    assert_eq!(all.most.load(Ordering::SeqCst), 2, "of {} calls", all.calls.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_provider_is_reached_with_its_headers_parameters_and_fields() {
    let (all, url) = everything(64).await;
    let root = Root::new().tenant("acme", &asker(), &[("gate.md", GATE)]);
    root.write("secrets/azure", "azure-key-1\n");
    root.write("carrel.toml", &format!(
        "[providers.all]\nbase_url = \"{url}\"\nheaders = {{ api-key = {{ file = \"secrets/azure\" }}, X-Team = \"docs\" }}\n\
         query = {{ api-version = \"2024-06-01\" }}\nparameters = {{ temperature = 0.5, seed = 7, max_tokens = \"\" }}\n"
    ));
    let app = root.start().await;
    assert_eq!(app.tenant("acme").await.ask("When does the gate open?").await.ok()["answered_by"], "all/c");
    let (uri, headers, request) = all.last.lock().unwrap().clone();
    assert_eq!(uri, "/v1/chat/completions?api-version=2024-06-01");
    assert_eq!((headers["api-key"].to_str().unwrap(), headers["x-team"].to_str().unwrap()), ("azure-key-1", "docs"));
    assert_eq!((&request["temperature"], &request["seed"], request.get("max_tokens")), (&json!(0.5), &json!(7), None));
}

#[tokio::test]
async fn vectors_of_another_length_are_told_before_and_after_a_start_and_a_reindex_mends_them() {
    for fresh in [true, false] {
        let (all, url) = everything(64).await;
        let settings = format!("{GENEROUS}[retrieval]\nembedder = \"all/e\"\n");
        let root = Root::new().tenant("acme", &settings, &[("gate.md", GATE)]);
        root.write("carrel.toml", &format!("[providers.all]\nbase_url = \"{url}\"\n"));
        let mut app = root.start().await;
        assert_eq!(app.tenant("acme").await.ask("When does the gate open?").await.ok()["degraded"], json!([]));
        all.dimension.store(96, Ordering::SeqCst);
        for restart in [false, true] {
            if restart {
                app = app.end().await.start().await;
            }
            let reply = app.tenant("acme").await.ask(&format!("When does the gate close? {restart}")).await.ok();
            assert_eq!(
                (&reply["outcome"], &reply["degraded"][0]["code"]),
                (&json!("answered"), &json!("embedder_invalid"))
            );
            let tenant = app.operator().await.get("/api/v1/tenants/acme").await.ok();
            assert!(tenant["outdated"][0].as_str().unwrap().contains("vectors of 64 numbers"), "{tenant}");
            let metrics = app.anonymous().get("/metrics").await.text;
            assert!(metrics.contains("carrel_index_outdated{tenant=\"acme\"} 1"), "{restart}");
            let dense = json!({ "query": format!("Which gate? {restart}"), "mode": "dense" });
            app.tenant("acme").await.post("/api/v1/query", dense).await.problem(502, "embedder_invalid");
        }
        let acme = app.tenant("acme").await;
        let ticket = acme.post(&format!("/api/v1/reindex?fresh={fresh}"), json!({})).await.ok();
        assert_eq!(acme.job(ticket["job_id"].as_str().unwrap()).await["state"], "done");
        let found = acme.post("/api/v1/search", json!({ "query": "When does the gate close?" })).await.ok();
        assert_eq!((&found["degraded"], found["hits"][0]["dense"]["score"].is_number()), (&json!([]), true), "{found}");
        let mended = eventually(|| async {
            let tenant = app.operator().await.get("/api/v1/tenants/acme").await.ok();
            (tenant["outdated"] == json!([])).then_some(())
        });
        mended.await;
    }
}

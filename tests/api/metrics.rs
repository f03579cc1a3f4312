//! What Prometheus is told, by what really happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use carrel::actors::{Fault, Faults, Place};
use serde_json::json;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::harness::{Root, TestApp, eventually};

const APPLES: &[(&str, &str)] = &[("a.md", "Apples are picked in late September, before the first frost.")];

/// The value of one series.
async fn value(app: &TestApp, series: &str) -> Option<u64> {
    let text = app.anonymous().get("/metrics").await.text;
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

async fn calls(app: &TestApp, of: &str, provider: &str) -> [u64; 4] {
    let mut counts = [0; 4];
    for (count, outcome) in counts.iter_mut().zip(["ok", "unavailable", "refused", "invalid"]) {
        let series = format!("carrel_{of}_requests_total{{provider=\"{provider}\",outcome=\"{outcome}\"}}");
        *count = value(app, &series).await.unwrap_or_else(|| panic!("{series} is not there"));
    }
    counts
}

fn says(words: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": words }, "finish_reason": "stop" }],
    }))
}

fn streams(words: &str) -> ResponseTemplate {
    let chunk = json!({ "choices": [{ "index": 0, "delta": { "content": words }, "finish_reason": "stop" }] });
    ResponseTemplate::new(200).set_body_raw(format!("data: {chunk}\n\ndata: [DONE]\n\n"), "text/event-stream")
}

/// Answers the next call of `at` alone.
async fn next(server: &MockServer, at: &str, reply: ResponseTemplate) {
    let next = Mock::given(method("POST")).and(path(at)).respond_with(reply);
    next.up_to_n_times(1).mount(server).await;
}

#[tokio::test]
async fn every_call_of_a_language_model_is_counted_by_how_it_ended() {
    let server = MockServer::start().await;
    let settings = "[answer]\nmodel = \"counted-llm/gpt\"\ntimeout_s = 2\nmin_score = -1\n";
    let root = Root::new().tenant("acme", settings, APPLES);
    root.write("carrel.toml", &format!("[providers.counted-llm]\nbase_url = \"{}\"\n", server.uri()));
    let app = root.start().await;
    assert_eq!(calls(&app, "llm", "counted-llm").await, [0; 4], "all series are there from the start");
    let acme = app.tenant("acme").await;
    for reply in [says("In September [1]."), ResponseTemplate::new(404), says(""), says("In autumn [1].")] {
        next(&server, "/chat/completions", reply).await;
        acme.ask("When are apples picked?").await.ok();
    }
    assert_eq!(calls(&app, "llm", "counted-llm").await, [2, 1, 0, 1]);
    for reply in [streams("In September [1]."), ResponseTemplate::new(200).set_body_string("data: {\"cho")] {
        next(&server, "/chat/completions", reply).await;
        let stream = acme.post("/api/v1/query", json!({ "query": "When are apples picked?", "stream": true })).await;
        assert!(stream.status.is_success(), "{}", stream.text);
    }
    assert_eq!(calls(&app, "llm", "counted-llm").await, [3, 1, 0, 2]);
}

#[tokio::test]
async fn every_call_of_a_reranker_is_counted_by_how_it_ended() {
    let server = MockServer::start().await;
    let root = Root::new().tenant("acme", "[retrieval]\nreranker = \"counted-rerank/r\"\n", APPLES);
    root.write("carrel.toml", &format!("[providers.counted-rerank]\nbase_url = \"{}\"\n", server.uri()));
    let app = root.start().await;
    let acme = app.tenant("acme").await;
    let good = json!({ "results": [{ "index": 0, "relevance_score": 0.5 }] });
    for reply in [ResponseTemplate::new(200).set_body_json(good), ResponseTemplate::new(200).set_body_string("[]")] {
        next(&server, "/rerank", reply).await;
        acme.post("/api/v1/search", json!({ "query": "apples" })).await.ok();
    }
    assert_eq!(calls(&app, "rerank", "counted-rerank").await, [1, 0, 0, 1]);
}

#[tokio::test]
async fn every_call_of_an_embedding_provider_is_counted_and_the_cache_spares_some() {
    let server = MockServer::start().await;
    let root = Root::new().tenant("acme", "[retrieval]\nembedder = \"counted-embed/e\"\nmode = \"dense\"\n", APPLES);
    root.write("carrel.toml", &format!("[providers.counted-embed]\nbase_url = \"{}\"\n", server.uri()));
    let vector = json!({ "data": [{ "index": 0, "embedding": [0.6, 0.8] }] });
    let good = Mock::given(method("POST")).respond_with(ResponseTemplate::new(200).set_body_json(vector));
    let good = good.mount_as_scoped(&server).await;
    let app = root.start().await;
    let acme = app.tenant("acme").await;
    let [built, ..] = calls(&app, "embed", "counted-embed").await;
    assert!(built >= 1, "the documents' vectors are calls as well");
    for _ in 0..2 {
        acme.post("/api/v1/search", json!({ "query": "apples" })).await.ok();
    }
    assert_eq!(calls(&app, "embed", "counted-embed").await, [built + 1, 0, 0, 0]);
    drop(good);
    // A refusal is met by another try, which is refused as well.
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(400)).mount(&server).await;
    acme.post("/api/v1/search", json!({ "query": "pears" })).await;
    assert_eq!(calls(&app, "embed", "counted-embed").await, [built + 1, 0, 1, 0]);
}

#[tokio::test]
async fn a_questions_wait_for_its_turn_is_timed_like_its_other_stages() {
    let app = Root::new().tenant("timed-stages", "", APPLES).start().await;
    app.tenant("timed-stages").await.ask("When are apples picked?").await.ok();
    for stage in ["queue", "embed", "dense", "sparse", "fuse", "generate"] {
        let series = format!("carrel_query_stage_duration_seconds_count{{tenant=\"timed-stages\",stage=\"{stage}\"}}");
        assert_eq!(value(&app, &series).await, Some(1), "{stage}");
    }
}

#[tokio::test]
async fn messages_that_wait_for_a_writer_are_counted_until_it_takes_them() {
    let busy = Arc::new(AtomicBool::new(false));
    let wanted = Arc::clone(&busy);
    let faults =
        Faults::new(move |_, place| (place == Place::Handle && wanted.load(Ordering::SeqCst)).then_some(Fault::Pause));
    let app = Root::new().tenant("letters", "", APPLES).start_with(|_| {}, faults).await;
    let letters = app.tenant("letters").await;
    let waiting = || value(&app, "carrel_actor_mailbox_messages{tenant=\"letters\"}");
    busy.store(true, Ordering::SeqCst);
    for at in 0..4 {
        let sent = letters.send_file(&format!("{at}.txt"), "Pears are picked in August.").await;
        assert_eq!(sent.status, 202, "{}", sent.text);
    }
    // The first is being handled, the others wait behind it.
    eventually(|| async { waiting().await.filter(|waiting| *waiting >= 3) }).await;
    busy.store(false, Ordering::SeqCst);
    eventually(|| async { waiting().await.filter(|waiting| *waiting == 0) }).await;
}

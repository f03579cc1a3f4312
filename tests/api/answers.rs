//! Questions: answers, citations, refusals.

use reqwest::Method;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::harness::{Root, TestApp};
use crate::model::{Model, Reply};

const MANUAL: &str = "# Staff manual\n\n## Leave\n\nThe notice period is three months for staff after probation. \
    Holiday is thirty days a year.\n\n## Pay\n\nSalaries are paid on the fifth day of each month.\n";

async fn acme() -> TestApp {
    Root::new().tenant("acme", "", &[("manual.md", MANUAL)]).start().await
}

#[tokio::test]
async fn an_answer_quotes_its_documents_and_each_quote_stands_there() {
    let app = acme().await;
    let acme = app.tenant("acme").await;
    let answer = acme.ask("How long is the notice period?").await.ok();
    assert_eq!(answer["outcome"], "answered");
    assert_eq!(answer["answered_by"], "extractive");
    assert!(answer["answer"].as_str().unwrap().contains("[1]"), "{answer}");
    for citation in answer["citations"].as_array().unwrap() {
        let id = citation["document_id"].as_str().unwrap();
        let text = acme
            .get(&format!("/api/v1/documents/{id}/text?start={}&end={}", citation["start"], citation["end"]))
            .await
            .ok();
        assert_eq!(text["text"], citation["quote"]);
    }
}

#[tokio::test]
async fn without_evidence_there_is_no_answer() {
    let app = acme().await;
    let body = json!({ "query": "Which xylophone did the quasar paint?", "mode": "bm25" });
    let answer = app.tenant("acme").await.post("/api/v1/query", body).await.ok();
    assert_eq!(
        (&answer["outcome"], &answer["answer"], &answer["citations"]),
        (&json!("no_evidence"), &json!(""), &json!([]))
    );
}

#[tokio::test]
async fn the_seeds_shape_answers_alike() {
    let app = acme().await;
    let reply = app.tenant("acme").await.post("/query", json!({ "query": "When are salaries paid?" })).await.ok();
    assert!(reply["answer"].as_str().unwrap().contains("fifth"));
    assert!(reply["sources"][0].as_str().unwrap().chars().count() <= 100);
    assert_eq!(app.anonymous().get("/health").await.ok(), json!({ "status": "ok", "index_ready": true }));
}

#[tokio::test]
async fn a_question_out_of_bounds_is_refused_and_says_why() {
    let app = acme().await;
    let acme = app.tenant("acme").await;
    for body in [
        json!({ "query": "" }),
        json!({ "query": "x", "top_k": 0 }),
        json!({ "query": "x", "top_k": 1_000_000_000u64 }),
        json!({ "query": "x", "top_k": -1 }),
        json!({ "query": "x", "unknown": true }),
        json!({ "query": "x".repeat(5000) }),
        json!({ "query": "x", "mode": "magic" }),
    ] {
        let reply = acme.post("/api/v1/query", body.clone()).await;
        assert_eq!(reply.status, 422, "{body} {}", reply.text);
        assert!(matches!(reply.body["code"].as_str(), Some("invalid_question" | "invalid_body")), "{}", reply.text);
        assert!(reply.body["detail"].as_str().is_some_and(|words| !words.is_empty()));
    }
    let huge = format!("{{\"query\":\"{}\"}}", "x".repeat(1 << 20));
    let request = acme.request(Method::POST, "/api/v1/query").header("content-type", "application/json").body(huge);
    crate::harness::Reply::of(request).await.problem(413, "body_too_large");
}

#[tokio::test]
async fn a_search_says_where_each_list_placed_a_hit() {
    let app = acme().await;
    let reply = app.tenant("acme").await.post("/api/v1/search", json!({ "query": "notice period" })).await.ok();
    let hit = &reply["hits"][0];
    assert_eq!((&hit["rank"], &hit["bm25"]["rank"], &hit["document_id"]), (&json!(1), &json!(1), &json!("manual.md")));
    assert!(hit["dense"]["score"].is_number());
}

#[tokio::test]
async fn a_filter_lets_only_the_named_documents_answer() {
    let app = acme().await;
    let acme = app.tenant("acme").await;
    acme.upload("other.txt", "The notice period of the landlord is six weeks.").await;
    let filter = json!({ "type": "eq", "key": "document_id", "value": "other.txt" });
    let reply = acme.post("/api/v1/search", json!({ "query": "notice period", "filter": filter })).await.ok();
    let ids: Vec<_> = reply["hits"].as_array().unwrap().iter().map(|hit| hit["document_id"].clone()).collect();
    assert_eq!(ids, [json!("other.txt")]);
}

async fn with_model(reply: ResponseTemplate) -> (TestApp, MockServer) {
    let model = MockServer::start().await;
    Mock::given(method("POST")).and(path("/v1/chat/completions")).respond_with(reply).mount(&model).await;
    let root = Root::new().tenant(
        "acme",
        "[answer]\nmodel = \"mock/gpt\"\ntimeout_s = 2\nmin_score = 0.1\n",
        &[("manual.md", MANUAL)],
    );
    root.write("carrel.toml", &format!("[providers.mock]\nbase_url = \"{}/v1\"\n", model.uri()));
    (root.start().await, model)
}

fn says(text: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "id": "c", "object": "chat.completion", "created": 0, "model": "gpt",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 },
    }))
}

#[tokio::test]
async fn a_models_markers_become_checked_citations_and_false_ones_vanish() {
    let (app, _model) =
        with_model(says("The notice period is three months [1]. The moon is made of cheese [7].")).await;
    let answer = app.tenant("acme").await.ask("How long is the notice period?").await.ok();
    assert_eq!(answer["answered_by"], "mock/gpt");
    assert!(!answer["answer"].as_str().unwrap().contains("[7]"));
    let citations = answer["citations"].as_array().unwrap();
    assert_eq!(citations.len(), 1);
    assert!(citations[0]["quote"].as_str().unwrap().contains("three months"));
    assert_eq!(answer["unsupported"].as_array().unwrap().len(), 1);
    assert_eq!(answer["usage"]["prompt_tokens"], 10);
}

#[tokio::test]
async fn a_model_that_is_down_is_replaced_by_quotes_and_the_answer_says_so() {
    for fault in [
        ResponseTemplate::new(500),
        ResponseTemplate::new(429).insert_header("retry-after", "86400"),
        ResponseTemplate::new(200).set_body_string("<html>"),
    ] {
        let (app, _model) = with_model(fault).await;
        let answer = app.tenant("acme").await.ask("How long is the notice period?").await.ok();
        assert_eq!(answer["answered_by"], "extractive");
        assert_eq!(answer["degraded"][0]["code"], "llm_unavailable");
        assert!(answer["answer"].as_str().unwrap().contains("three months"));
    }
}

/// What a model was asked: its last user message.
fn question_of(request: &Value) -> &str {
    request["messages"][1]["content"].as_str().unwrap()
}

/// A model that rewrites follow-ups to `rewritten` and answers everything else with the manual's word.
async fn that_rewrites(rewritten: &'static str) -> Model {
    Model::start(move |request| {
        let asks_to_rewrite = question_of(request).starts_with("User:");
        Reply::Words(if asks_to_rewrite { rewritten } else { "The notice period is three months [1]." }.into())
    })
    .await
}

fn follow_up() -> Value {
    json!({ "messages": [
        { "role": "user", "content": "Tell me about the notice period." },
        { "role": "assistant", "content": "It is for staff." },
        { "role": "user", "content": "How long is it?" },
    ] })
}

#[tokio::test]
async fn a_follow_up_is_rewritten_searched_for_and_shown() {
    let model = that_rewrites("\"How long is the notice period for staff?\"\n").await;
    let app = model.carrel(&[("manual.md", MANUAL)]).await;
    let acme = app.tenant("acme").await;
    let reply = acme.post("/api/v1/query", follow_up()).await.ok();
    assert_eq!(reply["search_query"], "How long is the notice period for staff?");
    assert_eq!((&reply["answered_by"], &reply["degraded"]), (&json!("mock/gpt"), &json!([])));
    assert_eq!(reply["usage"]["prompt_tokens"], 20, "both calls are paid for");
    let asked = model.asked();
    assert_eq!(asked.len(), 2);
    let transcript = "User: Tell me about the notice period.\nAssistant: It is for staff.\nUser: How long is it?\n";
    assert_eq!(question_of(&asked[0]), transcript);
    assert!(question_of(&asked[1]).starts_with("Question: How long is the notice period for staff?"));

    let mut streamed = follow_up();
    streamed["stream"] = json!(true);
    let text = acme.post("/api/v1/query", streamed).await.text;
    assert_eq!(text.matches("\"search_query\":\"How long is the notice period for staff?\"").count(), 2, "{text}");
}

#[tokio::test]
async fn a_follow_up_that_is_not_rewritten_is_asked_as_it_stands_and_says_so() {
    let as_it_stands = |reply: &Value| {
        assert_eq!(reply["search_query"], "How long is it?");
        assert_eq!(reply["degraded"][0]["code"], "rewrite_unavailable", "{reply}");
    };
    let app = acme().await;
    let reply = app.tenant("acme").await.post("/api/v1/query", follow_up()).await.ok();
    as_it_stands(&reply);
    assert_eq!(reply["answered_by"], "extractive");
    for fault in [|| Reply::Status(500, &[]), || Reply::Words("?!".into()), || Reply::Words("long ".repeat(1000))] {
        let model = Model::start(move |request| {
            let answers = || Reply::Words("The notice period is three months [1].".into());
            if question_of(request).starts_with("User:") { fault() } else { answers() }
        })
        .await;
        let app = model.carrel(&[("manual.md", MANUAL)]).await;
        let reply = app.tenant("acme").await.post("/api/v1/query", follow_up()).await.ok();
        as_it_stands(&reply);
        assert_eq!(reply["answered_by"], "mock/gpt", "{reply}");
    }
}

#[tokio::test]
async fn a_single_message_is_a_question_like_any_other() {
    let model = that_rewrites("never asked for").await;
    let app = model.carrel(&[("manual.md", MANUAL)]).await;
    let body = json!({ "messages": [{ "role": "user", "content": "How long is the notice period?" }] });
    let reply = app.tenant("acme").await.post("/api/v1/query", body).await.ok();
    assert_eq!((&reply["search_query"], model.asked().len()), (&json!("How long is the notice period?"), 1));
    assert_eq!(reply["degraded"], json!([]));
}

#[tokio::test]
async fn messages_that_are_no_conversation_are_refused() {
    let app = acme().await;
    let acme = app.tenant("acme").await;
    let turn = |role: &str| json!({ "role": role, "content": "Why?" });
    for (body, pointer) in [
        (json!({ "messages": [] }), "#/messages"),
        (json!({ "messages": [turn("user"), turn("assistant")] }), "#/messages"),
        (json!({ "query": "Why?", "messages": [turn("user")] }), "#/messages"),
        (json!({ "messages": vec![turn("user"); 101] }), "#/messages"),
        (json!({ "messages": [{ "role": "user", "content": " " }] }), "#/query"),
    ] {
        let problem = acme.post("/api/v1/query", body.clone()).await.problem(422, "invalid_question");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
    }
}

#[tokio::test]
async fn a_provider_that_knows_schemas_is_held_to_one_and_one_that_refuses_is_asked_without() {
    let structured = json!({ "sentences": [
        { "text": "The notice period is three months.", "sources": [1, 9] },
        { "text": "The moon is made of cheese.", "sources": [] },
    ] });
    let model = Model::start(move |request| match request["response_format"]["type"].as_str() {
        Some("json_schema") => Reply::Words(structured.to_string()),
        _ => Reply::Words("no schema".into()),
    })
    .await;
    let root = model.root(&[("manual.md", MANUAL)], "");
    root.write("carrel.toml", &model.provider("json_schema = true\n"));
    let app = root.start().await;
    let reply = app.tenant("acme").await.ask("How long is the notice period?").await.ok();
    assert_eq!(reply["answer"], "The notice period is three months. [1]\nThe moon is made of cheese.");
    assert_eq!(reply["unsupported"], json!(["The moon is made of cheese."]));
    assert_eq!(model.asked()[0]["response_format"]["json_schema"]["strict"], true);

    let model = Model::start(|request| match request.get("response_format") {
        Some(_) => Reply::Status(400, &[]),
        None => Reply::Words("The notice period is three months [1].".into()),
    })
    .await;
    let root = model.root(&[("manual.md", MANUAL)], "");
    root.write("carrel.toml", &model.provider("json_schema = true\n"));
    let app = root.start().await;
    for asked in [2, 3] {
        let reply = app.tenant("acme").await.ask("How long is the notice period?").await.ok();
        assert_eq!(reply["answer"], "The notice period is three months. [1]");
        assert_eq!(model.asked().len(), asked, "a refusal is remembered");
    }

    let model = Model::start(|_| Reply::Words("{\"sentences\": 7}".into())).await;
    let root = model.root(&[("manual.md", MANUAL)], "");
    root.write("carrel.toml", &model.provider("json_schema = true\n"));
    let reply = root.start().await.tenant("acme").await.ask("How long is the notice period?").await.ok();
    assert_eq!(
        (&reply["answered_by"], &reply["degraded"][0]["code"]),
        (&json!("extractive"), &json!("llm_unavailable"))
    );
}

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::super::chat::MAX_CHARS;
use super::super::tests::{assert_claims_hold, hit, question};
use super::*;
use crate::config::{AnswerSettings, ModelRef, ProviderConfig};
use crate::domain::{Hit, Usage};
use crate::provider::{Line, RetryPolicy};

fn model(provider: Option<Line>) -> OpenAiAnswerer {
    let model = ModelRef { provider: "stub".into(), model: "tiny".into() };
    OpenAiAnswerer::new(Arc::new(Chat::new(provider, &model)))
}

fn answerer(base_url: &str) -> OpenAiAnswerer {
    with_settings(&format!("base_url = {base_url:?}"))
}

fn with_settings(settings: &str) -> OpenAiAnswerer {
    let settings: ProviderConfig = toml::from_str(settings).unwrap();
    let policy = RetryPolicy { first_backoff: Duration::from_millis(1), ..RetryPolicy::default() };
    model(Some(Line::for_tests(&settings, policy)))
}

async fn server_that(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).and(path("/chat/completions")).respond_with(answer).mount(&server).await;
    server
}

fn says(content: &str, finish_reason: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 90, "completion_tokens": 8},
    }))
}

fn library() -> Vec<Hit> {
    vec![hit("rules", 40, "The reading room closes at nine."), hit("fees", 0, "A lost book costs 25 francs.")]
}

async fn ask(answerer: &OpenAiAnswerer) -> Result<Draft, AnswerError> {
    let (question, hits) = (question("When does it close?"), library());
    let settings = AnswerSettings { max_output_tokens: 77, ..AnswerSettings::default() };
    answerer.answer(Ask { question: &question, hits: &hits, settings: &settings, timeout: LONG }).await
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_reply_becomes_a_checked_draft_with_its_usage() {
    let server = server_that(says("It closes at nine [1].", "stop")).await;
    let answerer = answerer(&server.uri());
    let draft = ask(&answerer).await.unwrap();
    assert_eq!(draft.text, "It closes at nine. [1]");
    assert_eq!(draft.usage, Usage { prompt_tokens: 90, completion_tokens: 8 });
    assert_claims_hold(&draft, &library());
    assert_eq!(answerer.name(), "stub/tiny");
    let sent: Value = serde_json::from_slice(&server.received_requests().await.unwrap()[0].body).unwrap();
    assert_eq!((&sent["model"], &sent["max_tokens"], &sent["temperature"]), (&json!("tiny"), &json!(77), &json!(0.0)));
    assert!(sent.get("max_completion_tokens").is_none() && sent.get("stream").is_none());
    assert!(sent["messages"][1]["content"].as_str().unwrap().contains("[2]\nA lost book"));
}

#[tokio::test]
async fn a_reply_cut_by_the_limit_says_so() {
    let server = server_that(says("The reading room closes at nine [1]. A lost", "length")).await;
    let draft = ask(&answerer(&server.uri())).await.unwrap();
    assert_eq!(draft.text, "The reading room closes at nine. [1] A lost …");
    assert_eq!(draft.unsupported, ["A lost", "…"]);
}

#[tokio::test]
async fn what_is_no_answer_is_refused_and_not_repeated() {
    for (fault, answer) in [
        ("empty", says("  ", "stop")),
        ("endless", says(&"x".repeat(MAX_CHARS + 1), "stop")),
        ("null", ResponseTemplate::new(200).set_body_json(json!({"choices": [{"message": {"content": null}}]}))),
        ("no choice", ResponseTemplate::new(200).set_body_json(json!({"choices": []}))),
        ("an error with status 200", ResponseTemplate::new(200).set_body_json(json!({"error": {"message": "secret"}}))),
        ("no JSON", ResponseTemplate::new(200).set_body_string("<html>secret</html>")),
        ("cut", ResponseTemplate::new(200).set_body_string("{\"choices\":[{\"message\":{\"content\":\"The")),
    ] {
        let server = server_that(answer).await;
        let error = ask(&answerer(&server.uri())).await.unwrap_err();
        assert!(matches!(error, AnswerError::Invalid { .. }), "{fault}: {error}");
        assert!(!error.to_string().contains("secret"), "{fault}");
    }
}

#[tokio::test]
async fn a_provider_that_fails_or_refuses_is_unavailable() {
    for answer in [ResponseTemplate::new(503), ResponseTemplate::new(401), says("", "content_filter")] {
        let server = server_that(answer).await;
        assert!(matches!(ask(&answerer(&server.uri())).await, Err(AnswerError::Unavailable { .. })));
    }
    assert!(matches!(ask(&model(None)).await, Err(AnswerError::Unavailable { .. })));
}

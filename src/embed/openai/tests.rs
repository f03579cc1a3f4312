use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;
use crate::config::ProviderConfig;
use crate::provider::RetryPolicy;

fn embedder(server: &MockServer) -> OpenAiEmbedder {
    embedder_of(server, 3)
}

fn embedder_of(server: &MockServer, batch_size: usize) -> OpenAiEmbedder {
    let text = format!("base_url = \"{}/v1\"\nbatch_size = {batch_size}\nmax_concurrent = 4", server.uri());
    let settings: ProviderConfig = toml::from_str(&text).unwrap();
    let model = ModelRef { provider: "stub".into(), model: "tiny".into() };
    OpenAiEmbedder::new(Line::for_tests(&settings, quick()), &model)
}

fn quick() -> RetryPolicy {
    RetryPolicy { first_backoff: Duration::from_millis(1), ..RetryPolicy::default() }
}

async fn server(respond: impl Fn(&[String]) -> Value + Send + Sync + 'static) -> MockServer {
    let server = MockServer::start().await;
    let answer = move |request: &Request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let texts: Vec<String> = serde_json::from_value(body["input"].clone()).unwrap();
        ResponseTemplate::new(200).set_body_json(respond(&texts))
    };
    Mock::given(method("POST")).and(path("/v1/embeddings")).respond_with(answer).mount(&server).await;
    server
}

/// As a good server answers, though in reverse order: a vector tells its text's length.
fn good(texts: &[String]) -> Value {
    let item = |(index, text): (usize, &String)| json!({"index": index, "embedding": [text.len(), 1]});
    let data: Vec<Value> = texts.iter().enumerate().map(item).rev().collect();
    json!({"data": data, "usage": {"prompt_tokens": 10}})
}

fn texts(lengths: &[usize]) -> Vec<String> {
    lengths.iter().map(|length| "x".repeat(*length)).collect()
}

#[tokio::test]
async fn vectors_come_back_in_the_order_of_the_texts_at_unit_length() {
    let server = server(good).await;
    let embedder = embedder(&server);
    assert_eq!(embedder.dimension(), None);
    let lengths = [9, 2, 7, 1, 8, 3, 30];
    let made = embedder.embed(&texts(&lengths), Purpose::Passage).await.unwrap();
    let found: Vec<f32> = made.vectors.iter().map(|vector| (vector[0] / vector[1]).round()).collect();
    assert_eq!(found, [9.0, 2.0, 7.0, 1.0, 8.0, 3.0, 30.0]);
    assert!(made.vectors.iter().all(|v| (v[0] * v[0] + v[1] * v[1] - 1.0).abs() < 1e-6));
    assert_eq!(made.model_tokens, 30);
    assert_eq!(server.received_requests().await.unwrap().len(), 3, "batches of three");
    assert_eq!((embedder.dimension(), embedder.last_dimension()), (None, Some(2)));
    assert_eq!(embedder.id(), "stub/tiny");
}

#[tokio::test]
async fn no_texts_make_no_call() {
    let server = server(good).await;
    let embedded = embedder(&server).embed(&[], Purpose::Passage).await.unwrap();
    assert_eq!(embedded, Embedded { vectors: Vec::new(), model_tokens: 0 });
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn tokens_are_counted_here_when_the_provider_does_not_say() {
    let server = server(|_| json!({"data": [{"index": 0, "embedding": [1]}]})).await;
    let text = vec!["Four words and more".to_owned()];
    let embedded = embedder(&server).embed(&text, Purpose::Question).await.unwrap();
    assert_eq!(embedded.model_tokens, 4);
}

#[tokio::test]
async fn what_is_no_set_of_vectors_is_refused() {
    let one = |index: i64, embedding: Value| json!({"index": index, "embedding": embedding});
    let two = |a: Value, b: Value| json!({"data": [a, b]});
    let fine = one(0, json!([1, 0]));
    for (fault, answer) in [
        ("too few", json!({"data": [fine]})),
        ("too many", json!({"data": [fine, one(1, json!([1, 0])), one(2, json!([1, 0]))]})),
        ("none", json!({"data": []})),
        ("the same index twice", two(fine.clone(), fine.clone())),
        ("an index out of range", two(fine.clone(), one(2, json!([1, 0])))),
        ("a negative index", two(fine.clone(), one(-1, json!([1, 0])))),
        ("another length", two(fine.clone(), one(1, json!([1, 0, 0])))),
        ("an empty vector", two(one(0, json!([])), one(1, json!([])))),
        ("zeros", two(fine.clone(), one(1, json!([0, 0])))),
        ("infinite as f32", two(fine.clone(), one(1, json!([1e39, 0])))),
        ("null for NaN", two(fine.clone(), one(1, json!([null, 0])))),
        ("text for a number", two(fine.clone(), one(1, json!(["NaN", 0])))),
        ("no Base64", two(fine.clone(), one(1, json!("not Base64")))),
        ("Base64 of less than a number", two(fine.clone(), one(1, json!("AACAPwA=")))),
        ("Base64 of what is no number", two(fine.clone(), one(1, json!("AADAfwAAAAA=")))),
        ("no index beside one", two(fine.clone(), json!({"embedding": [1, 0]}))),
        ("lists of lists", two(one(0, json!([[1, 0]])), one(1, json!([[1, 0]])))),
        ("no data", json!({"error": {"message": "no"}})),
        ("a list", json!([[1, 0], [1, 0]])),
        ("null", Value::Null),
    ] {
        let server = server(move |_| answer.clone()).await;
        let result = embedder(&server).embed(&texts(&[1, 2]), Purpose::Passage).await;
        assert!(matches!(&result, Err(EmbedError::Invalid { .. })), "{fault}: {result:?}");
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "{fault}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_without_being_repeated() {
    for body in ["<html>secret</html>", "", "{\"data\":[{\"index\":0,\"embedding\":[NaN,1]}]}", "{\"data\":[{\"ind"] {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(200).set_body_string(body);
        Mock::given(method("POST")).respond_with(answer).mount(&server).await;
        let error = embedder(&server).embed(&texts(&[1]), Purpose::Passage).await.unwrap_err();
        assert_eq!(error.code(), "embedder_invalid");
        assert!(!error.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn vectors_are_read_as_base64_without_indexes_and_whatever_the_usage_says() {
    let vector =
        |text: &String| json!({"embedding": if text.len() > 1 { json!("AACAPwAAAAA=") } else { json!([0, 1]) }});
    for usage in [
        json!(null),
        json!({"prompt_tokens": null}),
        json!({"prompt_tokens": 7.0}),
        json!({"total_tokens": 7}),
        json!("many"),
    ] {
        let counted = if usage.to_string().contains('7') { 7 } else { 2 };
        let server = server(move |texts| {
            let data: Vec<Value> = texts.iter().map(vector).collect();
            json!({"data": data, "usage": usage})
        })
        .await;
        let made = embedder(&server).embed(&texts(&[2, 1]), Purpose::Passage).await.unwrap();
        assert_eq!(made.vectors, [[1.0, 0.0], [0.0, 1.0]]);
        assert_eq!(made.model_tokens, counted);
    }
}

/// A server that answers with `refusal` to more than `most` texts at once.
async fn sized(most: usize, refusal: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    let answer = move |request: &Request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let texts: Vec<String> = serde_json::from_value(body["input"].clone()).unwrap();
        if texts.len() > most { refusal.clone() } else { ResponseTemplate::new(200).set_body_json(good(&texts)) }
    };
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    server
}

async fn calls(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

#[tokio::test]
async fn a_batch_that_is_refused_for_its_size_is_halved_and_the_size_that_went_remembered() {
    let lengths = [9, 2, 7, 1, 8, 3, 30, 4, 5, 6, 11, 12];
    for (status, says) in [
        (400, r#"{"error": {"message": "batch size is invalid, it should not be larger than 16"}}"#),
        (
            400,
            r#"{"error": {"message": "Requested 400000 tokens, max 300000 tokens per request", "code": "max_tokens_per_request"}}"#,
        ),
        (422, r#"{"error": "batch size 64 > maximum allowed batch size 32", "error_type": "Validation"}"#),
        (
            422,
            r#"{"detail": [{"type": "too_long", "loc": ["body", "input"], "msg": "List should have at most 5 items"}]}"#,
        ),
        (413, ""),
        (400, ""),
        (500, r#"{"error": {"message": "input is too large to process. increase the physical batch size"}}"#),
    ] {
        for most in [1, 3, 5] {
            let server = sized(most, ResponseTemplate::new(status).set_body_string(says)).await;
            let embedder = embedder_of(&server, 12);
            let made = embedder.embed(&texts(&lengths), Purpose::Passage).await.unwrap();
            let found: Vec<f32> = made.vectors.iter().map(|vector| (vector[0] / vector[1]).round()).collect();
            assert_eq!(found, [9.0, 2.0, 7.0, 1.0, 8.0, 3.0, 30.0, 4.0, 5.0, 6.0, 11.0, 12.0], "{says}");
            let (first, size) = (calls(&server).await, embedder.batches.size());
            assert!(size <= most && size * 2 > most, "{size} where {most} went: {says}");
            embedder.embed(&texts(&lengths), Purpose::Passage).await.unwrap();
            assert_eq!(calls(&server).await - first, lengths.len().div_ceil(size), "no more refusals: {says}");
        }
    }
}

#[tokio::test]
async fn a_text_that_is_too_long_is_refused_alone_and_no_size_learnt_from_it() {
    let server = MockServer::start().await;
    let answer = |request: &Request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let texts: Vec<String> = serde_json::from_value(body["input"].clone()).unwrap();
        let says = "Input validation error: `inputs` must have less than 512 tokens. Given: 600";
        if texts.iter().any(|text| text.len() > 100) {
            return ResponseTemplate::new(413).set_body_json(json!({"error": says}));
        }
        ResponseTemplate::new(200).set_body_json(good(&texts))
    };
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    let embedder = embedder_of(&server, 8);
    let error = embedder.embed(&texts(&[1, 2, 3, 4, 200, 5]), Purpose::Passage).await.unwrap_err();
    assert!(matches!(error, EmbedError::TooLong { .. }) && error.code() == "embedder_refused");
    assert!(error.to_string().contains("lower `chunking.max_tokens`"), "{error}");
    assert!(
        error.in_full().contains("must have less than 512 tokens. Given: 600") && !error.to_string().contains("512")
    );
    assert_eq!(embedder.batches.size(), 8);
    assert!(calls(&server).await <= 6, "halves, not one by one");
    assert!(embedder.embed(&texts(&[1, 2, 3, 4, 5]), Purpose::Passage).await.is_ok());
}

#[tokio::test]
async fn each_kind_of_failure_has_its_name_and_keeps_the_providers_words_for_the_operator() {
    for (status, says, code, passes) in [
        (401, r#"{"error": {"message": "Incorrect API key provided: sk-abcdefgh"}}"#, "embedder_unavailable", true),
        (404, r#"{"error": {"message": "The model `tiny` does not exist"}}"#, "embedder_unavailable", true),
        (400, r#"{"error": {"message": "The model `tiny` does not exist"}}"#, "embedder_unavailable", true),
        (503, "overloaded", "embedder_unavailable", true),
        (400, r#"{"error": {"message": "no such text"}}"#, "embedder_refused", false),
    ] {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(status).set_body_string(says);
        Mock::given(method("POST")).respond_with(answer).mount(&server).await;
        let error = embedder(&server).embed(&texts(&[1]), Purpose::Passage).await.unwrap_err();
        assert_eq!((error.code(), error.may_pass()), (code, passes), "{error}");
        assert!(error.to_string().contains(&status.to_string()) && error.in_full().contains("it says: "), "{error:?}");
        assert!(!error.in_full().contains("sk-") && !error.to_string().contains("it says"));
    }
    let nobody = OpenAiEmbedder::new(
        Line::for_tests(&toml::from_str("base_url = \"http://127.0.0.1:1/v1\"").unwrap(), quick()),
        &ModelRef { provider: "stub".into(), model: "tiny".into() },
    );
    let error = nobody.embed(&texts(&[1]), Purpose::Passage).await.unwrap_err();
    assert!(matches!(error, EmbedError::Unavailable { .. }) && error.in_full().contains("cannot connect"), "{error}");
}

#[tokio::test]
async fn a_later_batch_of_another_length_is_refused() {
    let server = server(|texts| {
        let embedding: Vec<u8> = if texts[0].len() > 5 { vec![1, 2, 3] } else { vec![1, 2] };
        json!({"data": [{"index": 0, "embedding": embedding}]})
    })
    .await;
    let embedder = embedder(&server);
    let one = embedder_of(&server, 1);
    let error = one.embed(&texts(&[1, 9]), Purpose::Passage).await.unwrap_err();
    assert!(error.to_string().contains("numbers where"), "{error}");
    assert!(embedder.embed(&texts(&[1]), Purpose::Passage).await.is_ok());
    // What the index has is for the caller to know.
    assert!(embedder.embed(&texts(&[9]), Purpose::Passage).await.is_ok());
    assert_eq!(embedder.last_dimension(), Some(3));
}

#[tokio::test]
async fn one_failing_batch_fails_the_whole_call() {
    let server = MockServer::start().await;
    let answer = |request: &Request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let texts: Vec<String> = serde_json::from_value(body["input"].clone()).unwrap();
        if texts.iter().any(|text| text.len() == 5) {
            return ResponseTemplate::new(400);
        }
        ResponseTemplate::new(200).set_body_json(good(&texts))
    };
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    let result = embedder(&server).embed(&texts(&[1, 2, 3, 4, 5, 6, 7]), Purpose::Passage).await;
    assert!(matches!(result, Err(EmbedError::Refused { .. })));
}

#[test]
fn numbers_whose_squares_overflow_are_still_normalised() {
    let unit = unit_length(vec![3e38, 0.0, 3e38]).unwrap();
    assert!((unit[0] - 0.5f32.sqrt()).abs() < 1e-6);
    assert!(unit_length(vec![1e-40, 0.0]).is_err());
}

use std::time::Instant;

use proptest::prelude::*;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::config::ProviderConfig;
use crate::provider::RetryPolicy;

fn reranker(base_url: &str) -> Reranker {
    let settings: ProviderConfig = toml::from_str(&format!("base_url = {base_url:?}")).unwrap();
    let policy = RetryPolicy { first_backoff: Duration::from_millis(1), ..RetryPolicy::default() };
    let model = ModelRef { provider: "stub".into(), model: "tiny".into() };
    Reranker::new(Some(Line::for_tests(&settings, policy)), &model)
}

async fn server_that(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).and(path("/rerank")).respond_with(answer).mount(&server).await;
    server
}

fn results(scores: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "id": "x", "results": scores, "meta": {} }))
}

async fn order(server: &MockServer) -> Result<Vec<Relevance>, RerankError> {
    let texts = ["one", "two", "three"].map(str::to_owned);
    reranker(&server.uri()).rerank("why?", &texts, Duration::from_secs(5)).await
}

#[tokio::test]
async fn texts_come_back_best_first_and_the_request_is_of_the_shared_shape() {
    let scores = json!([
        {"index": 0, "relevance_score": -3.5},
        {"index": 2, "relevance_score": 0.9, "document": {"text": "three"}},
        {"index": 1, "relevance_score": 0},
    ]);
    let server = server_that(results(&scores)).await;
    assert_eq!(order(&server).await.unwrap(), [(2, 0.9), (1, 0.0), (0, -3.5)]);
    let sent: Value = serde_json::from_slice(&server.received_requests().await.unwrap()[0].body).unwrap();
    let expected = json!({"model": "tiny", "query": "why?", "documents": ["one", "two", "three"], "top_n": 3,
        "return_documents": false});
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn answers_that_are_no_order_are_refused_each_with_its_reason() {
    let score = |index: i64, score: Value| json!({"index": index, "relevance_score": score});
    for (scores, reason) in [
        (json!([score(0, json!(1)), score(1, json!(1))]), "2 results for 3 texts"),
        (json!([score(0, json!(1)), score(1, json!(1)), score(3, json!(1))]), "index 3 of 3 texts"),
        (json!([score(0, json!(1)), score(1, json!(1)), score(1, json!(1))]), "index 1 twice"),
        (
            json!([score(0, json!(1)), score(1, json!(1)), score(2, json!(null))]),
            "the score of index 2 is no finite number",
        ),
        (
            json!([score(0, json!(1)), score(1, json!(1)), score(2, json!(1e300))]),
            "the score of index 2 is no finite number",
        ),
        (
            json!([score(0, json!(1)), score(1, json!(1)), score(-1, json!(1))]),
            "it is no JSON of the shape of a rerank answer",
        ),
        (json!("none"), "it is no JSON of the shape of a rerank answer"),
    ] {
        let error = order(&server_that(results(&scores)).await).await.unwrap_err();
        assert_eq!(error, RerankError::Invalid { model: "stub/tiny".into(), reason: reason.into() });
        assert_eq!(error.code(), "rerank_invalid");
    }
    let noise = ResponseTemplate::new(200).set_body_string("{\"results\": [{\"index\": 0, \"relevance_score\": NaN}]}");
    assert_eq!(order(&server_that(noise).await).await.unwrap_err().code(), "rerank_invalid");
}

#[tokio::test]
async fn a_provider_that_fails_or_dawdles_is_unavailable_within_the_time() {
    for answer in [
        ResponseTemplate::new(500),
        ResponseTemplate::new(429).insert_header("retry-after", "86400"),
        ResponseTemplate::new(200).set_delay(Duration::from_mins(1)),
    ] {
        let server = server_that(answer).await;
        let begun = Instant::now();
        let error = reranker(&server.uri()).rerank("why?", &["one".into()], Duration::from_millis(100)).await;
        assert_eq!(error.unwrap_err().code(), "rerank_unavailable");
        assert!(begun.elapsed() < Duration::from_secs(20), "the deadline does not hold");
    }
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_said_to_be_missing() {
    let rerankers = Rerankers::new(Providers::default());
    let model = ModelRef { provider: "nobody".into(), model: "m".into() };
    let one = rerankers.get(&None, &model);
    assert!(Arc::ptr_eq(&one, &rerankers.get(&None, &model)));
    let error = one.rerank("why?", &["one".into()], Duration::from_secs(1)).await.unwrap_err();
    assert!(error.to_string().contains("no provider of this name"), "{error}");
}

proptest! {
    #[test]
    fn an_order_holds_every_text_once_and_falls(scores in prop::collection::vec(-1e3..1e3f64, 0..40), turn in 0..40usize) {
        let count = scores.len();
        let mut results: Vec<Scored> = (0..).zip(&scores)
            .map(|(index, score)| Scored { index, relevance_score: Some(*score) }).collect();
        results.rotate_left(turn.min(count));
        let order = in_order(results, count).unwrap();
        prop_assert!(order.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        let mut places: Vec<usize> = order.iter().map(|(place, _)| *place).collect();
        places.sort_unstable();
        prop_assert_eq!(places, (0..count).collect::<Vec<_>>());
    }
}

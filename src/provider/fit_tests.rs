use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request as Received, ResponseTemplate};

use super::*;
use crate::config::ProviderConfig;
use crate::provider::RetryPolicy;

const PATH: &str = "/chat/completions";
const LONG: Duration = Duration::from_secs(20);

fn fields(value: Value) -> Map<String, Value> {
    let Value::Object(fields) = value else { panic!("no object") };
    fields
}

/// A chat request as Carrel makes it.
fn chat() -> Request {
    let request = json!({
        "model": "m",
        "messages": [{ "role": "system", "content": "Rules." }, { "role": "user", "content": "Why?" }],
        "temperature": 0.0,
        "max_tokens": 512,
        "stream": true,
        "stream_options": { "include_usage": true },
        "response_format": { "type": "json_schema" },
    });
    Request::new(fields(request), &["response_format", "stream_options", "temperature"])
}

fn line(server: &MockServer) -> Line {
    let settings: ProviderConfig = toml::from_str(&format!("base_url = {:?}", server.uri())).unwrap();
    Line::for_tests(&settings, RetryPolicy { first_backoff: Duration::from_millis(1), ..RetryPolicy::default() })
}

/// A server that answers with a refusal while `judge` gives one.
async fn server(judge: impl Fn(&Value) -> Option<(u16, String)> + Send + Sync + 'static) -> MockServer {
    let server = MockServer::start().await;
    let answer = move |request: &Received| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        match judge(&body) {
            Some((status, says)) => ResponseTemplate::new(status).set_body_string(says),
            None => ResponseTemplate::new(200).set_body_string("{}"),
        }
    };
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    server
}

/// The last request, and how many there were.
async fn asked(server: &MockServer) -> (Value, usize) {
    let requests = server.received_requests().await.unwrap();
    (serde_json::from_slice(&requests.last().unwrap().body).unwrap(), requests.len())
}

async fn ask(line: &Line, request: Request) -> Result<Bytes, CallError> {
    line.ask(PATH, request, Urgency::Now, LONG, 1024).await
}

#[tokio::test]
async fn a_field_that_is_refused_in_any_common_shape_is_left_out_and_the_next_call_is_one_request() {
    let shapes: [(&'static str, u16, &'static str); 19] = [
        (
            "temperature",
            400,
            r#"{"error": {"message": "Unsupported value: 'temperature' does not support 0 with this model.", "type": "invalid_request_error", "param": "temperature", "code": "unsupported_value"}}"#,
        ),
        (
            "temperature",
            400,
            r#"{"error": {"message": "Unsupported value: 'temperature' does not support 0 with this model."}}"#,
        ),
        (
            "temperature",
            400,
            r#"{"error": {"message": "Invalid request.", "param": "temperature", "code": "unsupported_parameter"}}"#,
        ),
        (
            "temperature",
            422,
            r#"{"detail": [{"type": "extra_forbidden", "loc": ["body", "temperature"], "msg": "Extra inputs are not permitted", "input": 0.0}]}"#,
        ),
        ("temperature", 400, "temperature is not supported by this model"),
        ("temperature", 400, r#"{"detail": "Unsupported parameter(s): `temperature`"}"#),
        ("temperature", 400, r#"{"message": "参数temperature不支持"}"#),
        ("temperature", 400, r#"{"error": "der Parameter „temperature“ wird nicht unterstützt"}"#),
        ("temperature", 500, r#"{"error": "generate() got an unexpected keyword argument 'temperature'"}"#),
        (
            "temperature",
            422,
            r#"{"message": "1 validation error for Request\nbody -> temperature\n  extra fields not permitted (type=value_error.extra)"}"#,
        ),
        (
            "stream_options",
            400,
            r#"{"error": {"message": "Unrecognized request argument supplied: stream_options", "type": "invalid_request_error"}}"#,
        ),
        (
            "stream_options",
            422,
            r#"{"detail": [{"loc": ["body", "stream_options", "include_usage"], "msg": "extra fields not permitted", "type": "value_error.extra"}]}"#,
        ),
        (
            "stream_options",
            400,
            r#"[{"error": {"code": 400, "message": "Invalid JSON payload received. Unknown name \"streamOptions\": Cannot find field.", "status": "INVALID_ARGUMENT"}}]"#,
        ),
        ("stream_options", 400, "stream options are not known here"),
        (
            "response_format",
            400,
            r#"{"error": {"message": "This model does not support structured outputs", "param": null}}"#,
        ),
        (
            "response_format",
            400,
            r#"{"error": {"message": "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.", "param": "response_format.type"}}"#,
        ),
        (
            "stream",
            400,
            r#"{"error": {"message": "Your organization must be verified to stream this model.", "param": "stream", "code": "unsupported_value"}}"#,
        ),
        ("response_format", 400, ""),
        (
            "stream_options",
            400,
            r#"{"error": {"metadata": {"raw": "{\"message\": \"stream_options: Extra inputs are not permitted\"}"}, "message": "Provider returned error"}}"#,
        ),
    ];
    for (field, status, says) in shapes {
        let server = server(move |body| body.get(field).map(|_| (status, says.to_owned()))).await;
        let line = line(&server);
        assert!(ask(&line, chat()).await.is_ok(), "{says}");
        let (last, count) = asked(&server).await;
        let mut expected = chat().fields;
        expected.remove(field);
        assert_eq!((&last, count), (&Value::Object(expected), 2), "{says}");
        assert!(line.refuses(PATH, "m", field) && !line.refuses(PATH, "other", field));
        assert!(line.ask_in_pieces(PATH, chat(), LONG, 1024).await.is_ok());
        assert_eq!(asked(&server).await, (last, 3), "{says}");
    }
}

#[tokio::test]
async fn a_limit_goes_by_its_other_name_and_at_last_not_at_all() {
    let says = r#"{"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", "param": "max_tokens"}}"#;
    let newer = server(move |body| body.get("max_tokens").map(|_| (400, says.to_owned()))).await;
    assert!(ask(&line(&newer), chat()).await.is_ok());
    let (last, count) = asked(&newer).await;
    assert_eq!((&last["max_completion_tokens"], last.get("max_tokens"), count), (&json!(512), None, 2));

    let none = server(|body| {
        let field = ["max_tokens", "max_completion_tokens"].into_iter().find(|field| body.get(*field).is_some())?;
        Some((422, json!({ "detail": [{ "loc": ["body", field], "msg": "not permitted" }] }).to_string()))
    })
    .await;
    let line = line(&none);
    assert!(ask(&line, chat()).await.is_ok());
    let (last, count) = asked(&none).await;
    assert!(last.get("max_completion_tokens").is_none() && last.get("max_tokens").is_none());
    assert_eq!(count, 3);
    let mut other_name = chat();
    let limit = other_name.fields.remove("max_tokens").unwrap();
    other_name.fields.insert("max_completion_tokens".into(), limit);
    assert!(ask(&line, other_name).await.is_ok(), "what is known of one name holds for the other");
}

#[tokio::test]
async fn rules_go_to_the_developer_or_into_the_users_message() {
    let roles = |body: &Value| -> Vec<String> {
        body["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap().to_owned()).collect()
    };
    let says = r#"{"error": {"message": "Unsupported value: 'messages[0].role' does not support 'system' with this model.", "param": "messages[0].role", "code": "unsupported_value"}}"#;
    let reasoning = server(move |body| (roles(body)[0] == "system").then(|| (400, says.to_owned()))).await;
    assert!(ask(&line(&reasoning), chat()).await.is_ok());
    let (last, count) = asked(&reasoning).await;
    assert_eq!((roles(&last), count), (vec!["developer".to_owned(), "user".to_owned()], 2));
    for says in [
        "System role not supported",
        r#"{"object": "error", "message": "Conversation roles must alternate user/assistant/user/assistant/...", "code": 400}"#,
        r#"{"error": {"message": "Only user and assistant roles are supported!"}}"#,
        r#"{"error": {"message": "Developer instruction is not enabled for models/gemma-3-27b-it"}}"#,
        r#"{"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "Input should be 'user' or 'assistant'"}]}"#,
    ] {
        let template = server(move |body| (roles(body)[0] != "user").then(|| (400, says.to_owned()))).await;
        assert!(ask(&line(&template), chat()).await.is_ok(), "{says}");
        let (last, count) = asked(&template).await;
        assert_eq!(last["messages"], json!([{ "role": "user", "content": "Rules.\n\nWhy?" }]), "{says}");
        assert_eq!(count, 2, "{says}");
        assert_eq!(last["temperature"], 0.0, "nothing else was changed");
    }
}

#[tokio::test]
async fn several_refusals_are_met_one_after_the_other_and_not_without_end() {
    let strict = server(|body| {
        let field = ["stream_options", "response_format", "temperature", "max_tokens", "stream"]
            .into_iter()
            .find(|field| body.get(*field).is_some())?;
        Some((400, format!("Unrecognized request argument supplied: {field}")))
    })
    .await;
    let stubborn = line(&strict);
    assert!(ask(&stubborn, chat()).await.is_ok());
    assert_eq!(asked(&strict).await.1, 6);
    assert!(ask(&stubborn, chat()).await.is_ok());
    assert_eq!(asked(&strict).await.1, 7);

    let never = server(|_| Some((400, "no".to_owned()))).await;
    let error = ask(&line(&never), chat()).await.unwrap_err();
    assert!(matches!(error, CallError::Refused(_)));
    assert_eq!(asked(&never).await.1, 4, "what it may mean is tried, and nothing that was named by nobody");

    let liar = server(|body| {
        let field = body.as_object().unwrap().keys().find(|field| !NEEDED.contains(&field.as_str())).cloned();
        Some((400, format!("unsupported: {}", field.unwrap_or_default())))
    })
    .await;
    let many: Map<String, Value> = (0..30).map(|number| (format!("field_{number}"), json!(1))).collect();
    assert!(ask(&line(&liar), Request::new(many, &[])).await.is_err());
    assert_eq!(asked(&liar).await.1, MOST_CHANGES + 1);
}

#[tokio::test]
async fn what_no_change_mends_is_tried_once() {
    for (status, says) in [
        (
            400,
            r#"{"error": {"message": "This model's maximum context length is 4096 tokens, including max_tokens", "code": "context_length_exceeded", "param": "max_tokens"}}"#,
        ),
        (404, r#"{"error": {"message": "The model `m` does not exist", "param": "model", "code": "model_not_found"}}"#),
        (401, r#"{"error": {"message": "Incorrect API key provided: sk-abcdefgh", "param": "temperature"}}"#),
    ] {
        let server = server(move |_| Some((status, says.to_owned()))).await;
        let line = line(&server);
        let error = ask(&line, chat()).await.unwrap_err();
        assert!(!matches!(error, CallError::Refused(_) | CallError::Unavailable(_)), "{error:?}");
        assert_eq!(asked(&server).await.1, 1, "{says}");
        assert!(!line.refuses(PATH, "m", "temperature"));
    }
}

#[tokio::test]
async fn all_tries_together_end_at_the_deadline() {
    let server = MockServer::start().await;
    let slow = ResponseTemplate::new(400).set_body_string("no").set_delay(Duration::from_millis(80));
    Mock::given(method("POST")).respond_with(slow).mount(&server).await;
    let begun = Instant::now();
    let outcome = line(&server).ask(PATH, chat(), Urgency::Now, Duration::from_millis(200), 1024).await;
    assert!(outcome.is_err() && begun.elapsed() < Duration::from_secs(2));
    assert!(asked(&server).await.1 <= 3);
}

#[tokio::test]
async fn a_single_text_is_sent_as_such_where_a_list_is_refused() {
    let says = r#"{"detail": [{"loc": ["body", "input"], "msg": "Input should be a valid string"}]}"#;
    let server = server(move |body| body["input"].is_array().then(|| (422, says.to_owned()))).await;
    let line = line(&server);
    let request = || Request::new(fields(json!({ "model": "m", "input": ["one"] })), &[]);
    assert!(line.ask("/embeddings", request(), Urgency::Now, LONG, 1024).await.is_ok());
    assert_eq!(asked(&server).await, (json!({ "model": "m", "input": "one" }), 2));
}

#[test]
fn names_are_found_whole_and_in_any_writing() {
    let sent = fields(json!({ "model": "m", "stream": true, "stream_options": {}, "user": "x", "top_p": 1 }));
    let named = |says: &str| {
        let words = Words::read(says.as_bytes(), b"{}", std::iter::empty()).unwrap();
        super::named(&words, &sent)
    };
    assert_eq!(named("`top_p` must be below 1").as_deref(), Some("top_p"));
    assert_eq!(named("Unknown name topP").as_deref(), Some("top_p"));
    assert_eq!(named("no top p please").as_deref(), Some("top_p"));
    assert_eq!(named("stream_options? no stream_options").as_deref(), Some("stream_options"));
    assert_eq!(named("streaming is off").as_deref(), Some("stream"));
    assert_eq!(named("the model is upstream of users"), None);
    assert_eq!(named("model"), None);
}

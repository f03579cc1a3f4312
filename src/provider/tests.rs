use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Instant;

use bytes::Bytes;
use wiremock::matchers::{header, header_exists, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::domain::TenantId;

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);

fn settings(base_url: &str) -> ProviderConfig {
    let text = format!("base_url = {base_url:?}\nmax_concurrent = 4");
    toml::from_str(&text).unwrap()
}

/// As in production, but with pauses that a test need not wait for.
fn quick() -> RetryPolicy {
    RetryPolicy { first_backoff: Duration::from_millis(1), ..RetryPolicy::default() }
}

fn provider(base_url: &str) -> Line {
    Line::for_tests(&settings(base_url), quick())
}

async fn post(provider: &Line, timeout: Duration) -> Result<Bytes, CallError> {
    provider.post("/embeddings", Bytes::from_static(b"{}"), Urgency::Now, timeout, 1 << 20).await
}

async fn server_that(answers: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(answers).mount(&server).await;
    server
}

async fn calls(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

/// Says `reply` to whoever connects, then keeps the connection open without another byte.
fn stalling_server(reply: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(reply.as_bytes());
            open.push(stream);
        }
    });
    address
}

#[tokio::test]
async fn a_call_carries_the_key_and_nothing_else_that_identifies() {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_string("{}");
    Mock::given(path("/v1/embeddings"))
        .and(header("authorization", "Bearer sk-1"))
        .respond_with(answer)
        .mount(&server)
        .await;
    let settings = ProviderConfig { api_key: Some("sk-1".into()), ..settings(&format!("{}/v1/", server.uri())) };
    let provider = Line::for_tests(&settings, quick());
    assert_eq!(post(&provider, LONG).await.unwrap(), "{}");
    let request = &server.received_requests().await.unwrap()[0];
    assert!(request.headers.keys().all(|name| !name.as_str().starts_with("openai-")));
}

#[tokio::test]
async fn without_a_key_no_authorization_is_sent() {
    let server = MockServer::start().await;
    Mock::given(header_exists("authorization")).respond_with(ResponseTemplate::new(418)).mount(&server).await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    assert!(post(&provider(&server.uri()), LONG).await.is_ok());
}

#[tokio::test]
async fn faults_that_may_pass_are_tried_three_times_and_others_once() {
    for (status, attempts) in [(429, 3), (500, 3), (503, 3), (408, 3), (400, 1), (401, 1), (404, 1), (501, 1), (302, 1)]
    {
        let server = server_that(ResponseTemplate::new(status).set_body_string("secret of the provider")).await;
        let error = post(&provider(&server.uri()), LONG).await.unwrap_err();
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        assert_eq!(matches!(error, CallError::Refused(_)), status == 400, "{error}");
        assert_eq!(matches!(error, CallError::Unauthorised(_)), status == 401, "{error}");
        assert_eq!(matches!(error, CallError::NotFound(_)), status == 404, "{error}");
        assert!(!error.to_string().contains("secret"));
        assert!(error.reason().in_full().ends_with("(it says: secret of the provider)"), "{error:?}");
        assert_eq!(calls(&server).await, attempts, "status {status}");
    }
}

#[tokio::test]
async fn a_fault_that_passes_is_not_seen() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(503)).up_to_n_times(2).mount(&server).await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200).set_body_string("[]")).mount(&server).await;
    assert_eq!(post(&provider(&server.uri()), LONG).await.unwrap(), "[]");
}

#[tokio::test]
async fn a_retry_after_beyond_the_deadline_ends_the_call_at_once() {
    for value in ["86400", "25", "Thu, 31 Dec 2099 23:59:59 GMT"] {
        let server = server_that(ResponseTemplate::new(429).insert_header("retry-after", value)).await;
        let started = Instant::now();
        assert!(post(&provider(&server.uri()), LONG).await.is_err());
        assert!(started.elapsed() < LONG / 2, "waited for {value}");
        assert_eq!(calls(&server).await, 1);
    }
}

#[tokio::test]
async fn a_provider_that_never_answers_or_trickles_is_left_at_the_deadline() {
    for reply in ["", "HTTP/1.1 200 OK\r\ncontent-", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"data\":"] {
        let provider = provider(&format!("http://{}", stalling_server(reply)));
        assert!(matches!(post(&provider, SHORT).await, Err(CallError::Unavailable(_))), "{reply}");
    }
}

#[tokio::test]
async fn a_provider_that_is_not_there_or_speaks_no_tls_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let plain = stalling_server("HTTP/1.1 200 OK\r\n\r\n");
    for base_url in [format!("http://{nobody}"), format!("https://{plain}"), "http://no-such-host.invalid".into()] {
        let error = post(&provider(&base_url), SHORT).await.unwrap_err();
        assert!(matches!(error, CallError::Unavailable(_)), "{error}");
        assert!(!error.to_string().contains("127.0.0.1"), "{error}");
    }
}

#[tokio::test]
async fn an_answer_over_the_limit_is_not_read() {
    let announced = server_that(ResponseTemplate::new(200).set_body_string("x".repeat((1 << 20) + 1))).await;
    let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        stream.write_all(endless.as_bytes()).unwrap();
        let piece = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        while stream.write_all(piece.as_bytes()).is_ok() {}
    });
    for base_url in [announced.uri(), format!("http://{address}")] {
        assert!(matches!(post(&provider(&base_url), LONG).await, Err(CallError::Invalid(_))), "{base_url}");
    }
}

#[tokio::test]
async fn five_failed_calls_open_the_circuit_for_builds_but_not_for_questions() {
    let server = server_that(ResponseTemplate::new(500)).await;
    let provider = provider(&server.uri());
    let build = || provider.post("/embeddings", Bytes::new(), Urgency::Background, LONG, 1024);
    for _ in 0..5 {
        assert!(build().await.is_err());
    }
    assert_eq!(calls(&server).await, 15);
    let error = build().await.unwrap_err();
    assert!(error.to_string().contains("next try"), "{error}");
    assert_eq!(calls(&server).await, 15, "called through an open circuit");
    assert!(post(&provider, LONG).await.is_err());
    assert_eq!(calls(&server).await, 18, "a question was refused for a build's failures");
}

#[tokio::test]
async fn a_tenant_that_waits_too_shortly_shuts_the_door_for_itself_alone() {
    let slow = ResponseTemplate::new(200).set_body_string("{}").set_delay(SHORT);
    let server = server_that(slow).await;
    let shared = provider(&server.uri());
    let of = |tenant: &str| Line { payer: TenantId::parse(tenant).ok(), ..shared.clone() };
    let (hasty, patient) = (of("hasty"), of("patient"));
    for _ in 0..5 {
        assert!(post(&hasty, SHORT / 10).await.is_err());
    }
    let error = post(&hasty, LONG).await.unwrap_err();
    assert!(error.to_string().contains("next try"), "{error}");
    assert!(post(&patient, LONG).await.is_ok());
}

#[tokio::test]
async fn texts_that_a_provider_refuses_do_not_open_the_circuit() {
    let server = server_that(ResponseTemplate::new(400)).await;
    let provider = provider(&server.uri());
    for _ in 0..10 {
        assert!(post(&provider, LONG).await.is_err());
    }
    assert_eq!(calls(&server).await, 10);
}

#[tokio::test]
async fn neither_builds_nor_a_busy_neighbour_keep_a_tenants_question_waiting() {
    let stall = stalling_server("");
    let shared = provider(&format!("http://{stall}"));
    let turns = &shared.provider.turns;
    for (urgency, payer) in [(Urgency::Background, "a"), (Urgency::Now, "b")] {
        let calls: Vec<_> = (0..8)
            .map(|_| {
                let line = Line { payer: TenantId::parse(payer).ok(), ..shared.clone() };
                tokio::spawn(async move { line.post("/", Bytes::new(), urgency, LONG, 1).await })
            })
            .collect();
        while turns.under_way() < 3 {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(turns.under_way(), 3);
        let other = Line { payer: TenantId::parse("c").ok(), ..shared.clone() };
        let asked = tokio::spawn(async move { other.post("/", Bytes::new(), Urgency::Now, LONG, 1).await });
        while turns.under_way() < 4 {
            tokio::task::yield_now().await;
        }
        calls.iter().chain([&asked]).for_each(tokio::task::JoinHandle::abort);
        while turns.under_way() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Reads a stream to its end or its failure.
async fn read_all(provider: &Line, timeout: Duration, max_bytes: usize) -> (Vec<u8>, Result<(), CallError>) {
    let mut read = Vec::new();
    let mut pieces = match provider.stream("/chat/completions", Bytes::new(), timeout, max_bytes).await {
        Ok(pieces) => pieces,
        Err(error) => return (read, Err(error)),
    };
    loop {
        match pieces.next().await {
            Ok(Some(piece)) => read.extend_from_slice(&piece),
            Ok(None) => {
                pieces.close();
                return (read, Ok(()));
            }
            Err(error) => return (read, Err(error)),
        }
    }
}

#[tokio::test]
async fn a_stream_is_read_in_pieces_up_to_the_limit() {
    let server = server_that(ResponseTemplate::new(200).set_body_string("words")).await;
    let provider = provider(&server.uri());
    assert_eq!(read_all(&provider, LONG, 5).await, (b"words".to_vec(), Ok(())));
    assert!(matches!(read_all(&provider, LONG, 4).await.1, Err(CallError::Invalid(_))));
}

#[tokio::test]
async fn a_stream_is_tried_again_until_its_head_is_there_and_never_after() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(503)).up_to_n_times(2).mount(&server).await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200).set_body_string("x")).mount(&server).await;
    assert_eq!(read_all(&provider(&server.uri()), LONG, 9).await.1, Ok(()));
    assert_eq!(calls(&server).await, 3);

    let cut = stalling_server("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwords\r\n");
    let provider = provider(&format!("http://{cut}"));
    let (read, outcome) = read_all(&provider, SHORT, 1024).await;
    assert_eq!(read, b"words", "what came before the silence is kept");
    assert!(matches!(outcome, Err(CallError::Unavailable(_))));
}

#[tokio::test]
async fn a_stream_that_is_dropped_frees_its_call_and_one_that_breaks_counts_as_a_failure() {
    let stall = stalling_server("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n");
    let provider = provider(&format!("http://{stall}"));
    let pieces = provider.stream("/", Bytes::new(), LONG, 9).await.unwrap();
    assert_eq!(provider.provider.turns.under_way(), 1);
    drop(pieces);
    assert_eq!(provider.provider.turns.under_way(), 0);
    for _ in 0..5 {
        assert!(read_all(&provider, SHORT, 9).await.1.is_err());
    }
    let error = read_all(&provider, LONG, 9).await.1.unwrap_err();
    assert!(error.to_string().contains("next try"), "{error}");
}

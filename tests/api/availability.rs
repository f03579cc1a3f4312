//! The server stays, whatever a client sends or asks for.

use std::time::Duration;

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::harness::{PATIENCE, Root, TestApp};

async fn library() -> TestApp {
    let pages: Vec<(String, String)> = (0..40)
        .map(|n| (format!("page-{n}.md"), format!("# Page {n}\n\n{}", "The reading room closes at nine. ".repeat(20))))
        .collect();
    let pages: Vec<(&str, &str)> = pages.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Root::new().tenant("acme", "", &pages).start().await
}

#[tokio::test]
async fn every_document_that_is_read_arrives_whole_when_the_client_takes_gzip() {
    let app = library().await;
    let (acme, operator) = (app.tenant("acme").await, app.operator().await);
    for (caller, path) in [
        (&acme, "/api/v1/export"),
        (&acme, "/api/v1/export?what=chunks"),
        (&acme, "/api/v1/documents?limit=100"),
        (&acme, "/api/v1/jobs"),
        (&acme, "/api/v1/generations"),
        (&acme, "/api/v1/openapi.json"),
        (&operator, "/api/v1/tenants"),
        (&operator, "/api/v1/audit"),
        (&operator, "/api/v1/tenants/acme/backup"),
    ] {
        let plain = caller.get(path).await.text;
        let packed = caller.request(Method::GET, path).header("accept-encoding", "gzip").send().await.unwrap();
        assert!(packed.status().is_success(), "{path}");
        let is_packed = packed.headers().get("content-encoding").is_some_and(|encoding| encoding == "gzip");
        let bytes = packed.bytes().await.unwrap_or_else(|error| panic!("{path} was cut off: {error}"));
        // The last four bytes of a gzip stream are the length of what it holds.
        if is_packed {
            let length = u32::from_le_bytes(bytes[bytes.len() - 4..].try_into().unwrap());
            assert_eq!(length as usize, plain.len(), "{path}");
        }
        assert!(!bytes.is_empty(), "{path}");
    }
    app.end().await;
}

#[tokio::test]
async fn forms_of_strangers_are_given_up_soon() {
    let app = library().await;
    for path in ["/admin/theme", "/admin/sign-in"] {
        let mut stranger = TcpStream::connect(app.addr).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nsec-fetch-site: same-origin\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: 5000\r\n\r\nt"
        );
        stranger.write_all(head.as_bytes()).await.unwrap();
        let mut reply = vec![0; 64];
        // Half of what a signed-in operator's form may take.
        let read = timeout(Duration::from_secs(15), stranger.read(&mut reply)).await.expect("it was waited for");
        assert!(read.unwrap() > 0, "{path} was not answered");
    }
    app.end().await;
}

#[tokio::test]
async fn a_strangers_half_sent_requests_do_not_keep_a_tenant_out() {
    let app = Root::new()
        .tenant("acme", "", &[("a.md", "The reading room closes at nine.")])
        .start_with(|config| config.http.max_connections = 64, carrel::actors::Faults::default())
        .await;
    let mut strangers = Vec::new();
    for _ in 0..150 {
        let mut stranger = TcpStream::connect(app.addr).await.unwrap();
        let head = "POST /admin/theme HTTP/1.1\r\nhost: x\r\n\
                    content-type: application/x-www-form-urlencoded\r\ncontent-length: 5000\r\n\r\nt";
        stranger.write_all(head.as_bytes()).await.unwrap();
        strangers.push(stranger);
    }
    let acme = app.tenant("acme").await;
    for _ in 0..3 {
        let asked = timeout(PATIENCE, acme.ask("When does the reading room close?")).await.unwrap();
        assert_eq!(asked.ok()["outcome"], "answered");
    }
    assert_eq!(app.anonymous().get("/livez").await.status, 200);
    drop(strangers);
    app.end().await;
}

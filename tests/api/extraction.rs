//! The worker as the server starts it: in the real binary, its limits hold.

use std::io::{Cursor, Write};
use std::process::{Child, Command, Stdio};

use carrel::config::IngestConfig;
use carrel::ingest::Extractor;
use serde_json::json;

use crate::harness::{eventually, worker};

/// A ZIP archive of one text: `mebibytes` of Latin-1, which take half as much again once they are decoded.
fn bomb(mebibytes: usize) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("a.txt", zip::write::SimpleFileOptions::default()).unwrap();
    let mebibyte = b"\xe9t\xe9 ".repeat(1 << 18);
    for _ in 0..mebibytes {
        writer.write_all(&mebibyte).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[tokio::test]
async fn a_document_that_outgrows_the_workers_memory_fails_alone_and_says_so() {
    let extractor = Extractor::new(&IngestConfig::default(), worker());
    let error = extractor.extract("bomb.zip", bomb(240).into()).await.unwrap_err();
    assert_eq!(error.code, "extraction_memory", "{error}");
    assert_eq!(extractor.extract("a.txt", "fine".into()).await.unwrap().text, "fine");
}

/// A worker that has been told its limits and waits for its document.
fn waiting_worker() -> Child {
    let mut command = Command::new(worker());
    let mut child = command.arg("extract-worker").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let limits = json!({ "name": "a.txt", "max_text_bytes": 1000, "memory_mib": 512, "cpu_seconds": 15,
                         "require_sandbox": true })
    .to_string();
    let stdin = child.stdin.as_mut().unwrap();
    stdin.write_all(&u32::try_from(limits.len()).unwrap().to_be_bytes()).unwrap();
    stdin.write_all(limits.as_bytes()).unwrap();
    stdin.flush().unwrap();
    child
}

/// What the kernel allows a process, by the name in `/proc/<pid>/limits`.
fn allowed(limits: &str, name: &str) -> Option<u64> {
    limits.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[tokio::test]
async fn a_worker_has_given_up_its_rights_before_it_sees_its_document() {
    let mut child = waiting_worker();
    let process = format!("/proc/{}", child.id());
    let status = || std::fs::read_to_string(format!("{process}/status")).unwrap();
    // The right to most system calls is the last it gives up.
    eventually(|| async { status().contains("Seccomp:\t2").then_some(()) }).await;
    let limits = std::fs::read_to_string(format!("{process}/limits")).unwrap();
    let expected = [
        ("Max address space", 512 << 20),
        ("Max cpu time", 15),
        ("Max file size", 0),
        ("Max processes", 0),
        ("Max open files", 3),
        ("Max core file size", 0),
    ];
    for (name, most) in expected {
        assert_eq!(allowed(&limits, name), Some(most), "{name}");
    }
    assert!(status().contains("NoNewPrivs:\t1"), "{}", status());
    child.kill().unwrap();
    child.wait().unwrap();
}

//! The parent's side of extraction: starts workers, feeds them, and believes none of them.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::IngestConfig;
use crate::domain::Extracted;
use crate::ingest::ExtractError;
use crate::ingest::protocol::{MAX_HEADER_BYTES, Request, checked_length, frame_length, unpack};

/// Bytes of a worker's error output looked at; the rest is thrown away unread.
const STDERR_BYTES: u64 = 4096;
/// What Rust's allocator says before it aborts; the one sign by which a full memory differs from a crash.
const OUT_OF_MEMORY: &[u8] = b"memory allocation of";

/// Files of at most so many bytes may take the place that is kept for small ones.
const SMALL: u64 = 64 << 10;

/// Runs readers in child processes, at most [`IngestConfig::workers`] at once, and one more for a small file: it is read
/// in milliseconds, and a large one may hold its place until its time is up.
#[derive(Clone)]
pub struct Extractor {
    program: Arc<PathBuf>,
    permits: Arc<Semaphore>,
    small: Arc<Semaphore>,
    timeout: Duration,
    memory_mib: u64,
    max_text_bytes: usize,
    require_sandbox: bool,
}

/// A worker's place, free again when it is dropped.
pub struct Turn(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

impl Extractor {
    /// An extractor that starts `program` (this very binary) as `program extract-worker`.
    #[must_use]
    pub fn new(config: &IngestConfig, program: PathBuf) -> Self {
        Self {
            program: Arc::new(program),
            permits: Arc::new(Semaphore::new(config.workers.max(1))),
            small: Arc::new(Semaphore::new(1)),
            timeout: config.worker_timeout,
            memory_mib: config.worker_memory_mib,
            max_text_bytes: config.max_text_bytes,
            require_sandbox: config.require_sandbox,
        }
    }

    /// Extracts the text of `bytes`; `name` (a file name) only helps where content cannot tell formats apart.
    ///
    /// Dropping the future kills the worker.
    ///
    /// # Errors
    /// Typed, see [`ExtractError::code`]; a worker that dies, hangs or outgrows its limits fails this document alone.
    pub async fn extract(&self, name: &str, bytes: Bytes) -> Result<Extracted, ExtractError> {
        self.extract_in(self.turn(bytes.len() as u64).await?, name, bytes).await
    }

    /// Waits for a free worker for a file of so many bytes; who then reads it and hands it to [`Extractor::extract_in`]
    /// holds no bytes while waiting.
    ///
    /// # Errors
    /// When the extractor is shut.
    pub async fn turn(&self, bytes: u64) -> Result<Turn, ExtractError> {
        let turn = tokio::select! {
            turn = Arc::clone(&self.permits).acquire_owned() => turn,
            turn = Arc::clone(&self.small).acquire_owned(), if bytes <= SMALL => turn,
        };
        turn.map(Turn).map_err(|_| ExtractError::crashed())
    }

    /// As [`Extractor::extract`], in a turn that was waited for.
    ///
    /// # Errors
    /// As there.
    pub async fn extract_in(&self, _turn: Turn, name: &str, bytes: Bytes) -> Result<Extracted, ExtractError> {
        let mut child = self.start().map_err(|_| ExtractError::crashed())?;
        let talk = self.talk(&mut child, name, &bytes);
        let outcome = tokio::time::timeout(self.timeout, talk).await;
        // Reaped before the turn ends, so that there are never more workers than turns.
        let _ = child.kill().await;
        outcome.unwrap_or_else(|_| Err(ExtractError::timeout()))
    }

    fn start(&self) -> std::io::Result<Child> {
        Command::new(self.program.as_path())
            .arg("extract-worker")
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }

    /// Speaks, listens and watches the errors all at once: whichever pipe fills first, none blocks another.
    async fn talk(&self, child: &mut Child, name: &str, bytes: &[u8]) -> Result<Extracted, ExtractError> {
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(ExtractError::crashed());
        };
        // A worker may answer or die without having read it all, so an error of `ask` alone means nothing.
        let (_, answer, complaint) =
            tokio::join!(self.ask(stdin, name, bytes), self.listen(stdout), first_complaint(stderr));
        match answer {
            Ok((reply, text)) => unpack(&reply, text),
            Err(_) if contains(&complaint, OUT_OF_MEMORY) => Err(ExtractError::memory()),
            Err(_) => Err(cause_of_death(child).await),
        }
    }

    async fn ask(&self, mut stdin: ChildStdin, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let request = serde_json::to_vec(&Request {
            name: name.to_owned(),
            max_text_bytes: self.max_text_bytes,
            memory_mib: self.memory_mib,
            cpu_seconds: self.timeout.as_secs().max(1),
            require_sandbox: self.require_sandbox,
        })?;
        for frame in [&request[..], bytes] {
            stdin.write_all(&frame_length(frame)?).await?;
            stdin.write_all(frame).await?;
        }
        stdin.shutdown().await
    }

    async fn listen(&self, mut stdout: ChildStdout) -> std::io::Result<(Vec<u8>, Vec<u8>)> {
        let reply = read_frame(&mut stdout, MAX_HEADER_BYTES).await?;
        let text = read_frame(&mut stdout, self.max_text_bytes).await?;
        Ok((reply, text))
    }
}

async fn cause_of_death(child: &mut Child) -> ExtractError {
    match child.wait().await {
        Ok(status) if status.signal() == Some(Signal::XCPU.as_raw()) => ExtractError::timeout(),
        _ => ExtractError::crashed(),
    }
}

async fn read_frame(input: &mut (impl AsyncRead + Unpin), limit: usize) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    input.read_exact(&mut length).await?;
    let length = checked_length(length, limit)?;
    // Grows with what arrives, not with what a liar announces.
    let mut frame = Vec::new();
    input.take(length as u64).read_to_end(&mut frame).await?;
    if frame.len() < length { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(frame) }
}

/// The beginning of what a worker says on its error output; the rest is drained, so that it never blocks.
async fn first_complaint(mut stderr: ChildStderr) -> Vec<u8> {
    let mut first = Vec::new();
    let _ = (&mut stderr).take(STDERR_BYTES).read_to_end(&mut first).await;
    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    first
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// An extractor whose worker is a shell script.
    fn with_worker(folder: &tempfile::TempDir, script: &str) -> Extractor {
        let program = folder.path().join("worker");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let config = IngestConfig { worker_timeout: Duration::from_millis(300), workers: 1, ..IngestConfig::default() };
        Extractor::new(&config, program)
    }

    async fn code_of(script: &str) -> &'static str {
        let folder = tempfile::tempdir().unwrap();
        let document = Bytes::from(vec![b'x'; 4 << 20]);
        with_worker(&folder, script).extract("a.txt", document).await.unwrap_err().code
    }

    #[tokio::test]
    async fn however_a_worker_dies_its_document_fails_with_the_cause() {
        assert_eq!(code_of("exit 0").await, "extraction_crashed");
        assert_eq!(code_of("kill -SEGV $$").await, "extraction_crashed");
        assert_eq!(code_of("kill -XCPU $$").await, "extraction_timeout");
        assert_eq!(
            code_of("echo 'memory allocation of 99 bytes failed' >&2; kill -ABRT $$").await,
            "extraction_memory"
        );
    }

    #[tokio::test]
    async fn a_worker_that_never_ends_is_stopped() {
        assert_eq!(code_of("exec sleep 600").await, "extraction_timeout");
        assert_eq!(code_of("while :; do :; done").await, "extraction_timeout");
    }

    #[tokio::test]
    async fn a_worker_that_floods_its_outputs_is_cut_off() {
        assert_eq!(code_of("exec yes").await, "extraction_crashed");
        assert_eq!(code_of("exec yes >&2").await, "extraction_timeout");
    }

    #[tokio::test]
    async fn a_worker_that_answers_before_it_has_read_everything_is_heard() {
        // A refusal of 71 bytes of JSON and no text.
        let json = r#"{"failed":{"code":"needs_password","message":"Upload it without one."}}"#;
        let script = format!("printf '\\0\\0\\0\\107%s\\0\\0\\0\\0' '{json}'");
        assert_eq!(json.len(), 0o107);
        assert_eq!(code_of(&script).await, "needs_password");
    }

    #[tokio::test]
    async fn a_worker_sees_no_environment_and_no_working_folder_of_ours() {
        let folder = tempfile::tempdir().unwrap();
        let seen = folder.path().join("seen");
        let script = format!("(/usr/bin/env; pwd) > {}", seen.display());
        let _ = with_worker(&folder, &script).extract("a.txt", Bytes::from_static(b"x")).await;
        let seen = std::fs::read_to_string(seen).unwrap();
        assert!(!seen.contains("CARGO") && !seen.contains("HOME=") && seen.ends_with("/\n"), "{seen}");
    }

    #[tokio::test]
    async fn a_small_file_does_not_wait_for_large_ones() {
        let folder = tempfile::tempdir().unwrap();
        let extractor = with_worker(&folder, "exit 1");
        let _large = extractor.turn(SMALL + 1).await.unwrap();
        let _small = extractor.turn(SMALL).await.unwrap();
        let mut next = Box::pin(extractor.turn(SMALL));
        assert!(futures_util::poll!(&mut next).is_pending(), "one small file and no more");
    }

    #[tokio::test]
    async fn a_failed_document_gives_its_permit_back() {
        let folder = tempfile::tempdir().unwrap();
        let extractor = with_worker(&folder, "exit 1");
        for _ in 0..3 {
            assert!(extractor.extract("a.txt", Bytes::from_static(b"x")).await.is_err());
        }
        assert_eq!(extractor.permits.available_permits(), 1);
    }
}

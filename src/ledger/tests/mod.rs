//! What the ledger promises of opening, writing and closing; `records` and `people` try what it keeps.

mod people;
mod records;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rusqlite::Connection;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::*;
use crate::domain::{
    Attributes, ContentHash, DocumentId, DocumentState, Job, JobCounts, JobId, JobKind, JobProblem, JobState, StageName,
};

struct Fixture {
    folder: TempDir,
    ledger: Ledger,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("carrel.db")).unwrap();
        Self { folder, ledger }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("carrel.db")
    }

    /// As after a restart.
    fn reopened(self) -> Self {
        let Self { folder, ledger } = self;
        drop(ledger);
        let ledger = Ledger::open(&folder.path().join("carrel.db")).unwrap();
        Self { folder, ledger }
    }
}

fn tenant(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

fn id(text: &str) -> DocumentId {
    DocumentId::parse(text).unwrap()
}

fn record(name: &str, state: DocumentState) -> DocumentRecord {
    let status = DocumentStatus {
        id: id(name),
        name: format!("{name}, shown"),
        origin: "upload".into(),
        bytes: 10,
        content_hash: ContentHash::of(name.as_bytes()),
        kind: Some("markdown".into()),
        title: None,
        state,
        stage: Some(StageName::Embed),
        progress: None,
        chunks: 3,
        pages: None,
        problem: Some(JobProblem::new("odd", "words with 'quotes' and \u{0} in them")),
        attributes: Attributes::from([("list".into(), serde_json::json!(["a", 1, true])), ("n".into(), 7.into())]),
        job_id: Some(JobId::fresh()),
        updated_at: Timestamp::now(),
    };
    DocumentRecord { status, modified_ns: i128::from(i64::MAX) * 1000 + 7 }
}

fn job(state: JobState) -> Job {
    Job {
        state,
        document_id: Some(id("a.md")),
        counts: JobCounts { chunks: 9, ..JobCounts::default() },
        generation: Some(4),
        attempts: 1,
        ..Job::queued(JobKind::Reindex, None, "boot")
    }
}

fn token(jti: &str, of: Option<&str>) -> TokenRecord {
    let now = Timestamp::now();
    TokenRecord {
        jti: jti.into(),
        tenant: of.map(tenant),
        subject: "someone".into(),
        scope: "query".into(),
        created_at: now,
        expires_at: Timestamp::from_millis(now.as_millis() + 60_000),
        revoked_at: None,
    }
}

fn all<Id>() -> Page<Id> {
    Page { limit: 100, after: None, before: None, descending: false }
}

/// Keeps the writing thread busy until the sender is dropped, so that what is sent meanwhile waits together.
fn hold(ledger: &Ledger) -> (std::sync::mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (begun, has_begun) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let writer = Arc::clone(&ledger.writer);
    let holder = tokio::spawn(async move {
        let wait = move |_: &Connection| {
            let _ = begun.send(());
            let _ = held.lock().unwrap().recv();
            Ok(())
        };
        writer.write(wait).await.unwrap();
    });
    // The holder runs on another thread of the runtime.
    has_begun.recv().unwrap();
    (release, holder)
}

#[tokio::test]
async fn what_is_queued_when_the_ledger_is_dropped_is_written_and_the_log_folded_in() {
    let (fixture, acme) = (Fixture::new(), tenant("acme"));
    let ledger = fixture.ledger.clone();
    let mut writes: Vec<_> = Vec::new();
    for n in 0..50 {
        let mut write = Box::pin(ledger.save_documents(&acme, vec![record(&n.to_string(), DocumentState::Live)]));
        // Polled once and given up, like a request whose client went away.
        let _ = futures_util::poll!(&mut write);
        writes.push(write);
    }
    drop(writes);
    drop(ledger);
    let log = fixture.folder.path().join("carrel.db-wal");
    let fixture = {
        let Fixture { folder, ledger } = fixture;
        drop(ledger);
        assert!(log.metadata().map_or(0, |log| log.len()) == 0);
        Fixture { ledger: Ledger::open(&folder.path().join("carrel.db")).unwrap(), folder }
    };
    assert_eq!(fixture.ledger.document_totals(&acme).await.unwrap().documents, 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_fails_harms_none_that_shares_its_transaction() {
    let (fixture, acme) = (Fixture::new(), tenant("acme"));
    let (release, holder) = hold(&fixture.ledger);
    let half_done = fixture.ledger.writer.write(|db| {
        db.execute("DELETE FROM documents", [])?;
        db.execute("no SQL at all", [])
    });
    let before = fixture.ledger.save_documents(&acme, vec![record("before", DocumentState::Live)]);
    let after = fixture.ledger.save_documents(&acme, vec![record("after", DocumentState::Live)]);
    let (before, half_done, after, ()) = tokio::join!(before, half_done, after, async { drop(release) });
    assert!(before.is_ok() && after.is_ok());
    assert!(matches!(half_done, Err(LedgerError::Failed(_))));
    assert_eq!(fixture.ledger.document_totals(&acme).await.unwrap().documents, 2);
    holder.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_never_wait_for_a_write() {
    let (fixture, acme) = (Fixture::new(), tenant("acme"));
    fixture.ledger.save_documents(&acme, vec![record("a", DocumentState::Live)]).await.unwrap();
    let (release, holder) = hold(&fixture.ledger);
    assert_eq!(fixture.ledger.document_totals(&acme).await.unwrap().documents, 1);
    assert_eq!(fixture.ledger.revoked_tokens().unwrap(), Vec::<String>::new());
    drop(release);
    holder.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_what_does_not_fit_and_nothing_else() {
    let (fixture, acme, other) = (Fixture::new(), tenant("acme"), tenant("other"));
    fixture.ledger.save_documents(&acme, vec![record("kept", DocumentState::Live)]).await.unwrap();
    let limit = |pages: i64| {
        fixture.ledger.writer.write(move |db| db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())))
    };
    let pages = fixture.ledger.readers.read_here(|db| db.query_row("PRAGMA page_count", [], |row| row.get(0))).unwrap();
    let room: i64 = pages;
    limit(room + 2).await.unwrap();

    let large = (0..900).map(|n| record(&n.to_string(), DocumentState::Live)).collect();
    let (release, holder) = hold(&fixture.ledger);
    let large = fixture.ledger.save_documents(&acme, large);
    let small = fixture.ledger.save_documents(&other, vec![record("small", DocumentState::Live)]);
    let (small, large, ()) = tokio::join!(small, large, async { drop(release) });
    holder.await.unwrap();
    assert!(matches!(large, Err(LedgerError::NoSpace)));
    assert!(small.is_ok(), "another tenant's small write is not taken down with it");
    assert_eq!(fixture.ledger.document_totals(&acme).await.unwrap().documents, 1);
    assert_eq!(fixture.ledger.document_totals(&other).await.unwrap().documents, 1);

    limit(1 << 20).await.unwrap();
    fixture.ledger.save_documents(&acme, vec![record("new", DocumentState::Live)]).await.unwrap();
    assert_eq!(fixture.ledger.document_totals(&acme).await.unwrap().documents, 2);
}

#[test]
fn a_database_of_a_newer_carrel_is_refused_and_unchanged() {
    let Fixture { folder, ledger } = Fixture::new();
    drop(ledger);
    let path = folder.path().join("carrel.db");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = Ledger::open(&path).err();
    assert!(matches!(refused, Some(LedgerError::Newer { found: 99, known: 2 })), "{refused:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_database_that_is_not_carrels_or_damaged_is_refused_by_name_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    let damaged = folder.path().join("damaged.db");
    std::fs::write(&damaged, "not a database at all, but long enough to be taken for one".repeat(100)).unwrap();
    for path in [foreign, damaged] {
        let before = std::fs::read(&path).unwrap();
        let Some(LedgerError::Failed(why)) = Ledger::open(&path).err() else { panic!("{} was opened", path.display()) };
        assert!(why.contains(&path.display().to_string()), "{why}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}

#[test]
fn only_its_owner_reads_the_database() {
    let fixture = Fixture::new();
    for suffix in ["", "-wal", "-shm"] {
        let path = format!("{}{suffix}", fixture.path().display());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{path}");
    }
}

#[test]
fn every_commit_is_synced_before_it_is_acknowledged() {
    let fixture = Fixture::new();
    let settings = Runtime::new().unwrap().block_on(fixture.ledger.writer.write(|db| {
        let number = |pragma: &str| db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        Ok((number("synchronous")?, number("foreign_keys")?))
    }));
    assert_eq!(settings.unwrap(), (2, 1));
    assert!(fixture.ledger.readers.read_here(|db| db.execute("DELETE FROM jobs", [])).is_err(), "readers cannot write");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_at_once_all_get_their_own_answer() {
    let fixture = Fixture::new();
    let writes = (0..300_i64).map(|n| {
        let writer = Arc::clone(&fixture.ledger.writer);
        tokio::spawn(async move { writer.write(move |db| db.query_row("SELECT ?1", [n], |row| row.get(0))).await })
    });
    let answers: Vec<i64> =
        futures_util::future::join_all(writes).await.into_iter().map(|answer| answer.unwrap().unwrap()).collect();
    assert_eq!(answers, (0..300).collect::<Vec<_>>());
}

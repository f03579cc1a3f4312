//! What the ledger promises.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use proptest::prelude::*;
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
        id: JobId::fresh(),
        kind: JobKind::Reindex,
        state,
        stage: None,
        document_id: Some(id("a.md")),
        requested_by: "boot".into(),
        counts: JobCounts { chunks: 9, ..JobCounts::default() },
        generation: Some(4),
        problem: None,
        attempts: 1,
        created_at: Timestamp::now(),
        started_at: None,
        finished_at: None,
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
async fn documents_are_kept_as_they_were_given_and_outlive_a_restart() {
    let acme = tenant("acme");
    let fixture = Fixture::new();
    let records = vec![record("a.md", DocumentState::Live), record("b/c.md", DocumentState::Queued)];
    fixture.ledger.save_documents(&acme, records.clone()).await.unwrap();
    let fixture = fixture.reopened();
    assert_eq!(fixture.ledger.all_documents(&acme).await.unwrap(), records);
    assert_eq!(fixture.ledger.document(&acme, &id("b/c.md")).await.unwrap().as_ref(), Some(&records[1]));
    let changed = DocumentRecord { modified_ns: -1, ..record("a.md", DocumentState::Failed) };
    fixture.ledger.save_documents(&acme, vec![changed.clone()]).await.unwrap();
    assert_eq!(fixture.ledger.document(&acme, &id("a.md")).await.unwrap(), Some(changed));
    fixture.ledger.forget_documents(&acme, vec![id("a.md"), id("unknown")]).await.unwrap();
    assert_eq!(fixture.ledger.document(&acme, &id("a.md")).await.unwrap(), None);
}

#[tokio::test]
async fn more_documents_than_one_transaction_takes_are_all_written() {
    let (fixture, acme) = (Fixture::new(), tenant("acme"));
    let names: Vec<_> = (0..2500).map(|n| format!("{n:04}.md")).collect();
    let records = names.iter().map(|name| record(name, DocumentState::Live)).collect();
    fixture.ledger.save_documents(&acme, records).await.unwrap();
    assert_eq!(fixture.ledger.document_totals(&acme).await.unwrap().documents, 2500);
    fixture.ledger.forget_documents(&acme, names[1..].iter().map(|name| id(name)).collect()).await.unwrap();
    assert_eq!(fixture.ledger.document_totals(&acme).await.unwrap().documents, 1);
}

#[tokio::test]
async fn totals_count_each_state_once_and_where_it_belongs() {
    use DocumentState::{Failed, Live, Queued, Warning, Working};
    let (fixture, acme) = (Fixture::new(), tenant("acme"));
    assert_eq!(fixture.ledger.document_totals(&acme).await.unwrap(), DocumentTotals::default());
    let states = [Queued, Working, Working, Live, Live, Live, Warning, Failed];
    let records = states.iter().enumerate().map(|(n, state)| record(&n.to_string(), *state)).collect();
    fixture.ledger.save_documents(&acme, records).await.unwrap();
    let totals = DocumentTotals { documents: 8, bytes: 80, waiting: 3, live: 4, warnings: 1, failed: 1 };
    assert_eq!(fixture.ledger.document_totals(&acme).await.unwrap(), totals);
}

#[tokio::test]
async fn no_tenant_sees_or_changes_anothers_rows() {
    let (fixture, acme, other) = (Fixture::new(), tenant("acme"), tenant("other"));
    let (mine, done) = (job(JobState::Queued), job(JobState::Done));
    fixture.ledger.save_documents(&acme, vec![record("a.md", DocumentState::Live)]).await.unwrap();
    fixture.ledger.save_job(&acme, mine.clone()).await.unwrap();
    fixture.ledger.save_job(&acme, done).await.unwrap();

    assert_eq!(fixture.ledger.document(&other, &id("a.md")).await.unwrap(), None);
    assert_eq!(fixture.ledger.all_documents(&other).await.unwrap(), Vec::new());
    assert_eq!(fixture.ledger.documents(&other, all(), None).await.unwrap().entries, Vec::new());
    assert_eq!(fixture.ledger.document_totals(&other).await.unwrap(), DocumentTotals::default());
    assert_eq!(fixture.ledger.job(&other, mine.id).await.unwrap(), None);
    assert_eq!(fixture.ledger.jobs(&other, all(), None).await.unwrap().entries, Vec::new());
    assert_eq!(fixture.ledger.unfinished_jobs(&other).await.unwrap(), Vec::new());

    fixture.ledger.forget_documents(&other, vec![id("a.md")]).await.unwrap();
    fixture.ledger.forget_tenant(&other).await.unwrap();
    assert!(fixture.ledger.document(&acme, &id("a.md")).await.unwrap().is_some());
    assert_eq!(fixture.ledger.jobs(&acme, all(), None).await.unwrap().entries.len(), 2);
}

#[tokio::test]
async fn jobs_are_listed_by_time_state_and_tenant() {
    let (fixture, acme, other) = (Fixture::new(), tenant("acme"), tenant("other"));
    let (queued, running, done) = (job(JobState::Queued), job(JobState::Running), job(JobState::Done));
    for job in [&queued, &running, &done] {
        fixture.ledger.save_job(&acme, job.clone()).await.unwrap();
    }
    let elsewhere = job(JobState::Queued);
    fixture.ledger.save_job(&other, elsewhere.clone()).await.unwrap();

    let fixture = fixture.reopened();
    assert_eq!(fixture.ledger.unfinished_jobs(&acme).await.unwrap(), [queued.clone(), running.clone()]);
    let recent = fixture.ledger.recent_jobs(2).await.unwrap();
    assert_eq!(recent, [(other, elsewhere), (acme.clone(), done.clone())]);
    let finished = Job { state: JobState::Failed, ..running };
    fixture.ledger.save_job(&acme, finished.clone()).await.unwrap();
    assert_eq!(fixture.ledger.job(&acme, finished.id).await.unwrap(), Some(finished));
    let of_state = fixture.ledger.jobs(&acme, all(), Some(JobState::Done)).await.unwrap();
    assert_eq!(of_state, Listed { entries: vec![done], has_more: false });
    let counts = fixture.ledger.job_counts().await.unwrap();
    assert_eq!(counts.iter().map(|(_, jobs)| *jobs).collect::<Vec<_>>(), [2, 0, 1, 0, 1, 0]);
}

#[tokio::test]
async fn a_page_holds_between_one_and_a_hundred_entries() {
    let (fixture, acme) = (Fixture::new(), tenant("acme"));
    let records = (0..150).map(|n| record(&format!("{n:03}"), DocumentState::Live)).collect();
    fixture.ledger.save_documents(&acme, records).await.unwrap();
    for (limit, expected) in [(0, 1), (7, 7), (usize::MAX, 100)] {
        let page = fixture.ledger.documents(&acme, Page { limit, ..all() }, None).await.unwrap();
        assert_eq!((page.entries.len(), page.has_more), (expected, true));
    }
    let window = Page { after: Some(id("003")), before: Some(id("006")), ..all() };
    let page = fixture.ledger.documents(&acme, window, None).await.unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), ["004", "005"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn walking_a_list_forward_or_back_meets_every_entry_once_and_in_order(
        documents in prop::collection::btree_map("[a-zA-Z0-9äß日]{1,3}", any::<bool>(), 0..30),
        limit in 1..8_usize,
        descending: bool,
        live_alone: bool,
    ) {
        let runtime = Runtime::new().unwrap();
        let (fixture, acme) = (Fixture::new(), tenant("acme"));
        let state = |live: bool| if live { DocumentState::Live } else { DocumentState::Failed };
        let records = documents.iter().map(|(name, live)| record(name, state(*live))).collect();
        runtime.block_on(fixture.ledger.save_documents(&acme, records)).unwrap();
        let filter = live_alone.then_some(DocumentState::Live);
        let mut expected: Vec<_> =
            documents.iter().filter(|(_, live)| **live || !live_alone).map(|(name, _)| name.clone()).collect();
        if descending {
            expected.reverse();
        }

        for forward in [true, false] {
            let (mut met, mut cursor) = (Vec::new(), None);
            loop {
                let (after, before) = if forward { (cursor, None) } else { (None, cursor) };
                // Walking back begins at the end, which no entry reaches.
                let before = before.or_else(|| (!forward).then(|| id(if descending { "!" } else { "\u{10FFFF}" })));
                let page = Page { limit, after, before, descending };
                let page = runtime.block_on(fixture.ledger.documents(&acme, page, filter)).unwrap();
                let names: Vec<_> = page.entries.iter().map(|entry| entry.id.to_string()).collect();
                prop_assert!(names.len() == limit || !page.has_more);
                cursor = if forward { names.last() } else { names.first() }.map(|name| id(name));
                met = if forward { [met, names].concat() } else { [names, met].concat() };
                if !page.has_more {
                    break;
                }
            }
            prop_assert_eq!(&met, &expected);
        }
    }
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
    assert!(matches!(refused, Some(LedgerError::Newer { found: 99, known: 1 })), "{refused:?}");
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

#[tokio::test]
async fn a_revoked_token_stays_revoked_over_restarts_and_the_end_of_its_tenant() {
    let (fixture, acme) = (Fixture::new(), tenant("acme"));
    for (jti, of) in [("one", Some("acme")), ("two", Some("acme")), ("three", None), ("four", Some("other"))] {
        fixture.ledger.record_token(token(jti, of)).await.unwrap();
    }
    assert!(fixture.ledger.revoke_token("three").await.unwrap());
    assert!(fixture.ledger.revoke_token("three").await.unwrap(), "twice is fine");
    assert!(!fixture.ledger.revoke_token("unknown").await.unwrap());
    let when = |tokens: Vec<TokenRecord>| tokens.iter().map(|token| token.revoked_at).collect::<Vec<_>>();
    assert!(when(fixture.ledger.tokens(None).await.unwrap()).iter().filter(|at| at.is_some()).count() == 1);
    let mut revoked = fixture.ledger.revoke_tenant(&acme).await.unwrap();
    revoked.sort();
    assert_eq!(revoked, ["one", "two"]);
    assert!(when(fixture.ledger.tokens(Some(&acme)).await.unwrap()).iter().all(Option::is_some));

    fixture.ledger.forget_tenant(&acme).await.unwrap();
    let fixture = fixture.reopened();
    assert_eq!(fixture.ledger.tokens(Some(&acme)).await.unwrap(), Vec::new());
    let mut revoked = fixture.ledger.revoked_tokens().unwrap();
    revoked.sort();
    assert_eq!(revoked, ["one", "three", "two"]);
}

#[tokio::test]
async fn a_revoked_token_is_forgotten_a_day_after_it_expired() {
    let fixture = Fixture::new();
    let hours_ago = |hours: i64| Timestamp::from_millis(Timestamp::now().as_millis() - hours * 3_600_000);
    for (jti, hours) in [("lately", 23), ("long ago", 25)] {
        fixture.ledger.record_token(TokenRecord { expires_at: hours_ago(hours), ..token(jti, None) }).await.unwrap();
        assert!(fixture.ledger.revoke_token(jti).await.unwrap());
    }
    assert_eq!(fixture.ledger.revoked_tokens().unwrap(), ["lately"]);
}

#[tokio::test]
async fn tokens_are_listed_newest_first() {
    let fixture = Fixture::new();
    let records: Vec<_> = (0..3)
        .map(|n| TokenRecord { created_at: Timestamp::from_millis(n), ..token(&n.to_string(), Some("acme")) })
        .collect();
    for record in &records {
        fixture.ledger.record_token(record.clone()).await.unwrap();
    }
    let newest_first: Vec<_> = records.into_iter().rev().collect();
    assert_eq!(fixture.ledger.tokens(None).await.unwrap(), newest_first);
    assert!(fixture.ledger.record_token(newest_first[0].clone()).await.is_err(), "an id is given out once");
}

#[tokio::test]
async fn forgetting_a_tenant_leaves_its_audit_and_every_other_tenant() {
    let (fixture, acme) = (Fixture::new(), tenant("acme"));
    let records = (0..1200).map(|n| record(&n.to_string(), DocumentState::Live)).collect();
    fixture.ledger.save_documents(&acme, records).await.unwrap();
    fixture.ledger.save_job(&acme, job(JobState::Done)).await.unwrap();
    let entry = AuditEntry {
        number: 77,
        at: Timestamp::from_millis(0),
        actor: "operator".into(),
        action: "tenant.remove".into(),
        tenant: Some(acme.clone()),
        target: "acme".into(),
        request_id: "r1".into(),
    };
    fixture.ledger.audit(entry.clone()).await.unwrap();
    fixture.ledger.audit(AuditEntry { tenant: None, ..entry.clone() }).await.unwrap();
    fixture.ledger.forget_tenant(&acme).await.unwrap();
    assert_eq!(fixture.ledger.document_totals(&acme).await.unwrap(), DocumentTotals::default());
    assert_eq!(fixture.ledger.jobs(&acme, all(), None).await.unwrap().entries, Vec::new());
    let log = fixture.ledger.audit_log(10).await.unwrap();
    assert_eq!(log.iter().map(|entry| entry.number).collect::<Vec<_>>(), [2, 1], "numbered here, newest first");
    assert!(log[1].at > entry.at, "dated here");
    assert_eq!(AuditEntry { number: 77, at: entry.at, ..log[1].clone() }, entry);
    assert_eq!(fixture.ledger.audit_log(1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_link_works_once_until_it_expires_or_a_newer_one_is_made() {
    let fixture = Fixture::new();
    let at = Timestamp::from_millis;
    fixture.ledger.save_link("first".into(), at(100)).await.unwrap();
    fixture.ledger.save_link("second".into(), at(100)).await.unwrap();
    assert!(!fixture.ledger.take_link("first", at(50)).await.unwrap());
    assert!(fixture.ledger.take_link("second", at(99)).await.unwrap());
    assert!(!fixture.ledger.take_link("second", at(99)).await.unwrap());
    fixture.ledger.save_link("third".into(), at(100)).await.unwrap();
    assert!(!fixture.ledger.take_link("third", at(100)).await.unwrap());
    assert!(!fixture.ledger.take_link("third", at(50)).await.unwrap(), "a late attempt uses it up");
}

#[tokio::test]
async fn a_link_opens_one_door_however_many_try_it_at_once() {
    let fixture = Fixture::new();
    fixture.ledger.save_link("link".into(), Timestamp::from_millis(100)).await.unwrap();
    let attempts = (0..20).map(|_| fixture.ledger.take_link("link", Timestamp::from_millis(1)));
    let opened = futures_util::future::join_all(attempts).await;
    assert_eq!(opened.into_iter().filter(|outcome| *outcome.as_ref().unwrap()).count(), 1);
}

#[tokio::test]
async fn a_session_that_ended_is_not_brought_back_by_its_last_request() {
    let fixture = Fixture::new();
    let at = Timestamp::from_millis;
    let session = SessionRecord { secret_hash: "hash".into(), created_at: at(10), seen_at: at(10) };
    fixture.ledger.save_session(session.clone()).await.unwrap();
    fixture.ledger.touch_session("hash", at(50)).await.unwrap();
    fixture.ledger.touch_session("hash", at(20)).await.unwrap();
    let touched = SessionRecord { seen_at: at(50), ..session.clone() };
    assert_eq!(fixture.ledger.session("hash").await.unwrap(), Some(touched), "never turned back");
    fixture.ledger.end_session("hash").await.unwrap();
    fixture.ledger.touch_session("hash", at(60)).await.unwrap();
    assert_eq!(fixture.ledger.session("hash").await.unwrap(), None);
}

#[tokio::test]
async fn a_new_password_ends_every_session_and_link() {
    let fixture = Fixture::new();
    let at = Timestamp::from_millis;
    assert_eq!(fixture.ledger.password_hash().await.unwrap(), None);
    for hash in ["one", "two"] {
        let session = SessionRecord { secret_hash: hash.into(), created_at: at(10), seen_at: at(10) };
        fixture.ledger.save_session(session).await.unwrap();
    }
    fixture.ledger.save_link("link".into(), at(100)).await.unwrap();
    fixture.ledger.set_password_hash("first".into()).await.unwrap();
    fixture.ledger.set_password_hash("second".into()).await.unwrap();
    assert_eq!(fixture.ledger.password_hash().await.unwrap().as_deref(), Some("second"));
    assert_eq!(fixture.ledger.session("one").await.unwrap(), None);
    assert_eq!(fixture.ledger.session("two").await.unwrap(), None);
    assert!(!fixture.ledger.take_link("link", at(50)).await.unwrap());
}

#[tokio::test]
async fn a_session_under_a_password_that_was_changed_is_not_opened() {
    let fixture = Fixture::new();
    let at = Timestamp::from_millis;
    let session = SessionRecord { secret_hash: "hash".into(), created_at: at(10), seen_at: at(10) };
    fixture.ledger.set_password_hash("new".into()).await.unwrap();
    assert!(!fixture.ledger.save_session_under(session.clone(), "old".into()).await.unwrap());
    assert_eq!(fixture.ledger.session("hash").await.unwrap(), None);
    assert!(fixture.ledger.save_session_under(session.clone(), "new".into()).await.unwrap());
    assert_eq!(fixture.ledger.session("hash").await.unwrap(), Some(session));
}

#[tokio::test]
async fn old_sessions_are_cleared_away() {
    let fixture = Fixture::new();
    let at = Timestamp::from_millis;
    for (hash, seen_at) in [("old", 10), ("new", 20)] {
        let session = SessionRecord { secret_hash: hash.into(), created_at: at(1), seen_at: at(seen_at) };
        fixture.ledger.save_session(session).await.unwrap();
    }
    fixture.ledger.end_sessions_idle_for(std::time::Duration::from_millis(20), at(39)).await.unwrap();
    assert_eq!(fixture.ledger.session("old").await.unwrap(), None);
    assert!(fixture.ledger.session("new").await.unwrap().is_some());
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

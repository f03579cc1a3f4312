//! Documents and jobs.

use proptest::prelude::*;

use super::*;

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
    assert_eq!(fixture.ledger.jobs(&other, all(), None, None).await.unwrap().entries, Vec::new());
    assert_eq!(fixture.ledger.unfinished_jobs(&other).await.unwrap(), Vec::new());

    fixture.ledger.forget_documents(&other, vec![id("a.md")]).await.unwrap();
    fixture.ledger.forget_tenant(&other).await.unwrap();
    assert!(fixture.ledger.document(&acme, &id("a.md")).await.unwrap().is_some());
    assert_eq!(fixture.ledger.jobs(&acme, all(), None, None).await.unwrap().entries.len(), 2);
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
    let of_state = fixture.ledger.jobs(&acme, all(), Some(JobState::Done), None).await.unwrap();
    assert_eq!(of_state, Listed { entries: vec![done], has_more: false });
    let counts = fixture.ledger.job_counts().await.unwrap();
    assert_eq!(counts.iter().map(|(_, jobs)| *jobs).collect::<Vec<_>>(), [2, 0, 1, 0, 1, 0]);
    let of_kind = |kind| fixture.ledger.jobs(&acme, all(), None, Some(kind));
    assert!(!of_kind(JobKind::Reindex).await.unwrap().entries.is_empty());
    assert_eq!(of_kind(JobKind::Purge).await.unwrap().entries, Vec::new());
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
async fn what_is_old_is_forgotten_but_no_job_that_has_not_ended() {
    let (fixture, acme) = (Fixture::new(), tenant("acme"));
    let (done, waiting) = (job(JobState::Done), job(JobState::Queued));
    for job in [&done, &waiting] {
        fixture.ledger.save_job(&acme, job.clone()).await.unwrap();
    }
    let entry = AuditEntry {
        number: 0,
        at: Timestamp::now(),
        actor: "operator".into(),
        action: "tenant.add".into(),
        tenant: None,
        target: String::new(),
        request_id: String::new(),
    };
    fixture.ledger.audit(entry).await.unwrap();
    let (past, future) = (Timestamp::days_ago(1), Timestamp::from_millis(Timestamp::now().as_millis() + 60_000));
    assert_eq!(fixture.ledger.forget_jobs(past).await.unwrap(), 0);
    assert_eq!(fixture.ledger.forget_audit(past).await.unwrap(), 0);
    assert_eq!(fixture.ledger.forget_jobs(future).await.unwrap(), 1);
    assert_eq!(fixture.ledger.forget_audit(future).await.unwrap(), 1);
    assert_eq!(fixture.ledger.jobs(&acme, all(), None, None).await.unwrap().entries, vec![waiting]);
    assert_eq!(fixture.ledger.audit_log(10, None).await.unwrap(), Vec::new());
}

#[test]
fn ids_of_jobs_order_by_the_moment_they_were_made() {
    let before = crate::domain::JobId::first_at(Timestamp::now());
    let job = crate::domain::JobId::fresh();
    let after = crate::domain::JobId::first_at(Timestamp::from_millis(Timestamp::now().as_millis() + 1));
    assert!(before.to_string() < job.to_string() && job.to_string() < after.to_string());
}

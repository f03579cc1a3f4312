//! Tokens, the audit, and the operator's way in.

use super::*;

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
    assert_eq!(fixture.ledger.jobs(&acme, all(), None, None).await.unwrap().entries, Vec::new());
    let log = fixture.ledger.audit_log(10, None).await.unwrap();
    assert_eq!(log.iter().map(|entry| entry.number).collect::<Vec<_>>(), [2, 1], "numbered here, newest first");
    assert!(log[1].at > entry.at, "dated here");
    assert_eq!(AuditEntry { number: 77, at: entry.at, ..log[1].clone() }, entry);
    assert_eq!(fixture.ledger.audit_log(1, None).await.unwrap().len(), 1);
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

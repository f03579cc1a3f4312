//! Tokens that are ours.

use super::*;

#[tokio::test]
async fn a_minted_token_lets_its_holder_in_with_just_what_it_says() {
    let door = Door::new();
    let minted = door.mint(Some("acme"), &[Permission::DocumentsRead, Permission::Query, Permission::Query]).await;
    let caller = door.tokens.verify(&minted.token).unwrap();
    assert_eq!((caller.tenant().map(TenantId::as_str), caller.subject()), (Some("acme"), "app"));
    assert_eq!(caller.jti(), minted.jti);
    assert!(caller.require(Permission::Query).is_ok() && caller.require(Permission::DocumentsRead).is_ok());
    assert_eq!(caller.require(Permission::DocumentsWrite), Err(AuthError::Forbidden(Permission::DocumentsWrite)));
    assert_eq!(caller.operator(), Err(AuthError::Forbidden(Permission::TenantsAdmin)));
    let noted = &door.ledger.tokens(None).await.unwrap()[0];
    assert_eq!((noted.jti.as_str(), noted.scope.as_str()), (minted.jti.as_str(), "query documents:read"));
    assert_eq!((noted.expires_at, noted.revoked_at), (minted.expires_at, None));
}

#[tokio::test]
async fn an_operator_and_a_scraper_need_no_tenant() {
    let door = Door::new();
    let operator = door.mint(None, &[Permission::TenantsAdmin]).await;
    let caller = door.tokens.verify(&operator.token).unwrap();
    assert_eq!((caller.tenant(), caller.operator().unwrap().subject()), (None, "app"));
    let scraper = door.mint(None, &[Permission::Metrics]).await;
    let caller = door.tokens.verify(&scraper.token).unwrap();
    assert!(caller.tenant().is_none() && caller.operator().is_err());
}

#[tokio::test]
async fn a_token_that_would_not_be_let_in_is_not_minted() {
    let door = Door::new();
    let acme = || Some(TenantId::parse("acme").unwrap());
    let request = |tenant, subject: &str, permissions: &[Permission]| TokenRequest {
        tenant,
        subject: subject.into(),
        permissions: permissions.to_vec(),
        days: 1,
    };
    for refused in [
        request(None, "app", &[Permission::Query]),
        request(acme(), "app", &[]),
        request(acme(), "", &[Permission::Query]),
        request(acme(), "two\nlines", &[Permission::Query]),
        request(acme(), &"x".repeat(257), &[Permission::Query]),
    ] {
        assert!(door.tokens.mint(refused.clone()).await.is_err(), "{refused:?}");
    }
    assert_eq!(door.ledger.tokens(None).await.unwrap(), Vec::new());
}

#[tokio::test]
async fn a_token_lives_from_one_day_to_ten_years() {
    let door = Door::new();
    let day = 24 * 3600 * 1000;
    for (days, lives) in [(0, 1), (1, 1), (90, 90), (u32::MAX, 3650)] {
        let tenant = TenantId::parse("acme").ok();
        let request = TokenRequest { tenant, subject: "app".into(), permissions: vec![Permission::Query], days };
        let minted = door.tokens.mint(request).await.unwrap();
        assert_eq!(minted.expires_at.as_millis(), door.hands.seconds() * 1000 + lives * day, "{days}");
        assert!(door.tokens.verify(&minted.token).is_ok());
    }
}

#[tokio::test]
async fn a_token_expires_thirty_seconds_after_its_time_and_not_before() {
    let door = Door::new();
    let minted = door.mint(Some("acme"), &[Permission::Query]).await;
    door.hands.forward(Duration::from_secs(24 * 3600 + 29));
    assert!(door.tokens.verify(&minted.token).is_ok());
    door.hands.forward(Duration::from_secs(1));
    assert_eq!(door.tokens.verify(&minted.token), Err(AuthError::Invalid(AuthFailure::Expired)));
    door.hands.back(Duration::from_hours(24 * 365 * 100));
    assert!(door.tokens.verify(&minted.token).is_ok(), "a clock far in the past is no reason to fall over");
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once_and_after_a_restart() {
    let door = Door::new();
    let (gone, stays) =
        (door.mint(Some("acme"), &[Permission::Query]).await, door.mint(Some("acme"), &[Permission::Query]).await);
    let other_holder = door.tokens.clone();
    assert!(door.tokens.revoke(&gone.jti).await.unwrap());
    assert!(!door.tokens.revoke("unknown").await.unwrap());
    assert_eq!(other_holder.verify(&gone.token), Err(AuthError::Invalid(AuthFailure::Revoked)));
    assert!(other_holder.verify(&stays.token).is_ok());
    let restarted = tokens(door.folder.path(), &door.ledger, &door.hands);
    assert_eq!(restarted.verify(&gone.token), Err(AuthError::Invalid(AuthFailure::Revoked)));
    assert!(restarted.verify(&stays.token).is_ok());
}

#[tokio::test]
async fn the_tokens_of_a_removed_tenant_stay_revoked_when_it_is_made_again() {
    let door = Door::new();
    let acme = TenantId::parse("acme").unwrap();
    let (theirs, others) =
        (door.mint(Some("acme"), &[Permission::Query]).await, door.mint(Some("other"), &[Permission::Query]).await);
    door.tokens.revoke_tenant(&acme).await.unwrap();
    door.ledger.forget_tenant(&acme).await.unwrap();
    let restarted = tokens(door.folder.path(), &door.ledger, &door.hands);
    for tokens in [&door.tokens, &restarted] {
        assert_eq!(tokens.verify(&theirs.token), Err(AuthError::Invalid(AuthFailure::Revoked)));
        assert!(tokens.verify(&others.token).is_ok());
    }
}

#[tokio::test]
async fn a_revocation_goes_through_when_its_caller_stops_waiting() {
    let door = Door::new();
    let minted = door.mint(Some("acme"), &[Permission::Query]).await;
    {
        let mut revoking = std::pin::pin!(door.tokens.revoke(&minted.jti));
        assert!(futures_util::poll!(&mut revoking).is_pending());
    }
    let refused = async {
        while door.tokens.verify(&minted.token).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refused).await.unwrap();
}

#[tokio::test]
async fn no_token_text_is_kept_on_disk() {
    let door = Door::new();
    let minted = door.mint(Some("acme"), &[Permission::Query]).await;
    let signature = minted.token.rsplit('.').next().unwrap().as_bytes().to_vec();
    let link = door.sessions.make_link().await.unwrap();
    let cookie = door.sessions.open_by_link(&link).await.unwrap();
    for entry in std::fs::read_dir(door.folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for secret in [&signature[..], link.as_bytes(), cookie.as_bytes()] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        }
    }
}

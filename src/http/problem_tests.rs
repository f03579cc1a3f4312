use axum::body::to_bytes;
use serde_json::{Value, json};

use super::super::context::{Context, RequestId};
use super::*;
use crate::access::{AuthFailure, Permission};
use crate::actors::Budget;
use crate::domain::{DocumentId, TenantId};

async fn body(response: Response) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_problem_names_its_kind_its_request_and_its_place() {
    let mut headers = HeaderMap::new();
    headers.insert("x-request-id", HeaderValue::from_static("r-1"));
    let context =
        Context { id: RequestId::of(&headers), base: "/carrel".into(), uri: "/api/v1/query?secret=1".parse().unwrap() };
    let response = CONTEXT.scope(context, async { ApiError::from(QuestionError::TopK(99)).into_response() }).await;
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    assert_eq!(
        body(response).await,
        json!({
            "type": "urn:carrel:problem:invalid-question",
            "title": "Invalid question",
            "status": 422,
            "detail": "`top_k` is 99; it must be from 1 to 50",
            "instance": "/carrel/api/v1/query",
            "code": "invalid_question",
            "request_id": "r-1",
            "errors": [{"pointer": "#/top_k", "detail": "`top_k` is 99; it must be from 1 to 50"}],
        })
    );
}

#[tokio::test]
async fn a_failure_of_our_own_tells_no_cause() {
    let secret = || "/var/lib/carrel/data: UNIQUE constraint failed".to_owned();
    let io = || std::io::Error::other(secret());
    let failures: Vec<ApiError> = vec![
        DeskError::Quarantined(secret()).into(),
        EmbedError::Unavailable { provider: secret(), reason: secret().into() }.into(),
        EmbedError::Invalid { provider: secret(), reason: secret().into() }.into(),
        EmbedError::Builtin(secret()).into(),
        StoreError::Io { action: "write", source: io() }.into(),
        LedgerError::Failed(secret()).into(),
        IndexError::Io { action: "open", source: io() }.into(),
        IndexError::Damaged { generation: 1, file: secret(), reason: secret() }.into(),
        IndexError::Engine(secret()).into(),
        ApiError::internal(secret()),
    ];
    for failure in failures {
        let code = failure.code();
        let response = failure.into_response();
        assert!(response.status().is_server_error(), "{code:?}");
        let text = body(response).await.to_string();
        assert!(!text.contains("/var/lib") && !text.contains("UNIQUE"), "{text}");
    }
}

#[test]
fn every_failure_below_has_its_code() {
    use DeskError as D;
    let id = || DocumentId::parse("a").unwrap();
    let limited = Limited { budget: Budget::Queries, per_minute: 60, burst: 1, remaining: 0, wait_ms: 1 };
    let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
    let table: Vec<(ApiError, Code)> = vec![
        (AuthError::Missing.into(), Code::Unauthenticated),
        (AuthError::Invalid(AuthFailure::Expired).into(), Code::Unauthenticated),
        (AuthError::Forbidden(Permission::Query).into(), Code::Forbidden),
        (D::NoTenant.into(), Code::TenantNotFound),
        (D::NotFound("job").into(), Code::NotFound),
        (D::IndexNotReady.into(), Code::TenantIndexBuilding),
        (D::Question(QuestionError::Empty).into(), Code::InvalidQuestion),
        (D::RateLimited(limited).into(), Code::RateLimited),
        (D::Busy.into(), Code::TooManyAtOnce),
        (D::Quota("is full".into()).into(), Code::QuotaExceeded),
        (D::Attributes("are too many".into()).into(), Code::InvalidAttributes),
        (D::Settings("tenants/a.toml:1: no".into()).into(), Code::InvalidSettings),
        (D::TenantExists(TenantId::parse("a").unwrap()).into(), Code::TenantExists),
        (D::Unresponsive.into(), Code::TenantBusy),
        (D::FirstBuildFails("no model".into()).into(), Code::TenantIndexFailed),
        (D::DeleteUnfinished("the disk is full".into()).into(), Code::DeleteUnfinished),
        (D::Store(StoreError::Denied { action: "store" }).into(), Code::StorageDenied),
        (D::Store(StoreError::NoSpace).into(), Code::DiskFull),
        (D::Store(StoreError::TooLarge { limit: 9 }).into(), Code::DocumentTooLarge),
        (D::Store(StoreError::Empty).into(), Code::DocumentEmpty),
        (D::Store(StoreError::InFolder(id())).into(), Code::DocumentInFolder),
        (D::Ledger(LedgerError::NoSpace).into(), Code::DiskFull),
        (D::Index(IndexError::Io { action: "write", source: full() }).into(), Code::DiskFull),
    ];
    for (error, code) in table {
        assert_eq!(error.code(), code, "{}", error.detail());
    }
}

#[test]
fn one_who_is_not_let_in_never_learns_why() {
    let details: Vec<String> =
        [AuthFailure::Malformed, AuthFailure::Expired, AuthFailure::Revoked, AuthFailure::UnknownTenant]
            .map(|reason| ApiError::from(AuthError::Invalid(reason)).detail().to_owned())
            .into();
    assert!(details.iter().all(|detail| *detail == details[0]));
    assert!(ApiError::from(AuthError::Missing).into_response().headers().contains_key(WWW_AUTHENTICATE));
}

#[test]
fn a_wait_is_rounded_up_and_never_0() {
    for (millis, seconds) in [(0, 1), (1, 1), (400, 1), (1000, 1), (1001, 2), (59_001, 60)] {
        assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
    }
    let error =
        ApiError::from(Limited { budget: Budget::Queries, per_minute: 600, burst: 2, remaining: 0, wait_ms: 0 });
    let headers = error.into_response().headers().clone();
    assert_eq!((&headers["retry-after"], &headers["retry-after-ms"]), (&"1".parse().unwrap(), &"1".parse().unwrap()));
}

#[test]
fn a_conflict_tells_clients_not_to_try_again() {
    let error = ApiError::from(DeskError::TenantExists(TenantId::parse("a").unwrap()));
    assert_eq!(error.into_response().headers()["x-should-retry"], "false");
}

#[tokio::test]
async fn a_long_detail_is_cut() {
    let problem = body(ApiError::new(Code::InvalidBody, "ä".repeat(5000)).at("#/x").into_response()).await;
    assert_eq!(problem["detail"].as_str().unwrap().chars().count(), MAX_DETAIL + 1);
    assert_eq!(problem["errors"][0]["detail"], problem["detail"]);
}

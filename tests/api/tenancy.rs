//! Law 1: no tenant ever sees, delays or breaks another.

use std::collections::BTreeSet;

use carrel::access::Permission;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Root, TestApp};

async fn two() -> TestApp {
    let root = Root::new()
        .tenant("acme", "", &[("plan.md", "# Plan\n\nThe zebra migration starts in March.\n")])
        .tenant("globex", "", &[("plan.md", "# Plan\n\nThe walrus budget is nine million.\n")]);
    root.start().await
}

#[tokio::test]
async fn a_tenant_finds_its_own_documents_and_never_anothers() {
    let app = two().await;
    let acme = app.tenant("acme").await;
    let found = acme.ask("What is the walrus budget?").await;
    assert!(!found.text.contains("walrus budget is nine"), "{}", found.text);
    let own = acme.ask("When does the zebra migration start?").await.ok();
    assert_eq!(own["citations"][0]["quote"], "The zebra migration starts in March.");
}

#[tokio::test]
async fn another_tenants_things_are_as_absent_as_things_that_never_were() {
    let app = two().await;
    let (acme, globex) = (app.tenant("acme").await, app.tenant("globex").await);
    globex.upload("secret.txt", "the walrus password is swordfish").await;
    let job = globex.reindex().await["id"].as_str().unwrap().to_owned();
    let missing = "0192f0c0-0000-7000-8000-000000000000";
    for (theirs, never) in [
        ("/api/v1/documents/secret.txt".to_owned(), "/api/v1/documents/never.txt".to_owned()),
        ("/api/v1/documents/secret.txt/text".to_owned(), "/api/v1/documents/never.txt/text".to_owned()),
        (format!("/api/v1/jobs/{job}"), format!("/api/v1/jobs/{missing}")),
    ] {
        let same = |mut body: Value| {
            for key in ["request_id", "instance"] {
                body.as_object_mut().unwrap().remove(key);
            }
            body
        };
        let (theirs, never) =
            (acme.get(&theirs).await.problem(404, "not_found"), acme.get(&never).await.problem(404, "not_found"));
        assert_eq!(same(theirs), same(never));
    }
    acme.delete("/api/v1/documents/secret.txt").await.problem(404, "not_found");
    assert_eq!(globex.get("/api/v1/documents/secret.txt").await.ok()["state"], "live");
}

#[tokio::test]
async fn a_tenant_named_in_a_body_or_filter_selects_nothing() {
    let app = two().await;
    let acme = app.tenant("acme").await;
    let reply = acme.post("/api/v1/query", json!({ "query": "walrus budget", "tenant": "globex" })).await;
    assert!(reply.status.is_client_error(), "{}", reply.text);
    let filter = json!({ "type": "eq", "key": "tenant", "value": "globex" });
    let reply = acme.post("/api/v1/search", json!({ "query": "walrus budget", "filter": filter })).await.ok();
    assert_eq!(reply["hits"], json!([]));
}

/// Every documented operation that needs a token, with the permissions of which any one opens it.
const GUARDED: &[(&str, &[Permission])] = &[
    ("POST /query", &[Permission::Query]),
    ("POST /api/v1/query", &[Permission::Query]),
    ("POST /api/v1/search", &[Permission::Query]),
    ("POST /api/v1/explain", &[Permission::Query]),
    ("POST /api/v1/generations/{n}/compare", &[Permission::Query]),
    ("GET /api/v1/documents", &[Permission::DocumentsRead]),
    ("POST /api/v1/documents", &[Permission::DocumentsWrite]),
    ("GET /api/v1/documents/{id}", &[Permission::DocumentsRead]),
    ("DELETE /api/v1/documents/{id}", &[Permission::DocumentsWrite]),
    ("GET /api/v1/documents/{id}/text", &[Permission::DocumentsRead]),
    ("GET /api/v1/export", &[Permission::DocumentsRead]),
    ("POST /api/v1/reindex", &[Permission::Reindex]),
    ("GET /api/v1/jobs", &[Permission::Reindex, Permission::DocumentsWrite, Permission::DocumentsRead]),
    ("GET /api/v1/jobs/{id}", &[Permission::Reindex, Permission::DocumentsWrite, Permission::DocumentsRead]),
    ("GET /api/v1/jobs/{id}/events", &[Permission::Reindex, Permission::DocumentsWrite, Permission::DocumentsRead]),
    ("POST /api/v1/jobs/{id}/cancel", &[Permission::Reindex, Permission::DocumentsWrite]),
    ("POST /api/v1/jobs/{id}/retry", &[Permission::Reindex, Permission::DocumentsWrite]),
    ("POST /api/v1/purge", &[Permission::DocumentsWrite]),
    ("GET /api/v1/golden", &[Permission::Reindex, Permission::DocumentsWrite, Permission::DocumentsRead]),
    ("POST /api/v1/golden", &[Permission::Reindex]),
    ("DELETE /api/v1/golden/{id}", &[Permission::Reindex]),
    ("GET /api/v1/generations", &[Permission::Reindex, Permission::DocumentsWrite, Permission::DocumentsRead]),
    ("POST /api/v1/generations/{n}/activate", &[Permission::Reindex]),
    ("GET /api/v1/generations/{n}/diff", &[Permission::Reindex, Permission::DocumentsWrite, Permission::DocumentsRead]),
    ("PUT /api/v1/generations/{n}/pin", &[Permission::Reindex]),
    ("DELETE /api/v1/generations/{n}/pin", &[Permission::Reindex]),
    ("DELETE /api/v1/generations/{n}", &[Permission::Reindex]),
    ("GET /api/v1/tenants", &[Permission::TenantsAdmin]),
    ("POST /api/v1/tenants", &[Permission::TenantsAdmin]),
    ("POST /api/v1/tenants/reload", &[Permission::TenantsAdmin]),
    ("GET /api/v1/tenants/{id}", &[Permission::TenantsAdmin]),
    ("DELETE /api/v1/tenants/{id}", &[Permission::TenantsAdmin]),
    ("POST /api/v1/tenants/{id}/reindex", &[Permission::TenantsAdmin]),
    ("GET /api/v1/tenants/{id}/jobs/{job}", &[Permission::TenantsAdmin]),
    ("GET /api/v1/tenants/{id}/backup", &[Permission::TenantsAdmin]),
    ("POST /api/v1/tenants/{id}/clone", &[Permission::TenantsAdmin]),
    ("POST /api/v1/tenants/restore", &[Permission::TenantsAdmin]),
    ("GET /api/v1/tokens", &[Permission::TenantsAdmin]),
    ("POST /api/v1/tokens", &[Permission::TenantsAdmin]),
    ("DELETE /api/v1/tokens/{jti}", &[Permission::TenantsAdmin]),
    ("GET /api/v1/status", &[Permission::TenantsAdmin]),
    ("GET /api/v1/audit", &[Permission::TenantsAdmin]),
];

/// What anybody may ask.
const OPEN: &[&str] = &["GET /livez", "GET /readyz", "GET /health", "GET /metrics"];

/// The status that `caller` gets for `operation`, with ids that name nothing in place of the parameters.
async fn status(caller: &crate::harness::Caller<'_>, operation: &str) -> u16 {
    let (method, path) = operation.split_once(' ').unwrap();
    let path =
        path.replace("{id}", "nothing").replace("{job}", "nothing").replace("{jti}", "nothing").replace("{n}", "9");
    let request = caller.request(Method::from_bytes(method.as_bytes()).unwrap(), &path);
    request.json(&json!({ "query": "x" })).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn each_route_opens_to_its_permissions_alone() {
    // A server of its own for each few: it refuses an address that comes too often without a good token.
    for routes in GUARDED.chunks(16) {
        these_open_to_their_permissions_alone(routes).await;
    }
}

async fn these_open_to_their_permissions_alone(routes: &[(&str, &[Permission])]) {
    let app = two().await;
    let tenants = [Permission::Query, Permission::DocumentsRead, Permission::DocumentsWrite, Permission::Reindex];
    let mut callers = Vec::new();
    for permission in tenants {
        callers.push((permission, app.minted(Some("acme"), &[permission]).await));
    }
    for permission in [Permission::TenantsAdmin, Permission::Metrics] {
        callers.push((permission, app.minted(None, &[permission]).await));
    }
    for &(operation, any) in routes {
        assert_eq!(status(&app.anonymous(), operation).await, 401, "{operation}");
        for (permission, caller) in &callers {
            let status = status(caller, operation).await;
            let refused = matches!(status, 401 | 403);
            assert_eq!(refused, !any.contains(permission), "{operation} for {permission:?}: {status}");
        }
    }
}

#[tokio::test]
async fn each_route_is_shut_to_a_wrong_token() {
    // An address may try thirty wrong tokens at once, so each server is asked for some of the routes.
    for some in GUARDED.chunks(25) {
        let app = two().await;
        for (operation, _) in some {
            assert_eq!(status(&app.bearer("a.b.c"), operation).await, 401, "{operation}");
        }
    }
}

#[tokio::test]
async fn no_documented_route_is_missing_from_the_table_of_permissions() {
    let app = two().await;
    let document = app.anonymous().get("/api/v1/openapi.json").await.ok();
    let paths = document["paths"].as_object().unwrap();
    let documented = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    let known: BTreeSet<String> =
        GUARDED.iter().map(|(operation, _)| *operation).chain(OPEN.iter().copied()).map(str::to_owned).collect();
    assert_eq!(documented.collect::<BTreeSet<_>>(), known);
}

#[tokio::test]
async fn a_hot_tenant_is_refused_while_its_neighbour_is_not() {
    let root = Root::new()
        .tenant(
            "hot",
            "[limits]\nqueries_per_minute = 1\nburst = 2\n[answer]\nmin_score = 0.1\n",
            &[("a.md", "# A\n\nThe answer is blue.\n")],
        )
        .tenant("cold", "", &[("a.md", "# A\n\nThe answer is red.\n")]);
    let app = root.start().await;
    let (hot, cold) = (app.tenant("hot").await, app.tenant("cold").await);
    hot.ask("answer?").await.ok();
    hot.ask("answer?").await.ok();
    let refused = hot.ask("answer?").await;
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert!(refused.header("retry-after-ms").parse::<u64>().unwrap() >= 1);
    refused.problem(429, "rate_limited");
    cold.ask("answer?").await.ok();
}

#[tokio::test]
async fn limits_edited_in_the_file_hold_after_a_reload_without_touching_others() {
    let app = two().await;
    let (acme, operator) = (app.tenant("acme").await, app.operator().await);
    let before = app.desk("globex").status().restarts;
    app.root().write("tenants/acme.toml", "[limits]\nqueries_per_minute = 1\nburst = 1\n");
    operator.post("/api/v1/tenants/reload", json!({})).await.ok();
    acme.ask("zebra").await.ok();
    acme.ask("zebra").await.problem(429, "rate_limited");
    assert_eq!(app.desk("globex").status().restarts, before);
}

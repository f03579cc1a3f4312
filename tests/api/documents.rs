//! Law 2: what was acknowledged is never lost, what was deleted never returns.

use std::fs;

use serde_json::json;

use crate::harness::{Reply, Root, TestApp};

async fn acme() -> TestApp {
    Root::new().tenant("acme", "", &[("a.md", "# A\n\nThe apple harvest begins in autumn.\n")]).start().await
}

#[tokio::test]
async fn an_uploaded_document_answers_when_its_job_is_done() {
    let app = acme().await;
    let acme = app.tenant("acme").await;
    let job = acme.upload("pears.md", "# Pears\n\nThe pear harvest begins in summer.\n").await;
    assert_eq!((&job["state"], &job["kind"]), (&json!("done"), &json!("ingest")));
    let answer = acme.ask("When does the pear harvest begin?").await.ok();
    assert_eq!(answer["citations"][0]["document_id"], "pears.md");
    let document = acme.get("/api/v1/documents/pears.md").await.ok();
    assert_eq!(
        (&document["state"], &document["kind"], &document["chunks"]),
        (&json!("live"), &json!("markdown"), &json!(1))
    );
}

#[tokio::test]
async fn the_same_content_again_embeds_nothing() {
    let app = acme().await;
    let acme = app.tenant("acme").await;
    assert_eq!(acme.upload("b.txt", "The cherry harvest begins in June.").await["counts"]["texts_embedded"], 1);
    assert_eq!(acme.upload("b.txt", "The cherry harvest begins in June.").await["counts"]["texts_embedded"], 0);
    assert_eq!(acme.upload("twin.txt", "The cherry harvest begins in June.").await["counts"]["texts_embedded"], 0);
    let job = acme.reindex().await;
    assert_eq!((&job["state"], &job["counts"]["texts_embedded"]), (&json!("done"), &json!(0)));
}

#[tokio::test]
async fn a_replaced_document_answers_with_its_new_text_alone() {
    let app = acme().await;
    let acme = app.tenant("acme").await;
    acme.upload("price.txt", "The ticket costs seven crowns.").await;
    acme.upload("price.txt", "The ticket costs eleven crowns.").await;
    let answer = acme.ask("What does the ticket cost?").await.ok();
    assert!(answer["answer"].as_str().unwrap().contains("eleven"));
    assert!(
        !acme
            .post("/api/v1/search", json!({ "query": "ticket costs seven crowns", "top_k": 50 }))
            .await
            .text
            .contains("seven")
    );
}

#[tokio::test]
async fn a_deleted_document_is_gone_when_the_reply_comes_and_after_a_rebuild_and_a_restart() {
    let app = acme().await;
    let acme = app.tenant("acme").await;
    acme.upload("secret.txt", "The vault code is marmalade.").await;
    let removed = acme.delete("/api/v1/documents/secret.txt").await.ok();
    assert_eq!((&removed["document_id"], &removed["chunks"]), (&json!("secret.txt"), &json!(1)));
    let search = json!({ "query": "vault code marmalade", "top_k": 50 });
    assert!(!acme.post("/api/v1/search", search.clone()).await.text.contains("The vault code"));
    acme.get("/api/v1/documents/secret.txt").await.problem(404, "not_found");
    acme.reindex().await;
    assert!(!acme.post("/api/v1/search", search.clone()).await.text.contains("The vault code"));
    let app = app.end().await.start().await;
    assert!(!app.tenant("acme").await.post("/api/v1/search", search).await.text.contains("The vault code"));
}

#[tokio::test]
async fn the_folder_is_the_truth_at_boot_and_on_reindex() {
    let app = acme().await;
    let acme = app.tenant("acme").await;
    app.root().write("documents/acme/guide/b.md", "# B\n\nThe banana boat sails on Friday.\n");
    fs::remove_file(app.root().path().join("documents/acme/a.md")).unwrap();
    let job = acme.reindex().await;
    assert_eq!(job["counts"]["documents_done"], 1);
    assert_eq!(acme.get("/api/v1/documents/guide%2Fb.md").await.ok()["origin"], "folder");
    acme.get("/api/v1/documents/a.md").await.problem(404, "not_found");
    let root = app.end().await;
    root.write("documents/acme/guide/b.md", "# B\n\nThe banana boat sails on Sunday.\n");
    let app = root.start().await;
    let acme = app.tenant("acme").await;
    let answer = crate::harness::eventually(|| async {
        let answer = acme.ask("When does the banana boat sail?").await.ok();
        answer["answer"].as_str()?.contains("Sunday").then_some(answer)
    })
    .await;
    assert_eq!(answer["index"]["generation"], 2);
}

#[tokio::test]
async fn uploads_that_cannot_be_are_refused_and_change_nothing() {
    let root = Root::new().tenant("acme", "", &[("a.md", "# A\n\nThe apple harvest begins in autumn.\n")]);
    let app = root.start_with(|config| config.http.max_upload_bytes = 1000, carrel::actors::Faults::default()).await;
    let acme = app.tenant("acme").await;
    acme.send_file("big.txt", vec![b'x'; 1001]).await.problem(413, "document_too_large");
    acme.send_file("empty.txt", "").await.problem(422, "document_empty");
    acme.send_file("../../etc/passwd", "x").await.problem(400, "invalid_upload");
    acme.send_file("a.md", "The folder's file is not for uploads.").await.problem(409, "document_in_folder");
    let list = acme.get("/api/v1/documents").await.ok();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    let uploads = app.root().path().join("documents/acme/uploads");
    assert_eq!(fs::read_dir(uploads).map_or(0, Iterator::count), 0);
    assert_eq!(acme.send_file("fits.txt", vec![b'x'; 1000]).await.status, 202);
}

#[tokio::test]
async fn bytes_that_are_no_text_fail_alone_with_a_code_and_words() {
    let app = acme().await;
    let acme = app.tenant("acme").await;
    let noise: Vec<u8> = (0..4000u32).map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect();
    let job = acme.upload("noise.bin", noise).await;
    assert_eq!(job["state"], "failed");
    let document = acme.get("/api/v1/documents/noise.bin").await.ok();
    assert_eq!(document["state"], "failed");
    assert!(document["error"]["code"].is_string() && document["error"]["message"].is_string(), "{document}");
    acme.ask("apple harvest").await.ok();
}

#[tokio::test]
async fn text_in_an_old_encoding_is_read_as_meant() {
    let app = acme().await;
    let acme = app.tenant("acme").await;
    acme.upload(
        "alt.txt",
        b"Die Stra\xdfe nach K\xf6ln ist wegen Bauarbeiten f\xfcr drei Wochen gesperrt, sagte der B\xfcrgermeister."
            .to_vec(),
    )
    .await;
    let text = acme.get("/api/v1/documents/alt.txt/text").await.ok();
    assert!(text["text"].as_str().unwrap().contains("Straße nach Köln"), "{text}");
}

#[tokio::test]
async fn a_list_is_paged_without_gaps_or_repeats() {
    let app = acme().await;
    let acme = app.tenant("acme").await;
    for name in ["b.txt", "c.txt", "d.txt"] {
        acme.upload(name, format!("This is about {name}.")).await;
    }
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = acme.get(&format!("/api/v1/documents?limit=2{after}")).await.ok();
        seen.extend(page["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        if page["has_more"] == json!(false) {
            break;
        }
        after = format!("&after={}", page["last_id"].as_str().unwrap());
    }
    assert_eq!(seen, ["a.md", "b.txt", "c.txt", "d.txt"]);
    let bad: Reply = acme.get("/api/v1/documents?limit=0").await;
    bad.problem(400, "invalid_parameter");
}

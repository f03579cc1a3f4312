//! The pages on an operator's everyday ground: wrong files, double clicks, reloads, a path in the public address.

use carrel::actors::Faults;
use reqwest::StatusCode;

use crate::admin::Browser;
use crate::harness::Root;

const DOCUMENT: &[(&str, &str)] = &[("plan.md", "# Plan\n\nThe zebra migration starts in March.\n")];

#[tokio::test]
async fn a_tenant_whose_file_is_wrong_has_a_page_that_says_what_and_how_to_mend_it() {
    let root = Root::new().tenant("good", "", DOCUMENT).tenant("bad", "name = \"B\"\n[limits]\nbrust = 3\n", DOCUMENT);
    let app = root.start().await;
    let mut operator = Browser::signed_in(&app).await;
    let page = operator.get("/admin/tenants/bad").await;
    assert_eq!(page.status, StatusCode::OK);
    page.shows("tenants/bad.toml:3");
    page.shows("brust");
    page.shows("Read files again");
    for part in ["index", "ask", "remove"] {
        let led = operator.get(&format!("/admin/tenants/bad/{part}")).await;
        assert_eq!((led.status, led.location()), (StatusCode::SEE_OTHER, "/admin/tenants/bad"), "{part}");
    }
    let overview = operator.get("/admin").await;
    overview.shows("tenants/bad.toml:3");
    assert!(!overview.text.contains("Next attempt in 0"), "nothing is tried again by itself");

    app.root().write("tenants/bad.toml", "name = \"Mended\"\n");
    let mended = operator.follow("/admin/tenants/reload?back=/admin/tenants/bad", "").await;
    mended.shows("Mended");
    assert!(!operator.get("/admin").await.text.contains("Wrong file"));
}

#[tokio::test]
async fn a_mistake_after_a_reload_is_shown_while_the_tenant_goes_on_and_goes_with_it() {
    let app = Root::new().tenant("acme", "name = \"Acme\"\n", DOCUMENT).start().await;
    let mut operator = Browser::signed_in(&app).await;
    for (wrong, line) in [
        ("name = 3\n", "tenants/acme.toml:1"),
        ("name =\n", "tenants/acme.toml:1"),
        ("[limits]\nburst = 0\n", "tenants/acme.toml:2"),
    ] {
        app.root().write("tenants/acme.toml", wrong);
        operator.follow("/admin/tenants/reload", "").await.shows(line);
        for page in ["/admin", "/admin/tenants", "/admin/tenants/acme"] {
            operator.get(page).await.shows(line);
        }
        operator.get("/admin/tenants/acme").await.shows("goes on with the settings it had");
        app.tenant("acme").await.ask("When does the zebra migration start?").await.ok();
    }
    let status = app.operator().await.get("/api/v1/tenants/acme").await.ok();
    assert!(status["wrong_file"].as_str().unwrap().contains("burst"));
    app.root().write("tenants/acme.toml", "name = \"Acme\"\n");
    operator.follow("/admin/tenants/reload", "").await;
    for page in ["/admin", "/admin/tenants", "/admin/tenants/acme"] {
        assert!(!operator.get(page).await.text.contains("acme.toml:"), "{page}");
    }
}

#[tokio::test]
async fn a_tenant_whose_file_is_gone_has_a_page_and_one_that_never_was_has_none() {
    let app = Root::new().tenant("acme", "", DOCUMENT).start().await;
    let mut operator = Browser::signed_in(&app).await;
    std::fs::remove_file(app.root().path().join("tenants/acme.toml")).unwrap();
    operator.follow("/admin/tenants/reload", "").await;
    let page = operator.get("/admin/tenants/acme").await;
    assert_eq!(page.status, StatusCode::OK);
    page.shows("Its file is gone");
    assert_eq!(operator.get("/admin/tenants/never").await.status, StatusCode::NOT_FOUND);
    app.root().write("tenants/acme.toml", "");
    operator.follow("/admin/tenants/reload?back=/admin/tenants/acme", "").await.shows("plan.md");
}

#[tokio::test]
async fn a_form_that_is_sent_twice_makes_one_token_that_is_shown_once() {
    let app = Root::new().tenant("acme", "", DOCUMENT).start().await;
    let mut operator = Browser::signed_in(&app).await;
    let form = operator.get("/admin/tokens").await;
    let once = form.text.split("name=\"once\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let fields = format!("once={once}&tenant=acme&subject=twice&permission=query&days=1");

    let wrong = operator.post("/admin/tokens", &fields.replace("days=1", "days=0")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "a form that is refused may be sent again");
    let first = operator.post("/admin/tokens", &fields).await;
    let second = operator.post("/admin/tokens", &fields).await;
    assert_eq!((first.status, first.location()), (second.status, second.location()));
    assert_eq!(first.status, StatusCode::SEE_OTHER);
    assert!(!first.text.contains("eyJ"), "the redirect holds no secret");

    let shown = operator.get(first.location()).await;
    shown.shows("<pre id=\"token\">eyJ");
    for _ in 0..2 {
        let again = operator.get(first.location()).await;
        assert!(!again.text.contains("<pre id=\"token\">"), "a reload shows it no more");
        again.shows("was shown already");
    }
    let late = operator.post("/admin/tokens", &fields).await;
    operator.get(late.location()).await.shows("was shown already");
    let listed = app.operator().await.get("/api/v1/tokens?tenant=acme").await.ok();
    let subjects = listed["data"].as_array().unwrap().iter().filter(|token| token["subject"] == "twice");
    assert_eq!(subjects.count(), 1);
}

#[tokio::test]
async fn below_a_path_every_page_redirect_and_problem_keeps_it_whether_the_proxy_takes_it_off_or_not() {
    let root = Root::new().tenant("acme", "", DOCUMENT);
    let app =
        root.start_with(|config| config.http.public_url = "https://example.org/carrel".into(), Faults::default()).await;
    let mut operator = Browser::new(&app);
    for base in ["", "/carrel"] {
        let out = operator.get(&format!("{base}/admin/tenants/acme")).await;
        assert_eq!(out.location(), "/carrel/admin/sign-in?next=%2Fadmin%2Ftenants%2Facme");
        let sign_in = operator.get(&format!("{base}/admin/sign-in")).await;
        sign_in.shows("action=\"/carrel/admin/sign-in\"");
        let style = sign_in.text.split("href=\"/carrel/static/").nth(1).unwrap().split('"').next().unwrap().to_owned();
        assert_eq!(operator.get(&format!("{base}/static/{style}")).await.status, StatusCode::OK);
        let problem = app.anonymous().get(&format!("{base}/api/v1/jobs")).await.problem(401, "unauthenticated");
        assert_eq!(problem["instance"], "/carrel/api/v1/jobs");
    }
    let link = app.state.sessions.make_link().await.unwrap();
    let inside = operator.post(&format!("/carrel/admin/link/{link}"), "").await;
    assert_eq!(inside.location(), "/carrel/admin/password");
    for path in ["/carrel/admin", "/admin/tenants/acme", "/carrel/admin/tenants/acme/ask"] {
        let page = operator.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        for attribute in ["href=\"/", "action=\"/", "src=\"/"] {
            assert_eq!(page.text.matches(attribute).count(), page.text.matches(&format!("{attribute}carrel/")).count());
        }
    }
    let job = app.tenant("acme").await.post("/api/v1/reindex", serde_json::json!({})).await;
    assert!(job.header("location").starts_with("/carrel/api/v1/jobs/"), "{}", job.header("location"));
}

#[tokio::test]
async fn somebody_whose_session_ended_is_told_so_and_how_to_come_in_again() {
    let app = Root::new().tenant("acme", "", DOCUMENT).start().await;
    let mut stranger = Browser::new(&app);
    let page = stranger.get("/admin/sign-in").await;
    page.shows("carrel admin-link");
    assert!(!page.text.contains("has ended"));
    let mut operator = Browser::signed_in(&app).await;
    let mut other = Browser::signed_in(&app).await;
    let password = "password=a+few+words+do+well&again=a+few+words+do+well";
    other.follow("/admin/password", password).await;
    let read = operator.get("/admin/jobs").await;
    operator.get(read.location()).await.shows("Your session has ended");
    let sent = operator.post("/admin/tenants/acme/reindex", "").await;
    operator.get(sent.location()).await.shows("nothing that was sent since was done");
    let used = stranger.post("/admin/link/0000", "").await;
    used.shows("carrel admin-link");
}

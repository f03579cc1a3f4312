//! The operator's pages, as a browser without scripts uses them.

use std::collections::BTreeMap;

use carrel::domain::{Job, JobKind, JobProblem, JobState, TenantId};
use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode};

use crate::harness::{Root, TestApp, eventually};

const PASSWORD: &str = "a few words do well";

/// A browser: keeps cookies, follows redirects only when told, and says where a form was sent from.
pub struct Browser<'a> {
    app: &'a TestApp,
    http: Client,
    cookies: BTreeMap<String, String>,
    site: &'static str,
}

pub struct Page {
    pub status: StatusCode,
    headers: HeaderMap,
    pub text: String,
}

impl Page {
    pub fn location(&self) -> &str {
        self.headers.get(LOCATION).map_or("", |to| to.to_str().unwrap())
    }

    #[track_caller]
    pub fn shows(&self, words: &str) {
        assert!(self.text.contains(words), "no {words:?} on the page: {} {}", self.status, self.text);
    }
}

impl<'a> Browser<'a> {
    pub fn new(app: &'a TestApp) -> Self {
        let http = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Self { app, http, cookies: BTreeMap::new(), site: "same-origin" }
    }

    /// A browser of somebody who came in by a one-time link.
    pub async fn signed_in(app: &'a TestApp) -> Self {
        let mut browser = Self::new(app);
        let link = app.state.sessions.make_link().await.unwrap();
        let inside = browser.post(&format!("/admin/link/{link}"), "").await;
        assert_eq!((inside.status, inside.location()), (StatusCode::SEE_OTHER, "/admin/password"));
        browser
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = self.http.request(method, format!("http://{}{path}", self.app.addr));
        request.header("cookie", cookies.join("; ")).header("sec-fetch-site", self.site)
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Page {
        let response = request.send().await.unwrap();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let (status, headers) = (response.status(), response.headers().clone());
        Page { status, headers, text: response.text().await.unwrap() }
    }

    pub async fn get(&mut self, path: &str) -> Page {
        let request = self.request(Method::GET, path);
        self.send(request).await
    }

    pub async fn post(&mut self, path: &str, form: &str) -> Page {
        let request = self.request(Method::POST, path);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned());
        self.send(request).await
    }

    /// Posts a form and looks at the page that it leads to.
    pub async fn follow(&mut self, path: &str, form: &str) -> Page {
        let redirect = self.post(path, form).await;
        assert_eq!(redirect.status, StatusCode::SEE_OTHER, "{path}: {}", redirect.text);
        self.get(redirect.location()).await
    }

    async fn upload(&mut self, tenant: &str, files: &[(&str, &str)]) -> Page {
        let part = |text: &str, name: &str| reqwest::multipart::Part::text(text.to_owned()).file_name(name.to_owned());
        let form = files
            .iter()
            .fold(reqwest::multipart::Form::new(), |form, (name, text)| form.part("file", part(text, name)));
        let request = self.request(Method::POST, &format!("/admin/tenants/{tenant}/documents")).multipart(form);
        self.send(request).await
    }
}

async fn acme() -> TestApp {
    Root::new().tenant("acme", "", &[("plan.md", "# Plan\n\nThe zebra migration starts in March.\n")]).start().await
}

/// Every page, and every form with what it sends.
const PAGES: [&str; 13] = [
    "/admin",
    "/admin/password",
    "/admin/tenants",
    "/admin/tenants/acme",
    "/admin/tenants/acme/ask",
    "/admin/tenants/acme/index",
    "/admin/tenants/acme/remove",
    "/admin/tenants/acme/document?id=plan.md",
    "/admin/tenants/acme/document/delete?id=plan.md",
    "/admin/jobs",
    "/admin/tokens",
    "/admin/audit",
    "/admin/audit.csv",
];
const FORMS: [(&str, &str); 16] = [
    ("/admin/password", "password=another+good+password&again=another+good+password"),
    ("/admin/tenants", "id=globex&name=Globex"),
    ("/admin/tenants/reload", ""),
    ("/admin/tenants/acme/ask", "query=zebra&mode=hybrid&top_k=3"),
    ("/admin/tenants/acme/reindex", ""),
    ("/admin/tenants/acme/index/1", "verb=pin"),
    ("/admin/tenants/acme/golden", "question=zebra&document=plan.md"),
    ("/admin/tenants/acme/golden/0123456789abcdef/delete", ""),
    ("/admin/tenants/acme/jobs/0198a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", "verb=cancel"),
    ("/admin/tenants/acme/documents", ""),
    ("/admin/tenants/acme/document/delete", "id=plan.md"),
    ("/admin/tenants/acme/remove", "confirm=acme"),
    ("/admin/tokens", "tenant=acme&subject=x&permission=query&days=1"),
    ("/admin/tokens/some-jti/revoke", ""),
    ("/admin/steps/hide", ""),
    ("/admin/sign-out", ""),
];

/// Asserts that none of [`FORMS`] was followed.
async fn nothing_changed(app: &TestApp) {
    let ids: Vec<_> = app.operator().await.get("/api/v1/tenants").await.ok()["data"].as_array().unwrap().clone();
    assert_eq!(ids.len(), 1);
    let acme = app.tenant("acme").await;
    assert_eq!(acme.get("/api/v1/documents/plan.md").await.ok()["state"], "live");
    assert_eq!(app.desk("acme").generations_serving(), Some(1));
    assert_eq!(acme.get("/api/v1/golden").await.ok()["data"], serde_json::json!([]));
    assert_eq!(acme.get("/api/v1/generations").await.ok()["data"][0]["pinned"], false);
    assert!(!app.state.sessions.has_password().await.unwrap());
}

#[tokio::test]
async fn who_types_the_servers_address_comes_to_the_pages() {
    let app = acme().await;
    let home = Browser::new(&app).get("/").await;
    assert_eq!((home.status, home.location()), (StatusCode::SEE_OTHER, "/admin"));
}

#[tokio::test]
async fn who_is_not_signed_in_gets_no_further_than_the_door() {
    let app = acme().await;
    let mut stranger = Browser::new(&app);
    stranger.cookies.insert("carrel".into(), "0".repeat(64));
    for page in PAGES {
        let reply = stranger.get(page).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{page}");
        assert!(reply.location().starts_with("/admin/sign-in"), "{page}: {}", reply.location());
    }
    for (form, fields) in FORMS {
        let reply = stranger.post(form, fields).await;
        assert_eq!((reply.status, reply.location()), (StatusCode::SEE_OTHER, "/admin/sign-in"), "{form}");
    }
    nothing_changed(&app).await;
}

#[tokio::test]
async fn a_form_from_another_site_changes_nothing() {
    let app = acme().await;
    let mut operator = Browser::signed_in(&app).await;
    for site in ["cross-site", "same-site"] {
        operator.site = site;
        for (form, fields) in FORMS {
            let reply = operator.post(form, fields).await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{form}");
            reply.shows("The form was sent from another site");
        }
    }
    operator.site = "same-origin";
    assert_eq!(operator.get("/admin").await.status, StatusCode::OK, "the session goes on");
    nothing_changed(&app).await;
}

#[tokio::test]
async fn looking_at_every_page_changes_nothing_and_each_is_protected() {
    let app = acme().await;
    let mut operator = Browser::signed_in(&app).await;
    for page in PAGES.into_iter().chain(["/admin/jobs?fragment=true", "/admin/tenants/acme?fragment=true"]) {
        let reply = operator.get(page).await;
        assert_eq!(reply.status, StatusCode::OK, "{page}: {}", reply.text);
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(reply.headers[name], value, "{page}");
        }
        let policy = reply.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{page}: {policy}");
    }
    nothing_changed(&app).await;
}

#[tokio::test]
async fn a_link_lets_in_once_and_a_new_password_ends_every_other_session() {
    let app = acme().await;
    let link = format!("/admin/link/{}", app.state.sessions.make_link().await.unwrap());
    let mut first = Browser::new(&app);
    for _ in 0..2 {
        first.get(&link).await.shows("Sign in");
    }
    let inside = first.post(&link, "").await;
    let cookie = inside.headers[SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");

    let used = Browser::new(&app).post(&link, "").await;
    let wrong = Browser::new(&app).post("/admin/sign-in", "password=nobody+has+set+one").await;
    for refused in [&used, &wrong] {
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        refused.shows("That did not work: the link may have been used, or the password is wrong.");
    }

    let mut second = Browser::signed_in(&app).await;
    let form = format!("password={0}&again={0}", PASSWORD.replace(' ', "+"));
    second.follow("/admin/password", &form).await.shows("The password is set");
    assert_eq!(first.get("/admin").await.location(), "/admin/sign-in");

    let mut third = Browser::new(&app);
    let form = format!("password={}&next=/admin/jobs", PASSWORD.replace(' ', "+"));
    assert_eq!(third.post("/admin/sign-in", &form).await.location(), "/admin/jobs");
    let kept = third.cookies.clone();
    third.follow("/admin/sign-out", "").await.shows("You are signed out");
    third.cookies = kept;
    assert_eq!(third.get("/admin").await.location(), "/admin/sign-in", "the cookie is worth nothing any more");
}

#[tokio::test]
async fn attempts_at_the_door_are_limited_by_address() {
    let app = acme().await;
    let mut guesser = Browser::new(&app);
    let mut refused = None;
    for guess in 0..12 {
        let reply = guesser.post(&format!("/admin/link/{guess}"), "").await;
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(reply);
        }
    }
    let refused = refused.expect("twelve guesses in a row are too many");
    refused.shows("Too many requests");
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(wait >= 1);
    assert_eq!(guesser.get("/admin/sign-in").await.status, StatusCode::OK, "the page itself is not an attempt");
}

#[tokio::test]
async fn a_session_is_no_token_and_a_token_no_session() {
    let app = acme().await;
    let operator = Browser::signed_in(&app).await;
    app.bearer(&operator.cookies["carrel"]).get("/api/v1/tenants").await.problem(401, "unauthenticated");
    let cookie_alone = operator.request(Method::GET, "/api/v1/tenants").send().await.unwrap();
    assert_eq!(cookie_alone.status(), StatusCode::UNAUTHORIZED);
    let mut browser = Browser::new(&app);
    browser.cookies.insert("carrel".into(), app.operator().await.token.unwrap());
    assert_eq!(browser.get("/admin").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn files_are_uploaded_together_asked_about_and_deleted() {
    let app = acme().await;
    let mut operator = Browser::signed_in(&app).await;
    let files = [("../<acme>\u{202e}.md", "# Walrus\n\nThe walrus budget is nine million.\n"), ("empty.txt", "")];
    let sent = operator.upload("acme", &files).await;
    let told = operator.get(sent.location()).await;
    told.shows("1 of 2 files stored.");
    told.shows("The document is empty.");
    assert!(!told.text.contains("<acme>") && !told.text.contains('\u{202e}'));

    let id = "%3Cacme%3E%E2%80%AE.md";
    let acme = app.tenant("acme").await;
    eventually(|| async {
        let document = acme.get(&format!("/api/v1/documents/{id}")).await.ok();
        (document["state"] == "live").then_some(())
    })
    .await;
    let form = "query=What+is+the+walrus+budget%3F&mode=hybrid&top_k=3";
    let answered = operator.post("/admin/tenants/acme/ask", form).await;
    answered.shows("<blockquote dir=\"auto\">The walrus budget is nine million.</blockquote>");
    operator.get(&format!("/admin/tenants/acme/document?id={id}")).await.shows("The walrus budget is nine million.");

    operator.follow("/admin/tenants/acme/document/delete", &format!("id={id}")).await.shows("The document is deleted");
    acme.get(&format!("/api/v1/documents/{id}")).await.problem(404, "not_found");
    let log = operator.get("/admin/audit.csv").await.text;
    for action in ["session.open", "document.upload", "document.delete"] {
        assert!(log.contains(action), "{action} is missing in {log}");
    }
}

#[tokio::test]
async fn a_file_over_the_limit_is_refused_with_a_page_that_says_so() {
    let tweak = |config: &mut carrel::config::Config| config.http.max_upload_bytes = 1000;
    let root = Root::new().tenant("acme", "", &[]);
    let app = root.start_with(tweak, carrel::actors::Faults::default()).await;
    let mut operator = Browser::signed_in(&app).await;
    let refused = operator.upload("acme", &[("long.txt", &"word ".repeat(300))]).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    refused.shows("A file may have at most 1000 B here.");
    // One beside it that fits is kept.
    let mixed = operator.upload("acme", &[("long.txt", &"word ".repeat(300)), ("short.txt", "a few words")]).await;
    operator.get(mixed.location()).await.shows("1 of 2 files stored.");
}

#[tokio::test]
async fn a_tenant_comes_and_goes_and_its_tokens_with_it() {
    let app = acme().await;
    let mut operator = Browser::signed_in(&app).await;
    operator
        .follow("/admin/tenants", "id=globex&name=Globex+%22%3Cb%3E%22")
        .await
        .shows("Globex &#34;&#60;b&#62;&#34;");
    operator.post("/admin/tenants", "id=globex&name=").await.shows("There is a tenant <code>globex</code> already.");
    let refused = operator.post("/admin/tenants", "id=..%2Fetc&name=").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);

    let minted = operator.follow("/admin/tokens", "tenant=globex&subject=app&permission=documents%3Aread&days=1").await;
    let token = minted.text.split("<pre id=\"token\">").nth(1).unwrap().split('<').next().unwrap();
    app.bearer(token).get("/api/v1/documents").await.ok();

    let unsure = operator.post("/admin/tenants/globex/remove", "confirm=acme").await;
    assert_eq!(unsure.status, StatusCode::UNPROCESSABLE_ENTITY);
    operator.follow("/admin/tenants/globex/remove", "confirm=globex").await.shows("The tenant globex is removed.");
    let gone = operator.get("/admin/tenants/globex").await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    gone.shows("There is no such tenant.");
    assert_eq!(app.bearer(token).get("/api/v1/documents").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_error_is_a_page_with_the_requests_id() {
    let app = acme().await;
    let mut operator = Browser::signed_in(&app).await;
    for (method, path, status) in [
        (Method::GET, "/admin/nowhere", StatusCode::NOT_FOUND),
        (Method::GET, "/admin/tenants/..%2Facme", StatusCode::NOT_FOUND),
        (Method::GET, "/admin/tenants/acme/jobs/none", StatusCode::NOT_FOUND),
        (Method::GET, "/admin/tenants/acme/documents", StatusCode::METHOD_NOT_ALLOWED),
        (Method::DELETE, "/admin/tenants/acme", StatusCode::METHOD_NOT_ALLOWED),
        (Method::POST, "/admin/theme", StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let request = operator.request(method, path);
        let page = operator.send(request).await;
        assert_eq!(page.status, status, "{path}");
        page.shows(page.headers["x-request-id"].to_str().unwrap());
        page.shows("<h1>");
    }
}

#[tokio::test]
async fn an_older_generation_is_asked_compared_and_its_scores_shown_in_their_parts() {
    let app = acme().await;
    let caller = app.tenant("acme").await;
    let mut operator = Browser::signed_in(&app).await;
    let alone = operator.get("/admin/tenants/acme/ask").await;
    assert!(!alone.text.contains("name=\"generation\""), "there is nothing to choose from yet");
    caller.upload("okapi.md", "# Okapi\n\nThe okapi migration starts in March.\n").await;
    caller.reindex().await;
    caller.upload("okapi.md", "# Okapi\n\nThe okapi migration starts in May.\n").await;
    operator.get("/admin/tenants/acme/ask").await.shows("Compare with");
    let form = "query=When+does+the+okapi+migration+start%3F&mode=hybrid&top_k=3";
    let asked = operator.post("/admin/tenants/acme/ask", &format!("{form}&generation=1&compare=2&explain=true")).await;
    asked.shows("starts in March.</blockquote>");
    asked.shows("Generation 1");
    asked.shows("Side by side");
    asked.shows("How this score came to be");
    asked.shows("&#34;generation&#34;:1");
    let followed = operator.post("/admin/tenants/acme/ask", &format!("{form}&document=never.md")).await;
    followed.shows("There is no such document.");
    let href = "/admin/tenants/acme/document?id=okapi.md&generation=1";
    operator.get(href).await.shows("starts in March.");
    operator.get("/admin/tenants/acme/document?id=okapi.md").await.shows("starts in May.");
    let gone = operator.post("/admin/tenants/acme/ask", &format!("{form}&generation=9&compare=")).await;
    assert_eq!(gone.status, StatusCode::UNPROCESSABLE_ENTITY);
    gone.shows("When does the okapi migration start?");
    operator.post("/admin/tenants/acme/ask", &format!("{form}&generation=&compare=")).await.shows("starts in May.");
}

#[tokio::test]
async fn generations_golden_questions_and_jobs_are_handled_on_the_pages() {
    let app = acme().await;
    let caller = app.tenant("acme").await;
    caller.upload("okapi.md", "# Okapi\n\nThe okapi migration starts in March.\n").await;
    let mut operator = Browser::signed_in(&app).await;
    let form = "query=When+does+the+okapi+migration+start%3F&mode=hybrid&top_k=3";
    operator.post("/admin/tenants/acme/ask", form).await.shows("Must be found");
    let kept = "question=When+does+the+okapi+migration+start%3F&document=okapi.md";
    operator.follow("/admin/tenants/acme/golden", kept).await.shows("Kept.");
    let job = caller.reindex().await;
    let page = operator.get("/admin/tenants/acme/index").await;
    page.shows("nDCG@10 1.000, before it 1.000 · 1 golden question");
    page.shows("okapi.md");
    operator.follow("/admin/tenants/acme/index/1", "verb=pin").await.shows("pinned");
    operator.follow("/admin/tenants/acme/index/1", "verb=activate").await.shows("Generation 1 answers now.");
    assert_eq!(caller.ask("When does the okapi migration start?").await.ok()["index"]["generation"], 1);
    let refused = operator.post("/admin/tenants/acme/index/1", "verb=activate").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let id = caller.get("/api/v1/golden").await.ok()["data"][0]["id"].as_str().unwrap().to_owned();
    operator.follow(&format!("/admin/tenants/acme/golden/{id}/delete"), "").await.shows("There are none yet");
    let path = format!("/admin/tenants/acme/jobs/{}", job["id"].as_str().unwrap());
    assert!(!operator.get(&path).await.text.contains("value=\"cancel\""), "a job that is over cannot be cancelled");
    assert_eq!(operator.post(&path, "verb=cancel").await.status, StatusCode::CONFLICT);
    let failed = caller.upload("empty.pdf", b"%PDF-1.7 and nothing more".to_vec()).await;
    let path = format!("/admin/tenants/acme/jobs/{}", failed["id"].as_str().unwrap());
    operator.get(&path).await.shows("Try again");
    operator.follow(&path, "verb=retry").await.shows("The job is queued again.");
    let gone = caller.delete("/api/v1/documents/okapi.md").await.ok();
    let path = format!("/admin/tenants/acme/jobs/{}", gone["job_id"].as_str().unwrap());
    operator.get(&path).await.shows("Text still in files of generations");
    operator.follow(&path, "verb=purge").await.shows("Deleted text is being written out of every file.");
    let jobs = caller.get("/api/v1/jobs?kind=purge").await.ok();
    assert_eq!(caller.job(jobs["data"][0]["id"].as_str().unwrap()).await["state"], "done");
}

#[tokio::test]
async fn a_restore_that_failed_has_a_page_though_there_is_no_tenant() {
    let app = acme().await;
    let mut operator = Browser::signed_in(&app).await;
    let tenant = TenantId::parse("half").unwrap();
    let problem = Some(JobProblem::new("disk_full", "the disk is full"));
    let job = Job { state: JobState::Failed, problem, ..Job::queued(JobKind::Restore, None, "operator") };
    let path = format!("/admin/tenants/half/jobs/{}", job.id);
    app.state.ledger.save_job(&tenant, job).await.unwrap();
    operator.get("/admin/jobs").await.shows(&path);
    operator.get(&path).await.shows("disk_full");
    let other = path.replace("/half/", "/acme/");
    assert_eq!(operator.get(&other).await.status, StatusCode::NOT_FOUND, "a job is one of its tenant");
}

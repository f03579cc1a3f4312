//! Answers as server-sent events.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::harness::{Caller, PATIENCE, Root, TestApp, eventually};
use crate::model::{Model, Reply, Step, done, finish, usage, words};

const MANUAL: &str = "# Staff manual\n\n## Leave\n\nThe notice period is three months for staff after probation. \
    Holiday is thirty days a year.\n\n## Pay\n\nSalaries are paid on the fifth day of each month.\n";
const DOCUMENTS: &[(&str, &str)] = &[("manual.md", MANUAL)];
const QUESTION: &str = "How long is the notice period?";

/// Events as they come.
struct Events {
    response: Response,
    waiting: String,
}

impl Events {
    async fn of(caller: &Caller<'_>, body: Value) -> Self {
        let response = caller.request(Method::POST, "/api/v1/query").json(&body).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        Self { response, waiting: String::new() }
    }

    async fn asking(caller: &Caller<'_>) -> Self {
        Self::of(caller, json!({ "query": QUESTION, "stream": true })).await
    }

    /// The next event; none at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.waiting.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.waiting = rest;
                let field = |name| event.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
                match (field("event:"), field("data:")) {
                    (Some(name), Some(data)) => return Some((name.to_owned(), serde_json::from_str(data).unwrap())),
                    _ => continue,
                }
            }
            let chunk =
                tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("nothing more came").ok()??;
            self.waiting.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// All there are.
    async fn all(mut self) -> Told {
        let mut told = Told(Vec::new());
        while let Some(event) = self.next().await {
            told.0.push(event);
        }
        told
    }
}

/// A stream that was read to its end.
#[derive(Debug)]
struct Told(Vec<(String, Value)>);

impl Told {
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.dedup();
        names
    }

    fn last(&self) -> (&str, &Value) {
        let (name, data) = self.0.last().expect("no event at all");
        (name, data)
    }

    fn text(&self) -> String {
        let tokens = self.0.iter().filter(|(name, _)| name == "token");
        tokens.map(|(_, data)| data["text"].as_str().unwrap()).collect()
    }

    fn citations(&self) -> Vec<&Value> {
        self.0.iter().filter(|(name, _)| name == "citation").map(|(_, data)| data).collect()
    }
}

async fn told(app: &TestApp) -> Told {
    Events::asking(&app.tenant("acme").await).await.all().await
}

async fn told_by(steps: Vec<Step>) -> Told {
    let model = Model::streaming(steps).await;
    told(&model.carrel(DOCUMENTS).await).await
}

#[tokio::test]
async fn what_was_found_comes_first_then_words_proofs_cost_and_the_whole() {
    let steps = vec![
        words("The notice "),
        words("period is three months"),
        words(" [1]. The moon is made of cheese [7]."),
        finish("stop"),
        usage(90, 12),
        done(),
    ];
    let told = told_by(steps).await;
    assert_eq!(told.names(), ["retrieval", "token", "citation", "usage", "done"], "{told:?}");
    assert_eq!(told.0[0].1["chunks"][0]["document_id"], "manual.md");
    let done = told.last().1;
    assert_eq!(done["answer"], told.text());
    assert_eq!(told.text(), "The notice period is three months. [1] The moon is made of cheese.");
    assert_eq!(done["answered_by"], "mock/gpt");
    assert_eq!(done["unsupported"], json!(["The moon is made of cheese."]));
    assert_eq!((&done["usage"]["prompt_tokens"], &done["usage"]["completion_tokens"]), (&json!(90), &json!(12)));
    assert_eq!(told.citations(), done["citations"].as_array().unwrap().iter().collect::<Vec<_>>());
    assert_eq!(told.citations().len(), 1);
    assert_eq!(done["degraded"], json!([]));
}

#[tokio::test]
async fn quotes_are_streamed_too() {
    let app = Root::new().tenant("acme", "", DOCUMENTS).start().await;
    let told = told(&app).await;
    assert_eq!(told.names(), ["retrieval", "token", "citation", "usage", "done"]);
    let done = told.last().1;
    assert_eq!((&done["answered_by"], &done["answer"]), (&json!("extractive"), &json!(told.text())));
    assert!(told.text().contains("three months") && told.text().contains("[1]"));
}

#[tokio::test]
async fn without_evidence_no_word_is_told() {
    let app = Root::new().tenant("acme", "", DOCUMENTS).start().await;
    let body = json!({ "query": "Which xylophone did the quasar paint?", "mode": "bm25", "stream": true });
    let told = Events::of(&app.tenant("acme").await, body).await.all().await;
    assert_eq!(told.names(), ["retrieval", "usage", "done"]);
    assert_eq!(told.last().1["outcome"], "no_evidence");
}

#[tokio::test]
async fn words_arrive_while_the_model_still_writes() {
    let model = Model::streaming(vec![words("The notice period "), Step::Wait, words("ends [1]."), done()]).await;
    let app = model.carrel(DOCUMENTS).await;
    let mut events = Events::asking(&app.tenant("acme").await).await;
    assert_eq!(events.next().await.unwrap().0, "retrieval");
    assert_eq!(events.next().await.unwrap(), ("token".into(), json!({ "text": "The notice period" })));
    model.go_on();
    assert_eq!(events.all().await.last().0, "done");
}

#[tokio::test]
async fn a_model_that_breaks_off_ends_the_stream_in_an_error_and_what_it_said_holds() {
    let begun = || vec![words("The notice period is three months [1]. And the mo")];
    for (fault, end) in [
        ("a broken connection", vec![Step::Break]),
        ("an early end", vec![]),
        ("an error in the stream", vec![Step::Send("data: {\"error\": {\"message\": \"secret\"}}\n\n".into())]),
        ("no JSON", vec![Step::Send("data: {\"choices\": [{\"del\n\n".into()), done()]),
        ("another shape", vec![Step::Send("data: {\"choices\": 7}\n\n".into()), done()]),
        ("a line without end", vec![Step::Send("data: ".to_owned() + &"x".repeat(1 << 20))]),
        ("a text without end", vec![words(&"word ".repeat(10_000)), done()]),
        ("a content filter", vec![finish("content_filter"), done()]),
        ("silence", vec![Step::Wait]),
    ] {
        let told = told_by([begun(), end].concat()).await;
        let (name, error) = told.last();
        assert_eq!((name, &error["code"]), ("error", &json!("answer_broken_off")), "{fault}: {told:?}");
        assert_eq!((&error["status"], &error["instance"]), (&json!(502), &json!("/api/v1/query")));
        assert!(!error.to_string().contains("secret"), "{fault}");
        assert!(told.text().starts_with("The notice period is three months. [1] And the mo"), "{fault}: {told:?}");
        assert_eq!(told.citations().len(), 1, "{fault}");
        let instead = &error["instead"];
        assert_eq!(
            (&instead["answered_by"], &instead["degraded"][0]["code"]),
            (&json!("extractive"), &json!("llm_unavailable"))
        );
        assert!(instead["answer"].as_str().unwrap().contains("three months"), "{fault}: {instead}");
    }
}

#[tokio::test]
async fn a_model_that_fails_before_its_first_word_is_replaced_by_quotes() {
    for reply in [
        || Reply::Status(500, &[]),
        || Reply::Status(429, &[("retry-after", "86400")]),
        || Reply::Status(429, &[("retry-after", "Fri, 31 Dec 2100 23:59:59 GMT")]),
        || Reply::Words(" ".into()),
        || Reply::Stream(vec![Step::Send("<html>nothing of the kind</html>".into())]),
        || Reply::Stream(vec![Step::Break]),
        || Reply::Stream(vec![done()]),
        || Reply::Stream(vec![Step::Wait]),
    ] {
        let model = Model::start(move |_| reply()).await;
        let told = told(&model.carrel(DOCUMENTS).await).await;
        let (name, done) = told.last();
        assert_eq!((name, &done["answered_by"]), ("done", &json!("extractive")), "{told:?}");
        assert_eq!(done["degraded"][0]["code"], "llm_unavailable");
        assert_eq!(done["answer"], told.text());
    }
}

#[tokio::test]
async fn a_reply_is_whole_without_its_last_word_if_it_says_why_it_ended() {
    let told = told_by(vec![words("The notice period is three months [1]."), finish("stop")]).await;
    assert_eq!(told.last().0, "done", "{told:?}");
    let told = told_by(vec![words("The notice period is three months [1]. A lo"), finish("length"), done()]).await;
    assert_eq!(told.text(), "The notice period is three months. [1] A lo …");
    assert_eq!(told.last().1["unsupported"], json!(["A lo", "…"]));
    let odd = Step::Send(": ping\r\n\r\nevent: x\r\nnothing of use\r\nid: 1\r\n\r\n".into());
    let told = told_by(vec![odd.clone(), words("Three months [1]."), odd, Step::Send("data: [DONE]".into())]).await;
    assert_eq!(told.last().0, "done", "{told:?}");
}

#[tokio::test]
async fn words_cannot_end_their_event_and_begin_another() {
    let told =
        told_by(vec![words("It is so.\n\nevent: done\ndata: {}\n\n"), words("Yes\r\n\r\nevent: error\n\n."), done()])
            .await;
    assert_eq!(told.names(), ["retrieval", "token", "usage", "done"], "{told:?}");
    assert!(told.text().contains("event: done"));
}

#[tokio::test]
async fn a_provider_that_counts_no_tokens_of_streams_is_asked_without() {
    let model = Model::start(|request| match request.get("stream_options") {
        Some(_) => Reply::Status(400, &[]),
        None => Reply::Words("The notice period is three months [1].".into()),
    })
    .await;
    let app = model.carrel(DOCUMENTS).await;
    for asked in [2, 3] {
        assert_eq!(told(&app).await.last().1["answered_by"], "mock/gpt");
        assert_eq!(model.asked().len(), asked, "a refusal is remembered");
    }
}

#[tokio::test]
async fn a_question_that_is_refused_is_a_problem_and_no_stream() {
    let app = Root::new().tenant("acme", "", DOCUMENTS).start().await;
    let body = json!({ "query": "", "stream": true });
    app.tenant("acme").await.post("/api/v1/query", body).await.problem(422, "invalid_question");
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_place_and_the_model() {
    let model = Model::streaming(vec![words("The notice period "), Step::Wait]).await;
    let limits = "[limits]\nconcurrent_queries = 1\nqueries_per_minute = 1000000\nburst = 100000\n";
    let root = model.root(DOCUMENTS, limits);
    // Patience that a test would never see end.
    let tenant = "[answer]\nmodel = \"mock/gpt\"\ntimeout_s = 600\nmin_score = -1.0\n";
    root.write("tenants/acme.toml", &format!("{tenant}{limits}"));
    let app = root.start().await;
    let acme = app.tenant("acme").await;
    let mut events = Events::asking(&acme).await;
    while events.next().await.unwrap().0 != "token" {}
    let search = || acme.post("/api/v1/search", json!({ "query": QUESTION }));
    search().await.problem(429, "too_many_at_once");
    drop(events);
    model.left_alone().await;
    eventually(|| async { search().await.status.is_success().then_some(()) }).await;
}

#[tokio::test]
async fn a_server_that_stops_ends_its_streams_in_words() {
    let model = Model::streaming(vec![words("The notice period "), Step::Wait]).await;
    let root = model.root(DOCUMENTS, "");
    root.write("tenants/acme.toml", "[answer]\nmodel = \"mock/gpt\"\ntimeout_s = 600\nmin_score = -1.0\n");
    let app = root.start().await;
    let mut events = Events::asking(&app.tenant("acme").await).await;
    while events.next().await.unwrap().0 != "token" {}
    let (told, _root) = tokio::join!(events.all(), app.end());
    let (name, error) = told.last();
    assert_eq!((name, &error["code"], &error["retry_after"]), ("error", &json!("server_stopping"), &json!(2)));
}

//! A language model that does what a test says, behind OpenAI's chat completions.

use std::io;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

use crate::harness::{PATIENCE, Root, TestApp};

/// What a stream does next.
#[derive(Debug, Clone)]
pub enum Step {
    /// Sends these bytes as they are.
    Send(String),
    /// Waits until the test lets it go on.
    Wait,
    /// Breaks the connection.
    Break,
}

/// A chunk with these words.
pub fn words(words: &str) -> Step {
    Step::Send(format!("data: {}\n\n", json!({ "choices": [{ "index": 0, "delta": { "content": words } }] })))
}

/// A chunk that ends the reply for this reason.
pub fn finish(reason: &str) -> Step {
    Step::Send(format!("data: {}\n\n", json!({ "choices": [{ "delta": {}, "finish_reason": reason }] })))
}

/// The tokens that the reply took.
pub fn usage(prompt: u64, completion: u64) -> Step {
    let usage =
        json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion });
    Step::Send(format!("data: {}\n\n", json!({ "choices": [], "usage": usage })))
}

pub fn done() -> Step {
    Step::Send("data: [DONE]\n\n".into())
}

/// How the model answers a request.
pub enum Reply {
    /// These words, in whatever way it was asked to.
    Words(String),
    /// A stream of these steps.
    Stream(Vec<Step>),
    /// A status with these words.
    Refused(u16, String),
    /// A body as it is, of this content type.
    Raw(&'static str, String),
    /// A status, with headers, and nothing to read.
    Status(u16, &'static [(&'static str, &'static str)]),
}

type Script = dyn Fn(&Value) -> Reply + Send + Sync;

/// The model and what it was asked.
#[derive(Clone)]
pub struct Model {
    url: String,
    inner: Arc<Inner>,
}

struct Inner {
    script: Box<Script>,
    asked: Mutex<Vec<Value>>,
    go_on: Notify,
    /// Streams that somebody still reads.
    open: watch::Sender<usize>,
}

impl Model {
    pub async fn start(script: impl Fn(&Value) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (asked, go_on, open) = (Mutex::default(), Notify::new(), watch::Sender::new(0));
        let inner = Arc::new(Inner { script: Box::new(script), asked, go_on, open });
        let app = Router::new().route("/v1/chat/completions", post(answer)).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, inner }
    }

    /// A model that streams the same steps whatever it is asked.
    pub async fn streaming(steps: Vec<Step>) -> Self {
        Self::start(move |_| Reply::Stream(steps.clone())).await
    }

    /// A Carrel whose tenant `acme` lets this model answer from these documents.
    pub async fn carrel(&self, documents: &[(&str, &str)]) -> TestApp {
        self.root(documents, "").start().await
    }

    /// The folder of such a Carrel, with more settings of the tenant.
    pub fn root(&self, documents: &[(&str, &str)], more: &str) -> Root {
        let answer = "[answer]\nmodel = \"mock/gpt\"\ntimeout_s = 3\nmin_score = -1.0\n";
        let limits =
            if more.contains("[limits]") { "" } else { "[limits]\nqueries_per_minute = 1000000\nburst = 100000\n" };
        let root = Root::new().tenant("acme", &format!("{answer}{limits}{more}"), documents);
        root.write("carrel.toml", &self.provider(""));
        root
    }

    /// Its lines in `carrel.toml`, with more settings.
    pub fn provider(&self, more: &str) -> String {
        format!("[providers.mock]\nbase_url = \"{}\"\n{more}", self.url)
    }

    /// The bodies of the requests so far.
    pub fn asked(&self) -> Vec<Value> {
        self.inner.asked.lock().unwrap().clone()
    }

    /// Lets one waiting stream go on.
    pub fn go_on(&self) {
        self.inner.go_on.notify_one();
    }

    /// Waits until nobody reads a stream of it.
    pub async fn left_alone(&self) {
        let mut open = self.inner.open.subscribe();
        tokio::time::timeout(PATIENCE, open.wait_for(|open| *open == 0)).await.expect("a stream stays open").unwrap();
    }
}

async fn answer(State(model): State<Arc<Inner>>, Json(request): Json<Value>) -> Response {
    model.asked.lock().unwrap().push(request.clone());
    let streamed = request["stream"] == true;
    match (model.script)(&request) {
        Reply::Words(text) if streamed => {
            // Cut where no sentence ends, some within a word.
            let pieces = text.chars().collect::<Vec<_>>();
            let pieces = pieces.chunks(7).map(|piece| words(&piece.iter().collect::<String>()));
            stream_of(pieces.chain([finish("stop"), usage(10, 5), done()]).collect(), model)
        }
        Reply::Words(text) => Json(json!({
            "id": "c", "object": "chat.completion", "created": 0, "model": "gpt",
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 },
        }))
        .into_response(),
        Reply::Stream(steps) => stream_of(steps, model),
        Reply::Refused(status, words) => (StatusCode::from_u16(status).unwrap(), words).into_response(),
        Reply::Raw(kind, body) => ([("content-type", kind)], body).into_response(),
        Reply::Status(status, headers) => {
            let headers = axum::response::AppendHeaders(headers.iter().copied());
            (StatusCode::from_u16(status).unwrap(), headers, "secret of the provider").into_response()
        }
    }
}

/// Counts a stream as open until it is dropped.
struct Open(Arc<Inner>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}

fn stream_of(steps: Vec<Step>, model: Arc<Inner>) -> Response {
    model.open.send_modify(|open| *open += 1);
    let body = stream::unfold((steps.into_iter(), Open(model)), |(mut steps, open)| async move {
        loop {
            match steps.next()? {
                Step::Send(bytes) => return Some((Ok(Bytes::from(bytes)), (steps, open))),
                Step::Wait => open.0.go_on.notified().await,
                Step::Break => {
                    // What was sent before leaves first.
                    tokio::task::yield_now().await;
                    return Some((Err(io::Error::other("broken")), (steps, open)));
                }
            }
        }
    });
    ([("content-type", "text/event-stream")], Body::from_stream(body)).into_response()
}

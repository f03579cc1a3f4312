//! An embedding provider that does what a test says, behind OpenAI's embeddings.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use carrel::embed::{Embedder, HashEmbedder, Purpose};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The provider and what it was asked.
#[derive(Clone)]
pub struct Vectors {
    url: String,
    inner: Arc<Inner>,
}

struct Inner {
    embedder: HashEmbedder,
    down: AtomicBool,
    /// Milliseconds it takes to answer.
    slowness: AtomicU64,
    /// Words of texts it fails at.
    unliked: Mutex<Option<String>>,
    texts: AtomicU64,
}

impl Vectors {
    /// A provider of vectors with `dimension` numbers.
    pub async fn start(dimension: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let embedder = HashEmbedder::new(dimension);
        let inner = Arc::new(Inner {
            embedder,
            down: AtomicBool::new(false),
            slowness: AtomicU64::new(0),
            unliked: Mutex::default(),
            texts: AtomicU64::new(0),
        });
        let routes = Router::new().route("/v1/embeddings", post(embed)).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, inner }
    }

    /// The lines of `carrel.toml` that name it `mock`.
    pub fn settings(&self) -> String {
        format!("[providers.mock]\nbase_url = \"{}\"\ntimeout_s = 2\nmultilingual = true\n", self.url)
    }

    /// Whether it fails from now on.
    pub fn fail(&self, down: bool) {
        self.inner.down.store(down, Ordering::SeqCst);
    }

    /// How long it takes to answer from now on.
    pub fn answer_after(&self, time: Duration) {
        self.inner.slowness.store(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Texts with these words fail from now on; none do after an empty string.
    pub fn fail_at(&self, words: &str) {
        *self.inner.unliked.lock().unwrap() = Some(words.to_owned()).filter(|words| !words.is_empty());
    }

    /// Texts it was asked for so far.
    pub fn texts(&self) -> u64 {
        self.inner.texts.load(Ordering::SeqCst)
    }
}

async fn embed(State(inner): State<Arc<Inner>>, Json(request): Json<Value>) -> Response {
    tokio::time::sleep(Duration::from_millis(inner.slowness.load(Ordering::SeqCst))).await;
    if inner.down.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let texts: Vec<String> =
        request["input"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    let unliked = inner.unliked.lock().unwrap().clone();
    if unliked.is_some_and(|words| texts.iter().any(|text| text.contains(&words))) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    inner.texts.fetch_add(texts.len() as u64, Ordering::SeqCst);
    let vectors = inner.embedder.embed(&texts, Purpose::Passage).await.unwrap().vectors;
    let data: Vec<Value> =
        vectors.iter().enumerate().map(|(index, vector)| json!({ "index": index, "embedding": vector })).collect();
    Json(json!({ "data": data, "usage": { "prompt_tokens": texts.len(), "total_tokens": texts.len() } }))
        .into_response()
}

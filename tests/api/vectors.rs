//! An embedding provider that does what a test says, behind OpenAI's embeddings.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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
    texts: AtomicU64,
}

impl Vectors {
    /// A provider of vectors with `dimension` numbers.
    pub async fn start(dimension: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let embedder = HashEmbedder::new(dimension);
        let inner = Arc::new(Inner { embedder, down: AtomicBool::new(false), texts: AtomicU64::new(0) });
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

    /// Texts it was asked for so far.
    pub fn texts(&self) -> u64 {
        self.inner.texts.load(Ordering::SeqCst)
    }
}

async fn embed(State(inner): State<Arc<Inner>>, Json(request): Json<Value>) -> Response {
    if inner.down.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let texts: Vec<String> =
        request["input"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    inner.texts.fetch_add(texts.len() as u64, Ordering::SeqCst);
    let vectors = inner.embedder.embed(&texts, Purpose::Passage).await.unwrap().vectors;
    let data: Vec<Value> =
        vectors.iter().enumerate().map(|(index, vector)| json!({ "index": index, "embedding": vector })).collect();
    Json(json!({ "data": data, "usage": { "prompt_tokens": texts.len(), "total_tokens": texts.len() } }))
        .into_response()
}

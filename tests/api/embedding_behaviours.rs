//! How embedding providers behave, as a table: what becomes of a document and of a question under each.
//!
//! One Carrel serves a tenant and a provider for each row. A provider behaves well until every tenant stands.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use carrel::config::Config;
use carrel::embed::{Embedder, HashEmbedder, Purpose};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{GENEROUS, Root, TestApp, eventually};

/// What becomes of a document.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// Questions find it.
    Live,
    /// It is not found, through no fault of its own: it is told why, and is not found to be bad.
    Held(&'static str),
    /// It fails for good, since the provider does not take its text.
    Failed(&'static str),
}
use Fate::{Failed, Held, Live};

/// The answer to a request for `texts`, the `number`th of its provider since it behaves so.
type Act = fn(&Value, &[String], usize) -> Answer;

enum Answer {
    /// A body with its status.
    Say(u16, Value),
    /// The same with a body that is no JSON, or not written as JSON would be.
    Text(u16, String),
    /// A status with a header.
    Header(u16, &'static str, &'static str),
    /// A broken connection in the middle of the answer.
    Break,
    /// Nothing, for longer than anybody waits.
    Silence,
}
use Answer::{Break, Header, Say, Silence, Text};

/// Vectors as they should be.
fn vectors(texts: &[String]) -> Vec<Vec<f32>> {
    let embedder = HashEmbedder::new(64);
    let made = futures_util::FutureExt::now_or_never(embedder.embed(texts, Purpose::Passage));
    made.expect("it waits for nothing").unwrap().vectors
}

/// A good answer, each of its entries changed by `change`.
fn with(texts: &[String], change: impl Fn(usize, &mut Value)) -> Answer {
    let mut data: Vec<Value> = Vec::new();
    for (index, vector) in vectors(texts).into_iter().enumerate() {
        let mut entry = json!({ "object": "embedding", "index": index, "embedding": vector });
        change(index, &mut entry);
        data.push(entry);
    }
    Say(200, json!({ "data": data, "usage": { "prompt_tokens": texts.len(), "total_tokens": texts.len() } }))
}

fn good(texts: &[String]) -> Answer {
    with(texts, |_, _| {})
}

/// A good answer with another count of model tokens.
fn counted(texts: &[String], usage: Value) -> Answer {
    let Say(status, mut body) = good(texts) else { unreachable!() };
    body["usage"] = usage;
    Say(status, body)
}

/// A refusal in OpenAI's shape while `refuses`, else a good answer.
fn unless(refuses: bool, texts: &[String], status: u16, message: &str) -> Answer {
    if refuses { Say(status, json!({ "error": { "message": message } })) } else { good(texts) }
}

fn base64(vector: &[f32]) -> String {
    use base64::Engine as _;
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Name, how the provider behaves, what becomes of a document, and the codes in `degraded` of a question.
type Row = (&'static str, Act, Fate, &'static [&'static str]);

const DOWN: &str = "embedder_unavailable";
const WRONG: &str = "embedder_invalid";
const REFUSED: &str = "embedder_refused";

const ROWS: &[Row] = &[
    ("well", |_, texts, _| good(texts), Live, &[]),
    (
        "in reverse",
        |_, texts, _| {
            let Say(status, mut body) = good(texts) else { unreachable!() };
            body["data"].as_array_mut().unwrap().reverse();
            Say(status, body)
        },
        Live,
        &[],
    ),
    ("without indexes", |_, texts, _| with(texts, |_, entry| entry["index"] = Value::Null), Live, &[]),
    ("usage of null", |_, texts, _| counted(texts, Value::Null), Live, &[]),
    ("usage of nulls", |_, texts, _| counted(texts, json!({ "prompt_tokens": null })), Live, &[]),
    ("usage in broken numbers", |_, texts, _| counted(texts, json!({ "prompt_tokens": 7.5 })), Live, &[]),
    ("usage below nothing", |_, texts, _| counted(texts, json!({ "prompt_tokens": -1 })), Live, &[]),
    ("usage of another shape", |_, texts, _| counted(texts, json!(["many"])), Live, &[]),
    (
        "in Base64",
        |_, texts, _| {
            let vectors = vectors(texts);
            with(texts, |at, entry| entry["embedding"] = json!(base64(&vectors[at])))
        },
        Live,
        &[],
    ),
    (
        "at another length than one",
        |_, texts, _| {
            let long: Vec<Vec<f32>> =
                vectors(texts).into_iter().map(|v| v.iter().map(|n| n * 1e20).collect()).collect();
            with(texts, |at, entry| entry["embedding"] = json!(long[at]))
        },
        Live,
        &[],
    ),
    (
        "no encoding_format, as OpenAI says it",
        |request, texts, _| {
            let refused =
                json!({ "error": { "message": "no", "param": "encoding_format", "code": "unsupported_parameter" } });
            if request.get("encoding_format").is_some() { Say(400, refused) } else { good(texts) }
        },
        Live,
        &[],
    ),
    (
        "no encoding_format, as FastAPI says it",
        |request, texts, _| {
            let refused =
                json!({ "detail": [{ "loc": ["body", "encoding_format"], "msg": "extra fields not permitted" }] });
            if request.get("encoding_format").is_some() { Say(422, refused) } else { good(texts) }
        },
        Live,
        &[],
    ),
    (
        "no encoding_format, in plain words",
        |request, texts, _| {
            let refused = "Unrecognized request argument supplied: encoding_format".to_owned();
            if request.get("encoding_format").is_some() { Text(400, refused) } else { good(texts) }
        },
        Live,
        &[],
    ),
    (
        "no encoding_format, with a failure",
        |request, texts, _| {
            let refused = "embed() got an unexpected keyword argument 'encoding_format'".to_owned();
            if request.get("encoding_format").is_some() { Text(500, refused) } else { good(texts) }
        },
        Live,
        &[],
    ),
    (
        "no encoding_format, without a word",
        |request, texts, _| {
            if request.get("encoding_format").is_some() { Text(400, String::new()) } else { good(texts) }
        },
        Live,
        &[],
    ),
    (
        "no list of a single text",
        |request, texts, _| {
            let refused = json!({ "detail": [{ "loc": ["body", "input"], "msg": "Input should be a valid string" }] });
            if request["input"].is_array() { Say(422, refused) } else { good(texts) }
        },
        Live,
        &[],
    ),
    (
        "batches of five, said so",
        |_, texts, _| unless(texts.len() > 5, texts, 400, "batch size is invalid, it should not be larger than 5"),
        Live,
        &[],
    ),
    (
        "batches of three, in other words",
        |_, texts, _| {
            let refused =
                json!({ "error": "batch size 12 > maximum allowed batch size 3", "error_type": "Validation" });
            if texts.len() > 3 { Say(422, refused) } else { good(texts) }
        },
        Live,
        &[],
    ),
    (
        "batches of four, as a validator says it",
        |_, texts, _| {
            let refused =
                json!({ "detail": [{ "type": "too_long", "loc": ["body", "input"], "msg": "at most 4 items" }] });
            if texts.len() > 4 { Say(422, refused) } else { good(texts) }
        },
        Live,
        &[],
    ),
    (
        "batches of one, as a proxy says it",
        |_, texts, _| {
            if texts.len() > 1 {
                Text(413, "<html><title>413 Request Entity Too Large</title></html>".into())
            } else {
                good(texts)
            }
        },
        Live,
        &[],
    ),
    (
        "batches of two, without a word",
        |_, texts, _| {
            if texts.len() > 2 { Text(400, String::new()) } else { good(texts) }
        },
        Live,
        &[],
    ),
    (
        "batches by their tokens",
        |_, texts, _| {
            let tokens: usize = texts.iter().map(|text| text.split(' ').count()).sum();
            unless(tokens > 500, texts, 400, "Requested 900 tokens, max 500 tokens per request")
        },
        Live,
        &[],
    ),
    (
        "batches by their tokens, with a failure",
        |_, texts, _| {
            unless(texts.len() > 3, texts, 500, "input is too large to process. increase the physical batch size")
        },
        Live,
        &[],
    ),
    ("a bad moment", |_, texts, number| unless(number == 0, texts, 503, "loading"), Live, &[]),
    (
        "a rate that is reached for a moment",
        |_, texts, number| {
            if number == 0 { Header(429, "retry-after", "0") } else { good(texts) }
        },
        Live,
        &[],
    ),
    ("one connection that breaks", |_, texts, number| if number == 0 { Break } else { good(texts) }, Live, &[]),
    ("an outage", |_, _, _| Text(503, String::new()), Held(DOWN), &[DOWN]),
    ("a failure with a page", |_, _, _| Text(500, "<html><h1>Oops</h1></html>".into()), Held(DOWN), &[DOWN]),
    ("a rate that is reached for an hour", |_, _, _| Header(429, "retry-after", "3600"), Held(DOWN), &[DOWN]),
    ("another key", |_, _, _| Say(401, json!({ "error": { "message": "Incorrect API key" } })), Held(DOWN), &[DOWN]),
    ("no right", |_, _, _| Text(403, "forbidden".into()), Held(DOWN), &[DOWN]),
    (
        "a key that is refused as a request",
        |_, texts, _| unless(true, texts, 400, "API key not valid."),
        Held(DOWN),
        &[DOWN],
    ),
    ("no such model", |_, _, _| Say(404, json!({ "error": { "message": "model not found" } })), Held(DOWN), &[DOWN]),
    (
        "no such model, refused as a request",
        |_, texts, _| unless(true, texts, 400, "The model `m` does not exist"),
        Held(DOWN),
        &[DOWN],
    ),
    ("no money", |_, _, _| Text(402, "insufficient credits".into()), Held(DOWN), &[DOWN]),
    ("another place", |_, _, _| Header(302, "location", "http://127.0.0.1:1/"), Held(DOWN), &[DOWN]),
    ("silence", |_, _, _| Silence, Held(DOWN), &[DOWN]),
    ("connections that break", |_, _, _| Break, Held(DOWN), &[DOWN]),
    (
        "a vector too few",
        |_, texts, _| {
            let Say(status, mut body) = good(texts) else { unreachable!() };
            body["data"].as_array_mut().unwrap().pop();
            Say(status, body)
        },
        Held(WRONG),
        &[WRONG],
    ),
    (
        "vectors of another length",
        |_, texts, _| {
            with(texts, |_, entry| {
                entry["embedding"].as_array_mut().unwrap().extend([json!(1.0), json!(2.0)]);
            })
        },
        Held(WRONG),
        &[WRONG],
    ),
    (
        "vectors of several lengths",
        |_, texts, _| {
            with(texts, |at, entry| {
                if at == 1 {
                    entry["embedding"].as_array_mut().unwrap().pop();
                }
            })
        },
        Held(WRONG),
        &[],
    ),
    (
        "vectors of zeros",
        |_, texts, _| with(texts, |_, entry| entry["embedding"] = json!(vec![0.0; 64])),
        Held(WRONG),
        &[WRONG],
    ),
    (
        "numbers that are none",
        |_, texts, _| with(texts, |_, entry| entry["embedding"][3] = Value::Null),
        Held(WRONG),
        &[WRONG],
    ),
    (
        "numbers that JSON does not know",
        |_, _, _| Text(200, "{\"data\":[{\"index\":0,\"embedding\":[NaN,1]}]}".into()),
        Held(WRONG),
        &[WRONG],
    ),
    ("empty vectors", |_, texts, _| with(texts, |_, entry| entry["embedding"] = json!([])), Held(WRONG), &[WRONG]),
    ("one index twice", |_, texts, _| with(texts, |_, entry| entry["index"] = json!(0)), Held(WRONG), &[]),
    ("an index out of range", |_, texts, _| with(texts, |_, entry| entry["index"] = json!(99)), Held(WRONG), &[WRONG]),
    ("a page instead of vectors", |_, _, _| Text(200, "<html>Sign in</html>".into()), Held(WRONG), &[WRONG]),
    ("half an answer", |_, _, _| Text(200, "{\"data\":[{\"index\":0,\"embed".into()), Held(WRONG), &[WRONG]),
    ("nothing at all", |_, _, _| Text(200, String::new()), Held(WRONG), &[WRONG]),
    (
        "a text that is not taken",
        |_, texts, _| {
            let bad = texts.iter().any(|text| text.contains("Part 7 "));
            unless(bad, texts, 400, "this text is not allowed: Part 7 speaks of the storehouse and its keeper")
        },
        Failed(REFUSED),
        &[],
    ),
    (
        "a text that is too long",
        |_, texts, _| {
            let long = texts.iter().any(|text| text.split(' ').count() > 60);
            unless(long, texts, 413, "`inputs` must have less than 60 tokens. Given: 100")
        },
        Failed(REFUSED),
        &[],
    ),
    ("no text at all", |_, _, _| Text(400, String::new()), Failed(REFUSED), &[REFUSED]),
];

/// A document of twelve sections, each a chunk of its own.
fn document() -> String {
    let section = |number: usize| {
        let sentence =
            format!("Part {number} speaks of the storehouse and its keeper, who counts the barrels at dusk. ");
        format!("# Section {number}\n\n{}\n\n", sentence.repeat(7))
    };
    (1..=12).map(section).collect()
}

/// The providers of all rows.
#[derive(Default)]
struct Providers {
    misbehave: AtomicBool,
    numbers: Mutex<HashMap<usize, Arc<AtomicUsize>>>,
}

async fn answer(State(providers): State<Arc<Providers>>, Path(row): Path<usize>, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let texts: Vec<String> = match &request["input"] {
        Value::String(text) => vec![text.clone()],
        texts => serde_json::from_value(texts.clone()).unwrap(),
    };
    let answer = if providers.misbehave.load(Ordering::SeqCst) {
        let number = providers.numbers.lock().unwrap().entry(row).or_default().fetch_add(1, Ordering::SeqCst);
        ROWS[row].1(&request, &texts, number)
    } else {
        good(&texts)
    };
    match answer {
        Say(status, body) => (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response(),
        Text(status, body) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Header(status, name, value) => (StatusCode::from_u16(status).unwrap(), [(name, value)]).into_response(),
        Break => {
            let broken = futures_util::stream::iter([Ok(Bytes::from("{")), Err(std::io::Error::other("broken"))]);
            Body::from_stream(broken).into_response()
        }
        Silence => std::future::pending().await,
    }
}

fn tenant(row: usize) -> String {
    format!("row-{row}")
}

/// A Carrel with a tenant and a provider for each row.
async fn carrel(providers: &Arc<Providers>) -> TestApp {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().route("/{row}/embeddings", post(answer)).with_state(providers.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let mut root = Root::new();
    let provider = |row: usize| format!("[providers.p{row}]\nbase_url = \"http://{address}/{row}\"\ntimeout_s = 2\n");
    for row in 0..ROWS.len() {
        let retrieval = format!("{GENEROUS}[retrieval]\nembedder = \"p{row}/m\"\n[chunking]\nmax_tokens = 160\n");
        root = root.tenant(&tenant(row), &retrieval, &[]);
    }
    root.write("carrel.toml", &(0..ROWS.len()).map(provider).collect::<String>());
    root.start_with(|config: &mut Config| config.builds.concurrent = 8, carrel::actors::Faults::default()).await
}

/// What became of a row's document and question, if that is something else than it should.
async fn judged(app: &TestApp, row: usize) -> Option<String> {
    let (name, _, fate, degraded) = ROWS[row];
    let caller = app.tenant(&tenant(row)).await;
    let job = caller.send_file("store.md", document()).await.ok()["job_id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/jobs/{job}");
    let job = eventually(|| async {
        let job = caller.get(&path).await.ok();
        let ended = !matches!(job["state"].as_str(), Some("queued" | "running"));
        (ended || job["error"]["code"].is_string()).then_some(job)
    })
    .await;
    let question = format!("Who counts the barrels of row {row}?");
    let reply = caller.ask(&question).await;
    let codes: Vec<&str> =
        reply.body["degraded"].as_array().into_iter().flatten().filter_map(|reason| reason["code"].as_str()).collect();
    let (state, code) = (job["state"].as_str().unwrap(), job["error"]["code"].as_str());
    let message = job["error"]["message"].as_str().unwrap_or_default();
    let right = match fate {
        Live => state == "done" && code.is_none(),
        Held(expected) => state != "done" && code == Some(expected),
        Failed(expected) => state == "failed" && code == Some(expected) && !message.contains("storehouse"),
    };
    let named = name != "a text that is too long" || message.contains("chunking.max_tokens");
    let well = right && named && reply.status.is_success() && codes == degraded && !reply.text.contains("it says");
    (!well).then(|| {
        format!("{name}: wanted {fate:?} {degraded:?}, got {state} {code:?} ({message}) {codes:?} {}", reply.status)
    })
}

#[tokio::test]
async fn every_behaviour_of_a_provider_has_its_right_outcome() {
    assert!(ROWS.len() >= 40);
    let providers = Arc::new(Providers::default());
    let app = carrel(&providers).await;
    providers.misbehave.store(true, Ordering::SeqCst);
    let judged = join_all((0..ROWS.len()).map(|row| judged(&app, row))).await;
    let wrong: Vec<String> = judged.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), ROWS.len(), wrong.join("\n"));
}

//! A hundred ways in which chat models and their servers behave, each asked for waited and streamed: what a reader gets is
//! the same, and right.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::harness::Caller;
use crate::model::{Model, Reply};

const GATE: &str = "# Gate\n\nThe gate opens at six in the morning. The gate closes at ten in the evening. Visitors ring the bell. \
    A lost key costs 25 euros. Bicycles are not covered.\n";
const DESK: &str =
    "# Desk\n\nMaria Okafor leads the desk. The seal HX-4801-B weighs 1,000 g. Work began on 15 May 2021.\n";
const DOCUMENTS: &[(&str, &str)] = &[("gate.md", GATE), ("desk.md", DESK)];
const QUESTION: &str = "When does the gate open?";

const OPENS: &str = "The gate opens at six in the morning.";
const CLOSES: &str = "The gate closes at ten in the evening.";
const BELL: &str = "Visitors ring the bell.";
const KEY: &str = "A lost key costs 25 euros.";
const BICYCLES: &str = "Bicycles are not covered.";
const LEADS: &str = "Maria Okafor leads the desk.";
const SEAL: &str = "The seal HX-4801-B weighs 1,000 g.";
const BEGAN: &str = "Work began on 15 May 2021.";

/// What the model's server sends.
enum Sent {
    /// These words, in whatever way it was asked to.
    Words(String),
    /// This message for this reason with these counts, in whatever way it was asked to.
    Message(Value, Value, Value),
    /// This body, whether a stream was asked for or not.
    Body(&'static str, String),
}

/// What a reader gets.
enum Right {
    /// This answer, with these quotes and these sentences told as unsupported.
    Says(&'static str, &'static [&'static str], &'static [&'static str]),
    /// The same, and the citations are marked as translated.
    Translates(&'static str, &'static [&'static str]),
    /// Quotes of the documents, since the model is of no use.
    Quotes,
}

type Row = (&'static str, Sent, Right);

fn words(name: &'static str, words: &str, right: Right) -> Row {
    (name, Sent::Words(words.to_owned()), right)
}

/// A row whose answer is the first sentence with its proof.
fn good(name: &'static str, sent: Sent) -> Row {
    (name, sent, Right::Says("The gate opens at six in the morning. [1]", &[OPENS], &[]))
}

fn said(name: &'static str, text: &str) -> Row {
    good(name, Sent::Words(text.to_owned()))
}

fn message(name: &'static str, message: Value, finish: Value, usage: Value) -> Row {
    good(name, Sent::Message(message, finish, usage))
}

fn body(name: &'static str, kind: &'static str, body: String) -> Row {
    good(name, Sent::Body(kind, body))
}

fn markers() -> Vec<Row> {
    vec![
        said("a marker", "The gate opens at six in the morning [1]."),
        said("a marker behind the full stop", "The gate opens at six in the morning. [1]"),
        said("a marker ahead", "[1] The gate opens at six in the morning."),
        said("a marker twice", "The gate opens at six in the morning [1][1]."),
        said("a list of markers", "The gate opens at six in the morning [1, 1]."),
        said("lenticular brackets", "The gate opens at six in the morning 【1】."),
        said("a dagger", "The gate opens at six in the morning【1†source】."),
        said("a place and a file", "The gate opens at six in the morning 【1:0†gate.md】."),
        said("a footnote", "The gate opens at six in the morning[^1]."),
        said("full-width brackets", "The gate opens at six in the morning ［1］."),
        said("spaces within", "The gate opens at six in the morning [ 1 ]."),
        said("a source", "The gate opens at six in the morning [Source 1]."),
        said("a source with a colon", "The gate opens at six in the morning [source: 1]."),
        said("a passage in parentheses", "The gate opens at six in the morning (Passage 1)."),
        said("a document", "The gate opens at six in the morning [Document 1]."),
        said("a file in brackets", "The gate opens at six in the morning [gate.md]."),
        said("a file in parentheses", "The gate opens at six in the morning (gate.md)."),
        said("a reference to a marker", "The gate opens at six in the morning (see [1])."),
        said("a raised digit", "The gate opens at six in the morning¹."),
        said("a raised tag", "The gate opens at six in the morning<sup>1</sup>."),
        said("a cite tag", "The gate opens at six in the morning <cite>1</cite>."),
        said("escaped brackets", "The gate opens at six in the morning \\[1\\]."),
        said("double brackets", "The gate opens at six in the morning [[1]]."),
        said("a linked marker", "The gate opens at six in the morning [1](https://evil.example)."),
        said("a number in parentheses", "The gate opens at six in the morning (1)."),
        said("no marker", "The gate opens at six in the morning."),
        said("a list of sources", "The gate opens at six in the morning [1].\n\nSources:\n[1] gate.md"),
        said("footnotes", "The gate opens at six in the morning[^1].\n\n[^1]: gate.md"),
        words(
            "markers ahead of each sentence",
            "[1] The gate opens at six in the morning. [1] Visitors ring the bell.",
            Right::Says("The gate opens at six in the morning. [1] Visitors ring the bell. [2]", &[OPENS, BELL], &[]),
        ),
        words(
            "numbers of the text's own",
            "Steps: (1) Visitors ring the bell [1].",
            Right::Says("Steps: (1) Visitors ring the bell. [1]", &[BELL], &[]),
        ),
        words(
            "intervals and code",
            "Visitors ring the bell in [0, 1] or `a[1]` [1].",
            Right::Says(
                "Visitors ring the bell in [0, 1] or a(1).",
                &[],
                &["Visitors ring the bell in [0, 1] or a(1)."],
            ),
        ),
        words("a marker of nothing", "Rhinos fly [9].", Right::Says("Rhinos fly.", &[], &["Rhinos fly."])),
    ]
}

fn thoughts() -> Vec<Row> {
    vec![
        said("thoughts", "<think>I look.</think>\n\nThe gate opens at six in the morning [1]."),
        said("thinking", "<thinking>I look.</thinking>The gate opens at six in the morning [1]."),
        said("capitals", "<THINK>I look.</THINK>\nThe gate opens at six in the morning [1]."),
        said("reasoning", "<reasoning>I look.</reasoning>\nThe gate opens at six in the morning [1]."),
        said("reflection", "<reflection>I look.</reflection>The gate opens at six in the morning [1]."),
        said("triangles", "◁think▷I look.◁/think▷The gate opens at six in the morning [1]."),
        said("brackets", "[THINK]I look.[/THINK]The gate opens at six in the morning [1]."),
        said("seed", "<seed:think>I look.</seed:think>The gate opens at six in the morning [1]."),
        said(
            "channels",
            "<|channel|>analysis<|message|>I look.<|end|><|start|>assistant<|channel|>final<|message|>The gate opens at six in \
             the morning [1].<|return|>",
        ),
        said("channels without signs", "analysisI look.assistantfinalThe gate opens at six in the morning [1]."),
        said("thoughts of an end", "<think>Not `</think>` yet.</think>The gate opens at six in the morning [1]."),
        said("an answer in tags", "<think>Hm.</think><answer>The gate opens at six in the morning [1].</answer>"),
        said("an end of turn", "The gate opens at six in the morning [1].<|im_end|>"),
        said(
            "an end without a begin",
            "I look at passage 1, it says six.\n</think>\n\nThe gate opens at six in the morning [1].",
        ),
        said(
            "another end without a begin",
            "I look, it says six.\n[/THINK]\nThe gate opens at six in the morning [1].",
        ),
        words("thoughts alone", "<think>I look and look", Right::Quotes),
        message(
            "thoughts in a field",
            json!({ "role": "assistant", "content": "The gate opens at six in the morning [1].", "reasoning_content": "I look." }),
            json!("stop"),
            json!({}),
        ),
    ]
}

fn shapes() -> Vec<Row> {
    let json = "{\"answer\": \"The gate opens at six in the morning.\", \"citations\": [1]}";
    vec![
        said("unasked JSON", json),
        said("fenced JSON", &format!("```json\n{json}\n```")),
        said(
            "JSON with sentences",
            "{\"sentences\": [{\"text\": \"The gate opens at six in the morning.\", \"sources\": [1]}]}",
        ),
        words(
            "JSON that is no answer",
            "{\"port\": 8080}",
            Right::Says("{\"port\": 8080}", &[], &["{\"port\": 8080}"]),
        ),
    ]
}

/// A message that says the first sentence.
fn plain() -> Value {
    json!({ "role": "assistant", "content": "The gate opens at six in the morning [1]." })
}

fn counts() -> Vec<Row> {
    let counted = |name, usage| message(name, plain(), json!("stop"), usage);
    let ended = |name, finish| message(name, plain(), finish, json!({ "prompt_tokens": 9, "completion_tokens": 4 }));
    vec![
        counted("no counts", Value::Null),
        counted("null counts", json!({ "prompt_tokens": null, "completion_tokens": null })),
        counted("counts as floats", json!({ "prompt_tokens": 9.0, "completion_tokens": 4.5 })),
        counted("counts as text", json!({ "prompt_tokens": "9", "completion_tokens": "many" })),
        counted("negative counts", json!({ "prompt_tokens": -1, "completion_tokens": -1 })),
        counted("nested counts", json!({ "prompt_tokens": { "text": 9 }, "completion_tokens_details": null })),
        counted("counts as a list", json!([9, 4])),
        counted("huge counts", json!({ "prompt_tokens": 1e300, "completion_tokens": 18_446_744_073_709_551_615_u64 })),
        ended("no reason for the end", Value::Null),
        ended("an odd reason", json!("eos_token")),
        ended("a reason that is a number", json!(7)),
        message(
            "content in parts",
            json!({ "content": [{ "type": "text", "text": "The gate opens at six" }, { "type": "text", "text": " in the morning [1]." }] }),
            json!("stop"),
            json!({}),
        ),
        message(
            "content with thoughts as a part",
            json!({ "content": [{ "type": "thinking", "thinking": "I look." }, { "type": "text", "text": "The gate opens at six in the morning [1]." }] }),
            json!("stop"),
            json!({}),
        ),
        message(
            "a refusal that is null",
            json!({ "content": "The gate opens at six in the morning [1].", "refusal": null, "tool_calls": [] }),
            json!("stop"),
            json!({}),
        ),
        (
            "a refusal",
            Sent::Message(json!({ "content": null, "refusal": "I cannot." }), json!("stop"), json!({})),
            Right::Quotes,
        ),
        ("no content", Sent::Message(json!({ "content": null }), json!("stop"), json!({})), Right::Quotes),
        (
            "a content filter",
            Sent::Message(json!({ "content": "" }), json!("content_filter"), json!({})),
            Right::Quotes,
        ),
    ]
}

fn transport() -> Vec<Row> {
    const JSON: &str = "application/json";
    const EVENTS: &str = "text/event-stream";
    let whole = || json!({ "choices": [{ "message": plain(), "finish_reason": "stop" }] });
    let chunk = |words: &str| json!({ "choices": [{ "delta": { "content": words } }] }).to_string();
    let end = json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] }).to_string();
    let two = || [chunk("The gate opens at six"), chunk(" in the morning [1].")];
    let events = |lines: &[String]| lines.iter().fold(String::new(), |all, line| all + "data: " + line + "\n\n");
    let [first, second] = two();
    vec![
        body("one reply whatever was asked", JSON, whole().to_string()),
        body("one reply over many lines", JSON, serde_json::to_string_pretty(&whole()).unwrap()),
        body("one reply behind a byte order mark", JSON, format!("\u{feff}{}", whole())),
        body("one reply in a list", JSON, json!([whole()]).to_string()),
        body("a null error", JSON, json!({ "error": null, "choices": [{ "message": plain() }] }).to_string()),
        body(
            "a stream whatever was asked",
            EVENTS,
            events(&[first.clone(), second.clone(), end.clone(), "[DONE]".into()]),
        ),
        body("a stream without its last word", EVENTS, events(&[first.clone(), second.clone(), end.clone()])),
        body("a stream without a reason", EVENTS, events(&[first.clone(), second.clone(), "[DONE]".into()])),
        body(
            "a stream of windows lines",
            EVENTS,
            events(&[first.clone(), second.clone(), end.clone(), "[DONE]".into()]).replace('\n', "\r\n"),
        ),
        body(
            "comments and names of events",
            EVENTS,
            format!(
                ": ping\n\nevent: chunk\nid: 1\ndata: {first}\n\n: ping\n\ndata: {second}\n\ndata: {end}\n\ndata: [DONE]\n\n"
            ),
        ),
        body(
            "no space behind the colon",
            EVENTS,
            format!("data:{first}\n\ndata:{second}\n\ndata:{end}\n\ndata:[DONE]\n\n"),
        ),
        body("no line between events", EVENTS, format!("data: {first}\ndata: {second}\ndata: {end}\ndata: [DONE]\n")),
        body("a byte order mark ahead", EVENTS, format!("\u{feff}data: {first}\n\ndata: {second}\n\ndata: {end}\n\n")),
        body("lines of JSON", "application/x-ndjson", format!("{first}\n{second}\n{end}\n")),
        body(
            "chunks of roles and of nothing",
            EVENTS,
            events(&[
                json!({ "choices": [{ "delta": { "role": "assistant", "content": null } }] }).to_string(),
                json!({ "choices": [] }).to_string(),
                first.clone(),
                second.clone(),
                json!({ "choices": null, "usage": { "prompt_tokens": null } }).to_string(),
                end.clone(),
                json!({ "choices": [], "usage": null }).to_string(),
                "[DONE]".into(),
            ]),
        ),
        (
            "an error of its own",
            Sent::Body(JSON, json!({ "error": { "message": "secret" } }).to_string()),
            Right::Quotes,
        ),
        (
            "an error in a stream",
            Sent::Body(EVENTS, events(&[json!({ "error": "secret" }).to_string()])),
            Right::Quotes,
        ),
        ("a page", Sent::Body("text/html", "<html>secret</html>".into()), Right::Quotes),
        ("nothing", Sent::Body(JSON, String::new()), Right::Quotes),
    ]
}

fn proofs() -> Vec<Row> {
    let wrong = |name, text: &str, told: &'static [&'static str]| words(name, text, Right::Says(told[0], &[], told));
    let right = |name, text: &str, answer: &'static str, quotes: &'static [&'static str]| {
        words(name, text, Right::Says(answer, quotes, &[]))
    };
    vec![
        wrong("a wrong price", "A lost key costs 75 euros [1].", &["A lost key costs 75 euros."]),
        wrong(
            "a wrong hour",
            "The gate opens at nine in the morning [1].",
            &["The gate opens at nine in the morning."],
        ),
        wrong("a wrong half of the day", "The gate opens at 18:00 [1].", &["The gate opens at 18:00."]),
        wrong("a wrong currency", "A lost key costs 25 dollars [1].", &["A lost key costs 25 dollars."]),
        wrong("a sum", "Two lost keys cost 50 euros [1].", &["Two lost keys cost 50 euros."]),
        wrong("a wrong date", "Work began on 15 June 2021 [2].", &["Work began on 15 June 2021."]),
        wrong("a wrong code", "The seal HX-4810-B weighs 1,000 g [2].", &["The seal HX-4810-B weighs 1,000 g."]),
        wrong("a wrong unit", "The seal HX-4801-B weighs 1,000 kg [2].", &["The seal HX-4801-B weighs 1,000 kg."]),
        wrong("a wrong name", "Maria Lund leads the desk [2].", &["Maria Lund leads the desk."]),
        wrong("what is denied", "Bicycles are covered [1].", &["Bicycles are covered."]),
        wrong(
            "what is affirmed",
            "The gate never opens in the morning [1].",
            &["The gate never opens in the morning."],
        ),
        wrong(
            "a wrong price in German",
            "Ein verlorener Schlüssel kostet 75 Euro [1].",
            &["Ein verlorener Schlüssel kostet 75 Euro."],
        ),
        right("other words", "You pay 25 euros for a lost key [1].", "You pay 25 euros for a lost key. [1]", &[KEY]),
        right(
            "a number word",
            "A lost key costs twenty-five euros [1].",
            "A lost key costs twenty-five euros. [1]",
            &[KEY],
        ),
        right("a sign of money", "A lost key costs €25 [1].", "A lost key costs €25. [1]", &[KEY]),
        right("a time in digits", "The gate opens at 6:00 [1].", "The gate opens at 6:00. [1]", &[OPENS]),
        right("a time of twelve hours", "The gate closes at 10 pm [1].", "The gate closes at 10 pm. [1]", &[CLOSES]),
        right("a date in digits", "Work began on 2021-05-15 [2].", "Work began on 2021-05-15. [1]", &[BEGAN]),
        right("another unit", "The seal HX-4801-B weighs 1 kg [2].", "The seal HX-4801-B weighs 1 kg. [1]", &[SEAL]),
        right("a name", "The desk is led by Maria Okafor [2].", "The desk is led by Maria Okafor. [1]", &[LEADS]),
        right("what is denied rightly", "No bicycles are covered [1].", "No bicycles are covered. [1]", &[BICYCLES]),
        right(
            "figures of two sentences",
            "The gate opens at six in the morning and closes at ten in the evening [1].",
            "The gate opens at six in the morning and closes at ten in the evening. [1]",
            &["The gate opens at six in the morning. The gate closes at ten in the evening."],
        ),
        right(
            "figures of two passages",
            "A lost key costs 25 euros and the seal HX-4801-B weighs 1000 g [1][2].",
            "A lost key costs 25 euros and the seal HX-4801-B weighs 1000 g. [1][2]",
            &[KEY, SEAL],
        ),
        right("a list", "1. Visitors ring the bell [1].", "1. Visitors ring the bell. [1]", &[BELL]),
        words(
            "German",
            "Das Tor öffnet um sechs Uhr morgens [1].",
            Right::Translates("Das Tor öffnet um sechs Uhr morgens. [1]", &[OPENS]),
        ),
        words(
            "French",
            "Une clé perdue coûte 25 euros pour le visiteur [1].",
            Right::Translates("Une clé perdue coûte 25 euros pour le visiteur. [1]", &[KEY]),
        ),
        words(
            "Japanese",
            "ゲートは朝6時に開きます [1]。",
            Right::Translates("ゲートは朝6時に開きます。 [1]", &[OPENS]),
        ),
    ]
}

fn table() -> Vec<Row> {
    [markers(), thoughts(), shapes(), counts(), transport(), proofs()].into_iter().flatten().collect()
}

/// What the server of a row replies.
fn reply(sent: &Sent, streamed: bool) -> Reply {
    match sent {
        Sent::Words(text) => Reply::Words(text.clone()),
        Sent::Body(kind, body) => Reply::Raw(kind, body.clone()),
        Sent::Message(message, finish, usage) if streamed => {
            let chunks = [
                json!({ "choices": [{ "index": 0, "delta": message }] }),
                json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": finish }] }),
                json!({ "choices": [], "usage": usage }),
            ];
            let events = chunks.iter().fold(String::new(), |all, chunk| format!("{all}data: {chunk}\n\n"));
            Reply::Raw("text/event-stream", events + "data: [DONE]\n\n")
        }
        Sent::Message(message, finish, usage) => {
            let whole =
                json!({ "choices": [{ "index": 0, "message": message, "finish_reason": finish }], "usage": usage });
            Reply::Raw("application/json", whole.to_string())
        }
    }
}

async fn streamed(caller: &Caller<'_>) -> Value {
    let text = caller.post("/api/v1/query", json!({ "query": QUESTION, "stream": true })).await.text;
    let (_, done) = text.rsplit_once("event: done\ndata: ").unwrap_or_else(|| panic!("{text}"));
    serde_json::from_str(done.trim()).unwrap()
}

/// What is wrong with a reply, if anything.
fn fault(reply: &Value, right: &Right) -> Option<String> {
    let list = |name: &str, field: &str| -> Vec<String> {
        let items = reply[name].as_array().unwrap().iter();
        items
            .map(|item| if field.is_empty() { item } else { &item[field] }.as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let (answer, quotes, unsupported, translated) = match right {
        Right::Says(answer, quotes, unsupported) => (answer, quotes, *unsupported, false),
        Right::Translates(answer, quotes) => (answer, quotes, &[][..], true),
        Right::Quotes => {
            let good = reply["answered_by"] == "extractive" && reply["degraded"][0]["code"] == "llm_unavailable";
            return (!good || reply.to_string().contains("secret")).then(|| format!("no quotes: {reply}"));
        }
    };
    let all = reply["citations"]
        .as_array()
        .unwrap()
        .iter()
        .all(|citation| citation["translated"].as_bool().unwrap_or(false) == translated);
    let told = (reply["answer"].as_str().unwrap(), list("citations", "quote"), list("unsupported", ""));
    let good =
        told.0 == *answer && told.1 == *quotes && told.2 == unsupported && all && reply["answered_by"] == "mock/gpt";
    (!good).then(|| format!("{told:?}, translated as wanted: {all}, degraded: {}", reply["degraded"]))
}

#[tokio::test]
async fn what_models_and_their_servers_do_becomes_what_a_reader_should_get() {
    let rows = Arc::new(table());
    assert!(rows.len() >= 100, "{}", rows.len());
    let row = Arc::new(AtomicUsize::new(0));
    let (table, at) = (rows.clone(), row.clone());
    let model =
        Model::start(move |request| reply(&table[at.load(Ordering::SeqCst)].1, request["stream"] == true)).await;
    let app = model.carrel(DOCUMENTS).await;
    let acme = app.tenant("acme").await;
    let mut wrong = Vec::new();
    for (at, (name, _, right)) in rows.iter().enumerate() {
        row.store(at, Ordering::SeqCst);
        let replies = [("waited for", acme.ask(QUESTION).await.ok()), ("streamed", streamed(&acme).await)];
        wrong
            .extend(replies.iter().filter_map(|(how, reply)| Some(format!("{name}, {how}: {}", fault(reply, right)?))));
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

//! What people really ask, and what really lies in their folders: logs beside notes, letters without marks, compounds, codes
//! as they are typed, signs, pasted mails, copies.
//!
//! The embedder's twin has a vote in every language, and its cosines say little; what words find is asked by words.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::harness::{Caller, Root, TestApp};

/// Asks by words, as the built-in embedder leaves it to them, and holds the answer to `wanted` in its first citation.
async fn quotes(caller: &Caller<'_>, question: &str, wanted: &str) {
    quotes_by(caller, "bm25", question, wanted).await;
}

/// Asks in a mode, waited for and streamed.
async fn quotes_by(caller: &Caller<'_>, mode: &str, question: &str, wanted: &str) {
    let reply = caller.post("/api/v1/query", json!({ "query": question, "mode": mode })).await.ok();
    let quote = reply["citations"][0]["quote"].as_str().unwrap_or_default();
    assert!(reply["outcome"] == "answered" && quote.contains(wanted), "{question}: {reply:#}");
    let streamed = caller.post("/api/v1/query", json!({ "query": question, "mode": mode, "stream": true })).await;
    assert!(streamed.text.contains(wanted), "{question}: {}", streamed.text);
}

async fn refuses(caller: &Caller<'_>, question: &str) {
    let reply = caller.post("/api/v1/query", json!({ "query": question, "mode": "bm25" })).await.ok();
    assert_eq!(reply["outcome"], "no_evidence", "{question}: {reply:#}");
}

async fn serving(documents: &[(&str, &str)]) -> TestApp {
    Root::new().tenant("acme", "", documents).start().await
}

#[tokio::test]
async fn a_log_or_a_table_has_no_language_and_no_say() {
    let mut log = String::new();
    for at in 0..300 {
        writeln!(
            log,
            "2026-03-{:02}T07:11:11Z INFO worker-{} request id={} status=404",
            at % 27 + 1,
            at % 9,
            at * 7919
        )
        .unwrap();
    }
    let records: Vec<Value> =
        (0..200).map(|at| json!({ "id": at, "sku": format!("ZX{at:05}"), "qty": at % 50 })).collect();
    let records = serde_json::to_string(&records).unwrap();
    let app = serving(&[
        (
            "leave.md",
            "# Leave\n\nEvery employee has 28 days of paid time off a year. Unused days lapse at the end of March.",
        ),
        ("app.log", &log),
        ("data.json", &records),
    ])
    .await;
    let operator = app.operator().await;
    let status = operator.get("/api/v1/tenants/acme").await.ok();
    let languages: Vec<(&str, u64)> = status["languages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|share| (share["language"].as_str().unwrap(), share["documents"].as_u64().unwrap()))
        .collect();
    assert_eq!(languages, [("en", 1), ("und", 2)]);
    assert_eq!(status["languages"][0]["prose"], 1.0);
}

#[tokio::test]
async fn letters_without_their_marks_are_answered() {
    let app = serving(&[
        ("pl.md", "# Dostęp\n\nHasło musi mieć dwanaście znaków. Łazienka jest na końcu korytarza."),
        ("cs.md", "# Přístup\n\nÚčet se zamkne po pěti chybách. Výplata přichází desátého."),
        ("de.md", "# Ende\n\nDie Kündigung ist schriftlich. Die Straße ist gesperrt."),
        ("da.md", "# Adgang\n\nNøglen hentes i skranken."),
    ])
    .await;
    let acme = app.tenant("acme").await;
    for (question, wanted) in [
        ("haslo", "Hasło"),
        ("lazienka", "Łazienka"),
        ("ucet", "Účet"),
        ("Kdy prichazi vyplata?", "Výplata"),
        ("Kuendigung", "Kündigung"),
        ("kundigung", "Kündigung"),
        ("Ku\u{308}ndigung", "Kündigung"),
        ("strasse", "Straße"),
        ("noglen", "Nøglen"),
        ("ＨＡＳŁＯ", "Hasło"),
    ] {
        quotes(&acme, question, wanted).await;
    }
}

#[tokio::test]
async fn compounds_and_their_parts_find_each_other() {
    let app = serving(&[
        ("urlaub.md", "# Abwesenheit\n\nJedem stehen 28 Tage Urlaub im Jahr zu."),
        ("ende.md", "# Austritt\n\nDie Frist für die Kündigung beträgt drei Monate."),
        ("miete.md", "# Miete\n\nDie Kaution beträgt zwei Monatsmieten."),
        ("auto.md", "# Fahrzeuge\n\nDie Versicherung der Fahrzeuge läuft über die Zentrale."),
        ("park.md", "# Gelände\n\nDie Parkplatzgebühr beträgt 40 Euro."),
        ("nl.md", "# Afwezigheid\n\nIedereen heeft recht op 25 dagen vakantie per jaar."),
        ("sv.md", "# Ledighet\n\nAlla anställda har rätt till 25 dagar semester om året."),
    ])
    .await;
    let acme = app.tenant("acme").await;
    for (question, wanted) in [
        ("Wie viele Urlaubstage habe ich?", "28 Tage"),
        ("Wie viele days of Urlaub habe ich?", "28 Tage"),
        ("Kündigungsfrist", "drei Monate"),
        ("Wie hoch ist die Mietkaution?", "Kaution"),
        ("Wer kümmert sich um die Fahrzeugversicherung?", "Zentrale"),
        ("Wie hoch ist die Gebühr für den Parkplatz?", "40 Euro"),
        ("Hoeveel vakantiedagen heb ik?", "25 dagen"),
        ("Hur många semesterdagar har jag?", "25 dagar"),
    ] {
        quotes(&acme, question, wanted).await;
    }
    refuses(&acme, "Gehaltserhöhung").await;
}

#[tokio::test]
async fn codes_and_signs_are_found_as_people_type_them() {
    let app = serving(&[
        ("m.md", "# Machines\n\nMachine ZK-310 stands in hall 2. Machine ZK-301 stands in hall 4."),
        ("p.md", "# Pumps\n\nPart number HX-4810-B works at 3 bar."),
        ("i.md", "# Bank\n\nThe account is DE89 3704 0044 0532 0130 00."),
        ("s.md", "# Signs\n\nThe sign ⚠️ means that the belt moves. The sign 🍕 means lunch is served."),
        ("l.md", "# Law\n\n§ 12 covers noise. The tools are written in C++ and in C#."),
        ("v.md", "# Speed\n\nThe spindle turns 4,200 times a minute."),
    ])
    .await;
    let acme = app.tenant("acme").await;
    for (question, wanted) in [
        ("ZK310", "ZK-310"),
        ("zk 310", "ZK-310"),
        ("zk_301", "ZK-301"),
        ("HX4810B", "HX-4810-B"),
        ("hx 4810 b", "HX-4810-B"),
        ("DE89370400440532013000", "DE89 3704"),
        ("What does ⚠️ mean?", "belt"),
        ("🍕", "lunch"),
        ("§ 12", "noise"),
        ("C++", "C++"),
        ("4200", "4,200"),
    ] {
        quotes(&acme, question, wanted).await;
    }
    refuses(&acme, "ZK999").await;
    refuses(&acme, "🚀").await;
}

#[tokio::test]
async fn a_pasted_mail_is_answered_by_what_it_asks_and_copies_take_one_place() {
    let copies: Vec<String> = (0..5).map(|at| format!("copy{at}.txt")).collect();
    let mut documents =
        vec![("keys.md", "# Keys\n\nA lost key costs 25 euros."), ("toner.txt", "The printer takes black toner only.")];
    documents.extend(copies.iter().map(|name| (name.as_str(), "The printer stands on the second floor.")));
    let app = serving(&documents).await;
    let acme = app.tenant("acme").await;
    let story = "We met at the fair in spring and had a long talk about the weather and the new hall of my colleague. "
        .repeat(18);
    let mail = format!("Dear team,\n\n{story}\n\nWhat does a lost key cost?\n\nKind regards\nIlse Marten");
    for mode in ["bm25", "hybrid"] {
        quotes_by(&acme, mode, &mail, "25 euros").await;
    }
    let found = acme.post("/api/v1/search", json!({ "query": "printer", "top_k": 3 })).await.ok();
    let texts: Vec<&str> = found["hits"].as_array().unwrap().iter().map(|hit| hit["text"].as_str().unwrap()).collect();
    assert_eq!(texts.iter().filter(|text| text.contains("second floor")).count(), 1, "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("toner")), "{texts:?}");
    let body = json!({ "query": "printer", "top_k": 3, "document_id": "copy4.txt" });
    let explained = acme.post("/api/v1/explain", body).await.ok();
    assert_eq!(explained["document"]["stage"], "same_text");
}

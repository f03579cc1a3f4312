//! Everyday questions: what stands in a document is answered with the sentence or row that says it, and what stands in none
//! is refused rather than answered from its neighbours.

use serde_json::{Value, json};

use crate::harness::{Root, TestApp};

const PUMP_10: &str = "# Pump PX-10\n\nPart number: HX-4810-B\n\nThe PX-10 pump works at a pressure of 3 bar.\n";
const PUMP_13: &str = "# Pump PX-13\n\nPart number: HX-4801-B\n\nThe PX-13 pump works at a pressure of 5 bar.\n";
const CODES: &str =
    "# Error codes\n\n- E-1024: the motor is too hot.\n- W-1033: the strainer should be cleaned soon.\n";
const PRICES: &str = "item,price\nwidget 1,9.50\nwidget 7,3.20\nwidget 17,7.00\nwidget 70,8.10\n";
const MACHINE: &str = "Machine ZK-130 stands in hall 1. The spindle turns at 5,100 revolutions a minute. It is oiled on Wednesday. \
    The operator is Nadia Petrov.\n";
const PERSON: &str = "Dr. Agnes Falk heads the laboratory. She joined in 2016. Her deputy is Tom Reyes.\n";
const CANTEEN: &str = "# Canteen 2022\n\nFrom January 2022 on a lunch costs 16 crowns.\n";

async fn plant() -> TestApp {
    let documents = [
        ("pump-10.md", PUMP_10),
        ("pump-13.md", PUMP_13),
        ("codes.md", CODES),
        ("prices.csv", PRICES),
        ("m3.txt", MACHINE),
        ("p1.txt", PERSON),
        ("canteen-2022.md", CANTEEN),
    ];
    Root::new().tenant("acme", "", &documents).start().await
}

async fn asked(app: &TestApp, question: &str) -> Value {
    app.tenant("acme").await.ask(question).await.ok()
}

#[tokio::test]
async fn what_stands_in_a_document_is_answered_with_the_sentence_that_says_it() {
    let app = plant().await;
    for (question, says) in [
        ("What is the pressure of HX-4801-B?", "5 bar"),
        ("pressure of px10", "3 bar"),
        ("W-1033", "strainer"),
        ("strainer", "W-1033"),
        ("When is ZK-130 oiled?", "Wednesday"),
        ("Who operates zk130?", "Nadia Petrov"),
        ("Who is the deputy of Agnes Falk?", "Tom Reyes"),
        ("When did Agnes Falk join?", "2016"),
        ("What is the price of widget 7?", "3.20"),
        ("What does a lunch cost in 2022?", "16 crowns"),
        ("What does a lunch cost in '22?", "16 crowns"),
    ] {
        let reply = asked(&app, question).await;
        assert_eq!(reply["outcome"], "answered", "{question}: {reply}");
        assert!(reply["answer"].as_str().unwrap().contains(says), "{question}: {reply}");
        assert_eq!(reply["not_found"], Value::Null, "{question}: {reply}");
    }
}

#[tokio::test]
async fn what_stands_in_no_document_is_refused_and_named() {
    let app = plant().await;
    for (question, missing) in [
        ("What is the pressure of HX-4899-Z?", "HX-4899-Z"),
        ("What is the pressure of PX-99?", "PX-99"),
        ("What does a lunch cost in 2019?", "2019"),
        ("What is the price of widget 8?", "widget 8"),
        ("Who is Gregor Samsa's deputy?", "Gregor Samsa"),
        ("Is there a projector in room 512?", "room 512"),
    ] {
        let reply = asked(&app, question).await;
        assert_eq!((&reply["outcome"], &reply["not_found"]), (&json!("no_evidence"), &json!([missing])), "{question}");
    }
}

#[tokio::test]
async fn a_quote_is_of_no_other_thing_than_the_one_that_was_asked_for() {
    let app = plant().await;
    for (question, documents) in [
        ("What is the pressure of PX-13?", &["pump-13.md"][..]),
        ("PX-10 or PX-13?", &["pump-10.md", "pump-13.md"]),
        ("What is the price of widget 17?", &["prices.csv"]),
    ] {
        let reply = asked(&app, question).await;
        let mut cited: Vec<&str> =
            reply["citations"].as_array().unwrap().iter().map(|one| one["document_id"].as_str().unwrap()).collect();
        cited.sort_unstable();
        cited.dedup();
        assert_eq!(cited, documents, "{question}: {reply}");
    }
    let row = asked(&app, "What is the price of widget 17?").await;
    assert_eq!(row["answer"], "widget 17: 7.00 [1]");
}

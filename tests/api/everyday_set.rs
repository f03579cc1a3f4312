//! Everyday questions over everyday documents in six languages, asked as a user asks them: the set in `tests/everyday/`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::harness::{Root, TestApp};

/// No limit is met by accident; all else is as a new tenant has it.
const SETTINGS: &str = "[limits]\nqueries_per_minute = 1000000\nburst = 100000\n";

/// Names the file that questions which fail are written to, with what was answered.
const FAILING: &str = "CARREL_EVERYDAY_FAILING";

/// Least percentages of right documents, quotes and refusals: a little below what is reached (`tests/everyday/README.md`).
const FLOORS: [f64; 3] = [92.0, 88.0, 91.0];

/// One line of `questions.jsonl`.
#[derive(Debug, Deserialize)]
struct Question {
    id: String,
    tenant: String,
    language: String,
    kind: String,
    #[serde(rename = "question")]
    text: String,
    /// The document that answers; none when the question must be refused.
    document: Option<String>,
    /// Words that the quoted text must hold.
    quote: Vec<String>,
    /// Words that must not be quoted.
    not: Vec<String>,
}

/// What came of one question.
struct Verdict {
    question: Question,
    reply: Value,
}

impl Verdict {
    fn refused(&self) -> bool {
        self.reply["outcome"] == "no_evidence"
    }

    fn citations(&self) -> &[Value] {
        self.reply["citations"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Whether the first citation is of the document that answers.
    fn document_is_right(&self) -> bool {
        let first = self.citations().first();
        first.is_some_and(|citation| citation["document_id"].as_str() == self.question.document.as_deref())
    }

    /// Whether the quoted text holds the words that answer, and none that mislead.
    fn quote_is_right(&self) -> bool {
        let quoted: Vec<&str> = self.citations().iter().filter_map(|citation| citation["quote"].as_str()).collect();
        let quoted = folded(&quoted.join("\n"));
        let holds = |words: &String| quoted.contains(&folded(words));
        !self.refused() && self.question.quote.iter().all(holds) && !self.question.not.iter().any(holds)
    }

    fn is_right(&self) -> bool {
        match self.question.document {
            Some(_) => self.document_is_right() && self.quote_is_right(),
            None => self.refused(),
        }
    }

    /// What was asked, what should have been answered and what was, for a person to read.
    fn told(&self) -> String {
        let Question { id, kind, text, document, quote, not, .. } = &self.question;
        let expected = document.as_deref().unwrap_or("a refusal");
        let mut told = format!("{id} [{kind}] {text}\n  expected {expected} {quote:?} and not {not:?}\n");
        let _ = writeln!(told, "  got {}", self.reply["outcome"]);
        for citation in self.citations() {
            let _ = writeln!(told, "    {}: {}", citation["document_id"], citation["quote"]);
        }
        told
    }
}

/// Lower case and single blanks: a line break within a quote is no difference.
fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// How many of how many.
#[derive(Default, Clone, Copy)]
struct Share {
    right: usize,
    of: usize,
}

impl Share {
    fn count(&mut self, right: bool) {
        self.right += usize::from(right);
        self.of += 1;
    }

    #[expect(clippy::cast_precision_loss, reason = "a few hundred questions")]
    fn percent(self) -> f64 {
        100.0 * self.right as f64 / self.of.max(1) as f64
    }

    fn shown(self) -> String {
        match self.of {
            0 => "–".to_owned(),
            of => format!("{:.1} % ({}/{of})", self.percent(), self.right),
        }
    }
}

#[derive(Default, Clone, Copy)]
struct Shares {
    document: Share,
    quote: Share,
    refusal: Share,
}

impl Shares {
    fn of<'a>(verdicts: impl IntoIterator<Item = &'a Verdict>) -> Self {
        let mut shares = Self::default();
        for verdict in verdicts {
            if verdict.question.document.is_some() {
                shares.document.count(verdict.document_is_right());
                shares.quote.count(verdict.quote_is_right());
            } else {
                shares.refusal.count(verdict.refused());
            }
        }
        shares
    }

    fn row(self, name: &str) -> String {
        let Self { document, quote, refusal } = self;
        format!("| {name} | {} | {} | {} |\n", document.shown(), quote.shown(), refusal.shown())
    }
}

/// A table of the shares: overall, by language, by kind.
fn table(verdicts: &[Verdict]) -> String {
    let mut table =
        "| Questions | Right document first | Right quote | Right refusal |\n| --- | --- | --- | --- |\n".to_owned();
    table += &Shares::of(verdicts).row("all");
    for part in [|one: &Question| one.language.clone(), |one: &Question| one.kind.clone()] {
        let mut parts = BTreeMap::<String, Vec<&Verdict>>::new();
        for verdict in verdicts {
            parts.entry(part(&verdict.question)).or_default().push(verdict);
        }
        for (name, verdicts) in parts {
            table += &Shares::of(verdicts).row(&name);
        }
    }
    table
}

fn set() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/everyday")
}

fn questions() -> Vec<Question> {
    let lines = std::fs::read_to_string(set().join("questions.jsonl")).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A Carrel over the documents of the set, with the built-in embedder and quoted answers.
async fn started(questions: &[Question]) -> TestApp {
    let mut root = Root::new();
    let tenants: BTreeSet<&str> = questions.iter().map(|one| one.tenant.as_str()).collect();
    for tenant in tenants {
        root = root.tenant(tenant, SETTINGS, &[]);
        copy(&set().join("documents").join(tenant), &root.path().join("documents").join(tenant));
    }
    root.start_as_shipped().await
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn asked(questions: Vec<Question>) -> Vec<Verdict> {
    let app = started(&questions).await;
    let mut callers = BTreeMap::new();
    let mut verdicts = Vec::new();
    for question in questions {
        if !callers.contains_key(&question.tenant) {
            callers.insert(question.tenant.clone(), app.tenant(&question.tenant).await);
        }
        let reply = callers[&question.tenant].ask(&question.text).await.ok();
        verdicts.push(Verdict { question, reply });
    }
    verdicts
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the table is what the run is for")]
async fn everyday_questions_get_the_right_document_the_right_quote_or_a_refusal() {
    let verdicts = asked(questions()).await;
    println!("{}", table(&verdicts));
    if let Ok(path) = std::env::var(FAILING) {
        let failing: Vec<String> = verdicts.iter().filter(|one| !one.is_right()).map(Verdict::told).collect();
        std::fs::write(path, failing.join("\n")).unwrap();
    }
    let Shares { document, quote, refusal } = Shares::of(&verdicts);
    let reached = [document, quote, refusal].map(Share::percent);
    assert!(reached.iter().zip(FLOORS).all(|(share, floor)| *share >= floor), "{reached:?} of at least {FLOORS:?}");
}

#[test]
fn each_line_of_the_set_can_be_met() {
    for one in questions() {
        let Some(document) = &one.document else {
            assert!(one.quote.is_empty() && one.not.is_empty(), "{}", one.id);
            continue;
        };
        let text = std::fs::read_to_string(set().join("documents").join(&one.tenant).join(document)).unwrap();
        let text = folded(&text);
        assert!(!one.quote.is_empty(), "{}", one.id);
        for words in one.quote.iter().chain(&one.not) {
            assert!(text.contains(&folded(words)), "{}: {words}", one.id);
        }
    }
}

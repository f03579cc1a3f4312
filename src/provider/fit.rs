//! Requests that fit: a field that a model refuses is left out or written otherwise, tried again, and remembered.
//!
//! Which fields a model refuses stands in no list that would stay true, so the provider's own words decide. What was learnt
//! holds for a model of a provider until the process ends; it depends on no tenant's texts, so tenants share it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::pieces::Pieces;
use super::reason::Reason;
use super::request::{LIMITS, Request};
use super::words::Words;
use super::{CallError, Line, Urgency};

/// Changes that one call tries: more fields than this are in no request that Carrel makes.
const MOST_CHANGES: usize = 8;
/// Fields without which a request asks nothing.
const NEEDED: [&str; 5] = ["model", "messages", "input", "query", "documents"];
/// What servers call a field beside its name, in lower case without blanks and underscores.
const ALIASES: [(&str, &[&str]); 4] = [
    ("stream", &["streaming"]),
    ("stream_options", &["includeusage"]),
    (
        "response_format",
        &["jsonschema", "jsonobject", "jsonmode", "structuredoutput", "structuredoutputs", "guidedjson"],
    ),
    ("encoding_format", &["encoding"]),
];

/// A change to a request that makes a model take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// Leaves a field out.
    LeaveOut(String),
    /// Gives a field another name.
    Rename(&'static str, &'static str),
    /// Calls the system's message the developer's.
    Developer,
    /// Puts the system's message ahead of the user's.
    Fold,
    /// Sends a single text as such, not in a list.
    PlainText,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaveOut(field) => write!(f, "without `{field}`"),
            Self::Rename(from, to) => write!(f, "with `{to}` for `{from}`"),
            Self::Developer => f.write_str("with the role `developer` for `system`"),
            Self::Fold => f.write_str("with the rules in the user's message"),
            Self::PlainText => f.write_str("with one text at a time"),
        }
    }
}

impl Change {
    fn apply(&self, fields: &mut Map<String, Value>) {
        match self {
            Self::LeaveOut(field) => drop(fields.remove(field)),
            Self::Rename(from, to) => {
                if let Some(value) = fields.remove(*from) {
                    fields.insert((*to).to_owned(), value);
                }
            }
            Self::Developer => {
                for message in messages(fields).iter_mut().filter(|message| message["role"] == "system") {
                    message["role"] = json!("developer");
                }
            }
            Self::Fold => fold(messages(fields)),
            Self::PlainText => {
                if let Some([text]) = fields.get("input").and_then(Value::as_array).map(Vec::as_slice) {
                    let text = text.clone();
                    fields.insert("input".to_owned(), text);
                }
            }
        }
    }
}

fn messages(fields: &mut Map<String, Value>) -> &mut Vec<Value> {
    let messages = fields.entry("messages").or_insert_with(|| json!([]));
    if !messages.is_array() {
        *messages = json!([]);
    }
    messages.as_array_mut().expect("it is an array, made so just now where it was none")
}

/// Puts the text of the first message, the rules, ahead of the second's.
fn fold(messages: &mut Vec<Value>) {
    let is_rules = |message: &Value| message["role"] == "system" || message["role"] == "developer";
    if messages.len() < 2 || !is_rules(&messages[0]) {
        return;
    }
    let rules = messages.remove(0);
    let text = |message: &Value| message["content"].as_str().unwrap_or_default().to_owned();
    messages[0]["content"] = json!(format!("{}\n\n{}", text(&rules), text(&messages[0])));
}

/// What is known of the models of a provider, by path and model.
#[derive(Default)]
pub(super) struct Learnt(Mutex<HashMap<(String, String), Vec<Change>>>);

impl Learnt {
    fn of(&self, path: &str, model: &str) -> Vec<Change> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(path.to_owned(), model.to_owned())).cloned().unwrap_or_default()
    }

    /// Remembers the changes with which a model took a request; false when they are known.
    fn note(&self, path: &str, model: &str, changes: &[Change]) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entry((path.to_owned(), model.to_owned())).or_default();
        if changes.iter().all(|change| entry.contains(change)) {
            return false;
        }
        *entry = changes.to_vec();
        true
    }
}

/// A request on its way to one that fits.
struct Fitting<'a> {
    line: &'a Line,
    path: &'a str,
    request: Request,
    changes: Vec<Change>,
    /// What the provider said when it was refused last.
    refused: Option<Reason>,
    begun: Instant,
    timeout: Duration,
}

impl Line {
    /// Asks with `request` as the model takes it and reads the answer, at most `max_bytes` of it. `timeout` is for all that
    /// is tried; see [`Urgency`] for when it begins.
    ///
    /// # Errors
    /// As [`CallError`] says.
    pub async fn ask(
        &self,
        path: &str,
        request: Request,
        urgency: Urgency,
        timeout: Duration,
        max_bytes: usize,
    ) -> Result<Bytes, CallError> {
        let mut fitting = Fitting::new(self, path, request, timeout);
        loop {
            let left = match urgency {
                Urgency::Now => fitting.left(),
                // Its time begins anew with each turn.
                Urgency::Background => timeout,
            };
            match self.post(path, fitting.body()?, urgency, left, max_bytes).await {
                Ok(answer) => {
                    fitting.fits();
                    return Ok(answer);
                }
                Err(error) => fitting.change_or(error)?,
            }
        }
    }

    /// As [`Line::ask`] for somebody who waits, with the answer in pieces.
    ///
    /// # Errors
    /// As [`Line::ask`], until the head of the answer is there.
    pub async fn ask_in_pieces(
        &self,
        path: &str,
        request: Request,
        timeout: Duration,
        max_bytes: usize,
    ) -> Result<Pieces<'_>, CallError> {
        let mut fitting = Fitting::new(self, path, request, timeout);
        loop {
            match self.stream(path, fitting.body()?, fitting.left(), max_bytes).await {
                Ok(pieces) => {
                    fitting.fits();
                    return Ok(pieces);
                }
                Err(error) => fitting.change_or(error)?,
            }
        }
    }

    /// Whether a model is known to refuse a field.
    #[must_use]
    pub fn refuses(&self, path: &str, model: &str, field: &str) -> bool {
        let known = self.provider.learnt.of(path, model);
        known.iter().any(|change| matches!(change, Change::LeaveOut(name) if name == field))
    }
}

impl<'a> Fitting<'a> {
    fn new(line: &'a Line, path: &'a str, request: Request, timeout: Duration) -> Self {
        let changes = line.provider.learnt.of(path, request.model());
        Self { line, path, request, changes, refused: None, begun: Instant::now(), timeout }
    }

    fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.begun.elapsed())
    }

    fn fields(&self) -> Map<String, Value> {
        let mut fields = self.request.fields.clone();
        self.changes.iter().for_each(|change| change.apply(&mut fields));
        fields
    }

    fn body(&self) -> Result<Bytes, CallError> {
        let body = serde_json::to_vec(&self.fields()).map(Bytes::from);
        body.map_err(|_| CallError::Invalid("the request is no JSON".into()))
    }

    /// Remembers what made it fit.
    fn fits(&self) {
        let Some(reason) = &self.refused else { return };
        let (provider, model) = (&self.line.provider, self.request.model());
        if !provider.learnt.note(self.path, model, &self.changes) {
            return;
        }
        let changes = self.changes.iter().map(Change::to_string).collect::<Vec<_>>().join(", ");
        tracing::warn!(
            provider.name,
            model.name = model,
            path = self.path,
            reason = reason.in_full(),
            "{}/{model} refused a request and took it {changes}; so it is asked from now on",
            provider.name
        );
    }

    /// Makes the next change that a refusal suggests, or gives the error back.
    fn change_or(&mut self, error: CallError) -> Result<(), CallError> {
        let CallError::Refused(reason) = &error else { return Err(error) };
        let known = self.line.provider.learnt.of(self.path, self.request.model()).len();
        let change = (self.changes.len() < known + MOST_CHANGES).then(|| self.next(reason.words())).flatten();
        let Some(change) = change else { return Err(error) };
        self.refused = Some(reason.clone());
        self.changes.push(change);
        Ok(())
    }

    /// The change that a refusal suggests: of the field that it names, of the roles, and where it helps nobody of the
    /// fields that most servers do not know.
    fn next(&self, words: Option<&Words>) -> Option<Change> {
        let fields = self.fields();
        let named = words.and_then(|words| named(words, &fields)).map(|field| self.remedy(&field));
        let roles = || words.filter(|words| is_about_roles(words)).and_then(|words| other_role(words, &fields));
        let plain = || plain_text(words, &fields);
        let unsure = || self.request.unsure.iter().find(|field| fields.contains_key(**field));
        named.or_else(roles).or_else(plain).or_else(|| unsure().map(|field| Change::LeaveOut((*field).to_owned())))
    }

    /// A limit has two names; everything else is left out.
    fn remedy(&self, field: &str) -> Change {
        let [old, new] = LIMITS;
        let renamed = self.changes.iter().any(|change| matches!(change, Change::Rename(..)));
        match field {
            _ if renamed => Change::LeaveOut(field.to_owned()),
            "max_tokens" => Change::Rename(old, new),
            "max_completion_tokens" => Change::Rename(new, old),
            field => Change::LeaveOut(field.to_owned()),
        }
    }
}

/// Templates of models know no developer; services that know one say how they call the roles.
fn other_role(words: &Words, fields: &Map<String, Value>) -> Option<Change> {
    let said = words.text().to_lowercase();
    let role = fields.get("messages")?.get(0)?.get("role")?.as_str()?;
    match role {
        "system" if said.contains("'system'") || said.contains("\"system\"") || said.contains("developer") => {
            let named_wrong = said.contains("developer instruction") || said.contains("'developer' is not");
            Some(if named_wrong { Change::Fold } else { Change::Developer })
        }
        "system" | "developer" => Some(Change::Fold),
        _ => None,
    }
}

/// A single text, where a list of texts is refused.
fn plain_text(words: Option<&Words>, fields: &Map<String, Value>) -> Option<Change> {
    let wants = words.is_some_and(|words| {
        let said = words.text().to_lowercase();
        said.contains("string") && (said.contains("input") || names(words, "input"))
    });
    let single = fields.get("input").and_then(Value::as_array).is_some_and(|texts| texts.len() == 1);
    (wants && single).then_some(Change::PlainText)
}

/// The field of a request that a refusal names: the one in its place for it, else the first in its words.
fn named(words: &Words, fields: &Map<String, Value>) -> Option<String> {
    let known = || fields.keys().filter(|field| !NEEDED.contains(&field.as_str()));
    if let Some(field) = known().find(|field| names(words, field)) {
        return Some(field.clone());
    }
    let tokens = tokens(words.text());
    for at in 0..tokens.len() {
        // A name may be written in several words, and the longest is meant: `stream options` is not `stream`.
        for length in (1..=3).rev().filter(|length| at + length <= tokens.len()) {
            let written = tokens[at..at + length].concat();
            if let Some(field) = known().find(|field| is_called(field, &written)) {
                return Some(field.clone());
            }
        }
    }
    None
}

/// Whether a refusal has `field` in its place for a wrong field.
fn names(words: &Words, field: &str) -> bool {
    let steps = |path: &str| path.split(['.', '[', ']', '/']).any(|step| is_called(field, &normal(step)));
    // `messages[0].role` is about messages, whatever else its steps are called.
    words.fields().iter().any(|path| steps(path) && (field == "messages" || !path.contains("messages")))
}

fn is_called(field: &str, written: &str) -> bool {
    let known = |name: &&(&str, &[&str])| name.0 == field;
    normal(field) == written || ALIASES.iter().find(known).is_some_and(|(_, names)| names.contains(&written))
}

/// The names in a text, as they are compared. Only ASCII makes one, so that a name stands out in any script.
fn tokens(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| !word.is_empty()).map(normal).collect()
}

fn normal(name: &str) -> String {
    name.chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether a refusal is about the roles of messages.
fn is_about_roles(words: &Words) -> bool {
    let said = words.text().to_lowercase();
    let role = words.fields().iter().any(|field| field.contains("messages") && field.contains("role"));
    let about = |what: &str| ["role", "message", "prompt", "instruction", "value"].iter().any(|of| what.contains(of));
    role || said.contains("developer instruction")
        || said.contains("roles must alternate")
        || said.contains("only user and assistant")
        || (said.contains("system") && about(&said))
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;

//! Asking a tenant's documents: the answer with its proofs, the evidence, where the time went, the call to copy.
//!
//! A question is posted, though it changes nothing: addresses stand in logs and histories, and questions do not belong there.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::document::{document_href, quote_href};
use super::error::{AdminError, explain_desk};
use super::request::{AtTenant, Form};
use super::shell::{Section, Shell, page, page_with};
use super::show::{self, Message};
use super::state::AdminState;
use super::steps::{self, Taken};
use super::tenant::{TenantHead, status_of};
use crate::actors::{Ask, DeskError};
use crate::domain::{Answer, Citation, Hit, Mode, Outcome, Question, TenantId};

/// Width of a bar of the timings, in the units of its drawing.
const BAR: f64 = 1000.0;

/// The question box and, once asked, what came of it.
#[derive(Template)]
#[template(path = "admin/ask.html")]
pub struct AskPage {
    /// What surrounds it.
    pub shell: Shell,
    /// The tenant's head.
    pub head: TenantHead,
    /// The form as it was sent.
    pub form: AskForm,
    /// What is wrong with it.
    pub error: Message,
    /// Ways to search.
    pub modes: [ModeChoice; 3],
    /// The longest question, characters.
    pub max_chars: usize,
    /// The most hits.
    pub max_top_k: usize,
    /// The command that asks the same of the API.
    pub curl: String,
    /// What came of it.
    pub reply: Option<Reply>,
}

/// The form as it was sent.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct AskForm {
    /// The question.
    pub query: String,
    /// How to search.
    pub mode: Mode,
    /// Hits wanted.
    pub top_k: u64,
}

/// A way to search.
#[derive(Debug, Clone, Copy)]
pub struct ModeChoice {
    /// Its name on the wire.
    pub value: &'static str,
    /// What it is called.
    pub label: &'static str,
    /// Whether it is chosen.
    pub chosen: bool,
}

/// An answer, ready to show.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The answer's words and markers; empty without evidence.
    pub answer: Vec<AnswerPart>,
    /// `Quoted from the documents`, or the model that wrote it.
    pub answered_by: String,
    /// Proofs by marker.
    pub citations: Vec<CitationCard>,
    /// Sentences that no citation supports.
    pub unsupported: Vec<Message>,
    /// What did not work as set.
    pub degraded: Vec<Message>,
    /// The evidence, best first.
    pub hits: Vec<HitCard>,
    /// Where the time went.
    pub times: Vec<StageTime>,
    /// The whole time.
    pub total: String,
    /// `Generation 12`.
    pub generation: String,
}

/// Words, or a marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerPart {
    /// Words.
    Text(String),
    /// `[n]`, where a citation of that number stands.
    Marker(u32),
}

/// A proof.
#[derive(Debug, Clone)]
pub struct CitationCard {
    /// The `[n]`.
    pub marker: u32,
    /// The document's title.
    pub title: String,
    /// `page 12`; may be empty.
    pub page: String,
    /// What stands there.
    pub quote: String,
    /// The quote in its document.
    pub href: String,
}

/// A piece of evidence.
#[derive(Debug, Clone)]
pub struct HitCard {
    /// 1 for the best.
    pub rank: u32,
    /// The document's title.
    pub title: String,
    /// The document.
    pub href: String,
    /// Headings above it, and its page.
    pub place: String,
    /// The text in pieces; what an answer quotes is marked.
    pub pieces: Vec<Piece>,
    /// `0.0325`.
    pub score: String,
    /// `meaning 2 (0.61) · words 1 (8.4)`.
    pub ranks: String,
}

/// A piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Whether an answer quotes it.
    pub quoted: bool,
}

/// One stage's time.
#[derive(Debug, Clone)]
pub struct StageTime {
    /// The stage.
    pub name: &'static str,
    /// Its bar's length, 1 to 1000.
    pub width: u32,
    /// `3.1 ms`.
    pub text: String,
}

impl AskPage {
    /// The page ahead of an answer; `base_url` is where a program reaches the API.
    pub fn new(shell: Shell, head: TenantHead, form: AskForm, max_chars: usize, base_url: &str) -> Self {
        let modes =
            [("hybrid", "Both", Mode::Hybrid), ("dense", "Meaning", Mode::Dense), ("bm25", "Words", Mode::Bm25)]
                .map(|(value, label, mode)| ModeChoice { value, label, chosen: mode == form.mode });
        let curl = curl(base_url, &form, &modes);
        let (error, max_top_k) = (Message::default(), Question::MAX_TOP_K);
        Self { shell, head, form, error, modes, max_chars, max_top_k, curl, reply: None }
    }

    /// The same page with an answer.
    #[must_use]
    pub fn answered(self, tenant: &TenantId, answer: &Answer) -> Self {
        Self { reply: Some(Reply::new(tenant, answer)), ..self }
    }

    /// The same page with what is wrong.
    #[must_use]
    pub fn refused(self, error: Message) -> Self {
        Self { error, ..self }
    }
}

/// The command that asks the same of the API; the token is the reader's own.
fn curl(base_url: &str, form: &AskForm, modes: &[ModeChoice; 3]) -> String {
    let mode = modes.iter().find(|mode| mode.chosen).map_or("hybrid", |mode| mode.value);
    let query = if form.query.is_empty() { "your question" } else { form.query.as_str() };
    let body = serde_json::json!({ "query": query, "top_k": form.top_k, "mode": mode }).to_string();
    format!(
        "curl -s {base_url}/api/v1/query \\\n  -H \"Authorization: Bearer $CARREL_TOKEN\" \\\n  -H 'Content-Type: application/json' \\\n  -d {}",
        shell_quoted(&body)
    )
}

/// `text` as one word of a POSIX shell: nothing in single quotes means anything but a single quote.
fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

impl Reply {
    fn new(tenant: &TenantId, answer: &Answer) -> Self {
        let total = answer.timings_ms.get("total").copied().unwrap_or_default();
        let answered_by = match answer.answered_by.as_str() {
            "extractive" => "Quoted from the documents".into(),
            model => format!("Written by {}", show::name(model)),
        };
        Self {
            answer: match answer.outcome {
                Outcome::Answered => parts(&answer.answer, &answer.citations),
                Outcome::NoEvidence => Vec::new(),
            },
            answered_by,
            citations: answer.citations.iter().map(|citation| CitationCard::new(tenant, citation)).collect(),
            unsupported: answer.unsupported.iter().map(|sentence| Message::new(sentence)).collect(),
            degraded: answer.degraded.iter().map(|lost| Message::new(&lost.message)).collect(),
            hits: answer.hits.iter().map(|hit| HitCard::new(tenant, hit, &answer.citations)).collect(),
            times: times(&answer.timings_ms, total),
            total: milliseconds(total),
            generation: format!("Generation {}", show::count(answer.index.generation)),
        }
    }
}

/// An answer cut at its markers; a marker without a citation stays text.
fn parts(answer: &str, citations: &[Citation]) -> Vec<AnswerPart> {
    let cited = |number: u32| citations.iter().any(|citation| citation.marker == number);
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = answer;
    while let Some(open) = rest.find('[') {
        let (ahead, from) = rest.split_at(open);
        text.push_str(ahead);
        let marker = from[1..].split_once(']').and_then(|(number, behind)| Some((number.parse().ok()?, behind)));
        let Some((number, behind)) = marker.filter(|(number, _)| cited(*number)) else {
            text.push('[');
            rest = &from[1..];
            continue;
        };
        if !text.is_empty() {
            parts.push(AnswerPart::Text(std::mem::take(&mut text)));
        }
        parts.push(AnswerPart::Marker(number));
        rest = behind;
    }
    text.push_str(rest);
    if !text.is_empty() {
        parts.push(AnswerPart::Text(text));
    }
    parts
}

impl CitationCard {
    fn new(tenant: &TenantId, citation: &Citation) -> Self {
        Self {
            marker: citation.marker,
            title: show::name(&citation.title),
            page: page_words(citation.page),
            quote: citation.quote.clone(),
            href: quote_href(tenant, &citation.document_id, citation.start, citation.end),
        }
    }
}

fn page_words(page: Option<u32>) -> String {
    page.map(|page| format!("page {page}")).unwrap_or_default()
}

impl HitCard {
    fn new(tenant: &TenantId, hit: &Hit, citations: &[Citation]) -> Self {
        let place = [show::name(&hit.heading), page_words(hit.page)];
        let place: Vec<_> = place.into_iter().filter(|part| !part.is_empty()).collect();
        let ranks = [("meaning", hit.dense), ("words", hit.bm25)];
        let ranks = ranks.into_iter().filter_map(|(name, found)| Some((name, found?)));
        let ranks: Vec<_> = ranks.map(|(name, at)| format!("{name} {} ({:.2})", at.rank, at.score)).collect();
        Self {
            rank: hit.rank,
            title: show::name(&hit.title),
            href: document_href(tenant, &hit.document_id),
            place: place.join(" · "),
            pieces: pieces(hit, citations),
            score: format!("{:.4}", hit.score),
            ranks: ranks.join(" · "),
        }
    }
}

/// A hit's text, cut where quotes of the answer begin and end.
fn pieces(hit: &Hit, citations: &[Citation]) -> Vec<Piece> {
    let here = citations.iter().filter(|citation| citation.document_id == hit.document_id);
    let mut quotes: Vec<_> = here
        .map(|citation| (citation.start.max(hit.start), citation.end.min(hit.end)))
        .filter(|(start, end)| start < end)
        .collect();
    quotes.sort_unstable();
    let mut pieces = Vec::new();
    let mut at = hit.start;
    for (start, end) in quotes {
        let start = start.max(at);
        if start < end {
            pieces.extend(piece(hit, at, start, false));
            pieces.extend(piece(hit, start, end, true));
            at = end;
        }
    }
    pieces.extend(piece(hit, at, hit.end, false));
    pieces
}

/// Bytes `start..end` of the document, out of the hit; none when there are none or they would cut a character.
fn piece(hit: &Hit, start: usize, end: usize, quoted: bool) -> Option<Piece> {
    let text = hit.text.get(start.checked_sub(hit.start)?..end.checked_sub(hit.start)?)?;
    (!text.is_empty()).then(|| Piece { text: text.to_owned(), quoted })
}

fn times(timings: &std::collections::BTreeMap<&'static str, f64>, total: f64) -> Vec<StageTime> {
    // In the order of a question's way; stages that this list does not know follow it.
    const WAY: [&str; 6] = ["embed", "dense", "sparse", "fuse", "rerank", "generate"];
    let place = |name: &str| WAY.iter().position(|stage| *stage == name).unwrap_or(WAY.len());
    let mut stages: Vec<_> = timings.iter().filter(|(name, _)| **name != "total").collect();
    stages.sort_by_key(|(name, _)| place(name));
    stages
        .into_iter()
        .map(|(name, took)| StageTime { name, width: bar(*took, total), text: milliseconds(*took) })
        .collect()
}

/// A bar as long as its share of the whole; at least a sliver, so that it is seen.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=1000 first")]
fn bar(took: f64, total: f64) -> u32 {
    if total > 0.0 { (took / total * BAR).clamp(1.0, BAR) as u32 } else { 1 }
}

fn milliseconds(took: f64) -> String {
    if took < 100.0 { format!("{took:.1} ms") } else { format!("{took:.0} ms") }
}

/// `GET /admin/tenants/{tenant}/ask`.
pub async fn form(State(state): State<AdminState>, at: AtTenant, headers: HeaderMap) -> Result<Response, AdminError> {
    let settings = at.desk.settings();
    let form = AskForm { mode: settings.retrieval.mode, top_k: settings.retrieval.top_k as u64, ..AskForm::default() };
    page(&ask_page(&state, &at, &headers, form)?)
}

/// `POST /admin/tenants/{tenant}/ask`.
pub async fn ask(
    State(state): State<AdminState>,
    at: AtTenant,
    headers: HeaderMap,
    Form(form): Form<AskForm>,
) -> Result<Response, AdminError> {
    let view = ask_page(&state, &at, &headers, form)?;
    let (query, top_k, mode) = (view.form.query.clone(), Some(view.form.top_k), Some(view.form.mode));
    let asked = Ask { query, top_k, mode, ..Ask::default() };
    match at.desk.ask(asked).await {
        Ok(answer) => {
            let shown = page(&view.answered(&at.id, &answer))?;
            Ok(([steps::tick(&state, &headers, Taken::Asked)], shown).into_response())
        }
        // What can be mended in the form or by waiting keeps the question.
        Err(error @ (DeskError::Question(_) | DeskError::IndexNotReady | DeskError::Busy | DeskError::Embed(_))) => {
            page_with(StatusCode::UNPROCESSABLE_ENTITY, &view.refused(explain_desk(&error).what))
        }
        Err(error) => Err(error.into()),
    }
}

fn ask_page(state: &AdminState, at: &AtTenant, headers: &HeaderMap, form: AskForm) -> Result<AskPage, AdminError> {
    let head = TenantHead::new(&status_of(state, at)?, "ask");
    let most = state.http.config.http.max_query_chars;
    Ok(AskPage::new(at.who.shell(Section::Tenants), head, form, most, &state.site.base_url(headers)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::admin::samples;

    #[test]
    fn markers_become_links_only_where_a_citation_stands() {
        let citations = [samples::citation(1), samples::citation(12)];
        let text = |text: &str| AnswerPart::Text(text.into());
        assert_eq!(
            parts("[see] So it is [1][12]. Not [3], [ or [x", &citations),
            [text("[see] So it is "), AnswerPart::Marker(1), AnswerPart::Marker(12), text(". Not [3], [ or [x")]
        );
        assert_eq!(parts("", &citations), []);
    }

    #[test]
    fn quotes_are_marked_in_the_evidence_and_nothing_is_lost() {
        let mut hit = samples::hit(1);
        (hit.start, hit.text) = (100, "Grüße an alle. Mehr hier.".into());
        hit.end = hit.start + hit.text.len();
        let quote = |start, end| Citation { start, end, document_id: hit.document_id.clone(), ..samples::citation(1) };
        // The third cuts a character, the second overlaps the first.
        let shown = pieces(&hit, &[quote(100, 107), quote(104, 110), quote(0, 50), quote(200, 300)]);
        let whole: String = shown.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(whole, hit.text);
        assert_eq!(shown.iter().map(|piece| piece.quoted).collect::<Vec<_>>(), [true, true, false]);
    }

    #[test]
    fn a_question_cannot_leave_its_quotes_in_the_command() {
        let form = AskForm { query: "it's $(rm -rf ~) \"quoted\" \\".into(), mode: Mode::Bm25, top_k: 3 };
        assert_eq!(shell_quoted("it's"), r"'it'\''s'");
        let page = samples::ask_page(form);
        let body = page.curl.split_once("-d '").unwrap().1;
        assert_eq!(body.matches(r"'\''").count(), 1);
        assert!(page.curl.contains(r#""mode":"bm25""#));
    }

    #[test]
    fn a_bar_is_never_empty_nor_longer_than_the_whole() {
        assert_eq!([bar(0.0, 10.0), bar(5.0, 10.0), bar(20.0, 10.0), bar(1.0, 0.0)], [1, 500, 1000, 1]);
    }
}

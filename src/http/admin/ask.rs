//! Asking a tenant's documents: the answer with its proofs, the evidence, where the time went, the call to copy; and on
//! request from an older generation, beside another one, and with each score in its parts.
//!
//! A question is posted, though it changes nothing: addresses stand in logs and histories, and questions do not belong there.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::document::{document_href, quote_href};
use super::error::{AdminError, explain_desk};
use super::pieces::{AnswerPart, Piece, parts, pieces};
use super::request::{AtTenant, Form};
use super::shell::{Section, Shell, page, page_with};
use super::show::{self, Message};
use super::state::AdminState;
use super::steps::{self, Taken};
use super::tenant::{TenantHead, status_of};
use super::weigh::{Bar, Followed, GenerationChoice, ScoreCard, SideBySide, choices, milliseconds, times};
use crate::actors::{Ask, Compared, DeskError};
use crate::domain::{Answer, Citation, DocumentId, Hit, Mode, Outcome, Question, TenantId, Timestamp};
use crate::engine::Explanation;

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
    /// The generations to ask and to compare with; none while there is but one.
    pub generations: Vec<GenerationChoice>,
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
    /// The generation to ask; empty for the one that serves.
    #[serde(default)]
    pub generation: String,
    /// The generation to compare with; empty for none.
    #[serde(default)]
    pub compare: String,
    /// Whether each score is shown in its parts.
    #[serde(default)]
    pub explain: bool,
    /// The id of a document to follow; empty for none.
    #[serde(default)]
    pub document: String,
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
    /// Terms of the question that stand nowhere.
    pub not_found: Vec<String>,
    /// What did not work as set.
    pub degraded: Vec<Message>,
    /// Why it was searched by words alone; empty when meaning had a vote.
    pub no_vote: Message,
    /// The evidence, best first.
    pub hits: Vec<HitCard>,
    /// Where the time went.
    pub times: Vec<Bar>,
    /// The whole time.
    pub total: String,
    /// `Generation 12`.
    pub generation: String,
    /// The same question to another generation.
    pub compared: Option<SideBySide>,
    /// What became of the document that was followed.
    pub followed: Option<Followed>,
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
    /// Whether the answer says it in another language.
    pub translated: bool,
    /// The quote in its document.
    pub href: String,
}

/// A piece of evidence.
#[derive(Debug, Clone)]
pub struct HitCard {
    /// 1 for the best.
    pub rank: u32,
    /// The document's id.
    pub document: String,
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
    /// The score in its parts, where they were asked for.
    pub parts: Option<ScoreCard>,
}

impl AskPage {
    /// The page ahead of an answer; `base_url` is where a program reaches the API.
    pub fn new(shell: Shell, head: TenantHead, form: AskForm, max_chars: usize, base_url: &str) -> Self {
        let modes =
            [("hybrid", "Both", Mode::Hybrid), ("dense", "Meaning", Mode::Dense), ("bm25", "Words", Mode::Bm25)]
                .map(|(value, label, mode)| ModeChoice { value, label, chosen: mode == form.mode });
        let curl = curl(base_url, &form, &modes);
        let (error, max_top_k) = (Message::default(), Question::MAX_TOP_K);
        let generations = Vec::new();
        Self { shell, head, form, error, modes, max_chars, max_top_k, generations, curl, reply: None }
    }

    /// The same page with generations to choose from.
    #[must_use]
    pub fn choosing(self, generations: Vec<GenerationChoice>) -> Self {
        Self { generations, ..self }
    }

    /// The same page with an answer, and what else was asked for.
    #[must_use]
    pub fn answered(self, tenant: &TenantId, answer: &Answer, more: &More) -> Self {
        let older = (!self.form.generation.is_empty()).then_some(answer.index.generation);
        Self { reply: Some(Reply::new(tenant, answer, older, more)), ..self }
    }

    /// The same page with what is wrong.
    #[must_use]
    pub fn refused(self, error: Message) -> Self {
        Self { error, ..self }
    }
}

/// What a question may be asked for beside its answer.
#[derive(Debug, Clone, Default)]
pub struct More {
    /// The same question to two generations.
    pub compared: Option<Compared>,
    /// The hits in their parts.
    pub explained: Option<Explanation>,
}

/// The command that asks the same of the API; the token is the reader's own.
fn curl(base_url: &str, form: &AskForm, modes: &[ModeChoice; 3]) -> String {
    let mode = modes.iter().find(|mode| mode.chosen).map_or("hybrid", |mode| mode.value);
    let query = if form.query.is_empty() { "your question" } else { form.query.as_str() };
    let mut body = serde_json::json!({ "query": query, "top_k": form.top_k, "mode": mode });
    if let Ok(Some(generation)) = chosen(&form.generation) {
        body["generation"] = generation.into();
    }
    format!(
        "curl -s {base_url}/api/v1/query \\\n  -H \"Authorization: Bearer $CARREL_TOKEN\" \\\n  -H 'Content-Type: application/json' \\\n  -d {}",
        shell_quoted(&body.to_string())
    )
}

/// `text` as one word of a POSIX shell: nothing in single quotes means anything but a single quote.
fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

impl Reply {
    fn new(tenant: &TenantId, answer: &Answer, older: Option<u64>, more: &More) -> Self {
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
            citations: answer.citations.iter().map(|citation| CitationCard::new(tenant, citation, older)).collect(),
            unsupported: answer.unsupported.iter().map(|sentence| Message::new(sentence)).collect(),
            not_found: answer.not_found.iter().map(|term| show::name(term)).collect(),
            degraded: answer.degraded.iter().map(|lost| Message::new(&lost.message)).collect(),
            no_vote: answer.index.no_vote.as_ref().map(|no_vote| Message::new(&no_vote.reason)).unwrap_or_default(),
            hits: answer.hits.iter().map(|hit| HitCard::new(tenant, hit, &answer.citations, older, more)).collect(),
            times: times(&answer.timings_ms, total),
            total: milliseconds(total),
            generation: format!("Generation {}", show::count(answer.index.generation)),
            compared: more.compared.as_ref().map(|compared| SideBySide::new(tenant, compared)),
            followed: more.explained.as_ref().and_then(|explained| explained.document.as_ref()).map(Followed::new),
        }
    }
}

impl CitationCard {
    fn new(tenant: &TenantId, citation: &Citation, older: Option<u64>) -> Self {
        Self {
            marker: citation.marker,
            title: show::name(&citation.title),
            page: page_words(citation.page),
            quote: citation.quote.clone(),
            translated: citation.translated,
            href: quote_href(tenant, &citation.document_id, older, citation.start..citation.end),
        }
    }
}

fn page_words(page: Option<u32>) -> String {
    page.map(|page| format!("page {page}")).unwrap_or_default()
}

impl HitCard {
    fn new(tenant: &TenantId, hit: &Hit, citations: &[Citation], older: Option<u64>, more: &More) -> Self {
        let explained = more.explained.iter().flat_map(|explained| &explained.hits);
        let parts = explained.into_iter().find(|explained| explained.hit.chunk_id == hit.chunk_id).map(ScoreCard::new);
        let place = [show::name(&hit.heading), page_words(hit.page)];
        let place: Vec<_> = place.into_iter().filter(|part| !part.is_empty()).collect();
        let ranks = [("meaning", hit.dense), ("words", hit.bm25)];
        let ranks = ranks.into_iter().filter_map(|(name, found)| Some((name, found?)));
        let ranks: Vec<_> = ranks.map(|(name, at)| format!("{name} {} ({:.2})", at.rank, at.score)).collect();
        Self {
            rank: hit.rank,
            document: hit.document_id.to_string(),
            title: show::name(&hit.title),
            href: document_href(tenant, &hit.document_id, older),
            place: place.join(" · "),
            pieces: pieces(hit, citations),
            score: format!("{:.4}", hit.score),
            ranks: ranks.join(" · "),
            parts,
        }
    }
}

/// `GET /admin/tenants/{tenant}/ask`.
pub async fn form(State(state): State<AdminState>, at: AtTenant, headers: HeaderMap) -> Result<Response, AdminError> {
    let settings = at.desk.settings();
    let form = AskForm { mode: settings.retrieval.mode, top_k: settings.retrieval.top_k as u64, ..AskForm::default() };
    page(&ask_page(&state, &at, &headers, form).await?)
}

/// `POST /admin/tenants/{tenant}/ask`.
pub async fn ask(
    State(state): State<AdminState>,
    at: AtTenant,
    headers: HeaderMap,
    Form(form): Form<AskForm>,
) -> Result<Response, AdminError> {
    let view = ask_page(&state, &at, &headers, form).await?;
    match answer(&at, &view.form).await {
        Ok((answer, more)) => {
            let shown = page(&view.answered(&at.id, &answer, &more))?;
            Ok(([steps::tick(&state, &headers, Taken::Asked)], shown).into_response())
        }
        // What can be mended in the form or by waiting keeps the question.
        Err(
            error @ (DeskError::Question(_)
            | DeskError::IndexNotReady
            | DeskError::FirstBuildFails(_)
            | DeskError::DeleteUnfinished(_)
            | DeskError::Busy
            | DeskError::Embed(_)
            | DeskError::NotFound(_)
            | DeskError::GenerationDamaged(_)),
        ) => page_with(StatusCode::UNPROCESSABLE_ENTITY, &view.refused(explain_desk(&error).what)),
        Err(error) => Err(error.into()),
    }
}

/// The answer, and what the form asks for beside it.
async fn answer(at: &AtTenant, form: &AskForm) -> Result<(Answer, More), DeskError> {
    let (generation, other) = (chosen(&form.generation)?, chosen(&form.compare)?);
    let (query, top_k, mode) = (form.query.clone(), Some(form.top_k), Some(form.mode));
    let asked = Ask { query, top_k, mode, generation, ..Ask::default() };
    let answer = at.desk.ask(asked.clone()).await?;
    let mut beside = More::default();
    let document = Some(form.document.trim()).filter(|id| !id.is_empty()).map(DocumentId::parse).transpose();
    let document = document.map_err(|_| DeskError::NotFound("document"))?;
    if form.explain || document.is_some() {
        beside.explained = Some(at.desk.explain(asked.clone(), document).await?);
    }
    if other.is_some() {
        beside.compared = Some(at.desk.compare(asked, other, generation).await?);
    }
    Ok((answer, beside))
}

/// The generation that a field of the form names; none when it is empty.
fn chosen(field: &str) -> Result<Option<u64>, DeskError> {
    let number = |text: &str| text.parse().map_err(|_| DeskError::NotFound("generation"));
    Some(field).filter(|text| !text.is_empty()).map(number).transpose()
}

async fn ask_page(
    state: &AdminState,
    at: &AtTenant,
    headers: &HeaderMap,
    form: AskForm,
) -> Result<AskPage, AdminError> {
    let head = TenantHead::new(&status_of(state, at)?, "ask");
    let most = state.http.config.http.max_query_chars;
    let generations = choices(&at.desk.generations().await?, Timestamp::now());
    let page = AskPage::new(at.who.shell(Section::Tenants), head, form, most, &state.site.base_url(headers));
    Ok(page.choosing(generations))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::admin::samples;

    #[test]
    fn a_question_cannot_leave_its_quotes_in_the_command() {
        let form = AskForm {
            query: "it's $(rm -rf ~) \"quoted\" \\".into(),
            mode: Mode::Bm25,
            top_k: 3,
            ..AskForm::default()
        };
        assert_eq!(shell_quoted("it's"), r"'it'\''s'");
        let page = samples::ask_page(form);
        let body = page.curl.split_once("-d '").unwrap().1;
        assert_eq!(body.matches(r"'\''").count(), 1);
        assert!(page.curl.contains(r#""mode":"bm25""#));
    }
}

//! One document: its text as questions find it, its facts, and deleting it.
//!
//! Ids may hold slashes, so they travel in the query and not in the path.

use std::ops::Range;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::error::AdminError;
use super::notes::Note;
use super::request::{AtTenant, Form, Query};
use super::shell::{Section, Shell, page};
use super::show::{self, Chip, Message, When};
use super::state::AdminState;
use crate::actors::DeskError;
use crate::domain::{DocumentId, DocumentStatus, TenantId, Timestamp};

/// Bytes of text on one page; with markup well below the 60 KB that a page may have.
const WINDOW: usize = 24_000;
/// Bytes of text ahead of a quote.
const BEFORE: usize = 1_500;

/// A document's page, with its text as the serving generation has it or the one that is named.
pub fn document_href(tenant: &TenantId, id: &DocumentId, generation: Option<u64>) -> String {
    let generation = generation.map(|number| format!("&generation={number}")).unwrap_or_default();
    format!("/admin/tenants/{tenant}/document?id={}{generation}", show::encoded(id.as_str()))
}

/// The page that asks before a document is deleted.
pub fn delete_href(tenant: &TenantId, id: &DocumentId) -> String {
    format!("/admin/tenants/{tenant}/document/delete?id={}", show::encoded(id.as_str()))
}

/// A quote in its document.
pub fn quote_href(tenant: &TenantId, id: &DocumentId, generation: Option<u64>, quote: Range<usize>) -> String {
    format!("{}&start={}&end={}#quote", document_href(tenant, id, generation), quote.start, quote.end)
}

/// A document's page.
#[derive(Template)]
#[template(path = "admin/document.html")]
pub struct DocumentPage {
    /// What surrounds it.
    pub shell: Shell,
    /// The tenant.
    pub tenant: String,
    /// The document's name.
    pub name: String,
    /// Where it stands.
    pub chip: Chip,
    /// Why it failed, or what was lost; with the stable code.
    pub problem: Option<(Message, String)>,
    /// Facts with their names.
    pub facts: Vec<(&'static str, String)>,
    /// Last change.
    pub when: When,
    /// The caller's facts.
    pub attributes: Vec<(String, String)>,
    /// A part of its text; none when it is not in the index.
    pub text: Option<Reading>,
    /// The page that asks before it is deleted.
    pub delete_href: String,
}

/// A part of a document's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Ahead of the quote; all of it when there is none.
    pub before: String,
    /// The quote that was asked for.
    pub quote: String,
    /// Behind the quote.
    pub after: String,
    /// `bytes 0 to 24 000`.
    pub range: String,
    /// The part ahead; empty at the beginning.
    pub earlier_href: String,
    /// The part behind; empty at the end.
    pub later_href: String,
}

/// Which document, and which part of it.
#[derive(Debug, Deserialize)]
pub struct DocumentQuery {
    id: DocumentId,
    #[serde(default)]
    from: usize,
    start: Option<usize>,
    end: Option<usize>,
    generation: Option<u64>,
}

impl DocumentPage {
    /// The page of this document.
    pub fn new(
        shell: Shell,
        tenant: &TenantId,
        document: &DocumentStatus,
        text: Option<Reading>,
        now: Timestamp,
    ) -> Self {
        let problem = document.problem.as_ref();
        let attribute =
            |(name, value): (&String, &serde_json::Value)| (show::name(name), show::name(&value.to_string()));
        Self {
            shell,
            tenant: tenant.to_string(),
            name: show::name(&document.name),
            chip: Chip::of_document(document),
            problem: problem.map(|problem| (Message::new(&problem.message), show::name(&problem.code))),
            facts: facts(document),
            when: When::new(document.updated_at, now),
            attributes: document.attributes.iter().map(attribute).collect(),
            text,
            delete_href: delete_href(tenant, &document.id),
        }
    }
}

fn facts(document: &DocumentStatus) -> Vec<(&'static str, String)> {
    let origin = if document.origin == "folder" { "found in the folder" } else { "uploaded" };
    let known = [
        ("Title", document.title.as_deref().map(show::name)),
        ("Id", Some(show::name(document.id.as_str()))),
        ("Format", document.kind.as_deref().map(show::name)),
        ("Size", Some(show::bytes(document.bytes))),
        ("Chunks", Some(show::count(document.chunks.into()))),
        ("Pages", document.pages.map(|pages| show::count(pages.into()))),
        ("Origin", Some(origin.to_owned())),
        ("BLAKE3", document.content_hash.to_string().get(..16).map(|start| format!("{start}…"))),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// `GET /admin/tenants/{tenant}/document`.
pub async fn document(at: AtTenant, Query(query): Query<DocumentQuery>) -> Result<Response, AdminError> {
    let document = at.desk.document(&query.id).await?;
    let text = match query.start.zip(query.end) {
        Some((start, end)) if start < end => around(&at, &query, start..end).await,
        _ => from(&at, &query).await,
    };
    let text = match text {
        Ok(text) => Some(text),
        // Not indexed (yet): there is no text to show, but all else.
        Err(DeskError::NotFound(_) | DeskError::IndexNotReady | DeskError::FirstBuildFails(_)) => None,
        Err(error) => return Err(error.into()),
    };
    page(&DocumentPage::new(at.who.shell(Section::Tenants), &at.id, &document, text, Timestamp::now()))
}

/// The text from a byte on.
async fn from(at: &AtTenant, query: &DocumentQuery) -> Result<Reading, DeskError> {
    let (from, generation) = (query.from, query.generation);
    let (start, end, text) = at.desk.text_in(generation, &query.id, from, Some(from.saturating_add(WINDOW))).await?;
    Ok(Reading {
        before: text,
        ..Reading::at(&document_href(&at.id, &query.id, generation), generation, from, start..end)
    })
}

/// A quote with the text around it.
async fn around(at: &AtTenant, query: &DocumentQuery, quote: Range<usize>) -> Result<Reading, DeskError> {
    let read = async |start, end| at.desk.text_in(query.generation, &query.id, start, Some(end)).await;
    let end = quote.end.min(quote.start.saturating_add(WINDOW));
    let (start, end, quote) = read(quote.start, end).await?;
    let (first, _, before) = read(start.saturating_sub(BEFORE), start).await?;
    let (_, last, after) = read(end, first.saturating_add(WINDOW).max(end)).await?;
    let href = document_href(&at.id, &query.id, query.generation);
    Ok(Reading { before, quote, after, ..Reading::at(&href, query.generation, first, first..last) })
}

impl Reading {
    /// Where `shown` stands in the document of this page, and what is ahead and behind; `asked` is where it was to begin.
    fn at(href: &str, generation: Option<u64>, asked: usize, shown: Range<usize>) -> Self {
        let Range { start, end } = shown;
        let part = |from: usize| format!("{href}&from={from}");
        let of = generation.map(|number| format!("generation {} · ", show::count(number))).unwrap_or_default();
        // A cut inside a character moves at most three bytes; a part that is shorter ended with the text.
        let whole = end.saturating_add(3) >= asked.saturating_add(WINDOW);
        Self {
            range: format!("{of}bytes {} to {}", show::count(start as u64), show::count(end as u64)),
            earlier_href: if start > 0 { part(start.saturating_sub(WINDOW)) } else { String::new() },
            later_href: if whole { part(end) } else { String::new() },
            ..Self::default()
        }
    }
}

/// The page that asks before a document is deleted.
#[derive(Template)]
#[template(path = "admin/delete_document.html")]
pub struct DeletePage {
    /// What surrounds it.
    pub shell: Shell,
    /// The tenant.
    pub tenant: String,
    /// The document's id, for the form.
    pub id: String,
    /// The document's name.
    pub name: String,
    /// `4.2 MiB, 212 chunks`.
    pub goes: String,
    /// Back to the document.
    pub back_href: String,
}

/// Which document.
#[derive(Debug, Deserialize)]
pub struct WhichDocument {
    id: DocumentId,
}

/// `GET /admin/tenants/{tenant}/document/delete`.
pub async fn delete_page(at: AtTenant, Query(query): Query<WhichDocument>) -> Result<Response, AdminError> {
    let document = at.desk.document(&query.id).await?;
    page(&DeletePage {
        shell: at.who.shell(Section::Tenants),
        tenant: at.id.to_string(),
        id: document.id.to_string(),
        name: show::name(&document.name),
        goes: format!("{}, {}", show::bytes(document.bytes), show::counted(document.chunks.into(), "chunk")),
        back_href: document_href(&at.id, &document.id, None),
    })
}

/// `POST /admin/tenants/{tenant}/document/delete`: gone from every answer when the next page shows.
pub async fn delete(
    State(state): State<AdminState>,
    at: AtTenant,
    Form(form): Form<WhichDocument>,
) -> Result<Response, AdminError> {
    let removed = at.desk.delete(&form.id, at.who.name()).await?;
    at.did(&state, "document.delete", form.id.as_str()).await;
    let chunks = show::counted(removed.chunks, "chunk");
    let note = Note::ok(format!("The document is deleted; {chunks} no longer answer."));
    Ok(state.notes.redirect(&format!("/admin/tenants/{}", at.id), note))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(asked: usize, start: usize, end: usize) -> Reading {
        let (tenant, id) = (TenantId::parse("acme").unwrap(), DocumentId::parse("a/b.md").unwrap());
        Reading::at(&document_href(&tenant, &id, None), None, asked, start..end)
    }

    #[test]
    fn a_part_leads_to_the_next_only_while_text_follows() {
        assert_eq!(reading(0, 0, 100).later_href, "");
        assert_eq!(reading(0, 0, 100).earlier_href, "");
        assert_eq!(reading(0, 0, WINDOW - 2).later_href, "/admin/tenants/acme/document?id=a%2Fb.md&from=23998");
        let middle = reading(WINDOW, WINDOW, WINDOW + 10);
        assert_eq!(middle.earlier_href, "/admin/tenants/acme/document?id=a%2Fb.md&from=0");
    }
}

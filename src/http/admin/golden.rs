//! Golden questions: made from the playground, listed and deleted beside the generations that must answer them.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::error::AdminError;
use super::notes::Note;
use super::request::{AtTenant, Form, Path};
use super::show;
use super::state::AdminState;
use crate::domain::{DocumentId, Expected, Golden, TenantId};

/// One golden question in the list.
#[derive(Debug, Clone)]
pub struct GoldenRow {
    /// Its id.
    pub id: String,
    /// Its words.
    pub question: String,
    /// The documents that must be found.
    pub expects: Vec<String>,
}

impl GoldenRow {
    /// A golden question.
    pub fn new(golden: &Golden) -> Self {
        let name = |expected: &Expected| show::name(expected.document_id.as_str());
        Self {
            id: golden.id.clone(),
            question: show::name(&golden.question),
            expects: golden.expect.iter().map(name).collect(),
        }
    }
}

/// A question and a document that must be found for it.
#[derive(Debug, Deserialize)]
pub struct GoldenForm {
    question: String,
    document: DocumentId,
}

/// `POST /admin/tenants/{tenant}/golden`: adds the document to what the question expects.
pub async fn keep(
    State(state): State<AdminState>,
    at: AtTenant,
    Form(form): Form<GoldenForm>,
) -> Result<Response, AdminError> {
    let wanted = Golden::new(&form.question, Vec::new(), at.who.name()).id;
    let known = at.desk.golden().await?.into_iter().find(|known| known.id == wanted);
    let mut expect = known.map(|known| known.expect).unwrap_or_default();
    if expect.iter().all(|expected| expected.document_id != form.document) {
        expect.push(Expected { document_id: form.document, excerpt: None });
    }
    let golden = at.desk.keep_golden(&form.question, expect, at.who.name()).await?;
    at.did(&state, "golden.keep", &golden.id).await;
    Ok(state.notes.redirect(&index(&at), Note::ok("Kept. A new generation must find it before it serves.")))
}

/// `POST /admin/tenants/{tenant}/golden/{id}/delete`.
pub async fn delete(
    State(state): State<AdminState>,
    at: AtTenant,
    Path((_, id)): Path<(TenantId, String)>,
) -> Result<Response, AdminError> {
    at.desk.forget_golden(&id).await?;
    at.did(&state, "golden.delete", &id).await;
    Ok(state.notes.redirect(&index(&at), Note::ok("The golden question is deleted.")))
}

fn index(at: &AtTenant) -> String {
    format!("/admin/tenants/{}/index", at.id)
}

//! What operators see: tenants, tokens, the audit.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use super::word;
use crate::actors::TenantStatus;
use crate::domain::Timestamp;
use crate::index::LanguageShare;
use crate::ledger::{AuditEntry, TokenRecord};

fn tenant_state() -> Object {
    word(&["building", "ready", "restarting", "failed", "quarantined"])
}

/// A tenant, as operators see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantView {
    /// Id.
    pub id: String,
    /// Name to show.
    name: String,
    /// How it fares.
    #[schema(schema_with = tenant_state)]
    state: &'static str,
    /// Why it is not ready, in words; none while it is, or while its first build is under way.
    cause: Option<String>,
    /// Whether it can answer questions now.
    answers: bool,
    /// Serving generation, 0 for none.
    generation: u64,
    /// Documents in it.
    documents: u64,
    /// Chunks in it.
    chunks: u64,
    /// Bytes of the index on disk.
    bytes: u64,
    /// When it was built.
    #[schema(value_type = Option<String>, format = DateTime)]
    built_at: Option<Timestamp>,
    /// What makes its vectors.
    embedder: String,
    /// The languages of its documents, most prose first.
    languages: Vec<LanguageView>,
    /// In which parts the index is not what the settings want; a rebuild mends that.
    outdated: Vec<String>,
    /// What is wrong with its file, a line a mistake; it goes on with the settings it had, where it had some.
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong_file: Option<String>,
    /// Times its actor was restarted since boot.
    restarts: u64,
    /// Last errors, newest first, at most ten.
    errors: Vec<TenantErrorView>,
}

/// A language that documents are in.
#[derive(Debug, Serialize, ToSchema)]
pub struct LanguageView {
    /// BCP 47 primary, `und` for documents of none: logs, tables, code, lists.
    language: String,
    /// Documents in it.
    documents: u64,
    /// Its share of all prose, 0 to 1; a long document counts no more than four pages.
    prose: f32,
    /// Whether questions in it are searched by meaning too: the embedder knows it.
    by_meaning: bool,
}

impl LanguageView {
    fn new(share: LanguageShare, english_only: bool) -> Self {
        let LanguageShare { language, documents, prose } = share;
        let by_meaning = !english_only || language == "en";
        Self { language, documents, prose, by_meaning }
    }
}

/// A tenant that was made of a backup.
#[derive(Debug, Serialize, ToSchema)]
pub struct RestoredView {
    /// The tenant.
    #[serde(flatten)]
    pub tenant: TenantView,
    /// The job of that tenant that made it.
    pub job_id: String,
}

/// Something that went wrong with a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantErrorView {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// What.
    message: String,
}

impl From<TenantStatus> for TenantView {
    fn from(tenant: TenantStatus) -> Self {
        Self {
            state: tenant.health.as_str(),
            cause: tenant.health.cause().map(ToOwned::to_owned),
            id: tenant.id.into(),
            name: tenant.name,
            answers: tenant.answers,
            generation: tenant.generation,
            documents: tenant.documents,
            chunks: tenant.chunks,
            bytes: tenant.bytes,
            built_at: tenant.built_at,
            embedder: tenant.embedder,
            languages: tenant
                .languages
                .into_iter()
                .map(|share| LanguageView::new(share, tenant.english_only))
                .collect(),
            outdated: tenant.outdated,
            wrong_file: tenant.wrong_file,
            restarts: tenant.restarts,
            errors: tenant.errors.into_iter().map(|(at, message)| TenantErrorView { at, message }).collect(),
        }
    }
}

/// A minted token, without its text.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenView {
    /// Its id.
    pub jti: String,
    /// Its tenant; none for operators and scrapers.
    tenant: Option<String>,
    /// Who it was made for.
    subject: String,
    /// What it may do, separated by blanks.
    scope: String,
    /// When it was minted.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// When it was revoked.
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
}

impl From<TokenRecord> for TokenView {
    fn from(token: TokenRecord) -> Self {
        Self {
            jti: token.jti,
            tenant: token.tenant.map(Into::into),
            subject: token.subject,
            scope: token.scope,
            created_at: token.created_at,
            expires_at: token.expires_at,
            revoked_at: token.revoked_at,
        }
    }
}

/// Something somebody did.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditView {
    /// Grows by one.
    pub number: i64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who.
    actor: String,
    /// What.
    action: String,
    /// The tenant it concerns.
    tenant: Option<String>,
    /// To what.
    target: String,
    /// The request's id, where there was one.
    request_id: String,
}

impl From<AuditEntry> for AuditView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            number: entry.number,
            at: entry.at,
            actor: entry.actor,
            action: entry.action,
            tenant: entry.tenant.map(Into::into),
            target: entry.target,
            request_id: entry.request_id,
        }
    }
}

//! The contract of failures: every code with its status, its cause and its fix. Clients, docs and tests share this one table.

use axum::http::StatusCode;

/// Why a request failed, as clients may match on it. Codes are never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// No valid credential.
    Unauthenticated,
    /// The token's scope does not allow it.
    Forbidden,
    /// The token is for no tenant.
    NoTenant,
    /// The tenant's quota is used up.
    QuotaExceeded,
    /// No such route, or no such thing for this caller.
    NotFound,
    /// No such tenant.
    TenantNotFound,
    /// The route does not know the method.
    MethodNotAllowed,
    /// A part of the address or query string is wrong.
    InvalidParameter,
    /// The body is no JSON.
    InvalidJson,
    /// The body is JSON of another shape.
    InvalidBody,
    /// The upload's form is wrong.
    InvalidUpload,
    /// The document's attributes cannot be kept.
    InvalidAttributes,
    /// The question is refused.
    InvalidQuestion,
    /// The filter is refused.
    InvalidFilter,
    /// The golden question cannot be kept.
    InvalidGolden,
    /// A golden question expects a document that is not there.
    GoldenUnknownDocument,
    /// A tenant's settings are wrong.
    InvalidSettings,
    /// The document has no bytes.
    DocumentEmpty,
    /// The file is no backup.
    BackupForeign,
    /// The backup is not what was written.
    BackupDamaged,
    /// A newer Carrel wrote the backup.
    BackupNewer,
    /// The document's id belongs to a file in the folder.
    DocumentInFolder,
    /// There is such a tenant already.
    TenantExists,
    /// The generation serves.
    GenerationServes,
    /// The generation's files do not hold.
    GenerationDamaged,
    /// The generation failed its checks.
    GenerationHeld,
    /// The job has ended, or cannot be stopped half-way.
    JobNotCancellable,
    /// The job did not fail.
    JobNotRetryable,
    /// A rebuild waits that was asked for otherwise.
    OtherRebuildWaits,
    /// The body is larger than allowed.
    BodyTooLarge,
    /// The document is larger than allowed.
    DocumentTooLarge,
    /// The body is of another type.
    UnsupportedMediaType,
    /// The body came too slowly.
    BodyTimeout,
    /// The rate is used up.
    RateLimited,
    /// Too many at once.
    TooManyAtOnce,
    /// Too many failed sign-ins or tokens from one address.
    TooManyFailures,
    /// The tenant's first build is under way.
    TenantIndexBuilding,
    /// The tenant's first build fails.
    TenantIndexFailed,
    /// The tenant's writer died too often.
    TenantQuarantined,
    /// The tenant's actor does not answer.
    TenantBusy,
    /// The embedding provider does not answer.
    EmbedderUnavailable,
    /// The embedding provider takes no such text.
    EmbedderRefused,
    /// The embedding provider answers wrongly.
    EmbedderInvalid,
    /// The language model broke off in the middle of an answer.
    AnswerBrokenOff,
    /// The server stops in the middle of an answer.
    ServerStopping,
    /// Every connection is taken.
    ServerFull,
    /// The request took too long.
    RequestTimeout,
    /// The disk is full.
    DiskFull,
    /// The server may not write to one of its folders.
    StorageDenied,
    /// The document is removed from disk and not yet from the index.
    DeleteUnfinished,
    /// A bug, or a broken machine.
    Internal,
}

/// One line of the contract.
#[derive(Debug, Clone, Copy)]
pub struct Contract {
    /// The code.
    pub code: Code,
    /// On the wire.
    pub name: &'static str,
    /// HTTP status.
    pub status: u16,
    /// A few words for people.
    pub title: &'static str,
    /// What leads to it.
    pub cause: &'static str,
    /// What to do.
    pub fix: &'static str,
}

/// The whole contract, in the order of [`Code`].
pub const CONTRACT: &[Contract] = &[
    row(
        Code::Unauthenticated,
        "unauthenticated",
        401,
        "Not signed in",
        "The request has no token, or the token is damaged, expired, revoked, or of a tenant that is gone.",
        "Send `Authorization: Bearer <token>`; mint a new token with `carrel token mint`.",
    ),
    row(
        Code::Forbidden,
        "forbidden",
        403,
        "Not allowed",
        "The token is valid, but its scope does not name what this needs.",
        "Mint a token with the scope that the detail names.",
    ),
    row(
        Code::NoTenant,
        "no_tenant",
        403,
        "The token is for no tenant",
        "An operator's or scraper's token was used where one tenant's documents are read or changed.",
        "Use a token of the tenant, or the route under `/api/v1/tenants/{id}`.",
    ),
    row(
        Code::QuotaExceeded,
        "quota_exceeded",
        403,
        "Quota used up",
        "The tenant keeps as many documents or bytes as its file allows.",
        "Delete documents, or have an operator raise `limits` in the tenant's file.",
    ),
    row(
        Code::NotFound,
        "not_found",
        404,
        "Not found",
        "There is no such route, or no such thing among the caller's own.",
        "Check the address and the id; other tenants' things count as absent.",
    ),
    row(
        Code::TenantNotFound,
        "tenant_not_found",
        404,
        "No such tenant",
        "An operator named a tenant that is not there.",
        "List the tenants with `GET /api/v1/tenants`.",
    ),
    row(
        Code::MethodNotAllowed,
        "method_not_allowed",
        405,
        "Method not allowed",
        "The route exists, but not for this method.",
        "Use a method from the `Allow` header.",
    ),
    row(
        Code::InvalidParameter,
        "invalid_parameter",
        400,
        "Invalid parameter",
        "A part of the path or of the query string cannot be understood.",
        "Correct the parameter that the detail names.",
    ),
    row(
        Code::InvalidJson,
        "invalid_json",
        400,
        "Invalid JSON",
        "The body is no JSON.",
        "Send one JSON object, encoded as UTF-8.",
    ),
    row(
        Code::InvalidBody,
        "invalid_body",
        422,
        "Invalid body",
        "The body is JSON, but a field is unknown, missing, or of the wrong type.",
        "Correct the field that `errors[].pointer` names.",
    ),
    row(
        Code::InvalidUpload,
        "invalid_upload",
        400,
        "Invalid upload",
        "The form is damaged, or a field is missing, unknown or sent twice.",
        "Send `multipart/form-data` with one `file`, and at most one `id` and one `attributes`.",
    ),
    row(
        Code::InvalidAttributes,
        "invalid_attributes",
        422,
        "Invalid attributes",
        "`attributes` is no JSON object, too large, or holds a value of a kind that cannot be kept.",
        "Use at most 64 names of at most 64 characters with strings, numbers, booleans or lists of at most 100 of these, 16 KiB in all.",
    ),
    row(
        Code::InvalidQuestion,
        "invalid_question",
        422,
        "Invalid question",
        "The question is empty or too long, or a number in it is out of range.",
        "Correct the field that `errors[].pointer` names.",
    ),
    row(
        Code::InvalidFilter,
        "invalid_filter",
        422,
        "Invalid filter",
        "The filter is of no known type, too large or nested too deeply, or compares what has no order.",
        "Correct the part that `errors[].pointer` names; the manual's page on questions lists the types.",
    ),
    row(
        Code::InvalidGolden,
        "invalid_golden",
        422,
        "Invalid golden question",
        "The question is empty or too long, or it expects nothing or too much.",
        "Correct what the detail names.",
    ),
    row(
        Code::GoldenUnknownDocument,
        "golden_unknown_document",
        422,
        "A golden question expects an unknown document",
        "A golden question can only expect documents that the tenant has.",
        "Upload the document first, or correct its id.",
    ),
    row(
        Code::InvalidSettings,
        "invalid_settings",
        422,
        "Invalid settings",
        "The tenant's settings name an unknown key or a value out of range.",
        "Correct the line that the detail names.",
    ),
    row(
        Code::DocumentEmpty,
        "document_empty",
        422,
        "Empty document",
        "The file has no bytes.",
        "Send a file with text in it.",
    ),
    row(
        Code::BackupForeign,
        "backup_foreign",
        422,
        "No backup",
        "The file that was to be restored is no backup of a tenant.",
        "Send a file that `carrel backup` wrote, as it is.",
    ),
    row(
        Code::BackupDamaged,
        "backup_damaged",
        422,
        "The backup is damaged",
        "The backup is cut short, or a part of it is not what was written; nothing was restored.",
        "Copy the file again from where it was kept, or restore another backup.",
    ),
    row(
        Code::BackupNewer,
        "backup_newer",
        422,
        "The backup is of a newer Carrel",
        "A newer Carrel wrote the backup in a format that this one does not know.",
        "Restore it with the version of Carrel that wrote it, or a newer one.",
    ),
    row(
        Code::DocumentInFolder,
        "document_in_folder",
        409,
        "The document is a file in the folder",
        "A file that stands in the tenant's folder has this id; the folder is changed by hand alone.",
        "Change or remove the file there, or upload under another id.",
    ),
    row(
        Code::TenantExists,
        "tenant_exists",
        409,
        "The tenant exists",
        "There is a tenant of this id already.",
        "Choose another id, or change the tenant that is there.",
    ),
    row(
        Code::GenerationServes,
        "generation_serves",
        409,
        "The generation serves",
        "The generation answers questions now, so it can be neither activated nor deleted.",
        "Activate another generation first.",
    ),
    row(
        Code::GenerationDamaged,
        "generation_damaged",
        409,
        "The generation is damaged",
        "The files of the generation do not hold; it was moved aside, and what served goes on serving.",
        "Activate another generation, or reindex.",
    ),
    row(
        Code::GenerationHeld,
        "generation_held",
        409,
        "The generation is held back",
        "The generation was worse than the one that serves on the tenant's golden questions, by more than its margin.",
        "Look at its checks in `GET /api/v1/generations`; activate it with `{\"force\": true}` if it is to serve all the same.",
    ),
    row(
        Code::JobNotCancellable,
        "job_not_cancellable",
        409,
        "The job cannot be cancelled",
        "The job has ended, is publishing its result, or is a delete or purge, which are not stopped half-way.",
        "Look at the job with `GET /api/v1/jobs/{id}`.",
    ),
    row(
        Code::JobNotRetryable,
        "job_not_retryable",
        409,
        "The job cannot be retried",
        "Only an ingestion or rebuild that failed or was cancelled can be queued again.",
        "Ask for the work itself again.",
    ),
    row(
        Code::OtherRebuildWaits,
        "other_rebuild_waits",
        409,
        "A rebuild with other options waits",
        "A rebuild that waits for its turn can be joined only by one with the same options.",
        "Follow or cancel the job that the detail names, then ask again.",
    ),
    row(
        Code::BodyTooLarge,
        "body_too_large",
        413,
        "Body too large",
        "The body is larger than the route takes.",
        "Send less; the detail names the limit.",
    ),
    row(
        Code::DocumentTooLarge,
        "document_too_large",
        413,
        "Document too large",
        "The file is larger than `http.max_upload_bytes`.",
        "Split the file, or have an operator raise the limit.",
    ),
    row(
        Code::UnsupportedMediaType,
        "unsupported_media_type",
        415,
        "Unsupported media type",
        "The `Content-Type` is missing or another than the route takes.",
        "Send `application/json`, or `multipart/form-data` for uploads.",
    ),
    row(
        Code::BodyTimeout,
        "body_timeout",
        408,
        "The body came too slowly",
        "The client stopped sending.",
        "Try again over a better connection.",
    ),
    row(
        Code::RateLimited,
        "rate_limited",
        429,
        "Too many requests",
        "The tenant asked more often than its file allows.",
        "Wait as long as `Retry-After` says.",
    ),
    row(
        Code::TooManyAtOnce,
        "too_many_at_once",
        429,
        "Too many requests at once",
        "The tenant has as many requests under way as its file allows.",
        "Wait for one to end.",
    ),
    row(
        Code::TooManyFailures,
        "too_many_failures",
        429,
        "Too many failed attempts",
        "This address sent too many wrong tokens or passwords.",
        "Wait as long as `Retry-After` says, then use a valid one.",
    ),
    row(
        Code::TenantIndexBuilding,
        "tenant_index_building",
        503,
        "The index is being built",
        "The tenant's first build is not done.",
        "Try again as `Retry-After` says; `GET /api/v1/jobs` shows how far it is.",
    ),
    row(
        Code::TenantIndexFailed,
        "tenant_index_failed",
        503,
        "The first build fails",
        "The tenant's first build fails, for the reason that the detail gives, and is tried again.",
        "Mend what the detail names: most often `retrieval.embedder` in the tenant's file, or its provider in `carrel.toml`; `GET /api/v1/jobs` shows the build.",
    ),
    row(
        Code::TenantQuarantined,
        "tenant_quarantined",
        503,
        "The index is out of service",
        "The tenant's writer died too often and waits for an operator.",
        "An operator finds the reason at `GET /api/v1/tenants/{id}` and starts it again with a reindex.",
    ),
    row(
        Code::TenantBusy,
        "tenant_busy",
        503,
        "The tenant is busy",
        "The tenant's writer did not answer in time.",
        "Try again as `Retry-After` says.",
    ),
    row(
        Code::EmbedderUnavailable,
        "embedder_unavailable",
        503,
        "The embedder is not available",
        "The tenant's embedding provider does not answer.",
        "Try again; an operator finds the reason in the log under the request's id.",
    ),
    row(
        Code::EmbedderRefused,
        "embedder_refused",
        502,
        "The embedder refused the text",
        "The tenant's embedding provider does not take this text, most likely since it is too long for the model.",
        "Ask a shorter question; an operator finds what the provider said in the log.",
    ),
    row(
        Code::EmbedderInvalid,
        "embedder_invalid",
        502,
        "The embedder answers wrongly",
        "The tenant's embedding provider answered something that is no set of vectors.",
        "An operator checks the provider and model in `carrel.toml`.",
    ),
    row(
        Code::AnswerBrokenOff,
        "answer_broken_off",
        502,
        "The answer broke off",
        "The tenant's language model stopped in the middle of an answer that was being streamed.",
        "Show the answer in `instead`, which quotes the documents, or ask again.",
    ),
    row(
        Code::ServerStopping,
        "server_stopping",
        503,
        "The server is stopping",
        "The server was told to stop while it streamed an answer.",
        "Ask again as `retry_after` says.",
    ),
    row(
        Code::ServerFull,
        "server_full",
        503,
        "The server is full",
        "As many connections are open as `http.max_connections` allows, and all are at work.",
        "Try again as `Retry-After` says; keep connections open and send requests one after another on them.",
    ),
    row(
        Code::RequestTimeout,
        "request_timeout",
        503,
        "The request took too long",
        "The request did not end within `http.request_timeout_s`.",
        "Try again; if it persists, an operator looks at the stage times in `/metrics`.",
    ),
    row(
        Code::DiskFull,
        "disk_full",
        507,
        "The disk is full",
        "There is no space left to store this; nothing was changed.",
        "An operator frees some space; nothing needs to be restarted.",
    ),
    row(
        Code::StorageDenied,
        "storage_denied",
        503,
        "The server may not write",
        "The user that the server runs as may not write to one of its folders; nothing was changed.",
        "An operator runs `carrel doctor`, which names the folder, the user and what to do; then send the same again.",
    ),
    row(
        Code::DeleteUnfinished,
        "delete_unfinished",
        503,
        "The delete is not finished",
        "The document is removed from the folder, but the index could not be written, most often since the disk is full; questions may still find the document.",
        "Free some space; Carrel then takes it out by itself within a minute, or delete it again to be sure.",
    ),
    row(
        Code::Internal,
        "internal",
        500,
        "Something broke",
        "A bug in Carrel, or a broken disk.",
        "Try again; report the request's id, under which the log has the cause.",
    ),
];

const fn row(
    code: Code,
    name: &'static str,
    status: u16,
    title: &'static str,
    cause: &'static str,
    fix: &'static str,
) -> Contract {
    Contract { code, name, status, title, cause, fix }
}

impl Code {
    /// Its line of the contract.
    #[must_use]
    pub fn contract(self) -> &'static Contract {
        &CONTRACT[self as usize]
    }

    /// Its status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.contract().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// `urn:carrel:problem:<code-with-dashes>`, the stable `type` of RFC 9457.
    #[must_use]
    pub fn urn(self) -> String {
        format!("urn:carrel:problem:{}", self.contract().name.replace('_', "-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_at_its_own_line() {
        for (at, line) in CONTRACT.iter().enumerate() {
            assert_eq!(line.code as usize, at, "{}", line.name);
            assert!(line.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", line.name);
            assert_eq!(line.code.status().as_u16(), line.status);
            assert!((400..600).contains(&line.status));
        }
        assert_eq!(CONTRACT.last().map(|line| line.code), Some(Code::Internal));
    }

    #[test]
    fn codes_and_statuses_are_a_contract() {
        let lines: Vec<_> = CONTRACT.iter().map(|line| format!("{} {}", line.status, line.name)).collect();
        insta::assert_debug_snapshot!(lines);
    }

    #[test]
    fn the_manual_explains_every_code_with_its_fix() {
        let page = include_str!("../../documents/demo/errors.md");
        for line in CONTRACT {
            let section = format!(
                "## {0}\n\nThe error `{0}` (status {1}): {2} To fix it: {3}\n",
                line.name, line.status, line.cause, line.fix
            );
            assert!(page.contains(&section), "the manual lacks\n{section}");
        }
    }
}

//! A desk: everything one tenant can do.
//!
//! A [`Desk`] is the tenant's scope. Only [`super::Tenants`] makes one, from a verified caller or operator, and every store, index,
//! job and limit of the tenant is reached through it; so no id in a request can select another tenant.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ractor::rpc::CallResult;
use ractor::{ActorRef, RpcReplyPort};
use tokio::sync::OwnedSemaphorePermit;

use super::asked::Asked;
use super::cell::Cell;
use super::directory::{Health, TenantStatus};
use super::first::incomplete;
use super::index::IndexMsg;
use super::letter::Letter;
use super::records;
use super::refusal::DeskError;
use super::supervisor::SupervisorMsg;
use super::work::{Shared, blocking, desk_error};
use crate::config::TenantSettings;
use crate::domain::{
    Answer, Attributes, Conversation, Degradation, DocumentId, DocumentState, DocumentStatus, Filter, Job, JobId,
    JobKind, Mode, Question, QuestionError, Receipt, SearchReply, TenantId, Turn,
};
use crate::index::Snapshot;
use crate::ledger::{DocumentTotals, Listed, Page};
use crate::store::{StoreError, UploadWriter};
use crate::telemetry::{QueryOutcome, QueryStage};

/// A question as it came in, before it is checked against the tenant's settings.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// The question; empty where a conversation is sent.
    pub query: String,
    /// A conversation whose last message is the question, instead of `query`.
    pub messages: Option<Vec<Turn>>,
    /// Hits wanted; the tenant's default when unset.
    pub top_k: Option<u64>,
    /// How to search; the tenant's default when unset.
    pub mode: Option<Mode>,
    /// Which documents may answer.
    pub filter: Option<Filter>,
    /// Hits of one document at most; the tenant's default when unset.
    pub max_chunks_per_document: Option<u64>,
    /// Whether the tenant's reranker orders the hits; it does when unset.
    pub rerank: Option<bool>,
    /// Whether hits bring the text of the passages around them.
    pub passages: bool,
    /// A kept generation to ask; the one that serves when unset.
    pub generation: Option<u64>,
}

/// An upload that has been accepted.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The document as it stands.
    pub document: DocumentStatus,
    /// The job that brings it into the index.
    pub job_id: JobId,
}

/// What a delete removed; in force when it is returned.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Removed {
    /// The document.
    pub document_id: DocumentId,
    /// Chunks that no longer answer.
    pub chunks: u64,
    /// Bytes that were stored.
    pub bytes: u64,
    /// The generation it was taken out of; none when it had not been indexed.
    pub generation: Option<u64>,
    /// The job that keeps the receipt.
    pub job_id: JobId,
    /// What was removed from where.
    pub receipt: Receipt,
}

/// A rebuild that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobTicket {
    /// The job to follow.
    pub job_id: JobId,
    /// Whether it joins one that was waiting already.
    pub joined: bool,
}

/// What a request is counted against: bringing documents in must not use up the questions, nor the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// Questions, and whatever is no upload.
    Queries,
    /// Uploads and deletes, and following their jobs.
    Uploads,
}

impl Budget {
    /// Its name in headers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queries => "queries",
            Self::Uploads => "uploads",
        }
    }
}

/// Where the caller stands with one of its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limited {
    /// Which.
    pub budget: Budget,
    /// Requests a minute that come back.
    pub per_minute: u32,
    /// Requests that the budget holds when it is full.
    pub burst: u32,
    /// Requests left of these; 0 when refused.
    pub remaining: u32,
    /// Milliseconds until the next request is let through; 0 when one is now.
    pub wait_ms: u64,
}

/// How long a caller waits for the tenant's actor. A removal may wait behind a swap, which takes seconds at most.
const PATIENCE: Duration = Duration::from_secs(20);

/// One tenant's verbs.
#[derive(Clone)]
pub struct Desk {
    pub(super) cell: Arc<Cell>,
    pub(super) shared: Shared,
    supervisor: ActorRef<SupervisorMsg>,
}

impl Desk {
    pub(super) fn new(cell: Arc<Cell>, shared: Shared, supervisor: ActorRef<SupervisorMsg>) -> Self {
        Self { cell, shared, supervisor }
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.cell.id
    }

    /// Its settings at this moment.
    #[must_use]
    pub fn settings(&self) -> Arc<TenantSettings> {
        self.cell.settings.load_full()
    }

    /// How it fares, and what it serves.
    #[must_use]
    pub fn status(&self) -> TenantStatus {
        self.cell.status(&self.shared.engine)
    }

    /// Counts one request against one of the tenant's rates.
    ///
    /// # Errors
    /// [`DeskError::RateLimited`].
    pub fn admit(&self, budget: Budget) -> Result<Limited, DeskError> {
        self.cell.doors.count(budget).inspect_err(|_| self.cell.metrics.rate_limited(budget.as_str()))
    }

    /// Answers a question with citations that hold.
    ///
    /// # Errors
    /// When the question is refused, the index is not ready, or too many ask at once.
    pub async fn ask(&self, ask: Ask) -> Result<Answer, DeskError> {
        let begun = Instant::now();
        let (settings, metrics, generation) = (self.settings(), &self.cell.metrics, ask.generation);
        let (question, conversation) = self.question(ask, &settings)?;
        let _permit = self.enter("concurrency")?;
        let snapshot = self.waited(begun, generation).await?;
        let incomplete = self.incomplete(generation);
        let answer = self.shared.engine.ask(&snapshot, question, conversation.as_ref(), &settings, metrics).await;
        let mut answer = answer.inspect_err(|_| metrics.query(QueryOutcome::Error))?;
        answer.degraded.extend(incomplete);
        Ok(answer)
    }

    /// Finds the evidence for an answer that is to be told as it is written.
    ///
    /// # Errors
    /// As [`Desk::ask`].
    pub async fn begin_answer(&self, ask: Ask) -> Result<Asked, DeskError> {
        let begun = Instant::now();
        let (settings, metrics, generation) = (self.settings(), &self.cell.metrics, ask.generation);
        let (question, conversation) = self.question(ask, &settings)?;
        let permit = self.enter("concurrency")?;
        let snapshot = self.waited(begun, generation).await?;
        let incomplete = self.incomplete(generation);
        let found = self.shared.engine.evidence(&snapshot, question, conversation.as_ref(), &settings, metrics).await;
        let mut found = found.inspect_err(|_| metrics.query(QueryOutcome::Error))?;
        found.degraded.extend(incomplete);
        let (engine, metrics) = (self.shared.engine.clone(), metrics.clone());
        Ok(Asked { engine, metrics, settings, snapshot, found, _permit: permit })
    }

    /// Finds chunks without answering.
    ///
    /// # Errors
    /// As [`Desk::ask`].
    pub async fn search(&self, ask: Ask) -> Result<SearchReply, DeskError> {
        let begun = Instant::now();
        let (settings, generation) = (self.settings(), ask.generation);
        let (question, _) = self.question(ask, &settings)?;
        let _permit = self.enter("concurrency")?;
        let snapshot = self.waited(begun, generation).await?;
        let incomplete = self.incomplete(generation);
        let mut reply =
            self.shared.engine.search(&snapshot, &question, &settings.retrieval, &self.cell.metrics).await?;
        reply.degraded.extend(incomplete);
        Ok(reply)
    }

    pub(super) fn question(
        &self,
        ask: Ask,
        settings: &TenantSettings,
    ) -> Result<(Question, Option<Conversation>), DeskError> {
        let top_k = ask.top_k.unwrap_or(settings.retrieval.top_k as u64);
        let mode = ask.mode.unwrap_or(settings.retrieval.mode);
        if ask.messages.is_some() && !ask.query.is_empty() {
            let both = "stand beside `query`: send one of the two".to_owned();
            return Err(QuestionError::Messages(both).into());
        }
        let conversation = ask.messages.map(Conversation::parse).transpose()?;
        let text = conversation.as_ref().map_or(ask.query.as_str(), Conversation::question);
        let max_chars = self.shared.config.http.max_query_chars;
        let mut question = Question::parse(text, top_k, mode, ask.filter, max_chars)?;
        if let Some(most) = ask.max_chunks_per_document {
            question = question.with_per_document(most)?;
        }
        let question = Question { rerank: ask.rerank, passages: ask.passages, ..question };
        self.cell.note_question(settings, &question.text);
        Ok((question, conversation))
    }

    pub(super) fn enter(&self, policy: &'static str) -> Result<OwnedSemaphorePermit, DeskError> {
        self.cell.doors.enter().inspect_err(|_| self.cell.metrics.rate_limited(policy))
    }

    /// The state that is asked of; what the question waited for it since `begun` is timed.
    async fn waited(&self, begun: Instant, generation: Option<u64>) -> Result<Arc<Snapshot>, DeskError> {
        let snapshot = self.state_of(generation).await;
        self.cell.metrics.stage(QueryStage::Queue, begun.elapsed());
        snapshot
    }

    pub(super) fn snapshot(&self) -> Result<Arc<Snapshot>, DeskError> {
        self.cell.snapshot().ok_or_else(|| match self.cell.health() {
            Health::Quarantined { cause } => DeskError::Quarantined(cause),
            _ => match self.cell.why_not.load_full() {
                Some(why) => DeskError::FirstBuildFails(why.message.clone()),
                None => DeskError::IndexNotReady,
            },
        })
    }

    /// What a reply from the serving generation must say while its first build has not ended.
    pub(super) fn incomplete(&self, generation: Option<u64>) -> Option<Degradation> {
        let first = self.cell.first.load();
        let first = first.as_ref().filter(|_| generation.is_none())?;
        let why = self.cell.why_not.load();
        let why = why.as_ref().map(|why| format!("; it fails and is tried again: {}", why.message));
        let message = format!("{}{}", incomplete(first), why.unwrap_or_default());
        Some(Degradation { code: "index_incomplete".to_owned(), message })
    }

    /// Begins an upload, checking the quota.
    ///
    /// # Errors
    /// When the quota is used up or the disk refuses.
    pub async fn begin_upload(&self) -> Result<UploadWriter, DeskError> {
        let left = self.left(1, 1).await?;
        let begun = self.cell.documents.begin(self.shared.config.http.max_upload_bytes.min(left)).await;
        if matches!(begun, Err(StoreError::Denied { .. })) {
            self.cell.note_error("an upload was refused, since the server may not write to the tenant's folder: `carrel doctor` says what to do");
        }
        Ok(begun?)
    }

    /// The bytes that the quota leaves beside what is there; at least `bytes`, and `documents` documents.
    async fn left(&self, documents: u64, bytes: u64) -> Result<u64, DeskError> {
        let (limits, totals) = (self.settings().limits.clone(), self.totals().await?);
        if totals.documents.saturating_add(documents) > limits.max_documents {
            return Err(DeskError::Quota(format!("{} documents of {}", totals.documents, limits.max_documents)));
        }
        let left = limits.max_bytes.saturating_sub(totals.bytes);
        if bytes > left {
            return Err(DeskError::Quota(format!("{} bytes of {}", totals.bytes, limits.max_bytes)));
        }
        Ok(left)
    }

    /// Ends an upload: durable and queued for ingestion when it returns.
    ///
    /// # Errors
    /// When it is empty, the id belongs to the folder, others that came to their end before it used up the quota, or the disk
    /// refuses; then nothing has changed. When the ledger
    /// refuses, the document may have come to stay without a job: sent again, it is what it was to be.
    pub async fn finish_upload(
        &self,
        upload: UploadWriter,
        id: DocumentId,
        name: String,
        attributes: Attributes,
        by: &str,
    ) -> Result<Upload, DeskError> {
        // A task of its own: a caller who leaves now does not stop it half-way.
        let (desk, by) = (self.clone(), by.to_owned());
        let work = tokio::spawn(async move { desk.keep(upload, id, name, attributes, &by).await });
        work.await.map_err(|_| DeskError::Unresponsive)?
    }

    async fn keep(
        &self,
        upload: UploadWriter,
        id: DocumentId,
        name: String,
        attributes: Attributes,
        by: &str,
    ) -> Result<Upload, DeskError> {
        let open = self.cell.open.read().await;
        if !*open {
            return Err(DeskError::NoTenant);
        }
        let id = self.new_id(id).await?;
        // Others that began beside it may have used up what was left for it then.
        let (_arrival, documents, bytes) = self.cell.arriving.count(upload.received());
        self.left(documents, bytes).await?;
        let stored = upload.finish(&id, &name, attributes).await?;
        let job = Job::queued(JobKind::Ingest, Some(id.clone()), by);
        let hash = stored.content_hash.ok_or(DeskError::NotFound("document"))?;
        let record = records::queued(&stored, hash, Some(job.id));
        let (document, job_id) = (record.status.clone(), job.id);
        let ledger = &self.shared.ledger;
        let noted = match ledger.save_job(&self.cell.id, job).await {
            Ok(()) => ledger.save_documents(&self.cell.id, vec![record]).await,
            refused => refused,
        };
        // An actor that is dead just now finds the document when it is started again. It is there, so it is brought in even
        // if the ledger does not know of it.
        if let Some(actor) = self.cell.actor.load_full() {
            let _ = actor.cast(Letter::new(&self.cell, IndexMsg::Changed(id, Some(job_id))));
        }
        Ok(noted.map(|()| Upload { document, job_id })?)
    }

    /// The id under which a document is kept that comes as `id`: composed, unless one is there as it is written.
    async fn new_id(&self, id: DocumentId) -> Result<DocumentId, DeskError> {
        let composed = id.clone().composed();
        if composed == id {
            return Ok(id);
        }
        let (cell, written) = (Arc::clone(&self.cell), id.clone());
        let found = blocking(move || Ok(cell.documents.find(&written)?)).await.map_err(desk_error)?;
        Ok(found.map_or(composed, |found| found.id))
    }

    /// The id under which a document is known that is asked for as `id`, in whichever Unicode form that is written.
    pub(super) async fn known_id(&self, id: &DocumentId) -> Result<DocumentId, DeskError> {
        let composed = id.clone().composed();
        if composed == *id || self.shared.ledger.document(&self.cell.id, id).await?.is_some() {
            return Ok(id.clone());
        }
        Ok(composed)
    }

    /// A page of documents.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn documents(
        &self,
        page: Page<DocumentId>,
        state: Option<DocumentState>,
    ) -> Result<Listed<DocumentStatus>, DeskError> {
        // What is being worked on is written down as waiting.
        let wanted = if state == Some(DocumentState::Working) { Some(DocumentState::Queued) } else { state };
        let mut listed = self.shared.ledger.documents(&self.cell.id, page, wanted).await?;
        listed.entries = listed.entries.into_iter().map(|status| self.as_it_is(status)).collect();
        if let Some(wanted) = state {
            listed.entries.retain(|status| status.state == wanted);
        }
        Ok(listed)
    }

    /// Sums over the documents.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn totals(&self) -> Result<DocumentTotals, DeskError> {
        Ok(self.shared.ledger.document_totals(&self.cell.id).await?)
    }

    /// One document.
    ///
    /// # Errors
    /// [`DeskError::NotFound`].
    pub async fn document(&self, id: &DocumentId) -> Result<DocumentStatus, DeskError> {
        let id = self.known_id(id).await?;
        let record = self.shared.ledger.document(&self.cell.id, &id).await?;
        record.map(|record| self.as_it_is(record.status)).ok_or(DeskError::NotFound("document"))
    }

    /// A document with how far it is, which is not written down.
    fn as_it_is(&self, status: DocumentStatus) -> DocumentStatus {
        if status.state != DocumentState::Queued {
            return status;
        }
        let Some((progress, waits_for)) = self.cell.queue.progress(&status.id) else { return status };
        let works = progress.stage.is_some();
        let state = if works { DocumentState::Working } else { status.state };
        let progress_shown = works.then_some(progress);
        DocumentStatus { state, stage: progress.stage, progress: progress_shown, problem: waits_for, ..status }
    }

    /// Bytes `start..end` of a document's extracted text (clamped to its length and moved inward to character boundaries);
    /// returns the range that was taken and its text.
    ///
    /// # Errors
    /// [`DeskError::NotFound`] when there is no such document in the index.
    pub async fn text(
        &self,
        id: &DocumentId,
        start: usize,
        end: Option<usize>,
    ) -> Result<(usize, usize, String), DeskError> {
        self.text_in(None, id, start, end).await
    }

    /// Deletes a document: gone from disk and from every generation when it returns.
    ///
    /// # Errors
    /// [`DeskError::NotFound`], or the disk's refusal.
    pub async fn delete(&self, id: &DocumentId, by: &str) -> Result<Removed, DeskError> {
        let (wanted, by) = (self.known_id(id).await?, by.to_owned());
        let removed = self.call(|reply| IndexMsg::Remove(wanted, by, reply)).await??;
        Ok(removed)
    }

    /// Asks for a new generation beside the serving one; a fresh one takes nothing over. Asked again while one waits, it
    /// joins that. A quarantined tenant gets another chance first.
    ///
    /// # Errors
    /// [`DeskError::OtherRebuild`] when one waits that is asked for otherwise, or when the actor does not answer.
    pub async fn reindex(&self, by: &str, fresh: bool) -> Result<JobTicket, DeskError> {
        if matches!(self.cell.health(), Health::Quarantined { .. }) {
            let id = self.cell.id.clone();
            let _ = self.supervisor.call(|reply| SupervisorMsg::Revive(id, reply), Some(PATIENCE)).await;
        }
        let job = Box::new(Job { fresh, ..Job::queued(JobKind::Reindex, None, by) });
        let ticket = self.call(|reply| IndexMsg::Rebuild(job, reply)).await??;
        Ok(ticket)
    }

    /// Kills the tenant's writer, as a fault would; the supervisor starts another. For drills and tests.
    pub fn kill_writer(&self) {
        if let Some(actor) = self.cell.actor.load_full() {
            actor.kill();
        }
    }

    pub(super) async fn call<T: Send + 'static>(
        &self,
        message: impl FnOnce(RpcReplyPort<T>) -> IndexMsg,
    ) -> Result<T, DeskError> {
        let actor = self.cell.actor.load_full().ok_or_else(|| match self.cell.health() {
            Health::Quarantined { cause } => DeskError::Quarantined(cause),
            _ => DeskError::Unresponsive,
        })?;
        match actor.call(|reply| Letter::new(&self.cell, message(reply)), Some(PATIENCE)).await {
            Ok(CallResult::Success(reply)) => Ok(reply),
            _ => Err(DeskError::Unresponsive),
        }
    }
}

/// Moves a range inward to what can be cut out of `text`.
pub(super) fn inward(text: &str, start: usize, end: usize) -> (usize, usize) {
    let start = (start.min(text.len())..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let end = text.floor_char_boundary(end.min(text.len())).max(start);
    (start, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_moved_inward_to_whole_characters() {
        let text = "aé日b";
        assert_eq!(inward(text, 0, 99), (0, 7));
        assert_eq!(inward(text, 2, 5), (3, 3));
        assert_eq!(inward(text, 50, 60), (7, 7));
        assert_eq!(inward(text, 6, 2), (6, 6));
    }
}

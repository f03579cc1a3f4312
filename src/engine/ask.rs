//! Question → answer: hits, judged as evidence, answered, checked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::mpsc::Sender;
use uuid::Uuid;

use super::Engine;
use super::cite::Proofs;
use super::search::{Clock, Retrieved, SearchError, millis};
use crate::answer::{Admission, AnswerError, Answerer, Ask, Draft, Evidence, admit, judge};
use crate::config::{AnswerSettings, TenantSettings};
use crate::domain::{Answer, Conversation, Degradation, Hit, IndexStamp, Outcome, Question, Timings, Usage};
use crate::index::{IndexError, Snapshot};
use crate::telemetry::{self, Invariant, QueryOutcome, QueryStage, TenantMetrics};

/// The part of a model's time that rewriting a question may take: the answer needs the rest.
const REWRITING: u32 = 3;
/// Longest question that a model may write, characters.
const LONGEST_QUESTION: usize = 1_000;

/// Bytes at the begin of a document that are taken to say what the whole is about.
const HEAD: usize = 1_000;

/// A question whose evidence was found and judged; its answer is still to be written.
#[derive(Debug, Clone)]
pub struct Found {
    /// What was searched for.
    pub question: Question,
    /// Whether that is of a conversation, and is to be shown.
    pub of_conversation: bool,
    /// The hits, best first.
    pub hits: Vec<Hit>,
    /// Those of them that may answer, for the question's keys.
    pub admission: Admission,
    /// Whether these are evidence enough for an answer.
    pub enough: bool,
    /// Which generation was read.
    pub index: IndexStamp,
    /// What did not work as set.
    pub degraded: Vec<Degradation>,
    /// Where the time went so far.
    pub timings_ms: Timings,
    begun: Instant,
    /// Time that is left to the model.
    model_time: Duration,
    /// What rewriting took.
    usage: Usage,
}

impl Found {
    /// The hits that an answer may be made from.
    pub(super) fn admitted(&self) -> Vec<Hit> {
        self.admission.hits.iter().map(|at| self.hits[*at].clone()).collect()
    }
}

/// What one search found, judged.
struct Looked {
    hits: Vec<Hit>,
    index: IndexStamp,
    degraded: Vec<Degradation>,
    admission: Admission,
    evidence: Evidence,
}

/// How an answer that was told as it was written ended.
#[derive(Debug, Clone)]
pub enum Told {
    /// Whole; its text is what was told, joined.
    Whole(Box<Answer>),
    /// The model broke off after words had left.
    BrokenOff {
        /// What was told until then. Its citations hold.
        said: Box<Answer>,
        /// Why it broke off.
        why: AnswerError,
        /// What the documents themselves say instead.
        instead: Box<Answer>,
    },
}

impl Engine {
    /// Answers `question` from `snapshot` alone. With a conversation, `question` is its last message, and what is searched
    /// for is what the tenant's model makes of it.
    ///
    /// Without evidence the outcome is `no_evidence` and there is no answer. A language model that fails is replaced by
    /// the extractive answerer, and the answer says so.
    ///
    /// # Errors
    /// As [`Engine::search`].
    pub async fn ask(
        &self,
        snapshot: &Snapshot,
        question: Question,
        conversation: Option<&Conversation>,
        settings: &TenantSettings,
        metrics: &TenantMetrics,
    ) -> Result<Answer, SearchError> {
        let found = self.evidence(snapshot, question, conversation, settings, metrics).await?;
        match self.write(snapshot, found, &settings.answer, metrics, None).await? {
            Told::Whole(answer) => Ok(*answer),
            Told::BrokenOff { instead, .. } => Ok(*instead),
        }
    }

    /// Finds and judges the evidence for an answer, the first half of [`Engine::ask`].
    ///
    /// # Errors
    /// As [`Engine::search`].
    pub async fn evidence(
        &self,
        snapshot: &Snapshot,
        question: Question,
        conversation: Option<&Conversation>,
        settings: &TenantSettings,
        metrics: &TenantMetrics,
    ) -> Result<Found, SearchError> {
        let mut clock = Clock::start(metrics);
        let begun = Instant::now();
        let message = question.clone();
        let (mut question, usage, mut degraded) = self.standalone(question, conversation, &settings.answer).await;
        let model_time = settings.answer.timeout.saturating_sub(begun.elapsed());
        let mut looked = self.look(snapshot, &question, settings, &mut clock).await?;
        degraded.append(&mut looked.degraded);
        // A model may rewrite a question into one that nothing answers; what was asked itself still counts.
        if !looked.evidence.enough && question.text != message.text {
            let asked = self.look(snapshot, &message, settings, &mut clock).await?;
            if asked.evidence.enough {
                let new: Vec<_> = asked.degraded.iter().filter(|lost| !degraded.contains(lost)).cloned().collect();
                degraded.extend(new);
                question = message;
                looked = asked;
            }
        }
        let Looked { hits, index, admission, evidence, .. } = looked;
        if let Some(cosine) = evidence.cosine {
            metrics.top_score(cosine);
        }
        Ok(Found {
            question,
            of_conversation: conversation.is_some(),
            hits,
            admission,
            enough: evidence.enough,
            index,
            degraded,
            timings_ms: clock.finish(),
            begun,
            model_time,
            usage,
        })
    }

    /// Searches for `question` and judges what is found.
    async fn look(
        &self,
        snapshot: &Snapshot,
        question: &Question,
        settings: &TenantSettings,
        clock: &mut Clock<'_>,
    ) -> Result<Looked, SearchError> {
        let Retrieved { hits, index, degraded } = self.find(snapshot, question, &settings.retrieval, clock).await?;
        let admission = admit(&question.text, &hits, |hit| subject_of(snapshot, hit))?;
        let admitted: Vec<&Hit> = admission.hits.iter().map(|at| &hits[*at]).collect();
        let evidence = judge(question, &admitted, settings.answer.min_score);
        Ok(Looked { hits, index, degraded, admission, evidence })
    }

    /// Writes the answer to what was found, the second half of [`Engine::ask`], and tells its words as they come; they are
    /// final, and each marker's claim was held against the stored text before it is told.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn tell(
        &self,
        snapshot: &Snapshot,
        found: Found,
        settings: &AnswerSettings,
        metrics: &TenantMetrics,
        listener: &Sender<String>,
    ) -> Result<Told, SearchError> {
        self.write(snapshot, found, settings, metrics, Some(listener)).await
    }

    /// What to search for, what it took to write it, and what did not work.
    async fn standalone(
        &self,
        question: Question,
        conversation: Option<&Conversation>,
        settings: &AnswerSettings,
    ) -> (Question, Usage, Vec<Degradation>) {
        let Some(conversation) = conversation.filter(|conversation| conversation.has_context()) else {
            return (question, Usage::default(), Vec::new());
        };
        let Some(model) = &settings.model else {
            return (question, Usage::default(), vec![not_rewritten("the tenant has no language model")]);
        };
        let timeout = settings.timeout / REWRITING;
        match self.answerers.standalone(&self.payer, model, conversation, LONGEST_QUESTION, timeout).await {
            Ok(made) => (Question { text: made.question, ..question }, made.usage, Vec::new()),
            Err(error) => {
                tracing::warn!(model.name = %model, error = %error, "a follow-up question was not rewritten");
                (question, Usage::default(), vec![not_rewritten(&error.to_string())])
            }
        }
    }

    /// Writes the answer, whoever writes it.
    async fn write(
        &self,
        snapshot: &Snapshot,
        mut found: Found,
        settings: &AnswerSettings,
        metrics: &TenantMetrics,
        listener: Option<&Sender<String>>,
    ) -> Result<Told, SearchError> {
        let begun = Instant::now();
        let question = found.question.clone();
        let hits = found.admitted();
        let ask = Ask { question: &question, hits: &hits, settings, timeout: found.model_time };
        let said = if found.enough {
            self.speak(snapshot, ask, listener, &mut found.degraded).await?
        } else {
            Said::new(snapshot, &hits, self.answerers.get(&self.payer, None))
        };
        found.degraded.extend(said.draft.shown.map(|shown| shortened(shown, hits.len())));
        let broken = match &said.broken {
            Some(why) => Some((why.clone(), self.quote(snapshot, ask, None).await?)),
            None => None,
        };
        metrics.stage(QueryStage::Generate, begun.elapsed());
        found.timings_ms.insert(QueryStage::Generate.as_str(), millis(begun.elapsed()));
        found.timings_ms.insert("total", millis(found.begun.elapsed()));
        let Some((why, quotes)) = broken else {
            let answer = said.close(found, metrics);
            metrics.query(outcome(&answer));
            return Ok(Told::Whole(Box::new(answer)));
        };
        metrics.query(QueryOutcome::Error);
        let mut degraded = found.degraded.clone();
        degraded.push(replaced(&why));
        // What rewriting took is counted once.
        let instead = Found { degraded, usage: Usage::default(), ..found.clone() };
        let said = Box::new(said.close(found, metrics));
        Ok(Told::BrokenOff { said, why, instead: Box::new(quotes.close(instead, metrics)) })
    }

    /// Lets the tenant's model answer, or quotes where there is none or it fails before a word has left.
    async fn speak<'a>(
        &self,
        snapshot: &'a Snapshot,
        ask: Ask<'a>,
        listener: Option<&Sender<String>>,
        degraded: &mut Vec<Degradation>,
    ) -> Result<Said<'a>, IndexError> {
        let model = self.answerers.get(&self.payer, ask.settings.model.as_ref());
        let said = Said::new(snapshot, ask.hits, model).all(ask, listener).await?;
        let Some(error) = &said.broken else { return Ok(said) };
        tracing::warn!(model.name = said.by.name(), error = %error, "the language model failed");
        if !said.draft.text.is_empty() {
            return Ok(said);
        }
        degraded.push(replaced(error));
        self.quote(snapshot, ask, listener).await
    }

    /// Quotes the documents, which never fails.
    async fn quote<'a>(
        &self,
        snapshot: &'a Snapshot,
        ask: Ask<'a>,
        listener: Option<&Sender<String>>,
    ) -> Result<Said<'a>, IndexError> {
        Said::new(snapshot, ask.hits, self.answerers.get(&self.payer, None)).all(ask, listener).await
    }
}

/// What an answerer has said so far, proved.
struct Said<'a> {
    by: Arc<dyn Answerer>,
    proofs: Proofs<'a>,
    /// Its text is what has left; its claims are in the proofs.
    draft: Draft,
    /// Why it broke off, if it did.
    broken: Option<AnswerError>,
}

impl<'a> Said<'a> {
    fn new(snapshot: &'a Snapshot, hits: &'a [Hit], by: Arc<dyn Answerer>) -> Self {
        Self { by, proofs: Proofs::new(snapshot, hits), draft: Draft::default(), broken: None }
    }

    /// Takes all that the answerer says, and tells it on.
    async fn all(mut self, ask: Ask<'_>, listener: Option<&Sender<String>>) -> Result<Self, IndexError> {
        let by = self.by.clone();
        let mut parts = match listener {
            Some(_) => by.stream(ask),
            None => stream::once(by.answer(ask)).boxed(),
        };
        while let Some(part) = parts.next().await {
            let part = match part {
                Ok(part) => part,
                Err(error) => {
                    self.broken = Some(error);
                    break;
                }
            };
            let text = self.proofs.take(&part)?;
            self.draft.join(Draft { text: text.clone(), claims: Vec::new(), ..part });
            if let Some(listener) = listener.filter(|_| !text.is_empty()) {
                // A listener that has left takes the whole answer with it.
                let _ = listener.send(text).await;
            }
        }
        drop(parts);
        Ok(self)
    }

    fn close(self, found: Found, metrics: &TenantMetrics) -> Answer {
        if !self.proofs.dropped.is_empty() {
            telemetry::citations_dropped(self.proofs.dropped.len() as u64);
            telemetry::invariant_violated(Invariant::Proof);
        }
        let mut usage = found.usage;
        usage += self.draft.usage;
        metrics.llm_tokens(usage.prompt_tokens, usage.completion_tokens);
        let empty = self.draft.text.trim().is_empty();
        Answer {
            id: format!("ans_{}", Uuid::now_v7().simple()),
            outcome: if empty { Outcome::NoEvidence } else { Outcome::Answered },
            search_query: found.of_conversation.then_some(found.question.text),
            answer: self.draft.text,
            answered_by: self.by.name().to_owned(),
            citations: self.proofs.citations,
            unsupported: self.draft.unsupported,
            not_found: found.admission.not_found,
            hits: found.hits,
            usage,
            timings_ms: found.timings_ms,
            index: found.index,
            degraded: found.degraded,
        }
    }
}

/// What a hit's document says of its subject beyond the hit: its passage, and the head of the whole.
fn subject_of(snapshot: &Snapshot, hit: &Hit) -> Result<String, IndexError> {
    let mut said = String::new();
    if hit.passage.end > hit.passage.start {
        said.extend(snapshot.text_at(&hit.document_id, hit.passage.start..hit.passage.end)?);
    }
    if hit.passage.start > 0 {
        // A cut within a character reads nothing; no character is longer than four bytes.
        for end in HEAD.min(hit.start)..HEAD.min(hit.start) + 4 {
            if let Some(head) = snapshot.text_at(&hit.document_id, 0..end)? {
                said.push('\n');
                said.push_str(&head);
                break;
            }
        }
    }
    Ok(said)
}

fn outcome(answer: &Answer) -> QueryOutcome {
    match answer.outcome {
        _ if !answer.degraded.is_empty() => QueryOutcome::Degraded,
        Outcome::Answered => QueryOutcome::Answered,
        Outcome::NoEvidence => QueryOutcome::NoEvidence,
    }
}

fn replaced(error: &AnswerError) -> Degradation {
    let message = format!("answered by quoting sentences, since {error}");
    Degradation { code: error.code().to_owned(), message }
}

fn shortened(shown: usize, hits: usize) -> Degradation {
    let message = format!(
        "answered from the first {shown} of {hits} passages, since the context of the language model holds no more"
    );
    Degradation { code: "context_shortened".to_owned(), message }
}

fn not_rewritten(why: &str) -> Degradation {
    let message = format!("searched for the last message as it stands, since {why}");
    Degradation { code: "rewrite_unavailable".to_owned(), message }
}

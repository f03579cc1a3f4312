//! Question → answer: hits, judged as evidence, answered, checked.

use std::time::Instant;

use uuid::Uuid;

use super::Engine;
use super::cite;
use super::search::{Clock, SearchError, stamp};
use crate::answer::{Ask, Draft, judge};
use crate::config::TenantSettings;
use crate::domain::{Answer, Degradation, Hit, Outcome, Question, Usage};
use crate::index::Snapshot;
use crate::telemetry::{self, QueryOutcome, QueryStage, TenantMetrics};

impl Engine {
    /// Answers `question` from `snapshot` alone.
    ///
    /// Without evidence the outcome is `no_evidence` and there is no answer. A language model that fails is replaced by
    /// the extractive answerer, and the answer says so.
    ///
    /// # Errors
    /// As [`Engine::search`].
    pub async fn ask(
        &self,
        snapshot: &Snapshot,
        question: &Question,
        settings: &TenantSettings,
        metrics: &TenantMetrics,
    ) -> Result<Answer, SearchError> {
        let mut clock = Clock::start(metrics);
        let (hits, mut degraded) = self.find(snapshot, question, &settings.retrieval, &mut clock).await?;
        let begun = Instant::now();
        let evidence = judge(question, &hits, settings.answer.min_score);
        if let Some(cosine) = evidence.cosine {
            metrics.top_score(cosine);
        }
        let written =
            if evidence.enough { Some(self.write(question, &hits, settings, &mut degraded).await) } else { None };
        let (draft, answered_by) = written.unwrap_or_else(|| (Draft::default(), "extractive".to_owned()));
        let checked = cite::check(snapshot, &hits, &draft)?;
        clock.note(QueryStage::Generate, begun.elapsed());
        telemetry::citations_dropped(checked.dropped as u64);
        metrics.llm_tokens(draft.usage.prompt_tokens, draft.usage.completion_tokens);
        let outcome = if checked.text.trim().is_empty() { Outcome::NoEvidence } else { Outcome::Answered };
        metrics.query(match outcome {
            _ if !degraded.is_empty() => QueryOutcome::Degraded,
            Outcome::Answered => QueryOutcome::Answered,
            Outcome::NoEvidence => QueryOutcome::NoEvidence,
        });
        Ok(Answer {
            id: format!("ans_{}", Uuid::now_v7().simple()),
            outcome,
            answer: checked.text,
            answered_by,
            citations: checked.citations,
            unsupported: draft.unsupported,
            hits,
            usage: Usage { ..draft.usage },
            timings_ms: clock.finish(),
            index: stamp(snapshot),
            degraded,
        })
    }

    /// Lets the tenant's model answer, or the extractive answerer where there is none or it fails.
    async fn write(
        &self,
        question: &Question,
        hits: &[Hit],
        settings: &TenantSettings,
        degraded: &mut Vec<Degradation>,
    ) -> (Draft, String) {
        let ask = Ask { question, hits, settings: &settings.answer };
        let wanted = self.answerers.get(settings.answer.model.as_ref());
        match wanted.answer(ask).await {
            Ok(draft) => (draft, wanted.name().to_owned()),
            Err(error) => {
                tracing::warn!(model.name = wanted.name(), error = %error, "the language model failed, answering by quotes");
                degraded.push(Degradation {
                    code: error.code().to_owned(),
                    message: format!("answered by quoting sentences, since {error}"),
                });
                let quotes = self.answerers.get(None);
                let draft = quotes.answer(ask).await.unwrap_or_default();
                (draft, quotes.name().to_owned())
            }
        }
    }
}

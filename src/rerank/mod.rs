//! Hits in a better order, by a model behind a provider.
//!
//! Owns the calls to rerank endpoints of the shape that Cohere and Jina share (`POST …/rerank` with `model`, `query`,
//! `documents`, `top_n`; `results` of `index` and `relevance_score`). Called by `engine/`; knows texts, not chunks. What
//! comes back is believed only after it was checked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::ModelRef;
use crate::provider::{CallError, Line, Payer, Providers, Request, Urgency};
use crate::telemetry::{self, CallOutcome, Calls};

/// Largest answer that is read: 200 results take some 10 KiB, and servers that send the documents back some 1 MiB.
const MAX_BYTES: usize = 4 << 20;
/// Where rerankers are asked.
const PATH: &str = "/rerank";
/// Fields that servers refuse without saying which they mean. Jina's send the texts back unless told not to.
const UNSURE: &[&str] = &["return_documents"];

/// Why hits keep their order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RerankError {
    /// The provider did not answer in time or refused; worth another try later.
    #[error("the reranker `{model}` is not available: {reason}")]
    Unavailable {
        /// `<provider>/<model>`.
        model: String,
        /// In words; never the provider's own body.
        reason: String,
    },
    /// The provider answered something that is no order.
    #[error("the reranker `{model}` answered wrongly: {reason}")]
    Invalid {
        /// `<provider>/<model>`.
        model: String,
        /// What is wrong.
        reason: String,
    },
}

impl RerankError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "rerank_unavailable",
            Self::Invalid { .. } => "rerank_invalid",
        }
    }
}

/// A text's place among those sent, from 0, and how well it answers: higher is better, the scale is the model's own.
pub type Relevance = (usize, f32);

/// Every reranker that tenants name.
pub struct Rerankers {
    providers: Providers,
    models: Mutex<HashMap<(Payer, ModelRef), Arc<Reranker>>>,
}

/// One model of one provider.
pub struct Reranker {
    name: String,
    model: String,
    /// None when `carrel.toml` has no provider of that name.
    provider: Option<Line>,
}

/// What is read of an answer; servers differ in the rest.
#[derive(Deserialize)]
struct Reply {
    results: Vec<Scored>,
}

#[derive(Deserialize)]
struct Scored {
    index: usize,
    /// A number that is none, or too large for `f64`, is written as `null` by some servers.
    relevance_score: Option<f64>,
}

impl Rerankers {
    /// The rerankers of `providers`. Touches no network.
    #[must_use]
    pub fn new(providers: Providers) -> Self {
        providers.names().for_each(|name| telemetry::provider_known(Calls::Rerank, name));
        Self { providers, models: Mutex::default() }
    }

    /// The reranker that `payer` names, the same instance each time. One of a provider that `carrel.toml` does not have
    /// fails every call as unavailable.
    #[must_use]
    pub fn get(&self, payer: &Payer, model: &ModelRef) -> Arc<Reranker> {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(Reranker::new(self.providers.named(&model.provider, payer), model));
        models.entry((payer.clone(), model.clone())).or_insert_with(make).clone()
    }
}

impl Reranker {
    /// A reranker that asks `provider` for `model.model`; touches no network.
    #[must_use]
    pub fn new(provider: Option<Line>, model: &ModelRef) -> Self {
        Self { name: model.to_string(), model: model.model.clone(), provider }
    }

    /// Orders `texts` by how well they answer `question`: all of them, each once, best first; equal ones as they came.
    ///
    /// # Errors
    /// When the provider does not answer within `timeout`, all attempts together, or answers anything but a finite
    /// score for each text.
    pub async fn rerank(
        &self,
        question: &str,
        texts: &[String],
        timeout: Duration,
    ) -> Result<Vec<Relevance>, RerankError> {
        let missing = || self.unavailable("carrel.toml has no provider of this name".to_owned());
        let provider = self.provider.as_ref().ok_or_else(missing)?;
        let order = self.ask(provider, question, texts, timeout).await;
        let outcome = match &order {
            Ok(_) => CallOutcome::Ok,
            Err(RerankError::Unavailable { .. }) => CallOutcome::Unavailable,
            Err(RerankError::Invalid { .. }) => CallOutcome::Invalid,
        };
        telemetry::provider_called(Calls::Rerank, provider.name(), outcome);
        order
    }

    async fn ask(
        &self,
        provider: &Line,
        question: &str,
        texts: &[String],
        timeout: Duration,
    ) -> Result<Vec<Relevance>, RerankError> {
        let fields = json!({
            "model": self.model,
            "query": question,
            "documents": texts,
            "top_n": texts.len(),
            "return_documents": false,
        });
        let Value::Object(fields) = fields else { return Err(self.invalid("the texts are no JSON")) };
        let answer = provider.ask(PATH, Request::new(fields, UNSURE), Urgency::Now, timeout, MAX_BYTES).await;
        let answer = answer.map_err(|error| {
            provider.log(PATH, &error);
            match error {
                CallError::Invalid(reason) => self.invalid(&reason.to_string()),
                other => self.unavailable(other.to_string()),
            }
        })?;
        let reply: Reply = serde_json::from_slice(&answer)
            .map_err(|_| self.invalid("it is no JSON of the shape of a rerank answer"))?;
        in_order(reply.results, texts.len()).map_err(|reason| self.invalid(&reason))
    }

    fn unavailable(&self, reason: String) -> RerankError {
        RerankError::Unavailable { model: self.name.clone(), reason }
    }

    fn invalid(&self, reason: &str) -> RerankError {
        RerankError::Invalid { model: self.name.clone(), reason: reason.to_owned() }
    }
}

/// The results best first, or what is wrong with them: `count` texts must have a finite score each, and none two.
fn in_order(results: Vec<Scored>, count: usize) -> Result<Vec<Relevance>, String> {
    if results.len() != count {
        return Err(format!("{} results for {count} texts", results.len()));
    }
    let mut seen = vec![false; count];
    let mut order = Vec::with_capacity(count);
    for Scored { index, relevance_score } in results {
        let place = seen.get_mut(index).ok_or_else(|| format!("index {index} of {count} texts"))?;
        if std::mem::replace(place, true) {
            return Err(format!("index {index} twice"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "a score has no more than seven digits to say")]
        let score = relevance_score.map(|score| score as f32).filter(|score| score.is_finite());
        order.push((index, score.ok_or_else(|| format!("the score of index {index} is no finite number"))?));
    }
    order.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    Ok(order)
}

#[cfg(test)]
mod tests;

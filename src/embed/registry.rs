//! Every embedder that tenants name, and the cache of question vectors.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use moka::sync::Cache;

use super::minilm::MiniLm;
use super::openai::OpenAiEmbedder;
use super::{EmbedError, Embedder, Purpose};
use crate::config::{EmbedConfig, EmbedderRef, ModelRef};
use crate::domain::TenantId;
use crate::provider::{Payer, Providers};
use crate::telemetry::{self, Calls};

/// Every embedder, one instance each, and the vectors of questions asked lately.
pub struct Embedders {
    builtin: Arc<dyn Embedder>,
    providers: Providers,
    remote: Mutex<HashMap<Payer, Models>>,
    questions: Cache<Key, Arc<[f32]>>,
}

/// The embedders that one payer has named; found without making a key, since every question looks here.
type Models = HashMap<ModelRef, Arc<dyn Embedder>>;

/// BLAKE3 of the payer, the embedder's id and the question: the cache keeps no question's words, and no tenant can tell by
/// a quick answer what another has asked.
type Key = [u8; 32];

impl Embedders {
    /// The embedder in the binary and those of `providers`. Loads no model and touches no network.
    #[must_use]
    pub fn new(providers: Providers, settings: &EmbedConfig) -> Self {
        Self::with(providers, settings, Arc::new(MiniLm::new(settings.threads)))
    }

    /// As [`Embedders::new`], with another embedder in the built-in one's place; for tests.
    #[must_use]
    pub fn with(providers: Providers, settings: &EmbedConfig, builtin: Arc<dyn Embedder>) -> Self {
        providers.names().for_each(|name| telemetry::provider_known(Calls::Embed, name));
        Self { builtin, providers, remote: Mutex::default(), questions: Cache::new(settings.cache_entries) }
    }

    /// The embedder that `payer` names; the same instance each time.
    ///
    /// # Errors
    /// [`EmbedError::Unavailable`] when `carrel.toml` has no such provider.
    pub fn get(&self, payer: &Payer, embedder: &EmbedderRef) -> Result<Arc<dyn Embedder>, EmbedError> {
        let EmbedderRef::Remote(model) = embedder else { return Ok(self.builtin.clone()) };
        let mut remote = self.remote.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = remote.get(payer).and_then(|own| own.get(model)) {
            return Ok(known.clone());
        }
        let provider = self.providers.named(&model.provider, payer).ok_or_else(|| EmbedError::Unavailable {
            provider: model.provider.clone(),
            reason: "carrel.toml has no provider of this name".into(),
        })?;
        let made: Arc<dyn Embedder> = Arc::new(OpenAiEmbedder::new(provider, model));
        remote.entry(payer.clone()).or_default().insert(model.clone(), made.clone());
        Ok(made)
    }

    /// Money for a million model tokens of an embedder's provider; none for the built-in one or where no price is set.
    #[must_use]
    pub fn price(&self, embedder: &EmbedderRef) -> Option<f64> {
        let EmbedderRef::Remote(model) = embedder else { return None };
        self.providers.price(&model.provider)
    }

    /// The embedder that made vectors under this [`Embedder::id`], whatever the tenant's settings say by now.
    ///
    /// # Errors
    /// [`EmbedError::Unavailable`] when it is another built-in model's, or `carrel.toml` has no such provider.
    pub fn by_id(&self, payer: &Payer, id: &str) -> Result<Arc<dyn Embedder>, EmbedError> {
        if id == self.builtin.id() {
            return Ok(self.builtin.clone());
        }
        let named = ModelRef::try_from(id.to_owned()).map(EmbedderRef::Remote);
        let unknown = |reason: String| EmbedError::Unavailable { provider: id.to_owned(), reason: reason.into() };
        self.get(payer, &named.map_err(unknown)?)
    }

    /// The vector of a question, of unit length and `dimension` numbers: from the cache, else embedded ahead of all
    /// passages.
    ///
    /// # Errors
    /// When the embedder fails, or makes vectors of another length; a failure is not kept.
    pub async fn question(
        &self,
        payer: &Payer,
        embedder: &Arc<dyn Embedder>,
        dimension: usize,
        text: &str,
    ) -> Result<Arc<[f32]>, EmbedError> {
        let vectors = self.questions(payer, embedder, dimension, &[text]).await?;
        vectors.into_iter().next().ok_or_else(|| EmbedError::Builtin("no vector for a question".to_owned()))
    }

    /// The vectors of the parts of a question, in order: as [`Embedders::question`], in one call for those that are not in
    /// the cache.
    ///
    /// # Errors
    /// As [`Embedders::question`].
    pub async fn questions(
        &self,
        payer: &Payer,
        embedder: &Arc<dyn Embedder>,
        dimension: usize,
        texts: &[&str],
    ) -> Result<Vec<Arc<[f32]>>, EmbedError> {
        let keys: Vec<Key> = texts.iter().map(|text| key(payer, embedder.id(), text)).collect();
        // One of another length is of a generation before, made by another model under the same name.
        let known = |key: &Key| self.questions.get(key).filter(|vector| vector.len() == dimension);
        let mut vectors: Vec<Option<Arc<[f32]>>> = keys.iter().map(known).collect();
        for known in &vectors {
            telemetry::embed_cache(known.is_some());
        }
        let missing: Vec<usize> = (0..texts.len()).filter(|at| vectors[*at].is_none()).collect();
        if !missing.is_empty() {
            let wanted: Vec<String> = missing.iter().map(|at| texts[*at].to_owned()).collect();
            let made = embedder.embed(&wanted, Purpose::Question).await?;
            for (at, vector) in missing.into_iter().zip(made.vectors) {
                if vector.len() != dimension {
                    return Err(EmbedError::of_length(embedder.id(), vector.len(), dimension));
                }
                let vector: Arc<[f32]> = vector.into();
                self.questions.insert(keys[at], vector.clone());
                vectors[at] = Some(vector);
            }
        }
        let whole: Option<Vec<Arc<[f32]>>> = vectors.into_iter().collect();
        whole.ok_or_else(|| EmbedError::Builtin("no vector for a question".to_owned()))
    }

    /// Loads the built-in model, so that the first question need not wait for it. Call it when the server listens.
    ///
    /// # Errors
    /// When the model cannot be loaded.
    pub async fn warm_up(&self) -> Result<(), EmbedError> {
        self.builtin.embed(&["warm up".to_owned()], Purpose::Question).await.map(drop)
    }
}

fn key(payer: &Payer, embedder: &str, text: &str) -> Key {
    let payer = payer.as_ref().map_or("", TenantId::as_str);
    let mut hasher = blake3::Hasher::new();
    // No id holds a NUL, so no two of them run together.
    hasher.update(payer.as_bytes()).update(b"\0").update(embedder.as_bytes()).update(b"\0").update(text.as_bytes());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures_util::future::{BoxFuture, FutureExt};

    use super::super::{Embedded, HashEmbedder};
    use super::*;
    use crate::config::Config;

    /// Counts calls; fails while told to.
    struct Counted {
        inner: HashEmbedder,
        calls: AtomicU64,
        failing: AtomicU64,
    }

    impl Embedder for Counted {
        fn id(&self) -> &str {
            self.inner.id()
        }
        fn dimension(&self) -> Option<usize> {
            self.inner.dimension()
        }
        fn multilingual(&self) -> bool {
            true
        }
        fn max_tokens(&self) -> usize {
            512
        }
        fn count_tokens(&self, text: &str) -> usize {
            self.inner.count_tokens(text)
        }
        fn embed<'a>(&'a self, texts: &'a [String], purpose: Purpose) -> BoxFuture<'a, Result<Embedded, EmbedError>> {
            assert_eq!(purpose, Purpose::Question);
            self.calls.fetch_add(1, Ordering::SeqCst);
            if self.failing.load(Ordering::SeqCst) > 0 {
                self.failing.fetch_sub(1, Ordering::SeqCst);
                return async { Err(EmbedError::Builtin("as told".into())) }.boxed();
            }
            self.inner.embed(texts, purpose)
        }
    }

    fn counted(dimension: usize) -> Arc<Counted> {
        Arc::new(Counted { inner: HashEmbedder::new(dimension), calls: AtomicU64::new(0), failing: AtomicU64::new(0) })
    }

    fn embedders(more: &str, builtin: Arc<dyn Embedder>) -> Embedders {
        let text = format!("[providers.p]\nbase_url = \"http://127.0.0.1:1/v1\"\n{more}");
        let config: Config = toml::from_str(&text).unwrap();
        Embedders::with(Providers::open(&config).unwrap(), &config.embed, builtin)
    }

    #[tokio::test]
    async fn a_question_asked_again_is_not_embedded_again() {
        let (narrow, wide) = (counted(8), counted(16));
        let embedders = embedders("", narrow.clone());
        let [builtin, other]: [Arc<dyn Embedder>; 2] = [narrow.clone(), wide.clone()];
        for _ in 0..3 {
            assert_eq!(embedders.question(&None, &builtin, 8, "why?").await.unwrap().len(), 8);
            assert_eq!(embedders.question(&None, &other, 16, "why?").await.unwrap().len(), 16);
        }
        assert_eq!((narrow.calls.load(Ordering::SeqCst), wide.calls.load(Ordering::SeqCst)), (1, 1));
    }

    #[tokio::test]
    async fn no_tenant_is_served_what_another_asked() {
        let embedder = counted(8);
        let embedders = embedders("", embedder.clone());
        let shared: Arc<dyn Embedder> = embedder.clone();
        for tenant in ["acme", "globex", "acme"] {
            let payer = Some(TenantId::parse(tenant).unwrap());
            embedders.question(&payer, &shared, 8, "why?").await.unwrap();
        }
        assert_eq!(embedder.calls.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let embedder = counted(8);
        embedder.failing.store(1, Ordering::SeqCst);
        let embedders = embedders("", embedder.clone());
        let shared: Arc<dyn Embedder> = embedder;
        assert!(embedders.question(&None, &shared, 8, "why?").await.is_err());
        assert!(embedders.question(&None, &shared, 8, "why?").await.is_ok());
    }

    #[tokio::test]
    async fn a_vector_of_another_length_than_the_index_has_is_neither_given_nor_kept() {
        let embedder = counted(8);
        let embedders = embedders("", embedder.clone());
        let shared: Arc<dyn Embedder> = embedder.clone();
        for calls in 1..3 {
            let error = embedders.question(&None, &shared, 16, "why?").await.unwrap_err();
            assert_eq!(error.code(), "embedder_invalid");
            assert!(error.to_string().contains("vectors of 8 numbers where the index has 16"), "{error}");
            assert_eq!(embedder.calls.load(Ordering::SeqCst), calls);
        }
        assert_eq!(embedders.question(&None, &shared, 8, "why?").await.unwrap().len(), 8);
        // What is remembered serves the index it was made for alone.
        assert!(embedders.question(&None, &shared, 16, "why?").await.is_err());
        assert_eq!(embedders.question(&None, &shared, 8, "why?").await.unwrap().len(), 8);
        assert_eq!(embedder.calls.load(Ordering::SeqCst), 4, "the first is still remembered");
    }

    #[tokio::test]
    async fn the_cache_keeps_no_more_than_it_may() {
        let embedder = counted(8);
        let embedders = embedders("[embed]\ncache_entries = 10", embedder.clone());
        let shared: Arc<dyn Embedder> = embedder;
        for number in 0..200 {
            embedders.question(&None, &shared, 8, &number.to_string()).await.unwrap();
        }
        embedders.questions.run_pending_tasks();
        assert!(embedders.questions.entry_count() <= 10);
    }

    #[test]
    fn every_name_has_one_embedder() {
        let embedders = embedders("", counted(8));
        let remote = |provider: &str, model: &str| {
            EmbedderRef::Remote(ModelRef { provider: provider.into(), model: model.into() })
        };
        let a = embedders.get(&None, &remote("p", "a")).unwrap();
        assert!(Arc::ptr_eq(&a, &embedders.get(&None, &remote("p", "a")).unwrap()));
        assert_eq!((a.id(), embedders.get(&None, &remote("p", "b")).unwrap().id()), ("p/a", "p/b"));
        assert_eq!(embedders.get(&None, &EmbedderRef::Builtin).unwrap().id(), "hash-8/1");
        let Err(error) = embedders.get(&None, &remote("q", "a")) else { panic!("an unknown provider was found") };
        assert_eq!(error.code(), "embedder_unavailable");
    }
}

//! Why a state finds what it finds, and what it would find without some documents. Nothing here is on a question's way.

use std::sync::Arc;

use super::catalog::{Allowed, key_of};
use super::{Admitted, IndexError, Snapshot, TermShare, TermWeight};
use crate::domain::{DocumentId, Filter, Ranked};

impl Snapshot {
    /// The same state without these documents: no search, text or list knows them.
    #[must_use]
    pub fn without(&self, gone: &[DocumentId]) -> Self {
        if gone.is_empty() {
            return self.clone();
        }
        let mut catalog = self.catalog().as_ref().clone();
        for id in gone {
            catalog.remove(id);
        }
        self.within(catalog)
    }

    /// The key of a document's chunk; none when there is no such chunk.
    #[must_use]
    pub fn key_of(&self, id: &DocumentId, ordinal: u32) -> Option<u64> {
        let key = key_of(self.catalog().number(id)?, ordinal);
        self.catalog().has_chunk(key).then_some(key)
    }

    /// The terms that `question` is searched by, with their weights.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn term_weights(&self, question: &str) -> Result<Vec<TermWeight>, IndexError> {
        self.terms(question).and_then(|terms| self.words().weights(&terms)).map_err(IndexError::tantivy("read"))
    }

    /// What each of these terms adds to the BM25 score of chunk `key`.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn term_shares(&self, weights: &[TermWeight], key: u64) -> Result<Vec<TermShare>, IndexError> {
        self.words().shares(weights, key).map_err(IndexError::tantivy("read"))
    }

    /// What `filter` lets through; all there is without one.
    #[must_use]
    pub fn admitted(&self, filter: Option<&Filter>) -> Admitted {
        match filter {
            Some(filter) => {
                let allowed = self.allowed(filter);
                Admitted { documents: allowed.documents.len() as u64, chunks: allowed.chunks }
            }
            None => Admitted { documents: self.catalog().len() as u64, chunks: self.catalog().chunks() },
        }
    }

    /// Whether `filter` lets this document through.
    #[must_use]
    pub fn admits(&self, filter: &Filter, id: &DocumentId) -> bool {
        self.catalog().number(id).is_some_and(|number| self.allowed(filter).numbers.contains(number))
    }

    /// The `depth` best chunks of one document by words, best first, with the scores they have among all.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn words_in(&self, id: &DocumentId, question: &str, depth: usize) -> Result<Vec<Ranked>, IndexError> {
        let Some(only) = self.alone(id) else { return Ok(Vec::new()) };
        self.terms(question)
            .and_then(|terms| self.words().search(&terms, Some(Arc::new(only)), depth))
            .map_err(IndexError::tantivy("search"))
    }

    /// The `depth` best chunks of one document by exact cosine to `vector`, best first.
    #[must_use]
    pub fn dense_in(&self, id: &DocumentId, vector: &[f32], depth: usize) -> Vec<Ranked> {
        let documents = self.alone(id).map_or_else(Vec::new, |only| only.documents);
        let keys = documents.into_iter().flat_map(|(number, chunks)| (0..chunks).map(move |at| key_of(number, at)));
        let mut hits: Vec<Ranked> =
            keys.filter_map(|key| Some(Ranked { key, score: self.cosine(key, vector)? })).collect();
        super::fuse::best_first(&mut hits);
        hits.truncate(depth);
        hits
    }

    /// One document, as a filter that lets nothing else through.
    fn alone(&self, id: &DocumentId) -> Option<Allowed> {
        let number = self.catalog().number(id)?;
        let chunks = self.catalog().entry(number)?.chunks;
        Some(Allowed::of(number, chunks))
    }
}

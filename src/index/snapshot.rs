//! One state of one generation, as queries read it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::catalog::{Allowed, Catalog, document_of, key_of};
use super::language;
use super::query::Reader;
use super::schema::{Fields, singles};
use super::vectors::Vectors;
use super::wanted::Wanted;
use super::words::Words;
use super::{DocumentEntry, GenerationInfo, IndexError, IndexSpec, IndexedDocument, LanguageShare, StoredChunk};
use crate::domain::{ContentHash, DocumentId, Filter, Ranked, Timestamp};

/// Filters whose documents are remembered: both searches of a question ask for the same, and callers repeat themselves.
const REMEMBERED: usize = 4;

/// One state of one generation, as queries read it. Cheap to clone, never changes.
#[derive(Clone)]
pub struct Snapshot(Arc<State>);

struct State {
    info: GenerationInfo,
    revision: u64,
    fields: Fields,
    words: Arc<Words>,
    vectors: Vectors,
    catalog: Arc<Catalog>,
    filters: Mutex<VecDeque<(Filter, Arc<Allowed>)>>,
    /// The documents that answer where no filter says less; all of them when unset.
    only: Option<Arc<Allowed>>,
}

impl Snapshot {
    /// The state that these parts are, all of the same commit.
    pub(super) fn new(
        info: GenerationInfo,
        revision: u64,
        fields: Fields,
        words: Arc<Words>,
        vectors: Vectors,
        catalog: Arc<Catalog>,
    ) -> Self {
        Self(Arc::new(State { info, revision, fields, words, vectors, catalog, filters: Mutex::default(), only: None }))
    }

    /// The same state under other figures of its generation.
    pub(super) fn with_info(&self, info: GenerationInfo) -> Self {
        let State { revision, fields, words, vectors, catalog, .. } = &*self.0;
        Self::new(info, *revision, *fields, Arc::clone(words), vectors.clone(), Arc::clone(catalog))
    }

    /// The same state with its vectors kept in another way.
    pub(super) fn with_vectors(&self, vectors: Vectors) -> Self {
        let State { info, revision, fields, words, catalog, .. } = &*self.0;
        Self::new(info.clone(), *revision, *fields, Arc::clone(words), vectors, Arc::clone(catalog))
    }

    /// The same state in which nothing but the documents of `catalog`, a part of its own, is there.
    pub(super) fn within(&self, catalog: Catalog) -> Self {
        let State { info, revision, fields, words, vectors, .. } = &*self.0;
        let info = GenerationInfo { documents: catalog.len() as u64, chunks: catalog.chunks(), ..info.clone() };
        let only = Some(Arc::new(catalog.all()));
        let (words, vectors, catalog) = (Arc::clone(words), vectors.clone(), Arc::new(catalog));
        let (revision, fields, filters) = (*revision, *fields, Mutex::default());
        Self(Arc::new(State { info, revision, fields, words, vectors, catalog, filters, only }))
    }

    pub(super) fn words(&self) -> &Words {
        &self.0.words
    }

    pub(super) fn catalog(&self) -> &Arc<Catalog> {
        &self.0.catalog
    }

    pub(super) fn vectors(&self) -> &Vectors {
        &self.0.vectors
    }

    /// The generation this is a state of.
    #[must_use]
    pub fn info(&self) -> GenerationInfo {
        self.0.info.clone()
    }

    /// What it was made with.
    #[must_use]
    pub fn spec(&self) -> &IndexSpec {
        &self.0.info.spec
    }

    /// When its build ended.
    #[must_use]
    pub fn made_at(&self) -> Timestamp {
        self.0.info.made_at
    }

    /// Chunks in it.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.0.info.chunks
    }

    /// Number alone.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.info.number
    }

    /// Counts commits within the generation; grows with each.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.0.revision
    }

    /// The document of this id.
    #[must_use]
    pub fn document(&self, id: &DocumentId) -> Option<Arc<DocumentEntry>> {
        self.0.catalog.entry(self.0.catalog.number(id)?).cloned()
    }

    /// Any document made from the same bytes.
    #[must_use]
    pub fn document_with(&self, hash: &ContentHash) -> Option<Arc<DocumentEntry>> {
        self.0.catalog.with_hash(hash).cloned()
    }

    /// All documents, by id.
    pub fn documents(&self) -> impl Iterator<Item = Arc<DocumentEntry>> + '_ {
        self.0.catalog.entries().cloned()
    }

    /// The whole extracted text of a document.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn text(&self, id: &DocumentId) -> Result<Option<Arc<str>>, IndexError> {
        let Some(number) = self.0.catalog.number(id) else { return Ok(None) };
        let text = self.0.words.text(number).map_err(IndexError::tantivy("read"))?;
        Ok(Some(text.into()))
    }

    /// Bytes `range` of a document's extracted text, without unpacking the rest of a long one; none when there is no such
    /// document, or the range is not one of whole characters within its text.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn text_at(&self, id: &DocumentId, range: Range<usize>) -> Result<Option<String>, IndexError> {
        let Some(number) = self.0.catalog.number(id) else { return Ok(None) };
        self.0.words.text_at(number, range).map_err(IndexError::tantivy("read"))
    }

    /// The document as it was written, vectors and all, to carry into another generation.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn export(&self, id: &DocumentId) -> Result<Option<IndexedDocument>, IndexError> {
        let Some(number) = self.0.catalog.number(id) else { return Ok(None) };
        let (Some(entry), Some(text)) = (self.0.catalog.entry(number), self.text(id)?) else { return Ok(None) };
        let (mut chunks, mut vectors) = (Vec::new(), Vec::new());
        for ordinal in 0..entry.chunks {
            let key = key_of(number, ordinal);
            let stored = self.0.words.chunk(key).map_err(IndexError::tantivy("read"))?;
            let whole = stored.and_then(|stored| Some((self.0.fields.chunk(&stored)?, self.0.fields.vector(&stored)?)));
            let (chunk, vector) = whole.ok_or_else(|| IndexError::Engine(format!("chunk {key} cannot be read")))?;
            chunks.push(chunk);
            vectors.push(singles(&vector));
        }
        Ok(Some(IndexedDocument { entry: DocumentEntry::clone(entry), text, chunks, vectors }))
    }

    /// The chunk of `key`.
    ///
    /// # Errors
    /// When the engine fails; `None` when the key is gone.
    pub fn chunk(&self, key: u64) -> Result<Option<StoredChunk>, IndexError> {
        let Some(document) = self.0.catalog.entry(document_of(key)) else { return Ok(None) };
        let stored = self.0.words.chunk(key).map_err(IndexError::tantivy("read"))?;
        let Some(stored) = stored else { return Ok(None) };
        let chunk = self.0.fields.chunk(&stored);
        let chunk = chunk.ok_or_else(|| IndexError::Engine(format!("chunk {key} cannot be read")))?;
        Ok(Some(StoredChunk { document: Arc::clone(document), chunk }))
    }

    /// The `depth` best chunks by words (BM25, k1 1.2, b 0.75), best first.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn search_words(
        &self,
        question: &str,
        filter: Option<&Filter>,
        depth: usize,
    ) -> Result<Vec<Ranked>, IndexError> {
        let allowed = self.answering(filter);
        self.terms(question)
            .and_then(|terms| self.0.words.search(&terms, allowed, depth))
            .map_err(IndexError::tantivy("search"))
    }

    /// The `depth` best chunks by cosine to `vector`, best first.
    ///
    /// # Errors
    /// When the engine fails, or `vector` has another dimension.
    pub fn search_dense(
        &self,
        vector: &[f32],
        filter: Option<&Filter>,
        depth: usize,
    ) -> Result<Vec<Ranked>, IndexError> {
        let dimension = self.0.info.spec.dimension;
        if vector.len() != dimension {
            let found = vector.len();
            return Err(IndexError::Engine(format!("the question's vector has {found} numbers, not {dimension}")));
        }
        let allowed = self.answering(filter);
        self.0.vectors.search(vector, depth, &self.0.catalog, allowed.as_deref())
    }

    /// The cosine of `vector` (of unit length and the index's dimension) to a chunk's; none when the key is gone.
    #[must_use]
    pub fn cosine(&self, key: u64, vector: &[f32]) -> Option<f32> {
        self.0.vectors.cosine(key, vector)
    }

    /// The language most prose is in, BCP 47 primary; none when none is known.
    #[must_use]
    pub fn main_language(&self) -> Option<&str> {
        self.0.catalog.mix().dominant()
    }

    /// The languages of the documents, most prose first.
    #[must_use]
    pub fn languages(&self) -> Vec<LanguageShare> {
        self.0.catalog.mix().shares()
    }

    /// Language of a question, judged with the index's own languages in mind; BCP 47 primary, `und` when unknown.
    #[must_use]
    pub fn language_of(&self, question: &str) -> &'static str {
        language::of_question(question, self.0.catalog.mix())
    }

    /// The terms to look for.
    pub(super) fn terms(&self, question: &str) -> tantivy::Result<Wanted> {
        Reader::new(self.language_of(question), self.0.catalog.mix()).wanted(question, &*self.0.words)
    }

    /// The documents that may answer; all of them when none.
    fn answering(&self, filter: Option<&Filter>) -> Option<Arc<Allowed>> {
        filter.map(|filter| self.allowed(filter)).or_else(|| self.0.only.clone())
    }

    /// The documents that `filter` lets answer.
    pub(super) fn allowed(&self, filter: &Filter) -> Arc<Allowed> {
        let remembered = |filters: &VecDeque<(Filter, Arc<Allowed>)>| {
            filters.iter().find(|(known, _)| known == filter).map(|(_, allowed)| Arc::clone(allowed))
        };
        if let Some(allowed) = remembered(&self.0.filters.lock().unwrap_or_else(PoisonError::into_inner)) {
            return allowed;
        }
        let allowed = Arc::new(self.0.catalog.allowed(filter));
        let mut filters = self.0.filters.lock().unwrap_or_else(PoisonError::into_inner);
        filters.truncate(REMEMBERED - 1);
        filters.push_front((filter.clone(), Arc::clone(&allowed)));
        allowed
    }
}

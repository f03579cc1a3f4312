//! How documents and chunks stand in tantivy.
//!
//! A Carrel document becomes one tantivy document a chunk and one a part of its text; all carry the document's id, so
//! that one term deletes them together. The first part carries the catalog's entry in a column, so that opening reads
//! all entries without touching the document store.

use half::f16;
use half::slice::HalfFloatSliceExt;
use serde::{Deserialize, Serialize};
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value,
};
use tantivy::{Index, IndexSettings, TantivyDocument, Term};

use super::catalog::key_of;
use super::{DocumentEntry, IndexedDocument, analysis};
use crate::domain::{Chunk, DocumentId};

/// The name of the key's column.
pub(super) const KEY: &str = "key";
/// The name of the entries' column.
pub(super) const META: &str = "meta";
/// The longest entry as JSON, in bytes: what a term dictionary takes is 65,530.
pub(super) const LONGEST_META: usize = 65_000;
/// A text is stored in parts of this size, in bytes: a block of the document store is read and cached whole, and must
/// stay small however large the document is. Cut by count, so that a range of the text says which parts hold it.
pub(super) const PART: usize = 64 << 10;

/// The fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    /// Id of the document, on chunks and parts.
    pub document: Field,
    /// Key of a chunk.
    pub key: Field,
    /// Terms of a chunk, each followed by a space.
    pub body: Field,
    /// The chunk as JSON.
    pub record: Field,
    /// Its vector.
    pub vector: Field,
    /// Key of a part: the document's number and the part's place, as with chunks.
    pub part: Field,
    /// A part's bytes; a character may stand half in one part and half in the next.
    pub text: Field,
    /// On the first part: the entry as JSON.
    pub meta: Field,
}

/// What stands in the entries' column.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Meta {
    /// The document's number.
    pub number: u64,
    /// Its entry.
    pub entry: DocumentEntry,
}

impl Fields {
    /// The fields, and the schema they make.
    pub fn new() -> (Self, Schema) {
        // The terms are made by our own analyser; all that is left is to cut them at spaces.
        let words = TextFieldIndexing::default()
            .set_tokenizer("whitespace")
            .set_index_option(IndexRecordOption::WithFreqs)
            .set_fieldnorms(true);
        let mut schema = Schema::builder();
        let fields = Self {
            document: schema.add_text_field("document", STRING),
            key: schema.add_u64_field(KEY, INDEXED | FAST),
            body: schema.add_text_field("body", TextOptions::default().set_indexing_options(words)),
            record: schema.add_text_field("record", STORED),
            vector: schema.add_bytes_field("vector", STORED),
            part: schema.add_u64_field("part", INDEXED),
            text: schema.add_bytes_field("text", STORED),
            meta: schema.add_text_field(META, FAST),
        };
        (fields, schema.build())
    }

    /// Settings of a new tantivy index: no thread of its own for compression.
    pub fn settings() -> IndexSettings {
        IndexSettings { docstore_compress_dedicated_thread: false, ..IndexSettings::default() }
    }

    /// The fields of an index that exists; `None` when it is of another schema.
    pub fn of(index: &Index) -> Option<Self> {
        let (fields, schema) = Self::new();
        (index.schema() == schema).then_some(fields)
    }

    /// The term that all tantivy documents of a document share.
    pub fn document_term(&self, id: &DocumentId) -> Term {
        Term::from_field_text(self.document, id.as_str())
    }

    /// Everything tantivy keeps of `document`, whose entry is `meta`'s.
    pub fn encode(&self, document: &IndexedDocument, meta: &Meta) -> serde_json::Result<Vec<TantivyDocument>> {
        let mut encoded = Vec::with_capacity(document.chunks.len() + 1);
        for (chunk, vector) in document.chunks.iter().zip(&document.vectors) {
            encoded.push(self.encode_chunk(meta, chunk, vector)?);
        }
        // An empty text has one part too, which carries the entry.
        let parts = document.text.as_bytes().chunks(PART);
        let parts = parts.chain(document.text.is_empty().then_some(&[][..]));
        for (place, part) in (0..).zip(parts) {
            let mut stored = TantivyDocument::default();
            stored.add_text(self.document, meta.entry.id.as_str());
            stored.add_u64(self.part, key_of(meta.number, place));
            stored.add_bytes(self.text, part);
            if place == 0 {
                stored.add_text(self.meta, serde_json::to_string(meta)?);
            }
            encoded.push(stored);
        }
        Ok(encoded)
    }

    fn encode_chunk(&self, meta: &Meta, chunk: &Chunk, vector: &[f32]) -> serde_json::Result<TantivyDocument> {
        let terms = analysis::terms(&chunk.embedding_text(&meta.entry.title), &meta.entry.language);
        let mut stored = TantivyDocument::default();
        stored.add_text(self.document, meta.entry.id.as_str());
        stored.add_u64(self.key, key_of(meta.number, chunk.ordinal));
        stored.add_text(self.body, terms.join(" "));
        stored.add_text(self.record, serde_json::to_string(chunk)?);
        stored.add_bytes(self.vector, &to_bytes(&halves(vector)));
        Ok(stored)
    }

    /// The chunk in a stored tantivy document.
    pub fn chunk(&self, stored: &TantivyDocument) -> Option<Chunk> {
        serde_json::from_str(stored.get_first(self.record)?.as_str()?).ok()
    }

    /// The vector in a stored tantivy document.
    pub fn vector(&self, stored: &TantivyDocument) -> Option<Vec<f16>> {
        let bytes = stored.get_first(self.vector)?.as_bytes()?;
        Some(bytes.chunks_exact(2).map(|pair| f16::from_le_bytes([pair[0], pair[1]])).collect())
    }

    /// The part of a text in a stored tantivy document.
    pub fn part<'a>(&self, stored: &'a TantivyDocument) -> Option<&'a [u8]> {
        stored.get_first(self.text)?.as_bytes()
    }
}

/// A vector in half precision, as it is kept everywhere: of a unit vector's cosines that loses less than a thousandth.
pub(super) fn halves(vector: &[f32]) -> Vec<f16> {
    let mut halves = vec![f16::ZERO; vector.len()];
    halves.convert_from_f32_slice(vector);
    halves
}

/// A vector in single precision.
pub(super) fn singles(vector: &[f16]) -> Vec<f32> {
    let mut singles = vec![0.0; vector.len()];
    vector.convert_to_f32_slice(&mut singles);
    singles
}

fn to_bytes(vector: &[f16]) -> Vec<u8> {
    vector.iter().flat_map(|half| half.to_le_bytes()).collect()
}

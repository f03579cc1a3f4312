//! The index as a whole, through its public surface.

mod damage;
mod disk;
mod folders;
mod lives;
mod scores;
mod searching;
mod telling;
mod writing;

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::domain::Ranked;

/// Numbers in a test's vectors.
const DIMENSION: usize = 8;

fn spec() -> IndexSpec {
    IndexSpec {
        embedder: "test".into(),
        dimension: DIMENSION,
        parser: 1,
        chunker: "1".into(),
        analyser: ANALYSER_VERSION,
    }
}

fn id(text: &str) -> DocumentId {
    DocumentId::parse(text).unwrap()
}

/// A vector of unit length that depends on `text` alone.
fn vector(text: &str, dimension: usize) -> Vec<f32> {
    let mut bytes = vec![0; dimension * 2];
    blake3::Hasher::new().update(text.as_bytes()).finalize_xof().fill(&mut bytes);
    unit(bytes.chunks(2).map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]]))).collect())
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|n| n * n).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    for n in &mut vector {
        *n /= length;
    }
    vector
}

/// A document whose paragraphs, parted by blank lines, are its chunks.
fn document(name: &str, text: &str) -> IndexedDocument {
    let mut chunks = Vec::new();
    let mut start = 0;
    for paragraph in text.split("\n\n") {
        if !paragraph.is_empty() {
            let ordinal = u32::try_from(chunks.len()).unwrap();
            let (end, text) = (start + paragraph.len(), paragraph.to_owned());
            let (passage_start, passage_end) = (start, end);
            let heading = String::new();
            chunks.push(Chunk { ordinal, start, end, text, heading, page: None, passage_start, passage_end });
        }
        start += paragraph.len() + 2;
    }
    let vectors = chunks.iter().map(|chunk| vector(&chunk.text, DIMENSION)).collect();
    let entry = DocumentEntry {
        id: id(name),
        name: name.to_owned(),
        title: String::new(),
        kind: "text".into(),
        content_hash: ContentHash::of(text.as_bytes()),
        bytes: text.len() as u64,
        chunks: u32::try_from(chunks.len()).unwrap(),
        pages: None,
        warnings: Vec::new(),
        attributes: Attributes::new(),
        language: String::new(),
        prose: None,
    };
    IndexedDocument { entry, text: text.into(), chunks, vectors }
}

/// A tenant's folder with one published generation of these documents.
fn published(documents: &[(&str, &str)]) -> (TempDir, Generations, GenerationWriter) {
    let dir = tempfile::tempdir().unwrap();
    let generations = Generations::new(dir.path());
    let mut writer = generations.begin(&spec(), "boot").unwrap();
    for (name, text) in documents {
        writer.upsert(document(name, text)).unwrap();
    }
    generations.publish(&mut writer).unwrap();
    (dir, generations, writer)
}

/// Opens what serves, after everything else let go of it.
fn reopened(dir: &Path) -> GenerationWriter {
    Generations::new(dir).open_current().unwrap().unwrap()
}

/// The texts of hits, best first.
fn texts(snapshot: &Snapshot, hits: &[Ranked]) -> Vec<String> {
    hits.iter().map(|hit| snapshot.chunk(hit.key).unwrap().unwrap().chunk.text).collect()
}

/// The texts that words find.
fn found(snapshot: &Snapshot, question: &str) -> Vec<String> {
    texts(snapshot, &snapshot.search_words(question, None, 10).unwrap())
}

/// The ids of the documents in a state.
fn ids(snapshot: &Snapshot) -> Vec<String> {
    snapshot.documents().map(|entry| entry.id.to_string()).collect()
}

/// Everything a reader can learn of a state: documents, texts, chunks, vectors, and what each text finds.
fn everything(snapshot: &Snapshot) -> Vec<(IndexedDocument, Vec<Ranked>, Vec<Ranked>)> {
    let whole = |entry: Arc<DocumentEntry>| {
        let document = snapshot.export(&entry.id).unwrap().unwrap();
        let words = snapshot.search_words(&document.text, None, 50).unwrap();
        let question = vector(&document.text, snapshot.info().spec.dimension);
        let dense = snapshot.search_dense(&question, None, 50).unwrap();
        (document, words, dense)
    };
    snapshot.documents().map(whole).collect()
}

//! Export: a tenant's documents or chunks as lines of JSON, for other programs.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc::{self, Sender};

use super::backup::{PIECE, Pieces};
use super::desk::Desk;
use super::refusal::DeskError;
use super::work::blocking;
use crate::domain::{Attributes, Chunk, DocumentId};
use crate::engine::BuildError;
use crate::index::{IndexedDocument, Snapshot};

/// What to export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exported {
    /// A line a document, with its text.
    Documents,
    /// A line a chunk.
    Chunks,
}

/// A document, as it is exported.
#[derive(Serialize)]
struct DocumentLine<'a> {
    id: &'a str,
    name: &'a str,
    title: &'a str,
    attributes: &'a Attributes,
    text: &'a str,
}

/// A chunk, as it is exported.
#[derive(Serialize)]
struct ChunkLine<'a> {
    document_id: &'a str,
    chunk_id: String,
    start: usize,
    end: usize,
    heading: &'a str,
    page: Option<u32>,
    text: &'a str,
}

impl Desk {
    /// Begins an export of what answers now; its lines come as they are asked for, by id of the document. It counts as one
    /// request under way until its last line.
    ///
    /// # Errors
    /// When the index is not ready, or too many requests are under way.
    pub fn export(&self, what: Exported) -> Result<Pieces, DeskError> {
        let permit = self.enter("concurrency")?;
        let (snapshot, id) = (self.snapshot()?, self.tenant().clone());
        let (to, pieces) = mpsc::channel(1);
        tokio::spawn(async move {
            let _permit = permit;
            if let Err(error) = tell(snapshot, what, &to).await {
                tracing::warn!(tenant.id = %id, error = %error, "an export of {id} broke off");
                let _ = to.send(Err(io::Error::other(error))).await;
            }
        });
        Ok(pieces)
    }
}

/// Sends every line. No thread is held while a slow client reads.
async fn tell(snapshot: Arc<Snapshot>, what: Exported, to: &Sender<io::Result<Bytes>>) -> Result<(), BuildError> {
    let ids: Vec<DocumentId> = snapshot.documents().map(|entry| entry.id.clone()).collect();
    let mut gathered = Vec::new();
    for id in ids {
        let of = Arc::clone(&snapshot);
        gathered = blocking(move || {
            if let Some(document) = of.export(&id)? {
                write(&document, what, &mut gathered)?;
            }
            Ok(gathered)
        })
        .await?;
        if gathered.len() >= PIECE && to.send(Ok(std::mem::take(&mut gathered).into())).await.is_err() {
            return Ok(());
        }
    }
    // A client that left needs no last piece.
    let _ = to.send(Ok(gathered.into())).await;
    Ok(())
}

fn write(document: &IndexedDocument, what: Exported, to: &mut Vec<u8>) -> io::Result<()> {
    match what {
        Exported::Documents => line(to, &whole(document)),
        Exported::Chunks => document.chunks.iter().try_for_each(|chunk| line(to, &part(document, chunk))),
    }
}

fn whole(document: &IndexedDocument) -> DocumentLine<'_> {
    let entry = &document.entry;
    DocumentLine {
        id: entry.id.as_str(),
        name: &entry.name,
        title: &entry.title,
        attributes: &entry.attributes,
        text: &document.text,
    }
}

fn part<'a>(document: &'a IndexedDocument, chunk: &'a Chunk) -> ChunkLine<'a> {
    ChunkLine {
        document_id: document.entry.id.as_str(),
        chunk_id: format!("{}#{}", document.entry.id, chunk.ordinal),
        start: chunk.start,
        end: chunk.end,
        heading: &chunk.heading,
        page: chunk.page,
        text: &chunk.text,
    }
}

fn line(to: &mut Vec<u8>, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, value)?;
    to.push(b'\n');
    Ok(())
}

//! Why a question finds what it finds, and what two generations find of the same question.

use std::sync::Arc;

use super::desk::{Ask, Desk};
use super::refusal::DeskError;
use crate::domain::{DocumentId, DocumentState, SearchReply};
use crate::engine::{Alike, Comparison, Explanation, Fate, Loss};
use crate::index::Snapshot;

/// The same question to two generations.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// What the first found.
    pub from: SearchReply,
    /// What the second found.
    pub to: SearchReply,
    /// What is taken for the same hit.
    pub alike: Alike,
    /// What changed from the first to the second.
    pub comparison: Comparison,
}

impl Desk {
    /// Searches, and says why each hit stands where it does and what became of `document`.
    ///
    /// # Errors
    /// As [`Desk::search`].
    pub async fn explain(&self, ask: Ask, document: Option<DocumentId>) -> Result<Explanation, DeskError> {
        let (settings, generation) = (self.settings(), ask.generation);
        let (question, _) = self.question(ask, &settings)?;
        let _permit = self.enter("concurrency")?;
        let snapshot = self.state_of(generation).await?;
        let engine = &self.shared.engine;
        let mut explained = engine.explain(&snapshot, &question, &settings.retrieval, document).await?;
        if let Some(fate) = explained.document.take() {
            explained.document = Some(self.told(fate).await?);
        }
        Ok(explained)
    }

    /// Says of a document that is not in the index where it stands instead.
    async fn told(&self, fate: Fate) -> Result<Fate, DeskError> {
        if fate.stage != Loss::NotInGeneration {
            return Ok(fate);
        }
        let record = self.shared.ledger.document(&self.cell.id, &fate.document_id).await?;
        let stage = match record.as_ref().map(|record| record.status.state) {
            None => Loss::UnknownDocument,
            Some(DocumentState::Queued | DocumentState::Working) => Loss::StillQueued,
            Some(DocumentState::Failed) => Loss::IndexingFailed,
            Some(DocumentState::Live | DocumentState::Warning) => Loss::NotInGeneration,
        };
        let problem = record.and_then(|record| record.status.problem).map(|problem| problem.code);
        Ok(Fate { stage, problem: problem.filter(|_| stage == Loss::IndexingFailed), ..fate })
    }

    /// Asks two generations the same, the serving one where none is named.
    ///
    /// # Errors
    /// As [`Desk::search`]; [`DeskError::NotFound`] when one of them is not kept.
    pub async fn compare(&self, ask: Ask, from: Option<u64>, to: Option<u64>) -> Result<Compared, DeskError> {
        let settings = self.settings();
        let (question, _) = self.question(ask, &settings)?;
        let _permit = self.enter("concurrency")?;
        let (old, new) = (self.state_of(from).await?, self.state_of(to).await?);
        let search = |snapshot: Arc<Snapshot>| {
            let (question, settings) = (&question, &settings);
            async move { self.shared.engine.search(&snapshot, question, &settings.retrieval, &self.cell.metrics).await }
        };
        let alike = alike(&old, &new);
        // One after the other: each says how long it took alone.
        let (from, to) = (search(old).await?, search(new).await?);
        let comparison = Comparison::of(&from.hits, &to.hits, alike);
        Ok(Compared { from, to, alike, comparison })
    }
}

/// Chunks bear the same ids only where documents are read and cut in the same way.
fn alike(old: &Snapshot, new: &Snapshot) -> Alike {
    let (old, new) = (old.spec(), new.spec());
    if old.chunker == new.chunker && old.parser == new.parser { Alike::Chunk } else { Alike::Document }
}

//! Claims → citations: nothing leaves that the stored text does not bear out.

use std::collections::HashMap;
use std::sync::Arc;

use crate::answer::{Claim, Draft};
use crate::domain::{Citation, DocumentId, Hit};
use crate::index::{IndexError, Snapshot};

/// Holds each claim of an answer, as its parts come, against the text that the snapshot stores; a claim that does not hold
/// loses its marker, wherever it stands.
pub(super) struct Proofs<'a> {
    snapshot: &'a Snapshot,
    hits: &'a [Hit],
    texts: HashMap<&'a DocumentId, Option<Arc<str>>>,
    /// What holds, by marker.
    pub citations: Vec<Citation>,
    /// Markers of claims that did not hold.
    pub dropped: Vec<u32>,
}

impl<'a> Proofs<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, hits: &'a [Hit]) -> Self {
        Self { snapshot, hits, texts: HashMap::new(), citations: Vec::new(), dropped: Vec::new() }
    }

    /// The text of the next part, with the markers that hold.
    pub(super) fn take(&mut self, part: &Draft) -> Result<String, IndexError> {
        for claim in &part.claims {
            match self.prove(claim)? {
                Some(citation) => self.citations.push(citation),
                None => self.dropped.push(claim.marker),
            }
        }
        let text = part.text.clone();
        Ok(self
            .dropped
            .iter()
            .fold(text, |text, marker| text.replace(&format!(" [{marker}]"), "").replace(&format!("[{marker}]"), "")))
    }

    fn prove(&mut self, claim: &Claim) -> Result<Option<Citation>, IndexError> {
        let Some(hit) = self.hits.get(claim.hit) else { return Ok(None) };
        let text = match self.texts.get(&hit.document_id) {
            Some(text) => text,
            None => self.texts.entry(&hit.document_id).or_insert(self.snapshot.text(&hit.document_id)?),
        };
        let holds = text.as_ref().is_some_and(|text| holds(text, claim));
        Ok(holds.then(|| citation(claim, hit, self.snapshot.generation())))
    }
}

/// `text[start..end] == quote`, and the quote says something.
fn holds(text: &str, claim: &Claim) -> bool {
    !claim.quote.trim().is_empty() && text.get(claim.start..claim.end) == Some(claim.quote.as_str())
}

fn citation(claim: &Claim, hit: &Hit, generation: u64) -> Citation {
    Citation {
        marker: claim.marker,
        document_id: hit.document_id.clone(),
        chunk_id: hit.chunk_id.clone(),
        title: hit.title.clone(),
        page: hit.page,
        start: claim.start,
        end: claim.end,
        quote: claim.quote.clone(),
        score: hit.score,
        generation,
    }
}

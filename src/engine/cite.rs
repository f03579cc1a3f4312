//! Claims → citations: nothing leaves that the stored text does not bear out.

use crate::answer::{Claim, Draft};
use crate::domain::{Citation, Hit};
use crate::index::{IndexError, Snapshot};

/// Holds each claim of an answer, as its parts come, against the text that the snapshot stores; a claim that does not hold
/// loses its marker, wherever it stands.
pub(super) struct Proofs<'a> {
    snapshot: &'a Snapshot,
    hits: &'a [Hit],
    /// What holds, by marker.
    pub citations: Vec<Citation>,
    /// Markers of claims that did not hold.
    pub dropped: Vec<u32>,
}

impl<'a> Proofs<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, hits: &'a [Hit]) -> Self {
        Self { snapshot, hits, citations: Vec::new(), dropped: Vec::new() }
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

    fn prove(&self, claim: &Claim) -> Result<Option<Citation>, IndexError> {
        let Some(hit) = self.hits.get(claim.hit) else { return Ok(None) };
        // `text[start..end] == quote`, and the quote says something.
        let says = !claim.quote.trim().is_empty() && claim.start + claim.quote.len() == claim.end;
        let stored = if says { self.snapshot.text_at(&hit.document_id, claim.start..claim.end)? } else { None };
        let holds = stored.as_deref() == Some(claim.quote.as_str());
        Ok(holds.then(|| citation(claim, hit, self.snapshot.generation())))
    }
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
        translated: claim.translated,
        score: hit.score,
        generation,
    }
}

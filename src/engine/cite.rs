//! Claims → citations: nothing leaves that the stored text does not bear out.

use std::collections::HashMap;
use std::sync::Arc;

use crate::answer::{Claim, Draft};
use crate::domain::{Citation, DocumentId, Hit};
use crate::index::{IndexError, Snapshot};

/// The answer's text with the markers that hold, and their citations.
pub(super) struct Checked {
    pub text: String,
    pub citations: Vec<Citation>,
    /// Claims that did not hold.
    pub dropped: usize,
}

/// Holds each claim of `draft` against the text that `snapshot` stores; a claim that does not hold loses its marker.
pub(super) fn check(snapshot: &Snapshot, hits: &[Hit], draft: &Draft) -> Result<Checked, IndexError> {
    let mut texts: HashMap<&DocumentId, Option<Arc<str>>> = HashMap::new();
    let mut checked = Checked { text: draft.text.clone(), citations: Vec::new(), dropped: 0 };
    for claim in &draft.claims {
        let hit = hits.get(claim.hit);
        let text = match hit {
            None => None,
            Some(hit) => match texts.get(&hit.document_id) {
                Some(text) => text.clone(),
                None => texts.entry(&hit.document_id).or_insert(snapshot.text(&hit.document_id)?).clone(),
            },
        };
        match (hit, text) {
            (Some(hit), Some(text)) if holds(&text, claim) => {
                checked.citations.push(citation(claim, hit, snapshot.generation()));
            }
            _ => checked.dropped += 1,
        }
    }
    let kept: Vec<u32> = checked.citations.iter().map(|citation| citation.marker).collect();
    for claim in draft.claims.iter().filter(|claim| !kept.contains(&claim.marker)) {
        checked.text =
            checked.text.replace(&format!(" [{}]", claim.marker), "").replace(&format!("[{}]", claim.marker), "");
    }
    Ok(checked)
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

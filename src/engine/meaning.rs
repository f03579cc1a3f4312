//! What a question means: the vectors it is searched with, one a part of it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::{DocumentId, Filter, Ranked};
use crate::index::{IndexError, Snapshot};

/// The vectors of a question's parts, each of unit length, with what its cosines count. A chunk is as near to the question
/// as to the part it is nearest to.
#[derive(Debug, Clone, Default)]
pub(super) struct Meanings(Vec<(Arc<[f32]>, f32)>);

impl Meanings {
    /// These vectors with their weights, 0 to 1.
    pub(super) fn new(parts: Vec<(Arc<[f32]>, f32)>) -> Self {
        Self(parts)
    }

    /// The cosine of chunk `key` to the nearest part; none when the key is gone.
    pub(super) fn cosine(&self, snapshot: &Snapshot, key: u64) -> Option<f32> {
        let cosines = self.0.iter().filter_map(|(vector, weight)| Some(weight * snapshot.cosine(key, vector)?));
        cosines.max_by(f32::total_cmp)
    }

    /// The `depth` best chunks, best first.
    pub(super) fn search(
        &self,
        snapshot: &Snapshot,
        filter: Option<&Filter>,
        depth: usize,
    ) -> Result<Vec<Ranked>, IndexError> {
        if let [(vector, _)] = self.0.as_slice() {
            return snapshot.search_dense(vector, filter, depth);
        }
        let mut found = Vec::new();
        for (vector, weight) in &self.0 {
            let hits = snapshot.search_dense(vector, filter, depth)?;
            found.extend(hits.into_iter().map(|hit| Ranked { score: weight * hit.score, ..hit }));
        }
        Ok(nearest(found, depth))
    }

    /// The `depth` best chunks of one document, best first.
    pub(super) fn in_document(&self, snapshot: &Snapshot, id: &DocumentId, depth: usize) -> Vec<Ranked> {
        let of_part = |(vector, weight): &(Arc<[f32]>, f32)| {
            let weight = *weight;
            let hits = snapshot.dense_in(id, vector, depth).into_iter();
            hits.map(move |hit| Ranked { score: weight * hit.score, ..hit })
        };
        nearest(self.0.iter().flat_map(of_part).collect(), depth)
    }
}

/// Each chunk once, at its best score; the `depth` best, best first.
fn nearest(found: Vec<Ranked>, depth: usize) -> Vec<Ranked> {
    let mut best: HashMap<u64, f32> = HashMap::new();
    for hit in found {
        let score = best.entry(hit.key).or_insert(hit.score);
        *score = score.max(hit.score);
    }
    let mut hits: Vec<Ranked> = best.into_iter().map(|(key, score)| Ranked { key, score }).collect();
    hits.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.key.cmp(&b.key)));
    hits.truncate(depth);
    hits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_counts_once_at_the_part_it_is_nearest_to() {
        let found = [(1, 0.2), (2, 0.5), (1, 0.7), (3, 0.1)].map(|(key, score)| Ranked { key, score });
        let keys: Vec<u64> = nearest(found.to_vec(), 2).into_iter().map(|hit| hit.key).collect();
        assert_eq!(keys, [1, 2]);
    }
}

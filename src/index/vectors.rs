//! The vectors of one state: a graph for the many, a flat array for those added since, or for all while they are few.
//!
//! Immutable: a commit makes the next [`Vectors`] from these, and shares what did not change.

use std::collections::BTreeMap;
use std::sync::Arc;

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::IndexError;
use super::catalog::{Allowed, Catalog, document_of, key_of};
use super::fuse::best_first;
use super::graph::{Graph, Row};
use super::schema::singles;
use crate::domain::Ranked;

/// More flat vectors than these move into the graph. Chosen, not measured: 1,024 x 384 half-precision numbers are
/// 768 KiB, which a commit copies and a search reads.
const MOST_FLAT: usize = 1_024;
/// The allowed vectors of a filter are compared one by one when their number's square is below the graph's size times
/// this. Comparing costs in proportion to the allowed ones; the graph's own search, which walks past all others, to the
/// inverse of their share. Measured at 100,000 (`carrel measure search`): 1.4 microseconds a comparison, and 0.6 ms over
/// the share in the graph, so the two meet near 6,600.
const SCAN_BELOW: u64 = 440;
/// A graph is built anew when one in this many of its vectors is gone.
const STALE: usize = 4;

/// New vectors by document number, one a chunk, in order.
pub(super) type Added = BTreeMap<u64, Vec<Vec<f16>>>;

/// All vectors of one state.
#[derive(Clone)]
pub(super) struct Vectors {
    dimension: usize,
    graph: Option<Arc<Graph>>,
    flat: Arc<Flat>,
}

/// Few vectors, searched one by one.
#[derive(Default)]
struct Flat {
    /// In order.
    keys: Vec<u64>,
    /// `[keys.len()][dimension]`.
    numbers: Vec<f16>,
}

impl Vectors {
    /// No vectors, of `dimension` numbers each.
    pub fn new(dimension: usize) -> Self {
        Self { dimension, graph: None, flat: Arc::default() }
    }

    /// The vectors of a graph; those of a catalog that it lacks are [`Vectors::missing`].
    pub fn of_graph(graph: Graph, dimension: usize) -> Self {
        Self { dimension, graph: Some(Arc::new(graph)), flat: Arc::default() }
    }

    /// Numbers of the documents of `catalog` that these vectors lack, whole or in part.
    pub fn missing(&self, catalog: &Catalog) -> Vec<u64> {
        let lacks = |key: u64| !self.in_graph(key) && self.flat.keys.binary_search(&key).is_err();
        let lacking = catalog.chunked().filter(|&(number, chunks)| (0..chunks).any(|at| lacks(key_of(number, at))));
        lacking.map(|(number, _)| number).collect()
    }

    /// The vectors of `catalog`: these without what is gone from it, and `added`.
    pub fn next(&self, catalog: &Catalog, added: &Added) -> Result<Self, IndexError> {
        let flat = self.flat.next(self.dimension, catalog, added, |key| self.in_graph(key));
        let next = Self { dimension: self.dimension, graph: self.graph.clone(), flat: Arc::new(flat) };
        if next.flat.keys.len() > MOST_FLAT || next.is_stale(catalog) { next.packed(catalog) } else { Ok(next) }
    }

    fn in_graph(&self, key: u64) -> bool {
        self.graph.as_ref().is_some_and(|graph| graph.contains(key))
    }

    /// Whether too much of the graph is gone.
    fn is_stale(&self, catalog: &Catalog) -> bool {
        let Some(graph) = &self.graph else { return false };
        self.gone(graph, catalog) * STALE > graph.len()
    }

    /// Vectors of the graph that `catalog` has no more.
    fn gone(&self, graph: &Graph, catalog: &Catalog) -> usize {
        let living = usize::try_from(catalog.chunks()).unwrap_or(usize::MAX).saturating_sub(self.flat.keys.len());
        graph.len().saturating_sub(living)
    }

    /// The same vectors, all in the graph where there is one: a generation that begins to serve is searched for long, and
    /// each flat vector costs each of its questions a comparison.
    pub fn settled(&self, catalog: &Catalog) -> Result<Self, IndexError> {
        if self.graph.is_none() || self.flat.keys.is_empty() { Ok(self.clone()) } else { self.packed(catalog) }
    }

    /// The same vectors, the flat ones moved into the graph, or all of them flat when few are left.
    fn packed(&self, catalog: &Catalog) -> Result<Self, IndexError> {
        let of_graph = |graph| Self::of_graph(graph, self.dimension);
        match &self.graph {
            Some(graph) if !self.is_stale(catalog) => {
                let rows: Vec<Row> = self.flat.rows(self.dimension).collect();
                graph.grown(&rows).map(of_graph)
            }
            old => {
                let kept = old.as_ref().map_or_else(Vec::new, |graph| living(graph, catalog));
                let mut rows: Vec<Row> = kept.iter().map(|(key, vector)| (*key, vector.as_slice())).collect();
                rows.extend(self.flat.rows(self.dimension));
                if rows.len() > MOST_FLAT {
                    return Graph::build(self.dimension, &rows).map(of_graph);
                }
                Ok(Self { dimension: self.dimension, graph: None, flat: Arc::new(Flat::of(self.dimension, rows)) })
            }
        }
    }

    /// The graph, where there is one.
    pub fn graph(&self) -> Option<&Arc<Graph>> {
        self.graph.as_ref()
    }

    /// The `depth` best by cosine to `vector` (of unit length) among the chunks of `catalog`, or of those `allowed`;
    /// best first.
    pub fn search(
        &self,
        vector: &[f32],
        depth: usize,
        catalog: &Catalog,
        allowed: Option<&Allowed>,
    ) -> Result<Vec<Ranked>, IndexError> {
        let mut hits = self.flat.scan(vector, |key| allowed.is_none_or(|some| some.numbers.contains(document_of(key))));
        if let Some(graph) = &self.graph {
            hits.extend(self.search_graph(graph, vector, depth, catalog, allowed)?);
        }
        best_first(&mut hits);
        hits.truncate(depth);
        Ok(hits)
    }

    /// The cosine of `vector` (of unit length) to that of `key`; none when there is none.
    pub fn cosine(&self, key: u64, vector: &[f32]) -> Option<f32> {
        if let Ok(at) = self.flat.keys.binary_search(&key) {
            let row = self.flat.numbers.chunks_exact(self.dimension.max(1)).nth(at)?;
            return Some(product(vector, &singles(row)));
        }
        let other = self.graph.as_ref()?.get(key)?;
        Some(product(vector, &singles(&other)))
    }

    fn search_graph(
        &self,
        graph: &Graph,
        vector: &[f32],
        depth: usize,
        catalog: &Catalog,
        allowed: Option<&Allowed>,
    ) -> Result<Vec<Ranked>, IndexError> {
        match allowed {
            Some(some) if some.chunks.saturating_pow(2) < SCAN_BELOW * graph.len() as u64 => {
                Ok(scan(graph, vector, some))
            }
            Some(some) => graph.search(vector, depth, Some(&|key| some.numbers.contains(document_of(key)))),
            None if self.gone(graph, catalog) == 0 => graph.search(vector, depth, None),
            None => graph.search(vector, depth, Some(&|key| catalog.live().contains(document_of(key)))),
        }
    }
}

/// The vectors of `graph` that `catalog` still has.
fn living(graph: &Graph, catalog: &Catalog) -> Vec<(u64, Vec<f16>)> {
    let keys = catalog.chunked().flat_map(|(number, chunks)| (0..chunks).map(move |at| key_of(number, at)));
    keys.filter_map(|key| Some((key, graph.get(key)?))).collect()
}

/// Compares `vector` with every allowed one in the graph.
fn scan(graph: &Graph, vector: &[f32], allowed: &Allowed) -> Vec<Ranked> {
    let keys = allowed.documents.iter().flat_map(|&(number, chunks)| (0..chunks).map(move |at| key_of(number, at)));
    keys.filter_map(|key| Some(Ranked { key, score: product(vector, &singles(&graph.get(key)?)) })).collect()
}

impl Flat {
    fn of(dimension: usize, mut rows: Vec<Row>) -> Self {
        rows.sort_unstable_by_key(|(key, _)| *key);
        rows.dedup_by_key(|(key, _)| *key);
        let mut numbers = Vec::with_capacity(rows.len() * dimension);
        for (_, vector) in &rows {
            numbers.extend_from_slice(vector);
        }
        Self { keys: rows.into_iter().map(|(key, _)| key).collect(), numbers }
    }

    /// What of this `catalog` still has, and what was `added` and is not `elsewhere`.
    fn next(&self, dimension: usize, catalog: &Catalog, added: &Added, elsewhere: impl Fn(u64) -> bool) -> Self {
        let mut rows: Vec<Row> = self.rows(dimension).filter(|(key, _)| catalog.has_chunk(*key)).collect();
        for (&number, vectors) in added {
            let keyed = (0..).zip(vectors).map(|(at, vector)| (key_of(number, at), vector.as_slice()));
            rows.extend(keyed.filter(|(key, _)| !elsewhere(*key)));
        }
        Self::of(dimension, rows)
    }

    fn rows(&self, dimension: usize) -> impl Iterator<Item = Row<'_>> {
        self.keys.iter().copied().zip(self.numbers.chunks_exact(dimension.max(1)))
    }

    /// Compares `vector` with every one that `may` be taken.
    fn scan(&self, vector: &[f32], may: impl Fn(u64) -> bool) -> Vec<Ranked> {
        let rows = self.rows(vector.len()).filter(|(key, _)| may(*key));
        let mut numbers = vec![0.0; vector.len()];
        let compared = rows.map(|(key, row)| {
            row.convert_to_f32_slice(&mut numbers);
            Ranked { key, score: product(vector, &numbers) }
        });
        compared.collect()
    }
}

/// The inner product, which is the cosine of unit vectors. Summed in eight lanes that the compiler puts side by side.
fn product(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    let (left, right) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = left.remainder().iter().zip(right.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in left.zip(right) {
        for lane in 0..8 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum::<f32>() + rest
}

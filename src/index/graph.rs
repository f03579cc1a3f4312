//! An HNSW graph of vectors (usearch): built once, then only read.
//!
//! A graph is never changed after it is built: more vectors make another graph from a copy, and vectors that are gone
//! stay in it until it is built anew, left out by whoever searches. So any number of snapshots read one graph while the
//! writer prepares the next, without a lock between them.

use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

use half::f16;
use usearch::{Index, IndexOptions, MetricKind, ScalarKind, f16 as Half};

use super::IndexError;
use super::schema::singles;
use crate::domain::Ranked;

/// Neighbours a vector has in the graph; usearch's own default.
const CONNECTIVITY: usize = 16;
/// Candidates weighed when a vector is added; usearch's own default.
const EXPANSION_ADD: usize = 128;
/// Candidates weighed at least when vectors are searched; as many as are asked for when those are more. Recall@10 of
/// clustered vectors is held at 0.98 by a test; `carrel measure search` tells it for large indexes.
const EXPANSION_SEARCH: usize = 64;
/// Threads that search one graph at the same moment; more wait, for a fraction of a millisecond.
const SEATS: usize = 16;
/// A vector and the key of its chunk.
pub(super) type Row<'a> = (u64, &'a [f16]);

/// The graph.
pub(super) struct Graph {
    index: Index,
    seats: Seats,
}

impl Graph {
    /// A graph of `rows`, whose vectors have `dimension` numbers and unit length.
    pub fn build(dimension: usize, rows: &[Row]) -> Result<Self, IndexError> {
        let graph = Self::empty(dimension)?;
        graph.add(rows)?;
        Ok(graph)
    }

    /// A graph of all that is in this one, and `rows`. This one stays as it is.
    pub fn grown(&self, rows: &[Row]) -> Result<Self, IndexError> {
        let graph = Self::empty(self.index.dimensions())?;
        let copy = self.to_bytes()?;
        graph.index.load_from_buffer(&copy).map_err(IndexError::usearch("copy"))?;
        drop(copy);
        graph.add(rows)?;
        Ok(graph)
    }

    /// Reads a graph from a file whose checksum held.
    pub fn load(path: &Path, dimension: usize) -> Result<Self, IndexError> {
        let path = path.to_str().ok_or_else(|| IndexError::Engine("the path of the vectors is no UTF-8".into()))?;
        let graph = Self::empty(dimension)?;
        graph.index.load(path).map_err(IndexError::usearch("load"))?;
        if (graph.index.dimensions(), graph.index.scalar_kind()) != (dimension, ScalarKind::F16) {
            return Err(IndexError::Engine("the vectors are of another kind".into()));
        }
        graph.reserve(0)?;
        Ok(graph)
    }

    /// The graph as [`Graph::load`] reads it from a file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, IndexError> {
        let mut bytes = vec![0; self.index.serialized_length()];
        self.index.save_to_buffer(&mut bytes).map_err(IndexError::usearch("save"))?;
        Ok(bytes)
    }

    fn empty(dimension: usize) -> Result<Self, IndexError> {
        let options = IndexOptions {
            dimensions: dimension,
            metric: MetricKind::IP,
            quantization: ScalarKind::F16,
            connectivity: CONNECTIVITY,
            expansion_add: EXPANSION_ADD,
            expansion_search: EXPANSION_SEARCH,
            multi: false,
        };
        let index = Index::new(&options).map_err(IndexError::usearch("make"))?;
        Ok(Self { index, seats: Seats::new(SEATS) })
    }

    /// Makes room for `more` vectors, and for the threads; usearch does neither by itself.
    fn reserve(&self, more: usize) -> Result<(), IndexError> {
        let capacity = self.index.size() + more;
        self.index.reserve_capacity_and_threads(capacity, SEATS).map_err(IndexError::usearch("make room for"))?;
        if self.index.capacity() < capacity {
            return Err(IndexError::Engine("no memory is left for the vectors".into()));
        }
        Ok(())
    }

    /// Adds `rows` one after another. usearch lets several threads add at once, which halves the time and loses vectors:
    /// one that another thread meets between two levels of the graph leads nowhere yet, and what is linked to it alone is
    /// never found again (its issue 735; 12 of 20,000 vectors on two threads, none on one).
    fn add(&self, rows: &[Row]) -> Result<(), IndexError> {
        self.reserve(rows.len())?;
        for (key, vector) in rows {
            self.index.add(*key, &singles(vector)).map_err(IndexError::usearch("add"))?;
        }
        Ok(())
    }

    /// Vectors in it, gone ones counted too.
    pub fn len(&self) -> usize {
        self.index.size()
    }

    /// Whether the vector of `key` is in it.
    pub fn contains(&self, key: u64) -> bool {
        self.index.contains(key)
    }

    /// The vector of `key`.
    pub fn get(&self, key: u64) -> Option<Vec<f16>> {
        let mut bits = vec![0; self.index.dimensions()];
        // As it is kept: asked for single precision, the library converts number by number.
        let found = matches!(self.index.get(key, Half::from_mut_i16s(&mut bits)), Ok(1));
        found.then(|| bits.into_iter().map(|bits| f16::from_bits(bits.cast_unsigned())).collect())
    }

    /// The `depth` best by inner product of those `may` be taken, or of all; best first, nearly always the true best.
    pub fn search(
        &self,
        vector: &[f32],
        depth: usize,
        may: Option<&dyn Fn(u64) -> bool>,
    ) -> Result<Vec<Ranked>, IndexError> {
        let depth = depth.min(self.len());
        if depth == 0 {
            return Ok(Vec::new());
        }
        let _seat = self.seats.take();
        let found = match may {
            None => self.index.search(vector, depth),
            Some(may) => self.index.filtered_search(vector, depth, may),
        };
        let found = found.map_err(IndexError::usearch("search"))?;
        // usearch's distance of inner products is 1 - product.
        Ok(found.keys.into_iter().zip(found.distances).map(|(key, far)| Ranked { key, score: 1.0 - far }).collect())
    }
}

/// Lets a number of threads in at a time; usearch refuses those it has no room for.
struct Seats {
    free: Mutex<usize>,
    freed: Condvar,
}

/// A seat that is taken until it is dropped.
struct Seat<'a>(&'a Seats);

impl Seats {
    fn new(seats: usize) -> Self {
        Self { free: Mutex::new(seats), freed: Condvar::new() }
    }

    fn take(&self) -> Seat<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Seat(self)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

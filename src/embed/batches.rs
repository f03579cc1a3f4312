//! How many texts a model takes in one call.

use std::sync::{Mutex, PoisonError};

/// The size of batches: as it is set, until the provider shows that it takes fewer.
pub(super) struct Batches {
    set: usize,
    learnt: Mutex<Option<usize>>,
}

impl Batches {
    /// At most `set` texts, at least one.
    pub fn new(set: usize) -> Self {
        Self { set: set.max(1), learnt: Mutex::default() }
    }

    /// Texts that a batch may have.
    pub fn size(&self) -> usize {
        let learnt = *self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        learnt.unwrap_or(self.set).min(self.set)
    }

    /// Notes that `refused` texts were too many, where `went` of the same went. True when batches are smaller from now on.
    pub fn note(&self, went: usize, refused: usize) -> bool {
        let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        match *learnt {
            // What is known still stands; another batch, cut at the same time, may have shown more.
            Some(known) if refused > known => {
                *learnt = Some(known.max(went));
                false
            }
            _ => {
                *learnt = Some(went.max(1));
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_that_is_refused_is_left_and_one_that_went_is_kept() {
        let batches = Batches::new(64);
        assert_eq!(batches.size(), 64);
        assert!(batches.note(15, 30), "news");
        assert_eq!(batches.size(), 15);
        assert!(!batches.note(16, 32), "a batch that was under way went with more");
        assert_eq!(batches.size(), 16);
        assert!(!batches.note(14, 28));
        assert_eq!(batches.size(), 16);
        assert!(batches.note(8, 16));
        assert_eq!(batches.size(), 8);
        assert_eq!(Batches::new(0).size(), 1);
    }
}

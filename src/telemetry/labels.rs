//! Label values that come from outside the program, kept to a bounded number.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// What stands for every value past the bound.
pub(super) const OTHER: &str = "other";

/// A set of label values that stops growing: the first `most` values are kept, later ones become [`OTHER`].
pub(super) struct Bounded {
    most: usize,
    known: Mutex<BTreeSet<String>>,
}

impl Bounded {
    pub(super) const fn new(most: usize) -> Self {
        Self { most, known: Mutex::new(BTreeSet::new()) }
    }

    /// `value` itself while there is room for it and it looks like a name, [`OTHER`] else.
    pub(super) fn admit(&self, value: &str) -> String {
        let named = (1..=64).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(value) {
            return value.to_owned();
        }
        if !named || known.len() >= self.most {
            return OTHER.to_owned();
        }
        known.insert(value.to_owned());
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_past_the_bound_or_of_odd_form_is_other() {
        let set = Bounded::new(2);
        assert_eq!(["a", "b", "c", "a"].map(|value| set.admit(value)), ["a", "b", "other", "a"]);
        let fresh = Bounded::new(9);
        for odd in ["", "two words", "line\nbreak", "quo\"te", &"x".repeat(65)] {
            assert_eq!(fresh.admit(odd), "other", "{odd:?}");
        }
    }
}

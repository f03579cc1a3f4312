//! The terms of a question, with the forms that one word takes in several languages.

use std::collections::{BTreeMap, BTreeSet};

/// What words are searched for, by term.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted(BTreeMap<String, Form>);

/// One form of a word.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    /// How often the question names it.
    pub times: u32,
    /// The forms that the same words take in other languages.
    pub others: BTreeSet<String>,
}

impl Wanted {
    /// The terms of a question, each with the place of its word, as several languages read them.
    pub fn of(readings: impl Iterator<Item = Vec<(usize, String)>>) -> Self {
        let mut wanted: BTreeMap<String, Form> = BTreeMap::new();
        let mut words: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        for reading in readings {
            let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
            for (place, term) in &reading {
                *counts.entry(term).or_default() += 1;
                words.entry(*place).or_default().insert(term.clone());
            }
            for (term, times) in counts {
                let form = wanted.entry(term.to_owned()).or_default();
                form.times = form.times.max(times);
            }
        }
        for forms in words.values().filter(|forms| forms.len() > 1) {
            for term in forms {
                let others = forms.iter().filter(|other| *other != term).cloned();
                wanted.entry(term.clone()).or_default().others.extend(others);
            }
        }
        Self(wanted)
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each term with its form, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Form)> {
        self.0.iter()
    }

    /// The other forms of `term`.
    pub fn others(&self, term: &str) -> impl Iterator<Item = &String> {
        self.0.get(term).into_iter().flat_map(|form| &form.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_knows_its_forms_in_other_languages_and_counts_once() {
        let reading = |terms: &[(usize, &str)]| terms.iter().map(|(at, term)| (*at, (*term).to_owned())).collect();
        let wanted = Wanted::of(
            [
                reading(&[(0, "articl"), (2, "ibm"), (3, "articl")]),
                reading(&[(0, "articles"), (2, "ibm"), (3, "article")]),
            ]
            .into_iter(),
        );
        let told: Vec<_> = wanted.iter().map(|(term, form)| (term.as_str(), form.times, form.others.len())).collect();
        assert_eq!(told, [("articl", 2, 2), ("article", 1, 1), ("articles", 1, 1), ("ibm", 1, 0)]);
    }
}

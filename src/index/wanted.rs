//! The terms of a question, with the forms that one word takes in several languages or spellings.

use std::collections::{BTreeMap, BTreeSet};

/// What words are searched for, by term.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Wanted {
    terms: BTreeMap<String, Form>,
    /// The forms of each word, by its place.
    words: BTreeMap<usize, BTreeSet<String>>,
}

/// One form of a word.
#[derive(Debug, PartialEq)]
pub(super) struct Form {
    /// How often the question names it.
    pub times: u32,
    /// What it counts, from 0 to 1 for the question's own word.
    pub weight: f32,
    /// The forms that the same words take in other languages.
    pub others: BTreeSet<String>,
}

impl Default for Form {
    fn default() -> Self {
        Self { times: 0, weight: 1.0, others: BTreeSet::new() }
    }
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
        Self { terms: wanted, words }
    }

    /// Adds a form of the word at `place`.
    pub fn add_form(&mut self, place: usize, term: &str) {
        let forms = self.words.entry(place).or_default();
        let times = forms.iter().filter_map(|form| self.terms.get(form)).map(|form| form.times).max().unwrap_or(1);
        if !forms.insert(term.to_owned()) {
            return;
        }
        for form in forms.iter() {
            let others = forms.iter().filter(|other| *other != form).cloned();
            let known = self.terms.entry(form.clone()).or_insert_with(|| Form { times, ..Form::default() });
            known.others.extend(others);
        }
    }

    /// Adds a term that is no form of a word but says something of it; one that is there already keeps what it weighs.
    pub fn add(&mut self, term: &str, weight: f32) {
        let known = self.terms.entry(term.to_owned()).or_insert_with(|| Form { times: 1, weight, ..Form::default() });
        known.weight = known.weight.max(weight);
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Each term with its form, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Form)> {
        self.terms.iter()
    }

    /// The other forms of `term`.
    pub fn others(&self, term: &str) -> impl Iterator<Item = &String> {
        self.terms.get(term).into_iter().flat_map(|form| &form.others)
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

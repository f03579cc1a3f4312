//! Which hits may answer a question at all: those that have its keys.
//!
//! A key must stand where the answer is read: in the hit, its title, headings or file name, in the passage around it, or at
//! the head of its document, which says what the whole is about. A hit without is about some other thing of the kind, and
//! is shown to no answerer.

use super::keys::{self, Key, Kind};
use super::stands::{Standing, Text};
use super::terms::Terms;
use crate::domain::Hit;
use crate::domain::asking::gist;

/// Terms beside a name from which a question tells by these what it is about: `What did President Biden promise to do about
/// the cost of insulin?` is answered by a speech that never names its speaker.
const MUCH_ELSE: usize = 5;

/// What the keys of a question say of its hits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Admission {
    /// Indices of the hits that may answer, in order.
    pub hits: Vec<usize>,
    /// Keys that stand in no hit, as the question writes them.
    pub not_found: Vec<String>,
}

/// Admits the `hits` that have the keys of `question`; all where it has none. `beyond` gives what else of a hit's document
/// says what it is about, and is asked only for a hit that lacks a key.
pub fn admit<E>(
    question: &str,
    hits: &[Hit],
    mut beyond: impl FnMut(&Hit) -> Result<String, E>,
) -> Result<Admission, E> {
    let keys = effective(&gist(question), &hits.iter().collect::<Vec<_>>());
    if keys.is_empty() {
        return Ok(Admission { hits: (0..hits.len()).collect(), not_found: Vec::new() });
    }
    let mut standing = Vec::with_capacity(hits.len());
    for hit in hits {
        let mut of_hit = stand_in(&keys, &around(hit));
        if of_hit.contains(&Standing::Absent) {
            let wider = stand_in(&keys, &beyond(hit)?);
            of_hit.iter_mut().zip(wider).for_each(|(own, wider)| *own = (*own).max(wider));
        }
        standing.push(of_hit);
    }
    let admitted = (0..hits.len()).filter(|at| is_admitted(&keys, &standing, *at)).collect();
    let absent = |key: &usize| standing.iter().all(|of_hit| of_hit[*key] == Standing::Absent);
    let not_found = (0..keys.len()).filter(absent).map(|key| keys[key].shown.clone()).collect();
    Ok(Admission { hits: admitted, not_found })
}

/// The keys of `question` that count against these hits: a number behind a word counts only where the texts number such
/// things, and a name in a long question only where they name another who shares it.
pub(super) fn effective(question: &str, hits: &[&Hit]) -> Vec<Key> {
    let mut keys = keys::keys(question);
    if keys.iter().all(|key| !key.is_unsure() && !key.is_soft()) {
        return keys;
    }
    let terms = Terms::of(question);
    let of_names = keys.iter().filter(|key| key.is_soft()).fold(0, |mask, key| mask | terms.find(&key.shown).0);
    let has_much_else = terms.len() >= MUCH_ELSE + usize::try_from(of_names.count_ones()).unwrap_or(0);
    let texts: Vec<String> = hits.iter().map(|hit| around(hit)).collect();
    let texts: Vec<Text> = texts.iter().map(|text| Text::of(text)).collect();
    keys.retain(|key| match &key.kind {
        Kind::Label { is_sure: false, label, behind, .. } => {
            let named = texts.iter().any(|text| text.numbers_things(label));
            named && (behind.is_empty() || !texts.iter().any(|text| text.counts(behind)))
        }
        _ if key.is_soft() && has_much_else => {
            let absent = texts.iter().all(|text| text.has(key) == Standing::Absent);
            absent && texts.iter().any(|text| text.names_another(key, false))
        }
        _ => true,
    });
    keys
}

/// All that a hit itself says: its file's name, title, headings and text.
fn around(hit: &Hit) -> String {
    format!("{}\n{}\n{}\n{}", hit.document_id, hit.title, hit.heading, hit.text)
}

fn stand_in(keys: &[Key], text: &str) -> Vec<Standing> {
    let text = Text::of(text);
    keys.iter().map(|key| text.has(key)).collect()
}

/// Whether the hit has of every kind of key one, as firmly as any hit has it.
fn is_admitted(keys: &[Key], standing: &[Vec<Standing>], at: usize) -> bool {
    (0..keys.len()).all(|key| {
        let group: Vec<usize> = (0..keys.len()).filter(|other| keys[key].is_alternative_to(&keys[*other])).collect();
        let of = |of_hit: &Vec<Standing>| group.iter().map(|key| of_hit[*key]).max().unwrap_or(Standing::Absent);
        let best = standing.iter().map(of).max().unwrap_or(Standing::Absent);
        let own = of(&standing[at]);
        own != Standing::Absent && own == best
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::super::tests::hit;
    use super::*;

    fn admitted(question: &str, texts: &[&str]) -> (Vec<usize>, Vec<String>) {
        let hits: Vec<Hit> = texts.iter().map(|text| Hit { title: String::new(), ..hit("a", 0, text) }).collect();
        let Ok(Admission { hits, not_found }) = admit(question, &hits, |_| Ok::<_, Infallible>(String::new()));
        (hits, not_found)
    }

    #[test]
    fn only_what_has_the_key_may_answer() {
        let pumps = ["Part HX-4810-B: the PX-10 works at 3 bar.", "Part HX-4801-B: the PX-13 works at 5 bar."];
        let none: Vec<usize> = Vec::new();
        assert_eq!(admitted("What is the pressure of HX-4899-Z?", &pumps), (none.clone(), vec!["HX-4899-Z".into()]));
        assert_eq!(admitted("What is the pressure of HX-4801-B?", &pumps), (vec![1], vec![]));
        assert_eq!(admitted("PX-10 or PX-13?", &pumps), (vec![0, 1], vec![]));
        assert_eq!(admitted("PX-10 or PX-99?", &pumps), (vec![0], vec!["PX-99".into()]));
        assert_eq!(admitted("PX-10 in 2019?", &pumps), (none, vec!["2019".into()]));
        assert_eq!(admitted("How is it in 3 hours?", &pumps), (vec![0, 1], vec![]));
    }

    #[test]
    fn a_number_behind_a_word_is_a_key_where_the_texts_number_such_things() {
        let widgets = ["Widget | Price\nwidget 1 | 9.50\nwidget 17 | 7.00", "Widgets are sold by the dozen."];
        assert_eq!(admitted("price of widget 7", &widgets), (vec![], vec!["widget 7".into()]));
        assert_eq!(admitted("price of widget 17", &widgets), (vec![0], vec![]));
        assert_eq!(admitted("Can we ship crates 7?", &["Crates are shipped on Monday."]), (vec![0], vec![]));
        let rooms = ["Room 12 holds 30 people."];
        assert_eq!(admitted("Can room 12 hold 40 people?", &rooms), (vec![0], vec![]));
    }

    #[test]
    fn a_name_may_be_missing_only_where_much_else_is_asked_for() {
        let people = ["Maria Okafor leads purchasing; her extension is 214.", "Dr. Otto Falk heads the archive."];
        assert!(admitted("What is the extension of Maria Lund?", &people).0.is_empty());
        assert!(admitted("Who is Gregor Samsa's deputy?", &people).0.is_empty());
        assert_eq!(admitted("Who is Otto Falk's deputy?", &people).0, [1]);
        let speech = ["We will invest in clean energy, build roads and cut the cost of insulin."];
        assert_eq!(admitted("What did Biden say about clean energy, roads and the cost of insulin?", &speech).0, [0]);
        assert!(admitted("What did Biden say about gardens?", &speech).0.is_empty());
        let long = "Which extension has Maria Lund, who works in purchasing and orders paper, please?";
        assert!(admitted(long, &people).0.is_empty());
    }

    #[test]
    fn the_head_of_a_document_says_what_its_parts_are_about() {
        let hits = [hit("a", 900, "It is oiled on Wednesday.")];
        let head = |_: &Hit| Ok::<_, Infallible>("Machine ZK-130".to_owned());
        let Ok(found) = admit("When is ZK-130 oiled?", &hits, head);
        assert_eq!(found.hits, [0]);
    }
}

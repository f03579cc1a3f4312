//! Whether hits are evidence at all.
//!
//! A search always finds something; whether that something can answer is judged here, before anybody makes an answer:
//!
//! - With a vector's opinion (a hit has a cosine to the question), a cosine clearly above the tenant's `min_score` is
//!   evidence, and one just above it is when a part of the question's words stands in a hit too. A question whose words
//!   nearly all stand in one hit is answered whatever the cosine: names, codes and single words say little to a vector.
//! - Without one (searches by words alone, or questions in a language the embedder does not know), two fifths
//!   of the question's words, weighed, must stand in one hit; a quarter in scripts of unspaced characters, where pairs
//!   that straddle two words never match.
//!
//! The hits that are judged are those that have the question's keys ([`super::admit`]). Where what they say of the thing
//! that the keys name has none of the question's other words, nor the person, time or amount it asks for, they speak of the
//! right thing and say nothing of the matter.
//!
//! What this refuses, rightly and wrongly, is measured by `carrel eval --evidence`; the table stands in the manual's page on
//! evaluation. With the default threshold and the built-in embedder, 0 % of 220 English questions that can be answered are
//! refused, and 92.7 % of those asked of another text.

use super::admit::effective;
use super::key_words::is_generic;
use super::keys::Key;
use super::pieces::Kind;
use super::signs::signs;
use super::stands::{Standing, Text};
use super::subject::subjects;
use super::tables::Cut;
use super::terms::{Mask, Terms};
use super::wants::Wants;
use crate::domain::asking::gist;
use crate::domain::languages::may_compound;
use crate::domain::{Hit, Question};

/// Hits that are looked at; evidence that is not among the first of them would not be quoted either.
const LOOKED_AT: usize = 5;
/// How far above `min_score` a cosine needs no words beside it.
const CLEARLY_ABOVE: f32 = 0.15;
/// Share of a question's words that a cosine just above `min_score` needs beside it.
const SOME_WORDS: f32 = 0.25;
/// Share of a question's words in one hit that is evidence without a vector's opinion.
const ENOUGH_WORDS: f32 = 0.4;
/// The same for scripts without spaces.
const ENOUGH_PAIRS: f32 = 0.25;
/// Share that is evidence against a vector's opinion.
const NEARLY_ALL_WORDS: f32 = 0.9;

/// What was judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// Whether the question can be answered from the hits.
    pub enough: bool,
    /// The best cosine of a hit to the question, where a vector had a say; -1 to 1.
    pub cosine: Option<f32>,
    /// The largest share of the question's words, weighed, that stands in one hit; 0 to 1.
    pub words: f32,
}

/// Judges whether `hits`, those that were admitted, are evidence for an answer; `min_score` is the tenant's
/// [`crate::config::AnswerSettings::min_score`].
#[must_use]
pub fn judge(question: &Question, hits: &[&Hit], min_score: f32) -> Evidence {
    let mut spoken = [&question.text].into_iter().chain(hits.first().map(|hit| &hit.text));
    let asked = gist(&question.text);
    let terms = Terms::reading(&asked, spoken.any(|text| may_compound(text)));
    let keys = effective(&asked, hits);
    let of_keys = keys.iter().fold(0, |mask, key| mask | terms.find(&key.shown).0);
    let cosine = hits.iter().filter_map(|hit| hit.dense).map(|dense| dense.score).max_by(f32::total_cmp);
    let words = hits.iter().take(LOOKED_AT).map(|hit| share(&terms, &keys, hit)).fold(0.0, f32::max);
    let enough = match cosine {
        Some(cosine) => {
            cosine >= min_score + CLEARLY_ABOVE
                || cosine >= min_score && words >= SOME_WORDS
                || words >= NEARLY_ALL_WORDS
        }
        None => words > 0.0 && words >= if terms.are_pairs() { ENOUGH_PAIRS } else { ENOUGH_WORDS },
    };
    let enough = enough && !says_nothing(&asked, &keys, of_keys, hits, &terms);
    Evidence { enough, cosine, words }
}

/// Share of the terms in a hit with its title and headings, which name the subject its text may not repeat. A key may
/// stand there in another writing than the terms know: '22 is 2022.
fn share(terms: &Terms, keys: &[Key], hit: &Hit) -> f32 {
    let found = terms.find_in(&[&hit.text, &hit.title, &hit.heading]).0;
    let rewritten = keys.iter().map(|key| (key, terms.find(&key.shown).0)).filter(|(_, bits)| bits & !found != 0);
    let stands = |(key, bits): (&Key, Mask)| (Text::of(&hit.text).has(key) == Standing::Firm).then_some(bits);
    terms.share(rewritten.filter_map(stands).fold(found, |mask, bits| mask | bits))
}

/// Whether what speaks of the thing that a question's keys name says nothing of what is asked about it: its other words
/// stand only in what speaks of other things, or nowhere, and nothing is of the kind that is asked for.
fn says_nothing(question: &str, keys: &[Key], of_keys: Mask, hits: &[&Hit], terms: &Terms) -> bool {
    if keys.is_empty() {
        return false;
    }
    let asked: Vec<String> = signs(question).into_iter().map(|sign| sign.text).collect();
    let generic = asked.iter().filter(|word| is_generic(word)).fold(0, |mask, word| mask | terms.find(word).0);
    let others = terms.find(question).0 & !of_keys & !generic;
    let wants = Wants::of(question);
    let mut said = Said::default();
    for hit in hits.iter().take(LOOKED_AT) {
        said.take(keys, hit, terms, |text| wants != Wants::Anything && wants.is_met_by(text, &asked));
    }
    let nothing = others != 0 && said.of_it & others == 0 && !said.meets;
    // Beside a year stands anything; the entry of a code need not repeat what its list is about.
    let elsewhere = said.of_others & others != 0 && keys.iter().all(Key::is_moment);
    nothing && said.is_about_it && (wants != Wants::Anything || elsewhere)
}

/// What hits say of the thing that was asked about, and of others.
#[derive(Default)]
struct Said {
    /// Whether anything speaks of it.
    is_about_it: bool,
    /// The question's terms in what speaks of it, or stands above that.
    of_it: Mask,
    /// Those in the rest.
    of_others: Mask,
    /// Whether what speaks of it has the kind of thing that is asked for.
    meets: bool,
}

impl Said {
    fn take(&mut self, keys: &[Key], hit: &Hit, terms: &Terms, meets: impl Fn(&str) -> bool) {
        let cut = Cut::of(hit);
        let subjects = subjects(keys, &cut);
        if subjects.iter().any(|subject| subject.is_asked_for()) {
            self.is_about_it = true;
            self.of_it |= terms.find_in(&[&hit.title, &hit.heading]).0;
        }
        for ((piece, columns), subject) in cut.pieces.iter().zip(&cut.columns).zip(subjects) {
            let is_above = matches!(piece.kind, Kind::Heading | Kind::Columns);
            let text = cut.words(*piece);
            if subject.is_asked_for() || is_above {
                self.of_it |= terms.find_in(&[text, columns]).0;
                self.meets |= subject.is_asked_for() && meets(text);
            } else {
                self.of_others |= terms.find(text).0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{hit, question};
    use super::*;
    use crate::domain::StageRank;

    fn judge(question: &Question, hits: &[Hit], min_score: f32) -> Evidence {
        super::judge(question, &hits.iter().collect::<Vec<_>>(), min_score)
    }

    fn with_cosine(text: &str, score: f32) -> Hit {
        Hit { dense: Some(StageRank { rank: 1, score }), ..hit("a", 0, text) }
    }

    #[test]
    fn no_hits_are_no_evidence() {
        assert!(!judge(&question("why?"), &[], -1.0).enough);
    }

    #[test]
    fn a_cosine_clearly_above_the_threshold_is_evidence_and_one_at_it_needs_words() {
        let ask = question("How warm is the reading room?");
        assert!(judge(&ask, &[with_cosine("Heating is set to 20 degrees.", 0.4)], 0.25).enough);
        assert!(!judge(&ask, &[with_cosine("Heating is set to 20 degrees.", 0.39)], 0.25).enough);
        assert!(judge(&ask, &[with_cosine("Any room is heated to 20 degrees.", 0.25)], 0.25).enough);
        assert!(!judge(&ask, &[with_cosine("Any room is heated to 20 degrees.", 0.24)], 0.25).enough);
        let best_is_second = [with_cosine("x", 0.1), with_cosine("y", 0.5)];
        assert_eq!(judge(&ask, &best_is_second, 0.25).cosine, Some(0.5));
    }

    #[test]
    fn words_that_all_stand_in_a_hit_are_evidence_against_a_low_cosine() {
        let ask = question("What does error CRL-4711 on shelf 9 mean?");
        assert!(judge(&ask, &[with_cosine("Error CRL-4711 on shelf 9 means: no paper.", 0.1)], 0.25).enough);
        assert!(!judge(&ask, &[with_cosine("Error CRL-9999 means: no paper.", 0.1)], 0.25).enough);
    }

    #[test]
    fn a_word_or_two_that_stand_in_a_hit_are_evidence_and_others_are_not() {
        let text = "Either side may end the contract with a notice of three months. See the home page.";
        for word in ["notice", "home page", "contracts", "Notice?"] {
            assert!(judge(&question(word), &[with_cosine(text, 0.05)], 0.25).enough, "{word}");
        }
        for word in ["lunch", "home office", "W-2200"] {
            assert!(!judge(&question(word), &[with_cosine(text, 0.05)], 0.25).enough, "{word}");
        }
    }

    #[test]
    fn a_hit_about_the_right_thing_that_has_nothing_of_what_was_asked_for_is_none() {
        let text = "Maria Okafor leads purchasing; her extension is 214.";
        for (ask, enough) in [
            ("Who is the deputy of Maria Okafor?", false),
            ("When was Maria Okafor born?", false),
            ("What is the phone number of Maria Okafor?", true),
            ("Who is Maria Okafor?", true),
            ("What does Maria Okafor lead?", true),
        ] {
            assert_eq!(judge(&question(ask), &[with_cosine(text, 0.6)], 0.25).enough, enough, "{ask}");
        }
    }

    #[test]
    fn a_year_that_stands_beside_the_matter_and_not_with_it_is_no_evidence() {
        let text = "We opened in 2019.\n\nA lunch costs 16 crowns.";
        assert!(!judge(&question("What does a lunch cost in 2019?"), &[with_cosine(text, 0.6)], 0.25).enough);
        assert!(judge(&question("When did you open?"), &[with_cosine(text, 0.6)], 0.25).enough);
        assert!(judge(&question("What happened in 2019?"), &[with_cosine(text, 0.6)], 0.25).enough);
    }

    #[test]
    fn the_entry_of_a_code_answers_without_the_words_of_its_list() {
        let text =
            "Faults of the furnace are shown as codes.\n\n- A-112: it is too hot.\n- A-120: the furnace door is open.";
        assert!(judge(&question("a112 furnace"), &[with_cosine(text, 0.6)], 0.25).enough);
        assert!(!judge(&question("When was A-112 reported?"), &[with_cosine(text, 0.6)], 0.25).enough);
    }

    #[test]
    fn without_a_cosine_a_good_part_of_the_words_must_be_there() {
        let ask = question("Wann öffnet die Bibliothek am Sonntag?");
        assert!(judge(&ask, &[hit("a", 0, "Sonntags öffnet die Bibliothek um neun.")], 0.25).enough);
        assert!(!judge(&ask, &[hit("a", 0, "Rechnungen sind im Mai fällig.")], 0.25).enough);
        let ask = question("東京タワーの高さは？");
        assert!(judge(&ask, &[hit("a", 0, "東京タワーの高さは333メートルです。")], 0.25).enough);
    }

    #[test]
    fn headings_count_as_part_of_what_stands_under_them() {
        let under = Hit { heading: "Limits > Upload size".into(), ..hit("a", 0, "It is 32 MiB.") };
        assert!(judge(&question("upload size limit"), &[under], 0.25).enough);
    }
}

//! Whether hits are evidence at all.
//!
//! A search always finds something; whether that something can answer is judged here, before anybody makes an answer:
//!
//! - With a vector's opinion (a hit has a cosine to the question), a cosine clearly above the tenant's `min_score` is
//!   evidence, and one just above it is when a part of the question's words stands in a hit too. A question whose words
//!   nearly all stand in one hit is answered whatever the cosine: names and codes say little to a vector.
//! - Without one (searches by words alone, or questions in a language the embedder does not know), two fifths
//!   of the question's words, weighed, must stand in one hit; a quarter in scripts of unspaced characters, where pairs
//!   that straddle two words never match.
//!
//! What this refuses, rightly and wrongly, is measured by `carrel eval --evidence`; the table stands in the manual's page on
//! evaluation. With the default threshold and the built-in embedder, 0 % of 220 English questions that can be answered are
//! refused, and 94.5 % of those asked of another text.

use super::terms::Terms;
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
/// Words a question must have for their share to say that much.
const FEW_WORDS: usize = 3;

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

/// Judges whether `hits` are evidence for an answer; `min_score` is the tenant's
/// [`crate::config::AnswerSettings::min_score`].
#[must_use]
pub fn judge(question: &Question, hits: &[Hit], min_score: f32) -> Evidence {
    let mut spoken = [&question.text].into_iter().chain(hits.first().map(|hit| &hit.text));
    let terms = Terms::reading(&gist(&question.text), spoken.any(|text| may_compound(text)));
    let cosine = hits.iter().filter_map(|hit| hit.dense).map(|dense| dense.score).max_by(f32::total_cmp);
    let words = hits.iter().take(LOOKED_AT).map(|hit| share(&terms, hit)).fold(0.0, f32::max);
    let enough = match cosine {
        Some(cosine) => {
            cosine >= min_score + CLEARLY_ABOVE
                || cosine >= min_score && words >= SOME_WORDS
                || words >= NEARLY_ALL_WORDS && terms.len() >= FEW_WORDS
        }
        None => words > 0.0 && words >= if terms.are_pairs() { ENOUGH_PAIRS } else { ENOUGH_WORDS },
    };
    Evidence { enough, cosine, words }
}

/// Share of the terms in a hit with its title and headings, which name the subject its text may not repeat.
fn share(terms: &Terms, hit: &Hit) -> f32 {
    terms.share(terms.find_in(&[&hit.text, &hit.title, &hit.heading]).0)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{hit, question};
    use super::*;
    use crate::domain::StageRank;

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

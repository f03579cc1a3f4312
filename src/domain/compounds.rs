//! Words made of words, as German, Dutch, the Nordic languages, Finnish and Hungarian write them.
//!
//! There is no word list: whoever asks has words at hand (those of a passage, or all of an index), and a compound is made
//! of parts when each of them is one of these. All words here are folded ([`super::fold`]).

/// What may stand between two parts: `Urlaub-s-tage`, `Blume-n-topf`, `Held-en-mut`, `Kind-er-garten`, `Maus-e-falle`,
/// Danish `-e-` and `-s-`, Swedish `-s-`, `-u-` and `-o-`, Dutch `-s-`, `-en-` and `-e-`; an apostrophe never.
const LINKS: [&str; 11] = ["", "s", "n", "en", "es", "er", "e", "ns", "ens", "o", "u"];
/// Letters that a part has at least; shorter ones stand in every long word by chance.
pub const SHORTEST_PART: usize = 3;
/// Letters that a compound has at least.
pub const SHORTEST_COMPOUND: usize = 7;
/// Letters that a word has at least that ends a longer one, for that to be taken as its compound.
const SHORTEST_END: usize = 5;
/// The same of a word that begins a longer one, which prefixes and endings make of many words.
const SHORTEST_BEGIN: usize = 6;
/// Letters by which a part may differ in its ending from the word it is.
const ENDING: usize = 2;
/// The same where so many letters are alike: `költségeit` is a form of `költség`.
const LONG_ENDING: usize = 4;
/// See [`LONG_ENDING`].
const ALIKE: usize = 5;
/// Longer words are no compounds but lines without blanks.
const LONGEST: usize = 60;

/// The ways in which `word` may be two parts and a link: `(end of the first, begin of the second)`, in bytes.
pub fn splits(word: &str) -> impl Iterator<Item = (&str, &str)> {
    let ends: Vec<usize> = cuts(word);
    ends.into_iter().flat_map(move |end| {
        let (head, rest) = word.split_at(end);
        LINKS.iter().filter_map(move |link| {
            let tail = rest.strip_prefix(link)?;
            (tail.chars().count() >= SHORTEST_PART).then_some((head, tail))
        })
    })
}

/// The compounds that `head` and `tail` may make, with each link.
pub fn joins<'a>(head: &'a str, tail: &'a str) -> impl Iterator<Item = String> + 'a {
    LINKS.iter().map(move |link| format!("{head}{link}{tail}"))
}

/// Where the first part of `word` may end, in bytes; nowhere when it is no word of letters, or too short or long.
fn cuts(word: &str) -> Vec<usize> {
    let length = word.chars().count();
    if !(SHORTEST_COMPOUND..=LONGEST).contains(&length) || !word.chars().all(char::is_alphabetic) {
        return Vec::new();
    }
    let ends = word.char_indices().enumerate();
    ends.filter(|(at, _)| (SHORTEST_PART..=length - SHORTEST_PART).contains(at)).map(|(_, (byte, _))| byte).collect()
}

/// A word that is looked for by its parts among the words of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compound(String);

/// Which parts of a [`Compound`] a text has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts {
    /// Bit `i`: a word that is the first `i` bytes.
    heads: u64,
    /// Bit `i`: a word that is what follows byte `i`.
    tails: u64,
}

impl Compound {
    /// `word`, if it may be a compound at all.
    #[must_use]
    pub fn new(word: &str) -> Option<Self> {
        let fits = word.len() < 64 && !cuts(word).is_empty();
        fits.then(|| Self(word.to_owned()))
    }

    /// Adds a word of the text to the `parts` it has. A word is a part when both are equal or differ by a short ending.
    pub fn see(&self, seen: &str, parts: &mut Parts) {
        if seen.len() < SHORTEST_PART || seen.len() > self.0.len() + LONG_ENDING {
            return;
        }
        if let Some(end) = end_of(seen, &self.0) {
            parts.heads |= 1 << end;
        }
        let first = seen.chars().next();
        for (at, c) in self.0.char_indices().skip(SHORTEST_PART) {
            if Some(c) == first && is_alike(seen, &self.0[at..]) {
                parts.tails |= 1 << at;
            }
        }
    }

    /// Whether two of the `parts` make the whole word.
    #[must_use]
    pub fn is_whole(&self, parts: Parts) -> bool {
        let Parts { heads, tails } = parts;
        let followed = |end: usize| {
            let links = LINKS.iter().filter(|link| self.0[end..].starts_with(**link));
            links.map(|link| end + link.len()).any(|at| at < 64 && tails & 1 << at != 0)
        };
        heads != 0 && tails != 0 && (0..self.0.len()).any(|end| heads & 1 << end != 0 && followed(end))
    }
}

impl Parts {
    /// Whether a text has any part: the word's begin or its end.
    #[must_use]
    pub fn any(self) -> bool {
        self.heads != 0 || self.tails != 0
    }
}

/// Where in `word` the part ends that `seen` is, in bytes: all of `seen`, or all but a short ending.
fn end_of(seen: &str, word: &str) -> Option<usize> {
    let same = seen.char_indices().zip(word.chars()).take_while(|((_, a), b)| a == b).count();
    let rest = seen.chars().count() - same;
    is_form(same, rest).then(|| word.char_indices().nth(same).map_or(word.len(), |(at, _)| at))
}

/// Whether `seen` and `tail` are one word but for a short ending of either.
fn is_alike(seen: &str, tail: &str) -> bool {
    let same = seen.chars().zip(tail.chars()).take_while(|(a, b)| a == b).count();
    let rest = seen.chars().count().max(tail.chars().count()) - same;
    is_form(same, rest)
}

/// Whether words of which so many letters are alike and so many are not differ by their endings alone.
fn is_form(same: usize, rest: usize) -> bool {
    same >= SHORTEST_PART && rest <= ENDING || same >= ALIKE && rest <= LONG_ENDING
}

/// Whether the compound `whole` begins or ends with the word `part`: `kundigungsfrist` with `kundigung` and `frist`.
#[must_use]
pub fn holds(whole: &str, part: &str) -> bool {
    let letters = part.chars().count();
    let more = whole.chars().count().saturating_sub(letters);
    more >= SHORTEST_PART
        && (letters >= SHORTEST_END && whole.ends_with(part) || letters >= SHORTEST_BEGIN && whole.starts_with(part))
        && whole.chars().all(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(word: &str, text: &str) -> bool {
        let compound = Compound::new(word).unwrap();
        let mut parts = Parts::default();
        text.split(' ').for_each(|seen| compound.see(seen, &mut parts));
        compound.is_whole(parts)
    }

    #[test]
    fn a_compound_is_whole_when_both_of_its_parts_are_seen() {
        for (word, text) in [
            ("urlaubstage", "jedem stehen 28 tage urlaub im jahr zu"),
            ("kundigungsfrist", "die frist fur die kundigung"),
            ("mietkaution", "miete die kaution betragt zwei monatsmieten"),
            ("hotelkosten", "die kosten fur das hotel"),
            ("reisekosten", "kosten der reisen"),
            ("fahrzeugversicherung", "die versicherung der fahrzeuge"),
            ("opzegtermijn", "de termijn voor opzegging"),
            ("szallodakoltseg", "a szalloda koltsegeit"),
            ("szabadsagnapok", "25 nap szabadsag"),
            ("vakantiedagen", "25 dagen vakantie"),
            ("semesterdagar", "dagar semester"),
            ("uppsagningstid", "tid for uppsagning"),
            ("lomapaivat", "paivat loma"),
            ("feriepenger", "penger for ferie"),
        ] {
            assert!(whole(word, text), "{word}");
        }
        for (word, text) in [
            ("urlaubstage", "urlaub im jahr"),
            ("kundigungsfrist", "die frist"),
            ("hotelkosten", "das hotel hat keine"),
            ("wochenende", "woche fur woche"),
        ] {
            assert!(!whole(word, text), "{word}");
        }
        assert!(Compound::new("kurz").is_none() && Compound::new("zk310-4711").is_none());
    }

    #[test]
    fn words_are_parted_and_joined_with_the_links_of_their_languages() {
        assert!(splits("urlaubstage").any(|parts| parts == ("urlaub", "tage")));
        assert!(splits("kindergarten").any(|parts| parts == ("kind", "garten")));
        assert_eq!(splits("haus").count() + splits("zk310310").count(), 0);
        assert!(joins("kundigung", "frist").any(|word| word == "kundigungsfrist"));
    }

    #[test]
    fn a_compound_holds_its_parts_at_its_ends() {
        assert!(holds("kundigungsfrist", "kundigung") && holds("kundigungsfrist", "frist"));
        assert!(!holds("kundigungsfrist", "gungs") && !holds("tage", "tage") && !holds("montag", "tag"));
    }
}

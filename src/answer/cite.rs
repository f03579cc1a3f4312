//! Holds a model's reply against the passages it was given.
//!
//! A marker in the reply is a claim, no proof. Each sentence with one gets the spans of that passage that prove it
//! ([`super::proof`]); where none do, the marker goes. A sentence without a marker that a passage clearly says gets one.
//! What is left without a quote is told as unsupported.

use super::markers::{self, Markers};
use super::pieces::{Piece, pieces};
use super::proof::{Proof, Sources};
use super::sentences::Sentences;
use super::{Claim, Draft, plain};
use crate::domain::{Hit, Usage};

/// Makes a draft of a model's `reply` about `hits`: markers are 1..n in order of appearance, each with a claim whose quote
/// is the hit's text at its range.
pub(super) fn check(reply: &str, hits: &[Hit], usage: Usage) -> Draft {
    let mut checker = Checker::new(hits);
    let mut draft = checker.take(reply);
    draft.join(checker.finish());
    Draft { usage, ..draft }
}

/// Makes a draft in parts of a reply that comes in parts. However it was parted, the parts joined are the draft of the
/// whole.
pub(super) struct Checker<'a> {
    sources: Sources<'a>,
    markers: Markers,
    reply: Sentences,
    stream: plain::Stream,
    /// Claims made so far.
    claims: Vec<Claim>,
    /// What was shown already of the sentence that is not whole yet, with what parts it from the one before.
    ahead: String,
    /// Whether a sentence was shown whole.
    begun: bool,
    /// A line that may announce a list of sources, which is left out, until the next line tells.
    list: Option<String>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(hits: &'a [Hit]) -> Self {
        Self {
            sources: Sources::new(hits),
            markers: Markers::of(hits),
            reply: Sentences::default(),
            stream: plain::Stream::new(),
            claims: Vec::new(),
            ahead: String::new(),
            begun: false,
            list: None,
        }
    }

    /// Takes what came of the reply; returns the sentences that are whole now, checked, and the first words of the next,
    /// as far as nothing can change them any more.
    pub(super) fn take(&mut self, words: &str) -> Draft {
        let words = self.markers.push(words);
        let mut draft = Draft::default();
        self.read(&words, &mut draft);
        if self.list.is_none() {
            self.first_words(&mut draft);
        }
        draft
    }

    fn read(&mut self, words: &str, draft: &mut Draft) {
        self.reply.push(words);
        while let Some(sentence) = self.reply.next() {
            self.line(&sentence, draft);
        }
    }

    /// The rest, once nothing more will come.
    pub(super) fn finish(&mut self) -> Draft {
        let mut draft = Draft::default();
        let words = self.markers.end();
        self.read(&words, &mut draft);
        let rest = self.reply.rest();
        self.line(&rest, &mut draft);
        // An announcement of nothing.
        self.list = None;
        draft
    }

    /// Takes a sentence or a line, unless it is of a list of sources: the citations are that list.
    fn line(&mut self, sentence: &str, draft: &mut Draft) {
        if self.is_source(sentence) {
            self.list.get_or_insert_default();
            return;
        }
        if let Some(announced) = self.list.take().filter(|announced| !announced.is_empty()) {
            self.sentence(&announced, draft);
        }
        if announces_sources(sentence) {
            self.list = Some(sentence.to_owned());
            return;
        }
        self.sentence(sentence, draft);
    }

    /// Whether a line names a passage and says no more than what that passage is called.
    fn is_source(&self, line: &str) -> bool {
        let words = line.trim().trim_start_matches(['-', '*', '•', ' ']);
        let named = words.trim_start_matches(markers::is_marker);
        let Some(marker) = words.chars().next().and_then(markers::number).filter(|_| named.len() < words.len()) else {
            return false;
        };
        let number = usize::try_from(marker % markers::DOCUMENT).unwrap_or_default();
        let Some(hit) = number.checked_sub(1).and_then(|hit| self.sources.hits.get(hit)) else { return false };
        let name = named.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        let titles = [hit.title.as_str(), hit.heading.as_str(), hit.document_id.as_str()];
        name.is_empty() || titles.iter().any(|known| !known.is_empty() && known.to_lowercase() == name)
    }

    /// Shows what is new of the words that are settled.
    fn first_words(&mut self, draft: &mut Draft) {
        let words = self.reply.settled();
        if words.is_empty() {
            return;
        }
        let settled = self.gap(self.reply.space()) + words;
        if let Some(new) = settled.strip_prefix(&self.ahead) {
            draft.text.push_str(&self.stream.show(new));
            self.ahead = settled;
        }
    }

    /// Checks one sentence or line with the space ahead of it, in rare cases several.
    fn sentence(&mut self, sentence: &str, draft: &mut Draft) {
        let words = sentence.trim_start();
        let reply = plain::reply(words);
        if reply.text.is_empty() {
            return;
        }
        let mut text = self.gap(&sentence[..sentence.len() - words.len()]);
        self.begun = true;
        let sentences = pieces(&reply.text);
        let mut last = 0;
        for (at, sentence) in sentences.iter().enumerate() {
            let words = &reply.text[sentence.start..sentence.end];
            text.push_str(&reply.text[last..sentence.end]);
            last = sentence.end;
            let named = reply.markers.iter().filter(|(place, _)| owner(&sentences, *place) == Some(at));
            let mut named: Vec<u32> = named.map(|(_, number)| *number).collect();
            if named.is_empty() {
                named = markers::mentioned(words);
            }
            let proofs = self.sources.prove(words, &named);
            if proofs.is_empty() && says_something(words) {
                draft.unsupported.push(plain::inert(words));
            }
            let set = self.claim_all(proofs, draft);
            if !set.is_empty() {
                text.push(' ');
                text.extend(set.into_iter().map(plain::mark));
            }
        }
        text.push_str(&reply.text[last..]);
        let ahead = std::mem::take(&mut self.ahead);
        let new = text.strip_prefix(&ahead).unwrap_or(&text);
        draft.text.push_str(&plain::set_marks(&self.stream.show(new)));
    }

    /// What parts a sentence from the one before: its line breaks, or a space.
    fn gap(&self, space: &str) -> String {
        let breaks: String = space.chars().filter(|c| *c == '\n').collect();
        match (self.begun, breaks.is_empty()) {
            (true, true) if !space.is_empty() => " ".to_owned(),
            (true, false) => breaks,
            _ => String::new(),
        }
    }

    /// The markers of the claims on these proofs, each once.
    fn claim_all(&mut self, proofs: Vec<Proof>, draft: &mut Draft) -> Vec<u32> {
        let mut set: Vec<u32> = Vec::new();
        for proof in proofs {
            let known = self.claims.len();
            let marker = claim(&mut self.claims, self.sources.hits, proof);
            draft.claims.extend(self.claims[known..].iter().cloned());
            if !set.contains(&marker) {
                set.push(marker);
            }
        }
        set
    }
}

/// The sentence a marker at `place` belongs to: the one that ends there or goes on there, else the next, else the last.
fn owner(sentences: &[Piece], place: usize) -> Option<usize> {
    let begun = sentences.iter().position(|sentence| sentence.start < place && place <= sentence.end);
    let next = || sentences.iter().position(|sentence| place <= sentence.start);
    begun.or_else(next).or_else(|| sentences.len().checked_sub(1))
}

/// Whether a line announces a list of sources.
fn announces_sources(line: &str) -> bool {
    const NAMES: [&str; 14] = [
        "sources",
        "source",
        "references",
        "citations",
        "footnotes",
        "quellen",
        "quellenangaben",
        "références",
        "fuentes",
        "fonti",
        "fontes",
        "bronnen",
        "källor",
        "kilder",
    ];
    let name = line.trim().trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let marked = line.trim().ends_with([':', '*']) || line.trim().starts_with(['#', '*']);
    marked && NAMES.contains(&name.as_str())
}

/// Whether words of a reply are a statement that would need support. A heading is one too: it may say anything.
fn says_something(words: &str) -> bool {
    !words.ends_with([':', '：']) && words.contains(char::is_alphabetic)
}

/// The number of the claim on this span, a new one if it is the first.
fn claim(claims: &mut Vec<Claim>, hits: &[Hit], proof: Proof) -> u32 {
    let (hit, span, translated) = (proof.hit, proof.span, proof.translated);
    let base = hits[hit].start;
    let (start, end) = (base + span.start, base + span.end);
    if let Some(known) = claims.iter().find(|claim| (claim.hit, claim.start, claim.end) == (hit, start, end)) {
        return known.marker;
    }
    let marker = u32::try_from(claims.len()).unwrap_or(u32::MAX).saturating_add(1);
    let quote = hits[hit].text[span.start..span.end].to_owned();
    claims.push(Claim { marker, hit, start, end, quote, translated });
    marker
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{assert_claims_hold, hit};
    use super::*;

    fn library() -> Vec<Hit> {
        vec![
            hit("rules", 100, "# Rules\n\nThe reading room closes at nine. Dogs must wait outside the building.\n"),
            hit("fees", 0, "A lost book costs 25 francs. Late returns cost one franc a day."),
        ]
    }

    fn checked(reply: &str) -> Draft {
        let hits = library();
        let draft = check(reply, &hits, Usage::default());
        assert_claims_hold(&draft, &hits);
        draft
    }

    fn quotes(draft: &Draft) -> Vec<(u32, &str)> {
        draft.claims.iter().map(|claim| (claim.marker, claim.quote.as_str())).collect()
    }

    const CLOSES: &str = "The reading room closes at nine.";
    const LOST: &str = "A lost book costs 25 francs.";

    #[test]
    fn a_marker_becomes_the_sentence_of_that_passage_that_fits_best() {
        let draft = checked("You pay 25 francs for a book you lost [2]. The room is closed after nine. [1]");
        assert_eq!(draft.text, "You pay 25 francs for a book you lost. [1] The room is closed after nine. [2]");
        assert_eq!(quotes(&draft), [(1, LOST), (2, CLOSES)]);
        assert_eq!((draft.claims[1].hit, draft.claims[1].start), (0, 109));
        assert!(draft.unsupported.is_empty());
    }

    #[test]
    fn markers_that_point_nowhere_or_at_nothing_alike_go() {
        let draft = checked("Elephants sleep standing [1]. Rhinos fly [9][0].");
        assert_eq!(draft.text, "Elephants sleep standing. Rhinos fly.");
        assert_eq!(draft.unsupported, ["Elephants sleep standing.", "Rhinos fly."]);
        assert!(draft.claims.is_empty());
    }

    #[test]
    fn a_sentence_that_a_passage_clearly_says_gets_its_marker() {
        let draft = checked("According to the context: A lost book costs 25 francs.");
        assert_eq!((draft.text.ends_with("francs. [1]"), quotes(&draft)), (true, vec![(1, LOST)]));
        let draft = checked("A lost book costs 35 francs.");
        assert_eq!(draft.unsupported, ["A lost book costs 35 francs."], "a wrong number was given a proof");
    }

    #[test]
    fn a_heading_is_a_statement_like_any_other() {
        for heading in
            ["# The moon is made of cheese", "[1]# The moon is made of cheese", "- # The moon is made of cheese"]
        {
            assert_eq!(checked(heading).unsupported.len(), 1, "{heading}");
        }
    }

    #[test]
    fn a_row_supports_what_it_says_under_the_names_of_its_columns() {
        let hits = [hit("diet", 0, "Food | Kind | Calories\nBerries | fruit | 150\nGrain | corn | 200")];
        let draft = check("The calories of berries are 150.", &hits, Usage::default());
        assert_claims_hold(&draft, &hits);
        assert_eq!(quotes(&draft), [(1, "Berries | fruit | 150")]);
    }

    #[test]
    fn one_span_has_one_marker_however_often_it_is_used() {
        let draft = checked("The reading room closes at nine [1]. So at nine the room closes [1][1].");
        assert_eq!(draft.text, "The reading room closes at nine. [1] So at nine the room closes. [1]");
        assert_eq!(draft.claims.len(), 1);
    }

    #[test]
    fn lines_lists_and_lead_ins_stay() {
        let draft = checked("In short:\n- The reading room closes at nine [1]\n- Dogs wait outside [1]\n");
        assert_eq!(draft.text, "In short:\n- The reading room closes at nine [1]\n- Dogs wait outside [2]");
        assert!(draft.unsupported.is_empty());
    }

    #[test]
    fn a_link_on_a_marker_or_an_image_never_comes_through() {
        let draft = checked(
            "The reading room closes at nine [1](https://evil.example). ![x](https://evil.example/?q=nine) \
             See [here](https://evil.example) or https://evil.example/now <img src=//evil.example>.",
        );
        let wanted = "The reading room closes at nine. [1] See here or evil.example/now ‹img src=//evil.example>.";
        assert_eq!(draft.text, wanted);
        assert!(!draft.unsupported.concat().contains("://"));
    }

    #[test]
    fn words_leave_before_their_sentence_is_whole_and_its_marker_after() {
        let hits = library();
        let mut checker = Checker::new(&hits);
        let mut said = Vec::new();
        for piece in ["The reading", " room clo", "ses at ni", "ne [1]", ". A lost book", " costs 25 francs [2]."] {
            said.push(checker.take(piece).text);
        }
        said.push(checker.finish().text);
        let wanted = ["The", " reading room", " closes at", " nine", ". [1] A lost", " book costs 25 francs", ". [2]"];
        assert_eq!(said, wanted);
    }

    #[test]
    fn words_that_were_shown_stay_when_an_address_follows_their_markers() {
        let hits = library();
        for reply in ["It is made of [1][2]https://x", "It is made of [1]\u{200b}https://x", "It is made of [1][2]nine"]
        {
            let mut checker = Checker::new(&hits);
            let mut joined = Draft::default();
            reply.split_inclusive(' ').for_each(|word| joined.join(checker.take(word)));
            joined.join(checker.finish());
            assert_eq!(joined, check(reply, &hits, Usage::default()), "{reply}");
            assert!(joined.text.starts_with("It is made of "), "{}", joined.text);
        }
    }

    #[test]
    fn a_date_in_digits_is_the_date_in_words() {
        let hits = [hit("seal", 0, "The seal HX-4801-B weighs 1,000 g. Work began on 15 May 2021.")];
        let draft = check("Work began on 2021-05-15 [1].", &hits, Usage::default());
        assert_eq!(quotes(&draft), [(1, "Work began on 15 May 2021.")], "{draft:?}");
    }

    #[test]
    fn an_empty_reply_is_an_empty_draft() {
        assert_eq!(checked(" \n"), Draft::default());
    }

    proptest! {
        #[test]
        fn whatever_a_model_says_every_marker_has_a_quote_that_stands_in_the_text(
            reply in "(The reading room closes at nine|A lost book|costs 25 francs|lies|東京。|[.!?:] ?|\\[[0-9]{1,2}\\]|\\[1, 2\\]|【2】|\\n|- |# |`|\\(x\\)|\\[|\\]|!\\[|<b>|https://|://|\u{200b}| ){0,40}",
            texts in prop::collection::vec("(The reading room closes at nine|A lost book costs|25 francs|文字列|é|[.!?] |\\n|- |# |\\| ){0,20}", 0..4),
            sizes in prop::collection::vec(1usize..12, 1..6),
        ) {
            let hits: Vec<Hit> = texts.iter().enumerate().map(|(at, text)| hit("d", at * 1000, text)).collect();
            let whole = check(&reply, &hits, Usage::default());
            assert_claims_hold(&whole, &hits);
            // However the reply came in, it comes out the same.
            let (mut checker, mut joined) = (Checker::new(&hits), Draft::default());
            let mut sizes = sizes.iter().cycle();
            let mut rest = reply.as_str();
            while !rest.is_empty() {
                let size = rest.ceil_char_boundary(*sizes.next().unwrap()).min(rest.len());
                joined.join(checker.take(&rest[..size]));
                rest = &rest[size..];
            }
            joined.join(checker.finish());
            prop_assert_eq!(joined, whole);
        }
    }
}

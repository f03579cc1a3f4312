//! Holds a model's reply against the passages it was given.
//!
//! A marker in the reply is a claim, no proof. Each sentence with one gets the best fitting span of that passage as its
//! quote; where the sentence and the passage share no words, the marker goes. A sentence without a marker that a passage
//! clearly says gets one. What is left without a quote is told as unsupported.

use super::pieces::{Kind, Piece, pieces};
use super::sentences::Sentences;
use super::tables::Cut;
use super::terms::Terms;
use super::{Claim, Draft, plain};
use crate::domain::{Hit, Usage};

/// Share of a sentence's words that a passage must have to be its source when the model named none.
const CLEARLY_SAID: f32 = 0.6;
/// Words of a sentence that must be found then, so that two common ones are no proof.
const CLEARLY_SAID_WORDS: u32 = 3;

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
    reply: Sentences,
    stream: plain::Stream,
    /// Claims made so far.
    claims: Vec<Claim>,
    /// What was shown already of the sentence that is not whole yet, with what parts it from the one before.
    ahead: String,
    /// Whether a sentence was shown whole.
    begun: bool,
}

impl<'a> Checker<'a> {
    pub(super) fn new(hits: &'a [Hit]) -> Self {
        let (reply, stream) = (Sentences::default(), plain::Stream::new());
        Self { sources: Sources::new(hits), reply, stream, claims: Vec::new(), ahead: String::new(), begun: false }
    }

    /// Takes what came of the reply; returns the sentences that are whole now, checked, and the first words of the next,
    /// as far as nothing can change them any more.
    pub(super) fn take(&mut self, words: &str) -> Draft {
        self.reply.push(words);
        let mut draft = Draft::default();
        while let Some(sentence) = self.reply.next() {
            self.sentence(&sentence, &mut draft);
        }
        self.first_words(&mut draft);
        draft
    }

    /// The rest, once nothing more will come.
    pub(super) fn finish(&mut self) -> Draft {
        let mut draft = Draft::default();
        let rest = self.reply.rest();
        self.sentence(&rest, &mut draft);
        draft
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
            let named: Vec<u32> = named.map(|(_, number)| *number).collect();
            let spans = self.sources.spans(words, &named);
            if spans.is_empty() && says_something(words) {
                draft.unsupported.push(plain::inert(words));
            }
            let set = self.claim_all(spans, draft);
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

    /// The markers of the claims on these spans, each once.
    fn claim_all(&mut self, spans: Vec<(usize, Piece)>, draft: &mut Draft) -> Vec<u32> {
        let mut set: Vec<u32> = Vec::new();
        for (hit, span) in spans {
            let known = self.claims.len();
            let marker = claim(&mut self.claims, self.sources.hits, hit, span);
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

/// Whether words of a reply are a statement that would need support. A heading is one too: it may say anything.
fn says_something(words: &str) -> bool {
    !words.ends_with([':', '：']) && words.contains(char::is_alphabetic)
}

/// The number of the claim on this span, a new one if it is the first.
fn claim(claims: &mut Vec<Claim>, hits: &[Hit], hit: usize, span: Piece) -> u32 {
    let base = hits[hit].start;
    let (start, end) = (base + span.start, base + span.end);
    if let Some(known) = claims.iter().find(|claim| (claim.hit, claim.start, claim.end) == (hit, start, end)) {
        return known.marker;
    }
    let marker = u32::try_from(claims.len()).unwrap_or(u32::MAX).saturating_add(1);
    let quote = hits[hit].text[span.start..span.end].to_owned();
    claims.push(Claim { marker, hit, start, end, quote });
    marker
}

/// The passages in pieces.
struct Sources<'a> {
    hits: &'a [Hit],
    cuts: Vec<Cut<'a>>,
}

/// How well a span supports a sentence.
#[derive(Clone, Copy)]
struct Support {
    span: Piece,
    share: f32,
    found: u32,
    numbers: bool,
}

impl<'a> Sources<'a> {
    fn new(hits: &'a [Hit]) -> Self {
        Self { hits, cuts: hits.iter().map(Cut::of).collect() }
    }

    /// The spans that support a sentence, of the passages with these numbers (from 1), or of any if there are none.
    fn spans(&self, sentence: &str, named: &[u32]) -> Vec<(usize, Piece)> {
        let terms = Terms::of(sentence);
        let named = named.iter().filter_map(|number| usize::try_from(*number).ok()?.checked_sub(1));
        let named: Vec<(usize, Support)> =
            named.filter_map(|hit| Some((hit, self.best(hit, &terms)?))).filter(|(_, best)| best.found > 0).collect();
        if !named.is_empty() {
            return named.into_iter().map(|(hit, best)| (hit, best.span)).collect();
        }
        let any = (0..self.hits.len()).filter_map(|hit| Some((hit, self.best(hit, &terms)?)));
        let clear =
            any.filter(|(_, best)| best.share >= CLEARLY_SAID && best.found >= CLEARLY_SAID_WORDS && best.numbers);
        clear
            .max_by(|(_, a), (_, b)| a.share.total_cmp(&b.share))
            .map(|(hit, best)| (hit, best.span))
            .into_iter()
            .collect()
    }

    /// The span of a passage that has most of the sentence's words; the shortest of equals. `None` for an unknown passage.
    fn best(&self, hit: usize, terms: &Terms) -> Option<Support> {
        let cut = self.cuts.get(hit)?;
        let spans = cut.pieces.iter().zip(&cut.columns).filter(|(span, _)| span.kind != Kind::Heading);
        let supports = spans.map(|(span, columns)| {
            let (own, _) = terms.find(cut.words(*span));
            // A row says what it says of its columns.
            let mask = if own == 0 { own } else { own | terms.find(columns).0 };
            let numbers = terms.has_all_numbers(mask);
            Support { span: *span, share: terms.share(mask), found: mask.count_ones(), numbers }
        });
        supports.reduce(|best, next| {
            let shorter = next.span.end - next.span.start < best.span.end - best.span.start;
            if next.share > best.share || next.share >= best.share && shorter { next } else { best }
        })
    }
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

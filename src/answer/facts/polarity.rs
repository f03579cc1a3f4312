//! Whether words affirm or deny, clause by clause.

use super::super::terms::Terms;
use super::language::Words;
use super::tokens::Token;

/// Words at which another clause begins, which may deny what the one before affirms.
const TURNS: [&str; 26] = [
    "but", "unless", "except", "while", "whereas", "although", "though", "if", "because", "aber", "sondern", "außer",
    "wenn", "weil", "mais", "sauf", "pero", "sino", "salvo", "però", "mas", "maar", "men", "ale", "mutta", "но",
];
/// Words behind which a negation denies nothing: `not only`.
const ONLY: [&str; 8] = ["only", "nur", "seulement", "solo", "sólo", "alleen", "bara", "kun"];
/// Words that deny a price, as `costs nothing` does; they count only where the other side denies something.
const FREE: [&str; 10] =
    ["free", "kostenlos", "gratis", "gratuit", "gratuite", "gratuito", "gratuita", "umsonst", "kostenfrei", "zdarma"];
/// What turns a word into its opposite: `unavailable`.
const PREFIXES: [&str; 7] = ["un", "non", "dis", "in", "im", "ne", "nie"];
/// Letters that are left behind such a beginning at least, so that `inside` is not taken for `not side`.
const STEM: usize = 5;
/// Words of a clause; with fewer, a comma only parts a list.
const CLAUSE: usize = 3;

/// A part of a sentence that affirms or denies one thing.
#[derive(Debug, Clone)]
pub(super) struct Clause {
    text: String,
    words: Vec<String>,
    /// Whether it has a word that denies, or one that says no by itself, but not both.
    denies: bool,
    free: bool,
}

/// The clauses of a text in its language.
pub(super) fn clauses(tokens: &[Token], words: &Words) -> Vec<Clause> {
    let mut parts: Vec<&[Token]> = Vec::new();
    let mut start = 0;
    for (at, token) in tokens.iter().enumerate() {
        let turns = TURNS.contains(&token.lower.as_str());
        if at > start && (turns || token.parted && at - start >= CLAUSE) {
            parts.push(&tokens[start..at]);
            start = at;
        }
    }
    parts.push(&tokens[start..]);
    parts.into_iter().filter(|part| !part.is_empty()).map(|part| clause(part, words)).collect()
}

fn clause(tokens: &[Token], words: &Words) -> Clause {
    let denied = (0..tokens.len()).any(|at| denies(tokens, at, words) || is_unspaced_negation(tokens, at));
    let opposite = tokens.iter().any(|token| words.opposites.contains(token.lower.as_str()));
    let lower: Vec<String> = tokens.iter().map(|token| token.lower.clone()).collect();
    Clause {
        text: lower.join(" "),
        denies: denied != opposite,
        free: lower.iter().any(|word| FREE.contains(&word.as_str())),
        words: lower,
    }
}

/// Whether the token at `at` denies what is said.
fn denies(tokens: &[Token], at: usize, words: &Words) -> bool {
    let token = &tokens[at];
    let word = |at: usize| tokens.get(at).map_or("", |token| token.lower.as_str());
    if !words.negations.contains(token.lower.as_str()) {
        return false;
    }
    // `No, it …` answers a question; `no. 5` is a number; `no more than 5` is a bound.
    let answers = token.begins && token.after == ',';
    let numbers = token.after == '.' && word(at + 1).starts_with(|c: char| c.is_ascii_digit());
    let bounds = words.neutral.contains(word(at + 1)) && words.than.contains(word(at + 2));
    !(answers || numbers || bounds || ONLY.contains(&word(at + 1)))
}

/// The characters that deny in Chinese and Japanese.
fn is_unspaced_negation(tokens: &[Token], at: usize) -> bool {
    let next = tokens.get(at + 1).map_or("", |token| token.lower.as_str());
    match tokens[at].lower.as_str() {
        "不" | "没" | "沒" | "未" | "无" | "無" | "ず" => true,
        "な" => matches!(next, "い" | "く" | "か"),
        "せ" => next == "ん",
        _ => false,
    }
}

/// Whether any clause denies.
pub(super) fn any_denies(clauses: &[Clause]) -> bool {
    clauses.iter().any(|clause| clause.denies)
}

/// Whether each clause of a statement is affirmed or denied as the clause of the quotes is that says most of it.
pub(super) fn agree(statement: &[Clause], quotes: &[Clause]) -> bool {
    statement.iter().all(|clause| {
        let terms = Terms::of(&clause.text);
        let said = |quote: &Clause| terms.share(terms.find(&quote.text).0);
        let most = quotes.iter().map(said).fold(0.0, f32::max);
        let mut best = quotes.iter().filter(|quote| said(quote) >= most).peekable();
        if terms.len() == 0 || most <= 0.0 {
            // Nothing of the clause is said: then at least one clause must deny as it does.
            return !clause.denies || any_denies(quotes);
        }
        best.any(|quote| alike(clause, quote))
    })
}

fn alike(a: &Clause, b: &Clause) -> bool {
    let turned = turned(a, b) != turned(b, a);
    let denies = |clause: &Clause, free: bool| clause.denies != (free && clause.free);
    let same = |free: bool| (denies(a, free) == denies(b, free)) != turned;
    same(false) || same(true)
}

/// Whether a word of `a` is a word of `b` with a beginning that turns it into its opposite.
fn turned(a: &Clause, b: &Clause) -> bool {
    a.words.iter().filter(|word| !b.words.contains(word)).any(|word| {
        let stems = PREFIXES.iter().filter_map(|prefix| word.strip_prefix(prefix));
        stems.filter(|stem| stem.chars().count() >= STEM).any(|stem| b.words.iter().any(|other| other == stem))
    })
}

#[cfg(test)]
mod tests {
    use super::super::language::{Language, words_of};
    use super::super::tokens::tokens;
    use super::*;

    fn agreed(code: &'static str, statement: &str, quote: &str) -> bool {
        let words = words_of(Some(Language::Known(code)));
        agree(&clauses(&tokens(statement), words), &clauses(&tokens(quote), words))
    }

    #[test]
    fn what_is_denied_proves_nothing_that_is_affirmed_nor_the_other_way() {
        for (code, yes, no) in [
            ("en", "Theft is covered.", "Theft is not covered."),
            ("en", "Dogs may enter.", "Dogs may never enter."),
            ("en", "Returns need a receipt.", "Returns don't need a receipt."),
            ("en", "Smoking is allowed.", "Smoking is forbidden."),
            ("en", "The room is available.", "The room is unavailable."),
            ("en", "Entry is free.", "Entry is not free."),
            ("de", "Diebstahl ist versichert.", "Diebstahl ist nicht versichert."),
            ("de", "Hunde sind erlaubt.", "Es sind keine Hunde erlaubt."),
            ("fr", "Le vol est couvert.", "Le vol n'est pas couvert."),
            ("es", "El robo está cubierto.", "El robo no está cubierto."),
            ("it", "Il furto è coperto.", "Il furto non è coperto."),
            ("nl", "Diefstal is gedekt.", "Diefstal is niet gedekt."),
            ("da", "Tyveri er dækket.", "Tyveri er ikke dækket."),
            ("sv", "Stöld täcks.", "Stöld täcks inte."),
            ("ru", "Кража покрывается.", "Кража не покрывается."),
        ] {
            assert!(agreed(code, yes, yes) && agreed(code, no, no), "{yes}");
            assert!(!agreed(code, yes, no) && !agreed(code, no, yes), "{yes} {no}");
        }
    }

    #[test]
    fn a_denial_of_something_else_is_none() {
        for (statement, quote) in [
            ("A lost key costs 25 euros.", "A lost key costs 25 euros, but a broken one costs nothing."),
            ("Smoking is not allowed.", "Smoking is forbidden."),
            ("Entry is free.", "Entry costs nothing."),
            ("No, the gate opens at six.", "The gate opens at six."),
            ("At most five guests may come.", "No more than five guests may come."),
            ("The key opens the gate and the shed.", "The key opens not only the gate but the shed."),
            ("See no. 5 of the rules.", "See number 5 of the rules."),
        ] {
            assert!(agreed("en", statement, quote), "{statement} {quote}");
        }
    }
}

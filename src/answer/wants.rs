//! What kind of thing a question asks for: somebody, a time, an amount. A sentence that has such a thing is the likelier
//! to answer, and one about the right thing that has none is none.

use super::dates;
use super::key_words::{is_title, is_unit};
use super::signs::{Sign, signs};
use crate::domain::is_function_word;

/// Words of a question, from its begin, among which its asking word stands.
const BEGIN: usize = 5;

const WHO: &str =
    "who whose whom wer wem wen qui quien quienes quem kto kogo komu vem hvem kuka ki kdo кто кому кого 谁 誰";
const WHEN: &str = "when wann quand cuando quando wanneer kiedy kdy nar hvornar milloin mikor когда";
const HOW_MUCH: &str =
    "combien cuanto cuanta cuantos cuantas quanto quanta quanti quante quantos quantas hoeveel ile kolik сколько";
/// What `how` is followed by when an amount is asked for.
const MUCH: &str = "much many high far fast old heavy big large tall deep wide hot warm often viel viele hoch weit schnell alt \
    schwer gross tief breit warm oft mycket manga mange meget";
const LONG: &str = "long lange lang";
/// Words that tell a time without a number.
const TIMES: &str = "monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays thursdays fridays \
    saturdays sundays daily weekly monthly yearly annually quarterly morning noon afternoon evening midnight night weekend \
    spring summer autumn winter today tomorrow yesterday always never montag dienstag mittwoch donnerstag freitag samstag sonntag \
    montags dienstags mittwochs donnerstags freitags samstags sonntags taglich wochentlich monatlich jahrlich morgens mittags \
    abends nachts lundi mardi mercredi jeudi vendredi samedi dimanche lunes martes miercoles jueves viernes sabado domingo \
    poniedzialek wtorek sroda czwartek piatek sobota niedziela poniedzialku wtorki srody czwartki piatki soboty niedziele \
    codziennie luned martedi mercoledi giovedi venerdi domenica maandag dinsdag woensdag donderdag vrijdag zaterdag zondag \
    mandag tisdag onsdag torsdag fredag lordag sondag hour hours week weeks day days month months year years stunden tage wochen \
    monate jahre";
/// Numbers as words.
const NUMBERS: &str = "one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty hundred \
    thousand half none free twice once zwei drei vier funf sechs sieben acht neun zehn elf zwolf zwanzig dreissig hundert tausend \
    kostenlos deux trois quatre cinq sept huit neuf dix douze vingt cent mille gratuit dos tres cuatro cinco seis siete ocho nueve \
    diez doce veinte cien gratis due tre quattro cinque sei sette otto dieci dwa dwie trzy cztery piec szesc siedem osiem dziewiec \
    dziesiec dwanascie sto";

/// What a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    /// A person.
    Somebody,
    /// A day, an hour, a stretch of time.
    Time,
    /// A number of something.
    Amount,
    /// Anything, as far as its words tell.
    Anything,
}

fn has(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == word)
}

impl Wants {
    /// What `question` asks for, by the word it asks with.
    pub(super) fn of(question: &str) -> Self {
        let all = signs(question);
        let words: Vec<&str> = all.iter().take(BEGIN).map(|sign| sign.text.as_str()).collect();
        let behind = |at: usize| words.get(at + 1).copied().unwrap_or_default();
        for (at, word) in words.iter().enumerate() {
            let how = matches!(*word, "how" | "wie" | "hur" | "hvor");
            return match *word {
                word if has(WHO, word) && (at == 0 || !matches!(word, "qui" | "ki")) => Self::Somebody,
                word if has(WHEN, word) => Self::Time,
                "what" if matches!(behind(at), "time" | "day" | "date" | "year") => Self::Time,
                "since" | "until" | "seit" if at == 0 => Self::Time,
                _ if how && has(LONG, behind(at)) => Self::Time,
                _ if how && has(MUCH, behind(at)) => Self::Amount,
                word if has(HOW_MUCH, word) => Self::Amount,
                "what" if words.contains(&"cost") || words.contains(&"costs") => Self::Amount,
                _ => continue,
            };
        }
        Self::Anything
    }

    /// Whether `text` has such a thing that does not stand in the question, whose folded words are `asked`.
    pub(super) fn is_met_by(self, text: &str, asked: &[String]) -> bool {
        let signs = signs(text);
        let is_new = |sign: &&Sign| !asked.contains(&sign.text);
        match self {
            Self::Anything => true,
            Self::Somebody => has_somebody(&signs, text, asked),
            Self::Time => {
                let word =
                    |sign: &Sign| has(TIMES, &sign.text) || dates::month(&sign.text).is_some() && sign.is_capital;
                let number = |sign: &Sign| sign.text.contains(':') || dates::year(&sign.text).is_some();
                signs.iter().filter(is_new).any(|sign| word(sign) || number(sign)) || has_quantity(&signs, text)
            }
            Self::Amount => {
                let number = |sign: &&Sign| sign.is_number || has(NUMBERS, &sign.text);
                signs.iter().filter(is_new).any(|sign| number(&sign))
            }
        }
    }
}

/// Whether a number stands ahead of a unit, or a character that counts time.
fn has_quantity(signs: &[Sign], text: &str) -> bool {
    let pairs =
        signs.windows(2).any(|pair| (pair[0].is_number || has(NUMBERS, &pair[0].text)) && is_unit(&pair[1].text));
    pairs || text.contains(['时', '時', '点', '月', '年', '曜', '周', '週'])
}

/// Whether two words with capitals, or a title and one, stand side by side, and one of them was not asked about.
fn has_somebody(signs: &[Sign], text: &str, asked: &[String]) -> bool {
    let is_name = |sign: &Sign| sign.is_capital && !sign.is_number && !is_function_word(&sign.text);
    let pairs = signs.windows(2).filter(|pair| is_name(&pair[0]) && is_name(&pair[1]));
    let adjoin = |pair: &[Sign]| matches!(&text[pair[0].end..pair[1].start], " " | ". ");
    let is_new = |pair: &[Sign]| !asked.contains(&pair[1].text) && !is_title(&pair[1].text);
    pairs.filter(|pair| adjoin(pair)).any(is_new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_told_by_the_asking_word() {
        for (question, wants) in [
            ("Who operates ZK-310?", Wants::Somebody),
            ("When is it oiled?", Wants::Time),
            ("How long is the notice period?", Wants::Time),
            ("How much is a lunch?", Wants::Amount),
            ("What does a lunch cost?", Wants::Amount),
            ("Wer bedient die Maschine?", Wants::Somebody),
            ("Wie viel kostet es?", Wants::Amount),
            ("Quand ouvre la salle ?", Wants::Time),
            ("Ile kosztuje obiad?", Wants::Amount),
            ("What is a generation?", Wants::Anything),
            ("lunch", Wants::Anything),
        ] {
            assert_eq!(Wants::of(question), wants, "{question}");
        }
    }

    #[test]
    fn a_sentence_meets_it_with_something_new() {
        let asked = ["agnes".to_owned(), "falk".to_owned(), "2016".to_owned()];
        for (wants, text, met) in [
            (Wants::Somebody, "Her deputy is Tom Reyes.", true),
            (Wants::Somebody, "Dr. Agnes Falk heads the laboratory.", false),
            (Wants::Somebody, "She can be reached at extension 355.", false),
            (Wants::Time, "It is oiled every Friday.", true),
            (Wants::Time, "She joined in 2019.", true),
            (Wants::Time, "She joined in 2016.", false),
            (Wants::Time, "The notice is 3 months.", true),
            (Wants::Time, "It stands in hall 2.", false),
            (Wants::Amount, "It costs 16 crowns.", true),
            (Wants::Amount, "It costs nothing.", false),
        ] {
            assert_eq!(wants.is_met_by(text, &asked), met, "{text}");
        }
    }
}

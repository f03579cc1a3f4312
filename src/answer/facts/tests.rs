//! What proves what, as facts alone.

use super::*;

/// What of a statement's facts a quote lacks, or denies otherwise.
fn lacks(statement: &str, quote: &str) -> bool {
    let names = Names::of([quote].into_iter());
    let quote = Facts::of(quote, Tongue::default(), &names);
    let statement = Facts::of(statement, quote.tongue(), &names);
    let foreign = statement.tongue().differs_from(quote.tongue());
    let missing = !Facts::missing(&statement.needs(), &[&quote]).is_empty();
    missing || statement.is_strange_to(&quote) || !foreign && !statement.agrees_with(&[&quote])
}

#[test]
fn the_same_figures_written_otherwise_are_the_same() {
    for (statement, quote) in [
        ("You pay 25 euros for a lost key.", "A lost key costs 25 euros."),
        ("A lost key costs € 25.", "A lost key costs 25 euros."),
        ("A lost key costs EUR 25.00.", "A lost key costs twenty-five euros."),
        ("A lost key costs 25€.", "A lost key costs 25 EUR."),
        ("The hall seats 1,000 guests.", "The hall seats 1000 guests."),
        ("The hall seats 1.000 guests.", "The hall seats 1 000 guests."),
        ("The hall seats 1k guests.", "The hall seats one thousand guests."),
        ("The town has 1.5 million people.", "The town has 1,500,000 people."),
        ("The rate is 50 %.", "The rate is 50 percent."),
        ("The rate is 50%.", "Half of it is the rate."),
        ("The gate opens at 6:00.", "The gate opens at six in the morning."),
        ("The gate opens at 06:00.", "The gate opens at six in the morning."),
        ("The gate opens at 6 am.", "The gate opens at six in the morning."),
        ("The gate opens at 6 a.m. each day.", "The gate opens at 06:00 each day."),
        ("The gate opens at six o'clock.", "The gate opens at 6:00."),
        ("The gate closes at 22:00.", "The gate closes at ten in the evening."),
        ("The gate closes at 10 p.m.", "The gate closes at 22:00."),
        ("It began on 15 May 2021.", "It began on 2021-05-15."),
        ("It began on May 15, 2021.", "It began on the 15th of May 2021."),
        ("It began on 15.05.2021.", "It began on 15 May 2021."),
        ("It began on 5/15/2021.", "It began on 15 May 2021."),
        ("It began in May 2021.", "It began on 15 May 2021."),
        ("It began in 2021.", "It began on 15 May 2021."),
        ("You have two weeks.", "You have 14 days."),
        ("It takes an hour.", "It takes 60 minutes."),
        ("It weighs 1.5 kg.", "It weighs 1500 g."),
        ("You get a dozen eggs.", "You get 12 eggs."),
        ("It is the 3rd door.", "It is the third door."),
        ("The part is HX4810B.", "Part number: HX-4810-B"),
        ("Machine ZK 310 is blue.", "Machine ZK-310 is blue."),
        ("Machine zk-310 is blue.", "Machine ZK-310 is blue."),
        ("It is open from 9 to 17.", "It is open 9–17."),
        ("The trip takes 3 to 5 days.", "The trip takes 3-5 days."),
        ("The room is at -5 °C.", "The room is at -5°C."),
        ("It is oiled on Mondays.", "It is oiled every Monday."),
        ("1. The key costs 25 euros.", "The key costs 25 euros."),
        ("Passage 2 says the key costs 25 euros.", "The key costs 25 euros."),
        ("Call HR.", "Call human resources."),
        ("Mrs. Okafor leads purchasing.", "Maria Okafor leads purchasing."),
        ("Okafor's extension is 214.", "Maria Okafor leads purchasing; her extension is 214."),
        ("Das Tor öffnet um 6.30 Uhr.", "Das Tor öffnet um 6:30 Uhr."),
        ("Der Schlüssel kostet fünfundzwanzig Euro.", "Der Schlüssel kostet 25 €."),
        ("La clé coûte vingt-cinq euros.", "La clé coûte 25 €."),
    ] {
        assert!(!lacks(statement, quote), "{statement} | {quote}");
    }
}

#[test]
fn another_figure_date_unit_code_or_name_is_another() {
    for (statement, quote) in [
        ("A lost key costs 75 euros.", "A lost key costs 25 euros."),
        ("A lost key costs seventy-five euros.", "A lost key costs 25 euros."),
        ("A lost key costs 25 dollars.", "A lost key costs 25 euros."),
        ("A lost key costs $25.", "A lost key costs 25 euros."),
        ("A lost key costs 2.5 euros.", "A lost key costs 25 euros."),
        ("A lost key costs 250 euros.", "A lost key costs 25 euros."),
        ("Two lost keys cost 50 euros.", "A lost key costs 25 euros."),
        ("The gate opens at nine in the morning.", "The gate opens at six in the morning."),
        ("The gate opens at six in the evening.", "The gate opens at six in the morning."),
        ("The gate opens at 18:00.", "The gate opens at six in the morning."),
        ("The gate opens at 6:30.", "The gate opens at six in the morning."),
        ("It is 25 km away.", "It is 25 m away."),
        ("It takes 25 minutes.", "It takes 25 hours."),
        ("The rate is 5 %.", "The rate is 50 %."),
        ("It began on 15 June.", "It began on 15 May."),
        ("It began on 16 May 2021.", "It began on 15 May 2021."),
        ("It began on 15 May 2020.", "It began on 2021-05-15."),
        ("It is oiled every Friday.", "It is oiled every Monday."),
        ("The part is HX-4810-B.", "Part number: HX-4801-B"),
        ("Error W-2200 means old oil.", "Error W-2002 means old oil."),
        ("The head of purchasing is Maria Lund.", "Maria Okafor leads purchasing."),
        ("Maria Lund leads purchasing.", "Maria Okafor leads purchasing."),
        ("You may come until the fifth.", "You may come until the sixth."),
        ("It is -5 °C.", "It is 5 °C."),
        ("It is not covered.", "It is covered."),
        ("It is covered.", "It is never covered."),
    ] {
        assert!(lacks(statement, quote), "{statement} | {quote}");
    }
}

#[test]
fn figures_dates_and_codes_travel_between_languages() {
    let quote = "The gate opens at six in the morning. A lost key costs 25 euros. The work began on 15 May 2021. \
                 On Mondays HX-4810-B rests. Maria Okafor leads purchasing.";
    for statement in [
        "Das Tor öffnet um sechs Uhr morgens.",
        "Das Tor öffnet um 6 Uhr und ein Schlüssel kostet fünfundzwanzig Euro.",
        "La porte ouvre à six heures du matin et la clé coûte 25 euros.",
        "La puerta se abre a las seis de la mañana.",
        "Das Teil HX-4810-B ruht am Montag, seit dem 15. Mai 2021.",
        "Grinden öppnar klockan sex på morgonen.",
        "Porten åbner klokken seks om morgenen.",
        "A kapu reggel hat órakor nyílik.",
        "Ворота открываются в шесть часов утра.",
        "大门早上6点开。",
        "Maria Okafor leitet den Einkauf und das Lager.",
    ] {
        assert!(!lacks(statement, quote), "{statement}");
    }
    for statement in [
        "Das Tor öffnet um neun Uhr morgens.",
        "Das Tor öffnet um sechs Uhr abends.",
        "La clé coûte 75 euros pour vous.",
        "La clé coûte 25 dollars pour vous.",
        "Es begann am 15. Juni 2021 mit dem Tor.",
        "Das Teil HX-4801-B ist alt und ruht.",
        "Maria Lund leitet den Einkauf und das Lager.",
        "Maria Lund dirige les achats de la maison.",
    ] {
        assert!(lacks(statement, quote), "{statement}");
    }
}

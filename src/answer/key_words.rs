//! Words that tell what a number or a capital in a question means. All are folded: small letters without marks.

/// Nouns that a number behind them names one of: `room 512`, `Artikel 99`. English, German, French, Spanish, Italian,
/// Portuguese, Dutch, Polish, Swedish and Russian, in the forms they have before a number.
const LABELS: &str = "
room rooms version release article articles section sections chapter page pages paragraph clause step invoice order ticket
case issue bug item product customer client account model part number no nr num id serial line floor level building house
hall gate door desk seat bay dock platform terminal track channel slot unit station zone block tower wing lot batch form
figure fig table appendix annex exhibit volume edition episode season round lesson module task question exercise extension
ext port error code rule regulation directive law act standard contract policy purchase po sku machine pump motor engine
robot truck bus route highway road flight train building apartment flat suite box locker shelf rack position pos week
zimmer raum fassung ausgabe artikel abschnitt kapitel seite absatz paragraf paragraph ziffer schritt rechnung bestellung
auftrag vorgang produkt kunde kundin konto modell teil nummer zeile stock etage ebene gebaude haus halle tor tur platz
gleis kanal linie anlage anhang band regel vertrag maschine pumpe durchwahl fehler gesetz norm stufe woche spur wagen zug
flug bus schrank fach regal los charge posten position wohnung
chambre piece salle version article section chapitre page alinea etape facture commande dossier produit client compte
modele numero ligne etage niveau batiment maison porte quai voie annexe tome regle contrat machine pompe poste erreur loi
norme semaine lot vol billet appartement casier
habitacion sala cuarto version articulo seccion capitulo pagina parrafo paso factura pedido caso producto cliente cuenta
modelo numero linea piso planta nivel edificio casa puerta anden via anexo tomo regla contrato maquina bomba error ley
norma semana lote vuelo apartamento
camera stanza versione articolo sezione capitolo pagina comma passo fattura ordine prodotto cliente conto modello numero
linea piano livello edificio porta binario allegato regola contratto macchina pompa interno errore legge settimana
quarto versao artigo secao fatura encomenda produto conta andar nivel edificio porta linha anexo regra maquina erro lei
kamer versie artikel sectie hoofdstuk pagina lid stap factuur bestelling zaak klant rekening nummer lijn verdieping
niveau gebouw huis deur spoor bijlage regel machine pomp toestel fout wet
pokoj pokoju sala sali wersja wersji artykul artykulu rozdzial rozdziale strona stronie ustep krok faktura faktury fakture
zamowienie zamowienia produkt produktu klient klienta konto konta model modelu numer linia linii pietro pietra poziom
budynek budynku dom drzwi peron zalacznik regula umowa umowy maszyna maszyny pompa pompy blad bledu ustawa tydzien
rum sal version artikel avsnitt kapitel sida steg faktura order kund konto modell nummer rad vaning plan byggnad hus dorr
spar bilaga regel avtal maskin pump fel lag vecka
комната комнате комнаты версия версии статья статье статьи раздел глава страница пункт шаг счет счета заказ заказа
продукт клиент номер линия этаж здание дом дверь договор машина насос ошибка закон
";

/// Characters behind a number that make it a name of something in Chinese and Japanese: `99条`, `512号`.
pub(super) const CJK_LABELS: &str = "号號条條章节節页頁楼樓层層室版款项項课課番階";

/// Units and things that are counted: a number ahead of one is a quantity.
const UNITS: &str = "
am pm h hr hrs hour hours min mins minute minutes sec secs second seconds ms s day days week weeks month months year years
people persons person users user employees guests adults children kids nights night times time items pieces euro euros eur
dollar dollars usd cent cents pound pounds gbp franc francs chf crown crowns czk sek nok dkk pln zloty yen rubles kg g mg
km m cm mm mi mile miles ft foot feet inch inches l ml litre litres liter liters ton tons tonne tonnes bar psi degrees
degree percent gb mb kb tb gib mib kib bit bits byte bytes ghz mhz hz v volt volts w watt watts kw kwh mwh amp amps rpm c f
k x px pt st nd rd th er eme bytes characters words lines hours
uhr std stunde stunden minuten sekunden tag tage tagen woche wochen monat monate monaten jahr jahre jahren personen leute
mitarbeiter gaste kinder nachte mal stuck grad prozent kronen franken liter meter kilometer kilo tonnen
heure heures minute minutes jour jours semaine semaines mois an ans annee annees personnes enfants nuits fois pour degres
hora horas minutos dia dias semana semanas mes meses ano anos personas ninos noches veces grados por
ore giorni giorno settimane mesi anni persone uur uren dagen dag weken maanden jaar mensen personen
godzin godziny godzina dni dzien tygodni tygodnie miesiecy miesiace lat lata osob osoby zl zlotych euro razy
timmar dagar veckor manader ar personer gonger ganger
часов часа час дней дня день недель месяцев лет года человек рублей раз
";

/// What stands ahead of a quantity although it is no function word.
const QUANTIFIERS: &str = "
top last first next past previous least most exactly around approximately about roughly nearly almost maximum minimum max
cost costs costing pay pays spend take takes taking wait waits hold holds hire hires send sends buy buys carry park exceed
exceeds older younger longer shorter larger smaller greater under over than within every each only plus minus times age
aged score count eur usd gbp chf euro euros dollar dollars total another additional other extra have need bring work stay
letzte letzten nachste nachsten ersten hochstens mindestens etwa ungefahr genau uber unter je pro alle kostet kosten dauert
dernier derniers derniere dernieres prochains premiers environ moins plus maximum ultimos ultimas proximos primeros maximo
minimo mas menos ostatnie ostatnich najblizszych okolo ponad co najmniej
";

/// Words in capitals that are nobody's name: days, months, languages, feasts and how people are addressed.
const NO_NAMES: &str = "
i im ive ill id monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays thursdays fridays
saturdays sundays january february march april may june july august september october november december jan feb mar apr jun
jul aug sep sept oct nov dec english german french spanish italian portuguese dutch polish swedish danish norwegian finnish
russian chinese japanese korean arabic turkish czech hungarian latin european american christmas easter ramadan hanukkah
thanksgiving internet web wifi ok tv god earth
";

/// How people are addressed: what follows is a name, they are no part of it.
const TITLES: &str = "
mr mrs ms miss mx dr prof professor sir madam lady lord president captain general colonel major lieutenant sergeant governor
senator minister king queen prince princess pope saint st judge chancellor coach director manager
herr herrn frau fraulein doktor m mme mlle monsieur madame senor senora senorita don dona sig signor signora pan pani pana
panu panem dhr mevr mevrouw meneer hr fru
";

/// Words that ask for anything there is about a thing, so none of them need stand in what answers.
const GENERIC: &str = "
about detail details info information data describe description explain overview summary summarize summarise tell show find
know specification specifications spec specs mean means meaning meant stand stands status facts entry record
bedeutet bedeutung heisst angaben daten beschreibung informationen erklare zeige uber
signifie signification informations details significa significado informacion datos oznacza znaczy informacje dane
";

/// Words that stand for what was named ahead of them, where a sentence begins with one.
const PRONOUNS: &str = "
he she it they his her its their him them this these er sie es ihr ihre ihren ihrem ihrer sein seine seinen seinem seiner
dessen deren diese dieser dieses il elle ils elles son sa ses leur leurs el ella ellos ellas su sus este esta lui lei suo sua
ele ela seu hij zij zijn haar hun jego jej ich on ona ono oni han hon hans hennes den det deras ihm ihnen он она оно они его ее их
";

fn has(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == word)
}

/// Whether a number behind `word` names one of the things it says.
pub(super) fn is_label(word: &str) -> bool {
    has(LABELS, word)
}

/// Whether a number ahead of `word` is a quantity of it.
pub(super) fn is_unit(word: &str) -> bool {
    has(UNITS, word)
}

/// Whether a number behind `word` is a quantity.
pub(super) fn is_quantifier(word: &str) -> bool {
    has(QUANTIFIERS, word)
}

/// Whether `word` is no name although it has a capital.
pub(super) fn is_no_name(word: &str) -> bool {
    has(NO_NAMES, word)
}

/// Whether `word` addresses the person whose name follows.
pub(super) fn is_title(word: &str) -> bool {
    has(TITLES, word)
}

/// Whether a sentence that begins with `word` goes on about what was named ahead of it.
pub(super) fn is_pronoun(word: &str) -> bool {
    has(PRONOUNS, word)
}

/// Whether `word` asks for anything there is.
pub(super) fn is_generic(word: &str) -> bool {
    has(GENERIC, word)
}

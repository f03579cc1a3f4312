//! Reads the markers in a reply, in whatever form a model writes them, as one character each.
//!
//! Models are asked for `[1]` and write `[1, 2]`, `【1†gate.md】`, `(Passage 1)`, `[gate.md]`, `¹` or `<sup>1</sup>` as well.
//! All that follows sees only the one character; what is no marker (`(1)` ahead of words, `[0, 1]`, anything in code) stays
//! as it is written. What is a marker depends on the words alone, however they come in.

use crate::domain::Hit;

/// Longest marker that is read as such, bytes.
const LONGEST: usize = 96;
/// Most passages that one range can name: `[1-3]`.
const RANGE: u32 = 20;
/// The character of marker 0, in a plane for private use; what comes from outside loses such characters.
const FIRST: u32 = 0xf_0000;
/// What is added to a number that names the whole document of that passage.
pub(super) const DOCUMENT: u32 = 0x1000;

/// Words ahead of a passage's number or name.
const LABELS: [&str; 46] = [
    "see",
    "cf",
    "siehe",
    "vgl",
    "voir",
    "vedi",
    "ver",
    "zie",
    "se",
    "from",
    "per",
    "according to",
    "source",
    "sources",
    "passage",
    "passages",
    "document",
    "documents",
    "doc",
    "docs",
    "reference",
    "references",
    "refs",
    "ref",
    "citation",
    "citations",
    "cite",
    "cited",
    "context",
    "chunk",
    "excerpt",
    "snippet",
    "quelle",
    "quellen",
    "abschnitt",
    "dokument",
    "fuente",
    "fuentes",
    "fonte",
    "fonti",
    "bron",
    "kilde",
    "källa",
    "zdroj",
    "id",
    "text",
];
/// Words ahead of a number in parentheses that is one of the text's own: `equation (1)`.
const OWN: [&str; 16] = [
    "equation",
    "eq",
    "figure",
    "fig",
    "table",
    "section",
    "step",
    "article",
    "paragraph",
    "formula",
    "absatz",
    "abs",
    "gleichung",
    "clause",
    "item",
    "option",
];
/// Tags around a number.
const TAGS: [&str; 7] = ["sup", "cite", "ref", "citation", "source", "passage", "doc"];
/// What may stand between two markers of one sentence.
const BETWEEN: [&str; 9] = [",", ";", "and", "und", "et", "y", "e", "&", "/"];

/// Whether a character stands for a marker.
pub(super) fn is_marker(c: char) -> bool {
    (FIRST..FIRST + 2 * DOCUMENT).contains(&u32::from(c))
}

/// The number of a marker's character.
pub(super) fn number(c: char) -> Option<u32> {
    is_marker(c).then(|| u32::from(c) - FIRST)
}

/// Numbers of the passages that words name without a marker: `Passage 2 says`.
pub(super) fn mentioned(words: &str) -> Vec<u32> {
    let lower = words.to_lowercase();
    let parts: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).collect();
    let named =
        parts.windows(2).filter(|two| matches!(two[0], "passage" | "passages" | "source" | "abschnitt" | "quelle"));
    named.filter_map(|two| two[1].parse().ok().filter(|_| two[1].len() <= 2)).collect()
}

/// A reply whose markers are read as it comes in.
#[derive(Debug)]
pub(super) struct Markers {
    /// Names of documents in small letters, each with its first passage.
    names: Vec<(String, u32)>,
    /// How many passages there are.
    passages: u32,
    waiting: String,
    /// The last characters given: what stands ahead of a sign decides what it is.
    before: String,
    /// Whether code stands open: within a line, or in a block.
    code: bool,
    block: bool,
    /// Whether a marker in brackets was seen: then `(1)` is none.
    bracketed: bool,
}

/// What stands at the begin of what has come.
enum Read {
    /// A marker of this length for these numbers.
    Marker(usize, Vec<u32>),
    /// More must come to know.
    Open,
    None,
}

impl Markers {
    /// Reads the markers of a reply about these passages.
    pub(super) fn of(hits: &[Hit]) -> Self {
        let mut names: Vec<(String, u32)> = Vec::new();
        for (hit, number) in hits.iter().zip(1..) {
            let id = hit.document_id.as_str().to_lowercase();
            let file = id.rsplit('/').next().unwrap_or(&id).to_owned();
            let stem = file.rsplit_once('.').map_or(file.clone(), |(stem, _)| stem.to_owned());
            for name in [id, file, stem, hit.title.to_lowercase()] {
                if name.chars().count() > 1 && names.iter().all(|(known, _)| *known != name) {
                    names.push((name, number));
                }
            }
        }
        Self {
            names,
            passages: u32::try_from(hits.len()).unwrap_or(u32::MAX),
            waiting: String::new(),
            before: String::new(),
            code: false,
            block: false,
            bracketed: false,
        }
    }

    /// What came, with its markers as characters, as far as nothing that follows can change what is one.
    pub(super) fn push(&mut self, words: &str) -> String {
        self.waiting.extend(words.chars().filter(|c| u32::from(*c) < FIRST));
        self.read(false)
    }

    /// The rest, once nothing more will come.
    pub(super) fn end(&mut self) -> String {
        self.read(true)
    }

    fn read(&mut self, whole: bool) -> String {
        let mut out = String::with_capacity(self.waiting.len());
        let waiting = std::mem::take(&mut self.waiting);
        let mut rest = waiting.as_str();
        while let Some(c) = rest.chars().next() {
            match self.marker(rest, whole) {
                Read::Open => break,
                Read::None => {
                    self.note(c);
                    out.push(c);
                    rest = &rest[c.len_utf8()..];
                }
                Read::Marker(length, numbers) => {
                    self.bracketed |= matches!(c, '[' | '【' | '［');
                    out.extend(numbers.into_iter().filter_map(|number| char::from_u32(FIRST + number)));
                    rest = &rest[length..];
                }
            }
        }
        rest.clone_into(&mut self.waiting);
        out
    }

    /// Keeps what stands ahead of the next sign.
    fn note(&mut self, c: char) {
        match c {
            '`' if self.before.ends_with("``") => {
                self.block = !self.block;
                self.code = false;
            }
            '`' => self.code = !self.code,
            // Code within a line ends with it: a lone sign would hide all markers behind it.
            '\n' => self.code = false,
            _ => {}
        }
        self.before.push(c);
        if self.before.len() > 64 {
            let cut = self.before.floor_char_boundary(self.before.len() - 32);
            self.before.drain(..cut);
        }
    }

    /// The marker at the begin of `rest`, with all that follow it but for commas.
    fn marker(&self, rest: &str, whole: bool) -> Read {
        let (mut length, mut numbers) = match self.one(rest, whole) {
            Read::Marker(length, numbers) => (length, numbers),
            read => return read,
        };
        loop {
            let behind = &rest[length..];
            let gap = separator(behind);
            let next = &behind[gap..];
            if next.is_empty() && !whole && behind.len() < LONGEST && !behind.contains('\n') {
                return Read::Open;
            }
            if gap == 0 || !next.starts_with(['[', '【', '［', '(', '<']) {
                let cut =
                    !whole && next.len() < 4 && BETWEEN.iter().any(|between| between.starts_with(next.trim_start()));
                return if cut { Read::Open } else { Read::Marker(length, numbers) };
            }
            match self.one(next, whole) {
                Read::Marker(more, others) => {
                    numbers.extend(others);
                    length += gap + more;
                }
                Read::Open => return Read::Open,
                Read::None => return Read::Marker(length, numbers),
            }
        }
    }

    fn one(&self, rest: &str, whole: bool) -> Read {
        if self.code || self.block {
            return Read::None;
        }
        match rest.chars().next().unwrap_or(' ') {
            '[' => self.enclosed(rest, "[", "]", whole),
            '【' => self.enclosed(rest, "【", "】", whole),
            '［' => self.enclosed(rest, "［", "］", whole),
            '(' => self.enclosed(rest, "(", ")", whole),
            '（' => self.enclosed(rest, "（", "）", whole),
            '\\' => self.enclosed(rest, "\\[", "\\]", whole),
            '<' => self.tagged(rest, whole),
            c if superscript(c).is_some() => self.superscripts(rest, whole),
            _ => Read::None,
        }
    }

    /// A marker between two signs.
    fn enclosed(&self, rest: &str, open: &str, close: &str, whole: bool) -> Read {
        let window = &rest[..rest.floor_char_boundary(LONGEST)];
        let undecided = !whole && window.len() == rest.len() && !window.contains('\n');
        if !window.starts_with(open) {
            return if undecided && open.starts_with(window) { Read::Open } else { Read::None };
        }
        let Some(end) = closed(window, open, close) else {
            return if undecided { Read::Open } else { Read::None };
        };
        let inner = &window[open.len()..end];
        let length = end + close.len();
        let numbers = match open {
            "(" | "（" if inner.trim().bytes().all(|byte| byte.is_ascii_digit()) => {
                if length == rest.len() && !whole {
                    return Read::Open;
                }
                self.lone_number(inner.trim(), &rest[length..])
            }
            "(" | "（" => self.numbers(inner, true),
            _ => self.numbers(inner, false),
        };
        numbers.map_or(Read::None, |numbers| Read::Marker(length, numbers))
    }

    /// `(1)` at the end of a clause, where it can be no item of a list and the reply has other markers not.
    fn lone_number(&self, digits: &str, next: &str) -> Option<Vec<u32>> {
        let number = self.known(digits)?;
        let before = self.before.trim_end_matches(' ');
        let word = before.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_lowercase();
        let sign = before.ends_with(['.', '!', '?', ',']);
        let spaced = before.len() < self.before.len() || sign;
        let words =
            sign || word.chars().count() > 1 && word.chars().all(char::is_alphabetic) && !OWN.contains(&word.as_str());
        let ends =
            next.is_empty() || next.starts_with(['.', ',', ';', '!', '?', '\n']) || sign && next.starts_with(' ');
        (!self.bracketed && spaced && words && ends).then(|| vec![number])
    }

    /// `<sup>1</sup>`, `<cite>1</cite>`.
    fn tagged(&self, rest: &str, whole: bool) -> Read {
        let window = &rest[..rest.floor_char_boundary(LONGEST)];
        // A marker stands on one line, however its line comes in.
        let line = window.find('\n').map_or(window, |end| &window[..end]);
        let lower = line.to_ascii_lowercase();
        let undecided = !whole && line.len() == rest.len();
        let may_become = |tag: &&str| format!("<{tag}>").starts_with(&lower);
        let Some(tag) = TAGS.iter().find(|tag| lower.starts_with(&format!("<{tag}>"))) else {
            return if undecided && TAGS.iter().any(may_become) { Read::Open } else { Read::None };
        };
        let (begin, close) = (tag.len() + 2, format!("</{tag}>"));
        let Some(end) = lower.find(&close) else { return if undecided { Read::Open } else { Read::None } };
        let power = *tag == "sup" && self.follows_a_quantity();
        match self.numbers(&line[begin..end], false).filter(|_| !power) {
            Some(numbers) => Read::Marker(end + close.len(), numbers),
            None => Read::None,
        }
    }

    /// Raised digits behind a word: `morning¹`. Behind a unit or a digit they are a power.
    fn superscripts(&self, rest: &str, whole: bool) -> Read {
        let run: Vec<char> = rest.chars().take_while(|c| superscript(*c).is_some()).collect();
        let length: usize = run.iter().map(|c| c.len_utf8()).sum();
        if length == rest.len() && !whole {
            return Read::Open;
        }
        let digits: String = run.iter().filter_map(|c| superscript(*c)).collect();
        let each = || run.iter().map(|c| self.known(&superscript(*c)?.to_string())).collect::<Option<Vec<u32>>>();
        let numbers = self.known(&digits).map(|number| vec![number]).or_else(each);
        let leads = self.before.is_empty() || self.before.ends_with(char::is_whitespace);
        match numbers.filter(|_| !leads && !self.follows_a_quantity()) {
            Some(numbers) => Read::Marker(length, numbers),
            None => Read::None,
        }
    }

    /// Whether a digit, or a word as short as a unit or a variable, stands right before.
    fn follows_a_quantity(&self) -> bool {
        let word = self.before.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        !word.is_empty() && (word.chars().count() <= 2 || word.ends_with(|c: char| c.is_ascii_digit()))
    }

    /// A number that names a passage.
    fn known(&self, digits: &str) -> Option<u32> {
        digits.parse().ok().filter(|number| (1..=self.passages).contains(number))
    }

    /// The numbers that the words between a marker's signs name. In parentheses, a number needs a label and a name must
    /// look like a file's, since words stand there too.
    fn numbers(&self, inner: &str, parenthesised: bool) -> Option<Vec<u32>> {
        let lower = inner.trim().to_lowercase();
        let bracketed = lower.contains(['[', '【', '［', '^']);
        if let Some(number) = self.named(&lower, parenthesised && !is_labelled(&lower)) {
            return Some(vec![number]);
        }
        let (lower, tail) = match lower.split_once('†') {
            Some((numbers, name)) => (numbers.to_owned(), name.to_owned()),
            None => (lower, String::new()),
        };
        if let Some(number) = self.named(&tail, false) {
            return Some(vec![number]);
        }
        let mut all: Vec<u32> = Vec::new();
        let mut lists = false;
        for part in lower
            .split([',', ';', '，', '、', '&', '[', ']', '【', '】', '［', '］'])
            .flat_map(|part| part.split(" and "))
        {
            let bare = without_labels(part);
            let label = bare.len() < part.trim().len() || bracketed;
            lists |= !all.is_empty() && !label;
            match bare.trim().trim_start_matches(['^', '#']) {
                "" => {}
                _ if parenthesised && !label && all.is_empty() => return None,
                bare => all.extend(range(bare).or_else(|| Some(vec![self.named(bare, parenthesised && !label)?]))?),
            }
        }
        // `[0, 1]` and `[10, 20]` are intervals.
        let interval = lists && (all.contains(&0) || all.iter().all(|number| *number > self.passages));
        let attached = self.before.ends_with(char::is_alphanumeric)
            && all.iter().all(|number| !(1..=self.passages).contains(number));
        (!all.is_empty() && !interval && !attached).then_some(all)
    }

    /// The document of this name.
    fn named(&self, name: &str, as_file: bool) -> Option<u32> {
        let find = |name: &str| {
            let name = name.trim().trim_matches(['"', '“', '”', '*', '`']);
            let name = name.split(['#', '†']).next().unwrap_or(name).trim();
            let may = !name.is_empty() && (!as_file || name.contains(['.', '/']));
            self.names.iter().find(|(known, _)| may && known == name).map(|(_, number)| DOCUMENT + number)
        };
        find(name).or_else(|| find(without_labels(name)))
    }
}

/// Length of what may stand between two markers, with spaces around it.
fn separator(text: &str) -> usize {
    let words = text.trim_start_matches(' ');
    let length =
        BETWEEN.iter().find_map(|between| words.strip_prefix(between)).map(|rest| rest.trim_start_matches(' '));
    length.map_or(0, |rest| text.len() - rest.len())
}

/// Where the sign that closes the first stands in `text`; ones within are closed first.
fn closed(text: &str, open: &str, close: &str) -> Option<usize> {
    let line = text.split('\n').next().unwrap_or(text);
    let mut depth = 0usize;
    let mut at = 0;
    while at < line.len() {
        if line[at..].starts_with(close) && depth <= 1 {
            return Some(at);
        }
        depth = match () {
            () if line[at..].starts_with(open) => depth + 1,
            () if line[at..].starts_with(close) => depth - 1,
            () => depth,
        };
        at += line[at..].chars().next().map_or(1, char::len_utf8);
    }
    None
}

fn is_labelled(text: &str) -> bool {
    without_labels(text).len() < text.trim().len()
}

/// The number or name behind words such as `see`, `Source:` or `passage`.
fn without_labels(text: &str) -> &str {
    let mut rest = text.trim();
    loop {
        let bare = LABELS.iter().find_map(|label| {
            let bare = rest.strip_prefix(label)?;
            bare.starts_with(|c: char| !c.is_alphabetic() && c != '/').then_some(bare)
        });
        match bare {
            Some(bare) => rest = bare.trim_start_matches([' ', ':', '.', '#', '_', '-', '=', '\u{a0}']),
            None if LABELS.contains(&rest) => return "",
            None => return rest,
        }
    }
}

/// `3`, `2-4`, `4:0`: the passages of a number or a range.
fn range(text: &str) -> Option<Vec<u32>> {
    let single = |text: &str| {
        let text = text.trim();
        ((1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u32>().ok())?
    };
    if let Some((first, rest)) = text.split_once(':') {
        return single(rest).and_then(|_| Some(vec![single(first)?]));
    }
    let (first, last) = text.split_once(['-', '–']).unwrap_or((text, text));
    let (first, last) = (single(first)?, single(last)?);
    (first <= last && last - first <= RANGE).then(|| (first..=last).collect())
}

fn superscript(c: char) -> Option<char> {
    let digit = match c {
        '\u{b9}' => 1,
        '\u{b2}' => 2,
        '\u{b3}' => 3,
        '\u{2070}' => 0,
        '\u{2074}'..='\u{2079}' => u32::from(c) - 0x2070,
        _ => return None,
    };
    char::from_digit(digit, 10)
}

#[cfg(test)]
pub(super) mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::super::tests::hit;
    use super::*;

    /// A reply about three passages with its markers written as `{1}`, those of documents as `{d1}`.
    fn read(reply: &str) -> String {
        let hits = [hit("gate.md", 0, "x"), hit("docs/fees.txt", 0, "y"), hit("rules", 0, "z")];
        shown(std::iter::once(reply.to_owned()), &hits)
    }

    fn shown(pieces: impl Iterator<Item = String>, hits: &[Hit]) -> String {
        let mut markers = Markers::of(hits);
        let mut out: String = pieces.map(|piece| markers.push(&piece)).collect();
        out.push_str(&markers.end());
        let mut shown = String::new();
        for c in out.chars() {
            match number(c) {
                Some(number) if number > DOCUMENT => _ = write!(shown, "{{d{}}}", number - DOCUMENT),
                Some(number) => _ = write!(shown, "{{{number}}}"),
                None => shown.push(c),
            }
        }
        shown
    }

    /// A text whose `[n]` are markers.
    pub(in super::super) fn marked(text: &str) -> String {
        let hits: Vec<Hit> = (0..9).map(|_| hit("a", 0, "x")).collect();
        let mut markers = Markers::of(&hits);
        let read = markers.push(text);
        read + &markers.end()
    }

    #[test]
    fn markers_of_every_form_are_read() {
        for (reply, wanted) in [
            ("It is so [1].", "It is so {1}."),
            ("It is so [1,2]. Yes [1, 3].", "It is so {1}{2}. Yes {1}{3}."),
            ("So [1-3] it is [1–2].", "So {1}{2}{3} it is {1}{2}."),
            ("So [1][2], so [1], [2] and [3].", "So {1}{2}, so {1}{2}{3}."),
            ("So 【1】 and【1†source】, 【2:0†gate.md】.", "So {1}{1}{d1}."),
            ("So [^1]. So ［2］. So [ 3 ].", "So {1}. So {2}. So {3}."),
            ("So [Source 1], [source: 2] so [Passage 3].", "So {1}{2} so {3}."),
            ("So (Passage 1). So (source 2). So (see [3]).", "So {1}. So {2}. So {3}."),
            ("So [doc 1] [Document 2]. [Doc-3]", "So {1} {2}. {3}"),
            ("So [gate.md]. So (gate.md). So [fees.txt] [Title of rules].", "So {d1}. So {d1}. So {d2} {d3}."),
            ("So (Source: docs/fees.txt).", "So {d2}."),
            ("So [1†]. So the morning¹. So²", "So {1}. So the morning{1}. So²"),
            ("It rains.¹ ² So the door¹²", "It rains.{1} ² So the door{1}{2}"),
            ("So<sup>1</sup>. So <sup>[2]</sup> so <cite>1</cite>.", "So<sup>1</sup>. So {2} so {1}."),
            ("The gate<sup>1</sup> so \\[1\\] so [[1]].", "The gate{1} so {1} so {1}."),
            ("So it is (1). And so (2), too.", "So it is {1}. And so {2}, too."),
            ("So it is (Passages 1 and 2).", "So it is {1}{2}."),
            ("So [7], [0].", "So {7}{0}."),
        ] {
            assert_eq!(read(reply), wanted, "{reply}");
        }
    }

    #[test]
    fn what_is_no_marker_stays() {
        for text in [
            "Bring (1) a badge and (2) a key.",
            "It lies in [0, 1] or [10, 20].",
            "Run `array[1]` and `f(1)`.",
            "```\nlet a = b[1];\n```",
            "In [2024] and [a] word and x[0].",
            "See equation (1). By figure (2).",
            "The main entrance (gate) and (see the gate).",
            "An area of 5 m² and 10³ and x<sup>2</sup>.",
            "A list: [ ] one, [x] two.",
            "[1-900] and <b>1</b> and \\frac.",
            "It begins [1",
        ] {
            assert_eq!(read(text), text);
        }
    }

    #[test]
    fn passages_are_named_in_words_too() {
        assert_eq!(mentioned("Passage 1 says so, and according to source 2 it is."), [1, 2]);
        assert_eq!(mentioned("The passage of 1 day"), [] as [u32; 0]);
    }

    proptest! {
        #[test]
        fn markers_cut_anywhere_are_the_same(
            reply in "(It is so|gate\\.md|see|Passage|source| and |, |\\[|\\]|\\(|\\)|【|】|†|[0-9]|¹|<sup>|</sup>|\\\\|`|```|\n| |é){0,24}",
            sizes in prop::collection::vec(1usize..7, 1..6),
        ) {
            let hits = [hit("gate.md", 0, "x"), hit("b", 0, "y")];
            let letters: Vec<char> = reply.chars().collect();
            let mut pieces = Vec::new();
            let mut at = 0;
            for size in sizes.iter().cycle() {
                if at >= letters.len() {
                    break;
                }
                pieces.push(letters[at..(at + size).min(letters.len())].iter().collect::<String>());
                at += size;
            }
            prop_assert_eq!(shown(pieces.into_iter(), &hits), shown(std::iter::once(reply), &hits));
        }
    }
}

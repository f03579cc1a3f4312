//! What some models think aloud before they answer, and the signs that servers leave around it.
//!
//! Thoughts stand between two signs at the begin of a reply or of a line, in channels (`<|channel|>analysis<|message|>…`), or
//! ahead of a closing sign whose opening one the server has put into the prompt. In a stream the last form is known only
//! when the closing sign comes: [`Heard::Unsaid`] says then that what came before was thought.

/// What thoughts stand between, in small letters; tags are written `<name>` and `</name>`.
const TAGS: [&str; 14] = [
    "think",
    "thinking",
    "thought",
    "thoughts",
    "reasoning",
    "reason",
    "reflection",
    "analysis",
    "scratchpad",
    "seed:think",
    "antthinking",
    "inner_monologue",
    "internal",
    "thought_process",
];
/// Other pairs of signs.
const PAIRS: [(&str, &str); 7] = [
    ("◁think▷", "◁/think▷"),
    ("[think]", "[/think]"),
    ("[thinking]", "[/thinking]"),
    ("[reasoning]", "[/reasoning]"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|begin_of_thinking|>", "<|end_of_thinking|>"),
    ("<|thinking|>", "<|/thinking|>"),
];
/// Signs that only wrap an answer or end it, and say nothing.
const WRAPPERS: [&str; 16] = [
    "<answer>",
    "</answer>",
    "<final>",
    "</final>",
    "<response>",
    "</response>",
    "<final_answer>",
    "</final_answer>",
    "<|begin_of_solution|>",
    "<|end_of_solution|>",
    "<|end|>",
    "<|return|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|endoftext|>",
    "<|start|>",
];
/// Begin of a channel, and what parts its name from its words.
const CHANNEL: &str = "<|channel|>";
const MESSAGE: &str = "<|message|>";
/// What begins a turn, and who speaks in it.
const TURN: &str = "<|start|>";
const SPEAKER: &str = "assistant";
/// What ends a channel's words.
const ENDS: [&str; 4] = ["<|end|>", "<|start|>", "<|return|>", CHANNEL];
/// How channels look where a server drops their signs.
const BARE: (&str, &str) = ("analysis", "assistantfinal");
/// Longest sign with its attributes, bytes; a longer one is none.
const LONGEST: usize = 96;

/// What of a reply's next words is answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// Words of the answer.
    pub words: String,
    /// Whether all that was taken for the answer before these words was thought.
    pub unsaid: bool,
}

/// Leaves thoughts out of a reply, however it comes in.
#[derive(Debug, Default)]
pub(super) struct Thoughts {
    /// What has come and is not judged yet.
    waiting: String,
    /// The signs of which one ends the thoughts that stand open.
    within: Vec<String>,
    /// Whether any word of the answer was given.
    begun: bool,
    /// Whether thoughts have ended: then another closing sign is a part of the answer.
    thought: bool,
    /// Opening signs within a sentence, whose closing ones end no thoughts.
    spoken: usize,
    /// The last character given.
    last: Option<char>,
    /// Whether a sign of code stands open.
    in_code: bool,
}

/// What stands at the begin of what has come.
enum Sign {
    /// Thoughts begin behind so many bytes and end with one of these.
    Opens(usize, Vec<String>),
    /// Thoughts end here, so many bytes.
    Closes(usize),
    /// Nothing, so many bytes.
    Wraps(usize),
    /// More must come to know.
    Open,
    None,
}

impl Thoughts {
    /// What of the next words belongs to the answer.
    pub(super) fn hear(&mut self, words: &str) -> Heard {
        self.waiting.push_str(words);
        self.read(false)
    }

    /// The rest, once nothing more will come.
    pub(super) fn end(&mut self) -> Heard {
        self.read(true)
    }

    fn read(&mut self, whole: bool) -> Heard {
        let mut heard = Heard::default();
        loop {
            if !self.within.is_empty() {
                if !self.skip(whole) {
                    return heard;
                }
                continue;
            }
            let Some(at) = self.waiting.find(|c: char| self.may_begin_a_sign(c)) else {
                let rest = std::mem::take(&mut self.waiting);
                self.give(&rest, &mut heard);
                return heard;
            };
            let rest = self.waiting.split_off(at);
            let before = std::mem::replace(&mut self.waiting, rest);
            self.give(&before, &mut heard);
            match self.sign(whole) {
                Sign::Open => return heard,
                Sign::None => {
                    self.note_spoken();
                    let first = self.waiting.chars().next().map_or(0, char::len_utf8);
                    let rest = self.waiting.split_off(first);
                    let sign = std::mem::replace(&mut self.waiting, rest);
                    self.give(&sign, &mut heard);
                }
                Sign::Wraps(length) => drop(self.waiting.drain(..length)),
                Sign::Opens(length, ends) => {
                    self.waiting.drain(..length);
                    self.within = ends;
                }
                Sign::Closes(length) => {
                    self.waiting.drain(..length);
                    heard = Heard { words: String::new(), unsaid: true };
                    self.thought = true;
                    self.begun = false;
                    self.last = None;
                }
            }
        }
    }

    /// Notes a sign that is a part of the answer, so that its counterpart is too.
    fn note_spoken(&mut self) {
        let lower = self.waiting[..self.waiting.floor_char_boundary(LONGEST)].to_ascii_lowercase();
        if self.in_code {
            return;
        }
        if opening(&lower).is_some() {
            self.spoken += 1;
        } else if closing(&lower).is_some() {
            self.spoken = self.spoken.saturating_sub(1);
        }
    }

    /// Whether a sign may begin with `c`: also the first letter of a reply, where channels have lost their signs.
    fn may_begin_a_sign(&self, c: char) -> bool {
        matches!(c, '<' | '◁' | '[') || !self.begun && !self.thought && c.eq_ignore_ascii_case(&'a')
    }

    /// Gives words of the answer, from its first that is no space.
    fn give(&mut self, words: &str, heard: &mut Heard) {
        let words = if self.begun { words } else { words.trim_start() };
        if words.is_empty() {
            return;
        }
        self.begun = true;
        self.in_code ^= words.matches('`').count() % 2 == 1;
        self.last = words.chars().next_back();
        heard.words.push_str(words);
    }

    /// Leaves out thoughts up to their end; whether it has come.
    fn skip(&mut self, whole: bool) -> bool {
        let lower = self.waiting.to_ascii_lowercase();
        let end = self.within.iter().filter_map(|sign| end_of(&lower, sign)).min();
        let Some((at, length)) = end else {
            let keep = self.within.iter().map(String::len).max().unwrap_or_default() + 4;
            // A sign in quotes is judged as a whole: without its first quote it would end the thoughts.
            let quoted = self.within.iter().filter_map(|sign| lower.rfind(sign).map(|at| at + sign.len())).max();
            let cut = self.waiting.len().saturating_sub(keep).max(quoted.unwrap_or_default());
            let cut = self.waiting.floor_char_boundary(cut);
            self.waiting.drain(..if whole { self.waiting.len() } else { cut });
            return false;
        };
        // Whether the sign stands in quotes shows with the character behind it.
        if !whole && at + length == self.waiting.len() && quote_before(&lower[..at]).is_some() {
            return false;
        }
        // A channel's begin is read once more: it names the next.
        let channel = lower[at..].starts_with(CHANNEL) || lower[at..].starts_with("<|start|>");
        self.waiting.drain(..if channel { at } else { at + length });
        self.within.clear();
        self.thought = true;
        true
    }

    /// What the sign at the begin of what has come says.
    fn sign(&self, whole: bool) -> Sign {
        let window = &self.waiting[..self.waiting.floor_char_boundary(LONGEST)];
        let lower = window.to_ascii_lowercase();
        let open = !whole && window.len() == self.waiting.len();
        let at_line = !self.begun || self.last == Some('\n');
        if lower.starts_with('a') {
            let at_begin = !self.begun && !self.thought;
            return if at_begin { bare_channel(window, &lower, open) } else { Sign::None };
        }
        if let Some(sign) = channel(&lower, open) {
            return sign;
        }
        let ends = |sign: &str| lower.starts_with(sign);
        if let Some(sign) = WRAPPERS.iter().find(|sign| ends(sign)) {
            return if self.in_code { Sign::None } else { Sign::Wraps(sign.len()) };
        }
        if at_line && let Some((length, end)) = opening(&lower) {
            return Sign::Opens(length, vec![end]);
        }
        if let Some(length) = closing(&lower) {
            return self.closes(&window[length..], length, open);
        }
        let may_become = open && (signs().any(|sign| sign.starts_with(&lower)) || may_have_attributes(&lower));
        if may_become { Sign::Open } else { Sign::None }
    }

    /// Whether a closing sign ends thoughts, or is only spoken of: in quotes, in code, or within a sentence.
    fn closes(&self, after: &str, length: usize, open: bool) -> Sign {
        if self.thought || self.in_code || self.spoken > 0 {
            return Sign::None;
        }
        let mut next = after.chars();
        let (first, second) = (next.next(), next.next());
        if open && (first.is_none() || first == Some(' ') && second.is_none()) {
            return Sign::Open;
        }
        let quoted = self.last.is_some_and(is_quote) && first.is_some_and(is_quote);
        let within = self.last == Some(' ') && first == Some(' ') && second.is_some_and(char::is_lowercase);
        if quoted || within { Sign::None } else { Sign::Closes(length) }
    }
}

/// Thoughts in a channel whose signs were dropped: `analysisWe need …assistantfinalThe gate …`.
fn bare_channel(window: &str, lower: &str, open: bool) -> Sign {
    let (begin, end) = BARE;
    let Some(rest) = lower.strip_prefix(begin) else {
        return if open && begin.starts_with(lower) { Sign::Open } else { Sign::None };
    };
    match window[window.len() - rest.len()..].chars().next() {
        None if open => Sign::Open,
        Some(c) if c.is_uppercase() => Sign::Opens(begin.len(), vec![end.to_owned()]),
        _ => Sign::None,
    }
}

/// The begin of a channel; the final one is the answer, all others are thoughts.
fn channel(lower: &str, open: bool) -> Option<Sign> {
    let turn = lower.strip_prefix(TURN);
    if open && turn.is_some_and(|rest| format!("{SPEAKER}{CHANNEL}").starts_with(rest)) {
        return Some(Sign::Open);
    }
    let header = turn.map_or(lower, |rest| rest.strip_prefix(SPEAKER).unwrap_or(rest));
    if !header.starts_with(CHANNEL) {
        return turn.map(|_| Sign::Wraps(lower.len() - header.len()));
    }
    let Some(end) = lower.find(MESSAGE) else {
        return Some(if open { Sign::Open } else { Sign::Wraps(lower.len()) });
    };
    let name = &header[CHANNEL.len()..];
    let length = end + MESSAGE.len();
    if name.starts_with("final") {
        return Some(Sign::Wraps(length));
    }
    Some(Sign::Opens(length, ENDS.iter().map(|end| (*end).to_owned()).collect()))
}

/// The opening sign at the begin of `lower`: its length and what closes it.
fn opening(lower: &str) -> Option<(usize, String)> {
    let pair = PAIRS.iter().find_map(|(begin, end)| lower.starts_with(begin).then(|| (begin.len(), (*end).to_owned())));
    pair.or_else(|| {
        TAGS.iter().find_map(|name| {
            let rest = lower.strip_prefix('<')?.strip_prefix(name)?;
            let close = rest.find('>').filter(|close| *close == 0 || rest.starts_with(' '))?;
            let plain = !rest[..close].contains(['<', '\n']);
            plain.then(|| (1 + name.len() + close + 1, format!("</{name}>")))
        })
    })
}

/// Length of the closing sign at the begin of `lower`.
fn closing(lower: &str) -> Option<usize> {
    let pair = PAIRS.iter().find_map(|(_, end)| lower.starts_with(end).then_some(end.len()));
    pair.or_else(|| {
        let name = lower.strip_prefix("</")?;
        TAGS.iter().find_map(|tag| name.strip_prefix(tag)?.starts_with('>').then_some(tag.len() + 3))
    })
}

/// Where thoughts end with this sign, and its length; a sign in quotes is one that is thought about.
fn end_of(lower: &str, sign: &str) -> Option<(usize, usize)> {
    lower.match_indices(sign).map(|(at, _)| at).find_map(|at| {
        let after = lower[at + sign.len()..].chars().next();
        let quoted = quote_before(&lower[..at]).is_some() && after.is_some_and(is_quote);
        (!quoted).then_some((at, sign.len()))
    })
}

fn quote_before(text: &str) -> Option<char> {
    text.chars().next_back().filter(|c| is_quote(*c))
}

fn is_quote(c: char) -> bool {
    matches!(c, '`' | '"' | '\'' | '“' | '”' | '„' | '‘' | '’' | '«' | '»')
}

/// All signs that have no attributes.
fn signs() -> impl Iterator<Item = String> {
    let tags = TAGS.iter().flat_map(|name| [format!("<{name}>"), format!("</{name}>")]);
    let pairs = PAIRS.iter().flat_map(|(begin, end)| [(*begin).to_owned(), (*end).to_owned()]);
    let others = WRAPPERS.iter().chain([&CHANNEL]).map(|sign| (*sign).to_owned());
    tags.chain(pairs).chain(others)
}

/// Whether an opening tag stands at the begin whose attributes have not ended yet.
fn may_have_attributes(lower: &str) -> bool {
    let mut rests = TAGS.iter().filter_map(|name| lower.strip_prefix('<')?.strip_prefix(name));
    rests.any(|rest| rest.starts_with(' ') && !rest.contains(['>', '<', '\n']) && lower.len() < LONGEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(pieces: impl Iterator<Item = String>) -> String {
        let mut thoughts = Thoughts::default();
        let mut answer = String::new();
        let mut take = |heard: Heard| {
            if heard.unsaid {
                answer.clear();
            }
            answer.push_str(&heard.words);
        };
        pieces.for_each(|piece| take(thoughts.hear(&piece)));
        take(thoughts.end());
        answer
    }

    fn parted(reply: &str, size: usize) -> impl Iterator<Item = String> {
        let letters: Vec<char> = reply.chars().collect();
        letters.chunks(size).map(|piece| piece.iter().collect()).collect::<Vec<String>>().into_iter()
    }

    const FORMS: [(&str, &str); 38] = [
        ("<think>So é…\nhm</think>\n\nIt is so.", "It is so."),
        (" \n<think></think>It is so. </think>", "It is so. </think>"),
        ("It is <think>so</think>.", "It is <think>so</think>."),
        ("<thing> is so", "<thing> is so"),
        ("<think>without end", ""),
        (" It is so.", "It is so."),
        ("I look, it says six.\n</think>\n\nIt is so.", "It is so."),
        ("I look</think>It is so.", "It is so."),
        ("I look\n</thinking>\nIt is so.", "It is so."),
        ("I look\n[/THINK]It is so.", "It is so."),
        ("I look ◁/think▷ It is so.", "It is so."),
        ("<thinking>hm</thinking>It is so.", "It is so."),
        ("<THINK>hm</THINK>\nIt is so.", "It is so."),
        ("<Thought>hm</Thought>\nIt is so.", "It is so."),
        ("<reasoning>hm</reasoning>\nIt is so.", "It is so."),
        ("<reflection>hm</reflection>\nIt is so.", "It is so."),
        ("<seed:think>hm</seed:think>It is so.", "It is so."),
        ("<think time=\"3\">hm</think>It is so.", "It is so."),
        ("◁think▷hm◁/think▷It is so.", "It is so."),
        ("[THINK]hm[/THINK]It is so.", "It is so."),
        ("<|begin_of_thought|>hm<|end_of_thought|><|begin_of_solution|>It is so.<|end_of_solution|>", "It is so."),
        ("<think>one</think>\n<think>two</think>It is so.", "It is so."),
        ("It is so.\n<think>wait</think>Indeed.", "It is so.\nIndeed."),
        ("<think>I must not write `</think>` yet</think>It is so.", "It is so."),
        ("<think>hm</think><answer>It is so.</answer>", "It is so."),
        ("<answer>It is so.</answer>", "It is so."),
        ("The sign `</think>` ends thoughts.", "The sign `</think>` ends thoughts."),
        ("The sign </think> ends thoughts.", "The sign </think> ends thoughts."),
        ("A list [1] and [think", "A list [1] and [think"),
        (
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>It is so.<|return|>",
            "It is so.",
        ),
        (
            "<|start|>assistant<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>It is so.",
            "It is so.",
        ),
        ("<|channel|>final<|message|>It is so.<|end|>", "It is so."),
        ("<|channel|>commentary to=x<|message|>hm<|channel|>final<|message|>It is so.", "It is so."),
        ("<|channel|>analysis<|message|>hm, no end", ""),
        ("analysisWe look.assistantfinalIt is so.", "It is so."),
        ("analysis of it says so.", "analysis of it says so."),
        ("A gate.", "A gate."),
        ("It is so.<|im_end|>", "It is so."),
    ];

    #[test]
    fn thoughts_of_every_form_are_left_out_and_nothing_else() {
        for (reply, said) in FORMS {
            for size in [1, 2, 3, 7, 1000] {
                assert_eq!(answer(parted(reply, size)), said, "{reply} in pieces of {size}");
            }
        }
    }

    proptest! {
        #[test]
        fn signs_cut_anywhere_are_the_same_signs(
            reply in "(<think>|</think>|<thinking |>|`|\\[THINK\\]|\\[/THINK\\]|◁think▷|◁/think▷|<\\|channel\\|>|analysis|final|<\\|message\\|>|<\\|end\\|>|<answer>|</answer>|<|assistantfinal|It is so|A| |\n|é){0,14}",
            sizes in prop::collection::vec(1usize..9, 1..6),
        ) {
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
            prop_assert_eq!(answer(pieces.into_iter()), answer(std::iter::once(reply)));
        }
    }
}

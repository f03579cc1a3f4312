//! How facts are said on the pages: sizes, times, names, states.
//!
//! What stands here is ready to show; templates only place it.

use std::fmt;

use askama::Template;
use askama::filters::{HtmlSafe, urlencode_strict};

use crate::actors::Health;
use crate::domain::{DocumentProgress, DocumentState, DocumentStatus, Job, JobState, StageName, Timestamp, share};

/// The longest name that is shown whole, in characters; as long as a file name may be on most disks.
const LONGEST_NAME: usize = 255;
/// The longest message that is shown whole, in characters.
const LONGEST_MESSAGE: usize = 1000;
/// Below this share a rate says nothing about the time left.
const ETA_FROM_PERMILLE: u64 = 50;
/// Below this age a rate says nothing about the time left, milliseconds.
const ETA_FROM_MS: i64 = 3_000;
const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A colour with a shape: state is never colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// All is well.
    Ok,
    /// Somebody should look.
    Warn,
    /// It failed.
    Bad,
    /// It moves.
    Info,
    /// It waits, or is over.
    Idle,
}

impl fmt::Display for Tone {
    /// The name that the style sheet and the symbols share.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Info => "info",
            Self::Idle => "idle",
        })
    }
}

/// A state: shape, colour and word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Template)]
#[template(path = "admin/parts/chip.html")]
pub struct Chip {
    /// Colour and shape.
    pub tone: Tone,
    /// The word.
    pub word: &'static str,
    /// How much is done, 0 to 100.
    pub percent: Option<u8>,
}

// Each part is a template of its own that escapes what it holds, so its markup may stand in another as it is.
impl HtmlSafe for Chip {}
impl HtmlSafe for When {}
impl HtmlSafe for Gauge {}
impl HtmlSafe for Message {}

impl Chip {
    /// A chip.
    pub fn new(tone: Tone, word: &'static str) -> Self {
        Self { tone, word, percent: None }
    }

    /// The same chip with how much is done, 0 to 1.
    fn with_share(self, share: Option<f64>) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100")]
        let percent = share.map(|share| (share * 100.0).floor() as u8);
        Self { percent, ..self }
    }

    /// How a tenant fares.
    pub fn of_health(health: &Health) -> Self {
        match health {
            Health::Building { .. } => Self::new(Tone::Info, "Building"),
            Health::Ready => Self::new(Tone::Ok, "Ready"),
            Health::Restarting { .. } => Self::new(Tone::Warn, "Restarting"),
            Health::Failed { .. } => Self::new(Tone::Bad, "Failed"),
            Health::Quarantined { .. } => Self::new(Tone::Bad, "Out of service"),
        }
    }

    /// Where a document stands.
    pub fn of_document(document: &DocumentStatus) -> Self {
        match document.state {
            DocumentState::Queued => Self::new(Tone::Idle, "Queued"),
            DocumentState::Working => {
                let progress = document.progress.filter(DocumentProgress::is_embedding);
                let share = progress.and_then(|progress| share(progress.chunks_embedded, progress.chunks));
                Self::new(Tone::Info, document.stage.map_or("Working", stage)).with_share(share)
            }
            DocumentState::Live => Self::new(Tone::Ok, "Live"),
            DocumentState::Warning => Self::new(Tone::Warn, "Live, with warnings"),
            DocumentState::Failed => Self::new(Tone::Bad, "Failed"),
        }
    }

    /// How far a job is.
    pub fn of_job(job: &Job) -> Self {
        match job.state {
            JobState::Running => {
                let share = job.share().filter(|_| job.stage == Some(StageName::Embed));
                Self::new(Tone::Info, job.stage.map_or("Running", stage)).with_share(share)
            }
            state => Self::of_state(state),
        }
    }

    /// A job's state, whatever its stage.
    pub fn of_state(state: JobState) -> Self {
        match state {
            JobState::Queued => Self::new(Tone::Idle, "Queued"),
            JobState::Running => Self::new(Tone::Info, "Running"),
            JobState::Done => Self::new(Tone::Ok, "Done"),
            JobState::DoneWithWarnings => Self::new(Tone::Warn, "Done, with warnings"),
            JobState::Failed => Self::new(Tone::Bad, "Failed"),
            JobState::Cancelled => Self::new(Tone::Idle, "Cancelled"),
        }
    }
}

/// A stage while it lasts.
pub fn stage(stage: StageName) -> &'static str {
    match stage {
        StageName::Extract => "Extracting",
        StageName::Chunk => "Chunking",
        StageName::Embed => "Embedding",
        StageName::Index => "Indexing",
        StageName::Check => "Checking",
        StageName::Publish => "Publishing",
    }
}

/// A point in time, said relative to now; the exact one is in the markup.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "admin/parts/when.html")]
pub struct When {
    /// `3 min ago`.
    pub text: String,
    /// RFC 3339.
    pub iso: String,
    /// `2026-05-01 08:30:00 UTC`.
    pub full: String,
}

impl When {
    /// `at` as seen from `now`.
    pub fn new(at: Timestamp, now: Timestamp) -> Self {
        let iso = at.to_string();
        let full = format!("{} UTC", iso.get(..19).unwrap_or(&iso).replace('T', " "));
        let text = relative(at.as_millis() - now.as_millis()).unwrap_or_else(|| full[..10].to_owned());
        Self { text, iso, full }
    }
}

/// `2 min ago`, `in 3 days`; nothing when a date says it better. What is past is rounded down, what is to come up: a token
/// of 90 days ends in 90 days the moment it is made.
fn relative(difference: i64) -> Option<String> {
    let (ms, past) = (difference.abs(), difference < 0);
    let units = |unit: i64| if past { ms / unit } else { (ms + unit - 1) / unit };
    let distance = match ms {
        ms if ms < 5 * SECOND => return Some("just now".into()),
        ms if ms < MINUTE => format!("{} s", units(SECOND)),
        ms if ms < HOUR => format!("{} min", units(MINUTE)),
        ms if ms < DAY => format!("{} h", units(HOUR)),
        ms if past && ms >= 14 * DAY || ms >= 366 * DAY => return None,
        _ if units(DAY) == 1 => "1 day".into(),
        _ => format!("{} days", units(DAY)),
    };
    Some(if past { format!("{distance} ago") } else { format!("in {distance}") })
}

/// How long something took: `38 ms`, `4.2 s`, `3 min 5 s`, `2 h 10 min`.
pub fn duration(milliseconds: i64) -> String {
    match milliseconds.max(0) {
        ms if ms < SECOND => format!("{ms} ms"),
        ms if ms < 10 * SECOND => format!("{}.{} s", ms / SECOND, ms % SECOND / 100),
        ms if ms < MINUTE => format!("{} s", ms / SECOND),
        ms if ms < HOUR => format!("{} min {} s", ms / MINUTE, ms % MINUTE / SECOND),
        ms => format!("{} h {} min", ms / HOUR, ms % HOUR / MINUTE),
    }
}

/// A size in bytes: `0 B`, `512 B`, `4.2 MiB`, `33 GiB`.
pub fn bytes(size: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    let mut power = 0;
    while power + 1 < UNITS.len() && size >> (10 * (power + 2)) > 0 {
        power += 1;
    }
    // Tenths, cut and not rounded: 1023.99 KiB must not read as 1024.0 KiB.
    let tenths = (u128::from(size) * 10) >> (10 * (power + 1));
    let unit = UNITS[power];
    if tenths < 100 { format!("{}.{} {unit}", tenths / 10, tenths % 10) } else { format!("{} {unit}", tenths / 10) }
}

/// A number with narrow blanks between groups of three: `12 345`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        // Four digits read well as they are.
        if at > 0 && digits.len() > 4 && (digits.len() - at).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number and its noun: `1 document`, `2 documents`.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A name that came from outside, fit for a line: no control characters, no characters that turn the writing direction of
/// what follows, at most [`LONGEST_NAME`] characters. Templates set it between `<bdi>`.
pub fn name(raw: &str) -> String {
    tame(raw, LONGEST_NAME)
}

/// Words that came from below, fit for a paragraph: what stands between backticks is set as code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Template)]
#[template(path = "admin/parts/message.html")]
pub struct Message {
    parts: Vec<MessagePart>,
}

/// A piece of a [`Message`].
#[derive(Debug, Clone, PartialEq, Eq)]
struct MessagePart {
    text: String,
    code: bool,
}

impl Message {
    /// The message of these words: as [`name`], but at most [`LONGEST_MESSAGE`] characters.
    pub fn new(raw: &str) -> Self {
        let tamed = tame(raw, LONGEST_MESSAGE);
        // A backtick without a partner means nothing.
        let pairs = tamed.matches('`').count() / 2 * 2;
        let parts = tamed.splitn(pairs + 1, '`').enumerate();
        let parts = parts.map(|(at, text)| MessagePart { text: text.to_owned(), code: at % 2 == 1 });
        Self { parts: parts.filter(|part| !part.text.is_empty()).collect() }
    }

    /// The message of an error, whose words begin small and end without a full stop, as a sentence of a page.
    pub fn sentence(words: &str) -> Self {
        let mut rest = words.chars();
        let first = rest.next().map(char::to_uppercase).into_iter().flatten();
        Self::new(&first.chain(rest).chain(['.']).collect::<String>())
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

impl From<&str> for Message {
    fn from(raw: &str) -> Self {
        Self::new(raw)
    }
}

impl From<String> for Message {
    fn from(raw: String) -> Self {
        Self::new(&raw)
    }
}

fn tame(raw: &str, most: usize) -> String {
    let mut shown: String = raw.chars().take(most).map(|c| if deceives(c) { '\u{fffd}' } else { c }).collect();
    if raw.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

/// Control characters, and those that reorder or hide text (joiners stay, since Persian and Hindi names need them): `report\u{202e}fdp.exe` would read as `reportexe.pdf`.
fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

/// `text` for one part of a path or query.
pub fn encoded(text: &str) -> String {
    let Ok(encoded) = urlencode_strict(text);
    encoded.to_string()
}

/// How far something is.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "admin/parts/gauge.html")]
pub struct Gauge {
    /// For those who do not see it.
    pub label: &'static str,
    /// 0 to 1000; none while the whole is not known.
    pub permille: Option<u64>,
    /// `71 % · 12 s left`.
    pub text: String,
}

impl Gauge {
    /// How far a job is; none when it does not move (any more).
    pub fn of_job(job: &Job, now: Timestamp) -> Option<Self> {
        if job.state != JobState::Running {
            return None;
        }
        let label = "Progress";
        let (done, total) = (job.counts.documents_done, job.counts.documents_total);
        if total == 0 {
            return Some(Self { label, permille: None, text: "starting".into() });
        }
        let permille = done.min(total) * 1000 / total;
        let mut text = format!("{} %", permille / 10);
        if let Some(left) = time_left(job, permille, now) {
            text = format!("{text} · {} left", duration(left));
        }
        Some(Self { label, permille: Some(permille), text })
    }
}

/// Milliseconds left at the rate so far, in whole seconds.
fn time_left(job: &Job, permille: u64, now: Timestamp) -> Option<i64> {
    let spent = now.as_millis() - job.started_at?.as_millis();
    if permille < ETA_FROM_PERMILLE || spent < ETA_FROM_MS {
        return None;
    }
    let permille = i64::try_from(permille).ok()?;
    Some((spent * (1000 - permille) / permille / SECOND).max(1) * SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_carry_a_unit_and_never_reach_1024() {
        for (size, said) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (10 * 1024 - 1, "9.9 KiB"),
            (10 * 1024, "10 KiB"),
            ((1 << 20) - 1, "1023 KiB"),
            (32 << 20, "32 MiB"),
            (u64::MAX, "15 EiB"),
        ] {
            assert_eq!(bytes(size), said);
        }
    }

    #[test]
    fn numbers_are_grouped_from_five_digits_on() {
        assert_eq!((count(0), count(9999)), ("0".into(), "9999".into()));
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!((counted(1, "chunk"), counted(0, "chunk")), ("1 chunk".into(), "0 chunks".into()));
    }

    #[test]
    fn times_are_said_relative_to_now_while_that_helps() {
        let now = Timestamp::from_millis(1_777_000_000_000);
        let said = |difference: i64| When::new(Timestamp::from_millis(now.as_millis() + difference), now).text;
        assert_eq!(said(-4_999), "just now");
        assert_eq!(said(-59 * SECOND), "59 s ago");
        assert_eq!(said(-61 * MINUTE), "1 h ago");
        assert_eq!(said(-25 * HOUR), "1 day ago");
        assert_eq!(said(90 * DAY - 3), "in 90 days");
        assert_eq!(said(-30 * DAY), "2026-03-25");
        let when = When::new(now, now);
        assert_eq!((when.iso.as_str(), when.full.as_str()), ("2026-04-24T03:06:40Z", "2026-04-24 03:06:40 UTC"));
    }

    #[test]
    fn durations_keep_two_units_at_most() {
        let said = [0, 999, 1_250, 59_999, 185_000, 7_800_000].map(duration);
        assert_eq!(said, ["0 ms", "999 ms", "1.2 s", "59 s", "3 min 5 s", "2 h 10 min"]);
    }

    #[test]
    fn a_name_cannot_turn_hide_or_flood_what_stands_beside_it() {
        assert_eq!(name("report\u{202e}fdp.exe"), "report\u{fffd}fdp.exe");
        assert_eq!(name("a\nb\u{200b}c\u{e0041}"), "a\u{fffd}b\u{fffd}c\u{fffd}");
        assert_eq!(name("עברית.pdf"), "עברית.pdf");
        assert_eq!(name(&"x".repeat(4096)).chars().count(), LONGEST_NAME + 1);
    }

    #[test]
    fn what_stands_between_backticks_is_code_and_a_lone_one_means_nothing() {
        let html = |raw: &str| Message::new(raw).to_string();
        assert_eq!(html("set `a.b` to `<c>`"), "set <code>a.b</code> to <code>&#60;c&#62;</code>");
        assert_eq!(html("it`s `so`"), "it<code>s </code>so`");
        assert_eq!(html("one ` alone"), "one ` alone");
        assert!(Message::new("").is_empty());
        assert_eq!(Message::sentence("wait for `it`").to_string(), "Wait for <code>it</code>.");
    }

    #[test]
    fn an_id_cannot_leave_its_part_of_an_address() {
        assert_eq!(encoded("a/b c&d=é?#"), "a%2Fb%20c%26d%3D%C3%A9%3F%23");
    }
}

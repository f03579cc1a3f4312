//! Glyphs to lines to paragraphs.
//!
//! Programs draw text mostly in the order it is read, columns included, so that order is kept; only pieces that were
//! drawn late are put back into the line they stand in. Right-to-left lines are drawn in any order and are turned round.

use unicode_normalization::UnicodeNormalization;

use super::content::Glyph;

/// A gap wider than this, in font sizes, parts words; narrower ones are kerning.
const WORD_GAP: f32 = 0.17;
/// Pairs of letters from which on a line can tell that its letters are spaced out.
const SPACED_LETTERS: usize = 3;
/// Letters further apart than this, in font sizes, are no word spaced out but cells of a narrow table.
const MAX_LETTER_SPACE: f32 = 0.5;
/// Glyphs of a line from which on it is only sorted: putting pieces in their places costs more the longer it is.
const MAX_PIECED: usize = 10_000;
/// Glyphs looked back at to see whether a piece is drawn a second time, as some programs do for bold letters.
const MAX_REPEATED: usize = 200;
/// A letter that begins before the one drawn just before it, by less than this in font sizes, follows it all the same.
const OVERLAP: f32 = 0.6;
/// Between Chinese and Japanese characters only a wide gap is one.
const WIDE_WORD_GAP: f32 = 0.6;
/// A gap wider than this, in font sizes, ends a line: another column or cell begins.
const COLUMN_GAP: f32 = 1.0;
/// A piece drawn late belongs to a line no further away than this, in font sizes: columns may stand near.
const LATE_GAP: f32 = 0.4;
/// Pieces drawn one after another with a gap, or an overlap, less than this, in font sizes, are one line.
const BESIDE: f32 = 0.6;
/// Base lines this near, in font sizes, are one line: sub- and superscripts stay in theirs.
const SAME_LINE: f32 = 0.45;
/// Base lines further apart than this, in font sizes, are of different paragraphs.
const PARAGRAPH_GAP: f32 = 1.65;
/// How many of the latest lines a late piece may belong to.
const OPEN_LINES: usize = 60;

/// Lines that belong together, in letters of one size.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Paragraph {
    pub lines: Vec<String>,
    /// Height of the font, points.
    pub size: f32,
    /// Whether it runs along the page, not up its margin.
    pub upright: bool,
}

impl Paragraph {
    /// Words that stand nowhere on the page, such as a comment's.
    pub fn note(words: &str) -> Self {
        Self { lines: words.lines().map(str::to_owned).collect(), size: 0.0, upright: false }
    }
}

/// A run of glyphs on one base line.
#[derive(Debug)]
struct Line {
    glyphs: Vec<Glyph>,
    y: f32,
    size: f32,
    left: f32,
    right: f32,
    turn: u16,
}

/// The paragraphs of a page, in reading order.
pub(super) fn paragraphs(glyphs: Vec<Glyph>) -> Vec<Paragraph> {
    let mut lines: Vec<Line> = Vec::new();
    for glyph in glyphs {
        let blank = glyph.text.trim().is_empty();
        let recent = lines.len().saturating_sub(OPEN_LINES);
        let home = match lines.last() {
            Some(last) if last.takes(&glyph, COLUMN_GAP) => Some(lines.len() - 1),
            _ => lines[recent..].iter().rposition(|line| line.takes(&glyph, LATE_GAP)).map(|at| recent + at),
        };
        match home {
            Some(at) => lines[at].push(glyph),
            None if !blank => lines.push(Line::new(glyph)),
            None => {}
        }
    }
    group(joined(lines))
}

/// Lines with the pieces joined that were drawn one after another and stand side by side: in a line from right to left,
/// a Latin word or a number begins further away than its end is.
fn joined(lines: Vec<Line>) -> Vec<Line> {
    let mut joined: Vec<Line> = Vec::new();
    for line in lines {
        match joined.last_mut().filter(|last| last.adjoins(&line)) {
            Some(last) => line.glyphs.into_iter().for_each(|glyph| last.push(glyph)),
            None => joined.push(line),
        }
    }
    joined
}

impl Line {
    fn new(glyph: Glyph) -> Self {
        let Glyph { x, y, width, size, turn, .. } = glyph;
        Self { glyphs: vec![glyph], y, size, left: x, right: x + width, turn }
    }

    /// Whether the glyph continues the line: same height, and in it or next to it, by `gap` font sizes at most.
    fn takes(&self, glyph: &Glyph, gap: f32) -> bool {
        let size = self.size.max(glyph.size);
        let reach = gap * size;
        self.turn == glyph.turn
            && (self.y - glyph.y).abs() < SAME_LINE * size
            && glyph.x < self.right + reach
            && glyph.x + glyph.width > self.left - reach
    }

    /// Whether another line is at the same height and right beside it.
    fn adjoins(&self, other: &Self) -> bool {
        let size = self.size.max(other.size);
        let gap = self.left.max(other.left) - self.right.min(other.right);
        self.turn == other.turn && (self.y - other.y).abs() < SAME_LINE * size && gap.abs() < BESIDE * size
    }

    fn push(&mut self, glyph: Glyph) {
        // The largest letters are the line's, not its footnote marks.
        if glyph.size > self.size {
            (self.size, self.y) = (glyph.size, glyph.y);
        }
        self.left = self.left.min(glyph.x);
        self.right = self.right.max(glyph.x + glyph.width);
        self.glyphs.push(glyph);
    }

    /// The size in which most of the line's letters are.
    fn main_size(&self) -> f32 {
        let mut sizes: Vec<f32> = self.glyphs.iter().map(|glyph| glyph.size).collect();
        sizes.sort_by(f32::total_cmp);
        sizes[sizes.len() / 2]
    }

    /// The words, with spaces where the gaps are.
    fn text(mut self) -> String {
        let right_to_left = self.glyphs.iter().filter(|glyph| is_right_to_left(&glyph.text)).count();
        let latin = |glyph: &&Glyph| glyph.text.chars().any(char::is_alphabetic) && !is_right_to_left(&glyph.text);
        let left_to_right = self.glyphs.iter().filter(latin).count();
        self.glyphs = in_place(std::mem::take(&mut self.glyphs), right_to_left > 0);
        let least = self.word_gap();
        let mut pieces: Vec<String> = Vec::new();
        let mut previous: Option<&Glyph> = None;
        for glyph in &self.glyphs {
            let blank = glyph.text.trim().is_empty();
            let again = |previous: &Glyph| is_repeated(previous, glyph) || blank && previous.text.trim().is_empty();
            if previous.is_some_and(again) {
                continue;
            }
            if previous.is_some_and(|previous| parts_words(previous, glyph, least)) {
                pieces.push(" ".to_owned());
            }
            pieces.push(glyph.text.clone());
            previous = Some(glyph);
        }
        if right_to_left > left_to_right {
            turn_round(&mut pieces);
            part_scripts(&mut pieces);
        }
        pieces.concat().chars().flat_map(plain_form).collect()
    }

    /// The least gap between words: more than that between most of the line's letters, which may be spaced out.
    fn word_gap(&self) -> f32 {
        let letters = |pair: &&[Glyph]| pair.iter().all(|glyph| !glyph.text.trim().is_empty());
        let gap = |pair: &[Glyph]| gap(&pair[0], &pair[1]).max(0.0);
        let mut gaps: Vec<f32> = self.glyphs.windows(2).filter(letters).map(gap).collect();
        gaps.sort_by(f32::total_cmp);
        let usual = gaps.get(gaps.len() / 10).copied().unwrap_or_default();
        if gaps.len() < SPACED_LETTERS || usual > MAX_LETTER_SPACE { WORD_GAP } else { usual + WORD_GAP }
    }
}

/// From the order of drawing to that of place, which differ where pieces were drawn late, and always from right to left.
///
/// What was drawn in one go stays together, though its letters may overlap, as recognised scans' do, unless there is room
/// between them for a later piece.
fn in_place(glyphs: Vec<Glyph>, right_to_left: bool) -> Vec<Glyph> {
    if glyphs.len() > MAX_PIECED {
        let mut glyphs = glyphs;
        glyphs.sort_by(|a, b| a.x.total_cmp(&b.x));
        return glyphs;
    }
    let mut runs: Vec<Vec<Glyph>> = Vec::new();
    for glyph in glyphs {
        let overlap = if right_to_left { 0.0 } else { OVERLAP * glyph.size };
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| glyph.x >= last.x - overlap) => run.push(glyph),
            _ => runs.push(vec![glyph]),
        }
    }
    runs.sort_by(|a, b| a[0].x.total_cmp(&b[0].x));
    let mut line = Vec::new();
    for run in runs {
        put(run, &mut line);
    }
    line
}

/// Puts a run into the line where there is room for it, else at its end, without what is there already.
fn put(mut run: Vec<Glyph>, line: &mut Vec<Glyph>) {
    let is_blank = |glyph: &Glyph| glyph.text.trim().is_empty();
    let near = &line[line.len().saturating_sub(MAX_REPEATED)..];
    run.retain(|glyph| !near.iter().any(|placed| is_repeated(placed, glyph)));
    let Some(start) = run.first().map(|first| first.x) else { return };
    let at = line.iter().rposition(|placed| placed.x <= start).map_or(0, |last| last + 1);
    let end = run.iter().filter(|glyph| !is_blank(glyph)).map(|glyph| glyph.x + glyph.width).fold(start, f32::max);
    let fits =
        line[at..].iter().find(|placed| !is_blank(placed)).is_none_or(|next| next.x > end - LATE_GAP * next.size);
    let at = if fits { at } else { line.len() };
    line.splice(at..at, run);
}

/// The gap between two glyphs, in font sizes.
fn gap(previous: &Glyph, glyph: &Glyph) -> f32 {
    (glyph.x - (previous.x + previous.width)) / previous.size.min(glyph.size)
}

/// Whether the gap between two glyphs is a space that was not drawn; `least` is the least there is in their line.
fn parts_words(previous: &Glyph, glyph: &Glyph, least: f32) -> bool {
    if previous.text.ends_with(char::is_whitespace) || glyph.text.starts_with(char::is_whitespace) {
        return false;
    }
    let both_wide = is_wide(&previous.text) && is_wide(&glyph.text);
    gap(previous, glyph) > if both_wide { least.max(WIDE_WORD_GAP) } else { least }
}

/// Whether a glyph is drawn again at the same place, as some programs do for bold letters.
fn is_repeated(previous: &Glyph, glyph: &Glyph) -> bool {
    previous.text == glyph.text && (glyph.x - previous.x).abs() < 0.1 * glyph.size
}

fn is_wide(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}'))
}

fn is_right_to_left(text: &str) -> bool {
    text.chars().any(|c| matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'))
}

fn is_left_to_right(text: &str) -> bool {
    !is_right_to_left(text) && text.chars().any(char::is_alphanumeric)
}

/// From the order on the page to the order of reading: everything backwards, but numbers and Latin words as they are.
fn turn_round(pieces: &mut [String]) {
    pieces.reverse();
    let is_kept = |piece: &String| is_left_to_right(piece);
    let mut at = 0;
    while at < pieces.len() {
        if !is_kept(&pieces[at]) {
            for bracket in [("(", ")"), ("[", "]"), ("«", "»")] {
                if pieces[at] == bracket.0 {
                    bracket.1.clone_into(&mut pieces[at]);
                } else if pieces[at] == bracket.1 {
                    bracket.0.clone_into(&mut pieces[at]);
                }
            }
            at += 1;
            continue;
        }
        // Marks inside a number or between Latin words belong to it.
        let mut end = at + 1;
        let mut look = end;
        while look < pieces.len() && !is_right_to_left(&pieces[look]) {
            look += 1;
            if is_kept(&pieces[look - 1]) {
                end = look;
            }
        }
        pieces[at..end].reverse();
        at = end;
    }
}

/// A space where Latin and Arabic or Hebrew letters touch: the blank between them was drawn at the word's other end.
fn part_scripts(pieces: &mut Vec<String>) {
    let is_latin = |piece: &str| is_left_to_right(piece) && piece.chars().any(char::is_alphabetic);
    let touch = |pair: &[String]| {
        let [first, second] = pair else { return false };
        is_latin(first) && is_right_to_left(second) || is_right_to_left(first) && is_latin(second)
    };
    let touching: Vec<usize> = (1..pieces.len()).filter(|at| touch(&pieces[at - 1..=*at])).collect();
    for at in touching.into_iter().rev() {
        pieces.insert(at, " ".to_owned());
    }
}

/// Ligatures and the shapes Arabic letters take in a word become the letters themselves.
fn plain_form(c: char) -> impl Iterator<Item = char> {
    let shaped = matches!(c, '\u{fb00}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}');
    let (mut kept, mut plain) = (None, None);
    if shaped {
        plain = Some([c].into_iter().nfkc());
    } else {
        kept = Some(c);
    }
    plain.into_iter().flatten().chain(kept)
}

/// Lines to paragraphs: near, below, and in letters of one size.
fn group(lines: Vec<Line>) -> Vec<Paragraph> {
    let mut paragraphs: Vec<Paragraph> = Vec::new();
    let mut previous: Option<(f32, f32, u16)> = None;
    for line in lines {
        let size = line.main_size();
        let (y, turn) = (line.y, line.turn);
        let text = line.text();
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        let continues = previous.is_some_and(|(above, above_size, above_turn)| {
            let down = above - y;
            above_turn == turn
                && (above_size - size).abs() < 0.08 * size
                && down > -0.2 * size
                && down < PARAGRAPH_GAP * size
        });
        match paragraphs.last_mut().filter(|_| continues) {
            Some(paragraph) => append(paragraph, text),
            None => paragraphs.push(Paragraph { lines: vec![text.to_owned()], size, upright: turn == 0 }),
        }
        previous = Some((y, size, turn));
    }
    paragraphs
}

/// Adds a line; a word divided at the end of the line before is joined again.
fn append(paragraph: &mut Paragraph, text: &str) {
    if let Some(last) = paragraph.lines.last_mut()
        && let Some(stem) = last.strip_suffix(['-', '\u{ad}', '\u{2010}'])
        && stem.ends_with(char::is_alphabetic)
        && text.starts_with(char::is_lowercase)
    {
        let (rest, after) = text.split_once(' ').unwrap_or((text, ""));
        *last = format!("{stem}{rest}");
        if !after.is_empty() {
            paragraph.lines.push(after.to_owned());
        }
    } else {
        paragraph.lines.push(text.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Glyphs of a line, each half as wide as high, one point a unit.
    fn line(words: &str, x: f32, y: f32) -> Vec<Glyph> {
        let place = |(n, c): (u16, char)| Glyph {
            text: c.into(),
            x: x + 5.0 * f32::from(n),
            y,
            width: 5.0,
            size: 10.0,
            turn: 0,
        };
        (0..).zip(words.chars()).map(place).collect()
    }

    fn lines(glyphs: Vec<Glyph>) -> Vec<Vec<String>> {
        paragraphs(glyphs).into_iter().map(|paragraph| paragraph.lines).collect()
    }

    #[test]
    fn gaps_become_spaces_and_columns_stay_apart() {
        let glyphs = [line("one", 0.0, 100.0), line("two", 18.0, 100.0), line("far", 200.0, 100.0)].concat();
        assert_eq!(lines(glyphs), [["one two", "far"]]);
    }

    #[test]
    fn a_word_of_spaced_letters_stays_a_word() {
        let spaced: Vec<Glyph> =
            line("one two", 0.0, 100.0).into_iter().map(|glyph| Glyph { x: glyph.x * 1.5, ..glyph }).collect();
        assert_eq!(lines(spaced), [["one two"]]);
        let undrawn: Vec<Glyph> = line("one two", 0.0, 100.0)
            .into_iter()
            .map(|glyph| Glyph { x: glyph.x * 1.4, ..glyph })
            .filter(|glyph| glyph.text != " ")
            .collect();
        assert_eq!(lines(undrawn), [["one two"]]);
    }

    #[test]
    fn blanks_that_run_under_the_next_word_do_not_tear_it() {
        let glyphs = [line("one        ", 0.0, 100.0), line("two", 18.0, 100.0)].concat();
        assert_eq!(lines(glyphs), [["one two"]]);
    }

    #[test]
    fn a_word_drawn_twice_for_boldness_is_read_once() {
        let glyphs = [line("bold", 0.0, 100.0), line("bold", 0.4, 100.0), line(" x", 20.0, 100.0)].concat();
        assert_eq!(lines(glyphs), [["bold x"]]);
    }

    #[test]
    fn words_that_overlap_do_not_mix_their_letters() {
        let glyphs = [line("spaces", 0.0, 100.0), line("is", 24.0, 100.0), line("the", 26.0, 100.0)].concat();
        assert!(lines(glyphs)[0][0].contains("spaces"));
    }

    #[test]
    fn letters_that_overlap_stay_in_the_order_they_were_drawn_in() {
        let place = |(text, x): (&str, f32)| Glyph { x, ..line(text, 0.0, 0.0).remove(0) };
        let overlapping = [("i", 0.0), ("t", 4.0), (" ", 12.0), ("i", 10.0), ("s", 14.0)].map(place).to_vec();
        assert_eq!(lines(overlapping), [["it is"]]);
    }

    #[test]
    fn pieces_drawn_late_return_to_their_line() {
        let glyphs = [line("a   b", 0.0, 100.0), line("next", 0.0, 88.0), line("x", 10.0, 100.0)].concat();
        assert_eq!(lines(glyphs), [["a x b", "next"]]);
    }

    #[test]
    fn divided_words_are_joined_and_distant_lines_are_paragraphs() {
        let glyphs = [line("an exam-", 0.0, 100.0), line("ple here", 0.0, 88.0), line("Next", 0.0, 60.0)].concat();
        assert_eq!(lines(glyphs), [vec!["an example", "here"], vec!["Next"]]);
    }

    #[test]
    fn right_to_left_lines_are_read_from_the_right() {
        // As on the page: the words run leftwards, the number and the Latin word rightwards.
        assert_eq!(lines(line("PDF 25.5 ملاس", 0.0, 50.0)), [["سالم PDF 25.5"]]);
        // Drawn as it is read: Arabic letters leftwards, then the number, which begins where it is far from them.
        let word = line("ملاس", 60.0, 50.0).into_iter().rev();
        let number = line("1403/09", 20.0, 50.0);
        assert_eq!(lines(word.chain(number).collect()), [["سالم 1403/09"]]);
        assert_eq!(lines(line("Rملاس", 0.0, 50.0)), [["سالم R"]]);
        assert_eq!(lines(line("\u{feea}\u{feea}", 0.0, 50.0)), [["هه"]]);
    }
}

//! Extracted text to chunks.
//!
//! The text becomes units (sentences, list items, table rows, lines of code), never larger than half a chunk. Units are
//! packed in order: as many as fit, cut at the strongest break in the second half of what fits. Tokens are counted once
//! a unit and added up, which bounds the whole, so the time is linear in the text.

mod outline;
mod units;

use std::ops::Range;

use self::outline::{Pages, Section, sections};
use self::units::{Break, Cutter, Unit, UnitKind};
use crate::config::ChunkingSettings;
use crate::domain::{Chunk, Extracted, embedding_text};

/// A chunk smaller than this share of the largest goes on into the next section, one in so many.
const TINY_ONE_IN: usize = 8;
/// The passage around a chunk is at most so many times as large as the largest chunk: some five paragraphs, which a
/// language model reads as a whole and a person at a glance.
const PASSAGE: usize = 3;
/// Longest header row repeated for the rows of another chunk, characters: it must leave room for them.
const MAX_HEADER_CHARS: usize = 200;

/// Cuts extracted text into chunks of at most `settings.max_tokens`, as counted by `count_tokens` over
/// [`Chunk::embedding_text`] or less.
///
/// Chunks are in order of start; `text[start..end] == chunk.text`; all text but white space is in some chunk. Headings
/// above a chunk, and the header of a table that began in an earlier one, stand in [`Chunk::heading`], outermost parts
/// left out when they would take more than half of a chunk, all of them when nothing else makes it fit. Only where the
/// title alone leaves no room is a chunk larger, by what one character costs.
#[must_use]
pub fn split(extracted: &Extracted, settings: &ChunkingSettings, count_tokens: &dyn Fn(&str) -> usize) -> Vec<Chunk> {
    let sections = sections(extracted);
    let title = count_tokens(&embedding_text(&extracted.title, "", ""));
    let largest = (settings.max_tokens / 2).min(settings.max_tokens.saturating_sub(title)).max(1);
    let units = Cutter::new(&extracted.text, count_tokens, largest).cut(extracted, &sections);
    let pages = Pages::of(extracted);
    let mut packer = Packer::new(extracted, settings, count_tokens, &sections, &units);
    let mut chunks: Vec<Chunk> = Vec::new();
    while let Some((range, heading)) = packer.next_chunk() {
        let (start, end) = (units[range.start].start, units[range.end - 1].end);
        let text = extracted.text[start..end].to_owned();
        let ordinal = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        let (passage_start, passage_end) = packer.passage(&range);
        chunks.push(Chunk { ordinal, start, end, text, heading, page: pages.at(start), passage_start, passage_end });
    }
    chunks
}

/// Packs units into chunks, from the first to the last.
struct Packer<'a> {
    extracted: &'a Extracted,
    settings: &'a ChunkingSettings,
    count_tokens: &'a dyn Fn(&str) -> usize,
    sections: &'a [Section],
    units: &'a [Unit],
    /// `sums[i]`: cost of the units before `i`.
    sums: Vec<usize>,
    /// First unit no chunk holds yet.
    next: usize,
    /// First unit of the chunk before.
    last_start: usize,
    /// The heading context of the last call and what it costs: neighbours mostly share it.
    context: Option<(Vec<String>, String, usize)>,
}

impl<'a> Packer<'a> {
    fn new(
        extracted: &'a Extracted,
        settings: &'a ChunkingSettings,
        count_tokens: &'a dyn Fn(&str) -> usize,
        sections: &'a [Section],
        units: &'a [Unit],
    ) -> Self {
        let mut sums = vec![0];
        sums.extend(units.iter().scan(0, |sum, unit| {
            *sum += unit.cost;
            Some(*sum)
        }));
        Self { extracted, settings, count_tokens, sections, units, sums, next: 0, last_start: 0, context: None }
    }

    /// The units of the next chunk and its heading.
    fn next_chunk(&mut self) -> Option<(Range<usize>, String)> {
        let next = self.next;
        let first = self.units.get(next)?;
        let path = self.path(&(next..next + 1));
        let (_, cost) = self.fit_context(path);
        let budget = self.settings.max_tokens.saturating_sub(cost).max(self.settings.max_tokens / 2);
        let overlap = self.overlap(next).filter(|from| self.sum(*from, next) + first.cost <= budget);
        let start = overlap.unwrap_or(next);
        let fitting = self.fit(start..self.end_of_chunk(start, next, budget), next);
        (self.last_start, self.next) = (fitting.0.start, fitting.0.end);
        Some(fitting)
    }

    /// Shrinks a chunk until the embedder reads all of it, and gives its heading.
    ///
    /// The sum of the units bounds the whole, but for quirks of a tokenizer and another heading after a merge.
    fn fit(&mut self, mut range: Range<usize>, next: usize) -> (Range<usize>, String) {
        loop {
            let path = self.path(&range);
            let (heading, _) = self.fit_context(path);
            match self.measure(&range, &heading) {
                tokens if tokens <= self.settings.max_tokens => return (range, heading),
                // As many units less as the excess is worth, at least one.
                tokens if range.end > next + 1 => {
                    let excess = range.len() * (tokens - self.settings.max_tokens) / tokens;
                    range.end = (range.end - excess.max(1)).max(next + 1);
                }
                _ if range.start < next => range.start = next,
                _ => return (range, String::new()),
            }
        }
    }

    fn sum(&self, from: usize, to: usize) -> usize {
        self.sums[to] - self.sums[from]
    }

    /// Model tokens of what the embedder would read.
    fn measure(&self, range: &Range<usize>, heading: &str) -> usize {
        let text = &self.extracted.text[self.units[range.start].start..self.units[range.end - 1].end];
        (self.count_tokens)(&embedding_text(&self.extracted.title, heading, text))
    }

    /// First byte and one past the last of the passage around a chunk: its sections, or as many units around it as make
    /// [`PASSAGE`] of the largest chunks.
    fn passage(&self, chunk: &Range<usize>) -> (usize, usize) {
        let (first, last) = (self.units[chunk.start].section, self.units[chunk.end - 1].section);
        let floor = self.units.partition_point(|unit| unit.section < first);
        let ceiling = self.units.partition_point(|unit| unit.section <= last);
        let (mut from, mut to) = (chunk.start, chunk.end);
        let most = self.settings.max_tokens * PASSAGE;
        loop {
            let before = from > floor && self.sum(from - 1, to) <= most;
            from -= usize::from(before);
            let after = to < ceiling && self.sum(from, to + 1) <= most;
            to += usize::from(after);
            if !before && !after {
                return (self.units[from].start, self.units[to - 1].end);
            }
        }
    }

    /// Where the chunk that starts at `start` and holds at least the unit `next` ends.
    fn end_of_chunk(&self, start: usize, next: usize, budget: usize) -> usize {
        let fits = self.sums.partition_point(|sum| *sum <= self.sums[start] + budget) - 1;
        let fits = fits.max(next + 1);
        let stop = (next + 1..self.units.len()).take_while(|at| *at <= fits).find(|at| self.stops(start, *at));
        let stop = stop.or_else(|| (fits == self.units.len()).then_some(fits));
        stop.unwrap_or_else(|| self.best_cut(start, next, fits, budget))
    }

    /// Whether a chunk from `start` must end before the unit `at`: a new section, unless so far it is next to nothing.
    fn stops(&self, start: usize, at: usize) -> bool {
        let unit = &self.units[at];
        if unit.before != Break::Section {
            return false;
        }
        let entered = &self.sections[self.units[at - 1].section..=unit.section];
        let [here, .., there] = entered else { return false };
        let only_headings = self.units[start..at].iter().all(|unit| unit.kind == UnitKind::Heading);
        let tiny = self.sum(start, at) * TINY_ONE_IN < self.settings.max_tokens;
        entered[1..].iter().any(|section| section.wall)
            || !only_headings && (!tiny || there.path.len() < here.path.len())
    }

    /// The strongest break in the second half of what fits; among equals the last, or the middle of the last two chunks.
    fn best_cut(&self, start: usize, next: usize, fits: usize, budget: usize) -> usize {
        let section = self.units[next].section;
        let section_end = next + self.units[next..].partition_point(|unit| unit.section <= section);
        let rest = self.sum(start, section_end);
        let last_two = fits < section_end && rest <= 2 * budget;
        let least = if last_two { (rest - budget).max(budget / 4) } else { budget / 2 };
        let candidates = (next + 1..=fits).filter(|at| self.sum(start, *at) >= least);
        let goodness = |at: &usize| {
            let size = self.sum(start, *at);
            (self.units[*at].before, if last_two { usize::MAX - size.abs_diff(rest / 2) } else { size })
        };
        candidates.max_by_key(goodness).unwrap_or(fits)
    }

    /// The unit from which whole sentences are repeated ahead of `next`, if any.
    fn overlap(&self, next: usize) -> Option<usize> {
        let repeats = |unit: &Unit| unit.kind == UnitKind::Prose && unit.section == self.units[next].section;
        if !repeats(&self.units[next]) {
            return None;
        }
        let room = |from: &usize| self.sum(*from, next) <= self.settings.overlap_tokens && repeats(&self.units[*from]);
        (self.last_start + 1..next).rev().take_while(room).filter(|from| self.units[*from].before > Break::Piece).last()
    }

    /// The names above all units of a range, and the header of a table whose first row is elsewhere.
    fn path(&self, range: &Range<usize>) -> Vec<String> {
        let (first, last) = (&self.units[range.start], &self.units[range.end - 1]);
        let mut path = self.common_path(first.section, last.section);
        if let UnitKind::Row(header) = &first.kind
            && first.start >= header.end
        {
            let words = self.extracted.text[header.clone()].lines().next().unwrap_or_default();
            path.extend((!words.is_empty()).then(|| words.chars().take(MAX_HEADER_CHARS).collect()));
        }
        path
    }

    /// The last section's path where each of the sections leads to the next, else what all have in common.
    fn common_path(&self, first: usize, last: usize) -> Vec<String> {
        let mut path = self.sections[first].path.clone();
        let mut leads_on = true;
        for section in &self.sections[first + 1..=last] {
            let common = path.iter().zip(&section.path).take_while(|(a, b)| a == b).count();
            if leads_on && common == path.len() {
                path.clone_from(&section.path);
            } else {
                leads_on = false;
                path.truncate(common);
            }
        }
        path
    }

    /// The path as one line, and what it costs with the title; parts are left out until half of a chunk remains.
    fn fit_context(&mut self, path: Vec<String>) -> (String, usize) {
        if let Some((known, heading, cost)) = &self.context
            && *known == path
        {
            return (heading.clone(), *cost);
        }
        let mut parts = &path[..];
        let (heading, cost) = loop {
            let heading = parts.join(" > ");
            let cost = self.context_cost(&heading);
            match parts {
                [_, inner @ ..] if cost > self.settings.max_tokens / 2 => parts = inner,
                _ => break (heading, cost),
            }
        };
        self.context = Some((path, heading.clone(), cost));
        (heading, cost)
    }

    fn context_cost(&self, heading: &str) -> usize {
        (self.count_tokens)(&embedding_text(&self.extracted.title, heading, ""))
    }
}

#[cfg(test)]
mod tests;

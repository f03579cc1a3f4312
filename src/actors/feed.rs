//! Which documents of a tenant are worked on next: small files in order of arrival, and a few large ones beside them.
//!
//! Pure: it holds tickets and counts.

use std::collections::VecDeque;

use crate::engine::Ticket;

/// Small files under way at once; also bounds the jobs that are begun together.
const SMALL_AT_ONCE: usize = 256;
/// Large files under way at once: what the pipeline holds, and one more that is ready to follow.
const LARGE_AT_ONCE: usize = 5;
/// One large file in so many is the one that waits longest, whatever its size.
const OLDEST_EVERY: usize = 4;

/// Documents that wait for their turn, and how many have it.
#[derive(Debug, Default)]
pub(super) struct Feed {
    small: VecDeque<Ticket>,
    /// In order of arrival.
    large: VecDeque<Ticket>,
    small_under_way: usize,
    large_under_way: usize,
    large_taken: usize,
}

impl Feed {
    /// Adds a document whose size is known.
    pub fn push(&mut self, ticket: Ticket) {
        if ticket.is_small() { self.small.push_back(ticket) } else { self.large.push_back(ticket) }
    }

    /// Takes the documents whose turn it is.
    pub fn take(&mut self) -> Vec<Ticket> {
        self.small.retain(|ticket| !ticket.is_stopped());
        self.large.retain(|ticket| !ticket.is_stopped());
        let mut taken = Vec::new();
        while self.small_under_way < SMALL_AT_ONCE
            && let Some(ticket) = self.small.pop_front()
        {
            self.small_under_way += 1;
            taken.push(ticket);
        }
        while self.large_under_way < LARGE_AT_ONCE
            && let Some(ticket) = self.next_large()
        {
            self.large_under_way += 1;
            taken.push(ticket);
        }
        taken
    }

    /// The smallest of the large files, now and then the oldest.
    fn next_large(&mut self) -> Option<Ticket> {
        let smallest = self.large.iter().enumerate().min_by_key(|(_, ticket)| ticket.bytes()).map(|(at, _)| at)?;
        let oldest = self.large_taken % OLDEST_EVERY == OLDEST_EVERY - 1;
        self.large_taken += 1;
        self.large.remove(if oldest { 0 } else { smallest })
    }

    /// Notes that a document that was taken has come to its end.
    pub fn ended(&mut self, ticket: &Ticket) {
        let under_way = if ticket.is_small() { &mut self.small_under_way } else { &mut self.large_under_way };
        *under_way = under_way.saturating_sub(1);
    }

    /// Documents that were taken and have not ended.
    pub fn under_way(&self) -> usize {
        self.small_under_way + self.large_under_way
    }

    /// Whether nothing waits and nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way() == 0 && self.small.is_empty() && self.large.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::DocumentId;

    fn ticket(name: &str, bytes: u64) -> Ticket {
        Ticket::new(DocumentId::parse(name).unwrap()).sized(bytes)
    }

    fn names(tickets: &[Ticket]) -> Vec<&str> {
        tickets.iter().map(|ticket| ticket.id().as_str()).collect()
    }

    #[test]
    fn a_small_file_waits_for_no_large_one() {
        let mut feed = Feed::default();
        for at in 0..100 {
            feed.push(ticket(&format!("large-{at}"), 1 << 20));
        }
        assert_eq!(feed.take().len(), LARGE_AT_ONCE);
        feed.push(ticket("small", 100));
        assert_eq!(names(&feed.take()), ["small"]);
    }

    #[test]
    fn small_files_are_taken_in_order_of_arrival_and_large_ones_by_size() {
        let mut feed = Feed::default();
        for (name, bytes) in [("b", 9), ("a", 5), ("big", 9 << 20), ("bigger", 10 << 20), ("least", 1 << 20)] {
            feed.push(ticket(name, bytes));
        }
        assert_eq!(names(&feed.take()), ["b", "a", "least", "big", "bigger"]);
    }

    #[test]
    fn the_largest_file_has_its_turn_though_smaller_ones_keep_coming() {
        let mut feed = Feed::default();
        feed.push(ticket("largest", 1 << 30));
        let mut taken = Vec::new();
        for at in 0..20 {
            for _ in 0..LARGE_AT_ONCE {
                feed.push(ticket(&format!("large-{at}"), 1 << 20));
            }
            taken.extend(feed.take());
            feed.large_under_way = 0;
        }
        assert!(names(&taken).contains(&"largest"));
    }

    #[test]
    fn what_was_stopped_while_it_waited_takes_no_turn() {
        let mut feed = Feed::default();
        let gone = ticket("gone", 1);
        feed.push(gone.clone());
        gone.stop();
        assert!(feed.take().is_empty() && feed.is_idle());
    }
}

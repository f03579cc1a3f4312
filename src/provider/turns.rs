//! Whose turn it is to call a provider.
//!
//! So many calls are under way at once, and no more. A tenant's questions never take all of them, nor do all builds
//! together, and a call that ends makes room for whoever has the fewest under way: nobody waits behind a neighbour's queue.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Urgency;
use crate::domain::TenantId;

/// Whose calls they are; none are the command line's own.
pub type Payer = Option<TenantId>;

/// One tenant's questions, or its builds.
type Seat = (Urgency, Payer);

/// The calls of one provider.
pub(super) struct Turns(Arc<Queue>);

struct Queue {
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Calls under way.
    held: HashMap<Seat, usize>,
    /// First come first.
    waiting: VecDeque<(Seat, oneshot::Sender<Turn>)>,
}

/// Permission to call; gives it back when it is dropped.
pub(super) struct Turn {
    queue: Arc<Queue>,
    seat: Seat,
}

/// Calls that one tenant's questions, or all builds together, may have under way: all but a quarter, at least one. With
/// one call in all a question may have to wait for it, since the operator allowed no second.
pub(super) fn share(most: usize) -> usize {
    (most - most.div_ceil(4)).max(1)
}

impl Turns {
    /// At most `most` calls at once, at least one.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Queue { most: most.max(1), state: Mutex::default() }))
    }

    /// Waits for a turn. Never none: who waits is forgotten only when the queue itself is gone.
    pub async fn take(&self, urgency: Urgency, payer: Payer) -> Option<Turn> {
        let (to, turn) = oneshot::channel();
        self.0.lock().waiting.push_back(((urgency, payer), to));
        self.0.admit();
        turn.await.ok()
    }

    /// Calls under way.
    #[cfg(test)]
    pub fn under_way(&self) -> usize {
        self.0.lock().held.values().sum()
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing can panic while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a turn to each who may have one now.
    fn admit(self: &Arc<Self>) {
        while let Some((seat, to)) = self.next() {
            // One who just left drops it, which gives it back.
            drop(to.send(Turn { queue: Arc::clone(self), seat }));
        }
    }

    /// Takes the next out of the line, its call counted as under way.
    fn next(&self) -> Option<(Seat, oneshot::Sender<Turn>)> {
        let mut state = self.lock();
        state.waiting.retain(|(_, to)| !to.is_closed());
        let place = state.next(self.most)?;
        let (seat, to) = state.waiting.remove(place)?;
        *state.held.entry(seat.clone()).or_default() += 1;
        Some((seat, to))
    }
}

impl State {
    /// The place in the line of who may call next: of those with a call to spare the one with the fewest under way.
    fn next(&self, most: usize) -> Option<usize> {
        if self.held.values().sum::<usize>() >= most {
            return None;
        }
        let (share, builds) = (share(most), |(urgency, _): &Seat| *urgency == Urgency::Background);
        let building: usize = self.held.iter().filter(|(seat, _)| builds(seat)).map(|(_, calls)| calls).sum();
        let held = |seat: &Seat| self.held.get(seat).copied().unwrap_or(0);
        let may = |seat: &Seat| if builds(seat) { building < share } else { held(seat) < share };
        let line = self.waiting.iter().enumerate().filter(|(_, (seat, _))| may(seat));
        line.min_by_key(|(place, (seat, _))| (held(seat), *place)).map(|(place, _)| place)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        if let Some(calls) = state.held.get_mut(&self.seat) {
            *calls -= 1;
            if *calls == 0 {
                state.held.remove(&self.seat);
            }
        }
        drop(state);
        self.queue.admit();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::*;

    type Taking<'a> = BoxFuture<'a, Option<Turn>>;

    /// Asks for a question's turn of a tenant.
    fn ask<'a>(turns: &'a Turns, tenant: &str) -> Taking<'a> {
        let payer = TenantId::parse(tenant).ok();
        let mut taking = turns.take(Urgency::Now, payer).boxed();
        // Polled once, it stands in the line.
        match (&mut taking).now_or_never() {
            Some(turn) => async { turn }.boxed(),
            None => taking,
        }
    }

    fn taken(taking: &mut Taking<'_>) -> Option<Turn> {
        taking.now_or_never().flatten()
    }

    #[test]
    fn one_tenants_questions_leave_a_call_to_others() {
        let turns = Turns::new(4);
        let mut hog: Vec<_> = (0..9).map(|_| ask(&turns, "hog")).collect();
        let held: Vec<Turn> = hog.iter_mut().filter_map(taken).collect();
        assert_eq!((held.len(), turns.under_way()), (3, 3));
        assert!(taken(&mut ask(&turns, "quiet")).is_some());
        assert_eq!(turns.under_way(), 3, "a turn that is dropped is given back");
    }

    #[test]
    fn a_call_that_ends_makes_room_for_whoever_has_the_fewest_under_way() {
        let turns = Turns::new(4);
        let mut first: Vec<_> = ["hog", "hog", "hog", "other"].iter().map(|tenant| ask(&turns, tenant)).collect();
        let mut held: Vec<Turn> = first.iter_mut().filter_map(taken).collect();
        assert_eq!(held.len(), 4);
        let (mut again, mut quiet) = (ask(&turns, "hog"), ask(&turns, "quiet"));
        drop(held.remove(0));
        let next = taken(&mut quiet);
        assert!(next.is_some() && taken(&mut again).is_none(), "the hog was first in the line and has two under way");
        drop(held.remove(0));
        assert!(taken(&mut again).is_some());
    }

    #[test]
    fn all_builds_together_leave_a_call_to_questions() {
        let turns = Turns::new(4);
        let build = |tenant: &str| turns.take(Urgency::Background, TenantId::parse(tenant).ok()).now_or_never();
        let held: Vec<_> = ["a", "b", "c", "d", "e"].iter().filter_map(|tenant| build(tenant)).collect();
        assert_eq!(held.len(), 3);
        assert!(taken(&mut ask(&turns, "a")).is_some());
    }

    #[test]
    fn who_leaves_the_line_takes_nobodys_turn() {
        let turns = Turns::new(1);
        let held = taken(&mut ask(&turns, "a"));
        let (left, mut stays) = (ask(&turns, "b"), ask(&turns, "c"));
        drop(left);
        drop(held);
        let turn = taken(&mut stays);
        assert!(turn.is_some());
        let (given, mut last) = (ask(&turns, "b"), ask(&turns, "c"));
        drop(turn);
        // It was given a turn that it never took.
        drop(given);
        assert!(taken(&mut last).is_some());
        assert_eq!(turns.under_way(), 0);
    }
}

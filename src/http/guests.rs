//! Connections that have shown no valid credential yet, by client: when places run out, these give theirs up first.
//!
//! A stranger can hold a connection open by sending a request slowly. Nothing is refused while there are places; when there are
//! none, the client with more than its share of such connections loses its oldest, at once. Whoever shows a valid token or
//! session is a guest no longer.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::limits::client_key;

/// All guests; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Guests(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    arrivals: u64,
    /// A client's connections, oldest first.
    by_client: HashMap<u64, BTreeMap<u64, CancellationToken>>,
}

/// One guest, until it is dropped: its connection ended, or showed a credential.
#[derive(Debug)]
pub(super) struct Guest {
    guests: Guests,
    client: u64,
    arrival: u64,
}

impl Guests {
    /// A new connection from `peer`, which `cut` ends.
    pub fn enter(&self, peer: IpAddr, cut: CancellationToken) -> Guest {
        let client = client_key(peer);
        let mut inner = self.inner();
        let arrival = inner.arrivals;
        inner.arrivals += 1;
        inner.by_client.entry(client).or_default().insert(arrival, cut);
        Guest { guests: self.clone(), client, arrival }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.inner().by_client.values().map(BTreeMap::len).sum()
    }

    /// Ends the oldest connection of the client with the most guests, if it has more than `share`; tells whether it did.
    pub fn cut_of_greediest(&self, share: usize) -> bool {
        let mut inner = self.inner();
        let greediest = inner.by_client.values_mut().max_by_key(|connections| connections.len());
        let Some(connections) = greediest.filter(|connections| connections.len() > share) else { return false };
        cut_first(connections)
    }

    /// Ends the oldest connection of all guests; false when there is none.
    pub fn cut_oldest(&self) -> bool {
        let mut inner = self.inner();
        let age = |connections: &&mut BTreeMap<u64, CancellationToken>| {
            connections.first_key_value().map_or(u64::MAX, |(arrival, _)| *arrival)
        };
        inner.by_client.values_mut().min_by_key(age).is_some_and(cut_first)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that was told to end is counted no more, so that the next call finds another.
fn cut_first(connections: &mut BTreeMap<u64, CancellationToken>) -> bool {
    let first = connections.pop_first();
    first.is_some_and(|(_, cut)| {
        cut.cancel();
        true
    })
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut inner = self.guests.inner();
        let Some(connections) = inner.by_client.get_mut(&self.client) else { return };
        connections.remove(&self.arrival);
        if connections.is_empty() {
            inner.by_client.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(guests: &Guests, peer: &str) -> (Guest, CancellationToken) {
        let cut = CancellationToken::new();
        (guests.enter(peer.parse().unwrap(), cut.clone()), cut)
    }

    #[test]
    fn the_client_with_the_most_guests_loses_its_oldest() {
        let guests = Guests::default();
        let neighbour = enter(&guests, "10.0.0.1");
        let many: Vec<_> = (0..3).map(|n| enter(&guests, &format!("2001:db8::{n}"))).collect();
        assert!(!guests.cut_of_greediest(3), "a share is not taken away");
        assert!(guests.cut_of_greediest(2));
        let cut: Vec<bool> = many.iter().map(|(_, cut)| cut.is_cancelled()).collect();
        assert_eq!(cut, [true, false, false], "one /64 is one client");
        assert!(!neighbour.1.is_cancelled());
        assert_eq!(guests.len(), 3);
    }

    #[test]
    fn the_oldest_guest_of_all_is_found_and_whoever_left_is_forgotten() {
        let guests = Guests::default();
        let first = enter(&guests, "10.0.0.1");
        let second = enter(&guests, "10.0.0.2");
        drop(first);
        assert!(guests.cut_oldest());
        assert!(second.1.is_cancelled());
        drop(second);
        assert!(!guests.cut_oldest());
        assert_eq!(guests.len(), 0);
        assert!(guests.inner().by_client.is_empty(), "nothing is kept of clients without connections");
    }
}

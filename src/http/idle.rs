//! Which connections wait for a request, longest first: these are closed when a new one finds no place.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::guests::{Guest, Guests};

/// All connections that wait for a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    clock: AtomicU64,
    since: Mutex<BTreeMap<u64, CancellationToken>>,
}

impl Waiting {
    /// Tells the connection that has waited longest to close; false when none waits.
    pub fn close_longest(&self) -> bool {
        let longest = self.since().pop_first();
        longest.is_some_and(|(_, close)| {
            close.cancel();
            true
        })
    }

    /// A new connection from `peer`: it waits from now on, and is one of `guests` until it shows a credential.
    pub fn enter(&self, guests: &Guests, peer: IpAddr) -> Connection {
        let cut = CancellationToken::new();
        let connection = Connection(Arc::new(Turn {
            waiting: self.clone(),
            close: CancellationToken::new(),
            guest: Mutex::new(Some(guests.enter(peer, cut.clone()))),
            is_guest: AtomicBool::new(true),
            cut,
            place: AtomicU64::new(0),
            busy: AtomicBool::new(false),
            requests: AtomicU64::new(0),
        }));
        connection.0.wait();
        connection
    }

    fn since(&self) -> MutexGuard<'_, BTreeMap<u64, CancellationToken>> {
        self.0.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection: it waits, or it is busy with one request. Every request carries it as an extension.
#[derive(Debug, Clone)]
pub(super) struct Connection(Arc<Turn>);

#[derive(Debug)]
struct Turn {
    waiting: Waiting,
    close: CancellationToken,
    cut: CancellationToken,
    guest: Mutex<Option<Guest>>,
    /// Whether `guest` may be filled: asked on every request, without the lock.
    is_guest: AtomicBool,
    /// Its key among those that wait.
    place: AtomicU64,
    busy: AtomicBool,
    requests: AtomicU64,
}

impl Turn {
    fn wait(&self) {
        let place = self.waiting.0.clock.fetch_add(1, Ordering::Relaxed);
        self.place.store(place, Ordering::Relaxed);
        self.waiting.since().insert(place, self.close.clone());
    }

    fn stop_waiting(&self) {
        self.waiting.since().remove(&self.place.load(Ordering::Relaxed));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.stop_waiting();
    }
}

impl Connection {
    /// Cancelled when the connection must make room.
    pub fn must_close(&self) -> &CancellationToken {
        &self.0.close
    }

    /// Cancelled when the connection must end at once.
    pub fn must_end(&self) -> &CancellationToken {
        &self.0.cut
    }

    /// Its client has shown a valid credential: it is a guest no longer.
    pub fn prove(&self) {
        if self.0.is_guest.swap(false, Ordering::Relaxed) {
            self.0.guest.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    /// Whether a request is being answered.
    pub fn is_busy(&self) -> bool {
        self.0.busy.load(Ordering::Relaxed)
    }

    /// Requests begun since the connection was made.
    pub fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
    }

    /// A request has begun; the connection waits again when the guard is dropped.
    pub fn begin(&self) -> Busy {
        self.0.stop_waiting();
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        self.0.busy.store(true, Ordering::Relaxed);
        Busy(self.clone())
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Busy(Connection);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.busy.store(false, Ordering::Relaxed);
        self.0.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn enter(waiting: &Waiting) -> Connection {
        waiting.enter(&Guests::default(), Ipv4Addr::LOCALHOST.into())
    }

    #[test]
    fn a_connection_is_a_guest_until_it_shows_a_credential() {
        let guests = Guests::default();
        let connection = Waiting::default().enter(&guests, Ipv4Addr::LOCALHOST.into());
        assert_eq!(guests.len(), 1);
        connection.prove();
        connection.prove();
        assert_eq!(guests.len(), 0);
    }

    #[test]
    fn the_connection_that_waited_longest_makes_room_and_a_busy_one_never() {
        let waiting = Waiting::default();
        let [first, second, third] = [(); 3].map(|()| enter(&waiting));
        let busy = first.begin();
        assert!(waiting.close_longest());
        let closed = || [&first, &second, &third].map(|connection| connection.must_close().is_cancelled());
        assert_eq!(closed(), [false, true, false]);
        drop(busy);
        assert!(waiting.close_longest(), "the third has waited longer than the first");
        assert_eq!(closed(), [false, true, true]);
        let _busy = first.begin();
        assert!(!waiting.close_longest());
    }

    #[test]
    fn a_connection_that_is_gone_takes_no_place() {
        let waiting = Waiting::default();
        let connection = enter(&waiting);
        drop(connection.begin());
        drop(connection);
        assert!(!waiting.close_longest());
    }
}

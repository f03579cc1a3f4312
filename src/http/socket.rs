//! A client's socket with patience that ends: for the next request, for its head, for the reply to be read.
//!
//! Bodies are not watched here: whoever reads one knows how long to wait for it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::idle::Connection;

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// To send a request's head, from its first byte; and the first byte, on a new connection.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// To take a piece of a reply. The kernel accepts a piece when a third of its buffer is free, so this bounds the rate too.
    pub stall: Duration,
    /// To read the last reply and close, while what it still sends is thrown away. Closing at once would reset the
    /// connection, and the client might never see why its upload was refused.
    pub linger: Duration,
}

/// What the socket waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The first byte of a request, or the rest of its head.
    Head,
    /// The first byte of the next request.
    Idle,
    /// Its own server.
    Busy,
}

/// A socket, watched.
pub(super) struct Watched<S> {
    socket: S,
    connection: Connection,
    patience: Patience,
    phase: Phase,
    /// Requests the connection had begun when it was last looked at.
    requests: u64,
    deadline: Deadline,
    stalled: Option<Deadline>,
    lingering: Option<Deadline>,
}

impl<S> Watched<S> {
    pub fn new(socket: S, connection: Connection, patience: Patience) -> Self {
        let deadline = Deadline::after(patience.head);
        Self { socket, connection, patience, phase: Phase::Head, requests: 0, deadline, stalled: None, lingering: None }
    }

    /// Follows the server from one request to the next. A deadline is only noted here; its timer is touched when the socket
    /// really has to wait.
    fn follow(&mut self) {
        let requests = self.connection.requests();
        match (self.phase, self.connection.is_busy()) {
            (Phase::Head | Phase::Idle, true) => self.phase = Phase::Busy,
            (Phase::Busy, false) => self.enter(Phase::Idle, self.patience.idle),
            // A request that was answered between two reads was never seen to be busy.
            (Phase::Head, false) if requests != self.requests => self.enter(Phase::Idle, self.patience.idle),
            _ => {}
        }
        self.requests = requests;
    }

    fn enter(&mut self, phase: Phase, patience: Duration) {
        self.phase = phase;
        self.deadline.at = Instant::now() + patience;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.follow();
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut this.socket).poll_read(cx, buffer) {
            if this.phase == Phase::Idle && buffer.filled().len() > before {
                this.enter(Phase::Head, this.patience.head);
            }
            return Poll::Ready(read);
        }
        if this.phase != Phase::Busy && this.deadline.poll(cx).is_ready() {
            // An idle connection ends like any other; half a head is the client's fault.
            return Poll::Ready(if this.phase == Phase::Idle { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) });
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Watched<S> {
    fn unless_stalled<T>(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.stalled = None;
            return wrote;
        }
        let patience = self.patience.stall;
        ready!(self.stalled.get_or_insert_with(|| Deadline::after(patience)).poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.unless_stalled(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.socket).poll_write_vectored(cx, pieces);
        self.unless_stalled(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        self.unless_stalled(cx, flushed)
    }

    /// Says goodbye, then throws away what the client still sends until it closes too or patience ends.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.socket).poll_shutdown(cx))?;
        }
        let patience = this.patience.linger;
        let lingering = this.lingering.get_or_insert_with(|| Deadline::after(patience));
        let mut waste = [0; 8 << 10];
        while lingering.poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut waste);
            match ready!(Pin::new(&mut this.socket).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// A point in time whose timer is made late and moved rarely: requests pass it thousands of times a second.
struct Deadline {
    at: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    fn after(patience: Duration) -> Self {
        Self { at: Instant::now() + patience, timer: None }
    }

    /// Ready once the time has come.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let at = self.at;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        // A timer that is set for earlier wakes for nothing once; one that is set for later must be moved.
        if timer.deadline() > at {
            timer.as_mut().reset(at);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::timeout;

    use super::super::guests::Guests;
    use super::super::idle::Waiting;
    use super::*;

    /// So long that a test fails when it is reached.
    const EVER: Duration = Duration::from_secs(20);
    /// Short, for the patience that a test sees end.
    const SHORT: Duration = Duration::from_millis(40);
    const ENDLESS: Patience = Patience { head: EVER, idle: EVER, stall: EVER, linger: EVER };

    fn pair(buffer: usize, patience: Patience) -> (DuplexStream, Watched<DuplexStream>, Connection) {
        let connection = Waiting::default().enter(&Guests::default(), Ipv4Addr::LOCALHOST.into());
        let (client, server) = duplex(buffer);
        (client, Watched::new(server, connection.clone(), patience), connection)
    }

    async fn read(server: &mut Watched<DuplexStream>) -> io::Result<usize> {
        timeout(EVER / 2, server.read(&mut [0; 64])).await.expect("patience never ended")
    }

    #[tokio::test]
    async fn a_client_that_sends_half_a_head_is_given_up() {
        let (mut client, mut server, _) = pair(64, Patience { head: SHORT, ..ENDLESS });
        client.write_all(b"GET / HT").await.unwrap();
        assert_eq!(read(&mut server).await.unwrap(), 8);
        assert_eq!(read(&mut server).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_head_sent_byte_by_byte_gains_no_time() {
        let (mut client, mut server, _) = pair(64, Patience { head: SHORT, ..ENDLESS });
        let drip = tokio::spawn(async move {
            while client.write_all(b"x").await.is_ok() {
                tokio::time::sleep(SHORT / 4).await;
            }
        });
        while read(&mut server).await.is_ok() {}
        drip.abort();
    }

    #[tokio::test]
    async fn a_server_that_works_is_not_hurried_and_the_wait_after_it_ends_quietly() {
        let (mut client, mut server, connection) = pair(64, Patience { head: SHORT, idle: SHORT, ..ENDLESS });
        for _ in 0..3 {
            client.write_all(b"GET").await.unwrap();
            read(&mut server).await.unwrap();
            let busy = connection.begin();
            // The server looks for a client that leaves while it works, however long that takes.
            assert!(timeout(SHORT * 3, server.read(&mut [0; 64])).await.is_err());
            drop(busy);
        }
        assert_eq!(read(&mut server).await.unwrap(), 0, "closed as if the client had");
    }

    #[tokio::test]
    async fn a_later_head_has_its_own_time() {
        let (mut client, mut server, connection) = pair(64, Patience { head: SHORT, ..ENDLESS });
        let busy = connection.begin();
        server.follow();
        drop(busy);
        server.follow();
        assert_eq!(server.phase, Phase::Idle);
        assert!(timeout(SHORT * 3, server.read(&mut [0; 64])).await.is_err(), "idle, for long");
        client.write_all(b"G").await.unwrap();
        read(&mut server).await.unwrap();
        assert_eq!(read(&mut server).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(!connection.is_busy());
    }

    #[tokio::test]
    async fn requests_answered_between_two_reads_do_not_use_up_the_first_heads_time() {
        let (mut client, mut server, connection) = pair(64, Patience { head: SHORT, ..ENDLESS });
        for _ in 0..4 {
            client.write_all(b"GET").await.unwrap();
            read(&mut server).await.unwrap();
            drop(connection.begin());
            assert!(timeout(SHORT / 2, server.read(&mut [0; 64])).await.is_err());
        }
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_given_up() {
        let (_client, mut server, _) = pair(8, Patience { stall: SHORT, ..ENDLESS });
        let wrote = timeout(EVER / 2, server.write_all(&[0; 64])).await.unwrap();
        assert_eq!(wrote.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn what_a_refused_client_still_sends_is_thrown_away_for_a_while() {
        let (mut client, mut server, _) = pair(8, Patience { linger: SHORT, ..ENDLESS });
        let endless = tokio::spawn(async move { while client.write_all(b"more").await.is_ok() {} });
        timeout(EVER / 2, server.shutdown()).await.unwrap().unwrap();
        endless.abort();
    }

    #[tokio::test]
    async fn a_client_that_is_gone_is_not_waited_for() {
        let (client, mut server, _) = pair(8, ENDLESS);
        drop(client);
        timeout(EVER / 2, server.shutdown()).await.unwrap().unwrap();
    }
}

//! Bounds what a multipart form may have in memory while it is read.
//!
//! The library that reads forms takes all that the socket has, and keeps everything until it sees the end of a part's head.
//! Here the body is handed to it in measure: more than [`MOST`] bytes of which the reader has taken nothing out
//! ([`Flow::taken`]) are followed by no more. When the reader still cannot take anything out, the form is refused.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use futures_util::Stream;

/// Bytes of a form that may wait to be taken out, beside one piece as it came from the socket. A part's head must fit: clients
/// send some 200 bytes.
const MOST: usize = 16 << 10;

/// What was handed over of one form and not taken out yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Flow(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Bytes handed over since something was taken out.
    waiting: AtomicUsize,
    /// Whether the reader was given the chance to take something out of them.
    asked: AtomicBool,
    stuck: AtomicBool,
}

/// A body that is handed over in measure.
struct Measured {
    body: BodyDataStream,
    flow: Flow,
}

impl Flow {
    /// The request with a body that is handed over in measure.
    pub fn measure(request: Request) -> (Request, Self) {
        let flow = Self::default();
        let (head, body) = request.into_parts();
        let measured = Measured { body: body.into_data_stream(), flow: flow.clone() };
        (Request::from_parts(head, Body::from_stream(measured)), flow)
    }

    /// Something of the form was taken out.
    pub fn taken(&self) {
        self.0.waiting.store(0, Ordering::Relaxed);
        self.0.asked.store(false, Ordering::Relaxed);
    }

    /// Whether the form was refused because a part's head, or what stands ahead of the first part, does not end.
    pub fn is_stuck(&self) -> bool {
        self.0.stuck.load(Ordering::Relaxed)
    }
}

impl Stream for Measured {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let state = Arc::clone(&self.flow.0);
        if state.waiting.load(Ordering::Relaxed) > MOST {
            if !state.asked.swap(true, Ordering::Relaxed) {
                // The reader looks at what it has, and asks again when that was not enough.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            state.stuck.store(true, Ordering::Relaxed);
            return Poll::Ready(Some(Err(io::Error::other("a part of the form does not begin"))));
        }
        Pin::new(&mut self.body).poll_next(cx).map(|piece| {
            let piece = piece?.map_err(io::Error::other);
            if let Ok(bytes) = &piece {
                state.waiting.fetch_add(bytes.len(), Ordering::Relaxed);
            }
            Some(piece)
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::{FromRequest, Multipart};
    use axum::http::header::CONTENT_TYPE;
    use futures_util::stream;

    use super::*;

    /// A form of `pieces`, each handed over as a socket would.
    fn form(pieces: impl Iterator<Item = String> + Send + 'static) -> Request {
        let body = Body::from_stream(stream::iter(pieces.map(Ok::<_, io::Error>)));
        Request::post("/").header(CONTENT_TYPE, "multipart/form-data; boundary=b").body(body).unwrap()
    }

    /// Reads all fields; the sum of their bytes, or whether the form was stuck.
    async fn read(request: Request) -> Result<usize, bool> {
        let (request, flow) = Flow::measure(request);
        let mut form = Multipart::from_request(request, &()).await.unwrap();
        let mut bytes = 0;
        while let Some(mut field) = form.next_field().await.map_err(|_| flow.is_stuck())? {
            flow.taken();
            while let Some(piece) = field.chunk().await.map_err(|_| flow.is_stuck())? {
                flow.taken();
                bytes += piece.len();
            }
        }
        Ok(bytes)
    }

    const HEAD: &str = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"";

    #[tokio::test]
    async fn a_large_file_comes_through_whole() {
        let begin = [format!("{HEAD}a.md\"\r\n\r\n")].into_iter();
        let pieces = begin.chain((0..20).map(|_| "x".repeat(60_000))).chain(["\r\n--b--\r\n".to_owned()]);
        assert_eq!(read(form(pieces)).await, Ok(1_200_000));
    }

    #[tokio::test]
    async fn a_head_or_a_preamble_without_end_is_refused_before_it_fills_the_memory() {
        use std::sync::atomic::AtomicUsize;
        for begin in [HEAD.to_owned(), "no boundary ".to_owned(), format!("{HEAD}a.md\"\r\nx-many: ")] {
            let sent = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&sent);
            let endless = std::iter::repeat_with(move || {
                count.fetch_add(1000, Ordering::Relaxed);
                "a".repeat(1000)
            });
            assert_eq!(read(form([begin].into_iter().chain(endless.take(1_000_000)))).await, Err(true));
            assert!(sent.load(Ordering::Relaxed) <= MOST + 2000, "{}", sent.load(Ordering::Relaxed));
        }
    }

    #[tokio::test]
    async fn a_form_that_breaks_off_is_not_stuck() {
        assert_eq!(read(form([HEAD.to_owned()].into_iter())).await, Err(false));
    }
}

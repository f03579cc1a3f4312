//! Server-sent events, as every stream sends them.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::HeaderName;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{Stream, StreamExt};
use serde::Serialize;

/// Time without an event after which a comment keeps proxies from closing the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The reply that sends `events`.
pub(super) fn reply(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let sse = Sse::new(events.map(Ok::<_, Infallible>)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // Proxies in the manner of nginx would gather the events otherwise.
    ([(HeaderName::from_static("x-accel-buffering"), "no")], sse).into_response()
}

/// One event. JSON writes line breaks as `\n`, so no text can end its event and begin another.
pub(super) fn event(name: &'static str, data: &impl Serialize) -> Event {
    let data = serde_json::to_string(data).expect("an event holds nothing but text, numbers and lists");
    Event::default().event(name).data(data)
}

//! One call with its attempts.

use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::RETRY_AFTER;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout_at;

use super::breaker::Breaker;
use super::retry::retry_after;
use super::{CallError, Provider, Urgency};

/// What went wrong with one attempt.
struct Fault {
    error: CallError,
    /// Whether another attempt may go better.
    again: bool,
    /// Whether it speaks against the provider. A request that it rightly refuses does not, or one tenant's bad text
    /// could close the door to all.
    counts: bool,
    /// Wait asked for.
    retry_after: Option<Duration>,
}

impl Provider {
    /// Posts `body` (JSON) to `path` (`/embeddings`) and reads the answer, at most `max_bytes` of it.
    ///
    /// Ends within `timeout` from when it may begin (see [`Urgency`]), whatever the provider does: at most three
    /// attempts, none past the deadline. Dropping the future ends the call.
    ///
    /// # Errors
    /// [`CallError::Unavailable`] when it does not answer in time, refuses, or has failed so often that it is left alone
    /// for a while; [`CallError::Invalid`] when the answer is larger than `max_bytes`.
    pub async fn post(
        &self,
        path: &str,
        body: Bytes,
        urgency: Urgency,
        timeout: Duration,
        max_bytes: usize,
    ) -> Result<Bytes, CallError> {
        let late = || CallError::Unavailable(format!("no answer within {} s", timeout.as_secs_f32()));
        let (deadline, _turn) = match urgency {
            Urgency::Now => {
                let deadline = Instant::now() + timeout;
                (deadline, timeout_at(deadline.into(), self.turn(urgency)).await.map_err(|_| late())?)
            }
            Urgency::Background => {
                let turn = self.turn(urgency).await;
                (Instant::now() + timeout, turn)
            }
        };
        let pass = Pass::admit(self, urgency)?;
        let mut attempt = 1;
        loop {
            let outcome = timeout_at(deadline.into(), self.attempt(path, body.clone(), max_bytes)).await;
            let fault = match outcome {
                Ok(Ok(answer)) => {
                    pass.succeeded();
                    return Ok(answer);
                }
                Ok(Err(fault)) => fault,
                Err(_) => Fault { error: late(), again: false, counts: true, retry_after: None },
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let pause = if fault.again { self.policy.pause(attempt, fault.retry_after, left) } else { None };
            let Some(pause) = pause else {
                if fault.counts {
                    pass.failed();
                }
                return Err(fault.error);
            };
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// Waits for a free call; the permits free it when they are dropped.
    async fn turn(&self, urgency: Urgency) -> (Option<SemaphorePermit<'_>>, Option<SemaphorePermit<'_>>) {
        // The semaphores are never closed, so both waits end with a permit.
        let share = match urgency {
            Urgency::Background => self.background.acquire().await.ok(),
            Urgency::Now => None,
        };
        (share, self.calls.acquire().await.ok())
    }

    async fn attempt(&self, path: &str, body: Bytes, max_bytes: usize) -> Result<Bytes, Fault> {
        let request = self.http.post(self.url(path)).headers(self.headers.clone()).body(body);
        let mut response = request.send().await.map_err(|error| Fault::of_transport(&error))?;
        if !response.status().is_success() {
            let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let asked = asked.and_then(|value| retry_after(value, jiff::Timestamp::now()));
            return Err(Fault::of_status(response.status(), asked));
        }
        let expected = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        if expected > max_bytes {
            return Err(Fault::too_large(max_bytes));
        }
        let mut answer = BytesMut::with_capacity(expected);
        while let Some(piece) = response.chunk().await.map_err(|error| Fault::of_transport(&error))? {
            if answer.len() + piece.len() > max_bytes {
                return Err(Fault::too_large(max_bytes));
            }
            answer.extend_from_slice(&piece);
        }
        Ok(answer.freeze())
    }

    fn breaker(&self, urgency: Urgency) -> MutexGuard<'_, Breaker> {
        let breaker = &self.breakers[usize::from(urgency == Urgency::Background)];
        // Nothing below can panic while it is held.
        breaker.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Fault {
    /// Says what happened without the URL, which may hold a key.
    fn of_transport(error: &reqwest::Error) -> Self {
        let reason = if error.is_connect() {
            "cannot connect to it (is `base_url` right, and is it running?)"
        } else if error.is_timeout() {
            "it did not answer in time"
        } else if error.is_builder() {
            "`base_url` is no URL"
        } else {
            "the connection broke"
        };
        Self {
            error: CallError::Unavailable(reason.to_owned()),
            again: !error.is_builder(),
            counts: true,
            retry_after: None,
        }
    }

    fn of_status(status: StatusCode, retry_after: Option<Duration>) -> Self {
        let again = status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
            || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        let locked_out = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let advice = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ": check its `api_key`",
            StatusCode::NOT_FOUND => ": check its `base_url` and the model's name",
            StatusCode::TOO_MANY_REQUESTS => ": it limits the rate of calls",
            StatusCode::PAYLOAD_TOO_LARGE => ": lower its `batch_size`",
            _ => "",
        };
        let error = CallError::Unavailable(format!("it answered with status {}{advice}", status.as_u16()));
        Self { error, again, counts: again || locked_out, retry_after }
    }

    fn too_large(max_bytes: usize) -> Self {
        let error = CallError::Invalid(format!("its answer is larger than {} MiB", max_bytes >> 20));
        Self { error, again: false, counts: true, retry_after: None }
    }
}

/// Permission of the circuit breaker; given back without a verdict when the caller leaves.
struct Pass<'a> {
    provider: &'a Provider,
    urgency: Urgency,
    /// Whether this call decides if an open circuit closes.
    probe: bool,
    settled: bool,
}

impl<'a> Pass<'a> {
    fn admit(provider: &'a Provider, urgency: Urgency) -> Result<Self, CallError> {
        let probe = provider.breaker(urgency).admit(Instant::now()).map_err(|left| {
            let seconds = left.as_secs() + 1;
            CallError::Unavailable(format!("it failed several times in a row; the next try is in {seconds} s"))
        })?;
        Ok(Self { provider, urgency, probe, settled: false })
    }

    fn succeeded(mut self) {
        self.settled = true;
        self.provider.breaker(self.urgency).succeeded();
    }

    fn failed(mut self) {
        self.settled = true;
        self.provider.breaker(self.urgency).failed(Instant::now(), self.probe);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.provider.breaker(self.urgency).abandoned(self.probe);
        }
    }
}

//! One call with its attempts.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::RETRY_AFTER;
use reqwest::Response;
use tokio::time::timeout_at;

use super::breaker::Breaker;
use super::cause::{self, Cause};
use super::pieces::Pieces;
use super::retry::retry_after;
use super::turns::Turn;
use super::words::{self, Words};
use super::{CallError, Line, Provider, Reason, Urgency};

/// How long the body of an error is waited for, of the time that the call has: its status alone is an answer too.
const WORDS_WAIT: Duration = Duration::from_secs(2);

/// What went wrong with one attempt.
pub(super) struct Fault {
    error: CallError,
    /// Whether another attempt may go better.
    again: bool,
    /// Whether it speaks against the provider. A request that it rightly refuses does not, or one tenant's bad text
    /// could close the door to all.
    counts: bool,
    /// Wait asked for.
    retry_after: Option<Duration>,
}

/// When a call must have ended.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    timeout: Duration,
}

impl Deadline {
    fn after(timeout: Duration) -> Self {
        Self { at: Instant::now() + timeout, timeout }
    }

    /// What `work` brings, or that it came too late.
    pub(super) async fn limit<T>(self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        timeout_at(self.at.into(), work).await.unwrap_or_else(|_| Err(self.late()))
    }

    fn late(self) -> Fault {
        let error = CallError::Unavailable(format!("no answer within {} s", self.timeout.as_secs_f32()).into());
        Fault { error, again: false, counts: true, retry_after: None }
    }
}

impl Line {
    /// Posts `body` (JSON) to `path` (`/embeddings`) and reads the answer, at most `max_bytes` of it.
    ///
    /// Ends within `timeout` from when it may begin (see [`Urgency`]), whatever the provider does: at most three
    /// attempts, none past the deadline. Dropping the future ends the call.
    ///
    /// # Errors
    /// [`CallError::Unavailable`] when it does not answer in time, or has failed so often that it is left alone for a
    /// while; [`CallError::Refused`] when it takes no such request; [`CallError::Invalid`] when the answer is larger than
    /// `max_bytes`.
    pub async fn post(
        &self,
        path: &str,
        body: Bytes,
        urgency: Urgency,
        timeout: Duration,
        max_bytes: usize,
    ) -> Result<Bytes, CallError> {
        let (deadline, _turn) = self.admit(urgency, timeout).await?;
        let provider = &*self.provider;
        let pass = Pass::admit(self, urgency)?;
        pass.settle(provider.attempts(deadline, || provider.attempt(path, body.clone(), deadline, max_bytes)).await)
    }

    /// As [`Line::post`] for somebody who waits, but the answer is read in pieces as it comes: attempts are over once its
    /// head is there, since pieces cannot be taken back. The deadline is that of the whole answer.
    ///
    /// # Errors
    /// As [`Line::post`], until the head is there.
    pub async fn stream(
        &self,
        path: &str,
        body: Bytes,
        timeout: Duration,
        max_bytes: usize,
    ) -> Result<Pieces<'_>, CallError> {
        let (deadline, turn) = self.admit(Urgency::Now, timeout).await?;
        let provider = &*self.provider;
        let pass = Pass::admit(self, Urgency::Now)?;
        match provider.attempts(deadline, || provider.head(path, body.clone(), deadline)).await {
            Ok(response) => Ok(Pieces::new(response, deadline, max_bytes, pass, turn)),
            Err(fault) => pass.settle(Err(fault)),
        }
    }

    /// Waits for a free call, and begins the deadline.
    async fn admit(&self, urgency: Urgency, timeout: Duration) -> Result<(Deadline, Option<Turn>), CallError> {
        let (deadline, turn) = (Deadline::after(timeout), self.provider.turns.take(urgency, self.payer.clone()));
        match urgency {
            Urgency::Now => {
                let turn = deadline.limit(async { Ok(turn.await) }).await;
                turn.map(|turn| (deadline, turn)).map_err(|fault| fault.error)
            }
            Urgency::Background => {
                let turn = turn.await;
                Ok((Deadline::after(timeout), turn))
            }
        }
    }
}

impl Line {
    /// Tells the log why a call brought nothing, if the provider said anything of it. Called once for what was asked,
    /// where nothing else is tried.
    pub fn log(&self, path: &str, error: &CallError) {
        let (name, reason) = (&self.provider.name, error.reason());
        if reason.words().is_some() {
            tracing::warn!(
                provider.name = name,
                path,
                reason = reason.in_full(),
                "a call to the provider {name} failed"
            );
        }
    }

    /// Looks at the payer's own circuit breaker.
    fn with_breaker<T>(&self, urgency: Urgency, look: impl FnOnce(&mut Breaker) -> T) -> T {
        let provider = &self.provider;
        // Nothing below can panic while it is held.
        let mut breakers = provider.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let place = usize::from(urgency == Urgency::Background);
        let new = || [Breaker::new(&provider.policy), Breaker::new(&provider.policy)];
        look(&mut breakers.entry(self.payer.clone()).or_insert_with(new)[place])
    }
}

impl Provider {
    /// Tries until it goes well, the attempts are used up, or the next could not begin in time.
    async fn attempts<T, F>(&self, deadline: Deadline, attempt: impl Fn() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let mut number = 1;
        loop {
            let fault = match deadline.limit(attempt()).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let left = deadline.at.saturating_duration_since(Instant::now());
            let pause = if fault.again { self.policy.pause(number, fault.retry_after, left) } else { None };
            let Some(pause) = pause else { return Err(fault) };
            tokio::time::sleep(pause).await;
            number += 1;
        }
    }

    /// Sends the request and waits for the head of a good answer.
    async fn head(&self, path: &str, body: Bytes, deadline: Deadline) -> Result<Response, Fault> {
        let request = self.http.post(self.access.url(path)).headers(self.access.headers.clone()).body(body.clone());
        let response = request.send().await.map_err(|error| Fault::of_transport(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let asked = asked.and_then(|value| retry_after(value, jiff::Timestamp::now()));
        let status = response.status();
        let words = self.words(response, &body, deadline).await;
        Err(Fault::of_status(status, asked, words))
    }

    /// What the body of an error says, as far as it comes in time.
    async fn words(&self, mut response: Response, sent: &[u8], deadline: Deadline) -> Option<Words> {
        let until = deadline.at.min(Instant::now() + WORDS_WAIT);
        let mut said = BytesMut::new();
        while said.len() < words::MAX_BYTES {
            match timeout_at(until.into(), response.chunk()).await {
                Ok(Ok(Some(piece))) => said.extend_from_slice(&piece[..piece.len().min(words::MAX_BYTES - said.len())]),
                _ => break,
            }
        }
        Words::read(&said, sent, self.access.secrets())
    }

    async fn attempt(&self, path: &str, body: Bytes, deadline: Deadline, max_bytes: usize) -> Result<Bytes, Fault> {
        let mut response = self.head(path, body, deadline).await?;
        let mut answer = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(|error| Fault::of_transport(&error))? {
            if answer.len() + piece.len() > max_bytes {
                return Err(Fault::too_large(max_bytes));
            }
            answer.extend_from_slice(&piece);
        }
        Ok(answer.freeze())
    }
}

impl Fault {
    pub(super) fn into_error(self) -> CallError {
        self.error
    }

    /// Says what happened without the URL, which may hold a key.
    pub(super) fn of_transport(error: &reqwest::Error) -> Self {
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
            error: CallError::Unavailable(reason.into()),
            again: !error.is_builder(),
            counts: true,
            retry_after: None,
        }
    }

    fn of_status(status: StatusCode, retry_after: Option<Duration>, words: Option<Words>) -> Self {
        let cause = cause::of(status, words.as_ref());
        let what = format!("it answered with status {}{}", status.as_u16(), cause.advice());
        let reason = Reason::new(what, words);
        let again = matches!(cause, Cause::Passing | Cause::Rate);
        let error = match cause {
            Cause::Passing | Cause::Rate | Cause::Other => CallError::Unavailable(reason),
            Cause::Key => CallError::Unauthorised(reason),
            Cause::Unknown => CallError::NotFound(reason),
            Cause::TooLong => CallError::TooLong(reason),
            Cause::Refused => CallError::Refused(reason),
        };
        Self { error, again, counts: again || cause == Cause::Key, retry_after }
    }

    pub(super) fn too_large(max_bytes: usize) -> Self {
        let error = CallError::Invalid(format!("its answer is larger than {} MiB", max_bytes >> 20).into());
        Self { error, again: false, counts: true, retry_after: None }
    }
}

/// Permission of the circuit breaker; given back without a verdict when the caller leaves.
pub(super) struct Pass<'a> {
    line: &'a Line,
    urgency: Urgency,
    /// Whether this call decides if an open circuit closes.
    probe: bool,
    settled: bool,
}

impl<'a> Pass<'a> {
    fn admit(line: &'a Line, urgency: Urgency) -> Result<Self, CallError> {
        let admitted = line.with_breaker(urgency, |breaker| breaker.admit(Instant::now()));
        let probe = admitted.map_err(|left| {
            let seconds = left.as_secs() + 1;
            CallError::Unavailable(format!("it failed several times in a row; the next try is in {seconds} s").into())
        })?;
        Ok(Self { line, urgency, probe, settled: false })
    }

    /// Gives the verdict that the call's outcome is.
    pub(super) fn settle<T>(mut self, outcome: Result<T, Fault>) -> Result<T, CallError> {
        self.line.with_breaker(self.urgency, |breaker| match &outcome {
            Ok(_) => breaker.succeeded(),
            Err(fault) if fault.counts => breaker.failed(Instant::now(), self.probe),
            // As if the caller had left.
            Err(_) => breaker.abandoned(self.probe),
        });
        self.settled = true;
        outcome.map_err(|fault| fault.error)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.line.with_breaker(self.urgency, |breaker| breaker.abandoned(self.probe));
        }
    }
}

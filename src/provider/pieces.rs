//! An answer that is read in pieces as it comes.

use bytes::Bytes;
use reqwest::Response;

use super::CallError;
use super::call::{Deadline, Fault, Pass};
use super::turns::Turn;

/// The pieces of one answer. Dropping it closes the connection and frees the call.
pub struct Pieces<'a> {
    response: Response,
    deadline: Deadline,
    max_bytes: usize,
    read: usize,
    /// None once the verdict is given.
    pass: Option<Pass<'a>>,
    _turn: Option<Turn>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(
        response: Response,
        deadline: Deadline,
        max_bytes: usize,
        pass: Pass<'a>,
        turn: Option<Turn>,
    ) -> Self {
        Self { response, deadline, max_bytes, read: 0, pass: Some(pass), _turn: turn }
    }

    /// The next piece; `None` at the end of the body, which need not be the end of what it says.
    ///
    /// # Errors
    /// [`CallError::Unavailable`] when the connection breaks or the deadline of the call has passed,
    /// [`CallError::Invalid`] when there is more than `max_bytes`.
    pub async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        let response = &mut self.response;
        let piece = self.deadline.limit(async { response.chunk().await.map_err(|error| Fault::of_transport(&error)) });
        let fault = match piece.await {
            Ok(Some(piece)) if self.read + piece.len() > self.max_bytes => Fault::too_large(self.max_bytes),
            Ok(piece) => {
                self.read += piece.as_ref().map_or(0, Bytes::len);
                return Ok(piece);
            }
            Err(fault) => fault,
        };
        match self.pass.take() {
            Some(pass) => pass.settle(Err(fault)),
            None => Err(fault.into_error()),
        }
    }

    /// Ends the call: what it said was whole.
    pub fn close(mut self) {
        if let Some(pass) = self.pass.take() {
            // Nothing went wrong, so there is nothing to tell.
            let _ = pass.settle(Ok(()));
        }
    }
}

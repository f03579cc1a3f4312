//! What ends a stream that is still open: the server stops, or the token that opened it is revoked.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::HttpState;
use super::codes::Code;
use super::problem::ApiError;
use crate::access::{Caller, Tokens};

/// How often an open stream's token is looked at.
const LOOKED_EVERY: Duration = Duration::from_secs(1);

/// Watches over an open stream.
pub(super) struct Guard {
    ending: CancellationToken,
    tokens: Tokens,
    jti: String,
}

impl Guard {
    /// Watches over a stream that `caller` opened.
    pub fn new(state: &HttpState, caller: &Caller) -> Self {
        Self { ending: state.ending.clone(), tokens: state.tokens.clone(), jti: caller.jti().to_owned() }
    }

    /// Waits until the stream must end; says why.
    pub async fn ends(&self) -> ApiError {
        tokio::select! {
            () = self.ending.cancelled() => ApiError::plain(Code::ServerStopping).after(Duration::from_secs(2)),
            () = self.revoked() => ApiError::plain(Code::Unauthenticated),
        }
    }

    async fn revoked(&self) {
        while !self.tokens.is_revoked(&self.jti) {
            tokio::time::sleep(LOOKED_EVERY).await;
        }
    }
}

//! The JSON API: one file an endpoint family. A handler extracts, calls a desk, and shapes the reply; rights stand in the router.

mod attributes;
pub mod backup;
pub mod compare;
pub mod documents;
mod events;
pub mod explain;
pub mod generations;
pub mod golden;
pub mod index;
pub mod jobs;
pub mod operator;
pub mod query;
pub mod stream;
pub mod tokens;
mod upload;
pub mod wire;

use std::fmt::Write as _;

use axum::extract::State;

use super::HttpState;
use super::context::RequestId;
use crate::access::Caller;
use crate::actors::Desk;
use crate::domain::{TenantId, Timestamp};
use crate::ledger::AuditEntry;

pub use self::upload::FORM_OVERHEAD;

/// Something that was done, for the audit.
#[derive(Debug, Clone, Copy)]
struct Deed<'a> {
    actor: &'a str,
    action: &'static str,
    tenant: Option<&'a TenantId>,
}

impl Deed<'_> {
    /// Appends it to the audit. What was done stands even when this fails, so that is logged and not told as a failure.
    async fn record(self, state: &HttpState, target: &str, request_id: &RequestId) {
        let entry = AuditEntry {
            number: 0,
            at: Timestamp::now(),
            actor: self.actor.to_owned(),
            action: self.action.to_owned(),
            tenant: self.tenant.cloned(),
            target: target.to_owned(),
            request_id: request_id.as_str().to_owned(),
        };
        if let Err(error) = state.ledger.audit(entry).await {
            tracing::error!(action = self.action, %error, "an act is missing in the audit");
        }
    }
}

/// Who does something to whose things, in which request.
type Doing = (State<HttpState>, Desk, Caller, RequestId);

/// Appends what a caller did to a tenant's things to the audit.
async fn note((State(state), desk, caller, request_id): &Doing, action: &'static str, target: &str) {
    let deed = Deed { actor: caller.subject(), action, tenant: Some(desk.tenant()) };
    deed.record(state, target, request_id).await;
}

/// Percent-encodes an id as one part of a path: all but RFC 3986's unreserved characters.
fn encoded(id: &str) -> String {
    id.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_becomes_one_part_of_a_path() {
        assert_eq!(encoded("guide/Straße 1.md"), "guide%2FStra%C3%9Fe%201.md");
        assert_eq!(encoded("a-b_c.d~e"), "a-b_c.d~e");
    }
}

//! What is known of a request everywhere while it is answered: its id, its address, who sent it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Uri};
use uuid::Uuid;

use super::problem::ApiError;

/// The header that carries a request's id, both ways.
pub static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    /// The request that the running task answers; problems read it, so no handler passes it on.
    pub(super) static CONTEXT: Context;
}

/// Facts that a problem document repeats.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub id: RequestId,
    /// The path of the public address.
    pub base: Arc<str>,
    /// As the routes see it, without `base`.
    pub uri: Uri,
}

/// A request's id: the client's own when it is `[A-Za-z0-9._-]{1,64}`, else a new UUIDv7.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id that `headers` ask for, or a new one.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let wanted = headers.get(&X_REQUEST_ID).filter(|value| is_plain(value.as_bytes()));
        Self(wanted.cloned().unwrap_or_else(fresh))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default() // never empty: an id is visible ASCII
    }

    /// As a header's value.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

fn fresh() -> HeaderValue {
    HeaderValue::try_from(Uuid::now_v7().to_string()).expect("a UUID is visible ASCII")
}

fn is_plain(id: &[u8]) -> bool {
    (1..=64).contains(&id.len()) && id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or_else(|| ApiError::internal("a route stands outside the envelope"))
    }
}

/// The address that a request comes from: the peer's, or what a trusted proxy says it forwards for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddr(pub IpAddr);

impl ClientAddr {
    /// Finds the address. `X-Forwarded-For` is read from the right, past trusted proxies alone, since everything further
    /// left is what the client itself may have written.
    #[must_use]
    pub fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> Self {
        let trusts = |addr: &IpAddr| trusted.iter().any(|proxy| proxy.to_canonical() == *addr);
        let mut client = peer.to_canonical();
        let listed = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = listed.flat_map(|value| value.split(',')).collect();
        for hop in hops.iter().rev() {
            if !trusts(&client) {
                break;
            }
            let Ok(addr) = hop.trim().parse::<IpAddr>() else { break };
            client = addr.to_canonical();
        }
        Self(client)
    }

    /// The address that the server noted for a request; unspecified where there is no connection, as in tests.
    #[must_use]
    pub fn noted(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or(Self(peer(extensions)))
    }
}

/// The other end of the connection.
pub(super) fn peer(extensions: &Extensions) -> IpAddr {
    let unspecified = IpAddr::from([0, 0, 0, 0]);
    extensions.get::<ConnectInfo<SocketAddr>>().map_or(unspecified, |ConnectInfo(addr)| addr.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_plain_request_id_is_kept_and_any_other_replaced() {
        let of = |id: &str| RequestId::of(&headers(&[("x-request-id", id)]));
        for good in ["a", "trace.1_B-2", &"x".repeat(64)] {
            assert_eq!(of(good).as_str(), good);
        }
        for bad in ["", "two words", "a\u{e9}", "{}", &"x".repeat(65)] {
            assert_eq!(Uuid::try_parse(of(bad).as_str()).map(|id| id.get_version_num()), Ok(7), "{bad:?}");
        }
    }

    #[test]
    fn a_forwarded_address_counts_only_from_a_trusted_proxy() {
        let (proxy, inner, spoofed) = ("10.0.0.1", "10.0.0.2", "1.2.3.4, 5.6.7.8");
        let of = |peer: &str, forwarded: &str, trusted: &[&str]| {
            let trusted: Vec<_> = trusted.iter().map(|addr| addr.parse().unwrap()).collect();
            let map =
                headers(&[("x-forwarded-for", forwarded), ("x-real-ip", "9.9.9.9"), ("forwarded", "for=9.9.9.9")]);
            ClientAddr::of(peer.parse().unwrap(), &map, &trusted).0.to_string()
        };
        assert_eq!(of("7.7.7.7", spoofed, &[]), "7.7.7.7", "nobody is trusted");
        assert_eq!(of("7.7.7.7", spoofed, &[proxy]), "7.7.7.7", "the peer is no proxy");
        assert_eq!(of(proxy, spoofed, &[proxy]), "5.6.7.8", "the last hop is the proxy's word");
        assert_eq!(of(proxy, "1.2.3.4, 5.6.7.8, 10.0.0.2", &[proxy, inner]), "5.6.7.8", "two proxies in a row");
        assert_eq!(of(proxy, "5.6.7.8, rubbish", &[proxy]), proxy, "what cannot be read ends the search");
        assert_eq!(of("::ffff:10.0.0.1", "5.6.7.8", &[proxy]), "5.6.7.8", "mapped addresses are the same");
    }
}

//! Limits at the doors: failed attempts by client address, and the headers that tell a tenant where it stands.
//!
//! A tenant's own rate is counted by its [`crate::actors::Desk`]; here are only the doors that are tried without a valid token.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request};
use axum::response::Response;
use governor::clock::{Clock, DefaultClock, QuantaInstant};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use tower_governor::governor::{GovernorConfig, GovernorConfigBuilder};
use tower_governor::key_extractor::KeyExtractor;
use tower_governor::{GovernorError, GovernorLayer};

use super::context::ClientAddr;
use super::problem::whole_seconds;
use crate::actors::Limited;

/// Sign-ins an address may try at once, and the time after which it may try one more.
const SIGN_IN: (NonZeroU32, Duration) = (NonZeroU32::new(10).expect("not 0"), Duration::from_secs(6));
/// Wrong tokens an address may send at once, and the time after which one more is answered with 401 and not 429.
const WRONG_TOKENS: (NonZeroU32, Duration) = (NonZeroU32::new(30).expect("not 0"), Duration::from_secs(2));
/// Time between sweeps of addresses that have long been quiet.
const SWEEP: Duration = Duration::from_mins(1);
/// Addresses told apart, 2^18: at 17 bytes each the map ends near 9 MB however many addresses knock.
const BUCKETS: u64 = 1 << 18;

type Limiter = RateLimiter<u32, DefaultKeyedStateStore<u32>, DefaultClock, NoOpMiddleware<QuantaInstant>>;

/// The layer of [`sign_in_limit`].
pub type SignInLimit = GovernorLayer<ByAddress, NoOpMiddleware<QuantaInstant>, Body>;

/// Limits requests by client address, for routes where passwords and links are tried; lay it around these alone.
///
/// `refuse` makes the reply from the time to wait; give it status 429, and [`retry_after`] as headers.
#[must_use]
pub fn sign_in_limit(refuse: impl Fn(Duration) -> Response + Send + Sync + 'static) -> SignInLimit {
    let config = sign_in_quota();
    sweep(config.limiter());
    GovernorLayer::new(config).error_handler(move |error| {
        let wait = match error {
            // Whole seconds, rounded down by the library.
            GovernorError::TooManyRequests { wait_time, .. } => Duration::from_secs(wait_time + 1),
            GovernorError::UnableToExtractKey | GovernorError::Other { .. } => SIGN_IN.1,
        };
        refuse(wait)
    })
}

fn sign_in_quota() -> GovernorConfig<ByAddress, NoOpMiddleware<QuantaInstant>> {
    let mut builder = GovernorConfigBuilder::default().key_extractor(ByAddress::default());
    builder.burst_size(SIGN_IN.0.get()).period(SIGN_IN.1).finish().expect("burst and period are not 0")
}

/// `Retry-After` (whole seconds, rounded up, at least 1) and `retry-after-ms`.
#[must_use]
pub fn retry_after(wait: Duration) -> [(HeaderName, HeaderValue); 2] {
    let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1);
    [
        (axum::http::header::RETRY_AFTER, whole_seconds(wait).into()),
        (HeaderName::from_static("retry-after-ms"), millis.into()),
    ]
}

/// Counts wrong tokens by client address.
///
/// Valid tokens are let in before this is asked, so nobody locks out a neighbour behind the same address.
#[derive(Clone)]
pub struct WrongTokens {
    by: ByAddress,
    limiter: Arc<Limiter>,
}

impl Default for WrongTokens {
    fn default() -> Self {
        let quota = Quota::with_period(WRONG_TOKENS.1).expect("the period is not 0").allow_burst(WRONG_TOKENS.0);
        let limiter = Arc::new(RateLimiter::keyed(quota));
        sweep(&limiter);
        Self { by: ByAddress::default(), limiter }
    }
}

impl WrongTokens {
    /// Counts one.
    ///
    /// # Errors
    /// The time to wait, when the address has sent too many.
    pub fn count(&self, addr: ClientAddr) -> Result<(), Duration> {
        let checked = self.limiter.check_key(&self.by.bucket(addr.0));
        checked.map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }
}

/// Tells clients apart by [`client_key`].
///
/// Addresses fall into 2^18 buckets by a hash with a secret seed, so memory is bounded and nobody can aim at another's.
#[derive(Debug, Clone, Default)]
pub struct ByAddress {
    seed: RandomState,
}

impl ByAddress {
    fn bucket(&self, addr: IpAddr) -> u32 {
        (self.seed.hash_one(client_key(addr)) % BUCKETS) as u32
    }
}

/// What tells one client from another: an IPv4 address, or the /64 of an IPv6 address, which is what one client is given.
pub(super) fn client_key(addr: IpAddr) -> u64 {
    match addr.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        // ::1 falls in with 0.0.0.0, which is nobody.
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
    }
}

impl KeyExtractor for ByAddress {
    type Key = u32;

    fn extract<T>(&self, request: &Request<T>) -> Result<u32, GovernorError> {
        Ok(self.bucket(ClientAddr::noted(request.extensions()).0))
    }
}

/// Forgets quiet addresses for as long as the limiter lives.
fn sweep(limiter: &Arc<Limiter>) {
    let limiter: Weak<Limiter> = Arc::downgrade(limiter);
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(async move {
        loop {
            tokio::time::sleep(SWEEP).await;
            let Some(limiter) = limiter.upgrade() else { return };
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    });
}

/// Writes where a tenant stands with the limit that counts this request: `RateLimit-Policy` and `RateLimit`
/// (draft-ietf-httpapi-ratelimit-headers), and the same facts as OpenAI's clients read them.
///
/// All numbers are of one policy: so many requests when the budget is full, so many left of them, so many seconds until it is
/// full again.
pub fn describe(limited: &Limited, headers: &mut HeaderMap) {
    let Limited { budget, per_minute, burst, remaining, wait_ms } = *limited;
    let per_minute = per_minute.max(1);
    let seconds_for = |requests: u32| (u64::from(requests) * 60).div_ceil(u64::from(per_minute)).max(1);
    let reset = seconds_for(burst.saturating_sub(remaining)).max(wait_ms.div_ceil(1000));
    let (name, refill) = (budget.as_str(), seconds_for(burst));
    let facts = [
        ("ratelimit-policy", text(format!(r#""{name}";q={burst};w={refill}"#))),
        ("ratelimit", text(format!(r#""{name}";r={remaining};t={reset}"#))),
        ("x-ratelimit-limit-requests", burst.into()),
        ("x-ratelimit-remaining-requests", remaining.into()),
        ("x-ratelimit-reset-requests", text(format!("{reset}s"))),
    ];
    for (name, value) in facts {
        headers.insert(HeaderName::from_static(name), value);
    }
}

fn text(value: String) -> HeaderValue {
    HeaderValue::try_from(value).expect("digits and quotes are visible ASCII")
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::response::IntoResponse;
    use axum::routing::post;
    use tower::ServiceExt;

    use super::*;
    use crate::actors::Budget;

    fn addr(text: &str) -> ClientAddr {
        ClientAddr(text.parse().unwrap())
    }

    #[tokio::test]
    async fn a_sign_in_tried_too_often_is_refused_for_that_address_alone() {
        let refuse = |wait| (StatusCode::TOO_MANY_REQUESTS, retry_after(wait), "wait").into_response();
        let app = Router::new().route("/in", post(|| async {})).layer(sign_in_limit(refuse));
        let attempt = async |from: &str| {
            let mut request = Request::post("/in").body(Body::empty()).unwrap();
            request.extensions_mut().insert(addr(from));
            app.clone().oneshot(request).await.unwrap()
        };
        for _ in 0..SIGN_IN.0.get() {
            assert_eq!(attempt("10.0.0.1").await.status(), StatusCode::OK);
        }
        let refused = attempt("10.0.0.1").await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=6).contains(&wait), "{wait}");
        assert_eq!(attempt("10.0.0.2").await.status(), StatusCode::OK, "a neighbour is not held up");
    }

    #[test]
    fn wrong_tokens_are_counted_by_address() {
        let wrong = WrongTokens::default();
        let refused = (0..=WRONG_TOKENS.0.get()).filter(|_| wrong.count(addr("10.0.0.1")).is_err());
        assert_eq!(refused.count(), 1);
        assert!(wrong.count(addr("10.0.0.1")).unwrap_err() <= WRONG_TOKENS.1);
        assert!(wrong.count(addr("10.0.0.2")).is_ok());
    }

    #[test]
    fn one_client_of_ipv6_is_its_64() {
        let by = ByAddress::default();
        let bucket = |text: &str| by.bucket(text.parse().unwrap());
        assert_eq!(bucket("2001:db8::1"), bucket("2001:db8::ffff:1"));
        assert_ne!(bucket("2001:db8::1"), bucket("2001:db8:0:1::1"));
        assert_eq!(bucket("::ffff:10.0.0.1"), bucket("10.0.0.1"));
        assert!((0..100_000_u32).all(|n| u64::from(by.bucket(IpAddr::from(n.to_be_bytes()))) < BUCKETS));
    }

    #[test]
    fn all_numbers_of_the_headers_are_of_one_policy() {
        let mut headers = HeaderMap::new();
        let open = Limited { budget: Budget::Queries, per_minute: 600, burst: 50, remaining: 40, wait_ms: 0 };
        describe(&open, &mut headers);
        assert_eq!(headers["ratelimit-policy"], r#""queries";q=50;w=5"#);
        assert_eq!(headers["ratelimit"], r#""queries";r=40;t=1"#);
        assert_eq!(headers["x-ratelimit-limit-requests"], "50");
        assert_eq!(headers["x-ratelimit-remaining-requests"], "40");
        assert_eq!(headers["x-ratelimit-reset-requests"], "1s");

        let shut = Limited { budget: Budget::Uploads, per_minute: 6, burst: 2, remaining: 0, wait_ms: 9_001 };
        describe(&shut, &mut headers);
        assert_eq!(headers["ratelimit-policy"], r#""uploads";q=2;w=20"#);
        assert_eq!(headers["ratelimit"], r#""uploads";r=0;t=20"#, "full again; Retry-After tells of the next one");
        assert_eq!(headers["x-ratelimit-limit-requests"], "2");
    }
}

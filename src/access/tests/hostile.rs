//! Tokens that are not ours, or no longer, or almost.

use jsonwebtoken::crypto::sign;
use jsonwebtoken::{Algorithm, EncodingKey};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const HEADER: &str = r#"{"typ":"JWT","alg":"HS256"}"#;
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64 as in JWTs: the URL alphabet, no padding.
fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().chain([0, 0].iter()).take(3).fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        text.extend((0..=group.len()).map(|n| char::from(DIGITS[bits >> (18 - 6 * n) & 63])));
    }
    text
}

fn signed(header: &str, payload: &str, key: &[u8], algorithm: Algorithm) -> String {
    let message = format!("{}.{}", base64(header.as_bytes()), base64(payload.as_bytes()));
    let signature = sign(message.as_bytes(), &EncodingKey::from_secret(key), algorithm).unwrap();
    format!("{message}.{signature}")
}

/// As an application that was given the secret would sign it.
fn token(header: &str, payload: &str) -> String {
    signed(header, payload, SECRET, Algorithm::HS256)
}

/// Claims that are let in.
fn claims(now: i64) -> Value {
    json!({
        "iss": "carrel", "aud": "carrel", "sub": "app", "tenant": "acme", "scope": "query",
        "jti": "id", "exp": now + 60, "nbf": now - 60, "iat": now - 60,
    })
}

/// Those claims with one of them another.
fn with(now: i64, name: &str, value: Value) -> String {
    let mut claims = claims(now);
    claims[name] = value;
    token(HEADER, &claims.to_string())
}

fn without(now: i64, name: &str) -> String {
    let mut claims = claims(now);
    claims.as_object_mut().unwrap().remove(name);
    token(HEADER, &claims.to_string())
}

/// Takes what a hostile token is called and the token.
type Add<'a> = &'a mut dyn FnMut(&str, String);

/// Headers that ask for something else than what we do.
fn hostile_headers(now: i64, add: Add) {
    let payload = claims(now).to_string();
    let good = token(HEADER, &payload);
    let body = good.split('.').nth(1).unwrap();
    for alg in
        ["none", "None", "nOnE", "NONE", "", "hs256", "HS256 ", "HS384", "HS512", "RS256", "PS256", "ES256", "EdDSA"]
    {
        let header = json!({"typ": "JWT", "alg": alg}).to_string();
        add(&format!("alg {alg:?}, signed with the secret"), token(&header, &payload));
        add(&format!("alg {alg:?}, unsigned"), format!("{}.{body}.", base64(header.as_bytes())));
    }
    for (algorithm, name) in [(Algorithm::HS384, "HS384"), (Algorithm::HS512, "HS512")] {
        let header = json!({"typ": "JWT", "alg": name}).to_string();
        add(&format!("truly {name}"), signed(&header, &payload, SECRET, algorithm));
        add(&format!("{name} under an HS256 header"), signed(HEADER, &payload, SECRET, algorithm));
    }
    for (name, header) in [
        ("no alg", json!({"typ": "JWT"})),
        ("alg null", json!({"typ": "JWT", "alg": null})),
        ("alg list", json!({"typ": "JWT", "alg": ["HS256"]})),
        ("no typ", json!({"alg": "HS256"})),
        ("typ of another token", json!({"alg": "HS256", "typ": "at+jwt"})),
        ("kid that climbs", json!({"alg": "HS256", "typ": "JWT", "kid": "../../../dev/null"})),
        ("kid of SQL", json!({"alg": "HS256", "typ": "JWT", "kid": "x' UNION SELECT 'key"})),
        ("kid of a URL", json!({"alg": "HS256", "typ": "JWT", "kid": "https://example.org/key"})),
        ("jku", json!({"alg": "HS256", "typ": "JWT", "jku": "https://example.org/jwks.json"})),
        ("x5u", json!({"alg": "HS256", "typ": "JWT", "x5u": "https://example.org/cert.pem"})),
        ("x5c", json!({"alg": "HS256", "typ": "JWT", "x5c": ["MIIB"]})),
        ("jwk", json!({"alg": "HS256", "typ": "JWT", "jwk": {"kty": "oct", "k": "AAAA"}})),
        ("crit", json!({"alg": "HS256", "typ": "JWT", "crit": ["exp"]})),
        ("b64 off", json!({"alg": "HS256", "typ": "JWT", "b64": false, "crit": ["b64"]})),
        ("zip", json!({"alg": "HS256", "typ": "JWT", "zip": "DEF"})),
        ("nested", json!({"alg": "HS256", "typ": "JWT", "cty": "JWT"})),
        ("encrypted", json!({"alg": "HS256", "typ": "JWT", "enc": "A256GCM"})),
        ("a word of its own", json!({"alg": "HS256", "typ": "JWT", "admin": true})),
    ] {
        add(name, token(&header.to_string(), &payload));
    }
    add("alg twice", token(r#"{"typ":"JWT","alg":"none","alg":"HS256"}"#, &payload));
    add("a header that is a list", token(r#"["JWT","HS256"]"#, &payload));
    let own_key = json!({"alg": "HS256", "typ": "JWT", "jwk": {"kty": "oct", "k": base64(b"mine")}}).to_string();
    add("signed with the key it brings", signed(&own_key, &payload, b"mine", Algorithm::HS256));
}

/// Signatures that do not hold, and texts that are no token.
fn hostile_shapes(now: i64, add: Add) {
    let payload = claims(now).to_string();
    let good = token(HEADER, &payload);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (head, _) = message.split_once('.').unwrap();
    add("another key", signed(HEADER, &payload, b"another secret of thirty-two bytes", Algorithm::HS256));
    add("no key", signed(HEADER, &payload, b"", Algorithm::HS256));
    add("the secret cut by a byte", signed(HEADER, &payload, &SECRET[..31], Algorithm::HS256));
    add("no signature", format!("{message}."));
    add("no signature, no dot", message.to_owned());
    add("half a signature", format!("{message}.{}", &signature[..signature.len() / 2]));
    add("more than a signature", format!("{good}AAAA"));
    add("a padded signature", format!("{good}="));
    add("the signature of another", format!("{message}.{}", without(now, "nbf").rsplit_once('.').unwrap().1));
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    add("one bit of the signature", format!("{message}.{flipped}{}", &signature[1..]));
    add(
        "other claims under the signature",
        format!("{head}.{}.{signature}", base64(with(now, "tenant", json!("other")).as_bytes())),
    );
    add("four parts", format!("{good}.{signature}"));
    add("five parts, as if encrypted", format!("{good}.{signature}.{signature}"));
    add("a blank before", format!(" {good}"));
    add("a line after", format!("{good}\n"));
    add("the scheme left on", format!("Bearer {good}"));
    add("a token in a token", token(HEADER, &json!(good).to_string()));
    add("no claims at all", token(HEADER, ""));
    add("claims that are null", token(HEADER, "null"));
    add(
        "claims as a list",
        token(HEADER, &json!(["carrel", "carrel", "app", "acme", "query", "id", now + 60]).to_string()),
    );
    add("deep claims", token(HEADER, &format!("{}{}", "[".repeat(2000), "]".repeat(2000))));
    add("64 KiB", with(now, "padding", json!("x".repeat(64 << 10))));
    add("8 KiB and a little", with(now, "padding", json!("x".repeat(6 << 10))));
    add("a cookie", random_secret());
    add("nothing", String::new());
    add("dots", "...".into());
    add("two dots", "..".into());
}

/// Claims that are missing, of another type, twice, or wrong.
fn hostile_claims(now: i64, add: Add) {
    let payload = claims(now).to_string();
    for name in ["iss", "aud", "sub", "scope", "jti", "exp", "tenant"] {
        add(&format!("no {name}"), without(now, name));
        for value in [json!(null), json!(7), json!(["carrel", "app"]), json!({}), json!(true), json!("")] {
            add(&format!("{name} {value}"), with(now, name, value));
        }
        let twice = payload.replacen('{', &format!("{{{:?}:{},", name, claims(now)[name]), 1);
        add(&format!("{name} twice"), token(HEADER, &twice));
    }
    for (name, value) in [
        ("iss", json!("other")),
        ("iss", json!("carrel ")),
        ("iss", json!(["carrel"])),
        ("aud", json!("Carrel")),
        ("aud", json!(["carrel"])),
        ("aud", json!("carrel-admin")),
        ("scope", json!("QUERY")),
        ("scope", json!("query,documents:read")),
        ("scope", json!("everything")),
        ("tenant", json!("../other")),
        ("tenant", json!("ACME")),
        ("tenant", json!("acme\u{0}")),
        ("sub", json!("two\nlines")),
        ("sub", json!("x".repeat(257))),
        ("jti", json!("x".repeat(257))),
        ("exp", json!(now - 30)),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("exp", json!(f64::from(1_u32 << 31))),
        ("exp", json!(1e300)),
        ("exp", json!((now + 60).to_string())),
        ("exp", json!([now + 60])),
        ("exp", json!(u64::MAX)),
        ("exp", json!(253_402_300_800_u64)),
        ("nbf", json!(now + 31)),
        ("nbf", json!(u64::MAX)),
        ("nbf", json!(null)),
        ("nbf", json!("0")),
        ("nbf", json!(-1)),
        ("iat", json!(null)),
        ("iat", json!("yesterday")),
    ] {
        add(&format!("{name} {value}"), with(now, name, value));
    }
    add("exp in words of its own", token(HEADER, &payload.replace("\"exp\"", "\"EXP\"")));
    add("a number too large for any type", token(HEADER, &payload.replace(&(now + 60).to_string(), &"9".repeat(400))));
}

/// Each differs in one thing from a token that is let in.
fn hostile(now: i64) -> Vec<(String, String)> {
    let mut vectors = Vec::new();
    for part in [hostile_headers, hostile_shapes, hostile_claims] {
        part(now, &mut |name, token| vectors.push((name.to_owned(), token)));
    }
    vectors
}

#[test]
fn no_hostile_token_is_let_in_and_all_are_answered_alike() {
    let door = Door::new();
    let now = door.hands.seconds();
    assert!(door.tokens.verify(&token(HEADER, &claims(now).to_string())).is_ok(), "what they differ from is let in");
    let vectors = hostile(now);
    assert!(vectors.len() >= 60, "{}", vectors.len());
    let accepted: Vec<_> =
        vectors.iter().filter(|(_, token)| door.tokens.verify(token).is_ok()).map(|(name, _)| name).collect();
    assert!(accepted.is_empty(), "{} of {} let in: {accepted:?}", accepted.len(), vectors.len());
    for (name, token) in vectors {
        assert_eq!(door.tokens.verify(&token).unwrap_err().to_string(), "the token is not valid", "{name}");
    }
}

#[test]
fn what_a_careful_application_signs_itself_is_let_in() {
    let door = Door::new();
    let now = door.hands.seconds();
    for (name, token) in [
        ("exp at the edge", with(now, "exp", json!(now - 29))),
        ("nbf at the edge", with(now, "nbf", json!(now + 30))),
        ("no nbf", without(now, "nbf")),
        ("no iat", without(now, "iat")),
        ("claims of its own", with(now, "name", json!({"first": "A"}))),
        ("a scope of tomorrow", with(now, "scope", json!("query tomorrow:things"))),
        ("a header in another order", token(r#"{ "alg": "HS256", "typ": "JWT" }"#, &claims(now).to_string())),
        ("7 KiB", with(now, "padding", json!("x".repeat(5 << 10)))),
    ] {
        assert!(door.tokens.verify(&token).is_ok(), "{name}");
    }
    let scope_of_tomorrow = door.tokens.verify(&with(now, "scope", json!("query tomorrow:things"))).unwrap();
    assert_eq!(scope_of_tomorrow.permissions, [Permission::Query], "an unknown word allows nothing");
}

#[test]
fn a_token_of_another_issuer_is_refused_even_under_the_same_secret() {
    let door = Door::new();
    let config = AuthConfig { issuer: "elsewhere".into(), ..AuthConfig::default() };
    let elsewhere =
        Tokens::with_clock(&secret(door.folder.path()), &config, door.ledger.clone(), door.hands.clock()).unwrap();
    let ours = token(HEADER, &claims(door.hands.seconds()).to_string());
    assert!(door.tokens.verify(&ours).is_ok() && elsewhere.verify(&ours).is_err());
}

#[test]
fn no_text_makes_verification_fall_over() {
    let door = Door::new();
    proptest!(|(text in "\\PC{0,200}", parts in prop::collection::vec("[A-Za-z0-9_-]{0,60}", 0..5))| {
        prop_assert!(door.tokens.verify(&text).is_err());
        prop_assert!(door.tokens.verify(&parts.join(".")).is_err());
    });
}

#[test]
fn no_claims_signed_by_mistake_make_verification_fall_over() {
    let door = Door::new();
    let now = door.hands.seconds();
    proptest!(|(payload in "\\PC{0,100}", time: u64)| {
        prop_assert!(door.tokens.verify(&token(HEADER, &payload)).is_err());
        for name in ["exp", "nbf", "iat"] {
            let _ = door.tokens.verify(&with(now, name, json!(time)));
        }
    });
}

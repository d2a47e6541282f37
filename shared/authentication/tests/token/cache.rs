//! Tests of the cache of the issuer's keys: fetching, ageing and refused responses.

use std::sync::Arc;
use std::time::{Duration, Instant};

use authentication::{
    AccessError, Authenticator, Caller, IssuerSettings, Issuers, JwksLimits, KeySource, Permission, TokenFault,
};
use http::StatusCode;
use serde_json::json;

use crate::issuer::{EcKey, NOW, TestClock, claims, settings, token};
use crate::server::{Behavior, Server};

/// A timeout that no test reaches on a busy machine. Only timeouts use real time; everything else uses the test's
/// clock.
const PATIENT_TIMEOUT: Duration = Duration::from_secs(30);
const SHORT_TIMEOUT: Duration = Duration::from_millis(300);
const MAX_AGE_SECONDS: u64 = 600;
const MAX_STALE_AGE_SECONDS: u64 = 3600;
const FAILURE_COOLDOWN_SECONDS: u64 = 10;
const COOLDOWN_SECONDS: u64 = 30;
const MAX_LENGTH_BYTES: usize = 64 * 1024;

const INVALID: AccessError = AccessError::Unauthenticated(TokenFault::Invalid);

struct Bench {
    server: Server,
    clock: TestClock,
    authenticator: Authenticator,
}

impl Bench {
    async fn start(behavior: Behavior) -> Self {
        let server = Server::start(behavior).await;
        let address = server.address.clone();
        Self::with(server, &address, PATIENT_TIMEOUT)
    }

    async fn start_impatient(behavior: Behavior) -> Self {
        let server = Server::start(behavior).await;
        let address = server.address.clone();
        Self::with(server, &address, SHORT_TIMEOUT)
    }

    fn with(server: Server, address: &str, timeout: Duration) -> Self {
        let clock = TestClock::new();
        let limits = JwksLimits { timeout, ..JwksLimits::DEFAULT };
        let issuers = Issuers::new(vec![settings(KeySource::Remote(address.parse().unwrap()))]).unwrap();
        let authenticator = Authenticator::with_limits(issuers, limits, Arc::new(clock.clone()));
        Self { server, clock, authenticator }
    }

    /// Authenticates with a new token of this key.
    async fn present(&self, key: &EcKey, key_id: &str) -> Result<Caller, AccessError> {
        let mut claims = claims();
        claims["exp"] = json!(NOW + 1_000_000);
        let token = token(&json!({"alg": "ES256", "kid": key_id}), claims.to_string(), |message| key.sign(message));
        self.authenticator.authenticate(Some(&format!("Bearer {token}")), Permission::Audit).await
    }
}

fn key_set(keys: &[(&EcKey, &str)]) -> String {
    json!({ "keys": keys.iter().map(|(key, id)| key.jwk(id)).collect::<Vec<_>>() }).to_string()
}

fn padded_to(document: &str, length: usize) -> String {
    let padding = " ".repeat(length - document.len());
    format!("{document}{padding}")
}

#[test]
fn the_limits_in_service_are_those_of_the_design() {
    let limits = JwksLimits::DEFAULT;
    assert_eq!(limits.timeout, Duration::from_secs(2));
    assert_eq!(limits.max_length_bytes, MAX_LENGTH_BYTES);
    assert_eq!(limits.max_age.as_secs(), MAX_AGE_SECONDS);
    assert_eq!(limits.max_stale_age.as_secs(), MAX_STALE_AGE_SECONDS);
    assert_eq!(limits.cooldown.as_secs(), COOLDOWN_SECONDS);
    assert_eq!(limits.failure_cooldown.as_secs(), FAILURE_COOLDOWN_SECONDS);
}

#[tokio::test]
async fn keys_are_fetched_once_and_kept() {
    let key = EcKey::generate();
    let bench = Bench::start(Behavior::Document(key_set(&[(&key, "1")]))).await;
    assert_eq!(bench.server.request_count(), 0, "nothing is fetched before the first token");
    for _ in 0..3 {
        bench.present(&key, "1").await.unwrap();
        bench.clock.advance(MAX_AGE_SECONDS / 3 - 1);
    }
    assert_eq!(bench.server.requests(), ["GET /keys HTTP/1.1"]);

    bench.clock.advance(3);
    bench.present(&key, "1").await.unwrap();
    assert_eq!(bench.server.request_count(), 2, "aged keys are fetched again");
}

#[tokio::test]
async fn a_token_of_wrong_form_fetches_nothing() {
    let bench = Bench::start(Behavior::HangUp).await;
    assert_eq!(bench.authenticator.authenticate(Some("Bearer a.b.c"), Permission::Audit).await, Err(INVALID));
    assert_eq!(bench.server.request_count(), 0);
}

#[tokio::test]
async fn an_unknown_kid_fetches_once_per_cooldown() {
    let (old, new) = (EcKey::generate(), EcKey::generate());
    let bench = Bench::start(Behavior::Document(key_set(&[(&old, "old")]))).await;
    bench.present(&old, "old").await.unwrap();

    // The issuer rotates within the cooldown of the first fetch.
    bench.server.behave(Behavior::Document(key_set(&[(&old, "old"), (&new, "new")])));
    assert_eq!(bench.present(&new, "new").await, Err(INVALID));
    assert_eq!(bench.server.request_count(), 1);

    bench.clock.advance(COOLDOWN_SECONDS);
    bench.present(&new, "new").await.unwrap();
    assert_eq!(bench.server.request_count(), 2);

    for attempt in 0..20 {
        assert_eq!(bench.present(&new, &format!("guess-{attempt}")).await, Err(INVALID));
    }
    assert_eq!(bench.server.request_count(), 2, "guesses within the cooldown fetch nothing");
    bench.clock.advance(COOLDOWN_SECONDS);
    for attempt in 0..20 {
        assert_eq!(bench.present(&new, &format!("guess-{attempt}")).await, Err(INVALID));
    }
    assert_eq!(bench.server.request_count(), 3, "and one fetch in the next");
    bench.present(&old, "old").await.unwrap();
}

#[tokio::test]
async fn a_withdrawn_key_is_refused_after_the_next_fetch() {
    let (old, new) = (EcKey::generate(), EcKey::generate());
    let bench = Bench::start(Behavior::Document(key_set(&[(&old, "old")]))).await;
    bench.present(&old, "old").await.unwrap();
    bench.server.behave(Behavior::Document(key_set(&[(&new, "new")])));
    bench.clock.advance(MAX_AGE_SECONDS);
    assert_eq!(bench.present(&old, "old").await, Err(INVALID));
    bench.present(&new, "new").await.unwrap();
}

#[tokio::test]
async fn a_replaced_key_of_the_same_kid_is_taken_over() {
    let (old, new) = (EcKey::generate(), EcKey::generate());
    let bench = Bench::start(Behavior::Document(key_set(&[(&old, "1")]))).await;
    bench.present(&old, "1").await.unwrap();
    bench.server.behave(Behavior::Document(key_set(&[(&new, "1")])));
    bench.clock.advance(MAX_AGE_SECONDS);
    bench.present(&new, "1").await.unwrap();
    assert_eq!(bench.present(&old, "1").await, Err(INVALID));
}

#[tokio::test]
async fn stale_keys_serve_for_an_hour_while_the_issuer_is_down() {
    let (key, other) = (EcKey::generate(), EcKey::generate());
    let document = key_set(&[(&key, "1")]);
    let bench = Bench::start(Behavior::Document(document.clone())).await;
    bench.present(&key, "1").await.unwrap();
    bench.server.behave(Behavior::Status("500 Internal Server Error", "A: b".to_owned(), document.clone()));

    bench.clock.advance(MAX_AGE_SECONDS);
    bench.present(&key, "1").await.unwrap();
    assert_eq!(bench.server.request_count(), 2);
    bench.present(&key, "1").await.unwrap();
    assert_eq!(bench.server.request_count(), 2, "a failure has its cooldown too");
    assert_eq!(
        bench.present(&other, "2").await,
        Err(AccessError::KeysUnavailable),
        "an unknown key may be a new one while the issuer is down"
    );
    assert_eq!(bench.present(&other, "1").await, Err(INVALID), "stale keys still verify");

    bench.clock.advance(MAX_STALE_AGE_SECONDS - MAX_AGE_SECONDS - 1);
    bench.present(&key, "1").await.unwrap();
    bench.clock.advance(1);
    assert_eq!(bench.present(&key, "1").await, Err(AccessError::KeysUnavailable), "after an hour they don't");
    let asked = bench.server.request_count();

    // Without usable keys, the cooldown is shorter.
    assert_eq!(bench.present(&key, "1").await, Err(AccessError::KeysUnavailable));
    assert_eq!(bench.server.request_count(), asked);
    bench.server.behave(Behavior::Document(document));
    bench.clock.advance(FAILURE_COOLDOWN_SECONDS);
    bench.present(&key, "1").await.unwrap();
}

#[tokio::test]
async fn without_keys_nobody_is_authenticated() {
    let key = EcKey::generate();
    let bench = Bench::start(Behavior::HangUp).await;
    let error = bench.present(&key, "1").await.unwrap_err();
    assert_eq!((error.status(), error.code().name()), (StatusCode::SERVICE_UNAVAILABLE, "KEYS_UNAVAILABLE"));

    bench.server.behave(Behavior::Document(key_set(&[(&key, "1")])));
    for attempt in 0..50 {
        assert_eq!(bench.present(&key, &format!("{attempt}")).await, Err(AccessError::KeysUnavailable));
    }
    assert_eq!(bench.server.request_count(), 1, "a failure has its cooldown");
    bench.clock.advance(FAILURE_COOLDOWN_SECONDS);
    bench.present(&key, "1").await.unwrap();
    assert_eq!(bench.server.request_count(), 2);

    bench.clock.advance(FAILURE_COOLDOWN_SECONDS);
    assert_eq!(bench.present(&key, "2").await, Err(INVALID));
    assert_eq!(bench.server.request_count(), 2, "with keys, the longer cooldown applies");
}

#[tokio::test]
async fn responses_that_are_not_a_key_set_are_refused() {
    let key = EcKey::generate();
    let document = key_set(&[(&key, "1")]);
    let elsewhere = Server::start(Behavior::Document(document.clone())).await;
    let location = format!("Location: {}", elsewhere.address);
    let other_header = "A: b".to_owned();

    let refused = [
        Behavior::Status("301 Moved Permanently", location.clone(), document.clone()),
        Behavior::Status("302 Found", location.clone(), String::new()),
        Behavior::Status("303 See Other", location.clone(), String::new()),
        Behavior::Status("307 Temporary Redirect", location.clone(), String::new()),
        Behavior::Status("308 Permanent Redirect", location, document.clone()),
        Behavior::Status("201 Created", other_header.clone(), document.clone()),
        Behavior::Status("404 Not Found", other_header.clone(), document.clone()),
        Behavior::Status("429 Too Many Requests", other_header.clone(), document.clone()),
        Behavior::Status("503 Service Unavailable", other_header, document.clone()),
        Behavior::Document(padded_to(&document, MAX_LENGTH_BYTES + 1)),
        Behavior::Unannounced(padded_to(&document, MAX_LENGTH_BYTES + 1)),
        Behavior::Endless,
        Behavior::Document("<html>".to_owned()),
        Behavior::Document(document[..document.len() - 1].to_owned()),
        Behavior::Document(json!({ "keys": vec![key.jwk("1"); 33] }).to_string()),
    ];
    for behavior in refused {
        let bench = Bench::start(behavior.clone()).await;
        assert_eq!(bench.present(&key, "1").await, Err(AccessError::KeysUnavailable), "{behavior:?}");
        assert_eq!(bench.server.request_count(), 1, "{behavior:?}");
    }
    assert_eq!(elsewhere.request_count(), 0, "no redirect is followed");

    for behavior in [
        Behavior::Document(padded_to(&document, MAX_LENGTH_BYTES)),
        Behavior::Unannounced(padded_to(&document, MAX_LENGTH_BYTES)),
    ] {
        let bench = Bench::start(behavior).await;
        bench.present(&key, "1").await.unwrap();
    }
}

#[tokio::test]
async fn an_https_address_is_not_asked_in_plain_text() {
    let key = EcKey::generate();
    let server = Server::start(Behavior::Document(key_set(&[(&key, "1")]))).await;
    let address = server.address.replace("http:", "https:");
    let bench = Bench::with(server, &address, SHORT_TIMEOUT);
    assert_eq!(bench.present(&key, "1").await, Err(AccessError::KeysUnavailable));
    assert_eq!(bench.server.request_count(), 0);
}

#[tokio::test]
async fn a_slow_issuer_is_given_up_on() {
    let key = EcKey::generate();
    let document = key_set(&[(&key, "1")]);
    for behavior in [Behavior::Silence, Behavior::Drip, Behavior::Late(PATIENT_TIMEOUT, document)] {
        let bench = Bench::start_impatient(behavior.clone()).await;
        let begin = Instant::now();
        assert_eq!(bench.present(&key, "1").await, Err(AccessError::KeysUnavailable), "{behavior:?}");
        assert!((SHORT_TIMEOUT..PATIENT_TIMEOUT).contains(&begin.elapsed()), "{behavior:?}: {:?}", begin.elapsed());
    }
}

#[tokio::test]
async fn a_fetch_that_was_dropped_counts_as_failed() {
    let key = EcKey::generate();
    let bench = Bench::start(Behavior::Silence).await;
    let asked = async {
        while bench.server.request_count() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        _ = bench.present(&key, "1") => panic!("the server is silent"),
        () = asked => {}
    }
    bench.server.behave(Behavior::HangUp);
    assert_eq!(bench.present(&key, "1").await, Err(AccessError::KeysUnavailable));
    assert_eq!(bench.server.request_count(), 1, "a dropped fetch has its cooldown");
    bench.clock.advance(FAILURE_COOLDOWN_SECONDS);
    assert_eq!(bench.present(&key, "1").await, Err(AccessError::KeysUnavailable));
    assert_eq!(bench.server.request_count(), 2);
}

#[tokio::test]
async fn many_callers_share_one_fetch() {
    let key = EcKey::generate();
    let document = key_set(&[(&key, "1")]);
    let bench = Bench::start(Behavior::Late(Duration::from_millis(100), document)).await;
    let (a, b, c, d) = tokio::join!(
        bench.present(&key, "1"),
        bench.present(&key, "1"),
        bench.present(&key, "2"),
        bench.present(&key, "1")
    );
    assert!(a.is_ok() && b.is_ok() && d.is_ok());
    assert_eq!(c, Err(INVALID));
    assert_eq!(bench.server.request_count(), 1);
}

#[tokio::test]
async fn many_callers_share_one_failure() {
    let key = EcKey::generate();
    let bench = Bench::start_impatient(Behavior::Silence).await;
    let (a, b, c) = tokio::join!(bench.present(&key, "1"), bench.present(&key, "1"), bench.present(&key, "2"));
    assert_eq!([a, b, c].map(Result::unwrap_err), [const { AccessError::KeysUnavailable }; 3]);
    assert_eq!(bench.server.request_count(), 1, "they don't wait for one timeout each");

    // Later callers share a new fetch.
    bench.server.behave(Behavior::Document(key_set(&[(&key, "1")])));
    bench.clock.advance(FAILURE_COOLDOWN_SECONDS);
    let (a, b) = tokio::join!(bench.present(&key, "1"), bench.present(&key, "1"));
    assert!(a.is_ok() && b.is_ok());
    assert_eq!(bench.server.request_count(), 2);
}

#[tokio::test]
async fn a_clock_that_was_set_back_makes_keys_old() {
    let key = EcKey::generate();
    let bench = Bench::start(Behavior::Document(key_set(&[(&key, "1")]))).await;
    bench.present(&key, "1").await.unwrap();
    bench.clock.set_back(10);
    bench.present(&key, "1").await.unwrap();
    assert_eq!(bench.server.request_count(), 2);
}

/// An issuer with metadata on one server and keys on another.
struct Discovery {
    metadata: Server,
    keys: Server,
    issuer: String,
    key: EcKey,
    clock: TestClock,
    authenticator: Authenticator,
}

impl Discovery {
    async fn start() -> Self {
        Self::start_with(PATIENT_TIMEOUT).await
    }

    async fn start_with(timeout: Duration) -> Self {
        let key = EcKey::generate();
        let metadata = Server::start(Behavior::HangUp).await;
        let keys = Server::start(Behavior::Document(key_set(&[(&key, "1")]))).await;
        let issuer = metadata.address.replace("/keys", "/realms/a");
        metadata.behave(Behavior::Document(metadata_of(&issuer, &keys.address)));
        let source = KeySource::Discovered(format!("{issuer}/.well-known/openid-configuration").parse().unwrap());
        let issuers = Issuers::new(vec![IssuerSettings { issuer: issuer.clone(), ..settings(source) }]).unwrap();
        let clock = TestClock::new();
        let limits = JwksLimits { timeout, ..JwksLimits::DEFAULT };
        let authenticator = Authenticator::with_limits(issuers, limits, Arc::new(clock.clone()));
        Self { metadata, keys, issuer, key, clock, authenticator }
    }

    async fn present(&self) -> Result<Caller, AccessError> {
        let mut claims = claims();
        claims["iss"] = json!(self.issuer);
        claims["exp"] = json!(NOW + 1_000_000);
        let header = json!({"alg": "ES256", "kid": "1"});
        let token = token(&header, claims.to_string(), |message| self.key.sign(message));
        self.authenticator.authenticate(Some(&format!("Bearer {token}")), Permission::Audit).await
    }

    fn request_counts(&self) -> (usize, usize) {
        (self.metadata.request_count(), self.keys.request_count())
    }
}

fn metadata_of(issuer: &str, keys: &str) -> String {
    json!({"issuer": issuer, "jwks_uri": keys, "token_endpoint": format!("{issuer}/token")}).to_string()
}

#[tokio::test]
async fn metadata_cost_one_more_request_for_each_fetch_of_keys() {
    let bench = Discovery::start().await;
    assert_eq!(bench.request_counts(), (0, 0), "nothing is fetched before the first token");
    for _ in 0..3 {
        bench.present().await.unwrap();
    }
    assert_eq!(bench.metadata.requests(), ["GET /realms/a/.well-known/openid-configuration HTTP/1.1"]);
    assert_eq!(bench.request_counts(), (1, 1));

    // An issuer that moved its keys is followed as soon as keys are fetched again.
    let moved = Server::start(Behavior::Document(key_set(&[(&bench.key, "1")]))).await;
    bench.metadata.behave(Behavior::Document(metadata_of(&bench.issuer, &moved.address)));
    bench.clock.advance(MAX_AGE_SECONDS);
    bench.present().await.unwrap();
    assert_eq!((bench.request_counts(), moved.request_count()), ((2, 1), 1));
}

#[tokio::test]
async fn keys_are_not_used_longer_because_metadata_are_missing() {
    for behavior in
        [Behavior::HangUp, Behavior::Document(metadata_of("https://another.example", "https://keys.example"))]
    {
        let bench = Discovery::start().await;
        bench.present().await.unwrap();
        bench.metadata.behave(behavior);
        bench.clock.advance(MAX_STALE_AGE_SECONDS - 1);
        bench.present().await.unwrap();
        bench.clock.advance(1);
        assert_eq!(bench.present().await, Err(AccessError::KeysUnavailable));
        assert_eq!(bench.keys.request_count(), 1);
    }
}

#[tokio::test]
async fn metadata_that_cannot_be_used_are_fetched_once_per_cooldown() {
    let bench = Discovery::start().await;
    let issuer = bench.issuer.as_str();
    for (case, document) in [
        ("another issuer", metadata_of("https://another.example", &bench.keys.address)),
        ("issuer with a slash", metadata_of(&format!("{issuer}/"), &bench.keys.address)),
        ("keys at no http address", metadata_of(issuer, "file:///etc/keys")),
        ("keys behind a password", metadata_of(issuer, "https://a:b@keys.example/")),
        ("no keys", json!({"issuer": issuer}).to_string()),
        ("two issuers", metadata_of(issuer, &bench.keys.address).replacen('{', r#"{"issuer":"https://b.example","#, 1)),
        ("no JSON", "<html>".to_owned()),
    ] {
        let before = bench.metadata.request_count();
        bench.metadata.behave(Behavior::Document(document));
        for _ in 0..3 {
            assert_eq!(bench.present().await, Err(AccessError::KeysUnavailable), "{case}");
        }
        assert_eq!((bench.metadata.request_count() - before, bench.keys.request_count()), (1, 0), "{case}");
        bench.clock.advance(FAILURE_COOLDOWN_SECONDS);
    }
    bench.metadata.behave(Behavior::Document(metadata_of(issuer, &bench.keys.address)));
    bench.present().await.unwrap();
}

#[tokio::test]
async fn metadata_are_bounded_like_keys() {
    let bench = Discovery::start().await;
    let document = metadata_of(&bench.issuer, &bench.keys.address);
    let elsewhere = Server::start(Behavior::Document(document.clone())).await;
    for behavior in [
        Behavior::Status("302 Found", format!("Location: {}", elsewhere.address), document.clone()),
        Behavior::Status("404 Not Found", "X-Other: 1".to_owned(), document.clone()),
        Behavior::Document(padded_to(&document, MAX_LENGTH_BYTES + 1)),
        Behavior::Endless,
    ] {
        bench.metadata.behave(behavior.clone());
        assert_eq!(bench.present().await, Err(AccessError::KeysUnavailable), "{behavior:?}");
        bench.clock.advance(FAILURE_COOLDOWN_SECONDS);
    }
    assert_eq!((elsewhere.request_count(), bench.keys.request_count()), (0, 0));
    bench.metadata.behave(Behavior::Document(padded_to(&document, MAX_LENGTH_BYTES)));
    bench.present().await.unwrap();
}

#[tokio::test]
async fn metadata_and_keys_share_one_timeout() {
    let bench = Discovery::start_with(SHORT_TIMEOUT).await;
    let document = metadata_of(&bench.issuer, &bench.keys.address);
    bench.metadata.behave(Behavior::Late(SHORT_TIMEOUT / 2, document));
    bench.keys.behave(Behavior::Silence);
    let begin = Instant::now();
    assert_eq!(bench.present().await, Err(AccessError::KeysUnavailable));
    assert!((SHORT_TIMEOUT..PATIENT_TIMEOUT).contains(&begin.elapsed()), "{:?}", begin.elapsed());
}

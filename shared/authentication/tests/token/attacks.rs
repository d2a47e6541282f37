//! Tests of authentication with forged and invalid tokens, and with valid ones.

use std::sync::{Arc, LazyLock, Mutex};

use authentication::{
    AccessError, AllowedTenants, Authenticator, Caller, IssuerSettings, Issuers, JwksLimits, KeySet, KeySource,
    MAX_SUBJECT_LENGTH, MAX_TOKEN_LENGTH_BYTES, Permission, PermissionRule, TenantPrefix, TenantRule, TokenFault,
};
use aws_lc_rs::hmac;
use domain::{error_code::ErrorCode, tenant::TenantId};
use function_runtime::http_error::ErrorBody;
use http::{Response, header::WWW_AUTHENTICATE};
use serde_json::{Value, json};
use tracing::instrument::WithSubscriber;

use crate::issuer::{
    AUDIENCE, EcKey, EdKey, ISSUER, NOW, RsaKey, TestClock, base64url, claims, path, tenants_from, token,
};

/// A real key of 1024 bits, and a token that it signed with RS256. The private key was not kept.
const WEAK_MODULUS: &str = "1ZVsWsFyTZjCG8FFmao0M-FRf-4TAreYdmJnGFkL-eH9E95zvGzCMhj1rmB1QxfL3x8z6rrosFb5vrhDahlQ-DIaLYrU0wPkWLMU98nwOLneZG2S1KAHgb6hCDXJ3XCFxrClMYoN9L6gXy7NDZPTwKf_jbscvonUv6orX9pTBnE";
const WEAK_TOKEN: [&str; 3] = [
    "eyJhbGciOiJSUzI1NiIsImtpZCI6IndlYWsifQ",
    "eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoiYXVkaXQtZXhwb3J0Iiwic3ViIjoidXNlci0xIiwiZXhwIjoxODAwMDAwNjAwLCJ0ZW5hbnRfaWQiOiJhY21lIiwicGVybWlzc2lvbnMiOlsiQVVESVQiXX0",
    "QGaoLdIU1oY2yCetB9spEPrV_GYfe5M8yfsLfomCK9kOlaaiTl6dzXHcGog47zn8cECSEWZCDB7u1nqsUPRDNqPwFNti-sQnJAuvFvjAVIv_xEOulZKDnaPV6_OyoupgLsf5ERTZVSTI7p1Ln4JZ4dwT469Y7HVVnAUugmsi2qE",
];

struct Keys {
    ec: EcKey,
    p384: EcKey,
    ed: EdKey,
    rsa: RsaKey,
    pss: RsaKey,
    encryption: RsaKey,
    /// Not in the key set.
    foreign: EcKey,
    /// Not in the key set either.
    other: EcKey,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    ec: EcKey::generate(),
    p384: EcKey::generate_p384(),
    ed: EdKey::generate(),
    rsa: RsaKey::generate(),
    pss: RsaKey::generate(),
    encryption: RsaKey::generate(),
    foreign: EcKey::generate(),
    other: EcKey::generate(),
});

fn key_set() -> Value {
    let mut encryption = KEYS.encryption.jwk("encryption");
    encryption["use"] = json!("enc");
    let mut pss = KEYS.pss.jwk("pss");
    pss["alg"] = json!("PS256");
    json!({"keys": [
        KEYS.ec.jwk("ec"),
        KEYS.p384.jwk("p384"),
        KEYS.ed.jwk("ed"),
        KEYS.rsa.jwk("rsa"),
        pss,
        encryption,
        {"kty": "RSA", "kid": "weak", "n": WEAK_MODULUS, "e": "AQAB"},
        {"kty": "oct", "kid": "symmetric", "k": base64url("secret"), "alg": "HS256"},
    ]})
}

fn settings() -> IssuerSettings {
    let keys = KeySet::parse(key_set().to_string().as_bytes()).unwrap();
    crate::issuer::settings(KeySource::Inline(keys))
}

fn authenticator() -> Authenticator {
    with_settings(settings())
}

fn with_settings(settings: IssuerSettings) -> Authenticator {
    with_issuers(vec![settings])
}

fn with_issuers(issuers: Vec<IssuerSettings>) -> Authenticator {
    Authenticator::with_limits(Issuers::new(issuers).unwrap(), JwksLimits::DEFAULT, Arc::new(TestClock::new()))
}

async fn present(token: &str) -> Result<Caller, AccessError> {
    authenticator().authenticate(Some(&format!("Bearer {token}")), Permission::Audit).await
}

fn ec_header() -> Value {
    json!({"alg": "ES256", "kid": "ec", "typ": "JWT"})
}

fn ec_token(claims: &Value) -> String {
    token(&ec_header(), claims.to_string(), |message| KEYS.ec.sign(message))
}

fn ec_token_with_header(name: &str, value: Value) -> String {
    let mut header = ec_header();
    header[name] = value;
    token(&header, claims().to_string(), |message| KEYS.ec.sign(message))
}

/// A token of this algorithm and key ID, signed by `sign`.
fn signed_by(algorithm: &str, kid: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    token(&json!({"alg": algorithm, "kid": kid}), claims().to_string(), sign)
}

fn rsa_token(header: &Value) -> String {
    token(header, claims().to_string(), |message| KEYS.rsa.sign(message))
}

/// Valid claims with one of them replaced.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

/// Valid claims without one of them.
fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn hmac_token(header: &Value, secret: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    token(header, claims().to_string(), |message| hmac::sign(&key, message).as_ref().to_vec())
}

const INVALID: AccessError = AccessError::Unauthenticated(TokenFault::Invalid);

/// Asserts that tokens are refused before their signature is found valid, which no refusal shows.
async fn assert_unauthenticated(cases: Vec<(&str, String)>) {
    assert_fault(TokenFault::Invalid, cases).await;
}

async fn assert_fault(fault: TokenFault, cases: Vec<(&str, String)>) {
    for (case, token) in cases {
        assert_eq!(present(&token).await, Err(AccessError::Unauthenticated(fault)), "{case}");
    }
}

fn lacks(required: &str) -> AccessError {
    AccessError::Forbidden { required: required.to_owned(), is_scope: false }
}

fn lacks_scope(required: &str) -> AccessError {
    AccessError::Forbidden { required: required.to_owned(), is_scope: true }
}

#[tokio::test]
async fn good_tokens_pass() {
    let expected = Caller {
        tenant: domain::tenant::TenantId::parse("acme").unwrap(),
        issuer: ISSUER.to_owned(),
        subject: "user-1".to_owned(),
        permissions: Permission::ALL.into(),
    };
    for (case, token) in [
        ("ES256", ec_token(&claims())),
        ("RS256", rsa_token(&json!({"alg": "RS256", "kid": "rsa"}))),
        ("PS256", signed_by("PS256", "pss", |message| KEYS.pss.sign_pss(message))),
        ("ES384", signed_by("ES384", "p384", |message| KEYS.p384.sign(message))),
        ("EdDSA", signed_by("EdDSA", "ed", |message| KEYS.ed.sign(message))),
        ("Ed25519", signed_by("Ed25519", "ed", |message| KEYS.ed.sign(message))),
        ("access token", ec_token_with_header("typ", json!("at+jwt"))),
        ("media type in full and in capitals", ec_token_with_header("typ", json!("application/AT+JWT"))),
        ("other header members", ec_token_with_header("x5t", json!("abc"))),
        ("audience among others", ec_token(&with("aud", json!(["other", AUDIENCE])))),
        ("no nbf", ec_token(&without("nbf"))),
        ("expired within the leeway", ec_token(&with("exp", json!(NOW - 59)))),
        ("expiry with a fraction", ec_token(&with("exp", json!(f64::from(1_800_000_000) + 0.5)))),
        ("not before within the leeway", ec_token(&with("nbf", json!(NOW + 60)))),
        ("permissions in one text", ec_token(&with("permissions", json!("openid AUDIT  AUDIT_WRITE")))),
    ] {
        assert_eq!(present(&token).await.as_ref(), Ok(&expected), "{case}");
    }
}

#[tokio::test]
async fn the_algorithm_is_the_keys() {
    let unsigned = |algorithm: &str| {
        let header = json!({"alg": algorithm, "kid": "ec"});
        token(&header, claims().to_string(), |_| Vec::new())
    };
    let rsa_signed = |algorithm: &str, kid: &str| rsa_token(&json!({"alg": algorithm, "kid": kid}));
    let ec_signed = |algorithm: Value, kid: &str| {
        let header = json!({"alg": algorithm, "kid": kid});
        token(&header, claims().to_string(), |message| KEYS.ec.sign(message))
    };
    assert_unauthenticated(vec![
        ("alg none, no signature", unsigned("none")),
        ("alg None", unsigned("None")),
        ("alg NONE", unsigned("NONE")),
        ("alg nOnE", unsigned("nOnE")),
        ("alg none with a signature", ec_signed(json!("none"), "ec")),
        ("ES256 without a signature", unsigned("ES256")),
        ("alg empty", ec_signed(json!(""), "ec")),
        ("alg null", ec_signed(json!(null), "ec")),
        ("alg an array", ec_signed(json!(["ES256"]), "ec")),
        ("alg in small letters", ec_signed(json!("es256"), "ec")),
        ("alg missing", token(&json!({"kid": "ec"}), claims().to_string(), |message| KEYS.ec.sign(message))),
        ("RS256 key, ES256 header", rsa_signed("ES256", "rsa")),
        ("RS256 key, RS384 header", rsa_signed("RS384", "rsa")),
        ("RS256 key, RS512 header", rsa_signed("RS512", "rsa")),
        ("RS256 key, PS256 header", rsa_signed("PS256", "rsa")),
        ("RS256 key, HS256 header", rsa_signed("HS256", "rsa")),
        ("ES256 key, RS256 header", ec_signed(json!("RS256"), "ec")),
        ("ES256 key, ES384 header", ec_signed(json!("ES384"), "ec")),
        ("ES256 key, EdDSA header", ec_signed(json!("EdDSA"), "ec")),
        ("RS256 key, PS256 header and signature", signed_by("PS256", "rsa", |message| KEYS.rsa.sign_pss(message))),
        ("RS256 key and header, PS256 signature", signed_by("RS256", "rsa", |message| KEYS.rsa.sign_pss(message))),
        ("PS256 key, RS256 header and signature", signed_by("RS256", "pss", |message| KEYS.pss.sign(message))),
        ("PS256 key and header, RS256 signature", signed_by("PS256", "pss", |message| KEYS.pss.sign(message))),
        ("PS256 key, PS384 header", signed_by("PS384", "pss", |message| KEYS.pss.sign_pss(message))),
        ("ES384 key, ES256 header", signed_by("ES256", "p384", |message| KEYS.p384.sign(message))),
        ("ES384 key, header and signature of a P-256 key", signed_by("ES384", "p384", |message| KEYS.ec.sign(message))),
        ("ES384 key, ES512 header", signed_by("ES512", "p384", |message| KEYS.p384.sign(message))),
        ("Ed25519 key, ES256 header", signed_by("ES256", "ed", |message| KEYS.ed.sign(message))),
        ("Ed25519 key, Ed448 header", signed_by("Ed448", "ed", |message| KEYS.ed.sign(message))),
        ("Ed25519 key, its name in small letters", signed_by("ed25519", "ed", |message| KEYS.ed.sign(message))),
        ("Ed25519 key, both names", signed_by("Ed25519,EdDSA", "ed", |message| KEYS.ed.sign(message))),
        ("Ed25519 key, HS256 header", hmac_token(&json!({"alg": "HS256", "kid": "ed"}), &KEYS.ed.public())),
        ("ES256 key, Ed25519 header", ec_signed(json!("Ed25519"), "ec")),
        ("ES256 key, its name in COSE", ec_signed(json!("ESP256"), "ec")),
        ("RS256 key, Ed25519 header", rsa_signed("Ed25519", "rsa")),
        ("Ed25519 with the key ID of a P-256 key", signed_by("Ed25519", "ec", |message| KEYS.ed.sign(message))),
        ("EdDSA with the key ID of a P-256 key", signed_by("EdDSA", "ec", |message| KEYS.ed.sign(message))),
    ])
    .await;
}

/// The order of Ed25519's base point, little-endian (RFC 8032 section 5.1).
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[tokio::test]
async fn an_ed25519_signature_has_one_form() {
    let malleable = signed_by("EdDSA", "ed", |message| {
        let mut signature = KEYS.ed.sign(message);
        let mut carry = 0;
        for (byte, order) in signature[32..].iter_mut().zip(ED25519_ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
        }
        signature
    });
    assert_unauthenticated(vec![
        ("S plus the order", malleable),
        ("zeros", signed_by("EdDSA", "ed", |_| vec![0; 64])),
        ("a byte more", signed_by("EdDSA", "ed", |message| [KEYS.ed.sign(message), vec![0]].concat())),
    ])
    .await;
}

#[tokio::test]
async fn a_public_key_is_refused_as_an_hmac_secret() {
    let hs256 = |kid: &str| json!({"alg": "HS256", "kid": kid});
    let der = KEYS.rsa.public_der();
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &der);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{encoded}\n-----END PUBLIC KEY-----\n");
    let jwk = KEYS.rsa.jwk("rsa").to_string();
    let ec_x = KEYS.ec.jwk("ec")["x"].as_str().unwrap().to_owned();
    assert_unauthenticated(vec![
        ("HS256 with the RSA key's DER", hmac_token(&hs256("rsa"), &der)),
        ("HS256 with the RSA key's PEM", hmac_token(&hs256("rsa"), pem.as_bytes())),
        ("HS256 with the RSA key's modulus", hmac_token(&hs256("rsa"), &KEYS.rsa.modulus())),
        ("HS256 with the JWK's text", hmac_token(&hs256("rsa"), jwk.as_bytes())),
        ("HS256 with the EC key's coordinate", hmac_token(&hs256("ec"), ec_x.as_bytes())),
        ("HS256 with an empty secret", hmac_token(&hs256("rsa"), b"")),
        ("HMAC under an RS256 header", hmac_token(&json!({"alg": "RS256", "kid": "rsa"}), &der)),
        ("HS256 with the set's symmetric key", hmac_token(&hs256("symmetric"), b"secret")),
    ])
    .await;
}

#[tokio::test]
async fn the_key_is_the_one_of_the_kid() {
    let header = |algorithm: &str, kid: Value| json!({"alg": algorithm, "kid": kid});
    let by_ec = |kid: Value| token(&header("ES256", kid), claims().to_string(), |message| KEYS.ec.sign(message));
    let encrypting =
        token(&header("RS256", json!("encryption")), claims().to_string(), |message| KEYS.encryption.sign(message));
    let foreign = token(&ec_header(), claims().to_string(), |message| KEYS.foreign.sign(message));
    assert_unauthenticated(vec![
        ("kid of another key", by_ec(json!("rsa"))),
        ("kid of another key, its alg", rsa_token(&header("ES256", json!("ec")))),
        ("unknown kid", by_ec(json!("nobody"))),
        ("kid with another case", by_ec(json!("EC"))),
        ("kid with a space", by_ec(json!("ec "))),
        ("kid a path", by_ec(json!("../../dev/null"))),
        ("kid empty", by_ec(json!(""))),
        ("kid a number", by_ec(json!(1))),
        ("kid null", by_ec(json!(null))),
        ("kid an array", by_ec(json!(["ec"]))),
        ("kid missing", token(&json!({"alg": "ES256"}), claims().to_string(), |message| KEYS.ec.sign(message))),
        ("signed by a key that isn't published", foreign),
        ("signed by a key for encryption", encrypting),
        ("signed by a key of 1024 bits", WEAK_TOKEN.join(".")),
    ])
    .await;
}

#[tokio::test]
async fn keys_in_token_headers_are_refused() {
    let jwk = KEYS.foreign.jwk("ec");
    let mut cases = vec![(
        "own jwk that signed",
        token(&json!({"alg": "ES256", "kid": "ec", "jwk": jwk}), claims().to_string(), |message| {
            KEYS.foreign.sign(message)
        }),
    )];
    // Refused with a valid signature too, and with any value.
    for (name, value) in [
        ("jku", json!("https://attacker.example/keys")),
        ("jku", json!(ISSUER)),
        ("jku", json!(null)),
        ("jwk", KEYS.ec.jwk("ec")),
        ("jwk", json!(null)),
        ("x5u", json!("https://attacker.example/certificate")),
        ("x5u", json!("")),
        ("x5c", json!(["MIIB"])),
        ("x5c", json!([])),
        ("crit", json!(["exp"])),
        ("crit", json!(["b64"])),
        ("crit", json!([])),
        ("crit", json!(null)),
    ] {
        cases.push((name, ec_token_with_header(name, value)));
    }
    assert_unauthenticated(cases).await;
}

#[tokio::test]
async fn other_kinds_of_tokens_are_refused() {
    let cases = ["logout+jwt", "dpop+jwt", "secevent+jwt", "JWE", "", "jwt "];
    for kind in cases {
        let token = ec_token_with_header("typ", json!(kind));
        assert_eq!(present(&token).await, Err(INVALID), "{kind}");
    }
    assert_unauthenticated(vec![("typ not a text", ec_token_with_header("typ", json!(["JWT"])))]).await;
}

#[tokio::test]
async fn times_bound_a_token() {
    assert_fault(
        TokenFault::Expired,
        vec![
            ("expired", ec_token(&with("exp", json!(NOW - 3600)))),
            ("expired at the end of the leeway", ec_token(&with("exp", json!(NOW - 60)))),
            ("no exp", ec_token(&without("exp"))),
            ("exp a text", ec_token(&with("exp", json!((NOW + 600).to_string())))),
            ("exp null", ec_token(&with("exp", json!(null)))),
            ("exp true", ec_token(&with("exp", json!(true)))),
            ("exp an array", ec_token(&with("exp", json!([NOW + 600])))),
            ("exp negative", ec_token(&with("exp", json!(-1)))),
            ("exp zero", ec_token(&with("exp", json!(0)))),
        ],
    )
    .await;
    assert_fault(
        TokenFault::NotYetValid,
        vec![
            ("nbf after the leeway", ec_token(&with("nbf", json!(NOW + 61)))),
            ("nbf a text", ec_token(&with("nbf", json!(NOW.to_string())))),
            ("nbf null", ec_token(&with("nbf", json!(null)))),
        ],
    )
    .await;
}

#[tokio::test]
async fn issuer_and_audience_are_exact() {
    assert_unauthenticated(vec![
        ("another issuer", ec_token(&with("iss", json!("https://attacker.example")))),
        ("issuer with a slash", ec_token(&with("iss", json!(format!("{ISSUER}/"))))),
        ("issuer as a prefix", ec_token(&with("iss", json!(format!("{ISSUER}.attacker.example"))))),
        ("issuer with another case", ec_token(&with("iss", json!(ISSUER.to_uppercase())))),
        ("issuer in an array", ec_token(&with("iss", json!([ISSUER])))),
        ("no issuer", ec_token(&without("iss"))),
        ("issuer twice", {
            let payload = claims().to_string().replacen('{', r#"{"iss":"https://attacker.example","#, 1);
            token(&ec_header(), payload, |message| KEYS.ec.sign(message))
        }),
    ])
    .await;
    assert_fault(
        TokenFault::Audience,
        vec![
            ("another audience", ec_token(&with("aud", json!("other")))),
            ("other audiences", ec_token(&with("aud", json!(["other", "another"])))),
            ("audience as a prefix", ec_token(&with("aud", json!("audit-export-other")))),
            ("audiences between spaces", ec_token(&with("aud", json!("other audit-export")))),
            ("no audiences", ec_token(&with("aud", json!([])))),
            ("audience beside something else", ec_token(&with("aud", json!([AUDIENCE, 1])))),
            ("audience in an object", ec_token(&with("aud", json!({ AUDIENCE: true })))),
            ("no audience", ec_token(&without("aud"))),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_token_names_one_tenant() {
    assert_fault(
        TokenFault::Tenant,
        vec![
            ("tenant empty", ec_token(&with("tenant_id", json!("")))),
            ("tenant an array", ec_token(&with("tenant_id", json!(["acme"])))),
            ("tenant an empty array", ec_token(&with("tenant_id", json!([])))),
            ("tenant a number", ec_token(&with("tenant_id", json!(7)))),
            ("tenant null", ec_token(&with("tenant_id", json!(null)))),
            ("tenant an object", ec_token(&with("tenant_id", json!({"id": "acme"})))),
            ("tenant missing", ec_token(&without("tenant_id"))),
            ("tenant with #", ec_token(&with("tenant_id", json!("acme#03")))),
            ("tenant with a space", ec_token(&with("tenant_id", json!("acme ")))),
            ("tenant with a slash", ec_token(&with("tenant_id", json!("acme/other")))),
            ("tenant with a line break", ec_token(&with("tenant_id", json!("acme\n")))),
            ("tenant with a null character", ec_token(&with("tenant_id", json!("acme\0")))),
            ("tenant in letters that look alike", ec_token(&with("tenant_id", json!("\u{430}cme")))),
            ("tenant too long", ec_token(&with("tenant_id", json!("a".repeat(129))))),
        ],
    )
    .await;
    let payload = claims().to_string().replacen('{', r#"{"tenant_id":"other","#, 1);
    assert_unauthenticated(vec![("tenant twice", token(&ec_header(), payload, |message| KEYS.ec.sign(message)))]).await;
}

#[tokio::test]
async fn a_claim_is_found_by_its_name_or_by_a_pointer_through_objects() {
    let nested = {
        let mut claims = without("tenant_id");
        claims["app"] = json!({"tenant": "nested", "list": ["first"], "empty": {}, "number": 1});
        claims["/app/tenant"] = json!("name-like-a-pointer");
        claims["https://app.example/tenant"] = json!("acme");
        claims
    };
    for (name, expected) in [
        ("https://app.example/tenant", Some("acme")),
        ("/https:~1~1app.example~1tenant", Some("acme")),
        ("/app/tenant", Some("nested")),
        ("/~1app~1tenant", Some("name-like-a-pointer")),
        ("app.tenant", None),
        ("app", None),
        ("/app", None),
        ("/app/list", None),
        ("/app/list/0", None),
        ("/app/list/-", None),
        ("/app/empty", None),
        ("/app/number", None),
        ("/app/tenant/0", None),
        ("/APP/tenant", None),
        ("HTTPS://app.example/tenant", None),
    ] {
        let authenticator = with_settings(IssuerSettings { tenants: tenants_from(name), ..settings() });
        let header = format!("Bearer {}", ec_token(&nested));
        let outcome = authenticator.authenticate(Some(&header), Permission::Audit).await;
        let expected = expected.ok_or(AccessError::Unauthenticated(TokenFault::Tenant));
        assert_eq!(outcome.map(|caller| caller.tenant.as_str().to_owned()), expected.map(ToOwned::to_owned), "{name}");
    }
}

#[tokio::test]
async fn a_nested_name_that_occurs_twice_is_refused() {
    let nested = |member: &str| {
        let payload = claims().to_string().replacen('{', &format!("{{{member},"), 1);
        token(&ec_header(), payload, |message| KEYS.ec.sign(message))
    };
    assert!(present(&nested(r#""app":{"tenant":"a","other":"a"}"#)).await.is_ok());
    assert_unauthenticated(vec![
        ("in an object", nested(r#""app":{"tenant":"a","tenant":"b"}"#)),
        ("deeper", nested(r#""a":{"b":{"c":1,"c":1}}"#)),
        ("in a list", nested(r#""a":[{"b":1,"b":1}]"#)),
        ("written differently", nested(r#""app":{"tenant":"a","\u0074enant":"b"}"#)),
    ])
    .await;
}

/// Claims of an access token of Cognito, which has no `aud`.
fn cognito() -> Value {
    let mut claims = without("aud");
    claims["client_id"] = json!(AUDIENCE);
    claims["token_use"] = json!("access");
    claims
}

#[tokio::test]
async fn a_client_is_the_audience_of_an_access_token_of_cognito_alone() {
    assert!(present(&ec_token(&cognito())).await.is_ok());
    let changed = |changes: Value| {
        let mut claims = cognito();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        ec_token(&claims)
    };
    let without = |name: &str| {
        let mut claims = cognito();
        claims.as_object_mut().unwrap().remove(name);
        ec_token(&claims)
    };
    assert_fault(
        TokenFault::Audience,
        vec![
            ("no token_use", without("token_use")),
            ("no client_id", without("client_id")),
            ("another client", changed(json!({"client_id": "other"}))),
            ("clients in a list", changed(json!({"client_id": [AUDIENCE]}))),
            ("another aud beside the client", changed(json!({"aud": "other"}))),
            ("aud null beside the client", changed(json!({"aud": null}))),
            ("no aud in the list beside the client", changed(json!({"aud": []}))),
        ],
    )
    .await;
    assert_fault(
        TokenFault::Kind,
        vec![
            ("ID token of Cognito", changed(json!({"token_use": "id", "aud": AUDIENCE}))),
            ("ID token without aud", changed(json!({"token_use": "id"}))),
            ("refresh token", changed(json!({"token_use": "refresh"}))),
            ("token_use with another case", changed(json!({"token_use": "Access"}))),
            ("token_use in a list", changed(json!({"token_use": ["access"]}))),
            ("token_use null", changed(json!({"token_use": null}))),
            ("ID token of Keycloak", ec_token(&with("typ", json!("ID")))),
            ("refresh token of Keycloak", ec_token(&with("typ", json!("Refresh")))),
            ("logout token of Keycloak", ec_token(&with("typ", json!("Logout")))),
            ("ID token in small letters", ec_token(&with("typ", json!("id")))),
            ("typ in a list", ec_token(&with("typ", json!(["ID"])))),
            ("typ null", ec_token(&with("typ", json!(null)))),
            ("ID token with the hash of an access token", ec_token(&with("at_hash", json!("x")))),
            ("ID token with the hash of a code", ec_token(&with("c_hash", json!("x")))),
            ("ID token of a client that is its own API", ec_token(&with("nonce", json!("x")))),
        ],
    )
    .await;
    assert!(present(&ec_token(&with("typ", json!("Bearer")))).await.is_ok());
    // Access tokens that repeat a nonce, and say what they are.
    let with_nonce = with("nonce", json!("x"));
    let marked = json!({"alg": "ES256", "kid": "ec", "typ": "at+jwt"});
    assert!(present(&token(&marked, with_nonce.to_string(), |message| KEYS.ec.sign(message))).await.is_ok());
    let mut of_keycloak = with_nonce;
    of_keycloak["typ"] = json!("Bearer");
    assert!(present(&ec_token(&of_keycloak)).await.is_ok());
    let bound = ec_token(&with("cnf", json!({"jkt": "x"})));
    assert_fault(TokenFault::Bound, vec![("bound to a key of the client", bound)]).await;
}

#[tokio::test]
async fn each_of_several_audiences_counts_and_no_other() {
    let audiences = vec!["people".to_owned(), "machines".to_owned()];
    let authenticator = with_settings(IssuerSettings { audiences, ..settings() });
    let refused = Err(AccessError::Unauthenticated(TokenFault::Audience));
    for (audience, expected) in [
        (json!("people"), Ok(())),
        (json!(["other", "machines"]), Ok(())),
        (json!("people,machines"), refused.clone()),
        (json!("people machines"), refused.clone()),
        (json!(AUDIENCE), refused),
    ] {
        let header = format!("Bearer {}", ec_token(&with("aud", audience.clone())));
        let outcome = authenticator.authenticate(Some(&header), Permission::Audit).await;
        assert_eq!(outcome.map(drop), expected, "{audience}");
    }
}

#[tokio::test]
async fn permissions_have_the_configured_names_alone() {
    let permissions = PermissionRule {
        claims: vec![path("/realm_access/roles"), path("scope")],
        audit: "Audit Admins".to_owned(),
        audit_write: "audit:write".to_owned(),
    };
    let authenticator = with_settings(IssuerSettings { permissions, ..settings() });
    for (roles, audit, write) in [
        (json!(["Audit Admins"]), true, false),
        (json!(["audit:write"]), false, true),
        (json!(["x", "audit:write", "Audit Admins"]), true, true),
        (json!("openid audit:write"), false, true),
        // In one text, spaces separate names.
        (json!("Audit Admins"), false, false),
        (json!(["AUDIT", "AUDIT_WRITE"]), false, false),
        (json!(["audit admins", "audit:writ"]), false, false),
    ] {
        let mut claims = claims();
        claims["realm_access"] = json!({"roles": roles});
        let header = format!("Bearer {}", ec_token(&claims));
        for (required, name, expected) in
            [(Permission::Audit, "Audit Admins", audit), (Permission::AuditWrite, "audit:write", write)]
        {
            let outcome = authenticator.authenticate(Some(&header), required).await.map(drop);
            assert_eq!(outcome, if expected { Ok(()) } else { Err(lacks_scope(name)) }, "{roles} for {name}");
        }
    }
    // Machines have them in another claim than people.
    let mut machine = claims();
    machine["scope"] = json!("openid audit:write");
    let header = format!("Bearer {}", ec_token(&machine));
    assert!(authenticator.authenticate(Some(&header), Permission::AuditWrite).await.is_ok());
    machine["scope"] = json!({"audit:write": true});
    let header = format!("Bearer {}", ec_token(&machine));
    let outcome = authenticator.authenticate(Some(&header), Permission::AuditWrite).await;
    assert_eq!(outcome, Err(AccessError::Unauthenticated(TokenFault::Claim)));

    for object in [json!({"roles": {"Audit Admins": true}}), json!({"roles": ["Audit Admins", 1]})] {
        let mut claims = claims();
        claims["realm_access"] = object.clone();
        let header = format!("Bearer {}", ec_token(&claims));
        let outcome = authenticator.authenticate(Some(&header), Permission::Audit).await;
        assert_eq!(outcome, Err(AccessError::Unauthenticated(TokenFault::Claim)), "{object}");
    }
}

const PARTNER: &str = "https://partner.example";
const PARTNERS: &str = "https://partners.example";

/// The operator's issuer, one of a single tenant, and one of some tenants. Two of them have keys with the same ID.
fn three_issuers() -> Authenticator {
    let own = |key: &EcKey| {
        KeySource::Inline(KeySet::parse(json!({"keys": [key.jwk("ec")]}).to_string().as_bytes()).unwrap())
    };
    let of = |issuer: &str, tenants: TenantRule, key: &EcKey| IssuerSettings {
        issuer: issuer.to_owned(),
        tenants,
        key_source: own(key),
        ..settings()
    };
    let prefix = AllowedTenants::Prefix(TenantPrefix::parse("emea-").unwrap());
    with_issuers(vec![
        settings(),
        of(PARTNER, TenantRule::Fixed(TenantId::parse("partner").unwrap()), &KEYS.foreign),
        of(PARTNERS, TenantRule::Claim { claim: path("tenant_id"), allowed: prefix }, &KEYS.other),
    ])
}

#[tokio::test]
async fn an_issuer_speaks_for_its_own_tenants_with_its_own_keys() {
    let authenticator = three_issuers();
    let by = |key: &'static EcKey, issuer: &str, tenant: Value| {
        let mut claims = with("iss", json!(issuer));
        claims["tenant_id"] = tenant;
        token(&ec_header(), claims.to_string(), |message| key.sign(message))
    };
    let no_tenant = AccessError::Unauthenticated(TokenFault::Tenant);
    let cases = [
        ("the operator's", by(&KEYS.ec, ISSUER, json!("acme")), Ok("acme")),
        ("the operator's, for a partner", by(&KEYS.ec, ISSUER, json!("partner")), Ok("partner")),
        ("a fixed tenant", by(&KEYS.foreign, PARTNER, json!("partner")), Ok("partner")),
        ("a fixed tenant, whatever the claim says", by(&KEYS.foreign, PARTNER, json!("acme")), Ok("partner")),
        ("a fixed tenant, with a broken claim", by(&KEYS.foreign, PARTNER, json!(["acme"])), Ok("partner")),
        ("a tenant of the prefix", by(&KEYS.other, PARTNERS, json!("emea-1")), Ok("emea-1")),
        ("a tenant of another", by(&KEYS.other, PARTNERS, json!("acme")), Err(no_tenant.clone())),
        ("a tenant almost of the prefix", by(&KEYS.other, PARTNERS, json!("emea")), Err(no_tenant.clone())),
        ("the prefix in other letters", by(&KEYS.other, PARTNERS, json!("EMEA-1")), Err(no_tenant.clone())),
        ("the prefix inside", by(&KEYS.other, PARTNERS, json!("x-emea-1")), Err(no_tenant)),
        ("the operator's name, a partner's key", by(&KEYS.foreign, ISSUER, json!("acme")), Err(INVALID)),
        ("a partner's name, the operator's key", by(&KEYS.ec, PARTNER, json!("partner")), Err(INVALID)),
        ("a partner's name, another partner's key", by(&KEYS.other, PARTNER, json!("partner")), Err(INVALID)),
        ("an unknown issuer, the operator's key", by(&KEYS.ec, "https://x.example", json!("acme")), Err(INVALID)),
        ("a partner's name with a slash", by(&KEYS.foreign, "https://partner.example/", json!("acme")), Err(INVALID)),
        (
            "a list of issuers",
            {
                let claims = with("iss", json!([PARTNER, ISSUER]));
                token(&ec_header(), claims.to_string(), |message| KEYS.foreign.sign(message))
            },
            Err(INVALID),
        ),
        (
            "the key ID of another issuer",
            {
                let header = json!({"alg": "RS256", "kid": "rsa"});
                token(&header, with("iss", json!(PARTNER)).to_string(), |message| KEYS.rsa.sign(message))
            },
            Err(INVALID),
        ),
    ];
    for (case, token, expected) in cases {
        let outcome = authenticator.authenticate(Some(&format!("Bearer {token}")), Permission::Audit).await;
        assert_eq!(outcome.map(|caller| caller.tenant.as_str().to_owned()), expected.map(ToOwned::to_owned), "{case}");
    }
}

#[tokio::test]
async fn a_listed_tenant_is_exact() {
    let allowed = AllowedTenants::Listed(["acme", "beta"].map(|tenant| TenantId::parse(tenant).unwrap()).into());
    let tenants = TenantRule::Claim { claim: path("tenant_id"), allowed };
    let authenticator = with_settings(IssuerSettings { tenants, ..settings() });
    for (tenant, is_allowed) in [("acme", true), ("beta", true), ("Acme", false), ("acme2", false), ("gamma", false)] {
        let header = format!("Bearer {}", ec_token(&with("tenant_id", json!(tenant))));
        assert_eq!(authenticator.authenticate(Some(&header), Permission::Audit).await.is_ok(), is_allowed, "{tenant}");
    }
}

#[tokio::test]
async fn a_subject_is_a_bounded_text() {
    let longest = "\u{e4}".repeat(MAX_SUBJECT_LENGTH);
    assert_eq!(present(&ec_token(&with("sub", json!(longest)))).await.unwrap().subject, longest);
    assert_fault(
        TokenFault::Claim,
        vec![
            ("no subject", ec_token(&without("sub"))),
            ("subject empty", ec_token(&with("sub", json!("")))),
            ("subject a number", ec_token(&with("sub", json!(1)))),
            ("subject too long", ec_token(&with("sub", json!("a".repeat(MAX_SUBJECT_LENGTH + 1))))),
            ("subject with a line break", ec_token(&with("sub", json!("user\nforged: line")))),
        ],
    )
    .await;
}

#[tokio::test]
async fn permissions_are_exact() {
    for (case, claim) in [
        ("none", json!([])),
        ("an empty text", json!("")),
        ("a prefix", json!(["AUDI"])),
        ("a suffix", json!(["AUDITOR"])),
        ("the other one", json!(["AUDIT_WRITE"])),
        ("another case", json!(["audit"])),
        ("with a space", json!([" AUDIT"])),
        ("several in one element", json!(["AUDIT AUDIT_WRITE"])),
        ("between commas", json!("AUDIT,AUDIT_WRITE")),
        ("between tabs", json!("AUDIT\tAUDIT_WRITE")),
        ("a wildcard", json!("*")),
        ("a part of a name", json!("NO-AUDIT x:AUDIT")),
    ] {
        assert_eq!(present(&ec_token(&with("permissions", claim))).await, Err(lacks("AUDIT")), "{case}");
    }
    assert_eq!(present(&ec_token(&without("permissions"))).await, Err(lacks("AUDIT")));
    assert_fault(
        TokenFault::Claim,
        vec![
            ("permissions a number", ec_token(&with("permissions", json!(1)))),
            ("permissions null", ec_token(&with("permissions", json!(null)))),
            ("permissions an object", ec_token(&with("permissions", json!({"AUDIT": true})))),
            ("permissions with something else", ec_token(&with("permissions", json!(["AUDIT", 1])))),
        ],
    )
    .await;
}

#[tokio::test]
async fn neither_permission_includes_the_other() {
    for (held, required, expected) in [
        ("AUDIT", Permission::Audit, true),
        ("AUDIT", Permission::AuditWrite, false),
        ("AUDIT_WRITE", Permission::Audit, false),
        ("AUDIT_WRITE", Permission::AuditWrite, true),
    ] {
        let header = format!("Bearer {}", ec_token(&with("permissions", json!([held]))));
        let outcome = authenticator().authenticate(Some(&header), required).await;
        assert_eq!(outcome.is_ok(), expected, "{held} for {required:?}");
    }
}

#[tokio::test]
async fn signatures_cover_every_byte() {
    let token = ec_token(&claims());
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { panic!("three parts") };
    let swapped = base64url(with("tenant_id", json!("other")).to_string());
    let other_header = base64url(json!({"alg": "ES256", "kid": "ec"}).to_string());
    let other_signature = ec_token(&with("sub", json!("user-2"))).rsplit('.').next().unwrap().to_owned();
    let in_der = KEYS.ec.in_der();
    assert_unauthenticated(vec![
        ("tampered payload", format!("{header}.{swapped}.{signature}")),
        ("tampered header", format!("{other_header}.{payload}.{signature}")),
        ("signature of another token", format!("{header}.{payload}.{other_signature}")),
        ("signature cut by a character", token[..token.len() - 1].to_owned()),
        ("signature cut in half", format!("{header}.{payload}.{}", &signature[..signature.len() / 2])),
        ("signature empty", format!("{header}.{payload}.")),
        ("signature missing", format!("{header}.{payload}")),
        ("signature of zeros", format!("{header}.{payload}.{}", base64url([0; 64]))),
        ("signature longer by a byte", format!("{header}.{payload}.{}", base64url([0; 65]))),
        ("signature twice", format!("{token}.{signature}")),
        ("signature in DER", crate::issuer::token(&ec_header(), claims().to_string(), |message| in_der.sign(message))),
    ])
    .await;
}

#[tokio::test]
async fn every_bit_of_a_signature_counts() {
    let token = rsa_token(&json!({"alg": "RS256", "kid": "rsa"}));
    assert!(present(&token).await.is_ok());
    let (signed_part, signature) = token.rsplit_once('.').unwrap();
    let signature = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature).unwrap();
    for position in [0, 1, 127, 254, 255] {
        let mut changed = signature.clone();
        changed[position] ^= 1;
        let token = format!("{signed_part}.{}", base64url(changed));
        assert_eq!(present(&token).await, Err(INVALID), "byte {position}");
    }
}

#[tokio::test]
async fn a_token_is_three_parts_and_nothing_else() {
    let token = ec_token(&claims());
    let signed = |header: &str, payload: &str| {
        let signed_part = format!("{}.{}", base64url(header), base64url(payload));
        format!("{signed_part}.{}", base64url(KEYS.ec.sign(signed_part.as_bytes())))
    };
    let header = ec_header().to_string();
    let payload = claims().to_string();
    let padded = {
        let part = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE, &payload);
        let part = if part.ends_with('=') { part } else { format!("{part}=") };
        let signed_part = format!("{}.{part}", base64url(&header));
        format!("{signed_part}.{}", base64url(KEYS.ec.sign(signed_part.as_bytes())))
    };
    assert_unauthenticated(vec![
        ("empty", String::new()),
        ("dots", "..".to_owned()),
        ("one part", "abc".to_owned()),
        ("four parts", format!("{token}.abc")),
        ("five parts, as encrypted tokens", format!("{token}.abc.def")),
        ("a dot before", format!(".{token}")),
        ("a dot after", format!("{token}.")),
        ("a space after", format!("{token} ")),
        ("more after a space", format!("{token} abc")),
        ("another token after a comma", format!("{token}, Bearer {token}")),
        ("a parameter", format!("{token};a=b")),
        ("a line break after", format!("{token}\n")),
        ("a null character after", format!("{token}\0")),
        ("in quotes", format!("\"{token}\"")),
        ("padding", padded),
        ("padding after the signature", format!("{token}==")),
        ("header no JSON", signed("header", &payload)),
        ("header an array", signed("[]", &payload)),
        ("header with more after it", signed(&format!("{header}{{}}"), &payload)),
        ("header with a name twice", signed(&header.replacen('{', r#"{"alg":"none","#, 1), &payload)),
        ("payload no JSON", signed(&header, "payload")),
        ("payload empty", signed(&header, "")),
        ("payload an array", signed(&header, "[]")),
        ("payload with more after it", signed(&header, &format!("{payload} x"))),
        ("payload not UTF-8", crate::issuer::token(&ec_header(), b"{\"a\":\"\xff\"}", |message| KEYS.ec.sign(message))),
        ("payload nested deeply", signed(&header, &format!(r#"{{"a":{}"#, "[".repeat(2000)))),
    ])
    .await;
}

#[tokio::test]
async fn a_token_has_a_greatest_length() {
    let sized = |length: usize| {
        let mut padding = length;
        loop {
            let token = ec_token(&with("padding", json!("x".repeat(padding))));
            if token.len() <= length {
                return token;
            }
            padding -= 1;
        }
    };
    let longest = sized(MAX_TOKEN_LENGTH_BYTES);
    assert!(longest.len() > MAX_TOKEN_LENGTH_BYTES - 4);
    assert!(present(&longest).await.is_ok());
    let longer = sized(MAX_TOKEN_LENGTH_BYTES + 4);
    assert!(longer.len() > MAX_TOKEN_LENGTH_BYTES);
    assert_unauthenticated(vec![("longer than allowed", longer), ("much longer", "a".repeat(1024 * 1024))]).await;
}

#[tokio::test]
async fn the_scheme_is_bearer() {
    let token = ec_token(&claims());
    let authenticator = authenticator();
    for good in
        [format!("Bearer {token}"), format!("bearer {token}"), format!("BEARER {token}"), format!("Bearer   {token}")]
    {
        assert!(authenticator.authenticate(Some(&good), Permission::Audit).await.is_ok(), "{:?}", &good[..12]);
    }
    for bad in [
        String::new(),
        "Bearer".to_owned(),
        token.clone(),
        format!(" Bearer {token}"),
        format!("Bearer\t{token}"),
        format!("Bearer\u{a0}{token}"),
        format!("Bearer{token}"),
        format!("Bearer:{token}"),
        format!("Bearer: {token}"),
        format!("Basic {token}"),
        format!("Token {token}"),
        format!("JWT {token}"),
        format!("DPoP {token}"),
    ] {
        let outcome = authenticator.authenticate(Some(&bad), Permission::Audit).await;
        assert_eq!(outcome, Err(AccessError::Unauthenticated(TokenFault::Missing)), "{bad:?}");
    }
    let missing = Err(AccessError::Unauthenticated(TokenFault::Missing));
    assert_eq!(authenticator.authenticate(None, Permission::Audit).await, missing);
    for bad in [
        "Bearer ".to_owned(),
        format!("Bearer \t{token}"),
        format!("Bearer Bearer {token}"),
        format!("Bearer token={token}"),
    ] {
        assert_eq!(authenticator.authenticate(Some(&bad), Permission::Audit).await, Err(INVALID), "{bad:?}");
    }
}

#[tokio::test]
async fn logs_contain_the_reason_and_nothing_of_the_token() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let mut confidential = with("sub", json!("confidential-subject"));
    confidential["iss"] = json!("confidential-issuer");
    let tokens = [
        ec_token(&confidential),
        token(&json!({"alg": "ES256", "kid": "confidential-kid"}), claims().to_string(), |_| vec![0; 64]),
        ec_token_with_header("jku", json!("confidential-address")),
        ec_token(&with("permissions", json!(["confidential-permission"]))),
    ];
    async {
        for token in &tokens {
            assert!(present(token).await.is_err());
        }
    }
    .with_subscriber(subscriber)
    .await;

    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for reason in ["no issuer that is accepted here", "unknown kid", "critical extension", "FORBIDDEN"] {
        assert!(log.contains(reason), "{reason}: {log}");
    }
    assert!(!log.contains("confidential"), "{log}");
    for part in tokens.iter().flat_map(|token| token.split('.')) {
        assert!(!log.contains(part), "{log}");
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_refusal_says_what_the_token_says_of_itself() {
    let refused = AccessError::Unauthenticated;
    for (error, status, extensions, challenge) in [
        (refused(TokenFault::Missing), 401, json!({"code": "UNAUTHENTICATED"}), Some(r#"Bearer realm="audit-export""#)),
        (
            refused(TokenFault::Invalid),
            401,
            json!({"code": "UNAUTHENTICATED"}),
            Some(
                r#"Bearer realm="audit-export", error="invalid_token", error_description="The bearer token is not valid here.""#,
            ),
        ),
        (
            refused(TokenFault::Expired),
            401,
            json!({"code": "UNAUTHENTICATED", "reason": "EXPIRED"}),
            Some(
                r#"Bearer realm="audit-export", error="invalid_token", error_description="The token has expired or has no expiry. Get a new token.""#,
            ),
        ),
        (
            lacks_scope("audit:read"),
            403,
            json!({"code": "FORBIDDEN", "requiredPermission": "audit:read"}),
            Some(
                r#"Bearer realm="audit-export", error="insufficient_scope", error_description="The token lacks the required permission.", scope="audit:read""#,
            ),
        ),
        (
            lacks_scope(r#"Audit "Admins""#),
            403,
            json!({"code": "FORBIDDEN", "requiredPermission": r#"Audit "Admins""#}),
            Some(
                r#"Bearer realm="audit-export", error="insufficient_scope", error_description="The token lacks the required permission.""#,
            ),
        ),
        (
            lacks("Admins"),
            403,
            json!({"code": "FORBIDDEN", "requiredPermission": "Admins"}),
            Some(
                r#"Bearer realm="audit-export", error="insufficient_scope", error_description="The token lacks the required permission.""#,
            ),
        ),
        (AccessError::KeysUnavailable, 503, json!({"code": "KEYS_UNAVAILABLE"}), None),
    ] {
        let body = ErrorBody::from(error.clone());
        assert_eq!((error.status().as_u16(), body.status().as_u16()), (status, status));
        let json = body.to_json();
        assert_eq!(json["errors"][0]["extensions"], extensions);
        assert_eq!(json["errors"][0]["message"], error.to_string());
        let response: Response<String> = body.into_response();
        assert_eq!(response.headers().get(WWW_AUTHENTICATE).map(|value| value.to_str().unwrap()), challenge);
    }
}

#[test]
fn every_fault_is_explained_and_fits_into_a_header() {
    let explanation = ErrorCode::Unauthenticated.explanation();
    for fault in [
        TokenFault::Invalid,
        TokenFault::Expired,
        TokenFault::NotYetValid,
        TokenFault::Audience,
        TokenFault::Kind,
        TokenFault::Bound,
        TokenFault::Tenant,
        TokenFault::Claim,
    ] {
        let response: Response<String> = ErrorBody::from(AccessError::Unauthenticated(fault)).into_response();
        let challenge = response.headers()[WWW_AUTHENTICATE].to_str().unwrap();
        assert!(fault.reason().is_none_or(|reason| explanation.meaning.contains(reason)), "{fault:?}");
        assert_eq!(challenge.matches('"').count(), 6, "{challenge}");
        assert!(
            challenge.starts_with(r#"Bearer realm="audit-export", error="invalid_token", error_description=""#),
            "{challenge}"
        );
    }
}

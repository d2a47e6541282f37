//! An issuer of tokens with real keys. It signs with the cryptography library itself, not with the JWT library under
//! test.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use authentication::{AllowedTenants, ClaimPath, IssuerSettings, KeySource, PermissionRule, TenantRule};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::time::Timestamp;
use host::Clock;
use serde_json::{Value, json};

pub const ISSUER: &str = "https://issuer.example";
pub const AUDIENCE: &str = "audit-export";

/// The time at which tests start, in seconds since 1970.
pub const NOW: u64 = 1_800_000_000;

/// A clock that moves only when a test moves it.
#[derive(Clone)]
pub struct TestClock(Arc<Mutex<Timestamp>>);

impl TestClock {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Timestamp::EPOCH.saturating_add(Duration::from_secs(NOW)))))
    }

    pub fn advance(&self, seconds: u64) {
        let mut now = self.0.lock().unwrap();
        *now = now.saturating_add(Duration::from_secs(seconds));
    }

    pub fn set_back(&self, seconds: u64) {
        let mut now = self.0.lock().unwrap();
        *now = now.saturating_sub(Duration::from_secs(seconds));
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key that signs ES256, or ES384.
pub struct EcKey {
    pair: EcdsaKeyPair,
    document: Vec<u8>,
}

impl EcKey {
    pub fn generate() -> Self {
        let document = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap().to_pkcs8v1().unwrap();
        Self::with(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref())
    }

    pub fn generate_p384() -> Self {
        let document = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap().to_pkcs8v1().unwrap();
        Self::with(&ECDSA_P384_SHA384_FIXED_SIGNING, document.as_ref())
    }

    fn with(algorithm: &'static EcdsaSigningAlgorithm, document: &[u8]) -> Self {
        Self { pair: EcdsaKeyPair::from_pkcs8(algorithm, document).unwrap(), document: document.to_vec() }
    }

    /// Returns the same key with signatures in DER, which JWS does not allow.
    pub fn in_der(&self) -> Self {
        Self::with(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.document)
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }

    pub fn jwk(&self, key_id: &str) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(self.pair.public_key().as_ref().len() / 2);
        let (curve, algorithm) = if x.len() == 32 { ("P-256", "ES256") } else { ("P-384", "ES384") };
        json!({"kty": "EC", "crv": curve, "kid": key_id, "alg": algorithm, "use": "sig",
               "x": base64url(x), "y": base64url(y)})
    }
}

/// A key that signs `EdDSA`.
pub struct EdKey(Ed25519KeyPair);

impl EdKey {
    pub fn generate() -> Self {
        Self(Ed25519KeyPair::generate().unwrap())
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }

    pub fn public(&self) -> Vec<u8> {
        self.0.public_key().as_ref().to_vec()
    }

    pub fn jwk(&self, key_id: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": key_id, "x": base64url(self.public())})
    }
}

/// A key that signs RS256, or PS256.
pub struct RsaKey(RsaKeyPair);

impl RsaKey {
    pub fn generate() -> Self {
        Self(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.sign_with(&RSA_PKCS1_SHA256, message)
    }

    pub fn sign_pss(&self, message: &[u8]) -> Vec<u8> {
        self.sign_with(&RSA_PSS_SHA256, message)
    }

    fn sign_with(&self, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }

    pub fn modulus(&self) -> Vec<u8> {
        self.0.public_key().modulus().big_endian_without_leading_zero().to_vec()
    }

    /// Returns the public key in the encoding of certificates and PEM files.
    pub fn public_der(&self) -> Vec<u8> {
        self.0.public_key().as_der().unwrap().as_ref().to_vec()
    }

    pub fn jwk(&self, key_id: &str) -> Value {
        let exponent = self.0.public_key().exponent().big_endian_without_leading_zero().to_vec();
        json!({"kty": "RSA", "kid": key_id, "n": base64url(self.modulus()), "e": base64url(exponent)})
    }
}

/// The default settings of [`ISSUER`] with these keys.
pub fn settings(key_source: KeySource) -> IssuerSettings {
    IssuerSettings {
        issuer: ISSUER.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        tenants: tenants_from("tenant_id"),
        permissions: PermissionRule {
            claims: vec![path("permissions")],
            audit: "AUDIT".to_owned(),
            audit_write: "AUDIT_WRITE".to_owned(),
        },
        key_source,
    }
}

pub fn tenants_from(claim: &str) -> TenantRule {
    TenantRule::Claim { claim: path(claim), allowed: AllowedTenants::Any }
}

pub fn path(text: &str) -> ClaimPath {
    ClaimPath::parse(text).unwrap()
}

/// Claims that are valid at [`NOW`] for tenant `acme` with both permissions.
pub fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "user-1", "exp": NOW + 600, "nbf": NOW, "iat": NOW,
        "tenant_id": "acme", "permissions": ["AUDIT", "AUDIT_WRITE", "OTHER"]
    })
}

pub fn token(header: &Value, payload: impl AsRef<[u8]>, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let signed_part = format!("{}.{}", base64url(header.to_string()), base64url(payload));
    let signature = base64url(sign(signed_part.as_bytes()));
    format!("{signed_part}.{signature}")
}

//! The usable keys of a JSON Web Key Set.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The most keys of a set, usable or not. A larger set is refused as a whole.
pub const MAX_KEYS: usize = 32;

/// The smallest RSA modulus, in bits (RFC 7518 section 3.3).
pub const MIN_RSA_MODULUS_BITS: usize = 2048;

/// The largest RSA modulus that the cryptography library supports, in bits.
const MAX_RSA_MODULUS_BITS: usize = 8192;

/// The length of a coordinate on P-256, in bytes (RFC 7518 section 6.2.1.2).
const P256_COORDINATE_LENGTH_BYTES: usize = 32;

/// The length of a coordinate on P-384, in bytes.
const P384_COORDINATE_LENGTH_BYTES: usize = 48;

/// The length of an Ed25519 public key, in bytes (RFC 8032 section 5.1.5).
const ED25519_KEY_LENGTH_BYTES: usize = 32;

/// The members of every key that are read. Others, such as certificates, do not matter and may be malformed.
const COMMON_MEMBERS: &[&str] = &["alg", "key_ops", "kid", "kty", "use"];
/// The members of an RSA key that are read besides.
const RSA_MEMBERS: &[&str] = &["e", "n"];
/// The members of an EC key that are read besides.
const EC_MEMBERS: &[&str] = &["crv", "x", "y"];
/// The members of an Edwards key that are read besides.
const OKP_MEMBERS: &[&str] = &["crv", "x"];

const WRONG_TYPE: &str = "it has a member of the wrong type";
const UNUSABLE_TYPE: &str = "it is neither an RSA key, nor an EC key on P-256 or P-384, nor an Ed25519 key";

/// The reason why a document is not a key set.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    #[error("not a JSON Web Key Set")]
    Malformed(#[source] serde_json::Error),
    #[error("{0} keys, more than {MAX_KEYS}")]
    TooManyKeys(usize),
}

/// The usable keys, by key ID.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: BTreeMap<String, Arc<PublicKey>>,
}

/// An algorithm that signs tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SignatureAlgorithm {
    Rs256,
    Ps256,
    Es256,
    Es384,
    Ed25519,
}

impl SignatureAlgorithm {
    /// Returns whether `alg` of a token's header or of a key names it. `EdDSA` is an older name of Ed25519 and of Ed448,
    /// between which the key decides (RFC 9864 section 2.2).
    fn is_named(self, name: &str) -> bool {
        match self {
            Self::Rs256 => name == "RS256",
            Self::Ps256 => name == "PS256",
            Self::Es256 => name == "ES256",
            Self::Es384 => name == "ES384",
            Self::Ed25519 => matches!(name, "Ed25519" | "EdDSA"),
        }
    }

    fn in_library(self) -> Algorithm {
        match self {
            Self::Rs256 => Algorithm::RS256,
            Self::Ps256 => Algorithm::PS256,
            Self::Es256 => Algorithm::ES256,
            Self::Es384 => Algorithm::ES384,
            Self::Ed25519 => Algorithm::EdDSA,
        }
    }
}

/// A public key, and the only algorithm that it is used with.
pub(crate) struct PublicKey {
    algorithm: SignatureAlgorithm,
    key: DecodingKey,
    checked: Mutex<CheckedSignatures>,
}

/// The SHA-256 of the last messages that a key has signed, each with its signature. A client sends one token for many
/// requests, and checking its signature takes longer than everything else of a small request's authentication.
///
/// Only the signature is remembered. Whether the key is still in the key set, and what the claims say now, is checked with
/// every request.
#[derive(Default)]
struct CheckedSignatures(VecDeque<[u8; 32]>);

/// The most signatures that a key remembers.
const MAX_CHECKED_SIGNATURES: usize = 128;

impl CheckedSignatures {
    fn contains(&self, signed: &[u8; 32]) -> bool {
        self.0.contains(signed)
    }

    fn insert(&mut self, signed: [u8; 32]) {
        if self.0.len() >= MAX_CHECKED_SIGNATURES {
            self.0.pop_front();
        }
        self.0.push_back(signed);
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PublicKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl PublicKey {
    fn new(algorithm: SignatureAlgorithm, key: DecodingKey) -> Self {
        Self { algorithm, key, checked: Mutex::default() }
    }

    /// Returns whether a token's header names the key's algorithm.
    pub(crate) fn is_for(&self, algorithm: &str) -> bool {
        self.algorithm.is_named(algorithm)
    }

    /// Returns whether `signature` (base64url) is this key's signature of `message`.
    pub(crate) fn has_signed(&self, message: &str, signature: &str) -> bool {
        // The token as it was sent. A signature has no dot, so no other pair makes the same text.
        let signed = Sha256::new().chain_update(message).chain_update(".").chain_update(signature).finalize().into();
        if self.checked().contains(&signed) {
            return true;
        }
        let algorithm = self.algorithm.in_library();
        let is_valid =
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.key, algorithm).unwrap_or(false);
        if is_valid {
            self.checked().insert(signed);
        }
        is_valid
    }

    fn checked(&self) -> MutexGuard<'_, CheckedSignatures> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeySet {
    /// Reads the usable keys of a JSON Web Key Set. Other keys are ignored, as RFC 7517 section 5 requires, and logged.
    ///
    /// A usable key has a unique `kid`. Its `use` is absent or `sig`, its `key_ops` is absent or contains `verify`. It
    /// has no private part: anyone can sign with a published one.
    ///
    /// A key has exactly one algorithm (RFC 8725 section 3.1):
    ///
    /// | `kty`, `crv` | algorithm |
    /// |---|---|
    /// | RSA of at least [`MIN_RSA_MODULUS_BITS`] | PS256 if `alg` says so, else RS256 |
    /// | EC, P-256 | ES256 |
    /// | EC, P-384 | ES384 |
    /// | OKP, Ed25519 | Ed25519, also named `EdDSA` |
    ///
    /// Its `alg` is absent or a name of that algorithm.
    ///
    /// # Errors
    /// The document is not a key set or has more than [`MAX_KEYS`] keys.
    pub fn parse(document: &[u8]) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Map<String, Value>>,
        }

        let Document { keys: published } = serde_json::from_slice(document).map_err(KeySetError::Malformed)?;
        if published.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys(published.len()));
        }
        let mut keys = BTreeMap::new();
        let mut ambiguous = Vec::new();
        for (position, members) in published.into_iter().enumerate() {
            match usable_key(members) {
                Ok((id, key)) => {
                    if keys.insert(id.clone(), Arc::new(key)).is_some() {
                        ambiguous.push(id);
                    }
                }
                Err(reason) => tracing::info!(position, reason, "a published key isn't used"),
            }
        }
        for id in ambiguous {
            // An attacker may want us to guess which of them signed.
            tracing::warn!(reason = "several keys have the same kid", "published keys aren't used");
            keys.remove(&id);
        }
        Ok(Self { keys })
    }

    /// Returns whether no key is usable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn get(&self, key_id: &str) -> Option<Arc<PublicKey>> {
        self.keys.get(key_id).cloned()
    }
}

/// Returns the key and its ID, or the reason why the key is not used.
fn usable_key(mut members: Map<String, Value>) -> Result<(String, PublicKey), &'static str> {
    if members.contains_key("d") {
        return Err("its private part is published");
    }
    let parameters = match members.get("kty").and_then(Value::as_str) {
        Some("RSA") => RSA_MEMBERS,
        Some("EC") => EC_MEMBERS,
        Some("OKP") => OKP_MEMBERS,
        _ => return Err(UNUSABLE_TYPE),
    };
    members.retain(|name, _| COMMON_MEMBERS.contains(&name.as_str()) || parameters.contains(&name.as_str()));
    if let Some(Value::Array(operations)) = members.get_mut("key_ops") {
        operations.retain(Value::is_string);
    }
    if members.values().any(Value::is_null) {
        return Err("it has a member that is null");
    }
    // The library knows fewer names of algorithms.
    let named = match members.remove("alg") {
        Some(Value::String(name)) => Some(name),
        Some(_) => return Err(WRONG_TYPE),
        None => None,
    };
    let Jwk { common, algorithm: parameters } = Jwk::deserialize(Value::Object(members)).map_err(|_| WRONG_TYPE)?;

    let key_id = common.key_id.filter(|id| !id.is_empty()).ok_or("it has no kid")?;
    if common.public_key_use.is_some_and(|purpose| purpose != PublicKeyUse::Signature) {
        return Err("its use isn't sig");
    }
    if common.key_operations.is_some_and(|operations| !operations.contains(&KeyOperations::Verify)) {
        return Err("its key_ops are without verify");
    }
    let key = match &parameters {
        AlgorithmParameters::RSA(parameters) => {
            let is_pss = named.as_deref().is_some_and(|name| SignatureAlgorithm::Ps256.is_named(name));
            let algorithm = if is_pss { SignatureAlgorithm::Ps256 } else { SignatureAlgorithm::Rs256 };
            rsa_key(algorithm, &parameters.n, &parameters.e)?
        }
        AlgorithmParameters::EllipticCurve(parameters) => ec_key(&parameters.curve, &parameters.x, &parameters.y)?,
        AlgorithmParameters::OctetKeyPair(parameters) if parameters.curve == EllipticCurve::Ed25519 => {
            ed25519_key(&parameters.x)?
        }
        _ => return Err(UNUSABLE_TYPE),
    };
    if named.is_some_and(|name| !key.is_for(&name)) {
        return Err("its alg isn't the one used with its kty");
    }
    Ok((key_id, key))
}

fn rsa_key(algorithm: SignatureAlgorithm, modulus: &str, exponent: &str) -> Result<PublicKey, &'static str> {
    let (modulus, exponent) = (decode(modulus)?, decode(exponent)?);
    let modulus = without_leading_zeros(&modulus);
    let exponent = without_leading_zeros(&exponent);
    let leading_zeros = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = modulus.len() * 8 - leading_zeros;
    if !(MIN_RSA_MODULUS_BITS..=MAX_RSA_MODULUS_BITS).contains(&bits) {
        return Err("its modulus is too short or too long");
    }
    // With the exponent 1, a signature equals its message; an even exponent has no inverse.
    if exponent == [1] || exponent.last().is_none_or(|byte| byte % 2 == 0) {
        return Err("its exponent is invalid");
    }
    Ok(PublicKey::new(algorithm, DecodingKey::from_rsa_raw_components(modulus, exponent)))
}

fn ec_key(curve: &EllipticCurve, x: &str, y: &str) -> Result<PublicKey, &'static str> {
    let (algorithm, length) = match curve {
        EllipticCurve::P256 => (SignatureAlgorithm::Es256, P256_COORDINATE_LENGTH_BYTES),
        EllipticCurve::P384 => (SignatureAlgorithm::Es384, P384_COORDINATE_LENGTH_BYTES),
        _ => return Err(UNUSABLE_TYPE),
    };
    for coordinate in [x, y] {
        if decode(coordinate)?.len() != length {
            return Err("its coordinates don't have the length of its curve");
        }
    }
    // The cryptography library checks that the point is on the curve when the key is used.
    let key = DecodingKey::from_ec_components(x, y).map_err(|_| "its coordinates aren't base64url")?;
    Ok(PublicKey::new(algorithm, key))
}

fn ed25519_key(x: &str) -> Result<PublicKey, &'static str> {
    if decode(x)?.len() != ED25519_KEY_LENGTH_BYTES {
        return Err("its x isn't 32 bytes long");
    }
    let key = DecodingKey::from_ed_components(x).map_err(|_| "its x isn't base64url")?;
    Ok(PublicKey::new(SignatureAlgorithm::Ed25519, key))
}

fn decode(number: &str) -> Result<Vec<u8>, &'static str> {
    URL_SAFE_NO_PAD.decode(number).map_err(|_| "its numbers aren't base64url without padding")
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    &number[start..]
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use serde_json::json;

    use super::{
        SignatureAlgorithm::{Ed25519, Es256, Es384, Ps256, Rs256},
        *,
    };

    fn modulus(bits: usize) -> String {
        let mut bytes = vec![0xff; bits.div_ceil(8)];
        if !bits.is_multiple_of(8) {
            bytes[0] = (1 << (bits % 8)) - 1;
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn ec() -> Value {
        let coordinate = URL_SAFE_NO_PAD.encode([7; 32]);
        json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": coordinate, "y": coordinate})
    }

    fn p384() -> Value {
        let coordinate = URL_SAFE_NO_PAD.encode([7; 48]);
        json!({"kty": "EC", "crv": "P-384", "kid": "k", "x": coordinate, "y": coordinate})
    }

    fn ed25519() -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": modulus(256)})
    }

    fn rsa(bits: usize) -> Value {
        json!({"kty": "RSA", "kid": "k", "n": modulus(bits), "e": "AQAB"})
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    fn usable(key: &Value) -> Option<SignatureAlgorithm> {
        let document = json!({ "keys": [key] }).to_string();
        KeySet::parse(document.as_bytes()).unwrap().get("k").map(|key| key.algorithm)
    }

    #[test]
    fn the_algorithm_comes_from_the_key() {
        assert_eq!(usable(&ec()), Some(Es256));
        assert_eq!(usable(&with(ec(), "alg", json!("ES256"))), Some(Es256));
        assert_eq!(usable(&rsa(2048)), Some(Rs256));
        assert_eq!(usable(&with(rsa(4096), "alg", json!("RS256"))), Some(Rs256));
        assert_eq!(usable(&with(with(ec(), "use", json!("sig")), "key_ops", json!(["verify"]))), Some(Es256));
        assert_eq!(usable(&with(rsa(2048), "alg", json!("PS256"))), Some(Ps256));
        assert_eq!(usable(&p384()), Some(Es384));
        assert_eq!(usable(&with(p384(), "alg", json!("ES384"))), Some(Es384));
        assert_eq!(usable(&ed25519()), Some(Ed25519));
        assert_eq!(usable(&with(ed25519(), "alg", json!("EdDSA"))), Some(Ed25519));
        assert_eq!(usable(&with(ed25519(), "alg", json!("Ed25519"))), Some(Ed25519));
    }

    #[test]
    fn a_remembered_signature_is_valid_for_its_message_only() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let public = URL_SAFE_NO_PAD.encode(pair.public_key());
        let document = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": public}]}).to_string();
        let key = KeySet::parse(document.as_bytes()).unwrap().get("k").unwrap();
        let sign = |message: &str| URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes()));
        let remembered = || key.checked().0.len();
        let (first, second) = (sign("a.b"), sign("a.c"));
        for _ in 0..2 {
            assert!(key.has_signed("a.b", &first));
            assert!(!key.has_signed("a.b", &second) && !key.has_signed("a.c", &first) && !key.has_signed("a", &first));
            assert_eq!(remembered(), 1);
        }
        for number in 0..MAX_CHECKED_SIGNATURES {
            let message = format!("b.{number}");
            assert!(key.has_signed(&message, &sign(&message)));
        }
        assert_eq!(remembered(), MAX_CHECKED_SIGNATURES);
        assert!(key.has_signed("a.b", &first));
    }

    #[test]
    fn members_that_are_not_read_do_not_matter() {
        let nulls = |key: Value, names: &[&str]| names.iter().fold(key, |key, name| with(key, name, Value::Null));
        assert_eq!(usable(&nulls(rsa(2048), &["crv", "x", "y", "x5c"])), Some(Rs256));
        assert_eq!(usable(&nulls(ec(), &["e", "n", "x5t"])), Some(Es256));
        assert_eq!(usable(&with(ec(), "key_ops", json!([1, null, "verify", "vendor"]))), Some(Es256));
    }

    #[test]
    fn keys_for_anything_else_are_left_out() {
        for (case, key) in [
            ("coordinates of another curve", with(ec(), "crv", json!("P-384"))),
            ("P-384 coordinates on P-256", with(p384(), "crv", json!("P-256"))),
            ("P-521", with(ec(), "crv", json!("P-521"))),
            ("secp256k1", with(ec(), "crv", json!("secp256k1"))),
            ("Ed25519 as EC", with(ec(), "crv", json!("Ed25519"))),
            ("P-256 as OKP", with(ed25519(), "crv", json!("P-256"))),
            ("Ed448", with(ed25519(), "crv", json!("Ed448"))),
            ("X25519", with(ed25519(), "crv", json!("X25519"))),
            ("Edwards key without a curve", with(ed25519(), "crv", json!(null))),
            ("short Edwards key", with(ed25519(), "x", json!(modulus(248)))),
            ("private Edwards key", with(ed25519(), "d", json!(modulus(256)))),
            ("Ed448 with its name", with(with(ed25519(), "crv", json!("Ed448")), "alg", json!("Ed448"))),
            ("Ed25519 key for Ed448", with(ed25519(), "alg", json!("Ed448"))),
            ("Ed25519 key for a name in small letters", with(ed25519(), "alg", json!("ed25519"))),
            ("P-256 key for Ed25519", with(ec(), "alg", json!("Ed25519"))),
            ("P-256 key for ESP256, a name of COSE", with(ec(), "alg", json!("ESP256"))),
            ("Edwards key for ES256", with(ed25519(), "alg", json!("ES256"))),
            ("P-384 key for ES256", with(p384(), "alg", json!("ES256"))),
            ("P-256 key for ES384", with(ec(), "alg", json!("ES384"))),
            ("EC key for PS256", with(ec(), "alg", json!("PS256"))),
            ("a curve that RSA hasn't", with(ec(), "kty", json!("RSA"))),
            ("no type", with(ec(), "kty", json!(null))),
            ("symmetric", json!({"kty": "oct", "kid": "k", "k": "c2VjcmV0", "alg": "HS256"})),
            ("EC key for RS256", with(ec(), "alg", json!("RS256"))),
            ("RSA key for ES256", with(rsa(2048), "alg", json!("ES256"))),
            ("RSA key for RS384", with(rsa(2048), "alg", json!("RS384"))),
            ("RSA key for PS384", with(rsa(2048), "alg", json!("PS384"))),
            ("RSA key for OAEP", with(rsa(2048), "alg", json!("RSA-OAEP-256"))),
            ("RSA key for HS256", with(rsa(2048), "alg", json!("HS256"))),
            ("RSA key for Ed25519", with(rsa(2048), "alg", json!("Ed25519"))),
            ("alg not a text", with(rsa(2048), "alg", json!(["RS256"]))),
            ("alg null", with(rsa(2048), "alg", json!(null))),
            ("use enc", with(rsa(2048), "use", json!("enc"))),
            ("use not a text", with(rsa(2048), "use", json!(["sig"]))),
            ("key_ops sign", with(ec(), "key_ops", json!(["sign"]))),
            ("key_ops empty", with(ec(), "key_ops", json!([]))),
            ("key_ops a text", with(ec(), "key_ops", json!("verify"))),
            ("no kid", with(ec(), "kid", json!(null))),
            ("empty kid", with(ec(), "kid", json!(""))),
            ("kid a number", with(ec(), "kid", json!(1))),
            ("private", with(ec(), "d", json!(modulus(256)))),
            ("short coordinate", with(ec(), "x", json!(modulus(248)))),
            ("padded base64", with(ec(), "x", json!(modulus(256) + "="))),
            ("1024 bits", rsa(1024)),
            ("2047 bits", rsa(2047)),
            ("more than 8192 bits", rsa(8200)),
            ("1024 bits behind zeros", {
                let padded = [vec![0; 256], vec![0xff; 128]].concat();
                with(rsa(2048), "n", json!(URL_SAFE_NO_PAD.encode(padded)))
            }),
            ("exponent 1", with(rsa(2048), "e", json!("AQ"))),
            ("exponent 1 behind a zero", with(rsa(2048), "e", json!("AAE"))),
            ("exponent even", with(rsa(2048), "e", json!("Ag"))),
            ("exponent empty", with(rsa(2048), "e", json!(""))),
        ] {
            assert_eq!(usable(&key), None, "{case}");
        }
    }

    #[test]
    fn an_unusable_key_doesnt_spoil_the_others() {
        let document = json!({"keys": [{"kty": 1}, {"kty": "oct", "kid": "s", "k": "AA"}, ec()]}).to_string();
        assert!(KeySet::parse(document.as_bytes()).unwrap().get("k").is_some());
    }

    #[test]
    fn keys_that_share_a_kid_are_all_left_out() {
        for copies in 2..=3 {
            let mut keys = vec![rsa(2048); copies];
            keys.push(with(ec(), "kid", json!("other")));
            let set = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
            assert!(set.get("k").is_none() && set.get("other").is_some());
        }
        // The same key published for two algorithms is no ambiguity if one of them isn't used here.
        let published_for = |algorithm: &str| {
            let document = json!({"keys": [rsa(2048), with(rsa(2048), "alg", json!(algorithm))]}).to_string();
            KeySet::parse(document.as_bytes()).unwrap().get("k").is_some()
        };
        assert!(published_for("RS384"));
        assert!(!published_for("PS256"), "a token would choose between RS256 and PS256");
    }

    #[test]
    fn a_document_that_is_no_key_set_is_an_error() {
        for bad in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[1]}"#, r#"{"keys":[]} x"#] {
            assert!(matches!(KeySet::parse(bad.as_bytes()), Err(KeySetError::Malformed(_))), "{bad}");
        }
        let keys = |count| json!({ "keys": vec![ec(); count] }).to_string();
        assert!(KeySet::parse(keys(MAX_KEYS).as_bytes()).is_ok());
        assert!(matches!(KeySet::parse(keys(MAX_KEYS + 1).as_bytes()), Err(KeySetError::TooManyKeys(33))));
    }
}

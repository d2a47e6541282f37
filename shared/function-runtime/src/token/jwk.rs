//! A JSON Web Key Set, reduced to the keys that may verify a token.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The most keys of a set, usable or not. A larger set is refused as a whole.
pub const MAX_KEYS: usize = 32;

/// The smallest RSA modulus, in bits (RFC 7518 section 3.3).
pub const MIN_RSA_MODULUS_BITS: usize = 2048;

/// The largest RSA modulus that the cryptography library takes, in bits.
const MAX_RSA_MODULUS_BITS: usize = 8192;

/// The length of a coordinate on P-256, in bytes (RFC 7518 section 6.2.1.2).
const P256_COORDINATE_LENGTH_BYTES: usize = 32;

/// A document that is no key set.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    #[error("not a JSON Web Key Set")]
    Malformed(#[source] serde_json::Error),
    #[error("{0} keys, more than {MAX_KEYS}")]
    TooManyKeys(usize),
}

/// The keys that may verify a token, by key ID.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: BTreeMap<String, Arc<VerificationKey>>,
}

/// A public key and the one algorithm that it is for.
pub(super) struct VerificationKey {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("VerificationKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl VerificationKey {
    /// The algorithm's name as a token's header spells it.
    pub(super) fn algorithm_name(&self) -> &'static str {
        if self.algorithm == Algorithm::ES256 { "ES256" } else { "RS256" }
    }

    /// Whether `signature` (base64url) is this key's over `message`.
    pub(super) fn verifies(&self, message: &str, signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.key, self.algorithm).unwrap_or(false)
    }
}

impl KeySet {
    /// Takes the usable keys from a JSON Web Key Set. A key that isn't usable is left out, as RFC 7517 section 5 asks for,
    /// with a line in the log.
    ///
    /// Usable is a key with a `kid` of its own, for RS256 (`kty` RSA, [`MIN_RSA_MODULUS_BITS`] and more) or ES256 (`kty`
    /// EC, `crv` P-256), with `alg` absent or that algorithm, `use` absent or `sig`, `key_ops` absent or with `verify`,
    /// and without its private part: what has been published can sign for anyone.
    ///
    /// # Errors
    /// If the document is no key set or has more than [`MAX_KEYS`] keys.
    pub fn parse(document: &[u8]) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Map<String, Value>>,
        }

        let Document { keys: members } = serde_json::from_slice(document).map_err(KeySetError::Malformed)?;
        if members.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys(members.len()));
        }
        let mut keys = BTreeMap::new();
        let mut ambiguous = Vec::new();
        for (position, member) in members.iter().enumerate() {
            match usable_key(member) {
                Ok((id, key)) => {
                    if keys.insert(id.clone(), Arc::new(key)).is_some() {
                        ambiguous.push(id);
                    }
                }
                Err(reason) => tracing::info!(position, reason, "a published key isn't used"),
            }
        }
        for id in ambiguous {
            // Which of them signed is a guess that an attacker may want us to make.
            tracing::warn!(reason = "several keys have the same kid", "published keys aren't used");
            keys.remove(&id);
        }
        Ok(Self { keys })
    }

    /// Whether no key is usable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn get(&self, key_id: &str) -> Option<Arc<VerificationKey>> {
        self.keys.get(key_id).cloned()
    }
}

/// The key's ID and the key, or why it isn't used.
fn usable_key(member: &Map<String, Value>) -> Result<(String, VerificationKey), &'static str> {
    let text = |name: &str| member.get(name).and_then(Value::as_str);

    let key_id = text("kid").filter(|id| !id.is_empty()).ok_or("it has no kid")?;
    if member.contains_key("d") {
        return Err("its private part is published");
    }
    if member.get("use").is_some_and(|purpose| purpose != "sig") {
        return Err("its use isn't sig");
    }
    if let Some(operations) = member.get("key_ops") {
        let verifies = operations.as_array().is_some_and(|operations| operations.iter().any(|each| each == "verify"));
        if !verifies {
            return Err("its key_ops are without verify");
        }
    }

    let bytes = |name: &str| text(name).and_then(|value| URL_SAFE_NO_PAD.decode(value).ok());
    let key = match text("kty") {
        Some("RSA") => rsa_key(&bytes("n").ok_or("it has no n")?, &bytes("e").ok_or("it has no e")?)?,
        Some("EC") if text("crv") == Some("P-256") => {
            p256_key(&bytes("x").ok_or("it has no x")?, &bytes("y").ok_or("it has no y")?)?
        }
        _ => return Err("its kty and crv are neither RSA nor EC with P-256"),
    };
    if member.get("alg").is_some_and(|algorithm| algorithm != key.algorithm_name()) {
        return Err("its alg isn't the one we use with its kty");
    }
    Ok((key_id.to_owned(), key))
}

fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Result<VerificationKey, &'static str> {
    let modulus = without_leading_zeros(modulus);
    let exponent = without_leading_zeros(exponent);
    let leading_zeros = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = modulus.len() * 8 - leading_zeros;
    if !(MIN_RSA_MODULUS_BITS..=MAX_RSA_MODULUS_BITS).contains(&bits) {
        return Err("its modulus is too short or too long");
    }
    // With 1 a signature is its own message; an even exponent has no inverse.
    if exponent == [1] || exponent.last().is_none_or(|byte| byte % 2 == 0) {
        return Err("its exponent isn't one of RSA");
    }
    let key = DecodingKey::from_rsa_raw_components(modulus, exponent);
    Ok(VerificationKey { algorithm: Algorithm::RS256, key })
}

fn p256_key(x: &[u8], y: &[u8]) -> Result<VerificationKey, &'static str> {
    if x.len() != P256_COORDINATE_LENGTH_BYTES || y.len() != P256_COORDINATE_LENGTH_BYTES {
        return Err("its coordinates aren't 32 bytes long");
    }
    // An uncompressed point (SEC 1 section 2.3.3); whether it is on the curve is checked as it is used.
    let point = [&[0x04], x, y].concat();
    Ok(VerificationKey { algorithm: Algorithm::ES256, key: DecodingKey::from_ec_der(&point) })
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    &number[start..]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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

    fn rsa(bits: usize) -> Value {
        json!({"kty": "RSA", "kid": "k", "n": modulus(bits), "e": "AQAB"})
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    fn usable(key: &Value) -> Option<&'static str> {
        let document = json!({ "keys": [key] }).to_string();
        KeySet::parse(document.as_bytes()).unwrap().get("k").map(|key| key.algorithm_name())
    }

    #[test]
    fn the_algorithm_comes_from_the_key() {
        assert_eq!(usable(&ec()), Some("ES256"));
        assert_eq!(usable(&with(ec(), "alg", json!("ES256"))), Some("ES256"));
        assert_eq!(usable(&rsa(2048)), Some("RS256"));
        assert_eq!(usable(&with(rsa(4096), "alg", json!("RS256"))), Some("RS256"));
        assert_eq!(usable(&with(with(ec(), "use", json!("sig")), "key_ops", json!(["verify"]))), Some("ES256"));
    }

    #[test]
    fn keys_for_anything_else_are_left_out() {
        for (case, key) in [
            ("another curve", with(ec(), "crv", json!("P-384"))),
            ("a curve that RSA hasn't", with(ec(), "kty", json!("RSA"))),
            ("no type", with(ec(), "kty", json!(null))),
            ("symmetric", json!({"kty": "oct", "kid": "k", "k": "c2VjcmV0", "alg": "HS256"})),
            ("Edwards curve", json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": modulus(256)})),
            ("EC key for RS256", with(ec(), "alg", json!("RS256"))),
            ("RSA key for ES256", with(rsa(2048), "alg", json!("ES256"))),
            ("RSA key for PS256", with(rsa(2048), "alg", json!("PS256"))),
            ("RSA key for HS256", with(rsa(2048), "alg", json!("HS256"))),
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
        // The same key published for two algorithms is no ambiguity: one of them isn't ours.
        let document = json!({"keys": [rsa(2048), with(rsa(2048), "alg", json!("PS256"))]}).to_string();
        assert!(KeySet::parse(document.as_bytes()).unwrap().get("k").is_some());
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

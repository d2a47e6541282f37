//! The files of a development key pair: the private key as PKCS#8 in PEM, the public key as a JSON Web Key Set.

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use pem::{EncodeConfig, LineEnding, Pem};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::failure::Failure;

const PRIVATE_KEY_FILE: &str = "private-key.pem";
const KEY_SET_FILE: &str = "jwks.json";
/// Only its owner may read a private key.
const PRIVATE_KEY_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
/// The type of PKCS#8 in PEM (RFC 7468, 10).
const PEM_TAG: &str = "PRIVATE KEY";
/// An uncompressed P-256 point: 0x04, then x and y with 32 bytes each (SEC 1, 2.3.3).
const POINT_LENGTH: usize = 65;

#[derive(Debug, Serialize, Deserialize)]
struct JsonWebKeySet {
    keys: Vec<JsonWebKey>,
}

/// RFC 7517 and RFC 7518, 6.2.1.
#[derive(Debug, Serialize, Deserialize)]
struct JsonWebKey {
    kty: String,
    crv: String,
    x: String,
    y: String,
    kid: String,
    r#use: String,
    alg: String,
}

/// The files of a new key pair.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WrittenKeyPair {
    pub(super) private_key: PathBuf,
    pub(super) key_set: PathBuf,
    pub(super) key_id: String,
}

/// A private key, with the ID of its public key in the key set.
pub(super) struct SigningKey {
    pub(super) key: EncodingKey,
    pub(super) key_id: String,
}

/// Creates an ES256 key pair and writes both files. Existing files are only replaced with `replace`.
pub(super) fn generate(directory: &Path, replace: bool) -> Result<WrittenKeyPair, Failure> {
    let private_key = directory.join(PRIVATE_KEY_FILE);
    let key_set = directory.join(KEY_SET_FILE);
    if !replace && let Some(existing) = [&private_key, &key_set].into_iter().find(|path| path.exists()) {
        return Err(Failure::WouldOverwrite(existing.clone()));
    }

    let key_pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
        .map_err(|error| Failure::Cryptography(error.to_string()))?;
    let document = key_pair.to_pkcs8v1().map_err(|error| Failure::Cryptography(error.to_string()))?;
    let public_key = public_key(key_pair.public_key().as_ref())?;
    let key_id = public_key.kid.clone();
    let key_set_json = serde_json::to_string_pretty(&JsonWebKeySet { keys: vec![public_key] })
        .map_err(|error| Failure::InvalidFile { path: key_set.clone(), reason: error.to_string() })?;

    fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory).map_err(Failure::file(directory))?;
    let line_ending = EncodeConfig::new().set_line_ending(LineEnding::LF);
    let pem = pem::encode_config(&Pem::new(PEM_TAG, document.as_ref()), line_ending);
    write_file(&private_key, &pem, PRIVATE_KEY_MODE)?;
    write_file(&key_set, &(key_set_json + "\n"), 0o644)?;
    Ok(WrittenKeyPair { private_key, key_set, key_id })
}

/// Reads the private key that [`generate`] wrote.
pub(super) fn load(directory: &Path) -> Result<SigningKey, Failure> {
    let path = directory.join(PRIVATE_KEY_FILE);
    let text = fs::read(&path).map_err(Failure::file(&path))?;
    let invalid = |reason: &str| Failure::InvalidFile { path: path.clone(), reason: reason.to_owned() };
    let pem = pem::parse(&text).ok().filter(|pem| pem.tag() == PEM_TAG);
    let pem = pem.ok_or_else(|| invalid("not a private key in PEM; `dev-tools token keygen` creates one"))?;
    let key_pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pem.contents())
        .map_err(|_| invalid("not a P-256 key in PKCS#8"))?;
    let key_id = public_key(key_pair.public_key().as_ref())?.kid;
    Ok(SigningKey { key: EncodingKey::from_ec_der(pem.contents()), key_id })
}

/// Converts `point` to a JSON Web Key. Its ID is the thumbprint (RFC 7638), so that the same key always has the same ID.
fn public_key(point: &[u8]) -> Result<JsonWebKey, Failure> {
    let coordinates = match point {
        [0x04, coordinates @ ..] if point.len() == POINT_LENGTH => coordinates,
        _ => return Err(Failure::Cryptography("the public key is not an uncompressed P-256 point".to_owned())),
    };
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    let (x, y) = (BASE64_URL_SAFE_NO_PAD.encode(x), BASE64_URL_SAFE_NO_PAD.encode(y));
    let thumbprint_input = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    Ok(JsonWebKey {
        kty: "EC".to_owned(),
        crv: "P-256".to_owned(),
        kid: BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(thumbprint_input)),
        x,
        y,
        r#use: "sig".to_owned(),
        alg: "ES256".to_owned(),
    })
}

/// Replaces `path` as a whole: a reader sees the old file or the new one, and the new one never with wider permissions.
fn write_file(path: &Path, content: &str, mode: u32) -> Result<(), Failure> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let permissions = fs::Permissions::from_mode(mode);
    let mut file =
        tempfile::Builder::new().permissions(permissions).tempfile_in(directory).map_err(Failure::file(path))?;
    file.write_all(content.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(Failure::file(path))?;
    file.persist(path).map_err(|error| Failure::file(path)(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_private_key_is_its_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let written = generate(directory.path(), false).unwrap();
        assert_eq!(fs::metadata(&written.private_key).unwrap().permissions().mode() & 0o777, PRIVATE_KEY_MODE);
        let key_set = fs::read_to_string(&written.key_set).unwrap();
        assert!(!key_set.contains("\"d\""), "a private number in the public file");
    }

    #[test]
    fn a_key_pair_is_replaced_only_on_request() {
        let directory = tempfile::tempdir().unwrap();
        let first = generate(directory.path(), false).unwrap();
        assert!(matches!(generate(directory.path(), false), Err(Failure::WouldOverwrite(_))));
        assert_eq!(load(directory.path()).unwrap().key_id, first.key_id);
        let second = generate(directory.path(), true).unwrap();
        assert_ne!(first.key_id, second.key_id);
        assert_eq!(load(directory.path()).unwrap().key_id, second.key_id);
    }

    #[test]
    fn files_without_a_key_are_named() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(load(directory.path()), Err(Failure::File { .. })));
        let written = generate(directory.path(), false).unwrap();
        for content in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            fs::write(&written.private_key, content).unwrap();
            assert!(matches!(load(directory.path()), Err(Failure::InvalidFile { .. })), "{content:?}");
        }
    }
}

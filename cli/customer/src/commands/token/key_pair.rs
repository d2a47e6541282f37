//! The files of a development key pair: the private key as PKCS#8 in PEM, the public one as a JSON Web Key Set.

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use jsonwebtoken::EncodingKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::failure::Failure;

const PRIVATE_KEY_FILE: &str = "private-key.pem";
const KEY_SET_FILE: &str = "jwks.json";
/// Only its owner may read a private key.
const PRIVATE_KEY_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
const PEM_LINE_LENGTH: usize = 64;
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

/// What was written where.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WrittenKeyPair {
    pub(super) private_key: PathBuf,
    pub(super) key_set: PathBuf,
    pub(super) key_id: String,
}

/// A private key that can sign, with the ID its public half has in the key set.
pub(super) struct SigningKey {
    pub(super) key: EncodingKey,
    pub(super) key_id: String,
}

/// Makes an ES256 key pair and writes both files. Without `replace`, existing ones stay as they are.
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
    write_file(&private_key, &to_pem(document.as_ref()), PRIVATE_KEY_MODE)?;
    write_file(&key_set, &(key_set_json + "\n"), 0o644)?;
    Ok(WrittenKeyPair { private_key, key_set, key_id })
}

/// Reads the private key that [`generate`] wrote.
pub(super) fn load(directory: &Path) -> Result<SigningKey, Failure> {
    let path = directory.join(PRIVATE_KEY_FILE);
    let pem = Zeroizing::new(fs::read_to_string(&path).map_err(Failure::file(&path))?);
    let invalid = |reason: &str| Failure::InvalidFile { path: path.clone(), reason: reason.to_owned() };
    let document =
        from_pem(&pem).ok_or_else(|| invalid("not a private key in PEM; `audit-export token keygen` makes one"))?;
    let key_pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &document)
        .map_err(|_| invalid("not a P-256 key in PKCS#8"))?;
    let key_id = public_key(key_pair.public_key().as_ref())?.kid;
    Ok(SigningKey { key: EncodingKey::from_ec_der(&document), key_id })
}

/// `point` as a JSON Web Key whose ID is its thumbprint (RFC 7638): the same key always has the same ID.
fn public_key(point: &[u8]) -> Result<JsonWebKey, Failure> {
    let coordinates = match point {
        [0x04, coordinates @ ..] if point.len() == POINT_LENGTH => coordinates,
        _ => return Err(Failure::Cryptography("the public key is no uncompressed P-256 point".to_owned())),
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

fn to_pem(document: &[u8]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(document));
    let mut pem = Zeroizing::new(String::with_capacity(encoded.len() + encoded.len() / PEM_LINE_LENGTH + 64));
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    for (index, character) in encoded.chars().enumerate() {
        if index > 0 && index % PEM_LINE_LENGTH == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str("\n-----END PRIVATE KEY-----\n");
    pem
}

fn from_pem(pem: &str) -> Option<Zeroizing<Vec<u8>>> {
    let body = pem.trim().strip_prefix("-----BEGIN PRIVATE KEY-----")?.strip_suffix("-----END PRIVATE KEY-----")?;
    let encoded = Zeroizing::new(body.split_whitespace().collect::<String>());
    BASE64_STANDARD.decode(encoded.as_bytes()).ok().map(Zeroizing::new)
}

/// Writes beside `path` and renames: a reader sees the old file or the new one, and the new one never with wider rights.
fn write_file(path: &Path, content: &str, mode: u32) -> Result<(), Failure> {
    let unfinished = path.with_extension("unfinished");
    // Left behind by a run that was killed; its mode could be anyone's.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Failure::file(&unfinished)(error)),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&unfinished)
        .map_err(Failure::file(&unfinished))?;
    file.write_all(content.as_bytes()).and_then(|()| file.sync_all()).map_err(Failure::file(&unfinished))?;
    fs::rename(&unfinished, path).map_err(Failure::file(path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::profile::tests::TemporaryDirectory;

    #[test]
    fn the_private_key_is_its_owners_alone() {
        let directory = TemporaryDirectory::new();
        let written = generate(&directory.0, false).unwrap();
        assert_eq!(fs::metadata(&written.private_key).unwrap().permissions().mode() & 0o777, PRIVATE_KEY_MODE);
        let key_set = fs::read_to_string(&written.key_set).unwrap();
        assert!(!key_set.contains("\"d\""), "a private number in the public file");
    }

    #[test]
    fn a_key_pair_is_replaced_only_when_told_so() {
        let directory = TemporaryDirectory::new();
        let first = generate(&directory.0, false).unwrap();
        assert!(matches!(generate(&directory.0, false), Err(Failure::WouldOverwrite(_))));
        assert_eq!(load(&directory.0).unwrap().key_id, first.key_id);
        let second = generate(&directory.0, true).unwrap();
        assert_ne!(first.key_id, second.key_id);
        assert_eq!(load(&directory.0).unwrap().key_id, second.key_id);
    }

    #[test]
    fn what_is_no_key_is_named() {
        let directory = TemporaryDirectory::new();
        assert!(matches!(load(&directory.0), Err(Failure::File { .. })));
        let written = generate(&directory.0, false).unwrap();
        for content in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            fs::write(&written.private_key, content).unwrap();
            assert!(matches!(load(&directory.0), Err(Failure::InvalidFile { .. })), "{content:?}");
        }
    }
}

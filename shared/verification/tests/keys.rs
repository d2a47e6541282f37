//! The public keys that are accepted, and signatures that other programs check.

mod support;

use std::process::Command;

use support::{Export, Signer};
use verification::{InvalidPublicKey, MAX_PUBLIC_KEYS, PublicKeys};

#[test]
fn keys_are_known_by_the_hash_of_their_der() {
    let (one, other) = (Signer::generate(), Signer::generate());
    let mut keys = PublicKeys::default();
    keys.add_pem(&(one.public_key_pem() + "\n" + &other.public_key_pem())).unwrap();
    keys.add_der(&one.public_key_der()).unwrap();
    assert_eq!(keys.fingerprints().collect::<Vec<_>>(), [one.fingerprint(), other.fingerprint()]);
}

#[test]
fn other_kinds_of_public_keys_are_refused() {
    let der = Signer::generate().public_key_der();
    let pem = |label: &str, der: &[u8]| pem::encode(&pem::Pem::new(label, der));
    let changed = |index: usize, by: u8| {
        let mut der = der.clone();
        der[index] ^= by;
        der
    };
    let mut keys = PublicKeys::default();
    for (text, expected) in [
        (String::new(), InvalidPublicKey::NotPem),
        ("a key".to_owned(), InvalidPublicKey::NotPem),
        (pem("EC PRIVATE KEY", &der), InvalidPublicKey::OtherContent),
        (pem("CERTIFICATE", &der), InvalidPublicKey::OtherContent),
        (pem("PUBLIC KEY", &der[..90]), InvalidPublicKey::OtherKind),
        (pem("PUBLIC KEY", &[der.as_slice(), &[0]].concat()), InvalidPublicKey::OtherKind),
        // Another curve; no uncompressed point; a point that is not on the curve.
        (pem("PUBLIC KEY", &changed(22, 1)), InvalidPublicKey::OtherKind),
        (pem("PUBLIC KEY", &changed(26, 6)), InvalidPublicKey::OtherKind),
        (pem("PUBLIC KEY", &changed(90, 1)), InvalidPublicKey::OtherKind),
        (pem("PUBLIC KEY", &der) + &pem("PRIVATE KEY", &der), InvalidPublicKey::OtherContent),
    ] {
        assert_eq!(keys.add_pem(&text), Err(expected), "{text}");
        assert!(keys.is_empty(), "{text}");
    }
    for _ in 0..MAX_PUBLIC_KEYS {
        keys.add_der(&Signer::generate().public_key_der()).unwrap();
    }
    assert_eq!(keys.add_der(&Signer::generate().public_key_der()), Err(InvalidPublicKey::TooMany));
}

/// Customers can verify with `openssl dgst` alone, which reads the same three files.
#[test]
fn openssl_agrees() {
    if Command::new("openssl").arg("version").output().is_err() {
        return;
    }
    let signer = Signer::generate();
    let export = Export::sample(&signer, true);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("key.pem", signer.public_key_pem().as_bytes());
    write("digest.json", &export.files[&export.digests[3]]);
    write("digest.json.sig", &export.files[&export.signature(3)]);
    write("other.json", &export.files[&export.digests[2]]);
    let run = |arguments: &[&str]| Command::new("openssl").args(arguments).current_dir(folder.path()).output().unwrap();
    let verify = ["dgst", "-sha256", "-verify", "key.pem", "-signature", "digest.json.sig"];
    let good = run(&[&verify[..], &["digest.json"]].concat());
    let bad = run(&[&verify[..], &["other.json"]].concat());
    let der = run(&["pkey", "-pubin", "-in", "key.pem", "-outform", "DER"]);
    assert!(good.status.success(), "{good:?}");
    assert!(!bad.status.success(), "{bad:?}");
    assert_eq!(support::sha256(&der.stdout), signer.fingerprint());
}

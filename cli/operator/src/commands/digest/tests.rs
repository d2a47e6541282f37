use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use clap::Parser;
use domain::{
    block::BlockId,
    configuration::{ConfigurationId, bucket::BucketName},
    digest::{DigestObject, DigestWindow, Gap},
    export_format::ExportFormat,
    tenant::TenantId,
    time::Timestamp,
};

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn digest(signing_key: Hex32) -> Digest {
    let first_block = BlockId::lowest_at(at("2026-11-22T00:00:00Z"));
    let gaps = vec![Gap::retention_ended(at("2026-11-22T00:00:00Z"), at("2026-11-22T00:30:00Z"))];
    Digest {
        version: Digest::version_for(&ExportFormat::NdjsonGzip.into(), &gaps),
        tenant_id: TenantId::parse("acme").unwrap(),
        configuration_id: ConfigurationId::parse("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b").unwrap(),
        sequence: 1_007,
        window: DigestWindow::new(first_block, BlockId::lowest_at(at("2026-11-22T02:00:00Z"))),
        format: None,
        schema_version: None,
        filter: None,
        filter_sha256: None,
        left_out: None,
        ocsf_version: None,
        classes: None,
        classes_sha256: None,
        objects: vec![DigestObject {
            bucket: BucketName::parse("acme-audit").unwrap(),
            key: "logs/a.ndjson.gz".to_owned(),
            sha256: Hex32([0xab; 32]),
            stored_length: 1_000_000,
            crc32: 2,
            raw_length: 9_000_000,
            events: 12_345,
            first_block,
            last_block: first_block.next(),
            oldest_event: at("2026-11-21T23:00:00Z"),
            newest_event: at("2026-11-21T23:30:00Z"),
            class: None,
            other: None,
        }],
        gaps,
        previous: None,
        signing_key,
    }
}

struct Signer {
    key: EcdsaKeyPair,
    der: Vec<u8>,
}

impl Signer {
    fn generate() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        Self { der: der.as_ref().to_vec(), key }
    }

    fn fingerprint(&self) -> Hex32 {
        Hex32::sha256_of(&self.der)
    }

    fn pem(&self) -> String {
        pem::encode(&pem::Pem::new("PUBLIC KEY", self.der.clone()))
    }
}

#[test]
fn a_digest_is_shown_within_80_columns() {
    let digest = digest(Hex32([1; 32]));
    let bytes = digest.to_bytes().unwrap();
    let text = show(&digest, &bytes, Signature::Valid, OutputFormat::Table, &Style::for_tests()).unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!("digest", text);
    let json = show(&digest, &bytes, Signature::Missing, OutputFormat::Json, &Style::for_tests()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&value["signature"], &value["digest"]["sequence"]), (&json!("MISSING"), &json!(1_007)));
}

#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    command: DigestCommand,
}

/// Runs the command on files; returns its exit code.
async fn exit_code(folder: &Path, keys: &[&str]) -> u8 {
    let digest = folder.join("digest.json").display().to_string();
    let keys = keys.iter().flat_map(|key| ["--public-key".to_owned(), folder.join(key).display().to_string()]);
    let line = ["digest".to_owned(), "show".to_owned(), digest].into_iter().chain(keys);
    run(&Line::try_parse_from(line).unwrap().command).await.map_or_else(|failure| failure.exit_code(), |()| 0)
}

#[tokio::test]
async fn a_signature_is_checked_with_the_given_keys() {
    let (signer, other) = (Signer::generate(), Signer::generate());
    let bytes = digest(signer.fingerprint()).to_bytes().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("digest.json"), &bytes).unwrap();
    std::fs::write(file("key.pem"), signer.pem()).unwrap();
    std::fs::write(file("other.pem"), other.pem()).unwrap();
    assert_eq!(exit_code(folder.path(), &[]).await, 0);
    assert_eq!(exit_code(folder.path(), &["key.pem"]).await, 6);

    let signature = signer.key.sign(&SystemRandom::new(), &bytes).unwrap();
    std::fs::write(file("digest.json.sig"), signature.as_ref()).unwrap();
    assert_eq!(exit_code(folder.path(), &["key.pem"]).await, 0);
    assert_eq!(exit_code(folder.path(), &["other.pem", "key.pem"]).await, 0);
    assert_eq!(exit_code(folder.path(), &["other.pem"]).await, 6);

    let forged = String::from_utf8(bytes).unwrap().replace("12345", "12346");
    std::fs::write(file("digest.json"), forged).unwrap();
    assert_eq!(exit_code(folder.path(), &["key.pem"]).await, 6);
    std::fs::write(file("digest.json"), "{}").unwrap();
    assert_eq!(exit_code(folder.path(), &["key.pem"]).await, 2);
    std::fs::remove_file(file("digest.json")).unwrap();
    assert_eq!(exit_code(folder.path(), &["key.pem"]).await, 8);
}

#[test]
fn a_place_is_a_file_or_an_object() {
    let object = Place::Object { bucket: "acme-audit".to_owned(), key: "logs/digest.json".to_owned() };
    assert_eq!("s3://acme-audit/logs/digest.json".parse(), Ok(object));
    assert_eq!("logs/digest.json".parse(), Ok(Place::File("logs/digest.json".into())));
    for bad in ["s3://", "s3://acme-audit", "s3://acme-audit/", "s3:///digest.json"] {
        assert!(bad.parse::<Place>().is_err(), "{bad}");
    }
}

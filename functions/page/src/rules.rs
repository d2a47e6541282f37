//! The page checks fields as they are typed, by rules that repeat those of the domain. This test writes what the domain says
//! about a few thousand values; a test of the page compares its rules with that.

use std::{collections::BTreeSet, path::Path};

use domain::{
    configuration::{
        access_key::{AccessKeyId, SecretAccessKey},
        arn::{AccountId, KmsKeyArn, RoleArn},
        bucket::{BucketName, BucketPath},
        description::Description,
        endpoint::EndpointUrl,
        field_error::ValueError,
        region::{Region, SigningRegion},
    },
    customer_server::CustomerServers,
    webhook::{secret::WebhookSecret, url::WebhookUrl},
};
use golden_documents::assert_current;
use serde_json::{Map, Value, json};

/// Returns the domain's sentence about a value that is not valid.
type Rule = fn(&str) -> Option<&'static str>;

fn refused<T>(parsed: Result<T, ValueError>) -> Option<&'static str> {
    parsed.err().map(|error| error.rule)
}

const RULES: [(&str, Rule, &[&str]); 14] = [
    (
        "bucketName",
        |text| refused(BucketName::parse(text)),
        &[
            "my-bucket.logs-1",
            "abc",
            "192.168.5.4",
            "192.168.05.4",
            "1.2.3",
            "arn:aws:s3:::b",
            "a-s3alias",
            "xn--a1",
            "a..b",
        ],
    ),
    (
        "bucketPath",
        |text| refused(BucketPath::parse(text)),
        &["audit/year=2026/a(1)", "a", "a//b", "/a", "a/", "../a", "a/./b", "a!_.'-b", "a*b"],
    ),
    (
        "region",
        |text| refused(Region::parse(text)),
        &["eu-west-1", "us-gov-east-1", "eusc-de-east-12", "aaaaa-b-1", "eu--1", "abcd-abcdefghijkl-abcdefghijkl-12"],
    ),
    ("signingRegion", |text| refused(SigningRegion::parse(text)), &["auto", "us-east-1", "a_b-C9", "a.b", "ä"]),
    (
        "roleArn",
        |text| refused(RoleArn::parse(text)),
        &[
            "arn:aws:iam::123456789012:role/audit-export",
            "arn:aws-us-gov:iam::123456789012:role/team/a+=,.@_b",
            "arn:aws-eusc:iam::123456789012:role/x",
            "arn:aws:iam::123456789012:role/a*/b",
            "arn:aws:sts::123456789012:role/a",
            "arn:aws-mars:iam::123456789012:role/a",
        ],
    ),
    (
        "kmsKeyArn",
        |text| refused(KmsKeyArn::parse(text)),
        &[
            "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:eu-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab",
            "arn:aws:kms:eu-west-1:123456789012:alias/logs",
        ],
    ),
    ("accountId", |text| refused(AccountId::parse(text)), &["123456789012", "12345678901a"]),
    (
        "accessKeyIdOfIam",
        |text| refused(AccessKeyId::parse_of_iam(text)),
        &["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EX"],
    ),
    (
        "secretAccessKeyOfIam",
        |text| refused(SecretAccessKey::parse_of_iam(text)),
        &["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI+K7MDENG=bPxRfiCYEXAMPLEKE"],
    ),
    (
        "webhookSecret",
        |text| refused(WebhookSecret::parse(text)),
        &[
            "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
            "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3OA==",
            "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3OB==",
            "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3OA",
            "whsec_short",
            "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
        ],
    ),
    // Of these the page checks the form only: which names are public is the service's knowledge.
    (
        "webhookUrl",
        |text| refused(WebhookUrl::parse_for(CustomerServers::Public, text)),
        &[
            "https://hooks.example.com/audit?x=1",
            "http://hooks.example.com",
            "HTTPS://Hooks.example.com",
            "https:a.example.com",
        ],
    ),
    (
        "endpointUrl",
        |text| refused(EndpointUrl::parse_for(CustomerServers::Public, text)),
        &[
            "https://minio.example.com:9000",
            "http://minio.example.com",
            "https://192.0.2.1",
            "HTTPS://S3.Example.com:443/",
        ],
    ),
    ("accessKeyId", |text| refused(AccessKeyId::parse(text)), &["minio", "a/b", "a,b", "a=b", "a b", "ä"]),
    (
        "secretAccessKey",
        |text| refused(SecretAccessKey::parse(text)),
        &["12345678", "1234567", "ab cdefgh", "ääääääää"],
    ),
];

/// Texts of the length at which rules change.
fn long(text: &str) -> Vec<String> {
    [32, 33, 63, 64, 65, 128, 129, 256, 257, 512, 513].map(|length| text.chars().cycle().take(length).collect()).into()
}

/// Returns a value and others that differ from it in one character.
fn near(seed: &str) -> Vec<String> {
    const PLACES: usize = 12;
    let others = ['A', 'a', '0', '-', '.', '/', ':', '_', ' ', '*', '"', '\\', 'é', '\u{7f}', '=', ','];
    let characters: Vec<char> = seed.chars().collect();
    let step = characters.len().div_ceil(PLACES).max(1);
    let mut values =
        vec![seed.to_owned(), format!(" {seed}"), format!("{seed}\n"), format!("{seed}-"), format!("-{seed}")];
    for (turn, place) in (0..characters.len()).step_by(step).enumerate() {
        let (before, after) = characters.split_at(place);
        let text = |middle: &[char], after: &[char]| before.iter().chain(middle).chain(after).collect::<String>();
        let other = others[(turn * 7 + characters.len()) % others.len()];
        values.extend([text(&[], &after[1..]), text(&[other], &after[1..]), text(&[other], after)]);
    }
    values
}

fn said(rule: Rule, values: impl IntoIterator<Item = String>) -> Value {
    let values: BTreeSet<String> = values.into_iter().collect();
    let mut valid = Vec::new();
    let mut refused: Map<String, Value> = Map::new();
    for value in values {
        match rule(&value) {
            None => valid.push(value),
            Some(sentence) => {
                let list = refused.entry(sentence).or_insert_with(|| json!([]));
                list.as_array_mut().unwrap().push(Value::from(value));
            }
        }
    }
    json!({ "valid": valid, "refused": refused })
}

#[test]
fn the_page_is_tested_with_what_the_domain_says() {
    let mut all = Map::new();
    for (name, rule, seeds) in RULES {
        let values = seeds.iter().flat_map(|seed| near(seed)).chain(long(seeds[0]));
        all.insert(name.to_owned(), said(rule, values.chain([String::new()])));
    }
    let descriptions = ["ä", "a", "\u{1f600}"].iter().flat_map(|text| long(text)).chain(near("Für die\u{85}Revision"));
    all.insert("description".to_owned(), said(|text| refused(Description::parse(text)), descriptions));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/test/rules.json");
    let text = serde_json::to_string_pretty(&all).unwrap() + "\n";
    assert_current(&path, &text, "cargo test --workspace --locked --bins the_page_is_tested");
}

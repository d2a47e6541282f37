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
    event_filter::{EventFilter, RawFilter, RawLists},
    ocsf::{Class, OwnRules, RawRule},
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
    // The page does not know whether it is one of a stack for development, whose rules are the wider ones.
    (
        "webhookUrl",
        |text| refused(WebhookUrl::parse_for(CustomerServers::PublicAndLocal, text)),
        &[
            "https://hooks.example.com/audit?x=1",
            "http://hooks.example.com",
            "HTTPS://Hooks.example.com",
            "https:a.example.com",
            "https://hooks.example.com:8443/#part",
            "https://user:password@hooks.example.com",
            "https://hooks.example.internal",
            "https://192.0.2.1/",
            "https://[2001:db8::1]/",
            "https://localhost:8443/hook",
        ],
    ),
    (
        "endpointUrl",
        |text| refused(EndpointUrl::parse_for(CustomerServers::PublicAndLocal, text)),
        &[
            "https://minio.example.com:9000",
            "http://minio.example.com",
            "https://192.0.2.1",
            "HTTPS://S3.Example.com:443/",
            "https://s3.example.com:1023",
            "https://s3.example.com/bucket",
            "https://s3.example.com?",
            "https://user@s3.example.com",
            "https://s3.example.com.",
            "https://s3.dualstack.eu-west-1.api.aws",
            "https://s3.cn-north-1.amazonaws.com.cn",
            "https://notamazonaws.com",
            "https://minio.home.arpa",
            "https://localhost:9000",
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

/// Returns what the domain says about filters: the sentences of each, by field.
fn said_of_filters() -> Value {
    let lists = |actions: &[&str], actor_types: &[&str], target_types: &[&str]| {
        let list = |values: &[&str]| {
            (!values.is_empty()).then(|| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>())
        };
        RawLists { actions: list(actions), actor_types: list(actor_types), target_types: list(target_types) }
    };
    let filter = |include, exclude| RawFilter { include: Some(include), exclude: Some(exclude) };
    let none = || lists(&[], &[], &[]);
    let of_actions = |include: &[&str], exclude: &[&str]| filter(lists(include, &[], &[]), lists(exclude, &[], &[]));
    let many: Vec<String> = (0..51).map(|number| format!("ACTION_{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let repeated = ["READ"; 60];
    let filters = [
        of_actions(&["READ"], &["WRITE"]),
        of_actions(&["READ"], &["READ"]),
        of_actions(&["READ"], &["REA*"]),
        of_actions(&["REA*"], &["READ"]),
        of_actions(&["REA*"], &["RE*"]),
        of_actions(&["RE*"], &["REA*"]),
        of_actions(&["RE*", "WRITE"], &["RE*"]),
        of_actions(&["RE*", "WRITE"], &["RE*", "WRITE"]),
        of_actions(&["ä*"], &["Ä*"]),
        of_actions(&["äb"], &["ä*"]),
        of_actions(&["READ", "a\"b"], &["READ"]),
        of_actions(&many, &[]),
        of_actions(&repeated, &[]),
        filter(lists(&many[..25], &many[..25], &["x"]), none()),
        filter(none(), lists(&["*"], &["A*B"], &["x"])),
        filter(lists(&["a"], &["b"], &["c"]), lists(&["b"], &["b"], &["c*", "*c"])),
        filter(lists(&["a"], &["b"], &["c"]), lists(&["b"], &["b"], &["c*"])),
    ];
    let said = filters.into_iter().map(|filter| {
        let errors = EventFilter::parse(&filter).err().unwrap_or_default();
        let refused: Map<String, Value> =
            errors.into_iter().map(|error| (error.field.to_owned(), Value::from(error.message))).collect();
        json!({ "filter": filter, "refused": refused })
    });
    said.collect()
}

/// Returns what the domain says about rules for classes of OCSF: the first sentence of each list.
fn said_of_classes() -> Value {
    let rule = |action: &str, target_type: Option<&str>, class: Class, activity: Option<&str>| RawRule {
        action: action.to_owned(),
        target_type: target_type.map(str::to_owned),
        class: class.name().to_owned(),
        activity: activity.map(str::to_owned),
    };
    let of = |activity| rule("READ", None, Class::ApiActivity, activity);
    let long = "A".repeat(128);
    let mut lists = vec![
        vec![],
        vec![of(None)],
        vec![of(None), of(Some("Other"))],
        vec![of(Some("read")), rule("read", None, Class::ApiActivity, Some("READ"))],
        vec![of(Some("Read")), of(Some("Create"))],
        vec![of(None), rule("Read", None, Class::Authentication, None)],
        vec![of(None), rule("READ", Some("TABLE"), Class::Authentication, None)],
        vec![
            rule("a b", Some("x"), Class::ApiActivity, None),
            rule("A_B", Some("X"), Class::ApiActivity, Some("read")),
        ],
        vec![rule("", None, Class::ApiActivity, None)],
        vec![rule("READ", Some(""), Class::ApiActivity, None)],
        vec![of(None), rule("ä", None, Class::ApiActivity, None)],
        vec![rule(&long, Some(&long), Class::ApiActivity, None)],
        vec![rule(&format!("{long}A"), None, Class::ApiActivity, None)],
        vec![of(Some("Rewrite")), rule("", None, Class::ApiActivity, None)],
        vec![of(Some("Read")), of(Some("Create")), of(Some("x"))],
        vec![of(Some(""))],
        vec![rule("x", None, Class::AccountChange, Some("MFA factor-enable"))],
        vec![rule("x", None, Class::AccountChange, Some("MFAéFactor Enable"))],
        vec![rule("x", None, Class::AccountChange, Some("Paßword Change"))],
        (0..100).map(|number| rule(&format!("A{number}"), None, Class::ApiActivity, None)).collect(),
        (0..101).map(|_| of(None)).collect(),
    ];
    for class in Class::ALL {
        let all =
            class.activities().iter().map(|activity| rule(activity.caption, None, *class, Some(activity.caption)));
        lists.extend([all.collect(), vec![rule("x", None, *class, Some("nothing"))]]);
    }
    let said = lists.into_iter().map(|rules| {
        let error = OwnRules::parse(&rules).err().and_then(|errors| errors.into_iter().next());
        json!({ "rules": rules, "refused": error.map(|error| error.message) })
    });
    said.collect()
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
    let all = json!({ "values": all, "filters": said_of_filters(), "classes": said_of_classes() });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/test/rules.json");
    let text = serde_json::to_string_pretty(&all).unwrap() + "\n";
    assert_current(&path, &text, "cargo test --workspace --locked --bins the_page_is_tested");
}

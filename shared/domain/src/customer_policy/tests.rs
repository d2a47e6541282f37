use std::fmt::Write;

use super::*;
use crate::{
    configuration::{
        Destination,
        arn::KmsKeyArn,
        bucket::{BucketName, BucketPath, MAX_BUCKET_PATH_LENGTH},
        region::{Partition, Region},
        test_support::{on_server, with_key, with_role},
    },
    policy::{AccountScope, export_session_policy},
};

/// The most characters of a trust policy that IAM accepts by default:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-entity-length>.
const MAX_TRUST_POLICY_LENGTH: usize = 2_048;

/// The most characters of all inline policies of a user, without white space. Those of a role may be longer. Same source.
const MAX_USER_POLICY_LENGTH: usize = 2_048;

/// The most bytes of a bucket policy: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/add-bucket-policy.html>.
const MAX_BUCKET_POLICY_LENGTH: usize = 20 * 1_024;

/// The most bytes of a key policy: <https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html#key-policy-limit>.
const MAX_KEY_POLICY_LENGTH: usize = 32 * 1_024;

const SERVICE_ACCOUNT: &str = "111111111111";
const WRITERS_ACCOUNT: &str = "222222222222";
const OTHER_ACCOUNT: &str = "333333333333";

fn service(partition: Partition, region: &str) -> ServiceIdentity {
    ServiceIdentity {
        account: AccountId::parse(SERVICE_ACCOUNT).unwrap(),
        partition,
        region: Region::parse(region).unwrap(),
    }
}

fn role(partition: Partition) -> (Authentication, Option<UserArn>) {
    let arn = format!("arn:{partition}:iam::{WRITERS_ACCOUNT}:role/audit-export");
    (Authentication::AssumedRole { role_arn: RoleArn::parse(&arn).unwrap() }, None)
}

fn access_key(user: Option<&str>) -> (Authentication, Option<UserArn>) {
    (with_key().authentication, user.map(|arn| UserArn::parse(arn).unwrap()))
}

fn configuration(
    (authentication, user_arn): (Authentication, Option<UserArn>),
    region: &str,
    bucket_owner: Option<&str>,
    key: Option<&str>,
) -> ExportConfiguration {
    let example = with_role();
    ExportConfiguration {
        destination: Destination {
            site: Region::parse(region).unwrap().into(),
            kms_key_arn: key.map(|arn| KmsKeyArn::parse(arn).unwrap()),
            expected_bucket_owner: bucket_owner.map(|owner| AccountId::parse(owner).unwrap()),
            ..example.destination
        },
        authentication,
        user_arn,
        ..example
    }
}

fn printed(policies: &CustomerPolicies) -> String {
    let mut text = String::new();
    for (name, policy) in [
        ("trust policy", policies.trust_policy.as_ref()),
        ("IAM policy", Some(&policies.iam_policy)),
        ("bucket policy", Some(&policies.bucket_policy)),
        ("KMS key policy statement", policies.kms_key_policy_statement.as_ref()),
    ] {
        let Some(PolicyDocument { document, is_required, instruction }) = policy else {
            writeln!(text, "# {name}: none\n").unwrap();
            continue;
        };
        let need = if *is_required { "required" } else { "optional" };
        writeln!(text, "# {name}: {need}\n# {instruction}\n{document}\n").unwrap();
    }
    text
}

/// Returns configurations with a role and with an access key, with and without a KMS key, with bucket and key in the same and
/// in another account, in three partitions.
#[test]
fn policies_are_filled_in_for_the_configuration() {
    let partitions =
        [(Partition::Commercial, "eu-west-1"), (Partition::China, "cn-north-1"), (Partition::UsGov, "us-gov-west-1")];
    for (partition, region) in partitions {
        let user = format!("arn:{partition}:iam::{WRITERS_ACCOUNT}:user/audit-export");
        for (writer_name, writer) in [("role", role(partition)), ("key", access_key(Some(&user)))] {
            for (accounts, owner) in [("same", WRITERS_ACCOUNT), ("cross", OTHER_ACCOUNT)] {
                let key = format!("arn:{partition}:kms:{region}:{owner}:key/1234abcd-12ab-34cd-56ef-1234567890ab");
                for (encryption, key) in [("kms", Some(key.as_str())), ("none", None)] {
                    let configuration = configuration(writer.clone(), region, Some(owner), key);
                    let policies = CustomerPolicies::of(&configuration, &service(partition, region));
                    insta::assert_snapshot!(
                        format!("{writer_name}_{encryption}_{accounts}_{partition}"),
                        printed(&policies)
                    );
                }
            }
        }
    }
}

/// Security Lake creates the role of its source, with a trust policy and permissions.
#[test]
fn the_role_of_a_source_is_created_by_security_lake() {
    let example = configuration(role(Partition::Commercial), "eu-west-1", Some(WRITERS_ACCOUNT), None);
    let in_lake = |path: Option<&str>| {
        let bucket_path = path.map(|path| BucketPath::parse(path).unwrap());
        let destination = Destination { layout: Layout::SecurityLake, bucket_path, ..example.destination.clone() };
        ExportConfiguration { destination, ..example.clone() }
    };
    let service = service(Partition::Commercial, "eu-west-1");
    insta::assert_snapshot!("lake", printed(&CustomerPolicies::of(&in_lake(Some("ext/audit-log")), &service)));
    let at_root = CustomerPolicies::of(&in_lake(None), &service).trust_policy.unwrap();
    assert!(at_root.instruction.contains("bucketPath to the path of the source (not set)"), "{}", at_root.instruction);
}

#[test]
fn a_user_whom_nobody_knows_yet_is_marked() {
    let key = format!("arn:aws:kms:eu-west-1:{OTHER_ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab");
    let configuration = configuration(access_key(None), "eu-west-1", Some(OTHER_ACCOUNT), Some(&key));
    let policies = CustomerPolicies::of(&configuration, &service(Partition::Commercial, "eu-west-1"));
    insta::assert_snapshot!("unknown_user", printed(&policies));
}

#[test]
fn without_an_expected_owner_the_bucket_is_the_writers() {
    let configuration = configuration(role(Partition::Commercial), "eu-west-1", None, None);
    let policies = CustomerPolicies::of(&configuration, &service(Partition::Commercial, "eu-west-1"));
    assert!(!policies.bucket_policy.is_required);
}

/// The permissions of the role equal those of the session policy, if the configuration names the key.
#[test]
fn the_policy_of_the_role_allows_exactly_what_a_session_takes() {
    let key = format!("arn:aws:kms:eu-west-1:{WRITERS_ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab");
    for (owner, scope) in [(None, AccountScope::Same), (Some(OTHER_ACCOUNT), AccountScope::Cross)] {
        let configuration = configuration(role(Partition::Commercial), "eu-west-1", owner, Some(&key));
        let policies = CustomerPolicies::of(&configuration, &service(Partition::Commercial, "eu-west-1"));
        let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let of_session = export_session_policy(&configuration.destination, configuration.key.configuration_id, scope);
        assert_eq!(parsed(&policies.iam_policy.document), parsed(&of_session));
    }
}

#[test]
fn a_path_of_replays_is_allowed_beside_the_export() {
    for (owner, statements) in [(None, 1), (Some(OTHER_ACCOUNT), 2)] {
        let configuration = configuration(role(Partition::Commercial), "eu-west-1", owner, None);
        let service = service(Partition::Commercial, "eu-west-1");
        let path = BucketPath::parse("replays/siem").unwrap();
        let plain = CustomerPolicies::of(&configuration, &service);
        let with_replays = CustomerPolicies::with_replays(&configuration, Some(&path), &service);
        let resource = format!("arn:aws:s3:::{}/replays/siem/*", configuration.destination.bucket_name);
        let pairs = [(plain.iam_policy, with_replays.iam_policy), (plain.bucket_policy, with_replays.bucket_policy)];
        for (plain, with_replays) in pairs {
            let resources = |policy: &PolicyDocument| {
                let policy: serde_json::Value = serde_json::from_str(&policy.document).unwrap();
                let statements = policy["Statement"].as_array().unwrap().clone();
                statements.into_iter().map(|statement| statement["Resource"].clone()).collect::<Vec<_>>()
            };
            let (plain, extended) = (resources(&plain), resources(&with_replays));
            assert_eq!(extended.len(), statements);
            for (plain, extended) in plain.iter().zip(&extended) {
                let plain = plain.as_array().unwrap();
                assert_eq!(extended.as_array().unwrap(), &[plain.as_slice(), &[resource.clone().into()]].concat());
            }
        }
        assert_eq!(with_replays.trust_policy, plain.trust_policy);
    }
}

#[test]
fn the_longest_policies_fit() {
    let path_and_name = format!("{}/{}", "p".repeat(510), "n".repeat(64));
    let role_arn = RoleArn::parse(&format!("arn:aws-us-gov:iam::{WRITERS_ACCOUNT}:role/{path_and_name}")).unwrap();
    let user_arn = format!("arn:aws-us-gov:iam::{WRITERS_ACCOUNT}:user/{path_and_name}");
    let key = format!("arn:aws-us-gov:kms:us-gov-west-1:{OTHER_ACCOUNT}:key/mrk-1234abcd12ab34cd56ef1234567890ab");
    for writer in [(Authentication::AssumedRole { role_arn }, None), access_key(Some(&user_arn))] {
        let mut configuration = configuration(writer, "us-gov-west-1", Some(OTHER_ACCOUNT), Some(&key));
        configuration.destination.bucket_name = BucketName::parse(&"b".repeat(63)).unwrap();
        configuration.destination.bucket_path = Some(BucketPath::parse(&"p".repeat(MAX_BUCKET_PATH_LENGTH)).unwrap());
        let policies = CustomerPolicies::of(&configuration, &service(Partition::UsGov, "us-gov-west-1"));
        let length = |policy: Option<&PolicyDocument>| policy.map_or(0, |policy| policy.document.len());
        let printed = policies.iam_policy.document.chars().filter(|character| !character.is_whitespace()).count();
        assert!(length(policies.trust_policy.as_ref()) <= MAX_TRUST_POLICY_LENGTH);
        assert!(printed <= MAX_USER_POLICY_LENGTH, "{printed}");
        assert!(length(Some(&policies.bucket_policy)) <= MAX_BUCKET_POLICY_LENGTH);
        assert!(length(policies.kms_key_policy_statement.as_ref()) <= MAX_KEY_POLICY_LENGTH);
    }
}

#[test]
fn another_server_gets_a_policy_in_the_form_of_iam_and_no_other() {
    let policies = CustomerPolicies::of(&on_server(), &service(Partition::Commercial, "eu-west-1"));
    let (iam, bucket) = (policies.iam_policy, policies.bucket_policy);
    assert!(!iam.is_required && !bucket.is_required);
    assert!(iam.instruction.contains("on https://s3.example.com:3900."), "{}", iam.instruction);
    assert!(iam.document.contains("arn:aws:s3:::acme-audit/audit/log/"), "{}", iam.document);
    assert!(!bucket.instruction.contains(UNKNOWN_USER), "{}", bucket.instruction);
    assert_eq!((policies.trust_policy, policies.kms_key_policy_statement), (None, None));
}

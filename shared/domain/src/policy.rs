//! The session policies that narrow every role we assume down to what the next call needs.

use serde_json::{Value, json};

use crate::{
    configuration::{ConfigurationId, Destination},
    object_key,
};

/// Characters of a session policy that STS takes.
/// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.
pub const MAX_SESSION_POLICY_LENGTH: usize = 2_048;

/// Allows the export's prefix and the marker in the bucket, and the bucket's key; nothing else of what the role may do.
#[must_use]
pub fn export_session_policy(destination: &Destination, configuration_id: ConfigurationId) -> String {
    let partition = destination.region.partition();
    let object = |key: String| format!("arn:{partition}:s3:::{}/{key}", destination.bucket_name);
    let write = json!({
        "Effect": "Allow",
        "Action": "s3:PutObject",
        "Resource": [
            object(format!("{}/*", object_key::export_prefix(destination, configuration_id))),
            object(object_key::marker(destination)),
        ],
    });
    document(&[write, use_of_key(destination)])
}

/// Allows nothing: for the probes of a trust policy, whose sessions must be worth nothing to anybody.
#[must_use]
pub fn deny_all_session_policy() -> String {
    document(&[json!({ "Effect": "Deny", "Action": "*", "Resource": "*" })])
}

/// `kms:Decrypt` is for the completion of multipart uploads:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions>.
fn use_of_key(destination: &Destination) -> Value {
    let actions = ["kms:GenerateDataKey", "kms:Decrypt"];
    if let Some(key) = &destination.kms_key_arn {
        return json!({ "Effect": "Allow", "Action": actions, "Resource": key.as_str() });
    }
    let service = format!("s3.{}.{}", destination.region, destination.region.partition().domain_suffix());
    json!({
        "Effect": "Allow",
        "Action": actions,
        "Resource": "*",
        "Condition": { "StringEquals": { "kms:ViaService": service } },
    })
}

fn document(statements: &[Value]) -> String {
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::configuration::{
        arn::KmsKeyArn,
        bucket::{BucketName, BucketPath},
        region::Region,
    };

    fn destination(kms_key_arn: Option<&str>) -> Destination {
        Destination {
            bucket_name: BucketName::parse(&"b".repeat(63)).unwrap(),
            bucket_path: Some(BucketPath::parse(&"p".repeat(256)).unwrap()),
            region: Region::parse("us-gov-west-1").unwrap(),
            kms_key_arn: kms_key_arn.map(|arn| KmsKeyArn::parse(arn).unwrap()),
            expected_bucket_owner: None,
        }
    }

    #[test]
    fn the_longest_policy_fits() {
        let id = ConfigurationId::parse("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b").unwrap();
        let key = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab";
        for destination in [destination(None), destination(Some(key))] {
            assert!(export_session_policy(&destination, id).len() < MAX_SESSION_POLICY_LENGTH);
        }
    }

    #[test]
    fn without_a_key_only_s3_of_the_region_may_use_one() {
        let id = ConfigurationId::parse("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b").unwrap();
        let policy: Value = serde_json::from_str(&export_session_policy(&destination(None), id)).unwrap();
        let condition = &policy["Statement"][1]["Condition"]["StringEquals"]["kms:ViaService"];
        assert_eq!(condition, "s3.us-gov-west-1.amazonaws.com");
    }
}

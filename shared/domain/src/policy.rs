//! What an export needs to be allowed, and the session policies that narrow every role we assume down to that.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::{
    configuration::{ConfigurationId, Destination, region::Region},
    object_key,
};

/// Characters of a session policy that STS takes.
/// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.
pub const MAX_SESSION_POLICY_LENGTH: usize = 2_048;

/// Allows the export's prefix and the marker in the bucket, and the bucket's key; nothing else of what the role may do.
#[must_use]
pub fn export_session_policy(destination: &Destination, configuration_id: ConfigurationId) -> String {
    let use_of_key = use_of_named_key(destination).unwrap_or_else(|| use_of_any_key_through_s3(&destination.region));
    Document::of(vec![writes(destination, configuration_id), use_of_key]).to_string()
}

/// Allows nothing: for the probes of a trust policy, whose sessions must be worth nothing to anybody.
#[must_use]
pub fn deny_all_session_policy() -> String {
    Document::of(vec![Statement { effect: Effect::Deny, ..Statement::allow(["*"], ["*"]) }]).to_string()
}

/// All that an export writes: the objects under its prefix, and the marker of the connection test. Uploads in parts need
/// nothing else: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions>.
pub(crate) fn writes(destination: &Destination, configuration_id: ConfigurationId) -> Statement {
    let partition = destination.region.partition();
    let object = |key: String| format!("arn:{partition}:s3:::{}/{key}", destination.bucket_name);
    let exported = object(format!("{}/*", object_key::export_prefix(destination, configuration_id)));
    Statement::allow(["s3:PutObject"], [exported, object(object_key::marker(destination))])
}

/// What S3 does with the bucket's key in our name. `kms:Decrypt` is for uploads in parts:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions>.
pub(crate) const KEY_ACTIONS: [&str; 2] = ["kms:GenerateDataKey", "kms:Decrypt"];

/// `None`: the configuration names no key.
pub(crate) fn use_of_named_key(destination: &Destination) -> Option<Statement> {
    destination.kms_key_arn.as_ref().map(|key| Statement::allow(KEY_ACTIONS, [key.as_str()]))
}

fn use_of_any_key_through_s3(region: &Region) -> Statement {
    let service = format!("s3.{region}.{}", region.partition().domain_suffix());
    Statement {
        condition: Condition::from([("StringEquals", BTreeMap::from([("kms:ViaService", service)]))]),
        ..Statement::allow(KEY_ACTIONS, ["*"])
    }
}

/// A policy, in the order in which AWS's documentation writes its elements. `{:#}` prints it with indentation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Document {
    version: &'static str,
    statement: Vec<Statement>,
}

impl Document {
    pub(crate) fn of(statement: Vec<Statement>) -> Self {
        Self { version: "2012-10-17", statement }
    }
}

impl fmt::Display for Document {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_json(self, formatter)
    }
}

/// Without `Sid`, which has to be unique in the policy that a customer adds the statement to.
///
/// Elements: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html>.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Statement {
    pub(crate) effect: Effect,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) principal: Option<Principal>,
    pub(crate) action: Vec<String>,
    /// None in a trust policy, whose resource is the role itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) resource: Vec<String>,
    #[serde(skip_serializing_if = "Condition::is_empty")]
    pub(crate) condition: Condition,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

#[derive(Debug, Serialize)]
pub(crate) struct Principal {
    #[serde(rename = "AWS")]
    pub(crate) aws: String,
}

/// Operators, each with condition keys and the value of each.
pub(crate) type Condition = BTreeMap<&'static str, BTreeMap<&'static str, String>>;

impl Statement {
    pub(crate) fn allow<A: Into<String>, R: Into<String>>(
        actions: impl IntoIterator<Item = A>,
        resources: impl IntoIterator<Item = R>,
    ) -> Self {
        Self {
            effect: Effect::Allow,
            principal: None,
            action: actions.into_iter().map(Into::into).collect(),
            resource: resources.into_iter().map(Into::into).collect(),
            condition: Condition::new(),
        }
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_json(self, formatter)
    }
}

fn write_json(value: &impl Serialize, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let text = if formatter.alternate() { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    formatter.write_str(&text.map_err(|_| fmt::Error)?)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::configuration::{
        arn::KmsKeyArn,
        bucket::{BucketName, BucketPath},
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

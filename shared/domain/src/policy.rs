//! The permissions of an export, and the session policies that restrict every assumed role to them.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::{
    configuration::{ConfigurationId, Destination, arn::AccountId, region::Region},
    object_key,
};

/// The relation of the bucket's account to the account of the role or user that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountScope {
    Same,
    /// If the bucket's ACLs are enabled, its owner can read an object of another account only if that account grants it with
    /// each write ([`BUCKET_OWNER_FULL_CONTROL`]).
    Cross,
}

impl AccountScope {
    /// Returns the scope of writes to `destination` by a role or user of the account `writer` (`None`: not known yet). Without an
    /// expected owner, the bucket has to belong to the writer's account, which every write requires.
    #[must_use]
    pub fn of(destination: &Destination, writer: Option<&AccountId>) -> Self {
        match &destination.expected_bucket_owner {
            Some(owner) if writer != Some(owner) => Self::Cross,
            _ => Self::Same,
        }
    }
}

/// The canned ACL of writes across accounts. It requires `s3:PutObjectAcl` in addition to `s3:PutObject`:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html> (Permissions). A bucket with disabled ACLs accepts this
/// ACL only:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-ownership-error-responses.html>.
pub const BUCKET_OWNER_FULL_CONTROL: &str = "bucket-owner-full-control";

/// Returns the session policy of an export: writes under its prefix and of the marker, and the use of the bucket's key. It
/// allows nothing else that the role may do.
#[must_use]
pub fn export_session_policy(
    destination: &Destination,
    configuration_id: ConfigurationId,
    scope: AccountScope,
) -> String {
    let use_of_any_key = || destination.site.aws_region().map(use_of_any_key_through_s3);
    let mut statements = writes(destination, configuration_id, scope);
    statements.extend(use_of_named_key(destination).or_else(use_of_any_key));
    Document::of(statements).to_string()
}

/// Returns a session policy that allows nothing, for the sessions that probe a trust policy.
#[must_use]
pub fn deny_all_session_policy() -> String {
    Document::of(vec![Statement { effect: Effect::Deny, ..Statement::allow(["*"], ["*"]) }]).to_string()
}

/// Returns the statements for the writes of an export: the objects under its prefix, and the marker of the connection test.
/// Multipart uploads need no other permission: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions>.
///
/// Across accounts they also allow the one ACL that such writes have.
pub(crate) fn writes(
    destination: &Destination,
    configuration_id: ConfigurationId,
    scope: AccountScope,
) -> Vec<Statement> {
    let exported = [object_key::export_prefix(destination, configuration_id)];
    let exported = exported.into_iter().chain(object_key::lake_prefix(destination));
    let resources: Vec<_> = exported
        .map(|prefix| object_arn(destination, &format!("{prefix}/*")))
        .chain([object_arn(destination, &object_key::marker(destination))])
        .collect();
    let put = Statement::allow(["s3:PutObject"], resources.clone());
    match scope {
        AccountScope::Same => vec![put],
        AccountScope::Cross => {
            let acl = BTreeMap::from([("s3:x-amz-acl", BUCKET_OWNER_FULL_CONTROL.to_owned())]);
            let condition = Condition::from([("StringEquals", acl)]);
            vec![put, Statement { condition, ..Statement::allow(["s3:PutObjectAcl"], resources) }]
        }
    }
}

/// Returns the ARN of all objects under the bucket path.
pub(crate) fn everything_under(destination: &Destination) -> String {
    object_arn(destination, &destination.key_of("*"))
}

fn object_arn(destination: &Destination, key: &str) -> String {
    format!("arn:{}:s3:::{}/{key}", destination.site.partition(), destination.bucket_name)
}

/// The actions that S3 performs with the bucket's key on behalf of the writer. `kms:Decrypt` is for multipart uploads:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions>.
pub(crate) const KEY_ACTIONS: [&str; 2] = ["kms:GenerateDataKey", "kms:Decrypt"];

/// Returns the statement for the use of the configuration's key. `None`: the configuration names no key.
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

/// A policy, with its elements in the order of AWS's documentation. `{:#}` prints it with indentation.
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

/// A statement. It has no `Sid`, which would have to be unique in the policy that a customer adds the statement to.
///
/// Elements: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html>.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Statement {
    pub(crate) effect: Effect,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) principal: Option<Principal>,
    pub(crate) action: Vec<String>,
    /// Empty in a trust policy: its resource is the role itself.
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

/// The condition operators, each with condition keys and their values.
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
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::configuration::{
        Layout, MAX_LAKE_PATH_LENGTH,
        arn::KmsKeyArn,
        bucket::{BucketName, BucketPath},
    };

    /// The most characters of a session policy that STS accepts.
    /// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.
    const MAX_SESSION_POLICY_LENGTH: usize = 2_048;

    #[test]
    fn in_security_lake_two_prefixes_are_allowed() {
        let id = ConfigurationId::parse("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b").unwrap();
        let path = BucketPath::parse("ext/audit").ok();
        let destination = Destination { bucket_path: path, layout: Layout::SecurityLake, ..destination(None) };
        let policy: Value = serde_json::from_str(&export_session_policy(&destination, id, AccountScope::Same)).unwrap();
        let names = [&*format!("{id}/*"), "region=us-gov-west-1/accountId=external/*", object_key::MARKER_NAME];
        let bucket = format!("arn:aws-us-gov:s3:::{}/ext/audit", "b".repeat(63));
        let expected = names.map(|name| format!("{bucket}/{name}"));
        assert_eq!(policy["Statement"][0]["Resource"], serde_json::json!(expected));
    }

    fn destination(kms_key_arn: Option<&str>) -> Destination {
        Destination {
            bucket_name: BucketName::parse(&"b".repeat(63)).unwrap(),
            bucket_path: Some(BucketPath::parse(&"p".repeat(256)).unwrap()),
            site: Region::parse("us-gov-west-1").unwrap().into(),
            kms_key_arn: kms_key_arn.map(|arn| KmsKeyArn::parse(arn).unwrap()),
            expected_bucket_owner: None,
            layout: Layout::default(),
        }
    }

    #[test]
    fn the_longest_policy_fits() {
        let id = ConfigurationId::parse("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b").unwrap();
        let key = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab";
        let in_lake = |key| Destination {
            bucket_path: Some(BucketPath::parse(&"p".repeat(MAX_LAKE_PATH_LENGTH)).unwrap()),
            layout: Layout::SecurityLake,
            ..destination(key)
        };
        for destination in [destination(None), destination(Some(key)), in_lake(None), in_lake(Some(key))] {
            for scope in [AccountScope::Same, AccountScope::Cross] {
                let length = export_session_policy(&destination, id, scope).len();
                assert!(length < MAX_SESSION_POLICY_LENGTH, "{scope:?}: {length}");
            }
        }
    }

    #[test]
    fn a_bucket_without_an_expected_owner_is_the_writers() {
        let account = |id: &str| AccountId::parse(id).unwrap();
        let (writer, other) = (account("222222222222"), account("333333333333"));
        for (owner, writer, scope) in [
            (None, Some(&writer), AccountScope::Same),
            (None, None, AccountScope::Same),
            (Some(&writer), Some(&writer), AccountScope::Same),
            (Some(&other), Some(&writer), AccountScope::Cross),
            (Some(&other), None, AccountScope::Cross),
        ] {
            let destination = Destination { expected_bucket_owner: owner.cloned(), ..destination(None) };
            assert_eq!(AccountScope::of(&destination, writer), scope, "{owner:?}, {writer:?}");
        }
    }

    #[test]
    fn only_across_accounts_may_an_acl_be_set_and_only_the_owners() {
        let id = ConfigurationId::parse("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b").unwrap();
        let policy = |scope| export_session_policy(&destination(None), id, scope);
        assert!(!policy(AccountScope::Same).contains("Acl"));
        let policy: Value = serde_json::from_str(&policy(AccountScope::Cross)).unwrap();
        let [put, acl, _] = policy["Statement"].as_array().unwrap().as_slice() else { unreachable!("{policy}") };
        assert_eq!(acl["Action"], serde_json::json!(["s3:PutObjectAcl"]));
        assert_eq!(acl["Resource"], put["Resource"]);
        assert_eq!(acl["Condition"]["StringEquals"]["s3:x-amz-acl"], "bucket-owner-full-control");
        assert_eq!(put["Condition"], Value::Null, "parts of an upload carry no ACL");
    }

    #[test]
    fn without_a_key_only_s3_of_the_region_may_use_one() {
        let id = ConfigurationId::parse("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b").unwrap();
        let policy: Value =
            serde_json::from_str(&export_session_policy(&destination(None), id, AccountScope::Same)).unwrap();
        let condition = &policy["Statement"][1]["Condition"]["StringEquals"]["kms:ViaService"];
        assert_eq!(condition, "s3.us-gov-west-1.amazonaws.com");
    }
}

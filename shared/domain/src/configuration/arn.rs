//! AWS accounts, and the ARNs of roles, users and keys.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    field_error::{FieldErrorCode, ValueError},
    region::{Partition, Region},
    text_type::text_type,
};

/// An AWS account: 12 digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(String);

impl AccountId {
    /// # Errors
    /// `ACCOUNT_ID_INVALID`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ValueError::new(FieldErrorCode::AccountIdInvalid, "An AWS account ID has 12 digits."))
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The ARN of an IAM role: `arn:<partition>:iam::<account>:role/<path and name>`.
///
/// Lengths and characters: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_Role.html>.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoleArn {
    text: String,
    partition: Partition,
    account: AccountId,
}

const MAX_ROLE_NAME_LENGTH: usize = 64;
const MAX_ROLE_PATH_LENGTH: usize = 512;

impl RoleArn {
    /// # Errors
    /// `ROLE_ARN_INVALID`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        Self::parts(text).ok_or(ValueError::new(
            FieldErrorCode::RoleArnInvalid,
            "Give the role's ARN, for example arn:aws:iam::123456789012:role/audit-export.",
        ))
    }

    fn parts(text: &str) -> Option<Self> {
        let [partition, "iam", "", account, resource] = arn_fields(text)? else { return None };
        let (path, name) = resource.strip_prefix("role/").map(|rest| rest.rsplit_once('/').unwrap_or(("", rest)))?;
        let name_is_valid = (1..=MAX_ROLE_NAME_LENGTH).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte));
        // No role's path has a wildcard, and none may get into a policy.
        let path_is_valid = path.len() + 2 <= MAX_ROLE_PATH_LENGTH
            && path.bytes().all(|byte| byte.is_ascii_graphic() && !b"*?\"\\".contains(&byte));
        (name_is_valid && path_is_valid).then_some(())?;
        Some(Self {
            text: text.to_owned(),
            partition: Partition::parse(partition)?,
            account: AccountId::parse(account).ok()?,
        })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    #[must_use]
    pub fn partition(&self) -> Partition {
        self.partition
    }

    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// Returns the role's name, without its path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// Returns whether the role has a path other than `/`.
    #[must_use]
    pub fn has_path(&self) -> bool {
        self.text.matches('/').count() > 1
    }
}

/// The ARN of the owner of an access key: an IAM user, `arn:<partition>:iam::<account>:user/<path and name>`, or the root
/// user, `arn:<partition>:iam::<account>:root`. It comes from AWS, never from a caller.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns>.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserArn {
    text: String,
    account: AccountId,
}

/// Names and paths of users have the same limits as those of roles.
const MAX_USER_RESOURCE_LENGTH: usize = "user/".len() + MAX_ROLE_PATH_LENGTH + MAX_ROLE_NAME_LENGTH;

impl UserArn {
    /// Parses the ARN. `None`: it is not the ARN of a user, or has characters that may not get into a policy.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let [partition, "iam", "", account, resource] = arn_fields(text)? else { return None };
        Partition::parse(partition)?;
        let is_user = resource.strip_prefix("user/").is_some_and(|path_and_name| {
            !path_and_name.is_empty()
                && resource.len() <= MAX_USER_RESOURCE_LENGTH
                && path_and_name.bytes().all(|byte| byte.is_ascii_graphic() && !b"*?$\"\\".contains(&byte))
        });
        (is_user || resource == "root").then_some(())?;
        Some(Self { text: text.to_owned(), account: AccountId::parse(account).ok()? })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }
}

impl fmt::Display for UserArn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// The ARN of a KMS key: `arn:<partition>:kms:<region>:<account>:key/<id>`. Aliases are refused: a policy can't name
/// one.
///
/// Key IDs are UUIDs, or `mrk-` and 32 hex digits for a multi-Region key:
/// <https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id>.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KmsKeyArn {
    text: String,
    account: AccountId,
    partition: Partition,
    region: Region,
}

impl KmsKeyArn {
    /// # Errors
    /// `KMS_KEY_ARN_INVALID`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        Self::parts(text).ok_or(ValueError::new(
            FieldErrorCode::KmsKeyArnInvalid,
            "Give the key's ARN with its ID, not an alias, for example \
             arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab.",
        ))
    }

    fn parts(text: &str) -> Option<Self> {
        let [partition, "kms", region, account, resource] = arn_fields(text)? else { return None };
        let id = resource.strip_prefix("key/")?;
        let is_hex = |digits: &str, length: usize| {
            digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
        };
        let is_multi_region = id.strip_prefix("mrk-").is_some_and(|digits| is_hex(digits, 32));
        let groups: Vec<&str> = id.split('-').collect();
        let is_uuid =
            groups.len() == 5 && groups.iter().zip([8, 4, 4, 4, 12]).all(|(group, length)| is_hex(group, length));
        (is_multi_region || is_uuid).then_some(())?;
        Some(Self {
            text: text.to_owned(),
            account: AccountId::parse(account).ok()?,
            partition: Partition::parse(partition)?,
            region: Region::parse(region).ok()?,
        })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    #[must_use]
    pub fn partition(&self) -> Partition {
        self.partition
    }

    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }
}

/// Splits an ARN into partition, service, Region, account and resource: the five fields after `arn:`.
fn arn_fields(text: &str) -> Option<[&str; 5]> {
    let mut fields = text.strip_prefix("arn:")?.splitn(5, ':');
    Some([fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?])
}

text_type!(AccountId, 0);
text_type!(RoleArn, text);
text_type!(KmsKeyArn, text);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_with_and_without_a_path_are_read() {
        let role = RoleArn::parse("arn:aws-us-gov:iam::123456789012:role/team/audit/export+1").unwrap();
        assert_eq!((role.partition().as_str(), role.account().as_str()), ("aws-us-gov", "123456789012"));
        assert_eq!((role.name(), role.has_path()), ("export+1", true));
        let role = RoleArn::parse("arn:aws:iam::123456789012:role/export").unwrap();
        assert_eq!((role.name(), role.has_path()), ("export", false));
    }

    #[test]
    fn an_access_key_belongs_to_a_user() {
        let user = UserArn::parse("arn:aws-cn:iam::123456789012:user/team/audit/export+1").unwrap();
        assert_eq!(user.account().as_str(), "123456789012");
        assert!(UserArn::parse("arn:aws:iam::123456789012:root").is_some());
        for bad in [
            "",
            "arn:aws:iam::123456789012:role/export",
            "arn:aws:iam::123456789012:user/",
            "arn:aws:iam::123456789012:user/*",
            "arn:aws:iam::123456789012:user/${aws:username}",
            "arn:aws:iam::12345678901:user/export",
            "arn:aws:sts::123456789012:assumed-role/export/session",
            "arn:amazon:iam::123456789012:user/export",
            &format!("arn:aws:iam::123456789012:user/{}", "a".repeat(1_000)),
        ] {
            assert_eq!(UserArn::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn malformed_role_arns_are_refused() {
        let long_name = format!("arn:aws:iam::123456789012:role/{}", "a".repeat(65));
        for bad in [
            "",
            "export",
            "arn:aws:iam::123456789012:user/export",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a/",
            "arn:aws:iam::123456789012:role/*",
            "arn:aws:iam::123456789012:role/*/export",
            "arn:aws:iam:us-east-1:123456789012:role/export",
            "arn:aws:iam::12345678901:role/export",
            "arn:aws:sts::123456789012:assumed-role/export/session",
            "arn:amazon:iam::123456789012:role/export",
            "arn:aws:iam::123456789012:role/ex port",
            "arn:aws:iam::123456789012:role/export\n",
            long_name.as_str(),
        ] {
            assert!(RoleArn::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn keys_are_named_by_id() {
        let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
        let key = KmsKeyArn::parse(&format!("arn:aws:kms:eu-west-1:123456789012:key/{id}")).unwrap();
        assert_eq!(key.region().as_str(), "eu-west-1");
        assert!(
            KmsKeyArn::parse("arn:aws:kms:eu-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab").is_ok()
        );
        for bad in [
            "alias/mine".to_owned(),
            "arn:aws:kms:eu-west-1:123456789012:alias/mine".to_owned(),
            id.to_owned(),
            format!("arn:aws:kms:eu-west-1:123456789012:key/{id}x"),
            "arn:aws:kms:eu-west-1:123456789012:key/*".to_owned(),
            format!("arn:aws:kms::123456789012:key/{id}"),
            format!("arn:aws:kms:eu-west-1:1:key/{id}"),
        ] {
            assert!(KmsKeyArn::parse(&bad).is_err(), "{bad:?}");
        }
    }
}

//! Whether we can write to the customer's bucket, and if not, what the customer has to change.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    configuration::{Destination, region::Region},
    error_code::Explanation,
    time::Timestamp,
};

/// What the last test or run said of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConnectionStatus {
    /// Never tested since the last change of role, key, bucket or region.
    Pending,
    Success,
    Failed,
}

impl ConnectionStatus {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
        }
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Pending, Self::Success, Self::Failed].into_iter().find(|status| status.name() == name)
    }
}

/// The state of a configuration's connection. Illegal mixtures (a success with an error) can't be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    Pending,
    Success { checked_at: Timestamp },
    Failed { checked_at: Timestamp, error: ConnectionError },
}

impl Connection {
    #[must_use]
    pub fn status(&self) -> ConnectionStatus {
        match self {
            Self::Pending => ConnectionStatus::Pending,
            Self::Success { .. } => ConnectionStatus::Success,
            Self::Failed { .. } => ConnectionStatus::Failed,
        }
    }

    #[must_use]
    pub fn checked_at(&self) -> Option<Timestamp> {
        match self {
            Self::Pending => None,
            Self::Success { checked_at } | Self::Failed { checked_at, .. } => Some(*checked_at),
        }
    }

    /// Whether AWS has answered for the destination since role, access key, bucket or Region were last changed. If so, an
    /// endpoint that can't be reached is out of order, and not a Region that doesn't exist.
    #[must_use]
    pub fn has_answered(&self) -> bool {
        match self {
            Self::Pending => false,
            Self::Success { .. } => true,
            Self::Failed { error, .. } => error.code != ConnectionErrorCode::EndpointUnreachable,
        }
    }

    #[must_use]
    pub fn error(&self) -> Option<&ConnectionError> {
        match self {
            Self::Failed { error, .. } => Some(error),
            Self::Pending | Self::Success { .. } => None,
        }
    }
}

/// A failure as the customer sees it: a stable code, and a sentence that says what to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionError {
    pub code: ConnectionErrorCode,
    pub message: String,
}

macro_rules! connection_error_codes {
    ($($variant:ident = $name:literal, $meaning:literal, $remedy:literal;)+) => {
        /// The ways in which a customer's side can be wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ConnectionErrorCode {
            $(#[serde(rename = $name)] $variant,)+
        }

        impl ConnectionErrorCode {
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The stable name that callers may rely on.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What the code says, for the list of all codes.
            #[must_use]
            pub fn explanation(self) -> Explanation {
                match self {
                    $(Self::$variant => Explanation { meaning: $meaning, remedy: $remedy },)+
                }
            }
        }
    };
}

connection_error_codes! {
    RoleNotAssumable = "ROLE_NOT_ASSUMABLE",
        "The role can't be assumed: it doesn't exist, or its trust policy doesn't allow it.",
        "Create the role, and allow sts:AssumeRole to the service's account with the configuration's externalId as \
         sts:ExternalId. A change in IAM can take a minute to arrive.";
    TrustPolicyTooOpen = "TRUST_POLICY_TOO_OPEN",
        "The role can be assumed without the configuration's external ID, so other customers of the service could use it.",
        "Require sts:ExternalId to equal the configuration's externalId in each statement of the trust policy that names \
         the service.";
    BucketNotFound = "BUCKET_NOT_FOUND",
        "There is no bucket of that name.",
        "Create the bucket, or correct bucketName.";
    BucketInAnotherRegion = "BUCKET_IN_ANOTHER_REGION",
        "The bucket is in another Region than the configuration says.",
        "Set region to the bucket's own.";
    WriteDenied = "WRITE_DENIED",
        "Writing to the bucket was denied.",
        "Allow s3:PutObject on the export's prefix to the role or user and, across accounts, in the bucket policy; see that \
         no policy denies it, and that expectedBucketOwner is the bucket's account.";
    KmsDenied = "KMS_DENIED",
        "The bucket's KMS key can't be used by the role or user.",
        "Allow kms:GenerateDataKey and kms:Decrypt on it and, across accounts, in the key policy; if kmsKeyArn is set, it \
         must be the key that the bucket encrypts with.";
    KmsKeyUnusable = "KMS_KEY_UNUSABLE",
        "The bucket's KMS key is disabled, pending deletion or missing.",
        "Enable the key, or give the bucket another one.";
    AccessKeyUnknown = "ACCESS_KEY_UNKNOWN",
        "AWS doesn't know the access key, or it is inactive.",
        "Activate it, or give an active access key of the IAM user; a Region that is not enabled by default has to be enabled \
         in the user's account.";
    SecretAccessKeyWrong = "SECRET_ACCESS_KEY_WRONG",
        "The secret access key doesn't belong to the access key id.",
        "Give the pair that IAM showed when the access key was created.";
    RegionDisabled = "REGION_DISABLED",
        "AWS STS isn't activated for the bucket's Region in the role's account.",
        "Enable the Region in the account's settings, or choose a bucket in an enabled one.";
    EndpointUnreachable = "ENDPOINT_UNREACHABLE",
        "AWS can't be reached in the Region.",
        "Check that the Region exists; if it does, test again later.";
}

impl fmt::Display for ConnectionErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A failure that the customer can mend, with what we learned of its cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.code())]
pub enum ConnectionFailure {
    /// STS refused the role, or there is no such role: it says the same of both.
    RoleNotAssumable,
    /// STS gave the role without the external ID, or with another one.
    TrustPolicyTooOpen,
    BucketNotFound,
    /// S3 may name the region in which the bucket is.
    BucketInAnotherRegion {
        actual: Option<Region>,
    },
    WriteDenied,
    KmsDenied,
    /// The key is disabled, pending deletion, or not there.
    KmsKeyUnusable,
    AccessKeyUnknown,
    SecretAccessKeyWrong,
    /// STS isn't activated for the bucket's region in the role's account.
    RegionDisabled,
    /// No connection to the region's endpoint, or no answer from it: mostly a region that doesn't exist.
    EndpointUnreachable,
}

impl ConnectionFailure {
    #[must_use]
    pub fn code(&self) -> ConnectionErrorCode {
        match self {
            Self::RoleNotAssumable => ConnectionErrorCode::RoleNotAssumable,
            Self::TrustPolicyTooOpen => ConnectionErrorCode::TrustPolicyTooOpen,
            Self::BucketNotFound => ConnectionErrorCode::BucketNotFound,
            Self::BucketInAnotherRegion { .. } => ConnectionErrorCode::BucketInAnotherRegion,
            Self::WriteDenied => ConnectionErrorCode::WriteDenied,
            Self::KmsDenied => ConnectionErrorCode::KmsDenied,
            Self::KmsKeyUnusable => ConnectionErrorCode::KmsKeyUnusable,
            Self::AccessKeyUnknown => ConnectionErrorCode::AccessKeyUnknown,
            Self::SecretAccessKeyWrong => ConnectionErrorCode::SecretAccessKeyWrong,
            Self::RegionDisabled => ConnectionErrorCode::RegionDisabled,
            Self::EndpointUnreachable => ConnectionErrorCode::EndpointUnreachable,
        }
    }

    /// The sentence for the customer.
    #[must_use]
    pub fn explain(&self, destination: &Destination) -> ConnectionError {
        let bucket = &destination.bucket_name;
        let region = &destination.region;
        let message = match self {
            Self::RoleNotAssumable => "The role can't be assumed. Check that it exists and that its trust policy allows \
                sts:AssumeRole to this service's account, with this configuration's id as sts:ExternalId. A change in IAM \
                can take a minute to arrive: then test again."
                .to_owned(),
            Self::TrustPolicyTooOpen => "The role can be assumed without this configuration's external ID, so other \
                customers of this service could use it. Require sts:ExternalId to equal this configuration's id in the \
                role's trust policy (StringEquals), in each statement that allows sts:AssumeRole to this service."
                .to_owned(),
            Self::BucketNotFound => {
                format!("There is no bucket {bucket}. Create it in {region}, or correct bucketName.")
            }
            Self::BucketInAnotherRegion { actual: Some(actual) } => {
                format!("The bucket {bucket} is in {actual}, not in {region}. Set region to {actual}.")
            }
            Self::BucketInAnotherRegion { actual: None } => {
                format!("The bucket {bucket} is not in {region}. Set region to the bucket's own.")
            }
            Self::WriteDenied => format!(
                "Writing to the bucket {bucket} was denied. Allow s3:PutObject on the export's prefix in the policy of the \
                 role or user and, across accounts, in the bucket policy; see that no policy denies it; and check that the \
                 bucket belongs to the expected account: a wrong expectedBucketOwner is denied in the same way."
            ),
            Self::KmsDenied => "The bucket's KMS key can't be used. Allow kms:GenerateDataKey and kms:Decrypt on it in the \
                policy of the role or user and, across accounts, in the key policy. If kmsKeyArn is set, it must be the key \
                that the bucket encrypts with."
                .to_owned(),
            Self::KmsKeyUnusable => {
                "The bucket's KMS key is disabled, pending deletion or missing. Enable it, or give the bucket another key."
                    .to_owned()
            }
            Self::AccessKeyUnknown => "AWS doesn't know the access key, or it is inactive. Activate it, or give an active \
                access key of the IAM user. If the bucket's region is not enabled by default, enable it in the user's account."
                .to_owned(),
            Self::SecretAccessKeyWrong => "The secret access key doesn't belong to the access key id. Give the pair that \
                IAM showed when the access key was created."
                .to_owned(),
            Self::RegionDisabled => format!(
                "AWS STS isn't activated for {region} in the role's account. Enable the region in the account's settings, \
                 or choose a bucket in an enabled region."
            ),
            Self::EndpointUnreachable => {
                format!("AWS can't be reached in {region}. Check that the region exists; if it does, test again later.")
            }
        };
        ConnectionError { code: self.code(), message }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::configuration::bucket::BucketName;

    #[test]
    fn every_code_has_one_name_in_the_store_and_in_the_api() {
        for code in ConnectionErrorCode::ALL {
            assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{code}\""));
        }
    }

    #[test]
    fn every_outcome_but_silence_is_an_answer() {
        let checked_at = Timestamp::EPOCH;
        assert!(!Connection::Pending.has_answered());
        assert!(Connection::Success { checked_at }.has_answered());
        for code in ConnectionErrorCode::ALL {
            let error = ConnectionError { code: *code, message: String::new() };
            let has_answered = Connection::Failed { checked_at, error }.has_answered();
            assert_eq!(has_answered, *code != ConnectionErrorCode::EndpointUnreachable, "{code}");
        }
    }

    #[test]
    fn the_region_is_named_if_it_is_known() {
        let destination = Destination {
            bucket_name: BucketName::parse("acme").unwrap(),
            bucket_path: None,
            region: Region::parse("us-east-1").unwrap(),
            kms_key_arn: None,
            expected_bucket_owner: None,
        };
        let failure = ConnectionFailure::BucketInAnotherRegion { actual: Region::parse("eu-west-1").ok() };
        assert!(failure.explain(&destination).message.contains("Set region to eu-west-1"));
    }
}

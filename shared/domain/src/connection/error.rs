//! Connection errors as the customer sees them: stable codes with their explanations.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use crate::{explanation::Explanation, named::named};

/// A failed connection: a stable code, and a message that says what to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionError {
    pub code: ConnectionErrorCode,
    pub message: String,
}

/// The kinds of failures on the customer's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum ConnectionErrorCode {
    RoleNotAssumable,
    TrustPolicyTooOpen,
    BucketNotFound,
    BucketInAnotherRegion,
    WriteDenied,
    KmsDenied,
    KmsKeyUnusable,
    KmsRefused,
    BucketRefused,
    StsRefused,
    AccessKeyUnknown,
    SecretAccessKeyWrong,
    RegionDisabled,
    EndpointUnreachable,
    EndpointNotPublic,
    ConditionalWritesMissing,
    ChecksumsMissing,
}

named!(ConnectionErrorCode);

impl ConnectionErrorCode {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the explanation, for the list of all codes.
    #[must_use]
    pub fn explanation(self) -> Explanation {
        let (meaning, remedy) = match self {
            Self::RoleNotAssumable => (
                "The role can't be assumed: it doesn't exist, or its trust policy doesn't allow it.",
                "Create the role, and allow sts:AssumeRole to the service's account with the configuration's externalId as \
                 sts:ExternalId. Changes in IAM can take a minute to take effect.",
            ),
            Self::TrustPolicyTooOpen => (
                "The role can be assumed without the configuration's external ID, so other customers of the service could \
                 use it.",
                "Require sts:ExternalId to equal the configuration's externalId in each statement of the trust policy that \
                 names the service.",
            ),
            Self::BucketNotFound => ("The bucket doesn't exist.", "Create the bucket, or correct bucketName."),
            Self::BucketInAnotherRegion => {
                ("The bucket is in another Region than the configuration says.", "Set region to the bucket's Region.")
            }
            Self::WriteDenied => (
                "Writing to the bucket was denied.",
                "Allow s3:PutObject on the export's prefix to the role or user. Across accounts, allow s3:PutObject and \
                 s3:PutObjectAcl to the role or user and in the bucket policy. Check that no policy denies the write or \
                 requires a header that is not sent, and that expectedBucketOwner is the bucket's account. A replay writes \
                 under a path of its own: print the policies for it with replayBucketPath (config policies --replay-path).",
            ),
            Self::KmsDenied => (
                "The role or user is not allowed to use the bucket's KMS key.",
                "Allow kms:GenerateDataKey and kms:Decrypt on the key and, across accounts, in the key policy. The AWS \
                 managed key (aws/s3) can't be used across accounts: encrypt the bucket with a customer managed key, and \
                 set kmsKeyArn to it.",
            ),
            Self::KmsKeyUnusable => (
                "The bucket's KMS key is disabled, pending deletion or missing.",
                "Enable the key, or encrypt the bucket with another one.",
            ),
            Self::KmsRefused => (
                "KMS refused to encrypt with the bucket's key. The message has the code of KMS.",
                "Look the code up among the errors of KMS's GenerateDataKey, and correct the key or encrypt the bucket with \
                 another one: a symmetric encryption key in the bucket's Region.",
            ),
            Self::BucketRefused => (
                "S3 refused to write to the bucket with a code that has no entry here. The message has the code of S3.",
                "Look the code up in the list of S3's error codes, and correct the bucket or its account.",
            ),
            Self::StsRefused => (
                "STS refused the role or access key with a code that has no entry here. The message has the code of STS.",
                "Look the code up in the list of STS's common errors, and correct the role, the access key or their \
                 account.",
            ),
            Self::AccessKeyUnknown => (
                "AWS doesn't know the access key, or it is inactive.",
                "Activate it, or give an active access key of the IAM user. If the Region is not enabled by default, enable \
                 it in the user's account.",
            ),
            Self::SecretAccessKeyWrong => (
                "The secret access key doesn't belong to the access key ID.",
                "Give the pair that IAM showed when the access key was created.",
            ),
            Self::RegionDisabled => (
                "AWS STS isn't activated for the bucket's Region in the role's account, or in the service's.",
                "Enable the Region in the account's settings, or choose a bucket in an enabled one. For the service's account, ask \
                 its operator.",
            ),
            Self::EndpointUnreachable => (
                "The endpoints of AWS in the Region, or the server of endpointUrl, can't be reached.",
                "Check that the Region exists. For a server, check endpointUrl, and that it answers over HTTPS with a certificate \
                 of a public authority. Then test again later.",
            ),
            Self::EndpointNotPublic => (
                "The name of the server of endpointUrl has an address that is not public.",
                "Let the name have public addresses only. The service can't connect to private networks.",
            ),
            Self::ConditionalWritesMissing => (
                "The server of endpointUrl ignored If-None-Match: *, so files could be overwritten.",
                "Use a server or version with conditional writes: PutObject with If-None-Match: * has to answer 412 if the object \
                 exists. The customer's guide lists servers that were tried.",
            ),
            Self::ChecksumsMissing => (
                "The server of endpointUrl accepted bytes that differ from their announced SHA-256 (x-amz-content-sha256), so a \
                 damaged file could be stored.",
                "Use a server or version that checks the hash of a signed payload, and no proxy in front of it that removes it.",
            ),
        };
        Explanation { meaning, remedy }
    }
}

impl fmt::Display for ConnectionErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_name_in_the_store_and_in_the_api() {
        for code in ConnectionErrorCode::ALL {
            assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{code}\""));
        }
    }
}

//! Whether we can write to the customer's bucket, and if not, what the customer has to change.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    configuration::{Destination, region::Region},
    error_code::Explanation,
    policy::AccountScope,
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
        "Allow s3:PutObject on the export's prefix to the role or user and, across accounts, s3:PutObject and \
         s3:PutObjectAcl both there and in the bucket policy; see that no policy denies it, or demands a header that is not \
         sent, and that expectedBucketOwner is the bucket's account.";
    KmsDenied = "KMS_DENIED",
        "The bucket's KMS key can't be used by the role or user.",
        "Allow kms:GenerateDataKey and kms:Decrypt on it and, across accounts, in the key policy; the AWS managed key \
         (aws/s3) can't be used across accounts: give the bucket a key of your own, and set kmsKeyArn to it.";
    KmsKeyUnusable = "KMS_KEY_UNUSABLE",
        "The bucket's KMS key is disabled, pending deletion or missing.",
        "Enable the key, or give the bucket another one.";
    KmsRefused = "KMS_REFUSED",
        "KMS refused to encrypt with the bucket's key; the message has KMS's code.",
        "Look the code up among the errors of KMS's GenerateDataKey, and correct the key or give the bucket another one: a \
         symmetric key for encryption, in the bucket's Region.";
    BucketRefused = "BUCKET_REFUSED",
        "S3 refused to write to the bucket for a reason that has no code here; the message has S3's code.",
        "Look S3's code up in its list of error codes, and correct the bucket or its account.";
    StsRefused = "STS_REFUSED",
        "STS refused the role or access key for a reason that has no code here; the message has STS's code.",
        "Look STS's code up in its list of common errors, and correct the role, the access key or their account.";
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

/// The longest code that is taken over from AWS, in bytes. The longest of KMS has 59 with the prefix that S3 gives it.
const MAX_AWS_ERROR_CODE_LENGTH: usize = 64;

/// An error code of AWS, such as `NotSignedUp` or `KMS.InvalidKeyUsageException`: short, and of characters that are safe in
/// every message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsErrorCode(String);

impl AwsErrorCode {
    /// Returns `None` if `text` is not of the form of AWS's codes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_code = (1..=MAX_AWS_ERROR_CODE_LENGTH).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        is_code.then(|| Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A refusal of AWS in its own terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `None`: AWS gave none, or none of the form of its codes.
    pub code: Option<AwsErrorCode>,
    /// Of HTTP.
    pub status: u16,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(formatter, "`{}` (HTTP {})", code.as_str(), self.status),
            None => write!(formatter, "HTTP status {}", self.status),
        }
    }
}

impl Refusal {
    /// What to do about the codes of S3 that are met in practice.
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.
    fn s3_remedy(&self) -> &'static str {
        match self.code.as_ref().map(AwsErrorCode::as_str) {
            Some("NotSignedUp") => "The AWS account is not signed up for Amazon S3: complete its registration.",
            Some("InvalidToken") => "Check that the bucket's Region is enabled in the account of the role.",
            Some("MethodNotAllowed") => "Objects can't be put there: use a general purpose bucket.",
            Some("InvalidBucketState") => "Check the bucket's Object Lock, versioning and replication settings.",
            Some("InvalidRequest") => "Check the bucket's settings: encryption, Object Lock and Object Ownership.",
            Some("OperationAborted") => {
                "Another operation on the bucket is in progress, such as its creation or deletion: test again when it is \
                 done."
            }
            Some("KeyTooLongError") => "Shorten bucketPath.",
            _ => "Correct the bucket or its account.",
        }
    }

    /// Source: <https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html#API_GenerateDataKey_Errors>.
    fn kms_remedy(&self) -> &'static str {
        match self.code.as_ref().map(AwsErrorCode::as_str) {
            Some("KMS.InvalidKeyUsageException" | "KMS.UnsupportedOperationException") => {
                "S3 encrypts with symmetric keys for encryption alone: give the bucket such a key."
            }
            Some("KMS.InvalidArnException") => "Correct the ARN of the key in the bucket's default encryption.",
            Some(code) if code.starts_with("KMS.Xks") || code.starts_with("KMS.CloudHsm") => {
                "The key lies in a custom key store: check that the store is connected and that its key can be used."
            }
            _ => "Correct the key, or give the bucket another one.",
        }
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
    /// Any other refusal of KMS when S3 encrypts.
    KmsRefused(Refusal),
    /// Any other refusal of S3.
    BucketRefused(Refusal),
    /// Any other refusal of STS.
    StsRefused(Refusal),
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
            Self::KmsRefused(_) => ConnectionErrorCode::KmsRefused,
            Self::BucketRefused(_) => ConnectionErrorCode::BucketRefused,
            Self::StsRefused(_) => ConnectionErrorCode::StsRefused,
            Self::AccessKeyUnknown => ConnectionErrorCode::AccessKeyUnknown,
            Self::SecretAccessKeyWrong => ConnectionErrorCode::SecretAccessKeyWrong,
            Self::RegionDisabled => ConnectionErrorCode::RegionDisabled,
            Self::EndpointUnreachable => ConnectionErrorCode::EndpointUnreachable,
        }
    }

    /// Returns the code and the sentences for the customer. `scope` is that of the writer and the bucket.
    #[must_use]
    pub fn explain(&self, destination: &Destination, scope: AccountScope) -> ConnectionError {
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
            Self::WriteDenied => explain_denied_write(destination, scope),
            Self::KmsDenied => explain_denied_key(destination, scope),
            Self::KmsKeyUnusable => {
                "The bucket's KMS key is disabled, pending deletion or missing. Enable it, or give the bucket another key."
                    .to_owned()
            }
            Self::KmsRefused(refusal) => format!(
                "KMS refused to encrypt with the bucket's key: {refusal}. {} The code is explained in \
                 https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html.",
                refusal.kms_remedy()
            ),
            Self::BucketRefused(refusal) => format!(
                "S3 refused to write to the bucket {bucket}: {refusal}. {} The code is explained in \
                 https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.",
                refusal.s3_remedy()
            ),
            Self::StsRefused(refusal) => format!(
                "STS refused the role or access key: {refusal}. Correct it or its account; if `PackedPolicyTooLarge` is \
                 the code, shorten bucketPath. The code is explained in \
                 https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html."
            ),
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

fn explain_denied_write(destination: &Destination, scope: AccountScope) -> String {
    let bucket = &destination.bucket_name;
    let actions = match scope {
        AccountScope::Same => {
            "Allow s3:PutObject on the export's prefix in the policy of the role or user and, across accounts, in the bucket \
             policy"
        }
        AccountScope::Cross => {
            "The bucket belongs to another account, so every write gives that account full control of the object \
             (x-amz-acl: bucket-owner-full-control): allow s3:PutObject and s3:PutObjectAcl on the export's prefix both in \
             the policy of the role or user and in the bucket policy"
        }
    };
    let encryption = match destination.kms_key_arn {
        Some(_) => "x-amz-server-side-encryption: aws:kms with kmsKeyArn",
        None => "no encryption header unless kmsKeyArn is set",
    };
    format!(
        "Writing to the bucket {bucket} was denied. {actions}; see that no policy denies it, or demands a header that is \
         not sent (sent are If-None-Match: *, a SHA-256 checksum, and {encryption}); and check that the bucket belongs to \
         the expected account: a wrong expectedBucketOwner is denied in the same way."
    )
}

/// Nobody of another account can be permitted to use the AWS managed key, because its policy can't be changed:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#aws-managed-customer-managed-keys>.
fn explain_denied_key(destination: &Destination, scope: AccountScope) -> String {
    let permissions = "The bucket's KMS key can't be used. Allow kms:GenerateDataKey and kms:Decrypt on it in the policy of \
                       the role or user and, across accounts, in the key policy.";
    match (scope, &destination.kms_key_arn) {
        (AccountScope::Cross, key) => {
            let then = if key.is_some() { "set kmsKeyArn to its ARN" } else { "give its ARN as kmsKeyArn" };
            format!(
                "{permissions} If it is the AWS managed key (aws/s3), nobody of another account can be allowed to use it: \
                 give the bucket a key of your own, and {then}."
            )
        }
        (AccountScope::Same, Some(_)) => format!("{permissions} Files are encrypted with the key of kmsKeyArn."),
        (AccountScope::Same, None) => {
            format!("{permissions} If kmsKeyArn names it, the printed policies have all that.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::{arn::KmsKeyArn, bucket::BucketName};

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

    fn destination(kms_key_arn: Option<&str>) -> Destination {
        Destination {
            bucket_name: BucketName::parse("acme").unwrap(),
            bucket_path: None,
            region: Region::parse("us-east-1").unwrap(),
            kms_key_arn: kms_key_arn.map(|arn| KmsKeyArn::parse(arn).unwrap()),
            expected_bucket_owner: None,
        }
    }

    #[test]
    fn the_region_is_named_if_it_is_known() {
        let failure = ConnectionFailure::BucketInAnotherRegion { actual: Region::parse("eu-west-1").ok() };
        let error = failure.explain(&destination(None), AccountScope::Same);
        assert!(error.message.contains("Set region to eu-west-1"));
    }

    #[test]
    fn only_what_looks_like_a_code_of_aws_reaches_a_message() {
        for code in ["NotSignedUp", "KMS.XksProxyVpcEndpointServiceInvalidConfigurationException", "a", &"x".repeat(64)]
        {
            assert_eq!(AwsErrorCode::parse(code).unwrap().as_str(), code);
        }
        for text in ["", "two words", "<Code>", "a\nb", "a`b", "ünknown", ".a", "1a", "\u{1b}[2J", &"x".repeat(65)] {
            assert_eq!(AwsErrorCode::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_refusal_is_explained_with_the_code_of_aws() {
        let refusal = |code: &str, status| Refusal { code: AwsErrorCode::parse(code), status };
        let table = [
            (
                ConnectionFailure::BucketRefused(refusal("NotSignedUp", 403)),
                "`NotSignedUp` (HTTP 403). The AWS account is not",
            ),
            (
                ConnectionFailure::BucketRefused(refusal("Unheard.Of", 418)),
                "`Unheard.Of` (HTTP 418). Correct the bucket",
            ),
            (ConnectionFailure::BucketRefused(refusal("no code", 405)), "acme: HTTP status 405. Correct the bucket"),
            (
                ConnectionFailure::StsRefused(refusal("ValidationError", 400)),
                "access key: `ValidationError` (HTTP 400).",
            ),
            (
                ConnectionFailure::KmsRefused(refusal("KMS.InvalidKeyUsageException", 400)),
                "`KMS.InvalidKeyUsageException` (HTTP 400). S3 encrypts with symmetric keys",
            ),
            (
                ConnectionFailure::KmsRefused(refusal("KMS.XksProxyUriUnreachableException", 400)),
                "The key lies in a custom key store",
            ),
        ];
        for (failure, words) in table {
            let error = failure.explain(&destination(None), AccountScope::Same);
            assert!(error.message.contains(words), "{}", error.message);
            assert_eq!(error.code, failure.code());
        }
    }

    #[test]
    fn a_denial_across_accounts_names_what_only_that_needs() {
        let key = "arn:aws:kms:us-east-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        let message = |failure: &ConnectionFailure, key, scope| failure.explain(&destination(key), scope).message;
        for key in [None, Some(key)] {
            let same = message(&ConnectionFailure::WriteDenied, key, AccountScope::Same);
            assert!(same.contains("s3:PutObject") && !same.contains("s3:PutObjectAcl"), "{same}");
            assert!(message(&ConnectionFailure::WriteDenied, key, AccountScope::Cross).contains("s3:PutObjectAcl"));

            let own_key = "give the bucket a key of your own";
            assert!(!message(&ConnectionFailure::KmsDenied, key, AccountScope::Same).contains(own_key));
            assert!(message(&ConnectionFailure::KmsDenied, key, AccountScope::Cross).contains(own_key));
        }
    }

    #[test]
    fn a_denied_write_names_the_headers_that_a_policy_may_demand() {
        let key = "arn:aws:kms:us-east-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        for (key, words) in
            [(Some(key), "x-amz-server-side-encryption: aws:kms"), (None, "no encryption header unless")]
        {
            let error = ConnectionFailure::WriteDenied.explain(&destination(key), AccountScope::Same);
            assert!(error.message.contains(words), "{}", error.message);
            assert!(error.message.contains("If-None-Match: *"), "{}", error.message);
        }
    }
}

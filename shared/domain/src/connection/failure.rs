//! Failures on the customer's side, and the messages that say what to change.

use super::{error::ConnectionErrorCode, refusal::Refusal};
use crate::{
    configuration::{Destination, Layout, region::Region},
    policy::AccountScope,
};

/// A failure that the customer can fix, with what is known about its cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.code())]
pub enum ConnectionFailure {
    /// STS refused the role, or the role does not exist: STS does not distinguish the two.
    RoleNotAssumable,
    /// STS granted the role without the external ID, or with another one.
    TrustPolicyTooOpen,
    BucketNotFound,
    /// S3 may name the Region of the bucket.
    BucketInAnotherRegion {
        actual: Option<Region>,
    },
    WriteDenied,
    KmsDenied,
    /// The key is disabled, pending deletion, or missing.
    KmsKeyUnusable,
    /// Any other refusal of KMS when S3 encrypts.
    KmsRefused(Refusal),
    /// Any other refusal of S3.
    BucketRefused(Refusal),
    /// Any other refusal of STS.
    StsRefused(Refusal),
    AccessKeyUnknown,
    SecretAccessKeyWrong,
    /// STS isn't activated for the bucket's Region in the role's account.
    RegionDisabled,
    /// STS doesn't know the service's own credentials in the bucket's Region: the service's account has not enabled it.
    RegionNotOffered,
    /// There is no connection to the Region's endpoint, or no answer from it: usually the Region does not exist.
    EndpointUnreachable,
    /// The name of a server has an address that is not public.
    EndpointNotPublic,
    /// A server replaced an object although the write was conditional.
    ConditionalWritesMissing,
    /// A server accepted bytes that differ from their announced hash.
    ChecksumsMissing,
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
            Self::RegionDisabled | Self::RegionNotOffered => ConnectionErrorCode::RegionDisabled,
            Self::EndpointUnreachable => ConnectionErrorCode::EndpointUnreachable,
            Self::EndpointNotPublic => ConnectionErrorCode::EndpointNotPublic,
            Self::ConditionalWritesMissing => ConnectionErrorCode::ConditionalWritesMissing,
            Self::ChecksumsMissing => ConnectionErrorCode::ChecksumsMissing,
        }
    }

    /// Explains a failure of a bucket in AWS.
    pub(super) fn explain_in(&self, region: &Region, destination: &Destination, scope: AccountScope) -> String {
        let bucket = &destination.bucket_name;
        match self {
            Self::RoleNotAssumable if destination.layout == Layout::SecurityLake => "The role can't be assumed. Security \
                Lake creates it with the custom source: check that roleArn is that role, and that the source has this \
                service's account and, as its external ID, this configuration's id. Changes in IAM can take a minute to \
                take effect: then test again."
                .to_owned(),
            Self::RoleNotAssumable => "The role can't be assumed. Check that it exists and that its trust policy allows \
                sts:AssumeRole to this service's account, with this configuration's id as sts:ExternalId. Changes in IAM \
                can take a minute to take effect: then test again."
                .to_owned(),
            Self::TrustPolicyTooOpen => "The role can be assumed without this configuration's external ID, so other \
                customers of this service could use it. Require sts:ExternalId to equal this configuration's id in the \
                role's trust policy (StringEquals), in each statement that allows sts:AssumeRole to this service."
                .to_owned(),
            Self::BucketNotFound => {
                format!("The bucket {bucket} doesn't exist. Create it in {region}, or correct bucketName.")
            }
            Self::BucketInAnotherRegion { actual: Some(actual) } => {
                format!("The bucket {bucket} is in {actual}, not in {region}. Set region to {actual}.")
            }
            Self::BucketInAnotherRegion { actual: None } => {
                format!("The bucket {bucket} is not in {region}. Set region to the bucket's Region.")
            }
            Self::WriteDenied => explain_denied_write(destination, scope),
            Self::KmsDenied => explain_denied_key(destination, scope),
            Self::KmsKeyUnusable => "The bucket's KMS key is disabled, pending deletion or missing. Enable it, or encrypt \
                the bucket with another key."
                .to_owned(),
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
                "STS refused the role or access key: {refusal}. Correct it or its account; if the code is \
                 `PackedPolicyTooLarge`, shorten bucketPath. The code is explained in \
                 https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html."
            ),
            Self::AccessKeyUnknown => "AWS doesn't know the access key, or it is inactive. Activate it, or give an active \
                access key of the IAM user. If the bucket's Region is not enabled by default, enable it in the user's \
                account."
                .to_owned(),
            Self::SecretAccessKeyWrong => "The secret access key doesn't belong to the access key ID. Give the pair that \
                IAM showed when the access key was created."
                .to_owned(),
            Self::RegionDisabled => format!(
                "AWS STS isn't activated for {region} in the role's account. Enable the Region in the account's settings, \
                 or choose a bucket in an enabled Region."
            ),
            Self::RegionNotOffered => format!(
                "This service doesn't offer roles for buckets in {region}: the Region is not enabled in the service's AWS \
                 account. Choose a bucket in another Region, or ask the operator of the service to enable {region}."
            ),
            Self::EndpointUnreachable => format!(
                "The endpoints of AWS in {region} can't be reached. Check that the Region exists. If it does, test again \
                 later."
            ),
            // AWS has all of it.
            Self::EndpointNotPublic | Self::ConditionalWritesMissing | Self::ChecksumsMissing => {
                self.code().explanation().remedy.to_owned()
            }
        }
    }
}

fn explain_denied_write(destination: &Destination, scope: AccountScope) -> String {
    let bucket = &destination.bucket_name;
    let actions = match scope {
        AccountScope::Same => {
            "Allow s3:PutObject on the export's prefix in the policy of the role or user and, across accounts, in the bucket \
             policy."
        }
        AccountScope::Cross => {
            "The bucket belongs to another account, so every write gives that account full control of the object \
             (x-amz-acl: bucket-owner-full-control): allow s3:PutObject and s3:PutObjectAcl on the export's prefix both in \
             the policy of the role or user and in the bucket policy."
        }
    };
    let encryption = match destination.kms_key_arn {
        Some(_) => "x-amz-server-side-encryption: aws:kms with kmsKeyArn",
        None => "no encryption header unless kmsKeyArn is set",
    };
    let source = match destination.layout {
        Layout::Folder => "",
        Layout::SecurityLake => "Check that bucketPath is the path of the custom source. ",
    };
    format!(
        "Writing to the bucket {bucket} was denied. {source}{actions} Check that no policy denies the write or requires a header \
         that is not sent (sent are If-None-Match: *, a SHA-256 checksum, and {encryption}). Check that the bucket belongs \
         to the expected account: a wrong expectedBucketOwner is denied in the same way."
    )
}

/// Explains a denied KMS key. Other accounts can't be allowed to use the AWS managed key, because its policy can't be changed:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#aws-managed-customer-managed-keys>.
fn explain_denied_key(destination: &Destination, scope: AccountScope) -> String {
    let permissions = "The bucket's KMS key can't be used. Allow kms:GenerateDataKey and kms:Decrypt on it in the policy of \
                       the role or user and, across accounts, in the key policy.";
    match (scope, &destination.kms_key_arn) {
        (AccountScope::Cross, _) => format!(
            "{permissions} The AWS managed key (aws/s3) can't be used across accounts: if the bucket has it, encrypt the \
             bucket with a customer managed key, and set kmsKeyArn to its ARN."
        ),
        (AccountScope::Same, Some(_)) => format!("{permissions} Files are encrypted with the key of kmsKeyArn."),
        (AccountScope::Same, None) => {
            format!("{permissions} If kmsKeyArn names the key, the printed policies include these permissions.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        configuration::{arn::KmsKeyArn, bucket::BucketName},
        connection::AwsErrorCode,
    };

    fn destination(kms_key_arn: Option<&str>) -> Destination {
        Destination {
            bucket_name: BucketName::parse("acme").unwrap(),
            bucket_path: None,
            site: Region::parse("us-east-1").unwrap().into(),
            kms_key_arn: kms_key_arn.map(|arn| KmsKeyArn::parse(arn).unwrap()),
            expected_bucket_owner: None,
            layout: crate::configuration::Layout::default(),
        }
    }

    #[test]
    fn the_region_is_named_if_it_is_known() {
        let failure = ConnectionFailure::BucketInAnotherRegion { actual: Region::parse("eu-west-1").ok() };
        let error = failure.explain(&destination(None), AccountScope::Same);
        assert!(error.message.contains("Set region to eu-west-1"));
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
                "`KMS.InvalidKeyUsageException` (HTTP 400). S3 encrypts with symmetric encryption keys",
            ),
            (
                ConnectionFailure::KmsRefused(refusal("KMS.XksProxyUriUnreachableException", 400)),
                "The key is in a custom key store",
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

            let own_key = "a customer managed key";
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

//! The messages of failures of S3 servers other than AWS's.

use super::failure::ConnectionFailure;
use crate::configuration::{S3Server, bucket::BucketName};

/// Explains a failure of a bucket on a server.
pub(super) fn explain(failure: &ConnectionFailure, bucket: &BucketName, server: &S3Server) -> String {
    let S3Server { endpoint, region } = server;
    match failure {
        ConnectionFailure::BucketNotFound => {
            format!("The bucket {bucket} doesn't exist on {endpoint}. Create it, or correct bucketName or endpointUrl.")
        }
        ConnectionFailure::BucketInAnotherRegion { actual } => {
            let advice = match actual {
                Some(actual) => format!("Set region to {actual}."),
                None => "Set region to the one that the server's documentation names for signatures.".to_owned(),
            };
            format!("The server {endpoint} doesn't accept the region {region} for the bucket {bucket}. {advice}")
        }
        ConnectionFailure::WriteDenied => format!(
            "Writing to the bucket {bucket} on {endpoint} was denied. Allow the access key to put objects under the export's \
             prefix. Check the access key ID and its secret as well, because some servers answer the same to wrong ones. Check that \
             no policy denies the write or requires a header that is not sent: sent is If-None-Match: *."
        ),
        ConnectionFailure::AccessKeyUnknown => {
            format!("The server {endpoint} doesn't know the access key, or it is inactive. Give an active access key.")
        }
        ConnectionFailure::SecretAccessKeyWrong => format!(
            "The server {endpoint} doesn't accept the signature. Give the secret that belongs to the access key ID, and check \
             that region is the one that the server expects, and that no proxy in front of it changes requests."
        ),
        ConnectionFailure::EndpointUnreachable => format!(
            "The server {endpoint} can't be reached. Check endpointUrl, that the server answers over HTTPS from the internet, and \
             that its certificate is of a public authority. Then test again."
        ),
        ConnectionFailure::EndpointNotPublic => format!(
            "The name of the server {endpoint} has an address that is not public. Let it have public addresses only: the service \
             can't connect to private networks."
        ),
        ConnectionFailure::ConditionalWritesMissing => format!(
            "The server {endpoint} replaced the object .immuta.export.log although the write had If-None-Match: *. Files could \
             be overwritten, so nothing is exported to it. Use a server or version with conditional writes."
        ),
        ConnectionFailure::ChecksumsMissing => format!(
            "The server {endpoint} accepted bytes that differ from their announced SHA-256 (x-amz-content-sha256). A damaged file \
             could be stored, so nothing is exported to it. Use a server or version that checks the hash."
        ),
        ConnectionFailure::BucketRefused(refusal) => format!(
            "The server {endpoint} refused to write to the bucket {bucket}: {refusal}. {} Look the code up in the server's \
             documentation.",
            refusal.server_remedy()
        ),
        // They are about roles, KMS and STS, which a server doesn't have.
        ConnectionFailure::RoleNotAssumable
        | ConnectionFailure::TrustPolicyTooOpen
        | ConnectionFailure::KmsDenied
        | ConnectionFailure::KmsKeyUnusable
        | ConnectionFailure::KmsRefused(_)
        | ConnectionFailure::StsRefused(_)
        | ConnectionFailure::RegionDisabled
        | ConnectionFailure::RegionNotOffered => failure.code().explanation().remedy.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        configuration::{region::Region, test_support::on_server},
        connection::{AwsErrorCode, Refusal},
        policy::AccountScope,
    };

    #[test]
    fn a_failure_of_a_server_names_it_and_nothing_of_aws() {
        let refusal = Refusal { code: AwsErrorCode::parse("NotImplemented"), status: 501 };
        for (failure, words) in [
            (ConnectionFailure::BucketNotFound, "The bucket acme-audit doesn't exist on"),
            (ConnectionFailure::BucketInAnotherRegion { actual: None }, "doesn't accept the region garage"),
            (
                ConnectionFailure::BucketInAnotherRegion { actual: Region::parse("eu-west-1").ok() },
                "Set region to eu-west-1",
            ),
            (ConnectionFailure::WriteDenied, "Allow the access key to put objects"),
            (ConnectionFailure::AccessKeyUnknown, "Give an active access key"),
            (ConnectionFailure::SecretAccessKeyWrong, "doesn't accept the signature"),
            (ConnectionFailure::EndpointUnreachable, "can't be reached"),
            (ConnectionFailure::EndpointNotPublic, "not public"),
            (ConnectionFailure::ConditionalWritesMissing, "If-None-Match: *"),
            (ConnectionFailure::ChecksumsMissing, "x-amz-content-sha256"),
            (ConnectionFailure::BucketRefused(refusal), "`NotImplemented` (HTTP 501). The server lacks a feature"),
        ] {
            let error = failure.explain(&on_server().destination, AccountScope::Same);
            assert_eq!(error.code, failure.code());
            assert!(error.message.contains(words), "{}", error.message);
            assert!(error.message.contains("https://s3.example.com:3900"), "{}", error.message);
            for word in ["AWS", "IAM", "KMS", "role"] {
                assert!(!error.message.contains(word), "{}", error.message);
            }
        }
    }
}

//! Refusals of AWS that have no code of their own here: they keep the code of AWS.

use std::fmt;

/// The most bytes of an error code of AWS. The longest of KMS has 59 with the prefix of S3.
const MAX_AWS_ERROR_CODE_LENGTH: usize = 64;

/// An error code of AWS, such as `NotSignedUp` or `KMS.InvalidKeyUsageException`: short, and of characters that are safe in
/// every message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsErrorCode(String);

impl AwsErrorCode {
    /// Returns `None` if `text` does not have the form of AWS's codes.
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
    /// `None`: AWS sent no code, or none of the form of its codes.
    pub code: Option<AwsErrorCode>,
    /// The HTTP status.
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
    /// Returns the remedy for the codes of S3 that occur in practice.
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.
    pub(super) fn s3_remedy(&self) -> &'static str {
        match self.code.as_ref().map(AwsErrorCode::as_str) {
            Some("NotSignedUp") => "The AWS account is not signed up for Amazon S3: complete its registration.",
            Some("InvalidToken") => "Check that the bucket's Region is enabled in the account of the role.",
            Some("MethodNotAllowed") => "The bucket accepts no objects: use a general purpose bucket.",
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

    /// Returns the remedy for the codes of other servers that occur in practice.
    pub(super) fn server_remedy(&self) -> &'static str {
        match self.code.as_ref().map(AwsErrorCode::as_str) {
            Some("NotImplemented") => {
                "The server lacks a feature that exports need: conditional writes, or signed payloads."
            }
            Some("KeyTooLongError") => "Shorten bucketPath.",
            _ if self.status == 412 => {
                "The server, or a proxy in front of it, answers 412 although the write has no condition that fails: correct it."
            }
            _ => "Correct the bucket, or its settings on the server.",
        }
    }

    /// Returns the remedy for the codes of KMS.
    /// Source: <https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html#API_GenerateDataKey_Errors>.
    pub(super) fn kms_remedy(&self) -> &'static str {
        match self.code.as_ref().map(AwsErrorCode::as_str) {
            Some("KMS.InvalidKeyUsageException" | "KMS.UnsupportedOperationException") => {
                "S3 encrypts with symmetric encryption keys only: encrypt the bucket with such a key."
            }
            Some("KMS.InvalidArnException") => "Correct the ARN of the key in the bucket's default encryption.",
            Some(code) if code.starts_with("KMS.Xks") || code.starts_with("KMS.CloudHsm") => {
                "The key is in a custom key store: check that the store is connected and that its key can be used."
            }
            _ => "Correct the key, or encrypt the bucket with another one.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}

//! The bucket of an export, and the path in it.

use serde::{Deserialize, Serialize};

use super::{
    field_error::{FieldErrorCode, ValueError},
    text_type::text_type,
};

/// The name of a general purpose bucket.
///
/// Rules: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>. ARNs and the names that S3
/// reserves (access point aliases, directory buckets, table buckets, object Lambda) are refused: they don't name a general
/// purpose bucket. S3's client sends requests for the aliases of Outposts and of directory buckets to other services:
/// <https://docs.aws.amazon.com/AmazonS3/latest/s3-outposts/s3-outposts-access-points-alias.html>.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BucketName(String);

impl BucketName {
    const RESERVED_PREFIXES: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
    const RESERVED_SUFFIXES: [&str; 7] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--xa-s3", "--op-s3", "--table-s3"];

    /// # Errors
    /// `BUCKET_NAME_INVALID`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let invalid = |rule| Err(ValueError::new(FieldErrorCode::BucketNameInvalid, rule));
        if text.starts_with("arn:") {
            return invalid("Give the bucket's name, not its ARN.");
        }
        if Self::RESERVED_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
            || Self::RESERVED_SUFFIXES.iter().any(|suffix| text.ends_with(suffix))
        {
            return invalid(
                "Give the name of a general purpose bucket. Access point aliases, directory buckets, table buckets and names \
                 that S3 reserves are not supported.",
            );
        }
        let is_alphanumeric =
            |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let shaped = (3..=63).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
            && is_alphanumeric(text.bytes().next())
            && is_alphanumeric(text.bytes().next_back())
            && !text.contains("..")
            && text.parse::<std::net::Ipv4Addr>().is_err();
        if shaped {
            Ok(Self(text.to_owned()))
        } else {
            invalid(
                "A bucket name has 3 to 63 lower-case letters, digits, '.' or '-', starts and ends with a letter or a digit, \
                 has no '..' and is not an IP address.",
            )
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The path under which everything is written, without a slash at either end. The bucket's root has no path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BucketPath(String);

/// The most characters of a path. It leaves room for the rest of a key within S3's 1,024 bytes.
pub const MAX_BUCKET_PATH_LENGTH: usize = 256;

impl BucketPath {
    /// Allows S3's safe characters except `*`, which is a wildcard in a policy, and `=` for Hive-style partitions.
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>.
    ///
    /// # Errors
    /// `BUCKET_PATH_INVALID`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!_.'()/=-".contains(&byte);
        let segments_are_names = text.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
        if text.len() <= MAX_BUCKET_PATH_LENGTH && text.bytes().all(allowed) && segments_are_names {
            Ok(Self(text.to_owned()))
        } else {
            Err(ValueError::new(
                FieldErrorCode::BucketPathInvalid,
                "A bucket path has at most 256 characters of A-Z a-z 0-9 ! _ . ' ( ) / = -, no '/' at either end, no '//', \
                 and no segment '.' or '..'. Leave it out to write to the bucket's root.",
            ))
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_type!(BucketName, 0);
text_type!(BucketPath, 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_the_rules_of_s3() {
        let long = "a".repeat(63);
        for good in [
            "abc",
            "my-bucket",
            "my.bucket.1",
            "1bucket",
            "a-b",
            long.as_str(),
            // Row: name in the account regional namespace (`…-an`)
            "logs-111122223333-eu-west-1-an",
        ] {
            assert!(BucketName::parse(good).is_ok(), "{good:?}");
        }
        let too_long = "a".repeat(64);
        for bad in [
            "",
            "ab",
            "My-bucket",
            "my_bucket",
            "-bucket",
            "bucket-",
            ".bucket",
            "bucket.",
            "my..bucket",
            "192.168.5.4",
            "xn--bucket",
            "sthree-bucket",
            "sthree-configurator",
            "amzn-s3-demo-x",
            // Row: alias of an access point, Object Lambda or Multi-Region (`…-s3alias`, `…--ol-s3`, `….mrap`)
            "bucket-s3alias",
            "bucket--ol-s3",
            "bucket.mrap",
            // Row: directory bucket (S3 Express One Zone, Local Zones), and its access points
            "bucket--usw2-az1--x-s3",
            "access--usw2-az1--xa-s3",
            // Row: S3 on Outposts
            "access-o01ac5d28a6a232904e8xz5w5ijx1qzlbp3i3kuse10--op-s3",
            "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01ac5d28a6a232904/accesspoint/x",
            // Row: table bucket
            "bucket--table-s3",
            "arn:aws:s3tables:us-east-1:123456789012:bucket/x",
            // Row: ARN, also of an access point
            "arn:aws:s3:::bucket",
            "arn:aws:s3:us-east-1:123456789012:accesspoint/x",
            "bucket/path",
            "bucket name",
            too_long.as_str(),
            "bücket",
        ] {
            let error = BucketName::parse(bad).unwrap_err();
            assert_eq!(error.code, FieldErrorCode::BucketNameInvalid, "{bad:?}");
        }
    }

    #[test]
    fn bucket_paths_can_only_descend() {
        let longest = "a".repeat(256);
        for good in ["a", "audit/logs", "team=security/it's(new)!", "a.b/..c", longest.as_str()] {
            assert!(BucketPath::parse(good).is_ok(), "{good:?}");
        }
        let too_long = "a".repeat(257);
        for bad in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/./b",
            "a/../b",
            "../a",
            "a*",
            "a b",
            "a?b",
            "a#b",
            "a\\b",
            "ä",
            "a\n",
            "a%2f",
            too_long.as_str(),
        ] {
            assert!(BucketPath::parse(bad).is_err(), "{bad:?}");
        }
    }
}

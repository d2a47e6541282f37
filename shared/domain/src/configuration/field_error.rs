//! Errors in input fields.

use strum::{IntoStaticStr, VariantArray};

use crate::{explanation::Explanation, named::named};

/// An error in one input field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// One of [`super::field`].
    pub field: &'static str,
    pub code: FieldErrorCode,
    /// A sentence that says what to change. It never repeats the value, which may be a secret.
    pub message: String,
}

impl FieldError {
    pub(crate) fn missing(field: &'static str) -> Self {
        Self { field, code: FieldErrorCode::Required, message: format!("Give a value for {field}.") }
    }
}

/// The reason why a field was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum FieldErrorCode {
    Required,
    IntervalInvalid,
    FormatInvalid,
    BucketNameInvalid,
    BucketPathInvalid,
    RegionInvalid,
    RegionPartitionMismatch,
    EndpointUrlInvalid,
    EndpointConflict,
    RoleArnInvalid,
    RolePartitionMismatch,
    RoleInServiceAccount,
    AccessKeyIdInvalid,
    SecretAccessKeyInvalid,
    KmsKeyArnInvalid,
    KmsKeyRegionMismatch,
    AccountIdInvalid,
    DescriptionInvalid,
    StartFromInvalid,
    IdempotencyKeyInvalid,
    WebhookUrlInvalid,
    WebhookSecretInvalid,
    WebhookUrlRepeated,
    WebhooksTooMany,
    FilterEmpty,
    FilterValueInvalid,
    FilterTooManyValues,
    FilterMatchesNothing,
    OcsfConflict,
    OcsfVersionInvalid,
    OcsfClassInvalid,
    OcsfClassRepeated,
    OcsfClassesTooMany,
    RangeInvalid,
    ReplayTimeInvalid,
    ReplayPeriodInvalid,
    ReplayPathOverlaps,
}

named!(FieldErrorCode);

impl FieldErrorCode {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the meaning and the remedy, for the list of all codes.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a table")]
    pub fn explanation(self) -> Explanation {
        let (meaning, remedy) = match self {
            Self::Required => (
                "A required field is missing.",
                "Give the field. A new access key ID needs its secret. To switch between a role and an access key, give the new role \
                 or access key.",
            ),
            Self::IntervalInvalid => (
                "The interval is not supported.",
                "Choose EVERY_2_HOURS, EVERY_4_HOURS, EVERY_6_HOURS, EVERY_12_HOURS or EVERY_24_HOURS.",
            ),
            Self::FormatInvalid => (
                "The format of the objects is not supported.",
                "Choose NDJSON_GZIP, NDJSON_ZSTD, PARQUET or OCSF_PARQUET. Leave it out for NDJSON_GZIP.",
            ),
            Self::BucketNameInvalid => (
                "The value is not a valid name of an S3 bucket.",
                "Give the bucket's name, without s3:// and not its ARN.",
            ),
            Self::BucketPathInvalid => (
                "The value is not a valid path in the bucket.",
                "Use at most 256 characters of A-Z a-z 0-9 ! _ . ' ( ) / = -, with / between segments, and at most 100 with the \
                 format OCSF_PARQUET. Leave it out for the bucket's root.",
            ),
            Self::RegionInvalid => (
                "The value is not an AWS Region code or, with endpointUrl, not the name of a region.",
                "Give the Region of the bucket, for example eu-west-1. With endpointUrl, give the region that the server's \
                 documentation names for signatures, for example us-east-1 or auto.",
            ),
            Self::RegionPartitionMismatch => (
                "The Region is in another partition of AWS than the service.",
                "Choose a bucket in the service's partition, which exportServiceIdentity returns.",
            ),
            Self::EndpointUrlInvalid => (
                "The value is not the URL of an S3 server that the service can write to.",
                "Give https:// with a public host name and, if it is not 443, a port from 1024 on. Leave it out for buckets in AWS.",
            ),
            Self::EndpointConflict => (
                "The field is for buckets in AWS, and can't be combined with endpointUrl.",
                "Leave the field out or, in an update, set it to null.",
            ),
            Self::RoleArnInvalid => (
                "The value is not the ARN of an IAM role.",
                "Copy the ARN from the role's page, for example arn:aws:iam::123456789012:role/audit-export.",
            ),
            Self::RolePartitionMismatch => {
                ("The role is in another partition of AWS than the bucket.", "Use a role of the bucket's partition.")
            }
            Self::RoleInServiceAccount => (
                "The role is in the service's own account, whose roles are never assumed for a customer.",
                "Create the role in your own account.",
            ),
            Self::AccessKeyIdInvalid => (
                "The value is not the access key ID of an IAM user or, with endpointUrl, of a user of that server.",
                "In AWS, give an ID that begins with AKIA. Temporary credentials (ASIA) expire within hours.",
            ),
            Self::SecretAccessKeyInvalid => (
                "The value is not a valid secret access key.",
                "Copy all 40 characters that IAM showed when the access key was created. With endpointUrl, 8 to 256 characters \
                 are accepted.",
            ),
            Self::KmsKeyArnInvalid => {
                ("The value is not the ARN of a KMS key.", "Give the ARN of the key with its ID, not that of an alias.")
            }
            Self::KmsKeyRegionMismatch => (
                "The KMS key is in another Region than the bucket.",
                "Use a key in the bucket's Region: S3 accepts no other.",
            ),
            Self::AccountIdInvalid => {
                ("The value is not an AWS account ID.", "Give the 12 digits of the account that owns the bucket.")
            }
            Self::DescriptionInvalid => {
                ("The description is too long or has control characters.", "Shorten it to one line of 256 characters.")
            }
            Self::StartFromInvalid => {
                ("The start is not valid.", "Give now, earliest, or a time such as 2026-01-31T00:00:00Z.")
            }
            Self::IdempotencyKeyInvalid => (
                "The idempotency key is empty, too long, sent twice, or has characters other than visible ASCII.",
                "Send a UUID, once.",
            ),
            Self::WebhookUrlInvalid => (
                "The value is not the URL of a webhook that the service can send to.",
                "Give an HTTPS URL with a public host name, without user name, port or '#', in at most 1,024 characters.",
            ),
            Self::WebhookSecretInvalid => (
                "The value is not a webhook secret of the Standard Webhooks specification.",
                "Give whsec_ and 24 to 64 random bytes in base 64.",
            ),
            Self::WebhookUrlRepeated => ("Two webhooks have the same URL.", "Give each URL once."),
            Self::WebhooksTooMany => ("The export has more than 3 webhooks.", "Give at most 3 webhooks."),
            Self::FilterEmpty => (
                "A filter, or a list of a filter, has no value.",
                "Leave the list out. For an export of all events, give no filter.",
            ),
            Self::FilterValueInvalid => (
                "A value of a filter is not valid.",
                "Give 1 to 128 bytes without quotation marks, backslashes and control characters. An asterisk may only be the last \
                 character, after at least one other: LOGIN*.",
            ),
            Self::FilterTooManyValues => {
                ("The lists of a filter have more than 50 values.", "Shorten them with values such as POLICY_*.")
            }
            Self::FilterMatchesNothing => (
                "A filter excludes every value that it includes, so nothing would be exported.",
                "Include another value, or exclude less. To export nothing, disable the configuration.",
            ),
            Self::OcsfConflict => (
                "The choices of OCSF are given with another format.",
                "Leave ocsf out, or choose the format OCSF_PARQUET.",
            ),
            Self::OcsfVersionInvalid => (
                "The version of OCSF is not supported.",
                "Choose 1.3.0, which Security Lake accepts for custom sources, or 1.8.0.",
            ),
            Self::OcsfClassInvalid => (
                "A rule has an action, a target type, a class or an activity that is not valid.",
                "Give an action of 1 to 128 printable ASCII characters, one of the classes ACCOUNT_CHANGE, AUTHENTICATION, \
                 ENTITY_MANAGEMENT and API_ACTIVITY, and an activity that the class has. Leave the activity out for Other.",
            ),
            Self::OcsfClassRepeated => (
                "Two rules give the same action and target type different classes or activities.",
                "Remove one of the rules. Words are compared in upper case, with _ for spaces and punctuation.",
            ),
            Self::OcsfClassesTooMany => (
                "There are more than 100 rules.",
                "Give at most 100 rules. An action without a rule becomes API Activity with the activity Other.",
            ),
            Self::RangeInvalid => (
                "The range of a repair is not valid.",
                "Give a time for from that is in the past, and a later one for to.",
            ),
            Self::ReplayTimeInvalid => (
                "A replay does not begin or end at a boundary of the export's interval.",
                "Give one of the two boundaries that the message names, for example 2026-01-31T00:00:00Z.",
            ),
            Self::ReplayPeriodInvalid => (
                "The period of a replay is empty, was not exported yet, or is past its retention.",
                "Give a period before exportedThrough, of which some events are within their retention.",
            ),
            Self::ReplayPathOverlaps => (
                "The path of a replay is equal to, inside or around that of the export itself or of another replay of it.",
                "Give a path apart from them, for example one beside the export's own. To continue a replay that failed or was \
                 cancelled, repeat its request unchanged within 7 days.",
            ),
        };
        Explanation { meaning, remedy }
    }
}

/// A text that the parser of its type refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct ValueError {
    pub code: FieldErrorCode,
    /// A sentence for the caller that describes a valid value.
    pub rule: &'static str,
}

impl ValueError {
    pub(crate) fn new(code: FieldErrorCode, rule: &'static str) -> Self {
        Self { code, rule }
    }

    pub(crate) fn at(self, field: &'static str) -> FieldError {
        FieldError { field, code: self.code, message: self.rule.to_owned() }
    }
}

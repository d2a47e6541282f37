//! What is wrong with an input, field by field.

/// One field that has to change before the input can be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name in the API.
    pub field: &'static str,
    /// Stable; see [`FieldErrorCode::name`].
    pub code: FieldErrorCode,
    /// One sentence that says what to change. It never repeats the value: the value may be a secret.
    pub message: String,
}

/// Why a field was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldErrorCode {
    Required,
    IntervalInvalid,
    BucketNameInvalid,
    BucketPathInvalid,
    RegionInvalid,
    RegionPartitionMismatch,
    RoleArnInvalid,
    RolePartitionMismatch,
    RoleInServiceAccount,
    AccessKeyIdInvalid,
    SecretAccessKeyInvalid,
    KmsKeyArnInvalid,
    KmsKeyRegionMismatch,
    AccountIdInvalid,
    StartFromInvalid,
    IdempotencyKeyInvalid,
}

impl FieldErrorCode {
    pub const ALL: [Self; 16] = [
        Self::Required,
        Self::IntervalInvalid,
        Self::BucketNameInvalid,
        Self::BucketPathInvalid,
        Self::RegionInvalid,
        Self::RegionPartitionMismatch,
        Self::RoleArnInvalid,
        Self::RolePartitionMismatch,
        Self::RoleInServiceAccount,
        Self::AccessKeyIdInvalid,
        Self::SecretAccessKeyInvalid,
        Self::KmsKeyArnInvalid,
        Self::KmsKeyRegionMismatch,
        Self::AccountIdInvalid,
        Self::StartFromInvalid,
        Self::IdempotencyKeyInvalid,
    ];

    /// The stable name that callers may rely on.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Required => "REQUIRED",
            Self::IntervalInvalid => "INTERVAL_INVALID",
            Self::BucketNameInvalid => "BUCKET_NAME_INVALID",
            Self::BucketPathInvalid => "BUCKET_PATH_INVALID",
            Self::RegionInvalid => "REGION_INVALID",
            Self::RegionPartitionMismatch => "REGION_PARTITION_MISMATCH",
            Self::RoleArnInvalid => "ROLE_ARN_INVALID",
            Self::RolePartitionMismatch => "ROLE_PARTITION_MISMATCH",
            Self::RoleInServiceAccount => "ROLE_IN_SERVICE_ACCOUNT",
            Self::AccessKeyIdInvalid => "ACCESS_KEY_ID_INVALID",
            Self::SecretAccessKeyInvalid => "SECRET_ACCESS_KEY_INVALID",
            Self::KmsKeyArnInvalid => "KMS_KEY_ARN_INVALID",
            Self::KmsKeyRegionMismatch => "KMS_KEY_REGION_MISMATCH",
            Self::AccountIdInvalid => "ACCOUNT_ID_INVALID",
            Self::StartFromInvalid => "START_FROM_INVALID",
            Self::IdempotencyKeyInvalid => "IDEMPOTENCY_KEY_INVALID",
        }
    }
}

/// A text that breaks the rule of the type it was parsed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct Invalid {
    pub code: FieldErrorCode,
    /// What a valid value looks like, as a sentence for the caller.
    pub rule: &'static str,
}

impl Invalid {
    pub(super) fn new(code: FieldErrorCode, rule: &'static str) -> Self {
        Self { code, rule }
    }

    pub(super) fn at(self, field: &'static str) -> FieldError {
        FieldError { field, code: self.code, message: self.rule.to_owned() }
    }
}

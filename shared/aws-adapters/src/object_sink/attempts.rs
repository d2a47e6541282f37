//! The attempts of requests to a customer's Region, and the time of each.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::config::{retry::RetryConfig, timeout::TimeoutConfig};

/// The time of one attempt of a request to S3 that has no body; [`attempt_timeout`] adds the time of a body.
pub(crate) const BASE_TIMEOUT: Duration = Duration::from_secs(5);

/// The lowest rate at which a body is sent, in bytes a second.
const MIN_UPLOAD_RATE: u64 = 512 * 1024;

/// The time of one attempt to complete an upload: S3 assembles the parts before it answers.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>.
pub(super) const COMPLETION_TIMEOUT: Duration = Duration::from_secs(15);

/// The attempts of one request to S3, including the first. A run that fails comes back later, and a Region that is out of
/// order must not hold it for longer.
pub(super) const MAX_ATTEMPTS: u32 = 2;

/// Returns the time of one attempt of a request with a body of this length, from its first byte to the answer.
pub(crate) fn attempt_timeout(base: Duration, length: usize) -> Duration {
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    base.saturating_add(Duration::from_millis(length.saturating_mul(1000).div_ceil(MIN_UPLOAD_RATE)))
}

/// Bounds attempts alone. The time to connect stays the SDK's: a different one would separate the connections of these
/// requests from all others.
pub(crate) fn timeout_config(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(attempt).build()
}

/// Returns the retries of `base`, with at most this many attempts.
pub(crate) fn retry_at_most(base: &SdkConfig, attempts: u32) -> RetryConfig {
    let retries = base.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
    let attempts = retries.max_attempts().min(attempts);
    retries.with_max_attempts(attempts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_may_take_as_long_as_its_body_needs() {
        let table = [
            (0, 5000),
            (1, 5001),
            (512 * 1024, 6000),
            (8 * 1024 * 1024, 21_000),
            (16 * 1024 * 1024, 37_000),
            (usize::MAX, 5000 + u64::MAX.div_ceil(MIN_UPLOAD_RATE)),
        ];
        for (length, millis) in table {
            assert_eq!(attempt_timeout(BASE_TIMEOUT, length), Duration::from_millis(millis), "{length} bytes");
        }
        assert!(BASE_TIMEOUT * MAX_ATTEMPTS <= Duration::from_secs(10), "a Region that hangs is given up soon");
    }
}

//! One configuration that all AWS clients of a function share.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

/// Attempts of one AWS operation, the first included. Clients for which a repeat is wrong (the verifier's invocation,
/// ingest's stamped writes) set their own.
pub const MAX_OPERATION_ATTEMPTS: u32 = 3;

/// One attempt of an AWS operation. The longest, a page of 1 MB, takes well under a second; clients that wait longer for a
/// reason (parts of an object, the verifier) set their own.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// The configuration of AWS clients: region, credentials and endpoint from the environment that Lambda sets.
///
/// Cheap at cold start: no request is made. The region is looked for in the environment alone, as the default chain
/// would go on to ask an instance metadata service that Lambda doesn't have; credentials are resolved at the first call.
pub async fn aws_configuration() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(EnvironmentVariableRegionProvider::new())
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build())
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_OPERATION_ATTEMPTS))
        .load()
        .await
}

//! Clients that invoke Lambda functions and wait for the result.

use std::time::Duration;

use aws_sdk_lambda::{
    Client,
    config::{StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig},
};

/// Returns a client with the endpoint and credentials of `client`, but neither its retries nor its time-outs: a repeated
/// invocation would work twice at once, and outlast the caller.
#[must_use]
pub fn single_invocations(client: &Client, connect_timeout: Duration, timeout: Duration) -> Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(connect_timeout)
        .operation_timeout(timeout)
        // Unset values would come from the shared configuration, which is for quick calls.
        .disable_operation_attempt_timeout()
        .disable_read_timeout()
        .build();
    let configuration = client
        .config()
        .to_builder()
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        // A slow response is expected; the time-out above bounds it.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Client::from_conf(configuration.build())
}

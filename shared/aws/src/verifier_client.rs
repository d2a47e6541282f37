//! Asking the verifier function to test a connection.

use std::time::Duration;

use aws_sdk_lambda::{
    Client,
    config::{StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig},
    primitives::Blob,
    types::InvocationType,
};
use domain::{configuration::ConfigurationKey, connection::Connection, verification::VerifierResponse};
use export::ports::PortError;
use serde_json::Value;

use crate::error::port_error;

/// How long an invocation may take: the verifier's own 22 s and the way there and back. It leaves the api function, which
/// has 27 s, time for what comes before and after.
pub const INVOCATION_TIMEOUT: Duration = Duration::from_secs(23);

/// Bytes of a failed invocation's payload that are read for the log.
const MAX_FAILURE_LENGTH: usize = 16 * 1024;

/// Invokes the verifier.
#[derive(Clone, Debug)]
pub struct VerifierClient {
    client: Client,
    function_name: String,
}

impl VerifierClient {
    /// Takes over `client`'s endpoint and credentials, but neither its retries nor its time-outs: a repeated invocation
    /// would test twice at once, and outlast the caller.
    #[must_use]
    pub fn new(client: &Client, function_name: String) -> Self {
        let configuration = client
            .config()
            .to_builder()
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(2))
                    .operation_timeout(INVOCATION_TIMEOUT)
                    .build(),
            )
            // An answer that takes long is what we wait for; the time-out above bounds it.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        Self { client: Client::from_conf(configuration), function_name }
    }

    /// Tests the connection of a stored configuration. The verifier stores the outcome itself. `None`: it found no such
    /// configuration.
    ///
    /// # Errors
    /// Transient if the verifier failed or took too long: nothing is known then. Internal if it may not be invoked, or
    /// its answer isn't understood.
    pub async fn verify(&self, key: &ConfigurationKey) -> Result<Option<Connection>, PortError> {
        let operation = "lambda:Invoke";
        let request = serde_json::to_vec(key).map_err(|error| PortError::internal(operation, error.to_string()))?;
        let answer = self
            .client
            .invoke()
            .function_name(&self.function_name)
            .invocation_type(InvocationType::RequestResponse)
            .payload(Blob::new(request))
            .send()
            .await
            .map_err(|error| port_error(operation, &error))?;
        let payload = answer.payload.unwrap_or_else(|| Blob::new(Vec::new()));
        if let Some(kind) = answer.function_error {
            return Err(PortError::transient(operation, describe_failure(&kind, payload.as_ref())));
        }
        let response: Option<VerifierResponse> = serde_json::from_slice(payload.as_ref())
            .map_err(|error| PortError::internal(operation, format!("the verifier's answer: {error}")))?;
        Ok(response.map(Connection::from))
    }
}

/// What Lambda says of a function that failed: `errorType` and `errorMessage`.
fn describe_failure(kind: &str, payload: &[u8]) -> String {
    let payload: Value = if payload.len() <= MAX_FAILURE_LENGTH {
        serde_json::from_slice(payload).unwrap_or_default()
    } else {
        Value::Null
    };
    let field = |name: &str| payload[name].as_str().unwrap_or("unknown").to_owned();
    format!("the verifier failed ({kind}): {}: {}", field("errorType"), field("errorMessage"))
}

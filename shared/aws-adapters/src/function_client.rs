//! Synchronous invocations of the stack's functions.

use std::time::Duration;

use aws_sdk_lambda::{Client, primitives::Blob, types::InvocationType};
use export_engine::ports::PortError;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{error::port_error, invocation::single_invocations};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes of a failed invocation's payload that are read for the log.
const MAX_FAILURE_LENGTH: usize = 16 * 1024;

/// Invokes one function.
#[derive(Clone, Debug)]
pub struct FunctionClient {
    client: Client,
    function_name: String,
}

impl FunctionClient {
    /// Takes over `client`'s endpoint and credentials.
    #[must_use]
    pub fn new(client: &Client, function_name: String, timeout: Duration) -> Self {
        Self { client: single_invocations(client, CONNECT_TIMEOUT, timeout), function_name }
    }

    #[cfg(test)]
    pub(crate) fn configuration(&self) -> &aws_sdk_lambda::Config {
        self.client.config()
    }

    /// Invokes the function, and waits for its answer.
    ///
    /// # Errors
    /// Transient if the function failed or took too long: nothing is known then. Internal if it may not be invoked, or
    /// its answer isn't understood.
    pub async fn invoke<A: DeserializeOwned>(&self, request: &impl Serialize) -> Result<A, PortError> {
        let operation = "lambda:Invoke";
        let request = serde_json::to_vec(request).map_err(|error| PortError::internal_from(operation, error))?;
        let answer = self
            .client
            .invoke()
            .function_name(&self.function_name)
            .invocation_type(InvocationType::RequestResponse)
            .payload(Blob::new(request))
            .send()
            .await
            .map_err(|error| port_error(operation, error))?;
        let payload = answer.payload.unwrap_or_else(|| Blob::new(Vec::new()));
        if let Some(kind) = answer.function_error {
            return Err(PortError::transient(operation, describe_failure(&kind, payload.as_ref())));
        }
        serde_json::from_slice(payload.as_ref())
            .map_err(|error| PortError::internal(operation, format!("the function's answer: {error}")).caused_by(error))
    }
}

/// Describes a failed function by the `errorType` and `errorMessage` of Lambda.
fn describe_failure(kind: &str, payload: &[u8]) -> String {
    let payload: Value = if payload.len() <= MAX_FAILURE_LENGTH {
        serde_json::from_slice(payload).unwrap_or_default()
    } else {
        Value::Null
    };
    let field = |name: &str| payload[name].as_str().unwrap_or("unknown").to_owned();
    format!("the function failed ({kind}): {}: {}", field("errorType"), field("errorMessage"))
}

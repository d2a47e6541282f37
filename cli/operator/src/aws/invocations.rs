//! Invocations of the stack's functions.

use std::time::Duration;

use aws_sdk_lambda::{
    Client,
    config::{StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig},
    primitives::Blob,
};
use serde_json::Value;

use super::{
    Aws,
    answer::{CONNECT_TIMEOUT, call},
};
use crate::{
    call::Call,
    failure::{CallFailure, CallFailureKind},
    ports::{Invocation, Invocations},
    stack::Function,
};

/// The time limit of an invocation: Lambda's 15 minutes, and the way there and back.
const INVOCATION_TIMEOUT: Duration = Duration::from_mins(16);

impl Invocations for Aws {
    async fn invoke(&self, function: Function, name: &str, payload: &Value) -> Result<Invocation, CallFailure> {
        let configuration = self
            .lambda
            .config()
            .to_builder()
            // A repeated invocation would work twice at once.
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_timeout(INVOCATION_TIMEOUT)
                    .disable_operation_attempt_timeout()
                    .disable_read_timeout()
                    .build(),
            )
            // A slow response is expected; the time-out above bounds it.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        let which = match function {
            Function::ExporterFunction => Call::InvokeExporter,
            Function::HousekeeperFunction => Call::InvokeHousekeeper,
        };
        let request = Client::from_conf(configuration).invoke();
        let request = request.function_name(name).payload(Blob::new(payload.to_string()));
        let answer = call(which, request.send()).await?;
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        let value: Value = serde_json::from_slice(&payload).map_err(|error| CallFailure {
            call: which,
            kind: CallFailureKind::Refused,
            detail: format!("the function's answer: {error}"),
        })?;
        if answer.function_error.is_none() {
            return Ok(Invocation::Returned(value));
        }
        let message = value["errorMessage"].as_str().unwrap_or("no message; see the function's log");
        Ok(Invocation::Failed(message.to_owned()))
    }
}

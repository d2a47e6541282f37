//! Invocations of the stack's functions.

use std::time::Duration;

use aws_adapters::invocation::single_invocations;
use aws_sdk_lambda::primitives::Blob;
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
        let which = match function {
            Function::ExporterFunction => Call::InvokeExporter,
            Function::HousekeeperFunction => Call::InvokeHousekeeper,
        };
        let client = single_invocations(&self.lambda, CONNECT_TIMEOUT, INVOCATION_TIMEOUT);
        let request = client.invoke().function_name(name).payload(Blob::new(payload.to_string()));
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

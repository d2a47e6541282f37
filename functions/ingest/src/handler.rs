//! One invocation.

use std::convert::Infallible;

use domain::time::Timestamp;
use lambda_runtime::LambdaEvent;
use runtime::{client_version::MinimumClientVersion, token::TokenVerifier};

use crate::{
    host::Host,
    http,
    intake::{BlockStore, Intake},
    payload::{Answer, Payload, ProxyResponse},
    queue,
};

/// Ingest with everything it works on.
pub(crate) struct Ingest<S, H> {
    pub(crate) verifier: TokenVerifier,
    pub(crate) minimum_client_version: MinimumClientVersion,
    pub(crate) intake: Intake<S, H>,
}

impl<S: BlockStore, H: Host> Ingest<S, H> {
    pub(crate) async fn handle(&self, event: LambdaEvent<Payload>) -> Result<Answer, Infallible> {
        let deadline = Timestamp::from_millis(event.context.deadline).unwrap_or(Timestamp::MAX);
        Ok(match event.payload {
            Payload::Http(request) => {
                let response = http::respond(self, &request).await;
                Answer::Http(ProxyResponse::from(response))
            }
            Payload::Queue(messages) => Answer::Queue(queue::store(&self.intake, messages, deadline).await),
        })
    }
}

#[cfg(test)]
mod tests;

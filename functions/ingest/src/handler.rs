//! One invocation.

use std::convert::Infallible;

use authentication::Authenticator;
use domain::time::Timestamp;
use function_runtime::client_version::MinimumClientVersion;
use lambda_runtime::LambdaEvent;

use crate::{
    host::Host,
    http,
    intake::{BlockStore, Intake},
    payload::{Answer, Payload, ProxyResponse},
    queue,
    quota::{Quota, QuotaCounter},
    redelivery::MessageQueue,
};

/// Ingest with everything it works on.
pub(crate) struct Ingest<S, H, Q, C> {
    pub(crate) authenticator: Authenticator,
    pub(crate) minimum_client_version: MinimumClientVersion,
    pub(crate) intake: Intake<S, H>,
    pub(crate) queue: Q,
    pub(crate) quota: Quota<C>,
}

impl<S: BlockStore, H: Host, Q: MessageQueue, C: QuotaCounter> Ingest<S, H, Q, C> {
    pub(crate) async fn handle(&self, event: LambdaEvent<Payload>) -> Result<Answer, Infallible> {
        let deadline = Timestamp::from_millis(event.context.deadline).unwrap_or(Timestamp::MAX);
        Ok(match event.payload {
            Payload::Http(request) => {
                let response = http::respond(self, &request).await;
                Answer::Http(ProxyResponse::from(response))
            }
            Payload::Queue(messages) => {
                Answer::Queue(queue::store(&self.intake, &self.queue, messages, deadline).await)
            }
        })
    }
}

#[cfg(test)]
mod tests;

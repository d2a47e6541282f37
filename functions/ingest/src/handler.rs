//! The handler of an invocation.

use std::convert::Infallible;

use domain::time::Timestamp;
use lambda_runtime::LambdaEvent;

use crate::{
    endpoint::Endpoint,
    intake::Intake,
    payload::{InvocationOutcome, Payload, ProxyResponse},
    ports::{BlockWriter, Host, MessageQueue, QuotaCounter},
    queue,
};

/// The function with all services that it uses.
pub(crate) struct Ingest<W, H, Q, C> {
    pub(crate) endpoint: Endpoint<C>,
    pub(crate) intake: Intake<W, H>,
    pub(crate) queue: Q,
}

impl<W: BlockWriter, H: Host, Q: MessageQueue, C: QuotaCounter> Ingest<W, H, Q, C> {
    pub(crate) async fn handle(&self, event: LambdaEvent<Payload>) -> Result<InvocationOutcome, Infallible> {
        let deadline = Timestamp::from_millis(event.context.deadline).unwrap_or(Timestamp::MAX);
        Ok(match event.payload {
            Payload::Http(request) => {
                let response = self.endpoint.respond(&self.intake, &request).await;
                InvocationOutcome::Http(ProxyResponse::from(response))
            }
            Payload::Queue(messages) => {
                InvocationOutcome::Queue(queue::store(&self.intake, &self.queue, messages, deadline).await)
            }
        })
    }
}

#[cfg(test)]
mod tests;

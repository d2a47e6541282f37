//! The handler of an invocation.

use std::time::Duration;

use function_runtime::deadline_before;
use lambda_runtime::{Error, LambdaEvent};

use crate::{
    endpoint::Endpoint,
    intake::Intake,
    payload::{EndpointKind, InvocationOutcome, Payload},
    ports::{BlockWriter, Host, MessageQueue, QuotaCounter},
    queue,
    source::Sources,
};

/// The function with all services that it uses.
pub(crate) struct Ingest<W, H, Q, C> {
    pub(crate) endpoint: Endpoint<C>,
    pub(crate) intake: Intake<W, H>,
    pub(crate) sources: Sources<Q>,
}

impl<W: BlockWriter, H: Host, Q: MessageQueue, C: QuotaCounter> Ingest<W, H, Q, C> {
    /// # Errors
    /// The messages are of no known queue. Lambda then returns the whole batch to its queue, and counts an error.
    pub(crate) async fn handle(&self, event: LambdaEvent<Payload>) -> Result<InvocationOutcome, Error> {
        let deadline = deadline_before(event.context.deadline, Duration::ZERO);
        Ok(match event.payload {
            Payload::Http(request) => InvocationOutcome::Http(match request.endpoint {
                EndpointKind::Events => self.endpoint.respond(&self.intake, &request).await.into(),
                EndpointKind::Logs => self.endpoint.respond_to_logs(&self.intake, &request).await,
            }),
            Payload::Queue(messages) => {
                let source = self.sources.of(&messages).inspect_err(|error| {
                    let queue = messages.first().and_then(|message| message.event_source_arn.as_deref());
                    tracing::error!(queue, messages = messages.len(), %error, "a batch of messages was not read");
                })?;
                InvocationOutcome::Queue(queue::store(&self.intake, source, messages, deadline).await)
            }
        })
    }
}

#[cfg(test)]
mod tests;

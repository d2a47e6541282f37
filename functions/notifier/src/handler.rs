//! The handler of an invocation: a batch of deliveries, or a test.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use domain::webhook::test::{NotifierRequest, WebhookTestResult};
use lambda_runtime::Error;
use serde::{Deserialize, Serialize};

use crate::notifier::Notifier;

/// The payload of an invocation, recognised by its shape.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum NotifierEvent {
    /// From the API.
    Test(NotifierRequest),
    /// From the webhooks queue.
    Deliveries(SqsEvent),
}

/// The outcome of an invocation.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum NotifierOutcome {
    Tested(Vec<WebhookTestResult>),
    Delivered(SqsBatchResponse),
}

impl Notifier {
    pub(crate) async fn handle(&self, event: NotifierEvent) -> Result<NotifierOutcome, Error> {
        match event {
            NotifierEvent::Test(NotifierRequest { test }) => match self.test(&test).await {
                Ok(results) => Ok(NotifierOutcome::Tested(results)),
                Err(error) => {
                    let (tenant, configuration) = (&test.key.tenant_id, &test.key.configuration_id);
                    tracing::error!(%tenant, %configuration, %error, "the webhooks could not be tested");
                    Err("the webhooks could not be tested".into())
                }
            },
            NotifierEvent::Deliveries(batch) => Ok(NotifierOutcome::Delivered(self.deliver_batch(batch).await)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_of_the_payload_identifies_the_caller() {
        let test = r#"{"test":{"tenantId":"acme","configurationId":"0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b",
            "noticeId":"test-1","webhooks":[{"url":"https://hooks.example.com/","sealedSecret":"AQID"}],"body":"{}"}}"#;
        assert!(matches!(serde_json::from_str(test).unwrap(), NotifierEvent::Test(_)));
        let deliveries = r#"{"Records":[{"messageId":"1","body":"{}","attributes":{},"messageAttributes":{},"eventSource":"aws:sqs"}]}"#;
        assert!(matches!(serde_json::from_str(deliveries).unwrap(), NotifierEvent::Deliveries(_)));
    }
}

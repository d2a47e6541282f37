//! Client of the notifier function, which sends notices to customers' webhooks.

use std::time::Duration;

use aws_sdk_lambda::Client;
use domain::webhook::test::{NotifierRequest, WebhookTest, WebhookTestResult};
use export_engine::ports::PortError;

use crate::function_client::FunctionClient;

/// The time limit of an invocation: a cold start, the decryption of the secrets, and one attempt at each receiver, all at
/// once. The api function has 27 s.
pub const NOTIFIER_TIMEOUT: Duration = Duration::from_secs(20);

/// Invokes the notifier.
#[derive(Clone, Debug)]
pub struct NotifierClient(FunctionClient);

impl NotifierClient {
    /// Takes over what [`FunctionClient::new`] does.
    #[must_use]
    pub fn new(client: &Client, function_name: String) -> Self {
        Self(FunctionClient::new(client, function_name, NOTIFIER_TIMEOUT))
    }

    /// Sends a test to webhooks, once each. Returns a result for each, in their order.
    ///
    /// # Errors
    /// As [`FunctionClient::invoke`].
    pub async fn test(&self, test: WebhookTest) -> Result<Vec<WebhookTestResult>, PortError> {
        self.0.invoke(&NotifierRequest { test }).await
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_lambda::{operation::invoke::InvokeOutput, primitives::Blob};
    use aws_smithy_mocks::{mock, mock_client};
    use domain::{
        configuration::{ConfigurationId, ConfigurationKey},
        notice_id::NoticeId,
        tenant::TenantId,
        time::Timestamp,
        webhook::{
            failure::{WebhookFailure, WebhookFailureCode},
            test::WebhookTestOutcome,
        },
    };
    use serde_json::{Value, json};

    use super::*;

    #[tokio::test]
    async fn a_test_is_sent_and_its_results_are_read() {
        let key = ConfigurationKey {
            tenant_id: TenantId::parse("acme").unwrap(),
            configuration_id: ConfigurationId::from_bytes([1; 16]),
        };
        let webhook = json!({"url": "https://hooks.example.com/", "sealedSecret": "AQID"});
        let webhooks = vec![serde_json::from_value(webhook.clone()).unwrap()];
        let test = WebhookTest::new(key, webhooks, NoticeId::parse("test-1").unwrap(), Timestamp::EPOCH).unwrap();
        let rule = mock!(Client::invoke)
            .match_requests(move |request| {
                let payload: Value = serde_json::from_slice(request.payload().unwrap().as_ref()).unwrap();
                payload["test"]["tenantId"] == "acme" && payload["test"]["webhooks"] == json!([webhook])
            })
            .then_output(|| {
                let answer = json!([
                    {"url": "https://hooks.example.com/", "outcome": {"delivered": 204}},
                    {"url": "https://hooks.example.com/", "outcome": {"failed": {"code": "WEBHOOK_GONE", "status": 410}}},
                ]);
                InvokeOutput::builder().payload(Blob::new(answer.to_string())).build()
            });
        let client = NotifierClient::new(&mock_client!(aws_sdk_lambda, [&rule]), "notifier".to_owned());
        let results = client.test(test).await.unwrap();
        let outcomes: Vec<_> = results.iter().map(|result| result.outcome).collect();
        let gone = WebhookFailure { code: WebhookFailureCode::WebhookGone, status: Some(410) };
        assert_eq!(outcomes, [WebhookTestOutcome::Delivered(204), WebhookTestOutcome::Failed(gone)]);
    }
}

use aws_adapters::{secrets::SecretVault, webhook_queue::WebhookQueueClient};
use aws_sdk_kms::{operation::decrypt::DecryptOutput, primitives::Blob};
use aws_sdk_sqs::operation::change_message_visibility::ChangeMessageVisibilityOutput;
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use domain::{
    configuration::ConfigurationId,
    notice_id::NoticeId,
    tenant::TenantId,
    time::Timestamp,
    webhook::{
        Receivers, SealedWebhookSecret, Webhook, WebhookUrl, delivery::WebhookBody, failure::WebhookFailureCode,
    },
};
use function_runtime::{
    environment::{DeploymentMode, Environment},
    local_receivers::LocalReceivers,
};
use host::Machine;

use super::*;
use crate::sender::Sender;

#[test]
fn only_a_failure_that_can_pass_is_tried_again_and_for_a_day() {
    let soon = Verdict::Again(Some(Duration::from_secs(5)));
    let day = Duration::from_hours(24);
    let failed = |code| Ok(Err(WebhookFailure::without_response(code)));
    for (outcome, at_once, after_a_day) in [
        (Ok(Ok(200)), Verdict::Done, Verdict::Done),
        (failed(WebhookFailureCode::WebhookGone), Verdict::Done, Verdict::Done),
        (failed(WebhookFailureCode::WebhookTimedOut), soon, Verdict::Done),
        (failed(WebhookFailureCode::WebhookAddressNotPublic), soon, Verdict::Done),
        (Err(PortError::transient("kms:Decrypt", "busy")), soon, Verdict::Done),
    ] {
        assert_eq!(judge(&outcome, Duration::ZERO, 0.0), at_once, "{outcome:?}");
        assert_eq!(judge(&outcome, day, 0.0), after_a_day, "{outcome:?}");
    }
}

/// A notifier of production, whose KMS opens every secret.
fn notifier(queue: aws_sdk_sqs::Client) -> Notifier {
    let decrypt = mock!(aws_sdk_kms::Client::decrypt).then_output(|| {
        DecryptOutput::builder().plaintext(Blob::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")).build()
    });
    let kms = mock_client!(aws_sdk_kms, RuleMode::MatchAny, [&decrypt]);
    let mut environment = Environment::from_map([("DEVELOPMENT_WEBHOOK_CA_FILE", "")]);
    let local = LocalReceivers::read(&mut environment, Some(DeploymentMode::Production)).unwrap();
    Notifier {
        vault: SecretVault::new(kms, "key".to_owned()),
        queue: WebhookQueueClient::new(queue, "queue".to_owned()),
        sender: Sender::new(&local).unwrap(),
        machine: Machine,
    }
}

fn message(id: &str, body: String) -> SqsMessage {
    let mut message = SqsMessage::default();
    message.message_id = Some(id.to_owned());
    message.receipt_handle = Some(format!("receipt-{id}"));
    message.body = Some(body);
    message
}

fn delivery(created_at: Timestamp) -> String {
    let delivery = WebhookDelivery {
        notice_id: NoticeId::parse("notice-1").unwrap(),
        tenant_id: TenantId::parse("acme").unwrap(),
        configuration_id: ConfigurationId::from_bytes([1; 16]),
        webhook: Webhook {
            // Production refuses it without a request.
            url: WebhookUrl::parse_for(Receivers::PublicAndLocal, "https://localhost:1/").unwrap(),
            sealed_secret: SealedWebhookSecret::from_ciphertext(vec![1]),
        },
        body: WebhookBody::new("{}".to_owned()).unwrap(),
        created_at,
    };
    serde_json::to_string(&delivery).unwrap()
}

#[tokio::test]
async fn each_message_of_a_batch_fails_alone_and_waits_for_its_own_time() {
    let later = mock!(aws_sdk_sqs::Client::change_message_visibility)
        // 5 s with up to a tenth of jitter, rounded up.
        .match_requests(|input| input.receipt_handle() == Some("receipt-new") && input.visibility_timeout() == Some(6))
        .then_output(|| ChangeMessageVisibilityOutput::builder().build());
    let notifier = notifier(mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&later]));
    let mut batch = SqsEvent::default();
    batch.records = vec![
        message("new", delivery(Machine.now())),
        message("old", delivery(Machine.now().saturating_sub(Duration::from_hours(25)))),
        message("malformed", "{}".to_owned()),
    ];
    let response = notifier.deliver_batch(batch).await;
    let failed: Vec<&str> = response.batch_item_failures.iter().map(|failure| &*failure.item_identifier).collect();
    assert_eq!(failed, ["new", "malformed"]);
    assert_eq!(later.num_calls(), 1);
}

use std::sync::{Arc, Mutex};

use aws_adapters::{secrets::SecretVault, webhook_queue::WebhookQueueClient};
use aws_sdk_kms::{operation::decrypt::DecryptOutput, primitives::Blob};
use aws_sdk_sqs::operation::send_message::{SendMessageError, SendMessageOutput};
use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};
use domain::{
    configuration::ConfigurationId,
    customer_server::CustomerServers,
    notice_id::NoticeId,
    tenant::TenantId,
    time::Timestamp,
    webhook::{SealedWebhookSecret, Webhook, WebhookUrl, delivery::WebhookBody, failure::WebhookFailureCode},
};
use export_engine::ports::PortError;
use function_runtime::{
    environment::{DeploymentMode, Environment},
    local_servers::LocalServers,
};
use host::Machine;

use super::*;
use crate::sender::Sender;

#[test]
fn only_a_failure_that_can_pass_is_tried_again_and_for_a_day() {
    let (now, day) = (Duration::ZERO, Duration::from_hours(24));
    let delivered = DeliveryOutcome::of(Ok(200), now, 0.0);
    assert_eq!(delivered, DeliveryOutcome::Delivered { status: 200 });
    let gone = WebhookFailure::without_response(WebhookFailureCode::WebhookGone);
    assert_eq!(DeliveryOutcome::of(Err(gone.into()), now, 0.0), DeliveryOutcome::Refused(gone));
    for failure in [
        WebhookFailure::without_response(WebhookFailureCode::WebhookTimedOut).into(),
        WebhookFailure::without_response(WebhookFailureCode::WebhookAddressNotPublic).into(),
        AttemptFailure::from(PortError::transient("kms:Decrypt", "busy")),
    ] {
        let soon = DeliveryOutcome::Retried { after: Duration::from_secs(5), failure: failure.clone() };
        assert_eq!(DeliveryOutcome::of(Err(failure.clone()), now, 0.0), soon);
        assert_eq!(DeliveryOutcome::of(Err(failure.clone()), day, 0.0), DeliveryOutcome::GivenUp(failure));
    }
}

/// A notifier of production, whose KMS opens every secret.
fn notifier(queue: aws_sdk_sqs::Client) -> Notifier {
    let decrypt = mock!(aws_sdk_kms::Client::decrypt).then_output(|| {
        DecryptOutput::builder().plaintext(Blob::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")).build()
    });
    let kms = mock_client!(aws_sdk_kms, RuleMode::MatchAny, [&decrypt]);
    let mut environment = Environment::from_map([("DEVELOPMENT_CA_FILE", "")]);
    let local = LocalServers::read(&mut environment, Some(DeploymentMode::Production)).unwrap();
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

fn delivery(created_at: Timestamp) -> WebhookDelivery {
    WebhookDelivery {
        notice_id: NoticeId::parse("notice-1").unwrap(),
        tenant_id: TenantId::parse("acme").unwrap(),
        configuration_id: ConfigurationId::from_bytes([1; 16]),
        webhook: Webhook {
            // Production refuses it without a request.
            url: WebhookUrl::parse_for(CustomerServers::PublicAndLocal, "https://localhost:1/").unwrap(),
            sealed_secret: SealedWebhookSecret::from_ciphertext(vec![1]),
        },
        body: WebhookBody::new("{}".to_owned()).unwrap(),
        created_at,
        next_attempt_at: None,
    }
}

fn text(delivery: &WebhookDelivery) -> String {
    serde_json::to_string(delivery).unwrap()
}

type Sent = Arc<Mutex<Vec<(WebhookDelivery, i32)>>>;

/// A queue that takes each message, and those that it took with their delays; or one that takes none.
fn queue(is_up: bool) -> (aws_sdk_sqs::Client, Sent) {
    let sent = Sent::default();
    let seen = Arc::clone(&sent);
    let rule = mock!(aws_sdk_sqs::Client::send_message).then_compute_response(move |input| {
        if !is_up {
            return MockResponse::Error(SendMessageError::unhandled("busy"));
        }
        let delivery = serde_json::from_str(input.message_body().unwrap()).unwrap();
        seen.lock().unwrap().push((delivery, input.delay_seconds().unwrap()));
        MockResponse::Output(SendMessageOutput::builder().build())
    });
    (mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&rule]), sent)
}

/// Returns the messages of a batch that are not deleted.
async fn kept(notifier: &Notifier, messages: Vec<SqsMessage>) -> Vec<String> {
    let mut batch = SqsEvent::default();
    batch.records = messages;
    let response = notifier.deliver_batch(batch).await;
    response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
}

#[tokio::test]
async fn each_message_of_a_batch_fails_alone_and_is_sent_again_for_its_own_time() {
    let (client, sent) = queue(true);
    let (new, old) = (delivery(Machine.now()), delivery(Machine.now().saturating_sub(Duration::from_hours(25))));
    let messages = vec![message("new", text(&new)), message("old", text(&old)), message("malformed", "{}".to_owned())];
    // Only what is no delivery is received again: each other message has its successor, or none is needed.
    assert_eq!(kept(&notifier(client), messages).await, ["malformed"]);
    let sent = sent.lock().unwrap();
    let [(again, delay)] = &sent[..] else { panic!("{sent:?}") };
    // 5 s with up to a tenth of jitter, rounded up.
    assert_eq!(*delay, 6);
    let next = again.next_attempt_at.unwrap().saturating_since(new.created_at);
    assert!(next >= Duration::from_secs(5) && next < Duration::from_secs(10), "{next:?}");
    assert_eq!(WebhookDelivery { next_attempt_at: None, ..again.clone() }, new, "its age goes on");
}

#[tokio::test]
async fn a_message_before_its_time_is_sent_again_without_an_attempt() {
    let (client, sent) = queue(true);
    let notifier = notifier(client);
    let now = Machine.now();
    // The last attempt is due: one more would end the delivery, so that nothing would be sent.
    let old = delivery(now.saturating_sub(Duration::from_hours(25)));
    for (waits, seconds) in [(Duration::from_hours(6), 900), (Duration::from_mins(10), 600)] {
        let waiting = WebhookDelivery { next_attempt_at: Some(now.saturating_add(waits)), ..old.clone() };
        assert_eq!(kept(&notifier, vec![message("early", text(&waiting))]).await, [""; 0]);
        let (again, delay) = sent.lock().unwrap().pop().unwrap();
        assert_eq!(again, waiting);
        assert!((seconds - 5..=seconds).contains(&delay), "{delay}");
    }
    let due = WebhookDelivery { next_attempt_at: Some(now), ..old };
    assert_eq!(kept(&notifier, vec![message("due", text(&due))]).await, [""; 0]);
    assert_eq!(*sent.lock().unwrap(), []);
}

#[tokio::test]
async fn a_message_without_a_successor_stays_in_the_queue() {
    let (client, _) = queue(false);
    let now = Machine.now();
    let new = delivery(now);
    let waiting = WebhookDelivery { next_attempt_at: Some(now.saturating_add(Duration::from_hours(1))), ..new.clone() };
    let messages = vec![message("new", text(&new)), message("waiting", text(&waiting))];
    assert_eq!(kept(&notifier(client), messages).await, ["new", "waiting"]);
}

//! The `notifier` function: sends notices to customers' webhooks.

mod deliveries;
mod handler;
mod notifier;
mod sender;
mod settings;
mod signature;

use std::time::Duration;

use aws_adapters::{secrets::SecretVault, webhook_queue::WebhookQueueClient};
use aws_sdk_kms::config::timeout::TimeoutConfig;
use domain::allowance::TEST_OCCUPANCY;
use function_runtime::aws_configuration::aws_configuration;
use host::Machine;
use lambda_runtime::{Error, LambdaEvent, service_fn};

use crate::{
    notifier::Notifier,
    sender::{RECEIVER_TIMEOUT, Sender},
    settings::Settings,
};

/// The time limit of one call to KMS or SQS with its retries. Two calls and an attempt at a receiver fit into the function's
/// 30 s.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(5);
// A test decrypts a secret, and sends to a receiver.
const _: () = assert!(
    OPERATION_TIMEOUT.as_secs() + RECEIVER_TIMEOUT.as_secs() <= TEST_OCCUPANCY.as_secs(),
    "a tenant could occupy more notifiers"
);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let settings = function_runtime::start(Settings::read)?;
    let timeouts = TimeoutConfig::builder().operation_timeout(OPERATION_TIMEOUT).build();
    let aws = aws_configuration()?.into_builder().timeout_config(timeouts).build();
    let notifier = Notifier {
        vault: SecretVault::new(aws_sdk_kms::Client::new(&aws), settings.secret_key_arn),
        queue: WebhookQueueClient::new(aws_sdk_sqs::Client::new(&aws), settings.webhook_queue_url),
        sender: Sender::new(&settings.local_servers)?,
        machine: Machine,
    };
    let notifier = &notifier;
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| async { notifier.handle(event.payload).await })).await
}

//! The `housekeeper` function: measures the lag of all exports, notices what changed and publishes it, expires the history of
//! deleted exports, and erases tenants.

mod deletions;
mod erasure;
mod handler;
mod housekeeper;
mod notices;
mod rescue;
mod settings;
mod sweep;

use aws_adapters::{
    archive::{records::ArchiveTable, segments::SegmentBucket},
    configurations::ConfigurationTable,
    digest_signer::KmsDigestSigner,
    events::eraser::EventEraser,
    notice_bus::NoticeBusClient,
    runs::RunTable,
    webhook_queue::WebhookQueueClient,
};
use function_runtime::{aws_configuration::aws_configuration, lazy::lazily};
use host::Machine;
use lambda_runtime::{Error, LambdaEvent, service_fn};

use crate::{housekeeper::Housekeeper, settings::Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let settings = function_runtime::start(Settings::read)?;
    let aws = aws_configuration()?;
    let dynamodb = aws_sdk_dynamodb::Client::new(&aws);
    let housekeeper = Housekeeper {
        configurations: ConfigurationTable::new(dynamodb.clone(), settings.configurations_table.clone()),
        runs: RunTable::new(dynamodb.clone(), settings.runs_table.clone()),
        events: EventEraser::new(dynamodb.clone(), settings.events_table.clone()),
        archive: ArchiveTable::new(dynamodb, settings.events_table.clone()),
        segments: SegmentBucket::new(&aws, settings.archive_bucket.clone()),
        bus: lazily({
            let (aws, bus_name) = (aws.clone(), settings.notice_bus_name.clone());
            move || NoticeBusClient::new(aws_sdk_eventbridge::Client::new(&aws), bus_name)
        }),
        webhooks: lazily({
            let (aws, queue_url) = (aws.clone(), settings.webhook_queue_url.clone());
            move || WebhookQueueClient::new(aws_sdk_sqs::Client::new(&aws), queue_url)
        }),
        signer: lazily({
            let key_arn = settings.signing_key_arn.clone();
            move || KmsDigestSigner::new(aws_sdk_kms::Client::new(&aws), key_arn)
        }),
        clock: Machine,
        settings,
    };
    let housekeeper = &housekeeper;
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| housekeeper.handle(event))).await
}

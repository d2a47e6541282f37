//! The `exporter` function: dispatches runs when a schedule fires, and exports events to customers' buckets.

mod dispatch;
mod exporter;
mod handler;
mod repairs;
mod replays;
mod runs;
mod settings;
mod skip;

use aws_adapters::{
    configurations::ConfigurationTable, connector::AwsConnector, customer_server::ServerConnections,
    digest_signer::KmsDigestSigner, events::reader::EventTableReader, export_history::ExportHistory,
    run_queue::RunQueueClient, runs::RunTable,
};
use function_runtime::{aws_configuration::aws_configuration, lazy::lazily};
use host::Machine;
use lambda_runtime::{Error, LambdaEvent, service_fn};

use crate::{exporter::Exporter, settings::Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let settings = function_runtime::start(Settings::read)?;
    let aws = aws_configuration()?;
    let dynamodb = aws_sdk_dynamodb::Client::new(&aws);
    let servers = ServerConnections::new(settings.local_servers.servers(), settings.local_servers.certificates()?)?;
    let exporter = Exporter {
        configurations: ConfigurationTable::new(dynamodb.clone(), settings.configurations_table.clone()),
        runs: RunTable::new(dynamodb.clone(), settings.runs_table.clone()),
        history: ExportHistory::new(dynamodb.clone(), settings.runs_table.clone()),
        blocks: EventTableReader::new(dynamodb, settings.events_table.clone()),
        scheduled_queue: lazily({
            let (aws, url) = (aws.clone(), settings.run_queue_url.clone());
            move || RunQueueClient::new(aws_sdk_sqs::Client::new(&aws), url)
        }),
        manual_queue: lazily({
            let (aws, url) = (aws.clone(), settings.manual_run_queue_url.clone());
            move || RunQueueClient::new(aws_sdk_sqs::Client::new(&aws), url)
        }),
        signer: lazily({
            let (aws, key_arn) = (aws.clone(), settings.signing_key_arn.clone());
            move || KmsDigestSigner::new(aws_sdk_kms::Client::new(&aws), key_arn)
        }),
        connector: lazily({
            let (key_arn, servers) = (settings.secret_key_arn.clone(), servers);
            move || AwsConnector::new(aws, servers, key_arn, Machine)
        }),
        machine: Machine,
        settings,
    };
    let exporter = &exporter;
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| exporter.handle(event))).await
}

//! The `verifier` function: tests one configuration's connection to its bucket, and stores the outcome.

mod handler;
mod settings;

use aws_adapters::{configurations::ConfigurationTable, connector::AwsConnector, customer_server::ServerConnections};
use function_runtime::{aws_configuration::aws_configuration, lazy::lazily};
use host::Machine;
use lambda_runtime::{Error, LambdaEvent, service_fn};

use crate::{handler::Verifier, settings::Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let settings = function_runtime::start(Settings::read)?;
    let aws = aws_configuration()?;
    let servers = ServerConnections::new(settings.local_servers.servers(), settings.local_servers.certificates()?)?;
    let verifier = lazily(move || Verifier {
        configurations: ConfigurationTable::new(aws_sdk_dynamodb::Client::new(&aws), settings.configurations_table),
        connector: AwsConnector::new(aws, servers, settings.secret_key_arn, Machine),
        clock: Machine,
    });
    let verifier = &verifier;
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| verifier.handle(event.payload))).await
}

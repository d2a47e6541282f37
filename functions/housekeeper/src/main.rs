//! The `housekeeper` function: measures the lag of all exports, expires the history of deleted ones, and erases
//! tenants.

mod deletions;
mod erasure;
mod handler;
mod housekeeper;
mod settings;
mod sweep;

use aws_adapters::{
    configurations::ConfigurationTable, digest_signer::KmsDigestSigner, events::eraser::EventEraser, runs::RunTable,
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
        events: EventEraser::new(dynamodb, settings.events_table.clone()),
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

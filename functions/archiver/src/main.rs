//! The `archiver` function: moves settled blocks from the events table to segments in the service's bucket.

mod handler;
mod settings;

use aws_adapters::{
    archive::{records::ArchiveTable, segments::SegmentBucket},
    events::reader::EventTableReader,
    runs::RunTable,
};
use function_runtime::aws_configuration::aws_configuration;
use host::Machine;
use lambda_runtime::{Error, LambdaEvent, service_fn};

use crate::{handler::ArchiverFunction, settings::Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let settings = function_runtime::start(Settings::read)?;
    let aws = aws_configuration()?;
    let dynamodb = aws_sdk_dynamodb::Client::new(&aws);
    let function = ArchiverFunction {
        blocks: EventTableReader::new(dynamodb.clone(), settings.events_table.clone()),
        records: ArchiveTable::new(dynamodb.clone(), settings.events_table.clone()),
        segments: SegmentBucket::new(&aws, settings.archive_bucket.clone()),
        runs: RunTable::new(dynamodb, settings.runs_table.clone()),
        machine: Machine,
        settings,
    };
    let function = &function;
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| function.handle(event))).await
}

//! The `exporter` function: dispatches runs when a schedule fires, and exports events to customers' buckets. It makes
//! `NDJSON_GZIP`, and leaves other formats to the `converter`.

mod dispatch;
mod handler;
mod skip;

use export_engine::GzipEncoders;
use export_runs::{Exporter, QueueUrls, RunSettings};
use function_runtime::aws_configuration::aws_configuration;
use lambda_runtime::{Error, LambdaEvent, service_fn};

use crate::handler::handle;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let (settings, converter) = function_runtime::start(|environment| {
        let converter = QueueUrls::read_of_converter(environment);
        RunSettings::read(environment).zip(converter)
    })?;
    let exporter = Exporter::prepare(aws_configuration()?, settings, Some(converter), GzipEncoders::CURRENT)?;
    let exporter = &exporter;
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| handle(exporter, event))).await
}

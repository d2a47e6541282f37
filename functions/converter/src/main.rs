//! The `converter` function: exports of the formats for which blocks are decoded and encoded again. Its queues get the runs,
//! repairs and replays that the `exporter` leaves to it.

use aws_lambda_events::sqs::SqsEvent;
use conversion::ConversionEncoders;
use export_runs::{Exporter, RunSettings};
use function_runtime::aws_configuration::aws_configuration;
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let settings = function_runtime::start(RunSettings::read)?;
    let converter = Exporter::prepare(aws_configuration()?, settings, None, ConversionEncoders::CURRENT)?;
    let converter = &converter;
    let handle = |event: LambdaEvent<SqsEvent>| async move {
        Ok::<_, Error>(Box::pin(converter.run_batch(event.payload, &event.context)).await)
    };
    lambda_runtime::run(service_fn(handle)).await
}

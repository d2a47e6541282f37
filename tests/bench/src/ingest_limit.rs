//! The lower bound of a request to ingest with this runtime and this SDK: it puts an item of the size of the block that ingest
//! stores, and answers. It neither authenticates the request nor reads, compresses or logs anything.

use anyhow::{Result, anyhow};
use aws_sdk_dynamodb::{
    Client,
    config::{Builder, StalledStreamProtectionConfig},
    error::DisplayErrorContext,
    primitives::Blob,
    types::AttributeValue,
};
use clap::Args;
use function_runtime::aws_configuration::aws_configuration;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::value::RawValue;

use crate::stub::dynamodb::EVENTS;

const ANSWER: &str = r#"{"statusCode":202,"headers":{"content-type":"application/json"},"body":"{\"accepted\":1}"}"#;

#[derive(Args, Debug)]
pub struct Arguments {
    /// The events and the compressed bytes of each block
    #[arg(long)]
    events: u64,
    #[arg(long)]
    bytes: usize,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(arguments)).map_err(|error| anyhow!("{error}"))
}

async fn serve(arguments: &Arguments) -> Result<(), Error> {
    // As the client of ingest's writer.
    let configuration = Builder::from(&aws_configuration()?)
        .disable_clock_skew_correction(true)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    let client: &'static Client = Box::leak(Box::new(Client::from_conf(configuration)));
    let answer: &'static RawValue = Box::leak(RawValue::from_string(ANSWER.to_owned())?);
    let (block, events) = (Blob::new(vec![b'x'; arguments.bytes]), arguments.events.to_string());
    let handle = move |_: LambdaEvent<Box<RawValue>>| {
        let (block, events) = (block.clone(), events.clone());
        async move {
            let put = client
                .put_item()
                .table_name(EVENTS)
                .item("partition", AttributeValue::S("acme#00".to_owned()))
                .item("blockId", AttributeValue::S("01JC9ZV0000000000000000000".to_owned()))
                .item("eventCount", AttributeValue::N(events))
                .item("block", AttributeValue::B(block))
                .condition_expression("attribute_not_exists(#partition)")
                .expression_attribute_names("#partition", "partition");
            put.send().await.map_err(|error| Error::from(DisplayErrorContext(error).to_string()))?;
            Ok::<_, Error>(answer)
        }
    };
    // As ingest: a wake of the main future is a write to the kernel.
    tokio::spawn(lambda_runtime::run(service_fn(handle))).await?
}

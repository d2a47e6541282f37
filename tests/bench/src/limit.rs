//! The lower bound of an export with this SDK: it queries the same pages and puts the same bytes, and nothing else. Blocks are
//! neither checked nor sorted; objects have no names, intents or checkpoints.

use std::{io::Write, time::Instant};

use anyhow::{Context, Result, anyhow, bail};
use aws_adapters::object_sink::S3ObjectSink;
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use bytes::{Bytes, BytesMut};
use clap::Args;
use domain::{
    block::{BlockId, Shard, partition_key},
    configuration::{Destination, Layout, arn::AccountId, bucket::BucketName, region::Region},
    export_run::TARGET_STORED_LENGTH,
    tenant::TenantId,
};
use export_engine::{
    ports::ContentType,
    upload::{Upload, UploadShape, upload},
};
use function_runtime::aws_configuration::aws_configuration;
use futures::{StreamExt, stream::FuturesUnordered};
use host::Machine;
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use zlib_rs::crc32::crc32_combine;

use crate::{
    corpus::TENANT,
    lean::{Block, LeanClient},
    process::{Usage, own_cpu, own_peak_memory},
    stub::{REGION, dynamodb::EVENTS},
};

/// A gzip header (magic, DEFLATE, no flags, no time, unknown system) and an empty final block.
const HEADER: [u8; 10] = [0x1F, 0x8B, 0x08, 0, 0, 0, 0, 0, 0, 0xFF];
const EMPTY_FINAL_BLOCK: [u8; 2] = [0x03, 0x00];

#[derive(Args, Debug)]
pub struct Arguments {
    /// The first and the last block ID to read
    #[arg(long)]
    first: String,
    #[arg(long)]
    last: String,
    /// Query DynamoDB without the SDK
    #[arg(long)]
    lean: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let limit = runtime.block_on(Limit::prepare(arguments))?;
    let (cpu, started_at) = (own_cpu()?, Instant::now());
    runtime.block_on(limit.export(&arguments.last))?;
    let usage = Usage {
        peak_memory_bytes: own_peak_memory()?,
        cpu_seconds: own_cpu()?.saturating_sub(cpu).as_secs_f64(),
        wall_seconds: started_at.elapsed().as_secs_f64(),
    };
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&usage)?)?;
    Ok(())
}

struct ShardReader {
    partition: String,
    first: Option<String>,
    lean: Option<LeanClient>,
}

#[derive(Default)]
struct Object {
    bytes: BytesMut,
    crc32: u32,
    raw_length: u64,
}

/// The state of a warm function.
struct Limit {
    client: Client,
    sink: S3ObjectSink,
    shards: Vec<ShardReader>,
}

impl Limit {
    async fn prepare(arguments: &Arguments) -> Result<Self> {
        let aws = aws_configuration()?;
        let client = Client::new(&aws);
        let tenant = TenantId::parse(TENANT)?;
        let region = Region::parse(REGION).map_err(|error| anyhow!("{error:?}"))?;
        let destination = Destination {
            bucket_name: BucketName::parse("limit").map_err(|error| anyhow!("{error:?}"))?,
            bucket_path: None,
            site: region.clone().into(),
            kms_key_arn: None,
            expected_bucket_owner: None,
            layout: Layout::default(),
        };
        let writer = AccountId::parse("222222222222").map_err(|error| anyhow!("{error:?}"))?;
        let credentials = Credentials::new("ASIAIOSFODNN7EXAMPLE", "bench", Some("bench".to_owned()), None, "bench");
        let sink = S3ObjectSink::new(&aws, credentials, &destination, &region, &writer);
        let mut shards = Vec::new();
        for shard in Shard::ALL {
            let lean = match aws.endpoint_url() {
                Some(endpoint) if arguments.lean => Some(LeanClient::connect(endpoint).await?),
                _ => None,
            };
            let partition = partition_key(&tenant, shard);
            shards.push(ShardReader { partition, first: Some(arguments.first.clone()), lean });
        }
        Ok(Self { client, sink, shards })
    }

    /// Exports with every shard's next page in flight, and one object in flight while the next is filled.
    async fn export(self, last: &str) -> Result<()> {
        let Self { client, sink, shards } = self;
        let mut pages: FuturesUnordered<_> = shards.into_iter().map(|shard| page(&client, shard, last)).collect();
        let mut object = Object::default();
        let mut number = 0_u32;
        let mut in_flight: Option<JoinHandle<Result<BytesMut>>> = None;
        while let Some(read) = pages.next().await {
            let (shard, blocks) = read?;
            if shard.first.is_some() {
                pages.push(page(&client, shard, last));
            }
            for block in blocks {
                object.push(&block);
                if object.bytes.len() as u64 >= TARGET_STORED_LENGTH {
                    let buffer = match in_flight.take() {
                        Some(put) => put.await??,
                        None => BytesMut::new(),
                    };
                    let next = Object { bytes: buffer, ..Object::default() };
                    let full = std::mem::replace(&mut object, next).finish();
                    in_flight = Some(tokio::spawn(put(sink.clone(), number, full)));
                    number += 1;
                }
            }
        }
        if let Some(put) = in_flight {
            put.await??;
        }
        if !object.bytes.is_empty() {
            put(sink, number, object.finish()).await?;
        }
        Ok(())
    }
}

async fn page(client: &Client, mut shard: ShardReader, last: &str) -> Result<(ShardReader, Vec<Block>)> {
    let first = shard.first.take().unwrap_or_default();
    if let Some(lean) = &mut shard.lean {
        let (blocks, last_read) = lean.page(&shard.partition, &first, last).await?;
        shard.first = last_read.map(|id| BlockId::parse(&id).map(|id| id.next().to_string())).transpose()?;
        return Ok((shard, blocks));
    }
    let answer = client
        .query()
        .table_name(EVENTS)
        .consistent_read(true)
        .key_condition_expression("#partition = :partition AND blockId BETWEEN :first AND :last")
        .expression_attribute_names("#partition", "partition")
        .expression_attribute_values(":partition", AttributeValue::S(shard.partition.clone()))
        .expression_attribute_values(":first", AttributeValue::S(first))
        .expression_attribute_values(":last", AttributeValue::S(last.to_owned()))
        .send()
        .await?;
    if let Some(key) = &answer.last_evaluated_key {
        let id = key.get("blockId").and_then(|id| id.as_s().ok()).context("a page without its end")?;
        shard.first = Some(BlockId::parse(id)?.next().to_string());
    }
    let mut blocks = Vec::new();
    for mut item in answer.items.unwrap_or_default() {
        let number = |name: &str| item.get(name).and_then(|value| value.as_n().ok()?.parse::<u32>().ok());
        let (crc32, raw_length) = (number("crc32"), number("rawLength"));
        match (item.remove("block"), crc32, raw_length) {
            (Some(AttributeValue::B(bytes)), Some(crc32), Some(raw_length)) => {
                blocks.push(Block { deflate: bytes.into_inner(), crc32, raw_length: raw_length.into() });
            }
            _ => bail!("an item is not a block"),
        }
    }
    Ok((shard, blocks))
}

impl Object {
    fn push(&mut self, block: &Block) {
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(&HEADER);
        }
        self.bytes.extend_from_slice(&block.deflate);
        self.crc32 = crc32_combine(self.crc32, block.crc32, block.raw_length);
        self.raw_length += block.raw_length;
    }

    fn finish(mut self) -> Bytes {
        self.bytes.extend_from_slice(&EMPTY_FINAL_BLOCK);
        self.bytes.extend_from_slice(&self.crc32.to_le_bytes());
        self.bytes.extend_from_slice(&self.raw_length.to_le_bytes()[..4]);
        self.bytes.freeze()
    }
}

/// Puts an object and returns its buffer, to be filled again.
async fn put(sink: S3ObjectSink, number: u32, bytes: Bytes) -> Result<BytesMut> {
    let key = format!("{number:06}.ndjson.gz");
    let sha256 = Sha256::digest(&bytes).into();
    let shape = UploadShape::Single;
    let object = Upload { key: &key, bytes: bytes.clone(), sha256, shape, content_type: ContentType::Gzip };
    upload(&sink, &Machine, &object).await?;
    drop(object);
    let mut buffer = bytes.try_into_mut().unwrap_or_default();
    buffer.clear();
    Ok(buffer)
}

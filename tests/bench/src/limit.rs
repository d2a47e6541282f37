//! What bounds an export with this SDK: the same pages are queried and the same bytes are put, and nothing else is done.
//! No block is checked or looked into, none is put into order, no object has a name, an intent or a checkpoint.

use std::{io::Write, time::Instant};

use aws_adapters::object_sink::S3ObjectSink;
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use bytes::{Bytes, BytesMut};
use clap::Args;
use domain::{
    block::{BlockId, Shard, partition_key},
    configuration::{Destination, arn::AccountId, bucket::BucketName, region::Region},
    export_run::{PART_SIZE, TARGET_STORED_LENGTH},
    tenant::TenantId,
};
use export_engine::{
    ports::ContentType,
    upload::{Upload, UploadShape, upload},
};
use function_runtime::aws_configuration::aws_configuration;
use futures::{StreamExt, stream::FuturesUnordered};
use host::Machine;
use tokio::task::JoinHandle;
use zlib_rs::crc32::crc32_combine;

use crate::{
    Outcome,
    corpus::TENANT,
    failure,
    lean::LeanClient,
    process::{own_cpu, own_peak_memory},
    stub::dynamodb::EVENTS,
    suites::export::Told,
};

/// Magic, DEFLATE, no flags, no time, unknown system; and an empty final block.
const HEADER: [u8; 10] = [0x1F, 0x8B, 0x08, 0, 0, 0, 0, 0, 0, 0xFF];
const EMPTY_FINAL_BLOCK: [u8; 2] = [0x03, 0x00];

#[derive(Args, Debug)]
pub struct Arguments {
    /// The first and the last block id that are asked for
    #[arg(long)]
    first: String,
    #[arg(long)]
    last: String,
    /// Without the SDK, as far as DynamoDB is concerned
    #[arg(long)]
    lean: bool,
}

pub fn run(arguments: &Arguments) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let limit = runtime.block_on(Limit::prepare(arguments))?;
    let (cpu, started_at) = (own_cpu()?, Instant::now());
    runtime.block_on(limit.export(&arguments.last))?;
    let told = Told {
        peak_memory_bytes: own_peak_memory()?,
        cpu_seconds: own_cpu()?.saturating_sub(cpu).as_secs_f64(),
        wall_seconds: started_at.elapsed().as_secs_f64(),
    };
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&told)?)?;
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

/// Everything that a function has when it is warm.
struct Limit {
    client: Client,
    sink: S3ObjectSink,
    shards: Vec<ShardReader>,
}

impl Limit {
    async fn prepare(arguments: &Arguments) -> Outcome<Self> {
        let aws = aws_configuration()?;
        let client = Client::new(&aws);
        let tenant = TenantId::parse(TENANT)?;
        let destination = Destination {
            bucket_name: BucketName::parse("limit").map_err(|_| failure("bucket"))?,
            bucket_path: None,
            region: Region::parse(crate::stub::REGION).map_err(|_| failure("region"))?,
            kms_key_arn: None,
            expected_bucket_owner: None,
        };
        let writer = AccountId::parse("222222222222").map_err(|_| failure("account"))?;
        let credentials = Credentials::new("ASIAIOSFODNN7EXAMPLE", "bench", Some("bench".to_owned()), None, "bench");
        let sink = S3ObjectSink::new(&aws, credentials, &destination, &writer);
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

    /// Every shard's next page is on its way while a page of another is looked at, and an object while the next is filled.
    async fn export(self, last: &str) -> Outcome<()> {
        let Self { client, sink, shards } = self;
        let mut pages: FuturesUnordered<_> = shards.into_iter().map(|shard| page(&client, shard, last)).collect();
        let mut object = Object::default();
        let mut number = 0_u32;
        let mut on_its_way: Option<JoinHandle<Outcome<BytesMut>>> = None;
        while let Some(read) = pages.next().await {
            let (shard, blocks) = read?;
            if shard.first.is_some() {
                pages.push(page(&client, shard, last));
            }
            for block in blocks {
                object.push(&block);
                if object.bytes.len() as u64 >= TARGET_STORED_LENGTH {
                    let buffer = match on_its_way.take() {
                        Some(put) => put.await??,
                        None => BytesMut::new(),
                    };
                    let next = Object { bytes: buffer, ..Object::default() };
                    let full = std::mem::replace(&mut object, next).finish();
                    on_its_way = Some(tokio::spawn(put(sink.clone(), number, full)));
                    number += 1;
                }
            }
        }
        if let Some(put) = on_its_way {
            put.await??;
        }
        if !object.bytes.is_empty() {
            put(sink, number, object.finish()).await?;
        }
        Ok(())
    }
}

/// What is needed of a block.
pub struct Block {
    pub deflate: Vec<u8>,
    pub crc32: u32,
    pub raw_length: u64,
}

async fn page(client: &Client, mut shard: ShardReader, last: &str) -> Outcome<(ShardReader, Vec<Block>)> {
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
        let id = key.get("blockId").and_then(|id| id.as_s().ok()).ok_or_else(|| failure("a page without its end"))?;
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
            _ => return Err(failure("an item is no block")),
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

/// Gives the buffer back, to be filled again.
async fn put(sink: S3ObjectSink, number: u32, bytes: Bytes) -> Outcome<BytesMut> {
    let key = format!("{number:06}.ndjson.gz");
    let part_size = usize::try_from(PART_SIZE)?;
    let shape = UploadShape::for_length(bytes.len(), part_size);
    // The hash of the whole is sent only with what is put at once.
    let sha256 = match shape {
        UploadShape::Single => <sha2::Sha256 as sha2::Digest>::digest(&bytes).into(),
        UploadShape::Multipart { .. } => [0; 32],
    };
    let object = Upload { key: &key, bytes: bytes.clone(), sha256, shape, content_type: ContentType::Gzip };
    upload(&sink, &Machine, &object).await?;
    drop(object);
    let mut buffer = bytes.try_into_mut().unwrap_or_default();
    buffer.clear();
    Ok(buffer)
}

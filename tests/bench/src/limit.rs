//! What bounds an export with this SDK: the same pages are queried and the same bytes are put, and nothing else is done.
//! No block is checked or looked into, none is put into order, no object has a name, an intent or a checkpoint.

use std::{io::Write, time::Instant};

use aws::object_sink::S3ObjectSink;
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use bytes::{Bytes, BytesMut};
use clap::Args;
use crc_fast::CrcAlgorithm;
use domain::{
    block::{BlockId, Shard, partition_key},
    configuration::{Destination, arn::AccountId, bucket::BucketName, region::Region},
    export_run::{PART_SIZE, TARGET_STORED_LENGTH},
    tenant::TenantId,
};
use export::{
    ports::WriteCondition,
    upload::{Upload, UploadShape, upload},
};
use futures::future::try_join_all;
use runtime::{aws_configuration::aws_configuration, clock::SystemClock};

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
    let (cpu, started_at) = (own_cpu()?, Instant::now());
    runtime.block_on(export(arguments))?;
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
    crc32: u64,
    raw_length: u64,
}

async fn export(arguments: &Arguments) -> Outcome<()> {
    let aws = aws_configuration().await;
    let client = Client::new(&aws);
    let tenant = TenantId::parse(TENANT)?;
    let destination = Destination {
        bucket_name: BucketName::parse("limit").map_err(|_| failure("bucket"))?,
        bucket_path: None,
        region: Region::parse(crate::stub::REGION).map_err(|_| failure("region"))?,
        kms_key_arn: None,
        expected_bucket_owner: None,
    };
    let owner = AccountId::parse("222222222222").map_err(|_| failure("account"))?;
    let credentials = Credentials::new("ASIAIOSFODNN7EXAMPLE", "bench", Some("bench".to_owned()), None, "bench");
    let sink = S3ObjectSink::new(&aws, credentials, &destination, owner);
    let mut shards = Vec::new();
    for shard in Shard::ALL {
        let lean = match aws.endpoint_url() {
            Some(endpoint) if arguments.lean => Some(LeanClient::connect(endpoint).await?),
            _ => None,
        };
        let partition = partition_key(&tenant, shard);
        shards.push(ShardReader { partition, first: Some(arguments.first.clone()), lean });
    }
    let mut object = Object::default();
    let mut number = 0_u32;
    loop {
        let full = object.bytes.len() as u64 >= TARGET_STORED_LENGTH;
        let finished = full.then(|| std::mem::take(&mut object).finish());
        // The next pages are on their way while an object is.
        let reads = try_join_all(
            shards.iter_mut().filter(|shard| shard.first.is_some()).map(|shard| page(&client, shard, &arguments.last)),
        );
        let put = async {
            match finished {
                Some(bytes) => put(&sink, number, bytes).await,
                None => Ok(()),
            }
        };
        let (pages, put) = futures::future::join(reads, put).await;
        put?;
        number += u32::from(full);
        let pages = pages?;
        if pages.is_empty() {
            break;
        }
        for block in pages.into_iter().flatten() {
            object.push(&block);
        }
    }
    if !object.bytes.is_empty() {
        put(&sink, number, object.finish()).await?;
    }
    Ok(())
}

/// What is needed of a block.
pub struct Block {
    pub deflate: Vec<u8>,
    pub crc32: u64,
    pub raw_length: u64,
}

async fn page(client: &Client, shard: &mut ShardReader, last: &str) -> Outcome<Vec<Block>> {
    let first = shard.first.take().unwrap_or_default();
    if let Some(lean) = &mut shard.lean {
        let (blocks, last_read) = lean.page(&shard.partition, &first, last).await?;
        shard.first = last_read.map(|id| BlockId::parse(&id).map(|id| id.next().to_string())).transpose()?;
        return Ok(blocks);
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
        let number = |name: &str| item.get(name).and_then(|value| value.as_n().ok()?.parse().ok());
        let (crc32, raw_length) = (number("crc32"), number("rawLength"));
        match (item.remove("block"), crc32, raw_length) {
            (Some(AttributeValue::B(bytes)), Some(crc32), Some(raw_length)) => {
                blocks.push(Block { deflate: bytes.into_inner(), crc32, raw_length });
            }
            _ => return Err(failure("an item is no block")),
        }
    }
    Ok(blocks)
}

impl Object {
    fn push(&mut self, block: &Block) {
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(&HEADER);
        }
        self.bytes.extend_from_slice(&block.deflate);
        self.crc32 = crc_fast::checksum_combine(CrcAlgorithm::Crc32IsoHdlc, self.crc32, block.crc32, block.raw_length);
        self.raw_length += block.raw_length;
    }

    fn finish(mut self) -> Bytes {
        self.bytes.extend_from_slice(&EMPTY_FINAL_BLOCK);
        self.bytes.extend_from_slice(&self.crc32.to_le_bytes()[..4]);
        self.bytes.extend_from_slice(&self.raw_length.to_le_bytes()[..4]);
        self.bytes.freeze()
    }
}

async fn put(sink: &S3ObjectSink, number: u32, bytes: Bytes) -> Outcome<()> {
    let key = format!("{number:06}.ndjson.gz");
    let part_size = usize::try_from(PART_SIZE)?;
    let shape = UploadShape::for_length(bytes.len(), part_size);
    // The hash of the whole is sent only with what is put at once.
    let sha256 = match shape {
        UploadShape::Single => <sha2::Sha256 as sha2::Digest>::digest(&bytes).into(),
        UploadShape::Multipart { .. } => [0; 32],
    };
    let object = Upload { key: &key, bytes, sha256, shape, condition: WriteCondition::Absent };
    upload(sink, &SystemClock, &object).await?;
    Ok(())
}

//! Measured and assumed figures. docs/PERFORMANCE.md describes the measurement of processor time; update new measurements
//! only here. There was no AWS account: the latencies of AWS's services are conservative assumptions.

// ---- Measured: bytes. A test below repeats the measurement. ----

/// Bytes of a generated event, with its line feed.
pub const EVENT_BYTES: u32 = 642;

/// Bytes that ingest adds to an event: `receivedTimestamp`.
pub const STAMP_BYTES: f64 = 48.0;

/// The number of events in a block, and the share of its raw bytes that is left after compression. Other shares are
/// interpolated over the logarithm of the number.
pub const COMPRESSED_SHARES: [(f64, f64); 9] = [
    (1.0, 0.636),
    (2.0, 0.472),
    (5.0, 0.341),
    (10.0, 0.278),
    (20.0, 0.232),
    (50.0, 0.186),
    (100.0, 0.164),
    (200.0, 0.153),
    (400.0, 0.146),
];

/// Bytes of a block's item without the block: attribute names, numbers, times, and a tenant of 20 characters.
pub const BLOCK_ATTRIBUTES_BYTES: f64 = 225.0;

/// Bytes of the item of an `Idempotency-Key`.
pub const IDEMPOTENCY_RECORD_BYTES: f64 = 220.0;

/// Bytes of an export's state with an open window: two kilobytes of `DynamoDB`.
pub const OPEN_STATE_BYTES: f64 = 1_300.0;

/// Bytes of an export's state between runs: one kilobyte.
pub const IDLE_STATE_BYTES: f64 = 650.0;

/// Bytes of a job's item.
pub const JOB_BYTES: f64 = 450.0;

/// Bytes of an object's intent.
pub const INTENT_BYTES: f64 = 650.0;

/// Bytes of a digest's item without objects, with its signature.
pub const DIGEST_BYTES: f64 = 950.0;

/// Bytes of a digest for each object in it.
pub const DIGEST_OBJECT_BYTES: f64 = 550.0;

/// Bytes of the item of a segment of the archive.
pub const SEGMENT_ITEM_BYTES: f64 = 450.0;

/// Bytes of a tenant's registry row.
pub const ARCHIVE_ROW_BYTES: f64 = 230.0;

/// Bytes of a segment for each block in it, beside the block: its entry of the index.
pub const SEGMENT_INDEX_BYTES: f64 = 70.0;

/// Bytes of a configuration's item: one kilobyte.
pub const CONFIGURATION_BYTES: f64 = 900.0;

/// Bytes of an entry of the index of enabled configurations.
pub const INDEX_ENTRY_BYTES: f64 = 200.0;

// ---- Measured: processor time, of one whole processor. ----

/// The number of events of [`EVENT_BYTES`] in a request, and the microseconds that ingest needs.
pub const INGEST_MICROSECONDS: [(f64, f64); 4] = [(1.0, 427.0), (10.0, 466.0), (100.0, 1_790.0), (1_000.0, 14_600.0)];

/// Seconds that an export needs for 10^9 raw bytes of copied blocks.
pub const COPY_SECONDS_PER_RAW_GB: f64 = 0.55;

/// Seconds that an export needs for 10^9 raw bytes of short blocks, which it recompresses.
pub const RECOMPRESS_SECONDS_PER_RAW_GB: f64 = 12.0;

// ---- Assumed: latencies of AWS in milliseconds, and throughput. ----

/// From Lambda's event to the first request, and from the last answer to the end of the invocation.
pub const INVOCATION_OVERHEAD_MILLISECONDS: f64 = 2.0;

/// One `PutItem`.
pub const PUT_MILLISECONDS: f64 = 8.0;

/// One `TransactWriteItems`.
pub const TRANSACTION_MILLISECONDS: f64 = 16.0;

/// An empty run: about 20 sequential requests to `DynamoDB`, STS, KMS and S3.
pub const RUN_MILLISECONDS: f64 = 400.0;

/// One object: its intent, its PUT and its checkpoint.
pub const OBJECT_MILLISECONDS: f64 = 150.0;

/// Bytes per second, read from `DynamoDB` and concurrently put to S3.
pub const EXPORT_BYTES_PER_SECOND: f64 = 50e6;

/// One segment beside the transfer of its bytes: its PUT, its GET and its transaction.
pub const SEGMENT_MILLISECONDS: f64 = 250.0;

/// A look of the archiver at a tenant: the first pages of all shards.
pub const ARCHIVE_LOOK_MILLISECONDS: f64 = 50.0;

/// Environments of ingest that know a tenant, on average. Each reads its row in ten minutes.
pub const INGEST_ENVIRONMENTS: f64 = 3.0;

/// One request of a dispatch.
pub const DISPATCH_REQUEST_MILLISECONDS: f64 = 10.0;

// ---- Counted in the code, or assumed: logs and answers. ----

/// Bytes that `CloudWatch` adds to each line: <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>.
const LOG_LINE_BYTES: f64 = 26.0;

/// Lambda's own two lines of an invocation, in JSON: `platform.start` and `platform.report`.
const PLATFORM_LOG_BYTES: f64 = 450.0 + 2.0 * LOG_LINE_BYTES;

/// The lines of API Gateway, ingest ("events were stored") and Lambda.
pub const INGEST_LOG_BYTES: f64 = 350.0 + 280.0 + 2.0 * LOG_LINE_BYTES + PLATFORM_LOG_BYTES;

/// The line of the HTTP API in infra/queued-events for each request.
pub const QUEUED_ACCESS_LOG_BYTES: f64 = 170.0 + LOG_LINE_BYTES;

/// The lines of ingest and Lambda for a batch of messages.
pub const QUEUED_INGEST_LOG_BYTES: f64 = 280.0 + LOG_LINE_BYTES + PLATFORM_LOG_BYTES;

/// Our lines of a run ("a window was exported", "all is exported") and Lambda's.
pub const RUN_LOG_BYTES: f64 = 430.0 + 280.0 + 2.0 * LOG_LINE_BYTES + PLATFORM_LOG_BYTES;

/// Our line of a dispatch, and Lambda's.
pub const DISPATCH_LOG_BYTES: f64 = 200.0 + LOG_LINE_BYTES + PLATFORM_LOG_BYTES;

/// Our line of a pass of the archiver, and Lambda's.
pub const ARCHIVE_LOG_BYTES: f64 = 250.0 + LOG_LINE_BYTES + PLATFORM_LOG_BYTES;

/// Stored bytes of a log per written byte, as in the examples of AWS's pricing page.
pub const LOG_STORED_SHARE: f64 = 0.15;

/// Bytes of the answer to a request with events, with its headers.
pub const ANSWER_BYTES: f64 = 500.0;

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
mod tests {
    use std::time::Duration;

    use dev_tools::event_generator::EventGenerator;
    use domain::{
        block::{BlockId, Packer, StoredBlock},
        configuration::test_support::with_role,
        digest::{DIGEST_VERSION, Digest, DigestTag, DigestWindow, Hex32, digest_key},
        event::{BodyForm, EventBatch},
        export_run::test_support::{delivered, digest_reference, object, record, window},
        gzip::{EncoderVersion, GzipEncoder},
        object_key::data_object,
        tenant::TenantId,
        time::Timestamp,
    };
    use serde::Serialize;

    use super::*;
    use crate::cost::traffic::KILOBYTE;

    const EVENTS: u32 = 4_000;

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-22T00:00:00Z").unwrap()
    }

    /// Returns the bytes that a producer sends, and the resulting blocks.
    fn blocks(events_per_request: u32) -> (usize, Vec<StoredBlock>) {
        let tenant = TenantId::parse("acme").unwrap();
        let mut generator = EventGenerator::new(tenant.clone(), 1, now(), Duration::from_millis(250));
        let mut sent = 0;
        let mut blocks: Vec<StoredBlock> = Vec::new();
        for _ in 0..EVENTS / events_per_request {
            let mut body = Vec::new();
            for _ in 0..events_per_request {
                generator.write_next(&mut body).unwrap();
            }
            sent += body.len();
            let batch = EventBatch::parse(tenant.clone(), &body, BodyForm::Lines).unwrap();
            let first = blocks.last().map_or_else(|| BlockId::from_parts(now(), 7), |last| last.id.next());
            blocks.extend(Packer::default().pack(&tenant, &batch, first).unwrap());
        }
        (sent, blocks)
    }

    fn raw_length(blocks: &[StoredBlock]) -> f64 {
        blocks.iter().map(|block| f64::from(block.raw_length)).sum()
    }

    #[track_caller]
    fn assert_near(measured: f64, stated: f64, tolerance: f64, what: &str) {
        assert!((measured / stated - 1.0).abs() <= tolerance, "{what}: {measured} is not {stated}");
    }

    #[test]
    fn blocks_are_as_long_as_stated() {
        for (events, share) in COMPRESSED_SHARES {
            let per_request = (1..=EVENTS).find(|number| f64::from(*number) >= events).unwrap();
            let (sent, blocks) = blocks(per_request);
            let raw = raw_length(&blocks);
            let stored: usize = blocks.iter().map(|block| block.deflate.len()).sum();
            assert_near(sent as f64 / f64::from(EVENTS), EVENT_BYTES.into(), 0.01, "bytes of an event");
            assert_near((raw - sent as f64) / f64::from(EVENTS), STAMP_BYTES, 0.05, "bytes of a stamp");
            assert_near(stored as f64 / raw, share, 0.02, &format!("share of blocks of {events}"));
        }
    }

    /// [`super::super::service::Run`] uses the share of many events in one block.
    #[test]
    fn short_blocks_become_as_short_as_long_ones() {
        let (_, blocks) = blocks(10);
        let raw = raw_length(&blocks);
        let mut encoder = GzipEncoder::new(EncoderVersion::CURRENT);
        for block in blocks {
            encoder.push(block).unwrap();
        }
        let stored = encoder.finish().unwrap().bytes.len() as f64;
        assert_near(stored / raw, COMPRESSED_SHARES[COMPRESSED_SHARES.len() - 1].1, 0.05, "share of an object");
    }

    fn json_length(value: &impl Serialize) -> f64 {
        serde_json::to_vec(value).unwrap().len() as f64
    }

    /// AWS bills whole kilobytes, so these are compared.
    #[test]
    fn items_have_as_many_kilobytes_as_stated() {
        let configuration = with_role();
        let mut object = object(0);
        object.key = data_object(
            &configuration.destination,
            configuration.key.configuration_id,
            &configuration.encoding(),
            None,
            object.first_block,
            object.last_block,
        );
        let tag = DigestTag::of_signature(Hex32([0; 32]));
        let mut head = digest_reference(0);
        head.key = digest_key(&configuration.destination, &configuration.key, 0, now(), Some(tag));
        let mut open = window(1);
        open.checkpoint = delivered(1);
        let digest = Digest {
            version: DIGEST_VERSION,
            tenant_id: configuration.key.tenant_id.clone(),
            configuration_id: configuration.key.configuration_id,
            sequence: 1,
            window: DigestWindow::new(open.from, open.to),
            format: None,
            schema_version: None,
            filter: None,
            filter_sha256: None,
            left_out: None,
            ocsf_version: None,
            classes: None,
            classes_sha256: None,
            objects: Vec::new(),
            gaps: Vec::new(),
            previous: Some(head.clone()),
            signing_key: Hex32([0; 32]),
        };
        // Names and values of keys; of the state beside its two documents: cursor, numbers, lease.
        let (keys, rest_of_state, signature) = (100.0, 200.0, 72.0 + 60.0);
        for (what, measured, stated) in [
            ("open state", keys + rest_of_state + json_length(&head) + json_length(&open), OPEN_STATE_BYTES),
            ("idle state", keys + rest_of_state + json_length(&head), IDLE_STATE_BYTES),
            ("job", keys + json_length(&record(1)), JOB_BYTES),
            ("intent", keys + json_length(&object), INTENT_BYTES),
            ("digest", keys + signature + digest.to_bytes().unwrap().len() as f64, DIGEST_BYTES),
            ("object of a digest", json_length(&object), DIGEST_OBJECT_BYTES),
        ] {
            assert!((measured / KILOBYTE).ceil() <= (stated / KILOBYTE).ceil(), "{what}: {measured} is not {stated}");
            assert_near(measured, stated, 0.2, what);
        }
    }
}

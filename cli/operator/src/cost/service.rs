//! The resources that the service uses, according to the code, template.yaml and docs/ARCHITECTURE.md.

use std::time::Duration;

use aws_adapters::{configurations, events::writer, run_queue::RunQueueClient};
use domain::{
    block::{EXPIRY_GRACE, MAX_BLOCK_EVENTS, MAX_BLOCK_RAW_LENGTH, SHARDS},
    digest::MAX_DIGEST_OBJECTS,
    export_run::{HEARTBEAT, SLICE, TARGET_RAW_LENGTH, TARGET_STORED_LENGTH},
    gzip::SHORT_BLOCK_STORED_LENGTH,
    interval::ExportInterval,
};
use export_engine::{dispatch::MAX_CONCURRENT_SENDS, ports::RunQueue};

use super::{
    bill::{Bill, Line, Part},
    measured::{
        ANSWER_BYTES, BLOCK_ATTRIBUTES_BYTES, COMPRESSED_SHARES, CONFIGURATION_BYTES, COPY_SECONDS_PER_RAW_GB,
        DIGEST_BYTES, DIGEST_OBJECT_BYTES, DISPATCH_LOG_BYTES, DISPATCH_REQUEST_MILLISECONDS, EVENT_BYTES,
        EXPORT_BYTES_PER_SECOND, IDEMPOTENCY_RECORD_BYTES, IDLE_STATE_BYTES, INDEX_ENTRY_BYTES, INGEST_LOG_BYTES,
        INGEST_MICROSECONDS, INTENT_BYTES, INVOCATION_OVERHEAD_MILLISECONDS, JOB_BYTES, LOG_STORED_SHARE,
        OBJECT_MILLISECONDS, OPEN_STATE_BYTES, PUT_MILLISECONDS, RECOMPRESS_SECONDS_PER_RAW_GB, RUN_LOG_BYTES,
        RUN_MILLISECONDS, STAMP_BYTES, TRANSACTION_MILLISECONDS,
    },
    price::{self, Price},
    traffic::{Architecture, Authentication, DAYS_PER_MONTH, Endpoint, GIGABYTE, KILOBYTE, Parameters, Traffic, float},
};

// ---- From template.yaml; a test compares them. ----

/// Shards of a tenant that ingest writes to.
pub const WRITE_SHARDS: f64 = 4.0;
/// Retention of logs in months.
const LOG_RETENTION_MONTHS: f64 = 3.0;
/// Megabytes of memory.
pub(super) const INGEST_MEMORY: f64 = 1_024.0;
/// Megabytes of memory: one whole processor.
const EXPORTER_MEMORY: f64 = 1_769.0;
/// Concurrent export runs.
const MAXIMUM_CONCURRENT_RUNS: f64 = 20.0;
/// KMS keys: for secrets, for signatures, and for the archive.
const KEYS: f64 = 3.0;
const ALARMS: f64 = 89.0;
const METRIC_FILTERS: f64 = 36.0;
const DASHBOARDS: f64 = 1.0;
/// Schedules of dispatches, one per interval.
const DISPATCH_SCHEDULES: f64 = 5.0;
/// Metrics of the filters: one each, but the filter of dispatches has one per interval.
const FILTER_METRICS: f64 = METRIC_FILTERS - 1.0 + DISPATCH_SCHEDULES;
/// An HTTP API bills each 512 KB of a request: <https://aws.amazon.com/api-gateway/pricing/>.
const HTTP_API_UNIT: f64 = 512.0 * KILOBYTE;

/// API Gateway's detailed metrics of five methods, two of them for the page: `4XXError`, `5XXError`, `Count`,
/// `IntegrationLatency`, `Latency`.
const DETAILED_METRICS: f64 = 5.0 * 5.0;
/// Queues that invoke functions.
const POLLED_QUEUES: f64 = 6.0;

/// Write units to take, renew or return a tenant's share, an item of less than 1 KB.
const SHARE_UNITS: f64 = 1.0;

/// `TableDays` of a stack that archives.
pub const TABLE_DAYS: f64 = 7.0;

// ---- From the code. ----

/// Shards of the index of enabled configurations.
const SCHEDULE_SHARDS: f64 = configurations::SCHEDULE_SHARDS as f64;
/// Configurations of one page of the index.
const INDEX_PAGE_SIZE: f64 = configurations::INDEX_PAGE_SIZE as f64;
/// Messages of one `SendMessageBatch`.
const MESSAGES_PER_SEND: f64 = float(<RunQueueClient as RunQueue>::MAX_BATCH as u64);
/// Concurrent sends of a dispatch.
const CONCURRENT_SENDS: f64 = float(MAX_CONCURRENT_SENDS as u64);
/// Shorter blocks are recompressed.
const SHORT_BLOCK_BYTES: f64 = float(SHORT_BLOCK_STORED_LENGTH as u64);
/// Objects of a connection test: the trial and the marker.
const TEST_PUTS: f64 = 2.0;
/// Objects of a window: the digest and its signature.
const DIGEST_PUTS: f64 = 2.0;

// ---- From AWS. ----

/// Days that `DynamoDB` takes to delete an expired item. AWS says "within a few days"; assumed.
const DELETION_DAYS: f64 = 1.0;

/// `DynamoDB` reads are billed by 4 KB.
pub const READ_UNIT_BYTES: f64 = 4.0 * KILOBYTE;
/// The factor for writes and checks in a transaction.
pub const TRANSACTION: f64 = 2.0;
/// Bytes of a full page of a query.
const PAGE_BYTES: f64 = KILOBYTE * KILOBYTE;
/// Bytes that `DynamoDB` adds to each stored item.
const STORED_ITEM_BYTES: f64 = 100.0;
/// Lambda polls a queue with five long polls of 20 s:
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>.
const POLLS_PER_DAY: f64 = 5.0 * 24.0 * 3_600.0 / 20.0;
/// Megabytes of memory with which Lambda provides one whole processor.
const MEMORY_OF_A_PROCESSOR: f64 = 1_769.0;

/// The age of the stack in the bill. The history in the runs table is kept for `HistoryDays`, 400 by default.
pub const HISTORY_MONTHS: f64 = 12.0;

/// The stored form of one request with events.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestShape {
    pub blocks: f64,
    /// Bytes of the blocks' items.
    pub item_bytes: f64,
    /// Bytes of the blocks' streams.
    pub stream_bytes: f64,
    /// Bytes of the stored events before compression.
    pub raw_bytes: f64,
    pub write_units: f64,
    pub is_transaction: bool,
}

impl RequestShape {
    #[must_use]
    pub fn of(traffic: &Traffic) -> Self {
        let parameters = traffic.parameters();
        let event_bytes = f64::from(parameters.event_bytes) + STAMP_BYTES;
        let events = f64::from(parameters.events_per_request);
        let fitting = (float(MAX_BLOCK_RAW_LENGTH as u64) / event_bytes).floor();
        let events_per_block = events.min(fitting).min(float(MAX_BLOCK_EVENTS as u64)).max(1.0);
        let full_blocks = (events / events_per_block).floor();
        let rest = events - full_blocks * events_per_block;
        let mut shape = Self {
            blocks: 0.0,
            item_bytes: 0.0,
            stream_bytes: 0.0,
            raw_bytes: events * event_bytes,
            write_units: 0.0,
            is_transaction: parameters.idempotency_keys,
        };
        for (blocks, events) in [(full_blocks, events_per_block), (1.0, rest)] {
            if events > 0.0 {
                let stream_bytes = compressed(events, event_bytes);
                let item_bytes = stream_bytes + BLOCK_ATTRIBUTES_BYTES;
                shape.blocks += blocks;
                shape.item_bytes += blocks * item_bytes;
                shape.stream_bytes += blocks * stream_bytes;
                shape.write_units += blocks * kilobytes(item_bytes);
            }
        }
        // Requests are atomic, so several blocks are a transaction.
        shape.is_transaction |= shape.blocks > 1.0;
        if shape.is_transaction {
            shape.write_units *= TRANSACTION;
        }
        if parameters.idempotency_keys {
            shape.write_units += TRANSACTION * kilobytes(IDEMPOTENCY_RECORD_BYTES);
        }
        shape
    }

    /// Returns the billed milliseconds of the ingest function.
    pub(super) fn milliseconds(&self, traffic: &Traffic) -> f64 {
        let parameters = traffic.parameters();
        let typical_events =
            f64::from(parameters.events_per_request) * f64::from(parameters.event_bytes) / f64::from(EVENT_BYTES);
        let processor = interpolated(&INGEST_MICROSECONDS, typical_events, |events| events) / 1_000.0;
        let write = if self.is_transaction { TRANSACTION_MILLISECONDS } else { PUT_MILLISECONDS };
        (INVOCATION_OVERHEAD_MILLISECONDS + write + processor * MEMORY_OF_A_PROCESSOR / INGEST_MEMORY).ceil()
    }
}

/// The usage of an average run of a configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// Pages of blocks, over all shards.
    pub queries: f64,
    pub objects: f64,
    /// Windows, each with its digest.
    pub windows: f64,
    /// Compressed bytes of the objects.
    pub stored_bytes: f64,
    pub read_units: f64,
    pub write_units: f64,
    /// Bytes that stay in the runs table, and their items.
    pub history_bytes: f64,
    pub milliseconds: f64,
    /// Invocations: one, and another for each elapsed time slice.
    pub slices: f64,
}

impl Run {
    #[must_use]
    pub fn of(traffic: &Traffic) -> Self {
        let shape = RequestShape::of(traffic);
        let requests = traffic.requests_per_day() * traffic.share_of_a_configuration() / traffic.runs_per_day();
        let event_bytes = f64::from(traffic.parameters().event_bytes) + STAMP_BYTES;
        let raw_bytes = requests * shape.raw_bytes;
        let is_of_short_blocks = shape.stream_bytes < shape.blocks * SHORT_BLOCK_BYTES;
        let copied_bytes = requests * shape.stream_bytes;
        let stored_bytes = if is_of_short_blocks {
            copied_bytes.min(compressed(raw_bytes / event_bytes, event_bytes))
        } else {
            copied_bytes
        };
        // If several windows share one request, only one of them has an object.
        let targets = (stored_bytes / float(TARGET_STORED_LENGTH)).max(raw_bytes / float(TARGET_RAW_LENGTH));
        let objects = if requests < 1.0 { requests } else { targets.ceil() };
        let windows = (objects / float(MAX_DIGEST_OBJECTS)).ceil().max(1.0);

        // Every shard is queried, and an empty query costs one unit.
        let item_bytes = shape.item_bytes / shape.blocks;
        let page_bytes = (PAGE_BYTES / item_bytes).floor() * item_bytes;
        let shard_bytes = requests * shape.item_bytes / WRITE_SHARDS;
        let pages = (shard_bytes / page_bytes).ceil().max(1.0);
        let empty_queries = windows * f64::from(SHARDS) - WRITE_SHARDS;
        let block_units =
            empty_queries + WRITE_SHARDS * ((shard_bytes / READ_UNIT_BYTES).ceil() + pages - 1.0).max(1.0);

        let objects_per_window = objects / windows;
        let intent_units = (objects_per_window * INTENT_BYTES / READ_UNIT_BYTES).ceil().max(1.0);
        let digest_bytes = DIGEST_BYTES + objects_per_window * DIGEST_OBJECT_BYTES;

        let processor_seconds_per_gigabyte =
            COPY_SECONDS_PER_RAW_GB + if is_of_short_blocks { RECOMPRESS_SECONDS_PER_RAW_GB } else { 0.0 };
        let milliseconds = windows * RUN_MILLISECONDS
            + objects * OBJECT_MILLISECONDS
            + raw_bytes / 1e9 * processor_seconds_per_gigabyte * 1_000.0
            + copied_bytes / EXPORT_BYTES_PER_SECOND * 1_000.0;
        let slices = (milliseconds / milliseconds_of(SLICE)).ceil().max(1.0);
        let heartbeats = (milliseconds / milliseconds_of(HEARTBEAT)).floor();

        let (idle, open) = (kilobytes(IDLE_STATE_BYTES), kilobytes(OPEN_STATE_BYTES));
        // The transactions check the lease on the state.
        let fence = TRANSACTION * open;
        let of_a_slice = idle + kilobytes(CONFIGURATION_BYTES) + idle;
        let of_a_window =
            open + (fence + TRANSACTION * kilobytes(digest_bytes)) + (fence + TRANSACTION * kilobytes(JOB_BYTES));
        // A digest gets its expiry in the transaction that ends its window, and an intent with the next window.
        let of_a_window = of_a_window + TRANSACTION * kilobytes(digest_bytes);
        let of_an_object = (fence + TRANSACTION * kilobytes(INTENT_BYTES)) + open + kilobytes(INTENT_BYTES);
        Self {
            queries: empty_queries + WRITE_SHARDS * pages,
            objects,
            windows,
            stored_bytes,
            // The configuration at the beginning and before each object; the retentions and the Region's circuit; the corrupt
            // blocks of each window; its intents, and those of the previous window.
            read_units: slices + objects + block_units + 2.0 * windows * intent_units + 2.0 * slices + windows,
            // A later slice stores its window again.
            write_units: slices * of_a_slice
                + (slices - 1.0) * open
                + windows * of_a_window
                + objects * of_an_object
                + heartbeats * (open + SHARE_UNITS)
                + 2.0 * slices * SHARE_UNITS,
            history_bytes: windows * (digest_bytes + JOB_BYTES + 2.0 * STORED_ITEM_BYTES)
                + objects * (INTENT_BYTES + STORED_ITEM_BYTES),
            milliseconds,
            slices,
        }
    }

    /// Requests to `DynamoDB` of a run with one slice that ends before its first heartbeat.
    #[cfg(test)]
    fn dynamodb_requests(&self) -> f64 {
        // The configuration, the lease, the report, the release; a window's start, intents, digest and end; an object's
        // configuration, intent and checkpoint. The tenant's share, taken and returned, the retentions and the circuit; a
        // window's corrupt blocks. The query for intents of the previous window, and the expiry of each.
        4.0 + self.queries + 4.0 * self.windows + 3.0 * self.objects + 4.0 + self.windows + self.windows + self.objects
    }

    fn puts(&self) -> f64 {
        self.objects + self.windows * DIGEST_PUTS
    }
}

/// The usage of the dispatches of all intervals in a day.
struct Dispatches {
    invocations: f64,
    milliseconds: f64,
    read_units: f64,
    sends: f64,
}

impl Dispatches {
    fn of(traffic: &Traffic) -> Self {
        let invocations: f64 =
            ExportInterval::ALL.into_iter().map(|interval| 24.0 * 3_600.0 / interval.duration().as_secs_f64()).sum();
        // All schedules fire, but only one finds configurations.
        let finding = traffic.runs_per_day();
        let configurations_per_shard = f64::from(traffic.parameters().configurations) / SCHEDULE_SHARDS;
        let pages = (configurations_per_shard / INDEX_PAGE_SIZE).ceil().max(1.0);
        // Eventually consistent reads cost half a unit.
        let units =
            0.5 * ((configurations_per_shard * INDEX_ENTRY_BYTES / READ_UNIT_BYTES).ceil() + pages - 1.0).max(1.0);
        let sends = finding * SCHEDULE_SHARDS * (configurations_per_shard / MESSAGES_PER_SEND).ceil();
        let idle = invocations - finding;
        let queries = SCHEDULE_SHARDS * (finding * pages + idle);
        Self {
            invocations,
            milliseconds: invocations * INVOCATION_OVERHEAD_MILLISECONDS
                + (queries + sends / CONCURRENT_SENDS) * DISPATCH_REQUEST_MILLISECONDS,
            read_units: SCHEDULE_SHARDS * (finding * units + idle * 0.5),
            sends,
        }
    }
}

fn line(part: Part, price: &'static Price, quantity: f64) -> Line {
    Line { part, price, quantity }
}

pub fn time_price(architecture: Architecture) -> &'static Price {
    match architecture {
        Architecture::Arm64 => &price::LAMBDA_ARM64,
        Architecture::X86 => &price::LAMBDA_X86,
    }
}

/// Returns the requests that an HTTP API bills for one request without compression.
fn http_api_units(traffic: &Traffic) -> f64 {
    let Parameters { event_bytes, events_per_request, .. } = *traffic.parameters();
    (f64::from(event_bytes) * f64::from(events_per_request) / HTTP_API_UNIT).ceil()
}

pub(super) fn ingest_lines(traffic: &Traffic) -> [Line; 6] {
    let shape = RequestShape::of(traffic);
    let requests = traffic.requests_per_day() * DAYS_PER_MONTH;
    let seconds = shape.milliseconds(traffic) / 1_000.0;
    let ingest = |price, quantity| line(Part::Ingest, price, quantity);
    [
        match traffic.parameters().endpoint {
            Endpoint::Rest => ingest(&price::API_GATEWAY_REQUEST, requests),
            Endpoint::HttpApi => ingest(&price::API_GATEWAY_HTTP_REQUEST, requests * http_api_units(traffic)),
        },
        ingest(&price::LAMBDA_REQUEST, requests),
        ingest(time_price(traffic.parameters().architecture), requests * seconds * INGEST_MEMORY / 1_024.0),
        ingest(&price::DYNAMODB_WRITE, requests * shape.write_units),
        ingest(&price::LOG_INGESTION, requests * INGEST_LOG_BYTES / GIGABYTE),
        ingest(&price::TRANSFER_OUT, requests * ANSWER_BYTES / GIGABYTE),
    ]
}

/// Returns the days that blocks are in the events table.
pub(super) fn days_in_table(traffic: &Traffic) -> f64 {
    let without = days_of(traffic.retention() + EXPIRY_GRACE);
    without.min(TABLE_DAYS + DELETION_DAYS)
}

pub(super) fn storage_lines(traffic: &Traffic) -> [Line; 3] {
    let parameters = traffic.parameters();
    let shape = RequestShape::of(traffic);
    let block_bytes =
        traffic.requests_per_day() * (shape.item_bytes + shape.blocks * STORED_ITEM_BYTES) * days_in_table(traffic);
    let record_bytes = if parameters.idempotency_keys {
        traffic.requests_per_day()
            * (IDEMPOTENCY_RECORD_BYTES + STORED_ITEM_BYTES)
            * days_of(writer::IDEMPOTENCY_LIFETIME)
    } else {
        0.0
    };
    let runs_per_month = f64::from(parameters.configurations) * traffic.runs_per_day() * DAYS_PER_MONTH;
    let history_bytes = Run::of(traffic).history_bytes * runs_per_month * HISTORY_MONTHS;
    let gigabytes = (block_bytes + record_bytes + history_bytes) / GIGABYTE;
    let log_gigabytes = log_bytes(traffic) / GIGABYTE * LOG_RETENTION_MONTHS * LOG_STORED_SHARE;
    [
        line(Part::Storage, &price::DYNAMODB_STORAGE, gigabytes),
        line(Part::Storage, &price::DYNAMODB_POINT_IN_TIME_RECOVERY, gigabytes),
        line(Part::Storage, &price::LOG_STORAGE, log_gigabytes),
    ]
}

/// Returns the bytes that the exporter logs in a month.
fn export_log_bytes(traffic: &Traffic) -> f64 {
    let runs = f64::from(traffic.parameters().configurations) * traffic.runs_per_day() * Run::of(traffic).slices;
    (runs * RUN_LOG_BYTES + Dispatches::of(traffic).invocations * DISPATCH_LOG_BYTES) * DAYS_PER_MONTH
}

/// Returns the bytes that are logged in a month.
fn log_bytes(traffic: &Traffic) -> f64 {
    traffic.requests_per_day() * DAYS_PER_MONTH * INGEST_LOG_BYTES + export_log_bytes(traffic)
}

pub(super) fn export_lines(traffic: &Traffic) -> [Line; 9] {
    let parameters = traffic.parameters();
    let run = Run::of(traffic);
    let dispatches = Dispatches::of(traffic);
    let configurations = f64::from(parameters.configurations);
    let runs = configurations * traffic.runs_per_day();
    // Once a day a run tests the connection first, which takes about as long as an empty run.
    let tests = configurations;
    let invocations = dispatches.invocations + runs * run.slices;
    let milliseconds = dispatches.milliseconds
        + runs * (run.milliseconds + run.slices * INVOCATION_OVERHEAD_MILLISECONDS)
        + tests * RUN_MILLISECONDS;
    // Each message is received, hidden during the run, and deleted; a run with another slice sends one.
    let messages = runs * run.slices;
    let heartbeats = runs * run.milliseconds / 1_000.0 / HEARTBEAT.as_secs_f64();
    let queue_requests = dispatches.sends + runs * (run.slices - 1.0) + 3.0 * messages + heartbeats;
    let decryptions = match parameters.authentication {
        Authentication::Role => 0.0,
        Authentication::AccessKey => runs * run.slices + tests,
    };
    // Each environment of the function reads the public key once.
    let public_keys = traffic.runs_per_day() * configurations.min(MAXIMUM_CONCURRENT_RUNS);
    let per_month = |price, quantity_per_day| line(Part::Export, price, quantity_per_day * DAYS_PER_MONTH);
    [
        per_month(&price::SCHEDULER_INVOCATION, dispatches.invocations),
        per_month(&price::LAMBDA_REQUEST, invocations),
        per_month(time_price(parameters.architecture), milliseconds / 1_000.0 * EXPORTER_MEMORY / 1_024.0),
        per_month(&price::SQS_REQUEST, queue_requests),
        per_month(&price::DYNAMODB_READ, dispatches.read_units + runs * run.read_units),
        per_month(&price::DYNAMODB_WRITE, runs * run.write_units + tests * kilobytes(CONFIGURATION_BYTES)),
        per_month(&price::KMS_ASYMMETRIC, runs * run.windows + public_keys),
        per_month(&price::KMS_SYMMETRIC, decryptions),
        line(Part::Export, &price::LOG_INGESTION, export_log_bytes(traffic) / GIGABYTE),
    ]
}

pub(super) fn standing_lines() -> [Line; 5] {
    [
        line(Part::Standing, &price::KMS_KEY, KEYS),
        line(Part::Standing, &price::ALARM, ALARMS),
        line(Part::Standing, &price::DASHBOARD, DASHBOARDS),
        line(Part::Standing, &price::CUSTOM_METRIC, FILTER_METRICS + DETAILED_METRICS),
        line(Part::Standing, &price::SQS_REQUEST, POLLED_QUEUES * POLLS_PER_DAY * DAYS_PER_MONTH),
    ]
}

/// Returns the bill of all customers: writing to their buckets, and storing one month's files for one month.
#[must_use]
pub fn customers_bill(traffic: &Traffic) -> Bill {
    let configurations = f64::from(traffic.parameters().configurations);
    let run = Run::of(traffic);
    let puts = configurations * (traffic.runs_per_day() * run.puts() + TEST_PUTS) * DAYS_PER_MONTH;
    let stored_bytes = configurations * traffic.runs_per_day() * run.stored_bytes * DAYS_PER_MONTH;
    Bill::new(vec![
        line(Part::Delivered, &price::S3_PUT, puts),
        line(Part::Delivered, &price::S3_STORAGE, stored_bytes / GIGABYTE),
    ])
}

/// Returns the compressed bytes of a block of so many events.
pub(super) fn compressed(events: f64, event_bytes: f64) -> f64 {
    events * event_bytes * interpolated(&COMPRESSED_SHARES, events, f64::ln)
}

/// Interpolates linearly between points, over `scale` of the first coordinate. Before the first point, returns its value;
/// after the last one, extrapolates if the values rise, or else returns the last value.
fn interpolated(points: &[(f64, f64)], at: f64, scale: fn(f64) -> f64) -> f64 {
    let Some((first, last)) = points.first().zip(points.last()) else { return 0.0 };
    if at <= first.0 {
        return first.1;
    }
    if at >= last.0 && points.get(points.len().wrapping_sub(2)).is_none_or(|before| before.1 >= last.1) {
        return last.1;
    }
    let upper = points.iter().skip(1).position(|point| at <= point.0).map_or(points.len() - 1, |index| index + 1);
    let (Some(low), Some(high)) = (points.get(upper.saturating_sub(1)), points.get(upper)) else { return last.1 };
    let share = (scale(at) - scale(low.0)) / (scale(high.0) - scale(low.0));
    low.1 + share * (high.1 - low.1)
}

/// Returns the write request units of an item.
pub fn kilobytes(bytes: f64) -> f64 {
    (bytes / KILOBYTE).ceil().max(1.0)
}

fn milliseconds_of(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// Returns the days of a duration.
pub(super) fn days_of(duration: Duration) -> f64 {
    duration.as_secs_f64() / (24.0 * 3_600.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::account::bill;
    use crate::cost::archive;
    use crate::cost::tests::{assert_near, traffic};

    fn shape(change: impl FnOnce(&mut crate::cost::Parameters)) -> RequestShape {
        RequestShape::of(&traffic(change))
    }

    fn quantity(bill: &Bill, part: Part, price: &'static Price) -> f64 {
        bill.lines.iter().filter(|line| line.part == part && line.price == price).map(|line| line.quantity).sum()
    }

    /// 100 events of 642 + 48 bytes are 69,000, compressed to 16.4 % 11,316, and with the attributes 11,541: 12 KB.
    #[test]
    fn a_request_of_a_hundred_events_is_a_block_of_12_units() {
        let shape = shape(|_| ());
        assert_near(shape.item_bytes, 11_541.0);
        assert_near(shape.blocks, 1.0);
        assert_near(shape.write_units, 12.0);
    }

    #[test]
    fn an_idempotency_key_makes_it_a_transaction_with_a_record() {
        assert_near(shape(|parameters| parameters.idempotency_keys = true).write_units, 2.0 * (12.0 + 1.0));
    }

    /// 474 events of 690 bytes fit into 320 KiB: 47,976 bytes twice, and 52 events in 6,854; all in one transaction.
    #[test]
    fn a_request_of_a_thousand_events_is_three_blocks_in_a_transaction() {
        let shape = shape(|parameters| parameters.events_per_request = 1_000);
        assert_near(shape.blocks, 3.0);
        assert_near(shape.write_units, 2.0 * (47.0 + 47.0 + 7.0));
    }

    /// 1,000 events of 642 bytes are 627 KB.
    #[test]
    fn an_http_api_bills_a_request_by_its_length() {
        let requests = |events_per_request| {
            let traffic = traffic(|parameters| {
                parameters.events_per_request = events_per_request;
                parameters.endpoint = Endpoint::HttpApi;
            });
            let bill = bill(&traffic);
            assert_near(quantity(&bill, Part::Ingest, &price::API_GATEWAY_REQUEST), 0.0);
            quantity(&bill, Part::Ingest, &price::API_GATEWAY_HTTP_REQUEST)
        };
        assert_near(requests(100), 300_000.0);
        assert_near(requests(1_000), 60_000.0);
    }

    /// A million events a day by 100 are 300,000 requests a month.
    #[test]
    fn ingest_of_a_million_events_a_day() {
        let bill = bill(&traffic(|_| ()));
        let of = |price| quantity(&bill, Part::Ingest, price);
        assert_near(of(&price::API_GATEWAY_REQUEST), 300_000.0);
        assert_near(of(&price::LAMBDA_REQUEST), 300_000.0);
        assert_near(of(&price::DYNAMODB_WRITE), 3_600_000.0);
        // 2 ms, 8 ms, and 1.79 ms of a processor of which the function has 1,024 of 1,769: 13.1, billed as 14.
        assert_near(of(&price::LAMBDA_ARM64), 300_000.0 * 0.014);
        assert_near(price::DYNAMODB_WRITE.of(3_600_000.0).0, 2.25);
        assert_near(price::API_GATEWAY_REQUEST.of(300_000.0).0, 1.05);
    }

    /// 10,000 items of 11,541 + 100 bytes a day for 7 + 1 days are 0.87 GB. A run leaves a digest of 1,500 bytes, a job
    /// of 450, an intent of 650 and 100 for each of these: 2,900 bytes, 360 times.
    #[test]
    fn storage_of_a_million_events_a_day() {
        let bill = bill(&traffic(|_| ()));
        let run = Run::of(&traffic(|_| ()));
        let objects = run.objects;
        let history = (950.0 + 550.0 * objects + 450.0 + 200.0 + 750.0 * objects) * 360.0;
        let gigabytes = (10_000.0 * 11_641.0 * 8.0 + history) / GIGABYTE;
        assert_near(quantity(&bill, Part::Storage, &price::DYNAMODB_STORAGE), gigabytes);
        assert_near(quantity(&bill, Part::Storage, &price::DYNAMODB_POINT_IN_TIME_RECOVERY), gigabytes);
    }

    /// All 16 shards are queried; the configuration, the intents, the retentions, the circuit and the corrupt blocks.
    #[test]
    fn a_run_without_events() {
        let run = Run::of(&traffic(|parameters| parameters.events_per_day = 0));
        assert_near(run.queries, 16.0);
        assert_near(run.objects, 0.0);
        assert_near(run.read_units, 16.0 + 1.0 + 2.0 + 3.0);
        // Lease, report, release; the window; the digest and the end, each with its check of the state; the digest's expiry.
        assert_near(run.write_units, 3.0 + 2.0 + (4.0 + 2.0) + (4.0 + 2.0) + 2.0 + 2.0);
        assert_near(run.puts(), 2.0);
        assert_near(run.dynamodb_requests(), 30.0);
    }

    /// One request of 100 events: one shard has a page of 3 units, where the model has four pages of one unit.
    #[test]
    fn a_run_with_one_object() {
        let run = Run::of(&traffic(|parameters| parameters.events_per_day = 100));
        assert_near(run.objects, 1.0);
        assert_near(run.read_units, 16.0 + 2.0 + 2.0 + 3.0);
        // The expiry of the digest, and of the intent of the run before.
        let expiry = 4.0 + 1.0;
        assert_near(run.write_units, 3.0 + 2.0 + (4.0 + 4.0) + (4.0 + 2.0) + (4.0 + 2.0) + 2.0 + 2.0 + expiry);
        assert_near(run.puts(), 3.0);
    }

    /// For an export of two million events in blocks of 100, the benchmark's stub counted 331 requests to DynamoDB and 30 to
    /// S3, with slightly less compression: 28 objects instead of 27. Since then a run makes five more requests to DynamoDB, and
    /// sets an expiry for each intent of the previous window: 28 more.
    #[test]
    fn a_run_makes_as_many_requests_as_the_benchmark_counted() {
        let run = Run::of(&traffic(|parameters| parameters.events_per_day = 2_000_000));
        assert_near(run.objects, 27.0);
        assert_near(run.puts(), 29.0);
        assert!((353.0..=368.0).contains(&run.dynamodb_requests()), "{}", run.dynamodb_requests());
        assert_near(run.slices, 1.0);
    }

    #[test]
    fn a_long_window_has_several_digests_and_slices() {
        let run = Run::of(&traffic(|parameters| parameters.events_per_day = 100_000_000));
        assert_near(run.objects, 1_349.0);
        assert_near(run.windows, 4.0);
        assert!(run.slices > 1.0, "{run:?}");
    }

    #[test]
    fn every_configuration_reads_its_tenants_events() {
        let alone = bill(&traffic(|_| ()));
        let ten_of_one_tenant = bill(&traffic(|parameters| parameters.configurations = 10));
        let read = |bill| quantity(bill, Part::Export, &price::DYNAMODB_READ);
        let dispatches = 25.0 * 30.0 * 8.0 * 0.5;
        assert_near(read(&ten_of_one_tenant) - dispatches, 10.0 * (read(&alone) - dispatches));
        assert_near(alone.of(Part::Ingest).0, ten_of_one_tenant.of(Part::Ingest).0);
    }

    #[test]
    fn short_blocks_are_delivered_as_one_stream() {
        let by_one = traffic(|parameters| parameters.events_per_request = 1);
        let by_hundred = traffic(|_| ());
        assert!(Run::of(&by_one).stored_bytes < Run::of(&by_hundred).stored_bytes);
        assert!(Run::of(&by_one).milliseconds > 2.0 * Run::of(&by_hundred).milliseconds);
    }

    #[test]
    fn an_access_key_is_decrypted_for_each_run_and_test() {
        let decryptions = |authentication| {
            let bill = bill(&traffic(|parameters| parameters.authentication = authentication));
            quantity(&bill, Part::Export, &price::KMS_SYMMETRIC)
        };
        assert_near(decryptions(Authentication::Role), 0.0);
        assert_near(decryptions(Authentication::AccessKey), 60.0);
    }

    #[test]
    fn the_document_states_what_the_polling_of_another_queue_costs() {
        let dollars = price::SQS_REQUEST.of(POLLS_PER_DAY * DAYS_PER_MONTH).0;
        let stated = format!("USD {dollars:.2} a month for\neach of the two");
        assert!(include_str!("../../../../docs/COST.md").contains(&stated), "{stated}");
    }

    #[test]
    fn values_between_two_points_are_interpolated() {
        let points = [(1.0, 10.0), (3.0, 20.0), (4.0, 40.0)];
        let at = |x| interpolated(&points, x, |x| x);
        for (x, y) in [(0.0, 10.0), (1.0, 10.0), (2.0, 15.0), (3.0, 20.0), (3.5, 30.0), (4.0, 40.0), (5.0, 60.0)] {
            assert_near(at(x), y);
        }
        assert_near(interpolated(&[(1.0, 2.0), (2.0, 1.0)], 3.0, |x| x), 1.0);
    }

    /// Compares the constants of this file with the template, which no code can import.
    #[test]
    fn the_stack_is_as_stated() {
        let template = include_str!("../../../../template.yaml");
        let number = |pattern: &str| template.matches(pattern).count();
        let counts = [
            // The stack has one of the two signing keys.
            (number("Type: AWS::KMS::Key\n") - number("  SecondSigningKey:\n"), KEYS),
            (number("Type: AWS::CloudWatch::Alarm\n"), ALARMS),
            (number("Type: AWS::CloudWatch::Dashboard\n"), DASHBOARDS),
            // Those of the converter and of the archiver make the metrics of the exporter's, and so do two of the housekeeper's.
            (
                number("Type: AWS::Logs::MetricFilter\n")
                    - number("LogGroupName: !Ref ConverterLogGroup\n")
                    - number("LogGroupName: !Ref ArchiverLogGroup\n")
                    - number("  HousekeeperArchiveBehindMetric:\n")
                    - number("  HousekeeperSegmentDamagedMetric:\n"),
                METRIC_FILTERS,
            ),
            // Without topics and rules, their two queues are not polled.
            (number("Type: SQS\n"), POLLED_QUEUES + 2.0),
            // One per interval, one for the sweep, one for the archive and one for notices.
            (number("Type: AWS::Scheduler::Schedule\n"), 8.0),
            (number("Input: '{\"dispatch\":{\"interval\":"), DISPATCH_SCHEDULES),
            (number("Value: $.interval }"), 1.0),
            (number("PointInTimeRecoveryEnabled: true"), 3.0),
            (number("Path: /api/audit/"), 2.0),
            (number("MetricsEnabled: true"), 4.0),
        ];
        for (index, (counted, stated)) in counts.into_iter().enumerate() {
            assert_near(float(counted as u64), stated);
            assert!(counted > 0, "{index}");
        }
        // The lines that are indented more than the name.
        let has = |name: &str, wanted: &str| {
            let (_, behind) = template.split_once(&format!("\n  {name}:\n")).unwrap_or_default();
            let mut lines = behind.lines().take_while(|line| line.starts_with("    "));
            assert!(lines.any(|line| line.trim() == wanted), "{name} has no {wanted:?}");
        };
        has("IngestFunction", &format!("MemorySize: {INGEST_MEMORY}"));
        has("ExporterFunction", &format!("MemorySize: {EXPORTER_MEMORY}"));
        has("ArchiverFunction", &format!("MemorySize: {}", archive::ARCHIVER_MEMORY));
        has("WriteShards", &format!("Default: {WRITE_SHARDS}"));
        has("MaximumConcurrentRuns", &format!("Default: {MAXIMUM_CONCURRENT_RUNS}"));
        has("LogRetentionDays", &format!("Default: {}", LOG_RETENTION_MONTHS * DAYS_PER_MONTH));
        has("RetentionDays", &format!("Default: {}", crate::cost::tests::USUAL.retention_days));
        has("TableDays", &format!("Default: {TABLE_DAYS}"));
        has("Architecture", "Default: arm64");
        let every_quarter = "ScheduleExpression: !If [HasDevelopmentSchedule, !Ref DevelopmentScheduleExpression, \
                             rate(15 minutes)]";
        has("ArchiveSchedule", every_quarter);
        assert_near(archive::PASSES, 24.0 * 60.0 / 15.0);
    }
}

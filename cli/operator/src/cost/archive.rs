//! The archive: the segments of a tenant, and the requests that make them.

use domain::{
    archive::{ArchiveTimes, DayClass, REGISTRY_SHARDS, SEGMENT_LENGTH},
    block::{EXPIRY_GRACE, SHARDS},
};
use export_engine::archive::COMPARED_LENGTH;

use super::{
    bill::{Line, Part},
    measured::{
        ARCHIVE_LOG_BYTES, ARCHIVE_LOOK_MILLISECONDS, ARCHIVE_ROW_BYTES, EXPORT_BYTES_PER_SECOND, INGEST_ENVIRONMENTS,
        INVOCATION_OVERHEAD_MILLISECONDS, SEGMENT_INDEX_BYTES, SEGMENT_ITEM_BYTES, SEGMENT_MILLISECONDS,
    },
    price,
    service::{READ_UNIT_BYTES, RequestShape, TRANSACTION, WRITE_SHARDS, days_of, kilobytes, time_price},
    traffic::{DAYS_PER_MONTH, GIGABYTE, KILOBYTE, Traffic, float},
};

/// Megabytes of memory of the archiver, as in template.yaml.
pub const ARCHIVER_MEMORY: f64 = 1_769.0;
/// Days after which segments move to another class of storage, as in template.yaml.
pub const TRANSITION_DAYS: f64 = 1.0;
/// Days that an expired version is kept, as in template.yaml.
const NONCURRENT_DAYS: f64 = 30.0;
/// Passes of the archiver in a day, as in template.yaml.
pub const PASSES: f64 = 24.0 * 4.0;
/// Partitions of the rows of all tenants.
const ROW_PARTITIONS: f64 = REGISTRY_SHARDS as f64;
/// Bytes of a request that reads a segment back.
const READ_BACK_BYTES: f64 = float(COMPARED_LENGTH as u64);
/// Shorter objects stay in S3 Standard:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html>.
const LEAST_MOVED_BYTES: f64 = 128.0 * KILOBYTE;

/// The archive of a day, of all tenants together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Archive {
    pub segments: f64,
    /// Of a segment.
    pub segment_bytes: f64,
    /// Days that segments are kept.
    pub days_kept: f64,
    pub read_units: f64,
    pub write_units: f64,
    pub milliseconds: f64,
}

impl Archive {
    #[must_use]
    pub fn of(traffic: &Traffic) -> Self {
        let shape = RequestShape::of(traffic);
        let tenants = f64::from(traffic.parameters().tenants.max(1));
        let requests_per_hour = traffic.requests_per_day() / tenants / 24.0;
        let hours_with_events = 24.0 * requests_per_hour.min(1.0);
        let requests =
            if hours_with_events > 0.0 { traffic.requests_per_day() / tenants / hours_with_events } else { 0.0 };
        let bytes = requests * (shape.stream_bytes + shape.blocks * SEGMENT_INDEX_BYTES);
        let segments_per_hour = (bytes / float(SEGMENT_LENGTH)).ceil();
        let segments = hours_with_events * segments_per_hour;

        let times = ArchiveTimes::PRODUCTION;
        let idle_looks = 1.0 / days_of(times.idle);
        let looks = (idle_looks + hours_with_events).min(24.0);
        // Every shard is queried, and an empty query costs one unit.
        let shard_units = (requests * shape.item_bytes / WRITE_SHARDS / READ_UNIT_BYTES).ceil().max(1.0);
        let block_units = looks * f64::from(SHARDS) + hours_with_events * WRITE_SHARDS * (shard_units - 1.0);
        let rows_units = PASSES * (ROW_PARTITIONS + tenants * ARCHIVE_ROW_BYTES / READ_UNIT_BYTES);
        // Every environment of ingest reads the row of a tenant again once its copy is too old.
        let row_reads = 1.0 / days_of(times.cached);
        let ingest_units = row_reads * INGEST_ENVIRONMENTS * hours_with_events / 24.0;

        let kept = traffic.retention() + EXPIRY_GRACE + times.segment_margin;
        let of_a_segment = TRANSACTION * (kilobytes(SEGMENT_ITEM_BYTES) + kilobytes(ARCHIVE_ROW_BYTES));
        let of_an_empty_look = kilobytes(ARCHIVE_ROW_BYTES);
        Self {
            segments: tenants * segments,
            segment_bytes: if segments > 0.0 { hours_with_events * bytes / segments } else { 0.0 },
            days_kept: f64::from(DayClass::of(kept).days()) + NONCURRENT_DAYS,
            read_units: rows_units + tenants * (block_units + ingest_units),
            write_units: tenants * (segments * of_a_segment + (looks - hours_with_events) * of_an_empty_look),
            milliseconds: PASSES * INVOCATION_OVERHEAD_MILLISECONDS
                + tenants
                    * (looks * ARCHIVE_LOOK_MILLISECONDS
                        + segments * SEGMENT_MILLISECONDS
                        // Read from the table, put, and read back.
                        + 3.0 * hours_with_events * bytes / EXPORT_BYTES_PER_SECOND * 1_000.0),
        }
    }

    /// Returns the gigabytes in S3 Standard and in the class that segments move to.
    fn gigabytes(&self) -> (f64, f64) {
        let a_day = self.segments * self.segment_bytes / GIGABYTE;
        if self.segment_bytes < LEAST_MOVED_BYTES {
            return (a_day * self.days_kept, 0.0);
        }
        let in_standard = self.days_kept.min(TRANSITION_DAYS);
        (a_day * in_standard, a_day * (self.days_kept - in_standard))
    }

    fn moved(&self) -> f64 {
        if self.segment_bytes < LEAST_MOVED_BYTES { 0.0 } else { self.segments }
    }
}

/// Returns the lines of a month, all of them for storage.
pub fn lines(traffic: &Traffic) -> [Line; 11] {
    let archive = Archive::of(traffic);
    let (standard, instant) = archive.gigabytes();
    let line = |price, quantity| Line { part: Part::Storage, price, quantity };
    let per_month = |price, quantity_per_day| line(price, quantity_per_day * DAYS_PER_MONTH);
    [
        line(&price::S3_STORAGE, standard),
        line(&price::S3_INSTANT_STORAGE, instant),
        per_month(&price::S3_PUT, archive.segments),
        per_month(&price::S3_GET, archive.segments * (archive.segment_bytes / READ_BACK_BYTES).ceil()),
        per_month(&price::S3_INSTANT_TRANSITION, archive.moved()),
        per_month(&price::DYNAMODB_READ, archive.read_units),
        per_month(&price::DYNAMODB_WRITE, archive.write_units),
        per_month(&price::SCHEDULER_INVOCATION, PASSES),
        per_month(&price::LAMBDA_REQUEST, PASSES),
        per_month(
            time_price(traffic.parameters().architecture),
            archive.milliseconds / 1_000.0 * ARCHIVER_MEMORY / 1_024.0,
        ),
        per_month(&price::LOG_INGESTION, PASSES * ARCHIVE_LOG_BYTES / GIGABYTE),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::service::days_in_table;
    use crate::cost::tests::{assert_near, traffic};

    /// 10,000 blocks of 11,316 bytes a day are 417 in an hour, with 70 bytes for each in the index: 4.74 MB, in one segment.
    #[test]
    fn an_hour_of_a_million_events_a_day_is_a_segment() {
        let archive = Archive::of(&traffic(|_| ()));
        assert_near(archive.segments, 24.0);
        assert_near(archive.segment_bytes, 10_000.0 / 24.0 * (11_316.0 + 70.0));
        // 90 days, 14 and 1, and then as an expired version.
        assert_near(archive.days_kept, 110.0 + 30.0);
        // The segment and the row, in a transaction.
        assert_near(archive.write_units, 24.0 * 2.0 * 2.0);
        // 417 items of 11,541 bytes in four shards are 294 units each; twelve shards are empty. The rows of all tenants, every
        // quarter of an hour; and the row of the tenant, read by ingest.
        let rows = 96.0 * (16.0 + 230.0 / 4_096.0) + 144.0 * 3.0;
        assert_near(archive.read_units, 24.0 * (12.0 + 4.0 * 294.0) + rows);
    }

    /// For an hour of a million events a day, the benchmark's stub counted a segment of 4.66 MB, one put and two reads.
    #[test]
    fn a_segment_takes_as_many_requests_as_the_benchmark_counted() {
        let traffic = traffic(|_| ());
        let segments = Archive::of(&traffic).segments * DAYS_PER_MONTH;
        let lines = lines(&traffic);
        let per_segment = |price: &price::Price| {
            lines.iter().filter(|line| line.price == price).map(|line| line.quantity).sum::<f64>() / segments
        };
        assert_near(per_segment(&price::S3_PUT), 1.0);
        assert_near(per_segment(&price::S3_GET), 2.0);
    }

    #[test]
    fn a_long_hour_has_several_segments() {
        let archive = Archive::of(&traffic(|parameters| parameters.events_per_day = 100_000_000));
        assert_near(archive.segments, 24.0 * 15.0);
        assert!(archive.segment_bytes <= float(SEGMENT_LENGTH));
    }

    /// Looked at four times a day, for the first page of each shard.
    #[test]
    fn a_tenant_without_events_costs_looks_alone() {
        let of = |tenants| {
            Archive::of(&traffic(|parameters| {
                parameters.events_per_day = 0;
                parameters.tenants = tenants;
            }))
        };
        let (one, two) = (of(1), of(2));
        assert_near(two.read_units - one.read_units, 4.0 * 16.0 + 96.0 * 230.0 / 4_096.0);
        assert_near(two.write_units - one.write_units, 4.0);
        assert_near(two.segments, 0.0);
    }

    #[test]
    fn short_segments_stay_where_they_are() {
        let (long, short) = (traffic(|_| ()), traffic(|parameters| parameters.events_per_day = 10_000));
        assert_near(Archive::of(&long).moved(), 24.0);
        assert_near(Archive::of(&short).moved(), 0.0);
        assert_near(Archive::of(&short).gigabytes().1, 0.0);
    }

    /// The archive is for those who keep events for longer than the table does.
    #[test]
    fn blocks_are_in_the_table_for_a_week_and_a_day() {
        assert_near(days_in_table(&traffic(|_| ())), 8.0);
        assert_near(days_in_table(&traffic(|parameters| parameters.retention_days = 365)), 8.0);
    }

    #[test]
    fn segments_move_as_stated() {
        let template = include_str!("../../../../template.yaml");
        assert!(template.contains(&format!("StorageClass: GLACIER_IR, TransitionInDays: {TRANSITION_DAYS} ")));
        assert!(template.contains(&format!("NoncurrentVersionExpiration: {{ NoncurrentDays: {NONCURRENT_DAYS} }}")));
    }
}

//! The costs of Amazon Data Firehose for the same traffic: one stream per configuration, to which producers put the tenant's
//! events directly.

use serde::Serialize;

use super::{
    money::Dollars,
    price,
    service::compressed,
    traffic::{DAYS_PER_MONTH, GIGABYTE, KILOBYTE, Traffic, float},
};

/// Records are billed in multiples of this.
const BILLED_RECORD_BYTES: f64 = 5.0 * KILOBYTE;

/// The longest record: <https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecord.html>.
const MAX_RECORD_BYTES: f64 = 1_000.0 * KILOBYTE;

/// The longest time and the most bytes that a stream buffers before it writes an object:
/// <https://docs.aws.amazon.com/firehose/latest/APIReference/API_BufferingHints.html>.
const MAX_BUFFER_SECONDS: f64 = 900.0;
const MAX_BUFFER_BYTES: f64 = 128.0 * KILOBYTE * KILOBYTE;

/// Header and trailer of a gzip member.
const GZIP_FRAME_BYTES: f64 = 18.0;

/// The way that producers put events into records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Producer {
    OneEventPerRecord,
    /// A record has the events of one request to this service, one per line.
    PackedRecords,
    /// Packed records, each a gzip member; the members of an object are one valid .gz.
    PackedAndCompressedRecords,
}

impl Producer {
    pub const ALL: [Self; 3] = [Self::OneEventPerRecord, Self::PackedRecords, Self::PackedAndCompressedRecords];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OneEventPerRecord => "one event to a record",
            Self::PackedRecords => "packed into records",
            Self::PackedAndCompressedRecords => "packed and compressed",
        }
    }
}

/// The costs of Firehose.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    pub producer: Producer,
    pub streams: u32,
    pub billed_gigabytes_per_month: f64,
    pub dollars_per_month: Dollars,
    /// The requests that put objects into the customers' buckets.
    pub customers_dollars_per_month: Dollars,
}

#[must_use]
pub fn compare(traffic: &Traffic, producer: Producer) -> Comparison {
    let parameters = traffic.parameters();
    let event_bytes = f64::from(parameters.event_bytes);
    let fitting = (MAX_RECORD_BYTES / event_bytes).floor().max(1.0);
    let events_per_record = match producer {
        Producer::OneEventPerRecord => 1.0,
        Producer::PackedRecords | Producer::PackedAndCompressedRecords => {
            f64::from(parameters.events_per_request).min(fitting)
        }
    };
    let record_bytes = match producer {
        Producer::OneEventPerRecord | Producer::PackedRecords => events_per_record * event_bytes,
        Producer::PackedAndCompressedRecords => compressed(events_per_record, event_bytes) + GZIP_FRAME_BYTES,
    };
    // Each stream gets all events of its tenant.
    let events_of_a_stream = float(parameters.events_per_day) * traffic.share_of_a_configuration() * DAYS_PER_MONTH;
    let records_of_a_stream = events_of_a_stream / events_per_record;
    let billed_record_bytes = (record_bytes / BILLED_RECORD_BYTES).ceil() * BILLED_RECORD_BYTES;
    let streams = f64::from(parameters.configurations);
    let billed_gigabytes = streams * records_of_a_stream * billed_record_bytes / GIGABYTE;
    let buffers = DAYS_PER_MONTH * 24.0 * 3_600.0 / MAX_BUFFER_SECONDS;
    let objects = buffers.max(records_of_a_stream * record_bytes / MAX_BUFFER_BYTES).min(records_of_a_stream);
    Comparison {
        producer,
        streams: parameters.configurations,
        billed_gigabytes_per_month: billed_gigabytes,
        dollars_per_month: price::FIREHOSE_INGESTION.of(billed_gigabytes),
        customers_dollars_per_month: price::S3_PUT.of(streams * objects),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::tests::{assert_near, traffic};

    /// Thirty million events of 642 bytes a month: each is billed as 5,120 bytes; a hundred of them, 64,200, as 66,560; and the
    /// 10,529 bytes to which those are compressed, with 18 around them, as 15,360.
    #[test]
    fn records_are_billed_by_5_kilobytes() {
        let gigabytes = |producer| compare(&traffic(|_| ()), producer).billed_gigabytes_per_month;
        assert_near(gigabytes(Producer::OneEventPerRecord), 30e6 * 5_120.0 / GIGABYTE);
        assert_near(gigabytes(Producer::PackedRecords), 300_000.0 * 66_560.0 / GIGABYTE);
        assert_near(gigabytes(Producer::PackedAndCompressedRecords), 300_000.0 * 15_360.0 / GIGABYTE);
    }

    #[test]
    fn every_stream_takes_its_tenants_events() {
        let one = compare(&traffic(|_| ()), Producer::PackedRecords);
        let three = compare(&traffic(|parameters| parameters.configurations = 3), Producer::PackedRecords);
        assert_near(three.dollars_per_month.0, 3.0 * one.dollars_per_month.0);
        assert_eq!(three.streams, 3);
    }

    /// One object for each quarter of an hour; of a stream with ten events a day, one for each event.
    #[test]
    fn a_stream_writes_when_its_buffer_is_old() {
        let puts = |events_per_day| {
            let traffic = traffic(|parameters| parameters.events_per_day = events_per_day);
            compare(&traffic, Producer::OneEventPerRecord).customers_dollars_per_month.0
        };
        assert_near(puts(1_000_000), 2_880.0 * 0.005 / 1_000.0);
        assert_near(puts(10), 300.0 * 0.005 / 1_000.0);
    }
}

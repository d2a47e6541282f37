//! The keys of the objects that the service writes to a customer's bucket.

use crate::{
    block::BlockId,
    configuration::{ConfigurationId, Destination},
    event_filter::FilterTag,
    export_format::ExportFormat,
    time::Timestamp,
};

/// The name of the object that a connection test writes, as the Immuta product has it.
pub const MARKER_NAME: &str = ".immuta.export.log";

/// Returns `<bucketPath>/.immuta.export.log`.
#[must_use]
pub fn marker(destination: &Destination) -> String {
    destination.key_of(MARKER_NAME)
}

/// Returns `<bucketPath>/<configuration ID>`, the prefix of everything that an export writes.
#[must_use]
pub fn export_prefix(destination: &Destination, configuration_id: ConfigurationId) -> String {
    destination.key_of(&configuration_id.to_string())
}

/// Returns a key under the prefix that is never written: a connection test checks whether it could be.
#[must_use]
pub fn trial(destination: &Destination, configuration_id: ConfigurationId) -> String {
    format!("{}/{MARKER_NAME}", export_prefix(destination, configuration_id))
}

/// Returns `<bucketPath>/<configuration ID>/date=YYYY-MM-DD/<first>-<last>.<extension>`, where first and last name a block by
/// the UTC time of its receipt and its ID: `20261122T001500123Z_01K…`. Names sort like their blocks. An object of a filter has the
/// filter's tag after the last block, `…_<tag>.<extension>`: the same blocks with another filter have another name.
#[must_use]
pub fn data_object(
    destination: &Destination,
    configuration_id: ConfigurationId,
    format: ExportFormat,
    filter: Option<FilterTag>,
    first_block: BlockId,
    last_block: BlockId,
) -> String {
    let name = data_object_name(format, filter, first_block, last_block);
    format!("{}/{name}", export_prefix(destination, configuration_id))
}

/// Returns the part of [`data_object`] after the export's prefix.
#[must_use]
pub fn data_object_name(
    format: ExportFormat,
    filter: Option<FilterTag>,
    first_block: BlockId,
    last_block: BlockId,
) -> String {
    let date = first_block.timestamp().utc_date();
    let tag = filter.map(|tag| format!("_{tag}")).unwrap_or_default();
    format!("date={date}/{}-{}{tag}.{}", block_name(first_block), block_name(last_block), format.extension())
}

fn block_name(block: BlockId) -> String {
    format!("{}_{block}", compact_time(block.timestamp()))
}

/// Returns a time in the form of names: `20261122T001500123Z`.
pub(crate) fn compact_time(time: Timestamp) -> String {
    time.to_string().chars().filter(|character| !matches!(character, '-' | ':' | '.')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::{
        bucket::{BucketName, BucketPath},
        region::Region,
    };

    #[test]
    fn names_are_readable_and_partitioned_by_day() {
        let destination = Destination {
            bucket_name: BucketName::parse("acme").unwrap(),
            bucket_path: Some(BucketPath::parse("audit/logs").unwrap()),
            site: Region::parse("us-east-1").unwrap().into(),
            kms_key_arn: None,
            expected_bucket_owner: None,
        };
        let id = ConfigurationId::parse("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b").unwrap();
        let block = |time: &str| BlockId::from_parts(Timestamp::parse(time).unwrap(), 7);
        let (first, last) = (block("2026-11-21T23:00:00.001Z"), block("2026-11-21T23:59:59.999Z"));
        let name_of = |format| data_object(&destination, id, format, None, first, last);
        assert_eq!(marker(&destination), "audit/logs/.immuta.export.log");
        assert_eq!(
            name_of(ExportFormat::NdjsonGzip),
            "audit/logs/0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b/date=2026-11-21/\
             20261121T230000001Z_01M805D1C10000000000000007-20261121T235959999Z_01M808TWZZ0000000000000007.ndjson.gz"
        );
        assert!(name_of(ExportFormat::NdjsonZstd).ends_with("0007.ndjson.zst"));
        assert!(name_of(ExportFormat::Parquet).ends_with("0007.parquet"));
        let tag = "00c0ffee".parse().unwrap();
        let filtered = data_object(&destination, id, ExportFormat::Parquet, Some(tag), first, last);
        assert!(filtered.ends_with("0007_00c0ffee.parquet"), "{filtered}");
        let at_root = Destination { bucket_path: None, ..destination.clone() };
        assert_eq!(marker(&at_root), ".immuta.export.log");
    }
}

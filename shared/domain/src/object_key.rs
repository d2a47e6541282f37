//! The keys of the objects that the service writes to a customer's bucket.

use crate::{
    block::BlockId,
    configuration::{ConfigurationId, Destination, Layout},
    encoding::Encoding,
    event_filter::{EventFilter, FilterTag},
    export_format::ExportFormat,
    ocsf::Class,
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

/// The value of the partition `accountId`. Security Lake expects `external` for events that no AWS account had:
/// <https://docs.aws.amazon.com/security-lake/latest/userguide/custom-sources.html>.
const LAKE_ACCOUNT: &str = "external";

/// The beginning of the partitions of Security Lake.
pub const LAKE_FOLDER: &str = "region=";

/// Returns `region=<Region>/accountId=external`, the folder under the bucket path that has all data objects in the layout of
/// Security Lake.
#[must_use]
pub fn lake_folder(region: &str) -> String {
    format!("{LAKE_FOLDER}{region}/accountId={LAKE_ACCOUNT}")
}

/// Returns `<bucketPath>/region=<Region>/accountId=external`, the prefix of the data objects. `None`: they are under
/// [`export_prefix`].
#[must_use]
pub fn lake_prefix(destination: &Destination) -> Option<String> {
    match destination.layout {
        Layout::Folder => None,
        Layout::SecurityLake => Some(destination.key_of(&lake_folder(destination.site.region_name()))),
    }
}

/// Returns keys that are never written, one under each prefix of the export: a connection test checks whether they could be.
#[must_use]
pub fn trials(destination: &Destination, configuration_id: ConfigurationId) -> Vec<String> {
    let in_lake = lake_prefix(destination).map(|prefix| format!("{prefix}/{MARKER_NAME}"));
    let in_folder = format!("{}/{MARKER_NAME}", export_prefix(destination, configuration_id));
    [in_folder].into_iter().chain(in_lake).collect()
}

/// Returns the key of an object. In the layout of Security Lake it is that of [`lake_object_name`] under the bucket path, else
/// `<bucketPath>/<configuration ID>/date=YYYY-MM-DD/<first>-<last>.<extension>`, where first and last name a block by
/// the UTC time of its receipt and its ID: `20261122T001500123Z_01K…`. Names sort like their blocks. An object of a filter has the
/// filter's tag after the last block, `…_<tag>.<extension>`: the same blocks with another filter have another name.
#[must_use]
pub fn data_object(
    destination: &Destination,
    configuration_id: ConfigurationId,
    encoding: &Encoding,
    class: Option<Class>,
    first_block: BlockId,
    last_block: BlockId,
) -> String {
    if let Some(class) = class {
        let (region, blocks) = (destination.site.region_name(), (first_block, last_block));
        return destination.key_of(&lake_object_name(region, configuration_id, blocks, class, &encoding.tag()));
    }
    let filter = encoding.filter.as_ref().map(EventFilter::tag);
    let name = data_object_name(encoding.format, filter, first_block, last_block);
    format!("{}/{name}", export_prefix(destination, configuration_id))
}

/// Returns
/// `region=<Region>/accountId=external/eventDay=YYYYMMDD/<configuration ID>_<first>-<last>_<class>_<tag>.parquet`. The day is that
/// of the receipt, and the tag that of the encoding. Names of one export in one Region sort like their blocks, then by class.
#[must_use]
pub fn lake_object_name(
    region: &str,
    configuration_id: ConfigurationId,
    (first_block, last_block): (BlockId, BlockId),
    class: Class,
    tag: &str,
) -> String {
    let day = first_block.timestamp().utc_date().replace('-', "");
    format!(
        "{}/eventDay={day}/{configuration_id}_{}-{}_{}_{tag}.{}",
        lake_folder(region),
        block_name(first_block),
        block_name(last_block),
        class.uid(),
        ExportFormat::OcsfParquet.extension()
    )
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
            layout: Layout::Folder,
        };
        let id = ConfigurationId::parse("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b").unwrap();
        let block = |time: &str| BlockId::from_parts(Timestamp::parse(time).unwrap(), 7);
        let (first, last) = (block("2026-11-21T23:00:00.001Z"), block("2026-11-21T23:59:59.999Z"));
        let name_of = |format: ExportFormat| data_object(&destination, id, &format.into(), None, first, last);
        assert_eq!(marker(&destination), "audit/logs/.immuta.export.log");
        assert_eq!(
            name_of(ExportFormat::NdjsonGzip),
            "audit/logs/0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b/date=2026-11-21/\
             20261121T230000001Z_01M805D1C10000000000000007-20261121T235959999Z_01M808TWZZ0000000000000007.ndjson.gz"
        );
        assert!(name_of(ExportFormat::NdjsonZstd).ends_with("0007.ndjson.zst"));
        assert!(name_of(ExportFormat::Parquet).ends_with("0007.parquet"));
        let filter: EventFilter = serde_json::from_str(r#"{"include":{"actions":["LOGIN"]}}"#).unwrap();
        let tag = filter.tag();
        let of_filter = Encoding { filter: Some(filter), ..ExportFormat::Parquet.into() };
        let filtered = data_object(&destination, id, &of_filter, None, first, last);
        assert!(filtered.ends_with(&format!("0007_{tag}.parquet")), "{filtered}");
        let in_lake = Destination { layout: Layout::of(ExportFormat::OcsfParquet), ..destination.clone() };
        let encoding = Encoding::from(ExportFormat::OcsfParquet);
        let key = data_object(&in_lake, id, &encoding, Some(Class::ApiActivity), first, last);
        assert_eq!(
            key,
            format!(
                "audit/logs/region=us-east-1/accountId=external/eventDay=20261121/0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b_\
                 20261121T230000001Z_01M805D1C10000000000000007-20261121T235959999Z_01M808TWZZ0000000000000007_6003_{}.parquet",
                encoding.tag()
            )
        );
        let trials = trials(&in_lake, id);
        assert_eq!(trials[1], "audit/logs/region=us-east-1/accountId=external/.immuta.export.log");
        assert!(key.starts_with(&lake_prefix(&in_lake).unwrap()) && lake_prefix(&destination).is_none());
        let at_root = Destination { bucket_path: None, ..destination.clone() };
        assert_eq!(marker(&at_root), ".immuta.export.log");
    }
}

//! The format of an export's objects.

use async_graphql::Enum;
use domain::export_format;

/// The format of the files with events. Each file has whole events in the order of their receipt; every format proves the same
/// bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "export_format::ExportFormat")]
pub enum ExportFormat {
    /// One event a line, compressed with gzip: `.ndjson.gz`.
    NdjsonGzip,
    /// One event a line, compressed with Zstandard: `.ndjson.zst`.
    NdjsonZstd,
    /// Apache Parquet with typed columns, and the line of each event in the column `event`: `.parquet`.
    Parquet,
    /// Records of OCSF for Amazon Security Lake, as Apache Parquet, a file for each class: `.parquet`.
    OcsfParquet,
}

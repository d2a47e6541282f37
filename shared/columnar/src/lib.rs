//! Parquet files of audit events: typed columns of the Universal Audit Model, and the exact line of each event.
//!
//! Lines are scanned once, without building them as values, and fill the columns directly. Levels, dictionaries and pages are
//! made here, because a file holds few kinds of columns and its bytes must stay the same; headers, indexes, Bloom filters and
//! the footer are those of the crate `parquet`. docs/FORMATS.md describes the files. The lines of a file are read without that
//! crate.

mod bounds;
mod column;
mod compressor;
mod dictionary;
mod encoder;
mod equal;
mod error;
mod json;
mod levels;
mod names;
mod plain;
mod reader;
mod row;
mod schema;
mod written;

pub use self::{
    encoder::{ENCODER_VERSION, PARQUET_RAW_LENGTH, PARQUET_STORED_LENGTH, ParquetEncoder},
    error::EncodeError,
    reader::{DamagedFile, EventLines},
    schema::{SCHEMA, SCHEMA_VERSION},
};

#[cfg(test)]
mod tests;

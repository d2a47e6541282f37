//! The encoder of a file.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use parquet::file::{metadata::KeyValue, properties::WriterProperties, writer::SerializedFileWriter};

use crate::{
    column::Column,
    compressor::Compressor,
    error::{EncodeError, Malformed},
    row::{Memory, Row},
    schema::{self, Layout, SCHEMA_VERSION},
};

/// The version of the encoder in the plan of a window. The same lines always become the same bytes in the same version: a test
/// pins them. Another version of the crates `parquet` or `zstd` may write other bytes, and then needs a new version here.
pub const ENCODER_VERSION: u32 = 201;

/// The bytes of NDJSON with which a file should end. Typed columns and `event` together are at most twice as long, so a file
/// has one row group of at most 128 MB, even with the block that brings it over this target.
pub const PARQUET_RAW_LENGTH: u64 = 60 * 1024 * 1024;

/// The stored bytes with which a file should end, for events that hardly compress. It bounds the memory of a run, which holds
/// two files.
pub const PARQUET_STORED_LENGTH: u64 = 32 * 1024 * 1024;

/// The bytes of lines after which each column checks whether its page is full.
const CHECKED_LENGTH: usize = 16 * 1024;

/// The name of the service in each file, which begins with [`PRODUCER`]. The version of a library would change the bytes.
/// Readers parse `<application> version <version>`.
const CREATED_BY: &str = "audit-export version 201";

/// The part of the name of all versions.
pub(crate) const PRODUCER: &str = "audit-export version ";

/// The keys of the metadata of a file.
const PRODUCER_KEY: &str = "audit-export.producer";
const SCHEMA_VERSION_KEY: &str = "audit-export.schemaVersion";

/// A file that is being filled.
pub struct ParquetEncoder {
    schema: parquet::schema::types::SchemaDescriptor,
    columns: Vec<Column>,
    compressor: Compressor,
    memory: Memory,
    lines: u64,
    raw_length: u64,
    /// The bytes of the lines since pages were checked.
    unchecked_length: usize,
}

impl fmt::Debug for ParquetEncoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ParquetEncoder")
            .field("lines", &self.lines)
            .field("raw_length", &self.raw_length)
            .finish_non_exhaustive()
    }
}

impl ParquetEncoder {
    /// # Errors
    /// [`EncodeError::UnknownVersion`].
    pub fn new(version: u32) -> Result<Self, EncodeError> {
        if version != ENCODER_VERSION {
            return Err(EncodeError::UnknownVersion(version));
        }
        Self::of_schema(schema::SCHEMA)
    }

    /// Creates an encoder whose files lack the column `event`.
    ///
    /// # Errors
    /// An error of a library.
    #[cfg(feature = "measurements")]
    pub fn without_event() -> Result<Self, EncodeError> {
        Self::of_schema(&schema::SCHEMA.replace("  required binary event (STRING);\n", ""))
    }

    fn of_schema(schema: &str) -> Result<Self, EncodeError> {
        let schema = schema::descriptor(schema)?;
        let column = |descriptor: &parquet::schema::types::ColumnDescPtr| {
            Column::new(Arc::clone(descriptor), Layout::of(descriptor))
        };
        let columns = schema.columns().iter().map(column).collect();
        let compressor = Compressor::new()?;
        Ok(Self {
            schema,
            columns,
            compressor,
            memory: Memory::default(),
            lines: 0,
            raw_length: 0,
            unchecked_length: 0,
        })
    }

    /// Appends a row for each line. Nothing is left of the file after an error.
    ///
    /// # Errors
    /// [`EncodeError`] for lines that are not NDJSON.
    pub fn push_lines(&mut self, lines: &[u8]) -> Result<(), EncodeError> {
        if let Err(error) = std::str::from_utf8(lines) {
            return Err(not_utf8(lines, error.valid_up_to()));
        }
        let mut row = Row::new(&mut self.memory);
        let finished = memchr::memrchr(b'\n', lines).map_or(0, |end| end + 1);
        let (mut rest, unfinished) = lines.split_at(finished);
        let mut number = 0;
        while !rest.is_empty() {
            number += 1;
            let length = row
                .read(rest)
                .map_err(|Malformed { position }| EncodeError::Malformed { line: number, byte: position + 1 })?;
            let (line, after) = rest.split_at(length);
            self.lines += 1;
            row.write(line, &mut self.columns);
            self.unchecked_length += line.len();
            if self.unchecked_length >= CHECKED_LENGTH {
                self.unchecked_length = 0;
                for column in &mut self.columns {
                    column.end_row(&mut self.compressor)?;
                }
            }
            rest = after.get(1..).unwrap_or_default();
        }
        if !unfinished.is_empty() {
            return Err(EncodeError::UnfinishedLine { line: number + 1 });
        }
        self.raw_length += lines.len() as u64;
        Ok(())
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.lines
    }

    /// Returns the bytes of NDJSON, line feeds included.
    #[must_use]
    pub fn raw_length(&self) -> u64 {
        self.raw_length
    }

    /// Returns about how long the file would be if it ended here. It depends on the lines alone.
    #[must_use]
    pub fn stored_length(&self) -> u64 {
        self.columns.iter().map(|column| column.stored_length() as u64).sum()
    }

    /// Returns the file.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`], or an error of a library.
    pub fn finish(mut self) -> Result<Bytes, EncodeError> {
        let key_value = |key: &str, value: String| KeyValue { key: key.to_owned(), value: Some(value) };
        let properties = WriterProperties::builder()
            .set_created_by(CREATED_BY.to_owned())
            .set_key_value_metadata(Some(vec![
                key_value(PRODUCER_KEY, "audit-export".to_owned()),
                key_value(SCHEMA_VERSION_KEY, SCHEMA_VERSION.to_string()),
            ]))
            .build();
        let length = usize::try_from(self.stored_length()).map_err(|_| EncodeError::TooLong)?;
        let file = Vec::with_capacity(length);
        let mut writer = SerializedFileWriter::new(file, self.schema.root_schema_ptr(), Arc::new(properties))?;
        if self.lines > 0 {
            let mut row_group = writer.next_row_group()?;
            // Each column is freed when it is written.
            for column in self.columns {
                let (bytes, close) = column.finish(&mut self.compressor)?;
                row_group.append_column(&bytes, close)?;
            }
            row_group.close()?;
        }
        Ok(writer.into_inner()?.into())
    }
}

fn not_utf8(lines: &[u8], position: usize) -> EncodeError {
    let before = lines.get(..position).unwrap_or_default();
    let start = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
    EncodeError::NotUtf8 { line: memchr::memchr_iter(b'\n', before).count() + 1, byte: position - start + 1 }
}

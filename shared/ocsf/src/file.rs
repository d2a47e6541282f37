//! Records of one class as a Parquet file, as Security Lake wants it: ordered by time, zstd, pages of at most 1 MB.

use std::sync::Arc;

use domain::ocsf::{Class, Version};
use parquet::{
    basic::{Compression, ConvertedType, LogicalType, Repetition, Type as PhysicalType, ZstdLevel},
    errors::ParquetError,
    file::{
        properties::{WriterProperties, WriterVersion},
        writer::SerializedFileWriter,
    },
    schema::types::{ColumnPath, Type, TypePtr},
};

use crate::{
    columns::{Column, Kind, columns},
    leaves::{Leaves, Shape},
    put::put_record,
    record::OcsfEvent,
};

/// Returns the number of the encoder that makes these files. Each file has it in the name of its program, in the form of Parquet's
/// readers. A test pins the bytes: another version of the crates `parquet` or `zstd` that writes other bytes needs a new number,
/// and a change of the mapping does too.
#[must_use]
pub const fn encoder_version(version: Version) -> u32 {
    match version {
        Version::V1_3_0 => 301,
        Version::V1_8_0 => 302,
    }
}

const ZSTD_LEVEL: i32 = 3;

/// A page ends with the batch of values that brings it over this. With [`BATCH_VALUES`] texts of 256 KiB, the longest that a
/// line holds, it has less than 1 MB.
const PAGE_LENGTH: usize = 400 * 1024;
const BATCH_VALUES: usize = 2;

/// The memory of the columns at which a row group ends. They hold each text once more, besides its line; a record adds at most
/// some MiB, since its texts are those of a line of 256 KiB. The converter has at most 256 MiB: the pages of a run (35), the files
/// that are uploaded (twice 16 MiB of compressed blocks, more only if action, request and actor have nearly all bytes of the
/// lines: four times), 33 MiB of lines, these columns, and the files that are made (as those before).
const ROW_GROUP_MEMORY: u64 = 16 * 1024 * 1024;

/// The capacity of a file that is made, so that it does not move as it grows. Pages that are never written to take no memory.
const FILE_CAPACITY: usize = 40 * 1024 * 1024;

/// A file with records of one class.
#[expect(missing_debug_implementations, reason = "the writer of the crate has none")]
pub struct ClassFile {
    shape: Shape,
    leaves: Leaves,
    writer: SerializedFileWriter<Vec<u8>>,
}

impl ClassFile {
    /// Begins a file.
    ///
    /// # Errors
    /// Never in practice: tests make files of every class.
    pub fn new(class: Class, version: Version) -> Result<Self, ParquetError> {
        let columns = columns(class, version);
        let message = Type::group_type_builder("record").with_fields(fields(&columns)?).build()?;
        let (shape, leaves) = Leaves::of(&columns);
        let output = Vec::with_capacity(FILE_CAPACITY);
        let writer = SerializedFileWriter::new(output, Arc::new(message), Arc::new(properties(version)?))?;
        Ok(Self { shape, leaves, writer })
    }

    /// Appends a record of the class. They come in the order of their times.
    ///
    /// # Errors
    /// Never in practice: tests compare the columns with the records of every class.
    pub fn push(&mut self, record: &OcsfEvent<'_>) -> Result<(), ParquetError> {
        put_record(record, &self.shape, &mut self.leaves).map_err(|error| ParquetError::External(error.into()))?;
        if self.leaves.memory() >= ROW_GROUP_MEMORY { self.end_row_group() } else { Ok(()) }
    }

    fn end_row_group(&mut self) -> Result<(), ParquetError> {
        let mut row_group = self.writer.next_row_group()?;
        let mut leaves = self.leaves.leaves_mut();
        while let (Some(mut column), Some(leaf)) = (row_group.next_column()?, leaves.next()) {
            let texts = leaf.write(column.untyped())?;
            column.close()?;
            leaf.clear(texts);
        }
        row_group.close()?;
        Ok(())
    }

    /// Returns the file.
    ///
    /// # Errors
    /// Those of [`ClassFile::push`].
    pub fn finish(mut self) -> Result<Vec<u8>, ParquetError> {
        if self.leaves.memory() > 0 {
            self.end_row_group()?;
        }
        self.writer.into_inner()
    }
}

fn properties(version: Version) -> Result<WriterProperties, ParquetError> {
    Ok(WriterProperties::builder()
        .set_created_by(format!("audit-export version {}", encoder_version(version)))
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_data_page_size_limit(PAGE_LENGTH)
        .set_dictionary_page_size_limit(PAGE_LENGTH)
        .set_write_batch_size(BATCH_VALUES)
        // Their values hardly repeat.
        .set_column_dictionary_enabled(ColumnPath::from("raw_data"), false)
        .set_column_dictionary_enabled(
            ColumnPath::from(["unmapped", "key_value", "value"].map(String::from).to_vec()),
            false,
        )
        .build())
}

fn fields(columns: &[Column]) -> Result<Vec<TypePtr>, ParquetError> {
    let field = |column: &Column| {
        let repetition = if column.required { Repetition::REQUIRED } else { Repetition::OPTIONAL };
        field(column.name, &column.kind, repetition)
    };
    columns.iter().map(field).collect()
}

fn field(name: &str, kind: &Kind, repetition: Repetition) -> Result<TypePtr, ParquetError> {
    let primitive = |physical| Type::primitive_type_builder(name, physical).with_repetition(repetition);
    let group = || Type::group_type_builder(name).with_repetition(repetition);
    let repeated = |name, fields| {
        Type::group_type_builder(name).with_repetition(Repetition::REPEATED).with_fields(fields).build().map(Arc::new)
    };
    let built = match kind {
        Kind::Text => primitive(PhysicalType::BYTE_ARRAY)
            .with_logical_type(Some(LogicalType::String))
            .with_converted_type(ConvertedType::UTF8)
            .build()?,
        Kind::Integer => primitive(PhysicalType::INT32).build()?,
        Kind::Long => primitive(PhysicalType::INT64).build()?,
        Kind::Struct(columns) => group().with_fields(fields(columns)?).build()?,
        Kind::List(element) => group()
            .with_logical_type(Some(LogicalType::List))
            .with_converted_type(ConvertedType::LIST)
            .with_fields(vec![repeated("list", vec![field("element", element, Repetition::REQUIRED)?])?])
            .build()?,
        Kind::TextMap => {
            let text = |name| field(name, &Kind::Text, Repetition::REQUIRED);
            group()
                .with_logical_type(Some(LogicalType::Map))
                .with_converted_type(ConvertedType::MAP)
                .with_fields(vec![repeated("key_value", vec![text("key")?, text("value")?])?])
                .build()?
        }
    };
    Ok(Arc::new(built))
}

#[cfg(test)]
mod tests {
    use std::iter;

    use bytes::Bytes;
    use domain::ocsf::OwnRules;
    use parquet::{
        file::reader::{FileReader, SerializedFileReader},
        record::{Field, Row},
    };

    use super::*;
    use crate::{mapping::map, table::Table};

    #[test]
    fn pages_of_the_longest_lines_have_less_than_1_mb() {
        let table = Table::new(&OwnRules::default()).unwrap();
        let lines: Vec<_> = (10..30)
            .map(|second| {
                let head = format!(
                    r#"{{"id":"{second}","eventTimestamp":"2026-01-01T00:00:{second}Z","action":"QUERY","a":""#
                );
                let filler: String = iter::repeat_n(second.to_string(), (256 * 1024 - head.len() - 2) / 2).collect();
                format!("{head}{filler}\"}}")
            })
            .collect();
        let mut file = ClassFile::new(Class::ApiActivity, Version::V1_8_0).unwrap();
        for line in &lines {
            file.push(&map(line.as_bytes(), Version::V1_8_0, &table).unwrap()).unwrap();
        }
        let file = file.finish().unwrap();

        let reader = SerializedFileReader::new(Bytes::from(file)).unwrap();
        let row_group = reader.get_row_group(0).unwrap();
        let lengths = (0..row_group.num_columns()).flat_map(|column| {
            let mut pages = row_group.get_column_page_reader(column).unwrap();
            iter::from_fn(move || pages.get_next_page().unwrap()).map(|page| page.buffer().len())
        });
        let longest = lengths.max().unwrap();
        assert!((500_000..1_000_000).contains(&longest), "{longest}");
    }

    /// Returns the file of records of one class, and the most memory that its columns took.
    fn file_of(lines: impl Iterator<Item = String>) -> (Bytes, u64) {
        let table = Table::new(&OwnRules::default()).unwrap();
        let mut file = ClassFile::new(Class::ApiActivity, Version::V1_8_0).unwrap();
        let mut most = 0;
        for line in lines {
            file.push(&map(line.as_bytes(), Version::V1_8_0, &table).unwrap()).unwrap();
            most = most.max(file.leaves.memory());
        }
        (file.finish().unwrap().into(), most)
    }

    fn line(number: usize, fields: &str) -> String {
        format!(r#"{{"id":"{number}","eventTimestamp":"2026-01-01T00:00:00Z","action":"QUERY",{fields}}}"#)
    }

    /// Short events, long ones, and those with the most values that a line can have.
    #[test]
    fn row_groups_bound_the_memory_of_columns() {
        let targets = vec!["1"; 120_000].join(",");
        let many = |number| line(number, &format!(r#""targets":[{targets}],"targetType":"T""#));
        let text = "x".repeat(200_000);
        let long = |number| line(number, &format!(r#""auditPayload":"{text}""#));
        for (count, file) in [
            (60_000, file_of((0..60_000).map(|number| line(number, r#""a":1"#)))),
            (100, file_of((0..100).map(long))),
            (20, file_of((0..20).map(many))),
        ] {
            let (bytes, most) = file;
            assert!(most < ROW_GROUP_MEMORY, "{most}");
            let reader = SerializedFileReader::new(bytes).unwrap();
            let groups = reader.metadata().row_groups();
            assert!(groups.len() > 1, "{count}");
            assert_eq!(groups.iter().map(parquet::file::metadata::RowGroupMetaData::num_rows).sum::<i64>(), count);
            assert!(groups.iter().all(|group| group.compressed_size() < 17 << 20));
        }
    }

    fn field<'a>(row: &'a Row, name: &str) -> &'a Field {
        row.get_column_iter().find(|(column, _)| *column == name).unwrap().1
    }

    #[test]
    fn a_row_that_has_all_values_in_one_list_is_read_back() {
        let targets: Vec<_> = (0..20_000).map(|number| number.to_string()).collect();
        let (bytes, _) = file_of((0..3).map(|number| line(number, &format!(r#""targets":[{}]"#, targets.join(",")))));
        let reader = SerializedFileReader::new(bytes).unwrap();
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 3);
        for (number, row) in rows.iter().enumerate() {
            let Field::Group(metadata) = field(row, "metadata") else { unreachable!("{row}") };
            assert_eq!(*field(metadata, "uid"), Field::Str(number.to_string()));
            let Field::ListInternal(resources) = field(row, "resources") else { unreachable!("{row}") };
            let uids = resources.elements().iter().map(|resource| match resource {
                Field::Group(resource) => field(resource, "uid").to_string(),
                other => unreachable!("{other}"),
            });
            assert!(uids.eq(targets.iter().map(|target| format!("\"{target}\""))));
        }
    }
}

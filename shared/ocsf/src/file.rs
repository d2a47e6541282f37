//! Records of one class as a Parquet file, as Security Lake wants it: ordered by time, zstd, pages of at most 1 MB.

use std::sync::Arc;

use domain::ocsf::{Class, Version};
use parquet::{
    basic::{Compression, ConvertedType, LogicalType, Repetition, Type as PhysicalType, ZstdLevel},
    column::writer::ColumnWriter,
    data_type::ByteArray,
    errors::ParquetError,
    file::{
        properties::{WriterProperties, WriterVersion},
        writer::SerializedFileWriter,
    },
    schema::types::{ColumnPath, Type, TypePtr},
};
use serde_json::Value;

use crate::{
    columns::{Column, Kind, columns},
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

/// Returns the file with the records of `class` among `records`, ordered by time; of one time, in the given order. `None` if
/// there is none.
///
/// # Errors
/// Never in practice: tests compare the columns with the records of every class.
pub fn to_parquet(class: Class, version: Version, records: &[OcsfEvent<'_>]) -> Result<Option<Vec<u8>>, ParquetError> {
    let mut records: Vec<_> = records.iter().filter(|record| record.class == class).collect();
    if records.is_empty() {
        return Ok(None);
    }
    records.sort_by_key(|record| record.time);

    let columns = columns(class, version);
    let mut leaves = Leaves::default();
    for column in &columns {
        leaves.add(&column.kind);
    }
    for record in records {
        let record = serde_json::to_value(record).map_err(|error| ParquetError::External(error.into()))?;
        let mut at = 0;
        for column in &columns {
            at += leaves.put_field(at, column, record.get(column.name), Levels::default())?;
        }
    }

    let message = Type::group_type_builder("record").with_fields(fields(&columns)?).build()?;
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(message), Arc::new(properties(version)?))?;
    let mut row_group = writer.next_row_group()?;
    let mut leaves = leaves.0.into_iter();
    while let (Some(mut column), Some(leaf)) = (row_group.next_column()?, leaves.next()) {
        let (definitions, repetitions) = (Some(leaf.definitions.as_slice()), Some(leaf.repetitions.as_slice()));
        match (column.untyped(), leaf.values) {
            (ColumnWriter::ByteArrayColumnWriter(writer), Values::Text(values)) => {
                writer.write_batch(&values, definitions, repetitions)?;
            }
            (ColumnWriter::Int32ColumnWriter(writer), Values::Integer(values)) => {
                writer.write_batch(&values, definitions, repetitions)?;
            }
            (ColumnWriter::Int64ColumnWriter(writer), Values::Long(values)) => {
                writer.write_batch(&values, definitions, repetitions)?;
            }
            _ => return Err(ParquetError::General("a column has another type than its values".to_owned())),
        }
        column.close()?;
    }
    row_group.close()?;
    writer.into_inner().map(Some)
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

/// The levels of Parquet's nested columns: how many optional or repeated ancestors are there, and which of them repeats.
#[derive(Clone, Copy, Debug, Default)]
struct Levels {
    definition: i16,
    repetition: i16,
}

impl Levels {
    fn present(self) -> Self {
        Self { definition: self.definition + 1, ..self }
    }

    /// Returns the levels of an element. Lists and maps are not nested, so their level is 1.
    fn element(self, number: usize) -> Self {
        Self { definition: self.definition + 1, repetition: if number == 0 { self.repetition } else { 1 } }
    }
}

/// A column of the file.
#[derive(Debug)]
struct Leaf {
    values: Values,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

#[derive(Debug)]
enum Values {
    Text(Vec<ByteArray>),
    Integer(Vec<i32>),
    Long(Vec<i64>),
}

impl Leaf {
    fn put(&mut self, value: Option<&Value>, levels: Levels) -> Result<(), ParquetError> {
        self.definitions.push(levels.definition);
        self.repetitions.push(levels.repetition);
        let Some(value) = value else { return Ok(()) };
        let wrong = || ParquetError::General(format!("a record has {value} in a column of another type"));
        match &mut self.values {
            Values::Text(texts) => texts.push(value.as_str().ok_or_else(wrong)?.into()),
            Values::Integer(numbers) => {
                let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
                numbers.push(number.ok_or_else(wrong)?);
            }
            Values::Long(numbers) => numbers.push(value.as_i64().ok_or_else(wrong)?),
        }
        Ok(())
    }
}

/// The columns of the file, in the order of the schema.
#[derive(Debug, Default)]
struct Leaves(Vec<Leaf>);

impl Leaves {
    fn add(&mut self, kind: &Kind) {
        let values = match kind {
            Kind::Text => Values::Text(Vec::new()),
            Kind::Integer => Values::Integer(Vec::new()),
            Kind::Long => Values::Long(Vec::new()),
            Kind::Struct(columns) => {
                for column in columns {
                    self.add(&column.kind);
                }
                return;
            }
            Kind::List(element) => return self.add(element),
            Kind::TextMap => {
                self.add(&Kind::Text);
                return self.add(&Kind::Text);
            }
        };
        self.0.push(Leaf { values, definitions: Vec::new(), repetitions: Vec::new() });
    }

    /// Adds a field's value, if it has one, to the leaves from `at` on. Returns the number of its leaves.
    fn put_field(
        &mut self,
        at: usize,
        column: &Column,
        value: Option<&Value>,
        levels: Levels,
    ) -> Result<usize, ParquetError> {
        let levels = if !column.required && value.is_some() { levels.present() } else { levels };
        self.put(at, &column.kind, value, levels)
    }

    fn put(&mut self, at: usize, kind: &Kind, value: Option<&Value>, levels: Levels) -> Result<usize, ParquetError> {
        match kind {
            Kind::Text | Kind::Integer | Kind::Long => {
                self.leaf(at)?.put(value, levels)?;
                Ok(1)
            }
            Kind::Struct(columns) => {
                let mut used = 0;
                for column in columns {
                    let value = value.and_then(|value| value.get(column.name));
                    used += self.put_field(at + used, column, value, levels)?;
                }
                Ok(used)
            }
            Kind::List(element) => {
                let elements = value.and_then(Value::as_array).filter(|elements| !elements.is_empty());
                let Some(elements) = elements else { return self.put(at, element, None, levels) };
                let mut used = 0;
                for (number, value) in elements.iter().enumerate() {
                    used = self.put(at, element, Some(value), levels.element(number))?;
                }
                Ok(used)
            }
            Kind::TextMap => {
                let entries = value.and_then(Value::as_object).filter(|entries| !entries.is_empty());
                if entries.is_none() {
                    self.leaf(at)?.put(None, levels)?;
                    self.leaf(at + 1)?.put(None, levels)?;
                }
                for (number, (name, value)) in entries.into_iter().flatten().enumerate() {
                    self.leaf(at)?.put(Some(&Value::String(name.clone())), levels.element(number))?;
                    self.leaf(at + 1)?.put(Some(value), levels.element(number))?;
                }
                Ok(2)
            }
        }
    }

    fn leaf(&mut self, at: usize) -> Result<&mut Leaf, ParquetError> {
        self.0.get_mut(at).ok_or_else(|| ParquetError::General(format!("there is no column {at}")))
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use bytes::Bytes;
    use domain::ocsf::OwnRules;
    use parquet::file::reader::{FileReader, SerializedFileReader};

    use super::*;
    use crate::{mapping::map, table::Table};

    #[test]
    fn records_are_in_order_of_time_and_pages_of_the_longest_lines_have_less_than_1_mb() {
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
        let map = |line| map(str::as_bytes(line), Version::V1_8_0, &table).unwrap();
        let records: Vec<_> = lines.iter().rev().map(|line| map(line)).collect();
        let file = to_parquet(Class::ApiActivity, Version::V1_8_0, &records).unwrap().unwrap();
        let ordered: Vec<_> = lines.iter().map(|line| map(line)).collect();
        assert_eq!(to_parquet(Class::ApiActivity, Version::V1_8_0, &ordered).unwrap().unwrap(), file);

        let reader = SerializedFileReader::new(Bytes::from(file)).unwrap();
        let row_group = reader.get_row_group(0).unwrap();
        let lengths = (0..row_group.num_columns()).flat_map(|column| {
            let mut pages = row_group.get_column_page_reader(column).unwrap();
            iter::from_fn(move || pages.get_next_page().unwrap()).map(|page| page.buffer().len())
        });
        let longest = lengths.max().unwrap();
        assert!((500_000..1_000_000).contains(&longest), "{longest}");
    }
}

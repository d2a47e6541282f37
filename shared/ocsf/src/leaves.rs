//! The columns of a row group: the values of each leaf of the schema, with the levels that say where they are nested.

use std::ops::Range;

use bytes::Bytes;
use parquet::{column::writer::ColumnWriter, data_type::ByteArray, errors::ParquetError};

use crate::columns::{Column, Kind};

/// The values of a leaf that are passed on at once, so that the slices of its texts take little memory.
const BATCH_LEVELS: usize = 4_096;

/// A field of a record or of a struct in it, with its leaves.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) shape: Shape,
}

/// The leaves of a value.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) leaves: Range<usize>,
    pub(crate) nested: Nested,
}

impl Shape {
    /// Returns the leaf of a value that is not nested.
    pub(crate) fn scalar(&self) -> Result<usize, OtherType> {
        if matches!(self.nested, Nested::Scalar) { Ok(self.leaves.start) } else { Err(OtherType) }
    }
}

#[derive(Debug)]
pub(crate) enum Nested {
    Scalar,
    Struct(Vec<Slot>),
    List(Box<Shape>),
    TextMap { key: Box<Shape>, value: Box<Shape> },
}

/// The levels of Parquet's nested columns: how many optional or repeated ancestors are there, and which of them repeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Levels {
    definition: i16,
    repetition: i16,
}

impl Levels {
    pub(crate) fn present(self) -> Self {
        Self { definition: self.definition + 1, ..self }
    }

    /// Returns the levels of an element. Lists and maps are not nested, so their level is 1.
    pub(crate) fn element(self, number: usize) -> Self {
        Self { definition: self.definition + 1, repetition: if number == 0 { self.repetition } else { 1 } }
    }
}

/// A value of another type than its column.
#[derive(Debug, thiserror::Error)]
#[error("a record has a value of another type than its column")]
pub(crate) struct OtherType;

/// The leaves of the file, in the order of the schema.
#[derive(Debug)]
pub(crate) struct Leaves {
    leaves: Vec<Leaf>,
    /// About the bytes that they take.
    memory: u64,
}

impl Leaves {
    /// Returns the shape of a record with these columns, and its leaves.
    pub(crate) fn of(columns: &[Column]) -> (Shape, Self) {
        let mut leaves = Vec::new();
        let nested = Nested::Struct(slots(columns, &mut leaves));
        (Shape { leaves: 0..leaves.len(), nested }, Self { leaves, memory: 0 })
    }

    pub(crate) fn memory(&self) -> u64 {
        self.memory
    }

    /// Returns the leaves, each of which has to be written and cleared.
    pub(crate) fn leaves_mut(&mut self) -> std::slice::IterMut<'_, Leaf> {
        self.memory = 0;
        self.leaves.iter_mut()
    }

    /// Adds that a value is absent.
    pub(crate) fn put_absent(&mut self, leaves: &Range<usize>, levels: Levels) {
        for leaf in self.leaves.get_mut(leaves.clone()).into_iter().flatten() {
            self.memory += leaf.put_levels(levels);
        }
    }

    pub(crate) fn put_text(&mut self, leaf: usize, text: &str, levels: Levels) -> Result<(), OtherType> {
        let Some(leaf) = self.leaves.get_mut(leaf) else { return Err(OtherType) };
        let Values::Text(texts) = &mut leaf.values else { return Err(OtherType) };
        self.memory += texts.push(text)? + leaf.put_levels(levels);
        Ok(())
    }

    pub(crate) fn put_number(&mut self, leaf: usize, number: u64, levels: Levels) -> Result<(), OtherType> {
        let Some(leaf) = self.leaves.get_mut(leaf) else { return Err(OtherType) };
        match &mut leaf.values {
            Values::Integer(numbers) => numbers.push(i32::try_from(number).map_err(|_| OtherType)?),
            Values::Long(numbers) => numbers.push(i64::try_from(number).map_err(|_| OtherType)?),
            Values::Text(_) => return Err(OtherType),
        }
        self.memory += size_of::<i64>() as u64 + leaf.put_levels(levels);
        Ok(())
    }
}

fn slots(columns: &[Column], leaves: &mut Vec<Leaf>) -> Vec<Slot> {
    let mut slot =
        |column: &Column| Slot { name: column.name, required: column.required, shape: shape(&column.kind, leaves) };
    columns.iter().map(&mut slot).collect()
}

fn shape(kind: &Kind, leaves: &mut Vec<Leaf>) -> Shape {
    let start = leaves.len();
    let nested = match kind {
        Kind::Text => scalar(Values::Text(Texts::default()), leaves),
        Kind::Integer => scalar(Values::Integer(Vec::new()), leaves),
        Kind::Long => scalar(Values::Long(Vec::new()), leaves),
        Kind::Struct(columns) => Nested::Struct(slots(columns, leaves)),
        Kind::List(element) => Nested::List(Box::new(shape(element, leaves))),
        Kind::TextMap => {
            Nested::TextMap { key: Box::new(shape(&Kind::Text, leaves)), value: Box::new(shape(&Kind::Text, leaves)) }
        }
    };
    Shape { leaves: start..leaves.len(), nested }
}

fn scalar(values: Values, leaves: &mut Vec<Leaf>) -> Nested {
    leaves.push(Leaf::new(values));
    Nested::Scalar
}

/// A column of the file.
#[derive(Debug)]
pub(crate) struct Leaf {
    values: Values,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

#[derive(Debug)]
enum Values {
    Text(Texts),
    Integer(Vec<i32>),
    Long(Vec<i64>),
}

/// Texts, one behind the other. One that is the same as the text before it is stored once.
#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    /// The start and the end of each.
    spans: Vec<[u32; 2]>,
}

impl Texts {
    /// Appends a text, and returns the bytes that it takes.
    fn push(&mut self, text: &str) -> Result<u64, OtherType> {
        let span_length = size_of::<[u32; 2]>() as u64;
        if let Some(last) = self.spans.last().copied()
            && range(last).and_then(|range| self.bytes.get(range)) == Some(text.as_bytes())
        {
            self.spans.push(last);
            return Ok(span_length);
        }
        let offset = |length: usize| u32::try_from(length).map_err(|_| OtherType);
        let start = offset(self.bytes.len())?;
        self.bytes.extend_from_slice(text.as_bytes());
        self.spans.push([start, offset(self.bytes.len())?]);
        Ok(text.len() as u64 + span_length)
    }
}

fn range([start, end]: [u32; 2]) -> Option<Range<usize>> {
    Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}

impl Leaf {
    fn new(values: Values) -> Self {
        Self { values, definitions: Vec::new(), repetitions: Vec::new() }
    }

    /// Returns the bytes that they take.
    fn put_levels(&mut self, levels: Levels) -> u64 {
        self.definitions.push(levels.definition);
        self.repetitions.push(levels.repetition);
        size_of::<Levels>() as u64
    }

    /// Writes the column. Returns the memory of its texts, which [`Leaf::clear`] uses again once the column is closed.
    pub(crate) fn write(&mut self, column: &mut ColumnWriter<'_>) -> Result<Bytes, ParquetError> {
        let Self { values, definitions, repetitions } = self;
        let (all_definitions, all_repetitions) = (Some(definitions.as_slice()), Some(repetitions.as_slice()));
        match (column, values) {
            (ColumnWriter::ByteArrayColumnWriter(writer), Values::Text(Texts { bytes, spans })) => {
                let present = writer.get_descriptor().max_def_level();
                let bytes = Bytes::from(std::mem::take(bytes));
                let slice = |span: &[u32; 2]| range(*span).map(|range| ByteArray::from(bytes.slice(range)));
                let mut spans = spans.iter();
                let mut start = 0;
                while start < definitions.len() {
                    let end = end_of_batch(start, repetitions);
                    let definitions = definitions.get(start..end).unwrap_or_default();
                    let count = definitions.iter().filter(|definition| **definition == present).count();
                    let texts: Vec<ByteArray> = spans.by_ref().take(count).filter_map(slice).collect();
                    writer.write_batch(&texts, Some(definitions), repetitions.get(start..end))?;
                    start = end;
                }
                return Ok(bytes);
            }
            (ColumnWriter::Int32ColumnWriter(writer), Values::Integer(numbers)) => {
                writer.write_batch(numbers, all_definitions, all_repetitions)?;
            }
            (ColumnWriter::Int64ColumnWriter(writer), Values::Long(numbers)) => {
                writer.write_batch(numbers, all_definitions, all_repetitions)?;
            }
            _ => return Err(ParquetError::External(OtherType.into())),
        }
        Ok(Bytes::new())
    }

    /// Removes all values, and keeps their memory: to allocate it for each row group would scatter it.
    pub(crate) fn clear(&mut self, texts: Bytes) {
        self.definitions.clear();
        self.repetitions.clear();
        match &mut self.values {
            Values::Text(Texts { bytes, spans }) => {
                *bytes = texts.into();
                bytes.clear();
                spans.clear();
            }
            Values::Integer(numbers) => numbers.clear(),
            Values::Long(numbers) => numbers.clear(),
        }
    }
}

/// Returns the end of the batch from `start` on, which is the end of a record.
fn end_of_batch(start: usize, repetitions: &[i16]) -> usize {
    let least = repetitions.len().min(start + BATCH_LEVELS);
    let rest = repetitions.get(least..).unwrap_or_default();
    least + rest.iter().take_while(|repetition| **repetition != 0).count()
}

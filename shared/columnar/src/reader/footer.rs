//! The parts of a file's footer and of a page's header that the reader needs.
//! <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>

use super::{
    compact::{Compact, Kind},
    damage::DamagedFile,
};
use crate::encoder::PRODUCER;

const MAGIC: &[u8; 4] = b"PAR1";

/// The column of lines of a file of typed columns.
const EVENT: [&[u8]; 1] = [b"event"];

/// The columns of lines of a file of records.
const RAW_DATA: [&[u8]; 1] = [b"raw_data"];
const UNMAPPED_KEYS: [&[u8]; 3] = [b"unmapped", b"key_value", b"key"];
const UNMAPPED_VALUES: [&[u8]; 3] = [b"unmapped", b"key_value", b"value"];

/// Numbers of Parquet's enumerations.
const ZSTD: u32 = 6;
const DATA_PAGE: u32 = 0;
const DICTIONARY_PAGE: u32 = 2;
const PLAIN: u32 = 0;
const PLAIN_DICTIONARY: u32 = 2;
const RLE_DICTIONARY: u32 = 8;
const OPTIONAL: u32 = 1;

pub(super) struct Footer<'file> {
    pub(super) rows: u64,
    pub(super) columns: Columns<'file>,
}

/// The pages of the columns with the lines, of each row group.
pub(super) enum Columns<'file> {
    Events(Vec<&'file [u8]>),
    Records(RecordChunks<'file>),
}

pub(super) struct RecordChunks<'file> {
    pub(super) lines: Vec<&'file [u8]>,
    /// Whether a record may have its line in the map.
    pub(super) is_optional: bool,
    pub(super) keys: Vec<&'file [u8]>,
    pub(super) values: Vec<&'file [u8]>,
}

/// The place of a column's pages.
#[derive(Default)]
struct Chunk<'file> {
    path: Vec<&'file [u8]>,
    codec: Option<u32>,
    length: Option<usize>,
    start: Option<usize>,
    dictionary: Option<usize>,
}

/// Reads the footer of a file.
pub(super) fn read(file: &[u8]) -> Result<Footer<'_>, DamagedFile> {
    let before = file.strip_prefix(MAGIC).and_then(|_| file.strip_suffix(MAGIC)).ok_or(DamagedFile::NoParquet)?;
    let (before, length) = before.split_last_chunk::<4>().ok_or(DamagedFile::NoParquet)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let start = before.len().checked_sub(length).ok_or(DamagedFile::Footer)?;
    let (pages, footer) = before.split_at_checked(start).ok_or(DamagedFile::Footer)?;

    let mut producer = &[][..];
    let mut rows = None;
    let mut groups = Vec::new();
    let mut is_optional = false;
    Compact::new(footer)
        .structure(|compact, field, _| {
            match field {
                2 => compact.list(|compact, _| {
                    is_optional |= is_optional_line(compact)?;
                    Some(())
                })?,
                3 => rows = Some(compact.number()?),
                4 => compact.list(|compact, _| {
                    groups.push(read_group(compact)?);
                    Some(())
                })?,
                6 => producer = compact.binary()?,
                _ => return Some(false),
            }
            Some(true)
        })
        .ok_or(DamagedFile::Footer)?;
    if !producer.starts_with(PRODUCER.as_bytes()) {
        return Err(DamagedFile::OtherProducer);
    }
    let of_column = |path: &[&[u8]]| column(&groups, path, pages).ok_or(DamagedFile::NoLines);
    let has_records = groups.iter().flatten().any(|chunk| chunk.path == RAW_DATA);
    let columns = if has_records {
        Columns::Records(RecordChunks {
            lines: of_column(&RAW_DATA)?,
            is_optional,
            keys: of_column(&UNMAPPED_KEYS)?,
            values: of_column(&UNMAPPED_VALUES)?,
        })
    } else {
        Columns::Events(of_column(&EVENT)?)
    };
    Ok(Footer { rows: rows.ok_or(DamagedFile::Footer)?, columns })
}

/// Returns the pages of a column in each row group. `pages` are those of the whole file.
fn column<'file>(groups: &[Vec<Chunk<'file>>], path: &[&[u8]], pages: &'file [u8]) -> Option<Vec<&'file [u8]>> {
    let mut chunks = Vec::with_capacity(groups.len());
    for group in groups {
        chunks.push(group.iter().find(|chunk| chunk.path == path)?.pages(pages)?);
    }
    Some(chunks)
}

/// Reads an element of the schema, and returns whether it is the column of a record's line, and this may be absent.
fn is_optional_line(compact: &mut Compact<'_>) -> Option<bool> {
    let (mut name, mut repetition) = (None, None);
    compact.structure(|compact, field, _| {
        match field {
            3 => repetition = Some(compact.number::<u32>()?),
            4 => name = Some(compact.binary()?),
            _ => return Some(false),
        }
        Some(true)
    })?;
    Some(name == Some(RAW_DATA[0]) && repetition == Some(OPTIONAL))
}

/// Reads a row group, and returns its columns.
fn read_group<'file>(compact: &mut Compact<'file>) -> Option<Vec<Chunk<'file>>> {
    let mut chunks = Vec::new();
    compact.structure(|compact, field, _| {
        if field != 1 {
            return Some(false);
        }
        compact.list(|compact, _| {
            compact.structure(|compact, field, _| {
                if field != 3 {
                    return Some(false);
                }
                chunks.push(Chunk::read(compact)?);
                Some(true)
            })
        })?;
        Some(true)
    })?;
    Some(chunks)
}

impl<'file> Chunk<'file> {
    fn read(compact: &mut Compact<'file>) -> Option<Self> {
        let mut chunk = Self::default();
        compact.structure(|compact, field, _| {
            match field {
                3 => compact.list(|compact, _| {
                    chunk.path.push(compact.binary()?);
                    Some(())
                })?,
                4 => chunk.codec = Some(compact.number()?),
                7 => chunk.length = Some(compact.number()?),
                9 => chunk.start = Some(compact.number()?),
                11 => chunk.dictionary = Some(compact.number()?),
                _ => return Some(false),
            }
            Some(true)
        })?;
        Some(chunk)
    }

    /// Returns the pages, that of the dictionary first. `pages` are those of the whole file.
    fn pages(&self, pages: &'file [u8]) -> Option<&'file [u8]> {
        if self.codec != Some(ZSTD) {
            return None;
        }
        let start = self.dictionary.or(self.start)?;
        pages.get(start..start.checked_add(self.length?)?)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageKind {
    Data,
    Dictionary,
}

/// The encoding of a page's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    Dictionary,
}

impl Encoding {
    fn of(number: u32) -> Option<Self> {
        match number {
            PLAIN => Some(Self::Plain),
            PLAIN_DICTIONARY | RLE_DICTIONARY => Some(Self::Dictionary),
            _ => None,
        }
    }
}

/// The header of a page.
pub(super) struct PageHeader {
    pub(super) kind: PageKind,
    pub(super) encoding: Encoding,
    /// Before compression.
    pub(super) length: usize,
    pub(super) compressed_length: usize,
    /// The number of values, absent ones included.
    pub(super) values: u64,
}

impl PageHeader {
    /// Reads a header, and returns it with the bytes after it. `None`: it is damaged, or not one of data or of a dictionary.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let mut compact = Compact::new(bytes);
        let (mut kind, mut encoding) = (None, None);
        let (mut length, mut compressed_length, mut values) = (None, None, None);
        compact.structure(|compact, field, _: Kind| {
            match field {
                1 => kind = Some(compact.number::<u32>()?),
                2 => length = Some(compact.number()?),
                3 => compressed_length = Some(compact.number()?),
                // The header of a data page or of a dictionary.
                5 | 7 => compact.structure(|compact, field, _| {
                    match field {
                        1 => values = Some(compact.number()?),
                        2 => encoding = Some(compact.number::<u32>()?),
                        _ => return Some(false),
                    }
                    Some(true)
                })?,
                _ => return Some(false),
            }
            Some(true)
        })?;
        let kind = match kind? {
            DATA_PAGE => PageKind::Data,
            DICTIONARY_PAGE => PageKind::Dictionary,
            _ => return None,
        };
        let encoding = Encoding::of(encoding?)?;
        let header = Self { kind, encoding, length: length?, compressed_length: compressed_length?, values: values? };
        Some((header, compact.rest()))
    }
}

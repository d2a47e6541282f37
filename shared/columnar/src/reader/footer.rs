//! The parts of a file's footer and of a page's header that the reader needs.
//! <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>

use super::{
    compact::{Compact, Kind},
    damage::DamagedFile,
};
use crate::encoder::PRODUCER;

const MAGIC: &[u8; 4] = b"PAR1";
const EVENT: &[u8] = b"event";

/// Numbers of Parquet's enumerations.
const ZSTD: u32 = 6;
const DATA_PAGE: u32 = 0;
const PLAIN: u32 = 0;

pub(super) struct Footer<'file> {
    pub(super) rows: u64,
    /// The pages of the lines, of each row group.
    pub(super) chunks: Vec<&'file [u8]>,
}

/// The place of a column's pages.
#[derive(Default)]
struct Chunk<'file> {
    path: Vec<&'file [u8]>,
    codec: Option<u32>,
    length: Option<usize>,
    start: Option<usize>,
    has_dictionary: bool,
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
    Compact::new(footer)
        .structure(|compact, field, _| {
            match field {
                3 => rows = Some(compact.number()?),
                4 => compact.list(|compact, _| push_event_chunk(compact, &mut groups))?,
                6 => producer = compact.binary()?,
                _ => return Some(false),
            }
            Some(true)
        })
        .ok_or(DamagedFile::Footer)?;
    if !producer.starts_with(PRODUCER.as_bytes()) {
        return Err(DamagedFile::OtherProducer);
    }
    let chunks = groups.into_iter().map(|chunk| chunk.and_then(|chunk| chunk.pages(pages)).ok_or(DamagedFile::NoLines));
    Ok(Footer { rows: rows.ok_or(DamagedFile::Footer)?, chunks: chunks.collect::<Result<_, _>>()? })
}

/// Reads a row group, and appends its column of lines, or `None` if it has none.
fn push_event_chunk<'file>(compact: &mut Compact<'file>, groups: &mut Vec<Option<Chunk<'file>>>) -> Option<()> {
    let mut found = None;
    compact.structure(|compact, field, _| {
        if field != 1 {
            return Some(false);
        }
        compact.list(|compact, _| {
            compact.structure(|compact, field, _| {
                if field != 3 {
                    return Some(false);
                }
                let chunk = Chunk::read(compact)?;
                if chunk.path == [EVENT] {
                    found = Some(chunk);
                }
                Some(true)
            })
        })?;
        Some(true)
    })?;
    groups.push(found);
    Some(())
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
                11 => {
                    compact.number::<u64>()?;
                    chunk.has_dictionary = true;
                }
                _ => return Some(false),
            }
            Some(true)
        })?;
        Some(chunk)
    }

    /// Returns the pages, which are in the form of the encoder. `pages` are those of the whole file.
    fn pages(&self, pages: &'file [u8]) -> Option<&'file [u8]> {
        if self.codec != Some(ZSTD) || self.has_dictionary {
            return None;
        }
        let start = self.start?;
        pages.get(start..start.checked_add(self.length?)?)
    }
}

/// The header of a data page.
pub(super) struct PageHeader {
    /// Before compression.
    pub(super) length: usize,
    pub(super) compressed_length: usize,
    pub(super) rows: u64,
}

impl PageHeader {
    /// Reads a header, and returns it with the bytes after it. `None`: it is damaged, or not one of plain lines.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let mut compact = Compact::new(bytes);
        let (mut kind, mut encoding) = (None, None);
        let (mut length, mut compressed_length, mut rows) = (None, None, None);
        compact.structure(|compact, field, _: Kind| {
            match field {
                1 => kind = Some(compact.number::<u32>()?),
                2 => length = Some(compact.number()?),
                3 => compressed_length = Some(compact.number()?),
                5 => compact.structure(|compact, field, _| {
                    match field {
                        1 => rows = Some(compact.number()?),
                        2 => encoding = Some(compact.number::<u32>()?),
                        _ => return Some(false),
                    }
                    Some(true)
                })?,
                _ => return Some(false),
            }
            Some(true)
        })?;
        if (kind, encoding) != (Some(DATA_PAGE), Some(PLAIN)) {
            return None;
        }
        Some((Self { length: length?, compressed_length: compressed_length?, rows: rows? }, compact.rest()))
    }
}

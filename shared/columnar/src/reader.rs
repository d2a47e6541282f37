//! The reader of the lines of a file, for those who compare them with a digest or search them.
//!
//! It reads the column `event` of the files that [`crate::ParquetEncoder`] makes, or the lines in records of OCSF, and nothing
//! else: one page of a column at a time, so that memory does not grow with the file. It checks every length that it reads,
//! because a file may be damaged.

mod column;
mod compact;
mod damage;
mod footer;
mod hybrid;
mod lines;
mod pages;
mod records;

use std::io::{self, BufRead, Read};

pub use self::damage::DamagedFile;
use self::{
    footer::{Columns, Encoding, PageKind},
    lines::append_line,
    pages::Pages,
    records::RecordLines,
};

/// The most bytes of a page of events before compression: the encoder makes no longer one.
const MAX_PAGE_LENGTH: usize = 1024 * 1024;

/// The lines of a file, each with its line feed, as a stream of bytes.
pub struct EventLines<'file> {
    source: Source<'file>,
    rows_left: u64,
    /// Those of the current page.
    lines: Vec<u8>,
    /// The bytes of `lines` that were consumed.
    consumed: usize,
}

/// The columns that have the lines.
enum Source<'file> {
    Events(Pages<'file>),
    Records(Box<RecordLines<'file>>),
}

impl std::fmt::Debug for EventLines<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("EventLines").field("rows_left", &self.rows_left).finish_non_exhaustive()
    }
}

impl<'file> EventLines<'file> {
    /// Opens a file of typed columns or of records of OCSF.
    ///
    /// # Errors
    /// [`DamagedFile`] as [`io::ErrorKind::InvalidData`], or an error of the decompressor.
    pub fn of(file: &'file [u8]) -> io::Result<Self> {
        let footer = footer::read(file)?;
        let source = match footer.columns {
            Columns::Events(chunks) => Source::Events(Pages::new(chunks, MAX_PAGE_LENGTH)?),
            Columns::Records(chunks) => Source::Records(Box::new(RecordLines::new(chunks)?)),
        };
        Ok(Self { source, rows_left: footer.rows, lines: Vec::new(), consumed: 0 })
    }

    /// Reads the next page, or some next records. False at the end of the file.
    fn next_page(&mut self) -> Result<bool, DamagedFile> {
        self.lines.clear();
        self.consumed = 0;
        let rows = match &mut self.source {
            Source::Events(pages) => next_events(pages, &mut self.lines)?,
            Source::Records(records) => records.next_lines(&mut self.lines)?,
        };
        let Some(rows) = rows else {
            return if self.rows_left == 0 { Ok(false) } else { Err(DamagedFile::RowCount) };
        };
        self.rows_left = self.rows_left.checked_sub(rows).ok_or(DamagedFile::RowCount)?;
        Ok(true)
    }
}

/// Appends the lines of the next page of events, and returns their number.
fn next_events(pages: &mut Pages<'_>, lines: &mut Vec<u8>) -> Result<Option<u64>, DamagedFile> {
    let Some(header) = pages.next()? else { return Ok(None) };
    if (header.kind, header.encoding) != (PageKind::Data, Encoding::Plain) {
        return Err(DamagedFile::Page);
    }
    let rows = append_lines(pages.current(), lines).ok_or(DamagedFile::Page)?;
    if rows == header.values { Ok(Some(rows)) } else { Err(DamagedFile::RowCount) }
}

/// Appends the texts of a page, which is in the encoding PLAIN, as lines. Returns their number. `None`: it is damaged.
fn append_lines(page: &[u8], lines: &mut Vec<u8>) -> Option<u64> {
    let mut rest = page;
    let mut count = 0;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (line, after) = after.split_at_checked(u32::from_le_bytes(*length).try_into().ok()?)?;
        append_line(line, lines)?;
        count += 1;
        rest = after;
    }
    Some(count)
}

impl BufRead for EventLines<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.consumed == self.lines.len() && self.next_page()? {}
        Ok(self.lines.get(self.consumed..).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.consumed = self.lines.len().min(self.consumed + count);
    }
}

impl Read for EventLines<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;

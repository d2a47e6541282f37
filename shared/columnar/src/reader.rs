//! The reader of the lines of a file, for those who compare them with a digest or search them.
//!
//! It reads the column `event` of the files that [`crate::ParquetEncoder`] makes, and nothing else: one page at a time, so that
//! memory does not grow with the file. It checks every length that it reads, because a file may be damaged.

mod compact;
mod damage;
mod footer;

use std::io::{self, BufRead, Read};

use zstd::bulk::Decompressor;

pub use self::damage::DamagedFile;
use self::footer::PageHeader;

/// The most bytes of a page before compression: the encoder makes no longer one.
const MAX_PAGE_LENGTH: usize = 1024 * 1024;

/// The lines of a file, each with its line feed, as a stream of bytes.
pub struct EventLines<'file> {
    /// The pages that are not read yet, with their headers, of each row group.
    chunks: std::vec::IntoIter<&'file [u8]>,
    pages: &'file [u8],
    rows_left: u64,
    decompressor: Decompressor<'static>,
    /// The current page, in the encoding PLAIN.
    page: Vec<u8>,
    /// Its lines.
    lines: Vec<u8>,
    /// The bytes of `lines` that were consumed.
    consumed: usize,
}

impl std::fmt::Debug for EventLines<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("EventLines").field("rows_left", &self.rows_left).finish_non_exhaustive()
    }
}

impl<'file> EventLines<'file> {
    /// Opens a file.
    ///
    /// # Errors
    /// [`DamagedFile`] as [`io::ErrorKind::InvalidData`], or an error of the decompressor.
    pub fn of(file: &'file [u8]) -> io::Result<Self> {
        let footer = footer::read(file)?;
        Ok(Self {
            chunks: footer.chunks.into_iter(),
            pages: &[],
            rows_left: footer.rows,
            decompressor: Decompressor::new()?,
            page: Vec::with_capacity(MAX_PAGE_LENGTH),
            lines: Vec::new(),
            consumed: 0,
        })
    }

    /// Reads the next page. False at the end of the file.
    fn next_page(&mut self) -> Result<bool, DamagedFile> {
        self.lines.clear();
        self.consumed = 0;
        while self.pages.is_empty() {
            let Some(pages) = self.chunks.next() else {
                return if self.rows_left == 0 { Ok(false) } else { Err(DamagedFile::RowCount) };
            };
            self.pages = pages;
        }
        let (header, body) = PageHeader::read(self.pages).ok_or(DamagedFile::Page)?;
        let (compressed, after) = body.split_at_checked(header.compressed_length).ok_or(DamagedFile::Page)?;
        if header.length > MAX_PAGE_LENGTH {
            return Err(DamagedFile::Page);
        }
        let length = self.decompressor.decompress_to_buffer(compressed, &mut self.page);
        if length.ok() != Some(header.length) {
            return Err(DamagedFile::Page);
        }
        self.rows_left = self.rows_left.checked_sub(header.rows).ok_or(DamagedFile::RowCount)?;
        self.pages = after;
        let rows = append_lines(&self.page, &mut self.lines).ok_or(DamagedFile::Page)?;
        if rows == header.rows { Ok(true) } else { Err(DamagedFile::RowCount) }
    }
}

/// Appends the texts of a page, which is in the encoding PLAIN, as lines. Returns their number. `None`: it is damaged.
fn append_lines(page: &[u8], lines: &mut Vec<u8>) -> Option<u64> {
    let mut rest = page;
    let mut count = 0;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (line, after) = after.split_at_checked(u32::from_le_bytes(*length).try_into().ok()?)?;
        if memchr::memchr(b'\n', line).is_some() {
            return None;
        }
        lines.extend_from_slice(line);
        lines.push(b'\n');
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

//! The pages of one column.

use std::{io, vec};

use zstd::bulk::Decompressor;

use super::{damage::DamagedFile, footer::PageHeader};

/// The pages of a column, one after the other.
pub(super) struct Pages<'file> {
    /// The pages of the row groups that are not read yet, with their headers.
    chunks: vec::IntoIter<&'file [u8]>,
    /// Those of the current row group.
    rest: &'file [u8],
    decompressor: Decompressor<'static>,
    /// The current page, decompressed. Its capacity is the most that a page may have.
    page: Vec<u8>,
    max_length: usize,
}

impl<'file> Pages<'file> {
    pub(super) fn new(chunks: Vec<&'file [u8]>, max_length: usize) -> io::Result<Self> {
        Ok(Self {
            chunks: chunks.into_iter(),
            rest: &[],
            decompressor: Decompressor::new()?,
            page: Vec::with_capacity(max_length),
            max_length,
        })
    }

    /// Decompresses the next page, and returns its header. `None`: the column ends.
    pub(super) fn next(&mut self) -> Result<Option<PageHeader>, DamagedFile> {
        while self.rest.is_empty() {
            let Some(pages) = self.chunks.next() else { return Ok(None) };
            self.rest = pages;
        }
        let (header, body) = PageHeader::read(self.rest).ok_or(DamagedFile::Page)?;
        let (compressed, after) = body.split_at_checked(header.compressed_length).ok_or(DamagedFile::Page)?;
        if header.length > self.max_length {
            return Err(DamagedFile::Page);
        }
        let length = self.decompressor.decompress_to_buffer(compressed, &mut self.page);
        if length.ok() != Some(header.length) {
            return Err(DamagedFile::Page);
        }
        self.rest = after;
        Ok(Some(header))
    }

    /// Returns the current page.
    pub(super) fn current(&self) -> &[u8] {
        &self.page
    }
}
